//! An image was pushed by somebody who is not listed as a pusher; where nobody is listed, by somebody
//! who never pushed to that repository.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, push, shape, steps};
use crate::activity::{Activity, ActorKind, Push};
use crate::history::{Familiarity, sight};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecr-push-unknown-user",
    title: "Container image pushed by an unknown pusher",
    severity: Severity::Medium,
    score: 49,
    source: "Splunk: AWS ECR Container Upload Unknown User (CloudTrail and Security Lake)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let push = match push::of(activity) {
        Ok(push) => push,
        Err(verdict) => return verdict,
    };
    let principal = activity.principal();
    let listed = !context.policy.uploads.pushers.is_empty();
    if listed && context.policy.pusher_allowed(&push.repository, principal, &activity.account) {
        return Verdict::Pass(format!("{principal} is a listed pusher to {}", push.repository).into());
    }
    let named = activity.actor.as_ref().is_some_and(|actor| actor.kind != ActorKind::Unknown);
    if !named {
        return Verdict::CannotTell(Reason::new("pusher-not-named", "The event does not name who pushed."));
    }
    if listed {
        return Verdict::matched(found(activity, push, "who is not a listed pusher to this repository"));
    }
    // With nobody listed, whoever is new to a repository is worth a word.
    match context.memory.familiarity(activity, &sight::pusher(&push.repository, principal)) {
        Familiarity::New => Verdict::matched(found(
            activity,
            push,
            "who has not pushed to this repository before; the policy lists no pushers",
        )),
        Familiarity::Known => {
            Verdict::Pass(format!("{principal} has pushed to {} before", push.repository).into())
        }
        Familiarity::Unkept => Verdict::NotApplicable("the policy lists no pushers".into()),
        Familiarity::Learning(until) => Verdict::NotApplicable(
            format!(
                "the policy lists no pushers, and who pushes is learned until {}",
                until.format("%Y-%m-%d %H:%M UTC")
            )
            .into(),
        ),
    }
}

fn found(activity: &Activity, push: &Push, standing: &str) -> Match {
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
        (Some(principal), Some(repository)) => Some(format!(
            "uploads: {{pushers: [{{principal: \"{principal}\", repositories: [\"{repository}\"]}}]}}"
        )),
        _ => None,
    };
    Match {
        subject: push::subject(activity, push),
        severity: push::severity(push, DETECTION.severity),
        summary: format!(
            "{} was pushed by {}, {standing}.{public}",
            push::reference(push),
            push::pusher(activity),
        ),
        evidence,
        next_steps: vec![
            steps::trace_actor(activity),
            steps::delete_pushed(activity, &push.repository, push.digest.as_deref(), push.tag.as_deref()),
            NextStep::policy(
                "If the pusher is expected, list it in the policy, under `uploads.pushers`.",
                snippet,
            ),
        ],
        not_inspected: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
