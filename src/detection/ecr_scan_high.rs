//! A scan found high-severity vulnerabilities in an image.

use super::scan::{self, Class};
use super::{Context, Detection, Stage, Verdict};
use crate::activity::Activity;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecr-scan-high",
    title: "Image has high-severity vulnerabilities",
    severity: Severity::Medium,
    score: 70,
    source: "Splunk: AWS ECR Container Scanning Findings High",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    scan::judge(activity, context, &DETECTION, Class::High)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(scan: crate::activity::Scan) -> Verdict {
        no_findings().judge(&DETECTION, &scanned(scan), &Policy::default())
    }

    #[test]
    fn its_own_severities_fire_and_no_others() {
        matched(judged(counts(&[("HIGH", 1)])));
        for severity in
            ["CRITICAL", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED", "UNKNOWN", "TOTAL"]
        {
            passed(judged(counts(&[(severity, 9)])));
        }
        passed(judged(counts(&[])));
    }

    #[test]
    fn a_result_that_names_neither_image_nor_findings_cannot_be_told() {
        assert_eq!(cannot_tell(judged(crate::activity::Scan::default())).code, "scan-not-understood");
    }
}
