//! Back doors and what hides them: set-uid shells, web shells, second roots, PAM modules, wrapped tools,
//! mounts over /proc, kernel modules.

use super::defence::writes_to;
use super::exec::is_odd_place;
use super::fetch::{self, Output, Standing};
use super::flow::Place;
use super::paths::{Directory, same_file};
use super::{Case, Id, Part, Spot};
use crate::indicators::programs::{self, Class};
use crate::user_data::script::{Command, Role, absolute, basename, language_of, role};

/// Files made by a script that set-uid is compared with.
const MAX_MADE: usize = 128;
/// What set-uid weighs on a file that came from outside, or stands in an odd place.
const FOREIGN: u32 = 35;
/// What it weighs on something compiled here of which nothing is known.
const COMPILED: u32 = 25;
/// What a page fetched from an untrusted host into a web root weighs.
const PAGE: u32 = 15;
/// What moving a tool away weighs.
const MOVED: u32 = 25;

/// Programs with which anybody becomes root once they are set-uid.
const GIVES_SHELL: &[&str] = &[
    "find",
    "vim",
    "vi",
    "view",
    "nano",
    "cp",
    "dd",
    "env",
    "awk",
    "gawk",
    "mawk",
    "less",
    "more",
    "tar",
    "zip",
    "nmap",
    "systemctl",
    "docker",
    "tee",
    "sed",
    "busybox",
    "gdb",
    "make",
    "xxd",
    "base64",
    "rsync",
    "ed",
    "emacs",
    "strace",
];

/// Set-uid programs, which need to know what a part made before.
pub(super) fn part(case: &mut Case<'_>, number: usize, part: &Part<'_>) {
    let commands = &part.script.commands;
    if !commands.iter().any(|command| matches!(command.name.as_str(), "chmod" | "install" | "setcap")) {
        return;
    }
    let mut directory = Directory::default();
    let mut shells: Vec<String> = Vec::new();
    let mut compiled: Vec<String> = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        directory.enter(command);
        made(command, &directory, &mut shells, &mut compiled);
        let at = (number, index);
        for target in set_uid(command) {
            let name = basename(target);
            let path = directory.resolve(target);
            let gives_shell = language_of(name).is_some() || GIVES_SHELL.contains(&name);
            let fetched =
                case.flow.downloads.iter().any(|download| {
                    download.standing == Standing::Untrusted && same_file(&download.path, &path)
                });
            let weight = if gives_shell || shells.iter().any(|made| same_file(made, &path)) {
                Id::Per06.signal().weight
            } else if compiled.iter().any(|made| same_file(made, &path)) {
                if writes_shell_source(case) { Id::Per06.signal().weight } else { COMPILED }
            } else if fetched || is_odd_place(&path) {
                FOREIGN
            } else {
                continue;
            };
            // Capabilities are given to many; only those that make root count.
            case.hit_weighing(Id::Per06, weight, at);
        }
    }
}

