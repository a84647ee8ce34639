//! `imagewarden hunt`: what archives would have raised.

mod launches;
mod output;
mod show;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use clap::Args;
use imagewarden::activity::Activity;
use imagewarden::alert::Alert;
use imagewarden::archive::{Sorted, Summary};
use imagewarden::detection::REGISTRY;
use imagewarden::history::deliver::Fate;
use imagewarden::lookup::{Lookup, Recorded};
use imagewarden::pipeline::Processed;
use imagewarden::policy::Policy;
use imagewarden::severity::Severity;
use miette::IntoDiagnostic;

use super::archives::{Found, Interrupt, Reading, when};
use super::inputs::FactFolders;
use super::{Beginning, Outcome, account, judging, severity};
use launches::Launches;
use output::{Format, Output};
use show::{Tally, Told};

#[derive(Args)]
pub struct Options {
    /// Files, folders and `s3://BUCKET/PREFIX` of logs; `-` for standard input. A folder means every log file in it and below,
    /// facts/ excepted. Gzip, zstd and plain; log files of trails, JSON lines, CloudTrail Lake's and
    /// LookupEvents' output, EventBridge archives, CloudWatch Logs exports.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show alerts of events from here on: `2026-03-01`, `2026-03-01T12:00:00Z`, or `90d`, `12h` before
    /// now. Earlier events are only remembered.
    #[arg(long, value_name = "TIME", value_parser = when::since)]
    since: Option<DateTime<Utc>>,
    #[command(flatten)]
    reading: Reading,
    /// Only events of this account; may be repeated. One alone is also the account of records that name
    /// none.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Vec<String>,
    /// Only events of this region; may be repeated.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Show only alerts in which this detection matched; may be repeated.
    #[arg(long, value_name = "ID", value_parser = detection)]
    detection: Vec<String>,
    /// Show only alerts at least this severe.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// How to print alerts.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file of --output where it is there already.
    #[arg(long)]
    force: bool,
    /// The policy. Default: `policy.yaml` here, else the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Exit with 2 if any file or record could not be read.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    beginning: Beginning,
    /// Activities kept in memory; more go to disk. For tests.
    #[arg(long, value_name = "NUMBER", hide = true)]
    in_memory: Option<usize>,
}

impl Options {
    /// What was asked for and limits the picture, in sentences.
    fn filters(&self) -> Vec<String> {
        let mut told = Vec::new();
        let time = |time: &DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
        told.extend(self.since.as_ref().map(|since| format!("Only events since {}.", time(since))));
        told.extend(self.reading.until.as_ref().map(|until| format!("Only events before {}.", time(until))));
        for (what, listed) in
            [("accounts", &self.account), ("regions", &self.region), ("detections", &self.detection)]
        {
            if !listed.is_empty() {
                told.push(format!("Only these {what}: {}.", listed.join(", ")));
            }
        }
        told.extend(self.severity.map(|floor| format!("Only alerts at least {floor}.")));
        told
    }
}

fn detection(text: &str) -> Result<String, String> {
    match REGISTRY.iter().find(|detection| detection.id == text) {
        Some(detection) => Ok(detection.id.to_owned()),
        None => Err("no detection of this name; `imagewarden detections` lists them".to_owned()),
    }
}

pub async fn run(options: Options) -> miette::Result<Outcome> {
    let (policy, policy_text) = judging::policy_and_text(options.policy.as_deref())?;
    let mut folders = FactFolders::new(options.reading.facts.as_deref())?;
    let found = Found::at(&options.paths).await?;
    let mut output =
        Output::open(options.output.as_deref(), options.force, options.format, options.reading.jobs() > 1)?;
    let started = Instant::now();
    let interrupt = Interrupt::listen();
    let (sorted, summary) = read(&found, &options, &interrupt)?;
    let mut hunt = Hunt {
        options: &options,
        policy: &policy,
        interrupt: &interrupt,
        output: &mut output,
        tally: Tally::default(),
        launches: Launches::default(),
    };
    let beside = |file: usize| found.facts_of(file, &mut folders);
    if options.reading.live {
        let account = options.account.first().map(String::as_str);
        let live = judging::live(account).await?;
        hunt.judge(sorted, Some(&live), beside).await?;
    } else {
        hunt.judge(sorted, None::<&Recorded>, beside).await?;
    }
    let Hunt { tally, launches, .. } = hunt;
    let told = Told { summary: &summary, tally: &tally, launches: &launches, elapsed: started.elapsed() };
    output.finish(&told, &options, policy_text)?;
    show::summary(&told);
    Ok(outcome(&options, &found, &summary))
}

