//! Splunk's ten rules for the technique.

use serde_json::json;

use super::Case;
use super::build::*;

const ACCEPTED: &str = "ecr-push-outside-hours";
const LISTED: &str = "uploads: {pushers: [{principal: \"arn:aws:iam::*:role/ci/*\"}]}";

/// The published rule knows UTC alone, takes no account of holidays and of calls that failed, and its first
/// version could never fire at weekends.
pub fn seed_a1_push_outside_business_hours() -> Vec<Case> {
    let late = || vec![sample("put-image-at-night")];
    vec![
        Case::fires("at night", late(), &[ACCEPTED]).severity("medium"),
        Case::fires("on a Saturday, in working hours", vec![at("put-image-at-night", "2026-03-07T11:00:00Z")], &[ACCEPTED]),
        Case::fires("on a holiday", vec![sample("put-image-working-hours")], &[ACCEPTED])
            .policy("uploads: {schedules: [{hours: \"08:00-20:00\", holidays: [2026-03-03]}]}"),
        Case::quiet("in working hours", vec![sample("put-image-working-hours")]),
        Case::quiet("night in UTC, afternoon where the team sits", late())
            .policy("uploads: {schedules: [{hours: \"08:00-20:00\", zone: America/Los_Angeles}]}"),
        Case::quiet("where images are built at all hours", late())
            .policy("uploads: {schedules: [{days: [mon, tue, wed, thu, fri, sat, sun], hours: \"00:00-24:00\"}]}"),
        Case::quiet("nothing was pushed", vec![sample("put-image-immutable-tag-at-night")]),
        Case::quiet("signatures and attestations", samples(&["put-image-signature-at-night", "put-image-attestation-at-night"])),
        Case::quiet(
            "ECR's own pushes",
            samples(&["put-image-pull-through-cache-at-night", "put-image-replication-at-night"]),
        ),
        Case::quiet("a known night build", late()).policy(
            "suppress: [{detection: ecr-push-outside-hours, repository: \"shop/*\", until: 2099-12-31, reason: builds}]",
        ),
    ]
}

/// The published list ships as the literal word `user`, and roles have no user name to be listed by.
pub fn seed_a2_push_by_unknown_user() -> Vec<Case> {
    let stranger = || vec![sample("put-image-unknown-user")];
    vec![
        Case::fires("somebody who is not listed", stranger(), &["ecr-push-unknown-user"]).policy(LISTED).severity("medium"),
        Case::quiet("a listed user", stranger())
            .policy("uploads: {pushers: [{principal: \"arn:aws:iam::111122223333:user/contractor-7\"}]}"),
        Case::fires("listed for another repository", stranger(), &["ecr-push-unknown-user"]).policy(
            "uploads: {pushers: [{principal: \"arn:aws:iam::111122223333:user/contractor-7\", repositories: [\"web/*\"]}]}",
        ),
        Case::quiet("a listed role, under any session", vec![sample("put-image-working-hours")]).policy(LISTED),
        Case::quiet("no list to go by", stranger()),
    ]
}

/// The same on Security Lake, where the published rule compares the weekday with an unquoted name.
pub fn seed_a3_security_lake_push_outside_business_hours() -> Vec<Case> {
    vec![
        Case::fires("at night", vec![sample("ocsf-put-image-at-night")], &[ACCEPTED]),
        Case::fires(
            "at the weekend, with time in milliseconds",
            vec![sample("ocsf-put-image-at-weekend")],
            &[ACCEPTED],
        ),
        Case::quiet("in working hours", vec![sample("ocsf-put-image-working-hours")]),
    ]
}

/// The published rule tests one field of the user, and its alert names another.
pub fn seed_a4_security_lake_push_by_unknown_user() -> Vec<Case> {
    let stranger = || vec![sample("ocsf-put-image-unknown-user")];
    vec![
        Case::fires("somebody who is not listed", stranger(), &["ecr-push-unknown-user"]).policy(LISTED),
        Case::quiet("a listed user", stranger())
            .policy("uploads: {pushers: [{principal: \"arn:aws:iam::111122223333:user/contractor-7\"}]}"),
        Case::quiet("a listed role", vec![sample("ocsf-put-image-working-hours")]).policy(LISTED),
    ]
}

