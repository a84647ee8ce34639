//! Is a machine image approved? The policy's catalog, and the account's Allowed AMIs setting as a
//! second one.

pub mod clouds;

use chrono::{DateTime, Utc};

use super::owners::Place;
use super::{Context, Reason, doubt};
use crate::activity::Activity;
use crate::lookup::{AllowedImages, Answer, FactKey, ImageCriterion, ImageFact, Scope};
use crate::partition::Partition;
use crate::policy::{AllowedImagesSetting, Deprecated, Policy, like};

/// The catalog's answer about one image.
#[derive(Debug, Clone, PartialEq)]
pub enum Approval {
    /// Why, as the end of a sentence: `its owner 137112412989 is Amazon`.
    Approved(String),
    /// Why not, as the end of a sentence, and what could not be looked at.
    NotApproved { why: String, not_inspected: Vec<Reason> },
    /// Something that would decide is not known.
    CannotTell(Reason),
    /// Ask again with these facts.
    Need(Vec<FactKey>),
}

/// Where look-ups about an activity are made.
pub fn scope(activity: &Activity) -> Scope {
    Scope { account: activity.account.clone(), region: activity.region.clone() }
}

/// How owner words are read for an activity.
pub fn place(activity: &Activity) -> Place<'_> {
    Place { account: &activity.account, partition: Partition::of_region(&activity.region) }
}

/// Whether an id is approved by itself: whatever its owner, however old, and without any look-up.
pub fn listed(policy: &Policy, image: &str) -> bool {
    policy.images.approved.ids.iter().any(|id| id == image)
}

/// What is known of an image.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub fact: &'a ImageFact,
    /// The fact is an instance's image metadata: it carries no tags.
    pub from_instance: bool,
}

/// Judges an image by the policy, then by the account's Allowed AMIs criteria.
pub fn approval(activity: &Activity, context: &Context<'_>, image: Known<'_>) -> Approval {
    let policy = context.policy;
    let fact = image.fact;
    if listed(policy, &fact.image_id) {
        return Approval::Approved("its id is listed in the policy".to_owned());
    }
    let Some(owner) = fact.owner_id.as_deref() else {
        return Approval::CannotTell(Reason::new(
            "image-owner-unknown",
            "The look-up answered without the image's owner.",
        ));
    };
    let place = place(activity);
    match by_owner(policy, place, owner, image) {
        Some(why) => aged(policy, fact, activity.time, why),
        None if place.account.is_empty() && needs_account(policy) => Approval::CannotTell(Reason::new(
            "account-unknown",
            "The event names no account, so it cannot be told whether the image is an own one. Name it with --account.",
        )),
        None if image.from_instance && place.is("self", owner) && !policy.images.approved.tags.is_empty() => {
            Approval::CannotTell(Reason::new(
                "image-tags-unknown",
                "The image itself could not be looked up, only its instance's metadata, which holds no tags; the \
                 policy approves own images by tag.",
            ))
        }
        None => by_setting(activity, context, place, owner, fact),
    }
}

fn needs_account(policy: &Policy) -> bool {
    let approved = &policy.images.approved;
    approved
        .owners
        .iter()
        .map(|it| it.as_str())
        .chain(approved.names.iter().map(|name| name.owner.as_str()))
        .any(|owner| owner == "self")
        || !approved.tags.is_empty()
}

