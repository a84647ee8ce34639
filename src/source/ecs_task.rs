//! `ECS Task State Change`: pull, creation and start of a task's containers, told by one event.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{Arn, any, objects, str, text, texts};
use crate::activity::{Action, Activity, ContainerImage, Place, Start};

/// One activity a container. A task says so itself while it has not started, and while it is on its way
/// down; its last event, which tells everything once more, is read for those whose first was lost.
pub(super) fn read(detail: &Value, envelope: &Envelope<'_>) -> Reading {
    const NOTHING_NEW: [&str; 6] =
        ["PROVISIONING", "PENDING", "ACTIVATING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"];
    let is = |value: &Value, words: &[&str]| {
        str(value, "lastStatus").is_some_and(|status| words.contains(&status.to_ascii_uppercase().as_str()))
    };
    if is(detail, &NOTHING_NEW) || str(detail, "stopCode") == Some("TaskFailedToStart") {
        return Reading::ignored();
    }
    let listed = objects(detail, "containers");
    let task = Task::new(detail, envelope);
    if listed.is_empty() {
        return Reading::of(vec![task.started(&Value::Null)]);
    }
    let containers = listed.into_iter().filter(|container| !is(container, &["PENDING"]));
    Reading::of(containers.map(|container| task.started(container)).collect())
}

struct Task<'a> {
    detail: &'a Value,
    envelope: &'a Envelope<'a>,
    place: Place,
}

impl<'a> Task<'a> {
    fn new(detail: &'a Value, envelope: &'a Envelope<'a>) -> Self {
        let arn = text(detail, "taskArn").or_else(|| {
            let tasks = envelope.resources.iter().filter(|arn| arn.contains(":task/"));
            tasks.into_iter().next().cloned()
        });
        // `service:web` or `family:batch-import`
        let group = text(detail, "group");
        let workload = group.map(|group| match group.split_once(':') {
            Some((_, name)) => name.to_owned(),
            None => group,
        });
        let place = Place {
            instance: text(detail, "ec2InstanceId"),
            network_interface: interface(detail, "networkInterfaceId"),
            address: interface(detail, "privateIPv4Address").and_then(|address| address.parse().ok()),
            cluster: text(detail, "clusterArn"),
            workload,
            task: arn,
            node: text(detail, "containerInstanceArn"),
            ..Place::default()
        };
        Self { detail, envelope, place }
    }

    fn time(&self, key: &str) -> Option<DateTime<Utc>> {
        self.envelope.time_of(str(self.detail, key)?)
    }

    fn started(&self, container: &Value) -> Activity {
        let image = text(container, "image").map(|image| ContainerImage::parse(&image));
        let digest = text(container, "imageDigest");
        let image = match (image, digest) {
            (image, None) => image,
            (image, Some(digest)) => {
                let name = image.map(|image| image.name).unwrap_or_default();
                Some(ContainerImage { name, digest: Some(digest) })
            }
        };
        let interfaces = objects(container, "networkInterfaces");
        let address = interfaces
            .into_iter()
            .find_map(|it| text(it, "privateIpv4Address").or_else(|| text(it, "ipv6Address")));
        let place = Place {
            container: text(container, "runtimeId").or_else(|| text(container, "containerArn")),
            address: self.place.address.or_else(|| address?.parse().ok()),
            image,
            ..self.place.clone()
        };
        let start = Start {
            place,
            pulled: self.time("pullStoppedAt").or_else(|| self.time("pullStartedAt")),
            created: self.time("createdAt"),
            started: self.time("startedAt"),
            command: self.command(container),
        };
        // The same state is told again whenever it changes, by a higher version.
        let id = self.place.task.as_ref().and_then(|task| {
            Some(format!("{task}|{}", text(self.detail, "version").or_else(|| self.envelope.id.clone())?))
        });
        let account_and_region = self.place.task.as_deref().and_then(Arn::parse);
        let named = |pick: fn(Arn<'_>) -> &str| {
            let part = account_and_region.map(pick).filter(|part| !part.is_empty());
            part.map(str::to_owned)
        };
        let own = Own {
            id,
            time: start.started.or_else(|| self.time("updatedAt")),
            account: self.envelope.account.clone().or_else(|| named(|arn| arn.account)),
            region: self.envelope.region.clone().or_else(|| named(|arn| arn.region)),
        };
        self.envelope.activity(self.detail, own, None, None, Action::ContainerStarted(start))
    }

