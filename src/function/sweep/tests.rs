use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::event_history::{Entry, EventHistory, Page};
use super::fleet::{Fleet, Running};
use super::progress::Progress;
use super::*;
use crate::activity::Instance;
use crate::alert::Alert;
use crate::history::InMemory;
use crate::history::cursor::Window;
use crate::history::deliver::Publisher;
use crate::lookup::{Fact, FactKey, FactValue, ImageFact, Lookup};
use crate::pipeline::Pipeline;
use crate::policy::Policy;
use chrono::TimeDelta;
use serde_json::json;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-central-1";

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-05-13T{text}Z").parse().unwrap()
}

fn around() -> Surroundings {
    Surroundings {
        account: Some(ACCOUNT.to_owned()),
        region: Some(REGION.to_owned()),
        ..Surroundings::new(at("12:00:00"))
    }
}

/// A launch, or a push, as the event history has it.
fn record(number: usize, call: &str, time: DateTime<Utc>) -> String {
    let (source, request, response) = if call == "RunInstances" {
        let instance = json!({"instanceId": format!("i-{number:017x}"), "imageId": "ami-0f0e1d2c3b4a59687"});
        (
            "ec2",
            json!({"instancesSet": {"items": [{"imageId": "ami-0f0e1d2c3b4a59687", "minCount": 1, "maxCount": 1}]}}),
            json!({"reservationId": format!("r-{number:017x}"), "instancesSet": {"items": [instance]}}),
        )
    } else {
        let image = json!({
            "repositoryName": "team/app", "registryId": ACCOUNT, "imageId": {"imageTag": format!("{number}")},
        });
        (
            "ecr",
            json!({"repositoryName": "team/app", "imageTag": format!("{number}")}),
            json!({"image": image}),
        )
    };
    json!({
        "eventVersion": "1.11", "eventTime": time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "userName": "jo",
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/jo"), "accountId": ACCOUNT,
        },
        "eventSource": format!("{source}.amazonaws.com"), "eventName": call, "awsRegion": REGION,
        "sourceIPAddress": "198.51.100.24", "userAgent": "cli", "requestParameters": request,
        "responseElements": response, "eventID": format!("{call}-{number}"), "readOnly": false,
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    })
    .to_string()
}

/// The event history, two events a page, as CloudTrail gives it: newest first, both ends included.
#[derive(Default)]
struct History {
    events: Vec<(DateTime<Utc>, &'static str, String)>,
    requests: AtomicUsize,
    /// The request of this number fails so.
    fails: Option<(usize, Cause)>,
}

impl History {
    /// Launches, so many minutes after noon.
    fn launches(minutes: impl IntoIterator<Item = i64>) -> Self {
        let time = |minute| at("12:00:00") + TimeDelta::minutes(minute);
        let events = minutes.into_iter().enumerate().map(|(number, minute)| {
            (time(minute), "RunInstances", record(number, "RunInstances", time(minute)))
        });
        Self { events: events.collect(), ..Self::default() }
    }

    fn asked(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

impl EventHistory for History {
    async fn page(&self, call: &str, window: &Window, token: Option<&str>) -> Result<Page, Failure> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some((_, cause)) = self.fails.as_ref().filter(|(at, _)| *at == number) {
            return Err(Failure { cause: cause.clone(), code: None, detail: String::new() });
        }
        let mut found: Vec<_> = self
            .events
            .iter()
            .filter(|(time, name, _)| *name == call && window.start <= *time && *time <= window.end)
            .collect();
        found.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        let from: usize = token.map_or(0, |token| token.parse().unwrap());
        let entries = found
            .iter()
            .skip(from)
            .take(2)
            .map(|(time, _, record)| Entry { time: Some(*time), record: record.clone() });
        let next = (found.len() > from + 2).then(|| (from + 2).to_string());
        Ok(Page { entries: entries.collect(), next })
    }
}

struct Strangers;

impl Lookup for Strangers {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        let fact = |key: &FactKey| match key {
            FactKey::Image { image, .. } => Fact::Known(FactValue::Image(Box::new(ImageFact {
                image_id: image.clone(),
                owner_id: Some("777788889999".to_owned()),
                public: Some(true),
                ..ImageFact::default()
            }))),
            _ => Fact::Absent,
        };
        keys.iter().map(|key| (key.clone(), fact(key))).collect()
    }
}

/// The real pipeline, and who was told what.
#[derive(Default)]
struct World {
    store: InMemory,
    told: Mutex<BTreeMap<(String, String), usize>>,
    judged: AtomicUsize,
    /// Judging fails from this activity on.
    fails_from: Option<(usize, Failed)>,
}

impl Publisher for World {
    async fn publish(&self, _: &'static str, alert: &Alert) -> Result<(), String> {
        let key = (alert.activity.id.clone(), alert.subject.key());
        *self.told.lock().unwrap().entry(key).or_default() += 1;
        Ok(())
    }
}

impl Judge for World {
    async fn judge(&self, activities: Vec<Activity>) -> Result<(), Failed> {
        for activity in activities {
            let number = self.judged.fetch_add(1, Ordering::Relaxed);
            if let Some((_, failed)) = self.fails_from.as_ref().filter(|(from, _)| number >= *from) {
                return Err(failed.clone());
            }
            self.event(activity).await;
        }
        Ok(())
    }
}

impl World {
    async fn event(&self, activity: Activity) {
        let now = activity.time;
        let pipeline = Pipeline {
            policy: Policy::bundled(),
            policy_note: None,
            lookup: &Strangers,
            store: Some(&self.store),
            publisher: self,
            token: "a test",
            deadline: now + TimeDelta::seconds(30),
            warm_up: true,
            now: &move || now,
        };
        pipeline.process(Arc::new(activity)).await.unwrap();
    }

