//! One activity: judged, and its alerts published.

use std::sync::Arc;

use chrono::Utc;
use tokio::time::Instant;

use super::handler::{App, Invocation};
use super::reply::Failed;
use crate::activity::{Action, Activity, ScanStatus};
use crate::alert::Alert;
use crate::engine::Judgement;
use crate::history::deliver::{Fate, Publisher};
use crate::lookup::aws::ACTIVITY_TIME;
use crate::notify::Sns;
use crate::pipeline::{Pipeline, Processed};

/// # Errors
/// When there was no time left, or a topic did not take an alert.
pub(super) async fn one(
    app: Arc<App>,
    activity: Arc<Activity>,
    invocation: Arc<Invocation>,
) -> Result<(), Failed> {
    let first = invocation.begin();
    let out_of_time = || Failed::OutOfTime("the rest of the payload comes again".to_owned());
    if !first && invocation.late() {
        return Err(out_of_time());
    }
    let deadline = invocation.deadline.min(Instant::now() + ACTIVITY_TIME);
    let lookup = invocation.lookup.until(deadline);
    // Facts that only the invocation's end kept away are there the next time.
    let cut_short = || !first && lookup.cut_short() && invocation.late();
    let publisher = Topics { sns: &app.sns, cut_short: &cut_short };
    let pipeline = Pipeline {
        policy: &invocation.current.policy,
        policy_note: invocation.current.note.as_deref(),
        lookup: &lookup,
        store: app.history(),
        publisher: &publisher,
        token: &invocation.token,
        deadline: invocation.ends,
        warm_up: true,
        now: &Utc::now,
    };
    let processed = match pipeline.process(activity.clone()).await {
        Ok(processed) => processed,
        Err(_) if cut_short() => return Err(out_of_time()),
        Err(error) => return Err(error.into()),
    };
    count(&invocation, &activity, &processed);
    Ok(())
}

/// Delivers what is to be told of something judged already.
///
/// # Errors
/// As [`one`].
pub(super) async fn tell(app: &App, invocation: &Invocation, judgement: Judgement) -> Result<(), Failed> {
    let activity = judgement.activity.clone();
    let publisher = Topics { sns: &app.sns, cut_short: &|| false };
    let pipeline = Pipeline {
        policy: &invocation.current.policy,
        policy_note: invocation.current.note.as_deref(),
        lookup: &invocation.lookup,
        store: app.history(),
        publisher: &publisher,
        token: &invocation.token,
        deadline: invocation.ends,
        warm_up: true,
        now: &Utc::now,
    };
    let processed = pipeline.deliver(judgement).await?;
    count(invocation, &activity, &processed);
    invocation.count(|tally| tally.latencies.clear());
    Ok(())
}

/// Publishes what is not under the floor.
struct Topics<'a, C> {
    sns: &'a Sns,
    cut_short: &'a C,
}

impl<C: Fn() -> bool + Sync> Publisher for Topics<'_, C> {
    async fn publish(&self, alert: &Alert) -> Result<(), String> {
        if (self.cut_short)() {
            return Err("out of time".to_owned());
        }
        if alert.below_floor {
            log(alert, "alert under the notification floor: not published");
            return Ok(());
        }
        match self.sns.publish(alert).await {
            Ok(()) => {
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

fn count(invocation: &Invocation, activity: &Activity, processed: &Processed) {
    let unavailable = &processed.judgement.unavailable;
    for (api, reason) in unavailable {
        tracing::warn!(api, reason, activity = activity.id, "look-up unavailable");
    }
    for (detection, reason) in &processed.suppressed {
        tracing::info!(detection = detection.id, reason, activity = activity.id, "suppressed");
    }
    invocation.count(|tally| {
        tally.activities += 1;
        tally.unavailable += u64::try_from(unavailable.len()).unwrap_or(u64::MAX);
        tally.suppressed += u64::try_from(processed.suppressed.len()).unwrap_or(u64::MAX);
        let failed = matches!(&activity.action, Action::ImageScanned(scan)
            if matches!(scan.status, ScanStatus::Failed(_)));
        tally.failed_scans += u64::from(failed);
        for (alert, fate) in &processed.alerts {
            tally.alerts += 1;
            tally.below_floor += u64::from(alert.below_floor);
            tally.published += u64::from(*fate == Fate::Published && !alert.below_floor);
            for finding in &alert.findings {
                *tally.by_detection.entry(finding.detection.id).or_default() += 1;
            }
        }
        if !activity.time_is_arrival {
            let latency = Utc::now().signed_duration_since(activity.time).num_milliseconds();
            tally.latencies.push(latency.max(0));
        }
    });
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
