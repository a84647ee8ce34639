//! Alerts about events that say too much, or too little.

use serde_json::json;

use super::{NOT_APPROVED, activity, alert, finding, launch, step};
use crate::activity::{Action, Actor, ActorKind, ApiCall, Launch};
use crate::alert::{Alert, NotInspected};
use crate::detection::{Reason, Subject};

/// What an attacker would like to be shown: mentions, links, escapes, overrides, and a very long name.
pub const HOSTILE: &str = "<!channel> @here \u{1b}[31mred\u{1b}[0m\u{9b}2J \u{202e}gpj.exe\u{200b}\u{0}\r\n\
    Subject: forged\n`code` *bold* [click](https://evil.example/x?a=b&c) http://user@198.51.100.7/x \
    evil.example.com & <https://evil.example|AWS console> xn--e1awd7f.com https\u{3a}//EVIL.COM";

/// Every field an attacker can reach holds [`HOSTILE`].
pub fn hostile() -> Alert {
    let text = || HOSTILE.to_owned();
    let actor = Actor {
        kind: ActorKind::AssumedRole,
        principal: text(),
        name: text(),
        account: Some(text()),
        session: Some(text()),
        source_identity: Some(text()),
        invoked_by: Some(text()),
        access_key_id: Some(text()),
        mfa: None,
    };
    let call = ApiCall {
        service: text(),
        operation: text(),
        error_code: Some(text()),
        error_message: Some(text()),
        request_id: Some(text()),
        source_ip: Some(text()),
        user_agent: Some(text()),
    };
    let mut launch = launch(HOSTILE, 2);
    launch.instance_type = Some(text());
    for instance in &mut launch.instances {
        instance.id = text();
        instance.private_ip = Some(text());
    }
    let subject = Subject::MachineImage { image: text(), principal: text() };
    let mut found = finding(
        &NOT_APPROVED,
        &subject,
        &format!("Launched from {HOSTILE}."),
        json!({
            "name": HOSTILE,
            HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}],
            "long": "A".repeat(1_000_000),
            "password": "correct horse battery staple",
        }),
    );
    found.matched.next_steps = vec![step(&format!("Ask {HOSTILE}."), "aws ec2 describe-instances")];
    let mut activity = activity(Action::ImageLaunched(launch), Some(actor), Some(call));
    (activity.id, activity.account, activity.region) = (text(), text(), text());
    let mut alert = alert(activity, subject, vec![found]);
    alert.not_inspected = vec![NotInspected { detection: "x", reason: Reason::new(HOSTILE, HOSTILE) }];
    alert.policy_note = Some(text());
    alert
}

/// An event that says next to nothing.
pub fn bare() -> Alert {
    let subject = Subject::MachineImage { image: String::new(), principal: "unknown".to_owned() };
    let found = finding(&NOT_APPROVED, &subject, "", json!({}));
    let mut activity = activity(Action::ImageLaunched(Launch::default()), None, None);
    (activity.id, activity.account, activity.region) = Default::default();
    activity.time_is_arrival = true;
    alert(activity, subject, vec![found])
}
