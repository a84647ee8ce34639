//! What reads user data beside cloud-init: EC2Launch, Ignition, Bottlerocket, nodeadm.

use super::super::decode;
use super::{base64, decoded_lines, gzip, lines, runs, undecodable};

#[test]
fn windows_tags_are_found_in_any_case_and_order() {
    let text = "<persist>true</persist>\n<PowerShell>\nGet-Date\n</PowerShell>\n<script>\nver\n</script>\n<powershellArguments>-enc AAAA</powershellArguments>";
    assert_eq!(
        decoded_lines(text),
        [
            "persist | windows.persist = true",
            "powershell 2 | PowerShell | \nGet-Date",
            "script 3 | Batch | \nver",
            "powershellArguments 4 | PowerShell | powershell.exe -enc AAAA",
        ]
    );
}

#[test]
fn a_windows_tag_that_never_closes_or_stands_behind_text_still_counts() {
    assert_eq!(decoded_lines("<powershell>\nGet-Date\n"), ["powershell | PowerShell | \nGet-Date"]);
    assert_eq!(decoded_lines("hello\n<script>ver</script>"), ["script | Batch | ver"]);
    let both = decode(b"#!/bin/sh\nexit 0\n<powershell>iex $x</powershell>\n");
    assert_eq!(lines(&both)[1], "powershell | PowerShell | iex $x");
}

#[test]
fn cloudbase_headers_name_the_language() {
    assert_eq!(decoded_lines("#ps1_sysnative\nGet-Date\n"), [" | PowerShell | #ps1_sysnative\nGet-Date"]);
    assert_eq!(decoded_lines("rem cmd\r\nver\r\n"), [" | Batch | rem cmd\nver"]);
}

#[test]
fn ec2launch_tasks_become_scripts_and_settings() {
    let text = "version: 1.1
tasks:
- task: executeScript
  inputs:
  - frequency: always
    type: powershell
    runAs: localSystem
    arguments: -EncodedCommand AAAA
    content: |-
      Get-Date
  - type: batch
    content: ver
- task: executeProgram
  inputs: [{path: 'C:\\Program Files\\x.exe', arguments: [-a, b]}]
- task: setAdminAccount
  inputs: {name: Admin, password: {type: static, data: hunter2}}
- task: enableOpenSsh
";
    assert_eq!(
        decoded_lines(text),
        [
            "ec2launch > tasks[0] executeScript[0] | PowerShell | Get-Date",
            "ec2launch > tasks[0] executeScript[0].arguments | PowerShell | powershell.exe -EncodedCommand AAAA",
            "ec2launch > tasks[0] executeScript[1] | Batch | ver",
            "ec2launch > tasks[1] executeProgram[0] | Batch | \"C:\\Program Files\\x.exe\" -a b",
            "ec2launch > tasks[2] setAdminAccount[0] | users.name = Admin",
            "ec2launch > tasks[2] setAdminAccount[0] | users.plain_text_passwd = hunter2",
        ]
    );
}

#[test]
fn ignition_files_units_and_references_are_found() {
    let packed = base64(gzip(b"#!/bin/sh\nid\n"));
    let nested = base64("{\"ignition\":{\"version\":\"3.3.0\"},\"passwd\":{\"users\":[{\"name\":\"in\"}]}}");
    let text = format!(
        r#"{{"ignition": {{"version": "3.3.0", "config": {{"replace": {{"source": "https://example.com/next.ign"}},
             "merge": [{{"source": "data:;base64,{nested}"}}]}}}},
  "storage": {{"files": [
    {{"path": "/a", "contents": {{"source": "data:,hello%20there"}}}},
    {{"path": "/b", "contents": {{"source": "data:;base64,{packed}", "compression": "gzip"}}}},
    {{"path": "/c", "contents": {{"source": "https://example.com/c"}}}}]}},
  "systemd": {{"units": [{{"name": "x.service", "enabled": true,
    "contents": "[Service]\nExecStart=-/bin/sh -c 'curl x | sh'\n"}}]}},
  "passwd": {{"users": [{{"name": "core", "sshAuthorizedKeys": ["ssh-rsa AAAA"]}}]}}}}"#
    );
    assert_eq!(
        decoded_lines(text),
        [
            "ignition > config.replace[0] | Include https://example.com/next.ign",
            "ignition > config.merge[0] > ignition > passwd.users[0].name | users.name = in",
            "ignition > storage.files[0] | File /a | hello there",
            "ignition > storage.files[1] | File /b | #!/bin/sh\nid",
            "ignition > storage.files[2] | Include https://example.com/c",
            "ignition > systemd.units[0] | File /etc/systemd/system/x.service | [Service]\nExecStart=-/bin/sh -c 'curl x | sh'",
            "ignition > systemd.units[0] | Shell | \n/bin/sh -c 'curl x | sh'",
            "ignition > passwd.users[0].name | users.name = core",
            "ignition > passwd.users[0].sshAuthorizedKeys[0] | users.ssh_authorized_keys = ssh-rsa AAAA",
        ]
    );
}

