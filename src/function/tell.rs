//! Alerts, told: those about one subject together, so that its thread is read and written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument;

use super::AT_ONCE;
use super::handler::{App, Invocation};
use super::judge::{Judged, pipeline};
use super::reply::Failed;
use crate::alert::Alert;
use crate::history::deliver::{Fate, Publisher};
use crate::notify::Sns;

/// Publishes what is not under the floor.
pub(super) struct Topics<'a> {
    pub(super) sns: &'a Sns,
}

impl Publisher for Topics<'_> {
    async fn publish(&self, alert: &Alert) -> Result<(), String> {
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

/// Tells everything that was judged; the result of each activity, in order. One whose alert is not out
/// has failed, with all that are told together with it.
pub(super) async fn all(
    app: &Arc<App>,
    judged: Vec<Result<Judged, Failed>>,
    invocation: &Arc<Invocation>,
) -> Vec<Result<(), Failed>> {
    let mut results = Vec::with_capacity(judged.len());
    let mut groups: BTreeMap<_, Vec<(usize, Alert)>> = BTreeMap::new();
    for (place, judged) in judged.into_iter().enumerate() {
        let judged = match judged {
            Ok(judged) => judged,
            Err(failed) => {
                results.push(Err(failed));
                continue;
            }
        };
        super::metrics::count(invocation, &judged);
        for alert in judged.told.alerts {
            // Without a history there is no thread to be read once.
            let alone = invocation.store.is_none().then_some((place, alert.findings.len()));
            let activity = &judged.activity;
            let subject = (activity.account.clone(), activity.region.clone(), alert.subject.clone(), alone);
            groups.entry(subject).or_default().push((place, alert));
        }
        results.push(Ok(()));
    }
    // Should there be no time for all, the worst are out.
    let mut groups: Vec<Vec<(usize, Alert)>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|(_, alert)| alert.severity()).max()));
    let mut waiting = groups.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            let Some(group) = waiting.next() else { break };
            let told = one(app.clone(), group, invocation.clone());
            running.spawn(told.in_current_span());
        }
        let failed = match running.join_next().await {
            None => return results,
            Some(Ok((_, Ok(())))) => continue,
            Some(Ok((places, Err(failed)))) => (places, failed),
            Some(Err(error)) => {
                tracing::error!(error = %error, "telling broke off");
                let all = (0..results.len()).collect();
                (all, Failed::NotPublished("telling an alert broke off".to_owned()))
            }
        };
        for place in failed.0 {
            if let Some(result) = results.get_mut(place).filter(|result| result.is_ok()) {
                *result = Err(failed.1.clone());
            }
        }
    }
}

/// Whose alerts these are, and whether they are all out.
async fn one(
    app: Arc<App>,
    group: Vec<(usize, Alert)>,
    invocation: Arc<Invocation>,
) -> (Vec<usize>, Result<(), Failed>) {
    let (places, alerts): (Vec<usize>, Vec<Alert>) = group.into_iter().unzip();
    let topics = Topics { sns: &app.sns };
    let pipeline = pipeline(&invocation, &invocation.lookup, invocation.store.as_ref(), &topics);
    let result = pipeline.tell(alerts).await;
    let result = result.map(|told| invocation.count(|tally| tell(tally, &told))).map_err(Failed::from);
    (places, result)
}

fn tell(tally: &mut super::metrics::Tally, told: &[(Alert, Fate)]) {
    for (alert, fate) in told {
        tally.alerts += 1;
        tally.below_floor += u64::from(alert.below_floor);
        tally.published += u64::from(*fate == Fate::Published && !alert.below_floor);
        for finding in &alert.findings {
            *tally.by_detection.entry(finding.detection.id).or_default() += 1;
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
