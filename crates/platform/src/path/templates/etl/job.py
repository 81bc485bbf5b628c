"""Orders and customers in, revenue by day and country out."""

import argparse

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

ORDERS = "order_id LONG, customer_id LONG, day DATE, amount DOUBLE"
CUSTOMERS = "customer_id LONG, country STRING"


def sample_orders(spark: SparkSession) -> DataFrame:
    """Orders that are made up, so that the job runs before it has data."""
    return spark.range(10_000, numPartitions=4).select(
        F.col("id").alias("order_id"),
        (F.col("id") % 100).alias("customer_id"),
        F.expr("date_add(DATE'2026-01-01', CAST(id % 7 AS INT))").alias("day"),
        (F.col("id") % 50 + 1).cast("double").alias("amount"),
    )


def sample_customers(spark: SparkSession) -> DataFrame:
    return spark.range(100).select(
        F.col("id").alias("customer_id"),
        F.concat(F.lit("country-"), (F.col("id") % 5).cast("string")).alias("country"),
    )


def read(spark: SparkSession, place: str, schema: str, sample) -> DataFrame:
    if place == "sample":
        return sample(spark)
    return spark.read.option("header", True).schema(schema).csv(place)


def revenue(orders: DataFrame, customers: DataFrame) -> DataFrame:
    """Orders without a known customer count for the country `unknown`; amounts below zero are left out."""
    known = orders.where(F.col("amount") >= 0).join(customers, "customer_id", "left")
    country = F.coalesce(F.col("country"), F.lit("unknown")).alias("country")
    return known.groupBy("day", country).agg(
        F.count("*").alias("orders"), F.sum("amount").alias("revenue")
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", required=True)
    parser.add_argument("--customers", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    orders = read(spark, arguments.orders, ORDERS, sample_orders)
    customers = read(spark, arguments.customers, CUSTOMERS, sample_customers)
    revenue(orders, customers).write.mode("overwrite").parquet(arguments.output)
    written = spark.read.parquet(arguments.output)
    print(f"{written.count()} rows of revenue written to {arguments.output}")
    spark.stop()


if __name__ == "__main__":
    main()
