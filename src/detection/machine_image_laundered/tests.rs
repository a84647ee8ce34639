use super::*;
use crate::activity::{DiskMade, ImageRef, Origin};
use crate::detection::testing::{self, *};
use crate::lookup::{Fact, FactValue, ImageFact};
use crate::policy::Policy;

const SOURCE: &str = "ami-0dddddddddddddddd";
const ELDER: &str = "ami-0eeeeeeeeeeeeeeee";
const SNAPSHOT: &str = "snap-0aaaaaaaaaaaaaaaa";

fn copied(region: &str) -> Activity {
    derived_from(DerivationKind::Copied, Origin::Image { id: SOURCE.to_owned(), region: region.to_owned() })
}

fn derived_from(kind: DerivationKind, origin: Origin) -> Activity {
    made_from(kind, vec![origin])
}

fn made_from(kind: DerivationKind, origins: Vec<Origin>) -> Activity {
    testing::derived(kind, origins)
}

fn judged(given: &Given, event: &Activity) -> Verdict {
    given.judge(&DETECTION, event, &Policy::default())
}

fn own_launch() -> Activity {
    testing::launched(launch(AMI))
}

#[test]
fn a_copy_of_a_strangers_image_fires() {
    let given = Given::none().image_in("us-east-1", image(SOURCE, STRANGER));
    let found = matched(judged(&given, &copied("us-east-1")));
    assert_eq!(found.subject, Subject::MachineImage { image: COPY.to_owned(), principal: ROLE.to_owned() });
    assert!(found.summary.contains("copied") && found.summary.contains(STRANGER), "{}", found.summary);
    assert_eq!(found.evidence["source_region"], "us-east-1");
}

#[test]
fn the_source_is_looked_up_in_its_own_region_with_the_events_account() {
    let keys = needed(judged(&Given::none(), &copied("us-east-1")));
    assert_eq!(keys, [FactKey::Image { scope: scope("us-east-1"), image: SOURCE.to_owned() }]);
}

#[test]
fn a_copy_of_a_distributors_or_amazons_image_passes() {
    for owner in [UBUNTU, AMAZON] {
        let given = Given::none().image_in("us-east-1", image(SOURCE, owner));
        passed(judged(&given, &copied("us-east-1")));
    }
    let none = policy("images: {ancestors: []}");
    let given = Given::none().image_in("us-east-1", image(SOURCE, UBUNTU));
    matched(given.judge(&DETECTION, &copied("us-east-1"), &none));
}

#[test]
fn an_ancestor_approved_by_id_or_name_passes() {
    let by_id = policy(&format!("images: {{approved: {{ids: [{SOURCE}]}}}}"));
    passed(Given::none().judge(&DETECTION, &copied(REGION), &by_id));
    let by_name =
        policy(&format!("images: {{approved: {{names: [{{owner: \"{STRANGER}\", pattern: \"some-*\"}}]}}}}"));
    let given = Given::none().image(image(SOURCE, STRANGER));
    passed(given.judge(&DETECTION, &copied(REGION), &by_name));
}

#[test]
fn an_own_image_copied_between_regions_passes() {
    let given = Given::none()
        .image(image(SOURCE, ACCOUNT))
        .ancestry(SOURCE, &[(SOURCE, Some("us-east-1")), (ELDER, None)])
        .image_in("us-east-1", image(ELDER, ACCOUNT));
    passed(judged(&given, &copied(REGION)));
}

#[test]
fn a_launch_of_a_laundered_copy_fires_once_for_the_image() {
    let given = Given::none().image(image(AMI, ACCOUNT));
    let keys = needed(judged(&given, &own_launch()));
    assert_eq!(keys, [FactKey::Ancestry { scope: scope(REGION), image: AMI.to_owned() }]);
    let given = given
        .ancestry(AMI, &[(AMI, None), (SOURCE, Some("us-east-1")), (ELDER, None)])
        .image(image(SOURCE, ACCOUNT));
    let keys = needed(judged(&given, &own_launch()));
    assert_eq!(keys, [FactKey::Image { scope: scope("us-east-1"), image: ELDER.to_owned() }]);
    let found = matched(judged(&given.image_in("us-east-1", image(ELDER, STRANGER)), &own_launch()));
    assert_eq!(found.subject, Subject::MachineImage { image: AMI.to_owned(), principal: ROLE.to_owned() });
    assert_eq!(found.evidence["source_image"], ELDER);
    assert_eq!(found.evidence["source_generations"], 2);
}

