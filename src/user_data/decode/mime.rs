//! MIME messages, read as tolerantly as Python's `email` package reads them for cloud-init: any depth
//! of multipart within the bounds, every transfer encoding, boundaries that never close.
//!
//! Parts are split here rather than by mailparse, which gives up on what `email` reads on from.

use std::collections::BTreeMap;

use mailparse::parse_content_type;

use super::{At, DEEPEST, Decoder, Kind, Layer, MAX_DEPTH, base64_text, bytes as encodings, data_url};

/// Decodes a whole message.
pub(super) fn decode(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    let mut layer = Layer::leaf(Kind::Mime, at, bytes.len());
    let entity = Entity::read(bytes);
    if entity.is_multipart() {
        parts(decoder, at, &entity, &mut layer);
        as_other_type(decoder, at, &entity, &mut layer);
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
    for index in Decoder::within(split.len()) {
        let Some(bytes) = split.get(index) else { break };
        let at = at.deeper(&format!("part {}", index + 1));
        // Parts within parts count as well. The last of the outermost are read in any case.
        let last = at.depth <= 1 && index + super::LAST_PARTS >= split.len();
        if !decoder.part(&at) && !last {
            let child = decoder.undecodable(&at, bytes, &format!("more than {} parts", super::MOST_PARTS));
            layer.children.push(child);
            if at.depth > 1 {
                break;
            }
            continue;
        }
        let child = part(decoder, &at, bytes);
        layer.children.push(child);
    }
}

/// One part: headers, then a body in some transfer encoding, or parts of its own.
fn part(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    if at.depth > MAX_DEPTH {
        decoder.over_bound(at, &format!("more than {MAX_DEPTH} nested layers"));
    }
    if at.depth > DEEPEST {
        return decoder.undecodable(at, bytes, &format!("more than {DEEPEST} nested layers"));
    }
    let entity = Entity::read(bytes);
    if entity.is_multipart() {
        let mut layer = Layer::leaf(Kind::Mime, at, bytes.len());
        parts(decoder, at, &entity, &mut layer);
        as_other_type(decoder, at, &entity, &mut layer);
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

/// Reads a body once more as the first of its several types.
fn as_other_type(decoder: &mut Decoder, at: &At, entity: &Entity, layer: &mut Layer) {
    if let Some(declared) = &entity.other_type {
        layer.note("several content types");
        let child = decoder.layer(&at.deeper("body"), entity.body, Some(declared));
        layer.children.push(child);
    }
}

/// Headers that matter, and the body.
struct Entity<'a> {
    /// Lower case, without parameters; empty when there is none.
    content_type: String,
    /// The first of several types, where a later one is multipart.
    other_type: Option<String>,
    boundary: Option<String>,
    transfer_encoding: String,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (block, body) = split_headers(bytes);
        let mut entity = Self {
            content_type: String::new(),
            other_type: None,
            boundary: None,
            transfer_encoding: String::new(),
            body,
        };
        let (mut typed, mut encoded) = (false, false);
        // Raw values: `email` leaves RFC 2047 words as they are, and decoding them is not linear.
        for (name, value) in headers(block) {
            if name.eq_ignore_ascii_case(b"content-type") {
                let parsed = parse_content_type(&value);
                let kind = parsed.mimetype.trim_matches(encodings::is_lead).to_ascii_lowercase();
                let multipart = kind.starts_with("multipart/");
                if multipart && entity.boundary.is_none() {
                    entity.boundary = boundary(&parsed.params);
                }
                if !typed {
                    entity.content_type = kind;
                } else if multipart && !entity.is_multipart() {
                    // The first counts for `email`. Other readers take the last, so both are read.
                    entity.other_type = Some(std::mem::replace(&mut entity.content_type, kind));
                }
                typed = true;
            } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") && !encoded {
                entity.transfer_encoding = value.trim_matches(encodings::is_lead).to_ascii_lowercase();
                encoded = true;
            }
        }
        entity
    }

    fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }
}

/// Names and values of a header block, folded lines joined.
fn headers(block: &[u8]) -> Vec<(&[u8], String)> {
    const MOST: usize = 1024;
    let mut headers: Vec<(&[u8], String)> = Vec::new();
    for (_, line) in lines(block) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(text);
            }
            continue;
        }
        if headers.len() == MOST {
            break;
        }
        if let Some(end) = line.iter().position(|byte| *byte == b':') {
            let value = text.split_once(':').map_or("", |(_, value)| value);
            headers.push((line.get(..end).unwrap_or_default(), value.trim_start().to_owned()));
        }
    }
    headers
}

/// The boundary, also in the pieces of RFC 2231: `boundary*0=a; boundary*1=b`, `boundary*=utf-8''a`.
fn boundary(params: &BTreeMap<String, String>) -> Option<String> {
    let plain = |value: &str| {
        let value = value.rsplit_once('\'').map_or(value, |(_, value)| value);
        String::from_utf8_lossy(&data_url::percent_decoded(value)).into_owned()
    };
    if let Some(whole) = params.get("boundary") {
        return Some(whole.clone());
    }
    if let Some(whole) = params.get("boundary*") {
        return Some(plain(whole));
    }
    let mut joined = String::new();
    for number in 0..64 {
        match (params.get(&format!("boundary*{number}")), params.get(&format!("boundary*{number}*"))) {
            (Some(piece), _) => joined.push_str(piece),
            (None, Some(piece)) => joined.push_str(&plain(piece)),
            (None, None) => break,
        }
    }
    (!joined.is_empty()).then_some(joined)
}

/// The lines with their ends, and where each starts. As for `email`, CR alone ends one, too.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let length = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) if rest.get(end..end + 2) == Some(b"\r\n") => end + 2,
            Some(end) => end + 1,
            None => rest.len(),
        };
        let at = start;
        start += length;
        rest.get(..length).map(|line| (at, line))
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
        let named = name.len() < text.len() && name.iter().all(u8::is_ascii_graphic);
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
