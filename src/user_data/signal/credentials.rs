//! `crd`: credentials read, and data sent away.

use super::Id;
use super::fetch::{self, Fetch, Standing};
use super::hosts::{HostKind, Url, is_trusted};
use super::network::only_prints;
use super::{Case, Part, flow::Place};
use crate::user_data::script::{Command, RedirectOp, Word};

/// Commands that read the files they are given.
const READERS: &[&str] = &[
    "cat",
    "cp",
    "tar",
    "zip",
    "base64",
    "gzip",
    "head",
    "tail",
    "less",
    "more",
    "strings",
    "xxd",
    "scp",
    "rsync",
    "nc",
    "ncat",
    "curl",
    "wget",
    "dd",
    "awk",
    "sed",
    "openssl",
    "7z",
    "od",
    "tee",
    "get-content",
    "type",
    "copy-item",
    "compress-archive",
    "grep",
    "find",
];
/// Hosts that scripts honestly report to.
const REPORTED_TO: &[&str] = &[
    "hooks.slack.com",
    "slack.com",
    "api.github.com",
    "gitlab.com",
    "events.pagerduty.com",
    "api.pagerduty.com",
    "api.opsgenie.com",
    "hc-ping.com",
    "api.datadoghq.com",
    "api.honeycomb.io",
    "outlook.office.com",
    "api.cloudflare.com",
    "sentry.io",
];

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, index);
    if only_prints(command) && !matches!(command.name.as_str(), "cat" | "grep" | "egrep") {
        return;
    }
    if reads_role_credentials(command) {
        case.hit(Id::Crd01, at);
    }
    if reads_credential_file(command) {
        case.hit(Id::Crd02, at);
    }
    if let Some(fetch) = fetch::parse(command)
        && leaves(&fetch, case)
        && carries(part, command, &fetch)
    {
        case.hit(Id::Crd03, at);
        // The whole environment is as good as a credential file.
        let feeding = command.stdin.iter().flat_map(|span| span.indices().take(8));
        let mut feeding = feeding.filter_map(|index| part.script.commands.get(index));
        if feeding.any(|feeding| matches!(feeding.name.as_str(), "env" | "printenv")) {
            case.hit(Id::Crd02, at);
        }
    }
    connector(case, at, part, command);
}

pub(super) fn reads_role_credentials(command: &Command) -> bool {
    if fetch::parse(command).is_none() {
        return false;
    }
    command.args().iter().any(|word| {
        let text = word.text.as_str();
        (text.contains("security-credentials")
            || text.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || text.contains("169.254.170.2/v2/credentials"))
            && !text.starts_with("X-")
    })
}

pub(super) fn reads_credential_file(command: &Command) -> bool {
    if command
        .redirects
        .iter()
        .any(|redirect| redirect.op == RedirectOp::Read && is_credential_file(&redirect.target.text))
    {
        return true;
    }
    let name = command.name.as_str();
    if !READERS.contains(&name) {
        return false;
    }
    let operands: Vec<&Word> = command.args().iter().collect();
    // The last operand of a copy, and what tee is given, is written.
    let read = match name {
        "cp" | "copy-item" => operands.get(..operands.len().saturating_sub(1)).unwrap_or_default(),
        "tee" => &[],
        "sed" if command.has("-i") => &[],
        _ => operands.as_slice(),
    };
    read.iter().any(|word| {
        let text = word.text.trim_start_matches('@');
        let text = text.rsplit('@').next().unwrap_or(text);
        is_credential_file(text.strip_prefix("if=").unwrap_or(text))
    })
}

/// Files whose content lets somebody in.
pub(super) fn is_credential_file(path: &str) -> bool {
    let path = path.trim_matches(['"', '\'']);
    if path.len() > 256 || path.ends_with(".pub") {
        return false;
    }
    let ends = [
        ".aws/credentials",
        ".aws/config",
        ".docker/config.json",
        ".kube/config",
        ".git-credentials",
        ".netrc",
        ".pgpass",
        ".my.cnf",
        "/etc/shadow",
        "/etc/gshadow",
        ".boto",
        ".s3cfg",
        "application_default_credentials.json",
        ".azure/accessTokens.json",
        ".azure/azureProfile.json",
        "/etc/kubernetes/admin.conf",
        "serviceaccount/token",
        ".vault-token",
        "terraform.tfstate",
        "credentials.db",
        "/proc/self/environ",
        "/proc/1/environ",
        ".passwd-s3fs",
        ".npmrc",
        ".pypirc",
    ];
    if path.starts_with("/proc/") && path.ends_with("/environ") {
        return true;
    }
    let path = path.trim_end_matches(['*', '/']);
    ends.iter().any(|end| path.ends_with(end) && !(*end == ".aws/config" || *end == ".npmrc"))
        || ["/.ssh/id_", "/.config/gcloud", "/.gnupg/"].iter().any(|part| path.contains(part))
        || path.ends_with("/.aws")
        || path.ends_with("/.ssh")
        || (path.contains("/etc/ssh/ssh_host_") && path.ends_with("_key"))
}

/// Whether a transfer goes to a host that is neither AWS, nor inside, nor trusted.
fn leaves(fetch: &Fetch<'_>, case: &Case<'_>) -> bool {
    fetch.urls.iter().any(|url| url_leaves(url, case))
}

pub(super) fn url_leaves(url: &Url<'_>, case: &Case<'_>) -> bool {
    let host = url.host.to_ascii_lowercase();
    matches!(url.kind(), HostKind::Name | HostKind::PublicAddress)
        && !host.ends_with(".amazonaws.com")
        && !host.ends_with(".amazonaws.com.cn")
        && !host.ends_with(".aws.amazon.com")
        && url.scheme != "s3"
        && !REPORTED_TO.contains(&host.as_str())
        && !is_trusted(url, case.trust)
}