#[test]
fn all_ancestors_are_asked_for_in_one_round() {
    let given =
        Given::none().image(image(AMI, ACCOUNT)).ancestry(AMI, &[(AMI, None), (SOURCE, None), (ELDER, None)]);
    assert_eq!(needed(judged(&given, &own_launch())).len(), 2);
}

#[test]
fn who_is_approved_vouches_for_what_stands_behind() {
    let given = Given::none()
        .image(image(AMI, ACCOUNT))
        .ancestry(AMI, &[(AMI, None), (SOURCE, None), (ELDER, None)])
        .image(image(SOURCE, UBUNTU))
        .image(image(ELDER, STRANGER));
    passed(judged(&given, &own_launch()));
}

#[test]
fn a_private_ancestor_cannot_be_told_but_hides_no_stranger_behind_it() {
    let given = Given::none()
        .image(image(AMI, ACCOUNT))
        .ancestry(AMI, &[(AMI, None), (SOURCE, None), (ELDER, None)])
        .no_image(SOURCE, Fact::Absent);
    let vendor = Given(given.facts().clone()).image(image(ELDER, UBUNTU));
    assert_eq!(cannot_tell(judged(&vendor, &own_launch())).code, "ancestor-not-found");
    let found = matched(judged(&given.image(image(ELDER, STRANGER)), &own_launch()));
    assert_eq!(found.not_inspected.len(), 1);
}

#[test]
fn without_the_ancestry_the_images_own_source_leads_on() {
    let copy = ImageFact {
        source_image_id: Some(SOURCE.to_owned()),
        source_image_region: Some("us-east-1".to_owned()),
        ..image(AMI, ACCOUNT)
    };
    let given = Given::none().image(copy).ancestry_fact(AMI, denied());
    let keys = needed(judged(&given, &own_launch()));
    assert_eq!(keys, [FactKey::Image { scope: scope("us-east-1"), image: SOURCE.to_owned() }]);
    matched(judged(&given.image_in("us-east-1", image(SOURCE, STRANGER)), &own_launch()));
}

/// Some images were made before EC2 kept ancestries: the chain ends at the image, its source is known.
#[test]
fn an_ancestry_that_stops_short_is_led_on_by_the_source() {
    let copy = ImageFact { source_image_id: Some(SOURCE.to_owned()), ..image(AMI, ACCOUNT) };
    let given = Given::none().image(copy).ancestry(AMI, &[(AMI, None)]).image(image(SOURCE, STRANGER));
    matched(judged(&given, &own_launch()));
}

#[test]
fn without_ancestry_and_source_it_cannot_tell() {
    let given = Given::none().image(image(AMI, ACCOUNT)).ancestry_fact(AMI, denied());
    assert_eq!(cannot_tell(judged(&given, &own_launch())).code, "ancestry-lookup-denied");
}

#[test]
fn an_image_registered_from_a_foreign_snapshot_fires() {
    let event = derived_from(DerivationKind::Registered, Origin::Snapshot(SNAPSHOT.to_owned()));
    let keys = needed(judged(&Given::none(), &event));
    assert_eq!(keys, [FactKey::Snapshot { scope: scope(REGION), snapshot: SNAPSHOT.to_owned() }]);
    let found = matched(judged(&Given::none().snapshot(SNAPSHOT, STRANGER), &event));
    assert_eq!(found.evidence["source_snapshot"], SNAPSHOT);
    let command = format!("aws ec2 describe-snapshots --region {REGION} --snapshot-ids {SNAPSHOT}");
    assert_eq!(found.next_steps[0].command.as_deref(), Some(command.as_str()));
    passed(judged(&Given::none().snapshot(SNAPSHOT, ACCOUNT), &event));
}

