import json, os, sys, shutil
from pyspark.sql import SparkSession
out = sys.argv[1]
shutil.rmtree(out, ignore_errors=True)
os.makedirs(out)
s = (SparkSession.builder.master("local[1]").config("spark.ui.enabled","false").config("spark.sql.shuffle.partitions","2")
  .config("spark.sql.extensions","io.delta.sql.DeltaSparkSessionExtension,org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
  .config("spark.sql.catalog.spark_catalog","org.apache.spark.sql.delta.catalog.DeltaCatalog")
  .config("spark.sql.catalog.ice","org.apache.iceberg.spark.SparkCatalog").config("spark.sql.catalog.ice.type","hadoop").config("spark.sql.catalog.ice.warehouse",out+"/ice")
  .config("spark.sql.session.timeZone","UTC").getOrCreate())
s.sparkContext.setLogLevel("ERROR")
q = s.sql
def note(name, table, path):
    rows = [r.asDict() for r in q("select * from %s" % table).collect()]
    json.dump({"path": path, "columns": [f.name for f in q("select * from %s" % table).schema], "rows": rows}, open(out+"/"+name+".json","w"), default=str)
    print("made", name, len(rows), flush=True)
def delta(name, props=""):
    return "delta.`%s/%s`" % (out, name)
def try_(f):
    try: f()
    except Exception as e: print("FAILED", f.__name__, str(e)[:600], flush=True)
data = "select id, cast(id %% 3 as int) as grp, concat('v', id) as txt, cast(id * 1.5 as double) as num, date_add(date'2026-01-01', cast(id as int)) as day from range(%d)"
def dv():
    t = delta("dv"); q("create table %s using delta tblproperties('delta.enableDeletionVectors'='true') as %s" % (t, data % 1000))
    q("delete from %s where id %% 7 = 0" % t); q("delete from %s where id = 500" % t); q("update %s set txt='changed' where id between 10 and 12" % t); note("dv", t, out+"/dv")
def dvbig():
    t = delta("dvbig"); s.range(0,300000,1,1).selectExpr("id","id%5 as grp").write.format("delta").option("delta.enableDeletionVectors","true").save(out+"/dvbig")
    q("delete from %s where id %% 3 = 0 and id < 150000" % t); q("delete from %s where id between 200000 and 280000" % t)
    json.dump({"path":out+"/dvbig","columns":["id","grp"],"count":q("select count(*) from %s" % t).first()[0],"sum":q("select sum(id) from %s" % t).first()[0]}, open(out+"/dvbig.json","w")); print("made dvbig", flush=True)
def mapname():
    t = delta("mapname"); q("create table %s (id bigint, grp int, txt string) using delta partitioned by (grp) tblproperties('delta.columnMapping.mode'='name','delta.minReaderVersion'='2','delta.minWriterVersion'='5')" % t)
    q("insert into %s select id, cast(id%%3 as int), concat('v',id) from range(20)" % t)
    q("alter table %s rename column txt to label" % t); q("alter table %s add column extra double" % t); q("insert into %s values (100, 7, 'new', 2.5)" % t); q("alter table %s drop column extra" % t); q("alter table %s add column extra double" % t); q("insert into %s values (101, 7, 'newer', 3.5)" % t)
    note("mapname", t, out+"/mapname")
def mapid():
    t = delta("mapid"); q("create table %s (id bigint, txt string, st struct<a:int,b:string>) using delta tblproperties('delta.columnMapping.mode'='id','delta.minReaderVersion'='2','delta.minWriterVersion'='5')" % t)
    q("insert into %s select id, concat('v',id), struct(cast(id as int), 'x') from range(20)" % t)
    q("alter table %s rename column txt to label" % t); q("insert into %s values (100, 'new', null)" % t)
    note("mapid", t, out+"/mapid")
def v2():
    t = delta("v2"); q("create table %s using delta tblproperties('delta.checkpointPolicy'='v2','delta.checkpointInterval'='3','delta.enableDeletionVectors'='true') as %s" % (t, data % 50))
    for i in range(8): q("insert into %s %s" % (t, data % (i+1)))
    q("delete from %s where id = 3" % t); note("v2", t, out+"/v2")
def multi():
    s.conf.set("spark.databricks.delta.checkpoint.partSize","3")
    t = delta("multi"); q("create table %s using delta tblproperties('delta.checkpointInterval'='5') as %s" % (t, data % 50))
    for i in range(7): q("insert into %s %s" % (t, data % (i+1)))
    s.conf.unset("spark.databricks.delta.checkpoint.partSize"); note("multi", t, out+"/multi")
    print(os.listdir(out+"/multi/_delta_log"), flush=True)
def ice(version, name, mode):
    def f():
        t = "ice.db."+name
        q("create table %s (id bigint, grp int, txt string, num float, day date, st struct<a:int,b:string>) using iceberg partitioned by (grp, months(day)) tblproperties('format-version'='%d','write.delete.mode'='%s','write.update.mode'='%s','write.merge.mode'='%s')" % (t, version, mode, mode, mode))
        q("insert into %s select id, cast(id%%3 as int), concat('v',id), cast(id as float), date_add(date'2026-01-01', cast(id as int)), struct(cast(id as int),'x') from range(200)" % t)
        q("delete from %s where id %% 7 = 0" % t)
        q("alter table %s rename column txt to label" % t); q("alter table %s add column extra string" % t); q("alter table %s alter column num type double" % t)
        q("insert into %s select id, cast(id%%3 as int), concat('w',id), cast(id as double), date_add(date'2026-01-01', cast(id as int)), null, 'e' from range(200,220)" % t)
        q("update %s set label='changed' where id between 30 and 33" % t); q("delete from %s where id = 210" % t)
        q("alter table %s drop column grp_x" % t) if False else None
        q("alter table %s drop partition field months(day)" % t); q("insert into %s values (300, 9, 'last', 1.5, date'2027-01-01', null, null)" % t)
        note(name, t, out+"/ice/db/"+name)
    f.__name__ = name
    return f
def swap():
    t="ice.db.swap"; q("create table %s (a int, b int) using iceberg" % t); q("insert into %s values (1, 10), (2, 20)" % t)
    q("alter table %s rename column a to c" % t); q("alter table %s rename column b to a" % t); q("alter table %s drop column c" % t); q("alter table %s add column b int" % t); q("insert into %s values (30, 3)" % t); note("swap", t, out+"/ice/db/swap")
def empty():
    t="ice.db.empty"; q("create table %s (a int, b string) using iceberg" % t); note("empty", t, out+"/ice/db/empty")
for f in [dv,dvbig,mapname,mapid,v2,multi,ice(1,"v1","copy-on-write"),ice(2,"v2m","merge-on-read"),ice(3,"v3m","merge-on-read"),swap,empty]: try_(f)
s.stop()
