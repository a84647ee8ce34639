//! How the policy's patterns are read ([`like`]), and those on principals.

use crate::glob::like;

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
    use super::*;

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
