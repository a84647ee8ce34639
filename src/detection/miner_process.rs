//! A cryptocurrency miner was started.

use serde_json::json;

use super::commands::{self, Command};
use super::{Context, Detection, Match, Reason, Stage, Verdict, runtime};
use crate::activity::{Action, Activity};
use crate::indicators::{is_miner, is_mining_pool};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "miner-process",
    title: "Cryptocurrency miner started",
    severity: Severity::Critical,
    score: 90,
    source: "Chronicle: cryptocurrency mining on cloud instances, process branch",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// What only a miner is told.
const OPTIONS: [&str; 12] = [
    "--donate-level",
    "--donate-over-proxy",
    "--randomx-",
    "--rig-id",
    "--cpu-max-threads-hint",
    "--cuda-bfactor",
    "--nicehash",
    "stratum+",
    "stratum1+",
    "stratum2+",
    "stratum://",
    "stratums://",
];

/// Programs that reach a pool's host without mining: see `mining-pool-connection`.
const FETCHERS: [&str; 22] = [
    "curl",
    "wget",
    "fetch",
    "aria2c",
    "axel",
    "http",
    "https",
    "dig",
    "nslookup",
    "host",
    "drill",
    "getent",
    "ping",
    "ping6",
    "traceroute",
    "tracepath",
    "mtr",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "openssl",
];

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
    let Some(why) = commands::of(process).iter().find_map(mines) else {
        return Verdict::Pass(format!("{} does not mine", process.name()).into());
    };
    let mut evidence = runtime::seen_process(process);
    evidence.insert("why".to_owned(), json!(why));
    Verdict::matched(Match {
        subject: runtime::subject(&process.place),
        severity: None,
        summary: format!("A miner was started in {}: {why}.", runtime::place(&process.place)),
        evidence,
        next_steps: vec![runtime::isolate(), runtime::look(activity, &process.place)],
        not_inspected: Vec::new(),
    })
}

/// By what a command is told to mine.
fn mines(command: &Command) -> Option<String> {
    if let Some(program) = command.programs().find(|program| is_miner(program)) {
        return Some(format!("the program is {program}"));
    }
    if command.only_looks() {
        return None;
    }
    let runs = |word: &String| matches!(word.as_str(), "run" | "create" | "start");
    if matches!(command.name.as_str(), "docker" | "podman" | "nerdctl" | "ctr" | "crictl")
        && command.words.iter().any(runs)
        && let Some(image) = command.words.iter().find(|word| names_miner(word))
    {
        return Some(format!("it runs the image {image}"));
    }
    if FETCHERS.contains(&command.name.as_str()) {
        return None;
    }
    let told = command.words.iter().find_map(|word| {
        let word = word.to_ascii_lowercase();
        OPTIONS.into_iter().find(|option| word.contains(option))
    });
    if let Some(option) = told {
        return Some(format!("{} was told `{option}`", command.name));
    }
    let pool = command.words.iter().flat_map(|word| hosts(word)).find(|host| is_mining_pool(host));
    if let Some(host) = pool {
        return Some(format!("{} was given the mining pool {host}", command.name));
    }
    let mut pairs = command.words.windows(2);
    pairs.any(|pair| matches!(pair, [option, value] if option == "-o" && is_pool_like(value))).then(|| {
        format!("{} was given a server whose name begins with `pool.` and that a port follows", command.name)
    })
}

