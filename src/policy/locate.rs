//! Where in the text a value of the policy stands.
//!
//! Types know values, not places; what is wrong with a value after it was read is found again here by
//! its path. One pass over the parser's events, no tree, no recursion.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser};

/// One step from the root: a mapping's key, or a list's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

/// The path as people write it: `images.approved.owners[1]`.
pub(super) fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// A collection that is being read.
enum Open {
    /// The key whose value comes next, once it was read.
    Mapping(Option<String>),
    Sequence(usize),
}

/// Calls `visit` with every scalar, alias and collection start: path, bytes, and whether it is a key.
fn walk(text: &str, mut visit: impl FnMut(&[Step], Range<usize>, bool)) {
    let mut open: Vec<Open> = Vec::new();
    let mut path: Vec<Step> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return };
        let bytes = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(value, ..) => {
                if let Some(Open::Mapping(key @ None)) = open.last_mut() {
                    path.push(Step::Key(value.to_string()));
                    *key = Some(value.into_owned());
                    visit(&path, bytes, true);
                    continue;
                }
                enter(&open, &mut path);
                visit(&path, bytes, false);
                leave(&mut open, &mut path);
            }
            Event::Alias(_) => {
                if let Some(Open::Mapping(key @ None)) = open.last_mut() {
                    path.push(Step::Key(String::new()));
                    *key = Some(String::new());
                    continue;
                }
                enter(&open, &mut path);
                visit(&path, bytes, false);
                leave(&mut open, &mut path);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                // A collection as a key: nothing of ours, and the path need only stay balanced.
                if let Some(Open::Mapping(key @ None)) = open.last_mut() {
                    *key = Some(String::new());
                    path.push(Step::Key(String::new()));
                }
                enter(&open, &mut path);
                visit(&path, bytes, false);
                open.push(match event {
                    Event::SequenceStart(..) => Open::Sequence(0),
                    _ => Open::Mapping(None),
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                leave(&mut open, &mut path);
            }
            _ => {}
        }
    }
}

/// A value begins: in a list it gets its index; in a mapping its key is on the path already.
fn enter(open: &[Open], path: &mut Vec<Step>) {
    if let Some(Open::Sequence(index)) = open.last() {
        path.push(Step::Index(*index));
    }
}

/// A value is over.
fn leave(open: &mut [Open], path: &mut Vec<Step>) {
    match open.last_mut() {
        Some(Open::Sequence(index)) => {
            *index += 1;
            path.pop();
        }
        Some(Open::Mapping(key)) => {
            *key = None;
            path.pop();
        }
        None => {}
    }
}

/// What to find: a path, and whether its key is meant rather than its value.
pub(super) struct Target<'a> {
    pub path: &'a [Step],
    pub at_key: bool,
}

/// The bytes of each target, in one pass. Where a value itself was written elsewhere (aliases, merge
/// keys), the nearest thing above it that stands in the text.
pub(super) fn bytes_of(text: &str, targets: &[Target<'_>]) -> Vec<Option<Range<usize>>> {
    let mut best: Vec<Option<(usize, bool, Range<usize>)>> = vec![None; targets.len()];
    walk(text, |here, bytes, is_key| {
        for (target, best) in targets.iter().zip(&mut best) {
            if !target.path.starts_with(here) {
                continue;
            }
            let whole = here.len() == target.path.len();
            // Above the target, the key says more than an opening brace.
            let wanted = is_key == (!whole || target.at_key);
            let better = best.as_ref().is_none_or(|(depth, was_wanted, _)| {
                here.len() > *depth || (here.len() == *depth && wanted && !was_wanted)
            });
            if better {
                *best = Some((here.len(), wanted, bytes.clone()));
            }
        }
    });
    best.into_iter().map(|best| best.map(|(_, _, bytes)| bytes)).collect()
}

/// The path of what stands at a byte, as far as the text could be read.
pub(super) fn path_at(text: &str, byte: usize) -> Option<Vec<Step>> {
    let mut best = None;
    walk(text, |here, bytes, _| {
        if bytes.start == byte {
            best = Some(here.to_vec());
        }
    });
    best
}
