//! One activity: judged.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::attempts;
use super::handler::{App, Invocation};
use super::reply::Failed;
use super::tell::Topics;
use super::work::Waiting;
use crate::activity::Activity;
use crate::alert::{self, Told};
use crate::engine::FailedLookup;
use crate::history::Store;
use crate::lookup::aws::ACTIVITY_TIME;
use crate::lookup::{Fact, FactKey, Lookup};
use crate::pipeline::Pipeline;

/// What there is to tell of an activity.
pub(super) struct Judged {
    pub(super) activity: Arc<Activity>,
    pub(super) told: Told,
    /// Look-ups that could not be made.
    pub(super) unavailable: Vec<FailedLookup>,
    /// The how manieth time it is that the event could not be judged to the end, where that is known.
    pub(super) attempt: Option<u64>,
}

impl Judged {
    /// Look-ups that may succeed when the event comes again.
    pub(super) fn passing(&self) -> impl Iterator<Item = &FailedLookup> {
        self.unavailable.iter().filter(|failed| failed.missing.cause.is_passing())
    }
}

/// Lets the next activity begin: once this one is judged, or waits for AWS.
pub(super) type Gate = oneshot::Sender<()>;

/// A look-up that opens the gate before it asks AWS.
struct Gated<'a, L> {
    lookup: &'a L,
    gate: Mutex<Option<Gate>>,
}

impl<L: Lookup> Lookup for Gated<'_, L> {
    fn fetch(&self, keys: &[FactKey]) -> impl Future<Output = Vec<(FactKey, Fact)>> + Send {
        if !keys.is_empty() {
            // Whoever waits for it hears that it is gone.
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        self.lookup.fetch(keys)
    }
}

/// What it leaves behind is in the invocation's records, and not yet in the table.
///
/// # Errors
/// When there was no time left, or the history did not answer.
pub(super) async fn one(
    app: Arc<App>,
    waiting: Waiting,
    gate: Gate,
    invocation: Arc<Invocation>,
) -> Result<Judged, Failed> {
    let Waiting { activity, receives } = waiting;
    let first = invocation.begin();
    let out_of_time = || Failed::OutOfTime("the rest of the payload comes again".to_owned());
    if !first && invocation.late() {
        return Err(out_of_time());
    }
    let deadline = invocation.deadline.min(Instant::now() + ACTIVITY_TIME);
    let lookup = invocation.lookup.until(deadline);
    let topics = Topics { sns: &app.sns, until: invocation.last_moment };
    let gated = Gated { lookup: &lookup, gate: Mutex::new(Some(gate)) };
    let pipeline = pipeline(&invocation, &gated, invocation.records.as_ref(), &topics);
    let judgement = pipeline.judge(activity.clone()).await;
    // Facts that only the invocation's end kept away are there the next time.
    if !first && lookup.cut_short() && invocation.late() {
        return Err(out_of_time());
    }
    let judgement = judgement?;
    let current = &invocation.current;
    let told = alert::alerts(&judgement, &current.policy, current.note.as_deref());
    let mut judged = Judged { activity, told, unavailable: judgement.unavailable, attempt: receives };
    if judged.passing().next().is_some()
        && judged.attempt.is_none()
        && let Some(records) = &invocation.records
    {
        judged.attempt = Some(attempts::count(records, &judged.activity, &invocation.token).await?);
    }
    Ok(judged)
}

/// The function's pipeline over a store.
pub(super) fn pipeline<'a, L: Lookup, S: Store>(
    invocation: &'a Invocation,
    lookup: &'a L,
    store: Option<&'a S>,
    topics: &'a Topics<'a>,
) -> Pipeline<'a, L, S, Topics<'a>> {
    Pipeline {
        policy: &invocation.current.policy,
        policy_note: invocation.current.note.as_deref(),
        lookup,
        store,
        publisher: topics,
        token: &invocation.token,
        deadline: invocation.ends,
        warm_up: true,
        now: &Utc::now,
    }
}
