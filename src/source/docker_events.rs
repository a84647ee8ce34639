//! Events of container engines: `docker events` and containerd's (`ctr events`, `nerdctl events`), as JSON
//! and as text.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::envelope::{Envelope, Own};
use super::fields::{any, at, count, get, str};
use super::image_ref;
use super::lines::{filled, line_id};
use crate::activity::{Action, Activity, Place, Process, Pull, Start};

pub(super) fn is_event(value: &Value) -> bool {
    let docker =
        str(value, "Type").is_some() && str(value, "Action").is_some() && get(value, "Actor").is_some();
    docker
        || (str(value, "Topic").is_some_and(|topic| topic.starts_with('/')) && get(value, "Event").is_some())
}

/// # Errors
/// When the event lacks what makes it one.
pub(super) fn read(value: &Value, envelope: &Envelope<'_>, host: &Place) -> Result<Vec<Activity>, String> {
    if let Some(topic) = str(value, "Topic") {
        let time = str(value, "Timestamp").and_then(|time| envelope.time_of(time));
        // nerdctl writes the event as text.
        let parsed;
        let event = match get(value, "Event") {
            Some(Value::String(text)) => {
                parsed = serde_json::from_str(text)
                    .map_err(|error| format!("containerd's Event is no JSON: {error}"))?;
                &parsed
            }
            Some(event) => event,
            None => return Err("a containerd event without Event".to_owned()),
        };
        return Ok(containerd(topic, event, time, envelope, host));
    }
    let action = str(value, "Action").unwrap_or_default();
    let id =
        at(value, &["Actor", "ID"]).or_else(|| get(value, "id")).and_then(Value::as_str).unwrap_or_default();
    let image = at(value, &["Actor", "Attributes", "image"]).and_then(Value::as_str);
    let nanoseconds = get(value, "timeNano").and_then(count).and_then(|nano| i64::try_from(nano).ok());
    let seconds = get(value, "time").and_then(count).and_then(|seconds| i64::try_from(seconds).ok());
    let time = nanoseconds
        .map(DateTime::from_timestamp_nanos)
        .or_else(|| seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)))
        .and_then(|time| envelope.plausible(time));
    let kind = str(value, "Type").unwrap_or_default();
    Ok(docker(&Event { kind, action, id, image, time }, envelope, host))
}

/// One event of Docker's.
struct Event<'a> {
    kind: &'a str,
    action: &'a str,
    id: &'a str,
    image: Option<&'a str>,
    time: Option<DateTime<Utc>>,
}

