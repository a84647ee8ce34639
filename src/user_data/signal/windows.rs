//! PowerShell and batch: the same signals in other words.

use super::Id;
use super::fetch::{self, Standing};
use super::{Case, Part};
use crate::user_data::Language;
use crate::user_data::script::{Command, UnitKind};

/// What def-04 weighs when the protection is switched on again.
const RESTORED: u32 = 10;

/// `-DisableRealtimeMonitoring $false`: a switch that is set to nothing.
fn turns_off(words: &[String]) -> bool {
    words.iter().any(|word| matches!(word.as_str(), "$false" | "0" | "false") || word.ends_with(":$false"))
}

fn is_iex(name: &str) -> bool {
    matches!(name, "iex" | "invoke-expression")
}

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, part: &Part<'_>, command: &Command) {
    let language = part.script.units.get(command.unit as usize).map(|unit| unit.language);
    if !matches!(language, Some(Language::PowerShell | Language::Batch)) {
        return;
    }
    let at = (number, index);
    let lower: Vec<String> = command.words.iter().map(|word| word.text.to_ascii_lowercase()).collect();
    let mentions = |needle: &str| lower.iter().any(|word| word.contains(needle));
    let all = |needles: &[&str]| needles.iter().all(|needle| mentions(needle));
    downloads(case, at, part, command, &lower);
    match command.name.as_str() {
        "set-mppreference" | "add-mppreference"
            if (mentions("-disable") && !turns_off(&lower)) || mentions("-exclu") =>
        {
            // Monitoring that the same script switches on again was only out of an installer's way.
            let restored = mentions("-disable")
                && part.script.work.take(part.script.commands.len() / 8 + 1)
                && part.script.commands.iter().skip(index).any(|other| {
                    let words: Vec<String> =
                        other.words.iter().map(|word| word.text.to_ascii_lowercase()).collect();
                    other.name == command.name
                        && words.iter().any(|word| word.starts_with("-disable"))
                        && turns_off(&words)
                });
            if restored {
                case.hit_weighing(Id::Def04, RESTORED, at);
            } else {
                case.hit(Id::Def04, at);
            }
        }
        "uninstall-windowsfeature" | "remove-windowsfeature" if mentions("defender") => {
            case.hit(Id::Def04, at)
        }
        "sc" if (mentions("stop") || mentions("delete") || all(&["config", "disabled"]))
            && mentions("defend") =>
        {
            case.hit(Id::Def04, at)
        }
        "netsh" if all(&["advfirewall", "off"]) || all(&["firewall", "disable"]) => case.hit(Id::Def05, at),
        "set-netfirewallprofile" if mentions("false") => case.hit(Id::Def05, at),
        "wevtutil" if mentions("cl") || mentions("clear-log") => case.hit(Id::Def06, at),
        "clear-eventlog" | "remove-eventlog" | "limit-eventlog" => case.hit(Id::Def06, at),
        "remove-item" | "del" | "ri" | "rm" if mentions("consolehost_history") || mentions("psreadline") => {
            case.hit(Id::Def06, at)
        }
        "schtasks" | "register-scheduledtask" | "new-scheduledtaskaction" => {
            let fetches = [
                "downloadstring",
                "invoke-webrequest",
                "iwr ",
                "-enc",
                "http://",
                "https://",
                "bitsadmin",
                "certutil",
                "mshta",
                "iex",
                "frombase64",
            ];
            let odd = lower.iter().any(|word| super::exec::is_odd_place(word))
                || mentions("\\temp\\")
                || mentions("$env:temp")
                || mentions("\\users\\public");
            let creates = command.name != "schtasks" || mentions("/create");
            if creates && (odd || fetches.iter().any(|needle| mentions(needle))) {
                case.hit(Id::Per01, at);
            }
        }
        "net" | "net1" => {
            let added = mentions("/add") || mentions("/ad");
            if added && (lower.get(1).is_some_and(|word| word == "localgroup") && mentions("administrators"))
            {
                case.hit(Id::Per04, at);
            }
        }
        "add-localgroupmember" if mentions("administrators") => case.hit(Id::Per04, at),
        "reg" | "set-itemproperty" | "new-itemproperty" => {
            let autostart = mentions("currentversion\\run") || mentions("winlogon");
            let odd = lower.iter().any(|word| super::exec::is_odd_place(word))
                || mentions("-enc")
                || mentions("http");
            if autostart && odd {
                case.hit(Id::Per05, at);
            }
        }
        "new-service" if lower.iter().any(|word| super::exec::is_odd_place(word)) => case.hit(Id::Per05, at),
        "mshta" | "regsvr32" | "rundll32" | "installutil" | "msbuild" | "wmic" | "cmstp" | "odbcconf"
            if mentions("http://") || mentions("https://") || mentions("javascript:") =>
        {
            case.hit(Id::Exe08, at);
        }
        "rundll32" if mentions("comsvcs") => case.hit(Id::Crd02, at),
        "procdump" | "procdump64" if mentions("lsass") => case.hit(Id::Crd02, at),
        "mimikatz" | "invoke-mimikatz" => case.hit(Id::Crd02, at),
        "reg.exe" if all(&["save", "sam"]) => case.hit(Id::Crd02, at),
        _ => {}
    }
}

