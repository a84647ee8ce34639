//! The policy that alerts are judged by was changed: whoever may write it can silence everything.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, shape, steps};
use crate::activity::{Action, Activity};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "policy-changed",
    title: "Policy of Imagewarden changed",
    severity: Severity::High,
    score: 50,
    source: "ATT&CK T1562.001 (Disable or Modify Tools)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::PolicyChanged(change) = &activity.action else {
        return Verdict::NotApplicable("the policy was not changed".into());
    };
    if let Some(code) = &change.failed {
        return Verdict::NotApplicable(format!("nothing was changed: {code}").into());
    }
    let by = activity.actor.as_ref().map(|actor| format!(" by {}", actor.name)).unwrap_or_default();
    let deed = if change.deleted { "was deleted" } else { "was changed" };
    let lines = change.changes.len().saturating_add(change.more);
    let diff = match lines {
        0 => String::new(),
        lines => format!(
            " {}.",
            steps::counted(u64::try_from(lines).unwrap_or(u64::MAX), "line differs", "lines differ")
        ),
    };
    Verdict::matched(Match {
        subject: Subject::GuardRail { setting: "policy".to_owned(), target: change.location.clone() },
        severity: None,
        summary: format!("The policy at {} {deed}{by}.{diff}", change.location),
        evidence: evidence([
            ("location", json!(change.location)),
            (
                "changes",
                if change.changes.is_empty() { serde_json::Value::Null } else { json!(change.changes) },
            ),
            ("more_lines", if change.more == 0 { serde_json::Value::Null } else { json!(change.more) }),
            ("principal", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
        ]),
        next_steps: vec![
            NextStep::new(
                "If nobody can explain the change, put the version before it back.",
                earlier(activity, &change.location),
            ),
            steps::trace_actor(activity),
            NextStep::new(
                "Look at what the new policy would have silenced: hunt the days since with the old one.",
                None,
            ),
        ],
        not_inspected: Vec::new(),
    })
}

/// The command that shows the earlier versions.
fn earlier(activity: &Activity, location: &str) -> Option<String> {
    if let Some(name) = location.strip_prefix("ssm:").and_then(shape::name) {
        return steps::aws(
            activity,
            "ssm get-parameter-history",
            &format!("--name {name} --with-decryption"),
        );
    }
    let (bucket, key) = location.strip_prefix("s3://")?.split_once('/')?;
    let (bucket, key) = (shape::name(bucket)?, shape::name(key)?);
    steps::aws(activity, "s3api list-object-versions", &format!("--bucket {bucket} --prefix {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::PolicyChange;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(change: PolicyChange) -> Verdict {
        Given::none().judge(&DETECTION, &activity(Action::PolicyChanged(change)), &Policy::default())
    }

    #[test]
    fn a_changed_policy_is_told_with_what_changed_and_who_did_it() {
        let change = PolicyChange {
            location: "ssm:/imagewarden/policy".to_owned(),
            changes: vec![
                "-detections: {}".to_owned(),
                "+detections: {ecr-scan-high: {enabled: false}}".to_owned(),
            ],
            ..PolicyChange::default()
        };
        let found = matched(judged(change));
        assert!(found.summary.contains("by build") && found.summary.contains("2 lines"), "{}", found.summary);
        let command = found.next_steps[0].command.as_deref().unwrap();
        assert!(command.starts_with("aws ssm get-parameter-history"), "{command}");
        assert_eq!(found.evidence["changes"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_call_that_failed_changed_nothing() {
        let failed = Some("AccessDenied".to_owned());
        not_applicable(judged(PolicyChange { failed, ..PolicyChange::default() }));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
