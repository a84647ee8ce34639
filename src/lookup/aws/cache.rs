//! Answers, kept for as long as they may be believed.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::lookup::{Fact, FactKey, FactValue};

/// How much is kept: facts, a scan report counting by its length.
const CAPACITY: usize = 4_000;

/// What was not found or could not be had may be there a moment later.
const DOUBT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<FactKey, Entry>,
    weight: usize,
}

struct Entry {
    fact: Fact,
    /// Wall time: a frozen function's monotonic clock may stand still.
    stored: SystemTime,
    age: Duration,
    weight: usize,
}

impl Entry {
    fn fresh(&self, now: SystemTime) -> bool {
        now.duration_since(self.stored).is_ok_and(|age| age < self.age)
    }
}

impl Cache {
    pub(super) fn get(&self, key: &FactKey, now: SystemTime) -> Option<Fact> {
        self.entries.get(key).filter(|entry| entry.fresh(now)).map(|entry| entry.fact.clone())
    }

    pub(super) fn insert(&mut self, key: FactKey, fact: Fact, now: SystemTime) {
        let entry = Entry { age: age(&key, &fact), weight: weight(&fact), stored: now, fact };
        if entry.weight > CAPACITY {
            return;
        }
        self.weight += entry.weight;
        if let Some(old) = self.entries.insert(key, entry) {
            self.weight = self.weight.saturating_sub(old.weight);
        }
        if self.weight > CAPACITY {
            self.shrink(now);
        }
    }

    /// Down to three quarters, the oldest first, so that a full cache is not sorted at every insert.
    fn shrink(&mut self, now: SystemTime) {
        self.entries.retain(|_, entry| entry.fresh(now));
        let mut by_age: Vec<(SystemTime, usize, FactKey)> =
            self.entries.iter().map(|(key, entry)| (entry.stored, entry.weight, key.clone())).collect();
        by_age.sort();
        self.weight = by_age.iter().map(|(_, weight, _)| weight).sum();
        for (_, weight, key) in by_age {
            if self.weight <= CAPACITY / 4 * 3 {
                break;
            }
            self.entries.remove(&key);
            self.weight = self.weight.saturating_sub(weight);
        }
    }
}

fn weight(fact: &Fact) -> usize {
    match fact {
        Fact::Known(FactValue::Scan(report)) => 1 + report.findings.len() / 4,
        Fact::Known(FactValue::Instances(instances)) => 1 + instances.len() / 4,
        _ => 1,
    }
}

fn age(key: &FactKey, fact: &Fact) -> Duration {
    match fact {
        // The event comes again for it, and would find the same failure.
        Fact::Unavailable(missing) if missing.cause.is_passing() => return Duration::ZERO,
        Fact::Unavailable(_) | Fact::Absent => return DOUBT,
        Fact::Known(_) => {}
    }
    match key {
        // An image's owner and ancestry never change.
        FactKey::Image { .. }
        | FactKey::InstanceImage { .. }
        | FactKey::Ancestry { .. }
        | FactKey::Snapshot { .. } => Duration::from_secs(3600),
        FactKey::AllowedImages { .. } => Duration::from_secs(300),
        // `$Latest` moves, scans are repeated, and a launch's instances appear one by one.
        FactKey::Template { .. } | FactKey::ScanFindings { .. } | FactKey::Launched { .. } => {
            Duration::from_secs(60)
        }
        // Rewritten by the very events that ask for it.
        FactKey::UserData { .. } => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::ScanFinding;
    use crate::lookup::{AllowedImages, Cause, Missing, ScanReport, Scope};

    fn scope() -> Scope {
        Scope { account: "111122223333".to_owned(), region: "eu-central-1".to_owned() }
    }

    fn image(id: &str) -> FactKey {
        FactKey::Image { scope: scope(), image: id.to_owned() }
    }

    fn known() -> Fact {
        Fact::Known(FactValue::Image(Box::default()))
    }

    fn after(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn an_image_is_believed_for_an_hour_a_setting_for_five_minutes() {
        let mut cache = Cache::default();
        let setting = FactKey::AllowedImages { scope: scope() };
        cache.insert(image("ami-1"), known(), after(0));
        cache.insert(
            setting.clone(),
            Fact::Known(FactValue::AllowedImages(AllowedImages::default())),
            after(0),
        );
        assert_eq!(cache.get(&image("ami-1"), after(3599)), Some(known()));
        assert_eq!(cache.get(&image("ami-1"), after(3600)), None);
        assert!(cache.get(&setting, after(299)).is_some());
        assert!(cache.get(&setting, after(300)).is_none());
    }

    #[test]
    fn what_could_not_be_had_is_asked_for_again_after_half_a_minute() {
        for fact in [Fact::Absent, Fact::Unavailable(Missing::new(Cause::Denied, "access denied"))] {
            let mut cache = Cache::default();
            cache.insert(image("ami-1"), fact.clone(), after(0));
            assert_eq!(cache.get(&image("ami-1"), after(29)), Some(fact));
            assert_eq!(cache.get(&image("ami-1"), after(30)), None);
        }
    }

    #[test]
    fn a_throttled_look_up_is_asked_again_by_the_next_event() {
        let mut cache = Cache::default();
        cache.insert(
            image("ami-1"),
            Fact::Unavailable(Missing::new(Cause::Throttled, "throttled")),
            after(0),
        );
        assert_eq!(cache.get(&image("ami-1"), after(0)), None);
    }

    #[test]
    fn an_answer_is_kept_for_its_own_account_and_region_only() {
        let mut cache = Cache::default();
        cache.insert(image("ami-1"), known(), after(0));
        let mut elsewhere = scope();
        elsewhere.region = "us-east-1".to_owned();
        assert!(
            cache.get(&FactKey::Image { scope: elsewhere, image: "ami-1".to_owned() }, after(1)).is_none()
        );
    }

    #[test]
    fn a_clock_set_back_makes_nothing_immortal() {
        let mut cache = Cache::default();
        cache.insert(image("ami-1"), known(), after(1000));
        assert_eq!(cache.get(&image("ami-1"), after(0)), None);
    }

    #[test]
    fn it_stays_bounded_and_keeps_the_newest() {
        let mut cache = Cache::default();
        for number in 0..20_000_u64 {
            cache.insert(image(&format!("ami-{number}")), known(), after(number / 100));
        }
        assert!(cache.entries.len() <= CAPACITY, "{}", cache.entries.len());
        assert!(cache.get(&image("ami-19999"), after(200)).is_some());
        assert!(cache.get(&image("ami-0"), after(200)).is_none());
        assert_eq!(cache.weight, cache.entries.values().map(|entry| entry.weight).sum::<usize>());
    }

    #[test]
    fn replacing_an_answer_counts_it_once() {
        let mut cache = Cache::default();
        for _ in 0..10 {
            cache.insert(image("ami-1"), known(), after(0));
        }
        assert_eq!(cache.weight, 1);
    }

    #[test]
    fn long_scan_reports_weigh_more() {
        let mut cache = Cache::default();
        let report = ScanReport { findings: vec![ScanFinding::default(); 5000], ..ScanReport::default() };
        for number in 0..10 {
            let key = FactKey::ScanFindings {
                scope: scope(),
                registry: "111122223333".to_owned(),
                repository: "team/app".to_owned(),
                digest: format!("sha256:{number}"),
            };
            cache.insert(key, Fact::Known(FactValue::Scan(report.clone())), after(number));
        }
        assert!(cache.entries.len() <= 3, "{}", cache.entries.len());
    }
}
