use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::activity::Action;
use crate::source::tests::surroundings;

fn document(messages: &[String]) -> Value {
    let events: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| json!({"id": index.to_string(), "timestamp": 1_772_787_600_000_i64, "message": message}))
        .collect();
    json!({"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "/aws/containerinsights/prod/application",
        "logStream": "node-1", "subscriptionFilters": ["imagewarden"], "logEvents": events})
}

/// The document in AWS's own order of fields.
fn as_aws_writes(document: &Value) -> String {
    let events: Vec<String> = document["logEvents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            format!(
                "{{\"id\":{},\"timestamp\":{},\"message\":{}}}",
                event["id"], event["timestamp"], event["message"]
            )
        })
        .collect();
    let mut rest = document.clone();
    rest["logEvents"] = json!([]);
    rest.to_string().replacen("\"logEvents\":[]", &format!("\"logEvents\":[{}]", events.join(",")), 1)
}

fn delivery(document: &Value) -> Value {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document.to_string().as_bytes()).unwrap();
    json!({"awslogs": {"data": STANDARD.encode(encoder.finish().unwrap())}})
}

fn read_all(value: &Value) -> Reading {
    crate::source::read(value, &surroundings())
}

fn flow(port: u16) -> String {
    format!(
        "2 111122223333 eni-0a1 10.0.1.5 203.0.113.12 41000 {port} 6 20 4249 1772787600 1772787660 ACCEPT OK"
    )
}

#[test]
fn a_delivery_and_its_document_tell_the_same_and_the_owner_is_the_account() {
    let document = document(&[flow(3333), flow(443)]);
    let packed = read_all(&delivery(&document));
    assert_eq!(packed.activities, read_all(&document).activities);
    assert_eq!(packed.activities.len(), 2);
    assert_eq!(packed.activities[0].account, "111122223333");
    assert_eq!(packed.activities[0].time.timestamp(), 1_772_787_600);
}

#[test]
fn control_messages_are_ignored() {
    let mut document = document(&["CWL CONTROL MESSAGE: Checking health of destination".to_owned()]);
    document["messageType"] = json!("CONTROL_MESSAGE");
    for value in [document.clone(), delivery(&document)] {
        let reading = read_all(&value);
        assert_eq!((reading.ignored, reading.activities.len(), reading.unreadable.len()), (1, 0, 0));
    }
}

#[test]
fn one_bad_line_costs_no_other_and_can_be_read_again_alone() {
    let truncated = "{\"process_exec\":{\"process\":".to_owned();
    let reading = read_all(&delivery(&document(&[flow(3333), truncated.clone(), flow(443)])));
    assert_eq!(reading.activities.len(), 2);
    let [bad] = reading.unreadable.as_slice() else { panic!("{:?}", reading.unreadable) };
    assert_eq!(bad.place, "awslogs.data.logEvents[1]");
    let raw: Value = serde_json::from_str(bad.raw.as_deref().unwrap()).unwrap();
    assert_eq!(raw["logEvents"][0]["message"], json!(truncated));
    let again = read_all(&raw);
    assert_eq!((again.activities.len(), again.unreadable.len()), (0, 1));
}

#[test]
fn a_thousand_bad_lines_are_all_kept_in_few_bundles() {
    let lines: Vec<String> = (0..1_000).map(|index| format!("what is this {index}")).collect();
    let reading = read_all(&delivery(&document(&lines)));
    assert!(reading.unreadable.len() <= 100, "{}", reading.unreadable.len());
    let kept: usize = reading
        .unreadable
        .iter()
        .map(|bad| {
            serde_json::from_str::<Value>(bad.raw.as_deref().unwrap()).unwrap()["logEvents"]
                .as_array()
                .unwrap()
                .len()
        })
        .sum();
    assert_eq!(kept, 1_000);
}

