//! Under which keys a place is remembered: every identity that an event gives it, since the next event
//! may give another.

use super::Kind;
use crate::activity::Place;

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
    }
    records
}
