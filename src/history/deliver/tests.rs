//! What a subscriber would notice: nothing twice, nothing lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use std::time::Duration;

use chrono::{TimeDelta, TimeZone};
use serde_json::Map;

use super::*;
use crate::activity::{Action, Activity, Cloud, Launch};
use crate::alert::Finding;
use crate::detection::{Detection, Match, Stage, Subject, Verdict};
use crate::history::InMemory;
use crate::severity::Severity;

static FIRST: Detection = detection("first", Severity::High);
static SECOND: Detection = detection("second", Severity::Medium);

const fn detection(id: &'static str, severity: Severity) -> Detection {
    Detection {
        id,
        title: "A test",
        severity,
        score: 10,
        source: "test",
        approval: false,
        stage: Stage::Event,
        judge: |_, _| Verdict::Pass("".into()),
    }
}

const RULE: storm::Rule = storm::Rule { after: 10, window: TimeDelta::hours(1) };

fn at(minute: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_790_000_000 + minute * 60, 0).single().unwrap()
}

fn alert(source: &str, minute: i64, detections: &[&'static Detection]) -> Alert {
    let activity = Activity {
        id: source.to_owned(),
        time: at(minute),
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: "111122223333".to_owned(),
        region: "eu-central-1".to_owned(),
        cloud: Cloud::Aws,
        actor: None,
        api: None,
        action: Action::ImageLaunched(Launch::default()),
    };
    let subject = Subject::MachineImage { image: "ami-1".to_owned(), principal: "somebody".to_owned() };
    let findings = detections
        .iter()
        .map(|detection| Finding {
            detection,
            severity: detection.severity,
            score: detection.score,
            matched: Match {
                subject: subject.clone(),
                severity: None,
                summary: "something".to_owned(),
                evidence: Map::new(),
                next_steps: Vec::new(),
                not_inspected: Vec::new(),
            },
        })
        .collect();
    Alert {
        activity: Arc::new(activity),
        subject,
        findings,
        not_inspected: Vec::new(),
        below_floor: false,
        window_start: at(0),
        policy_note: None,
        may_repeat: false,
        update: false,
        news: Vec::new(),
        storm: None,
    }
}

/// Keeps what was published, and fails as often as it is told to.
#[derive(Default)]
struct Mailbox {
    sent: Mutex<Vec<Alert>>,
    failures: AtomicUsize,
}

impl Publisher for Mailbox {
    async fn publish(&self, _: &'static str, alert: &Alert) -> Result<(), String> {
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err("the topic is gone".to_owned());
        }
        self.sent.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

/// Takes its time.
struct Slow<'a> {
    mailbox: &'a Mailbox,
    time: Duration,
}

impl Publisher for Slow<'_> {
    async fn publish(&self, sink: &'static str, alert: &Alert) -> Result<(), String> {
        tokio::time::sleep(self.time).await;
        self.mailbox.publish(sink, alert).await
    }
}

impl Mailbox {
    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

/// A store whose next saves do, or do not, happen, and in either case answer with an error.
#[derive(Default)]
struct Faulty {
    store: InMemory,
    lost_answers: AtomicUsize,
    refused: AtomicUsize,
}

fn spend(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Store for Faulty {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        self.store.load(keys).await
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        if spend(&self.refused) {
            return Err(StoreError::Unavailable("throttled".to_owned()));
        }
        self.store.save(records).await?;
        if spend(&self.lost_answers) { Err(StoreError::Unavailable("no answer".to_owned())) } else { Ok(()) }
    }
}

async fn deliver<S: Store>(
    store: &S,
    mailbox: &Mailbox,
    token: &str,
    minute: i64,
    alert: Alert,
) -> Result<Fate, DeliveryError> {
    let now = move || at(minute);
    let delivery = Delivery {
        store,
        publisher: mailbox,
        token: token.to_owned(),
        deadline: at(minute + 1),
        now: &now,
        storm: RULE,
    };
    let told = delivery.deliver(vec![alert]).await?;
    Ok(told.into_iter().next().unwrap().1)
}

#[tokio::test]
async fn the_same_event_is_told_once_however_often_it_is_delivered() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    assert_eq!(deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await, Ok(Fate::Published));
    assert_eq!(deliver(&store, &mailbox, "b", 5, alert("e1", 0, &[&FIRST])).await, Ok(Fate::AlreadyTold));
    assert_eq!(mailbox.count(), 1);
}

