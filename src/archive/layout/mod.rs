//! A file's records one after another, whatever its layout, and which of them are parsed.

use chrono::DateTime;
use memchr::{memchr, memchr_iter};
use serde_json::Value;

use super::csv;
use super::decide::{self, PLAIN, QUOTED};
use super::native::{self, HEAD};
use super::open::After;
use super::skim::{self, Fault, Verdict};
use crate::activity::Activity;
use crate::source::{self, Reading, Surroundings};

/// Lists that records stand in, by the first field of the document.
const LISTS: [&str; 3] = ["Records", "Events", "value"];
/// Problems told of one stretch.
const MOST_PROBLEMS: usize = 1_000;

/// What a stretch of a file held.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub activities: Vec<Activity>,
    /// Place and reason.
    pub unreadable: Vec<(String, String)>,
    pub records: u64,
    /// Those of them that could not be read.
    pub broken: u64,
}

impl Found {
    /// Adds what a record or a document came to.
    pub fn add(&mut self, reading: Reading, place: &str) {
        self.broken = self.broken.saturating_add(reading.unreadable.len() as u64);
        let records = reading.ignored.saturating_add(reading.unreadable.len());
        self.records = self.records.saturating_add(records as u64);
        // One record may come to several activities.
        let mut last: Option<&str> = None;
        let mut distinct = 0_u64;
        for activity in &reading.activities {
            if last != Some(activity.id.as_str()) {
                distinct = distinct.saturating_add(1);
            }
            last = Some(activity.id.as_str());
        }
        self.records = self.records.saturating_add(distinct);
        for unreadable in reading.unreadable {
            let place = match (place, unreadable.place.as_str()) {
                (place, "") => place.to_owned(),
                ("", inner) => inner.to_owned(),
                (place, inner) if inner.starts_with('[') => format!("{place}{inner}"),
                (place, inner) => format!("{place}: {inner}"),
            };
            self.unreadable.push((place, unreadable.reason));
        }
        self.activities.extend(reading.activities);
    }
}

/// Where in a file the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before anything.
    Start,
    /// Between documents.
    Documents,
    /// Inside a list of CloudTrail's own layout, at a record's start.
    Native,
    /// Inside a list, at an element's start or at its end; whether a field of a document holds it.
    List { name: &'static str, index: usize, field: bool },
    /// Behind such a list, inside its document.
    Tail,
    /// Lines with a time before each, as CloudWatch Logs exports them.
    Export,
    /// Rows of a table, the record in this column.
    Table(usize),
    /// Lines of text, all formats of which are read by the line.
    Text,
    /// Nothing more is read.
    Done,
}

/// Reads one file, a stretch at a time.
pub(super) struct Layout<'a> {
    surroundings: &'a Surroundings,
    shortcuts: bool,
    state: State,
    /// Lines before the next byte.
    lines: usize,
    /// Bytes before the next one.
    offset: u64,
    pub found: Found,
}

/// How one step ended.
enum Step {
    /// Go on behind here.
    On(usize),
    /// Nothing can be done without more.
    Wait,
}

impl<'a> Layout<'a> {
    pub fn new(surroundings: &'a Surroundings, shortcuts: bool) -> Self {
        Self { surroundings, shortcuts, state: State::Start, lines: 0, offset: 0, found: Found::default() }
    }

    /// What it was made with.
    #[cfg(feature = "parquet")]
    pub fn settings(&self) -> (&'a Surroundings, bool) {
        (self.surroundings, self.shortcuts)
    }

