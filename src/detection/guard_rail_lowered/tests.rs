use super::*;
use crate::detection::testing::*;

fn judged(change: GuardRailChange) -> Verdict {
    judged_for(change, ACCOUNT)
}

fn judged_for(change: GuardRailChange, target: &str) -> Verdict {
    let mut event = changed(change);
    if let Action::GuardRailChanged(rail) = &mut event.action {
        rail.target = target.to_owned();
    }
    Given::none().judge(&DETECTION, &event, &Policy::default())
}

fn commands(found: &Match) -> Vec<&str> {
    found.next_steps.iter().filter_map(|step| step.command.as_deref()).collect()
}

fn criterion(providers: &[&str]) -> Criterion {
    let providers = providers.iter().map(|provider| (*provider).to_owned()).collect();
    Criterion { providers, ..Criterion::default() }
}

/// One criterion with these providers.
fn criteria(providers: &[&str]) -> GuardRailChange {
    GuardRailChange::AllowedImagesCriteria(vec![criterion(providers)])
}

fn scanning(scan_type: Option<&str>, rules: &[(&str, &[&str])]) -> GuardRailChange {
    let rules = rules
        .iter()
        .map(|(frequency, filters)| {
            ((*frequency).to_owned(), filters.iter().map(|f| (*f).to_owned()).collect())
        })
        .collect();
    GuardRailChange::RegistryScanning { scan_type: scan_type.map(str::to_owned), rules }
}

#[test]
fn allowed_amis_disabled_or_in_audit_mode_fires_and_enabled_passes() {
    let found = matched(judged(GuardRailChange::AllowedImagesDisabled));
    assert_eq!(found.subject.key(), format!("guard-rail|allowed-images|{ACCOUNT}"));
    let command = "aws ec2 enable-allowed-images-settings --region eu-central-1 --allowed-images-settings-state enabled";
    assert!(commands(&found).contains(&command), "{:?}", found.next_steps);
    matched(judged(GuardRailChange::AllowedImagesEnabled("audit-mode".to_owned())));
    passed(judged(GuardRailChange::AllowedImagesEnabled("enabled".to_owned())));
    cannot_tell(judged(GuardRailChange::AllowedImagesEnabled(String::new())));
}

#[test]
fn criteria_that_admit_strangers_fire() {
    let found = matched(judged(criteria(&["amazon", STRANGER])));
    assert!(found.summary.contains(STRANGER), "{}", found.summary);
    assert!(!found.summary.contains("amazon"), "{}", found.summary);
    matched(judged(criteria(&["aws-marketplace"])));
    matched(judged(criteria(&["*"])));
}

#[test]
fn criteria_within_the_policy_pass() {
    passed(judged(criteria(&["amazon"])));
    passed(judged(criteria(&["none"])));
    passed(judged(criteria(&[ACCOUNT, AMAZON])));
    let policy = policy(&format!("images: {{approved: {{owners: [\"{STRANGER}\"]}}}}"));
    let event = changed(criteria(&[STRANGER]));
    passed(Given::none().judge(&DETECTION, &event, &policy));
    matched(Given::none().judge(&DETECTION, &changed(criteria(&["amazon"])), &policy));
}

#[test]
fn no_criteria_at_all_fire() {
    matched(judged(GuardRailChange::AllowedImagesCriteria(Vec::new())));
}

/// Criteria are alternatives: an approved provider in one of them narrows none of the others.
#[test]
fn one_criterion_that_names_no_provider_lets_everybody_in() {
    let parts = ["ImageName", "MarketplaceProductCode", "ScanResultCondition", "SomethingNew"];
    for others in [Vec::new(), vec![parts[0]], vec![parts[1]], vec![parts[2]], vec![parts[3]], parts.to_vec()]
    {
        let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
        let open = Criterion { others, ..Criterion::default() };
        let both = GuardRailChange::AllowedImagesCriteria(vec![criterion(&["amazon"]), open]);
        let found = matched(judged(both));
        assert!(found.summary.contains("anybody"), "{}", found.summary);
    }
    let named = Criterion { others: vec!["ImageName".to_owned()], ..criterion(&["amazon"]) };
    passed(judged(GuardRailChange::AllowedImagesCriteria(vec![criterion(&["none"]), named])));
}

#[test]
fn a_watermark_admits_what_its_account_marks() {
    let marked = |key: &str| {
        let watermarks = vec![key.to_owned()];
        judged(GuardRailChange::AllowedImagesCriteria(vec![Criterion { watermarks, ..Criterion::default() }]))
    };
    passed(marked(&format!("{ACCOUNT}:golden-*")));
    assert!(matched(marked(&format!("{STRANGER}:golden-*"))).summary.contains(STRANGER));
    matched(marked("*:golden-*"));
}

#[test]
fn scan_on_push_switched_off_fires() {
    let found = matched(judged_for(GuardRailChange::ScanOnPush(Some(false)), "team/app"));
    let command = "aws ecr put-image-scanning-configuration --region eu-central-1 --repository-name team/app \
                   --image-scanning-configuration scanOnPush=true";
    assert!(commands(&found).contains(&command), "{:?}", found.next_steps);
    passed(judged_for(GuardRailChange::ScanOnPush(Some(true)), "team/app"));
    cannot_tell(judged_for(GuardRailChange::ScanOnPush(None), "team/app"));
}

#[test]
fn registry_scanning_without_rules_or_by_hand_fires() {
    matched(judged(scanning(Some("BASIC"), &[])));
    matched(judged(scanning(Some("ENHANCED"), &[])));
    let found =
        matched(judged(scanning(Some("BASIC"), &[("SCAN_ON_PUSH", &["prod/*"]), ("MANUAL", &["team/*"])])));
    assert!(found.summary.contains("team/*") && !found.summary.contains("prod/*"), "{}", found.summary);
    passed(judged(scanning(Some("ENHANCED"), &[("CONTINUOUS_SCAN", &["*"])])));
    passed(judged(scanning(Some("BASIC"), &[("SCAN_ON_PUSH", &["*"])])));
    cannot_tell(judged(scanning(None, &[])));
    cannot_tell(judged(scanning(Some("BASIC"), &[("", &["*"])])));
}

#[test]
fn mutable_tags_fire() {
    for mutability in ["MUTABLE", "MUTABLE_WITH_EXCLUSION"] {
        matched(judged_for(GuardRailChange::TagMutability(mutability.to_owned()), "team/app"));
    }
    for mutability in ["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"] {
        passed(judged_for(GuardRailChange::TagMutability(mutability.to_owned()), "team/app"));
    }
    cannot_tell(judged_for(GuardRailChange::TagMutability(String::new()), "team/app"));
}

#[test]
fn a_call_that_failed_changed_nothing() {
    let mut event = changed(GuardRailChange::AllowedImagesDisabled);
    if let Action::GuardRailChanged(rail) = &mut event.action {
        rail.failed = Some("Client.UnauthorizedOperation".to_owned());
    }
    not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
}

#[test]
fn a_target_of_an_attackers_choice_costs_the_command_only() {
    let found = matched(judged_for(GuardRailChange::ScanOnPush(Some(false)), "x; rm -rf /"));
    assert!(found.next_steps[0].command.is_none());
}
