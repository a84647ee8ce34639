//! Linux audit: the records of one event (`SYSCALL`, `EXECVE`, `PATH`, `CWD`, `PROCTITLE`, `SOCKADDR`) share
//! an id, come on lines of their own, and tell a program's start or a connection together.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::DateTime;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::lines::line_id;
use crate::activity::{Action, Activity, Connection, Place, Process};

/// The kernel logs no more arguments than this, whatever `argc` says.
const MAX_ARGUMENTS: usize = 8_192;

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Record {
    node: Option<String>,
    /// `1772787600.123:456`
    id: String,
    kind: String,
    /// The time that the log gives the line.
    stamped: Option<DateTime<chrono::Utc>>,
    /// In the line's order: name, value without quotes, whether it had quotes.
    fields: Vec<(String, String, bool)>,
}

/// Takes a line apart; `None` where it is no audit record.
pub(super) fn record(line: &str) -> Option<Record> {
    let message = line.find("msg=audit(")?;
    let kind_at = line.get(..message)?.rfind("type=")?;
    let head = line.get(..kind_at)?;
    let node = head.split_ascii_whitespace().find_map(|word| word.strip_prefix("node="));
    let kind = line.get(kind_at..message)?.trim().strip_prefix("type=")?;
    let (id, rest) = line.get(message..)?.strip_prefix("msg=audit(")?.split_once(')')?;
    Some(Record {
        node: node.map(str::to_owned),
        id: id.to_owned(),
        kind: kind.to_owned(),
        stamped: None,
        fields: fields(rest.trim_start_matches(':')),
    })
}

/// `name=value name="value"`, the enriched part after the group separator included.
fn fields(text: &str) -> Vec<(String, String, bool)> {
    let mut fields = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(|c: char| c.is_whitespace() || c == '\u{1d}').next().unwrap_or_default();
        let (value, quoted, remaining) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = after.get(1..).unwrap_or_default();
                let (value, remaining) = inner.split_once(quote).unwrap_or((inner, ""));
                (value, true, remaining)
            }
            _ => {
                let end = after.find(|c: char| c.is_whitespace() || c == '\u{1d}').unwrap_or(after.len());
                let (value, remaining) = after.split_at(end);
                (value, false, remaining)
            }
        };
        fields.push((name.to_owned(), value.to_owned(), quoted));
        rest = remaining;
    }
    fields
}

impl Record {
    /// A field's text. What holds a space, a quote or anything unusual is written in hexadecimal.
    fn text(&self, name: &str) -> Option<String> {
        let (_, value, quoted) = self.fields.iter().find(|(field, ..)| field == name)?;
        if *quoted {
            return Some(value.clone());
        }
        match value.as_str() {
            "(null)" | "?" | "" => None,
            value => Some(unhex(value).map_or_else(|| value.to_owned(), lossy)),
        }
    }

    /// A field as it stands: a number, or a name that is never encoded.
    fn plain(&self, name: &str) -> Option<&str> {
        let (_, value, _) = self.fields.iter().find(|(field, ..)| field == name)?;
        (!matches!(value.as_str(), "" | "?" | "(null)")).then_some(value.as_str())
    }

