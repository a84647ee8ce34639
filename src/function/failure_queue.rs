//! Where single unreadable records of a batch are kept, so that the rest of it need not fail with them.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::Value;

use crate::aws::Failure;

/// The queue of `FAILURE_QUEUE_URL`.
pub(super) struct FailureQueue {
    client: Client,
    url: String,
}

impl FailureQueue {
    pub(super) fn new(sdk: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(sdk), url }
    }

    /// Keeps one record whole, with the reason beside it.
    ///
    /// # Errors
    /// When the queue did not take it: it is too long, or the queue is out of reach.
    pub(super) async fn keep(&self, record: &Value, reason: &str) -> Result<(), String> {
        let reason: String = reason.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(400).collect();
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(if reason.is_empty() { "unreadable".to_owned() } else { reason })
            .build()
            .map_err(|error| error.to_string())?;
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(ascii(&record.to_string()))
            .message_attributes("reason", attribute)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Failure::of_call("sqs:SendMessage", &error))
    }
}

/// The same JSON in ASCII: SQS refuses some characters that JSON allows, and takes no escape of its own.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_survives_the_queues_alphabet() {
        let record = json!({"name": "\u{0}\u{7f}\u{202e}\u{ffff}\u{1f980} ä"});
        let text = ascii(&record.to_string());
        assert!(text.is_ascii() && !text.contains('\u{7f}'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
    }
}
