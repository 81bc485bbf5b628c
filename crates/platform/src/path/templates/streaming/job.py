"""Events in as they come, their number by second and digit out."""

import argparse
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

EVENTS = "timestamp TIMESTAMP, value LONG"


def source(spark: SparkSession, place: str) -> DataFrame:
    """`sample` makes events up; anything else is a directory into which files of JSON lines are put."""
    if place == "sample":
        return spark.readStream.format("rate").option("rowsPerSecond", 20).load()
    return spark.readStream.schema(EVENTS).json(place)


def counts(events: DataFrame, late: str = "2 seconds") -> DataFrame:
    """Events later than `late` behind the latest one do not count: a second is written once, when it is over."""
    window = F.window("timestamp", "1 second")
    digit = (F.col("value") % 10).alias("digit")
    counted = events.withWatermark("timestamp", late).groupBy(window, digit).agg(F.count("*").alias("events"))
    return counted.select(F.col("window.start").alias("second"), "digit", "events")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--stop-after", type=int, metavar="ROWS")
    arguments = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    writer = counts(source(spark, arguments.events)).writeStream.queryName("counts").outputMode("append")
    query = writer.format("parquet").trigger(processingTime="2 seconds").start(arguments.output)
    if arguments.stop_after is None:
        query.awaitTermination()
    while query.isActive and rows(spark, arguments.output) < arguments.stop_after:
        time.sleep(1)
    if query.exception():
        raise SystemExit(str(query.exception()))
    query.stop()
    print(f"{rows(spark, arguments.output)} rows of counts written to {arguments.output}")
    spark.stop()


def rows(spark: SparkSession, place: str) -> int:
    """Rows that are committed; none before the first batch."""
    schema = "second TIMESTAMP, digit LONG, events LONG"
    try:
        return spark.read.schema(schema).parquet(place).count()
    except Exception as error:  # The directory is made with the first batch.
        if "PATH_NOT_FOUND" in str(error):
            return 0
        raise


if __name__ == "__main__":
    main()
