//! `min`: miners, pools, wallets, and the tuning they profit from.

use super::Id;
use super::flow::Place;
use super::hosts::Url;
use super::network::{installed, only_prints};
use super::paths::same_file;
use super::{Case, Spot, fetch};
use crate::indicators::programs::{self, Class};
use crate::indicators::{is_miner, is_mining_pool};
use crate::user_data::script::{Command, RedirectOp, basename};

/// Commands whose arguments name what is blocked or listed rather than used, beside those that only look
/// for, stop or remove something.
const BLOCKERS: &[&str] = &[
    "iptables",
    "ip6tables",
    "nft",
    "ufw",
    "route",
    "ip",
    "firewall-cmd",
    "crontab",
    "read",
    "chattr",
    "userdel",
    "touch",
];
/// Commands that prepare a file or a folder: they use what they name, but do not bring it.
const PREPARERS: &[&str] = &[
    "chmod",
    "cd",
    "mkdir",
    "start-process",
    "start",
    "pushd",
    "chown",
    "setcap",
    "sc",
    "nssm",
    "set-location",
];
/// Commands that build, unpack, rename or install what they name.
const BUILDERS: &[&str] = &["make", "cmake", "dpkg", "rpm", "rename"];

/// Whether what a command names is looked for, stopped, removed or blocked.
fn only_seeks(command: &Command) -> bool {
    let classes = programs::classes(&command.name);
    let looks = classes.has_any(&[Class::Searcher, Class::Killer, Class::Remover]);
    (looks && !classes.has(Class::Carrier))
        || matches!(command.name.as_str(), "find" | "awk" | "gawk")
        || BLOCKERS.contains(&command.name.as_str())
        || (command.name == "chmod"
            && command.args().iter().any(|word| {
                matches!(
                    word.text.as_str(),
                    "000" | "0000" | "0" | "-x" | "a-x" | "ugo-x" | "-rwx" | "a-rwx" | "444" | "400"
                )
            }))
        || (matches!(command.name.as_str(), "ln" | "cp") && command.has("/dev/null"))
}

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, command: &Command) {
    let at = (number, index);
    tuning(case, at, command);
    if only_seeks(command) || only_prints(command) {
        return;
    }
    if starts_miner(command) {
        case.hit(Id::Min01, at);
    } else if names_miner(command) {
        let prepares = PREPARERS.contains(&command.name.as_str());
        case.hit_weighing(Id::Min01, if prepares { NAMED } else { Id::Min01.signal().weight }, at);
    }
    let blocks =
        command.redirects.iter().any(|redirect| redirect.writes() && redirect.target.text == "/etc/hosts")
            || (command.name == "tee" && command.operands().any(|word| word.text == "/etc/hosts"))
            || command.words.iter().any(|word| word.text.ends_with("/etc/hosts"));
    if blocks {
        return;
    }
    // What is only written into a file is judged as that file.
    let targets: Vec<&str> = written_to(case, at.0, command);
    if !targets.is_empty() {
        let mut text = String::new();
        let bodies = command
            .redirects
            .iter()
            .filter(|redirect| matches!(redirect.op, RedirectOp::HereDocument | RedirectOp::HereString));
        for word in command.args().iter().chain(bodies.map(|redirect| &redirect.target)) {
            text.push_str(&word.text);
            text.push('\n');
        }
        for target in targets {
            settings_file(case, Spot::Command(at), target, &text);
        }
        return;
    }
    for word in command.words.iter().chain(command.assigns.iter().map(|(_, word)| word)) {
        word_signals(case, Spot::Command(at), &word.text);
    }
    for redirect in command.redirects.iter().filter(|redirect| redirect.target.text.len() > 8) {
        word_signals(case, Spot::Command(at), &redirect.target.text);
    }
    // `-a rx/0`, `--coin monero`
    let pairs = command.args().windows(2);
    for pair in pairs {
        let [option, value] = pair else { continue };
        let value = value.text.to_ascii_lowercase();
        let algorithm =
            matches!(option.text.as_str(), "-a" | "--algo" | "--algorithm") && is_algorithm(&value);
        let coin = option.text == "--coin"
            && matches!(value.as_str(), "monero" | "xmr" | "arqma" | "dero" | "zephyr");
        if algorithm || coin {
            case.hit(Id::Min02, at);
        }
    }
}

/// What a miner weighs whose file is only prepared: made executable, entered.
const NAMED: u32 = 45;

