//! Bytes to text, as tolerant as the consumers are.

use std::borrow::Cow;

/// Text of a layer: byte order mark off, UTF-16 decoded, CRLF made LF, NULs dropped (bash and cmd
/// skip them, so `cu\0rl` runs as `curl`). `None` for binary data.
pub(super) fn to_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(text) = utf16(bytes) {
        return Some(Cow::Owned(plain(Cow::Owned(text)).into_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    };
    // A script may carry an archive behind it; what starts with text is text.
    (is_mostly_text(head(&text, 512)) || text.trim_start().starts_with('#')).then(|| plain(text))
}

/// File content as text, whatever it is: a scanner looks at it, nothing runs this copy.
pub(super) fn to_text_lossy(bytes: &[u8]) -> String {
    to_text(bytes).unwrap_or_else(|| plain(String::from_utf8_lossy(bytes))).into_owned()
}

/// Whether [`to_text`] read the bytes as UTF-16.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    endianness(bytes).is_some()
}

/// Without byte order marks and what counts as white space in front.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    loop {
        let next = rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest).trim_ascii_start();
        let next = match next {
            [0xb | 0x1c..=0x1f, after @ ..] => after,
            _ => next,
        };
        if next.len() == rest.len() {
            return rest;
        }
        rest = next;
    }
}

/// What a consumer takes off before it looks for a header: all that Python's `str.lstrip` does (FS to US
/// among it), byte order marks, and characters without width.
pub(super) fn is_lead(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{1c}'..='\u{1f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Text without odd characters in front of it. Its lines keep their numbers.
pub(super) fn without_lead(text: Cow<'_, str>) -> Cow<'_, str> {
    let length = text.len() - text.trim_start_matches(is_lead).len();
    let lead = text.get(..length).unwrap_or_default();
    if lead.bytes().all(|b| matches!(b, b'\n' | b' ')) {
        return text;
    }
    let mut plain = "\n".repeat(lead.matches('\n').count());
    plain.push_str(text.get(length..).unwrap_or_default());
    Cow::Owned(plain)
}

/// Text with every line break that YAML 1.1 knows made LF: CR, NEL, LS, PS.
pub(super) fn yaml_breaks(text: &str) -> Cow<'_, str> {
    const BREAKS: [char; 4] = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];
    if !text.contains(BREAKS) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace(BREAKS, "\n"))
}

/// The lines as Python's `str.splitlines` gives them.
pub(super) fn python_lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    text.split(ends)
}

/// Up to `most` bytes of the text, cut at a character.
pub(super) fn head(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// Whether at most one character in ten is a control or replacement character.
pub(super) fn is_mostly_text(text: &str) -> bool {
    let odd = |c: &char| (c.is_control() && !c.is_whitespace() && *c != '\u{1b}') || *c == '\u{fffd}';
    let (mut all, mut strange) = (0_usize, 0_usize);
    for c in text.chars() {
        all += 1;
        strange += usize::from(odd(&c));
    }
    strange * 10 <= all
}

fn plain(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(['\0', '\r']) {
        return text;
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\0', ""))
}

fn endianness(bytes: &[u8]) -> Option<fn([u8; 2]) -> u16> {
    match bytes {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        // No mark: ASCII in UTF-16 has a NUL in every other byte.
        [a, 0, b, 0, c, 0, ..] if ![a, b, c].contains(&&0) => Some(u16::from_le_bytes),
        [0, a, 0, b, 0, c, ..] if ![a, b, c].contains(&&0) => Some(u16::from_be_bytes),
        _ => None,
    }
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let order = endianness(bytes)?;
    let units = bytes.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok()).map(order);
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    is_mostly_text(head(text, 512)).then(|| text.to_owned())
}
