//! Whether the policy is still the one that was loaded before: whoever may write it can silence everything.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::{Action, Activity, Cloud, PolicyChange};
use crate::alert;
use crate::detection::{self, Context};
use crate::engine::Judgement;
use crate::function::handler::{App, Invocation};
use crate::function::judge::Judged;
use crate::function::reply::Failed;
use crate::function::{sweep, tell};
use crate::history::{Key, Kind, Memory, Record, Store};
use crate::lookup::Facts;
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
        let told = alert::alerts(&judgement, &current.policy, current.note.as_deref());
        let judged = Judged { activity: judgement.activity, told, unavailable: Vec::new(), attempt: None };
        let results = tell::all(app, vec![Ok(judged)], invocation).await;
        results.into_iter().fold(Ok(()), Result::and)?;
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
    let judgement = change.map(|change| judged(account, region, now, change, &text));
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

fn judged(account: &str, region: &str, now: DateTime<Utc>, change: PolicyChange, text: &str) -> Judgement {
    let activity = Activity {
        // The same change is one event, whichever process finds it.
        id: format!("policy/{}", crate::hash::hex(&[text])),
        time: now,
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: account.to_owned(),
        region: region.to_owned(),
        cloud: Cloud::Aws,
        actor: None,
        api: None,
        action: Action::PolicyChanged(change),
    };
    let detection = &detection::policy_changed::DETECTION;
    let context = Context {
        policy: Policy::bundled(),
        facts: &Facts::default(),
        memory: &Memory::none(),
        matches: &[],
    };
    let verdict = (detection.judge)(&activity, &context);
    Judgement { activity: Arc::new(activity), verdicts: vec![(detection, verdict)], unavailable: Vec::new() }
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
