//! What a pipeline prints, where its text alone gives that away: `echo aGk= | base64 -d`.

use super::nested::Scan;
use super::{Command, RedirectOp, Span, Word, encoding, filters};

/// Commands in a row whose output is followed.
const MAX_CHAIN: usize = 16;
/// Bytes that one command may be taken to print.
const MAX_OUTPUT: usize = 1 << 20;

/// What something prints.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Output {
    pub bytes: Vec<u8>,
    /// Encodings undone on the way.
    pub decoded: usize,
    /// Some of it is missing: not all was known.
    pub partial: bool,
}

impl Output {
    pub fn text(&self) -> String {
        encoding::text_of(&self.bytes)
    }
}

impl Scan {
    /// The value of `$(...)`, when all of it is known.
    pub(super) fn output_of_span(&self, span: Span) -> Option<String> {
        let last = span.end.checked_sub(1)?;
        if span.is_empty() {
            return None;
        }
        // One pipeline only: its last command prints, the others feed it.
        let mut first = last;
        while let Some(feed) = self.script.commands.get(first as usize).and_then(|command| command.stdin) {
            if feed.end.saturating_sub(feed.start) != 1 || feed.start >= first {
                return None;
            }
            first = feed.start;
        }
        if first > span.start {
            return None;
        }
        let output = self.output_of(last as usize, 0)?;
        (!output.partial).then(|| output.text())
    }

    /// What a command prints; `None` when nothing of it is known.
    pub(super) fn output_of(&self, index: usize, depth: usize) -> Option<Output> {
        if depth > MAX_CHAIN || !self.spend_output(1) {
            return None;
        }
        let command = self.script.commands.get(index)?;
        let plain = |bytes: Vec<u8>| Some(Output { bytes, ..Output::default() });
        if command
            .args()
            .iter()
            .any(|word| word.dynamic && word.text.trim_matches(['$', '(', ')']).is_empty())
        {
            return None;
        }
        match command.name.as_str() {
            "echo" => plain(echo(command)),
            "printf" => plain(printf(command.args())),
            "command" | "which" | "type" => None,
            "python" | "python2" | "python3" | "perl" | "ruby" | "node" | "nodejs" | "php" => {
                printed_literals(command).map(|bytes| Output { bytes, partial: true, ..Output::default() })
            }
            "jq" if command
                .args()
                .iter()
                .any(|word| word.text.starts_with('-') && word.text.contains('n')) =>
            {
                let program = command.operands().next()?;
                plain(serde_json::from_str::<String>(program.text.trim()).ok()?.into_bytes())
            }
            "paste" => {
                let subs: Vec<Span> =
                    command.args().iter().flat_map(Word::subs).map(|(_, span)| *span).collect();
                let mut all = Output { partial: true, ..Output::default() };
                for span in subs.into_iter().take(16) {
                    let one = self.outputs_of(span, depth + 1)?;
                    all.decoded = all.decoded.max(one.decoded);
                    all.bytes.extend(one.bytes.trim_ascii_end());
                }
                self.spend_output(all.bytes.len()).then_some(all)
            }
            // A name of its own for each: what is fetched into it and what is run are then the same.
            "mktemp" => plain(format!("/tmp/tmp.{index}\n").into_bytes()),
            _ => {
                let undo = undoing(command)?;
                let mut input = self.input_of(index, depth + 1)?;
                if let Undo::Decode(decode) = undo {
                    input.bytes = decode(&input.bytes)?;
                    input.decoded += 1;
                } else if let Undo::Change(change) = undo {
                    let changed = change(command, &input.bytes)?;
                    if command.name == "tr" && filters::hides(&input.bytes, &changed) {
                        input.decoded += 1;
                    }
                    input.bytes = changed;
                }
                input.bytes.truncate(MAX_OUTPUT);
                self.spend_output(input.bytes.len()).then_some(input)
            }
        }
    }

