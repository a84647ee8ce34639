//! `#include` and `#include-once`: URLs, one a line, whose content is fetched and processed as more
//! user data.

use super::{At, Decoder, Kind, Layer, bytes, sniff};

pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::Include, at, text.len());
    let mut urls = 0_usize;
    let include = at.inside("include");
    for (index, line) in bytes::python_lines(text).enumerate() {
        // The URL may stand on the header's own line.
        let line = line.trim_matches(bytes::is_lead);
        let url = ["#include-once", "#include"]
            .iter()
            .find(|header| sniff::starts_with(line, header))
            .and_then(|header| line.get(header.len()..))
            .unwrap_or(line)
            .trim_matches(bytes::is_lead);
        if url.is_empty() || url.starts_with('#') {
            continue;
        }
        urls += 1;
        decoder.include(&include.inside(&format!("line {}", index + 1)), url);
    }
    layer.note(&format!("URLs {urls}"));
    layer
}
