//! Shapes in which services write the same thing, and neighbours that look alike and are something else.

use serde_json::{Value, json};

use super::{sample, surroundings};
use crate::activity::{Action, Activity};
use crate::source::{Reading, read};

fn reading(event: &Value) -> Reading {
    read(event, &surroundings())
}

/// The sample with values set at some places, made where they are not there.
fn with(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = sample(name);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    event
}

/// What was read, without what the change itself is.
fn told(event: &Value) -> Vec<(String, Action)> {
    let reading = reading(event);
    assert_eq!(reading.unreadable, []);
    let told = |activity: Activity| (activity.principal().to_owned(), activity.action);
    reading.activities.into_iter().map(told).collect()
}

#[test]
fn what_services_add_or_write_otherwise_changes_nothing() {
    let launch = "run-instances-community-ami";
    let first = "/detail/responseElements/instancesSet/items/0";
    let cases: &[(&str, &str, Value)] = &[
        (launch, "/detail/sessionCredentialFromConsole", json!("true")),
        (launch, "/detail/sessionCredentialFromConsole", json!(true)),
        (launch, "/detail/sharedEventID", json!("0c0e8d1c-6a3c-4a80-b8a7-0a3b6d6a3a11")),
        (launch, "/detail/eventVersion", json!("1.13")),
        (launch, "/detail/requestID", Value::Null),
        (launch, "/detail/tlsDetails", Value::Null),
        (
            launch,
            "/detail/additionalEventData",
            json!({"omitted": true, "originalSize": 40000, "reason": "too large"}),
        ),
        (
            launch,
            "/detail/userIdentity/sessionContext/webIdFederationData",
            json!({"federatedProvider": "x", "attributes": {"a": "b"}}),
        ),
        (launch, "/detail/userIdentity/sessionContext/ec2RoleDelivery", json!("2.0")),
        (launch, &format!("{first}/launchTime"), json!(1.7725329e12)),
        (launch, &format!("{first}/productCodes"), json!({"items": []})),
        (launch, &format!("{first}/blockDeviceMapping"), json!({"item": []})),
        ("inspector2-finding-high", "/detail.resources.tags.testkey", json!("allow")),
        ("inspector2-finding-high", "/detail/updatedAt", json!("Mar 3, 2026, 2:31:07 PM")),
        ("ecs-task-running", "/detail/ephemeralStorage", json!({"sizeInGiB": 20})),
        ("ecs-task-running", "/detail/startedAt", json!("2026-03-03T09:31:12.7Z")),
        ("guardduty-mining-ecs-task", "/detail/resource/kubernetesDetails", Value::Null),
        ("guardduty-mining-ecs-task", "/detail/severity", json!(8)),
        ("tetragon", "/policyLevel", json!("ACCOUNT_LEVEL_POLICY")),
    ];
    for (name, pointer, value) in cases {
        let plain: Vec<Action> = told(&sample(name)).into_iter().map(|(_, action)| action).collect();
        let changed: Vec<Action> =
            told(&with(name, &[(*pointer, value.clone())])).into_iter().map(|(_, action)| action).collect();
        // Times of a task's own and a finding's severity are part of what is told.
        let own =
            pointer.ends_with("startedAt") || pointer.ends_with("severity") || pointer.ends_with("updatedAt");
        assert!(changed == plain || own && changed.len() == plain.len(), "{name} with {value} at {pointer}");
    }
}

