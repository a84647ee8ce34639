//! The records of one batch: read once, changed in memory, written once, however many of the batch's
//! activities are about them.

use std::collections::HashMap;

use tokio::sync::Mutex;

use super::{Key, Record, Store, StoreError, trail};

/// A store in front of another. What is saved here is in the other after [`Batch::flush`], which comes before
/// anything is told or acknowledged.
#[derive(Debug)]
pub struct Batch<S> {
    store: S,
    held: Mutex<HashMap<Key, Held>>,
}

#[derive(Debug)]
struct Held {
    /// With a version of its own, so that activities that are judged at the same time notice each other.
    record: Record,
    /// The version it was read at.
    base: u64,
    changed: bool,
}

impl<S: Store> Batch<S> {
    pub fn new(store: S) -> Self {
        Self { store, held: Mutex::default() }
    }

    /// Keys of records that lead to others, and to which. It never ceases to be true, so that later payloads
    /// may read both at once.
    pub async fn links(&self) -> Vec<(Key, Vec<Key>)> {
        let held = self.held.lock().await;
        let records = held.values().map(|held| (held.record.key.clone(), trail::links(&held.record)));
        records.filter(|(_, others)| !others.is_empty()).collect()
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// After any, everything is read anew: the activities have to be judged again.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        let changed = held.values().filter(|held| held.changed);
        let mut changed: Vec<Record> =
            changed.map(|held| Record { version: held.base, ..held.record.clone() }).collect();
        if changed.is_empty() {
            return Ok(());
        }
        // In the same order as everybody else's.
        changed.sort_by(|one, other| one.key.cmp(&other.key));
        if let Err(error) = self.store.save(&changed).await {
            held.clear();
            return Err(error);
        }
        for held in held.values_mut().filter(|held| held.changed) {
            held.base = held.base.saturating_add(1);
            held.record.version = held.base;
            held.changed = false;
        }
        Ok(())
    }
}

impl<S: Store> Store for Batch<S> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        let mut held = self.held.lock().await;
        let missing: Vec<Key> = keys.iter().filter(|key| !held.contains_key(key)).cloned().collect();
        if !missing.is_empty() {
            let found = self.store.load(&missing).await?;
            let absent = missing.into_iter().map(Record::new);
            for record in absent.chain(found) {
                let base = record.version;
                held.insert(record.key.clone(), Held { record, base, changed: false });
            }
        }
        Ok(keys.iter().filter_map(|key| held.get(key)).map(|held| held.record.clone()).collect())
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        let known = |record: &Record| held.get(&record.key).map(|held| held.record.version);
        if records.iter().any(|record| known(record) != Some(record.version)) {
            return Err(StoreError::Conflict);
        }
        for record in records {
            if let Some(held) = held.get_mut(&record.key) {
                held.record = Record { version: record.version.saturating_add(1), ..record.clone() };
                held.changed = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::{TimeDelta, TimeZone, Utc};

    use super::*;
    use crate::history::{InMemory, Kind};

    /// Notes what it is asked.
    #[derive(Default)]
    struct Counting {
        inner: InMemory,
        read: Mutex<Vec<Vec<Key>>>,
        written: Mutex<Vec<Vec<Key>>>,
    }

    impl Store for &Counting {
        async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
            self.read.lock().unwrap().push(keys.to_vec());
            self.inner.load(keys).await
        }

        async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
            self.written.lock().unwrap().push(records.iter().map(|record| record.key.clone()).collect());
            self.inner.save(records).await
        }
    }

    fn key(id: &str) -> Key {
        Key::new("111122223333", "eu-central-1", Kind::Container, id)
    }

    /// One activity's turn: reads, changes, writes.
    async fn see(batch: &Batch<&Counting>, id: &str, minute: i64) -> Result<(), StoreError> {
        let time = Utc.timestamp_opt(1_790_000_000, 0).single().unwrap() + TimeDelta::minutes(minute);
        let mut record = batch.load(&[key(id)]).await?.remove(0);
        record.see(time, &format!("event at {minute}"));
        batch.save(&[record]).await
    }

    #[tokio::test]
    async fn a_record_is_read_and_written_once_for_all() {
        let store = Counting::default();
        let batch = Batch::new(&store);
        for minute in (0..50).rev() {
            see(&batch, "pod/web/one", minute).await.unwrap();
        }
        see(&batch, "pod/web/two", 7).await.unwrap();
        assert!(store.written.lock().unwrap().is_empty(), "not before it is asked to");
        batch.flush().await.unwrap();
        batch.flush().await.unwrap();
        assert_eq!(*store.read.lock().unwrap(), [[key("pod/web/one")], [key("pod/web/two")]]);
        assert_eq!(*store.written.lock().unwrap(), [[key("pod/web/one"), key("pod/web/two")]]);
        let found = store.inner.load(&[key("pod/web/one")]).await.unwrap().remove(0);
        assert_eq!(found.sighting.unwrap().source, "event at 0");
    }

    #[tokio::test]
    async fn it_goes_on_after_a_flush() {
        let store = Counting::default();
        let batch = Batch::new(&store);
        for minute in [9, 8, 7] {
            see(&batch, "pod/web/one", minute).await.unwrap();
            batch.flush().await.unwrap();
        }
        let found = store.inner.load(&[key("pod/web/one")]).await.unwrap().remove(0);
        assert_eq!((found.version, found.sighting.unwrap().source.as_str()), (3, "event at 7"));
        assert_eq!(store.read.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn two_of_one_batch_notice_each_other() {
        let store = Counting::default();
        let batch = Batch::new(&store);
        let one = batch.load(&[key("pod/web/one")]).await.unwrap().remove(0);
        see(&batch, "pod/web/one", 1).await.unwrap();
        assert_eq!(batch.save(&[one]).await, Err(StoreError::Conflict));
    }

    #[tokio::test]
    async fn what_others_wrote_meanwhile_is_read_before_it_is_tried_again() {
        let store = Counting::default();
        let (mine, theirs) = (Batch::new(&store), Batch::new(&store));
        see(&mine, "pod/web/one", 5).await.unwrap();
        see(&theirs, "pod/web/one", 3).await.unwrap();
        theirs.flush().await.unwrap();
        assert_eq!(mine.flush().await, Err(StoreError::Conflict));
        see(&mine, "pod/web/one", 5).await.unwrap();
        mine.flush().await.unwrap();
        let found = store.inner.load(&[key("pod/web/one")]).await.unwrap().remove(0);
        assert_eq!(found.sighting.unwrap().source, "event at 3");
    }
}
