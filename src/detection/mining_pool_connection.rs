//! A connection was made, or tried, to a mining pool, or to a port that pools listen on.

use std::sync::LazyLock;

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Verdict, network, runtime};
use crate::activity::{Action, Activity, Connection};
use crate::indicators::{entries, is_miner, is_mining_pool};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "mining-pool-connection",
    title: "Connection to a mining pool",
    severity: Severity::High,
    score: 70,
    source: "Chronicle: cryptocurrency mining on cloud instances, network branch; DET0248 AN0691, AN0692",
    approval: false,
    stage: Stage::Event,
    judge,
};

static PORTS: LazyLock<Vec<u16>> = LazyLock::new(|| {
    entries(include_str!("data/mining-ports.txt")).filter_map(|port| port.parse().ok()).collect()
});

/// What, told of the same place, makes a port weighty: signs of mining, and of an image that nobody
/// knows or that runs what it should not.
const COMPANY: [&str; 14] = [
    "miner-process",
    "mining-pool-dns",
    "offensive-tool",
    "container-first-activity",
    "container-image-lookalike",
    "container-image-newly-seen",
    "container-image-not-approved",
    "first-boot-activity",
    "guardduty-malicious-image",
    "machine-image-laundered",
    "machine-image-name-confusion",
    "machine-image-newly-seen",
    "machine-image-not-approved",
    "user-data-suspicious",
];

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let Action::Connected(connection) = &activity.action else {
        return other("no connection was made");
    };
    if connection.process.as_deref().is_some_and(network::is_browser) {
        return other("a browser: somebody is looking at a page");
    }
    if !network::is_public(connection.destination) {
        return other("the destination is not on the Internet");
    }
    let port = connection.port;
    let to =
        format!("{}:{port}", connection.domain.as_deref().unwrap_or(&connection.destination.to_string()));
    if connection.domain.as_deref().is_some_and(is_mining_pool) {
        return found(activity, connection, None, format!("{to} is a mining pool"));
    }
    let miner = connection.process.as_deref().map(network::name).filter(|name| is_miner(name));
    if let Some(miner) = miner {
        return found(activity, connection, None, format!("the miner {miner} connects to {to}"));
    }
    let stream = connection.protocol.as_deref().is_none_or(|protocol| protocol.eq_ignore_ascii_case("tcp"));
    if !PORTS.contains(&port) || !stream {
        return Verdict::Pass(format!("{to} is no mining pool that is known").into());
    }
    let containers = &context.policy.containers;
    let span =
        if connection.place.is_container() { containers.window } else { context.policy.first_boot_window };
    let company: Vec<&str> = runtime::company(activity, context, &connection.place, span.delta())
        .into_iter()
        .filter(|id| COMPANY.contains(id))
        .collect();
    if company.is_empty() {
        let why = format!("mining pools listen on port {port}, which alone says little of {to}");
        return found(activity, connection, Some(Severity::Low), why);
    }
    let why = format!(
        "mining pools listen on port {port} of {to}, and the same place was told of for {}",
        company.join(", ")
    );
    found(activity, connection, None, why)
}

fn found(activity: &Activity, connection: &Connection, severity: Option<Severity>, why: String) -> Verdict {
    let verb = if connection.rejected { "was kept from connecting" } else { "connected" };
    let mut evidence = super::evidence([
        ("destination", json!(connection.destination)),
        ("port", json!(connection.port)),
        ("domain", json!(connection.domain)),
        ("protocol", json!(connection.protocol)),
        ("process", json!(connection.process)),
        ("rejected", if connection.rejected { json!(true) } else { json!(null) }),
    ]);
    evidence.extend(runtime::seen(&connection.place));
    Verdict::matched(Match {
        subject: runtime::subject(&connection.place),
        severity,
        summary: format!(
            "{} {verb} to {}: {why}.",
            capital(&runtime::place(&connection.place)),
            connection.destination
        ),
        evidence,
        next_steps: vec![
            runtime::look(activity, &connection.place),
            runtime::isolate(),
            NextStep::new("See what else went to the same address, from here and from elsewhere.", None),
        ],
        not_inspected: Vec::new(),
    })
}

