use serde_json::json;

use super::*;
use crate::source::tests::surroundings;

fn event() -> Value {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "a-1",
        "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/shop/pods", "verb": "create",
        "user": {"username": "kubernetes-admin", "extra": {
            "arn": ["arn:aws:sts::111122223333:assumed-role/Dev/anna"],
            "canonicalArn": ["arn:aws:iam::111122223333:role/Dev"], "sessionName": ["anna"]}},
        "sourceIPs": ["198.51.100.7"], "userAgent": "kubectl/v1.34",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "batch", "apiVersion": "v1"},
        "responseStatus": {"code": 201},
        "requestObject": {"kind": "Pod", "spec": {"containers": [{"name": "m", "image": "evil/app:1",
            "command": ["sh", "-c"], "args": ["run"], "env": [{"name": "KEY", "value": "secret"}],
            "securityContext": {"privileged": true}, "imagePullPolicy": "Always"}]}},
        "requestReceivedTimestamp": "2026-03-06T09:00:00.380000Z"})
}

fn read_with(change: impl FnOnce(&mut Value)) -> Vec<Activity> {
    let mut value = event();
    change(&mut value);
    let around = surroundings();
    assert!(is_event(&value));
    let host = Place { cluster: Some("prod".to_owned()), ..Place::default() };
    read(&value, &Envelope::outermost(&around), &host).unwrap()
}

fn images(activities: &[Activity]) -> Vec<String> {
    let mut images = Vec::new();
    for activity in activities {
        let Action::WorkloadDeclared(workload) = &activity.action else { panic!("{activity:?}") };
        images.extend(workload.containers.iter().map(|container| container.image.name.clone()));
    }
    images
}

#[test]
fn a_pod_is_told_with_who_asked_for_it() {
    let [activity] = read_with(|_| {}).try_into().unwrap();
    assert_eq!(activity.principal(), "arn:aws:iam::111122223333:role/Dev");
    let Action::WorkloadDeclared(workload) = activity.action else { panic!() };
    assert_eq!((workload.cluster.as_deref(), workload.namespace.as_deref()), (Some("prod"), Some("shop")));
    let [container] = workload.containers.as_slice() else { panic!() };
    assert_eq!(container.command, ["sh", "-c", "run"]);
    assert_eq!(container.environment, ["KEY"]);
    assert!(container.privileged);
    assert!(!serde_json::to_string(&workload).unwrap().contains("secret"));
}

#[test]
fn init_and_ephemeral_containers_and_templates_count_like_containers() {
    let init =
        read_with(|event| event["requestObject"]["spec"]["initContainers"] = json!([{"image": "evil/init"}]));
    assert_eq!(images(&init), ["evil/app:1", "evil/init"]);
    let debug = read_with(|event| {
        event["verb"] = json!("patch");
        event["objectRef"]["subresource"] = json!("ephemeralcontainers");
        event["requestObject"] = json!({"spec": {"ephemeralContainers": [{"image": "evil/debug"}]}});
    });
    assert_eq!(images(&debug), ["evil/debug"]);
    let template = json!({"template": {"spec": {"containers": [{"image": "evil/web"}]}}});
    let deployment = read_with(|event| {
        event["objectRef"]["resource"] = json!("deployments");
        event["requestObject"] = json!({ "spec": template });
    });
    assert_eq!(images(&deployment), ["evil/web"]);
    let cron = read_with(|event| {
        event["objectRef"]["resource"] = json!("cronjobs");
        event["requestObject"] = json!({"spec": {"jobTemplate": {"spec": template}}});
    });
    assert_eq!(images(&cron), ["evil/web"]);
}

#[test]
fn patches_are_told_in_every_form_and_only_if_they_name_an_image() {
    let patch = |body: Value| {
        images(&read_with(|event| {
            event["verb"] = json!("patch");
            event["objectRef"]["resource"] = json!("deployments");
            event["requestObject"] = body;
        }))
    };
    let containers = "/spec/template/spec/containers";
    assert_eq!(
        patch(json!([{"op": "replace", "path": format!("{containers}/0/image"), "value": "evil/a"}])),
        ["evil/a"]
    );
    assert_eq!(
        patch(json!([{"op": "add", "path": format!("{containers}/-"), "value": {"image": "evil/b"}}])),
        ["evil/b"]
    );
    assert_eq!(patch(json!([{"op": "add", "path": containers, "value": [{"image": "evil/c"}]}])), ["evil/c"]);
    let spec = json!({"containers": [{"image": "evil/d"}]});
    assert_eq!(patch(json!([{"op": "replace", "path": "/spec/template/spec", "value": spec}])), ["evil/d"]);
    assert_eq!(
        patch(json!([{"op": "replace", "path": "/spec/template", "value": {"spec": spec}}])),
        ["evil/d"]
    );
    let replaced = json!({"template": {"spec": spec}});
    assert_eq!(patch(json!([{"op": "replace", "path": "/spec", "value": replaced}])), ["evil/d"]);
    assert!(patch(json!({"spec": {"replicas": 3}})).is_empty());
    assert!(patch(json!([{"op": "remove", "path": format!("{containers}/0")}])).is_empty());
}

