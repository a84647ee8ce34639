//! MITRE's two analytics, and each of their knobs: turned one way it fires, turned the other it does not.

use serde_json::{Value, json};

use super::Case;
use super::build::*;

const FOREIGN: Pod = Pod::of("docker.io/quickdata/importer:latest");
const CHAIN: &[&str] = &["container-first-activity", "container-image-not-approved"];
const IMAGE: &[&str] = &["container-image-not-approved"];

/// Created and started, and some minutes later something is run in it.
fn story(pod: Pod, namespace: &str, binary: &str, time: &str) -> Vec<Value> {
    vec![
        delivery(
            AUDIT,
            &[pod.created(namespace, "2026-03-06T09:00:01Z"), pod.started(namespace, "2026-03-06T09:00:03Z")],
        ),
        delivery(TETRAGON, &[pod.exec_at(binary, "--version", time)]),
    ]
}

const SOON: &str = "2026-03-06T09:04:00Z";

pub fn seed_an0691_container_first_activity() -> Vec<Case> {
    let told = || story(FOREIGN, "shop", "/usr/bin/wget", SOON);
    let mut late = told();
    late.reverse();
    vec![
        Case::fires("started, then `wget`", told(), CHAIN).history(),
        Case::fires("in whatever order it arrives", late, CHAIN).history(),
        Case::fires(
            "GuardDuty's finding, the task's start and the pull before it, backwards",
            chain("container-first-activity"),
            &["container-first-activity", "container-image-not-approved"],
        )
        .severity("critical")
        .history(),
        Case::fires("a task that only starts", chain("container-first-activity")[1..].to_vec(), IMAGE)
            .history(),
    ]
}

pub fn seed_an0691_image_registry_allow_list() -> Vec<Case> {
    let told = || story(FOREIGN, "shop", "/usr/bin/wget", SOON);
    vec![
        Case::fires("unlisted", told(), CHAIN).history(),
        Case::quiet("listed", told())
            .policy("containers: {registries: [\"docker.io/quickdata/*\"]}")
            .history(),
        Case::quiet("the account's own", story(Pod::own(), "shop", "/usr/bin/wget", SOON)).history(),
    ]
}

pub fn seed_an0691_time_window() -> Vec<Case> {
    let told = || story(FOREIGN, "shop", "/usr/bin/wget", "2026-03-06T09:20:00Z");
    vec![
        Case::fires("twenty minutes later, of fifteen", told(), IMAGE).history(),
        Case::fires("twenty minutes later, of thirty", told(), CHAIN)
            .policy("containers: {window: 30m}")
            .history(),
        Case::fires("four minutes later, of one", story(FOREIGN, "shop", "/usr/bin/wget", SOON), IMAGE)
            .policy("containers: {window: 1m}")
            .history(),
    ]
}

pub fn seed_an0691_suspicious_binaries() -> Vec<Case> {
    let runs = |binary: &str| story(FOREIGN, "shop", binary, SOON);
    let mut cases: Vec<Case> =
        ["bash", "sh", "curl", "wget", "python", "python3", "perl", "powershell", "pwsh"]
            .into_iter()
            .map(|name| {
                Case::fires("on the list as shipped", runs(&format!("/usr/bin/{name}")), CHAIN).history()
            })
            .collect();
    for name in ["nc", "ncat"] {
        let told = &["container-first-activity", "container-image-not-approved", "offensive-tool"];
        cases.push(Case::fires("also a tool", runs(&format!("/usr/bin/{name}")), told).history());
    }
    cases.push(Case::fires("not on the list", runs("/usr/bin/ruby"), IMAGE).history());
    cases.push(
        Case::fires("on the policy's own", runs("/usr/bin/ruby"), CHAIN)
            .policy("containers: {suspicious_binaries: [ruby]}")
            .history(),
    );
    cases.push(
        Case::fires("no longer on it", runs("/usr/bin/wget"), IMAGE)
            .policy("containers: {suspicious_binaries: [ruby]}")
            .history(),
    );
    cases
}

