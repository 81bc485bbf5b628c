#!/usr/bin/env python3
"""Event logs of six shapes, and the CPU a reader takes for each.

    benches/history_shapes.py --spark-home SPARK_HOME [--python PYTHON] [--megabytes 250] [--replay target/release/examples/replay]
        [--stoke target/release/stoke] [--beside] [--only sql,plans]

The shapes: many tasks, many SQL executions, many jobs, wide plans, many executors, long environment. Each is made of what a real
small application of that Spark wrote: its units (a job, or a SQL execution with its jobs) are repeated with new ids and later times until
the log is long enough. Logs are under --work and used again.

Measured for each log: GB a CPU second of `replay` (an example of stoke-history, on one thread: reading and replaying, no server), of
`stoke history serve` up to its first page of stages, and, with --beside, of Spark's own History Server up to the same page. Seconds
of Spark's server have the start of its JVM taken off: that of a server with an empty directory.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

from history import Server, alone, free_port, get

BASE = """
import sys
from pyspark.sql import SparkSession, functions as f
spark = (SparkSession.builder.master("local[2]").appName("shapes").config("spark.ui.enabled", "false")
    .config("spark.eventLog.enabled", "true").config("spark.eventLog.dir", "file://" + sys.argv[1])
    .config("spark.sql.shuffle.partitions", "4").config("spark.sql.autoBroadcastJoinThreshold", "-1")
    .config("spark.eventLog.logStageExecutorMetrics", "true").config("spark.sql.maxPlanStringLength", "1000000")
    .config("spark.eventLog.rolling.enabled", "false").config("spark.eventLog.compress", "false").getOrCreate())
shape = sys.argv[2]
if shape in ("tasks", "executors"):
    spark.range(0, 100000, 1, 1000).selectExpr("id % 7 as k", "id as v").groupBy("k").sum("v").collect()
elif shape == "sql":
    big = spark.range(0, 2000, 1, 4).selectExpr("id % 17 as k", "id as v", "rand(7) as r")
    other = spark.range(0, 170, 1, 2).selectExpr("id as k", "concat('name-', id) as name")
    joined = big.join(other, "k").groupBy("name").agg(f.sum("v"), f.avg("r"), f.count("*"))
    joined.filter("name <> 'x'").orderBy("name").collect()
elif shape == "jobs":
    numbers = spark.sparkContext.parallelize(range(100), 2).map(lambda x: (x % 7, x))
    numbers.reduceByKey(lambda a, b: a + b, 2).count()
elif shape == "plans":
    columns = ["id + %d as a_rather_long_name_of_a_column_%d" % (i, i) for i in range(150)]
    one = spark.range(0, 100, 1, 1).selectExpr("id % 3 as k", *columns)
    wide = one
    for i in range(12):
        wide = wide.union(one.filter("k <> %d" % i))
    wide.groupBy("k").agg(*[f.sum("a_rather_long_name_of_a_column_%d" % i) for i in range(150)]).collect()
else:
    spark.sparkContext.setLocalProperty("spark.job.description", "described")
    spark.sparkContext.parallelize(range(10), 1).count()
