//! Expressions of a template, worked out as far as they are made of literals.
//!
//! Values that only the instance knows stand as a shell's variable, `$v1_region`: whatever reads the text
//! then knows that it does not know. Work is counted, so that no template costs more than its length.

use std::collections::HashMap;

use super::filter::formatted;
use super::token::{Token, tokens};

/// How deep expressions may nest.
const DEEPEST: usize = 48;
/// The longest text or list that one operation may make.
pub(super) const LONGEST: usize = 64 << 10;

/// What an expression is worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    /// Known on the instance only; its name, dots and all.
    Unknown(String),
}

impl Value {
    /// What it is rendered as.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => if *truth { "True" } else { "False" }.to_owned(),
            Self::List(values) => values.iter().map(Self::text).collect::<Vec<_>>().join(", "),
            Self::Map(entries) => {
                entries.iter().map(|(_, value)| value.text()).collect::<Vec<_>>().join(", ")
            }
            Self::Unknown(name) => format!("${{{}}}", name_of(name)),
        }
    }

    /// The entries that a loop sees; `None` where they are not known.
    pub(super) fn entries(&self) -> Option<Vec<Value>> {
        Some(match self {
            Self::List(values) => values.clone(),
            Self::Text(text) => text.chars().take(LONGEST).map(|c| Self::Text(c.to_string())).collect(),
            Self::Map(entries) => entries.iter().map(|(key, _)| Self::Text(key.clone())).collect(),
            _ => return None,
        })
    }

    /// Whether a condition holds; `None` where that is not known.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0,
            Self::Truth(truth) => *truth,
            Self::List(values) => !values.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Unknown(_) => return None,
        })
    }
}

/// What is known while a template is read.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub variables: HashMap<String, Value>,
    /// Steps that may still be made.
    pub steps: usize,
    /// Text was put together from literals.
    pub built: bool,
    /// Something is known on the instance only, or was not understood.
    pub unknown: bool,
}

impl Scope {
    fn step(&mut self, cost: usize) -> bool {
        self.steps = self.steps.saturating_sub(cost + 1);
        self.unknown |= self.steps == 0;
        self.steps > 0
    }

