//! What somebody who writes a policy notices.

use chrono::NaiveDate;
use miette::Diagnostic;
use proptest::prelude::*;

use super::load::parse_with;
use super::schema::schema_with;
use super::*;

mod bad;

/// Detections that a policy may name, without depending on what is registered.
const KNOWN: [&str; 4] =
    ["ecr-scan-medium", "ecr-push-outside-hours", "machine-image-not-approved", "launch-attempt-denied"];

fn parse(text: &str) -> Result<Policy, PolicyError> {
    parse_with(text, "policy.yaml", &KNOWN)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Every key with a value other than its default.
const FULL: &str = r#"
images:
  approved:
    owners: ["123456789012", amazon]
    ids: [ami-0123456789abcdef0]
    names: [{owner: "210987654321", pattern: "base-*"}]
    tags: [{key: blessed, value: "yes"}]
    watermarks: ["123456789012:golden-*"]
    azure_publishers: [Canonical]
    gcp_projects: [debian-cloud]
  ancestors: [vendors, "123456789012"]
  builders: [{principal: "arn:aws:iam::*:role/image-pipeline/*", until: 2026-12-31, accounts: ["111122223333"]}]
  max_age_days: 90
  deprecated: alert
  allowed_images_setting: ignore
  scope: {tags: [{key: environment, value: "prod*"}], subnets: [subnet-0123456789abcdef0]}
user_data:
  inspection: off
  trusted: {hosts: ["*.example.com"], buckets: [artifacts-*]}
first_boot_window: 45m
uploads:
  schedules:
    - {days: [sun], hours: "20:00-06:00", zone: America/New_York, holidays: [2026-12-25], repositories: ["a/*"], principals: ["arn:aws:iam::*:role/ci/*"]}
  pushers:
    - {principal: "arn:aws:iam::*:role/ci/*", repositories: ["a/*"]}
containers:
  registries: ["registry.example.com/team/*"]
  window: 5m
  suspicious_binaries: [zsh]
  namespaces: {internal_only: [payments], fixed_tags: [prod-*]}
  blocked_destinations: ["198.51.100.0/24", 2001:db8::/32]
detections:
  ecr-scan-medium: {enabled: false, severity: low, score: 21}
risk: {window: 12h, score: 50, distinct: 2}
notify: {minimum_severity: high, storm: {after: 5, window: 30m}}
suppress:
  - {detection: ecr-push-outside-hours, repository: "nightly/*", until: 2026-12-31, reason: "night builds"}
"#;

#[test]
fn every_key_of_the_contract_is_read() {
    let policy = parse(FULL).unwrap();
    let defaults = Policy::default();
    assert_eq!(policy.images.approved.owners, ["123456789012", "amazon"]);
    assert_eq!(policy.images.max_age_days, Some(90));
    assert_eq!(policy.user_data.inspection, Inspection::Off);
    let schedule = &policy.uploads.schedules[0];
    assert_eq!(schedule.hours, Hours { from: 20 * 60, to: 6 * 60 });
    assert_eq!(schedule.zone, Some(zone("America/New_York")));
    assert_eq!(schedule.holidays, [day("2026-12-25")]);
    assert_eq!(policy.suppress[0].until, day("2026-12-31"));
    assert_eq!(policy.severity("ecr-scan-medium"), Some(Severity::Low));
    assert!(!policy.enabled("ecr-scan-medium"));
    // No key of it may have been passed over in silence.
    let (given, default) = (serde_json::to_value(&policy).unwrap(), serde_json::to_value(&defaults).unwrap());
    for (key, value) in given.as_object().unwrap() {
        assert_ne!(value, &default[key], "{key}");
    }
}

#[test]
fn the_shipped_policy_says_what_the_defaults_say() {
    let shipped = Policy::parse(include_str!("../../policy.yaml"), "policy.yaml").unwrap();
    assert_eq!(shipped, Policy::default());
    assert_eq!(Policy::bundled(), &shipped);
}

#[test]
fn the_shipped_policy_names_every_key() {
    let shipped = include_str!("../../policy.yaml");
    let schema = schema_with(&[]);
    let mut keys: Vec<&String> = Vec::new();
    let objects = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for object in objects {
        keys.extend(object["properties"].as_object().into_iter().flat_map(|properties| properties.keys()));
    }
    assert!(keys.len() > 40);
    for key in keys {
        assert!(shipped.contains(key.as_str()), "{key} is missing from policy.yaml");
    }
}

#[test]
fn nothing_in_the_file_means_the_defaults() {
    for text in [
        "",
        "# nothing yet\n",
        "---\n",
        "images:\nuploads:\nsuppress:\n",
        "images: {approved: }\n",
        "\u{feff}",
    ] {
        assert_eq!(parse(text).unwrap(), Policy::default(), "{text:?}");
    }
}

/// Written without quotes, an account id is a number to YAML, and a leading zero could be lost.
#[test]
fn account_ids_need_no_quotes() {
    let policy = parse("images: {approved: {owners: [123456789012, 012345678901]}}").unwrap();
    assert_eq!(policy.images.approved.owners, ["123456789012", "012345678901"]);
}

#[test]
fn anchors_may_be_shared() {
    let policy = parse(
        "uploads:\n  schedules:\n    - &day {repositories: [a/*], zone: UTC}\n    - {<<: *day, repositories: [b/*]}\n",
    )
    .unwrap();
    assert_eq!(policy.uploads.schedules[1].zone, Some(zone("UTC")));
    assert_eq!(policy.uploads.schedules[1].repositories, ["b/*"]);
}

#[test]
fn a_diagnostic_points_at_the_very_word() {
    let text = "images:\n  approved:\n    owner: [self]\n";
    let PolicyError::Invalid(error) = parse(text).unwrap_err() else { panic!() };
    let label = error.labels().unwrap().next().unwrap();
    assert_eq!(&text[label.offset()..label.offset() + label.len()], "owner");
    assert!(error.help().unwrap().to_string().starts_with("did you mean `owners`?"));
    let report = format!("{:?}", miette::Report::new(PolicyError::Invalid(error)));
    assert!(report.contains("policy.yaml:3:5"), "{report}");
    assert!(report.contains("owner: [self]"), "{report}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "images:\n  approved:\n    owners: [me, self]\n    ids: [ami-1]\n";
    let error = parse(text).unwrap_err();
    assert_eq!(error.lines().len(), 2);
    assert!(error.to_string().ends_with("(and 1 more)"), "{error}");
    let report = format!("{:?}", miette::Report::new(error));
    assert!(report.contains("`me` is no account") && report.contains("`ami-1` is no AMI id"), "{report}");
}

#[test]
fn files_are_read_by_path_and_by_uri() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my policy.yaml");
    std::fs::write(&path, "notify: {minimum_severity: high}\n").unwrap();
    for written in
        [path.display().to_string(), format!("file:{}", path.display()), format!("file://{}", path.display())]
    {
        let policy = load_file(std::path::Path::new(&written)).unwrap();
        assert_eq!(policy.notify.minimum_severity, Severity::High, "{written}");
    }
    let missing = load_file(&folder.path().join("none.yaml")).unwrap_err().to_string();
    assert!(missing.contains("none.yaml: cannot be read"), "{missing}");
    std::fs::write(&path, b"\xff\xfe\0").unwrap();
    assert!(matches!(load_file(&path), Err(PolicyError::NotText { .. })));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load_file(&path).unwrap_err().to_string().contains("longer than 1048576 bytes"));
}

