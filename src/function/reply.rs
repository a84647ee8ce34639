//! What an invocation answers, and how it fails.

use lambda_runtime::Diagnostic;
use serde::Serialize;

use super::hunt::{Hunted, Summed};
use super::metrics::Tally;
use super::self_check::Checked;
use super::sweep::Swept;
use crate::history::StoreError;
use crate::history::deliver::DeliveryError;

/// The reply: what was done, in numbers.
#[derive(Debug, Serialize)]
pub(super) struct Reply {
    activities: u64,
    ignored: u64,
    unreadable: u64,
    alerts: u64,
    published: u64,
    below_floor: u64,
    suppressed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_note: Option<String>,
    /// For SQS input: the messages that are to be delivered again.
    #[serde(rename = "batchItemFailures", skip_serializing_if = "Option::is_none")]
    batch_item_failures: Option<Vec<ItemFailure>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

/// What came of an errand.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Reconcile(Swept),
    SelfCheck(Checked),
    Hunt(Hunted),
    HuntSummary(Summed),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl Reply {
    pub(super) fn new(
        tally: &Tally,
        policy_note: Option<String>,
        returned: Option<Vec<String>>,
        report: Option<Report>,
    ) -> Self {
        let failures = |ids: Vec<String>| {
            ids.into_iter().map(|item_identifier| ItemFailure { item_identifier }).collect()
        };
        Self {
            activities: tally.activities,
            ignored: tally.ignored,
            unreadable: tally.unreadable,
            alerts: tally.alerts,
            published: tally.published,
            below_floor: tally.below_floor,
            suppressed: tally.suppressed,
            policy_note,
            batch_item_failures: returned.map(failures),
            report,
        }
    }
}

/// Why an invocation, or one message of it, failed. Everything of it comes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    #[error("{0}")]
    NotPublished(String),
    #[error("out of time: {0}")]
    OutOfTime(String),
    /// A look-up failed for a reason that passes: the event has to be judged again.
    #[error("a look-up failed that may succeed later: {0}")]
    Lookup(String),
    #[error("{0}")]
    History(String),
    #[error("unreadable input: {0}")]
    Unreadable(String),
    #[error("an unreadable record could not be kept: {0}")]
    NotKept(String),
    #[error("the sweep stopped: {0}")]
    Sweep(String),
    #[error("the hunt stopped: {0}")]
    Hunt(String),
}

impl From<DeliveryError> for Failed {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Publish(reason) => Self::NotPublished(reason),
            DeliveryError::OutOfTime => Self::OutOfTime("an alert could not be published in time".to_owned()),
            DeliveryError::Store(_) | DeliveryError::Busy(_) => Self::History(error.to_string()),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::History(error.to_string())
    }
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        let error_type = match &failed {
            Failed::NotPublished(_) => "NotPublished",
            Failed::History(_) => "History",
            Failed::OutOfTime(_) => "OutOfTime",
            Failed::Lookup(_) => "LookupFailed",
            Failed::Unreadable(_) => "Unreadable",
            Failed::NotKept(_) => "NotKept",
            Failed::Sweep(_) => "Sweep",
            Failed::Hunt(_) => "Hunt",
        };
        Diagnostic { error_type: error_type.to_owned(), error_message: failed.to_string() }
    }
}
