//! First sightings, to begin with: what was seen in an archive is no news afterwards.
//!
//! JSON lines of history records, keyed as [`crate::history`] keys them, sorted. Sightings only: nothing
//! in a seed can raise or answer an alert but that something is new.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use crate::activity::Activity;
use crate::history::{Key, Kind, Record, trail};

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

/// Why a seed could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot read the seed: {0}")]
    Io(#[from] std::io::Error),
    #[error("line {line} of the seed is no history record: {source}")]
    Json { line: usize, source: serde_json::Error },
    #[error(
        "line {line} of the seed holds more than a first sighting; `imagewarden learn --seed` writes no such line"
    )]
    Other { line: usize },
    #[error("the seed holds no record; write one with `imagewarden learn --seed FILE PATH...`")]
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

    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<Written> {
        for record in self.records.values() {
            serde_json::to_writer(&mut *out, record)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(Written { records: self.records.len() as u64, left_out: self.left_out })
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }
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
