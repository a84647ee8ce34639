//! Sources: one log format a file, each yielding [`Activity`] values.
//!
//! Lenient about everything but the few fields it needs. What cannot be read is an explicit
//! [`Unreadable`], never a silent skip.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::activity::Activity;

/// What the surroundings know that a record may lack.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `--account`, or the function's own. The record's and its envelope's go first.
    pub account: Option<String>,
    /// The function's own region. The record's and its envelope's go first.
    pub region: Option<String>,
    /// When the payload arrived: stands in for an event's time where it has none.
    pub received: DateTime<Utc>,
}

/// What a payload held.
#[derive(Debug, Default)]
pub struct Reading {
    pub activities: Vec<Activity>,
    /// Records understood, of which nothing is to be judged (other API calls, clean scans' notices).
    pub ignored: usize,
    /// Records that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, for a person: `CloudTrail record without eventName`.
    pub reason: String,
    /// Where in the payload: `Records[3]`; empty for the payload itself.
    pub place: String,
}

/// Reads any payload this knows, wrapped or not.
pub fn read(payload: &Value, surroundings: &Surroundings) -> Reading {
    let _ = (payload, surroundings);
    Reading::default()
}
