//! `exe`: what is fetched or decoded and then run, and from where.

use super::Id;
use super::fetch::{self, Standing};
use super::paths::same_file;
use super::{Case, Part};
use crate::user_data::Language;
use crate::user_data::script::{Command, UnitKind, Word, basename, language_of, reads_script};

/// What a signal weighs when the download is to be trusted.
const TRUSTED: u32 = 5;
/// The same over a connection that anyone on the way may change.
const OPEN: u32 = 10;
/// Written files that runs are compared with.
const MAX_WRITTEN: usize = 512;
/// A decoded file whose content could be read and was scanned.
const DECODED_FILE: u32 = 25;
/// The same, of content only known at run time.
const DECODED_UNKNOWN: u32 = 35;

fn weight(standing: Standing, full: u32) -> u32 {
    match standing {
        Standing::Local => 0,
        Standing::Internal | Standing::Trusted => TRUSTED,
        Standing::Open => OPEN,
        Standing::Untrusted => full,
    }
}

/// Signals of one command.
pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, part);
    let language = language_of(&command.name);
    let evaluates = matches!(command.name.as_str(), "eval" | "source" | ".");
    let reads = language.is_some() && reads_script(command);
    if reads || matches!(command.name.as_str(), "source" | "." | "at" | "iex" | "invoke-expression") {
        let reach = case.flow.reach_of_input(at, command, case.trust);
        if let Some(standing) = reach.download() {
            case.run_download(Id::Exe01, (number, index), standing, reach.open);
            if reach.bare_address {
                case.hit(Id::Net01, (number, index));
            }
            if reach.drop_host {
                case.hit(Id::Net02, (number, index));
            }
        } else if reach.socket {
            case.hit(Id::Net03, (number, index));
        }
        for file in &reach.files {
            case.file_run(file, (number, index));
        }
        if reach.decoder && (reach.download() != Some(Standing::Trusted)) {
            case.hit(Id::Exe03, (number, index));
        }
        let unknown = reach.standing.is_none() && !reach.socket && !reach.decoder && reach.files.is_empty();
        if unknown && language.is_some() && command.stdin.is_some() && command.inner.is_none() {
            case.hit(Id::Dec06, (number, index));
        }
    }
    if evaluates || language.is_some() {
        let words: &[Word] = command.args();
        // Among an interpreter's arguments, only its script counts, not what that is given.
        let words = if evaluates { words } else { script_words(words) };
        let reach = case.flow.reach_of_words(at, words, case.trust);
        if let Some(standing) = reach.download() {
            case.run_download(Id::Exe02, (number, index), standing, reach.open);
        } else if reach.socket {
            case.hit(Id::Net03, (number, index));
        }
        if reach.decoder && reach.download() != Some(Standing::Trusted) {
            case.hit(Id::Exe03, (number, index));
        }
    }
    if command.disguised && (language.is_some() || evaluates || is_tool(&command.name)) {
        case.hit(Id::Dec01, (number, index));
    }
    if let Some(fetch) = fetch::parse(command)
        && fetch.insecure
        && fetch.is_open()
        && fetch.standing(case.trust) == Standing::Untrusted
    {
        case.hit(Id::Net06, (number, index));
    }
}

/// Programs that nobody has an honest reason to spell in pieces.
fn is_tool(name: &str) -> bool {
    matches!(
        name,
        "curl"
            | "wget"
            | "nc"
            | "ncat"
            | "socat"
            | "chmod"
            | "base64"
            | "openssl"
            | "xxd"
            | "crontab"
            | "eval"
            | "nohup"
            | "fetch"
            | "telnet"
            | "busybox"
            | "useradd"
            | "chattr"
            | "iptables"
            | "scp"
            | "tftp"
    )
}

/// `-c TEXT`, or a substitution in the script's place.
fn script_words(words: &[Word]) -> &[Word] {
    let inline =
        words.iter().position(|word| word.text.starts_with('-') && word.text.contains(['c', 'e', 'r']));
    let first =
        inline.map_or_else(|| words.iter().position(|word| !word.text.starts_with('-')), |at| Some(at + 1));
    first.and_then(|at| words.get(at..at + 1)).unwrap_or_default()
}

