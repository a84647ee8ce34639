//! The policy's JSON Schema, for editors and for checks in a pipeline.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Policy, listed};
use crate::detection::REGISTRY;

impl Policy {
    /// JSON Schema, draft 2020-12, generated from the types; the detections' ids are those of this
    /// build.
    pub fn schema() -> Value {
        let ids: Vec<&str> = REGISTRY.iter().map(|detection| detection.id).collect();
        schema_with(&ids)
    }
}

pub(super) fn schema_with(ids: &[&str]) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Policy>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Imagewarden policy"));
    }
    if let Some(detections) = schema.pointer_mut("/properties/detections").and_then(Value::as_object_mut) {
        detections.insert("propertyNames".to_owned(), json!({ "enum": ids }));
    }
    let account_or = |words: &str| format!("^({words}|[0-9]{{12}})$");
    let owner = account_or("self|amazon|organization");
    for (list, key, pattern) in [
        ("owners", "owner", Some(owner.as_str())),
        ("ids", "id", Some("^ami-([0-9a-f]{8}|[0-9a-f]{17})$")),
        ("watermarks", "watermark", Some("^[0-9]{12}:.")),
        ("azure_publishers", "publisher", None),
        ("gcp_projects", "project", None),
    ] {
        if let Some(list) = schema.pointer_mut(&format!("/$defs/Approved/properties/{list}/items")) {
            *list = listed::schema(key, pattern);
        }
    }
    allow_empty_sections(&mut schema);
    schema
}

/// A section whose keys are all commented out is null, and means its defaults.
fn allow_empty_sections(schema: &mut Value) {
    let mut sections =
        vec!["".to_owned(), "/properties/detections".to_owned(), "/properties/suppress".to_owned()];
    let definitions = schema["$defs"].as_object().into_iter().flat_map(|definitions| definitions.values());
    for object in definitions.chain([&*schema]) {
        let properties = object["properties"].as_object().into_iter().flat_map(|keys| keys.values());
        let names = properties.filter_map(|property| property["$ref"].as_str()?.strip_prefix('#'));
        sections.extend(names.map(str::to_owned));
    }
    for section in sections {
        if let Some(kind) = schema.pointer_mut(&section).and_then(|section| section.get_mut("type"))
            && (kind == "object" || kind == "array")
        {
            *kind = json!([kind.clone(), "null"]);
        }
    }
}
