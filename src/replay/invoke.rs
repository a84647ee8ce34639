//! Handing a payload to the function, and telling whether it took it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use crate::aws::{Cause, Failure};

/// As long as a function may run.
const TIME: Duration = Duration::from_secs(900);

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
        let answer =
            self.client.invoke().function_name(&self.name).payload(Blob::new(payload)).send().await.map_err(
                |error| {
                    let failure = Failure::of(&error);
                    let detail =
                        if matches!(failure.cause, Cause::Other(_)) { failure.detail.as_str() } else { "" };
                    let colon = if detail.is_empty() { "" } else { ": " };
                    format!("lambda:Invoke: {}{colon}{detail}", failure.reason())
                },
            )?;
        let reply = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let parsed: Value = serde_json::from_str(&reply).unwrap_or(Value::Null);
        if let Some(kind) = answer.function_error {
            let message = parsed.get("errorMessage").and_then(Value::as_str).unwrap_or(&kind);
            return Err(format!("the function failed: {message}"));
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