    /// Works an expression out. What is not understood is unknown, with its literals as text.
    pub(super) fn evaluate(&mut self, text: &str) -> Value {
        let tokens = tokens(text);
        let mut reader = Reader { scope: self, tokens: &tokens, at: 0, depth: 0 };
        let value = reader.ternary();
        let rest = reader.at < tokens.len();
        match value {
            Some(value) if !rest => value,
            _ => {
                self.unknown = true;
                let literals: Vec<&str> = tokens
                    .iter()
                    .filter_map(|token| match token {
                        Token::Text(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect();
                self.built |= !literals.is_empty();
                match literals.is_empty() {
                    true => Value::Unknown(name_of(text)),
                    false => Value::Text(literals.join(" ")),
                }
            }
        }
    }
}

/// A shell's name for an expression: `v1_region` for `v1.region | lower`.
pub(super) fn name_of(text: &str) -> String {
    let head = text.split(['|', '(', '[', ' ']).find(|part| !part.is_empty()).unwrap_or_default();
    let name: String =
        head.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { "template".to_owned() }
}

/// A reader of one expression: `None` where it is not understood.
pub(super) struct Reader<'a> {
    pub scope: &'a mut Scope,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Option<String> {
        let Some(Token::Name(name)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        Some(name.clone())
    }

    /// `a if b else c`: both values where the condition is not known.
    fn ternary(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST || !self.scope.step(0) {
            return None;
        }
        let value = self.alternatives()?;
        let value = if self.word("if") {
            let condition = self.alternatives()?.truth();
            let other = if self.word("else") { self.ternary()? } else { Value::Text(String::new()) };
            match condition {
                Some(true) => value,
                Some(false) => other,
                None => {
                    self.scope.unknown = true;
                    Value::Text(format!("{} {}", value.text(), other.text()).trim().to_owned())
                }
            }
        } else {
            value
        };
        self.depth -= 1;
        Some(value)
    }

    /// `or`, `and`, `not` and comparisons.
    fn alternatives(&mut self) -> Option<Value> {
        if self.word("not") {
            let value = self.alternatives()?;
            return Some(value.truth().map_or(value, |truth| Value::Truth(!truth)));
        }
        let mut value = self.joined()?;
        loop {
            if self.word("or") {
                let other = self.joined()?;
                value = if value.truth() == Some(true) { value } else { other };
            } else if self.word("and") {
                let other = self.joined()?;
                value = if value.truth() == Some(false) { value } else { other };
            } else if self.word("is") || self.word("in") || self.word("not") {
                // A test: `x is defined`.
                self.word("in");
                self.word("not");
                self.joined()?;
                value = Value::Unknown("test".to_owned());
            } else if let Some(sign) =
                ["==", "!=", "<=", ">=", "<", ">"].iter().find(|sign| self.sign(sign)).copied()
            {
                let other = self.joined()?;
                let known = value.truth().is_some() && other.truth().is_some();
                value = match sign {
                    "==" if known => Value::Truth(value == other),
                    "!=" if known => Value::Truth(value != other),
                    _ => Value::Unknown("test".to_owned()),
                };
            } else {
                return Some(value);
            }
        }
    }

    /// `~`, `+`, `-`, `*`, `/` and `%`.
    fn joined(&mut self) -> Option<Value> {
        let mut value = self.postfix()?;
        loop {
            let Some(sign) =
                ["~", "+", "-", "*", "//", "/", "%"].iter().find(|sign| self.sign(sign)).copied()
            else {
                return Some(value);
            };
            let other = self.postfix()?;
            value = match (sign, value, other) {
                ("+", Value::Number(a), Value::Number(b)) => Value::Number(a.wrapping_add(b)),
                ("-", Value::Number(a), Value::Number(b)) => Value::Number(a.wrapping_sub(b)),
                ("*", Value::Number(a), Value::Number(b)) => Value::Number(a.wrapping_mul(b)),
                ("+", Value::List(mut a), Value::List(b)) => {
                    a.extend(b);
                    Value::List(a)
                }
                ("*", Value::Text(text), Value::Number(times)) => {
                    let times = usize::try_from(times).unwrap_or(0);
                    self.made(text.repeat(times.min(LONGEST / text.len().max(1))))?
                }
                ("%", Value::Text(text), other) => {
                    let values = if let Value::List(values) = other { values } else { vec![other] };
                    let text = formatted(&text, &values);
                    self.made(text)?
                }
                ("~" | "+", a, b) => {
                    let text = a.text() + &b.text();
                    self.made(text)?
                }
                (_, a, _) => a,
            };
        }
    }

    /// A text that an operation made.
    pub(super) fn made(&mut self, text: String) -> Option<Value> {
        self.scope.built = true;
        if text.len() > LONGEST || !self.scope.step(text.len()) {
            return None;
        }
        Some(Value::Text(text))
    }

    /// A primary with what follows: `.name`, `[...]`, `(...)`, `|filter`.
    fn postfix(&mut self) -> Option<Value> {
        let mut value = self.primary()?;
        loop {
            if !self.scope.step(0) {
                return None;
            }
            if self.sign(".") {
                let name = self.name()?;
                value = match value {
                    Value::Unknown(path) => self.variable(&format!("{path}.{name}")),
                    Value::Map(entries) => {
                        entries.into_iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)?
                    }
                    other if self.sign("(") => {
                        let arguments = self.arguments(")")?;
                        self.apply(&name, other, arguments, true)?
                    }
                    _ => return None,
                };
            } else if self.sign("[") {
                value = self.subscript(value)?;
            } else if self.sign("(") {
                let arguments = self.arguments(")")?;
                value = match value {
                    Value::Unknown(name) if name == "range" => match arguments.last() {
                        Some(Value::Number(end)) => {
                            Value::List((0..(*end).clamp(0, 256)).map(Value::Number).collect())
                        }
                        _ => Value::Unknown(name),
                    },
                    other => other,
                };
            } else if self.sign("|") {
                let name = self.name()?;
                let arguments = if self.sign("(") { self.arguments(")")? } else { Vec::new() };
                value = self.apply(&name, value, arguments, false)?;
            } else {
                return Some(value);
            }
        }
    }

    fn variable(&mut self, name: &str) -> Value {
        self.scope.variables.get(name).cloned().unwrap_or_else(|| Value::Unknown(name.to_owned()))
    }

    fn primary(&mut self) -> Option<Value> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        Some(match token {
            Token::Text(mut text) => {
                // Literals side by side are one.
                while let Some(Token::Text(more)) = self.tokens.get(self.at) {
                    text.push_str(more);
                    self.scope.built = true;
                    self.at += 1;
                }
                if !self.scope.step(text.len()) {
                    return None;
                }
                Value::Text(text)
            }
            Token::Number(number) => Value::Number(number),
            Token::Name(name) => match name.as_str() {
                "true" | "True" => Value::Truth(true),
                "false" | "False" | "none" | "None" => Value::Truth(false),
                _ => {
                    let value = self.variable(&name);
                    if !self.scope.step(value.text().len()) {
                        return None;
                    }
                    value
                }
            },
            Token::Sign("(") => {
                let mut values = self.arguments(")")?;
                // `(a)` is a value, `(a, b)` a list.
                if values.len() == 1 { values.pop()? } else { Value::List(values) }
            }
            Token::Sign("[") => Value::List(self.arguments("]")?),
            Token::Sign("{") => self.map()?,
            Token::Sign("-") => match self.postfix()? {
                Value::Number(number) => Value::Number(number.wrapping_neg()),
                other => other,
            },
            Token::Sign(_) => return None,
        })
    }

