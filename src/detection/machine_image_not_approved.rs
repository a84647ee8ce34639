//! An instance was started from a machine image that nobody approved.

use super::catalog::{self, Approval, clouds};
use super::launch::{self, Image};
use super::steps::{self, counted};
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, shape};
use crate::activity::{Action, Activity, Cloud, Launch, LaunchOutcome};
use crate::lookup::ImageFact;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "machine-image-not-approved",
    title: "Instance launched from an image that is not approved",
    severity: Severity::High,
    score: 60,
    source: "DET0248 AN0692 (RunInstances, ApprovedImageCatalog); Chronicle: launch branch",
    approval: true,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let Action::ImageLaunched(launch) = &activity.action else {
        return Verdict::NotApplicable("not a launch".into());
    };
    match launch.outcome {
        LaunchOutcome::Succeeded => {}
        LaunchOutcome::Attempted(_) => {
            return Verdict::NotApplicable("the launch failed; launch-attempt-denied judges it".into());
        }
        LaunchOutcome::DryRun => return Verdict::NotApplicable("a dry run starts nothing".into()),
    }
    if let Some(why) = launch::outside_scope(launch, context) {
        return Verdict::NotApplicable(why.into());
    }
    if activity.cloud != Cloud::Aws {
        return elsewhere(activity, launch, context);
    }
    if launch.image.id().is_some_and(|id| catalog::listed(context.policy, id)) {
        return Verdict::Pass("the image's id is listed in the policy".into());
    }
    let known = match launch::image(activity, launch, context) {
        Image::Known(known) => known,
        Image::Unknown { id, reason } => {
            return match id {
                Some(id) if catalog::listed(context.policy, &id) => {
                    Verdict::Pass("the image's id is listed in the policy".into())
                }
                _ => Verdict::CannotTell(reason),
            };
        }
        Image::Need(keys) => return Verdict::Need(keys),
    };
    match catalog::approval(activity, context, known) {
        Approval::Approved(why) => Verdict::Pass(format!("the image is approved: {why}").into()),
        Approval::CannotTell(reason) => Verdict::CannotTell(reason),
        Approval::Need(keys) => Verdict::Need(keys),
        Approval::NotApproved { why, not_inspected } => {
            Verdict::matched(found(activity, launch, known.fact, &why, not_inspected))
        }
    }
}

/// A launch in Azure or Google Cloud: the event itself says whose image it is.
fn elsewhere(activity: &Activity, launch: &Launch, context: &Context<'_>) -> Verdict {
    let (why, not_inspected) = match clouds::approval(activity, context.policy, &launch.image) {
        Approval::Approved(why) => return Verdict::Pass(format!("the image is approved: {why}").into()),
        Approval::CannotTell(reason) => return Verdict::CannotTell(reason),
        Approval::Need(keys) => return Verdict::Need(keys),
        Approval::NotApproved { why, not_inspected } => (why, not_inspected),
    };
    let image = launch.image.label();
    let started = counted(u64::from(launch.count.max(1)), "instance was", "instances were");
    let boot = launch.note.as_ref().map(|note| format!(" It runs something at its first boot ({note})."));
    Verdict::matched(Match {
        subject: Subject::MachineImage { image: image.clone(), principal: activity.principal().to_owned() },
        severity: None,
        summary: format!(
            "{started} launched from image {image}, which is not approved: {why}.{}",
            boot.unwrap_or_default()
        ),
        evidence: launch::evidence(launch, None),
        next_steps: clouds::next_steps(activity, launch),
        not_inspected,
    })
}

fn found(
    activity: &Activity,
    launch: &Launch,
    fact: &ImageFact,
    why: &str,
    not_inspected: Vec<Reason>,
) -> Match {
    let image = launch::label(launch, Some(fact));
    let name = fact.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let started = counted(u64::from(launch.count.max(1)), "instance was", "instances were");
    let public = if fact.public == Some(true) { " It is public: anybody can offer such images." } else { "" };
    let instances = launch.instances.iter().map(|instance| instance.id.as_str());
    Match {
        subject: Subject::MachineImage { image: image.clone(), principal: activity.principal().to_owned() },
        severity: None,
        summary: format!(
            "{started} launched from image {image}{name}, which is not approved: {why}.{public}"
        ),
        evidence: launch::evidence(launch, Some(fact)),
        next_steps: vec![
            steps::describe_image(activity, &image),
            steps::stop_instances(activity, instances),
            steps::trace_actor(activity),
            approve(&image, fact),
        ],
        not_inspected,
    }
}

fn approve(image: &str, fact: &ImageFact) -> NextStep {
    let owner = fact.owner_id.as_deref().and_then(shape::account);
    let also = owner.map(|owner| format!(", or all of its owner's with `owners: [\"{owner}\"]`"));
    NextStep::policy(
        format!("If it is one of yours, approve the image in the policy{}.", also.unwrap_or_default()),
        shape::image(image).map(|image| format!("images: {{approved: {{ids: [{image}]}}}}")),
    )
}

#[cfg(test)]
mod tests;
