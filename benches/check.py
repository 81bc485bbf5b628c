#!/usr/bin/env python3
"""Times `stoke check` on a job as teams have them, beside what they would put together instead, in one run, as ratios.

    cargo build --release && python3 benches/check.py [--runs 5] [--stoke target/release/stoke] [--home DIR] [--make DIR] [--manifests 2000]

The job is made here: 12 manifests, 20 SQL files of 10 statements, 10 Python files with SQL, requirements, configuration. Beside it, each fetched from the
Python package index: `sqlglot` for the SQL (Spark dialect), `detect-secrets` for secrets, `yamllint` for the manifests; none of them knows Spark's
configuration, the pods of an application or Kubernetes' fields. With `--manifests` it is a repository of so many manifests (applications, schedules, ConfigMaps;
every tenth has a mistake) beside `yamllint` alone. The home must have a Spark 4.1.4 (`stoke runtime install 4.1.4`), for its grammar.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
APP = """apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {{name: job-{n}, namespace: sales}}
spec:
  type: Python
  mode: cluster
  sparkVersion: 4.1.4
  image: apache/spark:4.1.4
  mainApplicationFile: local:///opt/app/job{n}.py
  sparkConf:
    spark.sql.shuffle.partitions: "200"
    spark.sql.adaptive.enabled: "true"
    spark.executor.memoryOverheadFactor: "0.2"
  driver: {{cores: 1, memory: 2g, serviceAccount: spark}}
  executor: {{instances: 4, cores: 2, memory: 4g}}
"""
OBJECT = """apiVersion: v1
kind: ConfigMap
metadata: {{name: settings-{n}, namespace: sales}}
data: {{day: "2026-01-01"}}
"""
STATEMENT = """SELECT c.region, date_trunc('month', o.created) AS month, sum(o.amount) AS total, count(DISTINCT o.customer) AS customers
FROM lake.orders o JOIN lake.customers c ON o.customer = c.id
WHERE o.created >= DATE '2026-01-{day:02}' AND o.status IN ('paid', 'shipped')
GROUP BY c.region, date_trunc('month', o.created)
HAVING sum(o.amount) > 1000
ORDER BY total DESC;
"""
PYTHON = '''from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("job{n}").getOrCreate()
day = "2026-01-01"
orders = spark.sql(f"""
    SELECT id, amount, status
    FROM lake.orders
    WHERE created = '{{day}}'
""")
orders.write.mode("append").saveAsTable("lake.daily")
'''
SQLGLOT = "import glob, sys, sqlglot\nfor f in glob.glob(sys.argv[1] + '/sql/*.sql'):\n    sqlglot.parse(open(f).read(), read='spark')\n"


def make(job):
    for folder in ("k8s", "sql", "src"):
        os.makedirs(os.path.join(job, folder))

    def write(name, text):
        with open(os.path.join(job, name), "w") as out:
            out.write(text)

    for n in range(8):
        write(f"k8s/app{n}.yaml", APP.format(n=n))
    for n in range(4):
        write(f"k8s/settings{n}.yaml", OBJECT.format(n=n))
    for n in range(20):
        write(f"sql/report{n}.sql", "\n".join(STATEMENT.format(day=1 + (n + k) % 28) for k in range(10)))
    for n in range(10):
        write(f"src/job{n}.py", PYTHON.format(n=n))
    write("requirements.txt", "requests==2.32.3\npandas==2.2.3\n")
    write("spark-defaults.conf", "spark.executor.memory 4g\nspark.sql.shuffle.partitions 200\n")


def make_many(job, count):
    os.makedirs(os.path.join(job, "k8s"))
    for n in range(count):
        if n % 3 == 2:
            text = OBJECT.format(n=n)
        else:
            text = APP.format(n=n)
        if n % 3 == 1:
            head, spec = text.replace("kind: SparkApplication", "kind: ScheduledSparkApplication").split("spec:\n")
            text = head + "spec:\n  schedule: '0 3 * * *'\n  template:\n" + "".join(f"  {line}\n" for line in spec.splitlines())
        if n % 10 == 9:
            text = text.replace("spark.sql.shuffle.partitions", "spark.sql.shufle.partitions")
        with open(os.path.join(job, "k8s", f"manifest{n:05}.yaml"), "w") as out:
            out.write(text)


def timed(command, runs, codes=(0,)):
    """Median wall, median CPU in seconds, and peak memory in MiB of a command."""
    walls, cpus, peak = [], [], 0
    for _ in range(runs):
        begun = time.monotonic()
        done = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(done.pid, 0)
        error = done.stderr.read()
        if os.waitstatus_to_exitcode(status) not in codes:
            sys.exit(f"{command}: ended with {status}\n{error.decode()}")
        walls.append(time.monotonic() - begun)
        cpus.append(usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss / 1024)
    return statistics.median(walls), statistics.median(cpus), peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stoke", default=os.path.join(HERE, "..", "target", "release", "stoke"))
    parser.add_argument("--home", help="STOKE_HOME with a Spark 4.1.4")
    parser.add_argument("--make", metavar="DIR", help="only make the job in this directory, for looking at it with something else")
    parser.add_argument("--manifests", type=int, metavar="COUNT", help="a repository of so many manifests")
    asked = parser.parse_args()
    if asked.make:
        return make(asked.make)
    if asked.home:
        os.environ["STOKE_HOME"] = asked.home
    with tempfile.TemporaryDirectory() as place:
        job, venv = os.path.join(place, "job"), os.path.join(place, "venv")
        if asked.manifests:
            make_many(job, asked.manifests)
        else:
            make(job)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [os.path.join(venv, "bin", "pip"), "install", "-q", "sqlglot", "detect-secrets", "yamllint"]
        subprocess.run(pip, check=True)
        tool = lambda name: os.path.join(venv, "bin", name)
        # Exit code 1: it has mistakes.
        codes = (1,) if asked.manifests else (0,)
        ours = timed([os.path.abspath(asked.stoke), "check", "--advisories", "none", job], asked.runs, codes)
        others = {"yamllint (manifests)": timed([tool("yamllint"), "-d", "relaxed", os.path.join(job, "k8s")], asked.runs)}
        if not asked.manifests:
            others["sqlglot (SQL)"] = timed([tool("python3"), "-c", SQLGLOT, job], asked.runs)
            others["detect-secrets"] = timed([tool("detect-secrets"), "scan", "--all-files", job], asked.runs)
        print(f"{'':24}{'wall':>9}{'CPU':>9}{'memory':>10}")
        row = lambda name, found: print(f"{name:24}{found[0] * 1000:7.0f} ms{found[1] * 1000:6.0f} ms{found[2]:6.0f} MiB")
        row("stoke check", ours)
        for name, found in others.items():
            row(name, found)
        total = [sum(found[index] for found in others.values()) for index in range(2)]
        print(f"{' and '.join(others)}: {total[0] / ours[0]:.1f}x the time of stoke check, {total[1] / ours[1]:.1f}x its CPU")


main()
