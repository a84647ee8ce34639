//! Tests of single names and patterns: `Err` says why a value can never match, and what to write instead.

use crate::detection::reference;
use crate::policy::pattern::catches_all;

/// What is wrong, and what to do about it.
pub type Test = Result<(), (String, String)>;

pub fn wrong(message: impl Into<String>, help: impl Into<String>) -> Test {
    Err((message.into(), help.into()))
}

/// An account id or one of the words that stand for accounts.
pub fn owner(text: &str, words: &[&str]) -> Test {
    if words.contains(&text) || is_account(text) {
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

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An account id, without patterns.
pub fn account(text: &str) -> Test {
    if is_account(text) {
        return Ok(());
    }
    wrong(format!("`{text}` is no account id"), "an account id is 12 digits; write it in quotes")
}

/// An account id, or a pattern of one.
pub fn account_pattern(pattern: &str) -> Test {
    let digits = pattern.bytes().filter(|byte| *byte != b'*').count();
    let fits = if pattern.contains('*') { digits <= 12 } else { digits == 12 };
    if fits
        && !pattern.is_empty()
        && pattern.bytes().all(|byte| byte.is_ascii_digit() || b"*?".contains(&byte))
    {
        return Ok(());
    }
    wrong(format!("`{pattern}` is no account id"), "an account id is 12 digits; write it in quotes")
}

/// `ami-` and the like with eight or seventeen hexadecimal digits.
pub fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

pub fn filled(text: &str) -> Test {
    if text.trim().is_empty() {
        return wrong("an empty text matches nothing", "write a name or a pattern, or take the entry out");
    }
    Ok(())
}

/// The name of a machine image, or a pattern of one.
pub fn image_name(pattern: &str) -> Test {
    filled(pattern)?;
    let known = |c: char| c.is_ascii_alphanumeric() || " ()[]./-'@_*?".contains(c);
    if let Some(strange) = pattern.chars().find(|c| !known(*c)) {
        return wrong(
            format!("`{pattern}` never matches: no AMI name holds `{}`", strange.escape_default()),
            "names hold letters, digits, spaces and ( ) [ ] . / - ' @ _; `*` and `?` stand for others",
        );
    }
    if pattern.chars().filter(|c| *c != '*').count() > 128 {
        return wrong("the pattern never matches: AMI names have at most 128 characters", "shorten it");
    }
    Ok(())
}

/// A watermark: the account that attached it, and its name.
pub fn watermark(text: &str) -> Test {
    match text.split_once(':') {
        Some((by, name)) if is_account(by) && !name.trim().is_empty() => Ok(()),
        _ => wrong(
            format!("`{text}` is no watermark"),
            "write the account and the name, as in `\"123456789012:golden-*\"`; a name alone anybody can choose",
        ),
    }
}

/// An Azure Marketplace publisher, or a pattern of one.
pub fn publisher(pattern: &str) -> Test {
    filled(pattern)?;
    if pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.*?".contains(&byte)) {
        return Ok(());
    }
    wrong(
        format!("`{pattern}` never matches: it is no publisher's id"),
        "write the publisher alone, as in `Canonical`, without offer and SKU",
    )
}

/// A Google Cloud project, or a pattern of one.
pub fn project(pattern: &str) -> Test {
    filled(pattern)?;
    let (domain, id) = pattern.rsplit_once(':').unwrap_or(("example.com", pattern));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-*?".contains(&byte);
    let sound = id.bytes().all(known)
        && !id.is_empty()
        && domain.bytes().all(|byte| known(byte) || byte == b'.')
        && pattern.bytes().filter(|byte| *byte != b'*').count() <= 128;
    if sound {
        return Ok(());
    }
    wrong(
        format!("`{pattern}` never matches: it is no project's id"),
        "write the id alone, as in `debian-cloud`, without `projects/`; `google` stands for Google's own projects",
    )
}

/// A repository of ECR, or a pattern of one.
pub fn repository(pattern: &str) -> Test {
    filled(pattern)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/*?".contains(&byte);
    let slashes = pattern.starts_with('/') || pattern.ends_with('/') || pattern.contains("//");
    if pattern.contains(".dkr.ecr.") || slashes || !pattern.bytes().all(allowed) {
        return wrong(
            format!("`{pattern}` matches no repository"),
            "write the repository's name alone, without registry or tag: `team/app`, `team/*`",
        );
    }
    Ok(())
}

/// A Kubernetes namespace, or a pattern of one.
pub fn namespace(pattern: &str) -> Test {
    filled(pattern)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-*?".contains(&byte);
    let edges = pattern.starts_with('-') || pattern.ends_with('-');
    if pattern.bytes().all(allowed) && !edges && pattern.bytes().filter(|byte| *byte != b'*').count() <= 63 {
        return Ok(());
    }
    wrong(
        format!("`{pattern}` never matches, so it restricts nothing: it is no Kubernetes namespace"),
        "namespaces hold small letters, digits and `-`, at most 63 characters",
    )
}

/// A program's file name, or a pattern of one.
pub fn program(name: &str) -> Test {
    filled(name)?;
    if name.contains(['/', '\\']) {
        return wrong(
            format!("`{name}` is a path"),
            "write the program's name alone: it is told by its name wherever it lies",
        );
    }
    if name.contains(char::is_whitespace) {
        return wrong(
            format!("`{name}` never matches: a program's name holds no arguments"),
            "write the program's name alone",
        );
    }
    if name.to_ascii_lowercase().ends_with(".exe") {
        return wrong(
            format!("`{name}` never matches: names are compared without `.exe`"),
            "leave `.exe` out",
        );
    }
    Ok(())
}

/// A container image: a registry, a namespace or a repository, with tag or digest or neither.
pub fn container_image(pattern: &str) -> Test {
    filled(pattern)?;
    if pattern.contains("://") {
        return wrong(
            format!("`{pattern}` is no image name"),
            "write it as in an image reference, without a scheme: `registry.example.com/team/*`",
        );
    }
    match reference::pattern_fault(pattern) {
        None => Ok(()),
        Some(why) => wrong(
            format!("`{pattern}` never matches: {why}"),
            "write it as in an image reference: `registry.example.com/team/*`, `team/app:1.2`, `team/app@sha256:...`",
        ),
    }
}

/// What a suppression may name as an image: a machine image, a container image or a digest.
pub fn any_image(pattern: &str) -> Test {
    filled(pattern)?;
    if pattern.starts_with("ami-") && !pattern.contains(['*', '?']) && !is_id(pattern, "ami-") {
        return wrong(
            format!("`{pattern}` is no AMI id"),
            "an id is `ami-` and 8 or 17 digits or letters a to f",
        );
    }
    match pattern.split_once('/') {
        Some((host, _)) if reference::is_host(host) => container_image(pattern),
        _ => Ok(()),
    }
}

/// Who acts: a role's ARN with its path, a user's, or the name of what is no ARN; or a pattern of one.
pub fn principal(pattern: &str) -> Test {
    const HELP: &str = "write the role's ARN with its path: `arn:aws:iam::*:role/ci/*`";
    filled(pattern)?;
    if catches_all(pattern) {
        return Ok(());
    }
    if pattern.contains(":assumed-role/") {
        return wrong(format!("`{pattern}` is a session, and principals are judged by their role"), HELP);
    }
    let never = |why: &str| wrong(format!("`{pattern}` never matches: {why}"), HELP);
    if !pattern.starts_with("arn:") {
        let part = ["role/", "user/"].iter().any(|kind| pattern.contains(kind));
        return if part || (pattern.starts_with('*') && pattern.contains(':')) {
            never("ARNs are matched field by field, and `*` does not cross a colon")
        } else {
            Ok(())
        };
    }
    // A path may hold colons.
    let fields: Vec<&str> = pattern.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = fields.as_slice() else {
        return never("an ARN has six fields, and `*` does not cross a colon");
    };
    let open = |text: &str| text.contains(['*', '?']);
    if !open(partition) && !partition.starts_with("aws") {
        return never("no partition is called so");
    }
    if !open(service) && !matches!(*service, "iam" | "sts") {
        return never("principals are ARNs of `iam`");
    }
    if !region.is_empty() && !catches_all(region) {
        return never("a principal's ARN names no region");
    }
    if !catches_all(account) && *account != "any" && account_pattern(account).is_err() {
        return never("its account is no id of 12 digits; `*` is the event's own account, `any` is any");
    }
    if resource.is_empty() {
        return never("it names no role and no user");
    }
    let kind = resource.split(['/', '*', '?']).next().unwrap_or_default();
    let whole = resource.get(kind.len()..).is_none_or(|rest| rest.is_empty() || rest.starts_with('/'));
    let kinds: &[&str] = match *service {
        "sts" => &["federated-user"],
        "iam" => &["role", "user", "root", "saml-provider", "oidc-provider"],
        _ => return Ok(()),
    };
    let known = if whole { kinds.contains(&kind) } else { kinds.iter().any(|known| known.starts_with(kind)) };
    if !known {
        return never(if *service == "sts" {
            "roles and users are ARNs of `iam`"
        } else {
            "only roles, users and the root user act"
        });
    }
    let bare = |name: &str| resource.strip_prefix("role/").is_some_and(|role| role.starts_with(name));
    if bare("AWSReservedSSO_") {
        return wrong(
            format!("`{pattern}` never matches: the path of Identity Center's roles is missing"),
            "write `role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_...`",
        );
    }
    if bare("AWSServiceRoleFor") {
        return wrong(
            format!("`{pattern}` never matches: the path of a service's role is missing"),
            "write `role/aws-service-role/SERVICE.amazonaws.com/AWSServiceRoleFor...`",
        );
    }
    let length = resource.chars().filter(|c| *c != '*').count();
    if resource.contains(char::is_control) || length > 600 || resource.contains("//") {
        return never("no role and no user is called so");
    }
    Ok(())
}
