//! The real function on the errands of a hunt, and the state machine that sends it on them.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use support::events::{launch, push_at_night};
use support::function::Function;
use support::moto::{FOREIGN, Moto};
use support::relay::{Relay, Turn};
use support::stub::{Request, Response};
use support::{ACCOUNT, REGION, assert_sns_rules, sdk};
use tokio::io::AsyncWriteExt;

/// A log file of a trail, packed, in which these calls were made.
fn log(records: &[Value]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json!({"Records": records}).to_string().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A launch of a stranger's image by somebody of that number, so many hours into a day.
fn launched(number: usize) -> Value {
    let mut record = launch(FOREIGN)["detail"].clone();
    record["eventID"] = json!(format!("0c0e8d1c-6a3c-4a80-b8a7-{number:012}"));
    record["eventTime"] = json!(format!("2026-03-03T{:02}:15:00Z", number % 24));
    record["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/jo-{number}"));
    record["responseElements"]["reservationId"] = json!(format!("r-{number:017x}"));
    record["responseElements"]["instancesSet"]["items"][0]["instanceId"] = json!(format!("i-{number:017x}"));
    record
}

/// A call that nobody judges.
fn read_only(number: usize) -> Value {
    let mut record = launched(number);
    record["eventName"] = json!("DescribeVpcs");
    record
}

/// The bucket of a trail, as of a morning, and what in it is a log. Files come in no order of time.
fn archive() -> (BTreeMap<String, Vec<u8>>, usize) {
    let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/03/03");
    let mut objects = BTreeMap::new();
    for number in 0..6 {
        let records = [read_only(100 + number), launched(11 - number), launched(number), read_only(number)];
        objects.insert(format!("{folder}/{number}.json.gz"), log(&records));
    }
    objects.insert(format!("{folder}/6.json.gz"), log(&[push_at_night()["detail"].clone()]));
    let logs = objects.len();
    objects.insert(format!("AWSLogs/{ACCOUNT}/CloudTrail-Digest/d.json.gz"), log(&[launched(900)]));
    objects.insert(format!("{folder}/manual.pdf"), b"no log".to_vec());
    objects.insert(format!("{folder}/"), Vec::new());
    (objects, logs)
}

/// Calls of EC2 that the emulator knows nothing of fail at once, and not after four tries.
fn unknown(request: &Request) -> Option<Turn> {
    let known = ["DescribeImages", "DescribeSnapshots"];
    let of_ec2 = request.body.contains("Version=2016-11-15") && !known.contains(&request.action());
    of_ec2.then(|| Turn::Answer(Response::ec2_error(400, "InvalidParameterValue")))
}

async fn relay(url: &str) -> Relay {
    Relay::start(url, |_, request| unknown(request).unwrap_or(Turn::Pass)).await
}

struct Buckets {
    s3: aws_sdk_s3::Client,
    logs: String,
    results: String,
}

impl Buckets {
    async fn make(config: &aws_config::SdkConfig, name: &str) -> Self {
        let s3 = imagewarden::aws::s3(config);
        let (logs, results) = (format!("{name}-logs"), format!("{name}-results"));
        for bucket in [&logs, &results] {
            let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
                .location_constraint(REGION.into())
                .build();
            s3.create_bucket().bucket(bucket).create_bucket_configuration(place).send().await.unwrap();
        }
        Self { s3, logs, results }
    }

    async fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }

    async fn fill(&self, objects: &BTreeMap<String, Vec<u8>>) {
        for (key, body) in objects {
            self.put(&self.logs, key, body.clone()).await;
        }
    }

    /// What there is of a run's results, by name.
    async fn found(&self, run: &str) -> BTreeMap<String, Vec<u8>> {
        let prefix = format!("hunts/{run}/");
        let list = self.s3.list_objects_v2().bucket(&self.results).prefix(&prefix).send().await.unwrap();
        let mut found = BTreeMap::new();
        for object in list.contents.unwrap_or_default() {
            let key = object.key.unwrap();
            let body = self.s3.get_object().bucket(&self.results).key(&key).send().await.unwrap().body;
            let name = key.strip_prefix(&prefix).unwrap().to_owned();
            found.insert(name, body.collect().await.unwrap().to_vec());
        }
        found
    }

    fn settings(&self) -> [(&str, &str); 1] {
        [("HUNT_RESULTS", &self.results)]
    }

    fn batch<'a>(&self, run: &str, objects: impl IntoIterator<Item = (&'a String, usize)>) -> Value {
        let objects: Vec<Value> =
            objects.into_iter().map(|(key, size)| json!({"key": key, "size": size})).collect();
        json!({
            "imagewarden": "hunt", "run": run, "started": "2026-11-22T07:00:00Z", "bucket": self.logs,
            "objects": objects,
        })
    }
}

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

