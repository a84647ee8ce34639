//! Whether a container image comes from where images may come from: the account's own registries,
//! AWS's, and those that the policy names.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::owners::{self, Owner};
use super::reference::Reference;
use super::{Reason, Verdict, shape};
use crate::activity::{Action, Activity, ContainerImage, DeclaredContainer, WorkloadKind};
use crate::partition::Partition;
use crate::policy::Policy;

static AWS: LazyLock<Vec<Owner>> = LazyLock::new(|| owners::read(include_str!("data/aws-registries.txt")));

/// AWS's own aliases in the public gallery. Anybody can take another that begins so.
static ALIASES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| crate::indicators::entries(include_str!("data/gallery-aliases.txt")).collect());

/// Repositories that one declaration is told for, each with an alert of its own. No honest pod has more.
pub const MOST_TOLD: usize = 20;

/// What ECR's host names end in, by partition.
const ENDS: [(&str, Partition); 9] = [
    ("amazonaws.com", Partition::Aws),
    ("on.aws", Partition::Aws),
    ("amazonaws.com.cn", Partition::China),
    ("on.amazonwebservices.com.cn", Partition::China),
    ("c2s.ic.gov", Partition::Iso),
    ("sc2s.sgov.gov", Partition::IsoB),
    ("cloud.adc-e.uk", Partition::IsoE),
    ("csp.hci.ic.gov", Partition::IsoF),
    ("amazonaws.eu", Partition::EuSovereign),
];

/// Registries that anybody can fetch from over the Internet.
const PUBLIC: [&str; 20] = [
    "docker.io",
    "public.ecr.aws",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "*.gcr.io",
    "*.pkg.dev",
    "registry.k8s.io",
    "mcr.microsoft.com",
    "registry.gitlab.com",
    "lscr.io",
    "nvcr.io",
    "cgr.dev",
    "docker.elastic.co",
    "registry.access.redhat.com",
    "registry.redhat.io",
    "registry.suse.com",
    "container-registry.oracle.com",
    "docker.n8n.io",
    "xpkg.upbound.io",
];

/// One image that an activity uses.
pub struct Used<'a> {
    pub image: &'a ContainerImage,
    /// What it was read as; `None` where it names no repository.
    pub reference: Option<Reference>,
    pub namespace: Option<&'a str>,
    /// As declared, where it was.
    pub container: Option<&'a DeclaredContainer>,
    /// Where a pull-through cache fetched it from.
    pub upstream: Option<Reference>,
}

/// The images that an activity uses, or the verdict for everything that uses none.
pub fn used(activity: &Activity) -> Result<Vec<Used<'_>>, Verdict> {
    let other = |why: &'static str| Err(Verdict::NotApplicable(why.into()));
    match &activity.action {
        Action::WorkloadDeclared(workload) => {
            if let Some(code) = &workload.failed {
                return Err(Verdict::NotApplicable(format!("nothing was declared: {code}").into()));
            }
            // A task or a command names containers of a definition, which names their images.
            let elsewhere = matches!(workload.kind, WorkloadKind::Task | WorkloadKind::Exec);
            let named = |image: &ContainerImage| !image.name.is_empty() || image.digest.is_some();
            let containers: Vec<_> =
                workload.containers.iter().filter(|it| !elsewhere || named(&it.image)).collect();
            if containers.is_empty() {
                return match workload.kind {
                    WorkloadKind::TaskDefinition | WorkloadKind::Pod | WorkloadKind::PodTemplate => {
                        Err(Verdict::CannotTell(not_named()))
                    }
                    _ => other("it names no image of its own"),
                };
            }
            Ok(containers
                .into_iter()
                .map(|container| Used {
                    image: &container.image,
                    reference: reference(&container.image),
                    namespace: workload.namespace.as_deref(),
                    container: Some(container),
                    upstream: None,
                })
                .collect())
        }
        Action::ImagePulled(pull) => {
            let own = pull.repository.as_deref().filter(|_| pull.image.name.is_empty());
            let reference = match own {
                // ECR's own events name the repository alone.
                Some(repository) => {
                    let end = end_of(Partition::of_region(&activity.region));
                    let host = format!("{}.dkr.ecr.{}.{end}", activity.account, activity.region);
                    Reference::parse(&format!("{host}/{repository}"))
                }
                None => reference(&pull.image),
            };
            let upstream = pull.upstream.as_deref().and_then(|host| {
                // The first part of the repository is the cache rule's prefix.
                let path = reference.as_ref()?.path.split_once('/')?.1;
                Reference::parse(&format!("{host}/{path}"))
            });
            let namespace = pull.place.namespace.as_deref();
            Ok(vec![Used { image: &pull.image, reference, namespace, container: None, upstream }])
        }
        Action::ContainerStarted(_) | Action::ProcessStarted(_) | Action::Connected(_) => {
            let Some(place) = activity.action.place() else { return other("no image is used") };
            let Some(image) = &place.image else {
                return match &activity.action {
                    Action::ContainerStarted(_) => Err(Verdict::CannotTell(not_named())),
                    _ => other("the event names no container image"),
                };
            };
            let namespace = place.namespace.as_deref();
            let reference = reference(image);
            Ok(vec![Used { image, reference, namespace, container: None, upstream: None }])
        }
        _ => other("no container image is used"),
    }
}

