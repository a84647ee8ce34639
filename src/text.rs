//! Making text from an attacker's hands fit to show: secrets hidden, control characters gone, size bounded.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

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
            c if shows(c) => c,
            c if is_invisible(c) => continue,
            _ => ' ',
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

/// Whether a character leaves a mark of its own.
pub fn shows(c: char) -> bool {
    c.is_ascii_graphic() || !(c.is_control() || c.is_whitespace() || is_invisible(c))
}

/// Characters that take no room or change the order in which others are shown.
fn is_invisible(c: char) -> bool {
    c >= '\u{ad}'
        && matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same text with secrets replaced by `<redacted>`: access keys, tokens, passwords in URLs and in
/// arguments, values of variables with secret names, private keys.
///
/// Better one too many than one too few: what merely looks like a secret goes as well.
pub fn redact(text: &str) -> String {
    let hinted = hinted(text);
    let mut out = Cow::Borrowed(text.as_bytes());
    for (rule, hinted) in RULES.iter().zip(hinted) {
        if hinted
            && let Some(pattern) = rule.pattern.as_ref()
            && let Cow::Owned(changed) = pattern.replace_all(&out, rule.replacement.as_bytes())
        {
            out = Cow::Owned(changed);
        }
    }
    match out {
        Cow::Borrowed(_) => text.to_owned(),
        Cow::Owned(changed) => String::from_utf8_lossy(&changed).into_owned(),
    }
}

/// Which rules' hints stand in a text, in any case. All hints are looked for at once: every text that is
/// shown comes this way.
fn hinted(text: &str) -> [bool; RULES.len()] {
    static HINTS: LazyLock<Option<(AhoCorasick, Vec<usize>)>> = LazyLock::new(|| {
        let rules = RULES.iter().enumerate();
        let hints = rules.flat_map(|(rule, Rule { hints, .. })| hints.iter().map(move |hint| (hint, rule)));
        let (hints, rules): (Vec<&str>, Vec<usize>) = hints.unzip();
        Some((AhoCorasick::builder().ascii_case_insensitive(true).build(hints).ok()?, rules))
    });
    let Some((hints, rules)) = HINTS.as_ref() else {
        return [true; RULES.len()];
    };
    let mut hinted = [false; RULES.len()];
    for found in hints.find_overlapping_iter(text) {
        let rule = rules.get(found.pattern().as_usize());
        if let Some(hinted) = rule.and_then(|rule| hinted.get_mut(*rule)) {
            *hinted = true;
        }
    }
    hinted
}

/// What to hide. A pattern is only built once one of its hints was met: most texts have none.
struct Rule {
    hints: &'static [&'static str],
    pattern: LazyLock<Option<Regex>>,
    replacement: &'static str,
}

/// Bytes rather than characters: Unicode's letter cases would make these patterns a hundred times dearer.
fn pattern(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().ok()
}

static RULES: [Rule; 9] = [
    Rule {
        hints: &["-----BEGIN"],
        pattern: LazyLock::new(|| {
            pattern(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)")
        }),
        replacement: REDACTED,
    },
    // AWS key ids, and the formats of well-known services' tokens.
    Rule {
        hints: &["AKIA", "ASIA"],
        pattern: LazyLock::new(|| pattern(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
        replacement: REDACTED,
    },
    Rule {
        hints: &[
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "xox",
            "glpat-",
            "eyJ",
            "sk_live",
            "npm_",
        ],
        pattern: LazyLock::new(|| {
            pattern(concat!(
                r"\bgh[pousr]_[a-z0-9]{20,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[a-z0-9-]{10,}|\bglpat-[\w-]{16,}",
                r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|\bsk_live_\w{16,}|\bnpm_\w{30,}",
            ))
        }),
        replacement: REDACTED,
    },
    Rule {
        hints: &["hooks.slack.com", "webhooks/", "api.telegram.org"],
        pattern: LazyLock::new(|| {
            pattern(r"(hooks\.slack\.com/services/|/webhooks/|api\.telegram\.org/bot)[^\s'\x22]+")
        }),
        replacement: "${1}<redacted>",
    },
    // scheme://user:password@host
    Rule {
        hints: &["@"],
        pattern: LazyLock::new(|| pattern(r"(://[^/\s:@'\x22]*):[^/\s@'\x22]+@")),
        replacement: "${1}:<redacted>@",
    },
    Rule {
        hints: &["bearer", "basic ", "x-vault-token", "x-api-key", "private-token", "authorization"],
        pattern: LazyLock::new(|| {
            pattern(concat!(
                r"\b(bearer\s+|basic\s+|(?:x-vault-token|x-api-key|private-token|authorization)\s*[:=]\s*",
                r"(?:bearer\s+|basic\s+|token\s+)?)[^\s'\x22]+",
            ))
        }),
        replacement: "${1}<redacted>",
    },
    // NAME=value, name: value, --name value, where the name says what the value is.
    Rule {
        hints: &["pass", "secret", "token", "key", "credential", "pwd"],
        pattern: LazyLock::new(|| {
            pattern(concat!(
                r"((?:passw(?:or)?d|passwd|pwd|secret|token|api_?key|access_?key|private_?key|credentials?|auth_?key|passphrase)[\w.-]*",
                r#"["']?\s*(?:=>|=|:\s|\s)\s*)("[^"\n]*"|'[^'\n]*'|[^\s'"&;|,)}]+)"#,
            ))
        }),
        replacement: "${1}<redacted>",
    },
    // user:password of curl -u, and -p of database clients.
    Rule {
        hints: &[" -u", "--user"],
        pattern: LazyLock::new(|| pattern(r#"(\s(?:-u|--user)[\s=]*['"]?[^\s:'"]+):[^\s'"]+"#)),
        replacement: "${1}:<redacted>",
    },
    Rule {
        hints: &["mysql", "sshpass", "mongo", "redis-cli", "docker login"],
        pattern: LazyLock::new(|| {
            pattern(
                r#"((?:mysql\w*|sshpass|mongo\w*|redis-cli|docker\s+login)\b[^\n|;]*?\s-(?:p|a)\s?)(?:'[^'\n]*'|"[^"\n]*"|[^\s'"]+)"#,
            )
        }),
        replacement: "${1}<redacted>",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(!hinted("nothing").contains(&true));
        assert!(RULES.iter().all(|rule| rule.pattern.is_some()));
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
