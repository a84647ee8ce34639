//! Image manifests: what a pushed document describes, by its content.
//!
//! Signatures and attestations are pushed beside the images that they describe, and nothing runs from them, so
//! they raise no alert. Whoever pushes chooses every word of a manifest. So a manifest counts as an image
//! unless every layer has a media type on the list of metadata types, and the whole is no larger than
//! metadata can be.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::activity::Artifact;
use crate::source::fields::{get, list_of, str};

/// Bytes. Signatures have a few hundred, attestations, bills of materials and Helm charts a few megabytes.
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

fn artifact(manifest: &Value) -> Artifact {
    let layers: Vec<&Value> =
        ["layers", "blobs", "fsLayers"].iter().flat_map(|key| list_of(manifest, key)).collect();
    if str(manifest, "mediaType").is_some_and(is_index)
        || (layers.is_empty() && get(manifest, "manifests").is_some())
    {
        return Artifact::Index;
    }
    if layers.is_empty() {
        // An image from scratch may have no layer. So only the type of the configuration decides whether this is
        // an artifact; the manifest's own name for itself decides which one.
        let config = get(manifest, "config").and_then(|config| str(config, "mediaType"));
        return match (config.and_then(metadata), str(manifest, "artifactType").and_then(metadata)) {
            (None, _) => Artifact::Image,
            (Some(config), artifact) => artifact.unwrap_or(config),
        };
    }
    let mut size = 0_u64;
    let mut found = Artifact::Signature;
    for layer in layers {
        // A size that is not told may be any.
        let Some(bytes) = get(layer, "size").and_then(Value::as_u64) else { return Artifact::Image };
        size = size.saturating_add(bytes);
        found = match (str(layer, "mediaType").and_then(metadata), found) {
            (None, _) => return Artifact::Image,
            (Some(Artifact::Signature), found) => found,
            (Some(Artifact::Attestation), Artifact::Signature) => Artifact::Attestation,
            (Some(Artifact::Attestation), found) => found,
            (Some(_), _) => Artifact::Other,
        };
    }
    if size > MAX_METADATA { Artifact::Image } else { found }
}

/// What a media type on the list holds; `None` for every other type.
fn metadata(media_type: &str) -> Option<Artifact> {
    static TYPES: LazyLock<HashMap<&str, Artifact>> = LazyLock::new(|| {
        let lines = include_str!("data/metadata-types.txt").lines();
        lines
            .filter_map(|line| {
                let (kind, media_type) = line.split_once(' ')?;
                let artifact = match kind {
                    "signature" => Artifact::Signature,
                    "attestation" => Artifact::Attestation,
                    "other" => Artifact::Other,
                    _ => return None,
                };
                Some((media_type, artifact))
            })
            .collect()
    });
    let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    TYPES.get(bare.as_str()).copied()
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

    /// Docker's classic store takes layers by prefix, and a few types that registries were known to invent.
    #[test]
    fn an_image_dressed_as_an_artifact_is_an_image() {
        for kind in [
            "application/octet-stream",
            "application/json",
            "text/html",
            "application/vnd.docker.sbom.tar.gzip",
            "application/vnd.docker.dsse.envelope+json",
            "application/vnd.docker.in-toto+json",
            "application/vnd.oci.image.spdx",
            "application/vnd.in-toto+json.tar.gzip",
            "application/wasm",
            "",
        ] {
            assert_eq!(told(OCI_CONFIG, &[kind], 9_000), Artifact::Image, "{kind}");
            assert_eq!(told("application/vnd.oci.empty.v1+json", &[kind], 9_000), Artifact::Image, "{kind}");
        }
    }

    #[test]
    fn metadata_has_a_size_and_a_small_one() {
        let bundle = "application/vnd.dev.sigstore.bundle+json;version=0.3";
        assert_eq!(told(OCI_CONFIG, &[bundle], 9_000), Artifact::Signature);
        assert_eq!(told(OCI_CONFIG, &[bundle], 17_000_000), Artifact::Image);
        assert_eq!(told(OCI_CONFIG, &[bundle, bundle], 9_000_000), Artifact::Image, "together");
        let helm = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
        assert_eq!(told("application/vnd.cncf.helm.config.v1+json", &[helm], 900_000_000), Artifact::Image);
        let unsized_layer = json!({"config": {"mediaType": OCI_CONFIG}, "layers": [{"mediaType": bundle}]});
        assert_eq!(parse(&unsized_layer.to_string()).unwrap().artifact, Artifact::Image);
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = include_str!("data/metadata-types.txt").lines();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let (_, media_type) = line.split_once(' ').unwrap();
            assert!(metadata(media_type).is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_none() {
        assert!(parse("{").is_none());
        assert!(parse("[]").is_none());
        assert!(parse(&"[".repeat(100_000)).is_none());
    }
}