#[test]
fn what_is_no_delivery_is_told() {
    let bomb = json!({"logEvents": [], "x": "0".repeat(65 * 1024 * 1024)});
    for (value, reason) in [
        (json!({"awslogs": {"data": "%%"}}), "no base64"),
        (json!({"awslogs": {"data": "AAAA"}}), "gzip that cannot be inflated"),
        (json!({"awslogs": {}}), "without data"),
        (json!({"messageType": "DATA_MESSAGE", "logEvents": 7}), "without logEvents"),
        (delivery(&bomb), "inflates to more than"),
    ] {
        let reading = read_all(&value);
        assert!(reading.unreadable[0].reason.contains(reason), "{:?}", reading.unreadable);
    }
}

#[test]
fn a_trails_records_are_read_from_its_log_group() {
    let event = crate::source::tests::sample("put-image-at-night")["detail"].clone();
    let reading = read_all(&delivery(&document(&[event.to_string()])));
    assert_eq!(reading.activities[0].action.name(), "ImagePushed");
}

#[test]
fn a_cluster_and_an_instance_come_from_the_logs_name() {
    let mut document = document(&["type=EXECVE msg=audit(1772787600.123:77): argc=1 a0=\"id\"".to_owned()]);
    document["logGroup"] = json!("/var/log/audit");
    document["logStream"] = json!("i-0123456789abcdef0");
    let reading = read_all(&document);
    let Action::ProcessStarted(process) = &reading.activities[0].action else { panic!() };
    assert_eq!(process.place.instance.as_deref(), Some("i-0123456789abcdef0"));
    assert_eq!(
        crate::source::lines::host(Some("/aws/eks/prod/cluster"), None).cluster.as_deref(),
        Some("prod")
    );
}

#[test]
fn the_control_planes_other_logs_are_none_of_our_business() {
    let mut document = document(&["I0306 09:00:00.1 1 trace.go:236] Trace[1]: \"Get\"".to_owned()]);
    document["logGroup"] = json!("/aws/eks/prod/cluster");
    document["logStream"] = json!("kube-scheduler-1");
    assert_eq!(read_all(&document).ignored, 1);
    document["logStream"] = json!("kube-apiserver-audit-1");
    assert_eq!(read_all(&document).unreadable.len(), 1);
}

fn shipped_by(namespace: &str, pod: &str, container: &str, line: &str) -> String {
    json!({"stream": "stdout", "log": format!("{line}\n"), "time": "x",
        "kubernetes": {"namespace_name": namespace, "pod_name": pod, "container_name": container}})
    .to_string()
}

