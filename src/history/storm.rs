//! Storms: one detection that alerts about many subjects of one account within a short time.
//!
//! The first alerts are told singly. After them one summary counts and names the subjects, and is told again
//! whenever its count has doubled. Three rules keep an attacker from hiding an alert behind a flood that he
//! makes himself:
//!
//! - Each detection has a count of its own, so that a flood of one hides no other.
//! - Only alerts of the same or a higher severity use up the room of an alert.
//! - An alert about ten times as many instances as any that was told singly is told singly as well.
//!
//! Times are those of arrival, since a caller can choose the times of some events.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::severity::Severity;

/// How many alerts of one detection in one account are told singly, and within which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub after: u32,
    pub window: TimeDelta,
}

/// How many subjects a summary names.
pub const MOST_NAMED: usize = 20;

/// How many alerts of one severity are told singly at most, whatever the policy says: each is remembered.
const MOST_SINGLES: usize = 500;

/// Characters of a subject's name.
const LONGEST_NAME: usize = 160;

/// What is remembered of one detection in one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// When its count began.
    pub start: DateTime<Utc>,
    /// How many alerts there were since then, with those that were told singly.
    pub count: u64,
    /// The count that the last summary gave; 0 where none was told yet.
    #[serde(default)]
    pub told: u64,
    /// How many summaries were told.
    #[serde(default)]
    pub summaries: u32,
    /// The alerts that were published singly within the window.
    #[serde(default)]
    pub singles: Vec<Single>,
    /// The subjects that matter most: the most severe, then those with the most instances, then the first.
    #[serde(default)]
    pub subjects: Vec<Named>,
}

/// An alert that was told singly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Single {
    pub time: DateTime<Utc>,
    pub severity: Severity,
    pub scale: u64,
}

/// A subject of a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub severity: Severity,
    pub scale: u64,
}

impl Storm {
    /// A storm of nothing.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { start: now, count: 0, told: 0, summaries: 0, singles: Vec::new(), subjects: Vec::new() }
    }

    /// Counts an alert about a subject. True where there is room to tell it singly.
    pub fn enter(&mut self, now: DateTime<Utc>, subject: &Named, rule: Rule) -> bool {
        if (now - self.start).abs() >= rule.window {
            *self = Self { singles: std::mem::take(&mut self.singles), ..Self::new(now) };
        }
        self.singles.retain(|single| (now - single.time).abs() < rule.window);
        self.count = self.count.saturating_add(1);
        self.name(subject);
        let room = usize::try_from(rule.after).unwrap_or(usize::MAX).min(MOST_SINGLES);
        let as_severe = self.singles.iter().filter(|single| single.severity >= subject.severity).count();
        let largest = self.singles.iter().map(|single| single.scale.max(1)).max().unwrap_or(u64::MAX);
        as_severe < room || subject.scale >= largest.saturating_mul(10)
    }

    /// Notes that an alert was told singly.
    pub fn tell_singly(&mut self, now: DateTime<Utc>, subject: &Named) {
        self.singles.push(Single { time: now, severity: subject.severity, scale: subject.scale });
    }

    /// Whether a summary is due: the first one, or one that counts twice as many as the last. Notes that it
    /// is told.
    pub fn summarise(&mut self) -> bool {
        let due = self.told == 0 || self.count >= self.told.saturating_mul(2);
        if due {
            self.told = self.count;
            self.summaries = self.summaries.saturating_add(1);
        }
        due
    }

    fn name(&mut self, subject: &Named) {
        let name: String = subject.name.chars().take(LONGEST_NAME).collect();
        match self.subjects.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.severity = known.severity.max(subject.severity);
                known.scale = known.scale.max(subject.scale);
            }
            None => self.subjects.push(Named { name, ..subject.clone() }),
        }
        // A stable sort: of two that matter as much, the first one stays.
        self.subjects.sort_by_key(|known| std::cmp::Reverse((known.severity, known.scale)));
        self.subjects.truncate(MOST_NAMED);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    const RULE: Rule = Rule { after: 10, window: TimeDelta::hours(1) };

    fn at(second: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_790_000_000 + second, 0).single().unwrap()
    }

    fn named(number: usize, severity: Severity, scale: u64) -> Named {
        Named { name: format!("ami-{number}"), severity, scale }
    }

    /// Whether it is told singly, and whether a summary is told instead.
    fn enter(storm: &mut Storm, second: i64, subject: &Named) -> (bool, bool) {
        if storm.enter(at(second), subject, RULE) {
            storm.tell_singly(at(second), subject);
            return (true, false);
        }
        (false, storm.summarise())
    }

    #[test]
    fn two_hundred_alerts_are_ten_and_five_summaries() {
        let mut storm = Storm::new(at(0));
        let told: Vec<(bool, bool)> =
            (0..200).map(|number| enter(&mut storm, 0, &named(number, Severity::Medium, 1))).collect();
        assert_eq!(told.iter().filter(|(singly, _)| *singly).count(), 10);
        let summaries: Vec<usize> =
            told.iter().enumerate().filter(|(_, (_, summary))| *summary).map(|(at, _)| at + 1).collect();
        assert_eq!(summaries, [11, 22, 44, 88, 176]);
        assert_eq!(storm.subjects.len(), MOST_NAMED);
    }

    #[test]
    fn a_flood_hides_neither_what_is_more_severe_nor_what_is_much_larger() {
        let mut storm = Storm::new(at(0));
        for number in 0..100 {
            enter(&mut storm, 0, &named(number, Severity::Medium, 1));
        }
        assert!(enter(&mut storm, 1, &named(1_000, Severity::High, 1)).0);
        assert!(enter(&mut storm, 1, &named(1_001, Severity::Medium, 500)).0);
        assert!(!enter(&mut storm, 1, &named(1_002, Severity::Medium, 500)).0);
        // What matters most is named, whatever the flood was.
        let names: Vec<&str> = storm.subjects.iter().take(2).map(|subject| subject.name.as_str()).collect();
        assert_eq!(names, ["ami-1000", "ami-1001"]);
    }

    #[test]
    fn an_hour_later_alerts_are_told_singly_again() {
        let mut storm = Storm::new(at(0));
        for number in 0..50 {
            enter(&mut storm, 0, &named(number, Severity::Medium, 1));
        }
        assert!(enter(&mut storm, 3_600, &named(60, Severity::Medium, 1)).0);
        assert_eq!(storm.count, 1);
    }

    proptest::proptest! {
        /// Whatever the order and the severities, a window's messages are bounded.
        #[test]
        fn an_hour_has_few_messages(
            alerts in proptest::collection::vec((0_usize..5, 0_i64..3_600, 0_usize..40, 1_u64..1_000), 0..400)
        ) {
            let mut storm = Storm::new(at(0));
            let mut alerts = alerts;
            alerts.sort_by_key(|(_, second, _, _)| *second);
            let mut singles = 0;
            for (severity, second, number, scale) in alerts {
                singles += usize::from(
                    enter(&mut storm, second, &named(number, Severity::ALL[severity], scale)).0,
                );
                proptest::prop_assert!(storm.subjects.len() <= MOST_NAMED);
            }
            // Ten for each severity, and one for each tenfold growth.
            proptest::prop_assert!(singles <= 50 + 4, "{}", singles);
        }
    }
}
