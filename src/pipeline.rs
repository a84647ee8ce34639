//! One activity from end to end: remember, judge, deliver. The same for the function and the command
//! line; only the lookup, the store and the publisher differ.
//!
//! Round trips to the store: one read and one write for an event that matches nothing, three more for
//! one that alerts; one read more where a record leads to others: an image that goes by several digests, a
//! container whose image the event does not name. The function does without where it has been there before.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::activity::Activity;
use crate::alert::{self, Alert};
use crate::detection::Detection;
use crate::engine::{self, Judgement};
use crate::history::deliver::{AT_ONCE, Delivered, Delivery, DeliveryError, Fate, Publisher, together};
use crate::history::{Key, Memory, Record, Store, StoreError, storm, trail};
use crate::lookup::{Facts, Lookup};
use crate::policy::Policy;

/// Kept back of the invocation's time for saying that it failed.
const RESERVE: Duration = Duration::from_secs(1);

/// Everything that an event meets on its way.
pub struct Pipeline<'a, L, S, P> {
    pub policy: &'a Policy,
    /// Set where the configured policy could not be loaded.
    pub policy_note: Option<&'a str>,
    pub lookup: &'a L,
    /// `None` where no history is kept: every alert goes out, and says that it may be a repetition.
    pub store: Option<&'a S>,
    pub publisher: &'a P,
    /// This invocation's own name in claims.
    pub token: &'a str,
    /// When this invocation is over at the latest.
    pub deadline: DateTime<Utc>,
    /// Learn from first sightings before telling them; off, they are told from the first event on.
    pub warm_up: bool,
    /// The clock; over archives, the event's own time.
    pub now: &'a (dyn Fn() -> DateTime<Utc> + Sync),
}

/// What came of one activity.
pub struct Processed {
    pub judgement: Judgement,
    pub alerts: Vec<(Alert, Fate)>,
    /// Detections kept back by the policy, with its reason.
    pub suppressed: Vec<(&'static Detection, String)>,
}

impl<L: Lookup, S: Store, P: Publisher> Pipeline<'_, L, S, P> {
    /// Judges an activity and delivers its alerts. On an error nothing is acknowledged: the same
    /// event must come again.
    pub async fn process(&self, activity: Arc<Activity>) -> Result<Processed, DeliveryError> {
        let judgement = self.judge(activity).await?;
        self.deliver(judgement).await
    }

    /// Delivers what is to be told of a judged activity.
    pub async fn deliver(&self, judgement: Judgement) -> Result<Processed, DeliveryError> {
        let told = alert::alerts(&judgement, self.policy, self.policy_note);
        let alerts = self.tell(told.alerts).await?;
        Ok(Processed { judgement, alerts, suppressed: told.suppressed })
    }

    /// Delivers alerts: once, where a history is kept; else as often as they come, and marked so.
    ///
    /// # Errors
    /// The first of all failures. The other alerts are out nevertheless.
    pub async fn tell(&self, alerts: Vec<Alert>) -> Result<Vec<(Alert, Fate)>, DeliveryError> {
        let told = self.tell_each(alerts).await;
        told.into_iter().map(|one| one.fate.map(|fate| (one.alert, fate))).collect()
    }

    /// As [`Pipeline::tell`], with what became of each alert. They go out in the order given.
    pub async fn tell_each(&self, alerts: Vec<Alert>) -> Vec<Delivered> {
        if alerts.is_empty() {
            return Vec::new();
        }
        if let Some(store) = self.store {
            let delivery = Delivery {
                store,
                publisher: self.publisher,
                token: self.token.to_owned(),
                deadline: self.deadline,
                now: self.now,
                storm: storm::Rule {
                    after: self.policy.notify.storm.after,
                    window: self.policy.notify.storm.window.delta(),
                },
            };
            return delivery.deliver_each(alerts).await;
        }
        let one = |(origin, mut alert): (usize, Alert)| async move {
            alert.may_repeat = true;
            let mut failures = Vec::new();
            for sink in self.publisher.sinks() {
                failures.extend(self.publisher.publish(sink, &alert).await.err());
            }
            let fate = if failures.is_empty() {
                Ok(Fate::Published)
            } else {
                Err(DeliveryError::Publish(failures.join("; ")))
            };
            Delivered { origin, alert, fate }
        };
        let mut alerts = alerts.into_iter().enumerate().peekable();
        let mut told = Vec::new();
        while alerts.peek().is_some() {
            told.extend(together(alerts.by_ref().take(AT_ONCE).map(one).collect()).await);
        }
        told
    }

    /// Reads what is remembered, judges, and writes what the event adds. Somebody else wrote in
    /// between: reads and judges again, so that of two events that make a chain the later writer sees
    /// the other.
    pub async fn judge(&self, activity: Arc<Activity>) -> Result<Judgement, StoreError> {
        let mut facts = Facts::default();
        let mut keys = trail::keys(&activity);
        let Some(store) = self.store.filter(|_| !keys.is_empty()) else {
            return Ok(engine::judge(activity, self.policy, self.lookup, &Memory::none(), &mut facts).await);
        };
        let left = (self.deadline - (self.now)()).to_std().unwrap_or_default();
        let give_up = Instant::now() + left.saturating_sub(RESERVE);
        let mut attempt = 0;
        loop {
            let error = match load(store, &activity, &mut keys).await {
                Ok(found) => {
                    let memory = Memory::new(&keys, found, (self.now)()).at_once(!self.warm_up);
                    let judgement =
                        engine::judge(activity.clone(), self.policy, self.lookup, &memory, &mut facts).await;
                    let changed = trail::remember(&judgement, self.policy, &memory);
                    if changed.is_empty() {
                        return Ok(judgement);
                    }
                    match store.save(&changed).await {
                        Ok(()) => return Ok(judgement),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if Instant::now() >= give_up {
                return Err(error);
            }
            attempt += 1;
            crate::history::pause(self.token, attempt).await;
        }
    }
}

/// The records for the keys, and for those that they lead to.
async fn load<S: Store>(
    store: &S,
    activity: &Activity,
    keys: &mut Vec<Key>,
) -> Result<Vec<Record>, StoreError> {
    let mut found = store.load(keys).await?;
    let linked: Vec<Key> =
        trail::linked(activity, &found).into_iter().filter(|key| !keys.contains(key)).collect();
    if !linked.is_empty() {
        found.extend(store.load(&linked).await?);
        keys.extend(linked);
    }
    Ok(found)
}
