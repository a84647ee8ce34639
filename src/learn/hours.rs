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
/// An hour with less than one push in so many is an exception.
const SHARE: u64 = 50;
/// Hours of a working day that everybody is held to at the least.
const ENOUGH_HOURS: u32 = 8;
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

/// Infers schedules: one of its own for each habit that is not the rest's, and one for everybody else.
///
/// A habit is what one principal does, or what they do to one repository where that is at other hours. Habits at
/// the same hours are one schedule. The one of most principals is for everybody.
pub fn infer(pushes: &Pushes, zone: &Zone) -> Habits {
    let units = units(pushes);
    let mut habits = Habits::default();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for unit in &units {
        if unit.usual.len() >= AROUND_THE_CLOCK {
            habits.schedules.push(unit.always(zone));
            continue;
        }
        match groups.iter_mut().find(|group| group.takes(unit)) {
            Some(group) => group.join(unit),
            None => groups.push(Group::new(unit)),
        }
    }
    // Most principals first; a habit of one principal to one repository is nobody else's.
    groups.sort_by_key(|group| {
        let principals: BTreeSet<&str> = group.units.iter().map(|unit| unit.principal).collect();
        std::cmp::Reverse((group.is_general(), principals.len(), group.seen.count))
    });
    let mut groups = groups.into_iter();
    let common = groups.next();
    let (common, first) = match common {
        Some(group) if group.is_general() => (Some(group), None),
        other => (None, other),
    };
    for group in first.into_iter().chain(groups) {
        habits.schedules.extend(group.schedule(zone));
    }
    let (week, total) = match &common {
        Some(group) => (group.week.clone(), Some(group.seen.clone())),
        None => (Week::new(), total(pushes)),
    };
    habits.schedules.push(usual(&week, total.as_ref(), zone));
    for ((principal, repository), pushed) in &pushes.by_pair {
        let judged = habits.schedules.iter().find(|inferred| {
            let named = |list: &[String], name: &str| list.iter().any(|it| it == "*" || it == name);
            named(&inferred.schedule.principals, principal)
                && named(&inferred.schedule.repositories, repository)
        });
        if let Some(inferred) = judged
            && let Some(seen) = outside(pushed, &inferred.schedule)
        {
            habits.outside.push(Outside {
                principal: principal.clone(),
                repository: repository.clone(),
                seen,
            });
        }
    }
    habits
}

fn total(pushes: &Pushes) -> Option<Seen> {
    let mut total: Option<Seen> = None;
    for pushed in pushes.by_pair.values() {
        match &mut total {
            Some(total) => total.join(&pushed.seen),
            None => total = Some(pushed.seen.clone()),
        }
    }
    total
}

/// One habit: what a principal pushes, everywhere or to one repository.
struct Unit<'a> {
    principal: &'a str,
    repository: Option<&'a str>,
    week: Week,
    seen: Seen,
    usual: BTreeSet<u32>,
}

impl<'a> Unit<'a> {
    fn new(principal: &'a str, repository: Option<&'a str>, pushed: &[&Pushed]) -> Option<Self> {
        let mut week = Week::new();
        let mut seen = pushed.first()?.seen.blank();
        for pushed in pushed {
            join(&mut week, &pushed.hours);
            seen.join(&pushed.seen);
        }
        let usual = usual_hours(&week);
        Some(Self { principal, repository, week, seen, usual })
    }

    /// Often enough, on enough dates, at hours that come again.
    fn is_habit(&self) -> bool {
        let dates: BTreeSet<&NaiveDate> = self.week.values().flat_map(|cell| &cell.dates).collect();
        plain(self.principal)
            && self.repository.is_none_or(plain)
            && dates.len() >= ENOUGH_DATES
            && !self.usual.is_empty()
    }

