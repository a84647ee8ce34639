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

/// Characters of a reference that are read, and of its path, as the distribution bounds them.
const LONGEST: usize = 2048;
const LONGEST_PATH: usize = 255;

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
        if text.len() > LONGEST {
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
        let (name, tag) = split_tag(name);
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.to_owned(), path.to_owned()),
            Some(_) => (HUB[0].to_owned(), name.to_owned()),
            None => (HUB[0].to_owned(), format!("library/{name}")),
        };
        let host = normal_host(&host);
        let (host, path) = if HUB.contains(&host.as_str()) {
            let path = if path.contains('/') { path } else { format!("library/{path}") };
            (HUB[0].to_owned(), path)
        } else {
            (host, path)
        };
        let fits = path.len() <= LONGEST_PATH
            && path.split('/').all(is_component)
            && is_registry(&host)
            && tag.is_none_or(is_tag);
        fits.then(|| Self {
            host,
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_ascii_lowercase),
        })
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
        let (host, path) = split_pattern(pattern);
        if !crate::policy::like(&host, &self.host) {
            return false;
        }
        let path = path.trim_end_matches('/');
        let like = |pattern: &str, text: &str| crate::policy::like(pattern, text);
        if let Some((name, digest)) = path.split_once('@') {
            // A tag beside a digest says nothing.
            let name = split_tag(name).0;
            return self.digest.as_deref().is_some_and(|own| like(&digest.to_ascii_lowercase(), own))
                && like(name, &self.path);
        }
        // Registry clients read a name without tag and digest as `latest`.
        let tag = self.tag.as_deref().or(if self.digest.is_none() { Some("latest") } else { None });
        path.is_empty()
            || like(path, &self.path)
            || like(&format!("{path}/*"), &self.path)
            || tag.is_some_and(|tag| like(path, &format!("{}:{tag}", self.path)))
    }
}

/// A pattern's registry and path in their normal form.
fn split_pattern(pattern: &str) -> (String, String) {
    let (host, path) = match pattern.split_once('/') {
        Some((host, path)) if is_host(host) || host.contains(['*', '?']) => (host, path.to_owned()),
        Some(_) => (HUB[0], pattern.to_owned()),
        None if pattern.chars().all(|c| c == '*') || is_registry_alone(pattern) => (pattern, "*".to_owned()),
        None => (HUB[0], format!("library/{pattern}")),
    };
    let host = normal_host(host);
    if !HUB.contains(&host.as_str()) {
        return (host, path);
    }
    // `docker.io/memcached` is `docker.io/library/memcached`; `docker.io/*` is everything there.
    let official = !path.is_empty() && !path.contains(['/', '*', '?']);
    (HUB[0].to_owned(), if official { format!("library/{path}") } else { path })
}

/// A pattern that is a registry and nothing else: `tool:5000` is a name with a tag.
fn is_registry_alone(pattern: &str) -> bool {
    let name = pattern.split(':').next().unwrap_or_default();
    is_host(pattern) && (name.contains('.') || name == "localhost")
}

/// Why no reference fits a pattern, where none does.
pub fn pattern_fault(pattern: &str) -> Option<&'static str> {
    if pattern.len() > LONGEST {
        return Some("it is longer than any reference");
    }
    if pattern.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("references hold no spaces");
    }
    let (host, path) = split_pattern(pattern);
    if !host.bytes().all(|byte| is_host_byte(byte) || b"*?".contains(&byte)) {
        return Some("its registry is no host name");
    }
    let path = path.trim_end_matches('/');
    let (name, digest) = path.split_once('@').map_or((path, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = split_tag(name);
    if let Some(digest) = digest {
        let hex = digest.split_once(':').map(|(_, hex)| hex);
        let open = digest.contains('*');
        let sound = hex.is_some_and(|hex| {
            hex.bytes().all(|byte| byte.is_ascii_hexdigit() || b"*?".contains(&byte))
                && (open || hex.len() >= 64)
        });
        if !sound && digest != "*" {
            return Some("its digest is none");
        }
        if tag.is_some_and(|tag| tag.contains(['*', '?'])) {
            return Some("a digest alone decides, so that no tag is matched beside it");
        }
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("repositories have no capital letters");
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/*?".contains(&byte);
    if !name.bytes().all(allowed) || name.contains("//") || name.starts_with('/') {
        return Some("no repository is called so");
    }
    let sound = |tag: &str| {
        !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-*?".contains(&byte))
    };
    if tag.is_some_and(|tag| !sound(tag) || tag.starts_with(['.', '-']) || tag.len() > 128) {
        return Some("no tag is called so");
    }
    None
}

/// A name and its tag. A colon before the last slash belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    }
}

/// A registry in its normal form: in lower case, without the default port and the root's dot. One that only a
/// capital letter tells from a namespace keeps its case: `Depot/app` is not `docker.io/depot/app`.
fn normal_host(host: &str) -> String {
    let lower = host.to_ascii_lowercase();
    let host = if is_host(&lower) { &lower } else { host };
    let host = host.strip_suffix(":443").unwrap_or(host);
    match host.rsplit_once(':') {
        Some((name, port)) => format!("{}:{port}", name.strip_suffix('.').unwrap_or(name)),
        None => host.strip_suffix('.').unwrap_or(host).to_owned(),
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

/// Whether the first part of a name is a registry, as the distribution reads it: it holds a dot or a colon, is
/// `localhost`, or has a capital letter, which no namespace has.
pub fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte)
}

fn is_registry(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    !name.is_empty()
        && host.bytes().all(is_host_byte)
        && port.is_none_or(|port| {
            (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
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
    fn references_and_patterns_have_one_normal_form() {
        for (text, expected) in [
            // Found by fuzzing: the normal form of a reference is read as it was.
            ("Depot/app", "Depot/app"),
            ("registry.example.com./a", "registry.example.com/a"),
            ("registry.example.com.:443/a", "registry.example.com/a"),
            ("registry.example.com:port/a", "none"),
            ("registry-1.docker.io/redis", "docker.io/library/redis"),
        ] {
            assert_eq!(full(text), expected, "{text}");
        }
        assert_eq!(full(&format!("a/{}", "x".repeat(300))), "none");
        let digest = format!("sha256:{}", "0A".repeat(32));
        let fits = |pattern: &str, text: &str| Reference::parse(text).unwrap().fits(pattern);
        for (pattern, text) in [
            ("docker.io/memcached", "memcached:1.6"),
            ("index.docker.io/memcached", "memcached"),
            ("docker.io/*", "team/app"),
            ("nginx:latest", "nginx"),
            ("Registry.Example.com:443/team", "registry.example.com/team/app"),
            ("depot", "library/depot"),
            ("depot/app", "depot/app"),
            (&format!("nginx:1.27@{digest}"), &format!("nginx@{}", digest.to_ascii_lowercase())),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
            assert_eq!(pattern_fault(pattern), None, "{pattern}");
        }
        assert!(!fits("docker.io/memcached", "evil/memcached"));
        assert!(!fits("nginx:latest", &format!("nginx@{digest}")));
    }

    #[test]
    fn a_pattern_may_pin_a_digest() {
        let digest = |byte: &str| format!("sha256:{}", byte.repeat(32));
        let image = Reference::parse(&format!("nginx@{}", digest("0a"))).unwrap();
        assert!(image.fits(&format!("nginx@{}", digest("0a"))));
        assert!(!image.fits(&format!("nginx@{}", digest("0b"))));
    }
}
