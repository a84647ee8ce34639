//! What instances are launched from: launch templates, launch configurations and spot requests.

use serde_json::Value;

use super::Record;
use super::ec2::{image_ref, template};
use crate::activity::{Action, Activity, ImageRef, TemplateChange, TemplateKind, TemplateRef};
use crate::source::fields::{any, at, get, list, list_of, text, text_at};

/// `CreateLaunchTemplate`, `CreateLaunchTemplateVersion` and `ModifyLaunchTemplate`, which makes another
/// version the one that is launched by default.
pub(super) fn launch_template(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let answer = record.response.and_then(|response| {
        get(response, "launchTemplateVersion").or_else(|| get(response, "launchTemplate"))
    });
    let answered = |key: &str| text(answer?, key);
    let version = match record.operation {
        "CreateLaunchTemplate" => record.error.is_none().then(|| "1".to_owned()),
        "CreateLaunchTemplateVersion" => answered("versionNumber"),
        _ => record.asked(&["setDefaultVersion"]).or_else(|| record.asked(&["defaultVersion"])),
    };
    let template = TemplateRef {
        id: answered("launchTemplateId").or_else(|| record.asked(&["launchTemplateId"])),
        name: answered("launchTemplateName").or_else(|| record.asked(&["launchTemplateName"])),
        version,
    };
    let asked = record.request.and_then(|request| get(request, "launchTemplateData"));
    let data = asked.or_else(|| get(answer?, "launchTemplateData"));
    // What a version takes from its source version, only the template itself can tell.
    let inside = template.version.is_some() && (template.id.is_some() || template.name.is_some());
    let image = match data.and_then(|data| text(data, "imageId")) {
        Some(id) => image_ref(&id),
        None if inside => ImageRef::Template(template.clone()),
        None => ImageRef::Unknown,
    };
    changed(record, TemplateKind::LaunchTemplate, template, image, data.is_some_and(has_user_data))
}

/// Auto Scaling's `CreateLaunchConfiguration`.
pub(super) fn launch_configuration(record: &Record<'_>) -> Vec<Activity> {
    let template = TemplateRef { id: None, name: record.asked(&["launchConfigurationName"]), version: None };
    let image = record.asked(&["imageId"]).map_or(ImageRef::Unknown, |id| image_ref(&id));
    let user_data = record.request.is_some_and(has_user_data);
    changed(record, TemplateKind::LaunchConfiguration, template, image, user_data)
}

/// `RequestSpotInstances`.
pub(super) fn spot_instances(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let requests = record.response.map(|it| list_of(it, "spotInstanceRequestSet")).unwrap_or_default();
    let id = requests.into_iter().find_map(|request| text(request, "spotInstanceRequestId"));
    let request = TemplateRef { id, name: None, version: None };
    let specification = record.request.and_then(|request| get(request, "launchSpecification"));
    let image = specification.map_or(ImageRef::Unknown, named_image);
    let user_data = specification.is_some_and(has_user_data);
    changed(record, TemplateKind::SpotInstances, request, image, user_data)
}

/// `RequestSpotFleet`: one activity for each image or template that it names.
pub(super) fn spot_fleet(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let request = TemplateRef { id: record.answered(&["spotFleetRequestId"]), name: None, version: None };
    let config = record.request.map(|it| get(it, "spotFleetRequestConfig").unwrap_or(it));
    let listed = |keys: [&str; 2]| -> Vec<&Value> {
        let found = config.and_then(|config| keys.iter().find_map(|key| get(config, key)));
        found.map(list).unwrap_or_default()
    };
    let mut found: Vec<(ImageRef, bool)> = Vec::new();
    let mut add = |image: ImageRef, user_data: bool| match found.iter_mut().find(|(known, _)| *known == image)
    {
        Some((_, known)) => *known |= user_data,
        None => found.push((image, user_data)),
    };
    for specification in listed(["launchSpecifications", "launchSpecification"]) {
        add(named_image(specification), has_user_data(specification));
    }
    for named in listed(["launchTemplateConfigs", "launchTemplateConfig"]) {
        add(named_image(named), false);
        for image in list_of(named, "overrides").into_iter().filter_map(|it| text(it, "imageId")) {
            add(image_ref(&image), false);
        }
    }
    if found.is_empty() {
        found.push((ImageRef::Unknown, false));
    }
    found
        .into_iter()
        .flat_map(|(image, user_data)| {
            changed(record, TemplateKind::SpotFleet, request.clone(), image, user_data)
        })
        .collect()
}

