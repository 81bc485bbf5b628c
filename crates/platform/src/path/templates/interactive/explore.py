"""What a notebook begins with: `stoke connect {{name}} -- python explore.py`."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F


def squares(spark: SparkSession, count: int) -> DataFrame:
    return spark.range(count).select("id", (F.col("id") * F.col("id")).alias("square"))


if __name__ == "__main__":
    # SPARK_REMOTE, which `stoke connect` sets, says where the server is.
    squares(SparkSession.builder.getOrCreate(), 10).show()
