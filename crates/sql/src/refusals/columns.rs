//! Columns in `CREATE TABLE` and `ALTER TABLE`: what is said of each, constraints, identities.

use super::{Refusals, twice};
use crate::parsed::Node;

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "colDefinition" | "createOrReplaceTableColType" => {
            options(
                node,
                "colDefinitionOption",
                "CREATE_TABLE_COLUMN_DESCRIPTOR_DUPLICATE",
                found,
            );
            identity_type(node, found);
        }
        "qualifiedColTypeWithPosition" => {
            options(
                node,
                "colDefinitionDescriptorWithPosition",
                "ALTER_TABLE_COLUMN_DESCRIPTOR_DUPLICATE",
                found,
            );
            if node
                .parent()
                .and_then(|list| list.parent())
                .is_some_and(|statement| statement.has("REPLACE"))
            {
                replaced(node, found);
            }
        }
        "referenceSpec" if node.kid("identifierList").is_none() => {
            let message = "REFERENCES names the columns: `REFERENCES other (id)`; without them Spark stops with an internal error";
            found.add(node, "INTERNAL_ERROR", message);
        }
        "identityColSpec" => sequence(node, found),
        "defaultExpression" | "generationExpression" if node.version() < (4, 1) && !super::types::of_function(node) => {
            if let Some(marker) = super::parameter(node) {
                let condition = "UNSUPPORTED_FEATURE.PARAMETER_MARKER_IN_UNEXPECTED_STATEMENT";
                found.add(marker, condition, "what a column is by default has no parameters");
            }
        }
        "tableElementList" => keys(node, found),
        "tableConstraintDefinition" | "colDefinitionOption" => constraint(node, found),
        _ => {}
    }
}

/// What an option of a column is about.
fn kind(option: Node<'_>) -> String {
    match option.kids().find(|kid| !kid.is("errorCapturingNot")) {
        Some(kid) => kid.rule().to_owned(),
        None => "NOT NULL".to_owned(),
    }
}

fn options(node: Node<'_>, rule: &str, condition: &'static str, found: &mut Refusals) {
    // Of a function's parameters Spark does not ask it.
    if super::types::of_function(node) {
        return;
    }
    let all: Vec<Node<'_>> = node.kids().filter(|kid| kid.is(rule)).collect();
    let once = |kind: &String| {
        matches!(
            kind.as_str(),
            "NOT NULL"
                | "defaultExpression"
                | "generationExpression"
                | "commentSpec"
                | "colPosition"
                | "columnConstraintDefinition"
        )
    };
    let kinds: Vec<String> = all.iter().map(|option| kind(*option)).filter(once).collect();
    if let Some(kind) = twice(kinds) {
        let what = match kind.as_str() {
            "defaultExpression" => "DEFAULT",
            "generationExpression" => "GENERATED",
            "commentSpec" => "COMMENT",
            "colPosition" => "FIRST or AFTER",
            "columnConstraintDefinition" => "a constraint",
            other => other,
        };
        found.add(node, condition, format!("{what} is given twice of this column"));
    }
}

/// `REPLACE COLUMNS` is Hive's, and takes little.
fn replaced(node: Node<'_>, found: &mut Refusals) {
    let condition = "UNSUPPORTED_HIVE_STYLE";
    if node.kid("multipartIdentifier").is_some_and(|name| name.has("DOT")) {
        found.add(node, condition, "REPLACE COLUMNS takes no columns within columns");
    }
    for option in node.kids().filter(|kid| kid.is("colDefinitionDescriptorWithPosition")) {
        match kind(option).as_str() {
            "NOT NULL" => found.add(option, condition, "REPLACE COLUMNS takes no NOT NULL"),
            "colPosition" => found.add(option, condition, "REPLACE COLUMNS takes no FIRST and AFTER"),
            "defaultExpression" => found.add(option, "UNSUPPORTED_DEFAULT_VALUE", "REPLACE COLUMNS takes no DEFAULT"),
            _ => {}
        }
    }
}

fn identity_type(node: Node<'_>, found: &mut Refusals) {
    let identity = node.kids().any(|kid| {
        kid.is("colDefinitionOption") && kid.kid("generationExpression").is_some_and(|made| made.has("IDENTITY"))
    });
    let Some(of) = node.kid("dataType").filter(|_| identity) else {
        return;
    };
    if !matches!(
        of.text().to_ascii_uppercase().as_str(),
        "BIGINT" | "LONG" | "INT" | "INTEGER"
    ) {
        let message = format!("an identity is a BIGINT, not a {}", of.text());
        found.add(of, "IDENTITY_COLUMNS_UNSUPPORTED_DATA_TYPE", message);
    }
}

fn sequence(node: Node<'_>, found: &mut Refusals) {
    let kind = |option: Node<'_>| option.own().next().map(|word| word.kind().to_owned());
    if let Some(kind) = twice(node.all("sequenceGeneratorOption").filter_map(kind).collect()) {
        let message = format!("{kind} is given twice");
        found.add(node, "IDENTITY_COLUMNS_DUPLICATED_SEQUENCE_GENERATOR_OPTION", message);
    }
    for option in node.all("sequenceGeneratorOption") {
        let Some(number) = option.words().last().map(|word| word.text()) else {
            continue;
        };
        match number.parse::<i64>() {
            Ok(0) if option.has("INCREMENT") => {
                found.add(option, "IDENTITY_COLUMNS_ILLEGAL_STEP", "an identity cannot grow by 0");
            }
            Err(_) if number.chars().all(|c| c.is_ascii_digit()) => {
                found.add(option, "NUMBER_FORMAT", format!("{number} is too large"));
            }
            _ => {}
        }
    }
}

fn is_primary(node: Node<'_>) -> bool {
    node.below()
        .into_iter()
        .any(|node| node.is("uniqueSpec") && node.has("PRIMARY"))
}

fn keys(node: Node<'_>, found: &mut Refusals) {
    let count = node
        .below()
        .into_iter()
        .filter(|node| node.is("uniqueSpec") && node.has("PRIMARY"))
        .count();
    if count > 1 {
        found.add(node, "MULTIPLE_PRIMARY_KEYS", "a table has one primary key");
    }
}

fn constraint(node: Node<'_>, found: &mut Refusals) {
    let below = node.below();
    let Some(first) = below.iter().find(|node| node.is("constraintCharacteristic")) else {
        return;
    };
    let all: Vec<String> = below
        .iter()
        .filter(|node| matches!(node.rule(), "enforcedCharacteristic" | "relyCharacteristic"))
        .map(|node| node.words().map(|word| word.kind()).collect())
        .collect();
    let count = |words: [&str; 2]| all.iter().filter(|text| words.contains(&text.as_str())).count();
    let (enforced, not) = (count(["ENFORCED", ""]), count(["NOTENFORCED", ""]));
    if enforced + not > 1 || count(["RELY", "NORELY"]) > 1 {
        found.add(
            *first,
            "INVALID_CONSTRAINT_CHARACTERISTICS",
            "a constraint is enforced or not, relied on or not",
        );
        return;
    }
    let check = below.iter().any(|node| node.is("checkConstraint"));
    if check && not > 0 {
        found.add(
            *first,
            "UNSUPPORTED_CONSTRAINT_CHARACTERISTIC",
            "CHECK is always enforced",
        );
    }
    if !check && enforced > 0 {
        let what = if is_primary(node) {
            "a primary key"
        } else {
            "this constraint"
        };
        found.add(
            *first,
            "UNSUPPORTED_CONSTRAINT_CHARACTERISTIC",
            format!("{what} is never enforced"),
        );
    }
}
