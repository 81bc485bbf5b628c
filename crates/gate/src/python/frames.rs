//! What in a program is a frame, a reader or a column of Spark, and which of their methods take SQL.
//!
//! Only what comes of a session or of Spark's functions counts: `filter("…")` of anything else is not Spark's.

use std::collections::HashSet;

use tree_sitter::Node;

use super::{Form, Program};

/// What modules of Spark's functions are imported as.
const FUNCTIONS: [&str; 6] = ["F", "f", "functions", "fn", "sf", "psf"];
/// Methods of a frame that give a frame.
const OF_FRAMES: [&str; 36] = [
    "select",
    "selectExpr",
    "filter",
    "where",
    "withColumn",
    "withColumns",
    "withColumnRenamed",
    "withColumnsRenamed",
    "join",
    "crossJoin",
    "drop",
    "dropna",
    "dropDuplicates",
    "distinct",
    "orderBy",
    "sort",
    "limit",
    "alias",
    "union",
    "unionAll",
    "unionByName",
    "intersect",
    "subtract",
    "exceptAll",
    "cache",
    "persist",
    "repartition",
    "coalesce",
    "hint",
    "sample",
    "toDF",
    "fillna",
    "withWatermark",
    "checkpoint",
    "agg",
    "sortWithinPartitions",
];
/// Methods of a reader that give a reader, and that give a frame.
const OF_READERS: [&str; 4] = ["option", "options", "format", "schema"];
const LOADS: [&str; 8] = ["load", "parquet", "csv", "json", "orc", "table", "text", "jdbc"];

/// Names that a text imports from Spark's functions.
pub(super) fn imported(text: &str) -> HashSet<&str> {
    let lists = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("from pyspark.sql.functions import"));
    lists
        .flat_map(|list| list.split([',', ' ', '(', ')']))
        .filter(|word| !word.is_empty())
        .collect()
}

impl<'a> Program<'a> {
    /// Which arguments of a function are SQL: of which form, from which on, how many, and under which name.
    pub(super) fn takes(&self, function: Node<'a>) -> Option<(Form, usize, usize, &'static str)> {
        let own = |name: &str| match name {
            "expr" => Some((Form::Expression, 0, 1, "str")),
            "from_json" | "from_csv" => Some((Form::Ddl, 1, 1, "schema")),
            "udf" | "pandas_udf" => Some((Form::Ddl, 0, 2, "returnType")),
            _ => None,
        };
        if function.kind() == "identifier" {
            let name = self.written(function);
            return own(name).filter(|_| name != "expr" && self.imports(name));
        }
        let method = self.written(function.child_by_field_name("attribute")?);
        let object = function.child_by_field_name("object")?;
        if FUNCTIONS.contains(&self.written(object)) {
            return own(method);
        }
        match method {
            "selectExpr" => Some((Form::Expression, 0, usize::MAX, "expr")),
            "filter" | "where" if self.is_frame(object, 0) => Some((Form::Expression, 0, 1, "condition")),
            "schema" if self.is_reader(object, 0) => Some((Form::Schema, 0, 1, "schema")),
            "createDataFrame" if self.is_session(object, 0) => Some((Form::Ddl, 1, 1, "schema")),
            "fromDDL" if self.written(object).ends_with("StructType") => Some((Form::Ddl, 0, 1, "ddl")),
            "applyInPandas" | "mapInPandas" | "applyInArrow" | "mapInArrow" => Some((Form::Ddl, 1, 1, "schema")),
            "cast" | "astype" if self.of_spark && self.is_column(object, 0) => Some((Form::Type, 0, 1, "dataType")),
            _ => None,
        }
    }

    /// Whether a name is imported from Spark's functions, and nothing else is called so.
    fn imports(&self, name: &str) -> bool {
        self.imported.contains(name) && !self.given.contains_key(name) && !self.defined.contains(name)
    }

    /// The method that a call is of, and what it is called on.
    fn method(&self, call: Node<'a>) -> Option<(&'a str, Node<'a>)> {
        let function = call
            .child_by_field_name("function")
            .filter(|node| node.kind() == "attribute")?;
        let object = function.child_by_field_name("object")?;
        Some((self.written(function.child_by_field_name("attribute")?), object))
    }

