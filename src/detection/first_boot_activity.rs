//! An instance from an image that nobody vouches for did something suspicious right after its start.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::json;

use super::chain::{self, Step};
use super::{Context, Detection, Match, Reason, Stage, Subject, Verdict, evidence, steps};
use crate::activity::{Action, Activity};
use crate::history::{Kind, trail::label};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "first-boot-activity",
    title: "Suspicious activity at an instance's first boot",
    severity: Severity::Critical,
    score: 95,
    source: "DET0248 AN0692",
    approval: false,
    stage: Stage::Chain,
    judge,
};

/// What makes a launch one to watch.
const LAUNCH: [&str; 5] = [
    "machine-image-not-approved",
    "machine-image-laundered",
    "machine-image-name-confusion",
    "user-data-suspicious",
    "machine-image-newly-seen",
];

/// Other instances that are named in an alert.
const NAMED: usize = 20;

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let concerns = match &activity.action {
        Action::ImageLaunched(launch) => !launch.instances.is_empty(),
        Action::UserDataChanged(_) => true,
        action => action.place().is_some(),
    };
    if !concerns {
        return Verdict::NotApplicable("neither a launch nor anything that ran on an instance".into());
    }
    if !context.memory.is_kept() {
        return Verdict::NotApplicable("no history is kept, so that nothing can be joined".into());
    }
    let records = chain::records(activity, context);
    let mut chains: BTreeMap<&str, Chain<'_>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.key.kind == Kind::Instance) {
        let Some(chain) = Chain::of(activity, context, &chain::steps([record])) else { continue };
        match chains.entry(chain.instance) {
            Entry::Vacant(entry) => {
                entry.insert(chain);
            }
            Entry::Occupied(mut entry) => entry.get_mut().join(chain),
        }
    }
    let mut chains: Vec<Chain<'_>> = chains.into_values().collect();
    chains.sort_by_key(|chain| !chain.sure());
    let told = chains.iter().take(chain::MOST_TOLD);
    let matches = told.map(|chain| found(activity, context, chain, &chains)).collect();
    Verdict::of_matches(matches).unwrap_or_else(|| {
        Verdict::Pass("no launch to watch and suspicious act within the first boot".into())
    })
}

/// A launch to watch, and an act within the window after it.
struct Chain<'a> {
    /// Records of an instance's interface and address are about the instance too.
    instance: &'a str,
    image: &'a str,
    principal: &'a str,
    launch: Step<'a>,
    why: Vec<Step<'a>>,
    acts: Vec<Step<'a>>,
}

impl<'a> Chain<'a> {
    /// The chain in one of an instance's records, if this event has a part in it.
    fn of(activity: &Activity, context: &Context<'_>, steps: &[Step<'a>]) -> Option<Self> {
        let why: Vec<Step<'a>> =
            steps.iter().filter(|step| step.matched(&LAUNCH).is_some()).copied().collect();
        let window = context.policy.first_boot_window.delta();
        let launches = steps.iter().filter(|step| step.is(label::LAUNCHED));
        launches
            .filter_map(|launch| {
                let after = |step: &&Step<'a>| step.is(label::ACT) && launch.within(window, step.trace.time);
                let acts: Vec<Step<'a>> = steps.iter().filter(after).copied().collect();
                let parts = std::iter::once(launch).chain(&why).chain(&acts);
                let own = parts.into_iter().any(|step| step.trace.source == activity.id);
                if acts.is_empty() || why.is_empty() || !own {
                    return None;
                }
                let mut named = launch.trace.detail.splitn(3, ' ');
                let (instance, image, principal) = (named.next()?, named.next()?, named.next()?);
                Some(Self { instance, image, principal, launch: *launch, why: why.clone(), acts })
            })
            .next()
    }

    /// What another record of the same instance adds.
    fn join(&mut self, other: Self) {
        self.why.extend(other.why);
        self.acts.extend(other.acts);
        self.acts.sort_by_key(|act| act.trace);
    }

    /// Both ends are strong.
    fn sure(&self) -> bool {
        let strong = self.acts.iter().any(|act| !act.trace.detail.starts_with("ran "));
        strong && self.why.iter().any(|step| step.trace.detail != "machine-image-newly-seen")
    }
}

fn found(activity: &Activity, context: &Context<'_>, chain: &Chain<'_>, chains: &[Chain<'_>]) -> Match {
    let Chain { instance, image, principal, launch, .. } = *chain;
    let mut lines = vec![(launch.trace.time, format!("launched from {image} by {principal}"))];
    lines.extend(chain.why.iter().map(|step| (step.trace.time, format!("found: {}", step.trace.detail))));
    lines.extend(chain.acts.iter().map(|step| (step.trace.time, step.trace.detail.clone())));
    let others: Vec<&str> =
        chains.iter().map(|chain| chain.instance).filter(|other| *other != instance).collect();
    let first = chain.acts.first().map_or(activity.time, |act| act.trace.time);
    let mut acts: Vec<&str> = chain.acts.iter().map(|act| act.trace.detail.as_str()).collect();
    acts.sort_unstable();
    acts.dedup();
    let sure = chain.sure();
    let mut not_inspected = Vec::new();
    if !sure {
        not_inspected.push(Reason::new(
            "chain-weak-link",
            "One link is weak: the image is only new, or a program ran that has ordinary uses too. Nothing else was \
             seen of this instance so far.",
        ));
    }
    if !chain.why.iter().any(|step| step.trace.detail == "user-data-suspicious") {
        not_inspected.push(Reason::new(
            "user-data-link-missing",
            "No suspicious user data was found for the launch: what started the activity is not known.",
        ));
    }
    let minutes = (first - launch.trace.time).num_minutes().max(0);
    let some = |others: &[&str]| (!others.is_empty()).then(|| json!(others));
    Match {
        subject: Subject::Runtime { place: instance.to_owned() },
        severity: (!sure).then_some(Severity::High),
        summary: format!(
            "{minutes} minutes after its launch from {image}, instance {instance} did what a malicious image does: {}.",
            acts.join(", ")
        ),
        evidence: evidence([
            ("image", json!(image)),
            ("principal", json!(principal)),
            ("instance", json!(instance)),
            ("other_instances", some(others.get(..NAMED).unwrap_or(&others)).unwrap_or_default()),
            ("other_instance_count", if others.is_empty() { json!(null) } else { json!(others.len()) }),
            ("window_minutes", json!(context.policy.first_boot_window.delta().num_minutes())),
            ("timeline", chain::timeline(&lines)),
        ]),
        next_steps: vec![
            steps::stop_instances(activity, std::iter::once(instance)),
            steps::describe_image(activity, image),
            steps::trace_actor(activity),
        ],
        not_inspected,
    }
}

#[cfg(test)]
mod tests;
