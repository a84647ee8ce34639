//! EC2 calls: launches here, the rest by its own file.

use serde_json::Value;

use super::{Record, disk, guard, image, instance, template as templates};
use crate::activity::{Action, Activity, ImageRef, Instance, Launch, LaunchOutcome, TemplateRef};
use crate::source::fields::{any, count, find, get, list, list_of, objects, text, text_at};

/// The calls of EC2 that are read: those of [`read`].
pub(super) const OPERATIONS: [&str; 31] = [
    "RunInstances",
    "CopyImage",
    "CreateImage",
    "RegisterImage",
    "ImportImage",
    "ImportSnapshot",
    "CreateRestoreImageTask",
    "CopySnapshot",
    "CreateSnapshot",
    "CreateSnapshots",
    "CreateVolume",
    "CopyVolumes",
    "AttachVolume",
    "CreateReplaceRootVolumeTask",
    "DisableImageBlockPublicAccess",
    "DetachImageWatermark",
    "ModifyImageAttribute",
    "DisableAllowedImagesSettings",
    "EnableAllowedImagesSettings",
    "ReplaceImageCriteriaInAllowedImagesSettings",
    "StopInstances",
    "StartInstances",
    "ModifyInstanceAttribute",
    "DescribeImages",
    "CreateLaunchTemplate",
    "CreateLaunchTemplateVersion",
    "ModifyLaunchTemplate",
    "RequestSpotInstances",
    "RequestSpotFleet",
    "CreateFleet",
    "ModifyFleet",
];

pub(super) fn read(record: &Record<'_>) -> Vec<Activity> {
    match record.operation {
        "RunInstances" => {
            launches(record).into_iter().map(|it| record.by_caller(Action::ImageLaunched(it))).collect()
        }
        "CopyImage"
        | "CreateImage"
        | "RegisterImage"
        | "ImportImage"
        | "ImportSnapshot"
        | "CreateRestoreImageTask" => image::derived(record),
        "CopySnapshot" | "CreateSnapshot" | "CreateSnapshots" | "CreateVolume" | "CopyVolumes" => {
            disk::made(record)
        }
        "AttachVolume" => disk::attached(record),
        "CreateReplaceRootVolumeTask" => disk::root_replaced(record),
        "DisableImageBlockPublicAccess" | "DetachImageWatermark" => guard::of_images(record),
        "ModifyImageAttribute" => image::shared(record),
        "DisableAllowedImagesSettings"
        | "EnableAllowedImagesSettings"
        | "ReplaceImageCriteriaInAllowedImagesSettings" => guard::allowed_images(record),
        "StopInstances" | "StartInstances" => instance::switched(record),
        "ModifyInstanceAttribute" => instance::modified(record),
        "DescribeImages" => instance::searched(record),
        "CreateLaunchTemplate" | "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate" => {
            templates::launch_template(record)
        }
        "RequestSpotInstances" => templates::spot_instances(record),
        "RequestSpotFleet" => templates::spot_fleet(record),
        "CreateFleet" | "ModifyFleet" => templates::fleet(record),
        _ => Vec::new(),
    }
}

/// One launch an image: instances of the response by their image, else what was asked for.
fn launches(record: &Record<'_>) -> Vec<Launch> {
    let outcome = match &record.error {
        _ if record.dry_run() => LaunchOutcome::DryRun,
        Some(code) => LaunchOutcome::Attempted(code.clone()),
        None => LaunchOutcome::Succeeded,
    };
    let requests = requests(record);
    let answers = record.response.map(|response| objects(response, "instancesSet")).unwrap_or_default();
    if outcome != LaunchOutcome::Succeeded || answers.is_empty() {
        let omitted = outcome == LaunchOutcome::Succeeded;
        let common = common(record, outcome, omitted);
        return requests
            .into_iter()
            .map(|(image, count)| Launch { image, count, ..common.clone() })
            .collect();
    }
    // An instance that does not name its image has the one that was asked for, if there was just one.
    let asked = match requests.as_slice() {
        [(image, _)] => image.clone(),
        _ => ImageRef::Unknown,
    };
    let mut groups: Vec<(ImageRef, Vec<&Value>)> = Vec::new();
    for answer in answers {
        let image = text(answer, "imageId").map_or_else(|| asked.clone(), |id| image_ref(&id));
        match groups.iter_mut().find(|(known, _)| *known == image) {
            Some((_, members)) => members.push(answer),
            None => groups.push((image, vec![answer])),
        }
    }
    let common = common(record, outcome, false);
    groups.into_iter().map(|(image, members)| started(&common, image, &members)).collect()
}

/// What a launch tells of the call, whatever the image.
fn common(record: &Record<'_>, outcome: LaunchOutcome, response_omitted: bool) -> Launch {
    let succeeded = outcome == LaunchOutcome::Succeeded;
    let request = record.request;
    Launch {
        outcome,
        instance_type: record.asked(&["instanceType"]),
        subnet: record.asked(&["subnetId"]).or_else(|| {
            let interfaces = list_of(request?, "networkInterfaceSet");
            interfaces.into_iter().find_map(|interface| text(interface, "subnetId"))
        }),
        tags: request.map(requested_tags).unwrap_or_default(),
        user_data: request.is_some_and(|request| text(request, "userData").is_some()),
        template: request.and_then(template),
        reservation: succeeded.then(|| record.answered(&["reservationId"])).flatten(),
        client_token: record.asked(&["clientToken"]),
        response_omitted,
        ..Launch::default()
    }
}

