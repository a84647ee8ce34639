//! JSON of any layout, walked without parsing it: where a value ends, and whether a record needs to be parsed.
//!
//! A record is passed over only where its own fields are all known and its call is one that nobody judges. An
//! unknown field, a name spelled with escapes, a name given twice: it is parsed.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::decide::{self, NESTED};
use crate::source::may_be_judged;

/// Why a value's end is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It goes on behind the bytes at hand.
    Incomplete,
    /// It is no JSON.
    Broken,
}

/// Whether a record must be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    OfNoInterest,
    Parse,
}

/// Behind the white space from here.
pub(super) fn space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    // Indentation of pretty-printed files: eight at a time.
    let mut skipped = 0_usize;
    for chunk in rest.chunks_exact(8) {
        if chunk.iter().any(|byte| *byte != b' ') {
            break;
        }
        skipped = skipped.saturating_add(8);
    }
    let tail = rest.get(skipped..).unwrap_or_default();
    let more = tail.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
    at.saturating_add(skipped).saturating_add(more)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Eight bytes that are all the same.
const fn eight(byte: u8) -> u64 {
    LOW.wrapping_mul(byte as u64)
}

/// The lowest byte that is zero has its highest bit set; so may some above it.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// The first byte at or behind a place that is looked for, eight at a time. `hits` marks the lowest such byte of
/// eight by its highest bit, `is` says it of one.
fn seek(bytes: &[u8], at: usize, hits: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Result<usize, Fault> {
    let rest = bytes.get(at..).ok_or(Fault::Incomplete)?;
    let mut passed = 0_usize;
    for chunk in rest.chunks_exact(8) {
        let Some(word) = chunk.first_chunk::<8>() else { break };
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return Ok(at.saturating_add(passed).saturating_add((hits.trailing_zeros() / 8) as usize));
        }
        passed = passed.saturating_add(8);
    }
    let tail = rest.get(passed..).unwrap_or_default();
    let more = tail.iter().position(|byte| is(*byte)).ok_or(Fault::Incomplete)?;
    Ok(at.saturating_add(passed).saturating_add(more))
}

/// Behind a string's closing quote; `at` is behind its opening one.
pub(super) fn string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at = seek(
            bytes,
            at,
            |word| zeros(word ^ eight(b'"')) | zeros(word ^ eight(b'\\')),
            |byte| matches!(byte, b'"' | b'\\'),
        )?;
        match bytes.get(at) {
            Some(b'"') => return Ok(at.saturating_add(1)),
            _ => at = at.saturating_add(2),
        }
    }
}

/// As [`string`], for one that holds a document, in which every few letters are an escaped quote.
fn nested(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#"}""#));
    // An escaped backslash, and behind it a quote that may be escaped or not.
    static UNCLEAR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#"\\""#));
    let rest = bytes.get(at..).ok_or(Fault::Incomplete)?;
    let text = rest.starts_with(br#"{\""#).then(|| END.find(rest)).flatten().and_then(|end| rest.get(..end));
    match text {
        Some(text) if is_escaped(text) && UNCLEAR.find(text).is_none() => {
            Ok(at.saturating_add(text.len()).saturating_add(END.needle().len()))
        }
        _ => string(bytes, at),
    }
}

/// Whether a backslash stands before each quote.
fn is_escaped(text: &[u8]) -> bool {
    let behind = text.get(1..).unwrap_or_default();
    // No early end, and bytes alone: so it is done many at a time.
    let bare = text
        .iter()
        .zip(behind)
        .fold(0_u8, |bare, (before, byte)| bare | (u8::from(*byte == b'"') & u8::from(*before != b'\\')));
    bare == 0
}

/// What a byte means outside of strings: 1 a quote, 2 an opening bracket, 3 a closing one.
static MEANING: [u8; 256] = meaning();

const fn meaning() -> [u8; 256] {
    let mut table = [0_u8; 256];
    table[b'"' as usize] = 1;
    table[b'{' as usize] = 2;
    table[b'[' as usize] = 2;
    table[b'}' as usize] = 3;
    table[b']' as usize] = 3;
    table
}

fn meaning_of(byte: u8) -> u8 {
    MEANING.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Behind an object's or a list's closing bracket; `at` is behind its opening one.
fn container(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    let mut depth = 1_usize;
    // Brackets are 0x20 away from braces.
    let hits = |word: u64| {
        let folded = word | eight(0x20);
        zeros(word ^ eight(b'"')) | zeros(folded ^ eight(b'{')) | zeros(folded ^ eight(b'}'))
    };
    loop {
        // Mostly a colon, a comma or nothing stands between two of them.
        let mut meaning = 0;
        for _ in 0..2 {
            meaning = meaning_of(*bytes.get(at).ok_or(Fault::Incomplete)?);
            at = at.saturating_add(1);
            if meaning != 0 {
                break;
            }
        }
        if meaning == 0 {
            at = seek(bytes, at, hits, |byte| meaning_of(byte) != 0)?;
            meaning = meaning_of(bytes.get(at).copied().unwrap_or_default());
            at = at.saturating_add(1);
        }
        match meaning {
            1 => at = string(bytes, at)?,
            2 => depth = depth.saturating_add(1),
            _ => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(at);
                }
            }
        }
    }
}

