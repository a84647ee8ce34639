//! API Activity of CloudTrail, back in CloudTrail's shape.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::{Record, first};
use crate::source::fields::{Arn, any, get, list_of, str, text};
use crate::source::{Reading, cloudtrail};

pub(super) fn read(record: &Record<'_>) -> Reading {
    let Some(operation) = record.at(&["api"]).and_then(|api| str(api, "operation")) else {
        return record.unreadable("OCSF API Activity without api.operation");
    };
    cloudtrail::read(&cloudtrail_record(record, operation), record.envelope)
}

fn cloudtrail_record(record: &Record<'_>, operation: &str) -> Value {
    let (error, message) = failure(record);
    let source = record.at(&["src_endpoint"]).and_then(|it| first(it, &["ip", "domain", "hostname", "uid"]));
    let mut shaped = json!({
        "eventName": operation,
        "eventSource": record.at(&["api", "service", "name"]).filter(|name| name.is_string()),
        "eventID": record.text(&["metadata", "uid"]),
        "eventTime": record.time().map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        "awsRegion": record.region(),
        "recipientAccountId": record.account(),
        "requestID": record.text(&["api", "request", "uid"]),
        "errorCode": error,
        "errorMessage": message,
        "sourceIPAddress": source,
        "userAgent": record.text(&["http_request", "user_agent"]),
        "userIdentity": identity(record),
        "requestParameters": record.body(&["api", "request", "data"], &["requestParameters"]),
        "responseElements": record.body(&["api", "response", "data"], &["responseElements"]),
        "resources": resources(record),
    });
    // What is missing must look missing, not empty.
    if let Some(fields) = shaped.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    shaped
}

/// Error code and message; a failure that names neither is one nevertheless.
fn failure(record: &Record<'_>) -> (Option<String>, Option<String>) {
    let response = record.at(&["api", "response"]);
    let code = response.and_then(|it| first(it, &["error", "error_code"]));
    let code = code.or_else(|| record.extra(&["errorCode"]));
    let message = response.and_then(|it| first(it, &["error_message", "message"]));
    let message = message.or_else(|| record.extra(&["errorMessage"]));
    let failed = record.number(&["status_id"]) == Some(2)
        || record.text(&["status"]).is_some_and(|status| status.eq_ignore_ascii_case("failure"));
    let code = code.or_else(|| {
        let named = || first(record.raw, &["status_code", "status_detail"]);
        failed.then(|| named().unwrap_or_else(|| "UnknownError".to_owned()))
    });
    // A message beside a success is a remark, no error.
    let message = message.filter(|_| code.is_some());
    (code, message)
}

/// `userIdentity` from the actor, completed by what was left unmapped.
fn identity(record: &Record<'_>) -> Option<Value> {
    let actor = any(record.raw, &["actor", "identity"]);
    let user = actor.and_then(|actor| get(actor, "user"));
    let session = actor.and_then(|actor| get(actor, "session"));
    let of_user = |keys: &[&str]| first(user?, keys);
    let of_session = |keys: &[&str]| first(session?, keys);
    // 1.0 has the ARN in `uuid` and the unique id in `uid`; from 1.1 on it is `uid` and `uid_alt`.
    let ids: Vec<String> = ["uid", "uuid", "uid_alt"].iter().filter_map(|key| of_user(&[key])).collect();
    let is_arn = |id: &&String| Arn::parse(id).is_some();
    let account = user.and_then(|user| get(user, "account")).and_then(|account| text(account, "uid"));
    let unmapped = get(&record.unmapped, "userIdentity");
    let mut identity = json!({
        "type": unmapped.and_then(|it| text(it, "type")).or_else(|| of_user(&["type"])),
        "arn": ids.iter().find(is_arn),
        "principalId": ids.iter().find(|id| !is_arn(id)),
        "accountId": account.or_else(|| of_user(&["account_uid"])),
        "userName": of_user(&["name"]),
        "accessKeyId": of_user(&["credential_uid"]).or_else(|| of_session(&["credential_uid"])),
        "invokedBy": actor.and_then(|actor| first(actor, &["invoked_by"])),
        "identityProvider": actor.and_then(|actor| get(actor, "idp")).and_then(|idp| first(idp, &["name"])),
        "sessionContext": {
            "sessionIssuer": {"arn": of_session(&["issuer"])},
            "attributes": {"mfaAuthenticated": of_session(&["is_mfa", "mfa"])},
        },
    });
    if let Some(unmapped) = unmapped {
        complete(&mut identity, unmapped);
    }
    prune(&mut identity).then_some(identity)
}

/// Fills what is null or absent.
fn complete(value: &mut Value, from: &Value) {
    match (value, from) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, inner) in more {
                complete(fields.entry(key.clone()).or_insert(Value::Null), inner);
            }
        }
        (value, from) if value.is_null() => *value = from.clone(),
        _ => {}
    }
}

/// Takes out what is null or empty; whether anything is left.
fn prune(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => {
            let fields: &mut Map<String, Value> = fields;
            fields.retain(|_, inner| prune(inner));
            !fields.is_empty()
        }
        other => !other.is_null(),
    }
}

/// ARNs, under the key that CloudTrail gives them.
fn resources(record: &Record<'_>) -> Vec<Value> {
    let named = list_of(record.raw, "resources").into_iter();
    named.filter_map(|resource| Some(json!({"ARN": text(resource, "uid")?}))).collect()
}
