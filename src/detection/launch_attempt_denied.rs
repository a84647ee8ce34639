//! Somebody tried to start instances and was refused: by permissions, by quota, or because the image
//! does not exist for them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::catalog::{self, Approval};
use super::launch::{self, Image};
use super::steps;
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict};
use crate::activity::{Action, Activity, Launch, LaunchOutcome};
use crate::history::{Kind, trail::label};
use crate::lookup::ImageFact;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "launch-attempt-denied",
    title: "Launch refused",
    severity: Severity::Low,
    score: 20,
    source: "DET0248 AN0692; public threat reports: refused launches before or beside mining",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// So many attempts within so long are more than a mistake.
const MANY: usize = 5;
const SPAN: TimeDelta = TimeDelta::minutes(10);

/// Error messages carry an encoded authorization message of more than a kilobyte.
const MESSAGE: usize = 300;

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let Action::ImageLaunched(launch) = &activity.action else {
        return Verdict::NotApplicable("not a launch".into());
    };
    let code = match &launch.outcome {
        LaunchOutcome::Attempted(code) => code.trim_start_matches("Client.").trim_start_matches("Server."),
        LaunchOutcome::DryRun => return Verdict::NotApplicable("a dry run starts nothing".into()),
        LaunchOutcome::Succeeded => return Verdict::NotApplicable("the launch succeeded".into()),
    };
    if code.is_empty() {
        return Verdict::CannotTell(Reason::new(
            "error-not-named",
            "The launch failed, and the event does not say why.",
        ));
    }
    if !refused(code) {
        return Verdict::NotApplicable(
            format!("{code} is no sign of anything: capacity, or a mistake in the call").into(),
        );
    }
    if let Some(why) = launch::outside_scope(launch, context) {
        return Verdict::NotApplicable(why.into());
    }
    let attempts = attempts(activity, context);
    if launch.image.id().is_some_and(|id| catalog::listed(context.policy, id)) {
        return found(
            activity,
            launch,
            attempts,
            code,
            None,
            Ok("its id is listed in the policy".to_owned()),
            Vec::new(),
        );
    }
    // Nothing was started, so that the client token leads nowhere.
    let asked = Launch { client_token: None, ..launch.clone() };
    match launch::image(activity, &asked, context) {
        Image::Need(keys) => Verdict::Need(keys),
        Image::Unknown { reason, .. } => {
            let why = Err("nobody can tell whose image it is".to_owned());
            found(activity, launch, attempts, code, None, why, vec![reason])
        }
        Image::Known(known) => match catalog::approval(activity, context, known) {
            Approval::Need(keys) => Verdict::Need(keys),
            Approval::Approved(why) => {
                found(activity, launch, attempts, code, Some(known.fact), Ok(why), Vec::new())
            }
            Approval::NotApproved { why, not_inspected } => found(
                activity,
                launch,
                attempts,
                code,
                Some(known.fact),
                Err(format!("the image is not approved: {why}")),
                not_inspected,
            ),
            Approval::CannotTell(reason) => {
                let why = Err("it cannot be told whether the image is approved".to_owned());
                found(activity, launch, attempts, code, Some(known.fact), why, vec![reason])
            }
        },
    }
}

/// Errors that somebody meets who may not, or who wants more than is usual. Capacity and mistakes in the
/// call are neither.
const REFUSALS: [&str; 15] = [
    // Permissions: EC2's own code, and those of policies, keys and services before it.
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "OperationNotPermitted",
    "NotAuthorized",
    // The account itself: blocked for abuse, not yet verified, not subscribed to what it wants to use.
    "Blocked",
    "PendingVerification",
    "OptInRequired",
    // Quotas.
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "MaxSpotFleetRequestCountExceeded",
    "FleetLimitExceeded",
    "InvalidAMIID",
];

fn refused(code: &str) -> bool {
    // `InvalidAMIID.NotFound`, `Client.` and `Server.` are cut off before.
    REFUSALS.contains(&code.split('.').next().unwrap_or(code))
}

