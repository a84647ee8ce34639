//! References to container images, as a registry client reads them.

/// An image reference in its full form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry, lower case, without the default port: `docker.io`.
    pub host: String,
    /// Namespace and name: `library/nginx`.
    pub path: String,
    pub tag: Option<String>,
    /// `sha256:...`
    pub digest: Option<String>,
}

/// Docker Hub answers to all of these.
const HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// Prefixes that runtimes put in front of a reference.
const SCHEMES: [&str; 6] =
    ["docker-pullable://", "docker://", "containerd://", "oci://", "https://", "http://"];

impl Reference {
    /// Reads a reference. `None` where the text names no repository: a bare digest, an unresolved
    /// placeholder, or something that no registry client would take.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 2048 {
            return None;
        }
        let text = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest).filter(|digest| is_digest(digest))),
            None => (text, None),
        };
        if is_digest(name) || is_hex(name) {
            return None;
        }
        let (name, tag) = match name.rsplit_once(':') {
            // A colon before the last slash belongs to the registry's port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.to_ascii_lowercase(), path.to_owned()),
            Some(_) => (HUB[0].to_owned(), name.to_owned()),
            None => (HUB[0].to_owned(), format!("library/{name}")),
        };
        let host = host.strip_suffix(":443").map_or(host.clone(), str::to_owned);
        let (host, path) = if HUB.contains(&host.as_str()) {
            let path = if path.contains('/') { path } else { format!("library/{path}") };
            (HUB[0].to_owned(), path)
        } else {
            (host, path)
        };
        let fits = path.split('/').all(is_component)
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
            && tag.is_none_or(is_tag);
        fits.then(|| Self { host, path, tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// `docker.io/library/nginx`: what subjects and policy patterns are made of.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What stands before the name; empty where nothing does.
    pub fn namespace(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// Whether the policy's pattern names it: a registry, a namespace, a repository, or one with its
    /// tag or digest. `*` in the registry's part stays within it.
    pub fn fits(&self, pattern: &str) -> bool {
        let (host, path) = match pattern.split_once('/') {
            Some((host, path)) if is_host(host) || host.contains(['*', '?']) => (host, path.to_owned()),
            Some(_) => (HUB[0], pattern.to_owned()),
            None if pattern.chars().all(|c| c == '*') || is_host(pattern) => (pattern, "*".to_owned()),
            None => (HUB[0], format!("library/{pattern}")),
        };
        let host = if HUB.contains(&host) { HUB[0] } else { host.strip_suffix(":443").unwrap_or(host) };
        if !crate::policy::like(&host.to_ascii_lowercase(), &self.host) {
            return false;
        }
        let path = path.trim_end_matches('/');
        let like = |pattern: &str, text: &str| crate::policy::like(pattern, text);
        let tagged = self.tag.as_ref().map(|tag| format!("{}:{tag}", self.path));
        let pinned = self.digest.as_ref().map(|digest| format!("{}@{digest}", self.path));
        path.is_empty()
            || like(path, &self.path)
            || like(&format!("{path}/*"), &self.path)
            || tagged.is_some_and(|tagged| like(path, &tagged))
            || pinned.is_some_and(|pinned| like(path, &pinned))
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        Ok(())
    }
}

/// The first part of a name is a registry when it could be a host.
fn is_host(part: &str) -> bool {
    let name = part.split(':').next().unwrap_or_default();
    name.contains('.') && !part.contains(':')
        || name == "localhost"
        || part.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty()
        })
}

fn is_component(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && part.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

fn is_tag(tag: &str) -> bool {
    super::shape::tag(tag).is_some()
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| algorithm.starts_with("sha") && is_hex(hex))
}

fn is_hex(text: &str) -> bool {
    text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).map_or("none".to_owned(), |reference| reference.to_string())
    }

    #[test]
    fn short_names_are_docker_hubs() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("team/app", "docker.io/team/app"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("docker-pullable://quay.io/a/b@sha256:00", "quay.io/a/b"),
            ("localhost:5000/a:2", "localhost:5000/a:2"),
            ("Registry.Example.com:443/a/b/c", "registry.example.com/a/b/c"),
            ("registry.example.com:8443/a", "registry.example.com:8443/a"),
        ] {
            assert_eq!(full(text), expected);
        }
        let digest = format!("sha256:{}", "0a".repeat(32));
        let read = Reference::parse(&format!("quay.io/a/b:1@{digest}")).unwrap();
        assert_eq!((read.tag.as_deref(), read.digest.as_deref()), (Some("1"), Some(digest.as_str())));
    }

    #[test]
    fn what_names_no_repository_is_none() {
        let digest = "0a".repeat(32);
        for text in [
            "",
            " ",
            "a//b",
            "quay.io/../x",
            "quay.io/",
            "${IMAGE}",
            "a b",
            "a:b c",
            &digest,
            &format!("sha256:{digest}"),
        ] {
            assert_eq!(full(text), "none", "{text}");
        }
    }

    #[test]
    fn patterns_name_registries_namespaces_and_repositories() {
        let fits = |pattern: &str, text: &str| Reference::parse(text).unwrap().fits(pattern);
        for (pattern, text) in [
            ("registry.example.com/team/*", "registry.example.com/team/app:1"),
            ("registry.example.com/team", "registry.example.com/team/app"),
            ("registry.example.com", "registry.example.com/team/app"),
            ("*.example.com/team", "registry.example.com/team/app"),
            ("nginx", "nginx:1.27"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("docker.io/library/*", "nginx"),
            ("team/*", "team/app"),
            ("localhost:5000", "localhost:5000/x"),
            ("*", "ghcr.io/a/b"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("registry.example.com/team/*", "registry.example.com.evil.example/team/app"),
            ("registry.example.com/team", "registry.example.com/teams/app"),
            ("*.example.com/*", "evil.test/registry.example.com/app"),
            ("team/*", "quay.io/team/app"),
            ("nginx:1.27", "nginx:1.26"),
            ("nginx", "evil/nginx"),
            ("docker.io/library/nginx", "docker.io/library/nginx2"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_may_pin_a_digest() {
        let digest = |byte: &str| format!("sha256:{}", byte.repeat(32));
        let image = Reference::parse(&format!("nginx@{}", digest("0a"))).unwrap();
        assert!(image.fits(&format!("nginx@{}", digest("0a"))));
        assert!(!image.fits(&format!("nginx@{}", digest("0b"))));
    }
}
