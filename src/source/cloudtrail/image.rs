//! EC2 calls that make machine images and that share them.
//!
//! A call that failed made or shared nothing, and is no activity.

use serde_json::Value;

use super::Record;
use super::ec2::snapshots;
use crate::activity::{Action, Activity, Derivation, DerivationKind, Origin, Share};
use crate::source::fields::{any, get, list, list_of, scalar, str, text};

pub(super) fn derived(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() || record.dry_run() {
        return Vec::new();
    }
    let (kind, origins) = match record.operation {
        "CopyImage" => (DerivationKind::Copied, copied(record)),
        "CreateImage" => (DerivationKind::Created, created(record)),
        "RegisterImage" => (DerivationKind::Registered, registered(record)),
        "CreateRestoreImageTask" => (DerivationKind::Restored, restored(record)),
        _ => (DerivationKind::Imported, imported(record)),
    };
    vec![record.by_caller(Action::ImageDerived(Derivation {
        kind,
        image: record.answered(&["imageId"]),
        name: record.asked(&["name"]).or_else(|| record.asked(&["description"])),
        origins,
    }))]
}

fn copied(record: &Record<'_>) -> Vec<Origin> {
    let Some(id) = record.asked(&["sourceImageId"]) else { return Vec::new() };
    let region = record.asked(&["sourceRegion"]).unwrap_or_else(|| record.region.clone());
    vec![Origin::Image { id, region }]
}

fn created(record: &Record<'_>) -> Vec<Origin> {
    let instance = record.asked(&["instanceId"]).map(Origin::Instance);
    let snapshots = record.request.map(snapshots).unwrap_or_default();
    instance.into_iter().chain(snapshots.into_iter().map(Origin::Snapshot)).collect()
}

fn registered(record: &Record<'_>) -> Vec<Origin> {
    let snapshots = record.request.map(snapshots).unwrap_or_default();
    // An instance-store image: `bucket/path/image.manifest.xml`.
    let manifest = record.asked(&["imageLocation"]).map(|location| Origin::Disk(format!("s3://{location}")));
    snapshots.into_iter().map(Origin::Snapshot).chain(manifest).collect()
}

fn imported(record: &Record<'_>) -> Vec<Origin> {
    let Some(request) = record.request else { return Vec::new() };
    let containers = any(request, &["diskContainerSet", "diskContainers", "diskContainer"]);
    containers.map(list).unwrap_or_default().into_iter().filter_map(disk).collect()
}

/// An image kept as an object of S3: nothing tells who wrote it.
fn restored(record: &Record<'_>) -> Vec<Origin> {
    let Some(bucket) = record.asked(&["bucket"]) else { return Vec::new() };
    vec![Origin::Disk(format!("s3://{bucket}/{}", record.asked(&["objectKey"]).unwrap_or_default()))]
}

fn disk(container: &Value) -> Option<Origin> {
    if let Some(snapshot) = text(container, "snapshotId") {
        return Some(Origin::Snapshot(snapshot));
    }
    if let Some(url) = text(container, "url") {
        return Some(Origin::Disk(url));
    }
    let bucket = get(container, "userBucket")?;
    let name = text(bucket, "s3Bucket")?;
    Some(Origin::Disk(format!("s3://{name}/{}", text(bucket, "s3Key").unwrap_or_default())))
}

pub(super) fn shared(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() || record.dry_run() {
        return Vec::new();
    }
    let nothing = Value::Null;
    let request = record.request.unwrap_or(&nothing);
    let permission = get(request, "launchPermission");
    let attribute = any(request, &["attributeType", "attribute"]).and_then(Value::as_str);
    let another = match attribute {
        Some(name) => !name.eq_ignore_ascii_case("launchPermission"),
        None => any(request, &["description", "imdsSupport", "productCodes", "productCodeSet"]).is_some(),
    };
    if permission.is_none() && another {
        return Vec::new();
    }
    // What does not say which attribute was changed may have been this one.
    let mut share = Share { image: text(request, "imageId").unwrap_or_default(), ..Share::default() };
    if let Some(permission) = permission {
        share.added = list_of(permission, "add").into_iter().filter_map(grantee).collect();
        share.removed = list_of(permission, "remove").into_iter().filter_map(grantee).collect();
    }
    // The older form: an operation, and lists beside it.
    let named: Vec<String> = OLD_LISTS
        .iter()
        .flat_map(|key| list_of(request, key))
        .filter_map(|it| scalar(it).or_else(|| grantee(it)))
        .collect();
    match str(request, "operationType") {
        Some("remove") => share.removed.extend(named),
        _ => share.added.extend(named),
    }
    vec![record.by_caller(Action::ImageShared(share))]
}

const OLD_LISTS: [&str; 8] = [
    "userIds",
    "userIdSet",
    "userGroups",
    "userGroupSet",
    "organizationArns",
    "organizationArnSet",
    "organizationalUnitArns",
    "organizationalUnitArnSet",
];

/// Account id, `all`, or the ARN of an organization or a unit of it.
fn grantee(item: &Value) -> Option<String> {
    let known = any(item, &["userId", "group", "groupName", "organizationArn", "organizationalUnitArn"]);
    known.and_then(scalar).or_else(|| scalar(item))
}
