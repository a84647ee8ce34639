//! `imagewarden check`: every alert that the function would raise.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use imagewarden::alert::{self, Alert};
use imagewarden::severity::Severity;

use super::output::Written;
use super::{Format, Judging, Outcome, judging, output, severity};

#[derive(Args)]
pub struct Options {
    /// Files and folders of events; `-` for standard input. A folder means every log file
    /// in it and below, facts/ excepted.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    /// How to print alerts.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Exit with 1 if any alert is at least this severe.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
}

impl Options {
    /// As `check PATH...` alone would have them.
    pub fn text(paths: Vec<PathBuf>, judging: Judging) -> Self {
        Self { paths, judging, format: Format::Text, fail_on: None }
    }
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    let judged = judging::judge(&options.paths, &options.judging).await?;
    let alerts: Vec<&Alert> = judged.alerts().collect();
    let mut stdout = output::stdout();
    for (number, alert) in alerts.iter().enumerate() {
        write_alert(&mut stdout, alert, options.format, number == 0).written()?;
    }
    stdout.flush().written()?;
    summary(&judged, &alerts);
    if judged.outcome == Outcome::Ran
        && options.fail_on.is_some_and(|floor| alerts.iter().any(|alert| alert.severity() >= floor))
    {
        return Ok(Outcome::FailOnMet);
    }
    Ok(judged.outcome)
}

fn write_alert(out: &mut output::Stdout, alert: &Alert, format: Format, first: bool) -> std::io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", alert::ocsf::finding(alert)),
        Format::Chat => writeln!(out, "{}", alert::chat::notification(alert)),
        Format::Text | Format::Email => {
            if !first {
                writeln!(out)?;
            }
            if format == Format::Text {
                let colour = out.colour();
                write!(out, "{}", alert::terminal::text(alert, colour))
            } else {
                writeln!(out, "Subject: {}\n", alert::subject(alert))?;
                write!(out, "{}", alert::email::text(alert))
            }
        }
    }
}

fn summary(judged: &judging::Judged, alerts: &[&Alert]) {
    let suppressed: usize = judged.processed.iter().map(|processed| processed.suppressed.len()).sum();
    let told: usize = judged.processed.iter().map(|processed| processed.alerts.len()).sum();
    let below = alerts.iter().filter(|alert| alert.below_floor).count();
    let mut line = format!(
        "{} in {}: {}",
        output::count(judged.processed.len(), "activity", "activities"),
        output::count(judged.files, "file", "files"),
        output::count(alerts.len(), "alert", "alerts"),
    );
    let asides = [
        (below, "below the notification floor"),
        (told.saturating_sub(alerts.len()), "repetitions counted in their threads"),
        (suppressed, "suppressed"),
        (judged.ignored, "records of no interest"),
        (judged.refused, "refused"),
        (judged.unreadable, "unreadable"),
    ];
    for (number, what) in asides {
        if number > 0 {
            line.push_str(&format!(", {number} {what}"));
        }
    }
    eprintln!("{line}");
}
