//! EC2 calls about instances that exist already, and searches for images.

use serde_json::Value;

use super::Record;
use crate::activity::{Action, Activity, ImageSearch, InstanceChange, UserDataChange};
use crate::source::fields::{any, get, list_of, scalar, str, text, texts};

/// `StopInstances` and `StartInstances`.
pub(super) fn switched(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let named = |body: Option<&Value>| -> Vec<String> {
        let items = body.map(|body| list_of(body, "instancesSet")).unwrap_or_default();
        items.into_iter().filter_map(|item| text(item, "instanceId").or_else(|| scalar(item))).collect()
    };
    let mut instances = named(record.request);
    for instance in named(record.response) {
        if !instances.contains(&instance) {
            instances.push(instance);
        }
    }
    let change = InstanceChange { instances, failed: record.error.clone() };
    vec![record.by_caller(if record.operation == "StopInstances" {
        Action::InstanceStopped(change)
    } else {
        Action::InstanceStarted(change)
    })]
}

/// `ModifyInstanceAttribute`, where it is user data that was written.
pub(super) fn modified(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() || record.request.is_some_and(is_other_attribute) {
        return Vec::new();
    }
    let instance = record.asked(&["instanceId"]).unwrap_or_default();
    let change = UserDataChange { instance, failed: record.error.clone() };
    vec![record.by_caller(Action::UserDataChanged(change))]
}

/// Every attribute but user data. One call changes one attribute: `{"userData": ...}`, or the older
/// `{"attribute": "userData", "value": ...}`.
const OTHER_ATTRIBUTES: [&str; 15] = [
    "instanceType",
    "kernel",
    "ramdisk",
    "disableApiTermination",
    "instanceInitiatedShutdownBehavior",
    "rootDeviceName",
    "blockDeviceMapping",
    "productCodes",
    "sourceDestCheck",
    "groupSet",
    "ebsOptimized",
    "sriovNetSupport",
    "enaSupport",
    "enclaveOptions",
    "disableApiStop",
];

/// What does not say which attribute was changed may have been user data.
fn is_other_attribute(request: &Value) -> bool {
    if get(request, "userData").is_some() {
        return false;
    }
    match str(request, "attribute") {
        Some(name) => OTHER_ATTRIBUTES.iter().any(|other| other.eq_ignore_ascii_case(name)),
        None => any(request, &OTHER_ATTRIBUTES).is_some(),
    }
}

/// `DescribeImages` by name. Other searches are somebody looking at images they know of.
pub(super) fn searched(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() || record.dry_run() {
        return Vec::new();
    }
    let nothing = Value::Null;
    let request = record.request.unwrap_or(&nothing);
    let filters = list_of(request, "filterSet");
    // CloudTrail always logs the filters, `{}` where there were none. Anything else tells nothing.
    let none = get(request, "filterSet").and_then(Value::as_object).is_some_and(|set| set.is_empty());
    let name = |filter: &Value| str(filter, "name").map(str::to_ascii_lowercase);
    let other = |name: String| name != "name" && name.starts_with(|it: char| it.is_ascii_alphabetic());
    let by_name = filters.iter().any(|filter| !name(filter).is_some_and(other));
    if none || !(filters.is_empty() || by_name) {
        return Vec::new();
    }
    let names = filters.iter().filter(|filter| name(filter).as_deref() == Some("name"));
    let names = names.flat_map(|filter| values(filter)).collect();
    let bound = |filter: &Value| {
        matches!(name(filter).as_deref(), Some("owner-id" | "owner-alias" | "image-id"))
            // `owner-id=*` is everybody.
            && !values(filter).is_empty()
            && !values(filter).iter().any(|value| value.contains(['*', '?']))
    };
    let bounded = filters.iter().any(|filter| bound(filter))
        || ["ownersSet", "imagesSet"].iter().any(|key| !list_of(request, key).is_empty());
    vec![record.by_caller(Action::ImagesSearched(ImageSearch { names, bounded }))]
}

fn values(filter: &Value) -> Vec<String> {
    let listed =
        list_of(filter, "valueSet").into_iter().filter_map(|it| text(it, "value").or_else(|| scalar(it)));
    let mut values: Vec<String> = listed.collect();
    values.extend(texts(filter, "values"));
    values
}
