//! The Kubernetes API server's audit log: pods and what makes pods, commands run inside, and the digests that
//! nodes report.

use serde_json::Value;

use super::eks_actor;
use super::envelope::{Envelope, Own};
use super::fields::{any, at, count, flag, get, list_of, objects, str, text, texts};
use super::image_ref;
use super::lines::{container_id, filled, line_id, own_time};
use crate::activity::{
    Action, Activity, ApiCall, ContainerImage, DeclaredContainer, Place, Start, Workload, WorkloadKind,
};

/// Resources whose pods are made from a template.
const TEMPLATES: [&str; 7] = [
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "replicationcontrollers",
    "jobs",
    "cronjobs",
];
/// Where a pod's description is: in a pod, in a template, in a cron job.
const SPECS: [&[&str]; 3] =
    [&["spec", "jobTemplate", "spec", "template", "spec"], &["spec", "template", "spec"], &["spec"]];
const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
const VOLUMES: &str = "volumes";

pub(super) fn is_event(value: &Value) -> bool {
    let version = str(value, "apiVersion").is_some_and(|version| version.starts_with("audit.k8s.io/"));
    version || (get(value, "auditID").is_some() && get(value, "stage").is_some())
}

/// # Errors
/// When the event lacks what makes it one.
pub(super) fn read(value: &Value, envelope: &Envelope<'_>, host: &Place) -> Result<Vec<Activity>, String> {
    if str(value, "kind") == Some("EventList") {
        let mut all = Vec::new();
        for event in
            objects(value, "items").into_iter().filter(|event| str(event, "kind") != Some("EventList"))
        {
            all.extend(read(event, envelope, host)?);
        }
        return Ok(all);
    }
    let verb = str(value, "verb").ok_or("an audit event without verb")?;
    let stage = str(value, "stage").ok_or("an audit event without stage")?;
    let Some(reference) = get(value, "objectRef") else { return Ok(Vec::new()) };
    let resource = str(reference, "resource").unwrap_or_default();
    let subresource = str(reference, "subresource").unwrap_or_default();
    let failed = failure(value);
    let done = stage == "ResponseComplete";
    // A server-side dry run creates nothing.
    let changes = matches!(verb, "create" | "update" | "patch") && !is_dry_run(value);
    let event = Event { value, reference, verb, failed, envelope, host };
    Ok(match (resource, subresource) {
        // A session is told when it starts, and again hours later when it ends: both are one event, and either
        // may be all that is logged.
        ("pods", "exec" | "attach") if stage == "ResponseStarted" || done => vec![event.exec()],
        ("pods", "" | "ephemeralcontainers") if done && changes => event.declared(WorkloadKind::Pod),
        ("pods", "status") if done && changes => event.reported(),
        (kind, "") if done && changes && TEMPLATES.contains(&kind) => {
            event.declared(WorkloadKind::PodTemplate)
        }
        _ => Vec::new(),
    })
}

/// Whether nothing was to be kept: `?dryRun=All`.
fn is_dry_run(value: &Value) -> bool {
    let query = str(value, "requestURI").and_then(|uri| uri.split_once('?')).map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.any(|(key, value)| key == "dryRun" && value.eq_ignore_ascii_case("All"))
}

/// Why the server refused, where it did.
fn failure(value: &Value) -> Option<String> {
    let status = get(value, "responseStatus")?;
    let code = get(status, "code").and_then(count).filter(|code| *code >= 400)?;
    Some(text(status, "reason").unwrap_or_else(|| code.to_string()))
}

struct Event<'a> {
    value: &'a Value,
    reference: &'a Value,
    verb: &'a str,
    failed: Option<String>,
    envelope: &'a Envelope<'a>,
    host: &'a Place,
}

