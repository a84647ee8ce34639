//! One message about a whole hunt: what was read, what it raised, and what could not be read. For machines an
//! OCSF Scan Activity (class 6007): <https://schema.ocsf.io/1.7.0/classes/scan_activity?profiles=cloud>.

mod counts;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

pub use counts::{Counts, FailedBatches};

use super::email::{Page, WIDTH};
use super::message::{Attribute, HttpsBody, Message, attributes};
use super::safe::{ascii, chat, shown, told_openly, verbatim, wrap_command};
use super::words::{count, thousands};
use super::{console, ocsf};
use crate::severity::Severity;

/// Reasons that are told; of the others the number.
const REASONS: usize = 10;
/// Detections that chat tells of.
const CHAT: usize = 12;

/// What a hunt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunted {
    pub run: String,
    pub account: String,
    pub region: String,
    /// `s3://BUCKET/PREFIX`, what was hunted through.
    pub source: String,
    /// `s3://BUCKET/hunts/RUN`, where the alerts are.
    pub results: String,
    pub time: DateTime<Utc>,
    pub batches: u64,
    pub counts: Counts,
    pub failed: FailedBatches,
}

impl Hunted {
    /// That of the worst alert; at least medium where something was not read.
    pub fn severity(&self) -> Severity {
        let worst = self.counts.by_severity.keys().max().copied().unwrap_or(Severity::Informational);
        if self.is_whole() { worst } else { worst.max(Severity::Medium) }
    }

    /// Whether everything was read.
    fn is_whole(&self) -> bool {
        self.failed.batches == 0 && self.counts.unreadable == 0 && self.counts.policy_notes.is_empty()
    }

    /// The message for the topic, as that of an alert.
    pub fn message(&self, https: HttpsBody) -> Message {
        let (scan, chat) = (self.scan_activity().to_string(), self.notification().to_string());
        let mut body = Map::new();
        body.insert("email".into(), self.email().into());
        body.insert("https".into(), if https == HttpsBody::Chat { chat } else { scan.clone() }.into());
        body.insert("default".into(), scan.into());
        body.insert("sms".into(), ascii(&self.headline()).into());
        let body = Value::Object(body).to_string();
        Message { subject: self.subject(), body, structured: true, attributes: self.attributes() }
    }

    /// The message for a topic that only a chat service reads.
    pub fn chat_message(&self) -> Message {
        Message {
            subject: self.subject(),
            body: self.notification().to_string(),
            structured: false,
            attributes: self.attributes(),
        }
    }

    fn subject(&self) -> String {
        ascii(&format!("Imagewarden: hunt {}", shown(&self.run, 80)))
    }

    fn attributes(&self) -> Vec<Attribute> {
        let detections =
            self.counts.by_detection.keys().map(String::as_str).chain(["hunt-summary"]).collect();
        attributes(self.severity(), detections, &self.account, &self.region)
    }

    fn headline(&self) -> String {
        let Counts { alerts, files, .. } = self.counts;
        let head = format!(
            "Hunt: {} in {}",
            count(alerts, "alert", "alerts"),
            count(files, "log file", "log files")
        );
        match self.failed.batches {
            0 => head,
            failed => format!("{head}, {} not read", count(failed, "batch", "batches")),
        }
    }

    /// What was read, in a sentence or two.
    fn summary(&self) -> String {
        let counts = &self.counts;
        if counts.files == 0 && self.failed.batches == 0 {
            return "There was no log to read under this prefix.".to_owned();
        }
        let mut text = format!(
            "{} and {} were read, {} judged: {}.",
            count(counts.files, "log file", "log files"),
            count(counts.records, "record", "records"),
            count(counts.activities, "activity", "activities"),
            count(counts.alerts, "alert", "alerts"),
        );
        for (number, one, many) in [
            (
                counts.below_floor,
                "of them is below the notification floor",
                "of them are below the notification floor",
            ),
            (
                counts.repetitions,
                "repetition is counted in its thread",
                "repetitions are counted in their threads",
            ),
            (counts.suppressed, "match was suppressed", "matches were suppressed"),
            (counts.unjudged, "launch could not be judged", "launches could not be judged"),
            (counts.unavailable, "look-up could not be made", "look-ups could not be made"),
        ] {
            if number > 0 {
                text.push_str(&format!(" {}.", count(number, one, many)));
            }
        }
        text
    }

