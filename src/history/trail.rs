//! Which subjects an activity is about, and what it leaves behind for those that come after it.

use std::collections::BTreeMap;

use super::evidence::{self, Note};
use super::{Key, Kind, Memory, Record, Trace, ecs, lineage, place, seen, sight};
use crate::activity::{Action, Activity, LaunchOutcome};
use crate::detection::Detection;
use crate::engine::Judgement;
use crate::policy::Policy;

pub use super::evidence::searches;

/// Instances of one launch, stop or start that are remembered: more than CloudTrail puts into one event, which
/// holds 256 KB. Each has a record of its own, since what runs on it names nothing but the instance.
pub const MOST_INSTANCES: usize = 5_000;

/// How an act begins that is a program which has ordinary uses too.
pub const RAN: &str = "ran ";

/// Labels of traces.
pub mod label {
    /// A detection matched; the detail is its id, and after a space the digest where it is about one.
    pub const MATCH: &str = "match";
    /// An instance was started; the detail is the instance, the image and the principal, with spaces
    /// between. With a principal, the image alone.
    pub const LAUNCHED: &str = "launched";
    /// An instance was stopped, started, or had its user data rewritten; the detail is the principal.
    pub const STOPPED: &str = "stopped";
    pub const STARTED: &str = "started";
    pub const USER_DATA_CHANGED: &str = "user data rewritten";
    /// A launch failed; the detail is the error code.
    pub const ATTEMPTED: &str = "attempted";
    /// Images were searched by name, whoever owns them; the detail is the names.
    pub const SEARCHED: &str = "searched";
    /// A container image was pulled; the detail is its name.
    pub const PULLED: &str = "pulled";
    /// A container was created or started; the detail is its image, with a digest also the place.
    pub const CREATED: &str = "created";
    pub const RUNS: &str = "container started";
    /// Something suspicious was done; the detail is what, with a digest also the place.
    pub const ACT: &str = "act";
    /// What a disk or an image was made from; the detail is [`super::lineage::detail`].
    pub const MADE_FROM: &str = "made from";
    /// Who made an image; the detail is the principal.
    pub const MADE_BY: &str = "made by";
    /// When an image was made, what stands behind it was looked at and found in order.
    pub const LOOKED_AT: &str = "origins in order";
    /// The digest of a container's image, and the place.
    pub const DIGEST: &str = "digest";
    /// The index that a digest belongs to, and a digest that belongs to an index.
    pub const INDEX: &str = "index";
    pub const CHILD: &str = "child";
}

