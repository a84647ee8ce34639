//! Taking in commands: names, wrappers, links between the ends of a pipe.

use super::nested::Scan;
use super::{Command, Redirect, RedirectOp, Span, SubKind, Word, basename, language_of, literal, wrappers};
use crate::indicators::programs::{self, Class};

/// Names that programs are given by the script.
const MAX_RENAMED: usize = 64;

impl Scan {
    pub(super) fn command_count(&self) -> u32 {
        self.script.commands.len() as u32
    }

    /// Add a command; gives its index, or nothing when there are too many.
    pub(super) fn push(&mut self, mut command: Command) -> Option<u32> {
        let index = self.command_count();
        if self.budget.commands == 0 {
            self.script.over_bound = true;
            return None;
        }
        self.budget.commands -= 1;
        let wrapped = wrappers::unwrap(&command.words);
        command.name = wrapped.name;
        command.start = wrapped.start;
        command.background |= wrapped.background;
        if let Some(own) = self.renamed.get(&command.name) {
            command.name.clone_from(own);
        }
        self.rename(&command);
        self.fill_variables(&command);
        let program = command.words.get(command.start);
        command.disguised |= wrapped.globbed || program.is_some_and(is_disguised);
        // `>(...)` reads what this command prints.
        let outputs: Vec<Span> = command
            .words
            .iter()
            .chain(command.redirects.iter().map(|redirect| &redirect.target))
            .flat_map(|word| word.subs())
            .filter(|(kind, _)| *kind == SubKind::Output)
            .map(|(_, span)| *span)
            .collect();
        for span in outputs {
            command.piped = true;
            for inner in self.commands_mut(span).filter(|inner| inner.stdin.is_none()) {
                inner.stdin = Some(Span::one(index));
            }
        }
        if let Some(span) = command.stdin.filter(|span| *span == Span::one(span.start)) {
            self.commands_mut(span).for_each(|feeding| feeding.feeds = Some(index));
        }
        self.script.commands.push(command);
        Some(index)
    }

    /// Remember what a program is called after `cp`, `ln` or `alias`.
    fn rename(&mut self, command: &Command) {
        if self.renamed.len() >= MAX_RENAMED {
            return;
        }
        match command.name.as_str() {
            "cp" | "ln" | "mv" | "install" => {
                let mut operands = command.operands();
                let (Some(from), Some(to)) = (operands.next(), operands.last()) else { return };
                let from = match from.subs().first() {
                    Some((_, span)) => self.named_program(*span),
                    None => basename(&from.text).to_owned(),
                };
                let to = basename(to.text.trim_end_matches('/')).to_owned();
                if !from.is_empty() && to != from && !to.is_empty() && renamable(&from) {
                    self.renamed.insert(to, from);
                }
            }
            "alias" => {
                for (name, value) in command.args().iter().filter_map(|word| word.text.split_once('=')) {
                    let first = basename(value.split_ascii_whitespace().next().unwrap_or(""));
                    if name != first && renamable(first) {
                        self.renamed.insert(name.to_owned(), first.to_owned());
                    }
                }
            }
            _ => {}
        }
    }

    /// The program whose path `$(command -v curl)` or `$(which curl)` gives.
    fn named_program(&self, span: Span) -> String {
        let command = span.indices().next().and_then(|index| self.script.commands.get(index));
        let first = command.and_then(|command| command.words.first()).map_or("", |word| word.text.as_str());
        let last = command.and_then(|command| command.words.last()).map_or("", |word| word.text.as_str());
        let asks =
            matches!(first, "command" | "which" | "type" | "whereis" | "hash" | "readlink" | "realpath");
        if asks { basename(last).to_owned() } else { String::new() }
    }

