//! EventBridge events: the envelope, and which reader its detail goes to.

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{account, any, get, str, text, texts};
use super::{
    Reading, azure, cloudtrail, ecr_events, ecs_task, gcp, guardduty, inspector, ocsf, pull_through, wrap,
};

/// Whether this is an EventBridge event, also one that lost a field.
pub(super) fn is_event(value: &Value) -> bool {
    let has = |key| get(value, key).is_some();
    has("detail-type") || (has("detail") && (has("source") || has("time") || has("id")))
}

/// Whether this is an EventBridge event and lost nothing that tells it from everything else.
pub(super) fn is_plain(value: &Value) -> bool {
    let is = |key: &str, test: fn(&Value) -> bool| value.get(key).is_some_and(test);
    is("detail-type", Value::is_string) && is("source", Value::is_string) && is("detail", Value::is_object)
}

pub(super) fn read(event: &Value, outer: &Envelope<'_>) -> Reading {
    let mut envelope = outer.inside("detail");
    envelope.id = text(event, "id");
    envelope.account = account(event, "account").or_else(|| outer.account.clone());
    envelope.region = text(event, "region").or_else(|| outer.region.clone());
    envelope.time = str(event, "time").and_then(|time| outer.time_of(time));
    envelope.resources = texts(event, "resources");
    let Some(detail) = get(event, "detail") else {
        return Reading::unreadable(&outer.place, "EventBridge event without detail");
    };
    // Input transformers and hand-made events carry the detail as a string.
    let parsed;
    let detail = match detail {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                parsed = value;
                &parsed
            }
            Err(error) => {
                return Reading::unreadable(
                    &envelope.place,
                    format!("EventBridge detail is a string that is no JSON: {error}"),
                );
            }
        },
        other => other,
    };
    if !detail.is_object() {
        return Reading::unreadable(&envelope.place, "EventBridge detail is no object");
    }
    match str(event, "detail-type") {
        Some(kind) if is_cloudtrail(kind) => cloudtrail::read(detail, &envelope),
        Some("ECR Image Scan") => ecr_events::scan(detail, &envelope),
        Some("ECR Scan Resource Change") => ecr_events::resource_change(detail, &envelope),
        Some("ECR Pull Through Cache Action") => pull_through::read(detail, &envelope),
        Some("ECS Task State Change") => ecs_task::read(detail, &envelope),
        Some("GuardDuty Finding") => guardduty::read(detail, &envelope),
        Some("Inspector2 Scan") => inspector::scan(detail, &envelope),
        Some("Inspector2 Finding") => inspector::finding(detail, &envelope),
        // The other clouds' logs, put on the bus by whoever forwards them.
        _ if matches!(str(event, "source"), Some("imagewarden.azure" | "imagewarden.gcp")) => {
            wrap::read(detail, &envelope)
        }
        // Events of one's own making may carry a record of any format.
        _ if ocsf::is_record(detail) => ocsf::read(detail, &envelope),
        _ if azure::is_record(detail) => azure::read(detail, &envelope),
        _ if gcp::is_record(detail) => gcp::read(detail, &envelope),
        // `ECR Image Action` names no actor and raises nothing by itself; CloudTrail's `PutImage` does.
        Some(_) => Reading::ignored(),
        None if any(detail, &["eventName", "userIdentity"]).is_some() => cloudtrail::read(detail, &envelope),
        None => Reading::unreadable(&outer.place, "EventBridge event without detail-type"),
    }
}

/// `AWS API Call via CloudTrail` and its siblings for the console, services and sign-ins.
fn is_cloudtrail(kind: &str) -> bool {
    kind.starts_with("AWS ") && kind.ends_with(" via CloudTrail")
}
