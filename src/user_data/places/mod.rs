//! Places on a machine where something runs what a file holds: cron, units, login scripts, hooks.
//!
//! One table ([`table`], from `places.txt`) says which paths these are and how a command stands in
//! such a file. cloud-config, shell and PowerShell all ask here:
//!
//! - [`normalise`] and [`destination`] say where a file ends up;
//! - [`is_place`] and [`is_cron`] say whether something runs it there;
//! - [`commands`] gives what it runs, as a script with the file's line numbers.

mod extract;
mod ini;
mod path;
mod table;
#[cfg(test)]
mod tests;

use super::Language;
use super::script::{language_by_extension, language_by_shebang};
use extract::extract;
pub(crate) use extract::{cron_command, unit_commands};
pub(crate) use path::{destination, normalise};
use table::{Syntax, rows};

/// The longest file that is read for commands; longer ones are read in their first part.
const MAX_FILE: usize = 1 << 20;

/// What a file runs for the place where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    /// cron or a relative runs it again and again.
    pub cron: bool,
    pub language: Language,
    /// The commands, on the lines where they stood; other lines are empty.
    pub text: String,
}

/// Whether something runs what a file holds at this path ([`normalise`]d).
pub(crate) fn is_place(path: &str) -> bool {
    !rows(path).is_empty()
}

/// Whether cron or a relative runs it.
pub(crate) fn is_cron(path: &str) -> bool {
    rows(path).first().is_some_and(|row| row.syntax.is_cron()) || path.contains("/etc/cron.")
}

/// Whether a folder of this path holds such files: `cp x /etc/cron.d`.
pub(crate) fn is_folder(path: &str) -> bool {
    table::is_folder(path.trim_end_matches('/'))
}

/// What a file runs for where it stands; `None` where nothing runs it.
pub(crate) fn commands(path: &str, text: &str) -> Option<Commands> {
    let rows = rows(path);
    let first = rows.first()?;
    let text = text.get(..text.floor_char_boundary(MAX_FILE)).unwrap_or(text);
    let cron = is_cron(path);
    let whole = |fallback| {
        let language = language_by_shebang(text).or_else(|| language_by_extension(path)).unwrap_or(fallback);
        Some(Commands { cron, language, text: text.to_owned() })
    };
    match &first.syntax {
        Syntax::Whole(language) => whole(*language),
        // Such a file may be a script just the same.
        Syntax::CloudConfig if text.starts_with("#!") => whole(Language::Shell),
        Syntax::Task => Some(Commands { cron: true, language: Language::Batch, text: extract::task(text) }),
        _ => {
            let texts: Vec<String> = rows.iter().map(|row| extract(&row.syntax, text)).collect();
            Some(Commands { cron, language: Language::Shell, text: merge(texts) })
        }
    }
}

/// Several readings of one file, line by line: no two of them find a command on the same line.
fn merge(mut texts: Vec<String>) -> String {
    if texts.len() < 2 {
        return texts.pop().unwrap_or_default();
    }
    let mut all: Vec<_> = texts.iter().map(|text| text.split('\n')).collect();
    let mut merged = String::new();
    loop {
        let lines: Vec<&str> = all.iter_mut().filter_map(Iterator::next).collect();
        if lines.is_empty() {
            return merged;
        }
        merged.push_str(lines.into_iter().find(|line| !line.is_empty()).unwrap_or_default());
        merged.push('\n');
    }
}