#[tokio::test]
async fn more_about_a_subject_joins_its_thread_and_only_news_are_told() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await.unwrap();
    let repeated = deliver(&store, &mailbox, "b", 1, alert("e2", 1, &[&FIRST])).await.unwrap();
    assert_eq!(repeated, Fate::Repeated { count: 2 });
    // An earlier event that arrives later belongs to the same thread.
    let news = deliver(&store, &mailbox, "c", 2, alert("e3", -30, &[&FIRST, &SECOND])).await.unwrap();
    assert_eq!(news, Fate::Published);
    let sent = mailbox.sent.lock().unwrap();
    assert_eq!(sent.len(), 2);
    assert!(!sent[0].update && sent[1].update);
    assert_eq!(sent[0].window_start, sent[1].window_start);
}

#[tokio::test]
async fn five_hundred_events_about_one_subject_are_told_three_times() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..500 {
        deliver(&store, &mailbox, "a", 0, alert(&format!("e{number}"), number % 60, &[&FIRST]))
            .await
            .unwrap();
    }
    assert_eq!(mailbox.count(), 3, "the first, at 10, and at 100");
}

#[tokio::test]
async fn a_day_later_it_is_another_thread() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await.unwrap();
    deliver(&store, &mailbox, "b", 1440, alert("e2", 1440, &[&FIRST])).await.unwrap();
    assert_eq!(mailbox.count(), 2);
    assert!(!mailbox.sent.lock().unwrap()[1].update);
}

#[tokio::test]
async fn what_could_not_be_published_is_still_owed() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    mailbox.failures.store(1, Ordering::SeqCst);
    let failed = deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await;
    assert_eq!(failed, Err(DeliveryError::Publish("the topic is gone".to_owned())));
    // The platform's retry, after the lease.
    assert_eq!(deliver(&store, &mailbox, "b", 2, alert("e1", 0, &[&FIRST])).await, Ok(Fate::Published));
    assert!(!mailbox.sent.lock().unwrap()[0].update, "nobody has seen the thread's first message yet");
}

/// An invocation that took the claims of an alert, and died.
async fn die_holding(store: &InMemory, alert: Alert) {
    let mailbox = Mailbox::default();
    let forever = Slow { mailbox: &mailbox, time: Duration::from_secs(3_600) };
    let now = || at(0);
    let delivery = Delivery {
        store,
        publisher: &forever,
        token: "dead".to_owned(),
        deadline: at(1),
        now: &now,
        storm: RULE,
    };
    let killed = tokio::time::timeout(Duration::from_millis(50), delivery.deliver(vec![alert])).await;
    assert!(killed.is_err());
}

#[tokio::test]
async fn while_another_invocation_tells_it_this_one_neither_tells_nor_acknowledges_it() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    die_holding(&store, alert("e1", 0, &[&FIRST])).await;
    let now = || at(0);
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "b".to_owned(),
        deadline: at(0) + TimeDelta::milliseconds(1_300),
        now: &now,
        storm: RULE,
    };
    let busy = delivery.deliver(vec![alert("e1", 0, &[&FIRST])]).await.map(|_| ());
    assert!(matches!(busy, Err(DeliveryError::Busy(_))), "{busy:?}");
    assert_eq!(mailbox.count(), 0);
}

#[tokio::test]
async fn alerts_whose_claims_are_held_keep_no_fresh_ones_waiting() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..8 {
        die_holding(&store, about(&format!("ami-{number}"), "e1", &FIRST)).await;
    }
    let now = || at(0);
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "b".to_owned(),
        deadline: at(0) + TimeDelta::milliseconds(1_300),
        now: &now,
        storm: storm::Rule { after: 100, ..RULE },
    };
    let alerts: Vec<Alert> = (0..12).map(|number| about(&format!("ami-{number}"), "e1", &FIRST)).collect();
    let told = delivery.deliver_each(alerts).await;
    let fates: Vec<bool> = told.iter().map(|one| one.fate == Ok(Fate::Published)).collect();
    assert_eq!(fates, [[false; 8].as_slice(), &[true; 4]].concat());
    assert!(told[0].fate.as_ref().unwrap_err().to_string().starts_with("busy"));
}

