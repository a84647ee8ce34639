//! Inside a word: quotes, escapes, expansions.

use super::super::{SubKind, encoding};
use super::frame::{Frame, Kind, WordBuf};
use super::{Lexer, MAX_DEPTH, MAX_RECOVERIES};

impl<'t> Lexer<'t, '_> {
    /// The word under construction; begins one where there is none.
    pub(super) fn word(&mut self) -> &mut WordBuf {
        let at = self.at;
        match self.stack.last_mut() {
            Some(frame) => {
                frame.offset.get_or_insert(at);
                frame.word.get_or_insert_with(|| WordBuf { start: at, ..WordBuf::default() })
            }
            None => &mut self.spare,
        }
    }

    /// Add the text from `start` to here.
    pub(super) fn take(&mut self, start: usize) {
        let slice = self.slice(start, self.at);
        if !slice.is_empty() {
            let end = std::mem::replace(&mut self.at, start);
            let quoted = self.top().is_some_and(Frame::quotes);
            let word = self.word();
            word.pieced |= word.piece && !quoted;
            word.text.push_str(slice);
            self.at = end;
        }
    }

    /// Add the character here as it is, whatever it means elsewhere.
    pub(super) fn literal_byte(&mut self) {
        let start = self.at;
        self.at += 1;
        while self.at < self.text.len() && !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.take(start);
    }

    pub(super) fn may_open(&self) -> bool {
        self.stack.len() < MAX_DEPTH && self.recoveries <= MAX_RECOVERIES
    }

    pub(super) fn backslash(&mut self) {
        match self.peek(1) {
            Some(b'\n') => self.at += 2,
            Some(b'\r') if self.peek(2) == Some(b'\n') => self.at += 3,
            Some(b'`') => {
                // Inside backticks this is how a second level is opened and closed.
                let levels = self.stack.iter().filter(|frame| frame.kind == Kind::Backtick).count();
                self.at += 1;
                match levels {
                    0 => {
                        self.word().quoted = true;
                        self.literal_byte();
                    }
                    1 if self.may_open() => {
                        self.at += 1;
                        self.open(Kind::Backtick, self.at);
                    }
                    _ => self.close_backtick(),
                }
            }
            Some(_) => {
                let word = self.word();
                word.quoted = true;
                // One at the start only keeps an alias away: `\curl`.
                word.pieced |= !word.text.is_empty();
                self.at += 1;
                self.literal_byte();
            }
            None => self.at += 1,
        }
    }

    pub(super) fn single_quoted(&mut self) {
        let start = self.at + 1;
        let rest = self.slice(start, self.text.len());
        let word = self.word();
        word.quoted = true;
        word.begin_piece();
        match rest.find('\'') {
            Some(length) => {
                self.at = start + length;
                let text = self.slice(start, self.at);
                self.word().text.push_str(text);
                self.at = start + length + 1;
            }
            // Never closed, so no other one is either: it is an ordinary character.
            None => self.at = start,
        }
    }

    pub(super) fn open_double_quotes(&mut self, opened: usize) {
        let word = self.word();
        word.quoted = true;
        word.begin_piece();
        if let Some(frame) = self.stack.last_mut() {
            frame.double_quoted = Some(opened);
        }
    }

    /// One step in `"..."` or in the body of a here-document.
    pub(super) fn step_double_quoted(&mut self) {
        let body = self.top().is_some_and(|frame| frame.kind == Kind::Body && frame.double_quoted.is_none());
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            if matches!(byte, b'\\' | b'$' | b'`') || (byte == b'"' && !body) {
                break;
            }
            self.at += 1;
        }
        self.take(start);
        match self.peek(0) {
            Some(b'"') => {
                self.at += 1;
                self.word();
                if let Some(frame) = self.stack.last_mut() {
                    frame.double_quoted = None;
                }
            }
            Some(b'\\') => match self.peek(1) {
                Some(b'\n') => self.at += 2,
                Some(b'`') => self.backslash(),
                Some(b'$' | b'\\') => {
                    self.at += 1;
                    self.literal_byte();
                }
                Some(b'"') if !body => {
                    self.at += 1;
                    self.literal_byte();
                }
                _ => self.literal_byte(),
            },
            Some(b'$') => self.dollar(),
            Some(b'`') => self.backtick(),
            _ => {}
        }
    }

    pub(super) fn backtick(&mut self) {
        if self.stack.iter().any(|frame| frame.kind == Kind::Backtick) {
            self.close_backtick();
        } else if self.may_open() {
            self.word();
            self.at += 1;
            self.open(Kind::Backtick, self.at);
        } else {
            self.at += 1;
            self.end_command(false);
        }
    }

    fn close_backtick(&mut self) {
        self.at += 1;
        while let Some(kind) = self.top().map(|frame| frame.kind == Kind::Backtick) {
            if self.stack.len() <= 1 {
                return;
            }
            self.close_top();
            if kind {
                return;
            }
        }
    }

    pub(super) fn dollar(&mut self) {
        let opened = self.at;
        let quoted = self.top().is_some_and(Frame::quotes);
        match self.peek(1) {
            Some(b'(') if self.peek(2) == Some(b'(') && self.may_open() => {
                self.word();
                self.at += 3;
                self.open(Kind::Arithmetic { depth: 0, value: true }, opened);
            }
            Some(b'(') if self.may_open() => {
                self.word();
                self.at += 2;
                self.open(Kind::Substitution(SubKind::Command), opened);
            }
            Some(b'(') => {
                // Too deep to keep apart: what is inside is scanned as commands all the same.
                self.at += 2;
                self.end_command(false);
            }
            Some(b'{') if self.may_open() => self.open_parameter(),
            Some(b'\'') if !quoted => {
                let rest = self.slice(self.at + 2, self.text.len());
                let (value, length) = encoding::ansi_c(rest);
                let word = self.word();
                word.quoted = true;
                word.begin_piece();
                word.text.push_str(&value);
                self.at += 2 + length;
            }
            Some(b'"') if !quoted => self.at += 1,
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let length = identifier(self.bytes.get(self.at + 1..).unwrap_or_default());
                let name = self.slice(self.at + 1, self.at + 1 + length);
                self.word();
                self.at += 1 + length;
                self.expand(name, "", quoted);
            }
            Some(b'0'..=b'9' | b'@' | b'*') => {
                let name = self.slice(self.at + 1, self.at + 2);
                self.word();
                self.at += 2;
                self.expand(name, "", quoted);
            }
            Some(b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.word();
                self.at += 2;
                self.paste_unknown("0");
            }
            _ => self.literal_byte(),
        }
    }

    /// Add a known value; unquoted, its white space ends words.
    pub(super) fn paste(&mut self, value: &str, quoted: bool) {
        // A word costs more than its bytes.
        if !self.scan.spend_expansion(value.len() + 8) {
            return self.paste_unknown("$()");
        }
        let assigned = self.word().equals.is_some() && self.top().is_some_and(|frame| frame.words.is_empty());
        let word = self.word();
        word.expanded = true;
        if !quoted {
            word.begin_piece();
        }
        if quoted || assigned {
            self.word().quoted |= quoted;
            self.word().text.push_str(value);
            return;
        }
        // A variable of its own may say what separates words.
        // One of many characters is none that anybody splits at.
        let separators = self.scan.env.scalar("IFS").filter(|text| text.len() <= 16).unwrap_or("").to_owned();
        let custom = !separators.is_empty() && separators.chars().all(|c| !c.is_whitespace());
        let splits = |c: char| if custom { separators.contains(c) } else { matches!(c, ' ' | '\t' | '\n') };
        let mut pieces = value.split(splits);
        if let Some(first) = pieces.next() {
            self.word().text.push_str(first);
        }
        for piece in pieces {
            self.split_word(false);
            if !piece.is_empty() {
                self.word().text.push_str(piece);
                self.word().expanded = true;
            }
        }
    }

    /// White space that came out of an expansion.
    pub(super) fn split_word(&mut self, keep: bool) {
        if keep {
            self.word().text.push(' ');
            return;
        }
        let empty = self
            .top()
            .and_then(|frame| frame.word.as_ref())
            .is_none_or(|word| word.text.is_empty() && !word.quoted);
        if empty {
            let from = self.stack.last_mut().and_then(|frame| frame.word.take()).and_then(|word| word.from);
            if from.is_some() {
                self.word().from = from;
            }
        } else {
            self.end_word();
        }
    }

    pub(super) fn paste_unknown(&mut self, placeholder: &str) {
        let word = self.word();
        word.expanded = true;
        word.dynamic = true;
        word.text.push_str(placeholder);
    }

    /// An unquoted `=`: an assignment, if what stands before it is a name.
    pub(super) fn equals(&mut self) {
        let at_command = self.top().is_some_and(Frame::at_command);
        let word = self.word();
        if word.equals.is_none() && !word.quoted && !word.expanded {
            let name = word.text.strip_suffix('+').unwrap_or(&word.text);
            let name = name.split_once('[').map_or(name, |(name, _)| name);
            let named = !name.is_empty() && identifier(name.as_bytes()) == name.len();
            if named {
                word.equals = Some(word.text.len());
                // Braces and patterns in a value are not expanded.
                word.brace &= !at_command;
            }
        }
        word.text.push('=');
    }

    /// One step in `((...))`.
    pub(super) fn step_arithmetic(&mut self) {
        while let Some(byte) = self.peek(0) {
            let Some(Kind::Arithmetic { depth, .. }) = self.stack.last_mut().map(|frame| &mut frame.kind)
            else {
                return;
            };
            match byte {
                b'(' => *depth += 1,
                b')' if *depth > 0 => *depth -= 1,
                b')' if self.peek(1) == Some(b')') => {
                    self.at += 2;
                    return self.close_top();
                }
                b')' => {
                    return self.not_arithmetic();
                }
                b'\\' => self.at += 1,
                b'$' => return self.dollar(),
                b'`' => return self.backtick(),
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.bytes.len());
    }

    /// One parenthesis alone closes `((`: these were subshells, and are scanned again as such.
    fn not_arithmetic(&mut self) {
        let Some(frame) = self.stack.pop_if(|_| self.recoveries <= MAX_RECOVERIES) else {
            self.at += 1;
            return;
        };
        self.recoveries = self.recoveries.saturating_add(1);
        let value = matches!(frame.kind, Kind::Arithmetic { value: true, .. });
        if value {
            self.at = frame.opened + 2;
            self.open(Kind::Substitution(SubKind::Command), frame.opened);
        } else {
            self.at = frame.opened + 1;
            self.open(Kind::Paren, frame.opened);
        }
    }

    /// The end of the line, from here.
    pub(super) fn line_end(&self) -> Option<usize> {
        self.slice(self.at, self.text.len()).find('\n').map(|length| self.at + length)
    }
}

/// How long the identifier at the start is.
pub(super) fn identifier(bytes: &[u8]) -> usize {
    if bytes.first().is_none_or(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}
