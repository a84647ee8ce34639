//! The command line as a user meets it: the real binary, its output and its exit codes.

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{analytic, imagewarden};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");

fn event(name: &str) -> PathBuf {
    Path::new(EVENTS).join(name)
}

fn findings(arguments: &[&str], paths: &[PathBuf]) -> Vec<Value> {
    command::findings(&imagewarden().args(arguments).args(["--format", "json"]).args(paths).output().unwrap())
}

#[test]
fn an_instance_from_a_community_image_is_told() {
    imagewarden()
        .arg("check")
        .arg(event("run-instances-community-ami.json"))
        .assert()
        .success()
        .stdout(contains("machine-image-not-approved"))
        .stderr(contains("1 alert"));
}

#[test]
fn an_instance_from_amazons_own_image_is_not() {
    imagewarden()
        .arg("check")
        .arg(event("run-instances-amazon-linux.json"))
        .assert()
        .success()
        .stdout(predicate::str::is_empty());
}

#[test]
fn json_is_one_detection_finding_a_line() {
    let findings = findings(&["check"], &[event("run-instances-community-ami.json")]);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding["class_uid"], 2004);
    assert_eq!(finding["activity_id"], 1);
    assert_eq!(finding["severity_id"], 4);
    assert_eq!(analytic(finding), "machine-image-not-approved");
    assert_eq!(finding["metadata"]["profiles"], serde_json::json!(["cloud"]));
    assert_eq!(finding["cloud"]["provider"], "AWS");
    let attack = finding.pointer("/finding_info/attacks/0").unwrap().to_string();
    assert!(attack.contains("T1204.003"), "{attack}");
}

#[test]
fn without_facts_the_approval_check_says_that_it_cannot_tell() {
    let folder = TempDir::new().unwrap();
    let lonely = folder.path().join("event.json");
    fs::copy(event("run-instances-community-ami.json"), &lonely).unwrap();
    let findings = findings(&["check"], &[lonely]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["severity_id"], 3);
    assert_eq!(analytic(&findings[0]), "machine-image-not-approved");
}

#[test]
fn fail_on_is_exit_code_1_and_only_from_its_severity_up() {
    let path = event("run-instances-community-ami.json");
    imagewarden().args(["check", "--fail-on", "high"]).arg(&path).assert().code(1);
    imagewarden().args(["check", "--fail-on", "critical"]).arg(&path).assert().code(0);
    imagewarden().args(["check", "--fail-on", "worst"]).arg(&path).assert().code(2);
}

#[test]
fn an_unreadable_input_is_exit_code_2_and_the_others_are_still_judged() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{\"Records\": [").unwrap();
    imagewarden()
        .arg("check")
        .arg(&broken)
        .arg(event("run-instances-community-ami.json"))
        .args(["--facts", &format!("{EVENTS}/facts")])
        .assert()
        .code(2)
        .stdout(contains("machine-image-not-approved"))
        .stderr(contains("broken.json"));
}

#[test]
fn an_unreadable_record_in_a_readable_input_is_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log.json");
    let good: Value =
        serde_json::from_str(&fs::read_to_string(event("run-instances-amazon-linux.json")).unwrap()).unwrap();
    fs::write(&path, serde_json::json!({"Records": [good["detail"], 7]}).to_string()).unwrap();
    imagewarden().arg("check").arg(&path).assert().code(0).stderr(contains("1 unreadable"));
}

#[test]
fn a_missing_file_an_empty_folder_and_an_unknown_option_are_bad_usage() {
    let folder = TempDir::new().unwrap();
    imagewarden()
        .args(["check", "/no/such/file.json"])
        .assert()
        .code(2)
        .stderr(contains("/no/such/file.json"));
    imagewarden().arg("check").arg(folder.path()).assert().code(2);
    imagewarden().args(["check", "--frobnicate"]).assert().code(2);
    imagewarden()
        .args(["check", "--account", "12"])
        .arg(EVENTS)
        .assert()
        .code(2)
        .stderr(contains("twelve digits"));
}

#[test]
fn a_folder_is_read_below_its_facts_excepted() {
    let folder = TempDir::new().unwrap();
    let deep = folder.path().join("2026/11");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir(folder.path().join("facts")).unwrap();
    fs::copy(event("run-instances-community-ami.json"), deep.join("event.json")).unwrap();
    for facts in
        fs::read_dir(event("facts")).unwrap().filter_map(Result::ok).filter(|entry| entry.path().is_file())
    {
        fs::copy(facts.path(), folder.path().join("facts").join(facts.file_name())).unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "not an event").unwrap();
    imagewarden()
        .arg("check")
        .arg(folder.path())
        .assert()
        .code(0)
        .stdout(contains("machine-image-not-approved"))
        .stderr(contains("1 file:"));
}

