from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("sales").getOrCreate()
day = "2026-01-01"
frame = spark.sql(f"""
    SELECT id, amount
    FROM staging.orders
    WHERE dt = '{day}'
""")
frame.createOrReplaceTempView("orders")
spark.sql("SELECT count(*) FROM orders").show()
spark.stop()
