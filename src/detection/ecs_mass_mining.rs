//! A principal starts many large containers of a public image in ECS, in many places, within minutes.
//!
//! Reads what the same principal did before and after, in all regions: events arrive in any order.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::json;

use super::registry::{self, Standing, Used};
use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, steps};
use crate::activity::{Action, Activity, ContainerImage};
use crate::history::ecs::{self, DEFINED, Deed, RAN};
use crate::history::{Kind, Record};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecs-mass-mining",
    title: "Many large containers of a foreign image started in ECS",
    severity: Severity::High,
    score: 80,
    source: "Public threat reports: mining campaigns in ECS, 2024 and 2025",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// "Within minutes".
const WINDOW: TimeDelta = TimeDelta::minutes(30);
/// CPU units of a large task: eight virtual CPUs; sixteen is the most that Fargate gives.
const LARGE: u32 = 8192;
/// Copies wanted, all in all.
const MANY_COPIES: u32 = 10;
const MANY_CLUSTERS: usize = 5;
const MANY_REGIONS: usize = 3;

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let Action::WorkloadDeclared(workload) = &activity.action else {
        return other("nothing was declared");
    };
    if !ecs::concerns(workload) {
        return other("no task definition, task, service or cluster of ECS, or the call failed");
    }
    if !context.memory.is_kept() {
        return other("no history is kept to join the calls with");
    }
    let own = ecs::deeds(activity, workload);
    let is_definition = workload.kind == crate::activity::WorkloadKind::TaskDefinition;
    let mut defined = remembered(activity, context, &ecs::definitions(activity), DEFINED);
    let mut ran = remembered(activity, context, &ecs::runs(activity), RAN);
    if is_definition {
        defined.extend(own)
    } else {
        ran.extend(own)
    }

    // What runs of foreign definitions, and the definitions themselves.
    let foreign: Vec<(&Deed, String)> =
        defined.iter().filter_map(|deed| Some((deed, foreign(activity, context, &deed.image)?))).collect();
    let Some((_, repository)) = foreign.first() else {
        return Verdict::Pass("no task definition with a foreign image is known of this principal".into());
    };
    let runs: Vec<&Deed> =
        ran.iter().filter(|run| foreign.iter().any(|(definition, _)| is_run_of(run, definition))).collect();
    let copies = runs.iter().fold(0u32, |sum, run| sum.saturating_add(run.count));
    let cpu =
        foreign.iter().map(|(deed, _)| deed.cpu).chain(runs.iter().map(|run| run.cpu)).max().unwrap_or(0);
    let clusters: BTreeSet<(&str, &str)> = ran
        .iter()
        .filter(|run| !run.cluster.is_empty())
        .map(|run| (run.region.as_str(), run.cluster.as_str()))
        .collect();
    let regions: BTreeSet<&str> = ran.iter().chain(&defined).map(|deed| deed.region.as_str()).collect();
    let spread = clusters.len() >= MANY_CLUSTERS || regions.len() >= MANY_REGIONS;
    let mut signs = Vec::new();
    if cpu >= LARGE {
        signs.push(format!("{} virtual CPUs a task", cpu / 1024));
    }
    if copies >= MANY_COPIES {
        signs.push(format!("{copies} copies wanted"));
    }
    if spread {
        let clusters = steps::counted(clusters.len() as u64, "cluster", "clusters");
        signs.push(format!("{clusters} in {}", steps::counted(regions.len() as u64, "region", "regions")));
    }
    if signs.len() < 2 {
        return Verdict::Pass(
            format!(
                "of large tasks, many copies and many places, {} shows for {repository}",
                signs.first().map_or("none", String::as_str)
            )
            .into(),
        );
    }
    let regions: Vec<&str> = regions.into_iter().collect();
    Verdict::matched(Match {
        subject: Subject::ContainerImage { repository: repository.clone() },
        severity: None,
        summary: format!(
            "{} starts {repository} in ECS as miners do, within {} minutes: {}.",
            activity.principal(),
            WINDOW.num_minutes(),
            signs.join(", ")
        ),
        evidence: evidence([
            ("image", json!(foreign.first().map(|(deed, _)| &deed.image))),
            ("repository", json!(repository)),
            ("principal", json!(activity.principal())),
            ("cpu_units", json!(cpu)),
            ("copies", json!(copies)),
            ("clusters", json!(clusters.len())),
            ("regions", json!(regions)),
            ("workload", json!(workload.name)),
        ]),
        next_steps: vec![
            steps::trace_actor(activity),
            NextStep::new(
                "Set the services' desired count to 0 in every region, then delete services and clusters.",
                steps::aws(activity, "ecs list-clusters", "--output text"),
            ),
            NextStep::new(
                "Take the credentials from whoever holds them, and look for launches of instances too.",
                None,
            ),
        ],
        not_inspected: Vec::new(),
    })
}

/// What the principal did within the window, before or after.
fn remembered(activity: &Activity, context: &Context<'_>, id: &str, label: &str) -> Vec<Deed> {
    let record: Option<&Record> = context.memory.across(activity, Kind::Principal, id);
    let traces = record.into_iter().flat_map(|record| &record.traces);
    traces
        .filter(|trace| {
            trace.label == label
                && trace.source != activity.id
                && (trace.time - activity.time).abs() <= WINDOW
        })
        .filter_map(|trace| serde_json::from_str(&trace.detail).ok())
        .collect()
}

/// The repository of an image that is not approved.
fn foreign(activity: &Activity, context: &Context<'_>, name: &str) -> Option<String> {
    let image = ContainerImage { name: name.to_owned(), digest: None };
    let reference = registry::reference(&image)?;
    let used =
        Used { image: &image, reference: Some(reference), namespace: None, container: None, upstream: None };
    match registry::standing(activity, context.policy, &used) {
        Standing::Foreign(_) => used.reference.map(|reference| reference.repository()),
        Standing::Approved(_) | Standing::Unsure(_) => None,
    }
}

/// `family:3` is a run of `family:3`; `family` alone is one of its newest revision, whichever that is.
fn is_run_of(run: &Deed, definition: &Deed) -> bool {
    let family = definition.definition.split(':').next().unwrap_or_default();
    !run.definition.is_empty()
        && run.region == definition.region
        && (run.definition == definition.definition
            || run.definition == family
            || definition.definition == run.definition.split(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
