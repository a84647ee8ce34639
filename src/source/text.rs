//! Bytes to JSON: gzip, byte order mark, one document, JSON lines, documents one after another; and lines of
//! logs that are text.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::envelope::Envelope;
use super::lines::{self, Fault, Lines};
use super::{Reading, Surroundings, Unreadable, read};
use crate::activity::Place;

/// A log file inflates to a few dozen megabytes. What goes beyond this is a bomb, or no log file.
const MAX_INFLATED: u64 = 256 * 1024 * 1024;
/// Broken lines told one by one; after that the rest of the file is given up.
const MAX_BROKEN: usize = 1_000;

/// Reads a file or a payload as it came: JSON in any of its forms, gzip or not.
pub fn read_bytes(bytes: &[u8], surroundings: &Surroundings) -> Reading {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return read_text(bytes, surroundings);
    }
    match inflate(bytes, MAX_INFLATED) {
        Ok(inflated) => read_text(&inflated, surroundings),
        Err(reason) => Reading::unreadable("", reason),
    }
}

/// All members of a gzip file, up to a bound.
pub(super) fn inflate(bytes: &[u8], bound: u64) -> Result<Vec<u8>, String> {
    let mut inflated = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(bound.saturating_add(1));
    match decoder.read_to_end(&mut inflated) {
        Err(error) => Err(format!("gzip that cannot be inflated: {error}")),
        Ok(_) if inflated.len() as u64 > bound => {
            Err(format!("gzip that inflates to more than {bound} bytes"))
        }
        Ok(_) => Ok(inflated),
    }
}

/// One JSON document. Half of a surrogate pair, which some writers cut a text at, stands for one unknown
/// character.
///
/// # Errors
/// It is no JSON.
pub(crate) fn parse(text: impl AsRef<[u8]>) -> Result<Value, serde_json::Error> {
    let text = text.as_ref();
    serde_json::from_slice(text).or_else(|error| match mended(text) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    })
}

/// The text with each half of a surrogate pair replaced by `\ufffd`, which is as long; `None` where there is none.
fn mended(text: &[u8]) -> Option<Vec<u8>> {
    let half = |at: usize| {
        let escape = text.get(at..at.checked_add(6)?)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let mut halves: Vec<usize> = Vec::new();
    let mut at = 0_usize;
    while let Some(found) = memchr::memchr(b'\\', text.get(at..)?) {
        at = at.checked_add(found)?;
        let length = match half(at) {
            Some(0xd800..=0xdbff) => match half(at.checked_add(6)?) {
                Some(0xdc00..=0xdfff) => 12,
                _ => {
                    halves.push(at);
                    6
                }
            },
            Some(0xdc00..=0xdfff) => {
                halves.push(at);
                6
            }
            Some(_) => 6,
            None => 2,
        };
        at = at.checked_add(length)?.min(text.len());
    }
    if halves.is_empty() {
        return None;
    }
    let mut text = text.to_vec();
    for at in halves {
        if let Some(escape) = text.get_mut(at..at.saturating_add(6)) {
            escape.copy_from_slice(b"\\ufffd");
        }
    }
    Some(text)
}

/// A text of two bytes a character as UTF-8, where its byte order mark says so.
fn utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    let order: fn([u8; 2]) -> u16 = match bytes.get(..2)? {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, _) = bytes.get(2..)?.as_chunks::<2>();
    let units = pairs.iter().map(|pair| order(*pair));
    let text: String =
        char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.into_bytes())
}

fn read_text(bytes: &[u8], surroundings: &Surroundings) -> Reading {
    if let Some(text) = utf8(bytes) {
        return read_utf8(&text, surroundings);
    }
    read_utf8(bytes, surroundings)
}

