//! What is no script: settings, included URLs, files, parts that could not be read.

use super::Id;
use super::defence::writes_to;
use super::exec::is_odd_place;
use super::hosts::{HostKind, Url, is_drop_host, is_trusted};
use super::mining::{self, is_miner_image};
use super::persistence::OWN_SUDO;
use super::{Case, Spot};
use crate::indicators::is_miner;
use crate::indicators::programs::{self, Class};
use crate::user_data::script::{Command, Role, absolute, role};
use crate::user_data::{Content, Language, Odd, Piece};

/// Layers of encoding from which on something is being hidden.
const MANY_ENCODINGS: usize = 3;

pub(super) fn piece(case: &mut Case<'_>, piece: &Piece, all: &[Piece]) {
    let spot = Spot::Path(&piece.path);
    match &piece.content {
        Content::Script { .. } => {}
        Content::File { target, text } => file(case, spot, target, text),
        Content::Setting { key, value } => {
            if key.ends_with("users.ssh_authorized_keys") && is_root(&piece.path, all) {
                case.hit_spot(Id::Per03, spot, value);
            }
            setting(case, spot, key, value);
        }
        Content::Include { url } => include(case, spot, url),
        Content::Undecodable { reason, sha256, len } => {
            let quote = format!("{reason}; {len} bytes, SHA-256 {sha256}");
            case.hit_text(Id::Dec02, 0, piece.path.clone(), &quote);
        }
        Content::Odd { what: Odd::OverBound, text } => case.hit_spot(Id::Dec05, spot, text),
        Content::Odd { what: Odd::BuiltText, text } => case.hit_spot(Id::Dec04, spot, text),
        Content::Odd { what: Odd::Unrendered, text } => case.hit_spot_weighing(Id::Dec04, 0, spot, text),
    }
}

/// Whether a setting of an entry of `users` belongs to root: its name is a setting beside it.
fn is_root(path: &str, all: &[Piece]) -> bool {
    let Some((entry, _)) = path.split_once("].") else { return false };
    all.iter().any(|piece| {
        let name = matches!(&piece.content, Content::Setting { key, value } if key.ends_with("users.name") && value == "root");
        name && piece.path.strip_prefix(entry).is_some_and(|rest| rest == "].name")
    })
}

pub(super) fn encodings(case: &mut Case<'_>, encodings: usize, mismatch: Option<&str>) {
    if let Some(mismatch) = mismatch {
        let weight = Id::Dec01.signal().weight;
        case.hit_text(Id::Dec01, weight, mismatch.to_owned(), mismatch);
    } else if encodings >= MANY_ENCODINGS {
        let weight = Id::Dec01.signal().weight;
        case.hit_text(Id::Dec01, weight, String::new(), &format!("{encodings} encodings inside one another"));
    }
}

fn include(case: &mut Case<'_>, spot: Spot<'_>, url: &str) {
    if url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return;
    }
    let parsed = Url::all(url).next();
    let Some(parsed) = parsed else {
        // Not a URL that can be told: said, but nobody to distrust.
        if !url.trim().is_empty() && !url.starts_with('/') && !url.starts_with("arn:") {
            case.hit_spot(Id::Exe07, spot, url);
        }
        return;
    };
    let inside = matches!(parsed.kind(), HostKind::Metadata | HostKind::Internal) && parsed.scheme != "s3";
    let secure = matches!(parsed.scheme, "https" | "s3");
    let dynamic_bucket = super::hosts::bucket_of(&parsed).is_some_and(|bucket| bucket.contains('$'));
    if inside || dynamic_bucket || (secure && is_trusted(&parsed, case.trust)) {
        return;
    }
    case.hit_spot(Id::Exe07, spot, url);
    if parsed.kind() == HostKind::PublicAddress {
        case.hit_spot(Id::Net01, spot, url);
    }
    if is_drop_host(parsed.host) {
        case.hit_spot(Id::Net02, spot, url);
    }
    if parsed.path.split(['/', '?', '#']).any(is_miner) {
        case.hit_spot(Id::Min01, spot, url);
    }
}

