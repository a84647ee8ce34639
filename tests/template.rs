//! The templates: no event that the function reads is lost on its way there, and nobody may do more
//! than the look-ups need.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use imagewarden::activity::TemplateRef;
use imagewarden::lookup::{FactKey, Scope, UserDataOf};
use imagewarden::source::{self, Surroundings};
use serde_json::{Map, Value, json};

/// Samples with events that the function would leave alone anyway, and which the rules keep away from it.
const KEPT_AWAY: &[&str] = &[
    // Other calls stand in a log file too.
    "cloudtrail-log-file.json",
    "inspector2-finding-ec2-instance.json",
    "inspector2-scan-ec2-instance.json",
];

/// What comes as a log, by subscription or from an archive, or from a schedule, and so meets no rule.
const LOGS: &[&str] = &[
    "auditd",
    "azure-",
    "docker-events",
    "eks-audit",
    "flow-log",
    "gcp-",
    "ocsf-",
    "resolver-query-log",
    "schedule-",
    "security-lake",
    "sysmon",
    "tetragon",
];

/// Stands for every value that is known only once the stack is deployed.
const DEPLOYED: &str = "arn:aws:iam::123456789012:role/of-the-stack";

const ALL_CALLS: &str = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn oracle(arguments: &[&str], input: &Value) -> Value {
    let mut child = Command::new(root().join(".venv/bin/python"))
        .arg(root().join("tests/oracle/template.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run `make setup` first");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the oracle failed: {arguments:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

type Resources = Map<String, Value>;

fn resources(template: &str) -> Resources {
    let path = root().join(template);
    let Value::Object(resources) = oracle(&["resources", path.to_str().unwrap()], &Value::Null) else {
        panic!("{template} has no resources")
    };
    resources
}

/// template.yaml, as CloudFormation gets it.
fn stack() -> &'static Resources {
    static STACK: OnceLock<Resources> = OnceLock::new();
    STACK.get_or_init(|| resources("template.yaml"))
}

/// forward.yaml
fn forward() -> &'static Resources {
    static FORWARD: OnceLock<Resources> = OnceLock::new();
    FORWARD.get_or_init(|| resources("forward.yaml"))
}

fn of_type<'a>(resources: &'a Resources, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let found = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
}

/// The rules of a stack by the name that both templates give them, less the one for what is forwarded.
fn rules(resources: &Resources) -> BTreeMap<&str, &Value> {
    let rules = of_type(resources, "AWS::Events::Rule").into_iter();
    rules
        .filter(|(name, _)| *name != "ForwardedEvents")
        .map(|(name, rule)| (name.strip_prefix("Function").unwrap_or(name), rule))
        .collect()
}

/// A pattern as it is once deployed, each intrinsic function replaced by [`DEPLOYED`].
fn pattern(rule: &Value) -> Value {
    fn deployed(value: &Value) -> Value {
        match value {
            Value::Object(map) if map.keys().any(|key| key == "Ref" || key.starts_with("Fn::")) => {
                json!(DEPLOYED)
            }
            Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), deployed(value))).collect::<Map<_, _>>().into()
            }
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(deployed).collect();
                items.dedup();
                items.into()
            }
            other => other.clone(),
        }
    }
    deployed(&rule["EventPattern"])
}

/// Whether EventBridge hands the event to the rule. Read-only calls reach only rules in a state of
/// their own.
fn delivered(rules: &[&Value], events: &[&Value]) -> Vec<Vec<bool>> {
    let pairs = events.iter().flat_map(|event| rules.iter().map(move |rule| json!([pattern(rule), event])));
    let answers: Vec<bool> = serde_json::from_value(oracle(&["match"], &pairs.collect())).unwrap();
    let read_only = |event: &Value| {
        let name = event["detail"]["eventName"].as_str().unwrap_or_default();
        ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb))
    };
    let rows = events.iter().zip(answers.chunks(rules.len()));
    rows.map(|(event, row)| {
        let seen = rules.iter().map(|rule| !read_only(event) || rule["State"] == ALL_CALLS);
        row.iter().zip(seen).map(|(matches, seen)| *matches && seen).collect()
    })
    .collect()
}

