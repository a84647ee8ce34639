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

/// Without byte order mark and leading white space.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
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
