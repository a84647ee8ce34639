//! Plain text for people: what, who, where, why, what was not looked at, and what to type next.

use super::safe::{told, told_openly, verbatim, wrap, wrap_command};
use super::{Alert, Finding, console, evidence, gather, quiet, words};

/// Characters of a line. Links and single words of a command may be longer.
pub(super) const WIDTH: usize = 96;
/// What comes from the event never begins a line: only headings, labels and our own sentences do. So no name
/// can pass for a heading, however it is broken.
const INDENT: usize = 2;
/// Longest command that is shown; a cut one would be worse than none.
const COMMAND: usize = 2_000;

/// How much is told.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Findings told in full; of the others the ids.
    pub findings: usize,
    /// Rows of evidence for each.
    pub rows: usize,
    /// Characters of a value.
    pub value: usize,
    /// Characters of a sentence.
    pub text: usize,
    pub steps: usize,
    pub blind_spots: usize,
}

impl Limits {
    pub const FULL: Self = Self { findings: 6, rows: 14, value: 300, text: 1_000, steps: 8, blind_spots: 10 };
    /// Where a message would otherwise be larger than SNS takes.
    pub const TIGHT: Self = Self { findings: 2, rows: 5, value: 120, text: 400, steps: 4, blind_spots: 4 };
}

/// The e-mail's text.
pub fn text(alert: &Alert) -> String {
    text_within(alert, Limits::FULL)
}

/// As [`text`], within limits.
pub fn text_within(alert: &Alert, limits: Limits) -> String {
    let mut page = Page::default();
    let activity = &alert.activity;
    page.words(
        0,
        &format!("{}: {}", alert.severity().caption().to_uppercase(), told(&words::headline(alert), 200)),
    );
    page.blank();
    for note in alert.notes() {
        page.row("NOTE:", 6, &told_openly(note, limits.text));
        page.blank();
    }
    if let Some(summary) = alert.lead_summary() {
        page.words(INDENT, &told(summary, limits.text));
        page.blank();
    }
    for (label, fact) in words::facts(activity) {
        page.row(label, 7, &told(&fact, limits.text));
    }
    page.section("WHY IT MATTERS");
    page.words(0, words::why(alert));
    seen(&mut page, alert, limits);
    not_looked_at(&mut page, alert, limits);
    next(&mut page, alert, limits);
    let links = console::links(alert);
    if !links.is_empty() {
        page.section("OPEN IN THE CONSOLE");
        for (label, link) in links {
            page.raw(&format!("{label}: {link}"));
        }
    }
    let snippets = quiet::snippets(alert);
    if !snippets.is_empty() {
        page.section("TO HEAR NO MORE OF THIS (policy.yaml)");
        for snippet in snippets {
            page.words(0, snippet.when);
            page.blank();
            for line in snippet.yaml {
                page.raw(&format!("    {line}"));
            }
            page.blank();
        }
    }
    page.blank();
    page.raw("--");
    page.raw(&format!("Thread {}, alert {}", alert.thread_uid(), alert.message_uid()));
    if !activity.id.is_empty() {
        page.row("Source event", 13, &told_openly(&activity.id, 128));
    }
    page.raw(concat!(
        "Imagewarden ",
        env!("CARGO_PKG_VERSION"),
        ", MITRE ATT&CK T1204.003 User Execution: Malicious Image"
    ));
    page.text
}

fn seen(page: &mut Page, alert: &Alert, limits: Limits) {
    page.section("WHAT WAS SEEN");
    for (number, finding) in alert.findings.iter().take(limits.findings).enumerate() {
        if number > 0 {
            page.blank();
        }
        page.words(0, &format!("[{}] {}", finding.severity, finding.detection.id));
        if number > 0 {
            page.words(2, &told(&finding.matched.summary, limits.text));
        }
        table(page, finding, limits);
    }
    if alert.findings.len() > limits.findings {
        let rest: Vec<&str> =
            alert.findings.iter().skip(limits.findings).map(|finding| finding.detection.id).collect();
        page.blank();
        page.words(0, &format!("Also: {}", words::list(rest.iter().copied(), rest.len())));
    }
}

fn table(page: &mut Page, finding: &Finding, limits: Limits) {
    let rows = evidence::rows(&finding.matched.evidence, limits.rows);
    let labels: Vec<String> = rows.iter().map(|row| told(&row.label, 24)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    for (row, label) in rows.iter().zip(&labels) {
        for (number, line) in row.lines.iter().enumerate() {
            let label = if number == 0 { label.as_str() } else { "" };
            page.indented_row(2, label, width.saturating_add(2), &told(line, limits.value));
        }
    }
}

fn not_looked_at(page: &mut Page, alert: &Alert, limits: Limits) {
    let spots = gather::blind_spots(alert);
    if spots.is_empty() {
        return;
    }
    page.section("NOT LOOKED AT (do not take it for clean)");
    for (reason, detections) in spots.iter().take(limits.blind_spots) {
        let by = words::list(detections.iter().copied(), detections.len());
        page.item("-", &format!("{} ({by})", told_openly(&reason.text, limits.text)));
    }
    if let rest @ 1.. = spots.len().saturating_sub(limits.blind_spots) {
        page.item("-", &format!("and {rest} more, in the JSON form of this alert"));
    }
}

fn next(page: &mut Page, alert: &Alert, limits: Limits) {
    let steps = gather::steps(alert);
    if steps.is_empty() {
        return;
    }
    page.section("DO NEXT");
    for (number, step) in steps.into_iter().take(limits.steps).enumerate() {
        page.item(&format!("{}.", number.saturating_add(1)), &told_openly(&step.text, limits.text));
        if let Some(command) = step.command.as_ref().filter(|command| command.len() <= COMMAND) {
            page.blank();
            for line in wrap_command(&verbatim(command), WIDTH.saturating_sub(6)) {
                page.raw(&format!("      {line}"));
            }
            page.blank();
        }
        if let Some(lines) = &step.policy {
            page.blank();
            for line in verbatim(lines).lines() {
                page.raw(&format!("      {line}"));
            }
            page.blank();
        }
    }
}

/// The page as it grows.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    pub(super) fn raw(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// One empty line, never two.
    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    pub(super) fn section(&mut self, heading: &str) {
        self.blank();
        self.raw(&format!("== {heading} =="));
    }

    pub(super) fn words(&mut self, indent: usize, text: &str) {
        for line in wrap(text, WIDTH.saturating_sub(indent)) {
            self.raw(&format!("{:indent$}{line}", ""));
        }
    }

    pub(super) fn row(&mut self, label: &str, width: usize, text: &str) {
        self.indented_row(0, label, width, text);
    }

    /// A label, and the text beside it however many lines it takes.
    pub(super) fn indented_row(&mut self, indent: usize, label: &str, width: usize, text: &str) {
        let room = WIDTH.saturating_sub(indent).saturating_sub(width);
        for (number, line) in wrap(text, room).into_iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.raw(&format!("{:indent$}{label:width$}{line}", ""));
        }
    }

    pub(super) fn item(&mut self, mark: &str, text: &str) {
        self.indented_row(0, mark, 3, text);
    }
}

#[cfg(test)]
mod tests;
