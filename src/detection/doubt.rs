//! Reasons for not being able to tell, with codes that stay the same for the same cause.

use super::Reason;
use crate::lookup::Missing;

/// A look-up that could not be made. The code is `subject-cause`: `image-lookup-denied`.
pub fn unavailable(subject: &str, api: &str, missing: &Missing) -> Reason {
    let Missing { cause, reason } = missing;
    Reason::new(format!("{subject}-{}", cause.code()), format!("{api} could not answer: {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Cause;

    #[test]
    fn the_code_names_the_cause_whatever_the_words() {
        let code =
            |cause| unavailable("image-lookup", "ec2:DescribeImages", &Missing::new(cause, "no answer")).code;
        assert_eq!(code(Cause::Denied), "image-lookup-denied");
        assert_eq!(code(Cause::Throttled), "image-lookup-throttled");
        assert_eq!(code(Cause::OutOfTime), "image-lookup-timed-out");
        assert_eq!(code(Cause::NotRecorded), "image-lookup-not-recorded");
        assert_eq!(code(Cause::Failing), "image-lookup-failed");
        assert_eq!(code(Cause::Other), "image-lookup-failed");
    }
}
