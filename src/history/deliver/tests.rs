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

fn at(minute: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_790_000_000 + minute * 60, 0).single().unwrap()
}

fn alert(source: &str, minute: i64, detections: &[&'static Detection]) -> Alert {
    let activity = Activity {
        id: source.to_owned(),
        time: at(minute),
        time_is_arrival: false,
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
    }
}

/// Keeps what was published, and fails as often as it is told to.
#[derive(Default)]
struct Mailbox {
    sent: Mutex<Vec<Alert>>,
    failures: AtomicUsize,
}

impl Publisher for Mailbox {
    async fn publish(&self, alert: &Alert) -> Result<(), String> {
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
    async fn publish(&self, alert: &Alert) -> Result<(), String> {
        tokio::time::sleep(self.time).await;
        self.mailbox.publish(alert).await
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
    let delivery =
        Delivery { store, publisher: mailbox, token: token.to_owned(), deadline: at(minute + 1), now: &now };
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

#[tokio::test]
async fn while_another_invocation_tells_it_this_one_neither_tells_nor_acknowledges_it() {
    let (store, mailbox) = (InMemory::default(), Mailbox::default());
    mailbox.failures.store(1, Ordering::SeqCst);
    deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await.unwrap_err();
    let now = || at(0);
    let delivery = Delivery {
        store: &store,
        publisher: &mailbox,
        token: "b".to_owned(),
        deadline: at(0) + TimeDelta::milliseconds(1_300),
        now: &now,
    };
    let busy = delivery.deliver(vec![alert("e1", 0, &[&FIRST])]).await.map(|_| ());
    assert!(matches!(busy, Err(DeliveryError::Busy(_))), "{busy:?}");
    assert_eq!(mailbox.count(), 0);
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
    let delivery =
        Delivery { store: &store, publisher: &mailbox, token: "a".to_owned(), deadline: at(1), now: &now };
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
    let failed = deliver(&store, &mailbox, "a", 0, alert("e1", 0, &[&FIRST])).await;
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