#[test]
fn there_is_no_colour_when_it_is_not_a_terminal() {
    let path = event("run-instances-community-ami.json");
    imagewarden().arg("check").arg(&path).assert().stdout(contains("\u{1b}").not());
    let forced = imagewarden().arg("check").arg(&path).env("CLICOLOR_FORCE", "1").assert();
    forced.stdout(contains("\u{1b}["));
}

#[test]
fn explain_gives_every_detection_a_verdict_also_where_nothing_fired() {
    let output = imagewarden().arg("explain").arg(event("run-instances-amazon-linux.json")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let listed = imagewarden().args(["detections", "--format", "json"]).output().unwrap();
    for line in String::from_utf8(listed.stdout).unwrap().lines() {
        let detection: Value = serde_json::from_str(line).unwrap();
        let id = detection["id"].as_str().unwrap();
        assert!(text.contains(id), "{id} is missing from\n{text}");
    }
}

#[test]
fn a_policy_mistake_is_told_with_its_line_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let policy = folder.path().join("policy.yaml");
    fs::write(&policy, "images:\n  approved:\n    owner: [self]\n").unwrap();
    imagewarden()
        .args(["check", "--policy"])
        .arg(&policy)
        .arg(EVENTS)
        .assert()
        .code(2)
        .stderr(contains("owners").and(contains("3")));
    imagewarden().args(["policy", "check"]).arg(&policy).assert().code(2);
}

#[test]
fn the_policy_beside_the_user_goes_before_the_built_in_one() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("policy.yaml"),
        "detections:\n  machine-image-not-approved: {enabled: false}\n",
    )
    .unwrap();
    imagewarden()
        .current_dir(folder.path())
        .arg("check")
        .arg(event("run-instances-community-ami.json"))
        .assert()
        .success()
        .stdout(predicate::str::is_empty());
}

#[test]
fn policy_show_prints_a_policy_that_is_sound() {
    let folder = TempDir::new().unwrap();
    let shown = imagewarden().args(["policy", "show"]).output().unwrap();
    assert!(shown.status.success());
    let path = folder.path().join("shown.yaml");
    fs::write(&path, shown.stdout).unwrap();
    imagewarden().args(["policy", "check"]).arg(&path).assert().success().stdout(contains("sound"));
    imagewarden().args(["policy", "schema"]).assert().success().stdout(contains("$schema"));
}

#[test]
fn the_same_event_twice_is_one_alert() {
    let path = event("run-instances-community-ami.json");
    assert_eq!(findings(&["check"], &[path.clone(), path]).len(), 1);
}

#[test]
fn alerts_under_the_floor_are_printed_and_marked() {
    let folder = TempDir::new().unwrap();
    let policy = folder.path().join("quiet.yaml");
    fs::write(&policy, "notify: {minimum_severity: critical}\n").unwrap();
    let found = findings(
        &["check", "--policy", policy.to_str().unwrap()],
        &[event("run-instances-community-ami.json")],
    );
    assert_eq!(found[0]["unmapped"]["below_floor"], true);
    let told = findings(&["check"], &[event("run-instances-community-ami.json")]);
    assert!(told[0]["unmapped"].get("below_floor").is_none_or(|below| below == false));
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        imagewarden().args(["completions", shell]).assert().success().stdout(contains("imagewarden"));
    }
}

#[test]
fn the_sample_chains_are_told_as_time_lines() {
    let findings = findings(&["check"], &[event("chains")]);
    for chain in ["first-boot-activity", "container-first-activity"] {
        let finding = findings.iter().find(|finding| analytic(finding) == chain).expect(chain);
        assert_eq!(finding["severity_id"], 5, "{chain}");
        assert!(finding.to_string().contains("timeline"), "{chain}");
    }
}

/// Over events alone nothing is known yet: first sightings are learned, unless they are asked for.
#[test]
fn without_a_warm_up_first_sightings_are_told_at_once() {
    let path = [event("run-instances-community-ami.json")];
    assert!(!findings(&["check"], &path)[0].to_string().contains("machine-image-newly-seen"));
    let told = findings(&["check", "--no-warm-up"], &path);
    assert!(told[0].to_string().contains("machine-image-newly-seen"));
}

/// `| head` ended in "Broken pipe" and exit code 2.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    for arguments in [
        vec!["check", "--format", "json", events],
        vec!["explain", events],
        vec!["hunt", "--jobs", "1", "--format", "json", events],
        vec!["hunt", "--jobs", "2", events],
    ] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_imagewarden"))
            .args(&arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}
