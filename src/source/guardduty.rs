//! GuardDuty findings, as EventBridge delivers them, as GuardDuty exports them and as the AWS CLI prints
//! them. Absent fields are `null`, some times are fractions of epoch seconds, and details are JSON within
//! a string.

use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{Arn, account, any, at, flag, get, list_of, objects, str, text, text_at};
use crate::activity::{Action, ContainerImage, Place, Reported};

/// How many names of malware and files are kept.
const MOST_THREATS: usize = 64;

/// A finding without its envelope.
pub(super) fn is_finding(value: &Value) -> bool {
    let has = |key| get(value, key).is_some();
    has("type") && has("severity") && has("resource") && has("service")
}

/// What no image runs in.
const ELSEWHERE: [&str; 5] = ["AccessKey", "S3Bucket", "S3Object", "RDSDBInstance", "RDSLimitlessDB"];

pub(super) fn read(finding: &Value, envelope: &Envelope<'_>) -> Reading {
    let nothing = Value::Null;
    let resource = get(finding, "resource").unwrap_or(&nothing);
    let service = get(finding, "service").unwrap_or(&nothing);
    if str(resource, "resourceType").is_some_and(|kind| ELSEWHERE.contains(&kind)) {
        return Reading::ignored();
    }
    let title = text(finding, "title").unwrap_or_default();
    let id = text(finding, "id");
    let updated = str(finding, "updatedAt");
    let reported = Reported {
        finding: id.clone().or_else(|| text(finding, "arn")).unwrap_or_default(),
        finding_type: text(finding, "type").unwrap_or_default(),
        severity: severity(finding),
        place: place(resource, service),
        machine_image: machine_image(resource),
        threats: threats(service),
        sample: title.starts_with("[SAMPLE]") || is_sample(service),
        title,
    };
    let last = str(service, "eventLastSeen").and_then(|time| envelope.time_of(time));
    let own = Own {
        // The same finding is sent again whenever it is updated.
        id: id.map(|id| format!("{id}|{}", updated.unwrap_or_default())),
        time: last.or_else(|| envelope.time_of(updated?)),
        // The envelope's is the administrator's, where findings are gathered.
        account: account(finding, "accountId"),
        region: text(finding, "region"),
    };
    let activity = envelope.activity(finding, own, None, None, Action::VerdictReported(reported));
    Reading::of(vec![activity])
}

fn severity(finding: &Value) -> f64 {
    let number = match get(finding, "severity") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).unwrap_or_default().clamp(0.0, 10.0)
}

/// `additionalInfo` is an object, or has a `value` that is an object written as a string.
fn is_sample(service: &Value) -> bool {
    let Some(info) = get(service, "additionalInfo") else { return false };
    let inner = str(info, "value").and_then(|text| serde_json::from_str::<Value>(text).ok());
    flag(info, "sample") == Some(true) || inner.is_some_and(|inner| flag(&inner, "sample") == Some(true))
}

fn place(resource: &Value, service: &Value) -> Place {
    let mut place = sequence(service);
    if let Some(instance) = get(resource, "instanceDetails") {
        place.instance = text(instance, "instanceId").or(place.instance);
        let interface = objects(instance, "networkInterfaces").into_iter().next();
        let of_interface = |key: &str| text(interface?, key);
        place.network_interface = of_interface("networkInterfaceId");
        place.vpc = of_interface("vpcId");
        place.address = of_interface("privateIpAddress").and_then(|address| address.parse().ok());
    }
    let mut container = get(resource, "containerDetails");
    if let Some(cluster) = get(resource, "ecsClusterDetails") {
        place.cluster = text(cluster, "arn").or_else(|| text(cluster, "name")).or(place.cluster);
        let task = get(cluster, "taskDetails");
        let of_task = |key: &str| text(task?, key);
        place.task = of_task("arn").or(place.task);
        // `service:web` or `family:batch-import`
        place.workload = of_task("group").map(|group| match group.split_once(':') {
            Some((_, name)) => name.to_owned(),
            None => group,
        });
        container = container.or_else(|| objects(task?, "containers").into_iter().next());
    }
    if let Some(cluster) = get(resource, "eksClusterDetails") {
        place.cluster = text(cluster, "name").or_else(|| text(cluster, "arn")).or(place.cluster);
        place.vpc = text(cluster, "vpcId").or(place.vpc);
    }
    if let Some(workload) = at(resource, &["kubernetesDetails", "kubernetesWorkloadDetails"]) {
        place.namespace = text(workload, "namespace");
        let name = text(workload, "name");
        match str(workload, "type") {
            Some(kind) if !kind.to_ascii_lowercase().starts_with("pod") => place.workload = name,
            _ => place.pod = name,
        }
        container = container.or_else(|| objects(workload, "containers").into_iter().next());
    }
    if let Some(container) = container {
        place.container = text(container, "id");
        place.image = text(container, "image").map(|image| ContainerImage::parse(&image)).or(place.image);
    }
    place
}

