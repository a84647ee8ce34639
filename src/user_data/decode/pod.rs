//! Kubernetes objects in a file that the kubelet, or a client with a credential plug-in, reads.

use super::interpreter::shell_join;
use super::tree::{self, Ref};

/// Nodes looked at: aliases may make a document endless.
const MAX_VISITS: usize = 10_000;
/// How deep a document is followed.
const DEEPEST: usize = 32;

/// The commands of all containers, hooks and probes, one a line.
pub(crate) fn commands(text: &str) -> String {
    let tree = tree::from_yaml(text);
    let mut out = String::new();
    let mut visits = MAX_VISITS;
    for root in tree.roots() {
        walk(root, 0, &mut visits, &mut out);
    }
    out
}

fn walk(node: Ref<'_>, depth: usize, visits: &mut usize, out: &mut String) {
    if depth > DEEPEST || *visits == 0 || out.len() > super::MAX_LAYER {
        return;
    }
    *visits -= 1;
    let words = |name: &str| -> Vec<&str> {
        let list = node.entries().is_some().then(|| node.get(name)).flatten().map(Ref::each);
        list.unwrap_or_default().into_iter().take(256).filter_map(Ref::text).collect()
    };
    let mut command = words("command");
    command.extend(words("args"));
    if !command.is_empty() {
        out.push_str(&shell_join(command));
        out.push('\n');
    }
    for item in node.items().into_iter().flatten() {
        walk(item, depth + 1, visits, out);
    }
    for (_, value) in node.entries().into_iter().flatten() {
        walk(value, depth + 1, visits, out);
    }
}
