//! Programs and what they are for: the one list that user data and the runtime detections read.
//!
//! `data/programs.txt` is sorted, and a name is found in it by bisection, so that a start of the function
//! pays nothing for the list.

use std::sync::LazyLock;

/// The list as it is compiled in.
const FILE: &str = include_str!("data/programs.txt");
/// The list's lines, without the comments in front of them.
static LINES: LazyLock<&'static str> = LazyLock::new(|| {
    let comments = FILE.split_inclusive('\n').take_while(|line| line.starts_with('#'));
    FILE.get(comments.map(str::len).sum::<usize>()..).unwrap_or("")
});
/// A file name has at most so many bytes on the systems that run these programs.
const MAX_NAME: usize = 255;

/// What a program is for. A program may be of several classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Fetches what an address names: curl.
    Downloader,
    /// Sends files or data away: curl, scp.
    Uploader,
    /// Runs a text that it is given: bash, python.
    Interpreter,
    /// Runs a command in its arguments: ssh, docker, watch, flock.
    Carrier,
    /// Only shows text: echo, logger.
    Printer,
    /// Only looks for text, files or processes: grep.
    Searcher,
    /// Keeps text and does not run it: psql, git.
    Storer,
    /// Copies or moves files.
    Copier,
    /// Undoes an encoding: base64, xxd.
    Decoder,
    /// Encrypts files: gpg, openssl.
    Encryptor,
    /// Unpacks archives.
    Unpacker,
    /// Checks a checksum or a signature.
    Verifier,
    /// Deletes files.
    Remover,
    /// Overwrites disks or files.
    Wiper,
    /// Stops processes.
    Killer,
    /// Starts and stops services.
    ServiceManager,
    /// Installs software.
    PackageManager,
    /// Starts containers.
    ContainerRuntime,
    /// Connects its input to a network: nc.
    Connector,
    /// Command and control, reverse shells.
    Handler,
    /// Opens a way past a firewall.
    Tunnel,
    /// Looks for other hosts or guesses their passwords.
    Scanner,
    /// Mines cryptocurrency.
    Miner,
    /// A security or audit agent.
    Agent,
    /// A tool that is only for attack.
    Attack,
}

/// The classes with their names in the list.
const CLASSES: [(&str, Class); 25] = [
    ("downloader", Class::Downloader),
    ("uploader", Class::Uploader),
    ("interpreter", Class::Interpreter),
    ("carrier", Class::Carrier),
    ("printer", Class::Printer),
    ("searcher", Class::Searcher),
    ("storer", Class::Storer),
    ("copier", Class::Copier),
    ("decoder", Class::Decoder),
    ("encryptor", Class::Encryptor),
    ("unpacker", Class::Unpacker),
    ("verifier", Class::Verifier),
    ("remover", Class::Remover),
    ("wiper", Class::Wiper),
    ("killer", Class::Killer),
    ("service-manager", Class::ServiceManager),
    ("package-manager", Class::PackageManager),
    ("container-runtime", Class::ContainerRuntime),
    ("connector", Class::Connector),
    ("handler", Class::Handler),
    ("tunnel", Class::Tunnel),
    ("scanner", Class::Scanner),
    ("miner", Class::Miner),
    ("agent", Class::Agent),
    ("attack", Class::Attack),
];

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes(u32);

impl Classes {
    /// Whether a class is in the set.
    pub fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }

    /// Whether one of several classes is in the set.
    pub fn has_any(self, classes: &[Class]) -> bool {
        classes.iter().any(|class| self.has(*class))
    }

    /// Whether the program is not in the list.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The classes of a program, given by name or path: `curl`, `/usr/bin/python3.11`, `C:\a\XMRig.exe`.
/// The set is empty for a program that the list does not have.
pub fn classes(program: &str) -> Classes {
    let mut buffer = [0; MAX_NAME];
    let Some(name) = normal(program, &mut buffer) else { return Classes::default() };
    let found = look_up(name);
    if !found.is_empty() {
        return found;
    }
    let script = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name);
    let stem = without_version(script);
    if stem.len() == name.len() { found } else { look_up(stem) }
}

/// What tools are named by that are scripts or bare programs: `linpeas.sh`, `secretsdump.py`.
const EXTENSIONS: [&str; 7] = [".py", ".sh", ".pl", ".rb", ".ps1", ".elf", ".bin"];

/// Whether a program is of a class.
pub fn has(program: &str, class: Class) -> bool {
    classes(program).has(class)
}

/// The names of all programs of a class.
pub fn of_class(class: Class) -> impl Iterator<Item = &'static str> {
    LINES.lines().filter_map(move |line| {
        let (name, words) = line.split_once(' ')?;
        set_of(words).has(class).then_some(name)
    })
}

