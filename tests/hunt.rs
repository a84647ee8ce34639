//! `imagewarden hunt` as a user meets it: archives of every layout, damaged ones, filters, chains across files.

mod command;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use command::{gzip, imagewarden};
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const IMAGE: &str = "ami-0f0e1d2c3b4a59687";

/// A trail's record of a launch.
fn launch(number: usize, time: &str, account: &str, region: &str) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": format!("arn:aws:iam::{account}:user/ana"),
            "accountId": account, "userName": "ana",
        },
        "eventTime": time, "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "awsRegion": region,
        "sourceIPAddress": "192.0.2.7", "userAgent": "aws-cli/2.17",
        "requestParameters": {"instancesSet": {"items": [{"imageId": IMAGE, "minCount": 1, "maxCount": 1}]}},
        "responseElements": {"reservationId": "r-1", "instancesSet": {"items": [{
            "instanceId": format!("i-{number:017x}"), "imageId": IMAGE, "instanceType": "m7g.large",
        }]}},
        "requestID": format!("request-{number}"), "eventID": format!("event-{number}"), "readOnly": false,
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account,
        "eventCategory": "Management",
    })
}

/// What `DescribeImages` prints of a stranger's image.
fn facts(folder: &Path) -> PathBuf {
    let facts = folder.join("facts");
    fs::create_dir_all(&facts).unwrap();
    let image = json!({"Images": [{
        "ImageId": IMAGE, "OwnerId": "777788889999", "Name": "free-tools", "Public": true,
        "CreationDate": "2026-01-05T10:00:00.000Z",
    }]});
    fs::write(facts.join("images.json"), image.to_string()).unwrap();
    facts
}

/// As CloudTrail writes it: its own order of fields, no white space.
fn native(records: &[Value]) -> String {
    const ORDER: [&str; 17] = [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "requestParameters",
        "responseElements",
        "requestID",
        "eventID",
        "readOnly",
        "eventType",
        "managementEvent",
        "recipientAccountId",
        "eventCategory",
    ];
    let record = |value: &Value| {
        let fields: Vec<String> =
            ORDER.iter().filter_map(|key| Some(format!("{}:{}", json!(key), value.get(key)?))).collect();
        format!("{{{}}}", fields.join(","))
    };
    format!(r#"{{"Records":[{}]}}"#, records.iter().map(record).collect::<Vec<_>>().join(","))
}

struct Run {
    findings: Vec<Value>,
    told: String,
    code: Option<i32>,
}

/// Findings, standard error and exit code of a hunt.
fn hunt(arguments: &[&str], paths: &[&Path]) -> Run {
    let output =
        imagewarden().arg("hunt").args(["--format", "json"]).args(arguments).args(paths).output().unwrap();
    Run {
        findings: command::findings(&output),
        told: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

fn ids(run: &Run) -> Vec<&str> {
    run.findings
        .iter()
        .map(|it| it.pointer("/metadata/correlation_uid").and_then(Value::as_str).unwrap())
        .collect()
}

#[test]
fn every_layout_and_compression_tells_the_same() {
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let mut records: Vec<Value> = (0..50)
        .map(|number| {
            let mut record = launch(number, "2026-03-01T10:00:00Z", "111122223333", "eu-central-1");
            record["eventName"] = json!("DescribeInstances");
            record["requestParameters"] =
                json!({"note": "\"eventName\":\"RunInstances\"", "eventName": "RunInstances"});
            record
        })
        .collect();
    records.push(launch(77, "2026-03-02T10:00:00Z", "111122223333", "eu-central-1"));
    let whole = native(&records);
    let document = json!({"Records": records});
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let looked_up: Vec<Value> = records
        .iter()
        .map(|it| json!({"EventName": it["eventName"], "CloudTrailEvent": it.to_string()}))
        .collect();
    let rows: Vec<Value> = records.iter().map(|it| json!([{"eventJson": it.to_string()}])).collect();
    let exported: String = records
        .iter()
        .map(|it| format!("{} {it}\n", it["eventTime"].as_str().unwrap().replace('Z', ".000Z")))
        .collect();
    let events: String = records
        .iter()
        .map(|it| {
            let event = json!({
                "version": "0", "id": it["eventID"], "detail-type": "AWS API Call via CloudTrail",
                "source": "aws.ec2", "account": "111122223333", "time": it["eventTime"], "region": "eu-central-1",
                "resources": [], "detail": it, "replay-name": "again",
            });
            format!("{event}\n")
        })
        .collect();
    let table: String = ["eventID,eventJson\n".to_owned()]
        .into_iter()
        .chain(records.iter().map(|it| format!("x,\"{}\"\n", it.to_string().replace('"', "\"\""))))
        .collect();
    let mut members = gzip(&lines[..lines.find('\n').unwrap() + 1]);
    members.extend(gzip(&lines[lines.find('\n').unwrap() + 1..]));
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("native.json", whole.clone().into_bytes()),
        ("native.json.gz", gzip(&whole)),
        ("native.json.zst", zstd::encode_all(whole.as_bytes(), 3).unwrap()),
        ("sorted.json", document.to_string().into_bytes()),
        ("pretty.json", serde_json::to_string_pretty(&document).unwrap().into_bytes()),
        ("lines.jsonl", lines.clone().into_bytes()),
        ("members.jsonl.gz", members),
        ("lookup.json", serde_json::to_string_pretty(&json!({"Events": looked_up})).unwrap().into_bytes()),
        ("lake.json", json!({"QueryStatus": "FINISHED", "QueryResultRows": rows}).to_string().into_bytes()),
        ("lake.csv", table.into_bytes()),
        ("export.log", exported.into_bytes()),
        ("events.jsonl", events.into_bytes()),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let run = hunt(&["--facts", facts.to_str().unwrap()], &[&path]);
        assert_eq!(ids(&run), ["event-77"], "{name}: {}", run.told);
        assert_eq!(run.code, Some(0), "{name}");
        assert!(run.told.contains("51 records"), "{name}: {}", run.told);
        // The same through a pipe.
        let output = imagewarden()
            .args(["hunt", "--format", "json", "--facts", facts.to_str().unwrap(), "-"])
            .write_stdin(bytes)
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("event-77"), "{name} on standard input");
    }
}

#[test]
fn hunt_and_check_tell_the_same_of_every_sample() {
    let events = Path::new(ROOT).join("events");
    let checked = imagewarden().args(["check", "--format", "json"]).arg(&events).output().unwrap();
    let hunted = hunt(&[], &[&events]);
    let alerts = |text: &str| {
        let mut uids: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|it| !it["message"].as_str().unwrap_or_default().contains("Could not check"))
            .map(|it| it.pointer("/metadata/uid").unwrap().to_string())
            .collect();
        uids.sort();
        uids
    };
    let hunted_text: String = hunted.findings.iter().map(|it| format!("{it}\n")).collect();
    let (checked, hunted) = (alerts(&String::from_utf8(checked.stdout).unwrap()), alerts(&hunted_text));
    let missing: Vec<_> = checked.iter().filter(|uid| !hunted.contains(uid)).collect();
    assert!(checked.len() > 30);
    // Launches that nobody could judge are told by image instead.
    assert!(missing.len() <= 3, "{missing:?}");
    assert!(hunted.iter().all(|uid| checked.contains(uid)));
}

