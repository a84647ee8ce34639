//! What the tests of the AWS side share: endpoints to talk to, the real function, events to hand it.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod events;
pub mod function;
pub mod hunting;
pub mod moto;
pub mod recorded;
pub mod relay;
pub mod stub;

use std::time::Duration;

/// The account that everything happens in, unless said otherwise.
pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "eu-central-1";
pub const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:alerts";

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Client configuration for an endpoint without TLS.
pub fn sdk(endpoint: &str) -> aws_config::SdkConfig {
    let credentials =
        aws_credential_types::Credentials::new("AKIDTEST", "secret", None, None, "the test's own");
    aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// An alert's body by protocol, checked against what SNS demands of a message.
pub fn assert_sns_rules(subject: &str, message: &str, attribute_bytes: usize) -> serde_json::Value {
    assert!(!subject.is_empty() && subject.len() < 100, "subject of {} bytes", subject.len());
    assert!(subject.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{subject:?}");
    assert!(message.len() + subject.len() + attribute_bytes <= 262_144);
    let body: serde_json::Value =
        serde_json::from_str(message).expect("MessageStructure=json takes JSON only");
    let protocols = body.as_object().expect("an object by protocol");
    assert!(protocols.contains_key("default"), "SNS refuses a message without default");
    for (protocol, text) in protocols {
        assert!(text.is_string(), "the body for {protocol} must be a string");
    }
    body
}
