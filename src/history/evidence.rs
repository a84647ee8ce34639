//! What an activity leaves for chains and sums: which traces, under which records.

use chrono::{DateTime, Utc};

use super::trail::{MOST_INSTANCES, RAN, label};
use super::{Kind, Memory, Trace, ecs, lineage, place, sight};
use crate::activity::{Action, Activity, Launch, LaunchOutcome, Place, WorkloadKind};
use crate::detection::{Detection, Stage};
use crate::policy::{Policy, like};

/// Instances of a launch that are also remembered by interface and address, which flow logs and query logs
/// name: three records each.
const MOST_FACES: usize = 1_000;

/// Matches that are suspicious acts of what runs: chains wait for them.
const ACTS: [&str; 8] = [
    "guardduty-malicious-image",
    "miner-process",
    "mining-pool-connection",
    "mining-pool-dns",
    "credential-in-command",
    "offensive-tool",
    "blocked-destination",
    "new-destination",
];

/// Shells and interpreters, which every machine runs while it boots.
const BOOT: [&str; 10] =
    ["bash", "sh", "dash", "ash", "zsh", "perl", "python", "python3", "powershell", "pwsh"];

/// A trace to be.
#[derive(Debug)]
pub struct Note {
    pub kind: Kind,
    /// Over all regions of the account.
    pub across: bool,
    pub id: String,
    pub label: &'static str,
    pub detail: String,
    pub time: DateTime<Utc>,
    /// The event it comes from, where that is an earlier one.
    pub source: Option<String>,
    /// Where, as the event itself names it; for acts.
    pub place: String,
    pub score: u32,
    /// Happens all the time: the earliest in a while is enough.
    pub seldom: bool,
}

/// Every trace of an activity and of what it matched.
pub fn notes(
    activity: &Activity,
    matched: &[&'static Detection],
    policy: &Policy,
    memory: &Memory,
) -> Vec<Note> {
    let mut notes = Notes { activity, policy, memory, matched, notes: Vec::new() };
    match &activity.action {
        Action::ImageLaunched(launch) => notes.launch(launch),
        Action::ImagesSearched(search) if !search.bounded && !search.names.is_empty() => {
            let names = search.names.join(" ");
            notes.add(Kind::Principal, searches(activity), label::SEARCHED, &names, activity.time).seldom =
                true;
        }
        Action::UserDataChanged(change) if change.failed.is_none() => {
            let instance = std::slice::from_ref(&change.instance);
            notes.instances(instance, label::USER_DATA_CHANGED);
        }
        Action::InstanceStopped(change) if change.failed.is_none() => {
            notes.instances(&change.instances, label::STOPPED);
        }
        Action::InstanceStarted(change) if change.failed.is_none() => {
            notes.instances(&change.instances, label::STARTED);
        }
        Action::ImagePushed(push) => {
            notes.matches(Kind::Repository, &push.repository, "");
            if let Some(index) = push.digest.as_deref().filter(|_| push.failed.is_none()) {
                for child in push.children.iter().take(MOST_CHILDREN) {
                    notes.add(Kind::Alias, child.clone(), label::INDEX, index, activity.time);
                    notes.add(Kind::Alias, index.to_owned(), label::CHILD, child, activity.time);
                }
            }
        }
        Action::ImageScanned(scan) => notes.matches(Kind::Repository, &scan.repository, &scan.digest),
        Action::GuardRailChanged(rail) if rail.failed.is_none() => {
            if let Some(repository) = rail.repository() {
                notes.matches(Kind::Repository, repository, "");
            }
        }
        Action::WorkloadDeclared(workload) => {
            if let Some((id, label, details)) = ecs::traces(activity, workload) {
                for detail in &details {
                    notes.add(Kind::Principal, id.clone(), label, detail, activity.time).across = true;
                }
            }
            if let Some((kind, id)) = pod(activity) {
                let image = workload.containers.first().map(|container| container.image.name.as_str());
                notes.matches(kind, &id, "");
                notes.add(kind, id, label::CREATED, image.unwrap_or_default(), activity.time);
            }
        }
        action => {
            if let Some(place) = action.place() {
                notes.ran(place);
            }
        }
    }
    let mut notes = notes.notes;
    notes.extend(lineage::notes(activity, memory));
    notes
}

/// Children of one index that are remembered; each is a record.
pub const MOST_CHILDREN: usize = 24;

/// The record of what a principal searched for and launched.
pub fn searches(activity: &Activity) -> String {
    format!("searches/{}", activity.principal())
}

/// The record of a declared pod.
pub fn pod(activity: &Activity) -> Option<(Kind, String)> {
    let Action::WorkloadDeclared(workload) = &activity.action else { return None };
    let pod = workload.kind == WorkloadKind::Pod && workload.failed.is_none() && !workload.name.is_empty();
    let place = Place {
        namespace: workload.namespace.clone(),
        pod: pod.then(|| workload.name.clone()),
        ..Place::default()
    };
    place::records(&place).into_iter().next()
}

/// What a started instance is remembered under: its id, and for the first ones what else names it.
pub fn instances(launch: &Launch) -> impl Iterator<Item = (&str, Vec<String>)> {
    launch.instances.iter().take(MOST_INSTANCES).enumerate().map(|(number, instance)| {
        let faces = if number < MOST_FACES { place::faces(instance) } else { Vec::new() };
        (instance.id.as_str(), faces)
    })
}

struct Notes<'a> {
    activity: &'a Activity,
    policy: &'a Policy,
    memory: &'a Memory,
    matched: &'a [&'static Detection],
    notes: Vec<Note>,
}

