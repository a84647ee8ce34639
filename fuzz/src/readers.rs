//! The project's readers, each as a function of bytes. What a reader takes is read, judged by the shipped policy,
//! and rendered in every form, so that a fault anywhere behind the reader is found too.
//!
//! `make fuzz` drives them with libFuzzer; `make work` and a test count the instructions that they cost.

use std::fmt;
use std::io::{self, Read, Write as _};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use imagewarden::activity::Activity;
use imagewarden::alert::{Alert, HttpsBody, chat, email, message, terminal};
use imagewarden::archive::{self, Fetch, Input};
use imagewarden::detection::reference::Reference;
use imagewarden::history::InMemory;
use imagewarden::lookup::{Recorded, RecordedError};
use imagewarden::past::Past;
use imagewarden::policy::Policy;
use imagewarden::source::{self, Surroundings};
use imagewarden::user_data::{self, Trust};
use serde_json::json;

/// Reads bytes, and does not panic.
pub type Reader = fn(&[u8]);

/// Everything that has a reader of its own, by name.
pub const READERS: &[(&str, Reader)] = &[
    ("events", events),
    ("log_batches", log_batches),
    ("user_data", user_data),
    ("policies", policies),
    ("archives", archives),
    ("manifests", manifests),
    ("references", references),
];

/// A payload as the function or `check` gets it.
pub fn events(bytes: &[u8]) {
    judge(source::read_bytes(bytes, &surroundings()).activities);
}

/// Lines of a log, as a CloudWatch Logs subscription delivers them.
pub fn log_batches(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(number, line)| json!({"id": format!("{number:056}"), "timestamp": 1_790_000_000_000_i64, "message": line}))
        .collect();
    let batch = json!({
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "/aws/eks/shop/cluster",
        "logStream": "stream",
        "subscriptionFilters": ["imagewarden"],
        "logEvents": lines,
    });
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let packed = gzip.write_all(batch.to_string().as_bytes()).and_then(|()| gzip.finish());
    let data = STANDARD.encode(packed.unwrap_or_default());
    judge(source::read(&json!({"awslogs": {"data": data}}), &surroundings()).activities);
}

/// User data as EC2 holds it.
pub fn user_data(bytes: &[u8]) {
    let inspection = user_data::inspect(bytes, &Trust::default(), true);
    assert!(inspection.findings.len() <= 10_000, "the number of findings has no bound");
}

/// A policy. One that is taken must be taken again as it is printed.
pub fn policies(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(policy) = Policy::parse(&text, "policy.yaml") {
        let printed = policy.to_yaml();
        let again = Policy::parse(&printed, "printed.yaml").map(|policy| policy.to_yaml());
        assert_eq!(again.ok(), Some(printed), "a printed policy is read as it was");
    }
}

/// An archive's object. With and without the shortcuts, the same activities must come out.
pub fn archives(bytes: &[u8]) {
    let scan = |shortcuts| {
        let mut options = archive::Options::new(surroundings());
        options.jobs = 1;
        options.shortcuts = shortcuts;
        options.fetch = Some(Arc::new(Memory(bytes.to_vec())));
        let input =
            Input::Object { bucket: "logs".to_owned(), key: "a.json".to_owned(), size: bytes.len() as u64 };
        let mut activities = Vec::new();
        let summary = archive::scan(&[input], &options, |batch| {
            activities.extend(batch.activities);
            Ok(())
        });
        summary.map(|_| activities).unwrap_or_default()
    };
    judge(scan(true));
    judge(scan(false));
}

/// The manifest of an image that is pushed.
pub fn manifests(bytes: &[u8]) {
    let manifest = String::from_utf8_lossy(bytes);
    let event = record(
        "ecr.amazonaws.com",
        "PutImage",
        json!({"repositoryName": "shop/web", "imageTag": "1.0", "imageManifest": manifest}),
    );
    judge(source::read(&event, &surroundings()).activities);
}

/// A reference to an image. Its normal form must be its own normal form.
pub fn references(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(reference) = Reference::parse(&text) {
        let repository = reference.repository();
        assert_eq!(
            Reference::parse(&repository).map(|again| again.repository()),
            Some(repository),
            "a repository's normal form is its own"
        );
    }
    let event = record(
        "ecs.amazonaws.com",
        "RegisterTaskDefinition",
        json!({"family": "web", "containerDefinitions": [{"name": "web", "image": text}]}),
    );
    judge(source::read(&event, &surroundings()).activities);
}

fn record(source: &str, name: &str, parameters: serde_json::Value) -> serde_json::Value {
    json!({
        "eventVersion": "1.11",
        "eventID": "5f0c2d55-6d5b-4a9e-9b6e-1d0f5a3c7e11",
        "eventTime": "2026-03-03T10:15:00Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": "eu-central-1",
        "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ci", "accountId": "111122223333", "userName": "ci"},
        "requestParameters": parameters,
        "responseElements": {},
    })
}

fn surroundings() -> Surroundings {
    Surroundings {
        account: Some("111122223333".to_owned()),
        region: Some("eu-central-1".to_owned()),
        ..Surroundings::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default())
    }
}

/// Judges activities in the order of their times, as `check` does, and renders what is found.
fn judge(mut activities: Vec<Activity>) {
    static NO_FACTS: LazyLock<Result<Recorded, RecordedError>> =
        LazyLock::new(|| Recorded::open(&std::env::temp_dir().join("imagewarden-no-facts")));
    activities.sort_by_key(|activity| activity.time);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let mut past = Past::new(Policy::bundled(), None, false, InMemory::default());
    for activity in activities {
        let processed = match NO_FACTS.as_ref() {
            Ok(facts) => runtime.block_on(past.judge(activity, facts)),
            Err(_) => return,
        };
        for (alert, _) in processed.map(|processed| processed.alerts).unwrap_or_default() {
            render(&alert);
        }
    }
}

/// The bound of SNS.
const MESSAGE: usize = 262_144;

fn render(alert: &Alert) {
    assert!(message(alert, HttpsBody::default()).size() <= MESSAGE, "a message is too large for SNS");
    let _ =
        (email::text(alert), chat::notification(alert), terminal::text(alert, false), terminal::sms(alert));
}

/// One object, held in memory.
struct Memory(Vec<u8>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Fetch for Memory {
    fn open(&self, _: &str, _: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.0.clone())))
    }
}
