//! What a failed call means, in words that are the same for the same cause.

use std::any::Any;
use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The role of `LOOKUP_ROLE_NAME` could not be assumed. Travels inside a [`CredentialsError`].
#[derive(Debug, thiserror::Error)]
#[error("the role could not be assumed: {reason}")]
pub struct RoleNotAssumed {
    pub reason: String,
    /// The same request may succeed later: STS was throttled or out of reach.
    pub passing: bool,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    Denied,
    Throttled,
    OutOfTime,
    Unreachable,
    /// No credentials, or expired or unknown ones.
    Credentials,
    /// [`RoleNotAssumed`], with what STS said.
    Role {
        reason: String,
        passing: bool,
    },
    /// The service failed or its answer could not be read: its error code, or what was wrong.
    Service(String),
    /// The service's own error code, or nothing better than `unknown`.
    Other(String),
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// The service's error code, where it answered.
    pub code: Option<String>,
    /// What the service said, for logs: holds ids.
    pub detail: String,
}

impl Failure {
    /// Reads an SDK error.
    pub fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let code = error.code().filter(|code| is_code(code)).map(str::to_owned);
        let cause = match (&code, error) {
            (Some(code), _) => match of_code(code) {
                Cause::Other(code) if status(error) >= 500 => Cause::Service(code),
                cause => cause,
            },
            (None, SdkError::TimeoutError(_)) => Cause::OutOfTime,
            (None, SdkError::DispatchFailure(failure)) if failure.is_timeout() => Cause::OutOfTime,
            (None, other) => of_chain(other).unwrap_or_else(|| match other {
                SdkError::DispatchFailure(_) => Cause::Unreachable,
                // Gateways say 502 to 504. A service that has trouble gives it a name; a plain 500 comes from
                // endpoints that do not know the call, and will not know it later.
                SdkError::ServiceError(_) if (502..=504).contains(&status(other)) => {
                    Cause::Service("an error without a code".to_owned())
                }
                SdkError::ResponseError(_) if status(other) != 500 => {
                    Cause::Service("an unreadable response".to_owned())
                }
                SdkError::ResponseError(_) => Cause::Other("an unreadable response".to_owned()),
                SdkError::ServiceError(_) => Cause::Other("an error without a code".to_owned()),
                _ => Cause::Other("an error of its own making".to_owned()),
            }),
        };
        let detail = error.message().map_or_else(|| chain(error), str::to_owned);
        Failure { cause, code, detail }
    }

    /// For people: no ids, no request ids.
    pub fn reason(&self) -> String {
        match &self.cause {
            Cause::Denied => "access denied".to_owned(),
            Cause::Throttled => "throttled, and still after several tries".to_owned(),
            Cause::OutOfTime => "out of time".to_owned(),
            Cause::Unreachable => "no connection".to_owned(),
            Cause::Credentials => "no valid credentials".to_owned(),
            Cause::Role { reason, .. } => {
                format!("the role of LOOKUP_ROLE_NAME cannot be assumed in the event's account ({reason})")
            }
            Cause::Service(what) | Cause::Other(what) => format!("failed with {what}"),
        }
    }

    /// Whether the same call may succeed a minute later, with nothing changed by anybody.
    pub fn passing(&self) -> bool {
        match &self.cause {
            Cause::Throttled | Cause::OutOfTime | Cause::Unreachable | Cause::Service(_) => true,
            Cause::Role { passing, .. } => *passing,
            Cause::Denied | Cause::Credentials | Cause::Other(_) => false,
        }
    }

    /// The same with the call's name: `ssm:GetParameter: access denied`.
    pub fn of_call<E, R>(api: &str, error: &SdkError<E, R>) -> String
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        format!("{api}: {}", Self::of(error).reason())
    }
}

/// The answer's HTTP status; 0 where there was none.
fn status<E, R: 'static>(error: &SdkError<E, R>) -> u16 {
    let response = error.raw_response().and_then(|raw| (raw as &dyn Any).downcast_ref::<HttpResponse>());
    response.map_or(0, |response| response.status().as_u16())
}

/// Error codes are words with dots; anything else is not one to show.
fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= 100
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_')
}

fn of_code(code: &str) -> Cause {
    match code {
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "NotAuthorized"
        | "KMSAccessDenied" => Cause::Denied,
        "Throttling"
        | "ThrottlingException"
        | "Throttled"
        | "ThrottledException"
        | "KMSThrottling"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "EC2ThrottledException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "BandwidthLimitExceeded"
        | "SlowDown" => Cause::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => Cause::OutOfTime,
        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken" => Cause::Credentials,
        other => Cause::Other(other.to_owned()),
    }
}

/// Credentials fail somewhere below the call: looked for among its sources.
fn of_chain(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut credentials = false;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(role) = error.downcast_ref::<RoleNotAssumed>() {
            return Some(Cause::Role { reason: role.reason.clone(), passing: role.passing });
        }
        credentials |= error.is::<CredentialsError>();
        next = error.source();
    }
    credentials.then_some(Cause::Credentials)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
