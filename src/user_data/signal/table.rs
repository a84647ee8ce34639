//! The signals: one table, from which judging and documentation both follow.

/// One thing that a script may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// `exe-01`
    pub id: &'static str,
    pub title: &'static str,
    /// What it adds to the score, at most.
    pub weight: u32,
    /// Enough on its own, whatever else is there.
    pub critical: bool,
    /// MITRE ATT&CK techniques.
    pub attack: &'static [&'static str],
    /// Why it matters, and what an honest script does instead.
    pub why: &'static str,
}

const fn signal(
    id: &'static str,
    title: &'static str,
    weight: u32,
    critical: bool,
    attack: &'static [&'static str],
    why: &'static str,
) -> Signal {
    Signal { id, title, weight, critical, attack, why }
}

/// Every signal, by category.
#[rustfmt::skip]
pub static SIGNALS: &[Signal] = &[
    signal("exe-01", "Download piped to an interpreter", 25, false, &["T1059.004", "T1105"],
        "Whoever controls the host controls the instance, and nothing is left to look at. Counts 5 for a trusted host over https, 10 over http."),
    signal("exe-02", "Downloaded text evaluated or sourced", 25, false, &["T1059.004"],
        "As exe-01, by way of eval, sh -c or source. Counts 5 for a trusted host over https."),
    signal("exe-03", "Decoded text run by an interpreter", 60, false, &["T1027", "T1140"],
        "Encoding hides a script from whoever reads the user data. Counts less when a decoded file can be read here and is run later."),
    signal("exe-04", "Downloaded file made executable and run", 20, false, &["T1105", "T1222.002"],
        "Nothing when the file is verified by checksum or signature first, or comes from a trusted host."),
    signal("exe-05", "Run from a temporary or hidden directory", 15, false, &["T1036.005"],
        "World-writable and hidden places are where droppers unpack."),
    signal("exe-06", "Run from a temporary or hidden directory in the background", 15, false, &["T1036.005"],
        "As exe-05, left running when the script is gone."),
    signal("exe-07", "Content included from an untrusted URL", 30, false, &["T1105"],
        "What #include, write_files.source, ansible.pull or a configuration's replacement name is fetched and acted on at first boot."),
    signal("exe-08", "Code fetched or run by way of a signed system program", 50, false, &["T1218"],
        "mshta, regsvr32, rundll32 and their kind given a URL: there to slip past allow lists."),
    signal("net-01", "Public IP address as a download or command host", 25, false, &["T1071.001"],
        "Services have names; throw-away hosts often do not."),
    signal("net-02", "Paste, tunnel, onion or webhook host", 35, false, &["T1102"],
        "Anonymous hosting for payloads and for what is taken."),
    signal("net-03", "Shell connected to /dev/tcp", 60, true, &["T1059", "T1095"],
        "A reverse shell written in bash alone."),
    signal("net-04", "Shell connected to a socket", 60, true, &["T1059", "T1095"],
        "A reverse or bind shell: nc -e, a pipe file, socat, or sockets of Python, Perl, PHP, Ruby, PowerShell and others."),
    signal("net-05", "Anonymising or tunnelling tool", 25, false, &["T1572"],
        "tor, frp, chisel, ngrok and the like open a way in past the firewall."),
    signal("net-06", "Code fetched without transport security", 10, false, &["T1105"],
        "Certificate check switched off, or plain http for what is then run."),
    signal("net-07", "Network scanner or password guesser", 20, false, &["T1046"],
        "masscan, zgrab, pnscan, hydra: an instance that looks for others."),
    signal("min-01", "Mining program", 50, false, &["T1496.001"],
        "A miner's name as a command, service or image; 45 where it is only fetched or installed; nothing as the target of a kill."),
    signal("min-02", "Mining protocol or settings", 60, true, &["T1496.001"],
        "A stratum URL, a mining algorithm, a donate level, a miner's configuration."),
    signal("min-03", "Mining pool host", 50, false, &["T1496.001"],
        "The registered domain of a pool or a name below it."),
    signal("min-04", "Monero wallet address", 60, true, &["T1496.001"],
        "The shape of an address: 95 or 106 characters of base 58 that begin with 4 or 8."),
    signal("min-05", "Tuning that mining profits from", 15, false, &["T1496.001"],
        "Huge pages, model-specific registers, the NMI watchdog; 5 for huge pages beside a database or the like, which use them, too."),
    signal("def-01", "Kills competing programs", 35, false, &["T1489"],
        "Four or more names killed in one go, as miners do to each other."),
    signal("def-02", "Writes ld.so.preload", 60, false, &["T1574.006"],
        "A library loaded into every process: how user-land rootkits hide."),
    signal("def-03", "Changes attributes of system, cron or ssh files", 20, false, &["T1222.002"],
        "chattr makes a foothold undeletable, or takes such protection off."),
    signal("def-04", "Stops a security agent", 30, false, &["T1562.001"],
        "Monitoring stopped, removed or blinded."),
    signal("def-05", "Firewall or mandatory access control switched off", 10, false, &["T1562.004"],
        "Common in honest scripts; context for what stands beside it."),
    signal("def-06", "History or logs wiped", 25, false, &["T1070"],
        "Log files emptied, history switched off. 10 for the removal of the shell's history, which image builds do."),
    signal("per-01", "Cron entry that downloads, decodes or runs from a temporary place", 35, false, &["T1053.003"],
        "Comes back for as long as the instance lives."),
    signal("per-02", "Crontab removed", 30, false, &["T1053.003"],
        "Clears the way for one's own."),
    signal("per-03", "SSH key from a URL or for root", 20, false, &["T1098.004"],
        "A way back in that no launch key shows."),
    signal("per-04", "Privileged account or password login", 20, false, &["T1136.001"],
        "A second user 0 or a root password; 10 for sudo without a password, which honest scripts give their own users."),
    signal("per-05", "Unit or start script that runs from a temporary or hidden place", 25, false, &["T1543.002"],
        "Persistence that points at what should not persist."),
    signal("crd-01", "Instance or task credentials read", 15, false, &["T1552.005"],
        "The metadata service's credentials, which the SDKs read by themselves."),
    signal("crd-02", "Credential files read", 15, false, &["T1552.001"],
        "Cloud, SSH, container and password files read or packed."),
    signal("crd-03", "Upload to a host outside AWS", 15, false, &["T1567"],
        "Data leaves; critical when the instance's credentials are read as well."),
    signal("dec-01", "Nested encodings, a false type, or a disguised command", 20, false, &["T1027"],
        "Three or more layers, a label that does not fit the content, or a program's name spelled in pieces."),
    signal("dec-02", "Part that cannot be decoded", 0, false, &["T1027"],
        "Said so that silence is not taken for clean."),
    signal("dec-03", "Too much work to inspect", 50, false, &["T1027", "T1499"],
        "The script was written to wear inspection out: its nesting, its copies or its size cost more steps than any honest one. What was found before counts, and the rest was only searched for telling lines."),
    signal("dec-04", "Template that builds text", 15, false, &["T1027"],
        "Commands put together from pieces; 0 for a value that only the instance knows, since what is not rendered is not clean."),
    signal("dec-05", "Made to pass a bound", 50, false, &["T1027", "T1562"],
        "Short enough to launch with, yet it unfolds to more than is read: padding, many parts, many layers. Nothing honest does."),
    signal("dec-06", "Text that cannot be known is run", 0, false, &["T1059"],
        "An interpreter is given what a program prints at run time, so that nobody can tell from the user data what runs."),
    signal("sup-01", "Unsigned repository or added certificate authority", 20, false, &["T1195.002"],
        "Packages or certificates from a host that is not known are trusted without a check."),
];

/// The signal of an id.
pub fn signal_of(id: &str) -> Option<&'static Signal> {
    SIGNALS.iter().find(|signal| signal.id == id)
}
