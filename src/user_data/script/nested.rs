//! What commands carry: texts that are run because a command runs them.

use super::carried;
use super::files;
use super::literal::{Output, is_decoder};
use super::{
    Budget, Command, Env, Known, MAX_NESTING, RedirectOp, Script, Span, Unit, UnitKind, Word, basename,
    batch, encoding, language_of, powershell, shell,
};
use crate::user_data::{Language, places};
use std::collections::HashMap;

/// The longest working directory that is remembered, in bytes.
const MAX_DIRECTORY: usize = 512;

/// A scan under way.
pub(super) struct Scan {
    pub script: Script,
    pub env: Env,
    pub budget: Budget,
    /// Files that are there before the script runs.
    pub known: Known,
    /// Names that programs were copied, linked or aliased to.
    pub renamed: HashMap<String, String>,
    /// The working directory, as far as `cd` gives it away.
    pub directory: String,
    depth: usize,
    decoded: usize,
}

impl Scan {
    pub fn new(budget: Budget, known: &Known) -> Scan {
        Scan {
            script: Script::default(),
            env: Env::default(),
            known: Known::clone(known),
            renamed: HashMap::new(),
            directory: String::new(),
            budget,
            depth: 0,
            decoded: 0,
        }
    }

    /// The script, and what is left of the budget.
    pub fn finish(mut self) -> (Script, Budget) {
        self.scan_files();
        self.script.over_bound |= self.budget.work.is_spent();
        self.script.work = self.budget.work.clone();
        (self.script, self.budget)
    }

    /// Scan one text and what it carries.
    pub(super) fn unit(
        &mut self,
        kind: UnitKind,
        language: Language,
        text: &str,
        carrier: Option<u32>,
    ) -> Span {
        let start = self.command_count();
        let empty = Span { start, end: start };
        if text.trim().is_empty() {
            return empty;
        }
        if carrier.is_some() {
            match self.budget.nested.checked_sub(text.len()) {
                Some(rest) if self.depth < MAX_NESTING => self.budget.nested = rest,
                _ => {
                    self.script.over_bound = true;
                    return empty;
                }
            }
        }
        if !self.budget.work.take_bytes(text.len()) {
            self.script.over_bound = true;
            return empty;
        }
        let decoded = usize::from(kind == UnitKind::Decoded);
        self.decoded += decoded;
        self.script.encodings = self.script.encodings.max(self.decoded);
        self.depth += 1;
        let unit = self.script.units.len() as u32;
        self.script.units.push(Unit { kind, language, text: text.into(), carrier });
        match language {
            Language::Shell => {
                let span = shell::scan(self, unit, text);
                self.follow(span);
                self.follow_calls(span);
            }
            Language::PowerShell => powershell::scan(self, unit, text),
            Language::Batch => batch::scan(self, unit, text),
            Language::Python | Language::Perl | Language::Ruby | Language::Php | Language::Other => {
                self.shell_strings(unit, text);
            }
        }
        self.depth -= 1;
        self.decoded -= decoded;
        Span { start, end: self.command_count() }
    }

    /// Look at each command of a shell text for texts that it runs or writes.
    pub(super) fn follow(&mut self, span: Span) {
        for index in span.indices() {
            let Some(command) = self.script.commands.get(index) else { continue };
            if !command.assigns.is_empty() {
                self.run_variables(index);
            }
            let Some(command) = self.script.commands.get(index) else { continue };
            if matches!(command.name.as_str(), "cd" | "pushd") {
                let to = command.operands().next().map_or("/root", |word| word.text.as_str());
                self.directory = places::normalise(&self.directory, to);
                self.directory.truncate(if self.directory.len() > MAX_DIRECTORY { 0 } else { MAX_DIRECTORY });
                continue;
            }
            let interesting = !command.redirects.is_empty()
                || command.stdin.is_some()
                || command.start > 0
                || carries_text(&command.name)
                || language_of(&command.name).is_some();
            if !interesting {
                if let Some(inner) = self.carried(index) {
                    self.set_inner(index, inner);
                }
                continue;
            }
            if let Some(inner) = self.evaluated_input(index) {
                self.set_inner(index, inner);
            } else if let Some(inner) = self.with_items(index) {
                self.set_inner(index, inner);
            } else if let Some((language, text)) = self.program_text(index) {
                let inner = self.unit(UnitKind::Inline, language, &text, Some(index as u32));
                self.set_inner(index, inner);
            } else if let Some((language, kind, text)) = self.inline(index) {
                let inner = self.unit(kind, language, &text, Some(index as u32));
                self.set_inner(index, inner);
            } else if let Some((language, text, decoded)) = self.standard_input(index) {
                let kind = if decoded { UnitKind::Decoded } else { UnitKind::Stdin };
                let inner = self.unit(kind, language, &text, Some(index as u32));
                self.set_inner(index, inner);
            } else if let Some(text) = self.crontab_input(index) {
                let inner = self.unit(
                    UnitKind::Cron,
                    Language::Shell,
                    &files::cron_commands(&text, false),
                    Some(index as u32),
                );
                self.set_inner(index, inner);
            } else if let Some(inner) = self.carried(index) {
                self.set_inner(index, inner);
            }
            self.record_writes(index);
        }
    }

