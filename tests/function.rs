//! The real function, from an event in to a message that a subscriber receives.

mod support;

use serde_json::{Value, json};
use support::ACCOUNT;
use support::events::{launch, push_at_night, scan, sqs};
use support::function::Function;
use support::moto::{FOREIGN, Moto, OWN};
use support::relay::Relay;

/// The notification's body by protocol, and its finding.
fn finding(notification: &Value) -> (Value, Value) {
    let text = |name: &str| notification[name].as_str().unwrap().to_owned();
    let finding: Value = serde_json::from_str(&text("Message")).unwrap();
    let attributes = notification["MessageAttributes"].clone();
    assert!(text("Subject").len() < 100);
    (attributes, finding)
}

fn analytic(finding: &Value) -> &str {
    finding["finding_info"]["analytic"]["uid"].as_str().unwrap()
}

#[tokio::test]
async fn a_launch_from_a_strangers_image_reaches_the_subscriber() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-1").await;
    let function = Function::start(&moto.url, &topic, &[]).await;
    let reply = function.invoke(launch(FOREIGN)).await.unwrap();
    assert_eq!(reply["activities"], 1);
    assert_eq!(reply["published"], 1);
    let received = moto.received(&queue).await;
    assert_eq!(received.len(), 1);
    let (attributes, finding) = finding(&received[0]);
    assert_eq!(analytic(&finding), "machine-image-not-approved");
    assert_eq!(finding["class_uid"], 2004);
    assert_eq!(finding["severity"], "High");
    assert!(finding.to_string().contains("210987654321"), "the owner is named");
    assert_eq!(attributes["severity"]["Value"], "high");
    assert_eq!(attributes["account"]["Value"], ACCOUNT);
    assert_eq!(attributes["detection"]["Type"], "String.Array");
    assert_eq!(function.metric("Alerts"), 1.0);
    assert_eq!(function.metric("Events"), 1.0);
}

#[tokio::test]
async fn a_launch_from_an_own_image_is_quiet() {
    let moto = Moto::start().await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let (topic, queue) = moto.topic("alerts-2").await;
    let function = Function::start(&relay.url, &topic, &[]).await;
    let reply = function.invoke(launch(OWN)).await.unwrap();
    assert_eq!((&reply["activities"], &reply["alerts"]), (&json!(1), &json!(0)), "{reply}");
    assert!(moto.received(&queue).await.is_empty());
}

const HOURS: &str = "\
uploads:
  schedules:
    - {days: [mon, tue, wed, thu, fri], hours: \"08:00-20:00\", zone: Europe/Berlin, repositories: [\"*\"], principals: [\"*\"]}
  pushers: [{principal: \"arn:aws:iam::*:role/ci/*\", repositories: [\"*\"]}]
notify: {minimum_severity: low}
";

/// The policy from Parameter Store; a push by a stranger at night is one message, not two.
#[tokio::test]
async fn a_push_at_night_by_a_stranger_is_one_alert() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-3").await;
    let ssm = aws_sdk_ssm::Client::new(&moto.sdk);
    let kind = aws_sdk_ssm::types::ParameterType::SecureString;
    ssm.put_parameter().name("/imagewarden/policy").value(HOURS).r#type(kind).send().await.unwrap();
    let function = Function::start(&moto.url, &topic, &[("POLICY_URI", "ssm:/imagewarden/policy")]).await;
    let reply = function.invoke(push_at_night()).await.unwrap();
    assert_eq!(reply["published"], 1, "{reply}");
    assert_eq!(reply.get("policy_note"), None);
    let (_, finding) = finding(&moto.received(&queue).await[0]);
    assert_eq!(analytic(&finding), "ecr-push-outside-hours");
    let related = &finding["finding_info"]["related_analytics"][0]["uid"];
    assert_eq!(related, "ecr-push-unknown-user");
}

/// The policy from S3; a scan is told under its worst class.
#[tokio::test]
async fn a_scan_with_critical_findings_is_told_and_a_failed_one_is_a_metric() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-4").await;
    let s3 = imagewarden::aws::s3(&moto.sdk);
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuCentral1)
        .build();
    s3.create_bucket().bucket("policies").create_bucket_configuration(place).send().await.unwrap();
    let policy = aws_sdk_s3::primitives::ByteStream::from_static(b"notify: {minimum_severity: high}\n");
    s3.put_object().bucket("policies").key("a/policy.yaml").body(policy).send().await.unwrap();
    let function = Function::start(&moto.url, &topic, &[("POLICY_URI", "s3://policies/a/policy.yaml")]).await;
    let reply = function.invoke(scan("COMPLETE", json!({"CRITICAL": 1, "MEDIUM": 2}))).await.unwrap();
    assert_eq!((&reply["published"], reply.get("policy_note")), (&json!(1), None), "{reply}");
    let (attributes, finding) = finding(&moto.received(&queue).await[0]);
    assert_eq!(analytic(&finding), "ecr-scan-critical");
    assert_eq!(attributes["severity_id"]["Value"], "4");
    let reply = function.invoke(scan("COMPLETE", json!({"MEDIUM": 2}))).await.unwrap();
    assert_eq!((&reply["published"], &reply["below_floor"]), (&json!(0), &json!(1)), "{reply}");
    let reply = function.invoke(scan("FAILED", json!({}))).await.unwrap();
    assert_eq!(reply["alerts"], 0);
    assert_eq!(function.metric("FailedScans"), 1.0);
    assert!(moto.received(&queue).await.is_empty());
}

