//! ECR's own events. They name no actor.

use chrono::SecondsFormat;
use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{Arn, account, get, objects, str, text, texts};
use super::findings;
use crate::activity::{Action, Activity, GuardRail, GuardRailChange, Scan, ScanSource};

/// `ECR Image Scan`: the counts of a basic scan.
pub(super) fn scan(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    let scan = counted(detail, envelope, ScanSource::Basic);
    Reading::of(vec![scanned(detail, envelope, scan)])
}

/// One scan is one event, by whatever ways it comes: its image and time name it.
pub(super) fn scanned(detail: &Value, envelope: &Envelope<'_>, scan: Scan) -> Activity {
    let named = !scan.repository.is_empty() && !scan.digest.is_empty();
    let id = envelope.time.filter(|_| named).map(|time| {
        let time = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        format!("{}|{}|{}|{time}", scan.registry, scan.repository, scan.digest)
    });
    // Inspector also tells its administrator's account, on a bus of its own: the image is where its registry is.
    let registry = Some(scan.registry.clone()).filter(|_| scan.source == ScanSource::Enhanced);
    let account = registry.filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()));
    let own = Own { id, account, ..Own::default() };
    envelope.activity(detail, own, None, None, Action::ImageScanned(scan))
}

/// A scan told by counts, as ECR and Inspector write it. Inspector puts the repository's ARN where ECR
/// puts its name.
pub(super) fn counted(detail: &Value, envelope: &Envelope<'_>, source: ScanSource) -> Scan {
    let named = str(detail, "repository-name");
    let arn = named
        .into_iter()
        .chain(envelope.resources.iter().map(String::as_str))
        .filter_map(Arn::parse)
        .find(|arn| arn.repository().is_some());
    let repository = match named {
        Some(name) if !name.starts_with("arn:") => name,
        _ => arn.and_then(|arn| arn.repository()).or(named).unwrap_or_default(),
    };
    let registry = arn.map(|arn| arn.account.to_owned()).filter(|account| !account.is_empty());
    let counted = get(detail, "finding-severity-counts");
    let counts = counted.map(findings::counts).unwrap_or_default();
    Scan {
        source,
        status: findings::status(str(detail, "scan-status"), counted.is_some(), &counts),
        repository: repository.to_owned(),
        registry: registry.unwrap_or_else(|| envelope.account(None)),
        digest: text(detail, "image-digest").unwrap_or_default(),
        tags: texts(detail, "image-tags"),
        counts,
        ..Scan::default()
    }
}

/// `ECR Replication Action`: an image was stored that came from another registry.
pub(super) fn replicated(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    if str(detail, "result").is_some_and(|result| result.to_ascii_uppercase().starts_with("FAIL")) {
        return Reading::ignored();
    }
    let repository = text(detail, "repository-name").unwrap_or_default();
    let tag = text(detail, "image-tag").map(|tag| format!(":{tag}"));
    let digest = text(detail, "image-digest").map(|digest| format!("@{digest}"));
    let change = GuardRailChange::ReplicatedFrom {
        account: account(detail, "source-account").unwrap_or_default(),
        region: text(detail, "source-region").unwrap_or_default(),
        image: format!("{repository}{}", tag.or(digest).unwrap_or_default()),
    };
    let rail = GuardRail { change, target: repository, failed: None };
    Reading::of(vec![envelope.activity(detail, Own::default(), None, None, Action::GuardRailChanged(rail))])
}

/// `ECR Scan Resource Change`: repositories are scanned more or less often from now on. One change of the
/// registry's rules may name hundreds of repositories, and is one activity.
pub(super) fn resource_change(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    let mut rules: Vec<(String, Vec<String>)> = Vec::new();
    for repository in objects(detail, "repositories") {
        let frequency = text(repository, "scan-frequency").unwrap_or_default();
        let name = text(repository, "repository-name").or_else(|| {
            let arn = str(repository, "repository-arn").and_then(Arn::parse)?;
            arn.repository().map(str::to_owned)
        });
        match rules.iter_mut().find(|(known, _)| *known == frequency) {
            Some((_, names)) => names.extend(name),
            None => rules.push((frequency, name.into_iter().collect())),
        }
    }
    if rules.is_empty() {
        return Reading::unreadable(&envelope.place, "ECR Scan Resource Change that names no repository");
    }
    let change = GuardRailChange::RegistryScanning { scan_type: text(detail, "scan-type"), rules };
    let rail = GuardRail { change, target: envelope.account(None), failed: None };
    let activity = envelope.activity(detail, Own::default(), None, None, Action::GuardRailChanged(rail));
    Reading::of(vec![activity])
}
