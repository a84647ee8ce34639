//! Lines of logs that several services may share: each goes to the reader of its own shape, whatever the
//! log is called.

use std::collections::HashMap;

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{at, get, str, text_at};
use super::{
    Reading, auditd, cloudtrail, docker_events, eks_audit, eventbridge, flow_log, resolver, sysmon, tetragon,
};
use crate::activity::{Action, Activity, Place};
use crate::hash;

/// Why a line that no reader knows is told.
const UNKNOWN: &str = "a log line of no known format";

/// Reads lines one after another; what only several lines tell together is told at the end.
pub(super) struct Lines<'a> {
    outer: &'a Envelope<'a>,
    /// What the log's own name tells of where its lines were written.
    host: Place,
    flow: Option<flow_log::Format>,
    audit: auditd::Groups,
    reading: Reading,
}

impl<'a> Lines<'a> {
    pub fn new(outer: &'a Envelope<'a>, host: Place) -> Self {
        let configured = outer.surroundings.flow_log_format.as_deref();
        Self {
            outer,
            host,
            flow: configured.and_then(flow_log::Format::parse),
            audit: auditd::Groups::default(),
            reading: Reading::default(),
        }
    }

    /// Reads one line. `envelope` is the line's own.
    ///
    /// # Errors
    /// Why the line could not be read.
    pub fn line(&mut self, line: &str, envelope: &Envelope<'_>) -> Result<(), String> {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        if line.is_empty() {
            self.reading.add(Reading::ignored());
            return Ok(());
        }
        if line.starts_with('{') {
            let value = serde_json::from_str::<Value>(line).map_err(|error| format!("not JSON: {error}"))?;
            return self.json(&value, envelope);
        }
        if let Some(record) = auditd::record(line) {
            self.audit.add(record);
            return Ok(());
        }
        if let Some(xml) = sysmon::xml_in(line) {
            return self.take(sysmon::read_xml(xml, envelope, &self.host));
        }
        if let Some(read) = docker_events::read_line(line, envelope, &self.host) {
            return self.take(read);
        }
        if let Some(format) = flow_log::Format::header(line) {
            self.flow = Some(format);
            self.reading.add(Reading::ignored());
            return Ok(());
        }
        match flow_log::read(line, self.flow.as_ref(), envelope) {
            Some(read) => self.take(read),
            None => Err(UNKNOWN.to_owned()),
        }
    }

    /// Reads one line that is a JSON document already.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn json(&mut self, value: &Value, envelope: &Envelope<'_>) -> Result<(), String> {
        if let Some(read) = read_json(value, envelope, &self.host) {
            return self.take(read);
        }
        if let Some(read) = recorded(value, envelope) {
            return self.merge(read);
        }
        let Some(inner) = shipped(value) else { return Err(UNKNOWN.to_owned()) };
        let before = self.host.node.clone();
        if let Some(node) = text_at(value, &["kubernetes", "host"]) {
            self.host.node = Some(node);
        }
        let read = match inner {
            Value::String(text) if text.trim_start().starts_with('{') => {
                match serde_json::from_str::<Value>(text) {
                    Ok(inner) => self.known(&inner, envelope),
                    Err(error) if tetragon::is_mentioned(text) => Err(format!("log is no JSON: {error}")),
                    Err(_) => Err(UNKNOWN.to_owned()),
                }
            }
            Value::String(text) => self.line(text, envelope),
            inner => self.known(inner, envelope),
        };
        self.host.node = before;
        match read {
            // A container's own output, which a log shipper wrapped: understood, and none of our business.
            Err(reason) if reason == UNKNOWN => {
                self.reading.add(Reading::ignored());
                Ok(())
            }
            other => other,
        }
    }

    fn merge(&mut self, mut read: Reading) -> Result<(), String> {
        match read.unreadable.pop() {
            Some(problem) => Err(problem.reason),
            None => {
                self.reading.add(read);
                Ok(())
            }
        }
    }

    fn known(&mut self, value: &Value, envelope: &Envelope<'_>) -> Result<(), String> {
        match read_json(value, envelope, &self.host) {
            Some(read) => self.take(read),
            None => Err(UNKNOWN.to_owned()),
        }
    }

    pub fn ignore(&mut self) {
        self.reading.add(Reading::ignored());
    }

    fn take(&mut self, read: Result<Vec<Activity>, String>) -> Result<(), String> {
        self.reading.add(Reading::of(read?));
        Ok(())
    }

    /// All that was read, the same thing once.
    pub fn finish(mut self) -> Reading {
        let audited = self.audit.finish(self.outer, &self.host);
        self.reading.add(audited);
        fold(&mut self.reading);
        self.reading
    }
}

