//! Facts from AWS, asked for where the event happened: with credentials of its account, in its region.
//!
//! Never fails as a whole. Every answer is cached with an age; what could not be had is asked for again
//! after half a minute at the latest.

mod cache;
mod clients;
mod convert;
mod ec2;
mod ecr;
mod user_data;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::{Cause, Fact, FactKey, FactValue, Lookup, Missing, UserDataOf};
use crate::aws::{Failure, SetupError};
use cache::Cache;
use clients::{Clients, Pool};
pub use clients::{LookupAccounts, LookupRole};

/// How long all look-ups of one activity may take together.
pub const ACTIVITY_TIME: Duration = Duration::from_secs(20);

/// How many calls may be under way at once.
const CALLS: usize = 8;

/// Answers from AWS. Cheap to clone: clones share clients and cache.
#[derive(Clone)]
pub struct AwsLookup(Arc<Inner>);

struct Inner {
    pool: Pool,
    cache: Mutex<Cache>,
    calls: Semaphore,
}

impl AwsLookup {
    /// `account` is the one whose credentials `sdk` holds; `role` is assumed in the others that it names.
    pub fn new(sdk: SdkConfig, account: String, role: Option<LookupRole>) -> Self {
        Self(Arc::new(Inner {
            pool: Pool::new(sdk, account, role),
            cache: Mutex::new(Cache::default()),
            calls: Semaphore::new(CALLS),
        }))
    }

    /// The account whose credentials this holds.
    pub fn account(&self) -> &str {
        self.0.pool.account()
    }

    /// The same look-ups with one time limit for all of an activity's rounds.
    pub fn until(&self, deadline: Instant) -> Bounded {
        Bounded { lookup: self.clone(), deadline, cut_short: AtomicBool::new(false) }
    }

    async fn answer(&self, keys: &[FactKey], deadline: Instant) -> Vec<(FactKey, Fact)> {
        let mut answers = Vec::with_capacity(keys.len());
        let mut asked: Vec<FactKey> = Vec::new();
        let now = SystemTime::now();
        for key in keys {
            match self.cache().get(key, now) {
                Some(fact) => answers.push((key.clone(), fact)),
                None => asked.push(key.clone()),
            }
        }
        let mut calls = JoinSet::new();
        for key in &asked {
            let (lookup, key) = (self.clone(), key.clone());
            let call = async move {
                let fact = lookup.0.ask(&key).await;
                lookup.cache().insert(key.clone(), fact.clone(), SystemTime::now());
                (key, fact)
            };
            calls.spawn(call.in_current_span());
        }
        while let Ok(Some(call)) = tokio::time::timeout_at(deadline, calls.join_next()).await {
            if let Ok((key, fact)) = call {
                asked.retain(|other| *other != key);
                answers.push((key, fact));
            }
        }
        // Dropping the set ends the calls that are late. Their lateness is this activity's: not cached.
        answers.extend(
            asked
                .into_iter()
                .map(|key| (key, Fact::Unavailable(Missing::new(Cause::OutOfTime, "out of time")))),
        );
        answers
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookup for AwsLookup {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        self.answer(keys, Instant::now() + ACTIVITY_TIME).await
    }
}

/// [`AwsLookup`] with a time limit: after it, everything that is not cached is unavailable.
pub struct Bounded {
    lookup: AwsLookup,
    deadline: Instant,
    cut_short: AtomicBool,
}

impl Bounded {
    /// The time limit has kept something away.
    pub fn cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }
}

impl Lookup for Bounded {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        let answers = self.lookup.answer(keys, self.deadline).await;
        if Instant::now() >= self.deadline {
            self.cut_short.store(true, Ordering::Relaxed);
        }
        answers
    }
}

/// For the command line's `--live`: credentials, region and endpoint as the AWS CLI finds them (single
/// sign-on excepted: `aws configure export-credentials` hands those over), `LOOKUP_ROLE_NAME` as the
/// function reads it.
pub struct Live(AwsLookup);

impl Live {
    /// `account` is the credentials' own; without it STS is asked.
    ///
    /// # Errors
    /// Without a region, or when STS does not tell whose credentials these are.
    pub async fn new(account: Option<&str>) -> Result<Self, SetupError> {
        let sdk = crate::aws::load().await?;
        let account = match account {
            Some(account) => account.to_owned(),
            None => clients::caller(&sdk).await?,
        };
        let name = std::env::var("LOOKUP_ROLE_NAME").ok().filter(|name| !name.is_empty());
        let role = name.map(|name| LookupRole { name, accounts: LookupAccounts::Any });
        Ok(Self(AwsLookup::new(sdk, account, role)))
    }

    /// The account whose credentials these are.
    pub fn account(&self) -> &str {
        self.0.account()
    }
}

impl Lookup for Live {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        self.0.fetch(keys).await
    }
}

/// What one call came to.
enum Asked {
    Known(FactValue),
    Absent,
    Failed(Failure),
}

impl Inner {
    async fn ask(&self, key: &FactKey) -> Fact {
        let clients = match self.pool.clients(key.scope()) {
            Ok(clients) => clients,
            Err(reason) => return Fact::Unavailable(Missing::new(Cause::Other, reason)),
        };
        let Ok(_permit) = self.calls.acquire().await else {
            return Fact::Unavailable(Missing::new(Cause::Failing, "the look-ups were shut down"));
        };
        match call(&clients, key).await {
            Asked::Known(value) => Fact::Known(value),
            Asked::Absent => Fact::Absent,
            Asked::Failed(failure) => {
                tracing::warn!(
                    api = key.api(),
                    account = %key.scope().account,
                    region = %key.scope().region,
                    code = failure.code.as_deref(),
                    detail = %failure.detail,
                    "look-up failed"
                );
                Fact::Unavailable(Missing::new(cause(&failure), failure.reason()))
            }
        }
    }
}

/// The failure of a call as a fact's cause.
fn cause(failure: &Failure) -> Cause {
    use crate::aws::Cause as Failed;
    match &failure.cause {
        Failed::Throttled => Cause::Throttled,
        Failed::OutOfTime => Cause::OutOfTime,
        _ if failure.passing() => Cause::Failing,
        Failed::Denied | Failed::Role { .. } => Cause::Denied,
        _ => Cause::Other,
    }
}

async fn call(clients: &Clients, key: &FactKey) -> Asked {
    match key {
        FactKey::Image { image, .. } => ec2::image(clients.ec2(), image).await,
        FactKey::InstanceImage { instance, .. } => ec2::instance_image(clients.ec2(), instance).await,
        FactKey::Ancestry { image, .. } => ec2::ancestry(clients.ec2(), image).await,
        FactKey::Snapshot { snapshot, .. } => ec2::snapshot(clients.ec2(), snapshot).await,
        FactKey::AllowedImages { .. } => ec2::allowed_images(clients.ec2()).await,
        FactKey::Template { template, .. } => ec2::template(clients.ec2(), template).await,
        FactKey::Launched { client_token, .. } => ec2::launched(clients.ec2(), client_token).await,
        FactKey::UserData { of: UserDataOf::Instance(instance), .. } => {
            user_data::instance(clients.ec2(), instance).await
        }
        FactKey::UserData { of: UserDataOf::Template(template), .. } => {
            user_data::template(clients.ec2(), template).await
        }
        FactKey::UserData { of: UserDataOf::Configuration(name), .. } => {
            user_data::configuration(clients.autoscaling(), name).await
        }
        FactKey::ScanFindings { registry, repository, digest, .. } => {
            ecr::scan_findings(clients.ecr(), registry, repository, digest).await
        }
    }
}