/// A miner as a command, a service that is started, a container that is run.
fn starts_miner(command: &Command) -> bool {
    let operands = || command.operands().map(|word| word.text.as_str());
    match command.name.as_str() {
        "docker" | "podman" | "nerdctl" => {
            operands().any(|text| text == "run") && operands().any(is_miner_image)
        }
        "systemctl" | "service" => installed(command).into_iter().any(is_miner),
        "start-process" | "start" => operands().any(|text| is_miner(basename(text))),
        name => is_miner(name),
    }
}

fn names_miner(command: &Command) -> bool {
    let handles = PREPARERS.contains(&command.name.as_str())
        || BUILDERS.contains(&command.name.as_str())
        || (programs::classes(&command.name).has_any(&[Class::Unpacker, Class::Copier])
            && !matches!(command.name.as_str(), "cat" | "tee" | "sed" | "dd"));
    if handles && fetch::parse(command).is_none() {
        return command.operands().any(|word| is_miner(basename(word.text.trim_end_matches('/'))));
    }
    if installed(command).into_iter().any(is_miner) {
        return true;
    }
    if matches!(command.name.as_str(), "docker" | "podman" | "nerdctl" | "ctr" | "crictl") {
        let starts =
            command.operands().any(|word| matches!(word.text.as_str(), "run" | "pull" | "create" | "image"));
        return starts && command.operands().any(|word| is_miner_image(&word.text));
    }
    let Some(fetch) = fetch::parse(command) else { return false };
    let names = |url: &Url<'_>| url.path.split(['/', '?', '#', '=', '&']).any(is_miner);
    fetch.urls.iter().any(names)
        || matches!(&fetch.output, fetch::Output::File(file) if is_miner(basename(file)))
}

/// An image that is named after a miner in any part.
pub(super) fn is_miner_image(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or(image);
    image
        .split(['/', ':'])
        .any(|part| is_miner(part) || part.split(['-', '_']).any(|word| word.len() > 4 && is_miner(word)))
}

fn is_algorithm(value: &str) -> bool {
    [
        "rx/",
        "cn/",
        "cn-",
        "cryptonight",
        "randomx",
        "argon2/",
        "kawpow",
        "ghostrider",
        "astrobwt",
        "gr",
        "yespower",
        "verushash",
    ]
    .iter()
    .any(|name| if name.len() < 3 { value == *name } else { value.starts_with(name) })
}

/// A text that is no command: a configuration, a script in another language.
pub(super) fn text(case: &mut Case<'_>, unit: (usize, u32), text: &str) {
    let Some(part) = case.parts.get(unit.0) else { return };
    // Telling the place takes a look at all the lines before it.
    let size = part.script.units.first().map_or(0, |root| root.text.len());
    if !part.script.work.take_bytes(size) {
        return;
    }
    let (place, _) = part.locate(unit.1, 0);
    text_signals(case, Spot::Path(&place), text);
}

/// The files that a command writes a text into which it is given.
fn written_to<'a>(case: &Case<'a>, part: usize, command: &'a Command) -> Vec<&'a str> {
    if !matches!(
        command.name.as_str(),
        "echo" | "printf" | "cat" | "tee" | "set-content" | "add-content" | "out-file"
    ) {
        return Vec::new();
    }
    let redirected = command.redirects.iter().filter(|redirect| redirect.writes());
    let mut targets: Vec<&str> = redirected.map(|redirect| redirect.target.text.as_str()).collect();
    let next = command.feeds.and_then(|next| case.parts.get(part)?.script.commands.get(next as usize));
    let tee = next.filter(|next| next.name == "tee").or(Some(command).filter(|it| it.name == "tee"));
    targets.extend(tee.into_iter().flat_map(|tee| tee.operands()).map(|word| word.text.as_str()));
    if command.name.ends_with("-content") || command.name == "out-file" {
        targets.extend(command.operands().take(1).map(|word| word.text.as_str()));
    }
    targets.truncate(16);
    targets
}

/// A file that is written and not run: what counts is a miner's configuration, or that a miner reads it.
/// Words alone stand in rules of detectors, block lists and documentation, too.
pub(super) fn settings_file(case: &mut Case<'_>, spot: Spot<'_>, target: &str, text: &str) {
    if is_configuration(text) || sets_pool(text) || (has_word(text) && is_read_by_miner(case, target)) {
        text_signals(case, spot, text);
    }
}

fn has_word(text: &str) -> bool {
    text.lines().any(|line| has_protocol(line) || names_pool(line) || has_wallet(line))
}

