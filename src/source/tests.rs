//! Every sample event, and every sample event with a field taken away.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::*;
use crate::activity::{Action, ImageRef, LaunchOutcome};

pub(super) fn surroundings() -> Surroundings {
    let received: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().unwrap();
    Surroundings { account: None, region: None, received }
}

/// Every sample event: file name and content.
pub(super) fn samples() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut samples: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

pub(super) fn sample(name: &str) -> Value {
    samples().into_iter().find(|(file, _)| *file == format!("{name}.json")).unwrap().1
}

#[test]
fn every_sample_event_is_read() {
    let samples = samples();
    assert!(samples.len() >= 6);
    for (name, event) in samples {
        let reading = read(&event, &surroundings());
        assert_eq!(reading.unreadable, [], "{name}");
        assert!(reading.activities.len() + reading.ignored >= 1, "{name}");
        for activity in reading.activities {
            assert!(!activity.time_is_arrival, "{name}");
            assert_eq!(activity.account.len(), 12, "{name}");
        }
    }
}

#[test]
fn a_launch_is_one_activity_with_all_its_instances() {
    let reading = read(&sample("run-instances-community-ami"), &surroundings());
    let [activity] = reading.activities.as_slice() else { panic!("{reading:?}") };
    let Action::ImageLaunched(launch) = &activity.action else { panic!("{activity:?}") };
    assert_eq!(launch.outcome, LaunchOutcome::Succeeded);
    assert!(matches!(&launch.image, ImageRef::Id(id) if id.starts_with("ami-")));
    assert_eq!((launch.count, launch.instances.len()), (2, 2));
    assert!(launch.user_data);
}
