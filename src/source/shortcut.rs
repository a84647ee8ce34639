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
//! once. There a quote between two fields is `\"`, and one within a string `\\\"`: what follows a comma as
//! `,\"` is a field's name and no string's content. Where a line is not laid out as its writer lays it
//! out, it is parsed in full.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use memchr::memmem::Finder;

use super::envelope::Envelope;
use super::tetragon::PROBE;

/// A field's name as it stands in an escaped line, and where it is.
struct Mark(Finder<'static>);

impl Mark {
    fn new(text: &'static str) -> Self {
        Self(Finder::new(text))
    }

    /// What stands before the mark, and what from it on.
    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        text.split_at_checked(self.0.find(text.as_bytes())?)
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.find(text.as_bytes()).is_some()
    }
}

struct Marks {
    uid: Mark,
    binary: Mark,
    start_time: Mark,
    auid: Mark,
    parent_exec_id: Mark,
    parent: Mark,
    node_name: Mark,
    time: Mark,
    user: Mark,
    environment: Mark,
    probe: Mark,
    verb: Mark,
    exec: Mark,
    log: Mark,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| Marks {
    uid: Mark::new(r#",\"uid\":"#),
    binary: Mark::new(r#",\"binary\":\""#),
    start_time: Mark::new(r#",\"start_time\":\""#),
    auid: Mark::new(r#",\"auid\":"#),
    parent_exec_id: Mark::new(r#",\"parent_exec_id\":"#),
    parent: Mark::new(r#",\"parent\":{"#),
    node_name: Mark::new(r#",\"node_name\":"#),
    time: Mark::new(r#",\"time\":\""#),
    user: Mark::new(r#"\"user\":"#),
    environment: Mark::new("environment_variables"),
    probe: Mark::new(PROBE),
    verb: Mark::new(r#",\"verb\":\""#),
    exec: Mark::new(r#"\"subresource\":\""#),
    log: Mark::new(r#""log":""#),
});

const EXEC: &str = r#"{\"process_exec\":{\"process\":{\"exec_id\":\""#;
const EXIT: &str = r#"{\"process_exit\":{\"process\":{"#;
const KPROBE: &str = r#"{\"process_kprobe\":{\"process\":{"#;
const AUDIT: &str = r#"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/"#;
const RECEIVED: &str = r#"\",\"stage\":\"RequestReceived\",\"requestURI\":\""#;
/// Verbs after which nothing new runs.
const VERBS: [&str; 6] = ["get", "list", "watch", "delete", "deletecollection", "head"];

/// What of a batch was seen so far.
pub(super) struct Shortcut {
    /// By what a program start tells: the earliest time that was let through. Twice hashed with keys of
    /// this process's own, so that nobody can make two starts look alike.
    seen: HashMap<(u64, u64), DateTime<Utc>>,
    hashers: (RandomState, RandomState),
}

impl Default for Shortcut {
    fn default() -> Self {
        Self { seen: HashMap::new(), hashers: (RandomState::new(), RandomState::new()) }
    }
}

impl Shortcut {
    /// Whether a line can be left out. `raw` is its text between the quotes, escapes and all.
    pub fn drops(&mut self, raw: &str, envelope: &Envelope<'_>) -> bool {
        if raw.starts_with(EXEC) {
            return self.repeats(raw, envelope).unwrap_or(false);
        }
        if raw.starts_with(EXIT) {
            return raw.ends_with('}');
        }
        if raw.starts_with(KPROBE) {
            return raw.ends_with('}') && !MARKS.probe.is_in(raw);
        }
        raw.starts_with(AUDIT) && raw.ends_with('}') && declares_nothing(raw)
    }

    /// The same for a line inside a log shipper's document, which here is the line itself.
    pub fn drops_shipped(&mut self, line: &str, envelope: &Envelope<'_>) -> bool {
        let Some((before, after)) = MARKS.log.split(line) else { return false };
        // Where the shipper parsed the line, or tells the node, that goes with it.
        let nested = before.bytes().filter(|byte| *byte == b'{').count() != 1;
        if nested || !line.starts_with('{') || before.contains("log_processed") || before.contains("process_")
        {
            return false;
        }
        let Some(raw) = after.get(r#""log":""#.len()..) else { return false };
        let Some((raw, rest)) = end_of_text(raw) else { return false };
        let raw = raw.strip_suffix(r"\n").unwrap_or(raw);
        if !rest.ends_with('}') || rest.contains("log_processed") || rest.contains("process_") {
            return false;
        }
        // The node that the shipper tells stands in only where the line tells none.
        if raw.starts_with(EXEC) && !MARKS.node_name.is_in(raw) {
            return false;
        }
        self.drops(raw, envelope)
    }

    /// `None` where the line is laid out in another way.
    fn repeats(&mut self, raw: &str, envelope: &Envelope<'_>) -> Option<bool> {
        let marks = &*MARKS;
        let (_, rest) = marks.uid.split(raw)?;
        let (what, rest) = marks.start_time.split(rest)?;
        let (started, rest) = marks.auid.split(rest)?;
        let (place, rest) = marks.parent_exec_id.split(rest)?;
        let (between, rest) = marks.parent.split(rest)?;
        // A start that names no program is told as unreadable, each time.
        let (_, binary) = marks.binary.split(what)?;
        if binary.get(r#",\"binary\":\""#.len()..)?.starts_with('\\') {
            return None;
        }
        if marks.user.is_in(between) || marks.environment.is_in(between) {
            return None;
        }
        let (_, rest) = marks.uid.split(rest)?;
        let (parent, rest) = marks.start_time.split(rest)?;
        let (_, rest) = marks.node_name.split(rest)?;
        let (node, rest) = marks.time.split(rest)?;
        let (_, after) = rest.get(r#",\"time\":\""#.len()..)?.split_once('\\')?;
        if !raw.ends_with('}') {
            return None;
        }
        let started = started.strip_prefix(r#",\"start_time\":\""#)?.strip_suffix(r#"\""#)?;
        let time = envelope.time_of(started)?;
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            for part in [what, place, parent, node, after] {
                hasher.write(part.as_bytes());
                hasher.write_u8(0xff);
            }
            hasher.finish()
        };
        let key = (hash(&self.hashers.0), hash(&self.hashers.1));
        match self.seen.get_mut(&key) {
            Some(earliest) if *earliest <= time => Some(true),
            Some(earliest) => {
                *earliest = time;
                Some(false)
            }
            None => {
                self.seen.insert(key, time);
                Some(false)
            }
        }
    }
}

/// The API server writes stage, address and verb in this order before anything that a caller chose the
/// field names of.
fn declares_nothing(raw: &str) -> bool {
    let Some((before, rest)) = MARKS.verb.split(raw) else { return false };
    if before.contains(RECEIVED) {
        return true;
    }
    let Some((verb, _)) = rest.get(r#",\"verb\":\""#.len()..).and_then(|rest| rest.split_once('\\')) else {
        return false;
    };
    VERBS.contains(&verb) && !MARKS.exec.is_in(rest)
}

/// A JSON string's content up to its closing quote, and what follows.
fn end_of_text(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut from = 0_usize;
    loop {
        let at = from.checked_add(memchr::memchr(b'"', bytes.get(from..)?)?)?;
        let escapes = bytes.get(..at)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((text.get(..at)?, text.get(at.checked_add(1)?..)?));
        }
        from = at.checked_add(1)?;
    }
}
