//! What EC2 is asked.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Filter;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Asked, convert};
use crate::activity::TemplateRef;
use crate::aws::Failure;
use crate::lookup::FactValue;

/// How many pages of a launch's instances are read, a thousand on each.
const PAGES: usize = 5;

/// `DescribeImages`, of one image: one bad id among several would fail them all.
pub(super) async fn image(client: &Client, image: &str) -> Asked {
    let answer = client.describe_images().image_ids(image).include_deprecated(true).send().await;
    one(answer, &["InvalidAMIID."], |answer| {
        let found = answer.images?.into_iter().find(|found| found.image_id.as_deref() == Some(image))?;
        Some(FactValue::Image(Box::new(convert::image(found))))
    })
}

/// `DescribeInstanceImageMetadata`.
pub(super) async fn instance_image(client: &Client, instance: &str) -> Asked {
    let answer = client.describe_instance_image_metadata().instance_ids(instance).send().await;
    one(answer, &["InvalidInstanceID."], |answer| {
        let mut metadata = answer.instance_image_metadata?.into_iter();
        let image = metadata.find(|found| found.instance_id.as_deref() == Some(instance))?.image_metadata?;
        Some(FactValue::Image(Box::new(convert::metadata(image))))
    })
}

/// `GetImageAncestry`.
pub(super) async fn ancestry(client: &Client, image: &str) -> Asked {
    let answer = client.get_image_ancestry().image_id(image).send().await;
    one(answer, &["InvalidAMIID."], |answer| {
        let entries = answer.image_ancestry_entries.filter(|entries| !entries.is_empty())?;
        Some(FactValue::Ancestry(entries.into_iter().map(convert::ancestor).collect()))
    })
}

/// `DescribeSnapshots`.
pub(super) async fn snapshot(client: &Client, snapshot: &str) -> Asked {
    let answer = client.describe_snapshots().snapshot_ids(snapshot).send().await;
    one(answer, &["InvalidSnapshot.", "InvalidSnapshotID."], |answer| {
        let mut snapshots = answer.snapshots?.into_iter();
        let found = snapshots.find(|found| found.snapshot_id.as_deref() == Some(snapshot))?;
        Some(FactValue::Snapshot(convert::snapshot(found)))
    })
}

/// `GetAllowedImagesSettings`.
pub(super) async fn allowed_images(client: &Client) -> Asked {
    let answer = client.get_allowed_images_settings().send().await;
    one(answer, &[], |answer| Some(FactValue::AllowedImages(convert::allowed_images(answer))))
}

/// `DescribeLaunchTemplateVersions`, with SSM parameters resolved.
pub(super) async fn template(client: &Client, template: &TemplateRef) -> Asked {
    let mut request = client
        .describe_launch_template_versions()
        .resolve_alias(true)
        .versions(template.version.as_deref().unwrap_or("$Default"));
    request = match (&template.id, &template.name) {
        (Some(id), _) => request.launch_template_id(id),
        (None, Some(name)) => request.launch_template_name(name),
        (None, None) => return Asked::Absent,
    };
    let absent = ["InvalidLaunchTemplateId.", "InvalidLaunchTemplateName", "InvalidLaunchTemplateVersion"];
    one(request.send().await, &absent, |answer| {
        let version = answer.launch_template_versions?.into_iter().next()?;
        Some(FactValue::Template(convert::template(version)))
    })
}

/// `DescribeInstances` of one launch.
pub(super) async fn launched(client: &Client, client_token: &str) -> Asked {
    let mut instances = Vec::new();
    let mut pages = client
        .describe_instances()
        .filters(Filter::builder().name("client-token").values(client_token).build())
        .max_results(1000)
        .into_paginator()
        .send();
    for _ in 0..PAGES {
        match pages.next().await {
            None => break,
            Some(Err(error)) => return Asked::Failed(Failure::of(&error)),
            Some(Ok(page)) => {
                let reservations = page.reservations.unwrap_or_default();
                let found = reservations.into_iter().flat_map(|one| one.instances.unwrap_or_default());
                instances.extend(found.map(convert::instance));
            }
        }
    }
    if instances.is_empty() { Asked::Absent } else { Asked::Known(FactValue::Instances(instances)) }
}

/// An answer, or what stands for it: error codes that begin with one of `absent` say that there is no
/// such thing, and so does an answer in which `pick` finds nothing.
pub(super) fn one<O, E, R>(
    answer: Result<O, SdkError<E, R>>,
    absent: &[&str],
    pick: impl FnOnce(O) -> Option<FactValue>,
) -> Asked
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match answer {
        Ok(answer) => pick(answer).map_or(Asked::Absent, Asked::Known),
        Err(error) => {
            let failure = Failure::of(&error);
            let code = failure.code.as_deref().unwrap_or_default();
            if absent.iter().any(|prefix| code.starts_with(prefix)) {
                Asked::Absent
            } else {
                Asked::Failed(failure)
            }
        }
    }
}
