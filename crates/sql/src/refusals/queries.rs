//! `SELECT`, its clauses, and what stands behind `|>`.

use super::{NOT_ALLOWED, Refusals, begins, moments, text_of, twice};
use crate::parsed::{Node, Piece};

/// Functions that take a unit of time as a word.
const UNITS: [&str; 8] = [
    "TIMESTAMPADD",
    "DATEADD",
    "DATE_ADD",
    "TIMESTAMPDIFF",
    "DATEDIFF",
    "DATE_DIFF",
    "TIMEDIFF",
    "TIMEADD",
];

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "predicate" => predicate(node, found),
        "errorCapturingNot" if node.has("BANG") && bang_is_refused(node) => found.add(
            node,
            "SYNTAX_DISCONTINUED.BANG_EQUALS_NOT",
            "`!` stands for NOT only before an expression: write NOT",
        ),
        "primaryExpression" => unit(node, found),
        "windowClause" => windows(node, found),
        "joinRelation" => {
            special_join(node, found);
            join(node, found);
        }
        // Behind FROM itself, LATERAL may be the name of a table.
        "relation" if node.has("LATERAL") => {
            let first = node.parent().and_then(|from| from.kid("relation"));
            if first.is_none_or(|first| first.first() != node.first()) {
                lateral(node, found);
            }
        }
        "temporalTableIdentifierReference" if node.has("AT_SIGN") => {
            let moment = node.own().find(|word| word.kind() == "INTEGER_VALUE");
            if let Some(moment) = moment.filter(|moment| !moments::is_compact(&moment.text())) {
                let message = format!("{} is not a moment: `@` takes yyyyMMddHHmmssSSS", moment.text());
                found.add(node, "INVALID_TIME_TRAVEL_TIMESTAMP_FORMAT", message);
            }
        }
        "relationPrimary" if node.kid("temporalClause").is_some() => {
            let table = node.kid("temporalTableIdentifierReference");
            if let Some(table) = table.filter(|table| table.kids().count() > 1 || table.own().next().is_some()) {
                let message = "the moment of a table is given twice";
                found.add(table, "MULTIPLE_TIME_TRAVEL_SPEC", message);
            }
        }
        "fromClause" => from(node, found),
        "sample" => sample(node, found),
        "temporalClause" | "changesClause" => {
            moment_of_travel(node, found);
        }
        "functionTable" => {
            let dots = node.kid("functionName").and_then(|name| name.kid("qualifiedName"));
            if node.version() < (4, 2) && dots.is_some_and(|name| name.has("DOT")) {
                let message = "a function in FROM has a name of one part";
                found.add(node, "INVALID_SQL_SYNTAX.INVALID_TABLE_VALUED_FUNC_NAME", message);
            }
        }
        "functionTableSubqueryArgument"
            if node.has("TABLE") && !node.has("LEFT_PAREN") && node.kid("identifierReference").is_some() =>
        {
            let message = "a table as an argument stands in parentheses: `TABLE(t)`";
            let condition = "INVALID_SQL_SYNTAX.INVALID_TABLE_FUNCTION_IDENTIFIER_ARGUMENT_MISSING_PARENTHESES";
            found.add(node, condition, message);
        }
        "tableArgumentPartitioning" if !node.has("LEFT_PAREN") && node.has("COMMA") => {
            let message = "several columns a table argument is partitioned or ordered by stand in parentheses";
            found.add(
                node,
                "INVALID_SQL_SYNTAX.INVALID_TABLE_FUNCTION_TABLE_ARGUMENT_PARTITIONING",
                message,
            );
        }
        // Only `|> AGGREGATE` gives what it groups by a name.
        "aggregationClause" if node.parent().is_none_or(|above| !above.is("operatorPipeRightSide")) => {
            let items = node.kids().filter(|item| item.is("namedExpression"));
            for alias in items.filter_map(|item| item.kids().find(|kid| !kid.is("expression"))) {
                found.add(
                    alias,
                    "PARSE_SYNTAX_ERROR",
                    "what GROUP BY groups by takes no other name",
                );
            }
        }
        "groupingAnalytics" if node.has("ROLLUP") || node.has("CUBE") => {
            let empty = |set: &Node<'_>| set.kids().next().is_none();
            if let Some(set) = node.all("groupingSet").find(empty) {
                found.add(set, "EMPTY_GROUPING_SET", "ROLLUP and CUBE take no empty set");
            }
        }
        "queryOrganization" => organization(node, found),
        "ctes" => {
            let leveled = node.all("namedQuery").find(|query| query.has("LEVEL"));
            if let Some(query) = leveled.filter(|_| !node.has("RECURSIVE")) {
                found.add(query, NOT_ALLOWED, "MAX RECURSION LEVEL goes with WITH RECURSIVE");
            }
            let names = node
                .all("namedQuery")
                .filter_map(|query| query.kids().next())
                .map(Node::name);
            let names = names.map(|name| {
                if node.version() >= (4, 2) {
                    name.to_lowercase()
                } else {
                    name
                }
            });
            if let Some(name) = twice(names.collect()) {
                found.add(
                    node,
                    "DUPLICATED_CTE_NAMES",
                    format!("two queries of WITH have the name `{name}`"),
                );
            }
        }
        "transformClause" => transform(node, found),
        "rowFormat" => {
            let mut pieces = node.pieces();
            while let Some(piece) = pieces.next() {
                if let Piece::Token(word) = piece
                    && word.kind() == "LINES"
                {
                    let text = pieces.find_map(|piece| match piece {
                        Piece::Node(node) => Some(node),
                        Piece::Token(_) => None,
                    });
                    if text.and_then(text_of).is_some_and(|text| text != "\n") {
                        let message = "lines can only end with '\\n'";
                        found.add(
                            node,
                            "INVALID_SQL_SYNTAX.UNSUPPORTED_ROW_FORMAT_LINES_TERMINATED_BY",
                            message,
                        );
                    }
                    break;
                }
            }
        }
        "operatorPipeRightSide" => pipe(node, found),
        _ => {}
    }
}

