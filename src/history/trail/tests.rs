//! What an account comes to know, and what nobody can make it believe.

use chrono::TimeDelta;

use super::*;
use crate::activity::{Artifact, ContainerImage, ImageSearch, Instance, Launch, Pull, Push, Start};
use crate::detection::testing::*;
use crate::detection::{Verdict, find};
use crate::history::{Familiarity, InMemory, Store};
use crate::lookup::Facts;

fn familiar(story: &Story, event: &Activity) -> Familiarity {
    let id = sightings(event).into_iter().next().unwrap();
    story.memory(event).familiarity(event, &id)
}

#[test]
fn a_signature_makes_nobody_known_as_a_pusher() {
    let mut story = Story::watched();
    let signature = Push { artifact: Artifact::Signature, ..push() };
    story.tell(&later("signature", -60, pushed(signature)));
    assert_eq!(familiar(&story, &pushed(push())), Familiarity::New);
    story.tell(&later("image", -30, pushed(push())));
    assert_eq!(familiar(&story, &pushed(push())), Familiarity::Known);
}

#[test]
fn the_first_push_in_a_region_that_was_never_used_is_news() {
    let story = Story::watched();
    let event = Activity { region: "ap-south-1".to_owned(), ..pushed(push()) };
    assert_eq!(familiar(&story, &event), Familiarity::New);
    assert!(matches!(familiar(&Story::begun(), &event), Familiarity::Learning(_)));
}

/// An event that is dated years back: on the bus anybody who may put events can do that.
#[test]
fn an_old_date_neither_makes_its_sender_known_nor_learned() {
    let event = pushed(push());
    let forged = Activity { time: event.time - TimeDelta::days(400), ..event.clone() };
    let story = Story::watched();
    let keys = keys(&forged);
    let found = keys.iter().filter_map(|key| story.records.get(key).cloned()).collect();
    let memory = Memory::new(&keys, found, event.time);
    let id = sightings(&forged).into_iter().next().unwrap();
    assert_eq!(memory.familiarity(&forged, &id), Familiarity::New);
}

#[test]
fn an_image_that_was_only_pulled_is_new_when_it_is_first_run() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let image = ContainerImage {
        name: "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app".to_owned(),
        digest: Some(digest),
    };
    let pull = ran(Action::ImagePulled(Pull { image: image.clone(), ..Pull::default() }));
    let place = crate::activity::Place { image: Some(image), ..pod("x") };
    let start = ran(Action::ContainerStarted(Start { place, ..Start::default() }));
    let mut story = Story::watched();
    story.tell(&later("pull", -3 * 24 * 60, pull.clone()));
    let newly = find("container-image-newly-seen").unwrap();
    let judged =
        |story: &Story, event: &Activity| story.judge(newly, event, &Policy::default(), &Facts::default());
    assert!(matches!(judged(&story, &later("pull again", 0, pull)), Verdict::Pass(_)));
    assert!(!judged(&story, &start).matches().is_empty());
    story.tell(&start);
    assert!(matches!(judged(&story, &later("another", 1, start)), Verdict::Pass(_)));
}

#[test]
fn forty_searches_do_not_wash_the_real_one_out() {
    let mut story = Story::watched();
    let search = |name: &str| {
        activity(Action::ImagesSearched(ImageSearch { names: vec![name.to_owned()], bounded: false }))
    };
    story.tell(&later("real", -30, search("acme-base-*")));
    for number in 0..40 {
        story.tell(&later(&format!("other-{number}"), -29, search(&format!("other-{number}"))));
    }
    let mut fact = image(AMI, STRANGER);
    (fact.name, fact.public) = (Some("acme-base-2026".to_owned()), Some(true));
    let given = Given::none().image(fact).allowed_images(crate::lookup::Fact::Absent);
    let confusion = find("machine-image-name-confusion").unwrap();
    let verdict = story.judge(confusion, &launched(launch(AMI)), &Policy::default(), given.facts());
    assert!(matched(verdict).summary.contains("more names than are remembered"));
}

/// Each of them can be the one that mines.
#[tokio::test]
async fn a_launch_of_a_thousand_instances_is_remembered_whole() {
    let instances =
        (0..1_000).map(|number| Instance { id: format!("i-{number:017x}"), ..Instance::default() }).collect();
    let launch = Launch { count: 1_000, instances, ..launch(AMI) };
    let event = launched(launch);
    let keys = keys(&event);
    let memory = Memory::new(&keys, Vec::new(), event.time);
    let judgement = Judgement {
        activity: std::sync::Arc::new(event),
        verdicts: vec![(find("machine-image-not-approved").unwrap(), Verdict::matched(any_match()))],
        unavailable: Vec::new(),
    };
    let store = InMemory::default();
    store.save(&remember(&judgement, &Policy::default(), &memory)).await.unwrap();
    let last = Key::new(ACCOUNT, REGION, Kind::Instance, format!("i-{:017x}", 999));
    let found = store.load(&[last]).await.unwrap();
    let labels: Vec<&str> = found[0].traces.iter().map(|trace| trace.label.as_str()).collect();
    assert!(labels.contains(&label::LAUNCHED) && labels.contains(&label::MATCH), "{labels:?}");
}
