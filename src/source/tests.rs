//! Every sample event, and every sample event with a field taken away.

mod shapes;

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::activity::{Action, Cloud, GuardRailChange, ImageRef, LaunchOutcome, Scan, ScanStatus};

pub(super) fn surroundings() -> Surroundings {
    let received: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().unwrap();
    Surroundings::new(received)
}

/// Every sample event: file name and content.
pub(super) fn samples() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut samples: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

pub(super) fn sample(name: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn every_sample_event_is_read() {
    let samples = samples();
    assert!(samples.len() >= 6);
    for (name, event) in samples {
        let reading = read(&event, &surroundings());
        assert_eq!(reading.unreadable, [], "{name}");
        assert!(reading.activities.len() + reading.ignored >= 1, "{name}");
        for activity in reading.activities {
            assert!(!activity.time_is_arrival, "{name}");
            let account = activity.account.len();
            assert!(if activity.cloud == Cloud::Aws { account == 12 } else { account > 0 }, "{name}");
        }
    }
}

#[test]
fn a_launch_is_one_activity_with_all_its_instances() {
    let reading = read(&sample("run-instances-community-ami"), &surroundings());
    let [activity] = reading.activities.as_slice() else { panic!("{reading:?}") };
    let Action::ImageLaunched(launch) = &activity.action else { panic!("{activity:?}") };
    assert_eq!(launch.outcome, LaunchOutcome::Succeeded);
    assert!(matches!(&launch.image, ImageRef::Id(id) if id.starts_with("ami-")));
    assert_eq!((launch.count, launch.instances.len()), (2, 2));
    assert!(launch.user_data);
}

/// Every place in a document, outermost first.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((place, value)) = open.pop() {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, child)| (key.replace('~', "~0").replace('/', "~1"), child)).collect()
            }
            Value::Array(elements) => {
                elements.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
            }
            _ => Vec::new(),
        };
        for (step, child) in children {
            let inner = format!("{place}/{step}");
            found.push(inner.clone());
            open.push((inner, child));
        }
    }
    found
}

/// Whether a field decides that a call is about an own part, or switches something off at all: with another
/// value the call is nobody's concern.
fn decides(event: &Value, pointer: &str) -> bool {
    let call = event.pointer("/detail/eventName").and_then(Value::as_str).unwrap_or_default();
    let source = event.pointer("/detail/eventSource").and_then(Value::as_str).unwrap_or_default();
    let service = source.split('.').next().unwrap_or_default();
    let watches = super::cloudtrail::monitoring::OPERATIONS.contains(&(service, call));
    const DECIDING: [&str; 14] = [
        "name",
        "names",
        "rule",
        "functionName",
        "topicArn",
        "subscriptionArn",
        "tableName",
        "bucketName",
        "key",
        "isMultiRegionTrail",
        "eventSelectors",
        "readWriteType",
        "enable",
        "reservedConcurrentExecutions",
    ];
    let inside = pointer.starts_with("/detail/requestParameters/");
    watches && inside && pointer.rsplit('/').next().is_some_and(|step| DECIDING.contains(&step))
}

fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, step) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(fields) => {
            fields.remove(&step.replace("~1", "/").replace("~0", "~")).unwrap();
        }
        Value::Array(elements) => {
            elements.remove(step.parse().unwrap());
        }
        _ => unreachable!(),
    }
    value
}

#[test]
fn a_sample_event_that_lost_any_field_still_has_a_clear_outcome() {
    for (name, event) in samples() {
        let whole = read(&event, &surroundings()).activities.len();
        for pointer in pointers(&event) {
            // A search without filters is understood, and is no search by name.
            if pointer.ends_with("/filterSet/items") || decides(&event, &pointer) {
                continue;
            }
            let reading = read(&without(&event, &pointer), &surroundings());
            let outcomes = reading.activities.len() + reading.ignored + reading.unreadable.len();
            assert!(outcomes >= 1, "{name} without {pointer}: nothing at all");
            // A list with an element less has less to tell; anything else must not vanish in silence.
            let element = pointer.rsplit('/').next().is_some_and(|step| step.parse::<usize>().is_ok());
            assert!(
                element || reading.activities.len() >= whole || !reading.unreadable.is_empty(),
                "{name} without {pointer}: passes for something to ignore"
            );
        }
    }
}