    /// What could not be read, and why.
    fn not_read(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.counts.policy_notes.iter().cloned().collect();
        let listed = |reasons: &BTreeMap<String, u64>, lines: &mut Vec<String>, what: (&str, &str)| {
            let mut reasons: Vec<_> = reasons.iter().collect();
            reasons.sort_by_key(|(reason, number)| (std::cmp::Reverse(**number), *reason));
            let rest: u64 = reasons.iter().skip(REASONS).map(|(_, number)| **number).sum();
            lines.extend(reasons.iter().take(REASONS).map(|(reason, number)| {
                format!("{}: {}", count(**number, what.0, what.1), shown(reason, 300))
            }));
            if rest > 0 {
                lines.push(format!("{} for other reasons", thousands(rest)));
            }
        };
        listed(&self.counts.by_reason, &mut lines, ("object or record", "objects or records"));
        if self.failed.batches > 0 {
            lines.push(format!(
                "{} of {} failed. They are tried again in smaller ones, and another message follows when all are \
                 read. Should the execution fail, mend the cause and redrive it.",
                count(self.failed.batches, "batch", "batches"),
                count(self.failed.objects, "object", "objects"),
            ));
            listed(&self.failed.by_reason, &mut lines, ("batch", "batches"));
        }
        lines
    }

    fn commands(&self) -> [String; 2] {
        let results = &self.results;
        [
            format!("aws s3 cp --recursive --quiet {results}/alerts/ alerts/"),
            format!("aws s3 cp {results}/summary.json -"),
        ]
    }

    fn email(&self) -> String {
        let mut page = Page::default();
        page.words(0, &self.headline().to_uppercase());
        page.blank();
        page.words(0, &self.summary());
        page.blank();
        page.row("Run", 9, &told_openly(&self.run, 100));
        page.row("Through", 9, &shown(&self.source, 1_200));
        page.row("Alerts", 9, &shown(&format!("{}/alerts/", self.results), 300));
        let table = |page: &mut Page, heading: &str, rows: Vec<(String, u64)>| {
            if rows.is_empty() {
                return;
            }
            page.section(heading);
            let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
            for (name, number) in rows {
                page.indented_row(2, &name, width.saturating_add(2), &thousands(number));
            }
        };
        table(&mut page, "ALERTS BY SEVERITY", self.severities());
        table(&mut page, "ALERTS BY DETECTION", self.detections());
        let not_read = self.not_read();
        if !not_read.is_empty() {
            page.section("NOT READ (do not take it for clean)");
            for line in not_read {
                page.item("-", &told_openly(&line, 600));
            }
        }
        page.section("DO NEXT");
        page.item("1.", "Fetch the alerts, a line of OCSF each, and what they come to.");
        page.blank();
        for command in self.commands() {
            for line in wrap_command(&verbatim(&command), WIDTH.saturating_sub(6)) {
                page.raw(&format!("      {line}"));
            }
        }
        page.item(
            "2.",
            "Chains and first sightings are seen within a batch only. Hunt through what looks bad again with \
             `imagewarden hunt s3://...`, which sees them across all files.",
        );
        page.blank();
        page.raw("--");
        page.raw(concat!("Imagewarden ", env!("CARGO_PKG_VERSION"), ", MITRE ATT&CK T1204.003"));
        page.text
    }

    /// Worst first.
    fn severities(&self) -> Vec<(String, u64)> {
        self.counts
            .by_severity
            .iter()
            .rev()
            .map(|(severity, number)| (severity.name().to_owned(), *number))
            .collect()
    }

    /// Most frequent first.
    fn detections(&self) -> Vec<(String, u64)> {
        let mut rows: Vec<(String, u64)> =
            self.counts.by_detection.iter().map(|(id, number)| (id.clone(), *number)).collect();
        rows.sort_by_key(|(id, number)| (std::cmp::Reverse(*number), id.clone()));
        rows
    }

