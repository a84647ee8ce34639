//! Calls about instances, templates, workloads and pulls.

use serde_json::{Value, json};

use super::{activities, ec2};
use crate::activity::{
    Action, ContainerImage, ImageRef, ImageSearch, InstanceChange, Pull, TemplateChange, TemplateKind,
    Workload, WorkloadKind,
};
use crate::source::tests::{sample, surroundings};

fn action(event: &Value) -> Action {
    let mut found = activities(event);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).action
}

fn workload(event: &Value) -> Workload {
    match action(event) {
        Action::WorkloadDeclared(workload) => workload,
        other => panic!("{other:?}"),
    }
}

fn template(event: &Value) -> TemplateChange {
    match action(event) {
        Action::LaunchTemplateChanged(change) => change,
        other => panic!("{other:?}"),
    }
}

fn search(event: &Value) -> ImageSearch {
    match action(event) {
        Action::ImagesSearched(search) => search,
        other => panic!("{other:?}"),
    }
}

fn pull(event: &Value) -> Pull {
    match action(event) {
        Action::ImagePulled(pull) => pull,
        other => panic!("{other:?}"),
    }
}

/// A record of any service's call.
fn call(service: &str, operation: &str, request: Value, response: Value) -> Value {
    let mut record = ec2(operation, request, response);
    record["eventSource"] = json!(format!("{service}.amazonaws.com"));
    record
}

#[test]
fn stopping_and_starting_name_each_instance_once() {
    let expected = InstanceChange { instances: vec!["i-0c3f6a1be2d94785f".to_owned()], failed: None };
    assert_eq!(action(&sample("stop-instances")), Action::InstanceStopped(expected.clone()));
    assert_eq!(action(&sample("start-instances")), Action::InstanceStarted(expected));
    let dry = ec2("StopInstances", json!({"dryRun": true}), Value::Null);
    assert!(activities(&dry).is_empty());
}

#[test]
fn user_data_is_told_from_other_attributes_in_both_forms() {
    for name in ["modify-instance-attribute-user-data", "modify-instance-attribute-user-data-old-form"] {
        let Action::UserDataChanged(change) = action(&sample(name)) else { panic!("{name}") };
        assert!(change.instance.starts_with("i-"), "{name}");
    }
    assert!(activities(&sample("modify-instance-attribute-termination")).is_empty());
    let old = json!({"instanceId": "i-1", "attribute": "disableApiTermination", "value": "true"});
    assert!(activities(&ec2("ModifyInstanceAttribute", old, Value::Null)).is_empty());
    let untold = ec2("ModifyInstanceAttribute", json!({"instanceId": "i-1"}), Value::Null);
    assert!(matches!(action(&untold), Action::UserDataChanged(_)), "it may have been user data");
}

#[test]
fn only_searches_by_name_are_searches() {
    let open = search(&sample("describe-images-by-name"));
    assert_eq!((open.names.as_slice(), open.bounded), (&["acme-base-*-arm64".to_owned()][..], false));
    assert!(search(&sample("describe-images-by-name-and-owner")).bounded);
    assert!(activities(&sample("describe-images-by-id")).is_empty());
    let filters = |filters: Value| {
        let items: Vec<Value> = filters
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| json!({"name": name, "valueSet": {"items": [{"value": value}]}}))
            .collect();
        ec2("DescribeImages", json!({"ownersSet": {}, "filterSet": {"items": items}}), Value::Null)
    };
    for bound in ["owner-id", "owner-alias", "image-id"] {
        assert!(search(&filters(json!({"name": "ubuntu*", bound: "x"}))).bounded, "{bound}");
    }
    assert!(!search(&filters(json!({"name": "ubuntu*", "state": "available"}))).bounded);
    assert!(activities(&filters(json!({"tag:Name": "golden", "state": "available"}))).is_empty());
}

#[test]
fn templates_tell_their_version_and_image() {
    let first = template(&sample("create-launch-template"));
    assert_eq!(first.template.label(), "lt-0b6e1f4a29c83d570:1");
    assert_eq!((first.image.label().as_str(), first.user_data), ("ami-0d1c2b3a495867765", true));
    let second = template(&sample("create-launch-template-version"));
    assert_eq!(second.template.label(), "lt-0b6e1f4a29c83d570:2");
    assert_eq!(second.image.label(), "ami-0e9f8a7b6c5d40312");
    let default = template(&sample("modify-launch-template"));
    assert_eq!(default.image, ImageRef::Template(default.template.clone()), "the version knows");
    assert_eq!(default.template.version.as_deref(), Some("2"));
    let configuration = template(&sample("create-launch-configuration"));
    assert_eq!(configuration.kind, TemplateKind::LaunchConfiguration);
    assert!(configuration.user_data && configuration.image.id().is_some());
}

