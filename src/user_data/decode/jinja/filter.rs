//! Filters and methods of texts.

use super::expr::{LONGEST, Reader, Value};

impl Reader<'_> {
    /// A filter, or a method of a text.
    pub(super) fn apply(
        &mut self,
        name: &str,
        value: Value,
        arguments: Vec<Value>,
        method: bool,
    ) -> Option<Value> {
        let first = arguments.first();
        let text_of = |value: Option<&Value>| value.map(Value::text).unwrap_or_default();
        if let Value::Unknown(_) = value {
            self.scope.unknown = true;
            // `x | default('y')` may be either.
            return Some(match (name, first) {
                ("default" | "d", Some(fallback)) => fallback.clone(),
                _ => value,
            });
        }
        Some(match name {
            // `', '.join(list)` and `list|join(', ')`.
            "join" => {
                let (list, by) = if method { (first?, value.text()) } else { (&value, text_of(first)) };
                let texts: Vec<String> = list.entries()?.iter().map(Value::text).collect();
                return self.made(texts.join(&by));
            }
            "reverse" => match value {
                Value::Text(text) => return self.made(text.chars().rev().collect()),
                other => Value::List(other.entries()?.into_iter().rev().collect()),
            },
            "replace" => {
                let (from, to) = (text_of(first), text_of(arguments.get(1)));
                let text = value.text();
                if from.is_empty() || to.len().saturating_mul(text.matches(&from).count()) > LONGEST {
                    return None;
                }
                return self.made(text.replace(&from, &to));
            }
            "format" if method => return self.made(braces(&value.text(), &arguments)),
            "format" => return self.made(formatted(&value.text(), &arguments)),
            "lower" => return self.made(value.text().to_lowercase()),
            "upper" => return self.made(value.text().to_uppercase()),
            "trim" | "strip" | "lstrip" | "rstrip" => {
                let cut: Vec<char> = text_of(first).chars().collect();
                let text = value.text();
                let text = if cut.is_empty() { text.trim() } else { text.trim_matches(cut.as_slice()) };
                return self.made(text.to_owned());
            }
            "split" => {
                let (text, by) = (value.text(), text_of(first));
                let pieces: Vec<&str> =
                    if by.is_empty() { text.split_whitespace().collect() } else { text.split(&by).collect() };
                Value::List(pieces.into_iter().map(|piece| Value::Text(piece.to_owned())).collect())
            }
            "list" => Value::List(value.entries()?),
            "first" => value.entries()?.into_iter().next()?,
            "last" => value.entries()?.into_iter().next_back()?,
            "default" | "d" | "string" | "safe" | "e" | "escape" | "indent" | "encode" | "decode" => value,
            _ => return None,
        })
    }
}

/// `%s` and its kin filled in.
pub(super) fn formatted(text: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('%')) => out.push('%'),
            ('%', Some('s' | 'd' | 'c' | 'r')) => {
                out.push_str(&values.next().map(Value::text).unwrap_or_default())
            }
            ('%', Some(other)) => out.extend(['%', other]),
            _ => out.push(c),
        }
        if out.len() > LONGEST {
            break;
        }
    }
    out
}

/// `{}` and `{0}` filled in.
fn braces(text: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    for (index, piece) in text.split('{').enumerate() {
        match piece.split_once('}') {
            Some((number, rest)) if index > 0 => {
                let at = number.parse().unwrap_or(next);
                next += 1;
                out.push_str(&values.get(at).map(Value::text).unwrap_or_default());
                out.push_str(rest);
            }
            _ => out.push_str(piece),
        }
        if out.len() > LONGEST {
            break;
        }
    }
    out
}
