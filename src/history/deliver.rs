//! Delivering alerts once to every sink: claim, publish, confirm.
//!
//! Round trips for an event that alerts, whatever the number of its alerts: one read, one write that
//! takes the claims and enters the threads and storms, one write that confirms. Where there is nothing to
//! send, the first write confirms too.
//!
//! Alerts are taken in turns of [`TURN`], so that one turn's claims, threads and storms are one
//! transaction. Alerts whose claims somebody else holds wait until all others are out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::claim::{self, Form, Standing};
use super::storm::{self, Named, Storm};
use super::thread::{self, Entry, Place};
use super::{Key, Kind, Record, Store, StoreError};
use crate::alert::{self, Alert};
use crate::detection::Subject;
use crate::hash;

/// How many alerts are claimed in one transaction: each has a claim, most have a thread, and every
/// detection has a storm. A transaction of DynamoDB takes a hundred records.
const TURN: usize = 32;

/// How many messages, each of another thread, are on their way at once.
pub(crate) const AT_ONCE: usize = 8;

/// How often a confirmation is tried at least, even after the deadline.
const TRIES: usize = 3;

/// Sends alerts to its sinks.
pub trait Publisher: Sync {
    /// The sinks by name. Each is told once, whatever becomes of the others. A name that is not the same
    /// the next time gets the messages that were not confirmed again.
    fn sinks(&self) -> Vec<&'static str> {
        vec!["all"]
    }

    /// Sends one alert to one sink.
    fn publish(&self, sink: &'static str, alert: &Alert) -> impl Future<Output = Result<(), String>> + Send;
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Published,
    /// The same event's alert is out already.
    AlreadyTold,
    /// Its thread has said all of this; counted.
    Repeated {
        count: u64,
    },
    /// Its detection alerts about too many subjects: a summary counts it, as one of so many.
    Summarised {
        count: u64,
    },
}

/// Why an alert is not out. The event must come again: it was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("busy: another invocation is telling the same event until {0}")]
    Busy(DateTime<Utc>),
    #[error("cannot publish: {0}")]
    Publish(String),
    #[error("out of time before the alert was published")]
    OutOfTime,
}

/// What came of one of the alerts that were to be delivered.
#[derive(Clone)]
pub struct Delivered {
    /// Its place among those that were given. One alert may come back twice: what was folded into a summary,
    /// and the summary that it made due.
    pub origin: usize,
    /// As it was told.
    pub alert: Alert,
    pub fate: Result<Fate, DeliveryError>,
}

/// Delivers alerts for one invocation.
pub struct Delivery<'a, S, P> {
    pub store: &'a S,
    pub publisher: &'a P,
    /// This invocation's own name in claims.
    pub token: String,
    /// When this invocation is over at the latest: claims are leased a little longer.
    pub deadline: DateTime<Utc>,
    /// The clock; over archives, the event's own time.
    pub now: &'a (dyn Fn() -> DateTime<Utc> + Sync),
    /// How many alerts of one detection are told singly.
    pub storm: storm::Rule,
}

/// After the invocation's deadline, nobody can still be at it.
const GRACE: TimeDelta = TimeDelta::seconds(2);

/// Kept back of the invocation's time for saying that it failed.
const RESERVE: Duration = Duration::from_secs(1);

/// How long to wait for another invocation before looking again: it mostly needs milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// An alert that was given, with its place among the others.
#[derive(Clone)]
struct Given {
    origin: usize,
    alert: Alert,
    claim: Key,
    thread: Key,
}

/// One message with its claim.
struct Due {
    origin: usize,
    alert: Alert,
    claim: Record,
    thread: Key,
}

/// What is to be done with the records that were read.
#[derive(Default)]
struct Turn {
    due: Vec<Due>,
    told: Vec<Delivered>,
    /// Somebody else is at these, until then at the latest.
    busy: Vec<(Given, DateTime<Utc>)>,
    changed: Vec<Record>,
}

