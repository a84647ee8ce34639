//! What may stand in a command that a person is asked to type.
//!
//! Names in events belong to the attacker. A value goes into a command only when it has exactly the
//! shape AWS gives such values, and none of these shapes holds a character that a shell would mind. A
//! value of another shape costs the command, never the alert.

/// `ami-0123456789abcdef0`
pub fn image(text: &str) -> Option<&str> {
    resource(text, "ami-")
}

/// `i-0123456789abcdef0`
pub fn instance(text: &str) -> Option<&str> {
    resource(text, "i-")
}

/// `snap-0123456789abcdef0`
pub fn snapshot(text: &str) -> Option<&str> {
    resource(text, "snap-")
}

fn resource<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let id = text.strip_prefix(prefix)?;
    let fits = (8..=17).contains(&id.len()) && id.bytes().all(|byte| hex(byte, true));
    fits.then_some(text)
}

/// Twelve digits.
pub fn account(text: &str) -> Option<&str> {
    (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// `eu-central-1`
pub fn region(text: &str) -> Option<&str> {
    let (words, number) = text.rsplit_once('-')?;
    let fits = text.len() <= 32
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words.contains('-')
        && words
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
    fits.then_some(text)
}

/// `team/app`, as ECR allows it.
pub fn repository(text: &str) -> Option<&str> {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = starts
        && text.len() <= 256
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte));
    fits.then_some(text)
}

/// `sha256:` and 64 hexadecimal digits.
pub fn digest(text: &str) -> Option<&str> {
    let id = text.strip_prefix("sha256:")?;
    (id.len() == 64 && id.bytes().all(|byte| hex(byte, false))).then_some(text)
}

/// An image tag, as OCI allows it.
pub fn tag(text: &str) -> Option<&str> {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let fits = starts
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    fits.then_some(text)
}

/// The name or path of an AWS resource: letters, digits and what no shell minds.
pub fn name(text: &str) -> Option<&str> {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let fits = starts
        && text.len() <= 512
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte));
    fits.then_some(text)
}

/// A Kubernetes namespace or pod.
pub fn kubernetes(text: &str) -> Option<&str> {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = text.len() <= 253
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
    fits.then_some(text)
}

/// An ECS task's ARN with its cluster: `arn:aws:ecs:eu-central-1:111122223333:task/shop/0123abcd`.
pub fn task(text: &str) -> Option<&str> {
    let (_, path) = text.split_once(":task/")?;
    let fits = text.starts_with("arn:aws")
        && text.len() <= 400
        && path.split('/').count() == 2
        && path.split('/').all(|part| part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte));
    fits.then_some(text)
}

/// An IAM principal's ARN, for policy snippets.
pub fn principal(text: &str) -> Option<&str> {
    let fits = text.starts_with("arn:aws")
        && text.len() <= 600
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_+=,.@-".contains(&byte));
    fits.then_some(text)
}

fn hex(byte: u8, any_case: bool) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || (any_case && (b'A'..=b'F').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_hands_out_fits() {
        assert!(image("ami-029eb80bc237bec6f").is_some());
        assert!(image("ami-1a2b3c4d").is_some());
        assert!(image("ami-").is_none() && image("ami-012345678901234567").is_none());
        assert!(instance("i-0dbc91f429e48eeed").is_some());
        assert!(region("us-gov-east-1").is_some());
        assert!(region("eusc-de-east-1").is_some());
        assert!(repository("team/app.v2_x-1").is_some());
        assert!(tag("1.2.3-rc_1").is_some());
        assert!(digest(&format!("sha256:{}", "0f".repeat(32))).is_some());
        assert!(account("012345678901").is_some());
        assert!(principal("arn:aws-cn:iam::111122223333:role/ci/build").is_some());
    }

    #[test]
    fn names_cannot_pass_for_options() {
        assert_eq!(task("arn:aws:ecs:r:1:task/-a/b"), None);
        assert!(task("arn:aws:ecs:eu-central-1:111122223333:task/shop/0123abcd").is_some());
        assert_eq!(kubernetes("-n"), None);
        assert_eq!(kubernetes("web-1"), Some("web-1"));
    }

    #[test]
    fn nothing_that_a_shell_would_mind_fits() {
        for evil in [
            "ami-0;reboot",
            "ami-$(id)0000",
            "",
            "-rf",
            "a b",
            "`id`",
            "x'y",
            "ami-0123\n4567",
            "ｅu-central-1",
            "eu-central-1;",
            "--profile=x",
            "sha256:zz",
            "a\0b",
            "arn:aws:x y",
            "arn:aws:ecs:r:1:task/a/b;id",
        ] {
            for check in [
                image, instance, snapshot, account, region, repository, digest, tag, principal, kubernetes,
                task,
            ] {
                assert_eq!(check(evil), None, "{evil:?}");
            }
        }
    }
}
