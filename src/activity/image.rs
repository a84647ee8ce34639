//! What happened to an image.

use serde::{Deserialize, Serialize};

/// A launch of one image. All instances that one call started from it are one `Launch`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    pub outcome: LaunchOutcome,
    pub image: ImageRef,
    /// What the response names, in its order; empty for attempts and where the response was omitted.
    pub instances: Vec<Instance>,
    /// How many were started; for attempts how many were asked for.
    pub count: u32,
    pub instance_type: Option<String>,
    pub subnet: Option<String>,
    /// Instance tags known from the response, else from the request.
    pub tags: Vec<(String, String)>,
    /// The call itself carried user data. `false` says nothing where a launch template was used.
    pub user_data: bool,
    pub template: Option<TemplateRef>,
    pub reservation: Option<String>,
    pub client_token: Option<String>,
    /// CloudTrail left out the response for its size: instances, tags and subnets are incomplete. In the
    /// other clouds: the record does not carry the request.
    pub response_omitted: bool,
    /// No event tells of the launch: EC2, asked what runs, showed its instances.
    pub found_running: bool,
    /// What else the launch brought along, for people: `startup-script-url`, `customData`. Set for the
    /// other clouds only, whose logs never carry the scripts themselves.
    pub note: Option<String>,
}

/// What came of a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchOutcome {
    #[default]
    Succeeded,
    /// The call failed with this error code, its `Client.` or `Server.` prefix stripped:
    /// `UnauthorizedOperation`.
    Attempted(String),
    /// `DryRun` was asked for: nothing would have started.
    DryRun,
}

/// How the call named the image. Always the concrete id where the response tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageRef {
    /// `ami-...`
    Id(String),
    /// `resolve:ssm:NAME[:VERSION]`, without its `resolve:ssm:` prefix.
    SsmParameter(String),
    /// Only a launch template was named: its version knows.
    Template(TemplateRef),
    /// An Azure Marketplace image.
    Azure { publisher: String, offer: String, sku: String, version: String },
    /// Any other Azure image, by its resource id.
    AzureGallery { id: String, kind: AzureImageKind },
    /// A Google Cloud image, snapshot, machine image or disk, and the project that owns it: `debian-cloud`,
    /// `images/debian-13` or `images/family/debian-13`.
    Gcp { project: String, image: String },
    /// A snapshot or a volume that became the root disk of an instance: `snap-...`, `vol-...`.
    Disk(String),
    /// Something was named that is none of these (a malformed id in a failed attempt).
    Other(String),
    /// Nothing names it.
    #[default]
    Unknown,
}

impl ImageRef {
    /// The image id, where it is known.
    pub fn id(&self) -> Option<&str> {
        match self {
            ImageRef::Id(id) => Some(id),
            _ => None,
        }
    }

    /// For people: the id, or what stands in its place.
    pub fn label(&self) -> String {
        match self {
            ImageRef::Id(id) | ImageRef::Disk(id) | ImageRef::Other(id) => id.clone(),
            ImageRef::SsmParameter(name) => format!("ssm:{name}"),
            ImageRef::Template(template) => format!("template:{}", template.label()),
            ImageRef::Azure { publisher, offer, sku, version } => {
                format!("{publisher}:{offer}:{sku}:{version}")
            }
            ImageRef::AzureGallery { id, .. } => id.clone(),
            // A disk belongs to a zone, which does not matter here.
            ImageRef::Gcp { project, image } if image.starts_with("disks/") => {
                format!("projects/{project}/{image}")
            }
            ImageRef::Gcp { project, image } => format!("projects/{project}/global/{image}"),
            ImageRef::Unknown => "unknown".to_owned(),
        }
    }
}

/// Through what an Azure image that is not from the Marketplace is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureImageKind {
    /// A resource of a subscription: a managed image, a gallery's image version, a disk.
    Resource,
    /// A gallery shared directly with a subscription or tenant.
    SharedGallery,
    /// A gallery that anybody can publish and everybody can use.
    CommunityGallery,
}

/// A launch template and the version asked for (`7`, `$Latest`, `$Default`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub version: Option<String>,
}

