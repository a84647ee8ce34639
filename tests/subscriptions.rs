//! The log subscriptions of template.yaml: their patterns keep every line that the function could judge, and
//! keep away what costs without telling anything.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use imagewarden::activity::Action;
use imagewarden::source::{self, Surroundings};
use regex::Regex;
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The resources of template.yaml, as CloudFormation gets them.
fn stack() -> Value {
    let output = Command::new(root().join(".venv/bin/python"))
        .arg(root().join("tests/oracle/template.py"))
        .args(["resources", root().join("template.yaml").to_str().unwrap()])
        .output()
        .expect("run `make setup` first");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A subscription's pattern, a parameter's default where it is one.
fn pattern(subscription: &str) -> String {
    let filter = stack()[subscription]["Properties"]["FilterPattern"].clone();
    if let Some(text) = filter.as_str() {
        return text.to_owned();
    }
    let parameter = filter["Ref"].as_str().expect("a pattern or a parameter").to_owned();
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let from =
        text.find(&format!("  {parameter}:\n    Type: String\n    Default: >-\n")).expect("a folded default");
    let lines = text[from..].lines().skip(3).take_while(|line| line.starts_with("      "));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Whether CloudWatch Logs hands a line over: as much of its pattern language as is used here.
fn passes(pattern: &str, line: &str) -> bool {
    assert!(pattern.len() <= 1024, "CloudWatch Logs takes patterns of 1024 characters: {}", pattern.len());
    if let Some(regex) = pattern.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')) {
        return supported(regex).is_match(line);
    }
    if let Some(fields) = pattern.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let values: Vec<&str> = line.split_whitespace().collect();
        let fields: Vec<&str> = fields.split(',').map(str::trim).collect();
        return fields.len() == values.len()
            && fields.iter().zip(values).all(|(field, value)| {
                let mut tests = field.split("||").map(str::trim);
                !field.contains('=')
                    || tests
                        .any(|test| test.split_once('=').is_some_and(|(_, wanted)| wanted.trim() == value))
            });
    }
    let Ok(value) = serde_json::from_str::<Value>(line) else { return false };
    let inner = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("a JSON pattern");
    let mut rest = inner.trim();
    let answer = either(&mut rest, &value);
    assert!(rest.trim().is_empty(), "left over of the pattern: {rest}");
    answer
}

/// No groups, and no characters but those that CloudWatch Logs takes.
fn supported(regex: &str) -> Regex {
    let taken = |c: char| c.is_ascii_alphanumeric() || ":_#=@/;,-^$?[]{}|\\*+.".contains(c);
    assert!(regex.chars().all(taken), "{regex}");
    Regex::new(regex).unwrap()
}

fn either(rest: &mut &str, value: &Value) -> bool {
    let mut answer = both(rest, value);
    while let Some(next) = rest.trim_start().strip_prefix("||") {
        *rest = next;
        // Both sides are read, whatever the first says.
        let other = both(rest, value);
        answer = answer || other;
    }
    answer
}

fn both(rest: &mut &str, value: &Value) -> bool {
    let mut answer = single(rest, value);
    while let Some(next) = rest.trim_start().strip_prefix("&&") {
        *rest = next;
        let other = single(rest, value);
        answer = answer && other;
    }
    answer
}

fn single(rest: &mut &str, value: &Value) -> bool {
    let text = rest.trim_start();
    if let Some(inner) = text.strip_prefix('(') {
        *rest = inner;
        let answer = either(rest, value);
        *rest = rest.trim_start().strip_prefix(')').expect("a closing parenthesis");
        return answer;
    }
    let end = text.find(' ').expect("an operator");
    let (selector, text) = text.split_at(end);
    let path = selector.strip_prefix("$.").expect("a selector").replace('.', "/");
    let found = value.pointer(&format!("/{path}"));
    let text = text.trim_start();
    if let Some(after) = text.strip_prefix("NOT EXISTS") {
        *rest = after;
        return found.is_none();
    }
    let (equal, text) = match text.strip_prefix("!=") {
        Some(text) => (false, text.trim_start()),
        None => (true, text.strip_prefix('=').expect("an operator").trim_start()),
    };
    let quote = &text[..1];
    let close = text[1..].find(quote).expect("a closing quote") + 1;
    let operand = &text[1..close];
    *rest = &text[close + 1..];
    let found = found.and_then(Value::as_str);
    let same = match quote {
        "\"" => found == Some(operand),
        "%" => found.is_some_and(|found| supported(operand).is_match(found)),
        other => panic!("{other}?"),
    };
    same == equal
}