/// Whether some key of a configuration is set to a pool's address.
fn sets_pool(text: &str) -> bool {
    const KEYS: &[&str] =
        &["url", "pool", "pools", "pool_url", "pool_address", "pool_addr", "pool_host", "poolurl"];
    let sets = |piece: &str| {
        let Some((key, value)) = piece.split_once([':', '=']) else { return false };
        let key =
            key.trim().trim_start_matches("export ").trim_matches(['"', '\'', ' ', '-']).to_ascii_lowercase();
        let named = KEYS.iter().any(|known| {
            key.strip_suffix(known).is_some_and(|head| head.is_empty() || head.ends_with(['_', '-', '.']))
        });
        // A pool's address has a port.
        let port = value
            .match_indices(':')
            .any(|(at, _)| value.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit));
        named && !key.starts_with('$') && port && (names_pool(value) || has_protocol(value))
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';', '/']))
        .any(|line| line.split([',', '{', '[']).any(sets))
}

/// Whether a miner, or something fetched from a host that is not trusted, is given the file.
fn is_read_by_miner(case: &Case<'_>, target: &str) -> bool {
    let fetched = |program: &str| {
        case.flow.downloads.iter().any(|download| {
            download.standing == fetch::Standing::Untrusted && same_file(&download.path, program)
        })
    };
    case.parts.iter().flat_map(|part| &part.script.commands).any(|command| {
        command.args().iter().any(|word| {
            let value = word.text.split_once('=').map_or(word.text.as_str(), |(_, value)| value);
            !value.is_empty() && same_file(value, target)
        }) && (is_miner(&command.name) || fetched(command.program()))
    })
}

/// The signals of a text with several lines; the line that shows it is quoted.
pub(super) fn text_signals(case: &mut Case<'_>, spot: Spot<'_>, text: &str) {
    if is_configuration(text) {
        case.hit_spot(Id::Min02, spot, text.lines().find(|line| line.contains("pools")).unwrap_or(""));
    }
    for line in text.lines() {
        let line = line.trim();
        if !line.starts_with('#') && !line.starts_with("//") && line.len() > 5 {
            word_signals(case, spot, line);
        }
    }
}

fn word_signals(case: &mut Case<'_>, spot: Spot<'_>, word: &str) {
    if word.len() < 6 {
        return;
    }
    if word.len() >= 10 && has_protocol(word) {
        case.hit_spot(Id::Min02, spot, word);
    }
    if word.contains('.') && names_pool(word) {
        case.hit_spot(Id::Min03, spot, word);
    }
    if word.len() >= 95 && has_wallet(word) {
        case.hit_spot(Id::Min04, spot, word);
    }
}

/// Stratum, or an option that only miners have.
fn has_protocol(word: &str) -> bool {
    const NEEDLES: &[&str] = &[
        "stratum+",
        "stratum1+",
        "stratum2+",
        "stratums://",
        "stratum://",
        "daemon+http",
        "--donate-level",
        "\"donate-level\"",
        "--randomx-",
        "--rig-id",
        "\"randomx\"",
        "--nicehash",
        "--cpu-max-threads-hint",
        "\"max-threads-hint\"",
        "rx/0",
        "cn/r",
        "--cuda-bfactor",
        "--asm=auto",
        "--cpu-memory-pool",
        "donate-over-proxy",
        "--huge-pages-jit",
    ];
    // Most words have none of the characters that all of these have.
    word.contains(['+', '-', '/', '"']) && NEEDLES.iter().any(|needle| word.contains(needle))
}

/// A miner's configuration file.
fn is_configuration(text: &str) -> bool {
    let has = |key: &str| text.contains(&format!("\"{key}\""));
    let marks = [
        "pools",
        "algo",
        "coin",
        "rig-id",
        "nicehash",
        "keepalive",
        "donate-level",
        "huge-pages",
        "wallet",
        "cpu",
        "randomx",
    ];
    text.contains('"')
        && has("pools")
        && (has("url") || has("user"))
        && marks.iter().filter(|mark| has(mark)).count() >= 3
}

fn names_pool(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        .filter(|token| token.len() > 5 && token.contains('.'))
        .any(|token| is_mining_pool(token.trim_matches(['.', '-'])))
}

/// A Monero address: base 58, 95 characters (106 for integrated ones), beginning with 4 or 8.
fn has_wallet(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '=' | '_'))
        .filter(|token| matches!(token.len(), 95 | 106) && token.starts_with(['4', '8']))
        .any(|token| {
            let base58 = token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l'));
            let second = token
                .as_bytes()
                .get(1)
                .is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'A' | b'B'));
            let varied = token.bytes().any(|byte| byte.is_ascii_lowercase())
                && token.bytes().any(|byte| byte.is_ascii_uppercase());
            base58 && second && varied
        })
}