    /// Whether an expression is a frame of Spark: what a session reads, makes or selects, and what comes of that.
    fn is_frame(&self, node: Node<'a>, depth: usize) -> bool {
        if depth > 32 {
            return false;
        }
        match node.kind() {
            "identifier" => {
                // `df = df.filter(…)` beside another value is a frame when that value is one.
                let name = self.written(node);
                let own = |value: Node<'a>| {
                    let mut root = value;
                    while let Some((method, object)) = self.method(root) {
                        if !OF_FRAMES.contains(&method) {
                            return false;
                        }
                        root = object;
                    }
                    root.kind() == "identifier" && self.written(root) == name && root.id() != value.id()
                };
                // While a name is looked at it is none: what is only made of itself comes of nowhere.
                if let Some(known) = self.frames.borrow().get(name) {
                    return *known;
                }
                self.frames.borrow_mut().insert(name, false);
                let values = self.given.get(name).map(Vec::as_slice).unwrap_or_default();
                let known =
                    |value: &Option<Node<'a>>| value.is_some_and(|value| own(value) || self.is_frame(value, depth + 8));
                let frame = values.iter().all(known) && values.iter().flatten().any(|value| !own(*value));
                self.frames.borrow_mut().insert(name, frame);
                frame
            }
            "call" => self.method(node).is_some_and(|(method, object)| {
                (OF_FRAMES.contains(&method) && self.is_frame(object, depth + 1))
                    || (LOADS.contains(&method) && self.is_reader(object, depth + 1))
                    || (matches!(method, "sql" | "table" | "range" | "createDataFrame") && self.is_session(object, 0))
            }),
            "parenthesized_expression" => node.named_child(0).is_some_and(|inner| self.is_frame(inner, depth + 1)),
            _ => false,
        }
    }

    /// Whether an expression is `spark.read`, or what comes of that before it reads.
    fn is_reader(&self, node: Node<'a>, depth: usize) -> bool {
        match node.kind() {
            "attribute" => {
                let reads = |name: Node<'_>| matches!(self.written(name), "read" | "readStream");
                node.child_by_field_name("attribute").is_some_and(reads)
                    && node
                        .child_by_field_name("object")
                        .is_some_and(|object| self.is_session(object, 0))
            }
            "call" => self.method(node).is_some_and(|(method, object)| {
                depth < 32 && OF_READERS.contains(&method) && self.is_reader(object, depth + 1)
            }),
            _ => false,
        }
    }

    /// Whether an expression is a column of Spark: `F.col("a")`, `frame["a"]`, and what comes of a function of Spark's.
    fn is_column(&self, node: Node<'a>, depth: usize) -> bool {
        if depth > 16 {
            return false;
        }
        match node.kind() {
            "call" => match self.method(node) {
                Some((method, object)) => {
                    (FUNCTIONS.contains(&self.written(object)) && method.chars().next().is_some_and(char::is_lowercase))
                        || (matches!(
                            method,
                            "alias" | "cast" | "otherwise" | "when" | "over" | "getItem" | "getField" | "substr"
                        ) && self.is_column(object, depth + 1))
                }
                None => node
                    .child_by_field_name("function")
                    .is_some_and(|function| function.kind() == "identifier" && self.imports(self.written(function))),
            },
            "subscript" => node
                .child_by_field_name("value")
                .is_some_and(|frame| self.is_frame(frame, 0)),
            "parenthesized_expression" => node
                .named_child(0)
                .is_some_and(|inner| self.is_column(inner, depth + 1)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, sql_strings};

    fn forms(text: &str) -> Vec<(String, Form)> {
        let found = sql_strings(text).unwrap().into_iter();
        found.map(|found| (found.sql, found.kind)).collect()
    }

    #[test]
    fn conditions_of_frames() {
        for text in [
            "spark.table('t').filter('a > 1')",
            "spark.read.format('x').option('k', 1).load('p').select('a').where('a > 1')",
            "df = spark.read.parquet('p')\ndf = df.drop('b')\ndf.limit(1).filter(condition='a > 1')",
            "df = spark.createDataFrame(rows)\nif x:\n    df = df.filter('a > 1')",
        ] {
            assert_eq!(forms(text), [("a > 1".to_owned(), Form::Expression)], "{text}");
        }
        for text in [
            "df = pandas.read_csv('x')\ndf.filter('a > 1')",
            "df.filter('a')",
            "query.filter('a = 1')",
            "items = filter('a', b)",
            "def f(df):\n    df.where('a')",
            "df = spark.table('t')\ndf = df.toPandas()\ndf.filter('a')",
            "df = df.filter('a > 1')",
            "spark.table('t').toPandas().filter('a')",
            "spark.table('t').filter(f'a > {x}')",
        ] {
            assert_eq!(forms(text), [], "{text}");
        }
    }

    #[test]
    fn types_and_schemas() {
        for (text, sql, form) in [
            ("spark.read.schema('a INT').json('p')", "a INT", Form::Schema),
            ("spark.createDataFrame([], 'a int')", "a int", Form::Ddl),
            ("spark.createDataFrame([], schema='a int')", "a int", Form::Ddl),
            ("StructType.fromDDL('a int')", "a int", Form::Ddl),
            ("F.from_json('c', 'a int')", "a int", Form::Ddl),
            (
                "from pyspark.sql.functions import col, from_json\nfrom_json(col('c'), 'a int')",
                "a int",
                Form::Ddl,
            ),
            ("g.applyInPandas(h, schema='a int')", "a int", Form::Ddl),
            ("import pyspark\nF.col('a').cast('int')", "int", Form::Type),
            ("import pyspark\nspark.table('t')['a'].cast('int')", "int", Form::Type),
        ] {
            assert_eq!(forms(text), [(sql.to_owned(), form)], "{text}");
        }
        for text in [
            "F.from_json('c', '{\"type\": \"struct\"}')",
            "from_json('c', 'a int')",
            "array.cast('int64')",
            "pl.col('a').cast('x')",
            "duckdb.read.schema('x')",
            "memoryview(f).cast('B')",
            "df.astype('int64')",
        ] {
            assert_eq!(forms(text), [], "{text}");
        }
    }
}
