//! Threads: all alerts about one subject within a window.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::alert::thousands;
use crate::severity::Severity;

/// How long after (or before: events arrive in any order) the alert that opened it a thread goes on.
pub const LENGTH: TimeDelta = TimeDelta::hours(24);

/// How many windows a subject's record keeps, the newest.
pub const MOST_WINDOWS: usize = 4;

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Event time of the alert that opened it; part of the thread's uid.
    pub start: DateTime<Utc>,
    /// The event that opened it.
    pub opener: String,
    /// What has been told in it (detections, higher severities, round counts), and by which event. Until
    /// that event's claim is confirmed the event still owes the message.
    pub told: BTreeMap<String, String>,
    /// The most severe that has been told.
    pub severity: Severity,
    /// How many events joined it.
    pub count: u64,
    /// How many instances or tasks they started, and how many of them the last message knew of.
    #[serde(default)]
    pub instances: u64,
    #[serde(default)]
    pub told_instances: u64,
}

/// One event's share in a thread.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub time: DateTime<Utc>,
    /// The source event's id.
    pub source: &'a str,
    /// Ids of what matched.
    pub detections: &'a [&'static str],
    pub severity: Severity,
    /// How many instances or tasks the event started.
    pub instances: u64,
    /// From how many events on a round count is news.
    pub milestone: u64,
    /// It has been here before, and was not told to the end.
    pub counted: bool,
}

/// What an alert is to its thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The first of its thread.
    Opens,
    /// Brings something new: detections, a higher severity, or a count that people should know of.
    Follows { start: DateTime<Utc>, news: Vec<String>, count: u64 },
    /// Says what has been said; only counted.
    Repeats { start: DateTime<Utc>, count: u64 },
}

/// Writes an event into its subject's thread and says what its alert is to the thread.
///
/// An event that comes again before its message is confirmed (a crash, a retry) is told by the same
/// rule: what it was the first to tell, it still owes. Callers have checked that it is not confirmed.
pub fn enter(record: &mut Record, entry: &Entry<'_>) -> Place {
    let Some(window) = record.windows.iter_mut().find(|window| (entry.time - window.start).abs() < LENGTH)
    else {
        let told = entry.detections.iter().map(|id| ((*id).to_owned(), entry.source.to_owned())).collect();
        let opener = entry.source.to_owned();
        record.windows.push(Window {
            start: entry.time,
            opener,
            told,
            severity: entry.severity,
            count: 1,
            instances: entry.instances,
            told_instances: entry.instances,
        });
        record.windows.sort_by_key(|window| window.start);
        if record.windows.len() > MOST_WINDOWS {
            record.windows.remove(0);
        }
        return Place::Opens;
    };
    if window.opener == entry.source {
        return Place::Opens;
    }
    let start = window.start;
    if !entry.counted {
        window.count = window.count.saturating_add(1);
        if window.count >= entry.milestone && is_milestone(window.count) {
            let count = format!("{} events so far", thousands(window.count));
            window.told.insert(count, entry.source.to_owned());
        }
        window.instances = window.instances.saturating_add(entry.instances);
        if window.instances >= window.told_instances.max(1).saturating_mul(10) {
            window.told_instances = window.instances;
            let instances = format!("{} instances or tasks so far", thousands(window.instances));
            window.told.insert(instances, entry.source.to_owned());
        }
    }
    for id in entry.detections {
        window.told.entry((*id).to_owned()).or_insert_with(|| entry.source.to_owned());
    }
    if entry.severity > window.severity {
        window.severity = entry.severity;
        window.told.insert(format!("severity is now {}", entry.severity), entry.source.to_owned());
    }
    let owed = window.told.iter().filter(|(_, teller)| *teller == entry.source);
    let news: Vec<String> = owed.map(|(what, _)| what.clone()).collect();
    let count = window.count;
    if news.is_empty() { Place::Repeats { start, count } } else { Place::Follows { start, news, count } }
}

/// 10, 100, 1,000 ...: worth a message each, not one for every event.
fn is_milestone(count: u64) -> bool {
    std::iter::successors(Some(10u64), |power| power.checked_mul(10)).any(|power| power == count)
}