    /// An event arrives by itself.
    async fn arrives(&self, record: &str) {
        let reading = crate::source::read(&serde_json::from_str(record).unwrap(), &around());
        for activity in reading.activities {
            self.event(activity).await;
        }
    }

    async fn sweep(&self, history: &History, now: DateTime<Utc>) -> (Swept, Result<(), Failed>) {
        self.sweep_for(history, now, Duration::from_secs(60)).await
    }

    async fn sweep_for(
        &self,
        history: &History,
        now: DateTime<Utc>,
        time: Duration,
    ) -> (Swept, Result<(), Failed>) {
        let surroundings = around();
        let ground = self.ground(&surroundings, now, time);
        let mut swept = Swept::default();
        let result = events::sweep(&ground, history, "RunInstances", &mut swept).await;
        (swept, result)
    }

    async fn sweep_instances(&self, fleet: &Ec2, now: DateTime<Utc>) -> Swept {
        let surroundings = around();
        let ground = self.ground(&surroundings, now, Duration::from_secs(60));
        let mut swept = Swept::default();
        instances::sweep(&ground, fleet, &mut swept).await.unwrap();
        swept
    }

    fn ground<'a>(
        &'a self,
        surroundings: &'a Surroundings,
        now: DateTime<Utc>,
        time: Duration,
    ) -> Ground<'a, InMemory, World> {
        let until = Instant::now() + time;
        Ground { store: &self.store, judge: self, surroundings, now, until, pace: Duration::ZERO }
    }

    fn told(&self) -> usize {
        let told = self.told.lock().unwrap();
        assert!(told.values().all(|count| *count == 1), "told twice: {told:?}");
        told.keys().map(|(event, _)| event).collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[tokio::test]
async fn what_has_not_arrived_is_judged_once_and_counted() {
    let (world, history) = (World::default(), History::launches(0..9));
    world.sweep(&History::default(), at("12:00:00")).await.1.unwrap();
    for (number, (_, _, record)) in history.events.iter().enumerate() {
        if number % 3 != 0 {
            world.arrives(record).await;
        }
    }
    assert_eq!(world.told(), 1, "one thread, of which the first is told");
    let (swept, result) = world.sweep(&history, at("13:00:00")).await;
    result.unwrap();
    assert_eq!((swept.compared, swept.missed_events, swept.behind_seconds), (9, 3, 0));
    assert_eq!(swept.until, Some(at("12:30:00")));
    assert_eq!(history.asked(), 5);
    // Everything is known now, also what was only found.
    let (swept, _) = world.sweep(&history, at("13:01:00")).await;
    assert_eq!((swept.compared, swept.missed_events), (0, 0));
    for (_, _, record) in &history.events {
        world.arrives(record).await;
    }
    world.told();
}

/// Of an event that comes while it is swept, or after that, nothing is told again.
#[tokio::test]
async fn an_event_that_arrives_after_the_sweep_is_not_told_again() {
    let (world, history) = (World::default(), History::launches([5]));
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (swept, _) = world.sweep(&history, at("13:00:00")).await;
    assert_eq!((swept.missed_events, world.told()), (1, 1));
    world.arrives(&history.events[0].2).await;
    assert_eq!(world.told(), 1);
}

#[tokio::test]
async fn what_is_still_on_its_way_is_left_alone() {
    let (world, history) = (World::default(), History::launches([40]));
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (swept, _) = world.sweep(&history, at("13:00:00")).await;
    assert_eq!((swept.compared, world.told()), (0, 0));
    // The next one finds it, and so it does what turns up late in what was covered.
    let (swept, _) = world.sweep(&history, at("13:30:00")).await;
    assert_eq!(swept.missed_events, 1);
    let history = History::launches([40, 50]);
    let (swept, _) = world.sweep(&history, at("13:31:00")).await;
    assert_eq!((swept.compared, swept.missed_events), (1, 1), "in the overlap, only the missed one counts");
}

#[tokio::test]
async fn a_first_sweep_judges_nothing_that_was_before() {
    let (world, history) = (World::default(), History::launches(-600..-30));
    let (swept, result) = world.sweep(&history, at("12:00:00")).await;
    result.unwrap();
    assert_eq!((swept.compared, history.asked(), world.told()), (0, 0, 0));
    assert!(swept.notes[0].contains("first sweep"), "{:?}", swept.notes);
}

/// One page a run, as little time as may be: in the end everything was compared, each event once.
#[tokio::test]
async fn out_of_time_it_goes_on_where_it_stopped() {
    let (world, history) = (World::default(), History::launches(0..9));
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (mut missed, mut runs) = (0, 0);
    loop {
        let (swept, result) = world.sweep_for(&history, at("13:00:00"), Duration::ZERO).await;
        result.unwrap();
        assert_eq!(history.asked(), 1);
        missed += swept.missed_events;
        runs += 1;
        if swept.behind_seconds == 0 {
            break;
        }
        assert!(swept.notes[0].contains("out of time"), "{:?}", swept.notes);
        assert!(runs < 20, "it makes no progress");
    }
    assert_eq!(missed, 9);
    world.told();
}

#[tokio::test]
async fn throttled_it_stops_and_denied_it_fails() {
    let mut history = History::launches(0..9);
    history.fails = Some((2, Cause::Throttled));
    let world = World::default();
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (swept, result) = world.sweep(&history, at("13:00:00")).await;
    result.unwrap();
    assert_eq!((swept.missed_events, swept.behind_seconds), (4, 3600));
    assert!(swept.notes[0].contains("throttled"), "{:?}", swept.notes);
    let (swept, _) = world.sweep(&history, at("13:00:00")).await;
    assert_eq!((swept.missed_events, swept.behind_seconds), (5, 0), "and the rest the next time");

    history.fails = Some((history.requests.load(Ordering::Relaxed), Cause::Denied));
    let (_, result) = world.sweep(&history, at("14:00:00")).await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains("cloudtrail:LookupEvents: access denied"), "{message}");
}

