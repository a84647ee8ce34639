//! Calls that change what keeps bad images out.
//!
//! A call that failed is told too, with its error: nothing changed, but somebody tried.

use serde_json::Value;

use super::{Record, access};
use crate::activity::{Action, Activity, Criterion, GuardRail, GuardRailChange};
use crate::source::fields::{account, any, at, find, flag, get, list, list_of, objects, scalar, text};

/// EC2's Allowed AMIs settings, of an account in a region.
pub(super) fn allowed_images(record: &Record<'_>) -> Vec<Activity> {
    let change = match record.operation {
        "DisableAllowedImagesSettings" => GuardRailChange::AllowedImagesDisabled,
        "EnableAllowedImagesSettings" => {
            let state = |body: Option<&Value>| find(body?, "allowedImagesSettingsState", |_| true);
            let state = state(record.request).or_else(|| state(record.response));
            GuardRailChange::AllowedImagesEnabled(state.unwrap_or_default())
        }
        _ => criteria(record.request),
    };
    changed(record, change, record.account.clone())
}

/// Criteria are alternatives: each is kept by itself.
fn criteria(request: Option<&Value>) -> GuardRailChange {
    let criteria = request
        .and_then(|request| any(request, &["imageCriteria", "imageCriterion", "imageCriterionSet"]))
        .map(list)
        .unwrap_or_default();
    GuardRailChange::AllowedImagesCriteria(criteria.into_iter().map(criterion).collect())
}

fn criterion(criterion: &Value) -> Criterion {
    const PROVIDERS: [&str; 3] = ["imageProviders", "imageProvider", "imageProviderSet"];
    const WATERMARKS: [&str; 3] = ["imageWatermarks", "imageWatermark", "imageWatermarkSet"];
    let named = |keys: &[&str]| any(criterion, keys).map(list).unwrap_or_default();
    let watermark = |value: &Value| text(value, "watermarkKey").or_else(|| scalar(value));
    let known = |key: &str| {
        // The number that the wrapped form gives each element of a list.
        let number = key.eq_ignore_ascii_case("tag");
        number || PROVIDERS.iter().chain(&WATERMARKS).any(|name| name.eq_ignore_ascii_case(key))
    };
    let parts = criterion.as_object().into_iter().flatten();
    Criterion {
        providers: named(&PROVIDERS).into_iter().filter_map(provider).collect(),
        watermarks: named(&WATERMARKS).into_iter().filter_map(watermark).collect(),
        others: parts
            .filter(|(key, value)| !known(key) && !value.is_null())
            .map(|(key, _)| key.clone())
            .collect(),
    }
}

/// A provider is an account id or a word; an id may have been written as a number.
fn provider(value: &Value) -> Option<String> {
    match value.as_u64() {
        Some(number) => Some(format!("{number:012}")),
        None => scalar(value),
    }
}

/// `PutImageScanningConfiguration` of a repository.
pub(super) fn scan_on_push(record: &Record<'_>, repository: String) -> Vec<Activity> {
    let setting = |body: Option<&Value>| flag(at(body?, &["imageScanningConfiguration"])?, "scanOnPush");
    let on = setting(record.request).or_else(|| setting(record.response));
    changed(record, GuardRailChange::ScanOnPush(on), repository)
}

/// `PutRegistryScanningConfiguration`. The response tells what holds now; the request may name no rules.
pub(super) fn registry_scanning(record: &Record<'_>, registry: String) -> Vec<Activity> {
    let now = record.response.and_then(|response| get(response, "registryScanningConfiguration"));
    let bodies = [now, record.request];
    let scan_type = bodies.into_iter().flatten().find_map(|body| text(body, "scanType"));
    let told = bodies.into_iter().flatten().find_map(|body| get(body, "rules"));
    let rules = match told {
        Some(rules) => list(rules).into_iter().map(rule).collect(),
        // Rules that are not told are not the same as no rules.
        None => vec![(String::new(), Vec::new())],
    };
    changed(record, GuardRailChange::RegistryScanning { scan_type, rules }, registry)
}

