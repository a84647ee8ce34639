//! The vocabulary every log format meets in, so that a detection never knows whether CloudTrail,
//! EventBridge or another cloud told us. OCSF names where OCSF has one.

mod actor;
mod image;
mod image_name;
mod instance;
mod runtime;
mod self_check;

pub use actor::{Actor, ActorKind};
pub use image::{
    Artifact, AzureImageKind, Derivation, DerivationKind, GuardRail, GuardRailChange, ImageRef, Instance,
    Launch, LaunchOutcome, Origin, Push, Scan, ScanFinding, ScanSource, ScanStatus, Share, TemplateRef,
};
pub use instance::{ImageSearch, InstanceChange, TemplateChange, TemplateKind, UserDataChange};
pub use runtime::{
    Connection, ContainerImage, DeclaredContainer, Place, Process, Pull, Reported, Resolution, Start,
    Workload, WorkloadKind, program, program_path,
};
pub use self_check::{CheckFailure, SelfCheck};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What one source event says about one image or one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// The source event's own id, the same however often it is delivered: CloudTrail `eventID`, the
    /// EventBridge `id` where the service names nothing better. Made from the content's hash where
    /// the event names none.
    pub id: String,
    /// When it happened (event time, not delivery).
    pub time: DateTime<Utc>,
    /// The event carried no readable time: `time` is when it arrived, and no hour can be judged by it.
    pub time_is_arrival: bool,
    /// The time that the event gave, where it was too far ahead of its arrival to be believed.
    #[serde(default)]
    pub time_claimed: Option<DateTime<Utc>>,
    /// CloudTrail tells it in several accounts, under this one id.
    #[serde(default)]
    pub shared: bool,
    /// Twelve digits for AWS. Empty where neither the record nor its envelope names one.
    pub account: String,
    /// `eu-central-1`; empty where not named.
    pub region: String,
    pub cloud: Cloud,
    /// Who did it; `None` where the source names nobody (scan results, image actions).
    pub actor: Option<Actor>,
    /// The API call behind it, where there was one.
    pub api: Option<ApiCall>,
    pub action: Action,
}

impl Activity {
    /// The stable principal, or `unknown`: what subjects and policy patterns are made of.
    pub fn principal(&self) -> &str {
        self.actor.as_ref().map_or("unknown", |actor| actor.principal.as_str())
    }

    /// How many instances or tasks it started; 0 where it started none.
    pub fn instance_count(&self) -> u64 {
        match &self.action {
            Action::ImageLaunched(launch) if launch.outcome == LaunchOutcome::Succeeded => {
                u64::from(launch.count).max(u64::try_from(launch.instances.len()).unwrap_or(u64::MAX))
            }
            Action::WorkloadDeclared(workload) if workload.failed.is_none() => {
                workload.count.map(u64::from).unwrap_or_default()
            }
            _ => 0,
        }
    }
}

/// The cloud an activity happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cloud {
    #[serde(rename = "AWS")]
    Aws,
    Azure,
    #[serde(rename = "GCP")]
    Gcp,
}

/// The API call that the event records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// `ec2.amazonaws.com`
    pub service: String,
    /// `RunInstances`
    pub operation: String,
    /// `Client.UnauthorizedOperation`; `None` where the call succeeded.
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub request_id: Option<String>,
    /// An address, or a service's name (`autoscaling.amazonaws.com`, `AWS Internal`).
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
}

/// What was done. One variant a kind of thing that detections judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// EC2 `RunInstances`, once an image.
    ImageLaunched(Launch),
    /// `CopyImage`, `CreateImage`, `RegisterImage`, `ImportImage`: an image made from something else.
    ImageDerived(Derivation),
    /// `ModifyImageAttribute` of the launch permission.
    ImageShared(Share),
    /// A launch template version, a launch configuration, or a spot request.
    LaunchTemplateChanged(TemplateChange),
    /// `ModifyInstanceAttribute` of user data.
    UserDataChanged(UserDataChange),
    InstanceStopped(InstanceChange),
    InstanceStarted(InstanceChange),
    /// EC2 `DescribeImages` by name.
    ImagesSearched(ImageSearch),
    /// ECR `PutImage`.
    ImagePushed(Push),
    /// A container image was fetched.
    ImagePulled(Pull),
    /// Scan results for one image digest.
    ImageScanned(Scan),
    /// A setting that protects images was changed.
    GuardRailChanged(GuardRail),
    /// A task definition, pod, service or function names images that will run.
    WorkloadDeclared(Workload),
    ContainerStarted(Start),
    ProcessStarted(Process),
    Connected(Connection),
    NameResolved(Resolution),
    /// GuardDuty.
    VerdictReported(Reported),
    /// The function looked at itself, and found something wrong.
    SelfChecked(SelfCheck),
}

impl Action {
    /// Where it ran, for what runs: pulls, containers, processes, connections, names, verdicts.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Action::ImagePulled(pull) => Some(&pull.place),
            Action::ContainerStarted(start) => Some(&start.place),
            Action::ProcessStarted(process) => Some(&process.place),
            Action::Connected(connection) => Some(&connection.place),
            Action::NameResolved(resolution) => Some(&resolution.place),
            Action::VerdictReported(reported) => Some(&reported.place),
            _ => None,
        }
    }

    /// The action's name as people read it: `ImageLaunched`.
    pub fn name(&self) -> &'static str {
        match self {
            Action::ImageLaunched(_) => "ImageLaunched",
            Action::ImageDerived(_) => "ImageDerived",
            Action::ImageShared(_) => "ImageShared",
            Action::LaunchTemplateChanged(_) => "LaunchTemplateChanged",
            Action::UserDataChanged(_) => "UserDataChanged",
            Action::InstanceStopped(_) => "InstanceStopped",
            Action::InstanceStarted(_) => "InstanceStarted",
            Action::ImagesSearched(_) => "ImagesSearched",
            Action::ImagePushed(_) => "ImagePushed",
            Action::ImagePulled(_) => "ImagePulled",
            Action::ImageScanned(_) => "ImageScanned",
            Action::GuardRailChanged(_) => "GuardRailChanged",
            Action::WorkloadDeclared(_) => "WorkloadDeclared",
            Action::ContainerStarted(_) => "ContainerStarted",
            Action::ProcessStarted(_) => "ProcessStarted",
            Action::Connected(_) => "Connected",
            Action::NameResolved(_) => "NameResolved",
            Action::VerdictReported(_) => "VerdictReported",
            Action::SelfChecked(_) => "SelfChecked",
        }
    }
}
