//! What one decoding may cost, and what happens to the rest.

use std::borrow::Cow;

use super::{At, Decoder};
use crate::user_data::Odd;

/// Nested layers (base64, gzip, MIME, archive, template) that anybody honest uses. cloud-init itself
/// follows fewer: deeper ones are there to pass a bound. That is said, and they are read.
pub const MAX_DEPTH: usize = 5;
/// Nested layers that are read.
pub(super) const DEEPEST: usize = 12;
/// Bytes of one decoded layer that are kept: 1 MiB.
pub const MAX_LAYER: usize = 1 << 20;
/// Bytes decoded, and bytes of text handed on, in all: 4 MiB each.
pub const MAX_TOTAL: usize = 4 << 20;
/// MIME parts and archive entries in all that anybody honest uses. More of them are said, and read.
pub const MAX_PARTS: usize = 64;
/// Parts that are read in all, from the first on.
pub(super) const MOST_PARTS: usize = 256;
/// Parts that are read besides, from the last on.
pub(super) const LAST_PARTS: usize = 16;
/// Bytes that are kept of the end of what is longer than [`MAX_LAYER`].
pub(super) const TAIL: usize = 128 << 10;
/// Bytes inflated in all, kept or not: what 16 KiB of gzip can become at most.
pub(super) const MAX_INFLATED: usize = 20 << 20;
/// The longest input that an instance can be launched with: EC2 takes 16 KiB, Azure 64 KiB, each with
/// base64 around it. Only such an input can have been made to pass a bound; a longer one is just long.
pub(super) const LAUNCHABLE: usize = 90_000;
/// Pieces handed on in all. Commands beyond it are handed on joined into one.
pub(super) const MAX_PIECES: usize = 2048;
/// YAML, JSON and TOML nodes walked in all, aliases followed each time they are met.
pub(super) const MAX_VISITS: usize = 50_000;

impl Decoder {
    /// Says that the input was made to pass a bound, if an instance can be launched with it.
    pub(super) fn over_bound(&mut self, at: &At, reason: &str) {
        if self.whole <= LAUNCHABLE && !std::mem::replace(&mut self.bound_told, true) {
            self.odd(at, Odd::OverBound, reason);
        }
    }

    /// The part of a layer that is within the bounds: all of it, or its beginning and its end. The rest
    /// is reported.
    pub(super) fn spend<'a>(&mut self, at: &At, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let room = MAX_LAYER.min(self.bytes_left);
        if bytes.len() <= room {
            self.bytes_left -= bytes.len();
            return Cow::Borrowed(bytes);
        }
        self.bytes_left -= room;
        let reason = if room == MAX_LAYER { "layer over 1 MiB" } else { "over 4 MiB in all" };
        self.undecodable(at, bytes, reason);
        self.over_bound(at, reason);
        let tail = TAIL.min(room / 2);
        let first = bytes.get(..(room - tail).saturating_sub(1)).unwrap_or_default();
        let last = bytes.get(bytes.len() - tail..).unwrap_or_default();
        Cow::Owned([first, b"\n".as_slice(), last].concat())
    }

    /// Counts one part; `false` when there have been too many.
    pub(super) fn part(&mut self, at: &At) -> bool {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            self.over_bound(at, &format!("more than {MAX_PARTS} parts"));
        }
        self.parts <= MOST_PARTS
    }

    /// Which of so many entries are read: the first ones, and the last ones where that is not all.
    pub(super) fn within(count: usize) -> impl Iterator<Item = usize> {
        let last = count.saturating_sub(LAST_PARTS).max(MOST_PARTS);
        (0..count.min(MOST_PARTS)).chain(last..count)
    }

    /// Counts one node walked; `false` when there have been too many, or the layer went over a bound
    /// already: what is left of it is then salvaged from its text.
    pub(super) fn visit(&mut self) -> bool {
        self.visits(1)
    }

    pub(super) fn visits(&mut self, count: usize) -> bool {
        self.over |= self.visits_left < count;
        self.visits_left = self.visits_left.saturating_sub(count);
        !self.over
    }
}