/// A launch as the response tells it.
fn started(common: &Launch, image: ImageRef, members: &[&Value]) -> Launch {
    let instances: Vec<Instance> = members.iter().copied().map(started_instance).collect();
    let mut launch = Launch { image, ..common.clone() };
    launch.count = u32::try_from(instances.len()).unwrap_or(u32::MAX);
    let first = |pick: fn(&Instance) -> Option<&String>| instances.iter().find_map(pick).cloned();
    launch.instance_type = first(|it| it.instance_type.as_ref()).or(launch.instance_type);
    launch.subnet = first(|it| it.subnet.as_ref()).or(launch.subnet);
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in instances.iter().flat_map(|instance| &instance.tags) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    // Only EC2 can set `aws:` tags, and they name the version that `$Latest` stood for.
    launch.template = tagged_template(&tags, launch.template.take());
    if !tags.is_empty() {
        launch.tags = tags;
    }
    let token = || members.iter().find_map(|member| text(member, "clientToken"));
    launch.client_token = launch.client_token.or_else(token);
    launch.instances = instances;
    launch
}

fn started_instance(value: &Value) -> Instance {
    let interfaces = list_of(value, "networkInterfaceSet");
    let profile = get(value, "iamInstanceProfile");
    Instance {
        id: text(value, "instanceId").unwrap_or_default(),
        instance_type: text(value, "instanceType"),
        private_ip: text(value, "privateIpAddress"),
        subnet: text(value, "subnetId"),
        vpc: text(value, "vpcId"),
        network_interfaces: interfaces.into_iter().filter_map(|it| text(it, "networkInterfaceId")).collect(),
        instance_profile: profile.and_then(|profile| text(profile, "arn").or_else(|| text(profile, "name"))),
        tags: tags(list_of(value, "tagSet")),
    }
}

/// The images asked for, each with how many instances; never empty.
fn requests(record: &Record<'_>) -> Vec<(ImageRef, u32)> {
    let Some(request) = record.request else { return vec![(ImageRef::Unknown, 1)] };
    let template = template(request);
    let fallback = || template.clone().map_or(ImageRef::Unknown, ImageRef::Template);
    let mut found: Vec<(ImageRef, u32)> = Vec::new();
    for item in objects(request, "instancesSet") {
        let image = text(item, "imageId").map_or_else(fallback, |id| image_ref(&id));
        let number = how_many(item).or_else(|| how_many(request)).unwrap_or(1);
        match found.iter_mut().find(|(known, _)| *known == image) {
            Some((_, total)) => *total = total.saturating_add(number),
            None => found.push((image, number)),
        }
    }
    if found.is_empty() {
        // Another dialect may keep the image elsewhere.
        let image = find(request, "imageId", |_| true).map_or_else(fallback, |id| image_ref(&id));
        found.push((image, how_many(request).unwrap_or(1)));
    }
    found
}

fn how_many(value: &Value) -> Option<u32> {
    let number = any(value, &["maxCount", "minCount"]).and_then(count)?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

pub(super) fn template(request: &Value) -> Option<TemplateRef> {
    let template = any(request, &["launchTemplate", "launchTemplateSpecification"])?;
    let template = TemplateRef {
        id: text(template, "launchTemplateId"),
        name: text(template, "launchTemplateName"),
        version: text(template, "version"),
    };
    (template.id.is_some() || template.name.is_some()).then_some(template)
}

fn tagged_template(tags: &[(String, String)], asked: Option<TemplateRef>) -> Option<TemplateRef> {
    let tag = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let Some(id) = tag("aws:ec2launchtemplate:id") else { return asked };
    let name = asked.as_ref().and_then(|asked| asked.name.clone());
    let version = tag("aws:ec2launchtemplate:version").or_else(|| asked?.version);
    Some(TemplateRef { id: Some(id), name, version })
}

fn requested_tags(request: &Value) -> Vec<(String, String)> {
    let specifications = any(request, &["tagSpecificationSet", "tagSpecification", "tagSpecifications"]);
    specifications
        .map(list)
        .unwrap_or_default()
        .into_iter()
        .filter(|it| text(it, "resourceType").is_none_or(|kind| kind == "instance"))
        .flat_map(|it| tags(any(it, &["tags", "Tag", "tagSet"]).map(list).unwrap_or_default()))
        .collect()
}

fn tags(tags: Vec<&Value>) -> Vec<(String, String)> {
    tags.into_iter()
        .filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())))
        .collect()
}

/// How a call or a response names an image.
pub(super) fn image_ref(text: &str) -> ImageRef {
    let text = text.trim();
    if let Some(parameter) = text.strip_prefix("resolve:ssm:") {
        return ImageRef::SsmParameter(parameter.to_owned());
    }
    match text.strip_prefix("ami-") {
        Some(hex) if (8..=17).contains(&hex.len()) && hex.bytes().all(|it| it.is_ascii_hexdigit()) => {
            ImageRef::Id(text.to_owned())
        }
        _ => ImageRef::Other(text.to_owned()),
    }
}

/// Snapshots named by a block device mapping.
pub(super) fn snapshots(value: &Value) -> Vec<String> {
    let mapping = any(value, &["blockDeviceMapping", "blockDeviceMappings", "blockDeviceMappingSet"]);
    let devices = mapping.map(list).unwrap_or_default();
    devices
        .into_iter()
        .filter_map(|device| text_at(device, &["ebs", "snapshotId"]).or_else(|| text(device, "snapshotId")))
        .collect()
}
