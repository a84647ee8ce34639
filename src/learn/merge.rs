//! The proposal as a change to a policy file that is there: its own lines and comments stay.

use std::fmt::Write;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser};
use similar::TextDiff;

use super::draft::{Draft, Entry};
use super::write::{item, pusher, quoted};
use crate::policy::{Listed, Policy};
use crate::text::clean;

/// Why a file could not be added to.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot add to this list as the file is laid out; add by hand:\n{lines}")]
pub struct MergeError {
    /// `images.approved.owners`
    pub key: String,
    /// What would have been added.
    pub lines: String,
}

/// A unified diff that adds what is approved and not there yet; empty where there is nothing. What a
/// person has to decide on is no part of it.
///
/// `name` is the file's name, `base` what its `text` says.
///
/// # Errors
/// Where the file's layout leaves no place to add to. Whatever is returned has been read again, and says
/// what the file said and the additions, no more.
pub fn diff(text: &str, name: &str, base: &Policy, draft: &Draft) -> Result<String, MergeError> {
    let name = clean(name, 400);
    let merged = merged(text, base, draft)?;
    if merged == text {
        return Ok(String::new());
    }
    let changes = TextDiff::from_lines(text, merged.as_str());
    Ok(changes
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string())
}

/// A list of the policy: its path, its entries, and where the policy has it.
type List<'a> = (&'a [&'a str], &'a [Entry<String>], fn(&mut Policy) -> Values<'_>);

/// The values of a list, whose entries may be bounded or not.
enum Values<'a> {
    Plain(&'a mut Vec<String>),
    Listed(&'a mut Vec<Listed>),
}

impl Values<'_> {
    fn all(&self) -> Vec<String> {
        match self {
            Values::Plain(values) => values.to_vec(),
            // A bounded entry does not say what an unbounded one would.
            Values::Listed(values) => {
                values.iter().filter(|it| !it.is_bounded()).map(ToString::to_string).collect()
            }
        }
    }

    fn push(&mut self, value: String) {
        match self {
            Values::Plain(values) => values.push(value),
            Values::Listed(values) => values.push(value.into()),
        }
    }
}

/// The file with the additions.
fn merged(text: &str, base: &Policy, draft: &Draft) -> Result<String, MergeError> {
    let mut text = text.to_owned();
    let mut expected = base.clone();
    let lists: [List<'_>; 6] = [
        (&["images", "approved", "owners"], &draft.owners, |policy| {
            Values::Listed(&mut policy.images.approved.owners)
        }),
        (&["images", "approved", "ids"], &draft.ids, |policy| {
            Values::Listed(&mut policy.images.approved.ids)
        }),
        (&["images", "approved", "azure_publishers"], &draft.azure_publishers, |policy| {
            Values::Listed(&mut policy.images.approved.azure_publishers)
        }),
        (&["images", "approved", "gcp_projects"], &draft.gcp_projects, |policy| {
            Values::Listed(&mut policy.images.approved.gcp_projects)
        }),
        (&["user_data", "trusted", "hosts"], &draft.hosts, |policy| {
            Values::Plain(&mut policy.user_data.trusted.hosts)
        }),
        (&["containers", "registries"], &draft.registries, |policy| {
            Values::Plain(&mut policy.containers.registries)
        }),
    ];
    for (path, entries, of) in lists {
        let mut list = of(&mut expected);
        let known = list.all();
        // A list that is not in the file yet has to say its default too.
        let default = of(&mut Policy::default()).all();
        let new: Vec<&Entry<String>> =
            entries.iter().filter(|entry| entry.approved && !known.contains(&entry.value)).collect();
        let implied: Vec<String> = if has(&text, path) { Vec::new() } else { default };
        for entry in &new {
            list.push(entry.value.clone());
        }
        let lines: Vec<Line> = new.iter().map(|entry| Line::of(entry, |value| quoted(value))).collect();
        if !lines.is_empty() {
            let implied = implied.iter().map(|value| Line { value: quoted(value), comment: String::new() });
            text = add(&text, path, &implied.chain(lines).collect::<Vec<_>>(), &expected)?;
        }
    }
    let new: Vec<&Entry<crate::policy::Pusher>> = draft
        .pushers
        .iter()
        .filter(|entry| entry.approved && !expected.uploads.pushers.contains(&entry.value))
        .collect();
    expected.uploads.pushers.extend(new.iter().map(|entry| entry.value.clone()));
    let lines: Vec<Line> = new.iter().map(|entry| Line::of(entry, pusher)).collect();
    if !lines.is_empty() {
        text = add(&text, &["uploads", "pushers"], &lines, &expected)?;
    }
    Ok(text)
}

/// One value to add, with what stands behind it.
struct Line {
    value: String,
    comment: String,
}

impl Line {
    fn of<T>(entry: &Entry<T>, value: impl Fn(&T) -> String) -> Self {
        let value = value(&entry.value);
        let written = item(entry, |_| String::new());
        let comment = written.split_once('#').map_or("", |(_, comment)| comment.trim()).to_owned();
        Self { value, comment }
    }
}

/// Adds values to the list at a path, and makes sure that the file says just that.
fn add(text: &str, path: &[&str], lines: &[Line], expected: &Policy) -> Result<String, MergeError> {
    let failed = || MergeError {
        key: path.join("."),
        lines: lines.iter().map(|line| format!("  - {}\n", line.value)).collect(),
    };
    let changed = edit(text, path, lines).ok_or_else(failed)?;
    let read = Policy::parse(&changed, "the merged policy").map_err(|_| failed())?;
    if read == *expected { Ok(changed) } else { Err(failed()) }
}

fn edit(text: &str, path: &[&str], lines: &[Line]) -> Option<String> {
    if let Some(node) = find(text, path) {
        return match node.kind {
            Kind::Sequence if node.flow(text) => into_flow(text, &node, lines, path.last()?),
            Kind::Sequence => into_block(text, &node, lines),
            // `ids:` with nothing behind it.
            Kind::Empty => {
                let indent = column(text, node.key?.start);
                let at = line_end(text, node.span.start);
                Some(insert(text, at, &block(lines, indent.saturating_add(2))))
            }
            _ => None,
        };
    }
    // The deepest part of the path that is there, and below it what is not.
    for known in (0..path.len()).rev() {
        let (Some(above), Some(missing)) = (path.get(..known), path.get(known..)) else { continue };
        if above.is_empty() {
            let mut text = text.to_owned();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&nested(missing, lines, 0));
            return Some(text);
        }
        let Some(node) = find(text, above) else { continue };
        return match node.kind {
            Kind::Mapping if node.flow(text) => {
                let values: Vec<&str> = lines.iter().map(|line| line.value.as_str()).collect();
                let mut inner = format!("[{}]", values.join(", "));
                for key in missing.iter().rev() {
                    inner = if *key == *missing.first()? {
                        format!("{key}: {inner}")
                    } else {
                        format!("{{{key}: {inner}}}")
                    };
                }
                let close = node.close(text)?;
                let empty = text.get(node.span.start.saturating_add(1)..close)?.trim().is_empty();
                let comma = if empty { "" } else { ", " };
                Some(insert(text, close, &format!("{comma}{inner}")))
            }
            Kind::Mapping => {
                let indent = column(text, node.span.start);
                let at = line_start(text, node.span.start);
                Some(insert(text, at, &nested(missing, lines, indent)))
            }
            Kind::Empty => {
                let indent = column(text, node.key?.start).saturating_add(2);
                let at = line_end(text, node.span.start);
                Some(insert(text, at, &nested(missing, lines, indent)))
            }
            _ => None,
        };
    }
    None
}