#[test]
fn warnings_tell_what_is_likely_not_meant() {
    let text = r#"
images:
  approved: {owners: [], names: [{owner: "123456789012", pattern: "*"}]}
uploads:
  schedules:
    - {repositories: ["a/*"], zone: UTC, days: []}
    - {}
    - {repositories: ["b/*"]}
  pushers: [{principal: "*", repositories: ["a/*"]}, {principal: "*"}]
suppress:
  - {detection: ecr-scan-medium, repository: a, until: 2026-01-31, reason: moved}
  - {detection: "ecr-*", until: 2026-02-01, reason: noise}
"#;
    let warnings = parse(text).unwrap().warnings(day("2026-02-01"));
    let wanted = [
        "the pattern `*` approves everything that 123456789012 owns",
        "schedules[0]: has no days",
        "schedules[1]: names no zone",
        "schedules[2]: is never used, since schedules[1]",
        "pushers[0]: lets everybody push to a/*",
        "pushers[1]: lets everybody push everywhere",
        "the one for `ecr-scan-medium` (moved) ended on 2026-01-31",
        "the one for `ecr-*` (noise) names no repository",
    ];
    assert_eq!(warnings.len(), wanted.len(), "{warnings:#?}");
    for (warning, wanted) in warnings.iter().zip(wanted) {
        assert!(warning.contains(wanted), "{warning}");
    }
    let empty = parse("images: {approved: {owners: []}, allowed_images_setting: ignore}").unwrap();
    assert!(empty.warnings(day("2026-02-01"))[0].contains("nothing is approved"));
}

