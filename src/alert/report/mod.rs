//! The report: one HTML page that a team looks at together, with nothing fetched from anywhere.
//!
//! Text from events cannot run: markup can only be a literal ([`html::Html`]), and a content security
//! policy allows the page's own script and style by their hashes and nothing else, no image, no frame,
//! no form. Without JavaScript everything is there but the filters.
//!
//! A page stays usable however much is found: counts, the chart and the tables are about every alert,
//! and the most severe threads are shown with their evidence, as far as [`Bounds`] reach.

mod chart;
mod html;
mod page;
mod seen;
mod summary;
mod tally;
mod thread;

pub use summary::{PolicyText, Summary, Unjudged, Unread};

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use chrono::{DateTime, Utc};

use super::{Alert, gather, safe, words};
use crate::activity::Action;
use crate::detection::Subject;
use crate::severity::Severity;
use chart::Chart;
use tally::Tally;
use thread::Thread;

/// How much of what was found is shown with its evidence.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub threads: usize,
    /// Of threads' messages.
    pub bytes: usize,
}

impl Default for Bounds {
    /// A browser opens such a page at once, and searches it as one types.
    fn default() -> Self {
        Self { threads: 2_000, bytes: 24 << 20 }
    }
}

/// The report as alerts come in. Memory is bounded whatever their number.
#[derive(Debug, Default)]
pub struct Report {
    bounds: Bounds,
    threads: HashMap<String, Thread>,
    /// The threads by what is left out first: the least severe, of those the latest.
    order: BTreeSet<Rank>,
    bytes: usize,
    /// Hashes of all threads' ids, those that are not shown too.
    known: HashSet<u64>,
    alerts: u64,
    below_floor: u64,
    severities: [u64; 5],
    chart: Chart,
    detections: Tally,
    principals: Tally,
    images: Tally,
    accounts: Tally,
    unseen: BTreeMap<(String, &'static str), u64>,
    unseen_rest: u64,
}

type Rank = (Severity, std::cmp::Reverse<DateTime<Utc>>, String);

/// Reasons for not looking that are told one by one.
const REASONS: usize = 500;

impl Report {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Adds an alert; a thread's alerts in the order in which they were told.
    pub fn add(&mut self, alert: &Alert) {
        let (severity, time) = (alert.severity(), alert.activity.time);
        self.alerts = self.alerts.saturating_add(1);
        self.below_floor = self.below_floor.saturating_add(u64::from(alert.below_floor));
        if let Some(count) = self.severities.get_mut(usize::from(severity.id().saturating_sub(1))) {
            *count = count.saturating_add(1);
        }
        self.chart.add(time, severity);
        for finding in &alert.findings {
            self.detections.add(finding.detection.id, finding.severity, time, finding.detection.title);
        }
        if let Some(actor) = &alert.activity.actor {
            let principal = safe::line(&actor.principal, 256);
            self.principals.add(&principal, severity, time, &safe::line(&actor.name, 120));
        }
        if let Some(image) = image(alert) {
            self.images.add(&safe::line(&image, 256), severity, time, kind(alert));
        }
        if !alert.activity.account.is_empty() {
            self.accounts.add(&safe::shown(&alert.activity.account, 128), severity, time, "");
        }
        for (reason, detections) in gather::blind_spots(alert) {
            for detection in detections {
                self.unseen(&reason.text, detection);
            }
        }
        self.thread(alert);
    }

    fn unseen(&mut self, reason: &str, detection: &'static str) {
        let key = (safe::shown(reason, 400), detection);
        if let Some(count) = self.unseen.get_mut(&key) {
            *count = count.saturating_add(1);
        } else if self.unseen.len() < REASONS {
            self.unseen.insert(key, 1);
        } else {
            self.unseen_rest = self.unseen_rest.saturating_add(1);
        }
    }

    fn thread(&mut self, alert: &Alert) {
        let uid = alert.thread_uid();
        self.known.insert(u64::from_str_radix(uid.get(..16).unwrap_or_default(), 16).unwrap_or_default());
        if let Some(thread) = self.threads.get_mut(&uid) {
            self.order.remove(&rank(&uid, thread));
            self.bytes = self.bytes.saturating_sub(thread.bytes());
            thread.add(alert);
            self.bytes = self.bytes.saturating_add(thread.bytes());
            self.order.insert(rank(&uid, thread));
        } else {
            let full = self.threads.len() >= self.bounds.threads || self.bytes >= self.bounds.bytes;
            let new: Rank = (alert.severity(), std::cmp::Reverse(alert.activity.time), uid.clone());
            // Not even made, where it would be the first to go.
            if full && self.order.first().is_none_or(|least| new < *least) {
                return;
            }
            let thread = Thread::new(alert);
            self.bytes = self.bytes.saturating_add(thread.bytes());
            self.order.insert(rank(&uid, &thread));
            self.threads.insert(uid, thread);
        }
        while self.threads.len() > self.bounds.threads.max(1)
            || (self.bytes > self.bounds.bytes && self.threads.len() > 1)
        {
            let Some((_, _, uid)) = self.order.pop_first() else { break };
            if let Some(thread) = self.threads.remove(&uid) {
                self.bytes = self.bytes.saturating_sub(thread.bytes());
            }
        }
    }

    /// Writes the page.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, out: &mut dyn io::Write, summary: &Summary) -> io::Result<()> {
        page::write(self, summary, out)
    }

    /// The most severe first, of those the earliest.
    fn ranked(&self) -> impl Iterator<Item = (&str, &Thread)> {
        let ranks = self.order.iter().rev();
        ranks.filter_map(|(_, _, uid)| Some((uid.as_str(), self.threads.get(uid)?)))
    }
}

fn rank(uid: &str, thread: &Thread) -> Rank {
    (thread.severity, std::cmp::Reverse(thread.first), uid.to_owned())
}

/// The image that an alert is about, or that what it is about ran from.
fn image(alert: &Alert) -> Option<String> {
    let image = match &alert.subject {
        Subject::MachineImage { image, .. } => image.clone(),
        Subject::Push { .. }
        | Subject::Repository { .. }
        | Subject::Scan { .. }
        | Subject::ContainerImage { .. } => words::about(&alert.subject),
        Subject::Runtime { .. } => alert.activity.action.place()?.image.as_ref()?.name.clone(),
        _ => match &alert.activity.action {
            Action::ImageLaunched(launch) => launch.image.label(),
            Action::LaunchTemplateChanged(change) => change.image.label(),
            _ => return None,
        },
    };
    (!image.is_empty() && image != "unknown").then_some(image)
}

fn kind(alert: &Alert) -> &'static str {
    match (&alert.subject, &alert.activity.action) {
        (Subject::MachineImage { .. }, _)
        | (_, Action::ImageLaunched(_) | Action::LaunchTemplateChanged(_)) => "machine image",
        _ => "container image",
    }
}
