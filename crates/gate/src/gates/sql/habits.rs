//! Habits of SQL that parse and hurt: joins of everything with everything, all columns into a table, rows that differ when a task runs again.
//!
//! They are told from the words of a statement, as warnings. A habit that cannot be determined for certain is not told.

use std::collections::BTreeMap;

use super::joins::{self, Small};
use super::scan::{Kind, Token};

/// A habit in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// Stable name.
    pub code: &'static str,
    /// The character it stands at.
    pub at: usize,
    /// What is wrong and why.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// Partition columns of tables, by the table's name in lower case.
pub type Partitions = BTreeMap<String, Vec<String>>;

/// Functions whose value is another one each time a task runs.
const RANDOM: [&str; 6] = [
    "RAND",
    "RANDN",
    "RANDOM",
    "UUID",
    "SHUFFLE",
    "MONOTONICALLY_INCREASING_ID",
];
/// A statement, for looking at.
pub struct Statement<'a> {
    text: &'a [char],
    tokens: &'a [Token],
    /// Of each token: its depth in parentheses; a parenthesis is where it stands.
    pub(super) depths: Vec<usize>,
    /// Of each token: the parenthesis that opens what it is in.
    inside: Vec<Option<usize>>,
    /// Of each parenthesis that opens: the one that closes it, or the end.
    closing: BTreeMap<usize, usize>,
    /// Of each token that is a word: it in upper case.
    words: Vec<String>,
}

impl<'a> Statement<'a> {
    /// A statement of a text by its tokens.
    pub fn new(text: &'a [char], tokens: &'a [Token]) -> Self {
        let (mut depths, mut inside) = (Vec::new(), Vec::new());
        let (mut open, mut closing) = (Vec::new(), BTreeMap::new());
        for (index, token) in tokens.iter().enumerate() {
            if token.kind == Kind::Sign(')')
                && let Some(opening) = open.pop()
            {
                closing.insert(opening, index);
            }
            depths.push(open.len());
            inside.push(open.last().copied());
            if token.kind == Kind::Sign('(') {
                open.push(index);
            }
        }
        let word = |token: &Token| match token.kind {
            Kind::Word => text[token.from..token.to]
                .iter()
                .map(char::to_ascii_uppercase)
                .collect(),
            _ => String::new(),
        };
        Statement {
            text,
            tokens,
            depths,
            inside,
            closing,
            words: tokens.iter().map(word).collect(),
        }
    }

