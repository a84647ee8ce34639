//! What the four detections about scan results share: one class of severity each, one alert a digest.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::catalog;
use super::steps::{self, counted};
use super::{Context, Detection, Match, NextStep, Reason, Subject, Verdict, doubt, evidence, shape};
use crate::activity::{Action, Activity, Scan, ScanFinding, ScanSource, ScanStatus};
use crate::lookup::Answer;

/// Findings shown.
const SHOWN: usize = 10;

/// A class of severities that one detection judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Critical,
    High,
    Medium,
    /// All others: low, informational, and what nobody has judged yet.
    Low,
}

impl Class {
    /// The class of a severity as the scanners spell it. ECR says `UNDEFINED` for what it has no
    /// judgement of, Inspector `UNTRIAGED`. `TOTAL` is no severity.
    pub fn of(severity: &str) -> Option<Self> {
        match severity.to_ascii_uppercase().as_str() {
            "CRITICAL" => Some(Class::Critical),
            "HIGH" => Some(Class::High),
            "MEDIUM" => Some(Class::Medium),
            "TOTAL" => None,
            _ => Some(Class::Low),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Class::Critical => "critical",
            Class::High => "high",
            Class::Medium => "medium",
            Class::Low => "low, informational or unjudged",
        }
    }
}

/// Judges scan results by one class.
pub fn judge(activity: &Activity, context: &Context<'_>, detection: &Detection, class: Class) -> Verdict {
    let Action::ImageScanned(scan) = &activity.action else {
        return Verdict::NotApplicable("not a scan result".into());
    };
    match &scan.status {
        ScanStatus::Complete => {}
        ScanStatus::Failed(status) => {
            return Verdict::NotApplicable(
                format!("the scan did not complete ({status}): it says nothing about the image").into(),
            );
        }
        ScanStatus::Closed(status) => {
            return Verdict::NotApplicable(format!("the finding is {}", status.to_lowercase()).into());
        }
    }
    let count = count(scan, class);
    if count == 0 {
        let nothing = scan.counts.is_empty() && scan.findings.is_empty();
        if nothing && (scan.repository.is_empty() || (scan.digest.is_empty() && scan.tags.is_empty())) {
            return Verdict::CannotTell(Reason::new(
                "scan-not-understood",
                "The scan result names neither its image nor any finding.",
            ));
        }
        return Verdict::Pass(format!("no {} findings", class.words()).into());
    }
    let (top, not_inspected) = match top(activity, context, scan, class) {
        Ok(top) => top,
        Err(need) => return need,
    };
    Verdict::matched(found(activity, detection, class, scan, count, &top, not_inspected))
}

