//! A container image was pulled or run whose digest has not been seen before.

use serde_json::json;

use super::{
    Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, evidence, registry, runtime,
};
use crate::activity::{Action, Activity};
use crate::history::{Familiarity, Kind, sight};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "container-image-newly-seen",
    title: "Container image pulled or run for the first time",
    severity: Severity::Low,
    score: 15,
    source: "DET0248 AN0691: a digest never seen",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    match &activity.action {
        Action::ImagePulled(_) | Action::ContainerStarted(_) | Action::ProcessStarted(_) => {}
        _ => return Verdict::NotApplicable("no container image is pulled or run".into()),
    }
    let Some(digest) = sight::digest(activity) else {
        return match &activity.action {
            Action::ProcessStarted(_) => {
                Verdict::NotApplicable("the event names no container image by digest".into())
            }
            _ => Verdict::CannotTell(Reason::new(
                "digest-not-named",
                "The event names the container image without its digest, so that it is not known whether this very \
                 image was seen before.",
            )),
        };
    };
    let what = format!("the image {digest}");
    let familiarity = context.memory.familiarity(activity, &sight::compared(activity, digest));
    if let Some(verdict) = familiarity.untold(&what) {
        return verdict;
    }
    // A pull names the index, a start its child: one seen is the other known.
    let aliases = context.memory.about(activity, Kind::Alias, digest);
    let known = aliases.into_iter().flat_map(|record| &record.traces).find(|trace| {
        let id = sight::compared(activity, &trace.detail);
        context.memory.familiarity(activity, &id) == Familiarity::Known
    });
    if let Some(known) = known {
        return Verdict::Pass(format!("{what} has been seen before as {}", known.detail).into());
    }
    let used = match registry::used(activity) {
        Ok(used) => used,
        Err(verdict) => return verdict,
    };
    let Some(reference) = used.into_iter().find_map(|used| used.reference) else {
        return Verdict::CannotTell(registry::not_named());
    };
    let mut seen = evidence([
        ("image", json!(reference.to_string())),
        ("repository", json!(reference.repository())),
        ("digest", json!(digest)),
    ]);
    let place = activity.action.place();
    if let Some(place) = place {
        seen.extend(runtime::seen(place).into_iter().filter(|(key, _)| key != "image" && key != "digest"));
    }
    let mut next_steps: Vec<NextStep> =
        place.map(|place| runtime::look(activity, place)).into_iter().collect();
    next_steps.push(NextStep::new(
        "See whether a build or a deployment explains it; if none does, find who pushed this digest.",
        None,
    ));
    Verdict::matched(Match {
        subject: Subject::ContainerImage { repository: reference.repository() },
        severity: None,
        summary: format!("{reference} at {digest} has not been pulled or run in this account before."),
        evidence: seen,
        next_steps,
        not_inspected: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Artifact, ContainerImage, Pull, Push};
    use crate::detection::testing::*;
    use crate::lookup::Facts;
    use crate::policy::Policy;

    fn of(letters: &str) -> String {
        format!("sha256:{}", letters.repeat(32))
    }

    fn pull(digest: &str) -> Activity {
        let name = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app".to_owned();
        let image = ContainerImage { name, digest: Some(digest.to_owned()) };
        ran(Action::ImagePulled(Pull { image, ..Pull::default() }))
    }

    fn judged(event: &Activity, story: &Story) -> Verdict {
        story.judge(&DETECTION, event, &Policy::default(), &Facts::default())
    }

    #[test]
    fn a_digest_is_new_once() {
        let mut story = Story::watched();
        let found = matched(judged(&pull(&of("ab")), &story));
        let repository = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app".to_owned();
        assert_eq!(found.subject, Subject::ContainerImage { repository });
        story.tell(&pull(&of("ab")));
        passed(judged(&later("event-2", 1, pull(&of("ab"))), &story));
        matched(judged(&later("event-2", 1, pull(&of("cd"))), &story));
    }

    /// A multi-architecture image: the node pulls the index, the runtime names the child.
    #[test]
    fn a_child_of_a_known_index_is_known() {
        let mut story = Story::watched();
        let index = Push {
            digest: Some(of("ab")),
            children: vec![of("cd"), of("ef")],
            artifact: Artifact::Index,
            ..push()
        };
        story.tell(&pushed(index));
        story.tell(&later("event-2", 1, pull(&of("ab"))));
        let why = passed(judged(&later("event-3", 2, pull(&of("cd"))), &story));
        assert!(why.contains("seen before as"), "{why}");
    }

    #[test]
    fn learning_no_history_and_other_events_do_not_fire() {
        not_applicable(judged(&pull(&of("ab")), &Story::begun()));
        not_applicable(Given::none().judge(&DETECTION, &pull(&of("ab")), &Policy::default()));
        not_applicable(judged(&pushed(push()), &Story::watched()));
        not_applicable(judged(&executed(process("/bin/ls", "")), &Story::watched()));
    }

    #[test]
    fn an_image_without_a_digest_cannot_be_told() {
        assert_eq!(
            cannot_tell(judged(&started("docker.io/acme/app:1"), &Story::watched())).code,
            "digest-not-named"
        );
    }
}
