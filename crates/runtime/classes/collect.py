#!/usr/bin/env python3
"""Merges class lists of a JVM into the text form kept here.

How the lists are recorded: run jobs with `spark.driver.extraJavaOptions=-XX:DumpLoadedClassList=FILE` (and the same for
executors) on each Spark of interest, through a Kubernetes API, so that the scheduler backend's classes are among them: a count, an
RDD shuffle, DataFrames with joins, aggregates, Python functions, files in Parquet, CSV and JSON.

    collect.py FILE... > driver.txt

Only classes of Spark's jars and of Java that have a stable name are kept: not those that are generated at run time. A class that a
Spark or a Java does not have is passed over when an archive is made, so one list serves all versions.
"""

import re
import sys
from collections import defaultdict

GENERATED = re.compile(r"\$\$Lambda|\$Lambda|\$Proxy|LambdaForm\$|GeneratedMethodAccessor|GeneratedConstructorAccessor|"
                       r"GeneratedSerializationConstructorAccessor|Species_|GeneratedClass|\$SpecificUnsafeProjection|0x")
# What only the recorded jobs themselves made.
OWN = re.compile(r"^(py4j/reflection/.*Proxy|Main\b)")


def classes(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            # Classes of other loaders than the standard ones carry a source; comments and lambda records begin with other signs.
            if not words or words[0][0] in "#@" or "source:" in words:
                continue
            name = words[0]
            if "/" in name and not GENERATED.search(name) and not OWN.search(name):
                yield name


def main():
    packages = defaultdict(set)
    for path in sys.argv[1:]:
        for name in classes(path):
            package, _, simple = name.rpartition("/")
            packages[package].add(simple)
    print("# Recorded from real runs by collect.py: one package a line, its classes below it.")
    for package in sorted(packages):
        print(package)
        for simple in sorted(packages[package]):
            print(" " + simple)


main()
