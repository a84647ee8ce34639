//! What CloudTrail records become.

mod calls;
mod disks;

use serde_json::{Value, json};

use super::{is_record, may_be_judged};
use crate::activity::{
    Action, Activity, Artifact, Derivation, GuardRailChange, ImageRef, Launch, LaunchOutcome, Origin, Push,
    Scan, ScanStatus, Share,
};
use crate::source::tests::{sample, surroundings};
use crate::source::{Reading, read};

fn activities(event: &Value) -> Vec<Activity> {
    let reading = read(event, &surroundings());
    assert_eq!(reading.unreadable, []);
    reading.activities
}

fn launches(event: &Value) -> Vec<Launch> {
    let launches = activities(event).into_iter().map(|activity| match activity.action {
        Action::ImageLaunched(launch) => launch,
        other => panic!("{other:?}"),
    });
    launches.collect()
}

fn launch(name: &str) -> Launch {
    let mut launches = launches(&sample(&format!("run-instances-{name}")));
    assert_eq!(launches.len(), 1);
    launches.remove(0)
}

fn pushed(name: &str) -> Push {
    match activities(&sample(&format!("put-image-{name}"))).remove(0).action {
        Action::ImagePushed(push) => push,
        other => panic!("{other:?}"),
    }
}

fn changed(name: &str) -> (GuardRailChange, String) {
    match activities(&sample(name)).remove(0).action {
        Action::GuardRailChanged(rail) => (rail.change, rail.target),
        other => panic!("{other:?}"),
    }
}

/// A record of an EC2 call, as bare as can be.
fn ec2(operation: &str, request: Value, response: Value) -> Value {
    json!({
        "eventName": operation, "eventSource": "ec2.amazonaws.com", "eventID": "one", "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333", "requestParameters": request, "responseElements": response,
    })
}

#[test]
fn two_images_in_one_call_are_two_launches() {
    let launches = launches(&sample("run-instances-two-images"));
    let counts: Vec<_> = launches.iter().map(|it| (it.count, it.instances.len())).collect();
    assert_eq!(counts, [(1, 1), (2, 2)]);
    assert_ne!(launches[0].image, launches[1].image);
}

#[test]
fn items_as_an_object_are_an_item() {
    let launch = launch("items-object");
    assert!(matches!(launch.image, ImageRef::Id(_)));
    assert_eq!(launch.instances.len(), 1);
}

#[test]
fn a_template_launch_knows_its_image_and_the_exact_version() {
    let launch = launch("launch-template");
    assert!(matches!(launch.image, ImageRef::Id(_)));
    assert_eq!(launch.template.unwrap().version.as_deref(), Some("7"), "not $Latest");
}

#[test]
fn a_response_left_out_for_its_size_leaves_what_was_asked_for() {
    let template = launch("launch-template-response-omitted");
    assert!(template.response_omitted);
    assert!(matches!(&template.image, ImageRef::Template(it) if it.name.as_deref() == Some("gpu-burst")));
    assert_eq!(template.count, 400);
    let parameter = launch("ssm-parameter-response-omitted");
    assert_eq!(parameter.image, ImageRef::SsmParameter("/platform/base-image:12".to_owned()));
    assert!(parameter.client_token.is_some());
    assert!(launch("response-null").response_omitted);
}

#[test]
fn an_ssm_parameter_is_the_image_it_was_resolved_to() {
    assert!(matches!(launch("ssm-parameter").image, ImageRef::Id(_)));
}

#[test]
fn a_failed_launch_is_an_attempt_with_its_bare_code() {
    let denied = launch("denied-community-ami");
    assert_eq!(denied.outcome, LaunchOutcome::Attempted("UnauthorizedOperation".to_owned()));
    assert_eq!(denied.count, 10);
    assert!(!denied.response_omitted);
    assert_eq!(launch("image-malformed").image, ImageRef::Other("ami-golden".to_owned()));
    assert_eq!(launch("dry-run").outcome, LaunchOutcome::DryRun);
}

#[test]
fn a_dry_run_that_was_denied_is_a_dry_run() {
    let mut record = ec2("RunInstances", json!({"dryRun": true}), Value::Null);
    record["errorCode"] = json!("Client.UnauthorizedOperation");
    assert_eq!(launches(&record)[0].outcome, LaunchOutcome::DryRun);
}

