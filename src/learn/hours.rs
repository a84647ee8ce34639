//! From pushes to hours: when pushing is usual, and which pushes were not.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::pushes::{Cell, Hour, Pushed, Pushes, day};
use super::seen::Seen;
use crate::policy::{Hours, Schedule, Zone};

/// Fewer pushes, or pushes on fewer dates, tell no habit.
const ENOUGH: u64 = 20;
const ENOUGH_DATES: usize = 8;
/// On how many dates an hour of the day, or a day of the week, has pushes that belongs to the habit.
const HOUR_DATES: usize = 3;
const DAY_DATES: usize = 2;
/// Hours of the day with a habit, from which on a principal pushes at all hours.
const AROUND_THE_CLOCK: usize = 16;

/// A schedule with its evidence.
#[derive(Debug)]
pub struct Inferred {
    pub schedule: Schedule,
    pub evidence: String,
    pub review: Option<String>,
}

/// Pushes that no schedule expects.
#[derive(Debug)]
pub struct Outside {
    pub principal: String,
    pub repository: String,
    pub seen: Seen,
}

/// What the pushes' hours come to. The schedules in the order in which they are to stand.
#[derive(Debug, Default)]
pub struct Habits {
    pub schedules: Vec<Inferred>,
    pub outside: Vec<Outside>,
}

type Week = BTreeMap<Hour, Cell>;

/// Infers schedules: one of its own for who pushes around the clock, and one for all others.
pub fn infer(pushes: &Pushes, zone: &Zone) -> Habits {
    let mut by_principal: BTreeMap<&str, (Week, Seen)> = BTreeMap::new();
    for ((principal, _), pushed) in &pushes.by_pair {
        let (week, seen) =
            by_principal.entry(principal).or_insert_with(|| (Week::new(), pushed.seen.blank()));
        join(week, &pushed.hours);
        seen.join(&pushed.seen);
    }
    let mut habits = Habits::default();
    let mut always: BTreeSet<&str> = BTreeSet::new();
    let mut pooled = Week::new();
    let mut total: Option<Seen> = None;
    for (principal, (week, seen)) in &by_principal {
        if plain(principal) && usual_hours(week).len() >= AROUND_THE_CLOCK {
            always.insert(principal);
            habits.schedules.push(Inferred {
                schedule: Schedule {
                    days: (0..7).map(day).collect(),
                    hours: Hours { from: 0, to: 24 * 60 },
                    zone: Some(zone.clone()),
                    principals: vec![(*principal).to_owned()],
                    ..Schedule::default()
                },
                evidence: seen.told("push", "pushes"),
                review: Some("pushes around the clock, so that hours say nothing about it".to_owned()),
            });
        } else {
            join(&mut pooled, week);
            match &mut total {
                Some(total) => total.join(seen),
                None => total = Some(seen.clone()),
            }
        }
    }
    let usual = usual(&pooled, total.as_ref(), zone);
    for ((principal, repository), pushed) in &pushes.by_pair {
        if !always.contains(principal.as_str())
            && let Some(seen) = outside(pushed, &usual.schedule)
        {
            habits.outside.push(Outside {
                principal: principal.clone(),
                repository: repository.clone(),
                seen,
            });
        }
    }
    habits.schedules.push(usual);
    habits
}

/// Names in a pattern's place must mean only themselves.
pub fn plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 512 && name != "unknown" && !name.contains(['*', '?'])
}

fn join(week: &mut Week, other: &Week) {
    for (hour, cell) in other {
        match week.get_mut(hour) {
            Some(known) => {
                known.count = known.count.saturating_add(cell.count);
                known.first = known.first.min(cell.first);
                known.dates.extend(&cell.dates);
            }
            None => {
                week.insert(*hour, cell.clone());
            }
        }
    }
}

/// Hours of the day with pushes on several dates.
fn usual_hours(week: &Week) -> BTreeSet<u32> {
    let mut dates: BTreeMap<u32, BTreeSet<NaiveDate>> = BTreeMap::new();
    for ((_, hour), cell) in week {
        dates.entry(*hour).or_default().extend(&cell.dates);
    }
    dates.into_iter().filter(|(_, dates)| dates.len() >= HOUR_DATES).map(|(hour, _)| hour).collect()
}

