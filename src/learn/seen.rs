//! How often something was seen, and from when to when.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Utc};

/// On how many different days something was done that is called a habit.
pub const HABIT: usize = 3;
/// Different days that are counted.
const DAYS: usize = 8;

/// Count, first and last time, and on how many different days (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub count: u64,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    days: BTreeSet<i32>,
}

impl Seen {
    pub fn new(time: DateTime<Utc>) -> Self {
        Self { count: 1, first: time, last: time, days: BTreeSet::from([time.num_days_from_ce()]) }
    }

    /// As often, on one day.
    pub fn of(count: u64, time: DateTime<Utc>) -> Self {
        Self { count, ..Self::new(time) }
    }

    /// The same time, counted not at all: to join others to.
    pub fn blank(&self) -> Self {
        Self { count: 0, first: self.first, last: self.first, days: BTreeSet::new() }
    }

    pub fn add(&mut self, time: DateTime<Utc>) {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        if self.days.len() < DAYS {
            self.days.insert(time.num_days_from_ce());
        }
    }

    pub fn join(&mut self, other: &Seen) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        let room = DAYS.saturating_sub(self.days.len());
        let new: Vec<i32> = other.days.difference(&self.days).copied().take(room).collect();
        self.days.extend(new);
    }

    /// Done on several different days.
    pub fn is_habit(&self) -> bool {
        self.days.len() >= HABIT
    }

    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// `412 launches, 2026-03-01 to 2026-05-29`
    pub fn told(&self, one: &str, many: &str) -> String {
        let (first, last) = (self.first.format("%Y-%m-%d"), self.last.format("%Y-%m-%d"));
        let count = crate::alert::count(self.count, one, many);
        if self.first.date_naive() == self.last.date_naive() {
            format!("{count}, {first}")
        } else {
            format!("{count}, {first} to {last}")
        }
    }
}
