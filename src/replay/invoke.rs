//! Handing a payload to the function, and telling whether it took it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::REPLAY;
use crate::aws::{Cause, Failure};

/// As long as a function may run.
const TIME: Duration = Duration::from_secs(900);

/// Says that this is a replay: what is unreadable again is reported, and not kept a second time.
fn context() -> String {
    STANDARD.encode(json!({"custom": {REPLAY: "true"}}).to_string())
}

pub(super) struct Function {
    client: Client,
    name: String,
}

impl Function {
    pub(super) fn new(sdk: &SdkConfig, name: &str) -> Self {
        // The function answers when it is done, not in the seconds that other services need.
        let timeouts =
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).read_timeout(TIME).build();
        let sdk = sdk.to_builder().timeout_config(timeouts).build();
        Self { client: Client::new(&sdk), name: name.to_owned() }
    }

    /// Invokes the function and waits. The reply, or why the payload is still failed.
    pub(super) async fn invoke(&self, payload: String) -> Result<String, String> {
        let answer = self
            .client
            .invoke()
            .function_name(&self.name)
            .client_context(context())
            .payload(Blob::new(payload))
            .send()
            .await
            .map_err(|error| {
                let failure = Failure::of(&error);
                let unexplained = matches!(failure.cause, Cause::Service(_) | Cause::Other(_));
                let detail = if unexplained { failure.detail.as_str() } else { "" };
                let colon = if detail.is_empty() { "" } else { ": " };
                format!("lambda:Invoke: {}{colon}{detail}", failure.reason())
            })?;
        let reply = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let parsed: Value = serde_json::from_str(&reply).unwrap_or(Value::Null);
        if let Some(kind) = answer.function_error {
            let message = parsed.get("errorMessage").and_then(Value::as_str).unwrap_or(&kind);
            return Err(format!("the function failed: {message}"));
        }
        // What it could not read it has kept, or would have: the payload is as failed as before.
        match parsed.get("unreadable").and_then(Value::as_u64) {
            None | Some(0) => {}
            Some(1) => return Err("the function could not read a record of it".to_owned()),
            Some(count) => return Err(format!("the function could not read {count} records of it")),
        }
        // For SQS input a reply is no success yet: it names the messages that are to come again.
        match parsed.get("batchItemFailures").and_then(Value::as_array) {
            Some(failures) if !failures.is_empty() => {
                Err(format!("the function handed {} messages of it back", failures.len()))
            }
            _ => Ok(reply),
        }
    }
}
