//! SQL in Python: the texts that a program gives to `spark.sql`.
//!
//! In: Python. Out: [`SqlString`]s, each with the way back to the file, so that an error in the SQL is told where it is written. A text is followed only where
//! that cannot go wrong: a literal (also adjacent ones, f-strings and `.format`), or a name that is given one such text and nothing else in its file. What is put
//! together while the program runs is not known before, and is left out.

mod frames;

use std::collections::HashMap;

use tree_sitter::{Node, Parser, Tree};

/// A text of SQL in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlString {
    /// The SQL; what the program fills in stands as `${}`.
    pub sql: String,
    /// Where each character of it stands in the file, in bytes.
    pub offsets: Vec<usize>,
    /// Where the call stands, in bytes.
    pub call: usize,
    /// What it is.
    pub kind: Form,
}

/// What a text is to Spark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A statement.
    Statement,
    /// An expression: what `expr`, `selectExpr` and the `filter` of a frame are given.
    Expression,
    /// Columns and their types: what a reader's `schema` is given.
    Schema,
    /// Either of columns and types, and a type: what `createDataFrame`, `from_json` and functions of Python are given.
    Ddl,
    /// A type: what `cast` is given.
    Type,
}

/// Why a program cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no Python from here on")]
pub struct NoPython {
    /// The first byte that is not understood.
    pub at: usize,
}

/// The texts that a program gives to a Spark session's `sql`, to `functions.expr`, `selectExpr` and `filter`, and its types and schemas in DDL.
///
/// # Errors
/// Where the program is no Python. What could be read of it is not returned, since it may be read wrongly.
pub fn sql_strings(text: &str) -> Result<Vec<SqlString>, NoPython> {
    let Some(tree) = parse(text) else {
        return Err(NoPython { at: 0 });
    };
    if let Some(at) = first_error(tree.root_node()) {
        return Err(NoPython { at });
    }
    let program = Program::of(tree.root_node(), text);
    let mut found = Vec::new();
    program.calls(tree.root_node(), &mut found);
    Ok(found)
}

fn parse(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
    parser.parse(text, None)
}

fn first_error(node: Node<'_>) -> Option<usize> {
    if node.is_error() || node.is_missing() {
        return Some(node.start_byte());
    }
    if !node.has_error() {
        return None;
    }
    let mut cursor = node.walk();
    let found = node.children(&mut cursor).find_map(first_error);
    found.or(Some(node.start_byte()))
}

/// What is known of names in a program.
struct Program<'a> {
    text: &'a str,
    /// Everything that names are given; `None` where it is not known.
    given: HashMap<&'a str, Vec<Option<Node<'a>>>>,
    /// Names that are given a value once, and the value; `None` for those that are given more than one.
    values: HashMap<&'a str, Option<Node<'a>>>,
}

