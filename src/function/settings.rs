//! The function's environment.

use std::collections::BTreeSet;

use super::policy::PolicySource;
use crate::alert::HttpsBody;
use crate::aws::{SetupError, arn_place, is_account};
use crate::lookup::aws::{LookupAccounts, LookupRole};
use crate::source::{Exporter, LogFormats, Trust};

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub topic: String,
    pub chat_topic: Option<String>,
    /// What https subscribers of the main topic get (`HTTPS_BODY`): `chat`, the default, or `ocsf`.
    pub https: HttpsBody,
    pub failure_queue: Option<String>,
    /// The role for look-ups in other accounts (`LOOKUP_ROLE_NAME`), and which these are (`LOOKUP_ACCOUNTS`).
    pub lookup_role: Option<LookupRole>,
    /// Where history is kept (`HISTORY_TABLE`): a DynamoDB table's name or ARN.
    pub history_table: Option<String>,
    /// The fields of VPC flow logs in a custom format (`FLOW_LOG_FORMAT`).
    pub flow_log_format: Option<String>,
    /// Which log group carries which format (`LOG_FORMATS`), and the container whose output is Tetragon's
    /// (`TETRAGON_EXPORTER`).
    pub trust: Trust,
    /// The bucket for what hunts find (`HUNT_RESULTS`); only the function that hunts has one.
    pub hunt_results: Option<String>,
    pub(super) policy: PolicySource,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("TOPIC_ARN is not set: name the SNS topic that alerts are published to")]
    NoTopic,
    #[error("{name} is `{value}`, which is not an SNS topic's ARN (arn:aws:sns:REGION:ACCOUNT:NAME)")]
    NotATopic { name: &'static str, value: String },
    #[error("LOOKUP_ROLE_NAME is `{0}`: give the role's name alone (with its path), not its ARN")]
    NotARole(String),
    #[error("LOOKUP_ACCOUNTS has `{0}`: give account ids of twelve digits, or the word organization")]
    NotAnAccount(String),
    #[error("FAILURE_QUEUE_URL is `{0}`, which is not an SQS queue's URL")]
    NotAQueue(String),
    #[error("HISTORY_TABLE is `{0}`, which is not a DynamoDB table's name or ARN")]
    NotATable(String),
    #[error("POLICY_URI is `{0}`: use file:PATH, ssm:NAME or s3://BUCKET/KEY")]
    NotAPolicy(String),
    #[error("HUNT_RESULTS is `{0}`, which is not an S3 bucket's name")]
    NotABucket(String),
    #[error(
        "LOG_FORMATS has `{0}`: write GROUP=FORMAT, separated by commas; a format is eks-audit, tetragon, flow-log, \
         resolver, auditd, sysmon, docker, cloudtrail or cloudtrail-organization"
    )]
    NotALogFormat(String),
    #[error(
        "TETRAGON_EXPORTER is `{0}`: write NAMESPACE/POD/CONTAINER, for example kube-system/tetragon*/export-stdout"
    )]
    NotAnExporter(String),
    #[error("HTTPS_BODY is `{0}`: use chat or ocsf")]
    NotABody(String),
    #[error(transparent)]
    Aws(#[from] SetupError),
}

impl Settings {
    /// Names of the deployment's own parts: its function and with it the stack's prefix, topics, table, policy.
    pub(super) fn own_names(&self, function: Option<String>) -> Vec<String> {
        let last = |arn: &str| arn.rsplit([':', '/']).next().unwrap_or(arn).to_owned();
        // SAM names the function `STACK-Function-...`, and everything else of the stack `STACK-...`.
        let stack = function.as_deref().and_then(|name| name.split_once("-Function-"));
        let stack = stack.map(|(stack, _)| stack.to_owned());
        let topics = std::iter::once(&self.topic).chain(&self.chat_topic).map(|arn| last(arn));
        let table = self.history_table.as_deref().map(last);
        let names = function.into_iter().chain(stack).chain(topics).chain(table);
        names.chain([self.policy.uri()]).filter(|name| !name.is_empty()).collect()
    }

