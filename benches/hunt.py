#!/usr/bin/env python3
"""What `imagewarden hunt` costs, beside libdeflate alone and beside what else reads such logs.

Processor time (user and system, children included) of whole processes on one pinned core, in interleaved rounds;
medians. Every tool must come to the archive's true answer before its time counts. A tool that is not installed is left
out and said so: chdb and duckdb from the Python index (`--python` names the interpreter that has them), jaq on the PATH
or where `--jaq` says. `make bench` installs all three.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import archive

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAMES = sorted(archive.READ)
MIB = 1 << 20

PYTHON = """
import collections, gzip, json, pathlib, sys
names, found, rows = set(sys.argv[2].split(",")), collections.Counter(), []
for path in pathlib.Path(sys.argv[1]).rglob("*.gz"):
    with gzip.open(path) as file:
        for it in json.load(file)["Records"]:
            if it["eventName"] in names:
                found[it["eventName"]] += 1
                rows.append((it["eventTime"], it["eventName"], it["userIdentity"].get("arn"), it["requestParameters"]))
print(json.dumps(found))
"""

CLICKHOUSE = """
import sys, json, chdb
names = ",".join(f"'{name}'" for name in sys.argv[2].split(","))
print(chdb.query(f'''
    SELECT JSONExtractString(record, 'eventName') AS name, count(), max(JSONExtractString(record, 'eventTime')),
           max(length(JSONExtractString(record, 'userIdentity', 'arn'))),
           max(length(JSONExtractRaw(record, 'requestParameters')))
    FROM (SELECT arrayJoin(JSONExtractArrayRaw(line, 'Records')) AS record
          FROM file('{sys.argv[1]}/**/*.json.gz', 'LineAsString', 'line String'))
    WHERE name IN ({names}) GROUP BY name
    SETTINGS max_threads = 1, max_block_size = 1''', 'JSONCompactEachRow'))
"""

DUCKDB = """
import sys, duckdb, json
names = ",".join(f"'{name}'" for name in sys.argv[2].split(","))
duckdb.execute("SET threads = 1")
rows = duckdb.execute(f'''
    SELECT eventName, count(*), max(eventTime), max(length(userIdentity->>'arn')), max(length(requestParameters))
    FROM read_json('{sys.argv[1]}/**/*.json.gz', format = 'newline_delimited', maximum_object_size = 16777216,
        columns = {{eventName: 'VARCHAR', eventTime: 'VARCHAR', userIdentity: 'JSON', requestParameters: 'JSON'}})
    WHERE eventName IN ({names}) GROUP BY 1''').fetchall()
