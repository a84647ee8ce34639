//! Alerts as the detections make them, for tests of the renderings.

mod hostile;

pub use hostile::{HOSTILE, bare, hostile};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::activity::{
    Action, Activity, Actor, ActorKind, ApiCall, CheckFailure, Cloud, Derivation, DerivationKind, GuardRail,
    GuardRailChange, ImageRef, Instance, Launch, LaunchOutcome, Origin, Push, Scan, SelfCheck, Share,
};
use crate::alert::{Alert, Finding, NotInspected};
use crate::detection::{Detection, Match, NextStep, Reason, Stage, Subject, Verdict};
use crate::severity::Severity;

const fn detection(id: &'static str, title: &'static str, severity: Severity, approval: bool) -> Detection {
    Detection {
        id,
        title,
        severity,
        score: 50,
        source: "DET0248 AN0692",
        approval,
        stage: Stage::Event,
        judge: |_, _| Verdict::NotApplicable("only for tests of renderings".into()),
    }
}

pub static NOT_APPROVED: Detection = detection(
    "machine-image-not-approved",
    "Instance launched from an image that is not approved",
    Severity::High,
    true,
);
pub static LAUNDERED: Detection =
    detection("machine-image-laundered", "Image made from a foreign image", Severity::High, false);
pub static DENIED: Detection =
    detection("launch-attempt-denied", "Launch attempt denied", Severity::Low, false);
pub static OUTSIDE_HOURS: Detection = detection(
    "ecr-push-outside-hours",
    "Container image pushed outside working hours",
    Severity::Medium,
    false,
);
pub static UNKNOWN_USER: Detection = detection(
    "ecr-push-unknown-user",
    "Container image pushed by somebody who is not a known pusher",
    Severity::Medium,
    false,
);
pub static SCAN_CRITICAL: Detection = detection(
    "ecr-scan-critical",
    "Scan found critical weaknesses in a container image",
    Severity::Critical,
    false,
);
pub static GUARD_RAIL: Detection =
    detection("guard-rail-lowered", "A setting that keeps bad images out was lowered", Severity::High, false);

pub const DIGEST: &str = "sha256:98c8b060c21d9adbb6b8c41b916e95e6307102786973ab93a41e8b86d1fc6d3e";

pub fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

pub fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub fn finding(detection: &'static Detection, subject: &Subject, summary: &str, evidence: Value) -> Finding {
    Finding {
        detection,
        severity: detection.severity,
        score: detection.score,
        matched: Match {
            subject: subject.clone(),
            severity: None,
            summary: summary.to_owned(),
            evidence: map(evidence),
            next_steps: Vec::new(),
            not_inspected: Vec::new(),
        },
    }
}

pub fn step(text: &str, command: &str) -> NextStep {
    NextStep::new(text, (!command.is_empty()).then(|| command.to_owned()))
}

pub fn alert(activity: Activity, subject: Subject, findings: Vec<Finding>) -> Alert {
    let window_start = activity.time.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    Alert {
        activity: Arc::new(activity),
        subject,
        findings,
        not_inspected: Vec::new(),
        below_floor: false,
        window_start,
        policy_note: None,
        may_repeat: false,
        update: false,
        news: Vec::new(),
        storm: None,
    }
}

pub fn call(service: &str, operation: &str) -> ApiCall {
    ApiCall {
        service: format!("{service}.amazonaws.com"),
        operation: operation.to_owned(),
        error_code: None,
        error_message: None,
        request_id: Some("cf044b7d-5f9d-11e9-9b2a-95983139cc57".to_owned()),
        source_ip: Some("203.0.113.24".to_owned()),
        user_agent: Some("aws-cli/2.17.0 md/awscrt#0.20.11 ua/2.0 os/linux#6.1".to_owned()),
    }
}

/// A person under IAM Identity Center.
pub fn alice() -> Actor {
    Actor {
        kind: ActorKind::SsoUser,
        principal: "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/\
                    AWSReservedSSO_Developer_0123456789abcdef"
            .to_owned(),
        name: "alice@example.com".to_owned(),
        account: Some("123456789012".to_owned()),
        session: Some("alice@example.com".to_owned()),
        source_identity: None,
        invoked_by: None,
        access_key_id: Some("ASIAIOSFODNN7EXAMPLE".to_owned()),
        mfa: Some(true),
    }
}

