use super::*;
use crate::activity::{Action, ActorKind, Artifact};
use crate::detection::testing::*;
use crate::policy::Policy;

const BERLIN: &str = "uploads: {schedules: [{zone: Europe/Berlin, holidays: [2026-12-24]}]}";

fn judged(time: &str, yaml: &str) -> Verdict {
    let event = Activity { time: at(time), ..pushed(push()) };
    Given::none().judge(&DETECTION, &event, &policy(yaml))
}

#[test]
fn a_push_at_night_fires_and_one_at_noon_does_not() {
    let found = matched(judged("2026-05-13T01:12:44Z", BERLIN));
    assert_eq!(found.evidence["pushed_at_local"], "Wed 2026-05-13 03:12:44 +02:00");
    assert_eq!(found.evidence["schedule"], "mon-fri 08:00-20:00 Europe/Berlin");
    assert!(found.summary.contains("team/app:1.4"), "{}", found.summary);
    assert!(passed(judged("2026-05-13T10:00:00Z", BERLIN)).contains("Europe/Berlin"));
}

/// The published rule's first version could never fire at weekends, the Security Lake one compares the
/// weekday with an unquoted name and never does.
#[test]
fn the_whole_weekend_fires() {
    for day in ["2026-05-16", "2026-05-17"] {
        for hour in 0..24 {
            matched(judged(&format!("{day}T{hour:02}:30:00Z"), "{}"));
        }
    }
    for day in ["2026-05-11", "2026-05-12", "2026-05-13", "2026-05-14", "2026-05-15"] {
        passed(judged(&format!("{day}T12:00:00Z"), "{}"));
    }
}

/// The published rule compares UTC hours, wherever the team is.
#[test]
fn hours_are_the_zones_hours_and_not_utc() {
    // 06:30 UTC is 08:30 in Berlin in summer; 18:30 UTC is 20:30.
    passed(judged("2026-05-13T06:30:00Z", BERLIN));
    matched(judged("2026-05-13T18:30:00Z", BERLIN));
    matched(judged("2026-05-13T06:30:00Z", "{}"));
    passed(judged("2026-05-13T18:30:00Z", "{}"));
}

#[test]
fn the_same_utc_hour_changes_sides_when_the_clocks_change() {
    // The clocks go back on Sunday, 25 October 2026.
    passed(judged("2026-10-23T06:30:00Z", BERLIN));
    matched(judged("2026-10-26T06:30:00Z", BERLIN));
    let daily = "uploads: {schedules: [{days: [sun], zone: Europe/Berlin}]}";
    matched(judged("2026-10-25T06:59:59Z", daily));
    passed(judged("2026-10-25T07:00:00Z", daily));
}

/// The published rule knows no holidays.
#[test]
fn a_holiday_fires_at_noon() {
    let found = matched(judged("2026-12-24T11:00:00Z", BERLIN));
    assert!(found.summary.contains("a holiday"), "{}", found.summary);
    passed(judged("2026-12-23T11:00:00Z", BERLIN));
}

#[test]
fn a_schedule_without_a_zone_says_that_it_is_utc() {
    let found = matched(judged("2026-05-13T03:00:00Z", "{}"));
    assert!(found.summary.contains("UTC, since the schedule names no zone"), "{}", found.summary);
    let found = matched(judged("2026-05-13T01:00:00Z", BERLIN));
    assert!(!found.summary.contains("UTC"), "{}", found.summary);
}

#[test]
fn the_first_schedule_that_fits_judges() {
    let yaml = "uploads: {schedules: [{repositories: [\"team/*\"], hours: \"20:00-06:00\"}, {}]}";
    passed(judged("2026-05-13T22:00:00Z", yaml));
    matched(judged("2026-05-13T12:00:00Z", yaml));
    let elsewhere = "uploads: {schedules: [{repositories: [\"other/*\"]}]}";
    not_applicable(judged("2026-05-13T03:00:00Z", elsewhere));
}

/// The published rule does not look at errors.
#[test]
fn a_push_that_failed_does_not_fire() {
    let failed = Push { failed: Some("ImageTagAlreadyExistsException".to_owned()), ..push() };
    let event = Activity { time: at("2026-05-16T03:00:00Z"), ..pushed(failed) };
    let why = not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    assert!(why.contains("ImageTagAlreadyExistsException"));
}

#[test]
fn signatures_and_attestations_do_not_fire() {
    for artifact in [Artifact::Signature, Artifact::Attestation, Artifact::Other] {
        let event = Activity { time: at("2026-05-16T03:00:00Z"), ..pushed(Push { artifact, ..push() }) };
        not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    }
}

#[test]
fn what_ecr_stores_itself_does_not_fire() {
    let mut event = Activity { time: at("2026-05-16T03:00:00Z"), ..pushed(push()) };
    if let Some(actor) = &mut event.actor {
        actor.invoked_by = Some("pullthroughcache.ecr.amazonaws.com".to_owned());
    }
    not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    if let Some(actor) = &mut event.actor {
        actor.invoked_by = None;
        actor.kind = ActorKind::ServiceLinkedRole;
    }
    not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    if let Some(actor) = &mut event.actor {
        // CloudFormation acting for a person is that person.
        actor.kind = ActorKind::IamUser;
        actor.invoked_by = Some("cloudformation.amazonaws.com".to_owned());
    }
    matched(Given::none().judge(&DETECTION, &event, &Policy::default()));
}

#[test]
fn the_untagged_parts_of_an_index_are_one_severity_lower() {
    let severity = |tag: Option<&str>, artifact| {
        let push = Push { tag: tag.map(str::to_owned), artifact, ..push() };
        let event = Activity { time: at("2026-05-16T03:00:00Z"), ..pushed(push) };
        matched(Given::none().judge(&DETECTION, &event, &Policy::default())).severity
    };
    assert_eq!(severity(None, Artifact::Image), Some(Severity::Low));
    assert_eq!(severity(Some("latest"), Artifact::Index), None);
}

#[test]
fn without_an_event_time_or_a_repository_it_cannot_tell() {
    let event = Activity { time_is_arrival: true, ..pushed(push()) };
    let reason = cannot_tell(Given::none().judge(&DETECTION, &event, &Policy::default()));
    assert_eq!(reason.code, "event-time-missing");
    let event = pushed(Push { repository: String::new(), ..push() });
    let reason = cannot_tell(Given::none().judge(&DETECTION, &event, &Policy::default()));
    assert_eq!(reason.code, "repository-not-named");
}

#[test]
fn without_an_actor_it_tells_only_where_the_actor_does_not_matter() {
    let event = Activity { actor: None, time: at("2026-05-16T03:00:00Z"), ..pushed(push()) };
    matched(Given::none().judge(&DETECTION, &event, &Policy::default()));
    let policy = policy("uploads: {schedules: [{principals: [\"*/ci/*\"], hours: \"00:00-24:00\"}, {}]}");
    let reason = cannot_tell(Given::none().judge(&DETECTION, &event, &policy));
    assert_eq!(reason.code, "pusher-not-named");
}

#[test]
fn other_activities_are_not_judged() {
    let event = Activity { action: Action::ImageLaunched(launch(AMI)), ..pushed(push()) };
    not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
}