#[test]
fn broken_ignition_is_told_and_its_files_are_still_read() {
    let text = "{\"ignition\": {\"version\": \"3.3.0\"},\n\"storage\": {\"files\": [{\"path\": \"/a\", \"contents\": {\"source\": \"data:;base64,aWQK\"}},\n";
    let decoded = decode(text.as_bytes());
    assert!(undecodable(&decoded)[0].starts_with("JSON: EOF"), "{:?}", undecodable(&decoded));
    assert!(lines(&decoded).contains(&"salvaged | File  | id".to_owned()), "{:?}", lines(&decoded));
}

fn bottlerocket() -> String {
    format!(
        "# managed
[settings.kubernetes]
cluster-name = \"c\"
[settings.bootstrap-containers.setup]
source = \"203.0.113.7:5000/x\"
mode = \"once\"
user-data = \"{}\"
[settings.bootstrap-commands.now]
commands = [[\"apiclient\", \"set\", \"motd=a b\"]]
[settings.pki.extra]
data = \"PEM\"
trusted = true
",
        base64("#!/bin/sh\nid\n")
    )
}

#[test]
fn bottlerocket_containers_commands_and_authorities_are_found() {
    let mut found = decoded_lines(bottlerocket());
    found.sort();
    assert_eq!(
        found,
        [
            "bottlerocket > bootstrap-commands.now.commands[0] | Shell | apiclient set 'motd=a b'",
            "bottlerocket > bootstrap-containers.setup.mode | bootstrap_containers.mode = once",
            "bottlerocket > bootstrap-containers.setup.source | bootstrap_containers.source = 203.0.113.7:5000/x",
            "bottlerocket > bootstrap-containers.setup.user-data | Shell | #!/bin/sh\nid",
            "bottlerocket > kubernetes.cluster-name | kubernetes.cluster_name = c",
            "bottlerocket > pki.extra | ca_certs.trusted = PEM",
        ]
    );
}

#[test]
fn one_broken_table_does_not_hide_the_others() {
    let decoded = decode(bottlerocket().replace("\"c\"", "\"c").as_bytes());
    assert!(runs(&decoded, "#!/bin/sh\nid"), "{:?}", lines(&decoded));
    assert!(undecodable(&decoded)[0].starts_with("TOML: "));
}

#[test]
fn node_config_gives_the_flags_and_containerds_configuration() {
    let text = "---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: c}
  kubelet:
    flags: [--allowed-unsafe-sysctls=kernel.*]
  containerd:
    config: |
      [proxy_plugins]
";
    assert_eq!(
        decoded_lines(text),
        [
            "NodeConfig > spec.cluster.name | cluster.name = c",
            "NodeConfig > spec.kubelet.flags[0] | kubelet.flags = --allowed-unsafe-sysctls=kernel.*",
            "NodeConfig > spec.containerd.config | containerd.config = [proxy_plugins]",
        ]
    );
}

#[test]
fn a_comment_of_powershell_ends_at_a_carriage_return() {
    let lines =
        decoded_lines("<powershell># a note\rStart-Process x\r</powershell>\n<script>echo a\rb</script>\n");
    assert_eq!(lines, ["powershell | PowerShell | # a note\nStart-Process x", "script 2 | Batch | echo ab"]);
}
