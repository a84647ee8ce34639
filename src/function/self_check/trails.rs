//! Without a trail that logs management events, EventBridge gets none of them.

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::types::{ReadWriteType, Trail};

use super::Checked;
use crate::aws::Failure;
use crate::severity::Severity;

const REMEDY: &str = "Have a trail log management events (at least the writing ones) in this region: without one, \
                      EventBridge gets none, and no launch or push is seen.";
const LOOK: &str = "aws cloudtrail describe-trails";
const GRANT: &str = "Let the function's role read the region's trails, or look at them by hand.";

/// Trails that are named.
const NAMED: usize = 5;

/// What one trail is good for.
enum State {
    Logs,
    Stopped,
    NoManagementEvents,
    Unknown(&'static str, Failure),
}

pub(super) async fn check(sdk: &SdkConfig, checked: &mut Checked) {
    let client = Client::new(sdk);
    let trails = match client.describe_trails().include_shadow_trails(true).send().await {
        Ok(answer) => answer.trail_list.unwrap_or_default(),
        Err(error) => {
            return checked.refused("trail", "cloudtrail:DescribeTrails", &Failure::of(&error), GRANT);
        }
    };
    let look = || Some(LOOK.to_owned());
    if trails.is_empty() {
        let text = "No CloudTrail trail covers this region.".to_owned();
        return checked.failed("trail-missing", Severity::High, text, REMEDY, look());
    }
    let (mut stopped, mut elsewhere, mut unknown) = (Vec::new(), Vec::new(), None);
    for trail in &trails {
        let name = crate::text::clean(trail.name().unwrap_or("unnamed"), 128);
        match state(&client, trail).await {
            State::Logs => {
                checked.passed.push(format!("the trail {name} logs management events"));
                return;
            }
            State::Stopped => stopped.push(name),
            State::NoManagementEvents => elsewhere.push(name),
            State::Unknown(call, failure) => unknown = Some((call, failure)),
        }
    }
    let named = |names: &[String]| names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if let Some((call, failure)) = unknown {
        checked.refused("trail", call, &failure, GRANT);
    } else if elsewhere.is_empty() {
        let text = format!("No trail of this region logs: {} is stopped.", named(&stopped));
        checked.failed("trail-not-logging", Severity::High, text, REMEDY, look());
    } else {
        let text = format!(
            "No trail of this region logs writing management events: {} does not.",
            named(&elsewhere)
        );
        checked.failed("trail-without-management-events", Severity::High, text, REMEDY, look());
    }
}

async fn state(client: &Client, trail: &Trail) -> State {
    // A trail of another region, or of the organization, is known by its ARN alone.
    let name = trail.trail_arn().or(trail.name()).unwrap_or_default();
    match client.get_trail_status().name(name).send().await {
        Ok(status) if status.is_logging == Some(true) => {}
        Ok(_) => return State::Stopped,
        Err(error) => return State::Unknown("cloudtrail:GetTrailStatus", Failure::of(&error)),
    }
    if trail.has_custom_event_selectors() != Some(true) {
        return State::Logs;
    }
    match client.get_event_selectors().trail_name(name).send().await {
        Ok(selectors) if logs_writes(&selectors) => State::Logs,
        Ok(_) => State::NoManagementEvents,
        Err(error) => State::Unknown("cloudtrail:GetEventSelectors", Failure::of(&error)),
    }
}

/// Whether one of the selectors takes management events that write.
fn logs_writes(selectors: &GetEventSelectorsOutput) -> bool {
    let basic = selectors.event_selectors().iter().any(|selector| {
        selector.include_management_events() != Some(false)
            && selector.read_write_type() != Some(&ReadWriteType::ReadOnly)
    });
    let advanced = selectors.advanced_event_selectors().iter().any(|selector| {
        let takes = |name: &str, value: &str| {
            let mut fields = selector.field_selectors().iter().filter(|field| field.field() == name);
            fields.any(|field| field.equals().iter().any(|one| one == value))
        };
        takes("eventCategory", "Management") && !takes("readOnly", "true")
    });
    basic || advanced
}
