#!/usr/bin/env python3
"""What `what-if` predicts for other executors, against real runs with those executors.

    cargo build --release -p stoke-insight --features examples --example insight
    benches/what-if.py --spark-home SPARK_HOME --python PYTHON [--jobs short,join] [--insight target/release/examples/insight] [--keep FOLDER]

Each job below is run on `local-cluster` with several numbers of executors and cores. From the log of the first run the others are
predicted, and the prediction is set beside what was measured. Tasks sleep, so that the machine's own cores do not decide how many run
beside each other; only `join` computes, and so it is run on no more cores than the machine has. Jobs begin when all executors are there, and
times are told from the start of the first job to the end: how long executors take to come is the cluster's. With `--keep` the logs are kept as tests
need them (`crates/insight/tests/what-if`), and with `--logs FOLDER` such logs are predicted from again, without Spark.
"""
import argparse
import glob
import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

START = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()

def sleep(milliseconds):
    return f"java_method('java.lang.Thread', 'sleep', cast({milliseconds} as bigint))"

"""

# Name: the job, the executors and cores it is recorded with, those it is run again with, further settings.
JOBS = {
    # 2,000 tasks of 5 ms: what the driver and the executors' start take is more than the tasks.
    "short": ("spark.range(0, 2000, 1, 2000).selectExpr(sleep(5)).write.format('noop').mode('overwrite').save()",
              "2x2", "1x1,1x2,4x2,2x8", {}),
    # Tasks of seconds, two stages, and a pause of the driver.
    "long": ("""
pairs = spark.range(0, 48, 1, 48).selectExpr("id % 24 k", sleep("500 + id * 7919 % 2000") + " s")
pairs.groupBy("k").agg({"s": "max"}).selectExpr("`max(s)`", sleep("500 + k * 7919 % 1000")).collect()
time.sleep(3)
spark.range(0, 30, 1, 30).selectExpr(sleep("200 + id * 7919 % 3800")).write.format("noop").mode("overwrite").save()
""", "2x2", "1x2,4x2", {"spark.sql.shuffle.partitions": "24", "spark.sql.adaptive.enabled": "false"}),
    # One task of 64 takes thirty times as long as the others, and is not the first.
    "skewed": ("spark.range(0, 64, 1, 64).selectExpr(sleep('if(id = 40, 15000, 500)')).write.format('noop').mode('overwrite').save()",
               "2x2", "1x2,4x2", {}),
    # 120 stages, one after the other: 16 tasks with next to nothing to do, then 8, of which four take 40 ms for each of their rows.
    "stages": ("""
for _ in range(60):
    spark.range(0, 16, 1, 16).selectExpr("id % 8 k").distinct().selectExpr("k", sleep(40)).collect()
""", "2x2", "1x1,1x2,4x2,4x4", {"spark.sql.shuffle.partitions": "8", "spark.sql.adaptive.enabled": "false"}),
    # Nothing sleeps: a join of two tables that are shuffled and sorted.
    "join": ("""
