//! A cryptocurrency miner was started.

use serde_json::json;

use super::commands::{self, Command};
use super::{Context, Detection, Match, Reason, Stage, Verdict, runtime};
use crate::activity::{Action, Activity};
use crate::indicators::programs::{self, Class};
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

/// Options that only miners have.
const OPTIONS: [&str; 7] = [
    "--donate-level",
    "--donate-over-proxy",
    "--randomx-",
    "--rig-id",
    "--cpu-max-threads-hint",
    "--cuda-bfactor",
    "--nicehash",
];

/// Protocols that only miners speak.
const PROTOCOLS: [&str; 3] = ["stratum", "stratum1", "stratum2"];

/// Options that miners take a server behind.
const SERVERS: [&str; 12] = [
    "-o",
    "-O",
    "--url",
    "-url",
    "--pool",
    "-pool",
    "--server",
    "-s",
    "-S",
    "--proxy",
    "--stratum",
    "--host",
];

/// What a program is for that may name a pool, a miner or a miner's option, and does not mine.
const NAMERS: [Class; 18] = [
    Class::Downloader,
    Class::Uploader,
    Class::Printer,
    Class::Searcher,
    Class::Storer,
    Class::Copier,
    Class::Decoder,
    Class::Encryptor,
    Class::Unpacker,
    Class::Verifier,
    Class::Remover,
    Class::Killer,
    Class::ServiceManager,
    Class::PackageManager,
    Class::Connector,
    Class::Scanner,
    Class::Agent,
    Class::Attack,
];
/// What a program is for that may run a miner in its arguments.
const RUNNERS: [Class; 4] = [Class::Interpreter, Class::Carrier, Class::ContainerRuntime, Class::Miner];

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
    let classes = programs::classes(&command.name);
    if classes.has_any(&NAMERS) && !classes.has_any(&RUNNERS) {
        return None;
    }
    let told = command.words.iter().find_map(|word| {
        let word = word.to_ascii_lowercase();
        OPTIONS.into_iter().find(|option| word.starts_with(option))
    });
    if let Some(option) = told {
        return Some(format!("{} was told `{option}`", command.name));
    }
    let mut before = "";
    for word in &command.words {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with('-') => (option, value),
            _ => (before, word.as_str()),
        };
        if let Some(server) = Server::read(value)
            && let Some(why) = server.mined(option)
        {
            return Some(format!("{} was given {why}", command.name));
        }
        before = word;
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

/// A word that is a server and nothing else: `[scheme://][user@]host[:port][/path]`.
struct Server<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Server<'a> {
    fn read(word: &'a str) -> Option<Self> {
        let (scheme, rest) = word.split_once("://").unwrap_or(("", word));
        let authority = rest.split('/').next().filter(|part| !scheme.is_empty() || *part == rest)?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        let named =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte));
        (!host.is_empty() && named(host)).then_some(Self { scheme, host, port })
    }

    /// Why a program that is given this server behind an option mines.
    fn mined(&self, option: &str) -> Option<String> {
        let scheme = self.scheme.to_ascii_lowercase();
        let protocol = scheme.split('+').next().unwrap_or_default();
        let protocol = protocol.strip_suffix('s').filter(|it| PROTOCOLS.contains(it)).unwrap_or(protocol);
        if PROTOCOLS.contains(&protocol) {
            return Some(format!("a server of miners, {scheme}://{}", self.host));
        }
        if !is_mining_pool(self.host) {
            return None;
        }
        // A pool's page in a browser's form is no server of miners, nor is the bare name of one.
        let behind = SERVERS.contains(&option);
        let spoken = matches!(scheme.as_str(), "" | "tcp" | "ssl" | "tls" | "ws" | "wss");
        let told = match self.port {
            Some(_) => spoken || behind,
            None => behind && (spoken || scheme.is_empty()) && option != "-s" && option != "-S",
        };
        told.then(|| format!("the mining pool {}", self.host))
    }
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

    /// Tools that name a pool were critical.
    #[test]
    fn a_program_that_names_a_pool_or_a_miner_does_not_mine() {
        for (binary, arguments) in [
            ("/usr/sbin/tcpdump", "-i eth0 host pool.minexmr.com and port 3333"),
            ("/usr/bin/tshark", "-Y 'dns.qry.name == pool.minexmr.com'"),
            ("/usr/bin/ngrep", "-d any stratum+tcp port 3333"),
            ("/usr/bin/psql", "-c \"insert into blocked values ('pool.minexmr.com:3333')\""),
            ("/usr/bin/logger", "blocked pool.minexmr.com:3333"),
            ("/usr/bin/osqueryi", "\"select * from processes where name = 'xmrig'\""),
            ("/usr/bin/whois", "minexmr.com"),
            ("/usr/bin/nmap", "-p 3333 pool.minexmr.com"),
            ("/usr/bin/redis-cli", "sadd pools pool.minexmr.com:3333"),
            ("/usr/sbin/ipset", "add pools pool.minexmr.com"),
            ("/usr/bin/pytest", "tests/test_pools.py -k xmrig"),
            ("/usr/sbin/iptables", "-A OUTPUT -d pool.minexmr.com -j DROP"),
            ("/opt/blocker", "--deny=pool.minexmr.com,xmr.nanopool.org"),
            ("/opt/report", "https://nanopool.org/account/x"),
        ] {
            passed(judged(binary, arguments));
        }
    }

    /// A miner that deleted its file, or never had one, was not seen.
    #[test]
    fn a_miner_without_a_file_fires() {
        for binary in ["/tmp/xmrig (deleted)", "/memfd:xmrig (deleted)", "memfd:xmrig", "/tmp/xmrig\0"] {
            matched(judged(binary, ""));
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
