//! MIME messages, read as tolerantly as Python's `email` package reads them for cloud-init: any depth
//! of multipart within the bounds, every transfer encoding, boundaries that never close.
//!
//! Parts are split here rather than by mailparse, which gives up on what `email` reads on from.

use mailparse::{parse_content_type, parse_header};

use super::{At, Decoder, Kind, Layer, MAX_DEPTH, base64_text};

/// Decodes a whole message.
pub(super) fn decode(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    let mut layer = Layer::leaf(Kind::Mime, at, bytes.len());
    let entity = Entity::read(bytes);
    if entity.is_multipart() {
        parts(decoder, at, &entity, &mut layer);
    } else {
        let child = part(decoder, &at.deeper("part 1"), bytes);
        layer.children.push(child);
    }
    layer
}

fn parts(decoder: &mut Decoder, at: &At, entity: &Entity, layer: &mut Layer) {
    let mut split = entity.boundary.as_deref().map(|b| split(entity.body, b)).unwrap_or_default();
    if split.is_empty()
        && let Some(guess) = guess_boundary(entity.body)
    {
        layer.note("boundary not as declared");
        split = self::split(entity.body, guess);
    }
    if split.is_empty() {
        let child = decoder.undecodable(at, entity.body, "multipart: no boundary");
        layer.children.push(child);
        split.push(entity.body);
    }
    for (index, bytes) in split.into_iter().enumerate() {
        let at = at.deeper(&format!("part {}", index + 1));
        if !decoder.part() {
            let child = decoder.undecodable(&at, bytes, &format!("more than {} parts", super::MAX_PARTS));
            layer.children.push(child);
            break;
        }
        let child = part(decoder, &at, bytes);
        layer.children.push(child);
    }
}

/// One part: headers, then a body in some transfer encoding, or parts of its own.
fn part(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    if at.depth > MAX_DEPTH {
        return decoder.undecodable(at, bytes, &format!("more than {MAX_DEPTH} nested layers"));
    }
    let entity = Entity::read(bytes);
    if entity.is_multipart() {
        let mut layer = Layer::leaf(Kind::Mime, at, bytes.len());
        parts(decoder, at, &entity, &mut layer);
        return layer;
    }
    if entity.content_type.starts_with("message/") {
        return part(decoder, &at.deeper("message"), entity.body);
    }
    let declared = Some(entity.content_type.as_str());
    let decoded = match entity.transfer_encoding.as_str() {
        "base64" => base64_text::tolerant(entity.body),
        "quoted-printable" => mailparse::parse_mail(bytes).and_then(|mail| mail.get_body_raw()).ok(),
        "x-uuencode" | "uuencode" | "uue" | "x-uue" => uudecode(entity.body),
        _ => return decoder.layer(at, entity.body, declared),
    };
    let mut layer = match decoded {
        Some(decoded) if entity.transfer_encoding == "quoted-printable" => {
            decoder.layer(at, &decoded, declared)
        }
        Some(decoded) => decoder.layer(&at.clone().encoded(), &decoded, declared),
        // What does not decode is left as it is, by `email` too.
        None if entity.body.iter().all(u8::is_ascii_whitespace) => Layer::leaf(Kind::Empty, at, 0),
        None => {
            let reason = format!("not {}", entity.transfer_encoding);
            let mut layer = decoder.undecodable(at, entity.body, &reason);
            let child = decoder.layer(at, entity.body, declared);
            layer.children.push(child);
            layer
        }
    };
    layer.note(&entity.transfer_encoding);
    layer
}

