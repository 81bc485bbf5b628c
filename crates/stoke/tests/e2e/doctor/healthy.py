"""Healthy runs: each writes an event log of its own. Arguments: where to write event logs, where to write data."""
import sys

from pyspark import SparkConf, SparkContext, StorageLevel
from pyspark.sql import SparkSession

LOGS, DATA = sys.argv[1:3]


def count(spark):
    assert spark.range(1000).count() == 1000


def aggregate(spark):
    rows = spark.range(20000).selectExpr("id % 7 AS k", "id").groupBy("k").sum("id").collect()
    assert len(rows) == 7


def join(spark):
    left, right = spark.range(5000), spark.range(0, 5000, 2)
    assert left.join(right, "id").count() == 2500


def window(spark):
    spark.range(3000).selectExpr("id", "row_number() OVER (PARTITION BY id % 10 ORDER BY id) AS n").collect()


def write_and_read(spark):
    path = f"{DATA}/{spark.sparkContext.applicationId}"
    spark.range(10000).repartition(2).write.parquet(path)
    assert spark.read.parquet(path).count() == 10000


def rdd(spark):
    numbers = spark.sparkContext.parallelize(range(2000), 4)
    assert numbers.map(lambda x: (x % 5, x)).reduceByKey(lambda a, b: a + b).count() == 5


def cached(spark):
    frame = spark.range(10000).persist(StorageLevel.MEMORY_AND_DISK)
    assert frame.count() == frame.count()
    frame.unpersist()


def python_udf(spark):
    from pyspark.sql.functions import udf

    double = udf(lambda x: x * 2, "long")
    assert spark.range(100).select(double("id")).count() == 100


def broadcast(spark):
    table = spark.sparkContext.broadcast({n: n * n for n in range(1000)})
    assert spark.sparkContext.parallelize(range(100), 2).map(lambda n: table.value[n]).sum() == 328350


def sorted_and_limited(spark):
    assert spark.range(10000).orderBy("id", ascending=False).first()[0] == 9999


def union(spark):
    assert spark.range(10).union(spark.range(10)).distinct().count() == 10


def caught(spark):
    try:
        spark.sql("SELECT nothing_of_this_name").collect()
    except Exception:
        pass
    assert spark.range(5).count() == 5


def streaming(spark):
    query = spark.readStream.format("rate").load().writeStream.format("noop").trigger(once=True).start()
    query.awaitTermination(60)


def nothing_at_all(_):
    pass


def non_ascii(spark):
    assert spark.createDataFrame([("zürich", 1), ("東京", 2)], ["stadt", "n"]).where("stadt = '東京'").count() == 1


PROGRAMS = [
    count, aggregate, join, window, write_and_read, rdd, cached, python_udf, broadcast, sorted_and_limited, union, caught,
    streaming, nothing_at_all, non_ascii,
]  # fmt: skip

for program in PROGRAMS:
    conf = (
        SparkConf()
        .setMaster("local[2]")
        .setAppName(program.__name__)
        .set("spark.ui.enabled", "false")
        .set("spark.sql.shuffle.partitions", "4")
        .set("spark.eventLog.enabled", "true")
        .set("spark.eventLog.dir", LOGS)
    )
    context = SparkContext(conf=conf)
    session = SparkSession(context)
    program(session)
    session.stop()
    SparkSession._instantiatedSession = None
