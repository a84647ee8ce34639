//! Imagewarden looked at itself and found that it cannot see, or that nobody would hear of it.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, evidence};
use crate::activity::{Action, Activity};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "self-check",
    title: "Imagewarden cannot see or cannot be heard",
    severity: Severity::High,
    score: 0,
    source: "Imagewarden's own daily check",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::SelfChecked(check) = &activity.action else {
        return Verdict::NotApplicable("not a self-check".into());
    };
    let found = check.failures.iter().map(|failure| Match {
        subject: Subject::Blind { detection: DETECTION.id.to_owned(), code: failure.code.clone() },
        severity: Some(failure.severity),
        summary: failure.text.clone(),
        evidence: evidence([("failure", json!(failure.text))]),
        next_steps: vec![NextStep::new(failure.remedy.clone(), failure.command.clone())],
        not_inspected: vec![Reason::new(&failure.code, &failure.text)],
    });
    Verdict::of_matches(found.collect()).unwrap_or_else(|| Verdict::Pass("everything was in order".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{CheckFailure, SelfCheck};
    use crate::detection::testing::*;
    use crate::policy::Policy;

    #[test]
    fn each_failure_is_told_under_the_checks_own_id() {
        let failure = |code: &str| CheckFailure {
            code: code.to_owned(),
            severity: Severity::Medium,
            text: "No trail covers this region.".to_owned(),
            remedy: "Make one.".to_owned(),
            command: Some("aws cloudtrail describe-trails".to_owned()),
        };
        let check = SelfCheck { failures: vec![failure("trail-missing"), failure("subscription-pending")] };
        let event = activity(Action::SelfChecked(check));
        let found = all_matched(Given::none().judge(&DETECTION, &event, &Policy::default()));
        assert_eq!(found[0].subject.key(), "blind|self-check|trail-missing");
        assert_eq!(found[1].severity, Some(Severity::Medium));
        assert!(found[0].next_steps[0].command.is_some());
    }

    #[test]
    fn a_check_without_failures_passes() {
        let event = activity(Action::SelfChecked(SelfCheck::default()));
        passed(Given::none().judge(&DETECTION, &event, &Policy::default()));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
