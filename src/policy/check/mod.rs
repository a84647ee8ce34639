//! What the types cannot say: values that can never match, or would match everything.

mod names;

use super::listed::Listed;
use super::locate::Step;
use super::value::nearest;
use super::{Policy, Suppression, like};
pub(crate) use names::is_id;
use names::{Test, filled, owner, principal, repository, wrong};

/// One thing that is wrong with a value, by its path.
#[derive(Debug)]
pub(super) struct Complaint {
    pub path: Vec<Step>,
    /// It is the key that is wrong, not its value.
    pub at_key: bool,
    pub message: String,
    pub help: String,
}

/// Everything wrong with a policy, in the order of its keys.
pub(super) fn complaints(policy: &Policy, known: &[&str]) -> Vec<Complaint> {
    let mut found = Found(Vec::new());
    images(policy, &mut found);
    trusted(policy, &mut found);
    uploads(policy, &mut found);
    containers(policy, &mut found);
    amounts(policy, known, &mut found);
    for id in policy.detections.keys().filter(|id| !known.contains(&id.as_str())) {
        found.0.push(Complaint {
            path: vec!["detections".into(), id.as_str().into()],
            at_key: true,
            message: format!("there is no detection `{id}`"),
            help: detection_help(id, known),
        });
    }
    for (index, suppression) in policy.suppress.iter().enumerate() {
        suppress(suppression, index, known, &mut found);
    }
    found.0
}

struct Found(Vec<Complaint>);

impl Found {
    fn add(&mut self, path: Vec<Step>, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Complaint { path, at_key: false, message: message.into(), help: help.into() });
    }

    fn test(&mut self, path: Vec<Step>, test: Test) {
        if let Err((message, help)) = test {
            self.add(path, message, help);
        }
    }

    /// Applies a test to every entry of a list, and looks at what bounds it.
    fn listed(&mut self, at: Vec<Step>, key: &str, entries: &[Listed], test: impl Fn(&str) -> Test) {
        for (index, entry) in entries.iter().enumerate() {
            let here = below(&at, index);
            let value = if entry.is_bounded() { below(&here, key) } else { here.clone() };
            self.test(value, test(entry));
            self.accounts(&here, &entry.accounts);
        }
    }

    fn accounts(&mut self, entry: &[Step], accounts: &[String]) {
        for (index, account) in accounts.iter().enumerate() {
            self.test(below(&below(entry, "accounts"), index), names::account(account));
        }
    }

    fn tag(&mut self, entry: &[Step], key: &str, value: &str) {
        self.test(below(entry, "key"), filled(key));
        if key.chars().count() > 128 {
            self.add(
                below(entry, "key"),
                "it never matches: a tag's key has at most 128 characters",
                "shorten it",
            );
        }
        if value.chars().filter(|c| *c != '*').count() > 256 {
            self.add(
                below(entry, "value"),
                "it never matches: a tag's value has at most 256 characters",
                "shorten it",
            );
        }
    }

    /// Applies a test to every item of a list.
    fn each(&mut self, at: &[&str], items: &[String], test: impl Fn(&str) -> Test) {
        for (index, item) in items.iter().enumerate() {
            if let Err((message, help)) = test(item) {
                let mut path: Vec<Step> = at.iter().map(|key| (*key).into()).collect();
                path.push(index.into());
                self.add(path, message, help);
            }
        }
    }
}

const OWNERS: [&str; 3] = ["self", "amazon", "organization"];

fn images(policy: &Policy, found: &mut Found) {
    let approved = &policy.images.approved;
    let at = |list: &str| vec!["images".into(), "approved".into(), list.into()];
    found.listed(at("owners"), "owner", &approved.owners, |text| owner(text, &OWNERS));
    found.listed(at("ids"), "id", &approved.ids, |id| {
        if is_id(id, "ami-") {
            return Ok(());
        }
        wrong(
            format!("`{id}` is no AMI id"),
            "ids are exact: `ami-` and 8 or 17 digits or letters a to f; patterns belong in `names`",
        )
    });
    for (index, name) in approved.names.iter().enumerate() {
        let entry = below(&at("names"), index);
        found.test(below(&entry, "owner"), owner(&name.owner, &OWNERS));
        found.test(below(&entry, "pattern"), names::image_name(&name.pattern));
        found.accounts(&entry, &name.accounts);
    }
    for (index, tag) in approved.tags.iter().enumerate() {
        let entry = below(&at("tags"), index);
        found.tag(&entry, &tag.key, &tag.value);
        found.accounts(&entry, &tag.accounts);
    }
    found.listed(at("watermarks"), "watermark", &approved.watermarks, names::watermark);
    found.listed(at("azure_publishers"), "publisher", &approved.azure_publishers, names::publisher);
    found.listed(at("gcp_projects"), "project", &approved.gcp_projects, names::project);
    found.each(&["images", "ancestors"], &policy.images.ancestors, |text| {
        owner(text, &["self", "amazon", "organization", "vendors"])
    });
    for (index, builder) in policy.images.builders.iter().enumerate() {
        let entry: Vec<Step> = vec!["images".into(), "builders".into(), index.into()];
        found.test(below(&entry, "principal"), principal(&builder.principal));
        found.accounts(&entry, &builder.accounts);
    }
    if policy.images.max_age_days == Some(0) {
        found.add(
            vec!["images".into(), "max_age_days".into()],
            "no image is less than a day old for long",
            "write a number of days from 1 up, or leave the key out for no bound",
        );
    }
    for (index, tag) in policy.images.scope.tags.iter().enumerate() {
        let entry: Vec<Step> = vec!["images".into(), "scope".into(), "tags".into(), index.into()];
        found.tag(&entry, &tag.key, &tag.value);
    }
    found.each(&["images", "scope", "subnets"], &policy.images.scope.subnets, |id| {
        if is_id(id, "subnet-") {
            return Ok(());
        }
        wrong(
            format!("`{id}` is no subnet id"),
            "ids are exact: `subnet-` and 8 or 17 digits or letters a to f",
        )
    });
}

