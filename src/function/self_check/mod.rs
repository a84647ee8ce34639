//! The self-check: once a day, whether it can see at all, and whether anybody would hear of it. What
//! fails is an alert, one a day for each reason.

pub(super) mod policy;
mod subscriptions;
mod sweeps;
mod trails;

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, Utc};
use serde::Serialize;

use super::handler::{App, Invocation};
use super::judge::Judged;
use super::reply::Failed;
use super::tell;
use crate::activity::{Action, Activity, CheckFailure, Cloud, SelfCheck};
use crate::alert;
use crate::aws::{Cause, Failure};
use crate::detection::{self, Context, Detection};
use crate::engine::Judgement;
use crate::history::Memory;
use crate::lookup::Facts;
use crate::policy::Policy;
use crate::severity::Severity;

/// What a self-check came to: part of the reply and of the log.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Checked {
    pub(super) failures: Vec<CheckFailure>,
    /// What was looked at and found in order.
    pub(super) passed: Vec<String>,
    /// What was not looked at, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

impl Checked {
    fn failed(
        &mut self,
        code: &str,
        severity: Severity,
        text: String,
        remedy: &str,
        command: Option<String>,
    ) {
        let (code, remedy) = (code.to_owned(), remedy.to_owned());
        self.failures.push(CheckFailure { code, severity, text, remedy, command });
    }

    /// A look that was refused proves nothing.
    fn refused(&mut self, subject: &str, call: &str, failure: &Failure, remedy: &str) {
        let cause = match failure.cause {
            Cause::Denied | Cause::Credentials | Cause::Role { .. } => "denied",
            Cause::Throttled => "throttled",
            Cause::OutOfTime => "timed-out",
            Cause::Unreachable | Cause::Service(_) | Cause::Other(_) => "failed",
        };
        tracing::warn!(
            call,
            code = failure.code.as_deref(),
            detail = failure.detail,
            "the self-check's call failed"
        );
        let text = format!("The self-check could not look: {call}: {}.", failure.reason());
        self.failed(&format!("{subject}-check-{cause}"), Severity::Medium, text, remedy, None);
    }
}

/// # Errors
/// When history does not answer, or an alert could not be published.
pub(super) async fn run(app: Arc<App>, invocation: &Arc<Invocation>) -> Result<Checked, Failed> {
    let mut checked = Checked::default();
    trails::check(&app.sdk, &mut checked).await;
    let topics: Vec<&str> =
        std::iter::once(&app.settings.topic).chain(&app.settings.chat_topic).map(String::as_str).collect();
    subscriptions::check(&app.sdk, &topics, &mut checked).await;
    let now = Utc::now();
    let account = invocation.surroundings.account.as_deref().unwrap_or_default();
    let region = invocation.surroundings.region.as_deref().unwrap_or_default();
    match &invocation.store {
        Some(store) => sweeps::check(store, account, region, now, &mut checked).await?,
        None => checked.notes.push("no HISTORY_TABLE is set: whether events arrive is not known".to_owned()),
    }
    for failure in &checked.failures {
        tracing::error!(code = failure.code, text = failure.text, "the self-check failed");
    }
    let failures = u64::try_from(checked.failures.len()).unwrap_or(u64::MAX);
    invocation.count(|tally| tally.self_check_failures = Some(failures));
    if let Some(judgement) = judgement((account, region), now, &checked) {
        let published = publish(&app, judgement, invocation).await;
        // Its time is no event's.
        invocation.count(|tally| tally.latencies.clear());
        published?;
    }
    policy::watch(&app, invocation).await?;
    let line = serde_json::to_string(&checked).unwrap_or_default();
    tracing::info!(self_check = line, "checked itself");
    Ok(checked)
}

/// What the detection `self-check` makes of it. Its time is the day's beginning: the same failure is told once a
/// day however often it is looked for.
fn judgement(place: Place<'_>, now: DateTime<Utc>, checked: &Checked) -> Option<Judgement> {
    if checked.failures.is_empty() {
        return None;
    }
    let id = format!("self-check/{}", now.format("%Y-%m-%d"));
    let time = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let action = Action::SelfChecked(SelfCheck { failures: checked.failures.clone() });
    Some(judged(&detection::self_check::DETECTION, place, (id, time), action))
}

/// An account and a region.
type Place<'a> = (&'a str, &'a str);

/// Judges what the function found by itself, by the one detection that is about it. No event says it, and nobody
/// called.
fn judged(
    detection: &'static Detection,
    (account, region): Place<'_>,
    (id, time): (String, DateTime<Utc>),
    action: Action,
) -> Judgement {
    let activity = Activity {
        id,
        time,
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: account.to_owned(),
        region: region.to_owned(),
        cloud: Cloud::Aws,
        actor: None,
        api: None,
        action,
    };
    let context = Context {
        policy: Policy::bundled(),
        facts: &Facts::default(),
        memory: &Memory::none(),
        matches: &[],
    };
    let verdict = (detection.judge)(&activity, &context);
    Judgement { activity: Arc::new(activity), verdicts: vec![(detection, verdict)], unavailable: Vec::new() }
}

/// Publishes what the function found by itself.
async fn publish(app: &Arc<App>, judgement: Judgement, invocation: &Arc<Invocation>) -> Result<(), Failed> {
    let current = &invocation.current;
    let told = alert::alerts(&judgement, &current.policy, current.note.as_deref());
    let judged = Judged { activity: judgement.activity, told, unavailable: Vec::new(), attempt: None };
    tell::all(app, vec![Ok(judged)], invocation).await.into_iter().fold(Ok(()), Result::and)
}