/// Activities come out in the order of their times.
fn read(found: &Found, options: &Options, interrupt: &Interrupt) -> miette::Result<(Sorted, Summary)> {
    let alone = match options.account.as_slice() {
        [one] => Some(one.as_str()),
        _ => None,
    };
    let mut sorted = options.in_memory.map_or_else(Sorted::default, Sorted::new);
    let mut left_out = LeftOut::default();
    let summary = options.reading.run(found, alone, interrupt, |batch| {
        sorted.add(batch, |activity| {
            let wanted = wanted(activity, options);
            left_out.count(activity, wanted);
            wanted
        })
    })?;
    left_out.tell();
    Ok((sorted, summary))
}

/// What the filters left out, so that a name with a slip in it does not pass for a clean archive.
#[derive(Default)]
struct LeftOut {
    kept: u64,
    others: u64,
    undated: u64,
    /// Accounts and regions that there were, a few of them.
    places: BTreeSet<String>,
}

impl LeftOut {
    fn count(&mut self, activity: &Activity, wanted: bool) {
        const MOST: usize = 8;
        if wanted {
            self.kept += 1;
            return;
        }
        self.others += 1;
        self.undated += u64::from(activity.time_is_arrival);
        if self.places.len() < MOST {
            let named = |name: &str| {
                name.chars()
                    .filter(|it| it.is_ascii_alphanumeric() || *it == '-')
                    .take(64)
                    .collect::<String>()
            };
            self.places.insert(format!("{} {}", named(&activity.account), named(&activity.region)));
        }
    }

    fn tell(&self) {
        if self.undated > 0 {
            eprintln!(
                "warning: {} events without a time were left out by --until or another filter",
                self.undated
            );
        }
        if self.kept == 0 && self.others > 0 {
            let places: Vec<&str> = self.places.iter().map(String::as_str).collect();
            eprintln!(
                "warning: the filters left out all {} activities; there were some of account and region {}",
                self.others,
                places.join(", ")
            );
        }
    }
}

/// Whether an event is asked about. What came earlier than `--since` still says what is new after it.
fn wanted(activity: &Activity, options: &Options) -> bool {
    let listed = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    listed(&options.account, &activity.account)
        && listed(&options.region, &activity.region)
        && options.reading.until.is_none_or(|until| activity.time < until)
}

fn outcome(options: &Options, found: &Found, summary: &Summary) -> Outcome {
    let nothing = summary.yielded_nothing() && !found.inputs.is_empty();
    if nothing || options.strict && summary.unreadable > 0 { Outcome::Unreadable } else { Outcome::Ran }
}

/// Judging, with everything it reports to.
struct Hunt<'a> {
    options: &'a Options,
    policy: &'a Policy,
    interrupt: &'a Interrupt,
    output: &'a mut Output,
    tally: Tally,
    launches: Launches,
}

impl Hunt<'_> {
    /// Judges in the order of event times, as `check` does, and prints each alert as it is found.
    async fn judge<L: Lookup>(
        &mut self,
        sorted: Sorted,
        live: Option<&L>,
        mut beside: impl FnMut(usize) -> miette::Result<Arc<Recorded>>,
    ) -> miette::Result<()> {
        let mut past = judging::past(self.policy, &self.options.beginning).await?;
        self.interrupt.goes_on();
        for entry in sorted.in_order().into_diagnostic()? {
            if self.interrupt.is_raised() {
                self.tally.stopped = true;
                break;
            }
            let (file, activity) = entry.into_diagnostic()?;
            let time = activity.time;
            let processed = match live {
                Some(live) => judging::next(&mut past, activity, live).await?,
                None => judging::next(&mut past, activity, beside(file)?.as_ref()).await?,
            };
            if self.options.since.is_none_or(|since| time >= since) {
                self.tell(processed)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, processed: Processed) -> miette::Result<()> {
        self.tally.activities += 1;
        self.tally.suppressed += processed.suppressed.len() as u64;
        if !self.options.reading.live {
            self.launches.add(&processed.judgement);
        }
        for (alert, fate) in processed.alerts {
            if fate != Fate::Published {
                self.tally.repetitions += 1;
            } else if launches::is_unjudged(&alert) && !self.options.reading.live {
                // Told with the other launches of its image.
            } else if self.shows(&alert) {
                self.tally.add(&alert);
                self.output.alert(alert)?;
            }
        }
        Ok(())
    }

    fn shows(&self, alert: &Alert) -> bool {
        let asked = &self.options.detection;
        let found = alert.findings.iter().any(|it| asked.iter().any(|id| id == it.detection.id));
        (asked.is_empty() || found) && self.options.severity.is_none_or(|floor| alert.severity() >= floor)
    }
}