/// The lines of a sample's delivery.
fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(format!("events/{name}.json"))).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let events = document["logEvents"].as_array().unwrap();
    events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// What the function makes of one line alone.
fn actions(line: &str) -> Vec<Action> {
    let around = Surroundings::new(chrono::Utc::now());
    let document = json!({
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "g", "logStream": "s",
        "logEvents": [{"id": "1", "timestamp": 1_772_787_600_000_i64, "message": line}],
    });
    source::read(&document, &around).activities.into_iter().map(|activity| activity.action).collect()
}

#[test]
fn every_line_of_kubernetes_and_tetragon_that_is_read_is_handed_over() {
    for (subscription, sample) in [("EksAuditLogs", "eks-audit"), ("TetragonLogs", "tetragon")] {
        let pattern = pattern(subscription);
        let (mut kept, mut spared) = (0, 0);
        for line in lines(sample) {
            let (read, handed) = (!actions(&line).is_empty(), passes(&pattern, &line));
            assert_eq!(handed, read, "{subscription}: {line}");
            if read { kept += 1 } else { spared += 1 }
        }
        assert!(kept > 2 && spared > 0, "{sample}: {kept} kept, {spared} spared");
    }
}

#[test]
fn a_shippers_wrapping_hides_no_event() {
    let pattern = pattern("TetragonLogs");
    for line in lines("tetragon") {
        let wrapped = json!({"time": "2026-03-06T09:00:03Z", "stream": "stdout", "log": format!("{line}\n")});
        assert_eq!(passes(&pattern, &wrapped.to_string()), passes(&pattern, &line), "{line}");
    }
}

/// Every verb, kind and part of a request that the reader takes, made from what it takes.
#[test]
fn whatever_declares_or_reports_a_pod_is_handed_over() {
    let pattern = pattern("EksAuditLogs");
    let kinds = [
        "pods",
        "deployments",
        "daemonsets",
        "statefulsets",
        "replicasets",
        "replicationcontrollers",
        "jobs",
        "cronjobs",
        "configmaps",
        "leases",
        "events",
        "tokenreviews",
    ];
    let parts = ["", "status", "exec", "ephemeralcontainers", "scale", "binding", "log"];
    let spec = json!({"containers": [{"name": "a", "image": "evil/app:1"}]});
    let status = json!({"containerStatuses": [{
        "name": "a", "image": "evil/app:1", "imageID": format!("evil/app@sha256:{}", "ab".repeat(32)),
        "containerID": "containerd://abcdefabcdef", "state": {"running": {"startedAt": "2026-03-06T09:00:00Z"}},
    }]});
    let request = json!({
        "metadata": {"name": "a"}, "status": status,
        "spec": {"containers": spec["containers"], "template": {"spec": spec}, "jobTemplate": {"spec": {"template": {"spec": spec}}}},
    });
    let (mut read, mut spared) = (0, 0);
    for verb in ["create", "update", "patch", "get", "list", "watch", "delete"] {
        for kind in kinds {
            for part in parts {
                for stage in ["RequestReceived", "ResponseStarted", "ResponseComplete"] {
                    let mut reference = json!({"resource": kind, "namespace": "web", "name": "a"});
                    if !part.is_empty() {
                        reference["subresource"] = json!(part);
                    }
                    let line = json!({
                        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "0b7c5a1e", "stage": stage,
                        "requestURI": format!("/api/v1/namespaces/web/{kind}/a/{part}?command=id"), "verb": verb,
                        "objectRef": reference, "responseStatus": {"code": 200}, "requestObject": request,
                        "requestReceivedTimestamp": "2026-03-06T09:00:00Z",
                    })
                    .to_string();
                    if !actions(&line).is_empty() {
                        read += 1;
                        assert!(passes(&pattern, &line), "lost: {line}");
                    } else if !passes(&pattern, &line) {
                        spared += 1;
                    }
                }
            }
        }
    }
    assert!(read > 20 && spared > 1000, "{read} read, {spared} spared");
}

