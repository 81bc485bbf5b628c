#!/usr/bin/env python3
"""`stoke image build` beside `buildah` on one job: the first build, and the build and push after one changed line.

    cargo build --release && python3 benches/image_build.py [--runs 5] [--base runtime:4.1.4]

Both build on the same base, pushed to a `docker-registry` of its own on this machine, and push there. Needed: docker-registry, skopeo; without a `buildah` that works here
(it wants user namespaces with several ids, or root with mounts) only Stoke is measured, and the reason is printed. Bytes are those of blobs that were sent.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import measure

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--base", default="runtime:4.1.4")
options = parser.parse_args()

stoke = measure.stoke()
work = tempfile.mkdtemp()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % probe.getsockname()[1]
with open(os.path.join(work, "config.yml"), "w") as file:
    file.write(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {work}/data\nhttp:\n  addr: {address}\n")
registry = subprocess.Popen(["docker-registry", "serve", os.path.join(work, "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

job = os.path.join(work, "job")
os.makedirs(os.path.join(job, "jars"))
for number in range(100):
    with open(os.path.join(job, f"module_{number}.py"), "w") as file:
        file.write(f"VALUE = {number}\n" * 50)
with open(os.path.join(job, "jars", "library.jar"), "wb") as file:
    file.write(os.urandom(20 << 20))


def change(number):
    with open(os.path.join(job, "main.py"), "w") as file:
        file.write(f"print({number})\n")


def timed(command):
    begin = time.monotonic()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]}: {result.stderr.strip().splitlines()[-1:]}")
    return time.monotonic() - begin, result.stdout


def by_stoke(name):
    seconds, said = timed([stoke, "image", "build", job, "--base", f"{address}/base:1", "--push", f"{address}/{name}:1", "-o", "json"])
    return seconds, json.loads(said)["written"][0]["bytes"]


def by_buildah(name):
    with open(os.path.join(work, "Containerfile"), "w") as file:
        file.write(f"FROM {address}/base:1\nCOPY jars/library.jar /opt/spark/jars/\nCOPY . /opt/app/\n")
    isolated = ["--storage-driver", "vfs", "--root", f"{work}/storage", "--runroot", f"{work}/run"]
    seconds, _ = timed(["buildah", *isolated, "build", "--layers", "--tls-verify=false", "-f", f"{work}/Containerfile", "-t", f"{address}/{name}:1", job])
    more, _ = timed(["buildah", *isolated, "push", "--tls-verify=false", f"{address}/{name}:1"])
    return seconds + more, None


def measured(name, build):
    change(0)
    first, _ = build(name)
    again = []
    sent = None
    for number in range(1, options.runs + 1):
        change(number)
        seconds, sent = build(name)
        again.append(seconds)
    return {"first": round(first, 3), "changed line, median": round(statistics.median(again), 3), "bytes sent": sent}


try:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(address.split(":")[1]))) == 0:
                break
        time.sleep(0.05)
    change(0)
    empty = os.path.join(work, "empty")
    os.makedirs(empty)
    with open(os.path.join(empty, "x.sql"), "w") as file:
        file.write("select 1\n")
    seconds, _ = timed([stoke, "image", "build", empty, "--base", options.base, "--push", f"{address}/base:1"])
    print(f"base made and pushed in {seconds:.1f} s")
    results = {"stoke": measured("stoke", by_stoke)}
    if shutil.which("buildah"):
        try:
            results["buildah"] = measured("buildah", by_buildah)
            key = "changed line, median"
            results["ratio"] = {name: round(results["buildah"][name] / results["stoke"][name], 1) for name in ("first", key)}
        except RuntimeError as error:
            results["buildah"] = f"does not work here: {error}"
    else:
        results["buildah"] = "not installed: apt-get install buildah"
    print(json.dumps(results, indent=2))
finally:
    registry.terminate()
    shutil.rmtree(work, ignore_errors=True)
