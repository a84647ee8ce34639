//! The activities of one payload: judged some at a time, remembered together, and told.
//!
//! What is remembered is written before anything is told, so that of two invocations that each see a part
//! of a chain the later writer sees the whole. Had somebody else written in between, all are judged again
//! with that in mind.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::handler::{App, Invocation};
use super::judge::{self, Gate, Judged};
use super::off_thread::{self, Cut};
use super::reply::Failed;
use super::{AT_ONCE, tell};
use crate::activity::Activity;
use crate::history::{Key, Store, StoreError, pause, trail};
use crate::lookup::aws::ACTIVITY_TIME;

/// After so long, what has been judged is told before more is judged: whatever happens then, that is done.
const TURN: Duration = Duration::from_secs(10);

/// Of how many records a process remembers where they lead, before it starts anew.
const MOST_LINKS: usize = 2_000;

/// Beyond the time for its look-ups: what was judged with them is still to be handed over.
const GRACE: Duration = Duration::from_millis(500);

/// How often records are read or written before the payload is given back.
const TRIES: usize = 8;

/// An activity that is to be judged.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) activity: Arc<Activity>,
    /// How often the queue has delivered its message, where it came from one that says so.
    pub(super) receives: Option<u64>,
}

/// The result of each activity, in order. All are tried, whatever becomes of one.
pub(super) async fn all(
    app: &Arc<App>,
    waiting: Vec<Waiting>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<(), Failed>> {
    let mut waiting = VecDeque::from(waiting);
    let mut results = Vec::with_capacity(waiting.len());
    if let Err(error) = read(app, invocation, waiting.iter()).await {
        return waiting.iter().map(|_| Err(Failed::from(error.clone()))).collect();
    }
    while !waiting.is_empty() {
        let judged = turn(app, &mut waiting, invocation).await;
        results.extend(tell::all(app, judged, invocation).await);
    }
    if let Some(records) = &invocation.records {
        let found = records.links().await;
        let mut known = app.links.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MOST_LINKS {
            known.clear();
        }
        known.extend(found);
    }
    results
}

/// Reads every record that the activities are known to need, in as few requests as can be.
async fn read<'a>(
    app: &App,
    invocation: &Invocation,
    waiting: impl Iterator<Item = &'a Waiting>,
) -> Result<(), StoreError> {
    let Some(records) = &invocation.records else { return Ok(()) };
    let mut keys: Vec<Key> = waiting.flat_map(|waiting| trail::keys(&waiting.activity)).collect();
    {
        let known = app.links.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<Key> = keys.iter().filter_map(|key| known.get(key)).flatten().cloned().collect();
        keys.extend(others);
    }
    keys.sort();
    keys.dedup();
    let mut attempt = 1;
    loop {
        match records.load(&keys).await {
            Ok(_) => return Ok(()),
            Err(error) if attempt >= TRIES || invocation.late() => return Err(error),
            Err(_) => pause(&invocation.token, attempt).await,
        }
        attempt += 1;
    }
}

/// How long the next activity waits for one that neither ends nor asks AWS.
const HANDOVER: Duration = Duration::from_millis(500);

/// Judges as many as there is time for, and writes what they leave behind.
async fn turn(
    app: &Arc<App>,
    waiting: &mut VecDeque<Waiting>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<Judged, Failed>> {
    let all: Vec<Waiting> = waiting.iter().cloned().collect();
    let mut judged = judge(app, waiting, Some(Instant::now() + TURN), invocation).await;
    let Some(records) = &invocation.records else { return judged };
    let mut attempt = 1;
    loop {
        let Err(error) = records.flush().await else { return judged };
        if attempt >= TRIES || invocation.late() {
            let failed = Failed::from(error);
            return judged.into_iter().map(|judged| judged.and(Err(failed.clone()))).collect();
        }
        pause(&invocation.token, attempt).await;
        attempt += 1;
        // What has used up its time once is not given it again.
        let again =
            all.iter().zip(&mut judged).filter(|(_, result)| !matches!(result, Err(Failed::OutOfTime(_))));
        let (again, places): (VecDeque<&Waiting>, Vec<&mut Result<Judged, Failed>>) = again.unzip();
        // Should this fail, each activity finds out for itself.
        let _ = read(app, invocation, again.iter().copied()).await;
        let mut again = again.into_iter().cloned().collect();
        let anew = judge(app, &mut again, None, invocation).await;
        for (place, result) in places.into_iter().zip(anew) {
            *place = result;
        }
    }
}

/// Judges until there are no more, or the time for it is over; at least one.
async fn judge(
    app: &Arc<App>,
    waiting: &mut VecDeque<Waiting>,
    until: Option<Instant>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<Judged, Failed>> {
    let mut results = Vec::new();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            if !results.is_empty() && until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let Some(next) = waiting.pop_front() else { break };
            let place = results.len();
            results.push(Err(broke_off()));
            let (gate, opened) = oneshot::channel();
            let judged = in_time(app.clone(), next, gate, invocation.clone());
            running.spawn(async move { (place, judged.await) }.in_current_span());
            // What one activity leaves behind, the next one finds, in the order of the payload: only what waits
            // for AWS, or takes too long, is passed.
            let _ = tokio::time::timeout(HANDOVER, opened).await;
        }
        match running.join_next().await {
            None => return results,
            Some(Ok((place, judged))) => {
                if let Some(result) = results.get_mut(place) {
                    *result = judged;
                }
            }
            Some(Err(error)) => tracing::error!(error = %error, "judging an activity broke off"),
        }
    }
}

/// Judges one activity, on a thread of its own and for as long as it may take.
async fn in_time(
    app: Arc<App>,
    waiting: Waiting,
    gate: Gate,
    invocation: Arc<Invocation>,
) -> Result<Judged, Failed> {
    let now = Instant::now();
    let until = invocation.deadline.min(now + ACTIVITY_TIME).max(now) + GRACE;
    let (id, given_up) = (waiting.activity.id.clone(), app.given_up.clone());
    match off_thread::run(judge::one(app, waiting, gate, invocation), until, &given_up).await {
        Ok(judged) => judged,
        Err(Cut::Late) => {
            tracing::error!(activity = id, "judging took too long and was given up");
            Err(Failed::OutOfTime("judging an event took too long".to_owned()))
        }
        Err(Cut::BrokeOff) => {
            tracing::error!(activity = id, "judging broke off");
            Err(broke_off())
        }
    }
}

fn broke_off() -> Failed {
    Failed::NotPublished("judging an activity broke off".to_owned())
}
