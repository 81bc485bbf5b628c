"""A table that real Spark writes to a branch, and that stoke publishes, between the writes of one session."""
import json
import os
import subprocess
import sys

from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.lake.cache-enabled", "false")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
TABLE = "lake.shop.orders"


def stoke(code, *arguments):
    done = subprocess.run([os.environ["STOKE"], "release", *arguments], capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode != code:
        sys.exit(f"stoke {arguments} ended with {done.returncode} instead of {code}: {said}")
    return said


def publish(code, part=""):
    said = stoke(code, "publish", "orders", "--in", "prod")
    if part not in said:
        sys.exit(f"{part} is not in {said}")


def back(code=0):
    stoke(code, "rollback", "--in", "prod", "--data", "orders")


def apart(sql):
    """What a run of the release does, with the configuration that it is delivered with."""
    spark.conf.set("spark.wap.branch", "stoke")
    spark.conf.set("spark.sql.iceberg.snapshot-property.stoke.release", release)
    try:
        spark.sql(sql)
    finally:
        spark.conf.unset("spark.wap.branch")
        spark.conf.unset("spark.sql.iceberg.snapshot-property.stoke.release")


def see(*wanted):
    """What readers see."""
    found = sorted(row.id for row in spark.table(TABLE).collect())
    if found != sorted(wanted):
        sys.exit(f"readers see {found} instead of {wanted}")


listed = json.loads(stoke(0, "list", "--output", "json"))
release = listed[-1]["digest"]
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.shop")
spark.sql(f"CREATE TABLE {TABLE} (id BIGINT, amount DOUBLE) USING iceberg TBLPROPERTIES ('write.wap.enabled'='true')")
publish(3, "release-data-branch")
spark.sql(f"INSERT INTO {TABLE} VALUES (1, 1.5), (2, 2.5)")
see(1, 2)
apart(f"INSERT INTO {TABLE} VALUES (3, 3.5)")
see(1, 2)
publish(0)
see(1, 2, 3)
publish(0, "already")
by = spark.sql(f"SELECT summary['stoke.release'] AS by FROM {TABLE}.snapshots ORDER BY committed_at DESC").first().by
if by != release:
    sys.exit(f"the snapshot says it is of {by}, not of {release}")
# Data that are not as the contract says: readers see what they saw.
apart(f"INSERT INTO {TABLE} VALUES (4, -4.5)")
publish(1, "release-data-audit")
see(1, 2, 3)
spark.sql(f"ALTER TABLE {TABLE} DROP BRANCH stoke")
# Good ones, and back; the branch goes with them, and the next run begins with what readers see.
apart(f"INSERT INTO {TABLE} VALUES (5, 5.5)")
apart(f"UPDATE {TABLE} SET amount = 9.5 WHERE id = 1")
publish(0)
see(1, 2, 3, 5)
back()
see(1, 2, 3)
refs = sorted(row.name for row in spark.table(f"{TABLE}.refs").collect())
if refs != ["main", "stoke-before"]:
    sys.exit(f"references: {refs}")
apart(f"INSERT INTO {TABLE} VALUES (6, 6.5)")
publish(0)
see(1, 2, 3, 6)
# Another writer publishes in between.
apart(f"INSERT INTO {TABLE} VALUES (7, 7.5)")
spark.sql(f"INSERT INTO {TABLE} VALUES (8, 8.5)")
publish(1, "release-data-behind")
back(1)
see(1, 2, 3, 6, 8)
spark.sql(f"ALTER TABLE {TABLE} DROP BRANCH stoke")
apart(f"INSERT INTO {TABLE} VALUES (9, 9.5)")
publish(0)
# Another schema comes with a branch.
spark.sql(f"ALTER TABLE {TABLE} ADD COLUMN note STRING")
apart(f"INSERT INTO {TABLE} VALUES (10, 10.5, 'late')")
publish(0)
back()
see(1, 2, 3, 6, 8, 9)
# Without the property runs write where readers read.
spark.sql(f"ALTER TABLE {TABLE} SET TBLPROPERTIES ('write.wap.enabled'='false')")
publish(1, "release-data-wap")
print("all as it must be")
