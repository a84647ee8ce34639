//! How the policy's patterns are read: `*` is any text, `?` any one character, everything else is literal.

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

/// A pattern that every text fits.
pub fn catches_all(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*')
}

/// Whether a principal fits a pattern, in an event of this account.
///
/// ARNs are matched field by field, so that `*` never crosses a colon. `*` as the account is the event's own
/// account; `any` is any account. A pattern of asterisks only fits everybody.
pub fn like_principal(pattern: &str, principal: &str, account: &str) -> bool {
    if catches_all(pattern) {
        return true;
    }
    if !principal.starts_with("arn:") {
        return like(pattern, principal);
    }
    let (mut wanted, mut given) = (pattern.split(':'), principal.split(':'));
    for field in 0_usize.. {
        let fits = match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if field == ACCOUNT => match wanted {
                "any" => true,
                wanted if catches_all(wanted) => !account.is_empty() && given == account,
                wanted => like(wanted, given),
            },
            (Some(wanted), Some(given)) => like(wanted, given),
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    false
}

/// The account's place among an ARN's fields.
const ACCOUNT: usize = 4;

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

    #[test]
    fn an_asterisk_in_an_arn_stays_within_its_field() {
        const OWN: &str = "111122223333";
        let ours = |pattern, principal| like_principal(pattern, principal, OWN);
        let role = "arn:aws:iam::111122223333:role/ci/build";
        assert!(ours("arn:aws:iam::*:role/ci/*", role));
        assert!(ours("arn:aws:iam::any:role/ci/*", "arn:aws:iam::999900001111:role/ci/eve"));
        assert!(ours("arn:aws:iam::9999*:role/ci/*", "arn:aws:iam::999900001111:role/ci/eve"));
        assert!(ours("*", role) && ours(role, role));
        assert!(ours("build@*", "build@example.com"));
        for (pattern, principal) in [
            ("arn:aws:iam::*:role/ci/*", "arn:aws:iam::111122223333:user/dev/:role/ci/eve"),
            ("arn:aws:iam::*:role/ci/*", "arn:aws:iam::999900001111:role/ci/eve"),
            ("arn:aws:iam::*:role/ci/*", "arn:aws:iam::111122223333:role/ci/:x"),
            ("arn:*:role/ci/*", role),
            ("*/ci/build", role),
        ] {
            assert!(!ours(pattern, principal), "{pattern} {principal}");
        }
        assert!(!like_principal("arn:aws:iam::*:role/ci/*", role, ""));
    }
}
