//! Amazon Inspector events about container images. Those about instances, functions and code are
//! somebody else's business.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::envelope::{Envelope, Own};
use super::fields::{Arn, account, any, at, objects, scalar, str, text, texts};
use super::{Reading, ecr_events, findings};
use crate::activity::{Action, Activity, Scan, ScanSource, ScanStatus};

/// A finding without its envelope, as `aws inspector2 list-findings` prints it.
pub(super) fn is_finding(value: &Value) -> bool {
    let has = |key| at(value, &[key]).is_some();
    has("findingArn") && has("resources") && has("severity")
}

/// `Inspector2 Scan`: the counts of an enhanced scan.
pub(super) fn scan(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    let scan = ecr_events::counted(detail, envelope, ScanSource::Enhanced);
    if scan.repository.is_empty() && scan.digest.is_empty() {
        return Reading::ignored();
    }
    Reading::of(vec![ecr_events::scanned(detail, envelope, scan)])
}

/// `Inspector2 Finding`: one finding, opened, changed, closed or suppressed.
pub(super) fn finding(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    let resources = objects(detail, "resources");
    if !resources.iter().any(|it| any(it, &["type", "id", "details"]).is_some()) {
        return Reading::unreadable(&envelope.place, "Inspector2 Finding that names no resource");
    }
    let images = resources.into_iter().filter_map(|resource| image(detail, resource, envelope));
    Reading::of(images.map(|scan| activity(detail, envelope, scan)).collect())
}

fn activity(detail: &Value, envelope: &Envelope<'_>, scan: Scan) -> Activity {
    let updated = any(detail, &["updatedAt", "lastObservedAt"]).and_then(scalar);
    let updated = updated.as_deref();
    // The same finding is sent again whenever it changes.
    let id = text(detail, "findingArn").map(|arn| {
        format!("{arn}|{}|{}", str(detail, "status").unwrap_or_default(), updated.unwrap_or_default())
    });
    let own = Own {
        id,
        time: envelope.time.or_else(|| envelope.plausible(date(updated?)?)),
        account: account(detail, "awsAccountId"),
        region: None,
    };
    envelope.activity(detail, own, None, None, Action::ImageScanned(scan))
}

fn image(detail: &Value, resource: &Value, envelope: &Envelope<'_>) -> Option<Scan> {
    let image = at(resource, &["details", "awsEcrContainerImage"]);
    if image.is_none() && str(resource, "type") != Some("AWS_ECR_CONTAINER_IMAGE") {
        return None;
    }
    let of_image = |key: &str| text(image?, key);
    let id = str(resource, "id");
    let arn = id.and_then(Arn::parse);
    let digest_in_id = || Some(format!("sha256:{}", id?.rsplit_once("/sha256:")?.1));
    let finding = findings::enhanced(detail);
    let status = match str(detail, "status").map(str::to_ascii_uppercase) {
        Some(word) if word == "CLOSED" || word == "SUPPRESSED" => ScanStatus::Closed(word),
        _ => ScanStatus::Complete,
    };
    let in_arn = || Some(arn?.repository()?.to_owned());
    let registry = image.and_then(|image| account(image, "registry"));
    Some(Scan {
        source: ScanSource::Finding,
        status,
        repository: of_image("repositoryName").or_else(in_arn).unwrap_or_default(),
        registry: registry
            .or_else(|| Some(arn?.account.to_owned()))
            .unwrap_or_else(|| envelope.account(account(detail, "awsAccountId"))),
        digest: of_image("imageHash").or_else(digest_in_id).unwrap_or_default(),
        tags: image.map(|image| texts(image, "imageTags")).unwrap_or_default(),
        counts: findings::tally(std::slice::from_ref(&finding)),
        findings: vec![finding],
        read_by: None,
    })
}

/// Inspector's two forms of a date, and the form everybody else uses.
fn date(text: &str) -> Option<DateTime<Utc>> {
    // Newer Java writes a narrow no-break space before AM and PM.
    let text = text.replace('\u{202f}', " ");
    if let Some(time) = super::envelope::time(&text) {
        return Some(time);
    }
    // Older versions of the AWS CLI print seconds and their fractions.
    if let Ok(seconds) = text.parse::<f64>() {
        // `as` saturates.
        return DateTime::from_timestamp_millis((seconds * 1_000.0) as i64);
    }
    ["%a %b %d %H:%M:%S%.f UTC %Y", "%b %d, %Y, %I:%M:%S %p"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form_inspector_used() {
        for (text, told) in [
            ("Wed Mar 04 16:55:38.411 UTC 2026", "2026-03-04T16:55:38.411Z"),
            ("Dec 3, 2025, 6:02:30 PM", "2025-12-03T18:02:30Z"),
            ("Dec 13, 2025, 12:02:30\u{202f}AM", "2025-12-13T00:02:30Z"),
            ("2026-03-04T16:55:38Z", "2026-03-04T16:55:38Z"),
        ] {
            let expected: DateTime<Utc> = told.parse().unwrap();
            assert_eq!(date(text), Some(expected), "{text}");
        }
        assert_eq!(date("yesterday"), None);
    }
}