/// Every record that the activity's detections may read, or that it will write.
pub fn keys(activity: &Activity) -> Vec<Key> {
    let key = |kind, id: String| Key::new(&activity.account, &activity.region, kind, id);
    let mut keys: Vec<Key> =
        lineage::subjects(activity).into_iter().map(|id| key(Kind::Origin, id)).collect();
    match &activity.action {
        Action::GuardRailChanged(rail) => {
            keys.extend(rail.repository().map(|repository| key(Kind::Repository, repository.to_owned())));
        }
        Action::ImageLaunched(launch) => match launch.outcome {
            LaunchOutcome::Succeeded => {
                keys.push(key(Kind::Principal, searches(activity)));
                keys.extend(launch.image.id().map(|image| key(Kind::Sighting, sight::machine_image(image))));
                for (instance, faces) in evidence::instances(launch) {
                    keys.push(key(Kind::Instance, instance.to_owned()));
                    keys.extend(faces.into_iter().map(|face| key(Kind::Instance, face)));
                }
            }
            LaunchOutcome::Attempted(_) => {
                keys.push(key(Kind::Principal, activity.principal().to_owned()));
            }
            LaunchOutcome::DryRun => {}
        },
        Action::ImagesSearched(search) if !search.bounded && !search.names.is_empty() => {
            keys.push(key(Kind::Principal, searches(activity)));
        }
        Action::UserDataChanged(change) => keys.push(key(Kind::Instance, change.instance.clone())),
        Action::InstanceStopped(change) | Action::InstanceStarted(change) => {
            let instances = change.instances.iter().take(MOST_INSTANCES);
            keys.extend(instances.map(|instance| key(Kind::Instance, instance.clone())));
        }
        Action::ImagePushed(push) => {
            keys.push(key(Kind::Sighting, sight::pusher(&push.repository, activity.principal())));
            keys.push(key(Kind::Repository, push.repository.clone()));
            if !push.children.is_empty() {
                let children = push.children.iter().take(evidence::MOST_CHILDREN);
                keys.extend(children.chain(&push.digest).map(|digest| key(Kind::Alias, digest.clone())));
            }
        }
        Action::ImageScanned(scan) => keys.push(key(Kind::Repository, scan.repository.clone())),
        Action::WorkloadDeclared(workload) => {
            if ecs::concerns(workload) {
                keys.extend(ecs::keys(activity));
            }
            keys.extend(evidence::pod(activity).map(|(kind, id)| key(kind, id)));
        }
        action => {
            if let Some(place) = action.place() {
                keys.extend(place::records(place).into_iter().map(|(kind, id)| key(kind, id)));
            }
            if let Some(digest) = sight::digest(activity) {
                keys.push(key(Kind::Digest, digest.to_owned()));
                keys.push(key(Kind::Alias, digest.to_owned()));
                keys.extend(sight::all(digest).map(|sighting| key(Kind::Sighting, sighting)));
            }
            let destination = sight::destination(activity);
            keys.extend(destination.map(|destination| key(Kind::Sighting, destination.sighting)));
        }
    }
    keys.extend(seen::keys(activity));
    if !keys.is_empty() {
        keys.push(watch(activity));
    }
    keys.sort();
    keys.dedup();
    keys
}

