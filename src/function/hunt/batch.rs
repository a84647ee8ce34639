//! One batch: its objects are read, judged in the order of event times, and what that raises is written.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Object, batch_name, results, wish};
use crate::activity::Action;
use crate::alert;
use crate::alert::hunted::Counts;
use crate::archive::s3::Fetcher;
use crate::archive::{self, Input, Sorted, Summary, is_log};
use crate::detection::Verdict;
use crate::function::handler::{App, Invocation};
use crate::function::policy::Current;
use crate::function::reply::Failed;
use crate::history::InMemory;
use crate::history::deliver::Fate;
use crate::lookup::aws::ACTIVITY_TIME;
use crate::past::Past;
use crate::pipeline::Processed;
use crate::source::Surroundings;

/// The approval check of launches.
const CHECK: &str = "machine-image-not-approved";

/// `{"imagewarden": "hunt", "run": ..., "started": ..., "bucket": ..., "objects": [{"key": ..., "size": ...}]}`
#[derive(Deserialize)]
struct Wish {
    /// The execution's name.
    run: String,
    /// When the execution began: the time of events that have none, the same for whoever tries again.
    started: DateTime<Utc>,
    bucket: String,
    objects: Vec<Object>,
}

/// What a batch came to, for the reply.
#[derive(Debug, Clone, Serialize)]
pub(in crate::function) struct Hunted {
    batch: String,
    files: u64,
    records: u64,
    alerts: u64,
    unreadable: u64,
}

/// # Errors
/// Out of time, or what was found could not be written: nothing of the batch counts then, and it has to come
/// again. An object that cannot be read is none; it is in the counts.
pub(in crate::function) async fn run(
    payload: &Value,
    app: &Arc<App>,
    invocation: &Arc<Invocation>,
) -> Result<Hunted, Failed> {
    let Wish { run, started, bucket, mut objects } = wish(payload)?;
    let results = results(app, &run)?;
    objects.sort();
    objects.dedup();
    let batch = batch_name(&bucket, &objects);
    let mut counts = Counts { objects: number(objects.len()), ..Counts::default() };
    let inputs: Vec<Input> = objects
        .into_iter()
        .filter(|object| object.size > 0 && is_log(&object.key))
        .map(|Object { key, size }| Input::Object { bucket: bucket.clone(), key, size })
        .collect();
    counts.skipped = counts.objects.saturating_sub(number(inputs.len()));
    counts.policy_notes.extend(invocation.current.note.clone());
    let (sorted, summary) = read(inputs, started, app, invocation).await?;
    let lines = judge(sorted, invocation, &mut counts).await?;
    count_reading(&mut counts, &summary);

    let unread: Vec<Value> = summary
        .problems
        .iter()
        .map(|problem| json!({"object": problem.file, "place": problem.place, "reason": problem.reason}))
        .collect();
    let told = Hunted {
        batch: batch.clone(),
        files: counts.files,
        records: counts.records,
        alerts: counts.alerts,
        unreadable: counts.unreadable,
    };
    let document = json!({"run": run, "batch": batch, "bucket": bucket, "counts": counts, "unread": unread});
    results.put(&format!("alerts/{batch}.jsonl"), lines, "application/x-ndjson").await?;
    // Last: who has no counts is not done.
    results
        .put(&format!("counts/{batch}.json"), document.to_string().into_bytes(), "application/json")
        .await?;
    Ok(told)
}

