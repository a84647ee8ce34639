//! The name of a mining pool was looked up.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, evidence, network, runtime};
use crate::activity::{Action, Activity};
use crate::indicators::is_mining_pool;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "mining-pool-dns",
    title: "Name of a mining pool looked up",
    severity: Severity::High,
    score: 70,
    source: "Chronicle: cryptocurrency mining on cloud instances, DNS branch",
    approval: false,
    stage: Stage::Event,
    judge,
};

/// Answers that are shown.
const ANSWERS: usize = 10;

fn judge(activity: &Activity, _: &Context<'_>) -> Verdict {
    let Action::NameResolved(resolution) = &activity.action else {
        return Verdict::NotApplicable("no name was looked up".into());
    };
    let name = resolution.name.as_str();
    if name.is_empty() {
        return Verdict::CannotTell(Reason::new(
            "name-not-given",
            "The event does not say which name was looked up.",
        ));
    }
    if !is_mining_pool(name) {
        return Verdict::Pass(format!("{name} is no mining pool that is known").into());
    }
    let browser = resolution.process.as_deref().is_some_and(network::is_browser);
    let by = match resolution.process.as_deref() {
        Some(process) => format!(" by {}", network::name(process)),
        None => String::new(),
    };
    let answers: Vec<_> = resolution.answers.iter().take(ANSWERS).collect();
    let mut seen = evidence([
        ("name", json!(name)),
        ("answers", if answers.is_empty() { json!(null) } else { json!(answers) }),
        ("process", json!(resolution.process)),
    ]);
    seen.extend(runtime::seen(&resolution.place));
    Verdict::matched(Match {
        subject: runtime::subject(&resolution.place),
        // Somebody looks at a pool's page.
        severity: browser.then_some(Severity::Low),
        summary: format!(
            "{name}, a mining pool, was looked up in {}{by}.",
            runtime::place(&resolution.place)
        ),
        evidence: seen,
        next_steps: vec![
            runtime::look(activity, &resolution.place),
            runtime::isolate(),
            NextStep::new(
                "Block the name at the resolver, with Route 53 Resolver DNS Firewall for one.",
                None,
            ),
        ],
        not_inspected: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Resolution;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(name: &str, process: Option<&str>) -> Verdict {
        let resolution = Resolution {
            place: pod("team/app"),
            name: name.to_owned(),
            process: process.map(str::to_owned),
            ..Resolution::default()
        };
        let event = ran(Action::NameResolved(resolution));
        Given::none().judge(&DETECTION, &event, &Policy::default())
    }

    /// Validation test 2, and the names of the published rule.
    #[test]
    fn pools_and_their_subdomains_fire() {
        for name in [
            "pool.minexmr.com",
            "supportxmr.com",
            "xmr-eu1.nanopool.org",
            "f2pool.com",
            "antpool.com",
            "pool.minergate.com",
            "xmrpool.eu",
            "hashvault.pro",
            "gulf.moneroocean.stream",
            "xmr.pool",
        ] {
            let found = matched(judged(name, Some("/usr/bin/curl")));
            assert_eq!(found.severity, None);
            assert!(found.summary.contains(name) && found.summary.contains("curl"), "{}", found.summary);
        }
    }

    /// The published rule compares substrings.
    #[test]
    fn a_name_that_only_holds_a_pools_does_not_fire() {
        for name in ["notminexmr.com", "nanopool.org.example.com", "minexmr.com-cdn.example.net", "com"] {
            passed(judged(name, None));
        }
    }

    #[test]
    fn a_browser_is_low() {
        assert_eq!(
            matched(judged("www.nicehash.com", Some("/opt/google/chrome/chrome"))).severity,
            Some(Severity::Low)
        );
    }

    #[test]
    fn a_query_without_a_name_cannot_be_told() {
        assert_eq!(cannot_tell(judged("", None)).code, "name-not-given");
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
    }
}
