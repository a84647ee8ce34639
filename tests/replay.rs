//! Failed events, sent through the function again.

mod support;

use std::sync::Mutex;

use imagewarden::replay::{Replay, Replayed};
use serde_json::{Value, json};
use support::REGION;
use support::events::launch;
use support::stub::{Request, Response, Stub};

const QUEUE: &str = "/111122223333/failures";

/// The function, a bucket with two objects and a queue with two messages. Payloads that say `poison`
/// fail.
async fn stub() -> Stub {
    let deliveries = Mutex::new(0);
    Stub::start(move |request: &Request| {
        let path = request.path.as_str();
        if path.starts_with("/2015-03-31/functions/imagewarden/invocations") {
            return if request.body.contains("poison") {
                let error = json!({"errorType": "Unreadable", "errorMessage": "unreadable input: poison"});
                Response::ok(error.to_string()).header("X-Amz-Function-Error", "Unhandled")
            } else if request.body.contains("partly") {
                Response::ok(json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]}).to_string())
            } else {
                Response::ok(json!({"activities": 1, "alerts": 1, "published": 1}).to_string())
            };
        }
        match (request.method.as_str(), request.action()) {
            (_, "ReceiveMessage") => {
                let mut deliveries = deliveries.lock().unwrap();
                *deliveries += 1;
                let messages = if *deliveries > 1 {
                    json!({})
                } else {
                    json!({"Messages": [
                        {"MessageId": "good", "ReceiptHandle": "h-good", "Body": launch("ami-01").to_string()},
                        {"MessageId": "bad", "ReceiptHandle": "h-bad", "Body": "{\"poison\": 1}"}
                    ]})
                };
                Response::ok(messages.to_string())
            }
            (_, "DeleteMessage" | "ChangeMessageVisibility") => Response::ok("{}"),
            ("DELETE", _) => Response::new(204, ""),
            ("GET", path) if path.contains("list-type=2") => Response::ok(
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>fail/a</Key></Contents>\
                 <Contents><Key>fail/b</Key></Contents></ListBucketResult>",
            ),
            ("GET", path) if path.starts_with("/store/fail/a") => Response::ok(record(launch("ami-02"))),
            ("GET", path) if path.starts_with("/store/fail/b") => Response::ok(record(json!({"poison": 2}))),
            (method, path) => panic!("{method} {path}"),
        }
    })
    .await
}

/// Lambda's failure record.
fn record(payload: Value) -> String {
    json!({
        "version": "1.0", "timestamp": "2026-03-03T10:20:00Z",
        "requestContext": {"requestId": "r", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": payload, "responseContext": {"statusCode": 200}, "responsePayload": {"errorType": "X"}
    })
    .to_string()
}

/// The library reads the process's environment, so that a child process runs it: this very test binary.
async fn replay(stub: &Stub, sources: &[&str], delete: bool) -> (Vec<(String, bool, String)>, i32) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("AWS_ENDPOINT_URL", &stub.url)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "AKID")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("REPLAY_SOURCES", json!(sources).to_string())
        .env("REPLAY_DELETE", delete.to_string())
        .env_remove("AWS_PROFILE");
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once("replayed: "));
    let replayed = lines.map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    (replayed, output.status.code().unwrap())
}

#[tokio::test]
#[ignore = "what the other tests run in a process of its own"]
async fn child() {
    let Ok(sources) = std::env::var("REPLAY_SOURCES") else { return };
    let replay = Replay {
        sources: serde_json::from_str(&sources).unwrap(),
        function: "imagewarden".to_owned(),
        delete: std::env::var("REPLAY_DELETE").unwrap() == "true",
    };
    let mut told = Vec::new();
    let summary = replay.run(|one: &Replayed| told.push(one.clone())).await.unwrap();
    assert_eq!(summary.succeeded, told.iter().filter(|one| one.outcome.is_ok()).count());
    assert_eq!(summary.failed, told.iter().filter(|one| one.outcome.is_err()).count());
    for one in told {
        let (ok, text) = match one.outcome {
            Ok(reply) => (true, reply),
            Err(reason) => (false, reason),
        };
        println!("\nreplayed: {}", json!([one.place, ok, text]));
    }
}

