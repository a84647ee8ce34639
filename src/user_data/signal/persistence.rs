//! `per`: what comes back: cron, units, start scripts, keys, accounts.

use super::Id;
use super::defence::writes_to;
use super::exec::is_odd_place;
use super::fetch::{self, Standing};
use super::flow::Place;
use super::paths::same_file;
use super::{Case, Part};
use crate::user_data::script::{
    Command, Role, UnitKind, absolute, is_decoder, language_of, reads_script, role,
};

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let at = (number, index);
    scheduled(case, at, part, command);
    keys(case, at, part, command);
    accounts(case, at, part, command);
    match command.name.as_str() {
        "crontab" => {
            if command.has("-r") {
                case.hit(Id::Per02, at);
            }
            let reach = case.flow.reach_of_input((number, part), command, case.trust);
            let file = command.operands().last().is_some_and(|word| {
                case.flow.downloads.iter().any(|download| {
                    download.standing == Standing::Untrusted
                        && same_file(&download.path, &absolute(&word.text))
                })
            });
            if reach.download() == Some(Standing::Untrusted) || file {
                case.hit(Id::Per01, at);
            }
        }
        "rm" if command
            .operands()
            .any(|word| word.text.trim_end_matches(['*', '/']).starts_with("/var/spool/cron")) =>
        {
            case.hit(Id::Per02, at);
        }
        _ => {}
    }
}

/// What sudo without a password weighs, which honest scripts give to users of their own.
pub(super) const OWN_SUDO: u32 = 10;

/// How a unit comes to be run, its carriers included.
fn scheduled_kind<'a>(part: &'a Part<'_>, command: &Command) -> Option<&'a UnitKind> {
    let mut unit = part.script.units.get(command.unit as usize)?;
    for _ in 0..=crate::user_data::script::MAX_NESTING {
        if matches!(unit.kind, UnitKind::Cron | UnitKind::Boot) {
            return Some(&unit.kind);
        }
        let carrier = part.script.commands.get(unit.carrier? as usize)?;
        unit = part.script.units.get(carrier.unit as usize)?;
    }
    None
}

/// A command that cron or the boot runs: does it fetch, decode, or run from an odd place?
fn scheduled(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    // A file fetched straight into a cron or unit folder.
    if let Some(fetch) = fetch::parse(command)
        && let fetch::Output::File(file) = &fetch.output
        && fetch.standing(case.trust) == Standing::Untrusted
    {
        match role(&absolute(file)) {
            Role::Cron => case.hit(Id::Per01, at),
            Role::Boot => case.hit(Id::Per05, at),
            _ => {}
        }
    }
    let Some(kind) = scheduled_kind(part, command) else { return };
    let id = if *kind == UnitKind::Cron { Id::Per01 } else { Id::Per05 };
    let program = absolute(command.program());
    let script =
        language_of(&command.name).and_then(|_| command.operands().next()).map(|word| absolute(&word.text));
    let odd = is_odd_place(&program) || script.is_some_and(|path| is_odd_place(&path));
    let sourced = matches!(command.name.as_str(), "source" | ".")
        && command.operands().any(|word| is_odd_place(&absolute(&word.text)));
    let socket = command.redirects.iter().any(|redirect| redirect.target.text.starts_with("/dev/tcp/"));
    let mut suspicious = odd || sourced || socket;
    let interprets =
        language_of(&command.name).is_some() || matches!(command.name.as_str(), "eval" | "source" | ".");
    if interprets {
        let here = (at.0, part);
        let mut reach = case.flow.reach_of_words(here, command.args(), case.trust);
        if reads_script(command) || reach.standing.is_none() {
            let input = case.flow.reach_of_input(here, command, case.trust);
            reach.standing = reach.standing.max(input.standing);
            reach.decoder |= input.decoder;
        }
        suspicious |= reach.download() == Some(Standing::Untrusted) || reach.decoder;
    }
    if *kind == UnitKind::Cron {
        // What a cron entry fetches into a file is there to be run by the next one.
        let fetch = fetch::parse(command).filter(|fetch| !fetch.upload);
        suspicious |= fetch.is_some_and(|fetch| {
            let kept = matches!(fetch.output, fetch::Output::File(_))
                || command
                    .redirects
                    .iter()
                    .any(|redirect| redirect.writes() && !redirect.target.text.starts_with("/dev/"));
            let code = fetch.urls.iter().any(|url| {
                super::hosts::HostKind::PublicAddress == url.kind() || super::hosts::is_drop_host(url.host)
            });
            fetch.standing(case.trust) == Standing::Untrusted
                && kept
                && (code || !matches!(command.name.as_str(), "aws" | "gsutil" | "rclone" | "rsync" | "scp"))
        });
        suspicious |= is_decoder(command)
            && command.feeds.is_some_and(|next| {
                part.script.commands.get(next as usize).is_some_and(|next| language_of(&next.name).is_some())
            });
    }
    if suspicious {
        case.hit(id, at);
    }
}

