//! nodeadm's `NodeConfig` (EKS): flags of the kubelet and the configuration of containerd.

use super::tree::{self, Fault, Ref};
use super::{At, Decoder, Kind, Language, Layer, cloud_config, salvage};

pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::NodeConfig, at, text.len());
    let at = at.inside("NodeConfig");
    let tree = tree::from_yaml(text);
    let over = std::mem::take(&mut decoder.over);
    for root in tree.roots() {
        // `spec.kubelet.flags` is the setting `kubelet.flags`.
        for (name, value) in root.get("spec").and_then(Ref::entries).into_iter().flatten() {
            cloud_config::walk(decoder, &at.inside(&format!("spec.{name}")), name, value, 0);
        }
    }
    let error = tree.error.clone().or(decoder.over.then(|| Fault::bound("YAML: expands beyond the bounds")));
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, &at, text, &error, Language::Shell, &mut layer);
    }
    layer
}
