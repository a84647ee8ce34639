//! Lines of logs that several services may share: each goes to the reader of its own shape, whatever the
//! log is called.

use std::collections::HashMap;

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{at, get, str, text_at};
use super::trust::{Exporter, LogFormat};
use super::{
    Reading, auditd, cloudtrail, docker_events, eks_audit, eventbridge, flow_log, resolver, sysmon, tetragon,
    text,
};
use crate::activity::{Action, Activity, Place};
use crate::hash;

/// Why a line was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is of a known format, and is not to be believed.
    Refused(String),
    Unreadable(String),
    /// It is of no known format.
    Unknown,
}

impl Fault {
    /// For people.
    pub fn reason(self) -> String {
        match self {
            Fault::Refused(reason) | Fault::Unreadable(reason) => reason,
            Fault::Unknown => "a log line of no known format".to_owned(),
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Fault::Unreadable(reason)
    }
}

/// Reads lines one after another; what only several lines tell together is told at the end.
pub(super) struct Lines<'a> {
    outer: &'a Envelope<'a>,
    /// What the log's own name tells of where its lines were written.
    host: Place,
    /// Whose output the log holds, where its stream's name tells.
    writer: Option<Writer>,
    /// What the log group is declared to carry; `None` where nothing is declared.
    declared: Option<&'a [LogFormat]>,
    flow: Option<flow_log::Format>,
    audit: auditd::Groups,
    reading: Reading,
}

/// The container that wrote a line, as far as the shipper names it.
#[derive(Debug, Clone, Default)]
struct Writer {
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
}

impl Writer {
    /// From `PREFIX.var.log.containers.POD_NAMESPACE_CONTAINER-ID.log`, the name of a stream and of the file on
    /// the node that it was read from.
    fn of_stream(stream: &str) -> Option<Self> {
        let (_, file) = stream.rsplit_once("containers.")?;
        let mut names = file.split('_');
        let (pod, namespace, container) = (names.next()?, names.next()?, names.next()?);
        let container = container.rsplit_once('-').map_or(container, |(name, _)| name);
        let owned = |name: &str| Some(name.to_owned());
        names.next().is_none().then(|| Self {
            namespace: owned(namespace),
            pod: owned(pod),
            container: owned(container),
        })
    }

    /// From the shipper's own fields. A node's own logs name no pod.
    fn of_shipper(value: &Value) -> Option<Self> {
        let kubernetes = get(value, "kubernetes")?;
        let writer = Self {
            namespace: filled(kubernetes, "namespace_name"),
            pod: filled(kubernetes, "pod_name"),
            container: filled(kubernetes, "container_name"),
        };
        (writer.namespace.is_some() || writer.pod.is_some() || writer.container.is_some()).then_some(writer)
    }

    fn is_exporter(&self, exporter: &Exporter) -> bool {
        exporter.is(self.namespace.as_deref(), self.pod.as_deref(), self.container.as_deref())
    }
}

impl<'a> Lines<'a> {
    pub fn new(outer: &'a Envelope<'a>, host: Place) -> Self {
        let configured = outer.surroundings.flow_log_format.as_deref();
        Self {
            outer,
            host,
            writer: None,
            declared: None,
            flow: configured.and_then(flow_log::Format::parse),
            audit: auditd::Groups::default(),
            reading: Reading::default(),
        }
    }

    /// The lines of a log of CloudWatch.
    pub fn of_log(outer: &'a Envelope<'a>, group: Option<&str>, stream: Option<&str>) -> Self {
        let mut lines = Self::new(outer, host(group, stream));
        lines.writer = stream.and_then(Writer::of_stream);
        lines.declared = outer.surroundings.trust.logs.of(group);
        lines
    }

    /// Whether lines of a format are believed here.
    fn believes(&self, format: LogFormat) -> Result<(), Fault> {
        // A trail's records name their accounts, which are compared with the log's owner.
        let allowed = |declared: &[LogFormat]| {
            declared.contains(&format)
                || format == LogFormat::CloudTrail && declared.contains(&LogFormat::OrganizationTrail)
        };
        if self.declared.is_none_or(allowed) {
            return Ok(());
        }
        let format = format.name();
        Err(Fault::Refused(match self.declared {
            Some([]) => {
                format!("a line of format {format} in a log group that is not declared in LOG_FORMATS")
            }
            _ => format!("a line of format {format} in a log group that LOG_FORMATS declares for others"),
        }))
    }

