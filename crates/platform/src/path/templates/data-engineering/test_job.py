from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()


def changes(*rows):
    return spark.sql(f"SELECT * FROM VALUES {', '.join(rows)} AS changes(customer_id, email, changed)")


def test_the_latest_change_wins():
    frame = changes(
        "(1L, 'old@example.com', TIMESTAMP'2026-01-01 00:00:00')",
        "(1L, 'new@example.com', TIMESTAMP'2026-01-02 00:00:00')",
        "(2L, 'b@example.com', TIMESTAMP'2026-01-01 00:00:00')",
        "(2L, 'a@example.com', TIMESTAMP'2026-01-01 00:00:00')",
    )
    rows = {row.customer_id: row.email for row in job.latest(frame).collect()}
    assert rows == {1: "new@example.com", 2: "b@example.com"}


def test_what_is_not_valid_is_set_aside_with_the_reason():
    frame = changes(
        "(1L, 'a@example.com', TIMESTAMP'2026-01-01 00:00:00')",
        "(CAST(NULL AS BIGINT), 'a@example.com', TIMESTAMP'2026-01-01 00:00:00')",
        "(2L, 'nowhere', TIMESTAMP'2026-01-01 00:00:00')",
        "(3L, CAST(NULL AS STRING), TIMESTAMP'2026-01-01 00:00:00')",
        "(4L, 'd@example.com', CAST(NULL AS TIMESTAMP))",
    )
    reasons = [row.reason for row in job.judged(frame).collect()]
    assert reasons == [None, "no customer", "not an address", "not an address", "no time"]


def test_nothing_of_the_sample_is_lost():
    judged = job.judged(job.sample(spark))
    assert judged.where("reason IS NOT NULL").count() == 62
    assert job.latest(judged.where("reason IS NULL")).count() == 1_000
