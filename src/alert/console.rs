//! Links into the AWS console, for the partition that the region belongs to.

use super::{Alert, shape};
use crate::activity::{Action, Activity, Cloud};

/// The partition of a region, as ARNs spell it: told by the prefix, as the AWS SDKs do.
pub fn partition(region: &str) -> &'static str {
    const BY_PREFIX: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// `https://eu-central-1.console.aws.amazon.com`; `None` for regions of no known shape and for
/// partitions whose console has no public address.
fn console(region: &str) -> Option<String> {
    let domain = match partition(region) {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    shape::region(region).then(|| format!("https://{region}.{domain}"))
}

/// What to open, most useful first: a label and the address. Only ids of the right shape get into one.
pub fn links(alert: &Alert) -> Vec<(&'static str, String)> {
    let activity = alert.activity.as_ref();
    let mut links = Vec::new();
    if activity.cloud != Cloud::Aws {
        return links;
    }
    let Some(base) = console(&activity.region) else { return links };
    let region = &activity.region;
    let ec2 = |kind: &str, id: &str| format!("{base}/ec2/home?region={region}#{kind}={id}");
    match &activity.action {
        Action::ImageLaunched(launch) => {
            links.extend(instance(
                &base,
                region,
                launch.instances.iter().map(|instance| instance.id.as_str()),
            ));
            if let Some(id) = launch.image.id().filter(|id| shape::resource("ami", id)) {
                links.push(("Image", ec2("ImageDetails:imageId", id)));
            }
        }
        Action::ImageDerived(derivation) => {
            if let Some(id) = derivation.image.as_deref().filter(|id| shape::resource("ami", id)) {
                links.push(("Image", ec2("ImageDetails:imageId", id)));
            }
        }
        Action::ImageShared(share) => {
            if shape::resource("ami", &share.image) {
                links.push(("Image", ec2("ImageDetails:imageId", &share.image)));
            }
        }
        Action::ImagePushed(push) => {
            let digest = push.digest.as_deref();
            links.extend(repository(&base, activity, &push.registry, &push.repository, push.public, digest));
        }
        Action::ImageScanned(scan) => {
            let digest = Some(scan.digest.as_str());
            links.extend(repository(&base, activity, &scan.registry, &scan.repository, false, digest));
        }
        Action::VolumeAttached(attachment) => {
            links.extend(instance(&base, region, std::iter::once(attachment.instance.as_str())));
        }
        Action::UserDataChanged(change) => {
            links.extend(instance(&base, region, std::iter::once(change.instance.as_str())));
        }
        Action::InstanceStopped(change) | Action::InstanceStarted(change) => {
            links.extend(instance(&base, region, change.instances.iter().map(String::as_str)));
        }
        Action::ContainerStarted(start) => {
            links.extend(instance(&base, region, start.place.instance.as_deref()))
        }
        Action::ProcessStarted(process) => {
            links.extend(instance(&base, region, process.place.instance.as_deref()))
        }
        Action::Connected(connection) => {
            links.extend(instance(&base, region, connection.place.instance.as_deref()));
        }
        Action::NameResolved(resolution) => {
            links.extend(instance(&base, region, resolution.place.instance.as_deref()));
        }
        Action::VerdictReported(reported) => {
            links.extend(instance(&base, region, reported.place.instance.as_deref()));
        }
        Action::GuardRailChanged(_)
        | Action::DiskMade(_)
        | Action::LaunchTemplateChanged(_)
        | Action::ImagesSearched(_)
        | Action::ImagePulled(_)
        | Action::WorkloadDeclared(_)
        | Action::MonitoringChanged(_)
        | Action::PolicyChanged(_)
        | Action::SelfChecked(_) => {}
    }
    // CloudTrail's ids are UUIDs; what services name their own events by is not found there.
    if activity.api.is_some() && shape::uuid(&activity.id) {
        links.push(("Event", format!("{base}/cloudtrailv2/home?region={region}#/events/{}", activity.id)));
    }
    links
}

/// The page of one instance, or the list of several.
fn instance<'a>(
    base: &str,
    region: &str,
    ids: impl IntoIterator<Item = &'a str>,
) -> Option<(&'static str, String)> {
    let ids: Vec<&str> = ids.into_iter().filter(|id| shape::resource("i", id)).take(10).collect();
    let page = |kind: &str, id: &str| format!("{base}/ec2/home?region={region}#{kind}={id}");
    match ids.as_slice() {
        [] => None,
        [id] => Some(("Instance", page("InstanceDetails:instanceId", id))),
        ids => Some(("Instances", page("Instances:instanceId", &ids.join(",")))),
    }
}

fn repository(
    base: &str,
    activity: &Activity,
    registry: &str,
    name: &str,
    public: bool,
    digest: Option<&str>,
) -> Option<(&'static str, String)> {
    let account = if shape::account(registry) { registry } else { activity.account.as_str() };
    if !shape::account(account) || !shape::repository(name) {
        return None;
    }
    let region = &activity.region;
    let kind = if public { "public" } else { "private" };
    let repository = format!("{base}/ecr/repositories/{kind}/{account}/{name}");
    Some(match digest.filter(|digest| shape::digest(digest) && !public) {
        Some(digest) => ("Container image", format!("{repository}/_/image/{digest}/details?region={region}")),
        None => ("Repository", format!("{repository}?region={region}")),
    })
}
