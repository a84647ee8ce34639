//! Who called the Kubernetes API, from an audit event's `user`.

use serde_json::Value;

use super::fields::{Arn, get, str, texts};
use crate::activity::{Actor, ActorKind};

/// EKS puts the IAM identity behind a user beside it. Without one it is a service account, a node or a part
/// of the control plane.
pub(super) fn actor(user: &Value) -> Actor {
    let extra = |key: &str| get(user, "extra").and_then(|extra| texts(extra, key).into_iter().next());
    let username = str(user, "username").unwrap_or_default();
    let session = extra("sessionName");
    let canonical = extra("canonicalArn");
    let arn = canonical.as_deref().and_then(Arn::parse);
    let resource = arn.map_or("", |arn| arn.resource);
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (kind, name) = match resource.split_once('/') {
        _ if resource == "root" => (ActorKind::Root, "root".to_owned()),
        Some(("user", path)) => (ActorKind::IamUser, last(path)),
        Some(("role", path)) if last(path).starts_with("AWSReservedSSO_") => {
            (ActorKind::SsoUser, session.clone().unwrap_or_else(|| last(path)))
        }
        Some(("role", path)) => (ActorKind::AssumedRole, last(path)),
        _ if is_platform(username) => (ActorKind::Service, username.to_owned()),
        _ => (ActorKind::Unknown, username.to_owned()),
    };
    let principal = canonical.clone().or_else(|| Some(username.to_owned())).filter(|it| !it.is_empty());
    Actor {
        kind,
        principal: principal.unwrap_or_else(|| "unknown".to_owned()),
        name: if name.is_empty() { "unknown".to_owned() } else { name },
        account: arn.map(|arn| arn.account.to_owned()).filter(|account| !account.is_empty()),
        session,
        source_identity: None,
        invoked_by: None,
        access_key_id: extra("accessKeyId"),
        mfa: None,
    }
}

/// Controllers, nodes and EKS itself act for others: what they make somebody declared before.
fn is_platform(username: &str) -> bool {
    ["system:node:", "system:serviceaccount:kube-system:", "system:kube-", "system:apiserver", "eks:"]
        .iter()
        .any(|prefix| username.starts_with(prefix))
}
