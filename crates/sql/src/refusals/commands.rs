//! Statements that are neither queries nor about tables: functions, resources, settings, variables; and what Spark does not do.

use super::{INVALID, NOT_ALLOWED, Refusals, TWICE, intervals, twice};
use crate::parsed::Node;

/// What allows cursors.
pub const CURSORS: &str = "spark.sql.scripting.cursorEnabled";

/// Hours a time zone may be away, in microseconds.
const MOST_OFFSET: i64 = 18 * 3_600_000_000;

pub fn look(node: Node<'_>, text: &[char], found: &mut Refusals) {
    match node.rule() {
        "unsupportedHiveNativeCommands" => {
            found.add(
                node,
                INVALID,
                format!("{} is not supported", node.text().to_uppercase()),
            );
        }
        "statement" | "setResetStatement" => statement(node, text, found),
        "resource" => {
            let kind = node.kids().next().map(Node::name).unwrap_or_default();
            if !["jar", "file", "archive"].contains(&kind.to_lowercase().as_str()) {
                found.add(
                    node,
                    NOT_ALLOWED,
                    format!("a function uses JAR, FILE and ARCHIVE, not {kind}"),
                );
            }
        }
        "routineCharacteristics" => characteristics(node, found),
        "executeImmediateUsing" => {
            let aliases = node.below().into_iter().filter(|node| node.is("namedExpression"));
            let names = aliases
                .filter_map(|node| node.kid("errorCapturingIdentifier"))
                .map(Node::name);
            if let Some(name) = twice(names.collect()) {
                found.add(
                    node,
                    "EXEC_IMMEDIATE_DUPLICATE_ARGUMENT_ALIASES",
                    format!("`{name}` is given twice"),
                );
            }
        }
        _ => {}
    }
}

fn dots(node: Option<Node<'_>>) -> usize {
    node.and_then(Node::inner_name).map_or(0, |name| name.count("DOT"))
}

/// Whether a temporary object is said to be in a database. Since Spark 4.2 there is one for them: `session`, or `system.session`.
pub fn is_qualified(name: Option<Node<'_>>) -> bool {
    let Some(name) = name.and_then(Node::inner_name) else {
        return false;
    };
    let parts: Vec<String> = name.kids().map(|part| part.name().to_lowercase()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["session", _] | ["system", "session", _] => name.version() < (4, 2),
        parts => parts.len() > 1,
    }
}

