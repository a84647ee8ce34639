//! ECR and ECR Public calls.

use serde_json::Value;

use super::{Record, guard, manifest};
use crate::activity::{Action, Activity, Artifact, ContainerImage, Pull, Push, Scan, ScanSource, ScanStatus};
use crate::partition::Partition;
use crate::source::fields::{Arn, account, get, list_of, objects, text, text_at};
use crate::source::findings;

/// The calls of ECR that are read.
pub(super) const OPERATIONS: [&str; 13] = [
    "PutImage",
    "BatchGetImage",
    "DescribeImageScanFindings",
    "PutImageScanningConfiguration",
    "PutRegistryScanningConfiguration",
    "PutImageTagMutability",
    "PutRegistryPolicy",
    "SetRepositoryPolicy",
    "CreatePullThroughCacheRule",
    "UpdatePullThroughCacheRule",
    "PutReplicationConfiguration",
    "PutSigningConfiguration",
    "DeleteSigningConfiguration",
];

pub(super) fn read(record: &Record<'_>, public: bool) -> Vec<Activity> {
    match record.operation {
        "PutImage" => vec![record.by_caller(Action::ImagePushed(push(record, public)))],
        "BatchGetImage" => pulls(record),
        "DescribeImageScanFindings" => scan(record),
        "PutImageScanningConfiguration" => guard::scan_on_push(record, repository(record)),
        "PutRegistryScanningConfiguration" => guard::registry_scanning(record, registry(record)),
        "PutImageTagMutability" => guard::tag_mutability(record, repository(record)),
        "PutRegistryPolicy" => guard::access(record, true, registry(record)),
        "SetRepositoryPolicy" => guard::access(record, false, repository(record)),
        "CreatePullThroughCacheRule" | "UpdatePullThroughCacheRule" => {
            guard::pull_through_cache(record, registry(record))
        }
        "PutReplicationConfiguration" => guard::replication(record, registry(record)),
        "PutSigningConfiguration" | "DeleteSigningConfiguration" => guard::signing(record, registry(record)),
        _ => Vec::new(),
    }
}

/// The ARNs of a record's `resources`, whose keys are in capitals.
fn arns<'a>(record: &Record<'a>) -> Vec<&'a str> {
    list_of(record.raw, "resources")
        .into_iter()
        .filter_map(|resource| crate::source::fields::str(resource, "ARN"))
        .collect()
}

fn repository(record: &Record<'_>) -> String {
    record
        .asked(&["repositoryName"])
        .or_else(|| record.answered(&["image", "repositoryName"]))
        .or_else(|| record.answered(&["repositoryName"]))
        .or_else(|| {
            let arns = arns(record);
            let name = arns.into_iter().find_map(|arn| Arn::parse(arn)?.repository());
            name.map(str::to_owned)
        })
        .unwrap_or_default()
}

fn registry(record: &Record<'_>) -> String {
    let named = |body: Option<&Value>| account(body?, "registryId");
    named(record.response.and_then(|response| get(response, "image")))
        .or_else(|| named(record.response))
        .or_else(|| named(record.request))
        .or_else(|| {
            let arns = arns(record);
            let arn = arns.into_iter().filter_map(Arn::parse).find(|arn| arn.repository().is_some())?;
            (!arn.account.is_empty()).then(|| arn.account.to_owned())
        })
        .unwrap_or_else(|| record.account.clone())
}

