//! One activity: judged, remembered, and its alerts published.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use super::handler::{App, Invocation};
use super::reply::Failed;
use crate::activity::{Action, Activity, ScanStatus};
use crate::alert::Alert;
use crate::engine::Judgement;
use crate::history::InMemory;
use crate::history::deliver::Publisher;
use crate::lookup::aws::ACTIVITY_TIME;
use crate::pipeline::Pipeline;

/// # Errors
/// When there was no time left, or a topic did not take an alert.
pub(super) async fn one(
    app: Arc<App>,
    activity: Arc<Activity>,
    invocation: Arc<Invocation>,
) -> Result<(), Failed> {
    let first = invocation.begin();
    let late = || Failed::OutOfTime("the rest of the payload comes again".to_owned());
    if !first && invocation.late() {
        return Err(late());
    }
    let deadline = invocation.deadline.min(Instant::now() + ACTIVITY_TIME);
    let lookup = invocation.lookup.until(deadline);
    let current = &invocation.current;
    let left = deadline.saturating_duration_since(Instant::now());
    let pipeline = Pipeline {
        policy: &current.policy,
        policy_note: current.note.as_deref(),
        lookup: &lookup,
        store: None::<&InMemory>,
        publisher: &Told { app: &app, invocation: &invocation },
        token: &invocation.token,
        deadline: Utc::now() + TimeDelta::from_std(left).unwrap_or_default(),
        now: &Utc::now,
    };
    let judgement = pipeline.judge(activity.clone()).await?;
    // Facts that only the invocation's end kept away are there the next time.
    if !first && invocation.late() && !judgement.unavailable.is_empty() {
        return Err(late());
    }
    count(&judgement, &invocation);
    let processed = pipeline.deliver(judgement).await?;
    for (detection, reason) in &processed.suppressed {
        tracing::info!(detection = detection.id, reason, activity = activity.id, "suppressed");
    }
    invocation.count(|tally| {
        tally.suppressed += u64::try_from(processed.suppressed.len()).unwrap_or(u64::MAX);
    });
    if !activity.time_is_arrival {
        let latency = Utc::now().signed_duration_since(activity.time).num_milliseconds().max(0);
        invocation.count(|tally| tally.latencies.push(latency));
    }
    Ok(())
}

fn count(judgement: &Judgement, invocation: &Invocation) {
    let activity = &judgement.activity;
    for (api, reason) in &judgement.unavailable {
        tracing::warn!(api, reason, activity = activity.id, "look-up unavailable");
    }
    invocation.count(|tally| {
        tally.activities += 1;
        tally.unavailable += u64::try_from(judgement.unavailable.len()).unwrap_or(u64::MAX);
        let failed = matches!(&activity.action, Action::ImageScanned(scan)
            if matches!(scan.status, ScanStatus::Failed(_)));
        tally.failed_scans += u64::from(failed);
    });
}

/// Publishes what is above the floor, and counts everything.
struct Told<'a> {
    app: &'a App,
    invocation: &'a Invocation,
}

impl Publisher for Told<'_> {
    async fn publish(&self, alert: &Alert) -> Result<(), String> {
        self.invocation.count(|tally| {
            tally.alerts += 1;
            tally.below_floor += u64::from(alert.below_floor);
            for finding in &alert.findings {
                *tally.by_detection.entry(finding.detection.id).or_default() += 1;
            }
        });
        if alert.below_floor {
            log(alert, "alert under the notification floor: not published");
            return Ok(());
        }
        match self.app.sns.publish(alert).await {
            Ok(()) => {
                self.invocation.count(|tally| tally.published += 1);
                log(alert, "alert published");
                Ok(())
            }
            Err(error) => {
                log(alert, "alert NOT published");
                Err(error.to_string())
            }
        }
    }
}

fn log(alert: &Alert, message: &'static str) {
    let detections: Vec<&str> = alert.findings.iter().map(|finding| finding.detection.id).collect();
    tracing::info!(
        detections = detections.join(","),
        severity = alert.severity().name(),
        subject = alert.subject.key(),
        activity = alert.activity.id,
        account = alert.activity.account,
        region = alert.activity.region,
        "{message}"
    );
}
