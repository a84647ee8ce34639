use super::*;
use crate::detection::testing::{
    ACCOUNT, AMAZON, AMI, Given, REGION, STRANGER, context, denied, image, launch, launched, policy, scope,
};
use crate::lookup::Fact;

fn answer(given: &Given, fact: &ImageFact, policy: &Policy) -> Approval {
    let context = context(policy, given.facts());
    approval(&launched(launch(AMI)), &context, Known { fact, from_instance: false })
}

#[track_caller]
fn approved(approval: Approval) -> String {
    match approval {
        Approval::Approved(why) => why,
        other => panic!("expected approval, got {other:?}"),
    }
}

#[track_caller]
fn refused(approval: Approval) -> (String, Vec<Reason>) {
    match approval {
        Approval::NotApproved { why, not_inspected } => (why, not_inspected),
        other => panic!("expected refusal, got {other:?}"),
    }
}

const OFF: &str = "allowed_images_setting: ignore";

#[test]
fn self_is_the_events_account() {
    let policy = policy(&format!("images: {{approved: {{owners: [self]}}, {OFF}}}"));
    approved(answer(&Given::none(), &image(AMI, ACCOUNT), &policy));
    refused(answer(&Given::none(), &image(AMI, STRANGER), &policy));
    let mut nowhere = launched(launch(AMI));
    nowhere.account.clear();
    let given = Given::none();
    let context = context(&policy, given.facts());
    let fact = image(AMI, STRANGER);
    let answer = approval(&nowhere, &context, Known { fact: &fact, from_instance: false });
    assert!(matches!(answer, Approval::CannotTell(reason) if reason.code == "account-unknown"));
}

#[test]
fn amazon_goes_by_partition() {
    let policy = policy(&format!("images: {{approved: {{owners: [amazon]}}, {OFF}}}"));
    let mut china = launched(launch(AMI));
    china.region = "cn-north-1".to_owned();
    let given = Given::none();
    let context = context(&policy, given.facts());
    let judge = |owner| {
        let fact = image(AMI, owner);
        approval(&china, &context, Known { fact: &fact, from_instance: false })
    };
    approved(judge("141808717104"));
    refused(judge(AMAZON));
}

/// Name confusion (whoAMI): anybody can call a public image `golden-web`.
#[test]
fn a_name_counts_only_within_its_owner() {
    let policy = policy(&format!(
        "images: {{approved: {{owners: [], names: [{{owner: \"444455556666\", pattern: \"golden-*\"}}]}}, {OFF}}}"
    ));
    let named = |owner| ImageFact { name: Some("golden-web".to_owned()), ..image(AMI, owner) };
    approved(answer(&Given::none(), &named("444455556666"), &policy));
    refused(answer(&Given::none(), &named(STRANGER), &policy));
    refused(answer(&Given::none(), &image(AMI, "444455556666"), &policy));
}

#[test]
fn tags_count_on_own_images_only() {
    let policy = policy(&format!(
        "images: {{approved: {{owners: [], tags: [{{key: approved, value: \"tr*\"}}]}}, {OFF}}}"
    ));
    let tagged =
        |owner| ImageFact { tags: vec![("approved".to_owned(), "true".to_owned())], ..image(AMI, owner) };
    approved(answer(&Given::none(), &tagged(ACCOUNT), &policy));
    refused(answer(&Given::none(), &tagged(STRANGER), &policy));
    refused(answer(&Given::none(), &image(AMI, ACCOUNT), &policy));
    // Instance metadata holds no tags: that none are seen says nothing.
    let given = Given::none();
    let context = context(&policy, given.facts());
    let fact = image(AMI, ACCOUNT);
    let answer = approval(&launched(launch(AMI)), &context, Known { fact: &fact, from_instance: true });
    assert!(matches!(answer, Approval::CannotTell(reason) if reason.code == "image-tags-unknown"));
}

#[test]
fn an_old_image_of_an_approved_owner_is_not_approved() {
    let policy = policy("images: {max_age_days: 30}");
    let (why, _) = refused(answer(&Given::none(), &image(AMI, AMAZON), &policy));
    assert!(why.contains("123 days old"), "{why}");
    let young =
        ImageFact { creation_date: Some("2026-05-01T00:00:00.000Z".to_owned()), ..image(AMI, AMAZON) };
    approved(answer(&Given::none(), &young, &policy));
    let undated = ImageFact { creation_date: None, ..image(AMI, AMAZON) };
    let answer = answer(&Given::none(), &undated, &policy);
    assert!(matches!(answer, Approval::CannotTell(reason) if reason.code == "image-age-unknown"));
}

