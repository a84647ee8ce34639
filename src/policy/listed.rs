//! Entries of the policy's lists that may be bounded in time and to accounts.

use std::fmt;
use std::ops::Deref;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::value::Date;

/// One value of a list: the plain text, or `{owner: "...", until: 2026-12-31, accounts: ["..."]}`.
///
/// It reads as its text. [`super::Policy::at`] leaves out what does not hold for an event.
#[derive(Debug, Clone)]
pub struct Listed {
    value: String,
    /// What the value is called in the long form: `owner`.
    key: &'static str,
    /// The last day the entry holds, in UTC.
    pub until: Option<NaiveDate>,
    /// The accounts whose events it holds for; all of them where empty.
    pub accounts: Vec<String>,
}

impl Listed {
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// Whether it has an end or holds for some accounts only.
    pub fn is_bounded(&self) -> bool {
        self.until.is_some() || !self.accounts.is_empty()
    }
}

/// Whether an entry with these bounds holds for an event of an account on a day.
pub(super) fn holds(until: Option<NaiveDate>, accounts: &[String], account: &str, day: NaiveDate) -> bool {
    until.is_none_or(|until| day <= until) && (accounts.is_empty() || accounts.iter().any(|it| it == account))
}

impl Deref for Listed {
    type Target = str;

    fn deref(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

impl From<&str> for Listed {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl From<String> for Listed {
    fn from(value: String) -> Self {
        Self { value, key: "value", until: None, accounts: Vec::new() }
    }
}

/// What an entry says; how its long form calls it does not count.
impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        (&self.value, self.until, &self.accounts) == (&other.value, other.until, &other.accounts)
    }
}

impl PartialEq<str> for Listed {
    fn eq(&self, other: &str) -> bool {
        self.value == other
    }
}

impl PartialEq<&str> for Listed {
    fn eq(&self, other: &&str) -> bool {
        self.value == *other
    }
}

impl PartialEq<String> for Listed {
    fn eq(&self, other: &String) -> bool {
        self.value == *other
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.is_bounded() {
            return serializer.serialize_str(&self.value);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.key, &self.value)?;
        if let Some(until) = &self.until {
            map.serialize_entry("until", until)?;
        }
        if !self.accounts.is_empty() {
            map.serialize_entry("accounts", &self.accounts)?;
        }
        map.end()
    }
}

impl JsonSchema for Listed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Listed".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A value, or the value with the last day it holds and the accounts it holds for.",
            "anyOf": [{"type": "string"}, {"type": "object", "properties": {
                "until": {"type": "string", "format": "date"},
                "accounts": {"type": "array", "items": {"type": "string", "pattern": "^[0-9]{12}$"}}
            }}]
        })
    }
}

/// The schema of a list whose long form has this key and whose values have this shape.
pub(super) fn schema(key: &str, pattern: Option<&str>) -> serde_json::Value {
    let mut value = json!({"type": "string"});
    if let (Some(pattern), Some(object)) = (pattern, value.as_object_mut()) {
        object.insert("pattern".to_owned(), json!(pattern));
    }
    json!({"anyOf": [value.clone(), {
        "type": "object",
        "additionalProperties": false,
        "required": [key],
        "properties": {
            key: value,
            "until": {"type": "string", "format": "date"},
            "accounts": {"type": "array", "items": {"type": "string", "pattern": "^[0-9]{12}$"}}
        }
    }]})
}

/// Reads a list whose long form calls the value so.
macro_rules! lists {
    ($($name:ident: $key:literal),*) => {$(
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listed>, D::Error> {
            deserializer.deserialize_seq(List($key, &[$key, "until", "accounts"]))
        }
    )*};
}
lists!(owners: "owner", ids: "id", watermarks: "watermark", publishers: "publisher", projects: "project");

#[derive(Clone, Copy)]
struct List(&'static str, &'static [&'static str]);

impl<'de> Visitor<'de> for List {
    type Value = Vec<Listed>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Item(self.0, self.1))? {
            list.push(item);
        }
        Ok(list)
    }
}

struct Item(&'static str, &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Listed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text, or an entry such as `{{{}: ..., until: 2026-12-31}}`", self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<Listed, E> {
        Ok(Listed { value: text.to_owned(), key: self.0, until: None, accounts: Vec::new() })
    }

    // Account ids without quotes are numbers to YAML.
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Listed, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Listed, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        use serde::de::Error;

        let (mut value, mut until, mut accounts) = (None::<String>, None::<Date>, None::<Vec<String>>);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                name if name == self.0 => value = Some(map.next_value()?),
                "until" => until = Some(map.next_value()?),
                "accounts" => accounts = Some(map.next_value()?),
                other => return Err(A::Error::unknown_field(other, self.1)),
            }
        }
        Ok(Listed {
            value: value.ok_or_else(|| A::Error::missing_field(self.0))?,
            key: self.0,
            until: until.map(|date| date.0),
            accounts: accounts.unwrap_or_default(),
        })
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Item("value", &["value", "until", "accounts"]).deserialize(deserializer)
    }
}
