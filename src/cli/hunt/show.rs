//! What is told on standard error in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use imagewarden::alert::Alert;
use imagewarden::archive::Summary;
use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::launches::Launches;
use crate::cli::archives;

/// Counts of what was judged.
#[derive(Debug, Default)]
pub struct Tally {
    pub activities: u64,
    pub repetitions: u64,
    pub suppressed: u64,
    pub below_floor: u64,
    /// By the most severe detection of each.
    pub alerts: BTreeMap<&'static str, u64>,
    /// Judging was ended before all was judged.
    pub stopped: bool,
}

impl Tally {
    pub fn add(&mut self, alert: &Alert) {
        if let Some(lead) = alert.lead() {
            *self.alerts.entry(lead.detection.id).or_default() += 1;
        }
        self.below_floor += u64::from(alert.below_floor);
    }
}

/// All that was found out.
pub struct Told<'a> {
    pub summary: &'a Summary,
    pub tally: &'a Tally,
    pub launches: &'a Launches,
    pub elapsed: Duration,
}

impl Told<'_> {
    pub fn is_stopped(&self) -> bool {
        self.summary.stopped || self.tally.stopped
    }
}

/// The summary, on standard error.
pub fn summary(told: &Told<'_>) {
    let Told { summary, tally, launches, elapsed } = told;
    let count = |number: u64, one: &str, many: &str| {
        format!("{} {}", HumanCount(number), if number == 1 { one } else { many })
    };
    archives::tell_unreadable(summary);
    let rate = summary.inflated as f64 / elapsed.as_secs_f64().max(0.001);
    let took = if elapsed.as_secs() < 5 {
        format!("{:.1} seconds", elapsed.as_secs_f64())
    } else {
        HumanDuration(*elapsed).to_string()
    };
    eprintln!(
        "{} ({}), {} in {took}: {} of logs a second",
        count(summary.files, "file", "files"),
        HumanBytes(summary.bytes),
        count(summary.records, "record", "records"),
        // A rate below zero or beyond all bounds does not come up.
        HumanBytes(rate as u64),
    );
    let alerts: u64 = tally.alerts.values().sum();
    let mut line = format!(
        "{} judged: {}",
        count(tally.activities, "activity", "activities"),
        count(alerts, "alert", "alerts")
    );
    let unjudged = launches.total();
    for (number, what) in [
        (tally.below_floor, "below the notification floor"),
        (tally.repetitions, "repetitions counted in their threads"),
        (tally.suppressed, "suppressed"),
        (unjudged, "launches whose image's owner is not known"),
        (summary.unreadable, "unreadable"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", HumanCount(number)));
        }
    }
    eprintln!("{line}");
    let mut detections: Vec<_> = tally.alerts.iter().collect();
    detections.sort_by_key(|(id, number)| (std::cmp::Reverse(**number), **id));
    for (id, number) in detections {
        eprintln!("  {id}: {}", HumanCount(*number));
    }
    if told.is_stopped() {
        eprintln!("interrupted: this is what was found until then");
    }
}
