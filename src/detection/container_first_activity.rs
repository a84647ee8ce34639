//! A container from an image that nobody vouches for was pulled, started, and did something suspicious.

use std::collections::BTreeMap;

use serde_json::json;

use super::chain::{self, Step};
use super::{
    Context, Detection, Match, Reason, Stage, Subject, Verdict, evidence, reference::Reference, registry,
    runtime,
};
use crate::activity::{Action, Activity};
use crate::history::{Kind, trail::label};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "container-first-activity",
    title: "Suspicious activity in a container just started from an unknown image",
    severity: Severity::Critical,
    score: 95,
    source: "DET0248 AN0691",
    approval: false,
    stage: Stage::Chain,
    judge,
};

/// What makes an image one to watch.
const IMAGE: [&str; 3] =
    ["container-image-not-approved", "container-image-lookalike", "container-image-newly-seen"];

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let concerns = matches!(activity.action, Action::WorkloadDeclared(_) | Action::ImagePulled(_))
        || activity.action.place().is_some_and(crate::activity::Place::is_container);
    if !concerns {
        return other("nothing about a container");
    }
    if !context.memory.is_kept() {
        return other("no history is kept, so that nothing can be joined");
    }
    let records = chain::records(activity, context);
    let joined = records.iter().filter(|record| matches!(record.key.kind, Kind::Container | Kind::Digest));
    let steps = chain::steps(joined);
    let why: Vec<Step<'_>> = steps.iter().filter(|step| step.matched(&IMAGE).is_some()).copied().collect();
    if why.is_empty() {
        return Verdict::Pass("nothing is wrong with the image as far as is known".into());
    }
    let acts = steps.iter().filter(|step| step.is(label::ACT));
    let mut best: BTreeMap<String, Chain<'_>> = BTreeMap::new();
    for chain in acts.filter_map(|act| Chain::of(activity, context, &steps, &why, act)) {
        let place = chain.place(activity);
        if best.get(&place).is_none_or(|known| known.rank() < chain.rank()) {
            best.insert(place, chain);
        }
    }
    if best.is_empty() {
        return Verdict::Pass("no pull or start with a suspicious act soon after it".into());
    }
    let mut best: Vec<(String, Chain<'_>)> = best.into_iter().collect();
    best.sort_by_key(|(_, chain)| std::cmp::Reverse(chain.links()));
    let named = best.iter().filter_map(|(place, chain)| Some((place, chain, chain.repository(activity)?)));
    let told = named.take(chain::MOST_TOLD);
    let matches = told
        .map(|(place, chain, repository)| found(activity, context, place, chain, &why, repository))
        .collect();
    Verdict::of_matches(matches).unwrap_or_else(|| Verdict::CannotTell(registry::not_named()))
}

/// An act and what came before it.
struct Chain<'a> {
    act: Step<'a>,
    pull: Option<Step<'a>>,
    create: Option<Step<'a>>,
    start: Option<Step<'a>>,
}

