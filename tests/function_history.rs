//! The real function with its history: alerts once and only once, whatever dies, races or fails.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::events::{launch, log_batch, sqs};
use support::function::Function;
use support::moto::{FOREIGN, Moto, OWN};
use support::relay::{Relay, Turn};
use support::stub::Response;
use support::{ACCOUNT, REGION};

/// DynamoDB's part of what was asked.
const HISTORY: [&str; 3] = ["BatchGetItem", "PutItem", "TransactWriteItems"];

/// A launch as one of many.
fn launch_number(image: &str, number: usize) -> Value {
    let mut event = launch(image);
    event["detail"]["eventID"] = json!(format!("0c0e8d1c-6a3c-4a80-b8a7-{number:012}"));
    let instance = format!("i-{number:017x}");
    event["detail"]["responseElements"]["instancesSet"]["items"][0]["instanceId"] = json!(instance);
    event["detail"]["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/jo-{number}"));
    event
}

fn finding(notification: &Value) -> Value {
    serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap()
}

async fn through(relay: &Relay, topic: &str, table: &str) -> Function {
    Function::start(&relay.url, topic, &[("HISTORY_TABLE", table)]).await
}

#[tokio::test]
async fn the_same_event_is_one_message_however_often_it_comes() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("once-1").await;
    let table = moto.table("once-1").await;
    let function = Function::start(&moto.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 1);
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 0);
    // Another process knows as much, and so does a batch that has it three times.
    let function = Function::start(&moto.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    let one = launch(FOREIGN).to_string();
    let log = json!({"Records": [launch(FOREIGN)["detail"]]}).to_string();
    let reply = function.invoke(sqs(&[one.clone(), one, log])).await.unwrap();
    assert_eq!((&reply["published"], &reply["batchItemFailures"]), (&json!(0), &json!([])), "{reply}");
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 1);
    let finding = finding(&received[0]);
    assert_eq!(finding["activity_id"], 1);
    assert_eq!(finding["unmapped"].get("may_repeat"), None);
}

#[tokio::test]
async fn a_changed_policy_is_told_by_the_first_process_that_loads_it() {
    let moto = Moto::start().await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let (topic, queue) = moto.topic("policy-1").await;
    let table = moto.table("policy-1").await;
    let policy = tempfile::NamedTempFile::new().unwrap();
    let uri = format!("file:{}", policy.path().display());
    let settings = [("HISTORY_TABLE", table.as_str()), ("POLICY_URI", uri.as_str())];
    std::fs::write(&policy, "notify: {minimum_severity: medium}\n").unwrap();
    for _ in 0..2 {
        let function = Function::start(&relay.url, &topic, &settings).await;
        function.invoke(launch(OWN)).await.unwrap();
        function.invoke(launch(OWN)).await.unwrap();
    }
    assert_eq!(moto.received(&queue).await, Vec::<Value>::new(), "nothing has changed");
    std::fs::write(&policy, "notify: {minimum_severity: critical}\n").unwrap();
    for _ in 0..2 {
        Function::start(&relay.url, &topic, &settings).await.invoke(launch(OWN)).await.unwrap();
    }
    let findings: Vec<Value> = moto.received(&queue).await.iter().map(finding).collect();
    assert_eq!(findings.len(), 1, "once, although the changed policy would have kept it back");
    assert_eq!(findings[0]["finding_info"]["analytic"]["uid"], "policy-changed");
    assert!(findings[0].to_string().contains("critical"), "it shows the lines that differ");
}

#[tokio::test]
async fn more_about_a_subject_joins_its_thread() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("thread-1").await;
    let table = moto.table("thread-1").await;
    let function = Function::start(&moto.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    for number in 1..=10 {
        let mut event = launch(FOREIGN);
        event["detail"]["eventID"] = json!(format!("event-{number}"));
        function.invoke(event).await.unwrap();
    }
    let findings: Vec<Value> = moto.received(&queue).await.iter().map(finding).collect();
    let activities: Vec<&Value> = findings.iter().map(|finding| &finding["activity_id"]).collect();
    assert_eq!(activities, [&json!(1), &json!(2)], "the first, and the tenth as an update");
    assert_eq!(findings[0]["finding_info"]["uid"], findings[1]["finding_info"]["uid"]);
}

/// What an event costs: two requests, or five for one that alerts.
#[tokio::test]
async fn round_trips_are_few() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("trips-1").await;
    let table = moto.table("trips-1").await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let function = through(&relay, &topic, &table).await;
    assert_eq!(function.invoke(launch(OWN)).await.unwrap()["alerts"], 0);
    assert_eq!(relay.take_history(), ["BatchGetItem", "TransactWriteItems"]);
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 1);
    let claimed = ["BatchGetItem", "TransactWriteItems", "BatchGetItem", "TransactWriteItems", "PutItem"];
    assert_eq!(relay.take_history(), claimed);
    // The same again: there is nothing to write.
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 0);
    assert_eq!(relay.take_history(), ["BatchGetItem", "BatchGetItem"]);
    // Another of the same: counted, not told.
    let mut another = launch(FOREIGN);
    another["detail"]["eventID"] = json!("another");
    assert_eq!(function.invoke(another).await.unwrap()["published"], 0);
    assert!(relay.take_history().len() <= 4);
}

