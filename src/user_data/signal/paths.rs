//! Paths in scripts: the working directory, and which words mean the same file.

use crate::user_data::script::{Command, absolute, basename};

/// The longest working directory that is followed, in bytes.
const MAX_PATH: usize = 512;

/// The working directory, as far as `cd` gives it away.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) current: String,
}

impl Directory {
    pub(super) fn enter(&mut self, command: &Command) {
        match command.name.as_str() {
            "cd" | "pushd" | "set-location" => {
                let to = command.operands().next().map_or("/root", |word| word.text.as_str());
                if to == "-" || to == ".." {
                    self.current.clear();
                } else {
                    self.current = self.resolve(to);
                }
            }
            "popd" => self.current.clear(),
            _ => {}
        }
    }

    pub(super) fn resolve(&self, path: &str) -> String {
        let path = path.trim_start_matches("./");
        if path.starts_with(['/', '~', '$']) || path.contains(":\\") || self.current.is_empty() {
            return absolute(path);
        }
        if self.current.len() + path.len() > MAX_PATH {
            return absolute(path);
        }
        absolute(&format!("{}/{path}", self.current.trim_end_matches('/')))
    }
}

/// Below /dev, but none of the file systems in memory that are there, too.
pub(super) fn is_device(path: &str) -> bool {
    path.starts_with("/dev/") && !path.starts_with("/dev/shm/") && !path.starts_with("/dev/mqueue/")
}

/// Whether two paths mean the same file; a relative one means any with its name.
pub fn same_file(one: &str, other: &str) -> bool {
    if one == other {
        return !one.is_empty();
    }
    let relative = |path: &str| !path.starts_with(['/', '~', '$']) && !path.contains(":\\");
    (relative(one) || relative(other)) && basename(one) == basename(other) && basename(one).len() > 1
}