#[test]
fn the_newer_dialect_of_ec2_is_read() {
    let request = json!({"RunInstancesRequest": {
        "InstancesSet": {"ImageId": "ami-0123456789abcdef0", "MaxCount": 2},
        "LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": 3},
        "TagSpecification": {"tag": 1, "ResourceType": "instance", "Tag": [{"tag": 1, "Key": "env", "Value": "prod"}]},
        "UserData": "<sensitiveDataRemoved>",
    }});
    let launch = launches(&ec2("RunInstances", request, Value::Null)).remove(0);
    assert_eq!(launch.image, ImageRef::Id("ami-0123456789abcdef0".to_owned()));
    assert_eq!((launch.count, launch.user_data), (2, true));
    assert_eq!(launch.template.unwrap().version.as_deref(), Some("3"));
    assert_eq!(launch.tags, [("env".to_owned(), "prod".to_owned())]);
}

#[test]
fn a_launch_of_which_nothing_is_told_is_a_launch_all_the_same() {
    let launch = launches(&json!({"eventName": "RunInstances"})).remove(0);
    assert_eq!((launch.image, launch.outcome), (ImageRef::Unknown, LaunchOutcome::Succeeded));
    assert!(launch.response_omitted);
}

#[test]
fn the_account_is_the_one_it_happened_in_not_the_callers() {
    let activity = activities(&sample("run-instances-cross-account")).remove(0);
    assert_eq!(activity.account, "111122223333");
    assert_eq!(activity.actor.unwrap().account.as_deref(), Some("444455556666"));
}

