//! OCSF Detection Finding (class 2004), schema version 1.7.0, profile `cloud`:
//! <https://schema.ocsf.io/1.7.0/classes/detection_finding?profiles=cloud>.

mod objects;

pub use objects::resources;

use serde_json::{Map, Value, json};

use super::evidence::{self, Bounds, bounded_map};
use super::safe::{cut, line, shown, verbatim};
use super::{Alert, Finding, console, gather, words};
use crate::activity::{Action, Cloud};

/// The version of the schema.
pub const VERSION: &str = "1.7.0";

/// How much of an alert goes into its finding.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub values: Bounds,
    /// Evidences; every match beyond is still among the analytics.
    pub evidences: usize,
    pub resources: usize,
    pub blind_spots: usize,
    pub steps: usize,
}

impl Limits {
    /// Far above what a detection puts in; megabytes from an event stop here.
    pub const FULL: Self = Self {
        values: Bounds { text: 8_192, items: 1_000, depth: 24 },
        evidences: 100,
        resources: 200,
        blind_spots: 100,
        steps: 20,
    };

    /// Each about a quarter of the one before. The last leaves evidence out altogether.
    pub const STEPS: [Self; 6] = [
        Self::FULL,
        Self {
            values: Bounds { text: 2_048, items: 100, depth: 12 },
            evidences: 100,
            resources: 100,
            blind_spots: 50,
            steps: 20,
        },
        Self {
            values: Bounds { text: 512, items: 30, depth: 8 },
            evidences: 50,
            resources: 50,
            blind_spots: 30,
            steps: 10,
        },
        Self {
            values: Bounds { text: 256, items: 12, depth: 4 },
            evidences: 20,
            resources: 20,
            blind_spots: 15,
            steps: 6,
        },
        Self {
            values: Bounds { text: 128, items: 6, depth: 2 },
            evidences: 10,
            resources: 10,
            blind_spots: 8,
            steps: 4,
        },
        Self {
            values: Bounds { text: 100, items: 0, depth: 0 },
            evidences: 4,
            resources: 4,
            blind_spots: 4,
            steps: 2,
        },
    ];
}

/// The finding, one JSON object. Strings are free of control and invisible characters, secrets in
/// evidence are redacted.
pub fn finding(alert: &Alert) -> Value {
    finding_within(alert, Limits::FULL)
}

/// At least how many bytes of evidence a finding within these limits has.
pub(super) fn weight(alert: &Alert, limits: Limits) -> usize {
    let values =
        alert.findings.iter().take(limits.evidences).flat_map(|finding| finding.matched.evidence.values());
    values.map(|value| evidence::weight(value, limits.values)).sum()
}

/// As [`finding`], cut to limits; `metadata.is_truncated` says so where anything was left out.
pub fn finding_within(alert: &Alert, limits: Limits) -> Value {
    let activity = &alert.activity;
    let time = activity.time.timestamp_millis();
    let severity = alert.severity();
    let (activity_id, activity_name) = if alert.update { (2, "Update") } else { (1, "Create") };
    let mut truncated = false;
    let text = |raw: &str| line(raw, limits.values.text.min(2_048));
    let lead = alert.lead();

    let mut info = Map::new();
    info.insert("uid".into(), alert.thread_uid().into());
    info.insert("title".into(), words::title(alert).into());
    info.insert("attacks".into(), json!([attack()]));
    info.insert("created_time".into(), time.into());
    if let Some(lead) = lead {
        info.insert("desc".into(), text(&lead.matched.summary).into());
        info.insert("analytic".into(), analytic(lead));
    }
    let related: Vec<Value> = alert.findings.iter().skip(1).map(analytic).collect();
    if !related.is_empty() {
        info.insert("related_analytics".into(), related.into());
    }

    truncated |= alert.findings.len() > limits.evidences;
    let evidences: Vec<Value> = alert
        .findings
        .iter()
        .take(limits.evidences)
        .map(|finding| seen(alert, finding, limits, &mut truncated))
        .collect();
    truncated |= alert.not_inspected.len() > limits.blind_spots;
    let unmapped = unmapped(alert, limits);
    let resources = resources(alert, limits.resources);
    let remediation = remediation(alert, limits);

    let mut metadata = json!({
        "version": VERSION,
        "product": {
            "name": "Imagewarden",
            "vendor_name": "Imagewarden",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": ["cloud"],
        "uid": alert.message_uid(),
        "correlation_uid": shown(&activity.id, 256),
    });
    if truncated && let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("is_truncated".into(), true.into());
    }
    let risk_score: u64 = alert.findings.iter().map(|finding| u64::from(finding.score)).sum();

    let mut event = json!({
        "activity_id": activity_id,
        "activity_name": activity_name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_400 + activity_id,
        "type_name": format!("Detection Finding: {activity_name}"),
        "severity_id": severity.id(),
        "severity": severity.caption(),
        "time": time,
        "is_alert": !alert.below_floor,
        "risk_score": risk_score,
        "message": lead.map(|lead| text(&lead.matched.summary)).unwrap_or_default(),
        "metadata": metadata,
        "cloud": cloud(alert),
        "finding_info": info,
        "evidences": evidences,
        "observables": objects::observables(alert, &resources),
        "resources": resources,
        "unmapped": unmapped,
    });
    if let Some(event) = event.as_object_mut() {
        if let Some(remediation) = remediation {
            event.insert("remediation".into(), remediation);
        }
        // An update must not reopen what somebody is working on.
        if !alert.update {
            event.insert("status_id".into(), 1.into());
            event.insert("status".into(), "New".into());
        }
    }
    event
}

