//! ECS calls that declare what will run, and commands run in what runs already.
//!
//! Calls that failed are told with their error: somebody tried.

use serde_json::Value;

use super::Record;
use crate::activity::{Action, Activity, ContainerImage, DeclaredContainer, Workload, WorkloadKind};
use crate::source::fields::{any, at, count, flag, get, list, objects, text, text_at, texts};

/// CPU units of one virtual CPU.
const UNITS: f64 = 1024.0;

pub(super) const OPERATIONS: [&str; 9] = [
    "RegisterTaskDefinition",
    "RegisterDaemonTaskDefinition",
    "CreateTaskSet",
    "RunTask",
    "StartTask",
    "CreateService",
    "UpdateService",
    "CreateCluster",
    "ExecuteCommand",
];

pub(super) fn read(record: &Record<'_>) -> Vec<Activity> {
    let workload = match record.operation {
        "RegisterTaskDefinition" | "RegisterDaemonTaskDefinition" => task_definition(record),
        "RunTask" | "StartTask" => task(record),
        "CreateService" | "UpdateService" | "CreateTaskSet" => service(record),
        "CreateCluster" => cluster(record),
        "ExecuteCommand" => command(record),
        _ => return Vec::new(),
    };
    vec![record.by_caller(Action::WorkloadDeclared(workload))]
}

fn blank(record: &Record<'_>, kind: WorkloadKind, name: Option<String>) -> Workload {
    Workload { failed: record.error.clone(), ..super::workloads::blank(kind, name) }
}

fn task_definition(record: &Record<'_>) -> Workload {
    let answer = record.response.and_then(|response| get(response, "taskDefinition"));
    let family = record.asked(&["family"]).or_else(|| text(answer?, "family"));
    let revision = answer.and_then(|answer| text(answer, "revision"));
    let arn = || Some(short(&text(answer?, "taskDefinitionArn")?).to_owned());
    let name = match (family, revision) {
        (Some(family), Some(revision)) => Some(format!("{family}:{revision}")),
        (family, _) => arn().or(family),
    };
    let listed = |body: Option<&Value>| -> Vec<DeclaredContainer> {
        let definitions = body.map(|body| objects(body, "containerDefinitions")).unwrap_or_default();
        definitions.into_iter().map(container).collect()
    };
    let mut containers = listed(record.request);
    if containers.is_empty() {
        containers = listed(answer);
    }
    let asked = record.request.and_then(cpu).or_else(|| cpu(answer?));
    let body = record.request.or(answer);
    let shares = body.map(|body| objects(body, "containerDefinitions")).unwrap_or_default();
    let total = shares.into_iter().filter_map(cpu).fold(0u32, u32::saturating_add);
    Workload {
        containers,
        cpu: asked.or((total > 0).then_some(total)),
        ..blank(record, WorkloadKind::TaskDefinition, name)
    }
}

/// One container of a task definition, a job definition or an override.
pub(super) fn container(value: &Value) -> DeclaredContainer {
    let mut command = texts(value, "entryPoint");
    command.extend(texts(value, "command"));
    command.extend(texts(value, "args"));
    let environment = any(value, &["environment", "env"]).map(list).unwrap_or_default();
    DeclaredContainer {
        name: text(value, "name").unwrap_or_default(),
        image: text(value, "image").map(|image| ContainerImage::parse(&image)).unwrap_or_default(),
        command,
        environment: environment.into_iter().filter_map(|variable| text(variable, "name")).collect(),
        privileged: flag(value, "privileged") == Some(true)
            || at(value, &["securityContext"]).is_some_and(|it| flag(it, "privileged") == Some(true)),
        pull_policy: text(value, "imagePullPolicy"),
    }
}

/// CPU units: `16384`, or `16 vCPU`.
fn cpu(value: &Value) -> Option<u32> {
    let written = text(value, "cpu")?.to_ascii_lowercase();
    let (number, unit) = match written.strip_suffix("vcpu") {
        Some(number) => (number, UNITS),
        None => (written.as_str(), 1.0),
    };
    let units = number.trim().parse::<f64>().ok()? * unit;
    // `as` saturates; what is no positive number is no size.
    (units.is_finite() && units > 0.0).then_some(units as u32)
}

