//! `BEGIN … END`: where what is declared may stand, labels, handlers.

use super::{Refusals, begins, text_of, twice};
use crate::parsed::Node;

/// Statements that can be left, and gone on with, by a label.
const LOOPS: [&str; 4] = ["whileStatement", "repeatStatement", "loopStatement", "forStatement"];
/// What no label and no variable of a `FOR` is called: variables with them in front are those of Spark.
const FORBIDDEN: [&str; 4] = ["system", "session", "builtin", "sys"];
const BLOCKS: [&str; 2] = ["beginEndCompoundBlock", "singleCompoundStatement"];

pub fn look(node: Node<'_>, found: &mut Refusals) {
    switched_off(node, found);
    match node.rule() {
        "compoundBody" => body(node, found),
        "leaveStatement" | "iterateStatement" => leave(node, found),
        "declareHandlerStatement" => handler(node, found),
        rule if LOOPS.contains(&rule) || BLOCKS.contains(&rule) => labels(node, found),
        _ => {}
    }
}

/// What is in the grammar, and refused unless the configuration says otherwise.
fn switched_off(node: Node<'_>, found: &mut Refusals) {
    let version = node.version();
    let (key, condition, what) = match node.rule() {
        "singleCompoundStatement" if version == (4, 0) => (
            "spark.sql.scripting.enabled",
            "UNSUPPORTED_FEATURE.SQL_SCRIPTING",
            "BEGIN … END is",
        ),
        "declareHandlerStatement" if version >= (4, 1) && node.has("CONTINUE") => (
            "spark.sql.scripting.continueHandlerEnabled",
            "UNSUPPORTED_FEATURE.CONTINUE_EXCEPTION_HANDLER",
            "handlers that CONTINUE are",
        ),
        "statement" if begins(node, &["DECLARE"]) && node.has("CURSOR") => (
            super::commands::CURSORS,
            "UNSUPPORTED_FEATURE.SQL_CURSOR",
            "cursors are",
        ),
        _ => return,
    };
    if !node.switches(key) {
        let message = format!("{what} not taken by this Spark unless `{key}` is true");
        found.add(node, condition, message);
    }
}

/// The names a loop or a block has in what it holds: its label and the variable of a `FOR`.
fn names(node: Node<'_>) -> Vec<String> {
    let variable = node
        .kids()
        .filter(|_| node.is("forStatement"))
        .find(|kid| kid.is("strictIdentifier") || kid.is("multipartIdentifier"));
    let label = label(node, "beginLabel").map(|(_, name)| name);
    label
        .into_iter()
        .chain(variable.map(|name| name.name().to_lowercase()))
        .collect()
}

fn label<'p>(node: Node<'p>, rule: &str) -> Option<(Node<'p>, String)> {
    let label = node.kid(rule)?;
    let name = label.kids().next()?;
    Some((label, name.name().to_lowercase()))
}

fn labels(node: Node<'_>, found: &mut Refusals) {
    let begin = label(node, "beginLabel");
    if let Some((place, end)) = label(node, "endLabel") {
        match &begin {
            None => {
                let message = format!("the end has the label `{end}`, the beginning has none");
                found.add(place, "END_LABEL_WITHOUT_BEGIN_LABEL", message);
            }
            Some((_, begin)) if *begin != end => {
                let message = format!("the label is `{begin}` at the beginning and `{end}` at the end");
                found.add(place, "LABELS_MISMATCH", message);
            }
            Some(_) => {}
        }
    }
    let outer: Vec<String> = node
        .above()
        .take_while(|above| !above.is("declareHandlerStatement"))
        .filter(|above| LOOPS.contains(&above.rule()) || BLOCKS.contains(&above.rule()))
        .flat_map(names)
        .collect();
    if let Some(name) = names(node).into_iter().find(|name| FORBIDDEN.contains(&name.as_str())) {
        let message = format!("`{name}` is Spark's own: neither a label nor a variable of FOR has it");
        found.add(node, "LABEL_OR_FOR_VARIABLE_NAME_FORBIDDEN", message);
    }
    if let Some(name) = names(node).into_iter().find(|name| outer.contains(name)) {
        let message = format!("a loop or a block around this one has the name `{name}`");
        found.add(node, "LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS", message);
    }
    let variable = node
        .kids()
        .find(|kid| kid.is("strictIdentifier") || kid.is("multipartIdentifier"));
    if let (true, Some((place, begin)), Some(variable)) = (node.is("forStatement"), begin, variable)
        && variable.name().to_lowercase() == begin
    {
        found.add(
            place,
            "LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS",
            format!("`{begin}` is the label and the variable"),
        );
    }
}

fn leave(node: Node<'_>, found: &mut Refusals) {
    let Some(wanted) = node.kids().next().map(|name| name.name().to_lowercase()) else {
        return;
    };
    let iterates = node.is("iterateStatement");
    let target = node.above().find(|above| {
        (LOOPS.contains(&above.rule()) || BLOCKS.contains(&above.rule()))
            && label(*above, "beginLabel").is_some_and(|(_, name)| name == wanted)
    });
    match target {
        None => found.add(
            node,
            "INVALID_LABEL_USAGE",
            format!("nothing around here has the label `{wanted}`"),
        ),
        Some(block) if iterates && BLOCKS.contains(&block.rule()) => {
            let message = format!("`{wanted}` is the label of a block: ITERATE goes with loops");
            found.add(node, "INVALID_LABEL_USAGE.ITERATE_IN_COMPOUND", message);
        }
        Some(_) => {}
    }
}

