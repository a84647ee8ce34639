//! What `check` and `explain` share: the policy, the inputs, and judging them in event-time order.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use imagewarden::activity::Activity;
use imagewarden::alert::Alert;
use imagewarden::alert::report::PolicyText;
use imagewarden::history::InMemory;
use imagewarden::history::deliver::Fate;
use imagewarden::learn;
use imagewarden::lookup::Lookup;
use imagewarden::past::Past;
use imagewarden::pipeline::Processed;
use imagewarden::policy::{self, Policy};
use miette::{Context, IntoDiagnostic, miette};

use super::inputs::{self, Input};
use super::{Beginning, Judging, Outcome};

/// Loads the policy that was named, else `policy.yaml` here, else the built-in one.
pub fn policy(named: Option<&Path>) -> miette::Result<Policy> {
    match policy_file(named) {
        Some(path) => Ok(policy::load_file(path)?),
        None => Ok(Policy::bundled().clone()),
    }
}

/// As [`policy`]. The built-in one says what the defaults say (a test holds it to that), and here it need
/// not be parsed.
pub fn policy_or_default(named: Option<&Path>) -> miette::Result<Policy> {
    Ok(policy_and_text(named)?.0)
}

/// As [`policy_or_default`], with the text that it was read from.
pub fn policy_and_text(named: Option<&Path>) -> miette::Result<(Policy, PolicyText)> {
    let Some(path) = policy_file(named) else {
        let name = "the built-in policy".to_owned();
        return Ok((Policy::default(), PolicyText { name, yaml: policy::BUNDLED.to_owned() }));
    };
    let (policy, yaml) = policy::load_with_text(path)?;
    Ok((policy, PolicyText { name: path.display().to_string(), yaml }))
}

/// `None` where the built-in policy is used.
fn policy_file(named: Option<&Path>) -> Option<&Path> {
    let here = Path::new("policy.yaml");
    named.or_else(|| here.is_file().then_some(here))
}

/// All inputs, judged.
pub struct Judged {
    pub policy: Policy,
    /// In event-time order.
    pub processed: Vec<Processed>,
    pub files: usize,
    pub ignored: usize,
    pub unreadable: usize,
    /// Lines that were understood and are not believed.
    pub refused: usize,
    pub outcome: Outcome,
}

/// Reads and judges every input; what could not be read is told on standard error.
pub async fn judge(paths: &[PathBuf], options: &Judging) -> miette::Result<Judged> {
    let policy = policy(options.policy.as_deref())?;
    for expired in policy.expired(chrono::Utc::now().date_naive()) {
        let (detection, until) = (&expired.detection, expired.until);
        eprintln!(
            "warning: policy: the suppression of {detection} ran out on {until} and keeps nothing quiet"
        );
    }
    let inputs = inputs::read(paths, options.facts.as_deref(), options.account.as_deref())?;
    let mut judged = Judged {
        policy,
        processed: Vec::new(),
        files: inputs.len(),
        ignored: 0,
        unreadable: 0,
        refused: 0,
        outcome: Outcome::Ran,
    };
    for input in &inputs {
        count(input, &mut judged);
    }
    let mut activities: Vec<_> = inputs
        .into_iter()
        .flat_map(|input| {
            let facts = input.facts;
            input.reading.activities.into_iter().map(move |activity| (activity, facts.clone()))
        })
        .collect();
    activities.sort_by_key(|(activity, _)| activity.time);
    let mut past = past(&judged.policy, &options.beginning).await?;
    if options.live {
        let live = live(options.account.as_deref()).await?;
        for (activity, _) in activities {
            judged.processed.push(next(&mut past, activity, &live).await?);
        }
    } else {
        for (activity, facts) in activities {
            judged.processed.push(next(&mut past, activity, facts.as_ref()).await?);
        }
    }
    Ok(judged)
}

/// Who judges by a policy, with a history that is empty or begins with a seed.
pub async fn past<'a>(policy: &'a Policy, beginning: &Beginning) -> miette::Result<Past<'a>> {
    let history = InMemory::default();
    if let Some(path) = &beginning.seed {
        let wrap = || format!("the seed {}", path.display());
        let file = std::fs::File::open(path).into_diagnostic().wrap_err_with(wrap)?;
        let records = learn::read_seed(BufReader::new(file)).into_diagnostic().wrap_err_with(wrap)?;
        learn::sow(&history, &records).await.into_diagnostic().wrap_err_with(wrap)?;
    }
    Ok(Past::new(policy, None, beginning.warm_up(), history))
}

/// Judges the next activity.
pub async fn next<L: Lookup>(
    past: &mut Past<'_>,
    activity: Activity,
    lookup: &L,
) -> miette::Result<Processed> {
    past.judge(activity, lookup).await.map_err(|error| miette!("{error}"))
}

impl Judged {
    /// The alerts that subscribers would receive, and those under the floor.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        let told = self.processed.iter().flat_map(|processed| &processed.alerts);
        told.filter(|(_, fate)| *fate == Fate::Published).map(|(alert, _)| alert)
    }
}

fn count(input: &Input, judged: &mut Judged) {
    let reading = &input.reading;
    judged.ignored += reading.ignored;
    judged.unreadable += reading.unreadable.len();
    let named = reading.unreadable.iter().take(inputs::NAMED);
    let unnamed = reading.unreadable.len() - named.len();
    for unreadable in named {
        inputs::tell_unreadable(&input.name, &unreadable.place, &unreadable.reason);
    }
    if unnamed > 0 {
        eprintln!("unreadable: {}: and {unnamed} more", input.name);
    }
    for (reason, lines) in &reading.refused {
        judged.refused += lines;
        eprintln!("refused: {}: {reason} ({lines} lines)", input.name);
    }
    if !reading.unreadable.is_empty() && reading.activities.is_empty() && reading.ignored == 0 {
        judged.outcome = Outcome::Unreadable;
    }
}

#[cfg(feature = "aws")]
pub async fn live(account: Option<&str>) -> miette::Result<impl Lookup> {
    let live = imagewarden::lookup::aws::Live::new(account).await;
    live.map_err(|error| miette!("cannot ask AWS: {error}"))
}

#[cfg(not(feature = "aws"))]
pub async fn live(_: Option<&str>) -> miette::Result<imagewarden::lookup::recorded::Recorded> {
    // The bound keeps both builds' signatures honest.
    fn lookup<L: Lookup>(result: miette::Result<L>) -> miette::Result<L> {
        result
    }
    lookup(Err(miette!(
        help = "build it with `cargo build --release --features aws`, or give recorded facts with --facts",
        "this build cannot ask AWS"
    )))
}
