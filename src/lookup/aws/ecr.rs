//! What ECR is asked.

use std::collections::BTreeMap;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::ImageIdentifier;

use super::{Asked, convert};
use crate::activity::ScanFinding;
use crate::aws::{Failure, is_account};
use crate::lookup::{FactValue, ScanReport};

/// How many pages of findings are read, and how many findings stand on each. They come in no order of
/// severity; the counts are complete on the first page.
const PAGES: usize = 5;
const PAGE: i32 = 1000;

/// `DescribeImageScanFindings` by digest: a tag may have moved since the event.
pub(super) async fn scan_findings(client: &Client, registry: &str, repository: &str, digest: &str) -> Asked {
    let mut report = ScanReport::default();
    let mut pages = client
        .describe_image_scan_findings()
        .set_registry_id(is_account(registry).then(|| registry.to_owned()))
        .repository_name(repository)
        .image_id(ImageIdentifier::builder().image_digest(digest).build())
        .max_results(PAGE)
        .into_paginator()
        .send();
    for page in 0.. {
        let answer = match pages.next().await {
            None => break,
            Some(_) if page == PAGES => {
                report.truncated = true;
                break;
            }
            Some(Err(error)) => {
                let failure = Failure::of(&error);
                return match failure.code.as_deref() {
                    Some(
                        "RepositoryNotFoundException" | "ImageNotFoundException" | "ScanNotFoundException",
                    ) => Asked::Absent,
                    _ => Asked::Failed(failure),
                };
            }
            Some(Ok(answer)) => answer,
        };
        if let Some(status) = answer.image_scan_status.and_then(|status| status.status) {
            report.status = Some(status.as_str().to_owned());
        }
        let Some(found) = answer.image_scan_findings else { continue };
        if report.counts.is_empty() {
            report.counts = counts(found.finding_severity_counts.unwrap_or_default());
        }
        report.findings.extend(found.findings.unwrap_or_default().into_iter().map(convert::finding));
        let enhanced = found.enhanced_findings.unwrap_or_default();
        report.findings.extend(enhanced.into_iter().map(convert::enhanced_finding));
    }
    report.findings.sort_by_key(|finding: &ScanFinding| rank(&finding.severity));
    Asked::Known(FactValue::Scan(report))
}

fn counts(
    counts: std::collections::HashMap<aws_sdk_ecr::types::FindingSeverity, i32>,
) -> BTreeMap<String, u64> {
    let counted = counts.into_iter().filter(|(severity, _)| severity.as_str() != "TOTAL");
    counted
        .filter_map(|(severity, count)| {
            Some((severity.as_str().to_ascii_uppercase(), u64::try_from(count).ok()?))
        })
        .collect()
}

/// Most severe first; what is no class of its own comes last.
fn rank(severity: &str) -> u8 {
    match severity {
        "CRITICAL" => 0,
        "HIGH" => 1,
        "MEDIUM" => 2,
        "LOW" => 3,
        _ => 4,
    }
}
