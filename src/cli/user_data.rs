//! `imagewarden user-data`: what launch scripts would do, before they are used.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imagewarden::policy;
use imagewarden::severity::Severity;
use imagewarden::user_data::{self, Conclusion, Inspection, render};
use serde_json::json;

use super::output::Written;
use super::{Outcome, judging, output, severity};

#[derive(Args)]
pub struct Options {
    /// Files of user data in any form that EC2 takes, base64 or not; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The policy whose trusted hosts and buckets count. Default: `policy.yaml` here, else the built-in.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
    /// Exit with 1 if any is at least this severe: suspicious is high, with a critical signal critical.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum ReportFormat {
    /// The decoded tree and its signals.
    Text,
    /// One object a file and line.
    Json,
}

pub fn run(options: &Options) -> miette::Result<Outcome> {
    let policy = judging::policy_or_default(options.policy.as_deref())?;
    let strict = policy.user_data.inspection == policy::Inspection::Strict;
    let trust = policy.trust();
    let mut out = output::stdout();
    let mut outcome = Outcome::Ran;
    let mut worst: Option<Severity> = None;
    for (number, file) in options.files.iter().enumerate() {
        let name = file.display().to_string();
        let bytes = if name == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(file)
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("unreadable: {name}: {error}");
                outcome = Outcome::Unreadable;
                continue;
            }
        };
        let inspection = user_data::inspect(&bytes, &trust, strict);
        worst = worst.max(severity_of(&inspection));
        match options.format {
            ReportFormat::Json => {
                let object = json!({
                    "file": name,
                    "score": inspection.score,
                    "verdict": inspection.conclusion,
                    "signals": inspection.findings,
                });
                writeln!(out, "{object}")
            }
            ReportFormat::Text => {
                let gap = if number == 0 { "" } else { "\n" };
                let Inspection { tree, findings, score, conclusion, .. } = &inspection;
                let text = render::render(tree, findings, *score, *conclusion, out.colour());
                write!(out, "{gap}{}: {text}", imagewarden::text::clean(&name, 4096))
            }
        }
        .written()?;
    }
    out.flush().written()?;
    if outcome == Outcome::Ran && options.fail_on.is_some_and(|floor| worst >= Some(floor)) {
        return Ok(Outcome::FailOnMet);
    }
    Ok(outcome)
}

fn severity_of(inspection: &Inspection) -> Option<Severity> {
    match inspection.conclusion {
        Conclusion::Suspicious if inspection.critical => Some(Severity::Critical),
        Conclusion::Suspicious => Some(Severity::High),
        Conclusion::Signals | Conclusion::Undecodable => Some(Severity::Low),
        Conclusion::Clean | Conclusion::NotUserData => None,
    }
}
