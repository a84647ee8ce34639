//! One invocation: read, judge, publish, answer.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::failure_queue::FailureQueue;
use super::metrics::Tally;
use super::policy::{Current, PolicyStore};
use super::reply::{Failed, Reply, Report};
use super::settings::{Settings, SettingsError};
use super::{errand, place, work};
use crate::aws::arn_place;
use crate::history::Key;
use crate::history::batch::Batch;
use crate::history::dynamodb::DynamoDb;
use crate::lookup::aws::AwsLookup;
use crate::notify::Sns;
use crate::source::{self, Reading, Surroundings, Unreadable};

/// What is kept back of an invocation's time, for publishing and answering.
const RESERVE: Duration = Duration::from_secs(5);
/// What is kept back for the answer alone.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// The longest that a function may run.
const LONGEST: Duration = Duration::from_secs(900);
/// How many unreadable records of one payload are kept singly. A payload of more is kept whole.
const KEPT: usize = 100;

/// What lives as long as the process.
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) sdk: aws_config::SdkConfig,
    pub(super) sns: Sns,
    policies: PolicyStore,
    failures: Option<FailureQueue>,
    history: Option<DynamoDb>,
    /// Which records lead to which others, as far as this process has seen.
    pub(super) links: Mutex<HashMap<Key, Vec<Key>>>,
    /// Made at the first invocation, which tells the function's own account.
    lookup: OnceLock<AwsLookup>,
}

/// What lives as long as one invocation.
pub(super) struct Invocation {
    pub(super) lookup: AwsLookup,
    pub(super) current: Current,
    /// When judging has to end.
    pub(super) deadline: Instant,
    /// When the platform ends the invocation.
    pub(super) ends: DateTime<Utc>,
    /// This attempt's own name: the platform's next one has the same request id.
    pub(super) token: String,
    /// The table, for what is told.
    pub(super) store: Option<DynamoDb>,
    /// What is remembered, until it is written.
    pub(super) records: Option<Batch<DynamoDb>>,
    pub(super) surroundings: Surroundings,
    /// What came of an errand, for the reply.
    pub(super) report: OnceLock<Report>,
    begun: AtomicBool,
    tally: Mutex<Tally>,
}

