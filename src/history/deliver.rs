//! Delivering alerts once: claim, publish, confirm.
//!
//! Round trips for an event that alerts, whatever the number of its alerts: one read, one write that
//! takes the claims and enters the threads, one write that confirms. Where there is nothing to send, the
//! first write confirms too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::claim::{self, Standing};
use super::thread::{self, Entry, Place};
use super::{Key, Kind, Record, Store, StoreError};
use crate::alert::Alert;
use crate::hash;

/// How often a store that fails or conflicts is tried before giving up.
const TRIES: usize = 6;

/// Sends one alert where subscribers receive it.
pub trait Publisher: Sync {
    fn publish(&self, alert: &Alert) -> impl Future<Output = Result<(), String>> + Send;
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Published,
    /// The same event's alert is out already.
    AlreadyTold,
    /// Its thread has said all of this; counted.
    Repeated {
        count: u64,
    },
}

/// Why an alert is not out. The event must come again: it was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another invocation is telling the same event until {0}")]
    Busy(DateTime<Utc>),
    #[error("cannot publish: {0}")]
    Publish(String),
}

/// Delivers alerts for one invocation.
pub struct Delivery<'a, S, P> {
    pub store: &'a S,
    pub publisher: &'a P,
    /// This invocation's own name in claims.
    pub token: String,
    /// When this invocation is over at the latest: claims are leased a little longer.
    pub deadline: DateTime<Utc>,
    /// The clock; over archives, the event's own time.
    pub now: &'a (dyn Fn() -> DateTime<Utc> + Sync),
}

/// After the invocation's deadline, nobody can still be at it.
const GRACE: TimeDelta = TimeDelta::seconds(2);

/// Kept back of the invocation's time for saying that it failed.
const RESERVE: Duration = Duration::from_secs(1);

/// How long to wait for another invocation before looking again: it mostly needs milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// One alert with its claim.
struct Due {
    alert: Alert,
    claim: Record,
    place: Place,
}

/// What is to be done with the records that were read.
#[derive(Default)]
struct Turn {
    due: Vec<Due>,
    told: Vec<(Alert, Fate)>,
    /// Somebody else is at one of them until then at the latest.
    busy: Option<DateTime<Utc>>,
    changed: Vec<Record>,
}