    /// The custom notification of Amazon Q Developer; see `chat.rs` for what it may hold.
    fn notification(&self) -> Value {
        let own = |text: &str, max: usize| chat(&told_openly(text, max));
        let severity = self.severity();
        let mut parts = vec![own(&self.summary(), 800)];
        parts.push(format!(
            "*Through:* {}\n*Alerts:* {}",
            chat(&shown(&self.source, 400)),
            chat(&shown(&format!("{}/alerts/", self.results), 300))
        ));
        let detections = self.detections();
        if !detections.is_empty() {
            let lines: Vec<String> = detections
                .iter()
                .take(CHAT)
                .map(|(id, number)| format!("• {id}: {}", thousands(*number)))
                .collect();
            parts.push(format!("*By detection*\n{}", lines.join("\n")));
        }
        let not_read = self.not_read();
        if !not_read.is_empty() {
            let lines: Vec<String> =
                not_read.iter().take(4).map(|line| format!("• {}", own(line, 250))).collect();
            parts.push(format!("*Not read* (do not take it for clean)\n{}", lines.join("\n")));
        }
        let steps: Vec<String> = self
            .commands()
            .iter()
            .map(|command| format!("`{}`", verbatim(command).replace(['`', '&', '<', '>'], "")))
            .filter(|step| step.chars().count() <= 250)
            .collect();
        json!({
            "version": "1.0",
            "source": "custom",
            "id": self.uid("message"),
            "content": {
                "textType": "client-markdown",
                "title": own(&self.headline(), 160),
                "description": parts.join("\n\n"),
                "nextSteps": steps,
                "keywords": [severity.name(), "T1204.003", "hunt-summary"],
            },
            "metadata": {
                "threadId": self.uid("thread"),
                "summary": own(&self.summary(), 250),
                "eventType": "hunt-summary",
                "relatedResources": [chat(&shown(&self.results, 256))],
                "additionalContext": {
                    "severity": severity.name(),
                    "run": own(&self.run, 100),
                    "alerts": self.counts.alerts.to_string(),
                },
            },
        })
    }

    /// A hunt has one thread; what is told twice has the same name.
    fn uid(&self, what: &str) -> String {
        let counts = serde_json::to_string(&(&self.counts, &self.failed)).unwrap_or_default();
        let content = if what == "message" { counts.as_str() } else { "" };
        let mut uid = crate::hash::hex(&["hunt", what, &self.account, &self.region, &self.results, content]);
        uid.truncate(32);
        uid
    }

    /// For machines.
    pub fn scan_activity(&self) -> Value {
        let severity = self.severity();
        let (activity_id, activity) = if self.failed.batches == 0 { (2, "Completed") } else { (6, "Error") };
        let mut cloud = json!({"provider": "AWS"});
        if let Some(cloud) = cloud.as_object_mut() {
            if !self.account.is_empty() {
                let account = json!({"uid": self.account, "type_id": 10, "type": "AWS Account"});
                cloud.insert("account".into(), account);
            }
            if !self.region.is_empty() {
                cloud.insert("region".into(), self.region.as_str().into());
                cloud.insert("cloud_partition".into(), console::partition(&self.region).into());
            }
        }
        json!({
            "activity_id": activity_id,
            "activity_name": activity,
            "category_uid": 6,
            "category_name": "Application Activity",
            "class_uid": 6007,
            "class_name": "Scan Activity",
            "type_uid": 600_700 + activity_id,
            "type_name": format!("Scan Activity: {activity}"),
            "severity_id": severity.id(),
            "severity": severity.caption(),
            "time": self.time.timestamp_millis(),
            "message": self.summary(),
            "metadata": {
                "version": ocsf::VERSION,
                "product": {
                    "name": "Imagewarden",
                    "vendor_name": "Imagewarden",
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "profiles": ["cloud"],
                "uid": self.uid("message"),
            },
            "cloud": cloud,
            "scan": {"uid": shown(&self.run, 128), "name": "hunt", "type_id": 1, "type": "Manual"},
            "num_files": self.counts.files,
            "num_detections": self.counts.alerts,
            "num_skipped_items": self.counts.skipped,
            "total": self.counts.objects,
            "unmapped": {
                "source": shown(&self.source, 1_200),
                "results": shown(&self.results, 300),
                "batches": self.batches,
                "counts": self.counts,
                "failed": self.failed,
            },
        })
    }
}

#[cfg(test)]
mod tests;