#[test]
fn a_launch_of_an_image_registered_from_a_foreign_snapshot_fires() {
    let registered = ImageFact { snapshots: vec![SNAPSHOT.to_owned()], ..image(AMI, ACCOUNT) };
    let given = Given::none().image(registered).ancestry(AMI, &[(AMI, None)]);
    let own = Given(given.facts().clone()).snapshot(SNAPSHOT, ACCOUNT);
    passed(judged(&own, &own_launch()));
    matched(judged(&given.snapshot(SNAPSHOT, STRANGER), &own_launch()));
}

#[test]
fn an_image_of_an_instance_that_ran_a_strangers_image_fires() {
    let event = derived_from(DerivationKind::Created, Origin::Instance(INSTANCE.to_owned()));
    let known = |owner| Fact::Known(FactValue::Image(Box::new(image(AMI, owner))));
    matched(judged(&Given::none().instance_image(INSTANCE, known(STRANGER)), &event));
    passed(judged(&Given::none().instance_image(INSTANCE, known(AMAZON)), &event));
    let gone = Given::none().instance_image(INSTANCE, Fact::Absent);
    assert_eq!(cannot_tell(judged(&gone, &event)).code, "instance-not-found");
}

fn made(id: &str, origin: Origin) -> Activity {
    later("made", -10, activity(Action::DiskMade(DiskMade { id: id.to_owned(), origin })))
}

fn known_snapshot(owner: &str, volume: &str) -> Fact {
    Fact::Known(FactValue::Snapshot(crate::lookup::SnapshotFact {
        owner_id: Some(owner.to_owned()),
        volume_id: Some(volume.to_owned()),
        ..Default::default()
    }))
}

fn snapshot_key(region: &str, snapshot: &str) -> FactKey {
    FactKey::Snapshot { scope: scope(region), snapshot: snapshot.to_owned() }
}

#[test]
fn an_image_registered_from_a_copy_of_a_strangers_snapshot_fires() {
    let theirs = "snap-0cccccccccccccccc";
    let mut story = Story::watched();
    let region = "us-east-1".to_owned();
    story.tell(&made(SNAPSHOT, Origin::RemoteSnapshot { id: theirs.to_owned(), region }));
    let event = derived_from(DerivationKind::Registered, Origin::Snapshot(SNAPSHOT.to_owned()));
    let own = Given::none().fact(snapshot_key(REGION, SNAPSHOT), known_snapshot(ACCOUNT, "vol-ffffffff"));
    let judge = |facts: &crate::lookup::Facts| story.judge(&DETECTION, &event, &Policy::default(), facts);
    assert_eq!(needed(judge(own.facts())), [snapshot_key("us-east-1", theirs)]);
    let gone = Given(own.facts().clone()).fact(snapshot_key("us-east-1", theirs), Fact::Absent);
    assert_eq!(cannot_tell(judge(gone.facts())).code, "snapshot-not-found");
    let ours = Given(own.facts().clone())
        .fact(snapshot_key("us-east-1", theirs), known_snapshot(ACCOUNT, "vol-0123456789abcdef0"));
    passed(judge(ours.facts()));
    let given = own.fact(snapshot_key("us-east-1", theirs), known_snapshot(STRANGER, "vol-ffffffff"));
    assert_eq!(matched(judge(given.facts())).evidence["source_snapshot"], theirs);
}

/// A volume of the account gives the last snapshot an honest look.
#[test]
fn a_strangers_snapshot_is_followed_through_a_volume_to_the_launch() {
    let theirs = "snap-0cccccccccccccccc";
    let mut story = Story::watched();
    story.tell(&made("vol-0123456789abcdef0", Origin::Snapshot(theirs.to_owned())));
    story.tell(&later("e2", -8, made(SNAPSHOT, Origin::Volume("vol-0123456789abcdef0".to_owned()))));
    let registered = derived_from(DerivationKind::Registered, Origin::Snapshot(SNAPSHOT.to_owned()));
    story.tell(&later("e3", -6, registered));
    let launch = testing::launched(launch(COPY));
    let image = ImageFact { snapshots: vec![SNAPSHOT.to_owned()], ..image(COPY, ACCOUNT) };
    let given = Given::none()
        .image(image)
        .ancestry(COPY, &[(COPY, None)])
        .fact(snapshot_key(REGION, SNAPSHOT), known_snapshot(ACCOUNT, "vol-0123456789abcdef0"))
        .snapshot(theirs, STRANGER);
    let found = matched(story.judge(&DETECTION, &launch, &Policy::default(), given.facts()));
    assert_eq!(found.evidence["source_snapshot"], theirs);
}

