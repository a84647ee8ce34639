//! From one file to facts: tells the kinds apart and reports what cannot be read.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::store::{Configuration, Entry, Layer, Version};
use crate::lookup::fact::{AllowedImages, Ancestor, ImageFact, InstanceFact, SnapshotFact, TemplateFact};

/// The longest file that is read: ten thousand images and more.
const LONGEST: u64 = 64 << 20;
/// The longest user data: EC2 takes 16 KB, and base64 is a third longer.
const LONGEST_USER_DATA: u64 = 64 << 10;
/// How many problems one file may tell of.
const TOLD: usize = 20;

/// Reads one file into a layer.
pub(super) fn file(path: &Path, user_data: Option<String>, layer: &mut Layer, problems: &mut Vec<String>) {
    let mut told = Problems { place: path.display().to_string(), said: Vec::new() };
    let bound = if user_data.is_some() { LONGEST_USER_DATA } else { LONGEST };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bound + 1).read_to_end(&mut bytes));
    match (read, user_data) {
        (Err(error), _) => told.add(format!("cannot be read: {error}")),
        (Ok(_), _) if bytes.len() as u64 > bound => {
            told.add(format!("is longer than {bound} bytes, not read"))
        }
        (Ok(_), Some(id)) => {
            layer.user_data.entry(id).or_insert(bytes);
        }
        (Ok(_), None) => documents(&bytes, layer, &mut told),
    }
    told.over(problems);
}

struct Problems {
    place: String,
    said: Vec<String>,
}

impl Problems {
    fn add(&mut self, problem: String) {
        self.said.push(problem);
    }

    fn over(self, problems: &mut Vec<String>) {
        let more = self.said.len().saturating_sub(TOLD);
        problems.extend(self.said.into_iter().take(TOLD).map(|said| format!("{}: {said}", self.place)));
        if more > 0 {
            problems.push(format!("{}: and {more} more entries that cannot be read", self.place));
        }
    }
}

/// One answer, a list of them, or one a line.
fn documents(bytes: &[u8], layer: &mut Layer, told: &mut Problems) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut any = false;
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        any = true;
        match value {
            Ok(Value::Array(answers)) => answers.into_iter().for_each(|answer| document(answer, layer, told)),
            Ok(answer) => document(answer, layer, told),
            // The stream is over after the first error; what came before it holds.
            Err(error) => told.add(format!("is not JSON: {error}")),
        }
    }
    if !any {
        told.add("is empty".to_owned());
    }
}

/// One answer, by its top-level keys.
fn document(answer: Value, layer: &mut Layer, told: &mut Problems) {
    let Value::Object(mut answer) = without_nulls(answer) else {
        return told.add("is no answer of the AWS CLI: not an object".to_owned());
    };
    let mut known = false;
    for (key, read) in LISTS {
        if let Some(entries) = answer.remove(*key) {
            known = true;
            match entries {
                Value::Array(entries) => read(entries, layer, told),
                _ => told.add(format!("`{key}` is no list")),
            }
        }
    }
    if let Some(entries) = answer.remove("ImageAncestryEntries") {
        known = true;
        ancestry(&answer, entries, layer, told);
    }
    if answer.contains_key("ImageCriteria") || answer.get("State").is_some_and(Value::is_string) {
        known = true;
        allowed_images(answer.clone(), layer, told);
    }
    if answer.contains_key("imageScanFindings") || answer.contains_key("imageScanStatus") {
        known = true;
        match super::scan::page(&answer) {
            Ok((page, unread)) => {
                if unread > 0 {
                    told.add(format!("{unread} findings have neither a name nor a severity"));
                }
                layer.scans.push(page);
            }
            Err(problem) => {
                layer.scans_there = true;
                told.add(problem);
            }
        }
    }
    if !known {
        told.add(
            "holds none of the kinds of facts known: Images, InstanceImageMetadata, ImageAncestryEntries, \
             LaunchTemplateVersions, LaunchConfigurations, imageScanFindings, ImageCriteria, Snapshots, \
             Reservations"
                .to_owned(),
        );
    }
}

