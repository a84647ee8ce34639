//! A container image is named so that it passes for a well-known one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::json;

use super::reference::Reference;
use super::registry::{self, Standing, Used};
use super::{Context, Detection, Match, NextStep, Stage, Subject, Verdict, evidence, runtime};
use crate::activity::Activity;
use crate::severity::Severity;

pub static DETECTION: Detection = Detection {
    id: "container-image-lookalike",
    title: "Container image that passes for a well-known one",
    severity: Severity::High,
    score: 60,
    source: "Public threat reports: official names under foreign namespaces, near-miss spellings",
    approval: false,
    stage: Stage::Event,
    judge,
};

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::read(include_str!("data/base-images.txt")));

/// What a namespace has behind a well-known name to look like its home: `alpineos`.
const AFFIXES: [&str; 14] = [
    "os", "linux", "official", "image", "images", "docker", "hub", "base", "io", "inc", "org", "team", "dev",
    "library",
];

struct Known {
    officials: BTreeSet<&'static str>,
    publishers: BTreeSet<&'static str>,
    /// Registries, and namespaces in them, where only the vendor publishes.
    hosts: BTreeSet<&'static str>,
}

impl Known {
    fn read(list: &'static str) -> Self {
        let mut known =
            Self { officials: BTreeSet::new(), publishers: BTreeSet::new(), hosts: BTreeSet::new() };
        for line in crate::indicators::entries(list) {
            match line.split_once(' ') {
                Some(("official", name)) => known.officials.insert(name),
                Some(("publisher", name)) => known.publishers.insert(name),
                Some(("host", name)) => known.hosts.insert(name),
                _ => false,
            };
        }
        known
    }
}

fn judge(activity: &Activity, context: &Context<'_>) -> Verdict {
    let all = match registry::used(activity) {
        Ok(used) => used,
        // Images that are not named are the approval check's to tell.
        Err(Verdict::CannotTell(_)) => return Verdict::NotApplicable("no image is named".into()),
        Err(verdict) => return verdict,
    };
    let foreign = all
        .iter()
        .filter(|used| matches!(registry::standing(activity, context.policy, used), Standing::Foreign(_)));
    let mut named = foreign.filter_map(|used| Some((used, used.reference.as_ref()?))).peekable();
    if named.peek().is_none() {
        return Verdict::Pass("every image is from an approved registry".into());
    }
    let mut told = BTreeSet::new();
    let matches = named
        .filter(|(_, reference)| told.insert(reference.repository()))
        .filter_map(|(used, reference)| Some(found(activity, used, reference, imitated(reference)?)))
        .take(registry::MOST_TOLD)
        .collect();
    Verdict::of_matches(matches)
        .unwrap_or_else(|| Verdict::Pass("its name is no well-known one's, nor near to one".into()))
}