/// Approval by owner, by name within an owner, or by tag of an own image. An owner alias approves
/// nothing: `amazon` covers verified partners too.
fn by_owner(policy: &Policy, place: Place<'_>, owner: &str, image: Known<'_>) -> Option<String> {
    let approved = &policy.images.approved;
    if approved.owners.iter().any(|word| place.is(word, owner)) {
        return Some(format!("its owner {} is approved", place.label(owner)));
    }
    if let Some(name) = image.fact.name.as_deref() {
        let fits =
            approved.names.iter().find(|rule| place.is(&rule.owner, owner) && like(&rule.pattern, name));
        if let Some(rule) = fits {
            return Some(format!("its name fits `{}` of owner {}", rule.pattern, place.label(owner)));
        }
    }
    let marked =
        approved.watermarks.iter().find_map(|rule| {
            let (account, name) = rule.split_once(':')?;
            image.fact.watermarks.iter().find(|mark| {
                mark.split_once(':').is_some_and(|(by, given)| by == account && like(name, given))
            })
        });
    if let Some(mark) = marked {
        return Some(format!("it carries the watermark {mark}"));
    }
    let tag = approved
        .tags
        .iter()
        .find(|rule| image.fact.tags.iter().any(|(key, value)| *key == rule.key && like(&rule.value, value)));
    tag.filter(|_| place.is("self", owner)).map(|rule| format!("it is an own image tagged `{}`", rule.key))
}

/// Takes an approval back from images that are too old or deprecated.
fn aged(policy: &Policy, fact: &ImageFact, now: DateTime<Utc>, why: String) -> Approval {
    let refused = |why: String| Approval::NotApproved { why, not_inspected: Vec::new() };
    if let Some(bound) = policy.images.max_age_days {
        let Some(created) = fact.created() else {
            return Approval::CannotTell(Reason::new(
                "image-age-unknown",
                "The policy bounds the age of images, and the look-up gave no readable creation date.",
            ));
        };
        let age = now.signed_duration_since(created).num_days();
        if age > i64::from(bound) {
            return refused(format!("it is {age} days old, and the policy allows {bound}, though {why}"));
        }
    }
    match fact.deprecated() {
        Some(since) if policy.images.deprecated == Deprecated::Alert && since <= now => {
            refused(format!("it is deprecated since {}, though {why}", since.format("%Y-%m-%d")))
        }
        _ => Approval::Approved(why),
    }
}

/// Approval by the account's own Allowed AMIs criteria, audit mode included. They say nothing about own
/// images, which they never restrict.
fn by_setting(
    activity: &Activity,
    context: &Context<'_>,
    place: Place<'_>,
    owner: &str,
    fact: &ImageFact,
) -> Approval {
    let label = place.label(owner);
    let refused = |also: &str, not_inspected| Approval::NotApproved {
        why: format!("its owner {label} is not approved by the policy{also}"),
        not_inspected,
    };
    if context.policy.images.allowed_images_setting == AllowedImagesSetting::Ignore || place.is("self", owner)
    {
        return refused("", Vec::new());
    }
    let setting = match context.facts.allowed_images(&scope(activity)) {
        Answer::Ask(key) => return Approval::Need(vec![key]),
        Answer::Known(setting) => setting,
        Answer::Absent => {
            let reason =
                Reason::new("allowed-images-not-found", "The account's Allowed AMIs criteria are not known.");
            return refused("", vec![reason]);
        }
        Answer::Unavailable(reason) => {
            let reason = doubt::unavailable("allowed-images", "ec2:GetAllowedImagesSettings", reason);
            return refused("", vec![reason]);
        }
    };
    let state = setting.state.as_deref().unwrap_or_default();
    if !matches!(state, "enabled" | "audit-mode") {
        return refused("", Vec::new());
    }
    match allows(setting, fact, owner, activity.time) {
        Admits::Yes => {
            let why =
                format!("the account's Allowed AMIs criteria ({state}) admit the image of owner {label}");
            aged(context.policy, fact, activity.time, why)
        }
        Admits::No => refused(" and not admitted by the account's Allowed AMIs criteria", Vec::new()),
        Admits::CannotTell(part) => Approval::CannotTell(Reason::new(
            "allowed-images-criterion-unread",
            format!(
                "The owner {label} is not approved by the policy, and a criterion of the account's Allowed AMIs has a \
                 part that only EC2 can judge ({part}); EC2 did not say whether it allows the image."
            ),
        )),
    }
}

/// Whether a criterion admits an image.
enum Admits {
    Yes,
    No,
    /// It has a part that cannot be judged here: which.
    CannotTell(String),
}

