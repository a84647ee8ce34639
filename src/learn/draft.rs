//! The proposal, before it is written down.

use crate::policy::{Pusher, Schedule};

/// One line of the policy, or one that a person has to decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    pub value: T,
    /// Counts, first and last time.
    pub evidence: String,
    /// What is odd about it.
    pub review: Option<String>,
    /// Otherwise it is written as a comment.
    pub approved: bool,
}

impl<T> Entry<T> {
    pub fn approved(value: T, evidence: impl Into<String>) -> Self {
        Self { value, evidence: evidence.into(), review: None, approved: true }
    }

    pub fn refused(value: T, evidence: impl Into<String>, review: impl Into<String>) -> Self {
        Self { value, evidence: evidence.into(), review: Some(review.into()), approved: false }
    }

    pub fn review(self, review: impl Into<String>) -> Self {
        Self { review: Some(review.into()), ..self }
    }
}

/// What is proposed, by the policy's keys, and what is said besides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// What was read, in sentences.
    pub header: Vec<String>,
    pub owners: Vec<Entry<String>>,
    pub ids: Vec<Entry<String>>,
    pub azure_publishers: Vec<Entry<String>>,
    pub gcp_projects: Vec<Entry<String>>,
    /// Images that no key can approve, or of which the owner is not known.
    pub images_unknown: Vec<Entry<String>>,
    pub hosts: Vec<Entry<String>>,
    pub schedules: Vec<Entry<Schedule>>,
    /// Pushes outside the schedules: who and where.
    pub outside: Vec<Entry<String>>,
    pub pushers: Vec<Entry<Pusher>>,
    pub registries: Vec<Entry<String>>,
    /// Detections that no line here makes quiet.
    pub loud: Vec<Entry<String>>,
    /// The command that fetches images' owners, where they are not known.
    pub facts_command: Option<String>,
}

impl Draft {
    /// How many lines a person has to look at.
    pub fn reviews(&self) -> usize {
        fn of<T>(entries: &[Entry<T>]) -> usize {
            entries.iter().filter(|entry| entry.review.is_some()).count()
        }
        let texts = [
            &self.owners,
            &self.ids,
            &self.azure_publishers,
            &self.gcp_projects,
            &self.images_unknown,
            &self.hosts,
            &self.outside,
            &self.registries,
            &self.loud,
        ];
        texts.into_iter().map(|entries| of(entries)).sum::<usize>() + of(&self.schedules) + of(&self.pushers)
    }
}
