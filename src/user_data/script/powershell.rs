//! The PowerShell scanner: statements as flat lists of words.
//!
//! Parentheses only separate words, so that `iex (New-Object Net.WebClient).DownloadString('u')` is one
//! command with everything in it. Backticks, `'a'+'b'`, `[char]99` and `-f` are undone, variables with
//! literal values filled in, names lower-cased.

use super::nested::{Scan, decoded_text};
use super::{Command, Span, UnitKind, Word, basename, encoding, language_of};
use crate::user_data::Language;
use std::collections::HashMap;

/// Decoded payloads followed in one text.
const MAX_PAYLOADS: usize = 16;
/// Quotes without an end that are looked for.
const MAX_UNCLOSED: u8 = 8;
/// Bytes that variables may add to one text.
const MAX_PASTED: usize = 256 << 10;

pub(super) fn scan(scan: &mut Scan, unit: u32, text: &str) {
    let start = scan.command_count();
    let mut lexer = Lexer {
        text,
        at: 0,
        scan,
        unit,
        words: Vec::new(),
        word: None,
        offset: None,
        pipe: None,
        variables: HashMap::new(),
        pasted: 0,
        unclosed: 0,
        called: false,
        rebuilt: false,
    };
    lexer.run();
    let rebuilt = lexer.rebuilt;
    let span = Span { start, end: scan.command_count() };
    if rebuilt {
        scan.add_rebuilt(unit, span);
    }
    payloads(scan, span);
    scan.follow_inline(span);
}

/// Base64 texts that a statement decodes.
fn payloads(scan: &mut Scan, span: Span) {
    let mut found = Vec::new();
    for index in span.indices() {
        let Some(command) = scan.script.commands.get(index) else { continue };
        let lower = |word: &Word| word.text.to_ascii_lowercase();
        if !command.words.iter().any(|word| lower(word).contains("frombase64string")) {
            continue;
        }
        let compressed = command.words.iter().any(|word| lower(word).contains("deflate"));
        for word in command.words.iter().filter(|word| word.text.len() >= 16) {
            if found.len() >= MAX_PAYLOADS {
                break;
            }
            let text = if compressed {
                let bytes = encoding::base64(word.text.as_bytes());
                bytes.as_deref().and_then(encoding::deflate).map(|bytes| encoding::text_of(&bytes))
            } else {
                decoded_text(&word.text)
            };
            let size = text.as_ref().map_or(0, String::len);
            if !scan.spend_output(word.text.len().saturating_add(size)) {
                break;
            }
            found.extend(text.map(|text| (index, text)));
        }
    }
    for (index, text) in found {
        let inner = scan.unit(UnitKind::Decoded, Language::PowerShell, &text, Some(index as u32));
        scan.set_inner(index, inner);
    }
}

/// The script in the arguments of `powershell`, and whether it was encoded.
pub(super) fn argument(args: &[Word]) -> Option<(String, bool)> {
    let mut at = 0;
    while let Some(word) = args.get(at) {
        let lower = word.text.to_ascii_lowercase();
        let Some(option) = lower.strip_prefix(['-', '/', '\u{2013}']) else {
            return Some((join(args.get(at..)?), false));
        };
        at += 1;
        if option.starts_with("enc") || matches!(option, "e" | "ec" | "en") {
            let encoded = &args.get(at)?.text;
            return decoded_text(encoded).map(|text| (text, true));
        }
        if !option.is_empty() && "command".starts_with(option) {
            return Some((join(args.get(at..)?), false));
        }
        if option == "file" || option == "f" {
            return None;
        }
        let valued =
            ["executionpolicy", "windowstyle", "version", "psconsolefile", "inputformat", "outputformat"];
        if option == "ep" || option == "ex" || valued.iter().any(|name| name.starts_with(option)) {
            at += 1;
        }
    }
    None
}

