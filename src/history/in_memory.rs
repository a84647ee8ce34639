//! The in-memory store of the command line.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::{Key, Record, Store, StoreError};

/// Keeps records as long as the process lives.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<HashMap<Key, Record>>);

impl InMemory {
    /// Drops what is of no more use at a time. For whoever goes through events in the order of their times.
    pub fn forget(&self, now: DateTime<Utc>) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.retain(|_, record| record.expires > now);
    }
}

impl Store for InMemory {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().filter_map(|key| records.get(key).cloned()).collect())
    }

    async fn save(&self, changed: &[Record]) -> Result<(), StoreError> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale =
            |record: &Record| records.get(&record.key).map_or(0, |known| known.version) != record.version;
        if changed.iter().any(stale) {
            return Err(StoreError::Conflict);
        }
        for record in changed {
            let record = Record { version: record.version.saturating_add(1), ..record.clone() };
            records.insert(record.key.clone(), record);
        }
        Ok(())
    }
}