/// Two sinks, of which one refuses.
#[derive(Default)]
struct Two {
    sent: Mutex<Vec<&'static str>>,
    down: Mutex<Option<&'static str>>,
}

impl Publisher for Two {
    fn sinks(&self) -> Vec<&'static str> {
        vec!["mail", "chat"]
    }

    async fn publish(&self, sink: &'static str, _: &Alert) -> Result<(), String> {
        if *self.down.lock().unwrap() == Some(sink) {
            return Err(format!("{sink} is gone"));
        }
        self.sent.lock().unwrap().push(sink);
        Ok(())
    }
}

#[tokio::test]
async fn while_one_sink_is_down_the_other_is_told_once() {
    for (down, other) in [("mail", "chat"), ("chat", "mail")] {
        let (store, sinks, now) = (InMemory::default(), Two::default(), || at(0));
        *sinks.down.lock().unwrap() = Some(down);
        let delivery = |token: &str| Delivery {
            store: &store,
            publisher: &sinks,
            token: token.to_owned(),
            deadline: at(1),
            now: &now,
            storm: RULE,
        };
        for token in ["a", "b", "c"] {
            let failed = delivery(token).deliver(vec![alert("e1", 0, &[&FIRST])]).await.map(|_| ());
            assert_eq!(failed, Err(DeliveryError::Publish(format!("{down} is gone"))));
        }
        assert_eq!(*sinks.sent.lock().unwrap(), [other]);
        *sinks.down.lock().unwrap() = None;
        for token in ["d", "e"] {
            delivery(token).deliver(vec![alert("e1", 0, &[&FIRST])]).await.unwrap();
        }
        assert_eq!(*sinks.sent.lock().unwrap(), [other, down]);
    }
}

#[tokio::test]
async fn a_refused_message_is_tried_again_at_once() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    mailbox.failures.store(1, Ordering::SeqCst);
    deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await.unwrap_err();
    let begun = Instant::now();
    assert_eq!(deliver(&store, &mailbox, "b", 0, alert("e1", 0, &[&FIRST])).await, Ok(Fate::Published));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// An alert about an image of its own.
fn about(image: &str, source: &str, detection: &'static Detection) -> Alert {
    let mut alert = alert(source, 0, &[detection]);
    alert.subject = Subject::MachineImage { image: image.to_owned(), principal: "somebody".to_owned() };
    alert
}

#[tokio::test]
async fn two_hundred_subjects_of_one_detection_are_ten_messages_and_five_summaries() {
    let (store, mailbox, now) = (InMemory::default(), Mailbox::default(), || at(0));
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "a".to_owned(),
        deadline: at(1),
        now: &now,
        storm: RULE,
    };
    let flood: Vec<Alert> =
        (0..200).map(|number| about(&format!("ami-{number:03}"), &format!("e{number}"), &SECOND)).collect();
    let told = delivery.deliver_each(flood.clone()).await;
    let counts: Vec<u64> = mailbox
        .sent
        .lock()
        .unwrap()
        .iter()
        .filter_map(|alert| alert.storm.as_ref().map(|storm| storm.count))
        .collect();
    assert_eq!(mailbox.count(), 15);
    assert_eq!(counts, [11, 22, 44, 88, 176]);
    assert!((0..200).all(|origin| told.iter().any(|one| one.origin == origin && one.fate.is_ok())));
    {
        let sent = mailbox.sent.lock().unwrap();
        let first = sent.iter().find(|alert| alert.storm.is_some()).unwrap();
        assert!(first.storm.as_ref().unwrap().subjects.contains(&"ami-010, somebody".to_owned()));
        assert_eq!(first.subject, Subject::Storm { detection: "second".to_owned() });
    }
    // Again, however often: nothing more.
    delivery.deliver_each(flood).await;
    assert_eq!(mailbox.count(), 15);
    // What is more severe, or another detection, is not swallowed.
    let other = delivery.deliver(vec![about("ami-777", "worse", &FIRST)]).await.unwrap();
    assert_eq!(other[0].1, Fate::Published);
    let mut worse = about("ami-778", "worst", &SECOND);
    worse.findings[0].severity = Severity::Critical;
    assert_eq!(delivery.deliver(vec![worse]).await.unwrap()[0].1, Fate::Published);
}

