//! The real function on its schedules: what events missed, and whether it can see at all.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use imagewarden::history::cursor::{Counts, Cursor};
use imagewarden::history::dynamodb::DynamoDb;
use imagewarden::history::{Key, Kind, Record, Store};
use serde_json::{Value, json};
use support::events::launch;
use support::function::Function;
use support::moto::{FOREIGN, Moto};
use support::relay::{Relay, Turn};
use support::stub::{Request, Response};
use support::{ACCOUNT, REGION};

fn reconcile() -> Value {
    json!({"imagewarden": "reconcile"})
}

fn self_check() -> Value {
    json!({"imagewarden": "self-check"})
}

/// A launch by somebody of that number, so long ago.
fn launched(number: usize, ago: TimeDelta) -> Value {
    let mut event = launch(FOREIGN);
    let detail = &mut event["detail"];
    detail["eventID"] = json!(format!("0c0e8d1c-6a3c-4a80-b8a7-{number:012}"));
    detail["eventTime"] = json!((Utc::now() - ago).format("%Y-%m-%dT%H:%M:%SZ").to_string());
    detail["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/jo-{number}"));
    detail["responseElements"]["reservationId"] = json!(format!("r-{number:017x}"));
    detail["responseElements"]["instancesSet"]["items"][0]["instanceId"] = json!(format!("i-{number:017x}"));
    event
}

/// A page of CloudTrail's event history.
fn page(events: &[&Value], next: Option<&str>) -> Turn {
    let entries: Vec<Value> = events
        .iter()
        .map(|event| {
            let detail = &event["detail"];
            let time: DateTime<Utc> = detail["eventTime"].as_str().unwrap().parse().unwrap();
            json!({
                "EventId": detail["eventID"], "EventName": detail["eventName"], "EventTime": time.timestamp(),
                "CloudTrailEvent": detail.to_string(),
            })
        })
        .collect();
    Turn::Answer(Response::ok(json!({"Events": entries, "NextToken": next}).to_string()))
}

fn nothing() -> Turn {
    page(&[], None)
}

/// What EC2 says runs.
fn running(instances: &[(usize, DateTime<Utc>)]) -> Turn {
    let items: String = instances
        .iter()
        .map(|(number, born)| {
            let time = born.format("%Y-%m-%dT%H:%M:%S.000Z");
            format!(
                "<item><reservationId>r-{number:017x}</reservationId><instancesSet><item>\
                 <instanceId>i-{number:017x}</instanceId><imageId>{FOREIGN}</imageId>\
                 <instanceType>c7i.4xlarge</instanceType><launchTime>{time}</launchTime></item></instancesSet></item>"
            )
        })
        .collect();
    Turn::Answer(Response::ok(format!(
        "<DescribeInstancesResponse><reservationSet>{items}</reservationSet></DescribeInstancesResponse>"
    )))
}

fn of_sweep(request: &Request) -> bool {
    request.action() == "DescribeInstances" && request.body.contains("launch-time")
}

/// The state of the sweeps, as of so long ago.
async fn swept_until(moto: &Moto, table: &str, ago: TimeDelta, counts: Option<Counts>) {
    let (store, now) = (DynamoDb::new(&moto.sdk, table), Utc::now());
    for name in ["RunInstances", "PutImage", "instances"] {
        let mut record = Record::new(Key::new(ACCOUNT, REGION, Kind::Sweep, name));
        let mut cursor = Cursor::begin(now - ago);
        if let Some(counts) = counts.filter(|_| name == "RunInstances") {
            cursor.count(now.date_naive(), counts);
        }
        record.cursor = Some(cursor);
        record.touch(now);
        store.save(&[record]).await.unwrap();
    }
}

async fn function(relay: &Relay, topic: &str, table: &str) -> Function {
    Function::start(&relay.url, topic, &[("HISTORY_TABLE", table)]).await
}