#[test]
fn a_command_run_inside_is_told_once_with_what_was_typed() {
    let exec = |stage: &str, code: u16| {
        read_with(|event| {
            event["stage"] = json!(stage);
            event["verb"] = json!("get");
            event["objectRef"]["subresource"] = json!("exec");
            event["requestURI"] = json!(
                "/api/v1/namespaces/shop/pods/batch/exec?command=sh&command=-c&command=echo%20hi%2Bx&container=m&stdin=true"
            );
            event["responseStatus"]["code"] = json!(code);
        })
    };
    let [activity] = exec("ResponseStarted", 101).try_into().unwrap();
    let Action::WorkloadDeclared(workload) = activity.action else { panic!() };
    assert_eq!((workload.kind, workload.command.as_deref()), (WorkloadKind::Exec, Some("sh -c echo hi+x")));
    // The end of a session may be all that is logged; it is no other event than its start.
    let [ended] = exec("ResponseComplete", 101).try_into().unwrap();
    assert_eq!(ended.id, activity.id);
    assert_eq!(exec("ResponseComplete", 403).len(), 1);
    let attach = read_with(|event| {
        event["stage"] = json!("ResponseStarted");
        event["objectRef"]["subresource"] = json!("attach");
    });
    assert_eq!(attach.len(), 1);
}

#[test]
fn an_audit_id_that_the_caller_chose_hides_no_other_event() {
    let id = |change: fn(&mut Value)| read_with(change).remove(0).id;
    let first = id(|_| {});
    assert_eq!(id(|_| {}), first);
    for change in [
        (|event| event["requestReceivedTimestamp"] = json!("2026-03-06T09:00:01.000001Z")) as fn(&mut Value),
        |event| event["objectRef"]["name"] = json!("other"),
        |event| event["user"]["username"] = json!("other"),
        |event| event["verb"] = json!("update"),
    ] {
        assert_ne!(id(change), first);
    }
}

#[test]
fn a_dry_run_declares_nothing() {
    for query in ["dryRun=All", "fieldManager=x&dryRun=All"] {
        let activities =
            read_with(|event| event["requestURI"] = json!(format!("/api/v1/namespaces/shop/pods?{query}")));
        assert!(activities.is_empty(), "{query}");
    }
}

#[test]
fn an_image_that_is_mounted_as_a_volume_counts_like_a_containers() {
    let volume = json!({"name": "tools", "image": {"reference": "evil/tools:1", "pullPolicy": "Always"}});
    let pod = read_with(|event| event["requestObject"]["spec"]["volumes"] = json!([{"name": "x"}, volume]));
    assert_eq!(images(&pod), ["evil/app:1", "evil/tools:1"]);
    let patch = |operation: Value| {
        images(&read_with(|event| {
            event["verb"] = json!("patch");
            event["objectRef"]["resource"] = json!("deployments");
            event["requestObject"] = operation.clone();
        }))
    };
    let path = "/spec/template/spec/volumes";
    for operation in [
        json!([{"op": "add", "path": format!("{path}/-"), "value": volume}]),
        json!([{"op": "add", "path": path, "value": [volume]}]),
        json!([{"op": "replace", "path": format!("{path}/0/image/reference"), "value": "evil/tools:1"}]),
        json!({"spec": {"template": {"spec": {"volumes": [volume]}}}}),
    ] {
        assert_eq!(patch(operation.clone()), ["evil/tools:1"], "{operation}");
    }
}

#[test]
fn a_status_report_resolves_the_digest() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let activities = read_with(|event| {
        event["verb"] = json!("patch");
        event["objectRef"]["subresource"] = json!("status");
        event["user"] = json!({"username": "system:node:ip-10-0-0-7"});
        event["requestObject"] = json!({"status": {"containerStatuses": [
            {"image": "evil/app:1", "imageID": format!("docker.io/evil/app@{digest}"), "containerID": "containerd://4f1c",
             "state": {"running": {"startedAt": "2026-03-06T09:00:05Z"}}},
            {"image": "evil/wait:1", "imageID": "", "state": {"waiting": {}}}]}});
    });
    let [activity] = activities.try_into().unwrap();
    assert_eq!(activity.actor, None);
    let Action::ContainerStarted(start) = activity.action else { panic!() };
    assert_eq!(start.place.container.as_deref(), Some("4f1c"));
    assert_eq!(start.place.node.as_deref(), Some("ip-10-0-0-7"));
    assert_eq!(start.place.image.unwrap().digest, Some(digest));
}

#[test]
fn reading_other_stages_and_other_resources_tell_nothing() {
    for (place, other) in [
        ("/verb", json!("list")),
        ("/verb", json!("delete")),
        ("/stage", json!("RequestReceived")),
        ("/objectRef/resource", json!("secrets")),
    ] {
        assert!(
            read_with(|event| *event.pointer_mut(place).unwrap() = other.clone()).is_empty(),
            "{place} {other}"
        );
    }
}

#[test]
fn a_pod_whose_body_was_not_logged_is_still_told() {
    let activities = read_with(|event| event["requestObject"] = Value::Null);
    assert_eq!(activities.len(), 1);
    assert!(images(&activities).is_empty());
    let refused = read_with(|event| event["responseStatus"] = json!({"code": 403, "reason": "Forbidden"}));
    assert_eq!(refused[0].api.as_ref().unwrap().error_code.as_deref(), Some("Forbidden"));
}
