//! Text filters between a known text and the interpreter that runs it: `cut`, `grep`, `sed -n`, `awk`, `jq`.
//!
//! They are followed as far as hiding a script takes them. A form that is not understood gives `None`,
//! which means that what is run cannot be known.

use regex::bytes::{Regex, RegexBuilder};

use super::Command;

/// Bytes of a compiled pattern.
const MAX_PATTERN: usize = 64 << 10;

fn pattern(text: &str, extended: bool) -> Option<Regex> {
    // In a basic expression these are ordinary unless escaped.
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                c @ ('(' | ')' | '{' | '}' | '+' | '?' | '|') if !extended => out.push(c),
                c => out.extend(['\\', c]),
            },
            '(' | ')' | '{' | '}' | '+' | '?' | '|' if !extended => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    RegexBuilder::new(&out).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build().ok()
}

fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == b'\n')
}

/// `cut -c3-`, `cut -b 3-10`, `cut -d: -f2-`.
pub(super) fn cut(command: &Command, input: &[u8]) -> Option<Vec<u8>> {
    let args: Vec<&str> = command.args().iter().map(|word| word.text.as_str()).collect();
    let value = |short: &str, long: &str| {
        args.iter().enumerate().find_map(|(at, text)| {
            let attached = text.strip_prefix(short).or_else(|| text.strip_prefix(long))?;
            if attached.is_empty() { args.get(at + 1).copied() } else { Some(attached) }
        })
    };
    let range = |text: &str| -> Option<(usize, usize)> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str, other: usize| if text.is_empty() { Some(other) } else { text.parse().ok() };
        Some((number(from, 1)?, number(to, usize::MAX)?))
    };
    let mut out = Vec::with_capacity(input.len());
    if let Some(columns) = value("-c", "--characters=").or_else(|| value("-b", "--bytes=")) {
        let (from, to) = range(columns)?;
        for line in lines(input) {
            out.extend(line.iter().take(to).skip(from.saturating_sub(1)));
            out.push(b'\n');
        }
        return Some(out);
    }
    let (from, to) = range(value("-f", "--fields=")?)?;
    let separator = value("-d", "--delimiter=").and_then(|text| text.bytes().next()).unwrap_or(b'\t');
    for line in lines(input) {
        let fields: Vec<&[u8]> =
            line.split(|byte| *byte == separator).take(to).skip(from.saturating_sub(1)).collect();
        out.extend(fields.join(&separator));
        out.push(b'\n');
    }
    Some(out)
}

/// `grep PATTERN`, with `-v`, `-o`, `-E`, `-F`, `-i`.
pub(super) fn grep(command: &Command, input: &[u8]) -> Option<Vec<u8>> {
    let short = |letter: char| {
        command.args().iter().any(|word| {
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains(letter)
        })
    };
    let text = command.operands().next()?.text.as_str();
    let fixed = short('F') || command.name == "fgrep";
    let escaped = if fixed { regex::escape(text) } else { text.to_owned() };
    let escaped = if short('i') { format!("(?i){escaped}") } else { escaped };
    let wanted =
        pattern(&escaped, fixed || short('E') || short('P') || short('i') || command.name == "egrep")?;
    let mut out = Vec::new();
    for line in lines(input).filter(|line| wanted.is_match(line) != short('v')) {
        match wanted.find(line).filter(|_| short('o')) {
            Some(found) => out.extend(found.as_bytes()),
            None => out.extend(line),
        }
        out.push(b'\n');
    }
    Some(out)
}

/// `sed -n 's/^#x //p'`, `sed 's/a//'`, `sed '1,/^END/d'`, `sed -n '/^#x/p'`, `sed 1d`.
pub(super) fn sed(command: &Command, input: &[u8]) -> Option<Vec<u8>> {
    let has = |letter: char| {
        command.args().iter().any(|word| {
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains(letter)
        })
    };
    let (quiet, extended) = (has('n'), has('E') || has('r'));
    let mut program = command.operands().next()?.text.as_str();
    let mut out = Vec::new();
    let mut keep = |line: &[u8]| {
        out.extend(line);
        out.push(b'\n');
    };
    // `1,/PATTERN/d`, `0,/PATTERN/d`
    if let Some((rest, tail)) =
        ["1,/", "0,/"].iter().find_map(|start| program.strip_prefix(start)?.split_once('/'))
    {
        let end = pattern(rest, extended)?;
        if tail.trim() != "d" {
            return None;
        }
        lines(input).skip_while(|line| !end.is_match(line)).skip(1).for_each(keep);
        return Some(out);
    }
    let mut address = None;
    if let Some((rest, tail)) = program.strip_prefix('/').and_then(|rest| rest.split_once('/')) {
        address = Some(pattern(rest, extended)?);
        program = tail.trim_start();
    }
    let first = program.len() - program.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let skipped: usize = program.get(..first).and_then(|text| text.parse().ok()).unwrap_or(0);
    program = program.get(first..).unwrap_or("");
    let addressed = |number: usize, line: &[u8]| match &address {
        Some(address) => address.is_match(line),
        None => skipped == 0 || number + 1 == skipped,
    };
    if let Some(rest) = program.strip_prefix('s') {
        let separator = rest.chars().next()?;
        let mut parts = rest.get(separator.len_utf8()..)?.split(separator);
        let (from, to, flags) = (pattern(parts.next()?, extended)?, parts.next()?, parts.next()?);
        let to = to.replace('$', "$$").replace("\\1", "${1}").replace("\\2", "${2}").replace('&', "${0}");
        let limit = usize::from(!flags.contains('g'));
        for (number, line) in lines(input).enumerate() {
            let matches = addressed(number, line) && from.is_match(line);
            if matches {
                let changed = from.replacen(line, limit, to.as_bytes());
                if !quiet || flags.contains('p') {
                    keep(&changed);
                }
            } else if !quiet {
                keep(line);
            }
        }
        return Some(out);
    }
    match program.trim() {
        "d" => {
            lines(input).enumerate().filter(|(n, line)| !addressed(*n, line)).for_each(|(_, line)| keep(line))
        }
        "p" if quiet => {
            lines(input).enumerate().filter(|(n, line)| addressed(*n, line)).for_each(|(_, line)| keep(line))
        }
        _ => return None,
    }
    Some(out)
}

