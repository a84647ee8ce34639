//! Claims: which process publishes an alert, so that each sink receives it once.
//!
//! A process takes the claim, publishes, and confirms. A claim is a lease. When a process dies, its lease runs
//! out and another process takes the claim. When a publish is refused, the process releases the claim at once.
//! The claim lists the sinks that have the message, so a sink that is down causes no repetition at the others.
//! A crash between publish and confirm repeats a message and never loses one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Record;

/// The state of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who took it: a request that is sent twice recognises its own success.
    pub token: String,
    /// When others may take it.
    pub until: DateTime<Utc>,
    /// The message is out.
    pub done: bool,
    /// The sinks that have the message already.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<String>,
    /// How it is told: decided once, in the transaction that takes the claim.
    #[serde(default, skip_serializing_if = "Form::is_single")]
    pub form: Form,
}

/// How an event's alert is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// By a message of its own.
    #[default]
    Single,
    /// By the summary of a storm.
    Summary,
}

impl Form {
    fn is_single(&self) -> bool {
        *self == Form::Single
    }
}

/// What a claim record says to somebody who wants to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Free, expired, or already one's own.
    Free,
    /// Told before: nothing to do.
    Done,
    /// Somebody else is at it until then.
    Taken(DateTime<Utc>),
}

/// How a claim stands for the holder of a token.
pub fn standing(record: &Record, token: &str, now: DateTime<Utc>) -> Standing {
    match &record.claim {
        None => Standing::Free,
        Some(claim) if claim.done => Standing::Done,
        Some(claim) if claim.token == token || claim.until <= now => Standing::Free,
        Some(claim) => Standing::Taken(claim.until),
    }
}

/// Takes a claim until the lease ends. The sinks that have the message stay known.
pub fn take(record: &mut Record, token: &str, until: DateTime<Utc>, form: Form, now: DateTime<Utc>) {
    let told = record.claim.take().map(|claim| claim.told).unwrap_or_default();
    record.claim = Some(Claim { token: token.to_owned(), until, done: false, told, form });
    record.touch(now);
}

/// Whether a sink has the message.
pub fn has(record: &Record, sink: &str) -> bool {
    record.claim.as_ref().is_some_and(|claim| claim.told.contains(sink))
}

/// Notes that a sink has the message.
pub fn tell(record: &mut Record, sink: &str) {
    if let Some(claim) = &mut record.claim {
        claim.told.insert(sink.to_owned());
    }
}

/// Marks the message as out.
pub fn confirm(record: &mut Record, token: &str, now: DateTime<Utc>) {
    end(record, token, true, now);
}

/// Gives the claim back: a sink refused the message, so that whoever comes next may try at once.
pub fn release(record: &mut Record, token: &str, now: DateTime<Utc>) {
    end(record, token, false, now);
}

fn end(record: &mut Record, token: &str, done: bool, now: DateTime<Utc>) {
    let (told, form) = record.claim.take().map(|claim| (claim.told, claim.form)).unwrap_or_default();
    // What is done needs no list of its sinks.
    let told = if done { BTreeSet::new() } else { told };
    record.claim = Some(Claim { token: token.to_owned(), until: now, done, told, form });
    record.touch(now);
}