#[tokio::test]
async fn a_policy_that_cannot_be_loaded_is_said_in_every_alert() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-5").await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("policy.yaml");
    std::fs::write(&broken, "imagess: {}\n").unwrap();
    for uri in [
        "ssm:/nowhere".to_owned(),
        "s3://nowhere/policy.yaml".to_owned(),
        format!("file:{}", broken.display()),
        "file:/nowhere/policy.yaml".to_owned(),
    ] {
        let function = Function::start(&moto.url, &topic, &[("POLICY_URI", &uri)]).await;
        let reply = function.invoke(launch(FOREIGN)).await.unwrap();
        assert_eq!(reply["published"], 1, "{uri}: the bundled policy judges");
        let note = reply["policy_note"].as_str().unwrap();
        assert!(note.contains("policy not loaded") && note.contains(&uri), "{note}");
        let received = moto.received(&queue).await;
        assert!(received[0]["Message"].as_str().unwrap().contains("policy not loaded"), "{uri}");
        assert_eq!(function.metric("PolicyNotLoaded"), 1.0);
    }
}

#[tokio::test]
async fn a_policy_file_is_judged_by() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-6").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "images: {approved: {owners: [\"210987654321\"]}}\n").unwrap();
    let uri = format!("file:{}", file.display());
    let function = Function::start(&moto.url, &topic, &[("POLICY_URI", &uri)]).await;
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 0);
    assert_eq!(function.invoke(launch(OWN)).await.unwrap()["published"], 1);
    assert_eq!(moto.received(&queue).await.len(), 1);
}

