//! Names that give mining away, wherever they turn up: programs and pools.
//!
//! The lists are text files with their source and date, compiled in and read on first use. Host names
//! match as a registered domain or its subdomains, never as a substring.

use std::collections::HashSet;
use std::sync::LazyLock;

static MINERS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| entries(include_str!("miners.txt")).collect());
static POOLS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| entries(include_str!("mining-pools.txt")).collect());

/// The entries of a list: one a line; lines that begin with `#` are comments.
pub fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a program's base name is a known miner: `xmrig`, `xmrig-6.21.0`, `XMRig.exe`.
pub fn is_miner(name: &str) -> bool {
    let name = name.trim_start_matches('.').to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    if MINERS.contains(name) {
        return true;
    }
    // Names with a version, an architecture or an archive's extension behind them.
    let mut end = 0;
    while let Some(next) = name.get(end..).and_then(|rest| rest.find(['-', '_', '.'])) {
        end += next;
        if name.get(..end).is_some_and(|head| MINERS.contains(head)) {
            return true;
        }
        end += 1;
    }
    false
}

/// Whether a host is a mining pool, or below one.
pub fn is_mining_pool(host: &str) -> bool {
    matches_domain(&POOLS, host)
}

/// Whether `host` is in `domains` or is a subdomain of one that is.
pub fn matches_domain(domains: &HashSet<&'static str>, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let mut rest = host.as_str();
    loop {
        if domains.contains(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_match_by_domain_and_never_by_substring() {
        for host in ["minexmr.com", "pool.minexmr.com", "XMR-EU1.nanopool.org.", "stratum.antpool.com"] {
            assert!(is_mining_pool(host), "{host}");
        }
        for host in ["notminexmr.com", "minexmr.com.example.org", "nanopool.example", "com", ""] {
            assert!(!is_mining_pool(host), "{host}");
        }
    }

    #[test]
    fn lists_are_lower_case_without_spaces() {
        for entry in MINERS.iter().chain(POOLS.iter()) {
            assert!(
                entry
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)),
                "{entry}"
            );
        }
    }

    #[test]
    fn miners_match_with_versions_and_extensions_only() {
        for name in ["xmrig", "XMRig.exe", "xmrig-6.21.0-linux-x64.tar.gz", "t-rex", "lolMiner_v1", ".xmrig"]
        {
            assert!(is_miner(name), "{name}");
        }
        for name in ["xmrigs", "t", "rex", "mining", "claymores", "trex-park", "docker"] {
            assert!(!is_miner(name), "{name}");
        }
    }
}
