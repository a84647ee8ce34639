//! What `hunt` and `learn` share: which archives are read and how, how far it is, how it is ended, which
//! facts stand beside each file, and what could not be read.

mod bar;
mod found;
mod interrupt;
pub mod when;

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use imagewarden::archive::{self, Batch, Summary};
use imagewarden::source::Surroundings;
use indicatif::HumanCount;
use miette::IntoDiagnostic;

use super::inputs;
pub use bar::Bar;
pub use found::Found;
pub use interrupt::Interrupt;

/// How archives are read, and what is asked for what they do not say.
#[derive(Args)]
pub struct Reading {
    /// Leave out events later than this. A date means the end of that day.
    #[arg(long, value_name = "TIME", value_parser = when::until)]
    pub until: Option<DateTime<Utc>>,
    /// Recorded facts, as the AWS CLI prints them. Default: `facts/` beside the logs.
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    pub facts: Option<PathBuf>,
    /// Ask AWS for facts, with the credentials of the environment.
    #[arg(long)]
    pub live: bool,
    /// Files read at the same time. Default: one for each core.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

impl Reading {
    /// Files read at the same time.
    pub fn jobs(&self) -> usize {
        self.jobs.map_or_else(archive::cores, usize::from)
    }

    /// Reads everything, with a bar on a terminal. An interrupt ends the reading, and what was read until
    /// then counts. `account` is that of records that name none.
    pub fn run(
        &self,
        found: &Found,
        account: Option<&str>,
        interrupt: &Interrupt,
        sink: impl FnMut(Batch) -> io::Result<()>,
    ) -> miette::Result<Summary> {
        let surroundings =
            Surroundings { account: account.map(str::to_owned), ..Surroundings::new(Utc::now()) };
        let mut options = archive::Options::new(surroundings);
        options.jobs = self.jobs();
        options.fetch = found.fetch.clone();
        interrupt.stops(options.progress.clone());
        let bar = Bar::start(&found.inputs, options.progress.clone());
        let summary = archive::scan(&found.inputs, &options, sink);
        bar.end();
        summary.into_diagnostic()
    }
}

/// Names what could not be read, on standard error.
pub fn tell_unreadable(summary: &Summary) {
    let named = summary.problems.iter().take(inputs::NAMED);
    let unnamed = summary.unreadable.saturating_sub(named.len() as u64);
    for problem in named {
        inputs::tell_unreadable(&problem.file, &problem.place, &problem.reason);
    }
    if unnamed > 0 {
        eprintln!("unreadable: and {} more", HumanCount(unnamed));
    }
}
