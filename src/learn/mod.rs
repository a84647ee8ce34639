//! A policy from what was seen: months of activities in, a commented `policy.yaml` out.
//!
//! ```text
//! activities -> Learner (counts, bounded) -> conclude (asks the look-up once an image) -> Draft -> YAML
//! ```
//!
//! **What is approved.** What the policy at hand does not approve yet, is in habitual use, and belongs to
//! somebody one can name. Everything else is written as a comment with `# review:`, for a person to
//! decide. Nothing is approved that a detection of malice matched, nor who pushed it, nor anything that a
//! foreigner offers to everybody: months of an intruder's doings look like a habit too.
//!
//! **Bounds.** Each count is by name, and names past [`Bounds`] are counted together and said.

mod blame;
mod conclude;
mod draft;
mod hosts;
mod hours;
mod images;
mod merge;
mod owners;
mod pushes;
mod registries;
mod seed;
mod seen;
mod write;

#[cfg(test)]
mod tests;

pub use draft::{Draft, Entry};
pub use merge::{MergeError, diff};
pub use seed::{SeedError, Written, read_seed, sow};

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};

use crate::activity::{Action, Activity};
use crate::detection::{self, Context, Verdict};
use crate::history::{Memory, Record};
use crate::lookup::Facts;
use crate::policy::{Policy, Zone};
use blame::Blame;
use images::Images;
use pushes::Pushes;
use registries::Registries;
use seed::Seeds;
use seen::Seen;

/// How many names of each kind are told apart.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Machine images by account and region.
    pub images: usize,
    /// Pushers by repository.
    pub pushers: usize,
    /// Container image repositories.
    pub registries: usize,
    /// First sightings.
    pub sightings: usize,
}

impl Default for Bounds {
    /// A few hundred megabytes where everything is at its bound.
    fn default() -> Self {
        Self { images: 10_000, pushers: 20_000, registries: 20_000, sightings: 500_000 }
    }
}

/// What was seen so far. The order of activities does not matter.
#[derive(Debug)]
pub struct Learner {
    base: Policy,
    zone: Zone,
    activities: u64,
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    accounts: BTreeSet<String>,
    images: Images,
    pushes: Pushes,
    registries: Registries,
    blame: Blame,
    /// Detections that matched whatever the policy, by id.
    loud: BTreeMap<&'static str, Seen>,
    seeds: Seeds,
    /// Events that were counted, hashed: two trails may hold the same.
    events: HashSet<u64>,
}

/// Events that are remembered as counted.
const EVENTS: usize = 4_000_000;
/// Accounts that are remembered as one's own.
const ACCOUNTS: usize = 10_000;

impl Learner {
    /// `base` is the policy that holds now: what it approves needs no line. Hours are those of `zone`.
    pub fn new(base: Policy, zone: Zone, bounds: Bounds) -> Self {
        Self {
            zone,
            base,
            activities: 0,
            span: None,
            accounts: BTreeSet::new(),
            images: Images::new(bounds.images),
            pushes: Pushes::new(bounds.pushers),
            registries: Registries::new(bounds.registries),
            blame: Blame::default(),
            loud: BTreeMap::new(),
            seeds: Seeds::new(bounds.sightings),
            events: HashSet::new(),
        }
    }

    /// Counts one activity.
    pub fn see(&mut self, activity: Activity) {
        if self.is_repeated(&activity) {
            return;
        }
        self.activities = self.activities.saturating_add(1);
        let time = activity.time;
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
        if !activity.account.is_empty() && self.accounts.len() < ACCOUNTS {
            self.accounts.insert(activity.account.clone());
        }
        let matched = self.blame.see(&activity, &self.base);
        for detection in &matched {
            self.loud.entry(detection).and_modify(|seen| seen.add(time)).or_insert_with(|| Seen::new(time));
        }
        // What is called malicious stays news for the one who detects.
        if matched.is_empty() {
            self.seeds.see(&activity);
        }
        match &activity.action {
            Action::ImagePushed(_) => self.pushes.see(&activity, &self.zone),
            Action::ImageLaunched(_) => {
                let suspect = self.suspicion(&activity);
                self.images.see(activity, suspect);
            }
            _ => self.registries.see(&activity, &self.base),
        }
    }

    /// Whether another trail, or another file, held the same event already.
    fn is_repeated(&mut self, activity: &Activity) -> bool {
        if activity.id.is_empty() {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (&activity.id, activity.action.name(), activity.time, &activity.account).hash(&mut hasher);
        match &activity.action {
            Action::ImagePushed(push) => (&push.repository, &push.tag, &push.digest).hash(&mut hasher),
            Action::ImageLaunched(launch) => {
                launch.image.label().hash(&mut hasher);
                launch.instances.first().map(|it| &it.id).hash(&mut hasher);
            }
            action => format!("{action:?}").hash(&mut hasher),
        }
        if self.events.len() >= EVENTS {
            self.events.clear();
        }
        !self.events.insert(hasher.finish())
    }

    /// What was remembered before a launch, where a detection of malice needs facts to judge it with that.
    fn suspicion(&self, activity: &Activity) -> Option<Memory> {
        let detection = detection::find("machine-image-name-confusion")?;
        let (facts, memory) = (Facts::default(), self.blame.memory(activity));
        let context = Context { policy: &self.base, facts: &facts, memory: &memory, matches: &[] };
        matches!((detection.judge)(activity, &context), Verdict::Need(_) | Verdict::Match(_))
            .then_some(memory)
    }

    /// What was seen first, for a store to begin with, but for what a detection of malice matched.
    pub fn sightings(&self) -> impl Iterator<Item = &Record> {
        // An instance is blamed by what ran on it, its image through it.
        let launched = self.images.by_image.iter();
        let through: BTreeSet<&str> = launched
            .filter(|(_, launched)| launched.ids.iter().any(|id| self.blame.has(id)))
            .map(|(key, _)| key.image.as_str())
            .collect();
        self.seeds.records().filter(move |record| {
            let id = record.key.id.as_str();
            let image = id.strip_prefix("machine-image/").or_else(|| id.strip_prefix("container-image/"));
            image.is_none_or(|image| !self.blame.has(image) && !through.contains(image))
        })
    }

    /// The same as JSON lines, for `check` and `hunt`.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_seed(&self, out: &mut dyn std::io::Write) -> std::io::Result<Written> {
        seed::write(self.sightings(), self.seeds.left_out(), out)
    }

    pub fn activities(&self) -> u64 {
        self.activities
    }
}