#[tokio::test]
async fn launches_that_no_event_told_of_are_alerted_once_and_counted() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("sweep-1").await;
    let table = moto.table("sweep-1").await;
    swept_until(&moto, &table, TimeDelta::hours(1), None).await;
    let events: Vec<Value> =
        (0..3).map(|number| launched(number, TimeDelta::minutes(45 + number as i64))).collect();
    let asked: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
    let (kept, history) = (asked.clone(), events.clone());
    let relay = Relay::start(&moto.url, move |_, request| match request.action() {
        "LookupEvents" => {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            kept.lock().unwrap().push((Instant::now(), body.clone()));
            let call = &body["LookupAttributes"][0];
            assert_eq!(call["AttributeKey"], "EventName");
            match (call["AttributeValue"].as_str().unwrap(), body["NextToken"].as_str()) {
                ("RunInstances", None) => page(&[&history[0], &history[1]], Some("more")),
                ("RunInstances", Some("more")) => page(&[&history[2]], None),
                _ => nothing(),
            }
        }
        _ if of_sweep(request) => running(&[]),
        _ => Turn::Pass,
    })
    .await;
    let function = function(&relay, &topic, &table).await;
    assert_eq!(function.invoke(events[1].clone()).await.unwrap()["published"], 1, "one arrives by itself");

    let reply = function.invoke(reconcile()).await.unwrap();
    assert_eq!(
        (&reply["reconcile"]["compared"], &reply["reconcile"]["missed_events"], &reply["published"]),
        (&json!(3), &json!(2), &json!(2)),
        "{reply}"
    );
    assert_eq!(reply["reconcile"]["covers"], format!("{ACCOUNT} {REGION}"));
    assert_eq!(reply["reconcile"]["behind_seconds"], 0);
    assert_eq!((function.metric("MissedEvents"), function.metric("SweptEvents")), (2.0, 3.0));
    assert_eq!(moto.received(&queue).await.len(), 3);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "two pages of launches, one of pushes");
    assert_eq!(asked[0].1["MaxResults"], 50);
    let pace = asked[1].0 - asked[0].0;
    assert!(pace >= Duration::from_millis(500), "two requests a second are allowed: {pace:?}");

    // Again, and then the lost ones turn up after all.
    let reply = function.invoke(reconcile()).await.unwrap();
    assert_eq!(
        (&reply["reconcile"]["missed_events"], &reply["published"]),
        (&json!(0), &json!(0)),
        "{reply}"
    );
    for event in &events {
        assert_eq!(function.invoke(event.clone()).await.unwrap()["published"], 0);
    }
    assert!(moto.received(&queue).await.is_empty());
}

#[tokio::test]
async fn an_instance_of_which_no_event_tells_is_told_as_nobodys() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("sweep-2").await;
    let table = moto.table("sweep-2").await;
    swept_until(&moto, &table, TimeDelta::hours(1), None).await;
    let event = launched(7, TimeDelta::minutes(45));
    let relay = Relay::start(&moto.url, move |_, request| match request.action() {
        "LookupEvents" => nothing(),
        _ if of_sweep(request) => {
            let now = Utc::now();
            assert!(request.body.contains(&now.format("%Y-%m-%dT%H").to_string()), "{}", request.body);
            let ago = |minutes| now - TimeDelta::minutes(minutes);
            running(&[(7, ago(45)), (8, ago(40)), (9, ago(5)), (10, ago(6_000))])
        }
        _ => Turn::Pass,
    })
    .await;
    let function = function(&relay, &topic, &table).await;
    assert_eq!(function.invoke(event).await.unwrap()["published"], 1);
    moto.received(&queue).await;
    let reply = function.invoke(reconcile()).await.unwrap();
    assert_eq!(
        (&reply["reconcile"]["missed_instances"], &reply["published"]),
        (&json!(1), &json!(1)),
        "{reply}"
    );
    assert_eq!(function.metric("MissedInstances"), 1.0);
    let received = moto.received(&queue).await;
    let finding: Value = serde_json::from_str(received[0]["Message"].as_str().unwrap()).unwrap();
    assert_eq!(finding["finding_info"]["analytic"]["uid"], "machine-image-not-approved");
    let text = finding.to_string();
    assert!(text.contains(&format!("i-{:017x}", 8)) && text.contains("found_running"), "{text}");
    assert_eq!(finding["unmapped"]["subject"], format!("machine-image|{FOREIGN}|unknown"));
    let reply = function.invoke(reconcile()).await.unwrap();
    assert_eq!(reply["reconcile"]["missed_instances"], 0, "{reply}");
}

#[tokio::test]
async fn throttled_it_goes_on_later_and_refused_it_fails() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("sweep-3").await;
    let table = moto.table("sweep-3").await;
    swept_until(&moto, &table, TimeDelta::hours(1), None).await;
    let code = Arc::new(Mutex::new(Some("ThrottlingException")));
    let answer = code.clone();
    let relay = Relay::start(&moto.url, move |_, request| match request.action() {
        "LookupEvents" => match *answer.lock().unwrap() {
            Some(code) => Turn::Answer(Response::json_error(400, code)),
            None => nothing(),
        },
        _ if of_sweep(request) => running(&[]),
        _ => Turn::Pass,
    })
    .await;
    let function = function(&relay, &topic, &table).await;
    let reply = function.invoke(reconcile()).await.unwrap();
    let behind = reply["reconcile"]["behind_seconds"].as_u64().unwrap();
    assert!((3_600..3_700).contains(&behind), "{reply}");
    assert!(reply["reconcile"]["notes"].to_string().contains("throttled"), "{reply}");
    *code.lock().unwrap() = Some("AccessDeniedException");
    let (kind, message) = function.invoke(reconcile()).await.unwrap_err();
    assert_eq!(kind, "Sweep");
    assert!(message.contains("cloudtrail:LookupEvents: access denied"), "{message}");
    *code.lock().unwrap() = None;
    assert_eq!(function.invoke(reconcile()).await.unwrap()["reconcile"]["behind_seconds"], 0);
}