/// The path of what is below another.
fn below(path: &[Step], step: impl Into<Step>) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(step.into());
    path
}

fn trusted(policy: &Policy, found: &mut Found) {
    let trusted = &policy.user_data.trusted;
    found.each(&["user_data", "trusted", "hosts"], &trusted.hosts, |host| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if name.split('.').all(label) {
            return Ok(());
        }
        wrong(
            format!("`{host}` is no host name"),
            "write a name such as `mirror.example.com` or `*.example.com`, without scheme, port or path",
        )
    });
    found.each(&["user_data", "trusted", "buckets"], &trusted.buckets, |bucket| {
        let name = bucket.strip_suffix('*').unwrap_or(bucket);
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if !name.is_empty() && name.bytes().all(allowed) {
            return Ok(());
        }
        wrong(
            format!("`{bucket}` is no bucket name"),
            "write a name such as `my-artifacts`, or its beginning and `*`, without `s3://` or a path",
        )
    });
}

fn uploads(policy: &Policy, found: &mut Found) {
    let entries = policy.uploads.schedules.iter().map(|schedule| {
        ("schedules", &schedule.repositories, schedule.principals.as_slice(), Some("principals"))
    });
    let pushers = policy
        .uploads
        .pushers
        .iter()
        .map(|pusher| ("pushers", &pusher.repositories, std::slice::from_ref(&pusher.principal), None));
    let entries = entries.enumerate().chain(pushers.enumerate());
    for (index, (list, repositories, principals, principals_key)) in entries {
        let at = |key: &str| vec!["uploads".into(), list.into(), index.into(), key.into()];
        let mut lists = vec![("repositories", repositories.as_slice())];
        lists.extend(principals_key.map(|key| (key, principals)));
        for (key, patterns) in lists {
            if patterns.is_empty() {
                found.add(
                    at(key),
                    "an empty list matches nothing, so the entry would never apply",
                    "write [\"*\"], or leave the key out, for all of them",
                );
            }
        }
        for (position, pattern) in repositories.iter().enumerate() {
            if let Err((message, help)) = repository(pattern) {
                let mut path = at("repositories");
                path.push(position.into());
                found.add(path, message, help);
            }
        }
        for (position, pattern) in principals.iter().enumerate() {
            if let Err((message, help)) = principal(pattern) {
                let mut path = at(principals_key.unwrap_or("principal"));
                if principals_key.is_some() {
                    path.push(position.into());
                }
                found.add(path, message, help);
            }
        }
    }
}

fn containers(policy: &Policy, found: &mut Found) {
    let containers = &policy.containers;
    found.each(&["containers", "registries"], &containers.registries, names::container_image);
    found.each(&["containers", "suspicious_binaries"], &containers.suspicious_binaries, names::program);
    let namespaces = &containers.namespaces;
    found.each(&["containers", "namespaces", "internal_only"], &namespaces.internal_only, names::namespace);
    found.each(&["containers", "namespaces", "fixed_tags"], &namespaces.fixed_tags, names::namespace);
}

fn amounts(policy: &Policy, known: &[&str], found: &mut Found) {
    if policy.notify.storm.after == 0 {
        found.add(
            vec!["notify".into(), "storm".into(), "after".into()],
            "with 0 no alert is published singly",
            "write how many alerts of one detection are published before they become a summary, from 1 up",
        );
    }
    if usize::try_from(policy.risk.distinct).is_ok_and(|distinct| distinct >= known.len()) {
        found.add(
            vec!["risk".into(), "distinct".into()],
            format!("there are no more than {} detections, so that no repository is ever told", known.len()),
            "write a smaller number, such as `3`",
        );
    }
}

fn suppress(suppression: &Suppression, index: usize, known: &[&str], found: &mut Found) {
    let at = |key: &str| vec!["suppress".into(), index.into(), key.into()];
    let pattern = suppression.detection.as_str();
    if !known.iter().any(|id| like(pattern, id)) {
        found.add(
            at("detection"),
            format!("no detection matches `{pattern}`"),
            detection_help(pattern, known),
        );
    }
    let tests = [
        ("repository", suppression.repository.as_deref().map(repository)),
        ("image", suppression.image.as_deref().map(names::any_image)),
        ("principal", suppression.principal.as_deref().map(principal)),
        ("account", suppression.account.as_deref().map(names::account_pattern)),
    ];
    for (key, outcome) in tests {
        if let Some(Err((message, help))) = outcome {
            found.add(at(key), message, help);
        }
    }
    if suppression.reason.trim().is_empty() {
        found.add(
            at("reason"),
            "a suppression says why it is there",
            "write a sentence that still makes sense in a year",
        );
    }
}

fn detection_help(word: &str, known: &[&str]) -> String {
    let hint = nearest(word, known.iter().copied())
        .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    format!("{hint}`imagewarden detections` lists them all")
}
