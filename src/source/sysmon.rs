//! Sysmon for Windows and for Linux: process creation (1), network connection (3) and DNS query (22), as XML
//! and in the JSON forms of log shippers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event as Xml;
use serde_json::Value;

use super::envelope::{Envelope, Own, time};
use super::fields::{any, at, get, scalar};
use super::lines::line_id;
use crate::activity::{Action, Activity, Connection, Place, Process, Resolution};

/// Sysmon's own events have two dozen fields; what goes far beyond is no event.
const MAX_FIELDS: usize = 256;
/// CloudWatch takes no longer line.
const MAX_XML: usize = 1024 * 1024;

/// One event, from either form.
#[derive(Debug, Default)]
struct Event {
    id: Option<u64>,
    provider: String,
    computer: Option<String>,
    record: Option<String>,
    time: Option<String>,
    fields: BTreeMap<String, String>,
}

impl Event {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty() && *text != "-")
    }
}

pub(super) fn is_event(value: &Value) -> bool {
    let provider = [
        at(value, &["winlog", "provider_name"]),
        at(value, &["winlog", "channel"]),
        at(value, &["Event", "System", "Provider", "@Name"]),
        at(value, &["Event", "System", "Provider", "Name"]),
        at(value, &["Event", "System", "Provider", "#attributes", "Name"]),
        any(value, &["SourceName", "ProviderName", "Provider_Name", "source_name", "provider_name"]),
    ];
    let channel = at(value, &["Event", "System", "Channel"])
        .or_else(|| any(value, &["Channel", "channel", "EventLog", "log_name", "LogName"]));
    let named = provider.into_iter().chain([channel]).flatten();
    let mut named = named.filter_map(|name| name.as_str());
    named.any(|name| name.contains("Sysmon"))
}

/// # Errors
/// When the event lacks what makes it one.
pub(super) fn read_json(
    value: &Value,
    envelope: &Envelope<'_>,
    host: &Place,
) -> Result<Vec<Activity>, String> {
    let number = |value: &Value| scalar(value).or_else(|| scalar(any(value, &["#text", "$text", "Value"])?));
    let system = at(value, &["Event", "System"]);
    let winlog = get(value, "winlog");
    let from = |place: Option<&Value>, keys: &[&str]| any(place?, keys).and_then(number);
    let created = system.and_then(|system| get(system, "TimeCreated")).and_then(|created| {
        let named = |value: &Value| any(value, &["SystemTime", "@SystemTime"]).and_then(scalar);
        scalar(created).or_else(|| named(created)).or_else(|| named(get(created, "#attributes")?))
    });
    let id = from(system, &["EventID"])
        .or_else(|| from(winlog, &["event_id"]))
        .or_else(|| from(Some(value), &["EventID", "event_id", "EventId", "Id"]));
    let data = at(value, &["Event", "EventData"])
        .or_else(|| winlog.and_then(|winlog| get(winlog, "event_data")))
        .or_else(|| any(value, &["EventData", "event_data"]))
        .unwrap_or(value);
    let event = Event {
        id: id.and_then(|id| id.parse().ok()),
        provider: "Sysmon".to_owned(),
        computer: from(system, &["Computer"])
            .or_else(|| from(winlog, &["computer_name"]))
            .or_else(|| from(Some(value), &["Computer", "Hostname", "ComputerName", "MachineName"])),
        record: from(system, &["EventRecordID"])
            .or_else(|| from(winlog, &["record_id"]))
            .or_else(|| from(Some(value), &["EventRecordID", "RecordNumber", "RecordId"])),
        time: created.or_else(|| from(Some(value), &["@timestamp", "TimeCreated", "EventTime"])),
        fields: data_fields(data),
    };
    read(&event, envelope, host)
}

