//! From signals to a score and a conclusion.

use super::table::SIGNALS;
use super::{Case, Hit, Judgement, signal_of};
use crate::user_data::{Conclusion, Finding};

/// The score from which on a user data is suspicious.
pub const SUSPICIOUS: u32 = 50;
/// What one category may add when no signal in it is strong: several weak ones of a kind are no alert.
const WEAK_CATEGORY: u32 = SUSPICIOUS - 5;
/// The weight from which on a signal is strong.
const STRONG: u32 = 30;
/// What damped signals weigh at most; they take part in no combination.
const DAMPED: u32 = 10;

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
    combination(|seen| seen.full("exe-04") && seen.full("exe-05") && seen.full("exe-06"), 25, false),
    // A machine tuned for mining by somebody who downloads.
    combination(|seen| seen.full("min-05") && seen.downloads, 20, false),
    // Clears the ground and then runs something. The firewall alone is what honest scripts switch off.
    combination(|seen| seen.executes() && seen.defences() >= 2, 20, false),
    // A way in that ends at a host without a name.
    combination(|seen| seen.has("net-05") && seen.throw_away_host(), 20, false),
    combination(|seen| seen.has("per-01") && seen.throw_away_host(), 0, true),
    combination(|seen| seen.has("crd-03") && seen.has("crd-01"), 0, true),
    // Credential files that leave.
    combination(|seen| seen.has("crd-03") && seen.has("crd-02"), 25, false),
];

struct Seen<'a> {
    hits: &'a [Hit],
    downloads: bool,
}

impl Seen<'_> {
    fn has(&self, id: &str) -> bool {
        self.hits.iter().any(|hit| hit.id == id)
    }
    fn full(&self, id: &str) -> bool {
        self.hits.iter().any(|hit| hit.id == id && hit.weight > DAMPED)
    }
    fn executes(&self) -> bool {
        self.hits.iter().any(|hit| hit.id.starts_with("exe-") && hit.weight > DAMPED)
    }
    fn throw_away_host(&self) -> bool {
        self.has("net-01") || self.has("net-02")
    }
    fn defences(&self) -> usize {
        let strong = self.hits.iter().filter(|hit| hit.id.starts_with("def-") && hit.weight > DAMPED).count();
        // Wiping traces and lowering the firewall is also how images are built.
        let switched_off = self.has("def-05") && ["def-01", "def-02", "def-04"].iter().any(|id| self.has(id));
        strong + usize::from(switched_off)
    }
}

/// Add up.
pub(super) fn conclude(case: Case<'_>) -> Judgement {
    let Case { mut hits, critical: already, flow, .. } = case;
    let seen = Seen { hits: &hits, downloads: flow.untrusted };
    let mut score = 0u32;
    let mut critical = already;
    for category in ["exe", "net", "min", "def", "per", "crd", "dec", "sup"] {
        let weights = || hits.iter().filter(|hit| hit.id.starts_with(category)).map(|hit| hit.weight);
        let strongest = weights().max().unwrap_or(0);
        let has_critical = hits.iter().any(|hit| {
            hit.id.starts_with(category) && signal_of(hit.id).is_some_and(|signal| signal.critical)
        });
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
    let order = |id: &str| SIGNALS.iter().position(|signal| signal.id == id);
    hits.sort_by(|one, other| other.weight.cmp(&one.weight).then(order(one.id).cmp(&order(other.id))));
    let conclusion = if critical || score >= SUSPICIOUS {
        Conclusion::Suspicious
    } else if hits.iter().any(|hit| hit.id == "dec-02") {
        Conclusion::Undecodable
    } else if hits.is_empty() {
        Conclusion::Clean
    } else {
        Conclusion::Signals
    };
    let findings =
        hits.into_iter().map(|hit| Finding { id: hit.id, place: hit.place, quote: hit.quote }).collect();
    Judgement { findings, score, critical, conclusion }
}
