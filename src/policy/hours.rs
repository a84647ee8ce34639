//! When pushes are expected, and by whom.
//!
//! Hours are wall-clock hours in the schedule's zone. An event's UTC time has exactly one wall-clock
//! time, whatever the clocks do that day, so daylight saving needs no special case: an hour that is
//! skipped holds no event, an hour that comes twice is judged the same both times.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, Offset, Timelike, Utc};

use super::{Day, Policy, Schedule, like, like_principal};

impl Policy {
    /// The schedule that judges a push in an account: the first whose repository and principal patterns both
    /// match.
    pub fn schedule_for(&self, repository: &str, principal: &str, account: &str) -> Option<&Schedule> {
        let named = |patterns: &[String]| patterns.iter().any(|it| like_principal(it, principal, account));
        self.uploads
            .schedules
            .iter()
            .find(|schedule| any(&schedule.repositories, repository) && named(&schedule.principals))
    }

    /// Whether a principal is listed as a pusher to a repository of an account.
    pub fn pusher_allowed(&self, repository: &str, principal: &str, account: &str) -> bool {
        self.uploads.pushers.iter().any(|pusher| {
            like_principal(&pusher.principal, principal, account) && any(&pusher.repositories, repository)
        })
    }
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| like(pattern, text))
}

impl Schedule {
    /// Whether a time lies within the schedule: on one of its days, not on a holiday, within its hours,
    /// end excluded. Hours that pass midnight belong wholly to the day they start on: its weekday and
    /// its date decide.
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        let Some((local, _)) = self.local(time) else {
            return false;
        };
        let minute = local.hour() * 60 + local.minute();
        let today = local.date();
        if self.hours.from < self.hours.to {
            return (self.hours.from..self.hours.to).contains(&minute) && self.expects(today);
        }
        // Passes midnight: the evening belongs to today, the morning to yesterday.
        (minute >= self.hours.from && self.expects(today))
            || (minute < self.hours.to && today.pred_opt().is_some_and(|yesterday| self.expects(yesterday)))
    }

    /// The wall-clock time in the schedule's zone, and its distance from UTC. `None` where the time is
    /// so far off that no calendar holds it.
    pub fn local(&self, time: DateTime<Utc>) -> Option<(NaiveDateTime, FixedOffset)> {
        let offset = match &self.zone {
            Some(zone) => zone.offset(time)?,
            None => Utc.fix(),
        };
        Some((time.naive_utc().checked_add_offset(offset)?, offset))
    }

    /// For people: `mon-fri 08:00-20:00 Europe/Berlin`.
    pub fn label(&self) -> String {
        let zone = self.zone.as_ref().map_or_else(|| "UTC".to_owned(), |zone| zone.to_string());
        format!("{} {} {zone}", days(&self.days), self.hours)
    }

    fn expects(&self, date: NaiveDate) -> bool {
        self.days.contains(&Day::of(date)) && !self.holidays.contains(&date)
    }
}

impl Day {
    const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

    /// The day of the week of a date.
    pub fn of(date: NaiveDate) -> Self {
        match date.weekday() {
            chrono::Weekday::Mon => Day::Mon,
            chrono::Weekday::Tue => Day::Tue,
            chrono::Weekday::Wed => Day::Wed,
            chrono::Weekday::Thu => Day::Thu,
            chrono::Weekday::Fri => Day::Fri,
            chrono::Weekday::Sat => Day::Sat,
            chrono::Weekday::Sun => Day::Sun,
        }
    }

    /// As the policy spells it: `mon`.
    pub fn name(self) -> &'static str {
        match self {
            Day::Mon => "mon",
            Day::Tue => "tue",
            Day::Wed => "wed",
            Day::Thu => "thu",
            Day::Fri => "fri",
            Day::Sat => "sat",
            Day::Sun => "sun",
        }
    }
}

/// `mon-fri`, `mon-wed,sat`, `daily`, `never`: three days in a row or more as a range.
fn days(days: &[Day]) -> String {
    let mut runs: Vec<Vec<Day>> = Vec::new();
    let mut open = false;
    for day in Day::WEEK {
        let listed = days.contains(&day);
        match runs.last_mut() {
            Some(run) if listed && open => run.push(day),
            _ if listed => runs.push(vec![day]),
            _ => {}
        }
        open = listed;
    }
    if runs.is_empty() {
        return "never".to_owned();
    }
    let run = |run: &Vec<Day>| match run.as_slice() {
        [first, _, .., last] if run.len() > 2 => format!("{}-{}", first.name(), last.name()),
        few => few.iter().map(|day| day.name()).collect::<Vec<_>>().join(","),
    };
    if runs.first().is_some_and(|run| run.len() == Day::WEEK.len()) {
        return "daily".to_owned();
    }
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
