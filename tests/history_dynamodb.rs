//! The table as a store: what it keeps, and what it makes of a DynamoDB that throttles, stalls, answers in
//! part or not at all.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use imagewarden::history::dynamodb::DynamoDb;
use imagewarden::history::{Key, Kind, Record, Store, StoreError, Trace};
use serde_json::{Value, json};
use support::moto::Moto;
use support::relay::{Relay, Turn};
use support::stub::{Request, Response, Stub};
use support::{ACCOUNT, REGION, sdk};

fn key(id: &str) -> Key {
    Key::new(ACCOUNT, REGION, Kind::Container, id)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap()
}

/// A record with something in it.
fn record(id: &str, detail: &str) -> Record {
    let mut record = Record::new(key(id));
    let trace = Trace {
        time: now(),
        label: "act".into(),
        source: "e1".into(),
        detail: detail.into(),
        place: String::new(),
        score: 7,
    };
    assert!(record.add(trace));
    record.touch(now());
    record
}

fn ids(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| record.key.id.clone()).collect()
}

#[tokio::test]
async fn what_is_saved_is_there_and_a_stale_write_is_refused() {
    let moto = Moto::start().await;
    let store = DynamoDb::new(&moto.sdk, &moto.table("history-1").await);
    let (one, other) = (record("pod/web/one", "ran \u{202e} sh"), record("pod/web/other", "ran wget"));
    store.save(&[one.clone(), other.clone()]).await.unwrap();
    let wanted = [key("pod/web/one"), key("pod/web/other"), key("pod/web/absent")];
    let mut found = store.load(&wanted).await.unwrap();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(found, [Record { version: 1, ..one.clone() }, Record { version: 1, ..other.clone() }]);
    // Both kinds of write: alone, and with others; nothing of a refused one is there.
    assert_eq!(store.save(std::slice::from_ref(&one)).await, Err(StoreError::Conflict));
    let third = record("pod/web/third", "x");
    assert_eq!(store.save(&[third.clone(), one]).await, Err(StoreError::Conflict));
    assert!(store.load(&[third.key]).await.unwrap().is_empty());
    store.save(&found[..1]).await.unwrap();
    assert_eq!(store.load(&wanted[..1]).await.unwrap()[0].version, 2);
}

/// What the console and the time to live see of an item.
#[tokio::test]
async fn items_are_found_by_account_and_region_and_expire() {
    let moto = Moto::start().await;
    let table = moto.table("history-2").await;
    let record = record("pod/web/one", "x");
    DynamoDb::new(&moto.sdk, &table).save(std::slice::from_ref(&record)).await.unwrap();
    let items = aws_sdk_dynamodb::Client::new(&moto.sdk).scan().table_name(&table).send().await.unwrap();
    let item = &items.items.unwrap()[0];
    assert_eq!(item["pk"].as_s().unwrap(), "111122223333/eu-central-1/container/pod/web/one");
    let expires: i64 = item["expires"].as_n().unwrap().parse().unwrap();
    assert_eq!(expires, record.expires.timestamp());
    assert!(expires <= (now() + TimeDelta::days(400)).timestamp());
}

/// DynamoDB may take days to delete what has expired.
#[tokio::test]
async fn an_expired_item_is_as_good_as_absent_and_can_be_replaced() {
    let moto = Moto::start().await;
    let store = DynamoDb::new(&moto.sdk, &moto.table("history-3").await);
    let old = Record { expires: now() - TimeDelta::seconds(1), ..record("pod/web/one", "long ago") };
    store.save(&[old]).await.unwrap();
    let mut found = store.load(&[key("pod/web/one")]).await.unwrap().remove(0).fresh(now());
    assert!(found.traces.is_empty());
    found.touch(now());
    store.save(&[found]).await.unwrap();
}

#[tokio::test]
async fn hundreds_of_records_go_through() {
    let moto = Moto::start().await;
    let relay = Relay::start(&moto.url, |_, _| Turn::Pass).await;
    let store = DynamoDb::new(&sdk(&relay.url), &moto.table("history-4").await);
    let records: Vec<Record> = (0..230).map(|number| record(&format!("pod/web/{number}"), "x")).collect();
    store.save(&records).await.unwrap();
    assert_eq!(relay.take(), ["TransactWriteItems"; 3]);
    let keys: Vec<Key> = records.iter().map(|record| record.key.clone()).collect();
    assert_eq!(ids(&store.load(&keys).await.unwrap()), ids(&records));
    assert_eq!(relay.take(), ["BatchGetItem"; 3]);
    // The longest records there can be are more than one transaction takes.
    let full = |number: usize| {
        let mut record = Record::new(key(&format!("pod/full/{number}")));
        for trace in 0..Record::MOST_TRACES {
            let detail = format!("{trace:04}{}", "\u{1}".repeat(Trace::LONGEST_DETAIL));
            let (label, source) = ("act".to_owned(), "e".repeat(400));
            record.add(Trace { time: now(), label, source, place: detail.clone(), detail, score: 0 });
        }
        record.touch(now());
        record
    };
    let records: Vec<Record> = (0..100).map(full).collect();
    assert_eq!(records[0].traces.len(), Record::MOST_TRACES);
    let longest = serde_json::to_string(&records[0]).unwrap().len();
    assert!(longest < 400 * 1024, "an item of {longest} bytes");
    store.save(&records).await.unwrap();
    assert!(relay.take().len() > 1);
    let keys: Vec<Key> = records.iter().map(|record| record.key.clone()).collect();
    assert_eq!(ids(&store.load(&keys).await.unwrap()), ids(&records));
}

