//! Alerts, told: all of one turn together, the most severe first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handler::{App, Invocation};
use super::judge::{Judged, pipeline};
use super::reply::Failed;
use super::unfinished::{self, Unfinished};
use crate::activity::Action;
use crate::alert::Alert;
use crate::history::deliver::{Delivered, DeliveryError, Fate, Publisher};
use crate::notify::Sns;

/// Kept back of the time for noting what was published.
const CONFIRM: Duration = Duration::from_millis(700);

/// Publishes what is not under the floor.
pub(super) struct Topics<'a> {
    pub(super) sns: &'a Sns,
    /// Nothing is waited for beyond.
    pub(super) until: Instant,
}

impl Publisher for Topics<'_> {
    fn sinks(&self) -> Vec<&'static str> {
        self.sns.topics()
    }

    async fn publish(&self, sink: &'static str, alert: &Alert) -> Result<(), String> {
        if alert.below_floor {
            return Ok(());
        }
        match tokio::time::timeout_at(self.until, self.sns.publish(sink, alert)).await {
            Ok(published) => published.map_err(|error| error.to_string()),
            Err(_) => Err("SNS did not answer in time".to_owned()),
        }
    }
}

/// Tells everything that was judged; the result of each activity, in order. One whose alert is not out
/// has failed, and no other with it.
pub(super) async fn all(
    app: &Arc<App>,
    judged: Vec<Result<Judged, Failed>>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<(), Failed>> {
    let mut results = Vec::with_capacity(judged.len());
    let mut alerts: Vec<(usize, Alert)> = Vec::new();
    for (place, judged) in judged.into_iter().enumerate() {
        let judged = match judged {
            Ok(judged) => judged,
            Err(failed) => {
                results.push(Err(failed));
                continue;
            }
        };
        super::metrics::count(invocation, &judged);
        let result = match unfinished::look(&judged, invocation) {
            Unfinished::TriedAgain(failed) => {
                results.push(Err(failed));
                continue;
            }
            Unfinished::Told(failed) => Err(failed),
            Unfinished::No => Ok(()),
        };
        alerts.extend(judged.told.alerts.into_iter().map(|alert| (place, alert)));
        results.push(result);
    }
    // Should there be no time for all, the worst are out.
    alerts.sort_by_key(|(_, alert)| std::cmp::Reverse(alert.severity()));
    let (places, alerts): (Vec<usize>, Vec<Alert>) = alerts.into_iter().unzip();
    let until = invocation.last_moment.checked_sub(CONFIRM).unwrap_or(invocation.last_moment);
    let topics = Topics { sns: &app.sns, until };
    let pipeline = pipeline(invocation, &invocation.lookup, invocation.store.as_ref(), &topics);
    let told = pipeline.tell_each(alerts).await;
    invocation.count(|tally| tell(tally, &told));
    for one in told {
        let Err(error) = one.fate else { continue };
        let result = places.get(one.origin).and_then(|place| results.get_mut(*place));
        if let Some(result) = result.filter(|result| result.is_ok()) {
            *result = Err(Failed::from(error));
        }
    }
    results
}

fn tell(tally: &mut super::metrics::Tally, told: &[Delivered]) {
    for Delivered { alert, fate, .. } in told {
        log(alert, fate);
        // A summary stands for alerts that are counted already.
        if fate.is_err() || alert.storm.is_some() {
            tally.published += u64::from(*fate == Ok(Fate::Published) && !alert.below_floor);
            continue;
        }
        tally.alerts += 1;
        tally.below_floor += u64::from(alert.below_floor);
        tally.published += u64::from(*fate == Ok(Fate::Published) && !alert.below_floor);
        for finding in &alert.findings {
            *tally.by_detection.entry(finding.detection.id).or_default() += 1;
        }
    }
}

/// Every alert leaves a line with its image and its actor, whatever became of it.
fn log(alert: &Alert, fate: &Result<Fate, DeliveryError>) {
    let message = match fate {
        Ok(Fate::Published) if alert.below_floor => "alert under the notification floor: not published",
        Ok(Fate::Published) => "alert published",
        Ok(Fate::AlreadyTold) => "alert published before",
        Ok(Fate::Repeated { .. }) => "alert says nothing new: counted in its thread",
        Ok(Fate::Summarised { .. }) => "alert counted in the summary of its detection",
        Err(_) => "alert NOT published",
    };
    let detections: Vec<&str> = alert.findings.iter().map(|finding| finding.detection.id).collect();
    tracing::info!(
        detections = detections.join(","),
        severity = alert.severity().name(),
        subject = alert.subject.key(),
        image = image(alert),
        actor = alert.activity.principal(),
        activity = alert.activity.id,
        account = alert.activity.account,
        region = alert.activity.region,
        "{message}"
    );
}

fn image(alert: &Alert) -> String {
    match &alert.activity.action {
        Action::ImageLaunched(launch) => launch.image.label(),
        action => action
            .place()
            .and_then(|place| place.image.as_ref())
            .map(|image| image.name.clone())
            .unwrap_or_default(),
    }
}
