//! What all batches of a run came to, told once.
//!
//! What was told is written after it was told, and what stands there is not told again: a summary that is tried
//! again is silent, save where it died between publishing and writing. Another outcome of the same run, after a
//! redrive, is told.

use std::sync::Arc;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::results::Results;
use super::{Object, batch_name, results, wish};
use crate::alert::hunted::{Counts, FailedBatches, Hunted};
use crate::function::handler::{App, Invocation};
use crate::function::reply::Failed;

/// Counts that are read at the same time.
const AT_ONCE: usize = 16;

/// `{"imagewarden": "hunt-summary", "run": ..., "bucket": ..., "prefix": ..., "manifest": ...}`
#[derive(Deserialize)]
struct Wish {
    run: String,
    bucket: String,
    prefix: String,
    /// The key of the map run's manifest in the results' bucket; without one no batch has failed.
    manifest: Option<String>,
}

/// What a run came to, for the reply and for the state machine.
#[derive(Debug, Clone, Serialize)]
pub(in crate::function) struct Summed {
    /// Whether a message went out; not where this very outcome has been told before.
    told: bool,
    batches: u64,
    failed: u64,
    files: u64,
    alerts: u64,
    unreadable: u64,
}

/// What Step Functions writes of a map run.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    result_files: ResultFiles,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
struct ResultFiles {
    failed: Vec<ResultFile>,
    /// Batches that were not begun.
    pending: Vec<ResultFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultFile {
    key: String,
}

/// A batch that was not done.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    /// A text of JSON.
    input: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

/// What a batch's counts are in.
#[derive(Deserialize)]
struct Counted {
    counts: Counts,
}

/// What stands in the list of items that the state machine makes a batch of.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    items: Vec<Object>,
}

/// # Errors
/// The counts cannot be read, or the message was not taken: it has to be tried again.
pub(in crate::function) async fn run(
    payload: &Value,
    app: &Arc<App>,
    invocation: &Arc<Invocation>,
) -> Result<Summed, Failed> {
    let Wish { run, bucket, prefix, manifest } = wish(payload)?;
    let results = results(app, &run)?;
    let done = results.keys("counts").await?;
    let (failed, objects) = match manifest {
        Some(manifest) => not_done(&results, &manifest, &bucket, &done).await?,
        None => Default::default(),
    };
    if !objects.is_empty() {
        // For those who try again: the objects alone, to be put into smaller batches.
        let list = serde_json::to_vec(&objects).map_err(|error| Failed::Hunt(error.to_string()))?;
        results.put("failed.json", list, "application/json").await?;
    }
    let batches = u64::try_from(done.len()).unwrap_or(u64::MAX);
    let counts = counts(done, &results, invocation).await?;
    let surroundings = &invocation.surroundings;
    let hunted = Hunted {
        run,
        account: surroundings.account.clone().unwrap_or_default(),
        region: surroundings.region.clone().unwrap_or_default(),
        source: format!("s3://{bucket}/{prefix}"),
        results: results.place(),
        time: Utc::now(),
        batches,
        counts,
        failed,
    };
    let outcome = json!({
        "run": hunted.run, "source": hunted.source, "batches": batches, "counts": hunted.counts,
        "failed": hunted.failed,
    });
    let before = results.get("summary.json").await?;
    let told = before.and_then(|text| serde_json::from_slice::<Value>(&text).ok()).as_ref() != Some(&outcome);
    if told {
        let published = app.sns.publish_hunt(&hunted).await;
        published.map_err(|error| Failed::NotPublished(error.to_string()))?;
        invocation.count(|tally| tally.published += 1);
        results.put("summary.json", outcome.to_string().into_bytes(), "application/json").await?;
    }
    Ok(Summed {
        told,
        batches,
        failed: hunted.failed.batches,
        files: hunted.counts.files,
        alerts: hunted.counts.alerts,
        unreadable: hunted.counts.unreadable,
    })
}

/// The batches that failed or were not begun, and their objects. Whoever has counts is done, whatever Step
/// Functions heard of it.
async fn not_done(
    results: &Results,
    manifest: &str,
    bucket: &str,
    done: &[String],
) -> Result<(FailedBatches, Vec<Object>), Failed> {
    let document: Manifest = read(results, manifest).await?;
    let (mut failed, mut objects) = (FailedBatches::default(), Vec::new());
    let ResultFiles { failed: files, pending } = document.result_files;
    for file in files.into_iter().chain(pending) {
        let executions: Vec<Execution> = read(results, &file.key).await?;
        for execution in executions {
            let batch: Batch = serde_json::from_str(&execution.input).map_err(|error| {
                results.failed(&file.key, &format!("a batch in it cannot be read: {error}"))
            })?;
            let counts = format!("/counts/{}.json", batch_name(bucket, &batch.items));
            if done.iter().any(|key| key.ends_with(&counts)) {
                continue;
            }
            failed.add(&reason(&execution), u64::try_from(batch.items.len()).unwrap_or(u64::MAX));
            objects.extend(batch.items);
        }
    }
    Ok((failed, objects))
}

/// What the function said, where it could; ids of requests make every cause another one.
fn reason(execution: &Execution) -> String {
    let cause = execution.cause.as_deref().unwrap_or_default();
    let said = serde_json::from_str::<Value>(cause).ok();
    let said = said.as_ref().and_then(|cause| cause.get("errorMessage")).and_then(Value::as_str);
    let status = execution.status.as_deref().unwrap_or("it was not begun");
    let error = execution.error.as_deref().unwrap_or(status);
    said.map_or_else(|| error.to_owned(), |said| format!("{error}: {said}"))
}

/// A document of JSON in the results' bucket.
async fn read<T: serde::de::DeserializeOwned>(results: &Results, key: &str) -> Result<T, Failed> {
    let text = results.get_key(key).await?.ok_or_else(|| results.failed(key, "there is no such object"))?;
    serde_json::from_slice(&text).map_err(|error| results.failed(key, &error.to_string()))
}

/// What all these batches came to together.
async fn counts(done: Vec<String>, results: &Results, invocation: &Invocation) -> Result<Counts, Failed> {
    let (mut waiting, mut running, mut sum) = (done.into_iter(), JoinSet::new(), Counts::default());
    loop {
        while running.len() < AT_ONCE {
            let Some(key) = waiting.next() else { break };
            let results = results.clone();
            running.spawn(async move { read::<Counted>(&results, &key).await });
        }
        if invocation.late() {
            return Err(Failed::OutOfTime("the counts of so many batches take too long to read".to_owned()));
        }
        match running.join_next().await {
            None => return Ok(sum),
            Some(Ok(counted)) => sum.add(&counted?.counts),
            Some(Err(error)) => return Err(Failed::Hunt(format!("reading counts broke off: {error}"))),
        }
    }
}