    /// What a command reads, from a here-document, a file the script wrote, or a pipe.
    pub(super) fn input_of(&self, index: usize, depth: usize) -> Option<Output> {
        let command = self.script.commands.get(index)?;
        for redirect in command.redirects.iter().rev().filter(|redirect| redirect.fd == 0) {
            match redirect.op {
                RedirectOp::HereDocument => {
                    if !self.spend_output(redirect.target.text.len()) {
                        return None;
                    }
                    return Some(Output {
                        bytes: redirect.target.text.clone().into_bytes(),
                        ..Output::default()
                    });
                }
                RedirectOp::HereString => {
                    if redirect.target.text.is_empty() || redirect.target.text == "$()" {
                        return None;
                    }
                    let bytes = redirect.target.text.clone().into_bytes();
                    return Some(Output { bytes, ..Output::default() });
                }
                RedirectOp::Read => {
                    let sub = redirect.target.subs().first().map(|(_, span)| *span);
                    return match sub {
                        Some(span) => self.outputs_of(span, depth),
                        None => self
                            .file(&redirect.target.text)
                            .filter(|(text, _)| self.spend_output(text.len()))
                            .map(|(text, decoded)| Output {
                                bytes: text.as_bytes().to_vec(),
                                decoded: usize::from(decoded),
                                partial: false,
                            }),
                    };
                }
                _ => {}
            }
        }
        if let Some(name) = command.operands().last().filter(|_| reads_operand(&command.name)) {
            if let Some((text, decoded)) = self.file(&name.text) {
                if !self.spend_output(text.len()) {
                    return None;
                }
                let decoded = usize::from(decoded);
                return Some(Output { bytes: text.as_bytes().to_vec(), decoded, partial: false });
            }
            if let Some((_, span)) = name.subs().first() {
                return self.outputs_of(*span, depth);
            }
        }
        self.outputs_of(command.stdin?, depth)
    }

    /// What several commands print, one behind the other; what is not known is left out.
    pub(super) fn outputs_of(&self, span: Span, depth: usize) -> Option<Output> {
        let mut all = Output::default();
        let mut found = false;
        for index in span.indices().take(256) {
            // Those inside a pipeline feed its last command.
            let feeds = self.script.commands.get(index).and_then(|command| command.feeds);
            if feeds.is_some_and(|other| (span.start..span.end).contains(&other)) {
                continue;
            }
            match self.output_of(index, depth + 1) {
                Some(output) => {
                    found = true;
                    all.partial |= output.partial;
                    all.decoded = all.decoded.max(output.decoded);
                    if all.bytes.len() < MAX_OUTPUT {
                        all.bytes.extend_from_slice(&output.bytes);
                    }
                }
                None => all.partial = true,
            }
        }
        found.then_some(all)
    }
}

fn reads_operand(name: &str) -> bool {
    matches!(
        name,
        "cat"
            | "sed"
            | "grep"
            | "egrep"
            | "fgrep"
            | "awk"
            | "gawk"
            | "mawk"
            | "cut"
            | "jq"
            | "head"
            | "tail"
            | "base64"
            | "base32"
            | "gunzip"
            | "zcat"
            | "gzip"
            | "xxd"
            | "rev"
            | "tac"
            | "uudecode"
    )
}

enum Undo {
    /// Passes its input on.
    Nothing,
    Decode(fn(&[u8]) -> Option<Vec<u8>>),
    Change(fn(&Command, &[u8]) -> Option<Vec<u8>>),
}

/// Whether a command gives back in readable form what was encoded, and how.
fn undoing(command: &Command) -> Option<Undo> {
    let short = |letter: char| {
        command.args().iter().any(|word| {
            word.text.len() > 1
                && word.text.starts_with('-')
                && !word.text.starts_with("--")
                && word.text.contains(letter)
        })
    };
    let decodes = short('d') || short('D') || command.has("--decode");
    Some(match command.name.as_str() {
        "cat" | "tee" | "head" | "tail" | "sponge" | "pv" => Undo::Nothing,
        "base64" | "gbase64" if decodes => Undo::Decode(encoding::base64),
        "base32" if decodes => Undo::Decode(encoding::base32),
        "openssl" if decodes && (command.has("base64") || short('a') || command.has("-base64")) => {
            Undo::Decode(encoding::base64)
        }
        "xxd" if short('r') => Undo::Decode(encoding::hex),
        "gunzip" | "zcat" => Undo::Decode(encoding::gzip),
        "gzip" | "pigz" if decodes => Undo::Decode(encoding::gzip),
        "rev" => Undo::Decode(encoding::reversed_lines),
        "tr" => Undo::Change(|command, input| {
            let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
            encoding::translate(&operands, command.has("-d"), input)
        }),
        "sed" => Undo::Change(|command, input| {
            let program = command.operands().next()?.text.as_str();
            encoding::substitute(program, input).or_else(|| filters::sed(command, input))
        }),
        "cut" => Undo::Change(filters::cut),
        "grep" | "egrep" | "fgrep" => Undo::Change(filters::grep),
        "awk" | "gawk" | "mawk" => Undo::Change(filters::awk),
        "jq" => Undo::Change(|_, input| filters::json_strings(input)),
        "sort" | "uniq" | "tac" | "envsubst" | "dos2unix" | "stdbuf" | "unbuffer" | "column" | "fold"
        | "nl" => Undo::Nothing,
        _ => return None,
    })
}

