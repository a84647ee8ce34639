//! Evidence and other JSON values: as lines for people, and cut to a bound for machines.

use serde_json::{Map, Value};

use super::safe;

/// How much of a value is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Characters of a string.
    pub text: usize,
    /// Entries of a list or an object.
    pub items: usize,
    /// Levels of nesting.
    pub depth: usize,
}

/// Keys whose values are secrets whatever they look like.
const SECRET_KEYS: &[&str] =
    &["password", "passwd", "secret", "private_key", "api_key", "access_token", "session_token"];

/// The value with every string (keys too) made safe, and cut to the bounds. `cut` is set where anything
/// was left out.
pub fn bounded(value: &Value, bounds: Bounds, cut: &mut bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => Value::String(string(text, bounds.text, cut)),
        Value::Array(_) | Value::Object(_) if bounds.depth == 0 => {
            *cut = true;
            Value::String("…".to_owned())
        }
        Value::Array(items) => {
            let inner = Bounds { depth: bounds.depth - 1, ..bounds };
            *cut |= items.len() > bounds.items;
            Value::Array(items.iter().take(bounds.items).map(|item| bounded(item, inner, cut)).collect())
        }
        Value::Object(map) => Value::Object(bounded_map(map, bounds, cut)),
    }
}

/// As [`bounded`], for an object.
pub fn bounded_map(map: &Map<String, Value>, bounds: Bounds, cut: &mut bool) -> Map<String, Value> {
    let inner = Bounds { depth: bounds.depth.saturating_sub(1), ..bounds };
    *cut |= map.len() > bounds.items;
    map.iter()
        .take(bounds.items)
        .map(|(key, value)| {
            let value =
                if secret(key, value) { Value::from("[redacted]") } else { bounded(value, inner, cut) };
            (string(key, bounds.text.min(128), cut), value)
        })
        .collect()
}

/// At least how many bytes [`bounded`] will leave of a value, told without making it: cleaning
/// megabytes only to find them too large would take seconds.
pub fn weight(value: &Value, bounds: Bounds) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => text.len().min(bounds.text),
        Value::Array(_) | Value::Object(_) if bounds.depth == 0 => 1,
        Value::Array(items) => {
            let inner = Bounds { depth: bounds.depth - 1, ..bounds };
            items.iter().take(bounds.items).map(|item| weight(item, inner)).sum()
        }
        Value::Object(map) => {
            let inner = Bounds { depth: bounds.depth - 1, ..bounds };
            map.values().take(bounds.items).map(|value| weight(value, inner)).sum()
        }
    }
}

/// A string made safe and cut.
pub fn string(text: &str, max: usize, cut: &mut bool) -> String {
    *cut |= text.chars().nth(max).is_some();
    safe::line(text, max)
}

fn secret(key: &str, value: &Value) -> bool {
    value.is_string() && {
        let key = key.to_ascii_lowercase();
        SECRET_KEYS.iter().any(|secret| key.ends_with(secret))
    }
}

/// One piece of evidence for people.
pub struct Row {
    /// Its name in the evidence.
    pub key: String,
    pub label: String,
    /// Usually one; a list of objects has one for each.
    pub lines: Vec<String>,
}

/// The pieces of evidence, short ones first, since those are what a reader looks for. Raw but for
/// secrets: to be sent through [`safe`].
pub fn rows(evidence: &Map<String, Value>, max: usize) -> Vec<Row> {
    let mut entries: Vec<(&String, &Value)> = evidence.iter().filter(|(_, value)| !value.is_null()).collect();
    entries.sort_by_key(|(_, value)| value.is_array() || value.is_object());
    let rest = entries.len().saturating_sub(max);
    let mut rows: Vec<Row> = entries.into_iter().take(max).map(|(key, value)| row(key, value)).collect();
    if rest > 0 {
        let more = format!("{rest} more in the JSON form of this alert");
        rows.push(Row { key: String::new(), label: "and".to_owned(), lines: vec![more] });
    }
    rows
}

fn row(key: &str, value: &Value) -> Row {
    let lines = match value {
        Value::Array(items) if items.iter().any(|item| item.is_object() && !is_tag(item)) => {
            let mut lines: Vec<String> = items.iter().take(ENTRIES).map(|item| brief(item, DEPTH)).collect();
            if let rest @ 1.. = items.len().saturating_sub(ENTRIES) {
                lines.push(format!("and {rest} more"));
            }
            lines
        }
        value => vec![field(key, value, DEPTH)],
    };
    Row { key: key.to_owned(), label: label(key), lines }
}

/// `image_owner`, `imageOwner` -> `image owner`.
fn label(key: &str) -> String {
    let mut text = String::new();
    let mut before = ' ';
    for c in key.chars().take(40) {
        if c == '_' {
            text.push(' ');
        } else if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            text.push(' ');
            text.push(c.to_ascii_lowercase());
        } else {
            text.push(c);
        }
        before = c;
    }
    text
}

/// Entries of a list or an object that are told to people.
const ENTRIES: usize = 8;
/// Levels of nesting that are told to people.
const DEPTH: usize = 3;

/// The value of a key, unless the key says that it is a secret.
fn field(key: &str, value: &Value, depth: usize) -> String {
    if secret(key, value) { "[redacted]".to_owned() } else { brief(value, depth) }
}

/// A value in one line: lists with commas, objects by [`object`].
fn brief(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        // Renderers cut far below this; it only keeps megabytes from being copied about.
        Value::String(text) => safe::line(text, 320),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Array(_) | Value::Object(_) if depth == 0 => "…".to_owned(),
        Value::Array(items) => {
            let nested = items.iter().any(|item| item.is_array() || item.is_object());
            let shown = items.iter().take(ENTRIES).map(|item| brief(item, depth - 1)).collect();
            joined(shown, items.len(), if nested { "; " } else { ", " })
        }
        Value::Object(map) => object(map, depth - 1),
    }
}

/// `CVE-2026-1234, package openssl, version 3.0.11`: what names it first and without its key. A tag is
/// `team=data`.
fn object(map: &Map<String, Value>, depth: usize) -> String {
    if let (2, Some(Value::String(key)), Some(value)) = (map.len(), map.get("key"), map.get("value")) {
        return format!("{}={}", safe::line(key, 200), field(key, value, depth));
    }
    let mut shown: Vec<String> = Vec::new();
    let title = ["name", "id"].into_iter().find(|key| map.get(*key).is_some_and(Value::is_string));
    shown.extend(title.and_then(|key| map.get(key)).map(|value| brief(value, depth)));
    let others = || map.iter().filter(|(key, value)| Some(key.as_str()) != title && !value.is_null());
    shown.extend(
        others().take(ENTRIES).map(|(key, value)| format!("{} {}", label(key), field(key, value, depth))),
    );
    let total = others().count() + usize::from(title.is_some());
    joined(shown, total, ", ")
}

fn is_tag(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.len() == 2 && map.contains_key("key") && map.contains_key("value"))
}

fn joined(shown: Vec<String>, total: usize, separator: &str) -> String {
    let rest = total.saturating_sub(shown.len());
    let text = shown.join(separator);
    if rest == 0 { text } else { format!("{text}{separator}and {rest} more") }
}
