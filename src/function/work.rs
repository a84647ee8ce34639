//! The activities of one payload: judged some at a time, remembered together, and told.
//!
//! What is remembered is written before anything is told, so that of two invocations that each see a part
//! of a chain the later writer sees the whole. Had somebody else written in between, all are judged again
//! with that in mind.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::handler::{App, Invocation};
use super::judge::{self, Judged};
use super::reply::Failed;
use super::{AT_ONCE, tell};
use crate::activity::Activity;
use crate::history::{Key, Store, StoreError, pause, trail};

/// After so long, what has been judged is told before more is judged: whatever happens then, that is done.
const TURN: Duration = Duration::from_secs(10);

/// Of how many records a process remembers where they lead, before it starts anew.
const MOST_LINKS: usize = 2_000;

/// How often records are read or written before the payload is given back.
const TRIES: usize = 8;

/// The result of each activity, in order. All are tried, whatever becomes of one.
pub(super) async fn all(
    app: &Arc<App>,
    activities: Vec<Activity>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<(), Failed>> {
    let mut waiting: VecDeque<Arc<Activity>> = activities.into_iter().map(Arc::new).collect();
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
    activities: impl Iterator<Item = &'a Arc<Activity>>,
) -> Result<(), StoreError> {
    let Some(records) = &invocation.records else { return Ok(()) };
    let mut keys: Vec<Key> = activities.flat_map(|activity| trail::keys(activity)).collect();
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

/// Judges as many as there is time for, and writes what they leave behind.
async fn turn(
    app: &Arc<App>,
    waiting: &mut VecDeque<Arc<Activity>>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<Judged, Failed>> {
    let all: Vec<Arc<Activity>> = waiting.iter().cloned().collect();
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
        let again = all.iter().take(judged.len());
        // Should this fail, each activity finds out for itself.
        let _ = read(app, invocation, again.clone()).await;
        judged = judge(app, &mut again.cloned().collect(), None, invocation).await;
    }
}

/// Judges until there are no more, or the time for it is over; at least one.
async fn judge(
    app: &Arc<App>,
    waiting: &mut VecDeque<Arc<Activity>>,
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
            let Some(activity) = waiting.pop_front() else { break };
            let place = results.len();
            results.push(Err(Failed::NotPublished("judging an activity broke off".to_owned())));
            let judged = judge::one(app.clone(), activity, invocation.clone());
            running.spawn(async move { (place, judged.await) }.in_current_span());
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
