//! How events write container images. What a reference leads to, detections work out (`detection::reference`).

use super::ContainerImage;

impl ContainerImage {
    /// An image as an event names it: `NAME[:TAG][@DIGEST]`, a bare digest, or either behind a runtime's
    /// `docker-pullable://`. What is no well-formed digest stays part of the name.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1";

    #[test]
    fn images_keep_their_name_and_digest_apart() {
        let image = ContainerImage::parse(&format!("docker-pullable://quay.io/a/b@{DIGEST}"));
        assert_eq!((image.name.as_str(), image.digest.as_deref()), ("quay.io/a/b", Some(DIGEST)));
        let tagged = ContainerImage::parse(&format!("localhost:5000/a:1@{DIGEST}"));
        assert_eq!((tagged.name.as_str(), tagged.digest.as_deref()), ("localhost:5000/a:1", Some(DIGEST)));
        assert_eq!(ContainerImage::parse(DIGEST).name, "");
        for malformed in ["a@b", "a@sha256:short", "tool:5000", ""] {
            let image = ContainerImage::parse(malformed);
            assert_eq!((image.name.as_str(), image.digest), (malformed, None), "nothing is lost");
        }
    }
}
