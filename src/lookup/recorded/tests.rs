//! What somebody who keeps a folder of facts notices.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::activity::TemplateRef;
use crate::lookup::fact::FactValue;
use crate::lookup::{Ancestor, Cause, ImageFact, Missing, Scope};

/// A facts folder with these files.
fn folder(files: &[(&str, Value)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(&folder, name, content.to_string().as_bytes());
    }
    folder
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn opened(files: &[(&str, Value)]) -> Recorded {
    let folder = folder(files);
    let recorded = Recorded::open(folder.path()).unwrap();
    assert_eq!(recorded.problems(), [] as [String; 0]);
    recorded
}

fn scope() -> Scope {
    Scope { account: "123456789012".to_owned(), region: "eu-central-1".to_owned() }
}

fn image(id: &str) -> FactKey {
    FactKey::Image { scope: scope(), image: id.to_owned() }
}

fn ancestry(id: &str) -> FactKey {
    FactKey::Ancestry { scope: scope(), image: id.to_owned() }
}

fn instance_image(id: &str) -> FactKey {
    FactKey::InstanceImage { scope: scope(), instance: id.to_owned() }
}

fn snapshot(id: &str) -> FactKey {
    FactKey::Snapshot { scope: scope(), snapshot: id.to_owned() }
}

fn launched(token: &str) -> FactKey {
    FactKey::Launched { scope: scope(), client_token: token.to_owned() }
}

fn template(id: Option<&str>, name: Option<&str>, version: Option<&str>) -> FactKey {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let template = TemplateRef { id: owned(id), name: owned(name), version: owned(version) };
    FactKey::Template { scope: scope(), template }
}

fn scan(repository: &str, digest: &str) -> FactKey {
    FactKey::ScanFindings {
        scope: scope(),
        registry: "123456789012".to_owned(),
        repository: repository.to_owned(),
        digest: digest.to_owned(),
    }
}

fn known_image(recorded: &Recorded, key: &FactKey) -> ImageFact {
    match recorded.fact(key) {
        Fact::Known(FactValue::Image(image)) => *image,
        other => panic!("{key:?}: {other:?}"),
    }
}

fn image_of(id: &str, owner: &str) -> Value {
    json!({"Images": [{"ImageId": id, "OwnerId": owner, "Name": null, "Tags": null}]})
}

/// For each kind: a file, a key it answers, and a key it does not.
fn kinds() -> Vec<(&'static str, Value, FactKey, FactKey)> {
    let digest = "sha256:aa";
    vec![
        ("Images", image_of("ami-1", "999999999999"), image("ami-1"), image("ami-2")),
        (
            "InstanceImageMetadata",
            json!({"InstanceImageMetadata": [{"InstanceId": "i-1", "ImageMetadata": {"ImageId": "ami-1", "IsPublic": true}}]}),
            instance_image("i-1"),
            instance_image("i-2"),
        ),
        (
            "ImageAncestryEntries",
            json!({"ImageId": "ami-1", "ImageAncestryEntries": [{"ImageId": "ami-1", "SourceImageId": "ami-0"}]}),
            ancestry("ami-1"),
            ancestry("ami-0"),
        ),
        (
            "Snapshots",
            json!({"Snapshots": [{"SnapshotId": "snap-1", "OwnerId": "999999999999"}]}),
            snapshot("snap-1"),
            snapshot("snap-2"),
        ),
        (
            "LaunchTemplateVersions",
            json!({"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-1", "VersionNumber": 1, "LaunchTemplateData": {}}]}),
            template(Some("lt-1"), None, Some("1")),
            template(Some("lt-1"), None, Some("2")),
        ),
        (
            "imageScanFindings",
            json!({"imageId": {"imageDigest": digest}, "imageScanFindings": {}}),
            scan("team/app", digest),
            scan("team/app", "sha256:bb"),
        ),
        (
            "Reservations",
            json!({"Reservations": [{"Instances": [{"InstanceId": "i-1", "ClientToken": "token-1"}]}]}),
            launched("token-1"),
            launched("token-2"),
        ),
    ]
}

