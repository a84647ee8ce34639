//! User data does what attackers' launch scripts do.

use serde_json::{Map, json};

use super::launch::{self, Image};
use super::steps;
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, catalog, doubt, shape};
use crate::activity::{Action, Activity, ImageRef, Launch, LaunchOutcome, TemplateChange, TemplateKind};
use crate::hash;
use crate::lookup::{Answer, FactKey, UserDataOf};
use crate::policy::Inspection as Mode;
use crate::severity::Severity;
use crate::user_data::signal::signal_of;
use crate::user_data::{Conclusion, Finding, Inspection, inspect};

pub static DETECTION: Detection = Detection {
    id: "user-data-suspicious",
    title: "User data does what attackers' launch scripts do",
    severity: Severity::High,
    score: 60,
    source: "DET0248 AN0692 (UserDataInspection)",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// The signal of a user data that costs more work to inspect than any honest one.
const TOO_MUCH_WORK: &str = "dec-03";
/// Signals shown in an alert; the rest is counted.
const SHOWN: usize = 12;

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let mode = context.policy.user_data.inspection;
    if mode == Mode::Off {
        return Verdict::NotApplicable("inspection of user data is off in the policy".into());
    }
    let wanted = match &activity.action {
        Action::ImageLaunched(launch) => match launch.outcome {
            LaunchOutcome::Succeeded => {
                // Azure and Google Cloud are not asked for it; the approval check says that there is some.
                if activity.cloud != crate::activity::Cloud::Aws {
                    return Verdict::NotApplicable("user data is read in AWS only".into());
                }
                if let Some(why) = launch::outside_scope(launch, context) {
                    return Verdict::NotApplicable(why.into());
                }
                match of_launch(activity, launch, context) {
                    Ok(wanted) => wanted,
                    Err(keys) => return Verdict::Need(keys),
                }
            }
            _ => return Verdict::NotApplicable("nothing was started".into()),
        },
        Action::LaunchTemplateChanged(change) => match of_template(change) {
            Ok(wanted) => wanted,
            Err(verdict) => return verdict,
        },
        Action::UserDataChanged(change) if change.failed.is_none() => {
            vec![UserDataOf::Instance(change.instance.clone())]
        }
        Action::UserDataChanged(_) => return Verdict::NotApplicable("the call failed".into()),
        _ => return Verdict::NotApplicable("nothing that carries user data".into()),
    };
    let scope = catalog::scope(activity);
    let mut reason = None;
    for of in &wanted {
        match context.facts.user_data(&scope, of) {
            Answer::Known([]) => return Verdict::Pass("none: no user data was given".into()),
            Answer::Known(bytes) => return conclude(activity, context, of, bytes),
            Answer::Ask(key) => return Verdict::Need(vec![key]),
            Answer::Absent => {
                reason.get_or_insert_with(|| gone(of));
            }
            Answer::Unavailable(why) => {
                let api = FactKey::UserData { scope: scope.clone(), of: of.clone() }.api();
                reason.get_or_insert_with(|| doubt::unavailable("user-data", api, why));
            }
        }
    }
    Verdict::CannotTell(reason.unwrap_or_else(|| {
        Reason::new(
            "user-data-nowhere",
            "User data was not inspected: the event names no instance to ask about.",
        )
    }))
}

/// Where a launch's user data can be read, the most certain first: once a reservation, from its first
/// instance, else from the template's exact version.
fn of_launch(
    activity: &Activity,
    launch: &Launch,
    context: &Context<'_>,
) -> Result<Vec<UserDataOf>, Vec<FactKey>> {
    let mut wanted: Vec<UserDataOf> = Vec::new();
    if let Some(first) = launch.instances.iter().find(|instance| !instance.id.is_empty()) {
        wanted.push(UserDataOf::Instance(first.id.clone()));
    } else if let Some(token) = launch.client_token.as_deref().filter(|token| !token.is_empty()) {
        match context.facts.launched(&catalog::scope(activity), token) {
            Answer::Known(started) => {
                wanted.extend(
                    started.first().map(|instance| UserDataOf::Instance(instance.instance_id.clone())),
                );
            }
            Answer::Ask(key) => return Err(vec![key]),
            Answer::Absent | Answer::Unavailable(_) => {}
        }
    }
    let template = match &launch.image {
        ImageRef::Template(template) => Some(template),
        _ => launch.template.as_ref(),
    };
    // User data in the call itself goes before the template's.
    if !launch.user_data {
        wanted.extend(template.map(|template| UserDataOf::Template(template.clone())));
    }
    Ok(wanted)
}