/// Into `[a, b]`: behind the last, the evidence in lines above.
fn into_flow(text: &str, node: &Node, lines: &[Line], key: &str) -> Option<String> {
    let close = node.close(text)?;
    let inner = text.get(node.span.start.saturating_add(1)..close)?;
    let values: Vec<&str> = lines.iter().map(|line| line.value.as_str()).collect();
    let comma = match inner.trim_end() {
        "" => "",
        inner if inner.ends_with(',') => " ",
        _ => ", ",
    };
    // Behind the last value, so that a closing bracket on its own line stays there.
    let at = node.span.start.saturating_add(1).saturating_add(inner.trim_end().len());
    let changed = insert(text, at, &format!("{comma}{}", values.join(", ")));
    let start = line_start(text, node.span.start);
    let indent = text.get(start..)?.chars().take_while(|c| *c == ' ').count();
    let mut comments = String::new();
    for line in lines.iter().filter(|line| !line.comment.is_empty()) {
        let value = clean(&line.value, 300);
        let _ = writeln!(comments, "{:indent$}# {key}: {value}: {}", "", line.comment);
    }
    Some(insert(&changed, start, &comments))
}

/// Below the last of a list that has a line for each.
fn into_block(text: &str, node: &Node, lines: &[Line]) -> Option<String> {
    let indent = column(text, node.span.start);
    // The list ends where the next thing begins; before that come comments that are not its own.
    let body = text.get(node.span.start..node.span.end)?;
    let mut last = node.span.start;
    let mut at = node.span.start;
    for line in body.split_inclusive('\n') {
        let content = line.trim_start();
        if !content.is_empty() && !content.starts_with('#') {
            last = at;
        }
        at = at.saturating_add(line.len());
    }
    let end = line_end(text, last);
    Some(insert(text, end, &block(lines, indent)))
}