/// Units that were undone from an encoding: whoever carried them runs them.
pub(super) fn units(case: &mut Case<'_>, number: usize, part: &Part<'_>) {
    for unit in &part.script.units {
        let Some(carrier) = unit.carrier.filter(|carrier| *carrier != u32::MAX) else { continue };
        match &unit.kind {
            UnitKind::Decoded => case.hit(Id::Exe03, (number, carrier as usize)),
            UnitKind::File(path) => {
                let decoded = part.script.files.iter().any(|file| file.path == *path && file.decoded);
                if decoded {
                    case.hit_weighing(Id::Exe03, DECODED_FILE, (number, carrier as usize));
                }
            }
            _ => {}
        }
    }
}

/// What follows from files alone: run after a download, run from odd places.
pub(super) fn runs(case: &mut Case<'_>, parts: &[Part<'_>]) {
    let flow = case.flow;
    let only_trusted = !flow.downloads.is_empty()
        && flow.downloads.iter().all(|download| download.standing < Standing::Untrusted);
    let files = parts.iter().flat_map(|part| &part.script.files).filter(|file| !file.decoded);
    let written: Vec<&str> = files.take(MAX_WRITTEN).map(|file| file.path.as_str()).collect();
    for run in &flow.runs {
        let Some(part) = parts.get(run.at.0) else { continue };
        let Some(command) = part.script.commands.get(run.at.1) else { continue };
        let itself = flow.downloads.iter().filter(|download| same_file(&download.path, &run.path));
        let downloaded = itself.max_by_key(|download| download.standing).or_else(|| flow.unpacked(run));
        let mut known_good = false;
        if let Some(download) = downloaded {
            let verified = flow.is_verified(download, run.at)
                && download.standing == Standing::Untrusted
                && !case.throw_away(download.at);
            known_good = verified || download.standing < Standing::Untrusted;
            if !verified {
                let id = if run.sourced { Id::Exe02 } else { Id::Exe04 };
                if download.standing == Standing::Untrusted {
                    case.run_download(id, run.at, download.standing, download.open);
                }
            }
        } else if flow.decoded.iter().any(|(path, at)| *at < run.at && same_file(path, &run.path)) {
            let readable =
                part.script.files.iter().any(|file| file.decoded && same_file(&file.path, &run.path));
            case.hit_weighing(Id::Exe03, if readable { DECODED_FILE } else { DECODED_UNKNOWN }, run.at);
        }
        // A script that the user data itself writes there is read as such.
        let written = written.iter().any(|path| same_file(path, &run.path));
        let vouched = known_good || written || (downloaded.is_none() && only_trusted);
        if is_odd_place(&run.path) && !vouched {
            case.hit(Id::Exe05, run.at);
            if command.background {
                case.hit(Id::Exe06, run.at);
            }
        }
    }
}

/// Directories that dot-files of well-known tools live in.
const ORDINARY_HIDDEN: &[&str] = &[
    ".local",
    ".cargo",
    ".rustup",
    ".pyenv",
    ".nvm",
    ".venv",
    ".virtualenvs",
    ".rbenv",
    ".rvm",
    ".npm",
    ".npm-global",
    ".yarn",
    ".sdkman",
    ".linuxbrew",
    ".bun",
    ".deno",
    ".krew",
    ".asdf",
    ".config",
    ".docker",
    ".aws",
    ".kube",
    ".dotnet",
    ".poetry",
    ".volta",
    ".foundry",
    ".jenkins",
    ".vscode-server",
    ".nix-profile",
    ".pulumi",
    ".tfenv",
    ".goenv",
    ".nodenv",
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".env",
    ".bash_aliases",
    ".oh-my-zsh",
    ".acme.sh",
    ".rover",
    ".fzf",
    ".conda",
    ".mamba",
    ".composer",
    ".gem",
    ".bundle",
    ".helm",
    ".minikube",
    ".ssh",
    ".bash_completion",
    ".envrc",
    ".ansible",
    ".tfswitch",
    ".phpenv",
    ".opam",
    ".cabal",
    ".ghcup",
    ".juliaup",
    ".git",
    ".github",
    ".circleci",
    ".buildkite-agent",
];

/// Whether a path is in a temporary or hidden directory.
pub(super) fn is_odd_place(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/var/run/lock/", "/dev/mqueue/"]
        .iter()
        .any(|root| lower.starts_with(root))
    {
        return true;
    }
    if lower.contains('\\') {
        let places = [
            "\\temp\\",
            "\\tmp\\",
            "$env:temp",
            "%temp%",
            "%tmp%",
            "$env:tmp",
            "\\users\\public",
            "\\appdata\\",
            "$env:appdata",
            "%appdata%",
            "$env:public",
            "%public%",
            "\\perflogs\\",
            "\\$recycle.bin",
        ];
        return places.iter().any(|place| lower.contains(place));
    }
    path.starts_with(['/', '~'])
        && path.split('/').any(|part| {
            part.starts_with('.')
                && part.trim_matches('.').len() >= usize::from(!part.starts_with("..."))
                && part != "."
                && part != ".."
                && !ORDINARY_HIDDEN.contains(&part)
        })
}

