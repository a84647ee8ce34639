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
use super::off_thread::{self, Cut, GivenUp};
use super::policy::{Current, PolicyStore};
use super::reply::{Failed, Reply, Report};
use super::settings::{Settings, SettingsError};
use super::work::{self, Waiting};
use super::{errand, place, self_check};
use crate::aws::arn_place;
use crate::history::Key;
use crate::history::batch::Batch;
use crate::history::dynamodb::DynamoDb;
use crate::lookup::aws::AwsLookup;
use crate::notify::Sns;
use crate::replay::REPLAY;
use crate::source::{self, Reading, Surroundings, Unreadable};

/// What is kept back of an invocation's time, for publishing and answering.
const RESERVE: Duration = Duration::from_secs(5);
/// What is kept back for the answer alone.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// How much that was given up may still run before the process ends.
const MOST_GIVEN_UP: usize = 4;
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
    /// Judging that took too long.
    pub(super) given_up: GivenUp,
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
    /// When everything but the answer has to end.
    pub(super) last_moment: Instant,
    /// When the platform ends the invocation.
    pub(super) ends: DateTime<Utc>,
    /// It was sent here by `replay`: what is unreadable lies in a store already, and stays there.
    replayed: bool,
    /// Nobody tries again what fails: an errand goes on the next time.
    pub(super) errand: AtomicBool,
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
        source::watch_over(settings.own_names(std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok()));
        let sdk = crate::aws::load().await?;
        let sns = Sns::new(&sdk, &settings.topic, settings.chat_topic.as_deref(), settings.https);
        let policies = PolicyStore::new(settings.policy.clone(), sdk.clone());
        let failures = settings.failure_queue.clone().map(|url| FailureQueue::new(&sdk, url));
        let history = settings.history_table.as_deref().map(|table| DynamoDb::new(&sdk, table));
        let (given_up, links, lookup) = (GivenUp::default(), Mutex::default(), OnceLock::new());
        Ok(Self { settings, sdk, sns, policies, failures, history, given_up, links, lookup })
    }

    /// # Errors
    /// Whenever not everything was read, judged and published: all of the payload comes again.
    pub(super) async fn handle(self: Arc<Self>, event: LambdaEvent<Box<RawValue>>) -> Result<Reply, Failed> {
        let (payload, context) = event.into_parts();
        if self.given_up.count() >= MOST_GIVEN_UP {
            // They take the time of everything that comes. The platform starts another process, and hands it
            // this event again.
            tracing::error!("too much that was given up still runs: the process ends");
            std::process::exit(1);
        }
        let (region, account) = self.place(&context);
        let lookup = self
            .lookup
            .get_or_init(|| {
                AwsLookup::new(self.sdk.clone(), account.clone(), self.settings.lookup_role.clone())
            })
            .clone();
        let (begun, left) = (Instant::now(), left(context.deadline(), SystemTime::now()));
        let last_moment = begun + left.saturating_sub(LAST_MOMENT);
        let store = self.history.as_ref().map(|table| table.until(last_moment));
        let invocation = Arc::new(Invocation {
            lookup,
            current: self.policies.current().await,
            deadline: begun + time_for(left),
            last_moment,
            ends: context.deadline().into(),
            replayed: context
                .client_context
                .as_ref()
                .is_some_and(|client| client.custom.contains_key(REPLAY)),
            errand: AtomicBool::new(false),
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
        let result = tokio::time::timeout_at(
            last_moment + LAST_MOMENT / 2,
            self.clone().payload(payload, &invocation),
        )
        .await
        .unwrap_or_else(|_| Err(Failed::OutOfTime("all of the payload comes again".to_owned())));
        self.watch_policy(&invocation).await;
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

    /// Publishes a change of the policy soon after it is loaded. The events of an invocation go first, and a failure
    /// costs them nothing: the next invocation compares again.
    async fn watch_policy(self: &Arc<Self>, invocation: &Arc<Invocation>) {
        if !self.policies.is_uncompared(&invocation.current) || invocation.late() {
            return;
        }
        let watched = self_check::policy::watch(self, invocation);
        match tokio::time::timeout_at(invocation.last_moment, watched).await {
            Ok(Ok(())) => self.policies.compared(&invocation.current),
            Ok(Err(error)) => tracing::warn!(%error, "the policy could not be compared with the one before"),
            Err(_) => tracing::warn!("there was no time to compare the policy with the one before"),
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
        text: Box<RawValue>,
        invocation: &Arc<Invocation>,
    ) -> Result<Option<Vec<String>>, Failed> {
        let own = invocation.clone();
        let read = async move { Input::read(&text, &own.surroundings) };
        let (value, input) = match off_thread::run(read, invocation.deadline, &self.given_up).await {
            Ok(read) => read?,
            Err(Cut::Late) => {
                return Err(Failed::OutOfTime("the payload could not be read in time".to_owned()));
            }
            Err(Cut::BrokeOff) => return Err(Failed::Unreadable("reading it broke off".to_owned())),
        };
        match input {
            Input::Errand(errand) => {
                invocation.errand.store(true, Ordering::Relaxed);
                errand::run(&errand, &value, self, invocation).await.map(|()| None)
            }
            Input::Messages(messages) => self.messages(messages, &value, invocation).await.map(Some),
            Input::Event(reading) => {
                let mut results = self.readings(vec![(None, reading)], &value, invocation).await;
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
        let readings =
            (0..).zip(readings).map(|(place, reading)| (receives(payload, place), reading)).collect();
        let results = self.readings(readings, payload, invocation).await;
        let mut returned = Vec::new();
        let mut nameless = None;
        for (id, mut result) in ids.into_iter().zip(results) {
            if ordered && !returned.is_empty() {
                result = Err(Failed::OutOfTime("a message before it in its queue failed".to_owned()));
            }
            let Err(failed) = result else { continue };
            tracing::warn!(sqs_message = id, error = %failed, "the message goes back to its queue");
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
        readings: Vec<(Option<u64>, Reading)>,
        payload: &Value,
        invocation: &Arc<Invocation>,
    ) -> Vec<Result<(), Failed>> {
        let mut waiting = Vec::new();
        let mut rest = Vec::with_capacity(readings.len());
        for (receives, reading) in readings {
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
            waiting.extend(some.into_iter().map(|one| Waiting { activity: Arc::new(one), receives }));
        }
        let mut judged = work::all(self, waiting, invocation).await.into_iter();
        let mut results = Vec::with_capacity(rest.len());
        for (count, unreadable, nothing_else) in rest {
            // All of them, also those after a failure.
            let own: Vec<Result<(), Failed>> = judged.by_ref().take(count).collect();
            let judged = own.into_iter().collect::<Result<(), Failed>>();
            for one in &unreadable {
                tracing::warn!(place = one.place, reason = one.reason, "unreadable");
            }
            results.push(match judged {
                Ok(()) => {
                    let kept = self.keep(&unreadable, nothing_else || invocation.replayed, payload);
                    tokio::time::timeout_at(invocation.last_moment, kept)
                        .await
                        .unwrap_or_else(|_| Err(Failed::NotKept("there was no time left for it".to_owned())))
                }
                Err(failed) => Err(failed),
            });
        }
        results
    }

    /// Keeps the records that could not be read; or fails with them, so that the platform keeps the payload whole.
    async fn keep(
        &self,
        unreadable: &[Unreadable],
        whole_payload: bool,
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
        let Some(failures) = self.failures.as_ref().filter(|_| !whole_payload && unreadable.len() <= KEPT)
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

/// What a payload is.
enum Input {
    Errand(String),
    /// Of SQS, each with its id.
    Messages(Vec<(String, Reading)>),
    Event(Reading),
}

impl Input {
    fn read(text: &RawValue, surroundings: &Surroundings) -> Result<(Value, Self), Failed> {
        let value: Value = serde_json::from_str(text.get())
            .map_err(|error| Failed::Unreadable(format!("JSON that cannot be taken apart: {error}")))?;
        let input = match (source::errand(&value), source::read_sqs(&value, surroundings)) {
            (Some(errand), _) => Input::Errand(errand.to_owned()),
            (None, Some(messages)) => Input::Messages(messages),
            (None, None) => Input::Event(source::read(&value, surroundings)),
        };
        Ok((value, input))
    }
}

/// How often SQS has delivered the message at that place, this time included.
fn receives(payload: &Value, place: usize) -> Option<u64> {
    let message = payload.get("Records")?.get(place)?;
    message.pointer("/attributes/ApproximateReceiveCount")?.as_str()?.parse().ok()
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
