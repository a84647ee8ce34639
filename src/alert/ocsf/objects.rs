//! OCSF objects made from an activity: who called what from where, and what it was about.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::activity::{Action, Activity, Actor, ActorKind, ApiCall, Cloud, ImageRef, Origin, Place};
use crate::alert::safe::{line, shown};
use crate::alert::{Alert, console, shape};
use crate::detection::Subject;

/// Characters of a name; longer ones are no name that a service gives.
const NAME: usize = 512;

/// `actor`, `api`, `src_endpoint` and `http_request` of an evidence, as far as the event tells them.
pub fn caller(activity: &Activity, max: usize) -> Map<String, Value> {
    let mut caller = Map::new();
    if let Some(actor) = &activity.actor {
        caller.insert("actor".into(), self::actor(actor));
    }
    if let Some(call) = &activity.api {
        caller.insert("api".into(), api(call, max));
        if let Some(from) = call.source_ip.as_deref().filter(|from| !from.is_empty()) {
            // Where a service called, its name stands in the address's place.
            let key = if from.parse::<IpAddr>().is_ok() { "ip" } else { "svc_name" };
            caller.insert("src_endpoint".into(), json!({key: shown(from, NAME)}));
        }
        if let Some(agent) = call.user_agent.as_deref().filter(|agent| !agent.is_empty()) {
            caller.insert("http_request".into(), json!({"user_agent": line(agent, max.min(NAME))}));
        }
    }
    caller
}

fn actor(actor: &Actor) -> Value {
    let (type_id, kind) = match actor.kind {
        ActorKind::Root => (2, "Admin"),
        ActorKind::Service | ActorKind::ServiceLinkedRole => (4, "Service"),
        ActorKind::Unknown => (0, "Unknown"),
        _ => (1, "User"),
    };
    let mut user = json!({"uid": shown(&actor.principal, NAME), "type_id": type_id, "type": kind});
    let mut session = Map::new();
    if let Some(user) = user.as_object_mut() {
        if !actor.name.is_empty() {
            user.insert("name".into(), shown(&actor.name, NAME).into());
        }
        if let Some(account) = actor.account.as_deref().filter(|account| !account.is_empty()) {
            user.insert(
                "account".into(),
                json!({"uid": shown(account, 128), "type_id": 10, "type": "AWS Account"}),
            );
        }
        if let Some(key) = actor.access_key_id.as_deref().filter(|key| !key.is_empty()) {
            let kind = if key.starts_with("ASIA") { "Temporary access key" } else { "Access key" };
            user.insert("programmatic_credentials".into(), json!([{"uid": shown(key, NAME), "type": kind}]));
        }
    }
    if let Some(uid) = &actor.session {
        session.insert("uid".into(), shown(uid, NAME).into());
    }
    if let Some(identity) = &actor.source_identity {
        session.insert("uid_alt".into(), shown(identity, NAME).into());
    }
    if let Some(mfa) = actor.mfa {
        session.insert("is_mfa".into(), mfa.into());
    }
    let mut object = Map::new();
    object.insert("user".into(), user);
    if !session.is_empty() {
        object.insert("session".into(), session.into());
    }
    if let Some(service) = &actor.invoked_by {
        object.insert("app_name".into(), shown(service, NAME).into());
    }
    Value::Object(object)
}

fn api(call: &ApiCall, max: usize) -> Value {
    let mut api =
        json!({"operation": shown(&call.operation, NAME), "service": {"name": shown(&call.service, NAME)}});
    if let Some(api) = api.as_object_mut() {
        if let Some(uid) = call.request_id.as_deref().filter(|uid| !uid.is_empty()) {
            api.insert("request".into(), json!({"uid": shown(uid, NAME)}));
        }
        if let Some(error) = &call.error_code {
            let mut response = json!({"error": shown(error, NAME)});
            if let (Some(response), Some(message)) = (response.as_object_mut(), &call.error_message) {
                response.insert("error_message".into(), line(message, max.min(1_024)).into());
            }
            api.insert("response".into(), response);
        }
    }
    api
}