fn attack() -> Value {
    json!({
        "version": "18.0",
        "tactic": {"uid": "TA0002", "name": "Execution"},
        "technique": {"uid": "T1204", "name": "User Execution"},
        "sub_technique": {
            "uid": "T1204.003",
            "name": "Malicious Image",
            "src_url": "https://attack.mitre.org/techniques/T1204/003/",
        },
    })
}

fn analytic(finding: &Finding) -> Value {
    json!({
        "uid": finding.detection.id,
        "name": finding.detection.title,
        "desc": finding.detection.source,
        "type_id": 1,
        "type": "Rule",
    })
}

fn seen(alert: &Alert, finding: &Finding, limits: Limits, truncated: &mut bool) -> Value {
    let data = if limits.values.items == 0 && !finding.matched.evidence.is_empty() {
        *truncated = true;
        json!({"omitted": "left out so that the message fits; the source event has it"})
    } else {
        Value::Object(bounded_map(&finding.matched.evidence, limits.values, truncated))
    };
    let mut evidence = objects::caller(&alert.activity, limits.values.text);
    evidence.insert("name".into(), finding.detection.id.into());
    evidence.insert("data".into(), data);
    Value::Object(evidence)
}

fn cloud(alert: &Alert) -> Value {
    let activity = &alert.activity;
    let (provider, kind) = match activity.cloud {
        Cloud::Aws => ("AWS", (10, "AWS Account")),
        Cloud::Azure => ("Azure", (13, "Azure Subscription")),
        Cloud::Gcp => ("GCP", (11, "GCP Project")),
    };
    let mut cloud = json!({"provider": provider});
    if let Some(cloud) = cloud.as_object_mut() {
        if !activity.account.is_empty() {
            let uid = shown(&activity.account, 128);
            cloud.insert("account".into(), json!({"uid": uid, "type_id": kind.0, "type": kind.1}));
        }
        if !activity.region.is_empty() {
            cloud.insert("region".into(), shown(&activity.region, 64).into());
            if activity.cloud == Cloud::Aws {
                cloud.insert("cloud_partition".into(), console::partition(&activity.region).into());
            }
        }
    }
    cloud
}

fn unmapped(alert: &Alert, limits: Limits) -> Value {
    let mut unmapped = Map::new();
    let not_inspected: Vec<Value> = alert
        .not_inspected
        .iter()
        .take(limits.blind_spots)
        .map(|missing| {
            json!({
                "detection": missing.detection,
                "code": shown(&missing.reason.code, 128),
                "reason": shown(&missing.reason.text, limits.values.text.min(1_024)),
            })
        })
        .collect();
    if !not_inspected.is_empty() {
        unmapped.insert("not_inspected".into(), not_inspected.into());
    }
    if alert.below_floor {
        unmapped.insert("below_floor".into(), true.into());
    }
    if let Some(storm) = &alert.storm {
        let subjects: Vec<String> = storm.subjects.iter().map(|subject| shown(subject, 256)).collect();
        unmapped.insert("storm".into(), json!({"count": storm.count, "subjects": subjects}));
    }
    if !alert.news.is_empty() {
        let news: Vec<String> = alert.news.iter().map(|news| shown(news, 256)).collect();
        unmapped.insert("news".into(), news.into());
    }
    if let Some(note) = &alert.policy_note {
        unmapped.insert("policy".into(), shown(note, 1_024).into());
    }
    if alert.may_repeat {
        unmapped.insert("may_repeat".into(), true.into());
    }
    if alert.activity.time_is_arrival {
        unmapped.insert("time_is_arrival".into(), true.into());
    }
    // `resources` names at most some of them, and CloudTrail may have left the list out.
    if let Action::ImageLaunched(launch) = &alert.activity.action
        && launch.count > 0
    {
        unmapped.insert("instance_count".into(), launch.count.into());
    }
    unmapped.insert("subject".into(), shown(&alert.subject.key(), 1_024).into());
    Value::Object(unmapped)
}

/// What to do, one step a line with its command, or the lines for the policy, under it.
fn remediation(alert: &Alert, limits: Limits) -> Option<Value> {
    let steps = gather::steps(alert);
    let lines: Vec<String> = steps
        .iter()
        .take(limits.steps)
        .enumerate()
        .flat_map(|(number, step)| {
            let text =
                format!("{}. {}", number.saturating_add(1), shown(&step.text, limits.values.text.min(1_024)));
            let paste = step.command.as_ref().or(step.policy.as_ref());
            let paste = paste.filter(|paste| paste.len() <= 2_000);
            std::iter::once(text).chain(paste.map(|paste| format!("   {}", verbatim(paste))))
        })
        .collect();
    let references: Vec<String> =
        console::links(alert).into_iter().map(|(_, link)| cut(&link, 2_048)).collect();
    (!lines.is_empty()).then(|| {
        if references.is_empty() {
            json!({"desc": lines.join("\n")})
        } else {
            json!({"desc": lines.join("\n"), "references": references})
        }
    })
}

#[cfg(test)]
mod tests;
