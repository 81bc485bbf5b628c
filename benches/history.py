#!/usr/bin/env python3
"""Spark's History Server and `stoke history serve` beside each other on the same large event logs, in one run.

    benches/history.py --spark-home SPARK_HOME [--stoke target/release/stoke] [--tasks 100000] [--gigabytes 1.3]

Makes two logs under --work (kept, and used again): one with 100,000 tasks, one of more than a gigabyte. Both are real logs of a small
application of that Spark whose longest stage was repeated with new ids, so every line is a line Spark wrote.

Measured for each server and log, from the start of the process: until /applications lists the log; then, cold, until the first
/stages answer; then again (warm: in memory); then after a restart (ours reads its cache; Spark's replays). CPU seconds and peak
resident memory are those of the server's process when it is asked to end.

With --examples (target/release/examples, after `cargo build --release -p stoke-eventlog -p stoke-history --features examples --examples`) also: how fast our
reader reads plain, zstd and lz4 logs, beside `wc -l`; and the memory 3,000,000 tasks in 30 stages take, and 1,000,000 tasks in
one with all of them retained.
"""

import argparse
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

SMALL = """
import sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").appName("history benchmark").config("spark.ui.enabled", "false")
    .config("spark.eventLog.enabled", "true").config("spark.eventLog.dir", "file://" + sys.argv[1])
    .config("spark.eventLog.rolling.enabled", "false").config("spark.eventLog.compress", "false").getOrCreate())
spark.range(0, 100000, 1, 1000).selectExpr("id % 7 as k", "id as v").groupBy("k").sum("v").collect()
spark.stop()
"""


def small_log(home, python, work):
    directory = os.path.join(work, "small")
    if not os.path.isdir(directory):
        os.makedirs(directory + ".new", exist_ok=True)
        script = os.path.join(work, "small.py")
        with open(script, "w") as out:
            out.write(SMALL)
        subprocess.run([python, script, directory + ".new"], check=True, env={**os.environ, "SPARK_HOME": home}, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        os.rename(directory + ".new", directory)
    names = [name for name in os.listdir(directory) if not name.startswith(".")]
    with open(os.path.join(directory, names[0])) as lines:
        return lines.readlines()


def name_of(line):
    return line[10:line.index('"', 10)]


def split_of(line, stage, task, index):
    """A task's line in the pieces between its stage, id, index and partition."""
    head, rest = line.split('"Stage ID":%s,' % stage, 1)
    middle, rest = rest.split('"Task ID":%d,"Index":%d,' % (task, index), 1)
    before, found, after = rest.partition('"Partition ID":%d,' % index)
    if not found:
        raise SystemExit("a Spark that writes no partition of a task; take one from 3.3 on")
    return head + '"Stage ID":', "," + middle + '"Task ID":', ',"Index":', "," + before + '"Partition ID":', "," + after


def big_log(lines, tasks_per_stage, stages, target, program=None):
    """Repeats the job of the longest stage `stages` times, and its tasks until there are `tasks_per_stage`. With a program, the log is
    what that makes of it."""
    if os.path.exists(target):
        return
    by_stage = {}
    for line in lines:
        if name_of(line) == "SparkListenerTaskEnd":
            stage = re.search(r'"Stage ID":(\d+)', line).group(1)
            by_stage[stage] = by_stage.get(stage, 0) + 1
    stage = max(by_stage, key=by_stage.get)
    of_stage = [line for line in lines if re.match(r'\{"Event":"SparkListenerTask(Start|End)","Stage ID":%s,' % stage, line)]
    job = next(re.search(r'"Job ID":(\d+)', line).group(1) for line in lines
               if name_of(line) == "SparkListenerJobStart" and '"Stage ID":%s,' % stage in line)
    frame = [line for line in lines
             if (name_of(line) in ("SparkListenerStageSubmitted", "SparkListenerStageCompleted") and '"Stage ID":%s,' % stage in line[:120])
             or (name_of(line) in ("SparkListenerJobStart", "SparkListenerJobEnd") and '"Job ID":%s,' % job in line[:80])]
    first = by_stage[stage]
    tasks = []
    for line in of_stage:
        task, index = int(re.search(r'"Task ID":(\d+)', line).group(1)), int(re.search(r'"Index":(\d+)', line).group(1))
        tasks.append((task, index, split_of(line, stage, task, index)))
    base = min(task for task, _, _ in tasks)
    file = open(target + ".new", "wb")
    packing = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=file) if program else None
    with io.TextIOWrapper(packing.stdin if packing else file, encoding="utf-8", write_through=False) as out:
        for line in lines:
            if name_of(line) in ("SparkListenerLogStart", "SparkListenerResourceProfileAdded", "SparkListenerBlockManagerAdded",
                                 "SparkListenerEnvironmentUpdate", "SparkListenerApplicationStart", "SparkListenerExecutorAdded"):
                out.write(line)
        for copy in range(stages):
            def numbered(line):
                line = line.replace('"Job ID":%s,' % job, '"Job ID":%d,' % copy, 1)
                line = line.replace('"Number of Tasks":%d' % first, '"Number of Tasks":%d' % tasks_per_stage)
                line = line.replace('"spark.sql.execution.id"', '"no.execution.id"')
                line = re.sub(r'"Stage IDs":\[[^\]]*\]', '"Stage IDs":[%d]' % copy, line)
                return line.replace('"Stage ID":%s,' % stage, '"Stage ID":%d,' % copy)
            for line in frame[:2]:
                out.write(numbered(line))
            for made in range(0, tasks_per_stage, first):
                ids = copy * tasks_per_stage + made - base
                out.write("".join("%s%d%s%d%s%d%s%d%s" % (a, copy, b, ids + task, c, index + made, d, index + made, e)
                                  for task, index, (a, b, c, d, e) in tasks if index + made < tasks_per_stage))
            for line in frame[2:]:
                out.write(numbered(line))
        out.write(next(line for line in lines if name_of(line) == "SparkListenerApplicationEnd"))
    if packing and packing.wait():
        raise SystemExit("%s failed" % program[0])
    os.rename(target + ".new", target)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/%s" % (port, path), timeout=300) as answer:
        return json.load(answer)


