//! Every form of `userIdentity`.

use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "111122223333";

fn who(identity: Value) -> Actor {
    actor(&identity, ACCOUNT, "eu-central-1").unwrap()
}

fn told(identity: Value) -> (ActorKind, String, String) {
    let actor = who(identity);
    (actor.kind, actor.principal, actor.name)
}

fn assumed(issuer: Value) -> Value {
    json!({
        "type": "AssumedRole", "principalId": "AROAEXAMPLE:maya@example.com", "accountId": ACCOUNT,
        "arn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/maya@example.com",
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "true"}},
    })
}

#[test]
fn every_form_has_a_stable_principal_and_a_name() {
    let cases = [
        (
            json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root", "userName": "an-alias"}),
            (ActorKind::Root, "arn:aws:iam::111122223333:root", "root"),
        ),
        (json!({"type": "Root"}), (ActorKind::Root, "arn:aws:iam::111122223333:root", "root")),
        (
            json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ops/tomas", "userName": "tomas",
                   "sessionContext": {"sessionIssuer": {}, "webIdFederationData": {}}}),
            (ActorKind::IamUser, "arn:aws:iam::111122223333:user/ops/tomas", "tomas"),
        ),
        (
            json!({"type": "IAMUser", "arn": "arn:aws:sts::111122223333:user/tomas"}),
            (ActorKind::IamUser, "arn:aws:iam::111122223333:user/tomas", "tomas"),
        ),
        (
            json!({"type": "IAMUser", "userName": "tomas", "invokedBy": "secretsmanager.amazonaws.com"}),
            (ActorKind::IamUser, "arn:aws:iam::111122223333:user/tomas", "tomas"),
        ),
        (
            json!({"type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/visitor",
                   "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:user/broker"}}}),
            (ActorKind::FederatedUser, "arn:aws:iam::111122223333:user/broker", "visitor"),
        ),
        (
            json!({"type": "WebIdentityUser", "principalId": "accounts.google.com:app:user-1",
                   "userName": "user-1", "identityProvider": "accounts.google.com"}),
            (ActorKind::WebIdentityUser, "accounts.google.com:app:user-1", "user-1"),
        ),
        (
            json!({"type": "SAMLUser", "principalId": "namequalifier:maya", "userName": "maya"}),
            (ActorKind::SamlUser, "namequalifier:maya", "maya"),
        ),
        (
            json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}),
            (ActorKind::Service, "ec2.amazonaws.com", "ec2.amazonaws.com"),
        ),
        (
            json!({"accountId": ACCOUNT, "invokedBy": "ec2.amazonaws.com"}),
            (ActorKind::Service, "ec2.amazonaws.com", "ec2.amazonaws.com"),
        ),
        (
            json!({"type": "AWSAccount", "principalId": "AROAEXAMPLE:session", "accountId": "444455556666"}),
            (ActorKind::AwsAccount, "AROAEXAMPLE", "account 444455556666"),
        ),
        (
            json!({"type": "IdentityCenterUser", "accountId": ACCOUNT,
                   "onBehalfOf": {"userId": "00f1", "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"}}),
            (ActorKind::IdentityCenterUser, "arn:aws:identitystore:::user/00f1", "00f1"),
        ),
        (
            json!("arn:aws:iam::111122223333:user/tomas"),
            (ActorKind::IamUser, "arn:aws:iam::111122223333:user/tomas", "tomas"),
        ),
        (json!({"type": "Hologram"}), (ActorKind::Unknown, "unknown", "unknown")),
        (json!({"type": 7, "arn": [], "sessionContext": "x"}), (ActorKind::Unknown, "unknown", "unknown")),
    ];
    for (identity, (kind, principal, name)) in cases {
        let expected = (kind, principal.to_owned(), name.to_owned());
        assert_eq!(told(identity.clone()), expected, "{identity}");
    }
}

#[test]
fn an_identity_that_says_nothing_is_nobody() {
    for identity in [json!({}), json!(null), json!("maya"), json!(7), json!([])] {
        assert_eq!(actor(&identity, ACCOUNT, ""), None, "{identity}");
    }
}

#[test]
fn an_sso_session_is_named_after_the_person_and_matched_by_its_role() {
    let role = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/\
                AWSReservedSSO_Admin_0123456789abcdef";
    let actor = who(assumed(json!({"arn": role, "userName": "AWSReservedSSO_Admin_0123456789abcdef"})));
    assert_eq!((actor.kind, actor.name.as_str()), (ActorKind::SsoUser, "maya@example.com"));
    assert_eq!(actor.principal, role);
    assert_eq!(actor.session.as_deref(), Some("maya@example.com"));
    assert_eq!(actor.mfa, Some(true));
}

#[test]
fn a_role_that_only_borrows_a_reserved_name_is_an_ordinary_role() {
    // Anybody may name a role so and choose any session name; only the path is AWS's own.
    for name in ["AWSReservedSSO_Admin_0123456789abcdef", "AWSServiceRoleForECRReplication"] {
        let actor = who(assumed(json!({"arn": format!("arn:aws:iam::111122223333:role/{name}")})));
        assert_eq!((actor.kind, actor.name.as_str()), (ActorKind::AssumedRole, name));
    }
}

#[test]
fn a_role_session_without_an_issuer_still_has_its_role() {
    let actor = who(assumed(json!({})));
    assert_eq!(actor.kind, ActorKind::AssumedRole);
    assert_eq!(actor.principal, "arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123456789abcdef");
    assert_eq!(actor.session.as_deref(), Some("maya@example.com"));
}

#[test]
fn a_service_linked_role_is_a_service() {
    let actor = who(json!({
        "type": "AssumedRole", "invokedBy": "autoscaling.amazonaws.com",
        "arn": "arn:aws-cn:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws-cn:iam::111122223333:role/aws-service-role/\
            autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"}},
    }));
    assert!(actor.is_service());
    assert_eq!(actor.name, "AWSServiceRoleForAutoScaling");
    assert_eq!(actor.invoked_by.as_deref(), Some("autoscaling.amazonaws.com"));
}

#[test]
fn a_web_identity_role_with_an_object_of_attributes_is_read() {
    let actor = who(json!({
        "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/publisher/GitHubActions",
        "sessionContext": {
            "sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/ci/publisher", "userName": "publisher"},
            "webIdFederationData": {"federatedProvider": "arn:aws:iam::111122223333:oidc-provider/x", "attributes": {}},
            "sourceIdentity": "maya", "attributes": {"mfaAuthenticated": "false"},
        },
    }));
    assert_eq!(actor.principal, "arn:aws:iam::111122223333:role/ci/publisher");
    assert_eq!(actor.source_identity.as_deref(), Some("maya"));
    assert_eq!(actor.mfa, Some(false));
}

#[test]
fn arns_put_together_are_of_the_regions_partition() {
    let identity = json!({"type": "IAMUser", "userName": "tomas", "accountId": 12345678901_u64});
    let actor = actor(&identity, ACCOUNT, "us-gov-west-1").unwrap();
    assert_eq!(actor.principal, "arn:aws-us-gov:iam::012345678901:user/tomas");
}