    fn always(&self, zone: &Zone) -> Inferred {
        Inferred {
            schedule: Schedule {
                days: (0..7).map(day).collect(),
                hours: Hours { from: 0, to: 24 * 60 },
                zone: Some(zone.clone()),
                principals: vec![self.principal.to_owned()],
                repositories: self.repository.map_or_else(|| vec!["*".to_owned()], |it| vec![it.to_owned()]),
                ..Schedule::default()
            },
            evidence: self.seen.told("push", "pushes"),
            review: Some("pushes around the clock, so that hours say nothing about it".to_owned()),
        }
    }
}

/// Every habit, the most frequent first. Pushes without a habit fall under the common schedule and do not widen it.
fn units(pushes: &Pushes) -> Vec<Unit<'_>> {
    let mut by_principal: BTreeMap<&str, Vec<(&str, &Pushed)>> = BTreeMap::new();
    for ((principal, repository), pushed) in &pushes.by_pair {
        by_principal.entry(principal).or_default().push((repository, pushed));
    }
    let mut units = Vec::new();
    for (principal, pushed) in by_principal {
        let mut rest: Vec<&Pushed> = Vec::new();
        let all: Vec<&Pushed> = pushed.iter().map(|(_, pushed)| *pushed).collect();
        let whole = Unit::new(principal, None, &all);
        for (repository, one) in &pushed {
            let own = Unit::new(principal, Some(repository), &[one]).filter(Unit::is_habit);
            // At hours that hold nothing else of theirs.
            let apart = own.filter(|own| {
                let shared = whole.as_ref().is_none_or(|whole| {
                    whole.week.iter().any(|((_, hour), cell)| {
                        let here: u64 = (own.week.iter())
                            .filter(|((_, at), _)| at == hour)
                            .map(|(_, cell)| cell.count)
                            .sum();
                        own.usual.contains(hour) && cell.count > here
                    })
                });
                pushed.len() > 1 && !shared
            });
            match apart {
                Some(own) => units.push(own),
                None => rest.push(one),
            }
        }
        units.extend(Unit::new(principal, None, &rest).filter(Unit::is_habit));
    }
    units.sort_by(|one, other| {
        (other.seen.count, one.principal, one.repository).cmp(&(
            one.seen.count,
            other.principal,
            other.repository,
        ))
    });
    units
}

/// Hours a schedule of several may span.
const WIDEST: u32 = 14;

/// Habits at the same hours.
struct Group<'a> {
    units: Vec<&'a Unit<'a>>,
    week: Week,
    seen: Seen,
}

impl<'a> Group<'a> {
    fn new(unit: &'a Unit<'a>) -> Self {
        Self { units: vec![unit], week: unit.week.clone(), seen: unit.seen.clone() }
    }

    /// Whether most of a habit's pushes fall into the group's hours, and the rest would not widen them much.
    fn takes(&self, unit: &Unit<'_>) -> bool {
        let hours = around(&usual_hours(&self.week));
        let count = |inside: bool| -> u64 {
            (unit.week.iter())
                .filter(|((place, hour), _)| starts(hours, *place, *hour).is_some() == inside)
                .map(|(_, cell)| cell.count)
                .sum()
        };
        let joined: BTreeSet<u32> = usual_hours(&self.week).union(&unit.usual).copied().collect();
        count(true) >= count(false).saturating_mul(2) && length(around(&joined)) <= WIDEST * 60
    }

    fn join(&mut self, unit: &'a Unit<'a>) {
        join(&mut self.week, &unit.week);
        self.seen.join(&unit.seen);
        self.units.push(unit);
    }

    /// Whether it may stand for everybody: somebody's pushes wherever they go, by day or by enough people.
    fn is_general(&self) -> bool {
        let working = Hours::default();
        let usual = usual_hours(&self.week);
        let by_day = usual.iter().any(|hour| (working.from..working.to).contains(&(hour * 60)));
        self.units.iter().any(|unit| unit.repository.is_none()) && (by_day || self.units.len() > 2)
    }