/// The files that a command makes copies of shells or compiles.
fn made(command: &Command, directory: &Directory, shells: &mut Vec<String>, compiled: &mut Vec<String>) {
    let operands = || command.operands().map(|word| word.text.as_str());
    let is_shell = |text: &str| {
        text.starts_with('/')
            && (language_of(basename(text)).is_some() || matches!(basename(text), "busybox"))
    };
    match command.name.as_str() {
        "cp" | "install" | "mv" | "rsync" | "ln" if shells.len() < MAX_MADE => {
            let from = operands().find(|text| is_shell(text) || text.contains("which ") || *text == "$()");
            let copies = from.is_some_and(is_shell)
                || command.operands().any(|word| word.text.contains("bash") && word.dynamic);
            if let (true, Some(to)) = (copies, operands().last()) {
                let mut path = directory.resolve(to);
                if to.ends_with('/') {
                    path.push_str(basename(from.unwrap_or("")));
                }
                shells.push(path);
            }
        }
        "cat" | "dd" if shells.len() < MAX_MADE => {
            let reads = operands().any(|text| is_shell(text.strip_prefix("if=").unwrap_or(text)));
            let to =
                command.redirects.iter().find(|redirect| redirect.writes()).map(|it| it.target.text.as_str());
            let to = to.or_else(|| command.args().iter().find_map(|word| word.text.strip_prefix("of=")));
            if let (true, Some(to)) = (reads, to) {
                shells.push(directory.resolve(to));
            }
        }
        "gcc" | "cc" | "g++" | "clang" | "tcc" | "rustc" | "go" | "musl-gcc" if compiled.len() < MAX_MADE => {
            let at = command.args().iter().position(|word| word.text == "-o");
            let attached = || command.args().iter().find_map(|word| word.text.strip_prefix("-o"));
            let to =
                at.and_then(|at| command.args().get(at + 1)).map(|word| word.text.as_str()).or_else(attached);
            compiled.push(directory.resolve(to.unwrap_or("a.out")));
        }
        _ => {}
    }
    // What was made moves on under another name.
    let words: Vec<&str> = operands().collect();
    if matches!(command.name.as_str(), "mv" | "cp" | "install")
        && let [.., from, to] = words.as_slice()
    {
        let from = directory.resolve(from);
        for list in [shells, compiled] {
            if list.len() < MAX_MADE && list.iter().any(|made| same_file(made, &from)) {
                list.push(directory.resolve(to));
            }
        }
    }
}

/// The files that a command makes set-uid, or gives the capability to become root.
fn set_uid(command: &Command) -> Vec<&str> {
    let args = || command.args().iter().map(|word| word.text.as_str());
    match command.name.as_str() {
        "chmod" if args().any(is_set_uid) => command
            .operands()
            .map(|word| word.text.as_str())
            .filter(|text| !is_set_uid(text))
            .take(32)
            .collect(),
        "install" => {
            let mode = command.args().windows(2).any(|pair| {
                matches!(pair, [option, mode] if matches!(option.text.as_str(), "-m" | "--mode") && is_set_uid(&mode.text))
            }) || args().any(|text| {
                text.strip_prefix("-m").or_else(|| text.strip_prefix("--mode=")).is_some_and(is_set_uid)
            });
            let shell = args().any(|text| language_of(basename(text)).is_some());
            // A shell installed set-uid stays one under any name.
            match (mode, shell) {
                (true, true) => vec!["/bin/sh"],
                (true, false) => args().next_back().into_iter().collect(),
                _ => Vec::new(),
            }
        }
        "setcap" => {
            let root = args().any(|text| {
                ["cap_setuid", "cap_sys_admin", "cap_dac_override", "all=", "cap_sys_ptrace"]
                    .iter()
                    .any(|cap| text.contains(cap))
            });
            if root { args().next_back().into_iter().collect() } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// `4755`, `u+s`, `+s`, `ug+s`, `u=rwxs`.
fn is_set_uid(mode: &str) -> bool {
    let digits = mode.trim_start_matches('0');
    if !digits.is_empty() && mode.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.len() == 4 && digits.starts_with(['4', '5', '6', '7']);
    }
    mode.len() < 24
        && mode.split(',').any(|part| {
            let Some(at) = part.find(['+', '=']) else { return false };
            let (who, what) = part.split_at_checked(at).unwrap_or((part, ""));
            let all = who.bytes().all(|byte| b"ugoa".contains(&byte));
            let modes = what.bytes().skip(1).all(|byte| b"rwxstX".contains(&byte));
            all && modes && what.contains('s') && (who.is_empty() || who.contains(['u', 'a']))
        })
}

/// Whether some file written here is the source of a program that becomes root and starts a shell.
fn writes_shell_source(case: &Case<'_>) -> bool {
    case.parts.iter().flat_map(|part| &part.script.files).take(MAX_MADE).any(|file| {
        let text = file.text.as_str();
        ["setuid", "setreuid", "setresuid", "seteuid", "Setuid"].iter().any(|call| text.contains(call))
            && ["system(", "exec", "popen(", "Command"].iter().any(|call| text.contains(call))
    })
}

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, index);
    hidden(case, at, command);
    pam(case, at, part, command);
    module(case, at, command);
    web_page(case, at, command);
}

