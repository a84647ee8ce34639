//! gzip, within the bounds: several members, cut short, or with something behind.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::{At, Decoder, Kind, Layer, MAX_LAYER, TAIL};

/// Whether the bytes start as gzip does (magic number and the deflate method).
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

/// What came out of [`inflate`].
pub(super) struct Inflated {
    pub bytes: Vec<u8>,
    /// What stopped it before the end, or was left out.
    pub error: Option<String>,
    /// It is longer than what is kept.
    pub over: bool,
}

/// The beginning and the end of what is inflated.
#[derive(Default)]
struct Kept {
    first: Vec<u8>,
    last: Vec<u8>,
    length: usize,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let room = (MAX_LAYER - TAIL - 1).saturating_sub(self.first.len()).min(bytes.len());
        let (first, last) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.first.extend_from_slice(first);
        self.last.extend_from_slice(last);
        // In strides, so that a byte is moved at most once more.
        if self.last.len() > 4 * TAIL {
            self.last.drain(..self.last.len() - TAIL - 1);
        }
    }

    fn finish(mut self) -> (Vec<u8>, bool) {
        let over = self.length > MAX_LAYER;
        if over {
            self.first.push(b'\n');
            self.last.drain(..self.last.len().saturating_sub(TAIL));
        }
        self.first.extend_from_slice(&self.last);
        (self.first, over)
    }
}

/// Inflates and keeps at most [`MAX_LAYER`] bytes, the beginning and the end; what came before an error
/// is kept. `left` is what may still be inflated.
pub(super) fn inflate(bytes: &[u8], left: &mut usize) -> Inflated {
    // Every member costs a window of its own, so thousands of empty ones are refused.
    const MAX_MEMBERS: usize = 256;
    let mut kept = Kept::default();
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
        error = read_within(&mut reader, &mut kept, left).err();
        if error.is_some() {
            break;
        }
        rest = reader.into_inner();
    }
    let (bytes, over) = kept.finish();
    if over {
        error = Some("gzip: inflates to more than 1 MiB".to_owned());
    }
    Inflated { bytes, error, over }
}

fn read_within(reader: &mut impl Read, kept: &mut Kept, left: &mut usize) -> Result<(), String> {
    let mut chunk = [0_u8; 16 << 10];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) => return Err(format!("gzip: {error}")),
        };
        kept.push(chunk.get(..read).unwrap_or_default());
        *left = left.saturating_sub(read);
        if *left == 0 {
            return Err("gzip: inflates too far".to_owned());
        }
    }
}

/// Inflates a layer and decodes what was in it.
pub(super) fn decode(decoder: &mut Decoder, at: &At, bytes: &[u8]) -> Layer {
    let mut layer = Layer::leaf(Kind::Gzip, at, bytes.len());
    let inflated = inflate(bytes, &mut decoder.inflate_left);
    if let Some(error) = &inflated.error {
        decoder.understood = true;
        layer.children.push(decoder.undecodable(at, bytes, error));
        if inflated.over {
            decoder.over_bound(at, error);
        }
    }
    if !inflated.bytes.is_empty() {
        let child = decoder.layer(&at.deeper("gzip").encoded(), &inflated.bytes, None);
        layer.children.push(child);
    }
    layer
}
