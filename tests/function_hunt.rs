//! The real function on the errands of a hunt.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::function::Function;
use support::hunting::{Buckets, archive, launched, log, relay, unknown};
use support::moto::Moto;
use support::relay::{Relay, Turn};
use support::stub::Response;
use support::{ACCOUNT, REGION, assert_sns_rules};

fn one_of<'a>(found: &'a BTreeMap<String, Vec<u8>>, folder: &str) -> &'a [u8] {
    let mut of_folder = found.iter().filter(|(name, _)| name.starts_with(folder));
    let (one, more) = (of_folder.next(), of_folder.next());
    assert!(more.is_none(), "more than one of {folder}: {:?}", found.keys());
    one.unwrap_or_else(|| panic!("nothing of {folder}: {:?}", found.keys())).1
}

/// What `imagewarden hunt` prints of the same bucket.
fn hunt(url: &str, path: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = assert_cmd::Command::cargo_bin("imagewarden")
        .unwrap()
        .current_dir(&folder)
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "AKIDTEST")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", REGION)
        .args(["hunt", "--format", "json", "--live", "--account", ACCOUNT, path])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_finds_what_hunt_finds_and_the_same_again() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("hunt-1").await;
    let buckets = Buckets::make(&moto.sdk, "hunt-1").await;
    let (objects, logs) = archive();
    buckets.fill(&objects).await;
    let relay = relay(&moto.url).await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let listed = objects.iter().map(|(key, body)| (key, body.len()));
    let reply = function.invoke(buckets.batch("run-1", listed.clone())).await.unwrap();
    let told = &reply["hunt"];
    assert_eq!(
        (&told["files"], &told["records"], &told["unreadable"]),
        (&json!(logs), &json!(25), &json!(0))
    );

    let found = buckets.found("run-1").await;
    let alerts = String::from_utf8(one_of(&found, "alerts/").to_vec()).unwrap();
    let expected = hunt(&relay.url, &format!("s3://{}/AWSLogs/", buckets.logs));
    assert!(alerts.lines().count() >= 12, "{alerts}");
    assert_eq!(alerts, expected, "the function and the command line differ");
    let times: Vec<i64> = alerts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["time"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    let counts: Value = serde_json::from_slice(one_of(&found, "counts/")).unwrap();
    let sum =
        |of: &Value| of.as_object().unwrap().values().map(|number| number.as_u64().unwrap()).sum::<u64>();
    let counts = &counts["counts"];
    assert_eq!(counts["alerts"], alerts.lines().count());
    assert_eq!(
        (sum(&counts["by_detection"]), sum(&counts["by_severity"])),
        (times.len() as u64, times.len() as u64)
    );
    assert_eq!((&counts["objects"], &counts["skipped"]), (&json!(objects.len()), &json!(3)));
    assert_eq!(counts["unjudged"], 0, "moto knows the image");
    assert!(moto.received(&queue).await.is_empty(), "nobody is told of a single alert");

    // As after a retry, in whatever order, and with an object named twice.
    let again = listed.clone().rev().chain(listed.clone().take(1));
    function.invoke(buckets.batch("run-1", again)).await.unwrap();
    assert_eq!(buckets.found("run-1").await, found);
    // Other objects are another batch.
    function.invoke(buckets.batch("run-1", listed.take(2))).await.unwrap();
    assert_eq!(buckets.found("run-1").await.len(), 4);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_the_rest_goes_on() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("hunt-2").await;
    let buckets = Buckets::make(&moto.sdk, "hunt-2").await;
    let mut damaged = log(&[launched(1)]);
    damaged.truncate(damaged.len() / 2);
    let objects = BTreeMap::from([
        ("damaged.json.gz".to_owned(), damaged),
        ("denied.json.gz".to_owned(), log(&[launched(2)])),
        ("sealed.json.gz".to_owned(), log(&[launched(2)])),
        ("sound.json.gz".to_owned(), log(&[launched(3)])),
        ("garbage.json".to_owned(), b"{\"Records\": [7]}".to_vec()),
    ]);
    buckets.fill(&objects).await;
    let relay = Relay::start(&moto.url, |_, request| {
        let refused = |code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            Turn::Answer(Response::new(if code == "AccessDenied" { 403 } else { 400 }, body))
        };
        match request.path.split('?').next().unwrap() {
            path if path.ends_with("/denied.json.gz") => refused("AccessDenied"),
            path if path.ends_with("/sealed.json.gz") => refused("KMS.DisabledException"),
            _ => unknown(request).unwrap_or(Turn::Pass),
        }
    })
    .await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let gone = "gone.json.gz".to_owned();
    let listed = objects.iter().map(|(key, body)| (key, body.len())).chain([(&gone, 7)]);
    let reply = function.invoke(buckets.batch("run-2", listed)).await.unwrap();
    assert_eq!((&reply["hunt"]["files"], &reply["hunt"]["alerts"]), (&json!(6), &json!(1)), "{reply}");
    let found = buckets.found("run-2").await;
    let document: Value = serde_json::from_slice(one_of(&found, "counts/")).unwrap();
    let unread: BTreeMap<&str, &str> = document["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["object"].as_str().unwrap().rsplit('/').next().unwrap(), one["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(unread["denied.json.gz"], "s3:GetObject: access denied");
    assert_eq!(unread["gone.json.gz"], "s3:GetObject: failed with NoSuchKey");
    assert_eq!(unread["sealed.json.gz"], "s3:GetObject: failed with KMS.DisabledException");
    assert!(unread.contains_key("damaged.json.gz") && unread.contains_key("garbage.json"), "{unread:?}");
    assert_eq!((unread.len(), &document["counts"]["unreadable"]), (5, &json!(5)));
    assert_eq!(document["counts"]["by_reason"]["s3:GetObject: access denied"], 1);
}

