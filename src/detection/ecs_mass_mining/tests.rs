use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::activity::{Workload, WorkloadKind};
use crate::detection::testing::*;
use crate::engine::Judgement;
use crate::history::{Key, Memory, trail};
use crate::policy::Policy;

const OWN: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1";

/// One principal's calls, one after another, remembered as the pipeline does.
#[derive(Default)]
struct Story {
    records: BTreeMap<Key, Record>,
    minute: i64,
    yaml: &'static str,
}

impl Story {
    fn tell(&mut self, region: &str, workload: Workload) -> Verdict {
        self.minute += 1;
        let mut event = declared(workload);
        event.id = format!("event-{}", self.minute);
        event.region = region.to_owned();
        event.time += TimeDelta::minutes(self.minute);
        let keys = trail::keys(&event);
        let found = keys.iter().filter_map(|key| self.records.get(key).cloned()).collect();
        let memory = Memory::new(&keys, found, event.time);
        let policy = policy(if self.yaml.is_empty() { "{}" } else { self.yaml });
        let facts = crate::lookup::Facts::default();
        let context = Context { policy: &policy, facts: &facts, memory: &memory, matches: &[] };
        let verdict = judge(&event, &context);
        let judgement =
            Judgement { activity: Arc::new(event), verdicts: Vec::new(), unavailable: Vec::new() };
        for record in trail::remember(&judgement, &policy, &memory) {
            self.records.insert(record.key.clone(), record);
        }
        verdict
    }
}

fn definition(image: &str, cpu: u32) -> Workload {
    Workload { name: "job:1".to_owned(), cpu: Some(cpu), ..workload(WorkloadKind::TaskDefinition, image) }
}

fn run(kind: WorkloadKind, cluster: &str, count: u32) -> Workload {
    Workload {
        name: "svc".to_owned(),
        cluster: Some(cluster.to_owned()),
        count: Some(count),
        definition: Some("arn:aws:ecs:eu-central-1:111122223333:task-definition/job:1".to_owned()),
        containers: Vec::new(),
        ..workload(kind, "")
    }
}

fn cluster(name: &str) -> Workload {
    Workload { name: name.to_owned(), containers: Vec::new(), ..workload(WorkloadKind::Cluster, "") }
}

#[test]
fn a_large_foreign_task_wanted_many_times_fires() {
    let mut story = Story::default();
    passed(story.tell(REGION, definition("evil/worker", 16384)));
    let found = matched(story.tell(REGION, run(WorkloadKind::Service, "c", 50)));
    assert_eq!(found.subject, Subject::ContainerImage { repository: "docker.io/evil/worker".to_owned() });
    assert!(
        found.summary.contains("16 virtual CPUs") && found.summary.contains("50 copies"),
        "{}",
        found.summary
    );
}

/// CloudTrail delivers in any order.
#[test]
fn the_order_of_events_does_not_matter() {
    let mut story = Story::default();
    passed(story.tell(REGION, run(WorkloadKind::Service, "c", 50)));
    matched(story.tell(REGION, definition("evil/worker", 16384)));
}

#[test]
fn many_small_runs_add_up() {
    let mut story = Story::default();
    passed(story.tell(REGION, definition("evil/worker", 16384)));
    for number in 0..9 {
        passed(story.tell(REGION, run(WorkloadKind::Task, "c", 1)));
        assert!(number < 9);
    }
    matched(story.tell(REGION, run(WorkloadKind::Task, "c", 1)));
}

#[test]
fn many_clusters_or_regions_count() {
    let mut story = Story::default();
    for number in 0..40 {
        passed(story.tell(REGION, cluster(&format!("c{number}"))));
        // Forty clusters push nothing else out of memory.
        if number == 20 {
            break;
        }
    }
    matched(story.tell(REGION, definition("evil/worker", 16384)));
    let mut story = Story::default();
    passed(story.tell("us-east-1", definition("evil/worker", 16384)));
    passed(story.tell("us-west-2", definition("evil/worker", 16384)));
    matched(story.tell("ap-south-1", definition("evil/worker", 16384)));
}

#[test]
fn a_foreign_sidecar_is_found_behind_own_images() {
    let mut story = Story::default();
    let mut task = definition(OWN, 16384);
    for image in [OWN, OWN, "evil/worker"] {
        task.containers.push(workload(WorkloadKind::Pod, image).containers.remove(0));
    }
    passed(story.tell(REGION, task));
    matched(story.tell(REGION, run(WorkloadKind::Service, "c", 50)));
}

#[test]
fn an_ordinary_days_work_does_not_fire() {
    // Own image, however large and many.
    let mut story = Story::default();
    passed(story.tell(REGION, definition(OWN, 16384)));
    passed(story.tell(REGION, run(WorkloadKind::Service, "c", 500)));
    // A foreign one, small and many; large and few.
    for (cpu, count) in [(256, 50), (16384, 2)] {
        let mut story = Story::default();
        passed(story.tell(REGION, definition("nginx", cpu)));
        passed(story.tell(REGION, run(WorkloadKind::Service, "c", count)));
    }
    // Listed in the policy.
    let mut story = Story { yaml: "containers: {registries: [nginx]}", ..Story::default() };
    passed(story.tell(REGION, definition("nginx", 16384)));
    passed(story.tell(REGION, run(WorkloadKind::Service, "c", 500)));
}

#[test]
fn what_lies_hours_back_does_not_count() {
    let mut story = Story::default();
    passed(story.tell(REGION, definition("evil/worker", 16384)));
    story.minute += 120;
    passed(story.tell(REGION, run(WorkloadKind::Service, "c", 50)));
}

#[test]
fn another_principal_does_not_count() {
    let mut story = Story::default();
    passed(story.tell(REGION, definition("evil/worker", 16384)));
    let keys = trail::keys(&declared(run(WorkloadKind::Service, "c", 50)));
    let mut event = declared(run(WorkloadKind::Service, "c", 50));
    event.actor.as_mut().unwrap().principal = "arn:aws:iam::111122223333:role/other".to_owned();
    assert_ne!(keys, trail::keys(&event));
}

#[test]
fn failed_calls_and_missing_history_are_not_applicable() {
    let failed = Workload { failed: Some("AccessDenied".to_owned()), ..run(WorkloadKind::Service, "c", 50) };
    not_applicable(Story::default().tell(REGION, failed));
    let event = declared(definition("evil/worker", 16384));
    not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
}
