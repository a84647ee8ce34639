//! Patterns: `*` is any text, `?` any one character, everything else is literal. The policy and the table of places
//! that run commands read them so.

/// Steps that one comparison may cost where a pattern holds `?`. A pattern that needs more does not match.
const STEPS: usize = 1 << 20;

/// Whether a text fits a pattern with `*` and `?`; everything else is literal, case counts.
///
/// The parts between asterisks are looked for from left to right, each once: the work is linear in the text.
pub fn like(pattern: &str, text: &str) -> bool {
    let mut steps = STEPS;
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = begins(first, text, &mut steps) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            match find(before, rest, &mut steps) {
                Some(after) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        // No asterisk: the text ends where the pattern does.
        None => rest.is_empty(),
        Some(last) => ends(last, rest, &mut steps),
    }
}

/// What follows a part at the beginning of a text.
fn begins<'a>(part: &str, text: &'a str, steps: &mut usize) -> Option<&'a str> {
    if !part.contains('?') {
        return text.strip_prefix(part);
    }
    let mut rest = text.chars();
    for wanted in part.chars() {
        *steps = steps.checked_sub(1)?;
        let found = rest.next()?;
        if wanted != '?' && wanted != found {
            return None;
        }
    }
    Some(rest.as_str())
}

/// What follows the first place in a text where a part stands.
fn find<'a>(part: &str, text: &'a str, steps: &mut usize) -> Option<&'a str> {
    if !part.contains('?') {
        let at = text.find(part)?;
        return text.get(at.saturating_add(part.len())..);
    }
    for (at, _) in text.char_indices() {
        *steps = steps.checked_sub(1)?;
        if let Some(after) = begins(part, text.get(at..)?, steps) {
            return Some(after);
        }
    }
    None
}

fn ends(part: &str, text: &str, steps: &mut usize) -> bool {
    if !part.contains('?') {
        return text.ends_with(part);
    }
    let mut rest = text.chars().rev();
    for wanted in part.chars().rev() {
        let Some(left) = steps.checked_sub(1) else { return false };
        *steps = left;
        match rest.next() {
            Some(found) if wanted == '?' || wanted == found => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a*", "a"),
            ("*a", "ba"),
            ("a?c", "a\u{e4}c"),
            ("a*b*c", "axxbyyc"),
            ("**", "x"),
            ("*ab", "aab"),
            ("?*?", "ab"),
        ] {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*b", "ab c"),
            ("?", ""),
            ("a*ba", "aba b"),
            ("ab*b", "ab"),
            ("?*?", "a"),
        ] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_definition(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            fn plain(pattern: &[char], text: &[char]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some(('*', rest)), _) if plain(rest, text) => true,
                    (Some(('*', _)), Some((_, tail))) => plain(pattern, tail),
                    (Some(('?', rest)), Some((_, tail))) => plain(rest, tail),
                    (Some((one, rest)), Some((other, tail))) => one == other && plain(rest, tail),
                    _ => false,
                }
            }
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            prop_assert_eq!(like(&pattern, &text), plain(&chars(&pattern), &chars(&text)));
        }
    }

    /// Backtracking over a megabyte took minutes.
    #[test]
    fn a_long_text_costs_no_more_than_its_length() {
        let text = "a".repeat(1 << 20);
        assert!(!like(&"*aaaaaaaaaaaaaaab".repeat(20), &text));
        assert!(!like(&format!("*{}b*", "a?".repeat(2_000)), &text));
        assert!(like("*a*a*a*", &text));
    }
}
