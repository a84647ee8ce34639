//! Which subjects an activity is about, and what it leaves behind for those that come after it.

use std::collections::BTreeMap;

use super::{Key, Kind, Memory, Record, Trace};
use crate::activity::{Action, Activity, LaunchOutcome};
use crate::detection::Verdict;
use crate::engine::Judgement;

/// One transaction takes a hundred records; the instances of one launch share it with the rest.
pub const MOST_INSTANCES: usize = 64;

/// Labels of traces.
pub mod label {
    /// A detection matched; the detail is its id.
    pub const MATCH: &str = "match";
    /// An instance was started; the detail is the image.
    pub const LAUNCHED: &str = "launched";
    /// An instance was stopped, started, or had its user data rewritten; the detail is the principal.
    pub const STOPPED: &str = "stopped";
    pub const STARTED: &str = "started";
    pub const USER_DATA_CHANGED: &str = "user data rewritten";
    /// A launch failed; the detail is the error code.
    pub const ATTEMPTED: &str = "attempted";
}

/// The sighting of a machine image.
pub fn machine_image(image: &str) -> String {
    format!("machine-image/{image}")
}

/// The sighting of a pusher at a repository.
pub fn pusher(repository: &str, principal: &str) -> String {
    format!("pusher/{repository}/{principal}")
}

/// The watch over an account and region.
pub const WATCH: &str = "since";

/// Every record that the activity's detections may read, or that it will write.
pub fn keys(activity: &Activity) -> Vec<Key> {
    let key = |kind, id: String| Key::new(&activity.account, &activity.region, kind, id);
    let mut keys = vec![key(Kind::Watch, WATCH.to_owned())];
    match &activity.action {
        Action::ImageLaunched(launch) => {
            keys.push(key(Kind::Principal, activity.principal().to_owned()));
            if let Some(image) = launch.image.id() {
                keys.push(key(Kind::Sighting, machine_image(image)));
            }
            let instances = launch.instances.iter().take(MOST_INSTANCES);
            keys.extend(instances.map(|instance| key(Kind::Instance, instance.id.clone())));
        }
        Action::UserDataChanged(change) => keys.push(key(Kind::Instance, change.instance.clone())),
        Action::InstanceStopped(change) | Action::InstanceStarted(change) => {
            let instances = change.instances.iter().take(MOST_INSTANCES);
            keys.extend(instances.map(|instance| key(Kind::Instance, instance.clone())));
        }
        Action::ImagePushed(push) => {
            keys.push(key(Kind::Sighting, pusher(&push.repository, activity.principal())));
            keys.push(key(Kind::Repository, push.repository.clone()));
        }
        Action::ImageScanned(scan) => keys.push(key(Kind::Repository, scan.repository.clone())),
        Action::WorkloadDeclared(workload) if super::ecs::concerns(workload) => {
            keys.extend(super::ecs::keys(activity));
        }
        action => match action.place() {
            Some(place) => {
                keys.extend(super::place::records(place).into_iter().map(|(kind, id)| key(kind, id)))
            }
            None => keys.clear(),
        },
    }
    keys.sort();
    keys.dedup();
    keys
}

