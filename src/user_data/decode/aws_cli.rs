//! What the AWS CLI prints around user data: JSON of `describe-instance-attribute`,
//! `describe-launch-template-versions`, `describe-launch-configurations`, or its text output.

use super::tree::{Ref, Tree};
use super::{At, Decoder, Kind, Layer, MOST_PARTS, base64_text};

/// Decodes the user data in JSON; `None` when there is none, or when this is not the outermost layer.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str, tree: &Tree<'_>) -> Option<Layer> {
    if at.depth > 0 || decoder.transport_seen {
        return None;
    }
    let root = tree.roots().next()?;
    let mut found = Vec::new();
    if let Some(value) = root.get("UserData") {
        found.push((String::new(), value.get("Value").unwrap_or(value)));
    }
    for (list, inner) in [("LaunchTemplateVersions", "LaunchTemplateData"), ("LaunchConfigurations", "")] {
        for (index, entry) in root.get(list).map(Ref::each).unwrap_or_default().into_iter().enumerate() {
            let data = entry.get(inner).unwrap_or(entry);
            found.extend(data.get("UserData").map(|value| (format!("{list}[{index}]"), value)));
        }
    }
    if let Some(value) = root.get("LaunchTemplateData").and_then(|data| data.get("UserData")) {
        found.push((String::new(), value));
    }
    if found.is_empty() {
        return None;
    }
    decoder.transport_seen = true;
    let mut layer = Layer::leaf(Kind::AwsCli, at, text.len());
    let alone = found.len() == 1;
    for (index, (name, value)) in found.into_iter().enumerate() {
        let at = if alone { at.clone() } else { at.inside(&name) };
        if index >= MOST_PARTS {
            layer.children.push(decoder.undecodable(&at, text.as_bytes(), "more than 256 versions"));
            break;
        }
        let value = value.text().unwrap_or_default();
        layer.children.push(given(decoder, &at, value));
    }
    Some(layer)
}

/// Decodes `--output text`: a line with `USERDATA`, a tab, and base64.
pub(super) fn text_output(decoder: &mut Decoder, at: &At, text: &str) -> Option<Layer> {
    if at.depth > 0 || decoder.transport_seen {
        return None;
    }
    let value = text.lines().find_map(|line| line.strip_prefix("USERDATA\t"))?;
    decoder.transport_seen = true;
    let mut layer = Layer::leaf(Kind::AwsCli, at, text.len());
    layer.children.push(given(decoder, at, value));
    Some(layer)
}

/// User data as an API gives it: base64.
fn given(decoder: &mut Decoder, at: &At, value: &str) -> Layer {
    match base64_text::tolerant(value.as_bytes()) {
        Some(bytes) if !value.contains(['#', ' ', '<']) => decoder.layer(at, &bytes, None),
        _ => decoder.layer(at, value.as_bytes(), None),
    }
}
