//! The SNS message: one body for every protocol, attributes for filters, never larger than SNS takes.

use serde_json::{Map, Value};

use super::safe::{ascii, shown};
use super::{Alert, chat, email, ocsf, subject, terminal};
use crate::severity::Severity;

/// What SNS takes, all variants and attributes together.
pub const MAX_BYTES: usize = 262_144;

/// What `https` subscribers get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpsBody {
    /// The Amazon Q Developer custom notification, which drops anything else in silence.
    #[default]
    Chat,
    /// The OCSF finding.
    Ocsf,
}

/// One message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ASCII, less than 100 characters, the same for a whole thread.
    pub subject: String,
    pub body: String,
    /// Publish with `MessageStructure=json`: the body is an object of strings by protocol.
    pub structured: bool,
    pub attributes: Vec<Attribute>,
}

/// One message attribute. SNS takes no empty values, and there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: &'static str,
    /// `String`, `String.Array` (the value is a JSON list) or `Number`.
    pub data_type: &'static str,
    pub value: String,
}

impl Message {
    /// Bytes as SNS counts them, the subject on the safe side too.
    pub fn size(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|attribute| attribute.name.len() + attribute.data_type.len() + attribute.value.len())
            .sum();
        self.subject.len() + self.body.len() + attributes
    }
}

/// The message for the topic: `default` the OCSF finding, `email` text, `https` by choice, `sms` a line.
/// Evidence is cut step by step until everything fits; the alert itself is never dropped.
pub fn message(alert: &Alert, https: HttpsBody) -> Message {
    let full = email::text(alert);
    let chat = chat::notification(alert).to_string();
    let sms = terminal::sms(alert);
    let attributes = of_alert(alert);
    let subject = subject::subject(alert);
    let mut message = Message { subject, body: String::new(), structured: true, attributes };
    for (step, limits) in ocsf::Limits::STEPS.into_iter().enumerate() {
        let last = step + 1 == ocsf::Limits::STEPS.len();
        if !last && ocsf::weight(alert, limits) > MAX_BYTES {
            continue;
        }
        let finding = ocsf::finding_within(alert, limits).to_string();
        let mut body = Map::new();
        body.insert(
            "email".into(),
            if step < 3 { full.clone() } else { email::text_within(alert, email::Limits::TIGHT) }.into(),
        );
        body.insert(
            "https".into(),
            if https == HttpsBody::Chat { chat.clone() } else { finding.clone() }.into(),
        );
        body.insert("default".into(), finding.into());
        body.insert("sms".into(), sms.as_str().into());
        message.body = Value::Object(body).to_string();
        if message.size() <= MAX_BYTES {
            break;
        }
    }
    message
}

/// The message for a topic that only a chat service reads: the bare notification.
pub fn chat_message(alert: &Alert) -> Message {
    Message {
        subject: subject::subject(alert),
        body: chat::notification(alert).to_string(),
        structured: false,
        attributes: of_alert(alert),
    }
}

fn of_alert(alert: &Alert) -> Vec<Attribute> {
    let detections = alert.findings.iter().map(|finding| finding.detection.id).collect();
    attributes(alert.severity(), detections, &alert.activity.account, &alert.activity.region)
}

/// What subscribers filter by.
pub(super) fn attributes(
    severity: Severity,
    detections: Vec<&str>,
    account: &str,
    region: &str,
) -> Vec<Attribute> {
    let known = |text: &str| {
        let text = ascii(&shown(text, 64));
        if text.is_empty() { "unknown".to_owned() } else { text }
    };
    let attribute = |name, data_type, value| Attribute { name, data_type, value };
    vec![
        attribute("severity", "String", severity.name().to_owned()),
        attribute("severity_id", "Number", severity.id().to_string()),
        attribute("detection", "String.Array", Value::from(detections).to_string()),
        attribute("account", "String", known(account)),
        attribute("region", "String", known(region)),
    ]
}

#[cfg(test)]
mod tests;
