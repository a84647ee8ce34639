//! What disks and images were made from, as the calls that made them said it.
//!
//! EC2 forgets: a copied snapshot does not name its source, and a snapshot of a volume does not name what the
//! volume was made from. So each such call leaves what the new thing was made from under the new thing's id.
//! Where that is remembered of its source, the source's own lineage is carried on, so that one record is
//! enough to know the first origins.

use super::evidence::Note;
use super::trail::label;
use super::{Kind, Memory};
use crate::activity::{Action, Activity, Attachment, ImageRef, Launch, LaunchOutcome, Origin};

/// Origins that are carried on for one thing.
const MOST_ORIGINS: usize = 8;
/// Snapshots of one image whose records are read.
const MOST_SUBJECTS: usize = 16;

/// An origin as it is remembered: `snapshot snap-... us-east-1`.
pub fn detail(origin: &Origin, region: &str) -> Option<String> {
    Some(match origin {
        Origin::Image { id, region: there } => {
            format!("image {id} {}", if there.is_empty() { region } else { there })
        }
        Origin::Snapshot(id) => format!("snapshot {id} {region}"),
        Origin::RemoteSnapshot { id, region } => format!("snapshot {id} {region}"),
        Origin::Volume(id) => format!("volume {id} {region}"),
        Origin::Disk(url) => format!("disk {url}"),
        Origin::Blocks => "blocks".to_owned(),
        // An instance says itself what it was launched from.
        Origin::Instance(_) => return None,
    })
}

/// What [`detail`] wrote: the origin, and the region that it lies in.
pub fn origin(detail: &str) -> Option<(Origin, &str)> {
    let (kind, rest) = detail.split_once(' ').unwrap_or((detail, ""));
    let (id, region) = rest.split_once(' ').unwrap_or((rest, ""));
    let origin = match kind {
        "image" => Origin::Image { id: id.to_owned(), region: region.to_owned() },
        "snapshot" => Origin::RemoteSnapshot { id: id.to_owned(), region: region.to_owned() },
        "volume" => Origin::Volume(id.to_owned()),
        "disk" => Origin::Disk(rest.to_owned()),
        "blocks" => Origin::Blocks,
        _ => return None,
    };
    Some((origin, region))
}