impl TemplateRef {
    /// `lt-0123:7`
    pub fn label(&self) -> String {
        let name = self.id.as_deref().or(self.name.as_deref()).unwrap_or("unknown");
        format!("{name}:{}", self.version.as_deref().unwrap_or("$Default"))
    }
}

/// One started instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    pub instance_type: Option<String>,
    pub private_ip: Option<String>,
    pub subnet: Option<String>,
    pub vpc: Option<String>,
    pub network_interfaces: Vec<String>,
    pub instance_profile: Option<String>,
    pub tags: Vec<(String, String)>,
}

/// An image made from another image, an instance, snapshots or a disk file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivation {
    pub kind: DerivationKind,
    /// The new image; `None` where the call failed or answers later (`ImportImage`).
    pub image: Option<String>,
    pub name: Option<String>,
    /// What it was made from.
    pub origins: Vec<Origin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DerivationKind {
    /// `CopyImage`
    Copied,
    /// `CreateImage`
    Created,
    /// `RegisterImage`
    Registered,
    /// `ImportImage`, `ImportSnapshot`
    Imported,
    /// `CreateRestoreImageTask`
    Restored,
}

/// Where a derived image came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An image in a region (`CopyImage`'s source region, which may differ from the event's).
    Image {
        id: String,
        region: String,
    },
    Instance(String),
    /// A snapshot in the event's region.
    Snapshot(String),
    /// A snapshot in another region (`CopySnapshot`).
    RemoteSnapshot {
        id: String,
        region: String,
    },
    Volume(String),
    /// `s3://bucket/key` or the URL of a disk file.
    Disk(String),
    /// Written block by block from outside (EBS direct APIs).
    Blocks,
}

/// A snapshot or a volume was made: what it holds came from somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskMade {
    /// `snap-...` or `vol-...`
    pub id: String,
    pub origin: Origin,
}

/// A volume was attached to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub volume: String,
    pub instance: String,
    /// `/dev/xvda`
    pub device: String,
    pub failed: Option<String>,
}

impl Attachment {
    /// Whether the device name is one that images use for their root disk.
    pub fn is_root(&self) -> bool {
        let name = self.device.strip_prefix("/dev/").unwrap_or(&self.device);
        matches!(name, "sda1" | "xvda" | "sda" | "xvda1" | "sda2" | "nvme0n1")
    }
}

/// Launch permissions given or taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub image: String,
    /// Account ids, organization ARNs, or `all` (public).
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

/// A manifest pushed to a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// `team/app`; empty where the event does not name it.
    pub repository: String,
    /// Account id of the registry, or the alias of a public one.
    pub registry: String,
    /// ECR Public: visible to everyone.
    pub public: bool,
    pub tag: Option<String>,
    /// `sha256:...`
    pub digest: Option<String>,
    pub media_type: Option<String>,
    /// Digests of an image index's children.
    pub children: Vec<String>,
    pub artifact: Artifact,
    /// `ImageTagAlreadyExistsException` and the like: nothing was pushed.
    pub failed: Option<String>,
}

/// What kind of thing a manifest describes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Artifact {
    /// Something a container can be started from. Also what cannot be told apart from it.
    #[default]
    Image,
    /// An image index (manifest list).
    Index,
    /// A signature, an attestation, an SBOM: nothing runs from it.
    Signature,
    Attestation,
    /// Any other artifact that is no image (Helm chart, WASM module ...).
    Other,
}

/// What a scan found in one digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    pub source: ScanSource,
    pub status: ScanStatus,
    /// `team/app`, never the ARN.
    pub repository: String,
    pub registry: String,
    /// `sha256:...`; empty where the event names only a tag.
    pub digest: String,
    pub tags: Vec<String>,
    /// Findings by severity as the service spells it, upper case, without `TOTAL`. Empty for clean.
    pub counts: std::collections::BTreeMap<String, u64>,
    /// The findings themselves where the event carries them.
    pub findings: Vec<ScanFinding>,
    /// Who read the results, where reading them is what raised the event. Not to blame for them.
    pub read_by: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanSource {
    /// `ECR Image Scan`: counts only.
    #[default]
    Basic,
    /// `Inspector2 Scan`: counts only.
    Enhanced,
    /// `Inspector2 Finding`: one finding.
    Finding,
    /// CloudTrail `DescribeImageScanFindings`.
    Read,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanStatus {
    #[default]
    Complete,
    /// `FAILED`, `UNSUPPORTED_IMAGE` ...: says nothing about the image.
    Failed(String),
    /// The finding was closed or suppressed.
    Closed(String),
}

/// One finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScanFinding {
    /// `CVE-2026-1234`
    pub name: String,
    /// As the service spells it, upper case.
    pub severity: String,
    pub package: Option<String>,
    pub version: Option<String>,
    pub fixed_in: Option<String>,
    pub uri: Option<String>,
    pub exploit_available: Option<bool>,
    /// `ACTIVE`, `SUPPRESSED`, `CLOSED`; `None` for basic scans.
    pub status: Option<String>,
}

