"""Customers in, a score for each out: how likely it is that the customer leaves.

The model is a logistic regression that Spark itself computes, so that the job needs no library. With MLFLOW_TRACKING_URI set and mlflow installed the
run is recorded there.
"""

import argparse
import math
import os

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

CUSTOMERS = "customer_id LONG, months DOUBLE, complaints DOUBLE, left DOUBLE"
FEATURES = ["months", "complaints"]


def sample(spark: SparkSession) -> DataFrame:
    """Customers that are made up: those with many complaints and few months leave."""
    customers = spark.range(2_000, numPartitions=4).select(
        F.col("id").alias("customer_id"),
        (F.col("id") % 60).cast("double").alias("months"),
        (F.floor(F.col("id") / 60) % 6).cast("double").alias("complaints"),
    )
    left = (F.col("complaints") * 10 > F.col("months")).cast("double")
    return customers.withColumn("left", left)


def scaled(customers: DataFrame) -> DataFrame:
    """Every feature between 0 and 1, by the least and the greatest value there is; one that is always the same is 0."""
    bounds = [bound(F.col(name)).alias(f"{bound.__name__}_{name}") for name in FEATURES for bound in (F.min, F.max)]
    known = customers.agg(*bounds).first()
    frame = customers
    for name in FEATURES:
        least, most = known[f"min_{name}"], known[f"max_{name}"]
        width = most - least
        value = (F.col(name) - F.lit(least)) / F.lit(width) if width else F.lit(0.0)
        frame = frame.withColumn(name, value)
    return frame


def score(weights: list):
    """The column of the score: the last weight is the bias."""
    total = F.lit(weights[-1])
    for weight, name in zip(weights, FEATURES):
        total = total + F.lit(weight) * F.col(name)
    return F.lit(1.0) / (F.lit(1.0) + F.exp(-total))


def train(customers: DataFrame, steps: int = 15, rate: float = 4.0) -> tuple:
    """Gradient descent over scaled customers: the weights, and the mean loss before each step."""
    weights, losses = [0.0] * (len(FEATURES) + 1), []
    for _ in range(steps):
        guess, truth = score(weights), F.col("left")
        error = guess - truth
        safe = F.greatest(F.when(truth == 1, guess).otherwise(1 - guess), F.lit(1e-12))
        sums = [F.avg(error * F.col(name)) for name in FEATURES] + [F.avg(error)]
        *gradient, loss = customers.agg(*sums, F.avg(-F.log(safe))).first()
        losses.append(loss)
        weights = [weight - rate * slope for weight, slope in zip(weights, gradient)]
    return weights, losses


def record(weights: list, losses: list) -> str:
    """Records the run where MLflow is; says where, or why not."""
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        return "not recorded: MLFLOW_TRACKING_URI is not set"
    try:
        import mlflow
    except ImportError:
        return "not recorded: mlflow is not installed in the image"
    with mlflow.start_run():
        mlflow.log_params({f"weight_{name}": weight for name, weight in zip([*FEATURES, "bias"], weights)})
        for step, loss in enumerate(losses):
            mlflow.log_metric("loss", loss, step=step)
    return f"recorded at {address}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    if arguments.customers == "sample":
        customers = sample(spark)
    else:
        customers = spark.read.schema(CUSTOMERS).json(arguments.customers)
    customers = scaled(customers).cache()
    weights, losses = train(customers)
    if not losses[-1] < losses[0] or math.isnan(losses[-1]):
        raise SystemExit(f"the model has learned nothing: {losses}")
    customers.select("customer_id", score(weights).alias("score")).write.mode("overwrite").parquet(arguments.output)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, {customers.count()} scores written to {arguments.output}; {record(weights, losses)}")
    spark.stop()


if __name__ == "__main__":
    main()
