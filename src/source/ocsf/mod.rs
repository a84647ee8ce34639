//! OCSF records, as Amazon Security Lake and its custom sources write them: versions 1.0.0-rc.2 and 1.1
//! onwards, one file a class.
//!
//! API Activity of CloudTrail is put back into CloudTrail's own shape and read there, so that a call
//! means the same whichever way it came.

mod api;
mod dotted;
mod findings;
mod kubernetes;
mod runtime;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{Arn, account, any, at, count, get, scalar, str, text, text_at};
use crate::activity::{Action, Activity, ContainerImage};

/// Whether this is an OCSF record, also one that lost a field.
pub(super) fn is_record(value: &Value) -> bool {
    let has = |key| get(value, key).is_some();
    has("class_uid")
        || has("type_uid")
        || (at(value, &["metadata", "product"]).is_some() && (has("class_name") || has("activity_id")))
}

/// The classes that are read.
#[derive(Clone, Copy)]
enum Class {
    Process,
    Network,
    Dns,
    Api,
    /// Findings of GuardDuty and Inspector.
    Finding,
}

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    let class = match class(value) {
        Ok(Some(class)) => class,
        Ok(None) => return Reading::ignored(),
        Err(()) => return Reading::unreadable(&envelope.place, "OCSF record without class_uid"),
    };
    let record = Record::new(value, envelope);
    let reading = match class {
        Class::Process => runtime::process(&record),
        Class::Network => runtime::network(&record),
        Class::Dns => runtime::dns(&record),
        Class::Api if kubernetes::is_audit(&record) => kubernetes::read(&record),
        Class::Api => api::read(&record),
        Class::Finding => findings::read(&record),
    };
    match envelope.disagreement(record.account().as_deref(), record.region().as_deref()) {
        Some(reason) if !reading.activities.is_empty() => record.unreadable(&reason),
        _ => reading,
    }
}

/// The class by its number, the type's number, its name, or what only that class has. `None` is a
/// class of which nothing is judged.
fn class(value: &Value) -> Result<Option<Class>, ()> {
    let number = |key| get(value, key).and_then(count);
    let uid = number("class_uid").filter(|uid| *uid >= 1_000);
    let uid = uid.or_else(|| number("type_uid").map(|uid| uid / 100).filter(|uid| *uid >= 1_000));
    if let Some(uid) = uid {
        return Ok(match uid {
            1007 => Some(Class::Process),
            4001 => Some(Class::Network),
            4003 => Some(Class::Dns),
            // 3005 in 1.0.0-rc.2, which the first version of Security Lake's sources writes.
            6003 | 3005 => Some(Class::Api),
            2001 | 2002 | 2004 => Some(Class::Finding),
            _ => None,
        });
    }
    match str(value, "class_name") {
        Some("Process Activity") => Ok(Some(Class::Process)),
        Some("Network Activity") => Ok(Some(Class::Network)),
        Some("DNS Activity") => Ok(Some(Class::Dns)),
        Some("API Activity") => Ok(Some(Class::Api)),
        Some("Security Finding" | "Vulnerability Finding" | "Detection Finding") => Ok(Some(Class::Finding)),
        _ if get(value, "api").is_some() => Ok(Some(Class::Api)),
        _ if get(value, "process").is_some() => Ok(Some(Class::Process)),
        _ if get(value, "query").is_some() => Ok(Some(Class::Dns)),
        _ if get(value, "dst_endpoint").is_some() => Ok(Some(Class::Network)),
        _ => Err(()),
    }
}

/// One record, and what all classes have.
struct Record<'a> {
    raw: &'a Value,
    envelope: &'a Envelope<'a>,
    /// `unmapped` with its dotted keys unfolded.
    unmapped: Value,
}

impl<'a> Record<'a> {
    fn new(raw: &'a Value, envelope: &'a Envelope<'a>) -> Self {
        let unmapped = get(raw, "unmapped").map(dotted::unfold).unwrap_or_default();
        Self { raw, envelope, unmapped }
    }