#[test]
fn each_kind_is_known_absent_or_unavailable() {
    for (kind, file, known, absent) in kinds() {
        let recorded = opened(&[("whatever.json", file)]);
        assert!(matches!(recorded.fact(&known), Fact::Known(_)), "{kind}");
        assert_eq!(recorded.fact(&absent), Fact::Absent, "{kind}");
        let none =
            Fact::Unavailable(Missing::new(Cause::NotRecorded, format!("no recorded facts of kind {kind}")));
        assert_eq!(Recorded::default().fact(&known), none);
        let others = kinds().into_iter().filter(|(other, ..)| *other != kind);
        for (_, _, other, _) in others {
            assert!(matches!(recorded.fact(&other), Fact::Unavailable(_)), "{other:?} from {kind}");
        }
    }
}

#[test]
fn the_allowed_images_setting_is_read_on_and_off() {
    let key = FactKey::AllowedImages { scope: scope() };
    let on = json!({
        "State": "enabled",
        "ManagedBy": "account",
        "ImageCriteria": [
            {"ImageProviders": ["amazon"], "ImageNames": null, "CreationDateCondition": {"MaximumDaysSinceCreated": 90}}
        ]
    });
    let Fact::Known(FactValue::AllowedImages(setting)) = opened(&[("a.json", on)]).fact(&key) else {
        panic!()
    };
    assert_eq!(setting.state.as_deref(), Some("enabled"));
    assert_eq!(setting.image_criteria[0].image_providers, ["amazon"]);
    assert_eq!(setting.image_criteria[0].creation_date_condition.unwrap().days, Some(90));
    let off = json!({"State": "disabled", "ManagedBy": "account"});
    assert!(matches!(opened(&[("a.json", off)]).fact(&key), Fact::Known(_)));
    let reason = "no recorded facts of kind ImageCriteria".to_owned();
    assert_eq!(Recorded::default().fact(&key), Fact::Unavailable(Missing::new(Cause::NotRecorded, reason)));
}

/// It could only approve more than its author meant.
#[test]
fn a_criterion_with_a_part_that_cannot_be_judged_keeps_that_part() {
    let folder = folder(&[(
        "a.json",
        json!({"State": "enabled", "ImageCriteria": [
            {"ImageProviders": ["amazon"]},
            {"ImageProviders": ["999999999999"], "SomethingNewCondition": {"X": 1}}
        ]}),
    )]);
    let recorded = Recorded::open(folder.path()).unwrap();
    let key = FactKey::AllowedImages { scope: scope() };
    let Fact::Known(FactValue::AllowedImages(setting)) = recorded.fact(&key) else { panic!() };
    assert!(setting.image_criteria[0].unread.is_empty());
    assert_eq!(setting.image_criteria[1].unread, ["SomethingNewCondition"]);
    assert!(recorded.problems()[0].contains("unknown part `SomethingNewCondition`"));
}

#[test]
fn a_region_answers_before_the_rest_and_only_for_itself() {
    let recorded = opened(&[
        ("images.json", image_of("ami-1", "111111111111")),
        ("regions/eu-central-1/images.json", image_of("ami-1", "222222222222")),
        ("regions/us-east-1/nested/images.json", image_of("ami-3", "333333333333")),
        ("regions/us-east-1/s.json", json!({"Snapshots": [{"SnapshotId": "snap-1"}]})),
    ]);
    assert_eq!(known_image(&recorded, &image("ami-1")).owner_id.as_deref(), Some("222222222222"));
    let virginia = Scope { region: "us-east-1".to_owned(), ..scope() };
    let there = |id: &str| FactKey::Image { scope: virginia.clone(), image: id.to_owned() };
    assert_eq!(known_image(&recorded, &there("ami-1")).owner_id.as_deref(), Some("111111111111"));
    assert_eq!(known_image(&recorded, &there("ami-3")).owner_id.as_deref(), Some("333333333333"));
    assert_eq!(recorded.fact(&image("ami-3")), Fact::Absent);
    // Snapshots were recorded in the other region only.
    assert!(matches!(recorded.fact(&snapshot("snap-1")), Fact::Unavailable(_)));
}

