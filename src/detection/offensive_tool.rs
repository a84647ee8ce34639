//! A tool for attack was started in a container.

use std::sync::LazyLock;

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Verdict, commands, runtime};
use crate::activity::{Action, Activity, Process};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "offensive-tool",
    title: "Offensive tool started in a container",
    severity: Severity::High,
    score: 48,
    source: "Splunk: Cisco Isovalent - Pods Running Offensive Tools",
    approval: false,
    stage: Stage::Event,
    judge,
};

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| read(include_str!("data/offensive-tools.txt")));

/// A tool by name, or by what its name begins with.
struct Tool {
    pattern: &'static str,
    /// The name alone says enough.
    certain: bool,
}

fn read(list: &'static str) -> Vec<Tool> {
    crate::indicators::entries(list)
        .filter_map(|line| {
            let (confidence, pattern) = line.split_once(' ')?;
            let certain = match confidence {
                "high" => true,
                "low" => false,
                _ => return None,
            };
            Some(Tool { pattern, certain })
        })
        .collect()
}

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let Action::ProcessStarted(process) = &activity.action else {
        return other("no program was started");
    };
    if !process.place.is_container() {
        return other("not in a container");
    }
    if process.binary.is_empty() && process.arguments.is_empty() {
        return Verdict::CannotTell(super::Reason::new(
            "program-not-named",
            "The event does not name the program that was started.",
        ));
    }
    let commands = commands::of(process);
    if let Some(how) = entered(process).filter(|_| !process.probe) {
        return enters_host(activity, process, &how);
    }
    let found = commands
        .iter()
        .flat_map(commands::Command::programs)
        .filter_map(tool)
        .max_by_key(|(_, tool)| tool.certain);
    let Some((name, tool)) = found else {
        return Verdict::Pass(format!("{} is no listed tool", process.name()).into());
    };
    if process.probe && !tool.certain {
        return other("a probe by the kubelet");
    }
    let doubt = if tool.certain { "" } else { " The name alone says little." };
    let mut evidence = runtime::seen_process(process);
    evidence.insert("tool".to_owned(), json!(name));
    evidence.insert("confidence".to_owned(), json!(if tool.certain { "high" } else { "low" }));
    Verdict::matched(Match {
        subject: runtime::subject(&process.place),
        severity: (!tool.certain).then_some(Severity::Low),
        summary: format!("{name} was started in {}.{doubt}", runtime::place(&process.place)),
        evidence,
        next_steps: vec![
            runtime::look(activity, &process.place),
            runtime::isolate(),
            NextStep::new("If it is an agreed test, suppress it for its days, with the reason.", None),
        ],
        not_inspected: Vec::new(),
    })
}

/// How a container's process steps into the machine that it runs on: into the namespaces of its first process, or
/// into its file system where that is mounted. Either works in a privileged pod only.
fn entered(process: &Process) -> Option<String> {
    // The reader of commands leaves out what only starts another program: the line itself tells it. Of a shell's
    // line, what stands behind such a program's name.
    let quotes = |it: char| matches!(it, '"' | '\'' | ';' | '&' | '|' | '(' | ')');
    let words = process.arguments.split_ascii_whitespace().take(MOST_WORDS);
    let words = words.map(|word| word.trim_matches(quotes));
    let line: Vec<&str> = std::iter::once(process.binary.as_str()).chain(words).collect();
    let shell = ["sh", "bash", "dash", "ash", "zsh", "busybox"].contains(&process.name().as_str());
    let starts = if shell { line.len() } else { 1 };
    (0..starts).find_map(|at| {
        let (first, words) = line.get(at..)?.split_first()?;
        let name = crate::activity::program(first);
        let enters = match name.as_str() {
            "nsenter" => {
                let option = |pair: &[&str]| matches!(pair, ["-t" | "--target", "1"]);
                words.windows(2).any(option) || words.iter().any(|it| ["-t1", "--target=1"].contains(it))
            }
            "chroot" => words.iter().find(|word| !word.starts_with('-')).is_some_and(|root| is_host(root)),
            _ => false,
        };
        enters.then_some(name)
    })
}

/// Whether a folder is where the file system of the machine is mounted, or lies below.
fn is_host(folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    HOST_ROOTS.iter().any(|host| folder.strip_prefix(host).is_some_and(below))
}

/// Words of a command line that are looked at.
const MOST_WORDS: usize = 64;
/// Where pods mount the file system of their machine.
const HOST_ROOTS: [&str; 7] =
    ["/host", "/hostfs", "/rootfs", "/host-root", "/node", "/mnt/host", "/proc/1/root"];

fn enters_host(activity: &Activity, process: &Process, how: &str) -> Verdict {
    // The cluster's own add-ons set up their machines this way.
    let system = process.place.namespace.as_deref() == Some("kube-system");
    let mut evidence = runtime::seen_process(process);
    evidence.insert("tool".to_owned(), json!(how));
    evidence.insert("enters_host".to_owned(), json!(true));
    Verdict::matched(Match {
        subject: runtime::subject(&process.place),
        severity: system.then_some(Severity::Low),
        summary: format!(
            "{how} stepped out of {} into the machine that it runs on.",
            runtime::place(&process.place)
        ),
        evidence,
        next_steps: vec![
            runtime::look(activity, &process.place),
            runtime::isolate(),
            NextStep::new("Take the machine for compromised: drain it, keep its disk, and replace it.", None),
        ],
        not_inspected: Vec::new(),
    })
}

