//! Clients by account and region, made when first wanted.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_config::identity::IdentityCache;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::{Failure, RoleNotAssumed, SetupError, is_account, is_region};
use crate::lookup::Scope;
use crate::partition::Partition;

/// The role session's name: what an account's own CloudTrail shows of the look-ups.
const SESSION: &str = "imagewarden-lookup";

/// How many scopes keep their clients. A payload names them, so there may be any number.
const SCOPES: usize = 200;

/// The role that is assumed to look things up in accounts other than the function's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupRole {
    /// With its path, without a leading slash.
    pub name: String,
    pub accounts: LookupAccounts,
}

/// In which accounts the role may be assumed. Events name accounts, and an event may be forged: without this
/// bound whoever may send one could make the function use a role of his own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupAccounts {
    /// Every account. For the command line, whose user chose the events, and for an organization, where the
    /// function's own IAM policy refuses every account outside it.
    Any,
    These(BTreeSet<String>),
}

impl LookupAccounts {
    fn contains(&self, account: &str) -> bool {
        match self {
            LookupAccounts::Any => true,
            LookupAccounts::These(accounts) => accounts.contains(account),
        }
    }
}

/// All clients.
pub(super) struct Pool {
    sdk: SdkConfig,
    account: String,
    role: Option<LookupRole>,
    accounts: Mutex<HashMap<String, SdkConfig>>,
    scopes: Mutex<HashMap<Scope, Arc<Clients>>>,
}

/// One account's clients in one region.
pub(super) struct Clients {
    sdk: SdkConfig,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    ecr: OnceLock<aws_sdk_ecr::Client>,
    autoscaling: OnceLock<aws_sdk_autoscaling::Client>,
}

impl Clients {
    pub(super) fn ec2(&self) -> &aws_sdk_ec2::Client {
        self.ec2.get_or_init(|| aws_sdk_ec2::Client::new(&self.sdk))
    }

    pub(super) fn autoscaling(&self) -> &aws_sdk_autoscaling::Client {
        self.autoscaling.get_or_init(|| aws_sdk_autoscaling::Client::new(&self.sdk))
    }

    pub(super) fn ecr(&self) -> &aws_sdk_ecr::Client {
        self.ecr.get_or_init(|| aws_sdk_ecr::Client::new(&self.sdk))
    }
}

impl Pool {
    pub(super) fn new(sdk: SdkConfig, account: String, role: Option<LookupRole>) -> Self {
        Self { sdk, account, role, accounts: Mutex::default(), scopes: Mutex::default() }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// # Errors
    /// The reason why nothing can be asked there, for people.
    pub(super) fn clients(&self, scope: &Scope) -> Result<Arc<Clients>, String> {
        if !is_region(&scope.region) {
            return Err("the event does not say in which region to ask".to_owned());
        }
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = scopes.get(scope) {
            return Ok(clients.clone());
        }
        let sdk = self.account_config(&scope.account, &scope.region)?;
        let sdk = sdk.into_builder().region(Region::new(scope.region.clone())).build();
        let clients = Arc::new(Clients {
            sdk,
            ec2: OnceLock::new(),
            ecr: OnceLock::new(),
            autoscaling: OnceLock::new(),
        });
        if scopes.len() >= SCOPES {
            scopes.clear();
        }
        scopes.insert(scope.clone(), clients.clone());
        Ok(clients)
    }

    /// One provider and one identity cache an account: its role is assumed once an hour, not once a client.
    fn account_config(&self, account: &str, region: &str) -> Result<SdkConfig, String> {
        if account == self.account {
            return Ok(self.sdk.clone());
        }
        if !is_account(account) {
            return Err("the event does not say in which account to ask".to_owned());
        }
        let Some(role) = &self.role else {
            return Err(
                "the event is of another account, and no LOOKUP_ROLE_NAME is set to look there".to_owned()
            );
        };
        if !role.accounts.contains(account) {
            return Err("the event is of another account, which LOOKUP_ACCOUNTS does not name".to_owned());
        }
        let role = &role.name;
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sdk) = accounts.get(account) {
            return Ok(sdk.clone());
        }
        let assumed = Assumed {
            sts: aws_sdk_sts::Client::new(&self.sdk),
            role: format!("{}iam::{account}:role/{role}", Partition::of_region(region).arn_prefix()),
        };
        let sdk = self
            .sdk
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(assumed))
            .identity_cache(IdentityCache::lazy().build())
            .build();
        if accounts.len() >= SCOPES {
            accounts.clear();
        }
        accounts.insert(account.to_owned(), sdk.clone());
        Ok(sdk)
    }
}

/// Whose credentials these are.
pub(super) async fn caller(sdk: &SdkConfig) -> Result<String, SetupError> {
    let identity = aws_sdk_sts::Client::new(sdk)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| SetupError::Identity(Failure::of_call("sts:GetCallerIdentity", &error)))?;
    identity
        .account
        .filter(|account| is_account(account))
        .ok_or_else(|| SetupError::Identity("sts:GetCallerIdentity named no account".to_owned()))
}

/// The role that looks things up in an account not the function's own.
#[derive(Debug)]
struct Assumed {
    sts: aws_sdk_sts::Client,
    role: String,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

impl Assumed {
    async fn assume(&self) -> provider::Result {
        let failed = |reason: &str| {
            CredentialsError::provider_error(RoleNotAssumed { reason: reason.to_owned(), passing: true })
        };
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(SESSION)
            .send()
            .await
            .map_err(|error| CredentialsError::provider_error(not_assumed(&error)))?;
        let given = answer.credentials.ok_or_else(|| failed("no credentials in the answer"))?;
        let expires =
            std::time::SystemTime::try_from(given.expiration).map_err(|_| failed("no time in the answer"))?;
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            Some(expires),
            "ImagewardenLookupRole",
        ))
    }
}

fn not_assumed<E, R>(error: &SdkError<E, R>) -> RoleNotAssumed
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let failure = Failure::of(error);
    tracing::warn!(code = failure.code.as_deref(), detail = %failure.detail, "the role was not assumed");
    RoleNotAssumed { reason: failure.reason(), passing: failure.passing() }
}
