//! What a report says besides its alerts: what was read, what could not be, and by which policy.

use chrono::{DateTime, Utc};

/// What was read and how it was judged. Counts are of this run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// When the report is made.
    pub made: DateTime<Utc>,
    /// The files, folders or buckets that were named.
    pub sources: Vec<String>,
    pub files: u64,
    /// As they are stored: compressed where they are.
    pub bytes: u64,
    /// Records in them, those of no interest too.
    pub records: u64,
    /// Records that detections judge.
    pub activities: u64,
    /// Alerts that went into their threads as a count.
    pub repetitions: u64,
    /// Matches kept back by the policy.
    pub suppressed: u64,
    /// What could not be read. The first of many; `unread_total` has their number.
    pub unread: Vec<Unread>,
    pub unread_total: u64,
    /// Launches whose image could not be judged, by image.
    pub unjudged: Vec<Unjudged>,
    /// The command that fetches what is missing to judge them.
    pub unjudged_command: Option<String>,
    /// What else limits the picture, in sentences: it was interrupted, a filter was set.
    pub notes: Vec<String>,
    pub policy: PolicyText,
}

impl Summary {
    /// Nothing read yet.
    pub fn new(made: DateTime<Utc>, policy: PolicyText) -> Self {
        Self {
            made,
            sources: Vec::new(),
            files: 0,
            bytes: 0,
            records: 0,
            activities: 0,
            repetitions: 0,
            suppressed: 0,
            unread: Vec::new(),
            unread_total: 0,
            unjudged: Vec::new(),
            unjudged_command: None,
            notes: Vec::new(),
            policy,
        }
    }
}

/// The policy as the reader would want to see it.
#[derive(Debug, Clone)]
pub struct PolicyText {
    /// `policy.yaml`, or that it is the built-in one.
    pub name: String,
    pub yaml: String,
}

/// A file or record that could not be read.
#[derive(Debug, Clone)]
pub struct Unread {
    /// The file, and the place in it.
    pub place: String,
    pub reason: String,
}

/// An image whose owner nobody told.
#[derive(Debug, Clone)]
pub struct Unjudged {
    pub image: String,
    pub region: String,
    pub launches: u64,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
}
