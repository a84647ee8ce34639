//! `imagewarden learn`: a policy from archives, and first sightings to begin with.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use imagewarden::archive::Summary;
use imagewarden::learn::{Bounds, Draft, Learner};
use imagewarden::lookup::{Fact, FactKey, Lookup, Recorded};
use imagewarden::policy::{self, Policy, Zone};
use miette::{Context, IntoDiagnostic};

use super::archives::{self, Found, Interrupt, Reading, when};
use super::inputs::FactFolders;
use super::output::Written;
use super::{Outcome, account, judging, output};

#[derive(Args)]
pub struct Options {
    /// Files, folders and buckets of logs, as `hunt` reads them; `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The time zone that working hours are told in: an IANA name such as `Europe/Berlin`.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: Zone,
    /// Show what would be added to this policy, as a unified diff; the file is left alone.
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    /// Write to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the files of --output and --seed where they are there already.
    #[arg(long)]
    force: bool,
    /// Write first sightings too, for `--seed` of `check` and `hunt`: JSON lines.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Put first sightings into the function's history, with the credentials of the environment.
    #[arg(long, value_name = "TABLE")]
    seed_table: Option<String>,
    /// Learn from events from here on: `2026-03-01`, or `90d` before now.
    #[arg(long, value_name = "TIME", value_parser = when::since)]
    since: Option<DateTime<Utc>>,
    #[command(flatten)]
    reading: Reading,
    /// The account of records that name none.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    // What cannot work is said before anything is read.
    let merge = options.merge.as_deref().map(policy::load_with_text).transpose()?;
    if options.seed_table.is_some() && cfg!(not(feature = "aws")) {
        return Err(miette::miette!(
            help = "build it with `cargo build --release --features aws`, or write a file with --seed",
            "this build cannot write into DynamoDB"
        ));
    }
    for path in [&options.output, &options.seed].into_iter().flatten() {
        output::vacant(path, options.force)?;
    }
    let base = merge.as_ref().map_or_else(Policy::default, |(policy, _)| policy.clone());
    let mut folders = FactFolders::new(options.reading.facts.as_deref())?;
    let found = Found::at(&options.paths).await?;
    let mut learner = Learner::new(base, options.zone.clone(), Bounds::default());
    let summary = read(&found, &options, &mut learner)?;
    if summary.yielded_nothing() {
        // A policy of nothing would look like one of something.
        archives::tell_unreadable(&summary);
        return Ok(Outcome::Unreadable);
    }
    let draft = if options.reading.live {
        learner.conclude(&judging::live(options.account.as_deref()).await?).await
    } else {
        learner.conclude(&Several::beside(&found, &mut folders)?).await
    };
    let text = match (&merge, &options.merge) {
        (Some((policy, text)), Some(path)) => {
            imagewarden::learn::diff(text, &path.display().to_string(), policy, &draft).into_diagnostic()?
        }
        _ => draft.to_yaml()?,
    };
    write(options.output.as_deref(), options.force, &text)?;
    if let Some(path) = &options.seed {
        write_seed(&learner, path, options.force)?;
    }
    if let Some(table) = &options.seed_table {
        seed_table(&learner, table).await?;
    }
    tell(&summary, &learner, &draft, merge.is_some());
    Ok(Outcome::Ran)
}

/// Ctrl-C ends the reading, and what was seen counts.
fn read(found: &Found, options: &Options, learner: &mut Learner) -> miette::Result<Summary> {
    let (since, until) = (options.since, options.reading.until);
    options.reading.run(found, options.account.as_deref(), &Interrupt::listen(), |batch| {
        for activity in batch.activities {
            if since.is_none_or(|since| activity.time >= since)
                && until.is_none_or(|until| activity.time < until)
            {
                learner.see(activity);
            }
        }
        Ok(())
    })
}

fn write(path: Option<&Path>, force: bool, text: &str) -> miette::Result<()> {
    match path {
        Some(path) => output::create(path, force)?
            .write_all(text.as_bytes())
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", path.display())),
        None => {
            let mut out = output::stdout();
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).written()
        }
    }
}

fn write_seed(learner: &Learner, path: &Path, force: bool) -> miette::Result<()> {
    let wrap = || format!("cannot write {}", path.display());
    let file = output::create(path, force)?;
    let written = learner.write_seed(&mut BufWriter::new(file)).into_diagnostic().wrap_err_with(wrap)?;
    eprintln!(
        "{} in {}",
        output::count(
            usize::try_from(written.records).unwrap_or(usize::MAX),
            "first sighting",
            "first sightings"
        ),
        path.display()
    );
    if written.left_out > 0 {
        eprintln!("warning: {} sightings more are not in it: there are too many", written.left_out);
    }
    Ok(())
}

#[cfg(feature = "aws")]
async fn seed_table(learner: &Learner, table: &str) -> miette::Result<()> {
    use imagewarden::history::dynamodb::DynamoDb;

    let sdk = imagewarden::aws::load().await.into_diagnostic()?;
    let records: Vec<_> = learner.sightings().cloned().collect();
    let written = imagewarden::learn::sow(&DynamoDb::new(&sdk, table), &records)
        .await
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write into the table {table}"))?;
    eprintln!("{written} of {} first sightings were news to the table {table}", records.len());
    Ok(())
}

#[cfg(not(feature = "aws"))]
async fn seed_table(_: &Learner, _: &str) -> miette::Result<()> {
    Ok(())
}

fn tell(summary: &Summary, learner: &Learner, draft: &Draft, merging: bool) {
    archives::tell_unreadable(summary);
    if summary.stopped {
        eprintln!("warning: ended early: the policy is of what was read until then");
    }
    eprintln!(
        "{} in {} records of {} files; {} to review{}",
        output::count(usize::try_from(learner.activities()).unwrap_or(usize::MAX), "activity", "activities"),
        summary.records,
        summary.files,
        output::count(draft.reviews(), "line", "lines"),
        if merging { ", of which the diff holds those that are approved" } else { "" },
    );
}

/// The facts beside all inputs together: whoever knows an answer gives it.
struct Several(Vec<Arc<Recorded>>);

impl Several {
    fn beside(found: &Found, folders: &mut FactFolders) -> miette::Result<Self> {
        let mut all: Vec<Arc<Recorded>> = Vec::new();
        for file in 0..found.inputs.len() {
            let facts = found.facts_of(file, folders)?;
            if !all.iter().any(|known| Arc::ptr_eq(known, &facts)) {
                all.push(facts);
            }
        }
        Ok(Self(all))
    }
}

impl Lookup for Several {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        let mut answers: Vec<(FactKey, Fact)> = Vec::new();
        for facts in &self.0 {
            for (key, fact) in facts.fetch(keys).await {
                match answers.iter_mut().find(|(known, _)| *known == key) {
                    None => answers.push((key, fact)),
                    Some((_, known)) if rank(&fact) > rank(known) => *known = fact,
                    Some(_) => {}
                }
            }
        }
        answers
    }
}

/// What is known counts more than what is not there, and that more than what nobody could say.
fn rank(fact: &Fact) -> u8 {
    match fact {
        Fact::Known(_) => 2,
        Fact::Absent => 1,
        Fact::Unavailable(_) => 0,
    }
}