fn read_utf8(bytes: &[u8], surroundings: &Surroundings) -> Reading {
    let whole = mended(bytes);
    let bytes = whole.as_deref().unwrap_or(bytes);
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if rest.iter().all(u8::is_ascii_whitespace) {
        return Reading::unreadable("", "empty");
    }
    if let Some(lines) = text_lines(rest, surroundings) {
        return lines;
    }
    let mut reading = Reading::default();
    let mut line = 1_usize;
    let mut broken = 0_usize;
    let mut first = true;
    loop {
        let (here, after) = skip_space(rest);
        line = line.saturating_add(here);
        if after.is_empty() {
            return reading;
        }
        let mut documents = serde_json::Deserializer::from_slice(after).into_iter::<Value>();
        let problem = match documents.next() {
            None => return reading,
            Some(Ok(document)) => {
                let (read_now, remaining) = split(after, documents.byte_offset());
                // A file that is one document has no line to name.
                let only = first && remaining.iter().all(u8::is_ascii_whitespace);
                let mut found = read(&document, surroundings);
                if !only {
                    found.unreadable.iter_mut().for_each(|unreadable| name_line(&mut unreadable.place, line));
                }
                reading.add(found);
                line = line.saturating_add(newlines(read_now));
                rest = remaining;
                first = false;
                continue;
            }
            Some(Err(problem)) => problem,
        };
        broken = broken.saturating_add(1);
        let at = line.saturating_add(problem.line().saturating_sub(1));
        let reason = format!("not JSON: {} at line {at} column {}", message(&problem), problem.column());
        match next_line(after) {
            // JSON lines: one broken line costs no other.
            Some((skipped, following)) if starts_document(following) && broken < MAX_BROKEN => {
                reading.add(Reading::unreadable(&format!("line {line}"), reason));
                line = line.saturating_add(newlines(skipped));
                rest = following;
            }
            Some(_) if broken >= MAX_BROKEN => {
                let reason = format!("{reason}; the {MAX_BROKEN}th broken line, the rest was not read");
                reading.add(Reading::unreadable(&format!("line {line}"), reason));
                return reading;
            }
            _ if first => {
                reading.add(Reading::unreadable("", reason));
                return reading;
            }
            _ => {
                let reason = format!("{reason}; the rest was not read");
                reading.add(Reading::unreadable(&format!("line {line}"), reason));
                return reading;
            }
        }
        first = false;
    }
}

/// How many lines are looked at to tell whether a file is a log in text.
const LOOKED_AT: usize = 10;

/// `None` where the file is no log in text.
fn text_lines(bytes: &[u8], surroundings: &Surroundings) -> Option<Reading> {
    let start = bytes.trim_ascii_start();
    if matches!(start.first(), Some(b'{' | b'[')) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let configured = surroundings.flow_log_format.as_deref();
    if !text.lines().take(LOOKED_AT).any(|line| lines::is_text(line, configured)) {
        return None;
    }
    let outer = Envelope::outermost(surroundings);
    let mut read = Lines::new(&outer, Place::default());
    let mut broken = Vec::new();
    // An XML event may span lines.
    let xml = start.starts_with(b"<");
    let end = if xml { "</Event>" } else { "\n" };
    let mut number = 1_usize;
    for line in text.split_inclusive(end) {
        let place = format!("line {number}");
        number = number.saturating_add(newlines(line.as_bytes()));
        // After the last event stands the end of whatever holds them all.
        if xml && !line.contains("<Event>") && !line.contains("<Event ") {
            continue;
        }
        let fault = match read.line(line, &outer) {
            Ok(()) => continue,
            Err(Fault::Refused(reason)) => {
                read.refuse(reason);
                continue;
            }
            Err(fault) => fault,
        };
        let reason = fault.reason();
        if broken.len() >= MAX_BROKEN {
            let reason = format!("{reason}; the {MAX_BROKEN}th broken line, the rest was not read");
            broken.push(Unreadable { reason, place, raw: None });
            break;
        }
        broken.push(Unreadable { reason, place, raw: None });
    }
    let mut reading = read.finish();
    reading.unreadable.extend(broken);
    Some(reading)
}

/// serde_json's message without its position, which counts from the document's start.
fn message(problem: &serde_json::Error) -> String {
    let text = problem.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

fn name_line(place: &mut String, line: usize) {
    *place = if place.is_empty() { format!("line {line}") } else { format!("line {line}: {place}") };
}

/// Newlines skipped, and what follows the white space.
fn skip_space(bytes: &[u8]) -> (usize, &[u8]) {
    let (space, rest) = split(bytes, bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count());
    (newlines(space), rest)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// This line with its end, and the lines after it.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(split(bytes, end.saturating_add(1)))
}

/// A line that starts a document of its own; in a document over several lines it would be indented.
fn starts_document(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'{' | b'['))
}

fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const EVENT: &str = r#"{"eventName":"DescribeRegions","eventSource":"ec2.amazonaws.com"}"#;

    fn surroundings() -> Surroundings {
        Surroundings::new(chrono::Utc::now())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn counts(bytes: &[u8]) -> (usize, Vec<String>) {
        let reading = read_bytes(bytes, &surroundings());
        (
            reading.ignored,
            reading.unreadable.into_iter().map(|it| format!("{}|{}", it.place, it.reason)).collect(),
        )
    }

    #[test]
    fn one_document_lines_and_documents_in_a_row_are_read_alike() {
        assert_eq!(counts(EVENT.as_bytes()).0, 1);
        assert_eq!(counts(format!("\u{feff}{EVENT}\n").as_bytes()).0, 1);
        assert_eq!(counts(format!("{EVENT}\r\n\r\n{EVENT}\n").as_bytes()).0, 2);
        assert_eq!(counts(format!("{EVENT}{EVENT} [{EVENT},{EVENT}]").as_bytes()).0, 4);
        assert_eq!(counts(format!(r#"{{"Records":[{EVENT},{EVENT}]}}"#).as_bytes()), (2, vec![]));
    }

    #[test]
    fn gzip_members_are_read_as_one_file() {
        let mut file = gzip(&format!("{EVENT}\n"));
        file.extend(gzip(EVENT));
        assert_eq!(counts(&file).0, 2);
    }

    #[test]
    fn a_broken_gzip_and_a_gzip_bomb_are_told() {
        let file = gzip(&EVENT.repeat(100));
        let (_, told) = counts(&file[..file.len() / 2]);
        assert!(told[0].starts_with("|gzip that cannot be inflated"), "{told:?}");
        assert!(inflate(&file, 100).unwrap_err().contains("more than 100 bytes"));
    }

    #[test]
    fn a_broken_line_costs_no_other_line() {
        let (ignored, told) = counts(format!("{EVENT}\n{{\"eventName\": }}\n{EVENT}\n").as_bytes());
        assert_eq!(ignored, 2);
        assert_eq!(told, ["line 2|not JSON: expected value at line 2 column 15"]);
    }

    #[test]
    fn a_broken_document_is_told_once_with_its_line() {
        let (ignored, told) = counts(b"{\n  \"eventName\": \"RunInstances\",\n  \"x\": }\n");
        assert_eq!(ignored, 0);
        assert_eq!(told, ["|not JSON: expected value at line 3 column 8"]);
    }

    #[test]
    fn what_is_no_json_is_told() {
        for (bytes, told) in [
            (&b""[..], "|empty"),
            (b" \n\t", "|empty"),
            (b"Mar 3 sshd[1]: hello", "|not JSON: expected value at line 1 column 1"),
            (b"{\"a\": \"\xff\xfe\"}", "|not JSON: invalid unicode code point at line 1 column 8"),
            (br#"{"a": 1e999}"#, "|not JSON: number out of range at line 1 column 11"),
            (b"42", "|JSON, but a number, no event"),
        ] {
            assert_eq!(counts(bytes), (0, vec![told.to_owned()]));
        }
    }

    #[test]
    fn a_text_of_two_bytes_a_character_and_half_a_surrogate_pair_are_read() {
        for order in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            let units = std::iter::once(0xfeff).chain(EVENT.encode_utf16());
            let bytes: Vec<u8> = units.flat_map(order).collect();
            assert_eq!(counts(&bytes), (1, vec![]));
        }
        for half in [r"\ud800", r"\udfff", r"\ud83d \ude00", r"\ud83d\ud83d\ude00", r"\\\ud800"] {
            let event = EVENT.replace("Regions", half);
            assert_eq!(counts(event.as_bytes()), (1, vec![]), "{half}");
        }
        let whole = serde_json::json!("a\u{1f600}\\ud800").to_string();
        assert_eq!(mended(whole.as_bytes()), None);
        assert_eq!(mended(br"a\ud83d\ude00\\ud800\"), None);
    }

    #[test]
    fn a_hundred_thousand_levels_of_nesting_are_told() {
        let (_, told) = counts("[".repeat(100_000).as_bytes());
        assert_eq!(told, ["|not JSON: recursion limit exceeded at line 1 column 128"]);
        let (_, told) = counts(format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).as_bytes());
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_file_of_broken_lines_is_given_up_in_the_end() {
        let (_, told) = counts("{x\n".repeat(5_000).as_bytes());
        assert_eq!(told.len(), MAX_BROKEN);
        assert!(told.last().unwrap().ends_with("the rest was not read"), "{told:?}");
    }
}
