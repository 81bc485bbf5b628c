-- Statements people write, and mistakes people make, divided by lines of two semicolons. What Spark says of each is asked of Spark itself.
SELECT 1
;;
select a, b as `the b`, c total from sales where day >= date '2026-01-01' and region in ('north', 'south')
;;
SELECT customer_id, SUM(amount) AS total FROM orders GROUP BY customer_id HAVING SUM(amount) > 100 ORDER BY total DESC NULLS LAST LIMIT 10
;;
SELECT * FROM a JOIN b ON a.id = b.id LEFT OUTER JOIN c USING (id) CROSS JOIN d
;;
SELECT a.*, row_number() OVER (PARTITION BY k ORDER BY t DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n FROM a
;;
WITH recent AS (SELECT * FROM orders WHERE day > current_date() - INTERVAL 7 DAYS), big(id) AS (SELECT id FROM recent WHERE amount > 1e3) SELECT count(*) FROM big
;;
INSERT INTO sales PARTITION (day = '2026-01-01', region) SELECT a, b, region FROM staging
;;
INSERT OVERWRITE TABLE sales SELECT * FROM staging
;;
INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL)
;;
CREATE TABLE IF NOT EXISTS db.t (id BIGINT NOT NULL COMMENT 'key', name STRING, tags ARRAY<STRING>, m MAP<STRING, STRUCT<a: INT, b: ARRAY<ARRAY<INT>>>>) USING parquet PARTITIONED BY (name) TBLPROPERTIES ('k' = 'v') COMMENT 'a table'
;;
CREATE TABLE t USING delta LOCATION 's3a://bucket/t' AS SELECT * FROM x
;;
CREATE OR REPLACE TEMPORARY VIEW v AS SELECT * FROM t
;;
CREATE TABLE iceberg.t (id BIGINT, ts TIMESTAMP) USING iceberg PARTITIONED BY (days(ts), bucket(16, id))
;;
ALTER TABLE t ADD COLUMNS (c INT AFTER b)
;;
ALTER TABLE t RENAME COLUMN a TO b
;;
ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')
;;
MERGE INTO target t USING source s ON t.id = s.id WHEN MATCHED AND s.deleted THEN DELETE WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *
;;
UPDATE t SET a = 1, b = b + 1 WHERE c = 'x'
;;
DELETE FROM t WHERE day < '2020-01-01'
;;
SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, CAST(a AS DECIMAL(10, 2)), a::int, b[0], m['k'], s.f FROM t
;;
SELECT explode(split(line, ' ')) AS word FROM lines LATERAL VIEW explode(array(1, 2)) e AS n
;;
SELECT * FROM t TABLESAMPLE (10 PERCENT) WHERE a LIKE '%x' ESCAPE '!' AND b RLIKE 'y+' AND c IS NOT DISTINCT FROM d
;;
SELECT * FROM t PIVOT (SUM(a) AS s FOR q IN ('q1', 'q2'))
;;
SELECT k, GROUPING__ID, sum(v) FROM t GROUP BY k, v WITH ROLLUP
;;
SELECT a, b, sum(c) FROM t GROUP BY GROUPING SETS ((a, b), (a), ())
;;
(SELECT a FROM x UNION ALL SELECT a FROM y) EXCEPT SELECT a FROM z INTERSECT SELECT a FROM w
;;
SELECT /*+ BROADCAST(b), REPARTITION(10) */ * FROM a JOIN b ON a.k = b.k
;;
SELECT transform(xs, x -> x + 1), filter(xs, (x, i) -> i > 0) FROM t
;;
SELECT TIMESTAMP '2026-01-01 00:00:00', INTERVAL '1-2' YEAR TO MONTH, X'1F', 1Y, 2S, 3L, 1.5F, 2.5D, 3BD, .5, 1e10, -1
;;
SELECT 'it''s', "double", 'a' 'b', r'raw\n', 'tab\t'
;;
FROM t SELECT a WHERE b > 1
;;
FROM t INSERT INTO x SELECT a INSERT INTO y SELECT b
;;
EXPLAIN EXTENDED SELECT * FROM t
;;
DESCRIBE TABLE EXTENDED db.t
;;
SHOW TABLES IN db LIKE 'a*'
;;
USE db
;;
SET spark.sql.shuffle.partitions = 200
;;
CACHE LAZY TABLE t OPTIONS ('storageLevel' = 'DISK_ONLY') AS SELECT * FROM x
;;
UNCACHE TABLE IF EXISTS t
;;
REFRESH TABLE t
;;
ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS
;;
MSCK REPAIR TABLE t
;;
TRUNCATE TABLE t PARTITION (day = '2026-01-01')
;;
DROP TABLE IF EXISTS t PURGE
;;
CREATE DATABASE IF NOT EXISTS db LOCATION 's3a://bucket/db'
;;
CREATE FUNCTION f AS 'com.example.F' USING JAR 's3a://bucket/f.jar'
;;
ADD JAR s3a://bucket/some-lib_2.13-1.0.jar
;;
SELECT * FROM parquet.`s3a://bucket/data`
;;
SELECT * FROM t VERSION AS OF 12
;;
SELECT * FROM t TIMESTAMP AS OF '2026-01-01'
;;
SELECT count(*) FILTER (WHERE a > 1), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM t
;;
SELECT * FROM range(10) AS r(id) WHERE EXISTS (SELECT 1 FROM t WHERE t.id = r.id) AND id NOT IN (SELECT id FROM u)
;;
SELECT :name, ?
;;
SELECT a -- to the end
FROM t /* inside /* and nested */ still */ WHERE true;
;;
VALUES (1, 'a'), (2, 'b') AS t(id, name)
;;
TABLE t
;;
SELECT * FROM t WHERE a BETWEEN 1 AND 2 AND NOT b OR c <=> d AND e != f AND g <> h
;;
SELECT a | b & c ^ ~d, a || b, a % b, a DIV b FROM t
;;
SELECT date, timestamp, year, user, value FROM t
;;
SELECT * EXCEPT (a) FROM t
;;
SELECT EXTRACT(YEAR FROM d), TRIM(BOTH ' ' FROM s), SUBSTRING(s FROM 2 FOR 3), POSITION('a' IN s), OVERLAY(s PLACING 'x' FROM 1) FROM t
;;
SELECT a FROM t SORT BY a DISTRIBUTE BY b
;;
SELECT a FROM t CLUSTER BY a
;;
SELECT TRANSFORM(a, b) USING 'cat' AS (x, y) FROM t
;;
SELECT a FROM t LIMIT ALL OFFSET 5
;;
SELECT * FROM t1, LATERAL (SELECT * FROM t2 WHERE t1.a = t2.a) x
;;
SELECT * FROM t UNPIVOT (v FOR k IN (a, b, c))
;;
CREATE TABLE t LIKE u USING parquet
;;
EXECUTE IMMEDIATE 'SELECT 1'
;;
DECLARE VARIABLE x INT DEFAULT 5
;;
FROM orders |> WHERE amount > 10 |> AGGREGATE sum(amount) GROUP BY region |> ORDER BY region
;;
BEGIN DECLARE n INT DEFAULT 0; WHILE n < 3 DO SET n = n + 1; END WHILE; SELECT n; END
;;
SELECT a b c FROM t
;;
SELEC * FROM t
;;
SELECT * FORM t
;;
SELECT a, FROM t
;;
SELECT * FROM t WHERE
;;
SELECT * FROM t WHERE a = = b
;;
SELECT (a + b FROM t
;;
SELECT a + b) FROM t
;;
SELECT 'open FROM t
;;
SELECT `open FROM t
;;
SELECT a FROM t GROUP a
;;
SELECT a FROM t ORDER a
;;
SELECT DISTINCT FROM t
;;
INSERT t VALUES (1)
;;
INSERT INTO t VALUES 1, 2,
;;
CREATE TABLE t (a INT,) USING parquet
;;
CREATE TABLE t (a INTEGER b STRING)
;;
CREATE TABLE my-table (a INT) USING parquet
;;
SELECT * FROM db.my-table
;;
ALTER TABLE t ADD COLUMN
;;
MERGE INTO t USING s WHEN MATCHED THEN DELETE
;;
UPDATE t SET WHERE a = 1
;;
DELETE t WHERE a = 1
;;
SELECT TOP 10 * FROM t
;;
SELECT a FROM t LIMIT 10, 5
;;
SELECT * FROM a JOIN b ON
;;
SELECT CASE a WHEN 1 THEN 2
;;
SELECT CAST(a INT) FROM t
;;
WITH x AS SELECT 1 SELECT * FROM x
;;
SELECT 1; SELECT 2
;;
SELECT a FROM t WHERE b IN ()
;;
SELECT a FROM t WHERE b IS NOT
;;
/* never closed
SELECT 1
;;
SELECT @x
;;
DROP TABLE
;;
SELECT * FROM t TABLESAMPLE (PERCENT)
;;
SELECT sum(a) OVER (PARTITION k) FROM t
;;
{{ config(materialized='table') }} SELECT 1
;;
SELECT ${var} FROM t
