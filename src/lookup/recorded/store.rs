//! What was read, and how a fact is found in it.

use std::collections::HashMap;

use super::scan::{self, Page};
use crate::activity::TemplateRef;
use crate::lookup::fact::{
    AllowedImages, Ancestor, FactValue, ImageFact, InstanceFact, SnapshotFact, TemplateFact,
};
use crate::lookup::{Cause, Fact, FactKey, Missing, UserDataOf};

/// The facts of one region, or of all. `None`: no file of that kind.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub images: Option<HashMap<String, Entry<ImageFact>>>,
    pub instance_images: Option<HashMap<String, Entry<ImageFact>>>,
    pub ancestries: Option<HashMap<String, Entry<Vec<Ancestor>>>>,
    pub snapshots: Option<HashMap<String, Entry<SnapshotFact>>>,
    pub templates: Option<Vec<Version>>,
    pub instances: Option<Vec<InstanceFact>>,
    /// An instance could not be read: which launch it belongs to is unknown.
    pub instances_broken: bool,
    pub allowed_images: Option<Entry<AllowedImages>>,
    pub scans: Vec<Page>,
    /// There are scan files, though none that could be read.
    pub scans_there: bool,
    pub configurations: Vec<Configuration>,
    pub user_data: HashMap<String, Vec<u8>>,
}

/// A recorded entry.
#[derive(Debug)]
pub(super) enum Entry<T> {
    Read(T),
    /// It is there, and cannot be read.
    Broken,
}

/// One version of a launch template.
#[derive(Debug)]
pub(super) struct Version {
    pub fact: TemplateFact,
    pub default: bool,
}

/// A launch configuration, what is needed of it.
#[derive(Debug)]
pub(super) struct Configuration {
    pub name: String,
    /// Base64.
    pub user_data: Option<String>,
}

impl Layer {
    /// `None` where there is no file of that kind in this layer.
    pub fn fact(&self, key: &FactKey) -> Option<Fact> {
        let image = |image: &ImageFact| FactValue::Image(Box::new(image.clone()));
        match key {
            FactKey::Image { image: id, .. } => find(self.images.as_ref()?, id, image),
            FactKey::InstanceImage { instance, .. } => find(self.instance_images.as_ref()?, instance, image),
            FactKey::Ancestry { image, .. } => {
                find(self.ancestries.as_ref()?, image, |entries| FactValue::Ancestry(entries.clone()))
            }
            FactKey::Snapshot { snapshot, .. } => {
                find(self.snapshots.as_ref()?, snapshot, |snapshot| FactValue::Snapshot(snapshot.clone()))
            }
            FactKey::AllowedImages { .. } => {
                Some(self.allowed_images.as_ref()?.fact(|setting| FactValue::AllowedImages(setting.clone())))
            }
            FactKey::ScanFindings { registry, repository, digest, .. } => {
                if self.scans.is_empty() && !self.scans_there {
                    return None;
                }
                let report = scan::report(&self.scans, registry, repository, digest);
                Some(report.map_or(Fact::Absent, |report| Fact::Known(FactValue::Scan(report))))
            }
            FactKey::Template { template, .. } => {
                let version = version(self.templates.as_ref()?, template);
                Some(
                    version.map_or(Fact::Absent, |version| {
                        Fact::Known(FactValue::Template(version.fact.clone()))
                    }),
                )
            }
            FactKey::UserData { of, .. } => self.user_data_of(of),
            FactKey::Launched { client_token, .. } => self.launched(client_token),
        }
    }

