//! Where data goes: from a download or a decoder through pipes, variables and files to whatever runs it.

use std::collections::{HashMap, HashSet};

use super::Part;
use super::fetch::{self, Fetch, Output, Standing};
use super::paths::{Directory, is_device, same_file};
use super::reach::{Reach, unknown_download};
use crate::user_data::script::{Command, RedirectOp, Word, basename, is_decoder, language_of, reads_script};
use crate::user_data::{Language, Trust};

/// Downloads and runs that are compared with each other.
const MAX_PATHS: usize = 512;

/// A place in the scripts: part and command.
pub type Place = (usize, usize);

/// A file that came from somewhere else.
#[derive(Debug)]
pub struct Download {
    pub path: String,
    pub at: Place,
    pub standing: Standing,
    /// Over an open connection.
    pub open: bool,
}

/// A file that is run.
#[derive(Debug)]
pub struct Run {
    pub path: String,
    pub at: Place,
    /// By `source` or `.`.
    pub sourced: bool,
}

/// What all the scripts of a user data do with files.
#[derive(Debug, Default)]
pub struct Flow {
    pub downloads: Vec<Download>,
    pub runs: Vec<Run>,
    /// Directories that downloaded archives were unpacked into.
    unpacked: Vec<Download>,
    /// Files whose content came out of a decoder, not known from the text.
    pub decoded: Vec<(String, Place)>,
    /// Commands that verify a checksum or signature, with what they say about files.
    pub checks: Vec<(Place, String)>,
    /// Checks whose failure is ignored.
    pub ignored: Vec<Place>,
    /// Descriptors that a unit of a part opens on a socket: part, unit, descriptor.
    pub(super) sockets: HashSet<(usize, u32, u8)>,
    /// Variables that hold downloaded or decoded text.
    pub(super) variables: HashMap<(usize, String), Reach>,
    /// Some download is from an untrusted host.
    pub untrusted: bool,
}

