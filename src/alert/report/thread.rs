//! One thread on the page: a row that opens, and under it the time line of its messages.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::html::Html;
use crate::alert::{Alert, Finding, console, evidence, gather, quiet, safe, words};
use crate::severity::Severity;

/// Bytes of a thread's messages; what comes after is counted.
const BYTES: usize = 96 * 1024;
/// Messages of a thread; what comes after is counted.
const MESSAGES: usize = 24;
/// Characters of a sentence, and of a piece of evidence.
const TEXT: usize = 1_000;
const VALUE: usize = 400;
/// Pieces of evidence of one match, and entries of one list.
const ROWS: usize = 24;
const ENTRIES: usize = 40;
/// Findings told in full; of the others the ids.
const FINDINGS: usize = 8;
/// Longest command that is shown; a cut one would be worse than none.
const COMMAND: usize = 2_000;

/// All alerts of one thread.
#[derive(Debug)]
pub struct Thread {
    pub severity: Severity,
    pub first: DateTime<Utc>,
    last: DateTime<Utc>,
    title: String,
    about: String,
    who: String,
    account: String,
    region: String,
    detections: BTreeSet<&'static str>,
    below_floor: bool,
    messages: Vec<(DateTime<Utc>, Html)>,
    bytes: usize,
    left_out: u64,
    /// Its first message came before the first one here.
    opened_before: bool,
}

impl Thread {
    pub fn new(alert: &Alert) -> Self {
        let activity = &alert.activity;
        let name = activity.actor.as_ref().map_or("", |actor| actor.name.as_str());
        let who = if name.is_empty() { activity.principal() } else { name };
        let mut thread = Self {
            severity: alert.severity(),
            first: activity.time,
            last: activity.time,
            title: words::title(alert).to_owned(),
            about: safe::line(&words::about(&alert.subject), 120),
            who: if who == "unknown" { String::new() } else { safe::line(who, 120) },
            account: safe::shown(&activity.account, 128),
            region: safe::shown(&activity.region, 64),
            detections: BTreeSet::new(),
            below_floor: true,
            messages: Vec::new(),
            bytes: 0,
            left_out: 0,
            opened_before: alert.update,
        };
        thread.add(alert);
        thread
    }

    /// Adds a message; the row tells of the most severe one.
    pub fn add(&mut self, alert: &Alert) {
        let time = alert.activity.time;
        if alert.severity() > self.severity {
            self.severity = alert.severity();
            words::title(alert).clone_into(&mut self.title);
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.below_floor &= alert.below_floor;
        self.detections.extend(alert.findings.iter().map(|finding| finding.detection.id));
        let opening = self.messages.is_empty();
        if self.messages.len() >= MESSAGES || self.bytes >= BYTES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let message = message(alert, opening);
        // A hostile event may be long; the thread's first message is shown whatever its size.
        if !opening && self.bytes.saturating_add(message.len()) > BYTES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.bytes = self.bytes.saturating_add(message.len());
        self.messages.push((time, message));
    }

    /// About how much of the page it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(1_024)
    }

