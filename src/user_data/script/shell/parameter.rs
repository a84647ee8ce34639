//! `${...}` and `$name`.

use super::frame::{Frame, Kind, WordBuf};
use super::word::identifier;
use super::{Lexer, MAX_SOURCES};

/// The longest variable name that is looked for, in bytes.
const MAX_NAME: usize = 255;

impl Lexer<'_, '_> {
    pub(super) fn open_parameter(&mut self) {
        let opened = self.at;
        let mut start = self.at + 2;
        let mut prefix = None;
        if let Some(byte @ (b'#' | b'!')) = self.bytes.get(start)
            && self.bytes.get(start + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            prefix = Some(*byte);
            start += 1;
        }
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = match rest.first() {
            Some(b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => 1,
            Some(byte) if byte.is_ascii_digit() => {
                rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
            }
            _ => identifier(rest),
        };
        let mut name = self.slice(start, start + length).to_owned();
        self.word();
        self.at = start + length;
        match prefix {
            Some(b'!') => {
                let value = self.scan.env.scalar(&name).filter(|value| value.len() <= MAX_NAME);
                name = value.unwrap_or_default().to_owned();
            }
            Some(_) => name.insert(0, '#'),
            None => {}
        }
        self.open(Kind::Parameter(name), opened);
    }

    /// One step between a parameter's name and its closing brace.
    pub(super) fn step_parameter(&mut self) {
        let outer_quotes = self.stack.iter().rev().nth(1).is_some_and(Frame::quotes);
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            if matches!(byte, b'}' | b'\\' | b'$' | b'`' | b'"') || (byte == b'\'' && !outer_quotes) {
                break;
            }
            self.at += 1;
        }
        self.take(start);
        match self.peek(0) {
            Some(b'}') => {
                self.at += 1;
                self.close_top();
            }
            Some(b'\\') => {
                // Patterns keep their escapes; `transform` undoes them.
                self.at += 1;
                if self.peek(0) == Some(b'/') {
                    self.word().text.push('\\');
                }
                if self.peek(0).is_some() {
                    self.literal_byte();
                }
            }
            Some(b'"') => {
                let opened = self.at;
                self.at += 1;
                self.open_double_quotes(opened);
            }
            Some(b'\'') => self.single_quoted(),
            Some(b'$') => self.dollar(),
            Some(b'`') => self.backtick(),
            _ => {}
        }
    }

    /// A parameter's closing brace was met: `word` is what stood behind the name.
    pub(super) fn close_parameter(&mut self, name: &str, word: Option<WordBuf>) {
        let operation = word.unwrap_or_default();
        let quoted = self.top().is_some_and(Frame::quotes);
        if let Some(from) = operation.from {
            let into = self.word().expansions();
            let room = MAX_SOURCES.saturating_sub(into.subs.len());
            into.subs.extend(from.subs.into_iter().take(room));
            let room = MAX_SOURCES.saturating_sub(into.vars.len());
            into.vars.extend(from.vars.into_iter().take(room));
        }
        self.word().dynamic |= operation.dynamic;
        if !self.scan.spend_value(name) {
            return self.paste_unknown("$()");
        }
        if let Some(name) = name.strip_prefix('#') {
            match self.scan.env.get(name, 0).text {
                Some(value) => self.paste(&value.chars().count().to_string(), quoted),
                None => self.paste_unknown("0"),
            }
            return;
        }
        if operation.text.is_empty() || !operation.text.starts_with(['=', ':']) {
            return self.expand(name, &operation.text, quoted);
        }
        self.expand(name, &operation.text, quoted);
        if let Some(value) = operation.text.strip_prefix(":=").or_else(|| operation.text.strip_prefix('='))
            && self.scan.env.items(name).is_none()
        {
            let word = super::super::Word {
                text: value.to_owned(),
                dynamic: operation.dynamic,
                ..Default::default()
            };
            self.scan.env.set(name, &word, false);
        }
    }

    /// Remember that the word takes a variable whose value is not all known.
    fn source(&mut self, name: &str) {
        let vars = &mut self.word().expansions().vars;
        if vars.len() < MAX_SOURCES && name.len() <= MAX_NAME {
            vars.push(name.to_owned());
        }
    }

    /// `$name` or `${name operation}`.
    pub(super) fn expand(&mut self, name: &str, operation: &str, quoted: bool) {
        if name.is_empty() {
            return self.paste_unknown("${}");
        }
        if matches!(name, "@" | "*") || name.bytes().all(|byte| byte.is_ascii_digit()) {
            // Positional parameters: unset at the top of a user data script, unknown in functions.
            let other = [":-", ":=", "-", "="].iter().find_map(|prefix| operation.strip_prefix(prefix));
            self.source(name);
            match other {
                Some(other) => self.paste(other, quoted),
                None => {
                    let placeholder = format!("${{{name}}}");
                    self.paste_unknown(&placeholder);
                }
            }
            return;
        }
        if !self.scan.spend_value(name) {
            return self.paste_unknown("$()");
        }
        if matches!(operation, "[@]" | "[*]") && self.scan.env.items(name).is_some() {
            let count = self.scan.env.items(name).map_or(0, <[String]>::len);
            if !self.scan.spend_expansion(count.saturating_mul(8)) {
                return self.paste_unknown("$()");
            }
            let items = self.scan.env.items(name).map(<[String]>::to_vec).unwrap_or_default();
            // `IFS=; "${a[*]}"` joins without anything in between.
            let joined = quoted && operation == "[*]" && self.scan.env.scalar("IFS") == Some("");
            for (index, item) in items.iter().enumerate() {
                if index > 0 && !joined {
                    self.split_word(quoted && operation == "[*]");
                }
                self.paste(item, true);
            }
            return;
        }
        if name == "IFS"
            && !quoted
            && self.top().is_some_and(|frame| frame.words.is_empty() || frame.words.len() == 1)
            && let Some(frame) = self.stack.last_mut()
        {
            frame.disguised = true;
        }
        let value = self.scan.env.apply(name, operation);
        let several = self.scan.env.items(name).is_some_and(|items| items.len() > 1);
        if value.dynamic || several {
            let word = self.word();
            word.dynamic |= value.dynamic;
            self.source(name);
        }
        match value.text {
            Some(text) => self.paste(&text, quoted),
            None => {
                let placeholder = format!("${{{name}}}");
                self.paste_unknown(&placeholder);
            }
        }
    }
}