fn predicate(node: Node<'_>, found: &mut Refusals) {
    let own: Vec<&str> = node.own().map(|word| word.kind()).collect();
    let quantified = own.iter().any(|kind| matches!(*kind, "ANY" | "SOME" | "ALL"));
    if quantified
        && own.ends_with(&["LEFT_PAREN", "RIGHT_PAREN"])
        && node.kid("expression").is_none()
        && node.kid("query").is_none()
    {
        found.add(
            node,
            "INVALID_SQL_SYNTAX.EMPTY_QUANTIFIED_PATTERN",
            "there is no pattern in the parentheses",
        );
    }
    if own.ends_with(&["IN", "LEFT_PAREN", "RIGHT_PAREN"])
        && node.kid("expression").is_none()
        && node.kid("query").is_none()
    {
        found.add(
            node,
            "INVALID_SQL_SYNTAX.EMPTY_IN_PREDICATE",
            "there is nothing in the parentheses of IN",
        );
    }
    if own.contains(&"ESCAPE")
        && let Some(character) = node.kids().last().filter(|kid| kid.is("stringLit")).and_then(text_of)
        && character.encode_utf16().count() != 1
    {
        found.add(
            node,
            "INVALID_ESC",
            format!("ESCAPE takes one character, not '{character}'"),
        );
    }
}

/// Where NOT cannot be written as `!`. Before Spark 4.0 it always can; the grammar has no such node there.
fn bang_is_refused(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| match parent.rule() {
        "colDefinitionOption" => !super::types::of_function(node),
        "statement" => {
            parent.kid("namespace").is_some()
                || begins(parent, &["CREATE", "INDEX"])
                || (begins(parent, &["ALTER"]) && parent.has("ADD"))
        }
        rule => matches!(
            rule,
            "predicate" | "createTableHeader" | "insertInto" | "colDefinitionDescriptorWithPosition" | "deterministic"
        ),
    })
}