/// Tools that show what runs, and those that ask for passwords.
const OBSERVERS: &[&str] = &[
    "ps", "ls", "top", "htop", "netstat", "ss", "lsof", "pstree", "pgrep", "w", "who", "last", "lastlog",
    "lsmod", "dmesg", "sshd", "login", "su", "sudo", "passwd",
];
const FETCHERS: &[&str] = &["curl", "wget"];
const FOLDERS: &[&str] = &["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"];

/// Whether a path is that of a tool of the system, from a list.
fn is_tool(path: &str, list: &[&str]) -> bool {
    FOLDERS.iter().any(|folder| path.strip_prefix(folder).is_some_and(|name| list.contains(&name)))
}

fn hidden(case: &mut Case<'_>, at: Place, command: &Command) {
    let observer = |path: &str| is_tool(path, OBSERVERS);
    let operands = || command.operands().map(|word| word.text.as_str());
    let first = operands().next().unwrap_or("");
    // The tool's own package, or a link to what has it built in.
    let own = matches!(basename(first), "busybox" | "toybox") || basename(first).starts_with("coreutils");
    if writes_to(command, observer) && !own {
        // A tool that was moved away is put back.
        let back = matches!(command.name.as_str(), "mv" | "cp")
            && operands().last().is_some_and(|to| basename(first).starts_with(basename(to)));
        case.hit_weighing(Id::Def07, if back { MOVED } else { Id::Def07.signal().weight }, at);
    }
    match command.name.as_str() {
        "mv" => {
            let away = operands().count() == 2 && (observer(first) || is_tool(first, FETCHERS));
            if away {
                case.hit_weighing(Id::Def07, MOVED, at);
            }
        }
        "mount" => {
            let over = operands().last().unwrap_or("");
            let entry = over.strip_prefix("/proc/").is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '$' | '*' | '['))
            });
            if entry {
                case.hit(Id::Def07, at);
            }
        }
        _ => {}
    }
}

/// A line of a start script that wraps a tool so that it leaves something out.
fn wraps_tool(line: &str) -> bool {
    let line = line.trim_start();
    let line =
        line.strip_prefix("alias ").or_else(|| line.strip_prefix("function ")).unwrap_or(line).trim_start();
    let name = line.split(['=', '(', ' ', '{']).next().unwrap_or("");
    let defines = line.get(name.len()..).is_some_and(|rest| rest.trim_start().starts_with(['=', '(', '{']));
    OBSERVERS.contains(&name) && defines && (line.contains("grep -v") || line.contains("grep -ve"))
}

/// The modules that decide about every login.
const CORE_MODULES: &[&str] = &[
    "pam_unix",
    "pam_permit",
    "pam_deny",
    "pam_rootok",
    "pam_env",
    "pam_systemd",
    "pam_sss",
    "pam_succeed_if",
    "pam_faillock",
    "pam_limits",
    "pam_nologin",
    "pam_securetty",
    "pam_cap",
    "pam_access",
];

