//! What `check` prints for a person, and the one line that fits a text message.

use anstyle::Style;

use super::evidence::Row;
use super::paint::{COMMAND, DOUBT, FAINT, STRONG, of, paint};
use super::safe::{ascii, told, told_openly, verbatim, wrap, wrap_command};
use super::{Alert, evidence, gather, words};

/// Columns, whatever the terminal has: the same text goes into files and tickets.
const WIDTH: usize = 100;
/// Columns of the labels on the left.
const LABEL: usize = 8;
/// Rows of evidence for each match.
const ROWS: usize = 14;
/// Characters of a sentence.
const TEXT: usize = 600;
/// Characters of a piece of evidence.
const VALUE: usize = 300;
/// Characters of a text message.
const SMS: usize = 140;

/// An alert in a block of lines, without a blank line at its end. Colour codes only if asked for; what
/// comes from the event can bring none in.
pub fn text(alert: &Alert, colour: bool) -> String {
    let mut block = Block { text: String::new(), colour };
    let activity = &alert.activity;
    let severity = alert.severity();
    let badge = severity.caption().to_uppercase();
    let badge = if colour { paint(&format!(" {badge} "), of(severity), colour) } else { format!("{badge}:") };
    block.text.push_str(&badge);
    block.text.push(' ');
    block.text.push_str(&paint(&told(&words::headline(alert), 200), STRONG, colour));
    block.text.push('\n');
    if let Some(summary) = alert.lead_summary() {
        block.row("", &told(summary, TEXT), Style::new());
    }
    for note in alert.notes() {
        block.row("note", &told_openly(note, TEXT), DOUBT);
    }
    for (label, fact) in words::facts(activity) {
        block.row(&label.to_lowercase(), &told(&fact, TEXT), Style::new());
    }
    for (number, finding) in alert.findings.iter().enumerate() {
        let name = format!("{} [{}, score {}]", finding.detection.id, finding.severity, finding.score);
        block.row("seen", &name, of(finding.severity));
        if number > 0 {
            block.row("", &told(&finding.matched.summary, TEXT), Style::new());
        }
        block.table(&evidence::rows(&finding.matched.evidence, ROWS));
    }
    for (reason, detections) in gather::blind_spots(alert) {
        let by = words::list(detections.iter().copied(), detections.len());
        block.row("unseen", &format!("{} ({by})", told_openly(&reason.text, TEXT)), DOUBT);
    }
    for (number, step) in gather::steps(alert).into_iter().enumerate() {
        let label = if number == 0 { "next" } else { "" };
        block.row(
            label,
            &format!("{}. {}", number.saturating_add(1), told_openly(&step.text, TEXT)),
            Style::new(),
        );
        if let Some(command) = &step.command {
            for line in wrap_command(&verbatim(command), WIDTH.saturating_sub(LABEL + 5)) {
                block.line(&format!("   {line}"), COMMAND);
            }
        }
        for line in verbatim(step.policy.as_deref().unwrap_or_default()).lines() {
            block.line(&format!("   {line}"), COMMAND);
        }
    }
    if alert.below_floor {
        block.row("note", "under the notification floor: printed here, not published", FAINT);
    }
    let event = if activity.id.is_empty() {
        "no event id".to_owned()
    } else {
        format!("event {}", told_openly(&activity.id, 128))
    };
    block.row("ids", &format!("{event}, thread {}", alert.thread_uid()), FAINT);
    block.text
}

/// At most 140 ASCII characters on one line: severity, title, what it is about where there is room,
/// where and when.
pub fn sms(alert: &Alert) -> String {
    let activity = &alert.activity;
    let part = |text: &str, max: usize| ascii(&told(text, max).replace('…', "~"));
    let severity = alert.severity().caption().to_uppercase();
    let head = format!("{severity} {}", part(&words::headline(alert), 70));
    let place = part(&format!("{} {}", activity.account, activity.region), 40);
    let tail = format!(
        "{}{} {}",
        if place.is_empty() { "" } else { " " },
        place,
        activity.time.format("%m-%d %H:%M UTC")
    );
    let about = format!(": {}", part(&words::about(&alert.subject), 80));
    let fits = about.len() > 2 && head.len() + about.len() + 1 + tail.len() <= SMS;
    format!("{head}{}.{tail}", if fits { about.as_str() } else { "" }).chars().take(SMS).collect()
}

struct Block {
    text: String,
    colour: bool,
}

impl Block {
    fn row(&mut self, label: &str, text: &str, style: Style) {
        for (number, line) in wrap(text, WIDTH.saturating_sub(LABEL + 2)).into_iter().enumerate() {
            let label = format!("  {:LABEL$}", if number == 0 { label } else { "" });
            self.text.push_str(&paint(&label, FAINT, self.colour && !label.trim().is_empty()));
            self.text.push_str(&paint(&line, style, self.colour));
            self.text.push('\n');
        }
    }

    fn line(&mut self, text: &str, style: Style) {
        self.text.push_str(&format!("  {:LABEL$}{}\n", "", paint(text, style, self.colour)));
    }

    fn table(&mut self, rows: &[Row]) {
        let labels: Vec<String> = rows.iter().map(|row| told(&row.label, 24)).collect();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
        let room = WIDTH.saturating_sub(LABEL + 6).saturating_sub(width);
        for (row, label) in rows.iter().zip(&labels) {
            let lines = row.lines.iter().flat_map(|line| wrap(&told(line, VALUE), room));
            for (number, line) in lines.enumerate() {
                let label = if number == 0 { label.as_str() } else { "" };
                let label = paint(&format!("{label:width$}"), FAINT, self.colour && !label.is_empty());
                self.text.push_str(&format!("  {:LABEL$}  {label}  {line}\n", ""));
            }
        }
    }
}

#[cfg(test)]
mod tests;
