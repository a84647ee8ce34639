use super::*;
use crate::activity::{ContainerImage, Place, Process, Pull, Start, WorkloadKind};
use crate::detection::testing::*;
use crate::lookup::Facts;
use crate::policy::Policy;

const IMAGE_NAME: &str = "docker.io/quietharbor/sysbase:kt";
const FOREIGN: [&str; 1] = ["container-image-not-approved"];

fn image() -> ContainerImage {
    ContainerImage { name: IMAGE_NAME.to_owned(), digest: Some(digest()) }
}

fn at_pod(name: &str) -> Place {
    Place { pod: Some(name.to_owned()), container: None, image: Some(image()), ..pod(IMAGE_NAME) }
}

fn pull() -> Activity {
    let pull = Pull { image: image(), ..Pull::default() };
    Activity { id: "pull".to_owned(), ..ran(Action::ImagePulled(pull)) }
}

fn start(pod: &str) -> Activity {
    let start = Start { place: at_pod(pod), ..Start::default() };
    later("start", 1, ran(Action::ContainerStarted(start)))
}

fn act(pod: &str, binary: &str, minutes: i64) -> Activity {
    let process = Process { place: at_pod(pod), ..process(binary, "") };
    later("act", minutes, executed(process))
}

fn judged(story: &Story, event: &Activity, matched: &[&str]) -> Verdict {
    story.judge_with(&DETECTION, event, &Policy::default(), &Facts::default(), matched)
}

#[test]
fn pull_start_and_wget_are_critical_in_whatever_order_they_arrive() {
    let events = [(pull(), &FOREIGN[..]), (start("a"), &FOREIGN), (act("a", "/usr/bin/wget", 2), &FOREIGN)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]] {
        let mut story = Story::watched();
        for number in &order[..2] {
            story.tell_with(&events[*number].0, events[*number].1);
        }
        let (last, matches) = &events[order[2]];
        let found = matched(judged(&story, last, matches));
        assert_eq!(found.severity, None, "{order:?}");
        assert_eq!(found.subject, Subject::Runtime { place: "web/a".to_owned() }, "{order:?}");
        assert_eq!(found.evidence["repository"], "docker.io/quietharbor/sysbase", "{order:?}");
        let line = found.evidence["timeline"].to_string();
        for part in ["pulled", "started", "ran wget in web/a"] {
            assert!(line.contains(part), "{order:?}: {line}");
        }
    }
}

/// GuardDuty names the task, and no digest; the pull through the cache is what was wrong.
#[test]
fn an_act_that_names_no_image_is_joined_by_the_containers_start() {
    let task = "arn:aws:ecs:eu-central-1:111122223333:task/shop/0a".to_owned();
    let own = ContainerImage {
        name: "111122223333.dkr.ecr.eu-central-1.amazonaws.com/hub/sysbase:kt".to_owned(),
        digest: Some(digest()),
    };
    let place = Place { task: Some(task.clone()), image: Some(own.clone()), ..Place::default() };
    let container = Place { container: Some("df614e51660c".to_owned()), ..place };
    let start = ran(Action::ContainerStarted(Start { place: container, ..Start::default() }));
    let verdict = crate::activity::Reported {
        finding_type: "Impact:Runtime/CryptoMinerExecuted".to_owned(),
        place: Place { task: Some(task.clone()), ..Place::default() },
        ..Default::default()
    };
    let pull = ran(Action::ImagePulled(Pull { image: own, ..Pull::default() }));
    let events = [
        (Activity { id: "pull".to_owned(), ..pull }, &FOREIGN[..]),
        (later("start", 1, start), &[]),
        (later("act", 2, ran(Action::VerdictReported(verdict))), &[]),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]] {
        let mut story = Story::watched();
        for number in &order[..2] {
            story.tell_with(&events[*number].0, events[*number].1);
        }
        let (last, matches) = &events[order[2]];
        let found = matched(judged(&story, last, matches));
        assert_eq!((found.severity, found.not_inspected.len()), (None, 0), "{order:?}");
        assert_eq!(found.subject, Subject::Runtime { place: task.clone() }, "{order:?}: as the act names it");
    }
}

/// A late pull completes the chains of all containers that run the image.
#[test]
fn a_late_pull_tells_each_container() {
    let mut story = Story::watched();
    for pod in ["a", "b"] {
        let (start, act) = (start(pod), act(pod, "/usr/bin/wget", 2));
        story.tell_with(&Activity { id: format!("start-{pod}"), ..start }, &FOREIGN);
        story.tell(&Activity { id: format!("act-{pod}"), ..act });
    }
    let verdict = judged(&story, &pull(), &FOREIGN);
    let subjects: Vec<&Subject> = verdict.matches().iter().map(|found| &found.subject).collect();
    let place = |pod: &str| Subject::Runtime { place: format!("web/{pod}") };
    assert_eq!(subjects, [&place("a"), &place("b")]);
}

