//! Next steps that several detections share. Only values of a checked shape enter a command.

use super::{NextStep, shape};
use crate::activity::Activity;

/// Instances named in one command; the evidence and the console show the rest.
const INSTANCES: usize = 20;

/// `aws ec2 OPERATION --region REGION REST`; nothing where the region is not one.
pub fn aws(activity: &Activity, operation: &str, rest: &str) -> Option<String> {
    Some(format!("aws {operation} --region {} {rest}", shape::region(&activity.region)?))
}

pub fn describe_image(activity: &Activity, image: &str) -> NextStep {
    let command = shape::image(image).and_then(|image| {
        aws(activity, "ec2 describe-images", &format!("--include-deprecated --image-ids {image}"))
    });
    NextStep::new("Look at the image: its owner, name, age and where it was copied from.", command)
}

/// Stopping keeps the disks, and with them the evidence; terminating would not.
pub fn stop_instances<'a>(activity: &Activity, instances: impl Iterator<Item = &'a str>) -> NextStep {
    let ids: Vec<&str> = instances.filter_map(shape::instance).take(INSTANCES).collect();
    let command = (!ids.is_empty())
        .then(|| aws(activity, "ec2 stop-instances", &format!("--instance-ids {}", ids.join(" "))))
        .flatten();
    NextStep::new(
        "If nobody can explain the launch, stop the instances; do not terminate them, their disks are the evidence.",
        command,
    )
}

/// What else the same credentials did.
pub fn trace_actor(activity: &Activity) -> NextStep {
    let key = activity.actor.as_ref().and_then(|actor| actor.access_key_id.as_deref());
    let key = key.filter(|key| {
        (16..=128).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    let command = key.and_then(|key| {
        let lookup =
            format!("--lookup-attributes AttributeKey=AccessKeyId,AttributeValue={key} --max-results 50");
        aws(activity, "cloudtrail lookup-events", &lookup)
    });
    NextStep::new("Ask whoever made the call, and see what else the same credentials did.", command)
}

/// Takes a pushed image out of its repository.
pub fn delete_pushed(
    activity: &Activity,
    repository: &str,
    digest: Option<&str>,
    tag: Option<&str>,
) -> NextStep {
    let id = digest
        .and_then(shape::digest)
        .map(|digest| format!("imageDigest={digest}"))
        .or_else(|| tag.and_then(shape::tag).map(|tag| format!("imageTag={tag}")));
    let command = shape::repository(repository).zip(id).and_then(|(repository, id)| {
        aws(activity, "ecr batch-delete-image", &format!("--repository-name {repository} --image-ids {id}"))
    });
    NextStep::new("If it does not belong there, take it out before anything runs it.", command)
}

/// `3 instances`
pub fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("{count} {one}") } else { format!("{count} {many}") }
}
