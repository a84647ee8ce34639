//! What a detection may remember: the records about the subjects of one activity.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Key, Kind, Record, sight};
use crate::activity::Activity;
use crate::detection::Verdict;

/// The records read for one activity. Absent ones are there, empty, so that they can be written.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    records: HashMap<Key, Record>,
    kept: bool,
    at_once: bool,
    now: DateTime<Utc>,
}

/// After an account begins to be watched, first sightings teach for so long before they tell.
pub const WARM_UP: TimeDelta = TimeDelta::days(7);

/// How late an event may arrive and still be seen at its own time: longer than sweeps and replays go back.
const LATEST: TimeDelta = TimeDelta::days(14);

/// Whether something has been seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Familiarity {
    /// No history is kept.
    Unkept,
    Known,
    /// Not seen before, while the account has not been watched for long: until then.
    Learning(DateTime<Utc>),
    New,
}

impl Familiarity {
    /// Why a first sighting is none to tell of; nothing where it is.
    pub fn untold(self, what: &str) -> Option<Verdict> {
        match self {
            Familiarity::Unkept => Some(Verdict::NotApplicable(format!(
                "no history is kept, so that it is not known whether {what} was seen before"
            ).into())),
            Familiarity::Known => Some(Verdict::Pass(format!("{what} has been seen before").into())),
            Familiarity::Learning(until) => Some(Verdict::NotApplicable(format!(
                "{what} is new, but the account is watched since too short a time: first sightings are learned \
                 until {}",
                until.format("%Y-%m-%d %H:%M UTC")
            ).into())),
            Familiarity::New => None,
        }
    }
}

impl Memory {
    /// No history is kept: detections that need one are not applicable.
    pub fn none() -> Self {
        Self::default()
    }

    /// Of all keys asked for, what the store had of them.
    pub fn new(keys: &[Key], found: Vec<Record>, now: DateTime<Utc>) -> Self {
        let mut records: HashMap<Key, Record> =
            keys.iter().map(|key| (key.clone(), Record::new(key.clone()))).collect();
        for record in found {
            records.insert(record.key.clone(), record.fresh(now));
        }
        Self { records, kept: true, at_once: false, now }
    }

    /// Without a warm-up: first sightings are told from the first event on.
    pub fn at_once(self, at_once: bool) -> Self {
        Self { at_once, ..self }
    }

    /// Whether a sighting's subject was seen before this activity, by event time. The same event, come
    /// again, is as new as it was.
    pub fn familiarity(&self, activity: &Activity, id: &str) -> Familiarity {
        let Some(record) = self.about(activity, Kind::Sighting, id) else { return Familiarity::Unkept };
        let time = self.sighted_at(activity);
        let known = record.sighting.as_ref().is_some_and(|sighting| {
            // The same event, come again later, may be taken for later than it was.
            sighting.source != activity.id
                && (sighting.first, sighting.source.as_str()) < (time, activity.id.as_str())
        });
        if known {
            return Familiarity::Known;
        }
        let watch =
            self.across(activity, Kind::Watch, sight::WATCH).and_then(|watch| watch.sighting.as_ref());
        let since = watch.map_or(time, |sighting| sighting.first.min(time));
        match since.checked_add_signed(WARM_UP) {
            Some(until) if until > time && !self.at_once => Familiarity::Learning(until),
            _ => Familiarity::New,
        }
    }

    /// When an activity is taken to have been seen: its own time, but no earlier than events come late. A time
    /// that lies years back is nothing that its sender can make believe: it would come before everything that
    /// is known, while the account was not watched yet.
    pub fn sighted_at(&self, activity: &Activity) -> DateTime<Utc> {
        let earliest = self.now.checked_sub_signed(LATEST).unwrap_or(DateTime::<Utc>::MIN_UTC);
        if self.kept { activity.time.max(earliest) } else { activity.time }
    }

    /// Whether there is a history at all.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// The record about one of the activity's own subjects, in its account and region. `None` where no
    /// history is kept, or the key is not among those the activity reads ([`super::trail::keys`]).
    pub fn about(&self, activity: &Activity, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&Key::new(&activity.account, &activity.region, kind, id))
    }

    /// As [`Memory::about`], for what is remembered over all regions of the account.
    pub fn across(&self, activity: &Activity, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&Key::new(&activity.account, "", kind, id))
    }

    /// When it was read: what changes is kept from then on, whatever time the event claims for itself.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    pub(super) fn take(&self, key: &Key) -> Option<Record> {
        self.records.get(key).cloned()
    }
}
