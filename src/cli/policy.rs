//! `imagewarden policy`: whether a policy file is sound, what it comes to, and its schema.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use imagewarden::policy::Policy;

use super::output::Written;
use super::{Outcome, judging, output};

#[derive(Subcommand)]
pub enum Command {
    /// Say whether a policy file is sound, and what in it deserves a look.
    Check {
        /// Default: `policy.yaml` here, else the built-in one.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        policy: Option<PathBuf>,
    },
    /// Print the policy with every default filled in.
    Show {
        /// Default: `policy.yaml` here, else the built-in one.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        policy: Option<PathBuf>,
    },
    /// Print the JSON Schema of policy files.
    Schema,
}

pub fn run(command: Command) -> miette::Result<Outcome> {
    let mut out = output::stdout();
    match command {
        Command::Check { file, policy } => {
            let policy = judging::policy(file.or(policy).as_deref())?;
            let warnings = policy.warnings(chrono::Utc::now().date_naive());
            for warning in &warnings {
                eprintln!("warning: {warning}");
            }
            let noted = output::count(warnings.len(), "warning", "warnings");
            writeln!(out, "the policy is sound, {noted}").written()?;
        }
        Command::Show { file, policy } => {
            write!(out, "{}", judging::policy(file.or(policy).as_deref())?.to_yaml()).written()?;
        }
        Command::Schema => writeln!(out, "{:#}", Policy::schema()).written()?,
    }
    out.flush().written()?;
    Ok(Outcome::Ran)
}