#[test]
fn chains_are_seen_across_files_and_whatever_is_kept_in_memory() {
    let folder = TempDir::new().unwrap();
    let chain = fs::read_to_string(Path::new(ROOT).join("events/chains/first-boot-activity.jsonl")).unwrap();
    // Each event in a file of its own, the last first.
    for (number, line) in chain.lines().rev().enumerate() {
        fs::write(folder.path().join(format!("{number}.json.gz")), gzip(line)).unwrap();
    }
    let facts = Path::new(ROOT).join("events/chains/facts");
    for bound in ["1", "1000"] {
        let run = hunt(&["--facts", facts.to_str().unwrap(), "--in-memory", bound], &[folder.path()]);
        let found = run.findings.iter().any(|it| it.to_string().contains("first-boot-activity"));
        assert!(found, "{bound}: {}", run.told);
    }
}

#[test]
fn alerts_come_in_the_order_of_event_times() {
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for number in 0..30 {
        // Files are named in another order than that of their events.
        let day = 1 + (number * 7) % 28;
        let mut record =
            launch(number, &format!("2026-02-{day:02}T10:00:00Z"), "111122223333", "eu-central-1");
        record["userIdentity"]["arn"] = json!(format!("arn:aws:iam::111122223333:user/u{number}"));
        fs::write(logs.join(format!("{number:02}.json")), native(&[record])).unwrap();
    }
    for bound in ["3", "100000"] {
        let run = hunt(&["--facts", facts.to_str().unwrap(), "--in-memory", bound, "--jobs", "3"], &[&logs]);
        let times: Vec<i64> = run.findings.iter().map(|it| it["time"].as_i64().unwrap()).collect();
        assert_eq!(times.len(), 30, "{}", run.told);
        assert!(times.is_sorted(), "{times:?}");
    }
}

