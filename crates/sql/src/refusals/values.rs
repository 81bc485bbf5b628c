//! Values that are known before any table is: what type they have, and whether Spark's parser takes them as resolved.
//!
//! Spark computes `VALUES` of constants while it parses (since 4.0), and wants constants as bounds of a window's frame. It has not made the types of operands alike
//! by then: `1 + 2` has a type, `1 + 2.5` has none yet.

use super::Refusals;
use crate::parsed::{Node, Piece, Word};

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        // Spark 3.5 looks at it after parsing.
        "inlineTable" if node.version() >= (4, 0) => inline(node, found),
        "frameBound" => frame(node, found),
        _ => {}
    }
}

/// What can be said of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// Nothing.
    Unknown,
    /// It has no type while Spark parses: it names a column or a function, or its operands differ.
    Unresolved,
    /// It has a type.
    Of(Type),
}

/// Types of constants.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Null,
    /// `true`.
    Boolean,
    /// Whole numbers, by their bytes.
    Whole(u8),
    /// `FLOAT` and `DOUBLE`, by their bytes.
    Real(u8),
    /// Of any precision.
    Decimal,
    Text,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// With a time zone or without.
    Timestamp,
    /// Of a day.
    Time,
    /// An interval of years and months.
    Months,
    /// An interval of days and below.
    Days,
    /// Several together.
    Struct(Vec<Type>),
}

impl Type {
    fn is_number(&self) -> bool {
        matches!(self, Type::Whole(_) | Type::Real(_) | Type::Decimal)
    }

    /// Its name, for messages.
    fn name(&self) -> &'static str {
        match self {
            Type::Null => "NULL",
            Type::Boolean => "a boolean",
            Type::Whole(_) | Type::Real(_) | Type::Decimal => "a number",
            Type::Text => "a text",
            Type::Binary => "bytes",
            Type::Date => "a date",
            Type::Timestamp => "a timestamp",
            Type::Time => "a time",
            Type::Months => "an interval of months",
            Type::Days => "an interval of days",
            Type::Struct(_) => "a structure",
        }
    }

    /// Whether there is a type that holds values of both, without making texts of them.
    fn goes_with(&self, other: &Type) -> bool {
        let moment = |of: &Type| matches!(of, Type::Date | Type::Timestamp);
        match (self, other) {
            (Type::Null, _) | (_, Type::Null) => true,
            (Type::Struct(one), Type::Struct(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.goes_with(other))
            }
            (one, other) => one == other || (one.is_number() && other.is_number()) || (moment(one) && moment(other)),
        }
    }
}

/// What can be said of an expression.
fn value(node: Node<'_>) -> Value {
    match node.rule() {
        "expression" | "namedExpression" => node.kids().next().map_or(Value::Unknown, value),
        "booleanExpression" => logical(node),
        "valueExpression" => computed(node),
        "primaryExpression" => primary(node),
        _ => Value::Unknown,
    }
}

