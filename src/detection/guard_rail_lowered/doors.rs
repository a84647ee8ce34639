//! Doors into the account's own registry, and what vouches for images: policies, caches, replication, signing,
//! public access, watermarks.

use serde_json::json;

use super::Change;
use crate::activity::{AccessGrant, Activity, GuardRail, GuardRailChange};
use crate::detection::owners::Place;
use crate::detection::reference::Reference;
use crate::detection::{catalog, evidence, shape, steps};
use crate::policy::{Policy, like};

/// Actions by which images come into a registry, or by which this is allowed to more people.
const WAYS_IN: [&str; 12] = [
    "ecr:PutImage",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:ReplicateImage",
    "ecr:CreateRepository",
    "ecr:BatchImportUpstreamImage",
    "ecr:CreatePullThroughCacheRule",
    "ecr:SetRepositoryPolicy",
    "ecr:PutRegistryPolicy",
    "ecr:PutImageTagMutability",
    "ecr:PutReplicationConfiguration",
];

/// Grants and accounts that one alert shows.
const SHOWN: usize = 20;

pub(super) fn judge(activity: &Activity, policy: &Policy, change: &GuardRailChange) -> Change {
    let place = catalog::place(activity);
    match change {
        GuardRailChange::AccessGranted { grants: None, .. } => {
            Change::Untold("The event does not carry a policy that can be read.")
        }
        GuardRailChange::AccessGranted { registry, grants: Some(grants) } => {
            access(policy, place, *registry, grants)
        }
        GuardRailChange::PullThroughCache { upstream, prefix } => cache(policy, place, upstream, prefix),
        GuardRailChange::ReplicationTo(accounts) => replication(policy, place, accounts),
        GuardRailChange::ReplicatedFrom { account, region, image } => {
            if account.is_empty() {
                return Change::Untold("The event does not name the account that the image came from.");
            }
            if trusted(policy, place, account) {
                return Change::kept("the image was replicated from a registry that the policy approves");
            }
            let what = format!(
                "The image {image} was replicated into the registry from account {} in {region}, which the policy \
                 does not approve",
                place.label(account)
            );
            let seen = evidence([
                ("source_account", json!(account)),
                ("source_region", json!(region)),
                ("image", json!(image)),
            ]);
            Change::Lowered { what, seen }
        }
        GuardRailChange::Signing(None) => {
            Change::lowered("The signing configuration was deleted: ECR signs no pushed image any more")
        }
        GuardRailChange::Signing(Some(profiles)) => signing(policy, place, profiles),
        GuardRailChange::PublicImagesUnblocked => {
            Change::lowered("Block public access for AMIs was disabled: own images can be made public")
        }
        GuardRailChange::WatermarkDetached { image, key } => Change::Lowered {
            what: format!(
                "The watermark {key} was detached from image {image}: nothing vouches for it any more"
            ),
            seen: evidence([("image", json!(image)), ("watermark", json!(key))]),
        },
        // The caller judges every other change itself.
        _ => Change::kept("it opens no way into a registry"),
    }
}

/// Whether images may come from an account's registry: its own, an approved owner's, or one that the policy
/// names among the registries.
fn trusted(policy: &Policy, place: Place<'_>, account: &str) -> bool {
    let of_account = |pattern: &String| {
        pattern.split(['.', '/']).next().is_some_and(|first| shape::account(first) == Some(account))
    };
    place.is("self", account)
        || policy.images.approved.owners.iter().any(|word| shape::account(word) == Some(account))
        || policy.containers.registries.iter().any(of_account)
}

