//! Where alerts go, and how they look there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use imagewarden::alert::{self, Alert};
use imagewarden::policy::Policy;
use miette::{Context, IntoDiagnostic};

use super::super::output;
use super::Options;
use super::show::Told;

/// How alerts are printed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// One OCSF Detection Finding a line.
    Json,
}

/// A file or standard output.
pub struct Output {
    to: Box<dyn Write>,
    colour: bool,
    format: Format,
    first: bool,
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
        Ok(Self { to, colour, format, first: true })
    }

    pub fn alert(&mut self, alert: &Alert) -> miette::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        match self.format {
            Format::Json => writeln!(self.to, "{}", alert::ocsf::finding(alert)),
            Format::Text => {
                let blank = if first { "" } else { "\n" };
                write!(self.to, "{blank}{}", alert::terminal::text(alert, self.colour))
            }
        }
        .into_diagnostic()
    }

    /// What goes behind all alerts.
    pub fn finish(&mut self, told: &Told<'_>, _: &Options, _: &Policy) -> miette::Result<()> {
        if !told.launches.is_empty() {
            let text = told.launches.text();
            match self.format {
                Format::Text => {
                    let blank = if self.first { "" } else { "\n" };
                    write!(self.to, "{blank}{text}").into_diagnostic()?;
                }
                // Lines of OCSF and nothing else.
                Format::Json => eprint!("{text}"),
            }
        }
        self.to.flush().into_diagnostic()
    }
}
