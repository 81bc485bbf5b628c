"""Applications whose event logs the History Server and Stoke must read alike.

    python workloads.py GROUP LOG_DIRECTORY

Each function below is one application. It runs on the Spark of SPARK_HOME and leaves its event log in LOG_DIRECTORY. The applications of
a group run one after another in one process, because most of the time of a small application is the start of its JVM.
"""

import os
import signal
import sys
import tempfile
import threading
import time

from pyspark import SparkConf, SparkContext, StorageLevel, BarrierTaskContext, TaskContext

LOGS = None


def conf(name, master="local[2]", **more):
    """A configuration that logs events as one plain file, unless `more` says otherwise (`__` stands for a dot)."""
    made = SparkConf().setMaster(master).setAppName(name)
    made.set("spark.eventLog.enabled", "true").set("spark.eventLog.dir", "file://" + LOGS)
    made.set("spark.eventLog.rolling.enabled", "false").set("spark.eventLog.compress", "false")
    made.set("spark.eventLog.logBlockUpdates.enabled", "true")
    made.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    made.set("spark.sql.shuffle.partitions", "3")
    made.set("spark.sql.warehouse.dir", tempfile.mkdtemp())
    for key, value in more.items():
        made.set(key.replace("__", "."), value)
    return made


def session(made):
    from pyspark.sql import SparkSession
    # Not by its builder, which keeps the options of the application before.
    return SparkSession(SparkContext(conf=made))


def quietly(action):
    """Runs what is expected to fail."""
    try:
        action()
    except Exception as failure:
        print("expected:", str(failure)[:200].replace("\n", " "))
    else:
        raise SystemExit("this should have failed")


def whatever(action):
    """Runs what may fail, as executors may be lost or avoided at a bad moment."""
    try:
        action()
    except Exception as failure:
        print("it failed:", str(failure)[:200].replace("\n", " "))


