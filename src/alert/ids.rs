//! The names that threads and messages keep, however often they are told.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Alert;
use crate::detection::Subject;

impl Alert {
    /// The thread: account, region, subject and start of the window, hashed. 32 hexadecimal digits.
    /// OCSF `finding_info.uid`, Amazon Q Developer `threadId`.
    pub fn thread_uid(&self) -> String {
        let (kind, name, rest) = match &self.subject {
            Subject::MachineImage { image, principal } => ("machine-image", image, principal),
            Subject::Push { repository, principal } => ("push", repository, principal),
            Subject::Scan { repository, digest } => ("scan", repository, digest),
            Subject::GuardRail { setting, target } => ("guard-rail", setting, target),
            Subject::Blind { detection, code } => ("blind", detection, code),
        };
        let start = self.window_start.timestamp().to_string();
        hash(&["thread", &self.activity.account, &self.activity.region, kind, name, rest, &start])
    }

    /// The message: the thread and the source event, so that a second delivery of the same event has
    /// the same. 32 hexadecimal digits. OCSF `metadata.uid`.
    pub fn message_uid(&self) -> String {
        hash(&["message", &self.thread_uid(), &self.activity.id])
    }
}

/// Lengths go in too: no choice of names makes two lists of parts alike.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
