//! Whether the policy is still the one that was loaded before: whoever may write it can silence everything.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{judged, publish};
use crate::activity::{Action, PolicyChange};
use crate::detection;
use crate::engine::Judgement;
use crate::function::handler::{App, Invocation};
use crate::function::reply::Failed;
use crate::function::sweep;
use crate::history::{Key, Kind, Record, Store};
use crate::policy::Policy;

/// Bytes of a policy that are remembered. Of a longer one its hash is, and the alert shows no lines.
const LONGEST: usize = 64 * 1024;

/// A policy to be remembered, once what it says of itself is told.
struct Remembered {
    record: Record,
    text: String,
}

/// Compares the loaded policy with the one that is remembered, publishes how they differ, and remembers it.
///
/// # Errors
/// When history does not answer, or the alert could not be published: nothing is remembered then, so that
/// the next comparison finds the change again.
pub(in crate::function) async fn watch(app: &Arc<App>, invocation: &Arc<Invocation>) -> Result<(), Failed> {
    let current = &invocation.current;
    let Some(store) = invocation.store.as_ref().filter(|_| !current.load_failed) else { return Ok(()) };
    let now = Utc::now();
    let account = invocation.surroundings.account.as_deref().unwrap_or_default();
    let region = invocation.surroundings.region.as_deref().unwrap_or_default();
    let location = app.settings.policy.uri();
    let (judgement, remembered) = compare(store, (account, region), &location, &current.policy, now).await?;
    if let Some(judgement) = judgement {
        publish(app, judgement, invocation).await?;
    }
    match remembered {
        Some(remembered) => remembered.save(store, now).await,
        None => Ok(()),
    }
}

/// How the policy differs from the one that is remembered, if it does, and what to remember.
///
/// # Errors
/// When history does not answer.
async fn compare<S: Store>(
    store: &S,
    (account, region): (&str, &str),
    location: &str,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(Option<Judgement>, Option<Remembered>), Failed> {
    let key = Key::new(account, region, Kind::Policy, location);
    let found = sweep::load(store, std::slice::from_ref(&key)).await?;
    let record = found.into_iter().find(|record| record.key == key).map(|record| record.fresh(now));
    let record = record.unwrap_or_else(|| Record::new(key));
    let text = document(policy);
    let known = record.document.as_deref();
    let change = known.and_then(|before| PolicyChange::between(location, before, &text));
    // The same change is one event, whichever process finds it.
    let judgement = change.map(|change| {
        let id = format!("policy/{}", crate::hash::hex(&[&text]));
        let detection = &detection::policy_changed::DETECTION;
        judged(detection, (account, region), (id, now), Action::PolicyChanged(change))
    });
    let news = known != Some(text.as_str()) || record.is_half_spent(now);
    Ok((judgement, news.then_some(Remembered { record, text })))
}

impl Remembered {
    /// Writes it down. Where another process has written meanwhile, the next check compares again.
    ///
    /// # Errors
    /// When history does not answer.
    async fn save<S: Store>(mut self, store: &S, now: DateTime<Utc>) -> Result<(), Failed> {
        self.record.document = Some(self.text);
        self.record.touch(now);
        match store.save(&[self.record]).await {
            Ok(()) | Err(crate::history::StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The whole policy with every default filled in: a default that changes with a release is a change too.
fn document(policy: &Policy) -> String {
    let text = policy.to_yaml();
    if text.len() <= LONGEST { text } else { format!("sha256: {}\n", crate::hash::hex(&[&text])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::InMemory;

    async fn compared(store: &InMemory, policy: &Policy) -> Option<Judgement> {
        let now = "2026-05-13T12:00:00Z".parse().unwrap();
        let place = ("111122223333", "eu-central-1");
        let (judgement, remembered) = compare(store, place, "ssm:/p", policy, now).await.unwrap();
        if let Some(remembered) = remembered {
            remembered.save(store, now).await.unwrap();
        }
        judgement
    }

    #[tokio::test]
    async fn a_policy_that_changed_is_told_once() {
        let store = InMemory::default();
        let policy = Policy::default();
        assert!(compared(&store, &policy).await.is_none(), "nothing to compare with");
        assert!(compared(&store, &policy).await.is_none());
        let mut other = policy.clone();
        other.images.max_age_days = Some(7);
        let judgement = compared(&store, &other).await.expect("it changed");
        let found = judgement.verdicts[0].1.matches();
        assert!(found[0].evidence["changes"].to_string().contains("max_age_days: 7"), "{found:?}");
        assert!(compared(&store, &other).await.is_none());
    }
}
