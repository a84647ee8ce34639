//! JSON of any layout, walked without parsing it: where a value ends, and whether a record needs to be parsed.
//!
//! A record is passed over only where its own fields are all known and its call is one that nobody judges. An
//! unknown field, a name spelled with escapes, a name given twice: it is parsed.

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

const QUOTES: u64 = 0x2222_2222_2222_2222;
const SLASHES: u64 = 0x5c5c_5c5c_5c5c_5c5c;
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The lowest byte that is zero has its highest bit set; so may some above it.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Behind a string's closing quote; `at` is behind its opening one.
pub(super) fn string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        let rest = bytes.get(at..).ok_or(Fault::Incomplete)?;
        let mut passed = 0_usize;
        for chunk in rest.chunks_exact(8) {
            let Some(word) = chunk.first_chunk::<8>() else { break };
            let word = u64::from_le_bytes(*word);
            let hits = zeros(word ^ QUOTES) | zeros(word ^ SLASHES);
            if hits != 0 {
                passed = passed.saturating_add((hits.trailing_zeros() / 8) as usize);
                break;
            }
            passed = passed.saturating_add(8);
        }
        let tail = rest.get(passed..).unwrap_or_default();
        let more = tail.iter().position(|byte| matches!(byte, b'"' | b'\\')).ok_or(Fault::Incomplete)?;
        at = at.saturating_add(passed).saturating_add(more);
        match bytes.get(at) {
            Some(b'"') => return Ok(at.saturating_add(1)),
            _ => at = at.saturating_add(2),
        }
    }
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
    loop {
        let rest = bytes.get(at..).ok_or(Fault::Incomplete)?;
        let ahead = rest.iter().position(|byte| meaning_of(*byte) != 0).ok_or(Fault::Incomplete)?;
        let byte = rest.get(ahead).copied().unwrap_or_default();
        at = at.saturating_add(ahead).saturating_add(1);
        match meaning_of(byte) {
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
        let end = if key == b"detail" && !inside {
            let (end, verdict) = walk(bytes, start, true)?;
            wrapped = wrapped.saturating_add(1);
            unknown |= verdict == Verdict::Parse;
            end
        } else {
            value(bytes, start)?
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
                unknown |= !content.is_some_and(|text| decide::is_of_no_interest(text, NESTED));
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
