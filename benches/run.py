"""Makes every figure of README.md beside this, and prints them as its tables.

    run.py [--rounds 30] [--events 200] [--bootstrap FILE] [--write]

--write puts them into README.md. Run it on an idle machine: `make bench`.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from live import Bench

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EVALUATE = ROOT / "target/release/examples/evaluate"
SAMPLE = ROOT / "events/run-instances-community-ami.json"
README = HERE / "README.md"
MIB = 1 << 20


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def times(slow, fast):
    return f"{slow / fast:.1f} times"


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def cold(bench, commands, rounds):
    """Fresh processes, one of each kind a round; the first round warms the disk's cache and is dropped."""
    rows = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            rows[name].append(bench.cold(command, publishes=name != "bare"))
    rust, bare, boto3 = (rows[name][1:] for name in ("rust", "bare", "boto3"))
    return table(
        ["fresh process, median of " + str(rounds), "bootstrap", "Python", "", "wanted"],
        [
            ["start to first `/next`, against a bare runtime loop", f"{median(rust, 'next'):.1f} ms",
             f"{median(bare, 'next'):.1f} ms", times(median(bare, "next"), median(rust, "next")), "5 times"],
            ["start to alert published over TLS, against boto3", f"{median(rust, 'alert'):.1f} ms",
             f"{median(boto3, 'alert'):.1f} ms", times(median(boto3, "alert"), median(rust, "alert")), "15 times"],
            ["peak memory by then (VmHWM), against boto3", f"{median(rust, 'memory'):.1f} MiB",
             f"{median(boto3, 'memory'):.1f} MiB", times(median(boto3, "memory"), median(rust, "memory")), "4 times"],
        ],
    ) + f"\n\nAWS was asked for {rust[0]['calls']} by bootstrap, and for {boto3[0]['calls']} by boto3.\n"


def warm(bench, commands, events):
    rows = {name: [] for name in ("rust", "boto3")}
    for _ in range(5):
        for name, spent in rows.items():
            spent.append(bench.warm(commands[name], events))
    rust, boto3 = statistics.median(rows["rust"]), statistics.median(rows["boto3"])
    return table(
        [f"processor time for a warm event, median of 5 runs of {events}", "bootstrap", "boto3", "", "wanted"],
        [["look-up, judgement and publish over TLS", f"{rust:.2f} ms", f"{boto3:.2f} ms", times(boto3, rust), "5 times"]],
    ) + "\n"


def output(*command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def evaluation():
    """Judging in process. Both sides must come to the same verdicts first."""
    python = [sys.executable, str(HERE / "compare/evaluate.py")]
    ours, theirs = output(str(EVALUATE), "--verdicts"), output(*python, "--verdicts")
    for sample in sorted(ours.keys() | theirs.keys()):
        if ours.get(sample) != theirs.get(sample):
            sys.exit(f"{sample} is judged differently: {ours.get(sample)}, but in Python {theirs.get(sample)}")
    spent = {"rust": [], "python": []}
    for _ in range(7):
        for name, command, rounds in (("rust", [str(EVALUATE)], 200), ("python", python, 40)):
            told = output(*command, "--rounds", str(rounds))
            spent[name].append(told["cpu_ns"] / told["rounds"] / told["payloads"] / 1e3)
    rust, python = statistics.median(spent["rust"]), statistics.median(spent["python"])
    return table(
        [f"processor time for one of {len(ours)} sample events, median of 7 runs", "Rust", "Python", "", "wanted"],
        [["from the parsed event to the verdicts", f"{rust:.2f} µs", f"{python:.2f} µs", times(python, rust),
          "20 times"]],
    ) + "\n"


def counted(*arguments):
    """Instructions by callgrind, and how many payloads a round has."""
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(EVALUATE), *arguments],
            check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", told.stderr)[1]), json.loads(told.stdout)["payloads"]


def instructions():
    """The difference of two runs, so that start-up and reading files cancel out."""
    if not shutil.which("valgrind"):
        return "valgrind is not installed: no instructions were counted.\n"

    def event(mode, *more):
        (few, payloads), (many, _) = (counted(mode, rounds, *more) for rounds in ("1", "11"))
        return (many - few) // (10 * payloads)

    judged, told, again = event("--rounds"), event("--events"), event("--events", "--history")
    # Both start alike: the first round's difference is what remembering and claiming cost where all is told.
    (with_history, payloads), (without, _) = counted("--events", "1", "--history"), counted("--events", "1")
    adds = (with_history - without) // payloads
    return table(
        ["instructions by callgrind, one sample event on average", "", "wanted"],
        [
            ["from parsed to judged, without a history", f"{judged:,}", ""],
            ["from its JSON to its rendered alerts, by the whole shipped policy, without a history", f"{told:,}", ""],
            ["what a history adds, without the requests themselves", f"{adds:,}", f"{told:,} at most"],
            ["with a history that has told the like before, and so need not render it", f"{again:,}", ""],
        ],
    ) + "\n"


def size(bootstrap):
    return table(
        ["size", "", "wanted"],
        [["release `bootstrap`", f"{bootstrap.stat().st_size / 1e6:.1f} MB", "12 MB at most"]],
    ) + "\n"


def no_sdk():
    tree = subprocess.run(["cargo", "tree", "--edges", "normal,build", "--prefix", "none"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout
    packages = {line.split()[0] for line in tree.splitlines() if line}
    sdk = sorted(package for package in packages if package.startswith("aws-"))
    return table(
        ["`cargo run -- check events/` compiles", "", "wanted"],
        [["packages", str(len(packages)), ""], ["of the AWS SDK", ", ".join(sdk) or "none", "none"]],
    ) + "\n"


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    import boto3

    return (f"{os.cpu_count()} × {model[1] if model else platform.machine()}, Linux {platform.release()}, "
            f"Rust {rustc}, Python {platform.python_version()}, boto3 {boto3.__version__}.\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--bootstrap", type=Path, default=ROOT / "target/lambda/bootstrap/bootstrap")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    commands = {
        "rust": [str(arguments.bootstrap)],
        "bare": [sys.executable, str(HERE / "compare/bare.py")],
        "boto3": [sys.executable, str(HERE / "compare/handler.py")],
    }
    sections = [machine(), size(arguments.bootstrap)]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, SAMPLE)
        sections += [cold(bench, commands, arguments.rounds), warm(bench, commands, arguments.events)]
    sections += [evaluation(), instructions(), no_sdk()]
    figures = "\n".join(sections)
    print(figures)
    if arguments.write:
        text = README.read_text()
        marks = r"(<!-- figures -->\n).*(<!-- end of figures -->)"
        README.write_text(re.sub(marks, lambda found: f"{found[1]}\n{figures}\n{found[2]}", text, flags=re.S))


if __name__ == "__main__":
    main()
