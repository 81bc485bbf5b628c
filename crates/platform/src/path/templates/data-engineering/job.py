"""Changes of customers in, their latest state out; what is not valid is set aside with the reason."""

import argparse

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

CHANGES = "customer_id LONG, email STRING, changed TIMESTAMP"


def sample(spark: SparkSession) -> DataFrame:
    """Changes that are made up: every customer changes three times, and every forty-ninth change has no valid address."""
    return spark.range(3_000, numPartitions=4).select(
        (F.col("id") % 1_000).alias("customer_id"),
        F.when(F.col("id") % 49 == 0, F.lit("nowhere"))
        .otherwise(F.concat(F.lit("c"), F.col("id").cast("string"), F.lit("@example.com")))
        .alias("email"),
        F.expr("TIMESTAMP'2026-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, 0, id)").alias("changed"),
    )


def judged(changes: DataFrame) -> DataFrame:
    """The changes with a column `reason`, which is null for those that are valid."""
    reason = (
        F.when(F.col("customer_id").isNull(), F.lit("no customer"))
        .when(~F.coalesce(F.col("email"), F.lit("")).rlike("^[^@]+@[^@]+$"), F.lit("not an address"))
        .when(F.col("changed").isNull(), F.lit("no time"))
    )
    return changes.withColumn("reason", reason)


def latest(valid: DataFrame) -> DataFrame:
    """The latest change of each customer; of two at the same time, the one with the greater address, so that it is always the same."""
    newest = Window.partitionBy("customer_id").orderBy(F.desc("changed"), F.desc("email"))
    ranked = valid.withColumn("place", F.row_number().over(newest))
    return ranked.where("place = 1").select("customer_id", "email", "changed")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--rejected", required=True)
    arguments = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    if arguments.changes == "sample":
        changes = sample(spark)
    else:
        changes = spark.read.schema(CHANGES).json(arguments.changes)
    all_changes = judged(changes)
    latest(all_changes.where("reason IS NULL")).write.mode("overwrite").parquet(arguments.output)
    all_changes.where("reason IS NOT NULL").write.mode("overwrite").parquet(arguments.rejected)
    kept = spark.read.parquet(arguments.output).count()
    rejected = spark.read.parquet(arguments.rejected).count()
    print(f"{kept} customers written to {arguments.output}, {rejected} changes set aside in {arguments.rejected}")
    spark.stop()


if __name__ == "__main__":
    main()
