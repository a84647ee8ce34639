//! VPC flow logs: the default format, and custom ones by a header line or as configured.
//!
//! A record has a source and a destination, but says nothing about who opened the connection, unless the
//! format has `flow-direction` or `tcp-flags`. Told are flows that leave; replies and what comes in are not.

use std::net::IpAddr;

use chrono::DateTime;

use super::envelope::{Envelope, Own};
use super::lines::line_id;
use crate::activity::{Action, Activity, Connection, Place};

/// Version 2, what AWS writes where nobody chose another.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
                       start end action log-status";
/// Clients take their ports from here up (Linux); servers answer from below 1024.
const EPHEMERAL: u16 = 32_768;
const SYN: u32 = 2;
const SYN_ACK: u32 = 18;

/// The fields of a line, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<String>);

impl Format {
    /// A format as people configure it: `${version} ${account-id} ...`, or the names alone.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = text
            .split([' ', ',', '\t'])
            .map(|name| name.trim().trim_start_matches("${").trim_end_matches('}').replace('_', "-"))
            .filter(|name| !name.is_empty())
            .collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        ((has("dstaddr") || has("pkt-dstaddr")) && has("dstport")).then_some(Self(names))
    }

    /// A header line, which files in S3 begin with.
    pub fn header(line: &str) -> Option<Self> {
        let names = line.contains("dstaddr") && !line.bytes().any(|byte| byte == b'=' || byte == b'"');
        if names { Self::parse(line) } else { None }
    }

    fn get<'a>(&self, values: &[&'a str], name: &str) -> Option<&'a str> {
        let index = self.0.iter().position(|field| field == name)?;
        values.get(index).copied().filter(|value| *value != "-")
    }
}

/// Whether a line is a flow record or the header of some.
pub(super) fn is_line(line: &str, configured: Option<&str>) -> bool {
    let values: Vec<&str> = line.split_ascii_whitespace().collect();
    let custom = configured.and_then(Format::parse).is_some_and(|format| fits(&format, &values));
    Format::header(line).is_some() || custom || is_default(&values)
}

fn is_default(values: &[&str]) -> bool {
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    values.len() == 14
        && at(0) == "2"
        && at(2).starts_with("eni-")
        && at(13).bytes().all(|b| b.is_ascii_uppercase())
}

/// As many values as fields, and where it matters of their kind.
fn fits(format: &Format, values: &[&str]) -> bool {
    let number = |name: &str| format.get(values, name).is_none_or(|value| value.parse::<u64>().is_ok());
    let address = |name: &str| format.get(values, name).is_none_or(|value| value.parse::<IpAddr>().is_ok());
    format.0.len() == values.len()
        && ["version", "srcport", "dstport", "start", "end", "protocol"].into_iter().all(number)
        && ["srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr"].into_iter().all(address)
}

/// `None` where the line is no flow record.
pub(super) fn read(
    line: &str,
    format: Option<&Format>,
    envelope: &Envelope<'_>,
) -> Option<Result<Vec<Activity>, String>> {
    let values: Vec<&str> = line.split_ascii_whitespace().collect();
    if let Some(format) = format.filter(|format| fits(format, &values)) {
        return Some(record(line, format, &values, envelope));
    }
    if !is_default(&values) {
        return None;
    }
    let format = Format::parse(DEFAULT)?;
    if !fits(&format, &values) {
        return Some(Err("a flow log record with values of the wrong kind".to_owned()));
    }
    Some(record(line, &format, &values, envelope))
}

fn record(
    line: &str,
    format: &Format,
    values: &[&str],
    envelope: &Envelope<'_>,
) -> Result<Vec<Activity>, String> {
    let get = |name: &str| format.get(values, name);
    let owned = |name: &str| get(name).map(str::to_owned);
    // NODATA and SKIPDATA: nothing flowed, or nobody looked.
    if get("log-status").is_some_and(|status| status != "OK") {
        return Ok(Vec::new());
    }
    let address =
        |names: [&str; 2]| names.into_iter().find_map(get).and_then(|text| text.parse::<IpAddr>().ok());
    // `pkt-` addresses are the packet's own: behind NAT, and a pod's rather than its node's.
    let destination = address(["pkt-dstaddr", "dstaddr"]);
    let source = address(["pkt-srcaddr", "srcaddr"]);
    let port = |name: &str| get(name).and_then(|text| text.parse::<u16>().ok());
    let (Some(destination), Some(to)) = (destination, port("dstport")) else {
        return Err("a flow log record without destination and port".to_owned());
    };
    let flags = get("tcp-flags").and_then(|flags| flags.parse::<u32>().ok());
    let comes_in = match get("flow-direction") {
        Some(direction) => direction == "ingress",
        None => source.is_some_and(is_public) && !is_public(destination),
    };
    if comes_in || answers(flags, port("srcport"), to) {
        return Ok(Vec::new());
    }
    let connection = Connection {
        place: Place {
            instance: owned("instance-id"),
            network_interface: owned("interface-id"),
            vpc: owned("vpc-id"),
            address: source,
            cluster: owned("ecs-cluster-name").or_else(|| owned("ecs-cluster-arn")),
            task: owned("ecs-task-arn"),
            container: owned("ecs-container-id"),
            workload: owned("ecs-service-name"),
            ..Place::default()
        },
        destination: destination.to_canonical(),
        port: to,
        protocol: get("protocol").map(protocol),
        process: None,
        domain: None,
        rejected: get("action") == Some("REJECT"),
    };
    let start = get("start").or_else(|| get("end")).and_then(|text| text.parse::<i64>().ok());
    let own = Own {
        id: Some(line_id("flow", &[line])),
        time: start
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .and_then(|time| envelope.plausible(time)),
        account: get("account-id").filter(|id| id.len() == 12).map(str::to_owned),
        region: owned("region"),
    };
    let nothing = serde_json::Value::Null;
    Ok(vec![envelope.activity(&nothing, own, None, None, Action::Connected(connection))])
}

