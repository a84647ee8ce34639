//! `#cloud-config`: flattened into scripts, files, includes and settings.

use super::interpreter::shell_join;
use super::tree::{self, Fault, Ref};
use super::{At, Content, Decoder, Kind, Language, Layer, salvage, write_files};

/// Keys whose value is a list of commands: a string each for a shell, or a list of words.
const COMMAND_LISTS: [&str; 10] = [
    "runcmd",
    "bootcmd",
    "snap.commands",
    "ansible.galaxy.actions",
    "wireguard.readinessprobe",
    "autoinstall.early_commands",
    "autoinstall.late_commands",
    "autoinstall.error_commands",
    "autoinstall.snaps.commands",
    "ubuntu_advantage.commands",
];
/// Keys whose value is one command.
const COMMANDS: [&str; 4] =
    ["power_state.condition", "random_seed.command", "fs_setup.cmd", "vendor_data.prefix"];
/// Keys whose value is a URL that is fetched and run or believed.
const INCLUDES: [&str; 5] = [
    "ansible.pull.url",
    "chef.omnibus_url",
    "puppet.aio_install_url",
    "autoinstall.source.uri",
    "zypper.config.uri",
];
/// How deep a configuration is followed; aliases may make it endless.
const DEEPEST: usize = 32;
/// Commands of one list that are handed on one by one; the others come joined.
const SEPARATE: usize = 256;

/// Decodes cloud-config. What PyYAML would refuse is reported, and salvaged.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::CloudConfig, at, text.len());
    let at = at.inside("cloud-config");
    let tree = tree::from_yaml(text);
    let mut error = tree.error.clone();
    let over = std::mem::take(&mut decoder.over);
    for root in tree.roots() {
        match root.entries() {
            Some(entries) => {
                layer.note(&summary(entries.clone()));
                top(decoder, &at, entries, &mut layer, 0);
            }
            None if root.text().is_none() && root.items().is_none() => {}
            None => error = error.or_else(|| Some(Fault::broken("YAML: no mapping at the top"))),
        }
    }
    if decoder.over {
        error = error.or_else(|| Some(Fault::bound("YAML: expands beyond the bounds")));
    }
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, &at, text, &error, Language::Shell, &mut layer);
    }
    layer
}

/// Whether text without a header has keys of cloud-config at its left edge.
pub(super) fn has_known_keys(text: &str) -> bool {
    ["runcmd:", "bootcmd:", "write_files:", "packages:", "ssh_authorized_keys:"].iter().any(|key| {
        text.starts_with(key)
            || text.match_indices(key).any(|(at, _)| text.as_bytes().get(at.wrapping_sub(1)) == Some(&b'\n'))
    })
}

/// `runcmd 3, packages 2`: the keys, and how many entries each has.
fn summary<'t>(entries: impl Iterator<Item = (&'t str, Ref<'t>)>) -> String {
    let count = |(key, value): (&str, Ref<'_>)| {
        let count = value.items().map(Iterator::count).or_else(|| value.entries().map(Iterator::count));
        let key: String = key.chars().filter(|c| !c.is_control()).take(40).collect();
        count.map_or_else(|| key.clone(), |count| format!("{key} {count}"))
    };
    entries.take(20).map(count).collect::<Vec<_>>().join(", ")
}

/// Flattens a whole configuration.
pub(super) fn whole(decoder: &mut Decoder, at: &At, node: Ref<'_>, layer: &mut Layer) {
    if let Some(entries) = node.entries() {
        top(decoder, at, entries, layer, 0);
    }
}

fn top<'t>(
    decoder: &mut Decoder,
    at: &At,
    entries: impl Iterator<Item = (&'t str, Ref<'t>)>,
    layer: &mut Layer,
    depth: usize,
) {
    for (name, value) in entries {
        if !decoder.visit() || depth > DEEPEST {
            decoder.over = true;
            return;
        }
        let key = canonical(name);
        if name == "<<" {
            for merged in value.each() {
                if let Some(entries) = merged.entries() {
                    top(decoder, at, entries, layer, depth + 1);
                }
            }
        } else if key == "write_files" {
            for (index, entry) in value.each().into_iter().enumerate() {
                if !decoder.visit() {
                    return;
                }
                let file = write_files::decode(decoder, &at.inside(&format!("{name}[{index}]")), entry);
                if layer.children.len() < SEPARATE {
                    layer.children.push(file);
                }
            }
        } else {
            walk(decoder, &at.inside(name), &key, value, depth + 1);
        }
    }
}