    /// Reads them with the given function, which is `std::env::var` but in tests.
    ///
    /// # Errors
    /// When one is missing or has not the shape it must have.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let variable = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let topic = topic("TOPIC_ARN", variable("TOPIC_ARN").ok_or(SettingsError::NoTopic)?)?;
        let chat_topic =
            variable("CHAT_TOPIC_ARN").map(|arn| self::topic("CHAT_TOPIC_ARN", arn)).transpose()?;
        let https = match variable("HTTPS_BODY").as_deref() {
            None | Some("chat") => HttpsBody::Chat,
            Some("ocsf") => HttpsBody::Ocsf,
            Some(other) => return Err(SettingsError::NotABody(other.to_owned())),
        };
        let failure_queue = variable("FAILURE_QUEUE_URL");
        if let Some(url) = failure_queue.as_ref().filter(|url| !is_url(url)) {
            return Err(SettingsError::NotAQueue(url.clone()));
        }
        let lookup_role = variable("LOOKUP_ROLE_NAME").map(|role| role.trim_start_matches('/').to_owned());
        if let Some(role) = lookup_role.as_ref().filter(|role| !is_role(role)) {
            return Err(SettingsError::NotARole(role.clone()));
        }
        let accounts = lookup_accounts(variable("LOOKUP_ACCOUNTS").as_deref())?;
        let lookup_role = lookup_role.map(|name| LookupRole { name, accounts });
        let history_table = variable("HISTORY_TABLE");
        if let Some(table) = history_table.as_ref().filter(|table| !is_table(table)) {
            return Err(SettingsError::NotATable(table.clone()));
        }
        let policy = match variable("POLICY_URI") {
            None => PolicySource::Bundled,
            Some(uri) => PolicySource::of_uri(&uri).ok_or(SettingsError::NotAPolicy(uri))?,
        };
        let flow_log_format = variable("FLOW_LOG_FORMAT");
        let mut trust = Trust { live: true, ..Trust::default() };
        if let Some(formats) = variable("LOG_FORMATS") {
            trust.logs = LogFormats::parse(&formats).map_err(SettingsError::NotALogFormat)?;
        }
        if let Some(exporter) = variable("TETRAGON_EXPORTER") {
            trust.exporter = Exporter::parse(&exporter).ok_or(SettingsError::NotAnExporter(exporter))?;
        }
        let hunt_results = variable("HUNT_RESULTS");
        if let Some(bucket) = hunt_results.as_ref().filter(|bucket| !is_bucket(bucket)) {
            return Err(SettingsError::NotABucket(bucket.clone()));
        }
        Ok(Self {
            topic,
            chat_topic,
            https,
            failure_queue,
            lookup_role,
            history_table,
            flow_log_format,
            trust,
            hunt_results,
            policy,
        })
    }
}

fn topic(name: &'static str, arn: String) -> Result<String, SettingsError> {
    let is_topic = arn.split(':').nth(2) == Some("sns") && arn_place(&arn).is_some();
    if is_topic { Ok(arn) } else { Err(SettingsError::NotATopic { name, value: arn }) }
}

