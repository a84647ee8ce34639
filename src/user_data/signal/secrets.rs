//! `crd-04`, `crd-05` and `net-09`: secrets of the account that leave, and logins to whom this host knows.

use super::credentials::{is_credential_file, reads_credential_file, reads_role_credentials, url_leaves};
use super::fetch;
use super::flow::Place;
use super::hosts::{HostKind, Url, host_kind};
use super::impact::is_aws;
use super::{Case, Id, Part};
use crate::indicators::programs::{self, Class};
use crate::user_data::script::{Command, Word};

/// What one value in the middle of a longer text weighs, as an enrolment sends it.
const ENROLMENT: u32 = 20;
/// Commands that are looked at when following one value back.
const MAX_STEPS: usize = 64;

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, index);
    sent(case, at, part, command);
    queries(case, at, part, command);
    bucket(case, at, part, command);
    login_data(case, at, part, command);
    spread(case, at, part, command);
}

/// Whether a command prints a secret of the account.
fn prints_secret(command: &Command) -> bool {
    let args = || command.args().iter().map(|word| word.text.as_str());
    match command.name.as_str() {
        "aws" => {
            is_aws(command, "secretsmanager", &["get-secret-value", "batch-get-secret-value"])
                || (is_aws(command, "ssm", &["get-parameter", "get-parameters", "get-parameters-by-path"])
                    && command.has("--with-decryption"))
                || makes_credentials(command)
        }
        "vault" => args().any(|text| matches!(text, "read" | "kv")),
        "kubectl" => args().any(|text| text.starts_with("secret")) && args().any(|text| text == "get"),
        "gcloud" => args().any(|text| text.starts_with("print-")),
        "az" => args().any(|text| text == "get-access-token"),
        _ => false,
    }
}

/// Whether a command makes or prints credentials that work elsewhere.
fn makes_credentials(command: &Command) -> bool {
    is_aws(
        command,
        "iam",
        &["create-access-key", "create-login-profile", "create-service-specific-credential"],
    ) || is_aws(command, "sts", &["get-session-token", "assume-role", "get-federation-token"])
        || is_aws(command, "configure", &["export-credentials"])
        || is_aws(command, "kms", &["decrypt"])
}

/// What stands behind words and a pipe: the strongest secret, and whether it is alone.
#[derive(Default, Clone, Copy)]
struct Behind {
    secret: bool,
    credentials: bool,
    encoder: bool,
}

fn behind(part: &Part<'_>, words: &[&Word], command: Option<&Command>) -> Behind {
    let commands = &part.script.commands;
    let mut found = Behind::default();
    let mut open: Vec<usize> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut seen: Vec<usize> = Vec::new();
    for word in words {
        open.extend(word.subs().iter().flat_map(|(_, span)| span.indices().take(16)));
        names.extend(word.vars().iter().map(String::as_str));
    }
    if let Some(command) = command {
        open.extend(command.stdin.iter().flat_map(|span| span.indices().take(16)));
    }
    for _ in 0..4 {
        while let Some(index) = open.pop() {
            if seen.len() >= MAX_STEPS || seen.contains(&index) {
                continue;
            }
            seen.push(index);
            let Some(other) = commands.get(index) else { continue };
            found.credentials |=
                makes_credentials(other) || reads_role_credentials(other) || reads_credential_file(other);
            found.secret |= prints_secret(other);
            found.encoder |=
                matches!(other.name.as_str(), "base64" | "base32" | "xxd" | "od" | "hexdump" | "basenc");
            open.extend(other.stdin.iter().flat_map(|span| span.indices().take(16)));
            for word in other.args() {
                open.extend(word.subs().iter().flat_map(|(_, span)| span.indices().take(8)));
                names.extend(word.vars().iter().map(String::as_str).take(4));
            }
        }
        if names.is_empty() || found.credentials {
            break;
        }
        names.sort_unstable();
        names.dedup();
        names.truncate(16);
        let assigned = commands.iter().flat_map(|command| &command.assigns);
        let values: Vec<&Word> = assigned
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(_, value)| value)
            .take(64)
            .collect();
        names.clear();
        for value in values {
            open.extend(value.subs().iter().flat_map(|(_, span)| span.indices().take(16)));
            names.extend(value.vars().iter().map(String::as_str));
        }
    }
    found
}

/// A secret in the body or the address of a request to a host outside.
fn sent(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let Some(fetch) = fetch::parse(command) else { return };
    if !fetch.urls.iter().any(|url| url_leaves(url, case)) {
        return;
    }
    let mut carried: Vec<&Word> = Vec::new();
    let mut whole = false;
    let mut header = false;
    let mut input = false;
    for word in command.args() {
        let text = word.text.as_str();
        // Headers and users log in; they do not carry.
        let logs_in = header && !text.starts_with('-');
        header = matches!(
            text,
            "-H" | "--header" | "-u" | "--user" | "-A" | "-headers" | "-Headers" | "--oauth2-bearer"
        );
        input |= matches!(text, "@-" | "--post-file=-" | "--post-file=/dev/stdin")
            || text.ends_with("=@-")
            || text == "-T-";
        let dynamic = !word.subs().is_empty() || !word.vars().is_empty();
        if logs_in || header || !dynamic {
            continue;
        }
        let body = text.split_once('=').map_or(text, |(_, value)| value);
        // `$()`, `${NAME}`, `NAME=${NAME}`: nothing beside the value.
        whole |= body == "$()"
            || (body.starts_with("${") && body.ends_with('}') && body.matches('$').count() == 1);
        carried.push(word);
    }
    if carried.is_empty() && !input {
        return;
    }
    let found = behind(part, &carried, Some(command).filter(|_| input));
    if found.credentials && (fetch.upload || input) || (found.secret && (whole || input)) {
        case.hit(Id::Crd04, at);
    } else if found.secret {
        case.hit_weighing(Id::Crd04, ENROLMENT, at);
    }
}

