//! Joins of everything with everything. What has one row, a row for each row of the other side, or only the rows that are written into the statement
//! multiplies nothing that is large, and is no such join: inline tables, generators and other functions, queries of one row, and names of those.

use std::collections::BTreeSet;
use std::ops::Range;

use super::habits::{Habit, Statement};

/// Names of views and common tables of few rows, in lower case.
pub type Small = BTreeSet<String>;

/// Words that end the tables of a `FROM`; behind `LATERAL VIEW` come names of columns.
pub(super) const AFTER_TABLES: [&str; 18] = [
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "UNION",
    "EXCEPT",
    "MINUS",
    "INTERSECT",
    "WINDOW",
    "CLUSTER",
    "DISTRIBUTE",
    "SORT",
    "SELECT",
    "QUALIFY",
    "INSERT",
    "VIEW",
];
/// Words that part the queries of a set.
const SETS: [&str; 4] = ["UNION", "EXCEPT", "MINUS", "INTERSECT"];
/// Functions of many rows to one.
const AGGREGATES: [&str; 28] = [
    "ANY_VALUE",
    "APPROX_COUNT_DISTINCT",
    "APPROX_PERCENTILE",
    "ARRAY_AGG",
    "AVG",
    "BOOL_AND",
    "BOOL_OR",
    "COLLECT_LIST",
    "COLLECT_SET",
    "COUNT",
    "COUNT_IF",
    "EVERY",
    "FIRST",
    "FIRST_VALUE",
    "LAST",
    "LAST_VALUE",
    "MAX",
    "MAX_BY",
    "MEAN",
    "MEDIAN",
    "MIN",
    "MIN_BY",
    "PERCENTILE",
    "PERCENTILE_APPROX",
    "STDDEV",
    "STRING_AGG",
    "SUM",
    "VARIANCE",
];
/// How deep queries in queries are looked into; what is deeper is not told.
const DEEPEST: usize = 32;
/// What looks like a call and names a table.
const NAMES_A_TABLE: [&str; 2] = ["IDENTIFIER", "STREAM"];

/// A table of a `FROM`, and how it is put beside those before it.
struct Relation {
    tokens: Range<usize>,
    /// The token that joins it: a comma, `JOIN`, or `CROSS`; none of the first.
    by: Option<usize>,
    /// Why its rows meet all rows before it.
    crosses: Option<&'static str>,
}