/// Headers that matter, and the body.
struct Entity<'a> {
    /// Lower case, without parameters; empty when there is none.
    content_type: String,
    boundary: Option<String>,
    transfer_encoding: String,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (block, body) = split_headers(bytes);
        // Raw values: `email` leaves RFC 2047 words as they are, and decoding them is not linear.
        let (mut content_type, mut transfer_encoding) = (None, None);
        let mut rest = block;
        while let Ok((header, length)) = parse_header(rest) {
            let value = || String::from_utf8_lossy(header.get_value_raw()).replace(['\r', '\n'], "");
            if header.get_key_raw().eq_ignore_ascii_case(b"content-type") {
                content_type = content_type.or_else(|| Some(parse_content_type(&value())));
            } else if header.get_key_raw().eq_ignore_ascii_case(b"content-transfer-encoding") {
                transfer_encoding = transfer_encoding.or_else(|| Some(value()));
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
        Self {
            boundary: content_type.as_ref().and_then(|ctype| ctype.params.get("boundary").cloned()),
            content_type: content_type.map(|ctype| ctype.mimetype.to_ascii_lowercase()).unwrap_or_default(),
            transfer_encoding: transfer_encoding.unwrap_or_default().trim().to_ascii_lowercase(),
            body,
        }
    }

    fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }
}

/// The lines with their ends, and where each starts.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    bytes.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line)
    })
}

/// Splits at the first blank line, or at the first line that cannot be a header, as `email` does.
fn split_headers(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    for (start, line) in lines(bytes) {
        let text = line.trim_ascii_end();
        if text.is_empty() {
            return (
                bytes.get(from..start).unwrap_or_default(),
                bytes.get(start + line.len()..).unwrap_or_default(),
            );
        }
        if start == 0 && line.starts_with(b"From ") {
            from = line.len();
            continue;
        }
        let folded = start > from && line.starts_with(b" ") || line.starts_with(b"\t");
        let name = text.split(|byte| *byte == b':').next().unwrap_or_default();
        let named = name.len() < text.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        if !folded && !named {
            return (bytes.get(from..start).unwrap_or_default(), bytes.get(start..).unwrap_or_default());
        }
    }
    (bytes.get(from..).unwrap_or_default(), &[])
}

/// The parts between boundary lines. The last may lack its end; what comes before the first and after
/// the end is nobody's.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut open = None;
    for (start, line) in lines(body) {
        let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes()))
        else {
            continue;
        };
        let rest = rest.trim_ascii_end();
        if !rest.is_empty() && rest != b"--" {
            continue;
        }
        if let Some(from) = open.replace(start + line.len()) {
            // The line break before a boundary belongs to the boundary.
            parts.push(without_line_break(body.get(from..start).unwrap_or_default()));
        }
        if rest == b"--" {
            return parts;
        }
    }
    parts.extend(open.and_then(|from| body.get(from..)));
    parts
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The first line that looks like a boundary, when the declared one is nowhere.
fn guess_boundary(body: &[u8]) -> Option<&str> {
    lines(body)
        .filter_map(|(_, line)| std::str::from_utf8(line).ok())
        .filter_map(|line| line.trim_end().strip_prefix("--"))
        .find(|boundary| boundary.len() >= 4 && !boundary.contains(char::is_whitespace))
}

/// uuencode, which `email` decodes and cloud-init therefore runs.
fn uudecode(body: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut begun = false;
    for (_, line) in lines(body) {
        let line = line.trim_ascii_end();
        if !begun {
            begun = line.starts_with(b"begin ");
            continue;
        }
        let Some((length, letters)) = line.split_first() else { continue };
        let length = usize::from(length.wrapping_sub(32) & 63);
        if length == 0 || line == b"end" {
            break;
        }
        let end = decoded.len() + length;
        for group in letters.chunks(4) {
            let six = |at: usize| u32::from(group.get(at).map_or(0, |byte| byte.wrapping_sub(32) & 63));
            let [_, bytes @ ..] = (six(0) << 18 | six(1) << 12 | six(2) << 6 | six(3)).to_be_bytes();
            decoded.extend_from_slice(&bytes);
        }
        decoded.resize(end, 0);
    }
    begun.then_some(decoded)
}