    /// A word in upper case; empty for what is none.
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    pub(super) fn sign(&self, index: usize, sign: char) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| token.kind == Kind::Sign(sign))
    }

    pub(super) fn at(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(0, |token| token.from)
    }

    /// A name, perhaps of several parts, from a token on, in lower case without backquotes; and the token after it.
    pub(super) fn name(&self, mut index: usize) -> Option<(String, usize)> {
        let mut name = String::new();
        loop {
            let token = self.tokens.get(index)?;
            let part: String = self.text[token.from..token.to].iter().collect();
            match token.kind {
                Kind::Word => name.push_str(&part.to_lowercase()),
                Kind::Quoted => name.push_str(&part.trim_matches('`').to_lowercase()),
                _ => return None,
            }
            index += 1;
            if !self.sign(index, '.') {
                return Some((name, index));
            }
            name.push('.');
            index += 1;
        }
    }

    /// The index of a word at a depth, within a range.
    pub(super) fn find(&self, range: std::ops::Range<usize>, depth: usize, words: &[&str]) -> Option<usize> {
        range
            .into_iter()
            .find(|index| self.depths.get(*index) == Some(&depth) && words.contains(&self.word(*index)))
    }

    /// Where the query that a token is in ends: its closing parenthesis, or the statement's end.
    pub(super) fn end_of_query(&self, index: usize) -> usize {
        let opening = self.inside.get(index).copied().flatten();
        let closing = opening.and_then(|opening| self.closing.get(&opening));
        closing.copied().unwrap_or(self.tokens.len())
    }

    /// The parenthesis that another one closes.
    pub(super) fn opening(&self, closing: usize) -> Option<usize> {
        self.closing
            .iter()
            .find(|(_, at)| **at == closing)
            .map(|(opening, _)| *opening)
    }

    /// True where a `FROM` is that of a query: `EXTRACT(DAY FROM d)` and `IS DISTINCT FROM` are not.
    fn is_from(&self, index: usize) -> bool {
        if self.word(index) != "FROM"
            || matches!(
                index.checked_sub(1).map(|before| self.word(before)),
                Some("DISTINCT" | "DELETE")
            )
        {
            return false;
        }
        let opening = self.inside[index];
        opening.is_none_or(|opening| ["SELECT", "WITH", "FROM"].contains(&self.word(opening + 1)))
    }

    /// The first word that says what it does, behind `WITH …`.
    fn writes(&self) -> Option<usize> {
        let first = self.find(0..self.tokens.len(), 0, &["INSERT", "CREATE", "REPLACE", "MERGE"])?;
        match self.word(first) {
            "INSERT" | "MERGE" => Some(first),
            // `CREATE TABLE … AS SELECT`; a view holds no rows.
            _ => {
                let query = self.find(first..self.tokens.len(), 0, &["SELECT", "FROM"])?;
                let table = self.find(first..query, 0, &["TABLE"]);
                let other = self.find(first..query, 0, &["VIEW", "FUNCTION"]);
                table.filter(|_| other.is_none())
            }
        }
    }

    /// Partition columns that this statement gives a table: `CREATE TABLE … PARTITIONED BY (…)`.
    pub fn partitions(&self) -> Option<(String, Vec<String>)> {
        let create = self.find(0..self.tokens.len().min(3), 0, &["CREATE"])?;
        let table = self.find(create..self.tokens.len().min(create + 6), 0, &["TABLE"])?;
        let mut at = table + 1;
        while ["IF", "NOT", "EXISTS"].contains(&self.word(at)) {
            at += 1;
        }
        let (name, after) = self.name(at)?;
        let by = self.find(after..self.tokens.len(), 0, &["PARTITIONED"])? + 2;
        if !self.sign(by, '(') {
            return None;
        }
        let end = self.end_of_query(by + 1);
        let starts = (by..end).filter(|at| *at == by || (self.sign(*at, ',') && self.depths[*at] == 1));
        // A transform (`days(ts)`) is not a column.
        let columns = starts.filter_map(|at| self.name(at + 1).filter(|(_, after)| !self.sign(*after, '(')));
        let columns: Vec<String> = columns.map(|(name, _)| name).collect();
        (!columns.is_empty()).then_some((name, columns))
    }
}

/// The habits of a statement; `small` are views of few rows.
pub fn habits(statement: &Statement<'_>, partitions: &Partitions, small: &Small) -> Vec<Habit> {
    let mut found = Vec::new();
    let small = statement.with_common(small);
    let froms: Vec<usize> = (0..statement.tokens.len())
        .filter(|index| statement.is_from(*index))
        .collect();
    for from in froms {
        joins::look(statement, from, &small, &mut found);
        partition_filter(statement, from, partitions, &mut found);
    }
    if let Some(writes) = statement.writes() {
        stars(statement, writes, &mut found);
        random(statement, writes, &mut found);
    }
    found.sort_by_key(|habit| habit.at);
    found
}

/// A table that is known to be partitioned, read with no mention of what it is partitioned by.
fn partition_filter(statement: &Statement<'_>, from: usize, partitions: &Partitions, found: &mut Vec<Habit>) {
    let depth = statement.depths[from];
    let end = statement.end_of_query(from);
    let tables_end = statement.end_of_tables(from);
    let begins = |at: &usize| *at == from + 1 || statement.word(at - 1) == "JOIN" || statement.sign(at - 1, ',');
    for index in (from + 1..tables_end)
        .filter(|at| statement.depths[*at] == depth)
        .filter(begins)
    {
        let Some((name, _)) = statement.name(index) else {
            continue;
        };
        let Some(columns) = partitions.get(&name) else { continue };
        let mentions = |column: &String| {
            (from..end).any(|at| {
                statement
                    .name(at)
                    .is_some_and(|(name, _)| name.rsplit('.').next() == Some(column.as_str()))
            })
        };
        if !columns.iter().any(mentions) {
            found.push(Habit {
                code: "sql-no-partition-filter",
                at: statement.at(index),
                message: format!(
                    "`{name}` is partitioned by {} and read without a condition on it: every partition is read",
                    columns.join(", ")
                ),
                fix: format!("add a condition on `{}`", columns[0]),
            });
        }
    }
}

