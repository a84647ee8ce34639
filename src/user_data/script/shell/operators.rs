//! Between words: separators, pipes, parentheses, redirections.

use super::super::{RedirectOp, SubKind};
use super::frame::{Case, Frame, Header, Kind};
use super::{Lexer, MAX_RECOVERIES};

impl Lexer<'_, '_> {
    fn kind(&self) -> Option<&Kind> {
        self.top().map(|frame| &frame.kind)
    }

    /// Words that belong to no command end at an operator: an array, the head of a `case`. An array that
    /// no parenthesis closed is taken back, and what it holds scanned as commands; then there is nothing
    /// left to do for the operator.
    fn leave_odd_frames(&mut self) -> bool {
        if let Some(frame) = self.top().filter(|frame| matches!(frame.kind, Kind::Array(_))) {
            let opened = frame.opened;
            if self.recoveries <= MAX_RECOVERIES {
                self.recover(opened);
                return true;
            }
            self.close_top();
        }
        if let Some(frame) = self.stack.last_mut()
            && (frame.header == Header::CaseWord || frame.header == Header::Function)
        {
            frame.header = Header::None;
        }
        false
    }

    pub(super) fn semicolon(&mut self) {
        let in_for = self.top().is_some_and(|frame| frame.header == Header::For);
        if !in_for && self.leave_odd_frames() {
            return;
        }
        let ends_branch = matches!(self.peek(1), Some(b';' | b'&'));
        self.at += if !ends_branch {
            1
        } else if self.peek(1) == Some(b';') && self.peek(2) == Some(b'&') {
            3
        } else {
            2
        };
        if self.kind() == Some(&Kind::Case(Case::Pattern)) {
            return self.end_word();
        }
        self.end_command(false);
        self.drop_pipe();
        if ends_branch {
            // Compound commands left open in the branch end with it.
            let inside = self.stack.iter().rev().take_while(|frame| frame.is_compound());
            let found = inside.map(|frame| frame.kind == Kind::Case(Case::Commands)).position(|found| found);
            for _ in 0..found.unwrap_or(0) {
                self.close_top();
            }
            if let Some(frame) = self.stack.last_mut()
                && frame.kind == Kind::Case(Case::Commands)
            {
                frame.kind = Kind::Case(Case::Pattern);
            }
        }
    }

    pub(super) fn ampersand(&mut self) {
        match (self.peek(1), self.peek(2)) {
            (Some(b'>'), next) => {
                self.end_word();
                let append = next == Some(b'>');
                self.at += if append { 3 } else { 2 };
                self.expect_target(RedirectOp::Both, 1);
            }
            (Some(b'&'), _) => {
                if self.leave_odd_frames() {
                    return;
                }
                self.at += 2;
                self.end_command(false);
                self.drop_pipe();
            }
            _ => {
                if self.leave_odd_frames() {
                    return;
                }
                self.at += 1;
                if let Some(span) = self.end_command(false) {
                    self.scan.mark_background(span);
                }
                self.drop_pipe();
            }
        }
    }

    pub(super) fn bar(&mut self) {
        if self.kind() == Some(&Kind::Case(Case::Pattern)) {
            self.at += 1;
            self.end_word();
            if let Some(frame) = self.stack.last_mut() {
                frame.words.clear();
            }
            return;
        }
        if self.leave_odd_frames() {
            return;
        }
        let or = self.peek(1) == Some(b'|');
        self.at += if or || self.peek(1) == Some(b'&') { 2 } else { 1 };
        let element = self.end_command(!or);
        if or {
            self.drop_pipe();
        } else if let Some(frame) = self.stack.last_mut() {
            frame.pipe = element;
        }
    }