/// `-o pool.example.com:3333`: compilers and their like write files of any name, but not with a port.
fn is_pool_like(value: &str) -> bool {
    value.starts_with("pool.")
        && value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn names_miner(image: &str) -> bool {
    image.contains(['/', ':']) && image.split(['/', ':', '@']).any(is_miner) || is_miner(image)
}

/// The texts in a word that may be hosts.
fn hosts(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        .map(|part| part.trim_matches(['.', '-']))
        .filter(|part| part.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Subject;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(binary: &str, arguments: &str) -> Verdict {
        Given::none().judge(&DETECTION, &executed(process(binary, arguments)), &Policy::default())
    }

    /// Validation test 1.
    #[test]
    fn a_container_running_xmrig_fires() {
        let found = matched(judged("/usr/local/bin/xmrig", "-o pool.minexmr.com:3333 -u 4AbC -p x"));
        assert_eq!(found.severity, None);
        assert_eq!(DETECTION.severity, Severity::Critical);
        assert_eq!(found.subject, Subject::Runtime { place: "web/web-1".to_owned() });
        assert!(found.summary.contains("xmrig"), "{}", found.summary);
    }

    #[test]
    fn miners_by_other_names_are_told_by_what_they_are_told() {
        for (binary, arguments) in [
            ("/tmp/kworker", "-o gulf.moneroocean.stream:10128 -u 4A"),
            ("/tmp/x", "--url=stratum+tcp://192.0.2.1:3333"),
            ("/tmp/x", "stratum+ssl://192.0.2.1:443"),
            ("/tmp/x", "--donate-level 1"),
            ("/tmp/x", "-o pool.example.com:3333"),
            ("/bin/sh", "-c \"pkill xmrig; nohup ./xmrig -B &\""),
            ("/bin/sh", "-c cd /tmp; ./minerd"),
            ("/usr/bin/sudo", "nice -n 19 /opt/XMRig-6.21.0"),
            ("/usr/bin/docker", "run -d xmrig/xmrig:latest"),
            ("C:\\Temp\\lolMiner.exe", ""),
        ] {
            matched(judged(binary, arguments));
        }
    }

    #[test]
    fn killing_or_looking_for_a_miner_is_not_mining() {
        for (binary, arguments) in [
            ("/usr/bin/pkill", "-f xmrig"),
            ("/usr/bin/killall", "minerd"),
            ("/bin/grep", "-r stratum+tcp:// /var"),
            ("/bin/ps", "-C xmrig"),
            ("/bin/rm", "-rf /tmp/xmrig"),
            ("/usr/bin/apt", "remove -y xmrig"),
            ("/usr/bin/docker", "rm -f xmrig"),
            ("/bin/sh", "-c \"ps aux | grep xmrig | awk '{print $2}' | xargs kill -9\""),
            ("/bin/sh", "-c \"echo '127.0.0.1 pool.minexmr.com' >> /etc/hosts\""),
            ("/usr/bin/systemctl", "stop xmrig"),
        ] {
            passed(judged(binary, arguments));
        }
    }

    /// Validation test 2 is `curl`: a connection and a name, not a miner.
    #[test]
    fn reaching_a_pool_is_not_mining() {
        for (binary, arguments) in [
            ("/usr/bin/curl", "pool.minexmr.com:3333"),
            ("/usr/bin/dig", "pool.minexmr.com"),
            ("/usr/bin/gcc", "-o pool.o pool.c"),
            ("/usr/bin/gcc", "-o pool.test main.c"),
            ("/app/server", "--listen 0.0.0.0:3333"),
            ("/usr/bin/trexcel", ""),
        ] {
            passed(judged(binary, arguments));
        }
    }

    #[test]
    fn hosts_are_judged_too_and_probes_hide_nothing() {
        let mut host = process("/tmp/xmrig", "");
        host.place = crate::activity::Place { instance: Some(INSTANCE.to_owned()), ..Default::default() };
        host.probe = true;
        let found = matched(Given::none().judge(&DETECTION, &executed(host), &Policy::default()));
        assert_eq!(found.subject, Subject::Runtime { place: INSTANCE.to_owned() });
        let command = found.next_steps.iter().find_map(|step| step.command.as_deref());
        assert!(command.is_some_and(|command| command.contains(INSTANCE)));
    }

    #[test]
    fn a_process_without_a_name_cannot_be_told() {
        assert_eq!(cannot_tell(judged("", "")).code, "program-not-named");
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
