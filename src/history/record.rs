//! Records: what is remembered about one subject.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::cursor::Cursor;
use super::storm::Storm;
use super::thread::Window;
use super::trail::{self, label};

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One message about one event and subject.
    Claim,
    /// All alerts about one subject.
    Thread,
    /// The alerts of one detection in one account.
    Storm,
    /// Has this been seen before: an image, a digest, a pusher at a repository, a destination.
    Sighting,
    /// Evidence about one instance.
    Instance,
    /// Evidence about one container or pod.
    Container,
    /// Evidence about one image digest.
    Digest,
    /// An image index and its children.
    Alias,
    /// What a snapshot, a volume, an image or an instance's root disk was made from.
    Origin,
    /// Detections about one repository.
    Repository,
    /// What one principal searched for or attempted.
    Principal,
    /// Since when an account is watched.
    Watch,
    /// An event has arrived.
    Seen,
    /// How far a sweep has come.
    Sweep,
    /// How often an event could not be judged to the end.
    Attempt,
    /// The policy as it was last loaded.
    Policy,
}

impl Kind {
    /// How long after its last change a record is of use.
    pub fn keep(self) -> TimeDelta {
        match self {
            // The platform retries for up to 24 hours and then 6 more.
            Kind::Claim | Kind::Attempt => TimeDelta::hours(36),
            Kind::Thread | Kind::Storm | Kind::Repository => TimeDelta::days(3),
            // Longer than any first-seen window people ask about.
            Kind::Sighting | Kind::Watch | Kind::Sweep | Kind::Origin | Kind::Policy => TimeDelta::days(400),
            // Longer than a sweep goes back.
            Kind::Seen => TimeDelta::days(4),
            Kind::Instance | Kind::Container | Kind::Digest | Kind::Principal => TimeDelta::days(2),
            Kind::Alias => TimeDelta::days(90),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Claim => "claim",
            Kind::Thread => "thread",
            Kind::Storm => "storm",
            Kind::Sighting => "sighting",
            Kind::Instance => "instance",
            Kind::Container => "container",
            Kind::Digest => "digest",
            Kind::Alias => "alias",
            Kind::Origin => "origin",
            Kind::Repository => "repository",
            Kind::Principal => "principal",
            Kind::Watch => "watch",
            Kind::Seen => "seen",
            Kind::Sweep => "sweep",
            Kind::Attempt => "attempt",
            Kind::Policy => "policy",
        }
    }
}

/// Names a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub account: String,
    pub region: String,
    pub kind: Kind,
    pub id: String,
}

impl Key {
    pub fn new(account: &str, region: &str, kind: Kind, id: impl Into<String>) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), kind, id: id.into() }
    }
}

/// The store's partition key: `111122223333/eu-central-1/instance/i-0abc`. An id that an attacker made
/// long is stored by its hash.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/", self.account, self.region, self.kind.name())?;
        if self.id.len() <= 512 { f.write_str(&self.id) } else { f.write_str(&crate::hash::hex(&[&self.id])) }
    }
}

/// What is remembered about one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub key: Key,
    /// 0 where the store has none yet.
    #[serde(skip)]
    pub version: u64,
    /// When it is of no more use.
    pub expires: DateTime<Utc>,
    /// Evidence, oldest first, at most [`Record::MOST_TRACES`] of each label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Trace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sighting: Option<Sighting>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// A text that is compared with its next version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// One thing that happened, kept to be joined with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trace {
    /// Event time.
    pub time: DateTime<Utc>,
    /// What it was, in the vocabulary of whoever reads it: `launched`, `process`, `match`.
    pub label: String,
    /// The source event's id: the same event is remembered once.
    pub source: String,
    /// For people and for the reader: the image, the command, the destination.
    pub detail: String,
    /// For what ran: where, as the event itself names it. Other events may name the same place by
    /// another of its identities.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The risk score where it stands for a match.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub score: u32,
}

fn is_zero(score: &u32) -> bool {
    *score == 0
}

impl Trace {
    /// Bytes.
    pub const LONGEST_DETAIL: usize = 400;

    /// How much it tells: the score of a match; of acts, one that is suspicious by itself more than a shell.
    fn weight(&self) -> u32 {
        self.score.saturating_add(u32::from(!self.detail.starts_with(trail::RAN)))
    }
}

/// The earliest time something was seen, by event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub first: DateTime<Utc>,
    /// The event that showed it first.
    pub source: String,
}

impl Record {
    /// Of each label: a flood of one kind of evidence takes no room of another.
    pub const MOST_TRACES: usize = 32;
    /// The detail of a trace that stands for others, which were dropped.
    pub const DROPPED: &'static str = "*";
    /// Traces that stand for others: one for each hour of a day, and the hours at both ends.
    const MOST_DROPPED: usize = 26;
    const SELDOM_SECONDS: i64 = 600;

