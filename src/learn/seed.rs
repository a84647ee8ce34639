//! First sightings, to begin with: what was seen in an archive is no news afterwards.
//!
//! JSON lines of history records, keyed as [`crate::history`] keys them, sorted. Sightings only: nothing
//! in a seed can raise or answer an alert but that something is new.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use crate::activity::Activity;
use crate::history::{self, Key, Kind, Record, Store, StoreError, trail};

/// Records written in one transaction; a store takes a hundred.
const AT_ONCE: usize = 50;
/// How often a conflicting or failing store is tried.
const TRIES: usize = 6;

/// Sightings as they come in.
#[derive(Debug)]
pub struct Seeds {
    most: usize,
    records: BTreeMap<Key, Record>,
    left_out: u64,
}

/// What a seed holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub records: u64,
    /// Sightings past the bound.
    pub left_out: u64,
}

/// Writes records as JSON lines.
pub fn write<'a>(
    records: impl Iterator<Item = &'a Record>,
    left_out: u64,
    out: &mut dyn Write,
) -> std::io::Result<Written> {
    let mut written = 0_u64;
    for record in records {
        serde_json::to_writer(&mut *out, record)?;
        out.write_all(b"\n")?;
        written = written.saturating_add(1);
    }
    out.flush()?;
    Ok(Written { records: written, left_out })
}

/// Why a seed could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("line {line} is no history record: {source}")]
    Json { line: usize, source: serde_json::Error },
    #[error(
        "line {line} holds something else than a first sighting, and `imagewarden learn --seed` writes nothing else"
    )]
    Other { line: usize },
    #[error("it holds no record; `imagewarden learn --seed FILE PATH...` writes one")]
    Empty,
}

impl Seeds {
    pub fn new(most: usize) -> Self {
        Self { most, records: BTreeMap::new(), left_out: 0 }
    }

    pub fn see(&mut self, activity: &Activity) {
        for key in trail::sighted(activity) {
            let full = self.records.len() >= self.most;
            let record = match self.records.get_mut(&key) {
                Some(record) => record,
                None if full => {
                    self.left_out = self.left_out.saturating_add(1);
                    continue;
                }
                None => self.records.entry(key.clone()).or_insert_with(|| Record::new(key)),
            };
            record.see(activity.time, &activity.id);
            record.touch(activity.time);
        }
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Puts a seed into a store. What the store knows already stays, and the earlier of two times counts, so
/// that doing it again changes nothing. Returns how many records were news.
///
/// # Errors
/// The store's, after some tries; what was written until then stays.
pub async fn sow<S: Store>(store: &S, records: &[Record]) -> Result<u64, StoreError> {
    let mut written = 0_u64;
    for chunk in records.chunks(AT_ONCE) {
        let mut attempt = 1;
        loop {
            match put(store, chunk).await {
                Ok(news) => {
                    written = written.saturating_add(news);
                    break;
                }
                Err(error) if attempt >= TRIES => return Err(error),
                Err(_) => history::pause("seed", attempt).await,
            }
            attempt += 1;
        }
    }
    Ok(written)
}

async fn put<S: Store>(store: &S, chunk: &[Record]) -> Result<u64, StoreError> {
    let keys: BTreeSet<Key> = chunk.iter().map(|record| record.key.clone()).collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let known = store.load(&keys).await?;
    let mut changed: BTreeMap<Key, (Record, bool)> = keys
        .into_iter()
        .map(|key| {
            let known = known.iter().find(|record| record.key == key).cloned();
            (key.clone(), (known.unwrap_or_else(|| Record::new(key)), false))
        })
        .collect();
    for record in chunk {
        let (Some((known, news)), Some(sighting)) = (changed.get_mut(&record.key), &record.sighting) else {
            continue;
        };
        *news |= known.see(sighting.first, &sighting.source) || record.expires > known.expires;
        known.expires = known.expires.max(record.expires);
    }
    let changed: Vec<Record> =
        changed.into_values().filter(|(_, news)| *news).map(|(record, _)| record).collect();
    if !changed.is_empty() {
        store.save(&changed).await?;
    }
    Ok(changed.len() as u64)
}

/// Reads a seed.
///
/// # Errors
/// Where it cannot be read, with the line; where it holds nothing, or more than sightings.
pub fn read_seed(input: impl BufRead) -> Result<Vec<Record>, SeedError> {
    let mut records = Vec::new();
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        let number = number.saturating_add(1);
        if line.trim().is_empty() {
            continue;
        }
        let record: Record =
            serde_json::from_str(&line).map_err(|source| SeedError::Json { line: number, source })?;
        let sighting = matches!(record.key.kind, Kind::Sighting | Kind::Watch)
            && record.sighting.is_some()
            && record.traces.is_empty()
            && record.windows.is_empty()
            && record.claim.is_none();
        if !sighting {
            return Err(SeedError::Other { line: number });
        }
        records.push(record);
    }
    if records.is_empty() { Err(SeedError::Empty) } else { Ok(records) }
}
