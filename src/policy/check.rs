//! What the types cannot say: values that can never match, or would match everything.

use super::locate::Step;
use super::value::nearest;
use super::{Policy, Suppression, like};

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

    /// Applies a test to every item of a list.
    fn each(&mut self, at: &[&str], items: &[String], test: impl Fn(&str) -> Result<(), (String, String)>) {
        for (index, item) in items.iter().enumerate() {
            if let Err((message, help)) = test(item) {
                let mut path: Vec<Step> = at.iter().map(|key| (*key).into()).collect();
                path.push(index.into());
                self.add(path, message, help);
            }
        }
    }
}

type Test = Result<(), (String, String)>;

fn wrong(message: impl Into<String>, help: impl Into<String>) -> Test {
    Err((message.into(), help.into()))
}

fn images(policy: &Policy, found: &mut Found) {
    let approved = &policy.images.approved;
    found.each(&["images", "approved", "owners"], &approved.owners, |text| owner(text, &["self", "amazon"]));
    found.each(&["images", "approved", "ids"], &approved.ids, |id| {
        if is_id(id, "ami-") {
            return Ok(());
        }
        wrong(
            format!("`{id}` is no AMI id"),
            "ids are exact: `ami-` and 8 or 17 digits or letters a to f; patterns belong in `names`",
        )
    });
    for (index, name) in approved.names.iter().enumerate() {
        let at =
            |key: &str| vec!["images".into(), "approved".into(), "names".into(), index.into(), key.into()];
        if let Err((message, help)) = owner(&name.owner, &["self", "amazon"]) {
            found.add(at("owner"), message, help);
        }
        if let Err((message, help)) = filled(&name.pattern) {
            found.add(at("pattern"), message, help);
        }
    }
    for (key, tags) in [
        (&["images", "approved", "tags"], &approved.tags),
        (&["images", "scope", "tags"], &policy.images.scope.tags),
    ] {
        for (index, tag) in tags.iter().enumerate() {
            if let Err((message, help)) = filled(&tag.key) {
                let mut path: Vec<Step> = key.iter().map(|key| (*key).into()).collect();
                path.extend([index.into(), "key".into()]);
                found.add(path, message, help);
            }
        }
    }
    found.each(&["images", "approved", "azure_publishers"], &approved.azure_publishers, filled);
    found.each(&["images", "approved", "gcp_projects"], &approved.gcp_projects, filled);
    found.each(&["images", "ancestors"], &policy.images.ancestors, |text| {
        owner(text, &["self", "amazon", "vendors"])
    });
    if policy.images.max_age_days == Some(0) {
        found.add(
            vec!["images".into(), "max_age_days".into()],
            "no image is less than a day old for long",
            "write a number of days from 1 up, or leave the key out for no bound",
        );
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
    found.each(&["containers", "registries"], &containers.registries, |pattern| {
        if pattern.contains("://") {
            return wrong(
                format!("`{pattern}` is no image name"),
                "write it as in an image reference, without a scheme: `registry.example.com/team/*`",
            );
        }
        filled(pattern)
    });
    found.each(&["containers", "suspicious_binaries"], &containers.suspicious_binaries, |name| {
        if name.contains('/') {
            return wrong(
                format!("`{name}` is a path"),
                "write the program's name alone: it is told by its name wherever it lies",
            );
        }
        filled(name)
    });
    found.each(&["containers", "namespaces", "internal_only"], &containers.namespaces.internal_only, filled);
    found.each(&["containers", "namespaces", "fixed_tags"], &containers.namespaces.fixed_tags, filled);
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
    let account = |pattern: &str| {
        if !pattern.is_empty() && pattern.bytes().all(|byte| byte.is_ascii_digit() || b"*?".contains(&byte)) {
            return Ok(());
        }
        wrong(format!("`{pattern}` is no account id"), "an account id is 12 digits; write it in quotes")
    };
    let tests = [
        ("repository", suppression.repository.as_deref().map(repository)),
        ("image", suppression.image.as_deref().map(filled)),
        ("principal", suppression.principal.as_deref().map(principal)),
        ("account", suppression.account.as_deref().map(account)),
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

/// An account id or one of the words that stand for accounts.
fn owner(text: &str, words: &[&str]) -> Test {
    if words.contains(&text) || (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(());
    }
    let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let or = format!("write an account id of 12 digits in quotes, or {}", listed.join(", "));
    match text {
        "aws-marketplace" | "aws-backup-vault" => wrong(
            format!("`{text}` is an alias that many sellers share, and approves nobody"),
            format!("list the seller's account: {or}"),
        ),
        "vendors" => wrong("`vendors` holds for `images.ancestors` only", or),
        _ => wrong(format!("`{text}` is no account"), or),
    }
}

/// `ami-` and the like with eight or seventeen hexadecimal digits.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

fn filled(text: &str) -> Test {
    if text.trim().is_empty() {
        return wrong("an empty text matches nothing", "write a name or a pattern, or take the entry out");
    }
    Ok(())
}

fn repository(pattern: &str) -> Test {
    filled(pattern)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/*?".contains(&byte);
    if pattern.contains(".dkr.ecr.") || !pattern.bytes().all(allowed) {
        return wrong(
            format!("`{pattern}` matches no repository"),
            "write the repository's name alone, without registry or tag: `team/app`, `team/*`",
        );
    }
    Ok(())
}

fn principal(pattern: &str) -> Test {
    filled(pattern)?;
    if pattern.contains(":assumed-role/") {
        return wrong(
            format!("`{pattern}` is a session, and principals are judged by their role"),
            "write the role's ARN with its path: `arn:aws:iam::*:role/ci/*`",
        );
    }
    Ok(())
}