/// A batch of Tetragon's lines, as CloudWatch Logs delivers them.
fn lines(lines: impl Iterator<Item = Value>) -> Value {
    let events: Vec<Value> = lines
        .enumerate()
        .map(|(number, line)| {
            json!({"id": format!("{number:056}"), "timestamp": 1_772_787_600_000_u64, "message": line.to_string()})
        })
        .collect();
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": ACCOUNT, "logGroup": "/cluster/tetragon",
        "logStream": "node-1.tetragon", "subscriptionFilters": ["imagewarden"], "logEvents": events,
    });
    log_batch(&data.to_string())
}

/// A program in a pod.
fn executed(pod: &str, number: usize, binary: &str) -> Value {
    let repository = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app");
    let digest = "ab".repeat(32);
    json!({
        "process_exec": {"process": {
            "exec_id": format!("bm9kZTox{number}"), "pid": 4301, "uid": 0, "cwd": "/",
            "binary": binary, "arguments": format!("--job {number}"), "flags": "execve",
            "start_time": "2026-03-06T09:00:03.411558213Z",
            "pod": {"namespace": "shop", "name": pod, "workload": "shop", "container": {
                "id": format!("containerd://{}", pod.repeat(16)), "name": "app",
                "image": {"id": format!("{repository}@sha256:{digest}"), "name": format!("{repository}:1")},
                "start_time": "2026-03-06T09:00:02Z", "pid": 101,
            }},
        }},
        "node_name": "node-1", "time": "2026-03-06T09:00:03.411557213Z",
    })
}

#[tokio::test]
async fn a_batch_reads_and_writes_each_subject_once() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("batch-1").await;
    let table = moto.table("batch-1").await;
    let relay = Relay::start(&moto.url, |_, _| Turn::Pass).await;
    let function = through(&relay, &topic, &table).await;
    let quiet = (0..600).map(|number| {
        executed(["pod1", "pod2", "pod3"][number % 3], number, &format!("/app/job-{}", number / 3))
    });
    let reply = function.invoke(lines(quiet)).await.unwrap();
    assert_eq!((&reply["activities"], &reply["published"]), (&json!(600), &json!(0)), "{reply}");
    let asked = relay.take_history();
    assert!(asked.len() <= 2, "{asked:?}");
    // Fifty miners in each of two pods: each pod is told of, with one claim's requests each.
    let miners = (0..100).map(|number| {
        executed(["pod1", "pod2"][number % 2], 1_000 + number, &format!("/tmp/{}/xmrig", number / 2))
    });
    let reply = function.invoke(lines(miners)).await.unwrap();
    assert_eq!(reply["activities"], 100, "{reply}");
    let asked = relay.take_history();
    let reads = asked.iter().filter(|action| *action == "BatchGetItem").count();
    // Of a hundred alerts, 32 are claimed at once.
    assert!(reads <= 5 && asked.len() <= 2 + 4 * 3, "{asked:?}");
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 2, "one for each pod");
    // The same batch again: read, and nothing else.
    let miners = (0..100).map(|number| {
        executed(["pod1", "pod2"][number % 2], 1_000 + number, &format!("/tmp/{}/xmrig", number / 2))
    });
    assert_eq!(function.invoke(lines(miners)).await.unwrap()["published"], 0);
    assert!(relay.take_history().iter().all(|action| action == "BatchGetItem"));
    assert!(moto.received(&queue).await.is_empty());
}