/// One document of a JSON format that is logged line by line; `None` where it is none of these.
fn read_json(value: &Value, envelope: &Envelope<'_>, host: &Place) -> Option<Result<Vec<Activity>, String>> {
    if tetragon::is_event(value) {
        return Some(tetragon::read(value, envelope, host));
    }
    if eks_audit::is_event(value) {
        return Some(eks_audit::read(value, envelope, host));
    }
    if resolver::is_query(value) {
        return Some(resolver::read(value, envelope));
    }
    if sysmon::is_event(value) {
        return Some(sysmon::read_json(value, envelope, host));
    }
    if docker_events::is_event(value) {
        return Some(docker_events::read(value, envelope, host));
    }
    None
}

/// Trails and event buses write to log groups as well.
fn recorded(value: &Value, envelope: &Envelope<'_>) -> Option<Reading> {
    if eventbridge::is_event(value) {
        Some(eventbridge::read(value, envelope))
    } else if cloudtrail::is_record(value) {
        Some(cloudtrail::read(value, envelope))
    } else {
        None
    }
}

/// What Fluent Bit, Docker's own log files and other shippers put a line into.
fn shipped(value: &Value) -> Option<&Value> {
    let shipper =
        ["stream", "kubernetes", "_p", "log_stream", "host", "ec2_instance_id", "container_id", "time"];
    if let Some(parsed) = get(value, "log_processed").filter(|it| it.is_object()) {
        return Some(parsed);
    }
    let line = get(value, "log").or_else(|| get(value, "message").filter(|it| it.is_string()))?;
    shipper.iter().any(|key| get(value, key).is_some()).then_some(line)
}

/// Reads a document that came alone; `None` where it is no line of a log.
pub(super) fn read_document(value: &Value, envelope: &Envelope<'_>) -> Option<Reading> {
    let known = tetragon::is_event(value)
        || eks_audit::is_event(value)
        || resolver::is_query(value)
        || sysmon::is_event(value)
        || docker_events::is_event(value)
        || shipped(value).is_some();
    if !known {
        return None;
    }
    let mut lines = Lines::new(envelope, Place::default());
    Some(match lines.json(value, envelope) {
        Ok(()) => lines.finish(),
        Err(reason) => Reading::unreadable(&envelope.place, reason),
    })
}

/// Whether a line is of a format that is text, not JSON.
pub(super) fn is_text(line: &str, configured: Option<&str>) -> bool {
    let line = line.trim();
    auditd::record(line).is_some()
        || sysmon::xml_in(line).is_some()
        || docker_events::is_line(line)
        || flow_log::is_line(line, configured)
}

/// Where the CloudWatch agent and the container add-ons write: the log's name tells instance and cluster.
pub(super) fn host(group: Option<&str>, stream: Option<&str>) -> Place {
    let mut steps = group.unwrap_or_default().trim_start_matches('/').split('/');
    let cluster = match (steps.next(), steps.next(), steps.next()) {
        (Some("aws"), Some("eks" | "containerinsights"), Some(name)) => Some(name.to_owned()),
        _ => None,
    };
    let instance = stream.and_then(|stream| stream.split(['/', '.', '_']).find(|part| is_instance(part)));
    Place { cluster, instance: instance.map(str::to_owned), ..Place::default() }
}

fn is_instance(text: &str) -> bool {
    text.strip_prefix("i-").is_some_and(|id| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A time in text, in any of the ways logs write it, else the envelope's.
pub(super) fn own_time(
    value: &Value,
    path: &[&str],
    envelope: &Envelope<'_>,
) -> Option<chrono::DateTime<chrono::Utc>> {
    envelope.time_of(at(value, path)?.as_str()?)
}

/// An id for a line that names none: the same line, the same id.
pub(super) fn line_id<T: AsRef<[u8]>>(kind: &str, parts: &[T]) -> String {
    let digest: String = hash::hex(parts).chars().take(32).collect();
    format!("{kind}-{digest}")
}

/// The same program, connection or lookup at the same place is told once a batch, at its earliest: a
/// loop's hundredth turn tells nothing that its first did not. The others count as ignored.
pub(super) fn fold(reading: &mut Reading) {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Activity> = Vec::with_capacity(reading.activities.len());
    for activity in reading.activities.drain(..) {
        let repeats = matches!(
            activity.action,
            Action::ProcessStarted(_) | Action::Connected(_) | Action::NameResolved(_)
        );
        if !repeats {
            kept.push(activity);
            continue;
        }
        let key =
            format!("{}|{}|{:?}|{:?}", activity.account, activity.region, activity.actor, activity.action);
        let known = first.get(&key).and_then(|index| kept.get_mut(*index));
        match known {
            Some(known) => {
                reading.ignored = reading.ignored.saturating_add(1);
                if activity.time < known.time {
                    *known = activity;
                }
            }
            None => {
                first.insert(key, kept.len());
                kept.push(activity);
            }
        }
    }
    reading.activities = kept;
}

/// Container id without its runtime's prefix.
pub(super) fn container_id(text: &str) -> Option<String> {
    let id = text.rsplit_once("://").map_or(text, |(_, id)| id);
    (!id.is_empty()).then(|| id.to_owned())
}

/// A string that a log may leave empty.
pub(super) fn filled(value: &Value, key: &str) -> Option<String> {
    str(value, key).map(str::to_owned)
}
