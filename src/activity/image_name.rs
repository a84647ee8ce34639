//! References to container images: registry, repository, tag and digest, as container runtimes read them.
//!
//! The rules are those of the distribution project's reference grammar, with Docker Hub as the registry
//! of names that name none.

use super::ContainerImage;

/// Where names without a registry lead.
pub const DOCKER_HUB: &str = "docker.io";

/// The longest repository with its registry, in bytes.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A container image reference taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    /// Host in lower case, with its port where it names one: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// `library/nginx`, `team/app`
    pub repository: String,
    /// As written. A reference with neither tag nor digest leads to `latest`.
    pub tag: Option<String>,
    /// `sha256:...`
    pub digest: Option<String>,
}

impl ImageName {
    /// Takes a reference apart; `None` where no runtime would accept it.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match without_scheme(text).split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest.to_owned())),
            Some(_) => return None,
            None => (without_scheme(text), None),
        };
        let (path, tag) = split_tag(name);
        if path.len() > MAX_NAME || tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (registry, repository) = match path.split_once('/') {
            Some((host, rest)) if is_host(host) => (host.to_ascii_lowercase(), rest),
            _ => (DOCKER_HUB.to_owned(), path),
        };
        let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&registry.as_str());
        let registry = if hub { DOCKER_HUB.to_owned() } else { registry };
        if !is_repository(repository) {
            return None;
        }
        let official = hub && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        Some(Self { registry, repository, tag: tag.map(str::to_owned), digest })
    }

    /// What policies list: `registry.example.com/team/app`, without tag and digest.
    pub fn full(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The account and the region of a private ECR registry; `None` for every other registry, also for
    /// those that only look like one.
    pub fn ecr(&self) -> Option<(&str, &str)> {
        let (account, rest) = self.registry.split_once('.')?;
        let region = ECR_HOSTS.iter().find_map(|(front, back)| {
            rest.strip_prefix(front)?.strip_suffix(back).filter(|region| !region.contains('.'))
        })?;
        let digits = account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit());
        (digits && !region.is_empty()).then_some((account, region))
    }
}

/// What stands before and after the region in the host names of private ECR registries, which partitions
/// and dual-stack endpoints spell differently.
const ECR_HOSTS: [(&str, &str); 13] = [
    ("dkr.ecr.", ".amazonaws.com"),
    ("dkr.ecr-fips.", ".amazonaws.com"),
    ("dkr-ecr.", ".on.aws"),
    ("dkr-ecr-fips.", ".on.aws"),
    ("dkr.ecr.", ".amazonaws.com.cn"),
    ("dkr-ecr.", ".on.amazonwebservices.com.cn"),
    ("dkr.ecr.", ".amazonaws.eu"),
    ("dkr-ecr.", ".on.amazonwebservices.eu"),
    ("dkr.ecr.", ".c2s.ic.gov"),
    ("dkr.ecr.", ".sc2s.sgov.gov"),
    ("dkr.ecr.", ".cloud.adc-e.uk"),
    ("dkr.ecr.", ".csp.hci.ic.gov"),
    ("dkr.ecr-fips.", ".amazonaws.com.cn"),
];

impl ContainerImage {
    /// An image as an event names it: `NAME[:TAG][@DIGEST]`, a bare digest, or either behind a runtime's
    /// `docker-pullable://`. What is no well-formed digest stays part of the name.
    pub fn parse(text: &str) -> Self {
        let text = without_scheme(text);
        if is_digest(text) {
            return Self { name: String::new(), digest: Some(text.to_owned()) };
        }
        match text.split_once('@') {
            Some((name, digest)) if is_digest(digest) => {
                Self { name: name.to_owned(), digest: Some(digest.to_owned()) }
            }
            _ => Self { name: text.to_owned(), digest: None },
        }
    }

    /// The name taken apart, with the digest; `None` where it is empty or malformed.
    pub fn parts(&self) -> Option<ImageName> {
        let name = ImageName::parse(&self.name)?;
        Some(ImageName { digest: self.digest.clone().or(name.digest), ..name })
    }
}

/// Without `docker-pullable://` and its like. A registry's name never holds a slash pair.
fn without_scheme(text: &str) -> &str {
    let text = text.trim();
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

/// A colon before the last slash is a port's.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    }
}

