//! The real function and batches of log lines: a bad line costs no good one and is kept, control messages
//! say nothing, and what unpacks without end is refused.

mod support;

use serde_json::{Value, json};
use support::events::log_batch;
use support::function::Function;
use support::moto::Moto;

fn batch(kind: &str, lines: &[String]) -> Value {
    let event = |(index, line): (usize, &String)| json!({"id": index.to_string(), "timestamp": 1_772_787_600_000_i64, "message": line});
    let events: Vec<Value> = lines.iter().enumerate().map(event).collect();
    let document = json!({
        "messageType": kind, "owner": "111122223333", "logGroup": "/vpc/resolver", "logStream": "s",
        "subscriptionFilters": ["imagewarden"], "logEvents": events,
    });
    log_batch(&document.to_string())
}

/// A query for a mining pool.
fn query(name: &str) -> String {
    json!({
        "version": "1.100000", "account_id": "111122223333", "region": "eu-central-1", "vpc_id": "vpc-1",
        "query_timestamp": "2026-03-06T09:00:04Z", "query_name": name, "query_type": "A",
        "srcaddr": "10.0.14.91", "srcport": "51217", "srcids": {"instance": "i-0123456789abcdef0"},
    })
    .to_string()
}

/// The text of every log line that was kept.
fn kept(bodies: &[String]) -> Vec<String> {
    let documents = bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
    let events = documents.flat_map(|document| document["logEvents"].as_array().unwrap().clone());
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_bad_line_fails_no_batch_and_is_counted_and_kept() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("logs-1").await;
    let failures = moto.queue("logs-failures-1").await;
    let function = Function::start(&moto.url, &topic, &[("FAILURE_QUEUE_URL", &failures)]).await;
    let bad = "{\"version\":\"1.100000\",\"query_name\":".to_owned();
    let lines = [query("supportxmr.com."), bad.clone(), query("example.com.")];
    let reply = function.invoke(batch("DATA_MESSAGE", &lines)).await.unwrap();
    assert_eq!((&reply["published"], &reply["unreadable"]), (&json!(1), &json!(1)), "{reply}");
    assert_eq!(moto.received(&queue).await.len(), 1);
    assert_eq!(function.metric("Unreadable"), 1.0);
    let bodies = moto.drain(&failures).await;
    assert_eq!(kept(&bodies), std::slice::from_ref(&bad));

    // What was kept can be sent through again as it is: as unreadable as before, and kept again.
    let kept_record: Value = serde_json::from_str(&bodies[0]).unwrap();
    let again = function.invoke(kept_record.clone()).await.unwrap();
    assert_eq!((&again["unreadable"], &again["published"]), (&json!(1), &json!(0)), "{again}");
    assert_eq!(kept(&moto.drain(&failures).await), [bad]);
    // A replay leaves it where it is: kept a second time it would come back for ever.
    assert_eq!(function.invoke_replayed(kept_record).await.unwrap_err().0, "Unreadable");
    assert!(moto.drain(&failures).await.is_empty());
}

#[tokio::test]
async fn of_a_thousand_bad_lines_every_one_is_kept() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("logs-2").await;
    let failures = moto.queue("logs-failures-2").await;
    let function = Function::start(&moto.url, &topic, &[("FAILURE_QUEUE_URL", &failures)]).await;
    let mut lines: Vec<String> = (0..1000).map(|number| format!("what is this {number}")).collect();
    lines.push(query("supportxmr.com."));
    let reply = function.invoke(batch("DATA_MESSAGE", &lines)).await.unwrap();
    assert_eq!(reply["published"], 1, "{reply}");
    assert_eq!(moto.received(&queue).await.len(), 1);
    let mut found = kept(&moto.drain(&failures).await);
    found.sort();
    let mut bad = lines[..1000].to_vec();
    bad.sort();
    assert_eq!(found, bad);
}

#[tokio::test]
async fn control_messages_are_ignored() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("logs-3").await;
    let function = Function::start(&moto.url, &topic, &[]).await;
    let lines = ["CWL CONTROL MESSAGE: Checking health of destination Lambda.".to_owned()];
    let reply = function.invoke(batch("CONTROL_MESSAGE", &lines)).await.unwrap();
    assert_eq!((&reply["activities"], &reply["unreadable"]), (&json!(0), &json!(0)), "{reply}");
    assert!(moto.received(&queue).await.is_empty());
}

/// Refused, and nothing lost: the platform keeps the payload. The process goes on.
#[tokio::test]
async fn what_unpacks_without_end_is_refused() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("logs-4").await;
    let failures = moto.queue("logs-failures-4").await;
    let mut function = Function::start(&moto.url, &topic, &[("FAILURE_QUEUE_URL", &failures)]).await;
    let bomb = log_batch(&format!("{{\"logEvents\": [], \"x\": \"{}\"}}", "0".repeat(200 << 20)));
    assert!(bomb.to_string().len() < 2 << 20, "it is small as it comes");
    let (kind, message) = function.invoke(bomb).await.unwrap_err();
    assert_eq!(kind, "Unreadable");
    assert!(message.contains("inflates to more than"), "{message}");
    assert!(function.alive());
    assert!(function.peak_memory() < 192 << 20, "{} bytes", function.peak_memory());
    let reply = function.invoke(batch("DATA_MESSAGE", &[query("supportxmr.com.")])).await.unwrap();
    assert_eq!(reply["published"], 1);
}

#[tokio::test]
async fn a_custom_flow_log_format_is_read_by_its_setting() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("logs-5").await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "notify: {minimum_severity: low}\n").unwrap();
    let policy = format!("file:{}", policy.display());
    let line =
        ["6 203.0.113.12 3333 10.0.14.91 41022 eni-0a1b2c3d4e5f60718 1772787600 111122223333".to_owned()];
    let format =
        "${protocol} ${dstaddr} ${dstport} ${srcaddr} ${srcport} ${interface-id} ${start} ${account-id}";
    let settings = [("POLICY_URI", policy.as_str()), ("FLOW_LOG_FORMAT", format)];
    let function = Function::start(&moto.url, &topic, &settings).await;
    let reply = function.invoke(batch("DATA_MESSAGE", &line)).await.unwrap();
    assert_eq!(reply["published"], 1, "{reply}");
    let message = moto.received(&queue).await[0]["Message"].as_str().unwrap().to_owned();
    assert!(message.contains("mining-pool-connection") && message.contains("203.0.113.12"), "{message}");
}
