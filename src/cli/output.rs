//! Standard output: results only, coloured on a terminal only.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::CommandFactory;
use miette::{Context, IntoDiagnostic};

use super::{Arguments, Outcome};

/// Buffered standard output that knows whether to colour.
pub struct Stdout {
    inner: BufWriter<io::StdoutLock<'static>>,
    colour: bool,
}

/// Colour follows the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
pub fn colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

pub fn stdout() -> Stdout {
    Stdout { inner: BufWriter::new(io::stdout().lock()), colour: colour() }
}

impl Stdout {
    pub fn colour(&self) -> bool {
        self.colour
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Refuses to write over a file that is there, unless that is asked for. Devices and pipes may be written to.
///
/// # Errors
/// Where the file is there already.
pub fn vacant(path: &Path, force: bool) -> miette::Result<()> {
    let there = std::fs::metadata(path).is_ok_and(|found| found.is_file());
    if there && !force {
        return Err(miette::miette!(
            help = "name another file, or say --force to overwrite it",
            "{} exists already",
            path.display()
        ));
    }
    Ok(())
}

/// Opens a file to write results into. Without `force`, what is there stays.
///
/// # Errors
/// Where the file is there already, or cannot be written.
pub fn create(path: &Path, force: bool) -> miette::Result<File> {
    vacant(path, force)?;
    File::create(path).into_diagnostic().wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// The width to lay tables out for.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0).max(60))
}

/// `1 alert`, `2 alerts`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What was found cannot be written. Unlike `into_diagnostic`, this lets [`is_broken_pipe`] see why.
#[derive(Debug, thiserror::Error)]
#[error("what was found cannot be written")]
pub struct Unwritten(#[from] io::Error);

impl miette::Diagnostic for Unwritten {}

/// The outcome of writing results.
pub trait Written {
    /// # Errors
    /// What went wrong, for people.
    fn written(self) -> miette::Result<()>;
}

impl Written for io::Result<()> {
    fn written(self) -> miette::Result<()> {
        Ok(self.map_err(Unwritten)?)
    }
}

/// The reader went away (`| head`): no error of ours.
pub fn is_broken_pipe(report: &miette::Report) -> bool {
    report
        .chain()
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> miette::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "imagewarden", &mut script);
    let mut out = stdout();
    out.write_all(&script).and_then(|()| out.flush()).written()?;
    Ok(Outcome::Ran)
}