type ReadList = fn(Vec<Value>, &mut Layer, &mut Problems);

/// The kinds that are a list under one key.
const LISTS: &[(&str, ReadList)] = &[
    ("Images", images),
    ("InstanceImageMetadata", instance_images),
    ("Snapshots", snapshots),
    ("LaunchTemplateVersions", templates),
    ("LaunchConfigurations", configurations),
    ("Reservations", reservations),
];

fn images(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    let images = layer.images.get_or_insert_default();
    for entry in entries {
        if let Some((id, image)) = keyed::<ImageFact>(&entry, "Images", "ImageId", &entry, told) {
            keep(images, id, image);
        }
    }
}

fn instance_images(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    let images = layer.instance_images.get_or_insert_default();
    for entry in entries {
        let metadata = entry.get("ImageMetadata").unwrap_or(&Value::Null);
        let kind = "InstanceImageMetadata";
        if let Some((id, image)) = keyed::<ImageFact>(&entry, kind, "InstanceId", metadata, told) {
            keep(images, id, image);
        }
    }
}

fn snapshots(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    let snapshots = layer.snapshots.get_or_insert_default();
    for entry in entries {
        if let Some((id, snapshot)) = keyed::<SnapshotFact>(&entry, "Snapshots", "SnapshotId", &entry, told) {
            keep(snapshots, id, snapshot);
        }
    }
}

fn templates(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    let templates = layer.templates.get_or_insert_default();
    for entry in entries {
        let data = entry.get("LaunchTemplateData").unwrap_or(&Value::Null);
        let fact = TemplateFact {
            template_id: text(&entry, "LaunchTemplateId"),
            template_name: text(&entry, "LaunchTemplateName"),
            version: entry.get("VersionNumber").and_then(Value::as_i64),
            // Without ResolveAlias this may be a parameter's name, which is no image.
            image_id: text(data, "ImageId").filter(|id| id.starts_with("ami-")),
            user_data: text(data, "UserData"),
        };
        if fact.version.is_none() || (fact.template_id.is_none() && fact.template_name.is_none()) {
            told.add("an entry of LaunchTemplateVersions has no template or no VersionNumber".to_owned());
            continue;
        }
        let default = entry.get("DefaultVersion").and_then(Value::as_bool) == Some(true);
        templates.push(Version { fact, default });
    }
}

fn configurations(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    for entry in entries {
        match text(&entry, "LaunchConfigurationName") {
            Some(name) => {
                let user_data = text(&entry, "UserData");
                layer.configurations.push(Configuration { name, user_data });
            }
            None => told.add("an entry of LaunchConfigurations has no LaunchConfigurationName".to_owned()),
        }
    }
}

fn reservations(entries: Vec<Value>, layer: &mut Layer, told: &mut Problems) {
    let instances = layer.instances.get_or_insert_default();
    for reservation in entries {
        let Some(Value::Array(entries)) = reservation.get("Instances") else {
            told.add("an entry of Reservations has no Instances".to_owned());
            continue;
        };
        for entry in entries {
            match keyed::<InstanceFact>(entry, "Instances", "InstanceId", entry, told) {
                Some((_, Entry::Read(instance))) => instances.push(instance),
                Some((_, Entry::Broken)) | None => layer.instances_broken = true,
            }
        }
    }
}