#[test]
fn suppressions_without_a_bound_are_warned_of() {
    let text = "suppress: [{detection: \"*\", account: \"111122223333\", until: 2099-12-31, reason: x}]";
    let warnings = parse(text).unwrap().warnings(day("2026-02-01"));
    assert!(warnings.iter().any(|it| it.contains("every detection")), "{warnings:#?}");
    assert!(warnings.iter().any(|it| it.contains("more than a year ahead")), "{warnings:#?}");
}

/// An entry that had ended, or was meant for another account, approved for ever and everywhere.
#[test]
fn an_entry_holds_until_its_day_and_for_its_accounts() {
    let text = "images: {approved: {owners: [{owner: \"123456789012\", until: 2026-03-31, accounts: [\"111122223333\"]}], \
                gcp_projects: []}, builders: [{principal: \"*\", until: 2026-03-31}]}";
    let policy = parse(text).unwrap();
    let mut event = crate::detection::testing::pushed(crate::detection::testing::push());
    event.account = "111122223333".to_owned();
    event.time = "2026-03-31T23:00:00Z".parse().unwrap();
    assert_eq!(policy.at(&event).images.approved.owners, ["123456789012"]);
    assert!(policy.is_builder(&event));
    let mut other = event.clone();
    other.account = "444455556666".to_owned();
    assert!(policy.at(&other).images.approved.owners.is_empty());
    event.time = "2026-04-01T00:00:00Z".parse().unwrap();
    assert!(policy.at(&event).images.approved.owners.is_empty());
    assert!(!policy.is_builder(&event));
}

#[test]
fn a_suppression_holds_on_its_last_day() {
    let policy = parse("suppress: [{detection: ecr-scan-medium, until: 2026-01-31, reason: moved}]").unwrap();
    assert!(policy.expired(day("2026-01-31")).is_empty());
    assert_eq!(policy.expired(day("2026-02-01")), [&policy.suppress[0]]);
}

#[test]
fn the_schema_knows_the_detections_and_every_key() {
    let schema = schema_with(&KNOWN);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "Imagewarden policy");
    assert_eq!(schema["properties"]["detections"]["propertyNames"]["enum"], serde_json::json!(KNOWN));
    let full = serde_json::to_value(parse(FULL).unwrap()).unwrap();
    for key in full.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
    // What a section with all keys commented out is.
    for path in ["/type", "/$defs/Images/type", "/$defs/Scope/type", "/properties/suppress/type"] {
        assert_eq!(schema.pointer(path).unwrap()[1], "null", "{path}");
    }
    assert_eq!(schema["$defs"]["Tag"]["type"], "object");
}