fn pam(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let core = |name: &str| CORE_MODULES.contains(&name.trim_end_matches(".so"));
    let module = |path: &str| {
        path.contains("/security/") && basename(path).starts_with("pam_") && path.ends_with(".so")
    };
    let replaces = |path: &str| module(path) && core(basename(path));
    let operands = || command.operands().map(|word| word.text.as_str());
    let folder = matches!(command.name.as_str(), "cp" | "mv" | "install" | "ln")
        && operands().last().is_some_and(|to| to.trim_end_matches('/').ends_with("/security"))
        && operands().any(|from| core(basename(from)));
    let compiles = programs::classes(&command.name).is_empty()
        && command
            .args()
            .windows(2)
            .any(|pair| matches!(pair, [option, to] if option.text == "-o" && replaces(&to.text)));
    let fetched = fetch::parse(command).is_some_and(|fetch| {
        fetch.standing(case.trust) == Standing::Untrusted
            && (matches!(&fetch.output, Output::File(file) if module(file)) || writes_to(command, module))
    });
    if folder || compiles || fetched || writes_to(command, replaces) {
        case.hit(Id::Per08, at);
    }
    if writes_to(command, |path| path.contains("/etc/pam.d/") || path.ends_with("/etc/pam.conf")) {
        let feeding = command.stdin.iter().flat_map(|span| span.indices().take(8));
        let feeding = feeding.filter_map(|index| part.script.commands.get(index));
        let opens = feeding.chain(std::iter::once(command)).any(|command| {
            let words = command.args().iter().map(|word| word.text.as_str());
            words.chain(command.redirects.iter().map(|it| it.target.text.as_str())).any(opens_door)
        });
        if opens {
            case.hit(Id::Per08, at);
        }
    }
}

/// Whether a PAM configuration lets anybody in, or gives passwords to a script.
fn opens_door(text: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        let permits = line.contains("pam_permit.so") && line.contains("auth") && line.contains("sufficient");
        let tells = line.contains("pam_exec.so")
            && (line.contains("expose_authtok") || line.split_ascii_whitespace().any(is_odd_place));
        // `sed 's/pam_deny.so/pam_permit.so/'`
        let swaps = line.contains("pam_permit.so")
            && (line.contains("s/") || line.contains("s|") || line.contains("s#"))
            && line.contains("pam_")
            && line.matches("pam_").count() > 1;
        permits || tells || swaps
    })
}

/// Drivers that are known for giving anybody the kernel. Source: the LOLDrivers project, 2026-11.
const DRIVERS: &[&str] = &[
    "rtcore64.sys",
    "gdrv.sys",
    "winring0x64.sys",
    "winring0.sys",
    "procexp152.sys",
    "mhyprot2.sys",
    "iqvw64e.sys",
    "dbutil_2_3.sys",
    "capcom.sys",
    "truesight.sys",
    "zamguard64.sys",
    "zam64.sys",
    "aswarpot.sys",
    "kprocesshacker.sys",
    "viragt64.sys",
    "asrdrv101.sys",
    "nvflash.sys",
    "physmem.sys",
    "eneio64.sys",
    "rwdrv.sys",
];

fn module(case: &mut Case<'_>, at: Place, command: &Command) {
    let words = || command.args().iter().map(|word| word.text.as_str());
    match command.name.as_str() {
        "insmod" => {
            let Some(path) = words().find(|text| !text.starts_with('-')) else { return };
            let fetched = case.flow.downloads.iter().any(|download| {
                download.standing == Standing::Untrusted && same_file(&download.path, &absolute(path))
            });
            if programs::is_named_after(path, Class::Attack) {
                case.hit_weighing(Id::Per09, Id::Per06.signal().weight, at);
            } else if fetched || is_odd_place(path) {
                case.hit(Id::Per09, at);
            } else if case.flow.untrusted
                && !path.starts_with("/lib/modules")
                && !path.starts_with("/usr/lib/modules")
            {
                case.hit_weighing(Id::Per09, COMPILED, at);
            }
        }
        "sc" | "sc.exe" | "new-service" | "fltmc" | "pnputil" => {
            let lower: Vec<String> = words().map(str::to_ascii_lowercase).collect();
            let known = lower.iter().any(|word| DRIVERS.iter().any(|driver| word.ends_with(driver)));
            let kernel = lower.windows(2).any(|pair| {
                matches!(pair, [option, kind] if option == "type=" && matches!(kind.as_str(), "kernel" | "filesys"))
            }) || lower.iter().any(|word| word == "type=kernel" || word.contains("kerneldriver"));
            if known {
                case.hit_weighing(Id::Per09, Id::Per06.signal().weight, at);
            } else if kernel {
                let odd = lower.iter().any(|word| is_odd_place(word));
                case.hit_weighing(Id::Per09, if odd { Id::Per09.signal().weight } else { COMPILED }, at);
            }
        }
        _ => {}
    }
}