impl Notes<'_> {
    fn add(
        &mut self,
        kind: Kind,
        id: String,
        label: &'static str,
        detail: &str,
        time: DateTime<Utc>,
    ) -> &mut Note {
        let detail = detail.to_owned();
        self.notes.push_mut(Note {
            kind,
            across: false,
            id,
            label,
            detail,
            time,
            source: None,
            place: String::new(),
            score: 0,
            seldom: false,
        })
    }

    /// Every match, for chains and for risk; the digest where a match is about one.
    fn matches(&mut self, kind: Kind, id: &str, digest: &str) {
        for detection in self.matched.iter().copied().filter(|detection| detection.stage == Stage::Event) {
            let detail = if digest.is_empty() {
                detection.id.to_owned()
            } else {
                format!("{} {digest}", detection.id)
            };
            self.add(kind, id.to_owned(), label::MATCH, &detail, self.activity.time).score = detection.score;
        }
    }

    fn launch(&mut self, launch: &Launch) {
        let (activity, time) = (self.activity, self.activity.time);
        match &launch.outcome {
            LaunchOutcome::Succeeded => {
                if let Some(image) = launch.image.id() {
                    self.add(Kind::Principal, searches(activity), label::LAUNCHED, image, time);
                }
                let from = format!("{} {}", launch.image.label(), activity.principal());
                for (instance, faces) in instances(launch) {
                    let what = format!("{instance} {from}");
                    for id in std::iter::once(instance.to_owned()).chain(faces) {
                        self.matches(Kind::Instance, &id, "");
                        self.add(Kind::Instance, id, label::LAUNCHED, &what, time);
                    }
                }
            }
            LaunchOutcome::Attempted(code) => {
                let principal = activity.principal().to_owned();
                self.add(Kind::Principal, principal, label::ATTEMPTED, code, time);
            }
            LaunchOutcome::DryRun => {}
        }
    }

    fn instances(&mut self, instances: &[String], label: &'static str) {
        let (principal, time) = (self.activity.principal().to_owned(), self.activity.time);
        for instance in instances.iter().take(MOST_INSTANCES) {
            self.add(Kind::Instance, instance.clone(), label, &principal, time);
        }
    }

    /// What happened in a container or on an instance.
    fn ran(&mut self, place: &Place) {
        let mut steps: Vec<(&'static str, String, DateTime<Utc>)> = Vec::new();
        let time = self.activity.time;
        let image = place.image.as_ref().map(|image| image.name.clone()).unwrap_or_default();
        match &self.activity.action {
            Action::ImagePulled(pull) => steps.push((label::PULLED, pull.image.name.clone(), time)),
            Action::ContainerStarted(start) => {
                steps.extend(start.pulled.map(|time| (label::PULLED, image.clone(), time)));
                steps.extend(start.created.map(|time| (label::CREATED, image.clone(), time)));
                steps.push((label::RUNS, image.clone(), start.started.unwrap_or(time)));
            }
            _ => {}
        }
        let acts = self.acts(place);
        for (kind, id) in place::records(place) {
            self.matches(kind, &id, "");
            for (label, detail, time) in &steps {
                if kind == Kind::Container {
                    self.add(kind, id.clone(), label, detail, *time);
                }
            }
            for act in acts.iter().filter(|act| kind == Kind::Container || act.on_instance) {
                let note = self.add(kind, id.clone(), label::ACT, &act.text, time);
                (note.seldom, note.place) = (true, place.label());
            }
        }
        let Some(digest) = sight::digest(self.activity).map(str::to_owned) else {
            return self.acted(&acts, place);
        };
        self.matches(Kind::Digest, &digest, "");
        let at = |detail: &str| format!("{detail} @ {}", place.label());
        if matches!(self.activity.action, Action::ContainerStarted(_)) {
            // What happens there next may name no image, and what happened already did not.
            for (kind, id) in containers(place) {
                self.add(kind, id.clone(), label::DIGEST, &at(&digest), time);
                for act in self.remembered(kind, &id, label::ACT) {
                    let note = self.add(Kind::Digest, digest.clone(), label::ACT, &at(&act.detail), act.time);
                    (note.source, note.place) = (Some(act.source), act.place);
                }
            }
        }
        for (label, detail, time) in &steps {
            let detail = if *label == label::PULLED { detail.clone() } else { at(detail) };
            self.add(Kind::Digest, digest.clone(), label, &detail, *time);
        }
        for act in &acts {
            let note = self.add(Kind::Digest, digest.clone(), label::ACT, &at(&act.text), time);
            (note.seldom, note.place) = (true, place.label());
        }
    }

    /// Acts of which the event names no image, under the digest that the container's start named.
    fn acted(&mut self, acts: &[Act], place: &Place) {
        for (kind, id) in containers(place) {
            for started in self.remembered(kind, &id, label::DIGEST) {
                let Some((digest, at)) = started.detail.split_once(" @ ") else { continue };
                for act in acts {
                    let detail = format!("{} @ {at}", act.text);
                    let note =
                        self.add(Kind::Digest, digest.to_owned(), label::ACT, &detail, self.activity.time);
                    (note.seldom, note.place) = (true, place.label());
                }
            }
        }
    }

    fn remembered(&self, kind: Kind, id: &str, label: &str) -> Vec<Trace> {
        let record = self.memory.about(self.activity, kind, id);
        let traces = record.into_iter().flat_map(|record| &record.traces);
        traces.filter(|trace| trace.label == label).cloned().collect()
    }

    /// What of it is suspicious enough to complete a chain.
    fn acts(&self, place: &Place) -> Vec<Act> {
        let matched = self.matched.iter().filter(|detection| ACTS.contains(&detection.id));
        let mut acts: Vec<Act> =
            matched.map(|detection| Act { text: detection.id.to_owned(), on_instance: true }).collect();
        match &self.activity.action {
            Action::VerdictReported(reported) if !reported.sample => {
                acts.push(Act { text: format!("GuardDuty {}", reported.finding_type), on_instance: true });
            }
            Action::ProcessStarted(process) if !process.probe => {
                let name = process.name();
                let binaries = &self.policy.containers.suspicious_binaries;
                if binaries.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &name)) {
                    let on_instance = !place.is_container() && !BOOT.contains(&name.as_str());
                    acts.push(Act { text: format!("{RAN}{name}"), on_instance });
                }
            }
            _ => {}
        }
        acts
    }
}

fn containers(place: &Place) -> impl Iterator<Item = (Kind, String)> {
    place::records(place).into_iter().filter(|(kind, _)| *kind == Kind::Container)
}

struct Act {
    text: String,
    /// Tells something about the instance too: what a container runs as a matter of course does not.
    on_instance: bool,
}