impl<'a> Chain<'a> {
    /// The chain that ends in an act, if this event has a part in it.
    fn of(
        activity: &Activity,
        context: &Context<'_>,
        steps: &[Step<'a>],
        why: &[Step<'a>],
        act: &Step<'a>,
    ) -> Option<Self> {
        let window = context.policy.containers.window.delta();
        let place = place_of(activity, act);
        let before = |label: &'static str| {
            steps.iter().rev().find(|step| {
                step.is(label)
                    && step.within(window, act.trace.time)
                    // A pull is the node's, and serves every container of the image.
                    && (label == label::PULLED || place_of(activity, step) == place)
            })
        };
        let chain = Self {
            act: *act,
            pull: before(label::PULLED).copied(),
            create: before(label::CREATED).copied(),
            start: before(label::RUNS).copied(),
        };
        let links = [chain.pull, chain.create, chain.start].into_iter().flatten();
        let own = links.chain([*act]).chain(why.iter().copied()).any(|step| step.trace.source == activity.id);
        (own && chain.links() > 0).then_some(chain)
    }

    /// How much of what came before is known: a pull, a start.
    fn links(&self) -> usize {
        usize::from(self.pull.is_some()) + usize::from(self.start.or(self.create).is_some())
    }

    /// The one to tell of a place: the most complete, then the earliest.
    fn rank(&self) -> impl Ord + use<> {
        (self.links(), std::cmp::Reverse(self.act.trace.time))
    }

    /// Where the act happened, as its own event has it: the same whichever event arrives last.
    fn place(&self, activity: &Activity) -> String {
        let own = &self.act.trace.place;
        if own.is_empty() { place_of(activity, &self.act) } else { own.clone() }
    }

    /// The image's repository, from whoever names it.
    fn repository(&self, activity: &Activity) -> Option<String> {
        let names = [self.start, self.create, self.pull].into_iter().flatten();
        let named = names
            .filter_map(|step| Reference::parse(step.trace.detail.split(" @ ").next().unwrap_or_default()))
            .next();
        let own = || registry::used(activity).ok()?.into_iter().find_map(|used| used.reference);
        named.or_else(own).map(|reference| reference.repository())
    }
}

/// Where a step happened. Records of a digest say so themselves; all others are this event's place.
fn place_of(activity: &Activity, step: &Step<'_>) -> String {
    let told = step.trace.detail.rsplit_once(" @ ").map(|(_, place)| place.to_owned());
    told.filter(|_| step.kind == Kind::Digest)
        .or_else(|| activity.action.place().map(crate::activity::Place::label))
        .unwrap_or_else(|| declared_pod(activity).unwrap_or_default())
}

/// The label of a declared pod, as its containers' events have it.
fn declared_pod(activity: &Activity) -> Option<String> {
    let Action::WorkloadDeclared(workload) = &activity.action else { return None };
    Some(format!("{}/{}", workload.namespace.as_deref().unwrap_or("default"), workload.name))
}

fn found(
    activity: &Activity,
    context: &Context<'_>,
    place: &str,
    best: &Chain<'_>,
    why: &[Step<'_>],
    repository: String,
) -> Match {
    let mut lines = Vec::new();
    for (step, what) in [(best.pull, "pulled"), (best.create, "created"), (best.start, "started")] {
        lines.extend(step.map(|step| {
            let image = step.trace.detail.split(" @ ").next().unwrap_or_default();
            (step.trace.time, format!("{what} {image}"))
        }));
    }
    let said = |step: &Step<'_>| step.trace.detail.split(' ').next().unwrap_or_default().to_owned();
    lines.extend(why.iter().map(|step| (step.trace.time, format!("found: {}", said(step)))));
    let act = best.act.trace.detail.split(" @ ").next().unwrap_or_default();
    lines.push((best.act.trace.time, format!("{act} in {place}")));
    let mut not_inspected = Vec::new();
    if best.pull.is_none() {
        not_inspected.push(Reason::new(
            "pull-not-seen",
            "No pull of the image within the window was seen: it may have been on the node already, or pulls are not \
             logged.",
        ));
    }
    if best.start.or(best.create).is_none() {
        not_inspected.push(Reason::new(
            "start-not-seen",
            "The start of the container was not seen: how old it is, is not known.",
        ));
    }
    let weak = !not_inspected.is_empty();
    let mut findings: Vec<String> = why.iter().map(said).collect();
    findings.sort_unstable();
    findings.dedup();
    let mut seen = evidence([
        ("repository", json!(repository)),
        ("place", json!(place)),
        ("digest", json!(crate::history::sight::digest(activity))),
        ("findings", json!(findings)),
        ("window_minutes", json!(context.policy.containers.window.delta().num_minutes())),
        ("timeline", chain::timeline(&lines)),
    ]);
    // This event may be about another container of the same image.
    let here = place_of(activity, &best.act);
    let next_steps =
        match activity.action.place().filter(|own| [place, &here].contains(&own.label().as_str())) {
            Some(place) => {
                let more = runtime::seen(place).into_iter();
                seen.extend(more.filter(|(key, _)| !["digest", "place"].contains(&key.as_str())));
                vec![runtime::isolate(), runtime::look(activity, place)]
            }
            None => vec![runtime::isolate()],
        };
    Match {
        severity: weak.then_some(Severity::High),
        summary: format!(
            "A container of {repository}, an image that nobody vouches for, had only just been {} when it did what a \
             malicious image does: {act} in {place}.",
            match (best.pull, best.start.or(best.create)) {
                (Some(_), Some(_)) => "pulled and started",
                (None, _) => "started",
                (_, None) => "pulled",
            }
        ),
        subject: Subject::Runtime { place: place.to_owned() },
        evidence: seen,
        next_steps,
        not_inspected,
    }
}

#[cfg(test)]
mod tests;