#[tokio::test]
async fn of_a_batch_only_what_failed_comes_again() {
    let moto = Moto::start().await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let (topic, queue) = moto.topic("alerts-7").await;
    let function = Function::start(&relay.url, &topic, &[]).await;
    let batch = sqs(&[
        launch(FOREIGN).to_string(),
        "not JSON".to_owned(),
        launch(OWN).to_string(),
        json!({"Records": [launch(OWN)["detail"], {"no": "event"}]}).to_string(),
    ]);
    let reply = function.invoke(batch).await.unwrap();
    let failures = json!([{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-3"}]);
    assert_eq!(reply["batchItemFailures"], failures, "{reply}");
    assert_eq!((&reply["activities"], &reply["unreadable"]), (&json!(3), &json!(2)));
    assert_eq!(moto.received(&queue).await.len(), 1);
    let good = function.invoke(sqs(&[launch(OWN).to_string()])).await.unwrap();
    assert_eq!(good["batchItemFailures"], json!([]));
}

#[tokio::test]
async fn a_bad_record_among_good_ones_is_kept_whole() {
    let moto = Moto::start().await;
    let relay = Relay::with_ancestry(&moto.url).await;
    let (topic, queue) = moto.topic("alerts-8").await;
    let failures = moto.queue("failures-8").await;
    let function = Function::start(&relay.url, &topic, &[("FAILURE_QUEUE_URL", &failures)]).await;
    let bad =
        json!({"eventVersion": "1.11", "eventSource": "ec2.amazonaws.com", "note": "\u{202e}\u{0}\u{ffff}"});
    let log = json!({"Records": [launch(FOREIGN)["detail"], bad, launch(OWN)["detail"]]});
    let reply = function.invoke(log.clone()).await.unwrap();
    assert_eq!((&reply["published"], &reply["unreadable"]), (&json!(1), &json!(1)), "{reply}");
    let kept: Vec<Value> =
        moto.drain(&failures).await.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(kept, [bad]);
    assert_eq!(moto.received(&queue).await.len(), 1);
    assert_eq!(function.metric("Unreadable"), 1.0);
    // Without the queue the whole payload goes to the failure store.
    let function = Function::start(&relay.url, &topic, &[]).await;
    let (kind, message) = function.invoke(log).await.unwrap_err();
    assert_eq!(kind, "Unreadable");
    assert!(message.contains("Records[1]"), "{message}");
}

/// A queue that has gone is no reason to lose the record.
#[tokio::test]
async fn a_bad_record_that_cannot_be_kept_fails_the_whole() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("alerts-9").await;
    let url = format!("{}/{ACCOUNT}/nowhere", moto.url);
    let function = Function::start(&moto.url, &topic, &[("FAILURE_QUEUE_URL", &url)]).await;
    let log = json!({"Records": [launch(OWN)["detail"], {"no": "event"}]});
    let (kind, message) = function.invoke(log).await.unwrap_err();
    assert_eq!(kind, "NotKept", "{message}");
}

#[tokio::test]
async fn a_topic_that_is_gone_is_an_error() {
    let moto = Moto::start().await;
    let gone = "arn:aws:sns:eu-central-1:111122223333:gone";
    let mut function = Function::start(&moto.url, gone, &[]).await;
    let (kind, message) = function.invoke(launch(FOREIGN)).await.unwrap_err();
    assert_eq!(kind, "NotPublished");
    assert!(message.contains(gone) && message.contains("NotFound"), "{message}");
    let reply = function.invoke(sqs(&[launch(FOREIGN).to_string()])).await.unwrap();
    assert_eq!(reply["batchItemFailures"], json!([{"itemIdentifier": "m-0"}]));
    assert!(function.alive());
}

#[tokio::test]
async fn the_chat_topic_gets_the_bare_notification() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("alerts-11").await;
    let (chat, chat_queue) = moto.topic("chat-11").await;
    let function = Function::start(&moto.url, &topic, &[("CHAT_TOPIC_ARN", &chat)]).await;
    assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 1);
    assert_eq!(moto.received(&queue).await.len(), 1);
    let received = moto.received(&chat_queue).await;
    let notification: Value = serde_json::from_str(received[0]["Message"].as_str().unwrap()).unwrap();
    assert_eq!((&notification["version"], &notification["source"]), (&json!("1.0"), &json!("custom")));
    assert!(notification["content"]["description"].is_string());
}

/// As in the cloud: over TLS, trusting whom the environment says and nobody else.
#[tokio::test]
async fn a_tls_endpoint_is_trusted_by_the_authority_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls.py");
    let mut server = tokio::process::Command::new(support::moto::python())
        .args([script.as_ref(), folder.path().as_os_str()])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let port = folder.path().join("port");
    while !port.exists() {
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let url = format!("https://127.0.0.1:{}", std::fs::read_to_string(port).unwrap());
    let authority = folder.path().join("ca.pem");
    for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let trust = [(variable, authority.to_str().unwrap())];
        let function = Function::start(&url, support::TOPIC, &trust).await;
        assert_eq!(function.invoke(launch(FOREIGN)).await.unwrap()["published"], 1, "{variable}");
    }
    let function = Function::start(&url, support::TOPIC, &[]).await;
    let (kind, message) = function.invoke(launch(FOREIGN)).await.unwrap_err();
    assert_eq!(kind, "LookupFailed");
    assert!(message.contains("no connection"), "{message}");
}
