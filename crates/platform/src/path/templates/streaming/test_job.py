from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.conf.set("spark.sql.shuffle.partitions", "1")


def test_events_are_counted_by_second_and_digit():
    events = spark.sql(
        "SELECT * FROM VALUES (TIMESTAMP'2026-01-01 00:00:00.1', 1L), (TIMESTAMP'2026-01-01 00:00:00.9', 11L), "
        "(TIMESTAMP'2026-01-01 00:00:01.0', 1L), (TIMESTAMP'2026-01-01 00:00:01.5', 2L) AS events(timestamp, value)"
    )
    found = sorted((row.second.second, row.digit, row.events) for row in job.counts(events).collect())
    assert found == [(0, 1, 2), (1, 1, 1), (1, 2, 1)]


def test_a_query_that_begins_again_goes_on_at_its_checkpoint(tmp_path):
    events, output, checkpoint = (str(tmp_path / name) for name in ("in", "out", "checkpoint"))

    def put(statement):
        spark.sql(f"SELECT * FROM VALUES {statement} AS events(timestamp, value)").coalesce(1).write.mode("append").json(events)

    def work():
        counted = job.counts(job.source(spark, events))
        writer = counted.writeStream.outputMode("append").option("checkpointLocation", checkpoint)
        writer.trigger(availableNow=True).start(output).awaitTermination()
        return job.rows(spark, output)

    put("(TIMESTAMP'2026-01-01 00:00:00', 1L)")
    put("(TIMESTAMP'2026-01-01 00:01:00', 1L)")
    assert work() == 1
    assert work() == 1
    put("(TIMESTAMP'2026-01-01 00:02:00', 1L)")
    assert work() == 2
