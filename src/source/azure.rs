//! Azure's Activity Log: virtual machines and scale sets being written.
//!
//! The same operation is told in three forms: the diagnostic export (operation and resource in capitals),
//! the API's own (`{"value": ..., "localizedValue": ...}`), and Event Grid's, which carries no request.
//! And it is told several times, `Start`, `Accept`, `Success`, under one correlation id: the request, and
//! with it the image, stands in the first. What a `Start` asked for counts as launched.

use serde_json::{Value, json};

use super::Reading;
use super::envelope::{Envelope, Own};
use super::fields::{any, at, count, get, scalar, str, text, text_at};
use crate::activity::{
    Action, Activity, Actor, ActorKind, ApiCall, AzureImageKind, Cloud, ImageRef, Instance, Launch,
    LaunchOutcome,
};
use crate::hash;

const MACHINES: &str = "microsoft.compute/virtualmachines/write";
const SCALE_SETS: &str = "microsoft.compute/virtualmachinescalesets/write";

/// Whether this is an Activity Log record, also one that lost a field.
pub(super) fn is_record(value: &Value) -> bool {
    let microsoft = |text: &str| text.to_ascii_lowercase().contains("microsoft.");
    let inner = body(value);
    operation(inner).is_some_and(|name| microsoft(&name) && name.contains('/'))
        || resource(value)
            .is_some_and(|id| id.to_ascii_lowercase().starts_with("/subscriptions/") && microsoft(&id))
}

/// Event Grid's `data`, else the record itself.
fn body(value: &Value) -> &Value {
    get(value, "data").filter(|data| data.is_object()).unwrap_or(value)
}

/// A field that is a scalar, or an object with a `value`.
fn value_of(record: &Value, key: &str) -> Option<String> {
    let field = get(record, key)?;
    scalar(field).or_else(|| text(field, "value"))
}

fn operation(record: &Value) -> Option<String> {
    let field = any(record, &["operationName", "operation_name"])?;
    field.as_str().or_else(|| str(field, "value")).filter(|name| !name.trim().is_empty()).map(str::to_owned)
}

fn resource(value: &Value) -> Option<String> {
    let inner = body(value);
    let scope = || text_at(inner, &["identity", "authorization", "scope"]);
    let id = text(inner, "resourceId").or_else(|| text(inner, "resourceUri"));
    let id = id.or_else(|| text(inner, "resource_id"));
    id.or_else(|| text(value, "subject"))
        .or_else(scope)
        .or_else(|| text_at(inner, &["authorization", "scope"]))
}

/// The SDK for Python prints the same fields in `snake_case`; what they hold is as the service wrote it.
fn camel_case(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return value.clone() };
    let renamed = fields.iter().map(|(key, value)| {
        let mut parts = key.split('_');
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let mut letters = part.chars();
            name.extend(letters.next().map(|it| it.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
        let kept = matches!(key.as_str(), "properties" | "claims" | "tags");
        (name, if kept { value.clone() } else { camel_case(value) })
    });
    Value::Object(renamed.collect())
}

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    let renamed;
    let value = if any(body(value), &["operation_name", "resource_id"]).is_some() {
        renamed = camel_case(value);
        &renamed
    } else {
        value
    };
    let record = body(value);
    let Some(operation) = operation(record) else {
        return Reading::unreadable(&envelope.place, "Azure Activity Log record without operationName");
    };
    if !matches!(operation.to_ascii_lowercase().as_str(), MACHINES | SCALE_SETS) {
        return Reading::ignored();
    }
    let record = Record { whole: value, raw: record, envelope, operation: &operation };
    Reading::of(record.launch().map(|launch| record.activity(launch)).into_iter().collect())
}

struct Record<'a> {
    whole: &'a Value,
    raw: &'a Value,
    envelope: &'a Envelope<'a>,
    operation: &'a str,
}

/// How far the operation had come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Started,
    /// Accepted or done.
    Later,
    Failed,
}

/// What a body tells of the machine.
enum Body {
    /// The machine's properties, its disks among them.
    Machine(Value),
    /// A change of something else: tags, size.
    Other,
    Missing,
}

