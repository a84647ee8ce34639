//! Lines, keys, words and quotes of configuration files.

use std::borrow::Cow;

/// Reads a text line by line. What `read` gives stands on the line that it came from.
pub(super) fn each(text: &str, mut read: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len().min(64 << 10));
    for line in text.lines() {
        if let Some(command) = read(line.trim()) {
            out.push_str(&command);
        }
        out.push('\n');
    }
    out
}

/// As [`each`], with lines that end in a backslash joined to the next one first. A comment between
/// them is left out, as systemd and git do.
pub(super) fn each_joined(text: &str, mut read: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len().min(64 << 10));
    let mut joined = String::new();
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        count += 1;
        let comment = count > 1 && line.trim_start().starts_with(['#', ';']);
        let continued = line.strip_suffix('\\');
        if !comment {
            joined.push_str(continued.unwrap_or(line));
        }
        if (comment || continued.is_some()) && lines.peek().is_some() {
            if !comment {
                joined.push(' ');
            }
            continue;
        }
        if let Some(command) = read(joined.trim()) {
            out.extend(command.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
        out.extend(std::iter::repeat_n('\n', count));
        joined.clear();
        count = 0;
    }
    out
}

/// What stands behind a number of words.
pub(super) fn behind_words(line: &str, count: usize) -> &str {
    let mut rest = line.trim_start();
    for _ in 0..count {
        rest = rest.split_once([' ', '\t']).map_or("", |(_, rest)| rest.trim_start());
    }
    rest
}

/// The value of the first of some keys that a line sets: `key value`, `key=value`, `"key": "value",`.
pub(super) fn option(line: &str, keys: &[(&str, usize)]) -> Option<String> {
    let line = line.trim_start_matches(['-', '$', '{', ' ', '\t']);
    let quoted = line.strip_prefix('"');
    let end = quoted.map_or_else(
        || line.find([' ', '\t', '=', ':', '+', '[']),
        |rest| rest.find('"').map(|end| end + 1),
    )?;
    let (key, rest) = line.split_at(end);
    let key = key.trim_matches('"').to_ascii_lowercase();
    let (key, skip) = keys.iter().find(|(name, _)| *name == key)?;
    // `command[check_disk]=...`
    let rest = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.1,
        None => rest.trim_start_matches('"'),
    };
    let value = rest.trim_start_matches([' ', '\t', '=', ':', '+']);
    let value = behind_words(value, *skip);
    // Zabbix: `UserParameter=key,command`.
    let value = if *key == "userparameter" { value.split_once(',')?.1 } else { value };
    let value = value.strip_prefix('|').unwrap_or(value);
    (!value.is_empty()).then(|| unquoted(value.trim_end_matches(',')).into_owned())
}

/// A value without the quotes around the whole of it.
pub(super) fn unquoted(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return value.into() };
    let Some(inner) = value.get(1..).and_then(|rest| rest.strip_suffix(quote)) else { return value.into() };
    let mut escaped = false;
    for c in inner.chars() {
        if c == quote && !escaped {
            return value.into();
        }
        escaped = c == '\\' && !escaped;
    }
    unescaped(inner).into()
}

/// `\"` and `\\` undone.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some(next @ ('"' | '\\'))) => out.push(next),
            ('\\', Some(next)) => out.extend(['\\', next]),
            _ => out.push(c),
        }
    }
    out
}

/// The texts in double quotes, each with what stands between it and the one before.
pub(super) fn quotes(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let open = rest.find('"')?;
        let (head, inner) = (rest.get(..open)?, rest.get(open + 1..)?);
        let mut escaped = false;
        let end = inner.char_indices().find(|(_, c)| {
            let end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            end
        });
        let end = end.map_or(inner.len(), |(at, _)| at);
        rest = inner.get(end + 1..).unwrap_or_default();
        Some((head, unescaped(inner.get(..end).unwrap_or_default())))
    })
}

/// What stands in double quotes behind one of some keys, joined as commands.
pub(super) fn quoted_behind(line: &str, keys: &[&str]) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let start = keys.iter().filter_map(|key| lower.find(key)).min()?;
    let found: Vec<String> = quotes(line.get(start..)?).map(|(_, text)| text).collect();
    if found.is_empty() {
        // Single quotes, or none.
        let rest = line.get(start..)?;
        return rest.split_once('\'').map(|(_, rest)| rest.trim_end_matches(['\'', ')', ' ']).to_owned());
    }
    Some(found.join("; "))
}