/// Reads everything, on threads of its own: reading blocks.
async fn read(
    inputs: Vec<Input>,
    received: DateTime<Utc>,
    app: &App,
    invocation: &Invocation,
) -> Result<(Sorted, Summary), Failed> {
    if inputs.is_empty() {
        return Ok((Sorted::default(), Summary::default()));
    }
    let flow_log_format = invocation.surroundings.flow_log_format.clone();
    let surroundings = Surroundings { flow_log_format, ..Surroundings::new(received) };
    let mut options = archive::Options::new(surroundings);
    let fetcher = Fetcher::start(app.sdk.clone());
    options.fetch = Some(Arc::new(fetcher.map_err(|error| Failed::Hunt(error.to_string()))?));
    let progress = options.progress.clone();
    let mut reading = tokio::task::spawn_blocking(move || {
        let mut sorted = Sorted::default();
        let summary = archive::scan(&inputs, &options, |batch| sorted.add(batch, |_| true))?;
        Ok::<_, archive::Error>((sorted, summary))
    });
    let read = match tokio::time::timeout_at(invocation.deadline, &mut reading).await {
        Ok(read) => read,
        Err(_) => {
            progress.stop();
            return Err(out_of_time("reading"));
        }
    };
    let read = read.map_err(|error| Failed::Hunt(format!("reading broke off: {error}")))?;
    read.map_err(|error| Failed::Hunt(error.to_string()))
}

/// Judges in the order of event times, as `imagewarden hunt` does, with a memory of its own. The alerts, a
/// line each.
async fn judge(sorted: Sorted, invocation: &Invocation, counts: &mut Counts) -> Result<Vec<u8>, Failed> {
    let broken = |error: std::io::Error| Failed::Hunt(format!("what was read cannot be read back: {error}"));
    let Current { policy, note, .. } = &invocation.current;
    let mut past = Past::new(policy, note.as_deref(), true, InMemory::default());
    let mut lines = Vec::new();
    for entry in sorted.in_order().map_err(broken)? {
        let (_, activity) = entry.map_err(broken)?;
        if invocation.late() {
            return Err(out_of_time("judging"));
        }
        let lookup = invocation.lookup.until(invocation.deadline.min(Instant::now() + ACTIVITY_TIME));
        let processed = past.judge(activity, &lookup).await?;
        // Facts that only the invocation's end kept away are there the next time.
        if lookup.cut_short() && invocation.late() {
            return Err(out_of_time("judging"));
        }
        count(counts, &processed);
        for (alert, _) in processed.alerts.iter().filter(|(_, fate)| *fate == Fate::Published) {
            lines.extend_from_slice(alert::ocsf::finding(alert).to_string().as_bytes());
            lines.push(b'\n');
        }
    }
    Ok(lines)
}

fn out_of_time(doing: &str) -> Failed {
    Failed::OutOfTime(format!("{doing} a batch of logs took too long; a smaller one may do"))
}

fn count(counts: &mut Counts, processed: &Processed) {
    let judgement = &processed.judgement;
    counts.activities += 1;
    counts.suppressed += number(processed.suppressed.len());
    counts.unavailable += number(judgement.unavailable.len());
    let launch = matches!(judgement.activity.action, Action::ImageLaunched(_));
    let untold = |(detection, verdict): &(&'static crate::detection::Detection, Verdict)| {
        detection.id == CHECK && matches!(verdict, Verdict::CannotTell(_))
    };
    counts.unjudged += u64::from(launch && judgement.verdicts.iter().any(untold));
    for (alert, fate) in &processed.alerts {
        if *fate != Fate::Published {
            counts.repetitions += 1;
            continue;
        }
        counts.alerts += 1;
        counts.below_floor += u64::from(alert.below_floor);
        *counts.by_severity.entry(alert.severity()).or_default() += 1;
        if let Some(lead) = alert.lead() {
            *counts.by_detection.entry(lead.detection.id.to_owned()).or_default() += 1;
        }
    }
}

fn count_reading(counts: &mut Counts, summary: &Summary) {
    counts.files = summary.files;
    counts.bytes = summary.bytes;
    counts.records = summary.records;
    counts.unreadable = summary.unreadable;
    for problem in &summary.problems {
        counts.unread(&problem.reason, 1);
    }
    let more = summary.unreadable.saturating_sub(number(summary.problems.len()));
    if more > 0 {
        counts.unread("other reasons", more);
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