/// None but the function's own where it is not set.
fn lookup_accounts(text: Option<&str>) -> Result<LookupAccounts, SettingsError> {
    let mut accounts = BTreeSet::new();
    let mut any = false;
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    for part in parts {
        if part == "organization" {
            any = true;
        } else if is_account(part) {
            accounts.insert(part.to_owned());
        } else {
            return Err(SettingsError::NotAnAccount(part.to_owned()));
        }
    }
    Ok(if any { LookupAccounts::Any } else { LookupAccounts::These(accounts) })
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// A table's name, or its ARN: `arn:aws:dynamodb:eu-central-1:111122223333:table/history`.
fn is_table(text: &str) -> bool {
    let name = match text.split_once(":table/") {
        Some((arn, name)) => {
            let of_dynamodb = arn.split(':').nth(2) == Some("dynamodb") && arn_place(text).is_some();
            name.split('/').next().filter(|_| of_dynamodb).unwrap_or_default()
        }
        None => text,
    };
    (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_bucket(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (3..=63).contains(&text.len()) && text.bytes().all(plain)
}

/// IAM's characters for a role's name, and the slash of its path.
fn is_role(text: &str) -> bool {
    text.len() <= 576 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:alerts";

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let find =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(find).map_err(|error| error.to_string())
    }

    #[test]
    fn a_topic_is_all_it_needs() {
        let settings = read(&[("TOPIC_ARN", TOPIC), ("POLICY_URI", ""), ("CHAT_TOPIC_ARN", " ")]).unwrap();
        assert_eq!(settings.topic, TOPIC);
        assert_eq!(settings.policy, PolicySource::Bundled);
        assert_eq!(settings.chat_topic, None);
        assert_eq!(settings.https, HttpsBody::Chat);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let other = "arn:aws:sqs:eu-central-1:111122223333:table/history";
        let cases: [(&[(&str, &str)], &str); 14] = [
            (&[], "TOPIC_ARN is not set"),
            (&[("TOPIC_ARN", "alerts")], "TOPIC_ARN is `alerts`"),
            (&[("TOPIC_ARN", "arn:aws:sqs:eu-central-1:111122223333:alerts")], "not an SNS topic's ARN"),
            (&[("TOPIC_ARN", TOPIC), ("CHAT_TOPIC_ARN", "chat")], "CHAT_TOPIC_ARN is `chat`"),
            (&[("TOPIC_ARN", TOPIC), ("POLICY_URI", "gs://b/k")], "use file:PATH"),
            (&[("TOPIC_ARN", TOPIC), ("LOOKUP_ROLE_NAME", "arn:aws:iam::1:role/x")], "not its ARN"),
            (&[("TOPIC_ARN", TOPIC), ("LOOKUP_ACCOUNTS", "111122223333, all")], "LOOKUP_ACCOUNTS has `all`"),
            (&[("TOPIC_ARN", TOPIC), ("FAILURE_QUEUE_URL", "queue")], "not an SQS queue's URL"),
            (&[("TOPIC_ARN", TOPIC), ("LOG_FORMATS", "/a=eks-audit,/b=json")], "LOG_FORMATS has `/b=json`"),
            (&[("TOPIC_ARN", TOPIC), ("TETRAGON_EXPORTER", "tetragon")], "TETRAGON_EXPORTER is `tetragon`"),
            (&[("TOPIC_ARN", TOPIC), ("HTTPS_BODY", "xml")], "use chat or ocsf"),
            (&[("TOPIC_ARN", TOPIC), ("HUNT_RESULTS", "s3://hunts")], "not an S3 bucket's name"),
            (&[("TOPIC_ARN", TOPIC), ("HISTORY_TABLE", "a table")], "HISTORY_TABLE is `a table`"),
            (&[("TOPIC_ARN", TOPIC), ("HISTORY_TABLE", other)], "not a DynamoDB table's name or ARN"),
        ];
        for (pairs, text) in cases {
            let error = read(pairs).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_table_is_named_either_way() {
        for table in ["imagewarden-History-1ABC", "arn:aws:dynamodb:eu-central-1:111122223333:table/history"]
        {
            let settings = read(&[("TOPIC_ARN", TOPIC), ("HISTORY_TABLE", table)]).unwrap();
            assert_eq!(settings.history_table.as_deref(), Some(table));
        }
    }

    #[test]
    fn a_role_may_have_a_path() {
        let role = |name| {
            read(&[("TOPIC_ARN", TOPIC), ("LOOKUP_ROLE_NAME", name)]).unwrap().lookup_role.unwrap().name
        };
        assert_eq!(role("/security/imagewarden-lookup"), "security/imagewarden-lookup");
        assert_eq!(role("imagewarden"), "imagewarden");
    }

    #[test]
    fn the_role_is_for_the_accounts_that_are_named() {
        let accounts = |text| {
            let pairs = [("TOPIC_ARN", TOPIC), ("LOOKUP_ROLE_NAME", "lookup"), ("LOOKUP_ACCOUNTS", text)];
            read(&pairs).unwrap().lookup_role.unwrap().accounts
        };
        assert_eq!(accounts(""), LookupAccounts::These(BTreeSet::new()));
        let two = ["111122223333", "444455556666"].map(str::to_owned);
        assert_eq!(accounts("111122223333, 444455556666,"), LookupAccounts::These(BTreeSet::from(two)));
        assert_eq!(accounts("organization,444455556666"), LookupAccounts::Any);
    }
}
