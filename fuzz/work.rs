//! Feeds readers with inputs of a given size, made of repeated fragments. Run under callgrind, which counts the
//! instructions of each call of `measured`: `tests/work.rs` holds that twice the input costs about twice as much.
//!
//! ```text
//! work READER SIZE < SPECS       SPECS: one JSON array of three strings a line, [before, open, close];
//!                                the input is `before`, then `open` and `close` equally often, SIZE bytes in all
//! ```

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::BufRead as _;
use std::process::ExitCode;

#[path = "src/readers.rs"]
mod readers;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(reader), Some(size)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: work READER SIZE < SPECS");
        return ExitCode::from(2);
    };
    let Some((_, read)) = readers::READERS.iter().find(|(name, _)| *name == reader) else {
        eprintln!("no reader is called {reader}");
        return ExitCode::from(2);
    };
    let Ok(size) = size.parse::<usize>() else {
        eprintln!("{size} is no number of bytes");
        return ExitCode::from(2);
    };
    // Whatever is built once a process is built here.
    read(b"#!/bin/sh\ncurl -s https://example.com/a | sh\n");
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Ok([before, open, close]) = serde_json::from_str::<[String; 3]>(&line) else {
            eprintln!("no spec: {line}");
            return ExitCode::from(2);
        };
        let times = size.saturating_sub(before.len()) / (open.len() + close.len()).max(1);
        let input = format!("{before}{}{}", open.repeat(times), close.repeat(times));
        measured(*read, input.as_bytes());
    }
    ExitCode::SUCCESS
}

#[inline(never)]
fn measured(read: fn(&[u8]), input: &[u8]) {
    read(black_box(input));
}
