"""What inspecting user data costs beside `bash -n` on the same files, process start included on both sides.

    cargo build --release && python3 benches/user_data.py

Prints, over the honest launch scripts of the tests: median processor time of either (interleaved rounds, fresh
processes), instructions by callgrind for the script of median size, and how much memory an inspection adds to a
process that inspects nothing.
"""

import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOL = ROOT / "target/release/imagewarden"
ROUNDS = 15


def run(command, cwd):
    """Processor seconds and peak memory (KiB) of one process."""
    with open(os.devnull, "wb") as null:
        process = subprocess.Popen(command, stdout=null, stderr=null, cwd=cwd)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def instructions(command, cwd):
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(valgrind + command, capture_output=True, text=True, cwd=cwd, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    return int(found.group(1)) if found else None


def main():
    folder = ROOT / "tests/fixtures/user-data/honest"
    scripts = sorted(path for path in folder.iterdir() if path.read_bytes().startswith(b"#!"))
    # Where no policy.yaml lies, as where a function's bundled policy is at hand.
    cwd = tempfile.mkdtemp()
    ours, bashs = [], []
    for script in scripts:
        mine, bash = [], []
        for _ in range(ROUNDS):
            mine.append(run([str(TOOL), "user-data", str(script)], cwd)[0])
            bash.append(run(["bash", "-n", str(script)], cwd)[0])
        ours.append(statistics.median(mine))
        bashs.append(statistics.median(bash))
    print(f"{len(scripts)} scripts, {ROUNDS} rounds each")
    print(f"median processor time: user-data {statistics.median(ours) * 1e3:.2f} ms, ", end="")
    print(f"bash -n {statistics.median(bashs) * 1e3:.2f} ms")

    middle = sorted(scripts, key=lambda path: path.stat().st_size)[len(scripts) // 2]
    if shutil.which("valgrind"):
        mine = instructions([str(TOOL), "user-data", str(middle)], cwd)
        bash = instructions(["bash", "-n", str(middle)], cwd)
        print(f"instructions, {middle.name}: user-data {mine:,}, bash -n {bash:,}")

    idle = max(run([str(TOOL), "--version"], cwd)[1] for _ in range(5))
    largest = max(scripts, key=lambda path: path.stat().st_size)
    busy = max(run([str(TOOL), "user-data", str(largest)], cwd)[1] for _ in range(5))
    print(f"peak memory: {busy / 1024:.1f} MiB, {(busy - idle) / 1024:.1f} MiB over a process that inspects nothing")
    os.rmdir(cwd)


if __name__ == "__main__":
    main()
