//! Tables as CloudTrail Lake saves the results of queries: comma-separated, quotes doubled inside quotes. One
//! column, `eventJson`, holds the record.

use std::ops::Range;

use memchr::memchr;

/// The column of the record: CloudTrail Lake's, and that of CloudWatch Logs Insights.
const COLUMNS: [&[u8]; 2] = [b"eventJson", b"@message"];
/// A head is shorter.
const LONGEST_HEAD: usize = 64 * 1024;

/// One row: its fields without their outer quotes, and where it ends.
pub(super) struct Row {
    pub fields: Vec<Range<usize>>,
    pub end: usize,
}

/// The column of records where these bytes are a table that has one.
pub(super) fn column(bytes: &[u8]) -> Option<usize> {
    let line = bytes.get(..memchr(b'\n', bytes.get(..LONGEST_HEAD.min(bytes.len()))?)?)?;
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let head = row(line, 0, true)?;
    head.fields.iter().position(|field| {
        line.get(field.clone()).is_some_and(|it| COLUMNS.iter().any(|name| it.eq_ignore_ascii_case(name)))
    })
}

/// The row that begins here; `None` where its end is not among the bytes and more may follow.
pub(super) fn row(bytes: &[u8], mut at: usize, last: bool) -> Option<Row> {
    let mut fields = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'"') {
            let start = at.saturating_add(1);
            let (end, behind) = quoted(bytes, start, last)?;
            fields.push(start..end);
            at = behind;
        } else {
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'\n'));
            let end = at.saturating_add(end.or(last.then_some(rest.len()))?);
            let text = bytes.get(at..end).unwrap_or_default();
            fields.push(at..end.saturating_sub(usize::from(text.ends_with(b"\r"))));
            at = end;
        }
        match bytes.get(at) {
            Some(b',') => at = at.saturating_add(1),
            Some(b'\n') => return Some(Row { fields, end: at.saturating_add(1) }),
            None if last => return Some(Row { fields, end: at }),
            None => return None,
            // Text behind a closing quote: no writer does that, and it belongs to no field.
            Some(_) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end = rest.iter().position(|byte| matches!(byte, b',' | b'\n'));
                at = at.saturating_add(end.or(last.then_some(rest.len()))?);
                if bytes.get(at) == Some(&b',') {
                    at = at.saturating_add(1);
                }
            }
        }
    }
}

/// The end of a quoted field, and what is behind its quote.
fn quoted(bytes: &[u8], mut at: usize, last: bool) -> Option<(usize, usize)> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(quote) = memchr(b'"', rest) else {
            return last.then_some((bytes.len(), bytes.len()));
        };
        let end = at.saturating_add(quote);
        match bytes.get(end.saturating_add(1)) {
            Some(b'"') => at = end.saturating_add(2),
            None if !last => return None,
            _ => return Some((end, end.saturating_add(1))),
        }
    }
}

/// A field's text with its quotes single.
pub(super) fn text(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter().peekable();
    while let Some(byte) = bytes.next() {
        text.push(*byte);
        if *byte == b'"' && bytes.peek() == Some(&&b'"') {
            bytes.next();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &str) -> Vec<Vec<String>> {
        let (bytes, mut at, mut rows) = (table.as_bytes(), 0, Vec::new());
        while at < bytes.len() {
            let row = row(bytes, at, true).unwrap();
            rows.push(
                row.fields.iter().map(|it| String::from_utf8(text(&bytes[it.clone()])).unwrap()).collect(),
            );
            assert!(row.end > at);
            at = row.end;
        }
        rows
    }

    #[test]
    fn quotes_commas_and_line_ends_belong_to_quoted_fields() {
        assert_eq!(
            rows("a,b\r\n\"x \"\"y\"\", z\n\",2\n,\n"),
            [vec!["a", "b"], vec!["x \"y\", z\n", "2"], vec!["", ""]]
        );
        assert_eq!(rows("\"a\"b,c\n\"open"), [vec!["a", "c"], vec!["open"]]);
        assert_eq!(column(b"eventID,\"EventJSON\"\r\n"), Some(1));
        assert_eq!(column(b"eventID,eventName\n"), None);
        assert!(row(b"a,\"b", 0, false).is_none() && row(b"a,\"b\"", 0, false).is_none());
    }
}