/// A text that a statement evaluates or starts a shell with: `iex '...'`, `[scriptblock]::Create('...')`,
/// `Start-Process powershell '-c ...'`.
pub(super) fn evaluated(command: &Command) -> Option<(Language, String)> {
    // White space in a word comes from quotes or from a variable.
    let reads = |word: &&Word| word.text.contains([' ', '|', ';']);
    let creates = |word: &Word| word.text.to_ascii_lowercase().ends_with("scriptblock]::create");
    match command.name.as_str() {
        "iex" | "invoke-expression" => {
            let text = command.args().iter().find(reads)?;
            Some((Language::PowerShell, text.text.clone()))
        }
        "start-process" | "saps" | "start" => {
            let names = |word: &Word| language_of(&basename(&word.text).to_ascii_lowercase());
            let at = command
                .args()
                .iter()
                .position(|word| matches!(names(word), Some(Language::PowerShell | Language::Batch)))?;
            let language = command.args().get(at).and_then(names)?;
            let text = command.args().get(at + 1..)?.iter().find(reads)?.text.as_str();
            let lower = text.to_ascii_lowercase();
            let options: &[&str] =
                if language == Language::Batch { &["/c ", "/k "] } else { &["-command ", "-c "] };
            let start = options.iter().find_map(|option| lower.find(option).map(|at| at + option.len()));
            let text = text.get(start.unwrap_or(0)..)?.trim_matches(['"', ' ']);
            Some((language, text.to_owned()))
        }
        _ => {
            let at = command.words.iter().position(creates)?;
            let text = command.words.get(at + 1..)?.iter().find(reads)?;
            Some((Language::PowerShell, text.text.clone()))
        }
    }
}

fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

struct Lexer<'t, 's> {
    text: &'t str,
    at: usize,
    scan: &'s mut Scan,
    unit: u32,
    words: Vec<Word>,
    word: Option<Word>,
    offset: Option<usize>,
    pipe: Option<Span>,
    variables: HashMap<String, String>,
    pasted: usize,
    /// Quotes that were never closed; each costs a look at the rest of the text.
    unclosed: u8,
    /// `&` stood in front: a text names a command.
    called: bool,
    /// Some text was put together from pieces.
    rebuilt: bool,
}

