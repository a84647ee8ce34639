//! Events as their services send them: the samples in `events/`, samples with something changed, and log
//! lines as a subscription delivers them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "eu-central-1";
const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");

/// A sample event by its file's name.
pub fn sample(name: &str) -> Value {
    let path = format!("{EVENTS}/{name}.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The events of a chain's sample.
pub fn chain(name: &str) -> Vec<Value> {
    let path = format!("{EVENTS}/chains/{name}.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A sample with other values at some places, which it must have.
pub fn changed(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = sample(name);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap_or_else(|| panic!("{name} has no {pointer}"));
        match parent {
            Value::Object(fields) => {
                fields.insert(key.to_owned(), value.clone());
            }
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            _ => panic!("{name}: nothing to set {pointer} in"),
        }
    }
    event
}

/// A sample at another time, under an id of its own.
pub fn at(name: &str, time: &str) -> Value {
    let mut event = sample(name);
    event["time"] = json!(time);
    event["id"] = json!(format!("{}-{time}", event["id"].as_str().unwrap_or_default()));
    if event["detail"].get("eventTime").is_some() {
        event["detail"]["eventTime"] = json!(time);
        event["detail"]["eventID"] = json!(format!("{name}-{time}"));
    }
    event
}

/// Several samples.
pub fn samples(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| sample(name)).collect()
}

/// A delivery of log lines, unpacked: the runners pack it.
pub fn delivery(group: &str, lines: &[Value]) -> Value {
    let events: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let message = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
            // A shipper takes a line's time from the line's own file, which is when it was written.
            let written = line["time"].as_str().and_then(|time| time.parse::<DateTime<Utc>>().ok());
            let timestamp = written.map_or(1_772_787_602_000, |time| time.timestamp_millis());
            json!({"id": index.to_string(), "timestamp": timestamp, "message": message})
        })
        .collect();
    json!({
        "messageType": "DATA_MESSAGE", "owner": ACCOUNT, "logGroup": group, "logStream": "node-1",
        "subscriptionFilters": ["imagewarden"], "logEvents": events,
    })
}

/// A pod whose container runs an image, as Tetragon tells it.
#[derive(Clone, Copy)]
pub struct Pod {
    pub name: &'static str,
    pub image: &'static str,
    /// The repository's digest, one letter repeated.
    pub digest: char,
}

pub const OWN_IMAGE: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop/web:4.2";

impl Pod {
    pub const fn own() -> Self {
        Self { name: "web-1", image: OWN_IMAGE, digest: 'a' }
    }

    pub const fn of(image: &'static str) -> Self {
        Self { name: "batch-import", image, digest: 'b' }
    }

    fn process(&self, binary: &str, arguments: &str, time: &str) -> Value {
        let repository = self.image.rsplit_once(':').map_or(self.image, |(repository, _)| repository);
        let container = self.digest.to_string().repeat(64);
        json!({
            "exec_id": format!("{}-{binary}-{time}", self.name), "pid": 4301, "uid": 0, "cwd": "/",
            "binary": binary, "arguments": arguments, "flags": "execve clone", "start_time": time,
            "auid": 4_294_967_295_u32,
            "pod": {
                "namespace": "shop", "name": self.name, "workload": self.name, "workload_kind": "Pod",
                "container": {
                    "id": format!("containerd://{container}"), "name": "main",
                    "image": {"id": format!("{repository}@sha256:{container}"), "name": self.image},
                    "start_time": "2026-03-06T08:00:00Z", "pid": 1,
                },
            },
            "docker": container[..31], "parent_exec_id": "cDA=", "refcnt": 1,
        })
    }

    /// A program's start.
    pub fn exec(&self, binary: &str, arguments: &str) -> Value {
        self.exec_at(binary, arguments, "2026-03-06T09:00:05.411558213Z")
    }

    pub fn exec_at(&self, binary: &str, arguments: &str, time: &str) -> Value {
        let process = self.process(binary, arguments, time);
        json!({
            "process_exec": {"process": process, "parent": self.process("/bin/sh", "/opt/run", time)},
            "node_name": "node-1", "time": time,
        })
    }

