use super::*;
use crate::alert::testing;

fn text_of<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} in {value:#}"))
}

/// The schema, since the service is silent about what it drops.
fn conforms(notification: &Value) {
    assert_eq!(text_of(notification, "/version"), "1.0");
    assert_eq!(text_of(notification, "/source"), "custom");
    assert_eq!(text_of(notification, "/content/textType"), "client-markdown");
    assert!((1..=200).contains(&text_of(notification, "/content/title").chars().count()));
    assert!((1..=3_500).contains(&text_of(notification, "/content/description").chars().count()));
    let steps = notification.pointer("/content/nextSteps").and_then(Value::as_array).unwrap();
    assert!(steps.len() <= 5);
    assert!(
        steps.iter().all(|step| (1..=250).contains(&step.as_str().unwrap().chars().count())),
        "{steps:#?}"
    );
    assert!(
        notification
            .pointer("/content/keywords")
            .and_then(Value::as_array)
            .unwrap()
            .iter()
            .all(Value::is_string)
    );
    assert!((1..=64).contains(&text_of(notification, "/metadata/threadId").len()));
    let resources = notification.pointer("/metadata/relatedResources").and_then(Value::as_array).unwrap();
    assert!(resources.len() <= 10 && resources.iter().all(Value::is_string));
    let context = notification.pointer("/metadata/additionalContext").and_then(Value::as_object).unwrap();
    assert!(
        context.values().all(|value| value.as_str().is_some_and(|text| !text.is_empty())),
        "{context:#?}"
    );
}

#[test]
fn every_alert_has_the_shape_the_service_takes() {
    for (_, alert) in testing::all() {
        conforms(&notification(&alert));
    }
}

#[test]
fn an_unapproved_image_says_it_all() {
    let alert = testing::not_approved();
    let notification = notification(&alert);
    assert_eq!(
        text_of(&notification, "/content/title"),
        "🔴 High: Instance launched from an image that is not approved"
    );
    let description = text_of(&notification, "/content/description");
    for expected in [
        "*What:* launched 2 instances",
        "*Who:* alice@example.com (IAM Identity Center)",
        "*Where:* account 123456789012, region eu-central-1",
        "*When:* Wed 2026-03-04 10:11:12 UTC",
        "*Not looked at*",
        "• image owner: 210987654321",
        "|Event>",
    ] {
        assert!(description.contains(expected), "{expected:?} is not in\n{description}");
    }
    assert_eq!(text_of(&notification, "/metadata/threadId"), alert.thread_uid());
    assert_eq!(text_of(&notification, "/metadata/eventType"), "machine-image-not-approved");
    assert_eq!(text_of(&notification, "/metadata/additionalContext/severity"), "high");
    assert!(text_of(&notification, "/content/nextSteps/0").ends_with('`'));
}

#[test]
fn hostile_names_mention_nobody_and_link_nowhere() {
    let text = notification(&testing::hostile()).to_string();
    assert!(!text.contains("<!") && !text.contains("<@") && !text.contains("<h"), "{text}");
    assert!(!text.contains("@here") && !text.to_lowercase().contains("http"), "{text}");
    assert!(!text.contains("](") && !text.contains("*bold*") && !text.contains("`code`"), "{text}");
    assert!(!text.contains("\\u00") && !text.contains('\u{202e}'), "{text}");
    assert!(text.len() < 20_000);
}

#[test]
fn a_command_is_shown_whole_or_not_at_all() {
    let mut alert = testing::not_approved();
    let long = format!("aws ec2 terminate-instances --instance-ids {}", "i-0dbc91f429e400000 ".repeat(20));
    alert.findings[0].matched.next_steps = vec![testing::step("Terminate them.", &long)];
    let notification = notification(&alert);
    let step = text_of(&notification, "/content/nextSteps/0");
    assert_eq!(step, "Terminate them. (the command is in the e-mail)");
}

#[test]
fn escapes_do_not_push_a_text_over_its_bound() {
    let mut alert = testing::not_approved();
    alert.findings[0].matched.summary = "<&>".repeat(2_000);
    alert.findings[0].matched.next_steps = vec![testing::step(&"<".repeat(400), "")];
    let notification = notification(&alert);
    conforms(&notification);
    assert!(!text_of(&notification, "/content/nextSteps/0").contains('<'));
}
