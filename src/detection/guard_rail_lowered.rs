//! A setting that keeps bad images out was switched off or loosened.
//!
//! The events tell the new setting, never the old one: a setting that leaves images unguarded is told
//! even if it was so before.

mod doors;

use serde_json::{Map, Value, json};

use super::catalog;
use super::owners::Place;
use super::steps;
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, evidence, shape};
use crate::activity::{Action, Activity, Criterion, GuardRail, GuardRailChange};
use crate::policy::{AllowedImagesSetting, Policy, like};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "guard-rail-lowered",
    title: "Image protection switched off or loosened",
    severity: Severity::High,
    score: 50,
    source: "Public threat reports: Allowed AMIs, scanning and tag immutability disabled before misuse",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let Action::GuardRailChanged(rail) = &activity.action else {
        return Verdict::NotApplicable("no protecting setting was changed".into());
    };
    if let Some(code) = &rail.failed {
        return Verdict::NotApplicable(format!("nothing was changed: {code}").into());
    }
    let change = match &rail.change {
        GuardRailChange::AllowedImagesDisabled => {
            Change::lowered("Allowed AMIs was disabled: any public image can be launched")
        }
        GuardRailChange::AllowedImagesEnabled(state) => allowed_images(state),
        GuardRailChange::AllowedImagesCriteria(criteria) => {
            criteria_replaced(context.policy, catalog::place(activity), criteria)
        }
        GuardRailChange::ScanOnPush(on) => scan_on_push(*on),
        GuardRailChange::RegistryScanning { scan_type, rules } => {
            registry_scanning(scan_type.as_deref(), rules)
        }
        GuardRailChange::TagMutability(mutability) => tag_mutability(mutability),
        change => doors::judge(activity, context.policy, change),
    };
    match change {
        Change::Kept(why) => Verdict::Pass(why.into()),
        Change::Untold(text) => Verdict::CannotTell(Reason::new("setting-not-told", text)),
        Change::Lowered { what, seen } => Verdict::matched(found(activity, rail, &what, seen)),
    }
}

enum Change {
    Lowered { what: String, seen: Map<String, Value> },
    Kept(String),
    Untold(&'static str),
}

impl Change {
    fn lowered(what: impl Into<String>) -> Self {
        Self::Lowered { what: what.into(), seen: Map::new() }
    }

