//! Every shortcut against the full parse, on archives as they are and as somebody with bad intentions would
//! have them.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::layout::Layout;
use super::open::{After, Buffers, Take};
use super::*;
use crate::source::{self, Reading};

fn surroundings() -> Surroundings {
    let received = "2026-03-10T12:00:00Z".parse().unwrap();
    Surroundings::new(received)
}

/// Activities and what could not be read, with shortcuts, in one piece.
fn quick(bytes: &[u8]) -> (Vec<Activity>, Vec<(String, String)>, u64) {
    stretched(bytes, bytes.len().max(1), true)
}

/// The same in stretches of some size, as a file that is streamed.
fn stretched(bytes: &[u8], size: usize, shortcuts: bool) -> (Vec<Activity>, Vec<(String, String)>, u64) {
    let surroundings = surroundings();
    let mut layout = Layout::new(&surroundings, shortcuts);
    let (mut activities, mut unreadable, mut records) = (Vec::new(), Vec::new(), 0);
    let (mut from, mut to) = (0, 0);
    loop {
        to = (to + size).min(bytes.len());
        let after = if to == bytes.len() { After::End } else { After::More };
        from += layout.take(&bytes[from..to], after);
        let found = std::mem::take(&mut layout.found);
        activities.extend(found.activities);
        unreadable.extend(found.unreadable);
        records += found.records;
        if after == After::End {
            return (activities, unreadable, records);
        }
    }
}

fn full(bytes: &[u8]) -> Reading {
    source::read_bytes(bytes, &surroundings())
}

/// A record as CloudTrail writes it, with a place for what a caller chooses.
fn record(number: usize, service: &str, operation: &str, caller: &str) -> String {
    let operation = serde_json::to_string(operation).unwrap();
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a","accountId":"111122223333","userName":"a"}},"eventTime":"2026-03-09T10:00:{:02}Z","eventSource":"{service}.amazonaws.com","eventName":{operation},"awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli","requestParameters":{caller},"responseElements":null,"requestID":"r-{number}","eventID":"e-{number}","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#,
        number % 60
    )
}

fn native(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

const LAUNCH: &str =
    r#"{"instancesSet":{"items":[{"imageId":"ami-0123456789abcdef0","minCount":1,"maxCount":1}]}}"#;

/// What callers put into the fields that are theirs: names of calls where no name belongs.
fn caller() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(vec![
        r#"{"eventVersion":"1.08","eventName":"RunInstances"}"#,
        r#""eventName":"RunInstances""#,
        r#"\",\"eventName\":\"RunInstances\",\""#,
        r#"},{"eventVersion":"1.08","userIdentity":{},"eventName":"RunInstances"},{"#,
        "eventName",
        "RunInstances",
        "]}",
        "}}}}]}{[[",
        "\\",
        "\\\"",
        "\u{1f600}\u{0}\n",
        r"\u0065ventName",
    ]);
    let value = prop_oneof![
        texts.clone().prop_map(|text| json!(text)),
        texts.clone().prop_map(|text| json!({ text: text })),
        texts.clone().prop_map(|text| json!({"eventName": text})),
        texts.clone().prop_map(|text| json!({"tags": {"eventVersion": "1.08", "eventName": "RunInstances", text: text}})),
        texts.clone().prop_map(|text| json!([{"eventName": "RunInstances"}, text, {"x\"eventName": "RunInstances"}])),
        texts.prop_map(|text| json!({"policy": json!({"eventName": text, "inner": json!({"a": text}).to_string()}).to_string()})),
        Just(json!(null)),
        Just(serde_json::from_str(LAUNCH).unwrap()),
    ];
    value.prop_map(|value| value.to_string())
}

fn records() -> impl Strategy<Value = Vec<String>> {
    let operation = prop::sample::select(vec![
        ("ec2", "RunInstances"),
        ("ec2", "DescribeInstances"),
        ("ec2", "StopInstances"),
        ("s3", "PutImage"),
        ("ecr", "PutImage"),
        ("ecr", "BatchGetImage"),
        ("sts", "AssumeRole"),
        ("kms", "Decrypt"),
        ("ec2", "Run\"Instances"),
        ("ec2", ""),
    ]);
    let record = (operation, caller());
    prop::collection::vec(record, 1..12).prop_map(|records| {
        records
            .into_iter()
            .enumerate()
            .map(|(number, ((service, operation), caller))| record_of(number, service, operation, &caller))
            .collect()
    })
}

fn record_of(number: usize, service: &str, operation: &str, caller: &str) -> String {
    record(number, service, operation, caller)
}