fn a_start() -> String {
    crate::source::tests::sample("tetragon")["logEvents"][1]["message"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_container_prints_is_no_tetragon() {
    let start = a_start();
    let exporter = ("kube-system", "tetragon-x7k2p", "export-stdout");
    let genuine = shipped_by(exporter.0, exporter.1, exporter.2, &start);
    assert_eq!(read_all(&document(std::slice::from_ref(&genuine))).activities.len(), 1);
    let merged = |container: &str| {
        let mut value: Value = serde_json::from_str(&start).unwrap();
        value["kubernetes"] =
            json!({"namespace_name": "shop", "pod_name": "web", "container_name": container});
        value.to_string()
    };
    for forged in [
        shipped_by("shop", "web-1", "app", &start),
        shipped_by("shop", "tetragon-x", "export-stdout", &start),
        shipped_by("kube-system", "tetragon-x7k2p", "tetragon", &start),
        // It prints what a shipper would write.
        shipped_by("shop", "web-1", "app", &genuine),
        merged("app"),
        shipped_by("shop", "web-1", "app", &flow(3333)),
    ] {
        let reading = read_all(&document(std::slice::from_ref(&forged)));
        assert_eq!((reading.activities.len(), reading.unreadable.len()), (0, 0), "{forged}");
        assert_eq!(reading.refused.values().sum::<usize>(), 1, "{forged}");
    }
    // Where the shipper leaves its own fields out, the stream's name tells who wrote.
    let mut plain = document(std::slice::from_ref(&start));
    let stream = |names: &str| json!(format!("ip-10-0-0-1-application.var.log.containers.{names}-0a1b.log"));
    plain["logStream"] = stream("tetragon-x7k2p_kube-system_export-stdout");
    assert_eq!(read_all(&plain).activities.len(), 1);
    plain["logStream"] = stream("web-1_shop_app");
    assert_eq!(read_all(&plain).refused.values().sum::<usize>(), 1);
}

#[test]
fn a_log_group_carries_its_declared_formats_and_no_others() {
    let mut around = surroundings();
    around.trust.logs = crate::source::LogFormats::parse("/flows=flow-log,/trail=cloudtrail").unwrap();
    let told = |group: &str, line: String| {
        let mut document = document(&[line]);
        document["logGroup"] = json!(group);
        let reading = crate::source::read(&document, &around);
        (reading.activities.len(), reading.refused.values().sum::<usize>(), reading.unreadable.len())
    };
    let call = crate::source::tests::sample("put-image-at-night")["detail"].to_string();
    assert_eq!(told("/flows", flow(3333)), (1, 0, 0));
    assert_eq!(told("/flows", call.clone()), (0, 1, 0));
    assert_eq!(told("/trail", call.clone()), (1, 0, 0));
    assert_eq!(told("/trail", a_start()), (0, 1, 0));
    assert_eq!(told("/other", call), (0, 1, 0));
}

#[test]
fn a_trails_record_is_of_the_logs_owner_unless_the_trail_is_an_organisations() {
    let mut call = crate::source::tests::sample("put-image-at-night")["detail"].clone();
    call["recipientAccountId"] = json!("444455556666");
    let mut document = document(&[call.to_string()]);
    document["logGroup"] = json!("/trail");
    let reading = read_all(&document);
    assert_eq!(reading.activities.len(), 0);
    assert!(reading.unreadable[0].reason.contains("444455556666"), "{:?}", reading.unreadable);
    let mut around = surroundings();
    around.trust.logs = crate::source::LogFormats::parse("/trail=cloudtrail-organization").unwrap();
    let reading = crate::source::read(&document, &around);
    assert_eq!(reading.activities[0].account, "444455556666");
}

#[test]
fn a_line_that_is_dated_back_is_taken_at_the_logs_own_time() {
    let mut line: Value = serde_json::from_str(&a_start()).unwrap();
    line["process_exec"]["process"]["start_time"] = json!("2025-01-01T00:00:00Z");
    let reading = read_all(&document(&[line.to_string()]));
    assert_eq!(reading.activities[0].time.timestamp_millis(), 1_772_787_600_000);
}

#[test]
fn what_the_aws_cli_prints_of_a_log_is_read_like_the_log() {
    let expected = read_all(&document(&[flow(3333)])).activities;
    let filtered = json!({"events": [{"logStreamName": "s", "timestamp": 1_772_787_600_000_i64,
        "message": flow(3333), "ingestionTime": 1, "eventId": "7"}], "searchedLogStreams": []});
    let got = json!({"events": [{"timestamp": 1_772_787_600_000_i64, "message": flow(3333), "ingestionTime": 1}],
        "nextForwardToken": "f/1"});
    let queried = json!({"status": "Complete", "results": [[
        {"field": "@timestamp", "value": "2026-03-06 09:00:00.000"}, {"field": "@message", "value": flow(3333)}]]});
    for printed in [filtered, got, queried] {
        assert_eq!(read_all(&printed).activities, expected, "{printed}");
    }
}

#[test]
fn tetragons_own_notices_are_no_errors() {
    let notices = [
        json!({"rate_limit_info": {"number_of_dropped_process_events": "7"}, "node_name": "n"}),
        json!({"process_throttle": {"type": "THROTTLE_STOP"}, "node_name": "n"}),
    ];
    let reading = read_all(&document(&notices.map(|it| it.to_string())));
    assert_eq!((reading.ignored, reading.unreadable.len()), (2, 0));
}

/// What each sample tells, by kind.
fn told(name: &str) -> Vec<&'static str> {
    let reading = read_all(&crate::source::tests::sample(name));
    assert_eq!(reading.unreadable, [], "{name}");
    reading.activities.iter().map(|activity| activity.action.name()).collect()
}

#[test]
fn every_log_tells_what_happened() {
    let (process, connected, resolved) = ("ProcessStarted", "Connected", "NameResolved");
    let (declared, started, pulled) = ("WorkloadDeclared", "ContainerStarted", "ImagePulled");
    for (name, expected) in [
        ("eks-audit", vec![declared, started, declared, declared]),
        ("tetragon", vec![process, process, process, connected, connected]),
        ("tetragon-fluent-bit", vec![process, process, connected]),
        ("flow-log", vec![connected, connected]),
        ("flow-log-custom", vec![connected]),
        ("resolver-query-log", vec![resolved, resolved]),
        ("auditd", vec![process, connected]),
        ("sysmon", vec![process, connected, resolved, process]),
        ("docker-events", vec![pulled, started, started, process, pulled, started]),
    ] {
        assert_eq!(told(name), expected, "{name}");
    }
}

#[test]
fn the_same_lines_tell_the_same_from_a_plain_file() {
    for name in [
        "eks-audit",
        "tetragon",
        "flow-log",
        "flow-log-custom",
        "resolver-query-log",
        "auditd",
        "sysmon",
        "docker-events",
    ] {
        let batch = crate::source::tests::sample(name);
        let lines: Vec<&str> = batch["logEvents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["message"].as_str().unwrap())
            .collect();
        // Sysmon's and the engines' samples are of two kinds, which no file mixes.
        let text = name != "sysmon" && name != "docker-events";
        let lines: Vec<&str> = lines.into_iter().filter(|line| text || !line.starts_with('{')).collect();
        let lines_alone: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut batch = document(&lines_alone);
        batch["logGroup"] = json!("");
        let expected = read_all(&batch);
        let file = crate::source::read_bytes(lines.join("\n").as_bytes(), &surroundings());
        assert_eq!(file.unreadable, [], "{name}");
        let actions =
            |reading: &Reading| reading.activities.iter().map(|it| it.action.clone()).collect::<Vec<_>>();
        assert_eq!(actions(&file), actions(&expected), "{name}");
    }
}

// The shortcut against the whole: a batch read with it tells what the batch read without it tells.

/// Texts that try to look like the line's own structure.
const TEXTS: [&str; 10] = [
    "",
    "-o pool.example.com:3333",
    "a\"b\\c",
    r#"","start_time":"2026-03-06T09:00:00Z","auid":1,"pod":{"#,
    r#"\",\"start_time\":\"2026-03-06T09:00:00Z\",\"auid\":"#,
    r#","parent":{"uid":0},"node_name":"x","time":"2026-03-06T09:00:00Z"}"#,
    "tcp_connect",
    "{\"process_exit\":{\"process\":{",
    "ä\u{1f980}\u{0}\n",
    "trailing\\",
];
const LABELS: [&str; 5] = ["app", "parent_exec_id", "start_time", "node_name", "verb"];
const TIMES: [&str; 6] = [
    "2026-03-06T09:00:00.411Z",
    "2026-03-06T09:00:00.411558Z",
    "2026-03-06T09:00:00Z",
    "2026-03-06T08:59:59.999999999Z",
    "2036-03-06T09:00:00Z",
    "yesterday",
];

fn a_time() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&TIMES[..])
}