impl Statement<'_> {
    /// Where the tables of a `FROM` end.
    pub(super) fn end_of_tables(&self, from: usize) -> usize {
        let depth = self.depths[from];
        let end = self.end_of_query(from);
        let pipe = |at: &usize| self.depths[*at] == depth && self.sign(*at, '|') && self.sign(*at + 1, '>');
        let words = self.find(from + 1..end, depth, &AFTER_TABLES).unwrap_or(end);
        (from + 1..words).find(pipe).unwrap_or(words)
    }

    /// The tables of a `FROM`.
    fn relations(&self, from: usize) -> Vec<Relation> {
        let depth = self.depths[from];
        let end = self.end_of_tables(from);
        let mut relations = vec![Relation {
            tokens: from + 1..end,
            by: None,
            crosses: None,
        }];
        // An inline table has commas of its own; what follows one is taken for more of it.
        let mut inline = self.word(from + 1) == "VALUES";
        for index in (from + 1..end).filter(|index| self.depths[*index] == depth) {
            let join = self.word(index) == "JOIN";
            if !join && (inline || !self.sign(index, ',')) {
                continue;
            }
            let before = |back: usize| index.checked_sub(back).map(|at| self.word(at)).unwrap_or_default();
            let (mut by, mut crosses) = (index, Some("two tables without a condition between them"));
            if join {
                let kinds = [before(1), before(2), before(3)];
                let next = (index + 1..end)
                    .filter(|at| self.depths[*at] == depth)
                    .find(|at| self.word(*at) == "JOIN" || self.sign(*at, ','));
                let on = self.find(index + 1..next.unwrap_or(end), depth, &["ON", "USING"]);
                // `a JOIN b JOIN c ON … ON …`: the conditions stand behind.
                let later = || on.or_else(|| self.find(index + 1..end, depth, &["ON", "USING"]));
                let natural = kinds.contains(&"NATURAL");
                crosses = match kinds[0] == "CROSS" {
                    _ if natural => None,
                    true => {
                        by = index - 1;
                        Some("a cross join")
                    }
                    false => later().is_none().then_some("a join without a condition"),
                };
            }
            if let Some(last) = relations.last_mut() {
                last.tokens.end = index;
            }
            inline = self.word(index + 1) == "VALUES";
            relations.push(Relation {
                tokens: index + 1..end,
                by: Some(by),
                crosses,
            });
        }
        relations
    }

    /// Whether some name, or a function, is compared with another.
    fn compares_names(&self, tokens: Range<usize>) -> bool {
        let named = |at: usize| {
            let literal = ["DATE", "TIMESTAMP", "INTERVAL", "NULL", "TRUE", "FALSE"];
            let name = self
                .name(at)
                .is_some_and(|(name, _)| !name.starts_with(|c: char| c.is_ascii_digit()));
            name && !literal.contains(&self.word(at))
        };
        let compares = |at: &usize| ['=', '<', '>'].into_iter().any(|sign| self.sign(*at, sign));
        tokens.filter(compares).any(|at| {
            let after = (at + 1..).find(|next| !compares(next));
            // A parenthesis ends a call, or what is computed.
            let before = at
                .checked_sub(1)
                .is_some_and(|before| named(before) || self.sign(before, ')'));
            before && after.is_some_and(|after| named(after) || self.sign(after, '('))
        })
    }

    /// Whether a table has few rows, or goes by the row of another.
    fn is_small_table(&self, tokens: &Range<usize>, small: &Small, deep: usize) -> bool {
        let first = tokens.start;
        let word = self.word(first);
        if matches!(word, "VALUES" | "LATERAL" | "UNNEST") {
            return true;
        }
        if self.sign(first, '(') {
            return self.is_small_query(first + 1..self.end_of_query(first + 1), small, deep + 1);
        }
        let Some((name, after)) = self.name(first) else {
            return false;
        };
        let called = self.sign(after, '(') && after < tokens.end;
        (called && !NAMES_A_TABLE.contains(&word)) || small.contains(&name)
    }

    /// Whether a query has one row, or only rows that are written into it.
    fn is_small_query(&self, tokens: Range<usize>, small: &Small, deep: usize) -> bool {
        if deep > DEEPEST {
            return true;
        }
        let Some(depth) = self.depths.get(tokens.start).copied() else {
            return false;
        };
        let mut parts = Vec::new();
        let mut start = tokens.start;
        for at in tokens.clone() {
            if self.depths[at] == depth && SETS.contains(&self.word(at)) {
                parts.push(start..at);
                start = at + 1 + usize::from(["ALL", "DISTINCT"].contains(&self.word(at + 1)));
            }
        }
        parts.push(start..tokens.end);
        parts
            .into_iter()
            .all(|part| self.is_small_part(part, depth, small, deep))
    }

    fn is_small_part(&self, part: Range<usize>, depth: usize, small: &Small, deep: usize) -> bool {
        let begins = match self.word(part.start) {
            "WITH" => self.find(part.clone(), depth, &["SELECT", "VALUES"]),
            _ => Some(part.start),
        };
        let Some(first) = begins else { return false };
        match self.word(first) {
            "VALUES" => return true,
            "SELECT" => {}
            // `(VALUES …) AS t`, `(a, b)`, `((SELECT 1))`, `(range(3) CROSS JOIN b)`
            _ if self.sign(first, '(') && first < part.end => {
                return self.is_small_query(first + 1..self.end_of_query(first + 1), small, deep + 1);
            }
            _ => return false,
        }
        let limit = self.find(part.clone(), depth, &["LIMIT"]);
        if limit.is_some_and(|limit| ["0", "1"].contains(&self.word(limit + 1))) {
            return true;
        }
        let Some(from) = self.find(part.clone(), depth, &["FROM"]) else {
            return true;
        };
        let aggregate = |at: usize| {
            let call = self.sign(at + 1, '(') && AGGREGATES.contains(&self.word(at));
            // Over a window it has a row for each.
            let closing = || self.end_of_query(at + 2);
            call && !["OVER", "FILTER"].contains(&self.word(closing() + 1))
        };
        if self.find(part.clone(), depth, &["GROUP"]).is_none() && (first..from).any(aggregate) {
            return true;
        }
        self.relations(from)
            .iter()
            .all(|relation| self.is_small_table(&relation.tokens, small, deep + 1))
    }

    /// Names of few rows: those that are known, and the common tables (`WITH`) of this statement.
    pub(super) fn with_common(&self, known: &Small) -> Small {
        let mut small = known.clone();
        // `name AS (`, `name (a, b) AS (`
        for at in (1..self.depths.len()).filter(|at| self.word(*at) == "AS" && self.sign(at + 1, '(')) {
            let named = match self.sign(at - 1, ')') {
                false => Some(at - 1),
                true => self.opening(at - 1).and_then(|opening| opening.checked_sub(1)),
            };
            let begins = |named: &usize| {
                named
                    .checked_sub(1)
                    .is_some_and(|before| self.sign(before, ',') || ["WITH", "RECURSIVE"].contains(&self.word(before)))
            };
            let query = at + 2;
            if let Some((name, _)) = named.filter(begins).and_then(|named| self.name(named))
                && self.is_small_query(query..self.end_of_query(query), &small, 0)
            {
                small.insert(name);
            }
        }
        small
    }

    /// The view that this statement makes, where it has few rows.
    pub fn small_view(&self, known: &Small) -> Option<String> {
        let count = self.depths.len();
        let view = self
            .find(0..count.min(6), 0, &["VIEW"])
            .filter(|_| self.word(0) == "CREATE")?;
        let mut at = view + 1;
        while ["IF", "NOT", "EXISTS"].contains(&self.word(at)) {
            at += 1;
        }
        let (name, after) = self.name(at)?;
        let query = self.find(after..count, 0, &["AS"])? + 1;
        self.is_small_query(query..count, &self.with_common(known), 0)
            .then_some(name)
    }
}