#[test]
fn files_of_a_kind_add_up_and_a_file_may_hold_many_answers() {
    let folder = folder(&[
        ("a.json", image_of("ami-1", "111111111111")),
        ("deeper/b.JSON", json!([image_of("ami-2", "222222222222"), {"Snapshots": []}])),
        ("ignored.txt", image_of("ami-9", "999999999999")),
    ]);
    let lines =
        format!("\u{feff}{}\n{}\n", image_of("ami-3", "333333333333"), image_of("ami-4", "444444444444"));
    write(&folder, "lines.json", lines.as_bytes());
    let both = json!({"Images": [{"ImageId": "ami-5"}], "Snapshots": [{"SnapshotId": "snap-1"}]});
    write(&folder, "both.json", both.to_string().as_bytes());
    let recorded = Recorded::open(folder.path()).unwrap();
    assert_eq!(recorded.problems(), [] as [String; 0]);
    for id in ["ami-1", "ami-2", "ami-3", "ami-4", "ami-5"] {
        assert_eq!(known_image(&recorded, &image(id)).image_id, id);
    }
    assert_eq!(recorded.fact(&image("ami-9")), Fact::Absent);
    assert!(matches!(recorded.fact(&snapshot("snap-1")), Fact::Known(_)));
}

#[test]
fn one_bad_entry_spoils_neither_the_file_nor_its_own_absence() {
    let folder = folder(&[(
        "images.json",
        json!({"Images": [
            {"ImageId": "ami-1", "OwnerId": 123456789012u64},
            {"OwnerId": "111111111111"},
            7,
            {"ImageId": "ami-2", "OwnerId": "222222222222"}
        ]}),
    )]);
    write(&folder, "broken.json", b"{\"Images\": [");
    write(&folder, "empty.json", b"");
    write(&folder, "other.json", b"{\"Vpcs\": []}");
    let recorded = Recorded::open(folder.path()).unwrap();
    assert_eq!(known_image(&recorded, &image("ami-2")).owner_id.as_deref(), Some("222222222222"));
    let unreadable = Fact::Unavailable(Missing::new(Cause::Other, "the recorded entry cannot be read"));
    assert_eq!(recorded.fact(&image("ami-1")), unreadable);
    let wanted = [
        "broken.json: is not JSON",
        "empty.json: is empty",
        "images.json: the entry of Images for ami-1 cannot be read",
        "images.json: an entry of Images has no ImageId",
        "images.json: an entry of Images has no ImageId",
        "other.json: holds none of the kinds of facts known",
    ];
    assert_eq!(recorded.problems().len(), wanted.len(), "{:#?}", recorded.problems());
    for (problem, wanted) in recorded.problems().iter().zip(wanted) {
        assert!(problem.contains(wanted), "{problem}");
    }
}

#[test]
fn an_ancestry_belongs_to_the_image_it_names_or_begins_with() {
    let entries = json!([{"ImageId": "ami-1", "SourceImageId": "ami-0", "SourceImageRegion": "us-east-1"}, {"ImageId": "ami-0"}]);
    let recorded = opened(&[("a.json", json!({ "ImageAncestryEntries": entries }))]);
    let Fact::Known(FactValue::Ancestry(chain)) = recorded.fact(&ancestry("ami-1")) else { panic!() };
    assert_eq!(chain[0].source_image_region.as_deref(), Some("us-east-1"));
    assert_eq!(chain[1], Ancestor { image_id: "ami-0".to_owned(), ..Ancestor::default() });
    // With a link missing, the chain proves nothing.
    let gap = json!({"ImageId": "ami-1", "ImageAncestryEntries": [{"ImageId": "ami-1"}, {"SourceImageId": "ami-0"}]});
    let folder =
        folder(&[("a.json", gap), ("b.json", json!({"ImageId": "ami-2", "ImageAncestryEntries": []}))]);
    let recorded = Recorded::open(folder.path()).unwrap();
    assert!(matches!(recorded.fact(&ancestry("ami-1")), Fact::Unavailable(_)));
    assert_eq!(recorded.fact(&ancestry("ami-2")), Fact::Absent);
    assert_eq!(recorded.problems().len(), 1);
}

