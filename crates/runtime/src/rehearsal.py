# A short run through what most jobs use. It is recorded once for each Spark and Java, and the ahead-of-time caches are made of it.
import shutil
import sys

from pyspark.sql import SparkSession, functions as F
from pyspark.sql.window import Window

spark = SparkSession.builder.appName("rehearsal").getOrCreate()
context = spark.sparkContext

pairs = context.parallelize(range(20000), 4).map(lambda x: (x % 100, x))
assert pairs.reduceByKey(lambda a, b: a + b).values().sum() == 20000 * 19999 // 2

rows = spark.range(100000).selectExpr("id", "id % 100 as k", "cast(id as double) / 3 as x", "concat('name', id % 7) as name")
names = spark.createDataFrame([(i, f"name{i}") for i in range(7)], ["n", "name"])
joined = rows.join(names, "name").groupBy("k").agg(F.sum("n"), F.avg("x"), F.countDistinct("name")).orderBy("k")
assert len(joined.collect()) == 100
ranked = rows.withColumn("rank", F.row_number().over(Window.partitionBy("k").orderBy(F.desc("id")))).filter("rank = 1")
assert ranked.count() == 100
twice = F.udf(lambda x: x * 2, "long")
assert rows.limit(50).select(twice("id").alias("twice")).agg(F.sum("twice")).first()[0] is not None
rows.createOrReplaceTempView("rows")
spark.sql("select k, count(*) as n from rows where x > 10 group by k having n > 1 order by n desc limit 5").show()


# A directory that driver and executor share.
directory = sys.argv[1]
rows.write.mode("overwrite").partitionBy("name").parquet(directory)
assert spark.read.parquet(directory).where("name = 'name1'").count() == 14286
shutil.rmtree(directory)
assert rows.cache().count() == 100000
spark.stop()
