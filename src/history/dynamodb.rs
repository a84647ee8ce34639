//! The function's store: one DynamoDB table.
//!
//! **Keys.** The partition key `pk` is a [`Key`] as text, `ACCOUNT/REGION/KIND/ID`; there is no sort key and no
//! index, since nothing is ever listed. Every record is read and written by its whole key. Partitions are
//! as many as subjects, and the writes of a subject are the only ones that meet there. One record is read by
//! every event of an account, the watch: a consistent read of one unit, of which a partition
//! serves 3,000 a second, and it is written only when an event precedes all before it.
//!
//! **Items.** `pk` (string), `version` (number), `expires` (seconds since 1970, the table's time to live) and
//! `record` (the [`Record`] as JSON). DynamoDB deletes what has expired within days; readers do not wait
//! for that.
//!
//! **Operations.** `BatchGetItem` with consistent reads; `TransactWriteItems`, or `PutItem` for one record,
//! which costs half. Each write holds only for the version that was read, so that a request that is sent
//! twice changes nothing the second time.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::Instant;

use super::{Key, Record, Store, StoreError};
use crate::aws::{Failure, arn_place};

/// What one request reads, and what one transaction writes.
const MOST: usize = 100;
/// Bytes of one transaction: DynamoDB takes 4 MB, with attribute names and what it adds.
const MOST_BYTES: usize = 3_500_000;
/// How often keys that DynamoDB left out of an answer are asked for again.
const ROUNDS: usize = 8;

/// The table.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    client: Client,
    table: String,
    deadline: Option<Instant>,
}

type Item = HashMap<String, AttributeValue>;

impl DynamoDb {
    /// A table by its name or ARN. Connects when first used.
    pub fn new(sdk: &SdkConfig, table: &str) -> Self {
        // Answers come within tens of milliseconds: who waits longer has lost the connection.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(2))
            .operation_timeout(Duration::from_secs(7))
            .build();
        let retry = RetryConfig::standard()
            .with_max_attempts(4)
            .with_initial_backoff(Duration::from_millis(50))
            .with_max_backoff(Duration::from_secs(1));
        let mut config = Builder::from(sdk).timeout_config(timeouts).retry_config(retry);
        if let Some((region, _)) = arn_place(table) {
            config = config.region(aws_config::Region::new(region.to_owned()));
        }
        Self { client: Client::from_conf(config.build()), table: table.to_owned(), deadline: None }
    }

    /// The same table for one invocation: nothing is waited for beyond the deadline.
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Waits for an answer as long as there is time.
    async fn within<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.deadline {
            None => answer.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(StoreError::Unavailable("out of time".to_owned())),
            },
        }
    }

    /// At most a hundred keys.
    async fn read(&self, keys: &[Key], found: &mut Vec<Record>) -> Result<(), StoreError> {
        let by_text: HashMap<String, &Key> = keys.iter().map(|key| (key.to_string(), key)).collect();
        let mut wanted: Vec<Item> = by_text
            .keys()
            .map(|text| Item::from([("pk".to_owned(), AttributeValue::S(text.clone()))]))
            .collect();
        for round in 1..=ROUNDS {
            let asked = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, asked)
                .send()
                .await
                .map_err(|error| unavailable("BatchGetItem", &error))?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                let key =
                    item.get("pk").and_then(|pk| pk.as_s().ok()).and_then(|pk| by_text.get(pk.as_str()));
                found.extend(key.map(|key| record(key, &item)));
            }
            let left = answer.unprocessed_keys.unwrap_or_default().into_values().next();
            wanted = left.map(|left| left.keys).unwrap_or_default();
            if wanted.is_empty() {
                return Ok(());
            }
            super::pause(&self.table, round).await;
        }
        Err(StoreError::Unavailable(format!("BatchGetItem: {} keys were never answered", wanted.len())))
    }

    async fn put(&self, record: &Record, text: String) -> Result<(), StoreError> {
        let (condition, values) = condition(record);
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(record, text)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| match error.as_service_error() {
                Some(
                    PutItemError::ConditionalCheckFailedException(_)
                    | PutItemError::TransactionConflictException(_),
                ) => StoreError::Conflict,
                _ => unavailable("PutItem", &error),
            })
    }

    async fn transact(&self, records: &[(&Record, String)]) -> Result<(), StoreError> {
        let mut items = Vec::with_capacity(records.len());
        for (record, text) in records {
            let (condition, values) = condition(record);
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item(record, text.clone())))
                .condition_expression(condition)
                .set_expression_attribute_values(values)
                .build()
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        // The client puts a ClientRequestToken in, the same for all its tries of this one request.
        let answer = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
        answer.map(|_| ()).map_err(|error| cancelled(&error))
    }
}

