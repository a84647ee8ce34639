//! The policy: one YAML file that says what is approved, when, by whom, and what to tell.
//!
//! The types are the schema: unknown keys are errors, missing ones have their default, and
//! `imagewarden policy schema` is generated from here. MITRE's names for the knobs stand in the field
//! docs.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::severity::Severity;

mod at;
mod check;
mod error;
mod hours;
mod listed;
mod load;
mod locate;
mod pattern;
mod repair;
mod rules;
mod schema;
#[cfg(test)]
mod tests;
mod value;
mod warnings;

pub use crate::glob::like;
pub(crate) use check::is_id;
pub use error::{Invalid, PolicyError};
pub use listed::Listed;
pub use load::{BUNDLED, load_file, load_with_text};
pub use pattern::like_principal;
pub use value::{Cidr, Hours, Span, Zone};
use value::{date, dates, optional_date, section};

/// The whole policy file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    #[serde(deserialize_with = "section")]
    pub images: Images,
    #[serde(deserialize_with = "section")]
    pub user_data: UserData,
    /// How long after its start an instance counts as on its first boot (MITRE: FirstBootWindow).
    pub first_boot_window: Span,
    #[serde(deserialize_with = "section")]
    pub uploads: Uploads,
    #[serde(deserialize_with = "section")]
    pub containers: Containers,
    /// Settings of single detections, by id.
    #[serde(deserialize_with = "section")]
    pub detections: BTreeMap<String, DetectionSettings>,
    #[serde(deserialize_with = "section")]
    pub risk: Risk,
    #[serde(deserialize_with = "section")]
    pub notify: Notify,
    /// What not to tell, until when, and why.
    #[serde(deserialize_with = "section")]
    pub suppress: Vec<Suppression>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            images: Images::default(),
            user_data: UserData::default(),
            first_boot_window: Span::minutes(30),
            uploads: Uploads::default(),
            containers: Containers::default(),
            detections: BTreeMap::new(),
            risk: Risk::default(),
            notify: Notify::default(),
            suppress: Vec::new(),
        }
    }
}

/// Machine images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// What may be launched (MITRE: ApprovedImageCatalog).
    #[serde(deserialize_with = "section")]
    pub approved: Approved,
    /// Who may stand behind an own image: account ids, `self`, `amazon`, or `vendors` (a dated list of
    /// distributors' accounts).
    #[schemars(inner(regex(pattern = r"^(self|amazon|vendors|[0-9]{12})$")))]
    pub ancestors: Vec<String>,
    /// Who may import, restore, copy and register images.
    #[serde(deserialize_with = "section")]
    pub builders: Vec<Builder>,
    /// Images older than this are not approved, but for listed ids. No bound by default.
    #[schemars(range(min = 1))]
    pub max_age_days: Option<u32>,
    pub deprecated: Deprecated,
    /// Whether the account's own Allowed AMIs criteria approve images too.
    pub allowed_images_setting: AllowedImagesSetting,
    /// Judge only some launches (MITRE: VMTagScope); everything where empty.
    #[serde(deserialize_with = "section")]
    pub scope: Scope,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            approved: Approved::default(),
            ancestors: vec!["vendors".to_owned()],
            builders: Vec::new(),
            max_age_days: None,
            deprecated: Deprecated::default(),
            allowed_images_setting: AllowedImagesSetting::default(),
            scope: Scope::default(),
        }
    }
}

/// The catalog: an image is approved when any of these says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approved {
    /// Account ids, `self` (the event's account), `amazon` (AWS's own accounts, by partition).
    #[serde(deserialize_with = "listed::owners")]
    pub owners: Vec<Listed>,
    /// AMI ids, whoever owns them and however old.
    #[serde(deserialize_with = "listed::ids")]
    pub ids: Vec<Listed>,
    /// Name patterns within an owner. A name alone approves nothing: anybody can choose one.
    pub names: Vec<NamePattern>,
    /// Tags of the account's own images.
    pub tags: Vec<ApprovedTag>,
    /// Watermarks as `account:name`, the name a pattern. EC2 copies them to derived images.
    #[serde(deserialize_with = "listed::watermarks")]
    pub watermarks: Vec<Listed>,
    /// Azure Marketplace publishers.
    #[serde(deserialize_with = "listed::publishers")]
    pub azure_publishers: Vec<Listed>,
    /// Google Cloud image projects; `google` is Google's own.
    #[serde(deserialize_with = "listed::projects")]
    pub gcp_projects: Vec<Listed>,
}

impl Default for Approved {
    fn default() -> Self {
        Self {
            owners: vec!["self".into(), "amazon".into()],
            ids: Vec::new(),
            names: Vec::new(),
            tags: Vec::new(),
            watermarks: Vec::new(),
            azure_publishers: vec!["microsoft-aks".into(), "microsoftcblmariner".into()],
            gcp_projects: vec!["google".into()],
        }
    }
}

/// Somebody who builds images for the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// Pattern of the stable principal: the role's ARN with its path, never the session's.
    pub principal: String,
    /// The last day the entry holds, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_date")]
    pub until: Option<NaiveDate>,
    /// The accounts whose events it holds for; all of them where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[0-9]{12}$")))]
    pub accounts: Vec<String>,
}

/// Images of one owner by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamePattern {
    /// As in `owners`.
    pub owner: String,
    /// With `*` and `?`.
    pub pattern: String,
    /// The last day the entry holds, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_date")]
    pub until: Option<NaiveDate>,
    /// The accounts whose events it holds for; all of them where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[0-9]{12}$")))]
    pub accounts: Vec<String>,
}

