//! Policies with a mistake each, where it is found, and what is said.

use super::parse;

/// The policy, the line and column, what is said of it, and what to do.
const BAD: &[(&str, &str, &str, &str)] = &[
    // Keys.
    ("image: {}", "1:1", "unknown key `image`", "did you mean `images`?"),
    ("images:\n  approved:\n    owner: [self]", "3:5", "unknown key `owner`", "did you mean `owners`?"),
    ("images:\n  frobnicate: 1", "2:3", "unknown key `frobnicate`", "known here: approved, ancestors"),
    ("images: {}\nnotify: {}\nimages: {}", "3:1", "`images` stands here a second time", "under the first"),
    ("detections:\n  ecr-scan-medium: {}\n  ecr-scan-medium: {}", "3:3", "a second time", "under the first"),
    // Shapes.
    ("[]", "1:1", "a section with keys is wanted here", "key: value"),
    ("just words", "1:1", "a section with keys is wanted here", "key: value"),
    ("notify: {}\n---\nnotify: {}", "3:1", "a second YAML document begins", "one document"),
    ("images:\n\tapproved: {}", "2:2", "tab", "indent with spaces"),
    ("images:\n  approved: {owners: [self", "2:22", "", "bracket"),
    ("images: {approved: {owners: self}}", "1:29", "a list is wanted here", "[one, two]"),
    ("images:\n  approved:\n    owners:\n", "3:11", "nothing here, but a list is wanted", "`[]` for none"),
    ("first_boot_window: [30m]", "1:20", "a single value is wanted here", "one value"),
    ("uploads: {schedules: [{principals: [*]}]}", "1:37", "sign for an alias", "in quotes"),
    ("user_data:\n  trusted: {hosts: [*.example.com]}", "2:21", "sign for an alias", "in quotes"),
    ("images: &a {approved: *a}", "1:23", "an alias contains itself", "write the values out"),
    // Values.
    ("notify: {minimum_severity: hihg}", "1:28", "unknown value `hihg`", "did you mean `high`?"),
    ("uploads: {schedules: [{days: [monday]}]}", "1:31", "unknown value `monday`", "did you mean `mon`?"),
    ("first_boot_window: 30", "1:20", "`30` is no length of time", "write `90s`"),
    ("first_boot_window: 9999d", "1:20", "`9999d` is out of range", "366d"),
    ("uploads: {schedules: [{hours: 8-20}]}", "1:31", "`8-20` is no stretch of hours", "08:00-20:00"),
    ("uploads: {schedules: [{hours: \"08:00-08:00\"}]}", "1:31", "is empty", "00:00-24:00"),
    ("uploads: {schedules: [{zone: Europe/Berln}]}", "1:30", "no time zone", "did you mean `Europe/Berlin`?"),
    ("uploads: {schedules: [{zone: Nowhere}]}", "1:30", "`Nowhere` is no time zone", "IANA name"),
    ("uploads: {schedules: [{holidays: [2026-02-30]}]}", "1:35", "`2026-02-30` is no date", "2026-12-31"),
    ("uploads: {schedules: [{holidays: [25.12.2026]}]}", "1:35", "is no date", "year-month-day"),
    (
        "suppress:\n  - {detection: ecr-scan-medium, until: soon, reason: r}",
        "2:41",
        "`soon` is no date",
        "2026",
    ),
    ("suppress:\n  - {detection: ecr-scan-medium, reason: r}", "2:5", "`until` is missing", "add `until:`"),
    ("detections: {ecr-scan-medium: {enabled: yes}}", "1:41", "`yes` is not true or false", "`true`"),
    ("detections: {ecr-scan-medium: {score: -1}}", "1:39", "`-1` is no whole number", "a number"),
    ("images: {max_age_days: 1.5}", "1:24", "`1.5` is no whole number", "a number"),
    ("images: {max_age_days: 0}", "1:24", "less than a day", "1 up"),
    ("containers: {blocked_destinations: [198.51.100.0/33]}", "1:37", "is no network", "198.51.100.0/24"),
    // Meaning.
    ("images: {approved: {owners: [self, me]}}", "1:36", "`me` is no account", "12 digits in quotes"),
    ("images: {approved: {owners: [12345678901]}}", "1:30", "`12345678901` is no account", "12 digits"),
    ("images: {approved: {owners: [vendors]}}", "1:30", "`vendors` holds for `images.ancestors` only", "12"),
    ("images: {approved: {owners: [aws-marketplace]}}", "1:30", "approves nobody", "the seller's account"),
    ("images: {ancestors: [canonical]}", "1:22", "`canonical` is no account", "`vendors`"),
    ("images: {approved: {ids: [ami-123]}}", "1:27", "`ami-123` is no AMI id", "`names`"),
    (
        "images:\n  approved:\n    names:\n      - owner: self\n        pattern: \"\"",
        "5:18",
        "empty text",
        "take",
    ),
    ("images: {scope: {subnets: [10.0.0.0/24]}}", "1:28", "is no subnet id", "subnet-"),
    ("images: {scope: {tags: [{key: \"\", value: a}]}}", "1:31", "empty text", "take the entry out"),
    ("user_data: {trusted: {hosts: [\"https://a.com/x\"]}}", "1:31", "is no host name", "without scheme"),
    ("user_data: {trusted: {hosts: [\"*\"]}}", "1:31", "`*` is no host name", "*.example.com"),
    ("user_data: {trusted: {buckets: [\"s3://a\"]}}", "1:33", "is no bucket name", "without `s3://`"),
    ("uploads: {schedules: [{repositories: []}]}", "1:38", "matches nothing", "[\"*\"]"),
    ("uploads: {pushers: [{principal: \"\"}]}", "1:33", "empty text", "take the entry out"),
    (
        "uploads: {pushers: [{principal: a, repositories: [Team]}]}",
        "1:51",
        "matches no repository",
        "without",
    ),
    (
        "uploads: {pushers: [{principal: \"arn:aws:sts::*:assumed-role/ci/*\"}]}",
        "1:33",
        "is a session",
        "role's ARN",
    ),
    ("containers: {registries: [\"https://r.io/a\"]}", "1:27", "is no image name", "without a scheme"),
    ("containers: {suspicious_binaries: [/bin/sh]}", "1:36", "`/bin/sh` is a path", "name alone"),
    (
        "detections:\n  ecr-scan-meduim: {}",
        "2:3",
        "no detection `ecr-scan-meduim`",
        "did you mean `ecr-scan-medium`?",
    ),
    (
        "suppress: [{detection: ecr-pull-*, until: 2026-12-31, reason: r}]",
        "1:24",
        "no detection matches `ecr-pull-*`",
        "imagewarden detections",
    ),
    (
        "suppress: [{detection: \"*\", account: me, until: 2026-12-31, reason: r}]",
        "1:38",
        "`me` is no account id",
        "12 digits",
    ),
    ("suppress: [{detection: \"*\", until: 2026-12-31, reason: \"\"}]", "1:56", "says why", "a year"),
    // Entries that can never match.
    ("images: {approved: {owners: [{owner: me, until: 2026-12-31}]}}", "1:38", "`me` is no account", "12"),
    ("images: {approved: {owners: [{owner: self, accounts: [12]}]}}", "1:55", "`12` is no account id", "12"),
    ("images: {approved: {owners: [{name: self}]}}", "1:31", "unknown key `name`", "owner, until, accounts"),
    ("images: {approved: {ids: [{until: 2026-12-31}]}}", "1:27", "`id` is missing", "add `id:`"),
    ("images: {approved: {owners: [{owner: self, until: 2026-02-30}]}}", "1:51", "is no date", "2026-12-31"),
    (
        "images: {approved: {names: [{owner: self, pattern: \"a:*\"}]}}",
        "1:52",
        "no AMI name holds `:`",
        "names",
    ),
    ("images: {approved: {watermarks: [golden]}}", "1:34", "`golden` is no watermark", "the account"),
    ("images: {approved: {gcp_projects: [projects/x]}}", "1:36", "no project's id", "without `projects/`"),
    ("images: {approved: {azure_publishers: [\"Canonical:ubuntu\"]}}", "1:40", "no publisher's id", "alone"),
    ("images: {builders: [{principal: role/x}]}", "1:33", "never matches", "role's ARN"),
    (
        "uploads: {pushers: [{principal: \"arn:aws:iam::12345678901:role/ci\"}]}",
        "1:33",
        "no id of 12 digits",
        "ARN",
    ),
    ("uploads: {pushers: [{principal: \"arn:aws:sts::*:role/ci\"}]}", "1:33", "are ARNs of `iam`", "ARN"),
    ("uploads: {pushers: [{principal: \"arn:aws:iam::*:role/AWSReservedSSO_A_*\"}]}", "1:33", "path", "sso"),
    ("uploads: {pushers: [{principal: \"*:role/ci/*\"}]}", "1:33", "does not cross a colon", "ARN"),
    ("uploads: {schedules: [{principals: [\"arn:aws:iam::*:group/x\"]}]}", "1:37", "never matches", "ARN"),
    ("uploads: {pushers: [{principal: a, repositories: [/a]}]}", "1:51", "matches no repository", "alone"),
    ("containers: {registries: [ghcr.io/Acme/*]}", "1:27", "no capital letters", "registry.example.com"),
    ("containers: {registries: [\"reg depot/x\"]}", "1:27", "hold no spaces", "image reference"),
    ("containers: {registries: [\"a.io/x:*@sha256:*\"]}", "1:27", "a digest alone decides", "team/app@"),
    ("containers: {registries: [\"a.io/x@sha256:12\"]}", "1:27", "its digest is none", "team/app@"),
    ("containers: {suspicious_binaries: [\"bash -c\"]}", "1:36", "holds no arguments", "alone"),
    ("containers: {suspicious_binaries: [cmd.exe]}", "1:36", "compared without `.exe`", "leave"),
    ("containers: {namespaces: {fixed_tags: [Prod]}}", "1:40", "restricts nothing", "small letters"),
    ("containers: {blocked_destinations: [10.0.0.1/8]}", "1:37", "bits set behind its prefix", "10.0.0.0/8"),
    ("risk: {distinct: 400}", "1:18", "no repository is ever told", "smaller"),
    ("notify: {storm: {after: 0}}", "1:25", "no alert is published singly", "1 up"),
    (
        "suppress: [{detection: \"*\", account: \"1234\", until: 2026-12-31, reason: r}]",
        "1:38",
        "`1234` is no account id",
        "12 digits",
    ),
];

