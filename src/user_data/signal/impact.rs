//! `imp`: data encrypted, overwritten or deleted, and what would bring it back.

use std::collections::HashMap;

use super::flow::Place;
use super::{Case, Id, Part, Spot};
use crate::indicators::programs::{self, Class};
use crate::user_data::script::{Command, Word, basename};

/// Values of one variable that are looked at.
const MAX_VALUES: usize = 64;
/// What a whole disk weighs that may be a scratch one, or a bucket whose name the launch fills in.
const UNSURE: u32 = 25;
/// What deleting single snapshots weighs, which rotations do.
const ROTATION: u32 = 20;

/// The values that a part's variables take, loops included.
type Values<'a> = HashMap<&'a str, Vec<&'a Word>>;

/// Signals of one part, which need to know its variables.
pub(super) fn part(case: &mut Case<'_>, number: usize, part: &Part<'_>) {
    let commands = &part.script.commands;
    let works = |command: &Command| {
        let classes = programs::classes(&command.name);
        classes.has_any(&[Class::Encryptor, Class::Remover, Class::Wiper]) || command.name == "aws"
    };
    let raw = |command: &Command| {
        matches!(command.name.as_str(), "dd" | "find")
            || command.redirects.iter().any(|redirect| redirect.target.text.starts_with("/dev/"))
    };
    if !commands.iter().any(|command| works(command) || raw(command)) {
        return;
    }
    let mut values = Values::new();
    for (name, value) in commands.iter().flat_map(|command| &command.assigns) {
        let known = values.entry(name).or_default();
        if known.len() < MAX_VALUES {
            known.push(value);
        }
    }
    encrypted(case, number, part, &values);
    for (index, command) in commands.iter().enumerate() {
        disks(case, (number, index), part, command, &values);
        folders(case, (number, index), command);
        buckets(case, (number, index), part, command, &values);
    }
}

/// Folders that hold data, and those where encrypting and deleting is a backup's work.
const DATA: &[&str] = &[
    "/home",
    "/root",
    "/srv",
    "/var/www",
    "/var/lib",
    "/data",
    "/mnt",
    "/opt",
    "/etc",
    "/export",
    "/media",
    "/usr/share",
    "/nfs",
    "/efs",
    "/shared",
];
const BACKUPS: &[&str] = &["backup", "dump", "archive", "snapshot", "log", "export/", "rotate", "tmp"];

fn encrypted(case: &mut Case<'_>, number: usize, part: &Part<'_>, values: &Values<'_>) {
    let commands = &part.script.commands;
    // Variables that something removes; a function's `$1` counts as well.
    let removed: Vec<&str> = commands
        .iter()
        .filter(|command| programs::has(&command.name, Class::Remover))
        .flat_map(|command| command.operands().flat_map(Word::vars))
        .map(String::as_str)
        .take(MAX_VALUES)
        .collect();
    let removed_trees: Vec<&str> = commands
        .iter()
        .filter(|command| programs::has(&command.name, Class::Remover))
        .flat_map(Command::operands)
        .map(|word| word.text.as_str())
        .filter(|text| is_tree(text))
        .take(MAX_VALUES)
        .collect();
    for (index, command) in commands.iter().enumerate() {
        let at = (number, index);
        // Objects encrypted in place with a key that AWS does not keep.
        if is_aws(command, "s3", &["cp", "sync", "mv"])
            && command.args().iter().any(|word| word.text.starts_with("--sse-c"))
            && command.operands().filter(|word| word.text.starts_with("s3://")).count() > 1
        {
            case.hit(Id::Imp01, at);
        }
        if !encrypts(command) {
            continue;
        }
        let wrapper = command.words.first().map_or("", |word| basename(&word.text));
        let each = matches!(wrapper, "find" | "xargs" | "parallel" | "fd") && command.start > 0;
        let removes_itself = command.args().iter().any(|word| {
            matches!(word.text.as_str(), "-sdel" | "-m" | "-rm" | "--remove" | "-em" | "-rem" | "-mr")
        }) || matches!(command.name.as_str(), "ccencrypt" | "ccrypt");
        let variable =
            command.args().iter().flat_map(Word::vars).find(|variable| removed.contains(&variable.as_str()));
        let many = each || variable.is_some() || command.args().iter().any(|word| is_tree(&word.text));
        // A loop over one pattern leaves the pattern in both.
        let both =
            command.operands().any(|word| is_tree(&word.text) && removed_trees.contains(&word.text.as_str()));
        let gone = both
            || (each && command.args().iter().any(|word| programs::has(&word.text, Class::Remover)))
            || variable.is_some()
            || removes_itself
            || (each && !removed.is_empty())
            || {
                // `find ... -exec gpg ... ;` and then `find ... -delete`
                each && commands.iter().any(|other| other.name == "find" && other.has("-delete"))
            };
        if !many || !gone {
            continue;
        }
        let folders = folders_of(part, command, variable.map(String::as_str), values);
        let is_backup = |path: &&str| BACKUPS.iter().any(|word| path.to_ascii_lowercase().contains(word));
        let data = folders.iter().any(|path| {
            !is_backup(path) && (*path == "/" || *path == "/*" || DATA.iter().any(|root| below(path, root)))
        });
        if data {
            case.hit(Id::Imp01, at);
        } else if folders.is_empty() || folders.iter().any(|path| !is_backup(path)) {
            case.hit_weighing(Id::Imp01, UNSURE, at);
        }
    }
}