pub fn seed_an0691_namespace_scope() -> Vec<Case> {
    let listed = Pod::of("docker.io/library/nginx:1.27");
    let pod = |namespace: &str| vec![delivery(AUDIT, &[listed.created(namespace, SOON)])];
    const INTERNAL: &str = "containers: {registries: [docker.io], namespaces: {internal_only: [\"pay*\"]}}";
    const FIXED: &str = "containers: {registries: [docker.io], namespaces: {fixed_tags: [\"prod-*\"]}}";
    vec![
        Case::fires("from the Internet into a namespace that may not", pod("payments"), IMAGE)
            .policy(INTERNAL)
            .severity("medium"),
        Case::quiet("into any other", pod("web")).policy(INTERNAL),
        Case::fires("a tag where tags are fixed", pod("prod-web"), &["container-image-mutable-tag"])
            .policy(FIXED),
        Case::quiet("a tag elsewhere", pod("web")).policy(FIXED),
    ]
}

pub fn seed_an0691_outbound_cidr_block_list() -> Vec<Case> {
    let goes = |address: &str| tetragon(&[Pod::own().connects("/usr/bin/server", address, 443)]);
    const BLOCKED: &str = "containers: {blocked_destinations: [\"198.51.100.0/24\"]}";
    vec![
        Case::fires("a forbidden network", goes("198.51.100.7"), &["blocked-destination"])
            .policy(BLOCKED)
            .severity("medium"),
        Case::quiet("the network beside it", goes("198.51.101.7")).policy(BLOCKED),
        Case::quiet("nothing is forbidden", goes("198.51.100.7")),
    ]
}

/// A digest that was never seen, and an egress that is new, once the account is known for a week.
pub fn seed_an0691_new_digest_and_new_egress() -> Vec<Case> {
    let week = "2026-02-26T09:00:05Z";
    let now = "2026-03-06T09:00:05Z";
    let other = Pod { digest: 'c', ..Pod::own() };
    let ran = |pod: Pod, time| pod.exec_at("/opt/server", "", time);
    let goes = |address, time| Pod::own().connects_at("/opt/server", address, 443, time);
    vec![
        Case::fires(
            "a new digest",
            tetragon(&[ran(Pod::own(), week), ran(other, now)]),
            &["container-image-newly-seen"],
        )
        .history(),
        Case::quiet("the same digest", tetragon(&[ran(Pod::own(), week), ran(Pod::own(), now)])).history(),
        Case::quiet(
            "within the first week",
            tetragon(&[ran(Pod::own(), "2026-03-03T09:00:05Z"), ran(other, now)]),
        )
        .history(),
        Case::fires(
            "somewhere new",
            tetragon(&[goes("198.51.100.7", week), goes("203.0.113.7", now)]),
            &["new-destination"],
        )
        .history(),
        Case::quiet("somewhere known", tetragon(&[goes("198.51.100.7", week), goes("198.51.100.9", now)]))
            .history(),
    ]
}

const NOT_APPROVED: &[&str] = &["machine-image-not-approved"];
const BOOT: &[&str] = &["first-boot-activity", "machine-image-not-approved", "mining-pool-dns"];

pub fn seed_an0692_first_boot_activity() -> Vec<Case> {
    let events = || chain("first-boot-activity");
    let mut in_order = events();
    in_order.rotate_left(1);
    vec![
        Case::fires("a query, the launch, a finding, as they arrive", events(), BOOT)
            .severity("critical")
            .history(),
        Case::fires("in another order", in_order, BOOT).severity("critical").history(),
        Case::fires("the launch alone", events()[1..2].to_vec(), NOT_APPROVED).history(),
        Case::fires("of an approved image only the query is told", events(), &["mining-pool-dns"])
            .policy("images: {approved: {owners: [self, amazon, \"777788889999\"]}}")
            .history(),
    ]
}

