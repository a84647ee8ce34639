//! Scripts: from text to the commands it would run.
//!
//! One linear, tolerant pass a text ([`shell`], [`powershell`], [`batch`]), then a second step that
//! follows what the commands carry on their backs ([`nested`]): `bash -c '...'`, here-documents fed
//! to an interpreter, decoded payloads, files that are written and then run, cron lines.
//!
//! Nothing here fails: what is odd is skipped, and scanning goes on behind it. Work and memory are
//! bounded by a [`Budget`]; when that runs out, [`Script::over_bound`] says so.

pub mod batch;
mod calls;
mod carried;
mod emit;
mod encoding;
mod env;
mod files;
mod filters;
mod literal;
mod nested;
mod plain;
pub mod powershell;
mod shell;
#[cfg(test)]
mod tests;
mod work;
mod wrappers;

use super::Language;
use std::collections::HashMap;
use std::rc::Rc;

use env::Env;
pub(crate) use files::{Role, absolute, language_by_extension, role};
pub(crate) use literal::is_decoder;
pub(crate) use nested::reads_script;
pub use plain::telling_lines;
pub use work::Work;

/// How many texts may stand inside one another (`bash -c "bash -c ..."`, decoded layers).
pub const MAX_NESTING: usize = 8;

/// Everything found in one script and in the scripts it carries.
#[derive(Debug, Default)]
pub struct Script {
    /// The texts that were scanned; the first is the script itself.
    pub units: Vec<Unit>,
    /// The commands of all units, in the order they were met.
    pub commands: Vec<Command>,
    /// Files that the script writes with a content known from the text alone.
    pub files: Vec<WrittenFile>,
    /// Functions, with the commands of their bodies.
    pub functions: HashMap<String, Span>,
    /// Layers of encoding that were undone on the way, the most on any one path.
    pub encodings: usize,
    /// More was in there than the budget allows to look at.
    pub over_bound: bool,
    /// The work that is left to whoever looks at the commands.
    pub work: Work,
}

/// One scanned text.
#[derive(Debug)]
pub struct Unit {
    pub kind: UnitKind,
    pub language: Language,
    pub text: Box<str>,
    /// The command (index into [`Script::commands`]) that carried it; `None` for the script itself.
    pub carrier: Option<u32>,
}

/// How a text comes to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitKind {
    /// The script itself.
    Root,
    /// The argument of `sh -c`, `eval`, `trap`, `su -c`.
    Inline,
    /// Standard input of an interpreter: a here-document, a here-string, a literal pipe.
    Stdin,
    /// As [`UnitKind::Inline`] or [`UnitKind::Stdin`], but encoded: base64, hex, gzip, reversed.
    Decoded,
    /// A file the script writes and then runs, or leaves where something will run it.
    File(String),
    /// Lines of a crontab or of a file below a cron folder.
    Cron,
    /// `Exec...=` lines of a systemd unit; the commands of rc.local, profile.d, init.d.
    Boot,
}

impl UnitKind {
    /// The word for it in a finding's path; empty for the script itself.
    pub fn label(&self) -> &str {
        match self {
            UnitKind::Root => "",
            UnitKind::Inline => "inline script",
            UnitKind::Stdin => "standard input",
            UnitKind::Decoded => "decoded",
            UnitKind::File(path) => path,
            UnitKind::Cron => "cron",
            UnitKind::Boot => "boot",
        }
    }
}

/// A half-open range of indices into [`Script::commands`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn one(index: u32) -> Span {
        Span { start: index, end: index.saturating_add(1) }
    }
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (self.start..self.end).map(|index| index as usize)
    }
}