fn number(value: &Value, key: &str) -> Option<u32> {
    get(value, key).and_then(count).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn task(record: &Record<'_>) -> Workload {
    let tasks = record.response.map(|response| objects(response, "tasks")).unwrap_or_default();
    let answered = |key: &str| tasks.iter().find_map(|task| text(task, key));
    let definition = answered("taskDefinitionArn").or_else(|| record.asked(&["taskDefinition"]));
    let mut containers: Vec<DeclaredContainer> = Vec::new();
    for started in tasks.iter().flat_map(|task| objects(task, "containers")) {
        let found = container(started);
        let digest = text(started, "imageDigest");
        let image = ContainerImage { digest: digest.or(found.image.digest), ..found.image };
        let found = DeclaredContainer { image, ..found };
        if !containers.contains(&found) {
            containers.push(found);
        }
    }
    let overrides = record.request.and_then(|request| at(request, &["overrides"]));
    for replaced in overrides.map(|it| objects(it, "containerOverrides")).unwrap_or_default() {
        let replaced = container(replaced);
        match containers.iter_mut().find(|known| known.name == replaced.name) {
            Some(known) => {
                known.command = replaced.command;
                known.environment.extend(replaced.environment);
            }
            None => containers.push(replaced),
        }
    }
    let asked = record.request.and_then(|request| number(request, "count"));
    let started = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
    Workload {
        cluster: cluster_of(record, answered("clusterArn")),
        containers,
        cpu: overrides.and_then(cpu).or_else(|| tasks.iter().find_map(|task| cpu(task))),
        count: Some(asked.unwrap_or(started).max(1)),
        name: definition.as_deref().map(short).unwrap_or_default().to_owned(),
        definition,
        ..blank(record, WorkloadKind::Task, None)
    }
}

fn service(record: &Record<'_>) -> Workload {
    let answer = record.response.and_then(|response| any(response, &["service", "taskSet"]));
    let answered = |key: &str| text(answer?, key);
    let asked = record.asked(&["serviceName"]).or_else(|| record.asked(&["service"]));
    let asked = asked.or_else(|| answered("serviceArn"));
    let name = answered("serviceName").or_else(|| Some(short(&asked?).to_owned()));
    let wanted = record.request.and_then(|request| number(request, "desiredCount"));
    Workload {
        cluster: cluster_of(record, answered("clusterArn")),
        count: wanted.or_else(|| number(answer?, "desiredCount")),
        definition: answered("taskDefinition").or_else(|| record.asked(&["taskDefinition"])),
        ..blank(record, WorkloadKind::Service, name)
    }
}

fn cluster(record: &Record<'_>) -> Workload {
    let answered = record.answered(&["cluster", "clusterArn"]);
    let name = record.asked(&["clusterName"]).or_else(|| record.answered(&["cluster", "clusterName"]));
    let name = name.or_else(|| record.error.is_none().then(|| "default".to_owned()));
    Workload { cluster: answered.or_else(|| name.clone()), ..blank(record, WorkloadKind::Cluster, name) }
}

fn command(record: &Record<'_>) -> Workload {
    let name = record.answered(&["containerName"]).or_else(|| record.asked(&["container"]));
    let containers = name.map(|name| DeclaredContainer { name, ..DeclaredContainer::default() });
    let task = record.answered(&["taskArn"]).or_else(|| record.asked(&["task"]));
    Workload {
        cluster: cluster_of(record, record.answered(&["clusterArn"])),
        containers: containers.into_iter().collect(),
        command: record.request.and_then(|request| text_at(request, &["command"])),
        ..blank(record, WorkloadKind::Exec, task)
    }
}

/// The cluster's ARN where the response has it, else what was asked for; a call that names none means
/// the one called `default`.
fn cluster_of(record: &Record<'_>, answered: Option<String>) -> Option<String> {
    let unnamed = || record.request.map(|_| "default".to_owned());
    answered.or_else(|| record.asked(&["cluster"])).or_else(unnamed)
}

/// The last part of an ARN: `arn:...:task-definition/web:7` is `web:7`.
fn short(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}