#[test]
fn image_making_calls_name_what_the_image_was_made_from() {
    let origins = |name: &str| -> Vec<Origin> {
        match activities(&sample(name)).remove(0).action {
            Action::ImageDerived(Derivation { origins, .. }) => origins,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        matches!(&origins("copy-image-foreign")[..], [Origin::Image { region, .. }] if region == "us-east-1")
    );
    assert!(matches!(&origins("create-image")[..], [Origin::Instance(_)]));
    assert!(matches!(&origins("register-image-own-snapshot")[..], [Origin::Snapshot(_)]));
    assert_eq!(origins("import-image"), [Origin::Disk("s3://example-vm-imports/legacy/db01.ova".to_owned())]);
    assert!(activities(&sample("copy-image-denied")).is_empty(), "a failed copy made nothing");
}

#[test]
fn launch_permissions_are_read_in_both_forms() {
    let shared = |event: &Value| match activities(event).remove(0).action {
        Action::ImageShared(share) => share,
        other => panic!("{other:?}"),
    };
    assert_eq!(shared(&sample("modify-image-attribute-public")).added, ["all"]);
    let both = shared(&sample("modify-image-attribute-account"));
    assert_eq!((both.added.len(), both.removed.len()), (1, 1));
    let old = json!({"imageId": "ami-0123456789abcdef0", "attribute": "launchPermission",
        "operationType": "remove", "userIdSet": {"items": [{"userId": "444455556666"}]}});
    let expected = Share {
        image: "ami-0123456789abcdef0".to_owned(),
        added: vec![],
        removed: vec!["444455556666".to_owned()],
    };
    assert_eq!(shared(&ec2("ModifyImageAttribute", old, Value::Null)), expected);
    let description = json!({"imageId": "ami-0123456789abcdef0", "description": {"value": "new"}});
    assert!(activities(&ec2("ModifyImageAttribute", description, Value::Null)).is_empty());
}

#[test]
fn allowed_images_settings_are_read_out_of_their_wrapper() {
    assert_eq!(changed("disable-allowed-images-settings").0, GuardRailChange::AllowedImagesDisabled);
    assert_eq!(
        changed("enable-allowed-images-settings-audit-mode").0,
        GuardRailChange::AllowedImagesEnabled("audit-mode".to_owned())
    );
    let GuardRailChange::AllowedImagesCriteria(criteria) = changed("replace-image-criteria").0 else {
        panic!("no criteria")
    };
    let providers: Vec<&[String]> = criteria.iter().map(|criterion| criterion.providers.as_slice()).collect();
    assert_eq!(providers.concat(), ["amazon", "777788889999", "444455556666"]);
    assert_eq!(criteria.len(), 2);
}

#[test]
fn registry_settings_are_read() {
    let repository = "shop/checkout".to_owned();
    assert_eq!(
        changed("put-image-scanning-configuration-off"),
        (GuardRailChange::ScanOnPush(Some(false)), repository.clone())
    );
    assert_eq!(
        changed("put-image-tag-mutability-mutable"),
        (GuardRailChange::TagMutability("MUTABLE".to_owned()), repository)
    );
    let (change, target) = changed("put-registry-scanning-configuration-continuous");
    let rules = vec![("CONTINUOUS_SCAN".to_owned(), vec!["*".to_owned()])];
    assert_eq!(change, GuardRailChange::RegistryScanning { scan_type: Some("ENHANCED".to_owned()), rules });
    assert_eq!(target, "111122223333");
}

#[test]
fn pushes_tell_tag_digest_children_and_kind() {
    let plain = pushed("working-hours");
    assert_eq!((plain.repository.as_str(), plain.registry.as_str()), ("shop/checkout", "111122223333"));
    assert_eq!(plain.tag.as_deref(), Some("v2.14.0"));
    assert!(plain.digest.unwrap().starts_with("sha256:"));
    let index = pushed("index-at-night");
    assert_eq!((index.artifact, index.children.len()), (Artifact::Index, 2));
    let child = pushed("index-child-at-night");
    assert_eq!((child.tag, child.digest.as_ref()), (None, index.children.first()));
    assert_eq!(pushed("signature-at-night").artifact, Artifact::Signature);
    assert_eq!(pushed("attestation-at-night").artifact, Artifact::Attestation);
    assert_eq!(pushed("disguised-at-night").artifact, Artifact::Image, "whatever its tag says");
    assert!(pushed("public-at-night").public);
    let failed = pushed("immutable-tag-at-night").failed;
    assert_eq!(failed.as_deref(), Some("ImageTagAlreadyExistsException"));
}

#[test]
fn a_push_whose_parameters_were_left_out_is_known_by_its_response() {
    let push = pushed("manifest-omitted-at-night");
    assert_eq!((push.repository.as_str(), push.tag.as_deref()), ("shop/analytics", Some("nightly")));
    let mut event = sample("put-image-manifest-omitted-at-night");
    event["detail"]["responseElements"] = Value::Null;
    let Action::ImagePushed(push) = activities(&event).remove(0).action else { panic!() };
    assert_eq!(push.repository, "shop/analytics", "from the ARN in resources");
}

#[test]
fn results_that_were_read_are_not_the_readers_doing() {
    let scans = |name: &str| -> Scan {
        let activity = activities(&sample(name)).remove(0);
        assert_eq!(activity.actor, None);
        match activity.action {
            Action::ImageScanned(scan) => scan,
            other => panic!("{other:?}"),
        }
    };
    let basic = scans("describe-image-scan-findings");
    assert!(basic.read_by.unwrap().contains("AWSReservedSSO_SecurityAudit"));
    assert_eq!(basic.counts.keys().collect::<Vec<_>>(), ["HIGH", "MEDIUM", "UNDEFINED"]);
    assert_eq!(basic.findings[0].package.as_deref(), Some("zlib"));
    let enhanced = scans("describe-image-scan-findings-enhanced");
    assert_eq!(enhanced.findings[0].name, "CVE-2026-0201");
    let nothing = scans("describe-image-scan-findings-no-response");
    assert!(matches!(nothing.status, ScanStatus::Failed(_)), "no results are not clean results");
}

#[test]
fn other_calls_and_other_services_are_ignored() {
    for (service, operation) in
        [("ec2", "DescribeInstances"), ("s3", "PutImage"), ("ec2-instance-connect", "RunInstances")]
    {
        let record = json!({"eventName": operation, "eventSource": format!("{service}.amazonaws.com")});
        let Reading { activities, ignored, unreadable, .. } = read(&record, &surroundings());
        assert_eq!((activities.len(), ignored, unreadable.len()), (0, 1, 0), "{service} {operation}");
    }
}

#[test]
fn a_record_without_a_name_is_unreadable() {
    for name in [Value::Null, json!(7), json!("")] {
        let reading = read(&json!({"eventName": name, "eventID": "x"}), &surroundings());
        assert_eq!(reading.unreadable[0].reason, "CloudTrail record without eventName");
    }
}

/// What a reader of archives does not parse must not be anything.
#[test]
fn a_call_that_cannot_be_judged_comes_to_nothing_whatever_it_holds() {
    let mut judged = 0;
    for (name, event) in crate::source::tests::samples() {
        let mut records = vec![&event, &event["detail"]];
        records.extend(event["Records"].as_array().into_iter().flatten());
        for record in records.into_iter().filter(|it| it["eventName"].is_string() && is_record(it)) {
            let operation = record["eventName"].as_str().unwrap();
            let activities = read(record, &surroundings()).activities;
            if !activities.is_empty() {
                judged += 1;
                assert!(may_be_judged(operation.as_bytes()), "{name}: {operation}");
            }
            for other in ["DescribeInstances", "RunInstance", "PutImages", "TerminateInstances", "x"] {
                assert!(!may_be_judged(other.as_bytes()));
                for service in
                    ["ec2", "ecr", "ecr-public", "ecs", "lambda", "batch", "sagemaker", "autoscaling"]
                {
                    let mut record = record.clone();
                    record["eventName"] = json!(other);
                    record["eventSource"] = json!(format!("{service}.amazonaws.com"));
                    let reading = read(&record, &surroundings());
                    assert!(reading.activities.is_empty(), "{name} as {service} {other}");
                }
            }
        }
    }
    assert!(judged > 50, "{judged}");
}
