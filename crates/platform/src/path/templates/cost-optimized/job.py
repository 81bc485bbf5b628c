"""Events in, their number by hour and kind out.

Executors may go at any time, so everything here may be done twice: nothing depends on the order of rows, on random numbers or on the clock, and the
output replaces what was there.
"""

import argparse

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

EVENTS = "event_id LONG, at TIMESTAMP, kind STRING"


def sample(spark: SparkSession) -> DataFrame:
    """Events that are made up, so that the job runs before it has data."""
    return spark.range(50_000, numPartitions=8).select(
        F.col("id").alias("event_id"),
        F.expr("TIMESTAMP'2026-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, 0, id % 86400)").alias("at"),
        F.concat(F.lit("kind-"), (F.col("id") % 3).cast("string")).alias("kind"),
    )


def counts(events: DataFrame) -> DataFrame:
    """An event that was delivered twice counts once."""
    once = events.dropDuplicates(["event_id"])
    return once.groupBy(F.date_trunc("hour", "at").alias("hour"), "kind").agg(F.count("*").alias("events"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    if arguments.events == "sample":
        events = sample(spark)
    else:
        events = spark.read.schema(EVENTS).json(arguments.events)
    counts(events).write.mode("overwrite").parquet(arguments.output)
    print(f"{spark.read.parquet(arguments.output).count()} rows of counts written to {arguments.output}")
    spark.stop()


if __name__ == "__main__":
    main()