impl Flow {
    /// Follow the files of all parts, which together are one boot.
    pub fn of(parts: &[Part<'_>], trust: &Trust) -> Flow {
        let mut flow = Flow::default();
        for (number, part) in parts.iter().enumerate() {
            flow.sockets_of(number, part);
            flow.variables_of(number, part, trust);
            let mut directory = Directory::default();
            for (index, command) in part.script.commands.iter().enumerate() {
                directory.enter(command);
                flow.command((number, index), part, command, &directory, trust);
            }
        }
        flow.untrusted |= flow.downloads.iter().any(|download| download.standing == Standing::Untrusted);
        flow
    }

    fn command(
        &mut self,
        at: Place,
        part: &Part<'_>,
        command: &Command,
        directory: &Directory,
        trust: &Trust,
    ) {
        if let Some(fetch) = fetch::parse(command) {
            let standing = fetch.standing(trust);
            self.untrusted |= standing == Standing::Untrusted && !fetch.upload;
            if let Some(path) = target(part, command, &fetch).filter(|_| standing > Standing::Local) {
                let path = directory.resolve(&path);
                self.add_download(Download { path, at, standing, open: fetch.is_open() });
            }
        } else if is_decoder(command) {
            let given = command
                .operands()
                .last()
                .filter(|_| command.name == "certutil")
                .map(|word| word.text.clone());
            if let Some(path) = given.or_else(|| written(part, command))
                && self.decoded.len() < MAX_PATHS
            {
                self.decoded.push((directory.resolve(&path), at));
            }
        } else if command.redirects.iter().any(|redirect| redirect.writes()) {
            // `echo "$downloaded" > file`
            let reach = self.reach_of_words((at.0, part), command.args(), trust);
            // `cat <&7 > file`: what comes out of a socket is a download.
            let from_socket =
                !self.sockets.is_empty() && self.reach_of_input((at.0, part), command, trust).socket;
            let standing = reach.download().or(from_socket.then_some(Standing::Untrusted));
            if let (Some(standing), Some(path)) = (standing, written(part, command)) {
                self.add_download(Download {
                    path: directory.resolve(&path),
                    at,
                    standing,
                    open: reach.open,
                });
            }
        }
        // `/opt/get http://... > file`
        if let Some(fetch) = unknown_download(command)
            && fetch.standing(trust) > Standing::Local
            && let Some(path) = written(part, command)
        {
            let (standing, open) = (fetch.standing(trust), fetch.is_open());
            self.add_download(Download { path: directory.resolve(&path), at, standing, open });
        }
        match command.name.as_str() {
            "tar" | "bsdtar" | "unzip" | "7z" | "gunzip" | "expand-archive" | "cpio" => {
                self.unpack(at, part, command, directory, trust);
            }
            "mv" | "cp" | "install" | "ln" | "rename" => self.moved(at, command, directory),
            "sha256sum" | "sha512sum" | "sha1sum" | "md5sum" | "shasum" | "sha384sum" | "cosign"
            | "minisign" | "gpg" | "gpgv" | "gpg2" | "openssl" | "signify" | "slsa-verifier" | "rpmkeys" => {
                self.check(at, part, command)
            }
            _ => {}
        }
        self.run(at, command, directory);
    }

    fn add_download(&mut self, download: Download) {
        if self.downloads.len() < MAX_PATHS && !download.path.is_empty() && !is_device(&download.path) {
            self.downloads.push(download);
        }
    }

    fn moved(&mut self, at: Place, command: &Command, directory: &Directory) {
        let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
        let Some((to, from)) = operands.split_last() else { return };
        for source in from {
            let source = directory.resolve(source);
            let found = self.downloads.iter().find(|download| download.path == source);
            let Some((standing, open)) = found.map(|download| (download.standing, download.open)) else {
                continue;
            };
            let mut path = directory.resolve(to);
            if to.ends_with('/') {
                path.push_str(basename(&source));
            } else if !basename(&path).contains('.') && basename(&path) != basename(&source) {
                // The target may be a folder; both readings are kept.
                let inside = format!("{}/{}", path.trim_end_matches('/'), basename(&source));
                self.add_download(Download { path: inside, at, standing, open });
            }
            self.add_download(Download { path, at, standing, open });
        }
    }

    /// An archive that was downloaded, or comes by pipe, is unpacked.
    fn unpack(
        &mut self,
        at: Place,
        part: &Part<'_>,
        command: &Command,
        directory: &Directory,
        trust: &Trust,
    ) {
        let reach = self.reach_of_input((at.0, part), command, trust);
        let operands: Vec<String> = command.operands().map(|word| directory.resolve(&word.text)).collect();
        let from_file = self
            .downloads
            .iter()
            .find(|download| operands.iter().any(|path| same_file(path, &download.path)));
        let from_file = from_file.map(|download| (download.standing, download.open));
        let Some((standing, open)) = reach.download().map(|standing| (standing, reach.open)).or(from_file)
        else {
            return;
        };
        let option = |name: &str| {
            let at = command.args().iter().position(|word| word.text == name);
            let attached = || {
                command
                    .args()
                    .iter()
                    .find_map(|word| word.text.strip_prefix(name).filter(|rest| rest.len() > 1))
            };
            at.and_then(|at| command.args().get(at + 1)).map(|word| word.text.as_str()).or_else(attached)
        };
        let options: &[&str] = if command.name == "unzip" {
            &["-d"]
        } else {
            &["-C", "--directory=", "--directory", "-DestinationPath"]
        };
        let target = options.iter().find_map(|name| option(name)).unwrap_or(".");
        let path = if target == "." { directory.current.clone() } else { directory.resolve(target) };
        if self.unpacked.len() < MAX_PATHS {
            self.unpacked.push(Download { path, at, standing, open });
        }
    }

    /// The unpacked archive that a file which is run came out of.
    pub fn unpacked(&self, run: &Run) -> Option<&Download> {
        // Programs of the system also stand below where archives are unpacked to.
        let system =
            ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/", "/etc/", "/usr/local/sbin/"];
        if system.iter().any(|root| run.path.starts_with(root)) {
            return None;
        }
        let inside = |archive: &&Download| {
            let root = archive.path.trim_end_matches('/');
            let relative = !run.path.starts_with(['/', '~', '$']);
            archive.at < run.at
                && if root.is_empty() {
                    relative
                } else {
                    run.path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
                }
        };
        self.unpacked.iter().filter(inside).max_by_key(|archive| archive.standing)
    }

    fn check(&mut self, at: Place, part: &Part<'_>, command: &Command) {
        let verifies = match command.name.as_str() {
            "gpg" | "gpg2" => command.has("--verify"),
            "gpgv" | "slsa-verifier" | "rpmkeys" => true,
            "cosign" => command.arg(0).starts_with("verify"),
            "minisign" | "signify" => command.args().iter().any(|word| word.text.starts_with("-V")),
            "openssl" => command.args().iter().any(|word| word.text.contains("verify")),
            _ => command.args().iter().any(|word| {
                word.text == "--check"
                    || (word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c'))
            }),
        };
        // `[ "$(sha256sum file | cut ...)" = "$expected" ]`
        let compared = !verifies
            && part.script.commands.iter().skip(at.1).take(8).any(|other| {
                matches!(other.name.as_str(), "[" | "[[" | "test")
                    && other
                        .words
                        .iter()
                        .flat_map(Word::subs)
                        .any(|(_, span)| span.indices().any(|index| index == at.1))
            });
        if !verifies && !compared {
            return;
        }
        if verifies && is_ignored(part, at.1) {
            if self.ignored.len() < MAX_PATHS {
                self.ignored.push(at);
            }
            return;
        }
        let mut text = String::new();
        let mut add = |command: &Command| {
            for word in command.args() {
                text.push_str(&word.text);
                text.push(' ');
            }
            for redirect in &command.redirects {
                text.push_str(&redirect.target.text);
                text.push(' ');
            }
        };
        add(command);
        let feeding =
            command.stdin.map(|span| span.indices().take(8).collect::<Vec<_>>()).unwrap_or_default();
        for index in feeding {
            if let Some(command) = part.script.commands.get(index) {
                add(command);
            }
        }
        if self.checks.len() < MAX_PATHS {
            self.checks.push((at, text));
        }
    }

    fn run(&mut self, at: Place, command: &Command, directory: &Directory) {
        if self.runs.len() >= MAX_PATHS {
            return;
        }
        let program = command.program();
        let named = program.contains(['/', '\\']) && !command.name.is_empty();
        // `$file`, whose value only the run knows, is still the file that was fetched into it.
        if named || (command.name.is_empty() && program.starts_with("${")) {
            let path = directory.resolve(program);
            self.runs.push(Run { path, at, sourced: false });
        }
        let sourced = matches!(command.name.as_str(), "source" | ".");
        let language = language_of(&command.name);
        let starts = matches!(
            command.name.as_str(),
            "start-process" | "start" | "saps" | "&" | "invoke-item" | "msiexec"
        );
        if !(sourced || language.is_some() || starts) {
            return;
        }
        if let Some(file) = script_argument(command, language) {
            let path = directory.resolve(file);
            self.runs.push(Run { path, at, sourced });
        }
    }

    /// Whether something downloaded was verified before it was run.
    pub fn is_verified(&self, download: &Download, run: Place) -> bool {
        let name = basename(&download.path);
        self.checks.iter().any(|(at, text)| {
            *at > download.at && (*at < run || run.0 != at.0) && (text.contains(name) || names_no_file(text))
        })
    }
}

/// `sha256sum -c sums.txt || true`: nothing follows from the answer.
fn is_ignored(part: &Part<'_>, index: usize) -> bool {
    let commands = &part.script.commands;
    let (Some(check), Some(next)) = (commands.get(index), commands.get(index + 1)) else { return false };
    if check.unit != next.unit {
        return false;
    }
    let text = part.script.units.get(check.unit as usize).map_or("", |unit| &*unit.text);
    let between = text.get(check.offset as usize..next.offset as usize).unwrap_or("");
    let line = text.get(next.offset as usize..).and_then(|rest| rest.lines().next()).unwrap_or("");
    between.trim_end().ends_with("||")
        && match next.name.as_str() {
            "true" | ":" => true,
            "echo" | "printf" | "logger" => {
                !["exit", "return", "{", "("].iter().any(|word| line.contains(word))
            }
            _ => false,
        }
}

/// `sha256sum -c sums.txt`, `sha256sum -c -`: what is checked stands in another file.
fn names_no_file(text: &str) -> bool {
    text.split_ascii_whitespace().all(|word| {
        let lower = word.to_ascii_lowercase();
        word.starts_with('-')
            || word.starts_with('$')
            || ["sum", "sha", ".asc", ".sig", "check", "md5"].iter().any(|part| lower.contains(part))
    })
}

/// The file that a download ends up in: its own option, a redirection, or the end of its pipe.
fn target(part: &Part<'_>, command: &Command, fetch: &Fetch<'_>) -> Option<String> {
    match &fetch.output {
        Output::File(file) => Some(file.clone()),
        Output::Nowhere => None,
        Output::Standard => written(part, command),
    }
}

/// The file that what a command prints is written to.
fn written(part: &Part<'_>, command: &Command) -> Option<String> {
    let mut command = command;
    for _ in 0..16 {
        let redirect = command.redirects.iter().find(|redirect| redirect.writes() && redirect.fd == 1);
        if let Some(redirect) = redirect {
            return Some(redirect.target.text.clone());
        }
        let next = part.script.commands.get(command.feeds? as usize)?;
        match next.name.as_str() {
            "tee" | "sponge" => return next.operands().next().map(|word| word.text.clone()),
            "dd" => {
                return next.args().iter().find_map(|word| word.text.strip_prefix("of=").map(str::to_owned));
            }
            _ => command = next,
        }
    }
    None
}

/// The script file among an interpreter's arguments.
fn script_argument(command: &Command, language: Option<Language>) -> Option<&str> {
    if language.is_some() && command.redirects.is_empty() && reads_script(command) {
        return None;
    }
    if language == Some(Language::PowerShell) {
        let at = command.args().iter().position(|word| word.text.to_ascii_lowercase().starts_with("-f"))?;
        return command.args().get(at + 1).map(|word| word.text.as_str());
    }
    let inline = command.args().iter().any(|word| {
        let text = word.text.as_str();
        text.starts_with('-')
            && !text.starts_with("--")
            && text.len() < 6
            && (text.contains('c') || text.contains('e') && language != Some(Language::Shell))
    });
    if inline && language.is_some() {
        // `sh -e file` is no inline text; `-c` is.
        let shell = language == Some(Language::Shell);
        if !shell || command.args().iter().any(|word| word.text.starts_with('-') && word.text.contains('c')) {
            return None;
        }
    }
    if let Some(redirect) = command.redirects.iter().find(|redirect| redirect.op == RedirectOp::Read) {
        return Some(redirect.target.text.as_str()).filter(|text| !text.starts_with("/dev/"));
    }
    // `start /b "" program`, `msiexec /i file`
    let word = command.operands().find(|word| {
        language.is_some() || !(word.text.starts_with('/') && word.text.len() < 6 || word.text.is_empty())
    })?;
    Some(word.text.as_str()).filter(|text| !text.starts_with("/dev/fd/") && *text != "-")
}