fn access(policy: &Policy, place: Place<'_>, registry: bool, grants: &[AccessGrant]) -> Change {
    let mut strangers: Vec<String> = Vec::new();
    let mut actions: Vec<&str> = Vec::new();
    for grant in grants.iter().filter(|grant| opens(grant)) {
        let before = strangers.len();
        for principal in grant.principals.iter().filter(|it| !is_bound(policy, place, it, grant)) {
            let stranger = match account_of(principal) {
                Some(account) => format!("account {}", place.label(account)),
                None => "anybody".to_owned(),
            };
            if !strangers.contains(&stranger) {
                strangers.push(stranger);
            }
        }
        if strangers.len() > before {
            actions.extend(grant.actions.iter().map(String::as_str));
        }
    }
    if strangers.is_empty() {
        return Change::kept("the policy lets nobody outside the account write to it");
    }
    actions.truncate(SHOWN);
    strangers.truncate(SHOWN);
    let what = format!(
        "The {} now lets {} put images into it",
        if registry { "registry policy" } else { "repository policy" },
        strangers.join(", ")
    );
    Change::Lowered { what, seen: evidence([("granted_to", json!(strangers)), ("actions", json!(actions))]) }
}

/// Whether a grant is about anything by which images come in.
fn opens(grant: &AccessGrant) -> bool {
    let named = |way: &str| {
        let way = way.to_ascii_lowercase();
        grant.actions.iter().any(|action| like(&action.to_ascii_lowercase(), &way))
    };
    if grant.not_actions {
        !WAYS_IN.iter().all(|way| named(way))
    } else {
        WAYS_IN.iter().any(|way| named(way))
    }
}

/// Whether a principal, with the grant's conditions, is somebody whom the policy trusts.
fn is_bound(policy: &Policy, place: Place<'_>, principal: &str, grant: &AccessGrant) -> bool {
    if account_of(principal).is_some_and(|account| trusted(policy, place, account)) {
        return true;
    }
    let Some(values) = &grant.bound_to else { return false };
    values.iter().all(|value| match account_of(value) {
        Some(account) => trusted(policy, place, account),
        // An organization, or a path in one: `o-abc123/r-1/*`.
        None => value.starts_with("o-") && !value.split('/').next().unwrap_or_default().contains(['*', '?']),
    })
}

/// The account that an ARN or an account id names.
fn account_of(principal: &str) -> Option<&str> {
    shape::account(principal).or_else(|| shape::account(principal.strip_prefix("arn:")?.split(':').nth(3)?))
}

fn cache(policy: &Policy, place: Place<'_>, upstream: &str, prefix: &str) -> Change {
    let host = upstream.trim_start_matches("https://").trim_end_matches('/');
    // Docker Hub's API has a name of its own.
    let host = if host == "registry-1.docker.io" { "docker.io" } else { host };
    let seen = evidence([("upstream", json!(upstream)), ("prefix", json!(prefix))]);
    if host.is_empty() {
        return Change::Untold("The event does not name the registry that is cached.");
    }
    let account = host.split('.').next().and_then(shape::account);
    let listed = Reference::parse(&format!("{host}/any/image"))
        .is_some_and(|image| policy.containers.registries.iter().any(|pattern| is_host(pattern, &image)));
    if listed || account.is_some_and(|account| host.contains(".dkr.ecr.") && trusted(policy, place, account))
    {
        return Change::kept("the policy names the registry that is cached");
    }
    Change::Lowered {
        what: format!(
            "A pull-through cache of {host} was made under {prefix}: its images are stored in the own registry, \
             and the policy does not name it"
        ),
        seen,
    }
}

/// Whether a pattern of the policy names an image's registry as a whole.
fn is_host(pattern: &str, image: &Reference) -> bool {
    let host = pattern.split('/').next().unwrap_or(pattern);
    image.fits(&format!("{host}/*"))
}

fn replication(policy: &Policy, place: Place<'_>, accounts: &[String]) -> Change {
    let strangers = accounts.iter().filter(|account| !trusted(policy, place, account));
    let strangers: Vec<String> = strangers.take(SHOWN).map(|account| place.label(account)).collect();
    if strangers.is_empty() {
        return Change::kept("images are replicated within registries that the policy approves");
    }
    Change::Lowered {
        what: format!(
            "Every new image is now copied to the registry of account {}, which the policy does not approve",
            strangers.join(", ")
        ),
        seen: evidence([("destinations", json!(strangers))]),
    }
}