/// The name a key has today.
fn canonical(name: &str) -> String {
    match name {
        "user" => "users".to_owned(),
        "apt_sources" => "apt.sources".to_owned(),
        "apt_conf" => "apt.conf".to_owned(),
        "power_state_change" => "power_state".to_owned(),
        _ => name.replace('-', "_"),
    }
}

/// Flattens what stands under a key, given by cloud-config's names joined with dots.
pub(super) fn walk(decoder: &mut Decoder, at: &At, key: &str, node: Ref<'_>, depth: usize) {
    if depth > DEEPEST || !decoder.visit() {
        decoder.over = true;
        return;
    }
    match key {
        _ if COMMAND_LISTS.contains(&key) => return commands(decoder, at, node),
        _ if COMMANDS.contains(&key) => {
            // `condition: true` is no command.
            if !node.text().is_some_and(|text| matches!(text, "true" | "false" | "True" | "False")) {
                command(decoder, at, node);
            }
            return;
        }
        _ if INCLUDES.contains(&key) => {
            if let Some(url) = node.text() {
                decoder.include(at, url);
            }
            return;
        }
        "apt.sources" => return sources(decoder, at, node, depth),
        "yum_repos" | "zypper.repos" => return repositories(decoder, at, key, node),
        "packages" => return packages(decoder, at, node, depth),
        "chpasswd.list" if node.text().is_some() => {
            for line in node.text().unwrap_or_default().lines() {
                decoder.setting(at, key, line.trim());
            }
            return;
        }
        // A JSON patch may set these alone.
        "write_files" => {
            for entry in node.each() {
                write_files::decode(decoder, at, entry);
            }
            return;
        }
        "write_files.content" => {
            if let Some(text) = node.text() {
                decoder.emit(at, Content::File { target: String::new(), text: text.to_owned() });
            }
            return;
        }
        _ => {}
    }
    if let Some(text) = node.text() {
        decoder.setting(at, key, text);
    } else if let Some(items) = node.items() {
        for (index, item) in items.enumerate() {
            walk(decoder, &at.suffix(&format!("[{index}]")), key, item, depth + 1);
        }
    } else if let Some(entries) = node.entries() {
        for (name, value) in entries {
            if name == "<<" {
                walk(decoder, at, key, value, depth + 1);
            } else {
                let inner = format!("{key}.{}", name.replace('-', "_"));
                walk(decoder, &at.suffix(&format!(".{name}")), &inner, value, depth + 1);
            }
        }
    }
}

/// A list of commands, each a script of its own. What judges them knows which share a shell.
fn commands(decoder: &mut Decoder, at: &At, node: Ref<'_>) {
    let named: Vec<(String, Ref<'_>)> = if let Some(items) = node.items() {
        items.enumerate().map(|(index, item)| (format!("[{index}]"), item)).collect()
    } else if let Some(entries) = node.entries() {
        // `!!set {command}`: the command is the key.
        for (index, (name, value)) in entries.clone().enumerate().take(SEPARATE) {
            if value.text().is_none() && value.len() == 0 && decoder.visit() {
                script(decoder, &at.suffix(&format!("[{index}]")), name.to_owned());
            }
        }
        entries.map(|(name, value)| (format!(".{name}"), value)).collect()
    } else {
        return command(decoder, at, node);
    };
    for (name, node) in named.iter().take(SEPARATE) {
        if !decoder.visit() {
            return;
        }
        command(decoder, &at.suffix(name), *node);
    }
    let mut rest = String::new();
    for (_, node) in named.iter().skip(SEPARATE) {
        let text = command_text(decoder, *node).unwrap_or_default();
        if !decoder.visit() || rest.len() + text.len() > super::MAX_LAYER {
            decoder.over = true;
            break;
        }
        rest.push_str(&text);
        rest.push('\n');
    }
    if !rest.is_empty() {
        script(decoder, &at.suffix(&format!("[{SEPARATE}]")), rest);
    }
}

