//! Calls that change what keeps bad images out.
//!
//! A call that failed is told too, with its error: nothing changed, but somebody tried.

use serde_json::Value;

use super::Record;
use crate::activity::{Action, Activity, GuardRail, GuardRailChange};
use crate::source::fields::{any, at, find, flag, get, list, list_of, text};

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

fn criteria(request: Option<&Value>) -> GuardRailChange {
    let criteria = request
        .and_then(|request| any(request, &["imageCriteria", "imageCriterion", "imageCriterionSet"]))
        .map(list)
        .unwrap_or_default();
    let mut providers: Vec<String> = Vec::new();
    for criterion in &criteria {
        let named = any(criterion, &["imageProviders", "imageProvider", "imageProviderSet"]);
        for provider in named.map(list).unwrap_or_default().into_iter().filter_map(provider) {
            if !providers.contains(&provider) {
                providers.push(provider);
            }
        }
    }
    GuardRailChange::AllowedImagesCriteria { providers, criteria: criteria.len() }
}

/// A provider is an account id or a word; an id may have been written as a number.
fn provider(value: &Value) -> Option<String> {
    match value.as_u64() {
        Some(number) => Some(format!("{number:012}")),
        None => crate::source::fields::scalar(value),
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

fn changed(record: &Record<'_>, change: GuardRailChange, target: String) -> Vec<Activity> {
    let failed = record.error.clone();
    vec![record.by_caller(Action::GuardRailChanged(GuardRail { change, target, failed }))]
}
