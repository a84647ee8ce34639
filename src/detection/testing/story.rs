//! Stories: what history remembers before an event is judged.

use super::*;

/// What came before, as history has it.
pub struct Story {
    pub records: std::collections::HashMap<crate::history::Key, crate::history::Record>,
    at_once: bool,
}

impl Story {
    /// The account begins to be watched with what is judged.
    pub fn begun() -> Self {
        Self { records: Default::default(), at_once: false }
    }

    pub fn at_once() -> Self {
        Self { at_once: true, ..Self::begun() }
    }

    /// The account has been watched for months.
    pub fn watched() -> Self {
        use crate::history::{Key, Kind, Record, sight};
        let mut story = Self::begun();
        let mut watch = Record::new(Key::new(ACCOUNT, "", Kind::Watch, sight::WATCH));
        watch.see(at("2026-01-01T00:00:00Z"), "event-long-ago");
        watch.touch(at("2026-01-01T00:00:00Z"));
        story.records.insert(watch.key.clone(), watch);
        story
    }

    pub fn memory(&self, event: &Activity) -> crate::history::Memory {
        use crate::history::{Memory, trail};
        let get = |keys: &[crate::history::Key]| -> Vec<_> {
            keys.iter().filter_map(|key| self.records.get(key).cloned()).collect()
        };
        let mut keys = trail::keys(event);
        let mut found = get(&keys);
        let linked = trail::linked(event, &found);
        found.extend(get(&linked));
        keys.extend(linked);
        Memory::new(&keys, found, event.time).at_once(self.at_once)
    }

    /// Judges an event by one detection alone.
    pub fn judge(&self, detection: &Detection, event: &Activity, policy: &Policy, facts: &Facts) -> Verdict {
        self.judge_with(detection, event, policy, facts, &[])
    }

    /// Judges an event of which these detections have matched.
    pub fn judge_with(
        &self,
        detection: &Detection,
        event: &Activity,
        policy: &Policy,
        facts: &Facts,
        matched: &[&str],
    ) -> Verdict {
        let memory = self.memory(event);
        let matches: Vec<_> =
            matched.iter().map(|id| (crate::detection::find(id).unwrap(), Box::new(any_match()))).collect();
        let context = Context { policy, facts, memory: &memory, matches: &matches };
        (detection.judge)(event, &context)
    }

    pub fn tell(&mut self, event: &Activity) {
        self.tell_with(event, &[]);
    }

    /// Remembers an event that these detections matched.
    pub fn tell_with(&mut self, event: &Activity, matched: &[&str]) {
        let verdicts = matched
            .iter()
            .map(|id| (crate::detection::find(id).unwrap(), Verdict::matched(any_match())))
            .collect();
        self.remember(event, verdicts);
    }

    /// Remembers an event with what one detection says of it.
    pub fn tell_judged(&mut self, detection: &'static Detection, event: &Activity, facts: &Facts) {
        let verdict = self.judge(detection, event, &Policy::default(), facts);
        self.remember(event, vec![(detection, verdict)]);
    }

    fn remember(&mut self, event: &Activity, verdicts: Vec<(&'static Detection, Verdict)>) {
        let memory = self.memory(event);
        let judgement = crate::engine::Judgement {
            activity: std::sync::Arc::new(event.clone()),
            verdicts,
            unavailable: Vec::new(),
        };
        for mut record in crate::history::trail::remember(&judgement, &Policy::default(), &memory) {
            record.version += 1;
            self.records.insert(record.key.clone(), record);
        }
    }
}

pub fn any_match() -> Match {
    Match {
        subject: crate::detection::Subject::Runtime { place: String::new() },
        severity: None,
        summary: String::new(),
        evidence: Default::default(),
        next_steps: Vec::new(),
        not_inspected: Vec::new(),
    }
}

/// Another event, so many minutes later than noon.
pub fn later(id: &str, minutes: i64, event: Activity) -> Activity {
    let time = event.time + chrono::TimeDelta::minutes(minutes);
    Activity { id: id.to_owned(), time, ..event }
}
