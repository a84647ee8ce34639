//! EC2 and EBS calls that make snapshots and volumes, and that put them under instances.
//!
//! A call that failed made nothing, and is no activity.

use super::Record;
use super::ec2::image_ref;
use crate::activity::{
    Action, Activity, Attachment, DiskMade, ImageRef, Instance, Launch, LaunchOutcome, Origin,
};
use crate::source::fields::{list_of, text};

/// `CopySnapshot`, `CreateSnapshot`, `CreateSnapshots`, `CreateVolume`, `CopyVolumes` and EBS direct's
/// `CompleteSnapshot`.
pub(super) fn made(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() || record.dry_run() {
        return Vec::new();
    }
    let disks: Vec<DiskMade> = match record.operation {
        "CopySnapshot" => {
            let region = record.asked(&["sourceRegion"]).unwrap_or_else(|| record.region.clone());
            let origin = record.asked(&["sourceSnapshotId"]).map(|id| Origin::RemoteSnapshot { id, region });
            one(record.answered(&["snapshotId"]), origin)
        }
        "CompleteSnapshot" => one(record.asked(&["snapshotId"]), Some(Origin::Blocks)),
        "CreateSnapshot" => {
            let volume = record.asked(&["volumeId"]).or_else(|| record.answered(&["volumeId"]));
            one(record.answered(&["snapshotId"]), volume.map(Origin::Volume))
        }
        "CreateVolume" => {
            let snapshot = record.asked(&["snapshotId"]).or_else(|| record.answered(&["snapshotId"]));
            let copied = record.asked(&["sourceVolumeId"]).map(Origin::Volume);
            one(record.answered(&["volumeId"]), snapshot.map(Origin::Snapshot).or(copied))
        }
        "CopyVolumes" => {
            let volumes = record.response.map(|body| list_of(body, "volumeSet")).unwrap_or_default();
            let source = record.asked(&["sourceVolumeId"]);
            volumes
                .into_iter()
                .flat_map(|it| one(text(it, "volumeId"), source.clone().map(Origin::Volume)))
                .collect()
        }
        _ => {
            let snapshots = record.response.map(|body| list_of(body, "snapshotSet")).unwrap_or_default();
            let made = |it| one(text(it, "snapshotId"), text(it, "volumeId").map(Origin::Volume));
            snapshots.into_iter().flat_map(made).collect()
        }
    };
    let disks = if disks.is_empty() { one(None, None) } else { disks };
    disks.into_iter().map(|disk| record.by_caller(Action::DiskMade(disk))).collect()
}

/// A disk of which not everything is told: a volume made from nothing, or a record that lost a field.
fn one(id: Option<String>, origin: Option<Origin>) -> Vec<DiskMade> {
    let origin = origin.unwrap_or_else(|| Origin::Volume(String::new()));
    vec![DiskMade { id: id.unwrap_or_default(), origin }]
}

/// `AttachVolume`.
pub(super) fn attached(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let told = |key: &str| record.asked(&[key]).or_else(|| record.answered(&[key])).unwrap_or_default();
    vec![record.by_caller(Action::VolumeAttached(Attachment {
        volume: told("volumeId"),
        instance: told("instanceId"),
        device: told("device"),
        failed: record.error.clone(),
    }))]
}

/// `CreateReplaceRootVolumeTask`: the instance runs something else from now on, which is a launch of it. A
/// call that names nothing puts the instance back to what it was launched from.
pub(super) fn root_replaced(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let told = |key: &str| record.asked(&[key]).or_else(|| record.answered(&["replaceRootVolumeTask", key]));
    let disk = || told("snapshotId").or_else(|| told("volumeId")).map(ImageRef::Disk);
    let Some(image) = told("imageId").map(|id| image_ref(&id)).or_else(disk) else { return Vec::new() };
    let outcome = match &record.error {
        Some(code) => LaunchOutcome::Attempted(code.clone()),
        None => LaunchOutcome::Succeeded,
    };
    let instances = match outcome {
        LaunchOutcome::Succeeded => told("instanceId").map(|id| Instance { id, ..Instance::default() }),
        _ => None,
    };
    vec![record.by_caller(Action::ImageLaunched(Launch {
        outcome,
        image,
        instances: instances.into_iter().collect(),
        count: 1,
        ..Launch::default()
    }))]
}