/// `SELECT *` as what is written into a table.
fn stars(statement: &Statement<'_>, writes: usize, found: &mut Vec<Habit>) {
    let Some(select) = statement.find(writes..statement.tokens.len(), 0, &["SELECT"]) else {
        return;
    };
    let end = statement
        .find(select + 1..statement.tokens.len(), 0, &["FROM"])
        .unwrap_or(statement.tokens.len());
    for index in (select + 1..end).filter(|at| statement.depths[*at] == 0 && statement.sign(*at, '*')) {
        let first = index == select + 1
            || statement.sign(index - 1, ',')
            || statement.sign(index - 1, '.')
            || statement.word(index - 1) == "DISTINCT";
        let last = index + 1 >= end
            || statement.sign(index + 1, ',')
            || ["FROM", "EXCEPT"].contains(&statement.word(index + 1));
        if first && last {
            found.push(Habit {
                code: "sql-star-into-table",
                at: statement.at(index),
                message: "`*` into a table: a column that is added or moved at the source fails the write, or lands in another column".to_owned(),
                fix: "name the columns".to_owned(),
            });
        }
    }
}

/// Rows that are others when a task is tried again.
fn random(statement: &Statement<'_>, writes: usize, found: &mut Vec<Habit>) {
    for index in writes..statement.tokens.len() {
        let word = statement.word(index);
        let called = statement.sign(index + 1, '(') && statement.sign(index + 2, ')');
        let shuffled = word == "SHUFFLE" && statement.sign(index + 1, '(');
        if RANDOM.contains(&word) && (called || shuffled) {
            found.push(Habit {
                code: "sql-nondeterministic-write",
                at: statement.at(index),
                message: format!(
                    "`{}()` is written into a table: a task that is tried again may write other rows",
                    word.to_lowercase()
                ),
                fix: "give it a seed, or derive the value from the row (`xxhash64`, `row_number` over a unique order)"
                    .to_owned(),
            });
        }
    }
    for limit in (writes..statement.tokens.len()).filter(|at| statement.word(*at) == "LIMIT") {
        let depth = statement.depths[limit];
        let from = (writes..limit)
            .rev()
            .find(|at| statement.depths[*at] == depth && statement.word(*at) == "SELECT");
        let Some(from) = from else { continue };
        if statement.find(from..limit, depth, &["ORDER", "SORT"]).is_none() {
            found.push(Habit {
                code: "sql-nondeterministic-write",
                at: statement.at(limit),
                message: "`LIMIT` without `ORDER BY` is written into a table: which rows it keeps is not determined"
                    .to_owned(),
                fix: "add `ORDER BY` over a unique key".to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tokens;
    use super::*;

    fn codes(sql: &str) -> Vec<&'static str> {
        let text: Vec<char> = sql.chars().collect();
        let tokens = tokens(&text).unwrap();
        let partitions = Partitions::from([("sales".to_owned(), vec!["dt".to_owned()])]);
        habits(&Statement::new(&text, &tokens), &partitions, &Small::new())
            .into_iter()
            .map(|habit| habit.code)
            .collect()
    }

    #[test]
    fn habits_and_what_only_looks_like_one() {
        const CROSS: &str = "sql-cross-join";
        const STAR: &str = "sql-star-into-table";
        const RANDOM: &str = "sql-nondeterministic-write";
        const PARTITION: &str = "sql-no-partition-filter";
        let cases = [
            ("SELECT * FROM a CROSS JOIN b", vec![CROSS]),
            ("SELECT * FROM a JOIN b", vec![CROSS]),
            ("SELECT * FROM a LEFT OUTER JOIN b", vec![CROSS]),
            ("SELECT * FROM a, b", vec![CROSS]),
            ("SELECT x FROM (SELECT * FROM a, b) c WHERE c.x = 1", vec![CROSS]),
            ("SELECT * FROM a, b WHERE a.x = b.x", vec![]),
            ("SELECT * FROM a JOIN b ON a.x = b.x JOIN c USING (y)", vec![]),
            ("SELECT * FROM a JOIN b JOIN c ON b.x = c.x ON a.x = b.x", vec![]),
            ("SELECT * FROM a NATURAL JOIN b", vec![]),
            ("SELECT * FROM a, LATERAL explode(a.l)", vec![]),
            ("SELECT * FROM a LATERAL VIEW explode(l) t AS x, y", vec![]),
            ("SELECT EXTRACT(DAY FROM d), f(a, b) FROM t", vec![]),
            ("SELECT a IS DISTINCT FROM b, c FROM t", vec![]),
            ("SELECT a, b FROM t GROUP BY a, b ORDER BY a, b", vec![]),
            ("INSERT INTO t SELECT * FROM s", vec![STAR]),
            ("INSERT OVERWRITE t PARTITION (p) SELECT a, s.* FROM s", vec![STAR]),
            ("CREATE TABLE t AS SELECT DISTINCT * FROM s", vec![STAR]),
            (
                "CREATE OR REPLACE TABLE t USING delta AS SELECT * EXCEPT (a) FROM s",
                vec![STAR],
            ),
            ("WITH s AS (SELECT * FROM a) INSERT INTO t SELECT x FROM s", vec![]),
            ("CREATE VIEW v AS SELECT * FROM s", vec![]),
            ("INSERT INTO t SELECT count(*), a * b FROM s", vec![]),
            ("SELECT * FROM s", vec![]),
            ("INSERT INTO t SELECT rand() FROM s", vec![RANDOM]),
            ("INSERT INTO t SELECT rand(7), uuid FROM s", vec![]),
            ("CREATE TABLE t AS SELECT uuid() AS id, x FROM s", vec![RANDOM]),
            ("INSERT INTO t SELECT x FROM s LIMIT 10", vec![RANDOM]),
            ("INSERT INTO t SELECT x FROM s ORDER BY x LIMIT 10", vec![]),
            ("SELECT rand() FROM s LIMIT 3", vec![]),
            ("SELECT x FROM sales", vec![PARTITION]),
            ("SELECT x FROM sales WHERE amount > 1", vec![PARTITION]),
            ("SELECT x FROM sales s WHERE s.dt = '2026-01-01'", vec![]),
            ("SELECT x FROM a JOIN sales ON a.dt = sales.dt", vec![]),
            ("SELECT x FROM other", vec![]),
        ];
        for (sql, expected) in cases {
            assert_eq!(codes(sql), expected, "{sql}");
        }
    }

    #[test]
    fn partitions_are_read_out_of_definitions() {
        let read = |sql: &str| {
            let text: Vec<char> = sql.chars().collect();
            let tokens = tokens(&text).unwrap();
            Statement::new(&text, &tokens).partitions()
        };
        let columns =
            |name: &str, columns: &[&str]| Some((name.to_owned(), columns.iter().map(|c| (*c).to_owned()).collect()));
        assert_eq!(
            read("CREATE TABLE IF NOT EXISTS Lake.Sales (a INT, dt DATE) USING delta PARTITIONED BY (dt)"),
            columns("lake.sales", &["dt"])
        );
        assert_eq!(
            read("CREATE EXTERNAL TABLE `t` (a INT) PARTITIONED BY (y INT, m INT)"),
            columns("t", &["y", "m"])
        );
        assert_eq!(
            read("CREATE TABLE t (a INT) USING iceberg PARTITIONED BY (days(ts))"),
            None
        );
        assert_eq!(read("CREATE TABLE t (a INT)"), None);
        assert_eq!(read("SELECT 1"), None);
    }
}