    /// As [`Scan::follow`], for texts that are no shell: only what stands in arguments.
    pub(super) fn follow_inline(&mut self, span: Span) {
        for index in span.indices() {
            let Some(command) = self.script.commands.get(index) else { continue };
            if let Some((language, text)) = powershell::evaluated(command) {
                let inner = self.unit(UnitKind::Inline, language, &text, Some(index as u32));
                self.set_inner(index, inner);
                continue;
            }
            if language_of(&command.name).is_none() {
                continue;
            }
            if let Some((language, kind, text)) = self.inline(index) {
                let inner = self.unit(kind, language, &text, Some(index as u32));
                self.set_inner(index, inner);
            }
        }
    }

    /// Keep what the commands of a span read as when their texts are put together, for signals that
    /// look at texts.
    pub(super) fn add_rebuilt(&mut self, unit: u32, span: Span) {
        let mut text = String::new();
        for command in span.indices().filter_map(|index| self.script.commands.get(index)) {
            if command.unit != unit || !self.spend_output(command.words.len()) {
                continue;
            }
            for word in &command.words {
                text.push_str(&word.text);
                text.push(' ');
            }
            text.push('\n');
        }
        let carrier = (!span.is_empty()).then_some(span.start);
        let text = text.into_boxed_str();
        self.script.units.push(Unit {
            kind: UnitKind::Inline,
            language: Language::PowerShell,
            text,
            carrier,
        });
    }

    pub(super) fn set_inner(&mut self, index: usize, inner: Span) {
        if let Some(command) = self.script.commands.get_mut(index).filter(|_| !inner.is_empty()) {
            command.inner = Some(inner);
        }
    }

    /// The text in a command's own arguments that it runs.
    fn inline(&self, index: usize) -> Option<(Language, UnitKind, String)> {
        let command = self.script.commands.get(index)?;
        let args = command.args();
        let decoded = |words: &[Word]| {
            let found = words.iter().flat_map(Word::subs).any(|(_, span)| self.decodes(*span));
            if found { UnitKind::Decoded } else { UnitKind::Inline }
        };
        match command.name.as_str() {
            "eval" => Some((Language::Shell, decoded(args), join(args))),
            "trap" => args.first().map(|word| (Language::Shell, UnitKind::Inline, word.text.clone())),
            "alias" => None,
            "su" | "runuser" | "script" | "flock" | "watch" | "sg" | "tmux" | "screen" | "batch" | "ash"
            | "dash" => {
                let text = option_value(command, &["-c", "--command", "--session-command", "-qc", "-lc"])?;
                Some((Language::Shell, decoded(std::slice::from_ref(text)), text.text.clone()))
            }
            "systemctl" | "service" => None,
            name => {
                let language = language_of(name)?;
                match language {
                    Language::Shell => {
                        let text = shell_argument(args)?;
                        Some((language, decoded(std::slice::from_ref(text)), text.text.clone()))
                    }
                    Language::PowerShell => powershell::argument(args).map(|(text, encoded)| {
                        (language, if encoded { UnitKind::Decoded } else { UnitKind::Inline }, text)
                    }),
                    Language::Batch => {
                        let at = args
                            .iter()
                            .position(|word| matches!(word.text.as_str(), "/c" | "/k" | "/C" | "/K"))?;
                        Some((language, UnitKind::Inline, join(args.get(at + 1..)?)))
                    }
                    _ => {
                        let flags: &[&str] = match language {
                            Language::Python => &["-c", "-Sc", "-Bc", "-uc"],
                            Language::Php => &["-r"],
                            _ => &["-e", "-E", "-MIO", "-rsocket", "--eval", "-le", "-ne", "-we"],
                        };
                        let mut text = args.iter().skip_while(|word| !flags.contains(&word.text.as_str()));
                        let text = text.find(|word| !word.text.starts_with('-'))?;
                        Some((language, decoded(std::slice::from_ref(text)), text.text.clone()))
                    }
                }
            }
        }
    }

