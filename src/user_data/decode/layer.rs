//! The tree of layers, as it is printed.

use serde::Serialize;

use super::At;

/// One layer of the user data and what it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// What it is.
    pub kind: Kind,
    /// Where it stood, as in [`crate::user_data::Piece::path`].
    pub path: String,
    /// Its length as it stood, still encoded.
    pub bytes: usize,
    /// What else there is to say, for a person: `bash`, `runcmd 3, packages 2`, an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The layers within.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Layer>,
}

/// What a [`Layer`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Archive,
    AwsCli,
    Base64,
    Boothook,
    Bottlerocket,
    CloudConfig,
    Ec2Launch,
    Empty,
    File,
    Gzip,
    Ignition,
    Include,
    Jinja,
    JsonPatch,
    Mime,
    NodeConfig,
    /// Text nothing knows.
    Opaque,
    PartHandler,
    Script,
    Undecodable,
    WindowsTags,
}

impl Kind {
    /// The name a person knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Archive => "cloud-config archive",
            Self::AwsCli => "AWS CLI output",
            Self::Base64 => "base64",
            Self::Boothook => "cloud-boothook",
            Self::Bottlerocket => "Bottlerocket settings",
            Self::CloudConfig => "cloud-config",
            Self::Ec2Launch => "EC2Launch v2 tasks",
            Self::Empty => "nothing",
            Self::File => "file",
            Self::Gzip => "gzip",
            Self::Ignition => "Ignition",
            Self::Include => "include",
            Self::Jinja => "Jinja template",
            Self::JsonPatch => "cloud-config JSON patch",
            Self::Mime => "MIME message",
            Self::NodeConfig => "nodeadm NodeConfig",
            Self::Opaque => "text",
            Self::PartHandler => "part handler",
            Self::Script => "script",
            Self::Undecodable => "not decodable",
            Self::WindowsTags => "Windows user data",
        }
    }
}

impl Layer {
    pub(super) fn leaf(kind: Kind, at: &At, bytes: usize) -> Self {
        Self { kind, path: at.path.clone(), bytes, note: None, children: Vec::new() }
    }

    /// Adds something to say; empty says nothing.
    pub(super) fn note(&mut self, text: &str) {
        match &mut self.note {
            _ if text.is_empty() => {}
            Some(note) => {
                note.push_str(", ");
                note.push_str(text);
            }
            None => self.note = Some(text.to_owned()),
        }
    }
}
