//! Calls about disks, declarations of many services, and what watches.

use serde_json::{Value, json};

use super::super::declarations;
use super::{activities, ec2, launches};
use crate::activity::{Action, ImageRef, Origin};
use crate::source::tests::{sample, samples};

fn action(name: &str) -> Action {
    let mut found = activities(&sample(name));
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found.remove(0).action
}

#[test]
fn every_call_of_the_table_of_declarations_names_its_image() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, event) in samples() {
        let operation = event["detail"]["eventName"].as_str().unwrap_or_default().to_owned();
        let source = event["detail"]["eventSource"].as_str().unwrap_or_default().split('.').next();
        if declarations::find(source, &operation).is_none() {
            continue;
        }
        let found = activities(&event);
        let Action::WorkloadDeclared(workload) = &found[0].action else { panic!("{name}: {found:?}") };
        assert!(workload.containers[0].image.name.ends_with("/tools/runner:latest"), "{name}");
        assert!(!workload.name.is_empty(), "{name}");
        seen.insert((source.unwrap_or_default().to_owned(), operation));
    }
    assert_eq!(seen.len(), declarations::DECLARATIONS.len(), "a call of the table has no sample");
}

#[test]
fn images_that_a_service_provides_itself_are_no_declaration() {
    let build = |image: &str| {
        json!({
            "eventName": "CreateProject", "eventSource": "codebuild.amazonaws.com", "eventID": "one",
            "recipientAccountId": "111122223333",
            "requestParameters": {"name": "x", "environment": {"image": image}},
        })
    };
    let declared = |image: &str| match activities(&build(image)).remove(0).action {
        Action::WorkloadDeclared(workload) => workload.containers.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(declared("aws/codebuild/amazonlinux-x86_64-standard:5.0"), 0);
    assert_eq!(declared("evil/runner:1"), 1);
}

#[test]
fn a_replaced_root_volume_is_a_launch_of_what_it_runs_now() {
    let Action::ImageLaunched(launch) = action("create-replace-root-volume-task") else { panic!() };
    assert_eq!(launch.image, ImageRef::Id("ami-0fedcba9876543210".to_owned()));
    assert_eq!(launch.instances[0].id, "i-0123456789abcdef0");
    let restored = json!({"CreateReplaceRootVolumeTaskRequest": {"InstanceId": "i-0123456789abcdef0"}});
    assert!(activities(&ec2("CreateReplaceRootVolumeTask", restored, Value::Null)).is_empty());
    let snapshot =
        json!({"CreateReplaceRootVolumeTaskRequest": {"InstanceId": "i-1", "SnapshotId": "snap-1"}});
    let found = launches(&ec2("CreateReplaceRootVolumeTask", snapshot, Value::Null));
    assert_eq!(found[0].image, ImageRef::Disk("snap-1".to_owned()));
}

#[test]
fn what_disks_are_made_from_is_read() {
    let made = |name: &str| match action(name) {
        Action::DiskMade(disk) => (disk.id, disk.origin),
        other => panic!("{other:?}"),
    };
    let id = |text: &str| text.to_owned();
    let region = id("us-east-1");
    let theirs = Origin::RemoteSnapshot { id: id("snap-0fedcba9876543210"), region };
    assert_eq!(made("copy-snapshot"), (id("snap-0d0d0d0d0d0d0d0d0"), theirs));
    assert_eq!(made("create-volume").1, Origin::Snapshot(id("snap-0fedcba9876543210")));
    assert_eq!(made("create-snapshot").1, Origin::Volume(id("vol-0123456789abcdef0")));
    assert_eq!(made("create-snapshots").1, Origin::Volume(id("vol-0123456789abcdef0")));
    assert_eq!(made("copy-volumes").1, Origin::Volume(id("vol-0123456789abcdef0")));
    assert_eq!(made("complete-snapshot").1, Origin::Blocks);
    let Action::VolumeAttached(attachment) = action("attach-volume") else { panic!() };
    assert!(attachment.is_root());
}

#[test]
fn images_in_overrides_of_fleets_and_groups_are_read() {
    for name in [
        "create-fleet",
        "modify-fleet",
        "create-auto-scaling-group",
        "update-auto-scaling-group",
        "start-instance-refresh",
        "create-compute-environment",
        "update-compute-environment",
        "create-image-recipe",
    ] {
        let Action::LaunchTemplateChanged(change) = action(name) else { panic!("{name}") };
        assert_eq!(change.image, ImageRef::Id("ami-0fedcba9876543210".to_owned()), "{name}");
    }
}

#[test]
fn a_trail_that_still_logs_writing_calls_is_not_told() {
    let event = |selectors: Value| {
        json!({
            "eventName": "PutEventSelectors", "eventSource": "cloudtrail.amazonaws.com", "eventID": "one",
            "recipientAccountId": "111122223333", "requestParameters": selectors,
        })
    };
    let basic = |kind: &str, management: bool| {
        event(json!({"trailName": "t", "eventSelectors": [
            {"readWriteType": kind, "includeManagementEvents": management}]}))
    };
    assert!(activities(&basic("All", true)).is_empty());
    assert!(activities(&basic("WriteOnly", true)).is_empty());
    assert_eq!(activities(&basic("ReadOnly", true)).len(), 1);
    assert_eq!(activities(&basic("All", false)).len(), 1);
    let advanced = |fields: Value| {
        event(json!({"trailName": "t", "advancedEventSelectors": [{"fieldSelectors": fields}]}))
    };
    let management = json!({"field": "eventCategory", "equals": ["Management"]});
    assert!(activities(&advanced(json!([management]))).is_empty());
    assert_eq!(
        activities(&advanced(json!([management, {"field": "readOnly", "equals": ["true"]}]))).len(),
        1
    );
    assert_eq!(activities(&advanced(json!([{"field": "eventCategory", "equals": ["Data"]}]))).len(), 1);
}

#[test]
fn other_peoples_rules_functions_and_topics_are_none_of_its_own() {
    for (service, operation, request) in [
        ("events", "DisableRule", json!({"name": "nightly"})),
        ("lambda", "DeleteFunction20150331", json!({"functionName": "thumbnailer"})),
        ("sns", "DeleteTopic", json!({"topicArn": "arn:aws:sns:eu-west-1:111122223333:orders"})),
        ("ssm", "PutParameter", json!({"name": "/shop/policy"})),
        ("s3", "PutObject", json!({"bucketName": "shop", "key": "policy.yaml"})),
    ] {
        let event = json!({
            "eventName": operation, "eventSource": format!("{service}.amazonaws.com"), "eventID": "one",
            "recipientAccountId": "111122223333", "requestParameters": request,
        });
        assert!(activities(&event).is_empty(), "{operation}");
    }
}