/// A tag of an own image that approves it (`*` and `?` allowed in the value).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovedTag {
    pub key: String,
    pub value: String,
    /// The last day the entry holds, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_date")]
    pub until: Option<NaiveDate>,
    /// The accounts whose events it holds for; all of them where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[0-9]{12}$")))]
    pub accounts: Vec<String>,
}

/// A tag that must be there with this value (`*` and `?` allowed).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// What to do about deprecated images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deprecated {
    #[default]
    Allow,
    Alert,
}

/// Whether the account's Allowed AMIs criteria count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllowedImagesSetting {
    #[default]
    Use,
    Ignore,
}

/// Launches to judge: those with any of the tags, or in any of the subnets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    pub tags: Vec<Tag>,
    #[schemars(inner(regex(pattern = r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")))]
    pub subnets: Vec<String>,
}

/// User data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserData {
    /// MITRE: UserDataInspection.
    pub inspection: Inspection,
    #[serde(deserialize_with = "section")]
    pub trusted: Trusted,
}

/// How user data is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inspection {
    /// Not read at all.
    Off,
    /// Scored by what it does.
    #[default]
    Signals,
    /// Any command or download directive is told.
    Strict,
}

/// Where user data may fetch code from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trusted {
    /// Host names, exactly or `*.example.com`.
    pub hosts: Vec<String>,
    /// S3 bucket names, a trailing `*` allowed.
    pub buckets: Vec<String>,
}

/// Pushes to image repositories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    /// When pushes are expected. The first schedule whose repository and principal match judges.
    pub schedules: Vec<Schedule>,
    /// Who pushes where. Empty: `ecr-push-unknown-user` has nothing to go by.
    pub pushers: Vec<Pusher>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { schedules: vec![Schedule::default()], pushers: Vec::new() }
    }
}

/// Working hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    pub days: Vec<Day>,
    /// `08:00-20:00`, end excluded; `20:00-06:00` belongs to the day it starts on; `00:00-24:00` is
    /// the whole day.
    pub hours: Hours,
    /// IANA name. UTC where missing, and alerts say so.
    pub zone: Option<Zone>,
    /// Days on which nothing is expected, in the schedule's zone.
    #[serde(deserialize_with = "dates")]
    pub holidays: Vec<NaiveDate>,
    /// Repository patterns with `*` and `?`.
    pub repositories: Vec<String>,
    /// Principal patterns with `*` and `?`.
    pub principals: Vec<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Somebody who is expected to push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pusher {
    /// Pattern of the stable principal: the role's ARN with its path, never the session's.
    pub principal: String,
    /// Repository patterns; everywhere where missing.
    #[serde(default = "everything")]
    pub repositories: Vec<String>,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            days: vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri],
            hours: Hours::default(),
            zone: None,
            holidays: Vec::new(),
            repositories: everything(),
            principals: everything(),
        }
    }
}

/// Containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Containers {
    /// Image name patterns beside the defaults (MITRE: ImageRegistryAllowList).
    pub registries: Vec<String>,
    /// From pull to activity (MITRE: TimeWindow).
    pub window: Span,
    /// MITRE: SuspiciousBinaries.
    pub suspicious_binaries: Vec<String>,
    /// MITRE: NamespaceScope.
    #[serde(deserialize_with = "section")]
    pub namespaces: Namespaces,
    /// Destinations that containers must not contact (MITRE: OutboundCIDRBlockList).
    pub blocked_destinations: Vec<Cidr>,
}

impl Default for Containers {
    fn default() -> Self {
        let binaries =
            ["bash", "sh", "curl", "wget", "nc", "ncat", "python", "python3", "perl", "powershell", "pwsh"];
        Self {
            registries: Vec::new(),
            window: Span::minutes(15),
            suspicious_binaries: binaries.map(str::to_owned).to_vec(),
            namespaces: Namespaces::default(),
            blocked_destinations: Vec::new(),
        }
    }
}

/// Kubernetes namespaces with rules of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Namespaces {
    /// May never pull from the Internet.
    pub internal_only: Vec<String>,
    /// May never run mutable tags.
    pub fixed_tags: Vec<String>,
}

/// Settings of one detection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionSettings {
    pub enabled: Option<bool>,
    pub severity: Option<Severity>,
    /// Risk score.
    pub score: Option<u32>,
}

/// Risk by repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Risk {
    pub window: Span,
    /// Told when the summed score is above this ...
    pub score: u32,
    /// ... from more than this many distinct detections.
    pub distinct: u32,
}

impl Default for Risk {
    fn default() -> Self {
        Self { window: Span::minutes(24 * 60), score: 100, distinct: 3 }
    }
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    pub minimum_severity: Severity,
    /// When a flood of alerts becomes a summary.
    #[serde(deserialize_with = "section")]
    pub storm: Storm,
}

impl Default for Notify {
    fn default() -> Self {
        Self { minimum_severity: Severity::Medium, storm: Storm::default() }
    }
}

/// The bound on alerts of one detection in one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Storm {
    /// So many alerts are published singly within the window. What follows becomes one summary.
    #[schemars(range(min = 1))]
    pub after: u32,
    pub window: Span,
}

impl Default for Storm {
    fn default() -> Self {
        Self { after: 10, window: Span::minutes(60) }
    }
}

/// Something known and accepted. Every part given must match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// A detection's id, or a pattern.
    pub detection: String,
    #[serde(default)]
    pub repository: Option<String>,
    #[serde(default)]
    pub image: Option<String>,
    #[serde(default)]
    pub principal: Option<String>,
    #[serde(default)]
    pub account: Option<String>,
    /// The last day it holds, in UTC. An expired one suppresses nothing, and is said.
    #[serde(deserialize_with = "date")]
    pub until: NaiveDate,
    pub reason: String,
}
