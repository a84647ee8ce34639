//! An image was pushed at an hour when nobody is expected to push.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, push, steps};
use crate::activity::{Activity, Push};
use crate::policy::Schedule;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "ecr-push-outside-hours",
    title: "Container image pushed outside working hours",
    severity: Severity::Medium,
    score: 49,
    source: "Splunk: AWS ECR Container Upload Outside Business Hours (CloudTrail and Security Lake)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let push = match push::of(activity) {
        Ok(push) => push,
        Err(verdict) => return verdict,
    };
    if activity.time_is_arrival {
        return Verdict::CannotTell(Reason::new(
            "event-time-missing",
            "The event carries no readable time, and the hour it arrived says nothing about the hour of the push.",
        ));
    }
    if activity.actor.is_none() && push::principal_matters(context) {
        return Verdict::CannotTell(Reason::new(
            "pusher-not-named",
            "The event does not name who pushed, and the policy's schedules depend on it.",
        ));
    }
    let Some(schedule) =
        context.policy.schedule_for(&push.repository, activity.principal(), &activity.account)
    else {
        return Verdict::NotApplicable(
            "no schedule of the policy is about this repository and principal".into(),
        );
    };
    if schedule.contains(activity.time) {
        return Verdict::Pass(format!("pushed within the schedule {}", schedule.label()).into());
    }
    Verdict::matched(found(activity, push, schedule))
}

fn found(activity: &Activity, push: &Push, schedule: &Schedule) -> Match {
    let local = schedule.local(activity.time).map_or_else(
        || activity.time.to_string(),
        |(local, offset)| format!("{} {offset}", local.format("%a %Y-%m-%d %H:%M:%S")),
    );
    let holiday =
        schedule.local(activity.time).is_some_and(|(local, _)| schedule.holidays.contains(&local.date()));
    let zone = match &schedule.zone {
        Some(zone) => format!("{zone}{}", if holiday { ", a holiday" } else { "" }),
        None => "UTC, since the schedule names no zone".to_owned(),
    };
    let mut evidence = push::seen(activity, push);
    evidence.insert("pushed_at_local".to_owned(), json!(local));
    evidence.insert("schedule".to_owned(), json!(schedule.label()));
    evidence.insert(
        "zone".to_owned(),
        json!(schedule.zone.as_ref().map_or("UTC".to_owned(), |zone| zone.to_string())),
    );
    if holiday {
        evidence.insert("holiday".to_owned(), json!(true));
    }
    let public = if push.public { " The repository is public." } else { "" };
    Match {
        subject: push::subject(activity, push),
        severity: push::severity(push, DETECTION.severity),
        summary: format!(
            "{} was pushed by {} on {local} ({zone}), outside the schedule {}.{public}",
            push::reference(push),
            push::pusher(activity),
            schedule.label(),
        ),
        evidence,
        next_steps: vec![
            steps::trace_actor(activity),
            steps::delete_pushed(activity, &push.repository, push.digest.as_deref(), push.tag.as_deref()),
            NextStep::new(
                "If pushes at this hour are expected, give the repository or the principal a schedule of its own under \
                 `uploads.schedules`.",
                None,
            ),
        ],
        not_inspected: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
