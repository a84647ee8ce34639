//! A container image was pulled, declared or run that comes from no approved registry.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::registry::{self, Standing, Used};
use super::{Context, Detection, Match, NextStep, Reason, Stage, Subject, Verdict, evidence, runtime};
use crate::activity::Activity;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "container-image-not-approved",
    title: "Container image from a registry that is not approved",
    severity: Severity::Low,
    score: 45,
    source: "DET0248 AN0691 ImageRegistryAllowList; Splunk: Cisco Isovalent - Non Allowlisted Image Use",
    approval: true,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let used = match registry::used(activity) {
        Ok(used) => used,
        Err(verdict) => return verdict,
    };
    let mut unsure = None;
    let mut approved = None;
    let mut foreign: Vec<(&Used<'_>, String)> = Vec::new();
    for used in &used {
        match registry::standing(activity, context.policy, used) {
            Standing::Foreign(why) => foreign.push((used, why)),
            Standing::Approved(why) => approved = Some(why),
            Standing::Unsure(reason) => unsure = Some(reason),
        }
    }
    // One alert an image repository, whatever else the same declaration names.
    let mut told = BTreeSet::new();
    let mut matches: Vec<Match> = foreign
        .iter()
        .filter(|(used, _)| used.reference.as_ref().is_some_and(|it| told.insert(it.repository())))
        .filter_map(|(used, why)| found(activity, context, used, why, unsure.clone()))
        .collect();
    let more = matches.split_off(matches.len().min(registry::MOST_TOLD));
    if let Some(last) = matches.last_mut().filter(|_| !more.is_empty()) {
        let others: Vec<Value> =
            more.into_iter().filter_map(|it| it.evidence.get("repository").cloned()).collect();
        last.evidence.insert("other_images".to_owned(), json!(others));
    }
    Verdict::of_matches(matches).unwrap_or_else(|| match (unsure, approved) {
        (Some(reason), _) => Verdict::CannotTell(reason),
        (None, Some(why)) => Verdict::Pass(why.into()),
        (None, None) => Verdict::NotApplicable("no container image is used".into()),
    })
}