pub fn activity(action: Action, actor: Option<Actor>, api: Option<ApiCall>) -> Activity {
    Activity {
        id: "2bfd4ee2-2178-4a82-a27d-b12939923f0f".to_owned(),
        time: time("2026-03-04T10:11:12Z"),
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: "123456789012".to_owned(),
        region: "eu-central-1".to_owned(),
        cloud: Cloud::Aws,
        actor,
        api,
        action,
    }
}

pub fn launch(image: &str, instances: usize) -> Launch {
    Launch {
        outcome: LaunchOutcome::Succeeded,
        image: ImageRef::Id(image.to_owned()),
        instances: (0..instances)
            .map(|number| Instance {
                id: format!("i-0dbc91f429e4{number:05x}"),
                private_ip: Some("10.0.3.17".to_owned()),
                ..Instance::default()
            })
            .collect(),
        count: instances as u32,
        instance_type: Some("p4d.24xlarge".to_owned()),
        ..Launch::default()
    }
}

/// Two instances from a stranger's image, by a person; what user data does could not be read.
pub fn not_approved() -> Alert {
    let image = "ami-029eb80bc237bec6f";
    let subject = Subject::MachineImage { image: image.to_owned(), principal: alice().principal };
    let mut found = finding(
        &NOT_APPROVED,
        &subject,
        "2 instances were launched from ami-029eb80bc237bec6f, owned by account 210987654321, which \
         images.approved.owners does not list.",
        json!({
            "image_id": image,
            "image_name": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20230516 free at miner.evil.com",
            "image_owner": "210987654321",
            "image_owner_alias": null,
            "image_created": "2026-03-03T22:14:05.000Z",
            "image_public": true,
            "instances": ["i-0dbc91f429e400000", "i-0dbc91f429e400001"],
            "tags": [{"key": "Name", "value": "build"}, {"key": "team", "value": "data"}],
        }),
    );
    found.matched.next_steps = vec![
        step(
            "Stop the instances unless somebody vouches for the image; stopping keeps the disks for a look.",
            "aws ec2 stop-instances --region eu-central-1 --instance-ids i-0dbc91f429e400000 i-0dbc91f429e400001",
        ),
        step(
            "See what the image says of itself and who made it.",
            "aws ec2 describe-images --region eu-central-1 --include-deprecated --image-ids ami-029eb80bc237bec6f",
        ),
        step("Ask alice@example.com whether the launch was meant.", ""),
    ];
    let mut alert = alert(
        activity(Action::ImageLaunched(launch(image, 2)), Some(alice()), Some(call("ec2", "RunInstances"))),
        subject,
        vec![found],
    );
    alert.not_inspected = vec![NotInspected {
        detection: "machine-image-laundered",
        reason: Reason::new(
            "ancestry-lookup-denied",
            "The image's ancestry was not looked at: ec2:GetImageAncestry was denied.",
        ),
    }];
    alert
}

/// A CI role pushes on a Saturday night, and is no known pusher either.
pub fn push() -> Alert {
    let principal = "arn:aws:iam::123456789012:role/ci/deploy";
    let subject = Subject::Push { repository: "team/app".to_owned(), principal: principal.to_owned() };
    let actor = Actor {
        kind: ActorKind::AssumedRole,
        principal: principal.to_owned(),
        name: "deploy".to_owned(),
        session: Some("GitHubActions".to_owned()),
        mfa: Some(false),
        ..alice()
    };
    let push = Push {
        repository: "team/app".to_owned(),
        registry: "123456789012".to_owned(),
        tag: Some("latest".to_owned()),
        digest: Some(DIGEST.to_owned()),
        ..Push::default()
    };
    let mut outside = finding(
        &OUTSIDE_HOURS,
        &subject,
        "team/app:latest was pushed on Saturday 2026-03-07 at 03:12 (Europe/Berlin), outside mon-fri 08:00-20:00.",
        json!({"local_time": "Sat 2026-03-07 03:12 CET", "hours": "08:00-20:00", "zone": "Europe/Berlin", "tag": "latest"}),
    );
    outside.matched.next_steps = vec![step(
        "See what was pushed.",
        "aws ecr describe-images --region eu-central-1 --registry-id 123456789012 --repository-name team/app \
         --image-ids imageDigest=sha256:98c8b060c21d9adbb6b8c41b916e95e6307102786973ab93a41e8b86d1fc6d3e",
    )];
    let unknown = finding(
        &UNKNOWN_USER,
        &subject,
        "arn:aws:iam::123456789012:role/ci/deploy is in no entry of uploads.pushers for team/app.",
        json!({"principal": principal, "session": "GitHubActions"}),
    );
    let mut activity = activity(Action::ImagePushed(push), Some(actor), Some(call("ecr", "PutImage")));
    activity.time = time("2026-03-07T02:12:40Z");
    alert(activity, subject, vec![outside, unknown])
}

