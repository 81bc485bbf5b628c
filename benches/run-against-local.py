#!/usr/bin/env python3
"""Wall time of `stoke run` (driver and executors as pods of an embedded Kubernetes) against `spark-submit --master local[2]`.

    cargo build --release && python3 benches/run-against-local.py [--runs 5] [--version 4.1.4] [--job pi|shuffle]

Both run the same program with the same arguments and the same number of task slots (two). The first run of a runtime makes its
class-data archives; the warm-up covers it.
"""

import argparse
import os
import tempfile

import measure

SHUFFLE = """
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("shuffle").getOrCreate()
pairs = spark.sparkContext.parallelize(range(400_000), 8).map(lambda x: (x % 1000, x))
total = pairs.reduceByKey(lambda a, b: a + b, 8).values().sum()
assert total == 400_000 * 399_999 // 2, total
rows = spark.range(2_000_000).selectExpr("id % 100 as k", "id as v").groupBy("k").sum("v").collect()
assert sum(r[1] for r in rows) == 2_000_000 * 1_999_999 // 2
print("shuffle is right")
spark.stop()
"""

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--version", default="4.1.4")
parser.add_argument("--job", choices=["pi", "shuffle"], default="pi")
options = parser.parse_args()

home = measure.spark_home(options.version)
here = os.path.dirname(os.path.abspath(__file__))
with tempfile.TemporaryDirectory() as directory:
    manifest = open(os.path.join(here, "..", "examples", "pi.yaml")).read().replace("4.1.4", options.version)
    if options.job == "pi":
        program = [os.path.join(home, "examples/src/main/python/pi.py"), "20"]
    else:
        program = [os.path.join(directory, "shuffle.py")]
        open(program[0], "w").write(SHUFFLE)
        manifest = manifest.replace("local:///opt/spark/examples/src/main/python/pi.py", "shuffle.py").replace('arguments: ["20"]', "arguments: []")
    path = os.path.join(directory, "job.yaml")
    open(path, "w").write(manifest)
    env = dict(os.environ, SPARK_HOME=home)
    ours = ("stoke run", lambda: measure.once([measure.stoke(), "run", path]))
    theirs = ("spark-submit --master local[2]", lambda: measure.once([os.path.join(home, "bin/spark-submit"), "--master", "local[2]", *program], env))
    print(f"{options.job} on Spark {options.version}, {options.runs} runs each, in turn")
    measure.compare(ours, theirs, options.runs)
