//! Finding fields in records that AWS writes in several dialects.
//!
//! Older EC2 calls are logged in camelCase with lists as `{"items": [...]}`; newer ones are wrapped in
//! `<Api>Request`, in PascalCase, with singular list names, a list of one as a bare object, and list
//! elements as `{"tag": 1, "content": ...}`. ECR logs plain camelCase. An empty collection is `{}`, an
//! absent value may be `null`, a number may be a string. So keys are compared without case, `null` is
//! absent, and every list goes through [`list`].

use std::collections::VecDeque;

use serde_json::{Map, Value};

/// The value under a key (exactly, else without regard to case); `None` where absent or null.
pub(super) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    let found = object
        .get(key)
        .or_else(|| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))?;
    let found = content(found);
    (!found.is_null()).then_some(found)
}

/// The value at the end of a path of keys.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| get(value, key))
}

/// The first of several keys that is there.
pub(super) fn any<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| get(value, key))
}

/// A scalar as text; `None` where it is empty or no scalar.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match content(value) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The scalar under a key, as text.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    scalar(get(value, key)?)
}

/// The scalar at the end of a path, as text.
pub(super) fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    scalar(at(value, path)?)
}

/// The string under a key, borrowed.
pub(super) fn str<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    get(value, key)?.as_str().filter(|text| !text.is_empty())
}

/// An account id: twelve digits, also where it was written as a number and lost its leading zeros.
pub(super) fn account(value: &Value, key: &str) -> Option<String> {
    match get(value, key)? {
        Value::Number(number) => number.as_u64().map(|number| format!("{number:012}")),
        other => scalar(other),
    }
}

/// A count; negative ones are zero, fractions are cut.
pub(super) fn count(value: &Value) -> Option<u64> {
    match content(value) {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64()?;
            // `as` saturates: what is below zero becomes zero.
            number.is_finite().then_some(number as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A truth value, which CloudTrail writes as `true` or as `"true"`.
pub(super) fn flag(value: &Value, key: &str) -> Option<bool> {
    match get(value, key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The elements of a list in any of its forms.
pub(super) fn list(value: &Value) -> Vec<&Value> {
    let elements = match content(value) {
        Value::Null => return Vec::new(),
        Value::Object(object) if object.is_empty() => return Vec::new(),
        inner @ Value::Object(object) => match object.iter().find(|(key, _)| is_list_key(key)) {
            Some((_, elements)) => content(elements),
            None => inner,
        },
        inner => inner,
    };
    match elements {
        Value::Array(elements) => elements.iter().map(content).filter(|element| !element.is_null()).collect(),
        Value::Object(object) if object.is_empty() => Vec::new(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn is_list_key(key: &str) -> bool {
    ["items", "item", "member", "entry"].iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// The elements of a list that are objects, under a key.
pub(super) fn objects<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    list_of(value, key).into_iter().filter(|element| element.is_object()).collect()
}

/// The elements of the list under a key; empty where it is absent.
pub(super) fn list_of<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    get(value, key).map(list).unwrap_or_default()
}

/// A list of scalars under a key, as text.
pub(super) fn texts(value: &Value, key: &str) -> Vec<String> {
    list_of(value, key).into_iter().filter_map(scalar).collect()
}

/// The first string under a key at any depth that passes a test, nearest to the root first.
pub(super) fn find(value: &Value, key: &str, test: impl Fn(&str) -> bool) -> Option<String> {
    let mut queue = VecDeque::from([value]);
    while let Some(value) = queue.pop_front() {
        match value {
            Value::Object(object) => {
                if let Some(text) = str(value, key).filter(|text| test(text)) {
                    return Some(text.to_owned());
                }
                queue.extend(object.values());
            }
            Value::Array(elements) => queue.extend(elements),
            _ => {}
        }
    }
    None
}

/// `{"tag": 1, "content": ...}` is its content.
fn content(value: &Value) -> &Value {
    match value {
        Value::Object(object) if is_wrapped(object) => object.get("content").unwrap_or(value),
        other => other,
    }
}

fn is_wrapped(object: &Map<String, Value>) -> bool {
    object.len() == 2 && object.contains_key("tag") && object.contains_key("content")
}

/// The parts of an ARN; the resource keeps its colons and slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }

    /// The repository's name where this is a repository of ECR or one of its images.
    pub fn repository(&self) -> Option<&'a str> {
        if !matches!(self.service, "ecr" | "ecr-public") {
            return None;
        }
        let name = self.resource.strip_prefix("repository/")?;
        // Inspector names images as `repository/NAME/sha256:...`.
        let name = name.split_once("/sha256:").map_or(name, |(name, _)| name);
        (!name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_list_has_the_same_elements() {
        let expected = [json!({"imageId": "a"})];
        for form in [
            json!({"items": [{"imageId": "a"}]}),
            json!({"items": {"imageId": "a"}}),
            json!({"item": {"imageId": "a"}}),
            json!([{"imageId": "a"}]),
            json!([null, {"imageId": "a"}]),
            json!({"imageId": "a"}),
            json!([{"tag": 1, "content": {"imageId": "a"}}]),
        ] {
            assert_eq!(list(&form).into_iter().cloned().collect::<Vec<_>>(), expected, "{form}");
        }
        for empty in ["{}", "null", "[]", r#"{"items": []}"#, r#"{"items": {}}"#, r#"{"items": null}"#] {
            assert!(list(&serde_json::from_str(empty).unwrap()).is_empty(), "{empty}");
        }
    }

    #[test]
    fn keys_are_found_without_regard_to_case_and_null_is_absent() {
        let value = json!({"ImageId": "ami-1", "name": null, "wrapped": {"tag": 1, "content": "x"}});
        assert_eq!(text(&value, "imageId").as_deref(), Some("ami-1"));
        assert_eq!(get(&value, "name"), None);
        assert_eq!(text(&value, "wrapped").as_deref(), Some("x"));
    }

    #[test]
    fn counts_never_overflow_or_go_below_zero() {
        assert_eq!(count(&json!(-3)), Some(0));
        assert_eq!(count(&json!(1e300)), Some(u64::MAX));
        assert_eq!(count(&json!("12")), Some(12));
        assert_eq!(count(&json!("many")), None);
    }

    #[test]
    fn an_account_written_as_a_number_keeps_its_leading_zeros() {
        assert_eq!(account(&json!({"a": 12345678901_u64}), "a").as_deref(), Some("012345678901"));
    }

    #[test]
    fn repository_names_come_out_of_repository_and_image_arns() {
        let repository = |arn| Arn::parse(arn).and_then(|arn| arn.repository());
        assert_eq!(repository("arn:aws:ecr:eu-west-1:111122223333:repository/team/app"), Some("team/app"));
        assert_eq!(
            repository("arn:aws-cn:ecr:cn-north-1:111122223333:repository/team/app/sha256:00ff"),
            Some("team/app")
        );
        assert_eq!(repository("arn:aws:ec2:eu-west-1:111122223333:instance/i-1"), None);
        assert_eq!(repository("arn:aws"), None);
    }
}