    /// A connection, as the `tcp_connect` probe tells it.
    pub fn connects(&self, binary: &str, address: &str, port: u16) -> Value {
        self.connects_at(binary, address, port, "2026-03-06T09:00:07Z")
    }

    pub fn connects_at(&self, binary: &str, address: &str, port: u16, time: &str) -> Value {
        json!({
            "process_kprobe": {
                "process": self.process(binary, "", time), "function_name": "tcp_connect",
                "args": [{"sock_arg": {
                    "family": "AF_INET", "type": "SOCK_STREAM", "protocol": "IPPROTO_TCP", "saddr": "10.0.14.91",
                    "daddr": address, "sport": 41022, "dport": port, "state": "TCP_SYN_SENT",
                }}],
                "action": "KPROBE_ACTION_POST", "policy_name": "connections",
            },
            "node_name": "node-1", "time": time,
        })
    }

    /// The pod's creation, as the Kubernetes audit log tells it.
    pub fn created(&self, namespace: &str, time: &str) -> Value {
        let container = json!({"name": "main", "image": self.image, "imagePullPolicy": "Always"});
        audit(
            "create",
            namespace,
            self.name,
            "",
            201,
            json!({"kind": "Pod", "metadata": {"name": self.name}, "spec": {"containers": [container]}}),
            time,
        )
    }

    /// What the node reports of its start: the digest.
    pub fn started(&self, namespace: &str, time: &str) -> Value {
        let repository = self.image.rsplit_once(':').map_or(self.image, |(repository, _)| repository);
        let letters = self.digest.to_string().repeat(64);
        let status = json!({
            "name": "main", "image": self.image, "imageID": format!("{repository}@sha256:{letters}"),
            "containerID": format!("containerd://{letters}"), "state": {"running": {"startedAt": time}},
        });
        audit(
            "patch",
            namespace,
            self.name,
            "status",
            200,
            json!({"status": {"containerStatuses": [status]}}),
            time,
        )
    }
}

fn audit(
    verb: &str,
    namespace: &str,
    pod: &str,
    subresource: &str,
    code: u16,
    request: Value,
    time: &str,
) -> Value {
    let mut reference = json!({"resource": "pods", "namespace": namespace, "name": pod, "apiVersion": "v1"});
    if !subresource.is_empty() {
        reference["subresource"] = json!(subresource);
    }
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": format!("{pod}-{verb}-{time}"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/{namespace}/pods"), "verb": verb,
        "user": {"username": "anna", "extra": {"canonicalArn": [format!("arn:aws:iam::{ACCOUNT}:role/Developer")]}},
        "sourceIPs": ["198.51.100.24"], "userAgent": "kubectl/v1.34.2", "objectRef": reference,
        "responseStatus": {"metadata": {}, "code": code}, "requestObject": request,
        "requestReceivedTimestamp": time, "stageTimestamp": time,
    })
}

pub const TETRAGON: &str = "/aws/containerinsights/prod/application";
pub const AUDIT: &str = "/aws/eks/prod/cluster";

/// One delivery of Tetragon's lines.
pub fn tetragon(lines: &[Value]) -> Vec<Value> {
    vec![delivery(TETRAGON, lines)]
}

/// A Resolver query.
pub fn query(name: &str) -> Vec<Value> {
    let query = json!({
        "version": "1.100000", "account_id": ACCOUNT, "region": REGION, "vpc_id": "vpc-0c0ffee0123456789",
        "query_timestamp": "2026-03-06T09:00:04Z", "query_name": name, "query_type": "A", "query_class": "IN",
        "rcode": "NOERROR", "answers": [], "srcaddr": "10.0.14.91", "srcport": "51217", "transport": "UDP",
        "srcids": {"instance": "i-0123456789abcdef0"},
    });
    vec![delivery("/vpc/resolver", &[query])]
}

/// A flow in the default format.
pub fn flow(destination: &str, port: u16, protocol: u8) -> Vec<Value> {
    let line = format!(
        "2 {ACCOUNT} eni-0a1b2c3d4e5f60718 10.0.14.91 {destination} 41022 {port} {protocol} 20 4249 1772787600 \
         1772787660 ACCEPT OK"
    );
    vec![delivery("/vpc/flow-logs", &[json!(line)])]
}
