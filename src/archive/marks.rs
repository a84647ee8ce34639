//! What gives JSON its structure: brackets, braces, colons and commas outside of strings, found 64 bytes at a time.
//!
//! The way of simdjson's first stage: <https://arxiv.org/abs/1902.08318>, sections 3.1.1 and 3.1.2.

use wide::u8x16;

const BLOCK: usize = 64;
/// Every second byte of a block, from the first.
const EVEN: u64 = 0x5555_5555_5555_5555;
/// Bytes that are compared at once.
const LANES: usize = 16;

/// Goes from mark to mark. Whether what stands between them is JSON is not looked at.
pub(super) struct Marks<'a> {
    /// What comes behind the block.
    rest: &'a [u8],
    /// Where in the text the block begins.
    block: usize,
    /// The block's marks that were not passed yet; the lowest bit is its first byte.
    ahead: u64,
    /// Those of its marks that are brackets or braces, and those of these that open.
    brackets: u64,
    opening: u64,
    /// All ones where the block ends inside a string.
    quoted: u64,
    /// One where the next block's first byte is escaped.
    escaping: u64,
}

impl<'a> Marks<'a> {
    /// Begins at a place outside of strings.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            rest: bytes.get(at..).unwrap_or_default(),
            block: at.wrapping_sub(BLOCK),
            ahead: 0,
            brackets: 0,
            opening: 0,
            quoted: 0,
            escaping: 0,
        }
    }

    /// Where the next mark is; `None` where the text ends before.
    pub fn next(&mut self) -> Option<usize> {
        while self.ahead == 0 {
            self.load()?;
        }
        let at = self.block.wrapping_add(self.ahead.trailing_zeros() as usize);
        self.ahead &= self.ahead.wrapping_sub(1);
        Some(at)
    }

    /// Behind the closing one of the bracket that was passed last; `None` where the text ends before.
    pub fn close(&mut self) -> Option<usize> {
        let mut depth = 1_usize;
        loop {
            let mut brackets = self.ahead & self.brackets;
            while brackets != 0 {
                let bracket = brackets & brackets.wrapping_neg();
                brackets ^= bracket;
                if self.opening & bracket != 0 {
                    depth = depth.saturating_add(1);
                } else if depth > 1 {
                    depth = depth.saturating_sub(1);
                } else {
                    self.ahead &= !(bracket | bracket.wrapping_sub(1));
                    let at = self.block.wrapping_add(bracket.trailing_zeros() as usize);
                    return Some(at.wrapping_add(1));
                }
            }
            self.load()?;
        }
    }

    fn load(&mut self) -> Option<()> {
        let padded;
        let block = match self.rest.split_first_chunk::<BLOCK>() {
            Some((block, rest)) => {
                self.rest = rest;
                block
            }
            None if self.rest.is_empty() => return None,
            None => {
                let mut block = [b' '; BLOCK];
                block.iter_mut().zip(self.rest).for_each(|(to, from)| *to = *from);
                self.rest = &[];
                padded = block;
                &padded
            }
        };
        self.block = self.block.wrapping_add(BLOCK);
        let [a, b, c, d] = block.as_chunks::<LANES>().0 else { return None };
        let lanes = [u8x16::new(*a), u8x16::new(*b), u8x16::new(*c), u8x16::new(*d)];
        let quotes = places(lanes, |bytes| is(bytes, b'"'));
        let backslashes = places(lanes, |bytes| is(bytes, b'\\'));
        let quotes = quotes & !self.escaped(backslashes);
        self.ahead = 0;
        if quotes == 0 && self.quoted != 0 {
            return Some(());
        }
        let quoted = prefix_xor(quotes) ^ self.quoted;
        self.quoted = 0_u64.wrapping_sub(quoted >> 63);
        // Brackets are 0x20 away from braces.
        let folded = |bytes| bytes | u8x16::splat(0x20);
        self.opening = places(lanes, |bytes| is(folded(bytes), b'{')) & !quoted;
        self.brackets = self.opening | places(lanes, |bytes| is(folded(bytes), b'}')) & !quoted;
        self.ahead = self.brackets | places(lanes, |bytes| is(bytes, b':') | is(bytes, b',')) & !quoted;
        Some(())
    }

    /// The bytes behind runs of backslashes that are odd in number.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let first = std::mem::take(&mut self.escaping);
        if backslashes == 0 {
            return first;
        }
        let runs = backslashes & !first;
        let starts = runs & !(runs << 1);
        // Adding a run's start moves a bit behind its end. From an odd place to an even one is an odd number.
        let behind_even = runs.wrapping_add(starts & EVEN);
        let (behind_odd, reaches_out) = runs.overflowing_add(starts & !EVEN);
        self.escaping = u64::from(reaches_out);
        first | !runs & (behind_even & !EVEN | behind_odd & EVEN)
    }
}

/// Each bit the parity of itself and those below: ones from an opening quote up to the closing one.
const fn prefix_xor(mut bits: u64) -> u64 {
    let mut by = 1;
    while by < 64 {
        bits ^= bits << by;
        by <<= 1;
    }
    bits
}

/// The bytes that are this one.
fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// The places in a block of which this is true, a bit a byte.
fn places(lanes: [u8x16; BLOCK / LANES], is: impl Fn(u8x16) -> u8x16) -> u64 {
    lanes.into_iter().rev().fold(0, |places, bytes| places << LANES | u64::from(is(bytes).to_bitmask()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte after another.
    fn slowly(text: &[u8], at: usize) -> Vec<usize> {
        let (mut quoted, mut escaped, mut found) = (false, false, Vec::new());
        for (place, byte) in text.iter().enumerate().skip(at) {
            match byte {
                b'"' if !escaped => quoted = !quoted,
                b'{' | b'}' | b'[' | b']' | b':' | b',' if !quoted => found.push(place),
                _ => {}
            }
            escaped = *byte == b'\\' && !escaped;
        }
        found
    }

    proptest! {
        #[test]
        fn every_mark_is_found(text in r#"([{}\[\]":, a;|=]|\\{1,5}|"[a{,\\]{0,80}"){0,90}"#, at in 0..70_usize) {
            let text = text.as_bytes();
            let mut marks = Marks::new(text, at);
            let found: Vec<usize> = std::iter::from_fn(|| marks.next()).collect();
            prop_assert_eq!(found, slowly(text, at));
        }

        #[test]
        fn brackets_end_where_they_are_closed(text in r#"([{}\[\]":, a]|\\"|"[a{,]{0,80}"|\{\}){0,90}"#) {
            let text = text.as_bytes();
            let places = slowly(text, 0);
            let (mut depth, mut end) = (1, None);
            let mut after = places.iter();
            for place in &mut after {
                match text[*place] {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = Some(*place + 1);
                    break;
                }
            }
            let mut marks = Marks::new(text, 0);
            prop_assert_eq!(marks.close(), end);
            if end.is_some() {
                prop_assert_eq!(marks.next(), after.next().copied());
            }
        }
    }
}
