//! URLs and hosts: what kind they are, and whether they are trusted.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use crate::indicators::{entries, matches_domain};
use crate::user_data::Trust;

static TRUSTED: LazyLock<Lists> = LazyLock::new(|| Lists::read(include_str!("trusted-hosts.txt")));
static DROPS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| entries(include_str!("drop-hosts.txt")).collect());

/// The built-in list. A few hundred entries looked through for the few hosts of a script cost less than
/// a table of their hashes would to make.
struct Lists {
    hosts: Vec<&'static str>,
    domains: Vec<&'static str>,
    /// Host and path prefix.
    paths: Vec<(&'static str, &'static str)>,
    buckets: Vec<&'static str>,
}

impl Lists {
    fn read(list: &'static str) -> Lists {
        let mut lists =
            Lists { hosts: Vec::new(), domains: Vec::new(), paths: Vec::new(), buckets: Vec::new() };
        for entry in entries(list) {
            if let Some(bucket) = entry.strip_prefix("s3:") {
                lists.buckets.push(bucket);
            } else if let Some(domain) = entry.strip_prefix("*.") {
                lists.domains.push(domain);
            } else if let Some((host, path)) = entry.split_once('/') {
                lists.paths.push((host, path));
            } else {
                lists.hosts.push(entry);
            }
        }
        lists
    }
}

/// What kind of host a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// A public IP address, in whatever notation.
    PublicAddress,
    /// Loopback, private or link-local addresses, and names that only resolve inside.
    Internal,
    /// The metadata service of an instance or a task.
    Metadata,
    Name,
    /// Only known at run time.
    Dynamic,
}

/// A URL as it stands in a script; nothing in it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url<'a> {
    pub scheme: &'a str,
    pub host: &'a str,
    /// From behind the host, without the leading slash.
    pub path: &'a str,
}

impl<'a> Url<'a> {
    /// Every URL in a text.
    pub fn all(text: &'a str) -> impl Iterator<Item = Url<'a>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = at + text.get(at..)?.find("://")?;
            at = found + 3;
            let before = text.get(..found)?;
            let start = before
                .char_indices()
                .rev()
                .take_while(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
                .last()
                .map_or(found, |(start, _)| start);
            let rest = text.get(at..)?;
            let end = rest.find(ends_url).unwrap_or(rest.len());
            Some(Url::split(text.get(start..found)?, rest.get(..end)?))
        })
        .filter(|url| !url.scheme.is_empty() && !url.host.is_empty())
    }

    /// The URL that a download program would make of an argument: a scheme may be missing.
    pub fn argument(text: &'a str) -> Option<Url<'a>> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return Some(Url::split(scheme, rest.split(ends_url).next().unwrap_or(rest)));
        }
        let url = Url::split("", text);
        let plausible = url.host.contains('.') || url.host == "localhost" || address(url.host).is_some();
        (plausible && !text.starts_with(['-', '.', '/', '@']) && !text.contains(' '))
            .then_some(Url { scheme: "http", ..url })
    }

    fn split(scheme: &'a str, rest: &'a str) -> Url<'a> {
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A host known only at run time may be written with any characters.
        let authority = rest.get(..authority_end).unwrap_or(rest);
        let path = rest.get(authority_end..).unwrap_or("").trim_start_matches('/');
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or(six),
            None if host.starts_with('$') => host,
            None => host.split(':').next().unwrap_or(host).trim_end_matches(']'),
        };
        Url { scheme, host, path }
    }

    pub fn kind(&self) -> HostKind {
        host_kind(self.host)
    }
}

/// Characters that a URL in a script does not go past.
fn ends_url(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '"' | '\'' | '`' | '<' | '>' | '|' | ';' | '\\' | ')' | ',')
}

/// The kind of a host.
pub fn host_kind(host: &str) -> HostKind {
    if host.is_empty() || host.contains('$') || host.contains('{') {
        return HostKind::Dynamic;
    }
    match address(host) {
        Some(address) if is_metadata(address) => HostKind::Metadata,
        Some(address) if is_public(address) => HostKind::PublicAddress,
        Some(_) => HostKind::Internal,
        None => {
            let lower = host.to_ascii_lowercase();
            let inside = [
                ".internal",
                ".local",
                ".localdomain",
                ".lan",
                ".consul",
                ".corp",
                ".intranet",
                ".home.arpa",
            ];
            if lower == "localhost"
                || !lower.contains('.')
                || inside.iter().any(|suffix| lower.ends_with(suffix))
            {
                if lower.starts_with("metadata.") {
                    return HostKind::Metadata;
                }
                HostKind::Internal
            } else {
                HostKind::Name
            }
        }
    }
}