#[test]
fn a_field_of_the_wrong_type_costs_no_event() {
    let others = [json!(null), json!(-7), json!("\u{0}\u{202e}"), json!({})];
    // What decides of what kind the record is: with another word there it is another kind of record.
    let kind = [
        "detail-type",
        "eventName",
        "eventSource",
        "api/operation",
        "service/name",
        "url/path",
        "operationName",
        "methodName",
    ];
    for (name, mut event) in samples() {
        let whole = read(&event, &surroundings()).activities.len();
        for pointer in pointers(&event) {
            let step = pointer.rsplit('/').next().unwrap_or_default();
            for other in &others {
                if other.is_string() && kind.iter().any(|kind| pointer.ends_with(&format!("/{kind}")))
                    || step.parse::<usize>().is_ok()
                    || decides(&event, &pointer)
                {
                    continue;
                }
                // No filters at all is how CloudTrail writes it.
                if *other == json!({}) && step == "filterSet" {
                    continue;
                }
                let before = std::mem::replace(event.pointer_mut(&pointer).unwrap(), other.clone());
                let reading = read(&event, &surroundings());
                *event.pointer_mut(&pointer).unwrap() = before;
                assert!(
                    reading.activities.len() >= whole || !reading.unreadable.is_empty(),
                    "{name} with {other} as {pointer}"
                );
            }
        }
    }
}

#[test]
fn a_time_that_cannot_be_is_told_as_arrival() {
    let received = surroundings().received;
    let at = |time: &str, envelope: &str| {
        let mut event = sample("put-image-at-night");
        event["detail"]["eventTime"] = json!(time);
        event["time"] = json!(envelope);
        let activity = read(&event, &surroundings()).activities.remove(0);
        (activity.time, activity.time_is_arrival)
    };
    for absurd in [
        "",
        "yesterday",
        "-0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-02-30T10:00:00Z",
        "99999999999999999999",
    ] {
        assert_eq!(at(absurd, ""), (received, true), "{absurd}");
    }
    let soon: DateTime<Utc> = "2026-03-11T12:00:00Z".parse().unwrap();
    assert_eq!(at("2026-03-11T12:00:00Z", ""), (soon, false), "clocks differ by a little");
    let told: DateTime<Utc> = "2026-03-03T23:52:40Z".parse().unwrap();
    assert_eq!(at("", "2026-03-03T23:52:40Z"), (told, false), "the envelope's stands in");
    assert_eq!(at("2026-03-04T00:52:40+01:00", ""), (told, false));
}

#[test]
fn a_time_to_come_is_believed_over_archives_and_not_as_events_arrive() {
    let mut event = sample("put-image-at-night");
    let mut around = surroundings();
    let later = |minutes| around.received + chrono::TimeDelta::minutes(minutes);
    let (soon, far) = (later(10), later(60 * 24 * 300));
    let told = |event: &mut Value, time: DateTime<Utc>, around: &Surroundings| {
        event["detail"]["eventTime"] = json!(time.to_rfc3339());
        let activity = read(event, around).activities.remove(0);
        (activity.time, activity.time_is_arrival, activity.time_claimed)
    };
    assert_eq!(told(&mut event, far, &around), (far, false, None));
    around.trust.live = true;
    assert_eq!(told(&mut event, soon, &around), (soon, false, None));
    assert_eq!(told(&mut event, far, &around), (around.received, true, Some(far)));
}

#[test]
fn an_envelope_of_another_account_or_region_than_its_record_is_refused() {
    for (field, value) in [("account", "999900001111"), ("region", "us-west-2")] {
        let mut event = sample("put-image-at-night");
        event[field] = json!(value);
        let reading = read(&event, &surroundings());
        assert!(reading.activities.is_empty(), "{field}");
        assert!(reading.unreadable[0].reason.contains(value), "{:?}", reading.unreadable);
    }
    // Findings are gathered in an administrator's account.
    let mut finding = sample("guardduty-mining-instance");
    finding["account"] = json!("999900001111");
    assert_eq!(read(&finding, &surroundings()).activities.len(), 1);
}

