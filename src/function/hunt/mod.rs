//! Hunting at cloud scale: errands of a Step Functions state machine (template.yaml), which lists the logs
//! under a prefix and hands them out in batches.
//!
//! ```text
//! {"imagewarden": "hunt"}          a batch of object keys -> alerts and counts in the results' bucket
//! {"imagewarden": "hunt-summary"}  all counts of a run -> one message to the topic
//! ```
//!
//! What a batch leaves lies under names that its run and its keys make, so that a batch that is done again
//! writes the same over the same:
//!
//! ```text
//! hunts/RUN/alerts/BATCH.jsonl   a line of OCSF for each alert, in the order of event times
//! hunts/RUN/counts/BATCH.json    what the batch came to; written last
//! hunts/RUN/failed.json          objects of the batches that failed
//! hunts/RUN/summary.json         what was told; written after it was
//! ```

mod batch;
mod results;
mod summary;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::reply::Failed;
use results::Results;

pub(super) use batch::{Hunted, run};
pub(super) use summary::{Summed, run as sum};

/// Characters of an execution's name, at most.
const LONGEST_RUN: usize = 80;

/// An object to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
struct Object {
    key: String,
    /// Bytes.
    size: u64,
}

/// A batch's name: that of its objects, in whatever order they come and however often.
fn batch_name(bucket: &str, objects: &[Object]) -> String {
    let keys: BTreeSet<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let mut name = crate::hash::hex(&["batch", bucket].into_iter().chain(keys).collect::<Vec<_>>());
    name.truncate(32);
    name
}

/// What the state machine sends.
fn wish<T: DeserializeOwned>(payload: &Value) -> Result<T, Failed> {
    T::deserialize(payload).map_err(|error| Failed::Unreadable(format!("this is no hunt: {error}")))
}

/// The run's name becomes part of keys and of commands that people paste.
fn check_run(run: &str) -> Result<(), Failed> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=LONGEST_RUN).contains(&run.len()) && run.bytes().all(plain) && !run.starts_with('.') {
        return Ok(());
    }
    let run = crate::text::clean(run, LONGEST_RUN);
    Err(Failed::Unreadable(format!(
        "the run `{run}` cannot be a folder's name: name the execution with letters, digits, `-`, `_` and `.`"
    )))
}

/// Where the results of a run go.
fn results(app: &super::handler::App, run: &str) -> Result<Results, Failed> {
    check_run(run)?;
    let bucket = app.settings.hunt_results.as_deref().ok_or_else(|| {
        Failed::Hunt("no HUNT_RESULTS is set: this function has no bucket for what hunts find".to_owned())
    })?;
    Ok(Results::new(&app.sdk, bucket, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_name_stays_in_its_folder() {
        for good in ["2026-03", "b0c1d2e3-0000-4000-8000-000000000000", "march_1.again", &"a".repeat(80)] {
            assert_eq!(check_run(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "a b", "$(id)", "märz", &"a".repeat(81)] {
            assert!(check_run(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_wish_is_told() {
        let error = wish::<Object>(&serde_json::json!({"key": "a"})).unwrap_err();
        assert_eq!(error.to_string(), "unreadable input: this is no hunt: missing field `size`");
    }
}
