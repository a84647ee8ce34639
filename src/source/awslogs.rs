//! CloudWatch Logs: batches of log lines that a subscription delivers.
//!
//! Each line goes to the reader of its own shape; the log's name is only a hint. A line that cannot be
//! read costs no other: it is told with its own text, as a batch of one that can be read again.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::envelope::Envelope;
use super::fields::{account, get, list_of, str, text};
use super::lines::{Fault, Lines};
use super::shortcut::Shortcut;
use super::{Reading, Unreadable, split, text as files};

/// A subscription's batch is a megabyte or so before compression; what goes far beyond is a bomb.
const MAX_INFLATED: u64 = 64 * 1024 * 1024;
/// Unreadable lines told one by one; the others of a batch are told in bundles.
const SINGLY: usize = 50;
/// Text of a bundle, and of a line that is kept, in bytes: a queue's message takes 256 KiB.
const MAX_KEPT: usize = 96 * 1024;

/// Whether this is a delivery, or the document inside one.
pub(super) fn is_delivery(value: &Value) -> bool {
    get(value, "awslogs").is_some_and(Value::is_object) || get(value, "logEvents").is_some()
}

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    let Some(delivery) = get(value, "awslogs") else {
        return read_document(value, envelope);
    };
    let inner = envelope.inside("awslogs.data");
    let Some(data) = str(delivery, "data") else {
        return Reading::unreadable(&inner.place, "CloudWatch Logs subscription data without data");
    };
    let inflated = STANDARD
        .decode(data)
        .map_err(|error| format!("CloudWatch Logs subscription data that is no base64: {error}"))
        .and_then(|bytes| match split::inflate(&bytes, MAX_INFLATED) {
            Some(inflated) => Ok(inflated),
            None => files::inflate(&bytes, MAX_INFLATED),
        });
    match inflated {
        Ok(bytes) => read_inflated(&bytes, &inner, true),
        Err(reason) => Reading::unreadable(&inner.place, reason),
    }
}

/// The document as AWS writes it. Its lines are kept as they stand until one is known to matter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    message_type: Option<Cow<'a, str>>,
    owner: Option<Cow<'a, str>>,
    log_group: Option<Cow<'a, str>>,
    log_stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    log_events: Vec<Line<'a>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    id: Option<Cow<'a, str>>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    message: &'a RawValue,
}

/// `quick`: lines that cannot matter are dropped before they are parsed.
pub(super) fn read_inflated(bytes: &[u8], envelope: &Envelope<'_>, quick: bool) -> Reading {
    let parts = if quick { std::str::from_utf8(bytes).ok().and_then(split::split) } else { None };
    let whole = match &parts {
        Some(parts) => serde_json::from_str::<Document<'_>>(&parts.rest),
        None => serde_json::from_slice::<Document<'_>>(bytes),
    };
    let Ok(document) = whole else {
        // Not as AWS writes it: what there is of it.
        return match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => read_document(&value, envelope),
            Err(error) => Reading::unreadable(&envelope.place, format!("not JSON: {error}")),
        };
    };
    if document.message_type.as_deref() == Some(CONTROL) {
        return Reading::ignored();
    }
    let owner = document.owner.map(Cow::into_owned).filter(|owner| !owner.is_empty());
    let mut outer = envelope.clone();
    own(&mut outer, owner, document.log_stream.as_deref());
    let mut batch = Batch::new(&outer, document.log_group.as_deref(), document.log_stream.as_deref());
    let mut shortcut = Shortcut::default();
    let Some(parts) = &parts else {
        for (index, line) in document.log_events.iter().enumerate() {
            let raw = line.message.get();
            let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
            if quick && text.is_some_and(|raw| shortcut.drops(raw, &outer)) {
                batch.lines.ignore();
            } else if !batch.event(index, line) {
                shortcut.forget();
            }
        }
        return batch.finish();
    };
    for (index, event) in parts.events.iter().enumerate() {
        if shortcut.drops(event.raw, &outer) {
            batch.lines.ignore();
            continue;
        }
        let Ok(line) = serde_json::from_str::<Line<'_>>(event.whole) else {
            // No JSON after all, and so the document is none.
            return read_inflated(bytes, envelope, false);
        };
        if !batch.event(index, &line) {
            shortcut.forget();
        }
    }
    batch.finish()
}

/// Borrowed where nothing is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

const CONTROL: &str = "CONTROL_MESSAGE";

