//! The facts themselves, in the words of the AWS APIs they come from.
//!
//! They deserialise from what the AWS CLI prints (PascalCase), leniently: a missing field is `None`.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::activity::ScanFinding;

/// Any fact.
#[derive(Debug, Clone, PartialEq)]
pub enum FactValue {
    Image(Box<ImageFact>),
    Ancestry(Vec<Ancestor>),
    Snapshot(SnapshotFact),
    AllowedImages(AllowedImages),
    Scan(ScanReport),
    Template(TemplateFact),
    Instances(Vec<InstanceFact>),
    /// As EC2 keeps it; empty where there is none.
    UserData(Vec<u8>),
}

/// `DescribeImages` `Images[]`, or the `ImageMetadata` of `DescribeInstanceImageMetadata`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageFact {
    pub image_id: String,
    pub owner_id: Option<String>,
    /// `amazon`, `aws-marketplace`, `aws-backup-vault`. `amazon` covers verified partners too: no proof
    /// that AWS made it.
    pub image_owner_alias: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(alias = "IsPublic")]
    pub public: Option<bool>,
    /// `available`, `deregistered`, `disabled` ...
    pub state: Option<String>,
    /// ISO 8601, as the API prints it.
    pub creation_date: Option<String>,
    pub deprecation_time: Option<String>,
    pub image_allowed: Option<bool>,
    pub source_image_id: Option<String>,
    pub source_image_region: Option<String>,
    pub source_instance_id: Option<String>,
    /// Snapshots behind its block devices.
    #[serde(rename = "BlockDeviceMappings", deserialize_with = "snapshots")]
    pub snapshots: Vec<String>,
    #[serde(deserialize_with = "product_codes")]
    pub product_codes: Vec<String>,
    #[serde(deserialize_with = "tags")]
    pub tags: Vec<(String, String)>,
    /// `account:name` of each watermark, which EC2 copies to derived images.
    #[serde(rename = "ImageWatermarks", deserialize_with = "watermarks")]
    pub watermarks: Vec<String>,
}

impl ImageFact {
    /// When it was made, where that is told and readable.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        time(self.creation_date.as_deref())
    }

    /// When it is or was deprecated.
    pub fn deprecated(&self) -> Option<DateTime<Utc>> {
        time(self.deprecation_time.as_deref())
    }
}

fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?).ok().map(|time| time.with_timezone(&Utc))
}

/// One entry of `GetImageAncestry`. It names no owner: each ancestor is looked up in its own region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ancestor {
    pub image_id: String,
    pub image_owner_alias: Option<String>,
    pub creation_date: Option<String>,
    pub source_image_id: Option<String>,
    pub source_image_region: Option<String>,
}

/// `DescribeSnapshots` `Snapshots[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SnapshotFact {
    pub snapshot_id: String,
    pub owner_id: Option<String>,
    pub owner_alias: Option<String>,
    pub description: Option<String>,
    /// `vol-ffffffff` where it was copied, imported, or written block by block.
    pub volume_id: Option<String>,
}

/// `GetAllowedImagesSettings`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllowedImages {
    /// `disabled`, `audit-mode` or `enabled`.
    pub state: Option<String>,
    /// `account` or `declarative-policy`.
    pub managed_by: Option<String>,
    pub image_criteria: Vec<ImageCriterion>,
}

/// One criterion: its parts are joined by and, criteria by or.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageCriterion {
    /// `amazon`, `aws-marketplace`, `aws-backup-vault`, account ids, or `none`.
    pub image_providers: Vec<String>,
    /// With `*` and `?`.
    pub image_names: Vec<String>,
    pub marketplace_product_codes: Vec<String>,
    pub creation_date_condition: Option<MaximumDays>,
    pub deprecation_time_condition: Option<MaximumDays>,
    /// Keys of watermarks, with `*`: `222233334444:golden-*`.
    #[serde(deserialize_with = "watermarks")]
    pub image_watermarks: Vec<String>,
    /// Parts that only EC2 can judge: scan results, ages of watermarks, and parts that are not known here.
    #[serde(skip)]
    pub unread: Vec<String>,
}

/// A bound in days, under either of the API's two names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct MaximumDays {
    #[serde(alias = "MaximumDaysSinceCreated", alias = "MaximumDaysSinceDeprecated")]
    pub days: Option<i64>,
}

/// `DescribeImageScanFindings`, its pages joined up to a bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScanReport {
    /// `COMPLETE`, `ACTIVE`, `FAILED` ...
    pub status: Option<String>,
    pub counts: std::collections::BTreeMap<String, u64>,
    /// Basic and enhanced findings alike.
    pub findings: Vec<ScanFinding>,
    /// There were more pages than the bound allows.
    pub truncated: bool,
}

/// `DescribeLaunchTemplateVersions` `LaunchTemplateVersions[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateFact {
    pub template_id: Option<String>,
    pub template_name: Option<String>,
    pub version: Option<i64>,
    /// `ami-...`, resolved.
    pub image_id: Option<String>,
    /// Base64 as EC2 keeps it.
    pub user_data: Option<String>,
}

/// `DescribeInstances` `Reservations[].Instances[]`, what is needed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceFact {
    pub instance_id: String,
    pub image_id: Option<String>,
    pub client_token: Option<String>,
    pub subnet_id: Option<String>,
    #[serde(deserialize_with = "tags")]
    pub tags: Vec<(String, String)>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Tag {
    key: String,
    value: String,
}

fn tags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let tags = Option::<Vec<Tag>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn snapshots<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Mapping {
        ebs: Option<Ebs>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Ebs {
        snapshot_id: Option<String>,
    }
    let mappings = Option::<Vec<Mapping>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(mappings.into_iter().filter_map(|mapping| mapping.ebs?.snapshot_id).collect())
}

fn watermarks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Watermark {
        watermark_key: Option<String>,
    }
    let marks = Option::<Vec<Watermark>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(marks.into_iter().filter_map(|mark| mark.watermark_key).collect())
}

fn product_codes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Code {
        product_code_id: Option<String>,
    }
    let codes = Option::<Vec<Code>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(codes.into_iter().filter_map(|code| code.product_code_id).collect())
}
