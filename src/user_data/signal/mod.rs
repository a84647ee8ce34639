//! Signals: what the commands and directives of a user data add up to.
//!
//! [`judge`] scans every script, follows files across all of them (they are one boot), and lets each
//! room look at each command: [`exec`], [`network`], [`mining`], [`defence`], [`kills`], [`persistence`],
//! [`backdoor`], [`credentials`], [`secrets`], [`impact`], [`images`], [`windows`]. [`directives`] looks at what is no script. [`score`] adds up.

mod backdoor;
mod credentials;
mod defence;
mod directives;
mod exec;
pub mod fetch;
mod flow;
pub mod hosts;
mod images;
mod impact;
mod kills;
mod mining;
mod network;
mod paths;
mod persistence;
mod reach;
mod score;
mod secrets;
mod shells;
mod strict;
pub mod table;
#[cfg(test)]
mod tests;
mod windows;

use std::rc::Rc;

use super::script::{self, Budget, Script, UnitKind, line_at, line_number};
use super::{Conclusion, Content, Finding, Language, Piece, Trust};
use crate::text;
use flow::{Flow, Place};
pub use strict::strict_findings;
pub use table::{Id, SIGNALS, Signal, signal_of};

/// Characters that a quote may have.
const MAX_QUOTE: usize = 200;
/// Scripts that are searched for telling lines when the budget is spent.
const MAX_PLAIN: usize = 16;

/// The judgement of a whole user data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// One a signal, the weightiest first.
    pub findings: Vec<Finding>,
    pub score: u32,
    /// A critical signal, or a combination that is.
    pub critical: bool,
    pub conclusion: Conclusion,
}

/// Judge what was decoded.
///
/// `encodings` are the layers undone to get at the pieces (the most on any one path); `mismatch` says
/// where a label did not fit its content.
pub fn judge(pieces: &[Piece], encodings: usize, mismatch: Option<&str>, trust: &Trust) -> Judgement {
    let known: script::Known = Rc::new(
        pieces
            .iter()
            .filter_map(|piece| match &piece.content {
                Content::File { target, text } => Some((script::absolute(target), text.clone())),
                _ => None,
            })
            .collect(),
    );
    let mut budget = Budget::for_text(pieces.iter().map(|piece| piece.content.len()).sum());
    let mut parts = Part::all(pieces, &known, &mut budget);
    let mut flow = Flow::of(&parts, trust);
    // Files that are only scripts because something runs them.
    let more = Part::run_files(pieces, &parts, &flow, &known, &mut budget);
    let over = parts.iter().chain(&more).find(|part| part.script.over_bound).map(Part::path);
    let rest = if over.is_some() { Part::plain(pieces) } else { Vec::new() };
    if !more.is_empty() || !rest.is_empty() {
        parts.extend(more);
        parts.extend(rest);
        flow = Flow::of(&parts, trust);
    }
    let mut case =
        Case { trust, parts: &parts, flow: &flow, hits: Vec::new(), critical: false, wiped: None, ran: None };
    for (number, part) in parts.iter().enumerate() {
        part_signals(&mut case, number, part);
    }
    if over.is_some() || budget.work.is_spent() {
        let path = over.unwrap_or_default();
        case.hit_spot(Id::Dec03, Spot::Path(path), "not inspected: too much work");
    }
    exec::runs(&mut case, &parts);
    for at in &flow.ignored {
        case.hit(Id::Sup02, *at);
    }
    kills::all(&mut case);
    persistence::crontabs(&mut case);
    for piece in pieces {
        directives::piece(&mut case, piece, pieces);
    }
    let nested = parts.iter().map(|part| part.script.encodings).max().unwrap_or(0);
    directives::encodings(&mut case, encodings + nested, mismatch);
    score::conclude(case)
}

fn part_signals(case: &mut Case<'_>, number: usize, part: &Part<'_>) {
    for (index, command) in part.script.commands.iter().enumerate() {
        exec::command(case, number, index, part, command);
        network::command(case, number, index, part, command);
        mining::command(case, number, index, command);
        defence::command(case, number, index, command);
        persistence::command(case, number, index, part, command);
        credentials::command(case, number, index, part, command);
        secrets::command(case, number, index, part, command);
        backdoor::command(case, number, index, part, command);
        impact::command(case, (number, index), command);
        images::command(case, number, index, command);
        directives::repository_command(case, number, index, command);
        windows::command(case, number, index, part, command);
    }
    exec::units(case, number, part);
    backdoor::part(case, number, part);
    impact::part(case, number, part);
    for (unit, scanned) in part.script.units.iter().enumerate() {
        match scanned.language {
            Language::Shell | Language::Batch => {}
            Language::PowerShell => windows::text(case, (number, unit as u32), &scanned.text),
            language => {
                let text = without_comments(&scanned.text);
                exec::other_language(case, (number, unit as u32), language, &text);
                network::other_language(case, (number, unit as u32), language, &text);
                mining::text(case, (number, unit as u32), &text);
                credentials::other_language(case, (number, unit as u32), &text);
                impact::other_language(case, (number, unit as u32), &text);
            }
        }
    }
    for file in &part.script.files {
        let at = (number, file.writer as usize);
        directives::file(case, Spot::Command(at), &file.path, &file.text);
    }
}

