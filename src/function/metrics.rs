//! CloudWatch metrics in the embedded format: JSON lines on standard output that CloudWatch Logs turns
//! into metrics of the namespace `Imagewarden`.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::handler::Invocation;
use super::judge::Judged;
use crate::activity::{Action, ScanStatus};

const NAMESPACE: &str = "Imagewarden";
/// The format's own bound on the values of one metric in one line.
const VALUES: usize = 100;

/// What one invocation did.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) activities: u64,
    pub(super) ignored: u64,
    pub(super) unreadable: u64,
    /// Lines that were understood and not believed.
    pub(super) refused: u64,
    /// Alerts raised, published or not.
    pub(super) alerts: u64,
    pub(super) published: u64,
    pub(super) below_floor: u64,
    pub(super) suppressed: u64,
    /// Findings in alerts, by detection.
    pub(super) by_detection: BTreeMap<&'static str, u64>,
    pub(super) unavailable: u64,
    /// Activities that could not be judged to the end for a passing reason.
    pub(super) unfinished: u64,
    pub(super) failed_scans: u64,
    pub(super) policy_failures: u64,
    /// SQS messages that went back.
    pub(super) returned: u64,
    /// From the event's time until it was dealt with, in milliseconds: CloudTrail's delay and ours.
    pub(super) latencies: Vec<i64>,
    /// Set where an invocation swept: zero is an answer too.
    pub(super) sweep: Option<SweepTally>,
    /// What a self-check found wrong; set where one was made.
    pub(super) self_check_failures: Option<u64>,
}

/// What a sweep found.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SweepTally {
    /// Events of the event history that were compared with what has arrived.
    pub(super) compared: u64,
    /// Those that had not: the measure of what events miss.
    pub(super) missed_events: u64,
    /// Instances that run, and of whose launch nothing is known.
    pub(super) missed_instances: u64,
    /// How much of what should be covered is not.
    pub(super) behind_seconds: u64,
}

/// Counts a judged activity, and says what it lacked.
pub(super) fn count(invocation: &Invocation, judged: &Judged) {
    let Judged { activity, told, unavailable, .. } = judged;
    for failed in unavailable {
        let reason = failed.missing.reason.as_ref();
        tracing::warn!(api = failed.api, reason, activity = activity.id, "look-up unavailable");
    }
    for (detection, reason) in &told.suppressed {
        tracing::info!(detection = detection.id, reason, activity = activity.id, "suppressed");
    }
    invocation.count(|tally| {
        tally.activities += 1;
        tally.unavailable += u64::try_from(unavailable.len()).unwrap_or(u64::MAX);
        tally.suppressed += u64::try_from(told.suppressed.len()).unwrap_or(u64::MAX);
        let failed = matches!(&activity.action, Action::ImageScanned(scan)
            if matches!(scan.status, ScanStatus::Failed(_)));
        tally.failed_scans += u64::from(failed);
        if !activity.time_is_arrival {
            let latency = Utc::now().signed_duration_since(activity.time).num_milliseconds();
            tally.latencies.push(latency.max(0));
        }
    });
}

impl Tally {
    /// Writes the lines. What cannot be written is no reason to fail: alerts are out already.
    pub(super) fn emit(&self, timestamp: i64) {
        let mut out = std::io::stdout().lock();
        for line in self.lines(timestamp) {
            let _ = writeln!(out, "{line}");
        }
    }

    fn lines(&self, timestamp: i64) -> Vec<Value> {
        let mut whole = Line::default();
        whole.metric(
            "Events",
            "Count",
            json!(self.activities + self.ignored + self.unreadable + self.refused),
        );
        let counts = [
            ("UnavailableLookups", self.unavailable),
            ("Unfinished", self.unfinished),
            ("Unreadable", self.unreadable),
            ("Refused", self.refused),
            ("FailedScans", self.failed_scans),
            ("PolicyNotLoaded", self.policy_failures),
            ("Published", self.published),
            ("ReturnedMessages", self.returned),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            whole.metric(name, "Count", json!(count));
        }
        let sweep = self.sweep.map(|sweep| {
            [
                ("SweptEvents", "Count", sweep.compared),
                ("MissedEvents", "Count", sweep.missed_events),
                ("MissedInstances", "Count", sweep.missed_instances),
                ("SweepBehind", "Seconds", sweep.behind_seconds),
            ]
        });
        let check = self.self_check_failures.map(|failures| ("SelfCheckFailures", "Count", failures));
        for (name, unit, value) in sweep.into_iter().flatten().chain(check) {
            whole.metric(name, unit, json!(value));
        }
        if !self.latencies.is_empty() {
            let latencies: Vec<i64> = self.latencies.iter().take(VALUES).copied().collect();
            whole.metric("Latency", "Milliseconds", json!(latencies));
        }
        let mut lines = vec![whole.finish(timestamp, json!([[]]))];
        for (detection, count) in &self.by_detection {
            let mut own = Line::default();
            own.values.insert("Detection".to_owned(), json!(detection));
            own.metric("Alerts", "Count", json!(count));
            lines.push(own.finish(timestamp, json!([["Detection"]])));
        }
        lines
    }
}

/// One line in the making. CloudWatch takes a value for a metric only where the directive names it.
#[derive(Default)]
struct Line {
    directive: Vec<Value>,
    values: Map<String, Value>,
}

impl Line {
    fn metric(&mut self, name: &str, unit: &str, value: Value) {
        self.directive.push(json!({"Name": name, "Unit": unit}));
        self.values.insert(name.to_owned(), value);
    }

    fn finish(mut self, timestamp: i64, dimensions: Value) -> Value {
        let directive =
            json!([{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": self.directive}]);
        self.values
            .insert("_aws".to_owned(), json!({"Timestamp": timestamp, "CloudWatchMetrics": directive}));
        Value::Object(self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CloudWatch drops a line in silence whose directive names what the line does not hold.
    #[test]
    fn every_metric_and_dimension_named_is_there() {
        let tally = Tally {
            activities: 2,
            unreadable: 1,
            unavailable: 3,
            by_detection: BTreeMap::from([("machine-image-not-approved", 1), ("ecr-scan-high", 2)]),
            latencies: vec![5; 200],
            sweep: Some(SweepTally { compared: 9, ..SweepTally::default() }),
            self_check_failures: Some(0),
            ..Tally::default()
        };
        let lines = tally.lines(1_700_000_000_000);
        assert_eq!(lines.len(), 3);
        for line in &lines {
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(directive["Namespace"], "Imagewarden");
            for metric in directive["Metrics"].as_array().unwrap() {
                let value = &line[metric["Name"].as_str().unwrap()];
                assert!(value.is_number() || value.as_array().is_some_and(|values| values.len() <= 100));
            }
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string());
            }
        }
        assert_eq!(lines[0]["Events"], 3);
        assert_eq!((&lines[0]["MissedEvents"], &lines[0]["SelfCheckFailures"]), (&json!(0), &json!(0)));
        assert_eq!(lines[1]["Detection"], "ecr-scan-high");
        assert_eq!(lines[1]["Alerts"], 2);
    }
}
