//! `def`: competitors, agents, firewalls and traces done away with.

use super::Id;
use super::{Case, flow::Place};
use crate::indicators::programs::{Class, has};
use crate::user_data::script::{Command, basename};

/// What the removal of the shell's own history weighs, as at the end of an image's build; and of all else.
const SHELL_HISTORY: u32 = 10;
const WIPED: u32 = 25;

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, command: &Command) {
    let at = (number, index);
    if writes_to(command, |path| path.ends_with("/etc/ld.so.preload")) {
        case.hit(Id::Def02, at);
    }
    match command.name.as_str() {
        "chattr" => attributes(case, at, command),
        "iptables" | "ip6tables" | "nft" | "ufw" | "setenforce" => firewall(case, at, command),
        "history"
            if command.args().iter().any(|word| word.text.starts_with('-') && word.text.contains('c')) =>
        {
            case.hit_weighing(Id::Def06, SHELL_HISTORY, at);
        }
        "unset" if command.operands().any(|word| matches!(word.text.as_str(), "HISTFILE" | "HISTSIZE")) => {
            case.hit(Id::Def06, at)
        }
        "set"
            if command
                .args()
                .windows(2)
                .any(|pair| matches!(pair, [flag, name] if flag.text == "+o" && name.text == "history")) =>
        {
            case.hit(Id::Def06, at);
        }
        "rm" | "shred" | "truncate" | "ln" | "cat" | "cp" | "unlink" | "wipe" | "srm" => {
            let wiping = command.name != "cat" || command.has("/dev/null");
            let linked = !matches!(command.name.as_str(), "ln" | "cp") || command.has("/dev/null");
            let traces = || command.operands().filter(|word| is_trace(&word.text));
            if wiping && linked && traces().next().is_some() {
                let removed = command.name == "rm" && traces().all(|word| word.text.ends_with("_history"));
                case.hit_weighing(Id::Def06, if removed { SHELL_HISTORY } else { WIPED }, at);
            }
        }
        "journalctl"
            if command.args().iter().any(|word| {
                matches!(word.text.as_str(), "--vacuum-time=1s" | "--vacuum-size=1" | "--vacuum-size=1K")
            }) =>
        {
            case.hit(Id::Def06, at);
        }
        "sed"
            if command
                .args()
                .iter()
                .any(|word| word.text.contains("SELINUX=") && word.text.contains("disabled")) =>
        {
            case.hit(Id::Def05, at)
        }
        _ => {}
    }
    // `> /var/log/wtmp`, `: > ~/.bash_history`, `echo > /var/log/secure`
    let empties = matches!(command.name.as_str(), "" | ":" | "true" | "echo" | "cat" | "cp" | "dd" | "tee")
        && command.operands().all(|word| word.text.is_empty() || word.text == "/dev/null");
    let overwrites = command.redirects.iter().any(|redirect| {
        redirect.writes()
            && redirect.op != crate::user_data::script::RedirectOp::Append
            && is_trace(&redirect.target.text)
    });
    if empties && overwrites && command.inner.is_none() {
        case.hit(Id::Def06, at);
    }
    let no_history = |name: &str, value: &str| {
        (name == "HISTFILE" && (value.is_empty() || value == "/dev/null"))
            || (matches!(name, "HISTSIZE" | "HISTFILESIZE") && value == "0")
    };
    let assigned = command.assigns.iter().any(|(name, value)| no_history(name, &value.text))
        || (matches!(command.name.as_str(), "export" | "declare" | "readonly")
            && command
                .operands()
                .any(|word| word.text.split_once('=').is_some_and(|(name, value)| no_history(name, value))));
    if assigned {
        case.hit(Id::Def06, at);
    }
    agents(case, at, command);
}

fn attributes(case: &mut Case<'_>, at: Place, command: &Command) {
    let changes = command
        .args()
        .iter()
        .any(|word| word.text.starts_with(['+', '-', '=']) && word.text.contains(['i', 'a']));
    let guarded = |path: &str| {
        let roots = [
            "/etc",
            "/bin",
            "/sbin",
            "/usr/bin",
            "/usr/sbin",
            "/usr/lib",
            "/lib",
            "/root",
            "/var/spool/cron",
            "/home",
            "/boot",
            "~/.ssh",
            "~/.bash",
            "/usr/local/bin",
            "/usr/local/lib",
            "/tmp",
            "/var/tmp",
        ];
        // Resolvers and hosts files are fixed by many an honest script.
        !path.ends_with("resolv.conf")
            && !path.ends_with("/etc/hosts")
            && !path.ends_with("/etc/hostname")
            && (roots.iter().any(|root| path.starts_with(root))
                || path.contains("/.ssh")
                || path.contains("crontab"))
    };
    if changes && command.args().iter().any(|word| guarded(&word.text)) {
        case.hit(Id::Def03, at);
    }
}

