//! Sources: one log format a file, each yielding [`Activity`] values.
//!
//! Lenient about everything but the few fields it needs. What cannot be read is an explicit
//! [`Unreadable`], never a silent skip.
//!
//! ```text
//! bytes -> text (gzip, JSON lines) -> wrap (SQS, SNS, failure records) -> eventbridge
//!                                                                      -> cloudtrail, ecr_events, ecs_task,
//!                                                                         guardduty, inspector, pull_through
//!                                                                      -> ocsf, azure, gcp
//!                                                                      -> awslogs -> lines -> one log format each
//! ```

mod auditd;
mod awslogs;
mod azure;
mod cloudtrail;
mod docker_events;
mod ecr_events;
mod ecs_task;
mod eks_actor;
mod eks_audit;
mod envelope;
mod eventbridge;
mod fields;
mod findings;
mod flow_log;
mod gcp;
mod guardduty;
mod image_ref;
mod inspector;
mod lines;
mod ocsf;
mod pull_through;
mod resolver;
mod shortcut;
mod split;
mod sysmon;
mod tetragon;
mod text;
mod trust;
mod wrap;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::activity::Activity;

pub use cloudtrail::may_be_judged;
pub use cloudtrail::monitoring::watch_over;
pub(crate) use text::parse;
pub use text::read_bytes;
pub use trust::{Exporter, LogFormat, LogFormats, Trust};
pub use wrap::{errand, read_sqs};

/// What the surroundings know that a record may lack.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `--account`, or the function's own. The record's and its envelope's go first.
    pub account: Option<String>,
    /// The function's own region. The record's and its envelope's go first.
    pub region: Option<String>,
    /// When the payload arrived: stands in for an event's time where it has none.
    pub received: DateTime<Utc>,
    /// The fields of VPC flow logs in their order, where a custom format is not told by a header line:
    /// `${version} ${account-id} ...`.
    pub flow_log_format: Option<String>,
    /// Who may speak, and whether events are judged as they arrive.
    pub trust: Trust,
}

impl Surroundings {
    /// Surroundings that know only when the payload arrived.
    pub fn new(received: DateTime<Utc>) -> Self {
        Self { account: None, region: None, received, flow_log_format: None, trust: Trust::default() }
    }
}

/// What a payload held. Never nothing at all: a payload without a record counts as one ignored.
#[derive(Debug, Default)]
pub struct Reading {
    pub activities: Vec<Activity>,
    /// Records understood, of which nothing is to be judged (other API calls, clean scans' notices).
    pub ignored: usize,
    /// Records that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Lines that were understood and are not believed, by the reason: what a container printed that is not
    /// Tetragon's exporter, a format that the log group is not declared to carry.
    pub refused: BTreeMap<String, usize>,
}

impl Reading {
    fn of(activities: Vec<Activity>) -> Self {
        if activities.is_empty() { Self::ignored() } else { Self { activities, ..Self::default() } }
    }

    fn ignored() -> Self {
        Self { ignored: 1, ..Self::default() }
    }

    fn unreadable(place: &str, reason: impl Into<String>) -> Self {
        let unreadable = Unreadable { reason: reason.into(), place: place.to_owned(), raw: None };
        Self { unreadable: vec![unreadable], ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.activities.extend(other.activities);
        self.ignored = self.ignored.saturating_add(other.ignored);
        self.unreadable.extend(other.unreadable);
        for (reason, count) in other.refused {
            let known = self.refused.entry(reason).or_default();
            *known = known.saturating_add(count);
        }
    }
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, for a person: `CloudTrail record without eventName`.
    pub reason: String,
    /// Where in the payload: `Records[3]`; empty for the payload itself.
    pub place: String,
    /// The record as a payload of its own, where its place alone does not lead to it (lines of a compressed
    /// batch): JSON that [`read`] takes.
    pub raw: Option<String>,
}

/// Reads any payload this knows, wrapped or not: EventBridge events, CloudTrail records and log files,
/// Security Lake's OCSF, Azure's activity log, Google Cloud's audit log, SQS and SNS deliveries of these, Lambda's failure records.
pub fn read(payload: &Value, surroundings: &Surroundings) -> Reading {
    wrap::read(payload, &envelope::Envelope::outermost(surroundings))
}

#[cfg(test)]
mod tests;