fn capital(text: &str) -> String {
    text.strip_prefix('t').map_or_else(|| text.to_owned(), |rest| format!("T{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::history::{Kind, Memory, Record, Trace};
    use crate::policy::Policy;

    fn judged(connection: Connection) -> Verdict {
        Given::none().judge(&DETECTION, &connected(connection), &Policy::default())
    }

    #[test]
    fn every_port_of_the_list_is_read() {
        assert_eq!(PORTS.len(), entries(include_str!("data/mining-ports.txt")).count());
    }

    /// Validation test 2.
    #[test]
    fn a_pool_by_name_fires_whatever_the_port_and_program() {
        for port in [3333, 443] {
            let connection = Connection {
                domain: Some("pool.minexmr.com".to_owned()),
                process: Some("/usr/bin/curl".to_owned()),
                ..connection("198.51.100.7", port)
            };
            assert_eq!(matched(judged(connection)).severity, None);
        }
    }

    #[test]
    fn a_port_alone_is_low() {
        for port in [3333, 3334, 4444, 4445, 14444, 45560, 5555, 8333, 7777, 9999, 13333, 19999] {
            assert_eq!(matched(judged(connection("198.51.100.7", port))).severity, Some(Severity::Low));
        }
        passed(judged(connection("198.51.100.7", 443)));
        let udp = Connection { protocol: Some("udp".to_owned()), ..connection("198.51.100.7", 3333) };
        passed(judged(udp));
    }

    #[test]
    fn a_miner_makes_any_port_high() {
        let connection =
            Connection { process: Some("/tmp/xmrig".to_owned()), ..connection("198.51.100.7", 443) };
        assert_eq!(matched(judged(connection)).severity, None);
    }

    /// Validation test 3 connects to its own loopback: that is the chain's to tell.
    #[test]
    fn what_stays_near_does_not_fire() {
        for near in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "fd00::1"] {
            not_applicable(judged(connection(near, 3333)));
        }
    }

    #[test]
    fn browsers_do_not_fire() {
        let connection = Connection {
            process: Some("/usr/lib/firefox/firefox".to_owned()),
            domain: Some("www.nicehash.com".to_owned()),
            ..connection("198.51.100.7", 443)
        };
        not_applicable(judged(connection));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }

    #[test]
    fn a_refused_connection_is_told_as_such() {
        let connection = Connection { rejected: true, ..connection("198.51.100.7", 3333) };
        assert!(matched(judged(connection)).summary.contains("kept from"));
    }

    fn with_company(detection: &str, time: &str) -> Option<Severity> {
        let event = connected(connection("198.51.100.7", 3333));
        let keys = crate::history::trail::keys(&event);
        let key = keys.iter().find(|key| key.kind == Kind::Container).expect("a container's record").clone();
        let mut record = Record::new(key);
        record.touch(event.time);
        record.add(Trace {
            time: at(time),
            label: crate::history::trail::label::MATCH.to_owned(),
            source: "event-0".to_owned(),
            detail: detection.to_owned(),
            place: String::new(),
            score: 0,
        });
        let memory = Memory::new(&keys, vec![record], event.time);
        let (policy, facts) = (Policy::default(), crate::lookup::Facts::default());
        let context = Context { policy: &policy, facts: &facts, memory: &memory, matches: &[] };
        matched(judge(&event, &context)).severity
    }

    #[test]
    fn company_makes_a_port_high() {
        assert_eq!(with_company("mining-pool-dns", "2026-05-13T11:55:00Z"), None);
        // Events arrive in any order.
        assert_eq!(with_company("container-image-newly-seen", "2026-05-13T12:05:00Z"), None);
        let low = Some(Severity::Low);
        assert_eq!(with_company("mining-pool-dns", "2026-05-13T11:30:00Z"), low);
        assert_eq!(with_company("blocked-destination", "2026-05-13T11:55:00Z"), low);
    }
}
