//! History under what a real store does to it: any order, duplicates, racing workers, errors, lost answers,
//! and workers that die at any step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use imagewarden::activity::{
    Action, Activity, Actor, ActorKind, Cloud, ContainerImage, ImageRef, ImageSearch, Instance, Launch,
    Place, Process, Pull, Push, Scan, Start,
};
use imagewarden::alert::Alert;
use imagewarden::history::deliver::Publisher;
use imagewarden::history::{InMemory, Key, Record, Store, StoreError};
use imagewarden::lookup::{Fact, FactKey, FactValue, ImageFact, Lookup};
use imagewarden::pipeline::{Pipeline, Processed};
use imagewarden::policy::Policy;
use tokio::sync::Notify;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-central-1";

const ACTIVITIES: usize = 10_000;

fn start() -> DateTime<Utc> {
    "2026-05-13T00:00:00Z".parse().unwrap()
}

/// Every image is a stranger's public one, of the name that is searched for.
struct Strangers;

impl Lookup for Strangers {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        let fact = |key: &FactKey| match key {
            FactKey::Image { image, .. } => Fact::Known(FactValue::Image(Box::new(ImageFact {
                image_id: image.clone(),
                owner_id: Some("777788889999".to_owned()),
                name: Some("acme-base-1".to_owned()),
                public: Some(true),
                ..ImageFact::default()
            }))),
            _ => Fact::Absent,
        };
        keys.iter().map(|key| (key.clone(), fact(key))).collect()
    }
}

/// A store that fails: before it did as asked, or after, so that only the answer is lost.
struct Faulty {
    inner: InMemory,
    percent: u64,
    random: Random,
    calls: AtomicUsize,
    faults: AtomicUsize,
    crashes: AtomicUsize,
}

impl Faulty {
    fn new(percent: u64) -> Self {
        let (inner, random) = (InMemory::default(), Random(AtomicU64::new(7)));
        let [calls, faults, crashes] = std::array::from_fn(|_| AtomicUsize::new(0));
        Self { inner, percent, random, calls, faults, crashes }
    }

    /// Once in a while the worker dies here: nothing after this happens.
    async fn survive(&self, death: &Notify) {
        if self.percent > 0 && self.random.below(300) == 0 {
            self.crashes.fetch_add(1, Ordering::Relaxed);
            death.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn fails(&self) -> bool {
        let fails = self.random.below(200) < self.percent;
        self.faults.fetch_add(usize::from(fails), Ordering::Relaxed);
        fails
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("injected".to_owned())
}

impl Store for Faulty {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if self.fails() || self.fails() { Err(lost()) } else { self.inner.load(keys).await }
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if self.fails() {
            return Err(lost());
        }
        self.inner.save(records).await?;
        if self.fails() { Err(lost()) } else { Ok(()) }
    }
}

/// Numbers that are the same in every run.
struct Random(AtomicU64);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }
}

/// What went out: how often each event told each subject, and which detections about which subject.
#[derive(Default)]
struct Outbox {
    messages: Mutex<BTreeMap<(String, String), usize>>,
    pairs: Mutex<BTreeSet<(String, &'static str)>>,
}

impl Publisher for Outbox {
    async fn publish(&self, _: &'static str, alert: &Alert) -> Result<(), String> {
        let subject = alert.subject.key();
        let mut pairs = self.pairs.lock().unwrap();
        pairs.extend(alert.findings.iter().map(|finding| (subject.clone(), finding.detection.id)));
        *self.messages.lock().unwrap().entry((alert.activity.id.clone(), subject)).or_default() += 1;
        Ok(())
    }
}

/// One attempt's view of the world, which ends with its death.
struct Mortal<'a, T> {
    inner: &'a T,
    store: &'a Faulty,
    death: &'a Notify,
}

impl Store for Mortal<'_, Faulty> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        self.store.survive(self.death).await;
        self.inner.load(keys).await
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        self.store.survive(self.death).await;
        let saved = self.inner.save(records).await;
        self.store.survive(self.death).await;
        saved
    }
}