#[test]
fn every_pools_name_and_every_pools_port_is_handed_over() {
    let names = std::fs::read_to_string(root().join("src/indicators/mining-pools.txt")).unwrap();
    let resolver = pattern("ResolverLogs");
    let query =
        |name: &str| json!({"version": "1.100000", "query_name": name, "srcport": "51217"}).to_string();
    let entries = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    for name in entries(&names) {
        assert!(passes(&resolver, &query(&format!("{name}."))), "{name}");
        assert!(passes(&resolver, &query(&format!("eu.{name}."))), "{name}");
    }
    assert!(!passes(&resolver, &query("eu-central-1.console.aws.amazon.com.")));

    let flows = pattern("FlowLogs");
    let flow = |port: &str, protocol: u8| {
        format!(
            "2 111122223333 eni-0a1 10.0.14.91 203.0.113.12 41022 {port} {protocol} 20 4249 1772787600 1772787660 ACCEPT OK"
        )
    };
    let ports = std::fs::read_to_string(root().join("src/detection/data/mining-ports.txt")).unwrap();
    for port in entries(&ports) {
        assert!(passes(&flows, &flow(&port, 6)), "{port}");
    }
    for (port, protocol) in [("443", 6), ("33333", 6), ("3333", 17)] {
        assert!(!passes(&flows, &flow(port, protocol)), "{port}");
    }
    assert!(!passes(&flows, "2 111122223333 eni-0a1 - - - - - - - 1772787660 1772787720 - NODATA"));
    for sample in ["resolver-query-log", "flow-log"] {
        let pattern = if sample == "flow-log" { &flows } else { &resolver };
        assert_eq!(
            lines(sample).iter().filter(|line| passes(pattern, line)).count(),
            if sample == "flow-log" { 2 } else { 1 }
        );
    }
}

/// Each subscription stands behind its own condition, and the log service may call for that group alone.
#[test]
fn a_log_group_that_is_named_is_subscribed_and_may_call() {
    let stack = stack();
    let groups = [
        ("EksAuditLogs", "EksAuditLogGroup"),
        ("TetragonLogs", "TetragonLogGroup"),
        ("FlowLogs", "FlowLogGroup"),
        ("ResolverLogs", "ResolverLogGroup"),
    ];
    for (name, parameter) in groups {
        let (filter, permission) = (&stack[name], &stack[format!("{name}Permission")]);
        assert_eq!(filter["Properties"]["LogGroupName"], json!({"Ref": parameter}));
        assert_eq!(filter["Properties"]["DestinationArn"], json!({"Fn::GetAtt": ["Function", "Arn"]}));
        assert_eq!(filter["DependsOn"], format!("{name}Permission"));
        assert_eq!(filter["Condition"], permission["Condition"]);
        assert!(filter["Condition"].is_string());
        let properties = &permission["Properties"];
        assert_eq!(properties["Principal"], "logs.amazonaws.com");
        assert_eq!(properties["SourceAccount"], json!({"Ref": "AWS::AccountId"}));
        let arn = properties["SourceArn"]["Fn::Sub"].as_str().unwrap();
        assert!(arn.ends_with(&format!(":log-group:${{{parameter}}}:*")), "{arn}");
    }
    let variables = &stack["Function"]["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["FLOW_LOG_FORMAT"]["Fn::If"][1], json!({"Ref": "FlowLogFormat"}));
    for (rule, condition) in [("FunctionAzureEvents", "WatchesAzure"), ("FunctionGcpEvents", "WatchesGcp")] {
        assert_eq!(stack[rule]["Properties"]["State"]["Fn::If"][0], condition);
    }
}