pub fn seed_an0692_approved_image_catalog() -> Vec<Case> {
    let ubuntu = || vec![sample("run-instances-ubuntu")];
    let own = || vec![sample("run-instances-own-image")];
    let partner = || vec![sample("run-instances-allowed-images-setting")];
    vec![
        Case::fires("a distributor is not approved unasked", ubuntu(), NOT_APPROVED).severity("high"),
        Case::quiet("by owner", ubuntu())
            .policy("images: {approved: {owners: [self, amazon, \"099720109477\"]}}"),
        Case::quiet("by id", ubuntu()).policy("images: {approved: {ids: [ami-06dad4d09681c75d6]}}"),
        Case::quiet("by name within an owner", ubuntu())
            .policy("images: {approved: {names: [{owner: \"099720109477\", pattern: \"ubuntu/images/*\"}]}}"),
        Case::fires("the name within another owner approves nothing", ubuntu(), NOT_APPROVED)
            .policy("images: {approved: {names: [{owner: \"444455556666\", pattern: \"ubuntu/images/*\"}]}}"),
        Case::fires("not even an own image, where nobody is approved", own(), NOT_APPROVED)
            .policy("images: {approved: {owners: []}}"),
        Case::quiet("an own image by its tag", own())
            .policy("images: {approved: {owners: [], tags: [{key: approved, value: \"true\"}]}}"),
        Case::fires("an own image with another tag", own(), NOT_APPROVED)
            .policy("images: {approved: {owners: [], tags: [{key: approved, value: \"2027\"}]}}"),
        Case::quiet("young enough", own()).policy("images: {max_age_days: 30}"),
        Case::fires("too old", own(), NOT_APPROVED).policy("images: {max_age_days: 20}"),
        Case::quiet("deprecated, which is allowed", own()),
        Case::fires("deprecated, which is told", own(), NOT_APPROVED).policy("images: {deprecated: alert}"),
        Case::quiet("the account's Allowed AMIs setting admits it", partner()),
        Case::fires("the setting is ignored", partner(), NOT_APPROVED)
            .policy("images: {allowed_images_setting: ignore}"),
        Case::quiet("an own image on a distributor's", vec![sample("run-instances-own-image-on-ubuntu")]),
        Case::fires(
            "no distributor may stand behind an own image",
            vec![sample("run-instances-own-image-on-ubuntu")],
            &["machine-image-laundered"],
        )
        .policy("images: {ancestors: []}"),
    ]
}

/// An image that nobody launched before, once the account is known for a week.
pub fn seed_an0692_newly_seen_image() -> Vec<Case> {
    let first = || at("run-instances-amazon-linux", "2026-02-20T10:15:00Z");
    vec![
        Case::fires(
            "another image",
            vec![first(), sample("run-instances-own-image")],
            &["machine-image-newly-seen"],
        )
        .history(),
        Case::quiet("the same again", vec![first(), sample("run-instances-amazon-linux")]).history(),
        Case::quiet("an account that is watched since today", vec![sample("run-instances-own-image")])
            .history(),
    ]
}

pub fn seed_an0692_user_data_inspection() -> Vec<Case> {
    let miner = || vec![sample("run-instances-user-data-miner")];
    let honest = || vec![sample("run-instances-own-image")];
    vec![
        Case::fires("scored", miner(), &["user-data-suspicious"]).severity("critical"),
        Case::quiet("off", miner()).policy("user_data: {inspection: off}"),
        Case::quiet("an honest script, scored", honest()),
        Case::fires("an honest script, judged strictly", honest(), &["user-data-suspicious"])
            .policy("user_data: {inspection: strict}"),
    ]
}

pub fn seed_an0692_first_boot_window() -> Vec<Case> {
    let until = |minutes: &str| {
        let mut events = chain("first-boot-activity");
        events.truncate(2);
        let time = format!("2026-03-03T10:{minutes}:00Z");
        events[0]["query_timestamp"] = json!(time);
        events
    };
    const APART: &[&str] = &["machine-image-not-approved", "mining-pool-dns"];
    vec![
        Case::fires("ten minutes after the start, of thirty", until("25"), BOOT).history(),
        Case::fires("forty minutes after the start, of thirty", until("55"), APART).history(),
        Case::fires("forty minutes after the start, of an hour", until("55"), BOOT)
            .policy("first_boot_window: 1h")
            .history(),
        Case::fires("ten minutes after the start, of five", until("25"), APART)
            .policy("first_boot_window: 5m")
            .history(),
    ]
}

pub fn seed_an0692_vm_tag_scope() -> Vec<Case> {
    let launch = || vec![sample("run-instances-community-ami")];
    vec![
        Case::fires("everything", launch(), NOT_APPROVED),
        Case::quiet("tagged otherwise", launch())
            .policy("images: {scope: {tags: [{key: env, value: production}]}}"),
        Case::fires("tagged so", launch(), NOT_APPROVED)
            .policy("images: {scope: {tags: [{key: Name, value: \"render-*\"}]}}"),
        Case::quiet("in another subnet", launch())
            .policy("images: {scope: {subnets: [subnet-0123456789abcdef0]}}"),
        Case::fires("in the subnet", launch(), NOT_APPROVED)
            .policy("images: {scope: {subnets: [subnet-0a08a0fcbdeafd3c1]}}"),
    ]
}
