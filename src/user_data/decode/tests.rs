//! What a reader of alerts would notice: what was found, where, and what was refused.

mod bounds;
mod cloud;
mod containers;
mod hostile;
mod machines;
mod wrapping;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Decoded, decode};
use crate::user_data::{Content, Language};

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Every piece as a line: `path | kind | text`.
pub(super) fn lines(decoded: &Decoded) -> Vec<String> {
    let line = |piece: &crate::user_data::Piece| {
        let content = match &piece.content {
            Content::Script { language, text } => format!("{language:?} | {text}"),
            Content::File { target, text } => format!("File {target} | {text}"),
            Content::Setting { key, value } => format!("{key} = {value}"),
            Content::Include { url } => format!("Include {url}"),
            Content::Undecodable { reason, .. } => format!("Undecodable {reason}"),
            Content::Odd { what, text } => format!("{what:?} {text}"),
        };
        format!("{} | {}", piece.path, content.trim_end())
    };
    decoded.pieces.iter().map(line).collect()
}

pub(super) fn decoded_lines(text: impl AsRef<[u8]>) -> Vec<String> {
    lines(&decode(text.as_ref()))
}

/// Whether some script holds the text.
pub(super) fn runs(decoded: &Decoded, text: &str) -> bool {
    decoded
        .pieces
        .iter()
        .any(|piece| matches!(&piece.content, Content::Script { text: t, .. } if t.contains(text)))
}

pub(super) fn undecodable(decoded: &Decoded) -> Vec<String> {
    let reason = |piece: &crate::user_data::Piece| match &piece.content {
        Content::Undecodable { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    decoded.pieces.iter().filter_map(reason).collect()
}

#[test]
fn a_plain_script_has_no_path() {
    let script = "#!/bin/bash\necho hi\n";
    assert_eq!(decoded_lines(script), [" | Shell | #!/bin/bash\necho hi"]);
    assert_eq!(decode(script.as_bytes()).encodings, 0);
}

#[test]
fn empty_user_data_has_no_pieces() {
    for nothing in [&b""[..], b" \r\n\n", b"\xef\xbb\xbf\n"] {
        assert_eq!(decoded_lines(nothing), Vec::<String>::new());
    }
}

#[test]
fn what_the_aws_cli_prints_is_taken_apart() {
    let script = "#!/bin/sh\nid\n";
    let value = base64(script);
    let attribute = format!("{{\"InstanceId\": \"i-0abc\", \"UserData\": {{\"Value\": \"{value}\"}}}}");
    let text = format!("i-0abc\nUSERDATA\t{value}\n");
    let template = format!(
        "{{\"LaunchTemplateVersions\": [{{\"LaunchTemplateData\": {{\"UserData\": \"{value}\"}}}}]}}"
    );
    for printed in
        [attribute, text, template, format!("\"{value}\"\n"), format!("{value}\n"), script.to_owned()]
    {
        let decoded = decode(printed.as_bytes());
        assert_eq!(lines(&decoded), [" | Shell | #!/bin/sh\nid"], "{printed}");
        assert_eq!(decoded.encodings, 0, "{printed}");
    }
    assert_eq!(decoded_lines("{\"InstanceId\": \"i-0abc\", \"UserData\": {}}"), Vec::<String>::new());
}

#[test]
fn only_encodings_beyond_what_ec2_asks_for_are_counted() {
    let script = b"#!/bin/sh\nid\n";
    assert_eq!(decode(base64(script).as_bytes()).encodings, 0);
    assert_eq!(decode(base64(base64(script)).as_bytes()).encodings, 1);
    assert_eq!(decode(base64(gzip(base64(gzip(script)).as_bytes())).as_bytes()).encodings, 3);
}

#[test]
fn text_in_utf16_and_windows_line_ends_reads_as_text() {
    let script = "<powershell>\r\nGet-Date\r\n</powershell>\r\n";
    let utf16: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &utf16].concat();
    for bytes in [script.as_bytes().to_vec(), utf16, marked] {
        assert_eq!(decoded_lines(bytes), ["powershell | PowerShell | \nGet-Date"]);
    }
}

#[test]
fn a_nul_does_not_split_a_command() {
    assert_eq!(
        decoded_lines(b"#!/bin/bash\ncu\0rl http://203.0.113.7/\n"),
        [" | Shell | #!/bin/bash\ncurl http://203.0.113.7/"]
    );
}

#[test]
fn text_without_a_header_is_shown_but_said_to_be_run_by_nothing() {
    let decoded = decode(b"ECS_CLUSTER=default\n");
    assert_eq!(decoded.tree.note.as_deref(), Some("shell, no header: nothing runs it"));
    let Content::Script { language, .. } = &decoded.pieces[0].content else { panic!("no script") };
    assert_eq!(*language, Language::Shell);
}

#[test]
fn the_tree_serialises_with_the_layers_nested() {
    let decoded = decode(&gzip(b"#cloud-config\nruncmd: [id]\n"));
    let json = serde_json::to_value(&decoded.tree).unwrap();
    assert_eq!(json["kind"], "gzip");
    assert_eq!(json["children"][0]["kind"], "cloud-config");
    assert_eq!(json["children"][0]["note"], "runcmd 1");
    assert_eq!(json["children"][0]["path"], "gzip");
}
