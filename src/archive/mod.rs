//! Archives: months of log files, read at the speed of the disk.
//!
//! ```text
//! paths -> walk (files) -> open (gzip, zstd, plain; whole or streamed) -> layout (which records to parse)
//!       -> source (activities) -> the caller, a batch at a time
//! ```
//!
//! A trail's records are nearly all of calls that nobody judges. So records are found by the name of their
//! call, and only those that matter are parsed. Two shortcuts, each held to the full parse by tests:
//! `native`, for files as CloudTrail writes them, looks at nothing but the names; `skim` walks any other
//! JSON and parses what it does not know.

mod csv;
mod decide;
mod layout;
mod marks;
mod native;
mod open;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "aws")]
pub mod s3;
mod skim;
mod sorted;
mod walk;
mod workers;

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::activity::Activity;
use crate::source::{Reading, Surroundings};

pub use sorted::{InOrder, Sorted};
pub use walk::{Input, bucket, inputs, is_log};
pub use workers::scan;

/// How archives are read.
#[derive(Debug, Clone)]
pub struct Options {
    pub surroundings: Surroundings,
    /// Files read at the same time; at least one.
    pub jobs: usize,
    /// Off, every record is parsed in full: what the shortcuts are held to.
    pub shortcuts: bool,
    /// How far the reading is, and the means to end it.
    pub progress: Arc<Progress>,
    /// Who fetches objects; without one they cannot be read.
    pub fetch: Option<Arc<dyn Fetch>>,
}

/// Fetches what is no file.
pub trait Fetch: std::fmt::Debug + Send + Sync {
    /// An object's bytes. May be called from any thread, and makes it wait.
    ///
    /// # Errors
    /// It cannot be asked for; what goes wrong later, reading says.
    fn open(&self, bucket: &str, key: &str) -> io::Result<Box<dyn Read + Send>>;
}

impl Options {
    pub fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, jobs: cores(), shortcuts: true, progress: Arc::default(), fetch: None }
    }
}

/// How many cores the process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads a file in memory that is packed or laid out as archives are and single events are not: zstd, Parquet,
/// tables, exports of CloudWatch Logs. `None` for any other.
pub fn read_special(bytes: &[u8], surroundings: &Surroundings) -> Option<Reading> {
    if !open::is_packed(bytes) && !layout::is_special(&open::beginning(bytes)) {
        return None;
    }
    Some(workers::read_bytes(bytes, surroundings))
}

/// Shared with whoever shows or ends a scan.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files read to their end.
    pub files: AtomicU64,
    /// Bytes read, as the files hold them.
    pub bytes: AtomicU64,
    /// Records passed, parsed or not.
    pub records: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Ends the scan: files that are open are left where they are, and what was found is kept.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What one stretch of a file held. Those of a file come in the file's order; files come in any.
#[derive(Debug)]
pub struct Batch {
    /// The file's number in the list of inputs: a stable order whichever worker was faster.
    pub file: usize,
    /// How many activities the file's earlier batches held.
    pub first: usize,
    pub activities: Vec<Activity>,
}

/// What a scan came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Files read, damaged ones included.
    pub files: u64,
    /// Bytes as the files hold them.
    pub bytes: u64,
    /// Bytes after decompression.
    pub inflated: u64,
    /// Records passed, parsed or not.
    pub records: u64,
    /// Those of them that could not be read.
    pub broken: u64,
    pub activities: u64,
    /// Files of which something could not be read: all of a file that is told with no place.
    pub damaged_files: u64,
    /// Records and files that could not be read.
    pub unreadable: u64,
    /// The first of them, by file and place.
    pub problems: Vec<Problem>,
    /// It was ended before all was read.
    pub stopped: bool,
}

impl Summary {
    /// Whether there was something to read, and nothing of it could be.
    pub fn yielded_nothing(&self) -> bool {
        self.unreadable > 0 && self.records == self.broken
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// As it was named.
    pub file: String,
    /// Where in the file: `line 7`, `Records[3]`; empty for the whole file.
    pub place: String,
    /// What is wrong, for a person.
    pub reason: String,
}

/// Why a scan could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("folders nest too deeply at {}: a loop of links?", path.display())]
    Loop { path: PathBuf },
    #[error("{}: this build cannot read S3; build it with `--features aws`", path.display())]
    NoS3 { path: PathBuf },
    #[error("no log file in {}", path.display())]
    Nothing { path: PathBuf },
    /// What the caller does with the batches failed.
    #[error(transparent)]
    Sink(#[from] io::Error),
    #[error("a reader of archives died")]
    Worker,
}

impl Summary {
    /// Problems told one by one; beyond these they are counted.
    pub const MOST_PROBLEMS: usize = 1_000;

    fn add(&mut self, other: Summary) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.inflated = self.inflated.saturating_add(other.inflated);
        self.records = self.records.saturating_add(other.records);
        self.broken = self.broken.saturating_add(other.broken);
        self.activities = self.activities.saturating_add(other.activities);
        self.damaged_files = self.damaged_files.saturating_add(other.damaged_files);
        self.unreadable = self.unreadable.saturating_add(other.unreadable);
        self.stopped |= other.stopped;
        self.problems.extend(other.problems);
        self.problems.sort();
        self.problems.truncate(Self::MOST_PROBLEMS);
    }
}

#[cfg(test)]
mod tests;
