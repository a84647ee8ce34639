//! Amazon SNS: one topic for everybody, and optionally one for chat alone.

use std::collections::HashMap;

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

use crate::alert::hunted::Hunted;
use crate::alert::{Alert, HttpsBody, Message, chat_message, message};
use crate::aws::{Cause, Failure, arn_place};

/// A message that did not reach its topic.
#[derive(Debug, thiserror::Error)]
#[error("the alert could not be published to {topic}: {reason}")]
pub struct PublishError {
    pub topic: String,
    pub reason: String,
}

/// The names of the topics: they stand in claims, so they stay the same.
const MAIN: &str = "topic";
const CHAT: &str = "chat";

/// Publishes alerts.
pub struct Sns {
    main: Topic,
    chat: Option<Topic>,
    https: HttpsBody,
}

struct Topic {
    arn: String,
    client: Client,
}

impl Sns {
    /// `https` says what the main topic's https subscribers get. Topics are where their ARNs say.
    pub fn new(sdk: &SdkConfig, topic: &str, chat: Option<&str>, https: HttpsBody) -> Self {
        Self { main: Topic::new(sdk, topic), chat: chat.map(|arn| Topic::new(sdk, arn)), https }
    }

    /// The topics there are, by the names that [`Sns::publish`] takes.
    pub fn topics(&self) -> Vec<&'static str> {
        std::iter::once(MAIN).chain(self.chat.as_ref().map(|_| CHAT)).collect()
    }

    /// Publishes one alert to one topic.
    ///
    /// # Errors
    /// When the topic did not take it, after retries.
    pub async fn publish(&self, topic: &str, alert: &Alert) -> Result<(), PublishError> {
        match self.chat.as_ref().filter(|_| topic == CHAT) {
            Some(chat) => chat.publish(chat_message(alert)).await,
            None => self.main.publish(message(alert, self.https)).await,
        }
    }

    /// Publishes what a hunt came to, to every topic.
    ///
    /// # Errors
    /// When a topic did not take it, after retries.
    pub async fn publish_hunt(&self, hunted: &Hunted) -> Result<(), PublishError> {
        let main = self.main.publish(hunted.message(self.https)).await;
        // One topic that is down does not keep the message from the other.
        let chat = match &self.chat {
            Some(topic) => topic.publish(hunted.chat_message()).await,
            None => Ok(()),
        };
        main.and(chat)
    }
}

impl Topic {
    fn new(sdk: &SdkConfig, arn: &str) -> Self {
        let sdk = match arn_place(arn) {
            Some((region, _)) => sdk.to_builder().region(Region::new(region.to_owned())).build(),
            None => sdk.clone(),
        };
        Self { arn: arn.to_owned(), client: Client::new(&sdk) }
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let failed = |reason| PublishError { topic: self.arn.clone(), reason };
        let mut attributes = HashMap::new();
        for attribute in message.attributes {
            let value = MessageAttributeValue::builder()
                .data_type(attribute.data_type)
                .string_value(attribute.value)
                .build()
                .map_err(|error| failed(format!("attribute {}: {error}", attribute.name)))?;
            attributes.insert(attribute.name.to_string(), value);
        }
        let answer = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(message.subject)
            .message(message.body)
            .set_message_structure(message.structured.then(|| "json".to_owned()))
            .set_message_attributes(Some(attributes))
            .send()
            .await;
        match answer {
            Ok(answer) => {
                tracing::debug!(topic = %self.arn, sns_message = answer.message_id.as_deref(), "published");
                Ok(())
            }
            Err(error) => {
                let failure = Failure::of(&error);
                let mut reason = format!("sns:Publish: {}", failure.reason());
                // What SNS says of a refused message is the only hint at what is wrong with it.
                if matches!(failure.cause, Cause::Service(_) | Cause::Other(_)) {
                    reason = format!("{reason}: {}", failure.detail);
                }
                Err(failed(reason))
            }
        }
    }
}