/// An image that goes by several digests costs a process one read more, once.
#[tokio::test]
async fn an_image_of_several_digests_is_read_about_at_once_the_second_time() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("alias-1").await;
    let table = moto.table("alias-1").await;
    let relay = Relay::start(&moto.url, |_, _| Turn::Pass).await;
    let function = through(&relay, &topic, &table).await;
    let sample = |name: &str| -> Value {
        let path = format!("{}/events/{name}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let push = sample("put-image-index-at-night.json");
    let manifest: Value =
        serde_json::from_str(push["detail"]["requestParameters"]["imageManifest"].as_str().unwrap()).unwrap();
    let child = manifest["manifests"][0]["digest"].clone();
    function.invoke(push).await.unwrap();
    let function = through(&relay, &topic, &table).await;
    relay.take();
    let mut start = sample("ecs-task-running.json");
    let mut run = async |version: u32| {
        start["detail"]["version"] = json!(version);
        for container in start["detail"]["containers"].as_array_mut().unwrap() {
            container["imageDigest"] = child.clone();
        }
        assert_eq!(function.invoke(start.clone()).await.unwrap()["alerts"], 0);
        relay.take_history()
    };
    assert_eq!(run(7).await, ["BatchGetItem", "BatchGetItem", "TransactWriteItems"]);
    assert_eq!(run(8).await, ["BatchGetItem", "TransactWriteItems"]);
}

/// The messages of an SQS batch are remembered together.
#[tokio::test]
async fn a_queues_batch_reads_and_writes_each_subject_once() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("batch-2").await;
    let table = moto.table("batch-2").await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let function = through(&relay, &topic, &table).await;
    let batch: Vec<String> = (0..10)
        .map(|number| {
            let mut event = launch(OWN);
            event["detail"]["eventID"] = json!(format!("event-{number}"));
            event.to_string()
        })
        .collect();
    let reply = function.invoke(sqs(&batch)).await.unwrap();
    assert_eq!((&reply["activities"], &reply["batchItemFailures"]), (&json!(10), &json!([])));
    assert_eq!(relay.take_history(), ["BatchGetItem", "TransactWriteItems"]);
}

/// Two processes, the same events at the same time: each is told once, and both succeed.
#[tokio::test]
async fn racing_invocations_tell_an_event_once() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("race-1").await;
    let table = moto.table("race-1").await;
    // Telling takes a while, so that they do meet.
    let relay = Relay::start(&moto.url, |_, request| match request.action() {
        "Publish" => Turn::Delay(Duration::from_millis(300)),
        _ => Turn::Pass,
    })
    .await;
    let (one, other) = (through(&relay, &topic, &table).await, through(&relay, &topic, &table).await);
    for number in 0..6 {
        let event = launch_number(FOREIGN, number);
        let (one, other) = tokio::join!(one.invoke(event.clone()), other.invoke(event));
        let published = [one, other].map(|reply| reply.unwrap()["published"].as_u64().unwrap());
        assert_eq!(published.iter().sum::<u64>(), 1, "{published:?}");
        assert_eq!(moto.received(&queue).await.len(), 1);
    }
}

/// SIGKILL before or after every request of an event that alerts; then the platform tries again.
#[tokio::test]
async fn whatever_moment_it_dies_at_the_alert_is_out_and_mostly_once() {
    let moto = Arc::new(Moto::start().await);
    let (topic, _) = moto.topic("kill-0").await;
    let table = moto.table("kill-0").await;
    let relay = Relay::start(&moto.url, |_, _| Turn::Pass).await;
    through(&relay, &topic, &table).await.invoke(launch(FOREIGN)).await.unwrap();
    let concerned = |action: &str| action == "Publish" || HISTORY.contains(&action);
    let mut steps = relay.take();
    steps.retain(|action| concerned(action));
    let (publish, confirm) = (4, 5);
    assert_eq!((steps.len(), steps[publish].as_str()), (6, "Publish"), "{steps:?}");

    let mut cases = tokio::task::JoinSet::new();
    let few = Arc::new(tokio::sync::Semaphore::new(4));
    for (step, action) in steps.iter().enumerate() {
        for after in [false, true] {
            let (moto, few, action) = (moto.clone(), few.clone(), action.clone());
            cases.spawn(async move {
                let _turn = few.acquire_owned().await.unwrap();
                let name = format!("kill-{step}-{after}");
                let (topic, queue) = moto.topic(&name).await;
                let table = moto.table(&name).await;
                let process = Arc::new(AtomicU32::new(0));
                let victim = process.clone();
                let count = AtomicU32::new(0);
                let relay = Relay::start(&moto.url, move |_, request| {
                    // The emulator fails these, which are tried again for seconds.
                    if let Some(turn) = support::hunting::unknown(request) {
                        return turn;
                    }
                    if !concerned(request.action()) {
                        return Turn::Pass;
                    }
                    let number = count.fetch_add(1, Ordering::SeqCst) as usize;
                    let victim = victim.clone();
                    let kill = move || {
                        let id = victim.load(Ordering::SeqCst).to_string();
                        let killed = std::process::Command::new("kill").args(["-KILL", &id]).status();
                        assert!(killed.unwrap().success());
                    };
                    match (number == step, after) {
                        (false, _) => Turn::Pass,
                        (true, true) => Turn::LoseAnd(Box::new(kill)),
                        (true, false) => {
                            kill();
                            Turn::Answer(Response::silence())
                        }
                    }
                })
                .await;
                let mut function = through(&relay, &topic, &table).await;
                process.store(function.id(), Ordering::SeqCst);
                function.invoke_to_death(launch(FOREIGN), 8_000).await;
                // Sooner than the platform would: the dead one's lease has to be waited for.
                let next = Function::start(&moto.url, &topic, &[("HISTORY_TABLE", &table)]).await;
                let reply = next.invoke_within(launch(FOREIGN), 45_000).await;
                (step, after, action, reply, moto.received(&queue).await)
            });
        }
    }
    while let Some(case) = cases.join_next().await {
        let (step, after, action, reply, received) = case.unwrap();
        let case = format!("{} request {step}, {action}", if after { "after" } else { "before" });
        reply.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        // What was published and not confirmed is published again: the only time for it.
        let twice = (step == publish && after) || (step == confirm && !after);
        assert_eq!(received.len(), if twice { 2 } else { 1 }, "{case}");
        let findings: Vec<Value> = received.iter().map(finding).collect();
        for finding in &findings {
            assert_eq!(finding["metadata"]["uid"], findings[0]["metadata"]["uid"], "{case}");
            assert_eq!(finding["activity_id"], 1, "{case}: nobody has heard of it before");
        }
    }
}

