//! Activities in the order of their times, however many there are: past a bound they go to sorted runs on disk.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use chrono::{DateTime, Utc};

use super::Batch;
use crate::activity::{Action, Activity};

/// Activities in memory before a run is written, about 2 KB each.
const IN_MEMORY: usize = 8 * 1024;
/// Runs merged at once; more are merged into one first.
const MOST_RUNS: usize = 64;

/// Collects activities in any order and hands them out by time. Those of the same time come in the order of
/// their files, and of their places there.
#[derive(Debug)]
pub struct Sorted {
    bound: usize,
    weight: usize,
    held: Vec<Entry>,
    runs: Vec<File>,
}

/// An activity and its place in the order.
#[derive(Debug)]
struct Entry {
    key: (DateTime<Utc>, usize, usize),
    activity: Activity,
}

impl Default for Sorted {
    fn default() -> Self {
        Self::new(IN_MEMORY)
    }
}

impl Sorted {
    /// `bound`: how many activities of ordinary size are kept in memory.
    pub fn new(bound: usize) -> Self {
        Self { bound: bound.max(1), weight: 0, held: Vec::new(), runs: Vec::new() }
    }

    /// Takes a batch. `keep` says which of its activities.
    ///
    /// # Errors
    /// A run could not be written to the folder for temporary files.
    pub fn add(&mut self, batch: Batch, mut keep: impl FnMut(&Activity) -> bool) -> io::Result<()> {
        for (index, activity) in batch.activities.into_iter().enumerate() {
            if !keep(&activity) {
                continue;
            }
            self.weight = self.weight.saturating_add(weight(&activity));
            let key = (activity.time, batch.file, batch.first.saturating_add(index));
            self.held.push(Entry { key, activity });
            if self.weight >= self.bound {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// How many runs are on disk.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_by_key(|entry| entry.key);
        let mut run = Writer::new()?;
        for entry in self.held.drain(..) {
            run.write(&entry)?;
        }
        self.weight = 0;
        self.runs.push(run.finish()?);
        if self.runs.len() >= MOST_RUNS {
            let mut merged = Merge::new(std::mem::take(&mut self.runs), Vec::new())?;
            let mut run = Writer::new()?;
            while let Some(entry) = merged.next()? {
                run.write(&entry)?;
            }
            self.runs.push(run.finish()?);
        }
        Ok(())
    }

    /// All activities, earliest first, each with its file's number.
    ///
    /// # Errors
    /// A run cannot be read back.
    pub fn in_order(mut self) -> io::Result<InOrder> {
        self.held.sort_by_key(|entry| entry.key);
        Ok(InOrder(Merge::new(self.runs, self.held)?))
    }
}

/// Activities by time.
#[derive(Debug)]
pub struct InOrder(Merge);

impl Iterator for InOrder {
    type Item = io::Result<(usize, Activity)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|entry| entry.map(|entry| (entry.key.1, entry.activity))).transpose()
    }
}

/// How many ordinary activities one weighs: launches of many instances and long lists of findings are more.
fn weight(activity: &Activity) -> usize {
    let parts = match &activity.action {
        Action::ImageLaunched(launch) => launch.instances.len().saturating_add(launch.tags.len() / 4),
        Action::ImageScanned(scan) => scan.findings.len() / 4,
        Action::ImagePushed(push) => push.children.len() / 16,
        Action::WorkloadDeclared(workload) => workload.containers.len() / 2,
        _ => 0,
    };
    parts.saturating_add(1)
}

/// A run: each entry is the length of its text in four bytes, file and place in eight each, and the activity
/// as JSON.
struct Writer {
    file: BufWriter<File>,
    text: Vec<u8>,
}

impl Writer {
    /// The file has no name, so that it goes with the process whatever becomes of that.
    fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), text: Vec::new() })
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, &entry.activity)?;
        let length = u32::try_from(self.text.len()).map_err(io::Error::other)?;
        let (_, file, place) = entry.key;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&(file as u64).to_le_bytes())?;
        self.file.write_all(&(place as u64).to_le_bytes())?;
        self.file.write_all(&self.text)
    }

    fn finish(self) -> io::Result<File> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

#[derive(Debug)]
enum Run {
    Disk(BufReader<File>),
    Memory(std::vec::IntoIter<Entry>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        let file = match self {
            Run::Memory(entries) => return Ok(entries.next()),
            Run::Disk(file) => file,
        };
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut number = || -> io::Result<usize> {
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            usize::try_from(u64::from_le_bytes(bytes)).map_err(io::Error::other)
        };
        let (number, place) = (number()?, number()?);
        let mut text = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
        file.read_exact(&mut text)?;
        let activity: Activity = serde_json::from_slice(&text)?;
        Ok(Some(Entry { key: (activity.time, number, place), activity }))
    }
}

/// The earliest entry of several runs.
#[derive(Debug)]
struct Merge {
    runs: Vec<Run>,
    heads: BinaryHeap<Head>,
}

#[derive(Debug)]
struct Head {
    entry: Entry,
    run: usize,
}

impl Ord for Head {
    /// The earliest is the greatest, as the heap has it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.entry.key.cmp(&self.entry.key)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    fn new(files: Vec<File>, held: Vec<Entry>) -> io::Result<Self> {
        let runs = files.into_iter().map(|file| Run::Disk(BufReader::with_capacity(64 * 1024, file)));
        let runs: Vec<Run> = runs.chain([Run::Memory(held.into_iter())]).collect();
        let mut merge = Self { runs, heads: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(entry) = self.runs.get_mut(run).map(Run::next).transpose()?.flatten() {
            self.heads.push(Head { entry, run });
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(head) = self.heads.pop() else { return Ok(None) };
        self.advance(head.run)?;
        Ok(Some(head.entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{self, Surroundings};

    /// Activities of every kind that the sample events come to.
    fn samples() -> Vec<Activity> {
        let surroundings = Surroundings::new(Utc::now());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
        files.sort();
        let read = |path| source::read_bytes(&std::fs::read(path).unwrap(), &surroundings).activities;
        files.iter().flat_map(read).collect()
    }

    #[test]
    fn every_activity_comes_back_from_disk_as_it_went() {
        let samples = samples();
        assert!(samples.len() > 100);
        for activity in samples {
            let text = serde_json::to_string(&activity).unwrap();
            let back: Activity =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(back, activity);
        }
    }

    #[test]
    fn the_order_is_that_of_times_whatever_was_spilled() {
        let mut expected: Vec<(usize, usize, Activity)> = Vec::new();
        for (number, activity) in samples().into_iter().enumerate() {
            // Two files, and times that repeat.
            expected.push((number % 2, number, activity));
        }
        let ids = |bound: usize| {
            let mut sorted = Sorted::new(bound);
            for (file, place, activity) in &expected {
                let batch = Batch { file: *file, first: *place, activities: vec![activity.clone()] };
                sorted.add(batch, |_| true).unwrap();
            }
            let runs = sorted.runs();
            let told: Vec<_> = sorted
                .in_order()
                .unwrap()
                .map(|it| it.map(|(file, it)| (it.time, file, it.id)).unwrap())
                .collect();
            (runs, told)
        };
        let (none, in_memory) = ids(usize::MAX);
        let (several, spilled) = ids(10);
        let (merged, every) = ids(1);
        assert_eq!(none, 0);
        assert!(several > 5 && merged < MOST_RUNS, "{several} {merged}");
        assert_eq!(in_memory.len(), expected.len());
        assert!(in_memory.is_sorted_by_key(|(time, file, _)| (*time, *file)));
        assert_eq!(in_memory, spilled);
        assert_eq!(in_memory, every);
    }
}