fn below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_tree(text: &str) -> bool {
    text.starts_with('/') && (text.ends_with("/*") || DATA.contains(&text.trim_end_matches('/')))
}

/// Whether a command encrypts files rather than decrypting or checking.
fn encrypts(command: &Command) -> bool {
    let any = |options: &[&str]| command.args().iter().any(|word| options.contains(&word.text.as_str()));
    let short = |letter: char| {
        command.args().iter().any(|word| {
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains(letter)
        })
    };
    match command.name.as_str() {
        "openssl" => {
            let first = command.arg(0);
            (matches!(first, "enc" | "smime" | "cms" | "rsautl" | "pkeyutl" | "chacha20")
                || first.starts_with("aes"))
                && !any(&["-d", "-decrypt", "-verify", "-sign"])
        }
        "gpg" | "gpg2" => {
            any(&["--encrypt", "--symmetric", "--encrypt-files", "--recipient-file"])
                || short('e')
                || short('c')
        }
        "age" | "rage" => !any(&["-d", "--decrypt"]) && command.args().len() > 1,
        "ccrypt" | "ccencrypt" | "mcrypt" | "aescrypt" | "bcrypt" => !any(&["-d", "--decrypt"]),
        "7z" | "7za" | "7zr" | "7zz" | "rar" => {
            command.args().iter().any(|word| word.text.starts_with("-p") || word.text.starts_with("-hp"))
                && command.arg(0).starts_with('a')
        }
        "zip" => any(&["-P", "-e", "--encrypt", "--password"]) || short('e') || short('P'),
        _ => false,
    }
}

/// The folders that the files of a loop, of `find` or of the command itself come from.
fn folders_of<'a>(
    part: &'a Part<'_>,
    command: &'a Command,
    variable: Option<&str>,
    values: &Values<'a>,
) -> Vec<&'a str> {
    let commands = &part.script.commands;
    let mut found: Vec<&str> = Vec::new();
    let of_find = |words: &'a [Word]| {
        words.iter().map(|word| word.text.as_str()).take_while(|text| !text.starts_with('-')).take(16)
    };
    if command.start > 0
        && let [first, rest @ ..] = command.words.as_slice()
        && basename(&first.text) == "find"
    {
        found.extend(of_find(rest));
    }
    for value in variable.and_then(|name| values.get(name)).into_iter().flatten() {
        found.extend(value.text.split_ascii_whitespace().filter(|text| text.starts_with('/')));
        let inside = value.subs().iter().flat_map(|(_, span)| span.indices().take(8));
        for other in inside.filter_map(|index| commands.get(index)) {
            found.extend(of_find(other.args()).filter(|text| text.starts_with('/')));
        }
    }
    found.extend(command.operands().map(|word| word.text.as_str()).filter(|text| is_tree(text)));
    if found.is_empty() {
        // `find /home ... | while read -r file`
        let finders = commands.iter().filter(|other| matches!(other.name.as_str(), "find" | "fd" | "ls"));
        found.extend(
            finders.take(16).flat_map(|other| of_find(other.args())).filter(|text| text.starts_with('/')),
        );
    }
    found.truncate(MAX_VALUES);
    found
}