/// An IP address in the notations that programs accept: dotted, one number, hexadecimal, octal.
pub fn address(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address);
    }
    if !host.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut parts = Vec::new();
    for part in host.split('.') {
        let number = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16),
            None if part.len() > 1 && part.starts_with('0') => u64::from_str_radix(part, 8),
            None => part.parse(),
        };
        parts.push(number.ok()?);
    }
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|part| *part > 255) {
        return None;
    }
    // A bare small number is a number, not a host.
    if front.is_empty() && *last < 1 << 24 {
        return None;
    }
    let bits = 8 * (4 - front.len() as u32);
    if *last >= 1u64 << bits {
        return None;
    }
    let high = front.iter().fold(0u64, |value, part| (value << 8) | part);
    Some(IpAddr::V4(Ipv4Addr::from(((high << bits) | last) as u32)))
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            matches!(v4.octets(), [169, 254, 169, 254] | [169, 254, 170, 2] | [169, 254, 170, 23])
        }
        IpAddr::V6(v6) => v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    }
}

/// Whether an address is reachable from everywhere. Documentation ranges count as public: in a script
/// they stand for somebody's address. Well-known resolvers do not.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let known = matches!(
                v4.octets(),
                [8, 8, 8, 8] | [8, 8, 4, 4] | [1, 1, 1, 1] | [1, 0, 0, 1] | [9, 9, 9, 9]
            );
            !(known
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || (a == 100 && (64..128).contains(&b))
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            let [first, ..] = v6.segments();
            !(v6.is_loopback() || v6.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
        }
    }
}

/// Whether a host is one for pastes, tunnels, hidden services or throw-away webhooks.
pub fn is_drop_host(host: &str) -> bool {
    let lower = host.to_ascii_lowercase();
    lower.ends_with(".onion") || matches_domain(&DROPS, &lower)
}

/// Whether something fetched from `url` comes from whom the policy or the built-in list trusts. Transport
/// is the caller's to judge.
pub fn is_trusted(url: &Url<'_>, trust: &Trust) -> bool {
    let host = url.host.trim_end_matches('.').to_ascii_lowercase();
    if trust.hosts.iter().any(|pattern| host_matches(pattern, &host)) {
        return true;
    }
    if let Some(bucket) = bucket_of(url) {
        let own = trust.buckets.iter().map(String::as_str);
        return own.chain(TRUSTED.buckets.iter().copied()).any(|pattern| bucket_matches(pattern, &bucket));
    }
    if TRUSTED.hosts.contains(&host.as_str()) || is_aws_own(&host) {
        return true;
    }
    if TRUSTED.domains.iter().any(|domain| below(&host, domain)) {
        return true;
    }
    TRUSTED.paths.iter().any(|(known, prefix)| *known == host && starts_with_path(url.path, prefix))
}

/// `awscli.amazonaws.com`: names right below amazonaws.com are AWS's own. What customers name stands below
/// a service and a region.
fn is_aws_own(host: &str) -> bool {
    let label = host.strip_suffix(".amazonaws.com").unwrap_or("");
    !label.is_empty() && !label.contains('.') && !label.starts_with("s3")
}

/// A path begins with a prefix that cannot be left by `..`.
fn starts_with_path(path: &str, prefix: &str) -> bool {
    path.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)) && !path.contains("..")
}

fn host_matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.trim().trim_end_matches('.').to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => below(host, domain),
        None => !pattern.is_empty() && pattern == host,
    }
}

/// Whether a host is a subdomain of a domain.
fn below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn bucket_matches(pattern: &str, bucket: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => !prefix.is_empty() && bucket.starts_with(prefix),
        None => pattern == bucket,
    }
}

