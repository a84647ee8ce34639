//! What happened to what watches, and to the policy it judges by.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Something that watches was switched off, deleted or loosened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoringChange {
    pub monitor: Monitor,
    /// The trail's, rule's, detector's or resource's name; the account for Inspector.
    pub target: String,
    /// For people, after the name: `was deleted`.
    pub effect: String,
    pub failed: Option<String>,
}

/// What watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    Trail,
    /// An EventBridge rule of Imagewarden.
    Rule,
    GuardDuty,
    Inspector,
    /// Imagewarden's function, topic, subscription or table.
    Own,
}

/// The policy was changed, or differs from the one that was loaded before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// `ssm:/imagewarden/policy`, `s3://bucket/policy.yaml`
    pub location: String,
    /// Lines that differ, with `-` or `+` before them, as many as are shown. Empty where only the call is known.
    pub changes: Vec<String>,
    /// How many more lines differ.
    pub more: usize,
    pub deleted: bool,
    pub failed: Option<String>,
}

/// Lines that one alert shows of a change.
const MOST_LINES: usize = 40;
/// Characters of one such line.
const LONGEST_LINE: usize = 200;

impl PolicyChange {
    /// How two texts of a policy differ, line by line; lines that only moved do not count. `None` where they do
    /// not.
    pub fn between(location: &str, before: &str, after: &str) -> Option<Self> {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for (text, by) in [(before, -1), (after, 1)] {
            for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
                let count = counts.entry(line).or_default();
                *count = count.saturating_add(by);
            }
        }
        let mut changes = Vec::new();
        let mut more = 0_usize;
        for (text, sign) in [(before, -1), (after, 1)] {
            for line in text.lines().map(str::trim_end) {
                let Some(count) = counts.get_mut(line).filter(|count| count.signum() == sign) else {
                    continue;
                };
                *count = count.saturating_sub(sign);
                if changes.len() < MOST_LINES {
                    let mark = if sign < 0 { '-' } else { '+' };
                    let line: String = line.chars().take(LONGEST_LINE).collect();
                    changes.push(format!("{mark}{line}"));
                } else {
                    more = more.saturating_add(1);
                }
            }
        }
        (!changes.is_empty()).then(|| Self {
            location: location.to_owned(),
            changes,
            more,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_differ_are_shown_and_counted() {
        let change = PolicyChange::between("ssm:/p", "a: 1\nb: 2\n\nc: 3\n", "c: 3\na: 1\nb: 4\n").unwrap();
        assert_eq!((change.changes, change.more), (vec!["-b: 2".to_owned(), "+b: 4".to_owned()], 0));
        assert_eq!(PolicyChange::between("ssm:/p", "a: 1\nb: 2", "b: 2\n\na: 1\n"), None);
    }

    #[test]
    fn a_policy_rewritten_from_top_to_bottom_stays_a_short_alert() {
        let text = |start: usize| {
            (start..start + 5000).map(|n| format!("{n}: {}\n", "é".repeat(500))).collect::<String>()
        };
        let change = PolicyChange::between("ssm:/p", &text(0), &text(9000)).unwrap();
        assert_eq!((change.changes.len(), change.more), (MOST_LINES, 10_000 - MOST_LINES));
        assert!(change.changes.iter().all(|line| line.chars().count() <= LONGEST_LINE + 1));
    }
}
