use super::*;

fn script(path: &str, text: &str) -> String {
    commands(path, text).map(|commands| commands.text).unwrap_or_default()
}

#[test]
fn every_line_of_the_table_is_read() {
    let (read, written) = table::count();
    assert_eq!(read, written);
    assert!(read > 250);
}

/// One file of each syntax, and the command that must be found in it, on its line.
#[test]
fn a_command_is_found_in_the_syntax_of_its_place() {
    for (path, text, wanted) in [
        ("/etc/crontab", "MAILTO=x\n5 * * * * root run-it a\n", "MAILTO=x\nrun-it a\n"),
        ("/etc/cron.d/a.b", "@reboot root run-it\n", "run-it\n"),
        ("/var/spool/cron/crontabs/root", "* * * * * run-it\n", "run-it\n"),
        ("/etc/crontabs/root", "*/2 * * * * sh%id%ls\n", "echo 'id; ls' | sh\n"),
        ("/etc/anacrontab", "1 5 job run-it now\n", "run-it now\n"),
        ("/etc/incron.d/x", "/etc IN_MODIFY run-it $@\n", "run-it $@\n"),
        ("/etc/inittab", "x:2345:respawn:run-it now\n", "run-it now\n"),
        ("/etc/init/x.conf", "start on boot\nexec run-it\n", "\nrun-it\n\n"),
        ("/etc/init/x.conf", "pre-start script\n run-it\nend script\n", "\nrun-it\n\n\n"),
        ("/etc/systemd/system/x.service", "[Service]\nExecStart=-@/bin/sh name -c id\n", "\n/bin/sh -c id\n"),
        (
            "/etc/systemd/system/x.service",
            "ExecStart=/bin/s\\x68 -c 'a \\\n# b\n c'\n",
            "/bin/sh -c 'a   c'\n\n\n",
        ),
        ("/lib/systemd/system/x.service", "Environment=BASH_ENV=/tmp/x\n", ". /tmp/x\n"),
        ("/etc/udev/rules.d/9.rules", "ACTION==\"add\", RUN+=\"run-it 'a'\"\n", "run-it 'a'\n"),
        (
            "/etc/apt/apt.conf.d/9",
            "// no\nDPkg { Post-Invoke { \"run-it\"; \"two\"; }; };\n",
            "\nrun-it; two\n",
        ),
        ("/etc/apt/apt.conf", "APT::Update::Pre-Invoke:: \"run-it\";\nA::B \"no\";\n", "run-it\n\n"),
        ("/etc/dpkg/dpkg.cfg.d/x", "no-debsig\npost-invoke=run-it\n", "\nrun-it\n"),
        ("/etc/modprobe.d/x.conf", "options a b=c\ninstall usb run-it a\n", "\nrun-it a\n"),
        ("/etc/network/interfaces", "iface eth0 inet dhcp\n  post-up run-it\n", "\nrun-it\n"),
        ("/etc/pam.d/sshd", "auth optional pam_exec.so quiet log=/x run-it a\n", "run-it a\n"),
        ("/etc/logrotate.d/x", "/var/log/x {\n postrotate\n run-it\n endscript\n}\n", "\n\nrun-it\n\n\n\n"),
        ("/etc/ssh/ssh_config", "Host *\n ProxyCommand run-it %h\n", "\nrun-it %h\n\n"),
        ("/etc/ssh/sshd_config.d/9.conf", "Subsystem sftp run-it\n", "run-it\n"),
        ("/home/a/.ssh/authorized_keys", "no-pty,command=\"run-it\" ssh-rsa AAAA b\n", "run-it\n"),
        ("/etc/dnf/plugins/post-transaction-actions.d/x.action", "*:any:run-it a:b\n", "run-it a:b\n"),
        ("/etc/rsyslog.d/x.conf", "*.* ^run-it\n", "run-it\n"),
        ("/etc/rsyslog.d/y.conf", "action(type=\"omprog\" binary=\"run-it\")\n", "run-it\n"),
        ("/etc/openvpn/c.conf", "remote h\nup \"run-it 'a'\"\n", "\nrun-it 'a'\n"),
        ("/etc/acpi/events/p", "event=.*\naction=run-it\n", "\nrun-it\n"),
        ("/etc/supervisor/conf.d/x.conf", "[program:x]\ncommand = run-it\n", "\nrun-it\n"),
        ("/etc/xdg/autostart/x.desktop", "Exec=run-it \"a b\" c\n", "run-it \"a b\" c\n"),
        ("/root/.gitconfig", "[core]\n pager = run-it\n[alias] s = \"!run-it b\"\n", "\nrun-it\nrun-it b\n"),
        ("/etc/environment", "A=b\nBASH_ENV=\"/tmp/x\"\n", "\n. /tmp/x\n"),
        ("/etc/sysctl.d/9.conf", "vm.x=1\nkernel.core_pattern=|run-it %p\n", "\nrun-it %p\n"),
        ("/etc/aliases", "a: b\nx: \"|run-it\"\n", "\nrun-it\n"),
        ("/etc/binfmt.d/x.conf", ":x:M::ELF::/opt/run-it:\n", "/opt/run-it\n"),
        ("/etc/nagios/nrpe.cfg", "command[a]=run-it\n", "run-it\n"),
        ("/etc/cloud/cloud.cfg.d/9.cfg", "bootcmd:\n- [run-it, a b]\n", "run-it 'a b'\n"),
        (
            "/etc/kubernetes/manifests/x.yaml",
            "spec: {containers: [{command: [sh, -c], args: [run-it a]}]}\n",
            "sh -c 'run-it a'\n",
        ),
        (
            "c:/windows/system32/tasks/x",
            "<Exec><Command>cmd</Command><Arguments>/c &quot;a&quot;</Arguments></Exec>",
            "cmd /c \"a\"\n",
        ),
    ] {
        assert_eq!(script(path, text), wanted, "{path}");
    }
}

