from pathlib import Path

from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
REPORT = Path(__file__).parent.parent / "report.sql"


def test_statements_end_where_a_semicolon_is_not_part_of_a_text():
    assert job.statements("SELECT 1; SELECT ';' AS a; -- no; one\nSELECT /* ; */ `a;b`") == [
        "SELECT 1",
        "SELECT ';' AS a",
        "SELECT  `a;b`",
    ]
    assert job.statements(r"SELECT '\'; '") == [r"SELECT '\'; '"]
    assert job.statements(" ;; -- nothing") == []


def test_the_report_has_every_region():
    rows = job.run(spark, REPORT.read_text(encoding="utf-8")).collect()
    assert {row.region for row in rows} == {f"region-{n}" for n in range(4)}
    assert sum(row.sales for row in rows) == sum(n % 90 + 10 for n in range(8000))