#[test]
fn without_owners_launches_are_told_by_image_with_the_command_that_fetches_them() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log.json.gz");
    let records: Vec<Value> = (0..40)
        .map(|number| {
            let region = if number % 2 == 0 { "eu-central-1" } else { "us-east-1" };
            launch(number, "2026-03-01T10:00:00Z", "111122223333", region)
        })
        .collect();
    fs::write(&log, gzip(&native(&records))).unwrap();
    let run = imagewarden().arg("hunt").arg(&log).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.contains("40 launches of 2 images could not be judged"), "{text}");
    for region in ["eu-central-1", "us-east-1"] {
        let command = format!(
            "mkdir -p facts/regions/{region} && aws ec2 describe-images --region {region} --include-deprecated --output \
             json --filters Name=image-id,Values={IMAGE} > facts/regions/{region}/images-1.json"
        );
        assert!(text.contains(&command), "{text}");
    }
    assert!(!text.contains("Could not check"), "no alert for each: {text}");
    // With what that command prints, each launch is judged.
    let facts = facts(folder.path());
    let run = hunt(&["--facts", facts.to_str().unwrap()], &[&log]);
    assert!(!run.findings.is_empty());
    assert!(!run.told.contains("could not be judged"), "{}", run.told);
}

#[test]
fn filters_keep_what_was_asked_for() {
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let log = folder.path().join("log.json");
    let records: Vec<Value> = [
        ("2026-03-01T10:00:00Z", "111122223333", "eu-central-1"),
        ("2026-03-02T23:59:59Z", "111122223333", "us-east-1"),
        ("2026-03-03T00:00:00Z", "444455556666", "eu-central-1"),
        ("2026-03-05T10:00:00Z", "444455556666", "us-east-1"),
    ]
    .iter()
    .enumerate()
    .map(|(number, (time, account, region))| launch(number, time, account, region))
    .collect();
    fs::write(&log, native(&records)).unwrap();
    let facts = facts.to_str().unwrap();
    for (arguments, expected) in [
        (vec![], vec!["event-0", "event-1", "event-2", "event-3"]),
        (vec!["--since", "2026-03-02"], vec!["event-1", "event-2", "event-3"]),
        (vec!["--until", "2026-03-02"], vec!["event-0", "event-1"]),
        (vec!["--since", "2026-03-02T00:00:00Z", "--until", "2026-03-03T00:00:00Z"], vec!["event-1"]),
        (vec!["--since", "1d"], vec![]),
        (vec!["--account", "444455556666"], vec!["event-2", "event-3"]),
        (
            vec!["--account", "444455556666", "--account", "111122223333", "--region", "us-east-1"],
            vec!["event-1", "event-3"],
        ),
        (vec!["--detection", "machine-image-not-approved"], vec!["event-0", "event-1", "event-2", "event-3"]),
        (vec!["--detection", "miner-process"], vec![]),
        (vec!["--severity", "critical"], vec![]),
    ] {
        let mut all = vec!["--facts", facts];
        all.extend(&arguments);
        let run = hunt(&all, &[&log]);
        assert_eq!(ids(&run), expected, "{arguments:?}: {}", run.told);
    }
    for wrong in [["--since", "yesterday"], ["--detection", "no-such"], ["--account", "12"], ["--jobs", "0"]]
    {
        imagewarden().arg("hunt").args(wrong).arg(&log).assert().code(2);
    }
}

