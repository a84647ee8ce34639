//! An own image that is somebody else's underneath: copied, built or registered from an image or a
//! snapshot whose owner is neither approved nor a listed ancestor.

use serde_json::{Value, json};

use super::catalog;
use super::launch::{self, Image};
use super::origin::{Foreign, Origins, Trail};
use super::steps;
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, evidence, shape};
use crate::activity::{Action, Activity, Derivation, DerivationKind, ImageRef, Launch, LaunchOutcome};
use crate::history::lineage;
use crate::lookup::FactKey;
use crate::policy::like_principal;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "machine-image-laundered",
    title: "Own image made from one that is not approved",
    severity: Severity::High,
    score: 60,
    source: "DET0248 AN0692; public threat reports: copy, then launch",
    approval: true,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    match &activity.action {
        Action::ImageDerived(derivation) => derived(activity, derivation, context),
        Action::ImageLaunched(launch) => launched(activity, launch, context),
        _ => Verdict::NotApplicable("neither a launch nor a new image".into()),
    }
}

/// A copy, an image of an instance, an image from snapshots: judged by what it is made from.
fn derived(activity: &Activity, derivation: &Derivation, context: &Context<'_>) -> Verdict {
    if let Some(code) = activity.api.as_ref().and_then(|api| api.error_code.as_deref()) {
        return Verdict::NotApplicable(format!("no image was made: {code}").into());
    }
    if let Some(image) = derivation.image.as_deref().filter(|image| catalog::listed(context.policy, image)) {
        return Verdict::Pass(format!("the id {image} is listed in the policy").into());
    }
    if derivation.origins.is_empty() {
        return Verdict::CannotTell(Reason::new(
            "image-origin-not-named",
            "The event does not name what the new image was made from.",
        ));
    }
    let origins = Origins::new(activity, context);
    let mut trail = derivation
        .origins
        .iter()
        .fold(Trail::default(), |trail, origin| trail.and(origins.made_from(origin)));
    if trail.needs.is_empty() && builder(activity, context, activity.principal()) {
        trail.settle("whoever made it is one of the policy's images.builders");
    }
    let how = match derivation.kind {
        DerivationKind::Copied => "copied",
        DerivationKind::Created => "created from an instance",
        DerivationKind::Registered => "registered",
        DerivationKind::Imported => "imported",
        DerivationKind::Restored => "restored from an object of S3",
    };
    let image = derivation.image.as_deref().or(derivation.name.as_deref()).unwrap_or("unknown");
    verdict(activity, trail, |foreign| {
        let mut seen = evidence([
            ("image", json!(derivation.image)),
            ("image_name", json!(derivation.name)),
            ("made_by", json!(activity.api.as_ref().map(|api| &api.operation))),
        ]);
        seen.extend(foreign_evidence(foreign));
        let summary = format!("Image {image} was {how}, and behind it stands {}.", foreign.label());
        (image.to_owned(), summary, seen)
    })
}

/// A launch of an own image: judged by what the image came from.
fn launched(activity: &Activity, launch: &Launch, context: &Context<'_>) -> Verdict {
    if launch.outcome != LaunchOutcome::Succeeded {
        return Verdict::NotApplicable("nothing was launched".into());
    }
    if activity.cloud != crate::activity::Cloud::Aws {
        return Verdict::NotApplicable("the ancestry of images is known in AWS only".into());
    }
    if let Some(why) = launch::outside_scope(launch, context) {
        return Verdict::NotApplicable(why.into());
    }
    if launch.image.id().is_some_and(|id| catalog::listed(context.policy, id)) {
        return Verdict::Pass("the image's id is listed in the policy".into());
    }
    if let ImageRef::Disk(disk) = &launch.image {
        return root_disk(activity, disk, context);
    }
    let known = match launch::image(activity, launch, context) {
        Image::Known(known) => known,
        Image::Unknown { .. } => {
            return Verdict::NotApplicable(
                "nothing is known of the image; machine-image-not-approved tells that".into(),
            );
        }
        Image::Need(keys) => return Verdict::Need(in_time(launch, keys)),
    };
    if catalog::listed(context.policy, &known.fact.image_id) {
        return Verdict::Pass("the image's id is listed in the policy".into());
    }
    match known.fact.owner_id.as_deref() {
        Some(owner) if catalog::place(activity).is("self", owner) => {}
        Some(_) => {
            return Verdict::NotApplicable("not an own image; machine-image-not-approved judges it".into());
        }
        None => {
            return Verdict::NotApplicable(
                "the image's owner is not known; machine-image-not-approved tells that".into(),
            );
        }
    }
    let origins = Origins::new(activity, context);
    let id = &known.fact.image_id;
    let mut trail = origins.behind(&activity.region, known).and(origins.remembered(id));
    if trail.needs.is_empty() {
        let mut makers = lineage::makers(activity, context.memory, id);
        if makers.any(|maker| builder(activity, context, maker)) {
            trail.settle("whoever made it is one of the policy's images.builders");
        } else if lineage::was_in_order(activity, context.memory, id) {
            trail.settle("what stands behind it was in order when it was made");
        }
    }
    let image = launch::label(launch, Some(known.fact));
    verdict(activity, trail, |foreign| {
        let mut seen = launch::evidence(launch, Some(known.fact));
        seen.extend(foreign_evidence(foreign));
        let started = steps::counted(u64::from(launch.count.max(1)), "instance was", "instances were");
        let summary = format!(
            "{started} launched from the own image {image}, and behind it stands {}.",
            foreign.label()
        );
        (image.clone(), summary, seen)
    })
}

