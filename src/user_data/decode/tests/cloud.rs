//! cloud-init's own formats.

use super::super::{Kind, decode};
use super::{base64, decoded_lines, gzip, lines};

#[test]
fn cloud_config_is_flattened_with_the_place_of_every_entry() {
    let config = "#cloud-config
ssh-authorized-keys: [ssh-rsa AAAA a@example.com]
users:
  - name: ops
    sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]
ssh_pwauth: true
disable_root: false
chpasswd:
  list: |
    root:secret
    ops:secret
packages: [tor, [jq, '1.6']]
package_update: ~
ca_certs: {trusted: [PEM]}
phone_home: {url: https://example.com/home, post: all}
power_state: {mode: reboot, condition: true}
";
    assert_eq!(
        decoded_lines(config),
        [
            "cloud-config > ssh-authorized-keys[0] | ssh_authorized_keys = ssh-rsa AAAA a@example.com",
            "cloud-config > users[0].name | users.name = ops",
            "cloud-config > users[0].sudo[0] | users.sudo = ALL=(ALL) NOPASSWD:ALL",
            "cloud-config > ssh_pwauth | ssh_pwauth = true",
            "cloud-config > disable_root | disable_root = false",
            "cloud-config > chpasswd.list | chpasswd.list = root:secret",
            "cloud-config > chpasswd.list | chpasswd.list = ops:secret",
            "cloud-config > packages[0] | packages = tor",
            "cloud-config > packages[1] | packages = jq 1.6",
            "cloud-config > ca_certs.trusted[0] | ca_certs.trusted = PEM",
            "cloud-config > phone_home.url | phone_home.url = https://example.com/home",
            "cloud-config > phone_home.post | phone_home.post = all",
            "cloud-config > power_state.mode | power_state.mode = reboot",
        ]
    );
}

