//! The scanner held against a real parser: on scripts that tree-sitter's bash grammar accepts, both find
//! the same commands in the same numbers.

use std::path::{Path, PathBuf};

use imagewarden::user_data::Language;
use imagewarden::user_data::script::{self, Command};

/// Names that can be compared: nothing quoted or expanded in them.
fn comparable(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:[-+".contains(&byte))
        && !name.contains('=')
}

/// The names of all commands of a syntax tree; `None` when the parser did not accept the script.
fn parsed(text: &str) -> Option<Vec<String>> {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).unwrap();
    let tree = parser.parse(text, None)?;
    if tree.root_node().has_error() {
        return None;
    }
    let mut names = Vec::new();
    let mut open = vec![tree.root_node()];
    while let Some(node) = open.pop() {
        let name = match node.kind() {
            "command" => node.child_by_field_name("name").map(|name| &text[name.byte_range()]),
            "declaration_command" | "unset_command" => node.child(0).map(|word| &text[word.byte_range()]),
            "test_command" => node.child(0).map(|word| &text[word.byte_range()]).filter(|word| *word != "(("),
            _ => None,
        };
        names.extend(name.filter(|name| comparable(name)).map(str::to_owned));
        let mut cursor = node.walk();
        open.extend(node.children(&mut cursor));
    }
    names.sort();
    Some(names)
}

/// The names the scanner finds in the script itself, nested texts left out.
fn scanned(text: &str) -> Vec<String> {
    let script = script::scan(Language::Shell, text);
    assert!(!script.over_bound);
    let name = |command: &Command| {
        command.words.first().filter(|word| !word.quoted && !word.expanded).map(|word| word.text.clone())
    };
    // Bodies repeated for calls stand in the script only once.
    let repeated: Vec<_> = script.commands.iter().filter_map(|command| command.inner).collect();
    let once = |index: &usize| !repeated.iter().any(|span| span.indices().any(|other| other == *index));
    let own = (0..script.commands.len())
        .filter(once)
        .map(|index| &script.commands[index])
        .filter(|command| command.unit == 0);
    let mut names: Vec<String> = own.filter_map(name).filter(|name| comparable(name)).collect();
    names.sort();
    names
}

fn files(folder: &Path, accept: fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file() && accept(path)).collect();
    files.sort();
    files
}

fn is_shell(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sh")
}

/// What a Debian or Ubuntu system has lying around, when this is one.
fn is_maintainer_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["postinst", "preinst", "postrm", "prerm", "config"].iter().any(|name| extension == *name)
    })
}

#[test]
fn the_scanner_and_a_real_parser_find_the_same_commands() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/user-data");
    let mut paths = files(&root.join("honest"), is_shell);
    paths.extend(files(&root.join("malicious"), is_shell));
    let own = paths.len();
    paths.extend(files(Path::new("/var/lib/dpkg/info"), is_maintainer_script));
    paths.extend(files(Path::new("/etc/init.d"), |_| true));
    let mut compared = 0;
    let mut differing = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        if text.len() > 100_000
            || !(index < own || text.starts_with("#!/bin/sh") || text.starts_with("#!/bin/bash"))
        {
            continue;
        }
        let Some(expected) = parsed(&text) else { continue };
        compared += 1;
        let found = scanned(&text);
        if found != expected {
            let count = |names: &[String], name: &String| names.iter().filter(|other| *other == name).count();
            let missing: Vec<_> =
                expected.iter().filter(|name| count(&found, name) < count(&expected, name)).collect();
            let extra: Vec<_> =
                found.iter().filter(|name| count(&found, name) > count(&expected, name)).collect();
            differing.push(format!("{}: missing {missing:?}, extra {extra:?}", path.display()));
        }
    }
    assert!(compared >= 100, "only {compared} scripts were accepted by the parser");
    assert!(differing.is_empty(), "{} of {compared} differ:\n{}", differing.len(), differing.join("\n"));
}
