//! What the command line takes, and one file a command.

mod archives;
mod check;
mod detections;
mod explain;
mod hunt;
mod inputs;
mod judging;
mod learn;
pub mod output;
mod policy;
mod replay;
mod user_data;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use imagewarden::detection::shape;
use imagewarden::severity::Severity;
use miette::{Context, IntoDiagnostic};

/// Tells a team, with the evidence, when somebody runs or pushes an image they did not approve.
///
/// MITRE ATT&CK T1204.003, User Execution: Malicious Image.
#[derive(Parser)]
#[command(name = "imagewarden", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge events as the function would, and print every alert.
    Check(check::Options),
    /// Show every detection's verdict on events, and why.
    Explain(explain::Options),
    /// Show what archives of log files would have raised: months of a trail in minutes.
    Hunt(hunt::Options),
    /// Write a policy from archives: who and what is in habitual use, with the evidence.
    Learn(learn::Options),
    /// Say what launch scripts would do, before they are used.
    UserData(user_data::Options),
    /// Check, show or describe the policy file.
    #[command(subcommand)]
    Policy(policy::Command),
    /// List the detections with their severities and scores.
    Detections(detections::Options),
    /// Send failed events through again.
    Replay(replay::Options),
    /// Print a completion script for a shell.
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// Options of the commands that judge events.
#[derive(Args, Clone)]
pub struct Judging {
    /// The policy. Default: `policy.yaml` here, else the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Recorded facts, as the AWS CLI prints them. Default: `facts/` beside the events.
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    facts: Option<PathBuf>,
    /// Ask AWS for facts, with the credentials of the environment.
    #[arg(long)]
    live: bool,
    /// The account of records that name none.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
    #[command(flatten)]
    beginning: Beginning,
}

/// What the history begins with.
#[derive(Args, Clone)]
struct Beginning {
    /// Tell first sightings at once, instead of learning from them.
    #[arg(long)]
    no_warm_up: bool,
    /// First sightings to begin with, as `learn --seed` writes them; then no warm-up is needed.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
}

impl Beginning {
    /// Whether first sightings are learnt from before any is told.
    fn warm_up(&self) -> bool {
        !self.no_warm_up && self.seed.is_none()
    }
}

/// How alerts are printed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// For a terminal.
    Text,
    /// One OCSF Detection Finding a line.
    Json,
    /// What an e-mail subscriber receives.
    Email,
    /// What a chat channel receives, one custom notification a line.
    Chat,
}

/// What a command came to; errors are bad usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ran,
    FailOnMet,
    /// An input yielded nothing readable.
    Unreadable,
}

pub fn run(arguments: Arguments) -> miette::Result<Outcome> {
    match arguments.command {
        Command::Check(options) => wait(check::run(options)),
        Command::Explain(options) => wait(explain::run(options)),
        Command::Hunt(options) => wait(hunt::run(options)),
        Command::Learn(options) => wait(learn::run(options)),
        Command::UserData(options) => user_data::run(&options),
        Command::Policy(command) => policy::run(command),
        Command::Detections(options) => detections::run(&options),
        Command::Replay(options) => wait(replay::run(options)),
        Command::Completions { shell } => output::completions(shell),
    }
}

/// Runs a command that waits for others: only those pay for a runtime.
fn wait(command: impl Future<Output = miette::Result<Outcome>>) -> miette::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.into_diagnostic().wrap_err("cannot start")?.block_on(command)
}

fn account(text: &str) -> Result<String, String> {
    match shape::account(text) {
        Some(account) => Ok(account.to_owned()),
        None => Err("an AWS account id has twelve digits".to_owned()),
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    text.parse()
}
