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
frame.createOrReplaceTempView("orders")
spark.sql("SELECT count(*) FROM orders").show()
spark.stop()