/// The reader stopped at the first mistake of form, and said nothing of the rest.
#[test]
fn mistakes_of_form_and_of_meaning_are_told_together_each_at_its_place() {
    let text = "images:\n  approved:\n    owner: [self]\n    ids: [ami-1]\nuploads:\n  schedules:\n    - {hours: \"8-20\", \
                zone: Europe/Berlyn, holidays: [2026-02-30, 2026-12-25]}\nnotify: {minimum_severity: loud}\nsuppress:\n  - \
                {detection: nothing, until: soon, reason: x}\n";
    let lines = parse(text).unwrap_err().lines();
    let wanted = [
        ("3:5", "unknown key `owner`"),
        ("4:11", "`ami-1` is no AMI id"),
        ("7:15", "`8-20` is no stretch"),
        ("7:29", "`Europe/Berlyn` is no time zone"),
        ("7:55", "`2026-02-30` is no date"),
        ("8:28", "unknown value `loud`"),
        ("10:17", "no detection matches `nothing`"),
        ("10:33", "`soon` is no date"),
    ];
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, (place, message)) in lines.iter().zip(wanted) {
        assert!(line.starts_with(&format!("policy.yaml:{place}: ")) && line.contains(message), "{line}");
    }
}

#[test]
fn every_mistake_is_placed_and_explained() {
    let mut wrong = Vec::new();
    for (text, place, message, help) in BAD {
        let said = match parse(text) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.lines().join("\n"),
        };
        let found = said.starts_with(&format!("policy.yaml:{place}: "))
            && said.contains(message)
            && said.contains(help);
        if !found {
            wrong.push(format!("{text}\n   wanted {place} {message} | {help}\n   got    {said}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), BAD.len(), wrong.join("\n"));
}

/// Nine levels of nine aliases each are 400 million values.
#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut text =
        String::from("images:\n  approved:\n    owners:\n      - &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("      - &a{level} [{aliases}]\n"));
    }
    assert!(parse(&text).is_err());
    let deep = format!("images: {}", "[".repeat(100_000));
    assert!(parse(&deep).is_err());
    let wide = format!("images: {{approved: {{owners: [{}]}}}}", "a, ".repeat(300_000));
    assert!(parse(&wide).unwrap_err().to_string().contains("than a policy may have"));
}

/// A column is what an editor shows, not a count of bytes.
#[test]
fn columns_count_characters() {
    let said =
        parse("images: {approved: {gcp_projects: [\u{e4}\u{f6}\u{1f980}], owners: [me]}}").unwrap_err();
    assert!(said.to_string().starts_with("policy.yaml:1:51: "), "{said}");
}

/// Looking each of them up in the text once took minutes.
#[test]
fn a_file_of_mistakes_only_is_told_in_part() {
    let text = format!("images: {{approved: {{owners: [{}]}}}}", "a, ".repeat(150_000));
    assert_eq!(parse(&text).unwrap_err().lines().len(), 25);
}