/// The published rules fire when somebody reads the results, and blame the reader. All four ways here.
pub fn seed_a5_scan_findings_high() -> Vec<Case> {
    vec![
        Case::fires(
            "ECR's basic scan",
            vec![sample("ecr-image-scan-high")],
            &["ecr-scan-high", "ecr-scan-low"],
        )
        .severity("medium"),
        Case::fires("Inspector's finding", vec![sample("inspector2-finding-high")], &["ecr-scan-high"]),
        Case::fires(
            "results that somebody reads",
            vec![sample("describe-image-scan-findings")],
            &["ecr-scan-high", "ecr-scan-low", "ecr-scan-medium"],
        ),
        Case::fires(
            "critical findings, which no published rule matches, are above it",
            vec![sample("ecr-image-scan-critical")],
            &["ecr-scan-critical", "ecr-scan-high", "ecr-scan-medium"],
        )
        .severity("high"),
        Case::fires(
            "Inspector's scan, whose total counts twice",
            vec![sample("inspector2-scan-critical")],
            &["ecr-scan-critical", "ecr-scan-high", "ecr-scan-medium"],
        ),
        Case::fires(
            "enhanced findings",
            vec![sample("describe-image-scan-findings-enhanced")],
            &["ecr-scan-critical"],
        ),
        Case::quiet("a clean scan", vec![sample("ecr-image-scan-clean")]),
        Case::quiet("a scan that failed", vec![sample("ecr-image-scan-failed")]),
        Case::quiet(
            "findings that are closed or suppressed",
            samples(&["inspector2-finding-closed", "inspector2-finding-suppressed"]),
        ),
        Case::quiet(
            "instances",
            samples(&["inspector2-finding-ec2-instance", "inspector2-scan-ec2-instance"]),
        ),
        Case::quiet("results that are left out", vec![sample("describe-image-scan-findings-no-response")]),
    ]
}

pub fn seed_a6_scan_findings_medium() -> Vec<Case> {
    let scan = || vec![sample("ecr-image-scan-medium")];
    vec![
        Case::fires("medium findings", scan(), &["ecr-scan-medium"]).severity("low"),
        Case::fires("raised by the policy", scan(), &["ecr-scan-medium"])
            .policy("detections: {ecr-scan-medium: {severity: high}}")
            .severity("high"),
        Case::quiet("switched off", scan()).policy("detections: {ecr-scan-medium: {enabled: false}}"),
    ]
}

/// ECR says `UNDEFINED`, where the published rule expects `UNKNOWN`.
pub fn seed_a7_scan_findings_low_informational_unknown() -> Vec<Case> {
    let only = |class: &str| {
        vec![changed("ecr-image-scan-low", &[("/detail/finding-severity-counts", json!({class: 2}))])]
    };
    vec![
        Case::fires("all three", vec![sample("ecr-image-scan-low")], &["ecr-scan-low"])
            .severity("informational"),
        Case::fires("low", only("LOW"), &["ecr-scan-low"]),
        Case::fires("informational", only("INFORMATIONAL"), &["ecr-scan-low"]),
        Case::fires("undefined", only("UNDEFINED"), &["ecr-scan-low"]),
        Case::fires("untriaged, as Inspector says", only("UNTRIAGED"), &["ecr-scan-low"]),
    ]
}

const FOREIGN: Pod = Pod::of("docker.io/quickdata/importer:latest");

/// The published rule gives a row a process, and knows name and tag but no digest.
pub fn seed_a8_image_not_on_the_list() -> Vec<Case> {
    let many = |pod: Pod| {
        let lines: Vec<_> = (0..9).map(|turn| pod.exec("/opt/importer", &format!("--part {turn}"))).collect();
        tetragon(&lines)
    };
    vec![
        Case::fires("nine processes of it", many(FOREIGN), &["container-image-not-approved"])
            .severity("low")
            .once(),
        Case::fires("once there is a list", many(FOREIGN), &["container-image-not-approved"])
            .policy("containers: {registries: [\"registry.example.com/*\"]}")
            .severity("medium"),
        Case::quiet("listed by a wildcard", many(FOREIGN)).policy("containers: {registries: [\"docker.io/quickdata/*\"]}"),
        Case::quiet("listed by its digest", many(FOREIGN)).policy(
            "containers: {registries: [\"docker.io/quickdata/importer@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"]}",
        ),
        Case::fires("another digest is listed", many(FOREIGN), &["container-image-not-approved"]).policy(
            "containers: {registries: [\"docker.io/quickdata/importer@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"]}",
        ),
        Case::quiet("the account's own", many(Pod::own())),
        Case::quiet("AWS's own", many(Pod::of("602401143452.dkr.ecr.eu-central-1.amazonaws.com/eks/coredns:v1.11"))),
    ]
}