impl Lexer<'_, '_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }
    fn word(&mut self) -> &mut Word {
        self.offset.get_or_insert(self.at);
        self.word.get_or_insert_default()
    }

    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'(' | b')' | b',' => {
                    self.at += 1;
                    self.end_word();
                }
                // PowerShell ends a line at CR, too. A pipe goes on behind a line's end.
                b'\n' | b'\r' if self.words.is_empty() && self.word.is_none() => self.at += 1,
                b'\n' | b'\r' | b';' | b'{' | b'}' => {
                    self.at += 1;
                    self.end_statement(false);
                }
                b'|' => {
                    self.at += 1;
                    self.end_statement(true);
                }
                b'&' => {
                    let starts = self.words.is_empty() || (self.words.len() == 2 && self.assigns());
                    self.called |= starts && self.word.is_none();
                    self.at += 1;
                    self.end_word();
                }
                b'<' if self.peek(1) == Some(b'#') => {
                    let length = self.rest().find("#>").map_or(self.rest().len(), |length| length + 2);
                    self.at += length;
                }
                b'#' if self.word.is_none() => {
                    self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
                }
                // `$x='value'`, without spaces.
                b'=' if self.words.is_empty()
                    && self.word.as_ref().is_some_and(|word| word.text.starts_with('$')) =>
                {
                    let appends = self
                        .word
                        .as_mut()
                        .is_some_and(|word| word.text.ends_with('+') && word.text.pop().is_some());
                    self.at += 1;
                    self.end_word();
                    self.words.push(Word::literal(if appends { "+=" } else { "=" }));
                }
                b'`' => {
                    self.at += 1;
                    match self.peek(0) {
                        Some(b'\r') if self.peek(1) == Some(b'\n') => self.at += 2,
                        Some(b'\n') => self.at += 1,
                        _ => self.character(),
                    }
                }
                b'@' if matches!(self.peek(1), Some(b'\'' | b'"')) => self.here_string(),
                b'\'' | b'"' => self.quoted(byte),
                b'$' => self.variable(),
                b'[' if self.char_cast() => {}
                _ => self.character(),
            }
        }
        self.end_statement(false);
    }

    /// Whether the statement so far is the target of an assignment and its sign.
    fn assigns(&self) -> bool {
        self.words.get(1).is_some_and(|word| matches!(word.text.as_str(), "=" | "+=") && !word.quoted)
    }

    fn character(&mut self) {
        if let Some(c) = self.rest().chars().next() {
            self.word().text.push(c);
            self.at += c.len_utf8();
        }
    }

    fn here_string(&mut self) {
        let closer = if self.peek(1) == Some(b'\'') { "'@" } else { "\"@" };
        self.at += 2;
        let length = self.rest().find(closer).unwrap_or(self.rest().len());
        let body = self.rest().get(..length).unwrap_or("").trim().to_owned();
        self.word().text.push_str(&body);
        self.word().quoted = true;
        self.at = (self.at + length + closer.len()).min(self.text.len());
    }

    fn quoted(&mut self, quote: u8) {
        let start = self.at;
        self.offset.get_or_insert(start);
        self.at += 1;
        if self.unclosed >= MAX_UNCLOSED {
            return;
        }
        self.word().quoted = true;
        loop {
            match self.peek(0) {
                None => {
                    self.unclosed += 1;
                    // Never closed: an ordinary character after all, from its line's end on.
                    let line = self.text.get(start..).and_then(|rest| rest.find('\n'));
                    self.at = line.map_or(self.text.len(), |length| start + length);
                    break;
                }
                Some(byte) if byte == quote && self.peek(1) == Some(quote) => {
                    self.at += 1;
                    self.character();
                }
                Some(byte) if byte == quote => {
                    self.at += 1;
                    break;
                }
                Some(b'`') if quote == b'"' => {
                    self.at += 1;
                    self.character();
                }
                Some(b'$') if quote == b'"' => self.variable(),
                Some(_) => self.character(),
            }
        }
        self.joined();
    }

    /// `'a' + 'b'`: goes on with the same word.
    fn joined(&mut self) {
        let rest = self.rest().trim_start_matches([' ', ')']);
        let Some(behind) = rest.strip_prefix('+') else { return };
        let behind = behind.trim_start_matches([' ', '\t', '\r', '\n', '(', '`']);
        if behind.starts_with(['\'', '"', '[', '$']) {
            self.at = self.text.len() - behind.len();
            self.rebuilt = true;
        }
    }

    /// `[char]99`, `[char]0x63`
    fn char_cast(&mut self) -> bool {
        let rest = self.rest();
        let Some(tail) = rest.get(..6).filter(|head| head.eq_ignore_ascii_case("[char]")).and(rest.get(6..))
        else {
            return false;
        };
        let tail = tail.trim_start_matches(['(', ' ']);
        let (radix, digits) = tail.strip_prefix("0x").map_or((10, tail), |digits| (16, digits));
        let length = digits.bytes().take(6).take_while(|byte| (*byte as char).is_digit(radix)).count();
        let number = digits.get(..length).and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let Some(c) = number.and_then(char::from_u32) else { return false };
        let end = self.text.len() - digits.len() + length;
        self.word().text.push(c);
        self.word().quoted = true;
        self.at = end;
        self.joined();
        true
    }

    fn variable(&mut self) {
        let rest = self.text.get(self.at + 1..).unwrap_or("");
        let braces = rest.starts_with('{');
        let body = if braces { rest.get(1..).unwrap_or("") } else { rest };
        let length = body
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
            .count();
        let name = body.get(..length).unwrap_or("").trim_end_matches(':').to_ascii_lowercase();
        let used = if braces { name.len() + 2 } else { name.len() };
        let room = MAX_PASTED.saturating_sub(self.pasted);
        let value = self.variables.get(&name).filter(|value| value.len() <= room).cloned();
        let starts_statement = self.words.is_empty() && self.word.is_none();
        match value {
            Some(value) if !name.is_empty() && !self.assigned(used) => {
                // A value of no length costs a step, too.
                self.pasted += value.len();
                self.word().text.push_str(&value);
            }
            _ => {
                let word = self.word();
                word.text.push('$');
                word.text.push_str(&name);
                word.dynamic |= !starts_statement;
            }
        }
        self.at = (self.at + 1 + used).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.joined();
    }

    /// Whether the variable here is the target of an assignment.
    fn assigned(&self, used: usize) -> bool {
        let behind = self.text.get(self.at + 1 + used..).unwrap_or("").trim_start_matches([' ', '\t']);
        self.words.is_empty() && (behind.starts_with('=') || behind.starts_with("+="))
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.words.push(word);
        }
    }

    fn end_statement(&mut self, piped: bool) {
        self.end_word();
        let offset = self.offset.take().unwrap_or(self.at) as u32;
        let called = std::mem::take(&mut self.called);
        let mut words = std::mem::take(&mut self.words);
        format_operator(&mut words);
        self.rebuilt |= join_operator(&mut words);
        if let [target, equals, value, rest @ ..] = words.as_slice()
            && target.text.starts_with('$')
            && matches!(equals.text.as_str(), "=" | "+=")
        {
            let name = target.text.trim_start_matches('$').to_owned();
            if rest.is_empty() && value.quoted && !value.dynamic {
                let held = self.variables.entry(name).or_default();
                if equals.text == "=" {
                    held.clear();
                }
                held.push_str(&value.text);
            }
        }
        // `$x = command`: the command is what runs, its target stays in front of it as an assignment.
        let mut assigns = Vec::new();
        if words.len() > 2 && words.get(1).is_some_and(|word| word.text == "=" && !word.quoted) {
            let target = words.remove(0);
            words.remove(0);
            assigns.push((target.text.trim_start_matches('$').to_owned(), Word::default()));
        }
        if words.is_empty() {
            if !piped {
                self.pipe = None;
            }
            return;
        }
        let assigned = !assigns.is_empty();
        let quoted = match assigned {
            true => words.first().is_some_and(|word| word.quoted),
            false => matches!(self.text.as_bytes().get(offset as usize), Some(b'\'' | b'"')),
        };
        let command = Command {
            words,
            assigns,
            stdin: self.pipe.take(),
            piped,
            unit: self.unit,
            offset,
            ..Command::default()
        };
        // A text is not run unless `&` stands in front, whether it is assigned or stands alone.
        let text = !called && quoted;
        let index = self.scan.push_named(command);
        if let Some(index) = index.filter(|_| text) {
            self.scan.unname(index);
        }
        self.pipe = if piped { index.map(Span::one) } else { None };
    }
}