fn push(record: &Record<'_>, public: bool) -> Push {
    let image = record.response.and_then(|response| get(response, "image"));
    let answered = |path: &[&str]| text_at(image?, path);
    let tag = record.asked(&["imageTag"]).or_else(|| answered(&["imageId", "imageTag"]));
    let digest = answered(&["imageId", "imageDigest"]).or_else(|| record.asked(&["imageDigest"]));
    let text = record.asked(&["imageManifest"]).or_else(|| answered(&["imageManifest"]));
    let media_type =
        record.asked(&["imageManifestMediaType"]).or_else(|| answered(&["imageManifestMediaType"]));
    let manifest = text.as_deref().and_then(manifest::parse);
    let artifact = match &manifest {
        Some(manifest) => manifest.artifact,
        None if media_type.as_deref().is_some_and(manifest::is_index) => Artifact::Index,
        // Left out for its size, or broken. The tag is chosen by whoever pushes, and proves nothing.
        None => Artifact::Image,
    };
    let (declared, children) = manifest.map(|it| (it.media_type, it.children)).unwrap_or_default();
    Push {
        repository: repository(record),
        registry: registry(record),
        public,
        tag,
        digest,
        media_type: declared.or(media_type),
        children,
        artifact,
        failed: record.error.clone(),
    }
}

/// `BatchGetImage`, with which every pull starts: one pull an image that was asked for. A call that
/// failed pulled nothing.
fn pulls(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() {
        return Vec::new();
    }
    let repository = repository(record);
    let asked = record.request.map(|request| objects(request, "imageIds")).unwrap_or_default();
    let mut images: Vec<ContainerImage> = Vec::new();
    for id in asked {
        let image = stored_image(
            &registry(record),
            &record.region,
            &repository,
            text(id, "imageTag"),
            text(id, "imageDigest"),
        );
        if !images.contains(&image) {
            images.push(image);
        }
    }
    if images.is_empty() {
        images.push(stored_image(&registry(record), &record.region, &repository, None, None));
    }
    let pulls = images.into_iter().map(|image| Pull {
        image,
        repository: (!repository.is_empty()).then(|| repository.clone()),
        ..Pull::default()
    });
    pulls.map(|pull| record.by_caller(Action::ImagePulled(pull))).collect()
}

/// An image of a private registry by its full name; an empty name where too little is known.
pub(in crate::source) fn stored_image(
    registry: &str,
    region: &str,
    repository: &str,
    tag: Option<String>,
    digest: Option<String>,
) -> ContainerImage {
    if [registry, region, repository].iter().any(|part| part.is_empty()) {
        return ContainerImage { name: String::new(), digest };
    }
    let domain = Partition::of_region(region).dns_suffix();
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    ContainerImage { name: format!("{registry}.dkr.ecr.{region}.{domain}/{repository}{tag}"), digest }
}

/// What reading scan results showed. Whoever read them is not to blame for them, so no actor.
fn scan(record: &Record<'_>) -> Vec<Activity> {
    if record.error.is_some() {
        return Vec::new();
    }
    let response = record.response;
    let results = response.and_then(|response| get(response, "imageScanFindings"));
    let listed = results.map(findings::list).unwrap_or_default();
    let counted = results.and_then(|results| get(results, "findingSeverityCounts")).map(findings::counts);
    let told = counted.is_some() || !listed.is_empty();
    let counts = counted.filter(|it| !it.is_empty()).unwrap_or_else(|| findings::tally(&listed));
    let status = record.answered(&["imageScanStatus", "status"]);
    let digest =
        record.answered(&["imageId", "imageDigest"]).or_else(|| record.asked(&["imageId", "imageDigest"]));
    let tag = record.answered(&["imageId", "imageTag"]).or_else(|| record.asked(&["imageId", "imageTag"]));
    let status = match status {
        // CloudTrail leaves the response of most read-only calls out: nothing can be learned from those.
        _ if results.is_none() => ScanStatus::Failed("NO_RESULTS_IN_EVENT".to_owned()),
        status => findings::status(status.as_deref(), told, &counts),
    };
    let reader = record.caller();
    let scan = Scan {
        source: ScanSource::Read,
        status,
        repository: repository(record),
        registry: registry(record),
        digest: digest.unwrap_or_default(),
        tags: tag.into_iter().collect(),
        counts,
        findings: listed,
        read_by: reader.map(|reader| reader.principal),
    };
    vec![record.activity(None, Action::ImageScanned(scan))]
}
