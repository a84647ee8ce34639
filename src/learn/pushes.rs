//! Who pushed where, and at which hours of the week.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

use super::seen::Seen;
use crate::activity::{Activity, ActorKind};
use crate::detection::push;
use crate::policy::{Day, Schedule, Zone};

/// Different dates of an hour of the week that are counted.
const DATES: usize = 4;

/// An hour of the week: `Day`'s place in the week, and the hour.
pub type Hour = (usize, u32);

/// What was pushed in one hour of the week.
#[derive(Debug, Clone)]
pub struct Cell {
    pub count: u64,
    pub first: DateTime<Utc>,
    pub dates: BTreeSet<NaiveDate>,
}

/// One principal's pushes to one repository.
#[derive(Debug)]
pub struct Pushed {
    pub seen: Seen,
    pub kind: Option<ActorKind>,
    /// The identity's own account.
    pub account: Option<String>,
    /// The account that was pushed to.
    pub event_account: String,
    pub hours: BTreeMap<Hour, Cell>,
}

/// All pushes that detections judge.
#[derive(Debug)]
pub struct Pushes {
    most: usize,
    /// By principal and repository.
    pub by_pair: BTreeMap<(String, String), Pushed>,
    pub uncounted: u64,
    /// Nobody, or no repository, is named.
    pub unnamed: u64,
}

impl Pushes {
    pub fn new(most: usize) -> Self {
        Self { most, by_pair: BTreeMap::new(), uncounted: 0, unnamed: 0 }
    }

    pub fn see(&mut self, activity: &Activity, zone: &Zone) {
        let pushed = match push::of(activity) {
            Ok(pushed) => pushed,
            Err(crate::detection::Verdict::CannotTell(_)) => {
                self.unnamed = self.unnamed.saturating_add(1);
                return;
            }
            Err(_) => return,
        };
        let principal = activity.principal();
        let pair = (principal.to_owned(), pushed.repository.clone());
        let time = activity.time;
        let full = self.by_pair.len() >= self.most;
        let entry = match self.by_pair.entry(pair) {
            std::collections::btree_map::Entry::Occupied(known) => {
                let known = known.into_mut();
                known.seen.add(time);
                known
            }
            std::collections::btree_map::Entry::Vacant(_) if full => {
                self.uncounted = self.uncounted.saturating_add(1);
                return;
            }
            std::collections::btree_map::Entry::Vacant(free) => free.insert(Pushed {
                seen: Seen::new(time),
                kind: activity.actor.as_ref().map(|actor| actor.kind),
                account: activity.actor.as_ref().and_then(|actor| actor.account.clone()),
                event_account: activity.account.clone(),
                hours: BTreeMap::new(),
            }),
        };
        // When an event arrived says nothing about the hour of the push.
        if activity.time_is_arrival {
            return;
        }
        let clock = Schedule { zone: Some(zone.clone()), ..Schedule::default() };
        let Some((local, _)) = clock.local(time) else { return };
        let day = local.weekday().num_days_from_monday() as usize;
        let cell = entry.hours.entry((day, local.hour())).or_insert_with(|| Cell {
            count: 0,
            first: time,
            dates: BTreeSet::new(),
        });
        cell.count = cell.count.saturating_add(1);
        cell.first = cell.first.min(time);
        if cell.dates.len() < DATES {
            cell.dates.insert(local.date());
        }
    }
}

/// The day at a place of the week.
pub fn day(place: usize) -> Day {
    const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
    WEEK.get(place % 7).copied().unwrap_or(Day::Mon)
}
