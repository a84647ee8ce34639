use super::*;
use crate::alert::testing;

fn at<'a>(finding: &'a Value, path: &str) -> &'a Value {
    finding.pointer(path).unwrap_or_else(|| panic!("{path} in {finding:#}"))
}

#[test]
fn a_finding_has_what_the_contract_promises() {
    let alert = testing::push();
    let finding = finding(&alert);
    for (path, expected) in [
        ("/class_uid", json!(2004)),
        ("/activity_id", json!(1)),
        ("/type_uid", json!(200_401)),
        ("/severity_id", json!(3)),
        ("/time", json!(1_772_849_560_000_i64)),
        ("/is_alert", json!(true)),
        ("/risk_score", json!(100)),
        ("/metadata/version", json!("1.7.0")),
        ("/metadata/profiles", json!(["cloud"])),
        ("/metadata/uid", json!(alert.message_uid())),
        ("/metadata/correlation_uid", json!("2bfd4ee2-2178-4a82-a27d-b12939923f0f")),
        ("/cloud/provider", json!("AWS")),
        ("/cloud/account/uid", json!("123456789012")),
        ("/cloud/region", json!("eu-central-1")),
        ("/finding_info/uid", json!(alert.thread_uid())),
        ("/finding_info/analytic/uid", json!("ecr-push-outside-hours")),
        ("/finding_info/analytic/type_id", json!(1)),
        ("/finding_info/related_analytics/0/uid", json!("ecr-push-unknown-user")),
        ("/finding_info/attacks/0/tactic/uid", json!("TA0002")),
        ("/finding_info/attacks/0/sub_technique/uid", json!("T1204.003")),
        ("/evidences/0/data/tag", json!("latest")),
        ("/evidences/0/actor/user/uid", json!("arn:aws:iam::123456789012:role/ci/deploy")),
        ("/evidences/0/actor/session/uid", json!("GitHubActions")),
        ("/evidences/0/api/operation", json!("PutImage")),
        ("/evidences/0/src_endpoint/ip", json!("203.0.113.24")),
        ("/evidences/1/name", json!("ecr-push-unknown-user")),
        ("/resources/0/uid", json!("arn:aws:ecr:eu-central-1:123456789012:repository/team/app")),
        ("/resources/1/uid", json!(testing::DIGEST)),
    ] {
        assert_eq!(at(&finding, path), &expected, "{path}");
    }
    assert!(at(&finding, "/remediation/desc").as_str().unwrap().contains("aws ecr describe-images"));
    let unmapped = at(&finding, "/unmapped").as_object().unwrap();
    assert!(["not_inspected", "below_floor", "policy"].iter().all(|key| !unmapped.contains_key(*key)));
}

#[test]
fn what_was_not_looked_at_is_no_analytic() {
    let finding = finding(&testing::not_approved());
    assert_eq!(
        at(&finding, "/unmapped/not_inspected"),
        &json!([{
            "detection": "machine-image-laundered",
            "code": "ancestry-lookup-denied",
            "reason": "The image's ancestry was not looked at: ec2:GetImageAncestry was denied.",
        }])
    );
    assert!(finding.pointer("/finding_info/related_analytics").is_none());
    assert_eq!(at(&finding, "/unmapped/instance_count"), 2);
}

#[test]
fn updates_and_alerts_under_the_floor_are_marked() {
    let update = finding(&testing::guard_rail());
    assert_eq!((at(&update, "/activity_id"), at(&update, "/type_uid")), (&json!(2), &json!(200_402)));
    assert!(update.get("status_id").is_none(), "an update must not reopen a ticket");
    let denied = finding(&testing::denied());
    assert_eq!(at(&denied, "/unmapped/below_floor"), true);
    assert_eq!(at(&denied, "/is_alert"), false);
    assert!(at(&denied, "/unmapped/policy").as_str().unwrap().starts_with("policy not loaded"));
    assert_eq!(at(&denied, "/evidences/0/api/response/error"), "Client.VcpuLimitExceeded");
    assert_eq!(
        at(&finding(&testing::blind()), "/finding_info/title"),
        "Could not tell whether an image is approved"
    );
}

#[test]
fn a_scan_blames_nobody() {
    let finding = finding(&testing::scan());
    assert!(finding.pointer("/evidences/0/actor").is_none() && finding.pointer("/evidences/0/api").is_none());
    assert_eq!(at(&finding, "/evidences/0/data/counts/CRITICAL"), 2);
}

#[test]
fn hostile_strings_are_clean_and_bounded_and_passwords_gone() {
    let text = finding(&testing::hostile()).to_string();
    assert!(
        !text.contains("\\u00") && !text.contains(['\u{202e}', '\u{200b}', '\u{9b}']),
        "control characters"
    );
    assert!(!text.contains("correct horse"));
    assert!(text.len() < 100_000, "{}", text.len());
}

#[test]
fn two_deliveries_of_an_event_are_one_message() {
    assert_eq!(finding(&testing::push()), finding(&testing::push()));
}