    pub fn render(&self, html: &mut Html, uid: &str) {
        html.raw("<li id=\"t-").shown(uid, 64).raw("\"><details data-severity=\"");
        html.raw(self.severity.name()).raw("\" data-detections=\"");
        for id in &self.detections {
            html.raw(" ").raw(id);
        }
        html.raw("\" data-account=\"").escaped(&self.account).raw("\" data-time=\"");
        html.shown(&self.first.timestamp().to_string(), 24).raw("\"><summary><span class=\"pill s");
        html.shown(&self.severity.id().to_string(), 1).raw("\">").raw(self.severity.caption()).raw("</span>");
        html.raw(" <time datetime=\"").shown(&machine(self.first), 40).raw("\">");
        html.shown(&self.first.format("%a %e %b %Y %H:%M").to_string(), 40).raw("</time>");
        html.raw(" <span class=\"title\"><strong>")
            .shown(&self.title, 200)
            .raw("</strong> <span class=\"about\">");
        html.escaped(&self.about).raw("</span>");
        let messages = self.left_out.saturating_add(self.messages.len() as u64);
        if messages > 1 {
            html.raw(" <span class=\"tag\">")
                .shown(&words::count(messages, "message", "messages"), 40)
                .raw("</span>");
        }
        if self.below_floor {
            html.raw(" <span class=\"tag\">not published</span>");
        }
        html.raw("</span> <span class=\"who\">").escaped(&self.who).raw("</span> <span class=\"where\">");
        html.escaped(&self.account).raw(" <span>").escaped(&self.region).raw("</span></span></summary>");
        html.raw("<div class=\"body\">");
        if self.opened_before {
            html.raw("<p class=\"dim\">The thread was opened by an earlier message, which is not on this page.</p>");
        }
        html.raw("<ol class=\"line\">");
        for (_, message) in &self.messages {
            html.part(message);
        }
        html.raw("</ol>");
        if self.left_out > 0 {
            html.raw("<p class=\"dim\">And ").shown(&words::count(self.left_out, "message", "messages"), 40);
            html.raw(" more in this thread, until ").shown(&machine(self.last), 40);
            html.raw("; the JSON form has every one.</p>");
        }
        html.raw("</div></details></li>\n");
    }
}

