//! Google Cloud's audit log: Compute Engine instances being inserted.
//!
//! One operation is two entries, when it begins and when it is done. The first carries the request, and
//! the image that a family stood for.

use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{any, at, count, flag, get, list_of, objects, str, text, text_at};
use crate::activity::{Action, Actor, ActorKind, ApiCall, Cloud, ImageRef, Instance, Launch, LaunchOutcome};

/// Whether this is an audit log entry, also one that lost a field.
pub(super) fn is_record(value: &Value) -> bool {
    let audit = |name: &str| name.contains("cloudaudit.googleapis.com");
    get(value, "protoPayload").is_some_and(Value::is_object)
        || str(value, "logName").is_some_and(audit)
        || str(value, "@type").is_some_and(|kind| kind.ends_with("google.cloud.audit.AuditLog"))
}

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    let Some(payload) = get(value, "protoPayload").filter(|payload| payload.is_object()) else {
        return Reading::unreadable(&envelope.place, "Google Cloud audit log entry without protoPayload");
    };
    let Some(method) = str(payload, "methodName") else {
        return Reading::unreadable(&envelope.place, "Google Cloud audit log entry without methodName");
    };
    if !is_insert(method) || is_last(value) {
        return Reading::ignored();
    }
    let record = Record { entry: value, payload };
    Reading::of(vec![record.activity(envelope, method)])
}

/// `v1.compute.instances.insert`, `beta.compute.instances.bulkInsert`,
/// `v1.compute.regionInstances.bulkInsert`
fn is_insert(method: &str) -> bool {
    let mut parts = method.rsplit('.');
    let (verb, noun, api) = (parts.next(), parts.next(), parts.next());
    matches!(verb, Some("insert" | "bulkInsert"))
        && matches!(noun, Some("instances" | "regionInstances"))
        && api == Some("compute")
}

/// The second entry of an operation. A refused request has no operation at all.
fn is_last(entry: &Value) -> bool {
    let Some(operation) = get(entry, "operation") else { return false };
    flag(operation, "last") == Some(true) && flag(operation, "first") != Some(true)
}

struct Record<'a> {
    entry: &'a Value,
    payload: &'a Value,
}

impl Record<'_> {
    fn activity(&self, envelope: &Envelope<'_>, method: &str) -> crate::activity::Activity {
        let launch = self.launch();
        let own = Own {
            id: text_at(self.entry, &["operation", "id"]).or_else(|| text(self.entry, "insertId")),
            time: str(self.entry, "timestamp").and_then(|time| envelope.time_of(time)),
            // Never the account and region of the bus that brought it.
            account: Some(self.project()),
            region: Some(self.zone()),
        };
        let metadata = get(self.payload, "requestMetadata");
        let status = get(self.payload, "status");
        let api = ApiCall {
            service: text(self.payload, "serviceName").unwrap_or_else(|| "compute.googleapis.com".to_owned()),
            operation: method.to_owned(),
            error_code: self.error(),
            error_message: status.and_then(|status| text(status, "message")),
            request_id: text(self.entry, "insertId"),
            source_ip: metadata.and_then(|it| text(it, "callerIp")),
            user_agent: metadata.and_then(|it| text(it, "callerSuppliedUserAgent")),
        };
        let action = Action::ImageLaunched(launch);
        let mut activity = envelope.activity(self.entry, own, self.actor(), Some(api), action);
        activity.cloud = Cloud::Gcp;
        activity
    }

    fn launch(&self) -> Launch {
        let request = get(self.payload, "request");
        // `bulkInsert` has the machine in there.
        let machine = request.map(|request| get(request, "instanceProperties").unwrap_or(request));
        let outcome = self.error().map_or(LaunchOutcome::Succeeded, LaunchOutcome::Attempted);
        let number = request.and_then(|request| get(request, "count")).and_then(count);
        let name = text(self.payload, "resourceName").and_then(|name| instance_name(&name));
        let id = name.or_else(|| text_at(self.entry, &["resource", "labels", "instance_id"]));
        let started = outcome == LaunchOutcome::Succeeded;
        let instances = id.filter(|_| started).map(|id| Instance { id, ..Instance::default() });
        Launch {
            image: self.image(machine),
            count: number.and_then(|number| u32::try_from(number).ok()).unwrap_or(1),
            instances: instances.into_iter().collect(),
            // `https://.../machineTypes/n2-standard-4`
            instance_type: machine
                .and_then(|machine| text(machine, "machineType"))
                .and_then(|kind| kind.rsplit('/').next().map(str::to_owned)),
            tags: machine.map(labels).unwrap_or_default(),
            note: machine.and_then(note),
            response_omitted: machine.is_none(),
            outcome,
            ..Launch::default()
        }
    }

    /// What the boot disk really was made from, as Google resolved it, else what was asked for.
    fn image(&self, machine: Option<&Value>) -> ImageRef {
        let used =
            at(self.payload, &["metadata", "usedResources"]).map(|used| objects(used, "attachedDisks"));
        let used = used.unwrap_or_default();
        let resolved = boot(&used, "isBootDisk").and_then(source);
        let asked = || {
            let disks = machine.map(|machine| objects(machine, "disks")).unwrap_or_default();
            let disk = boot(&disks, "boot")?;
            get(disk, "initializeParams").and_then(source).or_else(|| text(disk, "source"))
        };
        let whole = || text(machine?, "sourceMachineImage");
        match resolved.or_else(asked).or_else(whole) {
            Some(name) => image_ref(&name, &self.project()),
            None => ImageRef::Unknown,
        }
    }

    /// The project: what an account is to AWS.
    fn project(&self) -> String {
        let label = text_at(self.entry, &["resource", "labels", "project_id"]);
        let named = |text: Option<String>| text.and_then(|text| project_of(&text).map(str::to_owned));
        label
            .or_else(|| named(text(self.payload, "resourceName")))
            .or_else(|| named(text(self.entry, "logName")))
            .unwrap_or_default()
    }

    fn zone(&self) -> String {
        let label =
            at(self.entry, &["resource", "labels"]).and_then(|labels| any(labels, &["zone", "location"]));
        label.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn error(&self) -> Option<String> {
        let status = get(self.payload, "status")?;
        let code = get(status, "code").and_then(count).filter(|code| *code != 0)?;
        Some(match code {
            3 => "INVALID_ARGUMENT".to_owned(),
            5 => "NOT_FOUND".to_owned(),
            6 => "ALREADY_EXISTS".to_owned(),
            7 => "PERMISSION_DENIED".to_owned(),
            8 => "RESOURCE_EXHAUSTED".to_owned(),
            16 => "UNAUTHENTICATED".to_owned(),
            other => format!("STATUS_{other}"),
        })
    }

    fn actor(&self) -> Option<Actor> {
        let who = get(self.payload, "authenticationInfo")?;
        let email = text(who, "principalEmail");
        let principal = email.or_else(|| text(who, "principalSubject"))?;
        Some(Actor {
            kind: ActorKind::Unknown,
            name: principal.clone(),
            principal,
            account: None,
            session: None,
            source_identity: None,
            invoked_by: None,
            access_key_id: text(who, "serviceAccountKeyName"),
            mfa: None,
        })
    }
}