/// A first sweep judges nothing, whatever there is; without a table it says what is missing.
#[tokio::test]
async fn it_begins_with_the_first_sweep_and_needs_a_table() {
    let moto = Moto::start().await;
    let (topic, _) = moto.topic("sweep-4").await;
    let table = moto.table("sweep-4").await;
    let relay = Relay::start(&moto.url, |_, request| match request.action() {
        "LookupEvents" => page(&[&launched(1, TimeDelta::minutes(31))], None),
        _ if of_sweep(request) => running(&[(1, Utc::now() - TimeDelta::minutes(31))]),
        _ => Turn::Pass,
    })
    .await;
    let with_table = function(&relay, &topic, &table).await;
    let reply = with_table.invoke(reconcile()).await.unwrap();
    assert_eq!((&reply["reconcile"]["compared"], &reply["activities"]), (&json!(0), &json!(0)), "{reply}");
    let without = Function::start(&relay.url, &topic, &[]).await;
    let reply = without.invoke(reconcile()).await.unwrap();
    assert!(reply["reconcile"]["notes"][0].as_str().unwrap().contains("HISTORY_TABLE"), "{reply}");
    assert!(!relay.take().iter().any(|action| action == "LookupEvents"), "nothing is asked");
    let (kind, message) = without.invoke(json!({"imagewarden": "tidy up"})).await.unwrap_err();
    assert_eq!(kind, "Unreadable");
    assert!(message.contains("no errand `tidy up`"), "{message}");
}

/// CloudTrail as the self-check sees it.
#[derive(Clone)]
struct Trails {
    list: Value,
    logging: Option<bool>,
    selectors: Value,
    /// Subscriptions of the topic, where not moto's own.
    subscriptions: Option<&'static [&'static str]>,
}

impl Trails {
    fn sound() -> Self {
        let arn = format!("arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/all");
        Self {
            list: json!([{"Name": "all", "TrailARN": arn, "HasCustomEventSelectors": false}]),
            logging: Some(true),
            selectors: json!({}),
            subscriptions: None,
        }
    }

    fn custom(selectors: Value) -> Self {
        let mut trails = Self { selectors, ..Self::sound() };
        trails.list[0]["HasCustomEventSelectors"] = json!(true);
        trails
    }

    fn turn(&self, request: &Request) -> Turn {
        let ok = |body: Value| Turn::Answer(Response::ok(body.to_string()));
        match request.action() {
            "DescribeTrails" => ok(json!({"trailList": self.list})),
            "GetTrailStatus" => match self.logging {
                Some(logging) => ok(json!({"IsLogging": logging})),
                None => Turn::Answer(Response::json_error(400, "AccessDeniedException")),
            },
            "GetEventSelectors" => ok(self.selectors.clone()),
            "ListSubscriptionsByTopic" => match self.subscriptions {
                None => Turn::Pass,
                Some(arns) => {
                    let members: String = arns
                        .iter()
                        .map(|arn| {
                            format!("<member><SubscriptionArn>{arn}</SubscriptionArn><Protocol>email</Protocol></member>")
                        })
                        .collect();
                    Turn::Answer(Response::ok(format!(
                        "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>{members}\
                         </Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
                    )))
                }
            },
            _ => Turn::Pass,
        }
    }
}

