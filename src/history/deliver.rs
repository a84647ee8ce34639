//! Delivering alerts once: claim, publish, confirm.
//!
//! Round trips for an event that alerts, whatever the number of its alerts: one read, one write that
//! takes the claims and enters the threads, one write that confirms.

use std::future::Future;

use chrono::{DateTime, TimeDelta, Utc};

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

/// One alert with its records.
struct Due {
    alert: Alert,
    claim: Record,
    thread: Record,
    place: Place,
}

impl<S: Store, P: Publisher> Delivery<'_, S, P> {
    /// Delivers all alerts of one event. On an error some may be out; they are confirmed, and the
    /// event's next delivery tells the rest.
    pub async fn deliver(&self, alerts: Vec<Alert>) -> Result<Vec<(Alert, Fate)>, DeliveryError> {
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let (due, mut told) = self.claim(alerts).await?;
        let mut confirmed = Vec::new();
        let mut failure = None;
        for mut due in due {
            let fate = match due.place {
                Place::Repeats { count, .. } => Fate::Repeated { count },
                Place::Opens | Place::Follows { .. } => match self.publisher.publish(&due.alert).await {
                    Ok(()) => Fate::Published,
                    Err(error) => {
                        failure = Some(DeliveryError::Publish(error));
                        break;
                    }
                },
            };
            claim::confirm(&mut due.claim, &self.token, (self.now)());
            confirmed.push(due.claim);
            told.push((due.alert, fate));
        }
        self.confirm(confirmed).await;
        failure.map_or(Ok(told), Err)
    }

    /// Takes every claim that is free, in one transaction with the threads.
    async fn claim(&self, alerts: Vec<Alert>) -> Result<(Vec<Due>, Vec<(Alert, Fate)>), DeliveryError> {
        let keys: Vec<(Key, Key)> = alerts.iter().map(keys).collect();
        let wanted: Vec<Key> =
            keys.iter().flat_map(|(claim, thread)| [claim.clone(), thread.clone()]).collect();
        let mut last = StoreError::Conflict;
        let mut attempt = 0;
        while attempt < TRIES {
            let mut records = match self.store.load(&wanted).await {
                Ok(records) => records,
                Err(error) => {
                    last = error;
                    attempt += 1;
                    super::pause(&self.token, attempt).await;
                    continue;
                }
            };
            let now = (self.now)();
            let mut take = |key: &Key| {
                let found = records.iter().position(|record| record.key == *key);
                found.map_or_else(|| Record::new(key.clone()), |at| records.swap_remove(at).fresh(now))
            };
            let mut due: Vec<Due> = Vec::new();
            let mut told = Vec::new();
            let mut busy = None;
            for (alert, (claim_key, thread_key)) in alerts.iter().zip(&keys) {
                let mut claim = take(claim_key);
                match claim::standing(&claim, &self.token, now) {
                    Standing::Done => told.push((alert.clone(), Fate::AlreadyTold)),
                    Standing::Taken(until) => busy = busy.max(Some(until)),
                    Standing::Free => {
                        let mut thread = take(thread_key);
                        claim::take(&mut claim, &self.token, self.deadline + GRACE, now);
                        let (alert, place) = enter(alert, &mut thread);
                        due.push(Due { alert, claim, thread, place });
                    }
                }
            }
            if let Some(until) = busy {
                if until >= self.deadline {
                    return Err(DeliveryError::Busy(until));
                }
                tokio::time::sleep((until - now).to_std().unwrap_or_default()).await;
                continue;
            }
            if due.is_empty() {
                return Ok((due, told));
            }
            let changed: Vec<Record> =
                due.iter().flat_map(|due| [due.claim.clone(), due.thread.clone()]).collect();
            match self.store.save(&changed).await {
                Ok(()) => {
                    for due in &mut due {
                        due.claim.version = due.claim.version.saturating_add(1);
                    }
                    return Ok((due, told));
                }
                // Also after no answer: if the write did happen, the claim read next bears this token.
                Err(error) => {
                    last = error;
                    attempt += 1;
                    super::pause(&self.token, attempt).await;
                }
            }
        }
        Err(last.into())
    }

    /// The messages are out. Failing to note it may repeat one, which is better than losing one.
    async fn confirm(&self, mut claims: Vec<Record>) {
        for attempt in 1..=TRIES {
            if claims.is_empty() {
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
fn enter(alert: &Alert, thread: &mut Record) -> (Alert, Place) {
    let mut alert = alert.clone();
    let detections: Vec<&'static str> = alert.findings.iter().map(|finding| finding.detection.id).collect();
    let entry = Entry {
        time: alert.activity.time,
        source: &alert.activity.id,
        detections: &detections,
        severity: alert.severity(),
    };
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
