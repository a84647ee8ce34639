//! Facts that the event lacks: who owns an image, where it came from, what a scan found.
//!
//! A detection names the facts it wants as [`FactKey`]s; a [`Lookup`] fetches them, either from AWS
//! (`aws`) or from files in the shapes the AWS CLI prints (`recorded`). Facts are plain data, so that
//! detections stay pure.

#[cfg(feature = "aws")]
pub mod aws;
pub mod fact;
pub mod recorded;
pub mod scan_json;

pub use fact::{
    AllowedImages, Ancestor, FactValue, ImageCriterion, ImageFact, InstanceFact, ScanReport, SnapshotFact,
    TemplateFact,
};
pub use recorded::{Recorded, RecordedError};

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;

use crate::activity::TemplateRef;

/// Where a look-up has to be made: with credentials of the account, in the region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    pub account: String,
    pub region: String,
}

/// One fact that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKey {
    /// `DescribeImages` with `IncludeDeprecated`: [`ImageFact`].
    Image { scope: Scope, image: String },
    /// `DescribeInstanceImageMetadata`: the image of an own instance, even if it is gone: [`ImageFact`].
    InstanceImage { scope: Scope, instance: String },
    /// `GetImageAncestry`, from the image to its root: [`Ancestor`]s.
    Ancestry { scope: Scope, image: String },
    /// `DescribeSnapshots`: [`SnapshotFact`].
    Snapshot { scope: Scope, snapshot: String },
    /// `GetAllowedImagesSettings`: [`AllowedImages`].
    AllowedImages { scope: Scope },
    /// `DescribeImageScanFindings` by digest: [`ScanReport`].
    ScanFindings { scope: Scope, registry: String, repository: String, digest: String },
    /// `DescribeLaunchTemplateVersions` with `ResolveAlias`: [`TemplateFact`].
    Template { scope: Scope, template: TemplateRef },
    /// `DescribeInstanceAttribute` of user data, or the template's or launch configuration's own:
    /// [`FactValue::UserData`].
    UserData { scope: Scope, of: UserDataOf },
    /// `DescribeInstances` by client token, for launches whose response was left out: [`InstanceFact`]s.
    Launched { scope: Scope, client_token: String },
}

impl FactKey {
    pub fn scope(&self) -> &Scope {
        match self {
            FactKey::Image { scope, .. }
            | FactKey::InstanceImage { scope, .. }
            | FactKey::Ancestry { scope, .. }
            | FactKey::Snapshot { scope, .. }
            | FactKey::AllowedImages { scope }
            | FactKey::ScanFindings { scope, .. }
            | FactKey::Template { scope, .. }
            | FactKey::UserData { scope, .. }
            | FactKey::Launched { scope, .. } => scope,
        }
    }

    /// The API that answers it, as people and metrics name it.
    pub fn api(&self) -> &'static str {
        match self {
            FactKey::Image { .. } => "ec2:DescribeImages",
            FactKey::InstanceImage { .. } => "ec2:DescribeInstanceImageMetadata",
            FactKey::Ancestry { .. } => "ec2:GetImageAncestry",
            FactKey::Snapshot { .. } => "ec2:DescribeSnapshots",
            FactKey::AllowedImages { .. } => "ec2:GetAllowedImagesSettings",
            FactKey::ScanFindings { .. } => "ecr:DescribeImageScanFindings",
            FactKey::Template { .. } => "ec2:DescribeLaunchTemplateVersions",
            FactKey::UserData { of: UserDataOf::Instance(_), .. } => "ec2:DescribeInstanceAttribute",
            FactKey::UserData { of: UserDataOf::Template(_), .. } => "ec2:DescribeLaunchTemplateVersions",
            FactKey::UserData { of: UserDataOf::Configuration(_), .. } => {
                "autoscaling:DescribeLaunchConfigurations"
            }
            FactKey::Launched { .. } => "ec2:DescribeInstances",
        }
    }
}

/// Whose user data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserDataOf {
    /// `i-...`
    Instance(String),
    Template(TemplateRef),
    /// A launch configuration's name.
    Configuration(String),
}

/// What a look-up answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Known(FactValue),
    /// AWS: not found, or an empty list. Recorded: the kind of file is there, the id is not.
    Absent,
    /// Denied, throttled past retries, out of time; recorded: no file of that kind.
    Unavailable(Missing),
}

/// Why a fact could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub cause: Cause,
    /// For people; the same for the same cause (no ids, no request ids).
    pub reason: Cow<'static, str>,
}

impl Missing {
    pub fn new(cause: Cause, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { cause, reason: reason.into() }
    }
}

/// A fact of another kind than its key asks for. No look-up answers so.
static OTHER_KIND: Missing =
    Missing { cause: Cause::Other, reason: Cow::Borrowed("the look-up answered with another kind of fact") };

/// What kept a fact away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Denied,
    Throttled,
    OutOfTime,
    /// The service failed or could not be reached.
    Failing,
    /// There are recorded facts only, and none of this kind.
    NotRecorded,
    /// Anything else that stays so until somebody changes something.
    Other,
}

