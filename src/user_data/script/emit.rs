//! Taking in commands: names, wrappers, links between the ends of a pipe.

use super::nested::Scan;
use super::{Command, Redirect, Span, SubKind, Word, basename, wrappers};

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

/// Whether a program's name was put together from pieces, or printed by a command whose text gives it away.
fn is_disguised(word: &Word) -> bool {
    let printed = !word.dynamic && !word.subs().is_empty();
    (word.pieced || printed) && !word.text.contains('/')
}