    /// Values up to a closing sign; names of arguments are left out.
    fn arguments(&mut self, close: &str) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        while !self.sign(close) {
            if matches!(self.tokens.get(self.at + 1), Some(Token::Sign("="))) {
                self.at += 2;
            }
            values.push(self.ternary()?);
            if !self.sign(",")
                && !matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == close)
            {
                return None;
            }
        }
        Some(values)
    }

    fn map(&mut self) -> Option<Value> {
        let mut entries = Vec::new();
        while !self.sign("}") {
            let key = self.ternary()?.text();
            if !self.sign(":") {
                return None;
            }
            entries.push((key, self.ternary()?));
            self.sign(",");
        }
        Some(Value::Map(entries))
    }

    /// `[1]`, `['key']`, `[::-1]`, `[a:b]`.
    fn subscript(&mut self, value: Value) -> Option<Value> {
        let mut bounds: [Option<i64>; 3] = [None; 3];
        let (mut part, mut key) = (0, None);
        while !self.sign("]") {
            if self.sign(":") {
                part += 1;
                continue;
            }
            let index = self.ternary()?;
            if let (Value::Number(number), Some(bound)) = (&index, bounds.get_mut(part)) {
                *bound = Some(*number);
            }
            key = Some(index);
        }
        if let Value::Unknown(name) = &value {
            let key = key.map(|key| key.text()).unwrap_or_default();
            return Some(self.variable(&format!("{name}.{key}")));
        }
        if part == 0 {
            let key = key?;
            return match (value, key) {
                (Value::Map(entries), key) => {
                    let key = key.text();
                    entries.into_iter().rev().find(|(name, _)| *name == key).map(|(_, value)| value)
                }
                (value, Value::Number(index)) => {
                    let values = value.entries()?;
                    let index = if index < 0 {
                        values.len().checked_sub(index.unsigned_abs() as usize)?
                    } else {
                        index as usize
                    };
                    values.into_iter().nth(index)
                }
                _ => None,
            };
        }
        let values = value.entries()?;
        let [from, to, step] = bounds;
        let length = i64::try_from(values.len()).ok()?;
        let place =
            |bound: i64| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(0, length);
        let step = step.unwrap_or(1);
        let mut kept: Vec<Value> = if step < 0 {
            let from = from.map_or(length, |from| place(from).saturating_add(1).min(length));
            let to = to.map_or(0, |to| place(to).saturating_add(1));
            let chosen = values.get(to as usize..from as usize).unwrap_or_default();
            chosen.iter().rev().cloned().collect()
        } else {
            let (from, to) = (from.map_or(0, place), to.map_or(length, place));
            values.get(from as usize..to as usize).unwrap_or_default().to_vec()
        };
        let stride = usize::try_from(step.unsigned_abs()).unwrap_or(1).max(1);
        kept = kept.into_iter().step_by(stride).collect();
        if matches!(value, Value::Text(_)) {
            let text = kept.iter().map(Value::text).collect();
            return self.made(text);
        }
        Some(Value::List(kept))
    }
}