/// Text without the lines that are comments, in the languages whose comments begin with `#` or `//`.
fn without_comments(text: &str) -> String {
    text.lines()
        .filter(|line| {
            let line = line.trim_start();
            let comment = (line.starts_with('#') && !line.starts_with("#!")) || line.starts_with("//");
            !comment
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// One scanned script, and where it stood. Entries of one `runcmd` or `bootcmd` are one script, as
/// cloud-init makes them: what one entry sets, the next one has.
pub(super) struct Part<'a> {
    /// Where pieces begin in the text of the first unit, with their paths.
    segments: Vec<(usize, &'a str)>,
    pub script: Script,
}

impl<'a> Part<'a> {
    fn path(&self) -> &'a str {
        self.segments.first().map_or("", |(_, path)| path)
    }

    fn all(pieces: &'a [Piece], known: &script::Known, budget: &mut Budget) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        let mut rest = pieces;
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            match &first.content {
                Content::Script { language: Language::Shell, text } if list_of(&first.path).is_some() => {
                    let mut joined = text.clone();
                    let mut segments = vec![(0, first.path.as_str())];
                    while let Some((next, others)) = rest.split_first() {
                        let Content::Script { language: Language::Shell, text } = &next.content else {
                            break;
                        };
                        if list_of(&next.path) != list_of(&first.path) {
                            break;
                        }
                        joined.push('\n');
                        segments.push((joined.len(), next.path.as_str()));
                        joined.push_str(text);
                        rest = others;
                    }
                    let script = script::scan_within(budget, known, UnitKind::Root, Language::Shell, &joined);
                    parts.push(Part { segments, script });
                }
                Content::Script { language, text } => {
                    let script = script::scan_within(budget, known, UnitKind::Root, *language, text);
                    parts.push(Part { segments: vec![(0, &first.path)], script });
                }
                Content::File { target, text } => {
                    if let Some(script) = script::scan_file(budget, known, target, text, None) {
                        parts.push(Part { segments: vec![(0, &first.path)], script });
                    }
                }
                _ => {}
            }
        }
        parts
    }

    /// What a spent budget leaves of the scripts: the lines that name what attacks are made of.
    fn plain(pieces: &'a [Piece]) -> Vec<Part<'a>> {
        let mut room = MAX_PLAIN;
        let mut parts = Vec::new();
        for piece in pieces {
            let Content::Script { language, text } = &piece.content else { continue };
            let Some(lines) = script::telling_lines(text) else { continue };
            let Some(left) = room.checked_sub(1) else { break };
            room = left;
            let language = match language {
                Language::PowerShell | Language::Batch => *language,
                _ => Language::Shell,
            };
            let script = script::scan(language, &lines);
            parts.push(Part { segments: vec![(0, &piece.path)], script });
        }
        parts
    }

    /// Files without a `#!` line that some script runs.
    fn run_files(
        pieces: &'a [Piece],
        parts: &[Part<'_>],
        flow: &Flow,
        known: &script::Known,
        budget: &mut Budget,
    ) -> Vec<Part<'a>> {
        let mut more = Vec::new();
        for piece in pieces {
            let Content::File { target, text } = &piece.content else { continue };
            if script::is_script_file(target, text) {
                continue;
            }
            let run = flow.runs.iter().find(|run| paths::same_file(&run.path, &script::absolute(target)));
            let language = run.map(|run| {
                let command = parts.get(run.at.0).and_then(|part| part.script.commands.get(run.at.1));
                command.and_then(|command| script::language_of(&command.name)).unwrap_or(Language::Shell)
            });
            if let Some(script) =
                language.and_then(|_| script::scan_file(budget, known, target, text, language))
            {
                more.push(Part { segments: vec![(0, &piece.path)], script });
            }
        }
        more
    }

    /// Path, line, and the text of the line of an offset in a unit.
    fn locate(&self, unit: u32, offset: u32) -> (String, &str) {
        let Some(scanned) = self.script.units.get(unit as usize) else { return (self.path().to_owned(), "") };
        let line = line_at(&scanned.text, offset);
        let mut number = line_number(&scanned.text, offset);
        let outer = match scanned.carrier {
            None => {
                let at = self.segments.iter().rposition(|(start, _)| *start <= offset as usize).unwrap_or(0);
                let (start, path) = self.segments.get(at).copied().unwrap_or((0, ""));
                number -= line_number(&scanned.text, start as u32).min(number) - usize::from(number > 0);
                number = number.max(1);
                path.to_owned()
            }
            // Nesting is bounded, and a carrier always stands in an earlier unit.
            Some(carrier) => match self.script.commands.get(carrier as usize) {
                Some(command) if command.unit < unit => self.locate(command.unit, command.offset).0,
                _ => self.path().to_owned(),
            },
        };
        let mut place = outer;
        for step in [scanned.kind.label(), &format!("line {number}")] {
            if !step.is_empty() {
                if !place.is_empty() {
                    place.push_str(" > ");
                }
                place.push_str(step);
            }
        }
        (place, line)
    }
}

/// `part 1 > cloud-config > runcmd` of `part 1 > cloud-config > runcmd[3]`.
fn list_of(path: &str) -> Option<&str> {
    let (list, index) = path.strip_suffix(']')?.rsplit_once('[')?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (list.ends_with("runcmd") || list.ends_with("bootcmd"))).then_some(list)
}

/// Where a signal was seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot<'a> {
    Command(Place),
    /// A piece that is no script.
    Path(&'a str),
}

/// One signal, as seen first or weightiest.
#[derive(Debug)]
pub(super) struct Hit {
    pub id: Id,
    pub weight: u32,
    pub place: String,
    pub quote: String,
}

/// A judgement in the making.
pub(super) struct Case<'a> {
    pub trust: &'a Trust,
    pub parts: &'a [Part<'a>],
    pub flow: &'a Flow,
    pub hits: Vec<Hit>,
    pub critical: bool,
    /// Where traces were first wiped, and where something fetched was last run.
    pub wiped: Option<Place>,
    pub ran: Option<Place>,
}

