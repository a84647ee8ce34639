//! `curl` or `wget` was given credentials to send.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::commands::{self, Command};
use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, runtime};
use crate::activity::{Action, Activity, Process};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "credential-in-command",
    title: "Credentials sent by a command",
    severity: Severity::High,
    score: 70,
    source: "DET0248 AN0691: credentials leaving a container by curl or wget",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// Programs that send what they are given.
const SENDERS: [&str; 7] = ["curl", "wget", "http", "https", "invoke-webrequest", "invoke-restmethod", "iwr"];

/// Names of AWS's credentials, letters and digits only.
const AWS: [&str; 9] = [
    "awsaccesskeyid",
    "awssecretaccesskey",
    "awssecretkey",
    "awssessiontoken",
    "awssecuritytoken",
    "secretaccesskey",
    "accesskeyid",
    "xamzsecuritytoken",
    "sessiontoken",
];

/// Other names of secrets.
const GENERIC: [&str; 17] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secretkey",
    "clientsecret",
    "token",
    "accesstoken",
    "accesskey",
    "refreshtoken",
    "apikey",
    "authkey",
    "privatekey",
    "credential",
    "credentials",
    "creds",
];

static KEY_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b").ok());

/// `name=value`, `"name": "value"`, `Name: value`, and variables by name.
static PAIR: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[=:]\s*["']?([^\s"'&,;}]+)"#).ok());
static VARIABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{?(AWS_(?:SECRET_ACCESS_KEY|SESSION_TOKEN|ACCESS_KEY_ID))\b").ok());

/// What a command carries.
#[derive(Default)]
struct Carried {
    /// Names of AWS credentials.
    aws: Vec<String>,
    generic: Vec<String>,
}

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::ProcessStarted(process) = &activity.action else {
        return Verdict::NotApplicable("no program was started".into());
    };
    if process.binary.is_empty() && process.arguments.is_empty() {
        return Verdict::CannotTell(Reason::new(
            "program-not-named",
            "The event does not name the program that was started.",
        ));
    }
    let commands = commands::of(process);
    let senders: Vec<&Command> =
        commands.iter().filter(|command| SENDERS.contains(&command.name.as_str())).collect();
    if senders.is_empty() {
        return Verdict::Pass(format!("{} sends nothing", process.name()).into());
    }
    let environment: Vec<&str> =
        process.environment.iter().map(String::as_str).filter(|name| name.starts_with("AWS_")).collect();
    let dumped = commands.iter().any(|command| {
        (matches!(command.name.as_str(), "env" | "printenv" | "set") && command.words.is_empty())
            || (command.name == "cat" && command.words.iter().any(|word| is_credential_file(word)))
    });
    for sender in senders {
        let mut carried = carried(sender);
        let takes_output = sender.words.iter().any(|word| word.contains("$()") || word.contains("@-"));
        if dumped && (takes_output || sender.fed) {
            carried.aws.push("the environment or a credentials file".to_owned());
        }
        let in_container = process.place.is_container();
        let names = if !carried.aws.is_empty() {
            carried.aws
        } else if !carried.generic.is_empty() && !environment.is_empty() && in_container {
            carried.generic
        } else {
            continue;
        };
        return found(activity, process, sender, names, &environment);
    }
    Verdict::Pass("it carries no credentials that matter here".into())
}

fn found(
    activity: &Activity,
    process: &Process,
    sender: &Command,
    mut names: Vec<String>,
    environment: &[&str],
) -> Verdict {
    names.sort();
    names.dedup();
    names.truncate(10);
    let to = sender.words.iter().find_map(|word| host(word));
    let mut evidence = super::evidence([
        ("binary", json!(process.binary)),
        ("command", json!(hidden(process))),
        ("parameters", json!(names)),
        ("sent_to", json!(to)),
        ("environment", if environment.is_empty() { json!(null) } else { json!(environment) }),
        ("parent", json!(process.parent)),
        ("user", json!(process.user)),
    ]);
    evidence.extend(runtime::seen(&process.place));
    let to = to.map(|host| format!(" to {host}")).unwrap_or_default();
    Verdict::matched(Match {
        subject: runtime::subject(&process.place),
        severity: None,
        summary: format!(
            "{} in {} was given credentials to send{to}: {}.",
            sender.name,
            runtime::place(&process.place),
            names.join(", ")
        ),
        evidence,
        next_steps: vec![
            NextStep::new(
                "Treat the credentials as known to others: revoke the role's sessions or rotate the keys.",
                None,
            ),
            runtime::look(activity, &process.place),
            NextStep::new("See in CloudTrail what was done with them since, and from where.", None),
        ],
        not_inspected: Vec::new(),
    })
}

/// What a sender's words carry.
fn carried(sender: &Command) -> Carried {
    let mut carried = Carried::default();
    // curl signs requests to AWS itself with these.
    let signs = sender.words.iter().any(|word| word.starts_with("--aws-sigv4"));
    let mut words = sender.words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let user = matches!(word, "-u" | "--user" | "--http-user" | "--http-password" | "--password");
        if user {
            let value = words.next().unwrap_or_default();
            if !signs {
                aws_values(value, &mut carried);
                carried.generic.push(word.trim_start_matches('-').to_owned());
            }
            continue;
        }
        if is_credential_file(word.trim_start_matches('@'))
            || word.rsplit(['@', '=']).next().is_some_and(is_credential_file)
        {
            carried.aws.push("a credentials file".to_owned());
        }
        // What a pre-signed address carries is meant to be handed on.
        if word.contains("X-Amz-Signature=") || (signs && word.to_ascii_lowercase().starts_with("x-amz-")) {
            continue;
        }
        aws_values(word, &mut carried);
        let plain_word = without_schemes(word);
        for pair in PAIR.iter().flat_map(|pattern| pattern.captures_iter(&plain_word)) {
            let Some(name) = pair.get(1) else { continue };
            let plain: String = name
                .as_str()
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
                .to_ascii_lowercase();
            if AWS.contains(&plain.as_str()) {
                carried.aws.push(name.as_str().to_owned());
            } else if GENERIC.contains(&plain.as_str()) {
                carried.generic.push(name.as_str().to_owned());
            }
        }
    }
    carried
}