#[test]
fn a_deprecated_image_is_told_where_the_policy_wants_it() {
    let fact =
        ImageFact { deprecation_time: Some("2026-02-01T00:00:00.000Z".to_owned()), ..image(AMI, AMAZON) };
    approved(answer(&Given::none(), &fact, &Policy::default()));
    let policy = policy("images: {deprecated: alert}");
    refused(answer(&Given::none(), &fact, &policy));
    let later =
        ImageFact { deprecation_time: Some("2027-02-01T00:00:00.000Z".to_owned()), ..image(AMI, AMAZON) };
    approved(answer(&Given::none(), &later, &policy));
}

#[test]
fn an_image_without_an_owner_cannot_be_told() {
    let fact = ImageFact { owner_id: None, ..image(AMI, STRANGER) };
    let answer = answer(&Given::none(), &fact, &Policy::default());
    assert!(matches!(answer, Approval::CannotTell(reason) if reason.code == "image-owner-unknown"));
}

#[test]
fn the_accounts_allowed_amis_are_a_second_catalog() {
    let policy = Policy::default();
    let stranger = image(AMI, STRANGER);
    let ask = answer(&Given::none(), &stranger, &policy);
    assert_eq!(ask, Approval::Need(vec![FactKey::AllowedImages { scope: scope(REGION) }]));
    let criteria = |state: &str, providers: &str| {
        Given::none().allowed_images_json(&format!(
            r#"{{"State":"{state}","ImageCriteria":[{{"ImageProviders":[{providers}]}}]}}"#
        ))
    };
    for state in ["enabled", "audit-mode"] {
        approved(answer(&criteria(state, &format!("\"{STRANGER}\"")), &stranger, &policy));
    }
    refused(answer(&criteria("disabled", &format!("\"{STRANGER}\"")), &stranger, &policy));
    refused(answer(&criteria("enabled", "\"amazon\""), &stranger, &policy));
    refused(answer(&criteria("enabled", "\"none\""), &stranger, &policy));
    let verified = ImageFact { image_owner_alias: Some("amazon".to_owned()), ..stranger.clone() };
    approved(answer(&criteria("enabled", "\"amazon\""), &verified, &policy));
    let hidden = ImageFact { image_allowed: Some(false), ..stranger.clone() };
    refused(answer(&criteria("audit-mode", &format!("\"{STRANGER}\"")), &hidden, &policy));
}

#[test]
fn parts_of_a_criterion_are_joined_by_and() {
    let given = Given::none().allowed_images_json(&format!(
        r#"{{"State":"enabled","ImageCriteria":[{{"ImageProviders":["{STRANGER}"],"ImageNames":["golden-*"],
            "CreationDateCondition":{{"MaximumDaysSinceCreated":200}},
            "DeprecationTimeCondition":{{"MaximumDaysSinceDeprecated":0}}}}]}}"#
    ));
    let policy = Policy::default();
    let golden = ImageFact { name: Some("golden-web".to_owned()), ..image(AMI, STRANGER) };
    approved(answer(&given, &golden, &policy));
    refused(answer(&given, &image(AMI, STRANGER), &policy));
    let old = ImageFact { creation_date: Some("2025-01-01T00:00:00.000Z".to_owned()), ..golden.clone() };
    refused(answer(&given, &old, &policy));
    let deprecated = ImageFact { deprecation_time: Some("2026-05-01T00:00:00.000Z".to_owned()), ..golden };
    refused(answer(&given, &deprecated, &policy));
}

#[test]
fn a_setting_without_criteria_approves_nobody() {
    let fact = ImageFact { image_allowed: Some(true), ..image(AMI, STRANGER) };
    let policy = Policy::default();
    for criteria in ["[]", "[{}]"] {
        let json = format!(r#"{{"State":"enabled","ImageCriteria":{criteria}}}"#);
        let fact = if criteria == "[]" { fact.clone() } else { image(AMI, STRANGER) };
        refused(answer(&Given::none().allowed_images_json(&json), &fact, &policy));
    }
}

#[test]
fn allowed_amis_that_cannot_be_read_are_said() {
    let (_, notes) =
        refused(answer(&Given::none().allowed_images(denied()), &image(AMI, STRANGER), &Policy::default()));
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].code, "allowed-images-denied");
    let (_, notes) = refused(answer(
        &Given::none().allowed_images(Fact::Absent),
        &image(AMI, STRANGER),
        &Policy::default(),
    ));
    assert_eq!(notes[0].code, "allowed-images-not-found");
}

#[test]
fn the_setting_never_rescues_an_image_that_is_too_old() {
    let policy = policy("images: {max_age_days: 30}");
    let json = format!(r#"{{"State":"enabled","ImageCriteria":[{{"ImageProviders":["{STRANGER}"]}}]}}"#);
    refused(answer(&Given::none().allowed_images_json(&json), &image(AMI, STRANGER), &policy));
}
