//! The policy that the function judges by: loaded from `POLICY_URI`, and again every five minutes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};

use crate::aws::Failure;
use crate::policy::Policy;

/// How old a loaded policy may get.
const AGE: Duration = Duration::from_secs(300);
/// How soon a failed load is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// How long a load may take: events wait for it.
const TIME: Duration = Duration::from_secs(5);
/// The longest policy that is fetched, in bytes.
const LONGEST: usize = 1 << 20;

/// Where the policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PolicySource {
    /// The one compiled in.
    Bundled,
    File(PathBuf),
    Parameter(String),
    Object {
        bucket: String,
        key: String,
    },
}

impl PolicySource {
    /// `file:PATH`, `ssm:NAME`, `s3://BUCKET/KEY`.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        if let Some(path) = uri.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return (!path.is_empty()).then(|| PolicySource::File(PathBuf::from(path)));
        }
        if let Some(name) = uri.strip_prefix("ssm:") {
            return (!name.is_empty()).then(|| PolicySource::Parameter(name.to_owned()));
        }
        let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
        let whole = !bucket.is_empty() && !key.is_empty();
        whole.then(|| PolicySource::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    pub(super) fn uri(&self) -> String {
        match self {
            PolicySource::Bundled => "the bundled policy".to_owned(),
            PolicySource::File(path) => format!("file:{}", path.display()),
            PolicySource::Parameter(name) => format!("ssm:{name}"),
            PolicySource::Object { bucket, key } => format!("s3://{bucket}/{key}"),
        }
    }
}

/// A policy, and whether it is the one that was wanted.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) policy: Arc<Policy>,
    /// Set where another one stands in for the configured one: goes into every alert.
    pub(super) note: Option<String>,
    /// When it was loaded; nothing for the bundled one that stands in.
    loaded: Option<DateTime<Utc>>,
    /// The last load failed, whether or not an older one still serves.
    pub(super) load_failed: bool,
}

/// Keeps the policy.
pub(super) struct PolicyStore {
    source: PolicySource,
    sdk: SdkConfig,
    held: Mutex<Option<Held>>,
    /// When the policy was loaded that was last compared with the remembered one.
    compared: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Clone)]
struct Held {
    current: Current,
    /// Wall time: a frozen function's monotonic clock may stand still.
    tried: SystemTime,
}

impl Held {
    fn fresh(&self, now: SystemTime) -> bool {
        let age = if self.current.load_failed { RETRY } else { AGE };
        now.duration_since(self.tried).is_ok_and(|since| since < age)
    }
}

impl PolicyStore {
    pub(super) fn new(source: PolicySource, sdk: SdkConfig) -> Self {
        Self { source, sdk, held: Mutex::new(None), compared: Mutex::new(None) }
    }

    /// Whether a policy was loaded anew, and not yet compared with the one that history remembers. One that is
    /// compiled in changes only with the function itself.
    pub(super) fn is_uncompared(&self, current: &Current) -> bool {
        self.source != PolicySource::Bundled
            && !current.load_failed
            && current.loaded != *self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this policy was compared.
    pub(super) fn compared(&self, current: &Current) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = current.loaded;
    }

    /// The policy to judge by now. Never fails: a stale one serves on where loading fails, and the
    /// bundled one where none was ever loaded.
    pub(super) async fn current(&self) -> Current {
        let now = SystemTime::now();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = &held
            && (held.fresh(now) || self.source == PolicySource::Bundled)
        {
            return held.current.clone();
        }
        let current = match self.load().await {
            Ok(policy) => loaded(policy),
            Err(reason) => {
                let current = after_failure(held.map(|held| held.current), &reason);
                let serving = if current.loaded.is_none() { "the bundled one" } else { "the one before" };
                tracing::error!(reason, serving, "the policy could not be loaded");
                current
            }
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Held { current: current.clone(), tried: now });
        current
    }

    async fn load(&self) -> Result<Policy, String> {
        let uri = self.source.uri();
        let text = match tokio::time::timeout(TIME, self.text()).await {
            Ok(text) => text.map_err(|reason| format!("{uri}: {reason}"))?,
            Err(_) => return Err(format!("{uri}: no answer within {} seconds", TIME.as_secs())),
        };
        match text {
            None => Ok(Policy::bundled().clone()),
            Some(text) => Policy::parse(&text, &uri).map_err(|error| error.to_string()),
        }
    }

    /// `None`: the bundled one.
    async fn text(&self) -> Result<Option<String>, String> {
        match &self.source {
            PolicySource::Bundled => Ok(None),
            PolicySource::File(path) => {
                let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
                utf8(bytes).map(Some)
            }
            PolicySource::Parameter(name) => {
                let answer = aws_sdk_ssm::Client::new(&self.sdk)
                    .get_parameter()
                    .name(name)
                    .with_decryption(true)
                    .send()
                    .await
                    .map_err(|error| Failure::of_call("ssm:GetParameter", &error))?;
                let value = answer.parameter.and_then(|parameter| parameter.value);
                value.map(Some).ok_or_else(|| "the parameter has no value".to_owned())
            }
            PolicySource::Object { bucket, key } => {
                let mut answer = crate::aws::s3(&self.sdk)
                    .get_object()
                    .bucket(bucket)
                    .key(key)
                    .send()
                    .await
                    .map_err(|error| Failure::of_call("s3:GetObject", &error))?;
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.body.try_next().await.map_err(|error| error.to_string())? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > LONGEST {
                        return Err(format!("is longer than {LONGEST} bytes"));
                    }
                }
                utf8(bytes).map(Some)
            }
        }
    }
}