impl<'a> Program<'a> {
    fn of(root: Node<'a>, text: &'a str) -> Program<'a> {
        let mut program = Program {
            text,
            given: HashMap::new(),
            values: HashMap::new(),
        };
        program.names(root);
        program
    }

    fn written(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Collects what names are given, wherever that is.
    fn names(&mut self, node: Node<'a>) {
        match node.kind() {
            "assignment" => {
                if let Some(left) = node.child_by_field_name("left") {
                    self.given(left, node.child_by_field_name("right"));
                }
            }
            // Anything else that changes a name makes it unknown.
            "augmented_assignment"
            | "for_statement"
            | "for_in_clause"
            | "named_expression"
            | "global_statement"
            | "nonlocal_statement" => {
                for field in ["left", "name"] {
                    if let Some(left) = node.child_by_field_name(field) {
                        self.given(left, None);
                        self.given(left, None);
                    }
                }
            }
            "parameters" | "lambda_parameters" => {
                let mut cursor = node.walk();
                for parameter in node.named_children(&mut cursor) {
                    let name = if parameter.kind() == "identifier" {
                        Some(parameter)
                    } else {
                        parameter.named_child(0)
                    };
                    if let Some(name) = name.filter(|name| name.kind() == "identifier") {
                        self.values.insert(self.written(name), None);
                        self.given.entry(self.written(name)).or_default().push(None);
                    }
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            self.names(child);
        }
    }

    fn given(&mut self, left: Node<'a>, value: Option<Node<'a>>) {
        if left.kind() == "identifier" {
            let name = self.written(left);
            self.given.entry(name).or_default().push(value);
            self.values
                .entry(name)
                .and_modify(|known| *known = None)
                .or_insert(value);
        } else if matches!(left.kind(), "pattern_list" | "tuple_pattern" | "list_pattern") {
            let mut cursor = left.walk();
            for name in left.named_children(&mut cursor) {
                if name.kind() == "identifier" {
                    self.values.insert(self.written(name), None);
                    self.given.entry(self.written(name)).or_default().push(None);
                }
            }
        }
    }

    fn calls(&self, node: Node<'a>, found: &mut Vec<SqlString>) {
        if node.kind() == "call" {
            found.extend(self.call(node));
            self.expressions(node, found);
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            self.calls(child, found);
        }
    }

    /// The texts of `F.expr("…")`, `frame.selectExpr("…", "…")`, `frame.filter("…")`, and of types and schemas. What is put together of parts is left
    /// out: a part may be anything.
    fn expressions(&self, call: Node<'a>, found: &mut Vec<SqlString>) {
        let (Some(function), Some(arguments)) = (
            call.child_by_field_name("function"),
            call.child_by_field_name("arguments"),
        ) else {
            return;
        };
        let Some((form, first, count, keyword)) = self.takes(function) else {
            return;
        };
        let mut cursor = arguments.walk();
        let given: Vec<Node<'a>> = arguments
            .named_children(&mut cursor)
            .filter(|node| node.kind() != "comment")
            .collect();
        let named = given
            .iter()
            .filter(|node| node.kind() == "keyword_argument")
            .filter_map(|node| {
                let name = node.child_by_field_name("name")?;
                node.child_by_field_name("value")
                    .filter(|_| self.written(name) == keyword)
            });
        for argument in given.iter().copied().skip(first).take(count).chain(named) {
            let mut text = SqlString {
                sql: String::new(),
                offsets: Vec::new(),
                call: call.start_byte(),
                kind: form,
            };
            let literal = matches!(argument.kind(), "string" | "concatenated_string");
            if literal && self.text_of(argument, false, &mut text, 0).is_some() && !text.sql.contains("${") {
                // A schema may be JSON, too.
                let json = form == Form::Ddl && text.sql.trim_start().starts_with(['{', '"']);
                if !json {
                    found.push(text);
                }
            }
        }
    }

    /// The text of a call of a session's `sql`.
    fn call(&self, call: Node<'a>) -> Option<SqlString> {
        let function = call
            .child_by_field_name("function")
            .filter(|node| node.kind() == "attribute")?;
        let method = function.child_by_field_name("attribute")?;
        if self.written(method) != "sql" || !self.is_session(function.child_by_field_name("object")?, 0) {
            return None;
        }
        let arguments = call.child_by_field_name("arguments")?;
        let mut cursor = arguments.walk();
        let mut given = arguments
            .named_children(&mut cursor)
            .filter(|node| node.kind() != "comment");
        let first = given.next()?;
        // `spark.sql("… {table}", table=df)` fills in what is in braces.
        let named = |node: &Node<'_>| {
            node.kind() == "keyword_argument"
                && node
                    .child_by_field_name("name")
                    .is_some_and(|name| self.written(name) != "args")
        };
        let first = if first.kind() == "keyword_argument" {
            let query = first
                .child_by_field_name("name")
                .is_some_and(|name| self.written(name) == "sqlQuery");
            first.child_by_field_name("value").filter(|_| query)?
        } else {
            first
        };
        let filled = given.any(|node| named(&node) || node.kind() == "dictionary_splat");
        let mut text = SqlString {
            sql: String::new(),
            offsets: Vec::new(),
            call: call.start_byte(),
            kind: Form::Statement,
        };
        self.text_of(first, filled, &mut text, 0)?;
        Some(text)
    }

    /// Whether an expression is a Spark session, by what it is called or what it is given.
    fn is_session(&self, node: Node<'a>, depth: usize) -> bool {
        let named = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.contains("spark") || name == "sqlcontext" || name == "hivecontext"
        };
        match node.kind() {
            "identifier" => {
                let name = self.written(node);
                let value = self.values.get(name).copied().flatten();
                // A name that says so is one, unless it is given something else altogether.
                named(name) || value.is_some_and(|value| depth < 4 && self.is_session(value, depth + 1))
            }
            "attribute" => node
                .child_by_field_name("attribute")
                .is_some_and(|name| named(self.written(name))),
            "call" => {
                let chain = self.written(node);
                chain.contains("SparkSession") && chain.contains("getOrCreate")
            }
            "parenthesized_expression" => node
                .named_child(0)
                .is_some_and(|inner| self.is_session(inner, depth + 1)),
            _ => false,
        }
    }

    /// Adds the text of an expression; `None` when it is not known. `filled`: braces stand for what is filled in.
    fn text_of(&self, node: Node<'a>, filled: bool, text: &mut SqlString, depth: usize) -> Option<()> {
        if depth > 16 {
            return None;
        }
        match node.kind() {
            "string" => self.literal(node, filled, text),
            "concatenated_string" => {
                let mut cursor = node.walk();
                let parts: Vec<_> = node
                    .named_children(&mut cursor)
                    .filter(|part| part.kind() == "string")
                    .collect();
                parts.into_iter().try_for_each(|part| self.literal(part, filled, text))
            }
            "parenthesized_expression" => {
                let mut cursor = node.walk();
                let inner = node.named_children(&mut cursor).find(|inner| inner.kind() != "comment");
                self.text_of(inner?, filled, text, depth + 1)
            }
            "binary_operator" => {
                let operator = node.child_by_field_name("operator")?;
                if self.written(operator) != "+" {
                    return None;
                }
                self.text_of(node.child_by_field_name("left")?, filled, text, depth + 1)?;
                self.text_of(node.child_by_field_name("right")?, filled, text, depth + 1)
            }
            "call" => {
                let function = node
                    .child_by_field_name("function")
                    .filter(|node| node.kind() == "attribute")?;
                let object = function.child_by_field_name("object")?;
                match self.written(function.child_by_field_name("attribute")?) {
                    "format" => self.text_of(object, true, text, depth + 1),
                    "strip" | "lstrip" | "rstrip" => self.text_of(object, filled, text, depth + 1),
                    _ => None,
                }
            }
            "identifier" => {
                let value = self.values.get(self.written(node)).copied().flatten()?;
                self.text_of(value, filled, text, depth + 1)
            }
            _ => None,
        }
    }

    fn literal(&self, node: Node<'a>, filled: bool, text: &mut SqlString) -> Option<()> {
        let start = node.child(0).filter(|start| start.kind() == "string_start")?;
        let opening = self.written(start).to_ascii_lowercase();
        let prefix = opening.trim_end_matches(['"', '\'']);
        if prefix.contains('b') {
            return None;
        }
        let raw = prefix.contains('r');
        let braces = filled || prefix.contains('f');
        let end = node.child(node.child_count().checked_sub(1)?)?;
        let mut cursor = node.walk();
        // What is put in for the parts of an f-string.
        let holes: Vec<_> = node
            .children(&mut cursor)
            .filter(|part| part.kind() == "interpolation")
            .map(|part| part.byte_range())
            .collect();
        let mut at = start.end_byte();
        while at < end.start_byte() {
            if let Some(hole) = holes.iter().find(|hole| hole.start == at) {
                text.fill(at);
                at = hole.end;
                continue;
            }
            at = self.character(at, end.start_byte(), raw, braces, text)?;
        }
        Some(())
    }

    /// Adds the character at a place, and tells where the next one begins.
    fn character(&self, at: usize, end: usize, raw: bool, braces: bool, text: &mut SqlString) -> Option<usize> {
        let rest = &self.text[at..end];
        let mut characters = rest.chars();
        let first = characters.next()?;
        let second = characters.next();
        match (first, second) {
            ('\\', Some(escaped)) if !raw => {
                let simple = match escaped {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    '\\' | '\'' | '"' => Some(escaped),
                    '\n' => None,
                    'a' | 'b' | 'f' | 'v' | '0'..='7' | 'x' | 'u' | 'U' | 'N' => {
                        // Rare in SQL: one character that is no part of its grammar but of a literal.
                        text.push('?', at);
                        let length = rest
                            .char_indices()
                            .skip(2)
                            .find(|(_, c)| !c.is_ascii_hexdigit())
                            .map_or(rest.len(), |(index, _)| index);
                        let most = match escaped {
                            'x' => 4,
                            'u' => 6,
                            'U' => 10,
                            'N' => rest.find('}').map_or(2, |close| close + 1),
                            '0'..='7' => 4,
                            _ => 2,
                        };
                        return Some(at + if escaped == 'N' { most } else { length.min(most).max(2) });
                    }
                    _ => {
                        // Python keeps the backslash of what it does not know.
                        text.push('\\', at);
                        text.push(escaped, at + 1);
                        return Some(at + 1 + escaped.len_utf8());
                    }
                };
                if let Some(simple) = simple {
                    text.push(simple, at);
                }
                Some(at + 1 + escaped.len_utf8())
            }
            ('{' | '}', Some(next)) if braces && next == first => {
                text.push(first, at);
                Some(at + 2)
            }
            ('{', _) if braces => {
                text.fill(at);
                Some(at + rest.find('}')? + 1)
            }
            _ => {
                text.push(first, at);
                Some(at + first.len_utf8())
            }
        }
    }
}

