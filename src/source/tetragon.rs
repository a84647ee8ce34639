//! Tetragon: programs that started and connections that were made, in containers and on nodes.
//!
//! Network events come from a tracing policy's `tcp_connect` probe; the enterprise edition writes
//! `process_connect` instead.

use std::net::IpAddr;

use serde_json::Value;

use super::envelope::{Envelope, Own};
use super::fields::{any, at, count, flag, get, list_of, objects, str, text};
use super::image_ref;
use super::lines::{container_id, filled, line_id, own_time};
use crate::activity::{Action, Activity, Connection, Place, Process};

/// What Tetragon tells of itself: lines that it left out, and a self-test.
const NOTICES: [&str; 3] = ["rate_limit_info", "test", "throttle"];

/// The probe that tells a connection.
pub(super) const PROBE: &str = "tcp_connect";

pub(super) fn is_event(value: &Value) -> bool {
    let Some(object) = value.as_object() else { return false };
    object.iter().any(|(key, inner)| {
        inner.is_object()
            && (key.starts_with("process_") && key != "process_id" || NOTICES.contains(&key.as_str()))
    })
}

/// Whether a text that is no JSON was meant to be an event.
pub(super) fn is_mentioned(text: &str) -> bool {
    text.contains("\"process_exec\"")
        || text.contains("\"process_kprobe\"")
        || text.contains("\"process_connect\"")
}

/// # Errors
/// When the event lacks what makes it one.
pub(super) fn read(value: &Value, envelope: &Envelope<'_>, host: &Place) -> Result<Vec<Activity>, String> {
    if let Some(event) = get(value, "process_exec") {
        return exec(event, value, envelope, host).map(|activity| vec![activity]);
    }
    if let Some(event) = get(value, "process_kprobe") {
        if str(event, "function_name") != Some(PROBE) {
            return Ok(Vec::new());
        }
        let socket = objects(event, "args").into_iter().find_map(|argument| get(argument, "sock_arg"));
        let socket = socket.ok_or("process_kprobe of tcp_connect without sock_arg")?;
        return connection(event, value, envelope, host, ("daddr", "dport"), socket).map(|it| vec![it]);
    }
    if let Some(event) = get(value, "process_connect") {
        let keys = ("destination_ip", "destination_port");
        return connection(event, value, envelope, host, keys, event).map(|it| vec![it]);
    }
    // Exits, tracepoints, loaded libraries: nothing that anybody judges.
    Ok(Vec::new())
}

fn exec(event: &Value, value: &Value, envelope: &Envelope<'_>, host: &Place) -> Result<Activity, String> {
    let process = get(event, "process").ok_or("process_exec without process")?;
    let binary = filled(process, "binary").ok_or("process_exec without binary")?;
    let arguments = text(process, "arguments").unwrap_or_default();
    let time = own_time(process, &["start_time"], envelope).or_else(|| own_time(value, &["time"], envelope));
    let time = envelope.line_time(time);
    let id = id("exec", process, value, &arguments);
    let started = Process {
        place: place(process, value, host),
        binary,
        parent: get(event, "parent").and_then(|parent| filled(parent, "binary")),
        user: at(process, &["user", "name"])
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| text(process, "uid")),
        environment: environment(process),
        probe: at(process, &["pod", "container"])
            .and_then(|it| flag(it, "maybe_exec_probe"))
            .unwrap_or(false),
        arguments,
    };
    let own = Own { id: Some(id), time, ..Own::default() };
    Ok(envelope.activity(value, own, None, None, Action::ProcessStarted(started)))
}

fn connection(
    event: &Value,
    value: &Value,
    envelope: &Envelope<'_>,
    host: &Place,
    (address, port): (&str, &str),
    socket: &Value,
) -> Result<Activity, String> {
    let process = get(event, "process").ok_or("a connection without process")?;
    let destination: IpAddr = str(socket, address)
        .and_then(|text| text.parse().ok())
        .ok_or("a connection without a destination address")?;
    let port = get(socket, port).and_then(count).and_then(|port| u16::try_from(port).ok());
    let protocol =
        str(socket, "protocol").map(|name| name.trim_start_matches("IPPROTO_").to_ascii_lowercase());
    let names = list_of(event, "destination_names");
    let target = format!("{destination} {}", port.unwrap_or_default());
    let connection = Connection {
        place: place(process, value, host),
        destination: destination.to_canonical(),
        port: port.ok_or("a connection without a destination port")?,
        protocol: protocol.or_else(|| Some("tcp".to_owned())),
        process: filled(process, "binary"),
        domain: names
            .first()
            .and_then(|name| name.as_str())
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
        rejected: false,
    };
    let own = Own {
        id: Some(id("connect", process, value, &target)),
        time: envelope.line_time(own_time(value, &["time"], envelope)),
        ..Own::default()
    };
    Ok(envelope.activity(value, own, None, None, Action::Connected(connection)))
}

/// Two programs of one process (`execve` twice) share an exec id at times; the arguments tell them apart.
fn id(kind: &str, process: &Value, value: &Value, arguments: &str) -> String {
    let exec = str(process, "exec_id").unwrap_or_default();
    let time = str(value, "time").unwrap_or_default();
    let binary = str(process, "binary").unwrap_or_default();
    line_id(&format!("tetragon-{kind}"), &[exec, time, binary, arguments])
}

fn place(process: &Value, value: &Value, host: &Place) -> Place {
    let pod = get(process, "pod");
    let container = pod.and_then(|pod| get(pod, "container"));
    let image = container.and_then(|container| get(container, "image"));
    // `docker` is the id cut short, and all there is of a container that belongs to no pod.
    let id = container.and_then(|it| str(it, "id")).or_else(|| str(process, "docker"));
    Place {
        cluster: filled(value, "cluster_name").or_else(|| host.cluster.clone()),
        namespace: pod.and_then(|pod| filled(pod, "namespace")),
        pod: pod.and_then(|pod| filled(pod, "name")),
        workload: pod.and_then(|pod| filled(pod, "workload")),
        container: id.and_then(container_id),
        node: filled(value, "node_name").or_else(|| host.node.clone()),
        instance: host.instance.clone(),
        image: image.and_then(|image| image_ref::image(str(image, "name"), str(image, "id"))),
        ..Place::default()
    }
}

/// Names only: values are secrets as often as not.
fn environment(process: &Value) -> Vec<String> {
    let variables = list_of(process, "environment_variables").into_iter();
    variables
        .filter_map(|variable| match variable {
            Value::String(text) => Some(text.split('=').next().unwrap_or_default().to_owned()),
            other => any(other, &["key", "name"]).and_then(Value::as_str).map(str::to_owned),
        })
        .collect()
}