spark.stop()
"""

HEAD = ("SparkListenerLogStart", "SparkListenerResourceProfileAdded", "SparkListenerBlockManagerAdded", "SparkListenerEnvironmentUpdate",
        "SparkListenerApplicationStart", "SparkListenerExecutorAdded")
SHAPES = ("tasks", "sql", "jobs", "plans", "executors", "environment")
# Numbers that differ from unit to unit, by kind. Lists of numbers are taken as a whole.
NUMBERS = re.compile(
    r'(?<="Job ID":)(?P<job>\d+)|(?<="Stage ID":)(?P<stage>\d+)|(?<="Stage IDs":)(?P<stages>\[[\d,]*\])|(?<="Task ID":)(?P<task>\d+)'
    r'|(?<="executionId":)(?P<sql>\d+)|(?<="rootExecutionId":)(?P<sql2>\d+)|(?<="spark.sql.execution.id":")(?P<sql3>\d+)'
    r'|(?<="spark.sql.execution.root.id":")(?P<sql4>\d+)|(?<="accumulatorId":)(?P<acc>\d+)|(?<=\{"ID":)(?P<acc2>\d+)'
    r'|(?<="accumUpdates":)(?P<accs>\[[\[\]\d,]*\])'
    r'|(?<="Submission Time":)(?P<time>\d{13})|(?<="Completion Time":)(?P<time2>\d{13})|(?<="Launch Time":)(?P<time3>\d{13})'
    r'|(?<="Finish Time":)(?P<time4>\d{13})|(?<="time":)(?P<time5>\d{13})')
STEPS = {"job": 100, "stage": 100, "task": 10000, "sql": 10, "acc": 100000, "time": 1000}


def name_of(line):
    return line[10:line.index('"', 10)]


def base_log(given, shape):
    directory = os.path.join(given.work, "base-" + shape)
    if not os.path.isdir(directory):
        os.makedirs(directory + ".new", exist_ok=True)
        script = os.path.join(given.work, "shapes.py")
        with open(script, "w") as out:
            out.write(BASE)
        subprocess.run([given.python, script, directory + ".new", shape], check=True, env={**os.environ, "SPARK_HOME": given.spark_home},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.rename(directory + ".new", directory)
    names = [name for name in os.listdir(directory) if not name.startswith(".")]
    with open(os.path.join(directory, names[0])) as lines:
        return lines.readlines()


def template(lines):
    """Lines as texts with places for numbers: texts, and for each place its kind and its number."""
    texts, places, at = [], [], 0
    text = "".join(lines)
    for found in NUMBERS.finditer(text):
        kind, number = found.lastgroup.rstrip("2345"), found.group(found.lastgroup)
        texts.append(text[at:found.start()])
        places.append((kind, json.loads(number)))
        at = found.end()
    return texts, places, text[at:]


def shifted(kind, number, copy):
    if kind == "stages":
        return json.dumps([stage + STEPS["stage"] * copy for stage in number], separators=(",", ":"))
    if kind == "accs":
        return json.dumps([[acc + STEPS["acc"] * copy, value] for acc, value in number], separators=(",", ":"))
    return str(number + STEPS[kind] * copy)


def repeated(out, lines, size):
    """Writes units until the log has `size` bytes."""
    texts, places, last = template(lines)
    copy = 0
    while out.tell() < size:
        pieces = []
        for text, (kind, number) in zip(texts, places):
            pieces.append(text)
            pieces.append(shifted(kind, number, copy))
        pieces.append(last)
        out.write("".join(pieces).encode())
        copy += 1
    return copy


def on_executors(lines, count):
    """The unit on `count` executors: each comes, works, tells its peaks and goes."""
    out = []
    added = ('{"Event":"SparkListenerExecutorAdded","Timestamp":1795304733665,"Executor ID":"%s","Executor Info":{"Host":"host-%s.example.com",'
             '"Total Cores":4,"Log Urls":{"stdout":"http://host-%s/stdout","stderr":"http://host-%s/stderr"},"Attributes":{"NODE":"host-%s"},'
             '"Resources":{},"Resource Profile Id":0,"Registration Time":1795304733665,"Request Time":1795304733000}}\n')
    manager = ('{"Event":"SparkListenerBlockManagerAdded","Block Manager ID":{"Executor ID":"%s","Host":"host-%s.example.com","Port":7079},'
               '"Maximum Memory":455501414,"Timestamp":1795304733665,"Maximum Onheap Memory":455501414,"Maximum Offheap Memory":0}\n')
    removed = '{"Event":"SparkListenerExecutorRemoved","Timestamp":1795304735665,"Executor ID":"%s","Removed Reason":"idle"}\n'
    ids = ["@%d@" % executor for executor in range(count)]
    out.extend(added % ((one,) * 5) for one in ids)
    out.extend(manager % (one, one) for one in ids)
    for place, line in enumerate(lines):
        if name_of(line) == "SparkListenerStageExecutorMetrics":
            out.extend(line.replace('"Executor ID":"driver"', '"Executor ID":"%s"' % one, 1) for one in ids)
        else:
            # The start and the end of a task are on one executor.
            task = re.search(r'"Task ID":(\d+)', line)
            one = ids[(int(task.group(1)) if task else place) % count]
            out.append(line.replace('"Executor ID":"driver","Host":"localhost"', '"Executor ID":"%s","Host":"host-%s.example.com"' % (one, one)))
    out.extend(removed % one for one in ids)
    return out


def make(given, shape):
    directory = os.path.join(given.work, shape)
    target = os.path.join(directory, "app-" + shape)
    if os.path.exists(target):
        return target
    os.makedirs(directory, exist_ok=True)
    lines = base_log(given, shape)
    head = [line for line in lines if name_of(line) in HEAD]
    end = next(line for line in lines if name_of(line) == "SparkListenerApplicationEnd")
    unit = [line for line in lines if line not in head and line != end]
    if shape == "executors":
        unit = on_executors(unit, 400)
        global NUMBERS, STEPS
        NUMBERS, STEPS = re.compile(NUMBERS.pattern + r'|@(?P<executor>\d+)@'), {**STEPS, "executor": 400}
    if shape == "environment":
        many = json.dumps({"spark.some.rather.long.name.of.a.property.%d" % number: "value %d of it" % number for number in range(1000)})[1:-1]
        head = [line.replace('"Spark Properties":{', '"Spark Properties":{%s,' % many.replace(".property.", ".other.").replace('": "', '":"'), 1)
                for line in head]
        unit = [line.replace('"Properties":{', '"Properties":{%s,' % many, 1) for line in unit]
    with open(target + ".new", "wb") as out:
        out.write("".join(head).encode())
        copies = repeated(out, unit, given.megabytes * 1_000_000)
        out.write(end.encode())
    os.rename(target + ".new", target)
    print("%s: %d units" % (shape, copies), file=sys.stderr)
    return target


def spark(given, directory):
    port = free_port()
    options = "-Dspark.history.ui.port=%d -Dspark.history.ui.host=127.0.0.1 -Dspark.history.fs.logDirectory=file://%s" % (port, directory)
    return Server([os.path.join(given.spark_home, "bin/spark-class"), "org.apache.spark.deploy.history.HistoryServer"], port,
                  {"SPARK_HOME": given.spark_home, "SPARK_HISTORY_OPTS": options, "SPARK_DAEMON_MEMORY": given.heap, "SPARK_LOCAL_IP": "127.0.0.1"})


def first_page(server):
    _, application = server.listed()
    seconds, stages = server.timed("applications/%s/stages" % application)
    _, executions = server.timed("applications/%s/sql?length=20" % application)
    cpu, peak = server.end()
    return {"page_s": seconds, "cpu_s": cpu, "peak_mib": peak}, stages, executions


def start_of_spark(given):
    """CPU seconds Spark's server takes with nothing to read."""
    with tempfile.TemporaryDirectory() as empty:
        server = spark(given, empty)
        while True:
            try:
                get(server.port, "applications")
                return server.end()[0]
            except OSError:
                pass


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spark-home", required=True)
    arguments.add_argument("--python", help="the Python that has this Spark's pyspark [default: python3]", default="python3")
    arguments.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "stoke-history-shapes"))
    arguments.add_argument("--megabytes", type=int, default=250)
    arguments.add_argument("--only", default=",".join(SHAPES))
    arguments.add_argument("--replay", help="the example `replay`")
    arguments.add_argument("--stoke", help="the program; {dir} and {port} in it make it a whole command")
    arguments.add_argument("--beside", action="store_true", help="measure Spark's own server, too, and compare its answers")
    arguments.add_argument("--heap", default="4g", help="heap of Spark's server")
    given = arguments.parse_args()
    os.makedirs(given.work, exist_ok=True)
    empty = start_of_spark(given) if given.beside else 0
    for shape in given.only.split(","):
        target = make(given, shape)
        directory, size = os.path.dirname(target), os.path.getsize(target)
        report = {"shape": shape, "bytes": size}
        if given.replay:
            report["replay"] = alone([given.replay, directory, "1", "replay"])
            report["replay"]["gb_per_cpu_s"] = round(size / 1e9 / report["replay"]["cpu_s"], 2)
        answers = []
        if given.stoke:
            port = free_port()
            whole = given.stoke if "{dir}" in given.stoke else given.stoke + " history serve --dir {dir} --listen 127.0.0.1:{port} --no-cache"
            report["stoke"], *ours = first_page(Server(whole.format(dir=directory, port=port).split(), port, {}))
            report["stoke"]["gb_per_cpu_s"] = round(size / 1e9 / report["stoke"]["cpu_s"], 2)
            answers.append(ours)
        if given.beside:
            report["spark"], *theirs = first_page(spark(given, directory))
            report["spark"]["gb_per_cpu_s"] = round(size / 1e9 / max(report["spark"]["cpu_s"] - empty, 0.01), 2)
            answers.append(theirs)
        if len(answers) == 2:
            report["same_answers"] = answers[0] == answers[1]
        print(json.dumps(report), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
