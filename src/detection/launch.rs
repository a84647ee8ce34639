//! What the detections about launches share: which image it was, and whether the launch is in scope.

use serde_json::{Map, Value, json};

use super::catalog::{self, Known};
use super::{Context, Reason, doubt};
use crate::activity::{Activity, ImageRef, Launch, TemplateRef};
use crate::lookup::{Answer, FactKey, Facts, ImageFact, Scope};
use crate::policy::like;

/// Instances asked about their image when the image itself cannot be looked up.
const WITNESSES: usize = 3;

/// What was found out about a launch's image.
pub enum Image<'a> {
    Known(Known<'a>),
    /// The id where it is known, and why nothing else is.
    Unknown {
        id: Option<String>,
        reason: Reason,
    },
    Need(Vec<FactKey>),
}

/// Looks the launch's image up: `DescribeImages` first, then what its instances' metadata still knows.
/// Where the event does not say the id, the launch's client token or its template does.
pub fn image<'a>(activity: &Activity, launch: &Launch, context: &Context<'a>) -> Image<'a> {
    let facts = context.facts;
    let scope = catalog::scope(activity);
    let (id, instances) = match identify(launch, facts, &scope) {
        Identity::Known(id, instances) => (id, instances),
        Identity::Need(keys) => return Image::Need(keys),
        Identity::Unknown(reason) => return Image::Unknown { id: None, reason },
    };
    let mut reason = None;
    if let Some(id) = &id {
        match facts.image(&scope, id) {
            Answer::Known(fact) => return Image::Known(Known { fact, from_instance: false }),
            Answer::Ask(key) => return Image::Need(vec![key]),
            Answer::Absent => reason = Some(not_found(id)),
            Answer::Unavailable(why) => {
                reason = Some(doubt::unavailable("image-lookup", "ec2:DescribeImages", why));
            }
        }
    }
    let mut asked = Vec::new();
    for instance in instances.iter().take(WITNESSES) {
        match facts.instance_image(&scope, instance) {
            Answer::Known(fact) => return Image::Known(Known { fact, from_instance: true }),
            Answer::Ask(key) => asked.push(key),
            Answer::Absent => {}
            Answer::Unavailable(why) => {
                reason.get_or_insert_with(|| {
                    doubt::unavailable("instance-image-lookup", "ec2:DescribeInstanceImageMetadata", why)
                });
            }
        }
    }
    if !asked.is_empty() {
        return Image::Need(asked);
    }
    let reason = reason.unwrap_or_else(|| {
        Reason::new("image-unknown", "Neither the event nor the instances' metadata name the image.")
    });
    Image::Unknown { id, reason }
}

fn not_found(id: &str) -> Reason {
    Reason::new(
        "image-not-found",
        format!(
            "EC2 does not show image {id} to the account: it is private, deregistered, or hidden by Allowed AMIs. Look \
             at it in its owner's account, or ask who launched it."
        ),
    )
}

enum Identity {
    /// The image's id where it is known, and the instances.
    Known(Option<String>, Vec<String>),
    Need(Vec<FactKey>),
    Unknown(Reason),
}

fn identify(launch: &Launch, facts: &Facts, scope: &Scope) -> Identity {
    let instances: Vec<String> =
        launch.instances.iter().map(|instance| instance.id.clone()).filter(|id| !id.is_empty()).collect();
    let id = launch.image.id().map(str::to_owned);
    if id.is_some() || !instances.is_empty() {
        return Identity::Known(id, instances);
    }
    // CloudTrail left the response out: the token finds the instances, the template names its image.
    let mut needs = Vec::new();
    let mut reason = None;
    if let Some(token) = launch.client_token.as_deref().filter(|token| !token.is_empty()) {
        match facts.launched(scope, token) {
            Answer::Known(started) if !started.is_empty() => {
                let id = started.iter().find_map(|instance| instance.image_id.clone());
                return Identity::Known(
                    id,
                    started.iter().map(|instance| instance.instance_id.clone()).collect(),
                );
            }
            Answer::Known(_) | Answer::Absent => {}
            Answer::Unavailable(why) => {
                reason = Some(doubt::unavailable("instance-lookup", "ec2:DescribeInstances", why));
            }
            Answer::Ask(key) => needs.push(key),
        }
    }
    if let ImageRef::Template(template) = &launch.image {
        match facts.template(scope, template) {
            Answer::Known(known) if needs.is_empty() => {
                if let Some(id) = &known.image_id {
                    return Identity::Known(Some(id.clone()), Vec::new());
                }
            }
            Answer::Known(_) | Answer::Absent => {}
            Answer::Unavailable(why) => {
                reason =
                    Some(doubt::unavailable("template-lookup", "ec2:DescribeLaunchTemplateVersions", why));
            }
            Answer::Ask(key) => needs.push(key),
        }
    }
    if !needs.is_empty() {
        return Identity::Need(needs);
    }
    Identity::Unknown(reason.unwrap_or_else(|| {
        Reason::new(
            "image-not-named",
            "The event does not name the image, and nothing else leads to it. Look at the launch's instances by hand.",
        )
    }))
}

