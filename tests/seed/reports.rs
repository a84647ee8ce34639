//! What public threat reports add to the published rules.

use serde_json::{Value, json};

use super::Case;
use super::build::*;

/// Official names under a foreign namespace, and near misses.
pub fn seed_e_lookalike_images() -> Vec<Case> {
    let pod = |image: &'static str| {
        vec![delivery(AUDIT, &[Pod::of(image).created("shop", "2026-03-06T09:00:01Z")])]
    };
    const BOTH: &[&str] = &["container-image-lookalike", "container-image-not-approved"];
    vec![
        Case::fires("an official name in a stranger's namespace", pod("vibersastra/golang:1.24"), BOTH)
            .severity("high"),
        Case::fires("a namespace like an official name", pod("alpineos/dockerapi:1"), BOTH),
        Case::fires("one slip away", pod("evil/pyhton:3"), BOTH),
        Case::fires("the official image is only unlisted", pod("golang:1.24"), &BOTH[1..]),
        Case::quiet(
            "a mirror of the official image in the own registry",
            pod("111122223333.dkr.ecr.eu-central-1.amazonaws.com/mirror/golang:1.24"),
        ),
    ]
}

/// `DescribeImages` by name and whoever owns it, then a launch of what came back.
pub fn seed_e_name_confusion() -> Vec<Case> {
    let search = |name: &str, pattern: &str| {
        let filter = json!({"items": [{"name": "name", "valueSet": {"items": [{"value": pattern}]}}]});
        changed(name, &[("/detail/requestParameters/filterSet", filter)])
    };
    let launch = |search: &Value| {
        changed(
            "run-instances-community-ami",
            &[
                ("/detail/userIdentity", search["detail"]["userIdentity"].clone()),
                ("/detail/eventTime", json!("2026-03-03T11:25:00Z")),
                ("/time", json!("2026-03-03T11:25:00Z")),
            ],
        )
    };
    let both = |search: Value| {
        let launch = launch(&search);
        vec![search, launch]
    };
    const ALONE: &[&str] = &["machine-image-not-approved"];
    vec![
        Case::fires(
            "a search by name alone, then a stranger's image of that name",
            both(search("describe-images-by-name", "ubuntu-22.04-*")),
            &["machine-image-name-confusion", "machine-image-not-approved"],
        )
        .severity("high")
        .history(),
        Case::fires("the search named an owner", both(sample("describe-images-by-name-and-owner")), ALONE)
            .history(),
        Case::fires(
            "the search was for another name",
            both(search("describe-images-by-name", "acme-base-*")),
            ALONE,
        )
        .history(),
    ]
}

/// A task definition with a public image and the largest size, then many copies, by the same principal.
pub fn seed_e_mass_mining_in_ecs() -> Vec<Case> {
    const ALL: &[&str] = &["container-image-not-approved", "ecs-mass-mining"];
    let calls = || {
        samples(&["create-cluster", "register-task-definition-public-image", "create-service-many-copies"])
    };
    let mut backwards = calls();
    backwards.reverse();
    let few = changed("create-service-many-copies", &[("/detail/requestParameters/desiredCount", json!(2))]);
    let mut small = calls();
    small[2] = few;
    vec![
        Case::fires("cluster, definition, 25 copies", calls(), ALL).severity("high").history(),
        Case::fires("in whatever order they arrive", backwards, ALL).history(),
        Case::fires("two copies", small, &ALL[..1]).history(),
    ]
}

/// A copy makes a stranger's image one's own.
pub fn seed_e_laundered_images() -> Vec<Case> {
    const TOLD: &[&str] = &["machine-image-laundered"];
    vec![
        Case::fires("copied", vec![sample("copy-image-foreign")], TOLD).severity("high"),
        Case::fires("launched after it was copied", vec![sample("run-instances-copied-foreign-image")], TOLD),
        Case::fires(
            "registered from a stranger's snapshot",
            vec![sample("register-image-foreign-snapshot")],
            TOLD,
        ),
        Case::quiet("an own image, copied", vec![sample("copy-image-own")]),
        Case::quiet("an own snapshot, registered", vec![sample("register-image-own-snapshot")]),
    ]
}

pub fn seed_e_guard_rails_going_down() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "disable-allowed-images-settings",
        "enable-allowed-images-settings-audit-mode",
        "replace-image-criteria",
        "put-image-scanning-configuration-off",
        "put-registry-scanning-configuration-no-rules",
        "put-image-tag-mutability-mutable",
        "ecr-scan-resource-change-manual",
    ]
    .map(|name| Case::fires(name, vec![sample(name)], &["guard-rail-lowered"]).severity("high"))
    .into();
    cases.extend(
        [
            "enable-allowed-images-settings-enabled",
            "put-image-scanning-configuration-on",
            "put-registry-scanning-configuration-continuous",
            "put-image-tag-mutability-immutable",
            "ecr-scan-resource-change-continuous",
            "disable-allowed-images-settings-denied",
        ]
        .map(|name| Case::quiet(name, vec![sample(name)])),
    );
    cases
}

/// Failed launches are attempts; a dry run by a node group is a node group's day.
pub fn seed_e_failed_launches() -> Vec<Case> {
    const TOLD: &[&str] = &["launch-attempt-denied"];
    vec![
        Case::fires("no permission", vec![sample("run-instances-denied")], TOLD).severity("low"),
        Case::fires(
            "no permission, a stranger's image",
            vec![sample("run-instances-denied-community-ami")],
            TOLD,
        )
        .severity("medium"),
        Case::fires("over the vCPU limit", vec![sample("run-instances-vcpu-limit")], TOLD),
        Case::quiet("a dry run", vec![sample("run-instances-dry-run")]),
        Case::quiet("AWS had no capacity", vec![sample("run-instances-insufficient-capacity")]),
    ]
}

/// Malware that GuardDuty found in an image.
pub fn seed_e_malware_verdicts() -> Vec<Case> {
    const TOLD: &[&str] = &["guardduty-malicious-image"];
    vec![
        Case::fires("in a machine image", vec![sample("guardduty-malicious-image")], TOLD)
            .severity("critical"),
        Case::fires("in a pod", vec![sample("guardduty-malicious-file-eks")], TOLD),
        Case::quiet("a sample finding", vec![sample("guardduty-sample")]),
        Case::quiet("about an access key", vec![sample("guardduty-access-key")]),
    ]
}
