//! The summary of a storm: one message for many alerts of one detection in one account.

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{Alert, Finding, Storm, words};
use crate::detection::{Match, Subject};
use crate::history::storm;

/// How many subjects the sentence names; the evidence names all that are known.
const SPOKEN: usize = 3;

/// The summary that an alert makes due. It takes the place of the alert, and names its subject.
pub fn summary(alert: &Alert, storm: &storm::Storm) -> Alert {
    let Some(lead) = alert.lead() else { return alert.clone() };
    let subjects: Vec<String> = storm.subjects.iter().map(|subject| subject.name.clone()).collect();
    let severity = storm.subjects.iter().map(|subject| subject.severity).max();
    let since = storm.start.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Secs, true);
    let named = words::list(
        subjects.iter().take(SPOKEN).map(String::as_str),
        usize::try_from(storm.count).unwrap_or(usize::MAX),
    );
    let told = storm.singles.len();
    let subject = Subject::Storm { detection: lead.detection.id.to_owned() };
    let matched = Match {
        subject: subject.clone(),
        severity,
        summary: format!(
            "{} in this account since {since}, {} of them told singly. Among them: {named}. The next summary \
             follows when there are twice as many.",
            words::count(storm.count, "alert", "alerts"),
            words::thousands(u64::try_from(told).unwrap_or(u64::MAX)),
        ),
        evidence: Map::from_iter([
            ("alerts".to_owned(), json!(storm.count)),
            ("since".to_owned(), json!(since)),
            ("subjects".to_owned(), Value::from(subjects.clone())),
            ("latest".to_owned(), json!(lead.matched.summary)),
        ]),
        next_steps: lead.matched.next_steps.clone(),
        not_inspected: lead.matched.not_inspected.clone(),
    };
    let finding = Finding {
        detection: lead.detection,
        severity: severity.unwrap_or(lead.severity),
        score: lead.score,
        matched,
    };
    Alert {
        subject,
        findings: vec![finding],
        window_start: storm.start,
        update: storm.summaries > 1,
        news: Vec::new(),
        storm: Some(Storm { count: storm.count, subjects }),
        ..alert.clone()
    }
}
