//! One tree for YAML, JSON and TOML, built from YAML's events so that a document broken half-way keeps
//! its first half, aliases cost nothing until they are followed, and scalars stay as they were written.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Tag, options};

use super::base64_text;

/// Nodes kept of one document.
const MAX_NODES: usize = 50_000;

/// Documents, as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    roots: Vec<usize>,
    /// What stopped the reading, with line and column.
    pub error: Option<Fault>,
}

/// Why a document was not read to its end.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub reason: String,
    /// It is well formed as far as it was read, and goes over a bound.
    pub bound: bool,
}

impl Fault {
    pub(super) fn broken(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), bound: false }
    }

    pub(super) fn bound(reason: &str) -> Self {
        Self { reason: reason.to_owned(), bound: true }
    }

    /// An error of a parser, which has bounds of its own.
    fn of_parser(reason: String) -> Self {
        let bound = ["nesting", "recursion", "more than"].iter().any(|word| reason.contains(word));
        Self { reason, bound }
    }
}

#[derive(Debug)]
enum Node<'a> {
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
    },
    /// `!!binary`, and the same as text.
    Binary(Vec<u8>, String),
    Seq(Vec<usize>),
    Map(Vec<(usize, usize)>),
}

/// The id of what an alias to nowhere stands for: no node has it.
const NOTHING: usize = usize::MAX;

/// A node in its tree.
#[derive(Clone, Copy)]
pub(super) struct Ref<'t> {
    tree: &'t Tree<'t>,
    id: usize,
}

impl<'a> Tree<'a> {
    /// The root of every document.
    pub(super) fn roots(&self) -> impl Iterator<Item = Ref<'_>> {
        self.roots.iter().map(|id| Ref { tree: self, id: *id })
    }

    fn push(&mut self, node: Node<'a>) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn tagged(&mut self, text: Cow<'a, str>, style: ScalarStyle, tag: Option<&Tag>) -> usize {
        let binary =
            tag.is_some_and(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("binary"));
        match binary.then(|| base64_text::tolerant(text.as_bytes())).flatten() {
            Some(bytes) => {
                let text = super::bytes::to_text_lossy(&bytes);
                self.push(Node::Binary(bytes, text))
            }
            None => self.scalar(text, style == ScalarStyle::Plain),
        }
    }

    fn scalar(&mut self, text: impl Into<Cow<'a, str>>, plain: bool) -> usize {
        self.push(Node::Scalar { text: text.into(), plain })
    }
}

impl<'t> Ref<'t> {
    fn node(self) -> Option<&'t Node<'t>> {
        self.tree.nodes.get(self.id)
    }

    /// The scalar's text; `None` for null and for what is no scalar.
    pub(super) fn text(self) -> Option<&'t str> {
        match self.node()? {
            Node::Scalar { text, plain } if !*plain || !is_null(text) => Some(text),
            Node::Binary(_, text) => Some(text),
            _ => None,
        }
    }

    /// The scalar's bytes, which for `!!binary` are not its text's.
    pub(super) fn bytes(self) -> Option<&'t [u8]> {
        match self.node()? {
            Node::Binary(bytes, _) => Some(bytes),
            _ => self.text().map(str::as_bytes),
        }
    }

    /// The entries of a list.
    pub(super) fn items(self) -> Option<impl Iterator<Item = Ref<'t>> + Clone> {
        match self.node()? {
            Node::Seq(items) => Some(items.iter().map(move |id| Ref { id: *id, ..self })),
            _ => None,
        }
    }

    /// The entries of a mapping, in order, doubles included. Keys that are no scalars have no name.
    pub(super) fn entries(self) -> Option<impl Iterator<Item = (&'t str, Ref<'t>)> + Clone> {
        match self.node()? {
            Node::Map(entries) => Some(entries.iter().map(move |(key, value)| {
                (Ref { id: *key, ..self }.text().unwrap_or_default(), Ref { id: *value, ..self })
            })),
            _ => None,
        }
    }

    /// How many entries a list or mapping has.
    pub(super) fn len(self) -> usize {
        match self.node() {
            Some(Node::Seq(items)) => items.len(),
            Some(Node::Map(entries)) => entries.len(),
            _ => 0,
        }
    }

    /// The value of a key: the last when there are several, as PyYAML and Go have it.
    pub(super) fn get(self, key: &str) -> Option<Ref<'t>> {
        let found = self.entries()?.filter(|(name, _)| *name == key).last();
        found.map(|(_, value)| value)
    }

    /// The text at a path of keys.
    pub(super) fn text_at(self, path: &[&str]) -> Option<&'t str> {
        path.iter().try_fold(self, |node, key| node.get(key))?.text()
    }

    /// The entries of a list, or the node alone.
    pub(super) fn each(self) -> Vec<Ref<'t>> {
        self.items().map_or_else(|| vec![self], Iterator::collect)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Reads YAML as PyYAML does, and on where PyYAML refuses: unknown aliases, several documents, and
