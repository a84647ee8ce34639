//! What stands behind a pipe, a substitution or a variable, however many steps back.

use std::collections::HashSet;

use super::Part;
use super::fetch::{self, Fetch, Output, Standing};
use super::flow::Flow;
use super::hosts::{HostKind, Url, is_drop_host};
use super::network::socket_host;
use crate::indicators::programs::{Class, classes};
use crate::user_data::Trust;
use crate::user_data::script::{Command, RedirectOp, Span, SubKind, Word, is_decoder};

/// Commands looked at when following one pipe or variable back.
const MAX_STEPS: usize = 512;

/// What stands behind a pipe, a substitution or a variable.
#[derive(Debug, Default, Clone)]
pub struct Reach {
    /// Downloads, with how far they are trusted; the worst.
    pub standing: Option<Standing>,
    pub open: bool,
    pub decoder: bool,
    /// A connection made by bash itself.
    pub socket: bool,
    /// An unknown program fetches from a public address, from a host for payloads.
    pub bare_address: bool,
    pub drop_host: bool,
    /// Files read.
    pub files: Vec<String>,
    seen: HashSet<usize>,
}

impl Reach {
    fn merge(&mut self, other: &Reach) {
        self.standing = self.standing.max(other.standing);
        self.open |= other.open;
        self.decoder |= other.decoder;
        self.socket |= other.socket;
        self.bare_address |= other.bare_address;
        self.drop_host |= other.drop_host;
    }
    /// A download worth the name: more than the instance's own metadata.
    pub fn download(&self) -> Option<Standing> {
        self.standing.filter(|standing| *standing > Standing::Local)
    }
}

impl Flow {
    /// Note which descriptors are connections: `exec 7<>/dev/tcp/host/port`.
    pub(super) fn sockets_of(&mut self, number: usize, part: &Part<'_>) {
        for command in &part.script.commands {
            for redirect in &command.redirects {
                if redirect.op != RedirectOp::Duplicate && socket_host(&redirect.target.text).is_some() {
                    self.sockets.insert((number, command.unit, redirect.fd));
                }
            }
        }
    }

    /// Whether a command reads from a connection by its descriptor: `<&7`, `read -u 7`.
    fn reads_socket(&self, number: usize, command: &Command) -> bool {
        if self.sockets.is_empty() {
            return false;
        }
        let is_socket = |text: &str| {
            text.trim_end_matches('-')
                .parse()
                .is_ok_and(|fd: u8| self.sockets.contains(&(number, command.unit, fd)))
        };
        let duplicated = command.redirects.iter().any(|redirect| {
            redirect.op == RedirectOp::Duplicate && redirect.fd == 0 && is_socket(&redirect.target.text)
        });
        duplicated
            || (command.name == "read"
                && command.args().windows(2).any(
                    |pair| matches!(pair, [option, fd] if option.text.ends_with('u') && is_socket(&fd.text)),
                ))
    }

    /// Note which variables hold what was downloaded or decoded.
    pub(super) fn variables_of(&mut self, number: usize, part: &Part<'_>, trust: &Trust) {
        for command in &part.script.commands {
            if matches!(command.name.as_str(), "read" | "mapfile" | "readarray") {
                let mut reach = self.reach_of_input((number, part), command, trust);
                reach.socket |= self.reads_socket(number, command);
                if reach.standing.is_some() || reach.decoder || reach.socket {
                    for name in command.operands() {
                        self.variables.entry((number, name.text.clone())).or_default().merge(&reach);
                    }
                }
            }
            for (name, value) in &command.assigns {
                if value.subs().is_empty() && value.vars().is_empty() {
                    continue;
                }
                let reach = self.reach_of_word((number, part), value, trust);
                if reach.standing.is_some() || reach.decoder || reach.socket {
                    self.variables.entry((number, name.clone())).or_default().merge(&reach);
                }
            }
        }
    }

