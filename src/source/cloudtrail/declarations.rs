//! Calls of many services that name the container images they will run, by a table.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Record, ecs, workloads};
use crate::activity::{Action, Activity, ContainerImage, DeclaredContainer, Workload, WorkloadKind};
use crate::source::fields::{get, list, scalar, texts};

/// One call of the table.
pub(super) struct Declaration {
    service: &'static str,
    pub operation: &'static str,
    kind: WorkloadKind,
    name: &'static str,
    images: Vec<Vec<&'static str>>,
}

/// Every call of the table.
pub(super) static DECLARATIONS: LazyLock<Vec<Declaration>> =
    LazyLock::new(|| include_str!("data/declarations.txt").lines().filter_map(declaration).collect());

/// Declarations name fewer containers than this.
const MOST_CONTAINERS: usize = 256;

fn declaration(line: &'static str) -> Option<Declaration> {
    let mut columns = line.split_whitespace().take_while(|word| !word.starts_with('#'));
    let (service, operation) = (columns.next()?, columns.next()?);
    let kind = match columns.next()? {
        "application" => WorkloadKind::Application,
        "build" => WorkloadKind::Build,
        "job" => WorkloadKind::Job,
        "model" => WorkloadKind::Model,
        _ => return None,
    };
    let name = columns.next()?;
    let images = columns.next()?.split(',').map(|path| path.split('.').collect()).collect();
    Some(Declaration { service, operation, kind, name, images })
}

/// The call of this name; of any service where the record lost its source.
pub(super) fn find(service: Option<&str>, operation: &str) -> Option<&'static Declaration> {
    // The control plane of AgentCore has been seen under both names.
    let service = service.map(|service| service.trim_end_matches("-control"));
    DECLARATIONS.iter().find(|declaration| {
        declaration.operation == operation && service.is_none_or(|service| declaration.service == service)
    })
}

/// What a record of the call declares; no container where it names no image of its own.
pub(super) fn read(record: &Record<'_>, declaration: &Declaration) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let mut containers: Vec<DeclaredContainer> = Vec::new();
    for path in &declaration.images {
        let Some((key, path)) = path.split_last() else { continue };
        for holder in record.request.into_iter().flat_map(|request| walk(request, path)) {
            let Some(image) = get(holder, key).and_then(scalar).filter(|image| !is_own(image)) else {
                continue;
            };
            let mut container = ecs::container(holder);
            container.image = ContainerImage::parse(&image);
            container.command.extend(texts(holder, "containerEntrypoint"));
            container.command.extend(texts(holder, "containerArguments"));
            if !containers.contains(&container) && containers.len() < MOST_CONTAINERS {
                containers.push(container);
            }
        }
    }
    let name = record.asked(&[declaration.name]);
    let workload =
        Workload { containers, failed: record.error.clone(), ..workloads::blank(declaration.kind, name) };
    vec![record.by_caller(Action::WorkloadDeclared(workload))]
}

/// Names that are no image of a registry: those that CodeBuild itself provides, images pushed to a Lightsail
/// service (`:web.app.3`), and Image Builder's own and machine images.
fn is_own(image: &str) -> bool {
    image.starts_with("aws/codebuild/")
        || image.starts_with(':')
        || image.starts_with("arn:")
        || image.starts_with("ami-")
}

/// The values at the end of a path.
fn walk<'a>(value: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    let mut found = vec![value];
    for part in path {
        found = found
            .into_iter()
            .flat_map(|value| match *part {
                "[]" => list(value),
                "*" => value.as_object().map(|map| map.values().collect()).unwrap_or_default(),
                key => get(value, key).into_iter().collect(),
            })
            .take(MOST_CONTAINERS)
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("data/declarations.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(DECLARATIONS.len(), lines.count());
    }

    #[test]
    fn paths_go_through_lists_and_maps() {
        let value = json!({"containers": {"web": {"image": "a"}, "log": {"image": "b"}}, "l": [{"x": 1}]});
        assert_eq!(walk(&value, &["containers", "*"]).len(), 2);
        assert_eq!(walk(&value, &["L", "[]"]), [&json!({"x": 1})]);
        assert!(walk(&value, &["nothing", "*"]).is_empty());
    }

    #[test]
    fn the_same_operation_of_two_services_is_told_apart() {
        assert!(find(Some("apprunner"), "CreateService").is_some());
        assert!(find(Some("ecs"), "CreateService").is_none());
        assert!(find(Some("bedrock-agentcore-control"), "CreateAgentRuntime").is_some());
    }
}