impl Record<'_> {
    fn stage(&self) -> Stage {
        let told = text(self.raw, "resultType").or_else(|| value_of(self.raw, "status"));
        let told = told.or_else(|| str(self.whole, "eventType").map(str::to_owned));
        let told = told.or_else(|| str(self.whole, "type").map(str::to_owned));
        let told = told.unwrap_or_default().to_ascii_lowercase();
        if told.contains("fail") || told.contains("cancel") {
            Stage::Failed
        } else if ["succe", "accept"].iter().any(|word| told.contains(word)) {
            Stage::Later
        } else {
            Stage::Started
        }
    }

    fn property(&self, key: &str) -> Option<Value> {
        let value = get(get(self.raw, "properties")?, key)?;
        match value {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Some(other.clone()),
        }
    }

    fn body(&self, key: &str) -> Body {
        match self.property(key) {
            Some(body) if storage(&body).is_some() => Body::Machine(body),
            Some(Value::Object(fields)) if !fields.is_empty() => Body::Other,
            _ => Body::Missing,
        }
    }

    /// `None` where the record adds nothing: an update of something else, or a later stage that does
    /// not repeat what was asked for.
    fn launch(&self) -> Option<Launch> {
        let stage = self.stage();
        let machine = match (self.body("requestbody"), self.body("responseBody")) {
            (Body::Machine(body), _) | (_, Body::Machine(body)) => Some(body),
            (Body::Other, _) => return None,
            // Event Grid never carries the request, and tells only the end.
            _ if stage == Stage::Later && get(self.whole, "data").is_none() => return None,
            _ => None,
        };
        let outcome = match stage {
            Stage::Failed => LaunchOutcome::Attempted(self.error().unwrap_or_else(|| "Failed".to_owned())),
            Stage::Started | Stage::Later => LaunchOutcome::Succeeded,
        };
        let name = resource(self.whole).and_then(|id| id.rsplit('/').next().map(str::to_ascii_lowercase));
        let instances = name.filter(|name| !name.is_empty() && outcome == LaunchOutcome::Succeeded);
        let mut launch = Launch {
            outcome,
            count: 1,
            instances: instances.map(|id| Instance { id, ..Instance::default() }).into_iter().collect(),
            response_omitted: machine.is_none(),
            ..Launch::default()
        };
        if let Some(machine) = &machine {
            launch.image = storage(machine).map(|disks| image(machine, disks)).unwrap_or_default();
            launch.instance_type = text_at(machine, &["properties", "hardwareProfile", "vmSize"])
                .or_else(|| text_at(machine, &["sku", "name"]));
            launch.count = at(machine, &["sku", "capacity"])
                .and_then(count)
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1);
            launch.tags = get(machine, "tags")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), scalar(value)?)))
                .collect();
            launch.note = note(machine);
        }
        Some(launch)
    }

    fn error(&self) -> Option<String> {
        let message = self.property("statusMessage");
        let code = message.and_then(|it| text_at(&it, &["error", "code"]).or_else(|| text(&it, "code")));
        let signature = || text(self.raw, "resultSignature").filter(|it| !it.is_empty());
        code.or_else(|| value_of(self.raw, "subStatus")).or_else(signature)
    }

    /// The subscription: what an account is to AWS.
    fn subscription(&self) -> String {
        let id = resource(self.whole).and_then(|id| subscription_of(&id));
        let named = id.or_else(|| text(self.raw, "subscriptionId"));
        named.unwrap_or_default().to_ascii_lowercase()
    }

    fn activity(&self, launch: Launch) -> Activity {
        let time = ["time", "eventTimestamp", "eventTime"];
        let time =
            |record| any(record, &time).and_then(Value::as_str).and_then(|it| self.envelope.time_of(it));
        let resource = resource(self.whole).unwrap_or_default().to_ascii_lowercase();
        let correlation = text(self.raw, "correlationId");
        let actor = self.actor();
        // All stages of one operation are one event, but only as far as they tell the same.
        let stage = match (&launch.outcome, &launch.image) {
            (LaunchOutcome::Succeeded, ImageRef::Unknown) => "unknown",
            (LaunchOutcome::Succeeded, _) => "",
            _ => "failed",
        };
        let own = Own {
            // The caller may choose the correlation id: who asked for which image belongs to the name.
            id: correlation.map(|id| {
                let (image, count) = (launch.image.label(), launch.count.to_string());
                let who = actor.as_ref().map_or("", |actor| actor.principal.as_str());
                match hash::hex(&[resource.as_str(), stage, &image, &count, who]).get(..12) {
                    Some(hash) => format!("{id}-{hash}"),
                    None => id,
                }
            }),
            time: time(self.raw).or_else(|| time(self.whole)),
            // Never the account and region of the bus that brought it.
            account: Some(self.subscription()),
            region: Some(self.location()),
        };
        let client = text(self.raw, "callerIpAddress")
            .or_else(|| text_at(self.raw, &["httpRequest", "clientIpAddress"]));
        let failed = matches!(launch.outcome, LaunchOutcome::Attempted(_));
        let api = ApiCall {
            service: "Microsoft.Compute".to_owned(),
            operation: self.operation.to_owned(),
            error_code: failed.then(|| self.error()).flatten(),
            error_message: None,
            request_id: text(self.raw, "correlationId"),
            source_ip: client,
            user_agent: None,
        };
        let action = Action::ImageLaunched(launch);
        let mut activity = self.envelope.activity(self.whole, own, actor, Some(api), action);
        activity.cloud = Cloud::Azure;
        activity
    }

    fn location(&self) -> String {
        let bodies = ["requestbody", "responseBody"];
        let told = bodies.iter().find_map(|key| text(&self.property(key)?, "location"));
        told.or_else(|| text(self.raw, "location")).unwrap_or_default()
    }

    fn actor(&self) -> Option<Actor> {
        let claims = at(self.raw, &["identity", "claims"]).or_else(|| get(self.raw, "claims"));
        let claims = match claims {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(json!({})),
            Some(other) => other.clone(),
            None => json!({}),
        };
        let schema = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/";
        let person = text(&claims, &format!("{schema}upn"))
            .or_else(|| text(self.raw, "caller"))
            .or_else(|| text(&claims, "upn"))
            .or_else(|| text(&claims, &format!("{schema}name")));
        let application = text(&claims, "appid");
        let object = text(&claims, "http://schemas.microsoft.com/identity/claims/objectidentifier");
        let principal = person.or(application).or(object)?;
        Some(Actor {
            kind: ActorKind::Unknown,
            name: principal.clone(),
            principal,
            account: None,
            session: None,
            source_identity: None,
            invoked_by: None,
            access_key_id: None,
            mfa: None,
        })
    }
}

