//! What every AWS client here has in common: configuration, and what a failed call means.

mod config;
mod failure;

pub use config::{SetupError, load};
pub use failure::{Cause, Failure, RoleNotAssumed};

/// A client for S3. A bucket is no host name where the endpoint is a given one.
pub fn s3(sdk: &aws_config::SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(sdk.endpoint_url().is_some());
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Whether a text has the shape of an account id: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text has the shape of a region's name. Events name the region, and it becomes part of a
/// host name: nothing else may pass.
pub fn is_region(text: &str) -> bool {
    (4..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The region and account of an ARN, where it has them: `arn:aws:sns:eu-central-1:111122223333:alerts`.
pub fn arn_place(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.split(':');
    let (arn, _partition, _service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account) = (parts.next()?, parts.next()?);
    parts.next()?;
    (arn == "arn" && is_region(region) && is_account(account)).then_some((region, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_cannot_smuggle_a_host() {
        for good in ["eu-central-1", "us-gov-west-1", "us-isob-east-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "eu", "evil.example", "eu-central-1/", "a@b-c-1", "EU-CENTRAL-1", "1-eu-west"] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn an_arn_tells_where_its_resource_lives() {
        assert_eq!(
            arn_place("arn:aws-cn:sns:cn-north-1:111122223333:alerts"),
            Some(("cn-north-1", "111122223333"))
        );
        for bad in ["alerts", "arn:aws:sns:eu-central-1:111122223333", "arn:aws:s3:::bucket"] {
            assert_eq!(arn_place(bad), None, "{bad}");
        }
    }
}
