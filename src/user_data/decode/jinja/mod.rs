//! `## template: jinja`: rendered as far as the template alone says what comes out.
//!
//! Literals, what is put together from them, constant conditions and loops are worked out as Jinja2 does,
//! within a budget of steps ([`expr`]). Of a condition that only the instance knows, every branch is read.
//! A value that only the instance knows stands as a variable of the shell. Both that text is put together
//! and that something is not known is said: what was not rendered is not clean.

mod expr;
mod filter;
mod lexer;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;

use super::sniff::Format;
use super::{At, Decoder, Kind, Layer, bytes, sniff};
use crate::user_data::Odd;
use expr::{Scope, Value};
use lexer::Token;

/// How deep blocks may nest.
const DEEPEST: usize = 32;

/// Decodes a template; `declared` is the content type its MIME part gave, which the result then has.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str, declared: Option<&str>) -> Layer {
    let mut layer = Layer::leaf(Kind::Jinja, at, text.len());
    let start = text.trim_start_matches(bytes::is_lead);
    let lines_before = text.len() - start.len();
    let body = if sniff::starts_with(start, "## template:") {
        start.find('\n').and_then(|end| start.get(end..)).unwrap_or_default()
    } else {
        start
    };
    // Blank lines and the header's own line stay, as empty ones, so lines keep their numbers.
    let before = "\n".repeat(text.get(..lines_before).unwrap_or_default().matches('\n').count());
    let rendered = render(body, Branch::First);
    // Where branches stand within a line, the other one is read as a text of its own.
    let other = rendered.within_line.then(|| render(body, Branch::Last).text);
    if let Some(expression) = rendered.built {
        decoder.odd(at, Odd::BuiltText, &expression);
    }
    if let Some(expression) = rendered.unknown {
        decoder.odd(at, Odd::Unrendered, &expression);
    }
    let declared = declared.filter(|declared| sniff::declared(declared) != Some(Format::Jinja));
    for text in std::iter::once(rendered.text).chain(other) {
        let text = format!("{before}{text}");
        let child = decoder.layer(&at.deeper("jinja"), text.as_bytes(), declared);
        layer.children.push(child);
    }
    layer
}

/// Which branch of a condition is taken that only the instance knows, where both stand within a line.
/// Branches of whole lines are all read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    First,
    Last,
}

/// What comes out of a template.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub text: String,
    /// The first expression that puts text together from literals.
    pub built: Option<String>,
    /// The first expression whose value only the instance knows.
    pub unknown: Option<String>,
    /// A condition that is not known has branches within a line.
    pub within_line: bool,
}

/// Renders a template.
pub(super) fn render(text: &str, branch: Branch) -> Rendered {
    // Jinja2 takes every line break for LF.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let tokens = lexer::tokens(&text);
    let steps = text.len().saturating_mul(4).saturating_add(100_000);
    let mut template = Template {
        tokens: &tokens,
        branch,
        scope: Scope { steps, ..Scope::default() },
        macros: HashMap::new(),
        // What literals may make of it: plenty for any honest template.
        most: text.len() + (64 << 10),
        out: String::with_capacity(text.len()),
        rendered: Rendered::default(),
    };
    let mut at = 0;
    while at < tokens.len() {
        // An end of a block that was never begun is passed over.
        at = template.block(at, true, 0) + 1;
    }
    Rendered { text: template.out, ..template.rendered }
}

struct Template<'a> {
    tokens: &'a [Token<'a>],
    branch: Branch,
    scope: Scope,
    /// Names of parameters, and where the body begins.
    macros: HashMap<String, (Vec<String>, usize)>,
    most: usize,
    out: String,
    rendered: Rendered,
}