/// Behind the value that begins here.
pub(super) fn value(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let behind = at.saturating_add(1);
    match bytes.get(at).ok_or(Fault::Incomplete)? {
        b'"' => string(bytes, behind),
        b'{' | b'[' => container(bytes, behind),
        b'}' | b']' | b',' | b':' => Err(Fault::Broken),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            rest.iter().position(ends).map(|length| at.saturating_add(length)).ok_or(Fault::Incomplete)
        }
    }
}

/// The fields that CloudTrail gives a record.
fn is_cloudtrail(key: &[u8]) -> bool {
    matches!(
        key,
        b"eventVersion"
            | b"userIdentity"
            | b"eventTime"
            | b"eventSource"
            | b"awsRegion"
            | b"sourceIPAddress"
            | b"userAgent"
            | b"errorCode"
            | b"errorMessage"
            | b"requestParameters"
            | b"responseElements"
            | b"additionalEventData"
            | b"requestID"
            | b"eventID"
            | b"readOnly"
            | b"resources"
            | b"eventType"
            | b"apiVersion"
            | b"managementEvent"
            | b"recipientAccountId"
            | b"serviceEventDetails"
            | b"sharedEventID"
            | b"vpcEndpointId"
            | b"vpcEndpointAccountId"
            | b"eventCategory"
            | b"addendum"
            | b"sessionCredentialFromConsole"
            | b"eventContext"
            | b"edgeDeviceDetails"
            | b"tlsDetails"
    )
}

/// The fields of EventBridge's envelope.
fn is_envelope(key: &[u8]) -> bool {
    matches!(
        key,
        b"version" | b"id" | b"source" | b"account" | b"time" | b"region" | b"resources" | b"replay-name"
    )
}

/// The fields of what `LookupEvents` answers.
fn is_looked_up(key: &[u8]) -> bool {
    matches!(
        key,
        b"EventId"
            | b"EventName"
            | b"ReadOnly"
            | b"AccessKeyId"
            | b"EventTime"
            | b"EventSource"
            | b"Username"
            | b"Resources"
    )
}

/// Whether a string holds a record that need not be parsed.
fn is_of_no_interest_within(text: &[u8]) -> bool {
    let Ok(inner) = serde_json::from_slice::<String>(text) else { return false };
    walk(inner.as_bytes(), 0, true) == Ok((inner.len(), Verdict::OfNoInterest))
}

/// The record that begins here: where it ends, and whether it must be parsed.
pub(super) fn record(bytes: &[u8], at: usize) -> Result<(usize, Verdict), Fault> {
    walk(bytes, at, false)
}

