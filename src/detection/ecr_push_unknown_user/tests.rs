use super::*;
use crate::activity::Actor;
use crate::detection::testing::*;
use crate::policy::Policy;

const CI: &str =
    "uploads: {pushers: [{principal: \"arn:aws:iam::*:role/ci/*\", repositories: [\"team/*\"]}]}";

fn judged(event: &Activity, yaml: &str) -> Verdict {
    Given::none().judge(&DETECTION, event, &policy(yaml))
}

fn by(principal: &str, name: &str) -> Activity {
    let somebody = Actor { principal: principal.to_owned(), name: name.to_owned(), ..actor() };
    Activity { actor: Some(somebody), ..pushed(push()) }
}

/// The published list ships as the literal word `user`: everybody fires.
#[test]
fn with_no_list_it_has_nothing_to_go_by() {
    let why = not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    assert!(why.contains("no pushers"));
}

/// The published rule lists user names; a role's push carries none, so that no role can be listed.
#[test]
fn a_role_can_be_listed() {
    passed(judged(&pushed(push()), CI));
    let found = matched(judged(&by("arn:aws:iam::111122223333:role/admin/ops", "ops"), CI));
    assert!(found.summary.contains("role/admin/ops"), "{}", found.summary);
}

#[test]
fn a_session_name_lists_nobody() {
    // A caller chooses it: `ci` as a session of another role must not pass for the role.
    let mut event = by("arn:aws:iam::111122223333:role/intern", "intern");
    if let Some(actor) = &mut event.actor {
        actor.session = Some("arn:aws:iam::111122223333:role/ci/build".to_owned());
    }
    let found = matched(judged(&event, CI));
    assert!(found.evidence.contains_key("session"));
}

#[test]
fn a_user_is_matched_by_its_whole_arn() {
    let yaml = "uploads: {pushers: [{principal: \"arn:aws:iam::111122223333:user/mary\"}]}";
    passed(judged(&by("arn:aws:iam::111122223333:user/mary", "mary"), yaml));
    matched(judged(&by("arn:aws:iam::666677778888:user/mary", "mary"), yaml));
    matched(judged(&by("arn:aws:iam::111122223333:user/mary-jane", "mary-jane"), yaml));
}

#[test]
fn a_listed_pusher_is_listed_for_its_repositories_only() {
    let event = pushed(Push { repository: "payments/app".to_owned(), ..push() });
    let found = matched(judged(&event, CI));
    let snippet = found.next_steps.last().and_then(|step| step.policy.clone()).expect("lines for the policy");
    assert!(snippet.contains(ROLE) && snippet.contains("payments/app"), "{snippet}");
}

#[test]
fn a_push_that_failed_does_not_fire() {
    let mut event = by("arn:aws:iam::111122223333:role/admin/ops", "ops");
    event.action =
        crate::activity::Action::ImagePushed(Push { failed: Some("AccessDenied".to_owned()), ..push() });
    not_applicable(judged(&event, CI));
}

#[test]
fn an_untagged_manifest_is_one_severity_lower() {
    let mut event = by("arn:aws:iam::111122223333:role/admin/ops", "ops");
    assert_eq!(matched(judged(&event, CI)).severity, None);
    event.action = crate::activity::Action::ImagePushed(Push { tag: None, ..push() });
    assert_eq!(matched(judged(&event, CI)).severity, Some(Severity::Low));
}

#[test]
fn a_foreign_accounts_pusher_is_shown_as_such() {
    let mut event = by("arn:aws:iam::666677778888:role/x", "x");
    if let Some(actor) = &mut event.actor {
        actor.account = Some(STRANGER.to_owned());
    }
    assert_eq!(matched(judged(&event, CI)).evidence["pusher_account"], STRANGER);
}

#[test]
fn an_event_that_names_nobody_cannot_be_told() {
    let event = Activity { actor: None, ..pushed(push()) };
    assert_eq!(cannot_tell(judged(&event, CI)).code, "pusher-not-named");
    let event = pushed(Push { repository: String::new(), ..push() });
    assert_eq!(cannot_tell(judged(&event, CI)).code, "repository-not-named");
}

#[test]
fn where_nobody_is_listed_a_new_pusher_fires() {
    let mut story = Story::watched();
    let judged = |story: &Story, event: &Activity| {
        story.judge(&DETECTION, event, &Policy::default(), &crate::lookup::Facts::default())
    };
    let found = matched(judged(&story, &pushed(push())));
    assert!(found.summary.contains("not pushed to this repository before"), "{}", found.summary);
    story.tell(&pushed(push()));
    passed(judged(&story, &later("event-2", 5, pushed(push()))));
    let other = Push { repository: "team/other".to_owned(), ..push() };
    matched(judged(&story, &later("event-2", 5, pushed(other))));
    let why = not_applicable(judged(&Story::begun(), &pushed(push())));
    assert!(why.contains("learned until"), "{why}");
}