/// Endings of pages that a web server runs.
const PAGES: &[&str] =
    &[".php", ".phtml", ".php5", ".php7", ".phar", ".jsp", ".jspx", ".asp", ".aspx", ".ashx", ".cgi"];
/// Names that web shells are published under.
const SHELL_NAMES: &[&str] = &[
    "p0wny",
    "c99",
    "r57",
    "wso",
    "b374k",
    "weevely",
    "webshell",
    "web-shell",
    "chopper",
    "antsword",
    "behinder",
    "godzilla",
    "alfa",
    "shell.php",
    "cmd.php",
    "cmd.jsp",
    "shell.jsp",
    "cmd.aspx",
    "shell.aspx",
    "backdoor",
    "simple-backdoor",
    "tinyshell",
];

fn is_web_root(path: &str) -> bool {
    [
        "/www/",
        "/html/",
        "/htdocs/",
        "/public_html/",
        "/webapps/",
        "/wwwroot/",
        "\\wwwroot\\",
        "/cgi-bin/",
        "/srv/http/",
        "/usr/share/nginx/",
    ]
    .iter()
    .any(|part| path.contains(part))
}

fn is_page(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    PAGES.iter().any(|end| lower.ends_with(end)) || lower.contains("/cgi-bin/")
}

fn web_page(case: &mut Case<'_>, at: Place, command: &Command) {
    if let Some(fetch) = fetch::parse(command) {
        let file = match &fetch.output {
            Output::File(file) => Some(file.as_str()),
            _ => {
                command.redirects.iter().find(|redirect| redirect.writes()).map(|it| it.target.text.as_str())
            }
        };
        let page = file.filter(|file| is_page(file) && (is_web_root(file) || !file.starts_with('/')));
        if let Some(file) = page.filter(|_| fetch.standing(case.trust) == Standing::Untrusted) {
            let shell = |text: &str| {
                let lower = text.to_ascii_lowercase();
                SHELL_NAMES.iter().any(|name| {
                    lower
                        .split('/')
                        .any(|part| part == *name || part.starts_with(name) || part.ends_with(name))
                })
            };
            let named = fetch.urls.iter().any(|url| shell(url.path)) || shell(basename(file));
            if named {
                case.hit(Id::Per07, at);
            } else if is_web_root(file) {
                case.hit_weighing(Id::Per07, PAGE, at);
            }
        }
    }
    // `sed -i '1i <?php eval($_POST[0]);' index.php`
    let writes = matches!(
        command.name.as_str(),
        "echo" | "printf" | "sed" | "cat" | "tee" | "set-content" | "add-content"
    ) && (writes_to(command, is_page) || command.args().iter().any(|word| is_page(&word.text)));
    if writes
        && command
            .args()
            .iter()
            .chain(command.redirects.iter().map(|it| &it.target))
            .any(|word| runs_request(&word.text))
    {
        case.hit(Id::Per07, at);
    }
}

