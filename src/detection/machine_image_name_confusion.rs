//! Images were searched by name, whoever owns them, and one of a stranger's was launched.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::catalog::{self, Approval, Known};
use super::launch::{self, Image};
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, doubt, evidence, steps};
use crate::activity::{Action, Activity, LaunchOutcome};
use crate::history::{Kind, Record, Trace, trail};
use crate::lookup::{Answer, ImageFact};
use crate::policy::like;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "machine-image-name-confusion",
    title: "Stranger's public image launched after a search by name",
    severity: Severity::High,
    score: 70,
    source: "DET0248 AN0692; public report of AMI name confusion (whoAMI)",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// How long after a search a launch may be its doing.
const WINDOW: TimeDelta = TimeDelta::hours(24);

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let record = context.memory.about(activity, Kind::Principal, &trail::searches(activity));
    let traces = |label: &'static str| {
        record.into_iter().flat_map(|record| &record.traces).filter(move |trace| trace.label == label)
    };
    match &activity.action {
        Action::ImageLaunched(launch) if launch.outcome == LaunchOutcome::Succeeded => {
            if record.is_none() {
                return unkept();
            }
            let searches: Vec<&Trace> =
                traces(trail::label::SEARCHED).filter(|search| follows(search.time, activity.time)).collect();
            if searches.is_empty() {
                return Verdict::Pass("no search by name alone came before it".into());
            }
            match launch::image(activity, launch, context) {
                Image::Need(keys) => Verdict::Need(keys),
                Image::Unknown { reason, .. } => Verdict::CannotTell(reason),
                Image::Known(known) => {
                    let mut fits = searches.iter().rev().filter(|search| named(&search.detail, known.fact));
                    // One that is remembered tells more than that some were dropped.
                    let fits =
                        fits.clone().find(|search| search.detail != Record::DROPPED).or_else(|| fits.next());
                    let Some(search) = fits else {
                        return Verdict::Pass("what was searched for was another image".into());
                    };
                    let searched = (search.time, search.detail.as_str());
                    told(activity, context, known, searched, activity.time)
                }
            }
        }
        Action::ImagesSearched(search) => {
            if search.bounded || search.names.is_empty() {
                return Verdict::Pass(
                    "the search was bound to owners or ids: no stranger's image can come back".into(),
                );
            }
            if record.is_none() {
                return unkept();
            }
            let names = search.names.join(" ");
            let launches: Vec<&Trace> =
                traces(trail::label::LAUNCHED).filter(|launch| follows(activity.time, launch.time)).collect();
            let mut needs = Vec::new();
            let mut doubts = None;
            for launch in &launches {
                let known = match context.facts.image(&catalog::scope(activity), &launch.detail) {
                    Answer::Known(fact) => Known { fact, from_instance: false },
                    Answer::Ask(key) => {
                        needs.push(key);
                        continue;
                    }
                    Answer::Absent => {
                        doubts = Some(Reason::new(
                            "image-not-found",
                            "EC2 does not show the image that was launched after the search.",
                        ));
                        continue;
                    }
                    Answer::Unavailable(why) => {
                        doubts = Some(doubt::unavailable("image-lookup", "ec2:DescribeImages", why));
                        continue;
                    }
                };
                if !named(&names, known.fact) {
                    continue;
                }
                match told(activity, context, known, (activity.time, &names), launch.time) {
                    Verdict::Need(keys) => needs.extend(keys),
                    Verdict::CannotTell(reason) => doubts = Some(reason),
                    matched @ Verdict::Match(_) => return matched,
                    _ => {}
                }
            }
            match doubts {
                _ if !needs.is_empty() => Verdict::Need(needs),
                Some(reason) => Verdict::CannotTell(reason),
                None => Verdict::Pass("no stranger's image was launched after it so far".into()),
            }
        }
        _ => Verdict::NotApplicable("neither a search for images nor a launch".into()),
    }
}

fn unkept() -> Verdict {
    Verdict::NotApplicable("no history is kept, so that searches and launches cannot be joined".into())
}

fn follows(search: DateTime<Utc>, launch: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..=WINDOW).contains(&(launch - search))
}

/// Whether a search for these names returns the image. One without a known name may be any.
fn named(names: &str, fact: &ImageFact) -> bool {
    let Some(name) = &fact.name else { return true };
    // A long list of names was cut when it was remembered: its last one may be a part.
    names.split(' ').any(|pattern| like(pattern, name))
}

fn told(
    activity: &Activity,
    context: &Context<'_>,
    known: Known<'_>,
    (searched, names): (DateTime<Utc>, &str),
    launched: DateTime<Utc>,
) -> Verdict {
    let fact = known.fact;
    if fact.public == Some(false) || fact.owner_id.as_deref() == Some(activity.account.as_str()) {
        return Verdict::Pass("the image that was launched is an own one, or no public one".into());
    }
    let (why, mut not_inspected) = match catalog::approval(activity, context, known) {
        Approval::Need(keys) => return Verdict::Need(keys),
        Approval::Approved(why) => return Verdict::Pass(format!("the image is approved: {why}").into()),
        Approval::CannotTell(reason) => return Verdict::CannotTell(reason),
        Approval::NotApproved { why, not_inspected } => (why, not_inspected),
    };
    if fact.public.is_none() {
        not_inspected.push(Reason::new(
            "image-publicity-unknown",
            "The look-up does not say whether the image is public.",
        ));
    }
    let image = fact.image_id.clone();
    let name = fact.name.as_deref().unwrap_or("without a name");
    let names = if names == Record::DROPPED { "(more names than are remembered)" } else { names };
    Verdict::matched(Match {
        subject: Subject::MachineImage { image: image.clone(), principal: activity.principal().to_owned() },
        severity: None,
        summary: format!(
            "Images were searched by the name {names} without saying whose, and then {image} ({name}) was launched by \
             the same principal; {why}. Anybody can publish an image under such a name."
        ),
        evidence: evidence([
            ("image", json!(image)),
            ("image_name", json!(fact.name)),
            ("image_owner", json!(fact.owner_id)),
            ("searched", json!(names)),
            (
                "timeline",
                json!([
                    format!("{} searched for {names}, any owner", searched.to_rfc3339()),
                    format!("{} launched {image}", launched.to_rfc3339()),
                ]),
            ),
        ]),
        next_steps: vec![
            steps::describe_image(activity, &image),
            NextStep::new(
                "Name the owner wherever this search is made: `owners` in Terraform, `--owners` on the command line.",
                None,
            ),
            steps::trace_actor(activity),
        ],
        not_inspected,
    })
}

#[cfg(test)]
mod tests;