    /// What an interpreter is given on its standard input, as far as the text tells.
    fn standard_input(&self, index: usize) -> Option<(Language, String, bool)> {
        let command = self.script.commands.get(index)?;
        let language = match command.name.as_str() {
            "source" | "." => Language::Shell,
            "expect" => Language::Shell,
            "make" | "gmake" if command.has("-") => Language::Shell,
            name if reads_commands(name) => Language::Shell,
            name => language_of(name)?,
        };
        if reads_commands(&command.name) {
            let names_text = command.has("-f") || command.has("-c") || command.has("-l") || command.has("-r");
            if names_text || command.args().iter().any(|word| word.text.contains(' ')) {
                return None;
            }
        } else if !reads_script(command) {
            return None;
        }
        // `bash <(echo ...)`, `source <(...)`
        let substituted = command.args().iter().flat_map(Word::subs).next().map(|(_, span)| *span);
        let output: Output = match substituted {
            Some(span) => self.outputs_of(span, 0)?,
            None => self.input_of(index, 0)?,
        };
        let text = output.text();
        let text = match command.name.as_str() {
            "ed" | "ex" => editor_commands(&text),
            "expect" => carried::tcl_commands(&text),
            "make" | "gmake" => carried::make_recipes(&text),
            _ => text,
        };
        Some((language, text, output.decoded > 0))
    }

    /// `crontab -` and `crontab FILE`.
    fn crontab_input(&self, index: usize) -> Option<String> {
        let command = self.script.commands.get(index).filter(|command| command.name == "crontab")?;
        if command.has("-r") || command.has("-l") {
            return None;
        }
        let file =
            command.operands().last().filter(|word| word.text != "-").and_then(|word| self.file(&word.text));
        match file {
            Some((text, _)) => self.spend_output(text.len()).then(|| text.to_owned()),
            None => self.input_of(index, 0).map(|output| output.text()),
        }
    }

    /// Whether some command in a span undoes an encoding.
    pub(super) fn decodes(&self, span: Span) -> bool {
        self.script
            .commands
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
            .iter()
            .any(is_decoder)
    }

    /// Shell commands in string literals of another language: `os.system("curl ...")`.
    fn shell_strings(&mut self, unit: u32, text: &str) {
        for (offset, literal) in super::files::shell_literals(text) {
            let index = self.push(Command {
                words: vec![Word::literal("system")],
                unit,
                offset: offset as u32,
                ..Command::default()
            });
            if let Some(index) = index {
                let inner = self.unit(UnitKind::Inline, Language::Shell, &literal, Some(index));
                self.set_inner(index as usize, inner);
            }
        }
    }

    /// Scan the files that were written and are run, or stand where something runs them.
    fn scan_files(&mut self) {
        // A file's script may write further files; each is scanned once.
        let mut at = 0;
        while at < self.script.files.len().min(files::MAX_FILES) {
            let Some(file) = self.script.files.get(at) else { break };
            let (path, text, writer) = (file.path.clone(), file.text.clone(), file.writer);
            let program = file.decoded && is_program(&text);
            at += 1;
            let run_by = self.is_run(&path);
            if program {
                // A program has no commands to scan. That it was decoded and is run is what counts.
                if run_by.is_some() {
                    self.unit(UnitKind::Decoded, Language::Other, "an embedded program", Some(writer));
                }
                continue;
            }
            let Some((kind, language, text)) = files::as_script(&path, &text, run_by) else { continue };
            if let Some(file) = self.script.files.get_mut(at - 1) {
                file.scanned = true;
            }
            self.unit(kind, language, &text, Some(writer));
        }
    }

    /// The language of whatever runs a file.
    fn is_run(&self, path: &str) -> Option<Language> {
        if path.is_empty() {
            return None;
        }
        let name = basename(path);
        let makefile = matches!(name, "Makefile" | "makefile" | "GNUmakefile");
        if !self.budget.work.take(self.script.commands.len() / 16) {
            return None;
        }
        self.script.commands.iter().find_map(|command| {
            let is_it = |word: &Word| word.text.ends_with(name) && files::same(&word.text, path);
            if command.words.get(command.start).is_some_and(is_it) {
                return Some(Language::Shell);
            }
            if makefile && matches!(command.name.as_str(), "make" | "gmake") {
                return Some(Language::Shell);
            }
            let language = match command.name.as_str() {
                "source" | "." | "chmod" | "at" | "batch" | "make" | "gmake" => Some(Language::Shell),
                other => language_of(other),
            }?;
            command.args().iter().any(is_it).then_some(language)
        })
    }
}

