//! One activity: judged, and its alerts published.

use std::sync::Arc;

use chrono::Utc;
use tokio::time::Instant;

use super::handler::{App, Invocation};
use super::reply::Failed;
use crate::activity::{Action, Activity, ScanStatus};
use crate::alert::{Alert, alerts};
use crate::engine;
use crate::lookup::aws::ACTIVITY_TIME;

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
    let judgement = engine::judge(activity.clone(), &current.policy, &lookup).await;
    // Facts that only the invocation's end kept away are there the next time.
    if !first && invocation.late() && !judgement.unavailable.is_empty() {
        return Err(late());
    }
    let told = alerts(&judgement, &current.policy, current.note.as_deref());
    for (api, reason) in &judgement.unavailable {
        tracing::warn!(api, reason, activity = activity.id, "look-up unavailable");
    }
    for (detection, reason) in &told.suppressed {
        tracing::info!(detection = detection.id, reason, activity = activity.id, "suppressed");
    }
    invocation.count(|tally| {
        tally.activities += 1;
        tally.unavailable += u64::try_from(judgement.unavailable.len()).unwrap_or(u64::MAX);
        tally.suppressed += u64::try_from(told.suppressed.len()).unwrap_or(u64::MAX);
        let failed = matches!(&activity.action, Action::ImageScanned(scan)
            if matches!(scan.status, ScanStatus::Failed(_)));
        tally.failed_scans += u64::from(failed);
    });
    let mut result = Ok(());
    for alert in &told.alerts {
        invocation.count(|tally| {
            tally.alerts += 1;
            tally.below_floor += u64::from(alert.below_floor);
            for finding in &alert.findings {
                *tally.by_detection.entry(finding.detection.id).or_default() += 1;
            }
        });
        if alert.below_floor {
            log(alert, "alert under the notification floor: not published");
            continue;
        }
        match app.sns.publish(alert).await {
            Ok(()) => {
                invocation.count(|tally| tally.published += 1);
                log(alert, "alert published");
            }
            Err(error) => {
                log(alert, "alert NOT published");
                result = Err(Failed::NotPublished(error.to_string()));
            }
        }
    }
    if !activity.time_is_arrival {
        let latency = Utc::now().signed_duration_since(activity.time).num_milliseconds().max(0);
        invocation.count(|tally| tally.latencies.push(latency));
    }
    result
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