/// A root volume that was replaced by a snapshot or another volume. A stranger's is judged as a launch is.
fn root_disk(activity: &Activity, disk: &str, context: &Context<'_>) -> Verdict {
    let trail = Origins::new(activity, context).disk(disk);
    if trail.foreign.is_some() {
        return Verdict::NotApplicable("a stranger's disk; machine-image-not-approved judges it".into());
    }
    verdict(activity, trail, |foreign| (disk.to_owned(), foreign.label(), serde_json::Map::new()))
}

/// Whether the policy lets a principal import, restore, copy and register images.
fn builder(activity: &Activity, context: &Context<'_>, principal: &str) -> bool {
    let day = activity.time.date_naive();
    context.policy.images.builders.iter().any(|builder| {
        builder.until.is_none_or(|until| day <= until)
            && (builder.accounts.is_empty() || builder.accounts.contains(&activity.account))
            && like_principal(&builder.principal, principal, &activity.account)
    })
}

/// Rounds of look-ups are few, and an ancestor is three steps away. Where finding the image takes a
/// round more than usual, its ancestry is asked for along with it.
fn in_time(launch: &Launch, mut keys: Vec<FactKey>) -> Vec<FactKey> {
    let ancestry: Vec<FactKey> = keys
        .iter()
        .filter_map(|key| match (key, launch.image.id()) {
            (FactKey::Image { scope, image }, None) => Some((scope, image.as_str())),
            (FactKey::InstanceImage { scope, .. }, Some(image)) => Some((scope, image)),
            _ => None,
        })
        .map(|(scope, image)| FactKey::Ancestry { scope: scope.clone(), image: image.to_owned() })
        .take(1)
        .collect();
    keys.extend(ancestry);
    keys
}

fn verdict(
    activity: &Activity,
    trail: Trail,
    tell: impl FnOnce(&Foreign) -> (String, String, serde_json::Map<String, Value>),
) -> Verdict {
    // What is found is certain, whatever else is still open.
    if let Some(foreign) = &trail.foreign {
        let (image, summary, evidence) = tell(foreign);
        let next_steps = next_steps(activity, &image, foreign);
        let subject = Subject::MachineImage { image, principal: activity.principal().to_owned() };
        let not_inspected = trail.doubts;
        return Verdict::matched(Match {
            subject,
            severity: None,
            summary,
            evidence,
            next_steps,
            not_inspected,
        });
    }
    if !trail.needs.is_empty() {
        return Verdict::Need(trail.needs);
    }
    match trail.doubts.into_iter().next() {
        Some(reason) => Verdict::CannotTell(reason),
        None => Verdict::Pass(
            trail.fine.map_or("everything behind it is the account's own".into(), |fine| fine.into()),
        ),
    }
}

fn foreign_evidence(foreign: &Foreign) -> serde_json::Map<String, Value> {
    evidence([
        ("source_image", json!(foreign.image)),
        ("source_snapshot", json!(foreign.snapshot)),
        ("source_name", json!(foreign.name)),
        ("source_region", json!(foreign.region)),
        ("source_owner", json!(foreign.owner)),
        ("source_owner_alias", json!(foreign.alias)),
        ("source_public", json!(foreign.public)),
        ("source_generations", json!(foreign.generations)),
    ])
}

fn next_steps(activity: &Activity, image: &str, foreign: &Foreign) -> Vec<NextStep> {
    let ancestry = shape::image(image)
        .and_then(|image| steps::aws(activity, "ec2 get-image-ancestry", &format!("--image-id {image}")));
    let used = shape::image(image).and_then(|image| {
        let filter =
            format!("--filters Name=image-id,Values={image} --query 'Reservations[].Instances[].InstanceId'");
        steps::aws(activity, "ec2 describe-instances", &filter)
    });
    let disable = shape::image(image)
        .and_then(|image| steps::aws(activity, "ec2 disable-image", &format!("--image-id {image}")));
    let source = shape::region(&foreign.region).and_then(|region| {
        let image = foreign.image.as_deref().and_then(shape::image);
        let snapshot = foreign.snapshot.as_deref().and_then(shape::snapshot);
        match (image, snapshot) {
            (Some(image), _) => Some(format!(
                "aws ec2 describe-images --region {region} --include-deprecated --image-ids {image}"
            )),
            (None, Some(snapshot)) => {
                Some(format!("aws ec2 describe-snapshots --region {region} --snapshot-ids {snapshot}"))
            }
            (None, None) => None,
        }
    });
    let accept =
        shape::account(&foreign.owner).map(|owner| format!("images: {{ancestors: [vendors, \"{owner}\"]}}"));
    vec![
        NextStep::new("Look at what it was made from, and whose that is.", source),
        NextStep::new("See all that stands behind the image.", ancestry),
        NextStep::new("Find what runs from it.", used),
        NextStep::new(
            "If nobody can explain it, disable the image, so that nothing more starts from it.",
            disable,
        ),
        steps::trace_actor(activity),
        NextStep::policy(
            "If its maker may stand behind own images, list it in the policy, under `images.ancestors`.",
            accept,
        ),
    ]
}

#[cfg(test)]
mod tests;
