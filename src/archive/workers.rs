//! All cores: each worker reads files of its own and hands over what they held.

#[cfg(feature = "parquet")]
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::layout::{Found, Layout};
use super::open::{After, Buffers, Take};
use super::{Batch, Error, Input, Options, Problem, Progress, Summary};
use crate::activity::Activity;
use crate::source::{Reading, Surroundings, Unreadable};

/// Batches that may wait for the caller: memory stays bounded when it is slower than the workers.
const WAITING: usize = 16;

/// Objects fetched at the same time.
const REQUESTS: usize = 16;

/// Reads all inputs and hands their activities to `sink`, on the caller's own thread.
///
/// What cannot be read is in the summary, and the rest goes on.
///
/// # Errors
/// Those of the sink; they end the scan.
pub fn scan(
    inputs: &[Input],
    options: &Options,
    mut sink: impl FnMut(Batch) -> io::Result<()>,
) -> Result<Summary, Error> {
    // Who waits for S3 needs no core.
    let remote = inputs.iter().any(|input| matches!(input, Input::Object { .. }));
    let jobs = if remote { options.jobs.max(REQUESTS) } else { options.jobs };
    let jobs = jobs.clamp(1, inputs.len().max(1));
    let mut summary = Summary::default();
    // Reading an object blocks its thread, which must not be the caller's: that may be an asynchronous runtime's.
    if jobs == 1 && !remote {
        let mut buffers = Buffers::default();
        for (number, input) in inputs.iter().enumerate() {
            if options.progress.is_stopped() {
                break;
            }
            summary.add(file(number, input, options, &mut buffers, &mut sink)?);
        }
    } else {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = sync_channel(WAITING);
        let outcome: Result<(), Error> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs)
                .map(|_| {
                    let sender = sender.clone();
                    scope.spawn(|| work(inputs, options, &next, sender))
                })
                .collect();
            drop(sender);
            let mut failure = Ok(());
            for batch in receiver {
                // What is on its way is drained, so that no worker waits for ever.
                if failure.is_ok() {
                    failure = sink(batch).map_err(Error::Sink);
                    if failure.is_err() {
                        options.progress.stop();
                    }
                }
            }
            for worker in workers {
                summary.add(worker.join().map_err(|_| Error::Worker)??);
            }
            failure
        });
        outcome?;
    }
    summary.stopped = options.progress.is_stopped();
    Ok(summary)
}

/// Reads a file in memory.
pub(super) fn read_bytes(bytes: &[u8], surroundings: &Surroundings) -> Reading {
    let progress = Progress::default();
    let mut activities = Vec::new();
    let mut sink = |batch: Batch| {
        activities.extend(batch.activities);
        Ok(())
    };
    let mut reader = Reader::new(0, Layout::new(surroundings, false), &progress, &mut sink);
    let read = Buffers::default().read_bytes(bytes, &progress, &mut reader);
    let damage = read.map_or_else(|error| Some(error.to_string()), |read| read.damage);
    let summary = reader.finish(&Arc::from(""), damage);
    let mut told: Vec<&str> = activities.iter().map(|activity: &Activity| activity.id.as_str()).collect();
    told.dedup();
    let read = summary.broken.saturating_add(told.len() as u64);
    let unreadable = summary.problems.into_iter();
    Reading {
        ignored: usize::try_from(summary.records.saturating_sub(read)).unwrap_or(usize::MAX),
        unreadable: unreadable
            .map(|it| Unreadable { reason: it.reason, place: it.place, raw: None })
            .collect(),
        activities,
        ..Reading::default()
    }
}

fn work(
    inputs: &[Input],
    options: &Options,
    next: &AtomicUsize,
    sender: SyncSender<Batch>,
) -> Result<Summary, Error> {
    let mut buffers = Buffers::default();
    let mut summary = Summary::default();
    let mut send = |batch: Batch| sender.send(batch).map_err(io::Error::other);
    while !options.progress.is_stopped() {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(input) = inputs.get(number) else { break };
        summary.add(file(number, input, options, &mut buffers, &mut send)?);
    }
    Ok(summary)
}

