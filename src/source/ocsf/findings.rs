//! Findings of GuardDuty and Inspector, as Security Lake writes them: Vulnerability Finding (2002), Detection
//! Finding (2004), and Security Finding (2001) of 1.0.0-rc.2. Those of other products are not read.

use serde_json::Value;

use super::{Record, container_image, first};
use crate::activity::{Action, Place, Reported, Scan, ScanFinding, ScanSource, ScanStatus};
use crate::source::envelope::Own;
use crate::source::fields::{Arn, any, at, flag, get, list_of, objects, str, text, text_at};
use crate::source::{Reading, findings};

/// Findings of one record; a record has a handful.
const MOST_FINDINGS: usize = 1_024;

pub(super) fn read(record: &Record<'_>) -> Reading {
    let names = [
        record.text(&["metadata", "product", "name"]),
        record.text(&["metadata", "product", "feature", "name"]),
        record.text(&["metadata", "product", "uid"]),
        record.extra(&["ProductName"]),
        record.extra(&["ProductArn"]),
    ];
    let from = |product: &str| names.iter().flatten().any(|name| name.to_ascii_lowercase().contains(product));
    let resources = resources(record.raw);
    if from("guardduty") || uid(record).is_some_and(|uid| uid.contains(":guardduty:")) {
        return verdict(record, &resources);
    }
    if from("inspector") || !objects(record.raw, "vulnerabilities").is_empty() {
        let scans = resources.iter().filter_map(|resource| scan(record, resource));
        return Reading::of(scans.map(|scan| activity(record, Action::ImageScanned(scan))).collect());
    }
    Reading::ignored()
}

/// One resource or a list, by the version.
fn resources(raw: &Value) -> Vec<&Value> {
    let mut all = objects(raw, "resources");
    all.extend(get(raw, "resource").filter(|it| it.is_object()));
    all
}

fn info<'a>(record: &Record<'a>) -> Option<&'a Value> {
    any(record.raw, &["finding_info", "finding"])
}

fn uid(record: &Record<'_>) -> Option<String> {
    first(info(record)?, &["uid"])
}

fn activity(record: &Record<'_>, action: Action) -> crate::activity::Activity {
    let updated = info(record).and_then(|info| first(info, &["modified_time_dt", "modified_time"]));
    let own = record.own();
    // The same finding is sent again whenever it changes.
    let id = uid(record).map(|uid| format!("{uid}|{}|{}", status(record), updated.unwrap_or_default()));
    let own = Own { id: id.or(own.id.clone()), ..own };
    record.envelope.activity(record.raw, own, None, None, action)
}

fn status(record: &Record<'_>) -> String {
    first(record.raw, &["status", "status_id"]).unwrap_or_default().to_ascii_uppercase()
}

fn verdict(record: &Record<'_>, resources: &[&Value]) -> Reading {
    let title = info(record).and_then(|info| first(info, &["title"])).unwrap_or_default();
    let types = info(record).map(|info| list_of(info, "types")).unwrap_or_default();
    let kind = types.iter().filter_map(|kind| kind.as_str()).find_map(finding_type);
    let Some(kind) = kind.or_else(|| record.extra(&["Type"])).or_else(|| record.extra(&["type"])) else {
        return record.unreadable("OCSF finding of GuardDuty without finding_info.types");
    };
    let mut place = Place::default();
    let mut machine_image = None;
    for resource in resources {
        let name = str(resource, "type").unwrap_or_default().to_ascii_lowercase();
        let Some(uid) = first(resource, &["uid", "name"]) else { continue };
        let last = uid.rsplit('/').next().unwrap_or_default().to_owned();
        let of = |path: &[&str]| text_at(resource, path);
        if name.contains("instance") {
            place.instance = place.instance.or(Some(last));
            machine_image =
                machine_image.or_else(|| of(&["data", "ImageId"])).or_else(|| of(&["data", "imageId"]));
        } else if name.contains("ekscluster") {
            place.cluster = place.cluster.or(Some(last));
        } else if name.contains("ecscluster") {
            place.cluster = place.cluster.or(Some(uid));
        } else if name.contains("ecstask") {
            place.task = place.task.or(Some(uid));
        } else if name.contains("image") && last.starts_with("ami-") {
            machine_image = Some(last);
        } else if name.contains("container") {
            let image = of(&["data", "ImageName"]).or_else(|| of(&["data", "image"]));
            place.image = place.image.or_else(|| Some(container_image(&image?)));
            place.container = place.container.or(Some(last));
        }
    }
    let threats = objects(record.raw, "malware").into_iter().filter_map(|it| text(it, "name"));
    let reported = Reported {
        finding: uid(record).unwrap_or_default(),
        finding_type: kind,
        sample: title.starts_with("[SAMPLE]"),
        severity: severity(record),
        place,
        machine_image,
        threats: threats.take(64).collect(),
        title,
    };
    Reading::of(vec![activity(record, Action::VerdictReported(reported))])
}