/// Every sample file, without the facts.
fn samples() -> Vec<PathBuf> {
    let mut folders = vec![root().join("events")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "facts" {
                folders.push(path);
            } else if [".json", ".jsonl", ".gz"].iter().any(|end| name.ends_with(end)) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> Vec<Value> {
    let mut bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let packed = std::mem::take(&mut bytes);
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    }
    match serde_json::from_slice(&bytes) {
        Ok(value) => vec![value],
        Err(_) => {
            let lines = std::str::from_utf8(&bytes).unwrap().lines().filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }
}

/// The events as a bus would carry them, out of whatever wraps them.
fn envelopes(payload: &Value) -> Vec<Value> {
    let text = |key: &str| payload[key].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if payload.get("detail-type").is_some() {
        vec![payload.clone()]
    } else if let Some(source) = payload["eventSource"].as_str()
        && payload.get("eventVersion").is_some()
        && payload.get("userIdentity").is_some()
    {
        let service = source.trim_end_matches(".amazonaws.com");
        vec![json!({
            "version": "0",
            "source": format!("aws.{service}"),
            "detail-type": "AWS API Call via CloudTrail",
            "account": payload["recipientAccountId"],
            "region": payload["awsRegion"],
            "time": payload["eventTime"],
            "resources": [],
            "detail": payload,
        })]
    } else if let Some(records) = payload["Records"].as_array() {
        records.iter().flat_map(envelopes).collect()
    } else if let Some(inner) = text("body").or_else(|| text("Message")) {
        envelopes(&inner)
    } else if payload["Sns"].is_object() {
        envelopes(&payload["Sns"])
    } else if payload.get("requestPayload").is_some() {
        envelopes(&payload["requestPayload"])
    } else {
        Vec::new()
    }
}

/// Whether the function makes nothing of an event.
fn ignored(event: &Value) -> bool {
    let around = Surroundings::new(chrono::Utc::now());
    let reading = source::read(event, &around);
    reading.activities.is_empty() && reading.unreadable.is_empty()
}

#[test]
fn every_sample_event_reaches_the_function() {
    let mut events = Vec::new();
    for path in samples() {
        let name = path.strip_prefix(root().join("events")).unwrap().to_str().unwrap().to_owned();
        let found: Vec<Value> = read(&path).iter().flat_map(envelopes).collect();
        let logs = LOGS.iter().any(|kind| name.starts_with(kind)) && !name.ends_with("-event-bus.json");
        assert_eq!(found.is_empty(), logs, "{name}: an event that a bus carries, or a log?");
        events.extend(found.into_iter().map(|event| (name.clone(), event)));
    }
    assert!(events.len() > 30, "only {} events in the samples", events.len());
    let payloads: Vec<&Value> = events.iter().map(|(_, event)| event).collect();
    for template in [stack(), forward()] {
        let rules: Vec<&Value> = rules(template).into_values().collect();
        let (mut lost, mut kept_away) = (Vec::new(), BTreeSet::new());
        for ((name, event), row) in events.iter().zip(delivered(&rules, &payloads)) {
            if row.contains(&true) {
            } else if ignored(event) {
                kept_away.insert(name.as_str());
            } else {
                lost.push((name, &event["detail-type"], &event["detail"]["eventName"]));
            }
        }
        assert!(lost.is_empty(), "judged by the function, and no rule matches them: {lost:#?}");
        assert_eq!(kept_away, BTreeSet::from_iter(KEPT_AWAY.iter().copied()));
    }
    let forwarded = &stack()["ForwardedEvents"]["Properties"];
    for ((name, _), row) in events.iter().zip(delivered(&[forwarded], &payloads)) {
        assert_eq!(row, [true], "{name} is not taken from the bus that others forward to");
    }
}

#[test]
fn the_smoke_tests_event_reaches_the_function_and_raises_an_alert() {
    let printed = Command::new(root().join(".venv/bin/python"))
        .arg(root().join("tests/smoke.py"))
        .arg("--print")
        .output()
        .expect("run `make setup` first");
    let event: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let rules: Vec<&Value> = rules(stack()).into_values().collect();
    assert!(delivered(&rules, &[&event])[0].contains(&true));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smoke.json");
    std::fs::write(&path, printed.stdout).unwrap();
    let mut check = assert_cmd::Command::cargo_bin("imagewarden").unwrap();
    let alerts = check.args(["check", "--format", "json"]).arg(path).output().unwrap();
    let alert: Value = serde_json::from_slice(&alerts.stdout).expect("exactly one alert");
    assert_eq!(alert["finding_info"]["analytic"]["uid"], "guard-rail-lowered");
    assert_ne!(alert["unmapped"]["below_floor"], true);
}

#[test]
fn everything_a_rule_names_has_a_sample_event() {
    let events: Vec<Value> =
        samples().iter().flat_map(|path| read(path)).flat_map(|p| envelopes(&p)).collect();
    let seen = |key: &str, value: &Value| {
        events.iter().any(|event| &event[key] == value || &event["detail"][key] == value)
    };
    for (name, rule) in rules(stack()) {
        let pattern = &rule["EventPattern"];
        let lists = [
            ("source", &pattern["source"]),
            ("detail-type", &pattern["detail-type"]),
            ("eventName", &pattern["detail"]["eventName"]),
        ];
        for (key, values) in lists {
            for value in values.as_array().into_iter().flatten() {
                assert!(seen(key, value), "{name}: no sample event has the {key} {value}");
            }
        }
    }
}

#[test]
fn other_regions_and_accounts_forward_by_the_same_patterns() {
    let (here, there) = (rules(stack()), rules(forward()));
    assert!(here.len() >= 6);
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (name, rule) in here {
        assert_eq!(pattern(rule), pattern(there[name]), "{name}");
        assert_eq!(rule["State"], there[name]["State"], "{name}");
    }
}

#[test]
fn the_functions_own_reads_of_findings_do_not_call_it_again() {
    let read = |identity: Value| {
        json!({
            "source": "aws.ecr",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {
                "eventSource": "ecr.amazonaws.com",
                "eventName": "DescribeImageScanFindings",
                "userIdentity": identity,
            },
        })
    };
    let role = |arn: &str| read(json!({"sessionContext": {"sessionIssuer": {"arn": arn}}}));
    let events = [
        role(DEPLOYED),
        role("arn:aws:iam::123456789012:role/somebody"),
        read(json!({"type": "IAMUser", "sessionContext": {"sessionIssuer": {}}})),
        read(json!({"type": "Root"})),
    ];
    for template in [stack(), forward()] {
        let rules: Vec<&Value> = rules(template).into_values().collect();
        let rows = delivered(&rules, &events.each_ref());
        let reached: Vec<bool> = rows.iter().map(|row| row.contains(&true)).collect();
        assert_eq!(reached, [false, true, true, true]);
    }
}

/// `Fn::GetAtt` of a resource's ARN.
fn arn(resource: &str) -> Value {
    json!({"Fn::GetAtt": [resource, "Arn"]})
}

#[test]
fn what_cannot_be_handed_over_is_kept() {
    for (template, queue) in [(stack(), "RuleDeadLetterQueue"), (forward(), "DeadLetterQueue")] {
        let policy = &template[&format!("{queue}Policy")]["Properties"]["PolicyDocument"]["Statement"][0];
        let allowed = policy["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap();
        let rules = of_type(template, "AWS::Events::Rule");
        for (name, rule) in &rules {
            let targets = rule["Targets"].as_array().unwrap();
            assert_eq!(targets.len(), 1, "{name}");
            assert_eq!(targets[0]["DeadLetterConfig"]["Arn"], arn(queue), "{name}");
            assert!(allowed.contains(&arn(name)), "{name} may not write to {queue}");
        }
        assert_eq!(allowed.len(), rules.len());
    }
    let permitted: Vec<Value> = of_type(stack(), "AWS::Lambda::Permission")
        .into_values()
        .filter(|permission| permission["Principal"] == "events.amazonaws.com")
        .map(|permission| permission["SourceArn"].clone())
        .collect();
    for name in of_type(stack(), "AWS::Events::Rule").keys() {
        assert!(permitted.contains(&arn(name)), "{name} may not call the function");
    }
    let failures = &stack()["FunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]["OnFailure"];
    assert_eq!(failures["Destination"], arn("FailureBucket"));
}

#[test]
fn every_alarm_tells_somebody() {
    let alarms = of_type(stack(), "AWS::CloudWatch::Alarm");
    let own = alarms.values().filter_map(|alarm| alarm["MetricName"].as_str());
    let sums = alarms.values().filter_map(|alarm| alarm["Metrics"].as_array()).flatten();
    let summed = sums.filter_map(|metric| metric["MetricStat"]["Metric"]["MetricName"].as_str());
    let metrics: BTreeSet<&str> = own.chain(summed).collect();
    for metric in [
        "Errors",
        "AsyncEventsDropped",
        "DestinationDeliveryFailures",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfNotificationsFailed",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
        "SystemErrors",
        "SweepBehind",
        "SelfCheckFailures",
        "PolicyNotLoaded",
        "ExecutionsFailed",
    ] {
        assert!(metrics.contains(metric), "no alarm on {metric}");
    }
    for (name, alarm) in alarms {
        assert_eq!(alarm["AlarmActions"], json!([{"Ref": "AlertTopic"}]), "{name}");
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.len() > 40), "{name}");
    }
}

/// What a schedule sends is what the function takes, and the sample events are the same.
#[test]
fn the_schedules_send_what_the_function_knows() {
    let schedules = of_type(stack(), "AWS::Scheduler::Schedule");
    let mut sent = BTreeSet::new();
    for (name, schedule) in &schedules {
        let target = &schedule["Target"];
        assert_eq!(target["Arn"], arn("Function"), "{name}");
        assert_eq!(target["RoleArn"], arn("ScheduleRole"), "{name}");
        let input: Value = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
        let errand = source::errand(&input).expect(name);
        let sample = root().join(format!("events/schedule-{errand}.json"));
        assert_eq!(read(&sample), std::slice::from_ref(&input), "{name}");
        sent.insert(errand.to_owned());
    }
    assert_eq!(sent, BTreeSet::from(["reconcile", "self-check"].map(str::to_owned)));
    // Each can be switched off, and so can the alarm on it.
    for (resource, condition) in [
        ("SweepSchedule", "Sweeps"),
        ("SweepAlarm", "Sweeps"),
        ("SelfCheckSchedule", "ChecksItself"),
        ("SelfCheckAlarm", "ChecksItself"),
    ] {
        assert_eq!(stack()[resource]["Condition"], condition, "{resource}");
    }
    // Where no sweep is made there is no figure, and that is what has to be told.
    assert_eq!(stack()["SweepAlarm"]["Properties"]["TreatMissingData"], "breaching");
    let allowed = grants(&stack()["ScheduleRole"]);
    assert_eq!(allowed, std::collections::BTreeMap::from([("lambda:InvokeFunction".to_owned(), false)]));
}

/// Nobody has to size, clean or restore it by hand, and no stack update takes it away.
#[test]
fn the_history_looks_after_itself() {
    let table = &stack()["HistoryTable"];
    let properties = &table["Properties"];
    assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(properties["TimeToLiveSpecification"], json!({"AttributeName": "expires", "Enabled": true}));
    let recovery = &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
    assert_eq!(*recovery, true);
    assert_eq!(properties["KeySchema"], json!([{"AttributeName": "pk", "KeyType": "HASH"}]));
    assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(table["UpdateReplacePolicy"], "Retain");
    let function = &stack()["Function"]["Properties"];
    assert_eq!(function["Environment"]["Variables"]["HISTORY_TABLE"], json!({"Ref": "HistoryTable"}));
    // A dead invocation's lease, its deadline and 2 s, is over when the platform tries again after a minute.
    assert_eq!(function["Timeout"], 45);
}

/// The statements of a role's own policies; those behind a condition too.
fn statements(role: &Value) -> Vec<Value> {
    let policies = role["Properties"]["Policies"].as_array().unwrap();
    let documents = policies.iter().map(|policy| &policy["PolicyDocument"]["Statement"]);
    let statements = documents.flat_map(|statements| match statements {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    });
    statements.map(|statement| statement.pointer("/Fn::If/1").cloned().unwrap_or(statement)).collect()
}

/// The actions that a role may take, each with whether it may on everything.
fn grants(role: &Value) -> BTreeMap<String, bool> {
    let mut grants = BTreeMap::new();
    for statement in statements(role) {
        assert_eq!(statement["Effect"], "Allow");
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        };
        for action in actions {
            let action = action.as_str().unwrap().to_owned();
            assert!(!action.contains('*'), "{action}");
            grants.insert(action, statement["Resource"] == "*");
        }
    }
    grants
}

/// What a fact of every kind is fetched by. A new kind does not compile until it stands here.
fn looked_up() -> BTreeSet<String> {
    let scope = Scope { account: String::new(), region: String::new() };
    let template = TemplateRef { id: None, name: None, version: None };
    let some = String::new;
    let mut keys = vec![FactKey::Image { scope: scope.clone(), image: some() }];
    loop {
        let scope = scope.clone();
        keys.push(match &keys[keys.len() - 1] {
            FactKey::Image { .. } => FactKey::InstanceImage { scope, instance: some() },
            FactKey::InstanceImage { .. } => FactKey::Ancestry { scope, image: some() },
            FactKey::Ancestry { .. } => FactKey::Snapshot { scope, snapshot: some() },
            FactKey::Snapshot { .. } => FactKey::AllowedImages { scope },
            FactKey::AllowedImages { .. } => {
                FactKey::ScanFindings { scope, registry: some(), repository: some(), digest: some() }
            }
            FactKey::ScanFindings { .. } => FactKey::Template { scope, template: template.clone() },
            FactKey::Template { .. } => FactKey::Launched { scope, client_token: some() },
            FactKey::Launched { .. } => FactKey::UserData { scope, of: UserDataOf::Instance(some()) },
            FactKey::UserData { of: UserDataOf::Instance(_), .. } => {
                FactKey::UserData { scope, of: UserDataOf::Configuration(some()) }
            }
            FactKey::UserData { of: UserDataOf::Configuration(_), .. } => {
                FactKey::UserData { scope, of: UserDataOf::Template(template.clone()) }
            }
            FactKey::UserData { of: UserDataOf::Template(_), .. } => {
                return keys.iter().map(|key| key.api().to_owned()).collect();
            }
        });
    }
}

/// Everything that hunting brings, by the names of its resources.
const OF_HUNTS: &[&str] = &[
    "HuntAlarm",
    "HuntFunction",
    "HuntFunctionRole",
    "HuntMachine",
    "HuntMachineRole",
    "HuntMachineRunsBatches",
    "HuntResults",
    "HuntResultsPolicy",
];

/// Without a bucket to hunt through nothing of it is made, and nothing else refers to it.
#[test]
fn hunting_is_there_only_for_whoever_wants_it() {
    let hunts: BTreeSet<&str> =
        stack().iter().filter(|(name, _)| name.starts_with("Hunt")).map(|(name, _)| name.as_str()).collect();
    assert_eq!(hunts, BTreeSet::from_iter(OF_HUNTS.iter().copied()));
    for name in hunts {
        assert_eq!(stack()[name]["Condition"], "Hunts", "{name}");
    }
    fn refers(value: &Value, at_all: &mut bool) {
        match value {
            Value::Object(map) => {
                // A branch of its own condition.
                if map.get("Fn::If").is_some_and(|branches| branches[0] == "Hunts") {
                    return;
                }
                map.values().for_each(|value| refers(value, at_all));
            }
            Value::Array(items) => items.iter().for_each(|value| refers(value, at_all)),
            Value::String(text) => *at_all |= OF_HUNTS.contains(&text.as_str()) || text.contains("${Hunt"),
            _ => {}
        }
    }
    for (name, resource) in stack().iter().filter(|(name, _)| !OF_HUNTS.contains(&name.as_str())) {
        let mut at_all = false;
        refers(resource, &mut at_all);
        assert!(!at_all, "{name} refers to what is not there by default");
    }
    let parameters = parameters();
    assert_eq!(parameters["HuntBucket"]["Default"], "");
    assert_eq!(parameters["HuntKeyArn"]["Default"], "");
}

fn parameters() -> Value {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    // Parameters hold no intrinsic functions: their part is plain YAML.
    let start = text.find("\nParameters:\n").unwrap();
    let end = text[start..].find("\nConditions:\n").unwrap();
    serde_saphyr::from_str::<Value>(&text[start..start + end]).unwrap()["Parameters"].clone()
}

/// The function that judges events cannot read the archive, and the one that hunts remembers nothing.
#[test]
fn the_two_functions_share_no_more_than_the_look_ups() {
    let (live, hunting) = (&stack()["Function"]["Properties"], &stack()["HuntFunction"]["Properties"]);
    for same in ["Code", "Handler", "Runtime", "Architectures"] {
        assert_eq!(live[same], hunting[same], "{same}: it is built once");
    }
    let variables = |function: &Value| {
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        variables.keys().cloned().collect::<BTreeSet<_>>()
    };
    let (of_live, of_hunting) = (variables(live), variables(hunting));
    let only =
        |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect::<Vec<_>>();
    // A hunt reads no log groups.
    let of_events = ["FAILURE_QUEUE_URL", "HISTORY_TABLE", "LOG_FORMATS", "TETRAGON_EXPORTER"];
    assert_eq!(only(&of_live, &of_hunting), of_events);
    assert_eq!(only(&of_hunting, &of_live), ["HUNT_RESULTS"]);
    assert_eq!(hunting["Timeout"], 900);

    let own = [
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sns:Publish",
    ];
    let mut wanted = looked_up();
    wanted.extend(BEHIND.map(str::to_owned));
    wanted.extend(own.map(str::to_owned));
    wanted.insert("sts:AssumeRole".to_owned());
    let granted = grants(&stack()["HuntFunctionRole"]);
    assert_eq!(granted.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    let archive =
        |role: &str| statements(&stack()[role]).iter().any(|it| it.to_string().contains("${HuntBucket}"));
    assert_eq!((archive("FunctionRole"), archive("HuntFunctionRole")), (false, true));
    // What it writes lies under hunts/, and a run's own folder.
    let writes: Vec<Value> = statements(&stack()["HuntFunctionRole"])
        .into_iter()
        .filter(|statement| statement["Action"].to_string().contains("s3:PutObject"))
        .collect();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0]["Resource"], json!({"Fn::Sub": "${HuntResults.Arn}/hunts/*"}));
    // Both roles read the policy, and neither's look-ups call the function.
    for access in ["PolicyParameterAccess", "PolicyObjectAccess"] {
        let roles = stack()[access]["Properties"]["Roles"].to_string();
        assert!(roles.contains("HuntFunctionRole"), "{access}: {roles}");
    }
    for template in [stack(), forward()] {
        let pattern = template["ReadOnlyCalls"]["Properties"]["EventPattern"].to_string();
        assert!(pattern.contains("HuntFunctionRole"), "{pattern}");
    }
    assert!(forward()["LookupRole"].to_string().contains("HuntFunctionRoleArn"));
}