/// `{"Image": "..."}`, or `{"Data": [{"@Name": "Image", "#text": "..."}]}`.
fn data_fields(data: &Value) -> BTreeMap<String, String> {
    if let Some(Value::Array(elements)) = get(data, "Data") {
        let named = elements.iter().filter_map(|element| {
            let name = any(element, &["@Name", "Name"]).or_else(|| at(element, &["#attributes", "Name"]))?;
            let text =
                any(element, &["#text", "$text", "Value", "text"]).and_then(scalar).unwrap_or_default();
            Some((name.as_str()?.to_owned(), text))
        });
        return named.take(MAX_FIELDS).collect();
    }
    let object = data.as_object().into_iter().flatten();
    object.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).take(MAX_FIELDS).collect()
}

/// The event in a line: bare, or behind syslog's header.
pub(super) fn xml_in(line: &str) -> Option<&str> {
    let start = line.find("<Event>").or_else(|| line.find("<Event "))?;
    line.get(start..)
}

/// # Errors
/// When it is no XML, or no event.
pub(super) fn read_xml(xml: &str, envelope: &Envelope<'_>, host: &Place) -> Result<Vec<Activity>, String> {
    if xml.len() > MAX_XML {
        return Err(format!("an XML event of more than {MAX_XML} bytes"));
    }
    let event = parse_xml(xml).map_err(|problem| format!("not XML: {problem}"))?;
    if !event.provider.contains("Sysmon") {
        return Ok(Vec::new());
    }
    read(&event, envelope, host)
}

fn parse_xml(xml: &str) -> Result<Event, String> {
    let mut reader = Reader::from_str(xml);
    let mut event = Event::default();
    // The element whose text comes next, and for `Data` its name.
    let mut open = String::new();
    let mut text = String::new();
    let mut closed = false;
    loop {
        let token = reader.read_event().map_err(|error| error.to_string())?;
        match token {
            Xml::Start(start) | Xml::Empty(start) => {
                let name = start.local_name();
                open = name.as_ref().to_owned();
                text.clear();
                for attribute in start.attributes().flatten() {
                    let raw = &attribute.value;
                    let value = unescape(raw).map_or_else(|_| raw.to_string(), |it| it.into_owned());
                    match (open.as_str(), attribute.key.as_ref()) {
                        ("Provider", "Name") => event.provider = value,
                        ("TimeCreated", "SystemTime") => event.time = Some(value),
                        ("Data", "Name") => open = format!("Data {value}"),
                        _ => {}
                    }
                }
            }
            Xml::Text(piece) => text.push_str(&piece),
            Xml::CData(piece) => text.push_str(&piece),
            Xml::GeneralRef(reference) => {
                let whole = format!("&{};", &*reference);
                // Entities of its own no event declares: what is not XML's stays as it stands.
                text.push_str(&unescape(&whole).map(|it| it.into_owned()).unwrap_or(whole.clone()));
            }
            Xml::End(end) => {
                match open.as_str() {
                    "EventID" => event.id = text.trim().parse().ok(),
                    "Computer" => event.computer = Some(text.trim().to_owned()),
                    "EventRecordID" => event.record = Some(text.trim().to_owned()),
                    _ => {}
                }
                if let Some(name) = open.strip_prefix("Data ").filter(|_| event.fields.len() < MAX_FIELDS) {
                    event.fields.insert(name.to_owned(), text.clone());
                }
                open.clear();
                text.clear();
                closed = closed || end.local_name().as_ref() == "Event";
            }
            Xml::Eof => break,
            _ => {}
        }
        if closed {
            break;
        }
    }
    if closed { Ok(event) } else { Err("it ends within an event".to_owned()) }
}