/// A foreign image copied from another region.
pub fn laundered() -> Alert {
    let image = "ami-0aaaaaaaaaaaaaaa1";
    let subject = Subject::MachineImage { image: image.to_owned(), principal: alice().principal };
    let derivation = Derivation {
        kind: DerivationKind::Copied,
        image: Some(image.to_owned()),
        name: Some("golden-2026".to_owned()),
        origins: vec![Origin::Image {
            id: "ami-029eb80bc237bec6f".to_owned(),
            region: "us-east-1".to_owned(),
        }],
    };
    let found = finding(
        &LAUNDERED,
        &subject,
        "ami-0aaaaaaaaaaaaaaa1 is a copy of ami-029eb80bc237bec6f, owned by account 210987654321.",
        json!({"ancestor": "ami-029eb80bc237bec6f", "ancestor_owner": "210987654321"}),
    );
    alert(
        activity(Action::ImageDerived(derivation), Some(alice()), Some(call("ec2", "CopyImage"))),
        subject,
        vec![found],
    )
}

/// An image made public.
pub fn shared() -> Alert {
    let image = "ami-0aaaaaaaaaaaaaaa1";
    let subject = Subject::GuardRail { setting: "launch-permission".to_owned(), target: image.to_owned() };
    let share = Share {
        image: image.to_owned(),
        added: vec!["all".to_owned(), "210987654321".to_owned()],
        removed: Vec::new(),
    };
    let found =
        finding(&GUARD_RAIL, &subject, "ami-0aaaaaaaaaaaaaaa1 was made public.", json!({"added": ["all"]}));
    alert(
        activity(Action::ImageShared(share), Some(alice()), Some(call("ec2", "ModifyImageAttribute"))),
        subject,
        vec![found],
    )
}

/// A scan's counts; nobody is to blame for them.
pub fn scan() -> Alert {
    let subject = Subject::Scan { repository: "team/app".to_owned(), digest: DIGEST.to_owned() };
    let scan = Scan {
        repository: "team/app".to_owned(),
        registry: "123456789012".to_owned(),
        digest: DIGEST.to_owned(),
        tags: vec!["1.4".to_owned()],
        counts: [("CRITICAL", 2), ("HIGH", 11), ("MEDIUM", 40)]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        ..Scan::default()
    };
    let found = finding(
        &SCAN_CRITICAL,
        &subject,
        "team/app:1.4 has 2 critical findings, the worst CVE-2026-1234 in openssl 3.0.11 (fixed in 3.0.13).",
        json!({
            "findings": [
                {"name": "CVE-2026-1234", "package": "openssl", "version": "3.0.11", "fixed_in": "3.0.13"},
                {"name": "CVE-2026-0042", "package": "zlib", "version": "1.2.13", "fixed_in": null},
            ],
            "counts": {"CRITICAL": 2, "HIGH": 11, "MEDIUM": 40},
        }),
    );
    alert(activity(Action::ImageScanned(scan), None, None), subject, vec![found])
}

/// A follow-up in a thread: a second call against a guard rail.
pub fn guard_rail() -> Alert {
    let subject =
        Subject::GuardRail { setting: "allowed-images".to_owned(), target: "123456789012".to_owned() };
    let change = GuardRail {
        change: GuardRailChange::AllowedImagesDisabled,
        target: "123456789012".to_owned(),
        failed: None,
    };
    let root = Actor {
        kind: ActorKind::Root,
        principal: "arn:aws-cn:iam::123456789012:root".to_owned(),
        name: "root".to_owned(),
        session: None,
        mfa: Some(false),
        ..alice()
    };
    let found = finding(
        &GUARD_RAIL,
        &subject,
        "Allowed AMIs was switched off for account 123456789012.",
        json!({"state": "disabled"}),
    );
    let mut activity = activity(
        Action::GuardRailChanged(change),
        Some(root),
        Some(call("ec2", "DisableAllowedImagesSettings")),
    );
    activity.region = "cn-north-1".to_owned();
    let mut alert = alert(activity, subject, vec![found]);
    alert.update = true;
    alert
}

