//! Log lines that are dropped before they are parsed, since nobody would judge them.
//!
//! Dropped are, and nothing else:
//! - Tetragon's exits, and its probes other than `tcp_connect`;
//! - Tetragon's program starts that repeat an earlier one of the same batch in everything that an activity
//!   tells (container, image, binary, arguments, user, parent, node) and are no earlier than it;
//! - audit events of verbs that declare nothing (`get`, `list`, `watch`, `delete`...), `exec` and `attach`
//!   excepted, and of the stage at which nothing is decided yet.
//!
//! All tests are on a line's text as it stands inside another document, that is with its quotes escaped
//! once, or twice where a log shipper's document stands between. There a quote between two fields is `\"`
//! (or `\\\"`), and one within a string is escaped once more: what follows a comma as `,\"` is a field's name
//! and no string's content. Where a line is not laid out as its writer lays it out, it is parsed in full.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{Finder, FinderBuilder};

use super::envelope::Envelope;
use super::tetragon::PROBE;

/// How often a byte stands in escaped JSON, the rarest first: quotes and separators, which are rare in prose, are
/// everywhere here, and what is searched for by them is looked at in vain.
pub(super) struct Json;

impl HeuristicFrequencyRank for Json {
    fn rank(&self, byte: u8) -> u8 {
        // From the rarest on.
        const RARE: &[u8] = b"{}_jqzxkvwbuygfhmlcdnpsirota-e/";
        match RARE.iter().position(|rare| *rare == byte) {
            Some(place) => u8::try_from(place).map_or(u8::MAX, |place| place.saturating_mul(6)),
            None if byte.is_ascii_uppercase() => 60,
            None => u8::MAX,
        }
    }
}

/// A field's name as it stands in an escaped line, and where it is.
struct Mark(Finder<'static>);

impl Mark {
    fn new(text: String) -> Self {
        Self(FinderBuilder::new().build_forward_with_ranker_owned(Json, text.as_bytes()))
    }

    /// What stands before the mark, and what from it on.
    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        text.split_at_checked(self.0.find(text.as_bytes())?)
    }

    /// What stands before the mark, and what after it.
    fn cut<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (before, from) = self.split(text)?;
        Some((before, from.get(self.0.needle().len()..)?))
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.find(text.as_bytes()).is_some()
    }
}

/// What lines are told by, with quotes as they stand at one depth of escaping.
struct Marks {
    quote: &'static str,
    exec: String,
    exit: String,
    kprobe: String,
    audit: String,
    uid: Mark,
    binary: Mark,
    start_time: Mark,
    auid: Mark,
    parent_exec_id: Mark,
    parent: Mark,
    node_name: Mark,
    time: Mark,
    pid: String,
    refcnt: Mark,
    refcnt_text: String,
    tid: Mark,
    probe: Mark,
    verb: Mark,
    received: Mark,
    subresource: Mark,
    /// A shipper's field that holds the line, and how that ends.
    log: Mark,
    log_ends: [Mark; 2],
}

