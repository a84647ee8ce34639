//! The real function and bad input: a clear outcome every time, never a crash, nothing lost.
//!
//! The simulator takes JSON values only; this runtime API takes any bytes.

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::events::{launch, sqs};
use support::stub::{Request, Response, Stub};
use support::{ACCOUNT, PATIENCE, REGION, TOPIC, function};

const RUNTIME: &str = "/2018-06-01/runtime/";

/// What became of an invocation.
#[derive(Debug)]
enum Outcome {
    Reply(Value),
    Error { kind: String, message: String },
}

/// Runs payloads one after the other through one process, and returns what it answered to each.
async fn run(payloads: Vec<Vec<u8>>) -> Vec<Outcome> {
    let aws = Stub::start(|request| match request.action() {
        "Publish" => Response::published(),
        _ => Response::ec2_error(400, "InvalidAMIID.NotFound"),
    })
    .await;
    let count = payloads.len();
    let waiting = Arc::new(Mutex::new(VecDeque::from(payloads)));
    let number = Mutex::new(0);
    let runtime = Stub::start(move |request: &Request| {
        if request.path != format!("{RUNTIME}invocation/next") {
            return Response::new(202, "{}");
        }
        let Some(payload) = waiting.lock().unwrap().pop_front() else { return Response::silence() };
        let mut number = number.lock().unwrap();
        *number += 1;
        let deadline = std::time::SystemTime::now() + Duration::from_secs(60);
        let deadline = deadline.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        Response::ok(payload)
            .header("Lambda-Runtime-Aws-Request-Id", format!("request-{number}"))
            .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
            .header("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000")
            .header(
                "Lambda-Runtime-Invoked-Function-Arn",
                format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:imagewarden"),
            )
    })
    .await;
    let mut variables = function::environment(&aws.url, TOPIC);
    variables.extend(lambda_variables(&runtime));
    let (mut child, _) = function::spawn(variables);
    let start = Instant::now();
    let is_answer =
        |request: &Request| request.path.ends_with("/response") || request.path.ends_with("/error");
    let answers = loop {
        let answers: Vec<Request> = runtime.requests().into_iter().filter(is_answer).collect();
        if answers.len() == count {
            break answers;
        }
        assert!(child.try_wait().unwrap().is_none(), "the process ended after {} answers", answers.len());
        assert!(start.elapsed() < PATIENCE, "{} answers of {count}", answers.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    answers
        .iter()
        .enumerate()
        .map(|(index, answer)| {
            assert!(answer.path.contains(&format!("request-{}/", index + 1)), "{}", answer.path);
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            if answer.path.ends_with("/response") {
                Outcome::Reply(body)
            } else {
                let text = |name: &str| body[name].as_str().unwrap().to_owned();
                Outcome::Error { kind: text("errorType"), message: text("errorMessage") }
            }
        })
        .collect()
}

fn lambda_variables(runtime: &Stub) -> Vec<(String, String)> {
    [
        ("AWS_LAMBDA_RUNTIME_API", runtime.url.trim_start_matches("http://")),
        ("AWS_LAMBDA_FUNCTION_NAME", "imagewarden"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", REGION),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Each is an error that names what is wrong, and the process goes on to the next.
#[tokio::test]
async fn what_is_no_event_is_an_error_that_says_so() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"oh no".to_vec(), ""),
        (b"".to_vec(), ""),
        (b"{\"a\": \"\xff\xfe\"}".to_vec(), ""),
        (b"{}".to_vec(), "empty object"),
        (b"null".to_vec(), "null"),
        (b"\"{}\"".to_vec(), ""),
        (b"[1, 2]".to_vec(), "a number"),
        (b"{\"hello\": \"world\"}".to_vec(), "no EventBridge event"),
        ([vec![b'['; 100_000], vec![b']'; 100_000]].concat(), "recursion"),
        (format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(), "recursion"),
        (
            b"{\"Records\": [{\"eventVersion\": \"1.11\", \"eventSource\": \"ec2.amazonaws.com\"}]}".to_vec(),
            "eventName",
        ),
    ];
    let outcomes = run(cases.iter().map(|(payload, _)| payload.clone()).collect()).await;
    for ((payload, expected), outcome) in cases.iter().zip(outcomes) {
        let start = String::from_utf8_lossy(&payload[..payload.len().min(60)]).into_owned();
        let Outcome::Error { kind, message } = outcome else { panic!("{start} was taken: {outcome:?}") };
        assert!(!kind.is_empty() && !message.is_empty(), "{start}");
        assert!(message.contains(expected), "{start}: {message}");
        assert!(message.len() < 1000, "{start}: the payload is not for the error message");
    }
}

#[tokio::test]
async fn a_message_nested_too_deep_goes_back_alone() {
    let deep = format!("{{\"detail\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let batch = sqs(&[launch("ami-0a1b2c3d4e5f60718").to_string(), deep]);
    let outcome = run(vec![batch.to_string().into_bytes()]).await.remove(0);
    let Outcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reply["batchItemFailures"], json!([{"itemIdentifier": "m-1"}]));
    assert_eq!(reply["published"], 1, "an image that is not there is told");
}

#[tokio::test]
async fn a_megabyte_of_event_and_hostile_text_are_just_events() {
    let mut large = launch("ami-0a1b2c3d4e5f60718");
    large["detail"]["requestParameters"]["padding"] = json!("x".repeat(1_000_000));
    let mut hostile = launch("ami-0a1b2c3d4e5f60718");
    hostile["detail"]["userIdentity"]["userName"] =
        json!("jo\u{0}\u{202e}\u{1b}[31m<!channel>\r\nSubject: x");
    hostile["detail"]["userAgent"] = json!("\u{feff}".repeat(5000));
    let mut absurd = launch("ami-0a1b2c3d4e5f60718");
    absurd["detail"]["eventTime"] = json!("-262144-01-01T00:00:00Z");
    absurd["time"] = json!("9999-12-31T23:59:59Z");
    let outcomes =
        run([large, hostile, absurd].iter().map(|event| event.to_string().into_bytes()).collect()).await;
    for outcome in outcomes {
        let Outcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reply["published"], 1, "{reply}");
    }
}

/// Whatever field is missing, the outcome is clear: judged, or an error; and the process lives.
#[tokio::test]
async fn any_field_may_be_missing() {
    let event = launch("ami-0a1b2c3d4e5f60718");
    let mut payloads = Vec::new();
    for field in event.as_object().unwrap().keys() {
        let mut without = event.clone();
        without.as_object_mut().unwrap().remove(field);
        payloads.push(without.to_string().into_bytes());
    }
    for field in event["detail"].as_object().unwrap().keys() {
        let mut without = event.clone();
        without["detail"].as_object_mut().unwrap().remove(field);
        payloads.push(without.to_string().into_bytes());
    }
    for outcome in run(payloads).await {
        match outcome {
            Outcome::Reply(reply) => assert_eq!(reply["unreadable"], 0, "{reply}"),
            Outcome::Error { kind, message } => {
                assert_eq!(kind, "Unreadable");
                assert!(message.contains("without"), "{message}");
            }
        }
    }
}

/// The console shows why, not only that the process ended.
#[tokio::test]
async fn a_missing_topic_is_told_to_the_runtime_api() {
    let runtime = Stub::start(|_| Response::new(202, "{}")).await;
    for (topic, bundle, expected) in
        [("", "", "TOPIC_ARN is not set"), (TOPIC, "/nowhere.pem", "AWS_CA_BUNDLE names /nowhere.pem")]
    {
        let mut variables = function::environment("http://127.0.0.1:9", topic);
        variables.extend(lambda_variables(&runtime));
        variables.push(("AWS_CA_BUNDLE".to_owned(), bundle.to_owned()));
        let (mut child, _) = function::spawn(variables);
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(!status.success());
        let told = runtime.requests().pop().unwrap();
        assert_eq!(told.path, format!("{RUNTIME}init/error"));
        assert!(told.headers.contains_key("lambda-runtime-function-error-type"));
        let body: Value = serde_json::from_str(&told.body).unwrap();
        assert!(body["errorMessage"].as_str().unwrap().contains(expected), "{body}");
    }
}
