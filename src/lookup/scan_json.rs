//! Scan findings as ECR and Inspector write them in JSON.
//!
//! The AWS CLI, CloudTrail's `responseElements` and Inspector's events share these shapes (lower camel
//! case); only the envelope differs. Missing or odd fields are `None`, never an error.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::activity::ScanFinding;

/// The findings of one `imageScanFindings` object: basic ones, then enhanced ones.
///
/// An entry with neither a name nor a severity says nothing and is left out; how many were is the
/// second value.
pub fn findings(scan: &Value) -> (Vec<ScanFinding>, usize) {
    let entries = |key: &str| scan.get(key).and_then(Value::as_array).into_iter().flatten();
    let all: Vec<Option<ScanFinding>> = entries("findings")
        .map(basic_finding)
        .chain(entries("enhancedFindings").map(enhanced_finding))
        .collect();
    let count = all.len();
    let read: Vec<ScanFinding> = all.into_iter().flatten().collect();
    let unread = count - read.len();
    (read, unread)
}

/// `findingSeverityCounts`: upper case, without `TOTAL`, which Inspector adds and would count twice.
pub fn severity_counts(scan: &Value) -> BTreeMap<String, u64> {
    let counts = scan.get("findingSeverityCounts").and_then(Value::as_object);
    counts
        .into_iter()
        .flatten()
        .filter_map(|(severity, count)| Some((severity.to_ascii_uppercase(), count.as_u64()?)))
        .filter(|(severity, _)| severity != "TOTAL")
        .collect()
}

/// One entry of `findings`: `name`, `severity`, `uri`, and the package among the `attributes`.
pub fn basic_finding(entry: &Value) -> Option<ScanFinding> {
    let attribute = |key: &str| {
        let attributes = entry.get("attributes")?.as_array()?;
        let attribute = attributes.iter().find(|attribute| text(attribute, "key").as_deref() == Some(key))?;
        text(attribute, "value")
    };
    said(ScanFinding {
        name: text(entry, "name").unwrap_or_default(),
        severity: severity(entry),
        package: attribute("package_name"),
        version: attribute("package_version"),
        fixed_in: None,
        uri: text(entry, "uri"),
        exploit_available: None,
        status: None,
    })
}

/// One entry of `enhancedFindings`, or the `detail` of an `Inspector2 Finding` event. Of several
/// packages the first with a fix is named, since that is the one to act on.
pub fn enhanced_finding(entry: &Value) -> Option<ScanFinding> {
    let details = entry.get("packageVulnerabilityDetails").unwrap_or(&Value::Null);
    let packages = details.get("vulnerablePackages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let fixed = |package: &Value| {
        text(package, "fixedInVersion").filter(|version| !version.eq_ignore_ascii_case("NotAvailable"))
    };
    let package = packages.iter().find(|package| fixed(package).is_some()).or(packages.first());
    said(ScanFinding {
        name: text(details, "vulnerabilityId").or_else(|| text(entry, "title")).unwrap_or_default(),
        severity: severity(entry),
        package: package.and_then(|package| text(package, "name")),
        version: package.and_then(|package| text(package, "version")),
        fixed_in: package.and_then(fixed),
        uri: text(details, "sourceUrl"),
        exploit_available: match text(entry, "exploitAvailable").as_deref() {
            Some("YES") => Some(true),
            Some("NO") => Some(false),
            _ => None,
        },
        status: text(entry, "status"),
    })
}

fn said(finding: ScanFinding) -> Option<ScanFinding> {
    (!finding.name.is_empty() || !finding.severity.is_empty()).then_some(finding)
}

fn severity(entry: &Value) -> String {
    text(entry, "severity").unwrap_or_default().to_ascii_uppercase()
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_basic_finding_names_its_package() {
        let finding = basic_finding(&json!({
            "name": "CVE-2026-0001",
            "severity": "high",
            "uri": "https://example.com/CVE-2026-0001",
            "attributes": [
                {"key": "package_version", "value": "1.2.3"},
                {"key": "package_name", "value": "libfoo"},
                {"key": "CVSS3_SCORE"}
            ]
        }))
        .unwrap();
        assert_eq!(finding.name, "CVE-2026-0001");
        assert_eq!(finding.severity, "HIGH");
        assert_eq!((finding.package.as_deref(), finding.version.as_deref()), (Some("libfoo"), Some("1.2.3")));
        assert_eq!(finding.uri.as_deref(), Some("https://example.com/CVE-2026-0001"));
    }

    #[test]
    fn an_enhanced_finding_names_the_package_that_can_be_fixed() {
        let finding = enhanced_finding(&json!({
            "title": "CVE-2026-0002 - libbar",
            "severity": "CRITICAL",
            "status": "ACTIVE",
            "exploitAvailable": "YES",
            "packageVulnerabilityDetails": {
                "vulnerabilityId": "CVE-2026-0002",
                "sourceUrl": "https://example.com/CVE-2026-0002",
                "vulnerablePackages": [
                    {"name": "libbar-dev", "version": "2.0", "fixedInVersion": "NotAvailable"},
                    {"name": "libbar", "version": "2.0", "fixedInVersion": "2.1"}
                ]
            }
        }))
        .unwrap();
        assert_eq!(
            finding,
            ScanFinding {
                name: "CVE-2026-0002".to_owned(),
                severity: "CRITICAL".to_owned(),
                package: Some("libbar".to_owned()),
                version: Some("2.0".to_owned()),
                fixed_in: Some("2.1".to_owned()),
                uri: Some("https://example.com/CVE-2026-0002".to_owned()),
                exploit_available: Some(true),
                status: Some("ACTIVE".to_owned()),
            }
        );
    }

    /// Code and network findings have no package, and are findings all the same.
    #[test]
    fn a_finding_without_a_package_keeps_its_title() {
        let finding = enhanced_finding(&json!({"title": "Hard-coded secret", "severity": "MEDIUM"})).unwrap();
        assert_eq!(finding.name, "Hard-coded secret");
        assert_eq!((finding.package, finding.exploit_available), (None, None));
    }

    #[test]
    fn both_lists_are_read_and_empty_entries_counted() {
        let (found, unread) = findings(&json!({
            "findings": [{"name": "CVE-2026-0001", "severity": "LOW"}, {}, 7],
            "enhancedFindings": [{"severity": "UNTRIAGED"}, {"packageVulnerabilityDetails": []}]
        }));
        assert_eq!(
            found.iter().map(|finding| finding.severity.as_str()).collect::<Vec<_>>(),
            ["LOW", "UNTRIAGED"]
        );
        assert_eq!(unread, 3);
        assert_eq!(findings(&Value::Null), (vec![], 0));
    }

    #[test]
    fn the_total_is_no_severity() {
        let counts = severity_counts(&json!({
            "findingSeverityCounts": {"HIGH": 2, "total": 5, "TOTAL": 5, "Medium": 3, "LOW": -1}
        }));
        assert_eq!(counts, BTreeMap::from([("HIGH".to_owned(), 2), ("MEDIUM".to_owned(), 3)]));
    }
}
