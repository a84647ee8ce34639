//! Records by the line: exports, tables and text.

use chrono::DateTime;
use memchr::memchr;

use super::{Layout, Step, newlines};
use crate::archive::csv;
use crate::archive::decide::{self, QUOTED};
use crate::archive::open::After;

/// Text is read together up to this.
const MOST_TEXT: usize = 32 * 1024 * 1024;

impl Layout<'_> {
    /// Lines with a time before each. Those that are JSON are read one by one, text in stretches.
    pub(super) fn export(&mut self, bytes: &[u8], after: After) -> Step {
        let Some(end) = lines_end(bytes, after) else { return Step::Wait };
        let text = bytes.get(..end).unwrap_or_default();
        let mut plain: Vec<u8> = Vec::new();
        let mut plain_from = self.lines;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let content = stamped(line).unwrap_or(line);
            if matches!(content.first(), Some(b'{' | b'[')) {
                self.flush(&mut plain, plain_from);
                if self.shortcuts && self.passes(content) {
                    self.found.records = self.found.records.saturating_add(1);
                } else {
                    let place = format!("line {}", self.lines.saturating_add(1));
                    self.whole(content, &place);
                }
            } else if !content.trim_ascii().is_empty() {
                if plain.is_empty() {
                    plain_from = self.lines;
                }
                plain.extend_from_slice(content);
            }
            self.lines = self.lines.saturating_add(1);
        }
        self.flush(&mut plain, plain_from);
        Step::On(end)
    }

    /// A row of a table.
    pub(super) fn row(&mut self, bytes: &[u8], after: After, column: usize) -> Step {
        let Some(row) = csv::row(bytes, 0, after != After::More) else { return Step::Wait };
        let field = row.fields.get(column).and_then(|field| bytes.get(field.clone())).unwrap_or_default();
        let blank = row.fields.len() == 1 && field.is_empty();
        if self.shortcuts && decide::is_of_no_interest(field, QUOTED) {
            self.found.records = self.found.records.saturating_add(1);
        } else if !blank && (after != After::Cut || row.end != bytes.len()) {
            let place = format!("line {}", self.lines.saturating_add(1));
            self.whole(&csv::text(field), &place);
        }
        self.lines = self.lines.saturating_add(newlines(bytes.get(..row.end).unwrap_or_default()));
        Step::On(row.end)
    }

    /// Reads lines of text that were gathered.
    fn flush(&mut self, plain: &mut Vec<u8>, from: usize) {
        if !plain.is_empty() {
            let place = format!("line {}", from.saturating_add(1));
            self.whole(&std::mem::take(plain), &place);
        }
    }

    pub(super) fn text(&mut self, bytes: &[u8], after: After) -> Step {
        // A table's head is needed for all of its lines, so such a file is read whole.
        if after == After::More && bytes.len() < MOST_TEXT {
            return Step::Wait;
        }
        let Some(end) = lines_end(bytes, after) else { return Step::Wait };
        let text = bytes.get(..end).unwrap_or_default();
        self.whole(text, "");
        Step::On(end)
    }
}

/// Where the last whole line ends.
fn lines_end(bytes: &[u8], after: After) -> Option<usize> {
    if after != After::More {
        return Some(bytes.len());
    }
    memchr::memrchr(b'\n', bytes).map(|end| end.saturating_add(1))
}

/// What follows the time before a line, as CloudWatch Logs exports it: `2026-03-10T12:00:00.000Z text`.
pub(super) fn stamped(line: &[u8]) -> Option<&[u8]> {
    let end = memchr(b' ', line.get(..40.min(line.len()))?)?;
    let time = std::str::from_utf8(line.get(..end)?).ok()?;
    if !time.contains('T') {
        return None;
    }
    DateTime::parse_from_rfc3339(time).ok()?;
    line.get(end.saturating_add(1)..)
}
