//! What a detection may remember: the records about the subjects of one activity.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Key, Kind, Record};
use crate::activity::Activity;

/// The records read for one activity. Absent ones are there, empty, so that they can be written.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    records: HashMap<Key, Record>,
    kept: bool,
}

impl Memory {
    /// No history is kept: detections that need one are not applicable.
    pub fn none() -> Self {
        Self::default()
    }

    /// Of all keys asked for, what the store had of them.
    pub fn new(keys: &[Key], found: Vec<Record>, now: DateTime<Utc>) -> Self {
        let mut records: HashMap<Key, Record> =
            keys.iter().map(|key| (key.clone(), Record::new(key.clone()))).collect();
        for record in found {
            records.insert(record.key.clone(), record.fresh(now));
        }
        Self { records, kept: true }
    }

    /// Whether there is a history at all.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// The record about one of the activity's own subjects, in its account and region. `None` where no
    /// history is kept, or the key is not among those the activity reads ([`super::trail::keys`]).
    pub fn about(&self, activity: &Activity, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&Key::new(&activity.account, &activity.region, kind, id))
    }

    /// As [`Memory::about`], for what is remembered over all regions of the account.
    pub fn across(&self, activity: &Activity, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&Key::new(&activity.account, "", kind, id))
    }

    pub(super) fn take(&self, key: &Key) -> Option<Record> {
        self.records.get(key).cloned()
    }
}
