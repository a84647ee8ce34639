//! `imagewarden learn` as a user meets it: the real binary over archives, and `hunt` under what it wrote.

mod command;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use chrono::{DateTime, TimeDelta, Utc};
use command::{analytic, gzip};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
const ACCOUNT: &str = "111122223333";
const UBUNTU: &str = "099720109477";

/// Where the machine is has no part in hours.
fn imagewarden() -> Command {
    let mut command = command::imagewarden();
    command.env("TZ", "Asia/Tokyo");
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn learn(arguments: &[&str], path: &Path) -> String {
    text(&imagewarden().arg("learn").args(arguments).arg(path).output().unwrap())
}

/// A policy as `policy show` reads it.
fn shown(policy: &Path) -> String {
    text(&imagewarden().args(["policy", "show"]).arg(policy).output().unwrap())
}

fn findings(arguments: &[&str], path: &Path) -> Vec<Value> {
    command::told(imagewarden().args(arguments).arg(path))
}

/// Two months of a quiet shop: a role that launches and pushes on working days, and one night.
struct Archive {
    folder: TempDir,
    records: Vec<Value>,
}

impl Archive {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), records: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn record(&mut self, time: DateTime<Utc>, role: &str, call: Value) {
        let mut record = json!({
            "eventVersion": "1.11", "eventTime": time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "eventID": format!("00000000-0000-4000-8000-{:012}", self.records.len()),
            "awsRegion": "eu-central-1", "recipientAccountId": ACCOUNT, "eventType": "AwsApiCall", "readOnly": false,
            "sourceIPAddress": "198.51.100.24", "userAgent": "aws-cli/2.31.4",
            "userIdentity": {
                "type": "AssumedRole", "accountId": ACCOUNT,
                "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"),
                "sessionContext": {"sessionIssuer": {
                    "type": "Role", "userName": role, "accountId": ACCOUNT,
                    "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
                }},
            },
        });
        record.as_object_mut().unwrap().extend(call.as_object().unwrap().clone());
        self.records.push(record);
    }

    fn push(&mut self, time: DateTime<Utc>, role: &str, repository: &str) {
        let digest = format!("sha256:{:064x}", self.records.len());
        let call = json!({
            "eventSource": "ecr.amazonaws.com", "eventName": "PutImage",
            "requestParameters": {"repositoryName": repository, "imageTag": "1", "registryId": ACCOUNT},
            "responseElements": {"image": {"repositoryName": repository, "registryId": ACCOUNT,
                "imageId": {"imageTag": "1", "imageDigest": digest}}},
        });
        self.record(time, role, call);
    }

    fn launch(&mut self, time: DateTime<Utc>, role: &str, image: &str) {
        let instance = format!("i-{:017x}", self.records.len());
        let call = json!({
            "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
            "requestParameters": {"instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]}},
            "responseElements": {"instancesSet": {"items": [{"instanceId": instance, "imageId": image}]}},
        });
        self.record(time, role, call);
    }

    /// Working days in Berlin, nine to five, from March to May: the clocks change in between.
    fn shop() -> Self {
        let mut archive = Self::new();
        let start: DateTime<Utc> = "2026-03-02T00:00:00Z".parse().unwrap();
        let change: DateTime<Utc> = "2026-03-29T00:00:00Z".parse().unwrap();
        for day in (0..70).filter(|day| day % 7 < 5) {
            let midnight = start + TimeDelta::days(day)
                - TimeDelta::hours(if start + TimeDelta::days(day) < change { 1 } else { 2 });
            archive.launch(midnight + TimeDelta::hours(9), "deploy", "ami-00000000000000001");
            archive.launch(midnight + TimeDelta::hours(10), "deploy", "ami-00000000000000002");
            for hour in [9, 11, 16] {
                archive.push(midnight + TimeDelta::hours(hour), "ci/build", "team/app");
            }
        }
        archive.push("2026-04-18T01:30:00Z".parse().unwrap(), "ci/build", "team/app");
        archive.push("2026-04-20T10:00:00Z".parse().unwrap(), "intern", "team/web");
        archive.launch("2026-04-20T10:30:00Z".parse().unwrap(), "intern", "ami-00000000000000003");
        let images = json!({"Images": [
            {"ImageId": "ami-00000000000000001", "OwnerId": ACCOUNT, "Name": "golden", "Public": false},
            {"ImageId": "ami-00000000000000002", "OwnerId": UBUNTU, "Name": "ubuntu-noble", "Public": true},
            {"ImageId": "ami-00000000000000003", "OwnerId": "777788889999", "Name": "free-gpu", "Public": true},
        ]});
        archive.file("facts/images.json", &images.to_string());
        archive
    }

    /// As S3 holds it: gzip, a file a hundred records.
    fn write(&self) {
        for (number, records) in self.records.chunks(100).enumerate() {
            let file = self.file(&format!("AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/{number}.json.gz"), "");
            fs::write(file, gzip(&json!({"Records": records}).to_string())).unwrap();
        }
    }
}

