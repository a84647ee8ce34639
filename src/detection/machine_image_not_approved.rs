//! An instance was started from a machine image that nobody approved, or got a stranger's disk as its root.

use serde_json::json;

use super::catalog::{self, Approval, clouds};
use super::launch::{self, Image};
use super::origin::{Origins, Trail};
use super::steps::{self, counted};
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, shape};
use crate::activity::{Action, Activity, Attachment, Cloud, ImageRef, InstanceChange, Launch, LaunchOutcome};
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
    let launch = match &activity.action {
        Action::ImageLaunched(launch) => launch,
        Action::VolumeAttached(attachment) => return attached(activity, attachment, context),
        Action::InstanceStarted(change) => return restarted(activity, change, context),
        _ => return Verdict::NotApplicable("not a launch".into()),
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
    if let ImageRef::Disk(disk) = &launch.image {
        let instance = launch.instances.first().map(|instance| instance.id.as_str()).unwrap_or_default();
        return root_disk(activity, disk, instance, Origins::new(activity, context).disk(disk));
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

/// A volume attached as an instance's root disk: the instance runs it at its next start.
fn attached(activity: &Activity, attachment: &Attachment, context: &Context<'_>) -> Verdict {
    if let Some(code) = &attachment.failed {
        return Verdict::NotApplicable(format!("nothing was attached: {code}").into());
    }
    if !attachment.is_root() {
        return Verdict::NotApplicable("not attached as a root disk".into());
    }
    let trail = Origins::new(activity, context).remembered(&attachment.volume);
    root_disk(activity, &attachment.volume, &attachment.instance, trail)
}

/// Instances that are started again, perhaps from another root disk than they were launched with.
fn restarted(activity: &Activity, change: &InstanceChange, context: &Context<'_>) -> Verdict {
    if let Some(code) = &change.failed {
        return Verdict::NotApplicable(format!("nothing was started: {code}").into());
    }
    let origins = Origins::new(activity, context);
    let mut needs = Vec::new();
    for instance in change.instances.iter().take(MOST_RESTARTED) {
        let trail = origins.remembered(instance);
        match root_disk(activity, instance, instance, trail) {
            Verdict::Need(keys) => needs.extend(keys),
            found @ Verdict::Match(_) => return found,
            _ => {}
        }
    }
    if needs.is_empty() {
        return Verdict::Pass("no root disk of a stranger is remembered of the started instances".into());
    }
    Verdict::Need(needs)
}

/// Instances of one call whose root disks are looked at.
const MOST_RESTARTED: usize = 16;

/// A root disk that did not come with the instance. What cannot be told of it, machine-image-laundered tells.
fn root_disk(activity: &Activity, disk: &str, instance: &str, trail: Trail) -> Verdict {
    let Some(foreign) = &trail.foreign else {
        return match trail.needs.is_empty() {
            true => Verdict::Pass("no stranger is known to stand behind the root disk".into()),
            false => Verdict::Need(trail.needs),
        };
    };
    let owner = shape::account(&foreign.owner);
    Verdict::matched(Match {
        subject: Subject::MachineImage { image: disk.to_owned(), principal: activity.principal().to_owned() },
        severity: None,
        summary: format!("The root disk of instance {instance} is now {}.", foreign.label()),
        evidence: super::evidence([
            ("instance", json!(instance)),
            ("disk", json!(disk)),
            ("source_image", json!(foreign.image)),
            ("source_snapshot", json!(foreign.snapshot)),
            ("source_owner", json!(foreign.owner)),
            ("source_region", json!(foreign.region)),
        ]),
        next_steps: vec![
            steps::stop_instances(activity, std::iter::once(instance)),
            steps::trace_actor(activity),
            NextStep::policy(
                "If the disk's owner is one of yours, approve it in the policy.",
                owner.map(|owner| format!("images: {{approved: {{owners: [self, amazon, \"{owner}\"]}}}}")),
            ),
        ],
        not_inspected: trail.doubts.clone(),
    })
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