/// What a device's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Disk {
    Other,
    Unsure,
    /// The root disk, or all disks.
    System,
}

fn disks(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command, values: &Values<'_>) {
    let disk = |word: &Word| disk_of(word, part, values);
    let most = |disks: &mut dyn Iterator<Item = Disk>| disks.max().unwrap_or(Disk::Other);
    let mut bounded = true;
    let found = match command.name.as_str() {
        "dd" => {
            let from = command.args().iter().find_map(|word| word.text.strip_prefix("if="));
            let junk = from.is_none_or(|from| matches!(from, "/dev/zero" | "/dev/urandom" | "/dev/random"));
            if !junk {
                return;
            }
            bounded = command.args().iter().any(|word| word.text.starts_with("count="));
            most(&mut command.args().iter().filter(|word| word.text.starts_with("of=")).map(disk))
        }
        "shred" | "blkdiscard" | "nwipe" | "scrub" | "badblocks" | "hdparm" => {
            if command.name == "badblocks" && !command.has("-w") && !command.has("-wsv") {
                return;
            }
            if command.name == "hdparm" && !command.args().iter().any(|word| word.text.contains("erase")) {
                return;
            }
            bounded = false;
            most(&mut command.operands().map(disk))
        }
        "wipefs" | "sgdisk" => most(&mut command.operands().map(disk)),
        name if name.starts_with("mkfs") => most(&mut command.operands().map(disk)),
        "cat" | "yes" | "head" | "openssl" | "tr" | "" => {
            bounded = false;
            let writes = command.redirects.iter().filter(|redirect| redirect.writes());
            most(&mut writes.map(|redirect| disk(&redirect.target)))
        }
        "clear-disk" if command.has("-RemoveData") || command.has("-removedata") => {
            bounded = false;
            Disk::Unsure
        }
        _ => return,
    };
    match found {
        Disk::System => case.hit(Id::Imp02, at),
        Disk::Unsure if !bounded => case.hit_weighing(Id::Imp02, UNSURE, at),
        _ => {}
    }
}

fn disk_of(word: &Word, part: &Part<'_>, values: &Values<'_>) -> Disk {
    let text = word.text.strip_prefix("of=").unwrap_or(&word.text);
    let mut worst = if text.starts_with("/dev/") { disk_named(text) } else { Disk::Other };
    if !text.starts_with("/dev/") && !text.starts_with('$') {
        return worst;
    }
    let words = word.vars().iter().filter_map(|name| values.get(name.as_str())).flatten().copied();
    for value in words.chain(std::iter::once(word)) {
        for one in value.text.split_ascii_whitespace() {
            if one.starts_with("/dev/") && !one.contains('$') {
                worst = worst.max(disk_named(one));
            }
        }
        for (_, span) in value.subs() {
            let commands: Vec<&Command> =
                span.indices().take(8).filter_map(|index| part.script.commands.get(index)).collect();
            let named =
                |names: &[&str]| commands.iter().any(|command| names.contains(&command.name.as_str()));
            let root = commands
                .iter()
                .any(|command| matches!(command.name.as_str(), "findmnt" | "df") && command.has("/"));
            // All disks, or those that some filter leaves.
            let lists = named(&["lsblk", "blkid", "fdisk", "sfdisk", "ls"]);
            let chosen = named(&["grep", "egrep", "awk", "sed", "jq", "head", "tail", "comm", "sort"]);
            worst = worst.max(match (root, lists, chosen) {
                (true, ..) | (_, true, false) => Disk::System,
                (_, true, true) => Disk::Unsure,
                _ => Disk::Other,
            });
        }
    }
    worst
}

