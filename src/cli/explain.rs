//! `imagewarden explain`: every detection's verdict and reason, also where nothing fired.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imagewarden::alert;
use imagewarden::detection::Verdict;
use imagewarden::engine::Judgement;
use serde_json::{Value, json};

use super::output::Written;
use super::{Judging, Outcome, judging, output};

#[derive(Args)]
pub struct Options {
    /// Files and folders of events; `-` for standard input.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    /// How to print verdicts.
    #[arg(long, value_enum, default_value = "text")]
    format: ExplainFormat,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum ExplainFormat {
    /// A table an activity.
    Text,
    /// One object an activity and line.
    Json,
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    let judged = judging::judge(&options.paths, &options.judging).await?;
    let mut out = output::stdout();
    let (width, colour) = (output::width(), out.colour());
    for (number, judgement) in judged.processed.iter().map(|processed| &processed.judgement).enumerate() {
        match options.format {
            ExplainFormat::Text => {
                let gap = if number == 0 { "" } else { "\n" };
                write!(out, "{gap}{}", alert::explain(judgement, width, colour)).written()?;
            }
            ExplainFormat::Json => writeln!(out, "{}", object(judgement)).written()?,
        }
    }
    out.flush().written()?;
    if judged.ignored > 0 {
        eprintln!(
            "{} of no interest: other API calls, or notices that name no actor",
            output::count(judged.ignored, "record", "records")
        );
    }
    Ok(judged.outcome)
}

fn object(judgement: &Judgement) -> Value {
    let verdicts: Vec<Value> = judgement
        .verdicts
        .iter()
        .map(|(detection, verdict)| {
            let (name, reason) = match verdict {
                Verdict::Match(matches) => {
                    let summaries = matches.iter().map(|matched| matched.summary.as_str());
                    ("match", summaries.collect::<Vec<_>>().join(" "))
                }
                Verdict::Pass(reason) => ("pass", reason.to_string()),
                Verdict::NotApplicable(reason) => ("not_applicable", reason.to_string()),
                Verdict::CannotTell(reason) => ("cannot_tell", reason.text.clone()),
                Verdict::Need(_) => ("cannot_tell", "facts were wanted and not fetched".to_owned()),
            };
            json!({"detection": detection.id, "verdict": name, "reason": reason})
        })
        .collect();
    json!({"activity": judgement.activity.as_ref(), "verdicts": verdicts})
}
