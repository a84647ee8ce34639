//! Which files are read.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;

/// Standard input, where a dash stands for a file.
const STDIN: &str = "-";

/// Folders deeper than this are taken for a loop of links.
const DEEPEST: usize = 64;

/// What the names of log files end with. In a folder, others are left alone.
const KINDS: [&str; 10] =
    [".json", ".jsonl", ".ndjson", ".log", ".txt", ".csv", ".gz", ".zst", ".zstd", ".parquet"];

/// One file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    File {
        path: PathBuf,
        /// The path that was asked for and led here: the file itself, or a folder above it.
        root: PathBuf,
    },
    /// An object of S3 and its size in bytes.
    Object {
        bucket: String,
        key: String,
        size: u64,
    },
    Stdin,
}

impl Input {
    /// For messages.
    pub fn name(&self) -> String {
        match self {
            Input::File { path, .. } => path.display().to_string(),
            Input::Object { bucket, key, .. } => format!("s3://{bucket}/{key}"),
            Input::Stdin => "standard input".to_owned(),
        }
    }

    /// Bytes on disk; zero where that is not known.
    pub fn size(&self) -> u64 {
        match self {
            Input::File { path, .. } => fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Input::Object { size, .. } => *size,
            Input::Stdin => 0,
        }
    }

    /// The account that the file's place tells: `AWSLogs/[o-.../]111122223333/CloudTrail/...`.
    pub(super) fn account(&self) -> Option<String> {
        match self {
            Input::File { path, .. } => account(&path.to_string_lossy()),
            Input::Object { key, .. } => account(key),
            Input::Stdin => None,
        }
    }
}

impl Input {
    /// Whether a trail wrote it, as its place tells: of no other account than that can its records be.
    pub(super) fn is_of_trail(&self) -> bool {
        let place = match self {
            Input::File { path, .. } => path.to_string_lossy(),
            Input::Object { key, .. } => key.as_str().into(),
            Input::Stdin => return false,
        };
        place
            .rsplit_once("AWSLogs/")
            .is_some_and(|(_, after)| after.split('/').take(3).any(|step| step == "CloudTrail"))
    }
}

/// The same of any path or object key.
pub(super) fn account(path: &str) -> Option<String> {
    let (_, after) = path.rsplit_once("AWSLogs/")?;
    let digits = |step: &&str| step.len() == 12 && step.bytes().all(|byte| byte.is_ascii_digit());
    // An organization's trail puts its own id first.
    after.split('/').take(2).find(digits).map(str::to_owned)
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`.
pub fn bucket(path: &Path) -> Option<(&str, &str)> {
    let place = path.to_str()?.strip_prefix("s3://")?;
    Some(place.split_once('/').unwrap_or((place, "")))
}

/// Every file that the paths mean, in a stable order: folders by name, `facts/` and CloudTrail's digests of
/// its own files left out.
///
/// # Errors
/// A path that does not exist, or a folder without a log file. Buckets are listed by `s3::list`.
pub fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, Error> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            inputs.push(Input::Stdin);
            continue;
        }
        if bucket(path).is_some() {
            return Err(Error::NoS3 { path: path.clone() });
        }
        let metadata = fs::metadata(path).map_err(|source| Error::Path { path: path.clone(), source })?;
        if !metadata.is_dir() {
            inputs.push(Input::File { path: path.clone(), root: path.clone() });
            continue;
        }
        let before = inputs.len();
        collect(path, path, &mut inputs, 0)?;
        if inputs.len() == before {
            return Err(Error::Nothing { path: path.clone() });
        }
    }
    Ok(inputs)
}

fn collect(root: &Path, folder: &Path, inputs: &mut Vec<Input>, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(Error::Loop { path: folder.to_owned() });
    }
    let entries = fs::read_dir(folder).map_err(|source| Error::Path { path: folder.to_owned(), source })?;
    let mut entries: Vec<fs::DirEntry> = entries
        .collect::<Result<_, _>>()
        .map_err(|source| Error::Path { path: folder.to_owned(), source })?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let linked = || fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        let is_folder = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => linked(),
            Ok(kind) => kind.is_dir(),
            Err(_) => linked(),
        };
        if is_folder {
            if !is_left_out(&entry.file_name().to_string_lossy()) && !leads_back(&path, folder) {
                collect(root, &path, inputs, depth.saturating_add(1))?;
            }
        } else if is_log(&entry.file_name().to_string_lossy()) {
            inputs.push(Input::File { path, root: root.to_owned() });
        }
    }
    Ok(())
}

/// Whether a link leads to a folder that it stands in.
fn leads_back(path: &Path, folder: &Path) -> bool {
    let linked = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    linked
        && match (path.canonicalize(), folder.canonicalize()) {
            (Ok(target), Ok(folder)) => folder.starts_with(target),
            _ => false,
        }
}

/// Folders of a bucket that hold no log that is read.
const OTHERS: [&str; 4] = ["Config", "elasticloadbalancing", "WAFLogs", "CloudTrail-Insight"];

/// What people put beside files.
fn is_text_about(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let about = ["LICENSE", "LICENCE", "README", "NOTICE", "COPYING", "AUTHORS", "CHANGELOG", "MAKEFILE"];
    let text = !name.contains('.') || name.to_ascii_lowercase().ends_with(".txt");
    text && about.contains(&stem.as_str())
}

fn is_left_out(folder: &str) -> bool {
    matches!(folder, "facts" | "CloudTrail-Digest")
}

/// Whether a file's name, or an object's key, is that of a log. Exports of CloudWatch Logs and deliveries of
/// Firehose have no ending at all.
pub fn is_log(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if path.split('/').any(is_left_out) || name.is_empty() || name.starts_with('.') || is_text_about(name) {
        return false;
    }
    // Beside a trail's files in a bucket: AWS Config, load balancers, firewalls.
    let of_others = |after: &str| after.split('/').take(3).any(|step| OTHERS.contains(&step));
    if path.split_once("AWSLogs/").is_some_and(|(_, after)| of_others(after)) {
        return false;
    }
    // CloudWatch Logs tries with this whether it may write its exports.
    if name == "aws-logs-write-test" {
        return false;
    }
    let name = name.to_ascii_lowercase();
    KINDS.iter().any(|kind| name.ends_with(kind)) || !name.contains('.')
}
