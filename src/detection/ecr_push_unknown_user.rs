//! An image was pushed by somebody who is not listed as a pusher.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, push, shape, steps};
use crate::activity::{Activity, ActorKind, Push};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecr-push-unknown-user",
    title: "Container image pushed by somebody who is not a listed pusher",
    severity: Severity::Medium,
    score: 49,
    source: "Splunk: AWS ECR Container Upload Unknown User (CloudTrail and Security Lake)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    if context.policy.uploads.pushers.is_empty() {
        return Verdict::NotApplicable("the policy lists no pushers".to_owned());
    }
    let push = match push::of(activity) {
        Ok(push) => push,
        Err(verdict) => return verdict,
    };
    let principal = activity.principal();
    if context.policy.pusher_allowed(&push.repository, principal) {
        return Verdict::Pass(format!("{principal} is a listed pusher to {}", push.repository));
    }
    let named = activity.actor.as_ref().is_some_and(|actor| actor.kind != ActorKind::Unknown);
    if !named {
        return Verdict::CannotTell(Reason::new("pusher-not-named", "The event does not name who pushed."));
    }
    Verdict::Match(Box::new(found(activity, push)))
}

fn found(activity: &Activity, push: &Push) -> Match {
    let actor = activity.actor.as_ref();
    let mut evidence = push::seen(activity, push);
    if let Some(session) = actor.and_then(|actor| actor.session.as_ref()) {
        evidence.insert("session".to_owned(), json!(session));
    }
    if let Some(account) =
        actor.and_then(|actor| actor.account.as_ref()).filter(|id| **id != activity.account)
    {
        evidence.insert("pusher_account".to_owned(), json!(account));
    }
    let public = if push.public { " The repository is public." } else { "" };
    let snippet = match (shape::principal(activity.principal()), shape::repository(&push.repository)) {
        (Some(principal), Some(repository)) => {
            format!(
                "`uploads: {{pushers: [{{principal: \"{principal}\", repositories: [\"{repository}\"]}}]}}`"
            )
        }
        _ => "`uploads.pushers`".to_owned(),
    };
    Match {
        subject: push::subject(activity, push),
        severity: push::severity(push, DETECTION.severity),
        summary: format!(
            "{} was pushed by {}, who is not a listed pusher to this repository.{public}",
            push::reference(push),
            push::pusher(activity),
        ),
        evidence,
        next_steps: vec![
            steps::trace_actor(activity),
            steps::delete_pushed(activity, &push.repository, push.digest.as_deref(), push.tag.as_deref()),
            NextStep::new(format!("If the pusher is expected, list it in the policy: {snippet}."), None),
        ],
        not_inspected: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
