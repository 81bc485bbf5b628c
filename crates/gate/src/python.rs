//! SQL in Python: the texts that a program gives to `spark.sql`.
//!
//! In: Python. Out: [`SqlString`]s, each with the way back to the file, so that an error in the SQL is told where it is written. A text is followed only where
//! that cannot go wrong: a literal (also adjacent ones, f-strings and `.format`), or a name that is given one such text and nothing else in its file. What is put
//! together while the program runs is not known before, and is left out.

mod frames;
mod literals;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use tree_sitter::{Node, Parser, Tree};

pub use literals::{Literal, literals};

/// Most characters of SQL in a program, in all; names that are put together of names may stand for any number.
const MOST_SQL: usize = 4 << 20;

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
pub enum NoPython {
    /// It is not valid Python.
    #[error("this is not valid Python from here on")]
    Syntax {
        /// The first byte that is not understood.
        at: usize,
    },
    /// More SQL than is followed.
    #[error("the SQL of this program is put together to more than {} MiB by here", MOST_SQL >> 20)]
    TooMuch {
        /// Where the call stands with which it is too much.
        at: usize,
    },
}

/// The texts that a program gives to a Spark session's `sql`, to `functions.expr`, `selectExpr` and `filter`, and its types and schemas in DDL.
///
/// # Errors
/// Where the program is not Python. What could be read of it is not returned, since it may be read wrongly.
pub fn sql_strings(text: &str) -> Result<Vec<SqlString>, NoPython> {
    let tree = tree(text)?;
    let program = Program::of(tree.root_node(), text);
    let mut found = Vec::new();
    let mut length = 0;
    for node in nodes(tree.root_node()).filter(|node| node.kind() == "call") {
        let before = found.len();
        found.extend(program.call(node));
        program.expressions(node, &mut found);
        length += found[before..].iter().map(|found| found.offsets.len()).sum::<usize>();
        if length > MOST_SQL {
            return Err(NoPython::TooMuch { at: node.start_byte() });
        }
    }
    Ok(found)
}

/// The syntax of a program.
fn tree(text: &str) -> Result<Tree, NoPython> {
    let tree = parse(text).ok_or(NoPython::Syntax { at: 0 })?;
    match first_error(tree.root_node()) {
        Some(at) => Err(NoPython::Syntax { at }),
        None => Ok(tree),
    }
}

fn parse(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
    parser.parse(text, None)
}

/// A node and everything below it, in the order of the text. A program may be nested deeper than a stack is.
fn nodes(root: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let mut cursor = root.walk();
    let mut next = Some(root);
    std::iter::from_fn(move || {
        let node = next?;
        let mut more = cursor.goto_first_child() || cursor.goto_next_sibling();
        while !more && cursor.goto_parent() {
            more = cursor.goto_next_sibling();
        }
        next = more.then(|| cursor.node());
        Some(node)
    })
}

fn first_error(root: Node<'_>) -> Option<usize> {
    if !root.has_error() {
        return None;
    }
    let wrong = nodes(root).find(|node| node.is_error() || node.is_missing());
    Some(wrong.unwrap_or(root).start_byte())
}

/// What is known of names in a program.
struct Program<'a> {
    text: &'a str,
    /// Everything that names are given; `None` where it is not known.
    given: HashMap<&'a str, Vec<Option<Node<'a>>>>,
    /// Names that are given a value once, and the value; `None` for those that are given more than one.
    values: HashMap<&'a str, Option<Node<'a>>>,
    /// Names that are imported from Spark's functions.
    imported: HashSet<&'a str>,
    /// Names of the program's own functions.
    defined: HashSet<&'a str>,
    /// Whether the text speaks of Spark.
    of_spark: bool,
    /// Names that are looked at or have been, and whether they are frames.
    frames: RefCell<HashMap<&'a str, bool>>,
}

impl<'a> Program<'a> {
    fn of(root: Node<'a>, text: &'a str) -> Program<'a> {
        let mut program = Program {
            text,
            given: HashMap::new(),
            values: HashMap::new(),
            imported: frames::imported(text),
            defined: HashSet::new(),
            of_spark: text.contains("pyspark"),
            frames: RefCell::default(),
        };
        for node in nodes(root) {
            program.name(node);
        }
        program
    }

    fn written(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Notes what a name is given.
    fn name(&mut self, node: Node<'a>) {
        match node.kind() {
            "function_definition" => {
                if let Some(name) = node.child_by_field_name("name") {
                    self.defined.insert(self.written(name));
                }
            }
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
                .is_some_and(|inner| depth < 32 && self.is_session(inner, depth + 1)),
            _ => false,
        }
    }

    /// Adds the text of an expression; `None` when it is not known. `filled`: braces stand for what is filled in.
    fn text_of(&self, node: Node<'a>, filled: bool, text: &mut SqlString, depth: usize) -> Option<()> {
        if depth > 16 || text.offsets.len() > MOST_SQL {
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
                        // Rare in SQL: one character that is not a part of its grammar but of a literal.
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
mod tests;