impl Invocation {
    pub(super) fn count(&self, add: impl FnOnce(&mut Tally)) {
        add(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The first activity is judged whatever the clock says: a function with too little time alerts on
    /// what it could see, and does not fail for ever.
    pub(super) fn begin(&self) -> bool {
        !self.begun.swap(true, Ordering::Relaxed)
    }

    pub(super) fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

impl App {
    pub(super) async fn start() -> Result<Self, SettingsError> {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        let sdk = crate::aws::load().await?;
        let sns = Sns::new(&sdk, &settings.topic, settings.chat_topic.as_deref(), settings.https);
        let policies = PolicyStore::new(settings.policy.clone(), sdk.clone());
        let failures = settings.failure_queue.clone().map(|url| FailureQueue::new(&sdk, url));
        let history = settings.history_table.as_deref().map(|table| DynamoDb::new(&sdk, table));
        let (links, lookup) = (Mutex::default(), OnceLock::new());
        Ok(Self { settings, sdk, sns, policies, failures, history, links, lookup })
    }

    /// # Errors
    /// Whenever not everything was read, judged and published: all of the payload comes again.
    pub(super) async fn handle(self: Arc<Self>, event: LambdaEvent<Box<RawValue>>) -> Result<Reply, Failed> {
        let (payload, context) = event.into_parts();
        let (region, account) = self.place(&context);
        let lookup = self
            .lookup
            .get_or_init(|| {
                AwsLookup::new(self.sdk.clone(), account.clone(), self.settings.lookup_role.clone())
            })
            .clone();
        let (begun, left) = (Instant::now(), left(context.deadline(), SystemTime::now()));
        let store = self.history.as_ref().map(|table| table.until(begun + left.saturating_sub(LAST_MOMENT)));
        let invocation = Arc::new(Invocation {
            lookup,
            current: self.policies.current().await,
            deadline: begun + time_for(left),
            ends: context.deadline().into(),
            token: format!("{} {:016x}", context.request_id, RandomState::new().build_hasher().finish()),
            records: store.clone().map(Batch::new),
            store,
            surroundings: Surroundings {
                account: Some(account),
                region: Some(region),
                received: Utc::now(),
                flow_log_format: self.settings.flow_log_format.clone(),
                trust: self.settings.trust.clone(),
            },
            report: OnceLock::new(),
            begun: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        invocation.count(|tally| tally.policy_failures = u64::from(invocation.current.load_failed));
        let result = self.clone().payload(payload.get(), &invocation).await;
        let mut tally = invocation.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(Some(returned)) = &result {
            tally.returned = u64::try_from(returned.len()).unwrap_or(u64::MAX);
        }
        tally.emit(Utc::now().timestamp_millis());
        match result {
            Ok(returned) => {
                let report = invocation.report.get().cloned();
                let reply = Reply::new(&tally, invocation.current.note.clone(), returned, report);
                tracing::info!(reply = serde_json::to_string(&reply).unwrap_or_default(), "done");
                Ok(reply)
            }
            Err(failed) => {
                tracing::error!(error = %failed, "failed; the payload comes again, or to the failure store");
                Err(failed)
            }
        }
    }

    /// Region and account of the function itself.
    fn place(&self, context: &Context) -> (String, String) {
        let own = arn_place(&context.invoked_function_arn).or_else(|| arn_place(&self.settings.topic));
        let (region, account) = own.unwrap_or_default();
        (region.to_owned(), account.to_owned())
    }

    /// `Some` for SQS input: the messages that go back.
    async fn payload(
        self: Arc<Self>,
        text: &str,
        invocation: &Arc<Invocation>,
    ) -> Result<Option<Vec<String>>, Failed> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Failed::Unreadable(format!("JSON that cannot be taken apart: {error}")))?;
        if let Some(errand) = source::errand(&value) {
            return errand::run(errand, &value, self, invocation).await.map(|()| None);
        }
        match source::read_sqs(&value, &invocation.surroundings) {
            Some(messages) => self.messages(messages, &value, invocation).await.map(Some),
            None => {
                let reading = source::read(&value, &invocation.surroundings);
                let mut results = self.readings(vec![reading], &value, invocation).await;
                results.pop().unwrap_or(Ok(())).map(|()| None)
            }
        }
    }

    /// Each message on its own: what fails goes back alone.
    async fn messages(
        self: Arc<Self>,
        messages: Vec<(String, Reading)>,
        payload: &Value,
        invocation: &Arc<Invocation>,
    ) -> Result<Vec<String>, Failed> {
        // A FIFO queue's order holds only if everything after the first failure goes back with it.
        let ordered = payload
            .pointer("/Records/0/eventSourceARN")
            .and_then(Value::as_str)
            .is_some_and(|arn| arn.ends_with(".fifo"));
        let (ids, readings): (Vec<String>, Vec<Reading>) = messages.into_iter().unzip();
        let results = self.readings(readings, payload, invocation).await;
        let mut returned = Vec::new();
        let mut nameless = None;
        for (id, mut result) in ids.into_iter().zip(results) {
            if ordered && !returned.is_empty() {
                result = Err(Failed::OutOfTime("a message before it in its queue failed".to_owned()));
            }
            let Err(failed) = result else { continue };
            tracing::warn!(id, error = %failed, "the message goes back to its queue");
            if id.is_empty() {
                nameless = Some(failed);
            } else {
                returned.push(id);
            }
        }
        // A message without an id cannot be named in the answer: all come again.
        nameless.map_or(Ok(returned), Err)
    }

    /// Judges and tells what was read, then keeps what was not; the result of each reading. All that came
    /// in one payload are remembered together, so that each record is read and written once.
    async fn readings(
        self: &Arc<Self>,
        readings: Vec<Reading>,
        payload: &Value,
        invocation: &Arc<Invocation>,
    ) -> Vec<Result<(), Failed>> {
        let mut activities = Vec::new();
        let mut rest = Vec::with_capacity(readings.len());
        for reading in readings {
            let Reading { activities: some, ignored, unreadable, refused } = reading;
            invocation.count(|tally| {
                tally.ignored += u64::try_from(ignored).unwrap_or(u64::MAX);
                tally.unreadable += u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
                tally.refused +=
                    refused.values().map(|lines| u64::try_from(*lines).unwrap_or(u64::MAX)).sum::<u64>();
            });
            // Not kept: whoever may print a line could fill the queue with them.
            for (reason, lines) in &refused {
                tracing::warn!(reason, lines, "refused");
            }
            // A line of a batch of logs never fails the batch, not even where it is all there was.
            let whole_payload = unreadable.iter().any(|one| one.raw.is_none());
            let nothing_else = some.is_empty() && ignored == 0 && whole_payload;
            rest.push((some.len(), unreadable, nothing_else));
            activities.extend(some);
        }
        let mut judged = work::all(self, activities, invocation).await.into_iter();
        let mut results = Vec::with_capacity(rest.len());
        for (count, unreadable, nothing_else) in rest {
            // All of them, also those after a failure.
            let own: Vec<Result<(), Failed>> = judged.by_ref().take(count).collect();
            let judged = own.into_iter().collect::<Result<(), Failed>>();
            for one in &unreadable {
                tracing::warn!(place = one.place, reason = one.reason, "unreadable");
            }
            results.push(match judged {
                Ok(()) => self.keep(&unreadable, nothing_else, payload).await,
                Err(failed) => Err(failed),
            });
        }
        results
    }

    /// Keeps the records that could not be read.
    async fn keep(
        &self,
        unreadable: &[Unreadable],
        nothing_else: bool,
        payload: &Value,
    ) -> Result<(), Failed> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let whole = || {
            let first = unreadable.first().map(|one| match one.place.as_str() {
                "" => one.reason.clone(),
                place => format!("{}, at {place}", one.reason),
            });
            let more = unreadable.len().saturating_sub(1);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            Failed::Unreadable(first.unwrap_or_default() + &more)
        };
        let Some(failures) = self.failures.as_ref().filter(|_| !nothing_else && unreadable.len() <= KEPT)
        else {
            return Err(whole());
        };
        for one in unreadable {
            let raw = one.raw.as_deref().and_then(|raw| serde_json::from_str(raw).ok());
            let record = raw.or_else(|| place::record(payload, &one.place)).ok_or_else(whole)?;
            failures.keep(&record, &one.reason).await.map_err(Failed::NotKept)?;
        }
        Ok(())
    }
}

/// What the platform leaves.
fn left(deadline: SystemTime, now: SystemTime) -> Duration {
    deadline.duration_since(now).unwrap_or_default().min(LONGEST)
}

/// How long judging may take of it.
fn time_for(left: Duration) -> Duration {
    left.saturating_sub(RESERVE).max(left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_are_kept_back_or_half_of_less_than_ten() {
        let now = SystemTime::now();
        let time = |seconds| time_for(left(now + Duration::from_secs(seconds), now)).as_secs();
        assert_eq!((time(60), time(10), time(6), time(0)), (55, 5, 3, 0));
        assert_eq!(left(now - Duration::from_secs(1), now), Duration::ZERO);
    }
}