#[test]
fn one_account_is_that_of_records_that_name_none() {
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let mut record = launch(1, "2026-03-01T10:00:00Z", "111122223333", "eu-central-1");
    record["recipientAccountId"] = Value::Null;
    record["userIdentity"] = json!({"type": "IAMUser", "userName": "ana"});
    let log = folder.path().join("log.json");
    fs::write(&log, record.to_string()).unwrap();
    let facts = facts.to_str().unwrap();
    let run = hunt(&["--facts", facts, "--account", "444455556666"], &[&log]);
    assert_eq!(run.findings[0].pointer("/cloud/account/uid").unwrap(), "444455556666");
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let records: Vec<Value> = (0..200)
        .map(|number| {
            launch(number, &format!("2026-03-01T10:{:02}:00Z", number % 60), "111122223333", "eu-central-1")
        })
        .collect();
    let whole = native(&records);
    let compressed = gzip(&whole);
    fs::write(logs.join("cut.json.gz"), &compressed[..compressed.len() * 2 / 3]).unwrap();
    fs::write(logs.join("garbage.json.gz"), b"\x1f\x8b\x08\x00garbage").unwrap();
    fs::write(logs.join("empty.json"), b"").unwrap();
    fs::write(
        logs.join("good.json"),
        native(&[launch(900, "2026-03-02T10:00:00Z", "111122223333", "us-east-1")]),
    )
    .unwrap();
    fs::write(
        logs.join("line.jsonl"),
        format!("{{\"eventName\": \n{}\n", launch(901, "2026-03-03T10:00:00Z", "111122223333", "us-west-2")),
    )
    .unwrap();
    let facts = facts.to_str().unwrap();
    let run = hunt(&["--facts", facts], &[&logs]);
    let found = ids(&run);
    assert_eq!(run.code, Some(0));
    assert!(found.contains(&"event-0"), "what precedes the cut: {}", run.told);
    assert!(found.contains(&"event-900") && found.contains(&"event-901"), "{found:?}");
    for name in [
        "cut.json.gz: gzip that cannot",
        "garbage.json.gz: gzip",
        "empty.json: empty",
        "line.jsonl, line 1: not JSON",
    ] {
        assert!(run.told.contains(name), "{name}: {}", run.told);
    }
    assert!(run.told.contains("4 unreadable"), "{}", run.told);
    assert_eq!(hunt(&["--facts", facts, "--strict"], &[&logs]).code, Some(2));
    assert_eq!(hunt(&["--strict", "--facts", facts], &[&logs.join("good.json")]).code, Some(0));
    let nothing = hunt(&[], &[&logs.join("garbage.json.gz")]);
    assert_eq!(nothing.code, Some(2), "an input that yields nothing");
    imagewarden().args(["hunt", "/no/such/folder"]).assert().code(2).stderr(contains("/no/such/folder"));
    // Asked for by its name, a folder of facts is read as logs.
    imagewarden()
        .arg("hunt")
        .arg(folder.path().join("facts"))
        .assert()
        .code(2)
        .stderr(contains("images.json"));
}

#[test]
fn a_page_and_a_file_can_be_asked_for() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log.json");
    fs::write(&log, native(&[launch(1, "2026-03-01T10:00:00Z", "111122223333", "eu-central-1")])).unwrap();
    let page = folder.path().join("report.html");
    imagewarden()
        .args(["hunt", "--format", "html", "--since", "2026-01-01", "--output"])
        .arg(&page)
        .arg(&log)
        .assert()
        .success()
        .stdout("");
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.starts_with("<!") && page.contains(IMAGE) && page.contains("Only events since 2026-01-01"),
        "{page}"
    );
    imagewarden().args(["hunt", "--output", "/no/such/folder/x"]).arg(&log).assert().code(2);
}

#[test]
fn generated_archives_yield_their_truth_in_every_layout() {
    let folder = TempDir::new().unwrap();
    let mut told: Vec<(String, String)> = Vec::new();
    for layout in ["native", "lines", "pretty", "sorted", "lookup", "events"] {
        let archive = folder.path().join(layout);
        let made = Process::new("python3")
            .arg(Path::new(ROOT).join("benches/archive.py"))
            .args(["--records", "4000", "--in-a-file", "500", "--layout", layout])
            .arg(&archive)
            .output()
            .expect("python3");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let truth: Value = serde_json::from_slice(&made.stdout).unwrap();
        let run = hunt(&["--no-warm-up"], &[&archive.join("AWSLogs")]);
        assert!(run.told.contains("4,000 records"), "{layout}: {}", run.told);
        let launches = truth["calls"]["RunInstances"].as_u64().unwrap();
        assert!(run.told.contains(&format!("{launches} launches of ")), "{layout}: {}", run.told);
        let last = run.told.lines().filter(|line| !line.contains("seconds")).collect::<Vec<_>>().join("\n");
        let findings = run.findings.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        told.push((layout.to_owned(), format!("{findings}\n{last}")));
    }
    for (layout, text) in &told[1..] {
        assert_eq!(text, &told[0].1, "{layout}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_hunt_tells_what_it_found_until_then() {
    use std::process::Stdio;
    let folder = TempDir::new().unwrap();
    let facts = facts(folder.path());
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("imagewarden"))
        .args(["hunt", "--format", "json", "--facts", facts.to_str().unwrap(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let other = format!("{}\n", native(&[json!({"eventVersion": "1.11", "eventName": "Decrypt"})]));
    let filling = other.repeat(5 * 1024 * 1024 / other.len());
    writeln!(stdin, "{}", launch(1, "2026-03-01T10:00:00Z", "111122223333", "eu-central-1")).unwrap();
    stdin.write_all(filling.as_bytes()).unwrap();
    assert!(Process::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    std::thread::sleep(std::time::Duration::from_millis(300));
    // It goes away before it has read all of this.
    let rest = std::thread::spawn(move || (0..100).all(|_| stdin.write_all(filling.as_bytes()).is_ok()));
    let output = child.wait_with_output().unwrap();
    assert!(!rest.join().unwrap(), "it read to the end");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("interrupted"), "{told}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("event-1"), "{told}");
}