fn process(binary: &str, arguments: &str, exec: u8, time: &str, label: &str, image: u8) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    format!(
        "{{\"exec_id\":\"e{exec}\",\"pid\":{exec},\"uid\":{},\"cwd\":\"/\",\"binary\":{},\"arguments\":{},\
         \"flags\":\"execve\",\"start_time\":{},\"auid\":1,\"pod\":{{\"namespace\":\"shop\",\"name\":\"web\",\
         \"container\":{{\"id\":\"containerd://c{image}\",\"image\":{{\"id\":\"x@sha256:{image:064x}\",\
         \"name\":\"x:1\"}},\"start_time\":\"2026-03-06T08:00:00Z\"}},\"pod_labels\":{{{}:\"v\"}},\"workload\":\"web\"}},\
         \"docker\":\"c{image}\",\"parent_exec_id\":\"p{exec}\",\"refcnt\":{exec}}}",
        image % 2,
        text(binary),
        text(arguments),
        text(time),
        text(label),
    )
}

/// Lines of few texts each, so that many of a batch repeat each other.
fn a_batch() -> impl Strategy<Value = Vec<(String, bool)>> {
    let text = || prop::sample::select(&TEXTS[..]);
    (text(), text(), prop::sample::select(&LABELS[..])).prop_flat_map(|(one, other, label)| {
        prop::collection::vec((a_line([one, other], label), any::<bool>()), 0..60)
    })
}