    fn launched(&self, token: &str) -> Option<Fact> {
        let all = self.instances.as_ref()?;
        let of = |fits: &dyn Fn(&InstanceFact) -> bool| -> Vec<InstanceFact> {
            all.iter().filter(|instance| fits(instance)).cloned().collect()
        };
        let mut found = of(&|instance| instance.client_token.as_deref() == Some(token));
        if found.is_empty() {
            found = of(&|instance| instance.instance_id == token);
        }
        Some(match found.is_empty() {
            // Part of a launch must not pass for the whole of it, nor for nothing.
            _ if self.instances_broken => Fact::Unavailable(Missing::new(Cause::Other, BROKEN)),
            true => Fact::Absent,
            false => Fact::Known(FactValue::Instances(found)),
        })
    }

    fn user_data_of(&self, of: &UserDataOf) -> Option<Fact> {
        let (found, there) = match of {
            UserDataOf::Instance(id) => (self.user_data.get(id).cloned(), !self.user_data.is_empty()),
            UserDataOf::Configuration(name) => (self.user_data(name), !self.configurations.is_empty()),
            UserDataOf::Template(template) => {
                let known = self.templates.as_ref().and_then(|templates| version(templates, template));
                let written = known
                    .and_then(|known| known.fact.version)
                    .map(|number| number.to_string())
                    .or_else(|| template.version.clone());
                let file = [&template.id, &template.name]
                    .into_iter()
                    .flatten()
                    .find_map(|name| self.user_data.get(&format!("{name}:{}", written.as_deref()?)).cloned());
                let carried = || {
                    let text = known?.fact.user_data.clone();
                    Some(text.map(String::into_bytes).unwrap_or_default())
                };
                (file.or_else(carried), self.templates.is_some() || !self.user_data.is_empty())
            }
        };
        match found {
            Some(bytes) => Some(Fact::Known(FactValue::UserData(bytes))),
            None if there => Some(Fact::Absent),
            None => None,
        }
    }

    /// See [`super::Recorded::user_data`].
    pub fn user_data(&self, id: &str) -> Option<Vec<u8>> {
        if let Some(bytes) = self.user_data.get(id) {
            return Some(bytes.clone());
        }
        let from_template = || {
            let (name, number) = id.rsplit_once(':')?;
            let template = TemplateRef {
                id: name.starts_with("lt-").then(|| name.to_owned()),
                name: (!name.starts_with("lt-")).then(|| name.to_owned()),
                version: Some(number.to_owned()),
            };
            version(self.templates.as_ref()?, &template)?.fact.user_data.clone()
        };
        let from_configuration =
            || self.configurations.iter().find(|configuration| configuration.name == id)?.user_data.clone();
        from_template().or_else(from_configuration).map(String::into_bytes)
    }
}

/// For people, and the same for every entry.
const BROKEN: &str = "the recorded entry cannot be read";

impl<T> Entry<T> {
    fn fact(&self, value: impl FnOnce(&T) -> FactValue) -> Fact {
        match self {
            Entry::Read(read) => Fact::Known(value(read)),
            Entry::Broken => Fact::Unavailable(Missing::new(Cause::Other, BROKEN)),
        }
    }
}

fn find<T>(
    entries: &HashMap<String, Entry<T>>,
    id: &str,
    value: impl FnOnce(&T) -> FactValue,
) -> Option<Fact> {
    Some(entries.get(id).map_or(Fact::Absent, |entry| entry.fact(value)))
}

/// The version that EC2 would take: `$Default` unless one is named.
fn version<'a>(versions: &'a [Version], asked: &TemplateRef) -> Option<&'a Version> {
    let mut of_template = versions.iter().filter(|version| match (&asked.id, &asked.name) {
        (Some(id), _) => version.fact.template_id.as_ref() == Some(id),
        (None, Some(name)) => version.fact.template_name.as_ref() == Some(name),
        (None, None) => false,
    });
    match asked.version.as_deref() {
        None | Some("$Default") => of_template.find(|version| version.default),
        Some("$Latest") => of_template.max_by_key(|version| version.fact.version),
        Some(number) => {
            let number = number.parse::<i64>().ok()?;
            of_template.find(|version| version.fact.version == Some(number))
        }
    }
}
