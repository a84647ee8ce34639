//! Image manifests: what a pushed document describes, by its content.
//!
//! Signatures and attestations are pushed beside the images they speak of and nothing runs from them, so
//! they raise nothing. Whoever pushes chooses every word of a manifest; so it counts as an image unless
//! every layer says that it is something else, and is no larger than such a thing would be.

use serde_json::Value;

use crate::activity::Artifact;
use crate::source::fields::{count, get, list_of, str};

/// Signatures are a few hundred bytes, attestations and bills of materials a few megabytes.
const MAX_METADATA: u64 = 16 * 1024 * 1024;

pub(super) struct Manifest {
    pub media_type: Option<String>,
    pub artifact: Artifact,
    pub children: Vec<String>,
}

/// `None` where it is no JSON object.
pub(super) fn parse(text: &str) -> Option<Manifest> {
    let manifest: Value = serde_json::from_str(text).ok()?;
    manifest.is_object().then(|| Manifest {
        media_type: str(&manifest, "mediaType").map(str::to_owned),
        artifact: artifact(&manifest),
        children: list_of(&manifest, "manifests")
            .into_iter()
            .filter_map(|child| str(child, "digest").map(str::to_owned))
            .collect(),
    })
}

/// `application/vnd.oci.image.index.v1+json`, `application/vnd.docker.distribution.manifest.list.v2+json`
pub(super) fn is_index(media_type: &str) -> bool {
    media_type.contains("image.index") || media_type.contains("manifest.list")
}

/// What the tag forms of cosign say, for manifests that the event left out.
pub(super) fn artifact_of_tag(tag: &str) -> Artifact {
    let Some((digest, suffix)) = tag.strip_prefix("sha256-").and_then(|rest| rest.split_once('.')) else {
        return Artifact::Image;
    };
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Artifact::Image;
    }
    match suffix {
        "sig" => Artifact::Signature,
        "att" | "sbom" => Artifact::Attestation,
        _ => Artifact::Image,
    }
}

fn artifact(manifest: &Value) -> Artifact {
    let layers: Vec<&Value> =
        ["layers", "blobs", "fsLayers"].iter().flat_map(|key| list_of(manifest, key)).collect();
    if str(manifest, "mediaType").is_some_and(is_index)
        || (layers.is_empty() && get(manifest, "manifests").is_some())
    {
        return Artifact::Index;
    }
    let config = get(manifest, "config").and_then(|config| str(config, "mediaType"));
    let image_config = config.is_none_or(is_image_config);
    let mut kinds: Vec<Layer> = layers.iter().map(|layer| Layer::of(str(layer, "mediaType"))).collect();
    if layers.is_empty() && !image_config {
        // Nothing but what it calls itself.
        kinds.push(str(manifest, "artifactType").map_or(Layer::Other, |kind| Layer::of(Some(kind))));
    }
    let size =
        layers.iter().filter_map(|layer| get(layer, "size").and_then(count)).fold(0_u64, u64::saturating_add);
    let metadata = size <= MAX_METADATA && !kinds.is_empty();
    if kinds.contains(&Layer::Runnable) {
        Artifact::Image
    } else if metadata && kinds.iter().all(|kind| *kind == Layer::Signature) {
        Artifact::Signature
    } else if metadata && kinds.iter().all(|kind| matches!(kind, Layer::Signature | Layer::Attestation)) {
        Artifact::Attestation
    } else if image_config {
        Artifact::Image
    } else {
        Artifact::Other
    }
}

fn is_image_config(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.config")
        || media_type.starts_with("application/vnd.docker.container.image")
}

/// What a layer says it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// A file system, or nothing said.
    Runnable,
    Signature,
    /// An attestation or a bill of materials.
    Attestation,
    Other,
}

impl Layer {
    fn of(media_type: Option<&str>) -> Self {
        let Some(media_type) = media_type.map(str::to_ascii_lowercase) else { return Self::Runnable };
        let has = |words: &[&str]| words.iter().any(|word| media_type.contains(word));
        if has(&["image.rootfs", "oci.image.layer"]) {
            Self::Runnable
        } else if has(&["simplesigning", "sigstore.bundle", "notary.signature", "cosign.artifact.sig"])
            || matches!(media_type.as_str(), "application/jose+json" | "application/cose")
        {
            Self::Signature
        } else if has(&["in-toto", "dsse", "spdx", "cyclonedx", "vnd.syft", "sbom"]) {
            Self::Attestation
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

    fn told(config: &str, layers: &[&str], size: u64) -> Artifact {
        let layers: Vec<Value> = layers.iter().map(|kind| json!({"mediaType": kind, "size": size})).collect();
        let manifest = json!({"schemaVersion": 2, "config": {"mediaType": config}, "layers": layers});
        parse(&manifest.to_string()).unwrap().artifact
    }

    #[test]
    fn manifests_are_told_apart_by_what_their_layers_say() {
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
        let attestation = "application/vnd.in-toto+json";
        assert_eq!(told(OCI_CONFIG, &[layer], 9), Artifact::Image);
        assert_eq!(told(OCI_CONFIG, &[signature], 240), Artifact::Signature);
        assert_eq!(told(OCI_CONFIG, &[attestation, attestation], 9_000), Artifact::Attestation);
        let helm = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
        assert_eq!(told("application/vnd.cncf.helm.config.v1+json", &[helm], 9), Artifact::Other);
        assert_eq!(told(OCI_CONFIG, &[], 0), Artifact::Image, "an image from scratch may have no layer");
    }

    #[test]
    fn a_runnable_image_cannot_pass_for_a_signature() {
        let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
        assert_eq!(told(OCI_CONFIG, &[signature, layer], 9), Artifact::Image);
        assert_eq!(told("application/vnd.oci.empty.v1+json", &[layer], 9), Artifact::Image);
        assert_eq!(told(OCI_CONFIG, &[signature], 40_000_000), Artifact::Image, "no signature is that large");
        assert_eq!(told(OCI_CONFIG, &["application/x-unheard-of"], 9), Artifact::Image);
    }

    #[test]
    fn an_index_names_its_children() {
        let text = json!({
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"digest": "sha256:aa"}, {"digest": "sha256:bb"}, {}],
        });
        let index = parse(&text.to_string()).unwrap();
        assert_eq!((index.artifact, index.children.len()), (Artifact::Index, 2));
    }

    #[test]
    fn a_tag_is_told_only_in_cosigns_exact_form() {
        let digest = "ab".repeat(32);
        assert_eq!(artifact_of_tag(&format!("sha256-{digest}.sig")), Artifact::Signature);
        assert_eq!(artifact_of_tag(&format!("sha256-{digest}.att")), Artifact::Attestation);
        assert_eq!(artifact_of_tag("sha256-abc.sig"), Artifact::Image);
        assert_eq!(artifact_of_tag("v1.sig"), Artifact::Image);
    }

    #[test]
    fn what_is_no_manifest_is_none() {
        assert!(parse("{").is_none());
        assert!(parse("[]").is_none());
        assert!(parse(&"[".repeat(100_000)).is_none());
    }
}