/// `-join('a','b')` and `('a','b') -join ''`: whether there was one.
fn join_operator(words: &mut Vec<Word>) -> bool {
    let Some(at) = words.iter().position(|word| word.text.eq_ignore_ascii_case("-join") && !word.quoted)
    else {
        return false;
    };
    let quoted = |word: &&Word| word.quoted;
    let before = words.iter().take(at).rev().take_while(quoted).count();
    let behind = words.iter().skip(at + 1).take_while(quoted).count();
    // With pieces in front, what stands behind is the separator.
    let (start, end, separator) = match before {
        0 => (at + 1, at + 1 + behind, String::new()),
        before => (
            at - before,
            at,
            words.get(at + 1).filter(quoted).map_or_else(String::new, |word| word.text.clone()),
        ),
    };
    let pieces: Vec<&str> = words.iter().take(end).skip(start).map(|word| word.text.as_str()).collect();
    let size: usize = pieces.iter().map(|piece| piece.len() + separator.len()).sum();
    if pieces.is_empty() || size > MAX_PASTED {
        return false;
    }
    let joined = Word { text: pieces.join(&separator), quoted: true, ..Word::default() };
    let last = if before == 0 { end } else { (at + 1 + usize::from(behind > 0)).min(words.len()) };
    words.splice(start.min(at)..last, [joined]);
    true
}

/// `'{1}{0}' -f 'b','a'`
fn format_operator(words: &mut Vec<Word>) {
    let Some(at) = words.iter().position(|word| word.text.eq_ignore_ascii_case("-f") && !word.quoted) else {
        return;
    };
    let Some(format) =
        at.checked_sub(1).and_then(|before| words.get(before)).filter(|word| word.text.contains('{'))
    else {
        return;
    };
    let mut text = String::new();
    let mut rest = format.text.as_str();
    let mut used = 0;
    while let Some(open) = rest.find('{') {
        text.push_str(rest.get(..open).unwrap_or(""));
        let tail = rest.get(open + 1..).unwrap_or("");
        let close = tail.find('}').unwrap_or(tail.len());
        let index = tail.get(..close).and_then(|digits| digits.parse::<usize>().ok());
        if let Some((index, value)) = index.and_then(|index| Some((index, words.get(at + 1 + index)?))) {
            text.push_str(&value.text);
            used = used.max(index + 1);
        }
        rest = tail.get(close + 1..).unwrap_or("");
        if text.len() > 4096 {
            return;
        }
    }
    text.push_str(rest);
    // What stands behind the operator's arguments goes on.
    let behind = words.split_off((at + 1 + used).min(words.len()));
    words.truncate(at - 1);
    words.push(Word { text, quoted: true, ..Word::default() });
    words.extend(behind);
}
