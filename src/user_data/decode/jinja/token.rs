//! The words of an expression.

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Text(String),
    Number(i64),
    Name(String),
    Sign(&'static str),
}

static SIGNS: [&str; 26] = [
    "==", "!=", "<=", ">=", "//", "**", "~", "+", "-", "*", "/", "%", "|", ".", ",", ":", "(", ")", "[", "]",
    "{", "}", "=", "<", ">", ";",
];

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = if matches!(c, '"' | '\'') {
            let mut escaped = false;
            let body = rest.get(1..).unwrap_or_default();
            let end = body.char_indices().find(|(_, d)| {
                let end = *d == c && !escaped;
                escaped = *d == '\\' && !escaped;
                end
            });
            let end = end.map_or(body.len(), |(end, _)| end);
            tokens.push(Token::Text(unescape(body.get(..end).unwrap_or_default())));
            end + 2
        } else if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Number(rest.get(..end).and_then(|n| n.parse().ok()).unwrap_or(0)));
            end
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Name(rest.get(..end).unwrap_or_default().to_owned()));
            end
        } else if let Some(sign) = SIGNS.iter().copied().find(|sign| rest.starts_with(*sign)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            c.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens
}

/// A literal's escapes, as Python has them.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let mut put = Some(c);
        if c == '\\' {
            let code = |from: usize, count: usize, radix: u32| {
                let digits = rest.get(from..from + count)?;
                Some((char::from_u32(u32::from_str_radix(digits, radix).ok()?)?, from + count))
            };
            let octal =
                rest.get(1..).unwrap_or_default().bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b));
            let found = match rest.as_bytes().get(1) {
                Some(b'n') => Some(('\n', 2)),
                Some(b't') => Some(('\t', 2)),
                Some(b'r') => Some(('\r', 2)),
                Some(b'x') => code(2, 2, 16),
                Some(b'u') => code(2, 4, 16),
                Some(b'U') => code(2, 8, 16),
                Some(b'0'..=b'7') => code(1, octal.count(), 8),
                Some(b'\n') => {
                    put = None;
                    length = 2;
                    None
                }
                Some(quote @ (b'\\' | b'"' | b'\'')) => Some((char::from(*quote), 2)),
                _ => None,
            };
            if let Some((c, taken)) = found {
                (put, length) = (Some(c), taken);
            }
        }
        out.extend(put);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}