/// Where an attack sequence took place: it names its resources in a list of its own.
fn sequence(service: &Value) -> Place {
    let mut place = Place::default();
    let sequence = at(service, &["detection", "sequence"]);
    for resource in sequence.map(|sequence| objects(sequence, "resources")).unwrap_or_default() {
        let Some(uid) = text(resource, "uid") else { continue };
        let last = || uid.rsplit('/').next().map(str::to_owned);
        match str(resource, "resourceType").unwrap_or_default() {
            "EC2_INSTANCE" => place.instance = place.instance.or_else(last),
            "EC2_NETWORK_INTERFACE" => place.network_interface = place.network_interface.or_else(last),
            "ECS_CLUSTER" => place.cluster = place.cluster.or(Some(uid)),
            "EKS_CLUSTER" => place.cluster = place.cluster.or_else(last),
            "ECS_TASK" => place.task = place.task.or(Some(uid)),
            "CONTAINER" => {
                let image = text_at(resource, &["data", "container", "image"]);
                place.image = place.image.or_else(|| Some(ContainerImage::parse(&image?)));
            }
            _ => {}
        }
    }
    place
}

/// The image that a finding is about, else the one its instance runs.
fn machine_image(resource: &Value) -> Option<String> {
    let image = get(resource, "ec2ImageDetails");
    let named = image.and_then(|image| any(image, &["imageArn", "imageId", "arn"])).and_then(Value::as_str);
    let named = named.map(|name| Arn::parse(name).map_or(name, |arn| arn.resource));
    let id = named.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
    id.filter(|id| !id.is_empty()).or_else(|| text_at(resource, &["instanceDetails", "imageId"]))
}

