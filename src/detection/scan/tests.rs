use super::*;
use crate::detection::testing::*;
use crate::detection::{ecr_scan_critical, ecr_scan_high, ecr_scan_low, ecr_scan_medium};
use crate::lookup::{Fact, FactKey, FactValue, ScanReport};
use crate::policy::Policy;

static ALL: [&Detection; 4] = [
    &ecr_scan_critical::DETECTION,
    &ecr_scan_high::DETECTION,
    &ecr_scan_medium::DETECTION,
    &ecr_scan_low::DETECTION,
];

fn judged(given: &Given, detection: &Detection, scan: Scan) -> Verdict {
    given.judge(detection, &scanned(scan), &Policy::default())
}

fn finding(name: &str, severity: &str) -> ScanFinding {
    ScanFinding { name: name.to_owned(), severity: severity.to_owned(), ..ScanFinding::default() }
}

/// No published rule matches CRITICAL.
#[test]
fn critical_findings_fire_and_weigh_most() {
    let found = matched(judged(&no_findings(), ALL[0], counts(&[("CRITICAL", 10), ("MEDIUM", 9)])));
    assert!(found.summary.contains("10 critical findings"), "{}", found.summary);
    let scores: Vec<u32> = ALL.iter().map(|detection| detection.score).collect();
    assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
}

/// ECR says `UNDEFINED` where the published rule looks for `UNKNOWN`.
#[test]
fn undefined_counts_as_low() {
    let found = matched(judged(
        &no_findings(),
        ALL[3],
        counts(&[("UNDEFINED", 3), ("INFORMATIONAL", 2), ("LOW", 1)]),
    ));
    assert_eq!(found.evidence["count"], 6);
}

/// The total of enhanced scans must not be taken for findings of its own.
#[test]
fn total_is_no_severity() {
    let scan = Scan { source: ScanSource::Enhanced, ..counts(&[("CRITICAL", 7), ("TOTAL", 158)]) };
    assert_eq!(matched(judged(&no_findings(), ALL[0], scan.clone())).evidence["count"], 7);
    passed(judged(&no_findings(), ALL[3], scan));
}

#[test]
fn one_digest_is_one_subject_whatever_the_class() {
    let scan = counts(&[("CRITICAL", 1), ("HIGH", 1), ("MEDIUM", 1), ("LOW", 1)]);
    let subject = Subject::Scan { repository: "team/app".to_owned(), digest: digest() };
    for detection in ALL {
        assert_eq!(matched(judged(&no_findings(), detection, scan.clone())).subject, subject);
    }
}

/// The published rules blame whoever reads the results.
#[test]
fn the_reader_is_not_the_actor() {
    let scan = Scan {
        source: ScanSource::Read,
        read_by: Some("arn:aws:iam::111122223333:user/auditor".to_owned()),
        findings: vec![finding("CVE-2026-1", "HIGH")],
        ..counts(&[("HIGH", 1)])
    };
    let found = matched(judged(&Given::none(), ALL[1], scan));
    assert!(!found.summary.contains("auditor"), "{}", found.summary);
    assert!(!found.subject.key().contains("auditor"));
    assert!(found.next_steps.iter().all(|step| !step.text.contains("Ask whoever")));
}

/// The published rules read `findings` only; enhanced scans answer elsewhere, and with a status.
#[test]
fn enhanced_findings_count_and_closed_ones_do_not() {
    let closed = ScanFinding { status: Some("CLOSED".to_owned()), ..finding("CVE-2026-2", "HIGH") };
    let suppressed = ScanFinding { status: Some("SUPPRESSED".to_owned()), ..finding("CVE-2026-3", "HIGH") };
    let active = ScanFinding { status: Some("ACTIVE".to_owned()), ..finding("CVE-2026-4", "HIGH") };
    let scan = |findings| Scan { findings, ..counts(&[]) };
    passed(judged(&Given::none(), ALL[1], scan(vec![closed.clone(), suppressed.clone()])));
    let found = matched(judged(&Given::none(), ALL[1], scan(vec![closed, active, suppressed])));
    assert_eq!(found.evidence["count"], 1);
    assert!(found.summary.contains("CVE-2026-4"), "{}", found.summary);
}