fn of_template(change: &TemplateChange) -> Result<Vec<UserDataOf>, Verdict> {
    if change.failed.is_some() {
        return Err(Verdict::NotApplicable("the call failed".into()));
    }
    match change.kind {
        // Also where the call carried none: a version inherits from the one it is made from.
        TemplateKind::LaunchTemplate => Ok(vec![UserDataOf::Template(change.template.clone())]),
        TemplateKind::LaunchConfiguration => {
            let name = change.template.name.clone().or_else(|| change.template.id.clone());
            Ok(name.map(UserDataOf::Configuration).into_iter().collect())
        }
        TemplateKind::Fleet
        | TemplateKind::ScalingGroup
        | TemplateKind::ComputeEnvironment
        | TemplateKind::ImageRecipe => {
            Err(Verdict::Pass("it names images only: user data is read from its launch template".into()))
        }
        TemplateKind::SpotInstances | TemplateKind::SpotFleet if !change.user_data => {
            Err(Verdict::Pass("none: no user data was given".into()))
        }
        TemplateKind::SpotInstances | TemplateKind::SpotFleet => Err(Verdict::CannotTell(Reason::new(
            "user-data-of-spot-request",
            "User data was not inspected: EC2 does not give a spot request's back. It is read when an instance starts.",
        ))),
    }
}

fn gone(of: &UserDataOf) -> Reason {
    let what = match of {
        UserDataOf::Instance(_) => "the instance is gone",
        UserDataOf::Template(_) => "the launch template version is gone",
        UserDataOf::Configuration(_) => "the launch configuration is gone",
    };
    Reason::new("user-data-gone", format!("User data was not inspected, because {what}."))
}

fn conclude(activity: &Activity, context: &Context<'_>, of: &UserDataOf, bytes: &[u8]) -> Verdict {
    let strict = context.policy.user_data.inspection == Mode::Strict;
    let inspection = inspect(bytes, &context.policy.trust(), strict);
    let suspicious = inspection.conclusion == Conclusion::Suspicious;
    let does_something =
        strict && inspection.findings.iter().any(|finding| finding.id.starts_with("strict-"));
    if suspicious || does_something {
        return Verdict::matched(found(activity, context, of, bytes, &inspection, suspicious));
    }
    match inspection.conclusion {
        Conclusion::Undecodable => Verdict::CannotTell(Reason::new(
            "user-data-undecodable",
            format!("User data was not inspected in full: {}.", inspection.undecoded.unwrap_or_default()),
        )),
        Conclusion::Signals | Conclusion::Suspicious => {
            let ids: Vec<&str> = inspection.findings.iter().map(|finding| finding.id).collect();
            Verdict::Pass(format!("signals: {}, score {} of 50", ids.join(" "), inspection.score).into())
        }
        Conclusion::Clean => Verdict::Pass("clean: nothing in the user data was a signal".into()),
        Conclusion::NotUserData => match inspection.undecoded {
            // An agent in the image may read it.
            Some(why) => Verdict::CannotTell(Reason::new(
                "user-data-undecodable",
                format!("User data was not inspected in full: {why}."),
            )),
            None => Verdict::Pass(
                "no user data: nothing in it is what cloud-init, EC2Launch or Ignition acts on".into(),
            ),
        },
    }
}