/// Names of malware, then of the files it was found in, then of the program that raised the finding.
fn threats(service: &Value) -> Vec<String> {
    let volumes = at(service, &["ebsVolumeScanDetails", "scanDetections", "threatDetectedByName"]);
    let volumes = volumes.map(|it| list_of(it, "threatNames")).unwrap_or_default();
    let scanned = get(service, "malwareScanDetails").map(|it| list_of(it, "threats")).unwrap_or_default();
    let named: Vec<&Value> = volumes.into_iter().chain(scanned).collect();
    let names = named.iter().filter_map(|threat| text(threat, "name"));
    let files = named.iter().flat_map(|threat| {
        let lists = ["filePaths", "itemPaths", "itemDetails"];
        let found = lists.into_iter().flat_map(|key| list_of(threat, key));
        found.filter_map(|file| {
            let path = any(file, &["filePath", "nestedItemPath", "itemPath", "fileName"]);
            path.and_then(super::fields::scalar)
        })
    });
    let program = text_at(service, &["runtimeDetails", "process", "executablePath"]);
    let mut threats: Vec<String> = Vec::new();
    for threat in names.chain(files).chain(program) {
        if threats.len() < MOST_THREATS && !threats.contains(&threat) {
            threats.push(threat);
        }
    }
    threats
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::Activity;
    use crate::source::tests::{sample, surroundings};

    fn activity(event: &Value) -> Activity {
        let mut reading = crate::source::read(event, &surroundings());
        assert_eq!(reading.activities.len(), 1, "{reading:?}");
        reading.activities.remove(0)
    }

    fn reported(event: &Value) -> Reported {
        match activity(event).action {
            Action::VerdictReported(reported) => reported,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn malware_in_a_machine_image_names_image_malware_and_file() {
        let event = sample("guardduty-malicious-image");
        let found = reported(&event);
        assert_eq!(found.machine_image.as_deref(), Some("ami-0d1c2b3a495867765"));
        assert_eq!(found.threats, ["Linux.Coinminer.Example", "/opt/.cache/kthreadd"]);
        assert_eq!((found.severity, found.sample), (8.0, false));
        assert_eq!(activity(&event).account, "111122223333", "not the administrator's");
    }

    #[test]
    fn a_finding_is_placed_where_its_resource_is() {
        let instance = reported(&sample("guardduty-mining-instance")).place;
        assert_eq!(instance.instance.as_deref(), Some("i-0c3f6a1be2d94785f"));
        assert_eq!((instance.address, instance.vpc.is_some()), ("10.20.4.17".parse().ok(), true));
        let task = reported(&sample("guardduty-mining-ecs-task"));
        assert!(task.place.task.is_some_and(|arn| arn.contains(":task/wz81mfa/")));
        assert_eq!(task.place.image.map(|it| it.name).as_deref(), Some("quietharbor/sysbase:kt"));
        assert_eq!(task.threats, ["/opt/sysbase/start"]);
        let pod = reported(&sample("guardduty-malicious-file-eks"));
        assert_eq!(pod.place.label(), "media/thumbnailer-6c9f7d5b8-x2k4q");
        assert_eq!((pod.place.cluster.as_deref(), pod.threats.len()), (Some("platform"), 2));
        let container = reported(&sample("guardduty-runtime-container")).place;
        assert!(container.container.is_some() && container.image.is_some() && container.instance.is_some());
    }

    #[test]
    fn an_attack_sequence_is_placed_by_its_list_of_resources() {
        let event = json!({"detail-type": "GuardDuty Finding", "account": "111122223333", "detail": {
            "id": "a", "type": "AttackSequence:ECS/CompromisedCluster", "severity": 9,
            "resource": {"resourceType": "AttackSequence"},
            "service": {"detection": {"sequence": {"resources": [
                {"uid": "arn:aws:ecs:eu-central-1:111122223333:cluster/c", "resourceType": "ECS_CLUSTER"},
                {"uid": "arn:aws:ec2:eu-central-1:111122223333:instance/i-1", "resourceType": "EC2_INSTANCE"},
                {"uid": "x", "resourceType": "CONTAINER", "data": {"container": {"image": "a/b"}}}]}}}}});
        let place = reported(&event).place;
        assert_eq!(place.instance.as_deref(), Some("i-1"));
        assert!(place.cluster.is_some() && place.image.is_some());
    }

    #[test]
    fn samples_are_told_however_they_are_marked() {
        let mut event = sample("guardduty-sample");
        assert!(reported(&event).sample);
        event["detail"]["title"] = json!("An instance is mining.");
        assert!(reported(&event).sample, "by the JSON within a string");
        event["detail"]["service"]["additionalInfo"] = json!({"sample": true});
        assert!(reported(&event).sample);
        event["detail"]["service"]["additionalInfo"] = json!({"value": "{broken"});
        assert!(!reported(&event).sample);
    }

    #[test]
    fn an_updated_finding_is_another_event_about_the_same_finding() {
        let mut event = sample("guardduty-mining-instance");
        let first = activity(&event).id;
        event["id"] = json!("delivered anew");
        assert_eq!(activity(&event).id, first);
        let finding = reported(&event).finding;
        event["detail"]["updatedAt"] = json!("2026-03-03T11:00:00.000Z");
        assert_ne!(activity(&event).id, first);
        assert_eq!(reported(&event).finding, finding);
    }

    #[test]
    fn a_finding_is_read_without_its_envelope_too() {
        let event = sample("guardduty-mining-ecs-task");
        assert_eq!(reported(&event["detail"]), reported(&event));
    }

    #[test]
    fn findings_about_credentials_are_somebody_elses_business() {
        let reading = crate::source::read(&sample("guardduty-access-key"), &surroundings());
        assert_eq!((reading.activities.len(), reading.ignored), (0, 1));
    }
}