fn statement(node: Node<'_>, text: &[char], found: &mut Refusals) {
    let own: Vec<&str> = node.own().map(|word| word.kind()).collect();
    let has = |kind: &str| own.contains(&kind);
    let named = || node.kid("identifierReference");
    match own.as_slice() {
        ["SET", "ROLE", ..] => found.add(node, INVALID, "SET ROLE is not supported"),
        ["SET", "TIME", "ZONE", rest @ ..] => zone(node, rest, found),
        ["SET", ..] if node.kids().next().is_none() => set(node, text, found),
        ["SET", ..] if node.kid("configKey").is_some() || node.kid("configValue").is_some() => {
            set_quoted(node, text, found);
        }
        ["RESET", ..] if node.kids().next().is_none() => {
            let rest = remainder(node, text);
            let rest = match node.version() >= (4, 0) {
                true => rest.trim_end_matches(';').trim_end(),
                false => rest.as_str(),
            };
            if !is_key(rest) && !rest.is_empty() {
                let message = "RESET takes one key; one with other characters stands in backquotes";
                found.add(node, "INVALID_RESET_COMMAND_FORMAT", message);
            }
        }
        ["ADD" | "LIST", ..] => {
            let kind = node
                .words()
                .nth(1)
                .map(|word| word.text().to_lowercase())
                .unwrap_or_default();
            let known = ["jar", "jars", "file", "files", "archive", "archives"];
            if !known.contains(&kind.as_str()) {
                found.add(
                    node,
                    NOT_ALLOWED,
                    format!("JAR, FILE and ARCHIVE can be added and listed, not {kind}"),
                );
            }
        }
        ["EXPLAIN", "LOGICAL", ..] => found.add(
            node,
            INVALID,
            "EXPLAIN LOGICAL is not supported: write EXPLAIN EXTENDED",
        ),
        ["ANALYZE", ..] => {
            let word = node
                .kids()
                .last()
                .filter(|kid| matches!(kid.rule(), "identifier" | "simpleIdentifier"));
            if let Some(word) = word.filter(|word| !word.name().eq_ignore_ascii_case("NOSCAN")) {
                let message = format!("NOSCAN is what may stand here, not {}", word.name());
                found.add(word, "INVALID_SQL_SYNTAX.ANALYZE_TABLE_UNEXPECTED_NOSCAN", message);
            }
        }
        ["SHOW", "TABLE", "EXTENDED", ..] if has("JSON") && node.kid("partitionSpec").is_some() => {
            let condition = "UNSUPPORTED_FEATURE.SHOW_TABLE_EXTENDED_JSON_WITH_PARTITION";
            found.add(node, condition, "a partition is not shown AS JSON");
        }
        ["SHOW", ..] if has("FUNCTIONS") => functions(node, found),
        ["DESC" | "DESCRIBE", ..] => describe(node, found),
        ["COMMENT", "ON", "COLUMN", ..] if node.version() >= (4, 2) => {
            let column = node
                .below()
                .into_iter()
                .find(|kid| matches!(kid.rule(), "multipartIdentifier" | "identifierReference"));
            let single = column.and_then(Node::inner_name).filter(|name| !name.has("DOT"));
            if let Some(single) = single {
                let condition = "INVALID_SQL_SYNTAX.COMMENT_ON_COLUMN_INCORRECT_IDENTIFIER";
                found.add(single, condition, "the column stands behind its table: `t.a`");
            }
        }
        ["CACHE", ..] if node.kid("query").is_some() && dots(named()) > 0 => {
            found.add(node, NOT_ALLOWED, "what is cached from a query has a name of one part");
        }
        ["REFRESH", ..] if node.kids().next().is_none() => {
            let rest = remainder(node, text);
            let condition = "INVALID_SQL_SYNTAX.INVALID_REFRESH_RESOURCE_PATH";
            if rest.is_empty() {
                found.add(
                    node,
                    "INVALID_SQL_SYNTAX.EMPTY_REFRESH_RESOURCE_PATH",
                    "REFRESH needs a table or a path",
                );
            } else if rest.contains(char::is_whitespace) {
                found.add(node, condition, "a path with blanks stands in quotes");
            }
        }
        ["DROP", "TEMPORARY", "FUNCTION", ..] if is_qualified(named()) => {
            found.add(
                node,
                "INVALID_SQL_SYNTAX.MULTI_PART_NAME",
                "a temporary function is in no database",
            );
        }
        ["CREATE", ..] if has("FUNCTION") => create_function(node, &own, found),
        ["OPEN" | "CLOSE" | "FETCH", ..] if !node.switches(CURSORS) => {
            let message = format!("cursors are not taken by this Spark unless `{CURSORS}` is true");
            found.add(node, "UNSUPPORTED_FEATURE.SQL_CURSOR", message);
        }
        ["SET", "PATH", ..] => {
            let single = node
                .all("pathElement")
                .find(|element| element.kid("multipartIdentifier").is_some_and(|name| !name.has("DOT")));
            if let Some(single) = single {
                let condition = "INVALID_SQL_PATH_SCHEMA_REFERENCE";
                found.add(
                    single,
                    condition,
                    "a schema stands behind its catalog: `catalog.schema`",
                );
            }
        }
        ["DECLARE", ..] => {
            let typed = node
                .kids()
                .any(|kid| matches!(kid.rule(), "dataType" | "variableDefaultExpression"));
            if !typed && node.kid("identifierReference").is_some() {
                let condition = "INVALID_SQL_SYNTAX.VARIABLE_TYPE_OR_DEFAULT_REQUIRED";
                found.add(node, condition, "a variable needs a type or a default");
            }
        }
        _ => {}
    }
}

/// What stands behind the first word, to the end of the text.
fn remainder(node: Node<'_>, text: &[char]) -> String {
    let first = node
        .words()
        .next()
        .map_or(0, |word| word.at() + word.text().chars().count());
    text.get(first..)
        .unwrap_or_default()
        .iter()
        .collect::<String>()
        .trim()
        .to_owned()
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '\\'))
}

