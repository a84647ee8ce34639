//! `unmapped`: what a source could not place, a flat map of dotted keys.
//!
//! `{"requestParameters.instancesSet.items[0].imageId": "ami-..."}`; Parquet readers print such a map
//! as a list of pairs. Lists are `items[0]`, `items[]` or `items.0`, or JSON in a text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::source::fields::{any, scalar};

/// A path is not longer than this.
const MAX_STEPS: usize = 24;
/// List elements and fields made for all keys together, so that a key cannot ask for a giant list.
const MAX_SLOTS: usize = 50_000;
/// Elements of one joined list.
const MAX_JOINED: usize = 1_024;

enum Step<'a> {
    Field(&'a str),
    Element(usize),
}

/// The map with its keys unfolded. Keys too long or too deep are left out.
pub(super) fn unfold(unmapped: &Value) -> Value {
    let mut root = Value::Object(Map::new());
    let mut slots = MAX_SLOTS;
    let pairs = pairs(unmapped);
    let lengths = lengths(&pairs);
    for (key, value) in &pairs {
        let steps = steps(key);
        if steps.is_empty() || steps.len() > MAX_STEPS {
            continue;
        }
        let joined = joined(key).and_then(|(list, _)| lengths.get(list)).and_then(|length| {
            let parts: Vec<&str> = value.as_str()?.split(',').map(str::trim).collect();
            (parts.len() == *length).then_some(parts)
        });
        let Some(parts) = joined else {
            put(&mut root, &steps, leaf(key, value), &mut slots);
            continue;
        };
        let Some(place) = steps.iter().position(|step| matches!(step, Step::Element(_))) else { continue };
        for (index, part) in parts.into_iter().enumerate() {
            let mut steps = self::steps(key);
            if let Some(step) = steps.get_mut(place) {
                *step = Step::Element(index);
            }
            put(&mut root, &steps, Value::String(part.to_owned()), &mut slots);
        }
    }
    root
}

/// A list whose elements share one key, their values joined by commas: `instancesSet.items` and `imageId` of
/// `instancesSet.items[].imageId`.
fn joined(key: &str) -> Option<(&str, &str)> {
    let (list, field) = key.split_once("[]")?;
    // A number in the list's own path names one element of another list.
    let plain = !list.contains('[') && !list.split('.').any(|part| part.parse::<usize>().is_ok());
    plain.then_some((list, field.trim_start_matches('.')))
}

/// How many elements each joined list has. What names an element tells it, since other texts may have commas of
/// their own.
fn lengths<'a>(pairs: &'a [(String, &Value)]) -> BTreeMap<&'a str, usize> {
    const NAMING: [&str; 6] = ["instanceId", "image", "imageId", "image.name", "name", ""];
    let mut best: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (key, value) in pairs {
        let (Some((list, field)), Some(text)) = (joined(key), value.as_str()) else { continue };
        let Some(rank) = NAMING.iter().position(|name| *name == field) else { continue };
        let length = text.bytes().filter(|byte| *byte == b',').count().saturating_add(1);
        let known = best.entry(list).or_insert((rank, length));
        if rank < known.0 {
            *known = (rank, length);
        }
    }
    best.into_iter()
        .filter(|(_, (_, length))| (2..=MAX_JOINED).contains(length))
        .map(|(list, (_, length))| (list, length))
        .collect()
}

