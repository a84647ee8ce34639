//! base64: tolerant for what is declared to be base64, wary for what merely looks like it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{bytes, gzip, sniff};

const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes what is declared to be base64 the way Python does: what is outside the alphabet is skipped,
/// complete padding ends it. `None` when nothing is left to decode.
pub(super) fn tolerant(text: &[u8]) -> Option<Vec<u8>> {
    let mut letters = Vec::with_capacity(text.len());
    let mut pads = 0;
    for byte in text {
        match byte {
            b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                letters.push(*byte);
                pads = 0;
            }
            b'=' if letters.len() % 4 >= 2 => {
                pads += 1;
                if letters.len() % 4 + pads >= 4 {
                    break;
                }
            }
            _ => {}
        }
    }
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    if letters.is_empty() {
        return None;
    }
    TOLERANT.decode(&letters).ok()
}

/// Decodes a text that is base64 from end to end and decodes to something known: a header, gzip, or
/// readable text. A word that merely fits the alphabet stays a word.
pub(super) fn whole(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().trim_matches('"');
    if text.len() < 12 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_\n\r\t ".contains(&b)) {
        return None;
    }
    // Wrapped base64 has lines of one length; prose has words.
    if text.split_ascii_whitespace().next().is_some_and(|first| first.len() < 12) {
        return None;
    }
    let decoded = if text.contains(['-', '_']) {
        tolerant(text.replace('-', "+").replace('_', "/").as_bytes())?
    } else {
        tolerant(text.as_bytes())?
    };
    // A message may hold binary parts: its header is enough.
    let start = decoded.get(..decoded.len().min(4096)).unwrap_or_default();
    if gzip::is(&decoded) || sniff::sniff(&String::from_utf8_lossy(start)).has_header() {
        return Some(decoded);
    }
    let readable =
        std::str::from_utf8(&decoded).is_ok_and(|text| text.len() >= 8 && bytes::is_mostly_text(text));
    (readable || (bytes::is_utf16(&decoded) && bytes::to_text(&decoded).is_some())).then_some(decoded)
}
