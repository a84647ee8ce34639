//! The sweep: what events have missed. CloudTrail's event history has every launch and push of the last
//! ninety days, whether EventBridge delivered it or not, and EC2 knows what runs. What is found there and
//! of which history has no mark goes the way of any other event; how much that is, is published.
//!
//! It covers the function's own account and region, from the first sweep on, up to
//! [`cursor::MARGIN`](crate::history::cursor::MARGIN) ago. It is bounded by the invocation's time and goes
//! on where it stopped.

mod event_history;
mod events;
mod fleet;
mod instances;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;

use super::handler::{App, Invocation};
use super::metrics::SweepTally;
use super::reply::Failed;
use super::work::{self, Waiting};
use crate::activity::Activity;
use crate::aws::{Cause, Failure};
use crate::history::cursor::Cursor;
use crate::history::{Key, Store};
use crate::source::Surroundings;
pub(super) use progress::load;

/// The calls that are looked for: launches and pushes, each with the share of the time that is left by
/// then at most.
pub(super) const CALLS: [(&str, f64); 2] = [("RunInstances", 0.4), ("PutImage", 0.5)];

/// The state of the sweep over running instances.
pub(super) const INSTANCES: &str = "instances";

/// What a sweep came to: part of the reply and of the log.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Swept {
    /// Account and region that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) covers: Option<String>,
    /// Up to when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<DateTime<Utc>>,
    /// Events of the event history that were compared with what has arrived.
    pub(super) compared: u64,
    /// Those that had not arrived.
    pub(super) missed_events: u64,
    pub(super) missed_instances: u64,
    /// Entries of the event history that could not be read.
    pub(super) unreadable: u64,
    /// How much of what should be covered is not.
    pub(super) behind_seconds: u64,
    /// What was not done, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

impl Swept {
    fn reached(&mut self, cursor: &Cursor, now: DateTime<Utc>) {
        let until = self.until.map_or(cursor.covered, |until| until.min(cursor.covered));
        self.until = Some(until);
        let behind = u64::try_from(cursor.behind(now).num_seconds()).unwrap_or_default();
        self.behind_seconds = self.behind_seconds.max(behind);
    }

    fn note(&mut self, part: &str, what: &str) {
        self.notes.push(format!("{part}: {what}"));
    }
}

/// Judges what a sweep found.
pub(super) trait Judge: Sync {
    fn judge(&self, activities: Vec<Activity>) -> impl Future<Output = Result<(), Failed>> + Send;
}

struct Live<'a> {
    app: &'a Arc<App>,
    invocation: &'a Arc<Invocation>,
}

impl Judge for Live<'_> {
    async fn judge(&self, activities: Vec<Activity>) -> Result<(), Failed> {
        let waiting = |activity| Waiting { activity: Arc::new(activity), receives: None };
        let waiting = activities.into_iter().map(waiting).collect();
        let results = work::all(self.app, waiting, self.invocation).await;
        results.into_iter().fold(Ok(()), Result::and)
    }
}

/// What all parts of a sweep share.
pub(super) struct Ground<'a, S, J> {
    pub(super) store: &'a S,
    pub(super) judge: &'a J,
    pub(super) surroundings: &'a Surroundings,
    pub(super) now: DateTime<Utc>,
    /// Nothing more is begun after that.
    pub(super) until: Instant,
    /// Between two requests for the event history.
    pub(super) pace: Duration,
}

impl<S, J> Ground<'_, S, J> {
    /// Account and region; empty where they are not known.
    fn place(&self) -> (&str, &str) {
        let Surroundings { account, region, .. } = self.surroundings;
        (account.as_deref().unwrap_or_default(), region.as_deref().unwrap_or_default())
    }
}

/// # Errors
/// When the store, the event history or EC2 refuse, or an alert could not be published. What was done is
/// remembered as done.
pub(super) async fn run(app: Arc<App>, invocation: &Arc<Invocation>) -> Result<Swept, Failed> {
    let Some(store) = &invocation.store else {
        let note = "no HISTORY_TABLE is set: without it nobody knows which events have arrived, and there is nothing \
                    to compare with";
        tracing::warn!(note, "not swept");
        return Ok(Swept { notes: vec![note.to_owned()], ..Swept::default() });
    };
    let judge = Live { app: &app, invocation };
    let mut swept = Swept::default();
    let around = &invocation.surroundings;
    swept.covers = around.account.as_deref().zip(around.region.as_deref()).map(|(a, r)| format!("{a} {r}"));
    let history = event_history::CloudTrail::new(&app.sdk);
    let fleet = fleet::Ec2::new(&app.sdk);
    let mut result = Ok(());
    let mut ground = Ground {
        store,
        judge: &judge,
        surroundings: around,
        now: Utc::now(),
        until: invocation.deadline,
        pace: event_history::PACE,
    };
    for (call, share) in CALLS {
        let left = invocation.deadline.saturating_duration_since(Instant::now());
        ground.until = Instant::now() + left.mul_f64(share);
        result = result.and(events::sweep(&ground, &history, call, &mut swept).await);
    }
    ground.until = invocation.deadline;
    result = result.and(instances::sweep(&ground, &fleet, &mut swept).await);
    invocation.count(|tally| {
        // How long ago things happened says nothing about how events are delivered.
        tally.latencies.clear();
        if result.is_ok() {
            tally.sweep = Some(SweepTally {
                compared: swept.compared,
                missed_events: swept.missed_events,
                missed_instances: swept.missed_instances,
                behind_seconds: swept.behind_seconds,
            });
        }
    });
    let line = serde_json::to_string(&swept).unwrap_or_default();
    tracing::info!(sweep = line, "swept");
    result.map(|()| swept)
}

/// Which of these the store has.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn known<S: Store>(
    store: &S,
    keys: &[Key],
    now: DateTime<Utc>,
) -> Result<BTreeSet<Key>, Failed> {
    let records = load(store, keys).await?.into_iter().map(|record| record.fresh(now));
    Ok(records.filter(|record| record.sighting.is_some()).map(|record| record.key).collect())
}

/// A failed call is the sweep's end for now; one that was merely throttled or slow is no failure.
fn stopped(call: &str, failure: &Failure, swept: &mut Swept) -> Result<(), Failed> {
    let reason = format!("{call}: {}", failure.reason());
    match failure.cause {
        Cause::Throttled | Cause::OutOfTime => {
            swept.notes.push(format!("{reason}; the next sweep goes on there"));
            Ok(())
        }
        _ => {
            tracing::error!(
                call,
                code = failure.code.as_deref(),
                detail = failure.detail,
                "the sweep's call failed"
            );
            Err(Failed::Sweep(reason))
        }
    }
}
