//! One activity from end to end: remember, judge, deliver. The same for the function and the command
//! line; only the lookup, the store and the publisher differ.
//!
//! Round trips to the store: one read and one write for an event that matches nothing, three more for
//! one that alerts; one read more where a record leads to others: an image that goes by several digests, a
//! container whose image the event does not name. The function does without where it has been there before.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::Activity;
use crate::alert::{self, Alert};
use crate::detection::Detection;
use crate::engine::{self, Judgement};
use crate::history::deliver::{Delivery, DeliveryError, Fate, Publisher};
use crate::history::{Key, Memory, Record, Store, StoreError, trail};
use crate::lookup::{Facts, Lookup};
use crate::policy::Policy;

/// How often a conflicting or failing store is tried before the event is given back.
const TRIES: usize = 8;

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
    pub async fn tell(&self, alerts: Vec<Alert>) -> Result<Vec<(Alert, Fate)>, DeliveryError> {
        if let Some(store) = self.store {
            let delivery = Delivery {
                store,
                publisher: self.publisher,
                token: self.token.to_owned(),
                deadline: self.deadline,
                now: self.now,
            };
            return delivery.deliver(alerts).await;
        }
        let mut told = Vec::new();
        let mut failure = None;
        for mut alert in alerts {
            alert.may_repeat = true;
            match self.publisher.publish(&alert).await {
                Ok(()) => told.push((alert, Fate::Published)),
                Err(error) => failure = Some(DeliveryError::Publish(error)),
            }
        }
        failure.map_or(Ok(told), Err)
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
        let mut last = StoreError::Conflict;
        for attempt in 1..=TRIES {
            match load(store, &activity, &mut keys).await {
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
                        Err(error) => last = error,
                    }
                }
                Err(error) => last = error,
            }
            if (self.now)() >= self.deadline {
                break;
            }
            crate::history::pause(self.token, attempt).await;
        }
        Err(last)
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
