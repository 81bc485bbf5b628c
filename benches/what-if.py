#!/usr/bin/env python3
"""What `what-if` predicts for other executors, against real runs with those executors.

    cargo build --release -p stoke-insight --example insight
    benches/what-if.py --spark-home SPARK_HOME --python PYTHON [--recorded 2x2] [--plans 1x2,4x2,2x4] [--insight target/release/examples/insight]

One application is run on `local-cluster` with each number of executors and cores. From the log of the first run the others are
predicted, and the prediction is set beside what was measured. Its tasks sleep, so that the machine's own cores do not decide how many
run beside each other; so this shows the error of the scheduling and of the start-up, not of what tasks do to each other.
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

JOB = """
import random, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext

def work(low, high):
    def run(place, rows):
        time.sleep(random.Random(place).uniform(low, high))
        return rows
    return run

pairs = sc.parallelize(range(4800), 48).map(lambda n: (n % 24, n)).mapPartitionsWithIndex(work(0.5, 2.5))
pairs.reduceByKey(lambda a, b: a + b, 24).mapPartitionsWithIndex(work(0.5, 1.5)).collect()
time.sleep(3)
sc.parallelize(range(300), 30).mapPartitionsWithIndex(work(0.2, 4.0)).count()
spark.stop()
"""


def measure(options, plan):
    """Runs the job with executors and cores; gives its milliseconds and the folder with its log."""
    executors, cores = plan.split("x")
    folder = tempfile.mkdtemp(prefix="what-if-", dir=options.work)
    os.mkdir(folder + "/events")
    with open(folder + "/job.py", "w", encoding="utf-8") as job:
        job.write(JOB)
    settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file://" + folder + "/events", "spark.ui.enabled": "false",
                "spark.eventLog.rolling.enabled": "false", "spark.eventLog.compress": "false", "spark.executor.memory": "512m",
                "spark.app.name": plan}
    command = [options.spark_home + "/bin/spark-submit", "--master", f"local-cluster[{executors},{cores},512]"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    environment = os.environ | {"SPARK_HOME": options.spark_home, "PYSPARK_PYTHON": options.python, "SPARK_LOCAL_DIRS": folder + "/local",
                                "SPARK_WORKER_DIR": folder + "/work"}
    done = subprocess.run(command + [folder + "/job.py"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    start = end = None
    with open(glob.glob(folder + "/events/*")[0], encoding="utf-8") as lines:
        for line in lines:
            if line.startswith('{"Event":"SparkListenerApplication'):
                event = json.loads(line)
                start, end = (event["Timestamp"], end) if event["Event"].endswith("Start") else (start, event["Timestamp"])
    return end - start, folder


def predicted(options, folder, plans):
    """What is predicted from a run's log, by plan."""
    done = subprocess.run([options.insight, folder + "/events", "app-"], env=os.environ | {"PLANS": " ".join(plans)}, stdout=subprocess.PIPE,
                          text=True, check=True)
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"recordedPlan"')]
    return {f"{one['plan']['executors']}x{one['plan']['cores']}": one for one in outcomes}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark-home", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--recorded", default="2x2")
    parser.add_argument("--plans", default="1x2,4x2,2x4")
    parser.add_argument("--work", default=tempfile.gettempdir())
    parser.add_argument("--insight", default=os.path.join(HERE, "..", "target", "release", "examples", "insight"))
    options = parser.parse_args()
    plans = [options.recorded] + options.plans.split(",")
    recorded, folder = measure(options, options.recorded)
    outcomes = predicted(options, folder, plans)
    shutil.rmtree(folder)
    print(f"recorded with {options.recorded}: {recorded / 1000:.1f} s; the same simulated: {100 * outcomes[options.recorded]['error']:+.1f} %")
    print(f"{'executors x cores':>18} {'predicted s':>12} {'measured s':>12} {'error':>8}   not faster than s")
    for plan in plans[1:]:
        real, folder = measure(options, plan)
        shutil.rmtree(folder)
        outcome = outcomes[plan]
        bound = max(outcome["bounds"].values())
        print(f"{plan:>18} {outcome['predicted'] / 1000:>12.1f} {real / 1000:>12.1f} {100 * (outcome['predicted'] / real - 1):>+7.1f} %   {bound / 1000:.1f}", flush=True)


if __name__ == "__main__":
    main()
