#!/usr/bin/env python3
"""What `stoke sbom` finds beside what the installers say: `pip inspect`, dpkg, and the jars themselves.

    cargo build --release && python3 benches/sbom_recall.py [--python PYTHON] [--spark SPARK_HOME]

The truth of Python is what `pip inspect` of an environment lists, of Debian what `dpkg-query` lists as installed, of Java every `pom.properties` in the jars of a Spark, in jars inside jars too, and every
jar's file name. Printed are for each how many there are, how many of them the bill of materials has with the same version, how many it has besides, and the seconds it took; what is missed is named.
"""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import zipfile

import measure


def bill(target):
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "STOKE_HOME": home}
        # A file that lists packages and cannot be read is an error, never a short list.
        said = subprocess.run([measure.stoke(), "sbom", target, "--output", "json"], env=env, check=True, stdout=subprocess.PIPE)
    return time.monotonic() - begin, json.loads(said.stdout).get("components", [])


def purls(components, kind):
    found = set()
    for component in components:
        purl = component.get("purl", "")
        if purl.startswith(f"pkg:{kind}/"):
            path = purl[len(kind) + 5 :].split("?")[0]
            name, _, version = path.rpartition("@")
            found.add((urllib.parse.unquote(name), urllib.parse.unquote(version)))
    return found


def of_python(python):
    said = json.loads(subprocess.run([python, "-m", "pip", "inspect", "--local"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    truth = {(plain(one["metadata"]["name"]), one["metadata"]["version"]) for one in said["installed"]}
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    seconds, components = bill(prefix)
    return truth, purls(components, "pypi"), seconds


def of_debian():
    shape = "${db:Status-Abbrev}\t${Package}\t${Version}\n"
    said = subprocess.run(["dpkg-query", "-W", "-f", shape], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split("\t") for line in said.splitlines()]
    truth = {(name, version) for state, name, version in rows if state.startswith("ii")}
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(f"{root}/var/lib/dpkg")
        shutil.copy("/var/lib/dpkg/status", f"{root}/var/lib/dpkg/status")
        os.makedirs(f"{root}/etc")
        shutil.copy("/etc/os-release", f"{root}/etc/os-release")
        seconds, components = bill(root)
    return truth, {(name.split("/")[-1], version) for name, version in purls(components, "deb")}, seconds


def of_jar(data, found):
    """Coordinates of a jar and of those inside it."""
    with zipfile.ZipFile(data) as jar:
        for name in jar.namelist():
            if re.fullmatch(r"META-INF/maven/[^/]+/[^/]+/pom\.properties", name):
                lines = jar.read(name).decode(errors="replace").splitlines()
                words = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
                if {"groupId", "artifactId", "version"} <= set(words):
                    found.add((f"{words['groupId']}/{words['artifactId']}", words["version"]))
            elif name.endswith(".jar"):
                of_jar(io.BytesIO(jar.read(name)), found)


def of_java(spark):
    truth, names = set(), set()
    for file in sorted(os.listdir(f"{spark}/jars")):
        if file.endswith(".jar"):
            of_jar(f"{spark}/jars/{file}", truth)
            names.add(file[:-4])
    seconds, components = bill(f"{spark}/jars")
    print_row("jars, by file name", {(name, "") for name in names}, {(name, "") for name in told(components)}, seconds)
    return truth, purls(components, "maven"), seconds


def told(components):
    """Files that the bill gives a component for, by their evidence or their name."""
    found = set()
    for component in components:
        places = [one.get("location", "") for one in component.get("evidence", {}).get("occurrences", [])]
        places += [one["value"] for one in component.get("properties", []) if "/" in one["value"] or one["value"].endswith(".jar")]
        for place in places:
            found.update(re.findall(r"([^/!]+)\.jar", place))
    return found


def print_row(what, truth, found, seconds):
    missed = truth - found
    share = 100 * (len(truth) - len(missed)) / len(truth)
    print(f"{what:24} there {len(truth):5}   found {len(truth) - len(missed):5}   {share:6.2f} %   besides {len(found - truth):4}   {seconds:5.2f} s", flush=True)
    for name, version in sorted(missed)[:20]:
        print(f"    missed: {name} {version}")
    return not missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--spark")
    options = parser.parse_args()
    print_row("Python, pip inspect", *of_python(options.python))
    print_row("Debian, dpkg-query", *of_debian())
    print_row("Java, pom.properties", *of_java(options.spark or measure.spark_home("4.1.4")))


if __name__ == "__main__":
    main()