#[test]
fn a_snapshot_that_came_from_no_volume_is_a_doubt_and_an_ordinary_one_is_none() {
    let registered = ImageFact { snapshots: vec![SNAPSHOT.to_owned()], ..image(AMI, ACCOUNT) };
    let given = |volume: &str| {
        Given::none()
            .image(registered.clone())
            .ancestry(AMI, &[(AMI, None)])
            .fact(snapshot_key(REGION, SNAPSHOT), known_snapshot(ACCOUNT, volume))
    };
    let doubt = cannot_tell(judged(&given("vol-ffffffff"), &own_launch()));
    assert_eq!(doubt.code, "snapshot-without-volume");
    passed(judged(&given("vol-0123456789abcdef0"), &own_launch()));
}

/// Packer copies a temporary image to encrypt it, and deregisters that one.
#[test]
fn a_copy_whose_own_source_was_deregistered_later_stays_quiet() {
    let mut story = Story::watched();
    let copy = copied(REGION);
    let given = Given::none().image(image(SOURCE, ACCOUNT)).ancestry(SOURCE, &[(SOURCE, None)]);
    story.tell_judged(&DETECTION, &later("copy", -60, copy), given.facts());
    let gone = Given::none()
        .image(image(COPY, ACCOUNT))
        .ancestry(COPY, &[(COPY, None), (SOURCE, None)])
        .no_image(SOURCE, Fact::Absent);
    let launch = testing::launched(launch(COPY));
    passed(story.judge(&DETECTION, &launch, &Policy::default(), gone.facts()));
    let unseen = Story::watched();
    let doubt = cannot_tell(unseen.judge(&DETECTION, &launch, &Policy::default(), gone.facts()));
    assert_eq!(doubt.code, "ancestor-not-found");
}

#[test]
fn one_foreign_origin_of_several_is_enough() {
    let second = "snap-0bbbbbbbbbbbbbbbb";
    let origins = vec![Origin::Snapshot(SNAPSHOT.to_owned()), Origin::Snapshot(second.to_owned())];
    let event = made_from(DerivationKind::Registered, origins);
    matched(judged(&Given::none().snapshot(SNAPSHOT, ACCOUNT).snapshot(second, STRANGER), &event));
}

#[test]
fn other_peoples_images_attempts_and_failed_copies_are_not_judged() {
    not_applicable(judged(&Given::none().image(image(AMI, AMAZON)), &own_launch()));
    let attempt =
        Launch { outcome: LaunchOutcome::Attempted("UnauthorizedOperation".to_owned()), ..launch(AMI) };
    not_applicable(judged(&Given::none(), &testing::launched(attempt)));
    let mut failed = copied(REGION);
    if let Some(api) = &mut failed.api {
        api.error_code = Some("Client.InvalidAMIID.Unavailable".to_owned());
    }
    not_applicable(judged(&Given::none(), &failed));
}

#[test]
fn a_disk_file_or_nothing_at_all_cannot_be_told() {
    let event = derived_from(DerivationKind::Imported, Origin::Disk("s3://bucket/disk.vmdk".to_owned()));
    assert_eq!(cannot_tell(judged(&Given::none(), &event)).code, "image-from-disk-file");
    let event = made_from(DerivationKind::Copied, Vec::new());
    assert_eq!(cannot_tell(judged(&Given::none(), &event)).code, "image-origin-not-named");
}