/// The image's name still serves to keep it quiet.
#[test]
fn a_suppression_by_repository_or_image_holds() {
    let mut story = Story::watched();
    story.tell_with(&start("a"), &FOREIGN);
    let event = act("a", "/usr/bin/wget", 2);
    let found = matched(judged(&story, &event, &[]));
    for (key, pattern, holds) in [
        ("repository", "docker.io/quietharbor/*", true),
        ("image", "docker.io/quietharbor/sysbase", true),
        ("image", "docker.io/other/*", false),
    ] {
        let yaml = format!(
            "suppress: [{{detection: container-first-activity, {key}: '{pattern}', until: 2030-01-01, reason: known}}]"
        );
        let policy: Policy = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(policy.suppression(DETECTION.id, &found, &event).is_some(), holds, "{yaml}");
    }
}

#[test]
fn missing_links_are_named_and_make_it_high() {
    let mut story = Story::watched();
    story.tell_with(&start("a"), &FOREIGN);
    let found = matched(judged(&story, &act("a", "/bin/sh", 2), &[]));
    assert_eq!(
        (found.severity, found.not_inspected[0].code.as_str()),
        (Some(Severity::High), "pull-not-seen")
    );
    let mut story = Story::watched();
    story.tell_with(&pull(), &FOREIGN);
    let found = matched(judged(&story, &act("a", "/bin/sh", 2), &[]));
    assert_eq!(
        (found.severity, found.not_inspected[0].code.as_str()),
        (Some(Severity::High), "start-not-seen")
    );
}

/// ECS tells pull, creation and start in one event.
#[test]
fn one_task_event_has_all_links() {
    let mut story = Story::watched();
    let place = Place {
        task: Some("arn:aws:ecs:eu-central-1:111122223333:task/shop/0a".to_owned()),
        image: Some(image()),
        ..Place::default()
    };
    let noon = at("2026-05-13T12:00:00Z");
    let start = Start {
        place: place.clone(),
        pulled: Some(noon),
        created: Some(noon),
        started: Some(noon),
        ..Start::default()
    };
    story.tell_with(&ran(Action::ContainerStarted(start)), &FOREIGN);
    let place = Place { image: None, ..place };
    let event = later("act", 3, executed(Process { place, ..process("/tmp/xmrig", "") }));
    let found = matched(judged(&story, &event, &["miner-process"]));
    assert_eq!((found.severity, found.not_inspected.len()), (None, 0));
}

/// The audit log names the pod before anything of it runs.
#[test]
fn a_declared_pod_is_a_start() {
    let mut story = Story::watched();
    let mut pod = workload(WorkloadKind::Pod, IMAGE_NAME);
    pod.name = "a".to_owned();
    pod.namespace = Some("web".to_owned());
    story.tell_with(&declared(pod), &FOREIGN);
    let found = matched(judged(&story, &act("a", "/usr/bin/curl", 2), &[]));
    assert_eq!(found.not_inspected[0].code, "pull-not-seen");
}

#[test]
fn steps_of_different_pods_make_no_chain() {
    let mut story = Story::watched();
    story.tell_with(&start("a"), &FOREIGN);
    passed(judged(&story, &act("b", "/bin/sh", 2), &[]));
}

#[test]
fn approved_images_late_acts_and_ordinary_programs_pass() {
    let mut story = Story::watched();
    story.tell(&start("a"));
    passed(judged(&story, &act("a", "/bin/sh", 2), &[]));
    let mut story = Story::watched();
    story.tell_with(&start("a"), &FOREIGN);
    matched(judged(&story, &act("a", "/bin/sh", 16), &[]));
    passed(judged(&story, &act("a", "/bin/sh", 17), &[]));
    passed(judged(&story, &act("a", "/app/server", 2), &[]));
    let mut probe = act("a", "/bin/sh", 2);
    if let Action::ProcessStarted(process) = &mut probe.action {
        process.probe = true;
    }
    passed(judged(&story, &probe, &[]));
}

#[test]
fn without_history_nothing_is_joined() {
    not_applicable(Given::none().judge(&DETECTION, &start("a"), &Policy::default()));
    not_applicable(judged(&Story::watched(), &pushed(push()), &[]));
}
