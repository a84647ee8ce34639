//! Which files are read, which facts stand beside them, and what could not be read.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use imagewarden::archive;
use imagewarden::lookup::recorded::Recorded;
use imagewarden::source::{self, Reading, Surroundings};
use miette::{Context, IntoDiagnostic};

/// Standard input, where a dash stands for a file.
const STDIN: &str = "-";

/// One file of events.
pub struct Input {
    /// As it was named, for messages.
    pub name: String,
    pub reading: Reading,
    /// The facts that stand beside it.
    pub facts: Arc<Recorded>,
}

/// Reads every file that the paths mean. Only a path that does not exist is an error; what cannot be
/// read in a file is in its [`Reading`].
pub fn read(paths: &[PathBuf], facts: Option<&Path>, account: Option<&str>) -> miette::Result<Vec<Input>> {
    let mut folders = FactFolders::new(facts)?;
    let surroundings = Surroundings { account: account.map(str::to_owned), ..Surroundings::new(Utc::now()) };
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .into_diagnostic()
                .wrap_err("cannot read standard input")?;
            let reading = read_file(&bytes, &surroundings);
            inputs.push(Input {
                name: "standard input".to_owned(),
                reading,
                facts: folders.beside(Path::new("."), Path::new("."))?,
            });
            continue;
        }
        let root = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
        let found = archive::inputs(std::slice::from_ref(path)).into_diagnostic()?;
        let files = found.into_iter().filter_map(|input| match input {
            archive::Input::File { path, .. } => Some(path),
            archive::Input::Object { .. } | archive::Input::Stdin => None,
        });
        for file in files {
            // JSON, gzip, zstd and Parquet are logs, however damaged.
            let mut looks_like_one = false;
            let reading = match fs::read(&file) {
                Ok(bytes) => {
                    looks_like_one = matches!(bytes.first(), Some(b'{' | b'[' | 0x1f | 0x28 | b'P'));
                    read_file(&bytes, &surroundings)
                }
                Err(error) => Reading {
                    unreadable: vec![source::Unreadable {
                        reason: error.to_string(),
                        place: String::new(),
                        raw: None,
                    }],
                    ..Reading::default()
                },
            };
            if path.is_dir() && !looks_like_one && is_no_log(&file, &reading) {
                eprintln!("passed over: {}: no log", file.display());
                continue;
            }
            let facts = folders.beside(root, file.parent().unwrap_or(root))?;
            inputs.push(Input { name: file.display().to_string(), reading, facts });
        }
    }
    Ok(inputs)
}

/// Whether a file that a folder brought along is something else than a log: its name does not say that it is one,
/// and nothing in it could be read.
fn is_no_log(file: &Path, reading: &Reading) -> bool {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let unsaid = ending.is_none_or(|ending| ending == "txt" || ending == "csv");
    unsaid && reading.activities.is_empty() && reading.ignored == 0 && reading.refused.is_empty()
}

fn read_file(bytes: &[u8], surroundings: &Surroundings) -> Reading {
    archive::read_special(bytes, surroundings).unwrap_or_else(|| source::read_bytes(bytes, surroundings))
}

/// How many unreadable places are named one by one.
pub const NAMED: usize = 10;

/// Names one on standard error. An empty place is the whole file.
pub fn tell_unreadable(file: &str, place: &str, reason: &str) {
    let place = if place.is_empty() { String::new() } else { format!(", {place}") };
    eprintln!("unreadable: {file}{place}: {reason}");
}

/// The facts for each file: the folder that was named, else the nearest `facts/` from beside the file
/// up to the input's root.
pub struct FactFolders {
    named: Option<Arc<Recorded>>,
    found: HashMap<PathBuf, Arc<Recorded>>,
    none: Arc<Recorded>,
    /// The last root and folder, and what was answered: looking asks the disk, and mostly the next file lies
    /// beside the last.
    last: Option<(PathBuf, PathBuf, Arc<Recorded>)>,
}

impl FactFolders {
    pub fn new(named: Option<&Path>) -> miette::Result<Self> {
        let named = named.map(open).transpose()?;
        Ok(Self { named, found: HashMap::new(), none: Arc::new(Recorded::default()), last: None })
    }

    pub fn beside(&mut self, root: &Path, folder: &Path) -> miette::Result<Arc<Recorded>> {
        if let Some(named) = &self.named {
            return Ok(named.clone());
        }
        if let Some((_, _, facts)) = self.last.as_ref().filter(|last| last.0 == root && last.1 == folder) {
            return Ok(facts.clone());
        }
        let facts = self.look(root, folder)?;
        self.last = Some((root.to_owned(), folder.to_owned(), facts.clone()));
        Ok(facts)
    }

    fn look(&mut self, root: &Path, folder: &Path) -> miette::Result<Arc<Recorded>> {
        let mut folder = Some(folder);
        while let Some(at) = folder {
            let facts = at.join("facts");
            if let Some(open) = self.found.get(&facts) {
                return Ok(open.clone());
            }
            if facts.is_dir() {
                let recorded = open(&facts)?;
                self.found.insert(facts, recorded.clone());
                return Ok(recorded);
            }
            if at == root {
                break;
            }
            folder = at.parent();
        }
        Ok(self.none.clone())
    }
}

fn open(folder: &Path) -> miette::Result<Arc<Recorded>> {
    let recorded = Recorded::open(folder)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the facts in {}", folder.display()))?;
    for problem in recorded.problems() {
        eprintln!("warning: facts: {problem}");
    }
    Ok(Arc::new(recorded))
}