fn disk_named(path: &str) -> Disk {
    let name = path.strip_prefix("/dev/").unwrap_or("");
    if let Some(glob) = name.find(['?', '*', '[']) {
        let (head, tail) = name.split_at_checked(glob).unwrap_or((name, ""));
        let kind = matches!(head, "sd" | "xvd" | "vd" | "hd" | "nvme" | "disk/by-id/");
        // `xvd[b-z]` leaves the root disk out.
        let spares = tail.strip_prefix('[').is_some_and(|class| !class.starts_with(['a', '0', '!', '^']));
        return if kind && !spares { Disk::System } else { Disk::Other };
    }
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match name {
        "nvme0n1p1" | "root" => Disk::System,
        "nvme0n1" => Disk::Unsure,
        _ if matches!(disk, "sda" | "xvda" | "vda" | "hda") => Disk::System,
        _ => Disk::Other,
    }
}

/// Folders without which a system, or its users, are gone.
const SYSTEM: &[&str] =
    &["", "/etc", "/usr", "/boot", "/var", "/home", "/bin", "/lib", "/lib64", "/sbin", "/var/lib"];

fn folders(case: &mut Case<'_>, at: Place, command: &Command) {
    let system = |text: &str| {
        let path = text.strip_suffix("/*").unwrap_or(text).trim_end_matches('/');
        text.starts_with('/') && SYSTEM.contains(&path)
    };
    let hit = match command.name.as_str() {
        "rm" => {
            let recursive = command.args().iter().any(|word| {
                let text = word.text.as_str();
                text == "--recursive"
                    || (text.starts_with('-') && !text.starts_with("--") && text.contains(['r', 'R']))
            });
            recursive && command.operands().any(|word| system(&word.text))
        }
        "find" => {
            let chosen = [
                "-name", "-iname", "-path", "-mtime", "-mmin", "-ctime", "-atime", "-empty", "-user",
                "-newer", "-regex", "-xtype", "-inum", "-size", "-nouser", "-perm",
            ];
            command.has("-delete")
                && !command.args().iter().any(|word| chosen.contains(&word.text.as_str()))
                && system(command.arg(0))
        }
        _ => false,
    };
    if hit {
        case.hit(Id::Imp02, at);
    }
}

/// Whether a command is `aws SERVICE VERB`.
pub(super) fn is_aws(command: &Command, service: &str, verbs: &[&str]) -> bool {
    if command.name != "aws" {
        return false;
    }
    let mut operands = command.operands().map(|word| word.text.as_str());
    operands.any(|text| text == service) && operands.next().is_some_and(|verb| verbs.contains(&verb))
}

fn buckets(case: &mut Case<'_>, at: Place, part: &Part<'_>, command: &Command, values: &Values<'_>) {
    if command.name != "aws" {
        return;
    }
    let whole = || {
        command.operands().find(|word| {
            word.text.strip_prefix("s3://").is_some_and(|rest| !rest.trim_end_matches('/').contains('/'))
        })
    };
    let empties = (is_aws(command, "s3", &["rm"]) && command.has("--recursive"))
        || (is_aws(command, "s3", &["rb"]) && command.has("--force"));
    if empties && let Some(word) = whole() {
        let chosen =
            command.args().iter().any(|word| matches!(word.text.as_str(), "--exclude" | "--include"));
        // A loop over all buckets.
        let listed = word.vars().iter().filter_map(|name| values.get(name.as_str())).flatten().any(|value| {
            let inside = value.subs().iter().flat_map(|(_, span)| span.indices().take(8));
            inside.filter_map(|index| part.script.commands.get(index)).any(|other| other.name == "aws")
        }) || (word.dynamic
            && part.script.commands.iter().any(|other| {
                (is_aws(other, "s3", &["ls"]) && other.operands().count() == 2)
                    || is_aws(other, "s3api", &["list-buckets"])
            }));
        let sure = listed || !(word.dynamic || chosen);
        case.hit_weighing(Id::Imp04, if sure { Id::Imp04.signal().weight } else { UNSURE }, at);
    }
    if is_aws(command, "rds", &["delete-db-instance", "delete-db-cluster"])
        && command.has("--skip-final-snapshot")
    {
        case.hit(Id::Imp04, at);
    }
    if is_aws(command, "s3api", &["delete-bucket", "delete-objects"])
        || is_aws(command, "dynamodb", &["delete-table"])
        || is_aws(command, "efs", &["delete-file-system"])
        || is_aws(command, "kms", &["schedule-key-deletion", "disable-key"])
    {
        case.hit_weighing(Id::Imp04, UNSURE, at);
    }
    if is_aws(command, "backup", &["delete-backup-vault", "delete-recovery-point", "delete-backup-plan"]) {
        case.hit(Id::Imp03, at);
    }
    let suspends = is_aws(command, "s3api", &["put-bucket-versioning"])
        && command.args().iter().any(|word| word.text.contains("Suspended"));
    if suspends
        || is_aws(command, "ec2", &["delete-snapshot"])
        || is_aws(command, "rds", &["delete-db-snapshot", "delete-db-cluster-snapshot"])
    {
        case.hit_weighing(Id::Imp03, ROTATION, at);
    }
}

