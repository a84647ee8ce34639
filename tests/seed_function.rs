//! Every seed through the real function: the `bootstrap` process, AWS's answers from the recorded facts, and
//! the alerts read back from a queue that subscribes to the topic.

#[allow(dead_code, reason = "every runner uses its own part")]
mod seed;
mod support;

use regex::Regex;
use seed::Case;
use serde_json::Value;
use support::events::log_batch;
use support::function::Function;
use support::moto::Moto;

/// Plays the cases of a seed, each with a function, a topic and a policy of its own.
async fn play(name: &str, cases: Vec<Case>) {
    let moto = Moto::start().await;
    let aws = support::recorded::start(&moto.url).await;
    for (number, case) in cases.iter().enumerate() {
        let id = format!("{name}-{number}");
        let (topic, queue) = moto.topic(&id).await;
        moto.table(&id).await;
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.yaml");
        std::fs::write(&policy, case.judged_by()).unwrap();
        let policy = format!("file:{}", policy.display());
        let function =
            Function::start(&aws.url, &topic, &[("POLICY_URI", &policy), ("HISTORY_TABLE", &id)]).await;
        let events = if case.history { recent(&case.events) } else { case.events.clone() };
        for event in events {
            let reply = function.invoke(delivered(event)).await;
            let reply = reply.unwrap_or_else(|error| panic!("{name}, {}: {error:?}", case.says));
            assert_eq!(reply["unreadable"], 0, "{name}, {}: {reply}", case.says);
            assert_eq!(reply.get("policy_note"), None, "{name}, {}: {reply}", case.says);
        }
        let told: Vec<Value> = moto
            .received(&queue)
            .await
            .iter()
            .map(|notification| serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap())
            .collect();
        case.check(&told);
    }
}

/// As it reaches the function: log lines come compressed.
fn delivered(event: Value) -> Value {
    if event.get("logEvents").is_none() {
        return event;
    }
    log_batch(&event.to_string())
}

/// The events moved in time, all by as much, so that the last thing that happened in them was just now:
/// what the function remembers of a container does not last for months.
fn recent(events: &[Value]) -> Vec<Value> {
    let texts: Vec<String> = events.iter().map(Value::to_string).collect();
    let last = texts.iter().flat_map(|text| times(text)).max().expect("an event without a time");
    let by = chrono::Utc::now() - chrono::TimeDelta::minutes(5) - last;
    texts.iter().map(|text| serde_json::from_str(&moved(text, by)).unwrap()).collect()
}

fn written() -> Regex {
    Regex::new(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d|\b17\d{8}(?:\d{3})?\b").unwrap()
}

type Time = chrono::DateTime<chrono::Utc>;

fn time(text: &str) -> Option<Time> {
    match text.parse::<i64>() {
        Ok(number) if text.len() > 10 => Time::from_timestamp_millis(number),
        Ok(number) => Time::from_timestamp(number, 0),
        Err(_) => format!("{}Z", text.replace(' ', "T")).parse().ok(),
    }
}

fn times(text: &str) -> Vec<Time> {
    written().find_iter(text).filter_map(|found| time(found.as_str())).collect()
}

fn moved(text: &str, by: chrono::TimeDelta) -> String {
    let moved = written().replace_all(text, |found: &regex::Captures<'_>| {
        let text = &found[0];
        let Some(time) = time(text).map(|time| time + by) else { return text.to_owned() };
        match text.len() {
            10 => time.timestamp().to_string(),
            13 => time.timestamp_millis().to_string(),
            _ if text.contains('T') => time.format("%Y-%m-%dT%H:%M:%S").to_string(),
            _ => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        }
    });
    moved.into_owned()
}

macro_rules! play {
    ($($module:ident: $name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            play(stringify!($name), seed::$module::$name()).await;
        })*
    };
}
seed::every_seed!(play);