    /// `printf -v NAME` and `read NAME <<< TEXT` set variables.
    fn fill_variables(&mut self, command: &Command) {
        match command.name.as_str() {
            "printf" if command.arg(0) == "-v" => {
                let printed = literal::printf(command.args().get(2..).unwrap_or_default());
                let text = String::from_utf8_lossy(&printed);
                let name = command.arg(1).to_owned();
                if self.spend_expansion(text.len()) {
                    self.env.set(&name, &Word::literal(text), false);
                }
            }
            "read" => {
                let given = command.redirects.iter().find(|redirect| {
                    matches!(redirect.op, RedirectOp::HereString | RedirectOp::HereDocument)
                });
                let Some(given) = given.filter(|given| !given.target.dynamic) else { return };
                let names: Vec<String> = command.operands().map(|word| word.text.clone()).collect();
                let mut rest = given.target.text.lines().next().unwrap_or("").trim();
                for (number, name) in names.iter().enumerate().take(8) {
                    let (value, behind) = match rest.split_once([' ', '\t']) {
                        Some((value, behind)) if number + 1 < names.len() => (value, behind),
                        _ => (rest, ""),
                    };
                    self.env.set(name, &Word::literal(value), false);
                    rest = behind.trim_start();
                }
            }
            _ => {}
        }
    }

    /// As [`Scan::push`], for Windows: names have no case, no `.exe` and no wrappers.
    pub(super) fn push_named(&mut self, command: Command) -> Option<u32> {
        let index = self.push(command)?;
        let command = self.script.commands.get_mut(index as usize)?;
        command.start = 0;
        let first = command.words.first().map_or("", |word| word.text.as_str());
        let name = basename(first).trim_start_matches('@').to_ascii_lowercase();
        command.name = name.strip_suffix(".exe").unwrap_or(&name).to_owned();
        Some(index)
    }

    /// A text on its own, which names no command.
    pub(super) fn unname(&mut self, index: u32) {
        self.commands_mut(Span::one(index)).for_each(|command| command.name.clear());
    }

    fn commands_mut(&mut self, span: Span) -> impl Iterator<Item = &mut Command> {
        self.script.commands.get_mut(span.start as usize..span.end as usize).unwrap_or_default().iter_mut()
    }

    pub(super) fn mark_background(&mut self, span: Span) {
        self.commands_mut(span).for_each(|command| command.background = true);
    }

    pub(super) fn mark_piped(&mut self, span: Span) {
        self.commands_mut(span).for_each(|command| command.piped = true);
    }

    /// Redirections of a compound command hold for the commands inside.
    pub(super) fn inherit(&mut self, span: Span, redirects: &[Redirect], most: usize) {
        // A body with a long here-document is not copied to each of many commands.
        let size: usize = redirects.iter().map(|redirect| redirect.target.text.len().min(4096) / 8).sum();
        let count = span.indices().count().min(256);
        if !self.spend_expansion(size.saturating_mul(count)) {
            return;
        }
        for command in self.commands_mut(span).take(256) {
            for redirect in redirects {
                if command.redirects.len() < most && redirect.target.text.len() < 4096 {
                    command.redirects.push(redirect.clone());
                }
            }
        }
    }

    pub(super) fn define(&mut self, name: String, span: Span) {
        self.script.functions.insert(name, span);
    }

    /// Charges the work of handling a text of `bytes`; `false` when the work is spent.
    pub(super) fn spend_output(&self, bytes: usize) -> bool {
        self.budget.work.take_bytes(bytes)
    }

    /// Charges the work of one use of a variable, which is more the longer its value is.
    pub(super) fn spend_value(&self, name: &str) -> bool {
        let name = name.strip_prefix('#').unwrap_or(name);
        self.budget.work.take_bytes(self.env.size(name))
    }

    /// Takes `bytes` off what may still be pasted.
    pub(super) fn spend_expansion(&mut self, bytes: usize) -> bool {
        match self.budget.expansion.checked_sub(bytes) {
            Some(rest) => {
                self.budget.expansion = rest;
                true
            }
            None => {
                self.script.over_bound = true;
                false
            }
        }
    }
}

/// Whether it matters what another name of a program stands for.
fn renamable(program: &str) -> bool {
    language_of(program).is_some()
        || programs::classes(program).has_any(&[Class::Downloader, Class::Connector, Class::Decoder])
}

/// Whether a program's name was put together from pieces, or printed by a command whose text gives it away.
fn is_disguised(word: &Word) -> bool {
    let printed = !word.dynamic && !word.subs().is_empty();
    (word.pieced || printed) && !word.text.contains('/')
}
