use serde_json::{Value, json};

use crate::activity::{Action, Activity, Connection, LaunchOutcome, Workload, WorkloadKind};
use crate::source::Reading;
use crate::source::tests::{sample, surroundings};

fn read(value: &Value) -> Reading {
    crate::source::read(value, &surroundings())
}

fn only(value: &Value) -> Activity {
    let mut reading = read(value);
    assert_eq!((reading.activities.len(), reading.unreadable.len()), (1, 0), "{reading:?}");
    reading.activities.remove(0)
}

/// The new form (1.5, bodies as JSON texts) and the old (1.0.0-rc.2, flat `unmapped`) alike.
#[test]
fn a_call_is_the_same_activity_from_security_lake_as_from_cloudtrail() {
    for name in [
        "put-image-at-night",
        "put-image-at-weekend",
        "put-image-unknown-user",
        "put-image-working-hours",
        "run-instances-community-ami",
        "run-instances-denied-community-ami",
    ] {
        let told = only(&sample(name));
        let lake = only(&sample(&format!("ocsf-{name}")));
        assert_ne!(lake.id, told.id, "{name}");
        assert_eq!(Activity { id: told.id.clone(), ..lake }, told, "{name}");
    }
}

#[test]
fn times_are_milliseconds_or_microseconds_and_else_a_text() {
    let told = only(&sample("put-image-at-night")).time;
    let mut record = sample("ocsf-put-image-at-night");
    let at = |record: &Value| (only(record).time, only(record).time_is_arrival);
    assert_eq!(at(&record), (told, false));
    record["time"] = json!(told.timestamp_micros());
    record["time_dt"].take();
    assert_eq!(at(&record), (told, false));
    record["time"] = json!(told.timestamp_millis().to_string());
    assert_eq!(at(&record), (told, false));
    record["time"].take();
    record["time_dt"] = json!("2026-03-03 23:52:40+00:00");
    assert_eq!(at(&record), (told, false));
    record["time_dt"].take();
    record["time"] = json!(told.timestamp());
    assert_eq!(at(&record), (told, false));
    record["time"] = json!(7);
    assert!(at(&record).1);
}

#[test]
fn a_failure_without_a_code_is_a_failure() {
    let mut record = sample("ocsf-run-instances-community-ami");
    record["status"] = json!("Failure");
    record["status_id"] = json!(2);
    let Action::ImageLaunched(launch) = only(&record).action else { panic!() };
    assert_eq!(launch.outcome, LaunchOutcome::Attempted("UnknownError".to_owned()));
}

#[test]
fn other_classes_are_ignored_and_no_class_at_all_is_told() {
    let mut record = sample("ocsf-put-image-at-night");
    for class in [2004, 3002] {
        record["class_uid"] = json!(class);
        assert_eq!(read(&record).ignored, 1);
    }
    let reading = read(&json!({"type_uid": 0, "metadata": {"version": "1.5.0"}}));
    assert_eq!(reading.unreadable[0].reason, "OCSF record without class_uid");
    let mut record = sample("ocsf-put-image-at-night");
    record["api"]["operation"].take();
    assert_eq!(read(&record).unreadable[0].reason, "OCSF API Activity without api.operation");
}

#[test]
fn a_process_is_read_with_its_container() {
    let activity = only(&sample("ocsf-process-miner"));
    let Action::ProcessStarted(process) = activity.action else { panic!() };
    assert_eq!(process.name(), "xmrig");
    assert!(process.arguments.starts_with("-o pool.minexmr.com:3333 "), "{}", process.arguments);
    assert_eq!(process.parent.as_deref(), Some("/bin/sh"));
    assert_eq!(process.environment, ["HOME", "AWS_REGION"]);
    assert_eq!(process.place.instance.as_deref(), Some("i-0b41d29c1f6a7e853"));
    assert!(process.place.container.unwrap().starts_with("5f9d2c1e"));
    let image = process.place.image.unwrap();
    assert_eq!(image.name, "registry.example.net/tools/updater:latest");
    assert!(image.digest.unwrap().starts_with("sha256:7c2f"));
    let mut ended = sample("ocsf-process-miner");
    ended["activity_id"] = json!(2);
    assert_eq!(read(&ended).ignored, 1);
}