    fn kept(why: &str) -> Self {
        Self::Kept(why.to_owned())
    }
}

fn allowed_images(state: &str) -> Change {
    match state {
        "enabled" => Change::kept("Allowed AMIs was enabled"),
        "" => Change::Untold("The event does not tell which state Allowed AMIs was put in."),
        // Audit mode restricts nothing, just as if it were off.
        state => Change::Lowered {
            what: format!("Allowed AMIs was put in {state}: images are reported, and none is refused"),
            seen: evidence([("state", json!(state))]),
        },
    }
}

/// New criteria are a loosening where any of them admits somebody whom the policy does not approve: they are
/// alternatives, so each is judged alone. Own images are never restricted, so criteria that admit nobody else
/// are the tightest there are.
fn criteria_replaced(policy: &Policy, place: Place<'_>, criteria: &[Criterion]) -> Change {
    let shown: Vec<Value> = criteria
        .iter()
        .take(CRITERIA_SHOWN)
        .map(|it| json!({"providers": it.providers, "watermarks": it.watermarks, "other_parts": it.others}))
        .collect();
    let seen = evidence([("criteria", json!(shown)), ("criteria_count", json!(criteria.len()))]);
    if criteria.is_empty() {
        return Change::Lowered {
            what: "The criteria of Allowed AMIs were emptied: the event shows none".to_owned(),
            seen,
        };
    }
    let mut strangers: Vec<String> = Vec::new();
    for stranger in criteria.iter().flat_map(|criterion| admitted(policy, place, criterion)) {
        if !strangers.contains(&stranger) {
            strangers.push(stranger);
        }
    }
    if strangers.is_empty() {
        return Change::kept("the new criteria of Allowed AMIs admit only owners that the policy approves");
    }
    let catalog = match policy.images.allowed_images_setting {
        AllowedImagesSetting::Use => ", and the policy takes them for approved from now on",
        AllowedImagesSetting::Ignore => "",
    };
    let what = format!(
        "The criteria of Allowed AMIs now admit {}, whom the policy does not approve{catalog}",
        strangers.join("; ")
    );
    Change::Lowered { what, seen }
}

/// EC2 allows ten criteria.
const CRITERIA_SHOWN: usize = 20;

/// Whom one criterion admits, of those that the policy does not approve. Names, dates and scan results narrow
/// what a provider offers; without a provider anybody can make an image that fits them.
fn admitted(policy: &Policy, place: Place<'_>, criterion: &Criterion) -> Vec<String> {
    let stranger = |provider: &str| match provider {
        "" | "*" => "anybody".to_owned(),
        account => place.label(account),
    };
    if !criterion.providers.is_empty() {
        let providers = criterion.providers.iter().filter(|provider| !approved(policy, place, provider));
        return providers.map(|provider| stranger(provider)).collect();
    }
    if !criterion.watermarks.is_empty() {
        // Only the account in a watermark's key can attach it.
        let listed = |key: &&String| {
            policy.images.approved.watermarks.iter().any(|rule| {
                let parts = rule.split_once(':').zip(key.split_once(':'));
                parts.is_some_and(|((by, pattern), (account, name))| by == account && like(pattern, name))
            })
        };
        let strange = criterion.watermarks.iter().filter(|key| !listed(key));
        let accounts = strange.map(|key| key.split(':').next().unwrap_or_default());
        let accounts = accounts.filter(|account| !approved(policy, place, account));
        return accounts.map(|account| format!("images with a watermark of {}", stranger(account))).collect();
    }
    vec![match criterion.others.as_slice() {
        [] => "anybody (a criterion without any part)".to_owned(),
        parts => format!("anybody (a criterion with no provider, only {})", parts.join(", ")),
    }]
}

/// Whether everything that a provider admits is approved by owner. An approved name does not approve
/// the whole owner.
fn approved(policy: &Policy, place: Place<'_>, provider: &str) -> bool {
    let owners = &policy.images.approved.owners;
    match provider {
        // Own images only.
        "none" => true,
        // EC2's word covers verified partners too; a policy that says `amazon` means to go this far.
        "amazon" => owners.iter().any(|word| word == "amazon"),
        "self" => true,
        account => place.is("self", account) || owners.iter().any(|word| place.is(word, account)),
    }
}

fn scan_on_push(on: Option<bool>) -> Change {
    match on {
        Some(true) => Change::kept("scanning on push was switched on"),
        Some(false) => Change::lowered("Scanning on push was switched off"),
        None => Change::Untold("The event does not tell whether scanning on push was switched on or off."),
    }
}

fn registry_scanning(scan_type: Option<&str>, rules: &[(String, Vec<String>)]) -> Change {
    let seen = || {
        let rules: Vec<Value> = rules
            .iter()
            .map(|(frequency, filters)| json!({"frequency": frequency, "repositories": filters}))
            .collect();
        evidence([("scan_type", json!(scan_type)), ("rules", json!(rules))])
    };
    if rules.is_empty() {
        return match scan_type {
            Some(_) => Change::Lowered {
                what: "No repository is scanned by itself any more: the registry has no scanning rule left"
                    .to_owned(),
                seen: seen(),
            },
            None => Change::Untold("The event tells neither the scan type nor the rules."),
        };
    }
    let manual: Vec<String> = rules
        .iter()
        .filter(|(frequency, _)| frequency.eq_ignore_ascii_case("MANUAL"))
        .map(
            |(_, filters)| {
                if filters.is_empty() { "all repositories".to_owned() } else { filters.join(", ") }
            },
        )
        .collect();
    if !manual.is_empty() {
        let what = format!(
            "Scanning became manual for {}: nothing is scanned unless somebody asks",
            manual.join("; ")
        );
        return Change::Lowered { what, seen: seen() };
    }
    if rules.iter().any(|(frequency, _)| frequency.is_empty()) {
        return Change::Untold("The event does not tell how often a scanning rule scans.");
    }
    Change::kept("every scanning rule of the registry scans on push or continuously")
}

fn tag_mutability(mutability: &str) -> Change {
    match mutability {
        "" => Change::Untold("The event does not tell the new tag mutability."),
        kept if kept.starts_with("IMMUTABLE") => Change::kept("tags cannot be overwritten"),
        loosened => Change::Lowered {
            what: format!(
                "Tags became mutable ({loosened}): another image can take the place of one that runs"
            ),
            seen: evidence([("mutability", json!(loosened))]),
        },
    }
}

fn found(activity: &Activity, rail: &GuardRail, what: &str, seen: Map<String, Value>) -> Match {
    let setting = setting(&rail.change);
    let target = if rail.target.is_empty() { "unknown" } else { &rail.target };
    let by = activity.actor.as_ref().map(|actor| format!(" by {}", actor.name)).unwrap_or_default();
    let mut all = evidence([
        ("setting", json!(setting)),
        ("target", json!(target)),
        ("principal", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
    ]);
    all.extend(seen);
    let place = if activity.region.is_empty() { String::new() } else { format!(" in {}", activity.region) };
    Match {
        subject: Subject::GuardRail { setting: setting.to_owned(), target: target.to_owned() },
        severity: None,
        summary: format!("{what}. Changed for {target}{place}{by}."),
        evidence: all,
        next_steps: vec![
            restore(activity, rail),
            steps::trace_actor(activity),
            NextStep::new("Look at what was launched or pushed since.", None),
        ],
        not_inspected: Vec::new(),
    }
}

fn setting(change: &GuardRailChange) -> &'static str {
    match change {
        GuardRailChange::AllowedImagesDisabled
        | GuardRailChange::AllowedImagesEnabled(_)
        | GuardRailChange::AllowedImagesCriteria(_) => "allowed-images",
        GuardRailChange::ScanOnPush(_) => "scan-on-push",
        GuardRailChange::RegistryScanning { .. } => "registry-scanning",
        GuardRailChange::TagMutability(_) => "tag-mutability",
        GuardRailChange::AccessGranted { registry: true, .. } => "registry-policy",
        GuardRailChange::AccessGranted { registry: false, .. } => "repository-policy",
        GuardRailChange::PullThroughCache { .. } => "pull-through-cache",
        GuardRailChange::ReplicationTo(_) => "replication",
        GuardRailChange::ReplicatedFrom { .. } => "replicated-image",
        GuardRailChange::Signing(_) => "image-signing",
        GuardRailChange::PublicImagesUnblocked => "image-block-public-access",
        GuardRailChange::WatermarkDetached { .. } => "image-watermark",
    }
}

fn restore(activity: &Activity, rail: &GuardRail) -> NextStep {
    let repository = |operation: &str, rest: &str| {
        let repository = shape::repository(&rail.target)?;
        steps::aws(activity, operation, &format!("--repository-name {repository} {rest}"))
    };
    let command = match &rail.change {
        GuardRailChange::AllowedImagesDisabled | GuardRailChange::AllowedImagesEnabled(_) => steps::aws(
            activity,
            "ec2 enable-allowed-images-settings",
            "--allowed-images-settings-state enabled",
        ),
        GuardRailChange::AllowedImagesCriteria(_) => {
            steps::aws(activity, "ec2 get-allowed-images-settings", "--output json")
        }
        GuardRailChange::ScanOnPush(_) => repository(
            "ecr put-image-scanning-configuration",
            "--image-scanning-configuration scanOnPush=true",
        ),
        GuardRailChange::RegistryScanning { .. } => {
            steps::aws(activity, "ecr get-registry-scanning-configuration", "--output json")
        }
        GuardRailChange::TagMutability(_) => {
            repository("ecr put-image-tag-mutability", "--image-tag-mutability IMMUTABLE")
        }
        change => doors::restore(activity, rail, change),
    };
    let text = match &rail.change {
        GuardRailChange::AllowedImagesCriteria(_)
        | GuardRailChange::RegistryScanning { .. }
        | GuardRailChange::Signing(_) => {
            "If nobody can explain the change, look at the setting and put the old one back."
        }
        _ => "If nobody can explain the change, take it back.",
    };
    NextStep::new(text, command)
}

#[cfg(test)]
mod tests;
