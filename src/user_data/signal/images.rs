//! `sup-03`: container images that user data starts, and where they come from.

use super::{Case, Id, Spot};
use crate::detection::reference::Reference;
use crate::user_data::Trust;
use crate::user_data::script::{Command, basename};

/// What an image weighs that also gets the host.
const WITH_HOST: u32 = 20;

/// Options of `run` and `create` that take a value as the next word.
const VALUED: &[&str] = &[
    "-v",
    "-e",
    "-p",
    "-w",
    "-u",
    "-h",
    "-m",
    "-l",
    "-c",
    "-a",
    "--name",
    "--network",
    "--net",
    "--restart",
    "--entrypoint",
    "--env-file",
    "--env",
    "--mount",
    "--volume",
    "--publish",
    "--memory",
    "--cpus",
    "--cpuset-cpus",
    "--cpu-shares",
    "--gpus",
    "--log-driver",
    "--log-opt",
    "--label",
    "--add-host",
    "--device",
    "--cap-add",
    "--cap-drop",
    "--security-opt",
    "--ulimit",
    "--user",
    "--hostname",
    "--pid",
    "--ipc",
    "--uts",
    "--platform",
    "--pull",
    "--shm-size",
    "--tmpfs",
    "--volumes-from",
    "--link",
    "--dns",
    "--dns-search",
    "--expose",
    "--health-cmd",
    "--health-interval",
    "--stop-timeout",
    "--runtime",
    "--sysctl",
    "--userns",
    "--workdir",
    "--cgroupns",
    "--cidfile",
    "--ip",
    "--mac-address",
    "--memory-swap",
    "--network-alias",
    "--oom-score-adj",
    "--pids-limit",
    "--group-add",
    "--annotation",
    "--namespace",
    "-n",
    "--address",
];

/// An image that a command starts or fetches, and whether it gets the host.
struct Started<'a> {
    image: &'a str,
    host: bool,
}

pub(super) fn command(case: &mut Case<'_>, number: usize, index: usize, command: &Command) {
    let Some(started) = started(command) else { return };
    if is_approved(started.image, case.trust) {
        return;
    }
    let weight = if started.host { WITH_HOST } else { Id::Sup03.signal().weight };
    case.hit_weighing(Id::Sup03, weight, (number, index));
}

fn started(command: &Command) -> Option<Started<'_>> {
    // What a container runs may stand as the command itself, the runtime in front of it.
    let runtime = command.words.iter().take(command.start.saturating_add(1)).position(|word| {
        matches!(
            basename(&word.text),
            "docker" | "podman" | "nerdctl" | "ctr" | "crictl" | "kubectl" | "k3s" | "finch"
        )
    })?;
    let name = command.words.get(runtime).map_or("", |word| basename(&word.text));
    let words = command.words.get(runtime + 1..).unwrap_or_default();
    let texts = || words.iter().map(|word| word.text.as_str());
    if name == "kubectl" || (name == "k3s" && texts().next() == Some("kubectl")) {
        let starts = texts().any(|text| matches!(text, "run" | "create" | "set"));
        let image = texts().find_map(|text| text.strip_prefix("--image=")).or_else(|| {
            let at = texts().position(|text| text == "--image")?;
            words.get(at + 1).map(|word| word.text.as_str())
        })?;
        return starts.then(|| Started {
            image,
            host: texts().any(|text| text.contains("hostPath") || text == "--privileged"),
        });
    }
    let verb = texts().position(|text| matches!(text, "run" | "create" | "pull"))?;
    let mut host = false;
    let mut rest = words.get(verb + 1..).unwrap_or_default().iter().map(|word| word.text.as_str());
    while let Some(text) = rest.next() {
        if !text.starts_with('-') {
            return Some(Started { image: text, host });
        }
        let (option, value) = match text.split_once('=') {
            Some((option, value)) => (option, value),
            None if VALUED.contains(&text) => (text, rest.next().unwrap_or("")),
            None => (text, text.get(2..).filter(|_| text.starts_with("-v")).unwrap_or("")),
        };
        host |= match option {
            "--privileged" => value != "false",
            "--pid" | "--ipc" | "--userns" => value == "host",
            "--cap-add" => matches!(
                value.to_ascii_uppercase().as_str(),
                "ALL" | "SYS_ADMIN" | "CAP_SYS_ADMIN" | "SYS_PTRACE" | "SYS_MODULE"
            ),
            "--mount" => {
                value.contains("source=/,") || value.contains("src=/,") || value.contains("docker.sock")
            }
            option if option.starts_with("-v") || option == "--volume" => {
                value.starts_with("/:")
                    || value.contains("docker.sock")
                    || value.starts_with("/etc:")
                    || value.starts_with("/root")
            }
            _ => false,
        };
    }
    None
}

/// Whether an image is the account's own, AWS's, one of Docker's official images, named in the policy, or
/// only known at run time.
fn is_approved(image: &str, trust: &Trust) -> bool {
    if image.contains(['$', '{', '<', '%']) {
        return true;
    }
    let Some(reference) = Reference::parse(image) else { return true };
    let host = reference.host.as_str();
    let own =
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") || host.ends_with(".on.aws");
    // A host that nobody outside can name.
    let inside = !host.contains('.')
        || super::hosts::host_kind(host.split(':').next().unwrap_or(host))
            == super::hosts::HostKind::Internal;
    let alias = reference.namespace().split('/').next().unwrap_or("");
    let gallery = host == "public.ecr.aws"
        && (["eks", "aws-", "amazon", "docker"].iter().any(|start| alias.starts_with(start))
            || matches!(
                alias,
                "bottlerocket" | "cloudwatch-agent" | "karpenter" | "lambda" | "neuron" | "xray" | "ecs"
            ));
    own || inside
        || gallery
        || matches!(host, "registry.k8s.io" | "mcr.microsoft.com" | "nvcr.io")
        || (host == "docker.io" && reference.namespace() == "library")
        || trust.registries.iter().any(|pattern| reference.fits(pattern))
}

/// The image of a Bottlerocket container, which starts with all rights before anything else.
pub(super) fn setting(case: &mut Case<'_>, spot: Spot<'_>, key: &str, value: &str) {
    let image = key.ends_with(".source") || key.ends_with(".image");
    let container = key.contains("bootstrap_containers")
        || key.contains("host_containers")
        || key.contains("bootstrap-containers")
        || key.contains("host-containers");
    if image && container && !is_approved(value, case.trust) {
        case.hit_spot_weighing(Id::Sup03, WITH_HOST, spot, value);
    }
}

/// The image of a compose file, a pod manifest or a container unit.
pub(super) fn declared(case: &mut Case<'_>, spot: Spot<'_>, image: &str, line: &str) {
    if !image.is_empty() && !is_approved(image, case.trust) {
        case.hit_spot_weighing(Id::Sup03, Id::Sup03.signal().weight, spot, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_approved_by_registry_and_policy() {
        let trust = Trust { registries: vec!["ghcr.io/acme/*".into()], ..Trust::default() };
        for image in [
            "nginx",
            "docker.io/library/redis:7",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/a:1",
            "${IMAGE}:1",
            "public.ecr.aws/eks-distro/x",
            "ghcr.io/acme/app@sha256:00",
            "registry.internal/a",
            "localhost:5000/a",
        ] {
            assert!(is_approved(image, &trust), "{image}");
        }
        for image in
            ["someone/app", "docker.io/evil/k", "quay.io/a/b:1", "ghcr.io/other/app", "public.ecr.aws/z9/x"]
        {
            assert!(!is_approved(image, &trust), "{image}");
        }
    }
}