/// What could not be told is not counted as done: it comes again.
#[tokio::test]
async fn a_failure_while_judging_loses_nothing() {
    for failed in [Failed::NotPublished("no".to_owned()), Failed::OutOfTime("no".to_owned())] {
        let history = History::launches(0..3);
        let mut world = World { fails_from: Some((1, failed.clone())), ..World::default() };
        world.sweep(&history, at("12:00:00")).await.1.unwrap();
        let (swept, result) = world.sweep(&history, at("13:00:00")).await;
        assert_eq!(result.is_ok(), matches!(failed, Failed::OutOfTime(_)), "{failed}");
        assert_eq!((swept.behind_seconds, swept.missed_events), (3600, 1), "one of two was judged");
        world.fails_from = None;
        let (swept, _) = world.sweep(&history, at("13:00:00")).await;
        assert_eq!((swept.behind_seconds, swept.missed_events), (0, 2));
        for (_, _, record) in &history.events {
            world.arrives(record).await;
        }
        assert_eq!(world.judged.load(Ordering::Relaxed), 4, "one failed, three were judged");
        world.told();
    }
}

#[tokio::test]
async fn the_entries_that_cannot_be_read_are_counted() {
    let mut history = History::launches([1]);
    history.events.push((at("12:02:00"), "RunInstances", "{\"eventVersion\":".to_owned()));
    let world = World::default();
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (swept, result) = world.sweep(&history, at("13:00:00")).await;
    result.unwrap();
    assert_eq!((swept.unreadable, swept.missed_events), (1, 1));
}

/// A dry run starts nothing, and leaves no mark.
#[tokio::test]
async fn dry_runs_are_no_launches() {
    let mut history = History::launches([1]);
    let mut event: serde_json::Value = serde_json::from_str(&history.events[0].2).unwrap();
    event["errorCode"] = json!("Client.DryRunOperation");
    event["responseElements"] = json!(null);
    history.events[0].2 = event.to_string();
    let world = World::default();
    world.sweep(&history, at("12:00:00")).await.1.unwrap();
    let (swept, _) = world.sweep(&history, at("13:00:00")).await;
    assert_eq!((swept.compared, swept.unreadable), (0, 0));
}