fn found(
    activity: &Activity,
    context: &Context<'_>,
    of: &UserDataOf,
    bytes: &[u8],
    inspection: &Inspection,
    suspicious: bool,
) -> Match {
    let severity = match (inspection.critical, suspicious) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::High,
        (false, false) => Severity::Medium,
    };
    let whose = match of {
        UserDataOf::Instance(id) => id.clone(),
        UserDataOf::Template(template) => format!("launch template {}", template.label()),
        UserDataOf::Configuration(name) => format!("launch configuration {name}"),
    };
    let leading: Vec<String> = inspection.findings.iter().take(3).map(named).collect();
    let mut evidence = Map::new();
    evidence.insert("user_data_of".to_owned(), json!(whose));
    evidence.insert("user_data_score".to_owned(), json!(inspection.score));
    evidence.insert("user_data_bytes".to_owned(), json!(bytes.len()));
    evidence.insert("user_data_hash".to_owned(), json!(hash::hex(&[bytes])));
    evidence.insert("signals".to_owned(), json!(by_line(&inspection.findings)));
    evidence.insert("signal_count".to_owned(), json!(inspection.findings.len()));
    let undecoded =
        inspection.undecoded.iter().map(|why| Reason::new("user-data-undecodable", format!("{why}.")));
    let spent = inspection.findings.iter().find(|finding| finding.id == TOO_MUCH_WORK).map(|finding| {
        let place = if finding.place.is_empty() { "the user data" } else { &finding.place };
        Reason::new("user-data-too-much-work", format!("Not inspected: too much work in {place}."))
    });
    let not_inspected = undecoded.chain(spent);
    Match {
        subject: subject(activity, context, of),
        severity: Some(severity),
        summary: format!(
            "The user data of {whose} shows: {} (score {}).",
            leading.join(", "),
            inspection.score
        ),
        evidence,
        next_steps: next_steps(activity, of),
        not_inspected: not_inspected.collect(),
    }
}

/// One text a line of user data: `line 6 (min-02 exe-06): nohup ./kworkerd ...`.
fn by_line(findings: &[Finding]) -> Vec<String> {
    let mut lines: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for finding in findings {
        match lines.iter_mut().find(|(place, quote, _)| *place == finding.place && *quote == finding.quote) {
            Some((_, _, ids)) => ids.push(finding.id),
            None => lines.push((&finding.place, &finding.quote, vec![finding.id])),
        }
    }
    let shown = lines.into_iter().take(SHOWN);
    shown.map(|(place, quote, ids)| format!("{place} ({}): {quote}", ids.join(" "))).collect()
}

/// `download piped to an interpreter (exe-01)`
fn named(finding: &Finding) -> String {
    let title = match finding.id {
        "strict-exec" => "a script that runs",
        "strict-download" => "a download",
        id => signal_of(id).map_or(id, |signal| signal.title),
    };
    let mut letters = title.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    format!("{}{} ({})", first.map(String::from).unwrap_or_default(), letters.as_str(), finding.id)
}

fn subject(activity: &Activity, context: &Context<'_>, of: &UserDataOf) -> Subject {
    if let Action::ImageLaunched(launch) = &activity.action {
        // The same subject as the other detections about this launch have, so that they are one alert.
        let fact = match launch::image(activity, launch, context) {
            Image::Known(known) => Some(known.fact),
            _ => None,
        };
        let principal = activity.principal().to_owned();
        return Subject::MachineImage { image: launch::label(launch, fact), principal };
    }
    match of {
        UserDataOf::Instance(id) => Subject::Runtime { place: id.clone() },
        UserDataOf::Template(template) => Subject::Template { template: template.label() },
        UserDataOf::Configuration(name) => Subject::Template { template: name.clone() },
    }
}

fn next_steps(activity: &Activity, of: &UserDataOf) -> Vec<NextStep> {
    let read = match of {
        UserDataOf::Instance(id) => shape::instance(id).and_then(|id| {
            let rest =
                format!("--attribute userData --instance-id {id} --query UserData.Value --output text");
            steps::aws(activity, "ec2 describe-instance-attribute", &format!("{rest} | base64 -d"))
        }),
        UserDataOf::Template(_) | UserDataOf::Configuration(_) => None,
    };
    let mut steps =
        vec![NextStep::new("Read the user data itself; it may hold secrets, so keep it to yourself.", read)];
    match of {
        UserDataOf::Instance(id) => {
            steps.push(steps::stop_instances(activity, std::iter::once(id.as_str())));
        }
        UserDataOf::Template(_) | UserDataOf::Configuration(_) => steps.push(NextStep::new(
            "If nobody can explain it, delete the version before an Auto Scaling group launches from it.",
            None,
        )),
    }
    steps.push(steps::trace_actor(activity));
    steps.push(NextStep::new(
        "If it is one of yours, try `imagewarden user-data FILE` and list what it trusts under `user_data.trusted`.",
        None,
    ));
    steps
}

#[cfg(test)]
mod tests;