fn keys(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let is_keys = |path: &str| path.contains("authorized_keys");
    if !writes_to(command, is_keys) {
        return;
    }
    let root = |path: &str| {
        is_keys(path)
            && (path.starts_with("/root/")
                || path.starts_with("~/")
                || path.starts_with("${HOME}")
                || path.starts_with("~root"))
    };
    let here = (at.0, part);
    let mut reach = case.flow.reach_of_words(here, command.args(), case.trust);
    if let Some(span) = command.stdin {
        let feeding = part.script.commands.get(span.start as usize..span.end as usize).unwrap_or_default();
        for feeding in feeding {
            if let Some(fetch) = fetch::parse(feeding) {
                reach.standing = reach.standing.max(Some(fetch.standing(case.trust)));
            }
        }
    }
    let fetched = fetch::parse(command).map(|fetch| fetch.standing(case.trust));
    let from_url = reach.download().max(fetched.filter(|standing| *standing > Standing::Local))
        == Some(Standing::Untrusted);
    // A root login is often opened by removing the notice that cloud-init puts in front of the key.
    let edits_only = command.name == "sed" || matches!(command.name.as_str(), "cp" | "mv" | "install");
    if from_url || (writes_to(command, root) && !edits_only) {
        case.hit(Id::Per03, at);
    }
}

fn accounts(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command) {
    let args = || command.args().iter().map(|word| word.text.as_str());
    let any_text = |accepts: &dyn Fn(&str) -> bool| {
        args().any(accepts)
            || command.redirects.iter().any(|redirect| accepts(&redirect.target.text))
            || feeds_text(part, command, accepts)
    };
    let second_root = match command.name.as_str() {
        "useradd" | "adduser" | "usermod" => {
            let pairs = || {
                command
                    .args()
                    .windows(2)
                    .filter_map(|pair| Some((pair.first()?.text.as_str(), pair.get(1)?.text.as_str())))
            };
            pairs().any(|(option, value)| {
                value == "0"
                    && (matches!(option, "--uid")
                        || (option.starts_with('-') && !option.starts_with("--") && option.contains('u')))
            }) || args().any(|text| text == "-u0" || text == "-ou0" || text == "--uid=0")
        }
        "echo" | "printf" | "cat" | "tee" | "sed" | "ed" | "awk" => {
            let passwd = writes_to(command, |path| path.ends_with("/etc/passwd"))
                || (command.name == "sed" && command.has("/etc/passwd"));
            let edits = |text: &str| text.lines().any(super::backdoor::is_second_root);
            passwd && any_text(&edits)
        }
        _ => false,
    };
    if second_root {
        case.hit(Id::Per10, at);
    }
    let hit = match command.name.as_str() {
        "chpasswd" => feeds_text(part, command, |text| text.starts_with("root:")),
        "passwd" => {
            command.operands().next().is_some_and(|word| word.text == "root")
                && (command.has("--stdin") || command.stdin.is_some() || command.has("-d"))
        }
        "echo" | "printf" | "cat" | "tee" | "sed" => {
            let sudoers =
                writes_to(command, |path| path.contains("/etc/sudoers")) && !command.has("/etc/sudoers.d");
            let sshd = writes_to(command, |path| path.contains("sshd_config"));
            let piped = |needle: &str| any_text(&|text| text.contains(needle));
            if sudoers && piped("NOPASSWD") {
                case.hit_weighing(Id::Per04, OWN_SUDO, at);
            }
            sshd && (any_text(&|text| permits_root(text)) || piped("PermitEmptyPasswords yes"))
        }
        _ => false,
    };
    if hit {
        case.hit(Id::Per04, at);
    }
}

/// Whether a setting, or what an edit puts in its place, lets root log in.
fn permits_root(text: &str) -> bool {
    text.rsplit_once("PermitRootLogin")
        .is_some_and(|(_, value)| value.trim_start_matches([' ', '\t', '=']).starts_with("yes"))
}

/// Whether what is piped or fed into a command holds a text.
fn feeds_text(part: &Part<'_>, command: &Command, accepts: impl Fn(&str) -> bool) -> bool {
    let own = command.redirects.iter().any(|redirect| !redirect.writes() && accepts(&redirect.target.text));
    own || command.stdin.iter().flat_map(|span| span.indices().take(16)).any(|index| {
        part.script.commands.get(index).is_some_and(|feeding| {
            feeding.args().iter().any(|word| accepts(&word.text))
                || feeding.redirects.iter().any(|redirect| accepts(&redirect.target.text))
        })
    })
}

/// Downloads that a cron line names without this script running them.
pub(super) fn crontabs(case: &mut Case<'_>) {
    let flow = case.flow;
    for run in &flow.runs {
        let Some(part) = case.parts.get(run.at.0) else { continue };
        let Some(command) = part.script.commands.get(run.at.1) else { continue };
        if scheduled_kind(part, command) != Some(&UnitKind::Cron) {
            continue;
        }
        let downloaded = flow
            .downloads
            .iter()
            .any(|download| download.standing == Standing::Untrusted && same_file(&download.path, &run.path));
        if downloaded {
            case.hit(Id::Per01, run.at);
        }
    }
}