/// Whether an expression asks for a column, but for queries in it.
fn asks_column(node: Node<'_>) -> bool {
    // Without parentheses, `current_date` and the like are looked for among the columns first.
    let bare = |kind: &str| kind.starts_with("CURRENT_") || kind.starts_with("LOCALTIME") || kind.ends_with("USER");
    let named = |node: Node<'_>| matches!(node.pieces().next(), Some(Piece::Node(kid)) if kid.is("identifier"));
    let mut own = node.own().map(|word| word.kind());
    if node.is("query") {
        return false;
    }
    (node.is("primaryExpression")
        && (named(node) || is_column(node) || (node.pieces().count() == 1 && own.next().is_some_and(bare))))
        || node.kids().any(asks_column)
}

fn moment_of_travel(node: Node<'_>, found: &mut Refusals) {
    let lambda = node.words().any(|word| word.kind() == "ARROW");
    if node.has("TIMESTAMP") || node.has("SYSTEM_TIME") {
        let asks = node.all("valueExpression").find(|moment| asks_column(*moment));
        if let Some(moment) = asks.filter(|_| !lambda) {
            let message = "the moment of a time travel hangs on no column";
            found.add(moment, "INVALID_TIME_TRAVEL_SPEC", message);
        }
    }
}

fn unit(node: Node<'_>, found: &mut Refusals) {
    let name = node.own().next().map(|word| word.kind());
    let text = node.kids().next().filter(|kid| kid.is("stringLit"));
    if let (Some(name), Some(text)) = (name.filter(|name| UNITS.contains(name)), text) {
        let message = format!(
            "{name} takes its unit as a word, not as a text: {}",
            text.text().trim_matches(['\'', '"'])
        );
        found.add(text, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", message);
    }
}

/// Whether an expression is nothing but a name.
pub fn is_column(node: Node<'_>) -> bool {
    let plain = |node: Node<'_>| matches!(node.rule(), "strictIdentifier" | "identifier" | "nonReserved");
    let mut node = node;
    while let [piece] = node.pieces().collect::<Vec<_>>().as_slice() {
        match piece {
            Piece::Node(kid) => node = *kid,
            Piece::Token(_) => return plain(node),
        }
        if plain(node) {
            return true;
        }
    }
    false
}

/// The window that a window is said to be the same as.
fn reference(window: Node<'_>) -> Option<Node<'_>> {
    let spec = window.kid("windowSpec")?;
    let mut kids = spec.kids();
    match (kids.next(), kids.next()) {
        (Some(only), None) if only.is("errorCapturingIdentifier") => Some(only),
        _ => None,
    }
}

fn windows(node: Node<'_>, found: &mut Refusals) {
    let name = |window: Node<'_>| window.kids().next().map(Node::name);
    let names: Vec<String> = node.all("namedWindow").filter_map(name).collect();
    if let Some(name) = twice(names.clone()) {
        let message = format!("two windows have the name `{name}`");
        found.add(node, "INVALID_SQL_SYNTAX.REPETITIVE_WINDOW_DEFINITION", message);
    }
    for window in node.all("namedWindow") {
        let Some(wanted) = reference(window) else { continue };
        let target = node
            .all("namedWindow")
            .rfind(|other| name(*other) == Some(wanted.name()));
        match target {
            None => {
                let message = format!("there is no window `{}`", wanted.name());
                found.add(wanted, "INVALID_SQL_SYNTAX.UNRESOLVED_WINDOW_REFERENCE", message);
            }
            Some(other) if reference(other).is_some() => {
                let message = format!("the window `{}` names another one itself", wanted.name());
                found.add(wanted, "INVALID_SQL_SYNTAX.INVALID_WINDOW_REFERENCE", message);
            }
            Some(_) => {}
        }
    }
}

fn join(node: Node<'_>, found: &mut Refusals) {
    let kind = node.kid("joinType");
    let is = |word: &str| kind.is_some_and(|kind| kind.has(word));
    let natural = node.has("NATURAL");
    if natural && (is("CROSS") || is("SEMI") || is("ANTI")) {
        found.add(
            node,
            "INCOMPATIBLE_JOIN_TYPES",
            "NATURAL does not go with CROSS, SEMI and ANTI",
        );
    }
    if !node.has("LATERAL") {
        return;
    }
    lateral(node, found);
    if natural {
        found.add(node, "INCOMPATIBLE_JOIN_TYPES", "NATURAL does not go with LATERAL");
    }
    let behind = node.kid("joinPostfix").unwrap_or(node);
    if behind.kid("joinCriteria").is_some_and(|criteria| criteria.has("USING")) {
        found.add(
            node,
            "UNSUPPORTED_FEATURE.LATERAL_JOIN_USING",
            "USING does not go with LATERAL: write ON",
        );
    }
    if is("RIGHT") || is("FULL") || is("SEMI") || is("ANTI") {
        found.add(
            node,
            "INVALID_LATERAL_JOIN_TYPE",
            "LATERAL goes with INNER, LEFT and CROSS joins only",
        );
    }
}

/// `ASOF JOIN` and `NEAREST … BY` of Spark 4.3.
fn special_join(node: Node<'_>, found: &mut Refusals) {
    if node.has("ASOF") {
        found.add(
            node,
            "UNSUPPORTED_FEATURE.ASOF_JOIN",
            "this Spark does not take ASOF JOIN as it comes",
        );
    }
    let Some(nearest) = node.kid("joinPostfix").and_then(|behind| behind.kid("nearestByClause")) else {
        return;
    };
    if node.has("LATERAL") {
        let condition = "UNSUPPORTED_FEATURE.LATERAL_JOIN_NEAREST_BY";
        found.add(nearest, condition, "NEAREST BY does not go with LATERAL");
    }
    let kind = node.kid("joinType").and_then(|kind| kind.own().next());
    if let Some(kind) = kind.filter(|kind| !matches!(kind.kind(), "INNER" | "LEFT")) {
        let message = format!("NEAREST BY goes with INNER and LEFT joins, not with {}", kind.text());
        found.add(nearest, "NEAREST_BY_JOIN.UNSUPPORTED_JOIN_TYPE", message);
    }
    let number = nearest.own().find(|word| word.kind() == "INTEGER_VALUE");
    if let Some(number) = number
        && !number
            .text()
            .parse::<u32>()
            .is_ok_and(|number| (1..=100_000).contains(&number))
    {
        let message = format!("NEAREST takes 1 to 100000, not {}", number.text());
        found.add(nearest, "NEAREST_BY_JOIN.NUM_RESULTS_OUT_OF_RANGE", message);
    }
}

fn lateral(node: Node<'_>, found: &mut Refusals) {
    let Some(of) = node.kid("relationPrimary") else { return };
    if of.kid("identifierReference").is_some()
        || of.kid("temporalTableIdentifierReference").is_some()
        || of.kid("inlineTable").is_some()
        || of.kid("relation").is_some()
    {
        found.add(
            of,
            "INVALID_SQL_SYNTAX.LATERAL_WITHOUT_SUBQUERY_OR_TABLE_VALUED_FUNC",
            "LATERAL goes with a query in parentheses or a function only",
        );
    }
}

fn from(node: Node<'_>, found: &mut Refusals) {
    let (pivot, unpivot) = (node.kid("pivotClause"), node.kid("unpivotClause"));
    if node.kid("lateralView").is_some() {
        if pivot.is_some() {
            found.add(
                node,
                "NOT_ALLOWED_IN_FROM.LATERAL_WITH_PIVOT",
                "LATERAL VIEW and PIVOT cannot stand in one FROM",
            );
        }
        if unpivot.is_some() {
            found.add(
                node,
                "NOT_ALLOWED_IN_FROM.LATERAL_WITH_UNPIVOT",
                "LATERAL VIEW and UNPIVOT cannot stand in one FROM",
            );
        }
    }
    if pivot.is_some() && unpivot.is_some() {
        found.add(
            node,
            "NOT_ALLOWED_IN_FROM.UNPIVOT_WITH_PIVOT",
            "PIVOT and UNPIVOT cannot stand in one FROM",
        );
    }
}

fn sample(node: Node<'_>, found: &mut Refusals) {
    let Some(method) = node.kid("sampleMethod") else {
        if node.kids().next().is_none() {
            found.add(
                node,
                "TABLESAMPLE_EMPTY",
                "TABLESAMPLE needs how much: `(10 PERCENT)`, `(5 ROWS)`",
            );
        }
        return;
    };
    let system = node.own().any(|word| word.kind() == "SYSTEM");
    if system && !method.has("PERCENTLIT") {
        let condition = "UNSUPPORTED_FEATURE.TABLESAMPLE_SYSTEM_SAMPLE_METHOD";
        found.add(method, condition, "TABLESAMPLE SYSTEM takes a number of percents only");
    } else if system && node.has("REPEATABLE") {
        let condition = "UNSUPPORTED_FEATURE.TABLESAMPLE_SYSTEM_REPEATABLE";
        found.add(node, condition, "TABLESAMPLE SYSTEM takes no REPEATABLE");
    }
    let number = |word: &str| word.parse::<f64>().ok();
    let numbers: Vec<f64> = method.words().filter_map(|word| number(&word.text())).collect();
    let fraction = if method.has("PERCENTLIT") {
        let sign = if method.has("MINUS") { -1.0 } else { 1.0 };
        numbers.first().map(|percent| sign * percent / 100.0)
    } else if method.has("BUCKET") {
        if method.has("ON") {
            found.add(
                method,
                "TABLESAMPLE_UNSUPPORTED",
                "TABLESAMPLE (BUCKET … ON …) is not supported",
            );
        }
        match numbers.as_slice() {
            [part, of, ..] => Some(part / of),
            _ => None,
        }
    } else if method.has("ROWS") {
        None
    } else {
        let text = method.text();
        let message = match text
            .trim_end_matches(['B', 'K', 'M', 'G', 'b', 'k', 'm', 'g'])
            .parse::<u64>()
        {
            Ok(_) if !text.ends_with(|c: char| c.is_ascii_digit()) => "TABLESAMPLE cannot take a number of bytes",
            _ => "TABLESAMPLE needs how much: `(10 PERCENT)`, `(5 ROWS)`",
        };
        found.add(method, "TABLESAMPLE_UNSUPPORTED", message);
        None
    };
    if fraction.is_some_and(|fraction| !(-1e-6..=1.0 + 1e-6).contains(&fraction)) {
        found.add(
            method,
            "INVALID_TABLESAMPLE_FRACTION",
            "a sample is between 0 and 100 percent",
        );
    }
}

fn organization(node: Node<'_>, found: &mut Refusals) {
    let has = |kind| node.has(kind);
    let (order, sort, distribute, cluster) = (has("ORDER"), has("SORT"), has("DISTRIBUTE"), has("CLUSTER"));
    if (order && (sort || distribute || cluster)) || (cluster && (sort || distribute)) {
        let message =
            "ORDER BY, SORT BY, DISTRIBUTE BY and CLUSTER BY exclude each other, but for DISTRIBUTE BY with SORT BY";
        found.add(node, "UNSUPPORTED_FEATURE.COMBINATION_QUERY_RESULT_CLAUSES", message);
    }
    if inside_pipe(node) {
        let rows = has("LIMIT") || has("OFFSET");
        if rows && (order || sort || distribute || cluster) {
            let message = "one step behind `|>` orders or limits: divide them by another `|>`";
            found.add(node, "MULTIPLE_QUERY_RESULT_CLAUSES_WITH_PIPE_OPERATORS", message);
        }
        if let Some(window) = node.kid("windowClause") {
            let message = "WINDOW does not stand behind `|>`";
            found.add(window, "UNSUPPORTED_FEATURE.CLAUSE_WITH_PIPE_OPERATORS", message);
        }
    }
}

fn inside_pipe(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| parent.is("operatorPipeRightSide"))
}

fn transform(node: Node<'_>, found: &mut Refusals) {
    if let Some(quantifier) = node.kid("setQuantifier") {
        let message = "TRANSFORM takes neither DISTINCT nor ALL";
        found.add(quantifier, "UNSUPPORTED_FEATURE.TRANSFORM_DISTINCT_ALL", message);
    }
    if node.has("RECORDREADER") || node.has("RECORDWRITER") {
        found.add(
            node,
            NOT_ALLOWED,
            "TRANSFORM with classes that read or write records is not supported",
        );
    }
}

/// A window that is defined where it is used.
fn is_window(node: Node<'_>) -> bool {
    let named = |node: Node<'_>| node.kids().count() == 1 && node.kid("errorCapturingIdentifier").is_some();
    node.is("windowSpec") && !named(node)
}

fn pipe(node: Node<'_>, found: &mut Refusals) {
    if begins(node, &["SET"]) {
        let keys = node
            .below()
            .into_iter()
            .filter(|node| node.is("operatorPipeSetAssignmentSeq"));
        for assignments in keys {
            // Its own DOT stands in a name before `=`.
            if assignments.has("DOT")
                || assignments
                    .kids()
                    .any(|kid| kid.has("DOT") && kid.rule().contains("dentifier"))
            {
                found.add(assignments, NOT_ALLOWED, "`|> SET` takes names of one part");
            }
        }
    }
    if let (Some(_), Some(window)) = (node.kid("whereClause"), node.kid("windowClause")) {
        found.add(
            window,
            "NOT_ALLOWED_IN_PIPE_OPERATOR_WHERE.WINDOW_CLAUSE",
            "`|> WHERE` takes no WINDOW clause",
        );
    }
    if let (Some(_), Some(unpivot)) = (node.kid("pivotClause"), node.kid("unpivotClause")) {
        let message = "PIVOT and UNPIVOT cannot stand in one step: divide them by another `|>`";
        found.add(unpivot, "NOT_ALLOWED_IN_FROM.UNPIVOT_WITH_PIVOT", message);
    }
    if !begins(node, &["AGGREGATE"]) {
        return;
    }
    let condition = "UNSUPPORTED_FEATURE.PIPE_OPERATOR_AGGREGATE_UNSUPPORTED_CASE";
    let named = node.kid("namedExpressionSeq");
    let grouping = node.kid("aggregationClause");
    if named.is_none() && grouping.is_none() {
        found.add(node, NOT_ALLOWED, "`|> AGGREGATE` needs aggregates, or GROUP BY");
    }
    if let Some(grouping) = grouping {
        let analytics = grouping.below().into_iter().any(|node| node.is("groupingAnalytics"));
        let all = grouping.text().to_ascii_uppercase();
        let all = all.split_whitespace().collect::<Vec<_>>() == ["GROUP", "BY", "ALL"];
        let own = ["CUBE", "ROLLUP", "GROUPING"].iter().any(|kind| grouping.has(kind));
        if let Some(window) = grouping.below().into_iter().find(|node| is_window(*node)) {
            found.add(window, condition, "`|> AGGREGATE` takes no window functions");
        }
        if analytics || all || own {
            found.add(
                grouping,
                condition,
                "`|> AGGREGATE` takes no GROUP BY ALL, CUBE, ROLLUP or GROUPING SETS",
            );
        }
    }
    if let (Some(named), Some(_)) = (named, grouping) {
        let functions = named.below();
        let grouped = functions.iter().find(|node| {
            node.is("functionName") && matches!(node.text().to_ascii_lowercase().as_str(), "grouping" | "grouping_id")
        });
        if let Some(function) = grouped {
            found.add(*function, condition, "`|> AGGREGATE` takes no GROUPING");
        }
        if let Some(window) = functions.iter().find(|node| is_window(**node)) {
            found.add(*window, condition, "`|> AGGREGATE` takes no window functions");
        }
    }
}
