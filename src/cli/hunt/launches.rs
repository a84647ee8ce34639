//! Launches that nobody could judge: owners of images are not in the logs.
//!
//! One alert for each would say the same thing a thousand times. Here they are by image, with the commands
//! that fetch what is missing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use imagewarden::activity::Action;
use imagewarden::alert::Alert;
use imagewarden::alert::report::Unjudged;
use imagewarden::detection::{Subject, Verdict, shape};
use imagewarden::engine::Judgement;
use imagewarden::text::clean;

use crate::cli::output;

/// The check that cannot tell without the owner.
const CHECK: &str = "machine-image-not-approved";
/// Values that one filter of `describe-images` takes.
const IDS_IN_A_COMMAND: usize = 200;
/// Principals named with an image; the others are counted.
const PRINCIPALS: usize = 3;
/// Principals remembered with an image.
const MOST_PRINCIPALS: usize = 100;

/// All launches of one image in a region by an account.
#[derive(Debug)]
struct Launched {
    launches: u64,
    instances: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    principals: BTreeSet<String>,
}

/// Account, region and image.
type Key = (String, String, String);

/// By account, region and image.
#[derive(Debug, Default)]
pub struct Launches(BTreeMap<Key, Launched>);

/// Whether an alert says no more than that a launch could not be judged for want of facts.
pub fn is_unjudged(alert: &Alert) -> bool {
    let mut reasons = alert.findings.iter().flat_map(|finding| &finding.matched.not_inspected);
    matches!(alert.subject, Subject::Unchecked { .. })
        && match alert.activity.action {
            Action::ImageLaunched(_) => reasons.all(|reason| for_want_of_facts(&reason.code)),
            // Of what an image was made from, a missing origin says something.
            Action::ImageDerived(_) => reasons.all(|reason| reason.code.ends_with("-not-recorded")),
            _ => false,
        }
}

fn for_want_of_facts(code: &str) -> bool {
    code.ends_with("-not-recorded") || code == "image-not-found"
}

impl Launches {
    /// Takes a launch that could not be judged for want of facts.
    pub fn add(&mut self, judgement: &Judgement) {
        let Action::ImageLaunched(launch) = &judgement.activity.action else { return };
        let untold = judgement.verdicts.iter().any(|(detection, verdict)| {
            detection.id == CHECK
                && matches!(verdict, Verdict::CannotTell(reason) if for_want_of_facts(&reason.code))
        });
        if !untold {
            return;
        }
        let activity = &judgement.activity;
        let key = (activity.account.clone(), activity.region.clone(), launch.image.label());
        let known = self.0.entry(key).or_insert_with(|| Launched {
            launches: 0,
            instances: 0,
            first: activity.time,
            last: activity.time,
            principals: BTreeSet::new(),
        });
        known.launches += 1;
        known.instances += u64::from(launch.count);
        known.first = known.first.min(activity.time);
        known.last = known.last.max(activity.time);
        if known.principals.len() < MOST_PRINCIPALS {
            known.principals.insert(activity.principal().to_owned());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many launches there are.
    pub fn total(&self) -> u64 {
        self.0.values().map(|launched| launched.launches).sum()
    }

    /// For the page.
    pub fn images(&self) -> impl Iterator<Item = Unjudged> {
        self.0.iter().map(|((_, region, image), launched)| Unjudged {
            image: image.clone(),
            region: region.clone(),
            launches: launched.launches,
            first: launched.first,
            last: launched.last,
        })
    }

    /// What to read: a line an image, then the commands.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} of {} could not be judged: logs do not name the owner of an image.\n",
            output::count(usize::try_from(self.total()).unwrap_or(usize::MAX), "launch", "launches"),
            output::count(self.0.len(), "image", "images"),
        );
        let mut images: Vec<_> = self.0.iter().collect();
        images.sort_by_key(|(_, launched)| std::cmp::Reverse(launched.launches));
        for ((account, region, image), launched) in images {
            let Launched { launches, instances, first, last, principals } = launched;
            let mut who: Vec<String> = principals.iter().take(PRINCIPALS).map(|it| printable(it)).collect();
            if principals.len() > PRINCIPALS {
                who.push(format!("{} more", principals.len() - PRINCIPALS));
            }
            text.push_str(&format!(
                "  {}  {} {}  launches: {launches}, instances: {instances}, {} to {}, by {}\n",
                printable(image),
                printable(account),
                printable(region),
                first.format("%Y-%m-%d"),
                last.format("%Y-%m-%d"),
                who.join(", "),
            ));
        }
        let commands = self.commands();
        if !commands.is_empty() {
            text.push_str("Fetch the owners, then hunt again with --facts facts:\n");
            commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
        }
        text
    }

    /// One command a region, more where there are more images than one takes. A filter finds those that are
    /// there; a list of ids would fail as a whole when one is gone.
    ///
    /// Names come from events: nothing but ids and regions gets into a command.
    pub fn commands(&self) -> Vec<String> {
        let mut regions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (_, region, image) in self.0.keys() {
            if shape::image(image).is_some() && shape::region(region).is_some() {
                regions.entry(region).or_default().insert(image);
            }
        }
        let mut commands = Vec::new();
        for (region, images) in regions {
            let images: Vec<&str> = images.into_iter().collect();
            for (number, chunk) in images.chunks(IDS_IN_A_COMMAND).enumerate() {
                let folder = format!("facts/regions/{region}");
                commands.push(format!(
                    "mkdir -p {folder} && aws ec2 describe-images --region {region} --include-deprecated --output json \
                     --filters Name=image-id,Values={} > {folder}/images-{}.json",
                    chunk.join(","),
                    number + 1,
                ));
            }
        }
        commands
    }
}

/// What stands in events may be of any length, bring control characters along, or be nothing.
fn printable(text: &str) -> String {
    const LONGEST: usize = 120;
    let shown = clean(text, LONGEST);
    if shown.is_empty() { "unknown".to_owned() } else { shown }
}