fn connection(record: &Value) -> Option<Connection> {
    match read(record).activities.pop()?.action {
        Action::Connected(connection) => Some(connection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flow_is_a_contact_of_whoever_opened_it() {
    let flow = sample("ocsf-network-mining-port");
    let told = connection(&flow).unwrap();
    assert_eq!((told.destination.to_string().as_str(), told.port), ("198.51.100.201", 3333));
    assert_eq!((told.protocol.as_deref(), told.rejected), (Some("tcp"), false));
    assert_eq!(told.place.task, None, "`-` is nothing");
    let changed = |path: &str, value: Value| {
        let mut flow = flow.clone();
        *flow.pointer_mut(path).unwrap() = value;
        connection(&flow)
    };
    assert_eq!(changed("/connection_info/direction_id", json!(1)), None);
    assert_eq!(changed("/connection_info/tcp_flags", json!(19)), None, "the answering side");
    assert_eq!(changed("/status_code", json!("NODATA")), None);
    assert!(changed("/action_id", json!(2)).unwrap().rejected);
    assert!(changed("/disposition", json!("Blocked")).unwrap().rejected);
}

#[test]
fn a_name_is_read_without_its_dot_in_lower_case() {
    let Action::NameResolved(resolution) = only(&sample("ocsf-dns-mining-pool")).action else { panic!() };
    assert_eq!(resolution.name, "pool.minexmr.com");
    assert_eq!(resolution.answers.len(), 1);
    assert_eq!(resolution.place.vpc.as_deref(), Some("vpc-038faba71b3a6cfc9"));
}

fn workload(record: &Value) -> Workload {
    match only(record).action {
        Action::WorkloadDeclared(workload) => workload,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pod_is_read_with_all_its_containers() {
    let record = sample("ocsf-kubernetes-pod");
    let activity = only(&record);
    assert_eq!((activity.account.as_str(), activity.principal()), ("111122223333", "ci-deploy"));
    let pod = workload(&record);
    assert_eq!((pod.kind, pod.name.as_str()), (WorkloadKind::Pod, "cache-warmer"));
    assert_eq!((pod.namespace.as_deref(), pod.cluster.as_deref()), (Some("shop"), Some("shop-prod")));
    let [main, setup] = pod.containers.as_slice() else { panic!("{pod:?}") };
    assert_eq!(main.image.name, "docker.io/alpineos/alpine:latest");
    assert!(main.privileged && main.pull_policy.as_deref() == Some("Always"));
    assert_eq!(main.environment, ["TOKEN"], "names, never values");
    assert!(setup.image.digest.as_deref().unwrap().starts_with("sha256:0a1b"));
}

#[test]
fn workloads_name_their_pods_images() {
    let pod = json!({"containers": [{"name": "a", "image": "nginx:1.27"}]});
    for (path, object) in [
        ("/apis/apps/v1/namespaces/shop/deployments", json!({"spec": {"template": {"spec": pod}}})),
        (
            "/apis/batch/v1/namespaces/shop/cronjobs",
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
        ),
    ] {
        let mut record = sample("ocsf-kubernetes-pod");
        record["http_request"]["url"]["path"] = json!(path);
        record["api"]["request"]["data"] = json!(object.to_string());
        let workload = workload(&record);
        assert_eq!(workload.kind, WorkloadKind::PodTemplate);
        assert_eq!(workload.containers[0].image.name, "nginx:1.27", "{path}");
    }
}

#[test]
fn images_that_security_lake_maps_itself_are_read() {
    let mut record = sample("ocsf-kubernetes-pod");
    let containers =
        json!([{"name": "a", "image": {"name": "quay.io/x/a:1"}}, {"image": {"name": "quay.io/x/b"}}]);
    record["api"]["request"] = json!({"uid": "u", "containers": containers});
    record["api"]["response"] = json!({"code": 201, "containers": containers});
    let images = |record: &Value| -> Vec<String> {
        workload(record).containers.into_iter().map(|container| container.image.name).collect()
    };
    assert_eq!(images(&record), ["quay.io/x/a:1", "quay.io/x/b"]);
    record["api"]["request"] = json!({"uid": "u"});
    assert_eq!(images(&record), ["quay.io/x/a:1", "quay.io/x/b"]);
    record["api"]["response"] = json!({"code": 201});
    record["unmapped"] = json!({"requestObject.spec.containers[].image": "quay.io/x/a:1,quay.io/x/b"});
    assert_eq!(images(&record), ["quay.io/x/a:1", "quay.io/x/b"]);
    record["http_request"]["url"]["path"] = json!("/api/v1/namespaces/shop/pods?dryRun=All");
    assert_eq!(read(&record).ignored, 1);
}

#[test]
fn findings_of_guardduty_and_inspector_are_read_from_security_lake() {
    let finding = json!({"class_uid": 2004, "time": 1_772_533_800_000_i64, "severity_id": 4,
        "metadata": {"version": "1.1.0", "product": {"name": "GuardDuty"}}, "cloud": {"account": {"uid": "111122223333"}},
        "finding_info": {"uid": "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f", "title": "Mining",
            "types": ["TTPs/Impact/CryptoCurrency:EC2-BitcoinTool.B!DNS"]},
        "resources": [{"type": "AwsEc2Instance", "uid": "arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1",
            "data": {"ImageId": "ami-0a1"}}]});
    let Action::VerdictReported(reported) = only(&finding).action else { panic!() };
    assert_eq!(reported.finding_type, "CryptoCurrency:EC2/BitcoinTool.B!DNS");
    assert_eq!(
        (reported.place.instance.as_deref(), reported.machine_image.as_deref()),
        (Some("i-0a1"), Some("ami-0a1"))
    );
    let scan = json!({"class_uid": 2002, "time": 1_772_533_800, "severity": "High", "status": "New",
        "metadata": {"version": "1.1.0", "product": {"name": "Inspector"}}, "cloud": {"account": {"uid": "111122223333"}},
        "finding_info": {"uid": "arn:aws:inspector2:eu-west-1:111122223333:finding/f"},
        "vulnerabilities": [{"cve": {"uid": "CVE-2026-0001"}, "severity": "HIGH",
            "affected_packages": [{"name": "openssl", "version": "3.0.1", "fixed_in_version": "3.0.2"}]}],
        "resources": [{"type": "AwsEcrContainerImage",
            "uid": format!("arn:aws:ecr:eu-west-1:111122223333:repository/team/app/sha256:{}", "ab".repeat(32))}]});
    let Action::ImageScanned(scan) = only(&scan).action else { panic!() };
    assert_eq!((scan.repository.as_str(), scan.counts.get("HIGH")), ("team/app", Some(&1)));
    assert_eq!(scan.findings[0].fixed_in.as_deref(), Some("3.0.2"));
    let other = json!({"class_uid": 2004, "time": 1, "metadata": {"product": {"name": "Macie"}}, "finding_info": {"uid": "x"}});
    assert_eq!(read(&other).ignored, 1);
}

#[test]
fn a_command_in_a_pod_is_read() {
    let exec = workload(&sample("ocsf-kubernetes-exec"));
    assert_eq!((exec.kind, exec.name.as_str()), (WorkloadKind::Exec, "cache-warmer"));
    assert_eq!(exec.command.as_deref(), Some("sh -c wget -q -O-"));
    assert_eq!(exec.failed, None);
    let mut refused = sample("ocsf-kubernetes-exec");
    refused["api"]["response"]["code"] = json!(403);
    assert_eq!(workload(&refused).failed.as_deref(), Some("403"));
}

#[test]
fn reads_status_updates_and_changes_without_an_image_are_ignored() {
    let record = sample("ocsf-kubernetes-pod");
    let ignored = |change: fn(&mut Value)| {
        let mut record = record.clone();
        change(&mut record);
        read(&record).ignored == 1
    };
    assert!(ignored(|it| it["api"]["operation"] = json!("list")));
    assert!(ignored(|it| it["message"] = json!("RequestReceived")));
    assert!(ignored(|it| it["http_request"]["url"]["path"] = json!("/api/v1/namespaces/shop/pods/a/status")));
    assert!(ignored(|it| it["http_request"]["url"]["path"] = json!("/api/v1/namespaces/shop/configmaps")));
    assert!(ignored(|it| {
        it["api"]["operation"] = json!("patch");
        it["api"]["request"]["data"] = json!("{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    }));
}

#[test]
fn an_event_of_ones_own_making_may_carry_a_record() {
    let record = sample("ocsf-put-image-at-night");
    let event = json!({"detail-type": "Security Lake record", "source": "example.lake", "detail": record});
    assert_eq!(only(&event), only(&record));
    let queued =
        json!({"Records": [{"messageId": "1", "body": event.to_string(), "eventSource": "aws:sqs"}]});
    assert_eq!(only(&queued), only(&record));
}