#[test]
fn a_launch_template_is_found_by_id_name_and_version() {
    let version = |number: i64, default: bool, image: &str| {
        json!({"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "VersionNumber": number,
               "DefaultVersion": default, "LaunchTemplateData": {"ImageId": image, "UserData": "IyEvYmluL3No"}})
    };
    let recorded = opened(&[
        (
            "a.json",
            json!({"LaunchTemplateVersions": [version(2, true, "ami-2"), version(10, false, "ami-10")]}),
        ),
        ("b.json", json!({"LaunchTemplateVersions": [version(9, false, "resolve:ssm:/golden")]})),
    ]);
    let found = |key: FactKey| match recorded.fact(&key) {
        Fact::Known(FactValue::Template(template)) => (template.version, template.image_id),
        other => panic!("{key:?}: {other:?}"),
    };
    let ami = |id: &str| Some(id.to_owned());
    assert_eq!(found(template(Some("lt-1"), None, Some("10"))), (Some(10), ami("ami-10")));
    assert_eq!(found(template(None, Some("web"), Some("$Latest"))), (Some(10), ami("ami-10")));
    assert_eq!(found(template(None, Some("web"), Some("$Default"))), (Some(2), ami("ami-2")));
    assert_eq!(found(template(Some("lt-1"), Some("web"), None)), (Some(2), ami("ami-2")));
    assert_eq!(found(template(Some("lt-1"), None, Some("9"))), (Some(9), None));
    assert_eq!(recorded.fact(&template(Some("lt-2"), None, None)), Fact::Absent);
    assert_eq!(recorded.fact(&template(Some("lt-1"), None, Some("99999999999999999999"))), Fact::Absent);
    assert_eq!(recorded.fact(&template(None, None, None)), Fact::Absent);
}

#[test]
fn pages_of_one_digest_are_one_report() {
    let page = |finding: &str, token: Option<&str>| {
        json!({"registryId": "123456789012", "repositoryName": "team/app", "imageId": {"imageDigest": "sha256:aa"},
               "imageScanStatus": {"status": "COMPLETE"}, "nextToken": token,
               "imageScanFindings": {"findingSeverityCounts": {"HIGH": 2}, "findings": [{"name": finding, "severity": "HIGH"}]}})
    };
    let recorded = opened(&[
        ("1.json", page("CVE-1", Some("t"))),
        ("2.json", page("CVE-2", None)),
        ("again.json", page("CVE-2", None)),
    ]);
    let Fact::Known(FactValue::Scan(report)) = recorded.fact(&scan("team/app", "sha256:aa")) else {
        panic!()
    };
    assert_eq!(
        report.findings.iter().map(|finding| finding.name.as_str()).collect::<Vec<_>>(),
        ["CVE-1", "CVE-2"]
    );
    assert_eq!(report.counts["HIGH"], 2);
    assert_eq!((report.status.as_deref(), report.truncated), (Some("COMPLETE"), false));
    // The same digest in another repository is another scan.
    assert_eq!(recorded.fact(&scan("other/app", "sha256:aa")), Fact::Absent);
    let recorded = opened(&[("1.json", page("CVE-1", Some("t")))]);
    let Fact::Known(FactValue::Scan(report)) = recorded.fact(&scan("team/app", "sha256:aa")) else {
        panic!()
    };
    assert!(report.truncated);
}

