//! `net`: hosts without names, shells on sockets, tunnels, scanners.

use super::Id;
use super::fetch::{self, Fetch, Standing};
use super::hosts::{HostKind, Url, host_kind, is_drop_host, is_trusted};
use super::{Case, Part, flow::Place, shells};
use crate::indicators::programs::{Class, has};
use crate::user_data::Language;
use crate::user_data::script::{Command, basename};

/// Text that commands print for people and logs, which is not acted on.
pub(super) fn only_prints(command: &Command) -> bool {
    match command.name.as_str() {
        "logger" | "wall" | "say" | "figlet" | "notify-send" | "write-host" | "write-output"
        | "write-verbose" | "log" | "info" | "warn" | "error" | "die" | "fatal" | "log_info"
        | "log_error" | "banner" | "rem" | "title" => true,
        "echo" | "printf" | "cat" => {
            !command.piped
                && command
                    .redirects
                    .iter()
                    .filter(|redirect| redirect.writes())
                    .all(|redirect| is_log(&redirect.target.text))
                && (command.name != "cat" || command.args().is_empty())
        }
        "[" | "[[" | "test" | ":" | "true" | "grep" | "egrep" | "fgrep" | "zgrep" => true,
        _ => false,
    }
}

/// Where messages go rather than files.
fn is_log(target: &str) -> bool {
    target.starts_with("/dev/")
        || target.starts_with("/var/log/")
        || target.ends_with(".log")
        || matches!(target, "/etc/motd" | "/etc/issue" | "/etc/issue.net")
}

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, index);
    let language = part.script.units.get(command.unit as usize).map(|unit| unit.language);
    hosts(case, at, command, language);
    shells::shell_on_socket(case, at, part, command);
    let names = installed(command);
    let fetch = fetch::parse(command);
    // Started, installed, cloned, or fetched under its name.
    let uses = |class: Class| {
        has(&command.name, class)
            || names.iter().any(|name| has(name, class))
            || fetch.as_ref().is_some_and(|fetch| fetch.urls.iter().any(|url| names_program(url, class)))
    };
    if uses(Class::Tunnel) {
        case.hit(Id::Net05, at);
    }
    let tunnels = matches!(command.name.as_str(), "ssh" | "autossh" | "plink")
        && command.args().iter().any(|word| {
            word.text == "-R"
                || word.text.starts_with("-R")
                || word.text.ends_with("fNR")
                || word.text.ends_with("NR")
        });
    if tunnels {
        case.hit(Id::Net05, at);
        let target = command.operands().filter_map(|word| word.text.rsplit_once('@')).map(|(_, host)| host);
        if target.into_iter().any(|host| host_kind(host) == HostKind::PublicAddress) {
            case.hit(Id::Net01, at);
        }
    }
    if uses(Class::Scanner) {
        case.hit(Id::Net07, at);
    }
    if uses(Class::Handler) || uses(Class::Attack) {
        case.hit(Id::Net08, at);
    }
}

/// Whether a URL's path names a program as a word of its own: `frp_0.61_linux_amd64.tar.gz`.
fn names_program(url: &Url<'_>, class: Class) -> bool {
    if url.host.ends_with("gsocket.io") {
        return class == Class::Tunnel;
    }
    let path = url.path.split(['?', '#']).next().unwrap_or("");
    let listed = |name: &str| has(name, class);
    // The file itself, or the repository; other folders are called anything.
    let file = basename(path);
    let repository = path.split('/').nth(1).filter(|_| url.host == "github.com").unwrap_or("");
    listed(file)
        || listed(repository)
        || file.split(['_', '-', '.']).next().is_some_and(|head| file != head && listed(head))
}

/// The packages that a command installs, the services it starts, the repository it clones, the image it runs.
pub(super) fn installed(command: &Command) -> Vec<&str> {
    let operands = || command.operands().map(|word| word.text.as_str());
    let first = command.operands().next().map_or("", |word| word.text.as_str());
    match command.name.as_str() {
        "apt" | "apt-get" | "yum" | "dnf" | "apk" | "zypper" | "pip" | "pip3" | "snap" | "brew"
        | "pacman" | "npm" | "aptitude" | "microdnf" | "go" | "cargo" | "gem" | "choco" | "winget"
        | "conda" => {
            let installs = operands()
                .any(|text| matches!(text, "install" | "add" | "localinstall" | "get" | "in"))
                || command.args().iter().any(|word| word.text.starts_with("-S"));
            if !installs { Vec::new() } else { operands().skip(1).map(package_name).collect() }
        }
        "systemctl" => {
            let starts = operands().any(|text| matches!(text, "start" | "enable" | "restart" | "reenable"));
            if starts {
                operands().skip(1).map(|name| name.trim_end_matches(".service")).collect()
            } else {
                Vec::new()
            }
        }
        "service" | "rc-service" => {
            let starts = operands().nth(1).is_some_and(|verb| matches!(verb, "start" | "restart"));
            if starts { vec![first] } else { Vec::new() }
        }
        "git" if first == "clone" => operands()
            .skip(1)
            .take(1)
            .map(|url| basename(url.trim_end_matches('/')).trim_end_matches(".git"))
            .collect(),
        _ => Vec::new(),
    }
}

