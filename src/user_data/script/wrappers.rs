//! Programs that run another program: `sudo -u x nohup timeout 5 curl ...` is `curl`.

use super::{Word, basename};

pub(super) struct Unwrapped {
    pub name: String,
    pub start: usize,
    pub background: bool,
    /// The name is a pattern that a program was found for.
    pub globbed: bool,
}

/// How a wrapper's own arguments are told from the command behind them.
struct Wrapper {
    /// Short options that take a value, as one text of letters.
    valued: &'static str,
    /// Long options that take a value as the next word.
    valued_long: &'static [&'static str],
    /// Operands of its own in front of the command.
    operands: usize,
    /// Detaches the command from the terminal.
    background: bool,
}

const PLAIN: Wrapper = Wrapper { valued: "", valued_long: &[], operands: 0, background: false };

fn wrapper(name: &str) -> Option<Wrapper> {
    Some(match name {
        "sudo" => Wrapper {
            valued: "ugphCcDRrtTU",
            valued_long: &["--user", "--group", "--chdir", "--host", "--prompt"],
            ..PLAIN
        },
        "doas" => Wrapper { valued: "uC", ..PLAIN },
        "env" => Wrapper { valued: "uCS", valued_long: &["--unset", "--chdir"], ..PLAIN },
        "nohup" | "setsid" => Wrapper { background: true, ..PLAIN },
        "timeout" => {
            Wrapper { valued: "sk", valued_long: &["--signal", "--kill-after"], operands: 1, ..PLAIN }
        }
        "nice" => Wrapper { valued: "n", valued_long: &["--adjustment"], ..PLAIN },
        "ionice" => Wrapper { valued: "cn", valued_long: &["--class", "--classdata"], ..PLAIN },
        "chrt" => Wrapper { operands: 1, ..PLAIN },
        "taskset" => Wrapper { operands: 1, ..PLAIN },
        "stdbuf" => Wrapper { valued: "ioe", ..PLAIN },
        "time" => Wrapper { valued: "fo", ..PLAIN },
        "xargs" => Wrapper {
            valued: "IdaELnPs",
            valued_long: &["--delimiter", "--max-args", "--max-procs", "--arg-file"],
            ..PLAIN
        },
        "chroot" => Wrapper { operands: 1, valued_long: &["--userspec"], ..PLAIN },
        "flock" => Wrapper { valued: "wE", operands: 1, ..PLAIN },
        "unshare" | "nsenter" => Wrapper { valued: "tSGw", valued_long: &["--target"], ..PLAIN },
        "runuser" => Wrapper { valued: "ugG", ..PLAIN },
        "systemd-run" => Wrapper {
            valued: "puM",
            valued_long: &["--unit", "--property", "--uid", "--gid", "--description", "--setenv", "--slice"],
            background: true,
            ..PLAIN
        },
        "systemd-inhibit" | "cgexec" | "unbuffer" | "proxychains" | "proxychains4" | "torsocks"
        | "torify" => Wrapper { valued: "gf", ..PLAIN },
        "watch" => Wrapper { valued: "n", ..PLAIN },
        "exec" => Wrapper { valued: "a", ..PLAIN },
        "busybox" | "toybox" | "command" | "builtin" | "parallel" | "retry" => PLAIN,
        "daemonize" => Wrapper { valued: "acoepul", background: true, ..PLAIN },
        "strace" => Wrapper { valued: "eoPps", ..PLAIN },
        _ => return None,
    })
}

/// Find the program behind its wrappers.
pub(super) fn unwrap(words: &[Word]) -> Unwrapped {
    let mut start = 0;
    let mut background = false;
    for _ in 0..16 {
        let Some(word) = words.get(start) else { break };
        let name = program_name(word);
        let next = match name.as_str() {
            // What stands behind is looked for only as far as it can be told.
            "find" => find_exec(words, start),
            "screen" | "tmux" => multiplexer(words, start),
            "start-stop-daemon" => after_option(words, start, &["--exec", "-x", "--startas", "-a"]),
            "ld-linux-x86-64.so.2" | "ld-linux.so.2" => Some(start + 1),
            _ => wrapper(&name).map(|wrapper| {
                background |= wrapper.background;
                skip(words, start + 1, &wrapper)
            }),
        };
        background |= matches!(name.as_str(), "screen" | "tmux" | "start-stop-daemon") && next.is_some();
        match next {
            Some(next) if words.get(next).is_some() => start = next,
            _ => return Unwrapped { globbed: is_globbed(words, start, &name), name, start, background },
        }
    }
    let name = words.get(start).map(program_name).unwrap_or_default();
    Unwrapped { globbed: is_globbed(words, start, &name), name, start, background }
}