/// Why a launch is outside the policy's scope (MITRE: VMTagScope), where that is certain. What is not
/// known about a launch keeps it inside.
pub fn outside_scope(launch: &Launch, context: &Context<'_>) -> Option<String> {
    let scope = &context.policy.images.scope;
    if scope.tags.is_empty() && scope.subnets.is_empty() {
        return None;
    }
    let response = !launch.instances.is_empty() && !launch.response_omitted;
    let mut tags = launch.tags.iter().chain(launch.instances.iter().flat_map(|instance| &instance.tags));
    let tagged =
        tags.any(|(key, value)| scope.tags.iter().any(|rule| rule.key == *key && like(&rule.value, value)));
    let mut subnets =
        launch.subnet.iter().chain(launch.instances.iter().filter_map(|instance| instance.subnet.as_ref()));
    let placed = subnets.any(|subnet| scope.subnets.contains(subnet));
    // A template may add tags and choose the subnet, and only the response shows it.
    let templated = launch.template.is_some() || matches!(launch.image, ImageRef::Template(_));
    let tags_known = scope.tags.is_empty() || response || (!launch.response_omitted && !templated);
    let subnet_known = scope.subnets.is_empty()
        || launch.subnet.is_some()
        || (response && launch.instances.iter().all(|instance| instance.subnet.is_some()));
    (!tagged && !placed && tags_known && subnet_known)
        .then(|| "outside the tags and subnets that the policy's images.scope names".to_owned())
}

/// Instances listed as evidence.
const LISTED: usize = 20;

/// What a launch showed, with what is known of its image.
pub fn evidence(launch: &Launch, image: Option<&ImageFact>) -> Map<String, Value> {
    let instances: Vec<&str> =
        launch.instances.iter().map(|instance| instance.id.as_str()).take(LISTED).collect();
    let first = launch.instances.first();
    let instance_type =
        launch.instance_type.as_ref().or_else(|| first.and_then(|instance| instance.instance_type.as_ref()));
    let subnet = launch.subnet.as_ref().or_else(|| first.and_then(|instance| instance.subnet.as_ref()));
    let id = image.map(|fact| fact.image_id.clone()).filter(|id| !id.is_empty());
    super::evidence([
        ("image", json!(id.unwrap_or_else(|| launch.image.label()))),
        ("image_name", json!(image.and_then(|fact| fact.name.as_ref()))),
        ("image_owner", json!(image.and_then(|fact| fact.owner_id.as_ref()))),
        ("owner_alias", json!(image.and_then(|fact| fact.image_owner_alias.as_ref()))),
        ("public", json!(image.and_then(|fact| fact.public))),
        ("created", json!(image.and_then(|fact| fact.creation_date.as_ref()))),
        ("deprecated", json!(image.and_then(|fact| fact.deprecation_time.as_ref()))),
        ("instances", if instances.is_empty() { Value::Null } else { json!(instances) }),
        ("instance_count", json!(launch.count)),
        ("found_running", if launch.found_running { json!(true) } else { Value::Null }),
        ("instance_type", json!(instance_type)),
        ("subnet", json!(subnet)),
        ("first_boot", json!(launch.note)),
        ("launch_template", json!(launch.template.as_ref().map(TemplateRef::label))),
    ])
}

/// The image a launch is about: its id as the facts tell it, else what the event said.
pub fn label(launch: &Launch, image: Option<&ImageFact>) -> String {
    let known = image.map(|fact| fact.image_id.as_str()).filter(|id| !id.is_empty());
    match (launch.image.id(), known) {
        (Some(id), _) | (None, Some(id)) => id.to_owned(),
        (None, None) => launch.image.label(),
    }
}

#[cfg(test)]
mod tests;
