//! Text that attackers choose, made fit for the places where it is shown.
//!
//! Names, tags, user agents and error messages come from whoever made the call. Every renderer sends
//! what it prints through here, whole lines at a time, so that no field can be forgotten.

use crate::text::{clean, redact};

/// How much more than asked for is looked at for secrets, so that one cut in two is still seen.
const REDACTION_MARGIN: usize = 512;

/// One line: secrets redacted, control, bidirectional and invisible characters gone, white space
/// (line breaks too) single spaces, at most `max` characters with `…` where something was cut.
pub fn line(text: &str, max: usize) -> String {
    cut(&redact(&clean(text, max.saturating_add(REDACTION_MARGIN))), max)
}

/// As [`line`], with nothing redacted: for identifiers, which a reader has to find again, and for
/// sentences of our own, in which a word like "credentials" is no sign of a secret.
pub fn shown(text: &str, max: usize) -> String {
    clean(text, max)
}

/// As [`line`], for people: links and host names unclickable, before anything is cut, so that half a
/// host name is no host either.
pub fn told(text: &str, max: usize) -> String {
    cut(&defang(&redact(&clean(text, max.saturating_add(REDACTION_MARGIN)))), max)
}

/// As [`told`], with nothing redacted, as in [`shown`].
pub fn told_openly(text: &str, max: usize) -> String {
    cut(&defang(&clean(text, max.saturating_add(REDACTION_MARGIN))), max)
}

/// As [`shown`], for shell commands, which must not be altered: line breaks and runs of spaces stay.
pub fn verbatim(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' ' | '\n') || crate::text::shows(*c)).collect()
}

/// At most `max` characters, the last one `…` where something was cut.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Dotted names that are no hosts: keys of the policy file, as far as [`in_host`] reads them.
const POLICY_KEYS: &[&str] = &[
    "containers.blocked",
    "containers.namespaces",
    "containers.registries",
    "containers.suspicious",
    "containers.window",
    "data.inspection",
    "data.trusted",
    "data.trusted.buckets",
    "data.trusted.hosts",
    "images.allowed",
    "images.ancestors",
    "images.approved",
    "images.approved.azure",
    "images.approved.gcp",
    "images.approved.ids",
    "images.approved.names",
    "images.approved.owners",
    "images.approved.tags",
    "images.deprecated",
    "images.max",
    "images.scope",
    "images.scope.subnets",
    "images.scope.tags",
    "notify.minimum",
    "risk.distinct",
    "risk.score",
    "risk.window",
    "uploads.pushers",
    "uploads.schedules",
];

/// First halves of AWS error codes: `InvalidAMIID.NotFound`.
const ERROR_FAMILIES: &[&str] =
    &["Client", "InvalidAMIID", "InvalidInstanceID", "InvalidSnapshot", "InvalidLaunchTemplateId", "Server"];

/// Instance sizes without a number before them.
const INSTANCE_SIZES: &[&str] = &["large", "medium", "metal", "micro", "nano", "small", "xlarge"];

/// Endings of file names that are no top-level domains.
const FILE_ENDINGS: &[&str] = &[
    "cfg", "conf", "csv", "dll", "exe", "gz", "html", "ini", "jar", "js", "json", "jsonl", "log", "rpm",
    "tar", "tgz", "toml", "txt", "xml", "yaml", "yml",
];

