//! Variables whose values the text gives away.

use super::Word;
use std::collections::HashMap;

/// Shell variables, as far as the text tells.
#[derive(Debug, Default)]
pub struct Env {
    values: HashMap<String, Value>,
}

#[derive(Debug, Default)]
struct Value {
    /// Elements; a scalar has one.
    items: Vec<String>,
    /// Something only known at run time was assigned to it, too.
    dynamic: bool,
}

/// What a parameter expands to.
#[derive(Debug, Default, PartialEq)]
pub struct Expanded {
    /// The value; `None` when it is not known from the text.
    pub text: Option<String>,
    /// Whether it may be something else at run time.
    pub dynamic: bool,
}

impl Env {
    /// Remember an assignment. A value that is only known at run time does not erase a literal one:
    /// the literal one is still what some path through the script may use.
    pub fn set(&mut self, name: &str, value: &Word, append: bool) {
        let slot = self.values.entry(name.to_owned()).or_default();
        slot.dynamic |= value.dynamic;
        if append {
            match slot.items.first_mut() {
                Some(first) => first.push_str(&value.text),
                None => slot.items = vec![value.text.clone()],
            }
        } else if !value.dynamic || slot.items.is_empty() {
            slot.items = vec![value.text.clone()];
        }
    }

    /// Remember an array or the values a loop variable takes.
    pub fn set_items(&mut self, name: &str, items: &[Word], append: bool) {
        let slot = self.values.entry(name.to_owned()).or_default();
        slot.dynamic |= items.iter().any(|item| item.dynamic);
        if !append {
            slot.items.clear();
        }
        slot.items.extend(items.iter().map(|item| item.text.clone()));
    }

    /// All elements of an array, or the one value of a scalar.
    pub fn items(&self, name: &str) -> Option<&[String]> {
        self.values.get(name).map(|value| value.items.as_slice())
    }

    /// Bytes that the values of a variable take up.
    pub fn size(&self, name: &str) -> usize {
        self.values.get(name).map_or(0, |value| {
            value.items.iter().fold(0, |size: usize, item| size.saturating_add(item.len() + 8))
        })
    }

    /// A scalar, without a copy of it.
    pub fn scalar(&self, name: &str) -> Option<&str> {
        self.items(name).and_then(<[String]>::first).map(String::as_str)
    }

    /// `$name`, or one element of it.
    pub fn get(&self, name: &str, index: usize) -> Expanded {
        if let Some(value) = self.values.get(name) {
            // What nothing is known of goes by the variable's own name.
            let known = value.items.get(index).filter(|text| !(value.dynamic && text.as_str() == "$()"));
            return Expanded { text: known.cloned(), dynamic: value.dynamic };
        }
        let text = match name {
            "IFS" => " \t\n",
            "HOME" => "/root",
            "SHELL" | "BASH" => "/bin/bash",
            "USER" | "LOGNAME" => "root",
            "TMPDIR" => "/tmp",
            _ => return Expanded { text: None, dynamic: true },
        };
        Expanded { text: Some(text.to_owned()), dynamic: false }
    }

    /// `${name<operation>}`: `operation` is what stands between the name and the closing brace.
    pub fn apply(&self, name: &str, operation: &str) -> Expanded {
        let (index, operation) = subscript(operation);
        let value = match index {
            Index::All => Expanded {
                text: self.items(name).map(|items| items.join(" ")),
                dynamic: self.values.get(name).is_none_or(|value| value.dynamic),
            },
            Index::At(at) => self.get(name, at),
        };
        let literal = |text: String| Expanded { text: Some(text), dynamic: value.dynamic };
        let known = value.text.as_deref();
        if operation.is_empty() {
            return value;
        }
        for (prefix, only_unset) in [(":-", false), (":=", false), ("-", true), ("=", true)] {
            if let Some(other) = operation.strip_prefix(prefix) {
                return match known {
                    Some(text) if only_unset || !text.is_empty() => literal(text.to_owned()),
                    _ => Expanded { text: Some(other.to_owned()), dynamic: value.dynamic },
                };
            }
        }
        for prefix in [":+", "+"] {
            if let Some(other) = operation.strip_prefix(prefix) {
                let text = if known.is_some_and(|text| !text.is_empty()) { other } else { "" };
                return Expanded { text: Some(text.to_owned()), dynamic: value.dynamic || known.is_none() };
            }
        }
        let Some(text) = known else {
            return Expanded { text: None, dynamic: true };
        };
        match transform(text, operation) {
            Some(text) => literal(text),
            None => Expanded { text: None, dynamic: true },
        }
    }
}

enum Index {
    At(usize),
    All,
}

fn subscript(operation: &str) -> (Index, &str) {
    let Some((inside, rest)) = operation.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (Index::At(0), operation);
    };
    match inside {
        "@" | "*" => (Index::All, rest),
        _ => (Index::At(inside.parse().unwrap_or(0)), rest),
    }
}