fn walk(bytes: &[u8], at: usize, inside: bool) -> Result<(usize, Verdict), Fault> {
    if bytes.get(at) != Some(&b'{') {
        return Ok((value(bytes, at)?, Verdict::Parse));
    }
    // How often a field of each kind was met.
    let (mut named, mut wrapped, mut looked_up, mut told) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut record, mut envelope, mut lookup, mut unknown) = (false, false, false, false);
    let mut at = space(bytes, at.saturating_add(1));
    if bytes.get(at) == Some(&b'}') {
        return Ok((at.saturating_add(1), Verdict::Parse));
    }
    loop {
        match bytes.get(at) {
            Some(b'"') => {}
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::Broken),
        }
        let key_start = at.saturating_add(1);
        let key_end = string(bytes, key_start)?;
        let key = bytes.get(key_start..key_end.saturating_sub(1)).unwrap_or_default();
        at = space(bytes, key_end);
        match bytes.get(at) {
            Some(b':') => {}
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::Broken),
        }
        let start = space(bytes, at.saturating_add(1));
        let end = match key {
            b"detail" if !inside => {
                let (end, verdict) = walk(bytes, start, true)?;
                wrapped = wrapped.saturating_add(1);
                unknown |= verdict == Verdict::Parse;
                end
            }
            b"CloudTrailEvent" if bytes.get(start) == Some(&b'"') => nested(bytes, start.saturating_add(1))?,
            _ => value(bytes, start)?,
        };
        let text = bytes.get(start..end).unwrap_or_default();
        let content = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        match key {
            b"eventName" => {
                named = named.saturating_add(1);
                let name = text.strip_prefix(b"\"").and_then(decide::name);
                unknown |= name.is_none_or(may_be_judged);
            }
            b"detail" if !inside => {}
            b"detail-type" => {
                told = told.saturating_add(1);
                unknown |= !content.is_some_and(|kind| {
                    kind.starts_with(b"AWS ") && kind.ends_with(b" via CloudTrail") && !kind.contains(&b'\\')
                });
            }
            b"CloudTrailEvent" => {
                looked_up = looked_up.saturating_add(1);
                unknown |= !content.is_some_and(|inner| {
                    decide::is_of_no_interest(inner, NESTED) || is_of_no_interest_within(text)
                });
            }
            b"resources" => {}
            key if is_cloudtrail(key) => record = true,
            key if is_envelope(key) => envelope = true,
            key if is_looked_up(key) => lookup = true,
            _ => unknown = true,
        }
        at = space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = space(bytes, at.saturating_add(1)),
            Some(b'}') => break,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::Broken),
        }
    }
    let kinds = (named, wrapped, told, looked_up);
    let plain = kinds == (1, 0, 0, 0) && record && !envelope && !lookup;
    let event = kinds == (0, 1, 1, 0) && !record && !lookup && !inside;
    let found = kinds == (0, 0, 0, 1) && !record && !envelope && !inside;
    let verdict = if !unknown && (plain || event || found) { Verdict::OfNoInterest } else { Verdict::Parse };
    Ok((at.saturating_add(1), verdict))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is tried first, a string ends where its first unescaped quote is.
        #[test]
        fn nested_documents_end_where_strings_do(text in r#"(\{\\")?[{}"\\a,]{0,40}"#) {
            prop_assert_eq!(nested(text.as_bytes(), 0), string(text.as_bytes(), 0));
        }

        /// Eight at a time finds what one at a time does.
        #[test]
        fn containers_end_at_their_bracket(text in r#"([{}\[\]":, a;|=\\]|\[\]|"a"){0,60}"#) {
            let bytes = text.as_bytes();
            let (mut depth, mut at, mut quoted) = (1_usize, 0, false);
            let expected = loop {
                let Some(byte) = bytes.get(at) else { break Err(Fault::Incomplete) };
                at += 1;
                match byte {
                    b'\\' if quoted => at += 1,
                    b'"' => quoted = !quoted,
                    b'{' | b'[' if !quoted => depth += 1,
                    b'}' | b']' if !quoted => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break Ok(at);
                }
            };
            prop_assert_eq!(container(bytes, 0), expected);
        }
    }
}
