//! Mistakes in SQL, in files and in Python.

use stoke_gate::Gate;

use super::{Mistake, NAMES, PYTHON, Row, SQL, rows};

const IN_SQL: &[Row] = &[
    ("SELECT o.id, o.amount", "SELEC o.id, o.amount", "sql-syntax", ""),
    ("SELECT o.id, o.amount", "SELECT o.id o.amount x", "sql-syntax", ""),
    ("FROM staging.orders o", "FORM staging.orders o", "sql-syntax", "FORM"),
    ("WHERE o.amount > 0;", "WHERE o.amount > ;", "sql-syntax", ""),
    ("WHERE o.amount > 0;", "WHERE (o.amount > 0;", "sql-syntax", ""),
    ("WHERE o.amount > 0;", "WHERE o.amount > 0", "sql-syntax", "SELECT dt"),
    ("GROUP BY dt\n", "GROUP dt\n", "sql-syntax", ""),
    (
        "GROUP BY dt\nORDER BY total DESC;",
        "ORDER BY total DESC\nGROUP BY dt;",
        "sql-syntax",
        "GROUP BY",
    ),
    ("dt DATE)", "dt DATE", "sql-syntax", "USING"),
    ("sum(amount) AS total", "sum(amount AS total", "sql-syntax", "SELECT dt"),
    (
        "DATE '2026-01-01')\nSELECT",
        "DATE '2026-01-01)\nSELECT",
        "sql-syntax",
        "-01-01'\nGROUP",
    ),
    ("-- Sales of a day", "/* Sales of a day", "sql-syntax", ""),
    ("-- Sales of a day", "/ Sales of a day", "sql-syntax", ""),
    (
        "JOIN staging.customers c ON o.customer = c.id",
        "JOIN staging.customers c",
        "sql-cross-join",
        "",
    ),
    (
        "JOIN staging.customers c ON o.customer = c.id",
        "CROSS JOIN staging.customers c",
        "sql-cross-join",
        "",
    ),
    ("SELECT o.id, o.amount", "SELECT *", "sql-star-into-table", ""),
    ("SELECT o.id, o.amount", "SELECT o.*", "sql-star-into-table", ""),
    (
        "SELECT o.id, o.amount",
        "SELECT uuid(), o.amount",
        "sql-nondeterministic-write",
        "",
    ),
    (
        "SELECT o.id, o.amount",
        "SELECT o.id, rand()",
        "sql-nondeterministic-write",
        "",
    ),
    (
        "WHERE o.amount > 0;",
        "WHERE o.amount > 0 LIMIT 10;",
        "sql-nondeterministic-write",
        "",
    ),
    (
        "SELECT dt, sum(amount) AS total\nFROM lake.sales\nWHERE dt >= DATE '2026-01-01'\nGROUP BY dt\n",
        "SELECT id, sum(amount) AS total\nFROM lake.sales\nGROUP BY id\n",
        "sql-no-partition-filter",
        "FROM lake.sales",
    ),
    (
        "SELECT dt, sum(amount) AS total",
        "SELECT dt, sum(amuont) AS total",
        "sql-unknown-column",
        "",
    ),
    (
        "WHERE dt >= DATE '2026-01-01'",
        "WHERE dt >= DATE '2026-01-01' AND sales.region = 'north'",
        "sql-unknown-column",
        "",
    ),
    (
        "PARTITION (dt = DATE '2026-01-01')\n",
        "(id, amont, dt)\n",
        "sql-unknown-column",
        "",
    ),
    (
        "FROM lake.sales\nWHERE",
        "FROM lake.slaes\nWHERE",
        "sql-unknown-table",
        "",
    ),
    (
        "DATE '2026-01-01')\nSELECT",
        "DATE '2026-02-30')\nSELECT",
        "sql-syntax",
        "",
    ),
    ("amount DECIMAL(10, 2)", "amount DECIMAL(10, 12)", "sql-syntax", ""),
    ("id BIGINT", "id TEXT", "sql-syntax", ""),
    (
        "USING parquet\n",
        "USING parquet COMMENT 'a' COMMENT 'b'\n",
        "sql-syntax",
        "",
    ),
    (
        "FROM staging.orders o",
        "FROM {{ ref('orders') }} o",
        "sql-template",
        "-",
    ),
];

