//! CloudTrail `userIdentity`, in every form, to an [`Actor`].

use serde_json::Value;

use crate::activity::{Actor, ActorKind};
use crate::source::fields::{Arn, account, at, flag, get, text, text_at};

/// Where IAM Identity Center keeps its roles. Nobody else can create a role there, whereas a name that
/// starts with `AWSReservedSSO_` or `AWSServiceRoleFor` alone proves nothing.
const SSO_PATH: &str = "role/aws-reserved/sso.amazonaws.com/";
const SERVICE_LINKED_PATH: &str = "role/aws-service-role/";

/// Who acted; `None` where the field says nothing.
///
/// `event_account` and `region` stand in where an ARN has to be put together from its parts.
pub(super) fn actor(identity: &Value, event_account: &str, region: &str) -> Option<Actor> {
    // A bare ARN, as some pipelines flatten it to.
    let flattened;
    let identity = match identity {
        Value::String(arn) if Arn::parse(arn).is_some() => {
            flattened = serde_json::json!({ "arn": arn });
            &flattened
        }
        Value::Object(fields) if !fields.is_empty() => identity,
        _ => return None,
    };
    let parts = Parts::of(identity, event_account, region);
    let (kind, principal, name) = parts.who();
    let session = match kind {
        ActorKind::AssumedRole | ActorKind::SsoUser | ActorKind::ServiceLinkedRole => parts.session(),
        _ => None,
    };
    let context = get(identity, "sessionContext");
    Some(Actor {
        kind,
        principal,
        name,
        account: parts.account.clone(),
        session,
        source_identity: context.and_then(|context| text(context, "sourceIdentity")),
        invoked_by: text(identity, "invokedBy"),
        access_key_id: text(identity, "accessKeyId"),
        mfa: context
            .and_then(|context| get(context, "attributes"))
            .and_then(|attributes| flag(attributes, "mfaAuthenticated")),
    })
}

struct Parts<'a> {
    identity: &'a Value,
    arn: Option<String>,
    account: Option<String>,
    user_name: Option<String>,
    principal_id: Option<String>,
    issuer_arn: Option<String>,
    partition: String,
    event_account: &'a str,
}

type Who = (ActorKind, String, String);

impl<'a> Parts<'a> {
    fn of(identity: &'a Value, event_account: &'a str, region: &str) -> Self {
        let arn = text(identity, "arn");
        let issuer = at(identity, &["sessionContext", "sessionIssuer"]);
        let issuer_arn = issuer.and_then(|issuer| text(issuer, "arn"));
        let known = arn.as_deref().or(issuer_arn.as_deref()).and_then(Arn::parse);
        let partition = known.map_or_else(|| partition(region), |arn| arn.partition).to_owned();
        let account = account(identity, "accountId")
            .or_else(|| issuer.and_then(|issuer| account(issuer, "accountId")))
            .or_else(|| known.map(|arn| arn.account.to_owned()).filter(|account| !account.is_empty()));
        Self {
            identity,
            account,
            user_name: text(identity, "userName"),
            principal_id: text(identity, "principalId"),
            issuer_arn,
            partition,
            event_account,
            arn,
        }
    }

