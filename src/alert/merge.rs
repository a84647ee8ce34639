//! From verdicts to alerts: one alert for each subject that something matched.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveTime, Utc};
use serde_json::{Map, json};

use super::{Alert, Finding, NotInspected, shape};
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
    // That it cannot see, and that its policy changed, is told whatever the policy says of detections.
    let always = matches!(activity.action, Action::SelfChecked(_) | Action::PolicyChanged(_));
    let launch = matches!(activity.action, Action::ImageLaunched(_));
    let mut by_subject: BTreeMap<Subject, Vec<Finding>> = BTreeMap::new();
    let mut doubts = Vec::new();
    let mut suppressed = Vec::new();
    // What cannot be told comes last: what else is known of the launch decides whether it is news.
    let (unknown, known): (Vec<_>, Vec<_>) =
        judgement.verdicts.iter().partition(|(_, verdict)| matches!(verdict, Verdict::CannotTell(_)));
    for (detection, verdict) in known.into_iter().chain(unknown) {
        let (matches, severity) = match verdict {
            Verdict::Match(matches) => (matches.clone(), detection.severity),
            // A launch has one image. Where another check says that it is not approved, one alert says so.
            Verdict::CannotTell(reason)
                if detection.approval && !(launch && by_subject.values().flatten().any(is_certain)) =>
            {
                (vec![blind(activity, reason)], Severity::Medium)
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

/// Whether an approval check found something, and is not only unable to tell.
fn is_certain(finding: &Finding) -> bool {
    finding.detection.approval && !matches!(finding.matched.subject, Subject::Unchecked { .. })
}

/// Silence would mean clean: that an approval check could not tell is told.
fn blind(activity: &Activity, reason: &Reason) -> Match {
    let (image, principal) = (used(activity), activity.principal().to_owned());
    let steps = vec![NextStep::new(missing(&reason.code), by_hand(activity, &image))];
    Match {
        severity: Some(Severity::Medium),
        summary: format!("Could not check whether {image} is approved: {}", reason.text),
        evidence: Map::from_iter([
            ("image".to_owned(), json!(image)),
            ("principal".to_owned(), json!(principal)),
            ("cannot_tell".to_owned(), json!(reason.text)),
        ]),
        subject: Subject::Unchecked { image, principal },
        next_steps: steps,
        not_inspected: vec![reason.clone()],
    }
}

/// Characters of the images of one declaration, which may be hundreds.
const IMAGES: usize = 300;

/// The image that an activity uses; of several, all.
fn used(activity: &Activity) -> String {
    let image = match &activity.action {
        Action::ImageLaunched(launch) => launch.image.label(),
        Action::ImageDerived(derivation) => derivation.image.clone().unwrap_or_default(),
        Action::ImagePulled(pull) => pull.image.name.clone(),
        Action::WorkloadDeclared(workload) => {
            let names: BTreeSet<&str> =
                workload.containers.iter().map(|container| container.image.name.as_str()).collect();
            let all = names.into_iter().collect::<Vec<_>>().join(", ");
            all.chars().take(IMAGES).collect()
        }
        action => action
            .place()
            .and_then(|place| place.image.as_ref())
            .map(|image| image.name.clone())
            .unwrap_or_default(),
    };
    if image.is_empty() { "an image that is not named".to_owned() } else { image }
}

/// What has to be done so that the next such image is checked.
fn missing(code: &str) -> &'static str {
    match code {
        "image-not-found" => {
            "EC2 does not show the image any more: it was deregistered, or its owner no longer shares it. Nobody can \
             check it now. Ask who launched it why, and look at what runs from it."
        }
        code if code.ends_with("-denied") => {
            "Grant the look-up role the permission that the reason names. Until then check such images by hand."
        }
        code if code.ends_with("-not-recorded") => {
            "Put what AWS says about the image into the facts directory, or ask AWS with --live."
        }
        code if ["-throttled", "-timed-out", "-failed"].iter().any(|end| code.ends_with(end)) => {
            "AWS did not answer in time; nothing is missing. Check the image by hand. Should it happen again, see who \
             uses up the account's request limits."
        }
        _ => "Find out which image it is and who made it, and check it by hand.",
    }
}

/// The command that shows a machine image.
fn by_hand(activity: &Activity, image: &str) -> Option<String> {
    let sound = shape::resource("ami", image) && shape::region(&activity.region);
    sound.then(|| {
        format!(
            "aws ec2 describe-images --region {} --include-deprecated --image-ids {image}",
            activity.region
        )
    })
}

/// Without a memory, a thread's window is the UTC day of the event.
fn day_start(time: DateTime<Utc>) -> DateTime<Utc> {
    time.date_naive().and_time(NaiveTime::MIN).and_utc()
}