/// What has to be read besides, now that it is known by which other digests the activity's image goes:
/// a pull names the index, a start its child, and what happens in the container neither. Nothing for
/// most activities.
pub fn linked(activity: &Activity, found: &[Record]) -> Vec<Key> {
    if matches!(activity.action, Action::ImagePushed(_)) {
        return Vec::new();
    }
    let named = sight::digest(activity).is_some();
    let records = found.iter().filter(|record| !named || record.key.kind != Kind::Container);
    let mut keys: Vec<Key> = records.flat_map(links).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The records that one leads to: those of an image's other digests, and of the image that a container runs.
pub fn links(record: &Record) -> Vec<Key> {
    let key = |kind, id: String| Key::new(&record.key.account, &record.key.region, kind, id);
    let traces = record.traces.iter();
    match record.key.kind {
        Kind::Alias => traces
            .flat_map(|trace| {
                let sightings = sight::all(&trace.detail).map(|sighting| key(Kind::Sighting, sighting));
                sightings.into_iter().chain([key(Kind::Digest, trace.detail.clone())])
            })
            .collect(),
        Kind::Container => traces
            .filter(|trace| trace.label == label::DIGEST)
            .filter_map(|trace| trace.detail.split(" @ ").next())
            .map(|digest| key(Kind::Digest, digest.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

/// What the judged activity adds to its records: those that changed, ready to be saved. Remembering
/// the same event again changes nothing.
pub fn remember(judgement: &Judgement, policy: &Policy, memory: &Memory) -> Vec<Record> {
    let activity = judgement.activity.as_ref();
    let verdicts = judgement.verdicts.iter();
    let matched: Vec<&'static Detection> = verdicts
        .filter(|(_, verdict)| !verdict.matches().is_empty())
        .map(|(detection, _)| *detection)
        .collect();
    let mut trail = Trail { activity, memory, changed: BTreeMap::new() };
    trail.see(watch(activity));
    for id in sightings(activity) {
        trail.see(Key::new(&activity.account, &activity.region, Kind::Sighting, id));
    }
    for key in seen::keys(activity) {
        trail.change(key, |record| record.see(activity.time, &activity.id));
    }
    for note in evidence::notes(activity, &matched, policy, memory) {
        trail.note(note);
    }
    let passed = judgement.verdicts.iter().any(|(detection, verdict)| {
        detection.id == LINEAGE_CHECK && matches!(verdict, crate::detection::Verdict::Pass(_))
    });
    for note in lineage::looked_at(activity).filter(|_| passed) {
        trail.note(note);
    }
    trail.changed.into_values().collect()
}

/// The records as they are with this activity in them: whoever arrives last completes the chain.
pub fn with(
    activity: &Activity,
    matched: &[&'static Detection],
    policy: &Policy,
    memory: &Memory,
) -> Vec<Record> {
    let mut trail = Trail { activity, memory, changed: BTreeMap::new() };
    for note in evidence::notes(activity, matched, policy, memory) {
        // It counts even where another like it is remembered already.
        trail.note(Note { seldom: false, ..note });
    }
    let Trail { mut changed, .. } = trail;
    let known = memory.records().map(|record| changed.remove(&record.key).unwrap_or_else(|| record.clone()));
    known.collect()
}

/// The records of what the activity shows, the watch over its account among them.
pub(crate) fn sighted(activity: &Activity) -> Vec<Key> {
    if keys(activity).is_empty() {
        return Vec::new();
    }
    let key = |kind, id: String| Key::new(&activity.account, &activity.region, kind, id);
    let seen = sightings(activity).into_iter().map(|id| key(Kind::Sighting, id));
    seen.chain([watch(activity)]).collect()
}

/// The watch over the account, in all its regions: what is new in a region that was never used is news.
fn watch(activity: &Activity) -> Key {
    Key::new(&activity.account, "", Kind::Watch, sight::WATCH)
}

/// What the activity shows, perhaps for the first time.
fn sightings(activity: &Activity) -> Vec<String> {
    match &activity.action {
        Action::ImageLaunched(launch) if launch.outcome == LaunchOutcome::Succeeded => {
            launch.image.id().map(sight::machine_image).into_iter().collect()
        }
        // Only what is judged: a signature makes nobody known as a pusher of images.
        Action::ImagePushed(push) => match crate::detection::push::of(activity) {
            Ok(_) => vec![sight::pusher(&push.repository, activity.principal())],
            Err(_) => Vec::new(),
        },
        _ => {
            let image = sight::digest(activity).into_iter().flat_map(|digest| sight::shown(activity, digest));
            let destination = sight::destination(activity).map(|destination| destination.sighting);
            image.chain(destination).collect()
        }
    }
}

/// The detection that judges what an image was made from.
const LINEAGE_CHECK: &str = "machine-image-laundered";

struct Trail<'a> {
    activity: &'a Activity,
    memory: &'a Memory,
    changed: BTreeMap<Key, Record>,
}

impl Trail<'_> {
    fn see(&mut self, key: Key) {
        let (time, now) = (self.memory.sighted_at(self.activity), self.memory.now());
        let source = self.activity.id.clone();
        // Seen again: written only when its time would run out, so that an ordinary event writes little.
        self.change(key, |record| record.see(time, &source) || record.is_half_spent(now));
    }

    fn note(&mut self, note: Note) {
        let region = if note.across { "" } else { &self.activity.region };
        let key = Key::new(&self.activity.account, region, note.kind, note.id);
        let trace = Trace {
            time: note.time,
            label: note.label.to_owned(),
            source: note.source.unwrap_or_else(|| self.activity.id.clone()),
            detail: note.detail,
            place: note.place,
            score: note.score,
        };
        self.change(key, |record| if note.seldom { record.add_seldom(trace) } else { record.add(trace) });
    }

    fn change(&mut self, key: Key, change: impl FnOnce(&mut Record) -> bool) {
        let before = self.changed.get(&key).cloned();
        let Some(mut record) = before.or_else(|| self.memory.take(&key)) else { return };
        if change(&mut record) {
            record.touch(self.memory.now());
            self.changed.insert(key, record);
        }
    }
}

#[cfg(test)]
mod tests;