fn setting(case: &mut Case<'_>, spot: Spot<'_>, key: &str, value: &str) {
    let last = key.rsplit('.').next().unwrap_or(key);
    let lower = value.to_ascii_lowercase();
    mining::text_signals(case, spot, value);
    mining::tuning_file(case, spot, value);
    if key.starts_with("packages") || last == "packages" {
        let name = value.split_ascii_whitespace().next().unwrap_or(value);
        if is_miner(name) {
            case.hit_spot(Id::Min01, spot, value);
        }
        let classes = programs::classes(name.split(['=', '@']).next().unwrap_or(name));
        if classes.has(Class::Tunnel) {
            case.hit_spot(Id::Net05, spot, value);
        }
        if classes.has(Class::Scanner) {
            case.hit_spot(Id::Net07, spot, value);
        }
        if classes.has_any(&[Class::Handler, Class::Attack]) {
            case.hit_spot(Id::Net08, spot, value);
        }
    }
    super::images::setting(case, spot, key, value);
    if matches!(last, "image" | "source") && is_miner_image(value) {
        case.hit_spot(Id::Min01, spot, value);
    }
    if last == "ssh_authorized_keys" && (value.contains("://") || key.contains("root")) {
        case.hit_spot(Id::Per03, spot, value);
    }
    if last == "sudo" && lower.contains("nopasswd") && key != "system_info.default_user.sudo" {
        case.hit_spot_weighing(Id::Per04, OWN_SUDO, spot, value);
    }
    let root_password =
        key.starts_with("chpasswd") && (value.starts_with("root:") || (last == "name" && value == "root"));
    let second_root = key.starts_with("users") && last == "uid" && value.trim() == "0";
    if root_password {
        case.hit_spot(Id::Per04, spot, value);
    }
    if second_root {
        case.hit_spot(Id::Per10, spot, value);
    }
    if key.contains("ca_certs") && last == "trusted" {
        case.hit_spot(Id::Sup01, spot, value);
    }
    if key.starts_with("apt") || key.starts_with("yum_repos") || key.starts_with("zypper") {
        repository(case, spot, value);
    }
    if last == "url" || key.starts_with("phone_home") || key.starts_with("apt") || key.starts_with("yum") {
        for url in Url::all(value) {
            if url.kind() == HostKind::PublicAddress && !is_trusted(&url, case.trust) {
                case.hit_spot(Id::Net01, spot, value);
            }
            if is_drop_host(url.host) && !is_trusted(&url, case.trust) {
                case.hit_spot(Id::Net02, spot, value);
            }
        }
    }
}

/// A file that is written, by whatever means.
pub(super) fn file(case: &mut Case<'_>, spot: Spot<'_>, target: &str, text: &str) {
    let target = absolute(target);
    if target == "/etc/hosts" {
        return;
    }
    mining::settings_file(case, spot, &target, text);
    mining::tuning_file(case, spot, text);
    super::backdoor::file(case, spot, &target, text);
    super::impact::note(case, spot, &target, text);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    if target.ends_with("/etc/ld.so.preload") && !first.is_empty() {
        case.hit_spot(Id::Def02, spot, first);
    }
    if target.starts_with("/root/") && target.contains("authorized_keys") && !first.is_empty() {
        case.hit_spot(Id::Per03, spot, first);
    }
    let line_with =
        |needle: &str| text.lines().find(|line| line.contains(needle) && !line.trim_start().starts_with('#'));
    if target.contains("/etc/sudoers")
        && let Some(line) = line_with("NOPASSWD")
    {
        let weight = if frees_a_service(line) { FREED_SERVICE } else { OWN_SUDO };
        case.hit_spot_weighing(Id::Per04, weight, spot, line);
    }
    if target.contains("sshd_config")
        && let Some(line) = line_with("PermitRootLogin yes").or_else(|| line_with("PermitEmptyPasswords yes"))
    {
        case.hit_spot(Id::Per04, spot, line);
    }
    if target.contains("/apt/")
        || target.contains("/yum.repos.d/")
        || target.ends_with(".repo")
        || target.ends_with(".list")
        || target.ends_with(".sources")
    {
        repository(case, spot, text);
    }
    // An environment that loads a library into everything.
    if matches!(target.as_str(), "/etc/environment") || role(&target) == Role::Boot {
        let preload = text.lines().find(|line| {
            line.split_once("LD_PRELOAD=")
                .is_some_and(|(_, path)| is_odd_place(path.trim_matches(['"', '\''])))
        });
        if let Some(line) = preload {
            case.hit_spot(Id::Def02, spot, line);
        }
        // A file that every shell reads first, where anybody may write it.
        let read_first = text.lines().find(|line| {
            ["BASH_ENV=", "ENV=", "ZDOTDIR="].iter().any(|name| {
                let line = line.trim_start().trim_start_matches("export ");
                line.strip_prefix(name).is_some_and(|path| is_odd_place(path.trim_matches(['"', '\''])))
            })
        });
        if let Some(line) = read_first {
            case.hit_spot_weighing(Id::Per05, READ_BY_EVERY_SHELL, spot, line);
        }
    }
    let other =
        [".go", ".c", ".java", ".js", ".lua", ".rs", ".cs", ".tcl"].iter().any(|end| target.ends_with(end));
    if other && super::shells::socket_shell(Language::Other, text) {
        case.hit_spot(Id::Net04, spot, first);
    }
    container(case, spot, &target, text);
}