fn found(
    activity: &Activity,
    used: &Used<'_>,
    reference: &Reference,
    (original, why): (&'static str, String),
) -> Match {
    let mut seen = evidence([
        ("image", json!(used.image.name)),
        ("repository", json!(reference.repository())),
        ("digest", json!(reference.digest)),
        ("looks_like", json!(original)),
        ("why", json!(why)),
        ("used_by", json!(activity.actor.as_ref().map(|actor| &actor.principal))),
    ]);
    if let Some(place) = activity.action.place() {
        seen.extend(runtime::seen(place).into_iter().filter(|(key, _)| key != "image"));
    }
    let mut next_steps: Vec<NextStep> =
        activity.action.place().map(|place| runtime::look(activity, place)).into_iter().collect();
    next_steps.push(NextStep::new(
        format!(
            "Ask who chose the image and whether `{original}` was meant; if so, treat what ran as hostile."
        ),
        None,
    ));
    next_steps.push(NextStep::policy(
        "If the publisher is known to you, list the repository in the policy, under `containers.registries`.",
        Some(registry::listing(reference)),
    ));
    Match {
        subject: Subject::ContainerImage { repository: reference.repository() },
        // Elsewhere names are given within an organisation's own registry or namespace.
        severity: (reference.host != "docker.io").then_some(Severity::Medium),
        summary: format!("{reference} passes for {original}: {why}."),
        evidence: seen,
        next_steps,
        not_inspected: Vec::new(),
    }
}

/// Whether it is an official image of Docker Hub, or comes from a publisher on the list.
pub(crate) fn is_well_known(reference: &Reference) -> bool {
    let home = reference.namespace().split('/').next().unwrap_or_default().to_ascii_lowercase();
    let official = home == "library" && KNOWN.officials.contains(reference.name());
    reference.host == "docker.io" && (official || KNOWN.publishers.contains(home.as_str()))
}

/// Which well-known name a reference imitates, and how.
pub(crate) fn imitated(reference: &Reference) -> Option<(&'static str, String)> {
    let name = reference.name().to_ascii_lowercase();
    let namespace = reference.namespace().to_ascii_lowercase();
    let hub = reference.host == "docker.io";
    let home = namespace.split('/').next().unwrap_or_default();
    if KNOWN.publishers.contains(home) || is_vendors(reference) {
        return None;
    }
    // In a registry that is not open to everybody, an official name is a mirror or the organisation's own build.
    let mirrored = !registry::is_public(&reference.host) && plain(&name).is_some();
    if mirrored {
        return None;
    }
    if namespace == "library" || namespace.is_empty() {
        return official_near(&name).map(|official| (official, format!("{name} is one slip away from it")));
    }
    if let Some(official) = plain(&name) {
        return Some((
            official,
            format!("it has the official name under the namespace {namespace}, which is not its publisher's"),
        ));
    }
    if let Some(official) = official_near(&name) {
        return Some((official, format!("{name} is one slip away from it")));
    }
    if !hub {
        return None;
    }
    let publisher = near(&KNOWN.publishers, home);
    if let Some(publisher) = publisher {
        return Some((publisher, format!("the namespace {home} is one slip away from that publisher's")));
    }
    let dressed = AFFIXES.iter().find_map(|affix| {
        let stem = home.strip_suffix(affix)?.trim_end_matches(['-', '_', '.']);
        KNOWN.officials.get(stem).copied().filter(|official| official.len() > 3)
    });
    dressed.map(|official| (official, format!("the namespace {home} poses as the official image's home")))
}

/// Whether only a vendor publishes there.
fn is_vendors(reference: &Reference) -> bool {
    let mut place = reference.host.clone();
    if KNOWN.hosts.contains(place.as_str()) {
        return true;
    }
    reference.namespace().split('/').take(3).any(|part| {
        place.push('/');
        place.push_str(part);
        KNOWN.hosts.contains(place.as_str())
    })
}

/// The official name, a version behind it or not: `golang`, `python3`.
fn plain(name: &str) -> Option<&'static str> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches(['-', '_']);
    KNOWN.officials.get(name).or_else(|| KNOWN.officials.get(stem)).copied()
}

fn official_near(name: &str) -> Option<&'static str> {
    if plain(name).is_some() {
        return None;
    }
    near(&KNOWN.officials, name)
}

/// The entry that a name is one slip of the finger or one swapped character away from. Short names have
/// too many honest neighbours.
fn near(known: &BTreeSet<&'static str>, name: &str) -> Option<&'static str> {
    if known.contains(name) || KNOWN.officials.contains(name) || name.len() > 64 {
        return None;
    }
    let look: String = name
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' => 'l',
            '3' => 'e',
            '5' => 's',
            c => c,
        })
        .collect();
    known.iter().copied().find(|official| {
        if look == *official && name != *official {
            return true;
        }
        let long = official.len();
        let plural = name.strip_suffix('s') == Some(official);
        let swapped = long == name.len() && sorted(official) == sorted(name);
        !plural
            && long >= 5
            && strsim::osa_distance(name, official) == 1
            // `mango` is no slip of `mongo`.
            && (long >= 6 || long != name.len() || swapped)
    })
}

