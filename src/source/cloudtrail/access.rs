//! Resource policies of registries and repositories: whom they let do what.

use serde_json::Value;

use crate::activity::AccessGrant;
use crate::source::fields::{get, list, scalar, str};

/// ECR allows policies of 10 KB. Statements beyond this are not kept, and then the policy counts as unread.
const MOST_STATEMENTS: usize = 200;

/// The statements that allow something; `None` where the text is no policy.
pub(super) fn grants(text: &str) -> Option<Vec<AccessGrant>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let statements = list(get(&document, "Statement")?);
    if statements.len() > MOST_STATEMENTS || statements.iter().any(|statement| !statement.is_object()) {
        return None;
    }
    let allows =
        |statement: &&Value| str(statement, "Effect").is_none_or(|it| it.eq_ignore_ascii_case("allow"));
    Some(statements.into_iter().filter(allows).map(grant).collect())
}

fn grant(statement: &Value) -> AccessGrant {
    let not_actions = get(statement, "Action").is_none();
    let actions = get(statement, if not_actions { "NotAction" } else { "Action" });
    AccessGrant {
        principals: principals(statement),
        actions: actions.map(list).unwrap_or_default().into_iter().filter_map(scalar).collect(),
        not_actions,
        bound_to: get(statement, "Condition").and_then(bound),
    }
}

fn principals(statement: &Value) -> Vec<String> {
    let Some(principal) = get(statement, "Principal") else {
        // `NotPrincipal`: everybody else.
        return vec!["*".to_owned()];
    };
    match principal {
        Value::Object(kinds) => kinds
            .iter()
            .filter(|(kind, _)| !kind.eq_ignore_ascii_case("Service"))
            .flat_map(|(_, values)| list(values))
            .filter_map(scalar)
            .collect(),
        other => list(other).into_iter().filter_map(scalar).collect(),
    }
}

/// Condition keys that say who calls. Addresses and times bind nobody.
const IDENTITY_KEYS: [&str; 8] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:userid",
];

/// What the conditions bind the caller to. All operators of a condition have to hold, so one is enough.
fn bound(condition: &Value) -> Option<Vec<String>> {
    let positive = |operator: &str| {
        let operator = operator.to_ascii_lowercase();
        let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
        matches!(operator, "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike")
    };
    let operators = condition.as_object()?.iter().filter(|(operator, _)| positive(operator));
    let keys = operators.filter_map(|(_, keys)| keys.as_object()).flatten();
    let known = |key: &str| IDENTITY_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key));
    let bounds = keys.filter(|(key, _)| known(key));
    let bounds = bounds.map(|(_, values)| list(values).into_iter().filter_map(scalar).collect::<Vec<_>>());
    // The narrowest says most.
    bounds.filter(|values| !values.is_empty()).min_by_key(|values| {
        values.iter().filter(|value| value.starts_with(['*', '?']) || value.contains(":*:")).count()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(statement: Value) -> AccessGrant {
        let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let mut grants = grants(&text).unwrap();
        assert_eq!(grants.len(), 1);
        grants.remove(0)
    }

    #[test]
    fn principals_are_read_in_every_form() {
        let of =
            |principal: Value| one(json!({"Effect": "Allow", "Principal": principal, "Action": "ecr:*"}));
        assert_eq!(of(json!("*")).principals, ["*"]);
        assert_eq!(of(json!({"AWS": "*"})).principals, ["*"]);
        assert_eq!(of(json!({"AWS": ["1", "2"]})).principals, ["1", "2"]);
        assert!(of(json!({"Service": "codebuild.amazonaws.com"})).principals.is_empty());
        let everybody_else = one(json!([{"Effect": "Allow", "NotPrincipal": {"AWS": "1"}, "Action": "*"}]));
        assert_eq!(everybody_else.principals, ["*"]);
    }

    #[test]
    fn denials_allow_nothing_and_what_is_no_policy_is_none() {
        let denied = json!({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*"}]});
        assert_eq!(grants(&denied.to_string()), Some(Vec::new()));
        for broken in ["", "[]", "{}", "{\"Statement\": \"x\"}", &"[".repeat(5_000)] {
            assert_eq!(grants(broken), None, "{broken:.20}");
        }
    }

    #[test]
    fn only_conditions_on_the_callers_identity_bind_it() {
        let bound = |condition: Value| {
            one(json!({"Effect": "Allow", "Principal": "*", "Action": "ecr:*", "Condition": condition}))
                .bound_to
        };
        let organization = json!({"StringEquals": {"aws:PrincipalOrgID": "o-abc123"}});
        assert_eq!(bound(organization), Some(vec!["o-abc123".to_owned()]));
        assert_eq!(bound(json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})), None);
        assert_eq!(bound(json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-abc123"}})), None);
        assert_eq!(bound(json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abc123"}})), None);
        assert_eq!(
            bound(json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-abc123/*"}})),
            None
        );
    }
}
