//! Which files a facts folder holds, and for which region.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// More folders inside each other than anybody keeps facts in.
const DEEPEST: usize = 16;
/// More files than a folder of facts has.
const MOST: usize = 50_000;

/// A file to read.
pub(super) struct Found {
    pub path: PathBuf,
    /// The region it holds for; `None` for any.
    pub region: Option<String>,
    /// The id it is the user data of.
    pub user_data: Option<String>,
}

/// A folder still to be listed.
struct Folder {
    path: PathBuf,
    depth: usize,
    region: Option<String>,
    /// Directly below it are regions (`regions/`) or user data (`user-data/`).
    holds: Holds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Facts,
    Regions,
    UserData,
}

/// Every file that may hold facts, in the order of their paths. A folder that two links lead to is
/// read once for each region.
pub(super) fn files(root: &Path, problems: &mut Vec<String>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![Folder { path: root.to_owned(), depth: 0, region: None, holds: Holds::Facts }];
    while let Some(folder) = waiting.pop() {
        let listed = folder.path.canonicalize().and_then(|real| Ok((real, std::fs::read_dir(&folder.path)?)));
        let (real, entries) = match listed {
            Ok(listed) => listed,
            Err(error) if folder.depth == 0 => return Err(error),
            Err(error) => {
                problems.push(format!("{}: cannot be listed: {error}", folder.path.display()));
                continue;
            }
        };
        if !seen.insert((real, folder.region.clone())) {
            continue;
        }
        for entry in entries {
            // Follows links; the set of folders seen keeps loops finite.
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    problems.push(format!("{}: cannot be listed: {error}", folder.path.display()));
                    continue;
                }
            };
            let kind = match std::fs::metadata(&path) {
                Ok(kind) => kind,
                Err(error) => {
                    problems.push(format!("{}: cannot be read: {error}", path.display()));
                    continue;
                }
            };
            if kind.is_dir() {
                match below(&folder, path) {
                    Some(below) => waiting.push(below),
                    None => problems.push(format!(
                        "{}: more than {DEEPEST} folders deep, not read",
                        folder.path.display()
                    )),
                }
            } else if kind.is_file()
                && let Some(file) = file(&folder, path)
            {
                found.push(file);
            }
        }
        if found.len() > MOST {
            problems.push(format!("{}: more than {MOST} files, the rest is not read", root.display()));
            found.truncate(MOST);
            break;
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn below(folder: &Folder, path: PathBuf) -> Option<Folder> {
    let depth = folder.depth + 1;
    if depth > DEEPEST {
        return None;
    }
    let name = path.file_name()?.to_string_lossy().into_owned();
    let (region, holds) = match (folder.holds, name.as_str()) {
        (Holds::Regions, _) => (Some(name), Holds::Facts),
        (Holds::Facts, "regions") if folder.region.is_none() => (None, Holds::Regions),
        (Holds::Facts, "user-data") => (folder.region.clone(), Holds::UserData),
        (holds, _) => (folder.region.clone(), holds),
    };
    Some(Folder { path, depth, region, holds })
}

fn file(folder: &Folder, path: PathBuf) -> Option<Found> {
    let region = folder.region.clone();
    if folder.holds == Holds::UserData {
        let user_data = Some(path.file_name()?.to_str()?.to_owned());
        return Some(Found { path, region, user_data });
    }
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    json.then_some(Found { path, region, user_data: None })
}