fn found(
    activity: &Activity,
    context: &Context<'_>,
    used: &Used<'_>,
    why: &str,
    unsure: Option<Reason>,
) -> Option<Match> {
    let reference = used.reference.as_ref()?;
    let repository = reference.repository();
    let mut seen = evidence([
        ("image", json!(used.image.name)),
        ("repository", json!(repository)),
        ("digest", json!(reference.digest)),
        ("tag", json!(reference.tag)),
        ("namespace", json!(used.namespace)),
        ("why", json!(why)),
        ("upstream", json!(used.upstream.as_ref().map(|upstream| upstream.repository()))),
        ("used_by", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
    ]);
    if let Some(place) = activity.action.place() {
        seen.extend(runtime::seen(place).into_iter().filter(|(key, _)| key != "image"));
    }
    let mut next_steps: Vec<NextStep> =
        activity.action.place().map(|place| runtime::look(activity, place)).into_iter().collect();
    next_steps.push(NextStep::new(
        "Ask who uses it and why; copy what you need into a registry of your own, by digest.",
        None,
    ));
    next_steps.push(NextStep::policy(
        "If the source is fine, list it in the policy, under `containers.registries`.",
        Some(registry::listing(reference)),
    ));
    let listed = !context.policy.containers.registries.is_empty();
    let internal = used.namespace.is_some_and(|namespace| {
        let patterns = &context.policy.containers.namespaces.internal_only;
        patterns.iter().any(|pattern| crate::policy::like(pattern, namespace))
    });
    Some(Match {
        subject: Subject::ContainerImage { repository },
        // With no list of their own, people have not said that they care.
        severity: (listed || internal).then_some(Severity::Medium),
        summary: format!("{reference} comes from outside the approved registries: {why}."),
        evidence: seen,
        next_steps,
        not_inspected: unsure.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Action, DeclaredContainer, WorkloadKind};
    use crate::detection::testing::*;
    use crate::policy::Policy;

    const OWN: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1";

    fn judged(event: &Activity, yaml: &str) -> Verdict {
        Given::none().judge(&DETECTION, event, &policy(yaml))
    }

    #[test]
    fn a_foreign_image_fires_wherever_it_shows() {
        let mut shell = process("/bin/ls", "");
        shell.place = pod("docker.io/evil/app:2");
        for event in [
            started("evil/app:2"),
            pulled("index.docker.io/evil/app"),
            executed(shell),
            declared(workload(WorkloadKind::TaskDefinition, "evil/app@sha256:zz")),
            declared(workload(WorkloadKind::Pod, "docker-pullable://evil/app")),
            declared(workload(WorkloadKind::Function, "evil/app")),
        ] {
            let found = matched(judged(&event, "{}"));
            // One alert an image repository, however it is spelt and whatever runs in it.
            assert_eq!(
                found.subject,
                Subject::ContainerImage { repository: "docker.io/evil/app".to_owned() }
            );
            assert_eq!(found.severity, None);
        }
        assert_eq!(DETECTION.severity, Severity::Low);
    }

    #[test]
    fn own_images_pass() {
        passed(judged(&started(OWN), "{}"));
        passed(judged(&declared(workload(WorkloadKind::Pod, OWN)), "{}"));
    }

    #[test]
    fn it_is_medium_once_the_policy_names_registries() {
        let yaml = "containers: {registries: [registry.example.com]}";
        passed(judged(&started("registry.example.com/a"), yaml));
        assert_eq!(matched(judged(&started("evil/app"), yaml)).severity, Some(Severity::Medium));
        let yaml = "containers: {namespaces: {internal_only: [web]}}";
        assert_eq!(matched(judged(&started("evil/app"), yaml)).severity, Some(Severity::Medium));
    }

    /// The published rule compares name and tag only.
    #[test]
    fn a_listed_digest_approves_that_digest_alone() {
        let yaml = format!("containers: {{registries: [\"evil/app@{}\"]}}", digest());
        let mut event = started("evil/app:1");
        matched(judged(&event, &yaml));
        if let Action::ContainerStarted(start) = &mut event.action {
            start.place.image.as_mut().unwrap().digest = Some(digest());
        }
        passed(judged(&event, &yaml));
    }

    #[test]
    fn every_foreign_sidecar_is_told_by_its_repository() {
        let mut pod = workload(WorkloadKind::Pod, OWN);
        for image in ["evil/one:1", "evil/two", "docker.io/evil/one:2"] {
            pod.containers.push(DeclaredContainer {
                image: crate::activity::ContainerImage { name: image.to_owned(), digest: None },
                ..DeclaredContainer::default()
            });
        }
        let found = all_matched(judged(&declared(pod), "{}"));
        let subjects: Vec<String> = found.iter().map(|found| found.subject.key()).collect();
        assert_eq!(
            subjects,
            ["container-image|docker.io/evil/one", "container-image|docker.io/evil/two"],
            "one alert an image repository, the own image none"
        );
    }

    /// A declaration of hundreds of images is no storm of alerts, and hides none of them.
    #[test]
    fn of_very_many_the_rest_are_named_in_the_last() {
        let mut pod = workload(WorkloadKind::Pod, OWN);
        for number in 0..50 {
            pod.containers.push(DeclaredContainer {
                image: crate::activity::ContainerImage { name: format!("evil/app-{number}"), digest: None },
                ..DeclaredContainer::default()
            });
        }
        let found = all_matched(judged(&declared(pod), "{}"));
        let rest = found.last().and_then(|last| last.evidence["other_images"].as_array()).map(Vec::len);
        assert_eq!((found.len(), rest), (registry::MOST_TOLD, Some(50 - registry::MOST_TOLD)));
    }

    #[test]
    fn what_names_no_repository_cannot_be_told() {
        for image in ["", "${IMAGE}", &digest()] {
            assert_eq!(cannot_tell(judged(&started(image), "{}")).code, "container-image-not-named");
        }
        let mut event = started("x");
        if let Action::ContainerStarted(start) = &mut event.action {
            start.place.image = None;
        }
        cannot_tell(judged(&event, "{}"));
        let nowhere = Activity { account: String::new(), ..started(OWN) };
        assert_eq!(cannot_tell(judged(&nowhere, "{}")).code, "account-not-named");
    }

    #[test]
    fn what_uses_no_image_is_left_alone() {
        let mut failed = workload(WorkloadKind::TaskDefinition, "evil/app");
        failed.failed = Some("AccessDenied".to_owned());
        let mut host = process("/bin/ls", "");
        host.place.image = None;
        let mut service = workload(WorkloadKind::Service, "");
        service.containers.clear();
        for event in [declared(failed), executed(host), declared(service), pushed(push())] {
            not_applicable(Given::none().judge(&DETECTION, &event, &Policy::default()));
        }
    }
}
