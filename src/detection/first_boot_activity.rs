//! An instance from an image that nobody vouches for did something suspicious right after its start.

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

/// Instances that are named in one alert.
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
    let instances = records.iter().filter(|record| record.key.kind == Kind::Instance);
    let chains: Vec<Chain<'_>> =
        instances.filter_map(|record| Chain::of(activity, context, &chain::steps([record]))).collect();
    let Some(best) = chains.iter().max_by_key(|chain| chain.sure) else {
        return Verdict::Pass("no launch to watch and suspicious act within the first boot".into());
    };
    Verdict::Match(Box::new(found(activity, context, best, &chains)))
}

/// A launch to watch, and an act within the window after it.
struct Chain<'a> {
    launch: Step<'a>,
    why: Vec<Step<'a>>,
    acts: Vec<Step<'a>>,
    /// Both ends are strong.
    sure: bool,
}

impl<'a> Chain<'a> {
    /// The chain of one instance, if this event has a part in it.
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
                let strong = acts.iter().any(|act| !act.trace.detail.starts_with("ran "));
                let unvouched = why.iter().any(|step| step.trace.detail != "machine-image-newly-seen");
                Some(Self { launch: *launch, why: why.clone(), acts, sure: strong && unvouched })
            })
            .next()
    }
}

fn found(activity: &Activity, context: &Context<'_>, best: &Chain<'_>, chains: &[Chain<'_>]) -> Match {
    let (image, principal) =
        best.launch.trace.detail.split_once(' ').unwrap_or((&best.launch.trace.detail, "unknown"));
    let mut lines = vec![(best.launch.trace.time, format!("launched from {image} by {principal}"))];
    lines.extend(best.why.iter().map(|step| (step.trace.time, format!("found: {}", step.trace.detail))));
    lines.extend(best.acts.iter().map(|step| (step.trace.time, step.trace.detail.clone())));
    let mut instances: Vec<&str> = chains.iter().map(|chain| chain.launch.subject).collect();
    instances.sort_unstable();
    instances.dedup();
    let first = best.acts.first().map_or(activity.time, |act| act.trace.time);
    let mut acts: Vec<&str> = best.acts.iter().map(|act| act.trace.detail.as_str()).collect();
    acts.sort_unstable();
    acts.dedup();
    let mut not_inspected = Vec::new();
    if !best.sure {
        not_inspected.push(Reason::new(
            "chain-weak-link",
            "One link is weak: the image is only new, or a program ran that has ordinary uses too. Nothing else was \
             seen of this instance so far.",
        ));
    }
    if !best.why.iter().any(|step| step.trace.detail == "user-data-suspicious") {
        not_inspected.push(Reason::new(
            "user-data-link-missing",
            "No suspicious user data was found for the launch: what started the activity is not known.",
        ));
    }
    let minutes = (first - best.launch.trace.time).num_minutes().max(0);
    Match {
        subject: Subject::MachineImage { image: image.to_owned(), principal: principal.to_owned() },
        severity: (!best.sure).then_some(Severity::High),
        summary: format!(
            "{} minutes after its launch from {image}, instance {} did what a malicious image does: {}.",
            minutes,
            best.launch.subject,
            acts.join(", ")
        ),
        evidence: evidence([
            ("image", json!(image)),
            ("instances", json!(instances.iter().take(NAMED).collect::<Vec<_>>())),
            ("instance_count", json!(instances.len())),
            ("window_minutes", json!(context.policy.first_boot_window.delta().num_minutes())),
            ("timeline", chain::timeline(&lines)),
        ]),
        next_steps: vec![
            steps::stop_instances(activity, instances.iter().copied()),
            steps::describe_image(activity, image),
            steps::trace_actor(activity),
        ],
        not_inspected,
    }
}

#[cfg(test)]
mod tests;
