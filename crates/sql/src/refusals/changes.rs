//! `INSERT`, `UPDATE`, `DELETE`, `MERGE`, and the partitions that statements name.

use super::{INVALID, NOT_ALLOWED, Refusals, text_of, twice};
use crate::parsed::Node;

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "partitionSpec" => partition(node, found),
        "insertInto" => insert(node, found),
        "dmlStatementNoWith" => change(node, found),
        "notMatchedAction" => {
            let columns = node
                .kid("multipartIdentifierList")
                .map(|list| list.all("multipartIdentifier").count());
            let values = node.all("expression").count();
            if let Some(columns) = columns.filter(|columns| *columns != values) {
                let message = format!("columns to insert into: {columns}; values: {values}");
                found.add(node, "MERGE_INSERT_VALUE_COUNT_MISMATCH", message);
            }
        }
        _ => {}
    }
}

/// `PARTITION (p = 1)`.
fn partition(node: Node<'_>, found: &mut Refusals) {
    let name = |value: Node<'_>| value.kid("identifier").map(|name| name.name().to_lowercase());
    if let Some(name) = twice(node.all("partitionVal").filter_map(name).collect()) {
        found.add(node, "DUPLICATE_KEY", format!("the partition names `{name}` twice"));
    }
    // `ANALYZE … FOR COLUMNS` does not look at it.
    let looks = !node
        .parent()
        .is_some_and(|parent| parent.has("ANALYZE") && parent.has("FOR"));
    if let Some(value) = node.all("partitionVal").find(|value| looks && value.has("DEFAULT")) {
        let message = "DEFAULT is not a value of a partition";
        found.add(value, "REF_DEFAULT_VALUE_IS_NOT_ALLOWED_IN_PARTITION", message);
    }
    if node.version() < (4, 1)
        && let Some(marker) = super::parameter(node)
    {
        found.add(marker, "ONLY_LITERALS_IN_PARTITION", "a partition has no parameters");
    }
    let open = node
        .all("partitionVal")
        .find(|value| value.kids().count() == 1 && value.own().next().is_none());
    let Some(open) = open else { return };
    let Some(parent) = node.parent() else { return };
    let name = name(open).unwrap_or_default();
    if parent.is("insertInto") {
        if parent.has("IF") {
            let message = format!("IF NOT EXISTS needs a value for each partition column; `{name}` has none");
            found.add(open, NOT_ALLOWED, message);
        }
    } else if !parent.has("ANALYZE") {
        let message = format!("`{name}` needs a value here: `{name} = …`");
        found.add(open, "INVALID_SQL_SYNTAX.EMPTY_PARTITION_VALUE", message);
    }
}

fn insert(node: Node<'_>, found: &mut Refusals) {
    if node.has("INTO") && node.has("IF") && !node.has("OVERWRITE") {
        found.add(node, INVALID, "IF NOT EXISTS goes with INSERT OVERWRITE only");
    }
    let alias = node.kid("tableAlias").filter(|alias| alias.words().next().is_some());
    if let Some(alias) = alias.filter(|_| node.has("WHERE") && node.version() >= (4, 2)) {
        let condition = "INSERT_REPLACE_WHERE_TABLE_ALIAS_NOT_ALLOWED";
        found.add(alias, condition, "REPLACE WHERE takes no alias of the table");
    }
    if node.has("REPLACE")
        && node.has("ON")
        && let Some(columns) = node.kid("identifierList")
    {
        let condition = "INSERT_REPLACE_ON_COLUMN_LIST_NOT_ALLOWED";
        found.add(columns, condition, "REPLACE ON takes no list of columns");
    }
    if !node.has("DIRECTORY") {
        return;
    }
    if node.kid("tableProvider").is_some() {
        local(node, found);
        let options = node
            .kids()
            .find(|kid| matches!(kid.rule(), "propertyList" | "expressionPropertyList"));
        let in_options = options.is_some_and(|options| {
            let keys = options.kids().filter_map(|property| property.kids().next());
            keys.filter_map(|key| text_of(key).or_else(|| Some(key.name())))
                .any(|key| key.eq_ignore_ascii_case("path"))
        });
        let path = node.kid("stringLit").is_some();
        if path == in_options {
            let message = "the directory is named once: behind DIRECTORY, or as `path` in OPTIONS";
            found.add(node, "INSERT_DIRECTORY_PATH", message);
        }
    }
    super::tables::formats(node, found);
    if let Some(format) = node.kid("createFileFormat").and_then(|stored| stored.kid("fileFormat")) {
        let known = ["sequencefile", "rcfile", "orc", "parquet", "textfile", "avro"];
        let name = format.text().to_lowercase();
        if !format.has("INPUTFORMAT") && !known.contains(&name.as_str()) {
            found.add(
                format,
                NOT_ALLOWED,
                format!("there is no file format {name}; {} are known", known.join(", ")),
            );
        }
    }
}

/// `LOCAL` goes with files.
fn local(node: Node<'_>, found: &mut Refusals) {
    let lists = node
        .kids()
        .filter(|kid| matches!(kid.rule(), "propertyList" | "expressionPropertyList"));
    let options = lists.flat_map(Node::kids);
    let option = options
        .filter(|property| {
            let key = property.kids().next();
            key.is_some_and(|key| text_of(key).unwrap_or_else(|| key.name()).eq_ignore_ascii_case("path"))
        })
        .find_map(|property| property.kids().nth(1));
    let path = node.kid("stringLit").or(option).and_then(text_of);
    let Some(path) = path.filter(|_| node.has("LOCAL")) else {
        return;
    };
    if let Some((scheme, _)) = path.split_once(':')
        && scheme != "file"
        && !scheme.contains('/')
    {
        let message = format!("LOCAL goes with files, not with `{scheme}:`");
        found.add(node, "LOCAL_MUST_WITH_SCHEMA_FILE", message);
    }
}

fn change(node: Node<'_>, found: &mut Refusals) {
    let Some(first) = node.own().next().map(|word| word.kind()) else {
        return;
    };
    if !matches!(first, "UPDATE" | "DELETE" | "MERGE") {
        return;
    }
    for alias in node.all("tableAlias") {
        if let Some(columns) = alias.kid("identifierList") {
            found.add(
                columns,
                "COLUMN_ALIASES_NOT_ALLOWED",
                format!("the alias of a table takes no columns in {first}"),
            );
        }
    }
    if first != "MERGE" {
        return;
    }
    let clauses = [
        ("matchedClause", "NON_LAST_MATCHED_CLAUSE_OMIT_CONDITION"),
        (
            "notMatchedClause",
            "NON_LAST_NOT_MATCHED_BY_TARGET_CLAUSE_OMIT_CONDITION",
        ),
        (
            "notMatchedBySourceClause",
            "NON_LAST_NOT_MATCHED_BY_SOURCE_CLAUSE_OMIT_CONDITION",
        ),
    ];
    let mut none = true;
    for (rule, condition) in clauses {
        let all: Vec<Node<'_>> = node.kids().filter(|kid| kid.is(rule)).collect();
        none &= all.is_empty();
        let others = all.split_last().map_or(&[][..], |(_, others)| others);
        if let Some(clause) = others.iter().find(|clause| clause.kid("booleanExpression").is_none()) {
            found.add(
                *clause,
                condition,
                "only the last clause of its kind may be without a condition",
            );
        }
    }
    if none {
        found.add(node, "MERGE_WITHOUT_WHEN", "MERGE needs a WHEN clause");
    }
}