#[tokio::test]
async fn a_batch_that_cannot_be_done_fails_and_leaves_no_counts() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("hunt-3").await;
    let buckets = Buckets::make(&moto.sdk, "hunt-3").await;
    let objects = BTreeMap::from([("slow.json.gz".to_owned(), log(&[launched(1)]))]);
    buckets.fill(&objects).await;
    let relay = Relay::start(&moto.url, |_, request| match request.method.as_str() {
        "GET" => Turn::Delay(Duration::from_secs(3)),
        "PUT" if request.path.contains("/counts/") => {
            Turn::Answer(Response::new(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"))
        }
        _ => unknown(request).unwrap_or(Turn::Pass),
    })
    .await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let batch = |run: &str| buckets.batch(run, objects.iter().map(|(key, body)| (key, body.len())));
    let (kind, message) = function.invoke_within(batch("run-3"), 2_000).await.unwrap_err();
    assert_eq!(kind, "OutOfTime", "{message}");
    assert!(message.contains("a smaller one may do"), "{message}");
    let (kind, message) = function.invoke(batch("run-3")).await.unwrap_err();
    assert_eq!(kind, "Hunt");
    assert!(message.contains("s3:PutObject: access denied") && message.contains("counts/"), "{message}");
    assert!(!buckets.found("run-3").await.keys().any(|name| name.starts_with("counts/")));

    for (payload, error, text) in [
        (batch("../run"), "Unreadable", "cannot be a folder's name"),
        (json!({"imagewarden": "hunt", "run": "run-3"}), "Unreadable", "this is no hunt: missing field"),
        (json!({"imagewarden": "hunt-summary"}), "Unreadable", "this is no hunt: missing field"),
    ] {
        let (kind, message) = function.invoke(payload).await.unwrap_err();
        assert_eq!(kind, error);
        assert!(message.contains(text), "{message}");
    }
    let live = Function::start(&moto.url, &topic, &[]).await;
    let (kind, message) = live.invoke(batch("run-3")).await.unwrap_err();
    assert_eq!(kind, "Hunt");
    assert!(message.contains("no HUNT_RESULTS is set"), "{message}");
}

fn summary(buckets: &Buckets, run: &str, manifest: Option<&str>) -> Value {
    let mut payload = json!({
        "imagewarden": "hunt-summary", "run": run, "bucket": buckets.logs, "prefix": "AWSLogs/",
    });
    if let Some(manifest) = manifest {
        payload["manifest"] = json!(manifest);
    }
    payload
}

#[tokio::test]
async fn a_run_is_told_once_and_again_when_it_comes_to_more() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("hunt-4").await;
    let buckets = Buckets::make(&moto.sdk, "hunt-4").await;
    let (objects, _) = archive();
    buckets.fill(&objects).await;
    let relay = relay(&moto.url).await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let listed: Vec<(&String, usize)> = objects.iter().map(|(key, body)| (key, body.len())).collect();
    let (first, rest) = listed.split_at(4);
    function.invoke(buckets.batch("march", first.iter().copied())).await.unwrap();

    // As Step Functions writes it of a map run with a batch that failed and one that was not begun.
    let input = |objects: &[(&String, usize)]| {
        let items = buckets.batch("march", objects.iter().copied())["objects"].clone();
        json!({"BatchInput": {"run": "march", "bucket": buckets.logs}, "Items": items}).to_string()
    };
    let cause =
        json!({"errorType": "OutOfTime", "errorMessage": "out of time: reading took too long"}).to_string();
    let failed = json!([{
        "ExecutionArn": "arn:aws:states:eu-central-1:111122223333:execution:m/Batches:1", "Input": input(&rest[..2]),
        "InputDetails": {"Included": true}, "Status": "FAILED", "Error": "OutOfTime", "Cause": cause,
    }]);
    // Step Functions gave up waiting for a batch that was done in the end.
    let failed =
        json!([failed[0], {"Input": input(first), "Status": "TIMED_OUT", "Error": "States.Timeout"}]);
    let pending = json!([{"Input": input(&rest[2..]), "Name": "2", "Status": "PENDING"}]);
    let manifest = json!({
        "DestinationBucket": buckets.results, "MapRunArn": "arn:aws:states:eu-central-1:111122223333:mapRun:m/1",
        "ResultFiles": {
            "FAILED": [{"Key": "map-runs/march/1/FAILED_0.json", "Size": 1}],
            "PENDING": [{"Key": "map-runs/march/1/PENDING_0.json", "Size": 1}], "SUCCEEDED": [],
        },
    });
    buckets.put(&buckets.results, "map-runs/march/1/FAILED_0.json", failed.to_string()).await;
    buckets.put(&buckets.results, "map-runs/march/1/PENDING_0.json", pending.to_string()).await;
    buckets.put(&buckets.results, "map-runs/march/1/manifest.json", manifest.to_string()).await;
    let payload = summary(&buckets, "march", Some("map-runs/march/1/manifest.json"));
    let reply = function.invoke(payload.clone()).await.unwrap();
    let told = &reply["hunt_summary"];
    assert_eq!(
        (&told["told"], &told["failed"], &told["batches"]),
        (&json!(true), &json!(2), &json!(1)),
        "{reply}"
    );
    let again = function.invoke(payload).await.unwrap();
    assert_eq!(
        (&again["hunt_summary"]["told"], &again["hunt_summary"]["failed"]),
        (&json!(false), &json!(2))
    );
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 1, "a summary that is tried again tells nothing twice");
    assert_eq!(received[0]["Subject"], "Imagewarden: hunt march");
    let activity: Value = serde_json::from_str(received[0]["Message"].as_str().unwrap()).unwrap();
    assert_eq!((&activity["class_uid"], &activity["activity_name"]), (&json!(6007), &json!("Error")));
    let text = activity["unmapped"]["failed"].to_string();
    assert!(text.contains("OutOfTime: out of time: reading took too long"), "{text}");

    // The objects of what was not done, and no others, are there to be tried again.
    let found = buckets.found("march").await;
    let listed: Vec<Value> = serde_json::from_slice(&found["failed.json"]).unwrap();
    let keys: Vec<&str> = listed.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, rest.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>());

    function.invoke(buckets.batch("march", rest.iter().copied())).await.unwrap();
    let reply = function.invoke(summary(&buckets, "march", None)).await.unwrap();
    let told = &reply["hunt_summary"];
    assert_eq!(
        (&told["told"], &told["failed"], &told["batches"]),
        (&json!(true), &json!(0), &json!(2)),
        "{reply}"
    );
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 1);
    let activity: Value = serde_json::from_str(received[0]["Message"].as_str().unwrap()).unwrap();
    assert_eq!((&activity["activity_name"], &activity["num_files"]), (&json!("Completed"), &json!(7)));
    assert_eq!(activity["unmapped"]["source"], format!("s3://{}/AWSLogs/", buckets.logs));
    assert_eq!(received[0]["MessageAttributes"]["severity"]["Value"], "high");

    // A manifest that is not there is no sign that all is well.
    let (kind, message) =
        function.invoke(summary(&buckets, "march", Some("map-runs/none"))).await.unwrap_err();
    assert_eq!(kind, "Hunt");
    assert!(message.contains("map-runs/none") && message.contains("no such object"), "{message}");
}