    /// Whether what a container printed is believed.
    fn believes_container(&self, writer: Option<&Writer>) -> Result<(), Fault> {
        let exporter = &self.outer.surroundings.trust.exporter;
        let writers = [self.writer.as_ref(), writer];
        if writers.into_iter().flatten().all(|writer| writer.is_exporter(exporter)) {
            return Ok(());
        }
        Err(Fault::Refused(
            "a container's own output that looks like an event: it is not Tetragon's exporter".to_owned(),
        ))
    }

    /// Reads one line. `envelope` is the line's own.
    ///
    /// # Errors
    /// Why the line could not be read.
    pub fn line(&mut self, line: &str, envelope: &Envelope<'_>) -> Result<(), Fault> {
        self.line_of(line, envelope, None)
    }

    fn line_of(&mut self, line: &str, envelope: &Envelope<'_>, writer: Option<&Writer>) -> Result<(), Fault> {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        if line.is_empty() {
            self.reading.add(Reading::ignored());
            return Ok(());
        }
        if line.starts_with('{') {
            let value = text::parse(line).map_err(|error| format!("not JSON: {error}"))?;
            return self.json_of(&value, envelope, writer);
        }
        if let Some(record) = auditd::record(line) {
            self.believes(LogFormat::Auditd)?;
            self.believes_container(writer)?;
            self.audit.add(record, envelope.stamped);
            return Ok(());
        }
        if let Some(xml) = sysmon::xml_in(line) {
            return self.take(LogFormat::Sysmon, writer, |host| sysmon::read_xml(xml, envelope, host));
        }
        if docker_events::is_line(line) {
            return self.take(LogFormat::Docker, writer, |host| {
                docker_events::read_line(line, envelope, host).unwrap_or_else(|| Ok(Vec::new()))
            });
        }
        if let Some(format) = flow_log::Format::header(line) {
            self.flow = Some(format);
            self.reading.add(Reading::ignored());
            return Ok(());
        }
        match flow_log::read(line, self.flow.as_ref(), envelope) {
            Some(read) => self.take(LogFormat::FlowLog, writer, |_| read),
            None => Err(Fault::Unknown),
        }
    }

    /// Reads one line that is a JSON document already.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn json(&mut self, value: &Value, envelope: &Envelope<'_>) -> Result<(), Fault> {
        self.json_of(value, envelope, None)
    }

    fn json_of(
        &mut self,
        value: &Value,
        envelope: &Envelope<'_>,
        writer: Option<&Writer>,
    ) -> Result<(), Fault> {
        // The outermost shipper knows who wrote the line; what the line says of that is the writer's own.
        let named = writer.is_none().then(|| Writer::of_shipper(value)).flatten();
        let writer = writer.or(named.as_ref());
        if let Some(format) = format_of(value) {
            return self.take(format, writer, |host| read_json(format, value, envelope, host));
        }
        if is_recorded(value) {
            self.believes(LogFormat::CloudTrail)?;
            self.believes_container(writer)?;
            return self.merge(recorded(value, &self.of_trail(envelope)));
        }
        // A shipper inside a shipper is what a container printed.
        let Some(inner) = shipped(value).filter(|_| envelope.depth < MOST_SHIPPERS) else {
            return Err(Fault::Unknown);
        };
        let envelope = &envelope.inside("log");
        let before = self.host.node.clone();
        if let Some(node) = text_at(value, &["kubernetes", "host"]) {
            self.host.node = Some(node);
        }
        let read = match inner {
            Value::String(line) if line.trim_start().starts_with('{') => match text::parse(line) {
                Ok(inner) => self.json_of(&inner, envelope, writer),
                Err(error) if tetragon::is_mentioned(line) && self.believes_container(writer).is_ok() => {
                    Err(Fault::Unreadable(format!("log is no JSON: {error}")))
                }
                Err(_) => Err(Fault::Unknown),
            },
            Value::String(line) => self.line_of(line, envelope, writer),
            inner => self.json_of(inner, envelope, writer),
        };
        self.host.node = before;
        match read {
            // A container's own output, which a log shipper wrapped.
            Err(Fault::Unknown) => {
                self.reading.add(Reading::ignored());
                Ok(())
            }
            other => other,
        }
    }

    /// The envelope of a trail's record: its account has to be the log's owner, unless the trail is an
    /// organisation's.
    fn of_trail<'e>(&self, envelope: &Envelope<'e>) -> Envelope<'e> {
        let mut envelope = envelope.clone();
        if self.declared.is_some_and(|declared| declared.contains(&LogFormat::OrganizationTrail)) {
            envelope.owner = None;
        }
        envelope
    }

    fn merge(&mut self, mut read: Reading) -> Result<(), Fault> {
        match read.unreadable.pop() {
            Some(problem) => Err(Fault::Unreadable(problem.reason)),
            None => {
                self.reading.add(read);
                Ok(())
            }
        }
    }

    fn take(
        &mut self,
        format: LogFormat,
        writer: Option<&Writer>,
        read: impl FnOnce(&Place) -> Result<Vec<Activity>, String>,
    ) -> Result<(), Fault> {
        self.believes(format)?;
        self.believes_container(writer)?;
        let read = read(&self.host)?;
        self.reading.add(Reading::of(read));
        Ok(())
    }

    /// Counts a line that is not believed.
    pub fn refuse(&mut self, reason: String) {
        let count = self.reading.refused.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    pub fn ignore(&mut self) {
        self.reading.add(Reading::ignored());
    }

    /// All that was read, the same thing once.
    pub fn finish(mut self) -> Reading {
        let audited = self.audit.finish(self.outer, &self.host);
        self.reading.add(audited);
        fold(&mut self.reading);
        self.reading
    }
}

