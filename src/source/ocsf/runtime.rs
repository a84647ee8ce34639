//! Process, Network and DNS Activity.

use std::net::IpAddr;

use serde_json::Value;

use super::{Record, container_image, first};
use crate::activity::{Action, Connection, ContainerImage, Place, Process, Resolution};
use crate::source::fields::{at, count, get, list_of, text, text_at};
use crate::source::{Reading, flow_log};

pub(super) fn process(record: &Record<'_>) -> Reading {
    // Launch is 1; what a process does later is not judged. A record that does not say is taken for one.
    if record.number(&["activity_id"]).is_some_and(|id| id > 1) {
        return Reading::ignored();
    }
    let Some(process) = get(record.raw, "process") else {
        return record.unreadable("OCSF Process Activity without process");
    };
    let line = text(process, "cmd_line").unwrap_or_default();
    let (program, arguments) = split_command(&line);
    let Some(binary) = path(process).or(program) else {
        return record.unreadable("OCSF Process Activity that names neither program nor command line");
    };
    let parent = get(process, "parent_process").or_else(|| record.at(&["actor", "process"]));
    let user = text_at(process, &["user", "name"]).or_else(|| record.text(&["actor", "user", "name"]));
    let variables = list_of(process, "environment_variables").into_iter();
    Reading::of(vec![record.activity(Action::ProcessStarted(Process {
        place: place(record, Some(process)),
        binary,
        arguments,
        parent: parent.and_then(path),
        user,
        environment: variables.filter_map(|variable| text(variable, "name")).collect(),
        probe: false,
    }))])
}

pub(super) fn network(record: &Record<'_>) -> Reading {
    let status = record.text(&["status_code"]).unwrap_or_default();
    if matches!(status.as_str(), "NODATA" | "SKIPDATA") || !opened_here(record) {
        return Reading::ignored();
    }
    let Some(destination) = record.text(&["dst_endpoint", "ip"]).and_then(|ip| ip.parse().ok()) else {
        return record.unreadable("OCSF Network Activity without a readable dst_endpoint.ip");
    };
    let port = record.number(&["dst_endpoint", "port"]).and_then(|port| u16::try_from(port).ok());
    let denied = |key: &str, id: &str| {
        let word = record.text(&[key]).unwrap_or_default().to_ascii_lowercase();
        record.number(&[id]) == Some(2)
            || matches!(word.as_str(), "denied" | "blocked" | "rejected" | "dropped")
    };
    let process = record.at(&["actor", "process"]);
    Reading::of(vec![record.activity(Action::Connected(Connection {
        place: place(record, process),
        destination,
        port: port.unwrap_or_default(),
        protocol: protocol(record),
        process: process.and_then(path),
        domain: record.at(&["dst_endpoint"]).and_then(|it| first(it, &["hostname", "domain"])),
        rejected: denied("action", "action_id") || denied("disposition", "disposition_id"),
    }))])
}

/// Flow logs show both directions of every connection; only what was opened from here is a contact.
fn opened_here(record: &Record<'_>) -> bool {
    const INBOUND: u64 = 1;
    const LISTEN: u64 = 7;
    let flags = record.number(&["connection_info", "tcp_flags"]).and_then(|flags| u32::try_from(flags).ok());
    let port = |side: &str| record.number(&[side, "port"]).and_then(|port| u16::try_from(port).ok());
    let named = |side: &str| {
        record.at(&[side]).and_then(|it| first(it, &["interface_uid", "instance_uid"])).is_some()
    };
    let address = |side: &str| record.text(&[side, "ip"]).and_then(|ip| ip.parse::<IpAddr>().ok());
    let direction = record.number(&["connection_info", "direction_id"]);
    // Where the record does not say, what comes from outside came in.
    let comes_in = direction == Some(INBOUND)
        || direction.is_none_or(|direction| direction == 0)
            && address("src_endpoint").is_some_and(flow_log::is_public)
            && address("dst_endpoint").is_some_and(|address| !flow_log::is_public(address));
    !comes_in
        && record.number(&["activity_id"]) != Some(LISTEN)
        && !flow_log::answers(flags, port("src_endpoint"), port("dst_endpoint").unwrap_or_default())
        && (named("src_endpoint") || !named("dst_endpoint"))
}

