use super::*;
use crate::activity::ImageSearch;
use crate::detection::testing::*;
use crate::lookup::Fact;
use crate::policy::Policy;

fn search(name: &str) -> Activity {
    let search = ImageSearch { names: vec![name.to_owned()], bounded: false };
    later("search", -10, activity(Action::ImagesSearched(search)))
}

fn given(owner: &str, public: bool) -> Given {
    let mut fact = image(AMI, owner);
    fact.name = Some("acme-base-2026".to_owned());
    fact.public = Some(public);
    Given::none().image(fact).allowed_images(Fact::Absent)
}

fn judged(story: &Story, event: &Activity, given: &Given) -> Verdict {
    story.judge(&DETECTION, event, &Policy::default(), given.facts())
}

fn after(first: &Activity) -> Story {
    let mut story = Story::watched();
    story.tell(first);
    story
}

#[test]
fn a_search_and_a_launch_fire_in_whatever_order_they_arrive() {
    let (search, launch) = (search("acme-base-*"), launched(launch(AMI)));
    let subject = Subject::MachineImage { image: AMI.to_owned(), principal: ROLE.to_owned() };
    for (first, last) in [(&search, &launch), (&launch, &search)] {
        let found = matched(judged(&after(first), last, &given(STRANGER, true)));
        assert_eq!(found.subject, subject);
        let line = found.evidence["timeline"].as_array().unwrap().clone();
        assert!(line[0].as_str().unwrap().contains("searched") && line.len() == 2, "{line:?}");
    }
}

#[test]
fn approved_private_and_own_images_pass() {
    let event = launched(launch(AMI));
    for (owner, public) in [(AMAZON, true), (STRANGER, false), (ACCOUNT, true)] {
        passed(judged(&after(&search("acme-base-*")), &event, &given(owner, public)));
    }
}

#[test]
fn other_names_later_searches_and_other_principals_pass() {
    let event = launched(launch(AMI));
    let given = given(STRANGER, true);
    passed(judged(&after(&search("ubuntu-*")), &event, &given));
    passed(judged(&after(&later("search", 11, search("acme-base-*"))), &event, &given));
    passed(judged(&after(&later("search", -24 * 60, search("acme-base-*"))), &event, &given));
    let mut other = search("acme-base-*");
    if let Some(actor) = &mut other.actor {
        actor.principal = "arn:aws:iam::111122223333:role/other".to_owned();
    }
    passed(judged(&after(&other), &event, &given));
    let bounded = ImageSearch { names: vec!["acme-*".to_owned()], bounded: true };
    passed(judged(&Story::watched(), &activity(Action::ImagesSearched(bounded)), &given));
}

#[test]
fn an_image_that_cannot_be_looked_up_cannot_be_told() {
    let story = after(&search("acme-base-*"));
    let given = Given::none().no_image(AMI, denied()).instance_image(INSTANCE, denied());
    assert_eq!(cannot_tell(judged(&story, &launched(launch(AMI)), &given)).code, "image-lookup-denied");
    let story = after(&launched(launch(AMI)));
    assert_eq!(cannot_tell(judged(&story, &search("acme-*"), &given)).code, "image-lookup-denied");
    needed(judged(&story, &search("acme-*"), &Given::none()));
}

#[test]
fn without_history_it_does_not_apply() {
    not_applicable(given(STRANGER, true).judge(&DETECTION, &launched(launch(AMI)), &Policy::default()));
    not_applicable(Given::none().judge(&DETECTION, &search("a*"), &Policy::default()));
    not_applicable(judged(&Story::watched(), &pushed(push()), &given(STRANGER, true)));
}
