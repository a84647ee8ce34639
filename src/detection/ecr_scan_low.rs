//! A scan found low-severity, informational or unjudged vulnerabilities in an image.

use super::scan::{self, Class};
use super::{Context, Detection, Stage, Verdict};
use crate::activity::Activity;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecr-scan-low",
    title: "Image has low-severity or unjudged vulnerabilities",
    severity: Severity::Informational,
    score: 5,
    source: "Splunk: AWS ECR Container Scanning Findings Low Informational Unknown",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    scan::judge(activity, context, &DETECTION, Class::Low)
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
        for severity in ["LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED", "UNKNOWN"] {
            matched(judged(counts(&[(severity, 1)])));
        }
        for severity in ["CRITICAL", "HIGH", "MEDIUM", "TOTAL"] {
            passed(judged(counts(&[(severity, 9)])));
        }
        passed(judged(counts(&[])));
    }

    #[test]
    fn a_result_that_names_neither_image_nor_findings_cannot_be_told() {
        assert_eq!(cannot_tell(judged(crate::activity::Scan::default())).code, "scan-not-understood");
    }
}