/// `awk '{print $2}'`, `awk '/^#x/'`: fields and lines.
pub(super) fn awk(command: &Command, input: &[u8]) -> Option<Vec<u8>> {
    let text = command.operands().last()?.text.as_str();
    let program = command
        .operands()
        .map(|word| word.text.as_str())
        .find(|text| text.contains(['{', '/']))
        .unwrap_or(text);
    let (wanted, action) = match program.trim().strip_prefix('/').and_then(|rest| rest.split_once('/')) {
        Some((wanted, action)) => (Some(pattern(wanted, true)?), action.trim()),
        None => (None, program.trim()),
    };
    let field: usize = match action {
        "" | "{print}" | "{print $0}" | "{ print }" => 0,
        action => action
            .strip_prefix('{')?
            .strip_suffix('}')?
            .trim()
            .strip_prefix("print")?
            .trim()
            .strip_prefix('$')?
            .parse()
            .ok()?,
    };
    let separator = command
        .args()
        .iter()
        .find_map(|word| word.text.strip_prefix("-F"))
        .and_then(|text| text.bytes().next());
    let mut out = Vec::new();
    for line in lines(input).filter(|line| wanted.as_ref().is_none_or(|wanted| wanted.is_match(line))) {
        let found = match (field.checked_sub(1), separator) {
            (None, _) => Some(line),
            (Some(field), Some(separator)) => line.split(|byte| *byte == separator).nth(field),
            (Some(field), None) => {
                line.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()).nth(field)
            }
        };
        out.extend(found.unwrap_or_default());
        out.push(b'\n');
    }
    Some(out)
}

/// All texts in a JSON document: one of them is what `jq -r` picks.
pub(super) fn json_strings(input: &[u8]) -> Option<Vec<u8>> {
    fn collect(value: &serde_json::Value, out: &mut Vec<u8>) {
        match value {
            serde_json::Value::String(text) => {
                out.extend(text.as_bytes());
                out.push(b'\n');
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
            serde_json::Value::Object(members) => members.values().for_each(|value| collect(value, out)),
            _ => {}
        }
    }
    let value: serde_json::Value = serde_json::from_slice(input).ok()?;
    let mut out = Vec::new();
    collect(&value, &mut out);
    (!out.is_empty()).then_some(out)
}

/// Whether a filter turned a text into another one, letter by letter, rather than tidying it.
pub(super) fn hides(before: &[u8], after: &[u8]) -> bool {
    let letters = before.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    let changed = before
        .iter()
        .zip(after)
        .filter(|(one, other)| one.is_ascii_alphanumeric() && !one.eq_ignore_ascii_case(other))
        .count();
    before.len() == after.len() && changed * 3 > letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_data::script::Word;

    #[test]
    fn filters_give_what_the_programs_give() {
        type Filter = fn(&Command, &[u8]) -> Option<Vec<u8>>;
        for (filter, words, input, expected) in [
            (cut as Filter, &["cut", "-c3-"][..], "XXid\n", Some("id\n\n")),
            (cut, &["cut", "-d:", "-f2-"], "a:id:x", Some("id:x\n")),
            (grep, &["grep", "^#x"], "#x id\ny", Some("#x id\n")),
            (sed, &["sed", "-n", "s/^#x //p"], "#x id\ny", Some("id\n")),
            (sed, &["sed", "1,/^END/d"], "a\nEND\nid", Some("id\n")),
            (sed, &["sed", "-n", "/^i/p"], "a\nid", Some("id\n")),
            (sed, &["sed", "y/a/b/"], "a", None),
            (awk, &["awk", "{print $2}"], "a id", Some("id\n")),
            (awk, &["awk", "{x = 1}"], "a id", None),
        ] {
            let words: Vec<Word> = words.iter().map(|word| Word::literal(*word)).collect();
            let command = Command { name: words[0].text.clone(), words, ..Command::default() };
            let found = filter(&command, input.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{:?}", command.words);
        }
        assert_eq!(json_strings(br#"{"a": ["id", 1]}"#).as_deref(), Some(b"id\n".as_slice()));
    }

    #[test]
    fn a_changed_alphabet_hides_and_a_changed_separator_does_not() {
        assert!(hides(b"phey -f", b"curl -s"));
        assert!(!hides(b"a,b,c,d", b"a b c d"));
        assert!(!hides(b"CURL X", b"curl x"));
    }
}
