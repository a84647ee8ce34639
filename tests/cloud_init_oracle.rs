//! Holds the decoder against cloud-init itself: the parts that Debian's `cloud-init` package finds in
//! a file are the parts found here, with the same bytes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use imagewarden::user_data::decode::{Decoded, decode};
use imagewarden::user_data::{Content, Piece};
use serde_json::Value;

const PYTHON: &str = "/usr/bin/python3";

/// One JSON object a file, as `tests/oracle/cloud_init_parts.py` prints them.
fn oracle(files: &[PathBuf]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/cloud_init_parts.py");
    let output = Command::new(PYTHON).arg("-B").arg(script).args(files).output().unwrap_or_else(|error| {
        panic!("{PYTHON}: {error}; this test needs Debian's python3 and cloud-init packages")
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        !complaint.contains("No module named 'cloudinit'"),
        "this test needs cloud-init's own parser: apt-get install --no-install-recommends cloud-init"
    );
    assert!(output.status.success(), "{complaint}");
    output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/user_data");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

fn payload(value: &Value) -> String {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

fn scripts(decoded: &Decoded) -> Vec<(&str, &str)> {
    decoded
        .pieces
        .iter()
        .filter_map(|piece| match &piece.content {
            Content::Script { text, .. } => Some((piece.path.as_str(), text.as_str())),
            _ => None,
        })
        .collect()
}

/// The words a shell makes of a line.
fn words(line: &str) -> Vec<String> {
    let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
}

fn compare_configuration(config: &Value, decoded: &Decoded, file: &str) -> usize {
    let mut commands = 0;
    for name in ["runcmd", "bootcmd"] {
        for (index, command) in config["commands"][name].as_array().unwrap().iter().enumerate() {
            let place = format!("cloud-config > {name}[{index}]");
            let found =
                scripts(decoded).into_iter().find(|(path, _)| path.ends_with(&place)).map(|(_, text)| text);
            match command {
                Value::Null => assert_eq!(found, None, "{file}: {place}"),
                Value::String(text) => assert_eq!(found, Some(text.as_str()), "{file}: {place}"),
                list => assert_eq!(words(found.unwrap()), texts(list).collect::<Vec<_>>(), "{file}: {place}"),
            }
            commands += usize::from(!command.is_null());
        }
    }
    let files = decoded.pieces.iter().filter_map(|piece| match &piece.content {
        Content::File { target, text } => Some((target.as_str(), text.clone())),
        _ => None,
    });
    let expected = config["files"].as_array().unwrap().iter();
    let expected: Vec<_> = expected.map(|f| (f["path"].as_str().unwrap(), payload(&f["content"]))).collect();
    assert_eq!(files.collect::<Vec<_>>(), expected, "{file}");
    for wanted in texts(&config["settings"]) {
        let said = |piece: &Piece| matches!(&piece.content, Content::Setting { value, .. } if value.split(' ').any(|word| word == wanted) || value == wanted);
        assert!(decoded.pieces.iter().any(said), "{file}: setting {wanted:?} is lost");
    }
    commands
}

/// Everything cloud-init finds is found, with the same bytes, and no script more.
fn compare(found: &Value, decoded: &Decoded) {
    let file = found["file"].as_str().unwrap();
    let mut expected = 0;
    for part in found["parts"].as_array().unwrap() {
        let text = payload(&part["payload"]);
        match part["type"].as_str().unwrap() {
            "text/cloud-config" => expected += compare_configuration(&part["config"], decoded, file),
            "text/x-shellscript" | "text/cloud-boothook" | "text/part-handler" => {
                expected += 1;
                let all = scripts(decoded);
                assert!(all.iter().any(|(_, script)| *script == text), "{file}: no {text:?} in {all:#?}");
            }
            other => panic!("{file}: a fixture with {other} proves nothing"),
        }
    }
    assert_eq!(scripts(decoded).len(), expected, "{file}: {:#?}", scripts(decoded));
    let urls = decoded.pieces.iter().filter_map(|piece| match &piece.content {
        Content::Include { url } => Some(url.as_str()),
        _ => None,
    });
    assert_eq!(urls.collect::<Vec<_>>(), texts(&found["urls"]).collect::<Vec<_>>(), "{file}");
    let broken = |piece: &&Piece| matches!(piece.content, Content::Undecodable { .. });
    assert_eq!(decoded.pieces.iter().find(broken), None, "{file}");
}

#[test]
fn what_cloud_init_finds_is_found() {
    let files = fixtures();
    assert!(files.len() >= 7, "fixtures are missing");
    for (found, file) in oracle(&files).iter().zip(&files) {
        compare(found, &decode(&std::fs::read(file).unwrap()));
    }
}

/// The same once more compressed, with Windows line ends, and behind blank lines: cloud-init takes all
/// of these.
#[test]
fn what_cloud_init_finds_in_disguise_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for file in fixtures() {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes).unwrap();
        let dos = String::from_utf8(bytes.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let mut variants = vec![("gz", gzip.finish().unwrap())];
        // `email` takes a blank line first for the end of the headers.
        if !name.ends_with(".eml") {
            variants.push(("blank", [b"\n \n".as_slice(), bytes.as_slice()].concat()));
            variants.push(("dos", dos));
        }
        for (kind, bytes) in variants {
            let path = directory.path().join(format!("{name}.{kind}"));
            std::fs::write(&path, bytes).unwrap();
            files.push(path);
        }
    }
    for (found, file) in oracle(&files).iter().zip(&files) {
        compare(found, &decode(&std::fs::read(file).unwrap()));
    }
}
