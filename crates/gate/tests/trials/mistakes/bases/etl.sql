-- Sales of a day
CREATE TABLE IF NOT EXISTS lake.sales (id BIGINT, amount DECIMAL(10, 2), dt DATE)
USING parquet
PARTITIONED BY (dt);

INSERT INTO lake.sales PARTITION (dt = DATE '2026-01-01')
SELECT o.id, o.amount
FROM staging.orders o
JOIN staging.customers c ON o.customer = c.id
WHERE o.amount > 0;

SELECT dt, sum(amount) AS total
FROM lake.sales
WHERE dt >= DATE '2026-01-01'
GROUP BY dt
ORDER BY total DESC;
