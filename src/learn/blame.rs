//! What detections of malice say, whatever the policy: images, repositories and instances that nothing
//! learned may speak for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::activity::{Action, Activity, Place};
use crate::detection::registry::{self, Standing};
use crate::detection::{self, Context, Match, Subject};
use crate::engine::Judgement;
use crate::history::{Key, Memory, Record, trail};
use crate::lookup::Facts;
use crate::policy::Policy;

/// Detections that a habit does not excuse.
pub const MALICIOUS: [&str; 12] = [
    "guardduty-malicious-image",
    "miner-process",
    "machine-image-laundered",
    "machine-image-name-confusion",
    "user-data-suspicious",
    "ecs-mass-mining",
    "mining-pool-connection",
    "mining-pool-dns",
    "credential-in-command",
    "offensive-tool",
    "container-image-lookalike",
    "ecr-scan-critical",
];

/// Names that are remembered; past it, everything of a kind is taken for blamed.
const MOST: usize = 100_000;

/// Records that are remembered at once; past it, nothing new is.
const RECORDS: usize = 200_000;
/// How many activities go by between two looks at what may be forgotten.
const FORGET_AFTER: usize = 4_096;

/// Who and what is to blame.
#[derive(Debug, Default)]
pub struct Blame {
    /// Machine image ids, container image repositories and digests, ECR repositories, instance ids: none can be
    /// taken for another kind, and a name more costs only a mark more.
    names: HashSet<String>,
    /// What the detections remember of earlier activities.
    records: HashMap<Key, Record>,
    seen: usize,
}

impl Blame {
    /// Asks the detections of malice, and remembers what they match. Returns their ids.
    ///
    /// Of launches only those that answer without facts: the rest is asked once an image, with facts.
    pub fn see(&mut self, activity: &Activity, policy: &Policy) -> Vec<&'static str> {
        if is_sample(activity) {
            return Vec::new();
        }
        let facts = Facts::default();
        let memory = self.memory(activity);
        let context = Context { policy, facts: &facts, memory: &memory, matches: &[] };
        let (mut ids, mut verdicts) = (Vec::new(), Vec::new());
        for id in MALICIOUS {
            let Some(detection) = detection::find(id) else { continue };
            let verdict = (detection.judge)(activity, &context);
            for found in verdict.matches() {
                self.blame(activity, policy, found);
            }
            if !verdict.matches().is_empty() {
                ids.push(id);
                verdicts.push((detection, verdict));
            }
        }
        let judgement = Judgement { activity: Arc::new(activity.clone()), verdicts, unavailable: Vec::new() };
        for mut record in trail::remember(&judgement, policy, &memory) {
            if self.records.len() < RECORDS || self.records.contains_key(&record.key) {
                record.version = record.version.saturating_add(1);
                self.records.insert(record.key.clone(), record);
            }
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen.is_multiple_of(FORGET_AFTER) {
            self.records.retain(|_, record| record.expires > activity.time);
        }
        ids
    }

    /// What is remembered about an activity's subjects.
    pub fn memory(&self, activity: &Activity) -> Memory {
        let find = |keys: &[Key]| keys.iter().filter_map(|key| self.records.get(key).cloned()).collect();
        let mut keys = trail::keys(activity);
        let mut found: Vec<Record> = find(&keys);
        let linked = trail::linked(activity, &found);
        let more: Vec<Record> = find(&linked);
        found.extend(more);
        keys.extend(linked);
        Memory::new(&keys, found, activity.time)
    }

    fn blame(&mut self, activity: &Activity, policy: &Policy, found: &Match) {
        match &found.subject {
            Subject::MachineImage { image, .. } => self.name(image),
            Subject::Push { repository, .. }
            | Subject::Repository { repository }
            | Subject::Scan { repository, .. }
            | Subject::ContainerImage { repository } => self.name(repository),
            _ => {}
        }
        if let Some(place) = activity.action.place() {
            self.place(place);
        }
        // Of a declaration's images those that are not one's own.
        for used in registry::used(activity).unwrap_or_default() {
            if matches!(registry::standing(activity, policy, &used), Standing::Foreign(_))
                && let Some(reference) = &used.reference
            {
                self.name(&reference.repository());
                self.name(used.image.digest.as_deref().unwrap_or_default());
            }
        }
    }

    fn place(&mut self, place: &Place) {
        // What runs in a container says nothing of the machine under it.
        let digest = place.image.as_ref().and_then(|image| image.digest.as_deref());
        self.name(digest.unwrap_or_default());
        if let Some(reference) = place.image.as_ref().and_then(registry::reference) {
            self.name(&reference.repository());
        } else if let Some(instance) = &place.instance {
            self.name(instance);
        }
    }

    fn name(&mut self, name: &str) {
        if !name.is_empty() && self.names.len() < MOST {
            self.names.insert(name.to_owned());
        }
    }

    /// Whether something was blamed; when there was too much to remember, everything.
    pub fn has(&self, name: &str) -> bool {
        self.names.len() >= MOST || self.names.contains(name)
    }
}

/// GuardDuty's sample findings happen to nobody.
fn is_sample(activity: &Activity) -> bool {
    matches!(&activity.action, Action::VerdictReported(reported) if reported.sample)
}
