//! `net-03` and `net-04`: a shell on a socket, in the many ways there are.

use super::Id;
use super::network::socket_host;
use super::{Case, Part, flow::Place};
use crate::indicators::programs::{Class, has};
use crate::user_data::Language;
use crate::user_data::script::{Command, RedirectOp, basename, language_of, reads_script};

/// `net-03` and `net-04`.
pub(super) fn shell_on_socket(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let language = language_of(&command.name);
    let is_shell = language == Some(Language::Shell);
    if command.redirects.iter().any(|redirect| socket_host(&redirect.target.text).is_some()) {
        // A shell, or a command only known at run time, straight on the socket.
        let unknown = command.name.is_empty() && !command.words.is_empty();
        if (is_shell && reads_script(command)) || unknown || command.name == "eval" {
            case.hit(Id::Net03, at);
        }
    }
    let on_descriptor = command.redirects.iter().any(|redirect| {
        redirect.op == RedirectOp::Duplicate
            && redirect
                .target
                .text
                .trim_end_matches('-')
                .parse::<u8>()
                .is_ok_and(|fd| fd > 2 && opened_on_socket(part, command, fd))
    });
    if on_descriptor {
        let unknown = command.name.is_empty() && !command.words.is_empty();
        if is_shell || unknown || matches!(command.name.as_str(), "eval" | "source" | ".") {
            case.hit(Id::Net03, at);
        }
    }
    if is_shell && reads_script(command) && fed_by_connector(part, command) {
        case.hit(Id::Net04, at);
    }
    let args = || command.args().iter().map(|word| word.text.as_str());
    let critical = match command.name.as_str() {
        "nc" | "ncat" | "netcat" | "nc.traditional" | "nc.openbsd" | "rcat" | "pwncat" | "nc64" => {
            let runs = args().any(|text| {
                (text.starts_with('-') && !text.starts_with("--") && text.contains(['e', 'c']))
                    || matches!(text, "--exec" | "--sh-exec" | "--lua-exec")
                    || text.starts_with("--exec=")
                    || text.starts_with("--sh-exec=")
            });
            (runs && args().any(names_shell)) || fed_by_shell(part, command)
        }
        "socat" => {
            args().any(|text| {
                let upper = text.to_ascii_uppercase();
                (upper.starts_with("EXEC:") || upper.starts_with("SYSTEM:") || upper.starts_with("SHELL:"))
                    && text.split([':', ',', ' ', '\'', '"']).any(names_shell)
            }) || fed_by_shell(part, command)
        }
        "telnet" => fed_by_shell(part, command),
        "openssl" => command.arg(0) == "s_client" && fed_by_shell(part, command),
        "awk" | "gawk" | "mawk" => {
            args().any(|text| text.contains("/inet/") && text.contains("|&") && text.contains("getline"))
        }
        "ztcp" => true,
        "xterm" => command.has("-display"),
        "msfvenom" | "msfconsole" | "meterpreter" => true,
        _ => false,
    };
    if critical {
        case.hit(Id::Net04, at);
    }
}

fn names_shell(text: &str) -> bool {
    let name = basename(text.split_ascii_whitespace().next().unwrap_or(text)).to_ascii_lowercase();
    matches!(
        name.trim_end_matches(".exe"),
        "sh" | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "ash"
            | "cmd"
            | "powershell"
            | "pwsh"
            | "busybox"
            | "rbash"
            | "login"
    )
}

/// Whether a pipeline that ends in this command has a shell in it that takes commands.
fn fed_by_shell(part: &Part<'_>, command: &Command) -> bool {
    feeds(part, command)
        .any(|feeding| language_of(&feeding.name) == Some(Language::Shell) && reads_script(feeding))
}

fn fed_by_connector(part: &Part<'_>, command: &Command) -> bool {
    feeds(part, command).any(|feeding| {
        has(&feeding.name, Class::Connector) || (feeding.name == "openssl" && feeding.arg(0) == "s_client")
    })
}

/// The commands in front of one in its pipeline, nearest first.
fn feeds<'a>(part: &'a Part<'_>, command: &'a Command) -> impl Iterator<Item = &'a Command> {
    let mut next = command.stdin;
    let mut left = 32;
    std::iter::from_fn(move || {
        let span = next?;
        left -= 1;
        let feeding = part.script.commands.get(span.end.checked_sub(1)? as usize).filter(|_| left > 0)?;
        next = feeding.stdin.filter(|earlier| earlier.end <= span.start);
        Some(feeding)
    })
}

/// Whether `exec 5<>/dev/tcp/...` opened a descriptor somewhere in the script.
fn opened_on_socket(part: &Part<'_>, command: &Command, fd: u8) -> bool {
    part.script.work.take(part.script.commands.len() / 8 + 1)
        && part.script.commands.iter().any(|other| {
            other.unit == command.unit
                && other.redirects.iter().any(|redirect| {
                    redirect.fd == fd
                        && redirect.op != RedirectOp::Duplicate
                        && socket_host(&redirect.target.text).is_some()
                })
        })
}

/// A socket and a shell on it.
pub(super) fn socket_shell(language: Language, text: &str) -> bool {
    let has = |needle: &str| text.contains(needle);
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let shell = any(&[
        "/bin/sh",
        "/bin/bash",
        "bash",
        "cmd.exe",
        "powershell",
        "/bin/zsh",
        "\"sh\"",
        "'sh'",
        "sh -i",
        "$SHELL",
    ]);
    match language {
        Language::Python => {
            any(&["socket"])
                && any(&["connect(", ".bind(", "create_connection"])
                && (any(&["dup2", "pty.spawn"])
                    || (any(&["subprocess", "os.popen", "os.system", "Popen"]) && any(&[".recv("])))
        }
        Language::Perl => {
            (any(&["socket(", "Socket", "IO::Socket", "connect("]))
                && any(&["exec", "system", "`", "fdopen", "open(STDIN"])
                && (shell || has("fdopen") || has("while"))
        }
        Language::Ruby => {
            any(&["TCPSocket", "TCPServer", "Socket.tcp"])
                && any(&["exec", "spawn", "IO.popen", "`", "system"])
        }
        Language::Php => {
            any(&["fsockopen", "socket_create", "stream_socket_client"])
                && any(&["exec(", "proc_open", "passthru", "system(", "popen(", "`"])
        }
        _ => {
            let node = has("child_process")
                && any(&[
                    "require('net')",
                    "require(\"net\")",
                    "net.Socket",
                    "net.connect",
                    "createConnection",
                    "node:net",
                ]);
            let lua = any(&["socket.tcp", "require('socket')", "require(\"socket\")"])
                && any(&["os.execute", "io.popen"]);
            let tcl = has("socket") && has("exec") && (has("eval") || has("gets")) && shell;
            let java = has("java.net.Socket") || has("new Socket(");
            let go = has("net.Dial") && has("exec.Command");
            let c = has("sys/socket.h") && any(&["execve(", "execl("]) && has("dup2");
            node || lua || tcl || (java && any(&["ProcessBuilder", "getRuntime().exec"])) || go || c
        }
    }
}