/// The joins of a `FROM` in which every row meets every row.
pub(super) fn look(statement: &Statement<'_>, from: usize, small: &Small, found: &mut Vec<Habit>) {
    let depth = statement.depths[from];
    let relations = statement.relations(from);
    if relations.iter().all(|relation| relation.crosses.is_none()) {
        return;
    }
    // Behind commas, any condition is taken for one between the tables; behind a join, one that compares two names is.
    let end = statement.end_of_query(from);
    let tables_end = statement.end_of_tables(from);
    let stop = statement.find(tables_end..end, depth, &SETS).unwrap_or(end);
    let filter = statement.find(tables_end..stop, depth, &["WHERE"]);
    if filter.is_some_and(|filter| statement.compares_names(filter..stop)) {
        return;
    }
    let mut large = false;
    for relation in relations {
        let is_large = !statement.is_small_table(&relation.tokens, small, 0);
        if let (Some(by), Some(how)) = (relation.by, relation.crosses)
            && large
            && is_large
            && !(statement.sign(by, ',') && filter.is_some())
        {
            found.push(Habit {
                code: "sql-cross-join",
                at: statement.at(by),
                message: format!("{how}: every row of one side meets every row of the other"),
                fix: "say on which columns they meet (`ON`, `USING`); where it is meant, waive it".to_owned(),
            });
        }
        large |= is_large;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tokens;
    use super::*;

    fn crosses(sql: &str, small: &[&str]) -> usize {
        let text: Vec<char> = sql.chars().collect();
        let tokens = tokens(&text).unwrap();
        let small = small.iter().map(|name| (*name).to_owned()).collect();
        let habits = super::super::habits::habits(&Statement::new(&text, &tokens), &Default::default(), &small);
        habits.iter().filter(|habit| habit.code == "sql-cross-join").count()
    }

    #[test]
    fn what_has_few_rows_multiplies_nothing() {
        let one_side = [
            "VALUES (1), (2)",
            "VALUES (1, 'a'), (2, 'b') AS v(x, y)",
            "(VALUES (1), (2)) AS v",
            "(VALUES (1), (2)) AS v(x)",
            "(SELECT * FROM VALUES (1), (2) AS v(x))",
            "(SELECT 1 AS x)",
            "(SELECT 1 AS x UNION ALL SELECT 2) u",
            "((SELECT 1))",
            "(SELECT max(dt) AS last FROM b) m",
            "(SELECT count(*) FROM b WHERE x > 1) AS c",
            "(SELECT * FROM b LIMIT 1) AS one",
            "(SELECT explode(array(1, 2)))",
            "(SELECT * FROM range(3))",
            "range(10)",
            "range(1, 10, 2) AS r",
            "explode(array(1, 2)) AS e(x)",
            "explode(sequence(1, 3))",
            "posexplode(a.list)",
            "stack(2, 1, 2)",
            "json_tuple(a.doc, 'x')",
            "LATERAL explode(a.list)",
            "LATERAL (SELECT a.x + 1)",
            "UNNEST(a.list)",
            "small",
            "small AS s",
            "SMALL s",
        ];
        for side in one_side {
            for sql in [
                format!("SELECT * FROM a CROSS JOIN {side}"),
                format!("SELECT * FROM a JOIN {side}"),
                format!("SELECT * FROM a, {side}"),
                format!("SELECT * FROM (SELECT * FROM a, {side}) t"),
            ] {
                assert_eq!(crosses(&sql, &["small"]), 0, "{sql}");
            }
            if !side.starts_with("VALUES") && !side.contains("a.") {
                let sql = format!("SELECT * FROM {side}, a");
                assert_eq!(crosses(&sql, &["small"]), 0, "{sql}");
                let sql = format!("SELECT * FROM {side} CROSS JOIN a CROSS JOIN b");
                assert_eq!(crosses(&sql, &["small"]), 1, "{sql}");
            }
        }
        let large = [
            "b",
            "b AS v",
            "(SELECT * FROM b)",
            "(SELECT x, count(*) FROM b GROUP BY x)",
            "(SELECT sum(x) OVER (PARTITION BY y) FROM b)",
            "(SELECT 1 UNION ALL SELECT x FROM b)",
            "(SELECT * FROM b LIMIT 100)",
            "(SELECT * FROM b, range(3))",
            "IDENTIFIER('b')",
        ];
        for side in large {
            for sql in [
                format!("SELECT * FROM a CROSS JOIN {side}"),
                format!("SELECT * FROM a JOIN {side}"),
                format!("SELECT * FROM a, {side}"),
                format!("SELECT * FROM {side}, a"),
                format!("SELECT * FROM range(3), a CROSS JOIN {side} x"),
            ] {
                assert_eq!(crosses(&sql, &["small"]), 1, "{sql}");
            }
        }
    }

    #[test]
    fn names_of_few_rows_and_conditions_behind() {
        for (sql, expected) in [
            ("WITH p AS (SELECT 1 AS x) SELECT * FROM a CROSS JOIN p", 0),
            (
                "WITH p(x) AS (VALUES (1), (2)), q AS (SELECT * FROM p) SELECT * FROM a, p, q",
                0,
            ),
            ("WITH p AS (SELECT max(x) FROM b) SELECT * FROM a, p", 0),
            ("WITH p AS (SELECT x FROM b) SELECT * FROM a, p", 1),
            (
                "SELECT * FROM a, b LATERAL VIEW explode(l) t AS x, y WHERE a.id = b.id",
                0,
            ),
            ("SELECT * FROM a CROSS JOIN b WHERE a.id = b.id", 0),
            ("SELECT * FROM a CROSS JOIN b WHERE lower(a.id) <=> lower(b.id)", 0),
            (
                "SELECT * FROM a CROSS JOIN b WHERE a.id > 0 AND b.dt >= DATE '2026-01-01'",
                1,
            ),
            ("SELECT * FROM a JOIN b WHERE a.id = 'x'", 1),
            ("SELECT * FROM a, b WHERE a.id = 'x'", 0),
            ("SELECT * FROM a, b UNION SELECT * FROM c WHERE c.id = 1", 1),
            ("FROM a |> EXTEND x, y |> AGGREGATE count(*), sum(x) GROUP BY y", 0),
            ("FROM VALUES (1), (2) AS t(x) SELECT x, x + 1", 0),
            ("SELECT * FROM VALUES 1, 2, 3 LATERAL VIEW explode(array(1, 2)) AS y", 0),
        ] {
            assert_eq!(crosses(sql, &[]), expected, "{sql}");
        }
        let deep = format!("SELECT * FROM {}a{}, b", "(SELECT * FROM ".repeat(500), ")".repeat(500));
        assert_eq!(crosses(&deep, &[]), 0);
        for (sql, expected) in [
            (
                "CREATE TEMPORARY VIEW t AS SELECT * FROM VALUES (1), (2) AS v(x)",
                Some("t"),
            ),
            (
                "CREATE OR REPLACE TEMP VIEW Lake.T(a, b) AS VALUES (1, 2)",
                Some("lake.t"),
            ),
            (
                "CREATE VIEW IF NOT EXISTS t AS WITH p AS (SELECT 1) SELECT * FROM p",
                Some("t"),
            ),
            ("CREATE VIEW t AS SELECT * FROM b", None),
            ("CREATE TABLE t AS SELECT 1", None),
        ] {
            let text: Vec<char> = sql.chars().collect();
            let tokens = tokens(&text).unwrap();
            let view = Statement::new(&text, &tokens).small_view(&Small::new());
            assert_eq!(view.as_deref(), expected, "{sql}");
        }
    }
}