/// Every protocol has its own form, and a message that could not be published is tried again.
#[tokio::test]
async fn the_message_is_one_that_sns_takes_and_is_not_lost() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("hunt-5").await;
    let buckets = Buckets::make(&moto.sdk, "hunt-5").await;
    let (objects, _) = archive();
    buckets.fill(&objects).await;
    let (sender, mut published) = tokio::sync::mpsc::unbounded_channel();
    let refuse = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let refused = refuse.clone();
    let relay = Relay::start(&moto.url, move |_, request| {
        if request.action() != "Publish" {
            return unknown(request).unwrap_or(Turn::Pass);
        }
        if refused.load(std::sync::atomic::Ordering::SeqCst) {
            return Turn::Answer(Response::new(
                403,
                "<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>",
            ));
        }
        sender.send((request.form("Subject").unwrap(), request.form("Message").unwrap())).unwrap();
        Turn::Pass
    })
    .await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let listed = objects.iter().map(|(key, body)| (key, body.len()));
    function.invoke(buckets.batch("run-5", listed)).await.unwrap();
    let (kind, _) = function.invoke(summary(&buckets, "run-5", None)).await.unwrap_err();
    assert_eq!(kind, "NotPublished");
    refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(function.invoke(summary(&buckets, "run-5", None)).await.unwrap()["published"], 1);
    assert_eq!(moto.received(&queue).await.len(), 1);
    let (subject, message) = published.recv().await.unwrap();
    let body = assert_sns_rules(&subject, &message, 400);
    let email = body["email"].as_str().unwrap();
    for expected in [
        "HUNT: ",
        "IN 7 LOG FILES",
        "machine-image-not-approved  ",
        "ALERTS BY SEVERITY",
        "run-5",
        &format!("s3://{}/AWSLogs/", buckets.logs),
        &format!("s3://{}/hunts/run-5/alerts/", buckets.results),
    ] {
        assert!(email.contains(expected), "{expected}: {email}");
    }
    let chat: Value = serde_json::from_str(body["https"].as_str().unwrap()).unwrap();
    assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")));
}