/// `tr` and `sed` only hide something when they change what is run; decoders always do.
pub(crate) fn is_decoder(command: &Command) -> bool {
    matches!(undoing(command), Some(Undo::Decode(_)))
        || (matches!(command.name.as_str(), "bunzip2" | "bzcat" | "xzcat" | "unxz" | "uudecode"))
        || (command.name == "certutil"
            && command.args().iter().any(|word| word.text.to_ascii_lowercase().starts_with("-decode")))
        || (matches!(command.name.as_str(), "openssl") && command.has("-d") && command.has("enc"))
        || (matches!(command.name.as_str(), "xz" | "bzip2" | "zstd")
            && command.args().iter().any(|word| {
                word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('d')
            }))
}

/// The text that a one-line program in another language prints: `python3 -c 'print("...")'`.
fn printed_literals(command: &Command) -> Option<Vec<u8>> {
    let mut out = String::new();
    for word in command.args().iter().filter(|word| word.text.contains(['"', '\''])) {
        for call in ["print", "puts", "echo", "write", "say", "log"] {
            if let Some(at) = word.text.find(call) {
                let literals = super::files::literals(word.text.get(at..).unwrap_or(""));
                out.push_str(&literals.join(""));
                out.push('\n');
                break;
            }
        }
    }
    (!out.trim().is_empty()).then(|| out.into_bytes())
}

fn echo(command: &Command) -> Vec<u8> {
    let mut escapes = false;
    let mut newline = true;
    let mut rest = command.args();
    while let Some((first, others)) = rest.split_first() {
        let Some(flags) = first.text.strip_prefix('-') else { break };
        if flags.is_empty() || !flags.chars().all(|c| matches!(c, 'n' | 'e' | 'E')) {
            break;
        }
        escapes |= flags.contains('e');
        newline &= !flags.contains('n');
        rest = others;
    }
    let mut text = rest.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if escapes {
        text = encoding::escapes(&text);
    }
    if newline {
        text.push('\n');
    }
    text.into_bytes()
}

pub(super) fn printf(args: &[Word]) -> Vec<u8> {
    let texts: Vec<&str> = args.iter().map(|word| word.text.as_str()).filter(|text| *text != "--").collect();
    let mut args = texts.into_iter();
    let Some(format) = args.next() else { return Vec::new() };
    let mut out = String::new();
    // The format is used again for as long as there are arguments.
    for _ in 0..1024 {
        let before = args.len();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&encoding::escapes(rest.get(..at).unwrap_or("")));
            let spec = rest.get(at + 1..).unwrap_or("");
            let flags =
                spec.bytes().take_while(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'.' | b' ')).count();
            let conversion = spec.as_bytes().get(flags).copied();
            match conversion {
                Some(b'%') => out.push('%'),
                Some(b'b') => out.push_str(&encoding::escapes(args.next().unwrap_or(""))),
                Some(b'x') => {
                    let number: i64 = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(0);
                    out.push_str(&format!("{number:x}"));
                }
                Some(b's' | b'd' | b'i' | b'q' | b'c') => out.push_str(args.next().unwrap_or("")),
                _ => out.push('%'),
            }
            let used = if conversion.is_some_and(|byte| byte.is_ascii()) { flags + 1 } else { flags };
            rest = spec.get(used..).unwrap_or("");
        }
        out.push_str(&encoding::escapes(rest));
        if args.len() == 0 || args.len() == before || out.len() > MAX_OUTPUT {
            break;
        }
    }
    out.into_bytes()
}