#[test]
fn the_sources_of_other_clouds_carry_their_records_only() {
    for source in ["imagewarden.azure", "imagewarden.gcp"] {
        let mut event = sample("run-instances-community-ami");
        event["source"] = json!(source);
        let reading = read(&event, &surroundings());
        assert_eq!((reading.activities.len(), reading.unreadable.len()), (0, 1), "{source}");
    }
    let record = sample("azure-vm-canonical");
    let event = |detail: Value| json!({"source": "imagewarden.azure", "detail-type": "x", "account": "999900001111", "detail": detail});
    let alone = read(&event(record.clone()), &surroundings()).activities;
    assert_eq!(alone.len(), 1);
    assert_eq!(read(&event(json!({"records": [record]})), &surroundings()).activities, alone);
}

#[test]
fn what_was_sent_by_mistake_is_named_and_what_stands_beside_logs_is_passed_over() {
    let s3 = json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}});
    let text = json!({"Records": [s3]}).to_string();
    let topic = json!({"Type": "Notification", "TopicArn": "arn", "Message": text});
    for (payload, reason) in [
        (json!({"Records": [s3]}), "an S3 notification"),
        (
            json!({"Records": [{"messageId": "1", "body": text, "eventSource": "aws:sqs"}]}),
            "an S3 notification",
        ),
        (topic, "an S3 notification"),
        (
            json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}}),
            "an S3 notification",
        ),
        (json!({"requestContext": {"apiId": "a"}, "httpMethod": "GET"}), "a request that API Gateway"),
        (json!({"requestContext": {"elb": {}}, "httpMethod": "GET"}), "a request that a load balancer"),
        (json!({"eventSource": "aws:kafka", "records": {"t-0": []}}), "a batch of Kafka records"),
        (json!({"Records": [{"eventSource": "aws:ses", "ses": {}}]}), "an e-mail"),
    ] {
        let reading = read(&payload, &surroundings());
        assert_eq!((reading.activities.len(), reading.ignored), (0, 0), "{payload}");
        assert!(reading.unreadable[0].reason.starts_with(reason), "{:?}", reading.unreadable);
    }
    for beside in [
        json!({"awsAccountId": "111122223333", "digestStartTime": "x", "logFiles": []}),
        json!({"fileVersion": "1.0", "configurationItems": [{}]}),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        json!({"eventVersion": "1.11", "eventCategory": "Aggregated", "aggregationDetails": {}}),
    ] {
        let reading = read(&beside, &surroundings());
        assert_eq!((reading.ignored, reading.unreadable.len()), (1, 0), "{beside}");
    }
}

#[test]
fn findings_are_read_as_the_aws_cli_prints_them() {
    for name in ["guardduty-mining-instance", "inspector2-finding-high"] {
        let event = sample(name);
        let printed = json!({"findings": [event["detail"]]});
        let kinds = |value: &Value| {
            let activities = read(value, &surroundings()).activities;
            activities.into_iter().map(|it| it.action).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&printed), kinds(&event), "{name}");
    }
}

#[test]
fn a_call_that_is_told_in_two_accounts_is_one_event() {
    let mut record = sample("put-image-at-night")["detail"].clone();
    record["sharedEventID"] = json!("55555555-0000-4000-8000-000000000001");
    let one = read(&record, &surroundings()).activities.remove(0);
    record["eventID"] = json!("another");
    record["recipientAccountId"] = json!("444455556666");
    let other = read(&record, &surroundings()).activities.remove(0);
    assert_eq!(one.id, other.id);
    assert!(one.shared && other.shared);
}

#[test]
fn the_same_event_has_the_same_id_however_often_it_comes() {
    let id = |change: fn(&mut Value)| {
        let mut event = sample("put-image-at-night");
        change(&mut event);
        read(&event, &surroundings()).activities.remove(0).id
    };
    let whole = id(|_| {});
    assert_eq!(whole, id(|event| event["id"] = json!("forwarded anew")));
    let bare = |event: &mut Value| {
        event["id"].take();
        event["detail"]["eventID"].take();
    };
    assert_eq!(id(bare), id(bare));
    assert!(id(bare).starts_with("content-"));
}

