//! The user data of an existing instance was rewritten: at its next start, it may run something else.

use serde_json::{Map, json};

use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, shape, steps};
use crate::activity::{Action, Activity};
use crate::history::{Kind, Record, thread, trail::label};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "user-data-changed",
    title: "User data of an existing instance rewritten",
    severity: Severity::Medium,
    score: 40,
    source: "DET0248 AN0692; public reports of code execution through user data",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// What makes rewritten user data run: by one principal, in any order of arrival.
const STEPS: [&str; 3] = [label::STOPPED, label::USER_DATA_CHANGED, label::STARTED];

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    match &activity.action {
        Action::UserDataChanged(change) => {
            if change.failed.is_some() {
                return Verdict::NotApplicable("the call failed: nothing was rewritten".into());
            }
            let chain = chain(activity, context, &change.instance, label::USER_DATA_CHANGED);
            Verdict::matched(found(activity, &change.instance, chain))
        }
        Action::InstanceStopped(change) | Action::InstanceStarted(change) if change.failed.is_none() => {
            let own = match &activity.action {
                Action::InstanceStopped(_) => label::STOPPED,
                _ => label::STARTED,
            };
            let found = change.instances.iter().find_map(|instance| {
                let chain = chain(activity, context, instance, own)?;
                Some(found(activity, instance, Some(chain)))
            });
            found.map_or_else(
                || Verdict::Pass("no rewritten user data of these instances is known".into()),
                Verdict::matched,
            )
        }
        _ => Verdict::NotApplicable("not a change of user data, nor a stop or start".into()),
    }
}

/// The three steps with their times, where history and this event together have them all from one
/// principal within the window.
fn chain(
    activity: &Activity,
    context: &Context<'_>,
    instance: &str,
    own: &str,
) -> Option<Vec<(String, String)>> {
    let record = context.memory.about(activity, Kind::Instance, instance)?;
    let mut steps = Vec::new();
    for step in STEPS {
        let time = if step == own { activity.time } else { remembered(record, activity, step)? };
        steps.push((time, step));
    }
    steps.sort();
    Some(steps.into_iter().map(|(time, step)| (time.to_rfc3339(), step.to_owned())).collect())
}

fn remembered(record: &Record, activity: &Activity, step: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let principal = activity.principal();
    let fits = |trace: &&crate::history::Trace| {
        trace.label == step
            && trace.detail == principal
            && (trace.time - activity.time).abs() < thread::LENGTH
    };
    record.traces.iter().rev().find(fits).map(|trace| trace.time)
}

fn found(activity: &Activity, instance: &str, chain: Option<Vec<(String, String)>>) -> Match {
    let mut evidence = Map::new();
    evidence.insert("instance".to_owned(), json!(instance));
    let summary = match &chain {
        Some(steps) => {
            let line: Vec<String> = steps.iter().map(|(time, step)| format!("{time} {step}")).collect();
            evidence.insert("timeline".to_owned(), json!(line));
            format!(
                "Instance {instance} was stopped, its user data rewritten, and it was started again, all by the same \
                 principal: what was written may have run as root."
            )
        }
        None => format!(
            "The user data of instance {instance} was rewritten. It is read at the next start; what of it runs then \
             depends on the image."
        ),
    };
    let read = shape::instance(instance).and_then(|id| {
        let rest = format!(
            "--attribute userData --instance-id {id} --query UserData.Value --output text | base64 -d"
        );
        steps::aws(activity, "ec2 describe-instance-attribute", &rest)
    });
    Match {
        subject: Subject::Runtime { place: instance.to_owned() },
        severity: chain.is_some().then_some(Severity::High),
        summary,
        evidence,
        next_steps: vec![
            NextStep::new("Read what the user data is now.", read),
            steps::trace_actor(activity),
            steps::stop_instances(activity, std::iter::once(instance)),
        ],
        not_inspected: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
