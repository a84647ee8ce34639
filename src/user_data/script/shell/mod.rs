//! The shell scanner: one pass over the bytes with a stack of what is open.
//!
//! It is no parser: there is no grammar to fall out of. Quotes, comments, here-documents,
//! substitutions and compound commands are frames on a stack that is capped ([`MAX_DEPTH`]); a closer
//! without an opener is ignored, and an opener without a closer is, at the end of the text, taken back
//! and scanned again as if it were an ordinary character, a fixed number of times.

mod compound;
mod frame;
mod heredoc;
mod operators;
mod parameter;
mod word;

use super::nested::Scan;
use super::{Span, SubKind};
use frame::{Case, Frame, Header, Kind, WordBuf};

/// Levels of `(`, `$(`, `${`, `{`, `if` ... that are kept apart; what is deeper is scanned flat.
pub const MAX_DEPTH: usize = 200;
/// How often an opener may be taken back. Beyond that, openers that would need it are plain text.
const MAX_RECOVERIES: u8 = 8;
/// Variables and substitutions that are remembered of one word.
const MAX_SOURCES: usize = 1024;
/// Here-documents in substitutions in here-documents.
const MAX_BODIES: u8 = 4;

pub(super) struct Lexer<'t, 's> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    unit: u32,
    scan: &'s mut Scan,
    stack: Vec<Frame>,
    /// What a word goes into when nothing is open, which does not happen.
    spare: WordBuf,
    /// The newline behind which a here-document's body stands, and where scanning goes on.
    jump: Option<(usize, usize)>,
    /// Last lines that could end a here-document, once one was found to have no end.
    lines: Option<heredoc::Lines>,
    /// No line end follows, so that no here-document has a body.
    on_last_line: bool,
    /// `<<-` was read.
    strip_tabs: bool,
    recoveries: u8,
    bodies: u8,
    /// Set for the body of a here-document: what its commands give as their place.
    place: Option<u32>,
}

/// Scan `text` as shell commands, which are added to `scan`.
pub(super) fn scan(scan: &mut Scan, unit: u32, text: &str) -> Span {
    let start = scan.command_count();
    let mut lexer = Lexer::new(scan, unit, text, Kind::Top);
    lexer.run();
    Span { start, end: scan.command_count() }
}

impl<'t, 's> Lexer<'t, 's> {
    fn new(scan: &'s mut Scan, unit: u32, text: &'t str, kind: Kind) -> Lexer<'t, 's> {
        let start = scan.command_count();
        Lexer {
            text,
            bytes: text.as_bytes(),
            at: 0,
            unit,
            scan,
            stack: vec![Frame::new(kind, 0, start)],
            spare: WordBuf::default(),
            jump: None,
            lines: None,
            on_last_line: false,
            strip_tabs: false,
            recoveries: 0,
            bodies: 0,
            place: None,
        }
    }

    fn run(&mut self) {
        loop {
            while self.at < self.bytes.len() {
                self.step();
            }
            match self.unclosed() {
                Some(opened) => self.recover(opened),
                None => break,
            }
        }
        self.flush();
    }

    fn step(&mut self) {
        let Some(frame) = self.stack.last() else {
            self.at = self.bytes.len();
            return;
        };
        if frame.double_quoted.is_some() {
            return self.step_double_quoted();
        }
        match frame.kind {
            Kind::Body => self.step_double_quoted(),
            Kind::Parameter(_) => self.step_parameter(),
            Kind::Arithmetic { .. } => self.step_arithmetic(),
            _ => self.step_command(),
        }
    }

    /// One step where commands stand.
    fn step_command(&mut self) {
        let Some(byte) = self.peek(0) else { return };
        let testing = self.top().is_some_and(|frame| frame.testing);
        match byte {
            b' ' | b'\t' | b'\r' => {
                self.at += 1;
                self.end_word();
            }
            b'\n' => self.newline(),
            b'\\' => self.backslash(),
            b'\'' => self.single_quoted(),
            b'"' => {
                let opened = self.at;
                self.at += 1;
                if self.recoveries <= MAX_RECOVERIES {
                    self.open_double_quotes(opened);
                }
            }
            b'$' => self.dollar(),
            b'`' => self.backtick(),
            b'#' if self.top().is_some_and(|frame| frame.word.is_none()) => self.comment(),
            b'&' | b'|' | b'<' | b'>' | b'(' | b')' if testing => self.literal_byte(),
            b';' => self.semicolon(),
            b'&' => self.ampersand(),
            b'|' => self.bar(),
            b'(' => self.open_parenthesis(),
            b')' => self.close_parenthesis(),
            b'<' | b'>' => self.redirection(),
            _ => self.plain(),
        }
    }