fn protocol(record: &Record<'_>) -> Option<String> {
    let name = record.text(&["connection_info", "protocol_name"]).map(|name| name.to_ascii_lowercase());
    name.or_else(|| {
        let number = record.number(&["connection_info", "protocol_num"])?;
        Some(match number {
            1 => "icmp".to_owned(),
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            other => other.to_string(),
        })
    })
}

pub(super) fn dns(record: &Record<'_>) -> Reading {
    let Some(name) = record.text(&["query", "hostname"]) else {
        return record.unreadable("OCSF DNS Activity without query.hostname");
    };
    let process = record.at(&["actor", "process"]);
    let answers = list_of(record.raw, "answers").into_iter();
    Reading::of(vec![record.activity(Action::NameResolved(Resolution {
        place: place(record, process),
        name: name.trim_end_matches('.').to_lowercase(),
        answers: answers.filter_map(|answer| text(answer, "rdata")?.parse().ok()).collect(),
        process: process.and_then(path),
    }))])
}

/// Everything that a record names of where it happened.
fn place(record: &Record<'_>, process: Option<&Value>) -> Place {
    let device = record.at(&["device"]);
    let source = record.at(&["src_endpoint"]);
    let named = |keys: &[&str]| {
        device.and_then(|it| first(it, keys)).or_else(|| source.and_then(|it| first(it, keys)))
    };
    let interface = || {
        let interfaces = list_of(device?, "network_interfaces");
        interfaces.into_iter().find_map(|interface| first(interface, &["uid"]))
    };
    let container = process
        .and_then(|process| get(process, "container"))
        .or_else(|| record.at(&["container"]))
        .or_else(|| record.at(&["device", "container"]))
        .or_else(|| record.at(&["src_endpoint", "container"]));
    let of_container = |key: &str| first(container?, &[key]);
    let id = of_container("uid").map(|id| match id.split_once("://") {
        Some((_, id)) => id.to_owned(),
        None => id,
    });
    Place {
        instance: named(&["instance_uid"]).filter(|id| id.starts_with("i-")),
        network_interface: named(&["interface_uid"]).or_else(interface),
        vpc: named(&["vpc_uid"]),
        address: named(&["ip"]).and_then(|ip| ip.parse::<IpAddr>().ok()),
        cluster: record.extra(&["ecs_cluster_arn"]).or_else(|| record.extra(&["eks_cluster_name"])),
        namespace: of_container("namespace").or_else(|| record.extra(&["kubernetes", "namespace"])),
        pod: of_container("pod_name").or_else(|| record.extra(&["kubernetes", "pod"])),
        workload: None,
        container: id,
        task: record.extra(&["ecs_task_arn"]),
        node: named(&["hostname"]),
        image: container.and_then(|container| image(get(container, "image")?)),
    }
}

/// `image` in its parts: name, tag, and the digest as its id.
fn image(value: &Value) -> Option<ContainerImage> {
    let mut image = container_image(&first(value, &["name", "path"]).unwrap_or_default());
    if let Some(tag) = first(value, &["tag"]).filter(|_| !image.name.is_empty()) {
        // A name may carry its tag already; a colon before the last slash is a registry's port.
        if !image.name.rsplit('/').next().unwrap_or_default().contains(':') {
            image.name = format!("{}:{tag}", image.name);
        }
    }
    let digest =
        || first(value, &["uid", "digest"]).map(|uid| container_image(&uid)).and_then(|it| it.digest);
    image.digest = image.digest.or_else(digest);
    (!image.name.is_empty() || image.digest.is_some()).then_some(image)
}

fn path(process: &Value) -> Option<String> {
    at(process, &["file"])
        .and_then(|file| first(file, &["path", "name"]))
        .or_else(|| first(process, &["name"]))
}

/// The program and the rest of a command line, which may begin with a quoted path.
fn split_command(line: &str) -> (Option<String>, String) {
    let line = line.trim();
    let (program, rest) = match line.strip_prefix('"').and_then(|line| line.split_once('"')) {
        Some(quoted) => quoted,
        None => line.split_once(char::is_whitespace).unwrap_or((line, "")),
    };
    ((!program.is_empty()).then(|| program.to_owned()), rest.trim().to_owned())
}

/// For the Kubernetes reader: an HTTP status that is a refusal.
pub(super) fn refused(code: Option<&Value>) -> Option<String> {
    code.and_then(count).filter(|code| *code >= 400).map(|code| code.to_string())
}