/// Windows' own backups, and Linux folders of backups as a whole.
pub(super) fn command(case: &mut Case<'_>, at: Place, command: &Command) {
    let name = command.name.to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    let mentions = |needle: &str| {
        command
            .words
            .iter()
            .any(|word| word.text.len() < 400 && word.text.to_ascii_lowercase().contains(needle))
    };
    let hit = match name {
        "vssadmin" => (mentions("delete") && mentions("shadow")) || mentions("resize"),
        "wmic" => mentions("shadowcopy") && (mentions("delete") || mentions("call")),
        "wbadmin" => mentions("delete"),
        "diskshadow" => mentions("delete"),
        "bcdedit" => {
            (mentions("recoveryenabled") && (mentions("no") || mentions("off")))
                || mentions("ignoreallfailures")
        }
        "get-wmiobject" | "gwmi" | "get-ciminstance" | "gcim" | "remove-wmiobject" | "remove-ciminstance"
            if mentions("win32_shadowcopy") =>
        {
            true
        }
        "disable-computerrestore" => true,
        "rm" => command.operands().any(|word| {
            let path = word.text.strip_suffix("/*").unwrap_or(&word.text).trim_end_matches('/');
            matches!(path, "/var/backups" | "/backup" | "/backups")
        }),
        _ => false,
    };
    if hit {
        case.hit(Id::Imp03, at);
    }
}

/// A file that is written: a note that asks for money.
pub(super) fn note(case: &mut Case<'_>, spot: Spot<'_>, target: &str, text: &str) {
    const LONGEST: usize = 16 << 10;
    let name = basename(target).to_ascii_lowercase();
    let told = [
        "read",
        "restore",
        "decrypt",
        "recover",
        "motd",
        "ransom",
        "unlock",
        "warning",
        "note",
        "issue",
        "index.html",
    ];
    if text.len() > LONGEST || !told.iter().any(|word| name.contains(word)) {
        return;
    }
    let lower = text.to_ascii_lowercase();
    let words = || lower.split(|c: char| !c.is_ascii_alphanumeric());
    let taken =
        words().any(|word| matches!(word, "encrypted" | "held" | "locked" | "stolen" | "exfiltrated"));
    let money = words()
        .any(|word| matches!(word, "pay" | "payment" | "bitcoin" | "btc" | "monero" | "xmr" | "ransom"));
    if taken && money {
        case.hit_spot(Id::Imp05, spot, text.lines().next().unwrap_or(""));
    }
}

/// Scripts in other languages that walk a tree, encrypt and remove.
pub(super) fn other_language(case: &mut Case<'_>, unit: (usize, u32), text: &str) {
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let encrypts = [
        "Fernet(",
        "AES.new",
        "Cipher(",
        "Crypto.Cipher",
        "createCipheriv",
        "CreateEncryptor",
        "RijndaelManaged",
        "AesManaged",
        "AesCryptoServiceProvider",
        "nacl.secret",
        "ChaCha20",
        "openssl_encrypt",
    ];
    let walks = any(&[
        "os.walk",
        "rglob(",
        "iglob(",
        "glob.glob",
        "readdir",
        "Get-ChildItem",
        "RecursiveDirectory",
        "Dir.glob",
        "gci ",
    ]);
    let removes = any(&[
        "os.remove",
        "os.unlink",
        ".unlink(",
        "os.rename",
        "unlinkSync",
        "Remove-Item",
        "unlink(",
        "File.delete",
        "write_bytes",
        "WriteAllBytes",
    ]);
    if walks && removes && any(&encrypts) {
        case.hit_near(Id::Imp01, unit, &encrypts);
    }
}