fn block(lines: &[Line], indent: usize) -> String {
    let mut out = String::new();
    for line in lines {
        let comment = if line.comment.is_empty() { String::new() } else { format!("  # {}", line.comment) };
        let _ = writeln!(out, "{:indent$}- {}{comment}", "", line.value);
    }
    out
}

/// `approved:`, `ids:` and the list, each deeper than the one before.
fn nested(keys: &[&str], lines: &[Line], indent: usize) -> String {
    let mut out = String::new();
    let mut indent = indent;
    for key in keys {
        let _ = writeln!(out, "{:indent$}{key}:", "");
        indent = indent.saturating_add(2);
    }
    out.push_str(&block(lines, indent));
    out
}

fn insert(text: &str, at: usize, new: &str) -> String {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    // Below a last line without an end.
    let gap = if new.ends_with('\n') && !before.is_empty() && !before.ends_with('\n') { "\n" } else { "" };
    format!("{before}{gap}{new}{after}")
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end.saturating_add(1))
}

fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |end| at.saturating_add(end).saturating_add(1))
}

fn column(text: &str, at: usize) -> usize {
    text.get(line_start(text, at)..at).map_or(0, |before| before.chars().count())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sequence,
    Mapping,
    /// A key without a value.
    Empty,
    Other,
}

/// The value at a path.
#[derive(Debug)]
struct Node {
    kind: Kind,
    key: Option<Range<usize>>,
    /// From its first byte to where it ends; for block collections that is where the next thing begins.
    span: Range<usize>,
}

impl Node {
    /// Written with brackets.
    fn flow(&self, text: &str) -> bool {
        text.get(self.span.start..).is_some_and(|rest| rest.starts_with(['[', '{']))
    }

    /// Where its closing bracket stands.
    fn close(&self, text: &str) -> Option<usize> {
        let body = text.get(self.span.start..self.span.end)?;
        let at = body.rfind([']', '}'])?;
        Some(self.span.start.saturating_add(at))
    }
}

fn has(text: &str, path: &[&str]) -> bool {
    find(text, path).is_some_and(|node| node.kind != Kind::Empty)
}

/// A key and where it stands.
type ReadKey = (String, Range<usize>);

