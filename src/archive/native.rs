//! Files as CloudTrail writes them: `{"Records":[{"eventVersion":...},{"eventVersion":...}]}` in one line without
//! white space.
//!
//! Nothing is looked at but the names of calls. Where one matters, its record is found and parsed alone.
//!
//! Why that finds what parsing everything finds, in any valid JSON of this layout:
//! - `"eventName"` with both its quotes unescaped is a key or a whole string; a call's name cannot stand in a
//!   record without it. Letters spelled as escapes, or white space behind the key, are seen, and then the
//!   file is read in another way. What stands in other fields and looks the same costs a walk through the record,
//!   which says whether that must be parsed.
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
use super::skim::{self, Verdict};
use crate::source::may_be_judged;

/// What a file of this layout begins with.
pub(super) const HEAD: &[u8] = br#"{"Records":["#;
const START: &[u8] = br#"{"eventVersion":""#;
const NEXT: &[u8] = br#",{"eventVersion":""#;
const IDENTITY: &[u8] = br#"","userIdentity":{"#;
/// What follows the name in CloudTrail's order of fields. Only for counting.
const AFTER_NAME: &[u8] = br#"","awsRegion":"#;

/// Looked at together: what the first search has brought into the cache, the second finds there.
const BLOCK: usize = 64 * 1024;
/// Whatever begins in a block ends in it or so far behind it: a key, or an escape.
const OVERLAP: usize = 16;

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
    let mut reader = Reader { stretch, from: 0, counted: None, records: 0, record: &mut record };
    let mut block = 0_usize;
    while block < stretch.len() {
        let end = block.saturating_add(BLOCK);
        let text = stretch.get(block..end.saturating_add(OVERLAP).min(stretch.len())).ok_or(Irregular)?;
        if decide::hides_letters(text) {
            return Err(Irregular);
        }
        for hit in KEY.find_iter(text) {
            let hit = block.saturating_add(hit);
            if hit >= reader.from && hit < end {
                reader.name(hit)?;
            }
        }
        block = end;
    }
    Ok(reader.records)
}

/// A stretch on its way.
struct Reader<'a, R> {
    stretch: &'a [u8],
    /// Behind the last record that was looked at as a whole.
    from: usize,
    /// The name by which a record was counted last.
    counted: Option<usize>,
    records: u64,
    record: &'a mut R,
}

impl<R: FnMut(Value, usize)> Reader<'_, R> {
    /// Looks at what stands at the text of the key.
    fn name(&mut self, hit: usize) -> Result<(), Irregular> {
        let rest = self.stretch.get(hit.saturating_add(KEY.needle().len())..).ok_or(Irregular)?;
        let name = match rest {
            // A string that is no key, which a closing quote and a comma or a bracket follow.
            [b',' | b'}' | b']', ..] => return Ok(()),
            [b':', b'"', rest @ ..] => decide::name(rest),
            // The name is none, or the layout is another one.
            [b':', next, ..] if !next.is_ascii_whitespace() => None,
            _ => return Err(Irregular),
        };
        if let Some(name) = name.filter(|name| !may_be_judged(name)) {
            let after = rest.get(name.len().saturating_add(2)..).unwrap_or_default();
            if after.starts_with(AFTER_NAME) {
                self.records = self.records.saturating_add(1);
                self.counted = Some(hit);
            }
            return Ok(());
        }
        self.whole(hit)
    }

    /// Looks at the whole record around a name that matters, and parses it where the name is its own.
    fn whole(&mut self, hit: usize) -> Result<(), Irregular> {
        let ahead = self.stretch.get(self.from..).ok_or(Irregular)?;
        let before = self.stretch.get(self.from..hit).ok_or(Irregular)?;
        let start = self.from.saturating_add(start_before(before, ahead)?);
        let behind = self.stretch.get(..start).unwrap_or_default();
        if !(start == 0 || behind.ends_with(b"},")) {
            return Err(Irregular);
        }
        let (end, verdict) = skim::record(self.stretch, start).map_err(|_| Irregular)?;
        let follows = self.stretch.get(end..).unwrap_or_default();
        if hit >= end || !(follows.is_empty() || follows.starts_with(NEXT)) {
            return Err(Irregular);
        }
        if verdict == Verdict::Parse {
            let text = self.stretch.get(start..end).and_then(|text| std::str::from_utf8(text).ok());
            let value = text.and_then(|text| serde_json::from_str(text).ok()).ok_or(Irregular)?;
            (self.record)(value, start);
        }
        // It may be counted by its own name already, and looked at for the sake of another in its fields.
        if self.counted.is_none_or(|name| name < start) {
            self.records = self.records.saturating_add(1);
        }
        self.from = end;
        Ok(())
    }
}
