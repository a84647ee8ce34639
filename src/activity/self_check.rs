//! What the function found wrong with itself.

use serde::{Deserialize, Serialize};

use crate::severity::Severity;

/// A self-check that found something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfCheck {
    pub failures: Vec<CheckFailure>,
}

/// Why images are not checked, or nobody would hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFailure {
    /// Stable and without ids: `trail-missing`.
    pub code: String,
    pub severity: Severity,
    /// What is wrong, for people.
    pub text: String,
    /// What mends it.
    pub remedy: String,
    /// A shell command that shows it, its values already checked.
    pub command: Option<String>,
}