/// Downloads that are evaluated or started in the same statement or pipeline.
fn downloads(case: &mut Case<'_>, at: (usize, usize), part: &Part<'_>, command: &Command, lower: &[String]) {
    let evaluates = is_iex(&command.name)
        || lower.iter().any(|word| is_iex(word) || word.contains("scriptblock]::create"));
    let standing = |words: &[String]| -> Option<(Standing, bool)> {
        let fetches = words.iter().any(|word| {
            word.contains("downloadstring")
                || word.contains("downloaddata")
                || word.contains("openread")
                || matches!(
                    word.as_str(),
                    "invoke-webrequest" | "iwr" | "invoke-restmethod" | "irm" | "curl" | "wget"
                )
        });
        if !fetches {
            return None;
        }
        let urls: Vec<_> = command.words.iter().flat_map(|word| fetch_urls(&word.text)).collect();
        let open = urls.iter().any(|(_, open)| *open);
        Some((urls.iter().map(|(standing, _)| *standing).max().unwrap_or(Standing::Untrusted), open))
    };
    let trust = case.trust;
    let judged = |found: Option<(Standing, bool)>, command: &Command| {
        found.map(|(worst, open)| {
            let fetch = fetch::Fetch {
                urls: command.words.iter().flat_map(|word| super::hosts::Url::all(&word.text)).collect(),
                ..fetch::Fetch::default()
            };
            (if fetch.urls.is_empty() { worst } else { fetch.standing(trust) }, open || fetch.is_open())
        })
    };
    if evaluates {
        if let Some((standing, open)) = judged(standing(lower), command) {
            case.run_download(Id::Exe02, at, standing, open);
        }
        if lower.iter().any(|word| word.contains("frombase64string")) {
            case.hit(Id::Exe03, at);
        }
    }
    if is_iex(&command.name) {
        for index in command.stdin.iter().flat_map(|span| span.indices().take(4)) {
            let Some(feeding) = part.script.commands.get(index) else { continue };
            let words: Vec<String> =
                feeding.words.iter().map(|word| word.text.to_ascii_lowercase()).collect();
            if let Some((standing, open)) = judged(standing(&words), feeding) {
                case.run_download(Id::Exe01, at, standing, open);
            }
        }
        // `$x = (New-Object Net.WebClient).DownloadString(...)` somewhere before.
        for variable in lower.iter().filter_map(|word| word.strip_prefix('$')) {
            if !part.script.work.take(part.script.commands.len() / 8 + 1) {
                break;
            }
            let assigned = part.script.commands.iter().find(|other| {
                other.unit == command.unit
                    && other.assigns.iter().any(|(name, _)| name.trim_start_matches('$') == variable)
            });
            let Some(assigned) = assigned else { continue };
            let words: Vec<String> =
                assigned.words.iter().map(|word| word.text.to_ascii_lowercase()).collect();
            if let Some((standing, open)) = judged(standing(&words), assigned) {
                case.run_download(Id::Exe02, at, standing, open);
            }
            if words.iter().any(|word| word.contains("frombase64string")) {
                case.hit(Id::Exe03, at);
            }
        }
    }
    let hidden = lower.iter().any(|word| matches!(word.as_str(), "hidden" | "-windowstyle" | "/b"));
    if matches!(command.name.as_str(), "start-process" | "saps" | "start")
        && hidden
        && let Some(run) = case.flow.runs.iter().find(|run| run.at == at)
        && super::exec::is_odd_place(&run.path)
    {
        case.hit(Id::Exe06, at);
    }
    let carried = part
        .script
        .units
        .iter()
        .any(|unit| unit.carrier == Some(at.1 as u32) && unit.kind == UnitKind::Decoded);
    if carried && evaluates {
        case.hit(Id::Exe03, at);
    }
}

fn fetch_urls(text: &str) -> impl Iterator<Item = (Standing, bool)> {
    super::hosts::Url::all(text).map(|url| (Standing::Untrusted, url.scheme == "http"))
}

/// Shells on sockets, in a whole text: they are spread over many statements.
pub(super) fn text(case: &mut Case<'_>, unit: (usize, u32), text: &str) {
    let lower = text.to_ascii_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let socket = any(&["tcpclient", "net.sockets.socket", "tcplistener", "udpclient"]);
    let shell = any(&[
        "iex",
        "invoke-expression",
        "cmd.exe",
        "cmd /c",
        "powershell.exe",
        "scriptblock]::create",
        "start-process",
    ]);
    if socket && shell && any(&["getstream", "receive(", "acceptsocket", "accepttcpclient"]) {
        let at = ["tcpclient", "sockets.socket", "tcplistener", "udpclient"]
            .iter()
            .find_map(|needle| lower.find(needle));
        let shown = at.and_then(|at| text.get(at..at + 9)).unwrap_or("");
        case.hit_near(Id::Net04, unit, &[shown]);
    }
    if any(&["reflection.assembly]::load", "[reflection.assembly]::load"])
        && any(&["frombase64string", "downloaddata"])
    {
        case.hit_near(Id::Exe03, unit, &["FromBase64String", "DownloadData", "ssembly]::"]);
    }
    if any(&["security-credentials"]) {
        case.hit_near(Id::Crd01, unit, &["security-credentials"]);
    }
    if any(&["invoke-mimikatz", "sekurlsa::", "lsass.dmp", "minidump"]) {
        case.hit_near(Id::Crd02, unit, &["imikatz", "sekurlsa", "lsass", "MiniDump"]);
    }
    if any(&["amsiutils", "amsiinitfailed"]) {
        case.hit_near(Id::Def04, unit, &["msiUtils", "msiInitFailed"]);
    }
}