    /// The arguments of an `EXECVE` record. Long ones are in pieces: `a2[0]=`, `a2[1]=`.
    fn arguments(&self) -> Vec<String> {
        let mut arguments: BTreeMap<usize, String> = BTreeMap::new();
        for (name, ..) in &self.fields {
            let Some(rest) = name.strip_prefix('a') else { continue };
            let (index, piece) = rest.split_once('[').map_or((rest, false), |(index, _)| (index, true));
            let Ok(index) = index.parse::<usize>() else { continue };
            if index >= MAX_ARGUMENTS {
                continue;
            }
            let text = self.text(name).unwrap_or_default();
            match arguments.get_mut(&index) {
                Some(known) if piece => known.push_str(&text),
                Some(_) => {}
                None => {
                    arguments.insert(index, text);
                }
            }
        }
        arguments.into_values().collect()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The records of a batch, by event.
#[derive(Debug, Default)]
pub(super) struct Groups {
    events: BTreeMap<(Option<String>, String), Vec<Record>>,
}

impl Groups {
    pub fn add(&mut self, record: Record, stamped: Option<DateTime<chrono::Utc>>) {
        let record = Record { stamped, ..record };
        self.events.entry((record.node.clone(), record.id.clone())).or_default().push(record);
    }

    /// What the events tell; those that tell nothing count as ignored.
    pub fn finish(&self, envelope: &Envelope<'_>, host: &Place) -> Reading {
        let mut reading = Reading::default();
        for ((node, id), records) in &self.events {
            let activity = event(node.as_deref(), id, records, envelope, host);
            reading.add(Reading::of(activity.into_iter().collect()));
        }
        reading
    }
}

/// What a system call did, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Exec,
    Connect,
    Other,
}

fn call(record: &Record) -> Call {
    let named = record.plain("SYSCALL").or_else(|| record.plain("syscall")).unwrap_or_default();
    match (record.plain("arch").unwrap_or_default().to_ascii_lowercase().as_str(), named) {
        (_, "execve" | "execveat") => Call::Exec,
        (_, "connect") => Call::Connect,
        // x86-64, 64-bit ARM, 32-bit x86.
        ("c000003e", "59" | "322") | ("c00000b7", "221" | "281") | ("40000003", "11" | "358") => Call::Exec,
        ("c000003e", "42") | ("c00000b7", "203") | ("40000003", "362") => Call::Connect,
        _ => Call::Other,
    }
}

fn event(
    node: Option<&str>,
    id: &str,
    records: &[Record],
    envelope: &Envelope<'_>,
    host: &Place,
) -> Option<Activity> {
    let of = |kind: &str| records.iter().find(|record| record.kind == kind);
    let syscall = of("SYSCALL");
    if syscall.and_then(|record| record.plain("success")) == Some("no")
        && syscall.map(call) != Some(Call::Connect)
    {
        return None;
    }
    let place = Place {
        node: node.map(str::to_owned).or_else(|| host.node.clone()),
        instance: host.instance.clone(),
        cluster: host.cluster.clone(),
        ..Place::default()
    };
    let exe = syscall.and_then(|record| record.text("exe"));
    let action = if of("EXECVE").is_some() || syscall.map(call) == Some(Call::Exec) {
        let mut arguments = match (of("EXECVE"), of("PROCTITLE").and_then(|record| record.text("proctitle")))
        {
            (Some(execve), _) => execve.arguments(),
            (None, Some(title)) => title.split('\0').map(str::to_owned).collect(),
            (None, None) => Vec::new(),
        };
        let first = if arguments.is_empty() { None } else { Some(arguments.remove(0)) };
        let path =
            records.iter().filter(|record| record.kind == "PATH").find_map(|record| record.text("name"));
        let user = syscall.and_then(|it| it.plain("UID").or_else(|| it.plain("uid")));
        Action::ProcessStarted(Process {
            place,
            binary: exe.or(path).or(first)?,
            arguments: joined(&arguments),
            user: user.map(str::to_owned),
            ..Process::default()
        })
    } else if syscall.is_none_or(|record| call(record) == Call::Connect) {
        let (destination, port) = of("SOCKADDR").and_then(socket)?;
        Action::Connected(Connection {
            place,
            destination,
            port,
            protocol: None,
            process: exe,
            domain: None,
            rejected: false,
        })
    } else {
        return None;
    };
    let mut stamped = envelope.clone();
    stamped.stamped = records.iter().find_map(|record| record.stamped).or(stamped.stamped);
    let own = Own {
        id: Some(line_id("audit", &[node.or(host.instance.as_deref()).unwrap_or_default(), id])),
        time: stamped.line_time(time(id).and_then(|time| envelope.plausible(time))),
        ..Own::default()
    };
    Some(envelope.activity(&serde_json::Value::Null, own, None, None, action))
}

/// Arguments as one text; those with spaces in double quotes.
fn joined(arguments: &[String]) -> String {
    let quoted: Vec<String> =
        arguments
            .iter()
            .map(|it| {
                if it.is_empty() || it.contains(char::is_whitespace) {
                    format!("\"{it}\"")
                } else {
                    it.clone()
                }
            })
            .collect();
    quoted.join(" ")
}

/// `SECONDS.MILLISECONDS:SERIAL`
fn time(id: &str) -> Option<DateTime<chrono::Utc>> {
    let (seconds, rest) = id.split_once('.')?;
    let milliseconds: i64 = rest.split(':').next()?.parse().ok()?;
    DateTime::from_timestamp_millis(
        seconds.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(milliseconds)?,
    )
}

/// Address and port of an internet socket; family first, in the byte order of nearly every machine.
fn socket(record: &Record) -> Option<(IpAddr, u16)> {
    let bytes = unhex(record.plain("saddr")?)?;
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let address = match bytes.get(..2)? {
        [2, 0] => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?)),
        [10, 0] => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?)),
        _ => return None,
    };
    // Port 0 is how programs ask which address they would use; nothing is sent.
    (port != 0).then_some((address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::surroundings;

    fn told(lines: &[&str]) -> Vec<Action> {
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let mut groups = Groups::default();
        lines.iter().for_each(|line| groups.add(record(line).unwrap_or_else(|| panic!("{line}")), None));
        groups.finish(&envelope, &Place::default()).activities.into_iter().map(|it| it.action).collect()
    }

    const SYSCALL: &str = "node=web-1 type=SYSCALL msg=audit(1772787600.123:77): arch=c000003e syscall=59 \
        success=yes exit=0 ppid=900 pid=901 auid=1000 uid=0 comm=\"xmrig\" exe=\"/tmp/xmrig\" key=\"exec\"\u{1d}UID=\"root\"";

    #[test]
    fn the_lines_of_one_program_start_are_one_activity() {
        let execve = "node=web-1 type=EXECVE msg=audit(1772787600.123:77): argc=4 a0=\"./xmrig\" a1=\"-o\" \
                      a2=706F6F6C206F6E65 a3_len=6 a3[0]=616263 a3[1]=646566";
        let cwd = "node=web-1 type=CWD msg=audit(1772787600.123:77): cwd=\"/tmp\"";
        let actions = told(&[execve, cwd, SYSCALL]);
        let [Action::ProcessStarted(process)] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(process.binary, "/tmp/xmrig");
        assert_eq!(process.arguments, "-o \"pool one\" abcdef");
        assert_eq!(process.user.as_deref(), Some("root"));
        assert_eq!(process.place.node.as_deref(), Some("web-1"));
    }

    #[test]
    fn a_title_stands_in_for_missing_arguments() {
        let title =
            "node=web-1 type=PROCTITLE msg=audit(1772787600.123:77): proctitle=786D726967002D2D68656C70";
        let actions = told(&[SYSCALL, title]);
        let [Action::ProcessStarted(process)] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(process.arguments, "--help");
    }

    #[test]
    fn a_connection_names_its_destination_and_program() {
        let call =
            SYSCALL.replace("syscall=59", "syscall=42").replace("success=yes exit=0", "success=no exit=-115");
        let socket =
            "node=web-1 type=SOCKADDR msg=audit(1772787600.123:77): saddr=02000D05CB00710C0000000000000000";
        let actions = told(&[&call, socket]);
        let [Action::Connected(connection)] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!((connection.destination.to_string().as_str(), connection.port), ("203.0.113.12", 3333));
        assert_eq!(connection.process.as_deref(), Some("/tmp/xmrig"));
    }

    #[test]
    fn failed_starts_other_calls_and_broken_lines_tell_nothing() {
        assert_eq!(told(&[&SYSCALL.replace("success=yes", "success=no")]), []);
        assert_eq!(told(&[&SYSCALL.replace("syscall=59", "syscall=257")]), []);
        assert_eq!(
            told(&["type=USER_LOGIN msg=audit(1772787600.123:78): pid=1 msg='op=login id=0 exe=\"/x\"'"]),
            []
        );
        for line in ["type=EXECVE", "msg=audit(", "type=EXECVE msg=audit(1:2", "hello"] {
            assert!(record(line).is_none(), "{line}");
        }
    }
}