/// after an error from the next line that starts an entry at the left edge.
pub(super) fn from_yaml(text: &str) -> Tree<'_> {
    const RESTARTS: usize = 16;
    let mut tree = Tree::default();
    let listed = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with(['#', '%']));
    let listed = listed.is_some_and(|line| line.starts_with("- "));
    let mut rest = text;
    for _ in 0..RESTARTS {
        let Err((line, error)) = read(&mut tree, rest) else { break };
        tree.error.get_or_insert(Fault::of_parser(format!("YAML: {error}")));
        match next_entry(rest, line, listed) {
            Some(next) => rest = next,
            None => break,
        }
    }
    tree
}

/// The text from the first line after line `line` (from 1) that starts an entry.
fn next_entry(text: &str, line: usize, listed: bool) -> Option<&str> {
    let starts = |line: &str| match line.split_once(':') {
        _ if listed => line.starts_with("- "),
        Some((key, _)) => {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        }
        None => false,
    };
    let mut at = 0;
    for (index, content) in text.split_inclusive('\n').enumerate() {
        if index >= line.max(1) && starts(content) {
            return text.get(at..);
        }
        at += content.len();
    }
    None
}

/// Reads documents into the tree; an error comes with its line.
fn read<'a>(tree: &mut Tree<'a>, text: &'a str) -> Result<(), (usize, String)> {
    let mut options =
        options! { emit_unresolved_aliases: true, flow_nesting_limit: 64, block_nesting_limit: 64 };
    options.set_emit_comments(false);
    // Open collections, innermost last, with the key that waits for its value, and what is anchored.
    let mut open: Vec<(usize, Option<usize>)> = Vec::new();
    let mut anchors: HashMap<usize, usize> = HashMap::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.to_string()))?;
        if tree.nodes.len() >= MAX_NODES {
            // The end of the text: no reading on.
            return Err((usize::MAX, format!("more than {MAX_NODES} nodes at line {}", span.start.line())));
        }
        let (id, anchor, opens) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (tree.tagged(text, style, tag.as_deref()), anchor, false)
            }
            Event::SequenceStart(_, anchor, _) => (tree.push(Node::Seq(Vec::new())), anchor, true),
            Event::MappingStart(_, anchor, _) => (tree.push(Node::Map(Vec::new())), anchor, true),
            Event::Alias(anchor) => (anchors.get(&anchor).copied().unwrap_or(NOTHING), 0, false),
            Event::UnresolvedAlias(_) => (NOTHING, 0, false),
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                continue;
            }
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, id);
        }
        match open.last_mut() {
            None => tree.roots.push(id),
            Some((parent, key)) => match (tree.nodes.get_mut(*parent), key.take()) {
                (Some(Node::Seq(items)), _) => items.push(id),
                (Some(Node::Map(entries)), Some(key)) => entries.push((key, id)),
                (Some(Node::Map(_)), None) => *key = Some(id),
                _ => {}
            },
        }
        if opens {
            open.push((id, None));
        }
    }
    Ok(())
}

/// Reads JSON; what is not quite JSON is read as YAML, of which JSON is a part.
pub(super) fn from_json(text: &str) -> Tree<'_> {
    match serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}')) {
        Ok(value) => {
            let mut tree = Tree::default();
            let root = add_json(&mut tree, value);
            tree.roots.push(root);
            tree
        }
        Err(error) => {
            let mut tree = from_yaml(text);
            if tree.error.is_some() {
                tree.error = Some(Fault::of_parser(format!("JSON: {error}")));
            }
            tree
        }
    }
}

/// serde_json nests at most 128 deep.
fn add_json(tree: &mut Tree<'_>, value: serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null => tree.scalar("null", true),
        Value::Bool(value) => tree.scalar(if value { "true" } else { "false" }, true),
        Value::Number(value) => tree.scalar(value.to_string(), true),
        Value::String(value) => tree.scalar(value, false),
        Value::Array(values) => {
            let items = values.into_iter().map(|value| add_json(tree, value)).collect();
            tree.push(Node::Seq(items))
        }
        Value::Object(values) => {
            let entry = |(key, value)| (tree.scalar(key, false), add_json(tree, value));
            let entries = values.into_iter().map(entry).collect();
            tree.push(Node::Map(entries))
        }
    }
}

/// Takes over TOML tables that parsed; toml nests at most 80 deep.
pub(super) fn from_toml(table: toml::Table) -> Tree<'static> {
    let mut tree = Tree::default();
    let root = add_toml(&mut tree, toml::Value::Table(table));
    tree.roots.push(root);
    tree
}

fn add_toml(tree: &mut Tree<'_>, value: toml::Value) -> usize {
    use toml::Value;
    match value {
        Value::String(value) => tree.scalar(value, false),
        Value::Array(values) => {
            let items = values.into_iter().map(|value| add_toml(tree, value)).collect();
            tree.push(Node::Seq(items))
        }
        Value::Table(values) => {
            let entry = |(key, value)| (tree.scalar(key, false), add_toml(tree, value));
            let entries = values.into_iter().map(entry).collect();
            tree.push(Node::Map(entries))
        }
        other => tree.scalar(other.to_string(), true),
    }
}
