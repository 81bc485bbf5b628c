#!/usr/bin/env python3
"""What the optimising compiler's raised thresholds (`crates/runtime/src/entrypoint/speed.rs`) do to a job that runs for long.

    cargo build --release && python3 benches/compiler-thresholds.py [--runs 2] [--rows 12000000]

The same `spark-submit --master local[2]` in turn with the thresholds Stoke sets and with the JVM's own.
"""

import argparse
import os
import re
import tempfile

import measure

LONG = """
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("long").getOrCreate()
rows = int(sys.argv[1])
data = spark.range(0, rows, 1, 8).selectExpr("id", "cast(rand(7) * 1000000 as bigint) k", "md5(cast(id as string)) s")
sums = data.groupBy("k").agg({"s": "max", "id": "sum"}).withColumnRenamed("sum(id)", "t")
joined = data.selectExpr("k", "id % 1000 m").join(sums, "k").groupBy("m").sum("t").orderBy("m").collect()
assert len(joined) == 1000, len(joined)
data.repartition(8, "s").sortWithinPartitions("s").selectExpr("count(distinct substr(s, 1, 6))").collect()
spark.stop()
"""

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=2)
parser.add_argument("--rows", type=int, default=12_000_000)
parser.add_argument("--version", default="4.1.4")
options = parser.parse_args()

here = os.path.dirname(os.path.abspath(__file__))
source = open(os.path.join(here, "..", "crates", "runtime", "src", "entrypoint", "speed.rs")).read()
flags = re.findall(r'"(-XX:Tier4\w+=\d+)"', source)
assert len(flags) == 4, flags
home = measure.spark_home(options.version)
env = dict(os.environ, SPARK_HOME=home)
with tempfile.TemporaryDirectory() as directory:
    program = os.path.join(directory, "long.py")
    open(program, "w").write(LONG)

    def run(java_options):
        command = [os.path.join(home, "bin/spark-submit"), "--master", "local[2]", "--driver-memory", "3g"]
        return measure.once([*command, "--driver-java-options", java_options, program, str(options.rows)], env)

    print(f"{options.rows} rows on Spark {options.version}, {options.runs} runs each, in turn")
    measure.compare(("thresholds of Stoke", lambda: run(" ".join(flags))), ("thresholds of the JVM", lambda: run("-Dx=y")), options.runs)