/// `ImageAncestryEntries`, of the image that the file names, else of the first entry's.
fn ancestry(answer: &Map<String, Value>, entries: Value, layer: &mut Layer, told: &mut Problems) {
    let ancestries = layer.ancestries.get_or_insert_default();
    let Value::Array(entries) = entries else {
        return told.add("`ImageAncestryEntries` is no list".to_owned());
    };
    let named = answer.get("ImageId").and_then(Value::as_str).map(str::to_owned);
    let Some(id) = named.or_else(|| text(entries.first()?, "ImageId")) else {
        return told.add("`ImageAncestryEntries` does not say whose: add an `ImageId` beside it".to_owned());
    };
    let mut read = Vec::with_capacity(entries.len());
    let mut broken = false;
    for entry in &entries {
        match keyed::<Ancestor>(entry, "ImageAncestryEntries", "ImageId", entry, told) {
            Some((_, Entry::Read(ancestor))) => read.push(ancestor),
            // With a link missing, the chain proves nothing.
            _ => broken = true,
        }
    }
    // An empty chain is no answer: the look-up says `Absent`, as it does of AWS.
    if !entries.is_empty() {
        keep(ancestries, id, if broken { Entry::Broken } else { Entry::Read(read) });
    }
}

fn allowed_images(answer: Map<String, Value>, layer: &mut Layer, told: &mut Problems) {
    const PARTS: &[&str] = &[
        "ImageProviders",
        "ImageNames",
        "MarketplaceProductCodes",
        "CreationDateCondition",
        "DeprecationTimeCondition",
        "ImageWatermarks",
    ];
    // A criterion approves what all of its parts allow. With a part that cannot be judged it would
    // approve too much, so what it says of an image cannot be told.
    let mut unread: Vec<Vec<String>> = Vec::new();
    if let Some(Value::Array(criteria)) = answer.get("ImageCriteria") {
        for criterion in criteria {
            let parts = criterion.as_object().into_iter().flat_map(|parts| parts.keys());
            let mut unknown: Vec<String> =
                parts.filter(|part| !PARTS.contains(&part.as_str())).cloned().collect();
            for part in unknown.iter().filter(|part| *part != "ScanResultCondition") {
                told.add(format!(
                    "a criterion of ImageCriteria has an unknown part `{part}`: what it admits cannot be told"
                ));
            }
            let watermarks = criterion.get("ImageWatermarks").and_then(Value::as_array).into_iter().flatten();
            let bounds = watermarks.filter_map(Value::as_object).flat_map(|watermark| watermark.keys());
            unknown.extend(bounds.filter(|part| *part != "WatermarkKey").cloned());
            unread.push(unknown);
        }
    }
    let setting = match serde_json::from_value::<AllowedImages>(Value::Object(answer)) {
        Ok(mut setting) => {
            for (criterion, unread) in setting.image_criteria.iter_mut().zip(unread) {
                criterion.unread = unread;
            }
            Entry::Read(setting)
        }
        Err(error) => {
            told.add(format!("the Allowed AMIs setting cannot be read: {error}"));
            Entry::Broken
        }
    };
    layer.allowed_images.get_or_insert(setting);
}

/// An entry and its id. One without an id is skipped and told; one that cannot be read is told and
/// remembered, so that its id is not taken to be absent.
fn keyed<T: DeserializeOwned>(
    entry: &Value,
    kind: &str,
    key: &str,
    fact: &Value,
    told: &mut Problems,
) -> Option<(String, Entry<T>)> {
    let Some(id) = text(entry, key) else {
        told.add(format!("an entry of {kind} has no {key}, and is skipped"));
        return None;
    };
    match T::deserialize(fact) {
        Ok(fact) => Some((id, Entry::Read(fact))),
        Err(error) => {
            told.add(format!("the entry of {kind} for {id} cannot be read: {error}"));
            Some((id, Entry::Broken))
        }
    }
}

/// The first entry about an id that can be read is the one that counts.
fn keep<T>(entries: &mut HashMap<String, Entry<T>>, id: String, entry: Entry<T>) {
    if !matches!(entries.get(&id), Some(Entry::Read(_))) {
        entries.insert(id, entry);
    }
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A null says the same as a missing field. No deeper than the JSON reader allows.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