fn carries_text(name: &str) -> bool {
    matches!(
        name,
        "eval"
            | "trap"
            | "su"
            | "runuser"
            | "script"
            | "flock"
            | "watch"
            | "sg"
            | "tmux"
            | "screen"
            | "source"
            | "."
            | "crontab"
            | "at"
            | "batch"
            | "dd"
            | "tee"
            | "mv"
            | "cp"
            | "install"
            | "ln"
            | "rsync"
            | "sed"
            | "awk"
            | "gawk"
            | "mawk"
            | "expect"
            | "git"
            | "make"
            | "gmake"
            | "read"
            | "mapfile"
            | "ed"
            | "ex"
            | "sponge"
    )
}

/// Programs that take commands of a shell, one a line, on their standard input.
fn reads_commands(name: &str) -> bool {
    matches!(
        name,
        "at" | "batch"
            | "su"
            | "sudo"
            | "doas"
            | "runuser"
            | "chroot"
            | "nsenter"
            | "unshare"
            | "ssh"
            | "sshpass"
            | "machinectl"
            | "lxc-attach"
            | "newgrp"
            | "sg"
            | "script"
            | "redis-cli"
            | "ed"
            | "ex"
            | "parallel"
    )
}

/// The lines of an editor's commands that start a shell: `!id`, `w !sh`.
fn editor_commands(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let command = line.split_once('!').filter(|(before, _)| {
            before.len() < 12
                && before
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | '$' | ':' | '.'))
        });
        out.push_str(command.map_or("", |(_, command)| command));
        out.push('\n');
    }
    out
}

fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn option_value<'a>(command: &'a Command, options: &[&str]) -> Option<&'a Word> {
    let at = command.args().iter().position(|word| options.contains(&word.text.as_str()))?;
    command.args().get(at + 1)
}

/// The text behind `-c`, however it is bundled: `-lc`, `-ec`, `-xc`.
fn shell_argument(args: &[Word]) -> Option<&Word> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if text == "-o" || text == "-O" || text == "+o" || text == "--rcfile" || text == "--init-file" {
            words.next();
        } else if text.starts_with('-') && !text.starts_with("--") && text.contains('c') {
            return words.find(|word| !word.text.starts_with('-'));
        } else if !text.starts_with('-') && !text.starts_with('+') {
            return None;
        }
    }
    None
}

/// Whether an interpreter takes its script from standard input or from a substitution, having been
/// given neither a script file nor an inline text.
pub(crate) fn reads_script(command: &Command) -> bool {
    let shell = matches!(language_of(&command.name), Some(Language::Shell));
    let mut args = command.args().iter();
    while let Some(word) = args.next() {
        let text = word.text.as_str();
        match text {
            "-" | "/dev/stdin" | "/proc/self/fd/0" | "/dev/fd/0" => return true,
            "-s" if shell => return true,
            "--" => continue,
            "-o" | "-O" | "+o" | "-W" | "-X" => {
                args.next();
            }
            _ if text.starts_with('-') && !text.starts_with("--") => {
                if text.contains('c') || text.contains('m') || (!shell && text.contains(['e', 'r', 'n', 'p']))
                {
                    return false;
                }
                if shell && text.contains('s') {
                    return true;
                }
            }
            _ if text.starts_with('-') || text.starts_with('+') => {}
            _ => return text.starts_with("/dev/fd/") && !word.subs().is_empty(),
        }
    }
    !matches!(command.name.as_str(), "source" | ".")
        || command.redirects.iter().any(|redirect| redirect.op == RedirectOp::Read)
}

/// Whether the content of a file is a program of Linux or Windows.
fn is_program(text: &str) -> bool {
    text.starts_with("\u{7f}ELF") || text.starts_with("MZ")
}

/// A value decoded from base64 that reads as text.
pub(super) fn decoded_text(encoded: &str) -> Option<String> {
    let bytes = encoding::base64(encoded.as_bytes())?;
    let bytes = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => encoding::gzip(&bytes)?,
        _ => bytes,
    };
    let text = encoding::text_of(&bytes);
    let odd =
        text.chars().take(256).filter(|c| (c.is_control() && !c.is_whitespace()) || *c == '\u{fffd}').count();
    (odd * 20 <= text.chars().take(256).count()).then_some(text)
}
