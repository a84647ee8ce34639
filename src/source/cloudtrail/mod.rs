//! CloudTrail records: API calls of EC2, ECR, ECS and of others that run images.

mod ec2;
mod ecr;
mod ecs;
mod guard;
mod identity;
mod image;
mod instance;
mod manifest;
mod template;
mod workloads;

pub(super) use ecr::stored_image;

use std::sync::LazyLock;

use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{account, any, get, str, text, text_at};
use crate::activity::{Action, Activity, Actor, ApiCall};

/// Whether this is a CloudTrail record, also one that lost a field.
pub(super) fn is_record(value: &Value) -> bool {
    any(value, &["eventName", "eventSource", "eventVersion", "userIdentity", "eventID"]).is_some()
}

/// Whether this is a CloudTrail record and lost nothing that tells it from everything else.
pub(super) fn is_plain(value: &Value) -> bool {
    let is = |key: &str, test: fn(&Value) -> bool| value.get(key).is_some_and(test);
    is("eventVersion", Value::is_string)
        && is("userIdentity", Value::is_object)
        && is("eventName", Value::is_string)
        && is("eventSource", |source| source.as_str().is_some_and(|host| host.ends_with(".amazonaws.com")))
}

/// One record, and what it says however it was written.
struct Record<'a> {
    raw: &'a Value,
    envelope: &'a Envelope<'a>,
    /// `RunInstances`
    operation: &'a str,
    /// The parameters, out of their `<Api>Request` wrapper; `None` where null or left out for size.
    request: Option<&'a Value>,
    /// The same of the response.
    response: Option<&'a Value>,
    /// Error code without its `Client.` or `Server.` prefix; `None` where the call succeeded.
    error: Option<String>,
    account: String,
    region: String,
}

/// The services whose calls are read.
#[derive(Clone, Copy)]
enum Service {
    Ec2,
    AutoScaling,
    Ecr,
    EcrPublic,
    Ecs,
    Lambda,
    Batch,
    SageMaker,
}

/// Whether a record of this `eventName` may come to an activity. Readers of archives ask it of each record
/// before they parse it: it is quick, and never says no to a call that is read.
pub fn may_be_judged(operation: &[u8]) -> bool {
    static BY_LENGTH: LazyLock<Vec<Vec<&[u8]>>> = LazyLock::new(|| {
        let operations = ec2::OPERATIONS
            .iter()
            .chain(&ecr::OPERATIONS)
            .chain(&ecs::OPERATIONS)
            .chain(&workloads::LAMBDA)
            .chain(&workloads::SAGEMAKER)
            .chain([&workloads::BATCH, &LAUNCH_CONFIGURATION]);
        let mut by_length: Vec<Vec<&[u8]>> = Vec::new();
        for operation in operations {
            if by_length.len() <= operation.len() {
                by_length.resize(operation.len().saturating_add(1), Vec::new());
            }
            if let Some(names) = by_length.get_mut(operation.len()) {
                names.push(operation.as_bytes());
            }
        }
        by_length
    });
    let is = |name: &&[u8]| name.first() == operation.first() && *name == operation;
    BY_LENGTH.get(operation.len()).is_some_and(|names| names.iter().any(is))
}

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    let Some(operation) = str(value, "eventName") else {
        // Insights tell of unusual numbers of calls, and aggregated events of how many there were: both name the call
        // elsewhere, and nothing of what it asked for.
        let category = str(value, "eventCategory").unwrap_or_default();
        let insight = get(value, "insightDetails").is_some() || get(value, "aggregationDetails").is_some();
        if insight || ["Insight", "Aggregated"].contains(&category) {
            return Reading::ignored();
        }
        return Reading::unreadable(&envelope.place, "CloudTrail record without eventName");
    };
    let service = match str(value, "eventSource") {
        Some(source) => match source.split('.').next() {
            Some("ec2") => Service::Ec2,
            Some("ecr") => Service::Ecr,
            Some("ecr-public") => Service::EcrPublic,
            Some("autoscaling") => Service::AutoScaling,
            Some("ecs") => Service::Ecs,
            Some("lambda") => Service::Lambda,
            Some("batch") => Service::Batch,
            Some("sagemaker") => Service::SageMaker,
            _ => return Reading::ignored(),
        },
        None => owner(operation),
    };
    let record = Record::new(value, envelope, operation);
    let activities = match service {
        Service::Ec2 => ec2::read(&record),
        Service::AutoScaling if operation == LAUNCH_CONFIGURATION => template::launch_configuration(&record),
        Service::AutoScaling => Vec::new(),
        Service::Ecr => ecr::read(&record, false),
        Service::EcrPublic => ecr::read(&record, true),
        Service::Ecs => ecs::read(&record),
        Service::Lambda => workloads::lambda(&record),
        Service::Batch => workloads::batch(&record),
        Service::SageMaker => workloads::sagemaker(&record),
    };
    let named = account(value, "recipientAccountId");
    match envelope.disagreement(named.as_deref(), str(value, "awsRegion")) {
        Some(reason) if !activities.is_empty() => Reading::unreadable(&envelope.place, reason),
        _ => Reading::of(activities),
    }
}

