//! What text without a header looks like: a script whose first line is missing, or no user data at all.

/// Lines that are looked at.
const MOST_LINES: usize = 400;

/// First words of commands that launch scripts consist of. A list for telling shapes apart: what a
/// command does is judged elsewhere.
const COMMANDS: &[&str] = &[
    ".",
    ":",
    "add-apt-repository",
    "amazon-linux-extras",
    "apk",
    "apt",
    "apt-get",
    "aws",
    "bash",
    "cat",
    "cd",
    "chkconfig",
    "chmod",
    "chown",
    "cp",
    "crontab",
    "curl",
    "cut",
    "date",
    "dd",
    "dnf",
    "docker",
    "dpkg",
    "echo",
    "eval",
    "exec",
    "exit",
    "export",
    "find",
    "git",
    "grep",
    "groupadd",
    "gunzip",
    "hostname",
    "hostnamectl",
    "ifconfig",
    "install",
    "ip",
    "iptables",
    "kill",
    "kubectl",
    "ln",
    "logger",
    "ls",
    "mkdir",
    "mkfs",
    "modprobe",
    "mount",
    "mv",
    "nc",
    "nohup",
    "npm",
    "openssl",
    "passwd",
    "perl",
    "pip",
    "pip3",
    "pkill",
    "printf",
    "ps",
    "pushd",
    "python",
    "python3",
    "read",
    "rm",
    "rpm",
    "rsync",
    "scp",
    "sed",
    "service",
    "set",
    "setsid",
    "sh",
    "shutdown",
    "sleep",
    "snap",
    "source",
    "ssh",
    "sudo",
    "swapoff",
    "sysctl",
    "systemctl",
    "tar",
    "tee",
    "test",
    "touch",
    "trap",
    "umask",
    "unset",
    "unzip",
    "useradd",
    "usermod",
    "wait",
    "wget",
    "while",
    "yes",
    "yum",
    "zypper",
];

/// Whether text reads as a shell script without its `#!` line.
pub(super) fn is_script(text: &str) -> bool {
    !is_other(text) && text.lines().take(MOST_LINES).any(is_command)
}

/// A line that begins as a command, an assignment or a compound command does.
fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    let word = line.split([' ', '\t', ';', '|', '&', '(']).next().unwrap_or_default();
    if line.starts_with("if [") || line.starts_with("[ ") || line.starts_with("for ") && line.contains(" in ")
    {
        return true;
    }
    if let Some((name, value)) = word.split_once('=') {
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return named && !value.is_empty();
    }
    let name = word.trim_end_matches('.').rsplit('/').next().unwrap_or(word);
    let path = word.starts_with('/') || word.starts_with("./") || word.starts_with("../");
    // `find:` and `install:` are a Makefile's or YAML's.
    path || (COMMANDS.contains(&name) && line.len() > word.len()) || COMMANDS.contains(&line.trim_end())
}

/// Whether text is of a kind that is known to be something else: rules of make, HCL, a plan, JSON.
pub(super) fn is_other(text: &str) -> bool {
    let mut target = false;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    // A section of an INI or TOML file.
    if first.is_some_and(|line| line.starts_with('[') && !line.starts_with("[ ") && line.ends_with(']')) {
        return true;
    }
    for line in text.lines().take(MOST_LINES) {
        // A rule of make: a target, and a line below it that begins with a tab.
        if target && line.starts_with('\t') {
            return true;
        }
        let plain = !line.starts_with([' ', '\t', '#']) && !line.contains("://");
        target = plain
            && line.split_once(':').is_some_and(|(names, rest)| {
                let named = !names.is_empty() && !names.contains(['"', '\'', '=', ';', '|', '<', '>', '`']);
                named && (rest.is_empty() || rest.starts_with([' ', '\t', ':']))
            });
        if line.starts_with(".PHONY:") {
            return true;
        }
        // `resource "aws_instance" "x" {`, and the plan that comes of it.
        let block =
            ["resource \"", "data \"", "variable \"", "module \"", "provider \"", "terraform {", "output \""];
        let plan = line.contains("Terraform will perform") || line.trim_start().starts_with("# aws_");
        if plan
            || (plain && line.trim_end().ends_with('{') && block.iter().any(|word| line.starts_with(word)))
        {
            return true;
        }
    }
    text.trim_start().starts_with(['{', '<'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_its_first_line_is_told_from_what_is_none() {
        for script in [
            "apt-get update\n",
            "# install\nset -e\nyum -y install git\n",
            "NAME=web\nhostnamectl set-hostname $NAME\n",
            "/opt/run\n",
            "if [ -f /x ]; then id; fi\n",
            "main() {\n  echo hi\n}\nmain\n",
        ] {
            assert!(is_script(script), "{script}");
        }
        for other in [
            "CC=gcc\n\nall: x.o\n\t$(CC) -o x x.o\n",
            ".PHONY: test\ntest:\n\tcargo test\n",
            "resource \"aws_instance\" \"a\" {\n  ami = \"x\"\n}\n",
            "Terraform will perform the following actions:\n\n  # aws_instance.a will be created\n",
            "{\"format_version\": \"1.2\"}\n",
            "A letter about nothing.\nIt has two lines.\n",
            "apiVersion: v1\nkind: Pod\n",
            "; settings\n[server]\nport=80\n",
        ] {
            assert!(!is_script(other), "{other}");
        }
    }
}
