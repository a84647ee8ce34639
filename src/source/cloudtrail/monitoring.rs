//! Calls that stop what watches: trails, rules, detectors, and the parts of Imagewarden itself.

use std::sync::OnceLock;

use serde_json::Value;

use super::Record;
use crate::activity::{Action, Activity, Monitor, MonitoringChange, PolicyChange};
use crate::source::fields::{flag, get, list, objects, str, text, texts};

/// The calls that are read, by service.
pub(in crate::source) const OPERATIONS: [(&str, &str); 33] = [
    ("cloudtrail", "StopLogging"),
    ("cloudtrail", "DeleteTrail"),
    ("cloudtrail", "UpdateTrail"),
    ("cloudtrail", "PutEventSelectors"),
    ("events", "DisableRule"),
    ("events", "DeleteRule"),
    ("events", "RemoveTargets"),
    ("events", "PutRule"),
    ("events", "PutTargets"),
    ("guardduty", "DeleteDetector"),
    ("guardduty", "UpdateDetector"),
    ("guardduty", "DisassociateFromMasterAccount"),
    ("guardduty", "DisassociateFromAdministratorAccount"),
    ("guardduty", "DisassociateMembers"),
    ("guardduty", "StopMonitoringMembers"),
    ("guardduty", "DeleteMembers"),
    ("inspector2", "Disable"),
    ("inspector2", "DisassociateMember"),
    ("inspector2", "DisableDelegatedAdminAccount"),
    ("lambda", "DeleteFunction20150331"),
    ("lambda", "UpdateFunctionCode20150331v2"),
    ("lambda", "UpdateFunctionConfiguration20150331v2"),
    ("lambda", "PutFunctionConcurrency20171031"),
    ("lambda", "DeleteEventSourceMapping20150331"),
    ("lambda", "RemovePermission20150331v2"),
    ("sns", "DeleteTopic"),
    ("sns", "Unsubscribe"),
    ("dynamodb", "DeleteTable"),
    ("ssm", "PutParameter"),
    ("ssm", "DeleteParameter"),
    ("ssm", "DeleteParameters"),
    ("s3", "PutObject"),
    ("s3", "DeleteObject"),
];

/// Names by which the function's own parts are known, beside those that carry the project's name.
static OWN: OnceLock<Vec<String>> = OnceLock::new();

/// Tells which names belong to this deployment: its function, topics, table, policy. The function says them once,
/// at its start, since its stack may have any name.
pub fn watch_over(names: Vec<String>) {
    // Said twice, the first holds.
    let _ = OWN.set(names);
}

/// Whether a resource is a part of Imagewarden.
fn is_own(name: &str) -> bool {
    let known = |own: &String| {
        name == own || name.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with(['-', ':', '/']))
    };
    name.to_ascii_lowercase().contains("imagewarden")
        || OWN.get().is_some_and(|names| names.iter().any(known))
}

/// The service whose call this is, where it is one that is read.
pub(super) fn service_of(source: Option<&str>, operation: &str) -> Option<&'static str> {
    let is = |of: &str| source.is_none_or(|source| source == of);
    OPERATIONS.iter().find(|(of, known)| *known == operation && is(of)).map(|(of, _)| *of)
}

/// A change that turns something off, if the call is one.
pub(super) fn read(record: &Record<'_>, service: &'static str) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    match service {
        "ssm" | "s3" => policy(record, service),
        _ => change(record, service).map(|change| told(record, change)).into_iter().collect(),
    }
}

fn told(record: &Record<'_>, (monitor, target, effect): (Monitor, String, &str)) -> Activity {
    let change =
        MonitoringChange { monitor, target, effect: effect.to_owned(), failed: record.error.clone() };
    record.by_caller(Action::MonitoringChanged(change))
}

