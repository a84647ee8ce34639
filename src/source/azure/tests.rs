use serde_json::{Value, json};

use crate::activity::{Action, Activity, AzureImageKind, Cloud, ImageRef, Launch, LaunchOutcome};
use crate::source::Reading;
use crate::source::tests::{sample, surroundings};

const SUBSCRIPTION: &str = "3f2a91c4-7b0d-4e58-9a61-0c5d7e8f1b23";

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

fn with_request(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = sample("azure-vm-canonical");
    let text = event["properties"]["requestbody"].as_str().unwrap();
    let mut body: Value = serde_json::from_str(text).unwrap();
    change(&mut body);
    event["properties"]["requestbody"] = json!(body.to_string());
    event
}

#[test]
fn the_diagnostic_export_is_read_in_its_capitals() {
    let activity = only(&sample("azure-vm-community-gallery"));
    assert_eq!((activity.cloud, activity.account.as_str()), (Cloud::Azure, SUBSCRIPTION));
    assert_eq!((activity.region.as_str(), activity.principal()), ("westeurope", "priya.nair@example.com"));
    let launch = launch(&sample("azure-vm-community-gallery"));
    assert!(matches!(
        &launch.image,
        ImageRef::AzureGallery { id, kind: AzureImageKind::CommunityGallery } if id.contains("fastrender")
    ));
    assert_eq!(launch.note.as_deref(), Some("customData"));
    assert_eq!(launch.instance_type.as_deref(), Some("Standard_NC6s_v3"));
    assert_eq!(launch.tags, [("team".to_owned(), "media".to_owned())]);
}

#[test]
fn the_event_bus_lends_neither_its_account_nor_its_region() {
    let activity = only(&sample("azure-vm-shared-gallery-event-bus"));
    assert_eq!((activity.account.as_str(), activity.region.as_str()), (SUBSCRIPTION, "westeurope"));
    let event_grid = only(&sample("azure-vm-event-grid"));
    assert_eq!((event_grid.account.as_str(), event_grid.region.as_str()), (SUBSCRIPTION, ""));
    let Action::ImageLaunched(launch) = event_grid.action else { panic!() };
    assert_eq!((launch.image, launch.response_omitted), (ImageRef::Unknown, true));
}

#[test]
fn the_apis_own_form_and_event_grids_other_one_are_read_alike() {
    let export = sample("azure-vm-canonical");
    let api = json!({"value": [{
        "operationName": {"value": "Microsoft.Compute/virtualMachines/write", "localizedValue": "Create"},
        "eventName": {"value": "BeginRequest"},
        "status": {"value": "Started"}, "eventTimestamp": export["time"], "caller": "priya.nair@example.com",
        "resourceId": export["identity"]["authorization"]["scope"], "correlationId": export["correlationId"],
        "httpRequest": {"clientIpAddress": "198.51.100.24"},
        "properties": {"requestbody": export["properties"]["requestbody"]},
    }]});
    let (one, other) = (only(&export), only(&api));
    assert_eq!((&one.id, &one.action, one.principal()), (&other.id, &other.action, other.principal()));
    let mut cloud_event = sample("azure-vm-event-grid");
    cloud_event["eventType"].take();
    cloud_event["type"] = json!("Microsoft.Resources.ResourceWriteSuccess");
    assert_eq!(only(&cloud_event).action, only(&sample("azure-vm-event-grid")).action);
    let storage = json!({"records": [export]});
    assert_eq!(only(&storage), one);
}

/// `Start`, `Accept` and `Success` are one launch, whichever carries the request.
#[test]
fn the_stages_of_one_operation_are_one_event() {
    let start = sample("azure-vm-canonical");
    let id = only(&start).id;
    let mut done = start.clone();
    done["resultType"] = json!("Success");
    assert_eq!(only(&done).id, id);
    let body = done["properties"]["requestbody"].take();
    assert_eq!(read(&done).ignored, 1, "the start told it");
    done["properties"]["responseBody"] = body;
    assert_eq!(only(&done).id, id);
    let mut blind = start;
    blind["properties"]["requestbody"].take();
    let blind = only(&blind);
    assert_ne!(blind.id, id, "what could not be read must not stand in the way of what can");
}

#[test]
fn a_failure_is_an_attempt() {
    let mut event = sample("azure-vm-community-gallery");
    event["resultType"] = json!("Failure");
    event["properties"]["statusMessage"] = json!("{\"error\":{\"code\":\"AuthorizationFailed\"}}");
    assert_eq!(launch(&event).outcome, LaunchOutcome::Attempted("AuthorizationFailed".to_owned()));
}

#[test]
fn changes_that_name_no_disk_and_other_operations_are_ignored() {
    let tags = with_request(|body| *body = json!({"tags": {"a": "b"}}));
    assert_eq!(read(&tags).ignored, 1);
    let mut other = sample("azure-vm-canonical");
    other["operationName"] = json!("MICROSOFT.COMPUTE/VIRTUALMACHINES/DEALLOCATE/ACTION");
    assert_eq!(read(&other).ignored, 1);
}

#[test]
fn every_way_of_naming_an_image_is_told_apart() {
    let image = |reference: Value| {
        launch(&with_request(|body| body["properties"]["storageProfile"]["imageReference"] = reference)).image
    };
    let kind = |reference| match image(reference) {
        ImageRef::AzureGallery { kind, .. } => Some(kind),
        _ => None,
    };
    assert_eq!(kind(json!({"id": "/subscriptions/x/images/y"})), Some(AzureImageKind::Resource));
    let community = "/communityGalleries/x/images/y";
    assert_eq!(kind(json!({ "id": community })), Some(AzureImageKind::CommunityGallery));
    // A listed publisher beside it makes no difference.
    let both = json!({"publisher": "Canonical", "communityGalleryImageId": community});
    assert_eq!(kind(both), Some(AzureImageKind::CommunityGallery));
    assert!(matches!(image(json!({"publisher": "Canonical"})), ImageRef::Azure { .. }));
    assert_eq!(image(json!({})), ImageRef::Unknown);
    let disk = with_request(|body| {
        body["properties"]["storageProfile"] =
            json!({"osDisk": {"createOption": "Attach", "managedDisk": {"id": "/subscriptions/x/disks/y"}}});
    });
    assert!(matches!(launch(&disk).image, ImageRef::AzureGallery { kind: AzureImageKind::Resource, .. }));
    let scale_set = with_request(|body| {
        let profile = body["properties"].take();
        *body = json!({"sku": {"name": "Standard_D2s_v5", "capacity": 7},
            "properties": {"virtualMachineProfile": profile}});
    });
    let launch = launch(&scale_set);
    assert!(matches!(launch.image, ImageRef::Azure { .. }));
    assert_eq!((launch.count, launch.instance_type.as_deref()), (7, Some("Standard_D2s_v5")));
}

#[test]
fn the_python_sdks_spelling_tells_the_same() {
    let record = sample("azure-vm-canonical");
    let snake = |key: &str| {
        key.chars().fold(String::new(), |mut name, letter| {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
            name
        })
    };
    let renamed: serde_json::Map<String, Value> =
        record.as_object().unwrap().iter().map(|(key, value)| (snake(key), value.clone())).collect();
    let read = |value: &Value| crate::source::read(value, &surroundings()).activities;
    assert!(!read(&record).is_empty());
    assert_eq!(read(&Value::Object(renamed)), read(&record));
}
