//! Where a file ends up, whatever way its path is written.

use super::is_folder;

/// Paths at which another root may be mounted: what is written below is at its place after the boot.
const ROOTS: &[&str] = &[
    "/proc/1/root",
    "/proc/self/root",
    "/mnt/root",
    "/mnt/host",
    "/mnt",
    "/host",
    "/hostfs",
    "/rootfs",
    "/sysroot",
    "/target",
];

/// Windows variables in paths, and what they are on a plain system.
const WINDOWS: &[(&str, &str)] = &[
    ("programdata", "c:/programdata"),
    ("allusersprofile", "c:/programdata"),
    ("appdata", "c:/users/user/appdata/roaming"),
    ("localappdata", "c:/users/user/appdata/local"),
    ("userprofile", "c:/users/user"),
    ("public", "c:/users/public"),
    ("systemroot", "c:/windows"),
    ("windir", "c:/windows"),
    ("systemdrive", "c:"),
    ("programfiles", "c:/program files"),
];

/// An absolute path without `.`, `..`, doubled slashes and the variables that name a home folder.
/// `base` is the working directory of a relative path; where it is not known (empty), the path stays
/// relative. A Windows path comes in lower case, with slashes.
pub(crate) fn normalise(base: &str, path: &str) -> String {
    let path = path.trim_matches(['"', '\'']);
    if is_windows(path) {
        return windows(path);
    }
    let home = ["~/", "$HOME/", "${HOME}/", "~root/", "$root_home/"];
    let path = match home.iter().find_map(|home| path.strip_prefix(home)) {
        Some(rest) => format!("/root/{rest}"),
        // `~admin/.bashrc`
        None => match path.strip_prefix('~') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => format!("/home/{rest}"),
            _ if path.starts_with(['/', '$', '~']) || base.is_empty() => path.to_owned(),
            _ => format!("{}/{path}", base.trim_end_matches('/')),
        },
    };
    let path = clean(&path);
    let below = ROOTS.iter().find_map(|root| path.strip_prefix(root).filter(|rest| rest.starts_with('/')));
    match below {
        Some(rest) if super::is_place(rest) || is_folder(rest) => rest.to_owned(),
        _ => path,
    }
}

/// Where `from` ends up when it is copied, moved or linked to `to`: a folder takes its name.
pub(crate) fn destination(base: &str, to: &str, from: &str) -> String {
    let path = normalise(base, to);
    let name = from.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let folder = to.ends_with(['/', '\\']) || to.ends_with("/.") || is_folder(&path);
    if folder && !name.is_empty() {
        let name = if is_windows(&path) { name.to_ascii_lowercase() } else { name.to_owned() };
        format!("{}/{name}", path.trim_end_matches('/'))
    } else {
        path
    }
}

/// Takes `.`, `..` and empty segments out.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => match kept.last() {
                Some(&"..") => kept.push(".."),
                Some(_) => {
                    kept.pop();
                }
                None if absolute => {}
                None => kept.push(".."),
            },
            name => kept.push(name),
        }
    }
    let joined = kept.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':');
    drive || path.contains('\\') || path.starts_with('%') || starts_env(path)
}

fn starts_env(path: &str) -> bool {
    path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("$env:"))
        || path.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("${env:"))
}

fn windows(path: &str) -> String {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    let expanded = WINDOWS.iter().find_map(|(name, value)| {
        [format!("%{name}%"), format!("${{env:{name}}}"), format!("$env:{name}")]
            .iter()
            .find_map(|variable| path.strip_prefix(variable.as_str()))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|rest| format!("{value}{rest}"))
    });
    clean(&expanded.unwrap_or(path))
}
