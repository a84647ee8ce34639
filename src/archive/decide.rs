//! Whether a record must be parsed, told by the names of calls that stand in its text.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::source::may_be_judged;

/// The key in the text of a record, whatever stands around it.
pub(super) static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eventName"));
/// An escaped character.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r"\u00"));

/// Names of calls are shorter.
const LONGEST_NAME: usize = 128;

/// The text of a string from its first character to its closing quote; `None` where it has escapes, is empty or
/// goes on for longer than a call's name.
pub(super) fn name(bytes: &[u8]) -> Option<&[u8]> {
    let window = bytes.get(..LONGEST_NAME.min(bytes.len()))?;
    let end = window.iter().position(|byte| *byte == b'"')?;
    let name = window.get(..end)?;
    (!name.is_empty() && !name.contains(&b'\\')).then_some(name)
}

/// Whether a letter is escaped somewhere. No writer of logs does that, so a name that is searched for and not
/// found may be hidden behind it.
pub(super) fn hides_letters(bytes: &[u8]) -> bool {
    // `\u0041` to `\u007a`.
    ESCAPE.find_iter(bytes).any(|at| {
        let digit = at.checked_add(ESCAPE.needle().len()).and_then(|at| bytes.get(at));
        matches!(digit, Some(b'4'..=b'7'))
    })
}

/// Whether another record begins behind the start of a text.
pub(super) fn starts_again(text: &[u8]) -> bool {
    static START: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PLAIN.start));
    let behind = START.find(text).and_then(|at| text.get(at.saturating_add(1)..));
    behind.is_some_and(|behind| START.find(behind).is_some())
}

/// How a record's text begins and goes on after the key: as it is, or inside one string.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    pub start: &'static [u8],
    before: &'static [u8],
    after: &'static [u8],
    end: u8,
}

/// `{"eventVersion":"1.11",...,"eventName":"RunInstances",...`
pub(super) const PLAIN: Spelling =
    Spelling { start: br#"{"eventVersion":""#, before: br#"""#, after: br#"":""#, end: b'"' };
/// The same inside a string: `"{\"eventVersion\":\"1.11\",...`
pub(super) const NESTED: Spelling =
    Spelling { start: br#"{\"eventVersion\":\""#, before: br#"\""#, after: br#"\":\""#, end: b'\\' };
/// The same in a field of a CSV file: `"{""eventVersion"":""1.11"",...`
pub(super) const QUOTED: Spelling =
    Spelling { start: br#"{""eventVersion"":""#, before: br#""""#, after: br#""":"""#, end: b'"' };

/// Whether a record that CloudTrail wrote is of no interest, told without parsing it: each key of the name, the
/// record's own or one inside it, has a call's name behind it that nobody judges. What stands in the middle of
/// a string is no key.
pub(super) fn is_of_no_interest(text: &[u8], spelling: Spelling) -> bool {
    text.starts_with(spelling.start) && names_nothing(text, spelling)
}

/// As [`is_of_no_interest`], for a text that is known to hold a record.
pub(super) fn names_nothing(text: &[u8], spelling: Spelling) -> bool {
    let mut found = false;
    for at in KEY.find_iter(text) {
        let before = text.get(..at).and_then(|before| before.strip_suffix(spelling.before));
        // Behind anything but a quote, or behind one that is escaped, it stands in the middle of a string.
        if before.is_none_or(|before| before.ends_with(b"\\")) {
            continue;
        }
        let rest = text.get(at.saturating_add(KEY.needle().len())..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix(spelling.after) else {
            match rest.strip_prefix(spelling.before) {
                // A string that only begins so, or a value.
                None | Some([b',' | b'}' | b']', ..]) => continue,
                Some(_) => return false,
            }
        };
        let Some(end) = rest.iter().take(LONGEST_NAME).position(|byte| *byte == spelling.end) else {
            return false;
        };
        let Some(name) = rest.get(..end) else { return false };
        if name.is_empty() || !name.iter().all(u8::is_ascii_alphanumeric) || may_be_judged(name) {
            return false;
        }
        found = true;
    }
    found && !hides_letters(text)
}
