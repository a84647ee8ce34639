//! The configuration all clients start from, made once.
//!
//! What is chosen here is chosen for a cold start: one HTTP client for every service, so that the root
//! certificates are read once; ring for TLS, which has no start-up entropy to gather; and in Lambda the
//! credentials straight from the environment, not through the chain of files and metadata services.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::pki_types::{CertificateDer, pem::PemObject};

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("no region: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    #[error("AWS_CA_BUNDLE names {path}, which cannot be read: {reason}")]
    CaBundle { path: String, reason: String },
    #[error("the TLS client cannot be set up: {0}")]
    Tls(String),
    #[error("who asks cannot be told ({0}); pass --account, or give the profile valid credentials")]
    Identity(String),
    #[error("{0}")]
    Setting(String),
}

/// Reads the environment (and, outside Lambda, the AWS profile).
///
/// # Errors
/// Without a region, or with an `AWS_CA_BUNDLE` that holds no certificate.
pub async fn load() -> Result<SdkConfig, SetupError> {
    let http = http_client()?;
    let retry = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(3));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(6))
        .operation_timeout(Duration::from_secs(15))
        .build();
    let sdk = if variable("AWS_LAMBDA_RUNTIME_API").is_some() && variable("AWS_ACCESS_KEY_ID").is_some() {
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(
                EnvironmentVariableCredentialsProvider::new(),
            ))
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(retry)
            .timeout_config(timeouts)
            .use_fips(flag("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"))
            .http_client(http);
        sdk.set_app_name(AppName::new("imagewarden").ok());
        sdk.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
        sdk.build()
    } else {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(retry)
            .timeout_config(timeouts)
            .http_client(http);
        if let Ok(name) = AppName::new("imagewarden") {
            loader = loader.app_name(name);
        }
        loader.load().await
    };
    if sdk.region().is_none() {
        return Err(SetupError::NoRegion);
    }
    Ok(sdk)
}

/// Trusts the system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), or those of
/// `AWS_CA_BUNDLE` alone. Goes through the proxy that `HTTPS_PROXY` names.
fn http_client() -> Result<SharedHttpClient, SetupError> {
    let store = match variable("AWS_CA_BUNDLE") {
        Some(path) => TrustStore::empty().with_pem_certificate(ca_bundle(path)?),
        None => TrustStore::default(),
    };
    let tls = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| SetupError::Tls(error.to_string()))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    }))
}

/// The SDK's client panics on a bundle it cannot use: looked at first.
fn ca_bundle(path: String) -> Result<Vec<u8>, SetupError> {
    let refuse = |reason: String| SetupError::CaBundle { path: path.clone(), reason };
    let pem = std::fs::read(&path).map_err(|error| refuse(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(format!("it is not PEM: {error}")))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| refuse(format!("a certificate in it is unusable: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refuse("it holds no certificate".to_owned()));
    }
    Ok(pem)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn flag(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