/// The document in any spelling.
fn read_document(value: &Value, envelope: &Envelope<'_>) -> Reading {
    if str(value, "messageType") == Some(CONTROL) {
        return Reading::ignored();
    }
    if !get(value, "logEvents").is_some_and(Value::is_array) {
        return Reading::unreadable(&envelope.place, "CloudWatch Logs subscription data without logEvents");
    }
    let mut outer = envelope.clone();
    own(&mut outer, account(value, "owner"), str(value, "logStream"));
    let mut batch = Batch::new(&outer, str(value, "logGroup"), str(value, "logStream"));
    let events = list_of(value, "logEvents");
    if events.is_empty() {
        return Reading::ignored();
    }
    for (index, event) in events.into_iter().enumerate() {
        let id = text(event, "id");
        let time = get(event, "timestamp").and_then(Value::as_i64);
        match get(event, "message") {
            Some(Value::String(message)) => {
                batch.line(index, id.as_deref(), time, message);
            }
            // Some deliveries parse the lines that are JSON.
            Some(message @ Value::Object(_)) => {
                batch.line(index, id.as_deref(), time, &message.to_string());
            }
            _ => {
                let reason = "log event whose message is no text".to_owned();
                batch.bad(index, id.as_deref(), time, &event.to_string(), reason);
            }
        }
    }
    batch.finish()
}

/// What the AWS CLI prints of a log: `events` of `filter-log-events` and `get-log-events`, `results` of
/// `get-query-results`. `None` for any other value.
pub(super) fn read_printed(value: &Value, envelope: &Envelope<'_>) -> Option<Reading> {
    let mut streams: Vec<(Option<String>, Vec<Value>)> = Vec::new();
    let mut add = |stream: Option<String>, event: Value| match streams.last_mut() {
        Some((last, events)) if *last == stream => events.push(event),
        _ => streams.push((stream, vec![event])),
    };
    let event = |id: Option<String>, time: Option<i64>, message: &Value| json!({"id": id, "timestamp": time, "message": message});
    if let Some(events) = get(value, "events").and_then(Value::as_array) {
        let is_event = |it: &Value| get(it, "message").is_some() && get(it, "timestamp").is_some();
        if events.is_empty() || !events.iter().all(is_event) {
            return None;
        }
        for one in events {
            let time = get(one, "timestamp").and_then(Value::as_i64);
            let message = get(one, "message").unwrap_or(&Value::Null);
            add(text(one, "logStreamName"), event(text(one, "eventId"), time, message));
        }
    } else {
        let rows = get(value, "results").and_then(Value::as_array).filter(|rows| !rows.is_empty())?;
        for row in rows {
            let cells = row.as_array()?;
            let cell = |name: &str| {
                let cell = cells.iter().find(|cell| str(cell, "field") == Some(name));
                cell.and_then(|cell| get(cell, "value"))
            };
            let time = cell("@timestamp").and_then(Value::as_str).and_then(super::envelope::time);
            let message = cell("@message")?;
            let stream = cell("@logStream").and_then(Value::as_str).map(str::to_owned);
            let id = cell("@ptr").and_then(Value::as_str).map(str::to_owned);
            add(stream, event(id, time.map(|time| time.timestamp_millis()), message));
        }
    }
    let mut reading = Reading::default();
    for (stream, events) in streams {
        let document = json!({"messageType": "DATA_MESSAGE", "logStream": stream, "logEvents": events});
        reading.add(read_document(&document, envelope));
    }
    Some(reading)
}

/// What the delivery says of whose log it is.
fn own(outer: &mut Envelope<'_>, owner: Option<String>, stream: Option<&str>) {
    // Where nothing is declared, an organisation's trail is told by the name of its stream, which begins with the
    // organisation's id: its records are of any account.
    let declared = outer.surroundings.trust.logs.of(None).is_some();
    let organization = !declared
        && !outer.surroundings.trust.live
        && stream.is_some_and(|stream| stream.starts_with("o-") && stream.contains("_CloudTrail_"));
    outer.owner = if organization { None } else { owner.clone().or(outer.owner.take()) };
    outer.account = owner.or(outer.account.take());
}

/// The lines of one delivery, and those of it that could not be read.
struct Batch<'a> {
    outer: &'a Envelope<'a>,
    group: Option<&'a str>,
    stream: Option<&'a str>,
    lines: Lines<'a>,
    bad: Vec<(usize, Value, String)>,
}

