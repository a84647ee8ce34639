//! What happened to instances and to what they are launched from.

use serde::{Deserialize, Serialize};

use super::{ImageRef, TemplateRef};

/// Something that instances are launched from was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateChange {
    pub kind: TemplateKind,
    /// The exact version where the response tells it. For a launch configuration or a spot request its
    /// name or id, without a version.
    pub template: TemplateRef,
    pub image: ImageRef,
    /// It carries user data (CloudTrail shows that, never what).
    pub user_data: bool,
    pub failed: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    LaunchTemplate,
    LaunchConfiguration,
    SpotInstances,
    SpotFleet,
    /// EC2 Fleet
    Fleet,
    /// Auto Scaling
    ScalingGroup,
    /// AWS Batch
    ComputeEnvironment,
    /// EC2 Image Builder
    ImageRecipe,
}

/// The user data of an existing instance was rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDataChange {
    pub instance: String,
    pub failed: Option<String>,
}

/// Instances were stopped or started by one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceChange {
    pub instances: Vec<String>,
    pub failed: Option<String>,
}

/// A search for images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSearch {
    /// Values of the `name` filter.
    pub names: Vec<String>,
    /// The search was bound to owners, owner aliases or ids: nobody else's image can come back.
    pub bounded: bool,
}
