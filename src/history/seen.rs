//! Marks of events that have arrived: what a sweep of CloudTrail's event history compares with.
//!
//! A mark is written in the same transaction as everything else that an event leaves, and read in the
//! same request: it costs no round trip.

use super::{Key, Kind};
use crate::activity::{Action, Activity, Cloud, LaunchOutcome};

/// The marks of a launch or a push: its event, and the launch itself, by which instances are known too.
/// Nothing for all other activities, which no sweep looks for.
pub fn keys(activity: &Activity) -> Vec<Key> {
    if activity.cloud != Cloud::Aws {
        return Vec::new();
    }
    let key = |id| Key::new(&activity.account, &activity.region, Kind::Seen, id);
    match &activity.action {
        Action::ImageLaunched(launch) if launch.outcome != LaunchOutcome::DryRun => {
            let started = (launch.outcome == LaunchOutcome::Succeeded)
                .then(|| self::launch(launch.reservation.as_deref(), launch.client_token.as_deref()));
            std::iter::once(event(&activity.id)).chain(started.flatten()).map(key).collect()
        }
        Action::ImagePushed(_) => vec![key(event(&activity.id))],
        _ => Vec::new(),
    }
}

/// An event, by its own id.
pub fn event(id: &str) -> String {
    format!("event/{id}")
}

/// A launch, by its reservation; where the response was left out for its size, by its client token.
pub fn launch(reservation: Option<&str>, client_token: Option<&str>) -> Option<String> {
    let named =
        |kind: &str, id: Option<&str>| id.filter(|id| !id.is_empty()).map(|id| format!("launch/{kind}/{id}"));
    named("reservation", reservation).or_else(|| named("token", client_token))
}