/// Step Functions, S3 and SNS as moto emulates them, in a process that runs state machines.
struct Cloud {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    url: String,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cloud {
    fn start(callback: &str) -> Self {
        let mut child = Command::new(support::moto::python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/state_machine.py"))
            .args(["serve", callback])
            .env("AWS_REGION", REGION)
            .env("MOTO_ACCOUNT_ID", ACCOUNT)
            .env("no_proxy", "localhost,127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run `make setup` first");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut cloud = Self { child, input, output, url: String::new() };
        cloud.url = cloud.answer()["url"].as_str().unwrap().to_owned();
        cloud
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn run(&mut self, name: &str, values: Value, input: Value) -> Value {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml");
        let run = json!({"template": template, "values": values, "name": name, "input": input});
        writeln!(self.input, "{run}").unwrap();
        self.answer()
    }
}

/// The state machine of the template, run: it lists, hands out batches, and has the message sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_templates_state_machine_hunts_through_a_prefix() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}", listener.local_addr().unwrap());
    let mut cloud = tokio::task::spawn_blocking(move || Cloud::start(&callback)).await.unwrap();
    let config = sdk(&cloud.url);
    let buckets = Buckets::make(&config, "hunt-6").await;
    let (objects, logs) = archive();
    buckets.fill(&objects).await;
    buckets.put(&buckets.logs, "elsewhere/x.json.gz", log(&[launched(1)])).await;
    let sns = aws_sdk_sns::Client::new(&config);
    let topic = sns.create_topic().name("hunt-6").send().await.unwrap().topic_arn.unwrap();
    let relay = relay(&cloud.url).await;
    let function = Arc::new(Function::start(&relay.url, &topic, &buckets.settings()).await);
    let (sender, mut payloads) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (function, sender) = (function.clone(), sender.clone());
            tokio::spawn(async move {
                let mut stream = tokio::io::BufReader::new(stream);
                let Ok(Some(request)) = Request::read(&mut stream).await else { return };
                let payload: Value = serde_json::from_str(&request.body).unwrap();
                sender.send(payload.clone()).unwrap();
                let answer = match function.invoke(payload).await {
                    Ok(reply) => json!({"payload": reply}),
                    Err((kind, message)) => json!({"error": {"errorType": kind, "errorMessage": message}}),
                };
                Response::ok(answer.to_string()).write(&mut stream).await.unwrap();
                let _ = stream.flush().await;
            });
        }
    });
    let values = json!({
        "HuntBucket": buckets.logs, "HuntResults": buckets.results, "HuntConcurrency": "2", "AWS::Partition": "aws",
        "HuntFunction.Arn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:hunt"),
    });
    let (cloud, ended) = tokio::task::spawn_blocking(move || {
        let ended = cloud.run("run-6", values, json!({"prefix": "AWSLogs/"}));
        (cloud, ended)
    })
    .await
    .unwrap();
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let output: Value = serde_json::from_str(ended["output"].as_str().unwrap()).unwrap();
    let told = &output["told"]["summary"];
    assert_eq!(
        (&told["told"], &told["failed"], &told["files"]),
        (&json!(true), &json!(0), &json!(logs)),
        "{output}"
    );
    let mut sent = Vec::new();
    while let Ok(payload) = payloads.try_recv() {
        sent.push(payload);
    }
    let (batches, summaries): (Vec<&Value>, Vec<&Value>) =
        sent.iter().partition(|it| it["imagewarden"] == "hunt");
    let handed: std::collections::BTreeSet<&str> = batches
        .iter()
        .flat_map(|batch| batch["objects"].as_array().unwrap())
        .map(|object| object["key"].as_str().unwrap())
        .collect();
    assert_eq!(handed, objects.keys().map(String::as_str).collect());
    assert_eq!(summaries.len(), 1, "one message");
    let found = buckets.found("run-6").await;
    assert_eq!(found.keys().filter(|name| name.starts_with("counts/")).count(), batches.len());
    drop(cloud);
}
