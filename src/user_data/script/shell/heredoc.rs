//! Here-documents.

use super::super::{Redirect, RedirectOp, Word};
use super::frame::{Frame, Kind, WordBuf};
use super::{Lexer, MAX_BODIES};
use std::collections::HashMap;

impl<'t> Lexer<'t, '_> {
    /// `<<` and its delimiter were read: find the body, which starts on the next line, and keep it as
    /// the redirection's target. Scanning skips it when it comes to the end of this line.
    pub(super) fn here_document(&mut self, fd: u8, delimiter: WordBuf) {
        let pending = self.jump.filter(|(newline, _)| *newline >= self.at);
        let line = pending.map(|(newline, _)| newline).or_else(|| self.line_end());
        let (target, behind) = match line {
            None => (Word::literal(""), self.text.len()),
            Some(newline) => {
                let start = pending.map_or(newline + 1, |(_, behind)| behind);
                let (end, behind) = self.body_end(start, &delimiter.text, self.strip_tabs);
                let body = self.slice(start, end);
                (self.body(body, !delimiter.quoted, self.strip_tabs), behind)
            }
        };
        if let Some(newline) = line {
            self.jump = Some((newline, behind));
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.redirects.push(Redirect { op: RedirectOp::HereDocument, fd, target });
        }
    }

    /// Where the body that starts at `start` ends, and where its delimiter's line does. A body without
    /// an end goes to the end of the text, as in bash, but is scanned as commands, too.
    fn body_end(&mut self, start: usize, delimiter: &str, strip: bool) -> (usize, usize) {
        if let Some(lines) = &self.lines
            && lines.get(&(strip, delimiter)).is_none_or(|last| *last < start)
        {
            // Not the first one without an end: what follows is scanned as commands, and that is enough.
            return (start, start);
        }
        let mut at = start;
        let rest = self.slice(start, self.text.len());
        for line in rest.split_inclusive('\n') {
            if line_text(line, strip) == delimiter {
                return (at, at + line.len());
            }
            at += line.len();
        }
        if self.lines.is_none() {
            // One look at every line, so that many such openers cost no more than one.
            let mut lines = HashMap::new();
            let mut at = 0;
            for line in self.text.split_inclusive('\n') {
                lines.insert((false, line_text(line, false)), at);
                lines.insert((true, line_text(line, true)), at);
                at += line.len();
            }
            self.lines = Some(lines);
        }
        (self.text.len(), start)
    }

    fn body(&mut self, body: &str, expands: bool, strip: bool) -> Word {
        let stripped;
        let mut body = body;
        if strip {
            stripped =
                body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect::<String>();
            body = &stripped;
        }
        if !expands || !body.contains(['$', '`', '\\']) {
            return Word { text: body.to_owned(), quoted: !expands, ..Word::default() };
        }
        if self.bodies >= MAX_BODIES {
            return Word { text: body.to_owned(), dynamic: true, ..Word::default() };
        }
        let place = self.place.unwrap_or(self.at as u32);
        let start = self.scan.command_count();
        let mut lexer = Lexer::new(self.scan, self.unit, body, Kind::Body);
        lexer.bodies = self.bodies + 1;
        lexer.place = Some(place);
        lexer.stack = vec![Frame::new(Kind::Body, 0, start)];
        lexer.run_body()
    }

    /// Scan a body to its end and give it as one word.
    fn run_body(&mut self) -> Word {
        self.run();
        self.stack.first_mut().and_then(|frame| frame.word.take()).unwrap_or_default().finish()
    }
}

/// A line as compared with a delimiter.
fn line_text(line: &str, strip: bool) -> &str {
    let line = line.trim_end_matches(['\n', '\r']);
    if strip { line.trim_start_matches('\t') } else { line }
}
