#!/usr/bin/env python3
"""`stoke image build` beside `buildah` on one job: the first build, and the build and push after one changed line.

    cargo build --release && python3 benches/image_build.py [--runs 5] [--base runtime:4.1.4]

Both build on the same base, pushed to a `docker-registry` of its own on this machine, and push there. Needed: docker-registry; without a `buildah` that works here
(it wants user namespaces with several ids, or root with mounts) only Stoke is measured, and the reason is printed. buildah has its layer cache, and storage by overlay where it works, else
by copies. Bytes are those that the registry has more on its disk after a push, for both; with Stoke's own count beside. The two build in turn.
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


def kept():
    """Bytes of blobs and manifests that the registry has."""
    found = 0
    for directory, _, files in os.walk(f"{work}/data"):
        found += sum(os.path.getsize(os.path.join(directory, file)) for file in files if file == "data")
    return found


def by_stoke(name):
    seconds, said = timed([stoke, "image", "build", job, "--base", f"{address}/base:1", "--push", f"{address}/{name}:1", "-o", "json"])
    said_bytes = json.loads(said)["written"][0]["bytes"]
    return seconds, said_bytes


def storage():
    """The storage of buildah that works here."""
    empty = os.path.join(work, "nothing")
    os.makedirs(empty, exist_ok=True)
    for driver in ("overlay", "vfs"):
        options = ["--storage-driver", driver, "--root", f"{work}/storage-{driver}", "--runroot", f"{work}/run-{driver}"]
        with open(os.path.join(work, "Nothing"), "w") as file:
            file.write("FROM scratch\nLABEL x=y\n")
        try:
            timed(["buildah", *options, "build", "--isolation", "chroot", "-f", f"{work}/Nothing", "-t", "nothing", empty])
            return driver, options
        except RuntimeError as error:
            last = error
    raise last


def by_buildah(options):
    def build(name):
        # The same layers as ours: the jar, and the code without it.
        with open(os.path.join(work, "ignored"), "w") as file:
            file.write("jars\n")
        image = f"{address}/{name}:1"
        with open(os.path.join(work, "Containerfile"), "w") as file:
            file.write(f"FROM {address}/base:1\nCOPY --from=jars library.jar /opt/spark/jars/\nCOPY . /opt/app/\n")
        command = ["buildah", *options, "build", "--isolation", "chroot", "--layers", "--tls-verify=false", "--build-context", f"jars={job}/jars"]
        seconds, _ = timed([*command, "-f", f"{work}/Containerfile", "--ignorefile", f"{work}/ignored", "-t", image, job])
        more, _ = timed(["buildah", *options, "push", "--tls-verify=false", image])
        return seconds + more, None

    return build


def measured(builders):
    """The first build of each, then a changed line for all of them in turn."""
    results = {name: {"changed": [], "bytes": []} for name in builders}
    for number in range(options.runs + 1):
        change(number)
        for name, build in builders.items():
            before = kept()
            seconds, said = build(name)
            sent = kept() - before
            if number == 0:
                results[name].update({"first, s": round(seconds, 3), "first, bytes": sent})
            else:
                results[name]["changed"].append(seconds)
                results[name]["bytes"].append(sent)
            if said is not None:
                results[name]["bytes by its own count"] = said
    for result in results.values():
        seconds, sent = result.pop("changed"), result.pop("bytes")
        result["changed line, s"] = round(statistics.median(seconds), 3)
        result["changed line, s, least to most"] = [round(min(seconds), 3), round(max(seconds), 3)]
        result["changed line, bytes"] = round(statistics.median(sent))
    return results


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
    builders, without = {"stoke": by_stoke}, "not installed: apt-get install buildah"
    if shutil.which("buildah"):
        try:
            driver, of_buildah = storage()
            builders["buildah"] = by_buildah(of_buildah)
        except RuntimeError as error:
            without = f"does not work here: {error}"
    results = measured(builders)
    if "buildah" in builders:
        results["buildah"]["storage"] = driver
        ours, theirs = results["stoke"], results["buildah"]
        results["buildah to stoke"] = {key: round(theirs[key] / ours[key], 2) for key in ("first, s", "changed line, s", "first, bytes", "changed line, bytes")}
    else:
        results["buildah"] = without
    print(json.dumps(results, indent=2))
finally:
    registry.terminate()
    # Mounts of overlay go with their containers; what is left is files.
    shutil.rmtree(work, ignore_errors=True)