/// The boot disk: the one that says so, else the first, as Compute Engine has it.
fn boot<'a>(disks: &[&'a Value], key: &str) -> Option<&'a Value> {
    let says = disks.iter().find(|disk| flag(disk, key) == Some(true));
    says.or_else(|| disks.first()).copied()
}

fn source(disk: &Value) -> Option<String> {
    ["sourceImage", "sourceSnapshot", "sourceInstantSnapshot", "sourceDisk"]
        .iter()
        .find_map(|key| text(disk, key))
}

/// The project in a path: `projects/PROJECT/...`, whatever stands before it.
fn project_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/').skip_while(|part| *part != "projects");
    parts.next()?;
    parts.next().filter(|project| !project.is_empty())
}

fn instance_name(path: &str) -> Option<String> {
    let mut parts = path.split('/').skip_while(|part| *part != "instances");
    parts.next()?;
    parts.next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// `https://.../projects/debian-cloud/global/images/family/debian-13`; without a project it is the
/// instance's own.
fn image_ref(name: &str, own: &str) -> ImageRef {
    const KINDS: [&str; 5] = ["images", "snapshots", "machineImages", "instantSnapshots", "disks"];
    let parts: Vec<&str> = name.split('/').collect();
    let Some(kind) = parts.iter().position(|part| KINDS.contains(part)) else {
        return ImageRef::Other(name.to_owned());
    };
    let image = parts.get(kind..).unwrap_or_default().join("/");
    // Only what stands before the kind can be the project: an image's name comes after it.
    let path = parts.get(..kind).unwrap_or_default().join("/");
    let project = project_of(&path).unwrap_or(own);
    ImageRef::Gcp { project: project.to_owned(), image }
}

fn labels(machine: &Value) -> Vec<(String, String)> {
    match get(machine, "labels") {
        Some(Value::Object(labels)) => {
            labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        }
        _ => list_of(machine, "labels")
            .into_iter()
            .filter_map(|label| Some((text(label, "key")?, text(label, "value").unwrap_or_default())))
            .collect(),
    }
}

/// Metadata keys that run something at boot. Their values are left out of the log.
fn note(machine: &Value) -> Option<String> {
    let keys = get(machine, "metadata").map(|metadata| objects(metadata, "items")).unwrap_or_default();
    let mut found: Vec<String> = keys
        .into_iter()
        .filter_map(|item| text(item, "key"))
        .filter(|key| {
            key.contains("startup-script") || key.contains("sysprep-specialize") || key == "user-data"
        })
        .collect();
    found.sort();
    found.dedup();
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests;