#[test]
fn a_learned_policy_names_owners_pushers_and_hours_and_hunts_quietly() {
    let archive = Archive::shop();
    archive.write();
    let yaml = learn(&["--zone", "Europe/Berlin"], archive.path());
    let policy = archive.file("learned.yaml", &yaml);
    imagewarden()
        .args(["policy", "check"])
        .arg(&policy)
        .assert()
        .success()
        .stdout(contains("the policy is sound"));
    let line = |part: &str| {
        yaml.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {yaml}"))
    };
    assert!(line(UBUNTU).trim_start().starts_with("- "), "{yaml}");
    assert!(line("ami-00000000000000003").contains("# review: "), "{yaml}");
    assert!(line("role/intern").contains("# review: on one day only"), "{yaml}");
    assert!(line("hours:").contains("hours: \"08:00-18:00\", zone: \"Europe/Berlin\""), "{yaml}");
    assert!(line("first Sat 01:30").contains("# review: outside the hours above"), "{yaml}");
    assert!(line("role/ci/build\", repositories").contains("151 pushes, 2026-03-02 to 2026-05-08"), "{yaml}");

    // Before, every Ubuntu and every push before nine told; after, what is marked.
    let policy = policy.to_str().unwrap();
    let logs = archive.path().join("AWSLogs");
    let facts = archive.path().join("facts");
    let facts = facts.to_str().unwrap();
    let arguments = ["hunt", "--facts", facts, "--severity", "medium", "--policy", policy];
    let mut told: Vec<String> = findings(&arguments, &logs)
        .iter()
        .map(|finding| {
            format!(
                "{} {}",
                analytic(finding),
                finding.pointer("/unmapped/subject").unwrap().as_str().unwrap()
            )
        })
        .collect();
    told.sort();
    let expected = [
        ("ecr-push-outside-hours", "team/app"),
        ("ecr-push-unknown-user", "team/web"),
        ("machine-image-not-approved", "ami-00000000000000003"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, (detection, subject)) in told.iter().zip(expected) {
        assert!(told.starts_with(detection) && told.contains(subject), "{told}");
    }
}

#[test]
fn owners_that_nobody_told_are_asked_for_with_a_command() {
    let archive = Archive::shop();
    archive.write();
    let yaml = learn(&[], &archive.path().join("AWSLogs"));
    assert!(yaml.contains("aws ec2 describe-images --region eu-central-1 --include-deprecated"), "{yaml}");
    assert!(yaml.contains("ami-00000000000000001,ami-00000000000000002,ami-00000000000000003"), "{yaml}");
    assert!(!yaml.contains(UBUNTU), "nobody said so");
}

#[test]
fn of_the_samples_nothing_malicious_is_approved() {
    let folder = TempDir::new().unwrap();
    let policy = folder.path().join("policy.yaml");
    imagewarden()
        .args(["learn", EVENTS, "--output"])
        .arg(&policy)
        .assert()
        .success()
        .stdout(predicate::str::is_empty())
        .stderr(contains("to review"));
    let effective = shown(&policy);
    for attacker in
        ["quietharbor", "alpineos", "quickdata", "777788889999", "ami-079158b5b443b543e", "tomas.berg"]
    {
        assert!(!effective.contains(attacker), "{attacker} is approved: {effective}");
    }
    assert!(effective.contains(UBUNTU) && effective.contains("Canonical") && effective.contains("google"));
}

/// A policy that somebody had written was gone.
#[test]
fn a_file_that_is_there_is_overwritten_only_when_asked_for() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.yaml");
    fs::write(&file, "# mine\n").unwrap();
    for option in ["--output", "--seed"] {
        imagewarden().args(["learn", EVENTS, option]).arg(&file).assert().code(2).stderr(contains("--force"));
        imagewarden()
            .args(["hunt", EVENTS, "--output"])
            .arg(&file)
            .assert()
            .code(2)
            .stderr(contains("--force"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
    }
    imagewarden().args(["learn", EVENTS, "--force", "--output"]).arg(&file).assert().success();
    assert!(fs::read_to_string(&file).unwrap().contains("owners:"));
}

#[test]
fn the_same_data_gives_the_same_policy_however_it_is_read() {
    let archive = Archive::shop();
    archive.write();
    let one = learn(&["--jobs", "1"], archive.path());
    assert_eq!(learn(&["--jobs", "4"], archive.path()), one);
    let lines: String = archive.records.iter().rev().map(|record| format!("{record}\n")).collect();
    let other = Archive::new();
    other.file("all.jsonl", &lines);
    let facts = archive.path().join("facts");
    assert_eq!(learn(&["--facts", facts.to_str().unwrap()], other.path()), one);
}

#[test]
fn a_merge_shows_a_diff_that_can_be_applied_and_leaves_the_file_alone() {
    let archive = Archive::shop();
    archive.write();
    let before = "# Our policy.\nimages:\n  approved:\n    owners: [self, amazon]  # agreed on Monday\n\nuploads:\n  pushers:\n    # The builds.\n    - principal: \"arn:aws:iam::*:role/old\"\n";
    let policy = archive.file("policy.yaml", before);
    let diff = learn(&["--merge", policy.to_str().unwrap()], archive.path());
    assert_eq!(fs::read_to_string(&policy).unwrap(), before, "the file is left alone");
    assert!(diff.contains("-    owners: [self, amazon]  # agreed on Monday\n"), "{diff}");
    assert!(
        diff.contains(&format!("+    owners: [self, amazon, \"{UBUNTU}\"]  # agreed on Monday\n")),
        "{diff}"
    );
    let patch = archive.file("change.diff", &diff);
    let applied =
        std::process::Command::new("patch").arg(&policy).arg(&patch).output().expect("patch is there");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stdout));
    let effective = shown(&policy);
    assert!(
        effective.contains(UBUNTU) && effective.contains("role/ci/build") && effective.contains("role/old")
    );
    assert_eq!(learn(&["--merge", policy.to_str().unwrap()], archive.path()), "", "twice adds nothing");
}

