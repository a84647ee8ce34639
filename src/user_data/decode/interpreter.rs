//! Which language a script is in, by its `#!` line.

use super::{At, Decoder, Kind, Language, Layer, bytes};

/// The language of a script; one without a `#!` line is a shell's.
pub(super) fn of(text: &str) -> Language {
    let Some(line) = text.trim_start().strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        return Language::Shell;
    };
    let mut first = None;
    for word in bytes::head(line, 512).split_whitespace() {
        // `env -S bash`, `busybox sh`, `ld-linux.so.2 /bin/bash`: the interpreter is further on.
        let word = word.strip_prefix("-S").unwrap_or(word);
        let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
        if let Some(language) = by_name(name) {
            return language;
        }
        first = first.or(Some(name));
    }
    // The kernel refuses an empty `#!`; a shell that is handed the file runs it.
    if first.is_some() { Language::Other } else { Language::Shell }
}

fn by_name(name: &str) -> Option<Language> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    // python3.11, ruby2.7, bash-5.2
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    Some(match bare {
        "sh" | "bash" | "dash" | "zsh" | "ash" | "ksh" | "mksh" | "lksh" | "rbash" | "yash" | "hush" => {
            Language::Shell
        }
        "python" | "pypy" | "platform-python" => Language::Python,
        "perl" => Language::Perl,
        "ruby" => Language::Ruby,
        "php" => Language::Php,
        "pwsh" | "powershell" => Language::PowerShell,
        "cmd" => Language::Batch,
        _ => return None,
    })
}

/// What the language is called in notes.
pub(super) fn name(language: Language) -> &'static str {
    match language {
        Language::Shell => "shell",
        Language::PowerShell => "PowerShell",
        Language::Batch => "batch",
        Language::Python => "Python",
        Language::Perl => "Perl",
        Language::Ruby => "Ruby",
        Language::Php => "PHP",
        Language::Other => "another interpreter",
    }
}

/// `#cloud-boothook`: run at every boot, before the network. What follows the header is a file that is
/// executed; the header itself reads as a comment, so lines keep their numbers.
pub(super) fn boothook(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let start = text.trim_start();
    let body = start.get("#cloud-boothook".len()..).filter(|_| start.starts_with("#cloud-boothook"));
    decoder.script(at, Kind::Boothook, of(body.unwrap_or(start)), text)
}

/// A script's text with the line breaks that its interpreter sees: CR alone is one to PowerShell, and
/// nothing to cmd.
pub(super) fn lines_of(language: Language, text: &str) -> String {
    match language {
        Language::PowerShell if text.contains('\r') => text.replace("\r\n", "\n").replace('\r', "\n"),
        Language::Batch if text.contains('\r') => text.replace('\r', ""),
        _ => text.to_owned(),
    }
}

/// Joins words so that a shell reads them as the same words.
pub(super) fn shell_join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, word) in words.into_iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
        if !word.is_empty() && word.bytes().all(safe) {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace('\'', "'\\''"));
            line.push('\'');
        }
    }
    line
}

/// Which Windows language a text without a header reads like. The shells' escapes are left out first:
/// they are how a script hides what it is.
pub(super) fn windows(text: &str) -> Option<Language> {
    const POWERSHELL: &[&str] = &[
        "[convert]::",
        "[net.",
        "[system.",
        "[text.encoding]",
        "$env:",
        "add-type",
        "expand-archive",
        "get-item",
        "iex ",
        "iex(",
        "iwr ",
        "invoke-",
        "new-item",
        "new-object",
        "out-null",
        "remove-item",
        "set-content",
        "set-executionpolicy",
        "set-item",
        "set-mppreference",
        "start-bitstransfer",
        "start-process",
        "start-service",
        "write-host",
        "write-output",
    ];
    const BATCH: &[&str] = &[
        "@echo off",
        "bitsadmin",
        "certutil",
        "cmd /c",
        "cmd.exe",
        "mshta",
        "powershell",
        "reg add",
        "regsvr32",
        "rundll32",
        "schtasks",
        "setlocal",
        "%~dp0",
    ];
    let plain: String =
        text.chars().filter(|c| !matches!(c, '`' | '^')).map(|c| c.to_ascii_lowercase()).collect();
    let any = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    match (any(BATCH), any(POWERSHELL)) {
        // `powershell -c ...` in a batch file: the batch scanner reads what it is handed.
        (true, _) if plain.trim_start().starts_with("@echo") || !any(POWERSHELL) => Some(Language::Batch),
        (_, true) => Some(Language::PowerShell),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_found_behind_wrappers_and_versions() {
        for (line, language) in [
            ("#!/bin/bash -xe", Language::Shell),
            ("#! /usr/bin/env bash", Language::Shell),
            ("#!/usr/bin/env -S bash -x", Language::Shell),
            ("#!/usr/bin/env -Sbash", Language::Shell),
            ("#!/bin/busybox sh", Language::Shell),
            ("#!/lib64/ld-linux-x86-64.so.2 /bin/dash", Language::Shell),
            ("#!", Language::Shell),
            ("echo no header", Language::Shell),
            ("\n\n#!/usr/bin/python3.11 -u", Language::Python),
            ("#!/usr/libexec/platform-python", Language::Python),
            ("#!/usr/bin/env FOO=bar perl", Language::Perl),
            ("#!/usr/bin/ruby2.7", Language::Ruby),
            ("#!/usr/bin/php", Language::Php),
            ("#!/usr/bin/pwsh", Language::PowerShell),
            ("#!/usr/bin/awk -f", Language::Other),
        ] {
            assert_eq!(of(&format!("{line}\ntrue\n")), language, "{line}");
        }
    }

    #[test]
    fn a_boothook_names_the_interpreter_below_its_header() {
        let decoded = super::super::decode(b"#cloud-boothook\n#!/usr/bin/python3\nimport os\n");
        assert_eq!(decoded.tree.kind, Kind::Boothook);
        assert_eq!(decoded.tree.note.as_deref(), Some("Python"));
    }

    #[test]
    fn joined_words_are_the_same_words_to_a_shell() {
        assert_eq!(shell_join(["sh", "-c", "it's | here", ""]), "sh -c 'it'\\''s | here' ''");
    }
}