/// One simple command.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program's base name, quoting and wrappers (`sudo`, `env`, `nohup` ...) removed.
    /// Empty when it cannot be told, or when the command only assigns variables.
    pub name: String,
    /// Every word as written, expansions with a known value applied.
    pub words: Vec<Word>,
    /// Index in `words` of the program itself, behind its wrappers.
    pub start: usize,
    /// Variables assigned in front of it.
    pub assigns: Vec<(String, Word)>,
    pub redirects: Vec<Redirect>,
    /// The commands whose output is piped into it.
    pub stdin: Option<Span>,
    /// The one command that reads its output by a pipe.
    pub feeds: Option<u32>,
    /// Its output goes into the next command of a pipeline.
    pub piped: bool,
    /// Run with `&`, `nohup`, `setsid`, `screen -d` and the like.
    pub background: bool,
    /// Its name is spelled so that a reader does not see it: `c''url`, `$a$b`, `/b?n/sh`, `{curl,-s}`.
    pub disguised: bool,
    /// Index into [`Script::units`], and the byte where it starts in that text.
    pub unit: u32,
    pub offset: u32,
    /// Commands of the text it runs (`-c`, standard input); indices into [`Script::commands`].
    pub inner: Option<Span>,
}

impl Command {
    /// The words behind the program's name.
    pub fn args(&self) -> &[Word] {
        self.words.get(self.start.saturating_add(1)..).unwrap_or_default()
    }
    /// The program as written, path included.
    pub fn program(&self) -> &str {
        self.words.get(self.start).map_or("", |word| word.text.as_str())
    }
    /// The `n`th word behind the program's name, or an empty text.
    pub fn arg(&self, n: usize) -> &str {
        self.args().get(n).map_or("", |word| word.text.as_str())
    }
    /// Whether some argument is exactly `text`.
    pub fn has(&self, text: &str) -> bool {
        self.args().iter().any(|word| word.text == text)
    }
    /// Arguments that are no options.
    pub fn operands(&self) -> impl Iterator<Item = &Word> {
        self.args().iter().filter(|word| !word.text.starts_with('-') || word.text == "-")
    }
}

/// One word of a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Word {
    /// Unquoted, with known variables and literal substitutions filled in. What is not known stands
    /// as `${NAME}` (variables) or `$()` (substitutions).
    pub text: String,
    /// Some of it was quoted.
    pub quoted: bool,
    /// Some of it came from a variable or a substitution, known or not.
    pub expanded: bool,
    /// Some of it is only known at run time.
    pub dynamic: bool,
    /// Put together from several quoted, escaped or expanded pieces.
    pub pieced: bool,
    /// What it was expanded from.
    pub from: Option<Box<Expansions>>,
}

impl Word {
    pub fn literal(text: impl Into<String>) -> Word {
        Word { text: text.into(), ..Word::default() }
    }
    /// The substitutions in it.
    pub fn subs(&self) -> &[(SubKind, Span)] {
        self.from.as_deref().map_or(&[], |from| &from.subs)
    }
    /// The variables in it whose value is not, or not only, known from the text, or that take several.
    pub fn vars(&self) -> &[String] {
        self.from.as_deref().map_or(&[], |from| &from.vars)
    }
}

/// What a word was expanded from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expansions {
    pub subs: Vec<(SubKind, Span)>,
    pub vars: Vec<String>,
}

/// The kinds of substitution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubKind {
    /// `$(...)` and backticks.
    Command,
    /// `<(...)`
    Input,
    /// `>(...)`
    Output,
}

/// The kinds of redirection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectOp {
    /// `<`
    Read,
    /// `>`, `>|`
    Write,
    /// `>>`
    Append,
    /// `<>`
    ReadWrite,
    /// `&>`, `>&` to a file: output and errors.
    Both,
    /// `<&`, `>&` to a descriptor.
    Duplicate,
    /// `<<`, `<<-`: the target is the body.
    HereDocument,
    /// `<<<`: the target is the text.
    HereString,
}

/// One redirection.
#[derive(Debug, Clone, PartialEq)]
pub struct Redirect {
    pub op: RedirectOp,
    /// The descriptor it is for, where one was written or follows from the operator.
    pub fd: u8,
    pub target: Word,
}

impl Redirect {
    /// Whether it sends what is printed to its target.
    pub fn writes(&self) -> bool {
        matches!(self.op, RedirectOp::Write | RedirectOp::Append | RedirectOp::Both | RedirectOp::ReadWrite)
    }
}

