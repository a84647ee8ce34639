"""A CloudWatch Logs batch of 10,000 Tetragon lines: a plain Python JSON loop beside Imagewarden's reader.

    cargo build --release --example tetragon_batch
    python3 benches/compare/tetragon.py [--rounds N] [--wrapped]

Both take the delivery as the function gets it (base64, gzip, JSON) and leave out what nobody judges: exits,
probes other than tcp_connect, and program starts that repeat another one at the same place. They must come to
the same number of activities. Runs are interleaved; the figure is the median of the rounds.
"""

import argparse
import base64
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES, INTERESTING = 10_000, 100


def process(number, pod, binary, arguments):
    image = f"registry.example.com/team/app-{pod % 12}"
    container = f"{pod:064x}"
    return {
        "exec_id": base64.b64encode(f"node-7:{number}:{number}".encode()).decode(), "pid": number, "uid": 1000,
        "cwd": "/srv/app", "binary": binary, "arguments": arguments, "flags": "execve clone",
        "start_time": f"2026-03-06T09:{number // 600 % 60:02}:{number // 10 % 60:02}.{number:09}Z", "auid": 4294967295,
        "pod": {
            "namespace": f"team-{pod % 5}", "name": f"app-{pod}",
            "container": {
                "id": f"containerd://{container}", "name": "app",
                "image": {"id": f"{image}@sha256:{pod % 12:064x}", "name": f"{image}:4.2"},
                "start_time": "2026-03-06T08:00:00Z", "pid": 1,
            },
            "pod_labels": {"app.kubernetes.io/name": "app", "pod-template-hash": "56f8fc6988"},
            "workload": f"app-{pod}", "workload_kind": "Deployment",
        },
        "docker": container[:31], "parent_exec_id": base64.b64encode(f"node-7:{number - 1}".encode()).decode(),
        "refcnt": 1, "tid": number, "in_init_tree": False,
    }


def batch(wrapped):
    """Half exits, half starts: fifty pods whose scripts run the same few programs over and over."""
    chance = random.Random(7)
    commands = [
        ("/bin/sh", '-c "test -e /srv/app/ready"'), ("/usr/bin/test", "-e /srv/app/ready"), ("/bin/cat", "/proc/loadavg"),
        ("/usr/bin/pgrep", "-f server"), ("/usr/bin/node", "/srv/app/health.js --quiet"), ("/bin/date", "+%s"),
    ]
    odd = set(chance.sample(range(LINES), INTERESTING))
    messages = []
    for number in range(LINES):
        pod = chance.randrange(50)
        tail = {"node_name": "ip-10-0-14-7.eu-central-1.compute.internal", "time": "2026-03-06T09:59:59.411558213Z"}
        parent = process(1, pod, "/bin/sh", "/srv/app/run.sh")
        if number in odd:
            event = {"process_exec": {"process": process(number, pod, "/tmp/xmrig", f"-o pool.example.net:3333 -u {number}"), "parent": parent}}
        elif number % 2:
            event = {"process_exit": {"process": process(number, pod, *chance.choice(commands)), "parent": parent, "status": 0}}
        else:
            event = {"process_exec": {"process": process(number, pod, *chance.choice(commands)), "parent": parent}}
        line = json.dumps({**event, **tail}, separators=(",", ":"))
        if wrapped:
            shipped = {"time": "2026-03-06T09:59:59.5Z", "stream": "stdout", "_p": "F", "log": line + "\n"}
            line = json.dumps(shipped, separators=(",", ":"))  # as Fluent Bit writes it
        messages.append(line)
    document = {
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "/aws/containerinsights/prod/application",
        "logStream": "node-7", "subscriptionFilters": ["imagewarden"],
        "logEvents": [{"id": str(at), "timestamp": 1772787600000, "message": line} for at, line in enumerate(messages)],
    }
    data = gzip.compress(json.dumps(document, separators=(",", ":")).encode())
    return json.dumps({"awslogs": {"data": base64.b64encode(data).decode()}})


def loop(text):
    """What a handler in Python would do with the same batch."""
    document = json.loads(gzip.decompress(base64.b64decode(json.loads(text)["awslogs"]["data"])))
    if document["messageType"] == "CONTROL_MESSAGE":
        return 0
    seen = {}
    for entry in document["logEvents"]:
        event = json.loads(entry["message"])
        if "log" in event:
            event = json.loads(event["log"])
        if "process_exec" in event:
            started = event["process_exec"]
            process, parent = started["process"], started.get("parent", {})
            pod = process.get("pod", {})
            container = pod.get("container", {})
            image = container.get("image", {})
            what = (
                event.get("node_name"), pod.get("namespace"), pod.get("name"), pod.get("workload"), container.get("id"),
                container.get("maybe_exec_probe"), image.get("name"), image.get("id"), process["binary"],
                process.get("arguments"), process.get("uid"), parent.get("binary"),
            )
        elif "process_kprobe" in event and event["process_kprobe"]["function_name"] == "tcp_connect":
            probe = event["process_kprobe"]
            socket = next(it["sock_arg"] for it in probe["args"] if "sock_arg" in it)
            what = (probe["process"]["binary"], socket["daddr"], socket["dport"])
        else:
            continue
        first = seen.get(what)
        if first is None or event["time"] < first["time"]:
            seen[what] = event
    return len(seen)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--wrapped", action="store_true", help="as Fluent Bit wraps the lines")
    options = options.parse_args()
    text = batch(options.wrapped)
    binary = ROOT / "target/release/examples/tetragon_batch"
    ours, theirs, peak = [], [], 0
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        for _ in range(options.rounds):
            told = json.loads(subprocess.run([binary, file.name, "1"], check=True, capture_output=True).stdout)
            ours.append(told["cpu_ns"] / 1e6)
            peak = max(peak, told["peak_kib"])
            before = time.process_time()
            expected = loop(text)
            theirs.append((time.process_time() - before) * 1e3)
            if told["activities"] != expected:
                sys.exit(f"not the same: {told['activities']} activities, Python has {expected}")
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{LINES} lines, {expected} activities, {len(text) // 1024} KiB delivered")
    print(f"Imagewarden {ours:.1f} ms, Python {theirs:.1f} ms: {theirs / ours:.1f} times less; {peak // 1024} MiB at most")


if __name__ == "__main__":
    main()