/// Whether a flow is a server's answer: by who sent the SYN, else by the ports. A window of a long connection has
/// no SYN in it.
pub(super) fn answers(flags: Option<u32>, from: Option<u16>, to: u16) -> bool {
    match flags {
        Some(flags) if flags & SYN != 0 => flags & SYN_ACK == SYN_ACK,
        _ => from.is_some_and(|from| (1..1024).contains(&from)) && to >= EPHEMERAL,
    }
}

/// IANA's numbers for what is common.
fn protocol(number: &str) -> String {
    match number {
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "58" => "ipv6-icmp",
        "132" => "sctp",
        other => other,
    }
    .to_owned()
}

/// Not of the own network: neither private, shared (RFC 6598), link-local, nor loopback.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(v4.is_private() || v4.is_link_local() || v4.is_loopback() || v4.is_unspecified() || shared)
        }
        // A VPC's own IPv6 addresses are public ones: which side is ours cannot be told.
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::surroundings;

    fn told(line: &str, format: Option<&str>) -> Vec<Connection> {
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let format = format.map(|format| Format::parse(format).unwrap());
        let activities = read(line, format.as_ref(), &envelope).unwrap().unwrap();
        let connections = activities.into_iter().map(|activity| match activity.action {
            Action::Connected(connection) => connection,
            other => panic!("{other:?}"),
        });
        connections.collect()
    }

    #[test]
    fn a_flow_that_leaves_is_told_with_where_it_goes() {
        let line = "2 111122223333 eni-0a1 10.0.1.5 203.0.113.12 41000 3333 6 20 4249 1772787600 1772787660 REJECT OK";
        let [connection] = told(line, None).try_into().unwrap();
        assert_eq!((connection.destination.to_string().as_str(), connection.port), ("203.0.113.12", 3333));
        assert!(connection.rejected);
        assert_eq!(connection.protocol.as_deref(), Some("tcp"));
        assert_eq!(connection.place.network_interface.as_deref(), Some("eni-0a1"));
    }

    #[test]
    fn replies_and_empty_windows_are_not_connections() {
        for line in [
            "2 111122223333 eni-0a1 203.0.113.12 10.0.1.5 3333 41000 6 20 4249 1772787600 1772787660 ACCEPT OK",
            "2 111122223333 eni-0a1 10.0.1.5 198.51.100.9 443 51234 6 20 4249 1772787600 1772787660 ACCEPT OK",
            "2 111122223333 eni-0a1 - - - - - - - 1772787600 1772787660 - NODATA",
            "2 111122223333 eni-0a1 - - - - - - - 1772787600 1772787660 - SKIPDATA",
        ] {
            assert_eq!(told(line, None), [], "{line}");
        }
    }

    #[test]
    fn a_custom_format_tells_the_packets_own_addresses_and_the_task() {
        let format = "${pkt-dstaddr} ${dstport} ${pkt-srcaddr} ${ecs-task-arn} ${flow-direction} ${tcp-flags} ${start} ${dstaddr}";
        let line = "203.0.113.12 14444 10.0.9.9 arn:aws:ecs:eu-central-1:111122223333:task/a/b egress 2 1772787600 10.0.0.1";
        let [connection] = told(line, Some(format)).try_into().unwrap();
        assert_eq!(connection.destination.to_string(), "203.0.113.12");
        assert_eq!(connection.place.address.unwrap().to_string(), "10.0.9.9");
        assert!(connection.place.task.is_some());
        assert_eq!(told(&line.replace("egress", "ingress"), Some(format)), []);
        assert_eq!(told(&line.replace("egress 2", "egress 18"), Some(format)), []);
    }

    #[test]
    fn a_window_without_a_syn_is_told_apart_by_its_ports() {
        assert!(answers(Some(16), Some(443), 45_560));
        assert!(!answers(Some(16), Some(45_560), 443));
        assert!(answers(Some(18), Some(3_333), 41_000));
        assert!(!answers(Some(2), Some(443), 45_560));
    }

    #[test]
    fn other_lines_are_no_flow_records() {
        let around = surroundings();
        for line in ["2 3 4", "hello", "2026-03-06 10:00:00 GET / 10.0.0.1 dstaddr=1", ""] {
            assert!(!is_line(line, None), "{line}");
            assert!(read(line, None, &Envelope::outermost(&around)).is_none(), "{line}");
        }
        assert!(is_line(DEFAULT, None));
    }
}
