//! Names that give mining away, wherever they turn up: programs and pools.
//!
//! The lists are text files with their source and date, compiled in and read on first use. Host names
//! match as a registered domain or its subdomains, never as a substring.

pub mod programs;

use std::collections::HashSet;
use std::sync::LazyLock;

static POOLS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| entries(include_str!("mining-pools.txt")).collect());

/// The longest host name that DNS allows, in bytes. A longer text is no host.
const MAX_HOST: usize = 253;

/// The entries of a list: one a line; lines that begin with `#` are comments.
pub fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a program's base name is a known miner: `xmrig`, `xmrig-6.21.0`, `XMRig.exe`.
pub fn is_miner(name: &str) -> bool {
    programs::is_named_after(name, programs::Class::Miner)
}

/// Whether a host is a mining pool, or below one.
pub fn is_mining_pool(host: &str) -> bool {
    matches_domain(&POOLS, host)
}

/// Whether `host` is in `domains` or is a subdomain of one that is.
pub fn matches_domain(domains: &HashSet<&'static str>, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if host.len() > MAX_HOST {
        return false;
    }
    let host = host.to_ascii_lowercase();
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

    /// Hosts that public lists name: of 251 only 61 were known.
    #[test]
    fn the_known_families_of_pools_are_in_the_list() {
        let text = include_str!("mining-pools.txt");
        assert!(text.contains("# Source: ") && text.contains("# Date: 20"));
        for host in [
            "donate.v2.xmrig.com",
            "donate.ssl.xmrig.com",
            "eu.luckpool.net",
            "mine.ppxxmr.com",
            "pool.gntl.co.uk",
            "turtle.miner.rocks",
            "xmr.2miners.com",
            "xmr-eu1.nanopool.org",
            "gulf.moneroocean.stream",
            "pool.hashvault.pro",
            "stratum.zpool.ca",
            "cryptoknight.cc",
            "moneropool.ru",
        ] {
            assert!(is_mining_pool(host), "{host}");
        }
        for host in ["xmrig.com", "www.us.to", "graef.in", "dwarfpool.example.com"] {
            assert!(!is_mining_pool(host), "{host}");
        }
    }

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
    fn a_text_longer_than_any_host_or_program_name_is_neither() {
        let long = "a.".repeat(MAX_HOST) + "minexmr.com";
        assert!(!is_mining_pool(&long));
        assert!(is_mining_pool(&format!("{}.minexmr.com", "a".repeat(200))));
        assert!(!is_miner(&format!("xmrig-{}", "a-".repeat(MAX_HOST))));
        assert!(is_miner(&format!("xmrig-{}", "a".repeat(200))));
    }

    #[test]
    fn lists_are_lower_case_without_spaces() {
        for entry in POOLS.iter() {
            assert!(
                entry
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)),
                "{entry}"
            );
        }
    }
}