#[tokio::test]
async fn pushes_are_swept_too() {
    let time = at("12:05:00");
    let history =
        History { events: vec![(time, "PutImage", record(1, "PutImage", time))], ..History::default() };
    let world = World::default();
    let surroundings = around();
    for (now, missed) in [("12:00:00", 0), ("13:00:00", 1), ("14:00:00", 0)] {
        let ground = world.ground(&surroundings, at(now), Duration::from_secs(60));
        let mut swept = Swept::default();
        events::sweep(&ground, &history, "PutImage", &mut swept).await.unwrap();
        assert_eq!(swept.missed_events, missed, "{now}");
    }
}

/// Two at once: the one that comes second leaves the progress to the first.
#[tokio::test]
async fn two_sweeps_do_not_undo_each_other() {
    let world = World::default();
    let surroundings = around();
    let ground = world.ground(&surroundings, at("12:00:00"), Duration::from_secs(60));
    let (mut one, _) = Progress::load(&ground, "RunInstances").await.unwrap();
    let (mut other, _) = Progress::load(&ground, "RunInstances").await.unwrap();
    let later = Cursor::begin(at("13:00:00"));
    assert!(one.save(&later).await.unwrap());
    assert!(!other.save(&Cursor::begin(at("12:00:00"))).await.unwrap());
    let (_, cursor) = Progress::load(&ground, "RunInstances").await.unwrap();
    assert_eq!(cursor, Some(later));
}

struct Ec2(Vec<Running>);

impl Fleet for Ec2 {
    async fn page(
        &self,
        hours: &[String],
        token: Option<&str>,
    ) -> Result<(Vec<Running>, Option<String>), Failure> {
        assert!(hours.len() <= 200, "a filter takes two hundred values");
        let from: usize = token.map_or(0, |token| token.parse().unwrap());
        let page = self.0.iter().skip(from).take(2).cloned().collect();
        Ok((page, (self.0.len() > from + 2).then(|| (from + 2).to_string())))
    }
}

fn running(number: usize, reservation: usize, born: DateTime<Utc>) -> Running {
    Running {
        reservation: Some(format!("r-{reservation:017x}")),
        client_token: Some(format!("token-{reservation}")),
        image: Some("ami-0f0e1d2c3b4a59687".to_owned()),
        born: Some(born),
        instance: Instance { id: format!("i-{number:017x}"), ..Instance::default() },
    }
}

#[tokio::test]
async fn instances_of_unknown_launches_are_judged_as_nobodys() {
    let world = World::default();
    let old = running(90, 90, at("11:00:00"));
    let young = running(91, 91, at("12:45:00"));
    let first = world.sweep_instances(&Ec2(vec![old.clone()]), at("12:00:00")).await;
    assert_eq!((first.missed_instances, world.told()), (0, 0), "what runs already is taken as it is");
    world.arrives(&record(1, "RunInstances", at("12:05:00"))).await;
    let before = world.told();
    let known = running(1, 1, at("12:05:02"));
    let unknown =
        [running(2, 2, at("12:10:00")), running(3, 2, at("12:10:00")), running(4, 4, at("12:20:00"))];
    let mut fleet = vec![old, young, known];
    fleet.extend(unknown);
    let fleet = Ec2(fleet);
    let swept = world.sweep_instances(&fleet, at("13:00:00")).await;
    assert_eq!(swept.missed_instances, 3);
    assert!(world.told() > before);
    let told = world.told.lock().unwrap().clone();
    let nobodys = told.keys().filter(|(event, _)| event.starts_with("running/r-"));
    assert!(nobodys.clone().count() > 0);
    for (event, subject) in nobodys {
        assert!(subject.ends_with("|unknown"), "{event}: {subject}");
    }
    // Marked, they are known from now on; the young one is looked at now.
    let swept = world.sweep_instances(&fleet, at("13:20:00")).await;
    assert_eq!(swept.missed_instances, 1);
    let swept = world.sweep_instances(&fleet, at("13:21:00")).await;
    assert_eq!(swept.missed_instances, 0);
    world.told();
}

/// CloudTrail leaves the response out where it is large, and with it instances and reservation.
#[tokio::test]
async fn a_launch_without_its_response_is_known_by_its_client_token() {
    let world = World::default();
    let mut event: serde_json::Value =
        serde_json::from_str(&record(5, "RunInstances", at("12:05:00"))).unwrap();
    event["responseElements"] = json!({"omitted": true, "originalSize": 300_000, "reason": "too large"});
    event["requestParameters"]["clientToken"] = json!("token-5");
    world.sweep_instances(&Ec2(Vec::new()), at("12:00:00")).await;
    world.arrives(&event.to_string()).await;
    let swept = world.sweep_instances(&Ec2(vec![running(5, 5, at("12:05:01"))]), at("13:00:00")).await;
    assert_eq!(swept.missed_instances, 0);
}