/// The most refused launches by the same principal within ten minutes, this one among them. Events
/// arrive in any order.
fn attempts(activity: &Activity, context: &Context<'_>) -> usize {
    let Some(record) = context.memory.about(activity, Kind::Principal, activity.principal()) else {
        return 1;
    };
    let others = record.traces.iter().filter(|trace| {
        trace.label == label::ATTEMPTED && trace.source != activity.id && refused(&trace.detail)
    });
    let mut times: Vec<DateTime<Utc>> = others.map(|trace| trace.time).collect();
    times.push(activity.time);
    let starts = times.iter().filter(|start| (TimeDelta::zero()..=SPAN).contains(&(activity.time - **start)));
    let within = |start: &DateTime<Utc>| {
        times.iter().filter(|time| (TimeDelta::zero()..=SPAN).contains(&(**time - *start))).count()
    };
    starts.map(within).max().unwrap_or(1)
}

fn found(
    activity: &Activity,
    launch: &Launch,
    attempts: usize,
    code: &str,
    fact: Option<&ImageFact>,
    approval: Result<String, String>,
    not_inspected: Vec<Reason>,
) -> Verdict {
    let image = launch::label(launch, fact);
    let count = u64::from(launch.count.max(1));
    let wanted = match &launch.instance_type {
        Some(kind) => format!("{} of type {kind}", steps::counted(count, "instance", "instances")),
        None => steps::counted(count, "instance", "instances"),
    };
    let (severity, about) = match approval {
        Ok(why) => ((attempts >= MANY).then_some(Severity::Medium), format!("the image is approved: {why}")),
        Err(why) => (Some(Severity::Medium), why),
    };
    let many = if attempts >= MANY {
        format!(" It is one of {attempts} refused launches by the same principal within ten minutes.")
    } else {
        String::new()
    };
    let mut evidence = launch::evidence(launch, fact);
    evidence.insert("error_code".to_owned(), json!(code));
    if attempts > 1 {
        evidence.insert("attempts".to_owned(), json!(attempts));
    }
    if let Some(message) = activity.api.as_ref().and_then(|api| api.error_message.as_deref()) {
        evidence.insert("error_message".to_owned(), json!(message.chars().take(MESSAGE).collect::<String>()));
    }
    Verdict::matched(Match {
        subject: Subject::MachineImage { image: image.clone(), principal: activity.principal().to_owned() },
        severity,
        summary: format!("A launch of {wanted} from image {image} was refused ({code}); {about}.{many}"),
        evidence,
        next_steps: vec![
            steps::trace_actor(activity),
            steps::describe_image(activity, &image),
            NextStep::new(
                "Look for launches by the same principal in other regions: an attacker tries them all.",
                None,
            ),
        ],
        not_inspected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::ImageRef;
    use crate::detection::testing::*;
    use crate::lookup::{Fact, FactKey};
    use crate::policy::Policy;

    fn attempt(code: &str) -> Launch {
        Launch {
            outcome: LaunchOutcome::Attempted(code.to_owned()),
            instances: Vec::new(),
            count: 10,
            instance_type: Some("p2.xlarge".to_owned()),
            client_token: Some("token-1".to_owned()),
            ..launch(AMI)
        }
    }

    fn judged(given: &Given, launch: Launch) -> Verdict {
        given.judge(&DETECTION, &launched(launch), &Policy::default())
    }

    #[test]
    fn refusals_fire_low_for_an_approved_image() {
        let given = Given::none().image(image(AMI, AMAZON));
        for code in [
            "UnauthorizedOperation",
            "VcpuLimitExceeded",
            "InstanceLimitExceeded",
            "MaxSpotInstanceCountExceeded",
            "OptInRequired",
            "Blocked",
            "PendingVerification",
            "AccessDenied",
            "AuthFailure",
            "InvalidAMIID.NotFound",
            "Client.InvalidAMIID.Malformed",
        ] {
            let found = matched(judged(&given, attempt(code)));
            assert_eq!(found.severity, None, "{code}");
            assert!(found.summary.contains("10 instances of type p2.xlarge"), "{}", found.summary);
        }
        assert_eq!(DETECTION.severity, Severity::Low);
    }

    #[test]
    fn capacity_errors_and_mistakes_do_not_fire() {
        for code in [
            "InsufficientInstanceCapacity",
            "Server.InsufficientInstanceCapacity",
            "InvalidParameterValue",
            "InvalidAMIIDs",
        ] {
            not_applicable(judged(&Given::none(), attempt(code)));
        }
    }

    /// EKS node groups dry-run launches all day.
    #[test]
    fn a_dry_run_does_not_fire() {
        not_applicable(judged(&Given::none(), Launch { outcome: LaunchOutcome::DryRun, ..attempt("") }));
        not_applicable(judged(&Given::none(), launch(AMI)));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }

    #[test]
    fn an_unapproved_image_is_one_step_up() {
        let given = Given::none().image(image(AMI, STRANGER)).allowed_images(Fact::Absent);
        let found = matched(judged(&given, attempt("UnauthorizedOperation")));
        assert_eq!(found.severity, Some(Severity::Medium));
        assert!(found.summary.contains(STRANGER), "{}", found.summary);
    }

    #[test]
    fn an_unknown_image_is_one_step_up_and_says_so() {
        let given = Given::none().no_image(AMI, Fact::Absent);
        let found = matched(judged(&given, attempt("InvalidAMIID.NotFound")));
        assert_eq!(found.severity, Some(Severity::Medium));
        assert_eq!(found.not_inspected[0].code, "image-not-found");
        let nameless =
            Launch { image: ImageRef::Other("ami-XYZ".to_owned()), ..attempt("InvalidAMIID.Malformed") };
        let found = matched(judged(&Given::none(), nameless));
        assert_eq!(found.severity, Some(Severity::Medium));
        assert_eq!(
            found.subject,
            Subject::MachineImage { image: "ami-XYZ".to_owned(), principal: ROLE.to_owned() }
        );
    }

    #[test]
    fn only_the_image_is_asked_for() {
        let keys = needed(judged(&Given::none(), attempt("UnauthorizedOperation")));
        assert_eq!(keys, [FactKey::Image { scope: scope(REGION), image: AMI.to_owned() }]);
    }

    #[test]
    fn an_attempt_that_does_not_say_why_it_failed_cannot_be_told() {
        assert_eq!(cannot_tell(judged(&Given::none(), attempt(""))).code, "error-not-named");
    }

    #[test]
    fn five_within_ten_minutes_are_one_step_up_whatever_the_order() {
        let given = Given::none().image(image(AMI, AMAZON));
        let severity = |minutes: &[i64], own: i64| {
            let mut story = Story::watched();
            for (number, minute) in minutes.iter().enumerate() {
                let event = launched(attempt("VcpuLimitExceeded"));
                story.tell(&later(&format!("other-{number}"), *minute, event));
            }
            let event = later("event-1", own, launched(attempt("UnauthorizedOperation")));
            matched(story.judge(&DETECTION, &event, &Policy::default(), given.facts())).severity
        };
        assert_eq!(severity(&[0, 1, 2, 3], 4), Some(Severity::Medium));
        assert_eq!(severity(&[1, 2, 3, 10], 0), Some(Severity::Medium));
        assert_eq!(severity(&[0, 1, 2], 4), None);
        assert_eq!(severity(&[0, 1, 2, 3], 11), None);
    }

    #[test]
    fn a_long_error_message_is_cut() {
        let mut event = launched(attempt("UnauthorizedOperation"));
        if let Some(api) = &mut event.api {
            api.error_message = Some("é".repeat(5000));
        }
        let given = Given::none().image(image(AMI, AMAZON));
        let found = matched(given.judge(&DETECTION, &event, &Policy::default()));
        assert_eq!(found.evidence["error_message"].as_str().map(|text| text.chars().count()), Some(300));
    }
}
