//! Container images as runtimes write them.

use crate::activity::ContainerImage;

/// An image from its name and, where the runtime tells it, its id: `docker-pullable://repo@sha256:...`,
/// `repo@sha256:...`. An id that is a bare `sha256:...` is the configuration's digest, which no registry
/// knows, and is not taken for the image's.
pub(super) fn image(name: Option<&str>, id: Option<&str>) -> Option<ContainerImage> {
    let name = name.map(bare).filter(|name| !name.is_empty());
    let id = id.map(bare).filter(|id| !id.is_empty());
    let in_name = name.and_then(|name| name.split_once('@'));
    let in_id = id.and_then(|id| id.split_once('@'));
    let named = in_name.map(|(name, _)| name).or(name).filter(|name| !is_digest(name));
    // A name that is only a digest says less than the repository in the id.
    let written = named.or(in_id.map(|(repository, _)| repository)).or(name).or(id)?;
    let digest = in_name.or(in_id).map(|(_, digest)| digest).filter(|digest| is_digest(digest));
    Some(ContainerImage { name: written.to_owned(), digest: digest.map(str::to_owned) })
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

fn is_digest(text: &str) -> bool {
    let Some((kind, hex)) = text.split_once(':') else { return false };
    kind.starts_with("sha") && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_names_and_ids_in_every_runtimes_spelling() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (name, id, told, has_digest) in [
            (
                "quay.io/team/app:1",
                format!("docker-pullable://quay.io/team/app@{digest}"),
                "quay.io/team/app:1",
                true,
            ),
            (
                "docker.io/library/nginx:1.27",
                format!("docker.io/library/nginx@{digest}"),
                "docker.io/library/nginx:1.27",
                true,
            ),
            ("", format!("quay.io/team/app@{digest}"), "quay.io/team/app", true),
            (digest.as_str(), format!("quay.io/team/app@{digest}"), "quay.io/team/app", true),
            ("localhost:5000/app:dev", format!("docker://{digest}"), "localhost:5000/app:dev", false),
            ("nginx", String::new(), "nginx", false),
        ] {
            let image = image(Some(name), Some(&id)).unwrap();
            assert_eq!((image.name.as_str(), image.digest.is_some()), (told, has_digest), "{name} {id}");
        }
        let pinned = format!("registry.example.com/app@{digest}");
        assert_eq!(image(Some(&pinned), None).unwrap().digest, Some(digest));
        assert_eq!(image(None, Some("")), None);
    }
}