fn change<'a>(record: &Record<'_>, service: &str) -> Option<(Monitor, String, &'a str)> {
    let asked = |keys: &[&str]| keys.iter().find_map(|key| record.asked(&[key])).unwrap_or_default();
    let own = |monitor, name: String, effect| {
        // A record that lost the name may have been about an own part.
        (name.is_empty() || is_own(&name)).then_some((monitor, name, effect))
    };
    let untold = record.request.and_then(Value::as_object).is_none_or(|request| request.is_empty());
    // A deployment of the stack writes its parts anew. Whoever may deploy may also switch off, and what is
    // deleted or disabled counts whoever did it.
    let deployed = record
        .caller()
        .is_some_and(|caller| caller.invoked_by.as_deref() == Some("cloudformation.amazonaws.com"));
    match (service, record.operation) {
        ("cloudtrail", "StopLogging") => Some((Monitor::Trail, asked(&["name"]), "stopped logging")),
        ("cloudtrail", "DeleteTrail") => Some((Monitor::Trail, asked(&["name"]), "was deleted")),
        ("cloudtrail", "UpdateTrail") => {
            let off = |key: &str| record.request.is_some_and(|request| flag(request, key) == Some(false));
            let narrowed =
                off("isMultiRegionTrail") || off("includeGlobalServiceEvents") || off("isOrganizationTrail");
            (narrowed || untold).then(|| {
                (Monitor::Trail, asked(&["name"]), "was narrowed to fewer regions, services or accounts")
            })
        }
        ("cloudtrail", _) => {
            let stopped = record.request.is_some_and(stops_management_events);
            (stopped || untold).then(|| {
                (Monitor::Trail, asked(&["trailName", "name"]), "no longer logs management events that write")
            })
        }
        ("events", "DisableRule") => own(Monitor::Rule, asked(&["name"]), "was disabled"),
        ("events", "DeleteRule") => own(Monitor::Rule, asked(&["name"]), "was deleted"),
        ("events", "RemoveTargets") => own(Monitor::Rule, asked(&["rule"]), "lost its targets"),
        ("events", "PutTargets") if !deployed => own(Monitor::Rule, asked(&["rule"]), "got other targets"),
        ("events", "PutRule") => {
            let off = asked(&["state"]).eq_ignore_ascii_case("DISABLED");
            let effect = if off { "was disabled" } else { "got another pattern" };
            own(Monitor::Rule, asked(&["name"]), effect).filter(|_| off || !deployed)
        }
        ("guardduty", "UpdateDetector") => {
            let off = record.request.is_some_and(|request| flag(request, "enable") == Some(false));
            (off || untold).then(|| (Monitor::GuardDuty, asked(&["detectorId"]), "was suspended"))
        }
        ("guardduty", "DeleteDetector") => Some((Monitor::GuardDuty, asked(&["detectorId"]), "was deleted")),
        ("guardduty", "DisassociateFromMasterAccount" | "DisassociateFromAdministratorAccount") => {
            Some((Monitor::GuardDuty, asked(&["detectorId"]), "left its administrator account"))
        }
        ("guardduty", _) => {
            Some((Monitor::GuardDuty, asked(&["detectorId"]), "no longer watches some member accounts"))
        }
        ("inspector2", "Disable") => Some((Monitor::Inspector, record.account.clone(), "was disabled")),
        ("inspector2", _) => {
            Some((Monitor::Inspector, record.account.clone(), "no longer watches some member accounts"))
        }
        ("lambda", operation) => {
            let name = asked(&["functionName"]);
            let name = name.rsplit_once(":function:").map_or(name.as_str(), |(_, name)| name).to_owned();
            let zero =
                record.request.and_then(|request| text(request, "reservedConcurrentExecutions")).as_deref()
                    == Some("0");
            let effect = match operation {
                "DeleteFunction20150331" => "was deleted",
                "PutFunctionConcurrency20171031" if zero || untold => "may not run any more",
                "DeleteEventSourceMapping20150331" => "gets no more messages from its queue",
                "RemovePermission20150331v2" => "may not be called by a source any more",
                "UpdateFunctionCode20150331v2" if !deployed => "got other code",
                "UpdateFunctionConfiguration20150331v2" if !deployed => "got another configuration",
                _ => return None,
            };
            own(Monitor::Own, name, effect)
        }
        ("sns", "DeleteTopic") => own(Monitor::Own, asked(&["topicArn"]), "was deleted").map(short),
        ("sns", _) => own(Monitor::Own, asked(&["subscriptionArn"]), "was unsubscribed").map(short),
        ("dynamodb", _) => own(Monitor::Own, asked(&["tableName"]), "was deleted"),
        _ => None,
    }
}

/// A topic or subscription by its name, without the rest of its ARN.
fn short((monitor, arn, effect): (Monitor, String, &str)) -> (Monitor, String, &str) {
    let name = arn.splitn(6, ':').nth(5).unwrap_or(&arn).to_owned();
    (monitor, name, effect)
}

/// Whether selectors leave no management event that writes.
fn stops_management_events(request: &Value) -> bool {
    let basic = get(request, "eventSelectors").map(list).unwrap_or_default();
    let advanced = get(request, "advancedEventSelectors").map(list).unwrap_or_default();
    if basic.is_empty() && advanced.is_empty() {
        // Selectors that the event does not show say nothing.
        return false;
    }
    let logs = |selector: &&Value| {
        flag(selector, "includeManagementEvents") != Some(false)
            && str(selector, "readWriteType").is_none_or(|kind| !kind.eq_ignore_ascii_case("ReadOnly"))
    };
    let logs_advanced = |selector: &&Value| {
        let fields = objects(selector, "fieldSelectors");
        let equals = |name: &str, value: &str| {
            fields.iter().any(|field| {
                str(field, "field").is_some_and(|it| it.eq_ignore_ascii_case(name))
                    && texts(field, "equals").iter().any(|it| it.eq_ignore_ascii_case(value))
            })
        };
        equals("eventCategory", "Management") && !equals("readOnly", "true")
    };
    !basic.iter().any(logs) && !advanced.iter().any(logs_advanced)
}

/// The policy's parameter or object was written or deleted.
fn policy(record: &Record<'_>, service: &str) -> Vec<Activity> {
    let request = record.request;
    let named: Vec<String> = if service == "s3" {
        let bucket = record.asked(&["bucketName"]).unwrap_or_default();
        let key = record.asked(&["key"]).unwrap_or_default();
        vec![format!("s3://{bucket}/{key}")]
    } else {
        let one = record.asked(&["name"]);
        let many = request.map(|request| texts(request, "names")).unwrap_or_default();
        one.into_iter().chain(many).map(|name| format!("ssm:{name}")).collect()
    };
    let deleted = record.operation.starts_with("Delete");
    let change = |location: String| PolicyChange {
        location,
        changes: Vec::new(),
        more: 0,
        deleted,
        failed: record.error.clone(),
    };
    // A record that lost the name may have been about the policy.
    let unnamed = if service == "s3" { "s3:///" } else { "ssm:" };
    let named = if named.is_empty() { vec![unnamed.to_owned()] } else { named };
    let own = named.into_iter().filter(|location| location == unnamed || is_policy(location));
    own.map(|location| record.by_caller(Action::PolicyChanged(change(location)))).collect()
}

/// Where the policy is kept: as the function was told, or by a name that says so.
fn is_policy(location: &str) -> bool {
    let plain = location.to_ascii_lowercase();
    OWN.get().is_some_and(|names| names.iter().any(|name| name == location))
        || (plain.contains("imagewarden") && plain.contains("policy"))
}