/// Whether the criteria admit an image. What EC2 itself says about it, where it does, goes first. No
/// criteria admit nothing here: a setting that excludes nobody approves nobody. Nor do names and dates alone
/// approve, which anybody can give an image.
fn allows(setting: &AllowedImages, fact: &ImageFact, owner: &str, now: DateTime<Utc>) -> Admits {
    if fact.image_allowed == Some(false) {
        return Admits::No;
    }
    let mut doubt = None;
    for criterion in setting.image_criteria.iter().filter(|criterion| names_a_maker(criterion)) {
        match admits(criterion, fact, owner, now) {
            Admits::Yes => return Admits::Yes,
            Admits::No => {}
            Admits::CannotTell(part) => doubt = Some(part),
        }
    }
    if fact.image_allowed == Some(true) {
        // EC2 knows more than this reading does, unless a criterion explains it that anybody can fit.
        let explained =
            setting.image_criteria.is_empty() || !setting.image_criteria.iter().all(names_a_maker);
        return if doubt.is_some() || !explained { Admits::Yes } else { Admits::No };
    }
    doubt.map_or(Admits::No, Admits::CannotTell)
}

/// Whether a criterion says whose images it admits. A part that is not known here may say so.
fn names_a_maker(criterion: &ImageCriterion) -> bool {
    !criterion.image_providers.is_empty()
        || !criterion.image_watermarks.is_empty()
        || !criterion.marketplace_product_codes.is_empty()
        || !criterion.unread.is_empty()
}

fn admits(criterion: &ImageCriterion, fact: &ImageFact, owner: &str, now: DateTime<Utc>) -> Admits {
    let alias = fact.image_owner_alias.as_deref();
    let provider = |provider: &String| provider == owner || (alias == Some(provider) && provider != "none");
    let within = |since: Option<DateTime<Utc>>, days: Option<i64>| match (since, days) {
        (_, None) => true,
        (Some(since), Some(days)) => now.signed_duration_since(since).num_days() <= days,
        (None, Some(_)) => false,
    };
    let marked = |rule: &String| fact.watermarks.iter().any(|key| like(rule, key));
    let fits = (criterion.image_providers.is_empty() || criterion.image_providers.iter().any(provider))
        && (criterion.image_names.is_empty()
            || fact.name.as_deref().is_some_and(|name| criterion.image_names.iter().any(|rule| like(rule, name))))
        && (criterion.marketplace_product_codes.is_empty()
            || fact.product_codes.iter().any(|code| criterion.marketplace_product_codes.contains(code)))
        && (criterion.image_watermarks.is_empty() || criterion.image_watermarks.iter().any(marked))
        && within(fact.created(), criterion.creation_date_condition.and_then(|bound| bound.days))
        // An image that was never deprecated is not deprecated for too long.
        && (fact.deprecated().is_none()
            || within(fact.deprecated(), criterion.deprecation_time_condition.and_then(|bound| bound.days)));
    match criterion.unread.first() {
        _ if !fits => Admits::No,
        Some(part) => Admits::CannotTell(part.clone()),
        None => Admits::Yes,
    }
}

/// Why an image may stand behind an own one: approved by the policy itself, or listed as an ancestor.
/// Age is no matter there.
pub fn vouched(policy: &Policy, place: Place<'_>, fact: &ImageFact) -> Option<String> {
    if listed(policy, &fact.image_id) {
        return Some("its id is listed in the policy".to_owned());
    }
    let owner = fact.owner_id.as_deref()?;
    by_owner(policy, place, owner, Known { fact, from_instance: false })
        .or_else(|| vouched_owner(policy, place, owner))
}

/// Why an account may stand behind an own image.
pub fn vouched_owner(policy: &Policy, place: Place<'_>, owner: &str) -> Option<String> {
    let approved = policy.images.approved.owners.iter().any(|word| place.is(word, owner));
    let listed = policy.images.ancestors.iter().any(|word| place.is(word, owner));
    match (approved, listed) {
        (true, _) => Some(format!("its owner {} is approved", place.label(owner))),
        (false, true) => Some(format!("its owner {} is a listed ancestor", place.label(owner))),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests;
