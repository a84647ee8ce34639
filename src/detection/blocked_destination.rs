//! A container contacted a network that the policy forbids.

use serde_json::json;

use super::{Context, Detection, Match, NextStep, Reason, Stage, Verdict, evidence, runtime};
use crate::activity::{Action, Activity};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "blocked-destination",
    title: "Container contacted a forbidden network",
    severity: Severity::Medium,
    score: 50,
    source: "DET0248 AN0691 OutboundCIDRBlockList",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let blocked = &context.policy.containers.blocked_destinations;
    if blocked.is_empty() {
        return other("the policy forbids no network");
    }
    let Action::Connected(connection) = &activity.action else {
        return other("no connection was made");
    };
    let place = &connection.place;
    // A flow log knows the interface, and nothing of what runs behind it.
    let flow = connection.process.is_none() && !place.is_container();
    if !place.is_container() && !flow {
        return other("not from a container");
    }
    let Some(network) = blocked.iter().find(|network| network.contains(connection.destination)) else {
        return Verdict::Pass(format!("{} is in no forbidden network", connection.destination).into());
    };
    let not_inspected = flow.then(|| {
        Reason::new(
            "source-not-told-apart",
            "The log names the network interface only: whether a container made the connection is not known.",
        )
    });
    let verb = if connection.rejected { "was kept from contacting" } else { "contacted" };
    let mut seen = evidence([
        ("destination", json!(connection.destination)),
        ("port", json!(connection.port)),
        ("network", json!(network.to_string())),
        ("domain", json!(connection.domain)),
        ("process", json!(connection.process)),
        ("rejected", if connection.rejected { json!(true) } else { json!(null) }),
    ]);
    seen.extend(runtime::seen(place));
    Verdict::matched(Match {
        subject: runtime::subject(place),
        severity: None,
        summary: format!(
            "Out of {}, something {verb} {}:{}, which lies in the forbidden network {network}.",
            runtime::place(place),
            connection.destination,
            connection.port
        ),
        evidence: seen,
        next_steps: vec![
            runtime::look(activity, place),
            runtime::isolate(),
            NextStep::new(
                "Refuse the network in a security group's or a network policy's egress rules.",
                None,
            ),
        ],
        not_inspected: not_inspected.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Connection, Place};
    use crate::detection::testing::*;

    const BLOCKED: &str =
        "containers: {blocked_destinations: [198.51.100.0/25, \"2001:db8:1::/48\", 10.9.9.9]}";

    fn judged(connection: Connection) -> Verdict {
        Given::none().judge(&DETECTION, &connected(connection), &policy(BLOCKED))
    }

    #[test]
    fn a_forbidden_network_fires_to_its_last_address() {
        for address in
            ["198.51.100.0", "198.51.100.127", "::ffff:198.51.100.7", "2001:db8:1:ffff::1", "10.9.9.9"]
        {
            let found = matched(judged(connection(address, 443)));
            assert!(found.not_inspected.is_empty());
            assert_eq!(found.severity, None);
        }
    }

    #[test]
    fn the_next_address_passes() {
        for address in ["198.51.100.128", "198.51.99.255", "2001:db8:2::1", "10.9.9.8", "::1"] {
            passed(judged(connection(address, 443)));
        }
    }

    #[test]
    fn a_flow_log_fires_and_says_what_it_does_not_know() {
        let place = Place { network_interface: Some("eni-0123456789abcdef0".to_owned()), ..Place::default() };
        let flow = Connection { place, process: None, rejected: true, ..connection("198.51.100.7", 443) };
        let found = matched(judged(flow));
        assert_eq!(found.not_inspected[0].code, "source-not-told-apart");
        assert!(found.summary.contains("kept from"), "{}", found.summary);
    }

    #[test]
    fn hosts_and_empty_lists_do_not_fire() {
        let host = Connection { place: Place::default(), ..connection("198.51.100.7", 443) };
        not_applicable(judged(host));
        let event = connected(connection("198.51.100.7", 443));
        not_applicable(Given::none().judge(&DETECTION, &event, &policy("{}")));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &policy(BLOCKED)));
    }
}
