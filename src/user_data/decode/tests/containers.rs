//! MIME messages and archives.

use super::super::decode;
use super::{base64, decoded_lines, gzip, lines, runs, undecodable};

fn message(parts: &[(&str, &str)]) -> String {
    let mut text = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b b\"\n\n".to_owned();
    for (headers, body) in parts {
        text.push_str(&format!("--b b\n{headers}\n\n{body}\n"));
    }
    text + "--b b--\n"
}

const SHELL: &str = "Content-Type: text/x-shellscript";

#[test]
fn parts_are_numbered_as_they_stand() {
    let text = message(&[
        ("Content-Type: text/cloud-config", "#cloud-config\nruncmd: [a, b]"),
        (SHELL, "#!/bin/sh\nid"),
    ]);
    assert_eq!(
        decoded_lines(&text),
        [
            "part 1 > cloud-config > runcmd[0] | Shell | a",
            "part 1 > cloud-config > runcmd[1] | Shell | b",
            "part 2 | Shell | #!/bin/sh\nid",
        ]
    );
    assert_eq!(decoded_lines(text.replace('\n', "\r\n")).len(), 3);
}

#[test]
fn headers_in_any_order_case_and_fold_are_read() {
    let text = "Number-Attachments: 1\nMIME-VERSION: 1.0\nCONTENT-TYPE: Multipart/Mixed;\n boundary=xx\n\n--xx\ncontent-type:Text/X-ShellScript\n\n#!/bin/sh\nid\n--xx--\n";
    assert_eq!(decoded_lines(text), ["part 1 | Shell | #!/bin/sh\nid"]);
    let alone = "Content-Type: text/x-shellscript\nMIME-Version: 1.0\n\n#!/bin/sh\nid\n";
    assert_eq!(decoded_lines(alone), ["part 1 | Shell | #!/bin/sh\nid"]);
}

#[test]
fn broken_boundaries_hide_no_part() {
    let unclosed = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\n\n#!/bin/sh\nfirst\n--xx\n\n#!/bin/sh\nlast\n";
    let undeclared = unclosed.replace("; boundary=xx", "");
    let other = unclosed.replace("boundary=xx", "boundary=yy");
    let none = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=xx\n\n#!/bin/sh\nfirst\nlast\n";
    for text in [unclosed, &undeclared, &other, none] {
        let decoded = decode(text.replace("xx", "a-boundary").as_bytes());
        assert!(runs(&decoded, "first") && runs(&decoded, "last"), "{text}\n{:?}", lines(&decoded));
    }
    assert_eq!(undecodable(&decode(none.as_bytes())), ["multipart: no boundary"]);
}

#[test]
fn every_transfer_encoding_is_taken_off() {
    let packed = base64(gzip(b"#!/bin/sh\nid\n"));
    let uu = "begin 644 x\n-(R$O8FEN+W-H\"FED\"@``\n`\nend";
    for (headers, body) in [
        (format!("{SHELL}\nContent-Transfer-Encoding: base64"), base64("#!/bin/sh\nid\n")),
        (format!("{SHELL}\nContent-Transfer-Encoding: Quoted-Printable"), "#!/bin/sh\ni=\nd=0A".to_owned()),
        (format!("{SHELL}\nContent-Transfer-Encoding: x-uuencode"), uu.to_owned()),
        ("Content-Type: application/x-gzip\nContent-Transfer-Encoding: base64".to_owned(), packed.clone()),
        ("Content-Transfer-Encoding: base64".to_owned(), packed),
    ] {
        let decoded = decode(message(&[(headers.as_str(), body.as_str())]).as_bytes());
        assert!(runs(&decoded, "#!/bin/sh\nid"), "{headers}\n{:?}", lines(&decoded));
    }
}

#[test]
fn stray_characters_in_base64_are_skipped_as_python_skips_them() {
    // Python drops what is outside the alphabet and padding that comes too early.
    let body = base64("#!/bin/sh\nid\n").replace("IyEv", "=I-y\nE v");
    let text = message(&[(&format!("{SHELL}\nContent-Transfer-Encoding: base64"), &body)]);
    assert_eq!(decoded_lines(text), ["part 1 | Shell | #!/bin/sh\nid"]);
}

#[test]
fn nested_messages_are_followed() {
    let inner = message(&[(SHELL, "#!/bin/sh\ninner")]).replace("b b", "c");
    let (headers, body) = inner.split_once("\n\n").unwrap();
    let text = message(&[(headers, body), ("Content-Type: message/rfc822", &inner)]);
    let found = decoded_lines(text);
    assert_eq!(
        found,
        [
            "part 1 > part 1 | Shell | #!/bin/sh\ninner",
            "part 2 > message > part 1 | Shell | #!/bin/sh\ninner",
        ]
    );
}

#[test]
fn a_declared_type_that_is_not_what_the_part_holds_is_told() {
    let disguised = message(&[("Content-Type: text/cloud-config", "#!/bin/sh\ncurl x | sh")]);
    let decoded = decode(disguised.as_bytes());
    assert_eq!(decoded.mismatch.as_deref(), Some("part 1: declared text/cloud-config, holds a script"));
    assert!(runs(&decoded, "curl x | sh"));
    let picture = decode(message(&[("Content-Type: image/png", "#!/bin/sh\nid")]).as_bytes());
    assert_eq!(picture.mismatch.as_deref(), Some("part 1: declared image/png, holds a script"));
    let unpacked = decode(message(&[("Content-Type: application/gzip", "#!/bin/sh\nid")]).as_bytes());
    assert_eq!(unpacked.mismatch.as_deref(), Some("part 1: declared application/gzip, holds no gzip"));
}

#[test]
fn honest_parts_are_no_mismatch() {
    for (declared, body) in [
        ("text/x-shellscript", "#cloud-config\nruncmd: [id]"),
        ("text/cloud-boothook", "#!/bin/bash\nid"),
        ("text/cloud-boothook", "#cloud-boothook\n#!/bin/bash\nid"),
        ("text/cloud-config", "runcmd: [id]"),
        ("text/cloud-config", "## template: jinja\n#cloud-config\nruncmd: [id]"),
        ("text/plain", "#!/bin/bash\nid"),
        ("text/jinja2", "## template: jinja\n#!/bin/bash\nid"),
        ("application/node.eks.aws", "---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig"),
        ("text/x-inventory", "host: id"),
    ] {
        let decoded =
            decode(message(&[(&format!("Content-Type: {declared}; charset=\"us-ascii\""), body)]).as_bytes());
        assert_eq!(decoded.mismatch, None, "{declared}: {body}");
        assert!(declared.contains("node") || runs(&decoded, "id"), "{declared}: {body}");
    }
}

#[test]
fn archives_take_text_and_typed_entries() {
    let archive = "#cloud-config-archive
- type: text/x-shellscript
  content: |
    #!/bin/sh
    one
- |
  #!/usr/bin/python3
  two
- content: |
    runcmd: [three]
";
    assert_eq!(
        decoded_lines(archive),
        [
            "part 1 | Shell | #!/bin/sh\none",
            "part 2 | Python | #!/usr/bin/python3\ntwo",
            "part 3 > cloud-config > runcmd[0] | Shell | three",
        ]
    );
}