    /// A run of ordinary characters.
    fn plain(&mut self) {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b'\\' | b'\'' | b'"' | b'$' | b'`' | b';' | b'&' | b'|'
                | b'(' | b')' | b'<' | b'>' => break,
                b'=' => {
                    self.take(start);
                    self.at += 1;
                    self.equals();
                    return;
                }
                b'{' | b',' | b'*' | b'?' | b'[' => {
                    self.take(start);
                    let special = self.at;
                    self.at += 1;
                    let word = self.word();
                    word.brace |= byte == b'{';
                    word.comma |= byte == b',';
                    word.glob |= matches!(byte, b'*' | b'?' | b'[');
                    self.take(special);
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.take(start);
    }

    fn comment(&mut self) {
        let in_backticks = self.stack.iter().any(|frame| frame.kind == Kind::Backtick);
        while let Some(byte) = self.peek(0) {
            if byte == b'\n' || (byte == b'`' && in_backticks) {
                break;
            }
            self.at += 1;
        }
    }

    fn newline(&mut self) {
        let here = self.at;
        // A here-document's delimiter may be the last word of the line.
        self.end_word();
        self.at += 1;
        if let Some((newline, behind)) = self.jump.take()
            && here <= newline
        {
            self.end_line();
            self.at = behind;
            return;
        }
        self.end_line();
    }

    fn end_line(&mut self) {
        match self.top().map(|frame| &frame.kind) {
            Some(Kind::Array(_)) => self.end_word(),
            Some(Kind::Case(Case::Pattern)) => self.end_word(),
            _ if self.top().is_some_and(|frame| frame.header == Header::CaseWord) => self.end_word(),
            _ => {
                self.end_word();
                if let Some(frame) = self.stack.last_mut() {
                    let goes_on = frame.testing
                        && frame.words.last().is_some_and(|word| matches!(word.text.as_str(), "&&" | "||"));
                    if goes_on {
                        return;
                    }
                }
                self.end_command(false);
            }
        }
    }

    /// The outermost opener that was never closed and so hid what follows it.
    fn unclosed(&self) -> Option<usize> {
        if self.recoveries > MAX_RECOVERIES {
            return None;
        }
        self.stack.iter().find_map(|frame| match frame.kind {
            Kind::Parameter(_) | Kind::Arithmetic { .. } | Kind::Array(_) => Some(frame.opened),
            _ => frame.double_quoted,
        })
    }

    /// Take the opener at `opened` back: it is text, and what follows it is scanned anew.
    fn recover(&mut self, opened: usize) {
        // What follows is scanned anew, which costs as much as the text behind it is long.
        let again = self.text.len().saturating_sub(opened);
        self.recoveries = if self.scan.budget.work.take(again / 8) {
            self.recoveries.saturating_add(1)
        } else {
            MAX_RECOVERIES + 1
        };
        self.on_last_line = false;
        let body = self.stack.first().is_some_and(|frame| frame.kind == Kind::Body);
        if body {
            self.stack.truncate(1);
            if let Some(frame) = self.stack.first_mut() {
                frame.double_quoted = None;
            }
            self.at = opened;
            self.literal_byte();
            return;
        }
        self.flush();
        let start = self.scan.command_count();
        self.stack = vec![Frame::new(Kind::Top, opened, start)];
        self.jump = None;
        self.at = opened;
        while self.peek(0).is_some_and(|byte| matches!(byte, b'$' | b'(' | b'{' | b'"')) {
            let quote = self.peek(0) == Some(b'"');
            self.at += 1;
            if quote {
                break;
            }
        }
    }

    /// End whatever is open, innermost first.
    fn flush(&mut self) {
        while self.stack.len() > 1 {
            self.close_top();
        }
        if self.top().is_some_and(|frame| frame.kind != Kind::Body) {
            self.end_command(false);
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }
    fn top(&self) -> Option<&Frame> {
        self.stack.last()
    }
    fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or("")
    }

    /// The commands of a substitution ended: its value goes into the word around it.
    fn paste_substitution(&mut self, kind: SubKind, span: Span) {
        let value = match kind {
            SubKind::Command => self.scan.output_of_span(span),
            SubKind::Input | SubKind::Output => None,
        };
        let quoted = self.top().is_some_and(Frame::quotes);
        let subs = &mut self.word().expansions().subs;
        if subs.len() < MAX_SOURCES {
            subs.push((kind, span));
        }
        match (value, kind) {
            (Some(value), _) => self.paste(value.trim_end_matches('\n'), quoted),
            (None, SubKind::Command) => self.paste_unknown("$()"),
            (None, _) => self.paste_unknown("/dev/fd/63"),
        }
    }
}
