#!/usr/bin/env python3
"""The second run of an application under `stoke up` against `spark-submit --master local[2]`, in turn.

    cargo build --release && python3 benches/second_run.py [--runs 5] [--version 4.3.0] [--java 25]

`--java 25` installs Stoke's own Java 25 first (`stoke runtime install-java 25`); without it, what the home has is measured. Both run the same
program with the same arguments and the same number of task slots. A `stoke up` that runs in STOKE_HOME is used, else one is started and ended.
`stoke run` is counted from its start to its end, the processor time of `stoke up` and of all pods with it. `spark-submit` runs on the
machine's own Java, as the image's would.
"""

import argparse
import json
import os
import subprocess
import time

import measure

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--version", default="4.3.0")
parser.add_argument("--java", help="a release that Stoke installs, for instance 25")
options = parser.parse_args()

stoke = measure.stoke()
kept = os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "stoke")
directory = os.path.join(os.environ.get("STOKE_HOME") or kept, "clusters", "default")
home = measure.spark_home(options.version)
if options.java:
    subprocess.run([stoke, "runtime", "install-java", options.java], check=True)


def is_up():
    answer = subprocess.run([stoke, "status", "--output", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return answer.returncode == 0 and json.loads(answer.stdout).get("up") is True


def settled(process):
    """Processor seconds of `stoke up` and of the pods that it has had, once the last has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tasks = os.listdir(f"/proc/{process}/task")
        if not any(open(f"/proc/{process}/task/{task}/children").read().strip() for task in tasks):
            break
        time.sleep(0.1)
    fields = open(f"/proc/{process}/stat").read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def ours():
    before = settled(process)
    wall, cpu, peak = measure.once([stoke, "run", manifest, *version])
    return wall, cpu + settled(process) - before, peak


here = os.path.dirname(os.path.abspath(__file__))
manifest = os.path.join(here, "..", "examples", "pi.yaml")
version = [f"--set=spec.image=apache/spark:{options.version}", f"--set=spec.sparkVersion={options.version}"]
started = not is_up()
if started:
    subprocess.run([stoke, "up", "--detach"], check=True, stdout=subprocess.DEVNULL)
try:
    process = int(open(os.path.join(directory, "pid")).read())
    program = [os.path.join(home, "bin/spark-submit"), "--master", "local[2]", os.path.join(home, "examples/src/main/python/pi.py"), "20"]
    # The first run makes what later ones start with; the warm-up of `compare` covers it, and the Java is told after it.
    ours()
    listed = json.loads(subprocess.run([stoke, "runtime", "list", "--output", "json"], stdout=subprocess.PIPE, check=True).stdout)
    java = next(runtime["java"] for runtime in listed if runtime["version"] == options.version)
    print(f"pi on Spark {options.version}, {options.runs} pairs; pods on Java {java['version']}, made ready: {java['startsFast']}")
    measure.compare(
        ("stoke run under stoke up", ours),
        ("spark-submit --master local[2]", lambda: measure.once(program, dict(os.environ, SPARK_HOME=home))),
        options.runs,
        columns=2,
    )
finally:
    if started:
        subprocess.run([stoke, "down"], check=True, stdout=subprocess.DEVNULL)
