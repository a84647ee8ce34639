//! Addresses and programs: what counts as out on the Internet, and who browses it.

use std::net::{IpAddr, Ipv4Addr};

/// Programs that people browse with.
const BROWSERS: [&str; 19] = [
    "chrome",
    "google-chrome",
    "google-chrome-stable",
    "google chrome",
    "chromium",
    "chromium-browser",
    "chrome-headless-shell",
    "headless_shell",
    "firefox",
    "firefox-esr",
    "firefox-bin",
    "msedge",
    "microsoft-edge",
    "safari",
    "opera",
    "brave",
    "brave-browser",
    "vivaldi",
    "iexplore",
];

/// Whether an address is one of the Internet's. Networks for documentation count as such: nothing of an
/// account's own has them.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !is_local(address),
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local())
        }
    }
}

fn is_local(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || first == 0
        // Carrier-grade NAT, which EKS gives to pods.
        || (first == 100 && (64..128).contains(&second))
        // Multicast, reserved, broadcast.
        || first >= 224
}

/// Whether a program's path is a browser's.
pub fn is_browser(program: &str) -> bool {
    let name = name(program);
    BROWSERS.contains(&name.as_str())
}

/// A path's file name, lower case, without `.exe`.
pub fn name(program: &str) -> String {
    crate::activity::program(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_told_from_what_is_near() {
        for address in ["8.8.8.8", "198.51.100.7", "100.63.0.1", "100.128.0.1", "2600::1", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn browsers_are_known_by_their_file_name() {
        for path in ["/opt/google/chrome/chrome", "C:\\Program Files\\Mozilla Firefox\\firefox.exe", "msedge"]
        {
            assert!(is_browser(path), "{path}");
        }
        for path in ["/tmp/chrome/xmrig", "chromedriver2", ""] {
            assert!(!is_browser(path), "{path}");
        }
    }
}
