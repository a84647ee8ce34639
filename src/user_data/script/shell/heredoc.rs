//! Here-documents.

use super::super::{Redirect, RedirectOp, Word};
use super::frame::{Frame, Kind, WordBuf};
use super::{Lexer, MAX_BODIES};
use std::hash::{DefaultHasher, Hash, Hasher};

impl<'t> Lexer<'t, '_> {
    /// `<<` and its delimiter were read: find the body, which starts on the next line, and keep it as
    /// the redirection's target. Scanning skips it when it comes to the end of this line.
    pub(super) fn here_document(&mut self, fd: u8, delimiter: WordBuf) {
        let pending = self.jump.filter(|(newline, _)| *newline >= self.at);
        let line = match pending {
            Some((newline, _)) => Some(newline),
            None if self.on_last_line => None,
            None => self.line_end(),
        };
        self.on_last_line = line.is_none();
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
            && !lines.has_after(delimiter, strip, start)
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
            self.lines = Some(Lines::of(self.text));
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

/// Where each line of a text stands last, by the line's hash, with and without its
/// leading tabs: one look at every line, so that many
/// here-documents without an end cost no more than one.
#[derive(Debug)]
pub(super) struct Lines(Vec<(u64, u32)>);

impl Lines {
    fn of(text: &str) -> Lines {
        let mut lines = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            for strip in [false, true] {
                lines.push((hash(line_text(line, strip), strip), at as u32));
            }
            at += line.len();
        }
        lines.sort_unstable();
        Lines(lines)
    }

    /// Whether a line may stand at or behind a place; never wrong when it says no.
    fn has_after(&self, line: &str, strip: bool, start: usize) -> bool {
        let wanted = hash(line, strip);
        let behind = self.0.partition_point(|(hash, _)| *hash <= wanted);
        let last = behind.checked_sub(1).and_then(|last| self.0.get(last));
        last.is_some_and(|(hash, at)| *hash == wanted && *at as usize >= start)
    }
}

fn hash(line: &str, strip: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (line, strip).hash(&mut hasher);
    hasher.finish()
}

/// A line as compared with a delimiter.
fn line_text(line: &str, strip: bool) -> &str {
    let line = line.trim_end_matches(['\n', '\r']);
    if strip { line.trim_start_matches('\t') } else { line }
}
