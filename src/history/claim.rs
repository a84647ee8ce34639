//! Claims: who is telling what, so that the same event is told once.
//!
//! Claim, publish, confirm. A claim is a lease: whoever dies holding it is replaced when it runs out.
//! A crash between publish and confirm repeats a message; nothing loses one.

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

/// Takes a claim until the lease ends.
pub fn take(record: &mut Record, token: &str, until: DateTime<Utc>, now: DateTime<Utc>) {
    record.claim = Some(Claim { token: token.to_owned(), until, done: false });
    record.touch(now);
}

/// Marks the message as out.
pub fn confirm(record: &mut Record, token: &str, now: DateTime<Utc>) {
    record.claim = Some(Claim { token: token.to_owned(), until: now, done: true });
    record.touch(now);
}