#[test]
fn the_state_machine_may_do_what_a_distributed_map_needs() {
    let granted = grants(&stack()["HuntMachineRole"]);
    let wanted = [
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:InvokeFunction",
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ];
    assert_eq!(granted.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
    assert!(granted.values().all(|on_everything| !on_everything));
    let own = &stack()["HuntMachineRunsBatches"]["Properties"]["PolicyDocument"]["Statement"];
    assert_eq!(own[0]["Action"], "states:StartExecution");
    assert_eq!(own[0]["Resource"], json!({"Ref": "HuntMachine"}));
    assert_eq!(
        own[1]["Action"],
        json!(["states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"])
    );
    for resource in own[1]["Resource"].as_array().unwrap() {
        assert!(resource.to_string().contains(":execution:${HuntMachine.Name}"), "{resource}");
    }
    let bucket = &stack()["HuntResults"]["Properties"];
    assert!(bucket["PublicAccessBlockConfiguration"].as_object().unwrap().values().all(|set| *set == true));
    let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms");
    let rule = &bucket["LifecycleConfiguration"]["Rules"][0];
    assert_eq!(rule["ExpirationInDays"], json!({"Ref": "HuntRetentionDays"}));
}

/// Whether the check of definitions passes, and what it says.
fn machine_lint(template: &Path) -> (bool, String) {
    let output = Command::new(root().join(".venv/bin/python"))
        .arg(root().join("tests/oracle/state_machine.py"))
        .arg("lint")
        .arg(template)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .expect("run `make setup` first");
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// A check that takes anything would prove nothing.
#[test]
fn a_broken_state_machine_is_seen() {
    let template = root().join("template.yaml");
    let (sound, told) = machine_lint(&template);
    assert!(sound, "{told}");
    let text = std::fs::read_to_string(template).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("template.yaml");
    for (right, wrong, said) in [
        ("Type: Choice", "Type: Choise", "E3601 'Choise' is not one of"),
        ("Next: WasAllRead", "Next: WasAllReed", "/WasAllReed: named, and no state"),
        ("MaxConcurrencyPath:", "MaxConcurrency:", "is not of type 'number'"),
        ("States.Format('hunts/", "States.Frmat('hunts/", "grammar"),
        ("StartAt: HuntAgain", "StartAt: Hunt", "named, and no state"),
    ] {
        assert!(text.contains(right), "{right}");
        std::fs::write(&broken, text.replace(right, wrong)).unwrap();
        let (sound, told) = machine_lint(&broken);
        assert!(!sound && told.contains(said), "{wrong}: {told}");
    }
}

/// For launch templates that take the image from a parameter, and for ECR's enhanced scanning.
const BEHIND: [&str; 4] =
    ["ssm:GetParameter", "ssm:GetParameters", "inspector2:ListCoverage", "inspector2:ListFindings"];

#[test]
fn look_ups_are_granted_and_nothing_else() {
    let mut wanted = looked_up();
    wanted.extend(BEHIND.map(str::to_owned));

    let elsewhere = grants(&forward()["LookupRole"]);
    assert_eq!(elsewhere.keys().cloned().collect::<BTreeSet<_>>(), wanted);

    let own = [
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetEventSelectors",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:LookupEvents",
        "dynamodb:BatchGetItem",
        "dynamodb:PutItem",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:ListBucket",
        "s3:PutObject",
        "sns:ListSubscriptionsByTopic",
        "sns:Publish",
        "sqs:SendMessage",
        "sts:AssumeRole",
    ];
    wanted.extend(own.map(str::to_owned));
    let here = grants(&stack()["FunctionRole"]);
    assert_eq!(here.keys().cloned().collect::<BTreeSet<_>>(), wanted);

    for (action, on_everything) in here.iter().chain(&elsewhere) {
        let knows_no_resources =
            ["autoscaling:", "cloudtrail:DescribeTrails", "cloudtrail:LookupEvents", "ec2:", "inspector2:"]
                .iter()
                .any(|calls| action.starts_with(calls));
        assert_eq!(*on_everything, knows_no_resources, "{action}");
    }
}
