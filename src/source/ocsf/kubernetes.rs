//! Kubernetes audit events as API Activity: what was declared to run, and commands run inside.

use serde_json::Value;

use super::{Record, container_image, first, runtime};
use crate::activity::{
    Action, Activity, Actor, ActorKind, ApiCall, DeclaredContainer, Workload, WorkloadKind,
};
use crate::source::fields::{at, flag, get, list_of, objects, str, text, text_at, texts};
use crate::source::lines::line_id;
use crate::source::{Reading, eks_audit};

/// Whether the API is Kubernetes'. More than one field tells, since each may be missing.
pub(super) fn is_audit(record: &Record<'_>) -> bool {
    let product = record.text(&["metadata", "product", "name"]).unwrap_or_default().to_ascii_lowercase();
    let service = record.text(&["api", "service", "name"]).unwrap_or_default().to_ascii_lowercase();
    let version = record.text(&["metadata", "product", "version"]).unwrap_or_default();
    product.contains("kubernetes")
        || product == "amazon eks"
        || service.contains("kube")
        || version.starts_with("audit.k8s.io")
        || url(record).is_some_and(|url| url.starts_with("/api/") || url.starts_with("/apis/"))
}

/// Whether nothing was to be kept: `?dryRun=All`.
fn is_dry_run(record: &Record<'_>) -> bool {
    query(record).split('&').any(|pair| pair.eq_ignore_ascii_case("dryRun=All"))
}

fn query(record: &Record<'_>) -> String {
    let query = record.text(&["http_request", "url", "query_string"]);
    let in_path = || Some(url(record)?.split_once('?')?.1.to_owned());
    query.or_else(in_path).unwrap_or_default().trim_start_matches('?').to_owned()
}

fn url(record: &Record<'_>) -> Option<String> {
    record.text(&["http_request", "url", "path"]).or_else(|| record.extra(&["requestURI"]))
}