impl Publisher for Mortal<'_, Outbox> {
    async fn publish(&self, sink: &'static str, alert: &Alert) -> Result<(), String> {
        self.store.survive(self.death).await;
        let published = self.inner.publish(sink, alert).await;
        self.store.survive(self.death).await;
        published
    }
}

/// An attempt; nothing where it failed or died. Each comes later than the one before.
async fn process(
    store: &Faulty,
    outbox: &Outbox,
    token: &str,
    attempt: i32,
    activity: Activity,
) -> Option<Processed> {
    let now = start() + TimeDelta::days(1) + TimeDelta::seconds(10) * attempt;
    let death = Notify::new();
    let (mortal, mailbox) =
        (Mortal { inner: store, store, death: &death }, Mortal { inner: outbox, store, death: &death });
    let pipeline = Pipeline {
        policy: Policy::bundled(),
        policy_note: None,
        lookup: &Strangers,
        store: Some(&mortal),
        publisher: &mailbox,
        token: &format!("{token}, attempt {attempt}"),
        deadline: now + TimeDelta::seconds(3),
        warm_up: false,
        now: &move || now,
    };
    tokio::select! {
        processed = pipeline.process(Arc::new(activity)) => processed.ok(),
        () = death.notified() => None,
    }
}

fn event(id: String, minute: i64, principal: &str, action: Action) -> Activity {
    let actor = Actor {
        kind: ActorKind::AssumedRole,
        principal: principal.to_owned(),
        name: "somebody".to_owned(),
        account: Some(ACCOUNT.to_owned()),
        session: None,
        source_identity: None,
        invoked_by: None,
        access_key_id: None,
        mfa: None,
    };
    Activity {
        id,
        time: start() + TimeDelta::minutes(minute),
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        cloud: Cloud::Aws,
        actor: Some(actor),
        api: None,
        action,
    }
}

/// Ten activities: a search and a launch that it confused, a miner on the instance, a container from pull
/// to `wget`, a push with three scans, and something ordinary.
fn story(number: usize) -> Vec<Activity> {
    let principal = format!("arn:aws:iam::{ACCOUNT}:role/r{number}");
    let minute = i64::try_from(number % 700).unwrap();
    let instance = format!("i-{number:017x}");
    let digest = |half: &str| format!("sha256:{number:032x}{}", half.repeat(16));
    let image =
        ContainerImage { name: format!("docker.io/stranger{number}/tool:1"), digest: Some(digest("aa")) };
    let pod = Place {
        namespace: Some("web".to_owned()),
        pod: Some(format!("pod-{number}")),
        image: Some(image.clone()),
        ..Place::default()
    };
    let repository = format!("team/app{number}");
    let scan = |half: &str, class: &str| Scan {
        repository: repository.clone(),
        registry: ACCOUNT.to_owned(),
        digest: digest(half),
        counts: BTreeMap::from([(class.to_owned(), 1)]),
        ..Scan::default()
    };
    let on_host = Place { instance: Some(instance.clone()), ..Place::default() };
    let ran = |place: &Place, binary: &str| Process {
        place: place.clone(),
        binary: binary.to_owned(),
        ..Process::default()
    };
    let actions = vec![
        (0, Action::ImagesSearched(ImageSearch { names: vec!["acme-*".to_owned()], bounded: false })),
        (
            5,
            Action::ImageLaunched(Launch {
                image: ImageRef::Id(format!("ami-{number:017x}")),
                instances: vec![Instance { id: instance, ..Instance::default() }],
                count: 1,
                ..Launch::default()
            }),
        ),
        (9, Action::ProcessStarted(ran(&on_host, "/tmp/xmrig"))),
        (0, Action::ImagePulled(Pull { image, ..Pull::default() })),
        (1, Action::ContainerStarted(Start { place: pod.clone(), ..Start::default() })),
        (3, Action::ProcessStarted(ran(&pod, "/usr/bin/wget"))),
        (
            0,
            Action::ImagePushed(Push {
                repository: repository.clone(),
                registry: ACCOUNT.to_owned(),
                tag: Some("1".to_owned()),
                digest: Some(digest("bb")),
                ..Push::default()
            }),
        ),
        (2, Action::ImageScanned(scan("bb", "CRITICAL"))),
        (3, Action::ImageScanned(scan("cc", "HIGH"))),
        (4, Action::ImageScanned(scan("dd", "MEDIUM"))),
    ];
    let named = actions.into_iter().enumerate();
    named
        .map(|(step, (after, action))| event(format!("{number}-{step}"), minute + after, &principal, action))
        .collect()
}