/// The published list compares `impacket-` exactly, and lacks kube-hunter, peirates and the miners; `nc`,
/// `les`, `john`, `persistence` and `smbclient` alone are noise.
pub fn seed_a9_pods_running_offensive_tools() -> Vec<Case> {
    let runs = |binary: &str, arguments: &str| tetragon(&[Pod::own().exec(binary, arguments)]);
    let mut cases: Vec<Case> = [
        ("nmap", "/usr/bin/nmap"),
        ("impacket, by any of its names", "/usr/local/bin/impacket-secretsdump"),
        ("kube-hunter", "/usr/local/bin/kube-hunter"),
        ("peirates", "/tmp/peirates"),
        ("linpeas, a script", "/tmp/linpeas.sh"),
    ]
    .map(|(says, binary)| Case::fires(says, runs(binary, ""), &["offensive-tool"]).severity("high"))
    .into();
    for name in ["nc", "les", "john", "persistence", "smbclient"] {
        let says = "an everyday name says little";
        cases.push(
            Case::fires(says, runs(&format!("/usr/bin/{name}"), "-h"), &["offensive-tool"]).severity("low"),
        );
    }
    let mut probe = Pod::own().exec("/bin/nc", "-z localhost 8080");
    probe["process_exec"]["process"]["pod"]["container"]["maybe_exec_probe"] = json!(true);
    cases.push(Case::quiet("a kubelet's probe", tetragon(&[probe])));
    cases.push(Case::quiet("searching for a tool is not running it", runs("/usr/bin/grep", "-r nmap /etc")));
    cases.push(Case::quiet("a program of a similar name", runs("/usr/bin/ncdu", "/srv")));
    cases
}

const RISK: &str = "\
uploads:
  schedules: [{days: [sun], hours: \"04:00-04:01\"}]
  pushers: [{principal: \"arn:aws:iam::*:role/ci/*\"}]";

/// The published ECR rules of 2026 no longer feed it.
pub fn seed_a10_risk_by_repository() -> Vec<Case> {
    let push = || at("put-image-unknown-user", "2026-03-03T14:05:00Z");
    let scan = |digest: &str, time: &str| {
        let digest = format!("sha256:{}", digest.repeat(64));
        let changes = [
            ("/detail/repository-name", json!("shop/checkout")),
            ("/detail/finding-severity-counts", json!({"HIGH": 2})),
            ("/detail/image-digest", json!(digest)),
            ("/time", json!(time)),
            ("/id", json!(format!("scan-{digest}"))),
            ("/resources", json!(["arn:aws:ecr:eu-central-1:111122223333:repository/shop/checkout"])),
        ];
        changed("ecr-image-scan-high", &changes)
    };
    let scans = || [scan("1", "2026-03-03T14:20:00Z"), scan("2", "2026-03-03T15:20:00Z")];
    const PARTS: [&str; 3] = ["ecr-push-outside-hours", "ecr-push-unknown-user", "ecr-scan-high"];
    const SUM: [&str; 4] =
        ["ecr-push-outside-hours", "ecr-push-unknown-user", "ecr-scan-high", "repository-risk"];
    let all = || scans().into_iter().chain([push()]).collect::<Vec<_>>();
    vec![
        Case::fires("four kinds, 238 in all, the push arriving last", all(), &SUM)
            .policy(RISK)
            .severity("high")
            .history(),
        Case::fires("three kinds", vec![scan("1", "2026-03-03T14:20:00Z"), push()], &PARTS)
            .policy(RISK)
            .history(),
        Case::fires(
            "in a day, not in two",
            vec![push(), scan("1", "2026-03-03T14:20:00Z"), scan("2", "2026-03-05T15:20:00Z")],
            &PARTS,
        )
        .policy(RISK)
        .history(),
        Case::fires("over a score of the policy's", all(), &PARTS)
            .policy(
                "uploads:
  schedules: [{days: [sun], hours: \"04:00-04:01\"}]
  pushers: [{principal: \"arn:aws:iam::*:role/ci/*\"}]
risk: {score: 500}",
            )
            .history(),
    ]
}
