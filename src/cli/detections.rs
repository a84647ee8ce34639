//! `imagewarden detections`: what is looked for, and how it is set.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imagewarden::detection::REGISTRY;
use serde_json::json;

use super::output::Written;
use super::{Outcome, judging, output};

#[derive(Args)]
pub struct Options {
    /// The policy whose settings are shown. Default: `policy.yaml` here, else the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print the list.
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum ListFormat {
    Text,
    /// One object a detection and line.
    Json,
}

pub fn run(options: &Options) -> miette::Result<Outcome> {
    let policy = judging::policy(options.policy.as_deref())?;
    let mut out = output::stdout();
    let widest = REGISTRY.iter().map(|detection| detection.id.len()).max().unwrap_or(0);
    for detection in REGISTRY {
        let severity = policy.severity(detection.id).unwrap_or(detection.severity);
        let score = policy.score(detection.id).unwrap_or(detection.score);
        let enabled = policy.enabled(detection.id);
        match options.format {
            ListFormat::Text => {
                let state = if enabled { "" } else { " (off)" };
                let (id, severity) = (detection.id, severity.name());
                writeln!(out, "{id:widest$}  {severity:13}  {score:>3}  {}{state}", detection.title)
            }
            ListFormat::Json => {
                let object = json!({
                    "id": detection.id, "title": detection.title, "severity": severity.name(), "score": score,
                    "enabled": enabled, "approval_check": detection.approval, "source": detection.source,
                });
                writeln!(out, "{object}")
            }
        }
        .written()?;
    }
    out.flush().written()?;
    Ok(Outcome::Ran)
}