/// The service's own count, else the findings that the event carries.
fn count(scan: &Scan, class: Class) -> u64 {
    if scan.counts.is_empty() {
        return u64::try_from(scan.findings.iter().filter(|finding| open(finding, class)).count())
            .unwrap_or(u64::MAX);
    }
    scan.counts
        .iter()
        .filter(|(severity, _)| Class::of(severity) == Some(class))
        .fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// In the class, and neither closed nor suppressed.
fn open(finding: &ScanFinding, class: Class) -> bool {
    let done = finding.status.as_deref().is_some_and(|status| {
        status.eq_ignore_ascii_case("CLOSED") || status.eq_ignore_ascii_case("SUPPRESSED")
    });
    !done && Class::of(&finding.severity) == Some(class)
}

/// The worst findings of the class: the event's own, else looked up by digest (a tag may have moved).
fn top(
    activity: &Activity,
    context: &Context<'_>,
    scan: &Scan,
    class: Class,
) -> Result<(Vec<ScanFinding>, Vec<Reason>), Verdict> {
    let own = worst(&scan.findings, class);
    if !own.is_empty() {
        return Ok((own, Vec::new()));
    }
    let note = |reason| Ok((Vec::new(), vec![reason]));
    if scan.digest.is_empty() || scan.repository.is_empty() {
        return note(Reason::new(
            "scan-digest-unknown",
            "The event does not name the image by digest, so the single findings were not looked up.",
        ));
    }
    let registry = if scan.registry.is_empty() { &activity.account } else { &scan.registry };
    match context.facts.scan_findings(&catalog::scope(activity), registry, &scan.repository, &scan.digest) {
        Answer::Ask(key) => Err(Verdict::Need(vec![key])),
        Answer::Absent => {
            note(Reason::new("scan-findings-not-found", "ECR keeps no findings of this digest."))
        }
        Answer::Unavailable(why) => {
            note(doubt::unavailable("scan-findings", "ecr:DescribeImageScanFindings", why))
        }
        Answer::Known(report) => {
            let truncated = report.truncated.then(|| {
                Reason::new(
                    "scan-findings-truncated",
                    "There are more findings than were looked at; worse ones may be among them.",
                )
            });
            Ok((worst(&report.findings, class), truncated.into_iter().collect()))
        }
    }
}

/// Those that can be exploited and those that can be fixed first.
fn worst(findings: &[ScanFinding], class: Class) -> Vec<ScanFinding> {
    let mut findings: Vec<ScanFinding> =
        findings.iter().filter(|finding| open(finding, class)).cloned().collect();
    let rank = |finding: &ScanFinding| {
        // Within the lowest class: what is judged low is worse than what is merely informational.
        ["LOW", "UNTRIAGED", "UNDEFINED", "UNKNOWN", "INFORMATIONAL"]
            .iter()
            .position(|severity| finding.severity.eq_ignore_ascii_case(severity))
    };
    findings.sort_by_key(|finding| {
        (
            rank(finding),
            finding.exploit_available != Some(true),
            finding.fixed_in.is_none(),
            finding.name.clone(),
        )
    });
    findings.truncate(SHOWN);
    findings
}

fn found(
    activity: &Activity,
    detection: &Detection,
    class: Class,
    scan: &Scan,
    count: u64,
    top: &[ScanFinding],
    not_inspected: Vec<Reason>,
) -> Match {
    let named = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let repository = named(&scan.repository);
    let digest = match (scan.digest.as_str(), scan.tags.first()) {
        ("", Some(tag)) => tag.clone(),
        (digest, _) => named(digest),
    };
    let image = match (scan.tags.first(), scan.digest.as_str()) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, digest) => format!("{repository}@{}", digest.chars().take(19).collect::<String>()),
    };
    let worst = top.first().map(|finding| format!(", {} first", describe(finding))).unwrap_or_default();
    let read =
        if scan.source == ScanSource::Read { " The result is an older scan's, read just now." } else { "" };
    let shown: Vec<Value> = top.iter().map(shown).collect();
    Match {
        subject: Subject::Scan { repository: repository.clone(), digest: digest.clone() },
        severity: None,
        summary: format!(
            "Image {image} has {}{worst}.{read}",
            counted(count, &format!("{} finding", class.words()), &format!("{} findings", class.words())),
        ),
        evidence: evidence([
            ("repository", json!(repository)),
            ("registry", if scan.registry.is_empty() { Value::Null } else { json!(scan.registry) }),
            ("digest", if scan.digest.is_empty() { Value::Null } else { json!(scan.digest) }),
            ("tags", if scan.tags.is_empty() { Value::Null } else { json!(scan.tags) }),
            ("count", json!(count)),
            ("counts", if scan.counts.is_empty() { Value::Null } else { json!(scan.counts) }),
            ("top_findings", if shown.is_empty() { Value::Null } else { json!(shown) }),
            ("scan_source", json!(scan.source)),
            ("read_by", json!(scan.read_by)),
        ]),
        next_steps: next_steps(activity, detection, scan),
        not_inspected,
    }
}

/// `CVE-2026-1234 in openssl 3.0.1, fixed in 3.0.2`
fn describe(finding: &ScanFinding) -> String {
    let mut text = finding.name.clone();
    if let Some(package) = &finding.package {
        text.push_str(&format!(" in {package}"));
        if let Some(version) = &finding.version {
            text.push_str(&format!(" {version}"));
        }
    }
    if let Some(fixed) = &finding.fixed_in {
        text.push_str(&format!(", fixed in {fixed}"));
    }
    text
}

fn shown(finding: &ScanFinding) -> Value {
    Value::Object(evidence([
        ("name", json!(finding.name)),
        ("severity", json!(finding.severity)),
        ("package", json!(finding.package)),
        ("version", json!(finding.version)),
        ("fixed_in", json!(finding.fixed_in)),
        ("exploit_available", json!(finding.exploit_available)),
        ("uri", json!(finding.uri)),
    ]))
}

fn next_steps(activity: &Activity, detection: &Detection, scan: &Scan) -> Vec<NextStep> {
    let repository = shape::repository(&scan.repository);
    let findings = repository.zip(shape::digest(&scan.digest)).and_then(|(repository, digest)| {
        let rest = format!("--repository-name {repository} --image-id imageDigest={digest}");
        steps::aws(activity, "ecr describe-image-scan-findings", &rest)
    });
    let until =
        activity.time.checked_add_signed(TimeDelta::days(30)).map(|time| time.format("%Y-%m-%d").to_string());
    let accept = match (repository, until) {
        (Some(repository), Some(until)) => format!(
            "`suppress: [{{detection: {}, repository: \"{repository}\", until: {until}, reason: \"...\"}}]`",
            detection.id
        ),
        _ => "`suppress`".to_owned(),
    };
    vec![
        NextStep::new("Read the findings.", findings),
        NextStep::new(
            "Rebuild the image on a newer base, with the fixed packages, and roll it out where the digest runs.",
            None,
        ),
        steps::delete_pushed(activity, &scan.repository, Some(&scan.digest), None),
        NextStep::new(
            format!("If the risk is known and accepted, say so for a while in the policy: {accept}."),
            None,
        ),
    ]
}

#[cfg(test)]
mod tests;