/// The schedule for everybody who has none of their own.
fn usual(week: &Week, total: Option<&Seen>, zone: &Zone) -> Inferred {
    let default = Schedule { zone: Some(zone.clone()), ..Schedule::default() };
    let Some(total) = total else {
        return Inferred {
            schedule: default,
            evidence: "no push was seen: the default".to_owned(),
            review: None,
        };
    };
    let dates: BTreeSet<&NaiveDate> = week.values().flat_map(|cell| &cell.dates).collect();
    let hours = usual_hours(week);
    let told = total.told("push", "pushes");
    if total.count < ENOUGH || dates.len() < ENOUGH_DATES || hours.is_empty() {
        return Inferred {
            schedule: default,
            evidence: told,
            review: Some("too few pushes to tell usual hours: these are the default".to_owned()),
        };
    }
    let hours = around(&hours);
    let schedule = Schedule { hours, ..default };
    let mut by_day: BTreeMap<usize, BTreeSet<NaiveDate>> = BTreeMap::new();
    for ((place, hour), cell) in week {
        if let Some(start) = starts(hours, *place, *hour) {
            by_day.entry(start).or_default().extend(&cell.dates);
        }
    }
    let days: Vec<_> =
        by_day.iter().filter(|(_, dates)| dates.len() >= DAY_DATES).map(|(place, _)| day(*place)).collect();
    if days.is_empty() {
        return Inferred {
            schedule: Schedule { zone: Some(zone.clone()), ..Schedule::default() },
            evidence: told,
            review: Some("the pushes keep to no days of the week: these are the default hours".to_owned()),
        };
    }
    let review = (hours.from == 0 && hours.to == 24 * 60)
        .then(|| "pushes come around the clock, so that hours say nothing here".to_owned());
    let evidence = format!("{told}; the usual hours and one more on each side");
    Inferred { schedule: Schedule { days, ..schedule }, evidence, review }
}

/// The shortest stretch of the day that holds all usual hours, with an hour more on each side.
fn around(usual: &BTreeSet<u32>) -> Hours {
    let hours: Vec<u32> = usual.iter().copied().collect();
    // The longest pause, after which the day begins.
    let mut pause = (0, 0);
    for (at, hour) in hours.iter().enumerate() {
        let before = match at.checked_sub(1).and_then(|at| hours.get(at)) {
            Some(before) => *before,
            None => hours.last().copied().unwrap_or(*hour),
        };
        let length = if hours.len() == 1 { 23 } else { (hour + 24 - before - 1) % 24 };
        if length > pause.0 {
            pause = (length, *hour);
        }
    }
    let (length, first) = pause;
    if length <= 5 {
        return Hours { from: 0, to: 24 * 60 };
    }
    let from = (first + 23) % 24;
    let to = (first + 24 - length + 1) % 24;
    Hours { from: from * 60, to: if to == 0 { 24 * 60 } else { to * 60 } }
}

/// The day on which the schedule started that holds an hour of the week, if its hours hold it.
fn starts(hours: Hours, place: usize, hour: u32) -> Option<usize> {
    let minute = hour * 60;
    if hours.from < hours.to {
        return (hours.from..hours.to).contains(&minute).then_some(place);
    }
    if minute >= hours.from { Some(place) } else { (minute < hours.to).then_some((place + 6) % 7) }
}

/// The pushes outside a schedule of whole hours.
fn outside(pushed: &Pushed, schedule: &Schedule) -> Option<Seen> {
    let mut found: Option<Seen> = None;
    for ((place, hour), cell) in &pushed.hours {
        let expected =
            starts(schedule.hours, *place, *hour).is_some_and(|start| schedule.days.contains(&day(start)));
        if expected {
            continue;
        }
        let seen = Seen::of(cell.count, cell.first);
        match &mut found {
            Some(found) => found.join(&seen),
            None => found = Some(seen),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(usual: &[u32]) -> String {
        around(&usual.iter().copied().collect()).to_string()
    }

    #[test]
    fn the_day_begins_after_the_longest_pause() {
        assert_eq!(window(&[9, 10, 11, 14, 16]), "08:00-18:00");
        assert_eq!(window(&[22, 23, 0, 1]), "21:00-03:00");
        assert_eq!(window(&[12]), "11:00-14:00");
        assert_eq!(window(&[0, 1, 2]), "23:00-04:00");
        assert_eq!(window(&[21, 22]), "20:00-24:00");
        assert_eq!(window(&[0, 4, 8, 12, 16, 20]), "00:00-24:00");
    }

    #[test]
    fn the_morning_of_a_night_belongs_to_the_day_before() {
        let night = Hours { from: 20 * 60, to: 6 * 60 };
        assert_eq!(
            (starts(night, 0, 23), starts(night, 0, 3), starts(night, 0, 12)),
            (Some(0), Some(6), None)
        );
    }
}
