//! A template cut into text, outputs and statements, with the white space taken off that Jinja2 takes
//! off: cloud-init renders with `trim_blocks`, so the line break behind a statement or comment goes.

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Text(&'a str),
    /// `{{ ... }}`
    Output(&'a str),
    /// `{% ... %}`
    Statement(&'a str),
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    // Where the text before the next tag begins.
    let mut from = text;
    // Once a closer is found to be missing, it is missing for everything further on as well.
    let mut missing = [false; 3];
    // Bytes that may be looked through for closers outside quotes.
    let mut steps = text.len().saturating_mul(4);
    while let Some(open) = rest.find('{') {
        let tail = rest.get(open..).unwrap_or_default();
        let kind = match tail.as_bytes().get(1) {
            Some(b'{') => Some((0, "}}")),
            Some(b'%') => Some((1, "%}")),
            Some(b'#') => Some((2, "#}")),
            _ => None,
        };
        let body = tail.get(2..).unwrap_or_default();
        let found = kind.and_then(|(kind, closer)| {
            let seen = missing.get_mut(kind)?;
            let plain = if *seen { None } else { body.find(closer) };
            *seen |= plain.is_none();
            let quoted = if kind == 2 { None } else { outside_quotes(body, closer, &mut steps) };
            plain.map(|plain| (kind, quoted.unwrap_or(plain)))
        });
        let Some((kind, end)) = found else {
            rest = tail.get(1..).unwrap_or_default();
            continue;
        };
        let inner = body.get(..end).unwrap_or_default();
        let before = from.get(..from.len() - tail.len()).unwrap_or_default();
        text_token(&mut tokens, if inner.starts_with('-') { before.trim_end() } else { before });
        rest = behind(body.get(end + 2..).unwrap_or_default(), inner, kind > 0);
        let word = inner.trim_start_matches(['-', '+']);
        let word = word.strip_suffix(['-', '+']).unwrap_or(word).trim();
        match kind {
            0 => tokens.push(Token::Output(word)),
            1 if word == "raw" => {
                let (raw, after) = raw(rest);
                text_token(&mut tokens, raw);
                rest = after;
            }
            1 => tokens.push(Token::Statement(word)),
            _ => {}
        }
        from = rest;
    }
    text_token(&mut tokens, from);
    tokens
}

fn text_token<'a>(tokens: &mut Vec<Token<'a>>, text: &'a str) {
    if !text.is_empty() {
        tokens.push(Token::Text(text));
    }
}

/// What follows a tag: without white space where it ends in `-`, without the line break behind a
/// statement or comment.
fn behind<'a>(rest: &'a str, inner: &str, block: bool) -> &'a str {
    if inner.ends_with('-') {
        rest.trim_start()
    } else if block && !inner.ends_with('+') {
        rest.strip_prefix('\n').unwrap_or(rest)
    } else {
        rest
    }
}

/// The text up to `{% endraw %}`, and what follows that.
fn raw(rest: &str) -> (&str, &str) {
    let tags = rest.match_indices("{%").take(256);
    for (at, _) in tags {
        let body = rest.get(at + 2..).unwrap_or_default();
        let Some(end) = body.find("%}") else { break };
        let inner = body.get(..end).unwrap_or_default();
        if inner.trim_matches(['-', '+', ' ', '\t', '\n']) == "endraw" {
            let text = rest.get(..at).unwrap_or_default();
            let text = if inner.starts_with('-') { text.trim_end() } else { text };
            return (text, behind(body.get(end + 2..).unwrap_or_default(), inner, true));
        }
    }
    (rest, "")
}

/// Where a closer stands outside quotes.
fn outside_quotes(body: &str, closer: &str, steps: &mut usize) -> Option<usize> {
    let closer = closer.as_bytes();
    let (mut quote, mut escaped) = (None, false);
    for (at, byte) in body.bytes().enumerate() {
        *steps = steps.checked_sub(1)?;
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) => quote = quote.filter(|_| open != byte),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, _) if body.as_bytes().get(at..at + 2) == Some(closer) => return Some(at),
            (None, _) => {}
        }
    }
    None
}
