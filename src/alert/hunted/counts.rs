//! What a hunt came to, in numbers that add up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::alert::safe::shown;
use crate::severity::Severity;

/// Different reasons that are counted singly; damage may say where it is, and is then hardly twice the same.
const DISTINCT: usize = 50;
/// Of a batch, that is; they hardly differ.
const POLICY_NOTES: usize = 5;

/// What was read and judged, in numbers: of a batch, or of all together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Objects that were listed.
    pub objects: u64,
    /// Those of them that are no logs by their names, or empty.
    pub skipped: u64,
    /// Those that were read, damaged ones included.
    pub files: u64,
    /// Bytes as the objects hold them.
    pub bytes: u64,
    pub records: u64,
    pub activities: u64,
    pub alerts: u64,
    pub below_floor: u64,
    /// Alerts that say what their thread has said before: counted there, and not written.
    pub repetitions: u64,
    pub suppressed: u64,
    /// Launches of which could not be told whether their image is approved.
    pub unjudged: u64,
    /// Look-ups that could not be made.
    pub unavailable: u64,
    /// Alerts by their most severe detection.
    pub by_detection: BTreeMap<String, u64>,
    pub by_severity: BTreeMap<Severity, u64>,
    /// Objects and records that could not be read.
    pub unreadable: u64,
    /// Why not.
    pub by_reason: BTreeMap<String, u64>,
    /// Where the configured policy could not be loaded.
    pub policy_notes: BTreeSet<String>,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        let Self { objects, skipped, files, bytes, records, activities, alerts, below_floor, .. } = other;
        for (sum, one) in [
            (&mut self.objects, objects),
            (&mut self.skipped, skipped),
            (&mut self.files, files),
            (&mut self.bytes, bytes),
            (&mut self.records, records),
            (&mut self.activities, activities),
            (&mut self.alerts, alerts),
            (&mut self.below_floor, below_floor),
            (&mut self.repetitions, &other.repetitions),
            (&mut self.suppressed, &other.suppressed),
            (&mut self.unjudged, &other.unjudged),
            (&mut self.unavailable, &other.unavailable),
            (&mut self.unreadable, &other.unreadable),
        ] {
            *sum = sum.saturating_add(*one);
        }
        for (detection, number) in &other.by_detection {
            tally(&mut self.by_detection, detection, *number);
        }
        for (severity, number) in &other.by_severity {
            let sum = self.by_severity.entry(*severity).or_default();
            *sum = sum.saturating_add(*number);
        }
        for (reason, number) in &other.by_reason {
            self.unread(reason, *number);
        }
        self.policy_notes.extend(other.policy_notes.iter().take(POLICY_NOTES).cloned());
    }

    /// So many could not be read for this reason.
    pub fn unread(&mut self, reason: &str, number: u64) {
        tally(&mut self.by_reason, reason, number);
    }
}

fn tally(sums: &mut BTreeMap<String, u64>, name: &str, number: u64) {
    let name = shown(name, 300);
    let known = sums.len() < DISTINCT || sums.contains_key(&name);
    let sum = sums.entry(if known { name } else { "other reasons".to_owned() }).or_default();
    *sum = sum.saturating_add(number);
}

/// Batches that failed although they were tried again, and are not in the counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedBatches {
    pub batches: u64,
    pub objects: u64,
    pub by_reason: BTreeMap<String, u64>,
}

impl FailedBatches {
    pub fn add(&mut self, reason: &str, objects: u64) {
        self.batches = self.batches.saturating_add(1);
        self.objects = self.objects.saturating_add(objects);
        tally(&mut self.by_reason, reason, 1);
    }
}
