//! How commands stand in the files of a place. Each reader gives them on the lines where they stood.

use super::ini::{behind_words, each, each_joined, option, quoted_behind, quotes, unquoted};
use super::table::Syntax;
use crate::user_data::decode;

/// The commands of a file in a syntax.
pub(super) fn extract(syntax: &Syntax, text: &str) -> String {
    match syntax {
        Syntax::Whole(_) => text.to_owned(),
        Syntax::CronSystem => each(text, |line| cron_command(line, true)),
        Syntax::CronUser => each(text, |line| cron_command(line, false)),
        Syntax::Words(count) => each(text, |line| Some(behind_words(not_comment(line)?, *count).to_owned())),
        Syntax::Colon(count) => {
            each(text, |line| not_comment(line)?.splitn(count + 1, ':').nth(*count).map(str::to_owned))
        }
        Syntax::Field(count) => {
            each(text, |line| not_comment(line)?.split(':').nth(*count).map(str::to_owned))
        }
        Syntax::Option(keys) => each_joined(text, |line| option(not_comment(line)?, keys)),
        Syntax::Quoted(keys) => each_joined(text, |line| quoted_behind(not_comment(line)?, keys)),
        Syntax::Block(start, end) => block(text, start, end),
        Syntax::Unit => unit_commands(text),
        Syntax::Udev => each_joined(text, |line| udev(not_comment(line)?)),
        Syntax::Apt => apt(text),
        Syntax::Pam => each_joined(text, |line| pam(not_comment(line)?)),
        Syntax::Rsyslog => each_joined(text, |line| rsyslog(not_comment(line)?)),
        Syntax::Git => each_joined(text, |line| git(not_comment(line)?)),
        Syntax::Pipe => each(text, |line| pipe(not_comment(line)?)),
        Syntax::Bang => each(text, bang),
        Syntax::Environment => each(text, |line| environment(not_comment(line)?)),
        Syntax::CloudConfig => decode::cloud_config_commands(text),
        Syntax::Pod => decode::pod_commands(text),
        Syntax::Task => task(text),
    }
}

fn not_comment(line: &str) -> Option<&str> {
    (!line.is_empty() && !line.starts_with('#')).then_some(line)
}

/// The command of a crontab's line. `%` ends it, and what follows is its input, line by line.
pub(crate) fn cron_command(line: &str, with_user: bool) -> Option<String> {
    let line = not_comment(line.trim())?;
    let fields = if line.starts_with('@') {
        1
    } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '*' | '-' | '?' | '~')) {
        5
    } else {
        // `NAME=value`, and what is no cron line: shell will make of it what it can.
        return environment(line).or_else(|| Some(line.to_owned()));
    };
    let rest = behind_words(line, fields + usize::from(with_user));
    // A system crontab's line in a user's crontab, or the other way about.
    let rest = rest.strip_prefix("root ").unwrap_or(rest);
    if !rest.contains('%') {
        return Some(rest.to_owned());
    }
    let (mut command, mut input, mut in_input, mut chars) =
        (String::new(), String::new(), false, rest.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'%') => {
                chars.next();
                if in_input { &mut input } else { &mut command }.push('%');
            }
            '%' if !in_input => in_input = true,
            '%' => input.push_str("; "),
            c => if in_input { &mut input } else { &mut command }.push(c),
        }
    }
    if input.trim().is_empty() {
        return Some(command);
    }
    Some(format!("echo '{}' | {command}", input.replace('\'', "'\\''")))
}

/// What a systemd unit starts. systemd ends a line at CR and NUL, too; joins lines before it splits
/// words; and knows escapes of its own.
pub(crate) fn unit_commands(text: &str) -> String {
    let broken;
    let text = if text.contains(['\r', '\0']) {
        broken = text.replace("\r\n", "\n").replace(['\r', '\0'], "\n");
        &broken
    } else {
        text
    };
    each_joined(text, |line| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        if key == "Environment" || key == "PassEnvironment" {
            return environment(value.trim().trim_matches(['"', '\'']));
        }
        if !key.starts_with("Exec") {
            return None;
        }
        let command = value.trim_start_matches(['-', '@', '+', '!', ':', '|', ' ', '\t']);
        let prefix = value.get(..value.len() - command.len()).unwrap_or_default();
        let command = systemd_escapes(command);
        if prefix.contains('@') {
            // The second word is only what the program is to be called.
            let (program, rest) = command.split_once(' ').unwrap_or((&command, ""));
            return Some(format!("{program} {}", behind_words(rest, 1)));
        }
        Some(command)
    })
}