fn invocations(stub: &Stub) -> Vec<Value> {
    let requests = stub.requests().into_iter().filter(|request| request.path.contains("/invocations"));
    requests.map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn failure_records_in_a_bucket_go_through_and_stay_unless_told_otherwise() {
    let stub = stub().await;
    let (replayed, status) = replay(&stub, &["s3://store/fail/"], false).await;
    assert_eq!(status, 0);
    assert_eq!(invocations(&stub), [launch("ami-02"), json!({"poison": 2})]);
    assert_eq!((replayed[0].0.as_str(), replayed[0].1), ("s3://store/fail/a", true));
    assert_eq!((replayed[1].0.as_str(), replayed[1].1), ("s3://store/fail/b", false));
    assert!(replayed[1].2.contains("unreadable input: poison"));
    assert!(stub.requests().iter().all(|request| request.method != "DELETE"));
}

#[tokio::test]
async fn of_a_bucket_only_what_succeeded_is_deleted() {
    let stub = stub().await;
    replay(&stub, &["s3://store/fail/"], true).await;
    let deleted: Vec<String> =
        stub.requests().into_iter().filter(|request| request.method == "DELETE").map(|it| it.path).collect();
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].starts_with("/store/fail/a"), "{deleted:?}");
}

#[tokio::test]
async fn of_a_queue_what_succeeded_is_deleted_and_the_rest_comes_back() {
    let stub = stub().await;
    let queue = format!("{}{QUEUE}", stub.url);
    let (replayed, _) = replay(&stub, &[&queue], false).await;
    assert_eq!(replayed.iter().map(|one| one.1).collect::<Vec<_>>(), [true, false]);
    assert!(replayed[1].0.ends_with("message bad"));
    let deleted = stub.asked("DeleteMessage");
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].body.contains("h-good"));
}

#[tokio::test]
async fn files_are_replayed_and_a_reply_that_hands_messages_back_is_no_success() {
    let stub = stub().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.json"), record(launch("ami-03"))).unwrap();
    std::fs::write(folder.path().join("b.jsonl"), "{\"partly\": 1}\n{\"fine\": 1}\n").unwrap();
    std::fs::write(folder.path().join("c.json"), "no JSON").unwrap();
    let (replayed, _) = replay(&stub, &[folder.path().to_str().unwrap()], false).await;
    assert_eq!(replayed.iter().map(|one| one.1).collect::<Vec<_>>(), [true, false, true, false]);
    assert!(replayed[1].0.ends_with("b.jsonl:1") && replayed[1].2.contains("1 messages"), "{replayed:?}");
    assert!(replayed[3].2.contains("not JSON"));
    assert_eq!(invocations(&stub).len(), 3);
}

/// A queue whose every message cannot be read, and a function that keeps each again under a new id, as one did that
/// did not know of replays.
#[tokio::test]
async fn a_queue_of_unreadable_records_comes_to_an_end_and_stays_as_it_was() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let old = now() - 60_000;
    let queue: Mutex<Vec<(String, u128)>> = Mutex::new((0..3).map(|id| (format!("old-{id}"), old)).collect());
    let stub = Stub::start(move |request: &Request| {
        let mut queue = queue.lock().unwrap();
        match request.action() {
            "ReceiveMessage" => {
                let messages: Vec<Value> = queue
                    .iter()
                    .map(|(id, sent)| {
                        json!({
                            "MessageId": id, "ReceiptHandle": format!("h-{id}"), "Body": "{\"line\": \"?\"}",
                            "Attributes": {"SentTimestamp": sent.to_string()}
                        })
                    })
                    .collect();
                Response::ok(json!({"Messages": messages[messages.len().saturating_sub(10)..]}).to_string())
            }
            "DeleteMessage" | "ChangeMessageVisibility" => Response::ok("{}"),
            _ => {
                let id = format!("new-{}", queue.len());
                // A little later than the replay's beginning, as it would be.
                queue.push((id, now() + 5));
                Response::ok(json!({"activities": 0, "unreadable": 1}).to_string())
            }
        }
    })
    .await;
    let url = format!("{}{QUEUE}", stub.url);
    let (replayed, status) = replay(&stub, &[&url], false).await;
    assert_eq!(status, 0);
    let mut places: Vec<&str> = replayed.iter().map(|one| one.0.rsplit(' ').next().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, ["old-0", "old-1", "old-2"]);
    assert!(replayed.iter().all(|one| !one.1 && one.2.contains("could not read")), "{replayed:?}");
    assert!(stub.asked("DeleteMessage").is_empty(), "they stay where they were");
    let given_back: Vec<String> =
        stub.asked("ChangeMessageVisibility").into_iter().map(|it| it.body).collect();
    for id in ["old-0", "old-1", "old-2", "new-3"] {
        assert!(given_back.iter().any(|body| body.contains(&format!("h-{id}\""))), "{id}: {given_back:?}");
    }
}
