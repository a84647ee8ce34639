//! What judging costs: the sample events, over and over, without reading files, asking AWS or telling
//! anybody. `benches/run.py` sets it beside the same tests in Python.
//!
//! ```text
//! evaluate --rounds N      judge every sample N times; prints the processor time of it as JSON
//! evaluate --verdicts      prints what matched and what could not be told, by sample, as JSON
//! evaluate --events N [--history]
//!                          takes every sample from its JSON text to its alerts by the whole shipped policy, N times
//!                          as events of their own; with a history that keeps records as the table does
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use imagewarden::alert::{Alert, HttpsBody, message};
use imagewarden::detection::{REGISTRY, Verdict};
use imagewarden::engine::{self, Judgement};
use imagewarden::history::deliver::Publisher;
use imagewarden::history::{Key, Memory, Record, Store, StoreError};
use imagewarden::lookup::Facts;
use imagewarden::lookup::recorded::Recorded;
use imagewarden::pipeline::Pipeline;
use imagewarden::policy::Policy;
use imagewarden::source::{self, Surroundings};
use serde_json::{Value, json};

/// What `compare/evaluate.py` tests too; the others are switched off here.
const COMPARED: &[&str] = &[
    "machine-image-not-approved",
    "machine-image-laundered",
    "guard-rail-lowered",
    "ecr-scan-critical",
    "ecr-push-outside-hours",
    "ecr-push-unknown-user",
    "ecr-scan-high",
    "launch-attempt-denied",
    "ecr-scan-medium",
    "ecr-scan-low",
];

/// The shipped policy with nothing but those.
fn policy() -> Policy {
    let mut policy = Policy::bundled().clone();
    for detection in REGISTRY {
        if !COMPARED.contains(&detection.id) {
            policy.detections.entry(detection.id.to_owned()).or_default().enabled = Some(false);
        }
    }
    policy
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What the Python side does not read.
const OTHER_CLOUDS: &[&str] = &["imagewarden.azure", "imagewarden.gcp"];

/// The sample events as the function gets them, in EventBridge's envelope; parsed, by name.
fn samples(folder: &Path) -> Outcome<Vec<(String, Value)>> {
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let payload: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            if payload.get("detail-type").is_some()
                && !OTHER_CLOUDS.iter().any(|cloud| payload["source"] == *cloud)
            {
                samples.push((name, payload));
            }
        }
    }
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(samples)
}

async fn judge(payload: &Value, around: &Surroundings, policy: &Policy, facts: &Recorded) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for activity in source::read(payload, around).activities {
        let (memory, mut known) = (Memory::none(), Facts::default());
        judgements.push(engine::judge(Arc::new(activity), policy, facts, &memory, &mut known).await);
    }
    judgements
}

/// Records as the table keeps them, as JSON under their keys; without the requests.
#[derive(Default)]
struct Texts(Mutex<HashMap<String, (u64, String)>>);

impl Store for Texts {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        let texts = self.0.lock().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let found = keys.iter().filter_map(|key| texts.get(&key.to_string()));
        found
            .map(|(version, text)| {
                let record: Record =
                    serde_json::from_str(text).map_err(|error| StoreError::Unavailable(error.to_string()))?;
                Ok(Record { version: *version, ..record })
            })
            .collect()
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut texts = self.0.lock().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        for record in records {
            let text =
                serde_json::to_string(record).map_err(|error| StoreError::Unavailable(error.to_string()))?;
            texts.insert(record.key.to_string(), (record.version + 1, text));
        }
        Ok(())
    }
}

/// Renders what the function would send.
struct Rendered;

impl Publisher for Rendered {
    async fn publish(&self, _: &'static str, alert: &Alert) -> Result<(), String> {
        if !alert.below_floor {
            std::hint::black_box(message(alert, HttpsBody::Chat));
        }
        Ok(())
    }
}

/// One sample, as an event of its own.
async fn event(
    text: &str,
    number: u32,
    around: &Surroundings,
    facts: &Recorded,
    store: Option<&Texts>,
) -> Outcome<()> {
    let payload: Value = serde_json::from_str(text)?;
    for mut activity in source::read(&payload, around).activities {
        activity.id = format!("{}-{number}", activity.id);
        let now = Utc::now();
        let pipeline = Pipeline {
            policy: Policy::bundled(),
            policy_note: None,
            lookup: facts,
            store,
            publisher: &Rendered,
            token: "bench",
            deadline: now + TimeDelta::seconds(40),
            warm_up: true,
            now: &move || now,
        };
        std::hint::black_box(pipeline.process(Arc::new(activity)).await?);
    }
    Ok(())
}

/// Nanoseconds that this thread, the only one, has had of a processor.
fn processor_time() -> Outcome<u64> {
    let statistics = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(statistics.split_whitespace().next().unwrap_or_default().parse()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let samples = samples(&root.join("events"))?;
    let facts = Recorded::open(&root.join("events/facts"))?;
    let policy = policy();
    let around = Surroundings::new(Utc::now());

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--verdicts") {
        let mut told = BTreeMap::new();
        for (name, payload) in &samples {
            let judgements = judge(payload, &around, &policy, &facts).await;
            let verdicts = judgements.iter().flat_map(|judgement| &judgement.verdicts);
            let mut lines: Vec<String> = verdicts
                .filter_map(|(detection, verdict)| match verdict {
                    Verdict::Match(_) => Some(format!("{}: match", detection.id)),
                    Verdict::CannotTell(_) => Some(format!("{}: cannot tell", detection.id)),
                    _ => None,
                })
                .collect();
            lines.sort();
            told.insert(name, lines);
        }
        println!("{}", json!(told));
        return Ok(());
    }
    let number = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    if let Some(rounds) = number("--events") {
        let store = arguments.iter().any(|argument| argument == "--history").then(Texts::default);
        let texts: Vec<String> = samples.iter().map(|(_, payload)| payload.to_string()).collect();
        for round in 0..rounds.parse()? {
            for text in &texts {
                event(text, round, &around, &facts, store.as_ref()).await?;
            }
        }
        println!("{}", json!({"payloads": samples.len(), "rounds": rounds}));
        return Ok(());
    }
    let rounds: u32 = number("--rounds").map_or(Ok(1), |rounds| rounds.parse())?;
    for (_, payload) in &samples {
        std::hint::black_box(judge(payload, &around, &policy, &facts).await);
    }
    let before = processor_time()?;
    for _ in 0..rounds {
        for (_, payload) in &samples {
            std::hint::black_box(judge(payload, &around, &policy, &facts).await);
        }
    }
    let spent = processor_time()?.saturating_sub(before);
    println!("{}", json!({"payloads": samples.len(), "rounds": rounds, "cpu_ns": spent}));
    Ok(())
}
