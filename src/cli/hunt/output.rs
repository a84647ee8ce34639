//! Where alerts go, and how they look there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use chrono::Utc;
use clap::ValueEnum;
use imagewarden::alert::report::{PolicyText, Report, Summary, Unread};
use imagewarden::alert::{self, Alert};
use imagewarden::archive::Problem;
use miette::{Context, IntoDiagnostic};

use super::Options;
use super::show::Told;
use crate::cli::output;

/// How alerts are printed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// One OCSF Detection Finding a line.
    Json,
    /// One page for a browser, with nothing to load.
    Html,
}

/// A file or standard output.
pub struct Output {
    to: Box<dyn Write>,
    colour: bool,
    format: Format,
    first: bool,
    line: Vec<u8>,
    /// The page as alerts come in.
    report: Report,
}

impl Output {
    pub fn open(path: Option<&Path>, format: Format) -> miette::Result<Self> {
        let (to, colour): (Box<dyn Write>, bool) = match path {
            Some(path) => {
                let file = File::create(path)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("cannot write {}", path.display()))?;
                (Box::new(BufWriter::new(file)), false)
            }
            None => {
                let stdout = output::stdout();
                let colour = stdout.colour();
                (Box::new(stdout), colour)
            }
        };
        Ok(Self { to, colour, format, first: true, line: Vec::new(), report: Report::default() })
    }

    pub fn alert(&mut self, alert: &Alert) -> miette::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        match self.format {
            Format::Html => {
                self.report.add(alert);
                Ok(())
            }
            Format::Json => {
                self.line.clear();
                serde_json::to_writer(&mut self.line, &alert::ocsf::finding(alert)).into_diagnostic()?;
                self.line.push(b'\n');
                self.to.write_all(&self.line)
            }
            Format::Text => {
                let blank = if first { "" } else { "\n" };
                write!(self.to, "{blank}{}", alert::terminal::text(alert, self.colour))
            }
        }
        .into_diagnostic()
    }

    /// What goes behind all alerts.
    pub fn finish(&mut self, told: &Told<'_>, options: &Options, policy: PolicyText) -> miette::Result<()> {
        match self.format {
            Format::Html => {
                self.report.write(&mut self.to, &page(told, options, policy)).into_diagnostic()?;
            }
            Format::Text | Format::Json if told.launches.is_empty() => {}
            Format::Text => {
                let blank = if self.first { "" } else { "\n" };
                write!(self.to, "{blank}{}", told.launches.text()).into_diagnostic()?;
            }
            // Lines of OCSF and nothing else.
            Format::Json => eprint!("{}", told.launches.text()),
        }
        self.to.flush().into_diagnostic()
    }
}

/// What the page says beside its alerts.
fn page(told: &Told<'_>, options: &Options, policy: PolicyText) -> Summary {
    let Told { summary, tally, launches, .. } = told;
    let commands = launches.commands();
    let mut notes = options.filters();
    if told.is_stopped() {
        notes.push("It was interrupted: this is what was found until then.".to_owned());
    }
    Summary {
        sources: options.paths.iter().map(|path| path.display().to_string()).collect(),
        files: summary.files,
        bytes: summary.bytes,
        records: summary.records,
        activities: tally.activities,
        repetitions: tally.repetitions,
        suppressed: tally.suppressed,
        unread: summary.problems.iter().map(unread).collect(),
        unread_total: summary.unreadable,
        unjudged: launches.images().collect(),
        unjudged_command: (!commands.is_empty()).then(|| commands.join("\n")),
        notes,
        ..Summary::new(Utc::now(), policy)
    }
}

fn unread(problem: &Problem) -> Unread {
    let Problem { file, place, reason } = problem;
    let place = if place.is_empty() { file.clone() } else { format!("{file}, {place}") };
    Unread { place, reason: reason.clone() }
}