impl Template<'_> {
    /// Renders, or only passes over, tokens up to the end of the block that is open; says where that is.
    fn block(&mut self, from: usize, show: bool, depth: usize) -> usize {
        let mut at = from;
        while let Some(token) = self.tokens.get(at) {
            self.scope.steps = self.scope.steps.saturating_sub(1);
            match *token {
                Token::Text(text) if show => self.put(text),
                Token::Text(_) => {}
                Token::Output(expression) if show => self.output(at, expression, depth),
                Token::Output(_) => {}
                Token::Statement(statement) => {
                    let (word, rest) = statement.split_once([' ', '\t', '\n']).unwrap_or((statement, ""));
                    if word.starts_with("end") || matches!(word, "else" | "elif") {
                        return at;
                    }
                    if depth < DEEPEST {
                        at = self.statement(at, word, rest.trim(), show, depth + 1);
                    }
                }
            }
            at += 1;
        }
        at
    }

    fn put(&mut self, text: &str) {
        let room = self.most.saturating_sub(self.out.len());
        self.out.push_str(bytes::head(text, room));
        self.scope.steps = self.scope.steps.saturating_sub(text.len());
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        self.scope.built = false;
        self.scope.unknown = false;
        self.scope.steps = self.scope.steps.saturating_sub(expression.len());
        let value = self.scope.evaluate(expression);
        let quote = || bytes::head(expression, 160).to_owned();
        if self.scope.built {
            self.rendered.built.get_or_insert_with(quote);
        }
        if self.scope.unknown || matches!(value, Value::Unknown(_)) {
            self.rendered.unknown.get_or_insert_with(quote);
        }
        value
    }

    fn output(&mut self, at: usize, expression: &str, depth: usize) {
        let call = expression.strip_suffix(')').and_then(|call| call.split_once('('));
        if let Some((name, arguments)) = call
            && let Some((parameters, body)) = self.macros.get(name.trim()).cloned()
            && depth < DEEPEST
            && self.scope.steps > 0
        {
            let arguments = self.evaluate(&format!("[{arguments}]")).entries().unwrap_or_default();
            self.rendered.built.get_or_insert_with(|| bytes::head(expression, 160).to_owned());
            let missing = Value::Text(String::new());
            for (index, parameter) in parameters.into_iter().enumerate() {
                self.scope.variables.insert(parameter, arguments.get(index).unwrap_or(&missing).clone());
            }
            self.block(body, true, depth + 1);
            return;
        }
        let value = self.evaluate(expression);
        let name_goes_on = matches!(
            self.tokens.get(at + 1),
            Some(Token::Text(text)) if text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        );
        match value {
            Value::Unknown(name) if !name_goes_on => self.put(&format!("${}", expr::name_of(&name))),
            value => self.put(&value.text()),
        }
    }

    /// A statement, with the block that it opens; says at which token it ends.
    fn statement(&mut self, at: usize, word: &str, rest: &str, show: bool, depth: usize) -> usize {
        match word {
            "if" => self.condition(at, rest, show, depth),
            "for" => self.each(at, rest, show, depth),
            "macro" => {
                let (name, parameters) = rest.split_once('(').unwrap_or((rest, ""));
                let parameters = parameters.trim_end_matches(')').split(',');
                let parameters = parameters
                    .map(|parameter| parameter.split('=').next().unwrap_or_default().trim().to_owned())
                    .take(32)
                    .collect();
                if self.macros.len() < 256 {
                    self.macros.insert(name.trim().to_owned(), (parameters, at + 1));
                }
                self.block(at + 1, false, depth)
            }
            "set" => match rest.split_once('=') {
                Some((names, value)) => {
                    if show {
                        self.set(names.trim(), value.trim());
                    }
                    at
                }
                None => {
                    let (text, end) = self.aside(at, show, depth);
                    self.assign(rest, Value::Text(text));
                    end
                }
            },
            "filter" => {
                let (text, end) = self.aside(at, show, depth);
                if show {
                    self.scope.variables.insert("filtered_".to_owned(), Value::Text(text));
                    let value = self.evaluate(&format!("filtered_|{rest}"));
                    self.put(&value.text());
                }
                end
            }
            "with" => {
                for assignment in rest.split(',').take(32) {
                    if let Some((name, value)) = assignment.split_once('=')
                        && show
                    {
                        let value = self.evaluate(value);
                        self.assign(name, value);
                    }
                }
                self.block(at + 1, show, depth)
            }
            "do" => {
                if show {
                    self.call(rest);
                }
                at
            }
            "block" | "call" | "autoescape" | "trans" => self.block(at + 1, show, depth),
            _ => at,
        }
    }

    /// `set a = ...`, `set a, b = ..., ...` and `set a = namespace(b=...)`.
    fn set(&mut self, names: &str, value: &str) {
        let entries = value.strip_prefix("namespace(").and_then(|rest| rest.strip_suffix(')'));
        if let Some(entries) = entries {
            for (name, value) in entries.split(',').filter_map(|entry| entry.split_once('=')).take(64) {
                let value = self.evaluate(value);
                self.assign(&format!("{names}.{}", name.trim()), value);
            }
            return;
        }
        let value = match names.contains(',') {
            true => self.evaluate(&format!("[{value}]")),
            false => self.evaluate(value),
        };
        let value = match value {
            Value::List(mut values) if names.contains(',') && values.len() == 1 => {
                values.pop().unwrap_or(Value::Truth(false))
            }
            value => value,
        };
        self.assign(names, value);
    }

    fn assign(&mut self, names: &str, value: Value) {
        let names: Vec<&str> = names.split(',').map(str::trim).take(16).collect();
        if self.scope.variables.len() > 4096 {
            return;
        }
        if let [name] = names.as_slice() {
            self.scope.variables.insert((*name).to_owned(), value);
            return;
        }
        let mut values = value.entries().unwrap_or_default().into_iter();
        for name in names {
            let value = values.next().unwrap_or_else(|| Value::Unknown(name.to_owned()));
            self.scope.variables.insert(name.to_owned(), value);
        }
    }

    /// Renders a block into a text of its own.
    fn aside(&mut self, at: usize, show: bool, depth: usize) -> (String, usize) {
        let outside = std::mem::take(&mut self.out);
        let end = self.block(at + 1, show, depth);
        (std::mem::replace(&mut self.out, outside), end)
    }

    /// `do list.append(x)`.
    fn call(&mut self, rest: &str) {
        let appended = rest.strip_suffix(')').and_then(|call| call.split_once(".append("));
        let value = match appended {
            Some((_, value)) => self.evaluate(value),
            None => self.evaluate(rest),
        };
        if let Some((name, _)) = appended
            && let Some(Value::List(values)) = self.scope.variables.get_mut(name.trim())
            && values.len() < 4096
        {
            values.push(value);
        }
    }

    fn condition(&mut self, at: usize, rest: &str, show: bool, depth: usize) -> usize {
        let mut truth = if show { self.truth(rest) } else { None };
        let mut at = at;
        let (mut done, mut shown) = (false, false);
        let start = self.out.len();
        loop {
            let mut visible = show && !done && truth != Some(false);
            if visible && shown && !self.out.ends_with('\n') {
                self.rendered.within_line = true;
                match self.branch {
                    Branch::First => visible = false,
                    Branch::Last => self.out.truncate(start),
                }
            }
            at = self.block(at + 1, visible, depth);
            shown |= visible;
            done |= visible && truth == Some(true);
            let Some(Token::Statement(statement)) = self.tokens.get(at) else { return at };
            truth = match statement.strip_prefix("elif") {
                Some(rest) if show => self.truth(rest),
                Some(_) => None,
                None if *statement == "else" => Some(true),
                None => return at,
            };
        }
    }

    /// Whether a condition holds. That one is not known hides nothing: all branches are read.
    fn truth(&mut self, condition: &str) -> Option<bool> {
        let (built, unknown) = (self.rendered.built.clone(), self.rendered.unknown.clone());
        let truth = self.evaluate(condition).truth();
        (self.rendered.built, self.rendered.unknown) = (built, unknown);
        truth
    }

    fn each(&mut self, at: usize, rest: &str, show: bool, depth: usize) -> usize {
        let (names, list) = rest.split_once(" in ").unwrap_or((rest, ""));
        let list = list.split(" if ").next().unwrap_or_default().trim_end_matches(" recursive");
        let entries = if show { self.evaluate(list).entries() } else { None };
        let entries = entries.unwrap_or_else(|| vec![Value::Unknown(names.trim().to_owned())]);
        if entries.len() > 1 {
            self.rendered.built.get_or_insert_with(|| bytes::head(rest, 160).to_owned());
        }
        let mut end = at;
        for (index, value) in entries.into_iter().enumerate() {
            if index > 0 && self.scope.steps == 0 {
                break;
            }
            self.assign(names, value);
            end = self.block(at + 1, show, depth);
        }
        if end == at {
            end = self.block(at + 1, false, depth);
        }
        // `else`: what comes for an empty list.
        while matches!(self.tokens.get(end), Some(Token::Statement("else"))) {
            end = self.block(end + 1, show, depth);
        }
        end
    }
}