/// DynamoDB answers as much as it can, and names the rest.
#[tokio::test]
async fn keys_left_unanswered_are_asked_for_again() {
    let moto = Moto::start().await;
    let table = moto.table("history-5").await;
    let rounds = AtomicUsize::new(0);
    let relay = Relay::start(&moto.url, move |_, request| {
        if request.action() != "BatchGetItem" || rounds.fetch_add(1, Ordering::SeqCst) > 2 {
            return Turn::Pass;
        }
        let asked: Value = serde_json::from_str(&request.body).unwrap();
        let answer = json!({"Responses": {}, "UnprocessedKeys": asked["RequestItems"]});
        Turn::Answer(Response::ok(answer.to_string()))
    })
    .await;
    let store = DynamoDb::new(&sdk(&relay.url), &table);
    let records = [record("pod/web/one", "x"), record("pod/web/other", "x")];
    store.save(&records).await.unwrap();
    let found = store.load(&records.clone().map(|record| record.key)).await.unwrap();
    assert_eq!(ids(&found), ids(&records));
    assert_eq!(relay.take().len(), 5);
}

/// The same request, sent again by the client: nothing is written twice, and it knows its own success.
#[tokio::test]
async fn a_transaction_whose_answer_is_lost_succeeds() {
    let moto = Moto::start().await;
    let table = moto.table("history-6").await;
    let tokens = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = tokens.clone();
    let relay = Relay::start(&moto.url, move |number, request| {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        seen.lock().unwrap().push(body["ClientRequestToken"].as_str().map(str::to_owned));
        if number == 1 { Turn::Lose } else { Turn::Pass }
    })
    .await;
    let store = DynamoDb::new(&sdk(&relay.url), &table);
    let records = [record("pod/web/one", "x"), record("pod/web/other", "x")];
    let answer = store.save(&records).await;
    let tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 2, "it was tried again");
    assert!(tokens[0].is_some() && tokens[0] == tokens[1], "as the same request: {tokens:?}");
    // DynamoDB takes the second for the first; the emulator knows no tokens.
    assert!(matches!(answer, Ok(()) | Err(StoreError::Conflict)), "{answer:?}");
    let found = store.load(&records.map(|record| record.key)).await.unwrap();
    assert!(found.len() == 2 && found.iter().all(|record| record.version == 1));
}

