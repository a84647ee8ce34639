//! The proposal, before it is written down.

use super::write::{pusher, quoted, schedule};
use crate::policy::{Policy, Pusher, Schedule};

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

    /// Takes back what no policy takes: names that are none, though an event has them.
    pub(super) fn hold_to_policy(&mut self) {
        let text = |value: &String| quoted(value);
        hold(&mut self.owners, |it| format!("images: {{approved: {{owners: [{}]}}}}", text(it)));
        hold(&mut self.ids, |it| format!("images: {{approved: {{ids: [{}]}}}}", text(it)));
        hold(&mut self.azure_publishers, |it| {
            format!("images: {{approved: {{azure_publishers: [{}]}}}}", text(it))
        });
        hold(&mut self.gcp_projects, |it| format!("images: {{approved: {{gcp_projects: [{}]}}}}", text(it)));
        hold(&mut self.hosts, |it| format!("user_data: {{trusted: {{hosts: [{}]}}}}", text(it)));
        hold(&mut self.registries, |it| format!("containers: {{registries: [{}]}}", text(it)));
        hold(&mut self.schedules, |it| format!("uploads: {{schedules: [{}]}}", schedule(it)));
        hold(&mut self.pushers, |it| format!("uploads: {{pushers: [{}]}}", pusher(it)));
    }
}

fn hold<T>(entries: &mut [Entry<T>], yaml: impl Fn(&T) -> String) {
    for entry in entries.iter_mut().filter(|entry| entry.approved) {
        if !takes(&yaml(&entry.value)) {
            entry.approved = false;
            entry.review = Some("no policy takes this name".to_owned());
        }
    }
}

/// Whether a policy of these lines loads.
pub(super) fn takes(yaml: &str) -> bool {
    Policy::parse(yaml, "an entry").is_ok()
}