    fn who(&self) -> Who {
        let kind = text(self.identity, "type").unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "root" => self.root(),
            "iamuser" => self.iam_user(),
            "assumedrole" | "role" => self.assumed_role(),
            "federateduser" => self.federated_user(),
            "webidentityuser" => self.external(ActorKind::WebIdentityUser),
            "samluser" => self.external(ActorKind::SamlUser),
            "awsservice" => self.service(),
            "awsaccount" => self.other_account(),
            "identitycenteruser" => self.identity_center_user(),
            _ => self.untold(),
        }
    }

    fn resource(&self) -> Option<&str> {
        Some(Arn::parse(self.arn.as_deref()?)?.resource)
    }

    fn iam_arn(&self, resource: &str) -> String {
        let account = self.account.as_deref().unwrap_or(self.event_account);
        format!("arn:{}:iam::{account}:{resource}", self.partition)
    }

    fn root(&self) -> Who {
        let principal = self.arn.clone().unwrap_or_else(|| self.iam_arn("root"));
        (ActorKind::Root, principal, "root".to_owned())
    }

    fn iam_user(&self) -> Who {
        let from_arn = self.resource().and_then(|resource| resource.strip_prefix("user/"));
        // Some records write a user's ARN under sts; it is the same user.
        let principal = match (from_arn, &self.arn, &self.user_name) {
            (Some(path), _, _) => self.iam_arn(&format!("user/{path}")),
            (None, Some(arn), _) => arn.clone(),
            (None, None, Some(name)) => self.iam_arn(&format!("user/{name}")),
            (None, None, None) => self.principal_id.clone().unwrap_or_else(unknown),
        };
        let name = self.user_name.clone().or_else(|| from_arn.map(|path| last(path).to_owned()));
        (ActorKind::IamUser, principal.clone(), name.unwrap_or_else(|| last(&principal).to_owned()))
    }

    /// `(role, session)` of an `assumed-role/ROLE/SESSION` ARN.
    fn assumed(&self) -> Option<(&str, &str)> {
        let rest = self.resource()?.strip_prefix("assumed-role/")?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    fn session(&self) -> Option<String> {
        let from_arn = self.assumed().map(|(_, session)| session);
        let from_id = || self.principal_id.as_deref()?.split_once(':').map(|(_, session)| session);
        from_arn.filter(|it| !it.is_empty()).or_else(from_id).map(str::to_owned)
    }

    fn assumed_role(&self) -> Who {
        let issuer_name = text_at(self.identity, &["sessionContext", "sessionIssuer", "userName"]);
        // The session's ARN leaves out the role's path, so a principal made from it has none.
        let principal = match (&self.issuer_arn, self.assumed(), &issuer_name) {
            (Some(arn), _, _) => arn.clone(),
            (None, Some((role, _)), _) => self.iam_arn(&format!("role/{role}")),
            (None, None, Some(role)) => self.iam_arn(&format!("role/{role}")),
            (None, None, None) => match (&self.arn, &self.principal_id) {
                (Some(arn), _) => arn.clone(),
                (None, Some(id)) => id.split(':').next().unwrap_or_default().to_owned(),
                (None, None) => unknown(),
            },
        };
        let role = issuer_name.unwrap_or_else(|| last(&principal).to_owned());
        let resource = Arn::parse(&principal).map(|arn| arn.resource).unwrap_or_default();
        if resource.starts_with(SSO_PATH) {
            let person = self.session().unwrap_or(role);
            (ActorKind::SsoUser, principal, person)
        } else if resource.starts_with(SERVICE_LINKED_PATH) {
            (ActorKind::ServiceLinkedRole, principal, role)
        } else {
            (ActorKind::AssumedRole, principal, role)
        }
    }

    fn federated_user(&self) -> Who {
        let user = self.resource().and_then(|resource| resource.strip_prefix("federated-user/"));
        let user = user.map(str::to_owned).or_else(|| self.user_name.clone());
        let principal = self.issuer_arn.clone().or_else(|| self.arn.clone());
        let principal = principal.or_else(|| self.principal_id.clone()).unwrap_or_else(unknown);
        let name = user.unwrap_or_else(|| last(&principal).to_owned());
        (ActorKind::FederatedUser, principal, name)
    }

    /// Somebody known to an identity provider outside AWS.
    fn external(&self, kind: ActorKind) -> Who {
        let provider = text(self.identity, "identityProvider");
        let principal = self.principal_id.clone().or_else(|| self.arn.clone()).or_else(|| provider.clone());
        let principal = principal.unwrap_or_else(unknown);
        let name = self.user_name.clone().or(provider).unwrap_or_else(|| principal.clone());
        (kind, principal, name)
    }

    fn service(&self) -> Who {
        let service = text(self.identity, "invokedBy").or_else(|| self.arn.clone()).unwrap_or_else(unknown);
        (ActorKind::Service, service.clone(), service)
    }

    fn other_account(&self) -> Who {
        let account = self.account.as_deref().unwrap_or("unknown");
        // `AROA...:session`: the part before the colon outlives the session.
        let id = self.principal_id.as_deref().and_then(|id| id.split(':').next());
        let principal = self.arn.clone().or_else(|| id.filter(|id| !id.is_empty()).map(str::to_owned));
        let name = format!("account {account}");
        (ActorKind::AwsAccount, principal.unwrap_or_else(|| self.iam_arn("root")), name)
    }

    fn identity_center_user(&self) -> Who {
        let id = text_at(self.identity, &["onBehalfOf", "userId"]);
        let principal = id.as_deref().map(|id| format!("arn:{}:identitystore:::user/{id}", self.partition));
        let principal = principal.or_else(|| self.principal_id.clone()).unwrap_or_else(unknown);
        let name = self.user_name.clone().or(id).unwrap_or_else(|| last(&principal).to_owned());
        (ActorKind::IdentityCenterUser, principal, name)
    }

    /// No type, or one that is not known: what the ARN says, else the service that called.
    fn untold(&self) -> Who {
        match self.resource() {
            Some("root") => self.root(),
            Some(resource) if resource.starts_with("user/") => self.iam_user(),
            Some(resource) if resource.starts_with("assumed-role/") => self.assumed_role(),
            Some(resource) if resource.starts_with("role/") => self.assumed_role(),
            Some(resource) if resource.starts_with("federated-user/") => self.federated_user(),
            _ if self.issuer_arn.is_some() => self.assumed_role(),
            _ => {
                let user = self.user_name.as_deref().map(|name| self.iam_arn(&format!("user/{name}")));
                let known = self.arn.clone().or(user).or_else(|| self.principal_id.clone());
                match known {
                    Some(principal) => {
                        let name = self.user_name.clone().unwrap_or_else(|| last(&principal).to_owned());
                        (ActorKind::Unknown, principal, name)
                    }
                    None if get(self.identity, "invokedBy").is_some() => self.service(),
                    None => (ActorKind::Unknown, unknown(), unknown()),
                }
            }
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// What follows the last slash.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("us-iso-") => "aws-iso",
        region if region.starts_with("us-isob-") => "aws-iso-b",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests;
