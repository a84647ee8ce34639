use proptest::prelude::*;

use super::*;
use crate::alert::testing;
use crate::severity::Severity;

fn allowed(subject: &str) {
    assert!(subject.is_ascii() && subject.len() < 100, "{subject}");
    assert!(subject.starts_with(|c: char| c.is_ascii_alphabetic()), "{subject}");
    assert!(!subject.chars().any(|c| c.is_ascii_control()), "{subject}");
}

#[test]
fn subjects_name_what_it_is_about() {
    for (alert, expected) in [
        (
            testing::not_approved(),
            "Imagewarden: ami-029eb80bc237bec6f by SSO Developer in 123456789012 eu-central-1 2026-03-04",
        ),
        (testing::push(), "Imagewarden: push to team/app by deploy in 123456789012 eu-central-1 2026-03-07"),
        (
            testing::scan(),
            "Imagewarden: scan of team/app sha256:98c8b060c21d in 123456789012 eu-central-1 2026-03-04",
        ),
        (
            testing::guard_rail(),
            "Imagewarden: guard rail allowed-images of 123456789012 in 123456789012 cn-north-1 2026-03-04",
        ),
        (
            testing::blind(),
            "Imagewarden: cannot check ami-029eb80bc237bec6f by deploy in 123456789012 eu-central-1 2026-03-04",
        ),
    ] {
        assert_eq!(subject(&alert), expected);
    }
}

#[test]
fn sns_takes_every_subject() {
    for (_, alert) in testing::all() {
        allowed(&subject(&alert));
    }
}

#[test]
fn later_messages_of_a_thread_have_the_same_subject() {
    let first = testing::not_approved();
    let mut later = testing::not_approved();
    let mut activity = later.activity.as_ref().clone();
    activity.id = "another".to_owned();
    activity.time = testing::time("2026-03-04T23:59:59Z");
    later.activity = std::sync::Arc::new(activity);
    later.update = true;
    later.findings.iter_mut().for_each(|finding| finding.severity = Severity::Critical);
    assert_eq!(subject(&first), subject(&later));
    assert_eq!(first.thread_uid(), later.thread_uid());
    assert_ne!(first.message_uid(), later.message_uid());
}

#[test]
fn another_day_account_or_subject_is_another_thread() {
    let first = testing::not_approved();
    let mut day = first.clone();
    day.window_start = testing::time("2026-03-05T00:00:00Z");
    let mut account = first.clone();
    let mut activity = account.activity.as_ref().clone();
    activity.account = "999999999999".to_owned();
    account.activity = std::sync::Arc::new(activity);
    let mut other = first.clone();
    other.subject = Subject::MachineImage { image: "ami-0".to_owned(), principal: "x".to_owned() };
    for alert in [day, account, other] {
        assert_ne!(first.thread_uid(), alert.thread_uid());
    }
}

#[test]
fn names_with_separators_make_no_foreign_thread() {
    let mut one = testing::not_approved();
    one.subject = Subject::MachineImage { image: "a|b".to_owned(), principal: "c".to_owned() };
    let mut two = one.clone();
    two.subject = Subject::MachineImage { image: "a".to_owned(), principal: "b|c".to_owned() };
    assert_ne!(one.thread_uid(), two.thread_uid());
}

proptest! {
    #[test]
    fn any_names_give_an_allowed_subject(
        one in ".{0,200}", two in ".{0,200}", account in ".{0,20}", region in ".{0,20}", kind in 0_usize..6,
    ) {
        let mut alert = testing::not_approved();
        let mut activity = alert.activity.as_ref().clone();
        (activity.account, activity.region) = (account, region);
        alert.activity = std::sync::Arc::new(activity);
        alert.subject = match kind {
            0 => Subject::MachineImage { image: one, principal: two },
            1 => Subject::Push { repository: one, principal: two },
            2 => Subject::Scan { repository: one, digest: two },
            3 => Subject::GuardRail { setting: one, target: two },
            4 => Subject::Unchecked { image: one, principal: two },
            _ => Subject::Blind { detection: one, code: two },
        };
        allowed(&subject(&alert));
    }
}