/// Whether what is sent is a file or what commands gave, rather than a fixed text.
fn carries(part: &Part<'_>, command: &Command, fetch: &Fetch<'_>) -> bool {
    if fetch.upload && matches!(command.name.as_str(), "scp" | "rsync" | "sftp") {
        return true;
    }
    let mut data = false;
    for word in command.args() {
        let text = word.text.as_str();
        let option = text.starts_with('-');
        if option {
            data = matches!(
                text,
                "-d" | "--data"
                    | "--data-binary"
                    | "--data-raw"
                    | "--data-urlencode"
                    | "-F"
                    | "--form"
                    | "-T"
                    | "--upload-file"
                    | "--post-data"
                    | "--post-file"
                    | "--body-file"
                    | "--json"
                    | "-body"
                    | "-Body"
                    | "-InFile"
            );
        }
        let attached = option
            && (text.starts_with("--post-file=")
                || text.starts_with("--post-data=")
                || text.starts_with("--data") && text.contains("=@"));
        let file = text.starts_with('@') || text.contains("=@");
        if attached || (data && !option && (file || reads_secrets(part, word))) {
            return true;
        }
        if data && !option {
            // `-T file` names the file itself.
            let previous = command.args().iter().zip(command.args().iter().skip(1)).any(|(before, here)| {
                std::ptr::eq(here, word)
                    && matches!(
                        before.text.as_str(),
                        "-T" | "--upload-file" | "--post-file" | "--body-file" | "-InFile"
                    )
            });
            if previous {
                return true;
            }
            data = false;
        }
        // The data in the address itself: `http://host/?$(cat file)`.
        if !option && text.contains("://") && reads_secrets(part, word) {
            return true;
        }
    }
    fetch.upload && command.name.starts_with("invoke-")
}

/// Whether a word's substitutions, or the variables in it, hold what credential commands gave.
fn reads_secrets(part: &Part<'_>, word: &Word) -> bool {
    let commands = &part.script.commands;
    let reads = |word: &Word| {
        word.subs()
            .iter()
            .flat_map(|(_, span)| span.indices().take(32))
            .filter_map(|index| commands.get(index))
            .any(|command| {
                reads_role_credentials(command)
                    || reads_credential_file(command)
                    || matches!(command.name.as_str(), "env" | "printenv" | "set")
            })
    };
    reads(word)
        || word.vars().iter().any(|variable| {
            let mut names = vec![variable.as_str()];
            // Two steps back: `A=$(curl ...)`, `B=$(echo $A | base64)`.
            for _ in 0..2 {
                let values = commands
                    .iter()
                    .flat_map(|command| &command.assigns)
                    .filter(|(name, _)| names.contains(&name.as_str()));
                let mut next = Vec::new();
                for (_, value) in values {
                    if reads(value) {
                        return true;
                    }
                    let inside = value
                        .subs()
                        .iter()
                        .flat_map(|(_, span)| span.indices().take(8))
                        .filter_map(|index| commands.get(index));
                    next.extend(
                        inside
                            .flat_map(|command| command.args().iter().flat_map(Word::vars))
                            .map(String::as_str),
                    );
                    next.extend(value.vars().iter().map(String::as_str));
                }
                names = next;
                names.truncate(16);
            }
            false
        })
}

/// `nc host port < file`, `tar c dir | nc host port`, `cat file > /dev/tcp/host/port`.
fn connector(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let sends = matches!(command.name.as_str(), "nc" | "ncat" | "netcat" | "socat" | "telnet");
    let to_socket = command
        .redirects
        .iter()
        .any(|redirect| redirect.writes() && redirect.target.text.starts_with("/dev/tcp/"));
    if !sends && !to_socket {
        return;
    }
    let fed_secret = command
        .stdin
        .iter()
        .flat_map(|span| span.indices().take(16))
        .filter_map(|index| part.script.commands.get(index))
        .any(|feeding| {
            reads_credential_file(feeding)
                || reads_role_credentials(feeding)
                || matches!(feeding.name.as_str(), "env" | "tar")
        });
    if reads_credential_file(command) || fed_secret {
        case.hit(Id::Crd03, at);
    }
}

/// Scripts in other languages.
pub(super) fn other_language(case: &mut Case<'_>, unit: (usize, u32), text: &str) {
    let role = text.contains("security-credentials")
        || text.contains("get_frozen_credentials") && text.contains("requests.post");
    if role {
        case.hit_near(Id::Crd01, unit, &["security-credentials", "get_frozen_credentials"]);
    }
    if [".aws/credentials", "/etc/shadow", "/.ssh/id_", ".kube/config", ".docker/config.json"]
        .iter()
        .any(|path| text.contains(path))
        && text.contains("read")
    {
        case.hit_near(
            Id::Crd02,
            unit,
            &[".aws/credentials", "/etc/shadow", "/.ssh/id_", ".kube/config", ".docker/config.json"],
        );
    }
    let posts = [
        "requests.post",
        "requests.put",
        "urlopen",
        "method='POST'",
        "Net::HTTP.post",
        "http.request",
        "fetch(",
    ];
    if (case.has(Id::Crd01) || case.has(Id::Crd02)) && posts.iter().any(|needle| text.contains(needle)) {
        let trust = case.trust;
        let fetch = Fetch { urls: Url::all(text).collect(), ..Fetch::default() };
        if fetch.urls.iter().any(|url| url_leaves(url, case)) && fetch.standing(trust) == Standing::Untrusted
        {
            case.hit_near(Id::Crd03, unit, &posts);
        }
    }
}
