use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::alert::testing;

/// What SNS checks: an object of strings with `default`, no empty attribute, and the size.
fn publishable(message: &Message) -> Map<String, Value> {
    assert!(message.size() <= MAX_BYTES, "{} bytes", message.size());
    for attribute in &message.attributes {
        assert!(!attribute.value.is_empty(), "{attribute:?}");
    }
    let body: Map<String, Value> = serde_json::from_str(&message.body).unwrap();
    for protocol in ["default", "email", "https", "sms"] {
        assert!(
            body.get(protocol).is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty())),
            "{protocol}"
        );
    }
    let default: Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    assert_eq!(default["class_uid"], 2004);
    body
}

#[test]
fn every_protocol_gets_its_own_form() {
    let alert = testing::not_approved();
    let body = publishable(&message(&alert, HttpsBody::Chat));
    assert_eq!(body["email"].as_str(), Some(email::text(&alert).as_str()));
    assert_eq!(body["https"].as_str(), Some(chat::notification(&alert).to_string().as_str()));
    assert_eq!(body["default"].as_str(), Some(ocsf::finding(&alert).to_string().as_str()));
    let body = publishable(&message(&alert, HttpsBody::Ocsf));
    assert_eq!(body["https"], body["default"]);
}

#[test]
fn without_a_history_every_form_says_that_it_may_be_a_repetition() {
    let mut alert = testing::not_approved();
    let said = |alert: &Alert| {
        let body = publishable(&message(alert, HttpsBody::Chat));
        let text = |protocol: &str| {
            body[protocol].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let finding: Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
        (
            finding["unmapped"]["may_repeat"] == true,
            text("email").contains("this may be a repetition"),
            text("https").contains("this may be a repetition"),
            crate::alert::terminal::text(alert, false).contains("may be a repetition"),
        )
    };
    assert_eq!(said(&alert), (false, false, false, false));
    alert.may_repeat = true;
    assert_eq!(said(&alert), (true, true, true, true));
}

#[test]
fn attributes_are_there_to_filter_by() {
    let message = message(&testing::push(), HttpsBody::Chat);
    let told: Vec<(&str, &str, &str)> = message
        .attributes
        .iter()
        .map(|attribute| (attribute.name, attribute.data_type, attribute.value.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("severity", "String", "medium"),
            ("severity_id", "Number", "3"),
            ("detection", "String.Array", r#"["ecr-push-outside-hours","ecr-push-unknown-user"]"#),
            ("account", "String", "123456789012"),
            ("region", "String", "eu-central-1"),
        ]
    );
}

#[test]
fn an_event_without_account_or_region_has_attributes_all_the_same() {
    let message = message(&testing::bare(), HttpsBody::Chat);
    publishable(&message);
    assert!(message.attributes.iter().filter(|attribute| attribute.value == "unknown").count() == 2);
}

#[test]
fn a_chat_topic_gets_the_bare_notification() {
    let message = chat_message(&testing::not_approved());
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(body["source"], "custom");
    assert!(!message.structured);
}

#[test]
fn megabytes_of_evidence_are_cut_and_said_to_be() {
    let mut alert = testing::not_approved();
    alert.findings[0]
        .matched
        .evidence
        .insert("dump".into(), json!(vec!["\u{1f4a3}\"\\".repeat(1_000); 1_000]));
    let body = publishable(&message(&alert, HttpsBody::Ocsf));
    let default: Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    assert_eq!(default["metadata"]["is_truncated"], true);
    assert_eq!(default["evidences"][0]["data"]["image_owner"], "210987654321", "what fits is kept");
    assert!(body["email"].as_str().unwrap().contains("ami-029eb80bc237bec6f"));
}

#[test]
fn nothing_is_cut_without_need() {
    let body = publishable(&message(&testing::not_approved(), HttpsBody::Chat));
    let default: Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    assert!(default["metadata"].get("is_truncated").is_none());
}

#[test]
fn every_finding_doubt_and_step_at_its_largest_still_fits() {
    let text = "\"\\\u{10ffff}<&>".repeat(2_000);
    for findings in [1, 120] {
        let mut alert = testing::hostile();
        let mut found = alert.findings[0].clone();
        found.matched.summary = text.clone();
        found.matched.evidence =
            testing::map(json!({"a": text, "b": [text, text], "c": {"d": [[[[text]]]]}}));
        found.matched.next_steps =
            (0..20).map(|number| testing::step(&format!("{number}{text}"), &"x".repeat(1_999))).collect();
        alert.findings = vec![found; findings];
        let doubt = alert.not_inspected[0].clone();
        alert.not_inspected = (0..150)
            .map(|number| {
                let mut doubt = doubt.clone();
                doubt.reason.text = format!("{number} {text}");
                doubt
            })
            .collect();
        alert.policy_note = Some(text.clone());
        publishable(&message(&alert, HttpsBody::Ocsf));
    }
}

fn evidence() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,60}".prop_map(Value::from),
        (".{1,8}", 1_usize..200_000).prop_map(|(text, times)| Value::from(text.repeat(times))),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            (inner.clone(), 1_usize..60).prop_map(|(item, times)| {
                // Wide as well as long, but not more than a few megabytes of it.
                let size = item.to_string().len().max(1);
                Value::from(vec![item; times.min(3_000_000 / size).max(1)])
            }),
            prop::collection::btree_map(".{0,40}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn any_evidence_fits(one in evidence(), two in evidence(), ocsf in any::<bool>()) {
        let mut alert = testing::push();
        alert.findings[0].matched.evidence.insert("one".into(), one);
        alert.findings[1].matched.evidence.insert("two".into(), two);
        publishable(&message(&alert, if ocsf { HttpsBody::Ocsf } else { HttpsBody::Chat }));
    }
}