/// The codes of what failed.
fn codes(reply: &Value) -> Vec<&str> {
    let failures = reply["self_check"]["failures"].as_array().unwrap();
    failures.iter().map(|failure| failure["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_sound_deployment_passes_in_silence() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("check-1").await;
    let table = moto.table("check-1").await;
    swept_until(&moto, &table, TimeDelta::hours(1), Some(Counts { arrived: 9, missed: 1 })).await;
    let writes = json!({"EventSelectors": [{"IncludeManagementEvents": true, "ReadWriteType": "WriteOnly"}]});
    let field = |name: &str, value: &str| json!({"Field": name, "Equals": [value]});
    let advanced = json!({"AdvancedEventSelectors": [
        {"FieldSelectors": [field("eventCategory", "Data")]},
        {"FieldSelectors": [field("eventCategory", "Management"), field("readOnly", "false")]},
    ]});
    for trails in [Trails::sound(), Trails::custom(writes), Trails::custom(advanced)] {
        let relay = Relay::start(&moto.url, move |_, request| trails.turn(request)).await;
        let function = function(&relay, &topic, &table).await;
        let reply = function.invoke(self_check()).await.unwrap();
        assert!(codes(&reply).is_empty(), "{reply}");
        assert_eq!(reply["self_check"]["passed"].as_array().unwrap().len(), 3, "{reply}");
        assert_eq!((function.metric("SelfCheckFailures"), function.metric("Published")), (0.0, 0.0));
    }
    assert!(moto.received(&queue).await.is_empty());
}

#[tokio::test]
async fn whatever_blinds_it_is_told() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("check-2").await;
    let field = |name: &str, value: &str| json!({"Field": name, "Equals": [value]});
    let read_only = json!({"AdvancedEventSelectors": [
        {"FieldSelectors": [field("eventCategory", "Management"), field("readOnly", "true")]},
    ]});
    let data_only = json!({"EventSelectors": [{"IncludeManagementEvents": false, "ReadWriteType": "All"}]});
    let sound = Trails::sound;
    let cases = [
        ("trail-missing", "High", Trails { list: json!([]), ..sound() }),
        ("trail-not-logging", "High", Trails { logging: Some(false), ..sound() }),
        ("trail-check-denied", "Medium", Trails { logging: None, ..sound() }),
        ("trail-without-management-events", "High", Trails::custom(read_only)),
        ("trail-without-management-events", "High", Trails::custom(data_only)),
        ("subscription-missing", "High", Trails { subscriptions: Some(&[]), ..sound() }),
        ("subscription-missing", "High", Trails { subscriptions: Some(&["PendingConfirmation"]), ..sound() }),
        (
            "subscription-pending",
            "Medium",
            Trails { subscriptions: Some(&["PendingConfirmation", "arn:aws:sns:x:1:a:b"]), ..sound() },
        ),
    ];
    for (code, severity, trails) in cases {
        let relay = Relay::start(&moto.url, move |_, request| trails.turn(request)).await;
        let function = Function::start(&relay.url, &topic, &[]).await;
        let reply = function.invoke(self_check()).await.unwrap();
        assert_eq!((codes(&reply), &reply["published"]), (vec![code], &json!(1)), "{reply}");
        assert!(reply["self_check"]["notes"][0].as_str().unwrap().contains("HISTORY_TABLE"), "{reply}");
        assert_eq!(function.metric("SelfCheckFailures"), 1.0);
        let received = moto.received(&queue).await;
        let finding: Value = serde_json::from_str(received[0]["Message"].as_str().unwrap()).unwrap();
        assert_eq!((&finding["severity"], &finding["class_uid"]), (&json!(severity), &json!(2004)), "{code}");
        assert_eq!(finding["unmapped"]["subject"], format!("blind|self-check|{code}"));
    }
}

#[tokio::test]
async fn events_that_do_not_arrive_and_sweeps_that_lag_are_told_once_a_day() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("check-3").await;
    let table = moto.table("check-3").await;
    swept_until(&moto, &table, TimeDelta::hours(9), Some(Counts { arrived: 1, missed: 4 })).await;
    let relay = Relay::start(&moto.url, |_, request| Trails::sound().turn(request)).await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    // That it cannot see is told whatever the floor.
    std::fs::write(&policy, "notify: {minimum_severity: critical}\n").unwrap();
    let uri = format!("file:{}", policy.display());
    let function =
        Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table), ("POLICY_URI", &uri)]).await;
    let reply = function.invoke(self_check()).await.unwrap();
    assert_eq!(codes(&reply), ["launches-not-arriving", "sweep-behind"], "{reply}");
    assert_eq!(reply["published"], 2);
    let text = reply["self_check"]["failures"][0]["text"].as_str().unwrap();
    assert!(text.contains("Of 5 RunInstances events") && text.contains("4 did not arrive"), "{text}");
    let received = moto.received(&queue).await;
    let subjects: Vec<&str> = received.iter().map(|one| one["Subject"].as_str().unwrap()).collect();
    assert_ne!(subjects[0], subjects[1], "a thread for each reason");
    let again = function.invoke(self_check()).await.unwrap();
    assert_eq!((codes(&again).len(), &again["published"]), (2, &json!(0)), "{again}");
    assert!(moto.received(&queue).await.is_empty());
}
