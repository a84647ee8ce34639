//! From the SDK's types to facts.

use aws_sdk_ec2::operation::get_allowed_images_settings::GetAllowedImagesSettingsOutput;
use aws_sdk_ec2::types as ec2;
use aws_sdk_ecr::types as ecr;
use aws_smithy_types::date_time::{DateTime, Format};

use crate::activity::ScanFinding;
use crate::lookup::fact::MaximumDays;
use crate::lookup::{
    AllowedImages, Ancestor, ImageCriterion, ImageFact, InstanceFact, SnapshotFact, TemplateFact,
};

pub(super) fn image(image: ec2::Image) -> ImageFact {
    let mappings = image.block_device_mappings.unwrap_or_default();
    ImageFact {
        image_id: image.image_id.unwrap_or_default(),
        owner_id: image.owner_id,
        image_owner_alias: image.image_owner_alias,
        name: image.name,
        description: image.description,
        public: image.public,
        state: image.state.map(|state| state.as_str().to_owned()),
        creation_date: image.creation_date,
        deprecation_time: image.deprecation_time,
        image_allowed: image.image_allowed,
        source_image_id: image.source_image_id,
        source_image_region: image.source_image_region,
        source_instance_id: image.source_instance_id,
        snapshots: mappings.into_iter().filter_map(|mapping| mapping.ebs?.snapshot_id).collect(),
        product_codes: image
            .product_codes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|code| code.product_code_id)
            .collect(),
        tags: tags(image.tags),
        watermarks: watermarks(image.image_watermarks),
    }
}

fn watermarks(marks: Option<Vec<ec2::ImageWatermark>>) -> Vec<String> {
    marks.unwrap_or_default().into_iter().filter_map(|mark| mark.watermark_key).collect()
}

pub(super) fn metadata(image: ec2::ImageMetadata) -> ImageFact {
    ImageFact {
        image_id: image.image_id.unwrap_or_default(),
        owner_id: image.owner_id,
        image_owner_alias: image.image_owner_alias,
        name: image.name,
        public: image.is_public,
        state: image.state.map(|state| state.as_str().to_owned()),
        creation_date: image.creation_date,
        deprecation_time: image.deprecation_time,
        image_allowed: image.image_allowed,
        watermarks: watermarks(image.image_watermarks),
        ..ImageFact::default()
    }
}

pub(super) fn ancestor(entry: ec2::ImageAncestryEntry) -> Ancestor {
    Ancestor {
        image_id: entry.image_id.unwrap_or_default(),
        image_owner_alias: entry.image_owner_alias,
        creation_date: entry.creation_date.and_then(time),
        source_image_id: entry.source_image_id,
        source_image_region: entry.source_image_region,
    }
}

pub(super) fn snapshot(snapshot: ec2::Snapshot) -> SnapshotFact {
    SnapshotFact {
        snapshot_id: snapshot.snapshot_id.unwrap_or_default(),
        owner_id: snapshot.owner_id,
        owner_alias: snapshot.owner_alias,
        description: snapshot.description,
    }
}

pub(super) fn allowed_images(setting: GetAllowedImagesSettingsOutput) -> AllowedImages {
    let criterion = |criterion: ec2::ImageCriterion| ImageCriterion {
        image_providers: criterion.image_providers.unwrap_or_default(),
        image_names: criterion.image_names.unwrap_or_default(),
        marketplace_product_codes: criterion.marketplace_product_codes.unwrap_or_default(),
        creation_date_condition: criterion
            .creation_date_condition
            .map(|bound| MaximumDays { days: bound.maximum_days_since_created.map(i64::from) }),
        deprecation_time_condition: criterion
            .deprecation_time_condition
            .map(|bound| MaximumDays { days: bound.maximum_days_since_deprecated.map(i64::from) }),
    };
    AllowedImages {
        state: setting.state,
        managed_by: setting.managed_by.map(|by| by.as_str().to_owned()),
        image_criteria: setting.image_criteria.unwrap_or_default().into_iter().map(criterion).collect(),
    }
}

pub(super) fn template(version: ec2::LaunchTemplateVersion) -> TemplateFact {
    let data = version.launch_template_data;
    let (image_id, user_data) = data.map(|data| (data.image_id, data.user_data)).unwrap_or_default();
    TemplateFact {
        template_id: version.launch_template_id,
        template_name: version.launch_template_name,
        version: version.version_number,
        image_id,
        user_data,
    }
}

pub(super) fn instance(instance: ec2::Instance) -> InstanceFact {
    InstanceFact {
        instance_id: instance.instance_id.unwrap_or_default(),
        image_id: instance.image_id,
        client_token: instance.client_token,
        subnet_id: instance.subnet_id,
        tags: tags(instance.tags),
    }
}

/// A finding of a basic scan: package and version are attributes.
pub(super) fn finding(finding: ecr::ImageScanFinding) -> ScanFinding {
    let mut found = ScanFinding {
        name: finding.name.unwrap_or_default(),
        severity: finding.severity.map(|severity| severity.as_str().to_owned()).unwrap_or_default(),
        uri: finding.uri,
        ..ScanFinding::default()
    };
    for attribute in finding.attributes.unwrap_or_default() {
        match attribute.key.as_str() {
            "package_name" => found.package = attribute.value,
            "package_version" => found.version = attribute.value,
            _ => {}
        }
    }
    found
}

/// A finding of an enhanced scan, of which the first vulnerable package is named.
pub(super) fn enhanced_finding(finding: ecr::EnhancedImageScanFinding) -> ScanFinding {
    let details = finding.package_vulnerability_details;
    let (id, uri, packages) = details
        .map(|details| (details.vulnerability_id, details.source_url, details.vulnerable_packages))
        .unwrap_or_default();
    let package = packages.unwrap_or_default().into_iter().next();
    let (package, version, fixed_in) =
        package.map(|package| (package.name, package.version, package.fixed_in_version)).unwrap_or_default();
    ScanFinding {
        name: id.or(finding.title).unwrap_or_default(),
        severity: finding.severity.unwrap_or_default().to_ascii_uppercase(),
        package,
        version,
        fixed_in,
        uri,
        exploit_available: finding.exploit_available.map(|available| available.eq_ignore_ascii_case("yes")),
        status: finding.status.map(|status| status.to_ascii_uppercase()),
    }
}

fn tags(tags: Option<Vec<ec2::Tag>>) -> Vec<(String, String)> {
    let tags = tags.unwrap_or_default().into_iter();
    tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect()
}

fn time(time: DateTime) -> Option<String> {
    time.fmt(Format::DateTime).ok()
}