impl Cause {
    /// Whether the same look-up may succeed a minute later. Whoever can try again should do so before the fact
    /// is told as not known.
    pub fn is_passing(self) -> bool {
        matches!(self, Cause::Throttled | Cause::OutOfTime | Cause::Failing)
    }

    /// One stable word, for the codes of reasons.
    pub fn code(self) -> &'static str {
        match self {
            Cause::Denied => "denied",
            Cause::Throttled => "throttled",
            Cause::OutOfTime => "timed-out",
            Cause::NotRecorded => "not-recorded",
            Cause::Failing | Cause::Other => "failed",
        }
    }
}

/// Fetches facts. Never fails as a whole: what cannot be had is [`Fact::Unavailable`].
pub trait Lookup {
    /// Answers every key it is given, in any order.
    fn fetch(&self, keys: &[FactKey]) -> impl Future<Output = Vec<(FactKey, Fact)>> + Send;
}

/// The facts gathered for one activity so far.
#[derive(Debug, Clone, Default)]
pub struct Facts(HashMap<FactKey, Fact>);

/// One fact as a detection sees it.
#[derive(Debug)]
pub enum Answer<'a, T: ?Sized> {
    Known(&'a T),
    Absent,
    Unavailable(&'a Missing),
    /// Not fetched yet: answer `Verdict::Need` with this key.
    Ask(FactKey),
}

impl Facts {
    pub fn insert(&mut self, key: FactKey, fact: Fact) {
        self.0.insert(key, fact);
    }

    pub fn contains(&self, key: &FactKey) -> bool {
        self.0.contains_key(key)
    }

    /// Every fact gathered, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&FactKey, &Fact)> {
        self.0.iter()
    }

    pub fn image(&self, scope: &Scope, image: &str) -> Answer<'_, ImageFact> {
        self.answer(FactKey::Image { scope: scope.clone(), image: image.to_owned() }, |value| match value {
            FactValue::Image(image) => Some(image.as_ref()),
            _ => None,
        })
    }

    pub fn instance_image(&self, scope: &Scope, instance: &str) -> Answer<'_, ImageFact> {
        self.answer(FactKey::InstanceImage { scope: scope.clone(), instance: instance.to_owned() }, |value| {
            match value {
                FactValue::Image(image) => Some(image.as_ref()),
                _ => None,
            }
        })
    }

    pub fn ancestry(&self, scope: &Scope, image: &str) -> Answer<'_, [Ancestor]> {
        self.answer(
            FactKey::Ancestry { scope: scope.clone(), image: image.to_owned() },
            |value| match value {
                FactValue::Ancestry(entries) => Some(entries.as_slice()),
                _ => None,
            },
        )
    }

    pub fn snapshot(&self, scope: &Scope, snapshot: &str) -> Answer<'_, SnapshotFact> {
        self.answer(FactKey::Snapshot { scope: scope.clone(), snapshot: snapshot.to_owned() }, |value| {
            match value {
                FactValue::Snapshot(snapshot) => Some(snapshot),
                _ => None,
            }
        })
    }

    pub fn allowed_images(&self, scope: &Scope) -> Answer<'_, AllowedImages> {
        self.answer(FactKey::AllowedImages { scope: scope.clone() }, |value| match value {
            FactValue::AllowedImages(setting) => Some(setting),
            _ => None,
        })
    }

    pub fn scan_findings(
        &self,
        scope: &Scope,
        registry: &str,
        repository: &str,
        digest: &str,
    ) -> Answer<'_, ScanReport> {
        let key = FactKey::ScanFindings {
            scope: scope.clone(),
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        };
        self.answer(key, |value| match value {
            FactValue::Scan(report) => Some(report),
            _ => None,
        })
    }

    pub fn template(&self, scope: &Scope, template: &TemplateRef) -> Answer<'_, TemplateFact> {
        self.answer(FactKey::Template { scope: scope.clone(), template: template.clone() }, |value| {
            match value {
                FactValue::Template(template) => Some(template),
                _ => None,
            }
        })
    }

    /// The bytes as EC2 keeps them (base64 mostly); empty where there is none.
    pub fn user_data(&self, scope: &Scope, of: &UserDataOf) -> Answer<'_, [u8]> {
        self.answer(FactKey::UserData { scope: scope.clone(), of: of.clone() }, |value| match value {
            FactValue::UserData(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    pub fn launched(&self, scope: &Scope, client_token: &str) -> Answer<'_, [InstanceFact]> {
        let key = FactKey::Launched { scope: scope.clone(), client_token: client_token.to_owned() };
        self.answer(key, |value| match value {
            FactValue::Instances(instances) => Some(instances.as_slice()),
            _ => None,
        })
    }

    fn answer<'a, T: ?Sized>(
        &'a self,
        key: FactKey,
        pick: impl Fn(&'a FactValue) -> Option<&'a T>,
    ) -> Answer<'a, T> {
        match self.0.get(&key) {
            None => Answer::Ask(key),
            Some(Fact::Absent) => Answer::Absent,
            Some(Fact::Unavailable(missing)) => Answer::Unavailable(missing),
            Some(Fact::Known(value)) => pick(value).map_or(Answer::Unavailable(&OTHER_KIND), Answer::Known),
        }
    }
}