/// What the alert is about, the subject itself first (`role` Target), at most `max`.
pub fn resources(alert: &Alert, max: usize) -> Vec<Value> {
    let activity = alert.activity.as_ref();
    let mut resources = Vec::new();
    match &activity.action {
        Action::ImageLaunched(launch) => {
            if activity.cloud == Cloud::Aws {
                resources.extend(launch.image.id().map(|id| ec2(activity, "Image", "image", id, TARGET)));
            } else if launch.image != ImageRef::Unknown {
                let label = launch.image.label();
                resources.push(resource(activity, "Machine image", &label, &label, TARGET));
            }
            for instance in &launch.instances {
                let mut resource = ec2(activity, "Instance", "instance", &instance.id, AFFECTED);
                let ip = instance.private_ip.as_deref().filter(|ip| ip.parse::<IpAddr>().is_ok());
                if let (Some(resource), Some(ip)) = (resource.as_object_mut(), ip) {
                    resource.insert("ip".into(), ip.into());
                }
                resources.push(resource);
                if resources.len() >= max {
                    break;
                }
            }
        }
        Action::ImageDerived(derivation) => {
            resources.extend(derivation.image.iter().map(|id| ec2(activity, "Image", "image", id, TARGET)));
            let origins = derivation.origins.iter().take(max);
            resources.extend(origins.filter_map(|origin| made_from(activity, origin)));
        }
        Action::DiskMade(disk) => {
            resources.push(resource(activity, "Disk", &disk.id, &disk.id, TARGET));
            resources.extend(made_from(activity, &disk.origin));
        }
        Action::VolumeAttached(attachment) => {
            resources.push(ec2(activity, "Instance", "instance", &attachment.instance, TARGET));
            resources.push(ec2(activity, "Volume", "volume", &attachment.volume, RELATED));
        }
        Action::ImageShared(share) => {
            resources.push(ec2(activity, "Image", "image", &share.image, TARGET));
        }
        Action::ImagePushed(push) => {
            let digest = push.digest.as_deref();
            resources.extend(ecr(activity, &push.registry, &push.repository, push.public, digest));
        }
        Action::ImageScanned(scan) => {
            resources.extend(ecr(activity, &scan.registry, &scan.repository, false, Some(&scan.digest)));
        }
        Action::GuardRailChanged(guard_rail) => {
            resources.push(resource(activity, "Setting", &guard_rail.target, &guard_rail.target, TARGET));
        }
        Action::LaunchTemplateChanged(change) => {
            let label = change.template.label();
            resources.push(resource(activity, "Launch template", &label, &label, TARGET));
        }
        Action::UserDataChanged(change) => {
            resources.push(ec2(activity, "Instance", "instance", &change.instance, TARGET));
        }
        Action::InstanceStopped(change) | Action::InstanceStarted(change) => {
            let instances = change.instances.iter().take(max);
            resources.extend(instances.map(|id| ec2(activity, "Instance", "instance", id, TARGET)));
        }
        Action::MonitoringChanged(change) => {
            resources.push(resource(activity, "Setting", &change.target, &change.target, TARGET));
        }
        Action::PolicyChanged(change) => {
            resources.push(resource(activity, "Policy", &change.location, &change.location, TARGET));
        }
        Action::ImagesSearched(_) | Action::SelfChecked(_) => {}
        Action::ImagePulled(pull) => {
            resources.push(resource(activity, "Container image", &pull.image.name, &pull.image.name, TARGET));
            resources.extend(place(activity, &pull.place));
        }
        Action::WorkloadDeclared(workload) => {
            resources.push(resource(activity, "Workload", &workload.name, &workload.name, TARGET));
            let images = workload.containers.iter().map(|container| container.image.name.as_str());
            resources.extend(images.map(|name| resource(activity, "Container image", name, name, RELATED)));
        }
        Action::ContainerStarted(start) => resources.extend(place(activity, &start.place)),
        Action::ProcessStarted(process) => resources.extend(place(activity, &process.place)),
        Action::Connected(connection) => resources.extend(place(activity, &connection.place)),
        Action::NameResolved(resolution) => resources.extend(place(activity, &resolution.place)),
        Action::VerdictReported(reported) => {
            let image = reported.machine_image.iter();
            resources.extend(image.map(|id| ec2(activity, "Image", "image", id, TARGET)));
            resources.extend(place(activity, &reported.place));
        }
    }
    resources
        .retain(|resource| resource.get("uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty()));
    resources.truncate(max);
    resources
}

fn made_from(activity: &Activity, origin: &Origin) -> Option<Value> {
    Some(match origin {
        Origin::Image { id, .. } => ec2(activity, "Image", "image", id, RELATED),
        Origin::Instance(id) => ec2(activity, "Instance", "instance", id, RELATED),
        Origin::Snapshot(id) | Origin::RemoteSnapshot { id, .. } => {
            ec2(activity, "Snapshot", "snapshot", id, RELATED)
        }
        Origin::Volume(id) => ec2(activity, "Volume", "volume", id, RELATED),
        Origin::Disk(url) => resource(activity, "Disk image", url, url, RELATED),
        Origin::Blocks => return None,
    })
}

/// Everything that a place names, the narrowest first.
fn place(activity: &Activity, place: &Place) -> Vec<Value> {
    let mut resources = Vec::new();
    let mut add = |kind: &str, id: &Option<String>| {
        resources.extend(id.iter().map(|id| resource(activity, kind, id, id, AFFECTED)));
    };
    add("Container", &place.container);
    add("Pod", &place.pod);
    add("Task", &place.task);
    add("Cluster", &place.cluster);
    if let Some(id) = &place.instance {
        resources.push(ec2(activity, "Instance", "instance", id, AFFECTED));
    }
    if let Some(image) = &place.image {
        resources.push(resource(activity, "Container image", &image.name, &image.name, RELATED));
    }
    resources
}

const TARGET: (u8, &str) = (1, "Target");
const AFFECTED: (u8, &str) = (3, "Affected");
const RELATED: (u8, &str) = (4, "Related");

fn ec2(activity: &Activity, kind: &str, noun: &str, id: &str, role: (u8, &str)) -> Value {
    let region = &activity.region;
    // AWS's images and snapshots have ARNs without an account.
    let account = if noun == "instance" { activity.account.as_str() } else { "" };
    let sound = shape::region(region) && (noun != "instance" || shape::account(account));
    let id_sound = ["ami", "i", "snap"].iter().any(|prefix| shape::resource(prefix, id));
    let uid = if activity.cloud == Cloud::Aws && sound && id_sound {
        format!("arn:{}:ec2:{region}:{account}:{noun}/{id}", console::partition(region))
    } else {
        id.to_owned()
    };
    let kind = match activity.cloud {
        Cloud::Aws => format!("AWS::EC2::{kind}"),
        Cloud::Azure => "Microsoft.Compute/virtualMachines".to_owned(),
        Cloud::Gcp => "compute.googleapis.com/Instance".to_owned(),
    };
    resource(activity, &kind, &uid, id, role)
}

fn ecr(
    activity: &Activity,
    registry: &str,
    repository: &str,
    public: bool,
    digest: Option<&str>,
) -> Vec<Value> {
    if repository.is_empty() {
        return Vec::new();
    }
    let region = &activity.region;
    let account = if shape::account(registry) { registry } else { activity.account.as_str() };
    let sound = shape::account(account) && shape::region(region) && shape::repository(repository);
    let (kind, uid) = match (public, sound) {
        (true, true) => (
            "AWS::ECR::PublicRepository",
            format!("arn:{}:ecr-public::{account}:repository/{repository}", console::partition(region)),
        ),
        (false, true) => (
            "AWS::ECR::Repository",
            format!("arn:{}:ecr:{region}:{account}:repository/{repository}", console::partition(region)),
        ),
        (true, false) => ("AWS::ECR::PublicRepository", repository.to_owned()),
        (false, false) => ("AWS::ECR::Repository", repository.to_owned()),
    };
    let mut resources = vec![resource(activity, kind, &uid, repository, TARGET)];
    if let Some(digest) = digest.filter(|digest| !digest.is_empty()) {
        resources.push(resource(
            activity,
            "Container image",
            digest,
            &format!("{repository}@{digest}"),
            TARGET,
        ));
    }
    resources
}

fn resource(activity: &Activity, kind: &str, uid: &str, title: &str, role: (u8, &str)) -> Value {
    let mut resource = json!({
        "uid": shown(uid, NAME),
        "name": shown(title, NAME),
        "type": kind,
        "role_id": role.0,
        "role": role.1,
    });
    if let Some(resource) = resource.as_object_mut().filter(|_| !activity.region.is_empty()) {
        resource.insert("region".into(), shown(&activity.region, 64).into());
    }
    resource
}

/// What a search would look for, with the path to where it stands in the finding.
pub fn observables(alert: &Alert, resources: &[Value]) -> Vec<Value> {
    let activity = &alert.activity;
    let mut observables = Vec::new();
    let mut add = |path: &str, (type_id, kind): (u8, &str), value: &str| {
        if !value.is_empty() {
            observables.push(json!({"name": path, "type_id": type_id, "type": kind, "value": value}));
        }
    };
    if let Some(actor) = &activity.actor {
        add("evidences[0].actor.user.uid", (31, "User Object: uid"), &shown(&actor.principal, NAME));
        add("evidences[0].actor.user.name", (4, "User Name"), &shown(&actor.name, NAME));
        if let Some(key) = &actor.access_key_id {
            let path = "evidences[0].actor.user.programmatic_credentials[0].uid";
            add(path, (19, "User Credential ID"), &shown(key, NAME));
        }
    }
    let from = activity.api.as_ref().and_then(|call| call.source_ip.as_deref());
    if let Some(ip) = from.filter(|from| from.parse::<IpAddr>().is_ok()) {
        add("evidences[0].src_endpoint.ip", (2, "IP Address"), ip);
    }
    if !activity.account.is_empty() {
        add("cloud.account.uid", (35, "Account Object: uid"), &shown(&activity.account, 128));
    }
    for (at, resource) in resources.iter().enumerate().take(20) {
        if let Some(uid) = resource.get("uid").and_then(Value::as_str) {
            add(&format!("resources[{at}].uid"), (10, "Resource UID"), uid);
        }
    }
    if let Subject::Scan { digest, .. } = &alert.subject {
        let at =
            resources.iter().position(|resource| resource.get("uid").and_then(Value::as_str) == Some(digest));
        at.into_iter().for_each(|at| add(&format!("resources[{at}].uid"), (8, "Hash"), digest));
    }
    observables
}
