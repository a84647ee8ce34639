//! Records in a list: CloudTrail's own layout, and any other.

use super::{Layout, State, Step, newlines};
use crate::archive::native;
use crate::archive::open::After;
use crate::archive::skim::{self, Fault, Verdict};
use crate::source;

/// Lists that records stand in, by the first field of the document.
const LISTS: [&str; 3] = ["Records", "Events", "value"];
/// CloudTrail's records are at most a quarter of this.
const LONGEST_RECORD: usize = 1024 * 1024;

impl Layout<'_> {
    /// Steps into a document that is a list, or whose first field is one of records.
    pub(super) fn opened(&mut self, bytes: &[u8], after: After) -> Option<Step> {
        if bytes.first() == Some(&b'[') {
            self.state = State::List { name: "", index: 0, field: false };
            return Some(Step::On(1));
        }
        let key_start = skim::space(bytes, 1).checked_add(1)?;
        let name = LISTS.iter().find(|name| {
            let key = bytes.get(key_start..).unwrap_or_default();
            key.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"\""))
        })?;
        if bytes.get(key_start.checked_sub(1)?) != Some(&b'"') {
            return None;
        }
        let colon = skim::space(bytes, key_start.checked_add(name.len())?.checked_add(1)?);
        let list = skim::space(bytes, colon.saturating_add(1));
        match (bytes.get(colon), bytes.get(list)) {
            (Some(b':'), Some(b'[')) => {}
            (None, _) | (Some(b':'), None) if after == After::More => return Some(Step::Wait),
            _ => return None,
        }
        self.state = State::List { name, index: 0, field: true };
        self.lines = self.lines.saturating_add(newlines(bytes.get(..list).unwrap_or_default()));
        Some(Step::On(list.saturating_add(1)))
    }

    pub(super) fn element(
        &mut self,
        bytes: &[u8],
        after: After,
        name: &'static str,
        index: usize,
        field: bool,
    ) -> Step {
        let mut at = skim::space(bytes, 0);
        if index > 0 && bytes.get(at) == Some(&b',') {
            at = skim::space(bytes, at.saturating_add(1));
        }
        let place = || format!("{name}[{index}]");
        match bytes.get(at) {
            None if after == After::More => return Step::Wait,
            None => {
                if after == After::End {
                    self.problem(place(), "the file ends within a list");
                }
                self.state = State::Done;
                return Step::On(bytes.len());
            }
            Some(b']') => {
                if index == 0 {
                    self.found.records = self.found.records.saturating_add(1);
                }
                self.state = if field { State::Tail } else { State::Documents };
                return Step::On(at.saturating_add(1));
            }
            Some(_) => {}
        }
        let element = skim::record(bytes, at);
        let (end, verdict) = match element {
            Ok(found) => found,
            Err(Fault::Incomplete) if after == After::More => return Step::Wait,
            Err(fault) => {
                if after != After::Cut {
                    let reason = match fault {
                        Fault::Incomplete => "the file ends within a record",
                        Fault::Broken => "not JSON; the rest was not read",
                    };
                    self.problem(place(), reason);
                }
                self.state = State::Done;
                return Step::On(bytes.len());
            }
        };
        self.state = State::List { name, index: index.saturating_add(1), field };
        if verdict == Verdict::OfNoInterest && self.shortcuts {
            self.found.records = self.found.records.saturating_add(1);
            return Step::On(end);
        }
        let text = bytes.get(at..end).unwrap_or_default();
        match source::parse(text) {
            Ok(value) => {
                let reading = source::read(&value, self.surroundings);
                self.add(reading, &place());
            }
            Err(error) => {
                self.found.records = self.found.records.saturating_add(1);
                self.found.broken = self.found.broken.saturating_add(1);
                self.problem(place(), format!("not JSON: {error}"));
            }
        }
        Step::On(end)
    }

    /// The rest of a document behind its list.
    pub(super) fn tail(&mut self, bytes: &[u8], after: After) -> Step {
        let mut at = skim::space(bytes, 0);
        loop {
            match bytes.get(at) {
                Some(b'}') => {
                    self.state = State::Documents;
                    return Step::On(at.saturating_add(1));
                }
                Some(b',' | b':') => at = skim::space(bytes, at.saturating_add(1)),
                None if after == After::More => return Step::Wait,
                None => {
                    if after == After::End {
                        self.problem(String::new(), "the file ends within its document");
                    }
                    self.state = State::Done;
                    return Step::On(bytes.len());
                }
                Some(_) => match skim::value(bytes, at) {
                    Ok(end) => at = skim::space(bytes, end),
                    Err(Fault::Incomplete) if after == After::More => return Step::Wait,
                    Err(_) => {
                        if after != After::Cut {
                            self.problem(String::new(), "not JSON behind the list of records");
                        }
                        self.state = State::Done;
                        return Step::On(bytes.len());
                    }
                },
            }
        }
    }

    /// CloudTrail's own layout. Where a stretch turns out to be of another, it is walked.
    pub(super) fn native(&mut self, bytes: &[u8], after: After) -> Step {
        let trimmed = bytes.trim_ascii_end();
        let whole = trimmed.strip_suffix(b"]}").filter(|records| records.ends_with(b"}"));
        let (end, last) = match (after, whole) {
            (After::End, Some(records)) => (records.len(), true),
            // More documents may follow, or the end is not what it should be: the last record is walked.
            _ => match native::last_boundary(bytes) {
                Some(end) => (end, false),
                None => {
                    if after == After::More && bytes.len() < LONGEST_RECORD {
                        return Step::Wait;
                    }
                    self.state = State::List { name: "Records", index: 1, field: true };
                    return Step::On(0);
                }
            },
        };
        let stretch = bytes.get(..end).unwrap_or_default();
        let offset = self.offset;
        let (mut activities, mut problems) = (Vec::new(), Vec::new());
        let surroundings = self.surroundings;
        let records = native::read(stretch, |value, at| {
            let reading = source::read(&value, surroundings);
            let place = || format!("byte {}", offset.saturating_add(at as u64));
            problems.extend(reading.unreadable.into_iter().map(|it| (place(), it.reason)));
            activities.extend(reading.activities);
        });
        match records {
            Ok(records) => {
                self.found.records = self.found.records.saturating_add(records);
                self.found.activities.append(&mut activities);
                self.found.broken = self.found.broken.saturating_add(problems.len() as u64);
                self.found.unreadable.append(&mut problems);
                if last {
                    self.state = State::Done;
                    return Step::On(bytes.len());
                }
                // Behind the comma.
                Step::On(end.saturating_add(1))
            }
            Err(native::Irregular) => {
                // The comma before the first element is passed already.
                self.state = State::List { name: "Records", index: 1, field: true };
                Step::On(0)
            }
        }
    }
}
