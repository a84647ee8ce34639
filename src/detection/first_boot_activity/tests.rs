use super::*;
use crate::activity::{Instance, Launch, Place, Process, Reported};
use crate::detection::testing::*;
use crate::lookup::Facts;
use crate::policy::Policy;

const ENI: &str = "eni-0123456789abcdef0";

fn start() -> Activity {
    let instance =
        Instance { id: INSTANCE.to_owned(), network_interfaces: vec![ENI.to_owned()], ..Instance::default() };
    let launch = Launch { instances: vec![instance], ..launch(AMI) };
    Activity { id: "launch".to_owned(), ..launched(launch) }
}

fn on(place: Place, binary: &str, minutes: i64) -> Activity {
    let process = Process { place, ..process(binary, "") };
    later("act", minutes, executed(process))
}

fn host() -> Place {
    Place { instance: Some(INSTANCE.to_owned()), ..Place::default() }
}

fn judged(story: &Story, event: &Activity, matched: &[&str]) -> Verdict {
    story.judge_with(&DETECTION, event, &Policy::default(), &Facts::default(), matched)
}

const UNAPPROVED: [&str; 1] = ["machine-image-not-approved"];
const MINER: [&str; 1] = ["miner-process"];

#[test]
fn launch_and_miner_are_critical_in_whatever_order_they_arrive() {
    let (launch, act) = (start(), on(host(), "/tmp/xmrig", 4));
    let mut story = Story::watched();
    story.tell_with(&launch, &UNAPPROVED);
    let one = matched(judged(&story, &act, &MINER));
    let mut story = Story::watched();
    story.tell_with(&act, &MINER);
    let other = matched(judged(&story, &launch, &UNAPPROVED));
    for found in [&one, &other] {
        assert_eq!(found.severity, None);
        assert_eq!(found.evidence["timeline"].as_array().map(Vec::len), Some(3));
        assert!(found.summary.contains("4 minutes"), "{}", found.summary);
    }
    assert_eq!(one.subject, Subject::Runtime { place: INSTANCE.to_owned() });
    assert_eq!(one.subject, other.subject);
    assert_eq!(one.evidence["timeline"], other.evidence["timeline"]);
}

#[test]
fn the_same_event_again_tells_the_same() {
    let mut story = Story::watched();
    story.tell_with(&start(), &UNAPPROVED);
    let act = on(host(), "/tmp/xmrig", 4);
    story.tell_with(&act, &MINER);
    matched(judged(&story, &act, &MINER));
}

#[test]
fn an_interface_is_as_good_as_the_instance() {
    let mut story = Story::watched();
    story.tell_with(&start(), &UNAPPROVED);
    let place = Place { network_interface: Some(ENI.to_owned()), ..Place::default() };
    let found = matched(judged(&story, &on(place, "/tmp/xmrig", 4), &MINER));
    assert_eq!(found.subject, Subject::Runtime { place: INSTANCE.to_owned() }, "not the interface's thread");
}

/// Miners were seen before their launch: each instance is told by itself, as when they come after it.
#[test]
fn a_late_launch_tells_each_of_its_instances() {
    let ids: Vec<String> = (0..30).map(|number| format!("i-{number:017x}")).collect();
    let instances = ids.iter().map(|id| Instance { id: id.clone(), ..Instance::default() }).collect();
    let launch = Activity { id: "launch".to_owned(), ..launched(Launch { instances, ..launch(AMI) }) };
    for (acting, told) in [(3, 3), (30, chain::MOST_TOLD)] {
        let mut story = Story::watched();
        for (number, id) in ids.iter().take(acting).enumerate() {
            let place = Place { instance: Some(id.clone()), ..Place::default() };
            let act = Activity { id: format!("act-{number}"), ..on(place, "/tmp/xmrig", 4) };
            story.tell_with(&act, &MINER);
        }
        let verdict = judged(&story, &launch, &UNAPPROVED);
        assert_eq!(verdict.matches().len(), told);
        let mut subjects: Vec<String> = verdict.matches().iter().map(|found| found.subject.key()).collect();
        subjects.dedup();
        assert_eq!(subjects.len(), told);
        let first = &verdict.matches()[0];
        assert_eq!(first.subject, Subject::Runtime { place: ids[0].clone() });
        assert_eq!(first.evidence["other_instance_count"], acting - 1, "nobody is forgotten");
    }
}

#[test]
fn a_guard_duty_finding_is_an_act() {
    let mut story = Story::watched();
    story.tell_with(&start(), &["user-data-suspicious"]);
    let mut reported =
        Reported { finding_type: "CryptoCurrency:EC2/BitcoinTool.B".to_owned(), ..Reported::default() };
    reported.place = host();
    let event = later("act", 5, ran(Action::VerdictReported(reported.clone())));
    let found = matched(judged(&story, &event, &[]));
    assert_eq!((found.severity, found.not_inspected.len()), (None, 0));
    reported.sample = true;
    passed(judged(&story, &later("act", 5, ran(Action::VerdictReported(reported))), &[]));
}

#[test]
fn weak_links_make_it_high_and_are_named() {
    for (why, binary, matches) in [
        (["machine-image-newly-seen"], "/tmp/xmrig", &MINER[..]),
        (["machine-image-not-approved"], "/usr/bin/wget", &[]),
    ] {
        let mut story = Story::watched();
        story.tell_with(&start(), &why);
        let found = matched(judged(&story, &on(host(), binary, 4), matches));
        assert_eq!(found.severity, Some(Severity::High));
        assert_eq!(found.not_inspected[0].code, "chain-weak-link");
    }
}

/// Every machine runs shells while it boots.
#[test]
fn ordinary_boots_pass() {
    let mut story = Story::watched();
    story.tell_with(&start(), &UNAPPROVED);
    for binary in ["/bin/sh", "/usr/bin/python3", "/usr/bin/systemctl"] {
        passed(judged(&story, &on(host(), binary, 4), &[]));
    }
    // What a pod on a node does as a matter of course says nothing about the node's image.
    let pod = Place { instance: Some(INSTANCE.to_owned()), ..pod("nginx:1") };
    passed(judged(&story, &on(pod, "/usr/bin/wget", 4), &[]));
}

#[test]
fn after_the_window_before_the_launch_and_from_approved_images_it_passes() {
    let mut story = Story::watched();
    story.tell_with(&start(), &UNAPPROVED);
    matched(judged(&story, &on(host(), "/tmp/xmrig", 30), &MINER));
    passed(judged(&story, &on(host(), "/tmp/xmrig", 31), &MINER));
    passed(judged(&story, &on(host(), "/tmp/xmrig", -1), &MINER));
    let mut story = Story::watched();
    story.tell(&start());
    passed(judged(&story, &on(host(), "/tmp/xmrig", 4), &MINER));
}

/// A container's own shell flood must not wash the launch away.
#[test]
fn a_flood_leaves_the_launch_remembered() {
    let mut story = Story::watched();
    story.tell_with(&start(), &UNAPPROVED);
    for number in 0..100 {
        let act = Activity { id: format!("act-{number}"), ..on(host(), "/usr/bin/curl", number / 5) };
        story.tell(&act);
    }
    matched(judged(&story, &on(host(), "/tmp/xmrig", 25), &MINER));
}

#[test]
fn without_history_nothing_is_joined() {
    not_applicable(Given::none().judge(&DETECTION, &start(), &Policy::default()));
    not_applicable(judged(&Story::watched(), &pushed(push()), &[]));
}
