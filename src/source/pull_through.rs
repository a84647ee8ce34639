//! `ECR Pull Through Cache Action`: ECR fetched an image from another registry.

use serde_json::Value;

use super::Reading;
use super::cloudtrail::stored_image;
use super::envelope::{Envelope, Own};
use super::fields::{Arn, str, text};
use crate::activity::{Action, Pull};

pub(super) fn read(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    // What could not be fetched is not there to run.
    if str(detail, "sync-status").is_some_and(|status| status.eq_ignore_ascii_case("FAILED")) {
        return Reading::ignored();
    }
    let arns = || envelope.resources.iter().filter_map(|arn| Arn::parse(arn));
    let arn = arns().find(|arn| arn.repository().is_some());
    let in_arn = || arn.and_then(|arn| arn.repository()).map(str::to_owned);
    let repository = text(detail, "repository-name").or_else(in_arn);
    let registry = arn.map(|arn| arn.account.to_owned()).filter(|account| !account.is_empty());
    let pull = Pull {
        image: stored_image(
            &registry.unwrap_or_else(|| envelope.account(None)),
            &envelope.region(None),
            repository.as_deref().unwrap_or_default(),
            text(detail, "image-tag"),
            text(detail, "image-digest"),
        ),
        repository,
        upstream: text(detail, "upstream-registry-url"),
        ..Pull::default()
    };
    Reading::of(vec![envelope.activity(detail, Own::default(), None, None, Action::ImagePulled(pull))])
}