/// `CreateFleet` and `ModifyFleet`: overrides may name an image of their own.
pub(super) fn fleet(record: &Record<'_>) -> Vec<Activity> {
    if record.dry_run() {
        return Vec::new();
    }
    let id = record.answered(&["fleetId"]).or_else(|| record.asked(&["fleetId"]));
    let fleet = TemplateRef { id, name: None, version: None };
    let configs = record
        .request
        .and_then(|request| any(request, &["launchTemplateConfigs", "launchTemplateConfig"]))
        .map(list)
        .unwrap_or_default();
    let overrides = configs.into_iter().flat_map(|config| list_of(config, "overrides"));
    images(record, TemplateKind::Fleet, &fleet, overrides.filter_map(|it| text(it, "imageId")).collect())
}

pub(super) const SCALING_GROUPS: [&str; 3] =
    ["CreateAutoScalingGroup", "UpdateAutoScalingGroup", "StartInstanceRefresh"];

/// Auto Scaling groups whose overrides name images of their own.
pub(super) fn scaling_group(record: &Record<'_>) -> Vec<Activity> {
    if !SCALING_GROUPS.contains(&record.operation) {
        return Vec::new();
    }
    let group = TemplateRef { id: None, name: record.asked(&["autoScalingGroupName"]), version: None };
    let configuration = record.request.map(|it| get(it, "desiredConfiguration").unwrap_or(it));
    let template = configuration.and_then(|it| at(it, &["mixedInstancesPolicy", "launchTemplate"]));
    let overrides = template.map(|template| list_of(template, "overrides")).unwrap_or_default();
    let named = overrides.into_iter().filter_map(|it| text(it, "imageId")).collect();
    images(record, TemplateKind::ScalingGroup, &group, named)
}

/// AWS Batch's compute environments.
pub(super) fn compute_environment(record: &Record<'_>) -> Vec<Activity> {
    let name = record.asked(&["computeEnvironmentName"]).or_else(|| record.asked(&["computeEnvironment"]));
    let environment = TemplateRef { id: None, name, version: None };
    let resources = record.request.and_then(|request| get(request, "computeResources"));
    let mut named: Vec<String> = resources.and_then(|it| text(it, "imageId")).into_iter().collect();
    let configurations = resources.map(|it| list_of(it, "ec2Configuration")).unwrap_or_default();
    named.extend(configurations.into_iter().filter_map(|it| text(it, "imageIdOverride")));
    images(record, TemplateKind::ComputeEnvironment, &environment, named)
}

pub(super) const IMAGE_RECIPE: &str = "CreateImageRecipe";

/// Image Builder's `CreateImageRecipe`, where its parent is a machine image.
pub(super) fn image_recipe(record: &Record<'_>) -> Vec<Activity> {
    if record.operation != IMAGE_RECIPE {
        return Vec::new();
    }
    let recipe = TemplateRef { id: None, name: record.asked(&["name"]), version: None };
    let parent = record.asked(&["parentImage"]).filter(|parent| parent.starts_with("ami-"));
    images(record, TemplateKind::ImageRecipe, &recipe, parent.into_iter().collect())
}

/// One activity for each image that a call names beside its template.
fn images(
    record: &Record<'_>,
    kind: TemplateKind,
    of: &TemplateRef,
    mut named: Vec<String>,
) -> Vec<Activity> {
    named.sort();
    named.dedup();
    if named.is_empty() {
        // Its launch template names the image.
        return changed(record, kind, of.clone(), ImageRef::Unknown, false);
    }
    let change = |id: String| changed(record, kind, of.clone(), image_ref(&id), false);
    named.into_iter().flat_map(change).collect()
}

fn named_image(specification: &Value) -> ImageRef {
    match text(specification, "imageId") {
        Some(id) => image_ref(&id),
        None => template(specification).map_or(ImageRef::Unknown, ImageRef::Template),
    }
}

/// CloudTrail writes `<sensitiveDataRemoved>` where there was some.
fn has_user_data(value: &Value) -> bool {
    text(value, "userData").is_some() || text_at(value, &["userData", "value"]).is_some()
}

fn changed(
    record: &Record<'_>,
    kind: TemplateKind,
    template: TemplateRef,
    image: ImageRef,
    user_data: bool,
) -> Vec<Activity> {
    let failed = record.error.clone();
    let change = TemplateChange { kind, template, image, user_data, failed };
    vec![record.by_caller(Action::LaunchTemplateChanged(change))]
}
