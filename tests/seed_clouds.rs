//! The launch branch of the published rule in the other two clouds, from files and from the event bus.

mod command;

use serde_json::Value;

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");

fn findings(name: &str, policy: bool) -> Vec<Value> {
    let mut command = command::imagewarden();
    command.arg("check").arg(format!("{EVENTS}/{name}.json"));
    if policy {
        command.args(["--policy", &format!("{EVENTS}/policy.yaml")]);
    }
    command::told(&mut command)
}

fn text<'a>(finding: &'a Value, pointer: &str) -> &'a str {
    finding.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {finding}"))
}

#[test]
fn seed_c4_azure_machine_from_an_image_that_is_not_approved() {
    for name in ["azure-vm-community-gallery", "azure-vm-shared-gallery-event-bus", "azure-vm-canonical"] {
        let found = findings(name, false);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(text(&found[0], "/finding_info/analytic/uid"), "machine-image-not-approved");
        assert_eq!(found[0]["severity_id"], 4, "{name}");
        assert_eq!(text(&found[0], "/cloud/provider"), "Azure");
        assert_eq!(text(&found[0], "/cloud/account/uid"), "3f2a91c4-7b0d-4e58-9a61-0c5d7e8f1b23");
        assert_eq!(text(&found[0], "/cloud/region"), "westeurope");
        assert_eq!(found[0].pointer("/unmapped/not_inspected"), None, "AWS was asked about it");
        assert!(!found[0].to_string().contains("console.aws"), "{name}");
    }
    assert!(findings("azure-vm-canonical", true).is_empty(), "a listed publisher");
    assert!(findings("azure-vm-own-image", false).is_empty());
    assert_eq!(findings("azure-vm-community-gallery", true).len(), 1);
    let custom = findings("azure-vm-community-gallery", false).remove(0).to_string();
    assert!(custom.contains("customData"), "{custom}");
}

#[test]
fn seed_c4_google_cloud_instance_from_an_image_that_is_not_approved() {
    for name in ["gcp-instance-foreign-project", "gcp-bulk-insert-event-bus"] {
        let found = findings(name, false);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(text(&found[0], "/finding_info/analytic/uid"), "machine-image-not-approved");
        assert_eq!(text(&found[0], "/cloud/provider"), "GCP");
        assert_eq!(text(&found[0], "/cloud/account/uid"), "shop-prod-417");
        assert!(!found[0].to_string().contains("console.aws"), "{name}");
    }
    assert!(findings("gcp-instance-debian-family", true).is_empty(), "a listed project");
    assert!(findings("gcp-instance-debian-family", false).is_empty(), "Google's own image project");
    assert!(findings("gcp-instance-own-image", false).is_empty());
    let script = findings("gcp-instance-foreign-project", false).remove(0).to_string();
    assert!(script.contains("startup-script-url"), "{script}");
}

/// Event Grid does not say which image: silence would mean approved.
#[test]
fn an_azure_machine_of_an_unknown_image_is_told() {
    let found = findings("azure-vm-event-grid", false);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["severity_id"], 3);
    assert!(found[0].to_string().contains("image-not-named"));
}