#[tokio::test]
async fn what_is_under_the_floor_takes_no_room_of_what_is_published() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..50 {
        let mut quiet = about(&format!("ami-{number}"), &format!("e{number}"), &SECOND);
        quiet.below_floor = true;
        deliver(&store, &mailbox, "a", 0, quiet).await.unwrap();
    }
    let loud = deliver(&store, &mailbox, "b", 0, about("ami-99", "loud", &SECOND)).await;
    assert_eq!(loud, Ok(Fate::Published));
    assert!(mailbox.sent.lock().unwrap().last().unwrap().storm.is_none());
}

#[tokio::test]
async fn a_summary_that_could_not_be_published_is_still_owed() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..10 {
        let one = about(&format!("ami-{number}"), &format!("e{number}"), &FIRST);
        deliver(&store, &mailbox, "a", 0, one).await.unwrap();
    }
    mailbox.failures.store(1, Ordering::SeqCst);
    deliver(&store, &mailbox, "a", 0, about("ami-10", "e10", &FIRST)).await.unwrap_err();
    deliver(&store, &mailbox, "a", 0, about("ami-11", "e11", &FIRST)).await.unwrap();
    assert_eq!(mailbox.count(), 10);
    deliver(&store, &mailbox, "b", 0, about("ami-10", "e10", &FIRST)).await.unwrap();
    assert_eq!(mailbox.sent.lock().unwrap()[10].storm.as_ref().map(|storm| storm.count), Some(12));
}

#[tokio::test]
async fn a_thread_whose_instances_grow_tenfold_is_told_again_with_how_many() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    let launch = |source: &str, count: u32| {
        let mut alert = alert(source, 0, &[&FIRST]);
        let mut activity = alert.activity.as_ref().clone();
        activity.action = Action::ImageLaunched(Launch { count, ..Launch::default() });
        alert.activity = Arc::new(activity);
        alert
    };
    deliver(&store, &mailbox, "a", 0, launch("e1", 1)).await.unwrap();
    assert_eq!(deliver(&store, &mailbox, "a", 0, launch("e2", 3)).await, Ok(Fate::Repeated { count: 2 }));
    assert_eq!(deliver(&store, &mailbox, "a", 0, launch("e3", 500)).await, Ok(Fate::Published));
    assert_eq!(mailbox.sent.lock().unwrap()[1].news, ["504 instances or tasks so far"]);
    assert_eq!(deliver(&store, &mailbox, "a", 0, launch("e4", 500)).await, Ok(Fate::Repeated { count: 4 }));
}

#[tokio::test]
async fn fifty_processes_in_one_place_are_one_message_and_a_round_count_says_how_many() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..50 {
        let mut alert = alert(&format!("e{number}"), 0, &[&FIRST]);
        alert.subject = Subject::Runtime { place: "pod web/shop".to_owned() };
        deliver(&store, &mailbox, "a", 0, alert).await.unwrap();
    }
    assert_eq!(mailbox.count(), 1);
    for number in 0..10 {
        deliver(&store, &mailbox, "a", 0, alert(&format!("f{number}"), 0, &[&FIRST])).await.unwrap();
    }
    assert_eq!(mailbox.sent.lock().unwrap().last().unwrap().news, ["10 events so far"]);
}

#[tokio::test]
async fn who_waits_for_another_invocation_learns_that_it_told() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    let slow = Slow { mailbox: &mailbox, time: Duration::from_millis(400) };
    let now = || at(0);
    let delivery = |token: &str| Delivery {
        store: &store,
        publisher: &slow,
        token: token.to_owned(),
        deadline: at(0) + TimeDelta::seconds(20),
        now: &now,
        storm: RULE,
    };
    let (one, other) = (delivery("a"), delivery("b"));
    let (one, other) = tokio::join!(
        one.deliver(vec![alert("e1", 0, &[&FIRST])]),
        other.deliver(vec![alert("e1", 0, &[&FIRST])])
    );
    let mut fates = [one, other].map(|told| format!("{:?}", told.unwrap()[0].1));
    fates.sort();
    assert_eq!(fates, ["AlreadyTold", "Published"]);
    assert_eq!(mailbox.count(), 1);
}

