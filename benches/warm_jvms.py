#!/usr/bin/env python3
"""What a JVM that waits warm would bring to a short run: pi on `local[2]` in a JVM that has loaded Spark's classes before, against a cold one.

    benches/warm_jvms.py --spark-home SPARK_HOME --python PYTHON_WITH_PYSPARK [--runs 3]

All have the same class-data archive, made of `crates/runtime/classes/driver.txt`, and the flags of a driver of 1 GiB. Counted is what comes
after the poke: wall time and processor time, Python's included. `rehearsed` has run the program once before in the same JVM: no bound on
what may be left of that run, so nothing that could be given to a pod; it says what loading alone leaves out.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

FLAGS = """-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 -XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000
    -XX:ActiveProcessorCount=1 -XX:MaxRAM=1476395008 -XX:+UseSerialGC -Xmx1g -Xshare:auto -Xlog:cds=off -XX:+IgnoreUnrecognizedVMOptions
    -Djdk.reflect.useDirectMethodHandle=false -Dio.netty.tryReflectionSetAccessible=true""".split()
OPENED = "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent java.util.concurrent.atomic " \
    "jdk.internal.ref sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar"
HERE = os.path.dirname(os.path.abspath(__file__))


def classes():
    package = ""
    with open(os.path.join(HERE, "../crates/runtime/classes/driver.txt")) as lines:
        for line in lines.read().splitlines():
            if line.startswith(" "):
                yield "%s/%s" % (package, line[1:])
            elif line and not line.startswith("#"):
                package = line


def once(kind, java, listed, program, environment):
    if kind == "cold":
        begin, before = time.monotonic(), 0.0
        process = subprocess.Popen([*java, *program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        process = subprocess.Popen([*java, "Warm", kind, listed, *program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        before = next(float(line.split()[1]) for line in process.stderr if line.startswith("ready "))
        begin = time.monotonic()
        process.stdin.write("\n")
        process.stdin.close()
        process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, kind
    return time.monotonic() - begin, used.ru_utime + used.ru_stime - before


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spark-home", required=True)
    arguments.add_argument("--python", default="python3")
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    environment = {**os.environ, "SPARK_HOME": given.spark_home, "PYSPARK_PYTHON": given.python, "SPARK_LOCAL_IP": "127.0.0.1"}
    program = ["org.apache.spark.deploy.SparkSubmit", "--master", "local[2]", os.path.join(given.spark_home, "examples/src/main/python/pi.py"), "20"]
    with tempfile.TemporaryDirectory() as work:
        listed, archive, jar = (os.path.join(work, name) for name in ("classes", "driver.jsa", "warm.jar"))
        with open(listed, "w") as out:
            out.writelines(name + "\n" for name in classes())
        subprocess.run(["javac", "-d", work, os.path.join(HERE, "Warm.java")], check=True)
        subprocess.run(["jar", "cf", jar, "-C", work, "Warm.class"], check=True)
        jars = os.path.join(given.spark_home, "jars")
        path = ":".join([*(os.path.join(jars, name) for name in sorted(os.listdir(jars)) if name.endswith(".jar")), jar])
        subprocess.run(["java", "-Xshare:dump", "-XX:SharedClassListFile=" + listed, "-XX:SharedArchiveFile=" + archive, "-cp", path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        opened = ["--add-opens=java.base/%s=ALL-UNNAMED" % name for name in OPENED.split()]
        java = ["java", *FLAGS, *opened, "-XX:SharedArchiveFile=" + archive, "-cp", path]
        kinds = {"cold": [], "loaded": [], "rehearsed": []}
        for _ in range(given.runs):
            for kind, runs in kinds.items():
                runs.append(once(kind, java, listed, program, environment))
        for kind, runs in kinds.items():
            wall, cpu = (statistics.median(numbers) for numbers in zip(*runs))
            print("%-10s wall %5.2f s, processor time %5.2f s (%s)" % (kind, wall, cpu, ", ".join("%.2f" % one for _, one in runs)), flush=True)


if __name__ == "__main__":
    main()