/// `http://...` is no pair of a name and a value.
fn without_schemes(text: &str) -> String {
    text.replace("://", " ")
}

fn aws_values(word: &str, carried: &mut Carried) {
    if KEY_ID.as_ref().is_some_and(|pattern| pattern.is_match(word)) {
        carried.aws.push("an access key id".to_owned());
    }
    let variables = VARIABLE.iter().flat_map(|pattern| pattern.captures_iter(word));
    carried.aws.extend(variables.filter_map(|found| Some(found.get(1)?.as_str().to_owned())));
}

fn is_credential_file(path: &str) -> bool {
    path.ends_with(".aws/credentials") || path.ends_with(".aws/config")
}

/// The host of an address, without what else the address may carry.
fn host(word: &str) -> Option<String> {
    let rest = word.split_once("://").map(|(_, rest)| rest)?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let fits = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    fits.then(|| host.to_owned())
}

/// The command line with every secret hidden: also those that only their parameter's name gives away.
fn hidden(process: &Process) -> String {
    let mut line = format!("{} {}", process.binary, process.arguments);
    let plain = without_schemes(&line);
    let secrets: Vec<String> = PAIR
        .iter()
        .flat_map(|pattern| pattern.captures_iter(&plain))
        .filter_map(|pair| {
            let name: String = pair.get(1)?.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
            let name = name.to_ascii_lowercase();
            let secret = AWS.contains(&name.as_str()) || GENERIC.contains(&name.as_str());
            secret.then(|| pair.get(2).map(|value| value.as_str().to_owned()))?
        })
        .collect();
    for secret in secrets.iter().filter(|secret| secret.len() > 2) {
        line = line.replace(secret.as_str(), crate::text::REDACTED);
    }
    if let Some(pattern) = KEY_ID.as_ref() {
        line = pattern.replace_all(&line, crate::text::REDACTED).into_owned();
    }
    runtime::clean(&line)
}

#[cfg(test)]
mod tests;