/// Behind a table's back nothing is told: the platform tries again.
#[tokio::test]
async fn a_table_that_fails_makes_the_event_come_again() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("gone-1").await;
    let table = moto.table("gone-1").await;
    let relay = Relay::start(&moto.url, |_, request| match request.action() {
        action if HISTORY.contains(&action) => {
            Turn::Answer(Response::json_error(400, "ProvisionedThroughputExceededException"))
        }
        _ => Turn::Pass,
    })
    .await;
    let mut function = through(&relay, &topic, &table).await;
    let (kind, message) = function.invoke_within(launch(FOREIGN), 12_000).await.unwrap_err();
    assert_eq!(kind, "History");
    assert!(message.contains("BatchGetItem: throttled"), "{message}");
    let reply = function.invoke_within(sqs(&[launch(FOREIGN).to_string()]), 12_000).await.unwrap();
    assert_eq!(reply["batchItemFailures"], json!([{"itemIdentifier": "m-0"}]));
    assert!(moto.received(&queue).await.is_empty());
    assert!(function.alive());
    // A table that is not there is no other case.
    let function = Function::start(&moto.url, &topic, &[("HISTORY_TABLE", "nowhere")]).await;
    let (kind, message) = function.invoke_within(launch(FOREIGN), 12_000).await.unwrap_err();
    assert_eq!(
        (kind.as_str(), message.contains("ResourceNotFoundException")),
        ("History", true),
        "{message}"
    );
    assert!(moto.received(&queue).await.is_empty());
}

/// Throttled, stalled, refused, its answers lost: the event is told once all the same.
#[tokio::test]
async fn a_table_that_stumbles_changes_nothing() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("stumble-1").await;
    let table = moto.table("stumble-1").await;
    let stumble = AtomicU32::new(0);
    let relay = Relay::start(&moto.url, move |_, request| {
        if !HISTORY.contains(&request.action()) {
            return Turn::Pass;
        }
        // Every other request; each kind of trouble meets each kind of request in the end.
        match stumble.fetch_add(1, Ordering::SeqCst) % 10 {
            1 => Turn::Answer(Response::json_error(400, "ThrottlingException")),
            3 => Turn::Lose,
            5 => Turn::Answer(Response::json_error(500, "InternalServerError")),
            7 => Turn::Delay(Duration::from_millis(2_500)),
            9 if request.action() == "TransactWriteItems" => {
                Turn::Answer(Response::json_error(400, "TransactionInProgressException"))
            }
            _ => Turn::Pass,
        }
    })
    .await;
    let function = through(&relay, &topic, &table).await;
    for number in 0..8 {
        let event = launch_number(FOREIGN, number);
        // Twice, as the platform may.
        for _ in 0..2 {
            function.invoke_within(event.clone(), 45_000).await.unwrap();
        }
    }
    let mut received: Vec<Value> = moto.received(&queue).await.iter().map(finding).collect();
    received.sort_by_key(|finding| finding["metadata"]["uid"].to_string());
    received.dedup_by_key(|finding| finding["metadata"]["uid"].to_string());
    assert_eq!(received.len(), 8);
}

/// Without a table everything is told, and said to be told perhaps again.
#[tokio::test]
async fn without_a_table_every_alert_says_that_it_may_be_a_repetition() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("none-1").await;
    let (chat, chat_queue) = moto.topic("none-chat-1").await;
    let function = Function::start(&moto.url, &topic, &[("CHAT_TOPIC_ARN", &chat)]).await;
    for _ in 0..2 {
        assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 1);
    }
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|message| finding(message)["unmapped"]["may_repeat"] == true));
    let received = moto.received(&chat_queue).await;
    assert!(
        received.iter().all(|message| message["Message"].as_str().unwrap().contains("may be a repetition"))
    );
}
