use super::*;
use crate::alert::testing;

fn without_colour(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_scan_reads_well() {
    let expected = "\
CRITICAL: Scan found critical weaknesses in a container image
          team/app:1.4 has 2 critical findings, the worst CVE-2026-1234 in openssl 3.0.11 (fixed in
          3.0.13).
  what    scan of team/app:1.4 (sha256:98c8b060c21d): 2 critical, 11 high, 40 medium
  who     nobody is named by the event
  where   account 123456789012, region eu-central-1
  when    Wed 2026-03-04 10:11:12 UTC
  seen    ecr-scan-critical [critical, score 50]
            counts    CRITICAL 2, HIGH 11, MEDIUM 40
            findings  CVE-2026-1234, fixed in 3.0.13, package openssl, version 3.0.11
                      CVE-2026-0042, package zlib, version 1.2.13
";
    let text = text(&testing::scan(), false);
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn what_is_under_the_floor_is_marked() {
    assert!(text(&testing::denied(), false).contains("under the notification floor"));
    assert!(!text(&testing::push(), false).contains("floor"));
}

#[test]
fn colour_changes_nothing_but_colour() {
    for (name, alert) in testing::all() {
        let (plain, coloured) = (text(&alert, false), text(&alert, true));
        assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'), "{name}");
        let (plain, coloured) = (plain.lines().skip(1), without_colour(&coloured));
        assert!(plain.eq(coloured.lines().skip(1)), "{name}");
    }
}

#[test]
fn lines_fit_the_width() {
    for (name, alert) in testing::all() {
        for line in text(&alert, false).lines() {
            assert!(line.chars().count() <= WIDTH, "{name}: {line}");
        }
    }
}

#[test]
fn hostile_names_bring_in_no_escapes() {
    let coloured = text(&testing::hostile(), true);
    assert!(!coloured.contains("\u{1b}[31mred") && !coloured.contains('\u{9b}'));
    assert!(without_colour(&coloured).chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn a_text_message_is_one_short_line() {
    for (name, alert) in testing::all() {
        let sms = sms(&alert);
        assert!(sms.len() <= 140 && sms.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {sms}");
        assert!(!sms.contains("http"), "{name}: {sms}");
    }
    assert_eq!(
        sms(&testing::not_approved()),
        "HIGH Instance launched from an image that is not approved: ami-029eb80bc237bec6f. 123456789012 \
         eu-central-1 03-04 10:11 UTC"
    );
}