    /// What replaced the image's command for this container.
    fn command(&self, container: &Value) -> Vec<String> {
        let overrides = any(self.detail, &["overrides"]);
        let replaced = overrides.map(|it| objects(it, "containerOverrides")).unwrap_or_default();
        let own = replaced.into_iter().find(|it| text(it, "name") == text(container, "name"));
        own.map(|it| texts(it, "command")).unwrap_or_default()
    }
}

/// A detail of the task's own network interface.
fn interface(detail: &Value, key: &str) -> Option<String> {
    let attachments = objects(detail, "attachments");
    let interfaces = attachments
        .into_iter()
        .filter(|it| str(it, "type").is_none_or(|kind| ["eni", "ElasticNetworkInterface"].contains(&kind)));
    interfaces
        .flat_map(|attachment| objects(attachment, "details"))
        .find(|field| str(field, "name") == Some(key))
        .and_then(|field| text(field, "value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::tests::{sample, surroundings};

    fn started(event: &Value) -> Vec<(String, Start)> {
        let activities = crate::source::read(event, &surroundings()).activities;
        let starts = activities.into_iter().map(|activity| match activity.action {
            Action::ContainerStarted(start) => {
                assert_eq!(Some(activity.time), start.started);
                (activity.id, start)
            }
            other => panic!("{other:?}"),
        });
        starts.collect()
    }

    #[test]
    fn one_event_tells_pull_creation_start_and_place() {
        let (id, start) = started(&sample("ecs-task-running")).remove(0);
        assert!(id.contains(":task/shop/") && id.ends_with("|4"), "{id}");
        assert!(start.created < start.pulled && start.pulled < start.started);
        let place = start.place;
        assert!(place.network_interface.is_some_and(|it| it.starts_with("eni-")));
        assert_eq!(place.address, "10.20.7.31".parse().ok());
        assert_eq!(place.workload.as_deref(), Some("checkout"));
        assert!(place.container.is_some() && place.cluster.is_some());
        assert!(place.image.is_some_and(|image| image.digest.is_some()));
        let (_, foreign) = started(&sample("ecs-task-running-public-image")).remove(0);
        assert_eq!(foreign.command, ["./start", "--threads", "16"]);
        assert_eq!(foreign.place.image.and_then(|image| image.digest), None);
    }

    #[test]
    fn only_states_that_tell_a_start_are_one() {
        for name in ["ecs-task-pending", "ecs-task-failed-to-start"] {
            assert!(started(&sample(name)).is_empty(), "{name}");
        }
        assert_eq!(started(&sample("ecs-task-stopped")).len(), 1);
        let mut event = sample("ecs-task-running");
        for passing in ["DEACTIVATING", "STOPPING", "DEPROVISIONING"] {
            event["detail"]["lastStatus"] = json!(passing);
            assert!(started(&event).is_empty(), "{passing}");
        }
    }

    #[test]
    fn each_container_is_told_unless_it_still_waits() {
        let mut event = sample("ecs-task-running");
        let mut second = event["detail"]["containers"][0].clone();
        second["image"] = json!("docker.io/acme/sidecar:1");
        second["name"] = json!("sidecar");
        let mut waiting = second.clone();
        waiting["lastStatus"] = json!("PENDING");
        event["detail"]["containers"].as_array_mut().unwrap().extend([second, waiting]);
        let starts = started(&event);
        assert_eq!(starts.len(), 2);
        assert_eq!(starts[0].0, starts[1].0, "one event, one id");
        assert!(starts[1].1.place.image.as_ref().is_some_and(|it| it.name == "docker.io/acme/sidecar:1"));
    }

    #[test]
    fn a_higher_version_is_another_event() {
        let mut event = sample("ecs-task-running");
        let first = started(&event).remove(0).0;
        event["id"] = json!("delivered anew");
        assert_eq!(started(&event).remove(0).0, first);
        event["detail"]["version"] = json!(5);
        assert_ne!(started(&event).remove(0).0, first);
    }
}
