use std::collections::HashSet;

use chrono::{Days, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::policy::{Hours, Pusher};

fn schedule(days: &[Day], hours: &str, zone: Option<&str>, holidays: &[&str]) -> Schedule {
    Schedule {
        days: days.to_vec(),
        hours: hours.parse().unwrap(),
        zone: zone.map(|zone| zone.parse().unwrap()),
        holidays: holidays.iter().map(|date| date.parse().unwrap()).collect(),
        ..Schedule::default()
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const WEEKDAYS: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

#[test]
fn the_end_is_excluded_to_the_second() {
    let hours = schedule(&WEEKDAYS, "08:00-20:00", None, &[]);
    assert!(!hours.contains(at("2026-05-13T07:59:59Z")));
    assert!(hours.contains(at("2026-05-13T08:00:00Z")));
    assert!(hours.contains(at("2026-05-13T19:59:59.999Z")));
    assert!(!hours.contains(at("2026-05-13T20:00:00Z")));
}

#[test]
fn the_weekend_is_outside_all_day() {
    let hours = schedule(&WEEKDAYS, "00:00-24:00", None, &[]);
    assert!(hours.contains(at("2026-05-15T23:59:59Z")));
    assert!(!hours.contains(at("2026-05-16T00:00:00Z")));
    assert!(!hours.contains(at("2026-05-17T12:00:00Z")));
    assert!(hours.contains(at("2026-05-18T00:00:00Z")));
}

#[test]
fn a_range_past_midnight_belongs_to_the_day_it_starts_on() {
    let nights = schedule(&WEEKDAYS, "20:00-06:00", None, &[]);
    // Friday's night ends on Saturday morning; Sunday's would start on Sunday.
    assert!(nights.contains(at("2026-05-16T05:59:00Z")));
    assert!(!nights.contains(at("2026-05-16T06:00:00Z")));
    assert!(!nights.contains(at("2026-05-16T20:00:00Z")));
    assert!(!nights.contains(at("2026-05-18T05:00:00Z")));
    assert!(nights.contains(at("2026-05-18T20:00:00Z")));
}

#[test]
fn a_holiday_is_the_zones_date_of_the_day_the_range_starts_on() {
    let days = schedule(&WEEKDAYS, "08:00-20:00", Some("Pacific/Auckland"), &["2026-12-25"]);
    // 24 December, 21:00 UTC is 10:00 on the 25th in Auckland; 24 hours later it is the 26th, a Saturday.
    assert!(!days.contains(at("2026-12-24T21:00:00Z")));
    assert!(days.contains(at("2026-12-23T21:00:00Z")));
    let nights = schedule(&Day::WEEK, "20:00-06:00", None, &["2026-12-25"]);
    assert!(nights.contains(at("2026-12-25T03:00:00Z")), "the night that began on the 24th");
    assert!(!nights.contains(at("2026-12-25T21:00:00Z")));
    assert!(!nights.contains(at("2026-12-26T03:00:00Z")), "the night that began on the holiday");
}

#[test]
fn hours_are_wall_clock_hours_on_the_days_the_clocks_change() {
    let berlin = schedule(&Day::WEEK, "08:00-20:00", Some("Europe/Berlin"), &[]);
    // Saturday before and Sunday of the change to summer time, 29 March 2026.
    assert!(!berlin.contains(at("2026-03-28T06:30:00Z")));
    assert!(berlin.contains(at("2026-03-29T06:30:00Z")));
    assert!(berlin.contains(at("2026-03-28T18:30:00Z")));
    assert!(!berlin.contains(at("2026-03-29T18:30:00Z")));
    // And back, 25 October 2026.
    assert!(berlin.contains(at("2026-10-24T06:30:00Z")));
    assert!(!berlin.contains(at("2026-10-25T06:30:00Z")));
    // 02:30 comes twice that night, and is inside both times.
    let night = schedule(&Day::WEEK, "02:00-03:00", Some("Europe/Berlin"), &[]);
    assert!(night.contains(at("2026-10-25T00:30:00Z")));
    assert!(night.contains(at("2026-10-25T01:30:00Z")));
    assert!(!night.contains(at("2026-10-25T02:00:00Z")));
}

#[test]
fn absurd_times_are_outside_and_do_no_harm() {
    let hours = schedule(&Day::WEEK, "00:00-24:00", Some("Asia/Tokyo"), &[]);
    assert!(!hours.contains(DateTime::<Utc>::MAX_UTC));
    let west = schedule(&Day::WEEK, "00:00-24:00", Some("America/New_York"), &[]);
    assert!(!west.contains(DateTime::<Utc>::MIN_UTC));
    assert!(hours.contains(at("-0044-03-15T12:00:00Z")));
}

#[test]
fn the_first_matching_schedule_judges() {
    let mut policy = Policy::default();
    let nightly = Schedule {
        repositories: vec!["nightly/*".to_owned()],
        hours: "00:00-24:00".parse().unwrap(),
        ..Schedule::default()
    };
    policy.uploads.schedules.insert(0, nightly.clone());
    assert_eq!(policy.schedule_for("nightly/app", "anyone", "111122223333"), Some(&nightly));
    assert_eq!(policy.schedule_for("team/app", "anyone", "111122223333"), policy.uploads.schedules.get(1));
    policy.uploads.schedules.truncate(1);
    assert_eq!(policy.schedule_for("team/app", "anyone", "111122223333"), None);
}

#[test]
fn a_role_can_be_listed_as_a_pusher_by_its_arn() {
    let mut policy = Policy::default();
    policy.uploads.pushers.push(Pusher {
        principal: "arn:aws:iam::*:role/ci/*".to_owned(),
        repositories: vec!["team/*".to_owned()],
    });
    assert!(policy.pusher_allowed("team/app", "arn:aws:iam::111122223333:role/ci/build", "111122223333"));
    assert!(!policy.pusher_allowed("other/app", "arn:aws:iam::111122223333:role/ci/build", "111122223333"));
    assert!(!policy.pusher_allowed("team/app", "arn:aws:iam::111122223333:user/ci/build", "111122223333"));
}

#[test]
fn a_schedule_reads_as_a_person_would_write_it() {
    assert_eq!(Schedule::default().label(), "mon-fri 08:00-20:00 UTC");
    let odd = schedule(&[Day::Mon, Day::Tue, Day::Thu], "20:00-06:00", Some("Asia/Tokyo"), &[]);
    assert_eq!(odd.label(), "mon,tue,thu 20:00-06:00 Asia/Tokyo");
    assert_eq!(schedule(&Day::WEEK, "00:00-24:00", None, &[]).label(), "daily 00:00-24:00 UTC");
    assert_eq!(schedule(&[], "00:00-24:00", None, &[]).label(), "never 00:00-24:00 UTC");
}

/// Every wall-clock minute that a schedule names around a date, written out one by one.
fn minutes(schedule: &Schedule, around: NaiveDate) -> HashSet<NaiveDateTime> {
    let length = if schedule.hours.from < schedule.hours.to {
        schedule.hours.to - schedule.hours.from
    } else {
        24 * 60 - schedule.hours.from + schedule.hours.to
    };
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let first = around.checked_sub_days(Days::new(3)).unwrap();
    let mut minutes = HashSet::new();
    for date in first.iter_days().take(7) {
        let weekday = date.format("%a").to_string();
        let day = Day::WEEK[names.iter().position(|name| *name == weekday).unwrap()];
        if !schedule.days.contains(&day) || schedule.holidays.contains(&date) {
            continue;
        }
        for minute in 0..length {
            let start = date.and_hms_opt(0, 0, 0).unwrap();
            minutes.insert(start + TimeDelta::minutes(i64::from(schedule.hours.from + minute)));
        }
    }
    minutes
}

proptest! {
    /// Whole days, minute by minute, against the written-out list, near the days that clocks change.
    #[test]
    fn contains_agrees_with_every_minute_written_out(
        days in proptest::sample::subsequence(Day::WEEK.to_vec(), 0..=7),
        from in 0_u32..1440,
        to in 1_u32..=1440,
        zone in proptest::sample::select(vec![
            None, Some(chrono_tz::Europe::Berlin), Some(chrono_tz::America::New_York),
            // Changes at midnight, by half an hour, and a zone east of the date line.
            Some(chrono_tz::America::Santiago), Some(chrono_tz::Australia::Lord_Howe), Some(chrono_tz::Pacific::Kiritimati),
        ]),
        day in 0_i64..800,
        near_change in proptest::option::of(proptest::sample::select(vec![
            "2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-09-06", "2026-10-04",
        ])),
        holiday in proptest::option::of(-1_i64..=1),
    ) {
        prop_assume!(from != to);
        let date = near_change.map_or_else(
            || NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + TimeDelta::days(day),
            |date| date.parse().unwrap(),
        );
        let schedule = Schedule {
            days,
            hours: Hours { from, to },
            zone: zone.map(|zone| zone.name().parse().unwrap()),
            holidays: holiday.map(|offset| date + TimeDelta::days(offset)).into_iter().collect(),
            ..Schedule::default()
        };
        let expected = minutes(&schedule, date);
        let start = date.and_hms_opt(0, 0, 0).unwrap().and_utc();
        for minute in (0..24 * 60).step_by(7) {
            let time = start + TimeDelta::minutes(minute) + TimeDelta::seconds(minute % 60);
            let local = time.with_timezone(&zone.unwrap_or(chrono_tz::UTC)).naive_local();
            let local = local.with_second(0).unwrap();
            prop_assert_eq!(schedule.contains(time), expected.contains(&local), "{} ({})", time, local);
        }
    }
}
