//! Calls of Lambda, AWS Batch and SageMaker that name the container images they will run.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Record, ecs, template};
use crate::activity::{Action, Activity, ContainerImage, DeclaredContainer, Workload, WorkloadKind};
use crate::source::fields::{Arn, any, at, find, text, texts};

/// Lambda's names carry the version of its API.
pub(super) const LAMBDA: [&str; 2] = ["CreateFunction20150331", "UpdateFunctionCode20150331v2"];
pub(super) const BATCH: &str = "RegisterJobDefinition";
pub(super) const SAGEMAKER: [&str; 5] =
    ["CreateModel", "CreateTrainingJob", "CreateProcessingJob", "CreateAlgorithm", "CreateModelPackage"];

/// Declarations name fewer containers than this.
const MOST_CONTAINERS: usize = 256;

/// A workload of which only kind and name are known.
pub(super) fn blank(kind: WorkloadKind, name: Option<String>) -> Workload {
    Workload {
        kind,
        name: name.unwrap_or_default(),
        cluster: None,
        namespace: None,
        containers: Vec::new(),
        cpu: None,
        count: None,
        definition: None,
        command: None,
        failed: None,
    }
}

fn declared(
    record: &Record<'_>,
    kind: WorkloadKind,
    name: Option<String>,
    of: Vec<DeclaredContainer>,
) -> Vec<Activity> {
    let failed = record.error.clone();
    let workload = Workload { containers: of, failed, ..blank(kind, name) };
    vec![record.by_caller(Action::WorkloadDeclared(workload))]
}

/// Functions made from a container image. Those made from an archive are no images.
pub(super) fn lambda(record: &Record<'_>) -> Vec<Activity> {
    if !LAMBDA.contains(&record.operation) || record.dry_run() {
        return Vec::new();
    }
    let image = record.asked(&["code", "imageUri"]).or_else(|| record.asked(&["imageUri"]));
    let kind = record.answered(&["packageType"]).or_else(|| record.asked(&["packageType"]));
    let nothing_told = record.request.is_none() && record.response.is_none() && record.error.is_none();
    let of_image = image.is_some() || nothing_told || kind.is_some_and(|kind| kind != "Zip");
    if !of_image {
        return Vec::new();
    }
    let config = |body: Option<&Value>, key: &str| {
        let config = any(body?, &["imageConfig", "imageConfigResponse"])?;
        let config = at(config, &["imageConfig"]).unwrap_or(config);
        Some(texts(config, key)).filter(|words| !words.is_empty())
    };
    let words = |key: &str| config(record.request, key).or_else(|| config(record.response, key));
    let mut command = words("entryPoint").unwrap_or_default();
    command.extend(words("command").unwrap_or_default());
    let variables = record.request.and_then(|request| at(request, &["environment", "variables"]));
    let variables = variables.and_then(Value::as_object).into_iter().flatten();
    let container = DeclaredContainer {
        image: image.map(|image| ContainerImage::parse(&image)).unwrap_or_default(),
        command,
        environment: variables.map(|(name, _)| name.clone()).collect(),
        ..DeclaredContainer::default()
    };
    // Named by its name, by its ARN, or by the account and its name.
    let name = record.asked(&["functionName"]).or_else(|| record.answered(&["functionName"]));
    let name = name.map(|name| match Arn::parse(&name) {
        Some(arn) => arn.resource.trim_start_matches("function:").to_owned(),
        None => name,
    });
    declared(record, WorkloadKind::Function, name, vec![container])
}

/// Compute environments name the machine images that their instances start from.
pub(super) const COMPUTE_ENVIRONMENTS: [&str; 2] = ["CreateComputeEnvironment", "UpdateComputeEnvironment"];

/// AWS Batch job definitions: plain, multi-node, on ECS or on EKS.
pub(super) fn batch(record: &Record<'_>) -> Vec<Activity> {
    if COMPUTE_ENVIRONMENTS.contains(&record.operation) {
        return template::compute_environment(record);
    }
    if record.operation != BATCH {
        return Vec::new();
    }
    let name = record.asked(&["jobDefinitionName"]).or_else(|| record.answered(&["jobDefinitionName"]));
    let name = match (name, record.answered(&["revision"])) {
        (Some(name), Some(revision)) => Some(format!("{name}:{revision}")),
        (name, _) => name,
    };
    declared(record, WorkloadKind::Job, name, images(record.request))
}

/// SageMaker models, algorithms and jobs that bring an image of their own.
pub(super) fn sagemaker(record: &Record<'_>) -> Vec<Activity> {
    if !SAGEMAKER.contains(&record.operation) {
        return Vec::new();
    }
    let containers = images(record.request);
    // A built-in algorithm or a model package stands in the image's place.
    let other = |key: &str| record.request.and_then(|request| find(request, key, |_| true));
    if containers.is_empty()
        && ["algorithmName", "modelPackageName"].into_iter().any(|key| other(key).is_some())
    {
        return Vec::new();
    }
    const NAMES: [&str; 5] =
        ["modelName", "trainingJobName", "processingJobName", "algorithmName", "modelPackageName"];
    let name = NAMES.iter().find_map(|key| record.asked(&[key]));
    declared(record, WorkloadKind::Model, name, containers)
}

/// Every part of a request that names an image, in the order of the nesting.
fn images(request: Option<&Value>) -> Vec<DeclaredContainer> {
    let mut queue: VecDeque<&Value> = request.into_iter().collect();
    let mut found: Vec<DeclaredContainer> = Vec::new();
    while let Some(value) = queue.pop_front() {
        match value {
            Value::Object(object) => {
                let named = ["image", "imageUri", "trainingImage"].iter().find_map(|key| text(value, key));
                if let Some(image) = named {
                    let mut container = ecs::container(value);
                    container.image = ContainerImage::parse(&image);
                    container.command.extend(texts(value, "containerEntrypoint"));
                    container.command.extend(texts(value, "containerArguments"));
                    if !found.contains(&container) && found.len() < MOST_CONTAINERS {
                        found.push(container);
                    }
                }
                queue.extend(object.values());
            }
            Value::Array(elements) => queue.extend(elements),
            _ => {}
        }
    }
    found
}