/// The subscription in a resource id, lower case.
fn subscription_of(id: &str) -> Option<String> {
    let mut parts = id.split('/').skip_while(|part| !part.eq_ignore_ascii_case("subscriptions"));
    parts.next()?;
    parts.next().filter(|id| !id.is_empty()).map(str::to_ascii_lowercase)
}

/// The disks of a machine, or of the machines of a scale set.
fn storage(body: &Value) -> Option<&Value> {
    let machine = at(body, &["properties", "storageProfile"]);
    machine.or_else(|| at(body, &["properties", "virtualMachineProfile", "storageProfile"]))
}

fn image(machine: &Value, storage: &Value) -> ImageRef {
    let Some(reference) = get(storage, "imageReference") else {
        // Started from a disk that exists already.
        let disk = text_at(storage, &["osDisk", "managedDisk", "id"]);
        return disk.map_or(ImageRef::Unknown, |id| by_id(id, AzureImageKind::Resource));
    };
    let named = |key: &str| text(reference, key);
    // Whatever else stands beside it, a gallery decides.
    if let Some(id) = named("communityGalleryImageId") {
        return by_id(id, AzureImageKind::CommunityGallery);
    }
    if let Some(id) = named("sharedGalleryImageId") {
        return by_id(id, AzureImageKind::SharedGallery);
    }
    if let Some(id) = named("id") {
        return by_id(id, AzureImageKind::Resource);
    }
    let publisher = named("publisher").or_else(|| text_at(machine, &["plan", "publisher"]));
    match publisher {
        Some(publisher) => ImageRef::Azure {
            publisher,
            offer: named("offer").unwrap_or_default(),
            sku: named("sku").unwrap_or_default(),
            version: named("version").unwrap_or_default(),
        },
        None => ImageRef::Unknown,
    }
}

fn by_id(id: String, kind: AzureImageKind) -> ImageRef {
    let lower = id.to_ascii_lowercase();
    let kind = if lower.starts_with("/communitygalleries/") {
        AzureImageKind::CommunityGallery
    } else if lower.starts_with("/sharedgalleries/") {
        AzureImageKind::SharedGallery
    } else {
        kind
    };
    ImageRef::AzureGallery { id, kind }
}

/// What runs at first boot. Azure never logs the scripts, at most that there are some.
fn note(machine: &Value) -> Option<String> {
    let profiles = [get(machine, "properties"), at(machine, &["properties", "virtualMachineProfile"])];
    let mut found: Vec<&str> = Vec::new();
    for profile in profiles.into_iter().flatten() {
        if at(profile, &["osProfile", "customData"]).is_some() {
            found.push("customData");
        }
        if get(profile, "userData").is_some() {
            found.push("userData");
        }
        if get(profile, "extensionProfile").is_some() {
            found.push("extensions");
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests;