fn read(event: &Event, envelope: &Envelope<'_>, host: &Place) -> Result<Vec<Activity>, String> {
    let id = event.id.ok_or("a Sysmon event without its id")?;
    let place = Place {
        node: event.computer.clone().or_else(|| host.node.clone()),
        instance: host.instance.clone(),
        ..host.clone()
    };
    let address = |name: &str| event.get(name).and_then(|text| text.parse::<IpAddr>().ok());
    let image = || event.get("Image").map(str::to_owned);
    let action = match id {
        1 => Action::ProcessStarted(Process {
            place,
            binary: image().ok_or("a Sysmon process event without Image")?,
            arguments: arguments(event.get("CommandLine").unwrap_or_default()).to_owned(),
            parent: event.get("ParentImage").map(str::to_owned),
            user: event.get("User").map(str::to_owned),
            ..Process::default()
        }),
        // Somebody else opened it.
        3 if event.get("Initiated").is_some_and(|initiated| initiated.eq_ignore_ascii_case("false")) => {
            return Ok(Vec::new());
        }
        3 => Action::Connected(Connection {
            place: Place { address: address("SourceIp"), ..place },
            destination: address("DestinationIp")
                .ok_or("a Sysmon connection without DestinationIp")?
                .to_canonical(),
            port: event
                .get("DestinationPort")
                .and_then(|port| port.parse().ok())
                .ok_or("a Sysmon connection without DestinationPort")?,
            protocol: event.get("Protocol").map(str::to_ascii_lowercase),
            process: image(),
            domain: event
                .get("DestinationHostname")
                .map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
            rejected: false,
        }),
        22 => Action::NameResolved(Resolution {
            place,
            name: event
                .get("QueryName")
                .ok_or("a Sysmon DNS query without QueryName")?
                .trim_end_matches('.')
                .to_ascii_lowercase(),
            answers: event
                .get("QueryResults")
                .unwrap_or_default()
                .split(';')
                .filter_map(|answer| answer.trim().parse::<IpAddr>().ok())
                .map(|answer| answer.to_canonical())
                .collect(),
            process: image(),
        }),
        _ => return Ok(Vec::new()),
    };
    let machine = event.computer.as_deref().or(host.instance.as_deref()).unwrap_or_default();
    let mut parts = vec![machine.to_owned(), event.record.clone().unwrap_or_default(), id.to_string()];
    parts.extend(event.fields.iter().map(|(name, value)| format!("{name}={value}")));
    let time = event.get("UtcTime").or(event.time.as_deref()).and_then(time);
    let time = envelope.line_time(time.and_then(|time| envelope.plausible(time)));
    let own = Own { id: Some(line_id("sysmon", &parts)), time, ..Own::default() };
    Ok(vec![envelope.activity(&Value::Null, own, None, None, action)])
}