def sql():
    spark = session(conf("SQL: größe 東京 🚀", spark__sql__autoBroadcastJoinThreshold="10MB"))
    from pyspark.sql import functions as f
    from pyspark.sql.window import Window
    where = tempfile.mkdtemp()
    big = spark.range(0, 20000, 1, 4).withColumn("k", f.col("id") % 17).withColumn("v", f.rand(7))
    big.write.mode("overwrite").parquet(where + "/big")
    small = spark.createDataFrame([(i, "näme-%d" % i) for i in range(17)], ["k", "name"])
    read = spark.read.parquet(where + "/big")
    read.join(f.broadcast(small), "k").groupBy("name").agg(f.sum("v"), f.count("*")).orderBy("name").collect()
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    read.join(small, "k").groupBy("k").count().collect()
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    spark.sparkContext.setJobDescription("Beschreibung: ohne adaptive Ausführung")
    read.join(small, "k").groupBy("k").count().collect()
    spark.sparkContext.setJobDescription(None)
    spark.conf.set("spark.sql.adaptive.enabled", "true")
    read.withColumn("r", f.row_number().over(Window.partitionBy("k").orderBy("v"))).filter("r < 3").collect()
    cached = read.filter("k < 9").cache()
    cached.count()
    cached.groupBy("k").count().collect()
    cached.unpersist()
    kept = read.filter("k > 9").persist(StorageLevel.DISK_ONLY)
    kept.count()
    read.createOrReplaceTempView("big")
    spark.sql("CREATE TABLE t USING parquet AS SELECT k, count(*) AS n FROM big GROUP BY k")
    spark.sql("INSERT INTO t SELECT k, 1 FROM big WHERE id < 10")
    spark.sql("SELECT * FROM t WHERE n > (SELECT avg(n) FROM t)").collect()
    spark.sql("SELECT k FROM t UNION SELECT k + 1 FROM t EXCEPT SELECT 3").collect()
    spark.sql("SHOW TABLES").collect()
    read.withColumnRenamed("k", "näme").groupBy("näme").count().collect()
    plus = f.udf(lambda x: x + 1, "long")
    read.select(plus("id").alias("p")).agg(f.max("p")).collect()
    quietly(lambda: read.select(f.udf(lambda x: 1 // 0, "long")("id")).collect())
    quietly(lambda: spark.sql("SELECT assert_true(id < 0) FROM big").collect())
    spark.sql("SELECT 1").collect()
    small.coalesce(1).write.mode("overwrite").csv(where + "/csv")
    read.repartition(2).write.mode("overwrite").partitionBy("k").json(where + "/json")
    spark.stop()


def rdd():
    sc = SparkContext(conf=conf("rdd and storage"))
    sc.setJobGroup("gruppe-1", "erste Gruppe", False)
    numbers = sc.parallelize(range(1000), 4).map(lambda x: (x % 7, x)).setName("Zahlen <ä>")
    numbers.persist(StorageLevel.MEMORY_ONLY)
    numbers.count()
    summed = numbers.reduceByKey(lambda a, b: a + b, 3)
    summed.collect()
    summed.count()
    sc.setLocalProperty("spark.jobGroup.id", None)
    sc.setLocalProperty("spark.job.description", None)
    sc.setLocalProperty("spark.scheduler.pool", "schnell")
    on_disk = sc.parallelize(range(5000), 3).persist(StorageLevel.DISK_ONLY).setName("on disk")
    on_disk.count()
    both = sc.parallelize(range(5000), 2).map(str).persist(StorageLevel.MEMORY_AND_DISK)
    both.count()
    both.unpersist(True)
    part = sc.parallelize(range(100), 5).persist(StorageLevel.MEMORY_ONLY)
    part.take(1)
    counter = sc.accumulator(0)
    sc.parallelize(range(100), 5).foreach(lambda x: counter.add(x))
    broadcast = sc.broadcast(list(range(1000)))
    sc.parallelize(range(10), 2).map(lambda x: len(broadcast.value)).collect()
    broadcast.unpersist()
    left = sc.parallelize([(i % 5, i) for i in range(50)], 2)
    right = sc.parallelize([(i % 5, -i) for i in range(10)], 3)
    left.join(right).sortByKey().collect()
    left.cogroup(right).union(left.cogroup(right)).count()
    where = tempfile.mkdtemp()
    left.saveAsTextFile(where + "/text")
    sc.textFile(where + "/text", 3).map(len).reduce(lambda a, b: a + b)
    long = sc._jsc.sc().longAccumulator("lange Zählung")
    long.add(5)
    sc.stop()


def empty():
    SparkContext(conf=conf("no job at all")).stop()


def failures():
    sc = SparkContext(conf=conf("failures", master="local[2,3]"))

    def sometimes(x):
        if TaskContext.get().attemptNumber() < 1 and x == 5:
            raise ValueError("beim ersten Mal: <&> \"x\"")
        return x

    sc.parallelize(range(10), 5).map(sometimes).collect()

    def never(x):
        raise RuntimeError("never " + str(x))

    quietly(lambda: sc.parallelize(range(10), 4).map(never).collect())
    quietly(lambda: sc.parallelize([(1, 1)], 2).reduceByKey(lambda a, b: a).map(never).collect())

    def cancel():
        while not sc.statusTracker().getActiveStageIds():
            time.sleep(0.1)
        time.sleep(0.5)
        sc.cancelJobGroup("to be cancelled")

    def slowly():
        sc.setJobGroup("to be cancelled", "a slow job", True)
        sc.parallelize(range(4), 4).map(lambda x: time.sleep(20)).collect()

    thread = threading.Thread(target=cancel)
    thread.start()
    quietly(slowly)
    thread.join()
    sc.setLocalProperty("spark.jobGroup.id", None)
    sc.parallelize(range(4), 4).count()
    time.sleep(1)
    sc.stop()


def streaming():
    spark = session(conf("structured streaming"))
    from pyspark.sql import functions as f
    rate = spark.readStream.format("rate").option("rowsPerSecond", 50).load()
    counts = rate.withWatermark("timestamp", "10 seconds").groupBy((f.col("value") % 3).alias("k")).count()
    query = counts.writeStream.outputMode("complete").format("memory").queryName("counting").start()
    plain = rate.selectExpr("value * 2").writeStream.format("noop").trigger(processingTime="1 second").start()
    while (query.lastProgress or {}).get("batchId", 0) < 2:
        time.sleep(0.2)
    plain.stop()
    query.stop()

    def bad(frame, number):
        raise ValueError("batch " + str(number))

    failing = rate.writeStream.foreachBatch(bad).start()
    quietly(lambda: failing.awaitTermination(60))
    spark.stop()


def dstreams():
    from pyspark.streaming import StreamingContext
    sc = SparkContext(conf=conf("dstreams"))
    streams = StreamingContext(sc, 1)
    queue = [sc.parallelize(range(i, i + 20), 2) for i in range(3)]
    streams.queueStream(queue).map(lambda x: (x % 3, 1)).reduceByKey(lambda a, b: a + b).pprint()
    streams.start()
    time.sleep(3.5)
    streams.stop(True, True)


def wait(until, seconds=120):
    """Waits for something that happens on a machine of any load."""
    begin = time.time()
    while not until() and time.time() - begin < seconds:
        time.sleep(0.1)


def executors(sc):
    return sc._jsc.sc().getExecutorMemoryStatus().size() - 1


def cluster():
    made = conf(
        "executors come and go", master="local-cluster[3,1,1024]", spark__executor__memory="512m",
        spark__eventLog__logStageExecutorMetrics="true", spark__executor__heartbeatInterval="1s",
        spark__excludeOnFailure__enabled="true", spark__excludeOnFailure__task__maxTaskAttemptsPerExecutor="1",
        spark__excludeOnFailure__stage__maxFailedTasksPerExecutor="1", spark__excludeOnFailure__application__maxFailedTasksPerExecutor="1",
        spark__excludeOnFailure__timeout="10s", spark__task__maxFailures="8", spark__executor__processTreeMetrics__enabled="true")
    sc = SparkContext(conf=made)
    wait(lambda: executors(sc) == 3)

    def barrier(rows):
        BarrierTaskContext.get().barrier()
        return rows

    whatever(lambda: sc.parallelize(range(6), 2).barrier().mapPartitions(barrier).count())
    kept = sc.parallelize(range(3000), 6).map(lambda x: (x % 11, x)).persist(StorageLevel.MEMORY_AND_DISK_2)
    kept.setName("kept twice").count()

    def picky(index, rows):
        if TaskContext.get().attemptNumber() == 0 and index == 1:
            raise OSError("this executor is not liked")
        return rows

    def avoided():
        known = sc._jsc.sc().statusStore().executorList(True)
        return any(known.apply(place).isExcluded() for place in range(known.size()))

    # A failure counts for the application when its stage ends before the failure is forgotten.
    for _ in range(6):
        whatever(lambda: kept.mapPartitionsWithIndex(picky).count())
        wait(avoided, 1)
        if avoided():
            break
    shuffled = kept.reduceByKey(lambda a, b: a + b, 4)
    whatever(lambda: shuffled.collect())
    wait(lambda: not avoided(), 60)
    whatever(lambda: shuffled.collect())
    where = tempfile.mkdtemp()

    def dies(index, rows):
        if index == 0 and not os.path.exists(os.path.join(where, "died")):
            open(os.path.join(where, "died"), "w").close()
            daemon = os.getppid()
            with open("/proc/%d/stat" % daemon) as stat:
                os.kill(int(stat.read().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)
            time.sleep(30)
        return rows

    def tried_again(group):
        tracker = sc.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        return any(stage and stage.currentAttemptId > 0 for stage in stages)

    # An executor is lost with its shuffle files until a stage is tried again for want of them.
    for turn in range(6):
        wide = sc.parallelize(range(100), 6).map(lambda x: (x % 5, x)).groupByKey(3)
        whatever(lambda: wide.count())
        group = "executor lost %d" % turn
        sc.setJobGroup(group, "an executor is lost")
        whatever(lambda: wide.mapPartitionsWithIndex(dies).collect())
        if tried_again(group):
            break
        if os.path.exists(os.path.join(where, "died")):
            os.remove(os.path.join(where, "died"))
    wait(lambda: executors(sc) == 3, 20)
    kept.unpersist(True)
    whatever(lambda: sc.parallelize(range(6), 3).count())
    time.sleep(1.5)
    sc.stop()


def profiles():
    from pyspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests
    script = os.path.join(tempfile.mkdtemp(), "gpus.sh")
    with open(script, "w") as out:
        out.write("#!/bin/sh\necho '{\"name\": \"gpu\", \"addresses\": [\"0\", \"1\"]}'\n")
    os.chmod(script, 0o755)
    made = conf(
        "resource profiles", master="local-cluster[2,2,1024]", spark__executor__memory="512m",
        spark__worker__resource__gpu__amount="2", spark__worker__resource__gpu__discoveryScript=script,
        spark__executor__resource__gpu__amount="1", spark__executor__resource__gpu__discoveryScript=script, spark__task__resource__gpu__amount="1",
        spark__dynamicAllocation__enabled="true", spark__dynamicAllocation__shuffleTracking__enabled="true",
        spark__dynamicAllocation__minExecutors="0", spark__dynamicAllocation__initialExecutors="1", spark__dynamicAllocation__maxExecutors="2",
        spark__dynamicAllocation__executorIdleTimeout="1s", spark__dynamicAllocation__schedulerBacklogTimeout="1s",
        spark__executor__cores="1")
    sc = SparkContext(conf=made)
    sc.parallelize(range(8), 4).map(lambda x: time.sleep(0.5)).collect()
    wanted = ResourceProfileBuilder()
    wanted.require(ExecutorResourceRequests().cores(1).memory("600m").resource("gpu", 1, discoveryScript=script))
    wanted.require(TaskResourceRequests().cpus(1).resource("gpu", 1))
    sc.parallelize(range(4), 2).withResources(wanted.build).map(lambda x: x).collect()
    wait(lambda: executors(sc) == 0, 30)
    sc.stop()


def codec(name, rolling="false"):
    def run():
        spark = session(conf("codec " + name, spark__eventLog__compress="true", spark__eventLog__compression__codec=name,
                             spark__io__compression__codec=name, spark__eventLog__rolling__enabled=rolling))
        for _ in range(3):
            spark.range(0, 1000, 1, 8).selectExpr("id % 5 as k").groupBy("k").count().collect()
        spark.stop()
    return run


def rolling():
    spark = session(conf("rolling", spark__eventLog__rolling__enabled="true", spark__eventLog__rolling__maxFileSize="10m"))
    spark.range(0, 3600, 1, 3600).selectExpr("sum(id)").collect()
    spark.range(10).selectExpr("sum(id)").collect()
    spark.stop()


GROUPS = {
    "cluster": [cluster],
    "profiles": [profiles],
    "local": [sql, rdd, empty, failures, streaming, dstreams, rolling, codec("zstd", rolling="true"), codec("lz4"), codec("snappy"), codec("lzf")],
}


def main(group, logs):
    global LOGS
    LOGS = logs
    os.makedirs(logs, exist_ok=True)
    if group == "list":
        print("\n".join(GROUPS))
        return
    for application in GROUPS[group]:
        application()


main(sys.argv[1], os.path.abspath(sys.argv[2]))
