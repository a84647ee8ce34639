//! What the tests of the command line share: the real binary, and what it printed.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::Write;
use std::process::Output;

use assert_cmd::Command;
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

/// The tool, whatever the terminal of whoever runs the tests asks for.
pub fn imagewarden() -> Command {
    let mut command = Command::cargo_bin("imagewarden").unwrap();
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// What it printed with `--format json`: one finding a line.
pub fn findings(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// As [`findings`], of a run that went well.
pub fn told(command: &mut Command) -> Vec<Value> {
    let output = command.args(["--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    findings(&output)
}

/// The detection that leads a finding.
pub fn analytic(finding: &Value) -> &str {
    finding.pointer("/finding_info/analytic/uid").and_then(Value::as_str).unwrap()
}

/// A gzip member.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