#[test]
fn names_from_attackers_break_out_of_nothing() {
    let mut archive = Archive::new();
    let hostile = [
        "x\"\n- evil: [*]\n#",
        "a: {b: c} # review\r\npushers: []",
        "\u{2028}\u{85}next: line",
        "\u{202e}\u{0}\u{7f}]}\\",
        "*",
        "team/*\" , \"*",
    ];
    for (number, name) in hostile.iter().enumerate() {
        for day in 0..5 {
            let time: DateTime<Utc> = "2026-03-02T10:00:00Z".parse().unwrap();
            let time = time + TimeDelta::days(day) + TimeDelta::minutes(i64::try_from(number).unwrap());
            archive.push(time, name, name);
            archive.launch(time, name, name);
        }
    }
    archive.write();
    let policy = archive.file("learned.yaml", &learn(&[], archive.path()));
    imagewarden().args(["policy", "check"]).arg(&policy).assert().success();
    let yaml = fs::read_to_string(&policy).unwrap();
    for line in yaml.lines() {
        assert!(!line.chars().any(|c| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c)), "{line:?}");
    }
    // A name that reads as a pattern would approve others.
    assert!(yaml.contains("# review: the name reads as a pattern"), "{yaml}");
    let effective = shown(&policy);
    assert!(!effective.contains("team/*"), "{effective}");
}

#[test]
fn a_seed_makes_what_was_seen_no_news_and_the_rest_news_at_once() {
    let archive = Archive::shop();
    archive.write();
    let seed = archive.path().join("seed");
    let seed = seed.to_str().unwrap();
    learn(&["--seed", seed], archive.path());
    let mut later = Archive::new();
    later.launch("2026-06-01T09:00:00Z".parse().unwrap(), "deploy", "ami-00000000000000002");
    later.launch("2026-06-01T09:05:00Z".parse().unwrap(), "deploy", "ami-00000000000000009");
    later.write();
    let newly = |arguments: &[&str]| -> Vec<String> {
        let logs = later.path().join("AWSLogs");
        let told = findings(arguments, &logs);
        let analytics = told.iter().flat_map(|finding| {
            let related = finding.pointer("/finding_info/related_analytics").and_then(Value::as_array);
            let all = related.into_iter().flatten().chain(finding.pointer("/finding_info/analytic"));
            let new = all.clone().any(|it| it["uid"] == "machine-image-newly-seen");
            new.then(|| finding.pointer("/unmapped/subject").unwrap().as_str().unwrap().to_owned())
        });
        analytics.collect()
    };
    assert_eq!(newly(&["check"]), Vec::<String>::new(), "unseeded, it learns for a week");
    for command in ["check", "hunt"] {
        let told = newly(&[command, "--seed", seed]);
        if command == "check" {
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("ami-00000000000000009"), "{told:?}");
        } else {
            assert!(told.iter().all(|subject| !subject.contains("ami-00000000000000002")), "{told:?}");
        }
    }
    assert_eq!(newly(&["check", "--no-warm-up"]).len(), 2, "without a seed both are new");
}

#[test]
fn what_cannot_be_read_is_said() {
    let archive = Archive::new();
    let damaged = archive.file("damaged.json.gz", "\u{1f}\u{8b} nothing of the kind");
    imagewarden()
        .arg("learn")
        .arg(&damaged)
        .assert()
        .code(2)
        .stdout(predicate::str::is_empty())
        .stderr(contains("unreadable: "));
    imagewarden().args(["learn", "/no/such/folder"]).assert().code(2);
    imagewarden()
        .args(["learn", "--zone", "Berlin"])
        .arg(EVENTS)
        .assert()
        .code(2)
        .stderr(contains("no time zone"));
    let policy = archive.file("policy.yaml", "image: {}\n");
    imagewarden()
        .args(["learn", "--merge"])
        .arg(&policy)
        .arg(EVENTS)
        .assert()
        .code(2)
        .stdout(predicate::str::is_empty());
    let seed = archive.file("seed", "{}\n");
    imagewarden()
        .args(["check", "--seed"])
        .arg(&seed)
        .arg(EVENTS)
        .assert()
        .code(2)
        .stderr(contains("line 1"));
}