/// A failed launch under the floor, judged by the bundled policy.
pub fn denied() -> Alert {
    let subject = Subject::MachineImage {
        image: "ami-0badbadbadbadbad0".to_owned(),
        principal: "arn:aws:iam::123456789012:user/bob".to_owned(),
    };
    let actor = Actor {
        kind: ActorKind::IamUser,
        principal: "arn:aws:iam::123456789012:user/bob".to_owned(),
        name: "bob".to_owned(),
        session: None,
        mfa: Some(false),
        access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
        ..alice()
    };
    let launch = Launch {
        outcome: LaunchOutcome::Attempted("VcpuLimitExceeded".to_owned()),
        count: 40,
        instances: Vec::new(),
        ..launch("ami-0badbadbadbadbad0", 0)
    };
    let mut call = call("ec2", "RunInstances");
    call.error_code = Some("Client.VcpuLimitExceeded".to_owned());
    call.error_message = Some("You have requested more vCPU capacity than your current limit.".to_owned());
    let found = finding(
        &DENIED,
        &subject,
        "A launch of 40 instances was refused: VcpuLimitExceeded.",
        json!({"error": "VcpuLimitExceeded"}),
    );
    let mut alert =
        alert(activity(Action::ImageLaunched(launch), Some(actor), Some(call)), subject, vec![found]);
    alert.below_floor = true;
    alert.policy_note = Some("policy not loaded: s3://config/policy.yaml answered AccessDenied; the bundled policy judged instead.".to_owned());
    alert
}

/// An approval check that cannot see.
pub fn blind() -> Alert {
    let subject = Subject::Unchecked {
        image: "ami-029eb80bc237bec6f".to_owned(),
        principal: "arn:aws:iam::123456789012:role/ci/deploy".to_owned(),
    };
    let reason = Reason::new("image-lookup-denied", "ec2:DescribeImages was denied in this account.");
    let mut found = finding(
        &NOT_APPROVED,
        &subject,
        "Could not check whether the image is approved: ec2:DescribeImages was denied in this account.",
        json!({"cannot_tell": reason.text}),
    );
    found.severity = Severity::Medium;
    found.matched.next_steps = vec![step("Give the function's role ec2:DescribeImages.", "")];
    let mut alert = alert(
        activity(
            Action::ImageLaunched(launch("ami-029eb80bc237bec6f", 1)),
            Some(alice()),
            Some(call("ec2", "RunInstances")),
        ),
        subject,
        vec![found],
    );
    alert.not_inspected = vec![NotInspected { detection: NOT_APPROVED.id, reason }];
    alert
}

/// What the self-check found, as [`crate::alert::alerts`] has it.
pub fn self_check() -> Alert {
    let failure = CheckFailure {
        code: "trail-missing".to_owned(),
        severity: Severity::High,
        text: "No CloudTrail trail covers this region.".to_owned(),
        remedy: "Have a trail log management events in this region.".to_owned(),
        command: Some("aws cloudtrail describe-trails".to_owned()),
    };
    let reason = Reason::new(&failure.code, &failure.text);
    let subject = Subject::Blind { detection: NOT_APPROVED.id.to_owned(), code: failure.code.clone() };
    let mut found = finding(&NOT_APPROVED, &subject, &failure.text, json!({"failure": failure.text}));
    found.severity = failure.severity;
    found.matched.next_steps = vec![NextStep::new(&failure.remedy, failure.command.clone())];
    let action = Action::SelfChecked(SelfCheck { failures: vec![failure] });
    let activity = Activity { id: "self-check/2026-03-03".to_owned(), ..activity(action, None, None) };
    let mut alert = alert(activity, subject, vec![found]);
    alert.not_inspected = vec![NotInspected { detection: NOT_APPROVED.id, reason }];
    alert
}

/// One of each.
pub fn all() -> Vec<(&'static str, Alert)> {
    vec![
        ("not_approved", not_approved()),
        ("push", push()),
        ("laundered", laundered()),
        ("shared", shared()),
        ("scan", scan()),
        ("guard_rail", guard_rail()),
        ("denied", denied()),
        ("blind", blind()),
        ("self_check", self_check()),
        ("hostile", hostile()),
        ("bare", bare()),
    ]
}