/// `\x63`, `\143`, `\s`, `%%` and `$$` undone; other backslashes stay as a shell has them.
fn systemd_escapes(text: &str) -> String {
    if !text.contains(['\\', '%', '$']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = |from: usize, length: usize, radix: u32| {
            let code = u32::from_str_radix(rest.get(from..from + length)?, radix).ok()?;
            char::from_u32(code).filter(|c| !c.is_control()).map(|c| (c, from + length))
        };
        let (put, length) = match rest.as_bytes() {
            [b'%', b'%', ..] => ('%', 2),
            [b'$', b'$', ..] => ('$', 2),
            [b'\\', b's', ..] => (' ', 2),
            [b'\\', b'x', ..] => number(2, 2, 16).unwrap_or((c, 1)),
            [b'\\', b'u', ..] => number(2, 4, 16).unwrap_or((c, 1)),
            [b'\\', b'0'..=b'7', ..] => number(1, 3, 8).unwrap_or((c, 1)),
            _ => (c, c.len_utf8()),
        };
        out.push(put);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

fn block(text: &str, start: &str, end: &str) -> String {
    let mut inside = false;
    each(text, |line| {
        let word = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if inside {
            inside = word != end;
            return inside.then(|| line.to_owned());
        }
        inside = word == start;
        None
    })
}

/// `RUN+="..."`, `PROGRAM=="..."`, `IMPORT{program}="..."`.
fn udev(line: &str) -> Option<String> {
    let commands: Vec<String> = quotes(line)
        .filter(|(head, _)| {
            let key = head.trim_start_matches([',', ' ', '\t']);
            key.starts_with("RUN") || key.starts_with("PROGRAM") || key.starts_with("IMPORT{program}")
        })
        .map(|(_, command)| command.replace("%%", "%").replace("$$", "$"))
        .collect();
    (!commands.is_empty()).then(|| commands.join("; "))
}

/// Quoted commands below names such as `DPkg::Post-Invoke`, written with `::` or with braces.
fn apt(text: &str) -> String {
    const RUNS: [&str; 5] = ["invoke", "install-pkgs", "auto-detect", "autodetect", "bin::"];
    let runs = |name: &str| RUNS.iter().any(|word| name.contains(word));
    let mut out = String::with_capacity(text.len().min(64 << 10));
    // For each open brace, whether what is within runs. Deeper ones than any honest file are not kept.
    let mut open: Vec<bool> = Vec::new();
    let mut name = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '"' => {
                let mut command = String::new();
                let mut breaks = 0;
                for c in chars.by_ref().take_while(|c| *c != '"') {
                    breaks += usize::from(c == '\n');
                    command.push(if c == '\n' { ' ' } else { c });
                }
                if open.last() == Some(&true) || runs(&name) {
                    if !out.is_empty() && !out.ends_with('\n') {
                        out.push_str("; ");
                    }
                    out.push_str(&command);
                }
                out.extend(std::iter::repeat_n('\n', breaks));
            }
            '{' if open.len() < 64 => {
                open.push(open.last() == Some(&true) || runs(&name));
                name.clear();
            }
            '}' => {
                open.pop();
                name.clear();
            }
            ';' => name.clear(),
            '#' | '/' if c == '#' || chars.peek() == Some(&'/') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
            }
            c if name.len() < 200 => name.push(c.to_ascii_lowercase()),
            _ => {}
        }
    }
    out
}

