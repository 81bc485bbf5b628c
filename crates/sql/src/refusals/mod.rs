//! What Spark refuses of what its grammar takes.
//!
//! When the text is a sentence of the grammar, Spark's parser builds a plan of the tree, and there it refuses more: dates that are none, clauses given twice,
//! types that do not exist. Each refusal here stands for one of Spark's error conditions and has its name (where Spark has only a number for it, the name of
//! its kind); what it looks at are rules of the grammar by name, so what a version does not have does not apply. What was refused was asked of Spark 3.5, 4.0, 4.1
//! and 4.3 themselves; `tests/trials/conditions.txt` goes through the places where they throw, one by one. A rule that hangs on the session's configuration (but for the `SWITCHES`), on the catalog or on values that are not known is left out: what is told is refused.
//!
//! - [`literals`], [`moments`], [`intervals`]: numbers, dates, times, lengths of time
//! - [`types`]: data types and collations
//! - [`values`]: what constants are
//! - [`queries`]: `SELECT` and its clauses, `|>`
//! - [`columns`], [`tables`]: `CREATE` and `ALTER`
//! - [`changes`]: `INSERT`, `UPDATE`, `DELETE`, `MERGE`
//! - [`commands`]: the rest of the statements
//! - [`pipelines`]: materialized views, streaming tables, flows
//! - [`scripts`]: `BEGIN … END`

mod changes;
mod columns;
mod commands;
mod intervals;
mod literals;
mod moments;
mod pipelines;
mod queries;
mod scripts;
mod tables;
mod types;
mod values;

use std::ops::Range;

use crate::grammar::SyntaxError;
use crate::parsed::{Node, Parsed};

/// A kind of statement or clause that Spark knows of and does not do.
const INVALID: &str = "INVALID_STATEMENT_OR_CLAUSE";
/// An operation Spark does not allow; it has no name of its own.
const NOT_ALLOWED: &str = "OPERATION_NOT_ALLOWED";
/// A clause twice.
const TWICE: &str = "DUPLICATE_CLAUSES";

/// What was refused so far: the character, the condition, what is wrong.
#[derive(Default)]
struct Refusals(Vec<(usize, &'static str, String)>);

impl Refusals {
    fn add(&mut self, node: Node<'_>, condition: &'static str, message: impl Into<String>) {
        self.0.push((node.at(), condition, message.into()));
    }
}

/// The first thing that Spark refuses of a text.
pub fn first(parsed: &Parsed<'_>) -> Option<SyntaxError> {
    let mut found = Refusals::default();
    let bodies = bodies(parsed);
    let told = |node: &Node<'_>| !bodies.iter().any(|body| body.contains(&node.first()));
    for node in parsed.nodes().filter(told) {
        look_at_name(node, &mut found);
        literals::look(node, &mut found);
        types::look(node, &mut found);
        queries::look(node, &mut found);
        values::look(node, &mut found);
        columns::look(node, &mut found);
        tables::look(node, &mut found);
        changes::look(node, &mut found);
        commands::look(node, parsed.text(), &mut found);
        scripts::look(node, &mut found);
        pipelines::look(node, &mut found);
    }
    let (at, condition, message) = found.0.into_iter().min_by_key(|(at, ..)| *at)?;
    Some(SyntaxError::at(parsed.text(), at, condition, message))
}

/// The value of a text in quotes, of adjacent ones together; `None` when it is a parameter.
fn text_of(node: Node<'_>) -> Option<String> {
    let mut value = String::new();
    for word in node.words() {
        let written = word.text();
        let raw = written.starts_with(['r', 'R']);
        let quoted = written.trim_start_matches(['r', 'R']);
        let quote = quoted.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
        if raw {
            value.push_str(inner);
        } else {
            unescape(inner, quote, &mut value);
        }
    }
    Some(value)
}

fn unescape(text: &str, quote: char, into: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some('n') => into.push('\n'),
                Some('t') => into.push('\t'),
                Some('r') => into.push('\r'),
                Some('b') => into.push('\u{8}'),
                Some('Z') => into.push('\u{1a}'),
                Some('0') => into.push('\0'),
                Some(wild @ ('%' | '_')) => {
                    into.push('\\');
                    into.push(wild);
                }
                Some(other) => into.push(other),
                None => into.push('\\'),
            },
            _ if character == quote && rest.peek() == Some(&quote) => {
                rest.next();
                into.push(quote);
            }
            _ => into.push(character),
        }
    }
}

