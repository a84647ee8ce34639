//! From bytes to a conclusion.

use super::decode::{self, Layer};
use super::signal;
use super::{Conclusion, Content, Finding, Trust};

/// One user data, inspected.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The layers as they were nested.
    pub tree: Layer,
    /// The weightiest first; in strict mode followed by what runs or fetches anything at all.
    pub findings: Vec<Finding>,
    pub score: u32,
    /// A critical signal was found.
    pub critical: bool,
    pub conclusion: Conclusion,
    /// Why some of it could not be decoded.
    pub undecoded: Option<String>,
}

/// Inspects user data as EC2 holds it, as the AWS CLI prints it, or as a file on disk.
pub fn inspect(bytes: &[u8], trust: &Trust, strict_too: bool) -> Inspection {
    let decoded = decode::decode(bytes);
    let judged = signal::judge(&decoded.pieces, decoded.encodings, decoded.mismatch.as_deref(), trust);
    let mut findings = judged.findings;
    if strict_too {
        findings.extend(signal::strict_findings(&decoded.pieces));
    }
    let undecoded = decoded.pieces.iter().find_map(|piece| match &piece.content {
        Content::Undecodable { reason, sha256, len } => {
            let place = if piece.path.is_empty() { "user data" } else { &piece.path };
            Some(format!("{place}: {reason} ({len} bytes, SHA-256 {sha256})"))
        }
        _ => None,
    });
    Inspection {
        tree: decoded.tree,
        findings,
        score: judged.score,
        critical: judged.critical,
        conclusion: judged.conclusion,
        undecoded,
    }
}
