use super::*;
use crate::activity::{InstanceChange, UserDataChange};
use crate::detection::testing::*;
use crate::history::{Key, Memory, trail};
use crate::lookup::Facts;
use crate::policy::Policy;

fn rewritten() -> Activity {
    activity(Action::UserDataChanged(UserDataChange { instance: INSTANCE.to_owned(), failed: None }))
}

fn change() -> InstanceChange {
    InstanceChange { instances: vec![INSTANCE.to_owned()], failed: None }
}

/// Judges with these steps of the role remembered, at these times.
fn judged(activity: &Activity, steps: &[(&str, &str)]) -> Verdict {
    let mut record = Record::new(Key::new(ACCOUNT, REGION, Kind::Instance, INSTANCE));
    for (label, time) in steps {
        record.add(crate::history::Trace {
            time: at(time),
            label: (*label).to_owned(),
            source: format!("{label} {time}"),
            detail: ROLE.to_owned(),
            place: String::new(),
            score: 0,
        });
    }
    record.touch(activity.time);
    let memory = Memory::new(&trail::keys(activity), vec![record], activity.time);
    let (policy, facts) = (Policy::default(), Facts::default());
    judge(activity, &Context { policy: &policy, facts: &facts, memory: &memory, matches: &[] })
}

#[test]
fn a_rewrite_is_told() {
    let found = matched(judged(&rewritten(), &[]));
    assert_eq!(found.severity, None);
    assert_eq!(found.subject, Subject::Runtime { place: INSTANCE.to_owned() });
}

#[test]
fn stop_rewrite_start_by_one_principal_is_high_in_whatever_order_they_arrive() {
    let (stopped, started) =
        ((label::STOPPED, "2026-05-13T11:50:00Z"), (label::STARTED, "2026-05-13T12:05:00Z"));
    let rewrite = (label::USER_DATA_CHANGED, "2026-05-13T12:00:00Z");
    for (activity, steps) in [
        (rewritten(), [stopped, started]),
        (activity(Action::InstanceStarted(change())), [stopped, rewrite]),
        (activity(Action::InstanceStopped(change())), [started, rewrite]),
    ] {
        let found = matched(judged(&activity, &steps));
        assert_eq!(found.severity, Some(Severity::High));
        assert_eq!(found.evidence["timeline"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn an_ordinary_restart_passes() {
    passed(judged(&activity(Action::InstanceStarted(change())), &[(label::STOPPED, "2026-05-13T11:50:00Z")]));
}

#[test]
fn another_principals_restart_completes_nothing() {
    let mut started = activity(Action::InstanceStarted(change()));
    if let Some(actor) = &mut started.actor {
        actor.principal = "arn:aws:iam::111122223333:user/operator".to_owned();
    }
    let steps =
        [(label::STOPPED, "2026-05-13T11:50:00Z"), (label::USER_DATA_CHANGED, "2026-05-13T12:00:00Z")];
    passed(judged(&started, &steps));
}

#[test]
fn steps_outside_the_window_do_not_make_a_chain() {
    let steps = [(label::STOPPED, "2026-05-10T11:50:00Z"), (label::STARTED, "2026-05-13T12:05:00Z")];
    assert_eq!(matched(judged(&rewritten(), &steps)).severity, None);
}

#[test]
fn without_a_memory_the_rewrite_is_still_told() {
    let given = Given::none();
    matched(given.judge(&DETECTION, &rewritten(), &Policy::default()));
    passed(given.judge(&DETECTION, &activity(Action::InstanceStarted(change())), &Policy::default()));
}

#[test]
fn a_call_that_failed_rewrote_nothing() {
    let failed =
        UserDataChange { instance: INSTANCE.to_owned(), failed: Some("IncorrectInstanceState".to_owned()) };
    not_applicable(judged(&activity(Action::UserDataChanged(failed)), &[]));
}
