//! From verdicts to alerts: one alert for each subject that something matched.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, Utc};
use serde_json::{Map, json};

use super::{Alert, Finding, NotInspected};
use crate::activity::{Action, Activity};
use crate::detection::{Detection, Match, NextStep, Reason, Subject, Verdict};
use crate::engine::Judgement;
use crate::policy::Policy;
use crate::severity::Severity;

/// What is to be told of one judged activity, and what a suppression kept back.
#[derive(Default)]
pub struct Told {
    /// In order of severity, most severe first.
    pub alerts: Vec<Alert>,
    /// Detection and the suppression's reason.
    pub suppressed: Vec<(&'static Detection, String)>,
}

/// Merges all matches about one subject into one alert. An approval check that cannot tell is an
/// alert of its own; every other doubt joins the alerts there are.
pub fn alerts(judgement: &Judgement, policy: &Policy, policy_note: Option<&str>) -> Told {
    let activity = &judgement.activity;
    // That it cannot see is told whatever the policy says of detections.
    let always = matches!(activity.action, Action::SelfChecked(_));
    let mut by_subject: BTreeMap<Subject, Vec<Finding>> = BTreeMap::new();
    let mut doubts = Vec::new();
    let mut suppressed = Vec::new();
    for (detection, verdict) in &judgement.verdicts {
        let (matches, severity) = match verdict {
            Verdict::Match(matches) => (matches.clone(), detection.severity),
            Verdict::CannotTell(reason) if detection.approval => {
                (vec![blind(activity, detection, reason)], Severity::Medium)
            }
            Verdict::CannotTell(reason) => {
                doubts.push(NotInspected { detection: detection.id, reason: reason.clone() });
                continue;
            }
            Verdict::Pass(_) | Verdict::NotApplicable(_) | Verdict::Need(_) => continue,
        };
        for matched in matches {
            if let Some(suppression) =
                policy.suppression(detection.id, &matched, activity).filter(|_| !always)
            {
                suppressed.push((*detection, suppression.reason.clone()));
                continue;
            }
            let policed = policy.severity(detection.id).filter(|_| !always);
            let severity = policed.or(matched.severity).unwrap_or(severity);
            let score = policy.score(detection.id).unwrap_or(detection.score);
            let finding = Finding { detection, severity, score, matched };
            by_subject.entry(finding.matched.subject.clone()).or_default().push(finding);
        }
    }
    let mut alerts: Vec<Alert> = by_subject
        .into_iter()
        .map(|(subject, mut findings)| {
            // Stable: ties stay in registry order.
            findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            let mut not_inspected: Vec<NotInspected> = Vec::new();
            for finding in &findings {
                let detection = finding.detection.id;
                not_inspected.extend(
                    finding
                        .matched
                        .not_inspected
                        .iter()
                        .map(|reason| NotInspected { detection, reason: reason.clone() }),
                );
            }
            not_inspected.extend(doubts.iter().cloned());
            let mut alert = Alert {
                activity: activity.clone(),
                subject,
                findings,
                not_inspected,
                below_floor: false,
                window_start: day_start(activity.time),
                policy_note: policy_note.map(str::to_owned),
                may_repeat: false,
                update: false,
                news: Vec::new(),
                storm: None,
            };
            alert.below_floor = !always && alert.severity() < policy.notify.minimum_severity;
            alert
        })
        .collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity()));
    Told { alerts, suppressed }
}

/// Silence would mean clean: that an approval check could not tell is told.
fn blind(activity: &Activity, detection: &'static Detection, reason: &Reason) -> Match {
    if let Action::SelfChecked(check) = &activity.action
        && let Some(failure) = check.failures.iter().find(|failure| failure.code == reason.code)
    {
        return Match {
            subject: Subject::Blind { detection: detection.id.to_owned(), code: reason.code.clone() },
            severity: Some(failure.severity),
            summary: failure.text.clone(),
            evidence: Map::from_iter([("failure".to_owned(), json!(failure.text))]),
            next_steps: vec![NextStep::new(failure.remedy.clone(), failure.command.clone())],
            not_inspected: vec![reason.clone()],
        };
    }
    let mut evidence = Map::new();
    evidence.insert("cannot_tell".to_owned(), json!(reason.text));
    Match {
        subject: Subject::Blind { detection: detection.id.to_owned(), code: reason.code.clone() },
        severity: Some(Severity::Medium),
        summary: format!("Could not check whether the image is approved: {}", reason.text),
        evidence,
        next_steps: vec![NextStep::new(
            "Give the function what the look-up needs, or check the image by hand; until then launches like this one \
             are not checked.",
            None,
        )],
        not_inspected: vec![reason.clone()],
    }
}

/// Without a memory, a thread's window is the UTC day of the event.
fn day_start(time: DateTime<Utc>) -> DateTime<Utc> {
    time.date_naive().and_time(NaiveTime::MIN).and_utc()
}
