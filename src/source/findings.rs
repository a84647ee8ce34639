//! Scan results in the words of ECR and Inspector, for every event that carries some.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{count, get, list_of, str, text};
use crate::activity::{ScanFinding, ScanStatus};

/// Findings by severity. `TOTAL`, which Inspector adds, would count everything twice.
pub(super) fn counts(value: &Value) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (severity, number) in value.as_object().into_iter().flatten() {
        let severity = severity.to_ascii_uppercase();
        let number = count(number).unwrap_or(0);
        if severity != "TOTAL" && number > 0 {
            counts.insert(severity, number);
        }
    }
    counts
}

/// The counts of findings listed one by one.
pub(super) fn tally(findings: &[ScanFinding]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        let number: &mut u64 = counts.entry(finding.severity.clone()).or_default();
        *number = number.saturating_add(1);
    }
    counts
}

/// What a scan's status says about its results; `told` where the event carries counts or findings.
pub(super) fn status(status: Option<&str>, told: bool, counts: &BTreeMap<String, u64>) -> ScanStatus {
    let word = status.map(str::to_ascii_uppercase).unwrap_or_default();
    if word.contains("FAIL") {
        ScanStatus::Failed(word)
    } else if !counts.is_empty() {
        ScanStatus::Complete
    } else if !told {
        // No counts at all is not the same as counts of nothing.
        ScanStatus::Failed("NO_RESULTS_IN_EVENT".to_owned())
    } else if word.is_empty() || word.contains("COMPLETE") || word == "ACTIVE" {
        ScanStatus::Complete
    } else {
        ScanStatus::Failed(word)
    }
}

/// The findings of `imageScanFindings`, basic and enhanced.
pub(super) fn list(results: &Value) -> Vec<ScanFinding> {
    let basic = list_of(results, "findings").into_iter().map(basic);
    basic.chain(list_of(results, "enhancedFindings").into_iter().map(enhanced)).collect()
}

fn severity(value: &Value) -> String {
    str(value, "severity").map_or_else(|| "UNDEFINED".to_owned(), str::to_ascii_uppercase)
}

fn basic(value: &Value) -> ScanFinding {
    let attribute = |key: &str| {
        list_of(value, "attributes")
            .into_iter()
            .find(|attribute| str(attribute, "key") == Some(key))
            .and_then(|attribute| text(attribute, "value"))
    };
    ScanFinding {
        name: text(value, "name").unwrap_or_default(),
        severity: severity(value),
        package: attribute("package_name"),
        version: attribute("package_version"),
        uri: text(value, "uri"),
        ..ScanFinding::default()
    }
}

/// One finding as Inspector writes it, in ECR's answers and in its own events.
pub(super) fn enhanced(value: &Value) -> ScanFinding {
    let details = get(value, "packageVulnerabilityDetails");
    let package = details.and_then(|it| list_of(it, "vulnerablePackages").into_iter().next());
    let of_package = |key: &str| text(package?, key);
    let name = details.and_then(|it| text(it, "vulnerabilityId"));
    ScanFinding {
        name: name.or_else(|| text(value, "title")).unwrap_or_default(),
        severity: severity(value),
        package: of_package("name"),
        version: of_package("version"),
        fixed_in: of_package("fixedInVersion"),
        uri: details.and_then(|it| text(it, "sourceUrl")),
        exploit_available: get(value, "exploitAvailable").and_then(yes),
        status: str(value, "status").map(str::to_ascii_uppercase),
    }
}

fn yes(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("yes") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn totals_and_zeros_are_no_findings() {
        let counted = counts(&json!({"CRITICAL": 2, "low": "3", "HIGH": 0, "TOTAL": 5, "MEDIUM": -1}));
        assert_eq!(counted, BTreeMap::from([("CRITICAL".to_owned(), 2), ("LOW".to_owned(), 3)]));
    }

    #[test]
    fn a_scan_without_counts_is_not_a_clean_scan() {
        let none = BTreeMap::new();
        let some = BTreeMap::from([("HIGH".to_owned(), 1)]);
        assert_eq!(status(Some("COMPLETE"), true, &none), ScanStatus::Complete);
        assert_eq!(
            status(Some("COMPLETE"), false, &none),
            ScanStatus::Failed("NO_RESULTS_IN_EVENT".to_owned())
        );
        assert_eq!(status(None, false, &none), ScanStatus::Failed("NO_RESULTS_IN_EVENT".to_owned()));
        assert_eq!(status(Some("FAILED"), true, &some), ScanStatus::Failed("FAILED".to_owned()));
        assert_eq!(status(Some("INITIAL_SCAN_COMPLETE"), true, &some), ScanStatus::Complete);
        assert_eq!(status(Some("SCAN_ELIGIBILITY_EXPIRED"), true, &some), ScanStatus::Complete);
        assert_eq!(status(Some("IN_PROGRESS"), true, &none), ScanStatus::Failed("IN_PROGRESS".to_owned()));
    }

    #[test]
    fn enhanced_findings_are_read_with_their_package() {
        let results = json!({"enhancedFindings": [{
            "severity": "HIGH", "status": "ACTIVE", "title": "CVE-2026-1 - openssl", "exploitAvailable": "YES",
            "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2026-1",
                "vulnerablePackages": [{"name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2"}]},
        }]});
        let found = list(&results);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "CVE-2026-1");
        assert_eq!(found[0].fixed_in.as_deref(), Some("3.0.2"));
        assert_eq!(found[0].exploit_available, Some(true));
    }
}