fn loaded(policy: Policy) -> Current {
    Current { policy: Arc::new(policy), note: None, loaded: Some(Utc::now()), load_failed: false }
}

fn after_failure(before: Option<Current>, reason: &str) -> Current {
    match before.and_then(|before| before.loaded.map(|loaded| (before, loaded))) {
        Some((before, loaded)) => Current {
            note: Some(format!(
                "policy not loaded, judged by the one that was loaded at {}: {reason}",
                loaded.format("%Y-%m-%d %H:%M UTC")
            )),
            load_failed: true,
            ..before
        },
        None => Current {
            policy: Arc::new(Policy::bundled().clone()),
            note: Some(format!("policy not loaded, judged by the bundled one: {reason}")),
            loaded: None,
            load_failed: true,
        },
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_policy_may_come_from() {
        let file = |path: &str| Some(PolicySource::File(PathBuf::from(path)));
        assert_eq!(PolicySource::of_uri("file:policy.yaml"), file("policy.yaml"));
        assert_eq!(PolicySource::of_uri("file:///opt/policy.yaml"), file("/opt/policy.yaml"));
        assert_eq!(
            PolicySource::of_uri("ssm:/imagewarden/policy"),
            Some(PolicySource::Parameter("/imagewarden/policy".to_owned()))
        );
        assert_eq!(
            PolicySource::of_uri("s3://bucket/a/policy.yaml"),
            Some(PolicySource::Object { bucket: "bucket".to_owned(), key: "a/policy.yaml".to_owned() })
        );
        for bad in ["", "policy.yaml", "file:", "ssm:", "s3://", "s3://bucket", "s3://bucket/", "https://x/y"]
        {
            assert_eq!(PolicySource::of_uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_stale_policy_serves_on_and_every_alert_says_so() {
        let policy = Policy::default();
        let first = after_failure(Some(loaded(policy.clone())), "denied");
        assert!(first.note.as_deref().unwrap().starts_with("policy not loaded, judged by the one that was"));
        let second = after_failure(Some(first), "throttled");
        assert!(second.note.unwrap().ends_with("UTC: throttled"));
        assert!(second.load_failed && *second.policy == policy);
    }

    #[test]
    fn a_policy_that_was_never_loaded_is_told_with_the_latest_reason() {
        let first = after_failure(None, "denied");
        assert!(first.note.as_deref().unwrap().starts_with("policy not loaded"));
        let second = after_failure(Some(first), "throttled");
        assert!(second.note.unwrap().ends_with("throttled"));
    }

    fn store(text: &str) -> (tempfile::TempDir, PathBuf, PolicyStore) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, text).unwrap();
        let store = PolicyStore::new(PolicySource::File(file.clone()), SdkConfig::builder().build());
        (folder, file, store)
    }

    fn age(store: &PolicyStore, by: Duration) {
        let mut held = store.held.lock().unwrap();
        let held = held.as_mut().unwrap();
        held.tried -= by;
    }

    async fn max_age(store: &PolicyStore) -> Option<u32> {
        store.current().await.policy.images.max_age_days
    }

    #[tokio::test]
    async fn a_changed_policy_holds_after_five_minutes() {
        let (_folder, file, store) = store("images: {max_age_days: 10}");
        assert_eq!(max_age(&store).await, Some(10));
        std::fs::write(&file, "images: {max_age_days: 20}").unwrap();
        age(&store, AGE - Duration::from_secs(10));
        assert_eq!(max_age(&store).await, Some(10));
        age(&store, Duration::from_secs(10));
        assert_eq!(max_age(&store).await, Some(20));
    }

    #[tokio::test]
    async fn a_policy_broken_later_leaves_the_one_before_until_it_is_mended() {
        let (_folder, file, store) = store("images: {max_age_days: 10}");
        assert_eq!(max_age(&store).await, Some(10));
        std::fs::write(&file, "images: {max_age_days: soon}").unwrap();
        age(&store, AGE);
        let current = store.current().await;
        assert_eq!(current.policy.images.max_age_days, Some(10));
        assert!(current.load_failed && current.note.unwrap().contains("policy.yaml"));
        std::fs::write(&file, "images: {max_age_days: 30}").unwrap();
        age(&store, RETRY);
        let current = store.current().await;
        assert_eq!((current.policy.images.max_age_days, current.load_failed), (Some(30), false));
        assert_eq!(current.note, None);
    }

    #[tokio::test]
    async fn a_policy_broken_from_the_start_is_taken_up_once_it_is_mended() {
        let (_folder, file, store) = store("nonsense: 1");
        let current = store.current().await;
        assert_eq!(current.policy.as_ref(), Policy::bundled());
        assert!(current.note.unwrap().contains("nonsense"));
        std::fs::write(&file, "images: {max_age_days: 30}").unwrap();
        age(&store, RETRY);
        let current = store.current().await;
        assert_eq!((current.policy.images.max_age_days, current.note), (Some(30), None));
    }
}