/// What a request is about.
#[derive(Default)]
struct Target {
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

pub(super) fn read(record: &Record<'_>) -> Reading {
    let Some(verb) = record.at(&["api"]).and_then(|api| str(api, "operation")) else {
        return record.unreadable("OCSF API Activity without api.operation");
    };
    // The same request is told when it arrives and when it is done.
    let early = record.text(&["message"]).is_some_and(|stage| stage == "RequestReceived");
    let target = target(record);
    let session = matches!(target.subresource.as_deref(), Some("exec" | "attach"));
    let changes = matches!(verb, "create" | "update" | "patch") && !is_dry_run(record);
    // A session may be asked for with `get` (WebSocket).
    if early || !(changes || session) {
        return Reading::ignored();
    }
    let object = record.body(&["api", "request", "data"], &["requestObject"]);
    // A name that the server generates stands in the response only, as does a patched object as a whole.
    let answer = record.body(&["api", "response", "data"], &["responseObject"]);
    let workload = match target.subresource.as_deref() {
        Some("exec" | "attach") => Some(exec(record, &target)),
        None | Some("ephemeralcontainers") => {
            declared(record, verb, &target, object.as_ref(), answer.as_ref())
        }
        Some(_) => None,
    };
    Reading::of(workload.map(|workload| activity(record, verb, workload)).into_iter().collect())
}

fn activity(record: &Record<'_>, verb: &str, workload: Workload) -> Activity {
    let user = record.text(&["actor", "user", "name"]);
    let actor = user.map(|name| Actor {
        kind: ActorKind::Unknown,
        principal: name.clone(),
        name,
        account: None,
        session: None,
        source_identity: None,
        invoked_by: None,
        access_key_id: None,
        mfa: None,
    });
    let api = ApiCall {
        service: "kubernetes".to_owned(),
        operation: verb.to_owned(),
        error_code: workload.failed.clone(),
        error_message: None,
        request_id: record.text(&["api", "request", "uid"]),
        source_ip: record.text(&["src_endpoint", "ip"]),
        user_agent: record.text(&["http_request", "user_agent"]),
    };
    let mut own = record.own();
    // The audit id is one for all stages of a request, and the caller may choose it.
    let audit = record.text(&["api", "request", "uid"]).or_else(|| own.id.clone()).unwrap_or_default();
    let time = own.time.map(|time| time.to_rfc3339()).unwrap_or_default();
    let user = actor.as_ref().map_or("", |actor| actor.principal.as_str());
    let what = url(record).unwrap_or_default();
    let name = format!("{}/{}", workload.namespace.as_deref().unwrap_or_default(), workload.name);
    own.id = Some(line_id("kubernetes", &[audit.as_str(), &time, user, &what, verb, &name]));
    record.envelope.activity(record.raw, own, actor, Some(api), Action::WorkloadDeclared(workload))
}

/// From the request's path, else from the resource it names.
fn target(record: &Record<'_>) -> Target {
    if let Some(url) = url(record) {
        let path = url.split('?').next().unwrap_or_default();
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        // `api/v1/...` or `apis/GROUP/VERSION/...`
        let skip = if parts.peek() == Some(&"apis") { 3 } else { 2 };
        let mut parts = parts.skip(skip).peekable();
        let mut target = Target::default();
        if parts.peek() == Some(&"namespaces") {
            parts.next();
            target.namespace = parts.next().map(str::to_owned);
        }
        target.resource = parts.next().unwrap_or_default().to_owned();
        target.name = parts.next().map(str::to_owned);
        target.subresource = parts.next().map(str::to_owned);
        if !target.resource.is_empty() {
            return target;
        }
    }
    let named = list_of(record.raw, "resources").into_iter().find(|it| text(it, "type").is_some());
    let named = named.or_else(|| get(&record.unmapped, "objectRef"));
    let of = |keys: &[&str]| first(named?, keys);
    // `pods/exec`
    let kind = of(&["type", "resource"]).unwrap_or_default();
    let (resource, inner) =
        kind.split_once('/').map_or((kind.as_str(), None), |(kind, sub)| (kind, Some(sub)));
    Target {
        resource: resource.to_owned(),
        subresource: inner.map(str::to_owned).or_else(|| of(&["subresource"])),
        namespace: of(&["namespace"]),
        name: of(&["name"]),
    }
}

fn exec(record: &Record<'_>, target: &Target) -> Workload {
    let words: Vec<String> = query(record)
        .split('&')
        .filter_map(|pair| pair.strip_prefix("command="))
        .map(percent_decoded)
        .collect();
    Workload {
        command: (!words.is_empty()).then(|| words.join(" ")),
        ..workload(record, WorkloadKind::Exec, target, Vec::new())
    }
}

fn declared(
    record: &Record<'_>,
    verb: &str,
    target: &Target,
    object: Option<&Value>,
    answer: Option<&Value>,
) -> Option<Workload> {
    let (kind, path): (_, &[&str]) = match target.resource.as_str() {
        "pods" => (WorkloadKind::Pod, &["spec"]),
        "deployments" | "daemonsets" | "statefulsets" | "replicasets" | "replicationcontrollers" | "jobs" => {
            (WorkloadKind::PodTemplate, &["spec", "template", "spec"])
        }
        "cronjobs" => (WorkloadKind::PodTemplate, &["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => return None,
    };
    let of = |object: Option<&Value>| containers(at(object?, path)?);
    let mut containers = of(object).unwrap_or_default();
    // Security Lake's own mapping names the containers, and leaves the object out.
    let mapped = |side: &str| {
        let containers = record.at(&["api", side]).map(|it| objects(it, "containers")).unwrap_or_default();
        containers.into_iter().map(container).filter(|it| *it.image.name != *"" || it.image.digest.is_some())
    };
    if containers.is_empty() {
        containers = mapped("request").collect();
    }
    // A change that names no container changes no image.
    if containers.is_empty() && verb != "create" && object.is_some() {
        return None;
    }
    if containers.is_empty() {
        containers = of(answer).unwrap_or_default();
    }
    if containers.is_empty() && verb == "create" {
        containers = mapped("response").collect();
    }
    let named = |object: Option<&Value>| first(at(object?, &["metadata"])?, &["name", "generateName"]);
    let mut workload = workload(record, kind, target, containers);
    if workload.name.is_empty() {
        workload.name = named(answer).or_else(|| named(object)).unwrap_or_default();
    }
    Some(workload)
}

fn workload(
    record: &Record<'_>,
    kind: WorkloadKind,
    target: &Target,
    containers: Vec<DeclaredContainer>,
) -> Workload {
    Workload {
        kind,
        name: target.name.clone().unwrap_or_default(),
        cluster: record.extra(&["eks_cluster_name"]),
        namespace: target.namespace.clone(),
        containers,
        cpu: None,
        count: None,
        definition: None,
        command: None,
        failed: runtime::refused(record.at(&["api", "response", "code"])),
    }
}

fn containers(spec: &Value) -> Option<Vec<DeclaredContainer>> {
    let kinds = ["containers", "initContainers", "ephemeralContainers"];
    let all = kinds.iter().flat_map(|kind| objects(spec, kind)).map(container);
    let volumes = objects(spec, "volumes").into_iter().filter_map(eks_audit::volume);
    Some(all.chain(volumes).collect())
}

fn container(value: &Value) -> DeclaredContainer {
    let mut command = texts(value, "command");
    command.extend(texts(value, "args"));
    DeclaredContainer {
        name: text(value, "name").unwrap_or_default(),
        image: image(value),
        command,
        environment: objects(value, "env").into_iter().filter_map(|it| text(it, "name")).collect(),
        privileged: get(value, "securityContext").and_then(|it| flag(it, "privileged")) == Some(true),
        pull_policy: text(value, "imagePullPolicy"),
    }
}

/// A container's image: as Kubernetes writes it, or as OCSF does.
fn image(value: &Value) -> crate::activity::ContainerImage {
    let name = text(value, "image").or_else(|| text_at(value, &["image", "name"]));
    let id = text_at(value, &["image", "uid"]).filter(|id| id.contains("@sha256:"));
    let image = container_image(&name.or_else(|| id.clone()).unwrap_or_default());
    match id.and_then(|id| container_image(&id).digest) {
        Some(digest) if image.digest.is_none() => {
            crate::activity::ContainerImage { digest: Some(digest), ..image }
        }
        _ => image,
    }
}

/// `%2F` and `+`, as in a query; what is no escape stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high.saturating_mul(16).saturating_add(low)).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _, _) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
