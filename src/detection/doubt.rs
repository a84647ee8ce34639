//! Reasons for not being able to tell, with codes that stay the same for the same cause.

use super::Reason;

/// A look-up that could not be made. The code is `subject-cause`: `image-lookup-denied`.
pub fn unavailable(subject: &str, api: &str, reason: &str) -> Reason {
    Reason::new(format!("{subject}-{}", cause(reason)), format!("{api} could not answer: {reason}."))
}

/// The cause in one stable word, whatever words the look-up used for it.
fn cause(reason: &str) -> &'static str {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["denied", "unauthorized", "not authorized", "forbidden", "assume"]) {
        "denied"
    } else if has(&["throttl", "rate exceeded", "requestlimitexceeded", "too many requests"]) {
        "throttled"
    } else if has(&["out of time", "timed out", "timeout", "deadline"]) {
        "timed-out"
    } else if has(&["no file", "no recorded", "not recorded"]) {
        "not-recorded"
    } else {
        "failed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_gives_the_same_code() {
        let code = |reason| unavailable("image-lookup", "ec2:DescribeImages", reason).code;
        assert_eq!(code("AccessDenied"), "image-lookup-denied");
        assert_eq!(code("UnauthorizedOperation: not authorized to perform"), "image-lookup-denied");
        assert_eq!(code("throttled past retries"), "image-lookup-throttled");
        assert_eq!(code("out of time"), "image-lookup-timed-out");
        assert_eq!(code("no recorded facts of kind Images"), "image-lookup-not-recorded");
        assert_eq!(code("the connection was reset"), "image-lookup-failed");
    }
}