/// What a function in SQL is made of, its value and its defaults, by their tokens: Spark keeps them as a text and parses them when the function is made.
fn bodies(parsed: &Parsed<'_>) -> Vec<Range<usize>> {
    let creates = |node: &Node<'_>| node.is("statement") && begins(*node, &["CREATE"]) && node.has("FUNCTION");
    let mut bodies = Vec::new();
    for statement in parsed.nodes().filter(creates) {
        let of = |node: &Node<'_>| match node.rule() {
            "query" | "expression" => node.parent().is_some_and(|parent| parent.is("statement")),
            rule => rule == "defaultExpression",
        };
        let range = |node: Node<'_>| node.first()..node.first() + node.words().count();
        bodies.extend(statement.below().into_iter().filter(of).map(range));
    }
    bodies
}

/// The name in `IDENTIFIER('…')`, which some Sparks read while they parse.
fn look_at_name(node: Node<'_>, found: &mut Refusals) {
    let (text, single) = match node.rule() {
        "strictIdentifier" if begins(node, &["IDENTIFIER_KW"]) => {
            // No one looks at these.
            let unread = |node: Node<'_>| matches!(node.rule(), "functionName" | "propertyKey");
            let text = node.kid("stringLit").filter(|_| !node.above().any(unread));
            (text, true)
        }
        "identifierReference" if begins(node, &["IDENTIFIER_KW"]) && node.version() >= (4, 2) => {
            let text = node.kid("expression").map(Node::inner);
            (text.filter(|text| text.words().count() == 1), false)
        }
        _ => return,
    };
    let Some(name) = text.and_then(text_of) else { return };
    let parts: Vec<&str> = name.split('.').map(str::trim).collect();
    let plain = |part: &&str| {
        part.chars().any(|c| !c.is_ascii_digit()) && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    // A name in backquotes may be anything.
    if name.contains('`') || (parts.iter().all(plain) && !(single && parts.len() > 1 && is_alone(node))) {
        return;
    }
    let (condition, message) = match parts.iter().all(plain) {
        true => ("IDENTIFIER_TOO_MANY_NAME_PARTS", "has more parts than one"),
        false => (
            "PARSE_SYNTAX_ERROR",
            "is not a name: other characters stand in backquotes",
        ),
    };
    found.add(node, condition, format!("'{name}' {message}"));
}

/// Whether a name is not one of those that may have several parts.
fn is_alone(node: Node<'_>) -> bool {
    let above: Vec<&str> = node.above().take(4).map(Node::rule).collect();
    matches!(
        above.as_slice(),
        ["identifier", "errorCapturingIdentifier", "namedExpression", ..]
    ) || matches!(above.as_slice(), ["tableAlias", ..])
}

/// The first parameter in it, `?` or `:name`.
fn parameter(node: Node<'_>) -> Option<Node<'_>> {
    let is = |node: &Node<'_>| {
        node.rule().to_ascii_lowercase().contains("parametermarker")
            || (node.is("constant") && (node.has("QUESTION") || node.has("COLON")))
    };
    node.below().into_iter().find(is)
}

/// The first value that is there twice.
fn twice(mut values: Vec<String>) -> Option<String> {
    values.sort_unstable();
    let pair = values.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(pair[0].clone())
}

/// A node's first own words, in upper case: what kind of a statement it is.
fn begins(node: Node<'_>, kinds: &[&str]) -> bool {
    let mut own = node.own();
    kinds
        .iter()
        .all(|kind| own.next().is_some_and(|word| word.kind() == *kind))
}
