from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()


def rows(frame):
    return sorted((row.kind, row.events) for row in frame.collect())


def test_an_event_that_was_delivered_twice_counts_once():
    events = spark.sql(
        "SELECT * FROM VALUES (1L, TIMESTAMP'2026-01-01 10:05:00', 'a'), (1L, TIMESTAMP'2026-01-01 10:05:00', 'a'), "
        "(2L, TIMESTAMP'2026-01-01 10:59:59', 'a'), (3L, TIMESTAMP'2026-01-01 11:00:00', 'b') AS events(event_id, at, kind)"
    )
    assert rows(job.counts(events)) == [("a", 2), ("b", 1)]


def test_a_run_that_is_repeated_gives_the_same():
    assert rows(job.counts(job.sample(spark))) == rows(job.counts(job.sample(spark).repartition(3)))