/// Whether a file is named after a program of a class: `xmrig-6.21.0-linux-x64.tar.gz`, `frp_0.61.zip`. Only
/// whole words from the start of the name count.
pub fn is_named_after(file: &str, class: Class) -> bool {
    let mut buffer = [0; MAX_NAME];
    let Some(name) = normal(file, &mut buffer) else { return false };
    if look_up(name).has(class) {
        return true;
    }
    let mut end = 0;
    while let Some(next) = name.get(end..).and_then(|rest| rest.find(['-', '_', '.'])) {
        end += next;
        if name.get(..end).is_some_and(|head| look_up(head).has(class)) {
            return true;
        }
        end += 1;
    }
    false
}

/// A program's name as the list has it: no folder, no leading dot, no `.exe`, lower case.
/// `None` for names that are empty, too long for a file, or not ASCII: the list has none of these.
fn normal<'b>(program: &str, buffer: &'b mut [u8; MAX_NAME]) -> Option<&'b str> {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    // `.` alone is a command of its own.
    let name = if name == "." { name } else { name.trim_start_matches('.') };
    let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(".exe") => stem,
        _ => name,
    };
    if name.is_empty() || !name.is_ascii() {
        return None;
    }
    let target = buffer.get_mut(..name.len())?;
    target.copy_from_slice(name.as_bytes());
    target.make_ascii_lowercase();
    std::str::from_utf8(target).ok()
}

/// `python` of `python3.11`, `xmrig` of `xmrig-6.21.0`.
fn without_version(name: &str) -> &str {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if stem.len() == name.len() { name } else { stem.trim_end_matches(['-', '_']) }
}

/// Bisect the sorted lines.
fn look_up(name: &str) -> Classes {
    let mut rest: &str = &LINES;
    while !rest.is_empty() {
        // The line that the middle stands in. The list is ASCII, so that any byte is a boundary.
        let (head, _) = rest.split_at_checked(rest.len() / 2).unwrap_or((rest, ""));
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let line = rest.get(start..).and_then(|tail| tail.lines().next()).unwrap_or("");
        let (listed, words) = line.split_once(' ').unwrap_or((line, ""));
        match name.cmp(listed) {
            std::cmp::Ordering::Equal => return set_of(words),
            std::cmp::Ordering::Less => rest = rest.get(..start).unwrap_or(""),
            std::cmp::Ordering::Greater => rest = rest.get(start + line.len() + 1..).unwrap_or(""),
        }
    }
    Classes::default()
}

fn set_of(words: &str) -> Classes {
    let bits = words
        .split(' ')
        .filter_map(|word| CLASSES.iter().find(|(name, _)| *name == word))
        .fold(0, |bits, (_, class)| bits | 1 << *class as u32);
    Classes(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_every_line_is_found() {
        assert!(FILE.contains("# Sources: ") && FILE.contains("# Date: 20"));
        let mut before = "";
        for line in LINES.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            assert!(before < name, "{before} before {name}");
            before = name;
            assert!(name.is_ascii() && name.len() <= MAX_NAME && name == name.to_ascii_lowercase(), "{name}");
            let listed: Vec<&str> = words.collect();
            assert!(!listed.is_empty(), "{name}");
            let found = look_up(name);
            for word in &listed {
                let class = CLASSES.iter().find(|(known, _)| known == word);
                assert!(class.is_some_and(|(_, class)| found.has(*class)), "{name} {word}");
            }
            assert_eq!(found.0.count_ones() as usize, listed.len(), "{line}");
        }
        for (at, (name, class)) in CLASSES.iter().enumerate() {
            assert_eq!(at, *class as usize);
            assert!(LINES.lines().any(|line| line.split(' ').skip(1).any(|word| word == *name)), "{name}");
        }
    }

    #[test]
    fn names_are_found_whatever_path_version_and_case_they_have() {
        for (name, class) in [
            ("/usr/bin/python3.11", Class::Interpreter),
            ("C:\\Windows\\System32\\PowerShell.EXE", Class::Interpreter),
            (".", Class::Interpreter),
            (".xmrig", Class::Miner),
            ("xmrig-6.21.0", Class::Miner),
            ("sha256sum", Class::Verifier),
            ("[", Class::Searcher),
            ("rathole", Class::Tunnel),
            ("7z", Class::Unpacker),
            ("/tmp/linpeas.sh", Class::Attack),
        ] {
            assert!(has(name, class), "{name}");
        }
        for name in ["", "/", "curls", "cur", "é", "python-dotenv", "a".repeat(300).as_str(), "zzzz", "!"] {
            assert!(classes(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn files_are_named_after_programs_by_whole_words() {
        for name in ["xmrig-6.21.0-linux-x64.tar.gz", "t-rex", "lolMiner_v1", ".xmrig", "XMRig.exe"] {
            assert!(is_named_after(name, Class::Miner), "{name}");
        }
        for name in ["xmrigs", "t", "rex", "mining", "claymores", "trex-park", "docker"] {
            assert!(!is_named_after(name, Class::Miner), "{name}");
        }
        assert!(is_named_after("frp_0.61.1_linux_amd64.tar.gz", Class::Tunnel));
    }
}
