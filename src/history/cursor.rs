//! How far a sweep has come: what it covered, what it left unfinished, and what it found.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Events are on their way for so long: CloudTrail delivers within a quarter of an hour, retries excepted.
pub const MARGIN: TimeDelta = TimeDelta::minutes(30);

/// What was covered last is read again for so long back: the event history itself may be late.
pub const OVERLAP: TimeDelta = TimeDelta::minutes(15);

/// How far back an interrupted sweep goes. Marks of arrived events live longer than that
/// ([`super::Kind::keep`]), so that none is taken for missed.
pub const FURTHEST: TimeDelta = TimeDelta::days(3);

/// How much is read before progress is complete up to there.
const SLICE: TimeDelta = TimeDelta::hours(6);

/// Days of which the counts are kept.
const DAYS: usize = 3;

/// The state of one sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything from the first sweep until then is covered.
    pub covered: DateTime<Utc>,
    /// What is being read, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slice: Option<Slice>,
    /// What was found on each of the last days.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<NaiveDate, Counts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    /// Everything later than that is done.
    high: DateTime<Utc>,
}

/// Events of the history that had arrived by themselves, and those that only the sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub arrived: u64,
    pub missed: u64,
}

/// What to read next; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    /// What is earlier was read before: it is looked at again, and counts only if it was missed.
    pub new_from: DateTime<Utc>,
}

impl Cursor {
    /// A first sweep covers nothing: what arrived before is not known.
    pub fn begin(now: DateTime<Utc>) -> Self {
        Self { covered: now - MARGIN, slice: None, days: BTreeMap::new() }
    }

    /// How much of what should be covered is not.
    pub fn behind(&self, now: DateTime<Utc>) -> TimeDelta {
        (now - MARGIN - self.covered).max(TimeDelta::zero())
    }

    /// Gives up what is too long ago; from when to when that is, where there is such a gap.
    pub fn skip(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let oldest = now - FURTHEST;
        if self.covered >= oldest {
            return None;
        }
        let gap = (self.covered, oldest);
        self.covered = oldest;
        self.slice = None;
        Some(gap)
    }

    /// What to read next; `None` where everything is covered.
    pub fn window(&mut self, now: DateTime<Utc>) -> Option<Window> {
        let until = now - MARGIN;
        if self.slice.is_none() && self.covered < until {
            let end = until.min(self.covered + SLICE);
            self.slice = Some(Slice { start: self.covered - OVERLAP, end, high: end });
        }
        let slice = self.slice.as_ref()?;
        Some(Window { start: slice.start, end: slice.high, new_from: self.covered })
    }

    /// A page has been dealt with whose oldest event is of this time.
    pub fn passed(&mut self, oldest: Option<DateTime<Utc>>) {
        if let (Some(slice), Some(oldest)) = (&mut self.slice, oldest) {
            slice.high = slice.high.min(oldest).max(slice.start);
        }
    }

    /// The window's last page has been dealt with.
    pub fn finished(&mut self) {
        if let Some(slice) = self.slice.take() {
            self.covered = self.covered.max(slice.end);
        }
    }

    /// Adds to a day's counts.
    pub fn count(&mut self, day: NaiveDate, counts: Counts) {
        let known = self.days.entry(day).or_default();
        known.arrived = known.arrived.saturating_add(counts.arrived);
        known.missed = known.missed.saturating_add(counts.missed);
        while self.days.len() > DAYS {
            self.days.pop_first();
        }
    }

