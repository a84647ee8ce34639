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

/// What cloud-init finds is found; more may be, since others read more tolerantly.
fn covers(found: &Value, decoded: &Decoded, what: &str) {
    // PyYAML breaks a line at LS and PS and keeps the character. What is read here has LF.
    let bare = |text: &str| {
        let text = text.replace(['\u{2028}', '\u{2029}'], "\n");
        text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)).to_owned()
    };
    let scripts: Vec<String> = scripts(decoded).into_iter().map(|(_, text)| bare(text)).collect();
    for part in found["parts"].as_array().unwrap() {
        match part["type"].as_str().unwrap() {
            "text/cloud-config" => {
                for command in texts(&part["config"]["commands"]["runcmd"]) {
                    assert!(scripts.iter().any(|script| script == command), "{what}: no {command:?}");
                }
            }
            "text/x-shellscript" | "text/part-handler" => {
                let text = bare(&payload(&part["payload"]));
                assert!(scripts.contains(&text), "{what}: no {text:?} in {scripts:?}");
            }
            // Nothing runs these.
            other => assert_eq!(other, "text/plain", "{what}"),
        }
    }
    for url in texts(&found["urls"]).filter(|url| !url.starts_with('#')) {
        let included =
            |piece: &Piece| matches!(&piece.content, Content::Include { url: found } if found == url);
        assert!(decoded.pieces.iter().any(included), "{what}: {url} is not included");
    }
}

/// Every character at which Python or YAML may break a line, and those that only look like it.
const BREAKS: [&str; 14] = [
    "\n", "\r", "\r\n", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{1f}", "\u{85}", "\u{2028}",
    "\u{2029}", "\u{a0}", "\t",
];

fn written(directory: &Path, inputs: &[String]) -> Vec<PathBuf> {
    let write = |(number, input): (usize, &String)| {
        let path = directory.join(number.to_string());
        std::fs::write(&path, input).unwrap();
        path
    };
    inputs.iter().enumerate().map(write).collect()
}

#[test]
fn lines_break_where_cloud_init_and_its_parsers_break_them() {
    let mut inputs = Vec::new();
    for end in BREAKS {
        inputs.extend([
            format!("{end}#!/bin/sh\nid\n"),
            format!("{end}#cloud-config\nruncmd: [id]\n"),
            format!("{end}#include\nhttps://a.example/x\n"),
            format!("{end}#part-handler\nimport os\n"),
            format!("#include\n# a note{end}https://a.example/x\nhttps://a.example/y\n"),
            format!("#include https://a.example/z{end}https://a.example/x\n"),
            format!("#cloud-config\n# a note{end}runcmd:{end} - id{end}"),
            format!("#cloud-config\npackages: [jq]{end}runcmd:{end}- id -u{end}- echo b{end}"),
            format!("#cloud-config-archive\n- |\n  #!/bin/sh\n  id\n# a note{end}- type: text/x-shellscript{end}  content: |{end}   #!/bin/sh{end}   ls{end}"),
            format!(
                "MIME-Version: 1.0{end}Content-Type: multipart/mixed; boundary=\"b\"{end}{end}--b{end}Content-Type: text/x-shellscript{end}{end}#!/bin/sh\nid\n{end}--b--{end}"
            ),
        ]);
    }
    for head in [
        "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\nMIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary*=utf-8''a%62\nMIME-Version: 1.0",
        "Content-Type: multipart/mixed;\n boundary=\"ab\"\nMIME-Version: 1.0",
        "#!/bin/sh: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=ab",
        "x/y.z: 1\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=ab",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed \u{1c}; boundary=ab",
    ] {
        inputs.push(format!("{head}\n\n--ab\nContent-Type: text/x-shellscript\n\n#!/bin/sh\nid\n--ab--\n"));
    }
    let directory = tempfile::tempdir().unwrap();
    let files = written(directory.path(), &inputs);
    let found = oracle(&files);
    assert_eq!(found.len(), files.len());
    let mut parts = 0;
    for (found, input) in found.iter().zip(&inputs) {
        covers(found, &decode(input.as_bytes()), &format!("{input:?}"));
        parts += found["parts"].as_array().unwrap().len();
    }
    assert!(parts > 60, "cloud-init found only {parts} parts");
}

#[test]
fn templates_render_as_cloud_init_renders_them() {
    let templates = [
        "a{# c #}b",
        "{{ 'a' ~ \"b\" }}c",
        "{{ 'a' 'b' }}",
        "{{ '\\x61\\n\\'b\\u0063\\144' }}",
        "{{ ['a','b']|join }}{{ '-'.join(['x','y']) }}",
        "{{ 'cba'|reverse }}{{ 'fed'[::-1] }}{{ 'abcdef'[1:3] }}{{ 'abc'[-1] }}",
        "{{ 'axc'|replace('x', 'b') }}{{ 'q'.replace('q', 'd') }}",
        "{{ '%s-%s' % ('a', 1) }}{{ '{}{}'.format('x', 'y') }}{{ '%s'|format('z') }}",
        "{% set a = 'x' %}\n{% set b = a ~ 'y' %}\n{{ b }}",
        "{% set a %}lo{{ 'ng' }}{% endset %}{{ a|upper }}",
        "{% for c in ['a', 'b'] %}{{ c }};{% endfor %}",
        "{% for c in 'abc' %}{{ c }}{% endfor %}",
        "{% macro m(x, y) %}{{ x }}-{{ y }}{% endmacro %}{{ m('a', 'b') }}",
        "{% if true %}a{% else %}b{% endif %}{% if 0 %}c{% elif 1 %}d{% endif %}",
        "{% filter reverse %}cba{% endfilter %}",
        "{% raw %}{{ a }}{% endraw %}",
        "a \n {%- if 1 -%} \n b{% endif %}\nc",
        "cu{# x #}\nrl{% if 1 %}\n now{% endif %}\n",
        "{{ {'k': 'v'}['k'] }}{{ {'k': 'w'}.k }}{{ ['a', 'b'][1] }}",
        "{{ '}}' }}{{ 'a' if 1 == 1 else 'b' }}",
        "{% set a, b = 'x', 'y' %}{% set c, d = ['z', 'w'] %}{{ a }}{{ b }}{{ c }}{{ d }}",
        "{% set n = namespace(a='x') %}{% set n.a = n.a ~ 'y' %}{{ n.a }}",
        "{% set l = [] %}{% do l.append('a') %}{% do l.append('b') %}{{ l|join }}",
        "{{ 'ab'|list|join('.') }}{{ 'AB'|lower }}{{ ' x '|trim }}{{ ['p','q']|first }}{{ 'r s'.split()[1] }}",
        "a\rb\r\nc",
    ];
    let input: Vec<String> = templates.iter().map(|template| format!("#!/bin/sh\n{template}\n")).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/jinja_render.py");
    let mut child = Command::new(PYTHON)
        .arg("-B")
        .arg(script)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(&input).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let rendered: Vec<String> = serde_json::from_slice(&output.stdout).expect("what Jinja2 rendered");
    for (template, wanted) in input.iter().zip(rendered) {
        let decoded = decode(format!("## template: jinja\n{template}").as_bytes());
        let all = scripts(&decoded);
        let found = all.first().map_or("", |(_, text)| *text);
        assert_eq!(found.trim(), wanted.trim(), "{template}");
    }
}