#[test]
fn spot_requests_tell_every_image_and_template() {
    let spot = template(&sample("request-spot-instances"));
    assert_eq!((spot.kind, spot.user_data), (TemplateKind::SpotInstances, true));
    assert_eq!(spot.template.id.as_deref(), Some("sir-7k2m9q4x"));
    let fleet = template(&sample("request-spot-fleet"));
    assert!(matches!(&fleet.image, ImageRef::Template(it) if it.version.as_deref() == Some("2")));
    let (one, other) = ("ami-0d1c2b3a495867765", "ami-0e9f8a7b6c5d40312");
    let specification = |image: &str| json!({"imageId": image, "instanceType": "c6i.large"});
    let config =
        json!({"launchSpecifications": [specification(one), specification(other), specification(one)]});
    let record = ec2("RequestSpotFleet", json!({"spotFleetRequestConfig": config}), Value::Null);
    assert_eq!(activities(&record).len(), 2);
}

#[test]
fn task_definitions_tell_image_command_size_and_names_of_variables() {
    let own = workload(&sample("register-task-definition"));
    assert_eq!((own.kind, own.name.as_str()), (WorkloadKind::TaskDefinition, "checkout:41"));
    assert_eq!(own.containers[0].environment, ["LOG_LEVEL"]);
    let public = workload(&sample("register-task-definition-public-image"));
    assert_eq!(public.cpu, Some(16384));
    assert_eq!(public.containers[0].image.name, "quietharbor/sysbase:kt");
    assert_eq!(public.containers[0].command, ["/bin/sh", "-c", "./start --threads 16"]);
    for (written, units) in [("16 vCPU", Some(16384)), (".5 vcpu", Some(512)), ("1e999", None), ("-4", None)]
    {
        let record =
            call("ecs", "RegisterTaskDefinition", json!({"family": "a", "cpu": written}), Value::Null);
        assert_eq!(workload(&record).cpu, units, "{written}");
    }
}

#[test]
fn services_and_tasks_tell_cluster_definition_and_count() {
    let service = workload(&sample("create-service-many-copies"));
    assert_eq!((service.count, service.name.as_str()), (Some(25), "kq7x2-service"));
    assert!(service.definition.unwrap().ends_with("task-definition/kq7x2:1"));
    assert_eq!(workload(&sample("update-service")).count, Some(3), "unchanged, so told by the response");
    let task = workload(&sample("run-task"));
    assert_eq!((task.kind, task.name.as_str(), task.count), (WorkloadKind::Task, "migrate:12", Some(1)));
    assert_eq!(task.containers.len(), 1, "an override is of a container, not another one");
    assert_eq!(task.containers[0].command, ["bin/migrate", "--to", "latest"]);
    assert_eq!(task.containers[0].environment, ["DRY_RUN"]);
    let exec = workload(&sample("execute-command"));
    assert_eq!((exec.kind, exec.command.as_deref()), (WorkloadKind::Exec, Some("/bin/sh")));
    let bare = call("ecs", "RunTask", json!({"taskDefinition": "a"}), Value::Null);
    assert_eq!(workload(&bare).cluster.as_deref(), Some("default"));
}

#[test]
fn a_refused_declaration_is_told_with_its_error() {
    let mut record = call("ecs", "CreateCluster", json!({"clusterName": "a"}), Value::Null);
    record["errorCode"] = json!("AccessDenied");
    assert_eq!(workload(&record).failed.as_deref(), Some("AccessDenied"));
}

