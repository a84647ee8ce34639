//! The detections: one small file each, a pure synchronous function of an activity, the policy and
//! the facts it asked for.
//!
//! Adding one is one file in this folder, one line in [`REGISTRY`], and one page in `docs/`.

mod blocked_destination;
pub(crate) mod catalog;
mod chain;
mod commands;
mod container_first_activity;
pub(crate) mod container_image_lookalike;
mod container_image_mutable_tag;
mod container_image_newly_seen;
mod container_image_not_approved;
mod credential_in_command;
mod doubt;
mod ecr_push_outside_hours;
mod ecr_push_unknown_user;
mod ecr_scan_critical;
mod ecr_scan_high;
mod ecr_scan_low;
mod ecr_scan_medium;
mod ecs_mass_mining;
mod first_boot_activity;
mod guard_rail_lowered;
mod guardduty_malicious_image;
pub(crate) mod launch;
mod launch_attempt_denied;
mod machine_image_laundered;
mod machine_image_name_confusion;
mod machine_image_newly_seen;
mod machine_image_not_approved;
mod miner_process;
mod mining_pool_connection;
mod mining_pool_dns;
mod monitoring_disabled;
mod network;
mod new_destination;
mod offensive_tool;
mod origin;
pub(crate) mod owners;
pub(crate) mod policy_changed;
pub(crate) mod push;
pub mod reference;
pub(crate) mod registry;
mod repository_risk;
mod runtime;
mod scan;
pub(crate) mod self_check;
pub mod shape;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod user_data_changed;
mod user_data_suspicious;

pub(crate) use network::is_public;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::activity::Activity;
use crate::history::Memory;
use crate::lookup::{FactKey, Facts};
use crate::policy::Policy;
use crate::severity::Severity;

/// Every detection, in the order a reader would want them; ties in severity go by this order.
pub static REGISTRY: &[&Detection] = &[
    &guardduty_malicious_image::DETECTION,
    &miner_process::DETECTION,
    &first_boot_activity::DETECTION,
    &container_first_activity::DETECTION,
    &monitoring_disabled::DETECTION,
    &machine_image_not_approved::DETECTION,
    &machine_image_laundered::DETECTION,
    &machine_image_name_confusion::DETECTION,
    &user_data_suspicious::DETECTION,
    &ecs_mass_mining::DETECTION,
    &mining_pool_connection::DETECTION,
    &mining_pool_dns::DETECTION,
    &credential_in_command::DETECTION,
    &offensive_tool::DETECTION,
    &container_image_lookalike::DETECTION,
    &repository_risk::DETECTION,
    &guard_rail_lowered::DETECTION,
    &policy_changed::DETECTION,
    &self_check::DETECTION,
    &ecr_scan_critical::DETECTION,
    &machine_image_newly_seen::DETECTION,
    &user_data_changed::DETECTION,
    &ecr_push_outside_hours::DETECTION,
    &ecr_push_unknown_user::DETECTION,
    &ecr_scan_high::DETECTION,
    &blocked_destination::DETECTION,
    &new_destination::DETECTION,
    &container_image_not_approved::DETECTION,
    &container_image_newly_seen::DETECTION,
    &container_image_mutable_tag::DETECTION,
    &launch_attempt_denied::DETECTION,
    &ecr_scan_medium::DETECTION,
    &ecr_scan_low::DETECTION,
];

/// One detection.
pub struct Detection {
    /// `machine-image-not-approved`: the name in policies, alerts, metrics and docs.
    pub id: &'static str,
    /// One line for people: `Instance launched from an image that is not approved`.
    pub title: &'static str,
    /// Unless the policy or the match says otherwise.
    pub severity: Severity,
    /// Risk it adds to its repository or image, unless the policy says otherwise.
    pub score: u32,
    /// What it is derived from: `DET0248 AN0692`, `Splunk: ...`.
    pub source: &'static str,
    /// A check of approval: when it cannot tell, that is an alert of its own.
    pub approval: bool,
    pub stage: Stage,
    pub judge: fn(&Activity, &Context<'_>) -> Verdict,
}

/// When a detection is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// By itself.
    Event,
    /// After those, with what they matched: chains and sums.
    Chain,
}

/// Looks a detection up by its id.
pub fn find(id: &str) -> Option<&'static Detection> {
    REGISTRY.iter().copied().find(|detection| detection.id == id)
}

/// What a detection may look at besides the activity.
pub struct Context<'a> {
    pub policy: &'a Policy,
    pub facts: &'a Facts,
    /// What is remembered about the activity's subjects.
    pub memory: &'a Memory,
    /// What matched in the stage before.
    pub matches: &'a [(&'static Detection, Box<Match>)],
}

