//! Who acted: a stable principal that policies can list, and the name a person recognises.

use serde::{Deserialize, Serialize};

/// The identity behind an activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    /// Stable across sessions, what `uploads.pushers[].principal` is matched against: the role's ARN
    /// (with its path) for an assumed role, the user's ARN, `arn:...:root`, the federated user's
    /// issuer, a service's DNS name; `unknown` where the event names nobody.
    pub principal: String,
    /// The name a person recognises: the human behind an SSO session, the user name, the role's name,
    /// the service.
    pub name: String,
    /// The account the identity belongs to, which may differ from the event's.
    pub account: Option<String>,
    /// Role session name. Chosen by the caller, except under SSO: never a proof of identity.
    pub session: Option<String>,
    /// `sessionContext.sourceIdentity`: set once, cannot be changed by role chaining.
    pub source_identity: Option<String>,
    /// The service that made the call for the identity: `autoscaling.amazonaws.com`.
    pub invoked_by: Option<String>,
    pub access_key_id: Option<String>,
    /// Whether the session was opened with MFA, where the event says.
    pub mfa: Option<bool>,
}

/// The form of identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    Root,
    IamUser,
    AssumedRole,
    /// IAM Identity Center: `AWSReservedSSO_*`; the session name is the person.
    SsoUser,
    FederatedUser,
    WebIdentityUser,
    SamlUser,
    /// An AWS service by its own name.
    Service,
    /// `AWSServiceRoleFor*`: a role only the service can assume.
    ServiceLinkedRole,
    /// Another account's identity of which nothing else is told.
    AwsAccount,
    IdentityCenterUser,
    Unknown,
}

impl Actor {
    /// True where AWS itself acted and no person or workload of the account chose the moment.
    pub fn is_service(&self) -> bool {
        matches!(self.kind, ActorKind::Service | ActorKind::ServiceLinkedRole)
    }
}