    /// What was found on a day and the one before.
    pub fn lately(&self, day: NaiveDate) -> Counts {
        let days = self.days.range(day.pred_opt().unwrap_or(day)..=day).map(|(_, counts)| counts);
        days.fold(Counts::default(), |sum, counts| Counts {
            arrived: sum.arrived.saturating_add(counts.arrived),
            missed: sum.missed.saturating_add(counts.missed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const NOON: &str = "2026-05-13T12:00:00Z";

    #[test]
    fn an_hourly_sweep_reads_an_hour_and_the_overlap() {
        let mut cursor = Cursor::begin(at(NOON));
        assert_eq!(cursor.window(at(NOON)), None, "nothing was watched before");
        let later = at("2026-05-13T13:00:00Z");
        let window = cursor.window(later).unwrap();
        assert_eq!(window.start, at("2026-05-13T11:15:00Z"));
        assert_eq!((window.new_from, window.end), (at("2026-05-13T11:30:00Z"), at("2026-05-13T12:30:00Z")));
        cursor.finished();
        assert_eq!((cursor.window(later), cursor.behind(later)), (None, TimeDelta::zero()));
    }

    #[test]
    fn what_was_left_is_read_first() {
        let mut cursor = Cursor::begin(at(NOON));
        let later = at("2026-05-13T13:00:00Z");
        cursor.window(later).unwrap();
        cursor.passed(Some(at("2026-05-13T12:10:00Z")));
        let stored = serde_json::to_string(&cursor).unwrap();
        let mut cursor: Cursor = serde_json::from_str(&stored).unwrap();
        let much_later = at("2026-05-13T14:00:00Z");
        assert_eq!(cursor.window(much_later).unwrap().end, at("2026-05-13T12:10:00Z"));
        assert_eq!(cursor.behind(much_later), TimeDelta::hours(2));
        cursor.finished();
        assert_eq!(cursor.covered, at("2026-05-13T12:30:00Z"));
        assert_eq!(cursor.window(much_later).unwrap().new_from, at("2026-05-13T12:30:00Z"));
    }

    #[test]
    fn what_is_too_long_ago_is_a_gap_that_is_told() {
        let mut cursor = Cursor::begin(at(NOON));
        let later = at("2026-05-23T12:00:00Z");
        assert_eq!(cursor.skip(later), Some((at("2026-05-13T11:30:00Z"), at("2026-05-20T12:00:00Z"))));
        assert_eq!(cursor.skip(later), None);
        assert!(FURTHEST + OVERLAP + SLICE < super::super::Kind::Seen.keep(), "marks outlive the sweep");
    }

    #[test]
    fn counts_are_of_today_and_yesterday() {
        let mut cursor = Cursor::begin(at(NOON));
        for day in 9..14 {
            let day = NaiveDate::from_ymd_opt(2026, 5, day).unwrap();
            cursor.count(day, Counts { arrived: 2, missed: 1 });
        }
        let lately = |day| cursor.lately(NaiveDate::from_ymd_opt(2026, 5, day).unwrap());
        assert_eq!(lately(13), Counts { arrived: 4, missed: 2 });
        assert_eq!(lately(15), Counts::default());
        assert_eq!(cursor.days.len(), DAYS);
    }

    proptest! {
        /// However often it is interrupted, every second between the first sweep and now is read, and
        /// nothing younger than the margin.
        #[test]
        fn every_moment_is_read(steps in prop::collection::vec((1i64..400, 0usize..6, 1i64..200), 1..30)) {
            let start = at(NOON);
            let mut now = start;
            let mut cursor = Cursor::begin(start);
            let mut done: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
            for (minutes, pages, length) in steps {
                now += TimeDelta::minutes(minutes);
                prop_assert!(cursor.skip(now).is_none() || cursor.covered >= now - FURTHEST);
                for _ in 0..pages {
                    let Some(window) = cursor.window(now) else { break };
                    prop_assert!(window.end <= now - MARGIN);
                    let oldest = window.end - TimeDelta::minutes(length);
                    if oldest <= window.start {
                        done.push((window.start, window.end));
                        cursor.finished();
                    } else {
                        done.push((oldest, window.end));
                        cursor.passed(Some(oldest));
                    }
                }
            }
            done.sort();
            let oldest = now - FURTHEST;
            let mut reached = (start - MARGIN).max(oldest.min(cursor.covered));
            for (from, to) in done {
                if from <= reached {
                    reached = reached.max(to);
                }
            }
            prop_assert!(reached >= cursor.covered, "{reached} is short of {}", cursor.covered);
        }
    }
}
