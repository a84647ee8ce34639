//! What the sweeps of the last two days found: launches and pushes that exist arrive as events.

use chrono::{DateTime, TimeDelta, Utc};

use super::Checked;
use crate::function::reply::Failed;
use crate::function::sweep::{self, CALLS, INSTANCES};
use crate::history::{Key, Kind, Store};
use crate::severity::Severity;

/// How far a sweep may be behind.
const LATE: TimeDelta = TimeDelta::hours(6);

const ARRIVE: &str = "Look whether the rules of the stack are enabled, whether its trail logs this event, and whether \
                      the function fails. The sweep has judged what it found, only later.";
const SWEEP: &str = "Look whether the sweep's schedule is enabled and what the function's log says of it; a busy account \
                     needs it more often.";

/// # Errors
/// When history does not answer.
pub(super) async fn check<S: Store>(
    store: &S,
    account: &str,
    region: &str,
    now: DateTime<Utc>,
    checked: &mut Checked,
) -> Result<(), Failed> {
    let names = CALLS.iter().map(|(call, _)| *call).chain([INSTANCES]);
    let keys: Vec<Key> = names.map(|name| Key::new(account, region, Kind::Sweep, name)).collect();
    let records = sweep::load(store, &keys).await?;
    let mut late = Vec::new();
    for key in &keys {
        let record = records.iter().find(|record| record.key == *key).cloned();
        let Some(cursor) = record.and_then(|record| record.fresh(now).cursor) else {
            checked.notes.push(format!("no sweep of {} has been made so far", key.id));
            continue;
        };
        if cursor.behind(now) > LATE {
            late.push(format!("{} since {}", key.id, cursor.covered.format("%Y-%m-%d %H:%M UTC")));
        }
        let found = cursor.lately(now.date_naive());
        let all = found.arrived.saturating_add(found.missed);
        // Instances are compared with what has arrived of launches, which is counted there.
        if key.id == INSTANCES || all == 0 {
            continue;
        }
        if found.missed > found.arrived {
            let code = if key.id == "PutImage" { "pushes-not-arriving" } else { "launches-not-arriving" };
            let text = format!(
                "Of {all} {} events in CloudTrail's event history of today and yesterday, {} did not arrive through \
                 EventBridge.",
                key.id, found.missed
            );
            checked.failed(code, Severity::High, text, ARRIVE, None);
        } else {
            checked.passed.push(format!("{} of {all} {} events arrived", found.arrived, key.id));
        }
    }
    if !late.is_empty() {
        let text = format!("The sweep is behind: {}.", late.join(", "));
        checked.failed("sweep-behind", Severity::Medium, text, SWEEP, None);
    }
    Ok(())
}