#[test]
fn the_effective_policy_fills_in_every_default() {
    let yaml = Policy::default().to_yaml();
    for key in
        ["azure_publishers", "first_boot_window: 30m", "minimum_severity: medium", "hours: 08:00-20:00"]
    {
        assert!(yaml.contains(key), "{key} is missing from\n{yaml}");
    }
    assert_eq!(parse(&parse(FULL).unwrap().to_yaml()).unwrap(), parse(FULL).unwrap());
}

/// Texts that YAML could take for something else.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,30}x",
        "[ -~]{0,30}x",
        prop::sample::select(vec![
            "null",
            "~",
            "yes",
            "off",
            "true",
            "012",
            "1e3",
            "0x1F",
            ".inf",
            "2026-12-31",
            "- a",
            "a: b",
            "#x",
            "*",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "'",
            "\"",
            "a\nb",
            " a ",
            "a\tb",
            "[",
            "{",
            "%",
            "@",
            "`",
            "<<",
            "=",
            "a #b",
            "\u{85}x",
            "\u{2028}x",
            "?",
            "-",
            ":",
            "x:",
        ])
        .prop_map(str::to_owned),
    ]
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

prop_compose! {
    fn any_policy()(
        texts in prop::collection::vec(awkward(), 1..4),
        span in 1u32..1_000_000,
        hours in (0u32..1440, 0u32..=1440).prop_filter("an empty stretch", |(from, to)| from != to),
        named in prop::option::of(prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())),
        holiday in 0i32..40_000,
        network in any::<std::net::IpAddr>(),
        numbers in (prop::option::of(1u32..), any::<u32>(), prop::option::of(any::<bool>())),
        severity in prop::sample::select(Severity::ALL.to_vec()),
    ) -> Policy {
        let date = NaiveDate::from_num_days_from_ce_opt(holiday + 700_000).unwrap();
        let mut policy = Policy::default();
        policy.images.max_age_days = numbers.0;
        let accounts = vec!["012345678901".to_owned()];
        policy.images.approved.tags = texts
            .iter()
            .map(|text| ApprovedTag { key: text.clone(), value: text.clone(), until: Some(date), accounts: accounts.clone() })
            .collect();
        policy.images.approved.names = vec![NamePattern {
            owner: "self".to_owned(),
            pattern: "base-*".to_owned(),
            until: Some(date),
            accounts: Vec::new(),
        }];
        let bounded = "images: {approved: {azure_publishers: [0456, {publisher: 0123, until: 2026-12-31}]}}";
        policy.images.approved.azure_publishers = parse(bounded).unwrap().images.approved.azure_publishers;
        policy.first_boot_window = format!("{span}s").parse().unwrap();
        policy.uploads.schedules = vec![Schedule {
            days: vec![Day::Sun, Day::Mon],
            hours: Hours { from: hours.0, to: hours.1 },
            zone: named.map(|name: chrono_tz::Tz| zone(name.name())),
            holidays: vec![date],
            principals: texts.iter().map(|text| format!("x{text}").replace('/', "|")).collect(),
            ..Schedule::default()
        }];
        policy.containers.blocked_destinations = vec![network.to_string().parse().unwrap()];
        policy.detections.insert(
            KNOWN[0].to_owned(),
            DetectionSettings { enabled: numbers.2, severity: Some(severity), score: Some(numbers.1) },
        );
        policy.suppress = texts.iter().map(|text| Suppression {
            detection: "ecr-*".to_owned(),
            repository: None,
            image: Some("ami-*".to_owned()),
            principal: Some(format!("x{text}").replace('/', "|")),
            account: None,
            until: date,
            reason: text.clone(),
        }).collect();
        policy
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same(policy in any_policy()) {
        let yaml = policy.to_yaml();
        let back = parse(&yaml).map_err(|error| TestCaseError::fail(format!("{:?}\n{yaml}", error.lines())))?;
        prop_assert_eq!(back, policy, "{}", yaml);
    }

    #[test]
    fn no_text_panics(text in "[-a-z:{}\\[\\]*&!|>'\"#%@, \n\t0-9]{0,200}") {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.lines().is_empty());
            let _ = format!("{:?}", miette::Report::new(error));
        }
    }
}
