//! Calls of the script's own functions: `get() { wget "$1" -O "$2"; }; get http://... /tmp/x`.
//!
//! For each call, the commands of the body are repeated with the arguments in place of `$1`, `$2` ..., so
//! that what is looked for in commands is found where it is only put together by a call.

use std::collections::HashMap;

use super::nested::Scan;
use super::{Command, Span, SubKind, Word, wrappers};

/// Commands of a body that are repeated.
const MAX_BODY: u32 = 64;
/// Arguments of one call that are put in the place of `"$@"`.
const MAX_ARGUMENTS: usize = 64;
/// Bytes that an argument may put into a word.
const MAX_TEXT: usize = 4096;

/// The size of a function's body.
#[derive(Debug, Clone, Copy, Default)]
struct BodySize {
    /// Bytes of its words.
    text: usize,
    /// Parameters in them.
    parameters: usize,
}

impl Scan {
    /// Repeat the bodies of functions that the commands of a span call with arguments.
    pub(super) fn follow_calls(&mut self, span: Span) {
        if self.script.functions.is_empty() {
            return;
        }
        // What repeating a body takes does not depend on the call.
        let mut bodies: HashMap<Span, Option<BodySize>> = HashMap::new();
        for index in span.indices() {
            let Some(call) = self.script.commands.get(index) else { continue };
            let Some(body) = self.script.functions.get(&call.name).copied() else { continue };
            let length = body.end.saturating_sub(body.start);
            let recursive = (body.start..body.end).contains(&(index as u32));
            if call.args().is_empty() || length > MAX_BODY || recursive || call.inner.is_some() {
                continue;
            }
            let Some(rest) = self.budget.calls.checked_sub(length as usize) else { continue };
            // What the copy holds, and what the arguments may make of it.
            let longest = call.args().iter().map(|word| word.text.len()).max().unwrap_or(0).min(MAX_TEXT);
            let Some(measured) = bodies.entry(body).or_insert_with(|| self.measure(body)) else { continue };
            let size = measured.text.saturating_add(measured.parameters.saturating_mul(longest));
            if !self.spend_expansion(size) {
                continue;
            }
            self.budget.calls = rest;
            self.repeat(index, body);
        }
    }

    /// What a copy of a function's body takes; nothing for one that takes no arguments.
    fn measure(&self, body: Span) -> Option<BodySize> {
        let mut size = BodySize::default();
        for command in body.indices().filter_map(|index| self.script.commands.get(index)) {
            if only_prints(command) {
                continue;
            }
            let redirected = command.redirects.iter().map(|redirect| &redirect.target);
            for word in command.words.iter().chain(redirected) {
                size.text = size.text.saturating_add(16 + word.text.len());
                size.parameters = size.parameters.saturating_add(word.text.matches("${").count());
            }
        }
        (size.parameters > 0).then_some(size)
    }

    fn repeat(&mut self, call: usize, body: Span) {
        let Some(call_command) = self.script.commands.get(call) else { return };
        let arguments: Vec<String> = call_command.args().iter().map(|word| word.text.clone()).collect();
        let (unit, offset, stdin) = (call_command.unit, call_command.offset, call_command.stdin);
        let start = self.command_count();
        let moved = |span: Span| -> Span {
            let inside = span.start >= body.start && span.end <= body.end;
            let shift = |index: u32| index - body.start + start;
            if inside { Span { start: shift(span.start), end: shift(span.end) } } else { span }
        };
        let copies: Vec<_> = body
            .indices()
            .filter_map(|index| self.script.commands.get(index).cloned())
            .map(|mut command| {
                if only_prints(&command) {
                    // Nothing is found in messages: its place is kept, its words are not.
                    return Command { unit, offset, ..Command::default() };
                }
                // `"$@"` is a command and its arguments, not one word.
                if command.words.iter().any(|word| matches!(word.text.as_str(), "${@}" | "${*}")) {
                    let whole: Vec<Word> = arguments.iter().take(MAX_ARGUMENTS).map(Word::literal).collect();
                    command.words = std::mem::take(&mut command.words)
                        .into_iter()
                        .flat_map(|word| match word.text.as_str() {
                            "${@}" | "${*}" => whole.clone(),
                            _ => vec![word],
                        })
                        .collect();
                }
                for word in &mut command.words {
                    fill(word, &arguments, &moved);
                }
                for redirect in &mut command.redirects {
                    fill(&mut redirect.target, &arguments, &moved);
                }
                for (_, word) in &mut command.assigns {
                    fill(word, &arguments, &moved);
                }
                command.stdin = command.stdin.map(&moved).or(stdin);
                command.feeds = command.feeds.map(|index| moved(Span::one(index)).start);
                let wrapped = wrappers::unwrap(&command.words);
                command.name = wrapped.name;
                command.start = wrapped.start;
                (command.unit, command.offset) = (unit, offset);
                command
            })
            .collect();
        for copy in copies {
            if self.budget.commands == 0 {
                self.script.over_bound = true;
                return;
            }
            self.budget.commands -= 1;
            self.script.commands.push(copy);
        }
        let inner = Span { start, end: self.command_count() };
        self.set_inner(call, inner);
        self.follow(inner);
    }
}

/// Whether a command only shows or logs text: its words matter to nobody who looks for commands.
fn only_prints(command: &Command) -> bool {
    let prints =
        matches!(command.name.as_str(), "echo" | "printf" | "logger" | "date" | "true" | ":" | "return");
    let logs = command.name == "tee" && command.operands().all(|word| word.text.starts_with("/var/log/"));
    // Into a pipe that ends in a log, or to the terminal.
    let written = command.redirects.iter().any(|redirect| {
        redirect.writes()
            && !redirect.target.text.starts_with("/var/log/")
            && !redirect.target.text.starts_with("/dev/")
    });
    (prints || logs)
        && !written
        && !command.piped
        && command.words.iter().all(|word| word.subs().is_empty() || logs || word.text.len() < 256)
}

/// Put a call's arguments in the place of positional parameters.
fn fill(word: &mut Word, arguments: &[String], moved: &dyn Fn(Span) -> Span) {
    if let Some(from) = word.from.as_deref_mut() {
        for (kind, span) in &mut from.subs {
            if *kind != SubKind::Output {
                *span = moved(*span);
            }
        }
    }
    if !word.text.contains("${") {
        return;
    }
    for (number, argument) in arguments.iter().take(9).enumerate() {
        let placeholder = format!("${{{}}}", number + 1);
        if word.text.len() + argument.len() < MAX_TEXT && word.text.contains(&placeholder) {
            word.text = word.text.replace(&placeholder, argument);
        }
    }
    for placeholder in ["${@}", "${*}"] {
        if word.text.contains(placeholder) && word.text.len() < MAX_TEXT {
            let all = arguments.join(" ");
            if all.len() < MAX_TEXT {
                word.text = word.text.replace(placeholder, &all);
            }
        }
    }
    if !word.text.contains("${") && !word.text.contains("$(") {
        word.dynamic = false;
    }
}
