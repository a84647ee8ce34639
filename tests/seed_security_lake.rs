//! The published rules on Amazon Security Lake: the same detections as on CloudTrail, fired from OCSF.

mod command;

use std::path::Path;

use command::analytic;
use serde_json::Value;

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");

/// What the tool tells of one sample: the leading detection and the finding.
fn told(name: &str, policy: Option<&Path>) -> Vec<(String, Value)> {
    let mut command = command::imagewarden();
    command.arg("check").arg(format!("{EVENTS}/{name}"));
    if let Some(policy) = policy {
        command.arg("--policy").arg(policy);
    }
    let found = command::told(&mut command);
    found.into_iter().map(|finding| (analytic(&finding).to_owned(), finding)).collect()
}

fn detections(name: &str, policy: Option<&Path>) -> Vec<String> {
    told(name, policy).into_iter().map(|(detection, _)| detection).collect()
}

/// The published rule compares the weekday with an unquoted name, so that it never fires at weekends.
#[test]
fn seed_a3_security_lake_push_outside_business_hours() {
    for name in ["put-image-at-night.json", "put-image-at-weekend.json"] {
        assert_eq!(detections(name, None), ["ecr-push-outside-hours"], "{name}");
        assert_eq!(detections(&format!("ocsf-{name}"), None), ["ecr-push-outside-hours"], "{name}");
    }
    assert!(detections("ocsf-put-image-working-hours.json", None).is_empty());
    // `time` is in milliseconds.
    let (_, finding) = told("ocsf-put-image-at-weekend.json", None).remove(0);
    assert_eq!(finding["time"], 1_772_885_700_000_i64);
    assert!(finding.to_string().contains("Sat"), "{finding}");
}

/// The published rule tests one field of the user, its alert names another.
#[test]
fn seed_a4_security_lake_push_by_unknown_user() {
    let policy = Path::new(EVENTS).join("policy.yaml");
    assert_eq!(detections("put-image-unknown-user.json", Some(&policy)), ["ecr-push-unknown-user"]);
    let (detection, finding) = told("ocsf-put-image-unknown-user.json", Some(&policy)).remove(0);
    assert_eq!(detection, "ecr-push-unknown-user");
    assert_eq!(
        finding.pointer("/evidences/0/actor/user/uid").and_then(Value::as_str),
        Some("arn:aws:iam::111122223333:user/contractor-7")
    );
    assert!(detections("ocsf-put-image-working-hours.json", Some(&policy)).is_empty());
}

#[test]
fn launches_from_security_lake_are_judged_like_cloudtrails() {
    let both = |name: &str| (detections(name, None), detections(&format!("ocsf-{name}"), None));
    for name in ["run-instances-community-ami.json", "run-instances-denied-community-ami.json"] {
        let (trail, lake) = both(name);
        assert_eq!(trail, lake, "{name}");
        assert_eq!(lake.len(), 1, "{name}");
    }
    let mut lines = detections("security-lake.jsonl", None);
    lines.sort();
    assert_eq!(lines, ["ecr-push-outside-hours", "mining-pool-dns"]);
}

#[test]
fn what_ran_is_judged_from_security_lake_too() {
    let leads = |name: &str| detections(&format!("ocsf-{name}.json"), None);
    assert!(leads("process-miner").contains(&"miner-process".to_owned()));
    assert_eq!(leads("network-mining-port"), ["mining-pool-connection"]);
    assert_eq!(leads("dns-mining-pool"), ["mining-pool-dns"]);
    assert_eq!(leads("kubernetes-pod"), ["container-image-lookalike"]);
    assert!(leads("kubernetes-exec").is_empty());
}