/// One command: text for a shell, or its words.
pub(super) fn command(decoder: &mut Decoder, at: &At, node: Ref<'_>) {
    if let Some(text) = command_text(decoder, node) {
        script(decoder, at, text);
    }
}

fn script(decoder: &mut Decoder, at: &At, text: String) {
    decoder.emit(at, Content::Script { language: super::interpreter::of(&text), text });
}

fn command_text(decoder: &mut Decoder, node: Ref<'_>) -> Option<String> {
    if let Some(text) = node.text() {
        return Some(text.to_owned());
    }
    if let Some(items) = node.items() {
        return Some(shell_join(items.take_while(|_| decoder.visit()).filter_map(Ref::text)));
    }
    // `- echo "a: b"` is a mapping to YAML. cloud-init refuses it; it reads as what was meant.
    let entries = node.entries()?.take_while(|_| decoder.visit());
    let lines = entries.map(|(key, value)| format!("{key}: {}", value.text().unwrap_or_default()));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// APT sources: the line is the setting, whatever the entry is called.
fn sources(decoder: &mut Decoder, at: &At, node: Ref<'_>, depth: usize) {
    let entries: Vec<(String, Ref<'_>)> = match (node.entries(), node.items()) {
        (Some(entries), _) => entries.map(|(name, entry)| (format!(".{name}"), entry)).collect(),
        (_, Some(items)) => items.enumerate().map(|(index, item)| (format!("[{index}]"), item)).collect(),
        _ => vec![(String::new(), node)],
    };
    for (name, entry) in entries {
        let at = at.suffix(&name);
        if let Some(line) = entry.text() {
            decoder.setting(&at, "apt.sources", line);
        }
        for (name, value) in entry.entries().into_iter().flatten() {
            if !decoder.visit() {
                return;
            }
            let key = if name == "source" { "apt.sources" } else { &format!("apt.sources.{name}") };
            let at = at.suffix(&format!(".{name}"));
            match value.text() {
                Some(text) => decoder.setting(&at, key, text),
                None if key != "apt.sources" => walk(decoder, &at, key, value, depth + 1),
                None => {}
            }
        }
    }
}

/// A repository is one setting, written as in its `.repo` file: what is checked and where it comes
/// from belong together.
fn repositories(decoder: &mut Decoder, at: &At, key: &str, node: Ref<'_>) {
    let named = node.entries().into_iter().flatten().map(|(name, repo)| (format!(".{name}"), name, repo));
    let listed = node.items().into_iter().flatten().enumerate().map(|(index, repo)| {
        let name = repo.text_at(&["id"]).or_else(|| repo.text_at(&["name"]));
        (format!("[{index}]"), name.unwrap_or_default(), repo)
    });
    for (suffix, name, repo) in named.chain(listed) {
        let mut text = format!("[{name}]");
        for (option, value) in repo.entries().into_iter().flatten() {
            if !decoder.visits(1 + value.len()) || text.len() > super::MAX_LAYER {
                decoder.over = true;
                return;
            }
            let words: Vec<&str> = value.each().into_iter().filter_map(Ref::text).collect();
            text.push_str(&format!("\n{option}={}", words.join(" ")));
        }
        decoder.setting(&at.suffix(&suffix), key, &text);
    }
}

/// Packages: a name, `[name, version]`, or lists by package manager.
fn packages(decoder: &mut Decoder, at: &At, node: Ref<'_>, depth: usize) {
    if let Some(text) = node.text() {
        for name in text.split_whitespace() {
            decoder.setting(at, "packages", name);
        }
    }
    for (index, item) in node.items().into_iter().flatten().enumerate() {
        let at = at.suffix(&format!("[{index}]"));
        match item.items() {
            Some(words) => {
                let words: Vec<&str> = words.take(2).filter_map(Ref::text).collect();
                decoder.setting(&at, "packages", &words.join(" "));
            }
            None => walk(decoder, &at, "packages", item, depth + 1),
        }
    }
    for (name, value) in node.entries().into_iter().flatten() {
        walk(decoder, &at.suffix(&format!(".{name}")), "packages", value, depth + 1);
    }
}