/// A detection's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// What it saw, never empty. There is one match for each subject, since one event may complete the chains of
    /// several instances or declare several images. Write [`Verdict::matched`] or [`Verdict::of_matches`].
    Match(Vec<Match>),
    /// Looked at, and found in order: why.
    Pass(Cow<'static, str>),
    /// Not about such an activity, or switched off: why.
    NotApplicable(Cow<'static, str>),
    /// Would have to know something it cannot.
    CannotTell(Reason),
    /// Ask again with these facts.
    Need(Vec<FactKey>),
}

impl Verdict {
    /// One match.
    pub fn matched(one: Match) -> Self {
        Verdict::Match(vec![one])
    }

    /// All matches; `None` where there are none. Who finds them bounds how many one event may tell.
    pub fn of_matches(matches: Vec<Match>) -> Option<Self> {
        (!matches.is_empty()).then_some(Verdict::Match(matches))
    }

    /// What it saw; nothing where it did not match.
    pub fn matches(&self) -> &[Match] {
        match self {
            Verdict::Match(matches) => matches,
            _ => &[],
        }
    }
}

/// Why something cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason {
    /// Stable and without ids, since alerts about it are one thread a day for each account and code:
    /// `image-lookup-denied`.
    pub code: String,
    /// For people.
    pub text: String,
}

impl Reason {
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}

/// What a detection saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub subject: Subject,
    /// Where it differs from the detection's own.
    pub severity: Option<Severity>,
    /// One sentence with the particulars: what, which, whose.
    pub summary: String,
    /// What was seen, for OCSF `evidences[].data` and the alert's evidence table. Insertion order is
    /// reading order where a renderer keeps it.
    pub evidence: Map<String, Value>,
    /// What a reader should do, most useful first.
    pub next_steps: Vec<NextStep>,
    /// What this detection could not look at, though it matched.
    pub not_inspected: Vec<Reason>,
}

/// Something to do, with the command that does it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    pub text: String,
    /// A shell command, its values already quoted. Anything in it that an attacker chose has been
    /// checked against the shape such a value must have.
    pub command: Option<String>,
    /// Lines for the policy file, to be copied as they stand. The same holds for what is in them.
    pub policy: Option<String>,
}

impl NextStep {
    pub fn new(text: impl Into<String>, command: Option<String>) -> Self {
        Self { text: text.into(), command, policy: None }
    }

    /// With lines for the policy file instead of a command.
    pub fn policy(text: impl Into<String>, lines: Option<String>) -> Self {
        Self { text: text.into(), command: None, policy: lines }
    }
}

/// Collects evidence; what is not known (`null`) is left out.
fn evidence<const N: usize>(parts: [(&str, Value); N]) -> Map<String, Value> {
    parts
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// What an alert is about: all matches of one event with the same subject are one alert, and all
/// alerts of one subject within a window are one thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A machine image and who launched or derived it.
    MachineImage { image: String, principal: String },
    /// A repository and who pushed to it.
    Push { repository: String, principal: String },
    /// A repository as a whole: what adds up there.
    Repository { repository: String },
    /// A digest in a repository.
    Scan { repository: String, digest: String },
    /// A protecting setting and what it protects.
    GuardRail { setting: String, target: String },
    /// A container image, by its repository with its registry: `docker.io/library/nginx`.
    ContainerImage { repository: String },
    /// What runs: the container, pod, task or instance as [`crate::activity::Place::label`] names it.
    Runtime { place: String },
    /// A launch template, a launch configuration or a spot request.
    Template { template: String },
    /// An image that an approval check could not judge, and who uses it.
    Unchecked { image: String, principal: String },
    /// The function cannot see, or cannot tell anybody: one thread a day for each account and reason.
    Blind { detection: String, code: String },
    /// One detection's alerts in one account, too many to be told singly.
    Storm { detection: String },
}

impl Subject {
    /// Its kind and what names it. Two subjects are the same when these are.
    pub fn parts(&self) -> [&str; 3] {
        match self {
            Subject::MachineImage { image, principal } => ["machine-image", image, principal],
            Subject::Push { repository, principal } => ["push", repository, principal],
            Subject::Repository { repository } => ["repository", repository, ""],
            Subject::Scan { repository, digest } => ["scan", repository, digest],
            Subject::GuardRail { setting, target } => ["guard-rail", setting, target],
            Subject::ContainerImage { repository } => ["container-image", repository, ""],
            Subject::Runtime { place } => ["runtime", place, ""],
            Subject::Template { template } => ["template", template, ""],
            Subject::Unchecked { image, principal } => ["unchecked", image, principal],
            Subject::Blind { detection, code } => ["blind", detection, code],
            Subject::Storm { detection } => ["storm", detection, ""],
        }
    }

    /// A text of it for people.
    pub fn key(&self) -> String {
        let [kind, name, rest] = self.parts();
        if rest.is_empty() { format!("{kind}|{name}") } else { format!("{kind}|{name}|{rest}") }
    }
}

#[cfg(test)]
mod tests;
