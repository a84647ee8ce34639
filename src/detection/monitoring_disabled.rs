//! Something that watches was switched off, deleted or loosened: a trail, a rule, GuardDuty, Inspector, or a part
//! of Imagewarden itself.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, shape, steps};
use crate::activity::{Action, Activity, Monitor, MonitoringChange};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "monitoring-disabled",
    title: "Monitoring switched off",
    severity: Severity::Critical,
    score: 90,
    source: "ATT&CK T1562.008 (Disable or Modify Cloud Logs), T1562.001 (Disable or Modify Tools)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::MonitoringChanged(change) = &activity.action else {
        return Verdict::NotApplicable("nothing that watches was changed".into());
    };
    if let Some(code) = &change.failed {
        return Verdict::NotApplicable(format!("nothing was changed: {code}").into());
    }
    let what = match change.monitor {
        Monitor::Trail => "CloudTrail trail",
        Monitor::Rule => "EventBridge rule",
        Monitor::GuardDuty => "GuardDuty detector",
        Monitor::Inspector => "Inspector in account",
        Monitor::Own => "part of Imagewarden",
    };
    let target = if change.target.is_empty() { "unknown" } else { &change.target };
    let by = activity.actor.as_ref().map(|actor| format!(" by {}", actor.name)).unwrap_or_default();
    Verdict::matched(Match {
        subject: Subject::GuardRail {
            setting: setting(change.monitor).to_owned(),
            target: target.to_owned(),
        },
        severity: None,
        summary: format!(
            "The {what} {target} {}{by}. Events that would raise alerts may not arrive any more.",
            change.effect
        ),
        evidence: evidence([
            ("monitor", json!(setting(change.monitor))),
            ("target", json!(target)),
            ("effect", json!(change.effect)),
            ("principal", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
            ("call", json!(activity.api.as_ref().map(|api| &api.operation))),
        ]),
        next_steps: vec![
            undo(activity, change),
            steps::trace_actor(activity),
            NextStep::new(
                "Look at what happened since, in the account's event history: alerts about it may be missing.",
                steps::aws(activity, "cloudtrail lookup-events", "--max-results 50"),
            ),
        ],
        not_inspected: Vec::new(),
    })
}

fn setting(monitor: Monitor) -> &'static str {
    match monitor {
        Monitor::Trail => "cloudtrail",
        Monitor::Rule => "eventbridge-rule",
        Monitor::GuardDuty => "guardduty",
        Monitor::Inspector => "inspector",
        Monitor::Own => "imagewarden",
    }
}

/// What undoes it. What was deleted has to be deployed again.
fn undo(activity: &Activity, change: &MonitoringChange) -> NextStep {
    let name = shape::name(&change.target);
    let call = activity.api.as_ref().map(|api| api.operation.as_str()).unwrap_or_default();
    let with = |operation: &str, rest: &str| {
        let name = name?;
        steps::aws(activity, operation, &rest.replace("{}", name))
    };
    let command = match (change.monitor, call) {
        (Monitor::Trail, "StopLogging") => with("cloudtrail start-logging", "--name {}"),
        (Monitor::Trail, "PutEventSelectors") => with(
            "cloudtrail put-event-selectors",
            "--trail-name {} --event-selectors '[{\"ReadWriteType\":\"All\",\"IncludeManagementEvents\":true}]'",
        ),
        (Monitor::Trail, "UpdateTrail") => with(
            "cloudtrail update-trail",
            "--name {} --is-multi-region-trail --include-global-service-events",
        ),
        (Monitor::Trail, _) => steps::aws(activity, "cloudtrail describe-trails", "--output json"),
        (Monitor::Rule, "DisableRule") => with("events enable-rule", "--name {}"),
        (Monitor::GuardDuty, "UpdateDetector") => {
            with("guardduty update-detector", "--detector-id {} --enable")
        }
        (Monitor::GuardDuty, "DeleteDetector") => {
            steps::aws(activity, "guardduty create-detector", "--enable")
        }
        (Monitor::Inspector, "Disable") => {
            steps::aws(activity, "inspector2 enable", "--resource-types EC2 ECR LAMBDA")
        }
        (Monitor::Own, "PutFunctionConcurrency20171031") => {
            with("lambda delete-function-concurrency", "--function-name {}")
        }
        (Monitor::Rule | Monitor::Own, _) => Some("sam deploy".to_owned()),
        (Monitor::GuardDuty | Monitor::Inspector, _) => None,
    };
    let text = match (change.monitor, command.as_deref()) {
        (_, Some("sam deploy")) => {
            "If nobody can explain the change, deploy the stack again, which puts its parts back."
        }
        (_, Some(_)) => "If nobody can explain the change, take it back.",
        (_, None) => "If nobody can explain the change, take it back in the administrator account.",
    };
    NextStep::new(text, command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(monitor: Monitor, call: &str, target: &str, failed: Option<&str>) -> Verdict {
        let change = MonitoringChange {
            monitor,
            target: target.to_owned(),
            effect: "was disabled".to_owned(),
            failed: failed.map(str::to_owned),
        };
        let mut event = activity(Action::MonitoringChanged(change));
        if let Some(api) = &mut event.api {
            api.operation = call.to_owned();
        }
        Given::none().judge(&DETECTION, &event, &Policy::default())
    }

    fn command(verdict: Verdict) -> Option<String> {
        matched(verdict).next_steps[0].command.clone()
    }

    #[test]
    fn a_stopped_trail_is_told_with_the_command_that_starts_it() {
        assert_eq!(DETECTION.severity, Severity::Critical);
        let start = format!("aws cloudtrail start-logging --region {REGION} --name org-trail");
        assert_eq!(command(judged(Monitor::Trail, "StopLogging", "org-trail", None)), Some(start));
        let enable = format!("aws events enable-rule --region {REGION} --name imagewarden-Calls");
        assert_eq!(command(judged(Monitor::Rule, "DisableRule", "imagewarden-Calls", None)), Some(enable));
        let deploy = Some("sam deploy".to_owned());
        assert_eq!(command(judged(Monitor::Own, "DeleteTopic", "imagewarden-alerts", None)), deploy);
    }

    #[test]
    fn a_name_of_an_attackers_choice_costs_the_command_only() {
        assert_eq!(command(judged(Monitor::Trail, "StopLogging", "x; rm -rf /", None)), None);
    }

    #[test]
    fn a_call_that_failed_changed_nothing() {
        not_applicable(judged(Monitor::Trail, "StopLogging", "org-trail", Some("AccessDenied")));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
