//! Where alerts go, and how they look there.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::Utc;
use clap::ValueEnum;
use imagewarden::alert::report::{PolicyText, Report, Summary, Unread};
use imagewarden::alert::{self, Alert};
use imagewarden::archive::Problem;
use miette::{IntoDiagnostic, miette};

use super::Options;
use super::show::Told;
use crate::cli::output::{self, Written};

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
pub enum Output {
    Here(Box<Printer>),
    /// On a thread of its own, beside judging: laying alerts out costs a third of what judging them does.
    Apart(Apart),
}

impl Output {
    pub fn open(path: Option<&Path>, force: bool, format: Format, apart: bool) -> miette::Result<Self> {
        let printer = Printer::open(path, force, format)?;
        Ok(if apart { Self::Apart(Apart::start(printer)?) } else { Self::Here(Box::new(printer)) })
    }

    pub fn alert(&mut self, alert: Alert) -> miette::Result<()> {
        match self {
            Self::Here(printer) => printer.alert(&alert),
            Self::Apart(apart) => apart.alert(alert),
        }
    }

    /// What goes behind all alerts.
    pub fn finish(self, told: &Told<'_>, options: &Options, policy: PolicyText) -> miette::Result<()> {
        let printer = match self {
            Self::Here(printer) => *printer,
            Self::Apart(mut apart) => apart.end()?.ok_or_else(|| miette!("alerts were not printed"))?,
        };
        printer.finish(told, options, policy)
    }
}

/// Alerts that wait for the printer.
const WAITING: usize = 256;

/// A printer on a thread of its own.
pub struct Apart {
    alerts: Option<SyncSender<Alert>>,
    printer: Option<JoinHandle<miette::Result<Printer>>>,
}

impl Apart {
    fn start(mut printer: Printer) -> miette::Result<Self> {
        let (alerts, waiting) = sync_channel::<Alert>(WAITING);
        let print = move || {
            for alert in waiting {
                printer.alert(&alert)?;
            }
            Ok(printer)
        };
        let printer =
            std::thread::Builder::new().name("printer".to_owned()).spawn(print).into_diagnostic()?;
        Ok(Self { alerts: Some(alerts), printer: Some(printer) })
    }

    fn alert(&mut self, alert: Alert) -> miette::Result<()> {
        let sent = self.alerts.as_ref().is_some_and(|alerts| alerts.send(alert).is_ok());
        // Nobody takes it: the printer has failed, and says why.
        if sent { Ok(()) } else { self.end().and(Err(miette!("alerts were not printed"))) }
    }

    /// Waits until all is printed. `None` where that has been done before.
    fn end(&mut self) -> miette::Result<Option<Printer>> {
        self.alerts = None;
        let Some(printer) = self.printer.take() else { return Ok(None) };
        printer.join().map_err(|_| miette!("the thread that prints alerts died"))?.map(Some)
    }
}

impl Drop for Apart {
    /// However it ends, what was found is printed.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Lays alerts out and writes them.
pub struct Printer {
    to: Box<dyn Write + Send>,
    colour: bool,
    format: Format,
    first: bool,
    line: Vec<u8>,
    /// The page as alerts come in.
    report: Report,
}

impl Printer {
    fn open(path: Option<&Path>, force: bool, format: Format) -> miette::Result<Self> {
        let (to, colour): (Box<dyn Write + Send>, bool) = match path {
            Some(path) => (Box::new(BufWriter::new(output::create(path, force)?)), false),
            None => (Box::new(BufWriter::new(io::stdout())), output::colour()),
        };
        Ok(Self { to, colour, format, first: true, line: Vec::new(), report: Report::default() })
    }

    fn alert(&mut self, alert: &Alert) -> miette::Result<()> {
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
        .written()
    }

    fn finish(mut self, told: &Told<'_>, options: &Options, policy: PolicyText) -> miette::Result<()> {
        match self.format {
            Format::Html => {
                self.report.write(&mut self.to, &page(told, options, policy)).written()?;
            }
            Format::Text | Format::Json if told.launches.is_empty() => {}
            Format::Text => {
                let blank = if self.first { "" } else { "\n" };
                write!(self.to, "{blank}{}", told.launches.text()).written()?;
            }
            // Lines of OCSF and nothing else.
            Format::Json => eprint!("{}", told.launches.text()),
        }
        self.to.flush().written()
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
