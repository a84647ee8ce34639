//! `imagewarden replay`: events that failed, sent through again.

use clap::Args;

use super::{Judging, Outcome, check};

#[derive(Args)]
pub struct Options {
    /// Failure records: files and folders; with --function also `s3://BUCKET/PREFIX` and SQS queue URLs.
    #[arg(required = true, value_name = "PATH|URL")]
    sources: Vec<String>,
    /// Hand each payload to this function, by name or ARN. Without it they are judged here, as by `check`.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Delete from S3 what succeeded. From a queue it is always deleted.
    #[arg(long, requires = "function")]
    delete: bool,
    #[command(flatten)]
    judging: Judging,
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    match options.function {
        Some(function) => send(options.sources, function, options.delete).await,
        None => {
            let remote = options.sources.iter().find(|source| source.contains("://"));
            if let Some(remote) = remote {
                return Err(miette::miette!(
                    help = "name the function that is to have them with --function",
                    "{remote} can only be replayed through a function"
                ));
            }
            let paths = options.sources.into_iter().map(Into::into).collect();
            check::run(check::Options::text(paths, options.judging)).await
        }
    }
}

#[cfg(feature = "aws")]
async fn send(sources: Vec<String>, function: String, delete: bool) -> miette::Result<Outcome> {
    use std::io::Write;

    use imagewarden::replay::{Replay, Replayed};
    use imagewarden::text::clean;

    use super::output::{self, Written};

    /// Replies and errors quote events, and may be long.
    const SHOWN: usize = 400;

    let mut out = output::stdout();
    let mut written = Ok(());
    let tell = |replayed: &Replayed| {
        let place = clean(&replayed.place, SHOWN);
        let line = match &replayed.outcome {
            Ok(reply) => format!("ok      {place}: {}", clean(reply, SHOWN)),
            Err(error) => format!("failed  {place}: {}", clean(error, SHOWN)),
        };
        if written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    };
    let summary = Replay { sources, function, delete }.run(tell).await;
    written.written()?;
    let summary = summary.map_err(|error| miette::miette!("{error}"))?;
    eprintln!("{} sent through, {} failed again", summary.succeeded, summary.failed);
    Ok(if summary.failed > 0 { Outcome::FailOnMet } else { Outcome::Ran })
}

#[cfg(not(feature = "aws"))]
async fn send(_: Vec<String>, function: String, _: bool) -> miette::Result<Outcome> {
    Err(miette::miette!(
        help =
            "build it with `cargo build --release --features aws`; without --function, files are judged here",
        "this build cannot call the function {function}"
    ))
}
