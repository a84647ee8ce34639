//! What is wrong with a policy, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde_saphyr::{Error as Yaml, Location};

use super::locate;
use super::value::nearest;

/// Why a policy cannot be used. Its `Display` is one line for logs and alerts; as a miette diagnostic
/// it shows the lines of the file.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum PolicyError {
    #[error("{name}: cannot be read: {source}")]
    #[diagnostic(help("check the path, or leave it out to use the built-in policy"))]
    Unreadable { name: String, source: std::io::Error },
    #[error("{name}: is not text in UTF-8")]
    #[diagnostic(help("save the policy as UTF-8"))]
    NotText { name: String },
    #[error("{name}: is longer than {longest} bytes")]
    #[diagnostic(help("a policy is a few kilobytes; is this the right file?"))]
    TooLong { name: String, longest: usize },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(Box<Invalid>),
}

impl PolicyError {
    pub(super) fn invalid(name: &str, text: &str, problems: Vec<Problem>) -> Self {
        let source = NamedSource::new(name, text.to_owned()).with_language("yaml");
        let wrong =
            |problem| Invalid { problem, name: name.to_owned(), source: source.clone(), others: vec![] };
        let mut problems = problems.into_iter();
        let first = problems.next().unwrap_or_else(|| Problem {
            bytes: None,
            place: String::new(),
            message: "the policy is not valid".to_owned(),
            help: String::new(),
        });
        let mut invalid = wrong(first);
        invalid.others = problems.map(wrong).collect();
        PolicyError::Invalid(Box::new(invalid))
    }

