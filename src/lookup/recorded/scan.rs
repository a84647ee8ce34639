//! Scan findings: pages of one digest, in one file or in several, are one report.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::lookup::fact::ScanReport;
use crate::lookup::scan_json;

/// One answer of `DescribeImageScanFindings`.
#[derive(Debug)]
pub(super) struct Page {
    digest: String,
    repository: Option<String>,
    registry: Option<String>,
    report: ScanReport,
    /// It ends with a token: another page follows it.
    continues: bool,
}

/// Reads an answer, and counts the findings in it that say nothing.
pub(super) fn page(answer: &Map<String, Value>) -> Result<(Page, usize), String> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let digest = answer.get("imageId").and_then(|image| image.get("imageDigest")).and_then(Value::as_str);
    let Some(digest) = digest.filter(|digest| !digest.is_empty()) else {
        return Err("`imageScanFindings` does not say whose: `imageId.imageDigest` is missing".to_owned());
    };
    let scan = answer.get("imageScanFindings").unwrap_or(&Value::Null);
    let status = answer.get("imageScanStatus").and_then(|status| status.get("status"));
    let (findings, unread) = scan_json::findings(scan);
    let page = Page {
        digest: digest.to_owned(),
        repository: text("repositoryName"),
        registry: text("registryId"),
        report: ScanReport {
            status: status.and_then(Value::as_str).map(str::to_owned),
            counts: scan_json::severity_counts(scan),
            findings,
            truncated: false,
        },
        continues: text("nextToken").or_else(|| text("NextToken")).is_some_and(|token| !token.is_empty()),
    };
    Ok((page, unread))
}

/// The pages about one digest, joined; `None` where there are none.
pub(super) fn report(pages: &[Page], registry: &str, repository: &str, digest: &str) -> Option<ScanReport> {
    // A file that does not name its repository or registry speaks for any.
    let fits = |recorded: &Option<String>, asked: &str| {
        asked.is_empty() || recorded.as_deref().is_none_or(|recorded| recorded == asked)
    };
    let mut pages = pages
        .iter()
        .filter(|page| page.digest == digest)
        .filter(|page| fits(&page.repository, repository) && fits(&page.registry, registry))
        .peekable();
    pages.peek()?;
    let mut joined = ScanReport { truncated: true, ..ScanReport::default() };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = HashSet::new();
    for page in pages {
        joined.truncated &= page.continues;
        if joined.status.is_none() {
            joined.status.clone_from(&page.report.status);
        }
        // Every page repeats the counts of the whole image.
        for (severity, count) in &page.report.counts {
            let most = counts.entry(severity.clone()).or_default();
            *most = (*most).max(*count);
        }
        // The same page may have been recorded twice.
        for finding in &page.report.findings {
            if seen.insert((&finding.name, &finding.package, &finding.version, &finding.severity)) {
                joined.findings.push(finding.clone());
            }
        }
    }
    joined.counts = counts;
    Some(joined)
}