/// `sha256:` and the like, with at least 32 hexadecimal digits.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with(|it: char| it.is_ascii_alphabetic())
            && algorithm.bytes().all(|it| it.is_ascii_alphanumeric() || b"+._-".contains(&it))
            && (32..=256).contains(&hex.len())
            && hex.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= MAX_TAG
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it))
}

/// Whether the part before the first slash is a registry, as runtimes decide it.
fn is_host(part: &str) -> bool {
    let told =
        part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|it| it.is_ascii_uppercase());
    told && part.bytes().all(|it| it.is_ascii_alphanumeric() || b".-:[]_".contains(&it))
}

fn is_repository(path: &str) -> bool {
    path.split('/').all(|part| {
        part.starts_with(|it: char| it.is_ascii_lowercase() || it.is_ascii_digit())
            && part.ends_with(|it: char| it.is_ascii_lowercase() || it.is_ascii_digit())
            && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1";

    #[test]
    fn references_lead_where_a_runtime_would_pull_from() {
        let pinned = format!("ghcr.io/team/app:v1@{DIGEST}");
        for (text, full, tag) in [
            ("nginx", "docker.io/library/nginx", None),
            ("nginx:1.27", "docker.io/library/nginx", Some("1.27")),
            ("docker.io/nginx", "docker.io/library/nginx", None),
            ("index.docker.io/library/nginx:1", "docker.io/library/nginx", Some("1")),
            ("acme/tool:latest", "docker.io/acme/tool", Some("latest")),
            ("localhost/tool", "localhost/tool", None),
            ("localhost:5000/tool:1", "localhost:5000/tool", Some("1")),
            ("registry.example.com:8443/a/b/c", "registry.example.com:8443/a/b/c", None),
            ("tool:5000", "docker.io/library/tool", Some("5000")),
            ("GHCR.io/team/app", "ghcr.io/team/app", None),
            ("docker-pullable://quay.io/a/b:c", "quay.io/a/b", Some("c")),
            (pinned.as_str(), "ghcr.io/team/app", Some("v1")),
        ] {
            let name = ImageName::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((name.full().as_str(), name.tag.as_deref()), (full, tag), "{text}");
        }
        assert_eq!(ImageName::parse(&pinned).unwrap().digest.as_deref(), Some(DIGEST));
    }

    #[test]
    fn what_no_runtime_accepts_is_no_name() {
        for text in [
            "",
            "/",
            "a//b",
            "nginx:",
            "nginx:-x",
            "docker.io/Nginx",
            "reg.example.com/",
            "a b",
            "evil\u{202e}gnp",
            "nginx@sha256:short",
            "nginx@",
            "../../etc",
        ] {
            assert_eq!(ImageName::parse(text), None, "{text}");
        }
        assert_eq!(ImageName::parse(&"a/".repeat(100_000)), None);
    }

    #[test]
    fn only_ecrs_own_hosts_are_ecr() {
        let ecr = |host: &str| {
            ImageName::parse(&format!("{host}/app")).unwrap().ecr().map(|(a, r)| format!("{a} {r}"))
        };
        for host in [
            "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
            "111122223333.dkr.ecr-fips.eu-central-1.amazonaws.com",
            "111122223333.dkr-ecr.eu-central-1.on.aws",
        ] {
            assert_eq!(ecr(host).as_deref(), Some("111122223333 eu-central-1"), "{host}");
        }
        assert_eq!(
            ecr("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn").as_deref(),
            Some("111122223333 cn-north-1")
        );
        for host in [
            "111122223333.dkr.ecr.eu-central-1.amazonaws.com.example.net",
            "111122223333.dkr.ecr.x.y.amazonaws.com",
            "11112222333.dkr.ecr.eu-central-1.amazonaws.com",
            "public.ecr.aws",
            "111122223333.dkr.ecr..amazonaws.com",
        ] {
            assert_eq!(ecr(host), None, "{host}");
        }
    }

    #[test]
    fn images_keep_their_name_and_digest_apart() {
        let image = ContainerImage::parse(&format!("docker-pullable://quay.io/a/b@{DIGEST}"));
        assert_eq!((image.name.as_str(), image.digest.as_deref()), ("quay.io/a/b", Some(DIGEST)));
        assert_eq!(ContainerImage::parse(DIGEST).name, "");
        assert_eq!(ContainerImage::parse("a@b").name, "a@b", "nothing is lost of what is malformed");
        assert_eq!(ContainerImage::parse("a@b").parts(), None);
        assert_eq!(image.parts().unwrap().digest.as_deref(), Some(DIGEST));
    }
}