impl Store for DynamoDb {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        let mut found = Vec::new();
        for part in keys.chunks(MOST) {
            self.within(self.read(part, &mut found)).await?;
        }
        Ok(found)
    }

    async fn save(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut texts = Vec::with_capacity(records.len());
        for record in records {
            let text = serde_json::to_string(record)
                .map_err(|error| StoreError::Unavailable(format!("{}: {error}", record.key)))?;
            texts.push((record, text));
        }
        for part in parts(texts) {
            match part.as_slice() {
                [(record, text)] => self.within(self.put(record, text.clone())).await?,
                records => self.within(self.transact(records)).await?,
            }
        }
        Ok(())
    }
}

/// As many transactions as it takes, in order. Nearly always one.
fn parts(records: Vec<(&Record, String)>) -> Vec<Vec<(&Record, String)>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0usize;
    for (record, text) in records {
        let size = text.len().saturating_add(1_024);
        let full = parts.last().is_some_and(|part| {
            part.len() >= MOST || (!part.is_empty() && bytes.saturating_add(size) > MOST_BYTES)
        });
        if full {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        if let Some(part) = parts.last_mut() {
            part.push((record, text));
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn item(record: &Record, text: String) -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(record.key.to_string())),
        ("version".to_owned(), AttributeValue::N(record.version.saturating_add(1).to_string())),
        ("expires".to_owned(), AttributeValue::N(record.expires.timestamp().to_string())),
        ("record".to_owned(), AttributeValue::S(text)),
    ])
}

fn condition(record: &Record) -> (&'static str, Option<Item>) {
    match record.version {
        0 => ("attribute_not_exists(pk)", None),
        version => {
            let version = AttributeValue::N(version.to_string());
            ("version = :version", Some(Item::from([(":version".to_owned(), version)])))
        }
    }
}

/// An item as the record it holds. One that cannot be read is as good as absent, like an expired one: an
/// event that fails on it would fail for ever.
fn record(key: &Key, item: &Item) -> Record {
    let version = item.get("version").and_then(|version| version.as_n().ok()?.parse().ok());
    let text = item.get("record").and_then(|record| record.as_s().ok());
    let record = text.map(|text| serde_json::from_str::<Record>(text));
    let record = match record {
        Some(Ok(record)) => record,
        Some(Err(error)) => {
            tracing::error!(key = %key, %error, "an item of the history table cannot be read; it is replaced");
            Record::new(key.clone())
        }
        None => {
            tracing::error!(key = %key, "an item of the history table holds no record; it is replaced");
            Record::new(key.clone())
        }
    };
    Record { key: key.clone(), version: version.unwrap_or_default(), ..record }
}

fn cancelled(error: &SdkError<TransactWriteItemsError>) -> StoreError {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return unavailable("TransactWriteItems", error);
    };
    let reasons = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    if reasons().any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict")) {
        return StoreError::Conflict;
    }
    let mut codes: Vec<&str> = reasons().filter(|code| *code != "None").collect();
    codes.sort_unstable();
    codes.dedup();
    StoreError::Unavailable(format!("TransactWriteItems: cancelled for {}", codes.join(", ")))
}

fn unavailable<E>(api: &str, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + RequestId + 'static,
{
    let failure = Failure::of(error);
    tracing::warn!(
        api,
        code = failure.code,
        detail = failure.detail,
        request = error.request_id(),
        "history"
    );
    StoreError::Unavailable(format!("dynamodb:{api}: {}", failure.reason()))
}
