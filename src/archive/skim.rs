//! JSON of any layout, walked without parsing it: where a value ends, and whether a record needs to be parsed.
//!
//! A record is passed over only where its own fields are all known and its call is one that nobody judges. An
//! unknown field, a name spelled with escapes, a name given twice: it is parsed.

use memchr::memchr2;

use super::decide::{self, NESTED};
use super::marks::Marks;
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
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at = at.saturating_add(1);
        // Indentation of pretty-printed files: eight at a time.
        while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let others = u64::from_le_bytes(*eight) ^ u64::from_le_bytes([b' '; 8]);
            at = at.saturating_add((others.trailing_zeros() / 8) as usize);
            if others != 0 {
                break;
            }
        }
    }
    at
}

/// Behind a string's closing quote; `at` is behind its opening one.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        let rest = bytes.get(at..).ok_or(Fault::Incomplete)?;
        let found = memchr2(b'"', b'\\', rest).ok_or(Fault::Incomplete)?;
        at = at.saturating_add(found);
        match bytes.get(at) {
            Some(b'"') => return Ok(at.saturating_add(1)),
            _ => at = at.saturating_add(2),
        }
    }
}

/// Behind the value that begins here.
pub(super) fn value(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let behind = at.saturating_add(1);
    match bytes.get(at).ok_or(Fault::Incomplete)? {
        b'"' => string(bytes, behind),
        b'{' | b'[' => Marks::new(bytes, behind).close().ok_or(Fault::Incomplete),
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
    let inner = inner.as_bytes();
    inner.first() == Some(&b'{')
        && walk(inner, &mut Marks::new(inner, 1), 1, true) == Ok((inner.len(), Verdict::OfNoInterest))
}

/// The record that begins here: where it ends, and whether it must be parsed.
pub(super) fn record(bytes: &[u8], at: usize) -> Result<(usize, Verdict), Fault> {
    if bytes.get(at) != Some(&b'{') {
        return Ok((value(bytes, at)?, Verdict::Parse));
    }
    let behind = at.saturating_add(1);
    walk(bytes, &mut Marks::new(bytes, behind), behind, false)
}

/// From behind an object's opening brace. `inside` another one, an object `detail` is not stepped into.
fn walk(bytes: &[u8], marks: &mut Marks, at: usize, inside: bool) -> Result<(usize, Verdict), Fault> {
    // What stands there, without the white space around it.
    let between =
        |from: usize, to: usize| bytes.get(space(bytes, from)..to).unwrap_or_default().trim_ascii_end();
    let mut fields = Fields::default();
    let mut from = at;
    loop {
        let colon = marks.next().ok_or(Fault::Incomplete)?;
        let key = between(from, colon);
        if bytes.get(colon) == Some(&b'}') && key.is_empty() && from == at {
            return Ok((colon.saturating_add(1), Verdict::Parse));
        }
        let key = quoted(key).filter(|_| bytes.get(colon) == Some(&b':')).ok_or(Fault::Broken)?;
        let mut end = marks.next().ok_or(Fault::Incomplete)?;
        let text = between(colon.saturating_add(1), end);
        let container = bytes.get(end).filter(|byte| matches!(byte, b'{' | b'['));
        // Text before a bracket, or nothing where a value should be.
        if container.is_some() != text.is_empty() {
            return Err(Fault::Broken);
        }
        let mut detail = Verdict::Parse;
        if let Some(bracket) = container {
            let mut behind = end.saturating_add(1);
            if key == b"detail" && *bracket == b'{' && !inside {
                (behind, detail) = walk(bytes, marks, behind, true)?;
            } else {
                behind = marks.close().ok_or(Fault::Incomplete)?;
            }
            end = marks.next().ok_or(Fault::Incomplete)?;
            if !between(behind, end).is_empty() {
                return Err(Fault::Broken);
            }
        }
        fields.add(key, text, detail);
        from = end.saturating_add(1);
        match bytes.get(end) {
            Some(b',') => {}
            Some(b'}') => return Ok((from, fields.verdict(inside))),
            _ => return Err(Fault::Broken),
        }
    }
}

/// What is known of an object's own fields.
#[derive(Default)]
struct Fields {
    /// How often there was the field of a call's name, of an event's record, of its type, and of a record as a string.
    names: usize,
    details: usize,
    types: usize,
    strings: usize,
    /// Whether there was any other field of a record, of an event, and of what is looked up.
    record: bool,
    envelope: bool,
    lookup: bool,
    /// Whether there was a field, or a value of one, that only a parser can tell.
    unknown: bool,
}

impl Fields {
    /// Takes a field with the text of its value, of which an object or a list has none. `detail` is the verdict
    /// on the record in a field of that name.
    fn add(&mut self, key: &[u8], text: &[u8], detail: Verdict) {
        match key {
            b"eventName" => {
                self.names = self.names.saturating_add(1);
                let name = text.strip_prefix(b"\"").and_then(decide::name);
                self.unknown |= name.is_none_or(|name| Some(name) != quoted(text) || may_be_judged(name));
            }
            b"detail" => {
                self.details = self.details.saturating_add(1);
                self.unknown |= detail == Verdict::Parse;
            }
            b"detail-type" => {
                self.types = self.types.saturating_add(1);
                self.unknown |= !quoted(text).is_some_and(|kind| {
                    kind.starts_with(b"AWS ") && kind.ends_with(b" via CloudTrail") && !kind.contains(&b'\\')
                });
            }
            b"CloudTrailEvent" => {
                self.strings = self.strings.saturating_add(1);
                self.unknown |= !quoted(text).is_some_and(|inner| {
                    decide::is_of_no_interest(inner, NESTED) || is_of_no_interest_within(text)
                });
            }
            b"resources" => {}
            key if is_cloudtrail(key) => self.record = true,
            key if is_envelope(key) => self.envelope = true,
            key if is_looked_up(key) => self.lookup = true,
            _ => self.unknown = true,
        }
    }

    /// `inside` another object, only a record itself is of no interest.
    fn verdict(&self, inside: bool) -> Verdict {
        let counted = (self.names, self.details, self.types, self.strings);
        let known = match counted {
            (1, 0, 0, 0) => self.record && !self.envelope && !self.lookup,
            (0, 1, 1, 0) => !self.record && !self.lookup && !inside,
            (0, 0, 0, 1) => !self.record && !self.envelope && !inside,
            _ => false,
        };
        if known && !self.unknown { Verdict::OfNoInterest } else { Verdict::Parse }
    }
}

/// What stands between quotes; of a key or a value that is no string, nothing.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"")
}