#[test]
fn everything_that_cloud_init_would_execute_is_a_script() {
    let config = "#cloud-config
bootcmd: [[cloud-init-per, once, x, touch, '/a b']]
runcmd:
  - curl -s https://example.com/a | sh
  - [sh, -c, \"id | tee /x\"]
  - echo key: value
snap: {commands: {00: snap install x, 01: [snap, refresh]}}
power_state: {mode: reboot, condition: test -f /x}
random_seed: {command: [sh, -c, id]}
ansible: {pull: {url: 'https://git.example.com/site.git', playbook_name: site.yml}}
";
    assert_eq!(
        decoded_lines(config),
        [
            "cloud-config > bootcmd[0] | Shell | cloud-init-per once x touch '/a b'",
            "cloud-config > runcmd[0] | Shell | curl -s https://example.com/a | sh",
            "cloud-config > runcmd[1] | Shell | sh -c 'id | tee /x'",
            "cloud-config > runcmd[2] | Shell | echo key: value",
            "cloud-config > snap.commands.00 | Shell | snap install x",
            "cloud-config > snap.commands.01 | Shell | snap refresh",
            "cloud-config > power_state.mode | power_state.mode = reboot",
            "cloud-config > power_state.condition | Shell | test -f /x",
            "cloud-config > random_seed.command | Shell | sh -c id",
            "cloud-config > ansible.pull.url | Include https://git.example.com/site.git",
            "cloud-config > ansible.pull.playbook_name | ansible.pull.playbook_name = site.yml",
        ]
    );
}

#[test]
fn repositories_keep_what_belongs_together() {
    let config = "#cloud-config
apt: {sources: {tools: {source: 'deb [trusted=yes] http://apt.example.com/ ./', keyid: ABCD}}}
yum_repos: {tools: {baseurl: 'http://yum.example.com/', gpgcheck: false}}
zypper: {repos: [{id: extra, baseurl: 'http://zypp.example.com/', gpgcheck: 0}]}
";
    assert_eq!(
        decoded_lines(config),
        [
            "cloud-config > apt.sources.tools.source | apt.sources = deb [trusted=yes] http://apt.example.com/ ./",
            "cloud-config > apt.sources.tools.keyid | apt.sources.keyid = ABCD",
            "cloud-config > yum_repos.tools | yum_repos = [tools]\nbaseurl=http://yum.example.com/\ngpgcheck=false",
            "cloud-config > zypper.repos[0] | zypper.repos = [extra]\nid=extra\nbaseurl=http://zypp.example.com/\ngpgcheck=0",
        ]
    );
}

#[test]
fn written_files_are_decoded_whatever_they_call_it() {
    let script = "#!/bin/sh\nid\n";
    let packed = base64(gzip(script.as_bytes()));
    for (encoding, content) in [
        ("b64", base64(script)),
        ("BASE64 ", base64(script)),
        ("gz+b64", packed.clone()),
        ("gz+base64", packed.clone()),
        ("gzip+base64", packed.clone()),
        ("gzip+b64", packed.clone()),
        ("gzip", format!("!!binary {packed}")),
        ("gz", format!("!!binary {packed}")),
        ("text/plain", "\"#!/bin/sh\\nid\\n\"".to_owned()),
        ("unknown", "\"#!/bin/sh\\nid\\n\"".to_owned()),
    ] {
        let config = format!(
            "#cloud-config\nwrite_files:\n- path: /x\n  encoding: '{encoding}'\n  content: {content}\n"
        );
        assert_eq!(
            decoded_lines(&config),
            ["cloud-config > write_files[0] | File /x | #!/bin/sh\nid"],
            "{config}"
        );
    }
    let fetched = "#cloud-config\nwrite_files: [{path: /x, source: {uri: 'https://example.com/x'}}]\n";
    assert_eq!(
        decoded_lines(fetched),
        ["cloud-config > write_files[0].source.uri | Include https://example.com/x"]
    );
}

#[test]
fn a_merge_key_or_an_alias_hides_nothing() {
    let config = "#cloud-config
.base: &base
  runcmd: &commands [id]
<<: *base
bootcmd: *commands
";
    let found = decoded_lines(config);
    assert!(found.contains(&"cloud-config > runcmd[0] | Shell | id".to_owned()), "{found:?}");
    assert!(found.contains(&"cloud-config > bootcmd[0] | Shell | id".to_owned()), "{found:?}");
}

#[test]
fn a_json_patch_reads_as_what_it_adds() {
    let patch = r##"#cloud-config-jsonp
[{"op": "add", "path": "/runcmd", "value": ["id", ["sh", "-c", "id"]]},
 {"op": "add", "path": "/bootcmd/-", "value": ["echo", "a b"]},
 {"op": "add", "path": "/users/0/ssh-authorized-keys", "value": "ssh-rsa AAAA"},
 {"op": "replace", "path": "", "value": {"packages": ["jq"]}}]
"##;
    assert_eq!(
        decoded_lines(patch),
        [
            "cloud-config patch > [0] /runcmd[0] | Shell | id",
            "cloud-config patch > [0] /runcmd[1] | Shell | sh -c id",
            "cloud-config patch > [1] /bootcmd/- | Shell | echo 'a b'",
            "cloud-config patch > [2] /users/0/ssh-authorized-keys | users.ssh_authorized_keys = ssh-rsa AAAA",
            "cloud-config patch > [3]  > packages[0] | packages = jq",
        ]
    );
}

#[test]
fn an_include_names_its_line() {
    assert_eq!(
        decoded_lines("#include\n# why\nhttps://example.com/a\n\nhttps://example.com/b\n"),
        [
            "include > line 3 | Include https://example.com/a",
            "include > line 5 | Include https://example.com/b",
        ]
    );
    assert_eq!(
        decoded_lines("#Include-Once https://example.com/c"),
        ["include > line 1 | Include https://example.com/c"]
    );
}

#[test]
fn a_template_is_rendered_and_read_on() {
    let template = "## template: jinja\n#cloud-config\nruncmd:\n{% if v1.region %}\n- echo {{ v1.region }} x\n{% endif %}\n";
    assert_eq!(
        decoded_lines(template),
        [" | Unrendered v1.region", "jinja > cloud-config > runcmd[0] | Shell | echo $v1_region x"]
    );
    let script = "\n## template:jinja\n#!/bin/sh\nid\n";
    assert_eq!(decoded_lines(script), ["jinja | Shell | \n\n#!/bin/sh\nid"]);
}

#[test]
fn a_broken_header_does_not_hide_the_configuration() {
    let found = decode(b"# cloud-config\nruncmd:\n  - id\n");
    assert_eq!(lines(&found), ["cloud-config > runcmd[0] | Shell | id"]);
    assert_eq!(found.tree.kind, Kind::CloudConfig);
}

#[test]
fn pieces_that_are_appended_are_one_file() {
    let config = "#cloud-config\nwrite_files:\n- {path: /opt/a, content: 'curl x '}\n- {path: /opt/b, content: b}\n- {path: /opt/./a, append: true, content: '| sh'}\n- {path: opt/c, append: yes, content: c}\n";
    assert_eq!(
        decoded_lines(config),
        [
            "cloud-config > write_files[0] | File /opt/a | curl x | sh",
            "cloud-config > write_files[1] | File /opt/b | b",
            "cloud-config > write_files[3] | File /opt/c | c",
        ]
    );
}

#[test]
fn a_template_that_hides_something_says_so() {
    let lines = decoded_lines("## template: jinja\n#cloud-config\nruncmd:\n- {{ 'cu' ~ 'rl' }} {{ v1.x }}\n");
    assert_eq!(
        lines,
        [
            " | BuiltText 'cu' ~ 'rl'",
            " | Unrendered v1.x",
            "jinja > cloud-config > runcmd[0] | Shell | curl $v1_x",
        ]
    );
}
