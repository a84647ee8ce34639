//! What every detection said about one activity: the answer to "why was there no alert?".

use anstyle::Style;

use super::paint::{DOUBT, FAINT, GOOD, STRONG, of, paint};
use super::safe::{told, told_openly, wrap};
use super::words;
use crate::detection::Verdict;
use crate::engine::{FailedLookup, Judgement};

/// Narrower terminals get lines of this many columns all the same.
const NARROWEST: usize = 60;
/// Characters of a reason.
const TEXT: usize = 1_000;

/// A heading about the activity, and a table of every detection with its verdict and reason, in lines of
/// at most `width` columns.
pub fn explain(judgement: &Judgement, width: usize, colour: bool) -> String {
    let width = width.max(NARROWEST);
    let activity = &judgement.activity;
    let mut text = String::new();
    text.push_str(&paint(activity.action.name(), STRONG, colour));
    text.push_str(&format!("  {}\n", words::when(activity)));
    let facts = [
        ("what", words::what(activity)),
        ("who", words::who(activity)),
        ("where", words::place(activity)),
        ("event", activity.id.clone()),
    ];
    for (label, fact) in facts {
        column(&mut text, &[(label, 7, FAINT)], &told(&fact, TEXT), width, colour);
    }
    text.push('\n');

    let heading = ("DETECTION", "VERDICT", "REASON");
    let rows: Vec<(&str, &str, Style, String)> = judgement
        .verdicts
        .iter()
        .map(|(detection, verdict)| {
            let (word, style, reason) = match verdict {
                Verdict::Match(matches) => {
                    let severities = matches.iter().map(|one| one.severity.unwrap_or(detection.severity));
                    let severity = severities.max().unwrap_or(detection.severity);
                    let summaries: Vec<&str> = matches.iter().map(|one| one.summary.as_str()).collect();
                    ("MATCH", of(severity), summaries.join(" "))
                }
                Verdict::Pass(reason) => ("pass", GOOD, reason.to_string()),
                Verdict::NotApplicable(reason) => ("not applicable", FAINT, reason.to_string()),
                Verdict::CannotTell(reason) => {
                    ("CANNOT TELL", DOUBT, format!("{} [{}]", reason.text, reason.code))
                }
                Verdict::Need(keys) => {
                    let apis: Vec<&str> = keys.iter().map(|key| key.api()).collect();
                    (
                        "CANNOT TELL",
                        DOUBT,
                        format!("facts still wanted: {}", words::list(apis.iter().copied(), apis.len())),
                    )
                }
            };
            (detection.id, word, style, told(&reason, TEXT))
        })
        .collect();
    let first = rows.iter().map(|(id, ..)| id.len()).chain([heading.0.len()]).max().unwrap_or_default() + 2;
    let second =
        rows.iter().map(|(_, word, ..)| word.len()).chain([heading.1.len()]).max().unwrap_or_default() + 2;
    column(&mut text, &[(heading.0, first, FAINT), (heading.1, second, FAINT)], heading.2, width, colour);
    for (id, word, style, reason) in &rows {
        let id_style = if *style == FAINT { FAINT } else { Style::new() };
        column(&mut text, &[(id, first, id_style), (word, second, *style)], reason, width, colour);
    }
    if rows.is_empty() {
        text.push_str("no detection is registered\n");
    }
    if !judgement.unavailable.is_empty() {
        text.push('\n');
        let mut told: Vec<&FailedLookup> = Vec::new();
        for failed in &judgement.unavailable {
            if !told.contains(&failed) {
                told.push(failed);
                let line =
                    format!("look-up failed: {}: {}", failed.api, told_openly(&failed.missing.reason, TEXT));
                column(&mut text, &[], &line, width, colour);
            }
        }
    }
    text
}

/// Cells of fixed width, and a last one that takes as many lines as it needs. Where the cells leave it
/// too little room it goes below them.
fn column(text: &mut String, cells: &[(&str, usize, Style)], last: &str, width: usize, colour: bool) {
    let used: usize = cells.iter().map(|(_, width, _)| width).sum();
    for (cell, cell_width, style) in cells {
        let padding = cell_width.saturating_sub(cell.chars().count());
        text.push_str(&paint(cell, *style, colour));
        text.push_str(&" ".repeat(padding));
    }
    let below = width.saturating_sub(used) < 24;
    let indent = if below { 4 } else { used };
    if below {
        text.truncate(text.trim_end().len());
        text.push('\n');
        text.push_str("    ");
    }
    for (number, line) in wrap(last, width.saturating_sub(indent)).into_iter().enumerate() {
        if number > 0 {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&line);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests;
