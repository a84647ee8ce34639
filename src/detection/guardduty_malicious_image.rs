//! GuardDuty found malware in a machine image or in a container.

use serde_json::json;

use super::{
    Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, registry, runtime, steps,
};
use crate::activity::{Action, Activity, Reported};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "guardduty-malicious-image",
    title: "GuardDuty found malware in an image",
    severity: Severity::Critical,
    score: 95,
    source: "GuardDuty Malware Protection: Execution:EC2/MaliciousFile!AMI and the container findings",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// Threats and files that are shown.
const THREATS: usize = 10;

/// What a finding is about.
enum About {
    MachineImage,
    Container,
}

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::VerdictReported(reported) = &activity.action else {
        return Verdict::NotApplicable("not a finding".into());
    };
    let Some((about, certain)) = about(reported) else {
        return Verdict::NotApplicable(format!("{} is no verdict on an image", reported.finding_type).into());
    };
    let place = &reported.place;
    let image = reported.machine_image.as_deref();
    let repository = place.image.as_ref().and_then(registry::reference).map(|image| image.repository());
    let (subject, what) = match (&about, image, repository) {
        (About::MachineImage, image, _) => {
            let image = image.unwrap_or("unknown").to_owned();
            let what = format!("the machine image {image}");
            (Subject::MachineImage { image, principal: activity.principal().to_owned() }, what)
        }
        (About::Container, _, Some(repository)) => {
            let what = format!("a container of the image {repository}");
            (Subject::ContainerImage { repository }, what)
        }
        (About::Container, _, None) => (runtime::subject(place), runtime::place(place)),
    };
    let mut seen = evidence([
        ("finding", json!(reported.finding)),
        ("finding_type", json!(reported.finding_type)),
        ("title", json!(reported.title)),
        ("severity", json!(reported.severity)),
        ("machine_image", json!(image)),
        ("threats", if reported.threats.is_empty() { json!(null) } else { json!(threats(reported)) }),
        ("sample", if reported.sample { json!(true) } else { json!(null) }),
    ]);
    seen.extend(runtime::seen(place).into_iter().filter(|(_, value)| *value != json!("unknown")));
    let names = match threats(reported).as_slice() {
        [] => String::new(),
        threats => format!(": {}", threats.join(", ")),
    };
    let found = if certain { "malware" } else { "a suspicious file" };
    let mark = if reported.sample { "Sample finding, nothing happened: " } else { "" };
    let look = match (&about, image) {
        (About::MachineImage, Some(image)) => steps::describe_image(activity, image),
        _ => runtime::look(activity, place),
    };
    Verdict::matched(Match {
        subject,
        severity: match (reported.sample, certain) {
            (true, _) => Some(Severity::Informational),
            (false, false) => Some(Severity::High),
            (false, true) => None,
        },
        summary: format!("{mark}GuardDuty found {found} in {what}{names}."),
        evidence: seen,
        next_steps: vec![
            NextStep::new(
                "Find everything that was started from the image, stop it, and keep its disks.",
                None,
            ),
            look,
            NextStep::new("Deregister or delete the image, and find out who made it and from what.", None),
        ],
        not_inspected: Vec::new(),
    })
}

/// Verdicts on images: what about, and whether GuardDuty is certain. A file on one instance's disk, in
/// a snapshot or in a bucket is no image.
fn about(reported: &Reported) -> Option<(About, bool)> {
    let (_, rest) = reported.finding_type.split_once(':')?;
    let (resource, threat) = rest.split_once('/')?;
    let (file, target) = threat.split_once('!').unwrap_or((threat, ""));
    let certain = match file.split('.').next() {
        Some("MaliciousFile") => true,
        Some("SuspiciousFile") => false,
        _ => return None,
    };
    match (resource, target) {
        ("EC2", "AMI") => Some((About::MachineImage, certain)),
        ("ECS" | "Kubernetes" | "Container" | "ECR", _) => Some((About::Container, certain)),
        _ => None,
    }
}

fn threats(reported: &Reported) -> Vec<String> {
    reported.threats.iter().take(THREATS).map(|threat| crate::text::clean(threat, 100)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn finding(finding_type: &str) -> Reported {
        Reported {
            finding: "0123".to_owned(),
            finding_type: finding_type.to_owned(),
            severity: 8.0,
            threats: vec!["EICAR-Test-File".to_owned()],
            ..Reported::default()
        }
    }

    fn judged(reported: Reported) -> Verdict {
        Given::none().judge(&DETECTION, &ran(Action::VerdictReported(reported)), &Policy::default())
    }

    #[test]
    fn malware_in_a_machine_image_is_critical() {
        let reported =
            Reported { machine_image: Some(AMI.to_owned()), ..finding("Execution:EC2/MaliciousFile!AMI") };
        let found = matched(judged(reported));
        assert_eq!(found.severity, None);
        assert_eq!(DETECTION.severity, Severity::Critical);
        assert_eq!(
            found.subject,
            Subject::MachineImage { image: AMI.to_owned(), principal: "unknown".to_owned() }
        );
        assert!(found.summary.contains("EICAR"), "{}", found.summary);
    }

    #[test]
    fn malware_in_a_container_is_about_its_image() {
        for kind in ["ECS", "Kubernetes", "Container"] {
            let reported =
                Reported { place: pod("evil/app:1"), ..finding(&format!("Execution:{kind}/MaliciousFile")) };
            let found = matched(judged(reported));
            assert_eq!(
                found.subject,
                Subject::ContainerImage { repository: "docker.io/evil/app".to_owned() }
            );
        }
        let nameless = Reported { place: pod(""), ..finding("Execution:Container/MaliciousFile") };
        assert_eq!(matched(judged(nameless)).subject, Subject::Runtime { place: "web/web-1".to_owned() });
    }

    #[test]
    fn a_suspicious_file_is_one_step_lower() {
        let found = matched(judged(finding("Execution:ECS/SuspiciousFile")));
        assert_eq!(found.severity, Some(Severity::High));
    }

    #[test]
    fn samples_are_marked_and_informational() {
        let found = matched(judged(Reported { sample: true, ..finding("Execution:EC2/MaliciousFile!AMI") }));
        assert_eq!(found.severity, Some(Severity::Informational));
        assert!(found.summary.starts_with("Sample finding"), "{}", found.summary);
    }

    #[test]
    fn other_findings_are_left_to_guardduty() {
        for finding_type in [
            "CryptoCurrency:EC2/BitcoinTool.B!DNS",
            "Execution:EC2/MaliciousFile",
            "Execution:EC2/MaliciousFile!Snapshot",
            "Object:S3/MaliciousFile",
            "Execution:Runtime/NewBinaryExecuted",
            "",
        ] {
            not_applicable(judged(finding(finding_type)));
        }
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