left = spark.range(0, 6_000_000, 1, 24).selectExpr("id % 300000 k", "md5(string(id)) s")
right = spark.range(0, 900_000, 1, 8).selectExpr("id % 300000 k", "sha2(string(id), 256) t")
left.join(right, "k").groupBy("k").agg({"s": "max", "t": "max"}).write.format("noop").mode("overwrite").save()
""", "1x1", "1x2,2x1", {"spark.sql.shuffle.partitions": "16", "spark.sql.autoBroadcastJoinThreshold": "-1"}),
}


def measure(options, job, plan):
    """Runs a job with executors and cores; gives the folder with its log."""
    code, _, _, further = JOBS[job]
    executors, cores = plan.split("x")
    folder = tempfile.mkdtemp(prefix="what-if-", dir=options.work)
    os.mkdir(folder + "/events")
    with open(folder + "/job.py", "w", encoding="utf-8") as file:
        file.write(START + code + "\nspark.stop()\n")
    settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file://" + folder + "/events", "spark.ui.enabled": "false",
                "spark.eventLog.rolling.enabled": "false", "spark.eventLog.compress": "false", "spark.executor.memory": "512m",
                "spark.app.name": job + "-" + plan, "spark.sql.warehouse.dir": folder + "/warehouse",
                "spark.cores.max": str(int(executors) * int(cores)), "spark.scheduler.minRegisteredResourcesRatio": "1.0",
                "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s"} | further
    command = [options.spark_home + "/bin/spark-submit", "--master", f"local-cluster[{executors},{cores},512]"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    environment = os.environ | {"SPARK_HOME": options.spark_home, "PYSPARK_PYTHON": options.python, "SPARK_LOCAL_DIRS": folder + "/local",
                                "SPARK_WORKER_DIR": folder + "/work"}
    done = subprocess.run(command + [folder + "/job.py"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    return folder


def keep(options, job, plan, folder):
    """Keeps the log of a run, as the logs of the tests are kept."""
    script = os.path.join(HERE, "..", "scripts", "make-insight-logs")
    logs = importlib.machinery.SourceFileLoader("logs", script).load_module()
    target, name = os.path.split(os.path.abspath(options.keep))
    logs.LOGS = target
    logs.keep(glob.glob(folder + "/events/*")[0], f"{job}-{plan}", name, logs.names(folder, options.spark_home, options.python))


def predicted(options, folder, name, plans):
    """What is predicted from a run's log, by plan, and milliseconds until its first job."""
    done = subprocess.run([options.insight, folder, name], env=os.environ | {"PLANS": " ".join(plans)}, stdout=subprocess.PIPE,
                          text=True, check=True)
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"recordedPlan"')]
    before = next(int(line.split()[-2]) for line in done.stdout.splitlines() if line.startswith("first job after"))
    return {f"{one['plan']['executors']}x{one['plan']['cores']}": one for one in outcomes}, before


def compare(options, job):
    """Sets what is predicted from the first run beside what the others took."""
    _, first, others, _ = JOBS[job]
    outcomes, before = {}, 0
    for plan in [first] + others.split(","):
        if options.logs:
            folder, name = options.logs, f"{job}-{plan}."
        else:
            run = measure(options, job, plan)
            if options.keep:
                keep(options, job, plan, run)
            folder, name = run + "/events", "app-"
        plans = [plan] + others.split(",") if plan == first else [plan]
        own, start = predicted(options, folder, name, plans)
        if not options.logs:
            shutil.rmtree(run)
        row = own[plan]
        real = row["recorded"] - start
        if plan == first:
            outcomes, before = own, start
            print(f"{job:8} {plan:>5} {(row['replayed'] - start) / 1000:>11.1f} {real / 1000:>11.1f} {100 * ((row['replayed'] - start) / real - 1):>+7.1f} %"
                  f"   its own error; launching {100 * row['launching']:.0f} % of the tasks' time", flush=True)
            continue
        outcome = outcomes[plan]
        time, least, most = (outcome["predicted"] - before, outcome["range"]["least"] - before, outcome["range"]["most"] - before)
        print(f"{job:8} {plan:>5} {time / 1000:>11.1f} {real / 1000:>11.1f} {100 * (time / real - 1):>+7.1f} %   {least / 1000:.1f} to {most / 1000:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark-home")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--work", default=tempfile.gettempdir())
    parser.add_argument("--insight", default=os.path.join(HERE, "..", "target", "release", "examples", "insight"))
    parser.add_argument("--keep", help="a folder for the logs, named by Spark's version")
    parser.add_argument("--logs", help="a folder with kept logs: nothing is run")
    options = parser.parse_args()
    if not options.spark_home and not options.logs:
        parser.error("--spark-home or --logs is needed")
    print(f"{'job':8} {'plan':>5} {'predicted s':>11} {'measured s':>11} {'error':>9}   range s", flush=True)
    for job in options.jobs.split(","):
        compare(options, job)


if __name__ == "__main__":
    main()