/// `dig $(base64 /etc/shadow).a.example`
fn queries(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    if !matches!(
        command.name.as_str(),
        "dig" | "nslookup" | "host" | "drill" | "kdig" | "ping" | "getent" | "resolvectl" | "resolve-dnsname"
    ) {
        return;
    }
    let names: Vec<&Word> = command
        .operands()
        .filter(|word| {
            word.dynamic
                && word.text.trim_end_matches('.').rsplit('.').next().is_some_and(|top| !top.contains('$'))
                && word.text.contains('.')
        })
        .collect();
    if names.is_empty() {
        return;
    }
    let found = behind(part, &names, None);
    if found.secret || found.credentials || found.encoder {
        case.hit(Id::Crd05, at);
    }
}

/// Credential files, or archives of them, into somebody's bucket.
fn bucket(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let operands: Vec<&Word> = command.operands().collect();
    let copies = is_aws(command, "s3", &["cp", "mv", "sync"]) || is_aws(command, "s3api", &["put-object"]);
    if !copies {
        return;
    }
    let to = operands.iter().rposition(|word| word.text.starts_with("s3://"));
    let from = to.and_then(|at| at.checked_sub(1)).and_then(|at| operands.get(at));
    let Some(from) = from.filter(|word| !word.text.starts_with("s3://")) else { return };
    // Made for somebody else's account.
    let foreign = command.args().iter().any(|word| {
        matches!(word.text.as_str(), "--no-sign-request" | "--endpoint-url" | "bucket-owner-full-control")
            || word.text.starts_with("--endpoint-url=http")
    });
    let login = |path: &str| is_credential_file(path) && !path.contains("/ssh_host_");
    let archived = |path: &str| {
        part.script
            .commands
            .iter()
            .take(at.1)
            .filter(|other| matches!(other.name.as_str(), "tar" | "zip" | "7z" | "gpg" | "openssl"))
            .any(|other| {
                other.args().iter().any(|word| word.text == path)
                    && other.args().iter().any(|word| login(&word.text))
            })
    };
    let piped = from.text == "-" && {
        let found = behind(part, &[], Some(command));
        found.credentials || found.secret
    };
    let taken = login(&from.text) || archived(&from.text) || piped;
    if taken {
        let known = super::hosts::bucket_of(&Url {
            scheme: "s3",
            host: to
                .and_then(|at| operands.get(at))
                .map_or("", |word| word.text.trim_start_matches("s3://").split('/').next().unwrap_or("")),
            path: "",
        })
        .is_some_and(|bucket| {
            bucket.contains('$')
                || case.trust.buckets.iter().any(|pattern| bucket.starts_with(pattern.trim_end_matches('*')))
        });
        if foreign || !known {
            case.hit(Id::Crd02, at);
            case.hit(Id::Crd03, at);
        }
    }
}

/// `tar cz /root/.ssh | ssh user@host 'cat > x'`
fn login_data(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    if !matches!(command.name.as_str(), "ssh" | "sshpass" | "plink") || command.stdin.is_none() {
        return;
    }
    let outside = command.operands().take(2).any(|word| {
        let host = word.text.rsplit('@').next().unwrap_or("");
        let host = host.split(':').next().unwrap_or(host);
        host.contains('.') && matches!(host_kind(host), HostKind::PublicAddress | HostKind::Name)
    });
    if outside && behind(part, &[], Some(command)).credentials {
        case.hit(Id::Crd02, at);
        case.hit(Id::Crd03, at);
    }
}

/// A login to every host that known_hosts or the history names.
fn spread(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    if !matches!(command.name.as_str(), "ssh" | "scp" | "sshpass" | "sftp" | "rsync" | "pssh" | "pscp")
        && !case.has(Id::Net09)
    {
        let carried = command
            .words
            .iter()
            .take(command.start)
            .any(|word| matches!(word.text.as_str(), "ssh" | "scp" | "sshpass"));
        if !carried {
            return;
        }
    }
    if case.has(Id::Net09) || !command.words.iter().any(|word| word.dynamic || !word.vars().is_empty()) {
        return;
    }
    let reads = part.script.commands.iter().any(|other| {
        let classes = programs::classes(&other.name);
        (classes.has_any(&[Class::Printer, Class::Searcher, Class::Carrier])
            || matches!(other.name.as_str(), "cut" | "sort" | "tr" | "while" | "read"))
            && !matches!(other.name.as_str(), "ssh" | "scp" | "rsync" | "echo" | "printf")
            && !other.name.starts_with("ssh-key")
            && (other.args().iter().any(|word| names_hosts(&word.text))
                || other
                    .redirects
                    .iter()
                    .any(|redirect| !redirect.writes() && names_hosts(&redirect.target.text)))
    });
    if reads {
        case.hit(Id::Net09, at);
    }
}

fn names_hosts(path: &str) -> bool {
    path.ends_with("known_hosts") || path.ends_with(".bash_history") || path.ends_with(".ssh/config")
}