const LAUNCH_CONFIGURATION: &str = "CreateLaunchConfiguration";

/// The service of a record that lost its `eventSource`. What is left must not pass for nothing, and of
/// the calls that are read each exists in just one of these services.
fn owner(operation: &str) -> Service {
    match operation {
        LAUNCH_CONFIGURATION => Service::AutoScaling,
        workloads::BATCH => Service::Batch,
        _ if ecr::OPERATIONS.contains(&operation) => Service::Ecr,
        _ if ecs::OPERATIONS.contains(&operation) => Service::Ecs,
        _ if workloads::LAMBDA.contains(&operation) => Service::Lambda,
        _ if workloads::SAGEMAKER.contains(&operation) => Service::SageMaker,
        _ => Service::Ec2,
    }
}

impl<'a> Record<'a> {
    fn new(raw: &'a Value, envelope: &'a Envelope<'a>, operation: &'a str) -> Self {
        let body = |key: &str, suffix: &str| {
            let body = get(raw, key).filter(|body| body.is_object() && get(body, "omitted").is_none())?;
            Some(get(body, &format!("{operation}{suffix}")).filter(|inner| inner.is_object()).unwrap_or(body))
        };
        let account = account(raw, "recipientAccountId")
            .or_else(|| envelope.account.clone())
            .or_else(|| account(get(raw, "userIdentity")?, "accountId"));
        Self {
            raw,
            envelope,
            operation,
            request: body("requestParameters", "Request"),
            response: body("responseElements", "Response"),
            error: error(raw),
            account: envelope.account(account),
            region: envelope.region(text(raw, "awsRegion")),
        }
    }

    fn activity(&self, actor: Option<Actor>, action: Action) -> Activity {
        let own = Own {
            // Told in two accounts, it is one event.
            id: text(self.raw, "sharedEventID").or_else(|| text(self.raw, "eventID")),
            time: str(self.raw, "eventTime").and_then(|time| self.envelope.time_of(time)),
            account: Some(self.account.clone()),
            region: Some(self.region.clone()),
        };
        let shared = get(self.raw, "sharedEventID").is_some();
        let activity = self.envelope.activity(self.raw, own, actor, Some(self.api()), action);
        Activity { shared, ..activity }
    }

    /// An activity of whoever made the call.
    fn by_caller(&self, action: Action) -> Activity {
        self.activity(self.caller(), action)
    }

    fn caller(&self) -> Option<Actor> {
        identity::actor(get(self.raw, "userIdentity")?, &self.account, &self.region)
    }

    fn api(&self) -> ApiCall {
        ApiCall {
            service: text(self.raw, "eventSource").unwrap_or_default(),
            operation: self.operation.to_owned(),
            error_code: text(self.raw, "errorCode").or_else(|| self.error.clone()),
            error_message: text(self.raw, "errorMessage"),
            request_id: text(self.raw, "requestID"),
            source_ip: text(self.raw, "sourceIPAddress"),
            user_agent: text(self.raw, "userAgent"),
        }
    }

    /// A request parameter as text.
    fn asked(&self, path: &[&str]) -> Option<String> {
        text_at(self.request?, path)
    }

    /// A response element as text.
    fn answered(&self, path: &[&str]) -> Option<String> {
        text_at(self.response?, path)
    }

    /// Whether it was asked to change nothing.
    fn dry_run(&self) -> bool {
        self.error.as_deref().is_some_and(|code| code.starts_with("DryRun"))
            || self.request.is_some_and(|request| super::fields::flag(request, "dryRun") == Some(true))
    }
}

/// The error code, bare. A message without a code is an error too.
fn error(record: &Value) -> Option<String> {
    let Some(code) = text(record, "errorCode") else {
        return text(record, "errorMessage").map(|_| "UnknownError".to_owned());
    };
    let bare = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(&code);
    Some(bare.to_owned())
}

#[cfg(test)]
mod tests;
