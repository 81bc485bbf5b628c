"""Tables as real Spark writes them, and what it reads of them.

    spark-submit --packages … make.py DIRECTORY

Makes Delta and Iceberg tables below the directory, and for each a file `NAME.json` with its place, columns and rows.
"""

import json
import os
import shutil
import sys

from pyspark.sql import SparkSession

out = os.path.abspath(sys.argv[1])
shutil.rmtree(out, ignore_errors=True)
os.makedirs(out)
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension,org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.catalog.ice", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.ice.type", "hadoop")
    .config("spark.sql.catalog.ice.warehouse", out + "/ice")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
sql = spark.sql

ROWS = (
    "select id, cast(id %% 3 as int) as grp, concat('v', id) as txt, cast(id * 1.5 as double) as num, "
    "date_add(date'2026-01-01', cast(id as int)) as day from range(%d)"
)


def note(name, table, path, **more):
    read = sql("select * from %s" % table)
    found = {"path": path, "columns": read.columns, **more}
    if not more:
        found["rows"] = [row.asDict() for row in read.collect()]
    with open("%s/%s.json" % (out, name), "w") as file:
        json.dump(found, file, default=str)


def delta(name):
    return "delta.`%s/%s`" % (out, name), "%s/%s" % (out, name)


def deletion_vectors():
    table, path = delta("dv")
    sql("create table %s using delta tblproperties('delta.enableDeletionVectors'='true') as %s" % (table, ROWS % 1000))
    sql("delete from %s where id %% 7 = 0" % table)
    sql("delete from %s where id = 500" % table)
    sql("update %s set txt = 'changed' where id between 10 and 12" % table)
    note("dv", table, path)
    table, path = delta("dvbig")
    rows = spark.range(0, 300000, 1, 1).selectExpr("id", "id % 5 as grp")
    rows.write.format("delta").option("delta.enableDeletionVectors", "true").save(path)
    sql("delete from %s where id %% 3 = 0 and id < 150000" % table)
    sql("delete from %s where id between 200000 and 280000" % table)
    count, total = sql("select count(*), sum(id) from %s" % table).first()
    note("dvbig", table, path, count=count, sum=total)


def mapped():
    mapping = "tblproperties('delta.columnMapping.mode'='%s', 'delta.minReaderVersion'='2', 'delta.minWriterVersion'='5')"
    table, path = delta("mapname")
    sql("create table %s (id bigint, grp int, txt string) using delta partitioned by (grp) %s" % (table, mapping % "name"))
    sql("insert into %s select id, cast(id %% 3 as int), concat('v', id) from range(20)" % table)
    sql("alter table %s rename column txt to label" % table)
    sql("alter table %s add column extra double" % table)
    sql("insert into %s values (100, 7, 'new', 2.5)" % table)
    sql("alter table %s drop column extra" % table)
    sql("alter table %s add column extra double" % table)
    sql("insert into %s values (101, 7, 'newer', 3.5)" % table)
    note("mapname", table, path)
    table, path = delta("mapid")
    sql("create table %s (id bigint, txt string, st struct<a:int,b:string>) using delta %s" % (table, mapping % "id"))
    sql("insert into %s select id, concat('v', id), struct(cast(id as int), 'x') from range(20)" % table)
    sql("alter table %s rename column txt to label" % table)
    sql("insert into %s values (100, 'new', null)" % table)
    note("mapid", table, path)


def checkpoints():
    table, path = delta("v2")
    properties = "'delta.checkpointPolicy'='v2', 'delta.checkpointInterval'='3', 'delta.enableDeletionVectors'='true'"
    sql("create table %s using delta tblproperties(%s) as %s" % (table, properties, ROWS % 50))
    for rows in range(8):
        sql("insert into %s %s" % (table, ROWS % (rows + 1)))
    sql("delete from %s where id = 3" % table)
    note("v2", table, path)
    spark.conf.set("spark.databricks.delta.checkpoint.partSize", "3")
    table, path = delta("multi")
    sql("create table %s using delta tblproperties('delta.checkpointInterval'='5') as %s" % (table, ROWS % 50))
    for rows in range(7):
        sql("insert into %s %s" % (table, ROWS % (rows + 1)))
    spark.conf.unset("spark.databricks.delta.checkpoint.partSize")
    note("multi", table, path)


def iceberg(name, version, mode):
    table = "ice.db." + name
    modes = ", ".join("'write.%s.mode'='%s'" % (what, mode) for what in ["delete", "update", "merge"])
    sql(
        "create table %s (id bigint, grp int, txt string, num float, day date, st struct<a:int,b:string>) using iceberg "
        "partitioned by (grp, months(day)) tblproperties('format-version'='%d', %s)" % (table, version, modes)
    )
    row = "id, cast(id %% 3 as int), concat('%s', id), cast(id as %s), date_add(date'2026-01-01', cast(id as int))"
    sql("insert into %s select %s, struct(cast(id as int), 'x') from range(200)" % (table, row % ("v", "float")))
    sql("delete from %s where id %% 7 = 0" % table)
    sql("alter table %s rename column txt to label" % table)
    sql("alter table %s add column extra string" % table)
    sql("alter table %s alter column num type double" % table)
    sql("insert into %s select %s, null, 'e' from range(200, 220)" % (table, row % ("w", "double")))
    sql("update %s set label = 'changed' where id between 30 and 33" % table)
    sql("delete from %s where id = 210" % table)
    sql("alter table %s drop partition field months(day)" % table)
    sql("insert into %s values (300, 9, 'last', 1.5, date'2027-01-01', null, null)" % table)
    note(name, table, "%s/ice/db/%s" % (out, name))


def small():
    table = "ice.db.swap"
    sql("create table %s (a int, b int) using iceberg" % table)
    sql("insert into %s values (1, 10), (2, 20)" % table)
    sql("alter table %s rename column a to c" % table)
    sql("alter table %s rename column b to a" % table)
    sql("alter table %s drop column c" % table)
    sql("alter table %s add column b int" % table)
    sql("insert into %s values (30, 3)" % table)
    note("swap", table, out + "/ice/db/swap")
    sql("create table ice.db.empty (a int, b string) using iceberg")
    note("empty", "ice.db.empty", out + "/ice/db/empty")


deletion_vectors()
mapped()
checkpoints()
iceberg("v1", 1, "copy-on-write")
iceberg("v2m", 2, "merge-on-read")
iceberg("v3m", 3, "merge-on-read")
small()
spark.stop()
