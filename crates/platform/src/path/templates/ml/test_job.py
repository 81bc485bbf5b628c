from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.conf.set("spark.sql.shuffle.partitions", "1")


def test_features_are_between_0_and_1():
    frame = spark.sql("SELECT * FROM VALUES (1L, 10D, 3D, 0D), (2L, 30D, 3D, 1D) AS t(customer_id, months, complaints, left)")
    rows = [(row.months, row.complaints) for row in job.scaled(frame).orderBy("customer_id").collect()]
    assert rows == [(0.0, 0.0), (1.0, 0.0)]


def test_the_model_learns_who_leaves():
    customers = job.scaled(job.sample(spark)).coalesce(1).cache()
    weights, losses = job.train(customers, steps=8)
    assert losses[-1] < 0.7 * losses[0]
    months, complaints, _ = weights
    assert months < 0 < complaints


def test_what_is_not_recorded_is_said(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert job.record([0.0], [1.0]).startswith("not recorded: MLFLOW_TRACKING_URI")