fn pairs(unmapped: &Value) -> Vec<(String, &Value)> {
    match unmapped {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(pairs) => pairs
            .iter()
            .filter_map(|pair| match pair {
                Value::Array(pair) => Some((scalar(pair.first()?)?, pair.get(1)?)),
                pair => Some((scalar(any(pair, &["key", "name"])?)?, any(pair, &["value"])?)),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn steps(key: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        match name.parse() {
            Ok(index) => steps.push(Step::Element(index)),
            Err(_) if name.is_empty() => {}
            Err(_) => steps.push(Step::Field(name)),
        }
        // `0]`, `0][1]`, or `]` for a list of one.
        let indices = indices.split('[').filter_map(|index| index.strip_suffix(']'));
        steps.extend(indices.map(|index| Step::Element(index.parse().unwrap_or(0))));
    }
    steps
}

/// Lists and objects come as texts of JSON. A manifest is a text by nature: its digest is of its bytes.
fn leaf(key: &str, value: &Value) -> Value {
    let is_text = ["imageManifest", "policyText"].iter().any(|name| key.ends_with(name));
    match value {
        Value::String(text) if !is_text && text.starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        other => other.clone(),
    }
}

fn put(root: &mut Value, steps: &[Step<'_>], leaf: Value, slots: &mut usize) {
    let mut place = root;
    for step in steps {
        if place.is_null() {
            *place = match step {
                Step::Field(_) => Value::Object(Map::new()),
                Step::Element(_) => Value::Array(Vec::new()),
            };
        }
        let next = match (step, place) {
            (Step::Field(name), Value::Object(fields)) => {
                let Some(left) = slots.checked_sub(1) else { return };
                *slots = left;
                fields.entry((*name).to_owned()).or_insert(Value::Null)
            }
            (Step::Element(index), Value::Array(elements)) => {
                let wanted = index.saturating_add(1);
                let Some(left) = slots.checked_sub(wanted.saturating_sub(elements.len())) else { return };
                *slots = left;
                if elements.len() < wanted {
                    elements.resize(wanted, Value::Null);
                }
                let Some(element) = elements.get_mut(*index) else { return };
                element
            }
            // A number that is a field's name (a port, a sequence), or a text where a list was expected.
            _ => return,
        };
        place = next;
    }
    if place.is_null() {
        *place = leaf;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_of_writing_a_path_leads_to_the_same_place() {
        let expected = json!({"requestParameters": {"instancesSet": {"items": [{"imageId": "ami-1"}]}}});
        for unmapped in [
            json!({"requestParameters.instancesSet.items[0].imageId": "ami-1"}),
            json!({"requestParameters.instancesSet.items[].imageId": "ami-1"}),
            json!({"requestParameters.instancesSet.items.0.imageId": "ami-1"}),
            json!({"requestParameters.instancesSet.items": "[{\"imageId\":\"ami-1\"}]"}),
            json!({"requestParameters.instancesSet": {"items": [{"imageId": "ami-1"}]}}),
            json!({"requestParameters": "{\"instancesSet\":{\"items\":[{\"imageId\":\"ami-1\"}]}}"}),
            json!([["requestParameters.instancesSet.items[0].imageId", "ami-1"]]),
            json!([{"key": "requestParameters.instancesSet.items[0].imageId", "value": "ami-1"}]),
        ] {
            assert_eq!(unfold(&unmapped), expected, "{unmapped}");
        }
    }

    #[test]
    fn lists_joined_with_commas_are_taken_apart_by_what_names_their_elements() {
        let unmapped = json!({
            "responseElements.instancesSet.items[].instanceId": "i-1,i-2",
            "responseElements.instancesSet.items[].imageId": "ami-1, ami-1",
            "responseElements.instancesSet.items[].note": "one, two, three",
            "requestObject.spec.containers[].image": "a:1,b:2,c:3",
            "requestObject.spec.containers[].command[]": "sh,-c",
            "userAgent": "x, y",
        });
        assert_eq!(
            unfold(&unmapped),
            json!({
                "responseElements": {"instancesSet": {"items": [
                    {"instanceId": "i-1", "imageId": "ami-1", "note": "one, two, three"},
                    {"instanceId": "i-2", "imageId": "ami-1"},
                ]}},
                "requestObject": {"spec": {"containers": [
                    {"image": "a:1", "command": ["sh,-c"]}, {"image": "b:2"}, {"image": "c:3"},
                ]}},
                "userAgent": "x, y",
            })
        );
    }

    #[test]
    fn a_manifest_stays_a_text() {
        let unmapped = json!({"requestParameters.imageManifest": "{\"schemaVersion\":2}"});
        assert_eq!(unfold(&unmapped)["requestParameters"]["imageManifest"], "{\"schemaVersion\":2}");
    }

    #[test]
    fn no_key_can_ask_for_a_giant_list() {
        let deep = ["a"; 1_000].join(".");
        let unmapped = json!({"a[4000000000]": 1, "a[999][999][999].b": 1, deep: 1, "b": 2, "..": 3, "[": 4});
        let unfolded = unfold(&unmapped);
        assert_eq!(unfolded["b"], 2);
        assert!(unfolded.to_string().len() < 100_000);
    }
}