impl<'a> Batch<'a> {
    fn new(outer: &'a Envelope<'a>, group: Option<&'a str>, stream: Option<&'a str>) -> Self {
        let lines = Lines::of_log(outer, group, stream);
        Self { outer, group, stream, lines, bad: Vec::new() }
    }

    /// Whether it could be read.
    fn event(&mut self, index: usize, line: &Line<'_>) -> bool {
        let raw = line.message.get();
        match serde_json::from_str::<Text<'_>>(raw) {
            Ok(text) => self.line(index, line.id.as_deref(), line.timestamp, &text.0),
            Err(_) => {
                // Half of a surrogate pair, else no text at all.
                if let Ok(Value::String(text)) = files::parse(raw) {
                    return self.line(index, line.id.as_deref(), line.timestamp, &text);
                }
                let reason = "log event whose message is no text".to_owned();
                self.bad(index, line.id.as_deref(), line.timestamp, raw, reason);
                false
            }
        }
    }

    /// Whether it could be read.
    fn line(&mut self, index: usize, id: Option<&str>, time: Option<i64>, message: &str) -> bool {
        let mut envelope = self.outer.clone();
        let stamped = time.and_then(DateTime::from_timestamp_millis);
        envelope.stamped = stamped.and_then(|time| envelope.plausible(time));
        envelope.time = envelope.stamped.or(envelope.time);
        envelope.log_event = id.filter(|id| !id.is_empty()).map(str::to_owned);
        let fault = match self.lines.line(message, &envelope) {
            Ok(()) => return true,
            Err(Fault::Refused(reason)) => {
                self.lines.refuse(reason);
                return false;
            }
            Err(fault) => fault,
        };
        // The control plane's other logs share the audit log's group, and are text.
        let control_plane = self.group.is_some_and(|group| group.starts_with("/aws/eks/"));
        let audit = self.stream.is_some_and(|stream| stream.starts_with("kube-apiserver-audit"));
        if control_plane && !audit && !message.trim_start().starts_with('{') {
            self.lines.ignore();
            return true;
        }
        self.bad(index, id, time, message, fault.reason());
        false
    }

    fn bad(&mut self, index: usize, id: Option<&str>, time: Option<i64>, message: &str, reason: String) {
        let end = (0..=MAX_KEPT.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
        let kept = message.get(..end.unwrap_or_default()).unwrap_or_default();
        let cut = if kept.len() < message.len() {
            format!("; only its first {} bytes are kept", kept.len())
        } else {
            String::new()
        };
        let event = json!({"id": id, "timestamp": time, "message": kept});
        self.bad.push((index, event, reason + &cut));
    }

    /// A delivery of the lines alone, so that they can be read again.
    fn raw(&self, events: &[Value]) -> String {
        json!({
            "messageType": "DATA_MESSAGE",
            "owner": self.outer.account,
            "logGroup": self.group,
            "logStream": self.stream,
            "logEvents": events,
        })
        .to_string()
    }

    fn finish(mut self) -> Reading {
        let bad = std::mem::take(&mut self.bad);
        let mut told = Vec::new();
        let mut bundle: Vec<Value> = Vec::new();
        let mut size = 0_usize;
        let mut first = String::new();
        let place = |index: usize| self.outer.at(&format!("logEvents[{index}]"));
        for (number, (index, event, reason)) in bad.into_iter().enumerate() {
            if number < SINGLY {
                let raw = Some(self.raw(std::slice::from_ref(&event)));
                told.push(Unreadable { reason, place: place(index), raw });
                continue;
            }
            let length = event.to_string().len();
            if size.saturating_add(length) > MAX_KEPT && !bundle.is_empty() {
                told.push(self.bundle(&bundle, &first));
                bundle.clear();
                size = 0;
            }
            if bundle.is_empty() {
                first = place(index);
            }
            size = size.saturating_add(length);
            bundle.push(event);
        }
        if !bundle.is_empty() {
            told.push(self.bundle(&bundle, &first));
        }
        let mut reading = self.lines.finish();
        reading.unreadable.extend(told);
        if reading.activities.is_empty()
            && reading.unreadable.is_empty()
            && reading.refused.is_empty()
            && reading.ignored == 0
        {
            return Reading::ignored();
        }
        reading
    }

    fn bundle(&self, events: &[Value], place: &str) -> Unreadable {
        let reason = format!("{} more log lines that cannot be read", events.len());
        Unreadable { reason, place: place.to_owned(), raw: Some(self.raw(events)) }
    }
}

#[cfg(test)]
pub(super) mod tests;
