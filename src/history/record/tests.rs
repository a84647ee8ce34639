use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

fn record() -> Record {
    Record::new(Key::new("111122223333", "eu-central-1", Kind::Principal, "searches/somebody"))
}

fn trace(label: &str, number: u32, detail: &str) -> Trace {
    Trace {
        time: Utc.timestamp_opt(1_790_000_000 + i64::from(number), 0).single().unwrap(),
        label: label.to_owned(),
        source: format!("event-{number}"),
        detail: detail.to_owned(),
        place: String::new(),
        score: 0,
    }
}

#[test]
fn a_flood_of_one_kind_of_trace_takes_no_room_of_another() {
    let mut record = record();
    record.add(trace(label::LAUNCHED, 0, "ami-1"));
    for number in 1..200 {
        record.add(trace(label::STOPPED, number, &format!("somebody-{number}")));
    }
    assert!(record.traces.iter().any(|trace| trace.detail == "ami-1"));
    assert_eq!(record.traces.len(), Record::MOST_TRACES + 1);
}

#[test]
fn programs_with_ordinary_uses_push_out_no_suspicious_act() {
    let mut record = record();
    record.add(trace(label::ACT, 0, "miner-process @ web/shop-1"));
    for number in 1..200 {
        record.add(trace(label::ACT, number, &format!("ran sh @ web/shop-{number}")));
    }
    assert!(record.traces.iter().any(|trace| trace.detail.starts_with("miner-process")));
}

#[test]
fn searches_that_are_dropped_leave_a_trace() {
    let mut record = record();
    record.add(trace(label::SEARCHED, 0, "acme-base-*"));
    for number in 1..=40 {
        record.add(trace(label::SEARCHED, number, &format!("other-{number}")));
    }
    let dropped = record.traces.iter().find(|trace| trace.detail == Record::DROPPED).unwrap();
    assert_eq!(dropped.source, "event-0");
    // The same again, however often, changes nothing.
    let before = record.clone();
    for number in 0..=40 {
        let detail = if number == 0 { "acme-base-*".to_owned() } else { format!("other-{number}") };
        assert!(!record.add(trace(label::SEARCHED, number, &detail)));
    }
    assert_eq!(record, before);
}

proptest! {
    /// Where each trace has a detail of its own, the order of arrival and repetitions make no difference.
    #[test]
    fn traces_are_the_same_in_any_order(
        order in Just((0..60_u32).collect::<Vec<_>>()).prop_shuffle(),
        again in proptest::collection::vec(0..60_u32, 0..30),
    ) {
        let add = |record: &mut Record, number: u32| {
            let label = if number.is_multiple_of(4) { label::LAUNCHED } else { label::SEARCHED };
            record.add(trace(label, number * 300, &format!("name-{number}")))
        };
        let mut one = record();
        for number in 0..60 {
            add(&mut one, number);
        }
        let mut other = record();
        for number in order {
            add(&mut other, number);
        }
        prop_assert_eq!(&one.traces, &other.traces);
        for number in again {
            prop_assert!(!add(&mut other, number));
        }
        prop_assert_eq!(&one.traces, &other.traces);
    }
}
