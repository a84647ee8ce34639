//! Stable ids from content.

use sha2::{Digest, Sha256};

/// SHA-256 over the parts, each with its length before it so that no two lists of parts collide;
/// 64 lower-case hex digits.
pub fn hex<T: AsRef<[u8]>>(parts: &[T]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let nibble = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    hasher.finalize().iter().flat_map(|byte| [nibble(byte >> 4), nibble(byte & 0xf)]).collect()
}
