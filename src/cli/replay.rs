//! `imagewarden replay`: events that failed, sent through again.

use std::path::PathBuf;

use clap::Args;

use super::{Judging, Outcome};

#[derive(Args)]
pub struct Options {
    /// Failure records: files, folders, and with the AWS side also `s3://bucket/prefix` or a queue's URL.
    #[arg(required = true, value_name = "PATH|URL")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    let _ = (options.paths, options.judging);
    Ok(Outcome::Ran)
}