/// The listed tool that a program is, whatever its extension says it is written in.
fn tool(program: &str) -> Option<(String, &'static Tool)> {
    let name = program.trim_start_matches('.').to_ascii_lowercase();
    let stem = [".py", ".sh", ".pl", ".rb", ".ps1", ".exe", ".elf", ".bin"]
        .iter()
        .find_map(|extension| name.strip_suffix(extension))
        .unwrap_or(&name);
    let tool = TOOLS.iter().find(|tool| crate::policy::like(tool.pattern, stem))?;
    Some((stem.to_owned(), tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Subject;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(process: Process) -> Verdict {
        Given::none().judge(&DETECTION, &executed(process), &Policy::default())
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        let text = include_str!("data/offensive-tools.txt");
        assert_eq!(TOOLS.len(), crate::indicators::entries(text).count());
        assert!(text.contains("# Source: ") && text.contains("# Date: 20"));
        let mut names: Vec<&str> = TOOLS.iter().map(|tool| tool.pattern).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len(), "a name stands twice");
    }

    #[test]
    fn stepping_from_a_container_into_its_machine_is_told() {
        for (binary, arguments) in [
            ("/usr/bin/nsenter", "-t 1 -m -u -i -n sh"),
            ("/usr/bin/nsenter", "--target=1 --mount -- bash"),
            ("/bin/sh", "-c \"nsenter --target 1 --mount sh\""),
            ("/usr/sbin/chroot", "/host /bin/bash"),
            ("/usr/sbin/chroot", "/proc/1/root sh"),
        ] {
            assert_eq!(matched(judged(process(binary, arguments))).severity, None, "{binary} {arguments}");
        }
        for (binary, arguments) in [
            ("/usr/bin/nsenter", "-t 1234 -n ip a"),
            ("/usr/sbin/chroot", "/srv/build sh"),
            ("/usr/sbin/chroot", "/hostile sh"),
            ("/bin/echo", "nsenter -t 1"),
        ] {
            passed(judged(process(binary, arguments)));
        }
    }

    #[test]
    fn tools_fire_by_name_script_and_shell() {
        for (binary, arguments) in [
            ("/usr/bin/nmap", "-sS 10.0.0.0/8"),
            ("/usr/bin/python3", "/opt/impacket/secretsdump.py admin@10.0.0.1"),
            ("/bin/sh", "/tmp/linpeas.sh"),
            ("/bin/sh", "-c \"cd /tmp && ./pspy64 -pf\""),
            ("/usr/bin/timeout", "60 masscan -p1-65535 10.0.0.0/8"),
            ("/tmp/.Mimikatz.exe", ""),
        ] {
            let found = matched(judged(process(binary, arguments)));
            assert_eq!(found.severity, None, "{binary} {arguments}");
            assert_eq!(found.subject, Subject::Runtime { place: "web/web-1".to_owned() });
        }
    }

    /// The published list compares `impacket-` exactly, so that it never fires, and lacks what its text
    /// promises.
    #[test]
    fn what_the_published_rule_misses_fires() {
        for name in ["impacket-secretsdump", "kube-hunter", "peirates"] {
            matched(judged(process(&format!("/usr/local/bin/{name}"), "")));
        }
    }

    /// `nc` in a health check was the published rule's noise.
    #[test]
    fn everyday_names_are_low() {
        for name in ["nc", "les", "john", "persistence", "smbclient"] {
            let found = matched(judged(process(&format!("/usr/bin/{name}"), "")));
            assert_eq!(found.severity, Some(Severity::Low), "{name}");
        }
        let mut probe = process("/bin/nc", "-z localhost 80");
        probe.probe = true;
        not_applicable(judged(probe));
    }

    #[test]
    fn a_probe_hides_no_certain_tool() {
        let mut probe = process("/usr/bin/nmap", "localhost");
        probe.probe = true;
        matched(judged(probe));
    }

    #[test]
    fn other_programs_and_places_do_not_fire() {
        for binary in ["/usr/bin/ncdu", "/usr/bin/less", "/bin/johnny", "/app/nmapper", "/usr/bin/impacket"] {
            passed(judged(process(binary, "")));
        }
        passed(judged(process("/usr/bin/grep", "nmap /etc/passwd")));
        let host = Process { place: crate::activity::Place::default(), ..process("/usr/bin/nmap", "") };
        not_applicable(judged(host));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }

    #[test]
    fn a_process_without_a_name_cannot_be_told() {
        assert_eq!(cannot_tell(judged(process("", ""))).code, "program-not-named");
    }

    #[test]
    fn secrets_on_the_line_are_not_shown() {
        let found = matched(judged(process("/usr/bin/hydra", "--password hunter2 ssh://10.0.0.1")));
        assert!(!serde_json::to_string(&found.evidence).unwrap().contains("hunter2"));
    }
}
