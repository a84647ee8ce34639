//! The command line. Exit codes are a contract: 0 it ran, 1 `--fail-on` was met, 2 bad usage or an
//! input that yields nothing readable.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Outcome};

/// Judging makes many small things and drops them: a sixth of a hunt went into the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(Outcome::Ran) => ExitCode::SUCCESS,
        Ok(Outcome::FailOnMet) => ExitCode::from(1),
        Ok(Outcome::Unreadable) => ExitCode::from(2),
        Err(report) => {
            if cli::output::is_broken_pipe(&report) {
                return ExitCode::SUCCESS;
            }
            eprintln!("{report:?}");
            ExitCode::from(2)
        }
    }
}
