from pyspark.sql import SparkSession

import explore

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()


def test_squares():
    assert [row.square for row in explore.squares(spark, 4).collect()] == [0, 1, 4, 9]
