//! User data: read what cloud-init or EC2Launch would run, and say what it does.
//!
//! ```text
//! bytes -> decode -> pieces (scripts, directives, includes) -> scan -> commands -> signals -> Inspection
//! ```
//!
//! Everything in here is pure, bounded and tolerant: the input belongs to whoever could launch an
//! instance, so no input may panic, take more than linear time, or escape by being broken.

pub mod decode;
mod inspect;
pub(crate) mod places;
pub mod render;
pub mod script;
pub mod signal;

pub use inspect::{Inspection, inspect};

use serde::Serialize;

/// One thing that first boot would act on, with the path to where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it stood, outermost first, for example `part 2 > cloud-config > runcmd[3]`.
    /// Empty for a plain script that is the whole of the user data.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What a [`Piece`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text that an interpreter runs.
    Script { language: Language, text: String },
    /// A file that is written but not known to be run: `write_files`, Ignition `storage.files`.
    File { target: String, text: String },
    /// A setting that first boot acts on: (`ssh_authorized_keys`, `ssh-ed25519 AAAA...`),
    /// (`apt.sources`, `deb [trusted=yes] http://...`), (`packages`, `tor`). Keys are cloud-config's
    /// names whatever the format, without list indices; the path has those.
    Setting { key: String, value: String },
    /// A URL whose content first boot fetches and trusts: `#include`, `write_files.source.uri`,
    /// Ignition `config.replace`, `ansible.pull`.
    Include { url: String },
    /// Bytes that could not be decoded or went over a bound. Never silently skipped.
    Undecodable {
        /// What was wrong, for a person: `gzip: unexpected end of file`.
        reason: String,
        /// SHA-256 of the bytes, lower-case hex.
        sha256: String,
        /// Length of the bytes.
        len: usize,
    },
    /// Something about the user data that tells of its maker.
    Odd { what: Odd, text: String },
}

/// What is odd about a user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// It is short enough to launch with, and goes over a bound when decoded. Nothing honest does.
    OverBound,
    /// A template puts text together from pieces.
    BuiltText,
    /// A template holds what is not known before it is rendered.
    Unrendered,
}

/// The language a script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// sh, bash, dash, zsh, ash: also what has no `#!` line but is run by a shell (`runcmd`).
    Shell,
    PowerShell,
    /// Windows `<script>`.
    Batch,
    Python,
    Perl,
    Ruby,
    Php,
    /// Any other interpreter; only text-level signals apply.
    Other,
}

/// What the policy trusts. Names match exactly or by an explicit `*.` prefix, never as a substring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// `user_data.trusted.hosts`: host names, or `*.example.com`.
    pub hosts: Vec<String>,
    /// `user_data.trusted.buckets`: S3 bucket names, a trailing `*` allowed.
    pub buckets: Vec<String>,
    /// `containers.registries`: image name patterns.
    pub registries: Vec<String>,
}

/// One signal found, once per signal id and inspection (the first place it stood).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The signal's id: `exe-01`.
    pub id: &'static str,
    /// Path and line: `part 2 > cloud-config > runcmd[3] > line 1`.
    #[serde(rename = "where")]
    pub place: String,
    /// The line as it stood, secrets redacted, control characters stripped, at most 200 characters.
    pub quote: String,
}

/// How a whole user data is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// Nothing found.
    Clean,
    /// Something found, below the alerting score.
    Signals,
    /// Score of 50 or more, or a critical (C) signal.
    Suspicious,
    /// A layer could not be decoded, and what could be was not suspicious.
    Undecodable,
    /// Nothing in it is what cloud-init, EC2Launch or Ignition acts on, or looks like a script.
    #[serde(rename = "not-user-data")]
    NotUserData,
}
