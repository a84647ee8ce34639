//! Judges an activity: asks every detection, fetches the union of what they need, and asks again.

use std::sync::Arc;

use crate::activity::Activity;
use crate::detection::{Context, Detection, REGISTRY, Reason, Verdict};
use crate::lookup::{Fact, FactKey, Facts, Lookup};
use crate::policy::Policy;

/// How often facts are fetched for one activity. An ancestor's owner is three steps away: the image,
/// its ancestry, the ancestors.
const ROUNDS: usize = 3;

/// What every detection says about one activity.
pub struct Judgement {
    pub activity: Arc<Activity>,
    /// In registry order; no `Need` is left.
    pub verdicts: Vec<(&'static Detection, Verdict)>,
    /// Look-ups that could not be made: API and reason, in order of asking.
    pub unavailable: Vec<(&'static str, String)>,
}

/// Judges one activity by every detection that the policy leaves on.
pub async fn judge<L: Lookup>(activity: Arc<Activity>, policy: &Policy, lookup: &L) -> Judgement {
    let mut facts = Facts::default();
    let mut unavailable = Vec::new();
    let mut verdicts: Vec<(&'static Detection, Verdict)> = REGISTRY
        .iter()
        .copied()
        .map(|detection| {
            let verdict = if policy.enabled(detection.id) {
                (detection.judge)(&activity, &Context { policy, facts: &facts })
            } else {
                Verdict::NotApplicable("switched off in the policy".to_owned())
            };
            (detection, verdict)
        })
        .collect();
    for _ in 0..ROUNDS {
        let wanted = wanted(&verdicts, &facts);
        if wanted.is_empty() {
            break;
        }
        for (key, fact) in lookup.fetch(&wanted).await {
            if let Fact::Unavailable(reason) = &fact {
                unavailable.push((key.api(), reason.clone()));
            }
            facts.insert(key, fact);
        }
        for key in wanted {
            if !facts.contains(&key) {
                unavailable.push((key.api(), "the look-up gave no answer".to_owned()));
                facts.insert(key, Fact::Unavailable("the look-up gave no answer".to_owned()));
            }
        }
        for (detection, verdict) in &mut verdicts {
            if matches!(verdict, Verdict::Need(_)) {
                *verdict = (detection.judge)(&activity, &Context { policy, facts: &facts });
            }
        }
    }
    for (_, verdict) in &mut verdicts {
        if let Verdict::Need(keys) = verdict {
            let apis: Vec<&str> = keys.iter().map(FactKey::api).collect();
            *verdict = Verdict::CannotTell(Reason::new(
                "too-many-lookups",
                format!("{ROUNDS} rounds of look-ups were not enough; still wanted: {}", apis.join(", ")),
            ));
        }
    }
    Judgement { activity, verdicts, unavailable }
}

fn wanted(verdicts: &[(&'static Detection, Verdict)], facts: &Facts) -> Vec<FactKey> {
    let mut keys: Vec<FactKey> = verdicts
        .iter()
        .filter_map(|(_, verdict)| match verdict {
            Verdict::Need(keys) => Some(keys),
            _ => None,
        })
        .flatten()
        .filter(|key| !facts.contains(key))
        .cloned()
        .collect();
    keys.sort();
    keys.dedup();
    keys
}
