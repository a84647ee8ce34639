//! EventBridge events: the envelope, and which reader its detail goes to.

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{account, any, get, str, text, texts};
use super::{
    Reading, azure, cloudtrail, ecr_events, ecs_task, gcp, guardduty, inspector, ocsf, pull_through,
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
    let named = account(event, "account");
    // An event that a rule wrote to a log group, or a trail's folder, cannot be of another account than that is.
    if let Some(reason) = outer.disagreement(named.as_deref(), None) {
        return Reading::unreadable(&outer.place, reason);
    }
    envelope.owner = named.clone().or_else(|| outer.owner.clone());
    envelope.home = text(event, "region").or_else(|| outer.home.clone());
    envelope.account = named.or_else(|| outer.account.clone());
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
    // The other clouds' logs, put on the bus by whoever forwards them. Nothing else is believed of these sources.
    match str(event, "source") {
        Some("imagewarden.azure") => {
            return foreign(detail, &envelope, azure::is_record, azure::read, "imagewarden.azure", "Azure");
        }
        Some("imagewarden.gcp") => {
            return foreign(detail, &envelope, gcp::is_record, gcp::read, "imagewarden.gcp", "Google Cloud");
        }
        _ => {}
    }
    match str(event, "detail-type") {
        Some(kind) if is_cloudtrail(kind) => cloudtrail::read(detail, &envelope),
        Some("ECR Image Scan") => ecr_events::scan(detail, &envelope),
        Some("ECR Scan Resource Change") => ecr_events::resource_change(detail, &envelope),
        Some("ECR Replication Action") => ecr_events::replicated(detail, &envelope),
        Some("ECR Pull Through Cache Action") => pull_through::read(detail, &envelope),
        Some("ECS Task State Change") => ecs_task::read(detail, &envelope),
        Some("GuardDuty Finding") => guardduty::read(detail, &envelope),
        Some("Inspector2 Scan") => inspector::scan(detail, &envelope),
        Some("Inspector2 Finding") => inspector::finding(detail, &envelope),
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

type Read = fn(&Value, &Envelope<'_>) -> Reading;

/// Records of one cloud: one, or a list of them as its exports hold (`records`, `value`).
fn foreign(
    detail: &Value,
    envelope: &Envelope<'_>,
    is_record: fn(&Value) -> bool,
    read: Read,
    source: &str,
    cloud: &str,
) -> Reading {
    let one = |value: &Value, envelope: &Envelope<'_>| {
        if is_record(value) {
            return read(value, envelope);
        }
        let reason = format!("an event of source {source} whose detail is no record of {cloud}");
        Reading::unreadable(&envelope.place, reason)
    };
    for key in ["records", "value"] {
        let Some(elements) = get(detail, key).and_then(Value::as_array) else { continue };
        if elements.is_empty() {
            return Reading::ignored();
        }
        let mut reading = Reading::default();
        for (index, element) in elements.iter().enumerate() {
            reading.add(one(element, &envelope.inside(&format!("{key}[{index}]"))));
        }
        return reading;
    }
    one(detail, envelope)
}

/// `AWS API Call via CloudTrail` and its siblings for the console, services and sign-ins.
fn is_cloudtrail(kind: &str) -> bool {
    kind.starts_with("AWS ") && kind.ends_with(" via CloudTrail")
}
