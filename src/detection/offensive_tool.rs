//! A tool for attack was started in a container.

use std::sync::LazyLock;

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Verdict, commands, runtime};
use crate::activity::{Action, Activity};
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
    use crate::activity::Process;
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
