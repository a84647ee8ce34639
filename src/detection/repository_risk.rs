//! Much of different kinds was told about one repository.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, find, steps};
use crate::activity::{Action, Activity};
use crate::history::{Kind, trail};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "repository-risk",
    title: "Risk adds up in one repository",
    severity: Severity::High,
    score: 0,
    source: "Splunk: Risk Rule for Dev Sec Ops by Repository",
    approval: false,
    stage: Stage::Chain,
    judge,
};

/// One match about the repository.
struct Risk<'a> {
    time: DateTime<Utc>,
    detection: &'a str,
    /// What counts once: the detection, or all scan classes of one digest.
    kind: String,
    score: u32,
    /// This event's.
    own: bool,
}

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let repository = match &activity.action {
        Action::ImagePushed(push) => push.repository.as_str(),
        Action::ImageScanned(scan) => &scan.repository,
        Action::GuardRailChanged(rail) => match rail.repository() {
            Some(repository) => repository,
            None => return Verdict::NotApplicable("the setting is not one of a repository".into()),
        },
        _ => return Verdict::NotApplicable("neither a push, nor a scan, nor a repository's setting".into()),
    };
    if !context.memory.is_kept() {
        return Verdict::NotApplicable("no history is kept, so that nothing can be added up".into());
    }
    if context.matches.is_empty() {
        return Verdict::Pass("it adds nothing to the repository's risk".into());
    }
    let matched: Vec<_> = context.matches.iter().map(|(detection, _)| *detection).collect();
    let records = trail::with(activity, &matched, context.policy, context.memory);
    let record = records.iter().find(|record| record.key.kind == Kind::Repository);
    let traces = record.into_iter().flat_map(|record| &record.traces);
    let risks: Vec<Risk<'_>> = traces
        .filter(|trace| trace.label == trail::label::MATCH)
        .map(|trace| {
            let (detection, digest) = trace.detail.split_once(' ').unwrap_or((&trace.detail, ""));
            let scan = detection.starts_with("ecr-scan-") && !digest.is_empty();
            let usual = find(detection).map_or(trace.score, |detection| detection.score);
            Risk {
                time: trace.time,
                detection,
                kind: if scan { format!("scan of {digest}") } else { detection.to_owned() },
                score: context.policy.score(detection).unwrap_or(usual),
                own: trace.source == activity.id,
            }
        })
        .collect();
    let limits = &context.policy.risk;
    let window = |start: DateTime<Utc>| {
        risks
            .iter()
            .filter(move |risk| risk.time >= start && risk.time - start <= limits.window.delta())
            .collect::<Vec<_>>()
    };
    let sum = |risks: &[&Risk<'_>]| risks.iter().fold(0u32, |sum, risk| sum.saturating_add(risk.score));
    let kinds =
        |risks: &[&Risk<'_>]| risks.iter().map(|risk| risk.kind.as_str()).collect::<BTreeSet<_>>().len();
    // Events arrive in any order: any window that this event lies in.
    let found = risks
        .iter()
        .map(|risk| window(risk.time))
        .filter(|window| window.iter().any(|risk| risk.own))
        .filter(|window| {
            kinds(window) > usize::try_from(limits.distinct).unwrap_or(usize::MAX)
                && sum(window) > limits.score
        })
        .max_by_key(|window| sum(window));
    let Some(found) = found else {
        return Verdict::Pass("what was told about the repository does not add up to much".into());
    };
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for risk in &found {
        let count = counts.entry(risk.detection).or_default();
        *count = count.saturating_add(1);
    }
    let line: Vec<String> = found
        .iter()
        .map(|risk| format!("{} {} (score {})", risk.time.to_rfc3339(), risk.detection, risk.score))
        .collect();
    let names: Vec<&str> = counts.keys().copied().collect();
    Verdict::matched(Match {
        subject: Subject::Repository { repository: repository.to_owned() },
        severity: None,
        summary: format!(
            "Within {} hours, {} about the repository {repository} add up to a score of {}: {}.",
            limits.window.delta().num_hours().max(1),
            steps::counted(u64::try_from(found.len()).unwrap_or(u64::MAX), "match", "matches"),
            sum(&found),
            names.join(", "),
        ),
        evidence: evidence([
            ("repository", json!(repository)),
            ("score", json!(sum(&found))),
            ("distinct", json!(kinds(&found))),
            ("matches", json!(counts)),
            ("timeline", json!(line)),
        ]),
        next_steps: vec![
            NextStep::new(
                "Read the alerts about this repository together, in the order of their times.",
                None,
            ),
            NextStep::new(
                "Keep its images from being deployed until somebody has explained who pushed what, and why.",
                None,
            ),
        ],
        not_inspected: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;
    use crate::lookup::Facts;
    use crate::policy::Policy;

    fn judged(story: &Story, event: &Activity, matched: &[&str], yaml: &str) -> Verdict {
        story.judge_with(&DETECTION, event, &policy(yaml), &Facts::default(), matched)
    }

    const PUSH: [&str; 2] = ["ecr-push-outside-hours", "ecr-push-unknown-user"];

    fn scan(digest: &str) -> Activity {
        let scan = crate::activity::Scan { digest: digest.to_owned(), ..counts(&[("HIGH", 1)]) };
        Activity { id: format!("scan-{digest}"), ..scanned(scan) }
    }

    #[test]
    fn more_than_three_kinds_above_the_score_fire_and_are_told() {
        let mut story = Story::watched();
        story.tell_with(&pushed(push()), &PUSH);
        story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        let found = matched(judged(&story, &scan("sha256:b"), &["ecr-scan-high"], "{}"));
        assert_eq!(found.subject, Subject::Repository { repository: "team/app".to_owned() });
        assert_eq!(found.evidence["score"], 49 + 49 + 70 + 70);
        assert_eq!(found.evidence["timeline"].as_array().map(Vec::len), Some(4));
        // Whatever arrives last completes it.
        let mut story = Story::watched();
        story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        story.tell_with(&scan("sha256:b"), &["ecr-scan-high"]);
        matched(judged(&story, &later("event-9", -60, pushed(push())), &PUSH, "{}"));
    }

    #[test]
    fn the_classes_of_one_digest_are_one_kind() {
        let mut story = Story::watched();
        story.tell_with(&pushed(push()), &PUSH);
        let classes = ["ecr-scan-critical", "ecr-scan-high", "ecr-scan-medium", "ecr-scan-low"];
        passed(judged(&story, &scan("sha256:a"), &classes, "{}"));
    }

    #[test]
    fn what_is_long_ago_or_scores_little_does_not_fire() {
        let mut story = Story::watched();
        story.tell_with(&later("event-0", -25 * 60, pushed(push())), &PUSH);
        story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        passed(judged(&story, &scan("sha256:b"), &["ecr-scan-high"], "{}"));
        let mut story = Story::watched();
        story.tell_with(&pushed(push()), &PUSH);
        story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        passed(judged(&story, &scan("sha256:b"), &["ecr-scan-high"], "risk: {score: 238}"));
        matched(judged(&story, &scan("sha256:b"), &["ecr-scan-high"], "risk: {score: 237}"));
        passed(judged(&story, &scan("sha256:b"), &[], "{}"));
    }

    #[test]
    fn the_policys_scores_count() {
        let mut story = Story::watched();
        story.tell_with(&pushed(push()), &PUSH);
        story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        let yaml = "detections: {ecr-scan-high: {score: 0}}";
        passed(judged(&story, &scan("sha256:b"), &["ecr-scan-high"], yaml));
    }

    #[test]
    fn the_same_event_again_adds_nothing() {
        let mut story = Story::watched();
        story.tell_with(&pushed(push()), &PUSH);
        for _ in 0..5 {
            story.tell_with(&scan("sha256:a"), &["ecr-scan-high"]);
        }
        passed(judged(&story, &scan("sha256:a"), &["ecr-scan-high"], "{}"));
    }

    #[test]
    fn without_history_nothing_adds_up() {
        not_applicable(Given::none().judge(&DETECTION, &scan("sha256:a"), &Policy::default()));
        not_applicable(judged(&Story::watched(), &launched(launch(AMI)), &[], "{}"));
    }
}