impl<S: Store, P: Publisher> Delivery<'_, S, P> {
    /// Delivers alerts and waits for those that somebody else is telling.
    ///
    /// # Errors
    /// The first of all failures. The other alerts are out nevertheless, and confirmed.
    pub async fn deliver(&self, alerts: Vec<Alert>) -> Result<Vec<(Alert, Fate)>, DeliveryError> {
        let delivered = self.deliver_each(alerts).await;
        delivered.into_iter().map(|one| one.fate.map(|fate| (one.alert, fate))).collect()
    }

    /// As [`Delivery::deliver`], with the result of each alert: at least one, in the order of the alerts. What
    /// should be out first where time is short has to come first.
    pub async fn deliver_each(&self, alerts: Vec<Alert>) -> Vec<Delivered> {
        let left = (self.deadline - (self.now)()).to_std().unwrap_or_default();
        let give_up = Instant::now() + left.saturating_sub(RESERVE);
        let given = alerts.into_iter().enumerate().map(|(origin, alert)| {
            let (claim, thread) = keys(&alert);
            Given { origin, alert, claim, thread }
        });
        let mut waiting: Vec<Given> = given.collect();
        let mut delivered = Vec::new();
        loop {
            let mut busy = Vec::new();
            let mut turns = waiting.chunks(TURN);
            for turn in turns.by_ref() {
                if self.turn(turn, give_up, &mut delivered, &mut busy).await {
                    break;
                }
            }
            // Of these not even the claims were looked at.
            for given in turns.flatten() {
                let fate = Err(DeliveryError::OutOfTime);
                delivered.push(Delivered { origin: given.origin, alert: given.alert.clone(), fate });
            }
            let Some(until) = busy.iter().map(|(_, until)| *until).min() else { break };
            let now = Instant::now();
            if now >= give_up {
                delivered.extend(busy.into_iter().map(|(Given { origin, alert, .. }, until)| Delivered {
                    origin,
                    alert,
                    fate: Err(DeliveryError::Busy(until)),
                }));
                break;
            }
            // Told by somebody else, it is done; if he dies, the lease runs out.
            let lease = (until - (self.now)()).to_std().unwrap_or_default();
            tokio::time::sleep_until(give_up.min(now + lease.min(LOOK_AGAIN))).await;
            waiting = busy.into_iter().map(|(given, _)| given).collect();
        }
        delivered.sort_by_key(|one| one.origin);
        delivered
    }

    /// Delivers one turn's alerts, but those that somebody else is telling. True where the time is over.
    async fn turn(
        &self,
        given: &[Given],
        give_up: Instant,
        delivered: &mut Vec<Delivered>,
        busy: &mut Vec<(Given, DateTime<Utc>)>,
    ) -> bool {
        let turn = match self.claim(given, give_up).await {
            Ok(turn) => turn,
            Err(error) => {
                delivered.extend(given.iter().map(|given| Delivered {
                    origin: given.origin,
                    alert: given.alert.clone(),
                    fate: Err(error.clone().into()),
                }));
                return Instant::now() >= give_up;
            }
        };
        delivered.extend(turn.told);
        busy.extend(turn.busy);
        let mut claims = Vec::new();
        for (due, result) in self.publish(turn.due, give_up).await {
            let Due { origin, alert, mut claim, .. } = due;
            match &result {
                Ok(()) => claim::confirm(&mut claim, &self.token, (self.now)()),
                Err(_) => claim::release(&mut claim, &self.token, (self.now)()),
            }
            claims.push(claim);
            delivered.push(Delivered { origin, alert, fate: result.map(|()| Fate::Published) });
        }
        self.confirm(claims).await;
        Instant::now() >= give_up
    }

    /// Sends the messages: those of one thread one after another, the threads side by side.
    async fn publish(&self, due: Vec<Due>, give_up: Instant) -> Vec<(Due, Result<(), DeliveryError>)> {
        let sinks = self.publisher.sinks();
        let mut threads: Vec<Vec<Due>> = Vec::new();
        for due in due {
            match threads.iter_mut().find(|thread| thread.iter().any(|other| other.thread == due.thread)) {
                Some(thread) => thread.push(due),
                None => threads.push(vec![due]),
            }
        }
        let mut results = Vec::new();
        let mut threads = threads.into_iter().peekable();
        while threads.peek().is_some() {
            let some = threads.by_ref().take(AT_ONCE).map(|thread| {
                let sinks = &sinks;
                async move {
                    let mut results = Vec::new();
                    for mut due in thread {
                        let result = self.send(&mut due, sinks, give_up).await;
                        results.push((due, result));
                    }
                    results
                }
            });
            results.extend(together(some.collect()).await.into_iter().flatten());
        }
        results
    }

    /// Sends one message to every sink that does not have it yet.
    async fn send(
        &self,
        due: &mut Due,
        sinks: &[&'static str],
        give_up: Instant,
    ) -> Result<(), DeliveryError> {
        let mut failures = Vec::new();
        for sink in sinks.iter().copied() {
            if claim::has(&due.claim, sink) {
                continue;
            }
            if Instant::now() >= give_up {
                return Err(DeliveryError::OutOfTime);
            }
            match self.publisher.publish(sink, &due.alert).await {
                Ok(()) => claim::tell(&mut due.claim, sink),
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(DeliveryError::Publish(failures.join("; "))) }
    }

    /// Takes every claim that is free, in one transaction with the threads and storms.
    async fn claim(&self, given: &[Given], give_up: Instant) -> Result<Turn, StoreError> {
        let mut wanted: Vec<Key> = given
            .iter()
            .flat_map(|given| {
                [given.claim.clone(), given.thread.clone()].into_iter().chain(storms(&given.alert))
            })
            .collect();
        wanted.sort();
        wanted.dedup();
        let mut attempt = 0;
        loop {
            let error = match self.store.load(&wanted).await {
                Ok(records) => {
                    let turn = self.sort(given, records);
                    if turn.changed.is_empty() {
                        return Ok(turn);
                    }
                    match self.store.save(&turn.changed).await {
                        Ok(()) => return Ok(taken(turn)),
                        // Also after no answer: if the write did happen, the claim read next bears this token.
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            attempt += 1;
            if Instant::now() >= give_up {
                return Err(error);
            }
            super::pause(&self.token, attempt).await;
        }
    }

    /// What there is to do about each alert, as the records stand now.
    fn sort(&self, given: &[Given], records: Vec<Record>) -> Turn {
        let now = (self.now)();
        let mut records: HashMap<Key, Record> =
            records.into_iter().map(|record| (record.key.clone(), record.fresh(now))).collect();
        let mut take = |key: &Key| records.remove(key).unwrap_or_else(|| Record::new(key.clone()));
        let mut shared: BTreeMap<Key, Record> = BTreeMap::new();
        let mut claims: BTreeSet<&Key> = BTreeSet::new();
        let mut turn = Turn::default();
        for one in given {
            let known =
                |alert: &Alert, fate| Delivered { origin: one.origin, alert: alert.clone(), fate: Ok(fate) };
            if !claims.insert(&one.claim) {
                // The same event twice in one batch.
                turn.told.push(known(&one.alert, Fate::AlreadyTold));
                continue;
            }
            let mut claim = take(&one.claim);
            match claim::standing(&claim, &self.token, now) {
                Standing::Done => {
                    turn.told.push(known(&one.alert, Fate::AlreadyTold));
                    continue;
                }
                Standing::Taken(until) => {
                    turn.busy.push((one.clone(), until));
                    continue;
                }
                Standing::Free => {}
            }
            let thread = shared.entry(one.thread.clone()).or_insert_with(|| take(&one.thread));
            // Whoever took the claim before entered the thread and the storm with it.
            let before = claim.claim.as_ref().map(|claim| claim.form);
            let (alert, place) = enter(&one.alert, thread, before.is_some(), now);
            if let Place::Repeats { count, .. } = place {
                claim::confirm(&mut claim, &self.token, now);
                turn.changed.push(claim);
                turn.told.push(known(&alert, Fate::Repeated { count }));
                continue;
            }
            let mut storms: BTreeMap<Key, Storm> = BTreeMap::new();
            for key in storms_of(&alert, &place) {
                let record = shared.entry(key.clone()).or_insert_with(|| take(&key));
                storms.insert(key, record.storm.clone().unwrap_or_else(|| Storm::new(now)));
            }
            let lead = storm_of(&alert);
            let form = before.or_else(|| self.form(&alert, &mut storms, lead.as_ref(), now));
            let counted = lead.as_ref().and_then(|key| storms.get(key)).cloned();
            for (key, storm) in storms {
                if let Some(record) = shared.get_mut(&key) {
                    record.touch(now);
                    record.storm = Some(storm);
                }
            }
            let count = counted.as_ref().map(|storm| storm.count).unwrap_or_default();
            let message = match form {
                Some(Form::Single) => alert,
                Some(Form::Summary) => {
                    turn.told.push(known(&alert, Fate::Summarised { count }));
                    alert::summary(&alert, &counted.unwrap_or_else(|| Storm::new(now)))
                }
                None => {
                    claim::confirm(&mut claim, &self.token, now);
                    turn.changed.push(claim);
                    turn.told.push(known(&alert, Fate::Summarised { count }));
                    continue;
                }
            };
            claim::take(&mut claim, &self.token, self.deadline + GRACE, form.unwrap_or_default(), now);
            turn.changed.push(claim.clone());
            turn.due.push(Due { origin: one.origin, alert: message, claim, thread: one.thread.clone() });
        }
        turn.changed.extend(shared.into_values());
        turn
    }

    /// How an alert is told that has something new to say; nothing where a summary counts it that is not
    /// due again.
    fn form(
        &self,
        alert: &Alert,
        storms: &mut BTreeMap<Key, Storm>,
        lead: Option<&Key>,
        now: DateTime<Utc>,
    ) -> Option<Form> {
        let subject = named(alert);
        let mut room = storms.is_empty();
        for storm in storms.values_mut() {
            room |= storm.enter(now, &subject, self.storm);
        }
        if room {
            for storm in storms.values_mut() {
                storm.tell_singly(now, &subject);
            }
            return Some(Form::Single);
        }
        let due = match lead.and_then(|lead| storms.get_mut(lead)) {
            Some(storm) => storm.summarise(),
            None => true,
        };
        due.then_some(Form::Summary)
    }

    /// The messages are out, or refused. Failing to note it may repeat one, which is better than losing one.
    async fn confirm(&self, mut claims: Vec<Record>) {
        let mut attempt = 1;
        while !claims.is_empty() && (attempt <= TRIES || (self.now)() < self.deadline) {
            match self.store.save(&claims).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, attempt, "could not confirm what was published"),
            }
            super::pause(&self.token, attempt).await;
            attempt += 1;
            let keys: Vec<Key> = claims.iter().map(|claim| claim.key.clone()).collect();
            if let Ok(current) = self.store.load(&keys).await {
                claims.retain_mut(|claim| {
                    let Some(known) = current.iter().find(|known| known.key == claim.key) else {
                        return true;
                    };
                    claim.version = known.version;
                    known.claim != claim.claim && !known.claim.as_ref().is_some_and(|known| known.done)
                });
            }
        }
    }
}

/// After the claims are taken, their records are one version on.
fn taken(mut turn: Turn) -> Turn {
    for due in &mut turn.due {
        due.claim.version = due.claim.version.saturating_add(1);
    }
    turn
}

/// Waits for all of some futures, side by side.
pub(crate) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<(Pin<Box<F>>, Option<F::Output>)> =
        futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut done = true;
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => done = false,
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// The claim's and the thread's key of an alert.
fn keys(alert: &Alert) -> (Key, Key) {
    let activity = &alert.activity;
    let subject = hash::hex(&alert.subject.parts());
    // Each account names the caller in its own way.
    if activity.shared {
        let [kind, name, rest] = alert.subject.parts();
        let rest = if matches!(kind, "machine-image" | "push") { "" } else { rest };
        let claim = hash::hex(&[activity.id.as_str(), kind, name, rest]);
        return (
            Key::new("shared", "", Kind::Claim, claim),
            Key::new(&activity.account, &activity.region, Kind::Thread, subject),
        );
    }
    let claim = hash::hex(&[activity.id.as_str(), subject.as_str()]);
    (
        Key::new(&activity.account, &activity.region, Kind::Claim, claim),
        Key::new(&activity.account, &activity.region, Kind::Thread, subject),
    )
}

/// The storms of all detections of an alert.
fn storms(alert: &Alert) -> Vec<Key> {
    alert.findings.iter().map(|finding| storm(alert, finding.detection.id)).collect()
}

/// The storm of the most severe detection, whose summary an alert is folded into.
fn storm_of(alert: &Alert) -> Option<Key> {
    alert.lead().map(|lead| storm(alert, lead.detection.id))
}

/// The storms of the detections that an alert has news of; where it has other news (a round number, more
/// instances), that of the most severe.
fn storms_of(alert: &Alert, place: &Place) -> Vec<Key> {
    let Place::Follows { news, .. } = place else { return storms(alert) };
    let told = |finding: &&alert::Finding| news.iter().any(|news| news == finding.detection.id);
    let detections = alert.findings.iter().filter(told);
    let mut keys: Vec<Key> = detections.map(|finding| storm(alert, finding.detection.id)).collect();
    if keys.is_empty() {
        keys.extend(storm_of(alert));
    }
    keys
}

/// One detection in one account, over all regions. What is under the floor has a storm of its own.
fn storm(alert: &Alert, detection: &str) -> Key {
    let floor = if alert.below_floor { "below/" } else { "" };
    Key::new(&alert.activity.account, "", Kind::Storm, format!("{floor}{detection}"))
}

/// An alert's subject in a storm.
fn named(alert: &Alert) -> Named {
    let [_, name, rest] = alert.subject.parts();
    let name = if rest.is_empty() { name.to_owned() } else { format!("{name}, {rest}") };
    Named { name, severity: alert.severity(), scale: alert.activity.instance_count() }
}

/// From how many events on a round count is news: ten processes in one place are nothing new.
fn milestone(subject: &Subject) -> u64 {
    match subject {
        Subject::Runtime { .. } | Subject::ContainerImage { .. } => 100,
        _ => 10,
    }
}

/// Enters an alert into its thread and dresses it accordingly.
fn enter(alert: &Alert, thread: &mut Record, counted: bool, now: DateTime<Utc>) -> (Alert, Place) {
    let mut alert = alert.clone();
    let detections: Vec<&'static str> = alert.findings.iter().map(|finding| finding.detection.id).collect();
    let entry = Entry {
        time: alert.activity.time,
        source: &alert.activity.id,
        detections: &detections,
        severity: alert.severity(),
        instances: alert.activity.instance_count(),
        milestone: milestone(&alert.subject),
        counted,
    };
    thread.touch(now);
    let place = thread::enter(thread, &entry);
    match &place {
        Place::Opens => {
            alert.window_start = alert.activity.time;
            alert.update = false;
        }
        Place::Follows { start, news, .. } => {
            alert.window_start = *start;
            alert.update = true;
            alert.news = news.iter().filter(|news| !detections.contains(&news.as_str())).cloned().collect();
        }
        Place::Repeats { start, .. } => {
            alert.window_start = *start;
            alert.update = true;
        }
    }
    (alert, place)
}

#[cfg(test)]
mod tests;
