//! The scanner for Windows batch: `cmd.exe` lines.

use super::nested::Scan;
use super::{Command, Redirect, RedirectOp, Span, Word};
use std::collections::HashMap;

/// Bytes that variables may add to one line.
const MAX_LINE: usize = 16 << 10;

pub(super) fn scan(scan: &mut Scan, unit: u32, text: &str) {
    let start = scan.command_count();
    let mut variables: HashMap<String, String> = HashMap::new();
    let mut offset = 0;
    let mut joined = String::new();
    let mut joined_at = 0;
    for line in text.split_inclusive('\n') {
        if joined.is_empty() {
            joined_at = offset;
        }
        offset += line.len();
        let body = line.trim_end_matches(['\r', '\n']);
        if let Some(body) = body.strip_suffix('^') {
            joined.push_str(body);
            continue;
        }
        joined.push_str(body);
        let complete = std::mem::take(&mut joined);
        let trimmed = complete.trim_start_matches([' ', '\t', '@']);
        let comment = trimmed.starts_with("::")
            || trimmed.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("rem "));
        if !comment {
            let line = expand(scan, trimmed, &variables);
            line_commands(scan, unit, joined_at as u32, &line, &mut variables);
        }
    }
    if !joined.is_empty() {
        let line = expand(scan, &joined, &variables);
        line_commands(scan, unit, joined_at as u32, &line, &mut variables);
    }
    let span = Span { start, end: scan.command_count() };
    scan.follow_inline(span);
}

/// `%NAME%` and `%NAME:~start,length%` of variables set in the text.
fn expand(scan: &mut Scan, line: &str, variables: &HashMap<String, String>) -> String {
    if !line.contains(['%', '!']) || variables.is_empty() {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(open) = rest.find(['%', '!']) {
        out.push_str(rest.get(..open).unwrap_or(""));
        let mark = rest.get(open..open + 1).unwrap_or("%");
        let tail = rest.get(open + 1..).unwrap_or("");
        let Some(close) = tail.find(mark) else {
            out.push_str(mark);
            rest = tail;
            continue;
        };
        let inside = tail.get(..close).unwrap_or("");
        let (name, slice) =
            inside.split_once(":~").map_or((inside, None), |(name, slice)| (name, Some(slice)));
        match variables.get(&name.to_ascii_lowercase()) {
            Some(value) if out.len() + value.len() < MAX_LINE && scan.spend_expansion(value.len()) => {
                let mut numbers =
                    slice.unwrap_or("0").split(',').map(|number| number.trim().parse::<usize>().unwrap_or(0));
                let from = numbers.next().unwrap_or(0);
                let length = numbers.next().unwrap_or(usize::MAX);
                out.extend(value.chars().skip(from).take(length));
            }
            _ => {
                out.push_str(mark);
                out.push_str(inside);
                out.push_str(mark);
            }
        }
        rest = tail.get(close + 1..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

fn line_commands(
    scan: &mut Scan,
    unit: u32,
    offset: u32,
    line: &str,
    variables: &mut HashMap<String, String>,
) {
    let mut words: Vec<Word> = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut redirects: Vec<Redirect> = Vec::new();
    let mut redirect: Option<RedirectOp> = None;
    let mut pipe: Option<Span> = None;
    let mut was_quoted = false;
    let mut chars = line.chars().peekable();
    let mut finish =
        |words: &mut Vec<Word>, redirects: &mut Vec<Redirect>, pipe: &mut Option<Span>, piped: bool| {
            let taken = std::mem::take(words);
            let redirects = std::mem::take(redirects);
            if taken.is_empty() {
                return;
            }
            set(&taken, variables);
            let command = Command {
                words: taken,
                redirects,
                stdin: pipe.take(),
                piped,
                unit,
                offset,
                ..Command::default()
            };
            let index = scan.push_named(command);
            *pipe = if piped { index.map(Span::one) } else { None };
        };
    let end_word = |words: &mut Vec<Word>,
                    redirects: &mut Vec<Redirect>,
                    redirect: &mut Option<RedirectOp>,
                    word: &mut String,
                    was_quoted: &mut bool| {
        if word.is_empty() && !*was_quoted {
            return;
        }
        let done = Word { text: std::mem::take(word), quoted: std::mem::take(was_quoted), ..Word::default() };
        match redirect.take() {
            Some(op) => redirects.push(Redirect { op, fd: u8::from(op != RedirectOp::Read), target: done }),
            // `if`, `for ... do`, `else`: what follows is a command.
            None if !done.quoted && matches!(done.text.to_ascii_lowercase().as_str(), "do" | "else") => {
                words.clear()
            }
            None => words.push(done),
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '^' => word.extend(chars.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            _ if quoted => word.push(c),
            ' ' | '\t' => end_word(&mut words, &mut redirects, &mut redirect, &mut word, &mut was_quoted),
            '&' | '|' | '(' | ')' => {
                end_word(&mut words, &mut redirects, &mut redirect, &mut word, &mut was_quoted);
                let doubled = chars.peek() == Some(&c);
                if doubled {
                    chars.next();
                }
                finish(&mut words, &mut redirects, &mut pipe, c == '|' && !doubled);
            }
            '>' | '<' => {
                end_word(&mut words, &mut redirects, &mut redirect, &mut word, &mut was_quoted);
                let append = chars.next_if_eq(&'>').is_some();
                redirect = Some(match (c, append) {
                    ('<', _) => RedirectOp::Read,
                    (_, true) => RedirectOp::Append,
                    _ => RedirectOp::Write,
                });
            }
            _ => word.push(c),
        }
    }
    end_word(&mut words, &mut redirects, &mut redirect, &mut word, &mut was_quoted);
    finish(&mut words, &mut redirects, &mut pipe, false);
}

/// `set NAME=value`
fn set(words: &[Word], variables: &mut HashMap<String, String>) {
    let Some((first, rest)) = words.split_first() else { return };
    if !first.text.eq_ignore_ascii_case("set") {
        return;
    }
    let text = rest.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if let Some((name, value)) = text.split_once('=')
        && variables.len() < 1024
    {
        variables.insert(name.trim().to_ascii_lowercase(), value.to_owned());
    }
}
