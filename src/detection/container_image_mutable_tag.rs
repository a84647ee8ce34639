//! A workload in a namespace with fixed tags names its image by something that can be moved.

use std::collections::BTreeSet;

use serde_json::json;

use super::reference::Reference;
use super::registry::{self, Used};
use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence};
use crate::activity::{Action, Activity, Workload, WorkloadKind};
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "container-image-mutable-tag",
    title: "Container image named by a tag that can be moved",
    severity: Severity::Low,
    score: 10,
    source: "DET0248 AN0691 NamespaceScope (kubernetes:audit)",
    approval: false,
    stage: Stage::Event,
    judge,
};

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let other = |why: &'static str| Verdict::NotApplicable(why.into());
    let patterns = &context.policy.containers.namespaces.fixed_tags;
    if patterns.is_empty() {
        return other("the policy names no namespace with fixed tags");
    }
    let Action::WorkloadDeclared(workload) = &activity.action else {
        return other("not a declaration; what runs shows the digest that a tag stood for");
    };
    if !matches!(workload.kind, WorkloadKind::Pod | WorkloadKind::PodTemplate) {
        return other("not a pod");
    }
    let namespace = workload.namespace.as_deref().unwrap_or("default");
    if !patterns.iter().any(|pattern| crate::policy::like(pattern, namespace)) {
        return other("its namespace may use any tag");
    }
    let used = match registry::used(activity) {
        Ok(used) => used,
        Err(verdict) => return verdict,
    };
    let mut told = BTreeSet::new();
    let matches = used
        .iter()
        .filter_map(|used| Some((used, used.reference.as_ref()?, movable(used)?)))
        .filter(|(_, reference, _)| told.insert(reference.repository()))
        .map(|(used, reference, why)| found(activity, workload, namespace, used, reference, &why))
        .take(registry::MOST_TOLD)
        .collect();
    Verdict::of_matches(matches).unwrap_or_else(|| {
        if used.iter().any(|used| used.reference.is_none()) {
            Verdict::CannotTell(registry::not_named())
        } else {
            Verdict::Pass("every image is named by its digest".into())
        }
    })
}

fn found(
    activity: &Activity,
    workload: &Workload,
    namespace: &str,
    used: &Used<'_>,
    reference: &Reference,
    why: &str,
) -> Match {
    let policy = used.container.and_then(|container| container.pull_policy.as_ref());
    Match {
        subject: Subject::ContainerImage { repository: reference.repository() },
        severity: None,
        summary: format!("{} in the namespace {namespace} runs {reference}: {why}.", workload.name),
        evidence: evidence([
            ("image", json!(used.image.name)),
            ("tag", json!(reference.tag)),
            ("pull_policy", json!(policy)),
            ("container", json!(used.container.map(|container| &container.name))),
            ("workload", json!(workload.name)),
            ("namespace", json!(namespace)),
            ("cluster", json!(workload.cluster)),
            ("declared_by", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
        ]),
        next_steps: vec![
            NextStep::new(
                "Name the image by its digest (`repository@sha256:...`), in the place it is deployed from.",
                None,
            ),
            NextStep::new("Make the repository's tags immutable, where the registry can.", None),
        ],
        not_inspected: Vec::new(),
    }
}

/// Why another image may stand behind the same name tomorrow; `None` where the digest is named.
fn movable(used: &Used<'_>) -> Option<String> {
    let reference = used.reference.as_ref()?;
    if reference.digest.is_some() {
        return None;
    }
    let always = used.container.and_then(|container| container.pull_policy.as_deref()) == Some("Always");
    let pulled = if always { ", and every start pulls anew" } else { "" };
    Some(match reference.tag.as_deref() {
        None => format!("it names no tag, which stands for `latest`{pulled}"),
        Some("latest") => format!("`latest` is whatever was pushed last{pulled}"),
        Some(tag) => format!("the tag {tag} can be moved, and no digest is named{pulled}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::*;

    const FIXED: &str = "containers: {namespaces: {fixed_tags: [\"prod-*\"]}}";

    fn judged(image: &str, namespace: &str, pull: Option<&str>, yaml: &str) -> Verdict {
        let mut pod = workload(WorkloadKind::Pod, image);
        pod.namespace = Some(namespace.to_owned());
        pod.containers[0].pull_policy = pull.map(str::to_owned);
        Given::none().judge(&DETECTION, &declared(pod), &policy(yaml))
    }

    #[test]
    fn whatever_can_be_moved_fires() {
        for (image, says) in [("nginx", "no tag"), ("nginx:latest", "latest"), ("nginx:1.27", "1.27")] {
            let found = matched(judged(image, "prod-web", None, FIXED));
            assert!(found.summary.contains(says), "{}", found.summary);
            assert_eq!(
                found.subject,
                Subject::ContainerImage { repository: "docker.io/library/nginx".to_owned() }
            );
        }
        let found = matched(judged("nginx:1.27", "prod-web", Some("Always"), FIXED));
        assert!(found.summary.contains("pulls anew"), "{}", found.summary);
    }

    #[test]
    fn a_digest_passes_whatever_tag_stands_beside_it() {
        let image = format!("nginx:latest@{}", digest());
        passed(judged(&image, "prod-web", Some("Always"), FIXED));
    }

    #[test]
    fn only_the_named_namespaces_are_judged() {
        not_applicable(judged("nginx", "dev", None, FIXED));
        not_applicable(judged("nginx", "prod-web", None, "{}"));
        let task = declared(workload(WorkloadKind::TaskDefinition, "nginx"));
        not_applicable(Given::none().judge(&DETECTION, &task, &policy(FIXED)));
        not_applicable(Given::none().judge(&DETECTION, &started("nginx"), &policy(FIXED)));
    }

    #[test]
    fn an_image_without_a_name_cannot_be_told() {
        assert_eq!(cannot_tell(judged("", "prod-web", None, FIXED)).code, "container-image-not-named");
    }
}