    /// Reads what it can of the bytes. Answers how many it is done with.
    pub fn take(&mut self, bytes: &[u8], after: After) -> usize {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let step = match self.state {
                State::Start => self.start(rest, after),
                State::Documents => self.document(rest, after),
                State::Native => self.native(rest, after),
                State::List { name, index, field } => self.element(rest, after, name, index, field),
                State::Tail => self.tail(rest, after),
                State::Export => self.export(rest, after),
                State::Table(column) => self.row(rest, after, column),
                State::Text => self.text(rest, after),
                State::Done => Step::On(rest.len()),
            };
            match step {
                Step::On(length) => {
                    at = at.saturating_add(length).min(bytes.len());
                    self.offset = self.offset.saturating_add(length as u64);
                    // Where nothing follows, a document that is not closed is still to be told.
                    let open = !matches!(
                        self.state,
                        State::Documents | State::Export | State::Table(_) | State::Text | State::Done
                    );
                    if at == bytes.len() && (after == After::More || !open) {
                        return at;
                    }
                }
                Step::Wait => return at,
            }
        }
    }

    fn problem(&mut self, place: String, reason: impl Into<String>) {
        self.found.unreadable.push((place, reason.into()));
    }

    fn add(&mut self, reading: Reading, place: &str) {
        self.found.add(reading, place);
    }

    fn start(&mut self, bytes: &[u8], after: After) -> Step {
        let bom: &[u8] = b"\xef\xbb\xbf";
        let skipped = if bytes.starts_with(bom) { bom.len() } else { 0 };
        let at = skim::space(bytes, skipped);
        let Some(first) = bytes.get(at) else {
            if after == After::More {
                return Step::Wait;
            }
            if after == After::End {
                self.problem(String::new(), "empty");
            }
            self.state = State::Done;
            return Step::On(bytes.len());
        };
        self.lines = self.lines.saturating_add(newlines(bytes.get(..at).unwrap_or_default()));
        let rest = bytes.get(at..).unwrap_or_default();
        if let Some(column) = csv::column(rest) {
            self.state = State::Table(column);
            self.lines = self.lines.saturating_add(1);
            return Step::On(memchr(b'\n', bytes).map_or(bytes.len(), |end| end.saturating_add(1)));
        }
        self.state = match first {
            b'{' | b'[' => State::Documents,
            _ if stamped(rest).is_some() => State::Export,
            _ => State::Text,
        };
        Step::On(at)
    }

    fn document(&mut self, bytes: &[u8], after: After) -> Step {
        let at = skim::space(bytes, 0);
        if at > 0 {
            self.lines = self.lines.saturating_add(newlines(bytes.get(..at).unwrap_or_default()));
            return Step::On(at);
        }
        if bytes.is_empty() {
            return Step::Wait;
        }
        if self.shortcuts && native::is_native(bytes) {
            self.state = State::Native;
            return Step::On(HEAD.len());
        }
        if let Some(step) = self.opened(bytes, after) {
            return step;
        }
        // A line that is a document of its own.
        let line_end = memchr(b'\n', bytes);
        let line = bytes.get(..line_end.unwrap_or(bytes.len())).unwrap_or_default();
        let ended = line_end.is_some() || after == After::End;
        if ended && self.shortcuts && self.passes(line) {
            self.found.records = self.found.records.saturating_add(1);
            return Step::On(line.len());
        }
        // JSON lines: one broken line costs no other.
        let next = line_end.map(|end| bytes.get(end.saturating_add(1)..).unwrap_or_default());
        let alone = !is_opening(line) && next.is_some_and(|next| matches!(next.first(), Some(b'{' | b'[')));
        let outcome = skim::record(if alone { line } else { bytes }, 0);
        match outcome {
            Ok((end, verdict)) => self.read_document(bytes, end, verdict),
            Err(Fault::Incomplete) if after == After::More && !alone => Step::Wait,
            Err(Fault::Incomplete) if after == After::Cut && !alone => {
                self.state = State::Done;
                Step::On(bytes.len())
            }
            Err(_) => self.broken(bytes, after),
        }
    }

    /// A line of a layout in which what does not matter can be told by the names alone.
    fn passes(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii_end();
        let text = if line.starts_with(PLAIN.start) { Some(line) } else { enveloped(line) };
        let Some(text) = text.filter(|_| line.ends_with(b"}")) else { return false };
        // Documents may follow one another without a line's end.
        decide::names_nothing(text, PLAIN) && !decide::starts_again(text)
    }

    fn read_document(&mut self, bytes: &[u8], end: usize, verdict: Verdict) -> Step {
        let text = bytes.get(..end).unwrap_or_default();
        if verdict == Verdict::OfNoInterest && self.shortcuts {
            self.found.records = self.found.records.saturating_add(1);
        } else {
            let only = self.lines == 0 && bytes.get(end..).is_some_and(|rest| rest.trim_ascii().is_empty());
            let place = if only { String::new() } else { format!("line {}", self.lines.saturating_add(1)) };
            self.whole(text, &place);
        }
        self.lines = self.lines.saturating_add(newlines(text));
        Step::On(end)
    }

    /// Reads a whole document, as `check` would.
    fn whole(&mut self, text: &[u8], place: &str) {
        match rows(text) {
            Some(rows) => {
                for (row, record) in rows.iter().enumerate() {
                    let place = format!("QueryResultRows[{row}]");
                    match record {
                        Some(record) => {
                            let reading = source::read_bytes(record.as_bytes(), self.surroundings);
                            self.add(reading, &place);
                        }
                        None => {
                            self.found.records = self.found.records.saturating_add(1);
                            self.found.broken = self.found.broken.saturating_add(1);
                            let reason = "a row of CloudTrail Lake without the column eventJson: ask for it";
                            self.problem(place, reason);
                        }
                    }
                }
            }
            None => {
                let mut reading = source::read_bytes(text, self.surroundings);
                // Lines of this text are not those of the file.
                if !place.is_empty() {
                    let inner = reading.unreadable.iter_mut().filter(|it| it.place.starts_with("line "));
                    inner.for_each(|it| {
                        it.place =
                            it.place.split_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned());
                    });
                }
                self.add(reading, place);
            }
        }
    }

    /// A document that cannot be walked: up to the next line that begins one it is read as it is, which says
    /// what is wrong with it.
    fn broken(&mut self, bytes: &[u8], after: After) -> Step {
        let mut ends = memchr_iter(b'\n', bytes).map(|end| end.saturating_add(1));
        let next = ends.find(|end| matches!(bytes.get(*end), Some(b'{' | b'[')));
        let end = match next {
            Some(end) => end,
            None if after == After::More => return Step::Wait,
            None => bytes.len(),
        };
        let text = bytes.get(..end).unwrap_or_default();
        let place = if self.lines == 0 && end == bytes.len() {
            String::new()
        } else {
            format!("line {}", self.lines.saturating_add(1))
        };
        self.whole(text, &place);
        self.lines = self.lines.saturating_add(newlines(text));
        if self.found.unreadable.len() >= MOST_PROBLEMS {
            self.problem(place, format!("the {MOST_PROBLEMS}th broken line, the rest was not read"));
            self.state = State::Done;
            return Step::On(bytes.len());
        }
        Step::On(end)
    }

    /// Steps into a document that is a list, or whose first field is one of records.
    fn opened(&mut self, bytes: &[u8], after: After) -> Option<Step> {
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

    fn element(&mut self, bytes: &[u8], after: After, name: &'static str, index: usize, field: bool) -> Step {
        let mut at = skim::space(bytes, 0);
        if index > 0 && bytes.get(at) == Some(&b',') {
            at = skim::space(bytes, at.saturating_add(1));
        }
        let place = format!("{name}[{index}]");
        match bytes.get(at) {
            None if after == After::More => return Step::Wait,
            None => {
                if after == After::End {
                    self.problem(place, "the file ends within a list");
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
                    self.problem(place, reason);
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
        match serde_json::from_slice::<Value>(text) {
            Ok(value) => {
                let reading = source::read(&value, self.surroundings);
                self.add(reading, &place);
            }
            Err(error) => {
                self.found.records = self.found.records.saturating_add(1);
                self.found.broken = self.found.broken.saturating_add(1);
                self.problem(place, format!("not JSON: {error}"));
            }
        }
        Step::On(end)
    }

    /// The rest of a document behind its list.
    fn tail(&mut self, bytes: &[u8], after: After) -> Step {
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
    fn native(&mut self, bytes: &[u8], after: After) -> Step {
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

    /// Lines with a time before each. Those that are JSON are read one by one, text in stretches.
    fn export(&mut self, bytes: &[u8], after: After) -> Step {
        let Some(end) = lines_end(bytes, after) else { return Step::Wait };
        let text = bytes.get(..end).unwrap_or_default();
        let mut plain: Vec<u8> = Vec::new();
        let mut plain_from = self.lines;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let content = stamped(line).unwrap_or(line);
            if matches!(content.first(), Some(b'{' | b'[')) {
                self.flush(&mut plain, plain_from);
                if self.shortcuts && self.passes(content) {
                    self.found.records = self.found.records.saturating_add(1);
                } else {
                    let place = format!("line {}", self.lines.saturating_add(1));
                    self.whole(content, &place);
                }
            } else if !content.trim_ascii().is_empty() {
                if plain.is_empty() {
                    plain_from = self.lines;
                }
                plain.extend_from_slice(content);
            }
            self.lines = self.lines.saturating_add(1);
        }
        self.flush(&mut plain, plain_from);
        Step::On(end)
    }

    /// A row of a table.
    fn row(&mut self, bytes: &[u8], after: After, column: usize) -> Step {
        let Some(row) = csv::row(bytes, 0, after != After::More) else { return Step::Wait };
        let field = row.fields.get(column).and_then(|field| bytes.get(field.clone())).unwrap_or_default();
        let blank = row.fields.len() == 1 && field.is_empty();
        if self.shortcuts && decide::is_of_no_interest(field, QUOTED) {
            self.found.records = self.found.records.saturating_add(1);
        } else if !blank && (after != After::Cut || row.end != bytes.len()) {
            let place = format!("line {}", self.lines.saturating_add(1));
            self.whole(&csv::text(field), &place);
        }
        self.lines = self.lines.saturating_add(newlines(bytes.get(..row.end).unwrap_or_default()));
        Step::On(row.end)
    }

    /// Reads lines of text that were gathered.
    fn flush(&mut self, plain: &mut Vec<u8>, from: usize) {
        if !plain.is_empty() {
            let place = format!("line {}", from.saturating_add(1));
            self.whole(&std::mem::take(plain), &place);
        }
    }

    fn text(&mut self, bytes: &[u8], after: After) -> Step {
        // A table's head is needed for all of its lines, so such a file is read whole.
        if after == After::More && bytes.len() < MOST_TEXT {
            return Step::Wait;
        }
        let Some(end) = lines_end(bytes, after) else { return Step::Wait };
        let text = bytes.get(..end).unwrap_or_default();
        self.whole(text, "");
        Step::On(end)
    }
}

/// CloudTrail's records are at most a quarter of this.
const LONGEST_RECORD: usize = 1024 * 1024;
/// Text is read together up to this.
const MOST_TEXT: usize = 32 * 1024 * 1024;

fn newlines(bytes: &[u8]) -> usize {
    memchr_iter(b'\n', bytes).count()
}

/// Where the last whole line ends.
fn lines_end(bytes: &[u8], after: After) -> Option<usize> {
    if after != After::More {
        return Some(bytes.len());
    }
    memchr::memrchr(b'\n', bytes).map(|end| end.saturating_add(1))
}

/// A line that opens a list or an object and closes nothing: the document goes on below.
fn is_opening(line: &[u8]) -> bool {
    matches!(line.trim_ascii(), b"[" | b"{")
}

/// What follows the time before a line, as CloudWatch Logs exports it: `2026-03-10T12:00:00.000Z text`.
fn stamped(line: &[u8]) -> Option<&[u8]> {
    let end = memchr(b' ', line.get(..40.min(line.len()))?)?;
    let time = std::str::from_utf8(line.get(..end)?).ok()?;
    if !time.contains('T') {
        return None;
    }
    DateTime::parse_from_rfc3339(time).ok()?;
    line.get(end.saturating_add(1)..)
}

/// The record inside an event of EventBridge that a trail's call came as, where the envelope is laid out as
/// EventBridge does.
fn enveloped(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(br#"{"version":"0","id":""#)?;
    let quote = memchr(b'"', rest.get(..64.min(rest.len()))?)?;
    let rest = rest.get(quote..)?.strip_prefix(br#"","detail-type":"AWS "#)?;
    let quote = memchr(b'"', rest.get(..64.min(rest.len()))?)?;
    let kind = rest.get(..quote)?;
    if !kind.ends_with(b" via CloudTrail") || kind.contains(&b'\\') {
        return None;
    }
    let detail = memchr::memmem::find(rest, br#","detail":{"eventVersion":""#)?;
    rest.get(detail..)
}

/// CloudTrail Lake's answer to a query: rows of columns, one of which (`eventJson`) is the record as a string.
fn rows(text: &[u8]) -> Option<Vec<Option<String>>> {
    memchr::memmem::find(text, b"QueryResultRows")?;
    let value: Value = serde_json::from_slice(text).ok()?;
    let rows = value.get("QueryResultRows")?.as_array()?;
    Some(rows.iter().map(row).collect())
}

fn row(row: &Value) -> Option<String> {
    let mut columns = row.as_array()?.iter().filter_map(Value::as_object).flatten();
    let (_, text) = columns.find(|(name, _)| name.eq_ignore_ascii_case("eventJson"))?;
    text.as_str().map(str::to_owned)
}