/// The expressions in a row of `VALUES`: of a structure its parts.
fn cells(row: Node<'_>) -> Vec<Node<'_>> {
    let inner = row.inner();
    let own: Vec<&str> = inner.own().map(Word::kind).collect();
    let parenthesis = matches!(
        own.as_slice(),
        ["LEFT_PAREN", .., "RIGHT_PAREN"] | ["STRUCT", "LEFT_PAREN", .., "RIGHT_PAREN"]
    );
    if !inner.is("primaryExpression") || !parenthesis || inner.has("DOT") || inner.count("LEFT_PAREN") > 1 {
        return vec![row];
    }
    let named: Vec<Node<'_>> = inner.all("namedExpression").collect();
    match (named.as_slice(), inner.kid("expression")) {
        ([], Some(only)) => cells(only),
        ([], None) => vec![row],
        _ => named,
    }
}

fn logical(node: Node<'_>) -> Value {
    if node.own().any(|word| word.kind() == "EXISTS") {
        return Value::Unresolved;
    }
    let kids: Vec<Node<'_>> = node.kids().collect();
    if let ([only], None) = (kids.as_slice(), node.own().next()) {
        return value(*only);
    }
    let values: Vec<Value> = kids.iter().copied().map(value).collect();
    if values.contains(&Value::Unresolved) {
        return Value::Unresolved;
    }
    if let [left, predicate] = kids.as_slice()
        && predicate.is("predicate")
    {
        return compared(value(*left), *predicate);
    }
    // NOT, AND and OR of booleans.
    let booleans = values.iter().all(|value| *value == Value::Of(Type::Boolean));
    if booleans && !values.is_empty() {
        return Value::Of(Type::Boolean);
    }
    Value::Unknown
}

/// `IS NULL`, `LIKE`, `IN` of what has a type.
fn compared(left: Value, predicate: Node<'_>) -> Value {
    let Value::Of(left) = left else { return Value::Unknown };
    let right: Vec<Value> = predicate.kids().map(value).collect();
    let all = |of: &Type| right.iter().all(|value| *value == Value::Of(of.clone()));
    if right.contains(&Value::Unresolved) {
        return Value::Unresolved;
    }
    let boolean = (predicate.has("NULL") && right.is_empty())
        || (predicate.has("LIKE") && left == Type::Text && right.len() == 1 && all(&left))
        || (predicate.has("IN") && left.is_number() && left != Type::Decimal && all(&left));
    match boolean {
        true => Value::Of(Type::Boolean),
        false => Value::Unknown,
    }
}

/// Signs and operators, one after another from the left.
fn computed(node: Node<'_>) -> Value {
    let (mut so_far, mut operator) = (None, None);
    for piece in node.pieces() {
        match piece {
            Piece::Token(word) => operator = Some(word.kind().to_owned()),
            Piece::Node(kid) if matches!(kid.rule(), "comparisonOperator" | "shiftOperator") => {
                operator = Some(kid.rule().to_owned());
            }
            Piece::Node(kid) => {
                let right = value(kid);
                so_far = Some(match (so_far, operator.take()) {
                    (None, None) => right,
                    (None, Some(sign)) => signed(&sign, right),
                    (Some(left), Some(operator)) => together(left, &operator, right),
                    (Some(_), None) => Value::Unknown,
                });
            }
        }
    }
    so_far.unwrap_or(Value::Unknown)
}

fn signed(sign: &str, of: Value) -> Value {
    match (sign, of) {
        (_, Value::Unresolved) => Value::Unresolved,
        ("MINUS" | "PLUS", Value::Of(of)) if of.is_number() || matches!(of, Type::Months | Type::Days) => Value::Of(of),
        ("TILDE", Value::Of(of @ Type::Whole(_))) => Value::Of(of),
        (_, Value::Of(Type::Null) | Value::Unknown) => Value::Unknown,
        _ => Value::Unresolved,
    }
}

fn together(left: Value, operator: &str, right: Value) -> Value {
    let (left, right) = match (left, right) {
        (Value::Unresolved, _) | (_, Value::Unresolved) => return Value::Unresolved,
        (Value::Of(left), Value::Of(right)) => (left, right),
        _ => return Value::Unknown,
    };
    let same = left == right;
    match operator {
        // Intervals of the same fields alone are of one type.
        "PLUS" | "MINUS" if same && matches!(left, Type::Months | Type::Days) => Value::Unknown,
        "PLUS" | "MINUS" | "ASTERISK" | "PERCENT" if same && left.is_number() => Value::Of(left),
        "SLASH" if same && matches!(left, Type::Real(8) | Type::Decimal) => Value::Of(left),
        "DIV" if same && matches!(left, Type::Whole(8) | Type::Decimal) => Value::Of(Type::Whole(8)),
        "AMPERSAND" | "PIPE" | "HAT" if same && matches!(left, Type::Whole(_)) => Value::Of(left),
        "CONCAT_PIPE" if same && matches!(left, Type::Text | Type::Binary) => Value::Of(left),
        "shiftOperator" if matches!(left, Type::Whole(4 | 8)) && right == Type::Whole(4) => Value::Of(left),
        "comparisonOperator"
            if same && !matches!(left, Type::Decimal | Type::Months | Type::Days | Type::Struct(_)) =>
        {
            Value::Of(Type::Boolean)
        }
        "PLUS" | "MINUS" | "ASTERISK" | "PERCENT" | "SLASH" | "DIV" | "AMPERSAND" | "PIPE" | "HAT" | "CONCAT_PIPE" => {
            Value::Unresolved
        }
        "comparisonOperator" if !same => Value::Unresolved,
        _ => Value::Unknown,
    }
}

fn primary(node: Node<'_>) -> Value {
    let pieces: Vec<Piece<'_>> = node.pieces().collect();
    let token = |index: usize| match pieces.get(index) {
        Some(Piece::Token(word)) => word.kind(),
        _ => "",
    };
    let first = match pieces.first() {
        Some(Piece::Node(kid)) => match kid.rule() {
            "constant" => constant(*kid),
            "identifier" | "functionName" | "qualifiedName" | "currentLike" => Value::Unresolved,
            "primaryExpression" => primary(*kid),
            _ => Value::Unknown,
        },
        Some(Piece::Token(word)) => match word.kind() {
            "ASTERISK" => Value::Unresolved,
            name if name.starts_with("CURRENT_") || name.ends_with("USER") => Value::Unresolved,
            "CAST" | "TRY_CAST" if pieces.len() == 6 => return cast(node, node.kid("expression").map(value)),
            "LEFT_PAREN" if node.kid("query").is_some() => Value::Unresolved,
            "LEFT_PAREN" if node.count("LEFT_PAREN") == 1 && token(pieces.len() - 1) == "RIGHT_PAREN" => {
                return parenthesis(node);
            }
            _ => Value::Unknown,
        },
        None => Value::Unknown,
    };
    match (pieces.len(), token(1)) {
        (1, _) => first,
        // What is looked up in something is found later.
        _ if node.has("DOT") || node.has("LEFT_BRACKET") => Value::Unresolved,
        (3, "DOUBLE_COLON") => cast(node, Some(first)),
        (_, "LEFT_PAREN") if token(0) == "STRUCT" && token(pieces.len() - 1) == "RIGHT_PAREN" => parenthesis(node),
        (_, "LEFT_PAREN") if matches!(token(0), "STRUCT" | "FIRST" | "LAST" | "ANY_VALUE") => Value::Unknown,
        _ if first == Value::Unresolved => Value::Unresolved,
        _ => Value::Unknown,
    }
}

fn parenthesis(node: Node<'_>) -> Value {
    if let Some(only) = node.kid("expression") {
        return value(only);
    }
    let mut types = Vec::new();
    let mut unknown = false;
    for part in node.all("namedExpression") {
        match value(part) {
            Value::Unresolved => return Value::Unresolved,
            Value::Unknown => unknown = true,
            Value::Of(of) => types.push(of),
        }
    }
    match unknown || types.is_empty() {
        true => Value::Unknown,
        false => Value::Of(Type::Struct(types)),
    }
}

fn cast(node: Node<'_>, from: Option<Value>) -> Value {
    let from = match from {
        Some(Value::Of(from)) => from,
        Some(Value::Unresolved) => return Value::Unresolved,
        _ => return Value::Unknown,
    };
    let Some(to) = node.kid("dataType") else {
        return Value::Unknown;
    };
    let to = match to.text().to_ascii_uppercase().as_str() {
        "TINYINT" | "BYTE" => Type::Whole(1),
        "SMALLINT" | "SHORT" => Type::Whole(2),
        "INT" | "INTEGER" => Type::Whole(4),
        "BIGINT" | "LONG" => Type::Whole(8),
        "FLOAT" | "REAL" => Type::Real(4),
        "DOUBLE" => Type::Real(8),
        "STRING" => Type::Text,
        "DATE" => Type::Date,
        "TIMESTAMP" => Type::Timestamp,
        name if name.starts_with("DEC") || name.starts_with("NUMERIC") => Type::Decimal,
        _ => return Value::Unknown,
    };
    match (&from, &to) {
        (Type::Null, to) => Value::Of(to.clone()),
        (from, to) if from == to || (from.is_number() && to.is_number()) => Value::Of(to.clone()),
        (Type::Text, to) if to.is_number() => Value::Of(to.clone()),
        (from, Type::Text | Type::Timestamp) if from.is_number() => Value::Of(to),
        // These hang on the time zone, which is not known yet.
        (Type::Text | Type::Date, Type::Timestamp) => Value::Unresolved,
        (Type::Text, Type::Date) if node.version() < (4, 0) => Value::Unresolved,
        (Type::Text, Type::Date) => Value::Of(to),
        _ => Value::Unknown,
    }
}

fn constant(node: Node<'_>) -> Value {
    let mut kids = node.kids();
    let of = match (kids.next(), kids.next(), node.own().next().map(Word::kind)) {
        (None, None, Some("NULL")) => Type::Null,
        (Some(kind), Some(_), None) if matches!(kind.rule(), "literalType" | "identifier") => {
            match kind.text().to_ascii_uppercase().as_str() {
                "DATE" => Type::Date,
                "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" => Type::Timestamp,
                "TIME" => Type::Time,
                "X" => Type::Binary,
                _ => return Value::Unknown,
            }
        }
        (Some(only), None, None) => match only.rule() {
            "number" => return number(only),
            "booleanValue" => Type::Boolean,
            "interval" => return interval(only),
            "stringLit" if !is_parameter(only) => Type::Text,
            _ => return parameter(node),
        },
        // Adjacent texts are one.
        (Some(first), Some(_), None) if first.is("stringLit") && !is_parameter(node) => Type::Text,
        _ => return parameter(node),
    };
    Value::Of(of)
}

fn is_parameter(node: Node<'_>) -> bool {
    super::parameter(node).is_some()
}

/// Since Spark 4.0 values stand in the place of parameters before the text is parsed.
fn parameter(node: Node<'_>) -> Value {
    match is_parameter(node) && node.version() < (4, 0) {
        true => Value::Unresolved,
        false => Value::Unknown,
    }
}

fn number(node: Node<'_>) -> Value {
    let Some(word) = node.own().last() else {
        return Value::Unknown;
    };
    let sign = if node.has("MINUS") { "-" } else { "" };
    let written = format!("{sign}{}", word.text());
    Value::Of(match word.kind() {
        "TINYINT_LITERAL" => Type::Whole(1),
        "SMALLINT_LITERAL" => Type::Whole(2),
        "BIGINT_LITERAL" => Type::Whole(8),
        "INTEGER_VALUE" if written.parse::<i32>().is_ok() => Type::Whole(4),
        "INTEGER_VALUE" if written.parse::<i64>().is_ok() => Type::Whole(8),
        "INTEGER_VALUE" | "DECIMAL_VALUE" | "BIGDECIMAL_LITERAL" => Type::Decimal,
        "FLOAT_LITERAL" => Type::Real(4),
        "DOUBLE_LITERAL" | "EXPONENT_VALUE" => Type::Real(8),
        _ => return Value::Unknown,
    })
}

fn interval(node: Node<'_>) -> Value {
    if is_parameter(node) {
        return Value::Unknown;
    }
    let units: Vec<String> = node
        .below()
        .into_iter()
        .filter(|node| node.rule().starts_with("unitIn"))
        .map(|unit| unit.text().to_ascii_uppercase())
        .collect();
    match units.first() {
        Some(unit) if unit.starts_with("YEAR") || unit.starts_with("MONTH") => Value::Of(Type::Months),
        Some(_) => Value::Of(Type::Days),
        None => Value::Unknown,
    }
}

fn frame(node: Node<'_>, found: &mut Refusals) {
    let Some(bound) = node.kid("expression") else { return };
    let unknown = |node: &Node<'_>| {
        node.is("query")
            || node.is("functionName")
            || (node.is("primaryExpression") && super::queries::is_column(*node))
    };
    if bound.below().iter().any(unknown) || value(bound) == Value::Unresolved {
        found.add(
            bound,
            "FRAME_BOUND_NOT_LITERAL",
            "the bound of a window's frame is a literal",
        );
    }
}