    /// A schedule for its principals only.
    fn schedule(&self, zone: &Zone) -> Vec<Inferred> {
        let usual = usual_hours(&self.week);
        let hours = around(&usual);
        let days = days(&self.week, hours);
        if days.is_empty() {
            return Vec::new();
        }
        let review = "a habit at other hours than the rest's: is it meant?".to_owned();
        let schedule = |principals: Vec<String>, repositories: Vec<String>, seen: &Seen| Inferred {
            schedule: Schedule {
                days: days.clone(),
                hours,
                zone: Some(zone.clone()),
                principals,
                repositories,
                ..Schedule::default()
            },
            evidence: format!("{}; the usual hours and some on each side", seen.told("push", "pushes")),
            review: Some(review.clone()),
        };
        let everywhere: Vec<&&Unit<'_>> =
            self.units.iter().filter(|unit| unit.repository.is_none()).collect();
        let mut schedules: Vec<Inferred> = (self.units.iter())
            .filter_map(|unit| {
                let repository = unit.repository?.to_owned();
                Some(schedule(vec![unit.principal.to_owned()], vec![repository], &unit.seen))
            })
            .collect();
        if let Some(first) = everywhere.first() {
            let mut seen = first.seen.blank();
            for unit in &everywhere {
                seen.join(&unit.seen);
            }
            let principals = everywhere.iter().map(|unit| unit.principal.to_owned()).collect();
            schedules.push(schedule(principals, vec!["*".to_owned()], &seen));
        }
        schedules
    }
}

fn length(hours: Hours) -> u32 {
    if hours.from < hours.to { hours.to - hours.from } else { 24 * 60 - hours.from + hours.to }
}

/// The days of the week on which pushes within these hours come again.
fn days(week: &Week, hours: Hours) -> Vec<crate::policy::Day> {
    let mut by_day: BTreeMap<usize, BTreeSet<NaiveDate>> = BTreeMap::new();
    for ((place, hour), cell) in week {
        if let Some(start) = starts(hours, *place, *hour) {
            by_day.entry(start).or_default().extend(&cell.dates);
        }
    }
    by_day.iter().filter(|(_, dates)| dates.len() >= DAY_DATES).map(|(place, _)| day(*place)).collect()
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

/// Hours of the day with pushes on several dates, but for those that hold next to nothing.
fn usual_hours(week: &Week) -> BTreeSet<u32> {
    let mut hours: BTreeMap<u32, (u64, BTreeSet<NaiveDate>)> = BTreeMap::new();
    for ((_, hour), cell) in week {
        let (count, dates) = hours.entry(*hour).or_default();
        *count = count.saturating_add(cell.count);
        dates.extend(&cell.dates);
    }
    let total: u64 = hours.values().map(|(count, _)| *count).sum();
    hours
        .into_iter()
        .filter(|(_, (count, dates))| dates.len() >= HOUR_DATES && count.saturating_mul(SHARE) >= total)
        .map(|(hour, _)| hour)
        .collect()
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
    let working = Hours::default();
    // Builds at a few hours say nothing of when people push.
    if length(hours) < ENOUGH_HOURS * 60
        && working.from <= hours.from
        && hours.from < hours.to
        && hours.to <= working.to
    {
        let days = days(week, working);
        let days = if days.is_empty() { default.days.clone() } else { days };
        return Inferred {
            schedule: Schedule { days, ..default },
            evidence: told,
            review: Some(format!("pushes come at {hours} only: these are the default hours")),
        };
    }
    let schedule = Schedule { hours, ..default };
    let days = days(week, hours);
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

/// The shortest stretch of the day that holds all usual hours, with an hour or two more on each side.
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
    // One build an hour early or late is no exception.
    let margin = if length >= 21 { 2 } else { 1 };
    let from = (first + 24 - margin) % 24;
    let to = (first + 24 - length + margin) % 24;
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
        assert_eq!(window(&[12]), "10:00-15:00");
        assert_eq!(window(&[0, 1, 2]), "22:00-05:00");
        assert_eq!(window(&[21, 22]), "19:00-01:00");
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