/// The program of `pam_exec.so`; a module with a path of its own is code as well.
fn pam(line: &str) -> Option<String> {
    if let Some((_, rest)) = line.split_once("pam_exec.so") {
        const OPTIONS: [&str; 6] = ["quiet", "quiet_log", "seteuid", "debug", "expose_authtok", "stdout"];
        let mut rest = rest.trim_start();
        while let Some((word, after)) = rest.split_once([' ', '\t']) {
            let option = OPTIONS.contains(&word) || word.starts_with("log=") || word.starts_with("type=");
            if !option {
                break;
            }
            rest = after.trim_start();
        }
        return Some(rest.to_owned());
    }
    line.split_whitespace().find(|word| word.starts_with('/') && word.ends_with(".so")).map(str::to_owned)
}

/// `^program` actions, and the program of `omprog`.
fn rsyslog(line: &str) -> Option<String> {
    if let Some((_, command)) = line.split_once(" ^").or_else(|| line.split_once("\t^")) {
        return Some(command.to_owned());
    }
    quoted_behind(line, &["binary="])
        .or_else(|| option(line, &[("actionomprogbinary", 0)]))
        .map(|command| unquoted(&command).into_owned())
}

/// Settings of git that are programs, and aliases that begin with `!`.
fn git(line: &str) -> Option<String> {
    const KEYS: &[&str] = &[
        "sshcommand",
        "pager",
        "editor",
        "fsmonitor",
        "askpass",
        "gitproxy",
        "helper",
        "textconv",
        "command",
        "cmd",
        "program",
        "process",
        "clean",
        "smudge",
        "driver",
        "uploadpack",
        "receivepack",
        "packobjectshook",
        "external",
        "diff",
        "log",
        "show",
    ];
    // A key may stand on the line of its section.
    let line = match line.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.1.trim_start(),
        None => line,
    };
    let (key, value) = line.split_once('=')?;
    let value = unquoted(value);
    match value.strip_prefix('!') {
        Some(command) => Some(command.to_owned()),
        None => KEYS.contains(&key.trim().to_ascii_lowercase().as_str()).then(|| value.into_owned()),
    }
}

/// What stands behind a `|`, or a path alone.
fn pipe(line: &str) -> Option<String> {
    match line.split_once('|') {
        Some((_, command)) => Some(command.trim_end_matches(['"', '\'']).trim_start().to_owned()),
        None => line.starts_with('/').then(|| line.to_owned()),
    }
}

/// `!command`, `shell command` and `system("command")`.
fn bang(line: &str) -> Option<String> {
    if line.starts_with('"') {
        return None;
    }
    line.split_once('!')
        .map(|(_, command)| command.to_owned())
        .or_else(|| line.strip_prefix("shell ").map(str::to_owned))
        .or_else(|| quoted_behind(line, &["system("]))
}

/// Variables that make a shell, the loader or Python read a file, or run a text.
pub(super) fn environment(line: &str) -> Option<String> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    // `BASH_ENV DEFAULT=/tmp/x` in pam_env.conf.
    let name = name.split_whitespace().next()?;
    let value = unquoted(value);
    match name {
        "BASH_ENV" | "ENV" | "ZDOTDIR" | "PYTHONSTARTUP" => Some(format!(". {value}")),
        "PROMPT_COMMAND" | "GIT_SSH_COMMAND" | "GIT_PAGER" | "PAGER" | "MANPAGER" | "EDITOR" | "VISUAL"
        | "LESSOPEN" | "LESSCLOSE" => Some(value.trim_start_matches('|').to_owned()),
        _ => None,
    }
}

/// A scheduled task of Windows: its program and arguments.
pub(super) fn task(text: &str) -> String {
    let element = |from: &str, name: &str| {
        let start = from.find(&format!("<{name}>"))? + name.len() + 2;
        let rest = from.get(start..)?;
        Some(rest.get(..rest.find('<').unwrap_or(rest.len()))?.to_owned())
    };
    let mut out = String::new();
    for exec in text.split("<Exec>").skip(1).take(64) {
        let exec = exec.split("</Exec>").next().unwrap_or_default();
        let command = element(exec, "Command").unwrap_or_default();
        let arguments = element(exec, "Arguments").unwrap_or_default();
        let line = format!("{command} {arguments}\n");
        out.push_str(
            &line.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"),
        );
    }
    out
}
