//! The table of places, as `places.txt` has it.

use std::sync::LazyLock;

use crate::glob::like;
use crate::indicators::entries;
use crate::user_data::Language;

static ROWS: LazyLock<Vec<Row>> =
    LazyLock::new(|| entries(include_str!("places.txt")).filter_map(Row::read).collect());

/// Paths longer than any system takes are no places.
const LONGEST: usize = 4096;

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pattern: &'static str,
    pub syntax: Syntax,
}

/// How commands stand in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Whole(Language),
    CronSystem,
    CronUser,
    Words(usize),
    Colon(usize),
    Field(usize),
    /// Keys in lower case, with the number of words to skip behind each.
    Option(Vec<(&'static str, usize)>),
    Quoted(Vec<&'static str>),
    Block(String, String),
    Unit,
    Udev,
    Apt,
    Pam,
    Rsyslog,
    Git,
    Pipe,
    Bang,
    Environment,
    CloudConfig,
    Pod,
    Task,
}

impl Syntax {
    /// Whether what runs the file does so at given times.
    pub(super) fn is_cron(&self) -> bool {
        matches!(self, Self::CronSystem | Self::CronUser | Self::Words(3))
    }

    fn read(name: &str, keys: &'static str) -> Option<Self> {
        let list = || keys.split(',').filter(|key| !key.is_empty());
        Some(match name {
            "shell" => Self::Whole(Language::Shell),
            "powershell" => Self::Whole(Language::PowerShell),
            "batch" => Self::Whole(Language::Batch),
            "python" => Self::Whole(Language::Python),
            "cron-system" => Self::CronSystem,
            "cron-user" => Self::CronUser,
            "words" => Self::Words(keys.parse().ok()?),
            "colon" => Self::Colon(keys.parse().ok()?),
            "field" => Self::Field(keys.parse().ok()?),
            "option" => Self::Option(
                list()
                    .map(|key| match key.split_once('/') {
                        Some((key, skip)) => (key, skip.parse().unwrap_or(0)),
                        None => (key, 0),
                    })
                    .collect(),
            ),
            "quoted" => Self::Quoted(list().collect()),
            "block" => {
                let (start, end) = keys.split_once(',')?;
                Self::Block(start.replace('?', " "), end.replace('?', " "))
            }
            "unit" => Self::Unit,
            "udev" => Self::Udev,
            "apt" => Self::Apt,
            "pam" => Self::Pam,
            "rsyslog" => Self::Rsyslog,
            "git" => Self::Git,
            "pipe" => Self::Pipe,
            "bang" => Self::Bang,
            "environment" => Self::Environment,
            "cloud-config" => Self::CloudConfig,
            "pod" => Self::Pod,
            "task" => Self::Task,
            _ => return None,
        })
    }
}

impl Row {
    fn read(line: &'static str) -> Option<Self> {
        let mut columns = line.split_ascii_whitespace();
        let (pattern, name) = (columns.next()?, columns.next()?);
        Some(Self { pattern, syntax: Syntax::read(name, columns.next().unwrap_or_default())? })
    }
}

/// The lines of the first pattern that fits a path; none where nothing runs the file.
pub(super) fn rows(path: &str) -> &'static [Row] {
    let all: &'static [Row] = &ROWS;
    let Some(first) = all.iter().position(|row| fits(row.pattern, path)) else { return &[] };
    let rest = all.get(first..).unwrap_or_default();
    let pattern = rest.first().map_or("", |row| row.pattern);
    let count = rest.iter().take_while(|row| row.pattern == pattern).count();
    rest.get(..count).unwrap_or_default()
}

/// Whether a pattern is for the files directly in this folder.
pub(super) fn is_folder(path: &str) -> bool {
    ROWS.iter().any(|row| {
        row.pattern.strip_suffix("/*").is_some_and(|folder| fits(folder, path))
            || row.pattern.rsplit_once('/').is_some_and(|(folder, name)| {
                name.contains('*') && !folder.is_empty() && folder != "*" && fits(folder, path)
            })
    })
}

/// Whether a path fits a pattern.
fn fits(pattern: &str, path: &str) -> bool {
    path.len() <= LONGEST && like(pattern, path)
}

#[cfg(test)]
pub(super) fn count() -> (usize, usize) {
    (ROWS.len(), entries(include_str!("places.txt")).count())
}