/// Nothing to judge, and no reason to keep them as unreadable.
#[test]
fn neighbours_that_are_something_else_are_ignored() {
    let push = "ecr-image-action-push";
    let kind = |name: &str, kind: &str| with(name, &[("/detail-type", json!(kind))]);
    let call = |operation: &str| {
        let record = [
            ("/detail/eventName", json!(operation)),
            (
                "/detail/requestParameters",
                json!({format!("{operation}Request"): {"LaunchTemplateConfigs": {"tag": 1}}}),
            ),
            ("/detail/responseElements", json!({format!("{operation}Response"): {"fleetId": "fleet-1"}})),
        ];
        with("run-instances-community-ami", &record)
    };
    let sign_in = with(
        "run-instances-community-ami",
        &[
            ("/detail-type", json!("AWS Console Sign In via CloudTrail")),
            ("/source", json!("aws.signin")),
            ("/detail/eventSource", json!("signin.amazonaws.com")),
            ("/detail/eventName", json!("ConsoleLogin")),
            ("/detail/requestParameters", Value::Null),
            ("/detail/responseElements", json!({"ConsoleLogin": "Success"})),
        ],
    );
    let acr = json!({
        "time": "2026-03-03T10:40:12Z", "category": "ContainerRegistryRepositoryEvents", "operationName": "Push",
        "resourceId": "/SUBSCRIPTIONS/1/RESOURCEGROUPS/A/PROVIDERS/MICROSOFT.CONTAINERREGISTRY/REGISTRIES/R",
        "properties": {"repository": "team/app", "tag": "1", "digest": "sha256:0a"},
    });
    let service = json!({
        "eventVersion": "1.08", "userIdentity": {"accountId": "111122223333", "invokedBy": "ec2.amazonaws.com"},
        "eventTime": "2026-03-03T10:15:00Z", "eventSource": "ec2.amazonaws.com",
        "eventName": "SharedSnapshotVolumeCreated", "awsRegion": "eu-central-1", "eventType": "AwsServiceEvent",
        "eventID": "1", "requestParameters": null, "responseElements": null, "recipientAccountId": "111122223333",
        "serviceEventDetails": {"snapshotId": "snap-01ee6be9876379b3b"},
    });
    for (what, event) in [
        (
            "an image put in the archive",
            with(push, &[("/detail/action-type", json!("UPDATE_STORAGE_CLASS"))]),
        ),
        ("a referrer", kind(push, "ECR Referrer Action")),
        ("an artifact", kind(push, "ECR Artifact Action")),
        ("an image stored as an object", call("CreateStoreImageTask")),
        ("a sign-in", sign_in),
        ("a push to Azure's registry", acr),
        ("a service's own event", service),
    ] {
        let reading = reading(&event);
        assert_eq!(
            (reading.activities.as_slice(), reading.unreadable.as_slice()),
            (&[][..], &[][..]),
            "{what}"
        );
        assert!(reading.ignored > 0, "{what}");
    }
}

/// Callers that are no addresses, and errors that go on for pages, are kept short and whole.
#[test]
fn callers_and_errors_are_taken_as_they_are() {
    for caller in ["AWS Internal", "autoscaling.amazonaws.com", "2001:db8::7"] {
        let event = with("run-instances-denied", &[("/detail/sourceIPAddress", json!(caller))]);
        let reading = reading(&event);
        let api = reading.activities[0].api.as_ref().unwrap();
        assert_eq!(api.source_ip.as_deref(), Some(caller));
    }
}

/// Tetragon's own variants of a line.
#[test]
fn tetragon_writes_images_and_arguments_in_several_ways() {
    let line = |change: &dyn Fn(&mut Value)| {
        let document = sample("tetragon");
        let message = document["logEvents"][1]["message"].as_str().unwrap();
        let mut line: Value = serde_json::from_str(message).unwrap();
        change(&mut line);
        line
    };
    let image = |line: &Value| {
        let Action::ProcessStarted(process) = reading(line).activities.remove(0).action else {
            panic!("{line}")
        };
        process.place.image.unwrap()
    };
    let plain = image(&line(&|_| {}));
    assert!(plain.digest.is_some());
    let docker = line(&|line| {
        let id = &mut line["process_exec"]["process"]["pod"]["container"]["image"]["id"];
        *id = json!(format!("docker-pullable://{}", id.as_str().unwrap()));
    });
    assert_eq!(image(&docker), plain);
    let cut = line(&|line| line["process_exec"]["process"]["flags"] = json!("execve clone truncArgs"));
    assert_eq!(image(&cut), plain);
    let parsed =
        json!({"log_processed": line(&|_| {}), "stream": "stdout", "kubernetes": {"pod_name": "tetragon-t"}});
    assert_eq!(image(&parsed), plain);
    let other = line(&|line| {
        let event = line["process_exec"].take();
        *line = json!({"process_tracepoint": event, "node_name": "n", "time": "2026-03-06T09:00:05Z"});
    });
    assert!(reading(&other).activities.is_empty() && reading(&other).unreadable.is_empty());
}
