//! Reading the policy file, and writing the effective one.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use serde_saphyr::{MergeKeyPolicy, Options};

use super::error::{self, PolicyError, Problem};
use super::locate::{self, Target};
use super::repair::Tree;
use super::{Policy, check};
use crate::detection::REGISTRY;

/// The longest policy that is read, in bytes. A thousand times what a long one needs.
const LONGEST: usize = 1 << 20;

/// How many mistakes are told at once; more than these nobody reads.
const TOLD: usize = 25;

/// Files up to so many bytes are read again for further mistakes.
const REREAD: usize = 1 << 18;

/// The policy that is compiled in: the shipped file.
pub const BUNDLED: &str = include_str!("../../policy.yaml");

/// A test reads the shipped file, and proves that it says what the defaults say.
static SHIPPED: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(BUNDLED, "policy.yaml").unwrap_or_default());

impl Policy {
    /// Reads a policy. `name` is the file's name or URI, for messages.
    ///
    /// # Errors
    /// Says everything that is wrong, with line and column, and what to do about it.
    pub fn parse(text: &str, name: &str) -> Result<Policy, PolicyError> {
        let known: Vec<&str> = REGISTRY.iter().map(|detection| detection.id).collect();
        parse_with(text, name, &known)
    }

    /// The policy that is compiled in, read once: what holds where no other is given, or the given one
    /// cannot be loaded.
    pub fn bundled() -> &'static Policy {
        &SHIPPED
    }

    /// The whole policy as YAML with every default filled in; [`Policy::parse`] gives it back equal.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        // Writing to a string has nothing to fail at; were it to, the reader sees why.
        serde_saphyr::to_string_with_options(self, options)
            .unwrap_or_else(|error| format!("# the policy cannot be written: {error}\n"))
    }
}

/// Reads a policy from a file; the name may carry a `file:` or `file://` prefix.
///
/// # Errors
/// As [`Policy::parse`], and where the file cannot be read.
pub fn load_file(path: &Path) -> Result<Policy, PolicyError> {
    load_with_text(path).map(|(policy, _)| policy)
}

/// As [`load_file`], with the file's text for whoever shows it or adds to it.
///
/// # Errors
/// As [`load_file`].
pub fn load_with_text(path: &Path) -> Result<(Policy, String), PolicyError> {
    let path = path
        .to_str()
        .and_then(|text| text.strip_prefix("file:"))
        .map_or(path, |rest| Path::new(rest.strip_prefix("//").unwrap_or(rest)));
    let name = path.display().to_string();
    let unreadable = |source| PolicyError::Unreadable { name: name.clone(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than is allowed tells a long file from one that just fits.
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| PolicyError::NotText { name: name.clone() })?;
    Ok((Policy::parse(&text, &name)?, text))
}

/// Reads a policy that may name these detections.
pub(super) fn parse_with(text: &str, name: &str, known: &[&str]) -> Result<Policy, PolicyError> {
    if text.len() > LONGEST {
        return Err(PolicyError::TooLong { name: name.to_owned(), longest: LONGEST });
    }
    match read(text) {
        Ok(policy) => {
            let problems = meaning(&policy, text, known);
            if problems.is_empty() { Ok(policy) } else { Err(PolicyError::invalid(name, text, problems)) }
        }
        Err(problem) => Err(PolicyError::invalid(name, text, every_mistake(text, problem, known))),
    }
}

/// Reads the types; nothing but comments is the default.
fn read(text: &str) -> Result<Policy, serde_saphyr::Error> {
    let policy: Option<Policy> = serde_saphyr::from_str_with_options(text, options())?;
    Ok(policy.unwrap_or_default())
}

/// Values that can never match, or would match everything.
fn meaning(policy: &Policy, text: &str, known: &[&str]) -> Vec<Problem> {
    let mut complaints = check::complaints(policy, known);
    complaints.truncate(TOLD);
    let targets: Vec<Target<'_>> = complaints
        .iter()
        .map(|complaint| Target { path: &complaint.path, at_key: complaint.at_key })
        .collect();
    let places = locate::bytes_of(text, &targets);
    complaints
        .iter()
        .zip(places)
        .map(|(complaint, bytes)| Problem {
            bytes,
            place: locate::written(&complaint.path),
            message: complaint.message.clone(),
            help: complaint.help.clone(),
        })
        .collect()
}

/// The first mistake of the reader, and everything else that is wrong: what could not be read is taken out, and
/// the rest is read again.
fn every_mistake(text: &str, first: serde_saphyr::Error, known: &[&str]) -> Vec<Problem> {
    let mut problems = vec![error::from_yaml(&first, text)];
    let rounds = if text.len() > REREAD { 0 } else { TOLD.saturating_mul(2) };
    let Some(mut tree) = Tree::read(text).filter(|_| rounds > 0) else { return problems };
    for round in 0..rounds {
        let written = tree.written();
        let error = match read(&written.text) {
            Err(error) => error,
            Ok(policy) => {
                for problem in meaning(&policy, &written.text, known) {
                    let node = problem.bytes.as_ref().and_then(|bytes| written.node_at(bytes.start));
                    if node.is_some_and(|node| !tree.is_changed(node)) {
                        problems.push(in_file(text, &tree, node, problem));
                    }
                }
                break;
            }
        };
        let problem = error::from_yaml(&error, &written.text);
        let Some(node) = problem.bytes.as_ref().and_then(|bytes| written.node_at(bytes.start)) else { break };
        // An entry lacks a key because it was taken out: something readable stands in for it.
        if let serde_saphyr::Error::SerdeMissingField { field, .. } = &error
            && tree.restore(node, field)
        {
            continue;
        }
        // The first one is told already.
        if round > 0 && !tree.is_changed(node) {
            problems.push(in_file(text, &tree, Some(node), problem));
        }
        if problems.len() >= TOLD || !tree.take(node) {
            break;
        }
    }
    problems.sort_by_key(|problem| problem.bytes.as_ref().map(|bytes| bytes.start));
    problems.truncate(TOLD);
    problems
}

/// A problem of what was written again, at its place in the file.
fn in_file(text: &str, tree: &Tree, node: Option<usize>, problem: Problem) -> Problem {
    let bytes = node.and_then(|node| tree.bytes(node));
    let path = bytes.as_ref().and_then(|bytes| locate::path_at(text, bytes.start));
    let place = path.map_or_else(|| problem.place.clone(), |path| locate::written(&path));
    Problem { bytes, place, ..problem }
}

/// Strict where YAML is loose, and bounded: a policy may come from a bucket or a parameter.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        emit_comments: false,
        // An account id may begin with a zero.
        leading_zero_numbers_as_strings: true,
        // Pictures of the source are drawn by miette at the edge.
        with_snippet: false,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 200_000,
            max_events: 400_000,
            max_aliases: 1_000,
            max_documents: 2,
        },
    }
}
