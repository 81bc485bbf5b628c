"""Records the event logs of this directory: `spark-submit make.py DIRECTORY [NAME…]`, with a directory for data and raw logs; needs zstd.

Each log is of one application in which one thing was changed. All are made by one JVM, one after another and after a warm-up, so that they differ by what was
changed and little else; most of the work is sleeping, so that it takes the same time on a busy machine. What names the machine is taken out of the logs.
"""

import json
import os
import re
import subprocess
import sys
import time

from pyspark import TaskContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

HERE = os.path.dirname(os.path.abspath(__file__))
OFF = {"spark.sql.adaptive.enabled": "false"}
# Name: master, settings, and what the job is told.
RUNS = {
    "base": ("local[2,4]", {}, {}),
    "data": ("local[2,4]", {}, {"lines": 80000}),
    "slow": ("local[2,4]", {}, {"pace": 0.004}),
    "skew": ("local[2,4]", {}, {"skew": True}),
    "cores": ("local[1,4]", {}, {}),
    "fail": ("local[2,4]", {}, {"fail": True}),
    # Recorded another day than the others, and so with a base of its own.
    "again": ("local[2,4]", {}, {}),
    "driver": ("local[2,4]", {}, {"driver": 20}),
    "noaqe": ("local[2,4]", OFF, {}),
    "partitions": ("local[2,4]", OFF | {"spark.sql.shuffle.partitions": "600"}, {}),
    "nobroadcast": ("local[2,4]", OFF | {"spark.sql.autoBroadcastJoinThreshold": "-1"}, {}),
}


def sleep_for(pace, skew, fail):
    """A function of a partition that takes `pace` seconds for each line."""

    def work(part, numbers):
        seconds = pace * sum(1 for _ in numbers)
        if fail and part == 1 and TaskContext.get().attemptNumber() < 2:
            time.sleep(6)
            raise ValueError("injected")
        if skew:
            seconds = seconds * 3.7 if part == 0 else seconds * 0.1
        time.sleep(seconds)
        yield part % 2, 1

    return work


def run(spark, place, told):
    """The job: a join and an aggregation, then four tasks that sleep, then the driver alone."""
    sc = spark.sparkContext
    facts = spark.read.parquet(place + "/facts")
    names = spark.range(0, 5000, 1, 2).select(F.col("id").alias("k"), F.concat(F.lit("name-"), F.col("id")).alias("name"))
    sc.setJobDescription("join and aggregate")
    joined = facts.join(names, "k").groupBy("k", "name").agg(F.max("s").alias("s"), F.sum("v").alias("v"))
    joined.write.mode("overwrite").parquet(place + "/out")
    sc.setJobDescription("read lines")
    lines = told.get("lines", 20000)
    work = sleep_for(told.get("pace", 0.001), told.get("skew", False), told.get("fail", False))
    sc.textFile(f"{place}/lines-{lines}", 4).mapPartitionsWithIndex(work).reduceByKey(lambda a, b: a + b, 2).collect()
    time.sleep(told.get("driver", 0))


def session(master, settings):
    builder = SparkSession.builder.master(master).appName("pairs").config("spark.sql.shuffle.partitions", "8")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


NAMES_THE_MACHINE = re.compile(r"extraJavaOptions|eventLog|\.host$|\.port$|initial|submitTime|warehouse|local\.dir|repl\.class|spark\.files|pyFiles")


def clean(line, place):
    """A line without what names the machine."""
    event = json.loads(line)
    if event["Event"] == "SparkListenerEnvironmentUpdate":
        for key in ("Hadoop Properties", "System Properties", "Metrics Properties", "Classpath Entries"):
            event[key] = {}
        event["JVM Information"].pop("Java Home", None)
    for properties in (event.get("Spark Properties"), event.get("Properties")):
        for key in [key for key in properties or {} if NAMES_THE_MACHINE.search(key)]:
            del properties[key]
    if event["Event"] == "SparkListenerTaskEnd":
        event["Task Info"]["Accumulables"] = [it for it in event["Task Info"]["Accumulables"] if it.get("Metadata") == "sql"]
    text = json.dumps(event, separators=(",", ":")).replace(os.path.join(HERE, "make.py"), "make.py").replace(place, "/data")
    text = text.replace(os.environ["SPARK_HOME"], "/opt/spark")
    text = re.sub(r'"Host":"[^"]*"', '"Host":"10.0.0.1"', text)
    return re.sub(r'"User":"[^"]*"', '"User":"spark"', text)


def main():
    place = os.path.abspath(sys.argv[1])
    os.makedirs(place + "/logs", exist_ok=True)
    for lines in (20000, 80000):
        with open(f"{place}/lines-{lines}", "w") as out:
            out.writelines(f"line {number:08} of a text\n" for number in range(lines))
    spark = session("local[2,4]", {})
    frame = spark.range(0, 1000000, 1, 4).select((F.col("id") % 5000).alias("k"), (F.col("id") * 7 % 1000).alias("v"), F.md5(F.col("id").cast("string")).alias("s"))
    frame.write.mode("overwrite").parquet(place + "/facts")
    for _ in range(3):
        run(spark, place, {"pace": 0.00001})
    spark.stop()
    logged = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file://" + place + "/logs", "spark.eventLog.rolling.enabled": "false"}
    default = {"spark.sql.adaptive.enabled": "true", "spark.sql.autoBroadcastJoinThreshold": "10485760", "spark.sql.shuffle.partitions": "8"}
    for name in sys.argv[2:] or RUNS:
        master, settings, told = RUNS[name]
        spark = session(master, logged | default | {"spark.eventLog.compress": "false"} | settings)
        id = spark.sparkContext.applicationId
        run(spark, place, told)
        spark.stop()
        with open(os.path.join(HERE, name), "w") as out:
            out.writelines(clean(line, place) + "\n" for line in open(f"{place}/logs/{id}"))
        subprocess.run(["zstd", "-q", "--rm", "-f", "-19", os.path.join(HERE, name), "-o", os.path.join(HERE, name + ".zstd")], check=True)


main()