/// A file whose content is known from the script's text.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenFile {
    pub path: String,
    pub text: String,
    /// The command that wrote it first.
    pub writer: u32,
    /// The text was undone from an encoding on its way into the file.
    pub decoded: bool,
    /// Its content was scanned as a script.
    pub scanned: bool,
}

/// What may still be spent on texts inside texts and on expanded values.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Bytes of nested texts to scan.
    pub nested: usize,
    /// Bytes of values to paste.
    pub expansion: usize,
    /// Commands to keep.
    pub commands: usize,
    /// Words of all commands to keep.
    pub words: usize,
    /// Commands to copy for calls of functions with arguments.
    pub calls: usize,
    /// Steps of everything that is not bounded by the length of the text.
    pub work: Work,
}

impl Budget {
    /// For a text of `len` bytes.
    pub fn for_text(len: usize) -> Budget {
        Budget {
            nested: len.saturating_mul(4).clamp(256 << 10, 2 << 20),
            expansion: len.saturating_mul(8).clamp(256 << 10, 512 << 10),
            commands: 12_000,
            words: 64_000,
            calls: 2_000,
            work: Work::for_text(len),
        }
    }
}

/// Files that something else writes before a script runs: absolute path, content.
pub type Known = Rc<Vec<(String, String)>>;

/// Scan a script and all that it carries.
pub fn scan(language: Language, text: &str) -> Script {
    scan_within(&mut Budget::for_text(text.len()), &Known::default(), UnitKind::Root, language, text)
}

/// As [`scan`], with a budget that several scripts share.
pub fn scan_within(
    budget: &mut Budget,
    known: &Known,
    kind: UnitKind,
    language: Language,
    text: &str,
) -> Script {
    let mut scan = nested::Scan::new(budget.clone(), known);
    scan.unit(kind, language, text, None);
    let (script, left) = scan.finish();
    *budget = left;
    script
}

/// Scan a file for what its place or its first line makes of it: a crontab, a unit, a start script, a
/// script; or for the language of whatever runs it. `None` when it is none of these.
pub fn scan_file(
    budget: &mut Budget,
    known: &Known,
    path: &str,
    text: &str,
    run_by: Option<Language>,
) -> Option<Script> {
    let (kind, language, text) = files::as_script(&absolute(path), text, run_by)?;
    Some(scan_within(budget, known, kind, language, &text))
}

/// Whether a file is run for where it stands or how it begins.
pub fn is_script_file(path: &str, text: &str) -> bool {
    files::role(&absolute(path)) != files::Role::Ordinary || language_by_shebang(text).is_some()
}

/// The language that an interpreter's name stands for.
pub fn language_of(name: &str) -> Option<Language> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    Some(match stem {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "ash" | "rbash" | "fish" | "csh" | "tcsh" => {
            Language::Shell
        }
        "python" | "pypy" => Language::Python,
        "perl" => Language::Perl,
        "ruby" => Language::Ruby,
        "php" => Language::Php,
        "powershell" | "powershell.exe" | "pwsh" | "pwsh.exe" => Language::PowerShell,
        "cmd" | "cmd.exe" => Language::Batch,
        "node" | "nodejs" | "lua" | "luajit" | "tclsh" | "expect" | "osascript" | "deno" | "bun" => {
            Language::Other
        }
        _ => return None,
    })
}

/// The language of a text by its `#!` line, if it has one.
pub fn language_by_shebang(text: &str) -> Option<Language> {
    let line = text.trim_start().lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_ascii_whitespace();
    let mut name = basename(words.next()?);
    if name == "env" {
        name = basename(words.find(|word| !word.starts_with('-') && !word.contains('='))?);
    }
    Some(language_of(name).unwrap_or(Language::Other))
}

/// What stands behind the last slash or backslash.
pub fn basename(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The line (from 1) of a byte offset.
pub fn line_number(text: &str, offset: u32) -> usize {
    let end = (offset as usize).min(text.len());
    text.as_bytes().get(..end).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The line that an offset stands on.
pub fn line_at(text: &str, offset: u32) -> &str {
    text.lines().nth(line_number(text, offset) - 1).unwrap_or("")
}
