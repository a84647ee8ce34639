//! Judges an activity: asks every detection, fetches the union of what they need, and asks again;
//! then asks those that look at what the others matched.

use std::sync::Arc;

use crate::activity::Activity;
use crate::detection::{Context, Detection, Match, REGISTRY, Reason, Stage, Verdict};
use crate::history::Memory;
use crate::lookup::{Cause, Fact, FactKey, Facts, Lookup, Missing};
use crate::policy::Policy;

/// How often facts are fetched for one activity and stage. An ancestor's owner is three steps away:
/// the image, its ancestry, the ancestors.
const ROUNDS: usize = 3;

/// What every detection says about one activity.
pub struct Judgement {
    pub activity: Arc<Activity>,
    /// In registry order; no `Need` is left.
    pub verdicts: Vec<(&'static Detection, Verdict)>,
    /// Look-ups that could not be made, in order of asking.
    pub unavailable: Vec<FailedLookup>,
}

/// A look-up that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedLookup {
    /// `ec2:DescribeImages`
    pub api: &'static str,
    pub missing: Missing,
}

/// Judges one activity by every detection that the policy leaves on. Facts are kept in `facts`: judging
/// again with another memory fetches nothing twice.
pub async fn judge<L: Lookup>(
    activity: Arc<Activity>,
    policy: &Policy,
    lookup: &L,
    memory: &Memory,
    facts: &mut Facts,
) -> Judgement {
    let policy = &*policy.at(&activity);
    // What failed while it was judged before, with another memory, is not asked for again: it is still missing.
    let mut unavailable: Vec<(&FactKey, FailedLookup)> = facts
        .iter()
        .filter_map(|(key, fact)| match fact {
            Fact::Unavailable(missing) => {
                Some((key, FailedLookup { api: key.api(), missing: missing.clone() }))
            }
            _ => None,
        })
        .collect();
    unavailable.sort_by_key(|(key, _)| *key);
    let unavailable = unavailable.into_iter().map(|(_, failed)| failed).collect();
    let mut session = Session { activity: &activity, policy, lookup, memory, facts, unavailable };
    let mut verdicts: Vec<(usize, &'static Detection, Verdict)> = Vec::with_capacity(REGISTRY.len());
    let mut matches = Vec::new();
    for stage in [Stage::Event, Stage::Chain] {
        let judged = session.stage(stage, &matches).await;
        if stage == Stage::Event {
            matches = judged.iter().flat_map(|(_, detection, verdict)| matched(detection, verdict)).collect();
        }
        verdicts.extend(judged);
    }
    verdicts.sort_by_key(|(place, _, _)| *place);
    let unavailable = session.unavailable;
    let verdicts = verdicts.into_iter().map(|(_, detection, verdict)| (detection, verdict)).collect();
    Judgement { activity, verdicts, unavailable }
}

fn matched(
    detection: &'static Detection,
    verdict: &Verdict,
) -> impl Iterator<Item = (&'static Detection, Box<Match>)> {
    verdict.matches().iter().map(move |matched| (detection, Box::new(matched.clone())))
}

struct Session<'a, L> {
    activity: &'a Activity,
    policy: &'a Policy,
    lookup: &'a L,
    memory: &'a Memory,
    facts: &'a mut Facts,
    unavailable: Vec<FailedLookup>,
}

impl<L: Lookup> Session<'_, L> {
    async fn stage(
        &mut self,
        stage: Stage,
        matches: &[(&'static Detection, Box<Match>)],
    ) -> Vec<(usize, &'static Detection, Verdict)> {
        let registered =
            REGISTRY.iter().copied().enumerate().filter(|(_, detection)| detection.stage == stage);
        let mut verdicts: Vec<(usize, &'static Detection, Verdict)> = registered
            .map(|(place, detection)| {
                let verdict = if self.policy.enabled(detection.id) {
                    self.ask(detection, matches)
                } else {
                    Verdict::NotApplicable("switched off in the policy".into())
                };
                (place, detection, verdict)
            })
            .collect();
        for _ in 0..ROUNDS {
            let wanted = self.wanted(&verdicts);
            if wanted.is_empty() {
                break;
            }
            self.fetch(wanted).await;
            for (_, detection, verdict) in &mut verdicts {
                if matches!(verdict, Verdict::Need(_)) {
                    *verdict = self.ask(detection, matches);
                }
            }
        }
        for (_, _, verdict) in &mut verdicts {
            if let Verdict::Need(keys) = verdict {
                let apis: Vec<&str> = keys.iter().map(FactKey::api).collect();
                *verdict = Verdict::CannotTell(Reason::new(
                    "too-many-lookups",
                    format!("{ROUNDS} rounds of look-ups were not enough; still wanted: {}", apis.join(", ")),
                ));
            }
        }
        verdicts
    }

    fn ask(&self, detection: &Detection, matches: &[(&'static Detection, Box<Match>)]) -> Verdict {
        let context = Context { policy: self.policy, facts: self.facts, memory: self.memory, matches };
        (detection.judge)(self.activity, &context)
    }

    fn wanted(&self, verdicts: &[(usize, &'static Detection, Verdict)]) -> Vec<FactKey> {
        let needs = verdicts.iter().filter_map(|(_, _, verdict)| match verdict {
            Verdict::Need(keys) => Some(keys),
            _ => None,
        });
        let mut keys: Vec<FactKey> =
            needs.flatten().filter(|key| !self.facts.contains(key)).cloned().collect();
        keys.sort();
        keys.dedup();
        keys
    }

    async fn fetch(&mut self, wanted: Vec<FactKey>) {
        for (key, fact) in self.lookup.fetch(&wanted).await {
            if let Fact::Unavailable(missing) = &fact {
                self.unavailable.push(FailedLookup { api: key.api(), missing: missing.clone() });
            }
            self.facts.insert(key, fact);
        }
        for key in wanted {
            if !self.facts.contains(&key) {
                let missing = Missing::new(Cause::Failing, "the look-up gave no answer");
                self.unavailable.push(FailedLookup { api: key.api(), missing: missing.clone() });
                self.facts.insert(key, Fact::Unavailable(missing));
            }
        }
    }
}