/// An image's reference, with the digest the event gives beside its name.
pub fn reference(image: &ContainerImage) -> Option<Reference> {
    let mut reference = Reference::parse(&image.name)?;
    if let Some(digest) = image.digest.as_deref().and_then(shape::digest) {
        reference.digest = Some(digest.to_owned());
    }
    Some(reference)
}

/// What lists an image's repository in the policy. A reference holds nothing that YAML would mind.
pub fn listing(reference: &Reference) -> String {
    format!("containers: {{registries: [\"{}\"]}}", reference.repository())
}

/// That an event does not say which image.
pub fn not_named() -> Reason {
    Reason::new(
        "container-image-not-named",
        "The event names no image repository, only a digest, an id or nothing at all.",
    )
}

/// Where an image stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Why.
    Approved(String),
    /// Why not.
    Foreign(String),
    Unsure(Reason),
}

/// Whether an image may be used by what the policy says of registries.
pub fn standing(activity: &Activity, policy: &Policy, used: &Used<'_>) -> Standing {
    let Some(reference) = &used.reference else { return Standing::Unsure(not_named()) };
    let internal = used.namespace.and_then(|namespace| {
        let patterns = &policy.containers.namespaces.internal_only;
        patterns.iter().any(|pattern| crate::policy::like(pattern, namespace)).then_some(namespace)
    });
    if let Some(namespace) = internal.filter(|_| is_public(&reference.host)) {
        return Standing::Foreign(format!(
            "the namespace {namespace} may not use images from the Internet, and {} is a public registry",
            reference.host
        ));
    }
    if let Some(pattern) = policy.containers.registries.iter().find(|pattern| reference.fits(pattern)) {
        return Standing::Approved(format!("the policy names {pattern}"));
    }
    if let Some(upstream) = &used.upstream {
        let listed = policy.containers.registries.iter().any(|pattern| upstream.fits(pattern));
        if !listed && !is_gallery(upstream) {
            return Standing::Foreign(format!(
                "the pull-through cache fetched it from {}, which the policy does not name",
                upstream.host
            ));
        }
    }
    if is_gallery(reference) {
        return Standing::Approved("it is from AWS's own part of the public gallery".to_owned());
    }
    match ecr(&reference.host) {
        Some(_) if activity.account.is_empty() => Standing::Unsure(Reason::new(
            "account-not-named",
            "The event does not name its account, so that its own registries are not known.",
        )),
        Some((account, _)) if account == activity.account => {
            Standing::Approved("it is from the account's own registry".to_owned())
        }
        Some((account, partition))
            if AWS.iter().any(|own| own.account == account && own.partition == partition) =>
        {
            Standing::Approved("it is from a registry of AWS's own".to_owned())
        }
        Some((account, _)) => Standing::Foreign(format!(
            "its registry belongs to account {account}, which the policy does not name"
        )),
        None => {
            Standing::Foreign(format!("{} is not among the registries that the policy names", reference.host))
        }
    }
}

/// Whether anybody can fetch from a registry over the Internet.
pub fn is_public(host: &str) -> bool {
    PUBLIC.iter().any(|pattern| crate::policy::like(pattern, host))
}

fn is_gallery(reference: &Reference) -> bool {
    let alias = reference.path.split('/').next().unwrap_or_default();
    reference.host == "public.ecr.aws" && ALIASES.contains(alias)
}

/// The account and partition of a private ECR registry.
fn ecr(host: &str) -> Option<(&str, Partition)> {
    let (account, rest) = host.split_once('.')?;
    let account = shape::account(account)?;
    let kinds = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let (region, end) = rest.split_once('.')?;
    let region = shape::region(region)?;
    let (_, partition) = ENDS.into_iter().find(|(known, _)| *known == end)?;
    // GovCloud shares the commercial regions' domain.
    let partition = if partition == Partition::Aws { Partition::of_region(region) } else { partition };
    Some((account, partition))
}

fn end_of(partition: Partition) -> &'static str {
    ENDS.into_iter().find(|(_, of)| *of == partition).map_or("amazonaws.com", |(end, _)| end)
}

#[cfg(test)]
mod tests;
