//! Alerts: all matches of one event about one subject, and their renderings.

pub mod chat;
mod console;
mod deeds;
pub mod email;
mod evidence;
mod explain;
mod gather;
pub mod hunted;
mod ids;
mod merge;
mod message;
pub mod ocsf;
mod paint;
mod quiet;
pub mod report;
mod safe;
mod shape;
mod storm;
mod subject;
pub mod terminal;
#[cfg(test)]
mod testing;
mod words;

pub use explain::explain;
pub use merge::{Told, alerts};
pub use message::{Attribute, HttpsBody, MAX_BYTES, Message, chat_message, message};
pub use storm::summary;
pub use subject::subject;
#[cfg(feature = "aws")]
pub(crate) use words::what;
pub(crate) use words::{count, thousands};

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::Activity;
use crate::detection::{Detection, Match, Reason, Subject};
use crate::severity::Severity;

/// One message to people and machines: what one event showed about one subject.
#[derive(Clone)]
pub struct Alert {
    pub activity: Arc<Activity>,
    pub subject: Subject,
    /// At least one, most severe first, ties in registry order. Each with its effective severity and
    /// score: the policy's, else the match's, else the detection's.
    pub findings: Vec<Finding>,
    /// What could not be told or looked at, by which detection.
    pub not_inspected: Vec<NotInspected>,
    /// Under `notify.minimum_severity`: printed by `check`, not published.
    pub below_floor: bool,
    /// Start of the window that the thread belongs to.
    pub window_start: DateTime<Utc>,
    /// Set where the configured policy could not be loaded and the bundled one judged instead.
    pub policy_note: Option<String>,
    /// No history is kept: the same alert may have been told before. Its [`MAY_REPEAT`] says so.
    pub may_repeat: bool,
    /// A follow-up in a thread that has been opened before (OCSF `activity_id` 2).
    pub update: bool,
    /// What is new in its thread besides detections: how many events there were, how many instances.
    pub news: Vec<String>,
    /// Set in the summary of a storm: it stands for many alerts.
    pub storm: Option<Storm>,
}

/// What a storm's summary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    /// How many alerts there were, with those that were told singly.
    pub count: u64,
    /// The subjects that matter most.
    pub subjects: Vec<String>,
}

/// What an alert says where no history is kept.
pub(crate) const MAY_REPEAT: &str = "No history is kept (HISTORY_TABLE is not set): this may be a repetition, and nothing joins it to what \
     happened before.";

/// One detection's match in an alert.
#[derive(Clone)]
pub struct Finding {
    pub detection: &'static Detection,
    pub severity: Severity,
    pub score: u32,
    pub matched: Match,
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotInspected {
    pub detection: &'static str,
    pub reason: Reason,
}

impl Alert {
    /// What a reader has to know besides: what is new in the thread, the policy, and the history.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &str> {
        let news = self.news.iter().map(String::as_str);
        news.chain(self.policy_note.as_deref()).chain(self.may_repeat.then_some(MAY_REPEAT))
    }

    /// The most severe finding's severity.
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Informational)
    }

    /// The most severe finding: the OCSF analytic.
    pub fn lead(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// What the most severe finding says, where it says something.
    pub fn lead_summary(&self) -> Option<&str> {
        self.lead().map(|lead| lead.matched.summary.as_str()).filter(|summary| !summary.is_empty())
    }
}