fn set(node: Node<'_>, text: &[char], found: &mut Refusals) {
    let rest = remainder(node, text);
    let plain = match rest.contains('=') || node.version() >= (4, 0) {
        true => rest.trim_end_matches(';').trim_end(),
        false => rest.as_str(),
    };
    let right = match plain.split_once('=') {
        _ if plain.is_empty() || plain == "-v" => true,
        Some((key, value)) => is_key(key.trim_end()) && !value.contains(';'),
        None => is_key(plain),
    };
    if !right {
        let message = "SET takes `key`, `key = value` or nothing; a key with other characters stands in backquotes";
        found.add(node, "INVALID_SET_SYNTAX", message);
    }
}

/// `SET` with a key or a value in backquotes: what is not in backquotes must be plain.
fn set_quoted(node: Node<'_>, text: &[char], found: &mut Refusals) {
    let Some(equals) = node.own().find(|word| word.kind() == "EQ") else {
        return;
    };
    let string = |of: &[char]| of.iter().collect::<String>().trim().to_owned();
    let behind = text.get(equals.at() + equals.text().len()..).unwrap_or_default();
    let before = text.get(..equals.at()).unwrap_or_default();
    let end_of_set = node.words().next().map_or(0, |word| word.at() + 3);
    if node.kid("configKey").is_none() {
        let key = string(before.get(end_of_set..).unwrap_or_default());
        if !is_key(&key) {
            let message = format!("the key `{key}` stands in backquotes");
            found.add(node, "INVALID_PROPERTY_KEY", message);
        }
    } else if node.kid("configValue").is_none() && string(behind).trim_end_matches(';').contains(';') {
        let message = "a value with a semicolon stands in backquotes";
        found.add(node, "INVALID_PROPERTY_VALUE", message);
    }
}

fn zone(node: Node<'_>, rest: &[&str], found: &mut Refusals) {
    if let Some(interval) = node.kid("interval") {
        let months = |unit: &Node<'_>| {
            let name = unit.text().to_ascii_uppercase();
            let some = interval.text().contains(|c: char| matches!(c, '1'..='9'));
            some && unit.rule().starts_with("unitIn") && (name.starts_with("YEAR") || name.starts_with("MONTH"))
        };
        let months = interval.below().iter().any(months);
        let length = match intervals::length(interval) {
            _ if months => i64::MAX,
            Some(length) => length,
            None => return,
        };
        if length.abs() > MOST_OFFSET || length % 1_000_000 != 0 {
            let condition = "INVALID_INTERVAL_FORMAT.TIMEZONE_INTERVAL_OUT_OF_RANGE";
            found.add(
                interval,
                condition,
                "a time zone is at most 18 hours away, in whole seconds",
            );
        }
        return;
    }
    let named = node.kid("timezone").is_some() || node.kids().next().is_some();
    if !named
        && rest != ["LOCAL"]
        && !rest
            .iter()
            .all(|kind| matches!(*kind, "STRING_LITERAL" | "DOUBLEQUOTED_STRING") && rest.len() == 1)
    {
        found.add(node, "INVALID_TIME_ZONE", "a time zone is LOCAL, a text or an interval");
    }
    if rest.is_empty() && !named {
        found.add(node, "INVALID_TIME_ZONE", "SET TIME ZONE needs a time zone");
    }
}

fn functions(node: Node<'_>, found: &mut Refusals) {
    let scope = node
        .kids()
        .next()
        .filter(|kid| matches!(kid.rule(), "identifier" | "simpleIdentifier"));
    let scope = scope.filter(|scope| node.own().nth(1).is_none_or(|second| scope.first() < second.index));
    if let Some(scope) = scope
        && !["all", "system", "user"].contains(&scope.name().to_lowercase().as_str())
    {
        let message = format!("functions are ALL, SYSTEM or USER, not {}", scope.name());
        found.add(scope, "INVALID_SQL_SYNTAX.SHOW_FUNCTIONS_INVALID_SCOPE", message);
    }
    let within = node.has("IN") || node.has("FROM");
    let patterns = node
        .kids()
        .filter(|kid| matches!(kid.rule(), "multipartIdentifier" | "identifierReference"));
    if let Some(pattern) = { patterns }.nth(1).filter(|_| within) {
        let message = "behind a database the pattern is a text: LIKE 'f*'";
        found.add(pattern, "INVALID_SQL_SYNTAX.SHOW_FUNCTIONS_INVALID_PATTERN", message);
    }
}

