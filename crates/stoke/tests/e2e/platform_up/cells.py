import json
import os
import urllib.request as web

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.shop")
spark.sql("CREATE TABLE lake.shop.orders (id BIGINT) USING iceberg")
spark.range(5).writeTo("lake.shop.orders").append()
print("orders", spark.table("lake.shop.orders").count(), flush=True)

spark.sql("CREATE TABLE lake.shop.said (said STRING) USING iceberg")
stream = spark.readStream.format("kafka").option("subscribe", "orders").option("startingOffsets", "earliest")
stream = stream.option("kafka.bootstrap.servers", "stream.lakehouse.svc:9092").load().selectExpr("CAST(value AS STRING) AS said")
written = stream.writeStream.trigger(availableNow=True).option("checkpointLocation", "s3a://lakehouse/checkpoints/said")
query = written.toTable("lake.shop.said")
query.awaitTermination(240)
print("said", [row.said for row in spark.table("lake.shop.said").collect()], flush=True)


def tracking(call, body):
    address = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/{call}"
    asked = web.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(web.urlopen(asked, timeout=60))


experiment = tracking("experiments/create", {"name": "tea"})["experiment_id"]
run = tracking("runs/create", {"experiment_id": experiment, "run_name": "first"})["run"]["info"]["run_id"]
tracking("runs/log-metric", {"run_id": run, "key": "orders", "value": 5, "timestamp": 1})
print("run", tracking("runs/search", {"experiment_ids": [experiment]})["runs"][0]["info"]["run_name"], flush=True)