#[tokio::test]
async fn a_batch_about_one_subject_is_one_thread_however_many_events() {
    let (store, mailbox) = (Faulty::default(), Mailbox::default());
    let now = || at(0);
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "a".to_owned(),
        deadline: at(1),
        now: &now,
        storm: RULE,
    };
    let alerts: Vec<Alert> =
        (0..500).map(|number| alert(&format!("e{number}"), number % 60, &[&FIRST])).collect();
    let twice = [alerts.clone(), alerts[..5].to_vec()].concat();
    let told = delivery.deliver(twice).await.unwrap();
    assert_eq!(mailbox.count(), 3, "the first, at 10, and at 100");
    let fates = |fate: fn(&Fate) -> bool| told.iter().filter(|(_, it)| fate(it)).count();
    assert_eq!(fates(|fate| *fate == Fate::Published), 3);
    assert_eq!(fates(|fate| matches!(fate, Fate::Repeated { .. })), 497);
    assert_eq!(fates(|fate| *fate == Fate::AlreadyTold), 5);
    let again = delivery.deliver(alerts).await.unwrap();
    assert!(again.iter().all(|(_, fate)| *fate == Fate::AlreadyTold));
    assert_eq!(mailbox.count(), 3);
}

/// The tenth event's message is owed until it is out, whatever comes in between.
#[tokio::test]
async fn a_round_count_is_not_lost_with_who_was_to_tell_it() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    for number in 0..9 {
        deliver(&store, &mailbox, "a", 0, alert(&format!("e{number}"), 0, &[&FIRST])).await.unwrap();
    }
    mailbox.failures.store(1, Ordering::SeqCst);
    deliver(&store, &mailbox, "b", 0, alert("tenth", 0, &[&FIRST])).await.unwrap_err();
    deliver(&store, &mailbox, "c", 0, alert("eleventh", 0, &[&FIRST])).await.unwrap();
    assert_eq!(mailbox.count(), 1);
    assert_eq!(deliver(&store, &mailbox, "d", 2, alert("tenth", 0, &[&FIRST])).await, Ok(Fate::Published));
    let next = deliver(&store, &mailbox, "e", 2, alert("twelfth", 0, &[&FIRST])).await;
    assert_eq!(next, Ok(Fate::Repeated { count: 12 }), "nobody is counted twice");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognised_as_ones_own() {
    let (store, mailbox) = (Faulty::default(), Mailbox::default());
    store.lost_answers.store(1, Ordering::SeqCst);
    assert_eq!(deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await, Ok(Fate::Published));
    assert_eq!(mailbox.count(), 1);
}

#[tokio::test]
async fn a_store_that_stays_away_makes_the_event_come_again() {
    let (store, mailbox) = (Faulty::default(), Mailbox::default());
    store.refused.store(1_000, Ordering::SeqCst);
    let now = || at(0);
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "a".to_owned(),
        deadline: at(0) + TimeDelta::milliseconds(1_300),
        now: &now,
        storm: RULE,
    };
    let failed = delivery.deliver(vec![alert("e1", 0, &[&FIRST])]).await.map(|_| ());
    assert!(matches!(failed, Err(DeliveryError::Store(StoreError::Unavailable(_)))), "{failed:?}");
    assert_eq!(mailbox.count(), 0, "nothing is published undeduplicated behind a table's back");
}

#[tokio::test]
async fn an_event_whose_confirmation_was_lost_does_not_repeat_its_message() {
    let (store, mailbox) = (Faulty::default(), Mailbox::default());
    deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await.unwrap();
    store.lost_answers.store(2, Ordering::SeqCst);
    deliver(&store, &mailbox, "a", 1, alert("e2", 1, &[&SECOND])).await.unwrap();
    assert_eq!(deliver(&store, &mailbox, "b", 9, alert("e2", 1, &[&SECOND])).await, Ok(Fate::AlreadyTold));
    assert_eq!(mailbox.count(), 2);
}