/// What a statement of a body declares: the place it has in the order.
fn place(statement: Node<'_>) -> usize {
    let Some(inner) = statement.kids().next() else { return 3 };
    match inner.rule() {
        "declareConditionStatement" => 0,
        "declareHandlerStatement" => 2,
        "statement" if inner.own().next().is_some_and(|word| word.kind() == "DECLARE") => 0,
        rule if rule.starts_with("declare") && rule.contains("ursor") => 1,
        _ => 3,
    }
}

fn body(node: Node<'_>, found: &mut Refusals) {
    let block = node.parent().is_some_and(|parent| BLOCKS.contains(&parent.rule()));
    let (mut last, mut conditions) = (0, Vec::new());
    for statement in node.all("compoundStatement") {
        let place = place(statement);
        let declares = place < 3;
        if declares && (!block || place < last) {
            let message = match block {
                true => "first come variables and conditions, then cursors, then handlers, then statements",
                false => "only the beginning of a BEGIN … END declares",
            };
            found.add(statement, "INVALID_VARIABLE_DECLARATION", message);
        }
        last = last.max(place);
        let condition = statement
            .kids()
            .next()
            .filter(|kid| kid.is("declareConditionStatement"));
        if let Some(name) = condition.and_then(|condition| condition.kids().next()) {
            conditions.push(name.name().to_lowercase());
        }
    }
    for declared in node
        .all("compoundStatement")
        .filter_map(|statement| statement.kid("declareConditionStatement"))
    {
        declares(declared, found);
    }
    if let Some(name) = twice(conditions) {
        found.add(
            node,
            "DUPLICATE_CONDITION_IN_SCOPE",
            format!("the condition `{name}` is declared twice"),
        );
    }
}

/// Whether a block around a node declares a condition of this name.
fn declared(node: Node<'_>, name: &str) -> bool {
    let bodies = node.above().filter(|above| above.is("compoundBody"));
    let statements = bodies.flat_map(|body| body.all("compoundStatement").collect::<Vec<_>>());
    let mut conditions = statements.filter_map(|statement| statement.kid("declareConditionStatement"));
    conditions.any(|condition| { condition.kids().next() }.is_some_and(|kid| kid.name().eq_ignore_ascii_case(name)))
}

/// `DECLARE name CONDITION FOR SQLSTATE '45000'`.
fn declares(node: Node<'_>, found: &mut Refusals) {
    if let Some(state) = node.kid("sqlStateValue") {
        sqlstate(state, found);
    }
    let name = node.kids().next().map(Node::name);
    if let Some(name) = name.filter(|name| !name.contains(['.', '(']))
        && !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        let condition = "INVALID_ERROR_CONDITION_DECLARATION.SPECIAL_CHARACTER_FOUND";
        found.add(
            node,
            condition,
            format!("the condition `{name}` has other characters than letters, digits and _"),
        );
    }
}

/// Five letters or digits, of an error.
fn sqlstate(node: Node<'_>, found: &mut Refusals) {
    let Some(state) = node.kids().next().and_then(text_of) else {
        return;
    };
    let form = state.len() == 5 && state.chars().all(|c| c.is_ascii_alphanumeric());
    let class = state.get(..2).unwrap_or_default().to_uppercase();
    if !form || matches!(class.as_str(), "00" | "01" | "XX") {
        found.add(
            node,
            "INVALID_SQLSTATE",
            format!("'{state}' is not an SQLSTATE of an error"),
        );
    }
}

fn handler(node: Node<'_>, found: &mut Refusals) {
    let condition = "INVALID_HANDLER_DECLARATION";
    let Some(values) = node.kid("conditionValues") else {
        return;
    };
    let all: Vec<Node<'_>> = values.all("conditionValue").collect();
    let text = |value: &Node<'_>| {
        let words: Vec<String> = value.words().map(|word| word.text().to_uppercase()).collect();
        words.join(" ").replace("SQLSTATE VALUE ", "SQLSTATE ")
    };
    if let Some(twice) = twice(all.iter().map(text).collect()) {
        found.add(values, condition, format!("{twice} stands here twice"));
    }
    let general = all
        .iter()
        .filter(|value| value.has("SQLEXCEPTION") || value.has("FOUND"))
        .count();
    if general > 0 && all.len() > general {
        found.add(
            values,
            condition,
            "SQLEXCEPTION and NOT FOUND stand without SQLSTATE and conditions beside them",
        );
    }
    for value in all {
        if let Some(state) = value.kid("sqlStateValue") {
            sqlstate(state, found);
        } else if value.kid("multipartIdentifier").is_some_and(|name| name.has("DOT")) {
            found.add(value, condition, "a condition has a name of one part");
        } else if let Some(name) = value.kid("multipartIdentifier").map(Node::name)
            // All of Spark's own but CONNECT are of several words.
            && !name.contains(['_', '(']) && !name.eq_ignore_ascii_case("CONNECT")
            && !declared(value, &name)
        {
            let message = format!("there is no condition `{name}`");
            found.add(value, "INVALID_HANDLER_DECLARATION.CONDITION_NOT_FOUND", message);
        }
    }
}
