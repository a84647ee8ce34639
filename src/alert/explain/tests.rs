use std::sync::Arc;

use super::*;
use crate::alert::testing;
use crate::detection::Reason;
use crate::lookup::{Cause, Missing};

fn judgement() -> Judgement {
    let alert = testing::not_approved();
    let matched = alert.findings[0].matched.clone();
    Judgement {
        activity: alert.activity,
        verdicts: vec![
            (&testing::NOT_APPROVED, Verdict::matched(matched)),
            (
                &testing::LAUNDERED,
                Verdict::CannotTell(Reason::new(
                    "ancestry-lookup-denied",
                    "ec2:GetImageAncestry was denied.",
                )),
            ),
            (&testing::DENIED, Verdict::Pass("the launch succeeded".into())),
            (&testing::OUTSIDE_HOURS, Verdict::NotApplicable("not a push".into())),
        ],
        unavailable: vec![
            FailedLookup { api: "ec2:GetImageAncestry", missing: Missing::new(Cause::Denied, "denied") },
            FailedLookup { api: "ec2:GetImageAncestry", missing: Missing::new(Cause::Denied, "denied") },
        ],
    }
}

#[test]
fn every_detection_has_a_row_with_its_reason() {
    let expected = "\
ImageLaunched  Wed 2026-03-04 10:11:12 UTC
what   launched 2 instances of type p4d.24xlarge from ami-029eb80bc237bec6f: i-0dbc91f429e400000,
       i-0dbc91f429e400001
who    alice@example.com (IAM Identity Center),
       arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/
       AWSReservedSSO_Developer_0123456789abcdef
where  account 123456789012, region eu-central-1
event  2bfd4ee2-2178-4a82-a27d-b12939923f0f

DETECTION                   VERDICT         REASON
machine-image-not-approved  MATCH           2 instances were launched from ami-029eb80bc237bec6f,
                                            owned by account 210987654321, which
                                            images.approved.owners does not list.
machine-image-laundered     CANNOT TELL     ec2:GetImageAncestry was denied.
                                            [ancestry-lookup-denied]
launch-attempt-denied       pass            the launch succeeded
ecr-push-outside-hours      not applicable  not a push

look-up failed: ec2:GetImageAncestry: denied
";
    assert_eq!(explain(&judgement(), 100, false), expected);
}

#[test]
fn narrow_terminals_get_reasons_below() {
    for width in [0, 60, 61, 80, 200] {
        let text = explain(&judgement(), width, false);
        for line in text.lines() {
            assert!(line.chars().count() <= width.max(NARROWEST), "{width}: {line}");
        }
        for id in ["machine-image-not-approved", "machine-image-laundered", "ecr-push-outside-hours"] {
            assert!(text.lines().any(|line| line.starts_with(id)), "{text}");
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = explain(&judgement(), 100, true);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), explain(&judgement(), 100, false));
}

#[test]
fn hostile_names_bring_in_no_escapes() {
    let mut judgement = judgement();
    judgement.activity = Arc::clone(&testing::hostile().activity);
    judgement.verdicts.push((&testing::GUARD_RAIL, Verdict::Pass(testing::HOSTILE.into())));
    let text = explain(&judgement, 90, false);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains("http"), "{text}");
}
