//! What the detections about pushes share: which pushes count, and what they show.

use serde_json::{Map, Value, json};

use super::{Context, Reason, Subject, Verdict, evidence};
use crate::activity::{Action, Activity, Artifact, Push};
use crate::severity::Severity;

/// The push to judge, or the verdict for everything that is none: other activities, failed pushes, what
/// nothing runs from, and what ECR itself stores.
pub fn of(activity: &Activity) -> Result<&Push, Verdict> {
    let other = |why: &'static str| Err(Verdict::NotApplicable(why.into()));
    let Action::ImagePushed(push) = &activity.action else {
        return other("not a push");
    };
    if let Some(code) = &push.failed {
        return Err(Verdict::NotApplicable(format!("nothing was pushed: {code}").into()));
    }
    match push.artifact {
        Artifact::Image | Artifact::Index => {}
        Artifact::Signature => return other("a signature: nothing runs from it"),
        Artifact::Attestation => return other("an attestation: nothing runs from it"),
        Artifact::Other => return other("an artifact that no container is started from"),
    }
    if let Some(actor) = &activity.actor {
        let invoked = actor.invoked_by.as_deref().unwrap_or_default();
        let by_ecr =
            ["pullthroughcache.ecr.amazonaws.com", "replication.ecr.amazonaws.com"].contains(&invoked);
        // The role that replicates belongs to the registry that the image comes from.
        let from_elsewhere = actor.account.as_ref().is_some_and(|account| {
            !account.is_empty() && !activity.account.is_empty() && *account != activity.account
        });
        if (by_ecr || actor.is_service()) && !from_elsewhere {
            return other("ECR stored it itself, by pull-through cache or replication");
        }
    }
    if push.repository.is_empty() {
        return Err(Verdict::CannotTell(Reason::new(
            "repository-not-named",
            "The event does not name the repository pushed to.",
        )));
    }
    Ok(push)
}

/// Untagged manifests are the parts of an image index, which is a push of its own: one step lower.
pub fn severity(push: &Push, usual: Severity) -> Option<Severity> {
    push.tag.is_none().then(|| usual.lowered())
}

pub fn subject(activity: &Activity, push: &Push) -> Subject {
    Subject::Push { repository: push.repository.clone(), principal: activity.principal().to_owned() }
}

/// `team/app:1.4`, `team/app@sha256:...`
pub fn reference(push: &Push) -> String {
    match (&push.tag, &push.digest) {
        (Some(tag), _) => format!("{}:{tag}", push.repository),
        (None, Some(digest)) => format!("{}@{digest}", push.repository),
        (None, None) => push.repository.clone(),
    }
}

/// The person's or role's name, and what the alert's subject calls it.
pub fn pusher(activity: &Activity) -> String {
    match &activity.actor {
        Some(actor) if actor.name.is_empty() || actor.name == actor.principal => actor.principal.clone(),
        Some(actor) => format!("{} ({})", actor.name, actor.principal),
        None => "somebody the event does not name".to_owned(),
    }
}

pub fn seen(activity: &Activity, push: &Push) -> Map<String, Value> {
    evidence([
        ("repository", json!(push.repository)),
        ("registry", json!(push.registry)),
        ("public", if push.public { json!(true) } else { Value::Null }),
        ("tag", json!(push.tag)),
        ("digest", json!(push.digest)),
        ("media_type", json!(push.media_type)),
        ("children", if push.children.is_empty() { Value::Null } else { json!(push.children.len()) }),
        ("pusher", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
    ])
}

/// Whether any rule of the policy tells principals apart, so that an unknown one matters.
pub fn principal_matters(context: &Context<'_>) -> bool {
    context
        .policy
        .uploads
        .schedules
        .iter()
        .any(|schedule| schedule.principals.iter().all(|pattern| pattern != "*"))
}
