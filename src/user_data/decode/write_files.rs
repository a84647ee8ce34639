//! Files that first boot writes: `write_files`, and what other formats write.

use super::tree::Ref;
use super::{At, Content, Decoder, Kind, Layer, base64_text, bytes, gzip};
use crate::user_data::places;

/// One entry of `write_files`.
pub(super) fn decode(decoder: &mut Decoder, at: &At, entry: Ref<'_>) -> Layer {
    if !decoder.visits(entry.len()) {
        return Layer::leaf(Kind::File, at, 0);
    }
    let target = entry.text_at(&["path"]).unwrap_or_default();
    // cloud-init works at the root.
    let rooted = format!("/{target}");
    let relative = !target.is_empty() && !target.starts_with(['/', '~']) && !target.contains([':', '\\']);
    let target = if relative { rooted.as_str() } else { target };
    let append = entry.text_at(&["append"]).is_some_and(is_true);
    let encoding = entry.text_at(&["encoding"]).unwrap_or_default().trim().to_ascii_lowercase();
    let content = entry.get("content").and_then(Ref::bytes);
    let mut layer = Layer::leaf(Kind::File, at, content.map_or(0, <[u8]>::len));
    layer.note(&target.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
    layer.note(&encoding);
    if let Some(uri) = entry.text_at(&["source", "uri"]) {
        decoder.include(&at.suffix(".source.uri"), uri);
    }
    let Some(content) = content else { return layer };
    let base64 = encoding.ends_with("b64") || encoding.ends_with("base64");
    let gzip = encoding.starts_with("gz");
    if base64 || gzip {
        let at = at.clone().encoded();
        decoder.encodings = decoder.encodings.max(at.encodings);
        let file = if base64 { base64_text::tolerant(content) } else { None };
        if base64 && file.is_none() && !content.trim_ascii().is_empty() {
            layer.children.push(decoder.undecodable(&at, content, "not base64"));
        }
        write(decoder, &at, target, file.as_deref().unwrap_or(content), (gzip, append), &mut layer);
    } else {
        write(decoder, at, target, content, (false, append), &mut layer);
    }
    layer
}

/// What YAML 1.1 takes for true.
fn is_true(text: &str) -> bool {
    ["true", "yes", "on", "y", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Hands on one file. Gzip is inflated even when it is written as it is: the script may be told to
/// unpack it later. `gzip` says that it is unpacked at once, `append` that it goes behind what is in the
/// file: such pieces are one text.
pub(super) fn write(
    decoder: &mut Decoder,
    at: &At,
    target: &str,
    content: &[u8],
    (gzip, append): (bool, bool),
    layer: &mut Layer,
) {
    let kept = &*decoder.spend(at, content);
    let text = if gzip || gzip::is(kept) {
        let inflated = gzip::inflate(kept, &mut decoder.inflate_left);
        if let Some(error) = &inflated.error {
            layer.children.push(decoder.undecodable(at, kept, error));
            if inflated.over {
                decoder.over_bound(at, error);
            }
        }
        let inner = if inflated.bytes.is_empty() { kept } else { inflated.bytes.as_slice() };
        bytes::to_text_lossy(&decoder.spend(at, inner))
    } else {
        bytes::to_text_lossy(kept)
    };
    let path = places::normalise("/", target);
    let before = decoder.files.get(&path).and_then(|index| decoder.pieces.get_mut(*index));
    if append
        && text.len() <= decoder.text_left
        && let Some(Content::File { text: before, .. }) = before.map(|piece| &mut piece.content)
    {
        decoder.text_left -= text.len();
        before.push_str(&text);
        return;
    }
    let index = decoder.pieces.len();
    decoder.emit(at, Content::File { target: target.to_owned(), text });
    if decoder.pieces.len() > index {
        decoder.files.insert(path, index);
    }
}
