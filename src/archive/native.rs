//! Files as CloudTrail writes them: `{"Records":[{"eventVersion":...},{"eventVersion":...}]}` in one line without
//! white space.
//!
//! Nothing is looked at but the names of calls. Where one matters, its record is found and parsed alone.
//!
//! Why that finds what parsing everything finds, in any valid JSON of this layout:
//! - `"eventName"` with both its quotes unescaped is a key or a whole string; a call's name cannot stand in a
//!   record without it. Letters spelled as escapes, or white space behind the key, are seen, and then the
//!   file is read in another way. What stands in other fields and looks the same costs a parse and no more: the
//!   parsed record says what its call is.
//! - `{"eventVersion":"` is the start of an object: inside a string its quotes would be escaped. The nearest one
//!   before a name is the record's, unless an object inside another record looks the same; then what follows
//!   its end is no other record's start.
//!
//! A caller chooses the text of strings, and in some calls the names of fields. Nobody but CloudTrail can put
//! an object for `userIdentity` beside `eventVersion` and a list of such around it.

use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};
use serde_json::Value;

use super::decide;
use crate::source::may_be_judged;

/// What a file of this layout begins with.
pub(super) const HEAD: &[u8] = br#"{"Records":["#;
const START: &[u8] = br#"{"eventVersion":""#;
const NEXT: &[u8] = br#",{"eventVersion":""#;
const IDENTITY: &[u8] = br#"","userIdentity":{"#;
/// What follows the name in CloudTrail's order of fields. Only for counting.
const AFTER_NAME: &[u8] = br#"","awsRegion":"#;

static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""eventName""#));
static START_BEFORE: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(START));
static BOUNDARY_BEFORE: LazyLock<FinderRev<'static>> =
    LazyLock::new(|| FinderRev::new(br#"},{"eventVersion":""#));

/// The layout is another one somewhere: what was found so far is not to be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Irregular;

/// Whether a file's start is of this layout.
pub(super) fn is_native(bytes: &[u8]) -> bool {
    bytes.strip_prefix(HEAD).is_some_and(is_record)
}

/// Whether a record begins here, as nobody but CloudTrail writes it.
fn is_record(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(START) else { return false };
    let version = rest.iter().take(8).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    version > 0 && rest.get(version..).is_some_and(|rest| rest.starts_with(IDENTITY))
}

/// The end of the last record that another one follows: just behind its brace.
pub(super) fn last_boundary(bytes: &[u8]) -> Option<usize> {
    let mut bytes = bytes;
    loop {
        let brace = BOUNDARY_BEFORE.rfind(bytes)?;
        let end = brace.checked_add(1)?;
        if is_record(bytes.get(end.checked_add(1)?..)?) {
            return Some(end);
        }
        bytes = bytes.get(..end)?;
    }
}

/// Where the record of a name begins: the nearest start before it that is CloudTrail's own. A caller's tags
/// may begin alike, but hold no identity.
fn start_before(before: &[u8], text: &[u8]) -> Result<usize, Irregular> {
    let mut before = before;
    loop {
        let start = START_BEFORE.rfind(before).ok_or(Irregular)?;
        if is_record(text.get(start..).unwrap_or_default()) {
            return Ok(start);
        }
        before = before.get(..start).unwrap_or_default();
    }
}

/// Reads a stretch of whole records, commas between them. `record` takes each one that matters with its place
/// in the stretch. Answers how many records there are.
///
/// # Errors
/// [`Irregular`]: the stretch must be read in another way, and what `record` was given forgotten.
pub(super) fn read(stretch: &[u8], mut record: impl FnMut(Value, usize)) -> Result<u64, Irregular> {
    if decide::hides_letters(stretch) {
        return Err(Irregular);
    }
    let mut records = 0_u64;
    // Behind the last record that was parsed.
    let mut from = 0_usize;
    // The name by which a record was counted last.
    let mut counted = None;
    for hit in KEY.find_iter(stretch) {
        if hit < from {
            continue;
        }
        let rest = stretch.get(hit.saturating_add(KEY.needle().len())..).ok_or(Irregular)?;
        let name = match rest {
            // A string that is no key, which a closing quote and a comma or a bracket follow.
            [b',' | b'}' | b']', ..] => continue,
            [b':', b'"', rest @ ..] => decide::name(rest),
            // The name is none, or the layout is another one.
            [b':', next, ..] if !next.is_ascii_whitespace() => None,
            _ => return Err(Irregular),
        };
        if let Some(name) = name.filter(|name| !may_be_judged(name)) {
            let after = rest.get(name.len().saturating_add(2)..).unwrap_or_default();
            if after.starts_with(AFTER_NAME) {
                records = records.saturating_add(1);
                counted = Some(hit);
            }
            continue;
        }
        let before = stretch.get(from..hit).ok_or(Irregular)?;
        let start = from.saturating_add(start_before(before, stretch.get(from..).unwrap_or_default())?);
        let behind = stretch.get(..start).unwrap_or_default();
        let text = stretch.get(start..).ok_or(Irregular)?;
        if !(start == 0 || behind.ends_with(b"},")) {
            return Err(Irregular);
        }
        let mut documents = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        let Some(Ok(value)) = documents.next() else { return Err(Irregular) };
        let end = start.saturating_add(documents.byte_offset());
        let follows = stretch.get(end..).unwrap_or_default();
        if hit >= end || !(follows.is_empty() || follows.starts_with(NEXT)) {
            return Err(Irregular);
        }
        record(value, start);
        // It may be counted by its own name already, and parsed for the sake of another in its fields.
        if counted.is_none_or(|name| name < start) {
            records = records.saturating_add(1);
        }
        from = end;
    }
    Ok(records)
}
