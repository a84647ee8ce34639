//! `data:` URLs (RFC 2397).

use super::base64_text;

/// The bytes a `data:` URL holds; `None` for any other URL, or one without a comma.
pub(super) fn decode(url: &str) -> Option<Vec<u8>> {
    let url = url.trim();
    let rest = super::sniff::starts_with(url, "data:").then(|| url.get("data:".len()..))??;
    let (head, data) = rest.split_once(',')?;
    let bytes = percent_decoded(data);
    if head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64")) {
        return Some(base64_text::tolerant(&bytes).unwrap_or_default());
    }
    Some(bytes)
}

pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn both_kinds_of_data_url_decode() {
        assert_eq!(decode("data:,a%20b%0A%zz").as_deref(), Some(&b"a b\n%zz"[..]));
        assert_eq!(decode("data:text/plain;charset=utf-8;base64,aWQK").as_deref(), Some(&b"id\n"[..]));
        assert_eq!(decode("DATA:;base64,aWQ%4B").as_deref(), Some(&b"id\n"[..]));
        assert_eq!(decode("https://example.com/a,b"), None);
    }
}