/// Whether a page runs what a request says.
fn runs_request(text: &str) -> bool {
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let php = any(&["<?"])
        && any(&[
            "$_GET",
            "$_POST",
            "$_REQUEST",
            "$_COOKIE",
            "$_SERVER['HTTP_",
            "$_SERVER[\"HTTP_",
            "php://input",
            "getallheaders",
        ])
        && any(&[
            "eval(",
            "assert(",
            "system(",
            "exec(",
            "passthru(",
            "popen(",
            "proc_open(",
            "create_function(",
            "`$_",
            "call_user_func",
        ]);
    let hidden = any(&["<?"]) && any(&["eval("]) && any(&["base64_decode(", "gzinflate(", "str_rot13("]);
    let jsp = any(&["request.getParameter", "request.getHeader"])
        && any(&["getRuntime().exec", "ProcessBuilder", "defineClass"]);
    let asp = any(&["Request[", "Request(", "Request.Form", "Request.Item", "Request.QueryString"])
        && any(&[
            "Process.Start",
            "eval(",
            "Eval(",
            "execute(",
            "Execute(",
            "WScript.Shell",
            "ProcessStartInfo",
        ]);
    let cgi = any(&["QUERY_STRING", "FieldStorage", "param("])
        && any(&["eval ", "sh -c", "os.popen", "os.system", "subprocess", "system("]);
    php || hidden || jsp || asp || cgi
}

/// A file that is written, by whatever means.
pub(super) fn file(case: &mut Case<'_>, spot: Spot<'_>, target: &str, text: &str) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    if (is_page(target) || is_web_root(target)) && runs_request(text) {
        case.hit_spot(Id::Per07, spot, first);
    }
    if target.starts_with("/etc/pam.d/") && opens_door(text) {
        case.hit_spot(Id::Per08, spot, first);
    }
    if is_tool(target, OBSERVERS) {
        case.hit_spot(Id::Def07, spot, first);
    }
    if role(target) == Role::Boot
        && let Some(line) = text.lines().find(|line| wraps_tool(line))
    {
        case.hit_spot(Id::Def07, spot, line);
    }
    if target == "/etc/passwd"
        && let Some(line) = text.lines().find(|line| is_second_root(line))
    {
        case.hit_spot(Id::Per10, spot, line);
    }
}

/// A line of /etc/passwd for a user 0 that is not root, or an edit that makes one.
pub(super) fn is_second_root(line: &str) -> bool {
    let line = line.trim_start();
    let fields: Vec<&str> = line.splitn(5, ':').collect();
    matches!(fields.as_slice(), [name, _, uid, ..] if *uid == "0" && !name.is_empty() && !name.ends_with("root"))
        || (line.starts_with("s/") || line.starts_with("s|") || line.starts_with("s#"))
            && line.contains(":0:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_with_set_uid_are_told_from_others() {
        for mode in ["4755", "04755", "6755", "u+s", "+s", "ug+s", "a+s", "u=rwxs,g=rx", "u+xs"] {
            assert!(is_set_uid(mode), "{mode}");
        }
        for mode in ["755", "0755", "2755", "1777", "g+s", "+x", "u+x", "o+t", "/opt/4755", "users"] {
            assert!(!is_set_uid(mode), "{mode}");
        }
    }

    #[test]
    fn second_roots_are_told_from_root_and_others() {
        for line in ["x:y:0:0::/root:/bin/sh", "svc::0:100:a:/:/bin/sh", "s/^svc:x:1001:/svc:x:0:/"] {
            assert!(is_second_root(line), "{line}");
        }
        for line in ["root:x:0:0:root:/root:/bin/bash", "daemon:x:1:1::/:/bin/false", "a:b", ""] {
            assert!(!is_second_root(line), "{line}");
        }
    }

    #[test]
    fn tools_are_wrapped_to_leave_something_out() {
        for line in [
            "alias ps='ps \"$@\" | grep -v x'",
            "ps() { command ps \"$@\" | grep -v x; }",
            "function ls { /bin/ls | grep -v y; }",
        ] {
            assert!(wraps_tool(line), "{line}");
        }
        for line in
            ["alias ls='ls --color=auto'", "ps aux | grep -v root", "alias ll='ls -l | grep -v total'", ""]
        {
            assert!(!wraps_tool(line), "{line}");
        }
    }
}
