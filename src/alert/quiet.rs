//! How to hear no more of something that is known and accepted: lines for the policy file.

use chrono::Days;

use super::{Alert, shape};
use crate::activity::{Action, Activity, LaunchOutcome};
use crate::detection::Subject;

/// How long a suggested suppression holds.
const SUPPRESSED_DAYS: u64 = 30;
/// How many detections a suggestion names.
const SUGGESTED: usize = 3;

/// One way to quieten: when to take it, and what to put into the policy.
pub struct Snippet {
    pub when: &'static str,
    pub yaml: Vec<String>,
}

/// Suggestions, the better one first. Empty where nothing narrow enough is known: a suppression must
/// not silence more than the reader has seen. Only ids of the right shape get into one.
pub fn snippets(alert: &Alert) -> Vec<Snippet> {
    approval(alert).into_iter().chain(suppression(alert)).collect()
}

fn approval(alert: &Alert) -> Option<Snippet> {
    let Subject::MachineImage { image, .. } = &alert.subject else { return None };
    let Action::ImageLaunched(launch) = &alert.activity.action else { return None };
    let approvable = launch.outcome == LaunchOutcome::Succeeded
        && shape::resource("ami", image)
        && alert.lead().is_some_and(|finding| finding.detection.approval);
    approvable.then(|| Snippet {
        when: "If this image is meant to be used here, approve it:",
        yaml: vec![
            "images:".to_owned(),
            "  approved:".to_owned(),
            format!("    ids: [{image}]   # beside those that are there"),
        ],
    })
}

fn suppression(alert: &Alert) -> Option<Snippet> {
    let (key, value) = match &alert.subject {
        Subject::MachineImage { image, .. } if shape::resource("ami", image) => ("image", image),
        Subject::Push { repository, .. } | Subject::Repository { repository }
            if shape::repository(repository) =>
        {
            ("repository", repository)
        }
        Subject::Scan { digest, .. } if shape::digest(digest) => ("image", digest),
        Subject::GuardRail { target, .. } if shape::repository(target) => ("repository", target),
        _ => return None,
    };
    let until = alert.activity.time.date_naive().checked_add_days(Days::new(SUPPRESSED_DAYS))?;
    let mut yaml = vec!["suppress:".to_owned()];
    for finding in alert.findings.iter().take(SUGGESTED) {
        yaml.push(format!("  - detection: {}", finding.detection.id));
        yaml.push(format!("    {key}: \"{value}\""));
        yaml.extend(
            principal(&alert.subject, &alert.activity)
                .map(|principal| format!("    principal: \"{principal}\"")),
        );
        if shape::account(&alert.activity.account) {
            yaml.push(format!("    account: \"{}\"", alert.activity.account));
        }
        yaml.push(format!("    until: {until}"));
        yaml.push("    reason: \"who agreed to this, and why\"".to_owned());
    }
    Some(Snippet { when: "If it is known and accepted for now, keep it quiet until a date:", yaml })
}

/// Scans name nobody, and a reader of results is not to blame for them.
fn principal<'a>(subject: &Subject, activity: &'a Activity) -> Option<&'a str> {
    if matches!(subject, Subject::Scan { .. }) {
        return None;
    }
    activity.actor.as_ref().map(|actor| actor.principal.as_str()).filter(|principal| shape::arn(principal))
}
