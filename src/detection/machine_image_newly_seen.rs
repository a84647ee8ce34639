//! An instance was launched from a machine image that the account has not launched before.

use super::catalog::{self, Approval};
use super::launch::{self, Image};
use super::{Context, Detection, Match, Reason, Stage, Subject, Verdict, steps};
use crate::activity::{Action, Activity, LaunchOutcome};
use crate::history::sight;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "machine-image-newly-seen",
    title: "First launch from a machine image",
    severity: Severity::Medium,
    score: 30,
    source: "DET0248 AN0692: newly seen image",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let Action::ImageLaunched(launch) = &activity.action else { return other("not a launch") };
    if launch.outcome != LaunchOutcome::Succeeded {
        return other("nothing was started");
    }
    if activity.cloud != crate::activity::Cloud::Aws {
        return other("first launches are remembered in AWS only");
    }
    if let Some(why) = launch::outside_scope(launch, context) {
        return Verdict::NotApplicable(why.into());
    }
    let Some(id) = launch.image.id() else {
        return Verdict::CannotTell(Reason::new(
            "image-not-named",
            "The event does not name the image, so that it is not known whether it was launched before.",
        ));
    };
    if catalog::listed(context.policy, id) {
        return Verdict::Pass("the image's id is listed in the policy".into());
    }
    let familiarity = context.memory.familiarity(activity, &sight::machine_image(id));
    if let Some(verdict) = familiarity.untold(&format!("image {id}")) {
        return verdict;
    }
    // The next version of an image one approves of is no news; it still counts in chains.
    let (severity, fact, not_inspected, about) = match launch::image(activity, launch, context) {
        Image::Need(keys) => return Verdict::Need(keys),
        Image::Unknown { reason, .. } => (None, None, vec![reason], String::new()),
        Image::Known(known) => match catalog::approval(activity, context, known) {
            Approval::Need(keys) => return Verdict::Need(keys),
            Approval::Approved(why) => {
                (Some(Severity::Low), Some(known.fact), Vec::new(), format!(" It is approved: {why}."))
            }
            Approval::CannotTell(reason) => (None, Some(known.fact), vec![reason], String::new()),
            Approval::NotApproved { why, not_inspected } => {
                (None, Some(known.fact), not_inspected, format!(" It is not approved: {why}."))
            }
        },
    };
    let name = fact.and_then(|fact| fact.name.as_deref()).map(|name| format!(" ({name})"));
    Verdict::matched(Match {
        subject: Subject::MachineImage { image: id.to_owned(), principal: activity.principal().to_owned() },
        severity,
        summary: format!(
            "Nobody in this account has launched image {id}{} in this region before.{about}",
            name.unwrap_or_default()
        ),
        evidence: launch::evidence(launch, fact),
        next_steps: vec![
            steps::describe_image(activity, id),
            steps::trace_actor(activity),
            steps::stop_instances(activity, launch.instances.iter().map(|instance| instance.id.as_str())),
        ],
        not_inspected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{ImageRef, Launch};
    use crate::detection::testing::*;
    use crate::lookup::Fact;
    use crate::policy::Policy;

    fn judged(event: &Activity, story: &Story, owner: &str) -> Verdict {
        let given = Given::none().image(image(AMI, owner)).allowed_images(Fact::Absent);
        story.judge(&DETECTION, event, &Policy::default(), given.facts())
    }

    #[test]
    fn the_first_launch_is_told_and_the_next_is_not() {
        let mut story = Story::watched();
        let found = matched(judged(&launched(launch(AMI)), &story, STRANGER));
        assert_eq!(found.severity, None);
        story.tell(&launched(launch(AMI)));
        // Delivered again, it is as new as it was.
        matched(judged(&launched(launch(AMI)), &story, STRANGER));
        passed(judged(&later("event-2", 5, launched(launch(AMI))), &story, STRANGER));
    }

    #[test]
    fn an_earlier_launch_that_arrives_late_is_the_first() {
        let mut story = Story::watched();
        story.tell(&launched(launch(AMI)));
        matched(judged(&later("event-0", -5, launched(launch(AMI))), &story, STRANGER));
    }

    #[test]
    fn the_next_version_of_an_approved_image_is_low() {
        let found = matched(judged(&launched(launch(AMI)), &Story::watched(), AMAZON));
        assert_eq!(found.severity, Some(Severity::Low));
    }

    #[test]
    fn a_week_long_it_learns() {
        let why = not_applicable(judged(&launched(launch(AMI)), &Story::begun(), STRANGER));
        assert!(why.contains("learned until 2026-05-20"), "{why}");
        matched(judged(&launched(launch(AMI)), &Story::at_once(), STRANGER));
    }

    #[test]
    fn without_history_or_a_launch_it_does_not_apply() {
        let event = launched(launch(AMI));
        not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
        let dry = Launch { outcome: LaunchOutcome::DryRun, ..launch(AMI) };
        not_applicable(judged(&launched(dry), &Story::watched(), STRANGER));
        not_applicable(judged(&pushed(push()), &Story::watched(), STRANGER));
    }

    #[test]
    fn an_image_that_is_not_named_cannot_be_told() {
        let nameless = Launch { image: ImageRef::Unknown, ..launch(AMI) };
        assert_eq!(
            cannot_tell(judged(&launched(nameless), &Story::watched(), STRANGER)).code,
            "image-not-named"
        );
    }
}