/// Three rounds must do, also where the image has to be found first.
#[test]
fn the_ancestry_is_asked_for_early_where_rounds_run_short() {
    let launch = Launch {
        image: ImageRef::Unknown,
        instances: Vec::new(),
        client_token: Some("token-1".to_owned()),
        ..launch(AMI)
    };
    let started = crate::lookup::InstanceFact {
        instance_id: INSTANCE.to_owned(),
        image_id: Some(AMI.to_owned()),
        ..Default::default()
    };
    let key = FactKey::Launched { scope: scope(REGION), client_token: "token-1".to_owned() };
    let given = Given::none().fact(key, Fact::Known(FactValue::Instances(vec![started])));
    let keys = needed(judged(&given, &testing::launched(launch)));
    assert!(keys.contains(&FactKey::Ancestry { scope: scope(REGION), image: AMI.to_owned() }), "{keys:?}");
    let given = Given::none().no_image(AMI, Fact::Absent);
    let keys = needed(judged(&given, &own_launch()));
    assert!(keys.contains(&FactKey::Ancestry { scope: scope(REGION), image: AMI.to_owned() }), "{keys:?}");
}

#[test]
fn a_line_of_ancestors_without_end_is_bounded() {
    let ids: Vec<String> = (0..200).map(|number| format!("ami-{number:017x}")).collect();
    let mut chain: Vec<(&str, Option<&str>)> = vec![(AMI, None)];
    chain.extend(ids.iter().map(|id| (id.as_str(), None)));
    let mut given = Given::none().image(image(AMI, ACCOUNT)).ancestry(AMI, &chain);
    assert_eq!(needed(judged(&given, &own_launch())).len(), 16);
    for id in &ids {
        given = given.image(image(id, ACCOUNT));
    }
    assert_eq!(cannot_tell(judged(&given, &own_launch())).code, "ancestry-too-long");
}

#[test]
fn an_ancestry_that_turns_in_circles_ends() {
    let circle = ImageFact { source_image_id: Some(SOURCE.to_owned()), ..image(AMI, ACCOUNT) };
    let back = ImageFact { source_image_id: Some(AMI.to_owned()), ..image(SOURCE, ACCOUNT) };
    let given = Given::none().image(circle).image(back).ancestry_fact(AMI, denied());
    assert_eq!(cannot_tell(judged(&given, &own_launch())).code, "ancestry-lookup-denied");
}

#[test]
fn a_listed_builder_settles_what_cannot_be_told_but_no_stranger() {
    let imported = derived_from(DerivationKind::Imported, Origin::Disk("s3://bucket/disk.vmdk".to_owned()));
    let listed = |principal: &str| policy(&format!("images: {{builders: [{{principal: \"{principal}\"}}]}}"));
    let judge =
        |event: &Activity, principal: &str| Given::none().judge(&DETECTION, event, &listed(principal));
    passed(judge(&imported, "arn:aws:iam::*:role/ci/*"));
    passed(judge(&imported, "arn:aws:iam::any:role/ci/build"));
    for other in ["arn:aws:iam::666677778888:role/ci/*", "arn:*", "arn:aws:iam::*:role/*/x"] {
        cannot_tell(judge(&imported, other));
    }
    let given = Given::none().image(image(SOURCE, STRANGER));
    matched(given.judge(&DETECTION, &copied(REGION), &listed("arn:aws:iam::*:role/ci/*")));
    // What was imported then may be launched by anybody.
    let mut story = Story::watched();
    story.tell(&later("import", -60, imported));
    let snapshot = ImageFact { snapshots: vec![SNAPSHOT.to_owned()], ..image(COPY, ACCOUNT) };
    let given = Given::none()
        .image(snapshot)
        .ancestry(COPY, &[(COPY, None)])
        .fact(snapshot_key(REGION, SNAPSHOT), known_snapshot(ACCOUNT, "vol-ffffffff"));
    let launch = testing::launched(launch(COPY));
    let policy = listed("arn:aws:iam::*:role/ci/*");
    passed(story.judge(&DETECTION, &launch, &policy, given.facts()));
    cannot_tell(story.judge(&DETECTION, &launch, &Policy::default(), given.facts()));
}