    /// What stands behind a command's standard input.
    pub fn reach_of_input(&self, at: (usize, &Part<'_>), command: &Command, trust: &Trust) -> Reach {
        let mut reach = Reach { socket: self.reads_socket(at.0, command), ..Reach::default() };
        if let Some(span) = command.stdin {
            self.walk(at, span, trust, &mut reach);
        }
        for redirect in &command.redirects {
            match redirect.op {
                RedirectOp::Read | RedirectOp::HereString | RedirectOp::HereDocument => {
                    if redirect.target.text.starts_with("/dev/tcp/") {
                        reach.socket = true;
                    } else if redirect.op == RedirectOp::Read && !redirect.target.dynamic {
                        reach.files.push(redirect.target.text.clone());
                    }
                    if redirect.op != RedirectOp::HereDocument {
                        self.word(at, &redirect.target, trust, &mut reach);
                    }
                }
                _ => {}
            }
        }
        reach
    }

    /// What stands behind a word: its substitutions and variables.
    pub fn reach_of_word(&self, at: (usize, &Part<'_>), word: &Word, trust: &Trust) -> Reach {
        let mut reach = Reach::default();
        self.word(at, word, trust, &mut reach);
        reach
    }

    pub fn reach_of_words(&self, at: (usize, &Part<'_>), words: &[Word], trust: &Trust) -> Reach {
        let mut reach = Reach::default();
        for word in words {
            self.word(at, word, trust, &mut reach);
        }
        reach
    }

    fn word(&self, at: (usize, &Part<'_>), word: &Word, trust: &Trust, reach: &mut Reach) {
        for (kind, span) in word.subs() {
            if *kind != SubKind::Output {
                self.walk(at, *span, trust, reach);
            }
        }
        for name in word.vars() {
            if let Some(held) = self.variables.get(&(at.0, name.clone())) {
                reach.merge(held);
            }
        }
    }

    fn walk(&self, at: (usize, &Part<'_>), span: Span, trust: &Trust, reach: &mut Reach) {
        // An explicit list of what is still to be looked at: chains may be long.
        let mut open = vec![span];
        while let Some(span) = open.pop() {
            for index in span.indices() {
                if reach.seen.len() >= MAX_STEPS || !reach.seen.insert(index) || !at.1.script.work.take(4) {
                    continue;
                }
                let Some(command) = at.1.script.commands.get(index) else { continue };
                self.step(at, command, trust, reach, &mut open);
            }
        }
    }

    fn step(
        &self,
        at: (usize, &Part<'_>),
        command: &Command,
        trust: &Trust,
        reach: &mut Reach,
        open: &mut Vec<Span>,
    ) {
        if let Some(fetch) = fetch::parse(command) {
            if fetch.output == Output::Standard || saves_to_standard_output(&fetch) {
                let standing = fetch.standing(trust);
                reach.standing = reach.standing.max(Some(standing));
                reach.open |= fetch.is_open();
            }
            return;
        }
        if let Some(fetch) = unknown_download(command) {
            let standing = fetch.standing(trust);
            reach.standing = reach.standing.max(Some(standing));
            if standing == Standing::Untrusted {
                reach.open |= fetch.is_open();
                reach.bare_address |= fetch.urls.iter().any(|url| url.kind() == HostKind::PublicAddress);
                reach.drop_host |= fetch.urls.iter().any(|url| is_drop_host(url.host));
            }
        }
        reach.decoder |= is_decoder(command);
        reach.socket |= self.reads_socket(at.0, command);
        for redirect in &command.redirects {
            reach.socket |= redirect.target.text.starts_with("/dev/tcp/") && redirect.op != RedirectOp::Write;
        }
        if matches!(
            command.name.as_str(),
            "cat" | "zcat" | "tail" | "head" | "sed" | "tr" | "base64" | "gunzip" | "xxd"
        ) {
            reach.files.extend(
                command.operands().take(4).filter(|word| !word.dynamic).map(|word| word.text.clone()),
            );
        }
        // The exit codes of tests are no data.
        if !matches!(command.name.as_str(), "[" | "[[" | "test") {
            for word in command.args() {
                open.extend(word.subs().iter().map(|(_, span)| *span));
                for name in word.vars() {
                    if let Some(held) = self.variables.get(&(at.0, name.clone())) {
                        reach.merge(held);
                    }
                }
            }
        }
        open.extend(command.stdin);
        open.extend(command.inner);
        open.extend(at.1.script.functions.get(&command.name).copied());
    }
}

/// What a program fetches that is not known, but is given an address: a copy of curl under another name,
/// one chosen at run time, a one-line program.
pub(super) fn unknown_download(command: &Command) -> Option<Fetch<'_>> {
    if !command.words.iter().any(|word| word.text.contains("://")) {
        return None;
    }
    let program = classes(&command.name);
    let reads_only = program.has_any(&[
        Class::Printer,
        Class::Searcher,
        Class::Storer,
        Class::Copier,
        Class::Decoder,
        Class::Verifier,
    ]);
    if command.words.is_empty() || (reads_only && !program.has(Class::Downloader)) || command.name == "git" {
        return None;
    }
    let words = command.words.iter().skip(command.start + 1).filter(|word| word.text.contains("://"));
    let urls: Vec<_> = words.flat_map(|word| Url::all(&word.text)).take(8).collect();
    if urls.is_empty() {
        return None;
    }
    Some(Fetch { urls, ..Fetch::default() })
}

fn saves_to_standard_output(fetch: &Fetch<'_>) -> bool {
    matches!(&fetch.output, Output::File(file) if file.starts_with("/dev/stdout") || file.starts_with("/proc/self"))
}