/// A line is wrapped by a shipper and by the engine at the most.
const MOST_SHIPPERS: usize = 16;

/// The format of a document that is logged line by line; `None` where it is none of these.
fn format_of(value: &Value) -> Option<LogFormat> {
    if tetragon::is_event(value) {
        Some(LogFormat::Tetragon)
    } else if eks_audit::is_event(value) {
        Some(LogFormat::EksAudit)
    } else if resolver::is_query(value) {
        Some(LogFormat::Resolver)
    } else if sysmon::is_event(value) {
        Some(LogFormat::Sysmon)
    } else if docker_events::is_event(value) {
        Some(LogFormat::Docker)
    } else {
        None
    }
}

fn read_json(
    format: LogFormat,
    value: &Value,
    envelope: &Envelope<'_>,
    host: &Place,
) -> Result<Vec<Activity>, String> {
    match format {
        LogFormat::Tetragon => tetragon::read(value, envelope, host),
        LogFormat::EksAudit => eks_audit::read(value, envelope, host),
        LogFormat::Resolver => resolver::read(value, envelope),
        LogFormat::Sysmon => sysmon::read_json(value, envelope, host),
        LogFormat::Docker => docker_events::read(value, envelope, host),
        // Lines of text and a trail's records are told apart elsewhere.
        LogFormat::FlowLog | LogFormat::Auditd | LogFormat::CloudTrail | LogFormat::OrganizationTrail => {
            Ok(Vec::new())
        }
    }
}

/// Trails and event buses write to log groups as well.
fn is_recorded(value: &Value) -> bool {
    eventbridge::is_event(value) || cloudtrail::is_record(value)
}

fn recorded(value: &Value, envelope: &Envelope<'_>) -> Reading {
    if eventbridge::is_event(value) {
        eventbridge::read(value, envelope)
    } else {
        cloudtrail::read(value, envelope)
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
    if format_of(value).is_none() && shipped(value).is_none() {
        return None;
    }
    let mut lines = Lines::new(envelope, Place::default());
    Some(match lines.json(value, envelope) {
        Ok(()) => lines.finish(),
        Err(Fault::Refused(reason)) => {
            lines.refuse(reason);
            lines.finish()
        }
        Err(fault) => Reading::unreadable(&envelope.place, fault.reason()),
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