#[test]
fn functions_are_told_only_where_they_are_made_from_images() {
    let created = workload(&sample("create-function-image"));
    assert_eq!((created.kind, created.name.as_str()), (WorkloadKind::Function, "thumbnailer"));
    assert!(created.containers[0].image.name.ends_with("/tools/thumbnailer:latest"));
    assert_eq!(created.containers[0].command, ["app.handler"]);
    let updated = workload(&sample("update-function-code-image")).containers.remove(0).image;
    assert!(updated.digest.is_some() && updated.name.ends_with("/thumbnailer"), "{updated:?}");
    assert!(activities(&sample("update-function-code-zip")).is_empty());
    let dry = json!({"functionName": "a", "imageUri": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/a", "dryRun": true});
    assert!(activities(&call("lambda", "UpdateFunctionCode20150331v2", dry, Value::Null)).is_empty());
    let arn = json!({"functionName": "arn:aws:lambda:eu-west-1:111122223333:function:a", "imageUri": "r.example/a"});
    assert_eq!(workload(&call("lambda", "UpdateFunctionCode20150331v2", arn, Value::Null)).name, "a");
}

#[test]
fn jobs_and_models_tell_their_images_wherever_they_stand() {
    let job = workload(&sample("register-job-definition"));
    assert_eq!((job.kind, job.name.as_str()), (WorkloadKind::Job, "fold-proteins:3"));
    assert!(job.containers[0].privileged);
    assert_eq!(job.containers[0].environment, ["DATASET"]);
    let kubernetes = json!({"jobDefinitionName": "a", "eksProperties": {"podProperties": {
        "initContainers": [{"image": "busybox"}], "containers": [{"name": "main", "image": "quay.io/a/b",
            "securityContext": {"privileged": true}, "imagePullPolicy": "Always", "env": [{"name": "TOKEN"}]}]}}});
    let kubernetes = workload(&call("batch", "RegisterJobDefinition", kubernetes, Value::Null)).containers;
    let main = kubernetes.iter().find(|it| it.name == "main").unwrap();
    assert!(main.privileged && main.pull_policy.as_deref() == Some("Always"));
    assert_eq!((kubernetes.len(), main.environment.as_slice()), (2, &["TOKEN".to_owned()][..]));
    let training = workload(&sample("create-training-job"));
    assert!(training.containers[0].image.name.contains("pytorch-training"));
    let processing = json!({"processingJobName": "p", "appSpecification": {
        "imageUri": "docker.io/a/b", "containerEntrypoint": ["python3", "run.py"]}});
    let processing = workload(&call("sagemaker", "CreateProcessingJob", processing, Value::Null));
    assert_eq!((processing.name.as_str(), processing.containers[0].command.len()), ("p", 2));
    let built_in = json!({"trainingJobName": "t", "algorithmSpecification": {"algorithmName": "xgboost"}});
    assert!(activities(&call("sagemaker", "CreateTrainingJob", built_in, Value::Null)).is_empty());
}

#[test]
fn a_pull_is_told_by_the_full_name_of_the_image() {
    let one = pull(&sample("batch-get-image"));
    assert_eq!(one.image.name, "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop/checkout:v2.14.0");
    assert_eq!(one.repository.as_deref(), Some("shop/checkout"));
    assert!(activities(&sample("batch-get-image-denied")).is_empty(), "nothing was pulled");
    let digest = format!("sha256:{}", "0".repeat(64));
    let request = json!({"repositoryName": "a", "imageIds": [{"imageTag": "1"}, {"imageDigest": digest}]});
    let mut two = call("ecr", "BatchGetImage", request, Value::Null);
    two["awsRegion"] = json!("cn-north-1");
    let images: Vec<ContainerImage> = activities(&two)
        .into_iter()
        .map(|activity| match activity.action {
            Action::ImagePulled(pull) => pull.image,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(images[0].name, "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1");
    assert_eq!(images[1].digest, Some(digest));
    let cached = pull(&sample("ecr-pull-through-cache"));
    assert_eq!(cached.upstream.as_deref(), Some("registry-1.docker.io"));
    assert!(
        cached.image.name.ends_with("/docker-hub/quietharbor/sysbase:kt") && cached.image.digest.is_some()
    );
    assert!(activities(&sample("ecr-pull-through-cache-failed")).is_empty());
}

#[test]
fn calls_of_the_same_name_in_other_services_are_ignored() {
    for (service, operation) in [
        ("eks", "CreateCluster"),
        ("redshift", "CreateCluster"),
        ("apigateway", "CreateModel"),
        ("servicediscovery", "CreateService"),
        ("lambda", "Invoke"),
        ("autoscaling", "PutScalingPolicy"),
    ] {
        let record = call(service, operation, json!({"name": "a"}), Value::Null);
        let reading = crate::source::read(&record, &surroundings());
        assert_eq!((reading.activities.len(), reading.ignored), (0, 1), "{service} {operation}");
    }
}