/// GuardDuty's own name of a type. Security Hub writes `TTPs/Execution/Execution:EC2-MaliciousFile!AMI`.
fn finding_type(text: &str) -> Option<String> {
    let (head, behavior) = text.split_once(':')?;
    let purpose = head.rsplit('/').next()?;
    let behavior = if behavior.contains('/') { behavior.to_owned() } else { behavior.replacen('-', "/", 1) };
    Some(format!("{purpose}:{behavior}"))
}

/// GuardDuty's scale, of which OCSF keeps the name only.
fn severity(record: &Record<'_>) -> f64 {
    let exact = record.extra(&["Severity", "Product"]).or_else(|| record.extra(&["severity"]));
    let exact = exact.and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    let named = || match record.number(&["severity_id"]) {
        Some(1 | 2) => 2.0,
        Some(3) => 5.0,
        Some(4) => 8.0,
        Some(5 | 6) => 9.0,
        _ => 0.0,
    };
    exact.unwrap_or_else(named).clamp(0.0, 10.0)
}

fn scan(record: &Record<'_>, resource: &Value) -> Option<Scan> {
    let uid = first(resource, &["uid", "name"])?;
    let arn = Arn::parse(&uid)?;
    let repository = arn.repository()?.to_owned();
    let digest = uid.rsplit_once("/sha256:").map(|(_, digest)| format!("sha256:{digest}"));
    let severity_name = first(record.raw, &["severity"]).unwrap_or_default().to_ascii_uppercase();
    let found: Vec<ScanFinding> = objects(record.raw, "vulnerabilities")
        .into_iter()
        .take(MOST_FINDINGS)
        .map(|it| vulnerability(it, &severity_name))
        .collect();
    let closed = ["RESOLVED", "SUPPRESSED", "CLOSED", "ARCHIVED"];
    let status = match status(record) {
        word if closed.contains(&word.as_str()) => ScanStatus::Closed(word),
        _ => ScanStatus::Complete,
    };
    Some(Scan {
        source: ScanSource::Finding,
        status,
        repository,
        registry: arn.account.to_owned(),
        digest: digest.unwrap_or_default(),
        tags: Vec::new(),
        counts: findings::tally(&found),
        findings: found,
        read_by: None,
    })
}

fn vulnerability(value: &Value, of_record: &str) -> ScanFinding {
    let package = any(value, &["affected_packages", "packages"]);
    let package = package.and_then(|_| {
        let mut all = objects(value, "affected_packages");
        all.extend(objects(value, "packages"));
        all.into_iter().next()
    });
    let of_package = |keys: &[&str]| package.and_then(|package| first(package, keys));
    let name = text_at(value, &["cve", "uid"]).or_else(|| first(value, &["title"]));
    let severity = first(value, &["severity"]).map(|it| it.to_ascii_uppercase());
    let link = at(value, &["references"]).map(|_| list_of(value, "references")).unwrap_or_default();
    ScanFinding {
        name: name.unwrap_or_default(),
        severity: severity.filter(|it| it != "UNKNOWN").unwrap_or_else(|| of_record.to_owned()),
        package: of_package(&["name"]),
        version: of_package(&["version"]),
        fixed_in: of_package(&["fixed_in_version"]),
        uri: link.first().and_then(|it| it.as_str()).map(str::to_owned),
        exploit_available: flag(value, "is_exploit_available"),
        status: None,
    }
}
