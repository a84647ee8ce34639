//! `def-01`: other people's programs killed by name, in whatever form.

use std::collections::{HashMap, HashSet};

use super::flow::Place;
use super::{Case, Id};
use crate::indicators::is_miner;
use crate::user_data::script::{Command, Word};

/// Names killed from which on it is competition rather than tidying.
const COMPETITORS: usize = 4;
/// What a list of strangers weighs that names no miners: own services are restarted by lists, too.
const UNKNOWN: u32 = 35;
/// Miners among the names from which on the list is one of competitors.
const MINERS: usize = 2;
/// Values of one variable that are looked at.
const MAX_VALUES: usize = 256;
/// Commands in front of a `kill` that are looked at.
const MAX_STEPS: usize = 64;

/// Names that are killed, in all scripts together.
pub(super) fn all(case: &mut Case<'_>) {
    let mut names: HashSet<&str> = HashSet::new();
    let mut first: Option<Place> = None;
    for (number, part) in case.parts.iter().enumerate() {
        let commands = &part.script.commands;
        let kills = |command: &Command| {
            crate::indicators::programs::has(&command.name, crate::indicators::programs::Class::Killer)
        };
        if !commands.iter().any(kills) {
            continue;
        }
        let mut values: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, value) in commands.iter().flat_map(|command| &command.assigns) {
            let known = values.entry(name).or_default();
            if known.len() < MAX_VALUES {
                known.extend(value.text.split_ascii_whitespace().take(MAX_VALUES));
            }
        }
        for (index, command) in commands.iter().enumerate().filter(|(_, command)| kills(command)) {
            let mut found = Found::default();
            if command.name == "kill" || command.name == "skill" {
                behind(commands, command, &mut found);
            } else {
                command.operands().for_each(|word| sought_words(word, &mut found));
            }
            // `for name in a b c; do pkill $name; done`
            let looped = found.variables.iter().filter_map(|name| values.get(name));
            let looped: Vec<&str> = looped.flatten().flat_map(|text| alternatives(text)).collect();
            let mut found = found.names;
            found.extend(looped);
            found.retain(|name| is_name(name));
            if !found.is_empty() {
                first.get_or_insert((number, index));
            }
            names.extend(found);
        }
    }
    if let Some(at) = first.filter(|_| names.len() >= COMPETITORS) {
        let miners = names.iter().filter(|name| is_miner(name)).count();
        let full = Id::Def01.signal().weight;
        case.hit_weighing(Id::Def01, if miners >= MINERS { full } else { UNKNOWN }, at);
    }
}

/// What is sought to be killed: names, and variables that hold some.
#[derive(Default)]
struct Found<'a> {
    names: Vec<&'a str>,
    variables: Vec<&'a str>,
}

fn is_name(name: &str) -> bool {
    name.len() > 2
        && name.len() < 64
        && !name.contains(['$', ':'])
        && !name.starts_with('-')
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !matches!(name, "grep" | "print" | "awk" | "TERM" | "KILL" | "HUP" | "INT")
}

/// `a`, `b`, `c` of the pattern `(a|b|c)`.
fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    text.split(['|', '\\', '(', ')', ','])
        .map(|name| name.trim_matches(['^', '$', '/', '"', '\'', '[', ']', '.', '*', ' ']))
}

fn sought_words<'a>(word: &'a Word, found: &mut Found<'a>) {
    found.names.extend(alternatives(&word.text));
    found.variables.extend(word.vars().iter().map(String::as_str));
}

/// The names behind a `kill`: what stands in its substitutions and in front of its pipe.
fn behind<'a>(commands: &'a [Command], command: &'a Command, found: &mut Found<'a>) {
    let mut open: Vec<usize> = Vec::new();
    let reach = |command: &Command, open: &mut Vec<usize>| {
        let inside = command.args().iter().flat_map(|word| word.subs()).map(|(_, span)| *span);
        for span in inside.chain(command.stdin) {
            open.extend(span.indices().take(16));
        }
    };
    reach(command, &mut open);
    let mut seen: Vec<usize> = Vec::new();
    while let Some(index) = open.pop() {
        if seen.len() >= MAX_STEPS || seen.contains(&index) {
            continue;
        }
        seen.push(index);
        let Some(other) = commands.get(index) else { continue };
        sought(other, found);
        reach(other, &mut open);
    }
}

/// What a command looks for: `grep name`, `pgrep name`, `pidof name`, `awk '/name/'`.
fn sought<'a>(command: &'a Command, found: &mut Found<'a>) {
    match command.name.as_str() {
        "grep" | "egrep" | "fgrep"
            if !command.args().iter().any(|word| word.text.starts_with('-') && word.text.contains('v')) =>
        {
            command.operands().take(1).for_each(|word| sought_words(word, found));
        }
        "pgrep" | "pidof" => command.operands().for_each(|word| sought_words(word, found)),
        "awk" | "gawk" | "mawk" => {
            for word in command.operands().take(1) {
                // `/a|b/ {print $2}`, `$11 ~ /a/`
                found.names.extend(word.text.split('/').skip(1).step_by(2).flat_map(alternatives));
            }
        }
        _ => {}
    }
}
