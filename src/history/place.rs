//! Under which keys a place is remembered: every identity that an event gives it, since the next event
//! may give another.

use super::Kind;
use crate::activity::{Instance, Place};

/// Record kinds and ids of a place, each once.
pub fn records(place: &Place) -> Vec<(Kind, String)> {
    let mut records = Vec::new();
    if let Some(pod) = &place.pod {
        let namespace = place.namespace.as_deref().unwrap_or("default");
        records.push((Kind::Container, format!("pod/{namespace}/{pod}")));
    }
    if let Some(container) = &place.container {
        // Logs shorten ids to different lengths; twelve characters is what all of them keep.
        let id: String = container.chars().take(12).collect();
        records.push((Kind::Container, format!("container/{id}")));
    }
    if let Some(task) = &place.task {
        records.push((Kind::Container, format!("task/{task}")));
    }
    if let Some(instance) = place.instance.as_ref().or(place.network_interface.as_ref()) {
        records.push((Kind::Instance, instance.clone()));
    } else if let Some((vpc, address)) = place.vpc.as_ref().zip(place.address) {
        records.push((Kind::Instance, self::address(vpc, &address.to_string())));
    }
    records
}

/// An address, which means something only within its VPC.
pub fn address(vpc: &str, address: &str) -> String {
    format!("address/{vpc}/{address}")
}

/// What a started instance is also known by: flow logs name its interface, query logs its address.
pub fn faces(instance: &Instance) -> Vec<String> {
    let address = instance.vpc.as_ref().zip(instance.private_ip.as_ref());
    let address = address.map(|(vpc, address)| self::address(vpc, address));
    instance.network_interfaces.first().cloned().into_iter().chain(address).collect()
}
