//! What the wrappings of a record tell of it.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Surroundings;
use crate::activity::{Action, Activity, Actor, ApiCall, Cloud};

/// CloudTrail and EventBridge are younger than EC2, and nothing of EC2 is older than this.
const FIRST_YEAR: i32 = 2006;
/// The longest id that is kept as it is, in bytes.
const LONGEST_ID: usize = 400;
/// No clock is set to a later year than this: the number is in another unit.
const LAST_YEAR: i32 = 2200;
/// How far an event's clock may be ahead of ours where events are judged as they arrive.
const AHEAD: TimeDelta = TimeDelta::minutes(15);
/// How far the time that a line gives may be from the time that its log gives to it.
const DRIFT: TimeDelta = TimeDelta::days(1);

/// What is known around a record, from the outside in.
#[derive(Debug, Clone)]
pub(super) struct Envelope<'a> {
    pub surroundings: &'a Surroundings,
    /// EventBridge `id`.
    pub id: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    /// The account that whoever delivered the record says it is of: EventBridge's, a log group's owner, a trail's
    /// folder. A record of another account is refused.
    pub owner: Option<String>,
    /// The region that EventBridge says the record is of.
    pub home: Option<String>,
    /// The log event that the record is a line of: its id, which CloudWatch Logs makes, and its time.
    pub log_event: Option<String>,
    pub stamped: Option<DateTime<Utc>>,
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
            owner: surroundings.trust.owner.clone(),
            home: None,
            log_event: None,
            stamped: None,
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

    /// Reads a time: RFC 3339, or the same with a space in the middle or without an offset, which is UTC then. One
    /// that cannot be (before EC2) is as good as none.
    pub fn time_of(&self, text: &str) -> Option<DateTime<Utc>> {
        self.plausible(time(text)?)
    }

    pub fn plausible(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (FIRST_YEAR..LAST_YEAR).contains(&time.year()).then_some(time)
    }

    /// The time of a line in a log of many writers: what the line says, unless that is far from the time that the
    /// log gives it. A writer could date its line back, and make known what is new.
    pub fn line_time(&self, own: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        match (own, self.stamped) {
            (Some(own), Some(stamped)) if own.signed_duration_since(stamped).abs() > DRIFT => Some(stamped),
            (own, stamped) => own.or(stamped),
        }
    }

    /// Why a record of this account and region does not belong into this envelope, where it does not.
    pub fn disagreement(&self, account: Option<&str>, region: Option<&str>) -> Option<String> {
        let differ = |outer: &Option<String>, own: Option<&str>| match (outer.as_deref(), own) {
            (Some(outer), Some(own)) if !own.is_empty() && outer != own => {
                Some((outer.to_owned(), own.to_owned()))
            }
            _ => None,
        };
        if let Some((outer, own)) = differ(&self.owner, account) {
            return Some(format!(
                "the envelope is of account {outer}, but its record of account {}",
                brief(&own)
            ));
        }
        let (outer, own) = differ(&self.home, region)?;
        Some(format!("the envelope is of region {outer}, but its record of region {}", brief(&own)))
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
        let told = own.time.or(self.time);
        let received = self.surroundings.received;
        let latest = received.checked_add_signed(AHEAD).filter(|_| self.surroundings.trust.live);
        let claimed = told.filter(|time| latest.is_some_and(|latest| *time > latest));
        let time = told.filter(|_| claimed.is_none());
        Activity {
            id: bounded(own.id.or_else(|| self.id.clone()).unwrap_or_else(|| content_id(record))),
            time: time.unwrap_or(received),
            time_is_arrival: time.is_none(),
            time_claimed: claimed,
            shared: false,
            account: self.account(own.account),
            region: self.region(own.region),
            cloud: Cloud::Aws,
            actor,
            api,
            action,
        }
    }
}

/// A time in any of the forms that logs write it.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    // Longer texts are no times, and parsing them is work.
    if text.len() > 64 {
        return None;
    }
    let text = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.with_timezone(&Utc));
        }
    }
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(time.and_utc())
}

/// A name that a record gives, for a message.
fn brief(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(64).collect()
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