/// Ids whose lineage an activity asks for or adds to.
pub fn subjects(activity: &Activity) -> Vec<String> {
    match &activity.action {
        Action::ImageDerived(derivation) => {
            let origins = derivation.origins.iter().filter_map(local);
            origins.map(str::to_owned).take(MOST_SUBJECTS).chain(derivation.image.clone()).collect()
        }
        // A volume made from nothing has no lineage.
        Action::DiskMade(disk) if disk.id.is_empty() || local(&disk.origin) == Some("") => Vec::new(),
        Action::DiskMade(disk) => {
            local(&disk.origin).map(str::to_owned).into_iter().chain([disk.id.clone()]).collect()
        }
        Action::VolumeAttached(attachment) if attaches_a_root(attachment) => {
            vec![attachment.volume.clone(), attachment.instance.clone()]
        }
        Action::InstanceStarted(change) if change.failed.is_none() => {
            change.instances.iter().take(MOST_SUBJECTS).cloned().collect()
        }
        Action::ImageLaunched(launch) if launch.outcome == LaunchOutcome::Succeeded => {
            let image = match &launch.image {
                ImageRef::Id(id) | ImageRef::Disk(id) => Some(id.clone()),
                _ => None,
            };
            image.into_iter().chain(replaced(activity, launch).map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn attaches_a_root(attachment: &Attachment) -> bool {
    attachment.failed.is_none() && attachment.is_root()
}

/// The instance whose root volume a launch replaced.
fn replaced<'a>(activity: &Activity, launch: &'a Launch) -> Option<&'a str> {
    let call = activity.api.as_ref().is_some_and(|api| api.operation == "CreateReplaceRootVolumeTask");
    launch.instances.first().filter(|_| call).map(|instance| instance.id.as_str())
}

/// The id of an origin in the account, whose own lineage may be remembered.
fn local(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Snapshot(id) | Origin::RemoteSnapshot { id, .. } => Some(id),
        Origin::Volume(id) | Origin::Instance(id) => Some(id),
        Origin::Image { id, .. } => Some(id),
        Origin::Disk(_) | Origin::Blocks => None,
    }
}

/// The traces that an activity leaves.
pub fn notes(activity: &Activity, memory: &Memory) -> Vec<Note> {
    match &activity.action {
        Action::ImageDerived(derivation) if is_done(activity) => {
            let Some(image) = &derivation.image else { return Vec::new() };
            let mut notes: Vec<Note> = derivation
                .origins
                .iter()
                .flat_map(|origin| carried(activity, memory, origin))
                .take(MOST_ORIGINS)
                .map(|detail| note(activity, image, label::MADE_FROM, detail))
                .collect();
            notes.push(note(activity, image, label::MADE_BY, activity.principal().to_owned()));
            notes
        }
        Action::DiskMade(disk) => {
            // Snapshots of volumes are made all day: only a known lineage is worth a record.
            let worth = |detail: &String| !detail.starts_with("volume ");
            let details = carried(activity, memory, &disk.origin).into_iter().filter(worth);
            details.map(|detail| note(activity, &disk.id, label::MADE_FROM, detail)).collect()
        }
        Action::VolumeAttached(attachment) if attaches_a_root(attachment) => {
            let details = remembered(activity, memory, &attachment.volume).into_iter();
            details.map(|detail| note(activity, &attachment.instance, label::MADE_FROM, detail)).collect()
        }
        Action::ImageLaunched(launch) if launch.outcome == LaunchOutcome::Succeeded => {
            let Some(instance) = replaced(activity, launch) else { return Vec::new() };
            let origin = match &launch.image {
                ImageRef::Id(id) => Origin::Image { id: id.clone(), region: activity.region.clone() },
                ImageRef::Disk(id) if id.starts_with("vol-") => Origin::Volume(id.clone()),
                ImageRef::Disk(id) => Origin::Snapshot(id.clone()),
                _ => return Vec::new(),
            };
            let details = carried(activity, memory, &origin).into_iter();
            details.map(|detail| note(activity, instance, label::MADE_FROM, detail)).collect()
        }
        _ => Vec::new(),
    }
}

/// That an image's origins were in order when it was made: they may not be visible any more later.
pub fn looked_at(activity: &Activity) -> impl Iterator<Item = Note> {
    let image = match &activity.action {
        Action::ImageDerived(derivation) if is_done(activity) => derivation.image.as_ref(),
        _ => None,
    };
    image.map(|image| note(activity, image, label::LOOKED_AT, String::new())).into_iter()
}

fn is_done(activity: &Activity) -> bool {
    activity.api.as_ref().is_none_or(|api| api.error_code.is_none())
}

/// An origin's own lineage where it is remembered, else the origin itself.
fn carried(activity: &Activity, memory: &Memory, origin: &Origin) -> Vec<String> {
    let known = local(origin).map(|id| remembered(activity, memory, id)).unwrap_or_default();
    if known.is_empty() { detail(origin, &activity.region).into_iter().collect() } else { known }
}

/// What is remembered of an id: the origins that were said when it was made.
pub fn remembered(activity: &Activity, memory: &Memory, id: &str) -> Vec<String> {
    traces(activity, memory, id, label::MADE_FROM).take(MOST_ORIGINS).map(str::to_owned).collect()
}

/// The principals that made an image.
pub fn makers<'a>(activity: &Activity, memory: &'a Memory, id: &str) -> impl Iterator<Item = &'a str> {
    traces(activity, memory, id, label::MADE_BY)
}

/// Whether an image's origins were looked at when it was made, and were in order.
pub fn was_in_order(activity: &Activity, memory: &Memory, id: &str) -> bool {
    traces(activity, memory, id, label::LOOKED_AT).next().is_some()
}

fn traces<'a>(
    activity: &Activity,
    memory: &'a Memory,
    id: &str,
    label: &'static str,
) -> impl Iterator<Item = &'a str> {
    let record = memory.about(activity, Kind::Origin, id);
    let traces = record.into_iter().flat_map(|record| &record.traces);
    traces.filter(move |trace| trace.label == label).map(|trace| trace.detail.as_str())
}

fn note(activity: &Activity, id: &str, label: &'static str, detail: String) -> Note {
    Note {
        kind: Kind::Origin,
        across: false,
        id: id.to_owned(),
        label,
        detail,
        time: activity.time,
        source: None,
        place: String::new(),
        score: 0,
        seldom: false,
    }
}