    fn drop_pipe(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.pipe = None;
        }
    }

    pub(super) fn open_parenthesis(&mut self) {
        let opened = self.at;
        let Some(frame) = self.top() else { return };
        if let Some(word) = &frame.word {
            if word.text.ends_with('=') && word.equals == Some(word.text.len() - 1) && self.may_open() {
                let name = word.text.trim_end_matches(['+', '=']).to_owned();
                self.at += 1;
                return self.open(Kind::Array(name), opened);
            }
            if word.text.ends_with(['@', '!', '?', '*', '+']) && !word.quoted {
                return self.extended_pattern();
            }
        }
        if frame.kind == Kind::Case(Case::Pattern) {
            self.at += 1;
            return;
        }
        // `name()` and `name ()`
        let frame_at_command = frame.word.is_none() && frame.words.is_empty();
        let named = frame.words.len() + usize::from(frame.word.is_some()) == 1 || frame.function.is_some();
        if named && self.closes_at_once() {
            self.end_word();
            let Some(frame) = self.stack.last_mut() else { return };
            if let Some(name) = frame.words.pop() {
                frame.function = Some(name.text);
            }
            frame.words.clear();
            frame.offset = None;
            return;
        }
        if self.peek(1) == Some(b'(') && frame_at_command && self.may_open() {
            self.at += 2;
            return self.open(Kind::Arithmetic { depth: 0, value: false }, opened);
        }
        if !frame_at_command {
            if self.leave_odd_frames() {
                return;
            }
            self.end_command(false);
        }
        self.at += 1;
        if self.may_open() || (self.recoveries > MAX_RECOVERIES && self.stack.len() < super::MAX_DEPTH) {
            self.open(Kind::Paren, opened);
        }
    }

    /// Steps over `()`, blanks allowed inside.
    fn closes_at_once(&mut self) -> bool {
        let rest = self.slice(self.at + 1, self.text.len());
        let blanks = rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let closes = rest.as_bytes().get(blanks) == Some(&b')');
        if closes {
            self.at += blanks + 2;
        }
        closes
    }

    /// `@(a|b)` in a word, up to its parenthesis or the end of the line.
    fn extended_pattern(&mut self) {
        let start = self.at;
        let mut depth = 0usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                b'\n' | b'$' | b'`' | b'\'' | b'"' => break,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        self.take(start);
    }

    pub(super) fn close_parenthesis(&mut self) {
        self.at += 1;
        if self.kind() == Some(&Kind::Case(Case::Pattern)) {
            self.end_word();
            if let Some(frame) = self.stack.last_mut() {
                frame.words.clear();
                frame.offset = None;
                if frame.kind == Kind::Case(Case::Pattern) {
                    frame.kind = Kind::Case(Case::Commands);
                    return;
                }
            }
        }
        let closable =
            |frame: &Frame| matches!(frame.kind, Kind::Paren | Kind::Substitution(_) | Kind::Array(_));
        let levels = self.stack.iter().rev().take_while(|frame| frame.is_compound() || closable(frame));
        match levels.map(closable).position(|found| found) {
            Some(count) => {
                for _ in 0..=count {
                    self.close_top();
                }
            }
            None => {
                // Closes nothing. What it ended may still be piped on: `(( curl ...) ) | sh`.
                let element = self.end_command(false);
                if let Some(frame) = self.stack.last_mut() {
                    frame.group = element;
                }
            }
        }
    }

    pub(super) fn redirection(&mut self) {
        let opened = self.at;
        let first = self.peek(0);
        if self.peek(1) == Some(b'(') && self.may_open() {
            let kind = if first == Some(b'<') { SubKind::Input } else { SubKind::Output };
            self.word();
            self.at += 2;
            return self.open(Kind::Substitution(kind), opened);
        }
        let mut fd = None;
        if let Some(frame) = self.stack.last_mut()
            && let Some(word) = &frame.word
            && word.bare()
            && word.start + word.text.len() == opened
        {
            fd = word.text.parse::<u8>().ok();
            if fd.is_some() || (word.text.starts_with('{') && word.text.ends_with('}')) {
                frame.word = None;
            }
        }
        self.end_word();
        let (op, length) = match (first, self.peek(1), self.peek(2)) {
            (Some(b'<'), Some(b'<'), Some(b'<')) => (RedirectOp::HereString, 3),
            (Some(b'<'), Some(b'<'), Some(b'-')) => (RedirectOp::HereDocument, 2),
            (Some(b'<'), Some(b'<'), _) => (RedirectOp::HereDocument, 2),
            (Some(b'<'), Some(b'>'), _) => (RedirectOp::ReadWrite, 2),
            (Some(b'<'), Some(b'&'), _) => (RedirectOp::Duplicate, 2),
            (Some(b'<'), _, _) => (RedirectOp::Read, 1),
            (_, Some(b'>'), _) => (RedirectOp::Append, 2),
            (_, Some(b'&'), _) => (RedirectOp::Duplicate, 2),
            (_, Some(b'|'), _) => (RedirectOp::Write, 2),
            _ => (RedirectOp::Write, 1),
        };
        self.at += length;
        if op == RedirectOp::HereDocument {
            let strip = self.peek(0) == Some(b'-');
            if strip {
                self.at += 1;
            }
            self.strip_tabs = strip;
        }
        let output = first == Some(b'>');
        self.expect_target(op, fd.unwrap_or(u8::from(output)));
    }

    fn expect_target(&mut self, op: RedirectOp, fd: u8) {
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let at = self.at;
        if let Some(frame) = self.stack.last_mut() {
            frame.offset.get_or_insert(at);
            frame.redirect = Some((op, fd));
        }
    }
}