#[test]
fn a_launch_is_found_by_its_token_else_by_an_instance() {
    let recorded = opened(&[(
        "a.json",
        json!({"Reservations": [{"Instances": [
            {"InstanceId": "i-1", "ClientToken": "t", "ImageId": "ami-1", "Tags": [{"Key": "a", "Value": "b"}]},
            {"InstanceId": "i-2", "ClientToken": "t", "ImageId": "ami-1"},
            {"InstanceId": "i-3", "ClientToken": "u", "ImageId": "ami-2"}
        ]}]}),
    )]);
    let ids = |key: FactKey| match recorded.fact(&key) {
        Fact::Known(FactValue::Instances(found)) => {
            found.into_iter().map(|instance| instance.instance_id).collect()
        }
        _ => Vec::new(),
    };
    assert_eq!(ids(launched("t")), ["i-1", "i-2"]);
    assert_eq!(ids(launched("i-3")), ["i-3"]);
    // A launch may not lose an instance in silence.
    let folder = folder(&[(
        "a.json",
        json!({"Reservations": [{"Instances": [{"InstanceId": "i-1", "ClientToken": "t"}, {"InstanceId": "i-2", "ImageId": 1}]}]}),
    )]);
    let recorded = Recorded::open(folder.path()).unwrap();
    assert!(matches!(recorded.fact(&launched("t")), Fact::Unavailable(_)));
}

#[test]
fn user_data_is_bytes_by_id() {
    let folder = folder(&[
        (
            "t.json",
            json!({"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web",
            "VersionNumber": 3, "LaunchTemplateData": {"UserData": "dGVtcGxhdGU="}}]}),
        ),
        ("c.json", json!({"LaunchConfigurations": [{"LaunchConfigurationName": "old", "UserData": "b2xk"}]})),
    ]);
    write(&folder, "user-data/i-1", b"#!/bin/sh\n\xff\0");
    write(&folder, "user-data/lt-1:7", b"c2V2ZW4=");
    write(&folder, "regions/us-east-1/user-data/i-2", b"two");
    write(&folder, "user-data/i-3", &vec![b'a'; 70_000]);
    let recorded = Recorded::open(folder.path()).unwrap();
    let found = |id: &str| recorded.user_data(id);
    assert_eq!(found("i-1").as_deref(), Some(&b"#!/bin/sh\n\xff\0"[..]));
    assert_eq!(found("lt-1:7").as_deref(), Some(&b"c2V2ZW4="[..]));
    assert_eq!(found("i-2").as_deref(), Some(&b"two"[..]));
    assert_eq!(found("lt-1:3").as_deref(), Some(&b"dGVtcGxhdGU="[..]));
    assert_eq!(found("web:3").as_deref(), Some(&b"dGVtcGxhdGU="[..]));
    assert_eq!(found("old").as_deref(), Some(&b"b2xk"[..]));
    assert_eq!(found("i-3"), None);
    assert_eq!(found("i-4"), None);
    assert_eq!(recorded.problems().len(), 1, "{:?}", recorded.problems());
    assert!(recorded.problems()[0].contains("is longer than"));
}

#[test]
fn a_missing_folder_is_an_error_a_person_can_act_on() {
    let error = Recorded::open(Path::new("/nonexistent/facts")).unwrap_err().to_string();
    assert!(error.starts_with("the facts folder /nonexistent/facts cannot be read"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_that_run_in_circles_end() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("a/images.json", image_of("ami-1", "111111111111"))]);
    symlink(folder.path(), folder.path().join("a/loop")).unwrap();
    symlink(folder.path().join("a/images.json"), folder.path().join("linked.json")).unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("dangling.json")).unwrap();
    let recorded = Recorded::open(folder.path()).unwrap();
    assert_eq!(known_image(&recorded, &image("ami-1")).image_id, "ami-1");
    assert_eq!(recorded.problems().len(), 1, "{:?}", recorded.problems());
    assert!(recorded.problems()[0].contains("dangling.json"));
    let mut deep = folder.path().to_owned();
    deep.extend(["d"; 20]);
    std::fs::create_dir_all(&deep).unwrap();
    let recorded = Recorded::open(folder.path()).unwrap();
    assert!(recorded.problems().iter().any(|problem| problem.contains("folders deep")));
}

#[tokio::test]
async fn every_key_is_answered() {
    let keys: Vec<FactKey> = kinds().into_iter().flat_map(|(_, _, known, absent)| [known, absent]).collect();
    let folder = folder(&[("a.json", image_of("ami-1", "111111111111"))]);
    let answers = Recorded::open(folder.path()).unwrap().fetch(&keys).await;
    assert_eq!(answers.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
}
