//! What the wrappings of a record tell of it.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Surroundings;
use crate::activity::{Action, Activity, Actor, ApiCall, Cloud};

/// CloudTrail and EventBridge are younger than EC2, and nothing of EC2 is older than this.
const FIRST_YEAR: i32 = 2006;
/// The longest id that is kept as it is, in bytes.
const LONGEST_ID: usize = 400;
/// How far an event's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::days(2);

/// What is known around a record, from the outside in.
#[derive(Debug, Clone)]
pub(super) struct Envelope<'a> {
    pub surroundings: &'a Surroundings,
    /// EventBridge `id`.
    pub id: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub time: Option<DateTime<Utc>>,
    /// EventBridge `resources`, ARNs.
    pub resources: Vec<String>,
    /// Where in the payload, for [`super::Unreadable::place`].
    pub place: String,
    /// Wrappings passed.
    pub depth: usize,
}

/// Fields of a record that go before its envelope's.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub id: Option<String>,
    pub time: Option<DateTime<Utc>>,
    pub account: Option<String>,
    pub region: Option<String>,
}

impl<'a> Envelope<'a> {
    pub fn outermost(surroundings: &'a Surroundings) -> Self {
        Self {
            surroundings,
            id: None,
            account: None,
            region: None,
            time: None,
            resources: Vec::new(),
            place: String::new(),
            depth: 0,
        }
    }

    /// The same, one step further in.
    pub fn inside(&self, step: &str) -> Self {
        let mut inner = self.clone();
        inner.place = self.at(step);
        inner.depth = self.depth.saturating_add(1);
        inner
    }

    /// The place of a step from here: `Records[3].body`.
    pub fn at(&self, step: &str) -> String {
        match (self.place.as_str(), step) {
            ("", step) => step.to_owned(),
            (place, step) if step.starts_with('[') => format!("{place}{step}"),
            (place, step) => format!("{place}.{step}"),
        }
    }

    /// Reads a time. One that cannot be (before EC2, or well after it arrived) is as good as none.
    pub fn time_of(&self, text: &str) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(text.trim()).ok()?.with_timezone(&Utc);
        self.plausible(time)
    }

    pub fn plausible(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let latest = self.surroundings.received.checked_add_signed(AHEAD)?;
        (time.year() >= FIRST_YEAR && time <= latest).then_some(time)
    }

    pub fn account(&self, own: Option<String>) -> String {
        own.or_else(|| self.account.clone()).or_else(|| self.surroundings.account.clone()).unwrap_or_default()
    }

    pub fn region(&self, own: Option<String>) -> String {
        own.or_else(|| self.region.clone()).or_else(|| self.surroundings.region.clone()).unwrap_or_default()
    }

    /// One activity of a record.
    pub fn activity(
        &self,
        record: &Value,
        own: Own,
        actor: Option<Actor>,
        api: Option<ApiCall>,
        action: Action,
    ) -> Activity {
        let time = own.time.or(self.time);
        Activity {
            id: bounded(own.id.or_else(|| self.id.clone()).unwrap_or_else(|| content_id(record))),
            time: time.unwrap_or(self.surroundings.received),
            time_is_arrival: time.is_none(),
            account: self.account(own.account),
            region: self.region(own.region),
            cloud: Cloud::Aws,
            actor,
            api,
            action,
        }
    }
}

/// Ids are remembered, and some logs let their writers choose them.
fn bounded(id: String) -> String {
    if id.len() <= LONGEST_ID { id } else { format!("long-{}", crate::hash::hex(&[&id])) }
}

/// An id for a record that has none: the same content, the same id.
fn content_id(record: &Value) -> String {
    let bytes = serde_json::to_vec(record).unwrap_or_default();
    let hex: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("content-{hex}")
}