/// What a file in an odd place weighs when every shell reads it.
const READ_BY_EVERY_SHELL: u32 = 50;
/// What root without a password for the user of a service weighs: a hole in the service is then one in
/// the machine, and no set-up needs it.
const FREED_SERVICE: u32 = 50;
/// Users that services run as and nobody logs in with; `ALL` is everybody.
const SERVICE_USERS: [&str; 9] =
    ["www-data", "apache", "nginx", "http", "httpd", "nobody", "daemon", "tomcat", "ALL"];

/// Whether a line of sudoers gives all commands to the user of a service.
fn frees_a_service(line: &str) -> bool {
    let all = line.rsplit_once("NOPASSWD:").is_some_and(|(_, commands)| commands.trim() == "ALL");
    all && line.split_whitespace().next().is_some_and(|user| SERVICE_USERS.contains(&user))
}

/// Images in compose files, pod manifests and container units.
fn container(case: &mut Case<'_>, spot: Spot<'_>, target: &str, text: &str) {
    let named = [".yaml", ".yml", ".json", ".container"].iter().any(|end| target.ends_with(end));
    if !named {
        return;
    }
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        let Some((key, value)) = line.split_once([':', '=']) else { continue };
        let key = key.trim().trim_matches('"');
        if !key.eq_ignore_ascii_case("image") {
            continue;
        }
        let image = value.trim().trim_matches([',', '"', '\'']);
        if is_miner_image(image) {
            case.hit_spot(Id::Min01, spot, line);
        }
        super::images::declared(case, spot, image, line);
    }
}

/// A package source whose packages nobody vouches for: `[trusted=yes]`, `gpgcheck=0`.
fn repository(case: &mut Case<'_>, spot: Spot<'_>, text: &str) {
    let mut unchecked: Option<&str> = None;
    let mut unknown = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let squeezed: String =
            line.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        let off = squeezed.contains("trusted=yes")
            || squeezed.contains("trusted:yes")
            || squeezed.contains("allow-insecure=yes")
            || ["gpgcheck=0", "gpgcheck=false", "gpgcheck=no", "gpgcheck:0", "gpgcheck:false"]
                .iter()
                .any(|off| squeezed.starts_with(off) || squeezed.starts_with(&format!("repo_{off}")));
        if off && unchecked.is_none() {
            unchecked = Some(line);
        }
        unknown |= Url::all(line).any(|url| {
            matches!(url.kind(), HostKind::Name | HostKind::PublicAddress)
                && !is_trusted(&url, case.trust)
                && super::hosts::bucket_of(&url).is_none_or(|bucket| !bucket.contains('$'))
        });
    }
    if let Some(line) = unchecked.filter(|_| unknown) {
        case.hit_spot(Id::Sup01, spot, line);
    }
}

/// Repositories and certificate authorities that commands add.
pub(super) fn repository_command(case: &mut Case<'_>, number: usize, index: usize, command: &Command) {
    let at = (number, index);
    match command.name.as_str() {
        "echo" | "printf" | "cat" | "tee" => {
            let sources =
                writes_to(command, |path| path.contains("/etc/apt/") || path.contains("yum.repos.d"));
            if sources {
                let text: Vec<&str> = command
                    .args()
                    .iter()
                    .map(|word| word.text.as_str())
                    .chain(command.redirects.iter().map(|redirect| redirect.target.text.as_str()))
                    .collect();
                repository(case, Spot::Command(at), &text.join("\n"));
            }
        }
        "yum" | "dnf" | "zypper" | "rpm" | "apt-get" | "apt" => {
            let unchecked = command.args().iter().any(|word| {
                matches!(
                    word.text.as_str(),
                    "--nogpgcheck" | "--no-gpg-checks" | "--allow-unauthenticated" | "--nosignature"
                )
            });
            let unknown = command.args().iter().flat_map(|word| Url::all(&word.text)).any(|url| {
                matches!(url.kind(), HostKind::Name | HostKind::PublicAddress)
                    && !is_trusted(&url, case.trust)
            });
            if unchecked && unknown {
                case.hit(Id::Sup01, at);
            }
        }
        "update-ca-certificates" | "update-ca-trust" => {
            let folders = [
                "/usr/local/share/ca-certificates",
                "/etc/pki/ca-trust/source",
                "/usr/share/pki",
                "/etc/ssl/certs",
            ];
            let added = case.flow.downloads.iter().any(|download| {
                download.standing == super::fetch::Standing::Untrusted
                    && folders.iter().any(|folder| download.path.starts_with(folder))
            });
            if added {
                case.hit(Id::Sup01, at);
            }
        }
        _ => {}
    }
}