fn firewall(case: &mut Case<'_>, at: Place, command: &Command) {
    let off = match command.name.as_str() {
        "iptables" | "ip6tables" => {
            let has = |text: &str| command.has(text);
            (has("-F") && command.operands().count() == 0)
                || (has("--flush") && command.operands().count() == 0)
                || (has("-P") && has("ACCEPT"))
                || has("-X")
        }
        "nft" => command.has("flush"),
        "ufw" => command.has("disable") || command.has("reset"),
        _ => command.has("0") || command.has("Permissive") || command.has("permissive"),
    };
    if off {
        case.hit(Id::Def05, at);
    }
}

/// Files that tell who did what.
fn is_trace(path: &str) -> bool {
    let name = basename(path);
    if matches!(
        name,
        ".bash_history"
            | ".zsh_history"
            | ".sh_history"
            | ".ash_history"
            | ".python_history"
            | ".mysql_history"
            | ".history"
    ) {
        return true;
    }
    let Some(rest) = path.strip_prefix("/var/log/").or_else(|| (path == "/var/log").then_some("")) else {
        return matches!(path, "/var/run/utmp" | "/var/spool/mail/root" | "/var/mail/root");
    };
    // An image build's own log of its own run is not what hides anything.
    let ordinary = [
        "cloud-init",
        "user-data",
        "amazon/",
        "nginx",
        "apache2",
        "httpd",
        "mysql",
        "yum",
        "dnf",
        "apt",
        "unattended",
    ];
    !ordinary.iter().any(|start| rest.starts_with(start))
        && (rest.is_empty()
            || rest.starts_with('*')
            || [
                "wtmp", "btmp", "lastlog", "secure", "auth", "messages", "syslog", "audit", "cron",
                "maillog", "faillog", "journal", "kern", "sa/", "utmp",
            ]
            .iter()
            .any(|start| rest.starts_with(start)))
}

fn agents(case: &mut Case<'_>, at: Place, command: &Command) {
    let operands: Vec<String> = command.operands().map(|word| word.text.to_ascii_lowercase()).collect();
    let verb = |verbs: &[&str]| operands.iter().any(|word| verbs.contains(&word.as_str()));
    let names = match command.name.as_str() {
        "systemctl" | "initctl" => verb(&["stop", "disable", "mask", "kill"]),
        "service" | "rc-service" => verb(&["stop"]),
        "chkconfig" | "update-rc.d" => verb(&["off", "disable", "remove"]),
        "pkill" | "killall" | "sc" | "net" | "stop-service" | "set-service" | "stop-process" | "taskkill" => {
            true
        }
        "kill" => return,
        "apt" | "apt-get" | "yum" | "dnf" | "rpm" | "dpkg" | "zypper" | "snap" => {
            verb(&["remove", "purge", "erase", "autoremove", "uninstall"])
                || command.has("-e")
                || command.has("-P")
                || command.has("-r")
        }
        "rm" => {
            let paths = [
                "/usr/local/aegis",
                "/usr/local/qcloud",
                "/usr/local/cloudmonitor",
                "/usr/sbin/aliyun",
                "/opt/falcon",
                "/var/ossec",
            ];
            if operands.iter().any(|word| paths.iter().any(|path| word.starts_with(path))) {
                case.hit(Id::Def04, at);
            }
            return;
        }
        "auditctl" => {
            if command.has("-e") && command.has("0")
                || command.has("-D") && command.args().len() == 1 && case.has(Id::Def06)
            {
                case.hit(Id::Def04, at);
            }
            return;
        }
        _ => {
            let path = command.program();
            if path.contains("/aegis/")
                || path.contains("/qcloud/")
                || (command.name == "uninstall.sh" && path.contains("agent"))
            {
                case.hit(Id::Def04, at);
            }
            return;
        }
    };
    if !names {
        return;
    }
    let stops_agent = operands.iter().any(|word| {
        let name = basename(word).trim_end_matches(".service").trim_end_matches(".exe");
        has(name, Class::Agent)
            || name
                .split(['-', '_', '*'])
                .next()
                .is_some_and(|head| head.len() > 6 && has(head, Class::Agent))
    });
    if stops_agent {
        case.hit(Id::Def04, at);
    }
    let firewall = ["firewalld", "iptables", "ufw", "apparmor", "nftables", "ip6tables"];
    if operands.iter().any(|word| firewall.contains(&word.trim_end_matches(".service")))
        && matches!(command.name.as_str(), "systemctl" | "service" | "chkconfig")
    {
        case.hit(Id::Def05, at);
    }
}

/// Whether a command writes to a file that a test accepts.
pub(super) fn writes_to(command: &Command, accepts: impl Fn(&str) -> bool) -> bool {
    if command.redirects.iter().any(|redirect| redirect.writes() && accepts(&redirect.target.text)) {
        return true;
    }
    match command.name.as_str() {
        "tee" => command.operands().any(|word| accepts(&word.text)),
        "cp" | "mv" | "install" | "ln" => command.operands().last().is_some_and(|word| accepts(&word.text)),
        "sed" => command.has("-i") && command.operands().skip(1).any(|word| accepts(&word.text)),
        "dd" => command.args().iter().any(|word| word.text.strip_prefix("of=").is_some_and(&accepts)),
        "curl" | "wget" => super::fetch::parse(command)
            .is_some_and(|fetch| matches!(&fetch.output, super::fetch::Output::File(file) if accepts(file))),
        _ => false,
    }
}