impl Event<'_> {
    /// What was asked for, else what came of it.
    fn objects(&self) -> impl Iterator<Item = &Value> {
        any(self.value, &["requestObject"]).into_iter().chain(get(self.value, "responseObject"))
    }

    fn name(&self) -> String {
        let in_metadata = |key: &'static str| {
            self.objects().find_map(|object| at(object, &["metadata", key])?.as_str().map(str::to_owned))
        };
        // A controller's pods are named by the server.
        filled(self.reference, "name")
            .or_else(|| in_metadata("name"))
            .or_else(|| in_metadata("generateName"))
            .unwrap_or_default()
    }

    fn namespace(&self) -> Option<String> {
        filled(self.reference, "namespace")
    }

    fn activity(&self, action: Action, with_actor: bool) -> Activity {
        let resource = str(self.reference, "resource").unwrap_or_default();
        let what = match str(self.reference, "subresource") {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource.to_owned(),
        };
        let id = Some(self.id());
        let api = ApiCall {
            service: "kubernetes".to_owned(),
            operation: format!("{} {what}", self.verb),
            error_code: self.failed.clone(),
            error_message: at(self.value, &["responseStatus", "message"])
                .and_then(Value::as_str)
                .map(str::to_owned),
            request_id: text(self.value, "auditID"),
            source_ip: texts(self.value, "sourceIPs").into_iter().next(),
            user_agent: filled(self.value, "userAgent"),
        };
        let time = own_time(self.value, &["requestReceivedTimestamp"], self.envelope)
            .or_else(|| own_time(self.value, &["stageTimestamp"], self.envelope));
        let own = Own { id, time, ..Own::default() };
        let actor = if with_actor { get(self.value, "user").map(eks_actor::actor) } else { None };
        self.envelope.activity(self.value, own, actor, Some(api), action)
    }

    /// The caller chooses the audit id, so that it names nothing by itself. The log event's id is CloudWatch's own;
    /// a session's two stages are one event, told by when the server received it.
    fn id(&self) -> String {
        let session = matches!(str(self.reference, "subresource"), Some("exec" | "attach"));
        let received = str(self.value, "requestReceivedTimestamp").unwrap_or_default();
        let own = |key: &str| str(self.value, key).unwrap_or_default();
        let (log_event, stage, told) = if session && !received.is_empty() {
            ("", "", "")
        } else {
            (self.envelope.log_event.as_deref().unwrap_or_default(), own("stage"), own("stageTimestamp"))
        };
        let user = at(self.value, &["user", "username"]).and_then(Value::as_str).unwrap_or_default();
        let object = self.reference.to_string();
        let parts =
            [log_event, own("auditID"), stage, received, told, self.verb, own("requestURI"), user, &object];
        line_id("kubernetes", &parts)
    }

    /// `kubectl exec`: the command is in the request's address.
    fn exec(&self) -> Activity {
        let query =
            str(self.value, "requestURI").and_then(|uri| uri.split_once('?')).map_or("", |(_, query)| query);
        let all = |name: &str| -> Vec<String> {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).collect()
        };
        let command = all("command");
        let container = all("container").into_iter().next();
        let declared = container.map(|name| DeclaredContainer {
            name,
            command: command.clone(),
            ..DeclaredContainer::default()
        });
        let workload = Workload {
            kind: WorkloadKind::Exec,
            name: self.name(),
            cluster: self.host.cluster.clone(),
            namespace: self.namespace(),
            containers: declared.into_iter().collect(),
            cpu: None,
            count: None,
            definition: None,
            command: (!command.is_empty()).then(|| command.join(" ")),
            failed: self.failed.clone(),
        };
        self.activity(Action::WorkloadDeclared(workload), true)
    }

    fn declared(&self, kind: WorkloadKind) -> Vec<Activity> {
        let request = get(self.value, "requestObject");
        let from = |object: Option<&Value>| object.map(containers).unwrap_or_default();
        let mut found = from(request);
        // A patch of replicas or labels names no image: nothing new will run. Without the request (the
        // `Metadata` level, or one too large) the answer tells all, else the images stay unknown.
        if found.is_empty() && (self.verb == "create" || request.is_none()) {
            found = from(get(self.value, "responseObject"));
        }
        if found.is_empty() && request.is_some() && self.verb != "create" {
            return Vec::new();
        }
        let replicas = self.objects().find_map(|object| {
            any(get(object, "spec")?, &["replicas", "parallelism"])
                .and_then(count)
                .and_then(|it| u32::try_from(it).ok())
        });
        let workload = Workload {
            kind,
            name: self.name(),
            cluster: self.host.cluster.clone(),
            namespace: self.namespace(),
            containers: found,
            cpu: None,
            count: replicas,
            definition: None,
            command: None,
            failed: self.failed.clone(),
        };
        vec![self.activity(Action::WorkloadDeclared(workload), true)]
    }

    /// A node reports what runs, and from which digest. The node did not choose it: no actor.
    fn reported(&self) -> Vec<Activity> {
        if self.failed.is_some() {
            return Vec::new();
        }
        let Some(status) = self.objects().find_map(|object| get(object, "status")) else { return Vec::new() };
        let node =
            self.objects().find_map(|object| at(object, &["spec", "nodeName"])?.as_str().map(str::to_owned));
        let user = at(self.value, &["user", "username"]).and_then(Value::as_str);
        let node = node.or_else(|| user?.strip_prefix("system:node:").map(str::to_owned));
        let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
        let statuses = lists.into_iter().flat_map(|list| objects(status, list));
        let started = statuses.filter_map(|container| {
            let running = at(container, &["state", "running"])?;
            let image = image_ref::image(str(container, "image"), str(container, "imageID"));
            let start = Start {
                place: Place {
                    cluster: self.host.cluster.clone(),
                    namespace: self.namespace(),
                    pod: Some(self.name()).filter(|name| !name.is_empty()),
                    container: str(container, "containerID").and_then(container_id),
                    node: node.clone(),
                    image,
                    ..Place::default()
                },
                started: str(running, "startedAt").and_then(|time| self.envelope.time_of(time)),
                ..Start::default()
            };
            Some(self.activity(Action::ContainerStarted(start), false))
        });
        started.collect()
    }
}