    pub fn new(key: Key) -> Self {
        Self {
            key,
            version: 0,
            expires: DateTime::<Utc>::MIN_UTC,
            traces: Vec::new(),
            sighting: None,
            windows: Vec::new(),
            claim: None,
            storm: None,
            cursor: None,
            document: None,
        }
    }

    /// A record that has expired is as good as absent, but keeps its version so that it can be written.
    pub fn fresh(self, now: DateTime<Utc>) -> Self {
        if self.expires > now { self } else { Self { version: self.version, ..Self::new(self.key) } }
    }

    /// Keeps it for its kind's time from the given moment on.
    pub fn touch(&mut self, time: DateTime<Utc>) {
        let until = time.checked_add_signed(self.key.kind.keep()).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.expires = self.expires.max(until);
    }

    /// Whether half its time has passed without a change.
    pub fn is_half_spent(&self, time: DateTime<Utc>) -> bool {
        self.expires - time < self.key.kind.keep() / 2
    }

    /// Remembers a trace once; of too many, the newest of what there is most of stay. True where it was news.
    pub fn add(&mut self, mut trace: Trace) -> bool {
        // Before it is compared: what was cut has to be recognised.
        for text in [&mut trace.detail, &mut trace.place] {
            text.truncate(text.floor_char_boundary(Trace::LONGEST_DETAIL));
        }
        if self.traces.iter().any(|known| {
            known.source == trace.source
                && known.label == trace.label
                && known.detail == trace.detail
                && known.place == trace.place
        }) {
            return false;
        }
        let label = trace.label.clone();
        let at = self.traces.partition_point(|known| known <= &trace);
        self.traces.insert(at, trace);
        let Some((dropped, trace)) = self.drop_one(&label) else { return true };
        // What was dropped before is dropped again, and changes nothing.
        let noted = trace.label == label::SEARCHED && self.note_dropped(trace);
        noted || dropped != at
    }

    /// Notes that traces of a label were dropped, where a reader has to know: an hour's are one trace.
    fn note_dropped(&mut self, trace: Trace) -> bool {
        let hour = |trace: &Trace| trace.time.timestamp().div_euclid(3_600);
        let noted = |known: &&mut Trace| known.label == trace.label && known.detail == Self::DROPPED;
        if let Some(known) = self.traces.iter_mut().filter(noted).find(|known| hour(known) == hour(&trace)) {
            if (known.time, &known.source) <= (trace.time, &trace.source) {
                return false;
            }
            (known.time, known.source) = (trace.time, trace.source);
        } else {
            let label = trace.label.clone();
            self.traces.push(Trace { detail: Self::DROPPED.to_owned(), ..trace });
            let noted = |known: &Trace| known.label == label && known.detail == Self::DROPPED;
            if self.traces.iter().filter(|known| noted(known)).count() > Self::MOST_DROPPED
                && let Some(oldest) = self.traces.iter().position(noted)
            {
                self.traces.remove(oldest);
            }
        }
        self.traces.sort();
        true
    }

    /// As [`Record::add`] for what happens all the time: of the same label, detail and place only the
    /// earliest in ten minutes stays.
    pub fn add_seldom(&mut self, trace: Trace) -> bool {
        let span = |time: DateTime<Utc>| time.timestamp().div_euclid(Self::SELDOM_SECONDS);
        let same = self.traces.iter().position(|known| {
            known.label == trace.label
                && known.detail == trace.detail
                && known.place == trace.place
                && span(known.time) == span(trace.time)
        });
        if let Some(at) = same {
            if self.traces.get(at).is_some_and(|known| *known <= trace) {
                return false;
            }
            self.traces.remove(at);
        }
        self.add(trace)
    }

    /// Of too many traces of a label goes the least telling one; of those that tell as much the oldest of
    /// what there is most of: a flood of one thing must not wash away the one trace of another. Nothing where
    /// there are not too many.
    fn drop_one(&mut self, label: &str) -> Option<(usize, Trace)> {
        let own = |trace: &&Trace| trace.label == label && trace.detail != Self::DROPPED;
        let own: Vec<&Trace> = self.traces.iter().filter(own).collect();
        if own.len() <= Self::MOST_TRACES {
            return None;
        }
        let count = |trace: &Trace| own.iter().filter(|other| other.detail == trace.detail).count();
        let least =
            own.iter().copied().min_by_key(|trace| (trace.weight(), std::cmp::Reverse(count(trace))))?;
        let at = self.traces.iter().position(|trace| std::ptr::eq(trace, least))?;
        Some((at, self.traces.remove(at)))
    }

    /// Remembers that it was seen; the earliest event time stays. True where that was news.
    pub fn see(&mut self, time: DateTime<Utc>, source: &str) -> bool {
        let earlier =
            self.sighting.as_ref().is_none_or(|known| (time, source) < (known.first, known.source.as_str()));
        if earlier {
            self.sighting = Some(Sighting { first: time, source: source.to_owned() });
        }
        earlier
    }
}

#[cfg(test)]
mod tests;