#[test]
fn surroundings_stand_in_for_account_and_region() {
    let mut record = sample("cloudtrail-record");
    for field in ["recipientAccountId", "awsRegion", "userIdentity"] {
        record[field].take();
    }
    let mut around = surroundings();
    around.account = Some("444455556666".to_owned());
    around.region = Some("eu-west-3".to_owned());
    let activity = read(&record, &around).activities.remove(0);
    assert_eq!((activity.account.as_str(), activity.region.as_str()), ("444455556666", "eu-west-3"));
    assert_eq!(activity.actor, None);
}

fn scan(name: &str) -> Scan {
    let activity = read(&sample(name), &surroundings()).activities.remove(0);
    match activity.action {
        Action::ImageScanned(scan) => scan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn scans_of_ecr_and_inspector_name_the_repository_alike() {
    let basic = scan("ecr-image-scan-critical");
    assert_eq!((basic.repository.as_str(), basic.counts["CRITICAL"]), ("shop/checkout", 2));
    let enhanced = scan("inspector2-scan-critical");
    assert_eq!((enhanced.repository.as_str(), enhanced.registry.as_str()), ("shop/search", "111122223333"));
    assert!(!enhanced.counts.contains_key("TOTAL"));
    let finding = scan("inspector2-finding-high");
    assert_eq!((finding.repository.as_str(), finding.counts["HIGH"]), ("shop/search", 1));
    assert_eq!(finding.findings[0].fixed_in.as_deref(), Some("0:3.5.4-1~deb13u2"));
}

#[test]
fn failed_scans_and_closed_findings_are_no_findings() {
    assert_eq!(scan("ecr-image-scan-clean").status, ScanStatus::Complete);
    assert_eq!(scan("ecr-image-scan-failed").status, ScanStatus::Failed("FAILED".to_owned()));
    assert_eq!(scan("inspector2-finding-closed").status, ScanStatus::Closed("CLOSED".to_owned()));
    assert_eq!(scan("inspector2-finding-suppressed").status, ScanStatus::Closed("SUPPRESSED".to_owned()));
}

#[test]
fn a_finding_that_changed_is_another_event() {
    let id = |name: &str| read(&sample(name), &surroundings()).activities.remove(0).id;
    let open = id("inspector2-finding-high");
    assert!(open.contains(":finding/") && open.contains("|ACTIVE|"), "{open}");
    let mut again = sample("inspector2-finding-high");
    again["detail"]["updatedAt"] = json!("Wed Mar 04 14:31:07.220 UTC 2026");
    assert_ne!(read(&again, &surroundings()).activities.remove(0).id, open);
}

/// EventBridge gives a forwarded or repeated event another id; what was scanned and when stays.
#[test]
fn a_scan_is_known_by_its_image_and_time() {
    for name in ["ecr-image-scan-critical", "inspector2-scan-critical"] {
        let id = |event: &Value| read(event, &surroundings()).activities.remove(0).id;
        let event = sample(name);
        let mut again = event.clone();
        again["id"] = json!("another");
        assert_eq!(id(&again), id(&event), "{name}");
        let mut later = event.clone();
        later["time"] = json!("2026-03-09T11:00:00Z");
        assert_ne!(id(&later), id(&event), "{name}");
        let mut other = event.clone();
        other["detail"]["image-digest"] = json!(format!("sha256:{}", "0".repeat(64)));
        assert_ne!(id(&other), id(&event), "{name}");
    }
}

/// Whoever writes a log may choose its ids: they are remembered, and so have a longest.
#[test]
fn an_id_of_any_length_is_kept_short() {
    let mut event = sample("ocsf-put-image-at-night");
    let id = |event: &Value| read(event, &surroundings()).activities.remove(0).id;
    event["metadata"]["uid"] = json!("a".repeat(100_000));
    let (long, mut other) = (id(&event), event);
    assert!(long.len() < 400);
    other["metadata"]["uid"] = json!("a".repeat(100_001));
    assert_ne!(id(&other), long);
}

#[test]
fn one_change_of_a_registrys_scanning_is_one_activity() {
    let reading = read(&sample("ecr-scan-resource-change-manual"), &surroundings());
    let [activity] = reading.activities.as_slice() else { panic!("{reading:?}") };
    let Action::GuardRailChanged(rail) = &activity.action else { panic!("{activity:?}") };
    let rules = vec![("MANUAL".to_owned(), vec!["shop/checkout".to_owned(), "shop/catalog".to_owned()])];
    let scan_type = Some("ENHANCED".to_owned());
    assert_eq!(rail.change, GuardRailChange::RegistryScanning { scan_type, rules });
}

#[test]
fn events_about_other_things_are_ignored() {
    for name in [
        "ecr-image-action-push",
        "ecr-image-action-delete",
        "inspector2-finding-ec2-instance",
        "inspector2-scan-ec2-instance",
    ] {
        let reading = read(&sample(name), &surroundings());
        assert_eq!((reading.activities.len(), reading.ignored), (0, 1), "{name}");
    }
    let other = json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {"state": "running"}});
    assert_eq!(read(&other, &surroundings()).ignored, 1);
}