/// The S3 bucket that a URL names, in any of its forms. Some for S3 hosts, even without a bucket's name.
pub fn bucket_of(url: &Url<'_>) -> Option<String> {
    if url.scheme.eq_ignore_ascii_case("s3") {
        return Some(url.host.to_ascii_lowercase());
    }
    let host = url.host.to_ascii_lowercase();
    let host = host.strip_suffix(".cn").unwrap_or(&host);
    let service = host.strip_suffix(".amazonaws.com")?;
    let is_s3 = |label: &str| label == "s3" || label.starts_with("s3-") || label.starts_with("s3.");
    if is_s3(service) {
        return Some(url.path.split('/').next().unwrap_or("").to_ascii_lowercase());
    }
    let at = service.find(".s3").filter(|at| service.get(at + 1..).is_some_and(is_s3))?;
    service.get(..at).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_in_every_notation() {
        for (host, kind) in [
            ("203.0.113.9", HostKind::PublicAddress),
            ("3405803785", HostKind::PublicAddress),
            ("0xCB007109", HostKind::PublicAddress),
            ("0313.0.0161.011", HostKind::PublicAddress),
            ("2001:db8::1", HostKind::PublicAddress),
            ("10.1.2.3", HostKind::Internal),
            ("172.31.0.1", HostKind::Internal),
            ("127.0.0.1", HostKind::Internal),
            ("100.100.0.1", HostKind::Internal),
            ("::1", HostKind::Internal),
            ("8.8.8.8", HostKind::Internal),
            ("db", HostKind::Internal),
            ("ip-10-0-0-1.ec2.internal", HostKind::Internal),
            ("169.254.169.254", HostKind::Metadata),
            ("2852039166", HostKind::Metadata),
            ("fd00:ec2::254", HostKind::Metadata),
            ("metadata.google.internal", HostKind::Metadata),
            ("example.com", HostKind::Name),
            ("1.2.3.4.nip.io", HostKind::Name),
            ("${HOST}", HostKind::Dynamic),
        ] {
            assert_eq!(host_kind(host), kind, "{host}");
        }
    }

    #[test]
    fn urls_are_found_wherever_they_stand() {
        let text = "a https://u:p@[2001:db8::1]:8/x?y 'http://h/p' ftp://$H/z git+ssh://g.io";
        let found: Vec<_> = Url::all(text).map(|url| (url.scheme, url.host, url.path)).collect();
        assert_eq!(
            found,
            [
                ("https", "2001:db8::1", "x?y"),
                ("http", "h", "p"),
                ("ftp", "$H", "z"),
                ("git+ssh", "g.io", "")
            ]
        );
        assert_eq!(Url::argument("203.0.113.9:81/x").map(|url| url.host), Some("203.0.113.9"));
        assert_eq!(Url::argument("-s"), None);
    }

    #[test]
    fn trust_is_exact() {
        let trust = Trust {
            hosts: vec!["*.corp.example".into(), "one.example".into()],
            buckets: vec!["acme-*".into()],
            registries: vec![],
        };
        let trusted = |text: &str| Url::all(text).next().is_some_and(|url| is_trusted(&url, &trust));
        for url in [
            "https://get.docker.com",
            "https://awscli.amazonaws.com/x.zip",
            "https://a.corp.example/x",
            "https://one.example/",
            "https://acme-boot.s3.eu-west-1.amazonaws.com/x",
            "https://s3.amazonaws.com/acme-boot/x",
            "https://s3-us-west-2.amazonaws.com/acme-boot/x",
            "s3://acme-boot/x",
            "https://raw.githubusercontent.com/nvm-sh/nvm/v0.40.1/install.sh",
            "https://aws-codedeploy-us-east-1.s3.us-east-1.amazonaws.com/latest/install",
        ] {
            assert!(trusted(url), "{url}");
        }
        for url in [
            "https://get.docker.com.evil.example",
            "https://evil.example/get.docker.com",
            "https://notone.example/",
            "https://corp.example/x",
            "https://evil-acme-boot.s3.amazonaws.com/x",
            "https://s3.amazonaws.com/evil/acme-boot",
            "https://get.docker.com@evil.example/",
            "https://raw.githubusercontent.com/nvm-shady/nvm/x",
            "https://raw.githubusercontent.com/nvm-sh/../evil/x",
            "https://x.execute-api.us-east-1.amazonaws.com/",
        ] {
            assert!(!trusted(url), "{url}");
        }
    }

    #[test]
    fn drop_hosts_match_by_domain() {
        for host in ["pastebin.com", "abc.ngrok-free.app", "xyz.onion", "x.trycloudflare.com"] {
            assert!(is_drop_host(host), "{host}");
        }
        for host in ["notpastebin.com", "discord.community.example", "ngrok.example.com"] {
            assert!(!is_drop_host(host), "{host}");
        }
    }
}
