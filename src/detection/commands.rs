//! Reading the command line of a started program: which commands it runs, itself and within `sh -c`,
//! behind wrappers such as `sudo` and `timeout`.

use crate::activity::Process;
use crate::user_data::Language;
use crate::user_data::script::{self, UnitKind, basename, language_of};

/// Bytes of a command line that are read.
const LONGEST: usize = 32 << 10;

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program's file name, lower case, without `.exe`.
    pub name: String,
    /// What follows; empty for a shell whose script is read as commands of its own.
    pub words: Vec<String>,
    /// Something is piped into it.
    pub fed: bool,
}

/// Commands that name what they look for, stop, remove or print, and do not run it.
const SEEKERS: [&str; 66] = [
    "pkill",
    "killall",
    "kill",
    "killall5",
    "skill",
    "pgrep",
    "pidof",
    "fuser",
    "grep",
    "egrep",
    "fgrep",
    "zgrep",
    "rg",
    "ag",
    "ps",
    "top",
    "htop",
    "awk",
    "gawk",
    "sed",
    "find",
    "locate",
    "which",
    "whereis",
    "type",
    "command",
    "test",
    "[",
    "[[",
    "rm",
    "unlink",
    "shred",
    "rmdir",
    "chattr",
    "lsattr",
    "userdel",
    "crontab",
    "lsof",
    "netstat",
    "ss",
    "iptables",
    "ip6tables",
    "nft",
    "ufw",
    "firewall-cmd",
    "ip",
    "route",
    "echo",
    "printf",
    "cat",
    "less",
    "more",
    "head",
    "tail",
    "ls",
    "stat",
    "file",
    "strings",
    "wc",
    "sha256sum",
    "md5sum",
    "diff",
    "vi",
    "vim",
    "nano",
    "man",
];

/// Windows' own.
const SEEKERS_WINDOWS: [&str; 7] =
    ["taskkill", "tasklist", "findstr", "del", "stop-process", "get-process", "remove-item"];

/// Package and service managers, and what they say when they take something away or only look.
const MANAGERS: [&str; 22] = [
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "yum",
    "dnf",
    "rpm",
    "apk",
    "zypper",
    "pacman",
    "pip",
    "pip3",
    "npm",
    "snap",
    "systemctl",
    "service",
    "docker",
    "podman",
    "nerdctl",
    "crictl",
    "ctr",
    "kubectl",
];
const TAKING_AWAY: [&str; 36] = [
    "remove",
    "purge",
    "autoremove",
    "uninstall",
    "erase",
    "del",
    "delete",
    "rm",
    "rmi",
    "-r",
    "-e",
    "-R",
    "-Rs",
    "-Rns",
    "-q",
    "-qa",
    "-l",
    "-P",
    "--remove",
    "--purge",
    "stop",
    "disable",
    "mask",
    "kill",
    "status",
    "show",
    "search",
    "list",
    "info",
    "inspect",
    "logs",
    "ps",
    "get",
    "describe",
    "images",
    "is-active",
];

/// Every command of a started program; the first is the program itself.
pub fn of(process: &Process) -> Vec<Command> {
    let arguments = cut(&process.arguments);
    let name = process.name();
    let mut words = split(arguments);
    if let Some(text) = script_of(&name, arguments) {
        // Some logs join arguments without quoting them: all that follows `-c` is the script.
        let end = words.iter().position(|word| is_script_option(word)).map_or(0, |at| at + 1);
        words.truncate(end);
        words.push(text);
    }
    let mut text = quoted(crate::activity::program_path(&process.binary));
    for word in &words {
        text.push(' ');
        text.push_str(&quoted(word));
    }
    let script = script::scan(Language::Shell, &text);
    let mut commands: Vec<Command> = script
        .commands
        .iter()
        .filter(|command| !command.name.is_empty() && runs_now(&script, command.unit))
        .map(|command| Command {
            name: super::network::name(&command.name),
            words: match command.inner {
                Some(inner) if !inner.is_empty() => Vec::new(),
                _ => command.args().iter().map(|word| word.text.clone()).collect(),
            },
            fed: command.stdin.is_some(),
        })
        .collect();
    if commands.is_empty() {
        commands.push(Command { name, words, fed: false });
    }
    commands
}

/// What a command writes into a file is a started program of its own when something runs it.
fn runs_now(script: &script::Script, unit: u32) -> bool {
    let unit = script.units.get(unit as usize);
    unit.is_none_or(|unit| {
        matches!(unit.kind, UnitKind::Root | UnitKind::Inline | UnitKind::Stdin | UnitKind::Decoded)
    })
}

impl Command {
    /// The programs it stands for: itself, and the script or module that an interpreter is given.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.script())
    }

    /// The file name of the script that an interpreter is given.
    fn script(&self) -> Option<&str> {
        language_of(&self.name)?;
        let mut words = self.words.iter().map(String::as_str);
        let mut word = words.next()?;
        while word.starts_with('-') {
            let inline = is_script_option(word) || word == "-e";
            if inline {
                return None;
            }
            if word == "-m" {
                return words.next();
            }
            word = words.next()?;
        }
        Some(basename(word))
    }

    /// Whether it looks for, stops, removes or prints what it names, rather than running it.
    pub fn only_looks(&self) -> bool {
        let name = self.name.as_str();
        SEEKERS.contains(&name)
            || SEEKERS_WINDOWS.contains(&name)
            || (MANAGERS.contains(&name)
                && self.words.iter().any(|word| TAKING_AWAY.contains(&word.as_str())))
    }
}

