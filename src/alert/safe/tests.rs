use proptest::prelude::*;

use super::*;
use crate::alert::testing::HOSTILE;

#[test]
fn a_line_is_one_line_without_secrets_or_tricks() {
    assert_eq!(line("a\r\nSubject: b\u{202e}c\u{0}", 50), "a Subject: bc");
    assert_eq!(line("mysql://root:hunter2@db.internal/x", 99), "mysql://root:<redacted>@db.internal/x");
    assert_eq!(line(&"é".repeat(300), 10), format!("{}…", "é".repeat(9)));
}

#[test]
fn a_secret_at_the_cut_is_not_shown_in_part() {
    let text = format!("{} AKIAIOSFODNN7EXAMPLE", "x".repeat(85));
    assert!(!line(&text, 100).contains("AKIA"));
}

#[test]
fn half_a_host_is_no_host_either() {
    assert_eq!(told("see evil.example.com", 16), "see evil[.]exam…");
    assert!(!told("https://evil.example", 5).contains("http"));
}

#[test]
fn links_and_hosts_are_not_clickable() {
    for (text, defanged) in [
        ("see https://evil.example/a.b?c=d.e", "see hxxps://evil[.]example/a.b?c=d.e"),
        ("HTTP://198.51.100.7:8080/x", "hxxp://198[.]51[.]100[.]7:8080/x"),
        ("(www.evil.com)", "(www[.]evil[.]com)"),
        ("evil.com.", "evil[.]com."),
        ("user@evil.com/path", "user@evil[.]com/path"),
        ("http://aws.amazon.com@evil.com/", "hxxp://aws[.]amazon[.]com@evil[.]com/"),
        ("xn--e1awd7f.com", "xn--e1awd7f[.]com"),
        ("пример.рф", "пример[.]рф"),
        ("evil.s3.amazonaws.com", "evil[.]s3[.]amazonaws[.]com"),
        ("s3.amazonaws.com/evil/x", "s3[.]amazonaws[.]com/evil/x"),
        ("images.approved.evil.com", "images[.]approved[.]evil[.]com"),
        ("stratum+tcp://pool.example:3333", "stratum+tcp://pool[.]example:3333"),
    ] {
        assert_eq!(defang(text), defanged);
    }
}

#[test]
fn what_is_no_host_stays_readable() {
    for text in [
        "autoscaling.amazonaws.com",
        "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123",
        "alice@example.com",
        "al2023-ami-2023.1.20230705.0-kernel-6.1-x86_64",
        "203.0.113.24, with aws-cli/2.17.0",
        "InvalidAMIID.NotFound",
        "Client.UnauthorizedOperation",
        "images.approved.owners: [self, amazon]",
        "images.allowed_images_setting",
        "user_data.trusted.hosts",
        "notify.minimum_severity",
        "policy.yaml",
        "eu-central-1, 10:11:12.",
    ] {
        assert_eq!(defang(text), text);
    }
}

#[test]
fn chat_has_no_mentions_links_or_formatting() {
    assert_eq!(chat("<!channel> & <@U123>"), "&lt;!channel&gt; &amp; &lt;@U123&gt;");
    assert_eq!(chat("@here @Channel a@everyone"), "＠here ＠Channel a＠everyone");
    assert_eq!(chat("alice@example.com my_role"), "alice@example.com my_role");
    assert_eq!(chat("`x` *y* _z_ ~w~ [a](b)"), "'x' ∗y∗ ＿z＿ ∼w∼ [a] (b)");
}

#[test]
fn commands_can_be_pasted_as_they_are_shown() {
    let command = "aws ec2 describe-images --filters 'Name=name,Values=a b  c' --query \"Images[].[ImageId, Name]\" \
                   --image-ids ami-029eb80bc237bec6f --region eu-central-1";
    let lines = wrap_command(command, 60);
    assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= 62), "{lines:#?}");
    let pasted: String = lines.iter().map(|line| line.trim_start().trim_end_matches('\\')).collect();
    assert_eq!(pasted, command);
}

#[test]
fn arns_come_apart_between_their_parts() {
    let arn = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Developer_0123";
    assert_eq!(wrap(arn, 70).last().map(String::as_str), Some("AWSReservedSSO_Developer_0123"));
}

#[test]
fn hostile_text_cannot_reach_a_terminal() {
    assert!(line(HOSTILE, 5_000).chars().all(|c| !c.is_control() && c != '\u{202e}' && c != '\u{200b}'));
    assert!(verbatim(HOSTILE).chars().all(|c| c == '\n' || !c.is_control()));
}

proptest! {
    #[test]
    fn lines_keep_to_the_width_and_lose_nothing(text in "\\PC{0,300}", width in 8_usize..120) {
        let lines = wrap(&text, width);
        prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
        let squeezed = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
        prop_assert_eq!(squeezed(&lines.concat()), squeezed(&text));
    }

    #[test]
    fn any_text_is_cut_and_cleaned(text in ".*", max in 1_usize..200) {
        prop_assert!(line(&text, max).chars().count() <= max);
        prop_assert!(line(&text, max).chars().all(|c| !c.is_control()));
        prop_assert!(ascii(&text).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }

    #[test]
    fn no_web_link_survives(host in "[a-z0-9]{1,10}(\\.[a-z0-9]{1,10}){0,3}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
        let link = format!("{before}https://{host}.com{after}");
        for scheme in ["http://", "https://"] {
            prop_assert!(!defang(&link).to_lowercase().contains(scheme));
        }
        let name = format!("{}.com", host);
        prop_assert!(!defang(&link).contains(&name));
    }
}