/// The operations on a known value; `None` for those not understood.
fn transform(text: &str, operation: &str) -> Option<String> {
    if operation.starts_with(":?") || operation.starts_with('?') || operation.starts_with('@') {
        return Some(text.to_owned());
    }
    if let Some(rest) = operation.strip_prefix(':') {
        return substring(text, rest);
    }
    if let Some(rest) = operation.strip_prefix('/') {
        let (all, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        let (from, to) = split_unescaped(rest);
        // Patterns with wildcards other than `*` for everything are left alone.
        if from.is_empty() || from.contains(['*', '?', '[']) {
            return None;
        }
        return Some(if all { text.replace(&from, to) } else { text.replacen(&from, to, 1) });
    }
    match operation {
        "^^" => return Some(text.to_uppercase()),
        ",," => return Some(text.to_lowercase()),
        "^" | "," => {
            let mut rest = text.chars();
            let first = rest.next()?;
            let first = if operation == "^" {
                first.to_uppercase().to_string()
            } else {
                first.to_lowercase().to_string()
            };
            return Some(first + rest.as_str());
        }
        _ => {}
    }
    let cut = |longest: &str, shortest: &str| -> Option<(String, bool)> {
        if let Some(rest) = operation.strip_prefix(longest) {
            return Some((rest.to_owned(), true));
        }
        operation.strip_prefix(shortest).map(|rest| (rest.to_owned(), false))
    };
    if let Some((pattern, longest)) = cut("##", "#") {
        return Some(cut_front(text, &pattern, longest).to_owned());
    }
    if let Some((pattern, longest)) = cut("%%", "%") {
        return Some(cut_back(text, &pattern, longest).to_owned());
    }
    None
}

fn split_unescaped(rest: &str) -> (String, &str) {
    let mut from = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => from.extend(chars.next().map(|(_, c)| c)),
            '/' => return (from, rest.get(at + 1..).unwrap_or("")),
            c => from.push(c),
        }
    }
    (from, "")
}

fn substring(text: &str, rest: &str) -> Option<String> {
    let (offset, length) =
        rest.split_once(':').map_or((rest, None), |(offset, length)| (offset, Some(length)));
    let count = text.chars().count() as i64;
    let offset: i64 = offset.trim().parse().ok()?;
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = match length.map(|length| length.trim().parse::<i64>()) {
        None => count,
        Some(Ok(length)) if length < 0 => (count + length).max(start),
        Some(Ok(length)) => start.saturating_add(length).min(count),
        Some(Err(_)) => return None,
    };
    Some(text.chars().skip(start as usize).take((end - start) as usize).collect())
}

/// `#` and `##` with a literal, `?...`, or `*literal` pattern; others leave the text as it is.
fn cut_front<'a>(text: &'a str, pattern: &str, longest: bool) -> &'a str {
    if !pattern.is_empty() && pattern.chars().all(|c| c == '?') {
        let mut chars = text.chars();
        if chars.by_ref().take(pattern.len()).count() == pattern.len() {
            return chars.as_str();
        }
        return text;
    }
    if let Some(literal) = pattern.strip_prefix('*') {
        let found = if longest { text.rfind(literal) } else { text.find(literal) };
        return found.and_then(|at| text.get(at + literal.len()..)).unwrap_or(text);
    }
    text.strip_prefix(pattern).unwrap_or(text)
}

/// As [`cut_front`], from the end.
fn cut_back<'a>(text: &'a str, pattern: &str, longest: bool) -> &'a str {
    if !pattern.is_empty() && pattern.chars().all(|c| c == '?') {
        let keep = text.chars().count().saturating_sub(pattern.len());
        return text.char_indices().nth(keep).and_then(|(at, _)| text.get(..at)).unwrap_or(text);
    }
    if let Some(literal) = pattern.strip_suffix('*') {
        let found = if longest { text.find(literal) } else { text.rfind(literal) };
        return found.and_then(|at| text.get(..at)).unwrap_or(text);
    }
    text.strip_suffix(pattern).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_operations_give_what_bash_gives() {
        let mut env = Env::default();
        env.set("x", &Word::literal("/opt/curl.tar.gz"), false);
        env.set_items("a", &[Word::literal("one"), Word::literal("two")], false);
        for (name, operation, expected) in [
            ("x", "", "/opt/curl.tar.gz"),
            ("x", "##*/", "curl.tar.gz"),
            ("x", "#*/", "opt/curl.tar.gz"),
            ("x", "%.*", "/opt/curl.tar"),
            ("x", "%%.*", "/opt/curl"),
            ("x", ":5:4", "curl"),
            ("x", ": -2", "gz"),
            ("x", "/curl/wget", "/opt/wget.tar.gz"),
            ("x", "//\\//-", "-opt-curl.tar.gz"),
            ("x", ":-other", "/opt/curl.tar.gz"),
            ("y", ":-other", "other"),
            ("x", ":+set", "set"),
            ("a", "[1]", "two"),
            ("a", "[@]", "one two"),
            ("IFS", "%??", " "),
        ] {
            let text = env.apply(name, operation).text;
            assert_eq!(text.as_deref(), Some(expected), "${{{name}{operation}}}");
        }
    }

    #[test]
    fn a_value_known_only_at_run_time_does_not_hide_the_literal_one() {
        let mut env = Env::default();
        env.set("p", &Word::literal("curl"), false);
        env.set("p", &Word { text: "$()".into(), dynamic: true, ..Word::default() }, false);
        env.set("q", &Word { text: "$()".into(), dynamic: true, ..Word::default() }, false);
        assert_eq!(env.get("q", 0), Expanded { text: None, dynamic: true });
        assert_eq!(env.get("p", 0), Expanded { text: Some("curl".into()), dynamic: true });
    }
}