/// The last part of a package's name, without its version.
fn package_name(text: &str) -> &str {
    let name = basename(text);
    name.split(['=', '@', '>', '<', '~', ':']).next().filter(|name| !name.is_empty()).unwrap_or(name)
}

fn hosts(case: &mut Case<'_>, at: Place, command: &Command, language: Option<Language>) {
    if only_prints(command) {
        return;
    }
    if let Some(fetch) = fetch::parse(command) {
        let trust = case.trust;
        if fetch.urls.iter().any(|url| url.kind() == HostKind::PublicAddress && !is_trusted(url, trust)) {
            case.hit(Id::Net01, at);
        }
        if fetch.urls.iter().any(|url| is_drop_host(url.host) && !is_trusted(url, trust)) {
            case.hit(Id::Net02, at);
        }
    }
    let windows = matches!(language, Some(Language::PowerShell | Language::Batch));
    let acts = windows
        || matches!(
            command.name.as_str(),
            "git"
                | "pip"
                | "pip3"
                | "npm"
                | "msiexec"
                | "mshta"
                | "regsvr32"
                | "rundll32"
                | "rpm"
                | "yum"
                | "dnf"
                | "bash"
                | "sh"
                | "ftp"
                | "sftp"
                | "wmic"
                | "start-process"
                | "invoke-expression"
                | "iex"
                | "add-apt-repository"
        );
    for word in command.args() {
        if !word.text.contains("://") {
            continue;
        }
        for url in Url::all(&word.text) {
            if acts && url.kind() == HostKind::PublicAddress && !is_trusted(&url, case.trust) {
                case.hit(Id::Net01, at);
            }
            if is_drop_host(url.host)
                && !matches!(command.name.as_str(), "echo" | "cat" | "sed" | "awk")
                && !is_trusted(&url, case.trust)
            {
                case.hit(Id::Net02, at);
            }
        }
    }
    if has(&command.name, Class::Connector) {
        let address = |text: &str| {
            let host = text.rsplit([':', ',']).find(|piece| host_kind(piece) == HostKind::PublicAddress);
            host.is_some() || host_kind(text) == HostKind::PublicAddress
        };
        if command.operands().any(|word| address(&word.text)) {
            case.hit(Id::Net01, at);
        }
    }
    for redirect in &command.redirects {
        let Some(host) = socket_host(&redirect.target.text) else { continue };
        if host_kind(host) == HostKind::PublicAddress {
            case.hit(Id::Net01, at);
        } else if is_drop_host(host) {
            case.hit(Id::Net02, at);
        }
    }
}

/// The host of `/dev/tcp/host/port`.
pub(super) fn socket_host(target: &str) -> Option<&str> {
    let rest = target.strip_prefix("/dev/tcp/").or_else(|| target.strip_prefix("/dev/udp/"))?;
    Some(rest.split('/').next().unwrap_or(rest))
}

/// Sockets in other languages.
pub(super) fn other_language(case: &mut Case<'_>, unit: (usize, u32), language: Language, text: &str) {
    if shells::socket_shell(language, text) {
        case.hit_near(Id::Net04, unit, &["socket", "Socket", "fsockopen", "connect("]);
    }
    let trust = case.trust;
    let untrusted = |url: &Url<'_>| !is_trusted(url, trust);
    let address = Url::all(text).find(|url| url.kind() == HostKind::PublicAddress && untrusted(url));
    if let Some(url) = address {
        case.hit_near(Id::Net01, unit, &[url.host]);
    } else if let Some(host) =
        quoted_address(text).filter(|_| text.contains("socket") || text.contains("connect"))
    {
        case.hit_near(Id::Net01, unit, &[host]);
    }
    if let Some(url) = Url::all(text).find(|url| is_drop_host(url.host) && untrusted(url)) {
        case.hit_near(Id::Net02, unit, &[url.host]);
    }
    let fetched = Fetch { urls: Url::all(text).collect(), ..Fetch::default() };
    let insecure = [
        "verify=False",
        "CERT_NONE",
        "_create_unverified_context",
        "VERIFY_NONE",
        "rejectUnauthorized: false",
    ];
    if fetched.standing(trust) == Standing::Untrusted && insecure.iter().any(|needle| text.contains(needle)) {
        case.hit_near(Id::Net06, unit, &insecure);
    }
}

/// A public address that stands in quotes.
fn quoted_address(text: &str) -> Option<&str> {
    text.split(['"', '\'']).find(|piece| {
        piece.len() > 6
            && piece.len() < 40
            && piece.contains('.')
            && host_kind(piece) == HostKind::PublicAddress
    })
}