fn a_line(texts: [&'static str; 2], label: &'static str) -> impl Strategy<Value = String> {
    let text = prop::sample::select(texts.to_vec());
    (0..12_u8, text, 0..4_u8, a_time(), 0..2_u8, any::<bool>()).prop_map(
        move |(kind, arguments, exec, time, image, parent)| {
            let binary = texts[1];
            let process = |binary: &str| process(binary, arguments, exec, time, label, image);
            let parent = if parent { format!(",\"parent\":{}", process("/bin/sh")) } else { String::new() };
            let tail = format!("\"node_name\":\"n{}\",\"time\":\"2026-03-06T09:00:00Z\"", exec % 2);
            let probe = |function: &str| {
                let argument = "{\"sock_arg\":{\"daddr\":\"203.0.113.12\",\"dport\":3333}}";
                format!(
                    "{{\"process_kprobe\":{{\"process\":{}{parent},\"function_name\":\"{function}\",\
                     \"args\":[{argument}]}},{tail}}}",
                    process(binary)
                )
            };
            let audit = |verb: &str, stage: &str, subresource: &str| {
                format!(
                    "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Request\",\"auditID\":\"a{exec}\",\
                     \"stage\":\"{stage}\",\"requestURI\":{},\"verb\":\"{verb}\",\"user\":{{\"username\":{}}},\
                     \"objectRef\":{{\"resource\":\"pods\",\"name\":\"web\"{subresource}}},\"requestObject\":{{\"metadata\":\
                     {{\"labels\":{{\"a\":\"b\",{}:\"get\"}}}},\"spec\":{{\"containers\":[{{\"image\":\"evil\"}}]}}}}}}",
                    serde_json::to_string(arguments).unwrap(),
                    serde_json::to_string(binary).unwrap(),
                    serde_json::to_string(label).unwrap(),
                )
            };
            match kind {
                0..=3 => format!("{{\"process_exec\":{{\"process\":{}{parent}}},{tail}}}", process(binary)),
                4 => format!("{{\"process_exit\":{{\"process\":{}{parent}}},{tail}}}", process(binary)),
                5 => probe("tcp_connect"),
                6 => probe("security_file_open"),
                7 => audit("create", "ResponseComplete", ""),
                8 => audit("get", "ResponseStarted", ",\"subresource\":\"exec\""),
                9 => audit("get", "ResponseComplete", ""),
                10 => audit("create", "RequestReceived", ""),
                _ => flow(3333),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_shortcut_drops_nothing_that_a_full_parse_tells(
        lines in a_batch(),
        as_aws in any::<bool>(),
    ) {
        let lines: Vec<String> = lines
            .into_iter()
            .map(|(line, shipped)| if shipped { json!({"stream": "stdout", "log": line + "\n", "time": "x"}).to_string() } else { line })
            .collect();
        let document = document(&lines);
        let text = if as_aws { as_aws_writes(&document) } else { document.to_string() };
        let bytes = text.into_bytes();
        let around = surroundings();
        let envelope = Envelope::outermost(&around);
        let quick = read_inflated(&bytes, &envelope, true);
        let whole = read_inflated(&bytes, &envelope, false);
        prop_assert_eq!(&quick.activities, &whole.activities);
        prop_assert_eq!(&quick.unreadable, &whole.unreadable);
        prop_assert_eq!(quick.ignored, whole.ignored);
    }
}

#[test]
fn repetitions_exits_and_reads_are_dropped_before_they_are_parsed() {
    let around = surroundings();
    let envelope = Envelope::outermost(&around);
    let mut shortcut = Shortcut::default();
    let mut drops = |line: &str| {
        let raw: &'static str = serde_json::to_string(line).unwrap().leak();
        shortcut.drops(raw.strip_prefix('"').unwrap().strip_suffix('"').unwrap(), &envelope)
    };
    let exec = |exec: u8, time: &str| {
        let parent = process("/bin/sh", "", 1, TIMES[0], "app", 1);
        let process = process("/bin/cat", "x", exec, time, "app", 1);
        format!(
            "{{\"process_exec\":{{\"process\":{process},\"parent\":{parent}}},\"node_name\":\"n\",\"time\":\"{time}\"}}"
        )
    };
    assert!(!drops(&exec(1, TIMES[0])));
    assert!(drops(&exec(2, TIMES[1])), "later");
    assert!(!drops(&exec(3, TIMES[2])), "earlier");
    assert!(drops(&exec(4, TIMES[0])), "later than the earlier");
    assert!(drops(&exec(5, TIMES[2]).replace("process_exec", "process_exit")));
    let audit = |verb: &str| {
        format!(
            "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"stage\":\"ResponseComplete\",\"verb\":\"{verb}\",\"objectRef\":{{}}}}"
        )
    };
    assert!(drops(&audit("list")));
    assert!(!drops(&audit("create")));
    let shipped = |line: &str| {
        format!(
            "{{\"time\":\"x\",\"log\":{},\"kubernetes\":{{\"pod_name\":\"t\"}}}}",
            json!(format!("{line}\n"))
        )
    };
    assert!(!drops(&shipped(&exec(6, TIMES[0]))), "the first that is shipped");
    assert!(drops(&shipped(&exec(7, TIMES[1]))));
    assert!(drops(&shipped(&audit("list"))));
    assert!(!drops(&shipped(&audit("create"))));
}

/// Whatever somebody prints into the same log, the events that it imitates are told.
#[test]
fn a_line_that_imitates_an_event_hides_none() {
    let miner = |exec: u8, more: &str| {
        let parent = process("/bin/sh", "", 1, TIMES[0], "app", 1);
        let process = process("/tmp/xmrig", "", exec, TIMES[0], "app", 1);
        let process = process.replacen(",\"refcnt\"", &format!("{more},\"refcnt\""), 1);
        format!(
            "{{\"process_exec\":{{\"process\":{process},\"parent\":{parent}}},\"node_name\":\"n\",\"time\":\"{}\"}}",
            TIMES[0]
        )
    };
    for fake in [
        // It has every mark, and is no JSON.
        miner(1, ",]"),
        // A field that comes twice counts as it comes last; its name can be spelt otherwise.
        miner(1, ",\"binary\":\"/bin/true\""),
        miner(1, ",\"bin\\u0061ry\":\"/bin/true\""),
        miner(1, ",\"pod\":{\"name\":\"other\"}"),
        miner(1, "},\"process\":{\"binary\":\"/bin/true\""),
    ] {
        for wrap in [false, true] {
            let lines = [fake.clone(), miner(2, "")].map(|line| {
                if wrap { json!({"log": line + "\n", "stream": "stdout"}).to_string() } else { line }
            });
            let reading =
                read_all(&delivery(&serde_json::from_str(&as_aws_writes(&document(&lines))).unwrap()));
            let told = |bytes: &[u8]| {
                let around = surroundings();
                let reading = read_inflated(bytes, &Envelope::outermost(&around), true);
                reading
                    .activities
                    .iter()
                    .filter(|it| {
                        format!("{:?}", it.action).contains("xmrig")
                            && it.action.place().is_some_and(|place| place.pod.as_deref() == Some("web"))
                    })
                    .count()
            };
            assert_eq!(told(as_aws_writes(&document(&lines)).as_bytes()), 1, "{fake}");
            assert!(!reading.activities.is_empty());
        }
    }
}