fn signing(policy: &Policy, place: Place<'_>, profiles: &[String]) -> Change {
    if profiles.is_empty() {
        return Change::lowered(
            "The signing configuration has no rule left: ECR signs no pushed image any more",
        );
    }
    let foreign = |profile: &&String| !account_of(profile).is_some_and(|it| trusted(policy, place, it));
    let foreign: Vec<&String> = profiles.iter().filter(foreign).take(SHOWN).collect();
    if foreign.is_empty() {
        return Change::kept("images are signed with profiles of accounts that the policy approves");
    }
    Change::Lowered {
        what: "Pushed images are now signed with a profile of an account that the policy does not approve"
            .to_owned(),
        seen: evidence([("signing_profiles", json!(foreign))]),
    }
}

/// The command that undoes a change, or that shows what there is to undo.
pub(super) fn restore(activity: &Activity, rail: &GuardRail, change: &GuardRailChange) -> Option<String> {
    let plain = |operation: &str, rest: &str| steps::aws(activity, operation, rest);
    match change {
        GuardRailChange::AccessGranted { registry: true, .. } => {
            plain("ecr delete-registry-policy", "--output json")
        }
        GuardRailChange::AccessGranted { registry: false, .. } => {
            let repository = shape::repository(&rail.target)?;
            plain("ecr delete-repository-policy", &format!("--repository-name {repository}"))
        }
        GuardRailChange::PullThroughCache { prefix, .. } => {
            let prefix = shape::repository(prefix)?;
            plain("ecr delete-pull-through-cache-rule", &format!("--ecr-repository-prefix {prefix}"))
        }
        GuardRailChange::ReplicationTo(_) => {
            plain("ecr put-replication-configuration", "--replication-configuration '{\"rules\":[]}'")
        }
        GuardRailChange::ReplicatedFrom { .. } => plain("ecr get-registry-policy", "--output json"),
        GuardRailChange::Signing(_) => plain("ecr get-signing-configuration", "--output json"),
        GuardRailChange::PublicImagesUnblocked => plain(
            "ec2 enable-image-block-public-access",
            "--image-block-public-access-state block-new-sharing",
        ),
        GuardRailChange::WatermarkDetached { image, key } => {
            let image = shape::image(image)?;
            let name = shape::tag(key.rsplit(':').next()?)?;
            plain("ec2 attach-image-watermark", &format!("--image-id {image} --watermark-name {name}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::detection::{Match, Verdict};

    fn judged(change: GuardRailChange, yaml: &str) -> Verdict {
        Given::none().judge(&super::super::DETECTION, &changed(change), &policy(yaml))
    }

    fn grant(principal: &str, action: &str, bound_to: Option<&str>) -> GuardRailChange {
        let grant = AccessGrant {
            principals: vec![principal.to_owned()],
            actions: vec![action.to_owned()],
            not_actions: false,
            bound_to: bound_to.map(|value| vec![value.to_owned()]),
        };
        GuardRailChange::AccessGranted { registry: true, grants: Some(vec![grant]) }
    }

    fn command(found: &Match) -> Option<&str> {
        found.next_steps[0].command.as_deref()
    }

    #[test]
    fn a_stranger_who_may_write_to_the_registry_is_told() {
        let root = format!("arn:aws:iam::{STRANGER}:root");
        for action in ["ecr:ReplicateImage", "ecr:*", "*", "ECR:Put*", "ecr:CreateRepository"] {
            let found = matched(judged(grant(&root, action, None), "{}"));
            assert!(found.summary.contains(STRANGER), "{}", found.summary);
            let undo = format!("aws ecr delete-registry-policy --region {REGION} --output json");
            assert_eq!(command(&found), Some(undo.as_str()));
            matched(judged(grant("*", action, None), "{}"));
            matched(judged(grant(STRANGER, action, None), "{}"));
        }
    }

    #[test]
    fn pulls_and_the_accounts_that_the_policy_approves_are_no_doors() {
        passed(judged(grant("*", "ecr:BatchGetImage", None), "{}"));
        passed(judged(grant(&format!("arn:aws:iam::{ACCOUNT}:root"), "ecr:*", None), "{}"));
        let approved = format!("images: {{approved: {{owners: [\"{STRANGER}\"]}}}}");
        passed(judged(grant(STRANGER, "ecr:ReplicateImage", None), &approved));
        let listed = format!("containers: {{registries: [\"{STRANGER}.dkr.ecr.*.amazonaws.com/*\"]}}");
        passed(judged(grant(STRANGER, "ecr:ReplicateImage", None), &listed));
    }

    #[test]
    fn a_condition_helps_only_where_it_names_somebody_trusted() {
        passed(judged(grant("*", "ecr:*", Some("o-abc123")), "{}"));
        passed(judged(grant("*", "ecr:*", Some(ACCOUNT)), "{}"));
        for value in
            [STRANGER, "*", "o-*", "arn:aws:iam::*:role/x", &format!("arn:aws:iam::{STRANGER}:role/x")]
        {
            matched(judged(grant("*", "ecr:*", Some(value)), "{}"));
        }
    }

    #[test]
    fn everything_but_some_actions_is_a_door() {
        let grant = AccessGrant {
            principals: vec!["*".to_owned()],
            actions: vec!["ecr:DeleteRepository".to_owned()],
            not_actions: true,
            bound_to: None,
        };
        matched(judged(GuardRailChange::AccessGranted { registry: false, grants: Some(vec![grant]) }, "{}"));
        let unread = GuardRailChange::AccessGranted { registry: false, grants: None };
        cannot_tell(judged(unread, "{}"));
    }

    #[test]
    fn a_cache_of_a_registry_that_the_policy_does_not_name_is_told() {
        let cache = |upstream: &str| GuardRailChange::PullThroughCache {
            upstream: upstream.to_owned(),
            prefix: "hub".to_owned(),
        };
        let found = matched(judged(cache("registry-1.docker.io"), "{}"));
        assert!(command(&found).unwrap().ends_with("--ecr-repository-prefix hub"));
        passed(judged(cache("registry-1.docker.io"), "containers: {registries: [\"docker.io/*\"]}"));
        passed(judged(cache(&format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com")), "{}"));
        matched(judged(cache(&format!("{STRANGER}.dkr.ecr.eu-west-1.amazonaws.com")), "{}"));
        matched(judged(cache(&format!("{ACCOUNT}.example.com")), "{}"));
    }

    #[test]
    fn replication_to_and_from_strangers_is_told() {
        matched(judged(GuardRailChange::ReplicationTo(vec![ACCOUNT.to_owned(), STRANGER.to_owned()]), "{}"));
        passed(judged(GuardRailChange::ReplicationTo(vec![ACCOUNT.to_owned()]), "{}"));
        let from = |account: &str| GuardRailChange::ReplicatedFrom {
            account: account.to_owned(),
            region: "us-east-1".to_owned(),
            image: "team/app:1".to_owned(),
        };
        matched(judged(from(STRANGER), "{}"));
        passed(judged(from(ACCOUNT), "{}"));
    }

    #[test]
    fn what_vouches_for_images_is_missed_when_it_goes() {
        matched(judged(GuardRailChange::Signing(None), "{}"));
        matched(judged(GuardRailChange::Signing(Some(Vec::new())), "{}"));
        let profile = |account: &str| format!("arn:aws:signer:{REGION}:{account}:/signing-profiles/x");
        passed(judged(GuardRailChange::Signing(Some(vec![profile(ACCOUNT)])), "{}"));
        matched(judged(GuardRailChange::Signing(Some(vec![profile(STRANGER)])), "{}"));
        matched(judged(GuardRailChange::PublicImagesUnblocked, "{}"));
        let image = AMI.to_owned();
        let key = format!("{ACCOUNT}:golden");
        let found = matched(judged(GuardRailChange::WatermarkDetached { image, key }, "{}"));
        assert!(command(&found).unwrap().ends_with("--watermark-name golden"));
    }
}
