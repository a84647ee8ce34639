//! Bottlerocket: TOML settings, with containers and commands that run at first boot.

use super::tree::{self, Fault, Ref};
use super::{At, Decoder, Kind, Language, Layer, base64_text, cloud_config, salvage};

/// Decodes settings. Where the whole does not parse, every table is tried by itself.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::Bottlerocket, at, text.len());
    let at = at.inside("bottlerocket");
    let over = std::mem::take(&mut decoder.over);
    let error = match parse(text) {
        Ok(table) => {
            document(decoder, &at, table, &mut layer);
            decoder.over.then(|| Fault::bound("TOML: over the bounds"))
        }
        Err(error) => {
            for table in tables(text).take(512) {
                if let Ok(table) = parse(table) {
                    document(decoder, &at, table, &mut layer);
                }
            }
            Some(error)
        }
    };
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, &at, text, &error, Language::Shell, &mut layer);
    }
    layer
}

/// Parses TOML. What a dotted key costs grows with the square of its length, so long ones are refused.
fn parse(text: &str) -> Result<toml::Table, Fault> {
    const MOST_DOTS: usize = 128;
    let mut dots = 0;
    for byte in text.bytes() {
        match byte {
            b'.' => dots += 1,
            b'\n' | b'=' | b'[' | b']' | b'{' | b'}' | b',' | b'#' => dots = 0,
            _ => {}
        }
        if dots > MOST_DOTS {
            return Err(Fault::bound("TOML: a key of more than 128 parts"));
        }
    }
    text.parse().map_err(|error: toml::de::Error| Fault::broken(format!("TOML: {}", error.message())))
}

/// The text cut before every line that starts a table.
fn tables(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.match_indices("\n[").next().map_or(rest.len(), |(at, _)| at + 1);
        let (table, after) = rest.split_at(end);
        rest = after;
        Some(table)
    })
}

fn document(decoder: &mut Decoder, at: &At, table: toml::Table, layer: &mut Layer) {
    let tree = tree::from_toml(table);
    let settings = tree.roots().filter_map(|root| root.get("settings"));
    for (name, value) in settings.filter_map(Ref::entries).flatten() {
        if !decoder.visit() {
            return;
        }
        let at = at.inside(name);
        let entries = value.entries().into_iter().flatten();
        match name {
            "bootstrap-containers" | "host-containers" => {
                for (container, options) in entries {
                    let at = at.suffix(&format!(".{container}"));
                    container_options(decoder, &at, &name.replace('-', "_"), options, layer);
                }
            }
            "bootstrap-commands" => {
                for (command, options) in entries {
                    let at = at.suffix(&format!(".{command}.commands"));
                    let commands = options.get("commands").map(Ref::each).unwrap_or_default();
                    for (index, command) in commands.into_iter().enumerate() {
                        cloud_config::command(decoder, &at.suffix(&format!("[{index}]")), command);
                    }
                }
            }
            "pki" => {
                for (bundle, options) in entries {
                    let data = options.text_at(&["data"]).unwrap_or_default();
                    if options.text_at(&["trusted"]) == Some("true") {
                        decoder.setting(&at.suffix(&format!(".{bundle}")), "ca_certs.trusted", data);
                    }
                }
            }
            _ => cloud_config::walk(decoder, &at, &name.replace('-', "_"), value, 0),
        }
    }
}

/// A container: its image is a setting, its user data is a layer.
fn container_options(decoder: &mut Decoder, at: &At, key: &str, options: Ref<'_>, layer: &mut Layer) {
    for (name, value) in options.entries().into_iter().flatten() {
        let at = at.suffix(&format!(".{name}"));
        if name != "user-data" {
            cloud_config::walk(decoder, &at, &format!("{key}.{}", name.replace('-', "_")), value, 0);
            continue;
        }
        let Some(text) = value.text() else { continue };
        let child = match base64_text::tolerant(text.as_bytes()) {
            Some(bytes) if !text.contains(['#', ' ', '<']) => {
                decoder.layer(&at.deeper("").encoded(), &bytes, None)
            }
            _ => decoder.layer(&at.deeper(""), text.as_bytes(), None),
        };
        layer.children.push(child);
    }
}
