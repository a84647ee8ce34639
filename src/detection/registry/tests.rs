use super::*;
use crate::detection::testing::*;

fn stands(image: &str, yaml: &str) -> Standing {
    let event = started(image);
    let used = used(&event).unwrap();
    standing(&event, &policy(yaml), &used[0])
}

fn approved(image: &str, yaml: &str) -> bool {
    matches!(stands(image, yaml), Standing::Approved(_))
}

#[test]
fn every_line_of_the_list_is_read() {
    let text = include_str!("../data/aws-registries.txt");
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
    assert_eq!(AWS.len(), lines);
    assert!(lines > 20 && text.contains("# Source: ") && text.contains("# Date: 20"));
}

#[test]
fn own_registries_and_awss_own_are_approved_unasked() {
    for image in [
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/team/app",
        "111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com/team/app",
        "111122223333.dkr-ecr.eu-central-1.on.aws/team/app",
        "602401143452.dkr.ecr.eu-central-1.amazonaws.com/eks/coredns:v1.11",
        "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/pause:3.5",
        "public.ecr.aws/eks-distro/kubernetes/pause:3.9",
        "public.ecr.aws/aws-observability/aws-otel-collector",
        "public.ecr.aws/amazonlinux/amazonlinux:2023",
        "public.ecr.aws/lambda/python:3.13",
        "323658145986.dkr.ecr.eu-central-1.amazonaws.com/aws-guardduty-agent-fargate:v1.7.0",
        "763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-training:2.8-gpu-py312",
    ] {
        assert!(approved(image, "{}"), "{image}");
    }
}

#[test]
fn lookalikes_of_own_registries_are_foreign() {
    for image in [
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com.evil.example/team/app",
        "111122223333.dkr.ecr.eu-central-1.evil.example/team/app",
        "111122223333.evil.example/team/app",
        "evil/111122223333.dkr.ecr.eu-central-1.amazonaws.com",
        "666677778888.dkr.ecr.eu-central-1.amazonaws.com/team/app",
        // The same digits in another partition are another customer.
        "602401143452.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/pause",
        "public.ecr.aws/docker/library/nginx",
        "public.ecr.aws/evil/aws-cli",
        "public.ecr.aws/eks-evil/app",
        "public.ecr.aws/aws-evil/app",
        "public.ecr.aws/amazonlinux2/app",
        "public.ecr.aws/lambdas/python",
        "public.ecr.aws/lambda-python/app",
        "nginx",
    ] {
        assert!(matches!(stands(image, "{}"), Standing::Foreign(_)), "{image}");
    }
}

#[test]
fn the_policy_names_more() {
    let yaml = "containers: {registries: [\"registry.example.com/team/*\", nginx]}";
    assert!(approved("registry.example.com/team/app:1", yaml));
    assert!(approved("nginx:1.27", yaml));
    assert!(!approved("registry.example.com/other/app", yaml));
}

#[test]
fn internal_namespaces_take_nothing_from_the_internet() {
    let yaml = "containers: {registries: [docker.io, registry.example.com], namespaces: {internal_only: [\"pay*\"]}}";
    let judge = |image: &str, namespace: &str| {
        let mut event = started(image);
        if let Action::ContainerStarted(start) = &mut event.action {
            start.place.namespace = Some(namespace.to_owned());
        }
        matches!(standing(&event, &policy(yaml), &used(&event).unwrap()[0]), Standing::Approved(_))
    };
    assert!(judge("nginx", "web") && !judge("nginx", "payments"));
    assert!(!judge("public.ecr.aws/eks-distro/pause", "payments"));
    assert!(judge("registry.example.com/a", "payments"));
    assert!(judge("111122223333.dkr.ecr.eu-central-1.amazonaws.com/a", "payments"));
}

#[test]
fn a_pull_through_cache_vouches_for_nobody() {
    let mut event = pulled("111122223333.dkr.ecr.eu-central-1.amazonaws.com/hub/evil/app");
    if let Action::ImagePulled(pull) = &mut event.action {
        pull.upstream = Some("registry-1.docker.io".to_owned());
    }
    let judge = |yaml: &str| standing(&event, &policy(yaml), &used(&event).unwrap()[0]);
    assert!(matches!(judge("{}"), Standing::Foreign(why) if why.contains("docker.io")));
    for listed in ["evil/*", "111122223333.dkr.ecr.*.amazonaws.com/hub"] {
        let yaml = format!("containers: {{registries: [\"{listed}\"]}}");
        assert!(matches!(judge(&yaml), Standing::Approved(_)), "{listed}");
    }
}

#[test]
fn ecrs_own_events_name_the_repository_alone() {
    let mut event = pulled("");
    if let Action::ImagePulled(pull) = &mut event.action {
        pull.repository = Some("team/app".to_owned());
    }
    let used = used(&event).unwrap();
    assert!(matches!(standing(&event, &policy("{}"), &used[0]), Standing::Approved(_)));
}

#[test]
fn a_command_in_a_running_container_names_no_image_of_its_own() {
    use crate::activity::{DeclaredContainer, Workload};
    let container = |image: &str| DeclaredContainer {
        name: "web".to_owned(),
        image: ContainerImage { name: image.to_owned(), digest: None },
        ..DeclaredContainer::default()
    };
    let workload = |kind, containers| {
        let workload = Workload {
            kind,
            name: "web".to_owned(),
            cluster: None,
            namespace: None,
            containers,
            cpu: None,
            count: None,
            definition: None,
            command: None,
            failed: None,
        };
        activity(Action::WorkloadDeclared(workload))
    };
    let exec = workload(WorkloadKind::Exec, vec![container("")]);
    assert!(matches!(used(&exec), Err(Verdict::NotApplicable(_))));
    let task = workload(WorkloadKind::Task, vec![container(""), container("acme/tool")]);
    assert_eq!(used(&task).map(|used| used.len()).ok(), Some(1));
    let definition = workload(WorkloadKind::TaskDefinition, vec![container("")]);
    assert_eq!(used(&definition).map(|used| used.len()).ok(), Some(1), "it may not leave its image out");
}
