use std::path::PathBuf;
use std::sync::Arc;

use super::testing::{self, *};
use super::*;
use crate::activity::{DerivationKind, Origin};
use crate::engine;
use crate::history::Memory;
use crate::lookup::{Fact, FactValue, Facts, ImageFact, InstanceFact, Lookup};

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[test]
fn every_detection_is_found_by_its_id_and_stands_once() {
    for detection in REGISTRY {
        assert!(
            std::ptr::eq(find(detection.id).expect("registered"), *detection),
            "{} is not unique",
            detection.id
        );
        assert!(detection.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", detection.id);
        assert!(!detection.title.is_empty() && !detection.title.ends_with('.'), "{}", detection.title);
    }
    assert!(find("no-such-detection").is_none());
}

/// Ties in severity go by registry order, and readers take the list from the top.
#[test]
fn the_registry_goes_from_the_most_severe_down() {
    let severities: Vec<Severity> = REGISTRY.iter().map(|detection| detection.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
}

#[test]
fn exactly_three_detections_are_approval_checks() {
    let checks: Vec<&str> =
        REGISTRY.iter().filter(|detection| detection.approval).map(|detection| detection.id).collect();
    assert_eq!(
        checks,
        ["machine-image-not-approved", "machine-image-laundered", "container-image-not-approved"]
    );
}

#[test]
fn every_detection_has_its_page_with_the_same_headings() {
    let headings = [
        "## What it tells",
        "## Why it matters",
        "## Data it needs",
        "## False positives",
        "## Tuning",
        "## Next steps",
        "## Origin",
    ];
    for detection in REGISTRY {
        let path = docs().join(format!("{}.md", detection.id));
        let page =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(page.lines().next(), Some(format!("# {}", detection.id).as_str()));
        let found: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(found, headings, "{}", detection.id);
        let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
        assert!(sections.iter().all(|section| section.lines().skip(1).any(|line| !line.trim().is_empty())));
    }
}

#[test]
fn the_index_of_the_pages_tells_the_registry() {
    let index = std::fs::read_to_string(docs().join("README.md")).expect("docs/README.md");
    let rows: Vec<&str> = index.lines().filter(|line| line.starts_with("| [")).collect();
    let expected: Vec<String> = REGISTRY
        .iter()
        .map(|d| format!("| [{id}]({id}.md) | {} | {} |", d.severity, d.score, id = d.id))
        .collect();
    assert_eq!(rows.len(), expected.len());
    for (row, start) in rows.iter().zip(&expected) {
        assert!(row.starts_with(start.as_str()), "{row}\n{start}");
    }
}

/// Answers what it was given, `Absent` for the rest, and counts how often it was asked.
struct Answers {
    given: Facts,
    rounds: std::sync::atomic::AtomicUsize,
}

impl Lookup for Answers {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        self.rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let known = |key: &FactKey| {
            self.given.iter().find(|(have, _)| *have == key).map_or(Fact::Absent, |(_, fact)| fact.clone())
        };
        keys.iter().map(|key| (key.clone(), known(key))).collect()
    }
}

fn verdict(activity: Activity, given: &Given, id: &str) -> (Verdict, usize) {
    let lookup = Answers { given: given.facts().clone(), rounds: Default::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let policy = Policy::default();
    let judgement = runtime.block_on(engine::judge(
        Arc::new(activity),
        &policy,
        &lookup,
        &Memory::none(),
        &mut Facts::default(),
    ));
    let found = judgement.verdicts.into_iter().find(|(detection, _)| detection.id == id);
    (found.expect("registered").1, lookup.rounds.into_inner())
}

#[test]
fn a_laundered_image_is_found_within_the_engines_rounds() {
    let elder = "ami-0eeeeeeeeeeeeeeee";
    let given = Given::none()
        .image(image(AMI, ACCOUNT))
        .ancestry(AMI, &[(AMI, Some("us-east-1")), (elder, None)])
        .image_in("us-east-1", image(elder, STRANGER));
    let (found, rounds) = verdict(launched(launch(AMI)), &given, "machine-image-laundered");
    testing::matched(found);
    assert!(rounds <= 3, "{rounds}");

    // CloudTrail left the response out: the image has to be found first.
    let token = "token-1".to_owned();
    let started = InstanceFact {
        instance_id: INSTANCE.to_owned(),
        image_id: Some(AMI.to_owned()),
        ..InstanceFact::default()
    };
    let key = FactKey::Launched { scope: scope(REGION), client_token: token.clone() };
    let given = given.fact(key, Fact::Known(FactValue::Instances(vec![started])));
    let mut quiet = launch(AMI);
    quiet.image = crate::activity::ImageRef::Unknown;
    quiet.instances.clear();
    quiet.client_token = Some(token);
    quiet.response_omitted = true;
    let (found, _) = verdict(launched(quiet), &given, "machine-image-laundered");
    testing::matched(found);
}

#[test]
fn an_event_that_tells_nothing_is_never_taken_for_clean() {
    let (found, _) =
        verdict(launched(crate::activity::Launch::default()), &Given::none(), "machine-image-not-approved");
    testing::cannot_tell(found);
}

#[test]
fn the_readme_lists_every_detection() {
    let readme = include_str!("../../README.md");
    for detection in REGISTRY {
        let row = format!("| [{0}](docs/{0}.md) | {1} |", detection.id, detection.severity);
        assert!(readme.contains(&row), "no row for {}", detection.id);
    }
}

#[test]
fn an_image_created_from_an_own_instance_is_judged_within_the_engines_rounds() {
    let snapshot = "snap-0123456789abcdef0";
    let base = ImageFact { snapshots: vec![snapshot.to_owned()], ..image(AMI, ACCOUNT) };
    let given = Given::none()
        .instance_image(INSTANCE, Fact::Known(FactValue::Image(Box::new(image(AMI, ACCOUNT)))))
        .image(base)
        .ancestry(AMI, &[(AMI, None)])
        .snapshot(snapshot, ACCOUNT);
    let created = derived(DerivationKind::Created, vec![Origin::Instance(INSTANCE.to_owned())]);
    let (verdict, rounds) = verdict(created, &given, "machine-image-laundered");
    passed(verdict);
    assert!(rounds <= 3, "{rounds}");
}
