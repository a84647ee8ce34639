//! Facts from files in the shapes the AWS CLI prints.
//!
//! Every `.json` file of the folder and of those below it is read; what kind of fact it holds is told
//! by its top-level keys, whatever the file is called. `regions/<region>/` holds facts for that region
//! only and is asked first; `user-data/<id>` holds user data as bytes. One file may hold several kinds,
//! be a list of answers, or one answer a line.
//!
//! A fact is [`Fact::Absent`] where the kind of file is there and the id is not, and
//! [`Fact::Unavailable`] where there is no file of that kind or the entry cannot be read: nothing that
//! was not recorded is assumed.

mod read;
mod scan;
mod store;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Cause, Fact, FactKey, Lookup, Missing};
use store::Layer;

/// The facts of one folder, read once.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Facts for every region.
    everywhere: Layer,
    /// `regions/<region>/`
    regions: BTreeMap<String, Layer>,
    problems: Vec<String>,
}

/// The folder as a whole cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RecordedError {
    #[error("the facts folder {} cannot be read: {source}", folder.display())]
    #[diagnostic(help("check the path after --facts, and that it is a folder"))]
    Unreadable { folder: PathBuf, source: std::io::Error },
}

impl Recorded {
    /// Reads every fact in a folder.
    ///
    /// # Errors
    /// Where the folder itself cannot be listed. What is wrong with single files is told by
    /// [`Recorded::problems`], and the rest is used.
    pub fn open(folder: &Path) -> Result<Recorded, RecordedError> {
        let mut recorded = Recorded::default();
        let files = walk::files(folder, &mut recorded.problems)
            .map_err(|source| RecordedError::Unreadable { folder: folder.to_owned(), source })?;
        for file in files {
            let layer = match file.region {
                Some(region) => recorded.regions.entry(region).or_default(),
                None => &mut recorded.everywhere,
            };
            read::file(&file.path, file.user_data, layer, &mut recorded.problems);
        }
        Ok(recorded)
    }

    /// What could not be read, one sentence each with the file's path, in the order of the files.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The recorded user data of an instance (`i-...`), of a launch template's version (`lt-...:7`) or
    /// of a launch configuration (its name): the bytes as they stand in `user-data/<id>`, else the
    /// base64 that the recorded template or configuration carries.
    pub fn user_data(&self, id: &str) -> Option<Vec<u8>> {
        self.layers(None).find_map(|layer| layer.user_data(id))
    }

    /// Looks one fact up.
    pub fn fact(&self, key: &FactKey) -> Fact {
        let mut there = false;
        for layer in self.layers(Some(&key.scope().region)) {
            match layer.fact(key) {
                Some(Fact::Absent) => there = true,
                Some(fact) => return fact,
                None => {}
            }
        }
        if there {
            return Fact::Absent;
        }
        Fact::Unavailable(Missing::new(
            Cause::NotRecorded,
            format!("no recorded facts of kind {}", kind(key)),
        ))
    }

    /// The layers that hold for a region (all of them for `None`), the most particular first.
    fn layers<'a>(&'a self, region: Option<&'a str>) -> impl Iterator<Item = &'a Layer> {
        let regional =
            self.regions.iter().filter(move |(name, _)| region.is_none_or(|region| region == *name));
        regional.map(|(_, layer)| layer).chain([&self.everywhere])
    }
}

/// The top-level key of the files that would answer.
fn kind(key: &FactKey) -> &'static str {
    match key {
        FactKey::Image { .. } => "Images",
        FactKey::InstanceImage { .. } => "InstanceImageMetadata",
        FactKey::Ancestry { .. } => "ImageAncestryEntries",
        FactKey::Snapshot { .. } => "Snapshots",
        FactKey::AllowedImages { .. } => "ImageCriteria",
        FactKey::ScanFindings { .. } => "imageScanFindings",
        FactKey::Template { .. } => "LaunchTemplateVersions",
        FactKey::UserData { .. } => "user-data/",
        FactKey::Launched { .. } => "Reservations",
    }
}

impl Lookup for Recorded {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        keys.iter().map(|key| (key.clone(), self.fact(key))).collect()
    }
}
