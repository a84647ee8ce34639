//! The shapes that identifiers must have before they go into links, commands, ARNs and policy snippets.

/// `ami-0abc...`, `i-0abc...`, `snap-0abc...`: the prefix, then 8 or 17 hexadecimal digits.
pub fn resource(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|id| matches!(id.len(), 8 | 17) && id.bytes().all(lower_hex))
}

/// Twelve digits.
pub fn account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `eu-central-1`, `us-gov-west-1`.
pub fn region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    (3..=4).contains(&parts.len())
        && text.len() <= 32
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// A CloudTrail event id.
pub fn uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(lengths)
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// An ECR repository: lower-case words joined by `.`, `_`, `-` and `/`.
pub fn repository(text: &str) -> bool {
    (2..=256).contains(&text.len())
        && text.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
                })
        })
}

/// `sha256:` and 64 hexadecimal digits.
pub fn digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(lower_hex))
}

/// An ARN without anything that a shell, YAML or a pattern would read as more than text.
pub fn arn(text: &str) -> bool {
    text.starts_with("arn:aws")
        && text.len() <= 512
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b':' | b'/' | b'_' | b'.' | b'@' | b'+' | b'=' | b',' | b'-')
        })
}

fn lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}