/// Programs that scripts in other languages run what they fetched or decoded with.
pub(super) fn other_language(case: &mut Case<'_>, place: (usize, u32), language: Language, text: &str) {
    let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let runs = match language {
        Language::Python => {
            has(&["exec(", "eval(", "os.system", "subprocess", "os.popen", "pty.spawn", "execv"])
        }
        Language::Perl => has(&["eval", "system", "exec", "`"]),
        Language::Ruby => has(&["eval", "system", "exec", "`", "IO.popen", "spawn"]),
        Language::Php => has(&["eval(", "system(", "exec(", "passthru(", "popen(", "assert("]),
        _ => {
            has(&["eval(", "child_process", "os.execute", "io.popen", "loadstring", "exec(", "new Function"])
        }
    };
    if !runs {
        return;
    }
    let evaluates = has(&["exec(", "eval(", "eval ", "loadstring", "new Function", "assert("]);
    let fetches = has(&[
        "urlopen",
        "requests.get",
        "urlretrieve",
        "http.client",
        "LWP",
        "Net::HTTP",
        "open-uri",
        "file_get_contents('http",
        "file_get_contents(\"http",
        "curl_exec",
        "http.get",
        "https.get",
        "fetch(",
        "URI.open",
        "socket.http",
    ]);
    let decodes = has(&[
        "b64decode",
        "base64.decode",
        "decode_base64",
        "base64_decode",
        "Base64.decode",
        "'base64'",
        "\"base64\"",
        "zlib.decompress",
        "gzinflate",
        "bytes.fromhex",
        "unhexlify",
        "codecs.decode",
        "marshal.loads",
        "str_rot13",
        "unpack(\"H",
        "unpack('H",
        "pack('H",
        "pack(\"H",
        "unpack('u",
        "frombase64",
    ]);
    if fetches && evaluates {
        case.hit_in(Id::Exe02, place);
    }
    if decodes && evaluates {
        case.hit_in(Id::Exe03, place);
    }
}

impl Case<'_> {
    /// A signal for running what was downloaded, with what its transport adds.
    pub(super) fn run_download(&mut self, id: Id, at: (usize, usize), standing: Standing, open: bool) {
        let full = id.signal().weight;
        let weight = weight(standing, full);
        if weight == 0 {
            return;
        }
        self.hit_weighing(id, weight, at);
        if open && standing >= Standing::Open {
            self.hit(Id::Net06, at);
        }
    }

    /// A file given to an interpreter on its standard input.
    fn file_run(&mut self, file: &str, at: (usize, usize)) {
        let flow = self.flow;
        let found = flow
            .downloads
            .iter()
            .find(|download| same_file(&download.path, file) && basename(file).len() > 1);
        if let Some(download) = found
            && download.standing == Standing::Untrusted
            && !flow.is_verified(download, at)
        {
            self.run_download(Id::Exe04, at, download.standing, download.open);
        }
    }

    /// Whether a download names a host that no checksum beside it can vouch for.
    fn throw_away(&self, at: (usize, usize)) -> bool {
        let command = self.parts.get(at.0).and_then(|part| part.script.commands.get(at.1));
        command.and_then(fetch::parse).is_some_and(|fetch| {
            fetch.urls.iter().any(|url| {
                url.kind() == super::hosts::HostKind::PublicAddress || super::hosts::is_drop_host(url.host)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_odd_place;

    #[test]
    fn temporary_and_hidden_places_are_odd_and_tools_own_are_not() {
        for path in [
            "/tmp/x",
            "/dev/shm/.a/b",
            "/opt/.cache2/x",
            "/var/tmp/y",
            "C:\\Windows\\Temp\\a.exe",
            "/usr/lib/.../x",
        ] {
            assert!(is_odd_place(path), "{path}");
        }
        for path in [
            "/opt/x",
            "/root/.cargo/bin/x",
            "../x",
            "./x",
            "/home/a/.nvm/nvm.sh",
            "/usr/local/tmp.d/x",
            "C:\\Program Files\\x.exe",
        ] {
            assert!(!is_odd_place(path), "{path}");
        }
    }
}
