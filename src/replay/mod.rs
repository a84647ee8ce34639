//! Sends failed events through the function again.
//!
//! Failures end in three places: the bucket that Lambda writes its failure records to, the dead-letter
//! queue of the EventBridge rules (plain events), and the queue of single unreadable records. Each
//! payload is handed to the function as it was, and what succeeded may be deleted from its store.

mod invoke;
mod record;
mod store;

use std::time::Duration;

use crate::aws::SetupError;
use invoke::Function;
use store::{Item, Source, Stores};

/// What is to be replayed, and how.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Files, folders, `s3://BUCKET/PREFIX`, SQS queue URLs.
    pub sources: Vec<String>,
    /// The function's name or ARN.
    pub function: String,
    /// Delete what succeeded from S3 too. From a queue it is always deleted, or it would come again.
    pub delete: bool,
}

/// What became of one payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Where it came from: `failures/a.json:2`, `s3://bucket/key`, `QUEUE message ID`.
    pub place: String,
    /// The function's reply, or why it is still failed. Reply and error messages quote events: sanitise
    /// before showing them.
    pub outcome: Result<String, String>,
}

/// In numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub succeeded: usize,
    pub failed: usize,
}

/// Why nothing could be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Aws(#[from] SetupError),
    #[error("{place}: {reason}")]
    Source { place: String, reason: String },
}

impl Replay {
    /// Replays everything, one after the other, telling each as it goes. A payload that fails stays
    /// where it was, and the others go on. What is sent to a queue after its replay began is not replayed.
    ///
    /// # Errors
    /// When a source cannot be read at all, or AWS cannot be asked.
    pub async fn run(&self, mut told: impl FnMut(&Replayed)) -> Result<Summary, ReplayError> {
        let sdk = crate::aws::load().await?;
        let stores = Stores::new(&sdk);
        let function = Function::new(&sdk, &self.function);
        let mut summary = Summary::default();
        for name in &self.sources {
            let failed = |reason| ReplayError::Source { place: name.clone(), reason };
            let mut source = stores.open(Source::of(name)).await.map_err(failed)?;
            // Given back at the end: a message that is visible again is received again.
            let mut kept = Vec::new();
            while let Some(item) = source.next(&stores).await.map_err(failed)? {
                let replayed = self.item(&item, &stores, &function).await;
                if replayed.iter().any(|one| one.outcome.is_err()) {
                    kept.push(item.origin);
                }
                for replayed in replayed {
                    match replayed.outcome {
                        Ok(_) => summary.succeeded += 1,
                        Err(_) => summary.failed += 1,
                    }
                    told(&replayed);
                }
            }
            for origin in &kept {
                stores.give_back(origin).await;
            }
            source.close(&stores).await;
        }
        Ok(summary)
    }

    /// One object, message or file: deleted only when everything in it succeeded.
    async fn item(&self, item: &Item, stores: &Stores, function: &Function) -> Vec<Replayed> {
        let failed = |outcome: String| vec![Replayed { place: item.place.clone(), outcome: Err(outcome) }];
        let bytes = match &item.bytes {
            Ok(bytes) => bytes,
            Err(reason) => return failed(reason.clone()),
        };
        let payloads = match record::payloads(bytes) {
            Ok(payloads) => payloads,
            Err(reason) => return failed(reason),
        };
        let several = payloads.len() > 1;
        let mut replayed = Vec::with_capacity(payloads.len());
        for (index, payload) in payloads.into_iter().enumerate() {
            let number = index + 1;
            let place = if several { format!("{}:{number}", item.place) } else { item.place.clone() };
            replayed.push(Replayed { place, outcome: function.invoke(payload).await });
        }
        if replayed.iter().all(|one| one.outcome.is_ok())
            && let Err(reason) = stores.done(&item.origin, self.delete).await
        {
            let place = item.place.clone();
            replayed.push(Replayed { place, outcome: Err(format!("succeeded, but not deleted: {reason}")) });
        }
        replayed
    }
}

/// The name in an invocation's client context that tells the function of a replay.
pub(crate) const REPLAY: &str = "imagewarden-replay";

/// How long a queue may stay silent before it counts as empty.
const SILENCE: Duration = Duration::from_secs(2);