/// Finds the value of nested keys.
fn find(text: &str, path: &[&str]) -> Option<Node> {
    // Of every open collection: whether it is a mapping, its key that is being read, and how many keys
    // of the path it lies under.
    let mut open: Vec<(bool, Option<ReadKey>)> = Vec::new();
    let mut found: Option<(Node, usize)> = None;
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return None };
        let bytes = span.byte_range()?;
        if let (Event::Scalar(value, ..), Some((true, key @ None))) = (&event, open.last_mut()) {
            *key = Some((value.to_string(), bytes));
            continue;
        }
        let here = open.iter().all(|(mapping, key)| *mapping && key.is_some())
            && open.len() == path.len()
            && open.iter().zip(path).all(|((_, key), step)| key.as_ref().is_some_and(|(key, _)| key == step));
        let key = open.last().and_then(|(_, key)| key.as_ref()).map(|(_, bytes)| bytes.clone());
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let mapping = matches!(event, Event::MappingStart(..));
                if here && found.is_none() {
                    let kind = if mapping { Kind::Mapping } else { Kind::Sequence };
                    found = Some((Node { kind, key, span: bytes }, open.len()));
                }
                open.push((mapping, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                if let Some((node, depth)) = &mut found
                    && *depth == open.len()
                {
                    node.span.end = bytes.end.max(bytes.start);
                    return found.map(|(node, _)| node);
                }
                if let Some((true, key)) = open.last_mut() {
                    *key = None;
                }
            }
            Event::Scalar(ref value, ..) if here => {
                let kind = if value.is_empty() || value == "~" || value == "null" {
                    Kind::Empty
                } else {
                    Kind::Other
                };
                return Some(Node { kind, key, span: bytes });
            }
            Event::Scalar(..) | Event::Alias(..) => {
                if let Some((true, key)) = open.last_mut() {
                    *key = None;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "099720109477";

    fn draft() -> Draft {
        let entry =
            |value: &str| Entry::approved(value.to_owned(), "3 images, 40 launches").review("odd\nlook");
        Draft {
            owners: vec![Entry::approved("self".to_owned(), ""), entry(OWNER)],
            ids: vec![
                entry("ami-0a1b2c3d4e5f60718"),
                Entry::refused("ami-00000000000000000".to_owned(), "", "public"),
            ],
            hosts: vec![entry("artifacts.example.com")],
            registries: vec![entry("registry.example.com/team")],
            pushers: vec![Entry::approved(
                crate::policy::Pusher {
                    principal: "arn:aws:iam::111122223333:role/ci".to_owned(),
                    repositories: vec!["team/app".to_owned()],
                },
                "9 pushes",
            )],
            ..Draft::default()
        }
    }

    fn merge(text: &str) -> String {
        let base = Policy::parse(text, "policy.yaml").unwrap();
        let merged = merged(text, &base, &draft()).unwrap();
        let read = Policy::parse(&merged, "merged").unwrap();
        assert!(read.images.approved.owners.contains(&OWNER.into()), "{merged}");
        assert!(
            read.images.approved.owners.contains(&"self".into()),
            "a default that was implied stays: {merged}"
        );
        assert_eq!(read.images.approved.ids, ["ami-0a1b2c3d4e5f60718"]);
        assert_eq!(read.uploads.pushers.len(), 1);
        for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            assert!(merged.contains(line), "a comment is gone: {line}");
        }
        merged
    }

    #[test]
    fn every_layout_is_added_to() {
        for text in [
            "",
            "{}\n",
            "# mine\nimages:\n",
            "images:\n  approved:\n    # ours\n    owners: [self, amazon]   # both\n    ids: []\n",
            "images:\n  approved:\n    owners:\n      - self   # us\n      # not yet\n      # - x\n\n  max_age_days: 9\nuploads:\n",
            "images: {approved: {owners: [self], ids: []}}\ncontainers: {registries: []}\nuser_data: {trusted: {hosts: [], buckets: []}}\n",
            "images:\n  approved:\n    owners: [\n      self,\n      amazon,\n    ]\nnotify: {minimum_severity: low}",
            "uploads:\n  pushers: []\n  schedules:\n  - days: [mon]\n    hours: \"08:00-20:00\"\n",
            include_str!("../../policy.yaml"),
        ] {
            if text == "{}\n" {
                let base = Policy::parse(text, "policy.yaml").unwrap();
                // Nothing can be put behind an empty document in one line; it is said.
                assert!(merged(text, &base, &draft()).is_err());
                continue;
            }
            let once = merge(text);
            let base = Policy::parse(&once, "once").unwrap();
            assert_eq!(diff(&once, "policy.yaml", &base, &draft()).unwrap(), "", "twice adds nothing");
        }
    }

    #[test]
    fn the_diff_adds_and_takes_little_away() {
        let text = include_str!("../../policy.yaml");
        let diff = diff(text, "policy.yaml", &Policy::parse(text, "x").unwrap(), &draft()).unwrap();
        assert!(diff.starts_with("--- a/policy.yaml\n+++ b/policy.yaml\n@@ "), "{diff}");
        assert!(diff.contains(&format!("+    owners: [self, amazon, \"{OWNER}\"]")), "{diff}");
        assert!(!diff.contains("ami-00000000000000000"), "what is not approved is no part of it");
        let taken = diff.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).count();
        assert!(taken <= 5, "{diff}");
    }
}