#[test]
fn a_failed_scan_and_a_closed_finding_say_nothing() {
    for status in [ScanStatus::Failed("FAILED".to_owned()), ScanStatus::Closed("SUPPRESSED".to_owned())] {
        for detection in ALL {
            let scan = Scan { status: status.clone(), ..counts(&[("CRITICAL", 1), ("HIGH", 1)]) };
            not_applicable(judged(&Given::none(), detection, scan));
        }
    }
    not_applicable(Given::none().judge(ALL[0], &pushed(push()), &Policy::default()));
}

#[test]
fn top_findings_are_looked_up_by_digest_and_ordered() {
    let scan = counts(&[("HIGH", 3)]);
    let keys = needed(judged(&Given::none(), ALL[1], scan.clone()));
    let key = FactKey::ScanFindings {
        scope: scope(REGION),
        registry: ACCOUNT.to_owned(),
        repository: "team/app".to_owned(),
        digest: digest(),
    };
    assert_eq!(keys, std::slice::from_ref(&key));
    let exploited = ScanFinding {
        exploit_available: Some(true),
        package: Some("openssl".to_owned()),
        version: Some("3.0.1".to_owned()),
        fixed_in: Some("3.0.2".to_owned()),
        ..finding("CVE-2026-9", "HIGH")
    };
    let mut findings: Vec<ScanFinding> =
        (10..40).map(|number| finding(&format!("CVE-2026-{number}"), "HIGH")).collect();
    findings.push(finding("CVE-2026-50", "CRITICAL"));
    findings.push(exploited);
    let report = ScanReport { findings, truncated: true, ..ScanReport::default() };
    let given = Given::none().fact(key, Fact::Known(FactValue::Scan(report)));
    let found = matched(judged(&given, ALL[1], scan));
    let top = found.evidence["top_findings"].as_array().cloned().unwrap_or_default();
    assert_eq!(top.len(), 10);
    assert_eq!(top[0]["name"], "CVE-2026-9");
    assert!(top.iter().all(|finding| finding["severity"] == "HIGH"));
    assert!(found.summary.contains("CVE-2026-9 in openssl 3.0.1, fixed in 3.0.2"), "{}", found.summary);
    assert_eq!(found.not_inspected[0].code, "scan-findings-truncated");
}

#[test]
fn findings_that_cannot_be_looked_up_still_fire_and_are_said() {
    for (fact, code) in [(denied(), "scan-findings-denied"), (Fact::Absent, "scan-findings-not-found")] {
        let found = matched(judged(&no_findings_fact(fact), ALL[0], counts(&[("CRITICAL", 1)])));
        assert_eq!(found.not_inspected[0].code, code);
        assert!(!found.evidence.contains_key("top_findings"));
    }
}

#[test]
fn an_image_named_only_by_its_tag_still_fires() {
    let scan = Scan { digest: String::new(), tags: vec!["latest".to_owned()], ..counts(&[("CRITICAL", 1)]) };
    let found = matched(judged(&Given::none(), ALL[0], scan));
    assert_eq!(
        found.subject,
        Subject::Scan { repository: "team/app".to_owned(), digest: "latest".to_owned() }
    );
    assert_eq!(found.not_inspected[0].code, "scan-digest-unknown");
}

#[test]
fn counts_beyond_reason_do_no_harm() {
    let found =
        matched(judged(&no_findings(), ALL[3], counts(&[("LOW", u64::MAX), ("UNDEFINED", u64::MAX)])));
    assert_eq!(found.evidence["count"], u64::MAX);
}

#[test]
fn a_strange_repository_costs_the_commands_only() {
    let scan =
        Scan { repository: "a;reboot".to_owned(), findings: vec![finding("CVE-1", "HIGH")], ..counts(&[]) };
    let found = matched(judged(&Given::none(), ALL[1], scan));
    assert!(found.next_steps.iter().all(|step| step.command.is_none()));
}