fn file(
    number: usize,
    input: &Input,
    options: &Options,
    buffers: &mut Buffers,
    sink: &mut impl FnMut(Batch) -> io::Result<()>,
) -> Result<Summary, Error> {
    let mut surroundings = options.surroundings.clone();
    let owner = input.account();
    surroundings.trust.owner = owner.clone().filter(|_| input.is_of_trail());
    surroundings.account = owner.or(surroundings.account);
    let mut reader =
        Reader::new(number, Layout::new(&surroundings, options.shortcuts), &options.progress, sink);
    let read = buffers.read(input, options, &mut reader)?;
    let summary = reader.finish(&Arc::from(input.name()), read.damage);
    options.progress.files.fetch_add(1, Ordering::Relaxed);
    options.progress.bytes.fetch_add(read.bytes.saturating_sub(read.counted), Ordering::Relaxed);
    Ok(Summary { bytes: read.bytes, inflated: read.inflated, ..summary })
}

/// One file on its way to the caller.
struct Reader<'a, S> {
    number: usize,
    layout: Layout<'a>,
    progress: &'a Progress,
    sink: &'a mut S,
    handed_over: usize,
    records: u64,
    broken: u64,
    problems: Vec<(String, String)>,
    unreadable: u64,
}

impl<'a, S: FnMut(Batch) -> io::Result<()>> Reader<'a, S> {
    fn new(number: usize, layout: Layout<'a>, progress: &'a Progress, sink: &'a mut S) -> Self {
        Self {
            number,
            layout,
            progress,
            sink,
            handed_over: 0,
            records: 0,
            broken: 0,
            problems: Vec::new(),
            unreadable: 0,
        }
    }

    fn finish(self, name: &Arc<str>, damage: Option<String>) -> Summary {
        let whole = damage.map(|reason| (String::new(), reason));
        let unreadable = self.unreadable.saturating_add(u64::from(whole.is_some()));
        let told = whole.into_iter().chain(self.problems);
        Summary {
            files: 1,
            records: self.records,
            broken: self.broken,
            activities: self.handed_over as u64,
            damaged_files: u64::from(unreadable > 0),
            unreadable,
            problems: told
                .map(|(place, reason)| Problem { file: name.to_string(), place, reason })
                .take(Summary::MOST_PROBLEMS)
                .collect(),
            ..Summary::default()
        }
    }
}

impl<S: FnMut(Batch) -> io::Result<()>> Reader<'_, S> {
    fn hand_over(&mut self, found: Found) -> io::Result<()> {
        self.progress.records.fetch_add(found.records, Ordering::Relaxed);
        self.records = self.records.saturating_add(found.records);
        self.broken = self.broken.saturating_add(found.broken);
        self.unreadable = self.unreadable.saturating_add(found.unreadable.len() as u64);
        let room = Summary::MOST_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(found.unreadable.into_iter().take(room));
        if found.activities.is_empty() {
            return Ok(());
        }
        let first = self.handed_over;
        self.handed_over = first.saturating_add(found.activities.len());
        (self.sink)(Batch { file: self.number, first, activities: found.activities })
    }
}

impl<S: FnMut(Batch) -> io::Result<()>> Take for Reader<'_, S> {
    fn take(&mut self, bytes: &[u8], after: After) -> io::Result<usize> {
        let taken = self.layout.take(bytes, after);
        let found = std::mem::take(&mut self.layout.found);
        self.hand_over(found)?;
        Ok(taken)
    }

    #[cfg(feature = "parquet")]
    fn parquet(&mut self, file: File) -> io::Result<Option<String>> {
        let (surroundings, shortcuts) = self.layout.settings();
        super::parquet::read(file, surroundings, shortcuts, self.progress, |found| self.hand_over(found))
    }
}
