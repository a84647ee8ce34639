use serde_json::{Value, json};

use crate::activity::{Action, Activity, Cloud, ImageRef, Launch, LaunchOutcome};
use crate::source::Reading;
use crate::source::tests::{sample, surroundings};

fn read(value: &Value) -> Reading {
    crate::source::read(value, &surroundings())
}

fn only(value: &Value) -> Activity {
    let mut reading = read(value);
    assert_eq!((reading.activities.len(), reading.unreadable.len()), (1, 0), "{reading:?}");
    reading.activities.remove(0)
}

fn launch(value: &Value) -> Launch {
    match only(value).action {
        Action::ImageLaunched(launch) => launch,
        other => panic!("{other:?}"),
    }
}

fn gcp(project: &str, image: &str) -> ImageRef {
    ImageRef::Gcp { project: project.to_owned(), image: image.to_owned() }
}

#[test]
fn an_instance_is_a_launch_of_its_boot_disks_image() {
    let event = sample("gcp-instance-foreign-project");
    let activity = only(&event);
    assert_eq!((activity.cloud, activity.account.as_str()), (Cloud::Gcp, "shop-prod-417"));
    assert_eq!(
        (activity.region.as_str(), activity.principal()),
        ("europe-west3-b", "lena.ortiz@example.com")
    );
    let launch = launch(&event);
    assert_eq!(launch.image, gcp("fast-render-images", "images/ubuntu-2404-cuda"));
    assert_eq!(launch.note.as_deref(), Some("startup-script-url"));
    assert_eq!(launch.instance_type.as_deref(), Some("n2-standard-8"));
    assert_eq!(launch.instances[0].id, "render-1");
}

#[test]
fn a_family_is_what_google_resolved_it_to() {
    let mut event = sample("gcp-instance-debian-family");
    assert_eq!(launch(&event).image, gcp("debian-cloud", "images/debian-13-trixie-v20260210"));
    event["protoPayload"]["metadata"].take();
    assert_eq!(launch(&event).image, gcp("debian-cloud", "images/family/debian-13"));
}

#[test]
fn an_image_without_a_project_is_an_own_one() {
    let mut event = sample("gcp-instance-own-image");
    event["protoPayload"]["metadata"].take();
    assert_eq!(launch(&event).image, gcp("shop-prod-417", "images/web-golden-14"));
}

#[test]
fn bulk_inserts_and_betas_are_read_and_the_bus_lends_nothing() {
    let event = sample("gcp-bulk-insert-event-bus");
    let activity = only(&event);
    assert_eq!((activity.account.as_str(), activity.region.as_str()), ("shop-prod-417", "europe-west3-b"));
    let launch = launch(&event);
    assert_eq!((launch.count, launch.image), (12, gcp("fast-render-images", "images/family/cuda")));
}

#[test]
fn an_operation_is_told_by_its_first_entry() {
    let mut event = sample("gcp-instance-foreign-project");
    event["operation"]["first"].take();
    event["operation"]["last"] = json!(true);
    assert_eq!(read(&event).ignored, 1);
    event["operation"].take();
    event["protoPayload"]["status"] = json!({"code": 7, "message": "Required permission"});
    assert_eq!(launch(&event).outcome, LaunchOutcome::Attempted("PERMISSION_DENIED".to_owned()));
}

/// The project of a path is what stands before the image; a name after it proves nothing.
#[test]
fn no_name_can_pass_for_a_project() {
    let image = |source: &str| {
        let mut event = sample("gcp-instance-foreign-project");
        event["protoPayload"]["metadata"].take();
        event["protoPayload"]["request"]["disks"][0]["initializeParams"]["sourceImage"] = json!(source);
        launch(&event).image
    };
    assert_eq!(
        image("projects/evil/global/images/projects/debian-cloud/global/images/x"),
        gcp("evil", "images/projects/debian-cloud/global/images/x")
    );
    assert_eq!(image("projects/example.com:shop/global/images/x"), gcp("example.com:shop", "images/x"));
    assert_eq!(image("debian"), ImageRef::Other("debian".to_owned()));
}

#[test]
fn snapshots_machine_images_and_disks_have_projects_too() {
    let image = |disk: Value| {
        let mut event = sample("gcp-instance-foreign-project");
        event["protoPayload"]["metadata"].take();
        event["protoPayload"]["request"]["disks"] = json!([{"boot": false}, disk]);
        launch(&event).image
    };
    let snapshot =
        json!({"boot": true, "initializeParams": {"sourceSnapshot": "projects/p/global/snapshots/s"}});
    assert_eq!(image(snapshot), gcp("p", "snapshots/s"));
    let disk = json!({"boot": true, "source": "projects/p/zones/z/disks/d"});
    assert_eq!(image(disk), gcp("p", "disks/d"));
}

#[test]
fn other_methods_are_ignored_and_what_is_missing_is_told() {
    let mut event = sample("gcp-instance-own-image");
    event["protoPayload"]["methodName"] = json!("v1.compute.instances.delete");
    assert_eq!(read(&event).ignored, 1);
    event["protoPayload"].take();
    assert_eq!(read(&event).unreadable[0].reason, "Google Cloud audit log entry without protoPayload");
}