const IN_NAMES: &[Row] = &[
    ("SELECT c.name, sum(", "SELECT c.nme, sum(", "sql-unknown-column", ""),
    (
        "SELECT o.id, o.customer.address",
        "SELECT o.id, o.custmer.address",
        "sql-unknown-column",
        "",
    ),
    ("SELECT big.much,", "SELECT big.amount,", "sql-unknown-column", ""),
    ("AND c.city = 'x')", "AND c.town = 'x')", "sql-unknown-column", ""),
    (
        "WHERE s.city IS NOT NULL",
        "WHERE s.name IS NOT NULL",
        "sql-unknown-column",
        "",
    ),
    ("i.sku, i.price FROM", "j.sku, i.price FROM", "sql-unknown-column", ""),
    (
        "SET total = s.amount;",
        "SET totals = s.amount;",
        "sql-unknown-column",
        "",
    ),
    (
        "SET total = s.amount;",
        "SET total = s.amout;",
        "sql-unknown-column",
        "",
    ),
    (
        "ON x.city = y.city WHEN",
        "ON x.town = y.city WHEN",
        "sql-unknown-column",
        "",
    ),
    (
        "MERGE INTO shop.totals AS x",
        "MERGE INTO shop.totlas AS x",
        "sql-unknown-table",
        "",
    ),
    ("SET total = 0 WHERE", "SET sum = 0 WHERE", "sql-unknown-column", ""),
    (
        "SET total = 0 WHERE city",
        "SET total = 0 WHERE town",
        "sql-unknown-column",
        "",
    ),
    (
        "FROM shop.totals WHERE total",
        "FROM shop.totals WHERE amount",
        "sql-unknown-column",
        "",
    ),
    (
        "most FROM shop.orders o;",
        "most FROM shop.ordres o;",
        "sql-unknown-table",
        "",
    ),
];

const IN_PYTHON: &[Row] = &[
    (
        "SELECT count(*) FROM orders",
        "SELECT count(* FROM orders",
        "sql-syntax",
        "",
    ),
    (
        "SELECT count(*) FROM orders",
        "SELCT count(*) FROM orders",
        "sql-syntax",
        "",
    ),
    ("    SELECT id, amount", "    SELECT id,, amount", "sql-syntax", ""),
    ("    WHERE dt = '{day}'", "    WHERE dt == = '{day}'", "sql-syntax", ""),
    (
        "    FROM staging.orders",
        "    FROM staging.orders, staging.customers\n    ORDER BY 1",
        "sql-syntax",
        "WHERE",
    ),
    ("\"amount * 2 AS twice\"", "\"(amount * 2 AS twice\"", "sql-syntax", ""),
    ("F.expr(\"amount > 10\")", "F.expr(\"amount > \")", "sql-syntax", ""),
    (
        "F.expr(\"amount > 10\")",
        "F.expr(\"amount > DATE '2026-02-30'\")",
        "sql-syntax",
        "",
    ),
    ("where(\"twice > 20\")", "where(\"twice > \")", "sql-syntax", ""),
    ("\"id BIGINT, name STRING\"", "\"id BIGINT, name\"", "sql-syntax", ""),
    (
        "\"id BIGINT, name STRING\"",
        "\"id BIGINT, name TEXT\"",
        "sql-syntax",
        "",
    ),
    (
        "\"k STRING, v ARRAY<INT>\"",
        "\"k STRING, v ARRAY<INT\"",
        "sql-syntax",
        "",
    ),
    (
        "schema=\"a int, b string\"",
        "schema=\"a int, b strin\"",
        "sql-syntax",
        "",
    ),
    (
        "cast(\"decimal(10, 2)\")",
        "cast(\"decimal(10, 12)\")",
        "sql-syntax",
        "",
    ),
    ("day = \"2026-01-01\"", "day = \"2026-01-01", "python-syntax", ""),
    ("spark.stop()", "spark.stop(", "python-syntax", ""),
];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Sql, SQL, IN_SQL);
    all.extend(rows(Gate::Sql, NAMES, IN_NAMES));
    all.extend(rows(Gate::Sql, PYTHON, IN_PYTHON));
    all
}
