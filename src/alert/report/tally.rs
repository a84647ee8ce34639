//! Counting by name in bounded memory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::severity::Severity;

/// Names that are counted one by one; what comes after is counted together.
const NAMES: usize = 20_000;

/// How often each name came up.
#[derive(Debug, Default)]
pub struct Tally {
    entries: HashMap<String, Entry>,
    /// Alerts about names past the bound.
    pub uncounted: u64,
}

/// What is known of one name.
#[derive(Debug, Clone)]
pub struct Entry {
    pub count: u64,
    pub severity: Severity,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    /// More about the name, from its first event.
    pub note: String,
}

impl Tally {
    pub fn add(&mut self, name: &str, severity: Severity, time: DateTime<Utc>, note: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.count = entry.count.saturating_add(1);
            entry.severity = entry.severity.max(severity);
            entry.first = entry.first.min(time);
            entry.last = entry.last.max(time);
        } else if self.entries.len() < NAMES {
            let entry = Entry { count: 1, severity, first: time, last: time, note: note.to_owned() };
            self.entries.insert(name.to_owned(), entry);
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The most severe first, then the most frequent, then by name.
    pub fn ranked(&self) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<(&str, &Entry)> =
            self.entries.iter().map(|(name, entry)| (name.as_str(), entry)).collect();
        entries.sort_by(|(one, a), (other, b)| {
            (b.severity, b.count).cmp(&(a.severity, a.count)).then_with(|| one.cmp(other))
        });
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_past_the_bound_are_counted_together() {
        let mut tally = Tally::default();
        let time = DateTime::UNIX_EPOCH;
        for name in 0..NAMES + 5 {
            tally.add(&name.to_string(), Severity::Low, time, "");
        }
        tally.add("7", Severity::High, time, "");
        assert_eq!((tally.len(), tally.uncounted), (NAMES, 5));
        let ranked = tally.ranked();
        assert_eq!((ranked[0].0, ranked[0].1.count), ("7", 2));
    }
}
