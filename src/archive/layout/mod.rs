//! A file's records one after another, whatever its layout, and which of them are parsed. Here is what all
//! states share, and whole documents; `lists` goes through one inside, `lines` is everything by the line.

mod lines;
mod lists;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use serde_json::Value;

use super::csv;
use super::decide::{self, PLAIN};
use super::native::{self, HEAD};
use super::open::After;
use super::skim::{self, Fault, Verdict};
use crate::activity::Activity;
use crate::source::{self, Reading, Surroundings};
use lines::stamped;

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
        for (reason, lines) in reading.refused {
            self.records = self.records.saturating_add(lines as u64);
            self.unreadable.push((place.to_owned(), format!("refused: {reason} ({lines} lines)")));
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
        // Two bytes a character: read as a whole.
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            if after == After::More {
                return Step::Wait;
            }
            self.whole(bytes, "");
            self.state = State::Done;
            return Step::On(bytes.len());
        }
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
            _ if stamped(rest).is_some_and(is_json_or_known) => State::Export,
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
}

/// Whether a text is laid out in a way that only this module reads: a table, an export, a query's answer.
pub(super) fn is_special(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let answer = text.first() == Some(&b'{') && memchr::memmem::find(text, b"\"QueryResultRows\"").is_some();
    csv::column(text).is_some() || stamped(text).is_some_and(is_json_or_known) || answer
}

/// Whether what stands behind a time begins a line of an export: Docker's events begin with a time of their own.
fn is_json_or_known(rest: &[u8]) -> bool {
    !["container ", "image ", "network ", "volume ", "daemon ", "plugin "]
        .iter()
        .any(|kind| rest.starts_with(kind.as_bytes()))
}

fn newlines(bytes: &[u8]) -> usize {
    memchr_iter(b'\n', bytes).count()
}

/// A line that opens a list or an object and closes nothing: the document goes on below.
fn is_opening(line: &[u8]) -> bool {
    matches!(line.trim_ascii(), b"[" | b"{")
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
    static DETAIL: LazyLock<Finder<'static>> =
        LazyLock::new(|| Finder::new(br#","detail":{"eventVersion":""#));
    rest.get(DETAIL.find(rest)?..)
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