class Server:
    def __init__(self, command, port, environment):
        self.port = port
        self.begin = time.monotonic()
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listed(self):
        while True:
            try:
                applications = get(self.port, "applications")
                if applications:
                    return time.monotonic() - self.begin, applications[0]["id"]
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit("the server ended")
            time.sleep(0.002)

    def timed(self, path):
        begin = time.monotonic()
        answer = get(self.port, path)
        return time.monotonic() - begin, answer

    def peak(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1)) / 1024

    def end(self):
        """CPU seconds and peak MiB."""
        peak = self.peak()
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return cpu, peak


def measure(start):
    result = {}
    server = start()
    result["list_s"], application = server.listed()
    result["stages_cold_s"], cold = server.timed("applications/%s/stages" % application)
    result["stages_warm_s"] = min(server.timed("applications/%s/stages" % application)[0] for _ in range(5))
    result["task_summary_s"], summary = server.timed("applications/%s/stages/0/0/taskSummary" % application)
    result["cpu_s"], result["peak_mib"] = server.end()
    server = start()
    result["list_again_s"], _ = server.listed()
    result["stages_again_s"], again = server.timed("applications/%s/stages" % application)
    server.end()
    assert again == cold
    return result, cold, summary


def alone(command):
    """Wall and CPU seconds of a program."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("%s failed" % command[0])
    return {"wall_s": round(wall, 3), "cpu_s": round(usage.ru_utime + usage.ru_stime, 3)}


def best(command, runs=9):
    """The least wall and the least CPU seconds of some runs."""
    all_runs = [alone(command) for _ in range(runs)]
    return {key: min(one[key] for one in all_runs) for key in all_runs[0]}


def readers(given, plain):
    """How fast logs are read by our reader alone, and what merely passing over the bytes takes."""
    report = {}
    size = os.path.getsize(plain)
    report["wc -l"] = best(["wc", "-l", plain])
    for codec, ending in (("plain", ""), ("zstd", ".zstd"), ("lz4", ".lz4")):
        directory = os.path.dirname(plain)
        if ending:
            directory = os.path.join(given.work, "gigabyte-" + codec)
            os.makedirs(directory, exist_ok=True)
            packed = os.path.join(directory, "app-bench" + ending)
            if not os.path.exists(packed):
                subprocess.run([os.path.join(given.examples, "pack"), codec, plain, packed + ".new"], check=True)
                os.rename(packed + ".new", packed)
        for threads in ("1", "2"):
            for what in ("read", "replay"):
                report["%s, %s, threads %s" % (codec, what, threads)] = best([os.path.join(given.examples, "replay"), directory, threads, what])
    for one in report.values():
        one["gb_per_s"] = round(size / 1e9 / one["wall_s"], 2)
        one["gb_per_cpu_s"] = round(size / 1e9 / max(one["cpu_s"], 1e-3), 2)
    return {"bytes": size, "reader": report}


def crowds(given, lines):
    """Many tasks: peak memory while everything of them is asked for."""
    report = {}
    for name, tasks, stages, retained in (("many", 100000, 30, 100000), ("wide", 1000000, 1, 1000000)):
        directory = os.path.join(given.work, name)
        os.makedirs(directory, exist_ok=True)
        big_log(lines, tasks, stages, os.path.join(directory, "app-bench.zstd"), ["zstd", "-1", "-q"])
        for cache in (os.path.join(given.work, "cache-" + name), "-"):
            shutil.rmtree(cache, ignore_errors=True)
            port = free_port()
            server = Server([os.path.join(given.examples, "history_serve"), directory, "127.0.0.1:%d" % port, cache, str(retained)], port, {})
            one = {"tasks": tasks * stages}
            one["list_s"], application = server.listed()
            base = "applications/%s/stages" % application
            one["stages_cold_s"], _ = server.timed(base)
            one["peak_after_replay_mib"] = server.peak()
            one["task_list_s"], page = server.timed("%s/0/0/taskList?offset=%d&length=50" % (base, tasks - 50))
            assert len(page) == 50
            one["by_runtime_s"], page = server.timed(base + "/0/0/taskList?sortBy=-runtime&length=50")
            assert len(page) == 50
            one["task_summary_s"], _ = server.timed(base + "/0/0/taskSummary")
            begin = time.monotonic()
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/%s/0/0?details=true" % (port, base)) as answer:
                one["details_bytes"] = sum(len(piece) for piece in iter(lambda: answer.read(1 << 20), b""))
            one["details_s"] = time.monotonic() - begin
            one["cpu_s"], one["peak_mib"] = server.end()
            report["%s, %s" % (name, "no cache" if cache == "-" else "cache")] = one
    return report


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spark-home", required=True)
    arguments.add_argument("--python", help="the Python that has this Spark's pyspark [default: python3]", default="python3")
    arguments.add_argument("--stoke", default="target/release/stoke", help="the program; {dir}, {port} and {cache} in it make it a whole command")
    arguments.add_argument("--work", default="/tmp/stoke-history-bench")
    arguments.add_argument("--tasks", type=int, default=100000)
    arguments.add_argument("--gigabytes", type=float, default=1.3)
    arguments.add_argument("--examples", help="a directory with the examples `replay`, `pack` and `history_serve`: measures the reader and many tasks too")
    arguments.add_argument("--skip-servers", action="store_true", help="measure only what --examples is for")
    arguments.add_argument("--heap", default="2g", help="heap of Spark's server")
    given = arguments.parse_args()
    os.makedirs(given.work, exist_ok=True)
    lines = small_log(given.spark_home, given.python, given.work)
    per_task = sum(len(line) for line in lines if '"Task ID"' in line[:200]) / sum(name_of(line) == "SparkListenerTaskEnd" for line in lines)
    stages = max(1, round(given.gigabytes * 1e9 / per_task / given.tasks + 0.5))
    report = {}
    for name, count in (("tasks-%d" % given.tasks, 1), ("gigabyte", stages)):
        directory = os.path.join(given.work, name)
        os.makedirs(directory, exist_ok=True)
        big_log(lines, given.tasks, count, os.path.join(directory, "app-bench"))
        size = os.path.getsize(os.path.join(directory, "app-bench"))
        if given.skip_servers:
            continue
        cache = os.path.join(given.work, "cache-" + name)
        shutil.rmtree(cache, ignore_errors=True)

        def spark():
            port = free_port()
            options = "-Dspark.history.ui.port=%d -Dspark.history.ui.host=127.0.0.1 -Dspark.history.fs.logDirectory=file://%s" % (port, directory)
            return Server([os.path.join(given.spark_home, "bin/spark-class"), "org.apache.spark.deploy.history.HistoryServer"], port,
                          {"SPARK_HOME": given.spark_home, "SPARK_HISTORY_OPTS": options, "SPARK_DAEMON_MEMORY": given.heap,
                           "SPARK_LOCAL_IP": "127.0.0.1"})

        def stoke():
            port = free_port()
            if "{dir}" in given.stoke:
                command = given.stoke.format(dir=directory, port=port, cache=cache).split()
            else:
                command = [given.stoke, "history", "serve", "--dir", directory, "--listen", "127.0.0.1:%d" % port, "--cache", cache]
            return Server(command, port, {})

        theirs, their_stages, their_summary = measure(spark)
        ours, our_stages, our_summary = measure(stoke)
        assert their_stages == our_stages and their_summary == our_summary, "the answers differ"
        report[name] = {"bytes": size, "spark": theirs, "stoke": ours,
                        "ratio": {key: round(theirs[key] / max(ours[key], 1e-6), 1) for key in theirs}}
        print(json.dumps({name: report[name]}, indent=1), flush=True)
    if given.examples:
        print(json.dumps(readers(given, os.path.join(given.work, "gigabyte", "app-bench")), indent=1), flush=True)
        print(json.dumps(crowds(given, lines), indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