/// Every container of a pod or a template, of an object or of a patch to one.
fn containers(object: &Value) -> Vec<DeclaredContainer> {
    if let Value::Array(operations) = object {
        return operations.iter().flat_map(patched).collect();
    }
    let spec = SPECS
        .iter()
        .filter_map(|path| at(object, path))
        .find(|spec| LISTS.iter().chain([&VOLUMES]).any(|list| !objects(spec, list).is_empty()));
    // An ephemeral container's own object once had its list at the top.
    let spec = spec.unwrap_or(object);
    let all = LISTS.iter().flat_map(|list| objects(spec, list));
    // A patch may touch a container without naming its image.
    let declared = all.filter(|container| str(container, "image").is_some()).map(container);
    declared.chain(objects(spec, VOLUMES).into_iter().filter_map(volume)).collect()
}

/// An image that is mounted as a volume: its files run in whatever mounts them.
pub(super) fn volume(value: &Value) -> Option<DeclaredContainer> {
    let source = get(value, "image")?;
    let image = image_ref::image(str(source, "reference"), None)?;
    Some(DeclaredContainer {
        name: filled(value, "name").unwrap_or_default(),
        image,
        pull_policy: filled(source, "pullPolicy"),
        ..DeclaredContainer::default()
    })
}

/// What one operation of a JSON patch puts in.
fn patched(operation: &Value) -> Vec<DeclaredContainer> {
    if !matches!(str(operation, "op"), Some("add" | "replace")) {
        return Vec::new();
    }
    let (Some(path), Some(value)) = (str(operation, "path"), get(operation, "value")) else {
        return Vec::new();
    };
    let steps: Vec<&str> = path.split('/').collect();
    let within = steps.iter().rposition(|step| LISTS.contains(step));
    if let Some(at) = steps.iter().rposition(|step| *step == VOLUMES).filter(|_| within.is_none()) {
        let of_image = |reference: &Value| {
            volume(&serde_json::json!({"image": {"reference": reference}})).into_iter().collect()
        };
        return match (value, steps.get(at.saturating_add(1)..).unwrap_or_default()) {
            (Value::Array(volumes), []) => volumes.iter().filter_map(volume).collect(),
            (Value::Object(_), [_]) => volume(value).into_iter().collect(),
            (Value::Object(_), [_, "image"]) => get(value, "reference").map(of_image).unwrap_or_default(),
            (Value::String(_), [_, "image", "reference"]) => of_image(value),
            _ => Vec::new(),
        };
    }
    match (value, within.map(|at| steps.len().saturating_sub(at))) {
        (Value::String(image), Some(3)) if steps.last() == Some(&"image") => {
            let image = image_ref::image(Some(image), None).unwrap_or_default();
            vec![DeclaredContainer { image, ..DeclaredContainer::default() }]
        }
        (Value::Array(elements), Some(1)) => {
            elements.iter().filter(|element| str(element, "image").is_some()).map(container).collect()
        }
        (Value::Object(_), Some(2)) if str(value, "image").is_some() => vec![container(value)],
        // The whole specification, or the template.
        // The whole specification, or the template.
        (Value::Object(_), None) => {
            let direct = containers(&serde_json::json!({ "spec": value }));
            if direct.is_empty() { containers(value) } else { direct }
        }
        _ => Vec::new(),
    }
}

fn container(value: &Value) -> DeclaredContainer {
    let mut command = texts(value, "command");
    command.extend(texts(value, "args"));
    let image: ContainerImage = image_ref::image(str(value, "image"), None).unwrap_or_default();
    DeclaredContainer {
        name: filled(value, "name").unwrap_or_default(),
        image,
        command,
        environment: list_of(value, "env")
            .into_iter()
            .filter_map(|variable| filled(variable, "name"))
            .collect(),
        privileged: get(value, "securityContext").and_then(|it| flag(it, "privileged")).unwrap_or(false),
        pull_policy: filled(value, "imagePullPolicy"),
    }
}

/// A value of a query without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.get(..2)) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).ok();
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = after.get(2..).unwrap_or_default();
                    }
                    None => bytes.push(b'%'),
                }
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