    /// Everything that is wrong, each as `policy.yaml:3:5: message; help`.
    pub fn lines(&self) -> Vec<String> {
        match self {
            PolicyError::Invalid(invalid) => {
                std::iter::once(invalid.as_ref()).chain(&invalid.others).map(Invalid::line).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

/// A policy that was read, and is wrong in at least one place.
#[derive(Debug)]
pub struct Invalid {
    problem: Problem,
    name: String,
    source: NamedSource<String>,
    others: Vec<Invalid>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands; `None` where it stands nowhere (something is missing from the whole).
    pub bytes: Option<Range<usize>>,
    /// The key: `images.approved.owners[1]`. Empty where there is none.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it. May be empty.
    pub help: String,
}

impl Invalid {
    fn line(&self) -> String {
        let help = if self.problem.help.is_empty() { "" } else { "; " };
        format!("{}{help}{}", self.headline(), self.problem.help)
    }

    fn headline(&self) -> String {
        let place = match self.position() {
            Some((line, column)) => format!("{}:{line}:{column}", self.name),
            None => self.name.clone(),
        };
        match self.problem.place.as_str() {
            "" => format!("{place}: {}", self.problem.message),
            key => format!("{place}: {key}: {}", self.problem.message),
        }
    }

    /// Line and column, counted from one; columns are characters.
    fn position(&self) -> Option<(usize, usize)> {
        let before = self.source.inner().get(..self.problem.bytes.as_ref()?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match self.others.len() {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for Invalid {}

impl Diagnostic for Invalid {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.problem.help.as_str();
        (!help.is_empty()).then(|| -> Box<dyn fmt::Display> { Box::new(help) })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let bytes = self.problem.bytes.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".to_owned()), bytes.start, bytes.len()))))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.others.is_empty() {
            return None;
        }
        Some(Box::new(self.others.iter().map(|other| other as &dyn Diagnostic)))
    }
}

/// What the YAML reader says, in the words of somebody who edits a policy.
pub(super) fn from_yaml(error: &Yaml, text: &str) -> Problem {
    let mut bytes = error.location().and_then(|location| bytes_of(location, text));
    let found = bytes.clone().and_then(|bytes| text.get(bytes)).unwrap_or_default().trim();
    let (message, help) = words(error, found);
    let mut path = bytes.as_ref().and_then(|bytes| locate::path_at(text, bytes.start)).unwrap_or_default();
    match error {
        Yaml::MultipleDocuments { .. } => path.clear(),
        // The reader points at something within the entry: the entry itself is what lacks a key.
        Yaml::SerdeMissingField { .. } => {
            path.pop();
            let entry = locate::Target { path: &path, at_key: false };
            bytes = locate::bytes_of(text, &[entry]).pop().flatten().or(bytes);
        }
        _ => {}
    }
    Problem { bytes, place: locate::written(&path), message, help }
}

/// Where a location is in the text. Those of broken syntax have a line and a column only.
fn bytes_of(location: Location, text: &str) -> Option<Range<usize>> {
    let number = |number: u64| usize::try_from(number).ok();
    let span = location.span();
    if let Some(start) = span.byte_offset().and_then(number) {
        let len = span.byte_len().and_then(number).unwrap_or(0);
        return Some(start..start.saturating_add(len).min(text.len()));
    }
    let lines_before = number(location.line())?.checked_sub(1)?;
    let line_start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    let line = text.get(line_start..)?;
    let column = number(location.column())?.checked_sub(1)?;
    let start = line_start + line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte);
    Some(start..start)
}

fn words(error: &Yaml, found: &str) -> (String, String) {
    match error {
        Yaml::WithSnippet { error, .. } | Yaml::AliasError { error, .. } => words(error, found),
        Yaml::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), choice(field, expected, "known here"))
        }
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), choice(variant, expected, "possible here"))
        }
        Yaml::SerdeMissingField { field, .. } => {
            (format!("`{field}` is missing"), format!("add `{field}:` to this entry"))
        }
        Yaml::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("the key");
            (format!("`{key}` stands here a second time"), "put everything under the first one".to_owned())
        }
        Yaml::MultipleDocuments { .. } => (
            "a second YAML document begins".to_owned(),
            "a policy is one document: remove the `---` and what follows, or join them".to_owned(),
        ),
        Yaml::InvalidBooleanStrict { .. } => {
            (format!("`{found}` is not true or false"), "write `true` or `false`".to_owned())
        }
        Yaml::InvalidScalar { ty, .. } => {
            (format!("`{found}` is no {}", kind(ty)), "write a number such as `3`, without quotes".to_owned())
        }
        Yaml::Unexpected { expected, .. } => unexpected(expected, found),
        Yaml::NullIntoString { .. } => (
            "there is nothing here, but a text is wanted".to_owned(),
            "write one, in quotes if in doubt".to_owned(),
        ),
        Yaml::UnknownAnchor { .. } => asterisk(),
        Yaml::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an alias contains itself".to_owned(), "write the values out".to_owned())
        }
        Yaml::Budget { .. }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. } => (
            "more values, nesting or aliases than a policy may have".to_owned(),
            "write it out flat; use patterns with `*` in place of long lists".to_owned(),
        ),
        other => {
            let said = other.to_string();
            // The location is told beside the message.
            let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message);
            match said.split_once("; ") {
                _ if said.contains("anchor or alias") => asterisk(),
                _ if said.contains("tab") => (said.to_owned(), "indent with spaces".to_owned()),
                Some((message, help)) => (message.to_owned(), help.to_owned()),
                None => (said.to_owned(), "is a quote, bracket or indentation amiss?".to_owned()),
            }
        }
    }
}

/// A pattern that begins with an asterisk and is not quoted is YAML's alias.
fn asterisk() -> (String, String) {
    (
        "a bare `*` is YAML's sign for an alias, and no such anchor is defined".to_owned(),
        "put patterns that begin with `*` in quotes: \"*\", \"*.example.com\"".to_owned(),
    )
}

fn unexpected(expected: &str, found: &str) -> (String, String) {
    let (wanted, help) = match expected {
        "sequence start" => ("a list", "write `[one, two]`, or one `- ` item a line; `[]` for none"),
        "mapping start" => ("a section with keys", "write `key: value` lines below, indented"),
        "string scalar" => ("a single value", "write one value, no list and no section"),
        other => (other, ""),
    };
    match found {
        "" => (
            format!("there is nothing here, but {wanted} is wanted"),
            format!("{help}{}or leave the key out for its default", if help.is_empty() { "" } else { ", " }),
        ),
        _ => (format!("{wanted} is wanted here"), help.to_owned()),
    }
}

fn kind(ty: &str) -> &'static str {
    if ty.starts_with('u') { "whole number from 0 up" } else { "valid value" }
}

fn choice(word: &str, known: &[&'static str], label: &str) -> String {
    let listed = known.join(", ");
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {label}: {listed}"),
        None => format!("{label}: {listed}"),
    }
}
