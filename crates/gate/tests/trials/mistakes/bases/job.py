from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.appName("sales").getOrCreate()
day = "2026-01-01"
frame = spark.sql(f"""
    SELECT id, amount
    FROM staging.orders
    WHERE dt = '{day}'
""")
frame = frame.filter(F.expr("amount > 10")).selectExpr("id", "amount * 2 AS twice")
frame = frame.where("twice > 20")
names = spark.read.schema("id BIGINT, name STRING").json("names.json")
tags = names.withColumn("tag", F.from_json("name", "k STRING, v ARRAY<INT>"))
made = spark.createDataFrame([], schema="a int, b string")
tags = tags.withColumn("price", F.col("id").cast("decimal(10, 2)"))
tags.join(made, tags["id"].cast("int") == made["a"]).mapInPandas(lambda parts: parts, "a: int, b: string")
frame.createOrReplaceTempView("orders")
spark.sql("SELECT count(*) FROM orders").show()
spark.stop()
