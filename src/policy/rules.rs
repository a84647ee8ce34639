//! What the policy says about a detection or a match.

use super::{Policy, Suppression};
use crate::activity::Activity;
use crate::detection::reference::Reference;
use crate::detection::{Match, Subject};
use crate::severity::Severity;
use crate::user_data::Trust;

impl Policy {
    /// Detections are on unless switched off.
    pub fn enabled(&self, detection: &str) -> bool {
        self.detections.get(detection).and_then(|settings| settings.enabled).unwrap_or(true)
    }

    /// The severity set for a detection, if one is.
    pub fn severity(&self, detection: &str) -> Option<Severity> {
        self.detections.get(detection)?.severity
    }

    /// The risk score set for a detection, if one is.
    pub fn score(&self, detection: &str) -> Option<u32> {
        self.detections.get(detection)?.score
    }

    /// What user data may fetch code from.
    pub fn trust(&self) -> Trust {
        Trust {
            hosts: self.user_data.trusted.hosts.clone(),
            buckets: self.user_data.trusted.buckets.clone(),
            registries: self.containers.registries.clone(),
        }
    }

    /// The first suppression that holds for a match at the time of its event.
    pub fn suppression(&self, detection: &str, matched: &Match, activity: &Activity) -> Option<&Suppression> {
        self.suppress.iter().find(|suppression| suppression.holds(detection, matched, activity))
    }
}

impl Suppression {
    /// Whether every part given matches, and its last day is not over.
    pub fn holds(&self, detection: &str, matched: &Match, activity: &Activity) -> bool {
        let said = |key: &str| matched.evidence.get(key).and_then(serde_json::Value::as_str);
        let (repository, image) = match &matched.subject {
            Subject::MachineImage { image, .. } | Subject::Unchecked { image, .. } => {
                (None, Some(image.as_str()))
            }
            Subject::Push { repository, .. } | Subject::Repository { repository } => {
                (Some(repository.as_str()), None)
            }
            Subject::Scan { repository, digest } => (Some(repository.as_str()), Some(digest.as_str())),
            Subject::GuardRail { target, .. } => (Some(target.as_str()), None),
            Subject::ContainerImage { repository } => (Some(repository.as_str()), Some(repository.as_str())),
            // What runs is named by its place; its image stands in the evidence, where it is known.
            Subject::Runtime { .. } => (said("repository"), said("repository").or_else(|| said("image"))),
            Subject::Template { .. } | Subject::Blind { .. } | Subject::Storm { .. } => (None, None),
        };
        let container = matches!(matched.subject, Subject::ContainerImage { .. } | Subject::Runtime { .. });
        // Images are compared as registry clients read them.
        let names = |pattern: &String, image: &str| {
            super::like(pattern, image)
                || (container && Reference::parse(image).is_some_and(|reference| reference.fits(pattern)))
        };
        let fits = |pattern: &Option<String>, value: Option<&str>| match (pattern, value) {
            (None, _) => true,
            (Some(pattern), Some(value)) => super::like(pattern, value),
            (Some(_), None) => false,
        };
        activity.time.date_naive() <= self.until
            && super::like(&self.detection, detection)
            && fits(&self.repository, repository)
            && self.image.as_ref().is_none_or(|pattern| image.is_some_and(|image| names(pattern, image)))
            && self.principal.as_ref().is_none_or(|pattern| {
                let principal = activity.actor.as_ref().map(|actor| actor.principal.as_str());
                principal.is_some_and(|it| super::like_principal(pattern, it, &activity.account))
            })
            && fits(&self.account, Some(&activity.account))
    }
}