print(json.dumps({row[0]: row[1] for row in rows}))
"""


class Tool:
    """A command, what it is given, and how its answer is read."""

    def __init__(self, name, command, folder, answer):
        self.name, self.command, self.folder, self.answer = name, command, folder, answer
        self.seconds, self.walls, self.peak = [], [], 0

    def run(self, core):
        pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = time.monotonic()
            child = subprocess.Popen(self.command, stdout=out, stderr=err, preexec_fn=pin, cwd=tempfile.gettempdir())
            _, status, used = os.wait4(child.pid, 0)
            wall = time.monotonic() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            text, told = out.read().decode(), err.read().decode()
        if child.returncode != 0:
            raise SystemExit(f"{self.name} failed: {told[-2000:]}")
        truth = json.loads((self.folder / "truth.json").read_text())
        expected, found = self.answer(truth, text, told)
        if expected != found:
            raise SystemExit(f"{self.name} answers {found}, the truth is {expected}")
        self.seconds.append(used.ru_utime + used.ru_stime)
        self.walls.append(wall)
        self.peak = max(self.peak, used.ru_maxrss * 1024)

    def median(self):
        return statistics.median(self.seconds)


def by_hunt(truth, _, told):
    number = lambda pattern: int((re.search(pattern, told) or ["0", "0"])[1].replace(",", ""))
    found = (number(r"([\d,]+) records?\b"), number(r"([\d,]+) launches whose"))
    return (truth["records"], truth["calls"].get("RunInstances", 0)), found


def by_reading(truth, _, told):
    return truth["records"], by_hunt(truth, _, told)[1][0]


def by_bytes(truth, text, _):
    return truth["inflated"], json.loads(text)["bytes"]


def by_calls(truth, text, _):
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    found = rows[0] if rows and isinstance(rows[0], dict) else {row[0]: int(row[1]) for row in rows}
    return truth["calls"], found


def by_names(truth, text, _):
    found = {}
    for line in text.splitlines():
        name = json.loads(line)[1]
        found[name] = found.get(name, 0) + 1
    return truth["calls"], found


def made(folder, records, layout, in_a_file=3_000):
    place = Path(folder) / f"{layout}-{records}-{in_a_file}"
    if not (place / "truth.json").exists():
        print(f"making {place} ...", file=sys.stderr)
        archive.make(place, records, layout, in_a_file=in_a_file)
    return place


def measure(tools, rounds, core):
    for number in range(rounds + 1):
        for tool in tools:
            tool.run(core)
        # The first round fills caches.
        if number == 0:
            for tool in tools:
                tool.seconds.clear()
                tool.walls.clear()


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def layouts(arguments):
    """Every layout beside libdeflate on the same files."""
    tools = []
    for layout in archive.LAYOUTS:
        folder = made(arguments.folder, arguments.records, layout)
        logs = str(folder / "AWSLogs")
        floor = Tool(f"libdeflate, {layout}", [str(arguments.inflate), logs], folder, by_bytes)
        hunt = [str(arguments.hunt), "hunt", "--jobs", "1", "--format", "json", logs]
        # Everything is read, and left out before it is judged.
        reading = Tool(layout, [*hunt, "--until", "2000-01-01"], folder, by_reading)
        tools += [floor, reading, Tool(layout, hunt, folder, by_hunt)]
    measure(tools, arguments.rounds, arguments.core)
    rows = []
    for floor, reading, hunt in zip(tools[::3], tools[1::3], tools[2::3]):
        times = lambda tool: f"{tool.median() / floor.median():.2f}"
        wanted = "1.25" if hunt.name == "native" else "2.5"
        rows.append([hunt.name, f"{floor.median():.2f} s", f"{reading.median():.2f} s", times(reading),
                     f"{hunt.median():.2f} s", times(hunt), wanted, f"{hunt.peak / MIB:.0f} MiB"])
    return table([f"layout, {arguments.records:,} records", "libdeflate alone", "`hunt`, reading alone", "times",
                  "`hunt`", "times", "at most", "peak memory"], rows)


def others(arguments):
    """Other tools on the native layout, DuckDB on a record a line."""
    folder = made(arguments.folder, arguments.slow_records, "native")
    lines = made(arguments.folder, arguments.slow_records, "lines")
    logs, names = str(folder / "AWSLogs"), ",".join(NAMES)
    hunt = Tool("`hunt`", [str(arguments.hunt), "hunt", "--jobs", "1", "--format", "json", logs], folder, by_hunt)
    tools, missing = [hunt], []
    has = lambda module: subprocess.run([arguments.python, "-c", f"import {module}"], capture_output=True).returncode == 0
    if has("chdb"):
        tools.append(Tool("ClickHouse (chdb)", [arguments.python, "-c", CLICKHOUSE, logs, names], folder, by_calls))
    else:
        missing.append("chdb")
    tools.append(Tool("Python, `json`", [arguments.python, "-c", PYTHON, logs, names], folder, by_calls))
    jaq = shutil.which("jaq") or arguments.jaq
    if jaq:
        wanted = " or ".join(f'. == "{name}"' for name in NAMES)
        program = (f".Records[] | select(.eventName | {wanted}) | "
                   "[.eventTime, .eventName, .userIdentity.arn, .requestParameters]")
        script = f"find {logs} -name '*.gz' -exec gzip -dc {{}} + | {jaq} -c '{program}'"
        tools.append(Tool("jaq, behind `gzip -dc`", ["sh", "-c", script], folder, by_names))
    else:
        missing.append("jaq")
    if has("duckdb"):
        command = [arguments.python, "-c", DUCKDB, str(lines / "AWSLogs"), names]
        tools.append(Tool("DuckDB, on a record a line", command, lines, by_calls))
    else:
        missing.append("duckdb")
    measure(tools, arguments.slow_rounds, arguments.core)
    wanted = {"ClickHouse (chdb)": "2", "Python, `json`": "10", "jaq, behind `gzip -dc`": "15"}
    rows = [[tool.name, f"{tool.median():.2f} s", f"{tool.median() / hunt.median():.1f}", wanted.get(tool.name, "")]
            for tool in tools]
    note = f"\nNot installed, so not measured: {', '.join(missing)}.\n" if missing else ""
    return table([f"native layout, {arguments.slow_records:,} records", "processor time", "times `hunt`", "at least"],
                 rows) + note


def cores(arguments):
    """Wall time with one worker and with two, neither pinned."""
    folder = made(arguments.folder, arguments.records, "native")
    command = [str(arguments.hunt), "hunt", "--format", "json", str(folder / "AWSLogs")]
    one = Tool("one", [*command, "--jobs", "1"], folder, by_hunt)
    two = Tool("two", [*command, "--jobs", "2"], folder, by_hunt)
    measure([one, two], arguments.rounds, None)
    walls = [statistics.median(tool.walls) for tool in (one, two)]
    return table(["workers", "wall time", "times faster", "at least"],
                 [["one", f"{walls[0]:.2f} s", "", ""], ["two", f"{walls[1]:.2f} s", f"{walls[0] / walls[1]:.2f}", "1.7"]])


def single(arguments):
    """One file of five megabytes: the whole process beside `gzip -dc`."""
    folder = made(arguments.folder, 3_200, "native", 3_200)
    logs = str(folder / "AWSLogs")
    hunt = Tool("`hunt`", [str(arguments.hunt), "hunt", "--jobs", "1", "--format", "json", logs], folder, by_hunt)
    script = f"find {logs} -name '*.gz' -exec gzip -dc {{}} + >/dev/null"
    gzip = Tool("`gzip -dc`", ["sh", "-c", script], folder, lambda *_: (0, 0))
    measure([hunt, gzip], 3 * arguments.rounds, arguments.core)
    return table(["one file of 5 MB", "processor time", "times `gzip -dc`", "at most"],
                 [["`gzip -dc`", f"{1e3 * gzip.median():.0f} ms", "", ""],
                  ["`hunt`", f"{1e3 * hunt.median():.0f} ms", f"{hunt.median() / gzip.median():.2f}", "2"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slow-records", type=int, default=100_000)
    parser.add_argument("--slow-rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=ROOT / "target/archives")
    parser.add_argument("--hunt", type=Path, default=ROOT / "target/release/imagewarden")
    parser.add_argument("--inflate", type=Path, default=ROOT / "target/release/examples/inflate")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--jaq")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--only", choices=["layouts", "others", "cores", "single"])
    arguments = parser.parse_args()
    # Tools run elsewhere; a link into a virtual environment has to stay one.
    arguments.python, arguments.jaq = (path and os.path.abspath(path) for path in (arguments.python, arguments.jaq))
    for part in (layouts, others, cores, single):
        if arguments.only in (None, part.__name__):
            print(part(arguments), flush=True)


if __name__ == "__main__":
    main()
