//! Ignition JSON (Fedora CoreOS, Flatcar), versions 2 and 3.

use super::tree::{Fault, Ref, Tree};
use super::{
    At, Content, Decoder, Kind, Language, Layer, cloud_config, data_url, gzip, salvage, write_files,
};
use crate::user_data::places;

/// Decodes an Ignition configuration; `None` when the JSON is none.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str, tree: &Tree<'_>) -> Option<Layer> {
    let root = tree.roots().find(|root| root.get("ignition").is_some());
    if root.is_none() && !(tree.error.is_some() && text.contains("\"ignition\"")) {
        return None;
    }
    let mut layer = Layer::leaf(Kind::Ignition, at, text.len());
    let over = std::mem::take(&mut decoder.over);
    if let Some(root) = root {
        configuration(decoder, &at.inside("ignition"), root, &mut layer);
    }
    let error = tree.error.clone().or(decoder.over.then(|| Fault::bound("Ignition: over the bounds")));
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, at, text, &error, Language::Shell, &mut layer);
        let at = at.inside("salvaged").encoded();
        for bytes in text.split('"').filter_map(data_url::decode) {
            write_files::write(decoder, &at, "", &bytes, (false, false), &mut layer);
        }
    }
    Some(layer)
}

fn configuration(decoder: &mut Decoder, at: &At, root: Ref<'_>, layer: &mut Layer) {
    let ignition = root.get("ignition");
    for name in ["replace", "merge", "append"] {
        let list = ignition.and_then(|i| i.get("config")).and_then(|config| config.get(name));
        for (index, source) in list.map(Ref::each).unwrap_or_default().into_iter().enumerate() {
            if decoder.visits(1 + source.len()) {
                nested(decoder, &at.inside(&format!("config.{name}[{index}]")), source, layer);
            }
        }
    }
    let authorities = ignition.and_then(|i| i.get("security")).and_then(|s| s.get("tls"));
    for source in
        authorities.and_then(|tls| tls.get("certificateAuthorities")).map(Ref::each).unwrap_or_default()
    {
        let source = source.text_at(&["source"]).unwrap_or_default();
        decoder.setting(&at.inside("certificateAuthorities"), "ca_certs.trusted", source);
    }
    for (index, file) in list(root, "storage", "files").into_iter().enumerate() {
        if !decoder.visits(1 + file.len()) {
            return;
        }
        let at = at.inside(&format!("storage.files[{index}]"));
        let target = file.text_at(&["path"]).unwrap_or_default();
        let appended =
            file.get("append").filter(|append| append.len() > 0).map(Ref::each).unwrap_or_default();
        if let Some(contents) = file.get("contents") {
            write(decoder, &at, target, contents, false, layer);
        }
        for contents in appended {
            write(decoder, &at, target, contents, true, layer);
        }
    }
    for (index, unit) in list(root, "systemd", "units").into_iter().enumerate() {
        if !decoder.visits(1 + unit.len()) {
            return;
        }
        let at = at.inside(&format!("systemd.units[{index}]"));
        let name = unit.text_at(&["name"]).unwrap_or_default();
        systemd_unit(decoder, &at, &format!("/etc/systemd/system/{name}"), unit);
        for dropin in unit.get("dropins").map(Ref::each).unwrap_or_default() {
            let file = dropin.text_at(&["name"]).unwrap_or_default();
            systemd_unit(decoder, &at, &format!("/etc/systemd/system/{name}.d/{file}"), dropin);
        }
    }
    for (index, user) in list(root, "passwd", "users").into_iter().enumerate() {
        let at = at.inside(&format!("passwd.users[{index}]"));
        for (name, value) in user.entries().into_iter().flatten() {
            let key = match name {
                "sshAuthorizedKeys" => "ssh_authorized_keys",
                "passwordHash" => "hashed_passwd",
                other => other,
            };
            cloud_config::walk(decoder, &at.suffix(&format!(".{name}")), &format!("users.{key}"), value, 0);
        }
    }
    for name in ["kernelArguments", "kernel_arguments"] {
        if let Some(arguments) = root.get(name) {
            cloud_config::walk(decoder, &at.inside(name), "kernel_arguments", arguments, 0);
        }
    }
}

fn list<'t>(root: Ref<'t>, section: &str, name: &str) -> Vec<Ref<'t>> {
    root.get(section).and_then(|section| section.get(name)).map(Ref::each).unwrap_or_default()
}

/// Another configuration, in the URL itself or behind it.
fn nested(decoder: &mut Decoder, at: &At, source: Ref<'_>, layer: &mut Layer) {
    let Some(url) = source.text_at(&["source"]) else { return };
    match data_url::decode(url) {
        Some(bytes) => layer.children.push(decoder.layer(&at.deeper("").encoded(), &bytes, None)),
        None => decoder.include(at, url),
    }
}

/// A file's content: in a `data:` URL, or fetched.
fn write(decoder: &mut Decoder, at: &At, target: &str, contents: Ref<'_>, append: bool, layer: &mut Layer) {
    let Some(url) = contents.text_at(&["source"]).or_else(|| contents.text_at(&["inline"])) else { return };
    let Some(bytes) = data_url::decode(url) else {
        if contents.get("inline").is_some() {
            write_files::write(decoder, at, target, url.as_bytes(), (false, append), layer);
        } else {
            decoder.include(at, url);
        }
        return;
    };
    let at = at.clone().encoded();
    decoder.encodings = decoder.encodings.max(at.encodings);
    let mut file = Layer::leaf(Kind::File, &at, url.len());
    file.note(&target.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
    let compressed = contents.text_at(&["compression"]).is_some_and(|c| c == "gzip") || gzip::is(&bytes);
    write_files::write(decoder, &at, target, &bytes, (compressed, append), &mut file);
    layer.children.push(file);
}

/// A unit is a file, and what it starts is run.
fn systemd_unit(decoder: &mut Decoder, at: &At, target: &str, unit: Ref<'_>) {
    let Some(text) = unit.text_at(&["contents"]) else { return };
    decoder.emit(at, Content::File { target: target.to_owned(), text: text.to_owned() });
    let script = places::unit_commands(text);
    if !script.trim().is_empty() {
        decoder.emit(at, Content::Script { language: Language::Shell, text: script });
    }
}