/// Makes web links and host names unclickable: `hxxps://evil[.]example/x`, `evil[.]example`. Names of AWS
/// services (`autoscaling.amazonaws.com`), e-mail addresses, versions, file names and policy keys stay.
fn defang(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(16));
    let mut rest = text;
    let mut before = ' ';
    // Between `://` and the end of the host everything is a host, an address without letters too.
    let mut authority = false;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("://") {
            let secure = out.len() - usize::from(out.ends_with(['s', 'S']));
            let scheme = secure.saturating_sub(4);
            if out.get(scheme..secure).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) {
                let unclickable = if secure < out.len() { "hxxps" } else { "hxxp" };
                out.truncate(scheme);
                out.push_str(unclickable);
            }
            out.push_str("://");
            (rest, before, authority) = (rest.get(3..).unwrap_or_default(), '/', true);
            continue;
        }
        let end = rest.find(|c| !in_host(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if word.is_empty() {
            authority = authority && !matches!(first, '/' | '?' | '#' | ' ' | '"' | '\'' | ')' | '>' | ']');
            out.push(first);
            (rest, before) = (rest.get(first.len_utf8()..).unwrap_or_default(), first);
            continue;
        }
        if authority || is_host(word, before, tail.chars().next().unwrap_or(' ')) {
            let name = word.trim_end_matches('.');
            out.push_str(&name.replace('.', "[.]"));
            out.push_str(word.get(name.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
        (rest, before) = (tail, word.chars().last().unwrap_or(' '));
    }
    out
}

fn in_host(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '。' | '．')
}

/// Whether a mail or chat client might make a link of it.
fn is_host(word: &str, before: char, after: char) -> bool {
    if word.contains(['。', '．']) {
        return true;
    }
    let name = word.trim_end_matches('.');
    let Some((labels, last)) = name.rsplit_once('.') else { return false };
    if labels.is_empty() || labels.starts_with('.') || labels.ends_with('.') {
        return false;
    }
    let domain =
        last.starts_with("xn--") || (last.chars().count() > 1 && last.chars().all(char::is_alphabetic));
    // Either half of an e-mail address.
    let address = (before == '@' && after != '/') || after == '@';
    // A service's name in the path of a role; a bucket's address starts with s3.
    let service = (after != '/' || before == '/' && !name.starts_with("s3"))
        && ["amazonaws.com", "amazonaws.com.cn"].iter().any(|suffix| {
            name.strip_suffix(suffix)
                .and_then(|name| name.strip_suffix('.'))
                .is_some_and(|name| !name.contains('.'))
        });
    let file = FILE_ENDINGS.contains(&last) && after != '/';
    let key = POLICY_KEYS.contains(&name);
    // `g5.xlarge`, `t3.micro`: no top-level domain is called so.
    let size = INSTANCE_SIZES.contains(&last) && !labels.contains('.');
    let error = ERROR_FAMILIES.contains(&labels)
        && last.chars().any(char::is_lowercase)
        && last.chars().filter(|c| c.is_uppercase()).count() > 1;
    domain && !address && !service && !file && !key && !size && !error
}

/// Text already told by [`told`], for chat: Slack's control characters as entities, mentions broken, and nothing left that Slack or
/// Teams would read as formatting or as a link with a label.
pub fn chat(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(16));
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let after = text.get(at.saturating_add(c.len_utf8())..).unwrap_or_default();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            '*' => out.push('∗'),
            '~' => out.push('∼'),
            '_' if !(before.is_alphanumeric() && after.starts_with(char::is_alphanumeric)) => out.push('＿'),
            '@' if mention(after) => out.push('＠'),
            '(' if before == ']' => out.push_str(" ("),
            _ => out.push(c),
        }
        before = c;
    }
    out
}

fn mention(after: &str) -> bool {
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    let word = after.get(..end).unwrap_or_default().to_ascii_lowercase();
    matches!(word.as_str(), "all" | "channel" | "everyone" | "group" | "here" | "team")
}

/// Printable ASCII only, `?` in place of everything else.
pub fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Lines of at most `width` characters, broken at spaces; words longer than a line are broken too.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        let mut length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut current));
            used = 0;
        }
        while length > width {
            let (head, tail) = word.split_at(break_at(word, width));
            lines.push(head.to_owned());
            (word, length) = (tail, length.saturating_sub(head.chars().count()));
        }
        if used > 0 {
            current.push(' ');
            used += 1;
        }
        current.push_str(word);
        used += length;
    }
    if !current.is_empty() || lines.is_empty() {
        lines.push(current);
    }
    lines
}

/// Where a word longer than a line is broken: after the last separator in the line's second half, so
/// that an ARN comes apart between its parts.
fn break_at(word: &str, width: usize) -> usize {
    let end = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
    let line = word.get(..end).unwrap_or_default();
    match line.rfind(['/', ':', ',', '?', '&', ';', '=']) {
        Some(at) if at.saturating_mul(2) >= end => at + 1,
        _ => end,
    }
}

/// A shell command on lines of about `width` characters, broken only between words outside quotes, and
/// with a backslash, so that it can be pasted as it stands.
pub fn wrap_command(command: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in command.lines() {
        let mut current = String::new();
        let mut word = String::new();
        let mut quote = None;
        let mut escaped = false;
        for c in line.chars() {
            if c == ' ' && quote.is_none() && !escaped {
                place(&mut lines, &mut current, &mut word, width);
                continue;
            }
            match c {
                _ if escaped => escaped = false,
                '\\' if quote != Some('\'') => escaped = true,
                '\'' | '"' if quote == Some(c) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(c),
                _ => {}
            }
            word.push(c);
        }
        place(&mut lines, &mut current, &mut word, width);
        lines.push(current);
    }
    lines
}

fn place(lines: &mut Vec<String>, current: &mut String, word: &mut String, width: usize) {
    let word = std::mem::take(word);
    if word.is_empty() {
        return;
    }
    if !current.is_empty() && current.chars().count() + word.chars().count() + 3 > width {
        lines.push(format!("{current} \\"));
        *current = format!("  {word}");
        return;
    }
    if !current.is_empty() {
        current.push(' ');
    }
    current.push_str(&word);
}

#[cfg(test)]
mod tests;