fn sorted(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::WorkloadKind;
    use crate::detection::testing::*;
    use crate::policy::Policy;

    fn judged(image: &str) -> Verdict {
        Given::none().judge(&DETECTION, &started(image), &Policy::default())
    }

    #[test]
    fn the_list_is_read_and_dated() {
        let text = include_str!("data/base-images.txt");
        assert_eq!(
            KNOWN.officials.len() + KNOWN.publishers.len() + KNOWN.hosts.len(),
            crate::indicators::entries(text).count(),
            "a line is not read, or stands twice"
        );
        assert!(text.contains("# Source: ") && text.contains("# Date: 20"));
    }

    #[test]
    fn official_names_under_foreign_namespaces_fire() {
        for (image, original) in [
            ("vibersastra/golang", "golang"),
            ("docker.io/evil/nginx:1.27", "nginx"),
            ("evil/python3", "python"),
            ("alpineos/dockerapi", "alpine"),
            ("ubuntu-official/base", "ubuntu"),
        ] {
            let found = matched(judged(image));
            assert_eq!(found.evidence["looks_like"], original, "{image}");
            assert_eq!(found.severity, None);
        }
    }

    #[test]
    fn near_misses_fire() {
        for (image, original) in [
            ("ngnix", "nginx"),
            ("evil/a1pine", "alpine"),
            ("evil/pyhton", "python"),
            ("evil/n0de", "node"),
            ("evil/memcache", "memcached"),
            ("grafanna/loki", "grafana"),
        ] {
            assert_eq!(matched(judged(image)).evidence["looks_like"], original, "{image}");
        }
    }

    #[test]
    fn honest_names_pass() {
        for image in [
            "nginx:1.27",
            "library/golang",
            "bitnami/redis",
            "arm64v8/alpine",
            "grafana/grafana",
            "team/app",
            "team/mango",
            "team/mongos",
            "team/noder",
            "team/rest-api",
            "team/nginx-exporter",
            "team/code",
            "linuxserver/nextcloud",
        ] {
            passed(judged(image));
        }
    }

    /// A fifth of what is popular was told, for vendors' own hosts and namespaces.
    #[test]
    fn a_vendors_own_image_and_a_mirror_pass() {
        for image in [
            "docker.elastic.co/kibana/kibana:9.1.0",
            "registry.redhat.io/rhel9/redis-7",
            "public.ecr.aws/nginx/nginx:1.29",
            "mirror.gcr.io/library/redis:7",
            "rocker/rstudio",
            "caddy/caddy",
            "traefik/traefik",
            "bitnami/postgresql",
            "harbor.example.com/library/python",
            "harbor.example.com/docker-hub/library/golang",
        ] {
            passed(judged(image));
        }
        for image in
            ["alpineos/x", "evil/nginxx", "nginxx", "vibersastra/golang", "public.ecr.aws/evil/nginx"]
        {
            matched(judged(image));
        }
    }

    #[test]
    fn trusted_and_own_registries_never_fire() {
        passed(judged("111122223333.dkr.ecr.eu-central-1.amazonaws.com/mirror/nginx"));
        passed(judged("602401143452.dkr.ecr.eu-central-1.amazonaws.com/eks/registry"));
        let yaml = policy("containers: {registries: [\"vibersastra/golang\"]}");
        passed(Given::none().judge(&DETECTION, &started("vibersastra/golang"), &yaml));
    }

    #[test]
    fn elsewhere_than_on_docker_hub_it_is_medium() {
        assert_eq!(matched(judged("ghcr.io/acme/postgres")).severity, Some(Severity::Medium));
    }

    #[test]
    fn declarations_are_read_and_the_rest_is_not() {
        let event = declared(workload(WorkloadKind::TaskDefinition, "vibersastra/golang"));
        matched(Given::none().judge(&DETECTION, &event, &Policy::default()));
        not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
        passed(judged(&digest()));
    }
}