fn describe(node: Node<'_>, found: &mut Refusals) {
    let column = node.kid("describeColName");
    if let Some(column) = column.filter(|_| node.kid("partitionSpec").is_some()) {
        let condition = "UNSUPPORTED_FEATURE.DESC_TABLE_COLUMN_PARTITION";
        found.add(column, condition, "a column of a partition cannot be described");
    }
    if node.has("JSON") && node.kids().any(|kid| kid.is("identifierReference")) {
        if column.is_some() {
            let condition = "UNSUPPORTED_FEATURE.DESC_TABLE_COLUMN_JSON";
            found.add(node, condition, "a column cannot be described AS JSON");
        }
        if !(node.has("EXTENDED") || node.has("FORMATTED")) {
            found.add(node, "DESCRIBE_JSON_NOT_EXTENDED", "AS JSON goes with EXTENDED");
        }
    }
}

fn create_function(node: Node<'_>, own: &[&str], found: &mut Refusals) {
    let has = |kind: &str| own.contains(&kind);
    let exists = has("IF");
    if has("REPLACE") && exists {
        let condition = "INVALID_SQL_SYNTAX.CREATE_ROUTINE_WITH_IF_NOT_EXISTS_AND_REPLACE";
        found.add(node, condition, "OR REPLACE and IF NOT EXISTS exclude each other");
    }
    // With `IDENTIFIER(…)` its name is not known yet.
    let name = node
        .kids()
        .find(|kid| matches!(kid.rule(), "identifierReference" | "multipartIdentifier"));
    if name.is_some_and(|name| name.inner_name().is_none()) {
        return;
    }
    if has("TEMPORARY") {
        if exists {
            let condition = "INVALID_SQL_SYNTAX.CREATE_TEMP_FUNC_WITH_IF_NOT_EXISTS";
            found.add(node, condition, "a temporary function takes no IF NOT EXISTS");
        }
        if is_qualified(name) {
            let condition = "INVALID_SQL_SYNTAX.CREATE_TEMP_FUNC_WITH_DATABASE";
            found.add(node, condition, "a temporary function is in no database");
        }
    }
    if let Some(parameters) = node.kid("colDefinitionList") {
        let generated = parameters
            .below()
            .into_iter()
            .find(|node| node.is("generationExpression"));
        if let Some(generated) = generated {
            let condition = "INVALID_SQL_SYNTAX.CREATE_FUNC_WITH_GENERATED_COLUMNS_AS_PARAMETERS";
            found.add(generated, condition, "a parameter is not GENERATED");
        }
        let constraint = { parameters.below() }
            .into_iter()
            .find(|node| node.is("columnConstraintDefinition"));
        if let Some(constraint) = constraint {
            let condition = "INVALID_SQL_SYNTAX.CREATE_FUNC_WITH_COLUMN_CONSTRAINTS";
            found.add(constraint, condition, "a parameter has no constraints");
        }
    }
}

/// `LANGUAGE SQL DETERMINISTIC …` of a function in SQL.
fn characteristics(node: Node<'_>, found: &mut Refusals) {
    let kinds = node.kids().map(|kid| kid.rule().to_owned());
    if let Some(kind) = twice(kinds.collect()) {
        let message = format!("{} is given twice", kind.trim_end_matches("Spec"));
        found.add(node, TWICE, message);
    }
    for kid in node.kids() {
        let text = kid.text().to_ascii_uppercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["LANGUAGE", language] if *language != "SQL" => {
                found.add(
                    kid,
                    NOT_ALLOWED,
                    format!("a function with RETURN is written in SQL, not in {language}"),
                );
            }
            ["SQL", "SECURITY", "INVOKER"] => found.add(kid, NOT_ALLOWED, "SQL SECURITY INVOKER is not supported"),
            ["SPECIFIC", ..] => found.add(kid, NOT_ALLOWED, "SPECIFIC is not supported"),
            ["NO", "SQL"] => found.add(kid, NOT_ALLOWED, "NO SQL is not supported"),
            ["MODIFIES", ..] => found.add(kid, NOT_ALLOWED, "MODIFIES SQL DATA is not supported"),
            ["RETURNS", "NULL", ..] => found.add(kid, NOT_ALLOWED, "RETURNS NULL ON NULL INPUT is not supported"),
            _ => {}
        }
    }
}
