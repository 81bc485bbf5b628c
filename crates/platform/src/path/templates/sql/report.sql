CREATE OR REPLACE TEMPORARY VIEW sales AS
SELECT id AS sale_id, concat('region-', id % 4) AS region, CAST(id % 90 + 10 AS DOUBLE) AS amount
FROM range(8000);

DROP TABLE IF EXISTS report;

CREATE TABLE report USING parquet AS
SELECT region, sum(amount) AS sales
FROM sales
GROUP BY region;

SELECT region, sales FROM report ORDER BY sales DESC;