/// Frequency and repository filters.
fn rule(rule: &Value) -> (String, Vec<String>) {
    let filters = list_of(rule, "repositoryFilters").into_iter().filter_map(|it| text(it, "filter"));
    (text(rule, "scanFrequency").unwrap_or_default(), filters.collect())
}

/// `PutImageTagMutability` of a repository.
pub(super) fn tag_mutability(record: &Record<'_>, repository: String) -> Vec<Activity> {
    let setting = record.asked(&["imageTagMutability"]).or_else(|| record.answered(&["imageTagMutability"]));
    changed(record, GuardRailChange::TagMutability(setting.unwrap_or_default()), repository)
}

/// `PutRegistryPolicy` and `SetRepositoryPolicy`. The response repeats the policy.
pub(super) fn access(record: &Record<'_>, registry: bool, target: String) -> Vec<Activity> {
    let text = record.asked(&["policyText"]).or_else(|| record.answered(&["policyText"]));
    let grants = text.as_deref().and_then(access::grants);
    changed(record, GuardRailChange::AccessGranted { registry, grants }, target)
}

/// `CreatePullThroughCacheRule` and `UpdatePullThroughCacheRule`.
pub(super) fn pull_through_cache(record: &Record<'_>, registry: String) -> Vec<Activity> {
    let told = |key: &str| record.asked(&[key]).or_else(|| record.answered(&[key])).unwrap_or_default();
    let (upstream, prefix) = (told("upstreamRegistryUrl"), told("ecrRepositoryPrefix"));
    changed(record, GuardRailChange::PullThroughCache { upstream, prefix }, registry)
}

/// `PutReplicationConfiguration`.
pub(super) fn replication(record: &Record<'_>, registry: String) -> Vec<Activity> {
    let bodies = [record.request, record.response];
    let told = bodies.into_iter().flatten().find_map(|body| get(body, "replicationConfiguration"));
    let rules = told.map(|configuration| objects(configuration, "rules")).unwrap_or_default();
    let mut to: Vec<String> = Vec::new();
    for destination in rules.into_iter().flat_map(|rule| objects(rule, "destinations")) {
        let account = account(destination, "registryId").unwrap_or_default();
        if !to.contains(&account) {
            to.push(account);
        }
    }
    changed(record, GuardRailChange::ReplicationTo(to), registry)
}

/// `PutSigningConfiguration` and `DeleteSigningConfiguration`.
pub(super) fn signing(record: &Record<'_>, registry: String) -> Vec<Activity> {
    let profiles = (record.operation != "DeleteSigningConfiguration").then(|| {
        let bodies = [record.request, record.response];
        let told = bodies.into_iter().flatten().find_map(|body| get(body, "signingConfiguration"));
        let rules = told.map(|configuration| objects(configuration, "rules")).unwrap_or_default();
        rules.into_iter().filter_map(|rule| text(rule, "signingProfileArn")).collect()
    });
    changed(record, GuardRailChange::Signing(profiles), registry)
}

/// `DisableImageBlockPublicAccess` and `DetachImageWatermark`.
pub(super) fn of_images(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    if record.operation == "DisableImageBlockPublicAccess" {
        return changed(record, GuardRailChange::PublicImagesUnblocked, record.account.clone());
    }
    let image = record.asked(&["imageId"]).unwrap_or_default();
    let key = record.asked(&["watermarkKey"]).unwrap_or_default();
    changed(record, GuardRailChange::WatermarkDetached { image: image.clone(), key }, image)
}

fn changed(record: &Record<'_>, change: GuardRailChange, target: String) -> Vec<Activity> {
    let failed = record.error.clone();
    vec![record.by_caller(Action::GuardRailChanged(GuardRail { change, target, failed }))]
}
