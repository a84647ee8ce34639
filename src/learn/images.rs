//! Which machine images were launched, by account and region.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::Seen;
use crate::activity::{Action, Activity, Cloud, ImageRef, LaunchOutcome};
use crate::history::Memory;

/// Instances and principals of an image that are remembered.
const INSTANCES: usize = 64;
const PRINCIPALS: usize = 8;

/// An image where it was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub account: String,
    pub region: String,
    /// As [`ImageRef::label`] has it.
    pub image: String,
}

/// What is known of one image's launches.
#[derive(Debug)]
pub struct Launched {
    pub seen: Seen,
    pub instances: u64,
    pub principals: BTreeSet<String>,
    /// Some of the instances' ids.
    pub ids: BTreeSet<String>,
    /// The latest launch: the one whose instance most likely still answers.
    pub latest: Activity,
    /// The first launch that the detections of malice have to judge with what came before it.
    pub suspect: Option<(Activity, Memory)>,
}

/// All launches.
#[derive(Debug)]
pub struct Images {
    most: usize,
    pub by_image: BTreeMap<Key, Launched>,
    /// Launches of images past the bound.
    pub uncounted: u64,
}

impl Images {
    pub fn new(most: usize) -> Self {
        Self { most, by_image: BTreeMap::new(), uncounted: 0 }
    }

    pub fn see(&mut self, mut activity: Activity, suspect: Option<Memory>) {
        let Action::ImageLaunched(launch) = &mut activity.action else { return };
        if launch.outcome != LaunchOutcome::Succeeded {
            return;
        }
        let image = match &launch.image {
            // A version is another image, a publisher is not.
            ImageRef::Azure { publisher, .. } if activity.cloud == Cloud::Azure => {
                format!("azure:{publisher}")
            }
            ImageRef::Gcp { project, .. } => format!("gcp:{project}"),
            image => image.label(),
        };
        let key = Key { account: activity.account.clone(), region: activity.region.clone(), image };
        let (time, count) = (activity.time, u64::from(launch.count.max(1)));
        let ids: Vec<String> = launch.instances.iter().map(|instance| instance.id.clone()).collect();
        // The look-ups ask about the first few.
        launch.instances.truncate(3);
        let principal = activity.principal().to_owned();
        let suspect = suspect.map(|memory| (activity.clone(), memory));
        if let Some(known) = self.by_image.get_mut(&key) {
            if known.suspect.is_none() {
                known.suspect = suspect;
            }
            known.seen.add(time);
            known.instances = known.instances.saturating_add(count);
            keep(&mut known.ids, ids, INSTANCES);
            keep(&mut known.principals, [principal], PRINCIPALS);
            if (known.latest.time, &known.latest.id) < (activity.time, &activity.id) {
                known.latest = activity;
            }
        } else if self.by_image.len() < self.most {
            let mut launched = Launched {
                seen: Seen::new(time),
                instances: count,
                principals: BTreeSet::from([principal]),
                ids: BTreeSet::new(),
                latest: activity,
                suspect,
            };
            keep(&mut launched.ids, ids, INSTANCES);
            self.by_image.insert(key, launched);
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }
}

fn keep(set: &mut BTreeSet<String>, new: impl IntoIterator<Item = String>, most: usize) {
    for item in new {
        if set.len() >= most {
            return;
        }
        if !item.is_empty() {
            set.insert(item);
        }
    }
}