/// The layouts that a list of records may come in.
fn layouts(records: &[String]) -> Vec<(&'static str, String)> {
    let values: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    let wrapped = |name: &str| {
        let text = |value: &Value| serde_json::to_string(value).unwrap();
        values
            .iter()
            .zip(records)
            .map(|(value, raw)| match name {
                "lookup" => json!({"EventId": "x", "EventName": value["eventName"], "CloudTrailEvent": raw}),
                "event" => serde_json::from_str(&format!(
                    r#"{{"version":"0","id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.x","account":"111122223333","time":"2026-03-09T10:00:00Z","region":"eu-west-1","resources":[],"detail":{}}}"#,
                    text(value)
                ))
                .unwrap(),
                _ => value.clone(),
            })
            .collect::<Vec<Value>>()
    };
    let lines = |values: &[Value]| values.iter().map(|value| format!("{value}\n")).collect::<String>();
    // As EventBridge lays its envelope out; `Value` sorts its fields.
    let events: String = records
        .iter()
        .map(|record| {
            format!(
                r#"{{"version":"0","id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.x","account":"111122223333","time":"2026-03-09T10:00:00Z","region":"eu-west-1","resources":[],"detail":{record}}}"#
            ) + "\n"
        })
        .collect();
    vec![
        ("native", native(records)),
        ("lines", records.join("\n")),
        ("pretty", serde_json::to_string_pretty(&json!({"Records": values})).unwrap()),
        ("sorted", json!({"Records": values}).to_string()),
        ("list", serde_json::to_string(&values).unwrap()),
        ("pretty list", serde_json::to_string_pretty(&values).unwrap()),
        (
            "pretty documents",
            values.iter().map(|it| serde_json::to_string_pretty(it).unwrap() + "\n").collect(),
        ),
        ("sorted lines", lines(&values)),
        (
            "lookup",
            serde_json::to_string_pretty(&json!({"Events": wrapped("lookup"), "NextToken": "x"})).unwrap(),
        ),
        ("lookup in a line", json!({"Events": wrapped("lookup")}).to_string()),
        ("event lines", events),
        ("sorted event lines", lines(&wrapped("event"))),
        ("in a row", records.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn shortcuts_find_what_the_full_parse_finds(records in records(), size in 64_usize..4_096) {
        for (layout, text) in layouts(&records) {
            let expected = full(text.as_bytes());
            let (activities, unreadable, count) = quick(text.as_bytes());
            prop_assert_eq!(&activities, &expected.activities, "{}: {}", layout, text);
            prop_assert_eq!(unreadable.len(), expected.unreadable.len(), "{}: {:?}", layout, unreadable);
            prop_assert_eq!(count, records.len() as u64, "{}: {}", layout, text);
            let (streamed, unreadable, count) = stretched(text.as_bytes(), size, true);
            prop_assert_eq!(&streamed, &expected.activities, "{} in stretches of {}", layout, size);
            prop_assert_eq!(unreadable.len(), expected.unreadable.len(), "{}: {:?}", layout, unreadable);
            prop_assert_eq!(count, records.len() as u64, "{}", layout);
            let (parsed, _, _) = stretched(text.as_bytes(), size, false);
            prop_assert_eq!(&parsed, &expected.activities, "{} without shortcuts", layout);
        }
    }

    #[test]
    fn a_name_spelled_in_another_way_is_found(records in records(), which in 0_usize..5, at in any::<prop::sample::Index>()) {
        let hidden = [
            r#""eventName": "RunInstances""#,
            r#""eventName":"Run\u0049nstances""#,
            r#""event\u004eame":"RunInstances""#,
            r#""\u0065ventName" : "RunInstances""#,
            "\"eventName\"\n:\"RunInstances\"",
        ][which];
        let mut records = records;
        let plain = record(99, "ec2", "RunInstances", LAUNCH);
        let place = at.index(records.len() + 1);
        records.insert(place, plain.replace(r#""eventName":"RunInstances""#, hidden));
        let text = native(&records);
        let expected = full(text.as_bytes()).activities;
        prop_assert_eq!(quick(text.as_bytes()).0, expected.clone());
        prop_assert!(expected.iter().any(|it| it.id == "e-99"));
    }

    #[test]
    fn a_file_cut_anywhere_yields_its_whole_records_and_says_so(records in records(), at in any::<prop::sample::Index>()) {
        for (layout, text) in layouts(&records) {
            let all = full(text.as_bytes()).activities;
            let cut = (0..=at.index(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap();
            let kept = &text[..cut];
            let (activities, unreadable, _) = quick(kept.as_bytes());
            // Ids made of content tell a cut record from a whole one.
            prop_assert!(activities.len() <= all.len() && activities == all[..activities.len()], "{}: {}", layout, kept);
            if matches!(layout, "native" | "pretty" | "sorted" | "list" | "lookup") && kept.trim_end().len() < text.trim_end().len() {
                prop_assert!(!unreadable.is_empty(), "{}: {}", layout, kept);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(br#"{}[]",:\ RecordseventName1"#.to_vec()), 0..300), size in 1_usize..64) {
        quick(&bytes);
        stretched(&bytes, size, true);
        let mut file = br#"{"Records":[{"eventVersion":"1.0","userIdentity":{"#.to_vec();
        file.extend(&bytes);
        quick(&file);
        file.extend(br#"},{"eventVersion":"1.0","userIdentity":{},"eventName":"RunInstances"}]}"#);
        quick(&file);
        stretched(&file, size, true);
    }
}

#[test]
fn a_record_that_looks_like_another_inside_a_third_is_not_taken_for_one() {
    let disguise = record(7, "ec2", "RunInstances", LAUNCH);
    let carriers = [
        format!(r#"{{"a":{disguise}}}"#),
        format!(r#"{{"a":[{disguise}]}}"#),
        format!(r#"[{{"a":1}},{disguise}]"#),
    ];
    for carrier in carriers {
        let records = [
            record(1, "kms", "Decrypt", "null"),
            record(2, "kms", "Decrypt", &carrier),
            record(3, "ec2", "RunInstances", LAUNCH),
        ];
        let (activities, _, count) = quick(native(&records).as_bytes());
        assert_eq!(activities.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["e-3"], "{carrier}");
        assert_eq!(count, 3);
    }
}

#[test]
fn every_sample_event_is_read_as_check_reads_it() {
    let mut files = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "json" || kind == "jsonl") {
            let bytes = std::fs::read(&path).unwrap();
            let expected = full(&bytes);
            let (activities, unreadable, _) = quick(&bytes);
            assert_eq!(activities, expected.activities, "{}", path.display());
            assert_eq!(unreadable.len(), expected.unreadable.len(), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 100);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

impl Take for Layout<'_> {
    fn take(&mut self, bytes: &[u8], after: After) -> std::io::Result<usize> {
        Ok(Layout::take(self, bytes, after))
    }

    #[cfg(feature = "parquet")]
    fn parquet(&mut self, _: std::fs::File) -> std::io::Result<Option<String>> {
        unreachable!("no Parquet here")
    }
}

/// Activities, damage, and bytes after decompression of a file in memory.
fn opened(bytes: &[u8]) -> (usize, Option<String>, u64) {
    let surroundings = surroundings();
    let mut layout = Layout::new(&surroundings, true);
    let read = Buffers::default().read_bytes(bytes, &Progress::default(), &mut layout).unwrap();
    (layout.found.activities.len(), read.damage, read.inflated)
}

#[test]
fn compressed_files_are_read_whole_and_as_far_as_they_go() {
    let records: Vec<String> = (0..200).map(|number| record(number, "ec2", "RunInstances", LAUNCH)).collect();
    let (one, two) = (records[..100].join("\n") + "\n", records[100..].join("\n"));
    let length = (one.len() + two.len()) as u64;
    let mut members = gzip(one.as_bytes());
    members.extend(gzip(two.as_bytes()));
    assert_eq!(opened(&members), (200, None, length));
    let mut garbage = members.clone();
    garbage.extend(b"garbage");
    let (found, damage, _) = opened(&garbage);
    assert_eq!(found, 200);
    assert!(damage.is_some());
    let cut = &members[..members.len() - 500];
    let (found, damage, _) = opened(cut);
    assert!((100..200).contains(&found), "{found}");
    assert!(damage.unwrap().starts_with("gzip that cannot be inflated"));
    let mut wrong = gzip(one.as_bytes());
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    assert!(opened(&wrong).1.is_some());
    let zstd = zstd::encode_all(one.as_bytes(), 3).unwrap();
    assert_eq!(opened(&zstd), (100, None, one.len() as u64));
    let mut frames = zstd.clone();
    frames.extend(zstd::encode_all(two.as_bytes(), 3).unwrap());
    assert_eq!(opened(&frames), (200, None, length));
    assert!(opened(&zstd[..zstd.len() / 2]).1.unwrap().starts_with("zstd that cannot be inflated"));
}

#[test]
fn exports_of_log_groups_are_read_without_the_time_before_each_line() {
    let launch = record(1, "ec2", "RunInstances", LAUNCH);
    let other = record(2, "kms", "Decrypt", "null");
    let flow = "2 111122223333 eni-0aaaabbbbccccdddd 10.0.0.5 198.51.100.9 40000 3333 6 10 840 1773050400 1773050460 ACCEPT OK";
    let text = format!(
        "2026-03-09T10:00:00.000Z {launch}\n2026-03-09T10:00:01.000Z {other}\n2026-03-09T10:00:02.000Z {flow}\n2026-03-09T10:00:03.000Z {{broken\n"
    );
    let (activities, unreadable, records) = quick(text.as_bytes());
    let kinds: Vec<_> = activities.iter().map(|it| it.action.name()).collect();
    assert_eq!(kinds, ["ImageLaunched", "Connected"]);
    assert_eq!(records, 4);
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].0.starts_with("line 4"), "{unreadable:?}");
    assert_eq!(stretched(text.as_bytes(), 300, true).0, activities);
}

#[test]
fn rows_of_cloudtrail_lake_are_read_where_they_hold_the_record() {
    let launch = record(1, "ec2", "RunInstances", LAUNCH);
    let answer = json!({
        "QueryStatus": "FINISHED",
        "QueryResultRows": [[{"eventID": "e-1"}, {"eventJson": launch}], [{"eventName": "RunInstances"}]],
    });
    let (activities, unreadable, _) = quick(answer.to_string().as_bytes());
    assert_eq!(activities.len(), 1);
    assert_eq!(unreadable.len(), 1, "{unreadable:?}");
    assert!(unreadable[0].0.contains("QueryResultRows[1]"));
}

#[test]
fn all_files_are_read_by_all_workers_and_damaged_ones_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::create_dir_all(folder.path().join("AWSLogs/444455556666/CloudTrail-Digest")).unwrap();
    std::fs::write(folder.path().join("AWSLogs/444455556666/CloudTrail-Digest/a.json"), "{}").unwrap();
    for number in 0..20 {
        let text = native(&[
            record(number, "ec2", "RunInstances", LAUNCH),
            record(number, "kms", "Decrypt", "null"),
        ]);
        std::fs::write(logs.join(format!("{number:02}.json.gz")), gzip(text.as_bytes())).unwrap();
    }
    std::fs::write(logs.join("damaged.json.gz"), b"\x1f\x8b\x08garbage").unwrap();
    let inputs = inputs(&[folder.path().to_owned()]).unwrap();
    assert_eq!(inputs.len(), 21);
    for jobs in [1, 4] {
        let mut options = Options::new(surroundings());
        options.jobs = jobs;
        let mut ids: Vec<(usize, String)> = Vec::new();
        let summary = scan(&inputs, &options, |batch| {
            ids.extend(batch.activities.into_iter().map(|it| (batch.file, it.id)));
            Ok(())
        })
        .unwrap();
        ids.sort();
        assert_eq!(ids, (0..20).map(|number| (number, format!("e-{number}"))).collect::<Vec<_>>());
        assert_eq!((summary.files, summary.records, summary.activities), (21, 40, 20));
        assert_eq!((summary.damaged_files, summary.unreadable), (1, 1));
        assert!(summary.problems[0].file.ends_with("damaged.json.gz"));
    }
    // A caller that cannot go on ends it.
    let options = Options::new(surroundings());
    let failed = scan(&inputs, &options, |_| Err(std::io::Error::other("full")));
    assert_eq!(failed.unwrap_err().to_string(), "full");
}

#[test]
fn a_records_account_is_that_of_its_place_where_it_names_none() {
    let text = record(1, "ec2", "RunInstances", LAUNCH).replace("111122223333", "");
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("AWSLogs/444455556666/CloudTrail");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("a.json"), text).unwrap();
    let inputs = inputs(&[logs]).unwrap();
    let mut accounts = Vec::new();
    scan(&inputs, &Options::new(surroundings()), |batch| {
        accounts.extend(batch.activities.into_iter().map(|it| it.account));
        Ok(())
    })
    .unwrap();
    assert_eq!(accounts, ["444455556666"]);
}

/// `check` reads a file by this where it is no plain JSON.
#[test]
fn files_that_are_packed_or_laid_out_as_archives_are_read_in_memory_too() {
    let event = record(1, "ec2", "RunInstances", LAUNCH);
    let zstd = zstd::encode_all(event.as_bytes(), 0).unwrap();
    let skippable = [&b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"[..], &zstd].concat();
    let table =
        format!("\u{feff}@timestamp,@message\n2026-03-09 10:00:00.000,\"{}\"\n", event.replace('"', "\"\""));
    let export = format!("2026-03-09T10:00:00.000Z {event}\n");
    let answer = serde_json::json!({"QueryResultRows": [[{"eventJson": event}]]}).to_string();
    for file in [
        zstd,
        skippable,
        table.clone().into_bytes(),
        export.clone().into_bytes(),
        answer.into_bytes(),
        gzip(export.as_bytes()),
    ] {
        let reading = read_special(&file, &surroundings()).unwrap();
        assert_eq!((reading.activities.len(), reading.unreadable.len()), (1, 0), "{reading:?}");
    }
    for plain in
        [event.as_str(), "hello", "", "2026-03-06T09:01:02.345678901Z container start 4f1c (image=alpine:3)"]
    {
        assert!(read_special(plain.as_bytes(), &surroundings()).is_none(), "{plain}");
    }
}
