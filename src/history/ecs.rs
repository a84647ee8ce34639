//! What a principal does in ECS, over all regions of the account: task definitions, runs, clusters.
//!
//! Definitions and runs have records of their own, so that fifty new clusters do not push the one task
//! definition out.

use serde::{Deserialize, Serialize};

use super::{Key, Kind};
use crate::activity::{Activity, Workload, WorkloadKind};

/// Labels of traces.
pub const DEFINED: &str = "ecs-defined";
pub const RAN: &str = "ecs-ran";

/// Characters of a name that are remembered: a trace holds 400.
const NAME: usize = 72;

/// Containers of one task definition, as many as ECS takes.
const CONTAINERS: usize = 10;

/// A registered task definition, or a run of one: what a trace's detail holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deed {
    /// `family:revision`, as far as given.
    #[serde(rename = "d", skip_serializing_if = "String::is_empty")]
    pub definition: String,
    /// CPU units.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    pub cpu: u32,
    /// One of its images, by name.
    #[serde(rename = "i", skip_serializing_if = "String::is_empty")]
    pub image: String,
    #[serde(rename = "c", skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(rename = "n", skip_serializing_if = "is_zero")]
    pub count: u32,
    #[serde(rename = "r")]
    pub region: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whether a workload is one of ECS's.
pub fn concerns(workload: &Workload) -> bool {
    matches!(
        workload.kind,
        WorkloadKind::TaskDefinition | WorkloadKind::Task | WorkloadKind::Service | WorkloadKind::Cluster
    ) && workload.failed.is_none()
}

/// The record of a principal's task definitions.
pub fn definitions(activity: &Activity) -> String {
    format!("ecs-definitions/{}", activity.principal())
}

/// The record of a principal's runs and clusters.
pub fn runs(activity: &Activity) -> String {
    format!("ecs-runs/{}", activity.principal())
}

/// What is read of a principal.
pub fn keys(activity: &Activity) -> [Key; 2] {
    [definitions(activity), runs(activity)].map(|id| Key::new(&activity.account, "", Kind::Principal, id))
}

/// What an activity does there: a definition once for each of its images.
pub fn deeds(activity: &Activity, workload: &Workload) -> Vec<Deed> {
    // What would be escaped could outgrow a trace; no real name holds it.
    let fits = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    let short = |text: &str| text.chars().filter(fits).take(NAME).collect::<String>();
    let definition = match workload.kind {
        WorkloadKind::TaskDefinition => Some(workload.name.as_str()),
        _ => workload.definition.as_deref(),
    };
    let cluster = match workload.kind {
        WorkloadKind::Cluster => Some(workload.name.as_str()),
        WorkloadKind::TaskDefinition => None,
        _ => Some(workload.cluster.as_deref().unwrap_or("default")),
    };
    let last = |text: &str| short(text.rsplit('/').next().unwrap_or(text));
    let deed = Deed {
        definition: definition.map(last).unwrap_or_default(),
        cpu: workload.cpu.unwrap_or_default(),
        image: String::new(),
        cluster: cluster.map(last).unwrap_or_default(),
        count: match workload.kind {
            WorkloadKind::Task => workload.count.unwrap_or(1),
            _ => workload.count.unwrap_or_default(),
        },
        region: activity.region.clone(),
    };
    let images: std::collections::BTreeSet<String> =
        workload.containers.iter().take(CONTAINERS).map(|container| short(&container.image.name)).collect();
    if images.is_empty() {
        return vec![deed];
    }
    images.into_iter().map(|image| Deed { image, ..deed.clone() }).collect()
}

/// The record, label and details that an activity leaves.
pub fn traces(activity: &Activity, workload: &Workload) -> Option<(String, &'static str, Vec<String>)> {
    if !concerns(workload) {
        return None;
    }
    let deeds = deeds(activity, workload);
    let details = deeds.iter().filter_map(|deed| serde_json::to_string(deed).ok()).collect();
    Some(match workload.kind {
        WorkloadKind::TaskDefinition => (definitions(activity), DEFINED, details),
        _ => (runs(activity), RAN, details),
    })
}