fn cancelled(reasons: &[&str]) -> Response {
    let reasons: Vec<Value> = reasons.iter().map(|code| json!({"Code": code, "Message": "no"})).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled", "Message": "Transaction cancelled", "CancellationReasons": reasons,
    });
    Response::new(400, body.to_string())
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let answer = std::sync::Arc::new(std::sync::Mutex::new(Response::ok("{}")));
    let given = answer.clone();
    let stub = Stub::start(move |_: &Request| given.lock().unwrap().clone()).await;
    let store = DynamoDb::new(&sdk(&stub.url), "history");
    let two = [record("pod/web/one", "x"), record("pod/web/other", "x")];
    let save = async |response: Response, records: &[Record]| {
        *answer.lock().unwrap() = response;
        store.save(records).await
    };
    for code in ["ConditionalCheckFailed", "TransactionConflict"] {
        assert_eq!(save(cancelled(&["None", code]), &two).await, Err(StoreError::Conflict), "{code}");
    }
    let throttled = save(cancelled(&["ThrottlingError", "None"]), &two).await;
    assert!(matches!(&throttled, Err(StoreError::Unavailable(why)) if why.contains("ThrottlingError")));
    for code in ["ConditionalCheckFailedException", "TransactionConflictException"] {
        let refused = save(Response::json_error(400, code), &two[..1]).await;
        assert_eq!(refused, Err(StoreError::Conflict), "{code}");
    }
    for (code, why) in [
        ("ProvisionedThroughputExceededException", "throttled"),
        ("AccessDeniedException", "access denied"),
        ("ResourceNotFoundException", "ResourceNotFoundException"),
    ] {
        for records in [&two[..1], &two[..]] {
            let refused = save(Response::json_error(400, code), records).await;
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(why), "{code}: {said}");
        }
        let refused = store.load(&[key("pod/web/one")]).await.unwrap_err().to_string();
        assert!(refused.contains("BatchGetItem") && refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn a_throttled_request_is_tried_again() {
    let moto = Moto::start().await;
    let table = moto.table("history-7").await;
    let relay = Relay::start(&moto.url, |number, _| match number {
        1 | 2 | 4 => Turn::Answer(Response::json_error(400, "ProvisionedThroughputExceededException")),
        5 => Turn::Answer(Response::json_error(500, "InternalServerError")),
        _ => Turn::Pass,
    })
    .await;
    let store = DynamoDb::new(&sdk(&relay.url), &table);
    store.save(&[record("pod/web/one", "x")]).await.unwrap();
    assert_eq!(store.load(&[key("pod/web/one")]).await.unwrap().len(), 1);
    assert_eq!(relay.take().len(), 6);
}

#[tokio::test]
async fn a_store_that_stalls_takes_no_more_than_the_time_there_is() {
    let stub = Stub::start(|_: &Request| Response::silence()).await;
    let deadline = tokio::time::Instant::now() + Duration::from_millis(700);
    let store = DynamoDb::new(&sdk(&stub.url), "history").until(deadline);
    let start = Instant::now();
    let read = store.load(&[key("pod/web/one")]).await;
    let written = store.save(&[record("pod/web/one", "x")]).await;
    for failed in [read.map(|_| ()), written] {
        assert_eq!(failed, Err(StoreError::Unavailable("out of time".to_owned())));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// An event that fails on a bad item would fail for ever.
#[tokio::test]
async fn an_item_that_cannot_be_read_is_replaced() {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};
    let moto = Moto::start().await;
    let table = moto.table("history-8").await;
    let client = aws_sdk_dynamodb::Client::new(&moto.sdk);
    let bad = client.put_item().table_name(&table).item("pk", S(key("pod/web/one").to_string()));
    bad.item("version", N("3".into())).item("record", S("{".into())).send().await.unwrap();
    let store = DynamoDb::new(&moto.sdk, &table);
    let found = store.load(&[key("pod/web/one")]).await.unwrap();
    assert_eq!((found[0].version, found[0].traces.len()), (3, 0));
    store.save(&[Record { version: 3, ..record("pod/web/one", "x") }]).await.unwrap();
    assert_eq!(store.load(&[key("pod/web/one")]).await.unwrap()[0].traces.len(), 1);
}

/// Of all who write what they read, each wins once, and nothing that won is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_writers_lose_nothing() {
    let moto = Moto::start().await;
    let relay = Relay::start(&moto.url, |_, _| Turn::Pass).await;
    let store = DynamoDb::new(&sdk(&relay.url), &moto.table("history-9").await);
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let keys = [key("pod/web/shared"), key(&format!("pod/web/own-{number}"))];
                loop {
                    let found = store.load(&keys).await.unwrap();
                    let changed: Vec<Record> = keys
                        .iter()
                        .map(|key| {
                            let known = found.iter().find(|record| record.key == *key).cloned();
                            let mut record = known.unwrap_or_else(|| Record::new(key.clone()));
                            let (label, detail) = ("act".to_owned(), format!("by {number}"));
                            let source = format!("e{number}");
                            record.add(Trace {
                                time: now(),
                                label,
                                source,
                                detail,
                                place: String::new(),
                                score: 0,
                            });
                            record.touch(now());
                            record
                        })
                        .collect();
                    match store.save(&changed).await {
                        Ok(()) => return,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let shared = store.load(&[key("pod/web/shared")]).await.unwrap().remove(0);
    assert_eq!((shared.version, shared.traces.len()), (6, 6));
}

/// `imagewarden learn --seed-table`, as it is typed, and what the function then finds.
#[tokio::test(flavor = "multi_thread")]
async fn first_sightings_are_put_into_the_table_once() {
    let moto = Moto::start().await;
    let table = moto.table("history-seeded").await;
    let run = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_imagewarden"))
            .args(["learn", concat!(env!("CARGO_MANIFEST_DIR"), "/events"), "--seed-table", &table])
            .env("AWS_ENDPOINT_URL", &moto.url)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "AKID")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        told.lines().find(|line| line.contains("were news to the table")).unwrap().to_owned()
    };
    let first = run();
    assert!(!first.starts_with("0 of "), "{first}");
    assert!(run().starts_with("0 of "), "again changes nothing");
    let store = DynamoDb::new(&moto.sdk, &table);
    let image = imagewarden::history::sight::machine_image("ami-0244eaa2c23917d72");
    let sighting = Key::new(ACCOUNT, REGION, Kind::Sighting, image);
    let watch = Key::new(ACCOUNT, "", Kind::Watch, imagewarden::history::sight::WATCH);
    let found = store.load(&[sighting, watch]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|record| record.sighting.is_some() && record.version == 1));
}