/// A change to a setting that keeps bad images out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRail {
    pub change: GuardRailChange,
    /// What it protects: a repository name, or the registry or account id.
    pub target: String,
    /// The call failed: nothing changed.
    pub failed: Option<String>,
}

/// One criterion of Allowed AMIs. An image has to fit all of its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// `amazon`, `aws-marketplace`, `aws-backup-vault`, account ids, or `none`.
    pub providers: Vec<String>,
    /// `222233334444:golden-*`: the account that attached the watermark, and its name.
    pub watermarks: Vec<String>,
    /// Every other part that it has, as EC2 names it: `ImageName`.
    pub others: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardRailChange {
    /// `DisableAllowedImagesSettings`
    AllowedImagesDisabled,
    /// `EnableAllowedImagesSettings` with this state (`enabled`, `audit-mode`); empty where not told.
    AllowedImagesEnabled(String),
    /// `ReplaceImageCriteriaInAllowedImagesSettings`: the new criteria, which are alternatives.
    AllowedImagesCriteria(Vec<Criterion>),
    /// `PutImageScanningConfiguration`; `None` where the event does not tell.
    ScanOnPush(Option<bool>),
    /// `PutRegistryScanningConfiguration`: scan type, and each rule's (frequency, repository filters).
    RegistryScanning { scan_type: Option<String>, rules: Vec<(String, Vec<String>)> },
    /// `PutImageTagMutability`: `MUTABLE`, `IMMUTABLE`, `IMMUTABLE_WITH_EXCLUSION` ...
    TagMutability(String),
    /// `PutRegistryPolicy`, `SetRepositoryPolicy`: what the new policy allows; `None` where it cannot be read.
    AccessGranted { registry: bool, grants: Option<Vec<AccessGrant>> },
    /// `CreatePullThroughCacheRule`: images of another registry are stored on demand.
    PullThroughCache { upstream: String, prefix: String },
    /// `PutReplicationConfiguration`: the registries that every new image is copied to.
    ReplicationTo(Vec<String>),
    /// `ECR Replication Action`: an image came from the registry of this account.
    ReplicatedFrom { account: String, region: String, image: String },
    /// `PutSigningConfiguration`: the signing profiles' ARNs. `None`: deleted.
    Signing(Option<Vec<String>>),
    /// `DisableImageBlockPublicAccess`
    PublicImagesUnblocked,
    /// `DetachImageWatermark`
    WatermarkDetached { image: String, key: String },
}

/// One statement of a resource policy that allows something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessGrant {
    /// ARNs, account ids, or `*`. Services are left out.
    pub principals: Vec<String>,
    /// `ecr:PutImage`; everything but these where `not_actions` is set.
    pub actions: Vec<String>,
    pub not_actions: bool,
    /// The values that the caller's identity is bound to: account ids, organization ids, ARNs. `None` where no
    /// condition binds it.
    pub bound_to: Option<Vec<String>>,
}

impl GuardRail {
    /// The repository that the setting protects; nothing for settings of a registry or an account.
    pub fn repository(&self) -> Option<&str> {
        let of_repository = match &self.change {
            GuardRailChange::ScanOnPush(_)
            | GuardRailChange::TagMutability(_)
            | GuardRailChange::ReplicatedFrom { .. } => true,
            GuardRailChange::AccessGranted { registry, .. } => !registry,
            _ => false,
        };
        Some(self.target.as_str()).filter(|target| of_repository && !target.is_empty())
    }
}