#[test]
fn a_script_at_a_place_has_its_own_language() {
    let of = |path: &str, text: &str| commands(path, text).map(|commands| (commands.cron, commands.language));
    assert_eq!(of("/etc/profile.d/x.sh", "id\n"), Some((false, Language::Shell)));
    assert_eq!(of("/etc/cron.daily/x", "#!/usr/bin/python3\n"), Some((true, Language::Python)));
    assert_eq!(of("/usr/lib/python3/dist-packages/x.pth", "import os\n"), Some((false, Language::Python)));
    let startup = normalise("", r"$env:APPDATA\Microsoft\Windows\Start Menu\Programs\Startup\x.ps1");
    assert_eq!(of(&startup, "iex x"), Some((false, Language::PowerShell)));
}

#[test]
fn what_nothing_runs_is_no_place() {
    for path in ["/etc/motd", "/opt/app/README.md", "/etc/suricata/rules/x.rules", "/srv/etc/cron.d.txt", ""]
    {
        assert_eq!(commands(path, "run-it\n"), None, "{path}");
    }
}

#[test]
fn a_path_is_the_same_however_it_is_written() {
    for path in [
        "/etc/cron.d/x",
        "//etc//cron.d/x",
        "/tmp/../etc/./cron.d/x",
        "/../etc/cron.d/y/../x",
        "'/etc/cron.d/x'",
        "/proc/1/root/etc/cron.d/x",
        "/mnt/host/etc/cron.d/x",
    ] {
        assert_eq!(normalise("", path), "/etc/cron.d/x", "{path}");
    }
    assert_eq!(normalise("/etc", "cron.d/x"), "/etc/cron.d/x");
    assert_eq!(normalise("/etc/apt", "../cron.d/x"), "/etc/cron.d/x");
    assert_eq!(normalise("", "./a/../b"), "b");
    for home in ["~/.bashrc", "$HOME/.bashrc", "${HOME}/.bashrc", "~root/.bashrc"] {
        assert_eq!(normalise("/tmp", home), "/root/.bashrc");
    }
    assert_eq!(normalise("", "/mnt/data/x"), "/mnt/data/x");
    assert_eq!(normalise("", r"%ProgramData%\a\..\B"), "c:/programdata/b");
}

#[test]
fn a_file_takes_its_name_into_a_folder() {
    assert_eq!(destination("", "/etc/cron.d", "/tmp/x"), "/etc/cron.d/x");
    assert_eq!(destination("", "/etc/cron.d/", "x"), "/etc/cron.d/x");
    assert_eq!(destination("/etc", "profile.d", "a/x.sh"), "/etc/profile.d/x.sh");
    assert_eq!(destination("", "/etc/cron.d/y", "/tmp/x"), "/etc/cron.d/y");
    assert_eq!(destination("", "/opt/new/", "/tmp/x"), "/opt/new/x");
}

#[test]
fn a_long_path_and_an_endless_quote_are_read_in_linear_time() {
    let path = format!("/etc/{}", "a*".repeat(50_000));
    assert!(!is_place(&path));
    let text = "\"".repeat(200_000);
    for path in ["/etc/udev/rules.d/x", "/etc/apt/apt.conf", "/etc/openvpn/x", "/etc/pam.d/x", "/etc/crontab"]
    {
        assert!(commands(path, &text).is_some(), "{path}");
    }
}