impl Case<'_> {
    /// A signal at a command, with its full weight.
    fn hit(&mut self, id: Id, at: Place) {
        let weight = id.signal().weight;
        self.hit_weighing(id, weight, at);
    }

    fn hit_weighing(&mut self, id: Id, weight: u32, at: Place) {
        match id {
            Id::Def06 => self.wiped = Some(self.wiped.map_or(at, |wiped| wiped.min(at))),
            Id::Exe01 | Id::Exe02 | Id::Exe04 if weight > score::DAMPED => self.ran = self.ran.max(Some(at)),
            _ => {}
        }
        if self.is_known(id, weight) {
            return;
        }
        let Some(part) = self.parts.get(at.0) else { return };
        let (place, line) = match part.script.commands.get(at.1) {
            Some(command) => part.locate(command.unit, command.offset),
            None => (part.path().to_owned(), ""),
        };
        let quote = line.to_owned();
        self.hit_text(id, weight, place, &quote);
    }

    /// A signal in a unit's text, quoted by its first line that holds one of the needles.
    fn hit_in(&mut self, id: Id, unit: (usize, u32)) {
        self.hit_near(id, unit, &[]);
    }

    fn hit_near(&mut self, id: Id, unit: (usize, u32), needles: &[&str]) {
        let weight = id.signal().weight;
        if self.is_known(id, weight) {
            return;
        }
        let Some(part) = self.parts.get(unit.0) else { return };
        let text = part.script.units.get(unit.1 as usize).map_or("", |unit| &*unit.text);
        let found = needles.iter().find_map(|needle| text.find(needle));
        let first = text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        let (place, line) = part.locate(unit.1, found.unwrap_or(first) as u32);
        let quote = line.to_owned();
        self.hit_text(id, weight, place, &quote);
    }

    fn hit_spot(&mut self, id: Id, spot: Spot<'_>, quote: &str) {
        self.hit_spot_weighing(id, id.signal().weight, spot, quote);
    }

    fn hit_spot_weighing(&mut self, id: Id, weight: u32, spot: Spot<'_>, quote: &str) {
        match spot {
            Spot::Command(at) => self.hit_weighing(id, weight, at),
            Spot::Path(path) => self.hit_text(id, weight, path.to_owned(), quote),
        }
    }

    /// Whether the signal is there already with no less weight.
    fn is_known(&self, id: Id, weight: u32) -> bool {
        self.hits.iter().any(|hit| hit.id == id && hit.weight >= weight)
    }

    fn has(&self, id: Id) -> bool {
        self.hits.iter().any(|hit| hit.id == id)
    }

    fn hit_text(&mut self, id: Id, weight: u32, place: String, quote: &str) {
        if self.is_known(id, weight) {
            return;
        }
        self.hits.retain(|hit| hit.id != id);
        let place = text::clean(&place, 300);
        let quote = quote_of(quote);
        self.hits.push(Hit { id, weight, place, quote });
    }
}

/// A line fit to be shown.
fn quote_of(line: &str) -> String {
    // Far more than is shown, so that a secret is seen whole before it is cut.
    let end = (0..=4096.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    text::clean(&text::redact(line.get(..end).unwrap_or("")), MAX_QUOTE)
}

impl Content {
    /// Bytes of text in it.
    fn len(&self) -> usize {
        match self {
            Content::Script { text, .. } | Content::File { text, .. } => text.len(),
            Content::Setting { key, value } => key.len() + value.len(),
            Content::Include { url } => url.len(),
            Content::Undecodable { .. } | Content::Odd { .. } => 0,
        }
    }
}