    fn at(&self, path: &[&str]) -> Option<&'a Value> {
        at(self.raw, path)
    }

    /// The scalar at the end of a path; AWS writes `-` for what it does not know.
    fn text(&self, path: &[&str]) -> Option<String> {
        known(text_at(self.raw, path)?)
    }

    fn extra(&self, path: &[&str]) -> Option<String> {
        known(text_at(&self.unmapped, path)?)
    }

    fn number(&self, path: &[&str]) -> Option<u64> {
        self.at(path).and_then(count)
    }

    /// Milliseconds since 1970. Some of AWS's own records carry microseconds, others seconds.
    fn time(&self) -> Option<DateTime<Utc>> {
        let number = get(self.raw, "time").and_then(count).and_then(|number| i64::try_from(number).ok());
        let plausible = |time: Option<DateTime<Utc>>| self.envelope.plausible(time?);
        number
            .and_then(|number| {
                plausible(DateTime::from_timestamp_millis(number))
                    .or_else(|| plausible(DateTime::from_timestamp_micros(number)))
                    .or_else(|| plausible(DateTime::from_timestamp(number, 0)))
                    .or_else(|| plausible(Some(DateTime::from_timestamp_nanos(number))))
            })
            .or_else(|| {
                let text = str(self.raw, "time_dt").or_else(|| str(self.raw, "time"))?;
                self.envelope.time_of(text)
            })
    }

    /// Twelve digits, also where an ARN stands in their place.
    fn account(&self) -> Option<String> {
        let cloud = at(self.raw, &["cloud", "account"]).and_then(|cloud| account(cloud, "uid"));
        let named = cloud.or_else(|| self.text(&["cloud", "account_uid"]));
        let named = named.or_else(|| account(&self.unmapped, "recipientAccountId"));
        named.or_else(|| text(self.raw, "accountid")).map(|uid| match Arn::parse(&uid) {
            Some(arn) => arn.account.to_owned(),
            None => uid,
        })
    }

    fn region(&self) -> Option<String> {
        self.text(&["cloud", "region"])
    }

    /// What a body is that may be JSON or text of JSON.
    fn body(&self, mapped: &[&str], unmapped: &[&str]) -> Option<Value> {
        let mapped = self.at(mapped).and_then(document);
        mapped.or_else(|| at(&self.unmapped, unmapped).and_then(document))
    }

    fn own(&self) -> Own {
        Own {
            id: self.text(&["metadata", "uid"]),
            time: self.time(),
            account: self.account(),
            region: self.region(),
        }
    }

    /// An activity of which nobody is named.
    fn activity(&self, action: Action) -> Activity {
        // Writers of custom sources choose their ids: only the whole record names it.
        self.envelope.activity(self.raw, Own { id: None, ..self.own() }, None, None, action)
    }

    fn unreadable(&self, reason: &str) -> Reading {
        Reading::unreadable(&self.envelope.place, reason)
    }
}

fn known(text: String) -> Option<String> {
    (text != "-").then_some(text)
}

/// An object, or a text that holds one.
fn document(value: &Value) -> Option<Value> {
    let document = match value {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    document.as_object().is_some_and(|fields| !fields.is_empty()).then_some(document)
}

/// `name[:tag][@sha256:...]`, also behind a runtime's prefix.
fn container_image(reference: &str) -> ContainerImage {
    let reference = reference.split_once("://").map_or(reference, |(_, reference)| reference);
    match reference.split_once('@') {
        Some((name, digest)) => ContainerImage { name: name.to_owned(), digest: Some(digest.to_owned()) },
        None if reference.starts_with("sha256:") => {
            ContainerImage { name: String::new(), digest: Some(reference.to_owned()) }
        }
        None => ContainerImage { name: reference.to_owned(), digest: None },
    }
}

/// The first scalar of several keys.
fn first(value: &Value, keys: &[&str]) -> Option<String> {
    any(value, keys).and_then(scalar).and_then(known)
}

#[cfg(test)]
mod tests;
