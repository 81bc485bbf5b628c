from pyspark.sql import SparkSession

import job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()


def test_revenue_is_summed_by_day_and_country():
    orders = spark.sql(
        "SELECT * FROM VALUES (1L, 1L, DATE'2026-01-01', 2.5D), (2L, 1L, DATE'2026-01-01', 1.5D), (3L, 9L, DATE'2026-01-02', 1.0D) "
        "AS orders(order_id, customer_id, day, amount)"
    )
    customers = spark.sql("SELECT * FROM VALUES (1L, 'CH') AS customers(customer_id, country)")
    rows = {(row.country, row.orders, row.revenue) for row in job.revenue(orders, customers).collect()}
    assert rows == {("CH", 2, 4.0), ("unknown", 1, 1.0)}


def test_amounts_below_zero_are_left_out():
    orders = spark.sql("SELECT 1L AS order_id, 1L AS customer_id, DATE'2026-01-01' AS day, -1.0D AS amount")
    customers = spark.sql("SELECT 1L AS customer_id, 'CH' AS country")
    assert job.revenue(orders, customers).count() == 0


def test_the_sample_has_every_country():
    rows = job.revenue(job.sample_orders(spark), job.sample_customers(spark)).collect()
    assert {row.country for row in rows} == {f"country-{n}" for n in range(5)}
    assert sum(row.orders for row in rows) == 10_000
