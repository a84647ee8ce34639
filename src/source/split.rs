//! The lines of a CloudWatch Logs document as AWS writes it, found without parsing it, and inflated at once.
//!
//! Whatever is laid out in another way is left to the parser. The layout is checked to the last quote: an
//! event is `{"id":"N","timestamp":N,"message":"..."}`, ten quotes that nothing escapes, and the text between
//! the last two is one string.

use libdeflater::Decompressor;
use memchr::memmem::{self, FinderBuilder};

use super::shortcut::{Json, quotes};

const OPEN: &str = "\"logEvents\":[";
const FIRST: &str = "{\"id\":\"";
const NEXT: &[u8] = b"},{\"id\":\"";
const TIME: &str = "\",\"timestamp\":";
const MESSAGE: &str = ",\"message\":\"";
const CLOSE: &str = "\"}]";
/// Quotes of an event that nothing escapes.
const QUOTES: usize = 10;
/// What stands before the events is a few names.
const LONGEST_HEAD: usize = 64 << 10;

/// A document in parts.
pub(super) struct Split<'a> {
    /// The document without its events.
    pub rest: String,
    pub events: Vec<Event<'a>>,
}

/// One event.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    /// As it stands, braces and all.
    pub whole: &'a str,
    /// Its message between the quotes, escapes and all.
    pub raw: &'a str,
}

/// `None` where the document is laid out otherwise.
pub(super) fn split(text: &str) -> Option<Split<'_>> {
    let start = text.get(..text.len().min(LONGEST_HEAD))?.find(OPEN)?.checked_add(OPEN.len())?;
    let end = text.rfind(CLOSE)?.checked_add(CLOSE.len())?.checked_sub(1)?;
    let (head, events, tail) = (text.get(..start)?, text.get(start..end)?, text.get(end..)?);
    let mut found = Vec::new();
    let mut from = 0_usize;
    // A quote behind an opening brace opens a name, so that this begins an event wherever it stands.
    let next = FinderBuilder::new().build_forward_with_ranker(Json, NEXT);
    for at in next.find_iter(events.as_bytes()) {
        let behind = at.checked_add(1)?;
        found.push(event(events.get(from..behind)?)?);
        from = behind.checked_add(1)?;
    }
    found.push(event(events.get(from..)?)?);
    let counted = quotes(events.as_bytes(), 0) == found.len().checked_mul(QUOTES)?;
    counted.then(|| Split { rest: format!("{head}{tail}"), events: found })
}

fn event(whole: &str) -> Option<Event<'_>> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = whole.strip_prefix(FIRST)?;
    let rest = rest.get(digits(rest)..)?.strip_prefix(TIME)?;
    let rest = rest.get(digits(rest)..)?.strip_prefix(MESSAGE)?;
    let raw = rest.strip_suffix("\"}")?;
    // Else the quote behind it might be a part of the text.
    (!raw.ends_with('\\')).then_some(Event { whole, raw })
}

/// A gzip file of one member whose size stands at its end, as a subscription packs it; `None` for any other,
/// and for what is too large.
pub(super) fn inflate(bytes: &[u8], bound: u64) -> Option<Vec<u8>> {
    const MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
    // What begins another member may be one.
    if memmem::find(bytes.get(1..)?, MAGIC).is_some() {
        return None;
    }
    let size = bytes.last_chunk::<4>().map(|size| u32::from_le_bytes(*size))?;
    if u64::from(size) > bound {
        return None;
    }
    let size = usize::try_from(size).ok()?;
    let mut inflated = vec![0; size];
    let got = Decompressor::new().gzip_decompress(bytes, &mut inflated).ok()?;
    (got == size).then_some(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    const HEAD: &str = "{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logEvents\":[";

    fn document(messages: &[&str]) -> String {
        let events: Vec<String> = messages
            .iter()
            .map(|message| {
                format!("{{\"id\":\"7\",\"timestamp\":1,\"message\":{}}}", serde_json::json!(message))
            })
            .collect();
        format!("{HEAD}{}]}}", events.join(","))
    }

    #[test]
    fn what_aws_writes_is_taken_apart() {
        let messages = [
            "a",
            "",
            "{\"b\":\"},{\\\"id\\\":\"}",
            "x\"}],\"y",
            "},{\"id\":\"8\",\"timestamp\":1,\"message\":\"z",
        ];
        let text = document(&messages);
        let split = split(&text).unwrap();
        assert_eq!(split.rest, format!("{HEAD}]}}"));
        let found: Vec<String> = split
            .events
            .iter()
            .map(|event| serde_json::from_str(&format!("\"{}\"", event.raw)).unwrap())
            .collect();
        assert_eq!(found, messages);
    }

    #[test]
    fn what_is_laid_out_otherwise_is_left_to_the_parser() {
        let plain = document(&["a", "b"]);
        for text in [
            plain.replace("\"id\":\"7\"", "\"id\":7"),
            plain.replace("\"timestamp\":1,", ""),
            plain.replace("\"a\"", "\"a\",\"extractedFields\":{\"x\":\"y\"}"),
            plain.replace("\"a\"", "\"a\",\"more\":\"y\""),
            plain.replace("},{", "}, {"),
            document(&["trailing\\"]),
            format!("{HEAD}]}}"),
            "{}".to_owned(),
        ] {
            assert!(split(&text).is_none(), "{text}");
        }
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_member_is_inflated_at_once_and_anything_else_is_not() {
        let one = packed(b"hello");
        assert_eq!(inflate(&one, 100).as_deref(), Some(&b"hello"[..]));
        assert_eq!(inflate(&one, 4), None, "too large");
        assert_eq!(inflate(&[one.clone(), packed(b"hello")].concat(), 100), None, "two members");
        let mut lies = one.clone();
        *lies.last_chunk_mut::<4>().unwrap() = 4_u32.to_le_bytes();
        assert_eq!(inflate(&lies, 100), None);
        assert_eq!(inflate(&one[..one.len() - 1], 100), None);
        assert_eq!(inflate(b"", 100), None);
    }
}