fn docker(event: &Event<'_>, envelope: &Envelope<'_>, host: &Place) -> Vec<Activity> {
    let container = || Place {
        container: (!event.id.is_empty()).then(|| event.id.to_owned()),
        image: image_ref::image(event.image, None),
        ..host.clone()
    };
    let action = match (event.kind, event.action) {
        ("image", "pull") => pull(event.id, host),
        ("container", "create") => Some(Action::ContainerStarted(Start {
            place: container(),
            created: event.time.or(envelope.time),
            ..Start::default()
        })),
        ("container", "start") => Some(Action::ContainerStarted(Start {
            place: container(),
            started: event.time.or(envelope.time),
            ..Start::default()
        })),
        ("container", action) => action.strip_prefix("exec_start:").map(|line| {
            let line = line.trim();
            let (binary, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            Action::ProcessStarted(Process {
                place: container(),
                binary: binary.to_owned(),
                arguments: arguments.trim_start().to_owned(),
                ..Process::default()
            })
        }),
        _ => None,
    };
    told(action, &[event.kind, event.action, event.id], event.time, envelope, host)
}

fn containerd(
    topic: &str,
    event: &Value,
    time: Option<DateTime<Utc>>,
    envelope: &Envelope<'_>,
    host: &Place,
) -> Vec<Activity> {
    let id = any(event, &["container_id", "id"]).and_then(Value::as_str);
    let container = |image: Option<&str>| Place {
        container: id.map(str::to_owned),
        image: image_ref::image(image, None),
        ..host.clone()
    };
    let at = time.or(envelope.time);
    let action = match topic {
        // The same image is also written under its digest alone.
        "/images/create" => {
            str(event, "name").filter(|name| !name.starts_with("sha256:")).and_then(|name| pull(name, host))
        }
        "/containers/create" => Some(Action::ContainerStarted(Start {
            place: container(str(event, "image")),
            created: at,
            ..Start::default()
        })),
        "/tasks/start" => {
            Some(Action::ContainerStarted(Start { place: container(None), started: at, ..Start::default() }))
        }
        _ => None,
    };
    let name = filled(event, "name").unwrap_or_default();
    told(action, &[topic, id.unwrap_or_default(), &name], time, envelope, host)
}

fn pull(name: &str, host: &Place) -> Option<Action> {
    let image = image_ref::image(Some(name), None)?;
    let place = Place { image: Some(image.clone()), ..host.clone() };
    Some(Action::ImagePulled(Pull { image, place, ..Pull::default() }))
}

fn told(
    action: Option<Action>,
    what: &[&str; 3],
    time: Option<DateTime<Utc>>,
    envelope: &Envelope<'_>,
    host: &Place,
) -> Vec<Activity> {
    let Some(action) = action else { return Vec::new() };
    let time = envelope.line_time(time);
    let [kind, name, id] = what;
    let stamp =
        time.or(envelope.time).and_then(|time| time.timestamp_nanos_opt()).unwrap_or_default().to_string();
    let machine = host.instance.as_deref().or(host.node.as_deref()).unwrap_or_default();
    let own = Own {
        id: Some(line_id("engine", &[*kind, *name, *id, stamp.as_str(), machine])),
        time,
        ..Own::default()
    };
    vec![envelope.activity(&Value::Null, own, None, None, action)]
}

/// Whether a line is an event printed as text.
pub(super) fn is_line(line: &str) -> bool {
    line.starts_with("20") && (ctr(line).is_some() || docker_line(line).is_some())
}

/// `None` where the line is no engine's event printed as text.
pub(super) fn read_line(
    line: &str,
    envelope: &Envelope<'_>,
    host: &Place,
) -> Option<Result<Vec<Activity>, String>> {
    if let Some((time, topic, body)) = ctr(line) {
        let event = match serde_json::from_str::<Value>(body) {
            Ok(event) => event,
            Err(error) => return Some(Err(format!("a containerd event whose body is no JSON: {error}"))),
        };
        return Some(Ok(containerd(topic, &event, envelope.plausible(time), envelope, host)));
    }
    let (time, kind, action, id, attributes) = docker_line(line)?;
    let image = attributes.split(", ").find_map(|attribute| attribute.strip_prefix("image="));
    let time = envelope.plausible(time);
    Some(Ok(docker(&Event { kind, action, id, image, time }, envelope, host)))
}

/// `2026-03-06 09:01:02.345678901 +0000 UTC k8s.io /tasks/start {"container_id":"..."}`
fn ctr(line: &str) -> Option<(DateTime<Utc>, &str, &str)> {
    let (head, body) = line.split_once(" {")?;
    let body = line.get(line.len().checked_sub(body.len())?.checked_sub(1)?..)?;
    let (head, topic) = head.rsplit_once(' ')?;
    if !topic.starts_with('/') {
        return None;
    }
    let mut words = head.split(' ');
    let clock = format!("{} {}", words.next()?, words.next()?);
    let time = NaiveDateTime::parse_from_str(&clock, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    // Anything but UTC would need its offset.
    let offset = words.next()?;
    let time = DateTime::parse_from_str(&format!("{clock} {offset}"), "%Y-%m-%d %H:%M:%S%.f %z")
        .map_or_else(|_| time.and_utc(), |time| time.with_timezone(&Utc));
    Some((time, topic, body))
}

/// `2026-03-06T09:01:02.345678901Z container start 4f1c... (image=alpine:3, name=x)`
fn docker_line(line: &str) -> Option<(DateTime<Utc>, &str, &str, &str, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let time = DateTime::parse_from_rfc3339(time).ok()?.with_timezone(&Utc);
    let (kind, rest) = rest.split_once(' ')?;
    if !["container", "image", "network", "volume", "daemon", "plugin"].contains(&kind) {
        return None;
    }
    let (rest, attributes) = rest.rsplit_once(" (")?;
    let (action, id) = rest.rsplit_once(' ')?;
    Some((time, kind, action, id, attributes.strip_suffix(')')?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::tests::surroundings;

    fn line(line: &str) -> Vec<Action> {
        let around = surroundings();
        let activities = read_line(line, &Envelope::outermost(&around), &Place::default()).unwrap().unwrap();
        activities.into_iter().map(|activity| activity.action).collect()
    }

    #[test]
    fn pulls_creations_and_starts_are_told_in_every_spelling() {
        let around = surroundings();
        let event = |value: Value| {
            assert!(is_event(&value));
            let activities = read(&value, &Envelope::outermost(&around), &Place::default()).unwrap();
            activities.into_iter().map(|activity| activity.action).collect::<Vec<_>>()
        };
        let container = |action: &str| {
            event(json!({"Type": "container", "Action": action, "time": 1772787600,
                "Actor": {"ID": "4f1c", "Attributes": {"image": "alpine:3", "name": "x"}}}))
        };
        let pulled = event(json!({"Type": "image", "Action": "pull", "time": 1772787600, "id": "evil/app:1",
            "Actor": {"ID": "evil/app:1", "Attributes": {"name": "evil/app"}}}));
        assert!(matches!(pulled.as_slice(), [Action::ImagePulled(pull)] if pull.image.name == "evil/app:1"));
        assert!(
            matches!(container("create").as_slice(), [Action::ContainerStarted(it)] if it.created.is_some())
        );
        assert!(matches!(container("start").as_slice(), [Action::ContainerStarted(it)]
            if it.started.is_some() && it.place.image.as_ref().is_some_and(|image| image.name == "alpine:3")));
        assert!(matches!(container("exec_start: sh -c id").as_slice(), [Action::ProcessStarted(it)]
            if it.binary == "sh" && it.arguments == "-c id"));
        assert_eq!(container("die"), []);
        let started = event(json!({"Timestamp": "2026-03-06T09:00:00Z", "Namespace": "k8s.io",
            "Topic": "/tasks/start", "Event": "{\"container_id\":\"4f1c\"}"}));
        assert!(
            matches!(started.as_slice(), [Action::ContainerStarted(it)] if it.place.container.as_deref() == Some("4f1c"))
        );
    }

    #[test]
    fn text_lines_of_both_engines_are_told() {
        let started = line("2026-03-06T09:01:02.345678901Z container start 4f1c (image=alpine:3, name=x)");
        assert!(matches!(started.as_slice(), [Action::ContainerStarted(it)] if it.started.is_some()));
        let pulled = line(
            "2026-03-06 09:01:02.3456 +0000 UTC k8s.io /images/create {\"name\":\"docker.io/evil/app:1\"}",
        );
        assert!(
            matches!(pulled.as_slice(), [Action::ImagePulled(it)] if it.image.name == "docker.io/evil/app:1")
        );
        let created = line(
            "2026-03-06 09:01:02.3456 +0000 UTC k8s.io /containers/create {\"id\":\"4f1c\",\"image\":\"docker.io/evil/app:1\"}",
        );
        assert!(matches!(created.as_slice(), [Action::ContainerStarted(it)] if it.created.is_some()));
        assert!(!is_line("2026-03-06 09:01:02 GET /index.html"));
    }
}
