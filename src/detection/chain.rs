//! What the chains share: their steps as history has them, and how a time line is shown.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Context, Detection};
use crate::activity::Activity;
use crate::history::{Kind, Record, Trace, trail};
use crate::text;

/// Subjects that one event tells at most: each is an alert, and all of them share one transaction. The
/// next event about any of the others tells that one.
pub const MOST_TOLD: usize = 20;

/// Clocks of different logs differ by so much.
const SLACK: TimeDelta = TimeDelta::seconds(5);

/// The records about the activity's subjects as they are with it.
pub fn records(activity: &Activity, context: &Context<'_>) -> Vec<Record> {
    let matched: Vec<&'static Detection> = context.matches.iter().map(|(detection, _)| *detection).collect();
    trail::with(activity, &matched, context.policy, context.memory)
}

/// One step of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    pub trace: &'a Trace,
    /// The record's kind and id: steps of different subjects do not make one chain.
    pub kind: Kind,
    pub subject: &'a str,
}

impl<'a> Step<'a> {
    pub fn is(&self, label: &str) -> bool {
        self.trace.label == label
    }

    /// The detection that matched, where it is a match of one of these.
    pub fn matched(&self, ids: &[&str]) -> Option<&'a str> {
        let id = self.trace.detail.split(' ').next().unwrap_or_default();
        (self.is(trail::label::MATCH) && ids.contains(&id)).then_some(id)
    }

    /// Whether it came before a moment, by no more than the window.
    pub fn within(&self, window: TimeDelta, until: DateTime<Utc>) -> bool {
        let span = until - self.trace.time;
        span >= -SLACK && span <= window
    }
}

/// Every step in these records, in the order of time.
pub fn steps<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = records
        .into_iter()
        .flat_map(|record| {
            record.traces.iter().map(|trace| Step { trace, kind: record.key.kind, subject: &record.key.id })
        })
        .collect();
    steps.sort_by(|a, b| (a.trace, a.subject).cmp(&(b.trace, b.subject)));
    steps
}

/// Characters of a line that are shown.
const LINE: usize = 240;

/// The chain as lines with their times, each once.
pub fn timeline(lines: &[(DateTime<Utc>, String)]) -> Value {
    let mut lines: Vec<&(DateTime<Utc>, String)> = lines.iter().collect();
    lines.sort();
    lines.dedup();
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(time, what)| format!("{} {}", time.format("%Y-%m-%dT%H:%M:%SZ"), text::clean(what, LINE)))
        .collect();
    json!(lines)
}