fn is_globbed(words: &[Word], start: usize, name: &str) -> bool {
    !name.is_empty()
        && words.get(start).is_some_and(|word| {
            !word.quoted && basename(&word.text) != name && word.text.contains(['?', '*', '['])
        })
}

fn skip(words: &[Word], mut at: usize, wrapper: &Wrapper) -> usize {
    let mut operands = wrapper.operands;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if text == "--" {
            at += 1;
            continue;
        }
        let assignment = text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if let Some(option) = text.strip_prefix("--") {
            at += 1 + usize::from(!option.contains('=') && wrapper.valued_long.contains(&text));
        } else if text.len() > 1 && text.starts_with('-') {
            // `-u root`, but not `-uroot`.
            let last_takes_value = text.chars().last().is_some_and(|last| wrapper.valued.contains(last));
            let only_there =
                !text.chars().skip(1).take(text.len().saturating_sub(2)).any(|c| wrapper.valued.contains(c));
            at += 1 + usize::from(last_takes_value && only_there);
        } else if assignment {
            at += 1;
        } else if operands > 0 {
            operands -= 1;
            at += 1;
        } else {
            break;
        }
    }
    at
}

fn find_exec(words: &[Word], start: usize) -> Option<usize> {
    after_option(words, start, &["-exec", "-execdir", "-ok"])
}

fn after_option(words: &[Word], start: usize, options: &[&str]) -> Option<usize> {
    let found = words.iter().skip(start).position(|word| options.contains(&word.text.as_str()))?;
    Some(start + found + 1)
}

/// `screen -dmS name command`, `tmux new-session -d command`.
fn multiplexer(words: &[Word], start: usize) -> Option<usize> {
    let mut at = start + 1;
    let mut detached = false;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if text.starts_with('-') {
            detached |= text.contains('d');
            let valued = text.ends_with(['S', 's', 'n', 'L', 'c', 't']) && text != "-s=";
            at += 1 + usize::from(valued);
        } else if matches!(text, "new-session" | "new" | "new-window") {
            at += 1;
        } else {
            break;
        }
    }
    detached.then_some(at)
}

/// Programs that a pattern in a command's place is resolved to: `/???/b??h`, `/usr/bin/c?rl`.
const GLOBBED: &[&str] = &[
    "curl", "wget", "bash", "sh", "nc", "ncat", "python3", "python", "perl", "php", "base64", "chmod",
    "crontab", "socat", "ruby", "dash", "cat", "openssl",
];

/// The base name of a program, without what is only known at run time (`c${x}url` is `curl`).
pub(super) fn program_name(word: &Word) -> String {
    let name = basename(&word.text);
    let mut out = String::with_capacity(name.len());
    if word.dynamic {
        let mut rest = name;
        while let Some(at) = rest.find('$') {
            out.push_str(rest.get(..at).unwrap_or(""));
            let tail = rest.get(at + 1..).unwrap_or("");
            let end = tail.find(['}', ')']).map_or(tail.len(), |end| end + 1);
            rest = tail.get(end..).unwrap_or("");
        }
        out.push_str(rest);
    } else {
        out.push_str(name);
    }
    if !word.quoted
        && out.contains(['?', '*', '['])
        && out.len() < 32
        && out.chars().any(char::is_alphanumeric)
        && let Some(known) = GLOBBED.iter().find(|known| wildmatch::WildMatch::new(&out).matches(known))
    {
        return (*known).to_owned();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_stripped_with_their_options() {
        for (line, expected) in [
            ("sudo -u deploy -E curl x", "curl"),
            ("env A=b C=d nohup timeout -k 5 30s wget x", "wget"),
            ("nice -n 19 ionice -c3 /usr/local/bin/tool", "tool"),
            ("setsid bash -c x", "bash"),
            ("busybox wget x", "wget"),
            ("xargs -n1 -P 4 -I {} rm {}", "rm"),
            ("find /tmp -name x -exec chmod +x {} ;", "chmod"),
            ("screen -dmS job ./job", "job"),
            ("chroot /mnt useradd x", "useradd"),
            ("sudo", "sudo"),
            ("stdbuf -oL curl x", "curl"),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::literal).collect();
            assert_eq!(unwrap(&words).name, expected, "{line}");
        }
    }
}