/// A command line without its first word, which may stand in quotes.
fn arguments(line: &str) -> &str {
    let line = line.trim_start();
    match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"').map_or("", |(_, rest)| rest.trim_start()),
        None => line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::tests::surroundings;

    fn xml(id: u32, data: &[(&str, &str)]) -> String {
        let data: String =
            data.iter().map(|(name, value)| format!("<Data Name=\"{name}\">{value}</Data>")).collect();
        format!(
            "<Event><System><Provider Name=\"Linux-Sysmon\" Guid=\"{{ff}}\"/><EventID>{id}</EventID>\
             <TimeCreated SystemTime=\"2026-03-06T09:00:00.123456000Z\"/><EventRecordID>7</EventRecordID>\
             <Computer>web-1</Computer></System><EventData>{data}</EventData></Event>"
        )
    }

    fn told(read: Result<Vec<Activity>, String>) -> Action {
        read.unwrap().pop().unwrap().action
    }

    #[test]
    fn xml_and_json_of_one_event_tell_the_same() {
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let fields = [
            ("Image", "/usr/bin/sh"),
            ("CommandLine", "sh -c &quot;curl a &amp;&amp; b&quot;"),
            ("ParentImage", "/usr/sbin/sshd"),
            ("User", "root"),
        ];
        let text = format!("Mar  6 09:00:00 web-1 sysmon: {}", xml(1, &fields));
        let from_xml = told(read_xml(xml_in(&text).unwrap(), &envelope, &Place::default()));
        let data = json!({"Image": "/usr/bin/sh", "CommandLine": "sh -c \"curl a && b\"",
            "ParentImage": "/usr/sbin/sshd", "User": "root"});
        let listed: Vec<Value> = data
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| json!({"@Name": name, "#text": value}))
            .collect();
        for value in [
            json!({"@timestamp": "2026-03-06T09:00:00Z", "winlog": {"provider_name": "Linux-Sysmon",
                "event_id": 1, "computer_name": "web-1", "event_data": data}}),
            json!({"Event": {"System": {"Provider": {"@Name": "Microsoft-Windows-Sysmon"},
                "EventID": {"#text": "1"}, "Computer": "web-1"}, "EventData": {"Data": listed}}}),
            json!({"SourceName": "Microsoft-Windows-Sysmon", "EventID": 1, "Hostname": "web-1",
                "Image": "/usr/bin/sh", "CommandLine": "sh -c \"curl a && b\"",
                "ParentImage": "/usr/sbin/sshd", "User": "root"}),
        ] {
            assert!(is_event(&value));
            assert_eq!(told(read_json(&value, &envelope, &Place::default())), from_xml);
        }
        let Action::ProcessStarted(process) = from_xml else { panic!() };
        assert_eq!(process.arguments, "-c \"curl a && b\"");
    }

    #[test]
    fn connections_and_lookups_are_told() {
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let read = |text: &str| read_xml(text, &envelope, &Place::default());
        let made = [
            ("Image", r"C:\m.exe"),
            ("Initiated", "true"),
            ("Protocol", "tcp"),
            ("DestinationIp", "203.0.113.12"),
            ("DestinationPort", "3333"),
            ("DestinationHostname", "-"),
        ];
        let Action::Connected(connection) = told(read(&xml(3, &made))) else { panic!() };
        assert_eq!((connection.port, connection.domain), (3333, None));
        let queried =
            [("QueryName", "Pool.Example.com"), ("QueryResults", "type: 5 a.example;::ffff:203.0.113.12;")];
        let Action::NameResolved(resolution) = told(read(&xml(22, &queried))) else { panic!() };
        assert_eq!(resolution.name, "pool.example.com");
        assert_eq!(resolution.answers, ["203.0.113.12".parse::<IpAddr>().unwrap()]);
        assert!(read(&xml(3, &made).replace(">true<", ">false<")).unwrap().is_empty());
        assert!(read(&xml(5, &[])).unwrap().is_empty());
    }

    #[test]
    fn attributes_and_the_channel_are_read_in_the_form_of_evtx_tools() {
        let around = surroundings();
        let value = json!({"Event": {"System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-06T09:00:00.123456Z"}}, "Computer": "web-1"},
            "EventData": {"Image": "/usr/bin/sh", "CommandLine": "sh"}}});
        assert!(is_event(&value));
        let read = read_json(&value, &Envelope::outermost(&around), &Place::default()).unwrap();
        assert_eq!((read[0].time.timestamp(), read[0].time_is_arrival), (1_772_787_600, false));
    }

    #[test]
    fn broken_and_hostile_xml_is_told_and_never_expanded() {
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let read = |text: &str| read_xml(text, &envelope, &Place::default());
        for text in ["<Event>", "<Event><System></Wrong></Event>", "<Event><System>"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("<Event>{}", "<a>".repeat(100_000))).is_err());
        let entity = xml(1, &[("Image", "/bin/&lol;x")]);
        let Action::ProcessStarted(process) = told(read(&entity)) else { panic!() };
        assert_eq!(process.binary, "/bin/&lol;x");
        assert!(read(&xml(1, &[])).is_err());
    }

    #[test]
    fn the_first_word_of_a_command_line_may_be_quoted() {
        assert_eq!(arguments(r#""C:\Program Files\a.exe" -o x"#), "-o x");
        assert_eq!(arguments("sh -c x"), "-c x");
        assert_eq!(arguments("sh"), "");
    }
}