/// What the judged activity adds to its records: those that changed, ready to be saved. Remembering
/// the same event again changes nothing.
pub fn remember(judgement: &Judgement, memory: &Memory) -> Vec<Record> {
    let activity = judgement.activity.as_ref();
    let mut trail = Trail { activity, memory, changed: BTreeMap::new() };
    trail.see(Kind::Watch, WATCH);
    match &activity.action {
        Action::ImageLaunched(launch) => match &launch.outcome {
            LaunchOutcome::Succeeded => {
                if let Some(image) = launch.image.id() {
                    trail.see(Kind::Sighting, &machine_image(image));
                }
                let image = launch.image.label();
                for instance in launch.instances.iter().take(MOST_INSTANCES) {
                    trail.trace(Kind::Instance, &instance.id, label::LAUNCHED, &image, 0);
                    trail.matches(judgement, Kind::Instance, &instance.id);
                }
            }
            LaunchOutcome::Attempted(code) => {
                trail.trace(Kind::Principal, activity.principal(), label::ATTEMPTED, code, 0);
            }
            LaunchOutcome::DryRun => {}
        },
        Action::UserDataChanged(change) if change.failed.is_none() => {
            trail.trace(Kind::Instance, &change.instance, label::USER_DATA_CHANGED, activity.principal(), 0);
        }
        Action::InstanceStopped(change) if change.failed.is_none() => {
            for instance in change.instances.iter().take(MOST_INSTANCES) {
                trail.trace(Kind::Instance, instance, label::STOPPED, activity.principal(), 0);
            }
        }
        Action::InstanceStarted(change) if change.failed.is_none() => {
            for instance in change.instances.iter().take(MOST_INSTANCES) {
                trail.trace(Kind::Instance, instance, label::STARTED, activity.principal(), 0);
            }
        }
        Action::ImagePushed(push) => {
            if push.failed.is_none() {
                trail.see(Kind::Sighting, &pusher(&push.repository, activity.principal()));
            }
            trail.matches(judgement, Kind::Repository, &push.repository);
        }
        Action::ImageScanned(scan) => trail.matches(judgement, Kind::Repository, &scan.repository),
        Action::WorkloadDeclared(workload) => {
            if let Some((id, label, details)) = super::ecs::traces(activity, workload) {
                for detail in &details {
                    trail.trace_at("", Kind::Principal, &id, label, detail, 0);
                }
            }
        }
        action => {
            for (kind, id) in action.place().map(super::place::records).unwrap_or_default() {
                trail.matches(judgement, kind, &id);
            }
        }
    }
    trail.changed.into_values().collect()
}

struct Trail<'a> {
    activity: &'a Activity,
    memory: &'a Memory,
    changed: BTreeMap<Key, Record>,
}

impl Trail<'_> {
    fn see(&mut self, kind: Kind, id: &str) {
        let (time, source) = (self.activity.time, self.activity.id.clone());
        // Seen again: written only when its time would run out, so that an ordinary event writes little.
        self.change(kind, id, |record| record.see(time, &source) || record.is_half_spent(time));
    }

    fn trace(&mut self, kind: Kind, id: &str, label: &str, detail: &str, score: u32) {
        self.trace_at(&self.activity.region, kind, id, label, detail, score);
    }

    fn trace_at(&mut self, region: &str, kind: Kind, id: &str, label: &str, detail: &str, score: u32) {
        let trace = Trace {
            time: self.activity.time,
            label: label.to_owned(),
            source: self.activity.id.clone(),
            detail: detail.to_owned(),
            score,
        };
        self.change_at(region, kind, id, |record| record.add(trace));
    }

    /// Every match of the judgement, for chains and for risk.
    fn matches(&mut self, judgement: &Judgement, kind: Kind, id: &str) {
        for (detection, verdict) in &judgement.verdicts {
            if matches!(verdict, Verdict::Match(_)) {
                self.trace(kind, id, label::MATCH, detection.id, detection.score);
            }
        }
    }

    fn change(&mut self, kind: Kind, id: &str, change: impl FnOnce(&mut Record) -> bool) {
        self.change_at(&self.activity.region, kind, id, change);
    }

    /// In another region than the activity's; the empty one stands for the whole account.
    fn change_at(&mut self, region: &str, kind: Kind, id: &str, change: impl FnOnce(&mut Record) -> bool) {
        let key = Key::new(&self.activity.account, region, kind, id);
        let before = self.changed.get(&key).cloned();
        let Some(mut record) = before.or_else(|| self.memory.take(&key)) else { return };
        if change(&mut record) {
            record.touch(self.activity.time);
            self.changed.insert(key, record);
        }
    }
}