fn shuffle<T>(list: &mut [T], random: &Random) {
    for last in (1..list.len()).rev() {
        let other = random.below(u64::try_from(last + 1).unwrap());
        list.swap(last, usize::try_from(other).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn chaos_tells_what_order_tells() {
    let mut activities: Vec<Activity> = (0..ACTIVITIES / 10).flat_map(story).collect();
    activities.sort_by_key(|activity| activity.time);
    let (store, clean) = (Faulty::new(0), Outbox::default());
    for activity in &activities {
        process(&store, &clean, "one", 0, activity.clone()).await.expect("a sound store");
    }
    let clean = clean.pairs.into_inner().unwrap();
    for detection in [
        "first-boot-activity",
        "container-first-activity",
        "machine-image-name-confusion",
        "machine-image-newly-seen",
        "container-image-newly-seen",
        "ecr-push-unknown-user",
        "repository-risk",
    ] {
        let found = clean.iter().filter(|(_, id)| *id == detection).count();
        assert_eq!(found, ACTIVITIES / 10, "{detection}");
    }

    let random = Random(AtomicU64::new(42));
    let duplicates: Vec<Activity> = activities.iter().filter(|_| random.below(4) == 0).cloned().collect();
    let mut chaos = [activities, duplicates].concat();
    shuffle(&mut chaos, &random);
    let shared = Arc::new((Faulty::new(5), Outbox::default(), Mutex::new(VecDeque::from(chaos))));
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let shared = shared.clone();
            tokio::spawn(async move {
                let (store, outbox, queue) = shared.as_ref();
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some(activity) = next else { return };
                    let token = format!("worker {worker} on {}", activity.id);
                    // Not acknowledged: it comes again.
                    let mut attempt = 0;
                    while process(store, outbox, &token, attempt, activity.clone()).await.is_none() {
                        attempt += 1;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let (store, outbox, _) = shared.as_ref();
    let told = outbox.pairs.lock().unwrap();
    let lost: Vec<_> = clean.difference(&told).take(10).collect();
    let made_up: Vec<_> = told.difference(&clean).take(10).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "lost {lost:?}, made up {made_up:?}");
    let messages = outbox.messages.lock().unwrap();
    let more: usize = messages.values().map(|count| count - 1).sum();
    let (faults, crashes) = (store.faults.load(Ordering::Relaxed), store.crashes.load(Ordering::Relaxed));
    assert!(faults > ACTIVITIES / 50 && crashes > ACTIVITIES / 100, "{faults} faults, {crashes} deaths");
    // A death after publishing repeats a message; an answer that is lost for good might.
    assert!(more <= crashes, "{more} of {} messages repeated, {crashes} deaths", messages.len());
    println!("{} messages, {more} repeated, {faults} faults, {crashes} deaths", messages.len());
}

/// The store's requests are what an event costs.
#[tokio::test]
async fn round_trips_are_few() {
    let store = Faulty::new(0);
    let outbox = Outbox::default();
    let trips = || store.calls.swap(0, Ordering::Relaxed);
    let own =
        ContainerImage { name: format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app:1"), digest: None };
    let place = Place { pod: Some("quiet".to_owned()), image: Some(own), ..Place::default() };
    let quiet = Action::ContainerStarted(Start { place, ..Start::default() });
    let processed =
        process(&store, &outbox, "one", 0, event("quiet".to_owned(), 0, "x", quiet)).await.unwrap();
    assert!(processed.alerts.is_empty());
    assert_eq!(trips(), 2);
    for activity in story(1) {
        let processed = process(&store, &outbox, "one", 0, activity).await.unwrap();
        let most = if processed.alerts.is_empty() { 2 } else { 5 };
        assert!(trips() <= most, "{:?}", processed.judgement.activity.action.name());
    }
}