impl Marks {
    /// `text` with every quote as it stands at this depth.
    fn new(quote: &'static str) -> Self {
        let at = |text: &str| text.replace('"', quote);
        let mark = |text: &str| Mark::new(at(text));
        Self {
            quote,
            exec: at(r#"{"process_exec":{"process":{"exec_id":""#),
            exit: at(r#"{"process_exit":{"process":{"#),
            kprobe: at(r#"{"process_kprobe":{"process":{"#),
            audit: at(r#"{"kind":"Event","apiVersion":"audit.k8s.io/"#),
            uid: mark(r#","uid":"#),
            binary: mark(r#","binary":""#),
            start_time: mark(r#","start_time":""#),
            auid: mark(r#","auid":"#),
            parent_exec_id: mark(r#","parent_exec_id":"#),
            parent: mark(r#","parent":{"#),
            node_name: mark(r#","node_name":"#),
            time: mark(r#","time":""#),
            pid: at(r#","pid":"#),
            refcnt: mark(r#","refcnt":"#),
            refcnt_text: at(r#","refcnt":"#),
            tid: mark(r#","tid":"#),
            probe: mark(PROBE),
            verb: mark(r#","verb":""#),
            received: mark(r#"","stage":"RequestReceived","requestURI":""#),
            subresource: mark(r#""subresource":""#),
            log: mark(r#""log":""#),
            log_ends: [mark(r#"}""#), Mark::new(format!("}}\\\\n{quote}"))],
        }
    }
}

impl Marks {
    /// A text's value up to its closing quote, where nothing in it is escaped, and what follows.
    fn value<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (value, _) = text.split_once('\\')?;
        Some((value, text.get(value.len()..)?.strip_prefix(self.quote)?))
    }
}

/// What follows the digits that a text begins with.
fn behind_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

static PLAIN: LazyLock<Marks> = LazyLock::new(|| Marks::new("\\\""));
static SHIPPED: LazyLock<Marks> = LazyLock::new(|| Marks::new("\\\\\\\""));

/// Verbs after which nothing new runs.
const VERBS: [&str; 6] = ["get", "list", "watch", "delete", "deletecollection", "head"];

/// What of a batch was seen so far.
#[derive(Default)]
pub(super) struct Shortcut<'a> {
    /// The earliest start of its kind that was let through.
    seen: HashMap<Start<'a>, DateTime<Utc>>,
    /// What the last line changed there, and what was there before.
    last: Option<(Start<'a>, Option<DateTime<Utc>>)>,
}

/// Everything that a line tells of a program's start, but for the process's own numbers and its time.
type Start<'a> = [&'a str; 8];

impl<'a> Shortcut<'a> {
    /// Whether a line can be left out. `raw` is its text between the quotes, escapes and all: one string's
    /// content and no more.
    pub fn drops(&mut self, raw: &'a str, envelope: &Envelope<'_>) -> bool {
        self.last = None;
        self.event(raw, &PLAIN, envelope) || self.shipped(raw, envelope)
    }

    /// The last line was let through and could not be read: it stands for no other. Else a broken line that
    /// somebody prints would hide the event that it imitates.
    pub fn forget(&mut self) {
        match self.last.take() {
            Some((start, Some(before))) => {
                self.seen.insert(start, before);
            }
            Some((start, None)) => {
                self.seen.remove(&start);
            }
            None => {}
        }
    }

    fn event(&mut self, raw: &'a str, marks: &Marks, envelope: &Envelope<'_>) -> bool {
        if raw.starts_with(&marks.exec) {
            return self.repeats(raw, marks, envelope).unwrap_or(false);
        }
        if raw.starts_with(&marks.exit) {
            return raw.ends_with('}');
        }
        if raw.starts_with(&marks.kprobe) {
            return raw.ends_with('}') && !marks.probe.is_in(raw);
        }
        raw.starts_with(&marks.audit) && raw.ends_with('}') && declares_nothing(raw, marks)
    }

    /// The same for a line inside a log shipper's document.
    fn shipped(&mut self, raw: &'a str, envelope: &Envelope<'_>) -> bool {
        if !raw.starts_with('{') || !raw.ends_with('}') {
            return false;
        }
        let Some((before, after)) = PLAIN.log.cut(raw) else { return false };
        // Where the shipper parsed the line, or tells the node, that goes with it.
        let parsed = |text: &str| text.contains("log_processed") || text.contains("process_");
        if before.bytes().filter(|byte| *byte == b'{').count() != 1 || parsed(before) {
            return false;
        }
        let Some((line, rest)) = shipped_line(after) else { return false };
        if parsed(rest) {
            return false;
        }
        // The node that the shipper tells stands in only where the line tells none.
        if line.starts_with(&SHIPPED.exec) && !SHIPPED.node_name.is_in(line) {
            return false;
        }
        self.event(line, &SHIPPED, envelope)
    }

    /// `None` where the line is laid out in another way.
    fn repeats(&mut self, raw: &'a str, marks: &Marks, envelope: &Envelope<'_>) -> Option<bool> {
        let (numbers, rest) = marks.uid.split(raw.get(marks.exec.len()..)?)?;
        let (what, rest) = marks.start_time.cut(rest)?;
        let (started, rest) = marks.auid.split(rest)?;
        let (place, rest) = marks.parent_exec_id.split(rest)?;
        let (more, rest) = marks.parent.split(rest)?;
        // A start that names no program is told as unreadable, each time.
        let (_, binary) = marks.binary.cut(what)?;
        if binary.starts_with('\\') || !raw.ends_with('}') {
            return None;
        }
        // Left out of the comparison are the process's own numbers, each where it has to stand: a field that
        // came twice would count as it comes last.
        let (_, pid) = marks.value(numbers)?;
        if !behind_digits(pid.strip_prefix(marks.pid.as_str())?).is_empty() {
            return None;
        }
        let (_, more) =
            marks.value(more.get(marks.parent_exec_id.0.needle().len()..)?.strip_prefix(marks.quote)?)?;
        let more = more.strip_prefix(marks.refcnt_text.as_str()).map_or(more, behind_digits);
        let (more, tail) = marks.tid.cut(more).map_or((more, ""), |(more, tid)| (more, behind_digits(tid)));
        let (parent, rest) = marks.node_name.split(rest)?;
        // How many processes know the parent changes with each start.
        let (parent, known) = marks.refcnt.cut(parent).unwrap_or((parent, ""));
        let known = behind_digits(known);
        let (node, rest) = marks.time.cut(rest)?;
        let (_, after) = rest.split_once('\\')?;
        let time = envelope.time_of(started.strip_suffix(marks.quote)?)?;
        let start = [what, place, more, tail, parent, known, node, after];
        let before = self.seen.get(&start).copied();
        if before.is_some_and(|earliest| earliest <= time) {
            return Some(true);
        }
        self.seen.insert(start, time);
        self.last = Some((start, before));
        Some(false)
    }
}

/// What a shipper's `log` holds, less a line break at its end, and what follows in the shipper's document.
/// `None` where the text ends otherwise than an event does.
fn shipped_line(after: &str) -> Option<(&str, &str)> {
    let [plain, broken] = &PLAIN.log_ends;
    let end = [plain, broken].into_iter().filter_map(|mark| mark.0.find(after.as_bytes())).min()?;
    let (line, rest) = after.split_at_checked(end.checked_add(1)?)?;
    // The text's own quotes are escaped twice: one that is not would have ended it before.
    (quotes(line.as_bytes(), 1) == 0).then_some((line, rest))
}

/// How many quotes are escaped by fewer backslashes than `least` and one: 0 counts those that nothing
/// escapes, 1 also those that one backslash does.
pub(super) fn quotes(text: &[u8], least: usize) -> usize {
    // In blocks that a byte can count, so that they are counted side by side.
    const BLOCK: usize = 240;
    let behind = |by: usize| text.get(by..).unwrap_or_default();
    let before = text.len().min(least + 1);
    let head = text.get(..before).unwrap_or_default().iter().filter(|byte| **byte == b'"').count();
    let pairs = behind(before).chunks(BLOCK).zip(text.chunks(BLOCK));
    let counted = pairs.map(|(quotes, escapes)| {
        let each = quotes.iter().zip(escapes).map(|(a, b)| u8::from(*a == b'"') & u8::from(*b != b'\\'));
        usize::from(each.fold(0_u8, u8::wrapping_add))
    });
    head + counted.sum::<usize>()
}

/// The API server writes stage, address and verb in this order before anything that a caller chose the
/// field names of.
fn declares_nothing(raw: &str, marks: &Marks) -> bool {
    let Some((before, rest)) = marks.verb.cut(raw) else { return false };
    if marks.received.is_in(before) {
        return true;
    }
    let Some((verb, _)) = rest.split_once('\\') else { return false };
    VERBS.contains(&verb) && !marks.subresource.is_in(rest)
}
