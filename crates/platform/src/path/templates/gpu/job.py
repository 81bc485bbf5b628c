"""Every task says which GPU it was given; replace `work` by what computes on it."""

import sys

from pyspark import TaskContext
from pyspark.sql import SparkSession


def work(addresses: list, rows) -> tuple:
    """The GPUs of a task, and the sum of its rows. A library that computes on the GPU takes the address from here."""
    if not addresses:
        raise RuntimeError("the task was given no GPU")
    return ",".join(addresses), sum(rows)


def task(rows):
    context = TaskContext.get()
    gpu = context.resources().get("gpu") if context else None
    yield work(list(gpu.addresses) if gpu else [], rows)


def main() -> None:
    tasks = int(sys.argv[1])
    spark = SparkSession.builder.getOrCreate()
    numbers = spark.sparkContext.parallelize(range(1_000 * tasks), tasks)
    found = numbers.mapPartitions(task).collect()
    for address in sorted({address for address, _ in found}):
        print(f"GPU {address}: {sum(1 for one, _ in found if one == address)} tasks")
    if sum(total for _, total in found) != sum(range(1_000 * tasks)):
        raise SystemExit("the sum is wrong")
    spark.stop()


if __name__ == "__main__":
    main()
