//! All mistakes of a file at once: what could not be read is taken out of it, and the rest is read again.
//!
//! The file is kept as a tree of its values with their places. The tree is written out in a form that has the
//! same values, so that a place in what was written leads back to the place in the file.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

/// Stands for a value that was taken out and that its entry cannot do without.
const PLACEHOLDER: &str = "2026-12-31";
/// Values of a file that are kept; a longer one is told its first mistake.
const MOST: usize = 50_000;

/// A file's values.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    /// In the file.
    bytes: Range<usize>,
    parent: Option<usize>,
    kind: Kind,
    /// `&a1 `, where an alias may mean it.
    anchor: String,
    /// Taken out: it is written no more.
    gone: bool,
}

enum Kind {
    /// As it is to be written.
    Scalar(String),
    List(Vec<usize>),
    /// Keys and values.
    Map(Vec<(usize, usize)>),
}

/// The values as one text, and where each begins there: in ascending order, with its node.
pub(super) struct Written {
    pub text: String,
    places: Vec<(usize, usize)>,
}

impl Tree {
    /// Reads a file; `None` where it is no YAML of one document.
    pub fn read(text: &str) -> Option<Self> {
        let mut tree = Self { nodes: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        // The key that waits for its value, by mapping.
        let mut keys: Vec<Option<usize>> = Vec::new();
        let mut documents = 0_usize;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.ok()?;
            let bytes = span.byte_range().unwrap_or(0..0);
            let anchor = |id: usize| if id > 0 { format!("&a{id} ") } else { String::new() };
            let (kind, anchor, opens) = match event {
                Event::Scalar(value, style, id, _) => {
                    let plain = matches!(style, ScalarStyle::Plain);
                    let source = text.get(bytes.clone()).unwrap_or_default();
                    let written =
                        if plain && !source.contains('\n') { value.to_string() } else { quoted(&value) };
                    (Kind::Scalar(written), anchor(id), false)
                }
                Event::Alias(id) => (Kind::Scalar(format!("*a{id} ")), String::new(), false),
                Event::SequenceStart(_, id, _) => (Kind::List(Vec::new()), anchor(id), true),
                Event::MappingStart(_, id, _) => (Kind::Map(Vec::new()), anchor(id), true),
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    keys.pop();
                    continue;
                }
                Event::DocumentStart(..) => {
                    documents = documents.saturating_add(1);
                    if documents > 1 {
                        return None;
                    }
                    continue;
                }
                _ => continue,
            };
            let node = tree.nodes.len();
            if node >= MOST {
                return None;
            }
            let parent = open.last().copied();
            tree.nodes.push(Node { bytes, parent, kind, anchor, gone: false });
            if let Some(parent) = parent {
                match (tree.nodes.get_mut(parent).map(|it| &mut it.kind), keys.last_mut()) {
                    (Some(Kind::List(items)), _) => items.push(node),
                    (Some(Kind::Map(entries)), Some(key)) => match key.take() {
                        Some(key) => entries.push((key, node)),
                        None => *key = Some(node),
                    },
                    _ => return None,
                }
            }
            if opens {
                open.push(node);
                keys.push(None);
            }
        }
        (!tree.nodes.is_empty()).then_some(tree)
    }

    /// What is left of the file.
    pub fn written(&self) -> Written {
        let mut out = Written { text: String::new(), places: Vec::new() };
        // What is still to be written: a node, or a text.
        enum Rest {
            Node(usize),
            Text(&'static str),
        }
        let mut rest = vec![Rest::Node(0)];
        while let Some(next) = rest.pop() {
            let at = match next {
                Rest::Text(text) => {
                    out.text.push_str(text);
                    continue;
                }
                Rest::Node(at) => at,
            };
            let Some(node) = self.nodes.get(at) else { continue };
            out.text.push_str(&node.anchor);
            out.places.push((out.text.len(), at));
            match &node.kind {
                Kind::Scalar(text) => out.text.push_str(text),
                Kind::List(items) => {
                    out.text.push_str("[\n");
                    rest.push(Rest::Text("]"));
                    for item in items.iter().rev().filter(|item| self.is_left(**item)) {
                        rest.push(Rest::Text(" ,\n"));
                        rest.push(Rest::Node(*item));
                    }
                }
                Kind::Map(entries) => {
                    out.text.push_str("{\n");
                    rest.push(Rest::Text("}"));
                    for (key, value) in entries.iter().rev().filter(|(key, _)| self.is_left(*key)) {
                        rest.push(Rest::Text(" ,\n"));
                        rest.push(Rest::Node(*value));
                        rest.push(Rest::Text(" : "));
                        rest.push(Rest::Node(*key));
                    }
                }
            }
        }
        out.text.push('\n');
        out
    }

    fn is_left(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.gone)
    }

    /// Where a node stands in the file.
    pub fn bytes(&self, node: usize) -> Option<Range<usize>> {
        self.nodes.get(node).map(|node| node.bytes.clone())
    }

    /// Takes a value out, with its key. `false` where that is the whole file.
    pub fn take(&mut self, node: usize) -> bool {
        let Some(parent) = self.nodes.get(node).and_then(|node| node.parent) else { return false };
        let key = match self.nodes.get(parent).map(|it| &it.kind) {
            Some(Kind::Map(entries)) => {
                entries.iter().find(|(key, value)| *key == node || *value == node).map(|(key, _)| *key)
            }
            _ => Some(node),
        };
        match key.and_then(|key| self.nodes.get_mut(key)) {
            Some(entry) if !entry.gone => {
                entry.gone = true;
                true
            }
            _ => false,
        }
    }

    /// Puts a placeholder where a key was taken out of a mapping; `false` where none was.
    pub fn restore(&mut self, mapping: usize, name: &str) -> bool {
        let Some(Kind::Map(entries)) = self.nodes.get(mapping).map(|it| &it.kind) else { return false };
        let taken = entries.iter().copied().find(|(key, _)| {
            self.nodes.get(*key).is_some_and(|it| {
                it.gone && matches!(&it.kind, Kind::Scalar(text) if text.trim_matches('"') == name)
            })
        });
        let Some((key, value)) = taken else { return false };
        let placeholder = |node: &Node| matches!(&node.kind, Kind::Scalar(text) if text == PLACEHOLDER);
        if self.nodes.get(value).is_none_or(placeholder) {
            return false;
        }
        if let Some(node) = self.nodes.get_mut(value) {
            node.kind = Kind::Scalar(PLACEHOLDER.to_owned());
        }
        if let Some(node) = self.nodes.get_mut(key) {
            node.gone = false;
        }
        true
    }

    /// Whether something within a value was taken out or replaced, so that it is not what the file says.
    pub fn is_changed(&self, node: usize) -> bool {
        let mut rest = vec![node];
        while let Some(at) = rest.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            if node.gone {
                return true;
            }
            match &node.kind {
                Kind::Scalar(_) => {}
                Kind::List(items) => rest.extend(items),
                Kind::Map(entries) => rest.extend(entries.iter().flat_map(|(key, value)| [*key, *value])),
            }
        }
        false
    }
}

impl Written {
    /// The value that begins at a byte, or else the last one before it.
    pub fn node_at(&self, byte: usize) -> Option<usize> {
        let after = self.places.partition_point(|(at, _)| *at <= byte);
        self.places.get(after.checked_sub(1)?).map(|(_, node)| *node)
    }
}

/// A scalar in double quotes.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