fn tuning(case: &mut Case<'_>, at: Place, command: &Command) {
    let tunes = |text: &str| {
        text.contains("nr_hugepages")
            || text.contains("nmi_watchdog")
            || text.contains("nr_overcommit_hugepages")
    };
    let hit = match command.name.as_str() {
        "sysctl" | "tee" | "echo" | "printf" | "sed" => {
            let writes = command.name == "sysctl"
                || command.name == "sed"
                || command.name == "tee"
                || command.piped
                || command.redirects.iter().any(|redirect| redirect.writes());
            writes
                && !only_prints(command)
                && (command.args().iter().any(|word| tunes(&word.text))
                    || command.redirects.iter().any(|redirect| tunes(&redirect.target.text)))
        }
        "wrmsr" | "hugeadm" => true,
        "modprobe" => command.operands().any(|word| word.text == "msr"),
        _ => command.redirects.iter().any(|redirect| redirect.writes() && tunes(&redirect.target.text)),
    };
    if !hit {
        return;
    }
    // Registers and the watchdog are nobody's but a miner's; huge pages are a database's, too.
    let pages_only = !matches!(command.name.as_str(), "wrmsr" | "modprobe")
        && !command.words.iter().any(|word| word.text.contains("nmi_watchdog"))
        && !command.redirects.iter().any(|redirect| redirect.target.text.contains("nmi_watchdog"));
    if pages_only && wants_huge_pages(case) {
        case.hit_weighing(Id::Min05, DATABASE, at);
    } else {
        case.hit(Id::Min05, at);
    }
}

/// What huge pages weigh beside software that is known to want them.
const DATABASE: u32 = 5;

/// Whether a script sets up a database, a hypervisor, or something else that runs on huge pages.
fn wants_huge_pages(case: &Case<'_>) -> bool {
    const SOFTWARE: &[&str] = &[
        "postgres",
        "mysql",
        "mariadb",
        "oracle",
        "scylla",
        "clickhouse",
        "dpdk",
        "efa",
        "qemu",
        "libvirt",
        "kvm",
        "hugetlbfs",
        "hana",
        "vpp",
        "redis",
        "cassandra",
        "UseLargePages",
        "mongo",
        "neo4j",
        "elasticsearch",
    ];
    let names = |command: &Command| {
        let installs = installed(command)
            .into_iter()
            .any(|name| SOFTWARE.iter().any(|software| name.contains(software)));
        let mounts =
            command.name == "mount" || command.words.iter().any(|word| word.text.contains("hugetlbfs"));
        installs || (mounts && command.has("hugetlbfs"))
    };
    case.parts.iter().flat_map(|part| &part.script.commands).any(names)
}

/// Settings written into a file: `vm.nr_hugepages = 1280`.
pub(super) fn tuning_file(case: &mut Case<'_>, spot: Spot<'_>, text: &str) {
    let line = text.lines().find(|line| {
        let line = line.trim_start();
        line.starts_with("vm.nr_hugepages") || line.starts_with("kernel.nmi_watchdog")
    });
    if let Some(line) = line {
        let pages_only = line.trim_start().starts_with("vm.");
        let weight = if pages_only && wants_huge_pages(case) { DATABASE } else { 15 };
        case.hit_spot_weighing(Id::Min05, weight, spot, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_are_told_from_other_long_words() {
        let wallet =
            format!("4{}", "9ZkLmNpQrStUvWxYzAbCdEfGhJ".repeat(4).chars().take(94).collect::<String>());
        assert!(has_wallet(&wallet));
        assert!(has_wallet(&format!("\"user\": \"{wallet}.worker\"")));
        assert!(!has_wallet(&format!("{wallet}A")));
        assert!(!has_wallet(&wallet.replace('Z', "0")));
        assert!(!has_wallet(&"4".repeat(95)));
        assert!(!has_wallet(&format!("{wallet}/{wallet}")));
    }

    #[test]
    fn images_are_miners_by_a_whole_part_of_their_name() {
        for image in
            ["xmrig/xmrig:6", "example/xmrig", "metal3d/xmrig@sha256:00", "a.example:5000/b/cpuminer-opt"]
        {
            assert!(is_miner_image(image), "{image}");
        }
        for image in ["nginx", "acme/xmrigged", "grafana/grafana:9"] {
            assert!(!is_miner_image(image), "{image}");
        }
    }
}
