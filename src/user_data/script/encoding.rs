//! Encodings that shell scripts wrap their payloads in, undone. All are bounded and none fails loudly:
//! what cannot be decoded is `None`.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::Read;

/// Bytes that a decoder may give.
const MAX_DECODED: u64 = 1 << 20;

const FORGIVING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);

/// Base64, line breaks and other foreign characters left out, as `base64 -di` does.
pub fn base64(input: &[u8]) -> Option<Vec<u8>> {
    let clean: Vec<u8> = input
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => *byte,
        })
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .collect();
    // One character over is no byte; the rest still decodes.
    let whole = if clean.len() % 4 == 1 { clean.len() - 1 } else { clean.len() };
    BASE64.decode(clean.get(..whole)?).ok().filter(|bytes| !bytes.is_empty())
}

/// RFC 4648 base32.
pub fn base32(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in input {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => continue,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Pairs of hexadecimal digits, everything else left out.
pub fn hex(input: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        input.iter().filter_map(|byte| (*byte as char).to_digit(16)).map(|digit| digit as u8).collect();
    let out: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0u8, |value, digit| (value << 4) | digit))
        .collect();
    (!out.is_empty()).then_some(out)
}

/// Gzip, the first megabyte of what it holds.
pub fn gzip(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(input).take(MAX_DECODED).read_to_end(&mut out);
    (read.is_ok() || !out.is_empty()).then_some(out)
}

/// Raw deflate (`DeflateStream`) or zlib.
pub fn deflate(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let raw = flate2::read::DeflateDecoder::new(input).take(MAX_DECODED).read_to_end(&mut out);
    if raw.is_ok() && !out.is_empty() {
        return Some(out);
    }
    out.clear();
    let zlib = flate2::read::ZlibDecoder::new(input).take(MAX_DECODED).read_to_end(&mut out);
    (zlib.is_ok() && !out.is_empty()).then_some(out)
}

/// `rev`: each line backwards.
pub fn reversed_lines(input: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<String> = text.lines().map(|line| line.chars().rev().collect()).collect();
    Some(lines.join("\n").into_bytes())
}

/// Bytes as text: UTF-16 when they look like it, else UTF-8 with what is not replaced.
pub fn text_of(bytes: &[u8]) -> String {
    // The header of a program has as many zeros as UTF-16 has.
    if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"MZ") {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let sample = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    let odd_zeros = sample.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    if sample.len() >= 2 && odd_zeros * 2 >= sample.len() / 2 && odd_zeros > 0 {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| pair.iter().rev().fold(0, |unit, byte| (unit << 8) | u16::from(*byte)))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// `$'...'` from behind its opening quote: the text, and how many bytes it took with the closing one.
pub fn ansi_c(rest: &str) -> (String, usize) {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\'' => return (escapes(rest.get(..at).unwrap_or("")), at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    // Never closed: nothing is taken, and what follows is read as ordinary text.
    (String::new(), 0)
}

/// Backslash escapes as `echo -e`, `printf` and `$'...'` know them.
pub fn escapes(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let Some((letter, tail)) = rest.split_first() else {
            bytes.push(b'\\');
            break;
        };
        rest = tail;
        match letter {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'a' | b'b' | b'f' | b'v' => bytes.push(b' '),
            b'e' | b'E' => bytes.push(0x1b),
            b'\\' | b'\'' | b'"' | b'?' => bytes.push(*letter),
            b'x' | b'u' | b'U' => {
                let most = match letter {
                    b'x' => 2,
                    b'u' => 4,
                    _ => 8,
                };
                let (value, used) = number(rest, 16, most);
                rest = rest.get(used..).unwrap_or_default();
                match (used, letter) {
                    (0, _) => bytes.extend([b'\\', *letter]),
                    (_, b'x') => bytes.push(value as u8),
                    _ => {
                        let mut buffer = [0; 4];
                        let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
                        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                    }
                }
            }
            b'0'..=b'7' => {
                let from = if *letter == b'0' { rest } else { std::slice::from_ref(letter) };
                let (mut value, mut used) = number(from, 8, 3);
                if *letter != b'0' {
                    let (more, length) = number(rest, 8, 2);
                    value = value * 8u32.pow(length as u32) + more;
                    used = length;
                }
                rest = rest.get(used..).unwrap_or_default();
                bytes.push(value as u8);
            }
            other => bytes.extend([b'\\', *other]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn number(bytes: &[u8], radix: u32, most: usize) -> (u32, usize) {
    let digits = bytes.iter().take(most).map_while(|byte| (*byte as char).to_digit(radix));
    digits.fold((0, 0), |(value, used), digit| (value.wrapping_mul(radix).wrapping_add(digit), used + 1))
}

/// `tr SET1 SET2`, `tr -d SET1`.
pub fn translate(operands: &[&str], delete: bool, input: &[u8]) -> Option<Vec<u8>> {
    let from = set(operands.first()?);
    if delete {
        return Some(input.iter().copied().filter(|byte| !from.contains(byte)).collect());
    }
    let to = set(operands.get(1)?);
    let last = *to.last()?;
    let change = |byte: &u8| match from.iter().position(|other| other == byte) {
        Some(at) => to.get(at).copied().unwrap_or(last),
        None => *byte,
    };
    Some(input.iter().map(change).collect())
}

fn set(text: &str) -> Vec<u8> {
    let text = match text {
        "[:upper:]" => "A-Z",
        "[:lower:]" => "a-z",
        "[:space:]" => " \t\n\r",
        "[:digit:]" => "0-9",
        text => text,
    };
    let bytes = escapes(text).into_bytes();
    let mut out = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        match tail {
            [b'-', last, ..] if last >= first => {
                out.extend(*first..=*last);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// `sed 's/a/b/g'` with a literal pattern; anything else is not followed.
pub fn substitute(program: &str, input: &[u8]) -> Option<Vec<u8>> {
    let rest = program.strip_prefix('s')?;
    let separator = rest.chars().next()?;
    let mut parts = rest.get(separator.len_utf8()..)?.split(separator);
    let (from, to, flags) = (parts.next()?, parts.next()?, parts.next()?);
    if from.is_empty() || from.contains(['*', '[', '\\', '^', '$', '.']) || to.contains(['\\', '&']) {
        return None;
    }
    let text = String::from_utf8_lossy(input);
    let changed = if flags.contains('g') {
        text.replace(from, to)
    } else {
        text.lines().map(|line| line.replacen(from, to, 1)).collect::<Vec<_>>().join("\n")
    };
    Some(changed.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_undone() {
        assert_eq!(base64(b"Y3Vy\nbA==").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(base64(b"Y3VybA").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(base32(b"MN2XE3A=").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(hex(b"63 75 72 6c").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(reversed_lines(b"lruc\n").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(escapes(r"\x63\165\u0072l\n"), "curl\n");
        assert_eq!(ansi_c(r"\x63url' x"), ("curl".into(), 8));
        assert_eq!(
            translate(&["A-Za-z", "N-ZA-Mn-za-m"], false, b"phey").as_deref(),
            Some(b"curl".as_slice())
        );
        assert_eq!(translate(&["-_"], true, b"c-u_rl").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(substitute("s/XX//g", b"cXXurXXl").as_deref(), Some(b"curl".as_slice()));
        assert_eq!(text_of(b"c\0u\0r\0l\0"), "curl");
    }

    #[test]
    fn what_is_no_encoding_gives_nothing() {
        assert_eq!(base64(b"   "), None);
        assert_eq!(hex(b"zz"), None);
        assert_eq!(gzip(b"plain"), None);
        assert_eq!(substitute("s/a.*b/x/", b"ab"), None);
    }
}
