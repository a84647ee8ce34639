//! A container reached out to somewhere it never did before.

use serde_json::json;

use super::{Context, Detection, Match, Reason, Stage, Verdict, evidence, runtime};
use crate::activity::{Action, Activity};
use crate::history::sight;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "new-destination",
    title: "Container reached out to a new destination",
    severity: Severity::Medium,
    score: 30,
    source: "DET0248 AN0691: new egress from the container",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let (place, port, process) = match &activity.action {
        Action::Connected(connection) => (&connection.place, Some(connection.port), &connection.process),
        Action::NameResolved(resolution) => (&resolution.place, None, &resolution.process),
        _ => return Verdict::NotApplicable("nothing reached out".into()),
    };
    let Some(destination) = sight::destination(activity) else {
        return Verdict::NotApplicable("not from a container to the Internet, or kept from leaving".into());
    };
    let what = format!("{} from this workload", destination.name);
    if let Some(verdict) = context.memory.familiarity(activity, &destination.sighting).untold(&what) {
        return verdict;
    }
    let mut seen = evidence([
        ("destination", json!(destination.name)),
        (
            "address",
            match &activity.action {
                Action::Connected(connection) => json!(connection.destination),
                _ => json!(null),
            },
        ),
        ("port", json!(port)),
        ("process", json!(process)),
    ]);
    seen.extend(runtime::seen(place).into_iter().filter(|(key, _)| key != "address"));
    let unnamed = place.workload.is_none().then(|| {
        Reason::new(
            "workload-not-named",
            "The log does not name the workload: what counts as new is judged by the container's image or the container \
             alone.",
        )
    });
    Verdict::matched(Match {
        subject: runtime::subject(place),
        severity: None,
        summary: format!(
            "Out of {}, something reached {}, where this workload has never gone before.",
            runtime::place(place),
            destination.name
        ),
        evidence: seen,
        next_steps: vec![runtime::look(activity, place), runtime::isolate()],
        not_inspected: unnamed.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Connection, Place};
    use crate::detection::testing::*;
    use crate::lookup::Facts;
    use crate::policy::Policy;

    fn judged(event: &Activity, story: &Story) -> Verdict {
        story.judge(&DETECTION, event, &Policy::default(), &Facts::default())
    }

    fn to(address: &str, workload: &str, pod: &str) -> Activity {
        let connection = connection(address, 443);
        let place = Place {
            workload: Some(workload.to_owned()),
            pod: Some(pod.to_owned()),
            ..connection.place.clone()
        };
        connected(Connection { place, ..connection })
    }

    #[test]
    fn a_network_is_new_once_for_each_workload() {
        let mut story = Story::watched();
        let found = matched(judged(&to("198.51.100.7", "web", "web-1"), &story));
        assert_eq!(found.evidence["destination"], "198.51.100.0/24");
        assert!(found.not_inspected.is_empty());
        story.tell(&to("198.51.100.7", "web", "web-1"));
        passed(judged(&later("event-2", 1, to("198.51.100.9", "web", "web-2")), &story));
        matched(judged(&later("event-2", 1, to("203.0.113.9", "web", "web-2")), &story));
        matched(judged(&later("event-2", 1, to("198.51.100.7", "batch", "batch-1")), &story));
    }

    #[test]
    fn a_name_counts_before_its_address() {
        let mut event = to("198.51.100.7", "web", "web-1");
        if let Action::Connected(connection) = &mut event.action {
            connection.domain = Some("cdn-7.example.com".to_owned());
        }
        let found = matched(judged(&event, &Story::watched()));
        assert_eq!(found.evidence["destination"], "example.com");
    }

    #[test]
    fn what_stays_inside_or_was_refused_does_not_fire() {
        let story = Story::watched();
        not_applicable(judged(&to("10.1.2.3", "web", "web-1"), &story));
        let refused = Connection { rejected: true, ..connection("198.51.100.7", 443) };
        not_applicable(judged(&connected(refused), &story));
        let host = Connection { place: Place::default(), ..connection("198.51.100.7", 443) };
        not_applicable(judged(&connected(host), &story));
        not_applicable(judged(&to("198.51.100.7", "web", "web-1"), &Story::begun()));
        let event = to("198.51.100.7", "web", "web-1");
        not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
    }

    #[test]
    fn a_workload_that_is_not_named_is_said() {
        let found = matched(judged(&connected(connection("198.51.100.7", 443)), &Story::watched()));
        assert_eq!(found.not_inspected[0].code, "workload-not-named");
    }
}