/// The text behind a shell's `-c`, one layer of quotes around the whole of it removed.
fn script_of<'a>(name: &str, arguments: &'a str) -> Option<String> {
    if language_of(name) != Some(Language::Shell) {
        return None;
    }
    let mut rest: &'a str = arguments.trim_start();
    loop {
        let (word, after) = rest.split_once(char::is_whitespace)?;
        if !word.starts_with('-') {
            return None;
        }
        rest = after.trim_start();
        if is_script_option(word) {
            break;
        }
    }
    let rest = rest.trim_end();
    let whole = ['"', '\''].into_iter().find_map(|quote| rest.strip_prefix(quote)?.strip_suffix(quote));
    Some(whole.unwrap_or(rest).to_owned())
}

/// `-c`, `-lc`, `-ec`, `/c`.
fn is_script_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|flags| {
        flags.len() <= 4 && flags.ends_with('c') && flags.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// Words of a joined argument list: parted by blanks outside quotes. Nothing else is special, since no
/// shell has read it.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            Some('"') if c == '\\' && chars.peek() == Some(&'"') => {
                chars.next();
                word.get_or_insert_default().push('"');
            }
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::process;

    fn names(binary: &str, arguments: &str) -> Vec<String> {
        of(&process(binary, arguments)).into_iter().map(|command| command.name).collect()
    }

    #[test]
    fn a_program_is_itself() {
        let found = of(&process("/usr/bin/curl", "-d \"a b\" 'http://x.example/?a=1&b=2|c'"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].name, "curl");
        assert_eq!(found[0].words, ["-d", "a b", "http://x.example/?a=1&b=2|c"]);
        // No shell has read it: these are arguments.
        assert_eq!(of(&process("/bin/grep", "a|b; c && d $(e)")).len(), 1);
        assert_eq!(names("C:\\Temp\\XMRig.exe", ""), ["xmrig"]);
        assert_eq!(names("/bin/it's", "x"), ["it's"]);
        assert_eq!(names("", ""), [""]);
    }

    #[test]
    fn scripts_behind_a_shells_option_are_read_quoted_or_not() {
        for arguments in [
            "-c \"pkill xmrig; ./minerd -o x\"",
            "-c 'pkill xmrig; ./minerd -o x'",
            "-c pkill xmrig; ./minerd -o x",
            "-l -ec \"pkill xmrig; ./minerd -o x\"",
        ] {
            let found = names("/bin/bash", arguments);
            assert!(found.contains(&"pkill".to_owned()) && found.contains(&"minerd".to_owned()), "{found:?}");
        }
        let outer = &of(&process("/bin/sh", "-c \"echo xmrig\""))[0];
        assert!(outer.name != "sh" || outer.words.is_empty(), "{outer:?}");
    }

    #[test]
    fn wrappers_and_interpreters_are_seen_through() {
        assert_eq!(names("/usr/bin/sudo", "-E timeout 5 /tmp/xmrig -o x"), ["xmrig"]);
        let programs = |binary: &str, arguments: &str| -> Vec<String> {
            of(&process(binary, arguments))[0].programs().map(str::to_owned).collect()
        };
        assert_eq!(
            programs("/usr/bin/python3", "-u /opt/impacket/secretsdump.py x"),
            ["python3", "secretsdump.py"]
        );
        assert_eq!(programs("/usr/bin/python3", "-m sublist3r -d x"), ["python3", "sublist3r"]);
        assert_eq!(programs("/bin/sh", "/tmp/linpeas.sh"), ["sh", "linpeas.sh"]);
        assert_eq!(programs("/usr/bin/python3", "-c print(1)"), ["python3"]);
    }

    #[test]
    fn looking_is_not_running() {
        let looks = |binary: &str, arguments: &str| of(&process(binary, arguments))[0].only_looks();
        for (binary, arguments) in [
            ("/usr/bin/pkill", "-9 xmrig"),
            ("/usr/bin/apt", "remove -y xmrig"),
            ("/usr/bin/docker", "rmi xmrig/xmrig"),
            ("/bin/grep", "-r stratum+tcp:// /"),
            ("C:\\Windows\\System32\\taskkill.exe", "/IM xmrig.exe"),
        ] {
            assert!(looks(binary, arguments), "{binary} {arguments}");
        }
        assert!(!looks("/usr/bin/docker", "run xmrig/xmrig"));
        assert!(!looks("/usr/bin/apt", "install xmrig"));
    }

    #[test]
    fn hostile_lines_cost_little_and_panic_nowhere() {
        for text in ["é".repeat(40_000), "\"'".repeat(20_000), "-c ".repeat(20_000), "$(".repeat(20_000)] {
            of(&process("/bin/sh", &text));
            of(&process("/bin/sh", &format!("-c {text}")));
        }
    }
}