impl<S: Store, P: Publisher> Delivery<'_, S, P> {
    /// Delivers alerts: all of one event, or all about one subject. On an error some may be out; they are
    /// confirmed, and the next delivery of their events tells the rest.
    pub async fn deliver(&self, alerts: Vec<Alert>) -> Result<Vec<(Alert, Fate)>, DeliveryError> {
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let (due, mut told) = self.claim(alerts).await?;
        let mut confirmed = Vec::new();
        let mut failure = None;
        for mut due in due {
            if let Place::Repeats { count, .. } = due.place {
                told.push((due.alert, Fate::Repeated { count }));
                continue;
            }
            if let Err(error) = self.publisher.publish(&due.alert).await {
                failure = Some(DeliveryError::Publish(error));
                break;
            }
            claim::confirm(&mut due.claim, &self.token, (self.now)());
            confirmed.push(due.claim);
            told.push((due.alert, Fate::Published));
        }
        self.confirm(confirmed).await;
        failure.map_or(Ok(told), Err)
    }

    /// Takes every claim that is free, in one transaction with the threads.
    async fn claim(&self, alerts: Vec<Alert>) -> Result<(Vec<Due>, Vec<(Alert, Fate)>), DeliveryError> {
        let keys: Vec<(Key, Key)> = alerts.iter().map(keys).collect();
        let mut wanted: Vec<Key> =
            keys.iter().flat_map(|(claim, thread)| [claim.clone(), thread.clone()]).collect();
        wanted.sort();
        wanted.dedup();
        let left = (self.deadline - (self.now)()).to_std().unwrap_or_default();
        let give_up = Instant::now() + left.saturating_sub(RESERVE);
        let mut last = StoreError::Conflict;
        let mut attempt = 0;
        while attempt < TRIES && (attempt == 0 || Instant::now() < give_up) {
            if attempt > 0 {
                super::pause(&self.token, attempt).await;
            }
            let records = match self.store.load(&wanted).await {
                Ok(records) => records,
                Err(error) => {
                    last = error;
                    attempt += 1;
                    continue;
                }
            };
            let turn = self.turn(&alerts, &keys, records);
            if let Some(until) = turn.busy {
                // Told by somebody else, it is done; if he dies, the lease runs out.
                let now = Instant::now();
                if now >= give_up {
                    return Err(DeliveryError::Busy(until));
                }
                let lease = (until - (self.now)()).to_std().unwrap_or_default();
                tokio::time::sleep_until(give_up.min(now + lease.min(LOOK_AGAIN))).await;
                continue;
            }
            if turn.due.is_empty() {
                return Ok((turn.due, turn.told));
            }
            match self.store.save(&turn.changed).await {
                Ok(()) => {
                    let mut due = turn.due;
                    for due in &mut due {
                        due.claim.version = due.claim.version.saturating_add(1);
                    }
                    return Ok((due, turn.told));
                }
                // Also after no answer: if the write did happen, the claim read next bears this token.
                Err(error) => {
                    last = error;
                    attempt += 1;
                }
            }
        }
        Err(last.into())
    }

    /// What there is to do about each alert, as the records stand now.
    fn turn(&self, alerts: &[Alert], keys: &[(Key, Key)], records: Vec<Record>) -> Turn {
        let now = (self.now)();
        let mut records: HashMap<Key, Record> =
            records.into_iter().map(|record| (record.key.clone(), record.fresh(now))).collect();
        let mut take = |key: &Key| records.remove(key).unwrap_or_else(|| Record::new(key.clone()));
        let mut threads: BTreeMap<&Key, Record> = BTreeMap::new();
        let mut claims: BTreeSet<&Key> = BTreeSet::new();
        let mut turn = Turn::default();
        for (alert, (claim_key, thread_key)) in alerts.iter().zip(keys) {
            if !claims.insert(claim_key) {
                // The same event twice in one batch.
                turn.told.push((alert.clone(), Fate::AlreadyTold));
                continue;
            }
            let mut claim = take(claim_key);
            match claim::standing(&claim, &self.token, now) {
                Standing::Done => turn.told.push((alert.clone(), Fate::AlreadyTold)),
                Standing::Taken(until) => turn.busy = turn.busy.max(Some(until)),
                Standing::Free => {
                    let thread = threads.entry(thread_key).or_insert_with(|| take(thread_key));
                    // Whoever took the claim before entered the thread with it.
                    let counted = claim.claim.is_some();
                    let (alert, place) = enter(alert, thread, counted, now);
                    match place {
                        Place::Repeats { .. } => claim::confirm(&mut claim, &self.token, now),
                        Place::Opens | Place::Follows { .. } => {
                            claim::take(&mut claim, &self.token, self.deadline + GRACE, now);
                        }
                    }
                    turn.changed.push(claim.clone());
                    turn.due.push(Due { alert, claim, place });
                }
            }
        }
        turn.changed.extend(threads.into_values());
        turn
    }

    /// The messages are out. Failing to note it may repeat one, which is better than losing one.
    async fn confirm(&self, mut claims: Vec<Record>) {
        for attempt in 1..=TRIES {
            if claims.is_empty() || (attempt > 1 && (self.now)() >= self.deadline) {
                return;
            }
            match self.store.save(&claims).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, attempt, "could not confirm what was published"),
            }
            super::pause(&self.token, attempt).await;
            let keys: Vec<Key> = claims.iter().map(|claim| claim.key.clone()).collect();
            if let Ok(current) = self.store.load(&keys).await {
                claims.retain_mut(|claim| {
                    let Some(known) = current.iter().find(|known| known.key == claim.key) else {
                        return true;
                    };
                    claim.version = known.version;
                    !known.claim.as_ref().is_some_and(|known| known.done)
                });
            }
        }
    }
}

/// The claim's and the thread's key of an alert.
fn keys(alert: &Alert) -> (Key, Key) {
    let activity = &alert.activity;
    let subject = hash::hex(&alert.subject.parts());
    let claim = hash::hex(&[activity.id.as_str(), subject.as_str()]);
    (
        Key::new(&activity.account, &activity.region, Kind::Claim, claim),
        Key::new(&activity.account, &activity.region, Kind::Thread, subject),
    )
}

/// Enters an alert into its thread and dresses it accordingly.
fn enter(alert: &Alert, thread: &mut Record, counted: bool, now: DateTime<Utc>) -> (Alert, Place) {
    let mut alert = alert.clone();
    let detections: Vec<&'static str> = alert.findings.iter().map(|finding| finding.detection.id).collect();
    let entry = Entry {
        time: alert.activity.time,
        source: &alert.activity.id,
        detections: &detections,
        severity: alert.severity(),
        counted,
    };
    thread.touch(now);
    let place = thread::enter(thread, &entry);
    match &place {
        Place::Opens => {
            alert.window_start = alert.activity.time;
            alert.update = false;
        }
        Place::Follows { start, .. } | Place::Repeats { start, .. } => {
            alert.window_start = *start;
            alert.update = true;
        }
    }
    (alert, place)
}

#[cfg(test)]
mod tests;