impl SqlString {
    fn push(&mut self, character: char, at: usize) {
        self.sql.push(character);
        self.offsets.push(at);
    }

    /// Something that the program fills in.
    fn fill(&mut self, at: usize) {
        for character in "${}".chars() {
            self.push(character, at);
        }
    }

    /// Where a character of the SQL stands in the file.
    #[must_use]
    pub fn offset(&self, character: usize) -> usize {
        let last = self.offsets.last().copied().unwrap_or(self.call);
        self.offsets.get(character).copied().unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Vec<String> {
        sql_strings(text).unwrap().into_iter().map(|found| found.sql).collect()
    }

    #[test]
    fn literals_of_every_form() {
        let cases = [
            ("spark.sql('SELECT 1')", vec!["SELECT 1"]),
            ("spark.sql(\"\"\"SELECT\n1\"\"\")", vec!["SELECT\n1"]),
            ("spark.sql('SELECT ' 'a' \"b\")", vec!["SELECT ab"]),
            ("spark.sql(('SELECT '\n  # why\n  '1'))", vec!["SELECT 1"]),
            ("spark.sql('a\\nb\\'c\\\\d')", vec!["a\nb'c\\d"]),
            ("spark.sql(r'a\\nb')", vec!["a\\nb"]),
            ("spark.sql('a\\\nb')", vec!["ab"]),
            (
                "spark.sql(f'SELECT {x} FROM {t:>{w}} {{k}}')",
                vec!["SELECT ${} FROM ${} {k}"],
            ),
            (
                "spark.sql('SELECT {} {a} {{b}}'.format(1, a=2))",
                vec!["SELECT ${} ${} {b}"],
            ),
            ("spark.sql('SELECT * FROM {df}', df=df)", vec!["SELECT * FROM ${}"]),
            ("spark.sql('SELECT :a', args={'a': 1})", vec!["SELECT :a"]),
            ("spark.sql('SELECT ' + 'b')", vec!["SELECT b"]),
            ("spark.sql(sqlQuery='SELECT 1')", vec!["SELECT 1"]),
            ("spark.sql('''a'''.strip())", vec!["a"]),
            ("spark.sql('\\u00e9x')", vec!["?x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(sql(text), expected, "{text}");
        }
    }

    #[test]
    fn a_session_is_known_by_its_name_or_its_making() {
        for text in [
            "self.spark.sql('x')",
            "get(1).spark_session.sql('x')",
            "sqlContext.sql('x')",
            "s = SparkSession.builder.getOrCreate()\ns.sql('x')",
            "SparkSession.builder.appName('a').getOrCreate().sql('x')",
        ] {
            assert_eq!(sql(text), ["x"], "{text}");
        }
        for text in [
            "duckdb.sql('x')",
            "con.sql('x')",
            "sql('x')",
            "spark.table('x')",
            "db.session.sql('x')",
        ] {
            assert_eq!(sql(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn names_are_followed_only_when_they_have_one_value() {
        assert_eq!(sql("Q = 'SELECT 1'\nspark.sql(Q)"), ["SELECT 1"]);
        assert_eq!(
            sql("def f():\n    q = f'SELECT {x}'\n    return spark.sql(q)"),
            ["SELECT ${}"]
        );
        for text in [
            "Q = 'a'\nQ = 'b'\nspark.sql(Q)",
            "Q = 'a'\nQ += 'b'\nspark.sql(Q)",
            "def f(Q):\n    spark.sql(Q)\nQ = 'a'",
            "for Q in ['a']:\n    spark.sql(Q)",
            "spark.sql(open('x').read())",
            "spark.sql('a %s' % b)",
            "Q = Q\nspark.sql(Q)",
        ] {
            assert_eq!(sql(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn places_lead_back_to_the_file() {
        let text = "x = 1\nspark.sql('''SELECT\n  é \\'b''')";
        let found = &sql_strings(text).unwrap()[0];
        assert_eq!(found.sql, "SELECT\n  é 'b");
        let at = |what: char| found.sql.chars().position(|c| c == what).unwrap();
        assert_eq!(&text[found.offset(at('é'))..][.."é".len()], "é");
        assert_eq!(&text[found.offset(at('b'))..][..1], "b");
        assert_eq!(&text[found.call..][..9], "spark.sql");
        assert!(found.offset(1000) < text.len());
    }

    #[test]
    fn expressions_are_literals() {
        for (text, expected) in [
            ("df.select(F.expr('a + 1'))", vec!["a + 1"]),
            (
                "df.selectExpr('a', \"b + 1 AS c\", f'{x} + 1', y)",
                vec!["a", "b + 1 AS c"],
            ),
            ("df.withColumn('a', functions.expr('b' ' + 1'))", vec!["b + 1"]),
            ("pl.expr('a')", vec![]),
            ("F.expr(text)", vec![]),
        ] {
            assert_eq!(sql(text), expected, "{text}");
            assert!(
                sql_strings(text)
                    .unwrap()
                    .iter()
                    .all(|found| found.kind == Form::Expression)
            );
        }
    }

    #[test]
    fn what_is_no_python_says_where() {
        assert_eq!(sql_strings("x = 1\ndef f(:\n"), Err(NoPython { at: 12 }));
        assert!(sql_strings("").unwrap().is_empty());
    }
}
