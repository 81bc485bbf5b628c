"""The application whose metrics are recorded: it touches every source of a driver and of executors, then waits until it has been scraped.

Arguments: a directory to work in. It writes `ready` there with the address of its UI, and ends when `done` appears.
"""
import pathlib
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

place = pathlib.Path(sys.argv[1])
spark = SparkSession.builder.getOrCreate()
numbers = spark.range(200_000).withColumn("k", F.col("id") % 13)
numbers.cache().groupBy("k").count().collect()
numbers.repartition(4).write.mode("overwrite").parquet(str(place / "numbers"))
spark.read.parquet(str(place / "numbers")).join(numbers, "id").count()
spark.sparkContext.parallelize(range(1000), 4).map(lambda n: (n % 7, n)).reduceByKey(lambda a, b: a + b).collect()

rate = spark.readStream.format("rate").option("rowsPerSecond", 20).load()
counts = rate.withWatermark("timestamp", "10 seconds").groupBy(F.window("timestamp", "5 seconds")).count()
query = counts.writeStream.queryName("recordedquery").format("memory").outputMode("update").start()
try:
    from pyspark.streaming import StreamingContext

    batches = StreamingContext(spark.sparkContext, 2)
    batches.queueStream([spark.sparkContext.parallelize(range(10))]).foreachRDD(lambda rdd: rdd.count())
    batches.start()
except ImportError:
    print("this Spark has no StreamingContext", file=sys.stderr)
time.sleep(20)
(place / "ready").write_text(spark.sparkContext.uiWebUrl)
while not (place / "done").exists():
    time.sleep(0.5)
# Everything has been scraped: an orderly end is worth nothing any more, and streams take long to stop.
spark.sparkContext._gateway.jvm.java.lang.Runtime.getRuntime().halt(0)
