//! `#cloud-config-archive`: a YAML list of parts. `#cloud-config-jsonp`: a JSON patch of cloud-config.

use super::sniff::{self, Format};
use super::tree::{self, Fault, Ref};
use super::{At, Decoder, Kind, LAST_PARTS, Language, Layer, MOST_PARTS, cloud_config, salvage};

/// Decodes an archive: entries are texts, or mappings with `content` and perhaps `type`.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::Archive, at, text.len());
    let tree = tree::from_yaml(text);
    let mut error = tree.error.clone();
    let mut number = 0_usize;
    let entries: Vec<Ref<'_>> = tree.roots().flat_map(Ref::each).collect();
    for (index, entry) in entries.iter().copied().enumerate() {
        let node = entry.get("content").unwrap_or(entry);
        let Some(content) = node.bytes() else {
            if error.is_none() && entry.len() > 0 && entry.get("content").is_none() {
                error = Some(Fault::broken("archive: an entry without content"));
            }
            continue;
        };
        number += 1;
        let at = at.deeper(&format!("part {number}"));
        if !decoder.part(&at) && index + LAST_PARTS < entries.len() {
            if error.is_none() {
                let reason = format!("more than {MOST_PARTS} parts");
                layer.children.push(decoder.undecodable(&at, content, &reason));
                error = Some(Fault::bound(&reason));
            }
            continue;
        }
        let declared = entry.text_at(&["type"]).or_else(|| {
            // Without type and header it is cloud-config.
            let text = super::bytes::to_text(content)?;
            (sniff::sniff(&text) == Format::Opaque).then_some("text/cloud-config")
        });
        layer.children.push(decoder.layer(&at, content, declared));
    }
    if let Some(error) = error {
        salvage::hand_on(decoder, at, text, &error, Language::Shell, &mut layer);
    }
    layer
}

/// Decodes a JSON patch (RFC 6902): what its operations add is read as if it stood at their path.
pub(super) fn json_patch(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::JsonPatch, at, text.len());
    let start = text.trim_start();
    let body =
        if start.starts_with('#') { start.find('\n').and_then(|end| start.get(end..)) } else { Some(start) };
    let tree = tree::from_json(body.unwrap_or_default());
    let over = std::mem::take(&mut decoder.over);
    let at = at.inside("cloud-config patch");
    let operations = tree.roots().flat_map(Ref::each);
    for (index, operation) in operations.enumerate() {
        let Some(value) = operation.get("value") else { continue };
        let path = operation.text_at(&["path"]).unwrap_or_default();
        let segments: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|s| s.replace("~1", "/").replace("~0", "~").replace('-', "_"))
            .collect();
        // List positions are no part of a key's name.
        let position = |s: &str| s == "_" || s.bytes().all(|b| b.is_ascii_digit());
        let names: Vec<&str> = segments.iter().map(String::as_str).filter(|s| !position(s)).take(8).collect();
        let key = names.join(".");
        let at = at.inside(&format!("[{index}] {path}"));
        let one = segments.last().is_some_and(|last| position(last));
        if key.is_empty() {
            cloud_config::whole(decoder, &at, value, &mut layer);
        } else if one && matches!(key.as_str(), "runcmd" | "bootcmd") {
            cloud_config::command(decoder, &at, value);
        } else {
            cloud_config::walk(decoder, &at, &key, value, 0);
        }
    }
    let error = tree.error.or(decoder.over.then(|| Fault::bound("JSON: expands beyond the bounds")));
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, &at, text, &error, Language::Shell, &mut layer);
    }
    layer
}