/// `2026-03-03T10:15:00Z`
pub fn machine(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One message. What is the same in all of a thread is told by the one that opens it.
fn message(alert: &Alert, opening: bool) -> Html {
    let activity = &alert.activity;
    let mut html = Html::default();
    html.raw("<li class=\"s").shown(&alert.severity().id().to_string(), 1).raw("\"><h3><time datetime=\"");
    html.shown(&machine(activity.time), 40).raw("\">").shown(&words::when(activity), 120);
    html.raw("</time> ").told(&words::headline(alert), 200).raw("</h3>");
    if let Some(summary) = alert.lead_summary() {
        html.raw("<p class=\"lead\">").told(summary, TEXT).raw("</p>");
    }
    if let Some(note) = &alert.policy_note {
        html.raw("<p class=\"note\">").shown(note, TEXT).raw("</p>");
    }
    html.raw("<dl>");
    // When it was stands in the heading.
    for (label, fact) in words::facts(activity).filter(|(label, _)| *label != "When") {
        html.raw("<dt>").raw(label).raw("</dt><dd>").told(&fact, TEXT).raw("</dd>");
    }
    html.raw("</dl>");
    if opening {
        html.raw("<h4>Why it matters</h4><p>").shown(words::why(alert), TEXT).raw("</p>");
    }
    html.raw("<h4>What was seen</h4>");
    for (number, found) in alert.findings.iter().take(FINDINGS).enumerate() {
        finding(&mut html, found, number > 0);
    }
    if alert.findings.len() > FINDINGS {
        let rest: Vec<&str> =
            alert.findings.iter().skip(FINDINGS).map(|finding| finding.detection.id).collect();
        html.raw("<p>Also: ").shown(&words::list(rest.iter().copied(), rest.len()), TEXT).raw("</p>");
    }
    not_looked_at(&mut html, alert);
    next(&mut html, alert);
    let links = console::links(alert);
    if !links.is_empty() {
        html.raw("<p class=\"links\">Open in the console:");
        for (label, link) in links {
            html.raw(" <a rel=\"noreferrer noopener\" href=\"")
                .escaped(&link)
                .raw("\">")
                .raw(label)
                .raw("</a>");
        }
        html.raw("</p>");
    }
    if opening {
        quieter(&mut html, alert);
    }
    html.raw("<p class=\"ids\">Thread ").shown(&alert.thread_uid(), 64).raw(", alert ");
    html.shown(&alert.message_uid(), 64);
    if !activity.id.is_empty() {
        html.raw(", source event ").shown(&activity.id, 128);
    }
    html.raw("</p></li>");
    html
}

fn finding(html: &mut Html, finding: &Finding, summary: bool) {
    html.raw("<div class=\"finding\"><p><span class=\"pill s").shown(&finding.severity.id().to_string(), 1);
    html.raw("\">").raw(finding.severity.caption()).raw("</span> <code>").raw(finding.detection.id);
    html.raw("</code> <span class=\"dim\">score ").number(u64::from(finding.score)).raw("</span></p>");
    if summary && !finding.matched.summary.is_empty() {
        html.raw("<p>").told(&finding.matched.summary, TEXT).raw("</p>");
    }
    table(html, &finding.matched.evidence);
    html.raw("</div>");
}

/// The evidence, its lists in full.
fn table(html: &mut Html, evidence: &Map<String, Value>) {
    let rows = evidence::rows(evidence, ROWS);
    if rows.is_empty() {
        return;
    }
    html.raw("<table class=\"evidence\"><tbody>");
    for row in rows {
        html.raw("<tr><th scope=\"row\">").told(&row.label, 40).raw("</th><td>");
        // A list of texts has one line in the row; here there is room for each.
        let texts = evidence
            .get(&row.key)
            .and_then(Value::as_array)
            .filter(|items| items.len() > 1 && items.iter().all(Value::is_string));
        match texts {
            Some(items) => list(html, items.iter().filter_map(Value::as_str), items.len()),
            None if row.lines.len() > 1 => list(html, row.lines.iter().map(String::as_str), row.lines.len()),
            None => {
                html.told(row.lines.first().map_or("", String::as_str), VALUE);
            }
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

fn list<'a>(html: &mut Html, items: impl Iterator<Item = &'a str>, total: usize) {
    html.raw("<ul>");
    for item in items.take(ENTRIES) {
        html.raw("<li>").told(item, VALUE).raw("</li>");
    }
    if let rest @ 1.. = total.saturating_sub(ENTRIES) {
        html.raw("<li>and ").number(rest as u64).raw(" more</li>");
    }
    html.raw("</ul>");
}

fn not_looked_at(html: &mut Html, alert: &Alert) {
    let spots = gather::blind_spots(alert);
    if spots.is_empty() {
        return;
    }
    html.raw("<div class=\"unseen\"><h4>Not looked at: do not take it for clean</h4><ul>");
    for (reason, detections) in spots.iter().take(ENTRIES) {
        html.raw("<li>").shown(&reason.text, TEXT).raw(" <span class=\"dim\">");
        html.shown(&words::list(detections.iter().copied(), detections.len()), TEXT).raw("</span></li>");
    }
    if let rest @ 1.. = spots.len().saturating_sub(ENTRIES) {
        html.raw("<li>and ").number(rest as u64).raw(" more, in the JSON form of this alert</li>");
    }
    html.raw("</ul></div>");
}

fn next(html: &mut Html, alert: &Alert) {
    let steps = gather::steps(alert);
    if steps.is_empty() {
        return;
    }
    html.raw("<h4>Do next</h4><ol class=\"steps\">");
    for step in steps.into_iter().take(12) {
        html.raw("<li>").shown(&step.text, TEXT);
        if let Some(command) = step.command.as_ref().filter(|command| command.len() <= COMMAND) {
            html.raw("<pre><code>");
            let lines = safe::wrap_command(&safe::verbatim(command), 100);
            html.escaped(&lines.join("\n")).raw("</code></pre>");
        }
        html.raw("</li>");
    }
    html.raw("</ol>");
}

fn quieter(html: &mut Html, alert: &Alert) {
    let snippets = quiet::snippets(alert);
    if snippets.is_empty() {
        return;
    }
    html.raw("<details class=\"quieter\"><summary>To hear no more of this</summary>");
    for snippet in snippets {
        html.raw("<p>").raw(snippet.when).raw("</p><pre><code>");
        html.verbatim(&snippet.yaml.join("\n")).raw("</code></pre>");
    }
    html.raw("</details>");
}
