use super::*;
use crate::alert::testing;
use crate::policy::Policy;

#[test]
fn an_unapproved_image_can_be_acted_on_in_a_minute() {
    let text = text(&testing::not_approved());
    for expected in [
        "HIGH: Instance launched from an image that is not approved\n",
        "owned by account 210987654321",
        "What   launched 2 instances of type p4d.24xlarge from ami-029eb80bc237bec6f:\n",
        "Who    alice@example.com (IAM Identity Center)",
        "Where  account 123456789012, region eu-central-1\n",
        "When   Wed 2026-03-04 10:11:12 UTC\n",
        "From   203.0.113.24, with aws-cli/2.17.0",
        "\n  image owner    210987654321\n",
        "\n  tags           Name=build; team=data\n",
        "miner[.]evil[.]com",
        "== NOT LOOKED AT (do not take it for clean) ==\n-  The image's ancestry was not looked at",
        "(machine-image-laundered)",
        "1. Stop the instances",
        "\n      aws ec2 stop-instances --region eu-central-1 --instance-ids i-0dbc91f429e400000 \\\n        i-0dbc91f429e400001\n",
        "https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId=ami-029eb80bc237bec6f\n",
        "/cloudtrailv2/home?region=eu-central-1#/events/2bfd4ee2-2178-4a82-a27d-b12939923f0f\n",
        "ids: [ami-029eb80bc237bec6f]",
        "until: 2026-04-03",
        &testing::not_approved().thread_uid(),
        "T1204.003",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn follow_ups_blind_spots_and_lost_policies_say_what_they_are() {
    assert!(text(&testing::guard_rail()).starts_with("HIGH: Update: A setting"));
    assert!(text(&testing::denied()).contains("NOTE: policy not loaded: "));
    let blind = text(&testing::blind());
    assert!(blind.starts_with("MEDIUM: Could not tell whether an image is approved\n"), "{blind}");
    assert!(!blind.contains("NOT LOOKED AT"), "the summary says it already:\n{blind}");
    let itself = text(&testing::self_check());
    assert!(itself.starts_with("HIGH: Imagewarden cannot see, or cannot tell anybody\n"), "{itself}");
    for expected in
        ["Who    Imagewarden, about itself\n", "No CloudTrail trail", "aws cloudtrail describe-trails"]
    {
        assert!(itself.contains(expected), "{expected:?} is not in\n{itself}");
    }
    assert!(!itself.contains("NOT LOOKED AT"), "{itself}");
}

#[test]
fn links_lead_to_the_console_of_the_partition() {
    let china = text(&testing::guard_rail());
    assert!(china.contains("https://cn-north-1.console.amazonaws.cn/cloudtrailv2/"), "{china}");
    let mut alert = testing::not_approved();
    for (region, link) in [
        ("us-gov-west-1", Some("https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?")),
        ("us-iso-east-1", None),
        ("eu-central-1.evil.example", None),
        ("", None),
    ] {
        let mut activity = alert.activity.as_ref().clone();
        activity.region = region.to_owned();
        alert.activity = std::sync::Arc::new(activity);
        let text = text(&alert);
        match link {
            Some(link) => assert!(text.contains(link), "{text}"),
            None => assert!(!text.contains("https://"), "{text}"),
        }
    }
}

#[test]
fn no_line_is_too_long_but_links_commands_and_yaml() {
    for (name, alert) in testing::all() {
        for line in
            text(&alert).lines().filter(|line| !line.contains(": https://") && !line.starts_with("    "))
        {
            assert!(line.chars().count() <= WIDTH, "{name}: {line}");
        }
    }
}

#[test]
fn hostile_names_are_neither_links_nor_lines_nor_escapes() {
    let text = text(&testing::hostile());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!text.contains(['\u{202e}', '\u{200b}']));
    assert!(!text.lines().any(|line| line.trim_start().starts_with("Subject: forged\n")));
    assert!(!text.to_lowercase().contains("http"), "{text}");
    assert!(!text.to_lowercase().contains("evil.") && !text.contains("198.51"), "{text}");
    assert!(!text.contains("correct horse"), "a password in the evidence: {text}");
    assert!(text.len() < 20_000, "a megabyte of name made {} bytes", text.len());
    assert!(!text.contains("suppress:"), "no snippet from names that have no proper shape:\n{text}");
}

#[test]
fn a_hostile_id_gets_into_no_link_command_or_snippet() {
    let mut alert = testing::push();
    let mut activity = alert.activity.as_ref().clone();
    if let crate::activity::Action::ImagePushed(push) = &mut activity.action {
        push.repository = "x\"}, {detection: \"*\"".to_owned();
        push.registry = "../../evil".to_owned();
    }
    activity.id = "x?redirect=evil".to_owned();
    alert.activity = std::sync::Arc::new(activity);
    alert.subject = crate::detection::Subject::Push {
        repository: "x\"}, {detection: \"*\"".to_owned(),
        principal: "y".to_owned(),
    };
    let text = text(&alert);
    assert!(!text.contains("https://") && !text.contains("suppress:"), "{text}");
}

/// What is pasted into the policy must load, and must quieten what it was shown under.
#[test]
fn the_policy_lines_work() {
    for alert in [testing::not_approved(), testing::push(), testing::scan(), testing::denied()] {
        let snippets = quiet::snippets(&alert);
        assert!(!snippets.is_empty());
        for snippet in snippets {
            let yaml = snippet.yaml.join("\n");
            let policy: Policy =
                serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            if yaml.starts_with("suppress") {
                for finding in &alert.findings {
                    let id = finding.detection.id;
                    assert!(
                        policy.suppression(id, &finding.matched, &alert.activity).is_some(),
                        "{id}\n{yaml}"
                    );
                }
            } else {
                assert_eq!(policy.images.approved.ids, ["ami-029eb80bc237bec6f"]);
            }
        }
    }
}

#[test]
fn copies_and_shares_say_from_where_and_to_whom() {
    let copy = text(&testing::laundered());
    assert!(
        copy.contains(
            "What   copied ami-0aaaaaaaaaaaaaaa1 (named golden-2026) from ami-029eb80bc237bec6f in us-east-1"
        ),
        "{copy}"
    );
    let share = text(&testing::shared());
    assert!(
        share.contains("changed who may launch ami-0aaaaaaaaaaaaaaa1; added everyone (public), 210987654321"),
        "{share}"
    );
}

#[test]
fn many_instances_are_counted_not_listed() {
    let mut alert = testing::not_approved();
    let mut activity = alert.activity.as_ref().clone();
    activity.action = crate::activity::Action::ImageLaunched(testing::launch("ami-029eb80bc237bec6f", 1_200));
    alert.activity = std::sync::Arc::new(activity);
    let text = text(&alert);
    assert!(text.contains("launched 1,200 instances"), "{text}");
    assert!(text.contains("i-0dbc91f429e400004 and 1,195 more"), "{text}");
}

/// Host names are made unclickable everywhere but in what a person copies.
#[test]
fn lines_for_the_policy_can_be_copied_from_every_form() {
    let yaml = "containers: {registries: [\"docker.io/quickdata/importer\"]}";
    let mut alert = testing::not_approved();
    alert.findings[0].matched.summary = "docker.io/quickdata/importer is not approved.".to_owned();
    alert.findings[0].matched.next_steps =
        vec![crate::detection::NextStep::policy("List it in the policy.", Some(yaml.to_owned()))];
    let chat = crate::alert::chat::notification(&alert).to_string();
    let ocsf = crate::alert::ocsf::finding(&alert);
    let steps = ocsf.pointer("/remediation/desc").and_then(serde_json::Value::as_str).unwrap();
    let email = text(&alert);
    for (form, text) in [
        ("e-mail", email.as_str()),
        ("terminal", &crate::alert::terminal::text(&alert, false)),
        ("chat", &chat.replace("\\\"", "\"")),
        ("OCSF", steps),
    ] {
        assert!(text.contains(yaml), "{form}: {text}");
    }
    assert!(email.contains("docker[.]io/quickdata/importer is not approved"), "{email}");
    let line = email.lines().find(|line| line.contains(yaml)).unwrap();
    let policy: Policy = serde_saphyr::from_str(line.trim()).unwrap();
    assert_eq!(policy.containers.registries, ["docker.io/quickdata/importer"]);
}

/// Names are an attacker's: whatever breaks a line for somebody, and runs that wrap where he wants.
#[test]
fn what_an_attacker_writes_is_no_heading_however_it_is_broken() {
    let rule = "-".repeat(94);
    let breaks = [
        "\r",
        "\n",
        "\r\n",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{b}",
        "\u{c}",
        "\u{1c}",
        "\u{202e}",
        "\u{200f}",
        &" ".repeat(200),
        &"\u{a0}".repeat(200),
        &"\u{3000}".repeat(200),
        &format!(" {rule} "),
    ];
    let first = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with(' '));
        lines
            .filter(|line| line.contains("FORGED") || line.starts_with("== DO NEXT"))
            .map(str::to_owned)
            .collect()
    };
    for with in breaks {
        let forged = ["", "FORGED", "== DO NEXT ==", "1. FORGED", "FORGED"].join(with);
        let mut alert = testing::not_approved();
        let mut activity = alert.activity.as_ref().clone();
        (activity.id, activity.account, activity.region) = (forged.clone(), forged.clone(), forged.clone());
        activity.action = crate::activity::Action::ImageLaunched(testing::launch(&forged, 2));
        alert.activity = std::sync::Arc::new(activity);
        alert.subject =
            crate::detection::Subject::Unchecked { image: forged.clone(), principal: forged.clone() };
        alert.findings[0].matched.summary = format!("Launched from {forged}.");
        alert.findings[0].matched.evidence.insert(forged.clone(), serde_json::json!([forged, forged]));
        alert.not_inspected[0].reason.text = forged.clone();
        alert.policy_note = Some(forged.clone());
        let mail = text(&alert);
        let labels = ["Source event ", "NOTE: ", "What ", "Where ", "-  "];
        let lines: Vec<String> = first(&mail)
            .into_iter()
            .filter(|line| !labels.iter().any(|label| line.starts_with(label)))
            .collect();
        assert_eq!(lines, ["== DO NEXT =="], "{with:?}:\n{mail}");
        let terminal = crate::alert::terminal::text(&alert, false);
        assert_eq!(terminal.lines().filter(|line| !line.starts_with("  ")).count(), 1, "{terminal}");
    }
}
