//! The custom notification of Amazon Q Developer in chat applications. It drops what does not fit its
//! schema without a word, so the shape is tested here: version and source as given, every value of
//! `additionalContext` a string, lengths under those that were seen to work.

use serde_json::{Map, Value, json};

use super::safe::{chat, shown, told, told_openly, verbatim};
use super::{Alert, console, evidence, gather, ocsf, words};
use crate::detection::NextStep;
use crate::severity::Severity;

const DESCRIPTION: usize = 3_500;
const STEPS: usize = 5;
const STEP: usize = 250;
const RESOURCES: usize = 10;
/// Evidence told of the most severe finding.
const ROWS: usize = 6;

/// The notification.
pub fn notification(alert: &Alert) -> Value {
    let lead = alert.lead();
    let severity = alert.severity();
    let title = format!("{} {}: {}", mark(severity), severity.caption(), fit(&words::headline(alert), 160));
    let mut keywords = vec![severity.name().to_owned(), "T1204.003".to_owned()];
    keywords.extend(alert.findings.iter().map(|finding| finding.detection.id.to_owned()).take(8));
    let mut resources: Vec<String> = ocsf::resources(alert, RESOURCES)
        .iter()
        .filter_map(|resource| Some(own(resource.get("uid")?.as_str()?, 256)))
        .collect();
    resources.truncate(RESOURCES);
    json!({
        "version": "1.0",
        "source": "custom",
        "id": alert.message_uid(),
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": description(alert),
            "nextSteps": next_steps(alert),
            "keywords": keywords,
        },
        "metadata": {
            "threadId": alert.thread_uid(),
            "summary": lead.map(|lead| fit(&crate::text::redact(&shown(&lead.matched.summary, 1_000)), 250)).unwrap_or_default(),
            "eventType": lead.map_or("imagewarden", |lead| lead.detection.id),
            "relatedResources": resources,
            "additionalContext": context(alert),
        },
    })
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🚨",
        Severity::High => "🔴",
        Severity::Medium => "🟠",
        Severity::Low => "🟡",
        Severity::Informational => "🔵",
    }
}

/// One safe line without live formatting.
fn text(raw: &str, max: usize) -> String {
    chat(&told(raw, max))
}

/// As [`text`], for our own sentences and for identifiers.
fn own(raw: &str, max: usize) -> String {
    chat(&told_openly(raw, max))
}

/// Paragraphs in the order of their use to a reader; one that no longer fits is left out whole, so that
/// no entity or formatting is cut in two.
fn description(alert: &Alert) -> String {
    let activity = &alert.activity;
    let mut parts = Vec::new();
    for note in alert.notes() {
        parts.push(format!("⚠️ {}", own(note, 300)));
    }
    if let Some(summary) = alert.lead_summary() {
        parts.push(text(summary, 600));
    }
    let mut facts = vec![
        format!("*What:* {}", text(&words::what(activity), 300)),
        format!("*Who:* {}", text(&words::who(activity), 300)),
        format!("*Where:* {}", text(&words::place(activity), 100)),
        format!("*When:* {}", text(&words::when(activity), 100)),
    ];
    if let Some(origin) = words::origin(activity) {
        facts.push(format!("*From:* {}", text(&origin, 150)));
    }
    parts.push(facts.join("\n"));
    let spots = gather::blind_spots(alert);
    if !spots.is_empty() {
        let mut lines = vec!["*Not looked at* (do not take it for clean)".to_owned()];
        lines.extend(spots.iter().take(3).map(|(reason, _)| format!("• {}", own(&reason.text, 200))));
        if let rest @ 1.. = spots.len().saturating_sub(3) {
            lines.push(format!("• and {rest} more"));
        }
        parts.push(lines.join("\n"));
    }
    if let Some(lead) = alert.lead() {
        let rows: Vec<String> = evidence::rows(&lead.matched.evidence, ROWS)
            .iter()
            .map(|row| format!("• {}: {}", text(&row.label, 24), text(&row.lines.join("; "), 160)))
            .collect();
        if !rows.is_empty() {
            parts.push(format!("*Seen*\n{}", rows.join("\n")));
        }
    }
    let others: Vec<String> = alert
        .findings
        .iter()
        .skip(1)
        .take(4)
        .map(|finding| format!("• {}: {}", finding.severity.caption(), text(&finding.matched.summary, 200)))
        .collect();
    if !others.is_empty() {
        parts.push(format!("*Also*\n{}", others.join("\n")));
    }
    let links: Vec<String> =
        console::links(alert).iter().map(|(label, link)| format!("<{link}|{label}>")).collect();
    if !links.is_empty() {
        parts.push(links.join(" · "));
    }
    let mut description = String::new();
    for part in parts {
        let separator = if description.is_empty() { "" } else { "\n\n" };
        if description.chars().count() + separator.len() + part.chars().count() <= DESCRIPTION {
            description.push_str(separator);
            description.push_str(&part);
        }
    }
    // Required, and empty text would be dropped.
    if description.is_empty() { "See the JSON form of this alert.".to_owned() } else { description }
}

fn next_steps(alert: &Alert) -> Vec<String> {
    gather::steps(alert).into_iter().take(STEPS).map(step).collect()
}

/// Text, and the command or the policy's lines; those are shown whole or not at all.
fn step(step: &NextStep) -> String {
    let whole = own(&step.text, STEP);
    let Some(command) = step.command.as_ref().or(step.policy.as_ref()) else { return fit(&step.text, STEP) };
    let what = if step.command.is_some() { "the command is" } else { "the lines are" };
    let command = verbatim(command).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let room = STEP.saturating_sub(command.chars().count()).saturating_sub(3);
    if command.contains(['`', '\n']) || room < 60.min(whole.chars().count()) {
        return fit(&format!("{} ({what} in the e-mail)", step.text), STEP);
    }
    format!("{} `{command}`", fit(&step.text, room))
}

/// Cut before it is escaped, until what is escaped fits.
fn fit(raw: &str, max: usize) -> String {
    let mut room = max;
    loop {
        let escaped = own(raw, room);
        let length = escaped.chars().count();
        if length <= max || room == 0 {
            return escaped;
        }
        room = room.saturating_sub((length - max).clamp(1, room.max(1)));
    }
}

/// Strings only: anything else has the whole notification dropped.
fn context(alert: &Alert) -> Map<String, Value> {
    let activity = &alert.activity;
    let score: u64 = alert.findings.iter().map(|finding| u64::from(finding.score)).sum();
    let entries = [
        ("severity", alert.severity().name().to_owned()),
        ("account", own(&activity.account, 64)),
        ("region", own(&activity.region, 64)),
        ("principal", own(activity.principal(), 256)),
        ("time", activity.time.to_rfc3339()),
        ("event", own(&activity.id, 128)),
        ("score", score.to_string()),
    ];
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .collect()
}

#[cfg(test)]
mod tests;