/// Rows of constants, which Spark computes at once: as many columns in each, as many names, and types that go together.
fn inline(node: Node<'_>, found: &mut Refusals) {
    let rows: Vec<Vec<Node<'_>>> = node.all("expression").map(cells).collect();
    let mut types: Vec<Vec<Type>> = Vec::new();
    for row in &rows {
        let known = row.iter().map(|cell| match value(*cell) {
            Value::Of(of) => Some(of),
            _ => None,
        });
        let Some(row) = known.collect() else { return };
        types.push(row);
    }
    // What a text is in a view or a table, hangs since Spark 4.2 on the collation it has by default.
    let creates = |above: Node<'_>| {
        let first = above.words().next().map(Word::kind);
        above.is("statement") && matches!(first, Some("CREATE" | "REPLACE"))
    };
    let created = node.above().any(creates);
    let has_text = types.iter().flatten().any(|of| *of == Type::Text);
    if created && has_text && node.version() >= (4, 2) {
        return;
    }
    let Some((first, others)) = types.split_first() else {
        return;
    };
    let alias = node.kid("tableAlias").and_then(|alias| alias.kid("identifierList"));
    let names = alias
        .and_then(|list| list.kid("identifierSeq"))
        .map(|list| list.kids().count());
    let condition = "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH";
    let width = first.len();
    if let Some(row) = types.iter().position(|row| row.len() != width) {
        let message = format!("columns of the first row: {width}; of this one: {}", types[row].len());
        found.add(rows[row][0], condition, message);
        return;
    }
    if let Some(names) = names.filter(|names| *names != width) {
        let message = format!("columns of the rows: {width}; names for them: {names}");
        found.add(node, condition, message);
        return;
    }
    for column in 0..width {
        let mut wanted = &first[column];
        for (row, types) in others.iter().enumerate() {
            let of = &types[column];
            if !wanted.goes_with(of) {
                let message = format!(
                    "column {} has {} in one row and {} in another",
                    column + 1,
                    wanted.name(),
                    of.name()
                );
                let condition = "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE";
                found.add(rows[row + 1][column], condition, message);
                return;
            }
            if *wanted == Type::Null {
                wanted = of;
            }
        }
    }
}