#[test]
fn an_event_of_a_megabyte_with_hostile_names_is_read() {
    let mut event = sample("put-image-at-night");
    let name = "\u{0}\u{202e}\u{1b}[31m".repeat(100_000);
    event["detail"]["requestParameters"]["repositoryName"] = json!(name);
    let reading = read_bytes(event.to_string().as_bytes(), &surroundings());
    let Action::ImagePushed(push) = &reading.activities[0].action else { panic!() };
    assert_eq!(push.repository, name);
}

/// Real CloudTrail files, where somebody has some: `IMAGEWARDEN_CLOUDTRAIL_SAMPLES` names their folder.
#[test]
fn real_log_files_are_read_without_complaint() {
    let Some(folder) = std::env::var_os("IMAGEWARDEN_CLOUDTRAIL_SAMPLES") else { return };
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            let reading = read_bytes(&std::fs::read(&path).unwrap(), &surroundings());
            assert_eq!(reading.unreadable, [], "{}", path.display());
            assert!(
                reading.activities.iter().all(|activity| !activity.time_is_arrival),
                "{}",
                path.display()
            );
            assert!(reading.activities.iter().all(|activity| activity.actor.is_some()), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 0, "no .gz file in the folder");
}

/// One change to an event's text.
#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Overwrite(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Double(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let tokens: Vec<Vec<u8>> =
        ["{", "}", "[", "]", "\"", ",", ":", "null", "1e999", "\\ud800", "\0", "\n", "{\"Records\":["]
            .iter()
            .map(|token| token.as_bytes().to_vec())
            .collect();
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(place, byte)| Damage::Overwrite(place, byte)),
        (at(), prop::sample::select(tokens)).prop_map(|(place, token)| Damage::Insert(place, token)),
        (at(), at()).prop_map(|(from, to)| Damage::Double(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Damage::Overwrite(place, byte) => {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            Damage::Insert(place, token) => {
                let place = place.index(bytes.len());
                bytes.splice(place..place, token.iter().copied());
            }
            Damage::Double(one, other) => {
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                let piece = bytes[one.min(other)..one.max(other)].to_vec();
                bytes.extend(piece);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_events_never_panic_and_never_vanish(
        which in any::<prop::sample::Index>(),
        zipped in any::<bool>(),
        damages in prop::collection::vec(damage(), 1..6),
    ) {
        static SAMPLES: LazyLock<Vec<Vec<u8>>> =
            LazyLock::new(|| samples().into_iter().map(|(_, event)| event.to_string().into_bytes()).collect());
        let mut bytes = SAMPLES[which.index(SAMPLES.len())].clone();
        if zipped {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).unwrap();
            bytes = encoder.finish().unwrap();
        }
        let reading = read_bytes(&damaged(bytes, &damages), &surroundings());
        prop_assert!(reading.activities.len() + reading.ignored + reading.unreadable.len() >= 1);
    }
}

#[test]
fn every_sample_is_listed_in_the_readme() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for (name, _) in samples() {
        assert!(readme.contains(&format!("]({name})")), "{name}");
    }
}
