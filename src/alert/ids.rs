//! The names that threads and messages keep, however often they are told.

use super::Alert;

impl Alert {
    /// The thread: account, region, subject and start of the window, hashed. 32 hexadecimal digits.
    /// OCSF `finding_info.uid`, Amazon Q Developer `threadId`.
    pub fn thread_uid(&self) -> String {
        let [kind, name, rest] = self.subject.parts();
        let start = self.window_start.timestamp().to_string();
        hash(&["thread", &self.activity.account, &self.activity.region, kind, name, rest, &start])
    }

    /// The message: the thread and the source event, so that a second delivery of the same event has
    /// the same. 32 hexadecimal digits. OCSF `metadata.uid`.
    pub fn message_uid(&self) -> String {
        hash(&["message", &self.thread_uid(), &self.activity.id])
    }
}

/// Half of SHA-256 is enough to tell threads apart, and fits every tool's id fields.
fn hash(parts: &[&str]) -> String {
    let mut hex = crate::hash::hex(parts);
    hex.truncate(32);
    hex
}
