use super::*;
use crate::alert::MAX_BYTES;

fn hunted() -> Hunted {
    let mut counts = Counts {
        objects: 4_100,
        skipped: 60,
        files: 4_032,
        records: 1_203_332,
        activities: 233,
        alerts: 12,
        below_floor: 2,
        unreadable: 8,
        ..Counts::default()
    };
    counts.by_detection = BTreeMap::from([
        ("container-image-mutable-tag".to_owned(), 2),
        ("machine-image-not-approved".to_owned(), 10),
    ]);
    counts.by_severity = BTreeMap::from([(Severity::Low, 2), (Severity::High, 10)]);
    counts.unread("s3:GetObject: access denied", 7);
    counts.unread("it ends in the middle", 1);
    let mut failed = FailedBatches::default();
    failed.add("OutOfTime: out of time", 250);
    Hunted {
        run: "march".to_owned(),
        account: "111122223333".to_owned(),
        region: "eu-central-1".to_owned(),
        source: "s3://trail/AWSLogs/".to_owned(),
        results: "s3://results/hunts/march".to_owned(),
        time: DateTime::UNIX_EPOCH,
        batches: 17,
        counts,
        failed,
    }
}

#[test]
fn a_mail_says_what_was_found_and_what_was_not_read() {
    let email = hunted().email();
    for expected in [
        "HUNT: 12 ALERTS IN 4,032 LOG FILES, 1 BATCH NOT READ",
        "4,032 log files and 1,203,332 records were read, 233 activities judged: 12 alerts.",
        "  high  10\n  low   2\n",
        "  machine-image-not-approved   10\n  container-image-mutable-tag  2\n",
        "7 objects or records: s3:GetObject: access denied",
        "1 batch of 250 objects failed.",
        "1 batch: OutOfTime: out of time",
        "aws s3 cp --recursive --quiet s3://results/hunts/march/alerts/ alerts/",
    ] {
        assert!(email.contains(expected), "{expected}\n{email}");
    }
    assert!(email.lines().all(|line| line.chars().count() <= 100), "{email}");
}

#[test]
fn nothing_to_read_is_no_clean_bill() {
    let empty = Hunted { counts: Counts::default(), failed: FailedBatches::default(), ..hunted() };
    assert!(empty.email().contains("There was no log to read under this prefix."));
    assert_eq!(empty.severity(), Severity::Informational);
    let mut unread = empty.clone();
    unread.counts.unreadable = 1;
    assert_eq!(unread.severity(), Severity::Medium);
}

/// What the service is silent about, as for alerts.
#[test]
fn the_notification_has_the_shape_the_service_takes() {
    let notification = hunted().notification();
    let text = |path: &str| notification.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(
        (text("/version"), text("/content/textType")),
        ("1.0".to_owned(), "client-markdown".to_owned())
    );
    assert!((1..=200).contains(&text("/content/title").chars().count()));
    assert!((1..=3_500).contains(&text("/content/description").chars().count()));
    let steps = notification["content"]["nextSteps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| (1..=250).contains(&step.as_str().unwrap().len())));
    let context = notification["metadata"]["additionalContext"].as_object().unwrap();
    assert!(context.values().all(|value| value.as_str().is_some_and(|text| !text.is_empty())));
}

#[test]
fn a_thousand_reasons_and_hostile_names_fit_a_message() {
    let mut hunted = hunted();
    for number in 0..1_000 {
        let reason = format!("{number} \u{202e}<!channel> `x` {}", "long ".repeat(400));
        hunted.counts.unread(&reason, 1);
        hunted.failed.add(&reason, 3);
        hunted.counts.policy_notes.insert(format!("the policy is unreadable {}", number % 5));
    }
    hunted.source = format!("s3://trail/{}\u{7}<@here>", "x".repeat(1_024));
    assert_eq!(hunted.counts.by_reason.values().sum::<u64>(), 1_008, "counted all the same");
    for https in [HttpsBody::Chat, HttpsBody::Ocsf] {
        let message = hunted.message(https);
        assert!(message.size() <= MAX_BYTES, "{}", message.size());
        assert!(message.subject.is_ascii() && message.subject.len() < 100);
        assert!(!message.body.contains('\u{202e}') && !message.body.contains("\\u0007"));
    }
    let chat = hunted.chat_message().body;
    assert!(!chat.contains("<!channel>") && !chat.contains("<@here>"), "{chat}");
    assert!(hunted.notification()["content"]["description"].as_str().unwrap().chars().count() <= 3_500);
}

#[test]
fn sums_lose_nothing() {
    let one = hunted().counts;
    let mut sum = Counts::default();
    sum.add(&one);
    assert_eq!(sum, one);
    sum.add(&one);
    assert_eq!((sum.files, sum.alerts, sum.by_severity[&Severity::High]), (8_064, 24, 20));
    let back: Counts = serde_json::from_str(&serde_json::to_string(&sum).unwrap()).unwrap();
    assert_eq!(back, sum);
}

/// The same outcome has the same name, another one another, and all of a run one thread.
#[test]
fn an_outcome_has_a_name() {
    let (one, mut other) = (hunted(), hunted());
    other.time = Utc::now();
    assert_eq!(one.uid("message"), other.uid("message"));
    other.failed = FailedBatches::default();
    assert_ne!(one.uid("message"), other.uid("message"));
    assert_eq!(one.uid("thread"), other.uid("thread"));
}
