//! What the detections about running things share: where it ran, what to show, and what to do next.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::{Context, NextStep, Subject, evidence, shape, steps};
use crate::activity::{Activity, Place, Process};
use crate::history::place::records;
use crate::history::trail::label;

/// Characters of a command line that are shown.
const COMMAND: usize = 300;

pub fn subject(place: &Place) -> Subject {
    Subject::Runtime { place: place.label() }
}

/// Where it ran, with what a reader needs to find it.
pub fn seen(place: &Place) -> Map<String, Value> {
    evidence([
        ("place", json!(place.label())),
        ("image", json!(place.image.as_ref().map(|image| &image.name))),
        ("digest", json!(place.image.as_ref().and_then(|image| image.digest.as_ref()))),
        ("workload", json!(place.workload)),
        ("cluster", json!(place.cluster)),
        ("container", json!(place.container)),
        ("task", json!(place.task)),
        ("instance", json!(place.instance)),
        ("node", json!(place.node)),
        ("address", json!(place.address)),
        ("network_interface", json!(place.network_interface)),
    ])
}

/// [`seen`], and the program.
pub fn seen_process(process: &Process) -> Map<String, Value> {
    let mut seen = evidence([
        ("binary", json!(process.binary)),
        ("command", json!(shown(process))),
        ("parent", json!(process.parent)),
        ("user", json!(process.user)),
    ]);
    seen.extend(self::seen(&process.place));
    seen
}

/// The command line, its secrets hidden.
pub fn shown(process: &Process) -> String {
    clean(&format!("{} {}", process.binary, process.arguments))
}

/// A command line fit to show.
pub fn clean(line: &str) -> String {
    crate::text::clean(&crate::text::redact(line), COMMAND)
}

/// `the pod web/web-1 (image nginx:1.27)`
pub fn place(place: &Place) -> String {
    let kind = if place.pod.is_some() {
        "the pod"
    } else if place.container.is_some() {
        "the container"
    } else if place.task.is_some() {
        "the task"
    } else if place.instance.is_some() {
        "the instance"
    } else {
        "the host"
    };
    match place.image.as_ref().filter(|image| !image.name.is_empty()) {
        Some(image) => format!("{kind} {} (image {})", place.label(), image.name),
        None => format!("{kind} {}", place.label()),
    }
}

/// How to look at it.
pub fn look(activity: &Activity, place: &Place) -> NextStep {
    let text = "Look at what runs there: who deployed it, from which image, since when.";
    let namespace = place.namespace.as_deref().unwrap_or("default");
    let pod = place.pod.as_deref().and_then(shape::kubernetes).zip(shape::kubernetes(namespace));
    let command = pod
        .map(|(pod, namespace)| format!("kubectl --namespace {namespace} describe pod {pod}"))
        .or_else(|| {
            let task = place.task.as_deref().and_then(shape::task)?;
            let cluster = task.rsplit('/').nth(1)?;
            steps::aws(activity, "ecs describe-tasks", &format!("--cluster {cluster} --tasks {task}"))
        })
        .or_else(|| {
            let instance = place.instance.as_deref().and_then(shape::instance)?;
            steps::aws(activity, "ec2 describe-instances", &format!("--instance-ids {instance}"))
        });
    NextStep::new(text, command)
}

/// How to stop it and keep the evidence.
pub fn isolate() -> NextStep {
    NextStep::new(
        "If nobody can explain it, cut it off from the network and keep it for evidence; then rotate every credential \
         it could read.",
        None,
    )
}

/// What else was told about the same place within a span before or after: ids of detections.
pub fn company<'a>(
    activity: &Activity,
    context: &Context<'a>,
    place: &Place,
    span: TimeDelta,
) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for (kind, id) in records(place) {
        let Some(record) = context.memory.about(activity, kind, &id) else { continue };
        let near = record.traces.iter().filter(|trace| {
            trace.label == label::MATCH
                && trace.source != activity.id
                && (trace.time - activity.time).abs() <= span
        });
        found.extend(near.map(|trace| trace.detail.as_str()));
    }
    found.sort_unstable();
    found.dedup();
    found
}
