"""Runs whole commands in turn and prints medians and ratios. Standard library only.

A figure is of the whole process tree the command waits for, as the operating system accounts it: wall seconds, CPU seconds (user and
system), and the largest resident set of a single process in MiB.
"""

import os
import statistics
import subprocess
import sys
import time


def once(argv, env=None, check=True):
    """Runs a command to its end; gives (wall s, CPU s, peak MiB)."""
    start = time.monotonic()
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if check and process.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {process.returncode}:\n{output.decode(errors='replace')[-4000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(ours, theirs, runs, columns=3):
    """Runs both in turn, `runs` times after one warm-up each; ours and theirs are (label, callable that gives figures).
    The first `columns` figures are shown."""
    for _, run in (ours, theirs):
        run()
    figures = {label: [] for label, _ in (ours, theirs)}
    for _ in range(runs):
        for label, run in (ours, theirs):
            figures[label].append(run())
    names = ("wall s", "CPU s", "peak MiB")[:columns]
    print(f"{'':34}" + "".join(f"{name:>12}" for name in names))
    for label, rows in figures.items():
        print(f"{label:34}" + "".join(f"{statistics.median(row[i] for row in rows):>12.3f}" for i in range(columns)))
    ratios = [[a / b if b else float("nan") for a, b in zip(x, y)] for x, y in zip(figures[ours[0]], figures[theirs[0]])]
    print(f"{'ratio, pair by pair (median)':34}" + "".join(f"{statistics.median(row[i] for row in ratios):>12.4f}" for i in range(columns)))
    spread = [f"{min(row[i] for row in ratios):.3f}-{max(row[i] for row in ratios):.3f}" for i in range(columns)]
    print(f"{'ratio, least to most':34}" + "".join(f"{text:>12}" for text in spread))


def stoke():
    """The release binary of this checkout."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "stoke")
    path = os.environ.get("STOKE", os.path.normpath(path))
    if not os.path.exists(path):
        sys.exit("build it first: cargo build --release")
    return path


def spark_home(version):
    """`SPARK_HOME` of a version, installed by stoke if need be."""
    import json

    answer = subprocess.run([stoke(), "runtime", "install", version, "--output", "json"], stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)["sparkHome"]
