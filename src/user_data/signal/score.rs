//! From signals to a score and a conclusion.

use super::Id;
use super::{Case, Hit, Judgement};
use crate::user_data::{Conclusion, Finding};

/// The score from which on a user data is suspicious.
pub const SUSPICIOUS: u32 = 50;
/// What one category may add when no signal in it is strong: several weak ones of a kind are no alert.
const WEAK_CATEGORY: u32 = SUSPICIOUS - 5;
/// The weight from which on a signal is strong.
const STRONG: u32 = 30;
/// What damped signals weigh at most; they take part in no combination.
pub(super) const DAMPED: u32 = 10;

/// A combination of signals that says more than their sum.
struct Combination {
    applies: fn(&Seen<'_>) -> bool,
    bonus: u32,
    critical: bool,
}

const fn combination(applies: fn(&Seen<'_>) -> bool, bonus: u32, critical: bool) -> Combination {
    Combination { applies, bonus, critical }
}

static COMBINATIONS: &[Combination] = &[
    // Code from a host without a name.
    combination(|seen| seen.executes() && seen.throw_away_host(), 20, false),
    // A dropper: fetched, unpacked where anyone may write, left running.
    combination(|seen| seen.full(Id::Exe04) && seen.full(Id::Exe05) && seen.full(Id::Exe06), 25, false),
    // A machine tuned for mining by somebody who downloads.
    combination(|seen| seen.full(Id::Min05) && seen.downloads, 20, false),
    // Clears the ground and then runs something. The firewall alone is what honest scripts switch off.
    combination(|seen| seen.executes() && seen.defences() >= 2, 20, false),
    // Traces are gone before something fetched is run. Image builds wipe them at the end.
    combination(|seen| seen.wiped_first, 20, false),
    // A key for root that cannot be removed.
    combination(|seen| seen.has(Id::Per03) && seen.has(Id::Def03), 20, false),
    // A way in that ends at a host without a name.
    combination(|seen| seen.has(Id::Net05) && seen.throw_away_host(), 20, false),
    combination(|seen| seen.has(Id::Per01) && seen.throw_away_host(), 0, true),
    combination(|seen| seen.has(Id::Crd03) && seen.has(Id::Crd01), 0, true),
    // Credential files that leave.
    combination(|seen| seen.has(Id::Crd03) && seen.has(Id::Crd02), 25, false),
];

struct Seen<'a> {
    hits: &'a [Hit],
    downloads: bool,
    wiped_first: bool,
}

impl Seen<'_> {
    fn has(&self, id: Id) -> bool {
        self.hits.iter().any(|hit| hit.id == id)
    }
    fn full(&self, id: Id) -> bool {
        self.hits.iter().any(|hit| hit.id == id && hit.weight > DAMPED)
    }
    fn executes(&self) -> bool {
        self.hits.iter().any(|hit| hit.id.category() == "exe" && hit.weight > DAMPED)
    }
    fn throw_away_host(&self) -> bool {
        self.has(Id::Net01) || self.has(Id::Net02)
    }
    fn defences(&self) -> usize {
        let strong = self.hits.iter().filter(|hit| hit.id.category() == "def" && hit.weight > DAMPED).count();
        // Wiping traces and lowering the firewall is also how images are built.
        let switched_off =
            self.has(Id::Def05) && [Id::Def01, Id::Def02, Id::Def04].iter().any(|id| self.has(*id));
        strong + usize::from(switched_off)
    }
}

/// Add up.
pub(super) fn conclude(case: Case<'_>) -> Judgement {
    let Case { mut hits, critical: already, flow, wiped, ran, .. } = case;
    let wiped_first = wiped.is_some_and(|wiped| ran.is_some_and(|ran| wiped < ran));
    let seen = Seen { hits: &hits, downloads: flow.untrusted, wiped_first };
    let mut score = 0u32;
    let mut critical = already;
    for category in ["exe", "net", "min", "def", "per", "crd", "dec", "sup", "imp"] {
        let weights = || hits.iter().filter(|hit| hit.id.category() == category).map(|hit| hit.weight);
        let strongest = weights().max().unwrap_or(0);
        let has_critical = hits.iter().any(|hit| hit.id.category() == category && hit.id.signal().critical);
        let limit = match strongest {
            _ if has_critical => u32::MAX,
            strongest if strongest >= STRONG => SUSPICIOUS,
            _ => WEAK_CATEGORY,
        };
        score = score.saturating_add(weights().sum::<u32>().min(limit));
        critical |= has_critical;
    }
    for combination in COMBINATIONS.iter().filter(|combination| (combination.applies)(&seen)) {
        score = score.saturating_add(combination.bonus);
        critical |= combination.critical;
    }
    hits.sort_by(|one, other| other.weight.cmp(&one.weight).then(one.id.cmp(&other.id)));
    let conclusion = if critical || score >= SUSPICIOUS {
        Conclusion::Suspicious
    } else if hits.iter().any(|hit| hit.id == Id::Dec02) {
        Conclusion::Undecodable
    } else if hits.is_empty() {
        Conclusion::Clean
    } else {
        Conclusion::Signals
    };
    let findings = hits
        .into_iter()
        .map(|hit| Finding { id: hit.id.as_str(), place: hit.place, quote: hit.quote })
        .collect();
    Judgement { findings, score, critical, conclusion }
}
