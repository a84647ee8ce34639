//! The scanner held against bash itself: scripts made at random from harmless commands are run with every
//! command a recorder, and what bash ran, word for word, is what the scanner found.

use std::io::Write;
use std::process::{Command as Process, Stdio};

use imagewarden::user_data::Language;
use imagewarden::user_data::script;
use proptest::prelude::*;

/// Runs a script in bash with no programs to be found: whatever is called goes to a log instead. `None`
/// for what bash does not accept.
fn run_by_bash(text: &str) -> Option<Vec<Vec<String>>> {
    let accepted =
        Process::new("/bin/bash").args(["-n", "-c", text]).stderr(Stdio::null()).status().ok()?.success();
    if !accepted {
        return None;
    }
    let folder = tempfile::tempdir().ok()?;
    let log = folder.path().join("log");
    // Bytes 1 and 2 stand between words and commands; the scripts hold neither.
    let prelude = format!(
        "command_not_found_handle() {{ local IFS=$'\\1'; printf '%s\\2' \"$*\" >> '{}'; [[ $1 == c* ]]; }}\n",
        log.display()
    );
    let mut bash = Process::new("/bin/bash")
        .args(["--noprofile", "--norc", "-s"])
        .env_clear()
        .env("PATH", folder.path())
        .env("HOME", "/root")
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    bash.stdin.take()?.write_all(format!("{prelude}{text}\nwait\n").as_bytes()).ok()?;
    bash.wait().ok()?;
    let logged = std::fs::read(&log).unwrap_or_default();
    let commands = String::from_utf8(logged).ok()?;
    let mut commands: Vec<Vec<String>> = commands
        .split('\u{2}')
        .filter(|line| !line.is_empty())
        .map(|line| line.split('\u{1}').map(str::to_owned).collect())
        .collect();
    commands.sort();
    Some(commands)
}

/// What the scanner says is run, builtins and what only assigns left out.
fn found_by_scanner(text: &str) -> Vec<Vec<String>> {
    const BUILTIN: &[&str] = &[
        ":", "true", "false", "echo", "printf", "export", "eval", "[", "[[", "exec", "local", "set", "read",
        "wait",
    ];
    let script = script::scan(Language::Shell, text);
    // A substitution of recorded commands prints nothing, and so is no word.
    let words = |command: &script::Command| {
        let printed = command.words.iter().filter(|word| word.text != "$()");
        printed.map(|word| word.text.clone()).collect::<Vec<_>>()
    };
    // The scanner follows texts in the arguments of programs that it does not know. Bash runs none of these here.
    let own = script.commands.iter().filter(|command| command.unit == 0);
    let named = own.map(words).filter(|words| !words.is_empty());
    let mut commands: Vec<Vec<String>> = named
        .filter(|words| {
            !BUILTIN.contains(&words[0].as_str()) && words[0] != "bash" && !words[0].starts_with("fn")
        })
        .collect();
    commands.sort();
    commands
}

/// One word, spelled in any of the ways bash reads.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        "'[a-z ;|&$()`\"#<>{}*]{0,8}'",
        "\"[a-z ;|&()'#<>{}*]{0,8}\"",
        r"[a-z]{1,3}\\[ ;|&$a-z'][a-z]{0,3}",
        r"\$'[a-z]{1,3}\\x6[1-9](\\t)?'",
        "[a-z]{1,2}''[a-z]{1,2}\"[a-z]{1,2}\"",
        "(/etc/)?[a-z]{1,4}\\.[a-z]{1,3}",
        "-[a-z]{1,2}",
        "[a-z]=[a-z]{1,3}",
        "\\{[a-z],[a-z]{2}\\}",
        "\\$V",
        "\"\\$\\{V\\}\"",
        "\\$\\{V:-[a-z]\\}",
        "\\$\\{W:-[a-z]{1,3}\\}",
        "\\$\\{V#[a-z]\\}x",
        "\"\\$\\(echo [a-z]{1,3}\\)\"",
        "`echo [a-z]{1,3}`",
        "\\$\\(printf '%s-%s' [a-z] [a-z]\\)",
        "[a-z]#[a-z]",
    ]
}

/// A command of its own name, so that it succeeds or fails as its first letter says.
fn simple() -> impl Strategy<Value = String> {
    let redirect = prop_oneof![
        Just(""),
        Just(" >/dev/null"),
        Just(" 2>&1"),
        Just(" </dev/null"),
        Just(" 2>/dev/null >&2")
    ];
    ("[cn][0-9]{1,3}", prop::collection::vec(word(), 0..4), redirect)
        .prop_map(|(name, words, redirect)| format!("{name} {}{redirect}", words.join(" ")))
}

/// Commands in structures of which bash runs every branch exactly once.
fn script_text() -> impl Strategy<Value = String> {
    let leaf = simple();
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}\n{b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} ; {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("( {a} ) | {{ {b}\n}}")),
            inner.clone().prop_map(|a| format!("({a}\n)")),
            inner.clone().prop_map(|a| format!("{{ {a}\n}}")),
            inner.clone().prop_map(|a| format!("{{ {a}\n}} &\nwait")),
            inner.clone().prop_map(|a| format!("if true; then {a}\nfi")),
            inner.clone().prop_map(|a| format!("if false; then :; else\n{a}\nfi")),
            inner.clone().prop_map(|a| format!("for i in 1; do {a}\ndone")),
            inner.clone().prop_map(|a| format!("case x in y) : ;; (x|z) {a}\n;; esac")),
            inner.clone().prop_map(|a| format!("true && {{ {a}\n}}")),
            inner.clone().prop_map(|a| format!("false || ( {a}\n)")),
            inner.clone().prop_map(|a| format!(": \"$( {a}\n)\"")),
            inner.clone().prop_map(|a| format!(": <<EOT\ntext $( {a}\n) text\nEOT\n")),
            inner.clone().prop_map(|a| format!(": <<'EOT'\n$(cnot)\nEOT\n{a}")),
            inner.clone().prop_map(|a| format!("fn1() {{ {a}\n}}; fn1")),
            inner.clone().prop_map(|a| format!("# cnot 'a\n{a} # cnot")),
            inner.clone().prop_map(|a| format!("W=; {a}")),
            inner.clone().prop_map(|a| format!("[[ a < b && ( x ) ]]\n{a}")),
            inner.clone().prop_map(|a| format!("(( 1 << 2 ))\n{a}")),
            inner.clone().prop_map(|a| format!("! {{ {a}\n}}")),
            inner.prop_map(|a| format!("{a}\nc8 \\\n  cont")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bash_runs_what_the_scanner_finds(text in script_text()) {
        let text = format!("V=val\n{text}");
        if let Some(ran) = run_by_bash(&text) {
            prop_assert_eq!(found_by_scanner(&text), ran, "\n{}", text);
        }
    }
}

#[test]
fn the_recorder_records() {
    let ran = run_by_bash("c1 'a b' \"$(echo c)\"\nfalse || c2 &\nwait").expect("bash is there");
    assert_eq!(ran, [vec!["c1", "a b", "c"], vec!["c2"]]);
}
