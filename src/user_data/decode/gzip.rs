//! gzip, within the bounds: several members, cut short, or with something behind.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::{At, Decoder, Kind, Layer, MAX_LAYER};

/// Whether the bytes start as gzip does (magic number and the deflate method).
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

/// What came out of [`inflate`].
pub(super) struct Inflated {
    pub bytes: Vec<u8>,
    /// What stopped it before the end.
    pub error: Option<String>,
}

/// Inflates at most [`MAX_LAYER`] bytes; what came before an error is kept.
pub(super) fn inflate(bytes: &[u8]) -> Inflated {
    // Every member costs a window of its own, so thousands of empty ones are refused.
    const MAX_MEMBERS: usize = 256;
    let mut inflated = Vec::new();
    let mut rest = bytes;
    let mut error = None;
    for member in 0.. {
        // Padding with zeros behind the last member is honest.
        if member > 0 && rest.iter().all(|byte| *byte == 0) {
            break;
        }
        if member == MAX_MEMBERS {
            error = Some(format!("gzip: more than {MAX_MEMBERS} members"));
            break;
        }
        if !is(rest) {
            error = Some("gzip: something else behind the end".to_owned());
            break;
        }
        let mut reader = GzDecoder::new(rest);
        error = read_within(&mut reader, &mut inflated).err();
        if error.is_some() {
            break;
        }
        rest = reader.into_inner();
    }
    Inflated { bytes: inflated, error }
}

fn read_within(reader: &mut impl Read, into: &mut Vec<u8>) -> Result<(), String> {
    let mut chunk = [0_u8; 8192];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) => return Err(format!("gzip: {error}")),
        };
        into.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if into.len() > MAX_LAYER {
            into.truncate(MAX_LAYER);
            return Err("gzip: inflates to more than 1 MiB".to_owned());
        }
    }
}

/// Inflates a layer and decodes what was in it.
pub(super) fn decode(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    let mut layer = Layer::leaf(Kind::Gzip, at, bytes.len());
    let inflated = inflate(bytes);
    if let Some(error) = &inflated.error {
        layer.children.push(decoder.undecodable(at, bytes, error));
    }
    if !inflated.bytes.is_empty() {
        let child = decoder.layer(&at.deeper("gzip").encoded(), &inflated.bytes, None);
        layer.children.push(child);
    }
    layer
}
